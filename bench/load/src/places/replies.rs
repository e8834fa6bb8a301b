//! The replies to lookups: cutting what arrives into them, and judging each. A reply is an AT line and a JSON document, and
//! ends with an empty line.

use memchr::memmem;
use serde_json::Value;

/// How a reply ends, and what the next one follows.
const END: &[u8] = b"\n\n";

/// Cuts a stream into replies; holds the one that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Replies {
    partial: Vec<u8>,
}

impl Replies {
    /// Hands every reply that `data` completes to `each`, without its two newlines; gives their number.
    pub(super) fn feed(&mut self, data: &[u8], mut each: impl FnMut(&[u8])) -> u32 {
        let mut count = 0;
        let mut rest = data;
        if !self.partial.is_empty() {
            let is_cut = self.partial.ends_with(b"\n") && data.starts_with(b"\n");
            let end = if is_cut { Some(0) } else { memmem::find(data, END) };
            let Some(end) = end else {
                self.partial.extend_from_slice(data);
                return 0;
            };
            self.partial.extend_from_slice(&data[..end]);
            each(self.partial.strip_suffix(b"\n").filter(|_| is_cut).unwrap_or(&self.partial));
            self.partial.clear();
            count = 1;
            rest = &data[end + if is_cut { 1 } else { END.len() }..];
        }
        let mut start = 0;
        for end in memmem::find_iter(rest, END) {
            each(&rest[start..end]);
            count += 1;
            start = end + END.len();
        }
        self.partial.extend_from_slice(&rest[start..]);
        count
    }

    /// What there is of a reply that does not end.
    pub(super) fn partial(&self) -> &[u8] {
        &self.partial
    }
}

/// What a reply's document must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) status: &'static str,
    pub(super) results: usize,
}

impl Expected {
    /// Whether a reply begins and ends as it must: little enough to look at that each can be.
    pub(super) fn seems(&self, reply: &[u8]) -> bool {
        let end = reply.strip_suffix(b"\"\n}").and_then(|rest| rest.strip_suffix(self.status.as_bytes()));
        reply.starts_with(b"AT ") && end.is_some_and(|rest| rest.ends_with(b"\"status\" : \""))
    }

    /// Whether a reply is the whole answer to a question about `client`.
    pub(super) fn is(&self, reply: &[u8], client: &str) -> bool {
        let Some(line_end) = memchr::memchr(b'\n', reply) else { return false };
        let (line, document) = (&reply[..line_end], &reply[line_end + 1..]);
        let names_client = line.split(|byte| *byte == b' ').nth(3) == Some(client.as_bytes());
        let Ok(document) = serde_json::from_slice::<Value>(document) else { return false };
        let count = document["results"].as_array().map(Vec::len);
        names_client && document["status"] == self.status && count == Some(self.results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Expected = Expected { status: "OK", results: 2 };

    fn reply(client: &str, results: &str, status: &str) -> Vec<u8> {
        format!("AT Solo +0.1 {client} +1+1 1.0\n{{\n   \"results\" : [{results}],\n   \"status\" : \"{status}\"\n}}")
            .into_bytes()
    }

    #[test]
    fn replies_are_the_same_however_the_stream_is_cut() {
        let stream = b"AT one\n{\n}\n\nAT two\n{}\n\n\nAT three";
        for size in 1..=stream.len() {
            let mut replies = Replies::default();
            let mut seen = Vec::new();
            let count: u32 =
                stream.chunks(size).map(|piece| replies.feed(piece, |reply| seen.push(reply.to_vec()))).sum();
            assert_eq!(count, 2, "{size}");
            assert_eq!(seen, [&b"AT one\n{\n}"[..], b"AT two\n{}"], "{size}");
            assert_eq!(replies.partial(), b"\nAT three", "{size}");
        }
    }

    #[test]
    fn the_right_answer_is_right() {
        let right = reply("kiwi1", "1, 2", "OK");
        assert!(OK.seems(&right) && OK.is(&right, "kiwi1"));
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        for wrong in [reply("kiwi2", "1, 2", "OK"), reply("kiwi1", "1", "OK"), reply("kiwi1", "1,, 2", "OK")]
        {
            assert!(OK.seems(&wrong) && !OK.is(&wrong, "kiwi1"));
        }
        let failed = reply("kiwi1", "1, 2", "UNKNOWN_ERROR");
        assert!(!OK.seems(&failed) && !OK.is(&failed, "kiwi1"));
        assert!(!OK.seems(b"? WHATSAT kiwi1 10 20") && !OK.is(b"", "kiwi1"));
    }
}
