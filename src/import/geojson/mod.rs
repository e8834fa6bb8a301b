//! GeoJSON (RFC 7946): a FeatureCollection, read feature by feature, or one Feature after the other, a line each. A point
//! is where it is; anything else is at the middle of the box around it.

mod geometry;
mod source;

use std::{fmt, io::Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use self::{geometry::Geometry, source::Source};
use super::{
    ANY_RANK, Field, ImportError, Options, Sink, Skip, bounds::Bounds, osm::Tags, types_of, unnumbered,
};
use crate::places::file::{Entry, Id};

/// So much is shown of the name of a coordinate reference system, in characters.
const CRS_CHARS_MAX: usize = 60;

/// Reads documents until the end.
pub fn read(from: impl Read, options: &Options<'_>, sink: &mut Sink) -> Result<(), ImportError> {
    let mut source = Source::new(from);
    let mut import = Import {
        options,
        name_key: options.lang.map(|lang| format!("name:{lang}")),
        unnumbered: unnumbered(options.label, "feature"),
        sink,
        other_crs: None,
        fault: None,
    };
    let read = read_documents(&mut source, &mut import);
    match (import.fault.take(), read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(source.fault(error)),
        (None, Ok(0)) => Err(ImportError::Form("is empty; export it or fetch it again".to_owned())),
        (None, Ok(_)) => Ok(()),
    }
}

/// How many there were.
fn read_documents(from: impl Read, import: &mut Import<'_>) -> Result<u64, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(from);
    let mut count = 0;
    while json.end().is_err() {
        Document(import).deserialize(&mut json)?;
        count += 1;
    }
    Ok(count)
}

struct Import<'a> {
    options: &'a Options<'a>,
    name_key: Option<String>,
    /// What place_ids of features without an id begin with.
    unnumbered: String,
    sink: &'a mut Sink,
    /// What the file says that its coordinates are, where that is not longitude and latitude as GeoJSON has them.
    other_crs: Option<String>,
    /// What serde's errors have no room for.
    fault: Option<ImportError>,
}

/// What has been read of a feature.
#[derive(Default)]
struct Feature {
    id: Option<Value>,
    properties: Map<String, Value>,
    bounds: Option<Bounds>,
    /// Whether some point of it is none on the Earth.
    is_off: bool,
}

