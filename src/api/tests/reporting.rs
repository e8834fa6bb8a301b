//! Reports and forgettings by PUT, POST and DELETE.

use super::*;

#[test]
fn report_is_answered_with_the_location_as_it_is_told() {
    let scene = Scene::new();
    let (status, told) = scene.put("kiwi", KIWI);
    assert_eq!((status, &told["newest"]), (200, &json!(true)));
    assert_eq!(told["position"], "+34.068930-118.445127");
    assert_eq!(told["timestamp"], "1479413884.392014450");
    assert_eq!(told["time"], "2016-11-17T20:18:04.392014450Z");
    assert_eq!((&told["server"], &told["skew"]), (&json!("Alford"), &json!("-0.392014450")));
    // Stale: answered with its own data, and not stored.
    let (status, stale) = scene.put("kiwi", r#"{"lat": 1, "lng": 2, "timestamp": 5}"#);
    assert_eq!((status, &stale["newest"], &stale["position"]), (200, &json!(false), &json!("+1+2")));
    let (_, told) = scene.said(get_client("kiwi"));
    assert_eq!(told["position"], "+34.068930-118.445127");
    // Without a time it is the node's.
    assert_eq!(scene.put("weka", r#"{"lat": 1, "lng": 2}"#).1["timestamp"], T0.to_string());
}

#[test]
fn what_cannot_be_read_is_told_why_and_stores_nothing() {
    let scene = Scene::new();
    for (body, why) in [
        ("", "not a JSON object"),
        (r#"[null, 1, 2]"#, "not a JSON object"),
        ("{", "EOF"),
        ("{}", "either lat and lng, or position"),
        (r#"{"lat":1}"#, "either lat and lng, or position"),
        (r#"{"lat":1,"lng":2,"position":"+1+2"}"#, "either lat and lng, or position"),
        (r#"{"lat":1,"lon":2}"#, "unknown field `lon`"),
        (r#"{"lat":1,"lng":2,"lat":3}"#, "duplicate field `lat`"),
        (r#"{"lat":91,"lng":2}"#, "within 90 and 180"),
        (r#"{"lat":90.0000000000000000001,"lng":2}"#, "within 90 and 180"),
        (r#"{"lat":1e3,"lng":2}"#, "within 90 and 180"),
        (r#"{"lat":"x","lng":2}"#, "lat is not a decimal number"),
        (r#"{"lat":true,"lng":2}"#, "lat is not a decimal number"),
        (r#"{"lat":1,"lng":2,"timestamp":-1}"#, "not POSIX seconds"),
        (r#"{"lat":1,"lng":2,"timestamp":1.0123456789}"#, "not POSIX seconds"),
        (r#"{"lat":1,"lng":2,"timestamp":1,"time":"2016-11-17T20:18:04Z"}"#, "either timestamp or time"),
        (r#"{"lat":1,"lng":2,"time":"yesterday"}"#, "RFC 3339"),
        (r#"{"lat":1,"lng":2,"client":"weka"}"#, "not the one of the path"),
        (r#"{"lat":1,"lng":2,"client":"50%"}"#, "write %25"),
    ] {
        let (status, told) = scene.put("kiwi", body);
        let detail = told["detail"].as_str().unwrap_or_default();
        assert_eq!((status, &told["code"]), (400, &json!("malformed")), "{body}");
        assert!(detail.contains(why), "{body}: {detail}");
    }
    assert_eq!(scene.said(put("a b", KIWI)).0, 400);
    assert_eq!(scene.said(put("", KIWI)).0, 400);
    assert!(scene.node.store().is_empty());
}

#[test]
fn only_json_is_taken_so_that_no_page_of_another_site_reports() {
    let scene = Scene::new();
    for media in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let put = with_body(call(ApiMethod::Put, &["v1", "clients", "kiwi"], &[]), media, KIWI);
        assert_eq!(scene.said(put).0, 415, "{media}");
        assert_eq!(scene.said(post(media, "[]")).0, 415, "{media}");
    }
    let put = with_body(
        call(ApiMethod::Put, &["v1", "clients", "kiwi"], &[]),
        "Application/JSON; charset=utf-8",
        KIWI,
    );
    assert_eq!(scene.said(put).0, 200);
}

#[test]
fn each_report_of_many_has_its_result_and_only_bad_ones_are_lost() {
    let scene = Scene::new();
    let first = r#"{"client":"a","lat":1,"lng":2}"#;
    let lines = [
        first,
        r#"{"client":"b","lat":1}"#,
        "x",
        r#"{"lat":1,"lng":2}"#,
        r#"{"client":"c","lat":1,"lng":2}"#,
        first,
    ];
    let (status, told) = scene.said(post("application/x-ndjson", &lines.join("\r\n\n")));
    let results = told["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!((status, statuses), (200, vec![200, 400, 400, 400, 200, 200]));
    assert_eq!((&results[0]["newest"], &results[5]["newest"]), (&json!(true), &json!(false)));
    assert!(scene.knows("a") && scene.knows("c") && !scene.knows("b"));
    let (status, told) = scene.said(post("application/json", "[]"));
    assert_eq!((status, told), (200, json!({"results": []})));
    for body in ["", "{}", "null", "[1", "[] []", r#"[{"client":"d","lat":1,"lng":2},]"#] {
        assert_eq!(scene.said(post("application/json", body)).0, 400, "{body}");
    }
    assert!(!scene.knows("d"));
}

#[test]
fn reports_of_a_call_are_bounded_and_beyond_that_nothing_is_done() {
    let mut scene = Scene::new();
    scene.face = ApiFace::new(ApiBounds { reports: 2, ..ApiBounds::default() }, [7; 32]);
    let report = |id: &str| format!(r#"{{"client":"{id}","lat":1,"lng":2}}"#);
    let reports = ["a", "b", "c"].map(report);
    let array = |count: usize| format!("[{}]", reports[..count].join(","));
    for (media, three, two) in [
        ("application/json", array(3), array(2)),
        ("application/x-ndjson", reports.join("\n"), format!("{}\n", reports[..2].join("\n"))),
    ] {
        let (status, told) = scene.said(post(media, &three));
        assert_eq!((status, &told["code"]), (413, &json!("too-large")));
        assert!(media == "application/x-ndjson" || !scene.knows("a"));
        assert_eq!(scene.said(post(media, &two)).0, 200);
    }
    assert!(scene.knows("b") && !scene.knows("c"));
}

#[test]
fn report_must_fit_the_line_that_says_the_same() {
    let mut scene = Scene::new();
    let line = "IAMAT kiwi +1.00+2 5";
    let body = r#"{"lat":1.00,"lng":2,"timestamp":5}"#;
    for (line_bytes, status) in [(line.len() - 1, 413), (line.len(), 200)] {
        scene.face = ApiFace::new(ApiBounds { line_bytes, ..ApiBounds::default() }, [7; 32]);
        assert_eq!(scene.put("kiwi", body).0, status);
        assert_eq!(scene.knows("kiwi"), status == 200);
    }
}

#[test]
fn limits_on_reports_are_those_of_the_line_protocol() {
    let limits = ReportLimits {
        client_bytes: 4,
        max_clients: 1,
        max_ahead: Some(Duration::from_secs(10)),
        ..ReportLimits::NONE
    };
    let scene = Scene::with(limits, |node| node);
    let at = |seconds: u64| format!(r#"{{"lat":1,"lng":2,"timestamp":{seconds}}}"#);
    for (id, seconds, status, code) in [
        ("kiwis", T0, 422, "long-client"),
        ("kiwi", T0 + 11, 422, "too-far-ahead"),
        ("kiwi", T0 + 10, 200, ""),
        ("weka", T0, 507, "too-many-clients"),
    ] {
        let (said, told) = scene.put(id, &at(seconds));
        assert_eq!((said, told["code"].as_str().unwrap_or_default()), (status, code), "{id}");
    }
}

#[test]
fn acknowledgement_waits_until_the_report_is_durable_and_a_stale_ones_too() {
    let scene = Scene::with(ReportLimits::NONE, Node::acknowledging_what_is_durable);
    for call in [put("kiwi", KIWI), put("kiwi", KIWI)] {
        let mut exchange = scene.exchange(call);
        assert_eq!(drive(&mut exchange, now(0)).1, ["offer", "commit"]);
    }
    let two = r#"[{"client":"a","lat":1,"lng":2},{"client":"b","lat":1}]"#;
    assert_eq!(drive(&mut scene.exchange(post("application/json", two)), now(0)).1, ["offer", "commit"]);
    let mut late = scene.exchange(put("late", KIWI));
    assert_eq!(late.next(now(0)), ApiNext::Offer);
    late.offer(|_| {});
    assert_eq!(late.next(now(0)), ApiNext::Commit);
    late.not_committed();
    let ApiNext::Answer(answer) = late.next(now(0)) else { panic!("there is an answer") };
    assert_eq!(told(&answer).1["code"], "not-kept");
    scene.node.refuse_reports(true);
    assert_eq!(scene.put("refused", KIWI).0, 503);
    assert!(!scene.knows("refused"));
}

#[test]
fn what_a_dropped_exchange_has_stored_is_offered() {
    let scene = Scene::new();
    let mut exchange = scene.exchange(put("kiwi", KIWI));
    assert_eq!(exchange.next(now(0)), ApiNext::Offer);
    assert!(scene.all.take().is_err());
    drop(exchange);
    assert!(scene.all.take().is_ok());
}

#[test]
fn every_report_is_paid_for_and_those_without_a_turn_are_refused_one_by_one() {
    let rules = QuotaRules {
        requests: Some(2),
        burst: Duration::from_secs(1),
        wait: Duration::from_secs(1),
        ..QuotaRules::NONE
    };
    let scene = Scene::with(ReportLimits::NONE, |node| node.limited_by(rules));
    let allowance = Arc::new(Allowance::new(&rules));
    let paid = |call: ApiCall| {
        let mut exchange =
            ApiExchange::new(&scene.node, &scene.face, call, None, Some(Arc::clone(&allowance)));
        drive(&mut exchange, now(0))
    };
    let reports: Vec<String> =
        (0..6).map(|number| format!(r#"{{"client":"c{number}","lat":1,"lng":2}}"#)).collect();
    let (answer, did) = paid(post("application/json", &format!("[{}]", reports.join(","))));
    assert_eq!((answer.status, &did[..3]), (200, &["offer", "rest", "offer"][..]));
    // All of them had their turn, since the driver's time went on.
    assert!(scene.knows("c5"));
    let results = told(&answer).1["results"].as_array().unwrap().clone();
    assert!(results.iter().all(|result| result["status"] == 200), "{results:?}");
    let (answer, _) = paid(put("kiwi", KIWI));
    assert_eq!((answer.status, answer.headers), (429, vec![("Retry-After", "1".to_owned())]));
    assert!(!scene.knows("kiwi"));
}

#[test]
fn new_clients_are_paid_for() {
    let rules = QuotaRules { new_clients: Some(1), ..QuotaRules::NONE };
    let scene = Scene::new();
    let allowance = Arc::new(Allowance::new(&rules));
    let statuses = ["a", "b", "a"].map(|id| {
        let call = put(id, KIWI);
        let mut exchange =
            ApiExchange::new(&scene.node, &scene.face, call, None, Some(Arc::clone(&allowance)));
        drive(&mut exchange, now(0)).0.status
    });
    assert_eq!(statuses, [200, 429, 200]);
}
