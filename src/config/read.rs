//! From TOML text to a herd's parts, each with the line it stands on: shape, keys and single values are checked here.
//! What the parts mean to each other is checked in `check`.

use std::{collections::BTreeSet, ops::Range, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Address, HttpConfig, Limits, LogConfig, PlacesConfig, PlacesSource, UpstreamLimits,
    error::Fault,
    keys,
    log::name_fault,
    plain,
    settings::{TomlTable, wrong_type},
};
use crate::core::{model::NodeId, wire::PlainForm};

/// A value and the line it stands on, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// A value, or the first fault and its line.
pub(super) type Found<T> = Result<T, At<Fault>>;

/// The herd as its text states it.
pub(super) struct Stated {
    pub(super) name: String,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) log: LogConfig,
    pub(super) http: HttpConfig,
    pub(super) limits: Limits,
    pub(super) places: PlacesConfig,
    pub(super) nodes: Vec<StatedNode>,
}

/// A node as its text states it: links still at one end only and to names that may not exist.
pub(super) struct StatedNode {
    pub(super) id: At<NodeId>,
    pub(super) listen: At<Address>,
    pub(super) address: Option<At<Address>>,
    pub(super) http: Option<At<Address>>,
    pub(super) plain: Option<PlainForm>,
    pub(super) plain_listen: Option<At<Address>>,
    pub(super) links: Vec<At<String>>,
}

/// Reads a whole file.
pub(super) fn read(text: &str) -> Found<Stated> {
    let text = Text(text);
    let root = DeTable::parse(text.0).map_err(|error| {
        // The parser may explain itself on several lines.
        let message = error.message().trim().replace('\n', ", ");
        text.fault(error.span().unwrap_or_default(), Fault::Syntax { message })
    })?;
    let root = root.get_ref();
    text.no_other_keys(root, "the file", &keys::TABLES)?;
    let mut stated = Stated {
        name: text.herd_name(root)?,
        secret_file: text.secret_file(root)?,
        places: text.places(root)?,
        log: text.settings(root, &[])?,
        http: text.http(root)?,
        limits: text.limits(root)?,
        nodes: Vec::new(),
    };
    stated.nodes = text.nodes(root)?;
    text.check_log_names(root, &stated)?;
    Ok(stated)
}

fn setting_names<T: TomlTable>() -> Vec<&'static str> {
    T::SETTINGS.iter().map(|setting| setting.key).collect()
}

type Value<'t> = Spanned<DeValue<'t>>;

/// The text, which turns the parser's offsets into lines.
struct Text<'t>(&'t str);

