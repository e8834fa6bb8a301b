//! `herd forget` as an operator runs it: the client is gone on every node, also on one that was away, and after an old copy of
//! a journal is brought back; and it is known again once it reports something newer.

use std::{fs, path::Path, process::Output};

use super::support::{Herd, eventually, heavy};

const IDS: [&str; 3] = ["A", "B", "C"];

/// Three nodes in a row, whose journals are beside their configuration.
fn herd() -> Herd {
    Herd::new(
        "[herd]\nname = \"row\"\n[journal]\ndir = \"kept\"\n\
         [[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\nlinks = [\"B\"]\n\
         [[node]]\nid = \"B\"\nlisten = \"127.0.0.1:11601\"\nlinks = [\"A\", \"C\"]\n\
         [[node]]\nid = \"C\"\nlisten = \"127.0.0.1:11602\"\nlinks = [\"B\"]\n",
    )
}

fn forget(herd: &Herd, arguments: &[&str]) -> Output {
    herd.command(&[&["forget"], arguments].concat()).output().unwrap()
}

#[track_caller]
fn expect_forgotten(herd: &Herd, arguments: &[&str], said: &str) {
    let output = forget(herd, arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
}

fn is_known(herd: &Herd, id: &str, client: &str) -> bool {
    let question = format!("WHATSAT {client} 1 0");
    let reply = herd.client(id).ask(&question);
    assert!(reply.starts_with("AT ") || reply == format!("? {question}"), "{id}: {reply}");
    reply.starts_with("AT ")
}

#[track_caller]
fn wait_until_forgotten(herd: &Herd, client: &str) {
    for id in IDS {
        eventually(&format!("{id} has forgotten {client}"), || !is_known(herd, id, client));
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn forgotten_client_is_gone_on_every_node_also_on_one_that_was_away_until_it_reports_again() {
    let _turn = heavy();
    let mut herd = herd();
    herd.start_all();
    let at = herd.report("A", "kiwi", "1400000001");
    herd.wait_until_known(&IDS, "kiwi", &at);
    herd.stop("C");
    expect_forgotten(&herd, &["kiwi"], "A has forgotten 1 client, and tells the other nodes\n");
    assert!(!is_known(&herd, "A", "kiwi"));
    herd.start("C");
    wait_until_forgotten(&herd, "kiwi");
    // All of them have it from their journals.
    IDS.iter().for_each(|id| herd.stop(id));
    herd.start_all();
    assert!(IDS.iter().all(|id| !is_known(&herd, id, "kiwi")));
    herd.report("C", "kiwi", "1400000001");
    assert!(!is_known(&herd, "C", "kiwi"), "it is not newer");
    let at = herd.report("C", "kiwi", "1400000002");
    herd.wait_until_known(&IDS, "kiwi", &at);
    // Also with its generation.
    IDS.iter().for_each(|id| herd.stop(id));
    herd.start_all();
    assert!(IDS.iter().all(|id| herd.answers(id, "kiwi", &at)));
}

#[test]
fn old_copy_of_a_journal_brings_nobody_back() {
    let _turn = heavy();
    let mut herd = herd();
    herd.start_all();
    let at = herd.report("B", "kiwi", "1400000001");
    herd.wait_until_known(&IDS, "kiwi", &at);
    herd.stop("C");
    let folder = herd.config.with_file_name("kept").join("C");
    let copy = herd.config.with_file_name("copy");
    copy_all(&folder, &copy);
    herd.start("C");
    expect_forgotten(
        &herd,
        &["kiwi", "--node", "C"],
        "C has forgotten 1 client, and tells the other nodes\n",
    );
    wait_until_forgotten(&herd, "kiwi");
    herd.stop("C");
    fs::remove_dir_all(&folder).unwrap();
    copy_all(&copy, &folder);
    herd.start("C");
    wait_until_forgotten(&herd, "kiwi");
    herd.wait_for_links();
    assert!(IDS.iter().all(|id| !is_known(&herd, id, "kiwi")));
}

/// A node of software that knows nothing of forgetting, which does not even run, is all that joins C with the others.
#[test]
fn node_of_each_part_is_told_and_a_part_that_cannot_be_reached_is_said() {
    let _turn = heavy();
    let mut herd = Herd::new(
        "[herd]\nname = \"parts\"\n\
         [[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\nplain_listen = \"127.0.0.1:11700\"\nlinks = [\"B\", \"P\"]\n\
         [[node]]\nid = \"B\"\nlisten = \"127.0.0.1:11601\"\n\
         [[node]]\nid = \"P\"\ndialect = \"plain\"\nlisten = \"127.0.0.1:11605\"\n\
         [[node]]\nid = \"C\"\nlisten = \"127.0.0.1:11602\"\nplain_listen = \"127.0.0.1:11702\"\nlinks = [\"P\"]\n",
    );
    for id in IDS {
        herd.start(id);
    }
    herd.report("B", "kiwi", "1400000001");
    herd.report("C", "kiwi", "1400000001");
    let of_a = "A has forgotten 1 client, and tells the other nodes of its part of the herd\n";
    expect_forgotten(&herd, &["kiwi"], &format!("{of_a}C has forgotten 1 client\n"));
    wait_until_forgotten(&herd, "kiwi");
    herd.stop("C");
    let half = forget(&herd, &["tui"]);
    assert_eq!((half.status.code(), String::from_utf8(half.stdout).unwrap()), (Some(1), of_a.to_owned()));
    let said = String::from_utf8(half.stderr).unwrap();
    assert!(said.starts_with("herd: no node of the part of parts with C can be reached, C at "), "{said}");
}

#[test]
fn one_node_that_can_be_reached_is_enough_and_without_one_nothing_is_forgotten() {
    let _turn = heavy();
    let mut herd = herd();
    let none = forget(&herd, &["kiwi"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(
        said.starts_with("herd: no node of row can be reached, C at ") && said.contains("herd up"),
        "{said}"
    );
    herd.start("B");
    let at = herd.report("B", "kiwi", "1400000001");
    assert!(herd.answers("B", "kiwi", &at));
    let said = "B has forgotten 3 clients, and tells the other nodes\n";
    expect_forgotten(&herd, &["kiwi", "nobody", "kiwi"], said);
    assert!(!is_known(&herd, "B", "kiwi"));
}
