//! The house's rules, held by machine: which way imports point, which files clippy keeps pure, who may name sockets, clocks,
//! threads or unsafe code, how long files and functions are, what the dependency tree may not hold. ARCHITECTURE.md says why.
//! Each rule is also shown a file that breaks it. Rules for documents are in documents.rs; purity.rs shows that clippy bites.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use proxyherd::config::Herd;

/// A file may be this long, tests included.
const LINES_MAX: usize = 500;

/// A function may be this long, from its first line to its last, in any language.
const FUNCTION_LINES_MAX: usize = 70;

/// Tests that are one table, which would be no clearer cut in two.
const TABLES: [&str; 2] =
    ["every_fault_is_one_line_with_its_place_and_its_cure", "settings_outside_their_bounds_are_refused"];

/// The modules of src, lowest first; those of one row do not import each other.
const LAYERS: [&[&str]; 9] = [
    &["core", "regular_file", "text", "whole_file"],
    &["config", "keys", "system", "transport"],
    &["journal", "log", "metrics"],
    &["places"],
    &["import"],
    &["web"],
    &["server"],
    &["cli"],
    &["main", "lib"],
];

/// The modules of src/core, likewise.
const CORE_LAYERS: [&[&str]; 9] = [
    &["hex", "model", "rules"],
    &["access"],
    &["wire"],
    &["store"],
    &["repair"],
    &["links"],
    &["node"],
    &["dialogue"],
    &["mod"],
];

/// The crates that src/core may use: they compute, or share memory.
const CORE_CRATES: [&str; 10] = [
    "arrayvec",
    "crossbeam_channel",
    "hmac",
    "memchr",
    "parking_lot",
    "sha2",
    "siphasher",
    "thiserror",
    "twox_hash",
    "zeroize",
];

/// What stands at the head of src/core/mod.rs and of each pure file of src/places.
pub(crate) const DENY: &str =
    "#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]\n";

/// The files of src/places that read files or a clock, or wait, and those that declare them; all others are pure.
const PLACES_THAT_WAIT: [&str; 9] = [
    "chain.rs",
    "file/mod.rs",
    "key.rs",
    "mod.rs",
    "open.rs",
    "tweets/mod.rs",
    "upstream/flight.rs",
    "upstream/http.rs",
    "upstream/mod.rs",
];

/// Words that only some files of src may hold outside their tests, by the beginning of their path.
const RESERVED: [(&str, &[&str], &[&str]); 5] = [
    ("connections", &["TcpStream", "UdpSocket"], &["transport/"]),
    (
        "listeners and pipes",
        &["TcpListener", "UnixStream", "rustix::net"],
        &["transport/", "server/", "cli/signals.rs", "cli/up/mod.rs"],
    ),
    ("clocks", &["Instant", "SystemTime", "Utc::now", "Local::now"], &["system/clock.rs"]),
    (
        "threads",
        &["thread::spawn", "Builder::new().name", "spawn_scoped", "scope.spawn"],
        &[
            "server/threads.rs",
            "server/recover.rs",
            "server/resolver.rs",
            "cli/send/",
            "cli/status/fetch.rs",
            "cli/up/",
        ],
    ),
    (
        "unsafe code",
        &["unsafe {", "unsafe fn", "unsafe impl"],
        &["system/memory.rs", "system/scheduling.rs", "core/store/prefetch.rs"],
    ),
];

