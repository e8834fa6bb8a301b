//! One figure of one part in one round, and its target.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    disturbance::Disturbance,
    statistics::{Better, Interval, LEVEL},
};

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    /// Met or missed if that holds of all between the bounds that the median has. One round has no bounds.
    pub(crate) fn judge(self, found: &Interval) -> Judgement {
        if found.level <= 0.0 {
            return Judgement::NotDecided;
        }
        match (self.is_met_by(found.low), self.is_met_by(found.high)) {
            (true, true) => Judgement::Met,
            (false, false) => Judgement::Missed,
            _ => Judgement::NotDecided,
        }
    }
}

/// Whether a figure is what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// Its rounds differ too much, or are too few, to tell.
    NotDecided,
}

impl Judgement {
    /// With how sure it is, where that is less than usual: `met (94 %)`.
    pub(crate) fn told(self, found: &Interval) -> String {
        if self == Self::NotDecided || found.level >= LEVEL {
            return self.to_string();
        }
        format!("{self} ({:.0} %)", found.level * 100.0)
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::NotDecided => "not decided",
        })
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

/// What a part has found about one thing.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Of which of several servers.
    pub(crate) server: Option<String>,
    pub(crate) what: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) better: Option<Better>,
    /// Under which load, as numbers by name.
    pub(super) at: Value,
    pub(super) target: Option<Target>,
    /// Why it does not count, if it does not.
    pub(super) invalid: Option<String>,
    /// What else the machine did meanwhile, if that is known.
    pub(super) disturbance: Option<Disturbance>,
    /// Whatever else explains it, for the raw data.
    pub(super) detail: Value,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            server: None,
            what: what.into(),
            unit,
            value,
            better: None,
            at: Value::Null,
            target: None,
            invalid: None,
            disturbance: None,
            detail: Value::Null,
        }
    }

    /// Measured while this happened, unless more is known already.
    pub(crate) fn amid(self, disturbance: Option<Disturbance>) -> Self {
        Self { disturbance: self.disturbance.or(disturbance), ..self }
    }

    /// One of several servers under the same load.
    pub(crate) fn of(self, server: &str, mut at: Value) -> Self {
        if let (Value::Object(all), Value::Object(own)) = (&mut at, self.at) {
            all.extend(own);
        }
        Self { server: Some(server.to_owned()), at, ..self }
    }

    /// Measured so many links away.
    pub(crate) fn after_hops(self, hops: usize) -> Self {
        Self { at: json!({ "hops": hops }), ..self }
    }

    pub(crate) fn better(self, better: Better) -> Self {
        Self { better: Some(better), ..self }
    }

    pub(crate) fn aims_at(self, target: Option<Target>) -> Self {
        Self { target, ..self }
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample<P> {
    /// From 1.
    pub round: u32,
    /// Of what.
    pub part: P,
    /// Of which of several servers, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Which figure.
    pub what: String,
    /// Its unit.
    pub unit: Cow<'static, str>,
    /// The figure.
    pub value: f64,
    /// Which way it is better, if that is stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// Under which load, as numbers by name, if that is stated.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub at: Value,
    #[serde(serialize_with = "write_target", deserialize_with = "read_target")]
    pub(crate) target: Option<Target>,
    /// Why it does not count, if it does not.
    pub invalid: Option<String>,
    /// What else the machine did meanwhile, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<Disturbance>,
    /// Whatever else explains it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl<P> Sample<P> {
    pub(crate) fn new(round: u32, part: P, figure: Figure) -> Self {
        let Figure { server, what, unit, value, better, at, target, invalid, disturbance, detail } = figure;
        Self {
            round,
            part,
            server,
            what,
            unit: unit.into(),
            value,
            better,
            at,
            target,
            invalid,
            disturbance,
            detail,
        }
    }

    pub(crate) fn is_disturbed(&self) -> bool {
        self.disturbance.is_some_and(|seen| seen.disturbed)
    }
}

impl<P: fmt::Display> fmt::Display for Sample<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, part, what, unit, value, .. } = self;
        write!(f, "round {round}  {part:<13} ")?;
        if let Some(server) = &self.server {
            write!(f, "{server:<14} ")?;
        }
        write!(f, "{what:<44} {} {unit}", number(*value))?;
        match &self.invalid {
            Some(reason) => write!(f, "  INVALID: {reason}"),
            None if self.is_disturbed() => f.write_str("  disturbed"),
            None => Ok(()),
        }
    }
}

/// At least three digits, and no fraction that says nothing.
pub(crate) fn number(value: f64) -> String {
    let decimals = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.decimals$}")
}

fn write_target<S: Serializer>(target: &Option<Target>, serializer: S) -> Result<S::Ok, S::Error> {
    target.map(|target| target.to_string()).serialize(serializer)
}

fn read_target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Target>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let bound = |sign: char| text.as_ref()?.strip_prefix(sign)?.trim().parse().ok();
    Ok(bound('≥').map(Target::AtLeast).or_else(|| bound('≤').map(Target::AtMost)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::statistics::Sorted;

    #[test]
    fn a_target_is_judged_by_both_bounds() {
        let judge = |target: Target, low, high| target.judge(&Interval { low, high, level: 0.95 });
        let (least, most) = (Target::AtLeast(1.0), Target::AtMost(1.0));
        assert_eq!([judge(least, 1.0, 2.0), judge(most, 0.5, 1.0)], [Judgement::Met; 2]);
        assert_eq!([judge(least, 0.5, 0.9), judge(most, 1.1, 1.2)], [Judgement::Missed; 2]);
        assert_eq!([judge(least, 0.9, 1.1), judge(most, 0.9, 1.1)], [Judgement::NotDecided; 2]);
    }

    #[test]
    fn one_round_decides_nothing_and_few_say_how_sure_they_are() {
        let told = |rounds: u32| {
            let values = (0..rounds).map(|round| 2.0 + f64::from(round)).collect();
            let found = Sorted::of(values).unwrap().interval();
            [1.0, 99.0].map(|bound| Target::AtLeast(bound).judge(&found).told(&found))
        };
        assert_eq!(told(1), ["not decided", "not decided"]);
        assert_eq!(told(2), ["met (50 %)", "**missed** (50 %)"]);
        assert_eq!(told(5), ["met (94 %)", "**missed** (94 %)"]);
        assert_eq!(told(6), ["met", "**missed**"]);
    }

    #[test]
    fn a_figure_is_one_flat_line_that_names_what_is_known() {
        let figure = Figure::new("cpu", "µs", 1.5).of("node", json!({ "connections": 50 }));
        let sample = Sample::new(2, "C=50", figure.better(Better::Less).at_most(2.0));
        let expected = json!({
            "round": 2, "part": "C=50", "server": "node", "what": "cpu", "unit": "µs", "value": 1.5,
            "better": "less", "at": { "connections": 50 }, "target": "≤ 2", "invalid": null,
        });
        assert_eq!(serde_json::to_value(&sample).unwrap(), expected);
        let read: Sample<String> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), expected, "and can be read again");
        let bare = serde_json::to_value(Sample::new(1, "link", Figure::new("updates", "k/s", 7.0))).unwrap();
        assert!(bare.get("server").is_none() && bare.get("better").is_none() && bare.get("at").is_none());
    }
}
