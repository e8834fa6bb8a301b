//! A client: three bytes say the lengths of the reads and the line limit, the rest is what it sends. Each line gets one
//! reply, which is what a map and a scan for newlines say it must be, and a neighbour that is flooded ends up with the
//! same store.

use std::{collections::HashMap, sync::Arc};

use proxyherd::{
    core::{
        dialogue::{Closing, Looked, Party, Reply},
        links::Queue,
        model::{Coordinates, Query, Skew, Timestamp},
        node::Node,
        wire::{Ending, Fields, HEAD_BYTES, Invalid, Line},
    },
    places::{Failure, write_failure},
};

use super::{
    scene::{self, AHEAD_MAX, CLIENTS_MAX, now},
    session::{Ear, Session},
};

/// What each client's last report was, and the reply to it without its terminator.
type Known = HashMap<Vec<u8>, (Timestamp, Vec<u8>)>;

/// After which time those must report that were forgotten.
type Forgotten = HashMap<Vec<u8>, Timestamp>;

/// One input.
pub fn client_lines(data: &[u8]) {
    let Some(([first, step, limit], stream)) = data.split_first_chunk() else { return };
    let limit = HEAD_BYTES + usize::from(*limit);
    let (node, queues) = scene::node("Alford", &["Welsh"]);
    queues[0].open();
    let (welsh, _) = scene::node("Welsh", &["Alford"]);

    let mut session = Session::new(&node, limit);
    // After it nothing is a handshake, nor another protocol.
    let mut listener =
        Listener { due: [lines_of(b"?\n", limit), lines_of(stream, limit)].concat(), ..Listener::default() };
    session.say(b"?\n", now(), &mut listener);
    scene::reads(stream, (*first, *step), |read| session.say(read, now(), &mut listener));
    session.end(now(), &mut listener);
    assert_eq!(session.closing, Some(Closing::ByPeer));
    assert_eq!(listener.at, listener.due.len(), "a line got no reply");
    assert!(listener.expected.is_empty(), "a reply was not written");

    pass_on(&queues[0], &welsh);
    assert!(!queues[0].is_behind());
    scene::check_sums(node.store());
    scene::check_sums(welsh.store());
    let held = (node.store().len(), node.store().tombstones());
    assert_eq!(held, (listener.known.len(), listener.forgotten.len()));
    assert_eq!(node.store().shard_sums(), welsh.store().shard_sums());
}

/// The lines of a stream, told without a buffer.
pub(crate) fn lines_of(stream: &[u8], limit: usize) -> Vec<Line<'_>> {
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

/// Hears what each line got, and works out by itself what it must be.
#[derive(Default)]
struct Listener<'a> {
    /// The lines of the stream, and how many of them were executed.
    due: Vec<Line<'a>>,
    at: usize,
    known: Known,
    forgotten: Forgotten,
    /// What must be written next.
    expected: Vec<u8>,
    /// How the line ended whose lookup is still to come.
    ending: Option<Ending>,
}

impl Listener<'_> {
    /// The reply to a report that was taken.
    fn check_report(&mut self, text: &[u8], server: &[u8], is_newest: bool) -> Vec<u8> {
        let mut fields = Fields::of(text);
        assert_eq!(fields.next(), Some(&b"IAMAT"[..]));
        let Some([client, position, timestamp]) = fields.exactly() else { panic!("{text:?}") };
        let time = Timestamp::parse(timestamp).expect("it was taken");
        let skew = Skew::between(now().wall, time);
        assert!(Skew::is_skew(skew.text().as_bytes()));
        assert!(skew.as_nanoseconds() >= -(AHEAD_MAX.as_nanos() as i128));
        assert_eq!(server, b"Alford");
        let at = [b"AT", &b"Alford"[..], skew.text().as_bytes(), client, position, timestamp].join(&b' ');
        let stands = self.known.get(client).map(|&(earlier, _)| earlier);
        let stands = stands.or_else(|| self.forgotten.get(client).copied());
        assert_eq!(is_newest, stands.is_none_or(|earlier| time > earlier));
        if is_newest {
            self.forgotten.remove(client);
            self.known.insert(client.to_vec(), (time, at.clone()));
        }
        assert!(self.known.len() <= CLIENTS_MAX);
        at
    }

    /// The answer to a forgetting.
    fn check_forgotten(&mut self, text: &[u8], client: &[u8]) -> Vec<u8> {
        assert!(Fields::of(text).eq([&b"FORGET"[..], client]));
        let known = self.known.remove(client).map(|(time, _)| time);
        let hidden = known.or_else(|| self.forgotten.get(client).copied()).unwrap_or_default();
        self.forgotten.insert(client.to_vec(), hidden.min(now().wall));
        [b"FORGOT ", client].concat()
    }
}

