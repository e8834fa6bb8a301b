//! The verdict and the table, from outcomes made up here; how nodes are asked is tested against servers in tests/it.

use super::{
    answer::{LinkStatus, NodeStatus},
    fetch::FetchOutcome,
    table,
    verdict::{Verdict, judge},
};
use crate::config::Herd;

const FIVE: [&str; 5] = ["Alford", "Ball", "Hamilton", "Holiday", "Welsh"];

fn link(peer: &str) -> LinkStatus {
    LinkStatus {
        peer: peer.to_owned(),
        dialect: Some("herd".to_owned()),
        state: Some("up".to_owned()),
        connected_here: Some(true),
        in_step: Some(true),
        lag_seconds: Some(0.0012),
        clock_offset_seconds: Some(0.0003),
        behind: Some(false),
        outbox_bytes: Some(0),
        lasting: Some(0),
        ..LinkStatus::default()
    }
}

/// The built-in herd, in which all is well until a test changes it.
struct Scene {
    herd: Herd,
    outcomes: Vec<FetchOutcome>,
    /// What came of asking a moment before, where that plays a part.
    earlier: Option<Vec<FetchOutcome>>,
}

impl Scene {
    fn new() -> Self {
        let herd = Herd::embedded();
        let answered = |(number, node): (usize, &crate::config::Node)| {
            let answer = NodeStatus {
                node: node.id.to_string(),
                herd: Some(herd.name.clone()),
                uptime_seconds: Some(11_523.4),
                state: Some("running".to_owned()),
                not_ready: None,
                degraded: None,
                clients: Some(123_456 + number as u64),
                sum: Some(format!("0123456789abcde{number}")),
                links: node.links.iter().map(|peer| link(peer.as_str())).collect(),
                retention: None,
                has_journal: Some(true),
            };
            FetchOutcome::Answered(Box::new(answer), serde_json::Value::Null)
        };
        let outcomes = herd.nodes.iter().enumerate().map(answered).collect();
        Self { herd, outcomes, earlier: None }
    }

    fn with(mut self, id: &str, outcome: FetchOutcome) -> Self {
        self.outcomes[Self::place(id)] = outcome;
        self
    }

    fn answer(mut self, id: &str, change: impl FnOnce(&mut NodeStatus)) -> Self {
        let FetchOutcome::Answered(answer, _) = &mut self.outcomes[Self::place(id)] else { panic!("{id}") };
        change(answer);
        self
    }

    fn link(self, from: &str, to: &str, change: impl FnOnce(&mut LinkStatus)) -> Self {
        self.answer(from, |answer| change(answer.links.iter_mut().find(|link| link.peer == to).unwrap()))
    }

    fn place(id: &str) -> usize {
        FIVE.iter().position(|name| *name == id).unwrap()
    }

    fn verdict(&self) -> Verdict {
        judge(&self.herd, &self.outcomes, self.earlier.as_deref(), 2.0)
    }

    fn summary(&self) -> String {
        self.verdict().summary()
    }

    fn table(&self) -> String {
        table::text(&self.herd, &self.outcomes, 2.0, &self.verdict(), false)
    }

    /// The table's rows that begin with this.
    fn row(&self, begin: &str) -> String {
        let table = self.table();
        let row = table.lines().find(|line| line.starts_with(begin));
        row.unwrap_or_else(|| panic!("{table}")).to_owned()
    }
}

fn down() -> FetchOutcome {
    FetchOutcome::Down("Connection refused (os error 111)".to_owned())
}

fn set_down(link: &mut LinkStatus) {
    link.state = Some("down".to_owned());
    link.in_step = Some(false);
    link.lag_seconds = None;
    link.last_error = Some("Connection refused".to_owned());
}

#[test]
fn herd_in_which_all_is_well_is_in_step_though_its_sums_differ() {
    let scene = Scene::new();
    assert!(scene.verdict().in_step());
    assert_eq!(scene.summary(), "in step");
}

#[test]
fn nodes_that_keep_nothing_are_told_above_the_verdict() {
    let line = "Nothing is kept over a stop";
    assert!(!Scene::new().table().contains(line));
    let unknown = FIVE.iter().fold(Scene::new(), |scene, id| scene.answer(id, |it| it.has_journal = None));
    assert!(!unknown.table().contains(line), "an older node does not say");
    let all = FIVE.iter().fold(Scene::new(), |scene, id| scene.answer(id, |it| it.has_journal = Some(false)));
    let end = "\n\nNothing is kept over a stop; --data-dir DIR keeps what the nodes know\n\nin step\n";
    assert!(all.table().ends_with(end), "{}", all.table());
    let some = Scene::new().answer("Ball", |it| it.has_journal = Some(false)).with("Welsh", down());
    let row = some.row(line);
    assert_eq!(row, "Nothing is kept over a stop by Ball; --data-dir DIR keeps what a node knows");
}

