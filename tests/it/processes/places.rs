//! `herd places` as a user runs it: files of every kind become one file, which answers as a node would; what is wrong is
//! one line and an exit code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

use super::support::herd_command;
use crate::support::pbf;

const PARKS: &str =
    "name,lat,lng,types,city\nNorth Park,10.02,20.0,park,Town\n,1,2,park,\nLost,100,2,park,\n";

/// A folder with files to import.
pub(super) struct Files(TempDir);

impl Files {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("town.osm.pbf"), pbf::town()).unwrap();
        fs::write(folder.path().join("parks.csv"), PARKS).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn herd(&self, words: &[&str]) -> Output {
        herd_command(&["places"]).args(words).current_dir(self.0.path()).output().unwrap()
    }

    /// Runs it, and gives the one line it complains with.
    #[track_caller]
    pub(super) fn refused(&self, words: &[&str], code: i32) -> String {
        let output = self.herd(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(
            said.starts_with("herd: ") && said.lines().count() == 1 && output.stdout.is_empty(),
            "{said}"
        );
        said.trim_end().to_owned()
    }

    #[track_caller]
    pub(super) fn import(&self, words: &[&str]) -> String {
        let output = self.herd(&[&["import"], words].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{said}");
        said.trim_end().to_owned()
    }
}

pub(super) fn near(files: &Files, words: &[&str]) -> String {
    let output = files.herd(&[&["near"], words].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn files_of_several_kinds_become_one_that_answers() {
    let files = Files::new();
    let said = files.import(&[
        "town.osm.pbf",
        "parks.csv",
        "-o",
        "places.bin",
        "--lang",
        "en",
        "--attribution",
        "Parks: <b>us</b>",
    ]);
    assert_eq!(
        said,
        "herd: places.bin: 6 places in 0.9 kB; skipped 2 without a name (see parks.csv, line 3), 2 of a kind \
         that is not a place, 1 without coordinates on the Earth (see parks.csv, line 4), 1 whose points are not in the file"
    );
    let table = near(&files, &["10", "20", "5", "--file", "places.bin"]);
    let rows: Vec<_> = table.lines().collect();
    assert!(rows[0].trim_start().starts_with("KM  NAME") && rows[0].ends_with("PLACE_ID"), "{table}");
    assert!(rows[1].contains("Kleinstadt  locality, political"), "{table}");
    assert!(rows.iter().any(|row| row.contains("parks/row:1") && row.contains("Town")), "{table}");
    assert_eq!(rows[rows.len() - 2..], ["© OpenStreetMap contributors, ODbL", "Parks: us"]);

    let json = near(&files, &["10", "20", "5", "20", "--file", "places.bin", "--json"]);
    assert!(json.starts_with("{\n   \"html_attributions\" : [") && json.ends_with("}\n"), "{json}");
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["html_attributions"][1], "Parks: <b>us</b>");
    let names: Vec<_> =
        document["results"].as_array().unwrap().iter().map(|place| place["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"North Café") && names.contains(&"Museum"), "{names:?}");
    let folder: Vec<_> = fs::read_dir(files.0.path()).unwrap().collect();
    assert_eq!(folder.len(), 3, "{folder:?}");
}

#[test]
fn configured_file_is_what_near_looks_in() {
    let files = Files::new();
    files.import(&["parks.csv", "-o", "places.bin", "--label", "city"]);
    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/herd.toml")).unwrap();
    let config = format!("{shipped}\n[places]\nsource = \"file\"\nfile = \"places.bin\"\n");
    fs::write(files.path("herd.toml"), config).unwrap();
    let words = ["near", "10", "20", "5", "--config", "herd.toml"];
    let output = files.herd(&words);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("city/row:1") && said.lines().count() == 3, "{said} {:?}", output.stderr);
}

#[test]
fn without_a_file_the_built_in_places_answer() {
    let files = Files::new();
    let table = near(&files, &["34.0689", "-118.4451", "10", "1"]);
    assert!(table.contains("University of California, Los Angeles"), "{table}");
    let empty = files.herd(&["near", "-48.87", "-123.39", "50"]);
    assert_eq!((empty.status.code(), empty.stdout.len()), (Some(0), 0));
    assert!(
        String::from_utf8(empty.stderr).unwrap().contains("no place is within 50 km, the greatest radius")
    );
}

#[test]
fn near_takes_what_a_whatsat_takes() {
    let files = Files::new();
    for (words, expected) in [
        (["50.1", "5"], "RADIUS is over 50 km, the most that a WHATSAT for places takes"),
        (["20000", "5"], "RADIUS is over 50 km"),
        (["10", "21"], "LIMIT is over 20, the most that a WHATSAT for places takes"),
    ] {
        let said = files.refused(&[&["near", "34.0689", "-118.4451"][..], &words].concat(), 2);
        assert!(said.contains(expected), "{said}");
    }
    let none = files.herd(&["near", "34.0689", "-118.4451", "10", "0"]);
    let said = String::from_utf8(none.stderr).unwrap();
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
    assert!(said.contains("LIMIT 0 asks for no place; "), "{said}");
}

#[test]
fn what_cannot_be_imported_is_one_line_and_writes_nothing() {
    let files = Files::new();
    fs::write(files.path("bad.csv"), b"name,lat,lng\na,1,2\nCaf\xe9,1,2\n").unwrap();
    fs::write(files.path("empty.csv"), "name,lat,lng\n").unwrap();
    fs::write(files.path("x.zip"), "PK").unwrap();
    let town = pbf::town();
    fs::write(files.path("cut.osm.pbf"), &town[..town.len() - 1]).unwrap();
    fs::write(files.path("cut.geojson"), "{\"type\": \"FeatureCollection\",\n\"features\": [").unwrap();
    fs::write(files.path("there.bin"), "mine").unwrap();
    let out = ["-o", "out.bin"];
    let faults: [(&[&str], i32, &str); 12] = [
        (&["bad.csv"], 1, "bad.csv: line 3: this is not UTF-8"),
        (&["empty.csv"], 1, "no place is in empty.csv; nothing is written"),
        (&["none.csv"], 1, "none.csv: cannot be read: No such file"),
        (&["."], 1, ". is a folder"),
        (&["x.zip"], 1, "neither its content nor the end of its name tells the format; say --format"),
        (&["x.zip", "--format", "zip"], 2, "it is one of osm-pbf, geojson, csv, geonames"),
        (&["cut.osm.pbf"], 1, "cut.osm.pbf: byte "),
        (&["cut.geojson"], 1, "cut.geojson: line 2, column 13: the file ends too early"),
        (&["parks.csv", "--columns", "nam=x"], 2, "is not a field; the fields are name, lat"),
        (&["parks.csv", "--columns", "name=x"], 1, "has no column \"x\"; its columns are name, lat"),
        (&["parks.csv", "--delimiter", "||"], 2, "one character"),
        (&["parks.csv", "--label", "a b"], 2, "made of letters"),
    ];
    for (words, code, expected) in faults {
        let said = files.refused(&[&["import"], words, &out].concat(), code);
        assert!(said.contains(expected), "{words:?}: {said}");
        assert!(!files.path("out.bin").exists());
    }
    assert!(files.refused(&["import", "parks.csv", "-o", "there.bin"], 2).contains("--force"));
    assert!(files.refused(&["import", "parks.csv", "-o", "parks.csv", "--force"], 2).contains("made of"));
    assert!(files.refused(&["import", "parks.csv", "-o", "no/out.bin"], 2).contains("folder is not there"));
    assert_eq!(fs::read(files.path("there.bin")).unwrap(), b"mine");
    files.import(&["parks.csv", "-o", "there.bin", "--force"]);
    assert_ne!(fs::read(files.path("there.bin")).unwrap(), b"mine");
}

#[test]
fn file_that_is_broken_or_newer_is_one_line_with_its_cure() {
    let files = Files::new();
    files.import(&["town.osm.pbf", "-o", "places.bin"]);
    let good = fs::read(files.path("places.bin")).unwrap();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let faults = [
        (with(16, 2), "has version 2 of the format, and this herd reads 1; import it again"),
        (with(good.len() / 2, !good[good.len() / 2]), "is damaged"),
        (good[..good.len() - 1].to_vec(), "bytes long where it should be"),
        (PARKS.as_bytes().to_vec(), "is not a file of places"),
        (vec![], "is not a file of places"),
    ];
    for (bytes, expected) in faults {
        fs::write(files.path("broken.bin"), bytes).unwrap();
        let said = files.refused(&["near", "0", "0", "1", "--file", "broken.bin"], 2);
        assert!(said.contains(expected) && said.contains("broken.bin"), "{said}");
    }
    assert!(files.refused(&["near", "0", "0", "1", "--file", "none.bin"], 2).contains("cannot be read"));
    assert!(files.refused(&["near", "0", "0", "1", "--file", "."], 2).contains("not a regular file"));
    assert!(files.refused(&["near", "91", "0", "1"], 2).contains("from -90 to 90"));
}
