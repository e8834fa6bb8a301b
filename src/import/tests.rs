//! Tests of the readers: for each, what it accepts, what it skips and why, and what it cannot read.

use serde_json::Value;

use super::*;
use crate::core::model::Coordinates;
use crate::places::file::{Made, PlacesFile};
use crate::places::{Query, Source};

/// A place as an answer has it.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) vicinity: String,
    pub(super) types: String,
    pub(super) at: (f64, f64),
}

/// What came out of the sink, by id, and what was skipped.
pub(super) fn found(mut sink: Sink) -> (Vec<Found>, Vec<(Skip, u64)>) {
    sink.end();
    let skipped = sink.skipped().iter().map(|(why, skipped)| (*why, skipped.count)).collect();
    let mut bytes = Vec::new();
    sink.builder.finish(Made::default()).write(&mut bytes).unwrap();
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
    (all, skipped)
}

pub(super) fn place(id: &str, name: &str, vicinity: &str, types: &str, at: (f64, f64)) -> Found {
    let own = |text: &str| text.to_owned();
    Found { id: own(id), name: own(name), vicinity: own(vicinity), types: own(types), at }
}

const GENERAL: &str = "point_of_interest,establishment";

pub(super) fn options(columns: &ColumnMap) -> ImportOptions<'_> {
    ImportOptions { label: "own", columns, lang: None }
}

