//! The tables `[[node]]`, each by itself.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{
    super::{
        Address,
        error::{At, Fault},
        faults::Found,
        keys, plain,
    },
    Misspelt, Text, Value,
};
use crate::core::{model::NodeId, wire::PlainForm};

/// A node as its text states it: links still at one end only and to names that may not exist.
pub(in crate::config) struct StatedNode {
    /// Where its id stands, or else where it begins.
    pub(in crate::config) line: usize,
    pub(in crate::config) id: Found<At<NodeId>>,
    pub(in crate::config) listen: Found<At<Address>>,
    pub(in crate::config) address: Found<Option<At<Address>>>,
    pub(in crate::config) tls_listen: Found<Option<At<Address>>>,
    pub(in crate::config) http: Found<Option<At<Address>>>,
    pub(in crate::config) plain: Found<Option<PlainForm>>,
    pub(in crate::config) plain_listen: Found<Option<At<Address>>>,
    pub(in crate::config) links: Vec<At<String>>,
    /// Whether these are all the links that are stated.
    pub(in crate::config) has_all_links: Found<()>,
}

impl StatedNode {
    /// What messages call it.
    pub(in crate::config) fn name(&self) -> String {
        name_of(&self.id, self.line)
    }

    /// Every address that it has.
    pub(in crate::config) fn addresses(&self) -> impl Iterator<Item = &At<Address>> {
        let others = [&self.address, &self.tls_listen, &self.http, &self.plain_listen];
        self.listen.iter().chain(others.into_iter().flatten().flatten())
    }
}

fn name_of(id: &Found<At<NodeId>>, line: usize) -> String {
    id.as_ref().map_or_else(|_| format!("the node of line {line}"), |id| id.value.to_string())
}

