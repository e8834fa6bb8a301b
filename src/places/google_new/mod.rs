//! Google's new Nearby Search, with its answers converted to the format of the legacy one.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

mod reply;

use serde::Serialize;
use serde_json::{json, value::RawValue};

use self::reply::{Author, GoogleReply, JsonText, LatLng, NewPhoto, NewPlace, NewViewport, number};
use super::{
    Query,
    cut::{Document, Unfit},
    google::{RADIUS_M_MIN, unreadable},
    html,
    key::ApiKey,
    legacy,
    upstream::{CallFault, Service, UpstreamRequest},
};
use crate::{config::PlacesConfig, metrics::CallOutcome};

/// The most that Google returns; the bound is applied afterwards, so that lookups with different bounds share one call.
const RESULTS_MAX: usize = 20;

/// The fields of the cheaper tier. The most expensive field that a call names decides its price.
const FIELDS: [&str; 11] = [
    "id",
    "displayName",
    "location",
    "viewport",
    "types",
    "shortFormattedAddress",
    "businessStatus",
    "iconMaskBaseUri",
    "iconBackgroundColor",
    "photos",
    "plusCode",
];
const DEARER_FIELDS: [&str; 4] = ["rating", "userRatingCount", "priceLevel", "currentOpeningHours.openNow"];

/// The new service.
pub(super) struct GoogleNew {
    key: ApiKey,
    url: String,
    fields: String,
    language: Option<String>,
    kind: Option<String>,
}

impl GoogleNew {
    pub(super) fn new(config: &PlacesConfig, key: ApiKey) -> Self {
        let dearer: &[&str] = if config.upstream.ratings { &DEARER_FIELDS } else { &[] };
        let fields = FIELDS.iter().chain(dearer).map(|field| format!("places.{field}"));
        Self {
            key,
            url: format!("{}/v1/places:searchNearby", config.new_base_url),
            fields: fields.collect::<Vec<_>>().join(","),
            language: config.language.clone(),
            kind: config.kind.clone(),
        }
    }
}

impl Service for GoogleNew {
    fn name(&self) -> &'static str {
        "google-new"
    }

    fn request(&self, query: &Query) -> UpstreamRequest {
        let Query { center, radius_m, .. } = query;
        let mut body = json!({
            "locationRestriction": { "circle": {
                "center": { "latitude": center.latitude, "longitude": center.longitude },
                "radius": radius_m.max(RADIUS_M_MIN),
            } },
            "maxResultCount": RESULTS_MAX,
            "rankPreference": "POPULARITY",
        });
        if let Some(language) = &self.language {
            body["languageCode"] = json!(language);
        }
        if let Some(kind) = &self.kind {
            body["includedTypes"] = json!([kind]);
        }
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Goog-Api-Key", self.key.expose().to_owned()),
            ("X-Goog-FieldMask", self.fields.clone()),
        ];
        UpstreamRequest { url: self.url.clone(), headers, body: Some(body.to_string().into_bytes()) }
    }

    fn read(&self, status: u16, body: Vec<u8>) -> Result<Document, CallFault> {
        let reply: GoogleReply<'_> = match serde_json::from_slice(&body) {
            Ok(reply) => reply,
            Err(error) => return Err(unreadable(self.name(), status, &Unfit::not_json(&error, &body))),
        };
        match reply.error {
            None if status == 200 => {}
            None => return Err(CallFault::of_http(status, self.name())),
            Some(error) => {
                let code = error.code.unwrap_or(status);
                let fault = CallFault::of_http(code, self.name());
                let message =
                    error.message.map_or(fault.failure.message.clone(), |text| self.key.scrub(&text.0));
                // An invalid key is reported as an invalid argument.
                let is_key = code == 400 && message.contains("API key");
                let outcome = if is_key { CallOutcome::Denied } else { fault.outcome };
                return Err(CallFault::new(outcome, message));
            }
        }
        let results: Vec<_> = reply.places.iter().flatten().map(Place::of).collect();
        let answer = LegacyAnswer {
            html_attributions: [],
            status: if results.is_empty() { "ZERO_RESULTS" } else { "OK" },
            results,
        };
        let mut text = Vec::new();
        legacy::write(&answer, &mut text);
        Document::parse(text, "results").map_err(|unfit| unreadable(self.name(), status, &unfit))
    }

    fn scrub(&self, text: &str) -> String {
        self.key.scrub(text)
    }
}