impl<'t> Text<'t> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = &self.0.as_bytes()[..span.start.min(self.0.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    fn fault(&self, span: Range<usize>, fault: Fault) -> At<Fault> {
        At { line: self.line(&span), value: fault }
    }

    fn no_other_keys(&self, table: &DeTable<'t>, name: &'static str, known: &[&str]) -> Found<()> {
        let unknown = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let (key, span) = (key.get_ref().to_string(), key.span());
        Err(self.fault(span, Fault::UnknownKey { key, table: name, known: known.join(", ") }))
    }

    fn table<'v>(&self, root: &'v DeTable<'t>, key: &str) -> Found<Option<(&'v DeTable<'t>, Range<usize>)>> {
        let Some(value) = root.get(key) else { return Ok(None) };
        match value.get_ref().as_table() {
            Some(table) => Ok(Some((table, value.span()))),
            None => Err(self.wrong_type(key, value, "a table")),
        }
    }

    fn wrong_type(&self, key: &str, value: &Value<'t>, wanted: &'static str) -> At<Fault> {
        self.fault(value.span(), wrong_type(key, value.get_ref(), wanted))
    }

    fn string(&self, key: &str, value: &Value<'t>, wanted: &'static str) -> Found<At<String>> {
        let string = value.get_ref().as_str().ok_or_else(|| self.wrong_type(key, value, wanted))?;
        Ok(At { line: self.line(&value.span()), value: string.to_owned() })
    }

    fn herd_name(&self, root: &DeTable<'t>) -> Found<String> {
        let missing = Fault::MissingKey { table: "[herd]", key: "name", example: "name = \"fall-2016\"" };
        let Some((table, span)) = self.table(root, "herd")? else { return Err(self.fault(0..0, missing)) };
        self.no_other_keys(table, "[herd]", &keys::names(&keys::HERD))?;
        let Some(value) = table.get("name") else { return Err(self.fault(span, missing)) };
        let At { line, value: name } = self.string("name", value, "a name in quotes")?;
        // A herd's name stands in peers' lines, so it obeys the rule of a node's.
        match NodeId::is_valid(name.as_bytes()) {
            true => Ok(name),
            false => Err(At { line, value: Fault::HerdName { name } }),
        }
    }

    fn secret_file(&self, root: &DeTable<'t>) -> Found<Option<PathBuf>> {
        let table = self.table(root, "herd")?.map(|(table, _)| table);
        let Some(value) = table.and_then(|table| table.get("secret_file")) else { return Ok(None) };
        let At { line, value: path } = self.string("secret_file", value, "a path in quotes")?;
        if path.is_empty() { Err(At { line, value: Fault::NoSecretFile }) } else { Ok(Some(path.into())) }
    }

    fn places(&self, root: &DeTable<'t>) -> Found<PlacesConfig> {
        let by_hand = keys::names(&keys::PLACES);
        let upstream: UpstreamLimits =
            self.settings(root, &[by_hand.clone(), setting_names::<PlacesConfig>()].concat())?;
        let Some((table, span)) = self.table(root, "places")? else { return Ok(PlacesConfig::default()) };
        let source = table.get("source").map(|value| self.places_source("source", value)).transpose()?;
        let source = source.unwrap_or_default();
        let then = table.get("then").map(|value| self.then(source, value)).transpose()?.unwrap_or_default();
        let others = [by_hand, setting_names::<UpstreamLimits>()].concat();
        let config = PlacesConfig { source, then, upstream, ..self.settings(root, &others)? };
        for (source, key, is_given) in [
            (PlacesSource::File, "file", config.file.is_some()),
            (PlacesSource::Tweets, "tweets_file", config.tweets_file.is_some()),
        ] {
            if !is_given && config.chain().any(|each| each == source) {
                let fault = Fault::NoPlacesFile { source_name: source.as_str(), key };
                return Err(self.fault(span, fault));
            }
        }
        Ok(config)
    }

    fn places_source(&self, key: &str, value: &Value<'t>) -> Found<PlacesSource> {
        let At { line, value: name } = self.string(key, value, "a source's name in quotes")?;
        let source = PlacesSource::ALL.into_iter().find(|source| source.as_str() == name);
        source.ok_or_else(|| {
            let known = PlacesSource::ALL.map(PlacesSource::as_str).join(", ");
            At { line, value: Fault::UnknownPlaces { source_name: name, known } }
        })
    }

    /// Who is asked after `first`, one name or a list: each must be one that can take over from the one before.
    fn then(&self, first: PlacesSource, value: &Value<'t>) -> Found<Vec<PlacesSource>> {
        let (single, list) = match value.get_ref().as_array() {
            Some(list) => (None, Some(list)),
            None => (Some(value), None),
        };
        let mut chain = vec![first];
        for value in list.into_iter().flatten().chain(single) {
            let next = self.places_source("then", value)?;
            let before = chain[chain.len() - 1];
            let why = if !before.is_upstream() {
                format!("{:?} does not fail, so nobody is asked after it", before.as_str())
            } else if chain.contains(&next) {
                format!("{:?} has been asked by then", next.as_str())
            } else if matches!(next, PlacesSource::Tweets | PlacesSource::None) {
                format!("{:?} has no places to answer with", next.as_str())
            } else {
                chain.push(next);
                continue;
            };
            return Err(self.fault(value.span(), Fault::Then { why }));
        }
        Ok(chain.split_off(1))
    }

    fn limits(&self, root: &DeTable<'t>) -> Found<Limits> {
        let limits: Limits = self.settings(root, &[])?;
        if limits.backoff_min <= limits.backoff_max {
            return Ok(limits);
        }
        let table = self.table(root, "limits")?.map(|(table, _)| table);
        let given = |key| table.and_then(|table| table.get(key)).map(Spanned::span);
        let span = given("backoff_ms_min").or_else(|| given("backoff_ms_max")).unwrap_or_default();
        Err(self.fault(span, Fault::BackoffReversed))
    }

    fn check_log_names(&self, root: &DeTable<'t>, stated: &Stated) -> Found<()> {
        let Stated { log, nodes, .. } = stated;
        let table = self.table(root, LogConfig::NAME)?.map(|(table, _)| table);
        let span = |key| table.and_then(|table| table.get(key)).map(Spanned::span).unwrap_or_default();
        for (key, name) in [("file", Some(&log.file)), ("events_file", log.events_file.as_ref())] {
            if let Some((name, why)) = name.and_then(|name| Some((name.clone(), name_fault(name)?))) {
                return Err(self.fault(span(key), Fault::LogName { key, name, why }));
            }
        }
        let own = nodes.iter().filter(|node| node.plain.is_none());
        // Each id once: that two nodes have one is told later.
        let ids: BTreeSet<_> = own.map(|node| node.id.value.as_str()).collect();
        match log.name_clash(ids.into_iter()) {
            Some(name) => {
                let key = if log.events_file.is_some() { "events_file" } else { "file" };
                Err(self.fault(span(key), Fault::LogNamesClash { name }))
            }
            None => Ok(()),
        }
    }

    fn http(&self, root: &DeTable<'t>) -> Found<HttpConfig> {
        let http = self.settings(root, &keys::names(&keys::HTTP))?;
        let hosts = self.table(root, "http")?.and_then(|(table, _)| table.get("hosts"));
        let Some(value) = hosts else { return Ok(http) };
        let wanted = "a list of names, such as [\"alford.example\"]";
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong_type("hosts", value, wanted))?;
        let host = |host| Ok(self.string("hosts", host, wanted)?.value);
        Ok(HttpConfig { hosts: list.iter().map(host).collect::<Found<_>>()?, ..http })
    }

    /// The settings of a table that may hold these other keys, too.
    fn settings<T: TomlTable>(&self, root: &DeTable<'t>, others: &[&'static str]) -> Found<T> {
        let mut into = T::default();
        let Some((table, _)) = self.table(root, T::NAME)? else { return Ok(into) };
        self.no_other_keys(table, T::TITLE, &[&setting_names::<T>(), others].concat())?;
        for setting in T::SETTINGS {
            if let Some(value) = table.get(setting.key) {
                setting.set(&mut into, value.get_ref()).map_err(|fault| self.fault(value.span(), fault))?;
            }
        }
        Ok(into)
    }

    fn nodes(&self, root: &DeTable<'t>) -> Found<Vec<StatedNode>> {
        let Some(value) = root.get("node") else { return Ok(Vec::new()) };
        let wanted = "[[node]], in two brackets, above each node";
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong_type("node", value, wanted))?;
        list.iter()
            .map(|node| match node.get_ref().as_table() {
                Some(table) => self.node(table, node.span()),
                None => Err(self.wrong_type("node", node, wanted)),
            })
            .collect()
    }

    fn node(&self, table: &DeTable<'t>, span: Range<usize>) -> Found<StatedNode> {
        self.no_other_keys(table, "[[node]]", &keys::names(&keys::NODE))?;
        let missing = |key, example| {
            self.fault(span.clone(), Fault::MissingKey { table: "this [[node]]", key, example })
        };
        let id = table.get("id").ok_or_else(|| missing("id", "id = \"Alford\""))?;
        let listen = table.get("listen").ok_or_else(|| missing("listen", "listen = \"127.0.0.1:11600\""))?;
        let id = self.node_id(id)?;
        let plain = self.plain(table, &id.value)?;
        let for_own = ["http", "plain_listen"].into_iter().find_map(|key| Some((key, table.get(key)?)));
        if let (Some(_), Some((key, value))) = (&plain, for_own) {
            return Err(self.fault(value.span(), Fault::NotForPlain { id: id.value.to_string(), key }));
        }
        Ok(StatedNode {
            id,
            plain,
            plain_listen: table
                .get("plain_listen")
                .map(|value| self.address("plain_listen", value))
                .transpose()?,
            listen: self.address("listen", listen)?,
            address: table.get("address").map(|value| self.address("address", value)).transpose()?,
            http: table.get("http").map(|value| self.address("http", value)).transpose()?,
            links: table.get("links").map_or(Ok(Vec::new()), |value| self.links(value))?,
        })
    }

    /// How to speak to a third-party node; `None` for one of this program's own.
    fn plain(&self, table: &DeTable<'t>, id: &NodeId) -> Found<Option<PlainForm>> {
        let dialect =
            table.get("dialect").map(|value| self.string("dialect", value, "\"plain\"")).transpose()?;
        let is_plain = match dialect {
            None => false,
            Some(At { value, .. }) if value == plain::OWN_DIALECT => false,
            Some(At { value, .. }) if value == plain::DIALECT => true,
            Some(At { line, value: text }) => return Err(At { line, value: Fault::UnknownDialect { text } }),
        };
        let mut form = PlainForm::default();
        for key in plain::KEYS {
            let Some(value) = table.get(key.name) else { continue };
            if !is_plain {
                let fault = Fault::ForPlain { id: id.to_string(), key: key.name };
                return Err(self.fault(value.span(), fault));
            }
            let read = match value.get_ref() {
                DeValue::String(text) => plain::FormValue::Text(text),
                DeValue::Integer(number) => plain::FormValue::Number(number.as_str()),
                DeValue::Boolean(flag) => plain::FormValue::Flag(*flag),
                _ => plain::FormValue::Other,
            };
            if (key.set)(&mut form, read).is_none() {
                return Err(match read {
                    plain::FormValue::Text(text) => {
                        let (text, wanted) = (text.to_owned(), key.wanted);
                        self.fault(value.span(), Fault::PlainValue { key: key.name, text, wanted })
                    }
                    _ => self.wrong_type(key.name, value, key.wanted),
                });
            }
        }
        Ok(is_plain.then_some(form))
    }

    fn node_id(&self, value: &Value<'t>) -> Found<At<NodeId>> {
        let At { line, value: id } = self.string("id", value, "a name in quotes")?;
        // It names a log file, and an argument that must be neither a flag nor HOST:PORT.
        let usable = !id.contains(['/', ':']) && !id.starts_with(['.', '-']);
        match NodeId::new(&id).filter(|_| usable) {
            Some(id) => Ok(At { line, value: id }),
            None => Err(At { line, value: Fault::NodeId { id } }),
        }
    }

    fn address(&self, key: &str, value: &Value<'t>) -> Found<At<Address>> {
        let At { line, value: text } = self.string(key, value, "\"HOST:PORT\" in quotes")?;
        let dialled = key == "address";
        let address = Address::parse(&text).filter(|address| !dialled || address.port != 0);
        match address {
            Some(address) => Ok(At { line, value: address }),
            None => Err(At { line, value: Fault::BadAddress { text } }),
        }
    }

    fn links(&self, value: &Value<'t>) -> Found<Vec<At<String>>> {
        let wanted = "a list of node ids, such as [\"Alford\", \"Ball\"]";
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong_type("links", value, wanted))?;
        list.iter().map(|link| self.string("links", link, wanted)).collect()
    }
}
