//! The search for differences: what the node that dialled asks, and what the other answers. Sums and hashes are 16
//! lower-case hexadecimal digits each, without separators, so that an answer's length is known before it is asked for.
//! A watermark is the time, in POSIX seconds, before which nothing is in the sums; 0 if nothing is forgotten.

use super::{Fields, fields::decimal, peer::number};
use crate::core::{hex::from_hex, model::Timestamp};

/// The longest answer, without its terminator: a keyword and the question's own numbers, followed by 256 numbers.
pub const ANSWER_BYTES_MAX: usize = NUMBERS_MAX * HEX_DIGITS + ANSWER_WORDS_MAX;

/// The room for an answer's keyword and the numbers of its question, with the white space between them and at the end.
const ANSWER_WORDS_MAX: usize = 64;

/// The most entries that one answer lists.
pub const LIST_ENTRIES_MAX: usize = NUMBERS_MAX / 2;

const NUMBERS_MAX: usize = 256;
const HEX_DIGITS: usize = 16;

/// What is asked about the other node's store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// The sum of the whole store.
    Sum {
        /// The watermark of the node that asks.
        watermark: u64,
    },
    /// The sum of each shard.
    Shards,
    /// The sum of each leaf of a shard.
    Leaves {
        /// Which.
        shard: usize,
    },
    /// A leaf's entries, as many as fit an answer.
    List {
        /// The shard.
        shard: usize,
        /// The leaf in it.
        leaf: usize,
        /// The first key.
        from: u64,
        /// The most entries to list, 1 to [`LIST_ENTRIES_MAX`].
        most: usize,
    },
}

impl Question {
    pub(super) fn of_fields(keyword: &[u8], fields: Fields<'_>) -> Option<Self> {
        match keyword {
            b"SUM" => number(fields).map(|watermark| Self::Sum { watermark }),
            b"SHARDS" => fields.exactly::<0>().map(|[]| Self::Shards),
            b"LEAVES" => number(fields).and_then(part).map(|shard| Self::Leaves { shard }),
            b"LIST" => {
                let [shard, leaf, from, most] = fields.exactly()?;
                let (shard, leaf) = (decimal(shard).and_then(part)?, decimal(leaf).and_then(part)?);
                let most =
                    decimal(most).and_then(part).filter(|most| (1..=LIST_ENTRIES_MAX).contains(most))?;
                Some(Self::List { shard, leaf, from: hex(from)?, most })
            }
            _ => None,
        }
    }

    /// Appends the line, with its terminator.
    pub fn write(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Sum { watermark } => format!("SUM {watermark}\n"),
            Self::Shards => "SHARDS\n".to_owned(),
            Self::Leaves { shard } => format!("LEAVES {shard}\n"),
            Self::List { shard, leaf, from, most } => format!("LIST {shard} {leaf} {from:016x} {most}\n"),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// How long its answer can be, its terminator included.
    pub fn answer_bytes_max(&self) -> usize {
        let numbers = match self {
            Self::Sum { .. } => 1,
            Self::Shards | Self::Leaves { .. } => NUMBERS_MAX,
            Self::List { most, .. } => 2 * most,
        };
        numbers * HEX_DIGITS + ANSWER_WORDS_MAX
    }
}

/// What a store holds of what was asked: the values of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// The sum of the whole store.
    Sum {
        /// `None` if it cannot be compared with that of the node that asks.
        sum: Option<u64>,
        /// The watermark of the node that answers.
        watermark: u64,
    },
    /// The sums of the parts, in their order.
    Sums(Vec<u64>),
    /// Entries of a leaf, keys and hashes, in the order of the keys.
    Entries {
        /// As many as were asked for, or all.
        pairs: Vec<(u64, u64)>,
        /// Whether no entries follow the last of these.
        is_end: bool,
    },
    /// Sums or entries that cannot be compared now: the watermark has moved since the sum of the whole was answered.
    NotNow,
}

