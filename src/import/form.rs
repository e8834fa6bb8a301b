//! What a file is, by its first bytes: a form that can be read, or something else, for which it says what it is and how
//! to convert it. File names count only if the content does not tell.

use super::{BYTE_ORDER_MARK, ColumnMap, Format, ImportError, csv, geonames};

/// How many bytes from the beginning of a file are enough to tell.
pub const HEAD_BYTES: usize = 64 * 1024;

/// How to handle the file.
macro_rules! ogr2ogr {
    ($what:literal) => {
        concat!("is ", $what, "; convert it to GeoJSON: ogr2ogr -f GeoJSON -t_srs EPSG:4326 NEW.geojson FILE")
    };
}
macro_rules! packed {
    ($by:literal, $undo:literal) => {
        concat!("is compressed with ", $by, "; decompress it first: ", $undo, " < FILE > NEW")
    };
}

const VECTOR_TILE: &str = "is a vector tile, which is made for drawing and does not say where it is; import what it was made from, such as an .osm.pbf extract or GeoJSON";
const OTHER_PBF: &str = "does not begin like an .osm.pbf; fetch an extract of OpenStreetMap in that format";
const ARCHIVE: &str = "is a zip archive; unpack it with unzip, and import the file that was in it (from a spreadsheet, save a CSV)";
const OSM_OTHER: &str =
    "is OpenStreetMap data in another format; convert it: osmium cat FILE -o NEW.osm.pbf (osmium-tool)";
const UTF16: &str = "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW";
const UTF32: &str = "is UTF-32; convert it: iconv -f UTF-32 -t UTF-8 FILE > NEW";
const WEB_PAGE: &str = "is a web page, perhaps an error page; open it, and fetch the file again";
const JSON_LIST: &str = "is a JSON list, where GeoJSON has a FeatureCollection; if it is a list of Features, wrap it: jq '{type: \"FeatureCollection\", features: .}' FILE > NEW.geojson";
const OTHER_JSON: &str =
    "is JSON, but not GeoJSON; export it as a FeatureCollection, or as one Feature after another";
const BINARY: &str =
    "holds binary data in a format that herd does not read; convert it to osm-pbf, geojson, csv or geonames";

/// The first bytes of files that are something else.
const BEGINNINGS: [(&[u8], &str); 17] = [
    (b"\x1f\x8b", packed!("gzip", "gunzip")),
    (b"PK\x03\x04", ARCHIVE),
    (b"BZh", packed!("bzip2", "bunzip2")),
    (b"\xfd7zXZ\0", packed!("xz", "unxz")),
    (b"\x28\xb5\x2f\xfd", packed!("zstd", "unzstd")),
    (b"\x04\x22\x4d\x18", packed!("lz4", "unlz4")),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first: 7z x FILE"),
    (b"\0\0\x27\x0a", ogr2ogr!("a shapefile")),
    (b"fgb\x03", ogr2ogr!("FlatGeobuf")),
    (b"PAR1", ogr2ogr!("Parquet")),
    (b"\xff\xe0\x04o5", OSM_OTHER),
    (b"\xff\xfe\0\0", UTF32),
    (b"\0\0\xfe\xff", UTF32),
    (b"\xff\xfe", UTF16),
    (b"\xfe\xff", UTF16),
    (
        b"proxyherd places",
        "is a file of places that `herd places import` made; import the files it was made from",
    ),
    (b"%PDF", "is a PDF; import the data it was made from"),
];

/// The root of XML and HTML, in small letters, and what it means.
const ROOTS: [(&str, &str); 8] = [
    ("osm", OSM_OTHER),
    ("osmchange", "holds changes to OpenStreetMap, not places; fetch an extract as .osm.pbf"),
    ("kml", ogr2ogr!("KML")),
    ("gpx", ogr2ogr!("GPX")),
    ("gml", ogr2ogr!("GML")),
    ("wfs", ogr2ogr!("GML")),
    ("!doctype", WEB_PAGE),
    ("html", WEB_PAGE),
];

