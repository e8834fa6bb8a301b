//! Repair (PROTOCOL.md, "Repair rounds"): how two stores find out where they differ. On the side that asks, a round
//! finds where the neighbour's store differs from ours and what it lacks: first the sum of the whole store, then the
//! shards' sums, then the leaves' sums of the shards that differ, then the entries of the leaves that differ. What the
//! neighbour lacks, or holds in another version, is pushed; the neighbour's merge decides whether ours is newer. And
//! what the other side answers.

use std::collections::{HashMap, VecDeque};

use crate::core::{
    Rules,
    store::{KeyHash, Store},
    wire::{Answer, Held, LIST_ENTRIES_MAX, Question, Sums, WholeSum, write_done, write_push},
};

/// How long the answers in flight may be together: few enough to fit any socket's buffers, so that the neighbour can
/// always write them while we write to it.
const ANSWERS_BYTES_MAX: usize = 16 * 1024;

/// How much is pushed at once, so that updates need not wait for long; one line more may be included.
pub const PUSH_BYTES_MAX: usize = 64 * 1024;

/// Differences remembered from one round to the next, to see which last.
const REMEMBERED_MAX: usize = 4096;

/// A round in progress.
#[derive(Debug)]
pub struct Round {
    number: u64,
    /// Our sum of the whole store, read when the round began, and its watermark.
    sum: u64,
    watermark: u64,
    asked: VecDeque<Question>,
    /// How long the answers to these may be together.
    answers_bytes: usize,
    to_ask: VecDeque<Question>,
    pushes: VecDeque<Push>,
    /// Shards in which the neighbour has nothing, or of which it keeps no sums.
    to_fill: VecDeque<usize>,
    /// Whether the neighbour keeps no sums, and so is sent everything.
    is_sweep: bool,
    /// Whether the two stores cannot be compared now. What was asked is still answered.
    is_given_up: bool,
    /// The neighbour's watermark, once it has told it.
    theirs: Option<u64>,
    is_closing: bool,
    found: Findings,
    rules: Rules,
}

/// What a round has found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// Parts of the store that differ, as deep as the round looked.
    pub differing: usize,
    /// Records pushed.
    pub pushed: usize,
    /// Ours and theirs of the first of them.
    pub pairs: HashMap<Part, (u64, u64)>,
}

/// A part of the store: all of it, a shard, or a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// All of it.
    All,
    /// The shard of that number.
    Shard(usize),
    /// A shard's leaf, by their numbers.
    Leaf(usize, usize),
}

/// A range of a leaf's keys to be pushed, except what the neighbour holds in the same version.
#[derive(Debug)]
struct Push {
    shard: usize,
    leaf: usize,
    from: u64,
    to: u64,
    theirs: Vec<(u64, u64)>,
}

impl Push {
    /// A leaf in which the neighbour has nothing.
    fn whole(shard: usize, leaf: usize) -> Self {
        Self { shard, leaf, from: 0, to: u64::MAX, theirs: Vec::new() }
    }
}

/// How a round has ended.
#[derive(Debug)]
pub enum RoundEnd {
    /// The neighbour has been pushed what was found.
    Judged(Findings),
    /// The two stores could not be compared, and nothing is known of what they lack.
    Unjudged {
        /// The neighbour's watermark, if it has told one.
        theirs: Option<u64>,
    },
}

/// An answer that does not match the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfitting;

/// What a round needs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Write what it has just appended.
    Write,
    /// Nothing more before the next answer, or before there is room.
    Answer,
    /// Nothing more: the two stores cannot be compared now, and nothing is owed.
    Over,
}