// What the client gets: keys in alphabetical order, without those that Google left out.

#[derive(Serialize)]
struct LegacyAnswer<'a> {
    html_attributions: [&'a str; 0],
    results: Vec<Place<'a>>,
    status: &'a str,
}

#[derive(Serialize)]
struct Place<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    business_status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geometry: Option<Geometry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_background_color: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_mask_base_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening_hours: Option<Hours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photos: Option<Vec<Photo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plus_code: Option<PlusCode<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_level: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<&'a [JsonText]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_ratings_total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vicinity: Option<&'a str>,
}

#[derive(Serialize)]
struct Geometry<'a> {
    location: Point<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewport: Option<Viewport<'a>>,
}

#[derive(Serialize)]
struct Viewport<'a> {
    northeast: Point<'a>,
    southwest: Point<'a>,
}

#[derive(Serialize)]
struct Point<'a> {
    lat: &'a RawValue,
    lng: &'a RawValue,
}

#[derive(Serialize)]
struct Hours {
    open_now: bool,
}

#[derive(Serialize)]
struct Photo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    html_attributions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u64>,
}

#[derive(Serialize)]
struct PlusCode<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    compound_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_code: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(place: &'a NewPlace<'_>) -> Self {
        let id = place.id.as_deref();
        let mask = place.icon_mask_base_uri.as_deref();
        Self {
            business_status: place.business_status.as_deref(),
            geometry: place.location.as_ref().and_then(Point::of).map(|location| Geometry {
                location,
                viewport: place.viewport.as_ref().and_then(Viewport::of),
            }),
            // Google serves a mask as a picture if its ending is added.
            icon: mask.map(|mask| format!("{mask}.png")),
            icon_background_color: place.icon_background_color.as_deref(),
            icon_mask_base_uri: mask,
            name: place.display_name.as_ref().and_then(|name| name.text.as_deref()),
            opening_hours: place
                .current_opening_hours
                .as_ref()
                .and_then(|hours| hours.open_now)
                .map(|open_now| Hours { open_now }),
            photos: place.photos.as_deref().map(|photos| photos.iter().map(Photo::of).collect()),
            place_id: id,
            plus_code: place.plus_code.as_ref().map(|code| PlusCode {
                compound_code: code.compound_code.as_deref(),
                global_code: code.global_code.as_deref(),
            }),
            price_level: place.price_level.as_deref().and_then(price_level),
            rating: place.rating.and_then(number),
            reference: id,
            scope: "GOOGLE",
            types: place.types.as_deref(),
            user_ratings_total: place.user_rating_count,
            vicinity: place.short_formatted_address.as_deref(),
        }
    }
}

impl<'a> Point<'a> {
    fn of(point: &LatLng<'a>) -> Option<Self> {
        Some(Self { lat: number(point.latitude?)?, lng: number(point.longitude?)? })
    }
}

impl<'a> Viewport<'a> {
    fn of(viewport: &NewViewport<'a>) -> Option<Self> {
        let corner = |corner: &Option<LatLng<'a>>| corner.as_ref().and_then(Point::of);
        Some(Self { northeast: corner(&viewport.high)?, southwest: corner(&viewport.low)? })
    }
}

