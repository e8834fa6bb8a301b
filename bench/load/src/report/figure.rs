//! Looks up a figure in a run that was read.

use crate::{
    rounds::{
        Spread,
        read::{Recorded, Series},
    },
    words::distinct,
};

/// Which figure of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) part: &'a str,
    /// Empty where the run has none; `A/B` for a ratio.
    pub(super) server: &'a str,
    /// With ` @3` at the end, three hops away.
    pub(super) what: &'a str,
}

impl Wanted<'_> {
    /// Its median and its range.
    ///
    /// # Errors
    ///
    /// If there is none; says what there is instead.
    pub(super) fn in_run(self, run: &Recorded) -> Result<Spread, String> {
        let values = match self.server.split_once('/') {
            None => self.series(run, self.server)?.values.clone(),
            Some((one, other)) => {
                let (one, other) = (self.series(run, one)?, self.series(run, other)?);
                // A round counts where both do.
                let within = |(value, round): (&f64, &u32)| {
                    let place = other.rounds.iter().position(|other| other == round)?;
                    Some(value / other.values[place])
                };
                one.values.iter().zip(&one.rounds).filter_map(within).collect()
            }
        };
        Spread::of(values).ok_or_else(|| "there is no round in which both count".to_owned())
    }

    fn series<'a>(&self, run: &'a Recorded, server: &str) -> Result<&'a Series, String> {
        let (what, hops) = match self.what.rsplit_once(" @") {
            Some((what, hops)) => (what, Some(hops.parse().map_err(|_| format!("{hops:?} is no number"))?)),
            None => (self.what, None),
        };
        let is_part = |series: &&Series| series.key.part == self.part;
        let is_server = |series: &&Series| series.key.server.as_deref().unwrap_or("") == server;
        let is_what =
            |series: &&Series| series.key.what == what && (hops.is_none() || series.key.hops == hops);
        let mut found = run.series.iter().filter(is_part).filter(is_server).filter(is_what);
        match (found.next(), found.next()) {
            (Some(series), None) => return Ok(series),
            (Some(_), Some(_)) => return Err("there are several; say @HOPS".to_owned()),
            (None, _) => {}
        }
        let all = || run.series.iter();
        let instead = if !all().any(|series| is_part(&series)) {
            list("parts", all().map(|series| &*series.key.part))
        } else if !all().filter(is_part).any(|series| is_server(&series)) {
            let of = all().filter(is_part);
            list("servers", of.map(|series| series.key.server.as_deref().unwrap_or("")))
        } else {
            list("figures", all().filter(is_part).filter(is_server).map(|series| &*series.key.what))
        };
        Err(format!("{} has none for {server:?}; {instead}", run.name))
    }
}

fn list<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    format!("{what}: {}", distinct(names).join(", "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run() -> Recorded {
        let folder = tempfile::tempdir().unwrap();
        let line = |round, server: &str, what: &str, value: f64, hops: &str| {
            format!(
                "{{\"round\":{round},\"part\":\"C=50\",\"server\":\"{server}\",\"what\":\"{what}\",\"unit\":\"/s\",\
                 \"value\":{value},\"at\":{{{hops}}}}}\n"
            )
        };
        let lines = [
            line(1, "a", "rate", 10.0, ""),
            line(1, "b", "rate", 20.0, ""),
            line(2, "a", "rate", 30.0, ""),
            line(2, "b", "rate", 20.0, ""),
            line(1, "a", "hop", 5.0, "\"hops\":1"),
            line(1, "a", "hop", 9.0, "\"hops\":2"),
            line(1, "c", "rate", 1.0, ""),
            line(2, "d", "rate", 1.0, ""),
        ];
        fs::write(folder.path().join("raw.jsonl"), lines.concat()).unwrap();
        Recorded::read(folder.path()).unwrap()
    }

    fn of(part: &str, server: &str, what: &str) -> Result<f64, String> {
        Wanted { part, server, what }.in_run(&run()).map(|spread| spread.median)
    }

    #[test]
    fn a_figure_is_found_by_its_names() {
        assert_eq!(of("C=50", "a", "rate"), Ok(20.0));
        assert_eq!(of("C=50", "a", "hop @2"), Ok(9.0));
        assert_eq!(of("C=50", "a", "hop"), Err("there are several; say @HOPS".to_owned()));
    }

    #[test]
    fn a_ratio_is_taken_within_rounds() {
        assert_eq!(of("C=50", "a/b", "rate"), Ok(1.0));
        assert_eq!(of("C=50", "b/c", "rate"), Ok(20.0), "in the one round that both have");
        assert!(of("C=50", "d/c", "rate").unwrap_err().contains("no round in which both count"));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        assert!(of("C=5", "a", "rate").unwrap_err().ends_with("parts: C=50"));
        assert!(of("C=50", "z", "rate").unwrap_err().ends_with("servers: a, b, c, d"));
        assert!(of("C=50", "a", "cpu").unwrap_err().ends_with("figures: rate, hop"));
    }
}
