//! What arrives on a connection: cut into lines, the lines into replies, each reply judged.

use std::collections::VecDeque;

use super::{
    owed::{Kind, Owed},
    tally::Tally,
};
use crate::{
    load::{self, Dialect, Load},
    reply::{Expected, Head, Lines, is_at_line, is_document, status},
    requests::{LOCATION, client_id},
};

/// How replies are judged, and by what.
#[derive(Debug)]
pub(crate) struct Judge {
    dialect: Dialect,
    /// Whether every field is looked at, or only how a reply begins.
    verify: bool,
    bound: u32,
    /// Whether the end of the input ends a reply, too.
    takes_end: bool,
    /// What is known about documents.
    document: Option<load::Document>,
    /// The name that each target gave itself in its first reply.
    servers: Vec<Option<Vec<u8>>>,
}

impl Judge {
    pub(crate) fn new(load: &Load) -> Self {
        let Load { dialect, verify, bound, document, reconnect, .. } = *load;
        let takes_end = reconnect;
        Self { dialect, verify, takes_end, bound, document, servers: vec![None; load.targets.len()] }
    }

    /// Whether a line can be the answer to a report at all.
    fn seems(&self, line: &[u8]) -> bool {
        match self.dialect {
            Dialect::Herd => is_at_line(line),
            Dialect::RedisGeoadd => line.starts_with(b":"),
            Dialect::RedisSet => line == b"+OK",
        }
    }

    /// Whether a line is the head of the right reply, from the server that answered before.
    fn is_right(&mut self, line: &[u8], awaited: &Awaited, target: usize) -> bool {
        let Some(head) = Head::parse(line) else { return false };
        let server = self.servers[target].get_or_insert_with(|| head.server.to_vec());
        // A lookup's head names the server that received the client's report, which may be another.
        (awaited.kind == Kind::Lookup || *server == head.server) && head.says(&awaited.reply)
    }

    fn is_refusal(&self, line: &[u8]) -> bool {
        match self.dialect {
            Dialect::Herd => line.starts_with(b"?"),
            Dialect::RedisGeoadd | Dialect::RedisSet => line.starts_with(b"-"),
        }
    }
}

/// What is incomplete, and what is awaited.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    lines: Lines,
    /// Filled only when every field is checked.
    expected: VecDeque<Awaited>,
    /// The lookup whose document is arriving, if one is.
    document: Option<Document>,
}

#[derive(Debug)]
struct Document {
    /// Kept only if it must be checked.
    text: Vec<u8>,
    head: Vec<u8>,
    is_right: bool,
    /// The status that was not the one, if another came.
    status: Option<Vec<u8>>,
}

impl Inbox {
    pub(crate) fn expect(&mut self, expected: Awaited) {
        self.expected.push_back(expected);
    }

    /// Takes in what arrived at `now_ns`, and counts it.
    pub(crate) fn feed(
        &mut self,
        data: &[u8],
        owed: &mut Owed,
        judge: &mut Judge,
        tally: &mut Tally,
        (target, now_ns): (usize, u64),
    ) {
        let Self { lines, expected, document } = self;
        let mut cut = Cut { expected, document, owed, judge, tally, target, now_ns };
        lines.feed(data, |line| cut.line(line.strip_suffix(b"\r").unwrap_or(line)));
        if let Some(sent) = owed.settle() {
            tally.settle(sent, target, now_ns);
        }
    }

    /// The input has ended: if each request has a connection of its own, that ends its reply.
    pub(crate) fn end(&mut self, owed: &mut Owed, judge: &mut Judge, tally: &mut Tally, now: (usize, u64)) {
        if judge.takes_end && self.unfinished() > 0 {
            self.feed(b"\n", owed, judge, tally, now);
        }
        if judge.takes_end && self.document.is_some() {
            self.feed(b"\n", owed, judge, tally, now);
        }
    }

    /// The bytes of a line that has no end yet.
    pub(crate) fn unfinished(&self) -> usize {
        self.lines.unfinished() + self.document.as_ref().map_or(0, |document| document.text.len())
    }
}

/// One read being cut.
struct Cut<'a> {
    expected: &'a mut VecDeque<Awaited>,
    document: &'a mut Option<Document>,
    owed: &'a mut Owed,
    judge: &'a mut Judge,
    tally: &'a mut Tally,
    target: usize,
    now_ns: u64,
}

