//! The source inside the binary: 234,655 towns, airports and landmarks, searched where they lie in the program's pages.
//!
//! Never waits, never fails, and never says what it does not know. data/README.md tells where the places come from.

use std::sync::LazyLock;

use super::index::Index;
use super::local::{Kind, Local, Shown};
use super::record::STRIDE;
use super::{Failure, Query, Source};

/// Who must be named wherever the embedded places are shown.
pub const ATTRIBUTION: &str =
    "Places © GeoNames (geonames.org), CC BY 4.0, reformatted; airports: OurAirports, public domain";

/// The same for an answer, with the links the licence asks for.
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

    /// Answers with the best known places within the radius; 10 km of distance weigh as much as one of the five ranks.
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
    use crate::model::Coordinates;

    const UCLA: (f64, f64) = (34.068930, -118.445127);
    const TOKYO: (f64, f64) = (35.6812, 139.7671);
    const MID_PACIFIC: (f64, f64) = (-48.87, -123.39);

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
    fn a_city_full_of_heliports_shows_its_landmarks() {
        let names = names(TOKYO, 10_000.0, 20);
        assert_eq!(names[0], "Tokyo Station");
        assert!(!names.iter().any(|name| name.contains("Heliport") || name.contains("Helipad")), "{names:?}");
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
        assert!(Embedded.count() >= 234_000);
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
