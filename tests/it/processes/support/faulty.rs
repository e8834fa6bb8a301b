//! A herd whose links can be made to fail, each way by itself: in front of every node stands a forwarder, which the
//! neighbours dial in its stead. Clients come to the nodes directly.

use std::{collections::BTreeMap, ops};

use super::Herd;
use crate::support::{Fault, Forwarder, Passed};

/// The herd, and the forwarders. The nodes end first.
pub(crate) struct FaultyHerd {
    herd: Herd,
    forwarders: BTreeMap<String, Forwarder>,
}

/// A herd in which each node is linked with the next, with more of `[limits]`. It says little in its log, finds a link
/// that came back soon, and looks for differences only where it has reason to.
pub(crate) fn line_of(ids: &[&str], limits: &str) -> Herd {
    Herd::new(&text_of(ids, limits, |_| None))
}

impl FaultyHerd {
    /// The same, the links through forwarders.
    pub(crate) fn line_of(ids: &[&str], limits: &str) -> Self {
        let forwarders: BTreeMap<_, _> = ids.iter().map(|id| ((*id).to_owned(), Forwarder::new())).collect();
        let herd = Herd::new(&text_of(ids, limits, |id| Some(&forwarders[id])));
        for (id, forwarder) in &forwarders {
            forwarder.aim(herd.listens_at(id).parse().unwrap());
        }
        Self { herd, forwarders }
    }

    /// From now on this is wrong with the connection that `from` makes to `to`: news from there, and answers back.
    pub(crate) fn fail(&self, from: &str, to: &str, fault: Fault) {
        self.forwarders[to].fail(from, fault);
    }

    /// What `from` has said to `to` while little passed.
    pub(crate) fn passed(&self, from: &str, to: &str) -> Passed {
        self.forwarders[to].passed(from)
    }

    pub(crate) fn heal(&self, from: &str, to: &str) {
        self.forwarders[to].heal(from);
    }
}

impl ops::Deref for FaultyHerd {
    type Target = Herd;

    fn deref(&self) -> &Herd {
        &self.herd
    }
}

impl ops::DerefMut for FaultyHerd {
    fn deref_mut(&mut self) -> &mut Herd {
        &mut self.herd
    }
}

fn text_of<'a>(ids: &[&str], limits: &str, forwarder: impl Fn(&str) -> Option<&'a Forwarder>) -> String {
    let mut text = format!(
        "[herd]\nname = \"faulty\"\n[log]\ntraffic = false\n\
         [limits]\nbackoff_ms_max = 300\nround_seconds = 86400\n{limits}\n"
    );
    for (at, id) in ids.iter().enumerate() {
        let address =
            forwarder(id).map_or_else(String::new, |it| format!("address = \"{}\"\n", it.address()));
        let links = ids.get(at + 1).map_or_else(String::new, |next| format!("links = [\"{next}\"]\n"));
        let port = 11700 + at;
        text += &format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\n{address}{links}");
    }
    text
}
