//! A load: which servers are asked what, how often, over how many connections. Plain data; `drive` makes it.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::words::as_seconds;

/// A run against one server or several. Times are seconds where it is written down.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// The servers; connections go to them in turn.
    #[serde(skip)]
    pub targets: Vec<SocketAddr>,
    /// Connections that send requests.
    pub connections: u32,
    /// Connections that stay silent.
    pub idle: u32,
    /// Requests in flight on each connection, at most.
    pub pipeline: u32,
    /// Requests a second over all connections, sent at planned times; `None` is a closed loop.
    pub rate: Option<f64>,
    /// How much to measure.
    pub length: Length,
    /// How long to run before measuring.
    #[serde(rename = "warmup_seconds", serialize_with = "as_seconds")]
    pub warmup: Duration,
    /// What is asked.
    pub mix: Mix,
    /// The commands used.
    pub dialect: Dialect,
    /// Distinct clients.
    pub clients: u32,
    /// Which of them comes next.
    pub choice: Choice,
    /// Whether clients walk; otherwise all stay at one place.
    pub moving: bool,
    /// How far lookups reach, in kilometres.
    pub radius_km: u32,
    /// How many places they ask for.
    pub bound: u32,
    /// Whether lines end in CR LF.
    pub crlf: bool,
    /// Whether each request has a connection of its own.
    pub reconnect: bool,
    /// Whether the end of each is shown by a half-close, for servers that read to the end of the input; only with a
    /// connection for each.
    pub half_close: bool,
    /// Whether every field of every reply is checked.
    pub verify: bool,
    /// What every document must say, if that is known; its status is then checked without `verify`, too.
    #[serde(skip)]
    pub document: Option<Document>,
    /// The seed of everything that is drawn by chance.
    pub seed: u64,
    /// With no reply at all for this long, the run is abandoned.
    #[serde(rename = "timeout_seconds", serialize_with = "as_seconds")]
    pub patience: Duration,
    /// How long after its time the last replies may come.
    #[serde(rename = "grace_seconds", serialize_with = "as_seconds")]
    pub grace: Duration,
}

impl Load {
    /// A closed loop of reports, with one in flight on each of 50 connections, by default.
    pub fn on(target: SocketAddr) -> Self {
        Self {
            targets: vec![target],
            connections: 50,
            idle: 0,
            pipeline: 1,
            rate: None,
            length: Length::Time(Duration::from_secs(10)),
            warmup: Duration::ZERO,
            mix: Mix::REPORTS,
            dialect: Dialect::Herd,
            clients: 100_000,
            choice: Choice::Uniform,
            moving: false,
            radius_km: 10,
            bound: 5,
            crlf: false,
            reconnect: false,
            half_close: false,
            verify: false,
            document: None,
            seed: 1,
            patience: Duration::from_secs(10),
            // However long they take.
            grace: Duration::MAX,
        }
    }

    /// The run that reports each of this run's clients once.
    pub fn prefill(&self) -> Self {
        Self {
            idle: 0,
            connections: self.connections.min(PREFILL_CONNECTIONS).min(self.clients),
            pipeline: if self.reconnect { 1 } else { PREFILL_PIPELINE },
            rate: None,
            length: Length::EveryClient,
            warmup: Duration::ZERO,
            mix: Mix::REPORTS,
            ..self.clone()
        }
    }
}

/// How each client is reported once.
const PREFILL_CONNECTIONS: u32 = 50;
const PREFILL_PIPELINE: u32 = 64;

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// This many requests, after the warm-up.
    Requests(u64),
    /// For this long, after the warm-up.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    Time(Duration),
    /// Each client reported once.
    EveryClient,
}

/// Shares of the kinds of requests, by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Of reports.
    pub iamat: u32,
    /// Of lookups.
    pub whatsat: u32,
}

impl Mix {
    /// Nothing but reports.
    pub const REPORTS: Self = Self { iamat: 100, whatsat: 0 };
}

impl FromStr for Mix {
    type Err = String;

    /// Reads `iamat=90,whatsat=10`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self { iamat: 0, whatsat: 0 };
        for part in text.split(',') {
            let wrong =
                || format!("{part:?} is not iamat=N or whatsat=N; give both as in iamat=90,whatsat=10");
            let (kind, weight) = part.split_once('=').ok_or_else(wrong)?;
            let weight = weight.trim().parse().map_err(|_| wrong())?;
            match kind.trim() {
                "iamat" => mix.iamat = weight,
                "whatsat" => mix.whatsat = weight,
                _ => return Err(wrong()),
            }
        }
        let is_something = mix.iamat > 0 || mix.whatsat > 0;
        is_something.then_some(mix).ok_or_else(|| "all weights are 0".to_owned())
    }
}

/// The commands in which a server is asked to keep a location.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// IAMAT and WHATSAT.
    #[default]
    Herd,
    /// Redis' GEOADD: a member's coordinates in one sorted set.
    RedisGeoadd,
    /// Redis' SET: a key of its own for each client, the location and its time as the value.
    RedisSet,
}

/// What a lookup's document must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its status.
    pub status: &'static str,
    /// How many results it must have.
    pub results: usize,
}

/// Which client comes next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Any of the connection's own; each connection owns a slice of them, so that no two reports of a client overtake
    /// each other.
    Uniform,
    /// By Zipf's law with this exponent, over all clients, on whatever connection; then a client's reports may overtake
    /// each other.
    Zipf(f64),
}

impl LoadError {
    /// Whether it was asked for what makes no sense.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Nothing(_) | Self::Senseless(_) | Self::TooFewClients { .. })
    }
}

/// Why a load could not be made.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Zero connections or pipelines do nothing.
    #[error("{0} must be at least 1")]
    Nothing(&'static str),
    /// A rate, an exponent or a mix that makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
    /// Each connection needs clients of its own.
    #[error("{clients} clients are too few for {connections} connections: raise --clients or lower -c")]
    TooFewClients {
        /// As asked for.
        clients: u32,
        /// As asked for.
        connections: u32,
    },
    /// No connection.
    #[error(
        "cannot connect to {address}: {source}; check that the server runs and takes this many connections"
    )]
    Connect {
        /// The server.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The tester may not open so many files.
    #[error(
        "this tester may have {limit} files open and needs {needed} for so many connections: raise its limit with \
         ulimit -n, or lower -c"
    )]
    Descriptors {
        /// What the system allows this process.
        limit: u64,
        /// One for each connection, and some.
        needed: u64,
    },
    /// The readiness queue broke.
    #[error("cannot wait for sockets: {0}")]
    Poll(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_by_its_weights() {
        assert_eq!("iamat=100".parse(), Ok(Mix::REPORTS));
        assert_eq!("iamat=90, whatsat=10".parse(), Ok(Mix { iamat: 90, whatsat: 10 }));
        assert_eq!("whatsat=1".parse(), Ok(Mix { iamat: 0, whatsat: 1 }));
        for wrong in ["", "iamat", "iamat=x", "put=1", "iamat=1;whatsat=2", "iamat=0,whatsat=0"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong:?}");
        }
    }
}
