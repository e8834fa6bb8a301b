//! GeoJSON (RFC 7946): a FeatureCollection, read feature by feature, or one Feature after the other, a line each. A point
//! is where it is; anything else is at the middle of the box around it.

use std::{
    fmt,
    io::{BufReader, Read},
};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};

use super::{ANY_RANK, Field, ImportError, Options, Sink, Skip, bounds::Bounds, osm_tags::Tags, types_of};
use crate::places::file::{Entry, Id};

/// Reads documents until the end.
pub fn read(from: impl Read, options: &Options<'_>, sink: &mut Sink) -> Result<(), ImportError> {
    let reader = BufReader::with_capacity(256 * 1024, Unmarked { inner: from, is_first: true });
    let mut json = serde_json::Deserializer::from_reader(reader);
    let name_key = options.lang.map(|lang| format!("name:{lang}"));
    let mut import = Import { options, name_key, sink, features: 0, fault: None };
    loop {
        let is_at_end = json.end().is_ok();
        if is_at_end && import.features > 0 {
            return Ok(());
        }
        let read = Document(&mut import).deserialize(&mut json);
        if let Some(error) = import.fault.take() {
            return Err(error);
        }
        match read {
            Err(error) => return Err(fault(error)),
            // A collection of nothing is a file of nothing.
            Ok(()) if json.end().is_ok() => return Ok(()),
            Ok(()) => import.features += 1,
        }
    }
}

fn fault(error: serde_json::Error) -> ImportError {
    let line = error.line() as u64;
    let fault = match error.classify() {
        Category::Io => return ImportError::Io(error.into()),
        Category::Eof => "the file ends too early; fetch it again".to_owned(),
        Category::Syntax | Category::Data => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            format!("this is no GeoJSON: {message}; name the format with --format")
        }
    };
    ImportError::Line { line, fault }
}

struct Import<'a> {
    options: &'a Options<'a>,
    name_key: Option<String>,
    sink: &'a mut Sink,
    features: u64,
    /// What serde's errors have no room for.
    fault: Option<ImportError>,
}

/// What has been read of a feature.
#[derive(Default)]
struct Feature {
    id: Option<Value>,
    properties: Map<String, Value>,
    bounds: Option<Bounds>,
}

impl Import<'_> {
    fn take(&mut self, feature: &Feature) -> Result<(), ImportError> {
        self.features += 1;
        let number = self.sink.number(self.options.label);
        let Some((latitude, longitude)) = feature.bounds.and_then(|bounds| bounds.middle()) else {
            self.sink.skip(Skip::BadCoordinates);
            return Ok(());
        };
        let mut tags = Tags::default();
        for (key, value) in &feature.properties {
            if let Value::String(value) = value {
                tags.add(key, value, self.name_key.as_deref());
            }
        }
        let property =
            |field| self.options.columns.names(field).into_iter().find_map(|name| feature.text(name));
        let is_named = |field| self.options.columns.named(field).is_some();
        let name = match property(Field::Name) {
            Some(name) if is_named(Field::Name) => name,
            _ if !tags.name().is_empty() => tags.name().to_owned(),
            other => other.unwrap_or_default(),
        };
        let own_types = if is_named(Field::Types) { property(Field::Types) } else { feature.text("types") };
        let types = match (own_types, tags.kind()) {
            (Some(own), _) => types_of(&own),
            (None, Some((types, _))) => types.to_owned(),
            (None, None) => types_of(&property(Field::Types).unwrap_or_default()),
        };
        let rank =
            property(Field::Rank).and_then(|rank| rank.parse().ok()).filter(|rank: &f64| rank.is_finite());
        let rank = rank.or_else(|| tags.kind().map(|(_, rank)| rank)).unwrap_or(ANY_RANK);
        let vicinity = match tags.vicinity() {
            address if !address.is_empty() && !is_named(Field::Vicinity) => address,
            _ => property(Field::Vicinity).unwrap_or_default(),
        };
        let own_id = feature.id.as_ref().and_then(plain).filter(|_| !is_named(Field::Id));
        let id = own_id.or_else(|| property(Field::Id)).unwrap_or_default();
        let kind = self.sink.kind(self.options.label, &types)?;
        let id = if id.is_empty() { Id::Number(number) } else { Id::Text(&id) };
        self.sink.add(&Entry { kind, id, name: &name, vicinity: &vicinity, latitude, longitude, rank })
    }
}

