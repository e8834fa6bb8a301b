//! From what came of asking each node to what differs in the herd; nothing differs in a herd that is in step. Sums are
//! not compared, since under load they differ at any moment; but for nodes that only third-party nodes join, while those
//! rest. Pure.

use super::{
    super::printable::short,
    answer::{LinkStatus, NodeStatus},
    fetch::FetchOutcome,
};
use crate::{
    config::{Herd, Node},
    core::model::NodeId,
};

/// Whether the herd is in step, and what differs if it is not.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Verdict {
    differences: Vec<String>,
}

impl Verdict {
    pub(super) fn in_step(&self) -> bool {
        self.differences.is_empty()
    }

    /// `in step`, or `not in step: ` and what differs.
    pub(super) fn summary(&self) -> String {
        match self.in_step() {
            true => "in step".to_owned(),
            false => format!("not in step: {}", self.differences.join("; ")),
        }
    }
}

fn answer(outcome: &FetchOutcome) -> Option<&NodeStatus> {
    match outcome {
        FetchOutcome::Answered(answer, _) => Some(answer),
        _ => None,
    }
}

/// Judges the herd by what came of asking its nodes, in the order of the configuration; each had `seconds`. Of a herd in
/// pieces that only third-party nodes join, `earlier` is what came of asking a moment before.
pub(super) fn judge(
    herd: &Herd,
    outcomes: &[FetchOutcome],
    earlier: Option<&[FetchOutcome]>,
    seconds: f64,
) -> Verdict {
    // Third-party nodes have no status, and are not judged.
    let asked: Vec<_> = herd.nodes.iter().zip(outcomes).filter(|(node, _)| node.plain.is_none()).collect();
    let mut differences = of_nodes(&asked, seconds);
    differences.extend(of_links(&asked));
    differences.extend(earlier.into_iter().flat_map(|earlier| of_pieces(herd, [earlier, outcomes])));
    Verdict { differences }
}

/// Which pieces of a herd hold something else than the first, where both rest: all nodes of a piece had one sum, twice.
fn of_pieces(herd: &Herd, looks: [&[FetchOutcome]; 2]) -> Vec<String> {
    let sum = |outcomes: &'_ [FetchOutcome], id: &NodeId| {
        let place = herd.nodes.iter().position(|node| node.id == *id)?;
        answer(outcomes.get(place)?)?.sum.clone()
    };
    let resting = |piece: Vec<&NodeId>| {
        let mut sums = piece.iter().flat_map(|id| looks.map(|outcomes| sum(outcomes, id)));
        let first = sums.next()??;
        sums.all(|sum| sum.as_ref() == Some(&first)).then(|| (piece[0].to_string(), first))
    };
    let resting: Vec<_> = herd.pieces().into_iter().filter_map(resting).collect();
    let [(first, sum), rest @ ..] = &resting[..] else { return Vec::new() };
    let others = rest.iter().filter(|(_, other)| other != sum);
    others.map(|(id, _)| format!("{first} and {id} differ, which only third-party nodes join")).collect()
}

type AskedNodes<'a> = [(&'a Node, &'a FetchOutcome)];

fn of_nodes(asked: &AskedNodes<'_>, seconds: f64) -> Vec<String> {
    let named = |is: &dyn Fn(&FetchOutcome) -> bool| -> Vec<&str> {
        asked.iter().filter(|(_, outcome)| is(outcome)).map(|(node, _)| node.id.as_str()).collect()
    };
    let mut differences = Vec::new();
    let mut all = |names: Vec<&str>, one: &str, several: &str| {
        if !names.is_empty() {
            let what = if names.len() == 1 { one } else { several };
            differences.push(format!("{} {what}", enumerated(&names)));
        }
    };
    let is_down = |outcome: &FetchOutcome| matches!(outcome, FetchOutcome::Down(_));
    let is_late = |outcome: &FetchOutcome| matches!(outcome, FetchOutcome::Timeout);
    let has_no_http = |outcome: &FetchOutcome| matches!(outcome, FetchOutcome::NoHttp);
    let state_is = |wanted: fn(Option<&str>) -> bool| {
        move |outcome: &FetchOutcome| answer(outcome).is_some_and(|answer| wanted(answer.state.as_deref()))
    };
    all(named(&is_down), "is down", "are down");
    let late = [format!("does not answer in {seconds} s"), format!("do not answer in {seconds} s")];
    all(named(&is_late), &late[0], &late[1]);
    let unjudged = "no http and cannot be judged";
    all(named(&has_no_http), &format!("has {unjudged}"), &format!("have {unjudged}"));
    all(named(&state_is(|state| state == Some("draining"))), "is draining", "are draining");
    let is_odd = |state: Option<&str>| !matches!(state, Some("running" | "draining"));
    all(named(&state_is(is_odd)), "does not say that it is running", "do not say that they are running");
    for (node, outcome) in asked {
        if let FetchOutcome::BadAnswer(what) = outcome {
            differences.push(format!("{}'s answer is bad: {}", node.id, short(what)));
        }
    }
    differences
}