/// Endings of names of files that can hardly be recognised by their content.
const ENDS: [(&str, &str); 5] = [
    (".opl", OSM_OTHER),
    (".dbf", ogr2ogr!("a shapefile's table; name the .shp")),
    (".gdb", ogr2ogr!("a geodatabase")),
    (".tab", ogr2ogr!("MapInfo")),
    (".mif", ogr2ogr!("MapInfo")),
];

/// What a file is that begins with `head` and has this name; nothing if it cannot be determined. `told` is what the
/// user says it is, and overrides everything that is not plainly something else.
pub fn recognise(
    head: &[u8],
    name: &str,
    told: Option<Format>,
    columns: &ColumnMap,
) -> Result<Option<Format>, ImportError> {
    let name = name.to_ascii_lowercase();
    if head.is_empty() {
        return Err(ImportError::Form("is empty; export it or fetch it again".to_owned()));
    }
    if let Some(what) = other(head, &name, told) {
        return Err(ImportError::Form(what.to_owned()));
    }
    let found = told.or_else(|| by_content(head, columns)).or_else(|| by_name(&name));
    if found.is_none() && serde_json::from_slice::<serde::de::IgnoredAny>(text_of(head)).is_ok() {
        return Err(ImportError::Form(OTHER_JSON.to_owned()));
    }
    Ok(found)
}

/// What a file is that cannot be read, and what to do.
fn other(head: &[u8], name: &str, told: Option<Format>) -> Option<&'static str> {
    if let Some((_, what)) = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning)) {
        return Some(what);
    }
    if head.starts_with(b"SQLite format 3\0") {
        let is_tiles = name.ends_with(".mbtiles") || head.get(68..72) == Some(b"MPBX");
        return Some(if is_tiles {
            VECTOR_TILE
        } else {
            ogr2ogr!("a GeoPackage or another database of SQLite")
        });
    }
    if is_osm_pbf(head) {
        return None;
    }
    let is_pbf = name.ends_with(".pbf") || told == Some(Format::OsmPbf);
    if is_vector_tile(head) && (is_pbf || name.ends_with(".mvt") || head.contains(&0)) {
        return Some(VECTOR_TILE);
    }
    if let Some(what) = markup(head) {
        return Some(what);
    }
    if let Some(bytes) = head.first_chunk::<4>() {
        match bytes {
            [0, 0, 0, letter] if *letter != 0 && head.get(4..7) == Some(&[0, 0, 0]) => {
                return Some("is UTF-32; convert it: iconv -f UTF-32BE -t UTF-8 FILE > NEW");
            }
            [letter, 0, 0, 0] if *letter != 0 && head.get(5..8) == Some(&[0, 0, 0]) => {
                return Some("is UTF-32; convert it: iconv -f UTF-32LE -t UTF-8 FILE > NEW");
            }
            [0, letter, 0, _] if *letter != 0 => {
                return Some("is UTF-16; convert it: iconv -f UTF-16BE -t UTF-8 FILE > NEW");
            }
            [letter, 0, _, 0] if *letter != 0 => {
                return Some("is UTF-16; convert it: iconv -f UTF-16LE -t UTF-8 FILE > NEW");
            }
            _ => {}
        }
    }
    if is_pbf {
        return Some(OTHER_PBF);
    }
    if head.contains(&0) {
        return Some(BINARY);
    }
    if is_json_list(head) && told.is_none_or(|told| told == Format::GeoJson) {
        return Some(JSON_LIST);
    }
    ENDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, what)| *what).filter(|_| told.is_none())
}

/// Four bytes of length, then a BlobHeader whose type is that of the first blob of every file.
fn is_osm_pbf(head: &[u8]) -> bool {
    head.get(4..15) == Some(b"\x0a\x09OSMHeader") || head.get(4..13) == Some(b"\x0a\x07OSMData")
}

/// A tile consists of layers, each a field 3 of some length, which begins with another field of a layer.
fn is_vector_tile(head: &[u8]) -> bool {
    let Some((0x1a, rest)) = head.split_first() else { return false };
    let length = rest.iter().take(5).position(|byte| byte & 0x80 == 0);
    let inside = length.and_then(|length| rest.get(length + 1));
    inside.is_some_and(|field| matches!(field, 0x0a | 0x12 | 0x1a | 0x22 | 0x28 | 0x78))
}

