//! Tests of the readers, each with what it takes, what it skips and why, and what it cannot read.

use std::io::Cursor;

use serde_json::Value;

use super::*;
use crate::model::Coordinates;
use crate::places::file::{Made, PlacesFile};
use crate::places::{Query, Source};

#[path = "../../tests/it/support/pbf.rs"]
#[allow(dead_code, reason = "the process tests use the rest")]
mod pbf;

/// A place as an answer has it.
#[derive(Debug, PartialEq)]
struct Found {
    id: String,
    name: String,
    vicinity: String,
    types: String,
    at: (f64, f64),
}

/// What came out of the sink, by id, and what was skipped.
fn found(sink: Sink) -> (Vec<Found>, Vec<(Skip, u64)>) {
    let mut bytes = Vec::new();
    sink.builder.finish(Made::default(), &mut bytes).unwrap();
    let places = PlacesFile::read(&mut &*bytes, bytes.len() as u64).unwrap().unwrap();
    let center = Coordinates { latitude: 0.0, longitude: 0.0 };
    let mut out = Vec::new();
    places.nearby(&Query { center, radius_m: 3e7, bound: usize::MAX }, &mut out).unwrap();
    let document: Value = serde_json::from_slice(&out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let place = |result: &Value| Found {
        id: text(&result["place_id"]),
        name: text(&result["name"]),
        vicinity: text(&result["vicinity"]),
        types: result["types"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(","),
        at: {
            let location = &result["geometry"]["location"];
            (location["lat"].as_f64().unwrap(), location["lng"].as_f64().unwrap())
        },
    };
    let mut all: Vec<_> = document["results"].as_array().unwrap().iter().map(place).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    (all, sink.skipped.into_iter().collect())
}

fn place(id: &str, name: &str, vicinity: &str, types: &str, at: (f64, f64)) -> Found {
    let own = |text: &str| text.to_owned();
    Found { id: own(id), name: own(name), vicinity: own(vicinity), types: own(types), at }
}

const GENERAL: &str = "point_of_interest,establishment";

fn options(columns: &ColumnMap) -> Options<'_> {
    Options { label: "own", columns, lang: None }
}

fn csv(text: impl AsRef<[u8]>, map: &str, delimiter: u8) -> Result<Sink, String> {
    let columns = ColumnMap::parse(map).unwrap();
    let mut sink = Sink::default();
    read_csv(text.as_ref(), delimiter, &options(&columns), &mut sink).map_err(|error| error.to_string())?;
    Ok(sink)
}

fn geojson(text: impl AsRef<[u8]>, map: &str) -> Result<Sink, String> {
    let columns = ColumnMap::parse(map).unwrap();
    let mut sink = Sink::default();
    read_geojson(text.as_ref(), &options(&columns), &mut sink).map_err(|error| error.to_string())?;
    Ok(sink)
}

fn geonames(text: impl AsRef<[u8]>) -> Result<Sink, String> {
    let mut sink = Sink::default();
    read_geonames(text.as_ref(), &mut sink).map_err(|error| error.to_string())?;
    Ok(sink)
}

fn osm(bytes: &[u8], lang: Option<&str>) -> Result<Sink, String> {
    let columns = ColumnMap::default();
    let mut sink = Sink::default();
    let options = Options { lang, ..options(&columns) };
    read_osm(Cursor::new(bytes), &options, &mut sink).map_err(|error| error.to_string())?;
    Ok(sink)
}

#[test]
fn csv_columns_are_found_by_their_usual_names() {
    let text = "\u{feff}Name,LAT,lon,type,City,id\n\
        \"Café, old\",1.5,2.5,Coffee Shop;food,Town,7\n\
        Plain,-1,-2,,,\n\
        ,1,2,x,,\n\
        No where,91,0,x,,\nNo number,x,0,x,,\n\
        Short,1\n\
        Café again,1,2,x,,7\n";
    let (places, skipped) = found(csv(text, "", b',').unwrap());
    assert_eq!(
        places,
        [
            place("own:2", "Plain", "Plain", GENERAL, (-1.0, -2.0)),
            place("own:7", "Café, old", "Town", "coffee_shop,food", (1.5, 2.5)),
        ]
    );
    assert_eq!(skipped, [(Skip::NoName, 1), (Skip::BadCoordinates, 3)]);
}

#[test]
fn csv_columns_are_named_by_a_map() {
    let text = "a\tb\tc\td\te\nx y\t10\t20\tmuseum|art_gallery\t4\n";
    let sink = csv(text, "name=d,lat=b,lng=c,types=d,vicinity=a,id=a,rank=e", b'\t').unwrap();
    let expected = place("own:x y", "museum|art_gallery", "x y", "museum,art_gallery", (10.0, 20.0));
    assert_eq!(found(sink).0, [expected]);
}

#[test]
fn csv_without_its_columns_says_which_are_there() {
    let fault = csv("a,b\n", "", b',').unwrap_err();
    assert_eq!(fault, "has no column for name; name one with --columns name=COLUMN, of a, b");
    assert!(csv("name,lat,lng\n", "types=x", b',').unwrap_err().starts_with("has no column \"x\""));
    assert!(csv("", "", b',').unwrap_err().contains("no column for name"));
}

#[test]
fn csv_that_is_not_utf8_is_told_by_its_line() {
    let fault = csv(b"name,lat,lng\nx,1,2\nCaf\xe9,1,2\n", "", b',').unwrap_err();
    assert!(fault.starts_with("line 3: this is not UTF-8"), "{fault}");
    assert!(csv(b"nam\xe9,lat,lng\n", "", b',').unwrap_err().starts_with("line 1: this is not UTF-8"));
}

#[test]
fn csv_row_without_an_end_is_told_by_its_line() {
    let text = format!("name,lat,lng\nx,1,2\n\"y,1,2\n{}", "z,1,2\n".repeat(1_000_000));
    assert!(csv(text, "", b',').unwrap_err().starts_with("line 3: this row has no end"));
    let long = "z,1,2\n".repeat(1_000_000);
    assert_eq!(csv(format!("name,lat,lng\n{long}"), "", b',').unwrap().builder.count(), 1_000_000);
}

#[test]
fn rows_without_ids_differ_from_those_of_another_file() {
    let columns = ColumnMap::default();
    let mut sink = Sink::default();
    for name in ["a", "b"] {
        let text = format!("name,lat,lng\n{name},0,0\n");
        read_csv(text.as_bytes(), b',', &options(&columns), &mut sink).unwrap();
    }
    let ids: Vec<_> = found(sink).0.into_iter().map(|place| place.id).collect();
    assert_eq!(ids, ["own:1", "own:2"]);
}

const COLLECTION: &str = r#"{"type": "FeatureCollection", "crs": {"x": [1]}, "features": [
    {"type": "Feature", "id": "node/1", "geometry": {"type": "Point", "coordinates": [20.5, 10.25, 7]},
     "properties": {"name": "Café", "amenity": "cafe", "addr:city": "Town", "nothing": null}},
    {"properties": {"title": "Lake", "types": ["natural_feature", "political"], "rank": 2},
     "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 0]]]}, "type": "Feature"},
    {"type": "Feature", "properties": {"name": "Both", "kind": "zoo", "id": 9}, "geometry": {"type":
     "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [179, 1]},
     {"type": "MultiPoint", "coordinates": [[-179, 3]]}]}},
    {"type": "Feature", "properties": null, "geometry": {"type": "Point", "coordinates": [0, 0]}},
    {"type": "Feature", "properties": {"name": "Lost"}, "geometry": null},
    {"type": "Feature", "properties": {"name": "Off"}, "geometry": {"type": "Point", "coordinates": [0, 91]}},
    {"type": "Feature", "properties": {"name": "Odd"}, "geometry": {"type": "Point", "coordinates": ["1", 2]}},
    {"type": "Feature", "properties": {"name": "Half"}, "geometry": {"type": "Point", "coordinates": [1]}}
]}"#;