#[test]
fn whatever_cannot_be_judged_is_not_in_step() {
    let all =
        |outcome: FetchOutcome| FIVE.iter().fold(Scene::new(), |scene, id| scene.with(id, outcome.clone()));
    let bad = FetchOutcome::BadAnswer("HTTP 500".to_owned());
    for (scene, summary) in [
        (Scene::new().with("Ball", down()), "Ball is down"),
        (Scene::new().with("Ball", down()).with("Welsh", down()), "Ball and Welsh are down"),
        (Scene::new().with("Ball", FetchOutcome::Timeout), "Ball does not answer in 2 s"),
        (Scene::new().with("Ball", FetchOutcome::NoHttp), "Ball has no http and cannot be judged"),
        (Scene::new().with("Ball", bad), "Ball's answer is bad: HTTP 500"),
        (
            all(FetchOutcome::NoHttp),
            "Alford, Ball, Hamilton, Holiday and Welsh have no http and cannot be judged",
        ),
        (
            Scene::new().with("Welsh", down()).with("Alford", FetchOutcome::Timeout),
            "Welsh is down; Alford does not answer in 2 s",
        ),
    ] {
        assert_eq!(scene.summary(), format!("not in step: {summary}"));
        assert!(!scene.verdict().in_step());
    }
}

#[test]
fn node_that_is_degraded_says_so_and_is_in_step_all_the_same() {
    let degrade =
        |answer: &mut NodeStatus| answer.degraded = Some("the log cannot be written: full".to_owned());
    let scene = Scene::new().answer("Ball", degrade);
    assert_eq!(scene.summary(), "in step");
    let row = "Ball      running   3h12m   123457  01234567  degraded: the log cannot be written: full";
    assert_eq!(scene.row("Ball "), row);
    let scene = scene.answer("Ball", |answer| answer.not_ready = Some("this node is stopping".to_owned()));
    assert!(
        scene
            .row("Ball ")
            .ends_with("  not ready: this node is stopping; degraded: the log cannot be written: full")
    );
}

#[test]
fn node_that_is_not_running_is_not_in_step() {
    let state = |state: Option<&str>| {
        Scene::new().answer("Ball", |answer| answer.state = state.map(str::to_owned)).summary()
    };
    assert_eq!(state(Some("draining")), "not in step: Ball is draining");
    for odd in [None, Some("dreaming")] {
        assert_eq!(state(odd), "not in step: Ball does not say that it is running");
    }
}

#[test]
fn each_fault_of_a_link_is_said_once_and_of_both_ends_where_both_have_it() {
    type Change = fn(&mut LinkStatus);
    let faults: [(Change, &str, &str); 7] = [
        (set_down, "Alford has no connection to Welsh", "Alford and Welsh are not connected"),
        (
            |link| link.state = Some("greeting".to_owned()),
            "Alford is greeting Welsh",
            "Alford and Welsh are greeting each other",
        ),
        (
            |link| link.state = Some("dreaming".to_owned()),
            "Alford does not say how its link to Welsh is",
            "Alford and Welsh do not say how their link is",
        ),
        (
            |link| link.in_step = None,
            "Alford does not say how its link to Welsh is",
            "Alford and Welsh do not say how their link is",
        ),
        (|link| link.behind = Some(true), "Welsh is behind Alford", "Alford and Welsh are behind each other"),
        (
            |link| link.in_step = Some(false),
            "Alford is not in step with Welsh",
            "Alford and Welsh are not in step with each other",
        ),
        (
            |link| link.lasting = Some(3),
            "Alford and Welsh differ lastingly",
            "Alford and Welsh differ lastingly",
        ),
    ];
    for (change, one, both) in faults {
        let scene = Scene::new().link("Alford", "Welsh", change);
        assert_eq!(scene.summary(), format!("not in step: {one}"));
        let scene = scene.link("Welsh", "Alford", change);
        assert_eq!(scene.summary(), format!("not in step: {both}"));
    }
}