impl Text<'_> {
    /// The nodes, and whether they are all that the text has.
    pub(super) fn nodes(&self, root: &DeTable<'_>, misspelt: &Misspelt) -> (Vec<StatedNode>, Found<()>) {
        let Some(value) = root.get("node") else {
            return (Vec::new(), misspelt.noted("node").map_or(Ok(()), Err));
        };
        let wanted = "[[node]], in two brackets, above each node";
        let Some(list) = value.get_ref().as_array() else {
            return (Vec::new(), Err(self.wrong_type("node", value, wanted)));
        };
        let mut are_all = Ok(());
        let mut nodes = Vec::new();
        for node in list {
            match node.get_ref().as_table() {
                Some(table) => nodes.push(self.node(table, &node.span())),
                None => are_all = Err(self.wrong_type("node", node, wanted)),
            }
        }
        (nodes, are_all)
    }

    fn node(&self, table: &DeTable<'_>, span: &Range<usize>) -> StatedNode {
        let misspelt = self.unknown_keys(table, "[[node]]", &keys::names(&keys::NODE));
        let missing = |key, example| {
            let fault = Fault::MissingKey { table: "this [[node]]", key, example };
            misspelt.noted(key).unwrap_or_else(|| self.note(span.clone(), fault))
        };
        let id = table.get("id").ok_or_else(|| missing("id", "id = \"Alford\""));
        let id = id.and_then(|value| self.node_id(value));
        let listen = table.get("listen").ok_or_else(|| missing("listen", "listen = \"127.0.0.1:11600\""));
        let listen = listen.and_then(|value| self.address("listen", value));
        let optional = |key| match table.get(key) {
            Some(value) => self.address(key, value).map(Some),
            None => misspelt.noted(key).map_or(Ok(None), Err),
        };
        let line = id.as_ref().map_or_else(|_| self.line(span), |id| id.line);
        let plain = self.plain(table, &misspelt, &name_of(&id, line));
        let (links, has_all_links) = match table.get("links") {
            Some(value) => self.strings("links", value, "a list of node ids, such as [\"Alford\", \"Ball\"]"),
            None => (Vec::new(), misspelt.noted("links").map_or(Ok(()), Err)),
        };
        StatedNode {
            line,
            id,
            listen,
            address: optional("address"),
            tls_listen: optional("tls_listen"),
            http: optional("http"),
            plain,
            plain_listen: optional("plain_listen"),
            links,
            has_all_links,
        }
    }

    /// How to speak to a third-party node; `None` for one of this program's own.
    fn plain(&self, table: &DeTable<'_>, misspelt: &Misspelt, id: &str) -> Found<Option<PlainForm>> {
        let is_plain = match table.get("dialect") {
            Some(value) => self.is_plain(value),
            None => misspelt.noted("dialect").map_or(Ok(false), Err),
        };
        let (mut form, mut is_sound) = (PlainForm::default(), Ok(()));
        for key in plain::KEYS {
            let Some(value) = table.get(key.name) else { continue };
            if is_plain == Ok(false) {
                let fault = Fault::ForPlain { id: id.to_owned(), key: key.name };
                is_sound = Err(self.note(value.span(), fault));
            } else if let Err(noted) = self.form_key(&key, &mut form, value) {
                is_sound = Err(noted);
            }
        }
        for key in ["http", "tls_listen", "plain_listen"] {
            if let Some(value) = table.get(key)
                && is_plain == Ok(true)
            {
                is_sound = Err(self.note(value.span(), Fault::NotForPlain { id: id.to_owned(), key }));
            }
        }
        is_sound?;
        Ok(is_plain?.then_some(form))
    }

    fn is_plain(&self, dialect: &Value<'_>) -> Found<bool> {
        let At { line, value: text } = self.string("dialect", dialect, "\"plain\"")?;
        match text {
            text if text == plain::OWN_DIALECT => Ok(false),
            text if text == plain::DIALECT => Ok(true),
            text => Err(self.faults.note(line, Fault::UnknownDialect { text })),
        }
    }

    fn form_key(&self, key: &plain::FormKey, form: &mut PlainForm, value: &Value<'_>) -> Found<()> {
        let read = match value.get_ref() {
            DeValue::String(text) => plain::FormValue::Text(text),
            DeValue::Integer(number) => plain::FormValue::Number(number.as_str()),
            DeValue::Boolean(flag) => plain::FormValue::Flag(*flag),
            DeValue::Array(values) => {
                let texts = values.iter().map(|value| value.get_ref().as_str());
                texts.collect::<Option<_>>().map_or(plain::FormValue::Other, plain::FormValue::Texts)
            }
            _ => plain::FormValue::Other,
        };
        (key.set)(form, read.clone()).ok_or_else(|| match read {
            plain::FormValue::Text(_) | plain::FormValue::Texts(_) => {
                let text = match &read {
                    plain::FormValue::Texts(texts) => texts.join(" "),
                    plain::FormValue::Text(text) => (*text).to_owned(),
                    _ => String::new(),
                };
                let wanted = key.wanted;
                self.note(value.span(), Fault::PlainValue { key: key.name, text, wanted })
            }
            _ => self.wrong_type(key.name, value, key.wanted),
        })
    }

    fn node_id(&self, value: &Value<'_>) -> Found<At<NodeId>> {
        let At { line, value: id } = self.string("id", value, "a name in quotes")?;
        // It names a log file, and an argument that must be neither a flag nor HOST:PORT.
        let usable = !id.contains(['/', ':']) && !id.starts_with(['.', '-']);
        match NodeId::new(&id).filter(|_| usable) {
            Some(id) => Ok(At { line, value: id }),
            None => Err(self.faults.note(line, Fault::NodeId { id })),
        }
    }

    fn address(&self, key: &str, value: &Value<'_>) -> Found<At<Address>> {
        let At { line, value: text } = self.string(key, value, "\"HOST:PORT\" in quotes")?;
        let dialled = key == "address";
        let address = Address::parse(&text).filter(|address| !dialled || address.port != 0);
        match address {
            Some(address) => Ok(At { line, value: address }),
            None => Err(self.faults.note(line, Fault::BadAddress { text })),
        }
    }
}
