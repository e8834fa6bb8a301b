//! Places that lie in memory as flat records, and how they become an answer: what the embedded places and those of a file
//! have in common. Never waits, never fails, and never says what is not known.

use serde::{Deserialize, Serialize};

use super::Query;
use super::index::Index;
use super::legacy::{self, Answer, Geometry, Place, Point, Viewport};
use super::record::{Record, UNITS_PER_DEGREE};

/// What an answer and each of its results take, mostly.
const ANSWER_BYTES: usize = 512;
const RESULT_BYTES: usize = 1024;

/// What a record's `kind` stands for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Kind<S> {
    /// What ids begin with.
    pub(super) source: S,
    /// Google's types, separated by commas.
    pub(super) types: S,
}

/// Records, and all that they refer to. Every record's texts and kind must be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local<'a, S> {
    pub(super) index: Index<'a>,
    pub(super) text: &'a str,
    pub(super) kinds: &'a [Kind<S>],
    pub(super) html_attributions: &'a [S],
}

impl<'a, S: AsRef<str>> Local<'a, S> {
    /// Writes the best known places within the radius; 10 km of distance weigh as much as one of the five ranks.
    /// Returns how many there are.
    pub(super) fn answer(&self, query: &Query, out: &mut Vec<u8>) -> usize {
        // With a bound of nothing, the question is whether there is anything.
        let mut hits = self.index.best(query.center, query.radius_m, query.bound.max(1));
        let is_any = !hits.is_empty();
        hits.truncate(query.bound);
        let records: Vec<_> = hits.iter().map(|hit| self.index.record(hit.at)).collect();
        out.reserve(ANSWER_BYTES + RESULT_BYTES * records.len());
        let types: Vec<Vec<&str>> = records.iter().map(|record| self.types(record)).collect();
        let attributions: Vec<&str> = self.html_attributions.iter().map(AsRef::as_ref).collect();
        let answer = Answer {
            error_message: None,
            html_attributions: &attributions,
            results: records.iter().zip(&types).map(|(record, types)| self.place(record, types)).collect(),
            status: if is_any { "OK" } else { "ZERO_RESULTS" },
        };
        legacy::write(&answer, out);
        hits.len()
    }

    pub(super) fn types(&self, record: &Record) -> Vec<&'a str> {
        self.kinds[usize::from(record.kind)].types.as_ref().split(',').collect()
    }

    pub(super) fn place<'b>(&self, record: &Record, types: &'b [&'b str]) -> Place<'b>
    where
        'a: 'b,
    {
        let [name, vicinity, id] = texts(self.text, record).expect("the texts of every record are there");
        let source = self.kinds[usize::from(record.kind)].source.as_ref();
        let place_id =
            if id.is_empty() { format!("{source}:{}", record.number) } else { format!("{source}:{id}") };
        Place {
            geometry: geometry(record),
            icon: icon(types),
            name,
            reference: place_id.clone(),
            place_id,
            types,
            vicinity: if vicinity.is_empty() { name } else { vicinity },
        }
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

fn geometry(record: &Record) -> Geometry {
    /// Half of what Google shows of a point on a map, in degrees.
    const MARGIN: f64 = 0.001_348_980_291_5;
    let lat = f64::from(record.latitude) / UNITS_PER_DEGREE;
    let lng = f64::from(record.longitude) / UNITS_PER_DEGREE;
    let corner = |margin: f64| Point { lat: (lat + margin).clamp(-90.0, 90.0), lng: wrapped(lng + margin) };
    let viewport = Viewport { northeast: corner(MARGIN), southwest: corner(-MARGIN) };
    Geometry { location: Point { lat, lng }, viewport }
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
        let viewport = |latitude, longitude| {
            let record = Record { latitude, longitude, ..Record::from_bytes(&NOTHING) };
            let Viewport { northeast, southwest } = geometry(&record).viewport;
            [northeast.lat, northeast.lng, southwest.lat, southwest.lng]
                .map(|degrees| (degrees * 1e4).round() / 1e4)
        };
        assert_eq!(viewport(9_000_000, 18_000_000), [90.0, -179.9987, 89.9987, 179.9987]);
        assert_eq!(viewport(-9_000_000, -18_000_000), [-89.9987, -179.9987, -90.0, 179.9987]);
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
