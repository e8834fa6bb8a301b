//! A plan: which servers are put under which loads, and what is expected of them. Read from TOML once and checked as a
//! whole, so that a run of half an hour does not end at a slip in its last line.

use std::{fs, net::SocketAddr, path::Path};

use serde::Deserialize;
use thiserror::Error;

use super::{
    bed::{Missing, root},
    choice::{Choice, new_seed},
    pauses::PauseLog,
    point::{Point, WrittenPoint},
    share,
    target::{Wanted, WrittenTarget},
    template::Template,
};
use crate::{disturbance::Limits, load::Dialect, rounds::Target};

/// Why a plan has nothing that can be run.
#[derive(Debug, Error)]
#[error("{file}: {message}")]
pub struct PlanError {
    /// As it was given.
    file: String,
    /// Where and what.
    message: String,
}

/// What is wrong with a key.
#[derive(Debug, Error)]
#[error("{key}: {message}")]
pub(super) struct Fault {
    /// Such as `point "C=50 P=1": pipeline`.
    key: String,
    /// What to write instead.
    message: String,
}

impl Fault {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// A plan that can be run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// As it was read.
    pub(super) text: String,
    pub(super) what: String,
    /// What the order of the servers is drawn from.
    pub(super) seed: u64,
    /// When a sample is disturbed.
    pub(super) limits: Limits,
    pub(super) rounds: u32,
    /// Milliseconds until what servers ask for places answers.
    pub(super) upstream_delay_ms: u32,
    pub(super) servers: Vec<Server>,
    pub(super) points: Vec<Point>,
    pub(super) targets: Vec<Wanted>,
}

/// A kind of server, and how one is started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) command: Vec<Template>,
    /// What prints its version; if that fails, the server is missing.
    #[serde(default)]
    pub(super) version: Vec<Template>,
    /// Files that must exist, or the server is missing.
    #[serde(default)]
    pub(super) needs: Vec<Template>,
    /// Whether a missing one is reported and left out; otherwise the run ends before it begins.
    #[serde(default)]
    pub(super) skip_if_missing: bool,
    /// The text of the file `{config}`.
    pub(super) config: Option<Template>,
    /// The directory of its traffic log, each of whose files is counted; `None` if it writes none.
    pub(super) log: Option<Template>,
    /// Where its memory management writes its pauses.
    pub(super) pauses: Option<PauseLog>,
    /// Where it listens, if that cannot be chosen.
    pub(super) listen: Option<SocketAddr>,
    /// How to see that it is ready.
    #[serde(default)]
    pub(super) ready: Ready,
    /// The commands in which it is asked.
    #[serde(default)]
    pub(super) dialect: Dialect,
    /// Whether every field of the prefill's replies is checked.
    #[serde(default)]
    pub(super) verify: bool,
    /// Whether it has the file of tokens `{tokens}`, with one that every connection shows.
    #[serde(default)]
    pub(super) token: bool,
    /// Whether connections speak TLS with it, at `{tls_listen}`, and it has the files `{certificate}` and `{key}`.
    #[serde(default)]
    pub(super) tls: bool,
    /// Whether they are resumed, each from an earlier one; otherwise each makes a whole handshake.
    #[serde(default)]
    pub(super) resume: bool,
    /// The arguments that name one neighbour, with `{id}` and `{address}`, if the configuration does not.
    #[serde(default)]
    pub(super) peer: Vec<Template>,
}

/// How to see that a server is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ready {
    /// It prints `listening ADDRESS`.
    #[default]
    Line,
    /// It accepts a connection.
    Connect,
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    what: String,
    rounds: u32,
    pub(super) seconds: f64,
    #[serde(default)]
    pub(super) warmup: f64,
    pub(super) turns: Option<u32>,
    pub(super) patience: Option<f64>,
    pub(super) grace: Option<f64>,
    pub(super) clients: u32,
    pub(super) baseline: Option<String>,
    seed: Option<u64>,
    max_steal: Option<f64>,
    max_foreign: Option<f64>,
    tries: Option<u32>,
    #[serde(default)]
    upstream_delay_ms: u32,
    pub(super) server: Vec<Server>,
    point: Vec<WrittenPoint>,
    #[serde(default)]
    target: Vec<WrittenTarget>,
}

