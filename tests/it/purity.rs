//! That clippy holds the core's purity: each path that clippy.toml lists is refused in a file that denies it, and a file
//! that names none of them is not. tidy.rs proves that the core's files do deny them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{support::skipped, tidy::DENY};

/// Crates outside std that the list names.
const CRATES: [&str; 5] = ["chrono", "crossbeam_channel", "log", "parking_lot", "rustix"];

/// What methods lack that are generic, by the beginning of their path: the longest that fits counts.
const GENERICS: [(&str, &str); 25] = [
    ("std::net::ToSocketAddrs::to_socket_addrs", "<str as std::net::ToSocketAddrs>::to_socket_addrs"),
    ("std::thread::JoinHandle::join", "std::thread::JoinHandle::<()>::join"),
    ("std::thread::scope", "std::thread::scope::<fn(&std::thread::Scope<'_, '_>), ()>"),
    ("std::thread::spawn", "std::thread::spawn::<fn(), ()>"),
    ("std::fs::", "::<&str>"),
    ("std::fs::copy", "::<&str, &str>"),
    ("std::fs::hard_link", "::<&str, &str>"),
    ("std::fs::rename", "::<&str, &str>"),
    ("std::fs::write", "::<&str, &str>"),
    ("std::env::var", "::<&str>"),
    ("std::env::vars", ""),
    ("std::sync::mpsc::", "::<u8>"),
    ("crossbeam_channel::Receiver::", "crossbeam_channel::Receiver::<u8>::"),
    ("crossbeam_channel::Sender::", "crossbeam_channel::Sender::<u8>::"),
    ("crossbeam_channel::unbounded", "::<u8>"),
    ("rustix::net::", "::<std::os::fd::OwnedFd>"),
    ("rustix::net::bind", "|fd: std::os::fd::OwnedFd, at: std::net::SocketAddr| rustix::net::bind(fd, &at)"),
    (
        "rustix::net::connect",
        "|fd: std::os::fd::OwnedFd, at: std::net::SocketAddr| rustix::net::connect(fd, &at)",
    ),
    ("rustix::net::recv", "::<std::os::fd::OwnedFd, &mut [u8]>"),
    ("rustix::net::socket", ""),
    ("rustix::fs::open", "::<&str>"),
    ("rustix::fs::openat", "::<&str, std::os::fd::OwnedFd>"),
    ("rustix::io::", "::<std::os::fd::OwnedFd>"),
    ("rustix::io::read", "::<std::os::fd::OwnedFd, &mut [u8]>"),
    ("rustix::rand::getrandom", "::<&mut [u8]>"),
];

