//! A herd's configuration: TOML in, a validated [`Herd`] out, read once at start.
//! Whoever holds a `Herd` need not check it again; nothing below this module sees TOML, a file or a key.

mod access;
mod address;
mod base_port;
mod check;
mod error;
mod faults;
mod http;
mod journal;
mod keys;
mod limits;
mod log;
mod places;
mod plain;
mod read;
mod retention;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use access::AccessConfig;
pub use address::Address;
pub use base_port::BasePortError;
pub use error::{At, ConfigError, Fault};
pub use http::HttpConfig;
pub use journal::JournalConfig;
pub use limits::{Limits, QuotaSetting};
pub use log::LogConfig;
pub use places::{PlacesConfig, PlacesSource, UpstreamLimits};
pub use tls::{CertificateFiles, TlsConfig};

use self::faults::Faults;
use crate::{
    core::{access::PeerTls, model::NodeId, wire::PlainForm},
    regular_file::read_within,
    text::{is_deceptive, is_utf16, utf8_cure},
};

/// A whole herd: at least one node, ids and addresses all different, every link at both ends, all in one piece.
#[derive(Clone, PartialEq, Debug)]
pub struct Herd {
    /// Only nodes of one herd link up.
    pub name: String,
    /// The file with the herd's secret; from [`Herd::load`] it is whole, wherever the configuration is. Not read here.
    /// `None` only where every address is a loopback one.
    pub secret_file: Option<PathBuf>,
    /// Whether peers speak TLS with each other; only with a secret.
    pub peer_tls: PeerTls,
    /// How long after its server took it a location is forgotten; `None` for never.
    pub forget_after: Option<Duration>,
    /// The table `[access]`.
    pub access: AccessConfig,
    /// The table `[log]`.
    pub log: LogConfig,
    /// The table `[journal]`.
    pub journal: JournalConfig,
    /// The table `[http]`.
    pub http: HttpConfig,
    /// The table `[tls]`.
    pub tls: TlsConfig,
    /// The table `[limits]`.
    pub limits: Limits,
    /// The table `[places]`.
    pub places: PlacesConfig,
    /// In the file's order; never empty.
    pub nodes: Vec<Node>,
}

/// One server of a herd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its name in AT lines, and of its log file.
    pub id: NodeId,
    /// What it binds; port 0 only if nobody links to it.
    pub listen: Address,
    /// What others dial; `listen` unless configured.
    pub address: Address,
    /// Where it takes clients that speak TLS; none without.
    pub tls_listen: Option<Address>,
    /// Where its web face listens; none without.
    pub http: Option<Address>,
    /// How to speak to it, where it is a third-party node.
    pub plain: Option<PlainForm>,
    /// Where third-party nodes tell it their news; there where it has such neighbours.
    pub plain_listen: Option<Address>,
    /// Its neighbours, sorted, each once; every one of them has this node in its own.
    pub links: Vec<NodeId>,
}

/// A thousand times what a herd of a hundred nodes takes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    read_within(File::open(path)?, FILE_BYTES_MAX)?.ok_or_else(too_long)
}

