//! What can be wrong with a configuration. Each fault says what it is and, after the semicolon, the cure; with the
//! file and the line in front it is the one line a user sees of it. Nothing here reads or decides.

use std::io;

use crate::{core::access::PeerTls, text::did_you_mean};

/// A value and the line it stands on, counted from 1.
#[derive(Clone, PartialEq, Debug)]
pub struct At<T> {
    /// The line.
    pub line: usize,
    /// The value.
    pub value: T,
}

/// Why there is no [`Herd`](super::Herd); displays as [`ConfigError::lines`], which has one for each fault.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error(
        "{file}: cannot be read: {error}; give another with --config or HERD_CONFIG, or none for the built-in herd"
    )]
    Unreadable {
        /// The path as the user gave it.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// The text is not a herd.
    #[error("{}", invalid_lines(.file, .faults, *.dropped).join("\n"))]
    Invalid {
        /// The path as the user gave it.
        file: String,
        /// What is wrong, in the order of the lines.
        faults: Vec<At<Fault>>,
        /// How many faults of later lines are left out.
        dropped: usize,
    },
}

impl ConfigError {
    /// A line for each fault: where it is, what it is, its cure. Control characters of a file's name are not escaped.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Invalid { file, faults, dropped } => invalid_lines(file, faults, *dropped),
            other => vec![other.to_string()],
        }
    }
}

fn invalid_lines(file: &str, faults: &[At<Fault>], dropped: usize) -> Vec<String> {
    let lines = faults.iter().map(|At { line, value }| format!("{file}:{line}: {value}"));
    let rest = (dropped > 0).then(|| format!("{file}: … and {dropped} more"));
    lines.chain(rest).collect()
}

