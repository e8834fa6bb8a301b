//! A client: three bytes say the lengths of the reads and the line limit, the rest is what it sends. Each line gets one
//! reply, which is what a map and a scan for newlines say it must be, and a neighbour that is flooded ends up with the
//! same store.

use std::collections::HashMap;

use proxyherd::{
    core::{
        model::{Coordinates, Skew, Timestamp},
        node::{Batch, Node, Origin, Prepared, Said},
        wire::{Ending, Fields, HEAD_BYTES, Invalid, Line, LineBuffer},
    },
    places::{Failure, Query, write_failure},
};

use super::scene::{self, AHEAD_MAX, CLIENTS_MAX, now};

/// How many lines a session prepares before it executes the first.
const GROUP_LINES: usize = 16;

/// What each client's last report was, and the reply to it without its terminator.
type Known = HashMap<Vec<u8>, (Timestamp, Vec<u8>)>;

/// One input.
pub fn client_lines(data: &[u8]) {
    let Some(([first, step, limit], stream)) = data.split_first_chunk() else { return };
    let limit = HEAD_BYTES + usize::from(*limit);
    let (node, queues) = scene::node("Alford", &["Welsh"]);
    queues[0].open();
    let (welsh, _) = scene::node("Welsh", &["Alford"]);

    let expected = lines_of(stream, limit);
    let mut due = expected.iter();
    let (mut known, mut batch) = (Known::new(), Batch::default());
    let mut execute = |prepared: &Prepared<'_>, batch: &mut Batch| {
        assert_eq!(Some(&prepared.line), due.next());
        let before = batch.replies.len();
        let said = node.execute(prepared, now(), batch);
        check_reply(prepared.line, said, &batch.replies[before..], batch.replies.len(), &mut known);
    };
    let mut buffer = LineBuffer::new(limit);
    scene::feed(stream, (*first, *step), &mut buffer, |lines| {
        loop {
            let group: Vec<_> =
                lines.take(GROUP_LINES).map(|line| node.prepare(line, Origin::Client)).collect();
            if group.is_empty() {
                break;
            }
            node.prefetch(&group);
            group.iter().for_each(|prepared| execute(prepared, &mut batch));
        }
        node.flood(&mut batch, Origin::Client, |_| panic!("the outbox is large enough"));
        batch.replies.clear();
    });
    if let Some(line) = buffer.last_line() {
        execute(&node.prepare(line, Origin::Client), &mut batch);
    }
    node.flood(&mut batch, Origin::Client, |_| panic!("the outbox is large enough"));
    assert_eq!(due.next(), None, "a line got no reply");

    while let Ok(news) = queues[0].take() {
        pass_on(&news, &welsh);
    }
    assert!(!queues[0].is_behind());
    scene::check_sums(node.store());
    scene::check_sums(welsh.store());
    assert_eq!(node.store().len(), known.len());
    assert_eq!(node.store().shard_sums(), welsh.store().shard_sums());
}

/// The lines of a stream, told without a buffer.
fn lines_of(stream: &[u8], limit: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(newline) = rest.iter().position(|&byte| byte == b'\n') {
        let (text, ending) = match rest[..newline].strip_suffix(b"\r") {
            Some(text) => (text, Ending::CrLf),
            None => (&rest[..newline], Ending::Lf),
        };
        lines.push(if text.len() > limit {
            Line::TooLong(&text[..HEAD_BYTES], ending)
        } else {
            Line::Whole(text, ending)
        });
        rest = &rest[newline + 1..];
    }
    if rest.len() > limit {
        lines.push(Line::TooLong(&rest[..HEAD_BYTES], Ending::Lf));
    } else if !rest.is_empty() {
        lines.push(Line::Whole(rest, Ending::Lf));
    }
    lines
}

fn check_reply(line: Line<'_>, said: Said, reply: &[u8], end: usize, known: &mut Known) {
    let (Line::Whole(text, ending) | Line::TooLong(text, ending)) = line;
    let mut fields = Fields::of(text);
    let keyword = fields.next();
    match said {
        Said::Nothing => panic!("a client's line is always answered"),
        Said::Invalid(why) => {
            assert_eq!(reply, [b"? ", text, ending.as_bytes()].concat());
            assert_eq!(why == Invalid::TooLong, matches!(line, Line::TooLong(..)));
            if why == Invalid::TooManyClients {
                assert_eq!(known.len(), CLIENTS_MAX);
            }
        }
        Said::At { is_news } => {
            let Some([client, position, timestamp]) = fields.exactly() else { panic!("{text:?}") };
            let time = Timestamp::parse(timestamp).expect("it was taken");
            let at = reply.strip_suffix(ending.as_bytes()).expect("the line's own ending");
            let Some([_, _, skew, ..]) = Fields::of(at).exactly::<6>() else { panic!("{at:?}") };
            assert!(Skew::is_skew(skew));
            assert_eq!(skew, Skew::between(now().wall, time).text(&mut [0; Skew::TEXT_BYTES_MAX]));
            assert_eq!(at, [b"AT", &b"Alford"[..], skew, client, position, timestamp].join(&b' '));
            assert!(Skew::between(now().wall, time).as_nanoseconds() >= -(AHEAD_MAX.as_nanos() as i128));
            assert_eq!(keyword, Some(&b"IAMAT"[..]));
            assert_eq!(is_news, known.get(client).is_none_or(|&(earlier, _)| time > earlier));
            if is_news {
                known.insert(client.to_vec(), (time, at.to_vec()));
            }
            assert!(known.len() <= CLIENTS_MAX);
        }
        Said::Places { results, json, is_failed: _ } => {
            let Some([client, radius, bound]) = fields.exactly() else { panic!("{text:?}") };
            assert_eq!(keyword, Some(&b"WHATSAT"[..]));
            let (_, at) = &known[client];
            let position = Fields::of(at).nth(4).and_then(Coordinates::of_position);
            let number = |field| std::str::from_utf8(field).expect("a number");
            let radius_km: f64 = number(radius).parse().expect("a number");
            let query = Query {
                center: position.expect("it was taken"),
                radius_m: radius_km * 1000.0,
                bound: number(bound).parse().expect("a number"),
            };
            let mut body = Vec::new();
            if query.bound == 13 {
                let why = Failure { status: "UNKNOWN_ERROR", message: "thirteen".to_owned() };
                write_failure(&why, &mut body);
                assert_eq!(results, 0);
            } else {
                body.extend_from_slice(scene::document(&query).as_bytes());
                assert_eq!(results, query.bound);
            }
            let newline = ending.as_bytes();
            assert_eq!(reply, [at, newline, &body, newline, newline].concat());
            assert_eq!(end - json, body.len() + 2 * newline.len());
        }
    }
}

/// Has the neighbour take what was flooded to it, which it answers nothing to and passes on to nobody.
fn pass_on(news: &[u8], welsh: &Node) {
    let mut batch = Batch::default();
    for line in news.strip_suffix(b"\n").expect("whole lines").split(|&byte| byte == b'\n') {
        let prepared = welsh.prepare(Line::Whole(line, Ending::Lf), Origin::Peer(0));
        assert_eq!(welsh.execute(&prepared, now(), &mut batch), Said::Nothing);
    }
    welsh.flood(&mut batch, Origin::Peer(0), |_| panic!("nothing goes back"));
    assert!(batch.replies.is_empty());
}
