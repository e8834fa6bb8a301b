//! Asking for one client, for places, for the herd; and that the document says what answers hold.

use std::collections::BTreeSet;

use super::*;

fn etag(answer: &ApiAnswer) -> String {
    answer.headers.iter().find(|(name, _)| *name == "ETag").unwrap().1.clone()
}

#[test]
fn location_keeps_its_digits_in_both_forms() {
    let scene = Scene::new();
    scene.put("kiwi", r#"{"position":"+034.0680-000.50/","timestamp":"1479413884.5"}"#);
    let plain = scene.answer(get_client("kiwi"));
    let text = String::from_utf8(plain.body).unwrap();
    assert!(text.contains(r#""lat":34.0680,"lng":-0.50,"position":"+034.0680-000.50/""#), "{text}");
    let accept = Some(b"application/geo+json".to_vec());
    let map = scene.answer(ApiCall { accept, ..get_client("kiwi") });
    assert_eq!(map.content_type, "application/geo+json");
    let text = String::from_utf8(map.body).unwrap();
    assert!(text.contains(r#""geometry":{"type":"Point","coordinates":[-0.50,34.0680]}"#), "{text}");
    for (accept, media) in [
        ("*/*", JSON),
        ("application/json, application/geo+json;q=0.9", JSON),
        ("application/json;q=0.5, Application/Geo+JSON", GEOJSON),
        ("application/geo+json;q=0", JSON),
        ("text/html", JSON),
    ] {
        let accept = Some(accept.as_bytes().to_vec());
        assert_eq!(scene.answer(ApiCall { accept, ..get_client("kiwi") }).content_type, media);
    }
}

#[test]
fn ids_of_any_bytes_are_reported_and_asked_for() {
    let scene = Scene::new();
    let id = b"\xff/%?\x01";
    let path = || vec![b"v1".to_vec(), b"clients".to_vec(), id.to_vec()];
    assert_eq!(scene.said(ApiCall { path: path(), ..put("", KIWI) }).0, 200);
    let (status, told) = scene.said(ApiCall { path: path(), ..get_client("") });
    assert_eq!((status, &told["client"]), (200, &json!("%FF/%25?%01")));
    let again = r#"[{"client":"%FF/%25?%01","lat":1,"lng":2,"timestamp":1479413885}]"#;
    assert_eq!(scene.said(post("application/json", again)).1["results"][0]["newest"], json!(true));
    assert_eq!(scene.node.store().len(), 1);
}

#[test]
fn what_is_known_already_is_not_told_again() {
    let scene = Scene::new();
    scene.put("kiwi", KIWI);
    let first = scene.answer(get_client("kiwi"));
    let tag = etag(&first);
    let asked = |tag: &str| {
        scene.answer(ApiCall { if_none_match: Some(tag.as_bytes().to_vec()), ..get_client("kiwi") })
    };
    for same in [&*tag, "*", &format!("\"x\", W/{tag}")] {
        let answer = asked(same);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{same}");
        assert_eq!(etag(&answer), tag);
    }
    assert_eq!(asked("\"x\"").status, 200);
    let accept = Some(b"application/geo+json".to_vec());
    assert_ne!(
        etag(&scene.answer(ApiCall { accept, ..get_client("kiwi") })),
        tag,
        "another form is another text"
    );
    scene.put("kiwi", r#"{"lat":34.06893,"lng":-118.445127,"timestamp":1479413885}"#);
    assert_eq!(asked(&tag).status, 200);
}

#[test]
fn call_that_waits_is_answered_by_the_next_report_or_in_time() {
    let scene = Scene::new();
    let waits = |tag: Option<&str>| {
        let if_none_match = tag.map(|tag| tag.as_bytes().to_vec());
        let call = get(&["v1", "clients", "kiwi"], &[("wait", "30s")]);
        scene.exchange(ApiCall { if_none_match, ..call })
    };
    let is_waiting = |exchange: &mut ApiExchange<'_>, milliseconds| matches!(exchange.next(now(milliseconds)), ApiNext::Watch { until, .. } if until == Duration::from_secs(30));
    let status = |exchange: &mut ApiExchange<'_>, milliseconds| match exchange.next(now(milliseconds)) {
        ApiNext::Answer(answer) => answer.status,
        other => panic!("{other:?}"),
    };
    let (mut unknown, mut never) = (waits(None), waits(None));
    assert!(is_waiting(&mut unknown, 0) && is_waiting(&mut unknown, 1) && is_waiting(&mut never, 0));
    assert!(is_waiting(&mut never, 29_999));
    assert_eq!(status(&mut never, 30_000), 404);
    scene.put("kiwi", KIWI);
    assert_eq!(status(&mut unknown, 2), 200);
    let tag = etag(&scene.answer(get_client("kiwi")));
    let (mut next, mut other, mut same) = (waits(None), waits(Some("\"x\"")), waits(Some(&tag)));
    assert!(is_waiting(&mut next, 0) && is_waiting(&mut same, 0));
    assert_eq!(status(&mut other, 0), 200, "it has something else");
    let mut late = waits(Some(&tag));
    assert!(is_waiting(&mut late, 0));
    assert_eq!(status(&mut late, 30_000), 304);
    scene.put("kiwi", r#"{"lat":1,"lng":2,"timestamp":1479413885}"#);
    assert_eq!([status(&mut next, 3), status(&mut same, 3)], [200, 200]);
    for (wait, told) in
        [("60", 404), ("60s", 404), ("61s", 400), ("1m", 400), ("", 400), ("s", 400), ("-1s", 400)]
    {
        let call = get(&["v1", "clients", "weka"], &[("wait", wait)]);
        assert_eq!(scene.said(call).0, told, "{wait}");
    }
}

#[test]
fn places_are_looked_up_around_a_client_and_around_a_point() {
    let scene = Scene::new();
    scene.put("kiwi", r#"{"lat":34.5,"lng":-118.25}"#);
    for (call, center, radius_m, bound) in [
        (
            get(&["v1", "clients", "kiwi", "places"], &[("km", "2.5"), ("limit", "3")]),
            (34.5, -118.25),
            2500.0,
            3,
        ),
        (get(&["v1", "clients", "kiwi", "places"], &[]), (34.5, -118.25), 10_000.0, 20),
        (get(&["v1", "places"], &[("lat", "-1.5"), ("lng", "2e1")]), (-1.5, 20.0), 10_000.0, 20),
    ] {
        let is_client = call.path.len() == 4;
        let mut exchange = scene.exchange(call);
        let ApiNext::Look(query) = exchange.next(now(0)) else { panic!("places are looked up") };
        let asked = (query.center.latitude, query.center.longitude);
        assert_eq!((asked, query.radius_m, query.bound), (center, radius_m, bound));
        let (status, told) = told(&drive(&mut exchange, now(0)).0);
        assert_eq!((status, &told["places"]["status"]), (200, &json!("OK")));
        assert_eq!(told["client"]["client"] == "kiwi", is_client);
    }
    for query in [
        &[("lat", "1")][..],
        &[("lat", "91"), ("lng", "2")],
        &[("lat", "nan"), ("lng", "2")],
        &[("lat", "1"), ("lng", "180.1")],
        &[("lat", "1"), ("lng", "2"), ("km", "50.1")],
        &[("lat", "1"), ("lng", "2"), ("limit", "21")],
        &[("lat", "1"), ("lng", "2"), ("lat", "1")],
        &[("lat", "1"), ("lng", "2"), ("radius", "1")],
    ] {
        assert_eq!(scene.said(get(&["v1", "places"], query)).0, 400, "{query:?}");
    }
    assert_eq!(scene.said(get(&["v1", "clients", "weka", "places"], &[])).0, 404);
}

#[test]
fn source_that_fails_is_no_answer_with_no_places() {
    let scene = Scene::new();
    for (document, status, code) in [
        (r#"{"status":"OVER_QUERY_LIMIT","error_message":"later"}"#, 503, "source-busy"),
        (r#"{"status":"UNKNOWN_ERROR","error_message":"it is down"}"#, 502, "source-failed"),
        ("x", 502, "source-failed"),
    ] {
        let mut exchange = scene.exchange(get(&["v1", "places"], &[("lat", "1"), ("lng", "2")]));
        assert!(matches!(exchange.next(now(0)), ApiNext::Look(_)));
        exchange.document().unwrap().extend_from_slice(document.as_bytes());
        exchange.looked(Looked { results: 0, is_failed: true });
        let (said, told) = told(&drive(&mut exchange, now(0)).0);
        assert_eq!((said, &told["code"]), (status, &json!(code)));
    }
}

#[test]
fn paths_and_methods_that_are_not_there_are_told_apart() {
    let scene = Scene::new();
    for path in [
        &["v1"][..],
        &["v2", "clients"],
        &["v1", "clients", "kiwi", "x"],
        &["v1", "Clients"],
        &["v1", ""],
        &[],
    ] {
        assert_eq!(scene.said(get(path, &[])).0, 404, "{path:?}");
    }
    let answer = scene.answer(call(ApiMethod::Post, &["v1", "clients", "kiwi"], &[]));
    assert_eq!((answer.status, answer.headers), (405, vec![("Allow", "GET, PUT, DELETE".to_owned())]));
    assert_eq!(scene.said(call(ApiMethod::Other, &["v1", "herd"], &[])).0, 405);
    assert_eq!(scene.answer(get(&["openapi.json"], &[])).body, OPENAPI.as_bytes());
}

/// The fields of a value, and those that a schema has and must have.
fn check(value: &Value, schema: &Value, at: &str) {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let schema = match schema["$ref"].as_str() {
        Some(path) => document.pointer(&path[1..]).unwrap(),
        None => schema,
    };
    if let Value::Object(fields) = value {
        let Some(properties) = schema["properties"].as_object() else { return };
        let has: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let required: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(has.is_subset(&known), "{at}: {has:?} beyond {known:?}");
        assert!(required.is_subset(&has), "{at}: {has:?} without {required:?}");
        fields.iter().for_each(|(name, value)| check(value, &properties[name], &format!("{at}.{name}")));
    }
    if let Value::Array(items) = value {
        items.iter().for_each(|item| check(item, &schema["items"], at));
    }
}

#[test]
fn answers_have_the_fields_that_the_document_says() {
    let scene = Scene::new();
    let id = "/components/schemas/";
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let geojson = Some(b"application/geo+json".to_vec());
    let many = r#"[{"client":"a","lat":1,"lng":2},{}]"#;
    for (call, schema) in [
        (put("kiwi", KIWI), "Reported"),
        (get_client("kiwi"), "Location"),
        (ApiCall { accept: geojson.clone(), ..get_client("kiwi") }, "Feature"),
        (get(&["v1", "clients"], &[]), "Clients"),
        (ApiCall { accept: geojson, ..get(&["v1", "clients"], &[]) }, "Features"),
        (post("application/json", many), "Results"),
        (get(&["v1", "places"], &[("lat", "1"), ("lng", "2")]), "Places"),
        (get(&["v1", "clients", "kiwi", "places"], &[]), "Places"),
        (get(&["v1", "herd"], &[]), "Herd"),
        (get_client("nobody"), "Problem"),
    ] {
        let schema_value = document.pointer(&format!("{id}{schema}")).unwrap();
        check(&scene.said(call).1, schema_value, schema);
    }
    let fields = document.pointer(&format!("{id}NewReport/properties")).unwrap().as_object().unwrap();
    let body: serde_json::Map<String, Value> =
        fields.keys().map(|name| (name.clone(), Value::Null)).collect();
    let (_, told) = scene.put("kiwi", &Value::Object(body).to_string());
    assert!(told["detail"].as_str().unwrap().contains("either lat and lng"), "a field is unknown: {told}");
}
