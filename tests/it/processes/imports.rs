//! `herd places import` on files as they come: cut off, unbalanced, of another form than their name says, through pipes, onto
//! things that are no files. Nothing is lost without a word, and nothing is written that is not whole.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::{fs::symlink, process::ExitStatusExt},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};

use super::{
    places::{Files, near},
    support::{Process, herd_command},
};
use crate::support::pbf;

const OUT: [&str; 2] = ["-o", "out.bin"];

fn import_of(files: &Files, name: &str, content: impl AsRef<[u8]>) -> String {
    fs::write(files.path(name), content).unwrap();
    let said = files.import(&[&[name], &OUT[..], &["--force"]].concat());
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[track_caller]
fn refusal_of(files: &Files, name: &str, content: impl AsRef<[u8]>) -> String {
    fs::write(files.path(name), content).unwrap();
    let said = files.refused(&[&["import", name], &OUT[..]].concat(), 1);
    assert!(!files.path("out.bin").exists());
    said
}

fn numbered(count: usize) -> String {
    (0..count).map(|at| format!("Place {at},48.{at:04},2.{at:04}\n")).collect()
}

#[test]
fn rows_that_a_quote_swallows_are_an_error_at_the_line_it_opens() {
    let files = Files::new();
    let rows = numbered(20);
    let never = format!("name,lat,lng\n{rows}\"Place,48,2\n{rows}");
    assert!(
        refusal_of(&files, "a.csv", never).contains("a.csv: line 22: the quote that opens here never closes")
    );
    let later = format!("name,lat,lng\n{rows}\"Place,48,2\n{rows}\"Place\",48,2\n");
    assert!(
        refusal_of(&files, "a.csv", later)
            .contains("line 22: the quote that opens here closes within a value")
    );
    for (table, line) in [
        ("name,lat,lng\n\"Inn,48,2\nA,49,3\nB,50,4\nMonitor 19\",51,5\nC,52,6\n", 2),
        ("name,lat,lng\nC,52,6\n\"Inn,48,2\nMonitor 19\",51,5\n", 3),
        ("lat,lng,name\n1,2,A\n48,2,\"Inn\n49,3,Monitor 19\"\n50,4,C\n", 3),
        ("lat,lng,name,notes\r\n48,2,\"Inn,x\r\n49,3,Monitor 19\",y\r\n", 2),
        ("id;name;lat;lng\n1;\"Inn;48,5;2,5\n2;A;49;3\n3;Monitor 19\";51;5\n", 2),
        ("name,lat,lng,rank\n\"Inn,48,2,\nA,49,3,\nMonitor 19\",51,5,1,7\nC,52,6,\n", 2),
        ("name,lat,lng,\"notes\nA,49,3,x\nB,50,4,y\"\nC,52,6,z\n", 1),
    ] {
        let said = refusal_of(&files, "a.csv", table);
        assert!(said.contains(&format!("a.csv: line {line}: the quote that opens here closes")), "{said}");
        assert!(said.contains("write it twice"), "{said}");
    }
}

#[test]
fn values_of_several_lines_are_taken() {
    let files = Files::new();
    for table in [
        "name,lat,lng\n\"Inn\nTown\",48,2\nA,48,2\n",
        "lat,lng,name\n48,2,\"Inn\nTown\"\n48,2,A\n",
        "id,address,lat,lng,name\n1,\"12 High St, Flat 3\nOld Town, Wales, UK, 4711\n\",48,2,Inn\n2,x,48,2,A\n",
        "name,lat,lng,notes\nInn,48,2,\"One, two, three, four\r\nfive, 6, 7\n8, x, y, 9\"\nA,48,2,\"a\n\"\n",
        "name,notes,lat,lng,more\nA,\"1, 2\n3, 4\",48,2,\"5, 6\n7\"\nB,,48,2,\n",
    ] {
        let said = import_of(&files, "a.csv", table);
        assert!(said.contains("2 places in") && !said.contains("skipped"), "{table:?}: {said}");
    }
}

#[test]
fn what_is_taken_otherwise_than_it_stands_is_told_with_its_line() {
    let files = Files::new();
    let said =
        import_of(&files, "a.csv", "name,lat,lng,rank\nA,48,2,5\nB,48,2,9\nC,48,2,-1\nD,48,2,x\nE,48,2,\n");
    assert!(said.contains("; 3 ranks are not 0 to 5") && said.contains("(see a.csv, line 3)"), "{said}");
    let said = import_of(&files, "a.csv", "name,lat,lng\n\"A\" ,48,2\n\"Big\" Al's,48,2\n\"A\"x,48,2\n");
    assert!(said.contains("; 2 rows have text after a closing quote"), "{said}");
    assert!(said.contains("(see a.csv, line 3)"), "{said}");
    let said = import_of(&files, "a.csv", format!("name,lat,lng\nA,48,2\n{},48,2\n", "x".repeat(300)));
    assert!(said.contains("; 1 text cut to 255 bytes (see a.csv, line 3)"), "{said}");
    let features = [r#""name":"A","rank":7"#, r#""x":1"#, &format!(r#""name":"{}""#, "x".repeat(300))]
        .map(|properties| feature("", properties, "2,48"));
    let said = import_of(&files, "a.geojson", collection("", &features.join(",\n")));
    for part in ["without a name (see a.geojson, line 3)", "255 bytes (see a.geojson, line 4)", "5, taken as"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn feature(id: &str, properties: &str, at: &str) -> String {
    format!(
        r#"{{"type":"Feature",{id}"properties":{{{properties}}},"geometry":{{"type":"Point","coordinates":[{at}]}}}}"#
    )
}

/// A collection whose features begin in line 2.
fn collection(crs: &str, features: &str) -> String {
    let named = |crs| format!(r#","crs":{{"type":"name","properties":{{"name":"{crs}"}}}}"#);
    let crs = if crs.is_empty() { String::new() } else { named(crs) };
    format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{features}\n]{crs}}}\n")
}

#[test]
fn one_bad_point_is_skipped_whatever_the_file_says_of_degrees() {
    let files = Files::new();
    let points = ["2,48", "2,300", "3,49"].map(|at| feature("", r#""name":"A""#, at)).join(",\n");
    for crs in ["", "urn:ogc:def:crs:EPSG::4269", "EPSG:4258", "urn:ogc:def:crs:OGC:1.3:CRS83", "EPSG:3857"] {
        let said = import_of(&files, "a.geojson", collection(crs, &points));
        assert!(said.contains("2 places in"), "{crs}: {said}");
        assert!(said.contains("1 without coordinates on the Earth (see a.geojson, line 3)"), "{crs}: {said}");
    }
}

#[test]
fn coordinates_that_are_not_in_degrees_are_told_with_their_cure() {
    let files = Files::new();
    let metres = feature("", r#""name":"A""#, "261848,6250566");
    let said = refusal_of(&files, "a.geojson", collection("urn:ogc:def:crs:EPSG::2154", &metres));
    assert!(said.contains("EPSG::2154\", which are not in degrees; convert it: ogr2ogr"), "{said}");
    for crs in ["", "EPSG:4269"] {
        let said = refusal_of(&files, "a.geojson", collection(crs, &metres));
        assert!(said.contains("far beyond 180, which are not in degrees"), "{said}");
        assert!(said.contains("-s_srs EPSG:3857 -t_srs EPSG:4326"), "{said}");
    }
}

#[test]
fn ids_are_the_numbers_that_stand_in_the_file() {
    let files = Files::new();
    let ids = ["123456789012345678901", "123456789012345678902", "1000.0", "1e3", "1000", "-0.0", "-0"];
    let own = ids.map(|id| feature(&format!("\"id\":{id},"), r#""name":"A""#, "2,48"));
    let property = ids.map(|id| feature("", &format!(r#""name":"A","id":{id}"#), "2,48"));
    for features in [own, property] {
        let said = import_of(&files, "n.geojson", collection("", &features.join(",\n")));
        assert!(said.contains("7 places in"), "{said}");
        let table = near(&files, &["48", "2", "1", "--file", "out.bin"]);
        for id in ids {
            assert!(table.lines().any(|row| row.ends_with(&format!("n:{id}"))), "{id}: {table}");
        }
    }
}

#[test]
fn json_that_is_not_geojson_is_told_what_herd_reads() {
    let files = Files::new();
    for (content, expected) in [
        ("{\"type\":\"Point\",\"coordinates\":[2,48]}", ": a geometry by itself"),
        ("{\"type\":\"x\"}", "neither a FeatureCollection nor a Feature"),
        ("{}", "neither a FeatureCollection nor a Feature"),
        ("42", "as a FeatureCollection"),
    ] {
        let said = refusal_of(&files, "a.json", content);
        assert!(said.contains(expected) && !said.contains("--format"), "{content}: {said}");
    }
    let said = refusal_of(&files, "a.json", r#"{"\ud800":1}"#);
    assert!(said.contains("half a surrogate pair"), "{said}");
    let said = import_of(&files, "a.json", feature("", r#""name":"A\ud800""#, "2,48"));
    assert!(said.contains("1 place in"), "{said}");
    assert!(near(&files, &["48", "2", "1", "--file", "out.bin"]).contains("A\u{fffd}"));
}

#[test]
fn a_delimiter_that_divides_nothing_is_not_asked_for_again() {
    let files = Files::new();
    let table = "# comment\nname,lat,lng\nA,48,2\n";
    assert!(refusal_of(&files, "a.csv", table).contains("begins with a comment, \"# comment\"; remove it"));
    let refused =
        |delimiter| files.refused(&["import", "a.csv", "-o", "out.bin", "--delimiter", delimiter], 1);
    assert!(refused(",").contains("begins with a comment"));
    fs::write(files.path("a.csv"), "My places\nname,lat,lng\nA,48,2\n").unwrap();
    let said = refused(",");
    assert!(said.contains("one column with the delimiter ','") && !said.contains("--delimiter"), "{said}");
}

#[test]
fn a_file_without_a_last_newline_is_told() {
    let files = Files::new();
    let table = format!("name,lat,lng\n{}", numbered(3));
    let said = import_of(&files, "a.csv", &table);
    assert!(said.contains("3 places") && !said.contains("newline"), "{said}");
    let said = import_of(&files, "a.csv", &table[..table.len() - 3]);
    assert!(
        said.ends_with(
            "; the last line of a.csv has no newline: if the file was cut off, its last place may be wrong"
        ),
        "{said}"
    );
    let said = import_of(&files, "a.csv", "name,lat,lng\nInn, Old, 10,20,30\nHouse,10,20\n");
    assert!(
        said.contains("1 place in")
            && said.contains("1 with more values than the header has columns (see a.csv, line 2)"),
        "{said}"
    );
}

#[test]
fn rows_without_an_id_take_nobodys() {
    let files = Files::new();
    let said = import_of(
        &files,
        "ids.csv",
        "id,name,lat,lng\n2,Alpha,48.1,2.1\n,Beta,48.1,2.1\nrow:2,Gamma,48.1,2.1\n",
    );
    assert!(said.contains("3 places"), "{said}");
    let table = near(&files, &["48.1", "2.1", "5", "--file", "out.bin"]);
    for id in ["ids:2", "ids/row:2", "ids:row:2"] {
        assert_eq!(table.lines().filter(|row| row.ends_with(id)).count(), 1, "{table}");
    }
}

#[test]
fn well_known_files_need_no_flags() {
    let files = Files::new();
    let feature =
        r#"{"type":"Feature","properties":{"NAME":"A"},"geometry":{"type":"Point","coordinates":[2,48]}}"#;
    for (name, content) in [
        ("stops.txt", "stop_id,stop_name,stop_lat,stop_lon\r\n1,A,48,2\r\n".to_owned()),
        ("airports.csv", "id,ident,type,name,latitude_deg,longitude_deg,municipality\n1,X,small_airport,A,48,2,B\n".to_owned()),
        ("worldcities.csv", "\"city\",\"city_ascii\",\"lat\",\"lng\",\"admin_name\",\"id\"\n\"A\",\"A\",\"48\",\"2\",\"B\",\"1\"\n".to_owned()),
        ("comma.csv", "Name;Lat;Lng\nA;48,0;2,0\n".to_owned()),
        ("seq.geojsonseq", format!("\u{1e}{feature}\n")),
        ("lines.ndjson", format!("{feature}\n{feature}\n")),
        ("places", feature.to_owned()),
    ] {
        let said = import_of(&files, name, content);
        assert!(said.contains(" place") && !said.contains("skipped"), "{name}: {said}");
        let table = near(&files, &["48", "2", "1", "--file", "out.bin"]);
        assert!(table.lines().nth(1).is_some_and(|row| row.contains(" A ")), "{name}: {table}");
    }
}

#[test]
fn other_forms_are_named_with_what_makes_them_readable() {
    let files = Files::new();
    let utf16: Vec<u8> = "\u{feff}name,lat,lng\nA,1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let lz4 = [pbf::header(&["OsmSchema-V0.6"]), pbf::blob_of_field("OSMData", 6, b"any")].concat();
    let lzma = [pbf::header(&["OsmSchema-V0.6"]), pbf::blob_of_field("OSMData", 4, b"any")].concat();
    let tile = b"\x1a\x0c\x78\x02\x0a\x05roads\x28\x80\x20".to_vec();
    let nan = r#"{"type":"Feature","properties":{"x":NaN}}"#;
    for (name, content, expected) in [
        ("lz4.osm.pbf", lz4, "osmium cat FILE -o NEW.osm.pbf -f pbf,pbf_compression=zlib"),
        ("lzma.osm.pbf", lzma, "is compressed with lzma"),
        ("tile.pbf", tile, "is a vector tile"),
        (
            "map.osm",
            b"<?xml version=\"1.0\"?>\n<osm version=\"0.6\"/>".to_vec(),
            "osmium cat FILE -o NEW.osm.pbf",
        ),
        ("topo.json", b"{\"type\":\"Topology\",\"arcs\":[]}".to_vec(), "is TopoJSON"),
        ("a.csv", utf16, "iconv -f UTF-16 -t UTF-8 FILE > NEW"),
        (
            "a.geojson",
            b"{\"type\":\"Feature\",\"properties\":{\"name\":\"Caf\xe9\"}}".to_vec(),
            "iconv -f LATIN1 -t UTF-8",
        ),
        ("a.csv", b"name:lat:lng\nA:1:2\n".to_vec(), "--delimiter"),
        ("a.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gunzip < FILE > NEW"),
        ("a.csv", b"a,b\n1,2\n".to_vec(), "no column for name, lat, lng"),
        ("a.csv", b"name,lat,lng,name\n".to_vec(), "rename all but one"),
        ("a.csv", vec![], "is empty"),
        ("nan.geojson", nan.into(), "line 1, column 37: NaN is not a JSON number"),
    ] {
        let said = refusal_of(&files, name, content);
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn only_regular_files_are_replaced() {
    let files = Files::new();
    symlink("nothing", files.path("dangling")).unwrap();
    symlink("round", files.path("round")).unwrap();
    // A pipe of the test's: it leads somewhere, though its name in /proc is no path.
    symlink("/proc/self/fd/1", files.path("stdout")).unwrap();
    symlink("real.bin", files.path("link")).unwrap();
    fs::write(files.path("real.bin"), "old").unwrap();
    mknodat(CWD, files.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Nothing outside of the folder is named: whoever runs this as root with a wrong rule would lose it.
    for (out, expected) in [
        ("fifo", "is not a regular file"),
        ("stdout", "is not a regular file"),
        ("dangling", "leads nowhere"),
        ("round", "is a link that cannot be followed: Too many levels"),
    ] {
        let said = files.refused(&["import", "parks.csv", "-o", out, "--force"], 2);
        assert!(said.contains(expected), "{out}: {said}");
    }
    assert!(files.refused(&["import", "parks.csv", "-o", "dangling"], 2).contains("leads nowhere"));
    assert!(files.refused(&["import", "parks.csv", "-o", "link"], 2).contains("--force"));
    files.import(&["parks.csv", "-o", "link", "--force"]);
    assert!(fs::symlink_metadata(files.path("link")).unwrap().is_symlink());
    assert_ne!(fs::read(files.path("real.bin")).unwrap(), b"old");
}

#[test]
fn tags_in_any_order_and_elements_of_any_kind_make_one_place() {
    let files = Files::new();
    let tags = [("name", "Stop"), ("public_transport", "station"), ("amenity", "bus_station")];
    let reversed: Vec<_> = tags.into_iter().rev().collect();
    let corners = [(9.99, 19.99), (9.99, 20.01), (10.01, 20.01)];
    let mut nodes = vec![pbf::Node::new(1, 10.0, 20.0, &tags), pbf::Node::new(2, 10.02, 20.0, &reversed)];
    nodes.extend((11..).zip(corners).map(|(id, (north, east))| pbf::Node::new(id, north, east, &[])));
    let outline = pbf::Way { id: 1, nodes: vec![11, 12, 13], tags: pbf::tags(&reversed) };
    let blocks = [pbf::nodes(&nodes), pbf::ways(&[outline])];
    let blobs = blocks.map(|block| pbf::blob("OSMData", &block, false));
    let said = import_of(&files, "stop.osm.pbf", [vec![pbf::header(&[])], blobs.to_vec()].concat().concat());
    assert!(said.contains("2 places") && said.contains("1 that repeat another element's place"), "{said}");
    let table = near(&files, &["10", "20", "5", "--file", "out.bin"]);
    let types: Vec<_> =
        table.lines().skip(1).take(2).map(|row| row.split("  ").nth(2).unwrap().trim()).collect();
    assert!(types[0] == types[1] && table.contains("osm:node:1") && table.contains("osm:node:2"), "{table}");
}

fn start(files: &Files, words: &[&str]) -> Process {
    let mut command = herd_command(&["places", "import"]);
    command.args(words).args(OUT).current_dir(files.path("."));
    Process::start(command)
}

#[test]
fn what_comes_through_a_pipe_is_imported() {
    let files = Files::new();
    let mut import = start(&files, &["/dev/stdin", "--label", "piped"]);
    import.take_input().write_all(b"name,lat,lng\nA,48,2\n").unwrap();
    import.complaint("it tells what it made", |line| line.starts_with("herd: out.bin: 1 place"));
    assert!(import.end().success());
    let mut import = start(&files, &["/dev/stdin", "--force"]);
    import.take_input().write_all(&pbf::town()).unwrap();
    import.complaint("a stream is read once", |line| line.contains("save it to a file"));
    assert_eq!(import.end().code(), Some(1));
}

#[test]
fn a_pipe_that_nobody_writes_to_is_waited_for_until_ctrl_c() {
    let files = Files::new();
    mknodat(CWD, files.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut import = start(&files, &["fifo"]);
    import
        .complaint("it says that it waits", |line| line.contains("fifo: nothing has been written to it yet"));
    let mut writer = OpenOptions::new().write(true).open(files.path("fifo")).unwrap();
    writer.write_all(b"name,lat,lng\nA,48,2\n").unwrap();
    drop(writer);
    assert!(import.end().success());
    let mut import = start(&files, &["fifo", "--force"]);
    import
        .complaint("it says that it waits", |line| line.contains("fifo: nothing has been written to it yet"));
    import.signal(Signal::INT);
    assert_eq!(import.end().signal(), Some(Signal::INT.as_raw()));
}
