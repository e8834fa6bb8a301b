//! One measurement of one subject in one round, and what it aims at.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::outcome::{Latency, Outcome};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The ceiling of throughput.
    Echo,
    /// The floor of a hop.
    Skeleton,
    /// The node without its traffic log.
    Node,
    /// The node with its traffic log.
    NodeLogging,
}

impl Subject {
    pub(super) const OF_THROUGHPUT: [Self; 3] = [Self::Echo, Self::Node, Self::NodeLogging];
    pub(super) const OF_HOPS: [Self; 3] = [Self::Skeleton, Self::Node, Self::NodeLogging];

    pub(super) fn is_node(self) -> bool {
        matches!(self, Self::Node | Self::NodeLogging)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Echo => "echo",
            Self::Skeleton => "skeleton",
            Self::Node => "node, no log",
            Self::NodeLogging => "node, log",
        })
    }
}

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Requests a second, with this many in flight on each connection.
    Throughput(u32),
    /// The median hop, one after the other.
    HopBackToBack,
    /// The median hop, each after a pause.
    HopIdle,
}

/// What the ratio to the trial's base should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    pub(crate) fn is_met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound:.2}"),
            Self::AtMost(bound) => write!(f, "≤ {bound:.2}"),
        }
    }
}

impl Trial {
    /// What the others are compared with.
    pub(super) fn base(self) -> Subject {
        match self {
            Self::Throughput(_) => Subject::Echo,
            Self::HopBackToBack | Self::HopIdle => Subject::Skeleton,
        }
    }

    pub(super) fn subjects(self) -> [Subject; 3] {
        match self {
            Self::Throughput(_) => Subject::OF_THROUGHPUT,
            Self::HopBackToBack | Self::HopIdle => Subject::OF_HOPS,
        }
    }

    pub(super) fn target(self, subject: Subject) -> Option<Target> {
        match (self, subject) {
            (Self::Throughput(1), Subject::Node) => Some(Target::AtLeast(0.90)),
            (Self::Throughput(1), Subject::NodeLogging) => Some(Target::AtLeast(0.78)),
            (Self::Throughput(64), Subject::Node) => Some(Target::AtLeast(0.35)),
            (Self::Throughput(64), Subject::NodeLogging) => Some(Target::AtLeast(0.28)),
            (Self::HopBackToBack | Self::HopIdle, Subject::Node | Subject::NodeLogging) => {
                Some(Target::AtMost(1.25))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throughput(window) => f.pad(&format!("P={window}")),
            Self::HopBackToBack => f.pad("hop, back to back"),
            Self::HopIdle => f.pad("hop, idle"),
        }
    }
}

impl Serialize for Trial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// Of a closed loop.
    Throughput(Outcome),
    /// Of the hops.
    Hop(Latency),
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// From 1.
    pub round: u32,
    /// How.
    pub trial: Trial,
    /// Of what.
    pub subject: Subject,
    /// What came out.
    pub measured: Measured,
    /// Why it does not count, if it does not.
    pub invalid: Option<String>,
}

impl Sample {
    /// The figure that is compared: requests a second, or the median hop in microseconds.
    pub fn figure(&self) -> f64 {
        match &self.measured {
            Measured::Throughput(outcome) => outcome.rate,
            Measured::Hop(latency) => latency.p50_us,
        }
    }

    pub(super) fn latency(&self) -> Latency {
        match &self.measured {
            Measured::Throughput(outcome) => outcome.latency,
            Measured::Hop(latency) => *latency,
        }
    }

    pub(super) fn client_saturated(&self) -> bool {
        matches!(&self.measured, Measured::Throughput(outcome) if outcome.client_saturated)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, trial, subject, .. } = self;
        write!(f, "round {round}  {trial:<18} {subject:<13} ")?;
        match &self.measured {
            Measured::Throughput(outcome) => write!(f, "{:.1} k/s", outcome.rate / 1_000.0)?,
            Measured::Hop(latency) => write!(f, "{:.1} µs", latency.p50_us)?,
        }
        match &self.invalid {
            Some(reason) => write!(f, "  INVALID: {reason}"),
            None => Ok(()),
        }
    }
}
