//! `herd status` on a herd of real nodes: in step, told of a node that is killed, and in step again once it is back and has
//! been given what it missed.

use super::support::{Herd, eventually, heavy, shipped};

/// The last line of what it prints, and its exit code.
fn status(herd: &Herd) -> (String, Option<i32>) {
    let mut command = herd.command(&["status"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text.lines().last().unwrap_or_default().to_owned(), output.status.code())
}

fn wait_until_in_step(herd: &Herd) {
    eventually("the herd is in step", || status(herd) == ("in step".to_owned(), Some(0)));
}

#[test]
fn killed_node_is_named_and_the_way_back_ends_in_step() {
    let _turn = heavy();
    let mut herd = Herd::new(&shipped("2014-2015.toml"));
    herd.start_all();
    wait_until_in_step(&herd);
    herd.report("Alford", "kiwi", "1479413884.392014450");
    herd.kill("Parker");
    eventually("Parker is missed", || {
        let (last, code) = status(&herd);
        assert!(code != Some(0) || last == "in step", "{last}");
        last.contains("Parker is down")
    });
    let at = herd.report("Powell", "away", "1479413884.5");
    herd.start("Parker");
    wait_until_in_step(&herd);
    herd.wait_until_known(&["Parker"], "away", &at);
}
