//! The example of each source of places in config/places, as its first lines and docs/places.md say to run it.

use std::{fs, path::Path};

use super::support::{Herd, Process, herd_command};
use crate::{
    support::{Answer, Upstream},
    upstream::recorded,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The example, its nodes at addresses of the test's own, asking this service in Google's stead.
fn example(name: &str, upstream: Option<&Upstream>) -> Herd {
    let text = fs::read_to_string(root().join("config/places").join(name)).unwrap();
    // The file will lie elsewhere.
    let mut text = text.replace("\"../../data/", &format!("\"{}/", root().join("data").display()));
    if let Some(upstream) = upstream {
        let url = upstream.url();
        text = text.replacen(
            "[places]\n",
            &format!("[places]\nbase_url = \"{url}\"\nnew_base_url = \"{url}\"\n"),
            1,
        );
    }
    Herd::new(&text)
}

/// Starts its first node with a key, and what WHATSAT answers there for a client at UCLA.
fn answer(herd: &Herd) -> String {
    let id = &herd.ids()[0];
    let mut command = herd.command(&["node", id, "--lifeline"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.env("HERD_PLACES_KEY", "AIzaExample");
    let mut process = Process::start(command);
    let listening = format!("listening {}", herd.listens_at(id));
    process.hear(&listening, |said| said.contains(&listening));
    let mut client = herd.client(id);
    client.send(b"IAMAT kiwi +34.068930-118.445127 1479413884.392014450\nWHATSAT kiwi 10 1\n");
    client.end_input();
    String::from_utf8(client.rest()).unwrap()
}

#[test]
fn every_example_is_tested() {
    let names = fs::read_dir(root().join("config/places")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".toml")).collect();
    names.sort();
    assert_eq!(names, ["file.toml", "google-both.toml", "google-new.toml", "google.toml", "tweets.toml"]);
}

#[test]
fn google_answers_and_where_it_fails_the_open_data() {
    let upstream =
        Upstream::new(
            |asked| {
                if asked.number == 0 { Answer::ok(recorded!("spaced")) } else { Answer::html(403) }
            },
        );
    let herd = example("google.toml", Some(&upstream));
    assert!(answer(&herd).ends_with(&format!("{}\n\n", recorded!("spaced.cut1").trim_end())), "as it came");
    assert!(upstream.asked()[0].line().contains("&key=AIzaExample "));
    let herd = example("google.toml", Some(&upstream));
    assert!(answer(&herd).contains("GeoNames"));
}

#[test]
fn new_google_answers_in_the_legacy_format() {
    let upstream = Upstream::new(|_| Answer::ok(recorded!("new")));
    let answer = answer(&example("google-new.toml", Some(&upstream)));
    assert!(
        answer.contains("\n   \"results\" : [\n") && answer.contains("\"scope\" : \"GOOGLE\""),
        "{answer}"
    );
    assert_eq!(upstream.asked()[0].header("X-Goog-Api-Key"), Some("AIzaExample"));
}

#[test]
fn new_google_takes_over_where_the_legacy_one_is_not_enabled() {
    let upstream = Upstream::new(|asked| match asked.line().starts_with("GET") {
        true => Answer::ok(recorded!("legacy_disabled")),
        false => Answer::ok(recorded!("new")),
    });
    assert!(answer(&example("google-both.toml", Some(&upstream))).contains("\"scope\" : \"GOOGLE\""));
}

#[test]
fn own_places_are_imported_and_answered() {
    let herd = example("file.toml", None);
    let places = herd.config.with_file_name("example.places");
    let import = ["places", "import", "data/example.csv", "-o"];
    let made = herd_command(&import).arg(&places).current_dir(root()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(answer(&herd).contains("\"name\" : \"Observatory of Small Things\""));
}

#[test]
fn tweets_are_answered_on_one_line() {
    let answer = answer(&example("tweets.toml", None));
    let lines: Vec<_> = answer.lines().collect();
    assert!(
        lines.len() == 3 && lines[2].starts_with("{\"results\":[{\"location\":\"Los Angeles, CA\""),
        "{answer}"
    );
    assert!(answer.ends_with("}\n") && !answer.ends_with("\n\n"));
}