impl Round {
    /// A round that compares with this sum of the whole store, which was read after the link had begun to queue, and with
    /// the watermark that held before and after that.
    pub fn new(number: u64, (sum, watermark): (u64, u64), rules: Rules) -> Self {
        Self {
            number,
            sum,
            watermark,
            theirs: None,
            asked: VecDeque::new(),
            answers_bytes: 0,
            to_ask: VecDeque::from([Question::Sum { watermark }]),
            pushes: VecDeque::new(),
            to_fill: VecDeque::new(),
            is_sweep: false,
            is_given_up: false,
            is_closing: false,
            found: Findings::default(),
            rules,
        }
    }

    /// A round that asks nothing and pushes everything, whatever the neighbour has.
    pub fn sweep(number: u64, store: &Store, rules: Rules) -> Self {
        let (to_ask, to_fill) = (VecDeque::new(), (0..store.shape().shards()).collect());
        Self { to_ask, to_fill, is_sweep: true, ..Self::new(number, (0, 0), rules) }
    }

    /// Gives the round up if the watermark of this node's store has moved since it began. A sweep compares nothing.
    fn heed_watermark(&mut self, store: &Store) {
        let is_concerned = !self.is_sweep && !self.is_closing && self.rules.rounds_heed_watermark;
        if is_concerned && store.settled_watermark() != Some(self.watermark) {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.is_given_up = true;
        self.to_ask.clear();
        self.pushes.clear();
        self.to_fill.clear();
    }

    /// Appends what to write next: a bounded piece of what must be pushed, or questions, or the round's end. There is
    /// `room` for so many bytes to push, and one line more; if there is none for what must be pushed now, the round
    /// says nothing else until there is.
    pub fn next(&mut self, store: &Store, room: usize, out: &mut Vec<u8>) -> Need {
        self.heed_watermark(store);
        if self.is_given_up && self.asked.is_empty() {
            return Need::Over;
        }
        let before = out.len();
        if room == 0 && !(self.pushes.is_empty() && self.to_fill.is_empty()) {
            return Need::Answer;
        }
        loop {
            self.push(store, room, out);
            let Some(shard) = self.to_fill.front().copied().filter(|_| out.len() == before) else { break };
            self.to_fill.pop_front();
            let sums = store.leaf_sums(shard);
            for (leaf, &sum) in sums.iter().enumerate().filter(|&(_, &sum)| sum != 0) {
                if !self.is_sweep {
                    self.found.differ(Part::Leaf(shard, leaf), (sum, 0));
                }
                self.pushes.push_back(Push::whole(shard, leaf));
            }
        }
        if out.len() == before {
            while let Some(question) = self.to_ask.pop_front() {
                let answers_bytes = self.answers_bytes + question.answer_bytes_max();
                if answers_bytes > ANSWERS_BYTES_MAX {
                    self.to_ask.push_front(question);
                    break;
                }
                self.answers_bytes = answers_bytes;
                question.write(out);
                self.asked.push_back(question);
            }
        }
        if out.len() == before && self.asked.is_empty() && !self.is_closing && !self.is_given_up {
            self.is_closing = true;
            write_done(self.number, out);
        }
        if out.len() == before { Need::Answer } else { Need::Write }
    }

    /// How many answers are owed.
    pub fn owed(&self) -> usize {
        self.asked.len() + usize::from(self.is_closing)
    }

    /// Takes the answer to the oldest question. Returns how the round has ended, once it has.
    pub fn answered(&mut self, answer: &Answer<'_>, store: &Store) -> Result<Option<RoundEnd>, Unfitting> {
        let question = self.asked.pop_front();
        self.answers_bytes -= question.as_ref().map_or(0, Question::answer_bytes_max);
        if let (None, Answer::Done(number)) = (question, answer)
            && self.is_closing
            && *number == self.number
        {
            return Ok(Some(RoundEnd::Judged(std::mem::take(&mut self.found))));
        }
        self.compare(question.ok_or(Unfitting)?, answer, store)?;
        self.heed_watermark(store);
        if self.is_given_up {
            self.give_up();
        }
        let is_over = self.is_given_up && self.asked.is_empty();
        Ok(is_over.then_some(RoundEnd::Unjudged { theirs: self.theirs }))
    }

    fn compare(&mut self, question: Question, answer: &Answer<'_>, store: &Store) -> Result<(), Unfitting> {
        match (question, answer) {
            (Question::Sum { watermark }, Answer::Sum { sum, watermark: of }) => {
                self.theirs = Some(*of);
                match sum {
                    WholeSum::Is(theirs) if watermark == *of => self.compare_all(*theirs, store),
                    WholeSum::Never => {
                        self.is_sweep = true;
                        self.to_fill.extend(0..store.shape().shards());
                    }
                    WholeSum::Is(_) | WholeSum::NotNow => self.is_given_up = true,
                }
            }
            (Question::Shards, Answer::NoShards) => self.is_given_up = true,
            (Question::Leaves { shard }, Answer::NoLeaves { shard: of }) if shard == *of => {
                self.is_given_up = true;
            }
            (Question::List { shard, leaf, .. }, Answer::NoList { shard: of, leaf: and_of })
                if (shard, leaf) == (*of, *and_of) =>
            {
                self.is_given_up = true;
            }
            (Question::Shards, Answer::Shards(theirs)) => {
                for (shard, pair) in zip(store.shard_sums(), theirs)? {
                    self.compare_shard(shard, pair);
                }
            }
            (Question::Leaves { shard }, Answer::Leaves { shard: of, sums }) if shard == *of => {
                for (leaf, pair) in zip(store.leaf_sums(shard), sums)? {
                    self.compare_leaf(shard, leaf, pair, list_most(store));
                }
            }
            (
                Question::List { shard, leaf, from, most },
                Answer::List { shard: of, leaf: and_of, is_end, pairs },
            ) if (shard, leaf) == (*of, *and_of) => {
                let theirs: Vec<_> = pairs.iter().collect();
                let last = theirs.last().map_or(u64::MAX, |&(key, _)| key);
                if theirs.first().is_some_and(|&(key, _)| key < from) || theirs.len() > most {
                    return Err(Unfitting);
                }
                let to = if *is_end { u64::MAX } else { last };
                if let Some(from) = to.checked_add(1) {
                    self.to_ask.push_front(Question::List { shard, leaf, from, most: LIST_ENTRIES_MAX });
                }
                self.pushes.push_back(Push { shard, leaf, from, to, theirs });
            }
            _ => return Err(Unfitting),
        }
        Ok(())
    }

    // Where we have nothing there is nothing to push, and where they have nothing there is nothing to ask.

    fn compare_all(&mut self, theirs: u64, store: &Store) {
        match (self.sum, theirs) {
            (ours, theirs) if ours == theirs && self.rules.rests_when_equal => {}
            (0, _) => self.found.differ(Part::All, (0, theirs)),
            (_, 0) => self.to_fill.extend(0..store.shape().shards()),
            _ => self.to_ask.push_back(Question::Shards),
        }
    }

    fn compare_shard(&mut self, shard: usize, pair: (u64, u64)) {
        match pair {
            (ours, theirs) if ours == theirs => {}
            (0, _) => self.found.differ(Part::Shard(shard), pair),
            (_, 0) => self.to_fill.push_back(shard),
            _ => self.to_ask.push_back(Question::Leaves { shard }),
        }
    }

    fn compare_leaf(&mut self, shard: usize, leaf: usize, pair: (u64, u64), most: usize) {
        if pair.0 != pair.1 {
            self.found.differ(Part::Leaf(shard, leaf), pair);
        }
        match pair {
            (ours, theirs) if ours == theirs || ours == 0 => {}
            (_, 0) => self.pushes.push_back(Push::whole(shard, leaf)),
            // Before asking about other shards, so that little needs to be remembered of differences.
            _ => self.to_ask.push_front(Question::List { shard, leaf, from: 0, most }),
        }
    }

    fn push(&mut self, store: &Store, room: usize, out: &mut Vec<u8>) {
        let full = out.len() + PUSH_BYTES_MAX.min(room);
        while out.len() < full
            && let Some(push) = self.pushes.front_mut()
        {
            let mut next = None;
            store.records(push.shard, push.leaf, KeyHash::of_bits(push.from), |entry, record| {
                let key = entry.key.bits();
                if key > push.to {
                    return false;
                }
                if out.len() >= full {
                    next = Some(key);
                    return false;
                }
                if push.theirs.binary_search(&(key, entry.hash)).is_err() {
                    write_push(record, out);
                    self.found.pushed += 1;
                }
                true
            });
            match next {
                Some(key) => push.from = key,
                None => drop(self.pushes.pop_front()),
            }
        }
    }
}

impl Findings {
    fn differ(&mut self, part: Part, pair: (u64, u64)) {
        self.differing += 1;
        if self.pairs.len() < REMEMBERED_MAX {
            self.pairs.insert(part, pair);
        }
    }