/// Names that several types of src have, and why.
const NAMED_TWICE: [(&str, &str); 3] = [
    ("Args", "what clap reads for a subcommand, in the file of each"),
    ("Node", "a node, and what is configured of one"),
    ("State", "where a machine stands, or what a lock guards: private to its file"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below these folders, with their paths from the root.
pub(crate) fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
    source_files(folders, &["rs"])
}

/// All files of these kinds below these folders, with their paths from the root.
fn source_files(folders: &[&str], extensions: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let is_built = path.ends_with("target") || path.ends_with("node_modules");
            if !is_built {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if path.extension().is_some_and(|own| extensions.iter().any(|extension| own == *extension)) {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!files.is_empty());
    files.sort();
    files
}

pub(crate) fn broken(files: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) -> String {
    let faults: Vec<String> = files
        .iter()
        .flat_map(|(name, text)| rule(name, text).into_iter().map(move |fault| format!("{name}: {fault}")))
        .collect();
    faults.join("\n")
}

/// The module below a folder that a file belongs to: `places` for `src/places/cut.rs` below `src/`.
pub(crate) fn module_of<'n>(folder: &str, name: &'n str) -> &'n str {
    let inside = name.strip_prefix(folder).unwrap_or(name);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// The modules that a text names below `root`: as `crate::module` or within `crate::{…}`, for `crate::`.
pub(crate) fn imported<'t>(root: &str, text: &'t str) -> Vec<&'t str> {
    let mut modules = Vec::new();
    for (at, _) in text.match_indices(root) {
        let is_own =
            text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
        let rest = &text[at + root.len()..];
        let ident = |text: &str| {
            text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len())
        };
        if !is_own {
            continue;
        }
        let Some(group) = rest.strip_prefix('{') else {
            modules.push(&rest[..ident(rest)]);
            continue;
        };
        let (mut depth, mut is_start) = (0, true);
        for (offset, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => is_start = true,
                letter if is_start && letter.is_alphabetic() => {
                    modules.push(&group[offset..][..ident(&group[offset..])]);
                    is_start = false;
                }
                _ => {}
            }
        }
    }
    modules
}

fn wrong_imports(name: &str, text: &str) -> Vec<String> {
    let modules = imported("crate::", text);
    let mut faults = upward(&LAYERS, module_of("src/", name), &modules);
    if name.starts_with("src/core/") {
        faults.extend(upward(&CORE_LAYERS, module_of("src/core/", name), &imported("core::", text)));
    }
    faults
}

pub(crate) fn upward(layers: &[&[&str]], own: &str, imported: &[&str]) -> Vec<String> {
    let layer = |module: &str| layers.iter().position(|row| row.contains(&module));
    let Some(height) = layer(own) else { return vec![format!("{own} has no place in the layers")] };
    let is_wrong = |module: &&&str| **module != own && layer(module).is_some_and(|other| other >= height);
    let wrong = imported.iter().filter(is_wrong);
    wrong.map(|module| format!("{own} must not import {module}, which is not below it")).collect()
}

/// What the core imports: its own modules by their full names, and crates that do no I/O.
fn impure_imports(name: &str, text: &str) -> Vec<String> {
    let code = code_of(name, text);
    if !name.starts_with("src/core/") {
        return Vec::new();
    }
    let modules = imported("crate::", text).into_iter().filter(|module| *module != "core");
    let mut faults: Vec<String> = modules.map(|module| format!("core must not import {module}")).collect();
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for dependency in manifest["dependencies"].as_table().unwrap().keys() {
        let path = format!("{}::", dependency.replace('-', "_"));
        let is_named = code.match_indices(&path).any(|(at, _)| {
            !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
        });
        if is_named && !CORE_CRATES.contains(&path.trim_end_matches(':')) {
            faults.push(format!("core must not use the crate {dependency}"));
        }
    }
    if name.ends_with("/mod.rs") && code.contains("super::") {
        faults.push("write crate::core:: for super::, which imports are read by".to_owned());
    }
    faults
}

