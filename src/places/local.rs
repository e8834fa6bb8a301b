//! Places that are in memory as flat records, and how they become an answer: what the embedded places and those of a
//! file have in common. Never waits, never fails, and never says what is not known.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use serde::{Deserialize, Serialize};

use super::Query;
use super::index::Index;
use super::legacy;
use super::record::{Record, UNITS_PER_DEGREE};

/// The usual size of a result in an answer.
const RESULT_BYTES: usize = 1024;

/// What a record's `kind` means.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Kind<S> {
    /// What ids begin with.
    pub(super) source: S,
    /// Google's types, separated by commas.
    pub(super) types: S,
}

/// What is the same in every answer of a source, or for every place of a kind, formatted in advance.
#[derive(Debug)]
pub(super) struct Shown {
    html_attributions: Vec<u8>,
    kinds: Vec<ShownKind>,
}

#[derive(Debug)]
struct ShownKind {
    source: String,
    icon: &'static str,
    types: Vec<u8>,
}

impl Shown {
    pub(super) fn new<S: AsRef<str>>(kinds: &[Kind<S>], html_attributions: &[S]) -> Self {
        let kind = |kind: &Kind<S>| {
            let names: Vec<&str> = kind.types.as_ref().split(',').collect();
            let mut types = Vec::new();
            legacy::write_at(3, &names, &mut types);
            ShownKind { source: kind.source.as_ref().to_owned(), icon: icon(&names), types }
        };
        let names: Vec<&str> = html_attributions.iter().map(AsRef::as_ref).collect();
        let mut attributions = Vec::new();
        legacy::write_at(1, &names, &mut attributions);
        Self { html_attributions: attributions, kinds: kinds.iter().map(kind).collect() }
    }
}

/// Records, and everything they refer to. Every record's texts and kind must exist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local<'a> {
    pub(super) index: Index<'a>,
    pub(super) text: &'a str,
    pub(super) shown: &'a Shown,
}

impl Local<'_> {
    /// Writes the best places within the radius, by how well known and how near they are. Returns how many there are.
    ///
    /// The format is that of `legacy`, whose writer is too slow for as many answers as a node can give: here the text
    /// is assembled from pieces. A test compares the two.
    pub(super) fn answer(&self, query: &Query, out: &mut Vec<u8>) -> usize {
        // With a bound of zero, the question is whether there is anything.
        let mut hits = self.index.best(query.center, query.radius_m, query.bound.max(1));
        let status = if hits.is_empty() { "ZERO_RESULTS" } else { "OK" };
        hits.truncate(query.bound);
        out.reserve(RESULT_BYTES * (1 + hits.len()));
        out.extend_from_slice(b"{\n   \"html_attributions\" : ");
        out.extend_from_slice(&self.shown.html_attributions);
        out.extend_from_slice(b",\n   \"results\" : [");
        for (at, hit) in hits.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"\n      " } else { b",\n      " });
            self.write_place(&self.index.record(hit.at), out);
        }
        let end = if hits.is_empty() { "]" } else { "\n   ]" };
        for piece in [end, ",\n   \"status\" : \"", status, "\"\n}"] {
            out.extend_from_slice(piece.as_bytes());
        }
        hits.len()
    }

    /// Writes one result, keys in alphabetical order.
    pub(super) fn write_place(&self, record: &Record, out: &mut Vec<u8>) {
        /// Half the size of the map section that Google shows around a point, in degrees.
        const MARGIN: f64 = 0.001_348_980_291_5;
        let [name, vicinity, id] = texts(self.text, record).expect("the texts of every record are there");
        let kind = &self.shown.kinds[usize::from(record.kind)];
        let lat = f64::from(record.latitude) / UNITS_PER_DEGREE;
        let lng = f64::from(record.longitude) / UNITS_PER_DEGREE;
        let corner = |margin: f64| ((lat + margin).clamp(-90.0, 90.0), wrapped(lng + margin));
        let (northeast, southwest) = (corner(MARGIN), corner(-MARGIN));
        for (before, degrees) in [
            ("{\n         \"geometry\" : {\n            \"location\" : {\n               \"lat\" : ", lat),
            (",\n               \"lng\" : ", lng),
            (
                "\n            },\n            \"viewport\" : {\n               \"northeast\" : {\n                  \"lat\" : ",
                northeast.0,
            ),
            (",\n                  \"lng\" : ", northeast.1),
            (
                "\n               },\n               \"southwest\" : {\n                  \"lat\" : ",
                southwest.0,
            ),
            (",\n                  \"lng\" : ", southwest.1),
        ] {
            out.extend_from_slice(before.as_bytes());
            legacy::write(&degrees, out);
        }
        out.extend_from_slice(b"\n               }\n            }\n         }");
        let source = &kind.source;
        let place_id =
            if id.is_empty() { format!("{source}:{}", record.number) } else { format!("{source}:{id}") };
        for (before, text) in [
            (",\n         \"icon\" : ", kind.icon),
            (",\n         \"name\" : ", name),
            (",\n         \"place_id\" : ", &place_id),
            (",\n         \"reference\" : ", &place_id),
        ] {
            out.extend_from_slice(before.as_bytes());
            legacy::write_text(text, out);
        }
        out.extend_from_slice(b",\n         \"types\" : ");
        out.extend_from_slice(&kind.types);
        out.extend_from_slice(b",\n         \"vicinity\" : ");
        legacy::write_text(if vicinity.is_empty() { name } else { vicinity }, out);
        out.extend_from_slice(b"\n      }");
    }
}