/// Whether the path leads to what a process has open, such as `/dev/stdin` or a shell's `<(…)`, or to a pipe: it lies in no
/// folder, may be read only once, and another process finds something else there.
pub fn is_open_file(path: &Path) -> bool {
    let is_descriptor = ["/dev/stdin", "/dev/fd", "/proc"].iter().any(|place| path.starts_with(place));
    is_descriptor || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Text as TOML has it, on one line; what would deceive whoever reads it on a terminal is escaped.
fn quoted(text: &str) -> String {
    if !text.contains(is_deceptive) {
        return toml::Value::from(text).to_string();
    }
    let mut out = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            _ if is_deceptive(letter) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\U{:08X}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

impl Herd {
    /// Where [`Herd::embedded`] comes from, for messages.
    pub const EMBEDDED_FILE: &str = "config/herd.toml";

    /// Reads TOML; `file` stands in front of each fault.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let faults = Faults::default();
        let herd = read::read(text, &faults).and_then(|stated| check::check(stated, &faults));
        faults.conclude(herd, file)
    }

    /// Reads a file. The paths in it begin at its folder, or at the current one where it lies in none.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let bytes = match read_bytes(path) {
            Ok(bytes) => bytes,
            Err(error) => return Err(ConfigError::Unreadable { file, error }),
        };
        // UTF-16 without a mark is valid UTF-8, of which every other letter is a NUL.
        let first_bad = match std::str::from_utf8(&bytes) {
            Ok(text) if !is_utf16(&bytes) => {
                return Self::parse(text, &file).map(|herd| herd.with_files_beside(path));
            }
            Ok(_) => 0,
            Err(error) => error.valid_up_to(),
        };
        let line = 1 + memchr::memchr_iter(b'\n', &bytes[..first_bad]).count();
        let faults = vec![At { line, value: Fault::NotUtf8 { cure: utf8_cure(&bytes) } }];
        Err(ConfigError::Invalid { file, faults, dropped: 0 })
    }

    fn with_files_beside(mut self, path: &Path) -> Self {
        let no_folder = Path::new("");
        let folder = if is_open_file(path) { no_folder } else { path.parent().unwrap_or(no_folder) };
        let own = self.secret_file.iter_mut().chain(self.places.files_mut()).chain(self.tls.paths_mut());
        // So that the effective configuration means the same wherever it is put.
        for file in own.chain(&mut self.access.tokens_file).chain(&mut self.journal.dir) {
            let beside = folder.join(&*file);
            *file = std::path::absolute(&beside).unwrap_or(beside);
        }
        self
    }

    /// The herd of the fall of 2016, which is built in.
    pub fn embedded() -> Self {
        let herd = Self::parse(include_str!("../../config/herd.toml"), Self::EMBEDDED_FILE);
        // A test parses this very text.
        herd.unwrap_or_else(|fault| unreachable!("{fault}"))
    }

    /// The node called `id`.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id.as_str() == id)
    }

    /// What of it this program runs: without third-party nodes, and the links to them.
    pub fn own(&self) -> Self {
        let mut own = self.clone();
        own.nodes.retain(|node| node.plain.is_none());
        for node in &mut own.nodes {
            node.links.retain(|peer| self.node(peer.as_str()).is_some_and(|peer| peer.plain.is_none()));
        }
        own
    }

    /// The pieces that this program's nodes fall into where third-party nodes do not join them; each in the file's order.
    pub fn pieces(&self) -> Vec<Vec<&NodeId>> {
        let is_own = |id: &&NodeId| self.node(id.as_str()).is_some_and(|node| node.plain.is_none());
        let own = || self.nodes.iter().filter(|node| node.plain.is_none());
        let mut pieces: Vec<BTreeSet<&NodeId>> = Vec::new();
        for node in own() {
            if pieces.iter().any(|piece| piece.contains(&node.id)) {
                continue;
            }
            let (mut piece, mut open) = (BTreeSet::from([&node.id]), vec![node]);
            while let Some(node) = open.pop() {
                let new: Vec<_> = node.links.iter().filter(is_own).filter(|id| piece.insert(id)).collect();
                open.extend(new.into_iter().filter_map(|id| self.node(id.as_str())));
            }
            pieces.push(piece);
        }
        let in_order =
            |piece: &BTreeSet<_>| own().map(|node| &node.id).filter(|id| piece.contains(id)).collect();
        pieces.iter().map(in_order).collect()
    }

    /// The third-party nodes.
    pub fn plain_nodes(&self) -> Vec<&NodeId> {
        self.nodes.iter().filter(|node| node.plain.is_some()).map(|node| &node.id).collect()
    }

    /// All of the configuration, defaults too, as TOML that parses back to an equal herd.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = write!(out, "[herd]\nname = {}\n", quoted(&self.name));
        if let Some(file) = &self.secret_file {
            let _ = writeln!(out, "secret_file = {}", quoted(&file.to_string_lossy()));
        }
        let _ = writeln!(out, "peer_tls = \"{}\"", self.peer_tls);
        if let Some(time) = self.forget_after {
            let _ = writeln!(out, "forget_after = {}", quoted(&retention::text(time)));
        }
        out.push_str("\n[access]\n");
        settings::write(self.access.clone(), &mut out);
        out.push_str(&self.places.to_toml());
        out.push_str("\n[log]\n");
        settings::write(self.log.clone(), &mut out);
        out.push_str("\n[journal]\n");
        settings::write(self.journal.clone(), &mut out);
        out.push_str("\n[limits]\n");
        settings::write(self.limits.clone(), &mut out);
        out.push_str("\n[http]\n");
        settings::write(self.http.clone(), &mut out);
        for (key, list) in [("hosts", &self.http.hosts), ("origins", &self.http.origins)] {
            let values: Vec<_> = list.iter().map(|value| quoted(value)).collect();
            let _ = writeln!(out, "{key} = [{}]", values.join(", "));
        }
        out.push_str("\n[tls]\n");
        settings::write(self.tls.clone(), &mut out);
        for Node { id, listen, address, tls_listen, http, plain, plain_listen, links } in &self.nodes {
            let _ = write!(out, "\n[[node]]\nid = {}\nlisten = \"{listen}\"\n", quoted(id.as_str()));
            if address != listen {
                let _ = writeln!(out, "address = \"{address}\"");
            }
            if let Some(tls_listen) = tls_listen {
                let _ = writeln!(out, "tls_listen = \"{tls_listen}\"");
            }
            if let Some(http) = http {
                let _ = writeln!(out, "http = \"{http}\"");
            }
            if let Some(form) = plain {
                out.push_str(&plain::to_toml(form));
            }
            if let Some(plain_listen) = plain_listen {
                let _ = writeln!(out, "plain_listen = \"{plain_listen}\"");
            }
            let links: Vec<_> = links.iter().map(|link| quoted(link.as_str())).collect();
            let _ = writeln!(out, "links = [{}]", links.join(", "));
        }
        out
    }
}
