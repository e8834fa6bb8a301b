//! The source inside the binary: 281,874 towns, airports and landmarks, searched where they are in the program's pages.
//!
//! Never waits, never fails, and never says what it does not know. data/README.md says where the places come from.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::sync::LazyLock;

use super::index::Index;
use super::local::{Kind, Local, Shown};
use super::record::STRIDE;
use super::{Failure, Query, Source};

/// The attribution wherever the embedded places are shown.
pub const ATTRIBUTION: &str =
    "Places © GeoNames (geonames.org), CC BY 4.0, reformatted; airports: OurAirports, public domain";

/// The same for an answer, with the links that the licence asks for.
const HTML_ATTRIBUTIONS: [&str; 2] = [
    "Places © <a href=\"https://www.geonames.org/\">GeoNames</a>, \
     <a href=\"https://creativecommons.org/licenses/by/4.0/\">CC BY 4.0</a>, reformatted",
    "Airports: <a href=\"https://ourairports.com/\">OurAirports</a>, public domain",
];

// BAND_STARTS and KINDS.
include!(concat!(env!("OUT_DIR"), "/places.rs"));

static RECORDS: &[[u8; STRIDE]] = include_bytes!(concat!(env!("OUT_DIR"), "/places.bin")).as_chunks().0;
static TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/places.txt"));

pub(super) static INDEX: Index<'static> = Index { records: RECORDS, band_starts: &BAND_STARTS };

static SHOWN: LazyLock<Shown> = LazyLock::new(|| Shown::new(&KINDS, &HTML_ATTRIBUTIONS));

fn local() -> Local<'static> {
    Local { index: INDEX, text: TEXT, shown: &SHOWN }
}

/// The places compiled into the program.
#[derive(Clone, Copy, Default, Debug)]
pub struct Embedded;

impl Embedded {
    /// How many places there are.
    pub fn count(self) -> usize {
        RECORDS.len()
    }
}

impl Source for Embedded {
    fn may_wait(&self) -> bool {
        false
    }

    /// Answers with the best places within the radius, by how well known and how near they are.
    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        Ok(local().answer(query, out))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::legacy;
    use super::*;
    use crate::core::model::Coordinates;

    const UCLA: (f64, f64) = (34.068930, -118.445127);
    const TOKYO: (f64, f64) = (35.6812, 139.7671);
    const MID_PACIFIC: (f64, f64) = (-48.87, -123.39);
    /// Where answers used to be poor, and what must be among the first three within 1 km.
    const SPOTS: [((f64, f64), &str); 10] = [
        ((48.8606, 2.3376), "Louvre Museum"),
        ((40.7580, -73.9855), "Times Square"),
        ((35.6595, 139.7005), "Shibuya Crossing"),
        ((-33.8568, 151.2153), "Sydney Opera House"),
        ((-1.2864, 36.8172), "Nairobi"),
        ((64.1466, -21.9426), "Reykjavík City Hall"),
        ((-18.1416, 178.4419), "University of the South Pacific"),
        ((78.2232, 15.6267), "Svalbard Museum"),
        ((-77.8419, 166.6863), "McMurdo Station"),
        ((41.9414, -93.1033), "Melbourne"), // a village of Iowa
    ];

    fn answer((latitude, longitude): (f64, f64), radius_m: f64, bound: usize) -> (usize, String) {
        let mut out = Vec::new();
        let query = Query { center: Coordinates { latitude, longitude }, radius_m, bound };
        let count = Embedded.nearby(&query, &mut out).unwrap();
        (count, String::from_utf8(out).unwrap())
    }

