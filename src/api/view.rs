//! What is told of a client: its location in JSON and in GeoJSON, with the digits received, and the tag of that.

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    ids,
    numbers::{halves, json_number, rfc3339_of},
};
use crate::core::{hex::Hex, model::Location};

/// In which form locations are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LocationForm {
    Json,
    GeoJson,
}

#[derive(Serialize)]
struct PlainView<'a> {
    client: &'a str,
    lat: &'a RawValue,
    lng: &'a RawValue,
    position: &'a str,
    timestamp: &'a str,
    time: Option<String>,
    server: &'a str,
    skew: &'a str,
    /// In the answer to a report only.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<bool>,
}

#[derive(Serialize)]
struct FeatureView<'a> {
    r#type: &'static str,
    id: &'a str,
    geometry: PointView<'a>,
    properties: PropertiesView<'a>,
}

#[derive(Serialize)]
struct PointView<'a> {
    r#type: &'static str,
    coordinates: [&'a RawValue; 2],
}

#[derive(Serialize)]
struct PropertiesView<'a> {
    client: &'a str,
    timestamp: &'a str,
    time: Option<String>,
    server: &'a str,
    skew: &'a str,
}

/// A location in that form.
pub(super) fn location(location: &Location<'_>, form: LocationForm) -> Vec<u8> {
    render(location, form, None)
}

/// A location that was just reported, and whether it is its client's newest.
pub(super) fn reported(location: &Location<'_>, is_newest: bool) -> Vec<u8> {
    render(location, LocationForm::Json, Some(is_newest))
}

fn render(location: &Location<'_>, form: LocationForm, newest: Option<bool>) -> Vec<u8> {
    // All of these are ASCII on every node; nothing is lost.
    let text = |bytes| String::from_utf8_lossy(bytes);
    let (position, timestamp) = (text(location.position), text(location.timestamp));
    let (server, skew) = (text(location.server), text(location.skew));
    let (client, time) = (ids::text_of(location.client), rfc3339_of(location.time));
    let (north, east) = halves(&position);
    let raw = |half| RawValue::from_string(json_number(half)).unwrap_or_default();
    let (lat, lng) = (raw(north), raw(east));
    let (client, timestamp, server, skew) = (&*client, &*timestamp, &*server, &*skew);
    let bytes = match form {
        LocationForm::Json => {
            let position = &*position;
            let (lat, lng) = (&*lat, &*lng);
            serde_json::to_vec(&PlainView {
                client,
                lat,
                lng,
                position,
                timestamp,
                time,
                server,
                skew,
                newest,
            })
        }
        LocationForm::GeoJson => serde_json::to_vec(&FeatureView {
            r#type: "Feature",
            id: client,
            geometry: PointView { r#type: "Point", coordinates: [&lng, &lat] },
            properties: PropertiesView { client, timestamp, time, server, skew },
        }),
    };
    // Writing plain values to memory cannot fail.
    bytes.unwrap_or_default()
}

/// The entity tag of a location in that form: another one whenever anything that is told of it changes.
pub(super) fn etag(location: &Location<'_>, form: LocationForm) -> String {
    let mut line = Vec::new();
    location.write_at(&mut line);
    location.generation.write_after(&mut line);
    let digest = Sha256::digest(&line);
    let form = if form == LocationForm::Json { 'j' } else { 'g' };
    format!("\"{}{form}\"", Hex(&digest[..8]))
}
