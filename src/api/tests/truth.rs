//! One truth: a report leaves the same bytes whatever face it came by.

use proptest::prelude::*;

use super::*;
use crate::core::{
    dialogue::{Dialogue, Host, Next, Opening, Party, Reply, Times},
    wire::{Line, Nonce},
};

struct Deaf;

impl Host for Deaf {
    fn nonce(&mut self) -> Result<Nonce, String> {
        Ok(Nonce::of_bytes([3; Nonce::BYTES]))
    }

    fn said(&mut self, _line: Line<'_>, _party: &Party, _reply: &Reply<'_>) {}

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}

    fn give_back(&mut self) {}

    fn holds(&mut self, _bytes: usize) -> bool {
        false
    }
}

/// What the line protocol answers.
fn line(node: &Node, text: &str) -> Vec<u8> {
    let times = [100, 10, 1, 5].map(Duration::from_secs);
    let times = Times { idle: times[0], line: times[1], handshake: times[2], liveness: times[3] };
    let mut dialogue =
        Dialogue::new(node, Opening::Common { is_kept: false }, (times, 16_384), 1, Duration::ZERO);
    let (mut host, mut written) = (Deaf, Vec::new());
    let mut rest = text.as_bytes();
    loop {
        match dialogue.next(Duration::ZERO, &mut host) {
            Next::Wait(_) if rest.is_empty() => return written,
            Next::Wait(_) => {
                let space = dialogue.space();
                let (read, after) = rest.split_at(rest.len().min(space.len()));
                space[..read.len()].copy_from_slice(read);
                dialogue.received(read.len(), now(0));
                rest = after;
            }
            Next::Offer => dialogue.offer(|_| panic!("there is room")),
            Next::Write => {
                written.extend_from_slice(dialogue.replies());
                dialogue.wrote();
            }
            Next::Look(_) => {
                dialogue.document().extend_from_slice(DOCUMENT);
                dialogue.looked(Looked { results: 0, is_failed: false }, &mut host);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Everything that a queue holds.
fn taken(queue: &Queue) -> Vec<u8> {
    std::iter::from_fn(|| queue.take().ok()).flat_map(|bytes| bytes.to_vec()).collect()
}

/// What peers, the journal and those who ask are told.
fn left(scene: &Scene, id: &str) -> [Vec<u8>; 3] {
    let whatsat = line(&scene.node, &format!("WHATSAT {id} 10 5\n"));
    [taken(&scene.news), taken(&scene.all), whatsat]
}

/// A number of degrees or seconds as JSON may write it, and its digits as a line has them.
fn degrees(most: u32) -> impl Strategy<Value = (String, String)> {
    let plain = (any::<bool>(), 0..=most + 5, prop::option::of("[0-9]{1,12}")).prop_map(
        |(minus, whole, fraction)| {
            let fraction = fraction.map_or_else(String::new, |digits| format!(".{digits}"));
            let json = format!("{}{whole}{fraction}", if minus { "-" } else { "" });
            let line = format!("{}{whole}{fraction}", if minus { "-" } else { "+" });
            (json, line)
        },
    );
    let shifted = (any::<bool>(), 1..10_u32, "[0-9]{1,6}").prop_map(|(minus, first, digits)| {
        let json = format!("{}{first}.{digits}e1", if minus { "-" } else { "" });
        let (next, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let line = format!("{}{first}{next}{point}{rest}", if minus { "-" } else { "+" });
        (json, line)
    });
    prop_oneof![4 => plain, 1 => shifted]
}

proptest! {
    #[test]
    fn report_by_any_face_leaves_the_same_bytes(
        reports in prop::collection::vec(
            (degrees(90), degrees(180), 0_u64..4, prop::option::of("[0-9]{1,9}"), any::<bool>()),
            1..6,
        ),
        id in "[!-~]{1,12}|[a-z]{1,3}ü",
    ) {
        let [by_line, by_put, by_post] = [(); 3].map(|()| Scene::new());
        let escaped = id.replace('%', "%25");
        for ((lat, lat_line), (lng, lng_line), second, fraction, is_string) in reports {
            let fraction = fraction.map_or_else(String::new, |digits| format!(".{digits}"));
            let time = format!("{}{fraction}", T0 + second);
            let quote = if is_string { "\"" } else { "" };
            let fields = format!(r#""lat":{quote}{lat}{quote},"lng":{quote}{lng}{quote},"timestamp":{quote}{time}{quote}"#);
            let answered = line(&by_line.node, &format!("IAMAT {id} {lat_line}{lng_line} {time}\n"));
            let (status, _) = by_put.put(&id, &format!("{{{fields}}}"));
            let client = json!(escaped);
            let (_, results) = by_post.said(post("application/json", &format!("[{{\"client\":{client},{fields}}}]")));
            let is_taken = answered.starts_with(b"AT ");
            prop_assert_eq!(status, if is_taken { 200 } else { 400 });
            prop_assert_eq!(&results["results"][0]["status"], &json!(status));
        }
        let expected = left(&by_line, &id);
        prop_assert_eq!(&left(&by_put, &id), &expected);
        prop_assert_eq!(&left(&by_post, &id), &expected);
    }
}

#[test]
fn position_and_time_as_text_leave_the_same_bytes_too() {
    let [by_line, by_put] = [(); 2].map(|()| Scene::new());
    line(&by_line.node, "IAMAT kiwi +034.068930-118/ 1479413884.3920\n");
    let body = r#"{"position":"+034.068930-118/","time":"2016-11-17T12:18:04.3920-08:00"}"#;
    assert_eq!(by_put.put("kiwi", body).0, 200);
    let expected = left(&by_line, "kiwi");
    assert!(!expected[0].is_empty() && expected[2].starts_with(b"AT Alford "));
    assert_eq!(left(&by_put, "kiwi"), expected);
}

#[test]
fn forgetting_leaves_the_same_bytes() {
    let scenes = [(); 2].map(|()| Scene::with(ReportLimits::NONE, Node::forgetting_for_everyone));
    for scene in &scenes {
        line(&scene.node, "IAMAT kiwi +1+1 1479413884\n");
    }
    assert_eq!(line(&scenes[0].node, "FORGET kiwi\n"), b"FORGOT kiwi\n");
    let (status, _) = scenes[1].said(call(ApiMethod::Delete, &["v1", "clients", "kiwi"], &[]));
    assert_eq!(status, 204);
    let expected = left(&scenes[0], "kiwi");
    assert!(expected[1].windows(6).any(|word| word == b"FORGOT"));
    assert_eq!(left(&scenes[1], "kiwi"), expected);
}