    fn names(center: (f64, f64), radius_m: f64, bound: usize) -> Vec<String> {
        let answer: Value = serde_json::from_str(&answer(center, radius_m, bound).1).unwrap();
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn near_ucla_ucla_is_first() {
        assert_eq!(names(UCLA, 10_000.0, 1), ["University of California, Los Angeles"]);
        assert_eq!(names(UCLA, 50_000.0, 20)[0], "University of California, Los Angeles");
    }

    #[test]
    fn the_answer_for_ucla_is_the_recorded_one() {
        assert_eq!(answer(UCLA, 10_000.0, 2).1, include_str!("testdata/ucla.json").trim_end());
    }

    #[test]
    fn a_spot_is_told_by_what_is_there() {
        for (center, name) in SPOTS {
            let names = names(center, 1000.0, 3);
            assert!(names.iter().any(|near| near == name), "{name} is not among {names:?}");
        }
    }

    #[test]
    fn within_a_kilometre_near_places_come_before_far_ones() {
        for ((latitude, longitude), name) in SPOTS {
            let hits = INDEX.best(Coordinates { latitude, longitude }, 1000.0, 20);
            let Some(last) = hits.last().filter(|_| hits.len() > 2) else { continue };
            assert!(hits.iter().any(|hit| hit.km < last.km), "{name}: the nearest is last");
            let pairs = (0..hits.len()).flat_map(|at| hits[at + 1..].iter().map(move |far| (at, far)));
            let in_order: Vec<bool> = pairs.map(|(near, far)| hits[near].km <= far.km).collect();
            assert!(2 * in_order.iter().filter(|&&is| is).count() > in_order.len(), "{name}: {hits:?}");
        }
    }

    #[test]
    fn a_city_full_of_heliports_shows_none() {
        assert_eq!(names(TOKYO, 10_000.0, 1), ["Tokyo Station"]);
        let names = names(TOKYO, 50_000.0, usize::MAX);
        let is_heliport = |name: &&String| name.contains("Heliport") || name.contains("Helipad");
        // An airfield may have one, too.
        let heliports: Vec<_> =
            names.iter().filter(is_heliport).filter(|name| !name.contains("Airfield")).collect();
        assert!(names.len() > 300 && heliports.is_empty(), "{} heliports", heliports.len());
    }

    #[test]
    fn each_arrondissement_is_there_once() {
        let (paris, _) = SPOTS[0];
        let mut numbers: Vec<u32> = names(paris, 15_000.0, usize::MAX)
            .iter()
            .filter_map(|name| name.strip_prefix("Paris ")?.get(..2)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn an_airport_that_is_a_landmark_is_found_once() {
        let names = names((33.9425, -118.4081), 3000.0, 20);
        assert_eq!(
            names.iter().filter(|name| *name == "Los Angeles International Airport").count(),
            1,
            "{names:?}"
        );
    }

    #[test]
    fn the_bound_cuts_the_results() {
        for bound in [0, 1, 20] {
            let (count, text) = answer(UCLA, 10_000.0, bound);
            let document: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((count, document["results"].as_array().unwrap().len()), (bound, bound));
            assert_eq!(document["status"], "OK");
        }
        assert!(answer(UCLA, 10_000.0, 0).1.contains("\n   \"results\" : [],\n   \"status\" : \"OK\"\n"));
        assert!((21..1000).contains(&answer(UCLA, 10_000.0, usize::MAX).0));
    }

    #[test]
    fn mid_ocean_there_are_zero_results() {
        for bound in [0, 20] {
            let (count, text) = answer(MID_PACIFIC, 50_000.0, bound);
            assert_eq!(count, 0);
            assert!(text.ends_with("\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}"), "{text}");
        }
    }

    #[test]
    fn the_whole_earth_is_a_radius_too() {
        assert_eq!(answer(MID_PACIFIC, 20_015_115.0, usize::MAX).0, Embedded.count());
    }

    #[test]
    fn every_embedded_place_can_be_shown_and_has_its_own_id() {
        assert_eq!(Embedded.count(), 281_874);
        let mut ids = HashSet::new();
        let mut out = Vec::new();
        for at in 0..Embedded.count() {
            out.clear();
            local().write_place(&INDEX.record(at), &mut out);
            let place: Value = serde_json::from_slice(&out).unwrap();
            let text = |key| place[key].as_str().unwrap();
            let is_plain = |text: &str| !text.is_empty() && !text.contains(char::is_control);
            assert!(is_plain(text("name")) && is_plain(text("vicinity")), "{place}");
            assert!(
                !place["types"].as_array().unwrap().is_empty() && !text("place_id").starts_with("ChIJ"),
                "{place}"
            );
            assert_eq!(text("place_id"), text("reference"));
            for corner in ["northeast", "southwest"] {
                let degrees = |key| place["geometry"]["viewport"][corner][key].as_f64().unwrap().abs();
                assert!(degrees("lat") <= 90.0 && degrees("lng") <= 180.0, "{place}");
            }
            assert!(ids.insert(text("place_id").to_owned()), "{place}");
        }
    }

    #[test]
    fn the_documents_say_what_there_is() {
        let grouped = |count: usize| format!("{},{:03}", count / 1000, count % 1000);
        let is_landmark = |&at: &usize| KINDS[usize::from(INDEX.record(at).kind)].source == "landmark";
        let (count, landmarks) = (Embedded.count(), (0..Embedded.count()).filter(is_landmark).count());
        let (readme, page) = (include_str!("../../README.md"), include_str!("../../docs/places.md"));
        let data = include_str!("../../data/README.md");
        assert!([readme, page, data].iter().all(|text| text.contains(&grouped(count))), "{count} places");
        assert!([page, data].iter().all(|text| text.contains(&grouped(landmarks))), "{landmarks} landmarks");
        assert!(include_str!("embedded.rs").contains(&grouped(count)), "{count} places");
    }

    #[test]
    fn the_flat_form_is_in_order() {
        let keys: Vec<_> = (0..Embedded.count()).map(|at| INDEX.record(at).sort_key()).collect();
        assert!(keys.is_sorted());
        assert_eq!(BAND_STARTS.last().copied(), u32::try_from(Embedded.count()).ok());
    }

    proptest! {
        #[test]
        fn any_answer_is_one_document_with_sorted_keys(
            latitude in -90.0..=90.0, longitude in -180.0..=180.0, radius_m in 0.0..50_000.0, bound in 0_usize..=20,
        ) {
            let (count, text) = answer((latitude, longitude), radius_m, bound);
            prop_assert!(count <= bound && !text.contains("\n\n") && !text.ends_with('\n'));
            prop_assert!(text.contains("GeoNames") && text.contains("OurAirports"));
            // serde_json's map is sorted, so keys that were not come back in another order. It may round the last
            // digit of a number it reads: digits are left out.
            let document: Value = serde_json::from_str(&text).unwrap();
            let mut again = Vec::new();
            legacy::write(&document, &mut again);
            let shape = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
            prop_assert_eq!(shape(std::str::from_utf8(&again).unwrap()), shape(&text));
        }
    }
}
