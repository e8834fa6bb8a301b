//! Text with placeholders, such as `--listen {listen}`: a plan's commands and files.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What may stand between braces.
const KNOWN: [&str; 19] = [
    "herd",
    "herd-load",
    "bin",
    "target",
    "python",
    "id",
    "listen",
    "host",
    "port",
    "dir",
    "config",
    "upstream",
    "nodes",
    "address",
    "root",
    "tokens",
    "tls_listen",
    "certificate",
    "key",
];

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Template(String);

/// What the placeholders stand for.
pub(super) type Words = BTreeMap<&'static str, String>;

impl Template {
    /// The text with each placeholder replaced by its word; one without a word stays.
    pub(super) fn fill(&self, words: &Words) -> String {
        let mut filled = String::with_capacity(self.0.len());
        let mut rest = &*self.0;
        while let Some((before, name, after)) = cut(rest) {
            filled.push_str(before);
            match words.get(name) {
                Some(word) => filled.push_str(word),
                None => filled.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        filled + rest
    }

    /// Whether this placeholder is in it.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.contains(&format!("{{{name}}}"))
    }

    /// The first placeholder that means nothing.
    pub(super) fn unknown(&self) -> Option<String> {
        let mut rest = &*self.0;
        while let Some((_, name, after)) = cut(rest) {
            if !KNOWN.contains(&name) {
                return Some(format!("{{{name}}}"));
            }
            rest = after;
        }
        None
    }

    /// All placeholders, to help someone who wrote another.
    pub(super) fn known() -> String {
        KNOWN.map(|name| format!("{{{name}}}")).join(", ")
    }
}

/// The first placeholder, with what comes before and after it. Braces around anything but a word, as in TOML's inline
/// tables, are text.
fn cut(text: &str) -> Option<(&str, &str, &str)> {
    for (start, _) in text.match_indices('{') {
        let Some(length) = text[start..].find('}') else { break };
        let name = &text[start + 1..start + length];
        let is_word = |letter: char| letter.is_ascii_lowercase() || matches!(letter, '-' | '_');
        if !name.is_empty() && name.chars().all(is_word) {
            return Some((&text[..start], name, &text[start + length + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template(text.to_owned())
    }

    #[test]
    fn placeholders_are_replaced_wherever_they_stand() {
        let words = Words::from([("host", "127.0.0.1".to_owned()), ("port", "7".to_owned())]);
        assert_eq!(template("{host}:{port}").fill(&words), "127.0.0.1:7");
        assert_eq!(template("a {port} b{port}").fill(&words), "a 7 b7");
        assert_eq!(template("plain").fill(&words), "plain");
        assert_eq!(template("{dir}/{port}").fill(&words), "{dir}/7");
    }

    #[test]
    fn other_braces_are_text() {
        let words = Words::from([("port", "7".to_owned())]);
        let inline = template("limits = { connections = {port} }\n{}{");
        assert_eq!(inline.fill(&words), "limits = { connections = 7 }\n{}{");
        assert_eq!(inline.unknown(), None);
    }

    #[test]
    fn what_means_nothing_is_found() {
        assert_eq!(template("{port} {prot}").unknown().as_deref(), Some("{prot}"));
        assert!(template("{port}").names("port") && !template("{port}").names("host"));
    }
}
