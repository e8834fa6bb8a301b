//! Which charts a run gives, and what their texts say.

use super::{
    bars::{self, Bar},
    dots::{self, Row},
    frame::Captions,
    lines::{self, Across, Line},
    quantity::Unit,
    style::Style,
};
use crate::{
    rounds::read::{At, Recorded, Series},
    words::distinct,
};

/// A chart, finished.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Of the file, without its ending.
    pub(super) name: String,
    pub(super) svg: String,
}

/// A figure that is drawn as bars, a chart a point.
struct Barred {
    what: &'static str,
    unit: Unit,
    name: &'static str,
    title: &'static str,
}

/// In the order of the charts.
const BARRED: [Barred; 6] = [
    Barred { what: "rate", unit: Unit::Rate, name: "throughput", title: "Throughput" },
    Barred { what: "cpu", unit: Unit::Time, name: "cpu", title: "Processor time a request" },
    Barred { what: "rss at rest", unit: Unit::Bytes, name: "memory-at-rest", title: "Memory at rest" },
    Barred { what: "rss under load", unit: Unit::Bytes, name: "memory", title: "Memory under load" },
    Barred {
        what: "rss a connection",
        unit: Unit::Bytes,
        name: "memory-a-connection",
        title: "Memory a connection",
    },
    Barred { what: "rss a client", unit: Unit::Bytes, name: "memory-a-client", title: "Memory a client" },
];

/// As figures are named by, after what they are percentiles of.
const PERCENTILES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

/// All that the run has the figures for, with or without their titles and footnotes.
pub(super) fn of(run: &Recorded, has_captions: bool) -> Vec<Chart> {
    let drawing = Drawing { run, has_captions, servers: distinct(run.series.iter().map(label)) };
    let mut charts = Charts::default();
    for varied in [Varied::CONNECTIONS, Varied::PIPELINE, Varied::MEMORY, Varied::RATE, Varied::RATE_MEDIAN] {
        drawing.against(&mut charts, &varied);
    }
    for part in distinct(run.series.iter().map(|series| &*series.key.part)) {
        drawing.bars(&mut charts, part);
        drawing.percentiles(&mut charts, part);
    }
    charts.0
}

/// The charts so far, no two with the same name.
#[derive(Debug, Default)]
struct Charts(Vec<Chart>);

impl Charts {
    fn add(&mut self, name: &str, svg: String) {
        let name = file_name(name);
        let is_taken = |name: &str| self.0.iter().any(|chart| chart.name == name);
        let mut numbered = (2..).map(|number| format!("{name}-{number}"));
        let other = if is_taken(&name) { numbered.find(|name| !is_taken(name)) } else { None };
        self.0.push(Chart { name: other.unwrap_or(name), svg });
    }
}

/// What of a load is varied in a chart of lines, while everything else is kept.
struct Varied {
    what: &'static str,
    unit: Unit,
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    of: fn(&At) -> Option<u64>,
    /// The load without it.
    rest: fn(At) -> At,
}

impl Varied {
    const CONNECTIONS: Self = Self {
        what: "rate",
        unit: Unit::Rate,
        name: "throughput-by-connections",
        title: "Throughput against connections",
        axis: "connections, logarithmic",
        // Connections that stay silent would be another axis.
        of: |at| {
            at.connections.filter(|_| at.idle.unwrap_or(0) == 0 && at.rate.is_none() && at.share.is_none())
        },
        rest: |at| At { connections: None, idle: None, ..at },
    };
    const PIPELINE: Self = Self {
        what: "rate",
        unit: Unit::Rate,
        name: "throughput-by-pipeline",
        title: "Throughput against requests in flight on each connection",
        axis: "requests in flight, logarithmic",
        of: |at| at.pipeline.filter(|_| at.rate.is_none() && at.share.is_none()),
        rest: |at| At { pipeline: None, ..at },
    };
    const MEMORY: Self = Self {
        what: "rss under load",
        unit: Unit::Bytes,
        name: "memory-by-connections",
        title: "Memory under load against connections",
        ..Self::CONNECTIONS
    };
    /// An open loop's.
    const RATE: Self = Self {
        what: "response p99",
        unit: Unit::Time,
        name: "response-p99-by-rate",
        title: "Response time, 99th percentile, against the rate of requests",
        axis: "requests a second, logarithmic",
        of: |at| at.rate.map(|rate| rate as u64),
        rest: |at| At { rate: None, ..at },
    };
    const RATE_MEDIAN: Self = Self {
        what: "response p50",
        name: "response-p50-by-rate",
        title: "Response time, median, against the rate of requests",
        ..Self::RATE
    };
}

/// A run that is being drawn.
#[derive(Debug)]
struct Drawing<'a> {
    run: &'a Recorded,
    has_captions: bool,
    /// Each looks the same in all charts.
    servers: Vec<&'a str>,
}