impl Feature {
    fn text(&self, property: &str) -> Option<String> {
        plain(self.properties.get(property)?).filter(|text| !text.trim().is_empty())
    }
}

/// A value as a text; a list's texts with commas between.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(values) => Some(values.iter().filter_map(plain).collect::<Vec<_>>().join(",")),
        _ => None,
    }
}

/// A collection, a feature, or anything else, of which nothing is taken.
struct Document<'a, 'b>(&'a mut Import<'b>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection or a Feature")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Self(import) = self;
        let mut feature = Feature::default();
        let mut kind = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => kind = map.next_value::<Value>()?.as_str().map(str::to_owned),
                "features" => map.next_value_seed(Features(import))?,
                "id" => feature.id = Some(map.next_value()?),
                "properties" => {
                    if let Value::Object(properties) = map.next_value()? {
                        feature.properties = properties;
                    }
                }
                "geometry" => {
                    let mut bounds = Bounds::NONE;
                    let is_sound = map.next_value_seed(Geometry(&mut bounds))?;
                    feature.bounds = is_sound.then_some(bounds);
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        match kind.as_deref() {
            Some("FeatureCollection") => Ok(()),
            Some("Feature") => import.take(&feature).map_err(|error| {
                import.fault = Some(error);
                M::Error::custom("not taken")
            }),
            _ => Err(M::Error::custom("neither a FeatureCollection nor a Feature")),
        }
    }
}

/// The list of a collection: each feature is taken before the next is read.
struct Features<'a, 'b>(&'a mut Import<'b>);

impl<'de> DeserializeSeed<'de> for Features<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Features<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        let Self(import) = self;
        while list.next_element_seed(Document(import))?.is_some() {}
        Ok(())
    }
}

/// Widens the box by a geometry, without keeping its points; false if there is a point off the Earth.
struct Geometry<'a>(&'a mut Bounds);

impl<'de> DeserializeSeed<'de> for Geometry<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Geometry<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a geometry")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(true)
    }

    /// The geometries of a collection.
    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<bool, S::Error> {
        let mut is_sound = true;
        while let Some(sound) = list.next_element_seed(Geometry(self.0))? {
            is_sound &= sound;
        }
        Ok(is_sound)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<bool, M::Error> {
        let mut is_sound = true;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "coordinates" => {
                    is_sound &= !matches!(map.next_value_seed(Positions(self.0))?, Part::Wrong);
                }
                "geometries" => is_sound &= map.next_value_seed(Geometry(self.0))?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(is_sound)
    }
}

/// What is found in a list of coordinates.
enum Part {
    Number(f64),
    List,
    Wrong,
}

/// A position, or lists of positions, as deep as they may be.
struct Positions<'a>(&'a mut Bounds);

impl<'de> DeserializeSeed<'de> for Positions<'_> {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Part, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Positions<'_> {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Part, E> {
        Ok(Part::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Part, E> {
        Ok(Part::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Part, E> {
        Ok(Part::Number(number as f64))
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Wrong)
    }

    fn visit_str<E>(self, _: &str) -> Result<Part, E> {
        Ok(Part::Wrong)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Part, S::Error> {
        let mut position = [None; 2];
        let mut is_wrong = false;
        let mut at = 0;
        while let Some(part) = list.next_element_seed(Positions(self.0))? {
            match part {
                Part::Number(number) if at < 2 => position[at] = Some(number),
                Part::Number(_) | Part::List => {}
                Part::Wrong => is_wrong = true,
            }
            at += 1;
        }
        is_wrong |= match position {
            [Some(longitude), Some(latitude)] => !self.0.add_degrees(latitude, longitude),
            [None, None] => false,
            _ => true,
        };
        Ok(if is_wrong { Part::Wrong } else { Part::List })
    }
}

/// Leaves out a byte order mark, and the record separators of RFC 8142.
struct Unmarked<R> {
    inner: R,
    is_first: bool,
}

impl<R: Read> Read for Unmarked<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        let read = &mut into[..count];
        if std::mem::take(&mut self.is_first) && read.starts_with(b"\xef\xbb\xbf") {
            read[..3].fill(b' ');
        }
        read.iter_mut().filter(|byte| **byte == 0x1e).for_each(|byte| *byte = b' ');
        Ok(count)
    }
}
