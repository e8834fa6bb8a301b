//! From TOML text to a herd's parts, each with the line it stands on: shape, keys and single values are checked here, to the
//! end of the file whatever is wrong with it. What the parts mean to each other is checked in `check`.

mod node;
mod places;

use std::{collections::BTreeSet, ops::Range, path::PathBuf, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub(super) use self::node::StatedNode;
use super::{
    AccessConfig, HttpConfig, JournalConfig, Limits, LogConfig, PlacesConfig, TlsConfig,
    error::{At, Fault},
    faults::{Faults, Found, Noted},
    http::is_origin,
    keys,
    log::name_fault,
    retention::{self, NoTime},
    settings::{TomlTable, wrong_type},
};
use crate::{
    core::{access::PeerTls, model::NodeId},
    text::nearest,
};

/// The herd as its text states it.
pub(super) struct Stated {
    pub(super) name: Found<String>,
    pub(super) secret_file: Found<Option<PathBuf>>,
    /// As it is stated, if it is.
    pub(super) peer_tls: Found<Option<At<PeerTls>>>,
    pub(super) forget_after: Found<Option<Duration>>,
    pub(super) access: Found<At<AccessConfig>>,
    pub(super) log: Found<LogConfig>,
    pub(super) journal: Found<JournalConfig>,
    pub(super) http: Found<HttpConfig>,
    pub(super) tls: Found<TlsConfig>,
    pub(super) limits: Found<Limits>,
    pub(super) places: Found<PlacesConfig>,
    pub(super) nodes: Vec<StatedNode>,
    /// Whether these are all the nodes that the text is about.
    pub(super) has_all_nodes: Found<()>,
}

/// What the table `[herd]` states.
struct StatedHerd {
    name: Found<String>,
    secret_file: Found<Option<PathBuf>>,
    peer_tls: Found<Option<At<PeerTls>>>,
    forget_after: Found<Option<Duration>>,
}

/// Reads a whole file.
pub(super) fn read(text: &str, faults: &Faults) -> Found<Stated> {
    let root = DeTable::parse(text);
    let text = Text::new(text, faults);
    let root = root.map_err(|error| {
        // The parser may explain itself on several lines.
        let message = error.message().trim().replace('\n', ", ");
        text.note(error.span().unwrap_or_default(), Fault::Syntax { message })
    })?;
    let root = root.get_ref();
    let misspelt = text.unknown_keys(root, "the file", &keys::TABLES);
    let StatedHerd { name, secret_file, peer_tls, forget_after } = text.herd(root, &misspelt);
    let access = text.access(root);
    let places = text.places(root);
    let journal = text.journal(root);
    let http = text.http(root);
    let tls = text.tls(root);
    let limits = text.limits(root);
    let (nodes, has_all_nodes) = text.nodes(root, &misspelt);
    let log = text.log(root, &nodes);
    Ok(Stated {
        name,
        secret_file,
        peer_tls,
        forget_after,
        access,
        log,
        journal,
        http,
        tls,
        limits,
        places,
        nodes,
        has_all_nodes,
    })
}

fn setting_names<T: TomlTable>() -> Vec<&'static str> {
    T::SETTINGS.iter().map(|setting| setting.key).collect()
}

type Value<'t> = Spanned<DeValue<'t>>;

/// A table, and where it begins.
type FoundTable<'v, 't> = Found<Option<(&'v DeTable<'t>, Range<usize>)>>;

/// Turns the parser's offsets into lines.
struct Text<'t> {
    line_ends: Vec<usize>,
    faults: &'t Faults,
}