impl Plan {
    /// Reads a plan and keeps the chosen parts of it.
    pub(super) fn read(path: &Path, choice: &Choice) -> Result<Self, PlanError> {
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            let message = format!("cannot read the plan: {error}");
            PlanError { file: file.clone(), message }
        };
        let root = root(path).map_err(unreadable)?;
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&file, &text, &root, choice)
    }

    /// The files that it names are looked for from the root.
    pub(super) fn parse(file: &str, text: &str, root: &Path, choice: &Choice) -> Result<Self, PlanError> {
        let refused = |message| PlanError { file: file.to_owned(), message };
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map_or_else(String::new, |line| format!("line {line}: "));
            refused(format!("{place}{}", error.message()))
        })?;
        let plan = written.checked(text, root, choice).and_then(|plan| plan.chosen(choice));
        plan.map_err(|fault| refused(fault.to_string()))
    }

    pub(super) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == name)
    }

    pub(super) fn point(&self, name: &str) -> Option<&Point> {
        self.points.iter().find(|point| point.name == name)
    }

    /// The name of a target's figure.
    pub(super) fn what_of(&self, wanted: &Wanted) -> String {
        wanted.what(self.point(&wanted.point).and_then(|point| point.baseline.as_deref()))
    }

    /// What a figure should be, if the plan says so.
    pub(super) fn target(&self, point: &str, server: &str, what: &str) -> Option<Target> {
        let is_it = |wanted: &&Wanted| {
            wanted.point == point && wanted.server == server && self.what_of(wanted) == what
        };
        self.targets.iter().find(is_it).and_then(|wanted| wanted.target)
    }

    /// Whether a server is put under a load.
    fn measures(&self, point: &str, server: &str) -> bool {
        self.point(point).is_some_and(|point| point.servers.iter().any(|other| other == server))
    }

    /// Leaves out servers that cannot be started; what is expected of them stays, and is not met.
    pub(super) fn leave_out(&mut self, missing: &[Missing]) {
        let is_missing = |name: &String| missing.iter().any(|missing| missing.server == *name);
        self.servers.retain(|server| !is_missing(&server.name));
        for point in &mut self.points {
            point.servers.retain(|name| !is_missing(name));
        }
        self.points.retain(|point| !point.servers.is_empty());
    }

    /// Those of the targets that ask for what is measured.
    fn chosen(mut self, choice: &Choice) -> Result<Self, Fault> {
        known("--only-server", &choice.only_servers, self.servers.iter().map(|server| &server.name))?;
        known("--only-point", &choice.only_points, self.points.iter().map(|point| &point.name))?;
        let is_chosen = |chosen: &[String], name: &String| chosen.is_empty() || chosen.contains(name);
        self.servers.retain(|server| is_chosen(&choice.only_servers, &server.name));
        for point in &mut self.points {
            point.servers.retain(|name| is_chosen(&choice.only_servers, name));
        }
        self.points.retain(|point| is_chosen(&choice.only_points, &point.name) && !point.servers.is_empty());
        share::check(&self.points)?;
        if self.points.is_empty() {
            return Err(Fault::new("--only-server and --only-point", "no point has one of these servers"));
        }
        let used = |server: &Server| self.points.iter().any(|point| point.servers.contains(&server.name));
        self.servers.retain(used);
        let mut targets = std::mem::take(&mut self.targets);
        targets.retain(|wanted| wanted.places().all(|(point, server)| self.measures(point, server)));
        self.targets = targets;
        Ok(self)
    }
}