impl Cut<'_> {
    fn line(&mut self, line: &[u8]) {
        if self.document.is_some() {
            self.document_line(line);
            return;
        }
        let Some(kind) = self.owed.next() else {
            self.tally.errors.surplus += 1;
            self.tally.show(|| "nothing: this line answers no request".to_owned(), line);
            return;
        };
        if kind == Kind::Lookup && is_at_line(line) {
            let expected = self.expected.front().copied();
            let is_right = expected.is_none_or(|expected| self.judge.is_right(line, &expected, self.target));
            let head = if is_right { Vec::new() } else { line.to_vec() };
            *self.document = Some(Document { text: Vec::new(), head, is_right, status: None });
            return;
        }
        let expected = self.expected.pop_front();
        let is_right = match (kind, &expected) {
            (Kind::Lookup, _) => false,
            (Kind::Report, Some(expected)) => self.judge.is_right(line, expected, self.target),
            (Kind::Report, None) => self.judge.seems(line),
        };
        if !is_right {
            if self.judge.is_refusal(line) {
                self.tally.errors.refused += 1;
            } else {
                self.tally.errors.wrong += 1;
            }
            self.tally.show(|| request_text(kind, expected), line);
        }
        self.answered();
    }

    fn document_line(&mut self, line: &[u8]) {
        let Some(document) = self.document.as_mut() else { return };
        if !line.is_empty() {
            if self.judge.verify {
                document.text.extend_from_slice(line);
                document.text.push(b'\n');
            }
            if let (Some(known), Some(status)) = (self.judge.document, status(line))
                && known.status.as_bytes() != status
            {
                document.status = Some(status.to_vec());
            }
            return;
        }
        let expected = self.expected.pop_front();
        if !document.is_right {
            self.tally.errors.wrong += 1;
            self.tally.show(|| request_text(Kind::Lookup, expected), &document.head);
        } else if let Some(status) = &document.status {
            self.tally.errors.wrong += 1;
            self.tally.show(|| request_text(Kind::Lookup, expected), status);
        } else if self.judge.verify && !is_document(&document.text, self.judge.bound, self.judge.document) {
            self.tally.errors.wrong += 1;
            self.tally.show(|| request_text(Kind::Lookup, expected), &document.text);
        }
        *self.document = None;
        self.answered();
    }

    fn answered(&mut self) {
        if let Some(sent) = self.owed.answer() {
            self.tally.settle(sent, self.target, self.now_ns);
        }
    }
}

/// What a reply must answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(crate) kind: Kind,
    pub(crate) reply: Expected,
}

