//! Reports on one link: to the log, and to its `Health`, which status reads.

use std::thread;

use crate::{
    config::Address,
    core::{
        links::{Event, Health, Lack, Lost, RoundOver},
        model::NodeId,
        wire::Channel,
    },
    log::{Log, RateLimit, Traffic},
    system::clock,
    text::plural,
};

/// What status says of a link whose flooder panicked.
const PANICKED: &str = "its flooder panicked, which is a bug; restart this node";

/// Where it reports, and what it last reported.
pub(super) struct LinkLog<'a> {
    log: &'a Log,
    health: &'a Health,
    peer: &'a NodeId,
    address: &'a Address,
    /// The last failure that was logged.
    told: String,
    /// Something else that answers in the neighbour's place may give a different reason each time.
    strangers: RateLimit,
    /// Whether the log last said that the neighbour was in step.
    told_in_step: bool,
    /// What carries the present connection, as the log adds it.
    over: &'static str,
    traffic: Traffic,
}

/// However its flooder ends, the link is down from then on.
impl Drop for LinkLog<'_> {
    fn drop(&mut self) {
        self.health.down(if thread::panicking() { PANICKED } else { "this node is stopping" });
    }
}

impl<'a> LinkLog<'a> {
    /// For the link to `peer` at `address`.
    pub(super) fn new(log: &'a Log, health: &'a Health, peer: &'a NodeId, address: &'a Address) -> Self {
        let (told, over, traffic) = (String::new(), "", Traffic::default());
        Self {
            log,
            health,
            peer,
            address,
            told,
            strangers: RateLimit::default(),
            told_in_step: false,
            over,
            traffic,
        }
    }

    /// That carries the connection that has been dialled.
    pub(super) fn dialled(&mut self, channel: Channel) {
        self.over = if channel == Channel::Plain { "" } else { " over TLS" };
    }

    /// Reports an event of the connection of that number; `news` is what was sent, if anything was.
    pub(super) fn tell(&mut self, event: Event, connection: u64, news: &[u8]) {
        let (peer, address) = (self.peer, self.address);
        match event {
            Event::Greeting => self.health.greeting(),
            Event::Up => {
                self.health.up();
                self.told.clear();
                self.log.info(format_args!("linked {peer} at {address} as #{connection}{}", self.over));
            }
            Event::Sent { bytes, updates, pinged_at } => {
                self.health.sent(bytes, updates);
                self.health.pinged(pinged_at);
                self.log_sent(connection, news);
            }
            Event::Pong { took, time } => self.health.ponged(took, time, clock::wall()),
            Event::Round(over) => {
                self.health.round(&over, clock::tick());
                self.tell_round(over);
            }
            Event::NotCompared { watermark } => self.health.told_watermark(watermark),
            Event::Swept(over) => {
                self.health.round(&over, clock::tick());
                let RoundOver { number, took, pushed, in_step, .. } = over;
                // The next sweep sends what was missed meanwhile.
                let all = if in_step { "every location" } else { "every location but those it missed" };
                self.log.info(format_args!(
                    "sent {peer} {all}: sweep {number} took {took:?}, {pushed} location{}",
                    plural(pushed)
                ));
            }
            Event::Lost { why, was_up } => self.tell_loss(&why, was_up),
        }
    }

    /// Logs what the neighbour may lack as this node stops.
    pub(super) fn tell_lack(&self, lack: Lack) {
        let (peer, Lack { updates, round, is_stuck }) = (self.peer, lack);
        let why = if is_stuck { "it did not accept everything in time" } else { "it cannot be reached" };
        let updates = (updates > 0).then(|| format!("{updates} update{}", plural(updates)));
        let round = round.then(|| "what a repair round would have found".to_owned());
        let what: Vec<String> = updates.into_iter().chain(round).collect();
        self.log.warn(format_args!("{peer} may lack {}: {why}", what.join(", and ")));
    }

    /// Logs how many failures were left out; no later line will say so.
    pub(super) fn end(&self) {
        if let Some(count) = self.strangers.take_untold() {
            let peer = self.peer;
            self.log.warn(format_args!("no link to {peer}: {count} more failures since the last such line"));
        }
    }

    /// Logs what is new about a failure: the first since the link was up, and any with a different reason.
    fn tell_loss(&mut self, why: &Lost, was_up: bool) {
        let text = why.to_string();
        self.health.down(&text);
        let (peer, address) = (self.peer, self.address);
        if was_up {
            self.log.warn(format_args!("lost {peer}: {text}"));
        } else if text != self.told {
            let untold = match why {
                Lost::Broken(_) => {
                    // A failure left out now is logged when it happens again.
                    let Some(untold) = self.strangers.allow(clock::tick()) else { return };
                    untold.to_string()
                }
                _ => String::new(),
            };
            self.log.warn(format_args!("no link to {peer} at {address} yet: {text}{untold}"));
        }
        self.told = text;
    }

    /// Logs what a round has found. A round that is not the first and finds nothing is not worth a line.
    fn tell_round(&mut self, over: RoundOver) {
        let RoundOver { number, took, differing, lasting, pushed, in_step } = over;
        let peer = self.peer;
        if number == 1 || differing > 0 || in_step != self.told_in_step {
            self.told_in_step = in_step;
            let step = if in_step { "in step" } else { "not yet in step" };
            self.log.info(format_args!(
                "{step} with {peer}: round {number} took {took:?}, found {differing} difference{} and pushed {pushed} location{}",
                plural(differing),
                plural(pushed)
            ));
        }
        if lasting > 0 {
            self.log.warn(format_args!(
                "{peer} still differs from this node as it did one round ago ({lasting} difference{}); check that it can reach this node",
                plural(lasting)
            ));
        }
    }

    fn log_sent(&mut self, connection: u64, bytes: &[u8]) {
        if !self.log.takes_traffic() {
            return;
        }
        self.traffic.begin(clock::wall(), connection);
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            self.traffic.line_out(line.trim_ascii_end());
        }
        self.traffic.finish(self.log);
    }
}
