//! One seed from beginning to end: trouble, the last heal, the last report; then all links are up in time, all stores are
//! equal within a bounded number of rounds, nothing more is said than that, and all of it is in the journals.

use std::time::Duration;

use super::{
    herd::{Laws, Server, Simulation, Tally},
    plan::Timer,
    watch::{Kind, Violation},
};

impl Simulation {
    /// Tells a seed's story.
    pub(super) fn run(seed: u64, timer: Timer, laws: Laws) -> Result<Tally, Violation> {
        let mut herd = Self::new(seed, timer, laws);
        herd.run_until(herd.plan.quiet_at + herd.plan.lag)?;
        herd.be_all_there()?;
        let held = herd.watch.held();
        herd.come_up()?;
        herd.come_to_one_watermark()?;
        herd.come_together()?;
        herd.watch.judge(&held);
        herd.check_stores();
        herd.come_to_rest()?;
        herd.stay_silent()?;
        herd.check_audiences();
        herd.come_to_be_kept()?;
        herd.check_journals();
        if let Some(violation) = herd.watch.violation.take() {
            return Err(violation);
        }
        herd.tally.forgettings = herd.watch.forgettings;
        (herd.tally.hidden, herd.tally.crossings) = (herd.watch.hidden, herd.watch.crossings);
        Ok(herd.tally)
    }

    /// Waits for those that stop, and come back.
    fn be_all_there(&mut self) -> Result<(), Violation> {
        let end = self.now + self.plan.handover_time() * 2;
        self.go_on_until(end, Kind::Lost, |herd| (0..herd.servers.len()).all(|node| herd.takes_in(node)))?;
        self.plan.quiet_at = self.plan.quiet_at.max(self.now);
        Ok(())
    }

    fn come_up(&mut self) -> Result<(), Violation> {
        // Before that, one that seems to be up may be dead.
        self.run_until(self.plan.found_out_by().max(self.now))?;
        let by = self.plan.linked_by();
        self.go_on_until(by, Kind::Unlinked, Self::is_linked)?;
        self.watch.is_linked = true;
        Ok(())
    }

    /// Waits until nothing grows older, and all have forgotten the same.
    fn come_to_one_watermark(&mut self) -> Result<(), Violation> {
        let Some(retention) = self.plan.retention else { return Ok(()) };
        let steps = Duration::from_secs(retention.times.step) * 4;
        let end = self.now.max(retention.clocks_stop_at) + steps + self.plan.rounds_time();
        self.go_on_until(end, Kind::Untimely, Self::has_one_watermark)
    }

    fn come_together(&mut self) -> Result<(), Violation> {
        let flooders = self.servers.iter_mut().flat_map(|server| &mut server.flooders);
        flooders.for_each(|flooder| flooder.rounds = 0);
        let begin = self.now;
        self.go_on_until(begin + self.plan.rounds_time(), Kind::Apart, Self::is_together)?;
        let flooders = self.servers.iter().flat_map(|server| &server.flooders);
        let rounds = flooders.map(|flooder| flooder.rounds).max().unwrap_or(0);
        let of_timer = (self.now - begin).div_duration_f64(self.plan.times.round * 3 / 4) as usize + 1;
        if rounds > self.plan.rounds_max() + of_timer {
            self.fail(Kind::Apart, format!("a link took {rounds} rounds"));
        }
        Ok(())
    }

    fn come_to_rest(&mut self) -> Result<(), Violation> {
        self.go_on_until(self.now + self.plan.rounds_time(), Kind::Noisy, Self::is_quiet)
    }

    fn stay_silent(&mut self) -> Result<(), Violation> {
        self.watch.is_silent = true;
        let several_timers = if self.random.one_in(8) { 14 } else { 2 };
        self.run_until(self.now + self.plan.times.liveness * several_timers)?;
        if !self.is_together() {
            self.fail(Kind::Apart, self.watch.difference());
        }
        self.watch.violation.take().map_or(Ok(()), Err)
    }

    /// Waits for the journals, each of which may have to try its disk again first.
    fn come_to_be_kept(&mut self) -> Result<(), Violation> {
        let end = self.now + self.plan.times.liveness * 4;
        self.go_on_until(end, Kind::Unkept, Self::are_journals_done)
    }

    fn check_stores(&mut self) {
        for node in 0..self.servers.len() {
            self.watch.check_store(node, self.servers[node].node.store());
        }
    }

    /// Lets time pass until it is so, at most until then.
    pub(super) fn go_on_until(
        &mut self,
        end: Duration,
        kind: Kind,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<(), Violation> {
        while !is_so(self) {
            if self.now >= end {
                self.fail(kind, format!("{}; {}", self.state(), self.watch.difference()));
            }
            self.run_until(self.now + self.plan.times.round_gap / 4)?;
            if let Some(violation) = self.watch.violation.take() {
                return Err(violation);
            }
        }
        Ok(())
    }

    pub(super) fn is_linked(&self) -> bool {
        self.servers.iter().flat_map(|server| &server.flooders).all(|flooder| flooder.link.is_up())
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.servers.iter().flat_map(|server| &server.flooders).all(|flooder| flooder.link.is_quiet())
    }

    pub(super) fn is_together(&self) -> bool {
        let sum = |server: &Server| server.node.store().sum();
        self.servers.windows(2).all(|pair| sum(&pair[0]) == sum(&pair[1])) && self.watch.is_agreed()
    }

    /// For a violation's text.
    fn state(&self) -> String {
        let mut text = self.plan.graph.name.clone();
        for (node, server) in self.servers.iter().enumerate() {
            for (link, flooder) in server.flooders.iter().enumerate() {
                if !flooder.link.is_up() || !flooder.link.is_quiet() {
                    let (is_up, peer) = (flooder.link.is_up(), flooder.peer);
                    text += &format!(", {node}:{link} to {peer} is up: {is_up}, not quiet");
                }
            }
        }
        text
    }
}
