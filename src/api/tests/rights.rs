//! Who may do what: exactly as on the line protocol.

use super::*;

fn token(number: u8) -> Token {
    Token::of_bytes([number; Token::RANDOM_BYTES])
}

/// Kiwi may report for itself and see birds; ops may do everything, a monitor nothing of clients.
fn scene() -> Scene {
    let entry = |name: &str, number: u8, role, [report, see]: [&[&str]; 2]| {
        let patterns =
            |texts: &[&str]| Patterns::new(texts.iter().map(|text| Pattern::parse(text).unwrap()).collect());
        let (may_report, may_see) = (patterns(report), patterns(see));
        let (name, hash, groups) = (name.to_owned(), token(number).hash(), Vec::new());
        TokenEntry { name, hash, role, may_report, may_see, groups, expires: None }
    };
    let tokens = vec![
        entry("kiwi", 1, TokenRole::Client, [&["kiwi"], &["kiwi", "bird-*"]]),
        entry("ops", 2, TokenRole::Operator, [&["*"], &["*"]]),
        entry("eye", 3, TokenRole::Monitor, [&[], &[]]),
    ];
    let list = TokenList { groups: Vec::new(), tokens };
    let nobody = Anyone { reports_and_sees: false, forgets: false, monitors: false };
    Scene::with(ReportLimits::NONE, |node| node.granting(Access::with_tokens(nobody, &list).unwrap()))
}

impl Scene {
    fn principal(&self, number: u8) -> Option<Principal> {
        self.node.access().find(&token(number).hash(), now(0).wall)
    }

    /// What the holder of that token is answered; 0 for nobody.
    fn answer_as(&self, number: u8, call: ApiCall) -> ApiAnswer {
        drive(&mut ApiExchange::new(&self.node, &self.face, call, self.principal(number), None), now(0)).0
    }

    fn status_as(&self, number: u8, call: ApiCall) -> u16 {
        self.answer_as(number, call).status
    }
}

#[test]
fn each_does_what_its_token_grants() {
    let scene = scene();
    let delete = || call(ApiMethod::Delete, &["v1", "clients", "kiwi"], &[]);
    let herd = || get(&["v1", "herd"], &[]);
    let near = || get(&["v1", "clients", "kiwi", "places"], &[]);
    for (call, expected) in [
        (put("kiwi", KIWI), [401, 200, 200, 403]),
        (put("weka", KIWI), [401, 403, 200, 403]),
        (get_client("kiwi"), [401, 200, 200, 404]),
        (get_client("weka"), [401, 404, 200, 404]),
        (near(), [401, 200, 200, 404]),
        (herd(), [401, 403, 200, 200]),
        (get(&["v1", "clients"], &[]), [401, 200, 200, 200]),
        (get(&["v1", "places"], &[("lat", "1"), ("lng", "2")]), [401, 200, 200, 200]),
        (delete(), [401, 403, 204, 403]),
    ] {
        let told = [0, 1, 2, 3].map(|number| scene.status_as(number, call.clone()));
        assert_eq!(told, expected, "{:?} {:?}", call.method, call.path);
    }
    let answer = scene.answer_as(0, get_client("kiwi"));
    assert!(answer.headers.contains(&("WWW-Authenticate", "Bearer realm=\"herd\"".to_owned())));
    let many = r#"[{"client":"kiwi","lat":1,"lng":2},{"client":"weka","lat":1,"lng":2}]"#;
    let (_, told) = told(&scene.answer_as(1, post("application/json", many)));
    assert_eq!((&told["results"][0]["status"], &told["results"][1]["status"]), (&json!(200), &json!(403)));
}

#[test]
fn client_that_may_not_be_seen_is_told_and_waited_for_as_one_that_does_not_exist() {
    let scene = scene();
    assert_eq!(scene.status_as(2, put("weka", KIWI)), 200);
    assert_eq!(scene.status_as(2, put("bird-1", KIWI)), 200);
    let about = |id: &str| -> Vec<ApiAnswer> {
        let mut answers = vec![
            scene.answer_as(1, get_client(id)),
            scene.answer_as(1, get(&["v1", "clients", id, "places"], &[])),
            scene.answer_as(1, ApiCall { if_none_match: Some(b"*".to_vec()), ..get_client(id) }),
        ];
        let call = get(&["v1", "clients", id], &[("wait", "30s")]);
        let mut waits = ApiExchange::new(&scene.node, &scene.face, call, scene.principal(1), None);
        let (answer, did) = drive(&mut waits, now(0));
        assert_eq!(did, ["watch"], "{id}");
        answers.push(answer);
        answers
    };
    let (hidden, unknown_hidden, unknown) = (about("weka"), about("nobody"), about("bird-2"));
    assert!(hidden == unknown_hidden && hidden == unknown);
    assert_eq!(hidden[0].status, 404);
    let page = told(&scene.answer_as(1, get(&["v1", "clients"], &[]))).1;
    let seen: Vec<_> = page["clients"].as_array().unwrap().iter().map(|client| &client["client"]).collect();
    assert_eq!(seen, ["bird-1"]);
}

#[test]
fn who_loses_its_token_while_it_waits_is_told_nothing_more() {
    let scene = scene();
    let call = get(&["v1", "clients", "kiwi"], &[("wait", "30s")]);
    let mut waits = ApiExchange::new(&scene.node, &scene.face, call, scene.principal(1), None);
    assert!(matches!(waits.next(now(0)), ApiNext::Watch { .. }));
    scene.node.access().replace(&TokenList { groups: Vec::new(), tokens: Vec::new() }).unwrap();
    let ApiNext::Answer(answer) = waits.next(now(1)) else { panic!("there is an answer") };
    assert_eq!(answer.status, 401);
}

#[test]
fn nothing_shows_the_key_of_cursors() {
    let shown = format!("{:?}", ApiFace::new(ApiBounds::default(), [0xab; 32]));
    assert!(!shown.contains("171") && !shown.contains("ab, "), "{shown}");
}