/// What markup is, by its root.
fn markup(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(text_of(head)).to_ascii_lowercase();
    let mut rest = text.strip_prefix('<')?;
    loop {
        // Declarations and comments come before the root.
        rest = match rest {
            declaration if declaration.starts_with('?') => declaration.split_once("?>")?.1,
            comment if comment.starts_with("!--") => comment.split_once("-->")?.1,
            root => {
                let found = ROOTS.iter().find(|(name, _)| {
                    let after = root.strip_prefix(name).and_then(|after| after.chars().next());
                    after.is_some_and(|letter| !letter.is_ascii_alphanumeric())
                });
                return Some(found.map_or(
                    "is XML in a format that herd does not read; convert it to GeoJSON or CSV",
                    |(_, what)| what,
                ));
            }
        };
        rest = rest.trim_start().strip_prefix('<')?;
    }
}

/// What follows a byte order mark, white space and separators of records.
fn text_of(head: &[u8]) -> &[u8] {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let blank = text.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x1e).count();
    &text[blank..]
}

/// A bracket, then the beginning of a JSON value or the end of the list; not a word, as in `[section]`.
fn is_json_list(head: &[u8]) -> bool {
    let inside = text_of(head).strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| {
        inside.first().is_none_or(|byte| matches!(byte, b'{' | b'[' | b']' | b'"' | b'-' | b'0'..=b'9'))
    })
}

fn by_content(head: &[u8], columns: &ColumnMap) -> Option<Format> {
    let text = text_of(head);
    let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    match () {
        () if is_osm_pbf(head) => Some(Format::OsmPbf),
        () if text.starts_with(b"{") => Some(Format::GeoJson),
        () if lines.find(|line| !line.starts_with(b"#")).is_some_and(geonames::is_line) => {
            Some(Format::GeoNames)
        }
        () if csv::is_header(text, columns) => Some(Format::Csv),
        () => None,
    }
}