#[test]
fn geojson_is_read_feature_by_feature() {
    let (places, skipped) = found(geojson(COLLECTION, "").unwrap());
    assert_eq!(
        places,
        [
            place("own:2", "Lake", "Lake", "natural_feature,political", (1.0, 2.0)),
            place("own:9", "Both", "Both", "zoo", (2.0, 180.0)),
            place("own:node/1", "Café", "Town", "cafe,food,point_of_interest,establishment", (10.25, 20.5)),
        ]
    );
    assert_eq!(skipped, [(Skip::NoName, 1), (Skip::BadCoordinates, 4)]);
}

#[test]
fn geojson_may_be_a_feature_a_line() {
    let feature = |name: &str| {
        format!(
            r#"{{"type":"Feature","properties":{{"n":"{name}","id":"x"}},"geometry":{{"type":"Point","coordinates":[1,2]}}}}"#
        )
    };
    let text = format!("\u{feff}{}\n\u{1e}{}\n\n", feature("a"), feature("b"));
    let sink = geojson(&text, "name=n,id=n").unwrap();
    let names: Vec<_> = found(sink).0.into_iter().map(|place| place.id).collect();
    assert_eq!(names, ["own:a", "own:b"]);
}

#[test]
fn geojson_that_is_broken_is_told_by_its_line() {
    for end in 1..COLLECTION.len() {
        let fault = geojson(&COLLECTION.as_bytes()[..end], "").map(|_| ()).unwrap_err();
        assert!(fault.starts_with("line ") && fault.contains("ends too early"), "{end}: {fault}");
    }
    for other in ["{\"type\": \"Topology\"}", "[1, 2]", "7", "<xml/>", "{\"features\": 7}", "{}"] {
        let fault = geojson(other, "").map(|_| ()).unwrap_err();
        assert!(fault.starts_with("line 1: this is no GeoJSON"), "{other}: {fault}");
        assert!(!fault.contains('\n'), "{fault}");
    }
    assert_eq!(geojson("{\"type\":\"FeatureCollection\",\"features\":[]}", "").unwrap().builder.count(), 0);
}