/// Known keys that resemble an unknown one. Such a key does not count as missing: it is misspelt, which has been noted.
struct Misspelt(Vec<(&'static str, Noted)>);

impl Misspelt {
    fn noted(&self, key: &str) -> Option<Noted> {
        self.0.iter().find(|(meant, _)| *meant == key).map(|(_, noted)| *noted)
    }
}

/// A table of settings, with the default where a value is at fault.
struct Filled<T> {
    value: T,
    faulty: Vec<(&'static str, Noted)>,
}

impl<T> Filled<T> {
    /// Whether what these keys have can be compared.
    fn is_sound(&self, keys: &[&str]) -> Found<()> {
        let faulty = self.faulty.iter().find(|(key, _)| keys.contains(key));
        faulty.map_or(Ok(()), |(_, noted)| Err(*noted))
    }

    fn whole(self) -> Found<T> {
        self.faulty.first().map_or(Ok(self.value), |(_, noted)| Err(*noted))
    }
}

impl<'t> Text<'t> {
    fn new(text: &str, faults: &'t Faults) -> Self {
        Self { line_ends: memchr::memchr_iter(b'\n', text.as_bytes()).collect(), faults }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.line_ends.partition_point(|&end| end < span.start)
    }

    fn note(&self, span: Range<usize>, fault: Fault) -> Noted {
        self.faults.note(self.line(&span), fault)
    }

    fn unknown_keys(&self, table: &DeTable<'_>, name: &'static str, known: &[&'static str]) -> Misspelt {
        let mut misspelt = Vec::new();
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let nearest = nearest(key.get_ref(), known.iter().copied());
            let (key, span) = (key.get_ref().to_string(), key.span());
            let fault = Fault::UnknownKey { key, table: name, nearest, known: known.join(", ") };
            let noted = self.note(span, fault);
            misspelt.extend(nearest.map(|nearest| (nearest, noted)));
        }
        Misspelt(misspelt)
    }

    fn table<'v, 'd>(&self, root: &'v DeTable<'d>, key: &str) -> FoundTable<'v, 'd> {
        let Some(value) = root.get(key) else { return Ok(None) };
        match value.get_ref().as_table() {
            Some(table) => Ok(Some((table, value.span()))),
            None => Err(self.wrong_type(key, value, "a table")),
        }
    }

    fn wrong_type(&self, key: &str, value: &Value<'_>, wanted: &'static str) -> Noted {
        self.note(value.span(), wrong_type(key, value.get_ref(), wanted))
    }

    fn string(&self, key: &str, value: &Value<'_>, wanted: &'static str) -> Found<At<String>> {
        let string = value.get_ref().as_str().ok_or_else(|| self.wrong_type(key, value, wanted))?;
        Ok(At { line: self.line(&value.span()), value: string.to_owned() })
    }

    /// What the table `[herd]` says.
    fn herd(&self, root: &DeTable<'_>, misspelt: &Misspelt) -> StatedHerd {
        let missing = Fault::MissingKey { table: "[herd]", key: "name", example: "name = \"fall-2016\"" };
        let (table, span) = match self.table(root, "herd") {
            Ok(Some(found)) => found,
            Ok(None) => {
                let meant = misspelt.noted("herd");
                let name = Err(meant.unwrap_or_else(|| self.note(0..0, missing)));
                return StatedHerd {
                    name,
                    secret_file: meant.map_or(Ok(None), Err),
                    peer_tls: meant.map_or(Ok(None), Err),
                    forget_after: meant.map_or(Ok(None), Err),
                };
            }
            Err(noted) => {
                let (name, secret_file) = (Err(noted), Err(noted));
                return StatedHerd { name, secret_file, peer_tls: Err(noted), forget_after: Err(noted) };
            }
        };
        let misspelt = self.unknown_keys(table, "[herd]", &keys::names(&keys::HERD));
        let name = match table.get("name") {
            Some(value) => self.herd_name(value),
            None => Err(misspelt.noted("name").unwrap_or_else(|| self.note(span, missing))),
        };
        let secret_file = match table.get("secret_file") {
            Some(value) => self.secret_file(value).map(Some),
            None => misspelt.noted("secret_file").map_or(Ok(None), Err),
        };
        let peer_tls = match table.get("peer_tls") {
            Some(value) => self.peer_tls(value).map(Some),
            None => misspelt.noted("peer_tls").map_or(Ok(None), Err),
        };
        let forget_after = match table.get("forget_after") {
            Some(value) => self.forget_after(value),
            None => misspelt.noted("forget_after").map_or(Ok(None), Err),
        };
        StatedHerd { name, secret_file, peer_tls, forget_after }
    }

    fn peer_tls(&self, value: &Value<'_>) -> Found<At<PeerTls>> {
        const WORDS: [&str; 4] =
            [PeerTls::ALL[0].word(), PeerTls::ALL[1].word(), PeerTls::ALL[2].word(), PeerTls::ALL[3].word()];
        let At { line, value: word } = self.string("peer_tls", value, "a word in quotes")?;
        match PeerTls::ALL.into_iter().find(|mode| mode.word() == word) {
            Some(mode) => Ok(At { line, value: mode }),
            None => {
                let nearest = nearest(&word, WORDS.into_iter());
                let fault = Fault::NoSuchWord { key: "peer_tls", word, nearest, among: &WORDS };
                Err(self.faults.note(line, fault))
            }
        }
    }

    fn forget_after(&self, value: &Value<'_>) -> Found<Option<Duration>> {
        let At { line, value: text } = self.string("forget_after", value, retention::WANTED)?;
        retention::parse(&text).map_err(|why| {
            let fault = match why {
                NoTime::Form => Fault::NoForgetTime { text, wanted: retention::WANTED },
                NoTime::Range => Fault::ForgetTimeRange { text },
            };
            self.faults.note(line, fault)
        })
    }

    fn herd_name(&self, value: &Value<'_>) -> Found<String> {
        let At { line, value: name } = self.string("name", value, "a name in quotes")?;
        // A herd's name stands in peers' lines, so it obeys the rule of a node's.
        match NodeId::is_valid(name.as_bytes()) {
            true => Ok(name),
            false => Err(self.faults.note(line, Fault::HerdName { name })),
        }
    }

    fn secret_file(&self, value: &Value<'_>) -> Found<PathBuf> {
        let At { line, value: path } = self.string("secret_file", value, "a path in quotes")?;
        if path.is_empty() { Err(self.faults.note(line, Fault::NoSecretFile)) } else { Ok(path.into()) }
    }

    fn limits(&self, root: &DeTable<'_>) -> Found<Limits> {
        let Some((table, _)) = self.table(root, Limits::NAME)? else { return Ok(Limits::default()) };
        let limits: Filled<Limits> = self.settings(table, &[]);
        let bounds = ["backoff_ms_min", "backoff_ms_max"];
        limits.is_sound(&bounds).and_then(|()| {
            if limits.value.backoff_min <= limits.value.backoff_max {
                return Ok(());
            }
            let given = bounds.into_iter().find_map(|key| table.get(key)).map(Spanned::span);
            Err(self.note(given.unwrap_or_default(), Fault::BackoffReversed))
        })?;
        limits.whole()
    }

    fn log(&self, root: &DeTable<'_>, nodes: &[StatedNode]) -> Found<LogConfig> {
        let found = self.table(root, LogConfig::NAME)?;
        let log = found.as_ref().map(|(table, _)| self.settings(table, &[]));
        let log = log.unwrap_or_else(|| Filled { value: LogConfig::default(), faulty: Vec::new() });
        let table = found.map(|(table, _)| table);
        let span = |key| table.and_then(|table| table.get(key)).map(Spanned::span).unwrap_or_default();
        let mut are_names_sound = log.is_sound(&["file", "events_file", "audit_file"]);
        for (key, name) in [
            ("file", Some(&log.value.file)),
            ("events_file", log.value.events_file.as_ref()),
            ("audit_file", Some(&log.value.audit_file)),
        ] {
            if let Some((name, why)) = name.and_then(|name| Some((name.clone(), name_fault(name)?))) {
                are_names_sound = Err(self.note(span(key), Fault::LogName { key, name, why }));
            }
        }
        are_names_sound?;
        // Each id once: that two nodes have one is told elsewhere.
        let own = nodes.iter().filter(|node| matches!(node.plain, Ok(None)));
        let ids: BTreeSet<_> = own.filter_map(|node| Some(node.id.as_ref().ok()?.value.as_str())).collect();
        if let Some(name) = log.value.name_clash(ids.into_iter()) {
            let stated = |key: &&str| table.is_some_and(|table| table.contains_key(*key));
            let key = ["audit_file", "events_file"].into_iter().find(stated).unwrap_or("file");
            return Err(self.note(span(key), Fault::LogNamesClash { name }));
        }
        log.whole()
    }

    /// With the line of its `clients`.
    fn access(&self, root: &DeTable<'_>) -> Found<At<AccessConfig>> {
        let Some((table, _)) = self.table(root, AccessConfig::NAME)? else {
            return Ok(At { line: 1, value: AccessConfig::default() });
        };
        let access = self.settings(table, &[]).whole();
        let line = table.get("clients").map_or(1, |value| self.line(&value.span()));
        access.map(|value| At { line, value })
    }

    fn journal(&self, root: &DeTable<'_>) -> Found<JournalConfig> {
        let table = self.table(root, JournalConfig::NAME)?;
        table.map_or_else(|| Ok(JournalConfig::default()), |(table, _)| self.settings(table, &[]).whole())
    }

    fn http(&self, root: &DeTable<'_>) -> Found<HttpConfig> {
        let Some((table, _)) = self.table(root, HttpConfig::NAME)? else { return Ok(HttpConfig::default()) };
        let http = self.settings(table, &keys::names(&keys::HTTP)).whole();
        let list = |key: &str, wanted| {
            table.get(key).map_or(Ok(Vec::new()), |value| {
                let (strings, are_all) = self.strings(key, value, wanted);
                are_all.map(|()| strings)
            })
        };
        let hosts = list("hosts", "a list of names, such as [\"alford.example\"]");
        let origins =
            list("origins", "a list of origins, such as [\"https://map.example\"]").and_then(|origins| {
                let wrong = origins.iter().filter(|origin| !is_origin(&origin.value));
                let note = |At { line, value }: &At<String>| {
                    self.faults.note(*line, Fault::BadOrigin { text: value.clone() })
                };
                wrong.map(note).last().map_or(Ok(()), Err).map(|()| origins)
            });
        let values = |strings: Vec<At<String>>| strings.into_iter().map(|string| string.value).collect();
        Ok(HttpConfig { hosts: values(hosts?), origins: values(origins?), ..http? })
    }

    fn tls(&self, root: &DeTable<'_>) -> Found<TlsConfig> {
        let Some((table, span)) = self.table(root, TlsConfig::NAME)? else { return Ok(TlsConfig::default()) };
        let tls = self.settings::<TlsConfig>(table, &[]).whole()?;
        let missing = match (&tls.certificate_file, &tls.key_file) {
            (Some(_), None) => "key_file",
            (None, Some(_)) => "certificate_file",
            _ => return Ok(tls),
        };
        Err(self.note(span, Fault::HalfCertificate { missing }))
    }

    /// The strings of a list, and whether they are all that the list has.
    fn strings(&self, key: &str, list: &Value<'_>, wanted: &'static str) -> (Vec<At<String>>, Found<()>) {
        let Some(values) = list.get_ref().as_array() else {
            return (Vec::new(), Err(self.wrong_type(key, list, wanted)));
        };
        let mut are_all = Ok(());
        let mut strings = Vec::new();
        for value in values {
            match self.string(key, value, wanted) {
                Ok(string) => strings.push(string),
                Err(noted) => are_all = Err(noted),
            }
        }
        (strings, are_all)
    }

    /// The settings of a table that may hold these other keys, too.
    fn settings<T: TomlTable>(&self, table: &DeTable<'_>, others: &[&'static str]) -> Filled<T> {
        let Misspelt(faulty) = self.unknown_keys(table, T::TITLE, &[&setting_names::<T>(), others].concat());
        let mut filled = self.fill(table);
        filled.faulty.extend(faulty);
        filled
    }

    fn fill<T: TomlTable>(&self, table: &DeTable<'_>) -> Filled<T> {
        let mut filled = Filled { value: T::default(), faulty: Vec::new() };
        for setting in T::SETTINGS {
            if let Some(value) = table.get(setting.key)
                && let Err(fault) = setting.set(&mut filled.value, value.get_ref())
            {
                filled.faulty.push((setting.key, self.note(value.span(), fault)));
            }
        }
        filled
    }
}
