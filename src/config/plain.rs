//! How the form of a third-party node's lines is written in a configuration, and read: each key is one row of a table.

use std::fmt::Write;

use super::quoted;
use crate::core::{
    access::{PATTERNS_MAX, Pattern, Patterns},
    wire::{Ending, PerConnection, PlainForm},
};

/// What `dialect` says of a third-party node.
pub(super) const DIALECT: &str = "plain";
/// What it says of this program's own nodes, or nothing.
pub(super) const OWN_DIALECT: &str = "herd";

/// A value as the file has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum FormValue<'t> {
    Text(&'t str),
    Number(&'t str),
    Flag(bool),
    /// All of a list that are texts, if it has nothing else.
    Texts(Vec<&'t str>),
    Other,
}

/// A key of the form.
pub(super) struct FormKey {
    pub(super) name: &'static str,
    /// What may stand there, for messages.
    pub(super) wanted: &'static str,
    /// Stores a value; `None` for one that may not stand there.
    pub(super) set: fn(&mut PlainForm, FormValue<'_>) -> Option<()>,
    /// The value, as TOML has it; `None` where the key is left out.
    value: fn(&PlainForm) -> Option<String>,
}

/// All of them.
pub(super) const KEYS: [FormKey; 8] = [
    FormKey {
        name: "at_fields",
        wanted: "6 or 7",
        set: |form, value| {
            form.has_sender = match value {
                FormValue::Number("6") => false,
                FormValue::Number("7") => true,
                _ => return None,
            };
            Some(())
        },
        value: |form| Some(if form.has_sender { "7" } else { "6" }.to_owned()),
    },
    FormKey {
        name: "at_keyword",
        wanted: "a word in quotes other than AT, of 1 to 64 visible ASCII characters",
        set: |form, value| {
            let FormValue::Text(word) = value else { return None };
            form.keyword = Some(Some(word).filter(|word| PlainForm::is_keyword(word))?.into());
            Some(())
        },
        value: |form| form.keyword.as_deref().map(quoted),
    },
    FormKey {
        name: "extra_fields",
        wanted: "true or false",
        set: |form, value| {
            let FormValue::Flag(takes_more) = value else { return None };
            form.takes_more = takes_more;
            Some(())
        },
        value: |form| Some(form.takes_more.to_string()),
    },
    FormKey {
        name: "line_end",
        wanted: "\"lf\" or \"crlf\"",
        set: |form, value| {
            form.ending = match value {
                FormValue::Text("lf") => Ending::Lf,
                FormValue::Text("crlf") => Ending::CrLf,
                _ => return None,
            };
            Some(())
        },
        value: |form| {
            Some(quoted(match form.ending {
                Ending::Lf => "lf",
                Ending::CrLf => "crlf",
            }))
        },
    },
    FormKey {
        name: "per_connection",
        wanted: "\"many\" or \"one\"",
        set: |form, value| {
            form.per_connection = match value {
                FormValue::Text("many") => PerConnection::Many,
                FormValue::Text("one") => PerConnection::One,
                _ => return None,
            };
            Some(())
        },
        value: |form| {
            Some(quoted(match form.per_connection {
                PerConnection::Many => "many",
                PerConnection::One => "one",
            }))
        },
    },
    FormKey {
        name: "answer",
        wanted: "a line in quotes, of at most 1,024 bytes",
        set: |form, value| {
            let FormValue::Text(text) = value else { return None };
            form.answer = Some(Some(text).filter(|text| PlainForm::is_answer(text))?.into());
            Some(())
        },
        value: |form| form.answer.as_deref().map(quoted),
    },
    FormKey {
        name: "may_report",
        wanted: WANTED_PATTERNS,
        set: |form, value| {
            form.may_report = patterns(&value)?;
            Some(())
        },
        value: |form| Some(listed(&form.may_report)),
    },
    FormKey {
        name: "may_see",
        wanted: WANTED_PATTERNS,
        set: |form, value| {
            form.may_see = patterns(&value)?;
            Some(())
        },
        value: |form| Some(listed(&form.may_see)),
    },
];

const WANTED_PATTERNS: &str =
    "a list of at most 256 clients' ids, or beginnings of ids and *, such as [\"bus-*\"]";

fn patterns(value: &FormValue<'_>) -> Option<Patterns> {
    let FormValue::Texts(texts) = value else { return None };
    let patterns = texts.iter().map(|text| Pattern::parse(text).ok());
    patterns.collect::<Option<Vec<_>>>().filter(|patterns| patterns.len() <= PATTERNS_MAX).map(Patterns::new)
}

fn listed(patterns: &Patterns) -> String {
    let texts: Vec<_> = patterns.iter().map(|pattern| quoted(&pattern.to_string())).collect();
    format!("[{}]", texts.join(", "))
}

/// The form's keys, one a line.
pub(super) fn to_toml(form: &PlainForm) -> String {
    let mut text = format!("dialect = \"{DIALECT}\"\n");
    for FormKey { name, value, .. } in KEYS {
        if let Some(value) = value(form) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text
}
