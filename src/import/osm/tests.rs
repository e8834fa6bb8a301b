//! Tests of the reader of OpenStreetMap: what it takes, what it skips and why, what it cannot read, and what is one place.

use std::io::Cursor;

use crate::import::{
    ColumnMap, ImportOptions, Sink, Skip, read_osm,
    tests::{found, options, place},
};

#[path = "../../../tests/it/support/pbf.rs"]
#[allow(dead_code, reason = "the process tests use the rest")]
mod pbf;

fn osm(bytes: &[u8], lang: Option<&str>) -> Result<Sink, String> {
    let columns = ColumnMap::default();
    let mut sink = Sink::default();
    let options = ImportOptions { lang, ..options(&columns) };
    read_osm(Cursor::new(bytes), &options, &mut |_, _| {}, &mut sink).map_err(|error| error.to_string())?;
    Ok(sink)
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
    assert!(osm(b"", None).map(|_| ()).unwrap_err().contains("this is not an .osm.pbf"));
    let no_header = pbf::blob("OSMData", &pbf::nodes(&[]), true);
    assert!(osm(&no_header, None).map(|_| ()).unwrap_err().contains("this is not an .osm.pbf"));
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
fn blobs_of_another_compression_are_named_with_a_cure() {
    let header = pbf::header(&["OsmSchema-V0.6"]);
    for (field, expected) in [
        (4, "compressed with lzma, not with zlib; fetch an .osm.pbf with zlib, or open this one in JOSM"),
        (5, "compressed with bzip2"),
        (6, "compressed with lz4, not with zlib; convert the file: osmium cat FILE -o NEW.osm.pbf -f pbf,"),
        (7, "compressed with zstd"),
    ] {
        let bytes = [header.clone(), pbf::blob_of_field("OSMData", field, b"any")].concat();
        let fault = osm(&bytes, None).map(|_| ()).unwrap_err();
        assert!(
            fault.starts_with(&format!("byte {}: ", header.len())) && fault.contains(expected),
            "{fault}"
        );
    }
    let unknown = [header.clone(), pbf::blob_of_field("OSMData", 9, b"any")].concat();
    assert!(osm(&unknown, None).map(|_| ()).unwrap_err().contains("is broken"));
}

#[test]
fn progress_ends_at_its_total_and_never_passes_it() {
    let only_nodes =
        [pbf::header(&[]), pbf::blob("OSMData", &pbf::nodes(&[pbf::Node::new(1, 1.0, 2.0, &[])]), true)];
    for bytes in [pbf::town(), only_nodes.concat(), pbf::header(&[])] {
        let mut told = vec![];
        let mut tell = |done, total| told.push((done, total));
        let columns = ColumnMap::default();
        read_osm(Cursor::new(&bytes), &options(&columns), &mut tell, &mut Sink::default()).unwrap();
        assert!(told.iter().all(|(done, total)| done <= total), "{told:?}");
        let parts: Vec<_> = told.iter().map(|(done, total)| *done as f64 / *total as f64).collect();
        assert!(parts.is_sorted(), "{told:?}");
        let &(done, total) = told.last().unwrap();
        assert!(done == total && total >= bytes.len() as u64, "{told:?}");
    }
}

/// A square way of four nodes around a point, half a side of it `half` degrees long, and the nodes.
fn square(id: i64, at: (f64, f64), half: f64, tags: &[(&str, &str)]) -> (pbf::Way, Vec<pbf::Node>) {
    let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)];
    let node = |(number, (north, east)): (i64, (f64, f64))| {
        pbf::Node::new(1000 * id + number, at.0 + north * half, at.1 + east * half, &[])
    };
    let nodes: Vec<_> = (1..).zip(corners).map(node).collect();
    let way = pbf::Way { id, nodes: nodes.iter().map(|node| node.id).collect(), tags: pbf::tags(tags) };
    (way, nodes)
}

