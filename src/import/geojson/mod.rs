//! GeoJSON (RFC 7946): a FeatureCollection, read feature by feature, or one Feature after another, one per line. A
//! point is where it is; anything else is at the middle of the box around it.

mod crs;
mod geometry;
mod property;
mod source;

use std::{cell::Cell, collections::BTreeMap, fmt, io::Read, rc::Rc};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, value::RawValue};

use self::{
    crs::Whereabouts,
    geometry::{Extent, GeometrySeed},
    property::Property,
    source::JsonReader,
};
use super::{
    ANY_RANK, Field, ImportError, ImportOptions, Note, Sink, Skip, bounds::Bounds, osm::Tags, rank_of,
    types_of, unnumbered,
};
use crate::places::file::{Id, PlaceEntry};

/// Reads documents until the end.
pub fn read(from: impl Read, options: &ImportOptions<'_>, sink: &mut Sink) -> Result<(), ImportError> {
    let mut source = JsonReader::new(from);
    let mut import = GeoJsonImport {
        options,
        name_key: options.lang.map(|lang| format!("name:{lang}")),
        unnumbered: unnumbered(options.label, "feature"),
        sink,
        line: source.line(),
        whereabouts: Whereabouts::default(),
        fault: None,
    };
    let read = read_documents(&mut source, &mut import);
    match (import.fault.take(), read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(source.fault(error)),
        (None, Ok(0)) => Err(ImportError::Form("is empty; export it or fetch it again".to_owned())),
        (None, Ok(_)) => import.whereabouts.check(),
    }
}

/// How many there were.
fn read_documents(from: impl Read, import: &mut GeoJsonImport<'_>) -> Result<u64, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(from);
    let mut count = 0;
    while json.end().is_err() {
        GeoObject(import).deserialize(&mut json)?;
        count += 1;
    }
    Ok(count)
}

struct GeoJsonImport<'a> {
    options: &'a ImportOptions<'a>,
    name_key: Option<String>,
    /// What place_ids of features without an id begin with.
    unnumbered: String,
    sink: &'a mut Sink,
    /// The line of the last byte that has been read.
    line: Rc<Cell<u64>>,
    whereabouts: Whereabouts,
    /// Errors that serde's own cannot express.
    fault: Option<ImportError>,
}

/// What has been read of a feature.
#[derive(Default)]
struct Feature {
    /// The line at which it begins.
    line: u64,
    id: Option<Property>,
    properties: BTreeMap<String, Property>,
    bounds: Option<Bounds>,
}

impl GeoJsonImport<'_> {
    /// An error of serde's, standing in for one that it cannot express.
    fn refuse<E: serde::de::Error>(&mut self, error: ImportError) -> E {
        self.fault = Some(error);
        E::custom("not taken")
    }

    fn take(&mut self, feature: &Feature) -> Result<(), ImportError> {
        let number = self.sink.number(self.options.label);
        let line = Some(feature.line);
        let Some((latitude, longitude)) = feature.bounds.and_then(|bounds| bounds.middle()) else {
            self.sink.skip(Skip::BadCoordinates, line);
            return Ok(());
        };
        let mut tags = Tags::default();
        for (key, value) in &feature.properties {
            if value.is_string {
                tags.add(key, &value.text, self.name_key.as_deref());
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
        let (own_rank, is_rank) = rank_of(&property(Field::Rank).unwrap_or_default());
        let rank = own_rank.or_else(|| tags.kind().map(|(_, rank)| rank)).unwrap_or(ANY_RANK);
        let vicinity = match tags.vicinity() {
            address if !address.is_empty() && !is_named(Field::Vicinity) => address,
            // A city's feature has its name in the property that is the vicinity of anything else.
            _ => self.property(feature, Field::Vicinity, name_key).map(|(_, text)| text).unwrap_or_default(),
        };
        let own_id = feature.id.as_ref().map(|id| id.text.clone()).filter(|_| !is_named(Field::Id));
        let id = own_id.filter(|id| !id.is_empty()).or_else(|| property(Field::Id));
        let source = if id.is_some() { self.options.label } else { self.unnumbered.as_str() };
        let kind = self.sink.kind(source, &types)?;
        let id = id.as_deref().map_or(Id::Number(number), Id::Text);
        let entry = PlaceEntry { kind, id, name: &name, vicinity: &vicinity, latitude, longitude, rank };
        if self.sink.add(&entry, line)? && !is_rank {
            self.sink.note(Note::BadRank, line);
        }
        Ok(())
    }

    /// The property that holds the field, other than the one called `taken`: which of the field's names it has, and its
    /// text.
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
    /// A property's text, unless it is blank; if none has exactly this name, case is ignored.
    fn text(&self, name: &str) -> Option<String> {
        let text = |value: &Property| Some(value.text.clone()).filter(|text| !text.trim().is_empty());
        let exact = self.properties.get(name).and_then(text);
        exact.or_else(|| {
            let mut all = self.properties.iter();
            all.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| text(value)).flatten())
        })
    }
}