impl Held {
    /// Appends the answer to that question, with its terminator.
    pub fn write(&self, question: &Question, out: &mut Vec<u8>) {
        match *question {
            Question::Sum { .. } => out.extend_from_slice(b"SUM "),
            Question::Shards => out.extend_from_slice(b"SHARDS "),
            Question::Leaves { shard } => out.extend_from_slice(format!("LEAVES {shard} ").as_bytes()),
            Question::List { shard, leaf, .. } => {
                out.extend_from_slice(format!("LIST {shard} {leaf} ").as_bytes());
            }
        }
        match self {
            Self::Sum { sum, watermark } => {
                match sum {
                    Some(sum) => write_hex(*sum, out),
                    None => out.extend_from_slice(NOT_NOW),
                }
                out.extend_from_slice(format!(" {watermark}").as_bytes());
            }
            Self::NotNow => out.extend_from_slice(NOT_NOW),
            Self::Sums(sums) => sums.iter().for_each(|&sum| write_hex(sum, out)),
            Self::Entries { pairs, is_end } => {
                out.extend_from_slice(if *is_end { b"end" } else { b"more" });
                if !pairs.is_empty() {
                    out.push(b' ');
                }
                for &(key, hash) in pairs {
                    write_hex(key, out);
                    write_hex(hash, out);
                }
            }
        }
        out.push(b'\n');
    }
}

/// In place of sums or entries: they cannot be compared now.
const NOT_NOW: &[u8] = b"-";

/// In place of a sum: the node keeps none.
const NEVER: &[u8] = b"*";

/// The sum of a whole store, as it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WholeSum {
    /// That is it.
    Is(u64),
    /// It cannot be compared now: the watermarks differ, or one of them moves.
    NotNow,
    /// The node keeps no sums.
    Never,
}

impl WholeSum {
    fn parse(field: &[u8]) -> Option<Self> {
        match field {
            NOT_NOW => Some(Self::NotNow),
            NEVER => Some(Self::Never),
            sum => hex(sum).map(Self::Is),
        }
    }
}

/// What the other node answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// The answer to a ping.
    Pong {
        /// The ping's number.
        number: u64,
        /// The other node's clock when it took the ping.
        time: Timestamp,
    },
    /// The number of the round that is over.
    Done(u64),
    /// The sum of the whole store.
    Sum {
        /// The sum.
        sum: WholeSum,
        /// The other node's watermark.
        watermark: u64,
    },
    /// Each shard's sum.
    Shards(Sums<'a>),
    /// The watermark has moved since the sum was asked for, so nothing is said of shards.
    NoShards,
    /// Each of a shard's leaves' sums.
    Leaves {
        /// Which shard.
        shard: usize,
        /// The sums.
        sums: Sums<'a>,
    },
    /// As [`Answer::NoShards`], of that shard's leaves.
    NoLeaves {
        /// Which shard.
        shard: usize,
    },
    /// Some of a leaf's entries.
    List {
        /// The shard.
        shard: usize,
        /// The leaf in it.
        leaf: usize,
        /// Whether these are the last.
        is_end: bool,
        /// Key and hash of each, in the order of keys.
        pairs: Pairs<'a>,
    },
    /// As [`Answer::NoShards`], of that leaf's entries.
    NoList {
        /// The shard.
        shard: usize,
        /// The leaf in it.
        leaf: usize,
    },
}

impl<'a> Answer<'a> {
    /// Parses a line, given without its terminator; `None` for a bad one.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(line);
        match fields.next()? {
            b"PONG" => {
                let [number, time] = fields.exactly()?;
                Some(Self::Pong { number: decimal(number)?, time: Timestamp::parse(time)? })
            }
            b"DONE" => number(fields).map(Self::Done),
            b"SUM" => {
                let [sum, watermark] = fields.exactly()?;
                Some(Self::Sum { sum: WholeSum::parse(sum)?, watermark: decimal(watermark)? })
            }
            b"SHARDS" => match fields.exactly()? {
                [NOT_NOW] => Some(Self::NoShards),
                [sums] => Sums::parse(sums).map(Self::Shards),
            },
            b"LEAVES" => {
                let [shard, sums] = fields.exactly()?;
                let shard = decimal(shard).and_then(part)?;
                if sums == NOT_NOW {
                    return Some(Self::NoLeaves { shard });
                }
                Some(Self::Leaves { shard, sums: Sums::parse(sums)? })
            }
            b"LIST" => Self::list(fields),
            _ => None,
        }
    }

    fn list(mut fields: Fields<'a>) -> Option<Self> {
        let [shard, leaf, end] = fields.first()?;
        let (shard, leaf) = (decimal(shard).and_then(part)?, decimal(leaf).and_then(part)?);
        // A leaf may have become empty, which leaves no field at all.
        let pairs = Pairs(Sums::parse(fields.next().unwrap_or_default())?);
        let is_whole = pairs.0.len().is_multiple_of(2) && fields.next().is_none();
        let is_end = match end {
            b"end" => true,
            b"more" => false,
            NOT_NOW if pairs.0.len() == 0 && is_whole => return Some(Self::NoList { shard, leaf }),
            _ => return None,
        };
        let goes_on = is_end || pairs.0.len() > 0;
        let is_sorted = pairs.iter().map(|(key, _)| key).is_sorted();
        (is_whole && goes_on && is_sorted).then_some(Self::List { shard, leaf, is_end, pairs })
    }
}