/// The result of nodes, squares and relations, in this order of blobs and in the opposite one.
fn places_of(
    nodes: Vec<pbf::Node>,
    squares: Vec<(pbf::Way, Vec<pbf::Node>)>,
    relations: &[pbf::Relation],
) -> (Vec<String>, u64) {
    let (ways, corners): (Vec<_>, Vec<_>) = squares.into_iter().unzip();
    let all_nodes: Vec<_> = nodes.into_iter().chain(corners.into_iter().flatten()).collect();
    let blocks = [pbf::nodes(&all_nodes), pbf::ways(&ways), pbf::relations(relations)];
    let blobs = blocks.map(|block| pbf::blob("OSMData", &block, true));
    let in_order = |order: [usize; 3]| {
        let bytes = [vec![pbf::header(&[])], order.map(|at| blobs[at].clone()).to_vec()].concat().concat();
        let (places, skipped) = found(osm(&bytes, None).unwrap());
        let twins = skipped.iter().find(|(why, _)| *why == Skip::Twin).map_or(0, |(_, count)| *count);
        let shown = places.into_iter().map(|place| format!("{} {}", place.id, place.vicinity));
        (shown.collect(), twins)
    };
    let expected = in_order([0, 1, 2]);
    assert_eq!(in_order([2, 1, 0]), expected);
    expected
}

#[test]
fn a_place_that_is_there_as_several_elements_is_one() {
    let museum = [("tourism", "museum"), ("name", "Museum"), ("addr:city", "Town")];
    let node = pbf::Node::new(1, 10.0, 20.0, &museum[..2]);
    let outline = |id, half| square(id, (10.0, 20.0), half, &museum);
    let relation = |id, way| pbf::Relation { id, members: vec![(1, way, "outer")], tags: pbf::tags(&museum) };
    let all = places_of(vec![node], vec![outline(1, 0.01)], &[relation(1, 1)]);
    assert_eq!(all, (vec!["osm:node:1 Town".to_owned()], 2));
    let areas = places_of(vec![], vec![outline(1, 0.01)], &[relation(1, 1)]);
    assert_eq!(areas, (vec!["osm:relation:1 Town".to_owned()], 1));
}

#[test]
fn a_town_is_one_with_the_boundary_that_it_labels() {
    let town = [("place", "town"), ("name", "Town")];
    let nodes = || vec![pbf::Node::new(7, 10.5, 20.5, &town), pbf::Node::new(8, 10.0, 20.0, &town)];
    let boundary = |members| pbf::Relation {
        id: 1,
        members,
        tags: pbf::tags(&[("place", "city"), ("boundary", "administrative"), ("name", "Town")]),
    };
    let (labelled, twins) = places_of(
        nodes(),
        vec![square(1, (10.0, 20.0), 0.1, &[])],
        &[boundary(vec![(1, 1, "outer"), (0, 7, "label")])],
    );
    assert_eq!((labelled.len(), twins), (2, 1), "{labelled:?}");
}

#[test]
fn what_only_has_the_same_name_stays_two_places() {
    let cafe = [("amenity", "cafe"), ("name", "X")];
    let item =
        |kind: &'static str, item: &'static str| [("amenity", kind), ("name", "X"), ("wikidata", item)];
    let node = |at: (f64, f64), tags: &[(&str, &str)]| vec![pbf::Node::new(1, at.0, at.1, tags)];
    let area = |tags: &[(&str, &str)]| vec![square(1, (10.0, 20.0), 0.001, tags)];
    for (what, nodes, areas, expected) in [
        ("the same", node((10.0, 20.0), &cafe), area(&cafe), 1),
        ("90 m outside the box", node((10.0018, 20.0), &cafe), area(&cafe), 1),
        ("another place", node((10.01, 20.0), &cafe), area(&cafe), 2),
        ("another kind", node((10.0, 20.0), &[("amenity", "bank"), ("name", "X")]), area(&cafe), 2),
        ("another kind, one item", node((10.0, 20.0), &item("bank", "Q1")), area(&item("cafe", "Q1")), 1),
        ("another item", node((10.0, 20.0), &item("cafe", "Q1")), area(&item("cafe", "Q2")), 2),
        ("another name", node((10.0, 20.0), &[("amenity", "cafe"), ("name", "Y")]), area(&cafe), 2),
    ] {
        let (places, twins) = places_of(nodes, areas, &[]);
        assert_eq!((places.len(), twins), (expected, 2 - expected as u64), "{what}: {places:?}");
    }
    let two_nodes = vec![pbf::Node::new(1, 10.0, 20.0, &cafe), pbf::Node::new(2, 10.0001, 20.0, &cafe)];
    assert_eq!(places_of(two_nodes, vec![], &[]).0.len(), 2);
}
