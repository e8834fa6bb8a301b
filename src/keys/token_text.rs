//! The text of a tokens file: TOML in, the list out, and back. A fault names its line and never shows what stands there,
//! which may be a token that somebody has put in the wrong place.

use std::{fmt::Write, ops::Range};

use chrono::{DateTime, SecondsFormat, Utc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::core::{
    access::{
        PATTERNS_MAX, Pattern, PatternFault, Patterns, TokenEntry, TokenGroup, TokenHash, TokenList,
        TokenRole, TokensFault,
    },
    model::Timestamp,
};

/// What a tokens file begins with.
const ABOUT: &str = "\
# The tokens of clients, viewers, monitors and operators of a herd of proxyherd nodes: whose, for what, until when, and the
# SHA-256 of each. The tokens themselves are nowhere but with their holders. Nodes take this file anew when it changes.
# herd token add, revoke and rotate write all of it again; comments are lost then. Groups are written by hand.
";

/// The keys of `[[token]]`, and of `[[group]]`.
const TOKEN_KEYS: [&str; 7] = ["name", "sha256", "role", "may_report", "may_see", "groups", "expires"];
const GROUP_KEYS: [&str; 3] = ["name", "may_report", "may_see"];

/// What is wrong with a text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum TokenTextFault {
    #[error("line {line} is not TOML; correct it there")]
    Syntax { line: usize },
    #[error("line {line} has a key that is not known there; the keys are {known}")]
    UnknownKey { line: usize, known: String },
    #[error(
        "line {line}: this [[{table}]] has no `{key}`; add it, or add the token again with herd token add"
    )]
    Missing { line: usize, table: &'static str, key: &'static str },
    #[error("line {line}: `{key}` is not {wanted}; correct it there")]
    Value { line: usize, key: &'static str, wanted: &'static str },
    #[error("line {line}: a pattern of `{key}` {fault}")]
    Pattern { line: usize, key: &'static str, fault: PatternFault },
    #[error(
        "line {line}: `{key}` has more than {PATTERNS_MAX} entries; leave some out, or write a beginning and *"
    )]
    TooMany { line: usize, key: &'static str },
    #[error(transparent)]
    Rule(#[from] TokensFault),
}

type TomlValue<'t> = Spanned<DeValue<'t>>;

/// Turns the parser's offsets into lines.
struct LineTable(Vec<usize>);

impl LineTable {
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.0.partition_point(|&end| end < span.start)
    }

    /// The tables of that name, and the line of each.
    fn tables<'v, 't>(
        &self,
        root: &'v DeTable<'t>,
        name: &'static str,
        keys: &[&'static str],
    ) -> Result<Vec<(&'v DeTable<'t>, usize)>, TokenTextFault> {
        let Some(list) = root.get(name) else { return Ok(Vec::new()) };
        let wrong = |span: &Range<usize>| TokenTextFault::Value {
            line: self.line(span),
            key: name,
            wanted: "in two brackets, as in [[token]] and [[group]]",
        };
        let values = list.get_ref().as_array().ok_or_else(|| wrong(&list.span()))?;
        let table = |value: &'v TomlValue<'t>| {
            let table = value.get_ref().as_table().ok_or_else(|| wrong(&value.span()))?;
            self.only(table, keys)?;
            Ok((table, self.line(&value.span())))
        };
        values.iter().map(table).collect()
    }

    fn only(&self, table: &DeTable<'_>, keys: &[&str]) -> Result<(), TokenTextFault> {
        let mut unknown = table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref()));
        match unknown.next() {
            Some(key) => {
                Err(TokenTextFault::UnknownKey { line: self.line(&key.span()), known: keys.join(", ") })
            }
            None => Ok(()),
        }
    }

    /// The text of a key that must be there.
    fn text<'v>(
        &self,
        (table, line): (&'v DeTable<'_>, usize),
        (name, key): (&'static str, &'static str),
    ) -> Result<(&'v str, usize), TokenTextFault> {
        let value = table.get(key).ok_or(TokenTextFault::Missing { line, table: name, key })?;
        let line = self.line(&value.span());
        let text = value.get_ref().as_str();
        Ok((text.ok_or(TokenTextFault::Value { line, key, wanted: "a text in quotes" })?, line))
    }

    /// The texts of a list, which may be missing, each with its line.
    fn texts<'v>(
        &self,
        table: &'v DeTable<'_>,
        key: &'static str,
    ) -> Result<Vec<(&'v str, usize)>, TokenTextFault> {
        let Some(list) = table.get(key) else { return Ok(Vec::new()) };
        let line = self.line(&list.span());
        let wrong = TokenTextFault::Value { line, key, wanted: "a list of texts in quotes" };
        let values = list.get_ref().as_array().ok_or_else(|| wrong.clone())?;
        if values.len() > PATTERNS_MAX {
            return Err(TokenTextFault::TooMany { line, key });
        }
        let text = |value: &'v TomlValue<'_>| {
            let text = value.get_ref().as_str().ok_or_else(|| wrong.clone())?;
            Ok((text, self.line(&value.span())))
        };
        values.iter().map(text).collect()
    }

    fn patterns(&self, table: &DeTable<'_>, key: &'static str) -> Result<Patterns, TokenTextFault> {
        let pattern =
            |(text, line)| Pattern::parse(text).map_err(|fault| TokenTextFault::Pattern { line, key, fault });
        self.texts(table, key)?.into_iter().map(pattern).collect::<Result<_, _>>().map(Patterns::new)
    }

    fn token(&self, found: (&DeTable<'_>, usize)) -> Result<TokenEntry, TokenTextFault> {
        let (table, _) = found;
        let (name, _) = self.text(found, ("token", "name"))?;
        let (hash, at) = self.text(found, ("token", "sha256"))?;
        let wanted = "64 lower-case hexadecimal digits, the SHA-256 of a token";
        let wrong = TokenTextFault::Value { line: at, key: "sha256", wanted };
        let hash = TokenHash::parse(hash).ok_or(wrong)?;
        let (role, at) = self.text(found, ("token", "role"))?;
        let wanted = "client, viewer, monitor or operator";
        let wrong = TokenTextFault::Value { line: at, key: "role", wanted };
        let role = TokenRole::ALL.into_iter().find(|known| known.name() == role).ok_or(wrong)?;
        let groups = self.texts(table, "groups")?.into_iter().map(|(name, _)| name.to_owned()).collect();
        let expires = match table.get("expires") {
            None => None,
            Some(value) => {
                let wanted = "a time in UTC, such as 2027-01-31T00:00:00Z";
                let wrong = TokenTextFault::Value { line: self.line(&value.span()), key: "expires", wanted };
                Some(moment(value.get_ref()).ok_or(wrong)?)
            }
        };
        let (may_report, may_see) = (self.patterns(table, "may_report")?, self.patterns(table, "may_see")?);
        Ok(TokenEntry { name: name.to_owned(), hash, role, may_report, may_see, groups, expires })
    }

    fn group(&self, found: (&DeTable<'_>, usize)) -> Result<TokenGroup, TokenTextFault> {
        let name = self.text(found, ("group", "name"))?.0.to_owned();
        let (may_report, may_see) =
            (self.patterns(found.0, "may_report")?, self.patterns(found.0, "may_see")?);
        Ok(TokenGroup { name, may_report, may_see })
    }
}

/// A date with its time and its distance from UTC, to the second.
fn moment(value: &DeValue<'_>) -> Option<Timestamp> {
    let text = value.as_datetime()?.to_string();
    let moment = DateTime::parse_from_rfc3339(&text).ok()?;
    Some(Timestamp::new(u64::try_from(moment.timestamp()).ok()?, 0))
}

/// The text of a moment, as [`moment`] reads it; `None` for one that TOML cannot write.
fn moment_text(moment: Timestamp) -> Option<String> {
    let time = DateTime::<Utc>::from_timestamp(i64::try_from(moment.seconds()).ok()?, 0)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true)).filter(|text| !text.starts_with(['+', '-']))
}

