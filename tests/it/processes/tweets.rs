//! A file of tweets as an operator meets it: a fault in it is one line with its place in the file, how many tweets have a
//! position is told at once, and `herd places near` answers as nodes do.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

use super::support::{Process, herd_command};

/// A folder with a file of tweets, and a configuration that has nodes answer from it.
struct Files(TempDir);

impl Files {
    fn new(tweets: impl AsRef<[u8]>) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.configure("source = \"tweets\"\ntweets_file = \"tweets.json\"");
        fs::write(files.path("tweets.json"), tweets).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, places: &str) {
        let node = "[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:0\"\n";
        fs::write(self.path("herd.toml"), format!("[herd]\nname = \"test\"\n[places]\n{places}\n{node}"))
            .unwrap();
    }

    fn herd(&self, words: &[&str]) -> Output {
        herd_command(words).args(["--config", "herd.toml"]).current_dir(self.0.path()).output().unwrap()
    }

    /// The one line `herd check-config` complains with, after the path of the tweets.
    #[track_caller]
    fn fault(&self) -> String {
        let (said, path) = (self.complaint(), self.path("tweets.json"));
        said.strip_prefix(&format!("herd: {}", path.display())).unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    /// The one line `herd check-config` complains with. It must end.
    #[track_caller]
    fn complaint(&self) -> String {
        let mut command = herd_command(&["check-config", "--config", "herd.toml"]);
        command.current_dir(self.0.path()).env_remove("HERD_PLACES_KEY");
        let mut check = Process::start(command);
        assert_eq!(check.end().code(), Some(2));
        check.each_line(|line| panic!("{line}"));
        let complaints = check.all_complaints();
        let [said] = complaints.as_slice() else { panic!("{complaints:?}") };
        said.clone()
    }
}

