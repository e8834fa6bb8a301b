//! A point of a sweep: one load, and the servers that are put under it.

use std::{net::SocketAddr, path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    graph::{Graph, Shape},
    plan::{Fault, Server, Written, known},
    share::Share,
    tokens,
};
use crate::load::{Choice, Length, Load, Mix};

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPoint {
    name: Option<String>,
    connections: u32,
    pipeline: u32,
    #[serde(default)]
    idle: u32,
    /// Such as `iamat=90,whatsat=10`.
    mix: Option<String>,
    rate: Option<f64>,
    /// In place of a rate.
    rate_of: Option<Share>,
    clients: Option<u32>,
    zipf: Option<f64>,
    #[serde(default)]
    crlf: bool,
    #[serde(default)]
    reconnect: bool,
    /// Whether each of those connections is ended by a half-close.
    #[serde(default)]
    half_close: bool,
    seconds: Option<f64>,
    warmup: Option<f64>,
    turns: Option<u32>,
    patience: Option<f64>,
    grace: Option<f64>,
    rounds: Option<u32>,
    servers: Option<Vec<String>>,
    baseline: Option<String>,
    together: Option<bool>,
    nodes: Option<u32>,
    shape: Option<Shape>,
    /// The file of a herd that has these links.
    herd: Option<String>,
}

/// A load and its servers.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) name: String,
    pub(super) servers: Vec<String>,
    /// The server that the others' rates are divided by.
    pub(super) baseline: Option<String>,
    /// Whether the servers run side by side and take turns; otherwise each runs alone.
    pub(super) together: bool,
    /// The number of rounds it is measured in, which are the first ones.
    pub(super) rounds: u32,
    pub(super) turns: u32,
    /// How long each server is measured, all turns together.
    pub(super) seconds: Duration,
    /// Nodes of each server and their links; a herd if there is more than one.
    pub(super) graph: Graph,
    /// What the servers' rates are shares of.
    pub(super) share: Option<Share>,
    /// The servers' rates, once those are known.
    pub(super) rates: Vec<(String, f64)>,
    load: Load,
}

impl WrittenPoint {
    /// With what the plan says where it says nothing; chosen seconds go before both. Files are looked for from the root.
    pub(super) fn checked(&self, plan: &Written, root: &Path, seconds: Option<f64>) -> Result<Point, Fault> {
        let clients = self.clients.unwrap_or(plan.clients);
        let turns = self.turns.or(plan.turns).unwrap_or(1);
        let mix = self.mix.as_deref().map_or(Ok(Mix::REPORTS), str::parse);
        let name = self.name.clone().unwrap_or_else(|| self.derived_name(plan.clients));
        let key = |key: &str| format!("point {name:?}: {key}");
        let mix = mix.map_err(|message| Fault::new(key("mix"), message))?;
        if self.reconnect && self.pipeline > 1 {
            return Err(Fault::new(key("pipeline"), "must be 1 with reconnect"));
        }
        if self.half_close && !self.reconnect {
            return Err(Fault::new(key("half_close"), "needs reconnect"));
        }
        let counts = [("connections", self.connections), ("pipeline", self.pipeline), ("turns", turns)];
        if let Some((count, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Fault::new(key(count), "must be at least 1"));
        }
        if clients < self.connections {
            return Err(Fault::new(key("clients"), "there must be one for each of the connections"));
        }
        let graph = self.graph(root).map_err(|(of, message)| Fault::new(key(of), message))?;
        let time = |key_of: &str, seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_err(|error| Fault::new(key(key_of), error.to_string()))
        };
        let seconds = seconds.or(self.seconds).unwrap_or(plan.seconds);
        if seconds <= 0.0 {
            return Err(Fault::new(key("seconds"), "must be more than 0"));
        }
        self.check_numbers().map_err(|(of, message)| Fault::new(key(of), message))?;
        let seconds = time("seconds", seconds)?;
        let names = plan.server.iter().map(|server| &server.name);
        let servers = self.servers.clone().unwrap_or_else(|| names.clone().cloned().collect());
        known(&key("servers"), &servers, names.clone())?;
        let baseline = self.baseline.clone().or_else(|| plan.baseline.clone());
        known(&key("baseline"), baseline.as_slice(), names)?;
        let load = Load {
            idle: self.idle,
            connections: self.connections,
            pipeline: self.pipeline,
            rate: self.rate,
            length: Length::Time(seconds / turns),
            warmup: time("warmup", self.warmup.unwrap_or(plan.warmup))? / turns,
            mix,
            clients,
            choice: self.zipf.map_or(Choice::Uniform, Choice::Zipf),
            crlf: self.crlf,
            reconnect: self.reconnect,
            half_close: self.half_close,
            patience: time("patience", self.patience.or(plan.patience).unwrap_or(10.0))?,
            grace: self.grace(plan).map_or(Ok(Duration::MAX), |grace| time("grace", grace))?,
            ..Load::on(SocketAddr::from(([0, 0, 0, 0], 0)))
        };
        Ok(Point {
            name,
            servers,
            baseline,
            together: self.together.unwrap_or(true),
            rounds: self.rounds.unwrap_or(u32::MAX),
            turns,
            seconds,
            graph,
            share: self.rate_of.clone(),
            rates: Vec::new(),
            load,
        })
    }

    /// What is wrong with the numbers that are not counts: the key, and why.
    fn check_numbers(&self) -> Result<(), (&'static str, &'static str)> {
        for (figure, name) in [(self.rate, "rate"), (self.zipf, "zipf")] {
            if figure.is_some_and(|figure| !(figure > 0.0 && figure.is_finite())) {
                return Err((name, "must be more than 0"));
            }
        }
        if self.rate.is_some() && self.rate_of.is_some() {
            return Err(("rate_of", "leave out rate, or this"));
        }
        if self.grace.is_some() && !self.is_planned() {
            return Err(("grace", "needs rate or rate_of"));
        }
        Ok(())
    }

    fn is_planned(&self) -> bool {
        self.rate.is_some() || self.rate_of.is_some()
    }

    /// How many seconds the last replies may take after the end of what was planned, if that is limited.
    fn grace(&self, plan: &Written) -> Option<f64> {
        self.grace.or(plan.grace.filter(|_| self.is_planned()))
    }

    /// The herd's nodes and links, or the key that is at fault and why.
    fn graph(&self, root: &Path) -> Result<Graph, (&'static str, String)> {
        let graph = match &self.herd {
            Some(_) if self.nodes.is_some() || self.shape.is_some() => {
                let message = "gives the number of nodes and their links itself; leave out nodes and shape";
                return Err(("herd", message.to_owned()));
            }
            Some(herd) => Graph::read(&root.join(herd)).map_err(|message| ("herd", message))?,
            None => Graph::of_shape(self.shape.unwrap_or_default(), self.nodes.unwrap_or(1) as usize),
        };
        if (1..=NODES_MAX).contains(&graph.nodes) {
            Ok(graph)
        } else {
            Err(("nodes", format!("must be from 1 to {NODES_MAX}")))
        }
    }

    /// What distinguishes a point from others, in the order of a command line: `C=50 P=16 idle=9900`.
    fn derived_name(&self, usual_clients: u32) -> String {
        let mut name = format!("C={} P={}", self.connections, self.pipeline);
        let mut say = |word: &str| {
            name.push(' ');
            name.push_str(word);
        };
        if self.idle > 0 {
            say(&format!("idle={}", self.idle));
        }
        if let Some(mix) =
            self.mix.as_deref().and_then(|text| text.parse::<Mix>().ok()).filter(|mix| mix.whatsat > 0)
        {
            say(&format!("whatsat={}/{}", mix.whatsat, mix.iamat + mix.whatsat));
        }
        let share = self.rate_of.as_ref().map(|of| of.share);
        let numbers = [("rate", self.rate), ("share", share), ("zipf", self.zipf)];
        for (word, number) in numbers {
            if let Some(number) = number {
                say(&format!("{word}={number}"));
            }
        }
        if let Some(clients) = self.clients.filter(|clients| *clients != usual_clients) {
            say(&format!("clients={clients}"));
        }
        if let Some(nodes) = self.nodes.filter(|nodes| *nodes > 1) {
            say(&format!("nodes={nodes}"));
        }
        if let Some(herd) = &self.herd {
            say(&format!("herd={}", Path::new(herd).file_stem().unwrap_or_default().display()));
        }
        let words = ["crlf", "reconnect", "half-close"];
        let flags = [self.crlf, self.reconnect, self.half_close];
        words.into_iter().zip(flags).filter(|(_, is_so)| *is_so).for_each(|(word, _)| say(word));
        name
    }
}

