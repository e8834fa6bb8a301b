//! A load: which servers are asked what, how often, over how many connections. Plain data; `drive` makes it.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::value_parser;
use proxyherd::{cli::TlsFlags, core::access::Token};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::{
    tls::Tls,
    words::{as_seconds, seconds, some_seconds, usual},
};

/// A run against one server or several, as `herd-load run` is told it. Times are seconds where it is written down.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Load {
    /// The servers; connections go to them in turn.
    #[arg(skip)]
    #[serde(skip)]
    pub targets: Vec<SocketAddr>,
    /// Connections at once
    #[arg(short, long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Additional connections that stay silent
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub idle: u32,
    /// Requests in flight on each connection, at most.
    #[arg(skip = 1u32)]
    pub pipeline: u32,
    /// Requests a second in all, planned at even intervals whatever the server does
    #[arg(short = 'R', long, value_name = "PER-SECOND")]
    pub rate: Option<f64>,
    /// How much to measure.
    #[arg(skip)]
    pub length: Length,
    /// Seconds of load before measuring
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    #[serde(rename = "warmup_seconds", serialize_with = "as_seconds")]
    pub warmup: Duration,
    /// What to ask, by weight
    #[arg(long, default_value = "iamat=100", value_name = "iamat=N,whatsat=N")]
    pub mix: Mix,
    /// The commands in which locations are reported
    #[arg(long, value_enum, default_value_t = Dialect::Herd)]
    pub dialect: Dialect,
    /// Distinct clients
    #[arg(long, default_value_t = 100_000)]
    pub clients: u32,
    /// Which client is next: `uniform`, each connection among its own; `zipf` or `zipf:EXPONENT`, all among all
    #[arg(long, default_value = "uniform")]
    pub choice: Choice,
    /// The radius of lookups in kilometres
    #[arg(long = "radius", default_value_t = 10, value_name = "KM")]
    pub radius_km: u32,
    /// The number of places that lookups ask for
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub bound: u32,
    /// End lines with CR LF
    #[arg(long)]
    pub crlf: bool,
    /// A connection for each request
    #[arg(long)]
    pub reconnect: bool,
    /// End each of them by a half-close, for servers that read to the end of the input
    #[arg(long, requires = "reconnect")]
    pub half_close: bool,
    /// Check every field of every reply
    #[arg(long)]
    pub verify: bool,
    /// What every document must say, if that is known; its status is then checked without `verify`, too.
    #[arg(skip)]
    #[serde(skip)]
    pub document: Option<Document>,
    /// The seed: the same seed draws the same clients
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The file of the token that each connection shows first, as `herd token add --to` makes it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub token_file: Option<PathBuf>,
    /// That token, once it is read.
    #[arg(skip)]
    #[serde(skip)]
    pub token: Option<Token>,
    /// Whether to speak TLS, and with whom.
    #[command(flatten)]
    #[serde(skip)]
    pub tls_flags: TlsFlags,
    /// Resume TLS connections, each from an earlier one; otherwise each makes a whole handshake
    #[arg(long)]
    pub resume: bool,
    /// How TLS is spoken, if it is.
    #[arg(skip)]
    #[serde(serialize_with = "is_some", rename = "tls")]
    pub tls: Option<Tls>,
    /// Seconds without any reply after which the run is abandoned
    #[arg(long = "timeout", value_name = "SECONDS", value_parser = some_seconds, default_value = "10")]
    #[serde(rename = "timeout_seconds", serialize_with = "as_seconds")]
    pub patience: Duration,
    /// Seconds that the last replies may take when the time is over; then the run ends, and what was not sent or not
    /// answered counts as errors
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    #[serde(rename = "grace_seconds", serialize_with = "as_seconds")]
    pub grace: Duration,
}

impl Load {
    /// What `herd-load run` makes by default: a closed loop of reports, with one in flight on each of 50 connections. But
    /// the last replies may take as long as they like.
    pub fn on(target: SocketAddr) -> Self {
        Self { targets: vec![target], grace: Duration::MAX, ..usual(&[]) }
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

/// Written down, it only says whether there is any.
fn is_some<S: Serializer>(value: &Option<Tls>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(value.is_some())
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

impl Default for Length {
    fn default() -> Self {
        Self::Time(Duration::from_secs(10))
    }
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

impl FromStr for Choice {
    type Err = String;

    /// Reads `uniform`, `zipf` or `zipf:0.8`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("uniform", "") => Ok(Self::Uniform),
            ("zipf", "") => Ok(Self::Zipf(1.0)),
            ("zipf", exponent) => {
                exponent.parse().map(Self::Zipf).map_err(|_| format!("{exponent:?} is no exponent"))
            }
            _ => Err("give uniform, zipf or zipf:EXPONENT".to_owned()),
        }
    }
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

    #[test]
    fn choices_may_have_an_exponent() {
        assert_eq!("uniform".parse(), Ok(Choice::Uniform));
        assert_eq!("zipf".parse(), Ok(Choice::Zipf(1.0)));
        assert_eq!("zipf:0.8".parse(), Ok(Choice::Zipf(0.8)));
        assert!("zipf:x".parse::<Choice>().is_err() && "pareto".parse::<Choice>().is_err());
    }
}
