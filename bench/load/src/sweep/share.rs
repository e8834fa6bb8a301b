//! Loads in proportion to what a server can take: at such a point, a server's rate is a share of the one that it had at
//! another point, where nothing but its replies held requests back, in the same round.

use std::borrow::Cow;

use serde::Deserialize;

use super::{figures, plan::Fault, point::Point};
use crate::rounds::{Figure, Sample, table::counted};

/// As it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Share {
    /// The point at which servers show what they can take.
    pub(super) point: String,
    /// How much of that.
    pub(super) share: f64,
}

/// Whether each share is of something that is measured before it.
pub(super) fn check(points: &[Point]) -> Result<(), Fault> {
    for (index, point) in points.iter().enumerate() {
        let Some(Share { point: of, share }) = &point.share else { continue };
        let fault = |message: String| Err(Fault::new(format!("point {:?}: rate_of", point.name), message));
        if !(*share > 0.0 && share.is_finite()) {
            return fault("share must be more than 0".to_owned());
        }
        let Some(base) = points[..index].iter().find(|other| other.name == *of) else {
            return fault(format!("no point {of:?} is measured before this one"));
        };
        if base.is_planned() {
            return fault(format!(
                "{of:?} has a rate of its own, so it does not show what a server can take"
            ));
        }
        if let Some(server) = point.servers.iter().find(|server| !base.servers.contains(server)) {
            return fault(format!("{of:?} is without the server {server:?}"));
        }
        if base.rounds < point.rounds {
            return fault(format!("{of:?} is measured in fewer rounds"));
        }
    }
    Ok(())
}

/// A point as it is measured in a round of which these samples are there already, and what is said of the servers for
/// which it cannot be.
pub(super) fn in_round<'a>(
    point: &'a Point,
    round: u32,
    samples: &[Sample<String>],
) -> (Cow<'a, Point>, Vec<Figure>) {
    let Some(Share { point: of, share }) = &point.share else {
        return (Cow::Borrowed(point), Vec::new());
    };
    let rate = |server: &String| {
        let mut rates = counted(samples, server, "rate");
        let rate = rates.find(|sample| sample.round == round && sample.part == *of)?;
        Some((server.clone(), rate.value * share))
    };
    let rates: Vec<_> = point.servers.iter().filter_map(rate).collect();
    let (servers, without): (Vec<_>, Vec<_>) = point
        .servers
        .iter()
        .cloned()
        .partition(|server| rates.iter().any(|(other, rate)| other == server && *rate > 0.0));
    let refusal = |server: String| {
        let none = figures::none(format!("it has no valid rate at {of} in this round"));
        none.into_iter().map(move |figure| figure.of(&server, point.at()))
    };
    let refused = without.into_iter().flat_map(refusal).collect();
    let mut own = point.clone();
    (own.servers, own.rates) = (servers, rates);
    (Cow::Owned(own), refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        load::Load,
        sweep::{choice::Choice, plan::Plan},
    };

    const PLAN: &str = "what = \"t\"\nrounds = 2\nseconds = 1\nclients = 9\n\
        [[server]]\nname = \"a\"\ncommand = [\"x\"]\n[[server]]\nname = \"b\"\ncommand = [\"y\"]\n\
        [[point]]\nconnections = 2\npipeline = 1\n\
        [[point]]\nconnections = 2\npipeline = 1\nrate_of = { point = \"C=2 P=1\", share = 0.5 }\n";

    fn parse(text: &str, choice: &Choice) -> Result<Plan, String> {
        Plan::parse("p.toml", text, ".".as_ref(), choice).map_err(|error| error.to_string())
    }

    fn rate(round: u32, server: &str, value: f64) -> Sample<String> {
        let figure = Figure::new("rate", "/s", value).of(server, json!({}));
        Sample::new(round, "C=2 P=1".to_owned(), figure)
    }

    #[test]
    fn a_server_gets_a_share_of_its_own_rate_in_the_same_round() {
        let plan = parse(PLAN, &Choice::default()).unwrap();
        let point = &plan.points[1];
        assert_eq!((&*point.name, &point.at()["share"]), ("C=2 P=1 share=0.5", &json!(0.5)));
        let invalid = Sample { invalid: Some("it died".to_owned()), ..rate(2, "b", 700.0) };
        let samples = [rate(1, "a", 100.0), rate(1, "b", 40.0), rate(2, "a", 90.0), invalid];
        let planned = |point: &Point, server: &str| {
            let Load { rate, .. } = point.load(Vec::new(), plan.server(server).unwrap());
            rate
        };
        let (first, refused) = in_round(point, 1, &samples);
        assert_eq!((planned(&first, "a"), planned(&first, "b"), refused.len()), (Some(50.0), Some(20.0), 0));
        let (second, refused) = in_round(point, 2, &samples);
        assert_eq!((planned(&second, "a"), &*second.servers), (Some(45.0), &["a".to_owned()][..]));
        let refused = Sample::new(2, point.name.clone(), refused[0].clone());
        assert_eq!(refused.server.as_deref(), Some("b"));
        assert_eq!(refused.invalid.as_deref(), Some("it has no valid rate at C=2 P=1 in this round"));
        let (same, refused) = in_round(&plan.points[0], 1, &samples);
        assert!(matches!(same, Cow::Borrowed(_)) && refused.is_empty());
    }

    #[test]
    fn a_share_of_what_is_not_measured_before_is_refused() {
        let of = "p.toml: point \"C=2 P=1 share=0.5\": rate_of: ";
        for (from, to, expected) in [
            ("point = \"C=2", "point = \"C=3", "no point \"C=3 P=1\" is measured before this one"),
            ("share = 0.5", "share = 0", "share must be more than 0"),
            (
                "pipeline = 1\n[[",
                "pipeline = 1\nname = \"C=2 P=1\"\nrate = 5\n[[",
                "\"C=2 P=1\" has a rate of its own",
            ),
            (
                "pipeline = 1\n[[",
                "pipeline = 1\nservers = [\"b\"]\n[[",
                "\"C=2 P=1\" is without the server \"a\"",
            ),
            ("pipeline = 1\n[[", "pipeline = 1\nrounds = 1\n[[", "\"C=2 P=1\" is measured in fewer rounds"),
        ] {
            let refused = parse(&PLAN.replacen(from, to, 1), &Choice::default()).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
            assert!(refused.starts_with(of) || refused.contains("share=0"), "{refused}");
        }
        let both = PLAN.replacen("rate_of", "rate = 7\nrate_of", 1);
        assert!(parse(&both, &Choice::default()).unwrap_err().ends_with("rate_of: leave out rate, or this"));
        let alone = Choice { only_points: vec!["C=2 P=1 share=0.5".to_owned()], ..Choice::default() };
        assert!(parse(PLAN, &alone).unwrap_err().contains("no point \"C=2 P=1\" is measured before"));
    }
}
