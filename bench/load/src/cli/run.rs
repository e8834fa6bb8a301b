//! The arguments of `run`.

use std::time::Duration;

use clap::{Args, value_parser};
use herd_load::{
    address::{AddressError, resolve},
    load::{Choice, Dialect, Length, Load, Mix},
    run::{Run as Plan, Thresholds, Written},
    words::{seconds, some_seconds},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  herd-load run localhost:11600
      50 connections, one report in flight on each, for 10 seconds
  herd-load run localhost:11600 -c 50 -P 64 -n 1000000 --verify
      a million reports, 64 in flight on each connection, every reply checked
  herd-load run localhost:11600 -R 20000 -d 1m --mix iamat=90,whatsat=10 --max-p99 5ms
      20,000 requests a second at planned times; fails where p99 of what clients wait is above 5 ms
  herd-load run [::1]:11600 [::1]:11601 -c 100 --idle 10000 --moving --clients 1000000
      two nodes of a herd, with 10,000 connections that only sit there, clients that walk
  herd-load run old-herd:12000 --reconnect --crlf -c 8
      a herd that closes after each reply and wants CR LF

A closed loop (without -R) asks a slow server less often, and so cannot see how long clients
would wait that come on their own clock. With -R requests are planned for even times: response
times count from there, service times from the write.

Ctrl-C ends a run with what it has. Exit codes: 0 good, 1 failed, 2 wrong usage, 3 a limit such as
--max-p99 was missed, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The servers to put under load, HOST:PORT; connections go to them in turn
    #[arg(required = true, value_name = "ADDR")]
    addresses: Vec<String>,
    /// Connections at once
    #[arg(short, long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    #[command(flatten)]
    length: RunLength,
    /// Requests in flight on each connection, at most [default: 1, with -R 64]
    #[arg(short = 'P', long, value_parser = value_parser!(u32).range(1..))]
    pipeline: Option<u32>,
    /// Requests a second in all, planned at even intervals whatever the server does
    #[arg(short = 'R', long, value_name = "PER-SECOND")]
    rate: Option<f64>,
    /// What to ask, by weight
    #[arg(long, default_value = "iamat=100", value_name = "iamat=N,whatsat=N")]
    mix: Mix,
    /// Distinct clients
    #[arg(long, default_value_t = 100_000)]
    clients: u32,
    /// Which client is next: `uniform`, each connection among its own; `zipf` or `zipf:EXPONENT`, all among all
    #[arg(long, value_parser = choice, default_value = "uniform")]
    choice: Choice,
    /// Clients walk, cycle and drive from real places, instead of staying at one
    #[arg(long)]
    moving: bool,
    /// The radius of lookups in kilometres
    #[arg(long, default_value_t = 10, value_name = "KM")]
    radius: u32,
    /// The number of places that lookups ask for
    #[arg(long, default_value_t = 5, value_name = "N")]
    bound: u32,
    /// Seconds of load before measuring
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    warmup: Duration,
    /// Report every client once first [default if there are lookups]
    #[arg(long)]
    prefill: bool,
    /// Report no client first
    #[arg(long, conflicts_with = "prefill")]
    no_prefill: bool,
    /// Additional connections that stay silent
    #[arg(long, value_name = "N", default_value_t = 0)]
    idle: u32,
    /// A connection for each request
    #[arg(long)]
    reconnect: bool,
    /// End each of them by a half-close, for servers that read to the end of the input
    #[arg(long, requires = "reconnect")]
    half_close: bool,
    /// Check every field of every reply
    #[arg(long)]
    verify: bool,
    /// End lines with CR LF
    #[arg(long)]
    crlf: bool,
    /// The commands in which locations are reported
    #[arg(long, value_enum, default_value_t = Dialect::Herd)]
    dialect: Dialect,
    /// The seed: the same seed draws the same clients
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds without any reply after which the run is abandoned
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds, default_value = "10")]
    timeout: Duration,
    /// Seconds that the last replies may take when the time is over; then the run ends, and what was not sent or not
    /// answered counts as errors
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    grace: Duration,
    /// Also measure what this tester achieves against an echo with as many connections
    #[arg(long)]
    ceiling: bool,
    #[command(flatten)]
    written: Written,
    #[command(flatten)]
    thresholds: Thresholds,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct RunLength {
    /// Requests to measure
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Seconds to measure, or a time such as 500ms or 1m30s [default: 10]
    #[arg(short, long, value_name = "SECONDS", value_parser = some_seconds)]
    duration: Option<Duration>,
}

/// In flight on each connection of an open loop by default: clients do not wait for each other.
const OPEN_PIPELINE: u32 = 64;

impl Run {
    /// What to do, with its servers' names resolved.
    pub(crate) fn plan(&self, version: &'static str) -> Result<Plan, AddressError> {
        let targets = self.addresses.iter().map(|name| resolve(name)).collect::<Result<Vec<_>, _>>()?;
        let first = targets[0];
        let timed = Length::Time(self.length.duration.unwrap_or(Duration::from_secs(10)));
        let load = Load {
            targets,
            connections: self.connections,
            idle: self.idle,
            pipeline: self.pipeline.unwrap_or(if self.rate.is_some() && !self.reconnect {
                OPEN_PIPELINE
            } else {
                1
            }),
            rate: self.rate,
            length: self.length.requests.map_or(timed, Length::Requests),
            warmup: self.warmup,
            mix: self.mix,
            dialect: self.dialect,
            clients: self.clients,
            choice: self.choice,
            moving: self.moving,
            radius_km: self.radius,
            bound: self.bound,
            crlf: self.crlf,
            reconnect: self.reconnect,
            half_close: self.half_close,
            verify: self.verify,
            seed: self.seed,
            patience: self.timeout,
            grace: self.grace,
            ..Load::on(first)
        };
        let prefill = self.prefill || (self.mix.whatsat > 0 && !self.no_prefill);
        Ok(Plan {
            version,
            servers: self.addresses.clone(),
            load,
            prefill,
            ceiling: self.ceiling,
            written: self.written.clone(),
            thresholds: self.thresholds,
        })
    }
}

fn choice(text: &str) -> Result<Choice, String> {
    match text.split_once(':').unwrap_or((text, "")) {
        ("uniform", "") => Ok(Choice::Uniform),
        ("zipf", "") => Ok(Choice::Zipf(1.0)),
        ("zipf", exponent) => {
            exponent.parse().map(Choice::Zipf).map_err(|_| format!("{exponent:?} is no exponent"))
        }
        _ => Err("give uniform, zipf or zipf:EXPONENT".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_may_have_an_exponent() {
        assert_eq!(choice("uniform"), Ok(Choice::Uniform));
        assert_eq!(choice("zipf"), Ok(Choice::Zipf(1.0)));
        assert_eq!(choice("zipf:0.8"), Ok(Choice::Zipf(0.8)));
        assert!(choice("zipf:x").is_err() && choice("pareto").is_err());
    }
}