impl Ear for Listener<'_> {
    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        // An invalid line shows nothing that may be a token.
        let due = self.due[self.at];
        let shown = if matches!(reply, Reply::Invalid(_)) { due.masked() } else { due };
        assert_eq!(line, shown);
        self.at += 1;
        assert!(party.is_client());
        let (text, ending) = (line.text(), line.ending());
        let told = match reply {
            Reply::None => panic!("a client's line is always answered"),
            Reply::Welcome { .. } => panic!("nobody has tokens here"),
            Reply::Invalid(why) => {
                assert_eq!(*why == Invalid::TooLong, matches!(line, Line::TooLong(..)));
                if *why == Invalid::TooManyClients {
                    assert_eq!(self.known.len(), CLIENTS_MAX);
                }
                [b"? ", text].concat()
            }
            Reply::At { location, is_newest } => self.check_report(text, location.server, *is_newest),
            Reply::Forgot { client } => self.check_forgotten(text, client.as_bytes()),
            Reply::Near { location } => {
                self.ending = Some(ending);
                let (_, at) = &self.known[location.client.as_bytes()];
                at.clone()
            }
        };
        if let Reply::At { location, .. } | Reply::Near { location } = reply {
            assert_eq!(location.at_words().join(&b' '), told);
        }
        self.expected.extend_from_slice(&told);
        self.expected.extend_from_slice(ending.as_bytes());
    }

    fn looked(&mut self, query: &Query, looked: &Looked, document: &[u8]) {
        let text = self.due[self.at - 1].text();
        let mut fields = Fields::of(text);
        assert_eq!(fields.next(), Some(&b"WHATSAT"[..]));
        let Some([client, radius, bound]) = fields.exactly() else { panic!("{text:?}") };
        let position = Fields::of(&self.known[client].1).nth(4).and_then(Coordinates::of_position);
        let number = |field| std::str::from_utf8(field).expect("a number");
        let radius_km: f64 = number(radius).parse().expect("a number");
        let asked = Query {
            center: position.expect("it was taken"),
            radius_m: radius_km * 1000.0,
            bound: number(bound).parse().expect("a number"),
        };
        assert_eq!(*query, asked);
        let mut body = Vec::new();
        if query.bound == 13 {
            let why = Failure { status: "UNKNOWN_ERROR", message: "thirteen".to_owned() };
            write_failure(&why, &mut body);
            assert_eq!(*looked, Looked { results: 0, is_failed: true });
        } else {
            body.extend_from_slice(scene::document(query).as_bytes());
            assert_eq!(*looked, Looked { results: query.bound, is_failed: false });
        }
        assert_eq!(document, body);
        let ending = self.ending.take().expect("a client was asked about");
        self.expected.extend_from_slice(&body);
        self.expected.extend_from_slice(&ending.as_bytes().repeat(2));
    }

    fn replied(&mut self, replies: &[u8]) {
        assert_eq!(replies, self.expected);
        self.expected.clear();
    }
}

/// Has the neighbour take what was flooded to it, which it answers nothing to and passes on to nobody.
pub(crate) fn pass_on(queue: &Queue, welsh: &Arc<Node>) {
    let mut session = Session::peer(welsh, "Alford");
    while let Ok(news) = queue.take() {
        session.say(&news, now(), &mut Silence);
    }
    assert!(session.closing.is_none());
}

/// Hears a neighbour that is answered nothing.
struct Silence;

impl Ear for Silence {
    fn said(&mut self, _line: Line<'_>, _party: &Party, reply: &Reply<'_>) {
        assert_eq!(*reply, Reply::None);
    }

    fn replied(&mut self, replies: &[u8]) {
        panic!("{}", replies.escape_ascii());
    }
}