/// Whether clippy looks at a file of the core or a pure one of places, and everywhere but in its tests.
fn outside_the_deny(name: &str, text: &str) -> Vec<String> {
    let place = name.strip_prefix("src/places/");
    let is_pure_place = place.is_some_and(|place| !PLACES_THAT_WAIT.contains(&place));
    let mut faults = Vec::new();
    if name.starts_with("src/core/") || name.starts_with("src/web/wire/") || is_pure_place {
        let code = code_of(name, text).replace(DENY.trim_end(), "");
        if ["clippy::disallowed", "clippy::style", "clippy::all"].iter().any(|word| code.contains(word)) {
            faults.push("only tests may lift what keeps this file pure".to_owned());
        }
    }
    // What mod.rs denies, it denies for all files of the core, and of the web face's wire.
    let is_head = ["src/core/mod.rs", "src/web/wire/mod.rs"].contains(&name)
        || is_pure_place && !name.ends_with("/tests.rs");
    let header = text.lines().take_while(|line| line.starts_with("//!") || line.is_empty());
    if is_head && text.lines().nth(header.count()) != Some(DENY.trim_end()) {
        faults.push(format!("does not begin with {}", DENY.trim_end()));
    }
    faults
}

/// Comments and test modules may speak of what the code may not use.
fn code_of(name: &str, text: &str) -> String {
    let is_test_file = name.ends_with("tests.rs") || name.contains("/tests/");
    let code = if is_test_file { "" } else { text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text) };
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn reserved_words(name: &str, text: &str) -> Vec<String> {
    let inside = name.strip_prefix("src/").unwrap_or(name);
    let code = code_of(name, text);
    let mut faults = Vec::new();
    for (what, words, allowed) in RESERVED {
        if !allowed.iter().any(|prefix| inside.starts_with(prefix)) {
            let named = words.iter().filter(|word| code.contains(**word));
            faults.extend(named.map(|word| format!("{word}: only {} may have {what}", allowed.join(", "))));
        }
    }
    faults
}

/// Types of several files that have one name, but for those that may, and those that may and no longer do.
fn named_twice(files: &[(String, String)]) -> Vec<String> {
    let mut places = BTreeMap::<String, Vec<&str>>::new();
    for (name, text) in files {
        for line in code_of(name, text).lines() {
            let visible =
                line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            let item = visible.trim_start_matches("pub ");
            // An indented `type` belongs to a trait.
            let words = ["struct ", "enum ", "trait ", "union "].iter();
            let declared = words
                .chain((!line.starts_with(' ')).then_some(&"type "))
                .find_map(|word| item.strip_prefix(*word));
            if let Some(rest) = declared {
                let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
                // What a macro declares has its name elsewhere.
                if end > 0 {
                    places.entry(rest[..end].to_owned()).or_default().push(name);
                }
            }
        }
    }
    let may = |ty: &str| NAMED_TWICE.iter().any(|(name, _)| *name == ty);
    places.retain(|ty, places| (places.len() > 1) != may(ty));
    places.into_iter().map(|(ty, places)| format!("{ty}: {}", places.join(", "))).collect()
}

fn header_and_length(_name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push("does not begin by saying what lives here".to_owned());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("has {lines} lines, more than {LINES_MAX}: is it still about one thing?"));
    }
    faults
}

/// Long functions, by indentation: formatters see to it that a function's last line stands where its first does.
fn long_functions(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (begin, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(function) = function_name(name, line) else { continue };
        let rest = lines[begin + 1..].iter();
        let mut outside = rest.take_while(|line| {
            let is_inside = line.len() - line.trim_start().len() > indent || line.trim().is_empty();
            // The signature's own end, where it takes several lines.
            is_inside || line.trim_start().starts_with([')', '{']) || line.trim_start().starts_with("where")
        });
        let body: Vec<&&str> = outside.by_ref().collect();
        let blank = body.iter().rev().take_while(|line| line.trim().is_empty()).count();
        let last = usize::from(!name.ends_with(".py"));
        let length = 1 + body.len() - blank + last;
        if length > FUNCTION_LINES_MAX && !TABLES.contains(&function) {
            faults.push(format!("{function} has {length} lines, more than {FUNCTION_LINES_MAX}"));
        }
    }
    faults
}