fn dump(id: &str, name: &str, at: (&str, &str), class: &str, code: &str, population: &str) -> String {
    let (latitude, longitude) = at;
    format!(
        "{id}\t{name}\t\t\t{latitude}\t{longitude}\t{class}\t{code}\tUS\t\t\t\t\t\t{population}\t\t\t\t2020-01-01\n"
    )
}

#[test]
fn geonames_dumps_are_read_by_feature_codes() {
    let text = [
        dump("5368361", "Los Angeles", ("34.05", "-118.24"), "P", "PPLA2", "3971883"),
        dump("1", "Old Town", ("1", "2"), "P", "PPLX", "0"),
        dump("2", "Road", ("1", "2"), "R", "RD", "0"),
        dump("3", "Nowhere", ("1", "200"), "P", "PPL", "0"),
        dump("x", "No number", ("1", "2"), "P", "PPL", "0"),
    ];
    let (places, skipped) = found(geonames(text.concat()).unwrap());
    assert_eq!(
        places,
        [
            place("geonames:1", "Old Town", "Old Town", "neighborhood,political", (1.0, 2.0)),
            place("geonames:5368361", "Los Angeles", "Los Angeles", "locality,political", (34.05, -118.24)),
        ]
    );
    assert_eq!(skipped, [(Skip::NoKind, 1), (Skip::BadCoordinates, 1), (Skip::BadId, 1)]);
}

#[test]
fn geonames_of_another_form_are_told_by_their_line() {
    let good = dump("1", "a", ("1", "2"), "P", "PPL", "0");
    assert!(geonames(format!("{good}a\tb\n")).unwrap_err().starts_with("line 2: this has 2 columns"));
    let fault = geonames([good.as_bytes(), b"\xff\n"].concat()).unwrap_err();
    assert!(fault.starts_with("line 2: this is not UTF-8"), "{fault}");
    assert!(geonames("x".repeat(1 << 20)).unwrap_err().starts_with("line 1: this is too long"));
}

#[test]
fn osm_extract_becomes_places() {
    let (places, skipped) = found(osm(&pbf::town(), None).unwrap());
    let cafe = "cafe,food,point_of_interest,establishment";
    assert_eq!(
        places,
        [
            place("osm:node:5000000001", "Café Nord", "Ring 1, Kleinstadt", cafe, (10.0, 20.0)),
            place("osm:node:5000000004", "Kleinstadt", "Kleinstadt", "locality,political", (10.003, 20.003)),
            place("osm:relation:1", "Park", "Park", "park,point_of_interest,establishment", (10.07, 20.02)),
            place("osm:relation:2", "Nordend", "Nordend", "neighborhood,political", (10.03, 20.03)),
            place(
                "osm:way:1",
                "Museum",
                "Museum",
                "museum,tourist_attraction,point_of_interest,establishment",
                (10.02, 20.02)
            ),
        ]
    );
    assert_eq!(skipped, [(Skip::NoName, 1), (Skip::NoKind, 2), (Skip::NoPoints, 1)]);
    let names: Vec<_> =
        found(osm(&pbf::town(), Some("en")).unwrap()).0.into_iter().map(|place| place.name).collect();
    assert_eq!(names[..2], ["North Café", "Kleinstadt"]);
}

