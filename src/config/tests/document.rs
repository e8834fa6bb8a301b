//! Makes docs/configuration.md from the rows that the code itself reads, and compares it with the file. Shows, too, that each
//! row is read, and that what the rows of keys read by hand say of defaults is so.

use super::*;
use crate::config::{
    keys::TomlKey,
    settings::{Content, Setting, TomlTable},
};

const DOCUMENT: &str = "docs/configuration.md";

/// With this in the environment the document is written, not only compared.
const WRITE: &str = "PROXYHERD_WRITE";

const INTRODUCTION: &str = "\
# Configuration

Which keys may a herd's configuration have, with which defaults and bounds, and what do they mean? One TOML file
describes a whole herd, and every node reads it once, at start. [README](../README.md) has the first steps,
[operate.md](operate.md) a herd on three machines.
";

const EXAMPLE: &str = "\
[herd]
name = \"fall-2016\"

[[node]]
id = \"Alford\"
listen = \"127.0.0.1:11600\"
http = \"127.0.0.1:11700\"             # health, status and metrics; `herd status` asks there
links = [\"Hamilton\", \"Welsh\"]        # naming a link at one end is enough

[[node]]
id = \"Hamilton\"
listen = \"127.0.0.1:11602\"

[[node]]
id = \"Welsh\"
listen = \"127.0.0.1:11604\"

[log]
traffic = false                      # events only
";

const RULES: &str = "\
`herd check-config --config FILE` checks a file and prints everything in force, defaults included.
`herd check-config > my.toml` makes a file to start from. `config/` has a herd for each edition of the assignment this
protocol comes from, and `config/places/` an example of each source of places. A key that is not listed here, or a value
outside its bounds, is an error that names the line and what to write instead.

- A key may be left out if its default is not *required*. A table may be left out if none of its keys is required.
- A key's unit is in its name: `bytes`, `seconds`, or `ms` for milliseconds. Seconds may have a fraction.
- Numbers may be written with underscores, as in TOML: `12_000` is 12000.
- `\"HOST:PORT\"` is an address such as `\"127.0.0.1:11600\"`, `\"[::1]:11600\"` or `\"alford.example:11600\"`. Beyond
  loopback, the herd needs a [secret](security.md#a-secret), and `[access] clients` must say who clients are.
- A relative path starts at the folder of the configuration file.

A test makes this page from the tables in `src/config/`. [CONTRIBUTING.md](../CONTRIBUTING.md#add-a-setting) says how to
write it again.
";

const HERD: &str = "What holds for the whole herd.";
const NODE: &str =
    "A node of the herd; `[[node]]` stands above each, in two brackets. There must be at least one.";
const ACCESS: &str =
    "Who may report, ask, and read status and metrics. [security.md](security.md#tokens) says how.";
const PLACES: &str = "Where answers to WHATSAT come from. [places.md](places.md) says what each source has.";
const UPSTREAM: &str = "The other keys of `[places]` say how Google is asked. Each node counts for itself, and each upstream by itself.";
const LOG: &str = "What a node logs, and how much of it is kept.";
const JOURNAL: &str = "Where a node keeps what it knows over a stop, and how soon that is safe.
[operate.md](operate.md#keep-what-nodes-know) says what survives what.";
const HTTP: &str =
    "The web face of a node, which serves health, status and metrics at the node's `http` address.";
const TLS: &str = "What nodes show to clients that speak TLS. [security.md](security.md#tls-for-clients) says how to make and replace it.";
const LIMITS: &str = "How much a node takes, and how long it waits.";

/// A line of the document's tables.
struct DocumentRow {
    key: &'static str,
    value: String,
    default: String,
    bounds: String,
    meaning: String,
}

fn row_of_key(key: &TomlKey) -> DocumentRow {
    let TomlKey { name, form, default, meaning } = *key;
    DocumentRow {
        key: name,
        value: form.to_owned(),
        default: default.to_owned(),
        bounds: String::new(),
        meaning: meaning.to_owned(),
    }
}

fn row_of_setting<T: TomlTable>(setting: &Setting<T>) -> DocumentRow {
    let key = setting.key;
    let number = |number: &dyn ToString| number_text(key, &number.to_string());
    let bounds = match setting.content {
        Content::Count { min, max, .. }
        | Content::Milliseconds { min, max, .. }
        | Content::BytesOrAuto { min, max, .. }
        | Content::Quota { min, max, .. } => Some([number(&min), number(&max)]),
        Content::Seconds { min, max, .. } | Content::SecondsOrOff { min, max, .. } => {
            Some([number(&min), number(&max)])
        }
        _ => None,
    };
    let value = match setting.wanted() {
        "a whole number" if key.ends_with("_bytes") => "a whole number of bytes".to_owned(),
        "a whole number" if key.contains("_ms_") => "a whole number of milliseconds".to_owned(),
        wanted if wanted.starts_with('"') => format!("`{wanted}`"),
        wanted => wanted.to_owned(),
    };
    let default = setting.value(&mut T::default());
    DocumentRow {
        key,
        value,
        default: default.map_or_else(|| "none".to_owned(), |default| number(&default)),
        bounds: bounds.map_or_else(String::new, |bounds| bounds.join(" to ")),
        meaning: setting.meaning.trim().to_owned(),
    }
}

/// A value as code, with underscores where it is long, and in a greater unit where that is shorter.
fn number_text(key: &str, text: &str) -> String {
    let Ok(whole) = text.parse::<u64>() else { return format!("`{text}`") };
    let digits = text.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap());
    let grouped = digits.collect::<Vec<_>>().join("_");
    let units: &[(&str, u64)] = if key.ends_with("_bytes") {
        &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    } else if key.ends_with("_seconds") {
        &[("days", 86_400), ("hours", 3_600)]
    } else if key.contains("_ms_") {
        &[("hours", 3_600_000), ("s", 1_000)]
    } else {
        &[]
    };
    match units.iter().find(|(_, unit)| whole >= *unit && whole % unit == 0) {
        Some((name, unit)) => {
            let (count, name) =
                (whole / unit, if whole == *unit { name.trim_end_matches("s") } else { name });
            format!("`{grouped}` ({count} {name})")
        }
        None => format!("`{grouped}`"),
    }
}

/// A table; without a column that is empty all the way down.
fn table(rows: &[DocumentRow]) -> String {
    let columns = |row: &DocumentRow| {
        let DocumentRow { key, value, default, bounds, meaning } = row;
        [format!("`{key}`"), value.clone(), default.clone(), bounds.clone(), meaning.clone()]
    };
    let rows: Vec<[String; 5]> = rows.iter().map(columns).collect();
    let is_used = |column: usize| rows.iter().any(|row| !row[column].is_empty());
    let line = |cells: [&str; 5]| {
        let kept = cells.iter().enumerate().filter(|(column, _)| is_used(*column));
        let cells: Vec<_> = kept.map(|(_, cell)| format!("{cell} |")).collect();
        format!("| {}\n", cells.join(" "))
    };
    let head = [["key", "value", "default", "bounds", "meaning"], ["---"; 5]].map(line).concat();
    head + &rows.iter().map(|row| line(row.each_ref().map(String::as_str))).collect::<String>()
}

fn keys_of(keys: &[TomlKey]) -> Vec<DocumentRow> {
    keys.iter().map(row_of_key).collect()
}

fn settings_of<T: TomlTable>() -> Vec<DocumentRow> {
    T::SETTINGS.iter().map(row_of_setting).collect()
}

/// What the document says, section by section; those of one table follow each other.
fn sections() -> Vec<(&'static str, &'static str, Vec<DocumentRow>)> {
    vec![
        ("[herd]", HERD, keys_of(&keys::HERD)),
        ("[access]", ACCESS, settings_of::<AccessConfig>()),
        ("[[node]]", NODE, keys_of(&keys::NODE)),
        (
            "[places]",
            PLACES,
            [keys_of(&keys::PLACES), settings_of::<PlacesConfig>()].into_iter().flatten().collect(),
        ),
        ("[places]", UPSTREAM, settings_of::<UpstreamLimits>()),
        ("[log]", LOG, settings_of::<LogConfig>()),
        ("[journal]", JOURNAL, settings_of::<JournalConfig>()),
        ("[http]", HTTP, settings_of::<HttpConfig>().into_iter().chain(keys_of(&keys::HTTP)).collect()),
        ("[tls]", TLS, settings_of::<TlsConfig>()),
        ("[limits]", LIMITS, settings_of::<Limits>()),
    ]
}

fn document() -> String {
    let mut text = format!("{INTRODUCTION}\n```toml\n{EXAMPLE}```\n\n{RULES}");
    let mut last = "";
    for (title, about, rows) in sections() {
        if title != last {
            text += &format!("\n## `{title}`\n");
        }
        text += &format!("\n{about}\n\n{}", table(&rows));
        last = title;
    }
    text
}

#[test]
fn configuration_document_is_what_the_table_says() {
    let (path, wanted) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT), document());
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let same = wanted.lines().zip(found.lines()).take_while(|(wanted, found)| wanted == found).count();
    assert!(
        found == wanted,
        "{DOCUMENT} is not what the tables in src/config say, from line {} on; write it again with\n\
         {WRITE}=1 cargo test -p proxyherd --lib configuration_document",
        same + 1
    );
}

#[test]
fn the_documents_example_is_a_herd() {
    let herd = Herd::parse(EXAMPLE, "example.toml").unwrap();
    assert_eq!(
        herd.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(),
        ["Alford", "Hamilton", "Welsh"]
    );
    assert!(!herd.log.traffic);
}

#[test]
fn every_table_of_the_file_is_documented() {
    let mut documented: Vec<_> =
        sections().iter().map(|(title, ..)| title.trim_matches(['[', ']']).to_owned()).collect();
    documented.dedup();
    documented.sort();
    let mut known = keys::TABLES;
    known.sort_unstable();
    assert_eq!(documented, known);
}

/// No key holds a date. A key that nobody reads would hold one all the same.
#[test]
fn every_documented_key_is_read() {
    for (title, _, rows) in sections() {
        for DocumentRow { key, .. } in rows {
            let date = format!("{key} = 1979-05-27\n");
            let without = |lines: &str| {
                let kept = lines.lines().filter(|line| !line.starts_with(&format!("{key} =")));
                kept.map(|line| format!("{line}\n")).collect::<String>()
            };
            let (herd, nodes) = TWO_NODES.split_once("[[node]]").unwrap();
            let text = match title {
                "[herd]" => format!("{}{date}[[node]]{nodes}", without(herd)),
                "[[node]]" => {
                    format!("{herd}[[node]]{}{date}", without(nodes.split("[[node]]").next().unwrap()))
                }
                _ => format!("{TWO_NODES}{title}\n{date}"),
            };
            let fault = fault_of(&text);
            let says = |what: &str| fault.contains(&format!(": `{key}` {what}"));
            assert!(says("is a date; write ") || says("says how to speak"), "{title} {key}: {fault}");
        }
    }
}

#[test]
fn defaults_of_keys_read_by_hand_are_as_documented() {
    let alone = "[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:1\"\n";
    let linked = "links = [\"Ball\"]\nplain_listen = \"127.0.0.1:2\"\n[[node]]\nid = \"Ball\"\nlisten = \"127.0.0.1:3\"\n";
    let plain = format!("{alone}{linked}dialect = \"plain\"\n");
    let written = [alone, &plain].map(|text| Herd::parse(text, "h.toml").unwrap().to_toml()).concat();
    for TomlKey { name, default, .. } in keys::PLACES.iter().chain(&keys::HTTP).chain(&keys::NODE) {
        let Some(default) = default.strip_prefix('`').and_then(|default| default.strip_suffix('`')) else {
            continue;
        };
        if *name == "dialect" {
            let stated = format!("{alone}dialect = {default}\n");
            assert_eq!(Herd::parse(&stated, "h.toml").unwrap(), Herd::parse(alone, "h.toml").unwrap());
        } else {
            assert!(written.contains(&format!("\n{name} = {default}\n")), "{name} = {default}: {written}");
        }
    }
}

#[test]
fn every_default_is_within_its_own_bounds() {
    let herd = Herd::parse(TWO_NODES, "h.toml").unwrap();
    assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
}