/// The name of the function whose first line this is.
fn function_name<'a>(file: &str, line: &'a str) -> Option<&'a str> {
    let line = line.trim_start();
    let ident = |text: &'a str| text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
    let after = |word: &str| {
        line.split_once(word).and_then(|(before, rest)| {
            let modifiers = [
                "pub",
                "pub(crate)",
                "pub(super)",
                "const",
                "async",
                "unsafe",
                "extern",
                "\"C\"",
                "export",
                "static",
            ];
            before.split_whitespace().all(|word| modifiers.contains(&word)).then(|| ident(rest))?
        })
    };
    match file.rsplit('.').next()? {
        "rs" => after("fn "),
        "py" => after("def "),
        "js" => after("function "),
        // A method has its receiver first, in parentheses.
        "go" if line.starts_with("func (") => ident(line.split_once(") ")?.1),
        "go" => after("func "),
        // A method or a constructor: what ends in `{`, has parentheses, and is no statement.
        "java" if line.ends_with('{') && line.contains('(') && !line.contains([';', '=']) => {
            let (before, _) = line.split_once('(')?;
            let statements = ["if", "for", "while", "switch", "try", "catch", "synchronized", "else", "}"];
            let is_statement =
                before.split_whitespace().next().is_some_and(|word| statements.contains(&word));
            before.split_whitespace().next_back().filter(|_| !is_statement)
        }
        _ => None,
    }
}

#[test]
fn functions_fit_on_a_screen() {
    let files = source_files(
        &["src", "version", "bench", "tests", "fuzz", "data", "build.rs"],
        &["rs", "py", "js", "java", "go"],
    );
    assert_eq!(broken(&files, long_functions), "");
}

#[test]
fn imports_point_one_way() {
    assert_eq!(broken(&rust_files(&["src"]), wrong_imports), "");
}

#[test]
fn core_imports_nothing_that_could_wait_and_clippy_looks_at_all_of_it() {
    let files = rust_files(&["src"]);
    assert_eq!(broken(&files, impure_imports), "");
    assert_eq!(broken(&files, outside_the_deny), "");
    for place in PLACES_THAT_WAIT {
        assert!(root().join("src/places").join(place).exists(), "{place} is no more");
    }
}

#[test]
fn no_type_name_stands_twice_without_a_reason() {
    assert_eq!(named_twice(&rust_files(&["src"])), Vec::<String>::new());
}

#[test]
fn sockets_clocks_threads_and_unsafe_code_stay_in_their_files() {
    assert_eq!(broken(&rust_files(&["src"]), reserved_words), "");
}

#[test]
fn files_say_what_they_are_about_and_stay_short() {
    assert_eq!(
        broken(&rust_files(&["src", "version", "tests", "bench", "fuzz", "build.rs"]), header_and_length),
        ""
    );
}

