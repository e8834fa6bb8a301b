//! The arguments of `run`.

use std::{error::Error, time::Duration};

use clap::{Args, value_parser};
use herd_load::{
    address::resolve,
    load::{Length, Load},
    run::{Run as Plan, Thresholds, Written},
    tls::Tls,
    words::some_seconds,
};
use proxyherd::keys::load_token;

use super::Usage;

pub(crate) const EXAMPLES: &str = "\
Examples:
  herd-load run localhost:11600
      50 connections, one report in flight on each, for 10 seconds
  herd-load run localhost:11600 -c 50 -P 64 -n 1000000 --verify
      a million reports, 64 in flight on each connection, every reply checked
  herd-load run localhost:11600 -R 20000 -d 1m --mix iamat=90,whatsat=10 --max-p99 5ms
      20,000 requests a second at planned times; fails where p99 of what clients wait is above 5 ms
  herd-load run [::1]:11600 [::1]:11601 -c 100 --idle 10000 --clients 1000000
      two nodes of a herd, a million clients, and 10,000 connections that only sit there
  herd-load run alford.example:11605 --ca tls/authority.pem
      over TLS, at a node's tls_listen address
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
    #[command(flatten)]
    length: RunLength,
    /// Requests in flight on each connection, at most [default: 1, with -R 64]
    #[arg(short = 'P', long, value_parser = value_parser!(u32).range(1..))]
    pipeline: Option<u32>,
    #[command(flatten)]
    load: Load,
    /// Report every client once first [default if there are lookups]
    #[arg(long)]
    prefill: bool,
    /// Report no client first
    #[arg(long, conflicts_with = "prefill")]
    no_prefill: bool,
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
    /// The servers' names without their ports, as certificates have them.
    fn hosts(&self) -> Vec<String> {
        let host = |address: &String| {
            let host = address.rsplit_once(':').map_or(&**address, |(host, _)| host);
            host.trim_matches(['[', ']']).to_owned()
        };
        self.addresses.iter().map(host).collect()
    }

    /// What to do, with its servers' names resolved.
    pub(crate) fn plan(&self, version: &'static str) -> Result<Plan, Box<dyn Error>> {
        let targets = self.addresses.iter().map(|name| resolve(name)).collect::<Result<Vec<_>, _>>()?;
        let load = &self.load;
        let does_overlap = load.rate.is_some() && !load.reconnect;
        let timed = self.length.duration.map_or_else(Length::default, Length::Time);
        let tls =
            load.tls_flags.trust().map_err(Usage)?.map(|trust| Tls::new(&trust, &self.hosts(), load.resume));
        let load = Load {
            targets,
            tls: tls.transpose()?,
            pipeline: self.pipeline.unwrap_or(if does_overlap { OPEN_PIPELINE } else { 1 }),
            length: self.length.requests.map_or(timed, Length::Requests),
            token: load.token_file.as_deref().map(load_token).transpose()?,
            ..load.clone()
        };
        let prefill = self.prefill || (load.mix.whatsat > 0 && !self.no_prefill);
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