#[test]
fn fault_has_its_line_and_column_of_the_file() {
    let broken = "{\"results\":[\n{\"text\":\"a\",\"geo\":null},\n{\"text\":\"b\" oops}\n]}\n\n";
    let faults: [(&[u8], &str); 9] = [
        (broken.as_bytes(), " at line 3 column 13;"),
        (b"\n\n{ \"results\" :\n\t[ 1,\n 2\n,, ] }", " at line 6 column 2;"),
        ("{\"results\":[{\"text\":\"\u{6771}\u{4eac}\" x}]}".as_bytes(), " at line 1 column 26;"),
        (b"\xef\xbb\xbf{\"results\":[\nx]}", " at line 2 column 1;"),
        (b"{\"results\":[1 2]}", " at line 1 column 15;"),
        (b"{\"results\":[{\"geo\":nu ll}]}", " at line 1 column 22;"),
        (b"[{\"text\":\"a\"}]\n", "one JSON object with the tweets in an array"),
        (
            b"{\"results\":[\n{\"text\":\"caf\xe9\"}]}",
            "see line 2, column 13; if it is Latin-1, convert it: iconv -f LATIN1",
        ),
        (b" \n", "it is empty;"),
    ];
    for (text, expected) in faults {
        let said = Files::new(text).fault();
        assert!(said.contains(expected), "{}: {said}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let files = Files::new("");
    let path = files.path("tweets.json");
    fs::remove_file(&path).unwrap();
    assert!(files.fault().contains("cannot be read: No such file"));
    // Nobody writes to it: to open it would wait for ever.
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(files.fault().contains("it is not a regular file; give tweets_file"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(files.fault().contains("it is not a regular file; give tweets_file"));
    fs::remove_dir(&path).unwrap();
    File::create(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    assert!(files.fault().contains(" is over 64 MiB; use a part of it"));
}

#[test]
fn pipe_is_refused_wherever_a_source_names_a_file() {
    let files = Files::new("");
    fs::write(files.path("key"), "AIzaSecret").unwrap();
    fs::set_permissions(files.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let pipe = files.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    for places in [
        "source = \"file\"\nfile = \"pipe\"",
        "source = \"google\"\nkey_file = \"pipe\"",
        "source = \"google-new\"\nkey_file = \"key\"\nca_file = \"pipe\"",
    ] {
        files.configure(places);
        let said = files.complaint();
        assert!(said.contains(" not a regular file; ") && said.contains("pipe"), "{said}");
    }
}

#[test]
fn array_that_is_missing_is_told_with_those_that_are_there() {
    let said = Files::new("{\"statuses\":[],\"meta\":{\"x\":[]},\"n\":1,\"data\":[]}").fault();
    let expected = " has no array \"results\" at its top level, but \"data\", \"statuses\"; name the one with the tweets as \
                    `array` in [places]";
    assert_eq!(said, expected);
    let said = Files::new("{\"results\":null}").fault();
    assert_eq!(
        said,
        " has no array \"results\" at its top level, nor any other; use a whole answer of the service"
    );
}

/// Five tweets of which three have a position, one of them by its place.
const TWEETS: &str = r#"{"data": [
  {"author_id": "1", "text": "point", "geo": {"coordinates": {"type": "Point", "coordinates": [-118.25, 34.05]}}},
  {"author_id": "2", "text": "text for a number", "geo": {"coordinates": {"coordinates": ["-118.25", "34.05"]}}},
  {"author_id": "3", "text": "place", "geo": {"place_id": "la"}},
  {"author_id": "4", "text": "nowhere", "geo": null},
  {"author_id": "5", "text": "half an emoji \ud83d", "geo": {"coordinates": {"coordinates": [139.7, 35.7]}}}
], "includes": {"places": [{"id": "la", "full_name": "LA", "geo": {"bbox": [-118.5, 33.9, -118.1, 34.1]}}]}}
"#;

#[test]
fn tweets_with_and_without_a_position_are_counted_where_a_configuration_is_checked() {
    let files = Files::new(TWEETS);
    files.configure("source = \"tweets\"\ntweets_file = \"tweets.json\"\narray = \"data\"");
    let checked = files.herd(&["check-config"]);
    let (said, complained) = (String::from_utf8(checked.stdout).unwrap(), checked.stderr);
    let path = files.path("tweets.json").display().to_string();
    assert!(said.contains(&format!("\n# Places: 5 tweets, 3 located, in {path}\n")), "{said}");
    assert!(complained.is_empty() && checked.status.code() == Some(0));

    let files = Files::new("{\"results\":[{\"geo\":null}]}");
    let checked = files.herd(&["check-config"]);
    let complained = String::from_utf8(checked.stderr).unwrap();
    assert_eq!((checked.status.code(), complained.lines().count()), (Some(0), 1));
    assert!(complained.starts_with("herd: test: places: 1 tweet, 0 located, in "), "{complained}");
    assert!(complained.contains("; no answer can contain any: use tweets with "), "{complained}");
}

#[test]
fn near_shows_the_tweets_nodes_answer_with() {
    let files = Files::new(TWEETS);
    files.configure("source = \"tweets\"\ntweets_file = \"tweets.json\"\narray = \"data\"");
    let near = files.herd(&["places", "near", "34.0", "-118.3", "50"]);
    let table = String::from_utf8(near.stdout).unwrap();
    let rows: Vec<_> = table.lines().collect();
    assert_eq!(rows.len(), 3, "{table} {:?}", String::from_utf8_lossy(&near.stderr));
    assert!(rows[0].ends_with("KM  FROM  WRITTEN  TEXT"), "{table}");
    assert!(rows[1].ends_with("point") && rows[2].ends_with("place"), "{table}");
    let near = files.herd(&["places", "near", "34.0", "-118.3", "50", "1", "--json"]);
    let json = String::from_utf8(near.stdout).unwrap();
    assert_eq!(json.lines().count(), 1);
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (document["data"].as_array().unwrap().len(), &document["data"][0]["text"]),
        (1, &"point".into())
    );
    let none = files.herd(&["places", "near", "0", "0", "50"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
    assert!(
        String::from_utf8(none.stderr)
            .unwrap()
            .contains("no tweet is within 50 km; ask for a greater radius")
    );
    for (words, expected) in [
        (["20017", "5"], "RADIUS"),
        (["50", "101"], "LIMIT is over 100, the most that a WHATSAT for tweets takes"),
    ] {
        let near = files.herd(&[&["places", "near", "0", "0"][..], &words].concat());
        let said = String::from_utf8(near.stderr).unwrap();
        assert!(near.status.code() == Some(2) && said.contains(expected), "{said}");
    }
    assert_eq!(files.herd(&["places", "near", "34.0", "-118.3", "20016", "100"]).status.code(), Some(0));
}

#[test]
fn near_says_where_no_tweet_can_be_found() {
    let files = Files::new("{\"data\":[{\"text\":\"a\"},{\"text\":\"b\"}]}");
    files.configure("source = \"tweets\"\ntweets_file = \"tweets.json\"\narray = \"data\"");
    let near = files.herd(&["places", "near", "0", "0", "50"]);
    let said = String::from_utf8(near.stderr).unwrap();
    assert!(
        said.contains("none of the 2 tweets says where it was written, so no radius finds one"),
        "{said}"
    );
}

#[test]
fn near_asks_no_upstream_and_shows_no_others_places_instead() {
    let files = Files::new("");
    for (places, expected) in [
        (
            "source = \"google\"\nthen = \"embedded\"",
            "nodes ask google first, which bills each call, so this does not",
        ),
        ("source = \"google-new\"", "herd send Alford 'WHATSAT CLIENT 10 5'"),
        (
            "source = \"none\"",
            "refuse every WHATSAT, as [places] source is \"none\"; look into a file with --file",
        ),
    ] {
        files.configure(places);
        let near = files.herd(&["places", "near", "34.0689", "-118.4451", "10", "5"]);
        let said = String::from_utf8(near.stderr).unwrap();
        assert_eq!((near.status.code(), near.stdout.len(), said.lines().count()), (Some(1), 0, 1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