/// A collection, a feature, or anything else, of which nothing is used.
struct GeoObject<'a, 'b>(&'a mut GeoJsonImport<'b>);

impl<'de> DeserializeSeed<'de> for GeoObject<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for GeoObject<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection or a Feature")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Self(import) = self;
        let mut feature = Feature { line: import.line.get(), ..Feature::default() };
        let mut kind = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => kind = map.next_value::<Value>()?.as_str().map(str::to_owned),
                "features" => map.next_value_seed(Features(import))?,
                "id" => feature.id = Property::of(&map.next_value::<Box<RawValue>>()?),
                "properties" => map.next_value_seed(Properties(&mut feature.properties))?,
                "geometry" => {
                    let mut shape = Extent::NONE;
                    let is_sound = map.next_value_seed(GeometrySeed(&mut shape))?;
                    if shape.is_off || is_sound && !shape.bounds.is_empty() {
                        import.whereabouts.note(shape.is_off, shape.is_far);
                    }
                    feature.bounds = is_sound.then_some(shape.bounds);
                }
                "crs" => import.whereabouts.note_crs(&map.next_value()?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
            if let Some(form) = foreign(&key, kind.as_deref()) {
                return Err(import.refuse(ImportError::Form(form.to_owned())));
            }
        }
        match kind.as_deref() {
            Some("FeatureCollection") => Ok(()),
            Some("Feature") => import.take(&feature).map_err(|error| import.refuse(error)),
            Some(
                "Point" | "MultiPoint" | "LineString" | "MultiLineString" | "Polygon" | "MultiPolygon"
                | "GeometryCollection",
            ) => Err(M::Error::custom("a geometry by itself, which has no name")),
            _ => Err(M::Error::custom("neither a FeatureCollection nor a Feature")),
        }
    }
}

/// The properties of a feature, into a map; anything but an object has none.
struct Properties<'a>(&'a mut BTreeMap<String, Property>);

impl<'de> DeserializeSeed<'de> for Properties<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Properties<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("properties: an object, or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if let Some(property) = Property::of(&map.next_value::<Box<RawValue>>()?) {
                self.0.insert(key, property);
            }
        }
        Ok(())
    }
}

/// What a document that is not GeoJSON is, as far as a key or its type shows it, and what to do.
fn foreign(key: &str, kind: Option<&str>) -> Option<&'static str> {
    Some(match (key, kind) {
        ("type", Some("Topology")) => {
            "is TopoJSON; convert it to GeoJSON: ogr2ogr -f GeoJSON NEW.geojson FILE"
        }
        ("elements", None) => "is Overpass JSON; convert it to GeoJSON: osmtogeojson FILE > NEW.geojson",
        ("geometryType" | "spatialReference", None) => {
            "is ArcGIS JSON; convert it to GeoJSON: ogr2ogr -f GeoJSON -t_srs EPSG:4326 NEW.geojson FILE"
        }
        _ => return None,
    })
}

/// The list of a collection: each feature is handled before the next is read.
struct Features<'a, 'b>(&'a mut GeoJsonImport<'b>);

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
        while list.next_element_seed(GeoObject(import))?.is_some() {}
        Ok(())
    }
}
