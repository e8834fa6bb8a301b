//! Tests of the file of places: what goes in comes out, and nothing that is broken opens.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::core::model::Coordinates;

/// A file of three places, made as an import makes one.
fn built() -> Vec<u8> {
    let mut builder = Builder::default();
    builder.attribute("© <b>us</b>");
    builder.attribute("© <b>us</b>");
    let cafe = builder.kind("osm:node", "cafe,food,point_of_interest,establishment").unwrap();
    let own = builder.kind("mine", "museum").unwrap();
    let entry = |kind, id, name, vicinity, latitude, longitude, rank| PlaceEntry {
        kind,
        id,
        name,
        vicinity,
        latitude,
        longitude,
        rank,
    };
    let entries = [
        entry(cafe, Id::Number(5_000_000_000), " Caf\u{e9}\tNord ", "Main Street 1", 34.07, -118.44, 1.0),
        entry(own, Id::Text("a b"), "Mus\u{e9}e", "Mus\u{e9}e", 34.0701, -118.4401, 2.0),
        entry(own, Id::Text("a b"), "The same again", "", 34.0, -118.0, 5.0),
        entry(own, Id::Text("7"), "Far away", "", -90.0, 180.0, 9.0),
    ];
    for entry in entries {
        builder.add(&entry).unwrap();
    }
    let mut bytes = Vec::new();
    let made = Made { at: "2026-11-21T00:00:00Z".into(), by: "herd".into(), from: vec!["x".into()] };
    let finished = builder.finish(made).write(&mut bytes).unwrap();
    assert_eq!(finished, Finished { places: 3, duplicates: 1, bytes: bytes.len() as u64 });
    bytes
}

fn read(bytes: &[u8]) -> Result<PlacesFile, LayoutFault> {
    PlacesFile::read(&mut &*bytes, bytes.len() as u64).unwrap()
}

/// The bytes with a checksum that is right.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let sum = twox_hash::XxHash3_64::oneshot(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn answer(places: &PlacesFile, latitude: f64, longitude: f64, bound: usize) -> Value {
    let mut out = Vec::new();
    let query = Query { center: Coordinates { latitude, longitude }, radius_m: 10_000.0, bound };
    let count = places.nearby(&query, &mut out).unwrap();
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["results"].as_array().unwrap().len(), count);
    document
}