impl Written {
    fn checked(self, text: &str, root: &Path, choice: &Choice) -> Result<Plan, Fault> {
        let limits = self.limits()?;
        let rounds = choice.rounds.unwrap_or(self.rounds);
        if rounds == 0 {
            return Err(Fault::new("rounds", "must be at least 1"));
        }
        let names: Vec<String> = self.server.iter().map(|server| server.name.clone()).collect();
        distinct("server", &names)?;
        for server in &self.server {
            server.check()?;
        }
        if let Some(baseline) = &self.baseline {
            known("baseline", std::slice::from_ref(baseline), names.iter())?;
        }
        let points = self.point.iter().map(|point| point.checked(&self, root, choice.seconds));
        let points = points.collect::<Result<Vec<_>, Fault>>()?;
        for point in &points {
            point.check_addresses(&self.server)?;
        }
        distinct("point", &points.iter().map(|point| point.name.clone()).collect::<Vec<_>>())?;
        let what = choice.what.clone().unwrap_or(self.what);
        let upstream_delay_ms = self.upstream_delay_ms;
        let mut plan = Plan {
            text: text.to_owned(),
            what,
            seed: choice.seed.or(self.seed).unwrap_or_else(new_seed),
            limits,
            rounds,
            upstream_delay_ms,
            servers: self.server,
            points,
            targets: Vec::new(),
        };
        for target in &self.target {
            let wanted = target.checked()?;
            if let Some((point, server)) =
                wanted.places().find(|(point, server)| !plan.measures(point, server))
            {
                let message = format!("no point {point:?} that has the server {server:?}");
                return Err(Fault::new(format!("target {:?}", wanted.point), message));
            }
            plan.targets.push(wanted);
        }
        Ok(plan)
    }

    fn limits(&self) -> Result<Limits, Fault> {
        let usual = Limits::default();
        let limits = Limits {
            max_steal: self.max_steal.unwrap_or(usual.max_steal),
            max_foreign: self.max_foreign.unwrap_or(usual.max_foreign),
            tries: self.tries.unwrap_or(usual.tries),
        };
        let shares = [("max_steal", limits.max_steal), ("max_foreign", limits.max_foreign)];
        if let Some((key, _)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(Fault::new(*key, "must be a share of the machine, from 0 to 1"));
        }
        if limits.tries == 0 {
            return Err(Fault::new("tries", "must be at least 1"));
        }
        Ok(limits)
    }
}

impl Server {
    fn check(&self) -> Result<(), Fault> {
        let key = |key: &str| format!("server {:?}: {key}", self.name);
        if self.command.is_empty() {
            return Err(Fault::new(key("command"), "give a program and its arguments"));
        }
        let parts = [
            ("command", &self.command[..]),
            ("version", &self.version),
            ("needs", &self.needs),
            ("config", self.config.as_slice()),
            ("log", self.log.as_slice()),
            ("pauses", self.pauses.as_ref().map_or(&[][..], |pauses| std::slice::from_ref(&pauses.file))),
            ("peer", &self.peer),
        ];
        for (name, templates) in parts {
            if let Some(unknown) = templates.iter().find_map(Template::unknown) {
                let message = format!("{unknown} means nothing; there are {}", Template::known());
                return Err(Fault::new(key(name), message));
            }
        }
        if self.config.is_none() && self.command.iter().any(|word| word.names("config")) {
            return Err(Fault::new(key("config"), "the command names {config}, so give its text"));
        }
        if self.resume && !self.tls {
            return Err(Fault::new(key("resume"), "needs tls"));
        }
        if self.tls && !self.names("tls_listen") {
            return Err(Fault::new(key("tls"), "have it listen at {tls_listen}"));
        }
        Ok(())
    }

    /// Whether anything it is started with holds this placeholder.
    pub(super) fn names(&self, placeholder: &str) -> bool {
        self.command.iter().chain(&self.config).any(|template| template.names(placeholder))
    }
}

fn distinct(what: &str, names: &[String]) -> Result<(), Fault> {
    let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    let message = "there is another of this name; give each one of its own";
    twice.map_or(Ok(()), |(_, name)| Err(Fault::new(format!("{what} {name:?}: name"), message)))
}