impl Import<'_> {
    /// An error of serde's in place of one that it has no room for.
    fn refuse<E: serde::de::Error>(&mut self, error: ImportError) -> E {
        self.fault = Some(error);
        E::custom("not taken")
    }

    fn take(&mut self, feature: &Feature) -> Result<(), ImportError> {
        let number = self.sink.number(self.options.label);
        if let Some(crs) = self.other_crs.as_ref().filter(|_| feature.is_off) {
            return Err(ImportError::Form(format!(
                "has coordinates of {crs:?}, which are not degrees; convert it: ogr2ogr -f GeoJSON -t_srs EPSG:4326 NEW.geojson FILE"
            )));
        }
        let Some((latitude, longitude)) = feature.bounds.and_then(|bounds| bounds.middle()) else {
            self.sink.skip(Skip::BadCoordinates, None);
            return Ok(());
        };
        let mut tags = Tags::default();
        for (key, value) in &feature.properties {
            if let Value::String(value) = value {
                tags.add(key, value, self.name_key.as_deref());
            }
        }
        let is_named = |field| self.options.columns.named(field).is_some();
        let own_name = self.property(feature, Field::Name, "");
        let (name_key, name) = match own_name {
            Some((key, name)) if is_named(Field::Name) => (key, name),
            _ if !tags.name().is_empty() => ("name", tags.name().to_owned()),
            other => other.unwrap_or_default(),
        };
        let property = |field| self.property(feature, field, "").map(|(_, text)| text);
        let own_types = if is_named(Field::Types) { property(Field::Types) } else { feature.text("types") };
        let types = match (own_types, tags.kind()) {
            (Some(own), _) => types_of(&own),
            (None, Some((types, _))) => types.to_owned(),
            (None, None) => types_of(&property(Field::Types).unwrap_or_default()),
        };
        let rank = property(Field::Rank).and_then(|rank| super::number(&rank));
        let rank = rank.or_else(|| tags.kind().map(|(_, rank)| rank)).unwrap_or(ANY_RANK);
        let vicinity = match tags.vicinity() {
            address if !address.is_empty() && !is_named(Field::Vicinity) => address,
            // A city's feature has its name in the property that is the vicinity of anything else.
            _ => self.property(feature, Field::Vicinity, name_key).map(|(_, text)| text).unwrap_or_default(),
        };
        let own_id = feature.id.as_ref().and_then(plain).filter(|_| !is_named(Field::Id));
        let id = own_id.filter(|id| !id.is_empty()).or_else(|| property(Field::Id));
        let source = if id.is_some() { self.options.label } else { self.unnumbered.as_str() };
        let kind = self.sink.kind(source, &types)?;
        let id = id.as_deref().map_or(Id::Number(number), Id::Text);
        let entry = Entry { kind, id, name: &name, vicinity: &vicinity, latitude, longitude, rank };
        self.sink.add(&entry, None)?;
        Ok(())
    }

    /// The property that says the field, which is not the one called `taken`: by which of the field's names, and its text.
    fn property(&self, feature: &Feature, field: Field, taken: &str) -> Option<(&str, String)> {
        let columns = self.options.columns;
        let is_free = |name: &&str| columns.named(field).is_some() || *name != taken;
        columns
            .names(field)
            .into_iter()
            .filter(is_free)
            .find_map(|name| feature.text(name).map(|text| (name, text)))
    }
}

impl Feature {
    /// A property's text, unless it is blank; where none has just this name, the case of letters does not count.
    fn text(&self, name: &str) -> Option<String> {
        let text = |value: &Value| plain(value).filter(|text| !text.trim().is_empty());
        let exact = self.properties.get(name).and_then(text);
        exact.or_else(|| {
            let mut all = self.properties.iter();
            all.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| text(value)).flatten())
        })
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
                    feature.is_off = !is_sound;
                }
                "crs" => import.other_crs = other_crs(&map.next_value()?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
            if let Some(form) = foreign(&key, kind.as_deref()) {
                return Err(import.refuse(ImportError::Form(form.to_owned())));
            }
        }
        match kind.as_deref() {
            Some("FeatureCollection") => Ok(()),
            Some("Feature") => import.take(&feature).map_err(|error| import.refuse(error)),
            _ => Err(M::Error::custom("it is neither a FeatureCollection nor a Feature")),
        }
    }
}

/// What a document is that is not GeoJSON, as far as a key or its type shows it, and what to do.
fn foreign(key: &str, kind: Option<&str>) -> Option<&'static str> {
    Some(match (key, kind) {
        ("type", Some("Topology")) => {
            "is TopoJSON; convert it to GeoJSON: ogr2ogr -f GeoJSON NEW.geojson FILE"
        }
        ("elements", None) => "is Overpass JSON; convert it to GeoJSON: osmtogeojson FILE > NEW.geojson",
        ("geometryType" | "spatialReference", None) => {
            "is JSON of ArcGIS; convert it to GeoJSON: ogr2ogr -f GeoJSON -t_srs EPSG:4326 NEW.geojson FILE"
        }
        _ => return None,
    })
}

/// What coordinates are by the member that earlier versions of GeoJSON had for that, unless it is what they always are now.
fn other_crs(crs: &Value) -> Option<String> {
    let name = crs.pointer("/properties/name")?.as_str()?;
    let is_usual = ["CRS84", "4326"].iter().any(|usual| name.ends_with(usual));
    (!is_usual).then(|| name.chars().take(CRS_CHARS_MAX).collect())
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
