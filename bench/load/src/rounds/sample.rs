//! One figure of one part in one round, and what it aims at.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Part;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Target {
    /// `≥ 1200`, `≤ 0.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

/// What a part has found of one thing.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) target: Option<Target>,
    /// Why it does not count, if it does not.
    pub(super) invalid: Option<String>,
    /// Whatever else explains it, for the raw data.
    pub(super) detail: Value,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { what: what.into(), unit, value, target: None, invalid: None, detail: Value::Null }
    }

    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self { target: Some(Target::AtLeast(bound)), ..self }
    }

    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self { target: Some(Target::AtMost(bound)), ..self }
    }

    pub(crate) fn with(self, detail: impl Serialize) -> Self {
        Self { detail: serde_json::to_value(detail).unwrap_or_default(), ..self }
    }

    pub(crate) fn invalid_if(self, objection: Option<String>) -> Self {
        Self { invalid: self.invalid.or(objection), ..self }
    }
}

/// A figure, with its place in the run.
#[derive(Debug, Serialize)]
pub struct Sample<P> {
    /// From 1.
    pub round: u32,
    /// Of what.
    pub part: P,
    /// Which figure.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
    #[serde(serialize_with = "bound")]
    pub(super) target: Option<Target>,
    /// Why it does not count, if it does not.
    pub invalid: Option<String>,
    /// Whatever else explains it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl<P> Sample<P> {
    pub(super) fn new(round: u32, part: P, figure: Figure) -> Self {
        let Figure { what, unit, value, target, invalid, detail } = figure;
        Self { round, part, what, unit, value, target, invalid, detail }
    }
}

impl<P: Part> fmt::Display for Sample<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, part, what, unit, value, .. } = self;
        write!(f, "round {round}  {part:<13} {what:<44} {} {unit}", number(*value))?;
        match &self.invalid {
            Some(reason) => write!(f, "  INVALID: {reason}"),
            None => Ok(()),
        }
    }
}

/// Three digits at least, and no fraction where it says nothing.
pub(super) fn number(value: f64) -> String {
    let decimals = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.decimals$}")
}

fn bound<S: Serializer>(target: &Option<Target>, serializer: S) -> Result<S::Ok, S::Error> {
    target.map(|target| target.to_string()).serialize(serializer)
}