#[test]
fn osm_elements_may_come_in_any_order() {
    let node = pbf::Node::new(1, 1.0, 2.0, &[]);
    let way = pbf::Way { id: 1, nodes: vec![1], tags: vec![] };
    let tags = pbf::tags(&[("leisure", "park"), ("name", "Park")]);
    let relation = pbf::Relation { id: -7, members: vec![(1, 1, "outer")], tags };
    let mut bytes = pbf::header(&[]);
    let blocks = [pbf::relations(&[relation]), pbf::ways(&[way]), pbf::nodes(&[node])];
    blocks.iter().for_each(|block| bytes.extend(pbf::blob("OSMData", block, true)));
    let (places, _) = found(osm(&bytes, None).unwrap());
    assert_eq!((places[0].id.as_str(), places[0].at), ("osm:relation:-7", (1.0, 2.0)));
}

#[test]
fn osm_file_that_is_cut_is_never_taken_for_whole() {
    let whole = pbf::town();
    let ends: Vec<usize> = {
        let mut ends = vec![];
        let mut at = 0;
        while at < whole.len() {
            let header = u32::from_be_bytes([0, 1, 2, 3].map(|byte| whole[at + byte])) as usize;
            let text = &whole[at + 4..at + 4 + header];
            // The header's last field is the length of the blob.
            let field = text.iter().rposition(|&byte| byte == 3 << 3).unwrap();
            let length =
                text[field + 1..].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
            at += 4 + header + length;
            ends.push(at);
        }
        ends
    };
    for end in (0..whole.len()).filter(|end| !ends.contains(end)) {
        let fault = osm(&whole[..end], None).map(|_| ()).unwrap_err();
        assert!(fault.starts_with("byte ") && !fault.contains('\n'), "{end}: {fault}");
    }
}

#[test]
fn osm_file_that_is_broken_is_told_by_its_byte() {
    let header = pbf::header(&["OsmSchema-V0.6"]);
    let with = |block: &[u8]| {
        let bytes = [header.clone(), pbf::blob("OSMData", block, true)].concat();
        osm(&bytes, None).map(|_| ()).unwrap_err()
    };
    let at = format!("byte {}: the blob there is broken: ", header.len());
    assert!(with(b"\xff\xff\xff").starts_with(&at), "{}", with(b"\xff\xff\xff"));
    let mut bad = pbf::nodes(&[pbf::Node::new(1, 1.0, 2.0, &[("name", "Cafe"), ("amenity", "cafe")])]);
    let name = bad.windows(4).position(|four| four == b"Cafe").unwrap();
    bad[name] = 0xff;
    assert!(with(&bad).contains("a tag's text is missing or not UTF-8"), "{}", with(&bad));
    assert!(osm(b"no pbf at all", None).map(|_| ()).unwrap_err().starts_with("byte 0: "));
    assert!(osm(b"", None).map(|_| ()).unwrap_err().contains("this is no .osm.pbf"));
    let no_header = pbf::blob("OSMData", &pbf::nodes(&[]), true);
    assert!(osm(&no_header, None).map(|_| ()).unwrap_err().contains("this is no .osm.pbf"));
    let history = pbf::header(&["OsmSchema-V0.6", "HistoricalInformation"]);
    assert!(osm(&history, None).map(|_| ()).unwrap_err().contains("this is a history"));
    assert!(osm(&pbf::header(&["Zstd"]), None).map(|_| ()).unwrap_err().contains("asks for \"Zstd\""));
}

#[test]
fn osm_nodes_off_the_earth_are_skipped() {
    let node = |id, latitude, longitude| {
        pbf::Node::new(id, latitude, longitude, &[("amenity", "cafe"), ("name", "x")])
    };
    let mut bytes = pbf::header(&[]);
    let nodes = [node(1, 91.0, 0.0), node(2, 0.0, 180.1), node(3, -90.0, -180.0)];
    bytes.extend(pbf::blob("OSMData", &pbf::nodes(&nodes), true));
    let (places, skipped) = found(osm(&bytes, None).unwrap());
    assert_eq!((places.len(), skipped), (1, vec![(Skip::BadCoordinates, 2)]));
}

#[test]
fn format_is_told_by_the_end_of_a_name() {
    let format = Format::of_name;
    assert_eq!(format("monaco-latest.osm.PBF"), Some(Format::OsmPbf));
    assert_eq!([format("a.json"), format("a.geojsonl")], [Some(Format::GeoJson); 2]);
    assert_eq!([format("a.csv"), format("a.tsv")], [Some(Format::Csv); 2]);
    assert_eq!([format("US.txt"), format("US.zip"), format("x")], [Some(Format::GeoNames), None, None]);
}
