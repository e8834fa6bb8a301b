//! The new service: what it is asked, and its answer in the form of the legacy one.

use serde_json::{Value, json};

use super::{KEY, failed, failure, located, lookup, metric, recorded};
use crate::support::{Answer, Setup, Upstream};

/// A node that asks the new service, with more of the table `[places]`.
fn google_new(upstream: &Upstream, more: &str) -> Setup {
    let table = format!("source = \"google-new\"\nnew_base_url = \"{}\"\n{more}", upstream.url());
    Setup::new().source(&table).key(KEY).http("")
}

const CHEAP: [&str; 11] = [
    "businessStatus",
    "displayName",
    "iconBackgroundColor",
    "iconMaskBaseUri",
    "id",
    "location",
    "photos",
    "plusCode",
    "shortFormattedAddress",
    "types",
    "viewport",
];
const DEAR: [&str; 4] = ["currentOpeningHours.openNow", "priceLevel", "rating", "userRatingCount"];

#[test]
fn request_is_googles_and_asks_for_what_is_cheap() {
    let upstream = Upstream::answering(Answer::ok("{}\n"));
    let node = google_new(&upstream, "").start();
    let (mut client, at) = located(&node);
    lookup(&mut client, &at, "10", 5);
    let asked = &upstream.asked()[0];
    assert_eq!(asked.line(), "POST /v1/places:searchNearby HTTP/1.1");
    assert_eq!(asked.header("x-goog-api-key"), Some(KEY));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("accept-encoding"), Some("gzip"));
    assert_eq!(asked.head.matches(KEY).count(), 1);
    let center = json!({"latitude": 34.06893, "longitude": -118.445127});
    let expected = json!({
        "locationRestriction": {"circle": {"center": center, "radius": 10_000.0}},
        "maxResultCount": 20,
        "rankPreference": "POPULARITY",
    });
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap(), expected);
    assert_eq!(mask(asked.header("x-goog-fieldmask").unwrap()), CHEAP);
}

#[test]
fn request_asks_for_ratings_a_language_and_a_type_where_they_are_configured() {
    let upstream = Upstream::answering(Answer::ok("{}\n"));
    let node = google_new(&upstream, "ratings = true\nlanguage = \"de\"\ntype = \"cafe\"").start();
    let (mut client, at) = located(&node);
    lookup(&mut client, &at, "50", 5);
    let asked = &upstream.asked()[0];
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!((&body["languageCode"], &body["includedTypes"]), (&json!("de"), &json!(["cafe"])));
    let mut fields = [&CHEAP[..], &DEAR].concat();
    fields.sort_unstable();
    assert_eq!(mask(asked.header("x-goog-fieldmask").unwrap()), fields);
}

/// The fields of a mask, in alphabetical order.
fn mask(text: &str) -> Vec<&str> {
    let fields = text.split(',').map(|field| field.strip_prefix("places.").unwrap());
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable();
    fields
}

/// What the recorded answer is in the legacy form.
fn translated() -> [Value; 3] {
    let point = |lat: f64, lng: f64| json!({"lat": lat, "lng": lng});
    let viewport =
        json!({"northeast": point(34.0702744, -118.4460208), "southwest": point(34.0675764, -118.4487188)});
    let cafe = json!({
        "business_status": "OPERATIONAL",
        "geometry": {"location": point(34.0689254, -118.4473698), "viewport": viewport},
        "icon_background_color": "#FF9E67",
        "icon_mask_base_uri": "https://icons.example/cafe_pinlet",
        "name": "Caf\u{e9} <Zwei> & \u{6771}\u{4eac}",
        "opening_hours": {"open_now": true},
        "photos": [{
            "height": 3024,
            "html_attributions": ["<a href=\"https://people.example/2\">Nana</a>"],
            "photo_reference": "Aap_invented-9",
            "width": 4032,
        }],
        "place_id": "invented-8",
        "plus_code": {"compound_code": "3H92+HX Kiwi Valley", "global_code": "85633H92+HX"},
        "price_level": 2,
        "rating": 4.4,
        "reference": "invented-8",
        "types": ["cafe", "food", "point_of_interest", "establishment"],
        "user_ratings_total": 321,
        "vicinity": "2 Any Street, Kiwi Valley",
    });
    let town = json!({
        "geometry": {"location": {"lat": 34.1, "lng": -118}},
        "name": "Kiwi Valley",
        "place_id": "invented-9",
        "reference": "invented-9",
        "types": ["locality", "political"],
    });
    let park = json!({
        "geometry": {"location": point(-1e-7, 179.999999)},
        "name": "Park",
        "opening_hours": {"open_now": false},
        "place_id": "invented-10",
        "price_level": 0,
        "reference": "invented-10",
        "types": ["park"],
        "vicinity": "Park Way",
    });
    [cafe, town, park]
}

/// A result without what a translation may do one way or the other.
fn without_choices(result: &Value) -> Value {
    let mut result = result.clone();
    let map = result.as_object_mut().unwrap();
    for key in ["icon", "scope"] {
        map.remove(key);
    }
    result
}