fn csv(text: impl AsRef<[u8]>, map: &str, delimiter: impl Into<Option<u8>>) -> Result<Sink, String> {
    let columns = ColumnMap::parse(map).unwrap();
    let mut sink = Sink::default();
    read_csv(text.as_ref(), delimiter.into(), &options(&columns), &mut sink)
        .map_err(|error| error.to_string())?;
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

#[test]
fn csv_columns_are_found_by_their_usual_names() {
    let text = "\u{feff}Name,LAT,lon,type,City,id\n\
        \"Café, old\",1.5,2.5,Coffee Shop;food,Town,7\n\
        Plain,-1,-2,,,\n\
        ,1,2,x,,\n\
        No where,91,0,x,,\nNo number,x,0,x,,\nNone,nan,inf,x,,\n\
        Short,1\n\
        Café again,1,2,x,,7\n";
    let sink = csv(text, "", None).unwrap();
    assert_eq!(sink.skipped()[&Skip::BadCoordinates].first, Some((String::new(), 5)));
    assert!(sink.unended().is_empty());
    let (places, skipped) = found(sink);
    assert_eq!(
        places,
        [
            place("own/row:2", "Plain", "Plain", GENERAL, (-1.0, -2.0)),
            place("own:7", "Café, old", "Town", "coffee_shop,food", (1.5, 2.5)),
        ]
    );
    assert_eq!(skipped, [(Skip::NoName, 1), (Skip::BadCoordinates, 3), (Skip::ShortRow, 1)]);
}

#[test]
fn csv_rows_of_another_length_than_the_header_are_skipped() {
    // If a comma is missing, or there is one too many, there is no telling which value is which.
    let text = "name,lat,lng,rank\nInn, Old,10,20,30\nHouse,10,20,3\nAlpha 10,20,30\nTail,1,2,3,, \n,,,\n";
    let sink = csv(text, "", None).unwrap();
    assert_eq!(sink.skipped()[&Skip::LongRow], Skipped { count: 1, first: Some((String::new(), 2)) });
    assert_eq!(sink.skipped()[&Skip::ShortRow], Skipped { count: 1, first: Some((String::new(), 4)) });
    let names: Vec<_> = found(sink).0.into_iter().map(|place| place.name).collect();
    assert_eq!(names, ["House", "Tail"]);
}

#[test]
fn csv_of_many_values_over_lines_is_judged_in_one_pass() {
    // If the lines before each value were counted again for it, this would take minutes.
    let (names, values) =
        (",x".repeat(60_000), ",\"a\nb, and fifty more letters or so to count over again\"".repeat(60_000));
    let sink = csv(format!("name,lat,lng{names}\nA,48,2{values}\n"), "", None).unwrap();
    assert_eq!((sink.builder.count(), sink.skipped().len()), (1, 0));
}

#[test]
fn csv_without_a_last_newline_is_taken_and_told() {
    let whole = "name,lat,lng\nA,1.5,2.5\n";
    for (end, is_told) in [(whole.len(), false), (whole.len() - 1, true), (whole.len() - 3, true)] {
        let sink = csv(&whole[..end], "", None).unwrap();
        assert_eq!((sink.builder.count(), !sink.unended().is_empty()), (1, is_told), "{end}");
    }
    let carriage_returns = csv("name,lat,lng\rA,1,2\rB,3,4\r", "", None).unwrap();
    assert_eq!((carriage_returns.builder.count(), carriage_returns.unended().len()), (2, 0));
    let dump = dump("1", "a", ("1", "2"), "P", "PPL", "0");
    assert_eq!([&dump[..], dump.trim_end()].map(|dump| geonames(dump).unwrap().unended().len()), [0, 1]);
}

#[test]
fn csv_delimiters_and_decimal_commas_need_no_flag() {
    for text in [
        "name;lat;lng\nA;1,5;-2,25\n",
        "name\tlat\tlng\nA\t1.5\t-2,25\n",
        "name|lat|lng\nA|1.5|-2.25\n",
        "sep=;\r\nname;lat;lng\r\nA;1.5;-2.25\r\n",
        "\u{feff}\"name\",\"lat\",\"lng\"\n\"A\",\"1,5\",\"-2,25\"\n",
        "lng;\"name, as people know it\";name;lat\n-2,25;;A;1,5\n",
    ] {
        let (places, skipped) = found(csv(text, "", None).unwrap());
        assert_eq!(places, [place("own/row:1", "A", "A", GENERAL, (1.5, -2.25))], "{text}");
        assert!(skipped.is_empty(), "{text}");
    }
    let map = "name=a b,lat=c,lng=d";
    assert_eq!(csv("a b;c;d\nA;1;2\n", map, None).unwrap().builder.count(), 1);
    assert!(csv("a;b;c\n", "", b',').unwrap_err().contains("one column with the delimiter ','"));
}

#[test]
fn tables_of_well_known_publishers_get_their_types() {
    let airports = "id,ident,type,name,latitude_deg,longitude_deg,municipality\n\
        1,KLAX,large_airport,Los Angeles,1,2,LA\n2,X,heliport,Pad,1,2,LA\n3,Y,closed,Gone,1,2,LA\n";
    let (places, skipped) = found(csv(airports, "", None).unwrap());
    assert_eq!(
        places[0],
        place("own:1", "Los Angeles", "LA", "airport,point_of_interest,establishment", (1.0, 2.0))
    );
    assert_eq!((places[1].types.as_str(), skipped), (GENERAL, vec![(Skip::NoKind, 1)]));
    let stops = "stop_id,stop_name,stop_lat,stop_lon\nS1,Main,1,2\n";
    let transit = "transit_station,point_of_interest,establishment";
    assert_eq!(
        found(csv(stops, "", None).unwrap()).0,
        [place("own:S1", "Main", "Main", transit, (1.0, 2.0))]
    );
    let cities = "\"city\",\"city_ascii\",\"lat\",\"lng\",\"admin_name\",\"population\",\"id\"\n\
        \"Zürich\",\"Zurich\",\"1\",\"2\",\"ZH\",\"400000\",\"9\"\n";
    assert_eq!(
        found(csv(cities, "", None).unwrap()).0,
        [place("own:9", "Zürich", "ZH", "locality,political", (1.0, 2.0))]
    );
    assert_eq!(found(csv(airports, "types=type", None).unwrap()).0[0].types, "large_airport");
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
    let fault = csv("a,b\n", "", None).unwrap_err();
    assert_eq!(
        fault,
        "has no column for name, lat, lng; name them with --columns name=COLUMN,lat=COLUMN,lng=COLUMN, of a, b"
    );
    assert!(csv("name,lat,lng\n", "types=x", None).unwrap_err().starts_with("has no column \"x\""));
    assert!(csv("", "", None).unwrap_err().contains("is empty"));
}

#[test]
fn csv_that_is_not_utf8_is_told_by_its_line() {
    let fault = csv(b"name,lat,lng\n\"x\ny\",1,2\n\"z\nCaf\xe9\",1,2\n", "", None).unwrap_err();
    assert!(fault.starts_with("line 5: this is not UTF-8") && fault.contains("iconv -f LATIN1"), "{fault}");
    assert!(csv(b"nam\xe9,lat,lng\n", "", None).unwrap_err().starts_with("line 1: this is not UTF-8"));
}

#[test]
fn csv_row_without_an_end_is_told_by_its_line() {
    for rows in [1, 1_000_000] {
        let text = format!("name,lat,lng\nx,1,2\n\"y,1,2\n{}", "z,1,2\n".repeat(rows));
        let fault = csv(text, "", None).unwrap_err();
        assert!(fault.starts_with("line 3: the quote that opens here"), "{fault}");
    }
    let long = "z,1,2\n".repeat(1_000_000);
    assert_eq!(csv(format!("name,lat,lng\n{long}"), "", None).unwrap().builder.count(), 1_000_000);
}

#[test]
fn ids_that_are_made_up_are_nobodys() {
    let text = "id,name,lat,lng\n2,Alpha,1,1\n,Beta,2,2\nrow:2,Gamma,3,3\n/row:2,Delta,4,4\n";
    let ids = |sink| found(sink).0.into_iter().map(|place| place.id).collect::<Vec<_>>();
    assert_eq!(ids(csv(text, "", None).unwrap()), ["own/row:2", "own:/row:2", "own:2", "own:row:2"]);
    let feature = |id: &str| {
        format!(
            r#"{{"type":"Feature",{id}"properties":{{"name":"A"}},"geometry":{{"type":"Point","coordinates":[1,2]}}}}"#
        )
    };
    let text = [feature(r#""id":2,"#), feature(""), feature(r#""id":"feature:2","#), feature(r#""id":"","#)]
        .concat();
    assert_eq!(ids(geojson(text, "").unwrap()), ["own/feature:2", "own/feature:4", "own:2", "own:feature:2"]);
}

#[test]
fn rows_without_ids_differ_from_those_of_another_file() {
    let columns = ColumnMap::default();
    let mut sink = Sink::default();
    for name in ["a", "b"] {
        let text = format!("name,lat,lng\n{name},0,0\n");
        read_csv(text.as_bytes(), None, &options(&columns), &mut sink).unwrap();
    }
    let ids: Vec<_> = found(sink).0.into_iter().map(|place| place.id).collect();
    assert_eq!(ids, ["own/row:1", "own/row:2"]);
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
    let sink = geojson(COLLECTION, "").unwrap();
    assert_eq!(sink.skipped()[&Skip::BadCoordinates].first, Some((String::new(), 10)));
    let (places, skipped) = found(sink);
    assert_eq!(
        places,
        [
            place("own/feature:2", "Lake", "Lake", "natural_feature,political", (1.0, 2.0)),
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
fn geojson_names_of_properties_are_not_case_sensitive() {
    let feature = |properties: &str| {
        format!(
            r#"{{"type":"Feature","id":1,"properties":{{{properties}}},"geometry":{{"type":"Point","coordinates":[1,2]}}}}"#
        )
    };
    let one = |properties: &str| found(geojson(feature(properties), "").unwrap()).0.remove(0);
    assert_eq!(one(r#""NAME":"A","Type":"zoo","CITY":"B""#), place("own:1", "A", "B", "zoo", (2.0, 1.0)));
    assert_eq!(one(r#""Name":"no","name":"A""#).name, "A");
    assert_eq!(one(r#""City":"A","admin_name":"B""#), place("own:1", "A", "B", GENERAL, (2.0, 1.0)));
    assert_eq!(one(r#""Stop_Name":"A","name":null"#).name, "A");
}

#[test]
fn geojson_that_is_broken_is_told_by_its_line_and_column() {
    for end in 1..COLLECTION.len() {
        let fault = geojson(&COLLECTION.as_bytes()[..end], "").map(|_| ()).unwrap_err();
        assert!(fault.starts_with("line ") && fault.contains("ends too early"), "{end}: {fault}");
    }
    for other in ["[1, 2]", "7", "<xml/>", "{\"features\": 7}", "{}", "{\"type\": \"Point\"}"] {
        let fault = geojson(other, "").map(|_| ()).unwrap_err();
        assert!(fault.starts_with("line 1, column ") && fault.contains("this is not "), "{other}: {fault}");
        assert!(!fault.contains('\n'), "{fault}");
    }
    assert_eq!(geojson("{\"type\":\"FeatureCollection\",\"features\":[]}", "").unwrap().builder.count(), 0);
    for (other, expected) in [
        ("{\"type\": \"Topology\", \"arcs\": []}", "is TopoJSON"),
        ("{\"version\": 0.6, \"elements\": []}", "is Overpass JSON"),
        ("{\"geometryType\": \"esriGeometryPoint\"}", "is ArcGIS JSON"),
        (" \n", "is empty"),
    ] {
        let fault = geojson(other, "").map(|_| ()).unwrap_err();
        assert!(fault.starts_with(expected), "{other}: {fault}");
    }
}

#[test]
fn geojson_of_another_projection_is_named_with_its_cure() {
    let collection = |crs: &str, at: &str| {
        format!(
            r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"{crs}"}}}},"features":[{{"type":"Feature","properties":{{"name":"A"}},"geometry":{{"type":"Point","coordinates":[{at}]}}}}]}}"#
        )
    };
    let web = "urn:ogc:def:crs:EPSG::3857";
    let fault = geojson(collection(web, "222638.98,6106854.83"), "").map(|_| ()).unwrap_err();
    assert!(fault.contains(web) && fault.contains("ogr2ogr -f GeoJSON -t_srs EPSG:4326"), "{fault}");
    for (crs, at, count) in [("EPSG:3857", "2,48", 1), ("urn:ogc:def:crs:OGC:1.3:CRS84", "200,48", 0)] {
        assert_eq!(geojson(collection(crs, at), "").unwrap().builder.count(), count, "{crs}");
    }
}

#[test]
fn geojson_errors_are_where_the_file_has_them() {
    let in_line = |value: &str| {
        format!(
            "{{\"type\":\"FeatureCollection\",\"features\":[\n{{\"type\":\"Feature\",\"properties\":{{\"é\":{value}}}}}]}}"
        )
    };
    for (value, at, expected) in [
        ("NaN", 37, "NaN is not a JSON number"),
        ("nan", 37, "nan is not a JSON number"),
        ("-Infinity", 37, "-Infinity is not a JSON number"),
        ("Infinity", 37, "Infinity is not a JSON number"),
        ("None", 37, "this is not JSON: expected value"),
        ("1}}}", 40, "this is not JSON"),
    ] {
        let fault = geojson(in_line(value), "").map(|_| ()).unwrap_err();
        assert!(fault.starts_with(&format!("line 2, column {at}: {expected}")), "{value}: {fault}");
    }
    let latin1 = in_line("\"Caf?\"").replace('?', "\u{1}").into_bytes();
    let latin1: Vec<_> = latin1.into_iter().map(|byte| if byte == 1 { 0xe9 } else { byte }).collect();
    let fault = geojson(latin1, "").map(|_| ()).unwrap_err();
    assert!(fault.starts_with("line 2, column 4") && fault.contains("iconv -f LATIN1"), "{fault}");
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
    assert!(geonames(format!("{good}a\tb\n")).unwrap_err().starts_with("line 2: this line has 2 columns"));
    let fault = geonames([good.as_bytes(), b"\xff\n"].concat()).unwrap_err();
    assert!(fault.starts_with("line 2: this is not UTF-8"), "{fault}");
    assert!(geonames("x".repeat(1 << 20)).unwrap_err().starts_with("line 1: this line is too long"));
}