#[test]
fn what_goes_in_comes_out() {
    let places = read(&built()).unwrap();
    assert_eq!(places.count(), 3);
    assert_eq!((places.made().by.as_str(), places.html_attributions().len()), ("herd", 1));
    let document = answer(&places, 34.07, -118.44, 20);
    assert_eq!(document["html_attributions"], serde_json::json!(["© <b>us</b>"]));
    let [museum, cafe] = &document["results"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!((&museum["name"], &museum["vicinity"]), (&"Mus\u{e9}e".into(), &"Mus\u{e9}e".into()));
    assert_eq!((&museum["place_id"], &museum["types"]), (&"mine:a b".into(), &serde_json::json!(["museum"])));
    assert_eq!((&cafe["name"], &cafe["vicinity"]), (&"Caf\u{e9} Nord".into(), &"Main Street 1".into()));
    assert_eq!(cafe["place_id"], "osm:node:5000000000");
    assert_eq!(cafe["geometry"]["location"], serde_json::json!({"lat": 34.07, "lng": -118.44}));
    let far = answer(&places, -90.0, 0.0, 1);
    assert_eq!(far["results"][0]["place_id"], "mine:7");
    assert_eq!(answer(&places, 10.0, 10.0, 1)["status"], "ZERO_RESULTS");
}

#[test]
fn file_of_no_places_answers_too() {
    let mut bytes = Vec::new();
    Builder::default().finish(Made::default()).write(&mut bytes).unwrap();
    let places = read(&bytes).unwrap();
    assert_eq!(answer(&places, 0.0, 0.0, 20)["status"], "ZERO_RESULTS");
}

#[test]
fn builder_refuses_what_no_answer_could_show() {
    let mut builder = Builder::default();
    let kind = builder.kind("a", "b").unwrap();
    let good = PlaceEntry {
        kind,
        id: Id::Number(1),
        name: "x",
        vicinity: "",
        latitude: 0.0,
        longitude: 0.0,
        rank: 1.0,
    };
    assert_eq!(builder.add(&PlaceEntry { name: " \t", ..good }), Err(BadEntry::NoName));
    for wrong in [90.1, f64::NAN, f64::INFINITY] {
        assert_eq!(builder.add(&PlaceEntry { latitude: wrong, ..good }), Err(BadEntry::NotOnEarth));
        assert_eq!(builder.add(&PlaceEntry { longitude: -2.0 * wrong, ..good }), Err(BadEntry::NotOnEarth));
    }
    let long = "i".repeat(256);
    for id in ["", "a\nb", &long] {
        assert_eq!(builder.add(&PlaceEntry { id: Id::Text(id), ..good }), Err(BadEntry::BadId));
    }
    assert_eq!((builder.count(), builder.shortened()), (0, 0));
    builder.add(&PlaceEntry { name: &"\u{e9}".repeat(128), rank: f64::NAN, ..good }).unwrap();
    assert_eq!((builder.count(), builder.shortened()), (1, 1));
    let mut bytes = Vec::new();
    builder.finish(Made::default()).write(&mut bytes).unwrap();
    let name = answer(&read(&bytes).unwrap(), 0.0, 0.0, 1)["results"][0]["name"].clone();
    assert_eq!(name, "\u{e9}".repeat(127));
}

#[test]
fn newer_file_says_so_before_anything_else() {
    let mut bytes = built();
    bytes[16] = 2;
    let fault = read(&bytes[..40]).unwrap_err();
    assert_eq!(fault, LayoutFault::OtherVersion(2));
    assert!(fault.to_string().contains("import it again with this herd"), "{fault}");
}

#[test]
fn other_files_are_told_by_their_first_bytes() {
    for other in [&b""[..], b"{\"type\": \"FeatureCollection\"}", b"proxyherd-places 1\n", &[0; 100]] {
        assert_eq!(read(other).unwrap_err(), LayoutFault::NotPlaces);
    }
}

#[test]
fn lengths_that_are_claimed_are_not_believed() {
    for at in [20, 24, 32, 39] {
        let mut bytes = built();
        bytes[at] = 0xff;
        assert!(matches!(read(&summed(bytes)), Err(LayoutFault::WrongLength { .. })), "{at}");
    }
}

#[test]
fn parts_must_fit_together_whatever_the_checksum_says() {
    let bytes = built();
    let header = u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[20 + byte])) as usize;
    let record = |number: usize, at: usize| 40 + header + number * STRIDE + at;
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        read(&summed(bytes)).map(|places| places.count()).unwrap_err()
    };
    let faults = [
        (record(0, 3), 0x7f, "not on the Earth"),
        (record(2, 7), 0x7f, "not on the Earth"),
        (record(0, 24), 2, "a kind that it does not list"),
        (record(1, 18), 1, "without a name"),
        (record(1, 20), 0, "without a name"),
        (record(2, 21), 255, "without a name"),
        (record(1, 20), 4, "without a name"),
        (record(1, 4), 97, "not in order"),
        (bytes.len() - 9, 0xff, "not UTF-8"),
        (40, b'[', "header"),
    ];
    for (at, value, expected) in faults {
        let fault = with(at, value).to_string();
        assert!(fault.contains(expected), "{at} {value}: {fault}");
    }
}

proptest! {
    #[test]
    fn no_byte_can_change_unseen(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut bytes = built();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn no_part_can_be_missing(to in any::<prop::sample::Index>()) {
        let bytes = built();
        prop_assert!(read(&bytes[..to.index(bytes.len())]).is_err());
    }

    /// If someone means harm, the checksum is right: then every answer is still an answer.
    #[test]
    fn no_forged_file_breaks_a_lookup(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = built();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(places) = read(&summed(bytes)) {
            let mut out = Vec::new();
            let center = Coordinates { latitude: 34.0, longitude: -118.0 };
            places.nearby(&Query { center, radius_m: f64::MAX, bound: 20 }, &mut out).unwrap();
        }
    }
}