/// `A`, `A and B`, `A, B and C`.
fn enumerated(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// What is wrong with one direction of a link, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LinkFault {
    Lasting,
    Missing,
    Unknown,
    Unsaid,
    Down,
    Greeting,
    Behind,
    Refused,
    NotInStep,
    NotConnected,
}

impl LinkFault {
    /// What it is called where `from` says it of `to`.
    fn of_one(self, from: &str, to: &str) -> String {
        match self {
            Self::Lasting => format!("{from} and {to} differ lastingly"),
            Self::Missing => format!("{from} was not told of its link to {to}"),
            Self::Unknown => {
                format!("{from} has a link to {} that is not in this configuration", short(to))
            }
            Self::Unsaid => format!("{from} does not say how its link to {to} is"),
            Self::Down => format!("{from} has no connection to {to}"),
            Self::Greeting => format!("{from} is greeting {to}"),
            Self::Behind => format!("{to} is behind {from}"),
            Self::Refused => format!("{from} refuses every line of {to}"),
            Self::NotInStep => format!("{from} is not in step with {to}"),
            Self::NotConnected => format!("{to} has no connection to {from}"),
        }
    }

    /// What it is called where both say it of each other.
    fn of_both(self, one: &str, other: &str) -> String {
        match self {
            Self::Lasting => self.of_one(one, other),
            Self::Refused => format!("{one} and {other} refuse every line of each other"),
            Self::Missing => format!("{one} and {other} were not told of their link"),
            Self::Unknown => format!("{one} and {other} have a link that is not in this configuration"),
            Self::Unsaid => format!("{one} and {other} do not say how their link is"),
            Self::Down | Self::NotConnected => format!("{one} and {other} are not connected"),
            Self::Greeting => format!("{one} and {other} are greeting each other"),
            Self::Behind => format!("{one} and {other} are behind each other"),
            Self::NotInStep => format!("{one} and {other} are not in step with each other"),
        }
    }
}

fn of_links(asked: &AskedNodes<'_>) -> Vec<String> {
    let faults = faults(asked);
    let mut differences = Vec::new();
    for (at, &(from, to, fault)) in faults.iter().enumerate() {
        // A lasting difference is one and the same, whichever end has noticed.
        let mirrors = |&(other_from, other_to, other): &(&str, &str, LinkFault)| {
            (other_from, other_to, other) == (to, from, fault)
        };
        if faults[..at].iter().any(mirrors) {
            continue;
        }
        differences.push(match faults[at..].iter().any(mirrors) {
            true => fault.of_both(from, to),
            false => fault.of_one(from, to),
        });
    }
    differences
}

/// Who says what of whom.
fn faults<'a>(asked: &AskedNodes<'a>) -> Vec<(&'a str, &'a str, LinkFault)> {
    let is_down = |id: &str| {
        asked.iter().any(|(node, outcome)| node.id.as_str() == id && matches!(outcome, FetchOutcome::Down(_)))
    };
    let answered = |id: &str| {
        asked.iter().find(|(node, _)| node.id.as_str() == id).and_then(|(_, outcome)| answer(outcome))
    };
    let mut faults = Vec::new();
    for (node, outcome) in asked {
        let Some(answer) = answer(outcome) else { continue };
        let from = node.id.as_str();
        let known = node.links.iter().map(NodeId::as_str);
        let told = |peer: &str| answer.links.iter().any(|link| link.peer == peer);
        faults.extend(known.clone().filter(|&peer| !told(peer)).map(|peer| (from, peer, LinkFault::Missing)));
        for link in &answer.links {
            let to = link.peer.as_str();
            if known.clone().all(|peer| peer != to) {
                faults.push((from, to, LinkFault::Unknown));
                continue;
            }
            let back = answered(to).and_then(|peer| peer.links.iter().find(|link| link.peer == from));
            match fault(link, back) {
                // What a node that is down cannot do has been said by saying that it is down.
                Some(fault) if is_down(to) && fault != LinkFault::Lasting => {}
                Some(fault) => faults.push((from, to, fault)),
                None => {}
            }
        }
    }
    faults
}

/// The worst that a link says of itself; `back` is what the other end says of its own direction, where it was asked.
fn fault(link: &LinkStatus, back: Option<&LinkStatus>) -> Option<LinkFault> {
    let state = link.state.as_deref();
    let back_says_so = back.is_some_and(|back| back.state.as_deref() != Some("up"));
    if link.differs_lastingly() {
        Some(LinkFault::Lasting)
    } else if state == Some("down") {
        Some(LinkFault::Down)
    } else if state == Some("greeting") {
        Some(LinkFault::Greeting)
    } else if state != Some("up") || link.in_step.is_none() && !link.is_plain() {
        Some(LinkFault::Unsaid)
    } else if link.behind == Some(true) {
        Some(LinkFault::Behind)
    } else if link.is_refused() {
        Some(LinkFault::Refused)
    } else if link.in_step != Some(true) && !link.is_plain() {
        Some(LinkFault::NotInStep)
    } else if link.connected_here == Some(false) && !link.is_plain() && !back_says_so {
        Some(LinkFault::NotConnected)
    } else {
        None
    }
}