fn by_name(name: &str) -> Option<Format> {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    match () {
        () if ends(&[".geojson", ".json", ".geojsonl", ".geojsons", ".geojsonseq", ".ndjson"]) => {
            Some(Format::GeoJson)
        }
        () if ends(&[".csv", ".tsv"]) => Some(Format::Csv),
        () if ends(&[".txt"]) => Some(Format::GeoNames),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(head: impl AsRef<[u8]>, name: &str) -> Result<Option<Format>, String> {
        let found = recognise(head.as_ref(), name, None, &ColumnMap::default());
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn content_tells_the_form_whatever_the_name() {
        for name in ["63", "x.csv", "x.txt", "x.json"] {
            assert_eq!(what("\u{feff} {\"type\":", name), Ok(Some(Format::GeoJson)), "{name}");
            assert_eq!(what("\u{1e}{\"type\":", name), Ok(Some(Format::GeoJson)), "{name}");
            assert_eq!(
                what("stop_id,stop_name,stop_lat,stop_lon\r\n", name),
                Ok(Some(Format::Csv)),
                "{name}"
            );
            assert_eq!(what("Name;LAT;Lon\n", name), Ok(Some(Format::Csv)), "{name}");
            let dump = format!("5\tA\t\t\t1.5\t-2{}\n", "\t".repeat(13));
            assert_eq!(what(format!("# made\n{dump}"), name), Ok(Some(Format::GeoNames)), "{name}");
            assert_eq!(what(b"\0\0\0\x0d\x0a\x09OSMHeader\x18", name), Ok(Some(Format::OsmPbf)), "{name}");
        }
    }

    #[test]
    fn names_tell_the_form_where_content_does_not() {
        let formats =
            ["a.JSON", "a.geojsonl", "a.geojsonseq", "a.ndjson", "a.csv", "a.TSV", "US.txt", "a.dat", "a"];
        let formats = formats.map(|name| what("a,b\n", name).unwrap());
        assert_eq!(formats[..4], [Some(Format::GeoJson); 4]);
        assert_eq!(formats[4..6], [Some(Format::Csv); 2]);
        assert_eq!(formats[6..], [Some(Format::GeoNames), None, None]);
    }

    #[test]
    fn sections_of_settings_are_no_list() {
        assert_eq!(what("[herd]\nname = 1\n", "x.toml"), Ok(None));
    }

    #[test]
    fn the_user_overrules_content_but_not_what_is_plainly_something_else() {
        let told = |head: &[u8], format| recognise(head, "x", Some(format), &ColumnMap::default());
        assert_eq!(told(b"{a},b\n", Format::Csv).unwrap(), Some(Format::Csv));
        assert_eq!(told(b"[a],b\n", Format::Csv).unwrap(), Some(Format::Csv));
        assert!(told(b"\x1f\x8b\x08", Format::Csv).is_err());
        assert!(told(b"name,lat,lng\n", Format::OsmPbf).is_err());
    }

    #[test]
    fn what_is_not_read_is_named_with_its_cure() {
        let cases: [(&[u8], &str, &str); 28] = [
            (b"null\n", "x", "is JSON, but not GeoJSON"),
            (b"", "x.csv", "is empty"),
            (b"\x1f\x8b\x08\0", "x.osm.gz", "gunzip < FILE"),
            (b"BZh91AY", "x.osm.bz2", "bunzip2 < FILE"),
            (b"PK\x03\x04\x14\0", "US.zip", "unzip"),
            (b"\xfd7zXZ\0\0", "x.xz", "unxz < FILE"),
            (b"\x28\xb5\x2f\xfd\x04", "x.zst", "unzstd < FILE"),
            (b"SQLite format 3\0", "x.gpkg", "ogr2ogr -f GeoJSON"),
            (b"SQLite format 3\0", "x.mbtiles", "is a vector tile"),
            (b"\0\0\x27\x0a\0\0", "x.shp", "is a shapefile; convert it to GeoJSON: ogr2ogr"),
            (b"\x1a\x0c\x78\x02\x0a\x05roads\x28\x80\x20", "tile.pbf", "is a vector tile"),
            (b"\x1a\x0c\x78\x02\x0a\x05roads\x28\x80\x20", "tile.mvt", "is a vector tile"),
            (b"\x1a\xac\x02\x0a\x05roads\x28\x80\x20", "tile.pbf", "is a vector tile"),
            (b"hello", "x.pbf", "does not begin like an .osm.pbf"),
            (b"\xff\xe0\x04o5m2", "x.o5m", "osmium cat FILE -o NEW.osm.pbf"),
            (b"<?xml version='1.0'?>\n<!-- a --> <osm version=\"0.6\">", "map.osm", "osmium cat"),
            (b"<osm>", "map", "osmium cat"),
            (b"<?xml version='1.0'?><kml xmlns=\"x\">", "x.kml", "is KML"),
            (b"<?xml version='1.0'?><rss>", "x.xml", "is XML"),
            (b"\n<!DOCTYPE html><html>", "x.geojson", "is a web page"),
            (b"\xff\xfe{\0", "x.geojson", "iconv -f UTF-16 -t UTF-8"),
            (b"\xfe\xff\0n\0a", "x.csv", "iconv -f UTF-16 -t UTF-8"),
            (b"n\0a\0m\0e\0", "x.csv", "iconv -f UTF-16LE -t UTF-8"),
            (b"\0n\0a\0m\0e", "x.csv", "iconv -f UTF-16BE -t UTF-8"),
            (b"{\0\0\0\"\0\0\0", "x.json", "iconv -f UTF-32LE -t UTF-8"),
            (b"\0\0\0{\0\0\0\"", "x.json", "iconv -f UTF-32BE -t UTF-8"),
            (b"[{\"name\": 1}]", "x.json", "is a JSON list"),
            (b"\x7fELF\0", "x.csv", "holds binary data"),
        ];
        for (head, name, expected) in cases {
            let said = what(head, name).unwrap_err();
            assert!(said.contains(expected) && !said.contains('\n'), "{name}: {said}");
        }
    }
}
