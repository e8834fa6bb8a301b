//! A third-party node, or one of two at the same address, on the door for such nodes: two bytes say the lengths of the
//! reads, one what the two nodes add to AT lines and want for an answer, the rest is what is sent. What is stored, answered and
//! flooded is what a map, told line by line, says it must be.

use std::collections::HashMap;

use proxyherd::core::{
    dialogue::{Closing, Party, Reply},
    links::Queue,
    model::{Skew, Timestamp},
    node::Node,
    store::KeyHash,
    wire::{Ending, Invalid, Line, PEER_LINE_BYTES_MAX, PlainFault, PlainForm, PlainLine},
};

use super::{
    client_lines::{lines_of, pass_on},
    scene::{self, AHEAD_MAX, now},
    session::{Ear, Session},
};

/// The third-party nodes' names, in the order of their links.
const NAMES: [&str; 2] = ["Goloman", "Hands"];

/// One input.
pub fn plain_session(data: &[u8]) {
    let Some(([first, step, habits], stream)) = data.split_first_chunk() else { return };
    let forms = [form(*habits, "FLOOD", "OK"), form(habits >> 4, "NEWS", "taken")];
    let links: &[usize] = if habits & 8 == 0 { &[0] } else { &[0, 1] };
    let [goloman, hands] = [0, 1].map(|link| (NAMES[link], Some(forms[link].clone())));
    let (node, queues) = scene::node_among("Alford", &[goloman, hands, ("Welsh", None)]);
    queues.iter().for_each(Queue::open);
    let (welsh, _) = scene::node("Welsh", &["Alford"]);

    // After the first line nothing is another protocol. The end of the input ends the last one.
    let is_mid_line = stream.last().is_some_and(|&byte| byte != b'\n');
    let ending: &[u8] = if is_mid_line { b"\n" } else { b"" };
    let whole = [b"?\n", stream, ending].concat();
    let mut model = Model::new(&forms, links);
    model.due = lines_of(&whole, PEER_LINE_BYTES_MAX);
    let mut session = Session::plain(&node, links);
    session.say(b"?\n", now(), &mut model);
    scene::reads(stream, (*first, *step), |read| session.say(read, now(), &mut model));
    session.end(now(), &mut model);
    assert_eq!(session.closing, Some(Closing::ByPeer));
    assert_eq!(session.party(), &Party::Plain(model.link));
    assert_eq!(model.at, model.due.len(), "a line was not executed");
    assert!(model.expected.is_empty(), "an answer was not written");
    drop(session);

    // Of two at one address, neither is known until it is named, and so may be told what it said before.
    if let [link] = links {
        assert!(queues[*link].take().is_err(), "flooded back");
    }
    assert!(!queues[2].is_behind());
    pass_on(&queues[2], &welsh);
    scene::check_sums(node.store());
    assert_eq!(node.store().shard_sums(), welsh.store().shard_sums());
    model.check_store(&node);
}

/// What a node adds to AT lines and wants for an answer: a bit for each.
fn form(habits: u8, keyword: &str, answer: &str) -> PlainForm {
    PlainForm {
        keyword: (habits & 1 != 0).then(|| keyword.into()),
        takes_more: habits & 2 != 0,
        answer: (habits & 4 != 0).then(|| answer.into()),
        ..PlainForm::default()
    }
}

/// Works out by itself what each line must lead to.
struct Model<'a> {
    forms: &'a [PlainForm; 2],
    /// Who may be at the other end.
    links: &'a [usize],
    /// Who it has turned out to be.
    link: Option<usize>,
    due: Vec<Line<'a>>,
    at: usize,
    /// What is known of each client: when it was, and the AT line.
    known: HashMap<Vec<u8>, (Timestamp, Vec<u8>)>,
    /// What must be written next.
    expected: Vec<u8>,
}

impl<'a> Model<'a> {
    fn new(forms: &'a [PlainForm; 2], links: &'a [usize]) -> Self {
        let link = if let [link] = links { Some(*link) } else { None };
        Self { forms, links, link, due: Vec::new(), at: 0, known: HashMap::new(), expected: Vec::new() }
    }

    /// By which forms a line may be read now.
    fn forms_now(&self) -> Vec<&'a PlainForm> {
        let links = self.link.map_or(self.links.to_vec(), |link| vec![link]);
        links.into_iter().map(|link| &self.forms[link]).collect()
    }

    fn read(&self, text: &'a [u8]) -> Result<PlainLine<'a>, PlainFault> {
        let read: Vec<_> = self.forms_now().into_iter().map(|form| PlainLine::parse(text, form)).collect();
        let good = read.iter().find(|line| line.is_ok());
        *good.unwrap_or(&read[0])
    }

    fn learn(&mut self, line: &PlainLine<'_>) -> Result<(), Invalid> {
        if Skew::between(now().wall, line.time).as_nanoseconds() < -(AHEAD_MAX.as_nanos() as i128) {
            return Err(Invalid::TooFarAhead);
        }
        let skew = line.skew_text();
        assert!(Skew::is_skew(skew.as_bytes()));
        let at = line.location(&skew).at_words().join(&b' ');
        let client = line.client.as_bytes();
        if self.known.get(client).is_none_or(|(earlier, _)| line.time > *earlier) {
            self.known.insert(client.to_vec(), (line.time, at));
        }
        Ok(())
    }

    fn check_store(&self, node: &Node) {
        let store = node.store();
        assert_eq!(store.len(), self.known.len());
        for shard in 0..store.shape().shards() {
            for leaf in 0..store.shape().leaves() {
                store.records(shard, leaf, KeyHash::of_bits(0), |_, record| {
                    let location = record.location().expect("nobody is forgotten");
                    let known = self.known.get(location.client.as_bytes()).map(|(_, at)| at);
                    assert_eq!(Some(&location.at_words().join(&b' ')), known, "{location:?}");
                    true
                });
            }
        }
    }
}

impl Ear for Model<'_> {
    fn said(&mut self, line: Line<'_>, _party: &Party, reply: &Reply<'_>) {
        let due = self.due[self.at];
        self.at += 1;
        // A refused line shows nothing that may be a token.
        assert_eq!(line, if matches!(reply, Reply::Invalid(_)) { due.masked() } else { due });
        if let (None, Line::Whole(text, _)) = (self.link, due)
            && let Ok(read) = self.read(text)
        {
            // Whoever a line names as its sender, it is read by that node's form, as all that follow are.
            let named = |&&link: &&usize| read.sender == Some(NAMES[link].as_bytes());
            self.link = self.links.iter().find(named).copied();
        }
        let (expected, is_answered) = match due {
            Line::TooLong(..) => (Reply::Invalid(Invalid::TooLong), false),
            Line::Whole(text, _) => match self.read(text) {
                Err(fault) => (Reply::Invalid(Invalid::NotPlain(fault)), fault != PlainFault::Keyword),
                Ok(read) => (self.learn(&read).map_or_else(Reply::Invalid, |()| Reply::None), true),
            },
        };
        assert_eq!(*reply, expected, "{line:?}");
        let answer = self.forms_now().into_iter().find_map(|form| form.answer.as_deref());
        if let Some(answer) = answer.filter(|_| is_answered) {
            self.expected.extend_from_slice(answer.as_bytes());
            self.expected.extend_from_slice(Ending::Lf.as_bytes());
        }
    }

    fn replied(&mut self, replies: &[u8]) {
        assert_eq!(replies.escape_ascii().to_string(), self.expected.escape_ascii().to_string());
        self.expected.clear();
    }
}