/// Numbers without separators, known to be well formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sums<'a>(&'a [u8]);

impl<'a> Sums<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let is_whole = text.len().is_multiple_of(HEX_DIGITS) && text.len() <= NUMBERS_MAX * HEX_DIGITS;
        let is_hex = is_whole && text.chunks(HEX_DIGITS).all(|number| hex(number).is_some());
        is_hex.then_some(Self(text))
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "none are as good as any other number")]
    pub fn len(&self) -> usize {
        self.0.len() / HEX_DIGITS
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.0.chunks(HEX_DIGITS).map(|number| hex(number).unwrap_or_default())
    }
}

/// Keys and the hashes of their entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pairs<'a>(Sums<'a>);

impl<'a> Pairs<'a> {
    /// The pairs.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let numbers = |text: &'a [u8]| hex(text).unwrap_or_default();
        self.0.0.chunks(2 * HEX_DIGITS).map(move |pair| {
            let (key, hash) = pair.split_at(HEX_DIGITS.min(pair.len()));
            (numbers(key), numbers(hash))
        })
    }
}

/// Exactly 16 lower-case hexadecimal digits.
pub(super) fn hex(field: &[u8]) -> Option<u64> {
    from_hex(field).map(u64::from_be_bytes)
}

fn write_hex(number: u64, out: &mut Vec<u8>) {
    let digit = |at: usize| b"0123456789abcdef"[(number >> (4 * at)) as usize & 0xf];
    out.extend((0..HEX_DIGITS).rev().map(digit));
}

