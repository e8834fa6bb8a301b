//! What a node logs, under which names, and how much of it is kept. Writing it is done elsewhere.

use std::{collections::BTreeSet, path::Path};

use super::settings::table;

/// Stand in a log's name for the node's id and the time of its start.
const NODE: &str = "{node}";
const START: &str = "{start}";

table! {
    /// The table `[log]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct LogConfig fills "log" {
        /// Logs every line of a client and every AT line, in and out.
        traffic: bool = "traffic", Flag { default: true }, "every line of clients and every AT";
        /// Logs JSON replies whole, rather than the number of their results and their length.
        bodies: bool = "bodies", Flag { default: false }, "whole JSON replies, not only their sizes";
        /// Logs when each connection begins and ends: its address, its lines and bytes, and why it ended. Of those that say nothing,
        /// a hundred a second at most.
        connections: bool = "connections", Flag { default: true }, "when each connection begins and ends, and whose it is";
        /// The log's name in the log directory; it may begin with folders. `{node}`, which it must have, stands for the node's id,
        /// `{start}` for the time of its start, such as `20261121T055846Z`.
        file: String = "file", Text { default: "{node}.log", wanted: "a file's name in quotes, such as \"{node}.log\"" }, "in the log directory";
        /// The name of another file, which has the events instead, such as `"{node}.events.log"`. An eighth of `buffer_bytes` is
        /// for it.
        events_file: Option<String> = "events_file", OptionalText { wanted: "a file's name in quotes, such as \"{node}.events.log\"" }, "has the events, apart from traffic";
        /// What may wait for the disk. Beyond it, traffic lines are dropped and counted.
        buffer_bytes: usize = "buffer_bytes", Count { default: 67_108_864, min: 65_536, max: 1_073_741_824 }, "waiting for the disk; beyond it traffic is dropped and counted";
        /// A file that has grown this large is rotated.
        file_bytes: usize = "file_bytes", Count { default: 268_435_456, min: 65_536, max: 1_099_511_627_776 }, "a larger file is rotated";
        /// Rotated files that are kept beside the current one.
        files_kept: usize = "files_kept", Count { default: 4, min: 0, max: 1_000 }, "rotated files beside the current one";
        /// The audit log's name in the log directory, like `file`: failed and forbidden acts, forgettings and changes of tokens.
        audit_file: String = "audit_file", Text { default: "{node}.audit.log", wanted: "a file's name in quotes, such as \"{node}.audit.log\"" }, "who did what only few may do";
        /// What of the audit log may wait for the disk. Beyond it, entries are dropped and counted.
        audit_buffer_bytes: usize = "audit_buffer_bytes", Count { default: 1_048_576, min: 65_536, max: 1_073_741_824 }, "of the audit log, waiting for the disk";
        /// An audit log that has grown this large is rotated.
        audit_file_bytes: usize = "audit_file_bytes", Count { default: 16_777_216, min: 65_536, max: 1_099_511_627_776 }, "a larger audit log is rotated";
        /// Rotated audit logs that are kept beside the current one.
        audit_files_kept: usize = "audit_files_kept", Count { default: 4, min: 0, max: 1_000 }, "rotated audit logs beside the current one";
    }
}

impl LogConfig {
    /// The names of that node's log, and of the one for its events, for a start at that time.
    pub fn names(&self, node: &str, start: &str) -> (String, Option<String>) {
        (filled(&self.file, node, start), self.events_file.as_ref().map(|name| filled(name, node, start)))
    }

    /// The name of that node's audit log, for a start at that time.
    pub fn audit_name(&self, node: &str, start: &str) -> String {
        filled(&self.audit_file, node, start)
    }

    /// The name of a log that is another's too, or that the other has once it is rotated.
    pub(super) fn name_clash<'n>(&self, nodes: impl Iterator<Item = &'n str>) -> Option<String> {
        let mut names = BTreeSet::new();
        for node in nodes {
            let (file, events) = self.names(node, START);
            let audit = self.audit_name(node, START);
            for name in [Some(file), events, Some(audit)].into_iter().flatten() {
                if !names.insert(name.clone()) {
                    return Some(name);
                }
            }
        }
        let is_below = |name: &&String| {
            let folders = Path::new(name.as_str()).ancestors().skip(1).filter_map(Path::to_str);
            folders.into_iter().any(|folder| names.contains(folder))
        };
        if let Some(name) = names.iter().find(is_below) {
            return Some(name.clone());
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_rotated = |name: &&String| {
            let older = name.rsplit_once('.').filter(|(_, number)| is_number(number));
            older.is_some_and(|(current, _)| names.contains(current))
        };
        names.iter().find(is_rotated).cloned()
    }
}

