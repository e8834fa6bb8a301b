//! Where a tweet was written, in any of the forms that services use. A tweet without a recognisable position is not
//! located; that is never an error, and nothing else odd in a tweet matters here.
//!
//! Search 1.0 and version 1.1 have `geo.coordinates`, latitude first; all others are as in GeoJSON, longitude first:
//! `coordinates` of 1.1, `geo.coordinates` of 2, and the boxes around places. A place's box is in `place.bounding_box`
//! (1.1), or in `includes.places` of the document, by the tweet's `geo.place_id` (2).

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::HashMap;

use serde_json::{Value, value::RawValue};

use crate::core::model::Coordinates;

/// The places of a document whose tweets only name them, by id.
pub(super) type KnownPlaces = HashMap<String, Coordinates>;

/// An object's values, each to be parsed by itself: a broken one, such as half an emoji, does not affect the others.
type Parts<'a> = HashMap<String, &'a RawValue>;

fn part(parts: &Parts<'_>, key: &str) -> Value {
    parts.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// What `includes` says about places.
pub(super) fn known_places(includes: &str) -> KnownPlaces {
    let includes: Parts<'_> = serde_json::from_str(includes).unwrap_or_default();
    let places = includes.get("places").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let places: Vec<&RawValue> = places.unwrap_or_default();
    let known = places.into_iter().filter_map(|place| {
        let place: Parts<'_> = serde_json::from_str(place.get()).ok()?;
        let id = part(&place, "id").as_str()?.to_owned();
        Some((id, of_geo(&part(&place, "geo"))?))
    });
    known.collect()
}

/// Where a tweet was written: at its own point, otherwise in the middle of the box around its place.
pub(super) fn of(tweet: &str, known: &KnownPlaces) -> Option<Coordinates> {
    let tweet: Parts<'_> = serde_json::from_str(tweet).ok()?;
    let geo = part(&tweet, "geo");
    let named_place = || geo.get("place_id")?.as_str().and_then(|id| known.get(id).copied());
    // A list is version 1 and an object version 2; in the wrong order either could be a valid point.
    let own = match &geo["coordinates"] {
        list @ Value::Array(_) => latitude_first(list),
        object => point(object),
    };
    own.or_else(|| point(&part(&tweet, "coordinates")))
        .or_else(|| located(&part(&tweet, "geometry")["location"]))
        .or_else(|| of_place(&part(&tweet, "place")))
        .or_else(named_place)
}

/// Of a place within a tweet.
fn of_place(place: &Value) -> Option<Coordinates> {
    let from_outline = || {
        let outline = place["bounding_box"]["coordinates"].as_array()?.first()?.as_array()?;
        middle(outline.iter().map(longitude_first).collect::<Option<Vec<_>>>()?)
    };
    of_geo(&place["geo"]).or_else(from_outline)
}

/// For a place of version 2: its point, otherwise the middle of its box, given as west, south, east and north.
fn of_geo(geo: &Value) -> Option<Coordinates> {
    let from_box = || {
        let [west, south, east, north] = geo["bbox"].as_array()?.as_slice() else { return None };
        middle(vec![on_earth(south, west)?, on_earth(north, east)?])
    };
    point(&geo["coordinates"]).or_else(|| point(&geo["geometry"])).or_else(from_box)
}

/// The middle of the box around corners. The same corners belong to two boxes, one of which crosses the antimeridian:
/// the narrower is meant, since no place is wider than half the Earth.
fn middle(mut corners: Vec<Coordinates>) -> Option<Coordinates> {
    let range = |of: fn(&Coordinates) -> f64, corners: &[Coordinates]| {
        let (least, most) = (f64::min as fn(f64, f64) -> f64, f64::max as fn(f64, f64) -> f64);
        Some((corners.iter().map(of).reduce(least)?, corners.iter().map(of).reduce(most)?))
    };
    let (south, north) = range(|corner| corner.latitude, &corners)?;
    let (mut west, mut east) = range(|corner| corner.longitude, &corners)?;
    if east - west > 180.0 {
        corners
            .iter_mut()
            .filter(|corner| corner.longitude < 0.0)
            .for_each(|corner| corner.longitude += 360.0);
        (west, east) = range(|corner| corner.longitude, &corners)?;
    }
    let longitude = (west + east) / 2.0;
    let longitude = if longitude > 180.0 { longitude - 360.0 } else { longitude };
    Some(Coordinates { latitude: (south + north) / 2.0, longitude })
}

/// A GeoJSON point, or only its pair, or an object that has it as its `point`.
fn point(value: &Value) -> Option<Coordinates> {
    let inner = || value.get("coordinates").or_else(|| value.get("point")).and_then(point);
    longitude_first(value).or_else(inner)
}

/// A list of longitude and latitude; GeoJSON allows a height after them.
fn longitude_first(pair: &Value) -> Option<Coordinates> {
    let [longitude, latitude] = pair.as_array()?.first_chunk()?;
    on_earth(latitude, longitude)
}

fn latitude_first(pair: &Value) -> Option<Coordinates> {
    let [latitude, longitude] = pair.as_array()?.as_slice() else { return None };
    on_earth(latitude, longitude)
}

fn located(location: &Value) -> Option<Coordinates> {
    on_earth(location.get("lat")?, location.get("lng")?)
}

fn on_earth(latitude: &Value, longitude: &Value) -> Option<Coordinates> {
    let (latitude, longitude) = (latitude.as_f64()?, longitude.as_f64()?);
    let is_on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    is_on_earth.then_some(Coordinates { latitude, longitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_at(tweet: &str, expected: Option<(f64, f64)>) {
        let includes = r#"{"users": 1, "places": [
            {"id": "box", "full_name": "Half \ud83d", "geo": {"type": "Feature", "bbox": [-118.5, 33.5, -118.0, 34.5], "properties": {}}},
            {"id": "fiji", "geo": {"bbox": [177.0, -20.0, -179.0, -16.0]}},
            {"id": "point", "geo": {"bbox": [0, 0, 9, 9], "coordinates": {"point": {"coordinates": [5.5, 6.5]}}}},
            {"id": "none", "geo": {}}, {"geo": {"bbox": [1, 2, 3, 4]}}, 7
        ]}"#;
        let found = of(tweet, &known_places(includes)).map(|at| (at.latitude, at.longitude));
        assert_eq!(found, expected, "{tweet}");
    }

    #[test]
    fn every_service_has_its_own_order() {
        assert_at(r#"{"geo": {"type": "Point", "coordinates": [34.05, -118.25]}}"#, Some((34.05, -118.25)));
        assert_at(
            r#"{"geo": null, "coordinates": {"type": "Point", "coordinates": [39.7, 35.7]}}"#,
            Some((35.7, 39.7)),
        );
        assert_at(
            r#"{"geo": {"coordinates": {"type": "Point", "coordinates": [-73.9, 40.7]}}}"#,
            Some((40.7, -73.9)),
        );
        assert_at(r#"{"geo": {"coordinates": {"point": [-73.9, 40.7]}}}"#, Some((40.7, -73.9)));
        assert_at(r#"{"geometry": {"location": {"lat": 1, "lng": 2}}}"#, Some((1.0, 2.0)));
        assert_at(r#"{"coordinates": {"coordinates": [1, 2, 300]}}"#, Some((2.0, 1.0)));
        // Version 1.1 says it twice, in two different ways.
        assert_at(
            r#"{"geo": {"coordinates": [10, 20]}, "coordinates": {"coordinates": [20, 10]}}"#,
            Some((10.0, 20.0)),
        );
    }

    #[test]
    fn place_is_where_its_middle_is() {
        let outline = |corners: &str| {
            format!("{{\"geo\": null, \"place\": {{\"bounding_box\": {{\"coordinates\": [[{corners}]]}}}}}}")
        };
        assert_at(
            &outline("[-118.5, 33.5], [-118, 33.5], [-118, 34.5], [-118.5, 34.5]"),
            Some((34.0, -118.25)),
        );
        assert_at(&outline("[-118.5, 33.5]"), Some((33.5, -118.5)));
        assert_at(&outline(""), None);
        assert_at(&outline("[-118.5, 33.5], [\"x\", 33.5]"), None);
        assert_at(r#"{"place": {"geo": {"bbox": [-10, -20, 30, 40]}}}"#, Some((10.0, 10.0)));
        assert_at(r#"{"geo": {"place_id": "box"}}"#, Some((34.0, -118.25)));
        assert_at(r#"{"geo": {"place_id": "point"}}"#, Some((6.5, 5.5)));
        for unknown in ["none", "elsewhere", ""] {
            assert_at(&format!("{{\"geo\": {{\"place_id\": \"{unknown}\"}}}}"), None);
        }
        // A point says more than a place.
        assert_at(
            r#"{"geo": {"place_id": "box", "coordinates": {"coordinates": [1, 2]}}}"#,
            Some((2.0, 1.0)),
        );
    }

    #[test]
    fn box_over_the_antimeridian_has_its_middle_there() {
        let place = |corners: &str| {
            format!("{{\"place\": {{\"bounding_box\": {{\"coordinates\": [[{corners}]]}}}}}}")
        };
        assert_at(&place("[177, -20], [-179, -20], [-179, -16], [177, -16]"), Some((-18.0, 179.0)));
        assert_at(&place("[-177, -20], [-177, -16], [179, -16], [179, -20]"), Some((-18.0, -179.0)));
        assert_at(r#"{"geo": {"place_id": "fiji"}}"#, Some((-18.0, 179.0)));
        assert_at(&place("[-90, 0], [90, 0], [90, 10], [-90, 10]"), Some((5.0, 0.0)));
    }

    #[test]
    fn what_is_odd_in_a_tweet_hides_no_position_and_makes_none() {
        assert_at(r#"{"text": "half \ud83d", "geo": {"coordinates": [1, 2]}, "x": 1e999}"#, Some((1.0, 2.0)));
        assert_at(
            r#"{"geo": {"coordinates": [91, 2]}, "coordinates": {"coordinates": [3, 4]}}"#,
            Some((4.0, 3.0)),
        );
        assert_at(r#"{"geo": {"coordinates": [3, 4]}, "geo": {"coordinates": [1, 2]}}"#, Some((1.0, 2.0)));
        for nowhere in [
            "{}",
            "7",
            "null",
            "\"geo\"",
            "[1, 2]",
            r#"{"geo": null, "coordinates": null, "place": null}"#,
            r#"{"geo": {"coordinates": ["34.05", "-118.25"]}}"#,
            r#"{"geo": {"coordinates": [1e999, 2]}}"#,
            r#"{"geo": {"coordinates": [1]}}"#,
            r#"{"geo": {"coordinates": [1, 2, 3]}}"#,
            r#"{"geo": {"coordinates": [-90.5, 2]}}"#,
            r#"{"geo": {"coordinates": [0, 180.5]}}"#,
            r#"{"geo": {"coordinates": {"coordinates": [2, 90.5]}}}"#,
            r#"{"geo": [1, 2], "coordinates": "1, 2"}"#,
            r#"{"place": {"full_name": "Nowhere", "bounding_box": null}}"#,
        ] {
            assert_at(nowhere, None);
        }
    }
}