/// The number of a shard or leaf, of which there are never more than 256.
fn part(number: u64) -> Option<usize> {
    usize::try_from(number).ok().filter(|&part| part < NUMBERS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::PeerLine;

    #[test]
    fn questions_come_back_as_they_were_written() {
        for question in [
            Question::Sum { watermark: 0 },
            Question::Sum { watermark: u64::MAX },
            Question::Shards,
            Question::Leaves { shard: 255 },
            Question::List { shard: 0, leaf: 17, from: 0xfeed, most: 128 },
        ] {
            let mut line = Vec::new();
            question.write(&mut line);
            assert_eq!(PeerLine::parse(line.trim_ascii_end()), Some(PeerLine::Ask(question)));
        }
        for line in [
            "SUM",
            "SUM -1",
            "SUM 0 0",
            "LEAVES 256",
            "LIST 0 256 0000000000000000 1",
            "LIST 0 0 0000000000000000 0",
            "LIST 0 0 0000000000000000 129",
        ] {
            assert_eq!(PeerLine::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn bad_answers_are_not_understood() {
        let number = "0123456789abcdef";
        for line in [
            "",
            "SUM",
            "SUM 0123456789abcdef",
            "SUM 0123456789abcde 0",
            "SUM 0123456789ABCDEF 0",
            "SUM - x",
            "SUM ** 0",
            "SHARDS *",
            "LEAVES -",
            "LEAVES 1 - 0",
            "LIST 1 -",
            "LIST 1 2 - 0123456789abcdef0123456789abcdef",
            "SHARDS 0123456789abcdef0",
            "LEAVES 256 0123456789abcdef",
            "LIST 1 2 end 0123456789abcdef",
            "LIST 1 2 more",
            "LIST 1 2 some 0123456789abcdef0123456789abcdef",
            "LIST 1 2 end 0123456789abcdef0123456789abcdef x",
            "PONG",
            "PONG 1",
            "PONG x 1",
            "PONG 1 x",
            "PONG 1 -1",
            "PONG 1 1 1",
            "AT a b c d e",
        ] {
            assert_eq!(Answer::parse(line.as_bytes()), None, "{line}");
        }
        let most = format!("SHARDS {}", number.repeat(NUMBERS_MAX));
        assert!(Answer::parse(most.as_bytes()).is_some());
        assert_eq!(Answer::parse(format!("{most}{number}").as_bytes()), None);
        let unsorted = "LIST 1 2 end 00000000000000020000000000000000\
                        00000000000000010000000000000000";
        assert_eq!(Answer::parse(unsorted.as_bytes()), None);
    }

    #[test]
    fn what_cannot_be_compared_is_told_apart_from_what_is_not_kept() {
        let sum = Answer::parse;
        assert_eq!(sum(b"SUM - 7"), Some(Answer::Sum { sum: WholeSum::NotNow, watermark: 7 }));
        assert_eq!(sum(b"SUM * 0"), Some(Answer::Sum { sum: WholeSum::Never, watermark: 0 }));
        for (held, line) in [
            (Held::Sum { sum: Some(0xfeed), watermark: 7 }, "SUM 000000000000feed 7\n"),
            (Held::Sum { sum: None, watermark: 0 }, "SUM - 0\n"),
        ] {
            let mut out = Vec::new();
            held.write(&Question::Sum { watermark: 7 }, &mut out);
            assert_eq!(out, line.as_bytes());
        }
        assert_eq!(sum(b"SHARDS -"), Some(Answer::NoShards));
        assert_eq!(sum(b"LEAVES 7 -"), Some(Answer::NoLeaves { shard: 7 }));
        assert_eq!(sum(b"LIST 7 8 -"), Some(Answer::NoList { shard: 7, leaf: 8 }));
    }

    const RIGHT: [&str; 10] = [
        "PONG 18446744073709551615 1479413884.392014450",
        "DONE 0",
        "SUM 0123456789abcdef 0",
        "SUM - 18446744073709551615",
        "SHARDS -",
        "LEAVES 255 -",
        "LIST 255 17 -",
        "SHARDS 0123456789abcdef0000000000000000",
        "LEAVES 255 0123456789abcdef",
        "LIST 255 17 more 00000000000000010123456789abcdef00000000000000020123456789abcdef",
    ];

    proptest! {
        #[test]
        fn answers_come_back_as_they_were_written(
            mut pairs in prop::collection::vec(any::<(u64, u64)>(), 0..=LIST_ENTRIES_MAX),
            sums in prop::collection::vec(any::<u64>(), 1..=256),
            is_end in any::<bool>(),
        ) {
            let mut line = Vec::new();
            Held::Sums(sums.clone()).write(&Question::Leaves { shard: 7 }, &mut line);
            prop_assert!(line.len() <= ANSWER_BYTES_MAX);
            let Some(Answer::Leaves { shard: 7, sums: read }) = Answer::parse(line.trim_ascii_end()) else { panic!() };
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), sums);
            pairs.sort_unstable();
            line.clear();
            let question = Question::List { shard: 255, leaf: 255, from: 0, most: pairs.len() };
            Held::Entries { pairs: pairs.clone(), is_end }.write(&question, &mut line);
            prop_assert!(line.len() <= question.answer_bytes_max());
            match Answer::parse(line.trim_ascii_end()) {
                Some(Answer::List { shard: 255, leaf: 255, is_end: end, pairs: read }) => {
                    prop_assert_eq!(end, is_end);
                    prop_assert_eq!(read.iter().collect::<Vec<_>>(), pairs);
                }
                other => prop_assert!(other.is_none() && pairs.is_empty() && !is_end),
            }
        }

        #[test]
        fn answer_that_is_nearly_right_is_refused_or_its_numbers_are_within_bounds(
            right in prop::sample::select(RIGHT.to_vec()),
            bent in prop::option::of((any::<prop::sample::Index>(), "[0-9]{1,3}|[0-9]{20,21}|[0-9a-fA-F]{15,17}|[0-9a-f]{32}|[0-9a-f]{48}|end|more|\\PC{0,8}")),
            tail in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut fields: Vec<&str> = right.split(' ').collect();
            if let Some((at, field)) = &bent {
                let at = at.index(fields.len());
                fields[at] = field;
            }
            let line = [fields.join(" ").as_bytes(), &tail].concat();
            let answer = Answer::parse(&line);
            prop_assert!(bent.is_some() || !tail.is_empty() || answer.is_some());
            match answer {
                Some(Answer::Shards(sums)) => prop_assert!(sums.iter().count() * HEX_DIGITS <= line.len()),
                Some(Answer::Leaves { shard, sums }) => {
                    prop_assert!(shard < NUMBERS_MAX && sums.iter().count() == sums.len());
                }
                Some(Answer::List { shard, leaf, pairs, .. }) => {
                    prop_assert!(shard < NUMBERS_MAX && leaf < NUMBERS_MAX && line.len() > pairs.iter().count() * 2 * HEX_DIGITS);
                    prop_assert!(pairs.0.len().is_multiple_of(2) && pairs.iter().is_sorted_by_key(|(key, _)| key));
                }
                _ => {}
            }
        }
    }
}