#[test]
fn the_rules_bite() {
    let upward = "use crate::{core::model::{Skew, NodeId}, server::Server};\nuse crate::web;";
    assert_eq!(wrong_imports("src/places/mod.rs", upward).len(), 2);
    assert_eq!(wrong_imports("src/places/mod.rs", "use crate::import::Sink;").len(), 1);
    assert_eq!(wrong_imports("src/new.rs", "").len(), 1);
    assert_eq!(wrong_imports("src/web.rs", upward.split('\n').next().unwrap()).len(), 1);
    let in_core = "use crate::core::{model::NodeId, node::Node};";
    assert_eq!(wrong_imports("src/core/store/mod.rs", in_core).len(), 1);
    assert_eq!(wrong_imports("src/core/node/mod.rs", in_core).len(), 0);
    assert_eq!(wrong_imports("src/core/wire/a.rs", "use crate::{core::{store::Store}, places};").len(), 2);
    assert_eq!(wrong_imports("src/core/new/mod.rs", "").len(), 1);
    assert_eq!(impure_imports("src/core/store/a.rs", "use crate::{core::model, text};").len(), 1);
    assert_eq!(impure_imports("src/core/store/a.rs", "use rustix::io;\nlog::info!();").len(), 2);
    assert_eq!(impure_imports("src/core/store/a.rs", "use parking_lot::Mutex;\nself::log::x();").len(), 0);
    assert_eq!(impure_imports("src/core/store/mod.rs", "use super::wire::Line;").len(), 1);
    let lifted = "#![allow(clippy::disallowed_types)]\n";
    let tests = format!("#[cfg(test)]\nmod tests {{\n    {lifted}}}\n");
    for name in ["src/core/mod.rs", "src/web/wire/mod.rs", "src/places/cut.rs"] {
        assert_eq!(outside_the_deny(name, "//! a\n\nuse a;\n").len(), 1);
        assert_eq!(outside_the_deny(name, &format!("//! a\n\n{DENY}\n{tests}")).len(), 0);
        assert_eq!(outside_the_deny(name, &format!("//! a\n\n{DENY}\n{lifted}")).len(), 1);
    }
    assert_eq!(outside_the_deny("src/core/store/a.rs", &format!("//! a\n\n{lifted}")).len(), 1);
    assert_eq!(outside_the_deny("src/core/store/a.rs", "//! a\n\nuse a;\n").len(), 0);
    assert_eq!(reserved_words("src/core/store/mod.rs", "let now = Instant::now();").len(), 1);
    assert_eq!(reserved_words("src/core/links/link.rs", "use std::net::TcpStream;\n// Instant").len(), 1);
    assert_eq!(reserved_words("src/transport/stream.rs", "use std::net::TcpStream;").len(), 0);
    assert_eq!(reserved_words("src/core/rules.rs", "fn f() { unsafe { g() } }").len(), 1);
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let (once, again) =
        (file("a.rs", "pub struct A;\nstruct Args {"), file("b.rs", "pub(super) enum A {\nstruct Args;"));
    let apart = file("b.rs", "impl B {\n    type A = u8;\n}\nenum Args {}");
    assert_eq!(named_twice(&[once.clone(), apart]), Vec::<String>::new());
    assert_eq!(named_twice(&[once.clone(), again]), ["A: a.rs, b.rs"]);
    assert_eq!(named_twice(&[once]), ["Args: a.rs"]);
    for (file, begin, end) in [
        ("a.rs", "    pub(crate) fn f(\n        a: A,\n    ) -> B\n    where\n        A: C,\n    {", "    }"),
        ("a.py", "async def f(a):", "x = 1"),
        ("a.js", "function f(a) {", "}"),
        ("a.java", "    static int f(int a) throws E {", "    }"),
        ("a.go", "func (a *A) f(b B) C {", "}"),
    ] {
        let longest = FUNCTION_LINES_MAX - begin.lines().count() - usize::from(!file.ends_with(".py"));
        let function = |lines| format!("{begin}\n{}{end}\n", "        x();\n".repeat(lines));
        assert_eq!(long_functions(file, &function(longest)), Vec::<String>::new(), "{file}");
        let faults = long_functions(file, &function(longest + 1));
        assert_eq!(faults, ["f has 71 lines, more than 70"], "{file}");
    }
    assert_eq!(header_and_length("a", "use a;").len(), 1);
    assert_eq!(header_and_length("a", &format!("//! a\n{}", "x\n".repeat(500))).len(), 1);
}

#[test]
fn every_shipped_configuration_parses() {
    let mut count = 0;
    let files = ["config", "config/places"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    for entry in files.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        assert!(Herd::load(&path).is_ok(), "{}: {:?}", path.display(), Herd::load(&path).err());
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn no_async_runtime_is_in_the_nodes_dependency_tree() {
    let arguments = ["tree", "-p", "proxyherd", "-e", "normal", "--prefix", "none", "--offline", "--locked"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"crossbeam-channel"), "{tree}");
    for runtime in ["tokio", "async-std", "smol", "mio", "async-io", "polling", "futures-executor"] {
        assert!(!names.contains(&runtime), "{runtime} is in the tree:\n{tree}");
    }
}
