//! Geometries of GeoJSON: only the box around their points is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::import::bounds::Bounds;

/// A value that no coordinate in degrees comes near, and that nearly every one in metres exceeds.
const FAR: f64 = 1000.0;

/// What is kept of a geometry.
pub(super) struct Extent {
    pub(super) bounds: Bounds,
    /// Whether it has a position that is not on the Earth.
    pub(super) is_off: bool,
    /// Whether it has a position so far off that it cannot be in degrees.
    pub(super) is_far: bool,
}

impl Extent {
    pub(super) const NONE: Self = Self { bounds: Bounds::NONE, is_off: false, is_far: false };
}

/// Widens the box by a geometry, without keeping its points; false if there is a point off the Earth.
pub(super) struct GeometrySeed<'a>(pub(super) &'a mut Extent);

impl<'de> DeserializeSeed<'de> for GeometrySeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for GeometrySeed<'_> {
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
        while let Some(sound) = list.next_element_seed(GeometrySeed(self.0))? {
            is_sound &= sound;
        }
        Ok(is_sound)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<bool, M::Error> {
        let mut is_sound = true;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "coordinates" => {
                    is_sound &= !matches!(map.next_value_seed(Positions(self.0))?, Coordinate::Wrong);
                }
                "geometries" => is_sound &= map.next_value_seed(GeometrySeed(self.0))?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(is_sound)
    }
}

/// The findings in a list of coordinates.
enum Coordinate {
    Number(f64),
    List,
    Wrong,
}

/// A position, or lists of positions, as deep as they may be.
struct Positions<'a>(&'a mut Extent);

impl<'de> DeserializeSeed<'de> for Positions<'_> {
    type Value = Coordinate;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Coordinate, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Positions<'_> {
    type Value = Coordinate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Coordinate, E> {
        Ok(Coordinate::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Coordinate, E> {
        Ok(Coordinate::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Coordinate, E> {
        Ok(Coordinate::Number(number as f64))
    }

    fn visit_unit<E>(self) -> Result<Coordinate, E> {
        Ok(Coordinate::Wrong)
    }

    fn visit_str<E>(self, _: &str) -> Result<Coordinate, E> {
        Ok(Coordinate::Wrong)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Coordinate, S::Error> {
        let mut position = [None; 2];
        let mut is_wrong = false;
        let mut at = 0;
        while let Some(part) = list.next_element_seed(Positions(self.0))? {
            match part {
                Coordinate::Number(number) if at < 2 => position[at] = Some(number),
                Coordinate::Number(_) | Coordinate::List => {}
                Coordinate::Wrong => is_wrong = true,
            }
            at += 1;
        }
        is_wrong |= match position {
            [Some(longitude), Some(latitude)] => {
                let is_off = !self.0.bounds.add_degrees(latitude, longitude);
                self.0.is_off |= is_off;
                self.0.is_far |= longitude.abs() > FAR || latitude.abs() > FAR;
                is_off
            }
            [None, None] => false,
            _ => true,
        };
        Ok(if is_wrong { Coordinate::Wrong } else { Coordinate::List })
    }
}
