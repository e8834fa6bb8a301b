//! The part of Google's new Nearby Search response that is of use here. All of it may be missing.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::{fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct GoogleReply<'a> {
    #[serde(borrow)]
    pub(super) places: Option<Vec<NewPlace<'a>>>,
    pub(super) error: Option<ErrorReply>,
}

#[derive(Deserialize)]
pub(super) struct ErrorReply {
    pub(super) code: Option<u16>,
    pub(super) message: Option<JsonText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPlace<'a> {
    pub(super) id: Option<JsonText>,
    pub(super) display_name: Option<DisplayName>,
    #[serde(borrow)]
    pub(super) location: Option<LatLng<'a>>,
    #[serde(borrow)]
    pub(super) viewport: Option<NewViewport<'a>>,
    pub(super) types: Option<Vec<JsonText>>,
    pub(super) short_formatted_address: Option<JsonText>,
    pub(super) business_status: Option<JsonText>,
    pub(super) icon_mask_base_uri: Option<JsonText>,
    pub(super) icon_background_color: Option<JsonText>,
    pub(super) photos: Option<Vec<NewPhoto>>,
    pub(super) plus_code: Option<NewPlusCode>,
    #[serde(borrow)]
    pub(super) rating: Option<&'a RawValue>,
    pub(super) user_rating_count: Option<u64>,
    pub(super) price_level: Option<JsonText>,
    pub(super) current_opening_hours: Option<NewHours>,
}

#[derive(Deserialize)]
pub(super) struct DisplayName {
    pub(super) text: Option<JsonText>,
}

/// Numbers with their digits as they came: parsing and printing a float may change its last one.
#[derive(Deserialize)]
pub(super) struct LatLng<'a> {
    #[serde(borrow)]
    pub(super) latitude: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) longitude: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct NewViewport<'a> {
    #[serde(borrow)]
    pub(super) low: Option<LatLng<'a>>,
    #[serde(borrow)]
    pub(super) high: Option<LatLng<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPhoto {
    pub(super) name: Option<JsonText>,
    pub(super) width_px: Option<u64>,
    pub(super) height_px: Option<u64>,
    pub(super) author_attributions: Option<Vec<Author>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Author {
    pub(super) display_name: Option<JsonText>,
    pub(super) uri: Option<JsonText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPlusCode {
    pub(super) global_code: Option<JsonText>,
    pub(super) compound_code: Option<JsonText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewHours {
    pub(super) open_now: Option<bool>,
}

/// A number as it came, or nothing if something else is in its place.
pub(super) fn number(raw: &RawValue) -> Option<&RawValue> {
    let is_number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    is_number.then_some(raw)
}

/// A string. Half a surrogate pair, which is not text, becomes U+FFFD instead of costing the whole answer: cutting a
/// name in the middle of an emoji leaves one.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct JsonText(pub(super) String);

impl Deref for JsonText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = JsonText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<JsonText, E> {
                Ok(JsonText(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        deserializer.deserialize_bytes(TextVisitor)
    }
}