#[test]
fn connection_that_is_missing_the_other_way_counts_where_the_other_end_does_not_say_so() {
    let scene = Scene::new().link("Alford", "Welsh", |link| link.connected_here = Some(false));
    assert_eq!(scene.summary(), "not in step: Welsh has no connection to Alford");
    assert!(scene.row("Alford > Welsh").contains("one way"));
    let scene = scene.link("Welsh", "Alford", set_down);
    assert_eq!(scene.summary(), "not in step: Welsh has no connection to Alford");
}

#[test]
fn links_to_a_node_that_is_down_are_not_told_again() {
    let scene = Scene::new().with("Ball", down()).link("Welsh", "Ball", set_down);
    assert_eq!(scene.summary(), "not in step: Ball is down");
    let scene = scene.link("Holiday", "Ball", |link| link.lasting = Some(1));
    assert_eq!(scene.summary(), "not in step: Ball is down; Holiday and Ball differ lastingly");
}

#[test]
fn links_must_be_those_of_the_configuration() {
    let scene = Scene::new().answer("Alford", |answer| answer.links.retain(|link| link.peer != "Welsh"));
    assert_eq!(scene.summary(), "not in step: Alford was not told of its link to Welsh");
    let scene = Scene::new().answer("Alford", |answer| answer.links.push(link("Gone")));
    assert_eq!(scene.summary(), "not in step: Alford has a link to Gone that is not in this configuration");
}

#[test]
fn plain_node_is_not_judged_but_its_links_must_be_up() {
    let plain = |link: &mut LinkStatus| {
        link.dialect = Some("plain".to_owned());
        link.in_step = None;
        link.connected_here = Some(false);
    };
    for outcome in [FetchOutcome::NoHttp, down(), FetchOutcome::Timeout] {
        let mut scene =
            Scene::new().with("Ball", outcome).link("Welsh", "Ball", plain).link("Holiday", "Ball", plain);
        scene.herd.nodes[Scene::place("Ball")].plain = Some(crate::core::wire::PlainForm::default());
        assert_eq!(scene.summary(), "in step");
        assert_eq!(scene.row("Ball "), "Ball      plain");
        assert!(scene.row("Welsh > Ball").contains("  up  "), "{}", scene.table());
        let scene = scene.link("Welsh", "Ball", set_down);
        assert_eq!(scene.summary(), "not in step: Welsh has no connection to Ball");
    }
}

#[test]
fn third_party_node_whose_lines_are_refused_says_so_and_is_not_in_step_once_all_are() {
    let plain = |link: &mut LinkStatus| {
        (link.dialect, link.bad_lines) = (Some("plain".to_owned()), Some(3));
        link.last_bad = Some("field 3, the skew, is bad".to_owned());
    };
    let mut scene = Scene::new().with("Ball", FetchOutcome::NoHttp).link("Welsh", "Ball", plain);
    scene.herd.nodes[Scene::place("Ball")].plain = Some(crate::core::wire::PlainForm::default());
    assert_eq!(scene.summary(), "in step");
    let said = "refused lines: 3; the last: field 3, the skew, is bad";
    assert_eq!(scene.row("Ball "), format!("Ball      plain    {said}"));
    assert!(
        scene.row("Welsh > Ball").ends_with(&format!("  up       1.2 ms  +0.3 ms  {said}")),
        "{}",
        scene.table()
    );
    let scene = scene.link("Welsh", "Ball", |link| {
        (link.refused, link.bad_lines_at_address) = (Some(true), Some(2));
    });
    assert_eq!(scene.summary(), "not in step: Welsh refuses every line of Ball");
    assert!(scene.row("Welsh > Ball").contains("  refused  "), "{}", scene.table());
    assert!(
        scene.row("Ball ").contains("refused lines: 3, at its address: 2; the last"),
        "{}",
        scene.table()
    );
}

#[test]
fn pieces_that_only_third_party_nodes_join_are_compared_while_they_rest() {
    let sum = |answer: &mut NodeStatus| answer.sum = Some("5".to_owned());
    // Alford and Hamilton with Holiday; Welsh by itself beyond Ball and Alford.
    let mut scene = Scene::new();
    for id in ["Alford", "Ball"] {
        scene.herd.nodes[Scene::place(id)].plain = Some(crate::core::wire::PlainForm::default());
    }
    for id in ["Hamilton", "Holiday", "Welsh"] {
        scene = scene.answer(id, sum);
    }
    let pieces: Vec<Vec<&str>> =
        scene.herd.pieces().iter().map(|piece| piece.iter().map(|id| id.as_str()).collect()).collect();
    assert_eq!(pieces, [vec!["Hamilton", "Holiday"], vec!["Welsh"]]);
    scene.earlier = Some(scene.outcomes.clone());
    assert_eq!(scene.summary(), "in step");
    let moving = scene.answer("Welsh", |answer| answer.sum = Some("6".to_owned()));
    assert_eq!(moving.summary(), "in step", "it does not rest");
    let mut resting = moving;
    resting.earlier = Some(resting.outcomes.clone());
    let differ = "not in step: Hamilton and Welsh differ, which only third-party nodes join";
    assert_eq!(resting.summary(), differ);
    let apart = resting.answer("Holiday", |answer| answer.sum = Some("7".to_owned()));
    assert_eq!(apart.summary(), "in step", "a piece that is not of one sum does not rest");
}