#[test]
fn answer_is_translated_into_the_legacy_form_and_cut_to_the_bound() {
    let upstream = Upstream::answering(Answer::ok(recorded!("new")));
    let node = google_new(&upstream, "ratings = true").start();
    let (mut client, at) = located(&node);
    for bound in [0, 1, 2, 3, 20] {
        let text = lookup(&mut client, &at, "10", bound);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["status"], "OK");
        assert_eq!(document["html_attributions"], json!([]));
        let results: Vec<_> = document["results"].as_array().unwrap().iter().map(without_choices).collect();
        assert_eq!(results, translated()[..bound.min(3)], "{text}");
        // Google's white space and order.
        assert!(text.starts_with("{\n   \"html_attributions\" : [],\n   \"results\" : ["), "{text}");
        assert!(text.ends_with("],\n   \"status\" : \"OK\"\n}"), "{text}");
        assert!(!text.contains('<') && !text.contains('&'), "{text}");
    }
}

#[test]
fn keys_are_in_alphabetical_order() {
    let upstream = Upstream::answering(Answer::ok(recorded!("new")));
    let node = google_new(&upstream, "ratings = true").start();
    let (mut client, at) = located(&node);
    let text = lookup(&mut client, &at, "10", 1);
    // By depth: the key before.
    let mut last = vec![String::new(); 9];
    for line in text.lines() {
        let depth = (line.len() - line.trim_start().len()) / 3;
        last[depth + 1..].fill(String::new());
        if let Some((key, _)) = line.trim_start().split_once("\" : ") {
            assert!(*last[depth] < *key, "{key} after {} in {text}", last[depth]);
            key.clone_into(&mut last[depth]);
        }
    }
}

#[test]
fn nothing_found_is_zero_results() {
    for empty in ["{}", "{}\n", "{\"places\": []}"] {
        let upstream = Upstream::answering(Answer::ok(empty));
        let node = google_new(&upstream, "").start();
        let (mut client, at) = located(&node);
        let expected =
            "{\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"ZERO_RESULTS\"\n}";
        assert_eq!(lookup(&mut client, &at, "10", 5), expected);
        assert_eq!(metric(&node, "lookups_total/google-new/zero_results"), 1.0);
        assert_eq!(metric(&node, "calls_total/google-new/ok"), 1.0);
    }
}

#[test]
fn error_is_told_in_the_legacy_form() {
    for (code, word, status, outcome, calls) in [
        (400, "INVALID_ARGUMENT", "INVALID_REQUEST", "invalid", 1),
        (401, "UNAUTHENTICATED", "REQUEST_DENIED", "denied", 1),
        (403, "PERMISSION_DENIED", "REQUEST_DENIED", "denied", 1),
        (429, "RESOURCE_EXHAUSTED", "OVER_QUERY_LIMIT", "limited", 1),
        (500, "INTERNAL", "UNKNOWN_ERROR", "unavailable", 2),
        (503, "UNAVAILABLE", "UNKNOWN_ERROR", "unavailable", 2),
    ] {
        let error = json!({"error": {"code": code, "message": format!("Because of {KEY}."), "status": word}});
        let upstream = Upstream::answering(Answer::new(code, serde_json::to_string_pretty(&error).unwrap()));
        let node = google_new(&upstream, "").start();
        let (mut client, at) = located(&node);
        let (told, message) = failure(&lookup(&mut client, &at, "10", 5));
        assert_eq!((told.as_str(), upstream.count()), (status, calls), "{code}");
        assert!(message.contains("Because of "), "{message}");
        assert_eq!(metric(&node, &format!("calls_total/google-new/{outcome}")), calls as f64);
        assert_eq!(metric(&node, "lookups_total/google-new/failed"), 1.0);
    }
}

#[test]
fn what_is_no_answer_of_the_new_service_is_malformed() {
    for body in ["", "[]", "<html>", "{\"places\":1}", "{\"places\":[1]}", "{\"places\":[{}"] {
        let upstream = Upstream::answering(Answer::ok(body));
        let node = google_new(&upstream, "").start();
        let (mut client, at) = located(&node);
        assert_eq!(failed(&lookup(&mut client, &at, "10", 5)), "UNKNOWN_ERROR", "{body}");
        assert_eq!((metric(&node, "calls_total/google-new/malformed"), upstream.count()), (1.0, 1), "{body}");
    }
}

#[test]
fn ways_over_the_wire_do_not_matter_to_a_translation() {
    let upstream = Upstream::in_turn(vec![
        Answer::ok(recorded!("new")),
        Answer::ok(recorded!("new")).gzipped().chunked(),
        Answer::raw(""),
        Answer::ok(recorded!("new")),
    ]);
    let node = google_new(&upstream, "").start();
    let (mut client, at) = located(&node);
    let plain = lookup(&mut client, &at, "10", 5);
    assert_eq!(lookup(&mut client, &at, "10", 5), plain);
    // A search changes nothing, so one that broke may be tried again though it is a POST.
    assert_eq!(lookup(&mut client, &at, "10", 5), plain);
    assert_eq!((upstream.count(), metric(&node, "retries_total/google-new")), (4, 1.0));
}
