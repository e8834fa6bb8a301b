//! Third-party nodes of three habits, each in a herd of five by a configuration of docs/interoperate.md as it stands there:
//! updates both ways across the whole herd, through `kill -9` and restart of either side, and what `herd status` says.

use std::{fs, net::SocketAddr, path::Path};

use super::support::{Herd, eventually, heavy, herd_command};
use crate::support::{Habit, ThirdParty};

const OURS: [&str; 4] = ["Alford", "Ball", "Hamilton", "Holiday"];
const THEIRS: &str = "Goloman";

/// The configuration below that heading of the page.
fn configuration(heading: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interoperate.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("\n```toml\n").unwrap();
    block.split_once("\n```\n").unwrap().0.to_owned()
}

struct Scene {
    herd: Herd,
    habit: Habit,
    theirs: Option<ThirdParty>,
}

impl Scene {
    fn new(heading: &str, habit: Habit) -> Self {
        let mut herd = Herd::new(&configuration(heading));
        for id in OURS {
            herd.start(id);
        }
        let mut scene = Self { herd, habit, theirs: None };
        scene.start_theirs(false);
        scene
    }

    fn start_theirs(&mut self, misbehaves: bool) {
        let own: SocketAddr = self.herd.listens_at(THEIRS).parse().unwrap();
        let theirs = ThirdParty::start(THEIRS, self.habit, own, ("Ball", SocketAddr::new(own.ip(), 12970)));
        theirs.misbehave(misbehaves);
        self.theirs = Some(theirs);
        self.wait_until_connected();
    }

    fn theirs(&self) -> &ThirdParty {
        self.theirs.as_ref().unwrap()
    }

    fn wait_until_connected(&self) {
        eventually("it has a connection", || self.theirs().is_connected());
    }

    /// A client's report at one of ours is known to all, and to it, but for the skew.
    fn hears(&self, from: &str, client: &str) {
        let at = self.herd.report(from, client, "1479413884.392014450");
        self.herd.wait_until_known(&OURS, client, &at);
        self.wait_until_it_knows(client, &at);
    }

    fn wait_until_it_knows(&self, client: &str, at: &str) {
        let knows =
            || self.theirs().whatsat(client).is_some_and(|told| without_skew(&told) == without_skew(at));
        eventually(&format!("it answers {at}"), knows);
    }

    /// A client's report at it is known to all of ours, its skew as our nodes write it.
    fn tells(&self, client: &str) {
        let skew = self.theirs().report(client, "1479413884.5");
        let at = format!("AT {THEIRS} {skew} {client} +34.068930-118.445127 1479413884.5");
        self.herd.wait_until_known(&OURS, client, &at);
    }

