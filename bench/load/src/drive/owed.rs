//! What a connection is owed: requests that were sent and are not answered, in their order, with those sent together as
//! one entry.

use std::collections::VecDeque;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To keep a location; one line answers.
    Report,
    /// What is near a client; a line, a document and an empty line answer.
    Lookup,
}

/// Requests of one kind that were planned for one moment and left in one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) planned_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) requests: u32,
}

/// A queue of them. Answers come in the order of the requests.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    sent: VecDeque<Sent>,
    /// Answered of the first, and not reported yet.
    answered: u32,
    requests: u32,
}

impl Owed {
    /// Requests that are not answered.
    pub(crate) fn requests(&self) -> u32 {
        self.requests
    }

    pub(crate) fn push(&mut self, sent: Sent) {
        self.requests += sent.requests;
        match self.sent.back_mut() {
            Some(last) if last.joins(&sent) => last.requests += sent.requests,
            _ => self.sent.push_back(sent),
        }
    }

    /// The kind of the next answer; `None` when none is owed.
    pub(crate) fn next(&self) -> Option<Kind> {
        self.sent.front().map(|sent| sent.kind)
    }

    /// Takes one answer off; returns those that left together once the last of them is answered.
    pub(crate) fn answer(&mut self) -> Option<Sent> {
        let first = self.sent.front()?;
        self.answered += 1;
        self.requests -= 1;
        if self.answered == first.requests { self.settle() } else { None }
    }

    /// Those that are answered and have not been reported yet.
    pub(crate) fn settle(&mut self) -> Option<Sent> {
        let first = self.sent.front_mut()?;
        let requests = std::mem::take(&mut self.answered);
        let settled = Sent { requests, ..*first };
        first.requests -= requests;
        if first.requests == 0 {
            self.sent.pop_front();
        }
        (requests > 0).then_some(settled)
    }

    /// Forgets everything; returns what was owed.
    pub(crate) fn forget(&mut self) -> impl Iterator<Item = Sent> {
        let Self { sent, .. } = std::mem::take(self);
        sent.into_iter()
    }
}

impl Sent {
    fn joins(&self, next: &Self) -> bool {
        self.kind == next.kind && self.planned_ns == next.planned_ns && self.sent_ns == next.sent_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: Kind, sent_ns: u64, requests: u32) -> Sent {
        Sent { kind, planned_ns: sent_ns, sent_ns, requests }
    }

    #[test]
    fn answers_are_told_with_those_that_left_together() {
        let mut owed = Owed::default();
        owed.push(sent(Kind::Report, 1, 2));
        owed.push(sent(Kind::Report, 1, 1));
        owed.push(sent(Kind::Lookup, 1, 1));
        owed.push(sent(Kind::Report, 2, 5));
        assert_eq!(owed.requests(), 9);
        assert_eq!((owed.answer(), owed.answer()), (None, None));
        assert_eq!(owed.answer(), Some(sent(Kind::Report, 1, 3)));
        assert_eq!(owed.next(), Some(Kind::Lookup));
        assert_eq!(owed.answer(), Some(sent(Kind::Lookup, 1, 1)));
        assert_eq!(owed.settle(), None);
        assert_eq!(owed.answer(), None);
        assert_eq!(owed.settle(), Some(sent(Kind::Report, 2, 1)));
        assert_eq!(owed.requests(), 4);
        assert_eq!(owed.forget().map(|sent| sent.requests).sum::<u32>(), 4);
        assert_eq!((owed.requests(), owed.next(), owed.answer()), (0, None, None));
    }
}