/// One thing that is wrong with a herd's text, and its cure.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each field is")]
pub enum Fault {
    #[error("this is not UTF-8; {cure}")]
    NotUtf8 { cure: &'static str },
    #[error("this is not TOML: {message}; correct it here")]
    Syntax { message: String },
    #[error("unknown key `{key}` in {table}{}; the keys known there are {known}", did_you_mean(*.nearest))]
    UnknownKey { key: String, table: &'static str, nearest: Option<&'static str>, known: String },
    #[error("{table} has no `{key}`; add one, such as {example}")]
    MissingKey { table: &'static str, key: &'static str, example: &'static str },
    #[error("`{key}` is {found}; write {wanted}")]
    WrongType { key: String, found: &'static str, wanted: &'static str },
    #[error("`{key}` = {value} is out of range; give {min} to {max}{or}")]
    OutOfRange { key: &'static str, value: String, min: f64, max: f64, or: &'static str },
    #[error("`backoff_ms_min` is above `backoff_ms_max`; make it the smaller one")]
    BackoffReversed,
    #[error("{source_name:?} is no source of places{}; the sources are {known}", did_you_mean(*.nearest))]
    UnknownPlaces { source_name: String, nearest: Option<&'static str>, known: String },
    #[error("{why}; leave it out of `then`")]
    Then { why: String },
    #[error("`{key}` is empty; write {wanted}, or leave it out")]
    EmptyText { key: &'static str, wanted: &'static str },
    #[error("`{key}` = {word:?} is none of {}{}", .among.join(", "), did_you_mean(*.nearest))]
    NoSuchWord {
        key: &'static str,
        word: String,
        nearest: Option<&'static str>,
        among: &'static [&'static str],
    },
    #[error("`{key}` = {name:?} {why}")]
    LogName { key: &'static str, name: String, why: &'static str },
    #[error(
        "{name:?} would be the name of two logs; choose other names as `file`, `events_file` and `audit_file`"
    )]
    LogNamesClash { name: String },
    #[error("`{key}` = {url:?} is no place of a service; write \"https://HOST\", without a query")]
    BaseUrl { key: &'static str, url: String },
    #[error("source {source_name:?} needs a file; name one as `{key}` in [places]")]
    NoPlacesFile { source_name: &'static str, key: &'static str },
    #[error("`forget_after` = {text:?} is no time to forget after; write {wanted}")]
    NoForgetTime { text: String, wanted: &'static str },
    #[error(
        "`forget_after` = {text:?} is out of range; give an hour (\"1h\") to 36,500 days (\"36500d\"), or \"off\""
    )]
    ForgetTimeRange { text: String },
    #[error("{name:?} cannot name a herd; use 1 to 64 visible ASCII characters")]
    HerdName { name: String },
    #[error(
        "{id:?} cannot name a node; use 1 to 64 visible ASCII characters, none of them / or :, the first not . or -"
    )]
    NodeId { id: String },
    #[error("there are no nodes; add a [[node]] with id and listen")]
    NoNodes,
    #[error("a second node is called {id}, as on line {first_line}; give each its own id")]
    DuplicateId { id: String, first_line: usize },
    #[error(
        "{text:?} is no origin; write \"https://HOST\" or \"https://HOST:PORT\", without a path, or \"*\" for all"
    )]
    BadOrigin { text: String },
    #[error("{text:?} is no address; write \"HOST:PORT\", such as \"127.0.0.1:11600\"")]
    BadAddress { text: String },
    #[error(
        "{address} is beyond loopback, where a herd without a secret is open to all; make one with `herd secret FILE` and name it as secret_file in [herd], or use 127.0.0.1, [::1] or localhost"
    )]
    BeyondLoopback { address: String },
    #[error(
        "{address} is beyond loopback, and nothing says who clients are; write in [access] either clients = \"tokens\", with a tokens_file that `herd token add` makes, or clients = \"open\", for anyone who can connect"
    )]
    ClientsUnsaid { address: String },
    #[error(
        "`clients` = \"tokens\" needs a file of tokens; name one as `tokens_file` in [access], and `herd token add` makes it"
    )]
    NoTokensFile,
    #[error(
        "{id} is to be dialled at {address}, which leads nowhere from another machine; give its `address` there"
    )]
    Everywhere { id: String, address: String },
    #[error("`secret_file` is empty; give the path of the file that `herd secret FILE` makes")]
    NoSecretFile,
    #[error(
        "`peer_tls` = \"{mode}\" needs a secret, which proves who speaks TLS; make one with `herd secret FILE` and name it as secret_file, or write \"off\""
    )]
    TlsWithoutSecret { mode: PeerTls },
    #[error(
        "{id} serves TLS at its `{key}` address and has no certificate to show; name one, and its key, as certificate_file and key_file in [tls]; `herd cert` can make them"
    )]
    NoCertificate { id: String, key: &'static str },
    #[error("[tls] has no `{missing}`; a certificate and its key are in two files, so give both")]
    HalfCertificate { missing: &'static str },
    #[error("{text:?} is no dialect; write \"plain\" for a third-party node, or nothing")]
    UnknownDialect { text: String },
    #[error("`{key}` = {text:?} is not how a third-party node is spoken to; write {wanted}")]
    PlainValue { key: &'static str, text: String, wanted: &'static str },
    #[error("`{key}` says how to speak to a node of dialect \"plain\", which {id} is not; remove it")]
    ForPlain { id: String, key: &'static str },
    #[error("`{key}` is for this program's own nodes, and {id} is of dialect \"plain\"; remove it")]
    NotForPlain { id: String, key: &'static str },
    #[error(
        "{id} has the third-party neighbour {peer} and nowhere to hear it; add plain_listen = \"HOST:PORT\""
    )]
    NoPlainListen { id: String, peer: String },
    #[error("{id} has no third-party neighbour to hear at its plain_listen; remove it, or link one")]
    NeedlessPlainListen { id: String },
    #[error("{id} has links and port 0, which nobody can dial; give a port from 1 to 65535")]
    PortZero { id: String },
    #[error("{id} has {address}, which {other} has on line {first_line}; give each node its own port")]
    DuplicateAddress { id: String, address: String, other: String, first_line: usize },
    #[error("{id} is linked to itself; remove that link")]
    SelfLink { id: String },
    #[error("{id} is linked to {peer:?}, which is no node here{}; the nodes are {nodes}", did_you_mean(.nearest.as_deref()))]
    UnknownLink { id: String, peer: String, nearest: Option<String>, nodes: String },
    #[error("{reached} cannot reach {cut_off}; add a link")]
    Split { reached: String, cut_off: String },
}
