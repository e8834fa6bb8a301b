//! A line on the terminal that says how a run goes. If standard error is not a terminal, there is none.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use crate::{
    drive::{Latencies, Tick},
    outcome::Latency,
};

const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";
/// Back to the line's begin, and all of it away.
const CLEAR: &str = "\r\u{1b}[2K";

/// Whether and how progress is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    is_shown: bool,
    has_colour: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_shown = io::stderr().is_terminal();
        let has_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_shown, has_colour }
    }

    /// Shows each tick of one phase.
    pub(super) fn observer(self, phase: &'static str) -> impl FnMut(&Tick<'_>) + 'static {
        move |tick| {
            if self.is_shown {
                self.put(&format!("{CLEAR}{}", self.line(phase, tick)));
            }
        }
    }

    /// Takes the line away.
    pub(super) fn end(self) {
        if self.is_shown {
            self.put(CLEAR);
        }
    }

    fn put(self, text: &str) {
        let mut terminal = io::stderr();
        // Without a terminal to write to, only the display is lost.
        let _unseen = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    }

    fn line(self, phase: &str, tick: &Tick<'_>) -> String {
        let mut all = Latencies::new();
        tick.latencies.iter().for_each(|of_kind| all.take_in(&mut of_kind.clone()));
        let met = if all.response.is_empty() { all.service } else { all.response };
        let Latency { p50_us, p99_us, max_us, .. } = Latency::of(&met);
        let (phase, seconds) = match tick.measuring {
            Some(measuring) => (phase, measuring.as_secs_f64()),
            None => ("warming up, or waiting for the last replies", tick.since.as_secs_f64()),
        };
        let rate = tick.replies as f64 / tick.lasted.as_secs_f64().max(1e-9);
        let errors = tick.errors.total();
        let (red, plain) = if errors > 0 && self.has_colour { (RED, PLAIN) } else { ("", "") };
        format!(
            "{phase} {seconds:.0} s  {rate:.0} /s  p50 {p50_us:.0} µs  p99 {p99_us:.0} µs  max {max_us:.0} µs  \
             {red}errors {errors}{plain}"
        )
    }
}