/// A record's name, vicinity and id, if they are in the text.
pub(super) fn texts<'a>(text: &'a str, record: &Record) -> Option<[&'a str; 3]> {
    let mut rest = text.get(record.text_start as usize..)?;
    let mut take = |length: u8| {
        let (taken, after) = rest.split_at_checked(length.into())?;
        rest = after;
        Some(taken)
    };
    Some([take(record.name_len)?, take(record.vicinity_len)?, take(record.id_len)?])
}

/// A longitude brought back to -180 to 180.
fn wrapped(longitude: f64) -> f64 {
    match longitude {
        far_east if far_east > 180.0 => far_east - 360.0,
        far_west if far_west < -180.0 => far_west + 360.0,
        within => within,
    }
}

macro_rules! icon_url {
    ($name:literal) => {
        concat!("https://maps.gstatic.com/mapfiles/place_api/icons/", $name, "-71.png")
    };
}

/// Google's picture for the first type that has one.
fn icon(types: &[&str]) -> &'static str {
    types.iter().find_map(|&kind| icon_of_type(kind)).unwrap_or(icon_url!("generic_business"))
}

fn icon_of_type(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "locality" | "neighborhood" | "natural_feature" | "route" => icon_url!("geocode"),
        "airport" => icon_url!("airport"),
        "amusement_park" => icon_url!("amusement"),
        "aquarium" => icon_url!("aquarium"),
        "art_gallery" => icon_url!("art_gallery"),
        "church" => icon_url!("worship_christian"),
        "city_hall" | "local_government_office" => icon_url!("civic_building"),
        "food" => icon_url!("restaurant"),
        "hospital" => icon_url!("doctor"),
        "library" => icon_url!("library"),
        "lodging" => icon_url!("lodging"),
        "mosque" => icon_url!("worship_islam"),
        "movie_theater" => icon_url!("movies"),
        "museum" => icon_url!("museum"),
        "night_club" => icon_url!("bar"),
        "place_of_worship" => icon_url!("worship_general"),
        "shopping_mall" => icon_url!("shopping"),
        "stadium" => icon_url!("stadium"),
        "train_station" => icon_url!("train"),
        "university" => icon_url!("university"),
        "zoo" => icon_url!("zoo"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::STRIDE;
    use super::*;

    const NOTHING: [u8; STRIDE] = [0; STRIDE];

    #[test]
    fn a_viewport_at_the_edge_of_the_map_stays_on_the_earth() {
        let kinds = [Kind { source: "test", types: "locality" }];
        let shown = Shown::new(&kinds, &[]);
        let local = Local { index: Index { records: &[], band_starts: &[] }, text: "Edge", shown: &shown };
        let viewport = |latitude, longitude| {
            let record = Record { latitude, longitude, name_len: 4, ..Record::from_bytes(&NOTHING) };
            let mut out = Vec::new();
            local.write_place(&record, &mut out);
            let place: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let viewport = &place["geometry"]["viewport"];
            ["/northeast/lat", "/northeast/lng", "/southwest/lat", "/southwest/lng"]
                .map(|at| (viewport.pointer(at).unwrap().as_f64().unwrap() * 1e4).round() / 1e4)
        };
        assert_eq!(viewport(9_000_000, 18_000_000), [90.0, -179.9987, 89.9987, 179.9987]);
        assert_eq!(viewport(-9_000_000, -18_000_000), [-89.9987, -179.9987, -90.0, 179.9987]);
    }

    #[test]
    fn texts_of_every_kind_come_out_as_the_formats_own_writer_has_them() {
        let text = "\"Zoo\" <b>& \u{1}\\Z\u{fc}rich 動物園";
        let kinds = [
            Kind { source: "a<b", types: "zoo,\"odd\"" },
            Kind {
                source: "x",
                types: "a_type_with_a_long_name,another_type_with_a_long_name,a_third_one_of_them",
            },
        ];
        let shown = Shown::new(&kinds, &["<a>one</a>", "two"]);
        let record = |kind, id_len| Record {
            kind,
            id_len,
            number: 7,
            name_len: text.len() as u8 - id_len,
            latitude: 3_406_892,
            longitude: 2_000_000,
            ..Record::from_bytes(&NOTHING)
        };
        let records = [record(0, 9).to_bytes(), record(1, 0).to_bytes()];
        let mut starts = vec![0_u32; super::super::record::BANDS + 1];
        let band = super::super::record::band(3_406_892);
        starts[band + 1..].fill(2);
        let local = Local { index: Index { records: &records, band_starts: &starts }, text, shown: &shown };
        let center = crate::core::model::Coordinates { latitude: 34.06892, longitude: 20.0 };
        for bound in [0, 1, 2] {
            let mut out = Vec::new();
            assert_eq!(local.answer(&Query { center, radius_m: 10.0, bound }, &mut out), bound);
            let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let mut again = Vec::new();
            legacy::write(&document, &mut again);
            assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(again).unwrap());
        }
    }

    #[test]
    fn texts_that_are_not_there_are_not_read() {
        let record = |text_start, name_len, id_len| Record {
            text_start,
            name_len,
            id_len,
            ..Record::from_bytes(&NOTHING)
        };
        assert_eq!(texts("Zoo7", &record(0, 3, 1)), Some(["Zoo", "", "7"]));
        assert_eq!(texts("Zoo7", &record(0, 3, 2)), None);
        assert_eq!(texts("Zoo7", &record(5, 0, 0)), None);
        assert_eq!(texts("Zürich", &record(0, 2, 0)), None);
        assert_eq!(texts("Zürich", &record(2, 2, 0)), None);
    }
}
