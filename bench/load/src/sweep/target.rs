//! What a plan expects: a figure of a server at a point, by itself or as a share of another's in the same round.

use serde::Deserialize;

use super::{figures, plan::Fault};
use crate::rounds::Target;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTarget {
    point: String,
    server: String,
    figure: String,
    /// The server that this one's figure is divided by; itself if only `of_point` is given.
    of: Option<String>,
    /// The point that it is taken at; this one otherwise.
    of_point: Option<String>,
    at_least: Option<f64>,
    at_most: Option<f64>,
}

/// A figure, and what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) point: String,
    pub(super) server: String,
    pub(super) figure: String,
    pub(super) of: Option<Base>,
    /// `None` if it is only reported.
    pub(super) target: Option<Target>,
}

/// What a figure is divided by: the same figure of this server at this point, in the same round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) server: String,
    pub(super) point: String,
}

impl WrittenTarget {
    pub(super) fn checked(&self) -> Result<Wanted, Fault> {
        let key = |key: &str| format!("target {:?}, {:?}: {key}", self.point, self.server);
        if !figures::NAMES.contains(&&*self.figure) {
            let message = format!("{:?} is none of {}", self.figure, figures::NAMES.join(", "));
            return Err(Fault::new(key("figure"), message));
        }
        let target = match (self.at_least, self.at_most) {
            (Some(bound), None) => Some(Target::AtLeast(bound)),
            (None, Some(bound)) => Some(Target::AtMost(bound)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(Fault::new(key("at_most"), "give this or at_least, not both")),
        };
        let of = (self.of.is_some() || self.of_point.is_some()).then(|| Base {
            server: self.of.as_ref().unwrap_or(&self.server).clone(),
            point: self.of_point.as_ref().unwrap_or(&self.point).clone(),
        });
        let Self { point, server, figure, .. } = self;
        Ok(Wanted { point: point.clone(), server: server.clone(), figure: figure.clone(), of, target })
    }
}

impl Wanted {
    /// The points and servers that it takes.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        let base = self.of.as_ref().map(|base| (&*base.point, &*base.server));
        [(&*self.point, &*self.server)].into_iter().chain(base)
    }

    /// The name that its figure has, given the server that its point's ratios are of.
    pub(super) fn what(&self, baseline: Option<&str>) -> String {
        let Some(base) = &self.of else { return self.figure.clone() };
        let is_same_point = base.point == self.point;
        match (is_same_point, baseline) {
            (true, Some(baseline)) if baseline == base.server && self.figure == "rate" => "ratio".to_owned(),
            (true, _) => format!("{} of {}", self.figure, base.server),
            (false, _) => format!("{} of {} at {}", self.figure, base.server, base.point),
        }
    }
}