    /// What `herd status` prints.
    fn status(&self) -> String {
        let output = herd_command(&["status", "--config"]).arg(&self.herd.config).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until all of this stands in what `herd status` prints.
    #[track_caller]
    fn wait_for_status(&self, parts: &[&str]) {
        let mut last = String::new();
        eventually(&format!("status says {parts:?}"), || {
            last = self.status();
            parts.iter().all(|part| last.contains(part))
        });
    }
}

fn without_skew(at: &str) -> Vec<&str> {
    at.split(' ').enumerate().filter(|&(place, _)| place != 2).map(|(_, word)| word).collect()
}

/// The whole story of one.
fn lives_in_a_herd_of_five(heading: &str, habit: Habit) {
    let _turn = heavy();
    let mut scene = Scene::new(heading, habit);
    scene.hears("Holiday", "one");
    scene.hears("Ball", "two");
    ["three", "four", "five"].iter().for_each(|client| scene.tells(client));
    scene.wait_for_status(&["\nGoloman   plain\n", "\nin step\n"]);

    // It is killed, and knows nothing when it comes back.
    drop(scene.theirs.take());
    let at = scene.herd.report("Alford", "six", "1479413884.5");
    scene.start_theirs(false);
    scene.wait_until_it_knows("six", &at);
    for client in ["one", "two", "three", "four", "five"] {
        eventually(&format!("it was told of {client}"), || scene.theirs().whatsat(client).is_some());
    }
    scene.tells("seven");
    scene.hears("Hamilton", "eight");

    // Its only neighbour is killed.
    scene.herd.kill("Ball");
    let at = scene.herd.report("Holiday", "nine", "1479413884.5");
    scene.herd.start("Ball");
    scene.wait_until_it_knows("nine", &at);
    scene.wait_until_connected();
    scene.tells("ten");
    scene.hears("Alford", "eleven");
    scene.wait_for_status(&["\nGoloman   plain\n", "\nin step\n"]);

    // The next one in its name says nothing that can be taken, and then something.
    drop(scene.theirs.take());
    scene.hears_of_its_absence();
    scene.start_theirs(true);
    scene.theirs().report("twelve", "1479413884.5");
    // It may pass on what it is told, and be refused for that, too.
    let (refused, why) =
        ("\nGoloman   plain    refused lines: ", "; the last: field 3, the skew, is not a decimal number");
    let verdict = "\nnot in step: Ball refuses every line of Goloman\n";
    scene.wait_for_status(&[refused, why, "  refused  ", verdict]);
    scene.herd.wait_for_log("Ball", &["bad line on #", why.trim_start_matches("; the last: "), "AT "]);
    scene.theirs().misbehave(false);
    scene.tells("thirteen");
    scene.wait_for_status(&[refused, why, "\nin step\n"]);
}

impl Scene {
    /// Something is to be told to it while it is away, so that Ball sees that it is.
    fn hears_of_its_absence(&self) {
        self.herd.report("Ball", "away", "1479413884.5");
        self.wait_for_status(&["Ball has no connection to Goloman"]);
    }
}

#[test]
fn node_that_keeps_its_connections_lives_in_a_herd_of_five() {
    lives_in_a_herd_of_five("A node that keeps its connections", Habit::Keeps);
}

#[test]
fn node_of_one_command_a_connection_lives_in_a_herd_of_five() {
    lives_in_a_herd_of_five("A node that takes one command a connection", Habit::OneCommand);
}

#[test]
fn node_that_closes_only_when_answered_lives_in_a_herd_of_five() {
    lives_in_a_herd_of_five("A node that closes only when it is answered", Habit::Answered);
}

/// Two of ours on both sides of a node that is not.
#[test]
fn nodes_that_only_a_third_party_node_joins_are_warned_of_and_seen_to_differ() {
    let _turn = heavy();
    let text = configuration("A node that keeps its connections")
        .replace("links = [\"Ball\"]\n", "plain_listen = \"127.0.0.1:12969\"\nlinks = [\"Goloman\"]\n");
    let mut herd = Herd::new(&text);
    let checked = herd_command(&["check-config", "--config"]).arg(&herd.config).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("Alford and Ball, Hamilton, Holiday: only third-party nodes join them"), "{said}");
    for id in OURS {
        herd.start(id);
    }
    // The same client at the same time, at both sides, before anybody joins them.
    let far = herd.client("Alford").ask("IAMAT kiwi +1+1 1479413884.5");
    let near = herd.client("Ball").ask("IAMAT kiwi +2+2 1479413884.5");
    herd.wait_until_known(&OURS[1..], "kiwi", &near);
    let own: SocketAddr = herd.listens_at(THEIRS).parse().unwrap();
    let theirs = ThirdParty::start(THEIRS, Habit::Keeps, own, ("Ball", SocketAddr::new(own.ip(), 12970)));
    eventually("it was told of one", || theirs.whatsat("kiwi").is_some());
    let scene = Scene { herd, habit: Habit::Keeps, theirs: Some(theirs) };
    scene.wait_for_status(&["\nnot in step: Alford and Ball differ, which only third-party nodes join\n"]);
    assert!(scene.herd.answers("Alford", "kiwi", &far) && scene.herd.answers("Ball", "kiwi", &near));
}