/// The request that was sent, as far as it is known.
fn request_text(kind: Kind, awaited: Option<Awaited>) -> String {
    let word = match kind {
        Kind::Report => "IAMAT",
        Kind::Lookup => "WHATSAT",
    };
    let Some(Awaited { reply: Expected { number, report }, .. }) = awaited else {
        return format!("{word} … (with --verify the request is shown)");
    };
    let client = client_id(number);
    let Some(stamp) = report else { return format!("{word} {client}") };
    let stamp = String::from_utf8_lossy(stamp.text());
    match kind {
        Kind::Report => format!("IAMAT {client} {LOCATION} {stamp}"),
        Kind::Lookup => format!("WHATSAT {client}, last reported at {LOCATION} {stamp}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{drive::owed::Sent, stamp::Stamp};

    const STAMP: &str = "1479413884.392014450";

    struct Bench {
        inbox: Inbox,
        owed: Owed,
        judge: Judge,
        tally: Tally,
    }

    impl Bench {
        fn new(load: &Load) -> Self {
            Self {
                inbox: Inbox::default(),
                owed: Owed::default(),
                judge: Judge::new(load),
                tally: Tally::new(1),
            }
        }

        fn ask(&mut self, kind: Kind, number: u32) {
            self.owed.push(Sent { kind, planned_ns: 1, sent_ns: 1, requests: 1 });
            if self.judge.verify {
                let report = Some(Stamp::new(1_479_413_884_392_014_450));
                self.inbox.expect(Awaited { kind, reply: Expected { number, report } });
            }
        }

        fn feed(&mut self, data: &str) {
            let Self { inbox, owed, judge, tally } = self;
            inbox.feed(data.as_bytes(), owed, judge, tally, (0, 5));
        }

        fn errors(&self) -> [u64; 3] {
            let errors = &self.tally.errors;
            [errors.refused, errors.wrong, errors.surplus]
        }
    }

    fn load(verify: bool) -> Load {
        Load { verify, ..Load::on(SocketAddr::from(([127, 0, 0, 1], 1))) }
    }

    fn at(server: &str, number: u32) -> String {
        format!("AT {server} +0.000000001 kiwi{number}.cs.ucla.edu {LOCATION} {STAMP}\n")
    }

    #[test]
    fn replies_of_both_kinds_are_told_apart_however_they_are_cut() {
        let document = "{\n  \"results\" : [ 1 ],\n  \"status\" : \"OK\"\n}\n\n";
        let stream = format!("{}{}{document}{}", at("Solo", 1), at("Alford", 2), at("Solo", 3));
        for size in [1, 2, 7, 50, stream.len()] {
            for crlf in [false, true] {
                let stream = if crlf { stream.replace('\n', "\r\n") } else { stream.clone() };
                let mut bench = Bench::new(&load(true));
                bench.ask(Kind::Report, 1);
                bench.ask(Kind::Lookup, 2);
                bench.ask(Kind::Report, 3);
                for piece in stream.as_bytes().chunks(size) {
                    bench.feed(std::str::from_utf8(piece).unwrap());
                }
                assert_eq!(
                    (bench.errors(), bench.tally.replies),
                    ([0; 3], 3),
                    "{:?}",
                    bench.tally.mismatches
                );
                assert_eq!((bench.owed.requests(), bench.inbox.unfinished()), (0, 0));
            }
        }
    }

    #[test]
    fn a_refused_lookup_is_one_line_and_what_follows_is_the_next_reply() {
        for verify in [false, true] {
            let mut bench = Bench::new(&load(verify));
            bench.ask(Kind::Lookup, 2);
            bench.ask(Kind::Report, 3);
            bench.feed(&format!("? WHATSAT kiwi2.cs.ucla.edu 10 5\n{}", at("Solo", 3)));
            assert_eq!((bench.errors(), bench.tally.replies), ([1, 0, 0], 2));
            assert!(bench.tally.mismatches[0].got.starts_with("? WHATSAT"));
        }
    }

    #[test]
    fn a_wrong_reply_is_shown_beside_what_was_sent() {
        let mut bench = Bench::new(&load(true));
        bench.ask(Kind::Report, 1);
        bench.feed(&at("Solo", 2));
        assert_eq!(bench.errors(), [0, 1, 0]);
        let shown = &bench.tally.mismatches[0];
        assert_eq!(shown.sent, format!("IAMAT kiwi1.cs.ucla.edu {LOCATION} {STAMP}"));
        assert!(shown.got.contains("kiwi2"));
    }

    #[test]
    fn a_server_that_changes_its_name_is_wrong() {
        let mut bench = Bench::new(&load(true));
        bench.ask(Kind::Report, 1);
        bench.ask(Kind::Report, 1);
        bench.feed(&(at("Solo", 1) + &at("Duo", 1)));
        assert_eq!(bench.errors(), [0, 1, 0]);
    }

    #[test]
    fn a_document_that_is_none_is_wrong_if_it_is_looked_at() {
        for (verify, wrong) in [(false, 0), (true, 1)] {
            let mut bench = Bench::new(&load(verify));
            bench.ask(Kind::Lookup, 2);
            bench.feed(&format!("{}{{ \"results\" : [1, 2, 3, 4, 5, 6] }}\n\n", at("Solo", 2)));
            assert_eq!((bench.errors(), bench.tally.replies), ([0, wrong, 0], 1));
        }
    }

    #[test]
    fn lines_that_answer_nothing_are_surplus() {
        let mut bench = Bench::new(&load(false));
        bench.ask(Kind::Report, 1);
        bench.feed("AT a\nAT b\nAT c\n");
        assert_eq!((bench.errors(), bench.tally.replies), ([0, 0, 2], 1));
    }

    #[test]
    fn redis_answers_in_its_own_words() {
        for (dialect, right, refused) in [
            (Dialect::RedisGeoadd, ":1\r\n:0\r\n", "-ERR no\r\n"),
            (Dialect::RedisSet, "+OK\r\n+OK\r\n", "-OOM\r\n"),
        ] {
            let mut bench = Bench::new(&Load { dialect, ..load(false) });
            (0..4).for_each(|number| bench.ask(Kind::Report, number));
            bench.feed(right);
            assert_eq!((bench.errors(), bench.tally.replies), ([0; 3], 2));
            bench.feed(refused);
            bench.feed("AT x\r\n");
            assert_eq!((bench.errors(), bench.tally.replies), ([1, 1, 0], 4));
        }
    }
}