/// The most nodes that a herd may have: ports are set aside for them.
const NODES_MAX: usize = 64;

impl Point {
    /// The load on these servers of one kind.
    pub(super) fn load(&self, targets: Vec<SocketAddr>, server: &Server) -> Load {
        let own = self.rates.iter().find(|(name, _)| *name == server.name).map(|(_, rate)| *rate);
        let token = server.token.then(tokens::token);
        Load { targets, dialect: server.dialect, rate: own.or(self.load.rate), token, ..self.load.clone() }
    }

    /// Whether requests have times.
    pub(super) fn is_planned(&self) -> bool {
        self.load.rate.is_some() || self.share.is_some()
    }

    /// Whether servers take turns.
    pub(super) fn is_together(&self) -> bool {
        self.together && self.graph.nodes == 1
    }

    /// Refuses it if two servers would have one address at once.
    pub(super) fn check_addresses(&self, servers: &[Server]) -> Result<(), Fault> {
        let listen = |name: &String| servers.iter().find(|server| server.name == *name)?.listen;
        let fixed: Vec<SocketAddr> = self.servers.iter().filter_map(listen).collect();
        let is_twice = |(index, address): (usize, &SocketAddr)| fixed[..index].contains(address);
        let key = format!("point {:?}: together", self.name);
        let speaks_tls = |name: &String| servers.iter().any(|server| server.name == *name && server.tls);
        if self.graph.nodes > 1 && self.servers.iter().any(speaks_tls) {
            return Err(Fault::new(key, "a server with tls is one node, so it cannot be a herd of several"));
        }
        if self.graph.nodes > 1 && !fixed.is_empty() {
            return Err(Fault::new(
                key,
                "a server with listen is one node, so it cannot be a herd of several",
            ));
        }
        if self.is_together() && fixed.iter().enumerate().any(is_twice) {
            return Err(Fault::new(key, "two of its servers listen at one address; write together = false"));
        }
        Ok(())
    }

    pub(super) fn connections(&self) -> u32 {
        self.load.connections + self.load.idle
    }

    pub(super) fn clients(&self) -> u32 {
        self.load.clients
    }

    pub(super) fn warmup(&self) -> Duration {
        self.load.warmup * self.turns
    }

    /// The load as numbers by name, for the raw data.
    pub(super) fn at(&self) -> Value {
        let Load { connections, idle, pipeline, mix, clients, rate, .. } = self.load;
        let mut at = json!({
            "connections": connections,
            "idle": idle,
            "pipeline": pipeline,
            "iamat": mix.iamat,
            "whatsat": mix.whatsat,
            "clients": clients,
            "rate": rate,
        });
        if self.graph.nodes > 1 {
            at["nodes"] = self.graph.nodes.into();
        }
        if let Some(of) = &self.share {
            at["share"] = of.share.into();
        }
        at
    }
}