    /// How many parts differ in the same way as in an earlier round.
    pub fn lasting(&self, earlier: &HashMap<Part, (u64, u64)>) -> usize {
        self.pairs.iter().filter(|&(part, pair)| earlier.get(part) == Some(pair)).count()
    }
}

/// How many of a leaf's entries to ask for: twice the usual number and a few more, because room for as many as are
/// asked for is reserved among the answers in flight, whether they exist or not.
fn list_most(store: &Store) -> usize {
    let leaves = store.shape().shards() * store.shape().leaves();
    (2 * (store.len() + store.tombstones()) / leaves + 8).min(LIST_ENTRIES_MAX)
}

/// Our sums and theirs side by side, with their positions.
fn zip(
    ours: Vec<u64>,
    theirs: &Sums<'_>,
) -> Result<impl Iterator<Item = (usize, (u64, u64))> + use<>, Unfitting> {
    if ours.len() != theirs.len() {
        return Err(Unfitting);
    }
    let theirs: Vec<u64> = theirs.iter().collect();
    Ok(ours.into_iter().zip(theirs).enumerate())
}

/// What the store holds of what is asked; `None` for a part that the store does not have. `compared` is the watermark of
/// the last sum that was answered to the same neighbour: what is asked about parts is compared at that one or not at all.
pub fn answer(store: &Store, question: &Question, compared: &mut u64) -> Option<Held> {
    let settled = store.settled_watermark();
    if let Question::Sum { watermark } = *question {
        if !store.heeds_watermark() {
            return Some(Held::Sum { sum: Some(store.sum()), watermark });
        }
        let sum = (settled == Some(watermark)).then(|| store.sum());
        // It may have begun to move meanwhile; it never comes back to where it was.
        let sum = sum.filter(|_| store.settled_watermark() == Some(watermark));
        if sum.is_some() {
            *compared = watermark;
        }
        return Some(Held::Sum { sum, watermark: store.watermark() });
    }
    let held = answer_of_part(store, question)?;
    let is_comparable = settled == Some(*compared) && store.settled_watermark() == settled;
    Some(if is_comparable || !store.heeds_watermark() { held } else { Held::NotNow })
}

fn answer_of_part(store: &Store, question: &Question) -> Option<Held> {
    let shape = store.shape();
    Some(match *question {
        Question::Shards => Held::Sums(store.shard_sums()),
        Question::Leaves { shard } if shard < shape.shards() => Held::Sums(store.leaf_sums(shard)),
        Question::List { shard, leaf, from, most } if shard < shape.shards() && leaf < shape.leaves() => {
            let entries = store.entries(shard, leaf, KeyHash::of_bits(from));
            let pairs = entries.iter().take(most).map(|entry| (entry.key.bits(), entry.hash));
            Held::Entries { pairs: pairs.collect(), is_end: entries.len() <= most }
        }
        Question::Sum { .. } | Question::Leaves { .. } | Question::List { .. } => return None,
    })
}

#[cfg(test)]
mod tests;