impl<'a> Drawing<'a> {
    /// A chart for all loads that differ in nothing else, if there are two.
    fn against(&self, charts: &mut Charts, varied: &Varied) {
        let is_drawn = |series: &&Series| {
            let Series { key, at, .. } = series;
            let is_it = key.what == varied.what && key.unit == varied.unit.written();
            is_it && (varied.of)(at).is_some()
        };
        let all: Vec<&Series> = self.run.series.iter().filter(is_drawn).collect();
        for rest in distinct(all.iter().map(|series| (varied.rest)(series.at))) {
            let mut kept: Vec<&Series> = Vec::new();
            for series in all.iter().filter(|series| (varied.rest)(series.at) == rest) {
                // Parts may differ in something that loads do not say; then the first is drawn, and the footnote names
                // it.
                let is_same = |other: &&Series| other.at == series.at && other.key.part != series.key.part;
                if !kept.iter().any(is_same) {
                    kept.push(series);
                }
            }
            let mut figures = distinct(kept.iter().filter_map(|series| (varied.of)(&series.at)));
            figures.sort_unstable();
            if figures.len() < 2 {
                continue;
            }
            let place = |series: &'a Series| {
                let figure = (varied.of)(&series.at)?;
                Some((figures.iter().position(|other| *other == figure)?, series))
            };
            let lines = self.lines(|server| {
                kept.iter()
                    .filter(|series| label(series) == server)
                    .filter_map(|series| place(series))
                    .collect()
            });
            let parts = distinct(kept.iter().map(|series| &*series.key.part));
            let captions =
                self.captions(varied.title, &rest, &kept, &format!(" Points: {}.", parts.join("; ")));
            let across = Across { title: varied.axis, figures: figures.clone() };
            let name = format!("{} {}", varied.name, short(&rest));
            charts.add(&name, lines::draw(captions, varied.unit, &across, &lines));
        }
    }

    /// Everything that is drawn as bars, of one part.
    fn bars(&self, charts: &mut Charts, part: &str) {
        for Barred { what, unit, name, title } in BARRED {
            let series = self.named(part, what, unit);
            let Some(first) = series.first() else { continue };
            let bar = |series: &&'a Series| Bar {
                label: label(series).to_owned(),
                style: self.style(label(series)),
                series,
            };
            let bars: Vec<_> = series.iter().map(bar).collect();
            let captions = self.captions(&titled(title, part), &first.at, &series, "");
            charts.add(&format!("{name} {part}"), bars::draw(captions, unit, &bars));
        }
    }

    /// Percentiles of one part: of responses in an open loop, of service in a closed one, of hops.
    fn percentiles(&self, charts: &mut Charts, part: &str) {
        let of = |kind: &str| -> Vec<&'a Series> {
            let names = PERCENTILES.map(|name| format!("{kind} {name}"));
            names.iter().flat_map(|name| self.named(part, name, Unit::Time)).collect()
        };
        let (response, service) = (of("response"), of("service"));
        let (kind, title, told) = if response.is_empty() {
            ("service", "Service time", service)
        } else {
            ("response", "Response time, from when each request was due", response)
        };
        self.profile(charts, &format!("latency {part}"), kind, &titled(title, part), &told);
        let hop = of("hop");
        for hops in distinct(hop.iter().map(|series| series.key.hops)) {
            let told: Vec<_> = hop.iter().filter(|series| series.key.hops == hops).copied().collect();
            let (name, over) = match hops {
                Some(1) => (format!("hop {part} 1"), "Time of one hop".to_owned()),
                Some(hops) => (format!("hop {part} {hops}"), format!("Time of {hops} hops")),
                None => (format!("hop {part}"), "Time of a hop".to_owned()),
            };
            self.profile(charts, &name, "hop", &titled(&over, part), &told);
        }
    }

    /// A row a server with the percentiles that there are.
    fn profile(&self, charts: &mut Charts, name: &str, kind: &str, title: &str, told: &[&'a Series]) {
        let Some(first) = told.first() else { return };
        let is_of = |series: &Series, percentile: &str| {
            series.key.what.strip_prefix(kind).is_some_and(|rest| rest.trim_start() == percentile)
        };
        let is_present = |name: &&str| told.iter().any(|series| is_of(series, name));
        let present: Vec<&str> = PERCENTILES.into_iter().filter(is_present).collect();
        let place = |series: &'a Series| Some((present.iter().position(|name| is_of(series, name))?, series));
        let points = |server: &str| -> Vec<_> {
            told.iter().filter(|series| label(series) == server).filter_map(|series| place(series)).collect()
        };
        let row = |server: &&str| Row { label: (*server).to_owned(), points: points(server) };
        let rows: Vec<_> = self.servers.iter().map(row).filter(|row| !row.points.is_empty()).collect();
        let captions = self.captions(title, &first.at, told, "");
        charts.add(name, dots::draw(captions, Unit::Time, &present, &rows));
    }

    fn named(&self, part: &str, what: &str, unit: Unit) -> Vec<&'a Series> {
        let is_it = |series: &&Series| {
            series.key.part == part && series.key.what == what && series.key.unit == unit.written()
        };
        self.run.series.iter().filter(is_it).collect()
    }

    /// One for each server that has points.
    fn lines(&self, points: impl Fn(&str) -> Vec<(usize, &'a Series)>) -> Vec<Line<'a>> {
        let line = |server: &&'a str| {
            let mut points = points(server);
            points.sort_by_key(|(place, _)| *place);
            (!points.is_empty()).then(|| Line {
                label: (*server).to_owned(),
                style: self.style(server),
                points,
            })
        };
        self.servers.iter().filter_map(line).collect()
    }

    fn style(&self, server: &str) -> Style {
        Style(self.servers.iter().position(|other| *other == server).unwrap_or_default())
    }

    fn captions(&self, title: &str, load: &At, drawn: &[&Series], more: &str) -> Captions {
        let rounds = drawn.iter().map(|series| series.values.len());
        let (least, most) = (rounds.clone().min().unwrap_or(0), rounds.max().unwrap_or(0));
        let rounds = if least == most { format!("{most}") } else { format!("{least} to {most}") };
        let is_drawn = |part: &str, what: &str| {
            drawn.iter().any(|series| series.key.part == part && series.key.what == what)
        };
        let out = self.run.left_out.iter().filter(|out| is_drawn(&out.key.part, &out.key.what)).count();
        let out = if out > 0 { format!(" Invalid and left out: {out}.") } else { String::new() };
        let footnote = format!(
            "Run {}. Medians of {rounds} rounds; whiskers from quartile to quartile.{more}{out}",
            self.run.name
        );
        let (title, load) = (title.to_owned(), described(load));
        Captions { title, load, footnote, are_drawn: self.has_captions }
    }
}