/// Reads a file's text.
pub fn parse(text: &str) -> Result<TokenList, TokenTextFault> {
    let lines = LineTable(memchr::memchr_iter(b'\n', text.as_bytes()).collect());
    let root = DeTable::parse(text)
        .map_err(|error| TokenTextFault::Syntax { line: lines.line(&error.span().unwrap_or_default()) })?;
    let root = root.get_ref();
    lines.only(root, &["token", "group"])?;
    let groups = lines.tables(root, "group", &GROUP_KEYS)?;
    let tokens = lines.tables(root, "token", &TOKEN_KEYS)?;
    let list = TokenList {
        groups: groups.into_iter().map(|group| lines.group(group)).collect::<Result<_, _>>()?,
        tokens: tokens.into_iter().map(|token| lines.token(token)).collect::<Result<_, _>>()?,
    };
    list.check()?;
    Ok(list)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn listed<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}

fn write_patterns(key: &str, patterns: &Patterns, out: &mut String) {
    if !patterns.are_none() {
        let texts: Vec<_> = patterns.iter().map(Pattern::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{key} = {}", listed(texts.iter().map(String::as_str)));
    }
}

/// The whole text of a file with that list.
pub fn to_text(list: &TokenList) -> String {
    let mut out = String::from(ABOUT);
    // Writing to a string cannot fail.
    for TokenGroup { name, may_report, may_see } in &list.groups {
        let _ = write!(out, "\n[[group]]\nname = {}\n", quoted(name));
        write_patterns("may_report", may_report, &mut out);
        write_patterns("may_see", may_see, &mut out);
    }
    for TokenEntry { name, hash, role, may_report, may_see, groups, expires } in &list.tokens {
        let _ = write!(out, "\n[[token]]\nname = {}\nsha256 = \"{hash}\"\nrole = \"{role}\"\n", quoted(name));
        write_patterns("may_report", may_report, &mut out);
        write_patterns("may_see", may_see, &mut out);
        if !groups.is_empty() {
            let _ = writeln!(out, "groups = {}", listed(groups.iter().map(String::as_str)));
        }
        if let Some(expires) = expires.and_then(moment_text) {
            let _ = writeln!(out, "expires = {expires}");
        }
    }
    out
}

#[cfg(test)]
#[path = "token_text_tests.rs"]
mod tests;