/// Refuses names that are none of these.
pub(super) fn known<'a>(
    key: &str,
    names: &[String],
    all: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), Fault> {
    let stray = names.iter().find(|name| !all.clone().any(|known| known == *name));
    stray.map_or(Ok(()), |stray| {
        let all: Vec<_> = all.map(|name| format!("{name:?}")).collect();
        Err(Fault::new(key, format!("{stray:?} is none of {}", all.join(", "))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "what = \"trial\"\nrounds = 3\nseconds = 2\nclients = 1000\nbaseline = \"a\"\n";
    const SERVERS: &str = "[[server]]\nname = \"a\"\ncommand = [\"x\", \"{listen}\"]\n[[server]]\nname = \"b\"\ncommand = [\"y\"]\n";
    const POINT: &str = "[[point]]\nconnections = 50\npipeline = 16\n";

    fn parse(text: &str, choice: &Choice) -> Result<Plan, String> {
        Plan::parse("p.toml", text, Path::new("/nowhere"), choice).map_err(|error| error.to_string())
    }

    /// The plan of all parts, with this one changed.
    fn refused(from: &str, to: &str) -> String {
        let text = format!("{HEAD}{SERVERS}{POINT}");
        assert!(text.contains(from), "{from}");
        parse(&text.replacen(from, to, 1), &Choice::default()).unwrap_err()
    }

    #[test]
    fn a_point_takes_what_it_does_not_say_from_the_plan() {
        let point = "[[point]]\nconnections = 2\npipeline = 1\nclients = 9\nidle = 7\nmix = \"iamat=3,whatsat=1\"\n\
                     servers = [\"b\"]\ntogether = false\nrounds = 1\nrate = 500.5\n";
        let plan = parse(&format!("{HEAD}{SERVERS}{POINT}{point}"), &Choice::default()).unwrap();
        let [first, second] = &plan.points[..] else { panic!("{plan:?}") };
        assert_eq!((&*first.name, first.servers.len(), first.clients()), ("C=50 P=16", 2, 1_000));
        assert!(first.together && first.baseline.as_deref() == Some("a"));
        assert_eq!(second.name, "C=2 P=1 idle=7 whatsat=1/4 rate=500.5 clients=9");
        assert_eq!((second.servers.len(), second.rounds, second.together), (1, 1, false));
        assert_eq!(second.at()["rate"], 500.5);
        let single = "[[point]]\nconnections = 2\npipeline = 1\nreconnect = true\nhalf_close = true\n";
        let plan = parse(&format!("{HEAD}{SERVERS}{single}"), &Choice::default()).unwrap();
        assert_eq!(plan.points[0].name, "C=2 P=1 reconnect half-close");
    }

    #[test]
    fn what_is_wrong_is_named_in_one_line_with_its_file_and_key() {
        let cases = [
            ("rounds = 3", "rounds = 3\nbogus = 1", "p.toml: line 3: unknown field `bogus`"),
            ("rounds = 3", "", "p.toml: line 1: missing field `rounds`"),
            ("rounds = 3", "rounds = 3\nmax_steal = 2", "p.toml: max_steal: must be a share of the machine"),
            ("rounds = 3", "rounds = 3\ntries = 0", "p.toml: tries: must be at least 1"),
            ("rounds = 3", "rounds = 0", "p.toml: rounds: must be at least 1"),
            ("seconds = 2", "seconds = 0", "p.toml: point \"C=50 P=16\": seconds: must be more than 0"),
            ("baseline = \"a\"", "baseline = \"c\"", "p.toml: baseline: \"c\" is none of \"a\", \"b\""),
            ("{listen}", "{lisen}", "p.toml: server \"a\": command: {lisen} means nothing"),
            ("{listen}", "{config}", "p.toml: server \"a\": config: the command names"),
            ("name = \"b\"", "name = \"a\"", "p.toml: server \"a\": name: there is another"),
            ("[\"y\"]", "[]", "p.toml: server \"b\": command: give a program"),
            ("[\"y\"]", "[\"y\"]\nresume = true", "p.toml: server \"b\": resume: needs tls"),
            ("[\"y\"]", "[\"y\"]\ntls = true", "server \"b\": tls: have it listen at {tls_listen}"),
            ("pipeline = 16", "pipeline = 0", "p.toml: point \"C=50 P=0\": pipeline: must be at least 1"),
            ("connections = 50", "connections = 5000", "clients: there must be one for each"),
            ("pipeline = 16", "pipeline = 16\nservers = [\"z\"]", "servers: \"z\" is none of"),
            ("pipeline = 16", "pipeline = 16\nmix = \"put=1\"", "mix: \"put=1\" is not iamat=N or whatsat=N"),
            ("pipeline = 16", "pipeline = 16\nrate = -1", "rate: must be more than 0"),
            ("pipeline = 16", "pipeline = 16\nrate = 1\ngrace = -1", "rate=1\": grace: cannot convert"),
            ("pipeline = 16", "pipeline = 16\ngrace = 1", "grace: needs rate or rate_of"),
            ("pipeline = 16", "pipeline = 16\nreconnect = true", "pipeline: must be 1 with reconnect"),
            ("pipeline = 16", "pipeline = 1\nhalf_close = true", "half_close: needs reconnect"),
            ("pipeline = 16", "pipeline = 16\nnodes = 99", "nodes: must be from 1 to 64"),
            (
                "pipeline = 16",
                "pipeline = 16\nherd = \"x.toml\"",
                "herd=x\": herd: /nowhere/x.toml: No such file",
            ),
            ("pipeline = 16", "pipeline = 16\nherd = \"x\"\nnodes = 2", "herd: gives the number of nodes"),
        ];
        for (from, to, expected) in cases {
            let said = refused(from, to);
            assert!(said.contains(expected) && !said.contains('\n'), "{to}: {said}");
        }
        let twice = parse(&format!("{HEAD}{SERVERS}{POINT}{POINT}"), &Choice::default()).unwrap_err();
        assert!(twice.contains("point \"C=50 P=16\": name: there is another"), "{twice}");
    }

    #[test]
    fn servers_at_one_address_do_not_run_at_once() {
        let servers = SERVERS.replace("command", "listen = \"127.0.0.1:9\"\ncommand");
        let parse = |point: &str| parse(&format!("{HEAD}{servers}{POINT}{point}"), &Choice::default());
        assert!(parse("together = false\n").is_ok());
        assert!(parse("").unwrap_err().contains("point \"C=50 P=16\": together: two of its servers"));
        assert!(parse("nodes = 2\n").unwrap_err().contains("together: a server with listen is one node"));
        assert!(parse("servers = [\"a\"]\n").is_ok());
    }

    #[test]
    fn a_target_must_ask_for_what_is_measured() {
        let refused = |target: &str| {
            let text =
                format!("{HEAD}{SERVERS}{POINT}[[target]]\nserver = \"b\"\nfigure = \"rate\"\n{target}");
            parse(&text, &Choice::default()).unwrap_err()
        };
        assert!(refused("point = \"C=1 P=1\"\nat_least = 1.0").contains("no point \"C=1 P=1\""));
        let wrong = refused("point = \"C=50 P=16\"\nof = \"z\"\nat_least = 1.0");
        assert!(wrong.contains("has the server \"z\""), "{wrong}");
        let both = refused("point = \"C=50 P=16\"\nat_least = 1.0\nat_most = 2.0");
        assert!(both.contains("at_most: give this or at_least, not both"), "{both}");
    }

    #[test]
    fn what_is_chosen_is_kept_and_the_rest_goes() {
        let point = "[[point]]\nname = \"b alone\"\nconnections = 1\npipeline = 1\nservers = [\"b\"]\n";
        let target = "[[target]]\npoint = \"C=50 P=16\"\nserver = \"b\"\nfigure = \"rate\"\nof = \"a\"\nat_least = 1\n";
        let text = format!("{HEAD}{SERVERS}{POINT}{point}{target}");
        assert_eq!(parse(&text, &Choice::default()).unwrap().targets.len(), 1);

        let only_a = Choice { only_servers: vec!["a".to_owned()], ..Choice::default() };
        let plan = parse(&text, &only_a).unwrap();
        assert_eq!((plan.servers.len(), plan.points.len(), plan.targets.len()), (1, 1, 0));

        let only_point = Choice { only_points: vec!["b alone".to_owned()], ..Choice::default() };
        let plan = parse(&text, &only_point).unwrap();
        assert_eq!((plan.servers.len(), plan.points.len(), plan.targets.len()), (1, 1, 0));

        let stray = Choice { only_servers: vec!["z".to_owned()], ..Choice::default() };
        assert!(parse(&text, &stray).unwrap_err().contains("--only-server: \"z\" is none of"));
        let shorter = Choice { rounds: Some(1), seconds: Some(0.5), ..Choice::default() };
        let plan = parse(&text, &shorter).unwrap();
        assert_eq!((plan.rounds, plan.points[0].seconds.as_secs_f64()), (1, 0.5));
    }
}