#[test]
fn table_has_a_row_a_node_and_a_row_a_direction_and_the_verdict_last() {
    let scene = Scene::new()
        .with("Ball", down())
        .with("Hamilton", FetchOutcome::Timeout)
        .link("Welsh", "Ball", set_down)
        .link("Alford", "Welsh", |link| {
            link.behind = Some(true);
            link.outbox_bytes = Some(1_250_000);
            link.lag_seconds = Some(1.25);
            link.clock_offset_seconds = Some(-61.5);
        })
        .answer("Holiday", |answer| answer.not_ready = Some("it has no link yet".to_owned()))
        .link("Holiday", "Ball", |link| link.state = Some("greeting".to_owned()));
    assert_eq!(
        scene.table(),
        "\
NODE      STATE    UPTIME  CLIENTS  DIGEST
Alford    running   3h12m   123456  01234567
Ball      down     Connection refused (os error 111)
Hamilton  no answer in 2 s
Holiday   running   3h12m   123459  01234567  not ready: it has no link yet
Welsh     running   3h12m   123460  01234567

LINK                STATE        LAG    CLOCK  OUTBOX
Alford > Hamilton   in step   1.2 ms  +0.3 ms
Alford > Welsh      behind     1.2 s  -61.5 s  1.2 MB
Holiday > Ball      greeting
Holiday > Hamilton  in step   1.2 ms  +0.3 ms
Welsh > Alford      in step   1.2 ms  +0.3 ms
Welsh > Ball        down      Connection refused

not in step: Ball is down; Hamilton does not answer in 2 s; Welsh is behind Alford
"
    );
}

#[test]
fn what_a_node_does_not_say_is_a_dash() {
    let scene = Scene::new().answer("Ball", |answer| {
        (answer.state, answer.uptime_seconds, answer.clients, answer.sum) = (None, None, None, None);
    });
    assert_eq!(scene.row("Ball ").split_whitespace().collect::<Vec<_>>(), ["Ball", "-", "-", "-", "-"]);
}

#[test]
fn colour_is_in_the_state_and_the_verdict_and_leaves_the_columns_as_they_are() {
    let scene =
        Scene::new().with("Ball", FetchOutcome::BadAnswer("HTTP 500".to_owned())).with("Welsh", down());
    let coloured = table::text(&scene.herd, &scene.outcomes, 2.0, &scene.verdict(), true);
    assert!(coloured.contains("Alford    \x1b[32mrunning\x1b[0m"), "{coloured:?}");
    assert!(coloured.contains("Welsh     \x1b[31mdown\x1b[0m     Connection"), "{coloured:?}");
    assert!(coloured.contains("Ball      \x1b[31mbad answer: HTTP 500\x1b[0m\n"), "{coloured:?}");
    assert!(
        coloured.ends_with("\x1b[31mnot in step: Welsh is down; Ball's answer is bad: HTTP 500\x1b[0m\n"),
        "{coloured:?}"
    );
    let codes = ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"];
    let bare = codes.iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(bare, scene.table());
}

#[test]
fn nothing_a_node_says_moves_the_cursor() {
    let evil = "\x1b[2J\r\n\u{202e}ok";
    let scene = Scene::new()
        .with("Ball", FetchOutcome::BadAnswer(evil.to_owned()))
        .answer("Alford", |answer| {
            (answer.state, answer.sum, answer.not_ready) =
                (Some(evil.into()), Some(evil.into()), Some(evil.into()));
            answer.links[0].peer = evil.to_owned();
        })
        .link("Welsh", "Alford", |link| {
            (link.state, link.last_error) = (Some(evil.into()), Some(evil.into()));
        });
    let table = scene.table();
    assert!(!table.contains(['\x1b', '\r', '\u{202e}']), "{table:?}");
    assert_eq!(table.lines().count(), 5 + 8 + 5, "{table}");
}
