//! The house's rules, held by machine: which way imports point, which files may name sockets, clocks, threads or unsafe
//! code, how files begin, how long they and their functions are, what the node's dependency tree may not hold.
//! ARCHITECTURE.md says why. Each rule is also shown a file that breaks it. Rules for documents are in documents.rs.

use std::{
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
const LAYERS: [&[&str]; 11] = [
    &["model", "regular_file", "text", "whole_file"],
    &["private_file"],
    &["clock", "config", "random", "scheduling", "secret", "signals", "socket"],
    &["log", "metrics", "protocol"],
    &["store", "places"],
    &["flood", "import"],
    &["node"],
    &["http"],
    &["server"],
    &["cli"],
    &["main", "lib"],
];

/// Words that only some files of src may hold outside their tests, by the beginning of their path.
const RESERVED: [(&str, &[&str], &[&str]); 4] = [
    (
        "sockets",
        &["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "rustix::net"],
        &[
            "socket.rs",
            "server/",
            "flood/flooder.rs",
            "http/connection.rs",
            "cli/send/mod.rs",
            "cli/signals.rs",
        ],
    ),
    ("clocks", &["Instant", "SystemTime", "Utc::now", "Local::now"], &["clock.rs"]),
    (
        "threads",
        &["thread::spawn", "Builder::new().name", "spawn_scoped", "scope.spawn"],
        &["server/threads.rs", "flood/resolver.rs", "cli/send/mod.rs", "cli/status/fetch.rs", "cli/up/"],
    ),
    ("unsafe code", &["unsafe {", "unsafe fn", "unsafe impl"], &["scheduling.rs", "store/prefetch.rs"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below these folders, with their paths from the root.
fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
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

fn broken(files: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) -> String {
    let faults: Vec<String> = files
        .iter()
        .flat_map(|(name, text)| rule(name, text).into_iter().map(move |fault| format!("{name}: {fault}")))
        .collect();
    faults.join("\n")
}

/// The module of src a file belongs to: `flood` for `src/flood/link.rs`.
fn module_of(name: &str) -> &str {
    let inside = name.strip_prefix("src/").unwrap_or(name);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// The modules that a text names as `crate::module` or within `crate::{…}`.
fn imported(text: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let is_own =
            text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
        let rest = &text[at + "crate::".len()..];
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
    let layer = |module: &str| LAYERS.iter().position(|row| row.contains(&module));
    let own = module_of(name);
    let Some(height) = layer(own) else { return vec![format!("{own} has no place in LAYERS")] };
    let is_wrong = |module: &&str| *module != own && layer(module).is_some_and(|other| other >= height);
    let wrong = imported(text).into_iter().filter(is_wrong);
    wrong.map(|module| format!("{own} must not import {module}, which is not below it")).collect()
}

/// Comments and test modules may speak of what the code may not use.
fn code_of(name: &str, text: &str) -> String {
    let is_test_file = name.ends_with("tests.rs") || name.contains("/tests/");
    let code = if is_test_file { "" } else { text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text) };
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
            let is_inside = line.starts_with(&" ".repeat(indent + 1)) || line.trim().is_empty();
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
    let files =
        source_files(&["src", "bench", "tests", "fuzz", "data", "build.rs"], &["rs", "py", "js", "java"]);
    assert_eq!(broken(&files, long_functions), "");
}

#[test]
fn imports_point_one_way() {
    assert_eq!(broken(&rust_files(&["src"]), wrong_imports), "");
}

#[test]
fn sockets_clocks_threads_and_unsafe_code_stay_in_their_files() {
    assert_eq!(broken(&rust_files(&["src"]), reserved_words), "");
}

#[test]
fn files_say_what_they_are_about_and_stay_short() {
    assert_eq!(broken(&rust_files(&["src", "tests", "bench", "fuzz", "build.rs"]), header_and_length), "");
}

#[test]
fn the_rules_bite() {
    let upward = "use crate::{model::{Skew, NodeId}, server::Server};\nuse crate::node;";
    assert_eq!(wrong_imports("src/store/mod.rs", upward).len(), 2);
    assert_eq!(wrong_imports("src/store/mod.rs", "use crate::places::Source;").len(), 1);
    assert_eq!(wrong_imports("src/new.rs", "").len(), 1);
    assert!(wrong_imports("src/node.rs", upward.split('\n').next().unwrap()).len() == 1);
    assert_eq!(reserved_words("src/store/mod.rs", "let now = Instant::now();").len(), 1);
    assert_eq!(reserved_words("src/flood/link.rs", "use std::net::TcpStream;\n// Instant").len(), 1);
    assert_eq!(reserved_words("src/server/mod.rs", "use std::net::TcpStream;").len(), 0);
    assert_eq!(reserved_words("src/node.rs", "fn f() { unsafe { g() } }").len(), 1);
    for (file, begin, end) in [
        ("a.rs", "    pub(crate) fn f(\n        a: A,\n    ) -> B\n    where\n        A: C,\n    {", "    }"),
        ("a.py", "async def f(a):", "x = 1"),
        ("a.js", "function f(a) {", "}"),
        ("a.java", "    static int f(int a) throws E {", "    }"),
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