/// Puts the values in, in one pass, so that nothing in a value is taken for what stands for one.
fn filled(name: &str, node: &str, start: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        let (part, value) = match letter {
            '{' if rest.starts_with(NODE) => (NODE, node),
            '{' if rest.starts_with(START) => (START, start),
            _ => (&rest[..letter.len_utf8()], &rest[..letter.len_utf8()]),
        };
        out.push_str(value);
        rest = &rest[part.len()..];
    }
    out
}

/// What is wrong with a log's name, and the cure.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    if !name.contains(NODE) {
        Some("would be the log of every node; write {node} where a node's id is to stand")
    } else if name.replace(NODE, "").replace(START, "").contains(['{', '}']) {
        Some("has braces around something else than {node} and {start}; write one of these, or none")
    } else if !name.split('/').all(is_part) {
        Some(
            "is no path within the log directory; begin with a name, and choose the directory with --log-dir",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Herd;

    fn config(file: &str, events_file: Option<&str>) -> LogConfig {
        LogConfig {
            file: file.to_owned(),
            events_file: events_file.map(str::to_owned),
            ..LogConfig::default()
        }
    }

    #[test]
    fn names_have_the_node_and_its_start_wherever_these_are_asked_for() {
        let names = |file, events| config(file, events).names("Alford", "20261121T055846Z");
        assert_eq!(LogConfig::default().names("Alford", "now"), ("Alford.log".to_owned(), None));
        let (file, events) = names("{node}/{start}-{node}é.log", Some("{node}/{start}.err.log"));
        assert_eq!(file, "Alford/20261121T055846Z-Alfordé.log");
        assert_eq!(events.unwrap(), "Alford/20261121T055846Z.err.log");
        assert_eq!(LogConfig::default().audit_name("Alford", "now"), "Alford.audit.log");
        // An id may have braces, too.
        assert_eq!(config("{node}.log", None).names("a{start}", "now").0, "a{start}.log");
    }

    #[test]
    fn name_must_tell_nodes_apart_and_stay_in_the_directory() {
        for name in ["{node}", "logs/{node}/{start}", "..{node}", "{start}{node}.1"] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        for (name, why) in [
            ("herd.log", "of every node"),
            ("{start}.log", "of every node"),
            ("{node}{time}.log", "braces"),
            ("{node}}", "braces"),
            ("/var/log/{node}.log", "no path within"),
            ("../{node}.log", "no path within"),
            ("./{node}.log", "no path within"),
            ("{node}/", "no path within"),
            ("a//{node}", "no path within"),
        ] {
            assert!(name_fault(name).unwrap().contains(why), "{name}: {:?}", name_fault(name));
        }
    }

    #[test]
    fn fault_of_a_name_has_its_line_and_its_cure() {
        let text = "[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:1\"\n[log]\n";
        for (line, fault) in [
            (
                "file = \"herd.log\"",
                "h.toml:7: `file` = \"herd.log\" would be the log of every node; write {node} where a node's id is to stand",
            ),
            (
                "\nevents_file = \"/{node}\"",
                "h.toml:8: `events_file` = \"/{node}\" is no path within the log directory; begin with a name, and choose the directory with --log-dir",
            ),
            (
                "\nevents_file = \"{node}.log\"",
                "h.toml:8: \"Alford.log\" would be the name of two logs; choose other names as `file`, `events_file` and `audit_file`",
            ),
            (
                "audit_file = \"audit.log\"",
                "h.toml:7: `audit_file` = \"audit.log\" would be the log of every node; write {node} where a node's id is to stand",
            ),
            (
                "audit_file = \"{node}.log\"",
                "h.toml:7: \"Alford.log\" would be the name of two logs; choose other names as `file`, `events_file` and `audit_file`",
            ),
        ] {
            let error = Herd::parse(&format!("{text}{line}\n"), "h.toml").unwrap_err();
            assert_eq!(error.to_string(), fault);
        }
    }

    #[test]
    fn no_two_logs_of_a_herd_have_one_name_and_none_has_anothers_once_that_is_rotated() {
        let clash = |file, events, nodes: &[&str]| config(file, events).name_clash(nodes.iter().copied());
        assert_eq!(clash("{node}.log", Some("{node}.events.log"), &["A", "B"]), None);
        assert_eq!(clash("{node}.log", Some("{node}.log"), &["A"]).unwrap(), "A.log");
        assert_eq!(clash("{node}.audit.log", None, &["A"]).unwrap(), "A.audit.log");
        assert_eq!(clash("{node}.log", None, &["A", "A.audit"]).unwrap(), "A.audit.log");
        assert_eq!(clash("{node}.log", Some("{node}.log.1"), &["A"]).unwrap(), "A.log.1");
        assert_eq!(clash("{node}", Some("{node}x"), &["A", "Ax"]).unwrap(), "Ax");
        assert_eq!(clash("{node}", None, &["A.2", "A"]).unwrap(), "A.2");
        assert_eq!(clash("{node}.log", None, &["A.2", "A"]), None);
    }
}