/// Whose figure it is.
fn label(series: &Series) -> &str {
    series.key.server.as_deref().unwrap_or("server")
}

fn titled(what: &str, part: &str) -> String {
    if part.is_empty() { what.to_owned() } else { format!("{what}: {part}") }
}

/// A load in words, as far as it is known.
fn described(at: &At) -> String {
    let At { connections, idle, pipeline, iamat, whatsat, clients, rate, share, hops: _ } = *at;
    let mix = match (iamat, whatsat) {
        (Some(_), Some(0)) => Some("reports only".to_owned()),
        (Some(0), Some(_)) => Some("lookups only".to_owned()),
        (Some(iamat), Some(whatsat)) => Some(format!("{iamat} reports to {whatsat} lookups")),
        _ => None,
    };
    let told = [
        connections.map(|count| format!("{count} connections")),
        idle.filter(|count| *count > 0).map(|count| format!("{count} more that are idle")),
        pipeline.map(|count| format!("{count} in flight on each connection")),
        rate.map(|rate| format!("{rate} requests a second, each when it is due")),
        share.map(|share| format!("at {share} of what each server can take, each request when it is due")),
        mix,
        clients.map(|count| format!("{count} clients")),
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A load in a file's name.
fn short(at: &At) -> String {
    let mix = at.iamat.zip(at.whatsat).filter(|(_, whatsat)| *whatsat > 0);
    let told = [
        at.connections.map(|count| format!("c{count}")),
        at.idle.filter(|count| *count > 0).map(|count| format!("idle{count}")),
        at.pipeline.map(|count| format!("p{count}")),
        mix.map(|(iamat, whatsat)| format!("mix{iamat}-{whatsat}")),
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// `throughput C=50 P=1` as `throughput-c50-p1`.
fn file_name(name: &str) -> String {
    let mut file = String::new();
    for letter in name.chars().filter(|letter| *letter != '=') {
        if letter.is_alphanumeric() || letter == '.' {
            file.extend(letter.to_lowercase());
        } else if !file.ends_with('-') && !file.is_empty() {
            file.push('-');
        }
    }
    file.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_what_they_show() {
        assert_eq!(file_name("throughput C=50 P=1"), "throughput-c50-p1");
        assert_eq!(file_name("../etc / passwd "), "..-etc-passwd");
        let mut charts = Charts::default();
        for name in ["a b", "a-b", "a=b", "a/b"] {
            charts.add(name, String::new());
        }
        let names: Vec<_> = charts.0.iter().map(|chart| &*chart.name).collect();
        assert_eq!(names, ["a-b", "a-b-2", "ab", "a-b-3"]);
    }

    #[test]
    fn a_load_is_told_in_words() {
        let at = At {
            connections: Some(100),
            idle: Some(9_900),
            iamat: Some(9),
            whatsat: Some(1),
            ..At::default()
        };
        assert_eq!(described(&at), "100 connections, 9900 more that are idle, 9 reports to 1 lookups");
        assert_eq!(short(&at), "c100 idle9900 mix9-1");
        assert_eq!(described(&At::default()), "");
    }
}