impl<'a> Photo<'a> {
    fn of(photo: &'a NewPhoto) -> Self {
        let author = |author: &Author| {
            html::attribution(author.display_name.as_deref().unwrap_or_default(), author.uri.as_deref())
        };
        Self {
            height: photo.height_px,
            html_attributions: photo.author_attributions.iter().flatten().map(author).collect(),
            photo_reference: photo.name.as_deref().and_then(|name| name.rsplit('/').next()),
            width: photo.width_px,
        }
    }
}

fn price_level(name: &str) -> Option<u8> {
    Some(match name.strip_prefix("PRICE_LEVEL_")? {
        "FREE" => 0,
        "INEXPENSIVE" => 1,
        "MODERATE" => 2,
        "EXPENSIVE" => 3,
        "VERY_EXPENSIVE" => 4,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{config::UpstreamLimits, core::model::Coordinates, places::key::tests::key};

    fn google(config: &PlacesConfig) -> GoogleNew {
        GoogleNew::new(config, key("AIzaSecret"))
    }

    fn request(config: &PlacesConfig) -> (UpstreamRequest, Value) {
        let center = Coordinates { latitude: 34.06893, longitude: -118.445127 };
        let request = google(config).request(&Query { center, radius_m: 10_000.0, bound: 3 });
        let body = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        (request, body)
    }

    #[test]
    fn a_question_is_a_circle_with_the_key_and_the_mask_in_headers() {
        let (request, body) = request(&PlacesConfig::default());
        assert_eq!(request.url, "https://places.googleapis.com/v1/places:searchNearby");
        assert_eq!(
            body,
            json!({
                "locationRestriction": {"circle": {"center": {"latitude": 34.06893, "longitude": -118.445127}, "radius": 10000.0}},
                "maxResultCount": 20,
                "rankPreference": "POPULARITY"
            })
        );
        let header =
            |name| request.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str());
        assert_eq!(header("X-Goog-Api-Key"), Some("AIzaSecret"));
        let mask = header("X-Goog-FieldMask").unwrap();
        assert!(mask.starts_with("places.id,places.displayName,") && !mask.contains("rating"), "{mask}");
    }

    #[test]
    fn ratings_language_and_type_are_asked_for_where_configured() {
        let config = PlacesConfig {
            language: Some("fr".into()),
            kind: Some("cafe".into()),
            upstream: UpstreamLimits { ratings: true, ..UpstreamLimits::default() },
            ..PlacesConfig::default()
        };
        let (request, body) = request(&config);
        assert_eq!((&body["languageCode"], &body["includedTypes"]), (&json!("fr"), &json!(["cafe"])));
        let mask = &request.headers.iter().find(|header| header.0 == "X-Goog-FieldMask").unwrap().1;
        assert!(mask.ends_with(
            "places.rating,places.userRatingCount,places.priceLevel,places.currentOpeningHours.openNow"
        ));
    }

    fn read(status: u16, body: &str) -> Result<String, (CallOutcome, &'static str, String)> {
        let read = google(&PlacesConfig::default()).read(status, body.into());
        read.map(|document| {
            let mut out = Vec::new();
            document.write(20, &mut out);
            String::from_utf8(out).unwrap()
        })
        .map_err(|fault| (fault.outcome, fault.failure.status, fault.failure.message))
    }

    #[test]
    fn a_place_is_put_into_the_legacy_format() {
        let text = read(200, include_str!("../testdata/new.json")).unwrap();
        assert_eq!(text, include_str!("../testdata/new-as-legacy.json").trim_end());
    }

    #[test]
    fn nothing_found_and_nothing_known_are_answers() {
        let nothing =
            "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}";
        assert_eq!(read(200, "{}").unwrap(), nothing);
        let bare: Value = serde_json::from_str(&read(200, "{\"places\":[{}]}").unwrap()).unwrap();
        assert_eq!(bare["results"], json!([{"scope": "GOOGLE"}]));
    }

    #[test]
    fn names_and_addresses_of_contributors_are_text_in_html() {
        let body = json!({"places": [{"photos": [{"name": "places/x/photos/y", "authorAttributions": [
            {"displayName": "Eve <img src=x onerror='alert(1)'> & \"Co\"\n\n", "uri": "https://example.org/\" onclick=\"x"},
            {"displayName": "Mallory", "uri": "javascript:alert(1)"},
            {"displayName": "Nana", "uri": "//maps.google.com/maps/contrib/1"},
            {"uri": "https://example.org"},
            {"displayName": null},
        ]}, {"authorAttributions": null}]}]});
        let text = read(200, &body.to_string()).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            answer["results"][0]["photos"][0]["html_attributions"],
            json!([
                "<a href=\"https://example.org/&quot; onclick=&quot;x\">Eve &lt;img src=x onerror=&#39;alert(1)&#39;&gt; &amp; &quot;Co&quot;  </a>",
                "Mallory",
                "<a href=\"https://maps.google.com/maps/contrib/1\">Nana</a>",
                "<a href=\"https://example.org\"></a>",
                "",
            ])
        );
        assert_eq!(answer["results"][0]["photos"][1]["html_attributions"], json!([]));
        assert!(!text.contains("\n\n") && !text.contains('<'), "{text}");
    }

    #[test]
    fn half_a_surrogate_pair_or_a_word_for_a_number_costs_no_other_place() {
        let body = r#"{"places": [
            {"displayName": {"text": "cut \ud83d"}, "rating": "4", "location": {"latitude": {"a":

                1}, "longitude": 2},
             "photos": [{"authorAttributions": [{"displayName": "\ud83d\ude00\udc00"}]}]},
            {"displayName": {"text": "\ud83d\ude00\u0000"}, "location": {"latitude": -1, "longitude": 2.50}}
        ]}"#;
        let text = read(200, body).unwrap();
        let results = &serde_json::from_str::<Value>(&text).unwrap()["results"];
        assert!(results[0]["name"].as_str().unwrap().starts_with("cut \u{fffd}"), "{text}");
        assert_eq!((&results[0]["rating"], &results[0]["geometry"]), (&Value::Null, &Value::Null));
        let author = results[0]["photos"][0]["html_attributions"][0].as_str().unwrap();
        assert!(author.starts_with("\u{1f600}\u{fffd}"), "{author}");
        assert_eq!(results[1]["name"], "\u{1f600}\0");
        assert!(
            text.contains("\"lat\" : -1,") && text.contains("\"lng\" : 2.50") && !text.contains("\n\n"),
            "{text}"
        );
    }

    #[test]
    fn an_error_has_the_legacy_status_for_its_code() {
        for (code, outcome, status) in [
            (400, CallOutcome::Invalid, "INVALID_REQUEST"),
            (401, CallOutcome::Denied, "REQUEST_DENIED"),
            (403, CallOutcome::Denied, "REQUEST_DENIED"),
            (429, CallOutcome::Limited, "OVER_QUERY_LIMIT"),
            (500, CallOutcome::Unavailable, "UNKNOWN_ERROR"),
            (503, CallOutcome::Unavailable, "UNKNOWN_ERROR"),
        ] {
            let body =
                format!("{{\"error\":{{\"code\":{code},\"message\":\"no AIzaSecret\",\"status\":\"X\"}}}}");
            assert_eq!(read(code, &body).unwrap_err(), (outcome, status, "no [key]".to_owned()));
        }
        let invalid_key = r#"{"error":{"code":400,"message":"API key not valid."}}"#;
        assert_eq!(read(400, invalid_key).unwrap_err().0, CallOutcome::Denied);
        assert_eq!(read(200, "<html>").unwrap_err().0, CallOutcome::Malformed);
        assert_eq!(read(502, "<html>").unwrap_err().0, CallOutcome::Unavailable);
        assert_eq!(
            read(200, "{\"places\":[{\"location\":{\"latitude\":\"x\"}").unwrap_err().0,
            CallOutcome::Malformed
        );
    }
}