/// The listed paths, by the lint that refuses them.
fn listed() -> Vec<(&'static str, String)> {
    let text = fs::read_to_string(root().join("clippy.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let mut listed = Vec::new();
    for lint in ["disallowed-types", "disallowed-methods", "disallowed-macros"] {
        for entry in table[lint].as_array().unwrap() {
            assert!(entry["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{entry}");
            listed.push((lint, entry["path"].as_str().unwrap().to_owned()));
        }
    }
    listed
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that names the path and nothing else that is listed.
fn file_with(lint: &str, path: &str) -> String {
    match lint {
        "disallowed-types" => format!("use {path} as Named;\n"),
        "disallowed-macros" if path.contains("::select") => {
            format!("fn f(r: &crossbeam_channel::Receiver<u8>) {{ {path}! {{ recv(r) -> _ => {{}} }} }}\n")
        }
        "disallowed-macros" if path == "log::log" => {
            "fn f() { log::log!(log::Level::Info, \"\"); }\n".to_owned()
        }
        "disallowed-macros" => format!("fn f() {{ {path}!(\"\"); }}\n"),
        _ => {
            let known = GENERICS.iter().filter(|(begin, _)| path.starts_with(begin));
            let named = match known.max_by_key(|(begin, _)| begin.len()) {
                Some((_, suffix)) if suffix.starts_with("::") || suffix.is_empty() => {
                    format!("{path}{suffix}")
                }
                Some((begin, instead)) => path.replacen(begin, instead, 1),
                None => path.to_owned(),
            };
            format!("fn f() {{ let _ = {named}; }}\n")
        }
    }
}

/// The crate as this test was built with it: the newest there is.
fn library(name: &str) -> PathBuf {
    let folder = folder_of_libraries();
    let (prefix, suffix) = (format!("lib{name}-"), ".rlib");
    let newest = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).filter(|entry| {
        entry.file_name().to_str().is_some_and(|file| file.starts_with(&prefix) && file.ends_with(suffix))
    });
    let newest = newest.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.unwrap_or_else(|| panic!("no {prefix}*{suffix} in {}", folder.display())).path()
}

fn folder_of_libraries() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// What clippy says of each file of a crate, by the file's name; all of it is one of the three lints.
fn complaints(driver: &Path, name: &str, files: &[(String, String)]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut lib = String::from("#![allow(warnings)]\n");
    for (file, text) in files {
        if file != "lib" {
            lib.push_str(&format!("mod {file};\n"));
            fs::write(folder.path().join(format!("{file}.rs")), format!("{DENY}{text}")).unwrap();
        } else {
            lib.push_str(text);
        }
    }
    fs::write(folder.path().join("lib.rs"), lib).unwrap();
    let mut command = Command::new(driver);
    command.args([
        "lib.rs",
        "--edition",
        "2024",
        "--crate-type",
        "lib",
        "--emit",
        "metadata",
        "--crate-name",
        name,
    ]);
    command
        .args(["--error-format", "json", "-L"])
        .arg(format!("dependency={}", folder_of_libraries().display()));
    for name in CRATES {
        command.arg("--extern").arg(format!("{name}={}", library(name).display()));
    }
    let output = command.current_dir(&folder).env("CLIPPY_CONF_DIR", root()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let mut found = BTreeMap::<String, String>::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}"));
        let Some(span) = message["spans"].as_array().and_then(|spans| spans.first()) else { continue };
        let lint = message["code"]["code"].as_str().unwrap_or_default();
        assert!(lint.starts_with("clippy::disallowed_"), "{}", message["rendered"]);
        let file = span["file_name"].as_str().unwrap().trim_end_matches(".rs").to_owned();
        found.entry(file).or_default().push_str(message["message"].as_str().unwrap());
    }
    found
}

#[test]
fn each_listed_path_is_refused_and_nothing_else() {
    let driver = Path::new(env!("CARGO")).with_file_name("clippy-driver");
    if !driver.exists() {
        return skipped("the core's purity", "clippy is missing; rustup component add clippy");
    }
    let (own, others): (Vec<_>, Vec<_>) =
        listed().into_iter().partition(|(_, path)| path.starts_with("proxyherd::"));
    assert!(own.len() > 8 && others.len() > 100);
    let mut files: Vec<(String, String)> = others
        .iter()
        .enumerate()
        .map(|(number, (lint, path))| (format!("f{number}"), file_with(lint, path)))
        .collect();
    let pure = "use parking_lot::Mutex;\nfn f(r: crossbeam_channel::Receiver<u8>, n: std::net::IpAddr) { r.try_recv(); }\n";
    files.push(("pure".to_owned(), pure.to_owned()));
    let found = complaints(&driver, "named", &files);
    assert!(!found.contains_key("pure"), "{}", found["pure"]);
    for (number, (_, path)) in others.iter().enumerate() {
        let told = found.get(&format!("f{number}")).map_or("", String::as_str);
        assert!(told.contains(&format!("`{path}`")), "{path} is not refused: {told:?}\n{}", files[number].1);
    }
    for (lint, path) in own {
        own_path_is_refused(&driver, lint, &path);
    }
}

/// The same for a path of this crate: in one of its name that has nothing else. The path must be there in src.
fn own_path_is_refused(driver: &Path, lint: &str, path: &str) {
    let parts: Vec<&str> = path.split("::").collect();
    let [_, modules @ .., name] = &parts[..] else { panic!("{path}") };
    let (item, rest) = if lint == "disallowed-types" { ("struct", ";") } else { ("fn", "() {}") };
    let source = fs::read_to_string(root().join("src").join(modules.join("/")).with_extension("rs")).unwrap();
    let is_there = ["(", "<", " "].iter().any(|end| source.contains(&format!("{item} {name}{end}")));
    assert!(is_there, "{path} is not there");
    let stub = format!("pub {item} {name}{rest}");
    let nested = modules.iter().rev().fold(stub, |inner, module| format!("pub mod {module} {{ {inner} }}"));
    let named = file_with(lint, &path.replacen("proxyherd", "crate", 1));
    let found = complaints(driver, "proxyherd", &[("lib".to_owned(), nested), ("named".to_owned(), named)]);
    let told = found.get("named").map_or("", String::as_str);
    assert!(told.contains(&format!("`{path}`")), "{path} is not refused: {told:?}");
}
