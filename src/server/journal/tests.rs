//! The journal's thread step by step, in this thread: what sessions wait for, a stop whose snapshots fail, and a panic.

use std::{fs, ops::RangeInclusive};

use tempfile::TempDir;

use super::*;
use crate::{
    config::Herd,
    core::{
        model::{ClientId, NodeId, Now, SkewText, Timestamp},
        node::Changes,
        wire::Report,
    },
    journal::JournalLack,
    log::LogDir,
    server::{Role, Server, Surroundings, stop::Drain},
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3_600);

/// A node whose sessions wait for its journal, with both of its files in this folder. So many bytes may wait.
fn server(folder: &TempDir, waiting_bytes: usize) -> Server {
    let text = "[herd]\nname = \"solo\"\n[journal]\nsync = \"commit\"\n\
                [[node]]\nid = \"Solo\"\nlisten = \"127.0.0.1:0\"\naddress = \"127.0.0.1:1\"\n";
    let mut herd = Herd::parse(text, "test").unwrap();
    herd.journal.dir = Some(folder.path().join("kept"));
    herd.journal.waiting_bytes = waiting_bytes;
    let (id, logs) = (NodeId::new("Solo").unwrap(), LogDir::Folder(folder.path().to_owned()));
    Server::bind(&herd, &id, &logs, Surroundings::default()).unwrap()
}

/// The names in its journal's folder that begin like this.
fn names(folder: &TempDir, beginning: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path().join("kept/Solo")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(beginning)).collect();
    names.sort();
    names
}

/// Lets the snapshots of these numbers fail: a folder has the name that each would have first.
fn obstruct(folder: &TempDir, numbers: RangeInclusive<u64>) {
    for number in numbers {
        fs::create_dir(folder.path().join(format!("kept/Solo/snapshot-{number:010}.partial"))).unwrap();
    }
}

/// A client reports to the node, and what that has changed is offered.
fn report(node: &Node) {
    let client = ClientId::new(b"kiwi").unwrap();
    let now = Now { wall: Timestamp::new(1_400_000_000, 0), tick: Tick::ZERO };
    let report = Report { client, position: b"+1+1", timestamp: b"1400000000", time: now.wall };
    let (mut skew, mut changes) = (SkewText::default(), Changes::default());
    node.report((&report, node.key(client)), None, now, &mut skew, &mut changes).unwrap();
    node.offer(&mut changes, None, |_| {});
}

/// As an older version may have written, whose rules took more.
#[test]
fn journal_with_a_line_that_is_no_record_starts_and_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let Server { journal, node, .. } = server(&folder, 1 << 20);
    drop(journal);
    let path = folder.path().join("kept/Solo");
    let owner = Owner { herd: node.herd.clone(), node: "Solo".to_owned(), placement: node.check };
    let (disk, bounds) = (Folder::at(&path).unwrap(), JournalBounds::default());
    let salts = random::bytes::<16> as Salts;
    let mut writer = JournalWriter::new(disk, owner, salts, bounds, &Recovered::default());
    writer.append(b"AT Solo -1.000000001 lime +1+1 1\nAT Solo +0.000000001 kiwi +1+1 1\n", Tick::ZERO);
    writer.sync_at_last(Tick::ZERO);
    assert_eq!((writer.unsynced(), writer.trouble()), (0, None));
    let Server { node, log, .. } = server(&folder, 1 << 20);
    assert_eq!(node.store().len(), 1);
    log.write_now();
    let text = fs::read_to_string(folder.path().join("Solo.log")).unwrap();
    assert!(
        text.contains("ERROR the journal has 1 lines that are neither locations nor tombstones\n"),
        "{text}"
    );
}

#[test]
fn batch_that_found_no_room_is_acknowledged_once_a_snapshot_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, .. } = server(&folder, 1);
    let (commits, condition) = (Commits::new(Duration::ZERO), Mutex::default());
    let mut running = Running {
        journal: journal.unwrap(),
        node: &node,
        log: &log,
        commits: Some(&commits),
        condition: &condition,
    };
    let number = commits.offer(|| report(&node));
    running.keep();
    assert_eq!(commits.wait(number), Err(Uncommitted::Late(Duration::ZERO)));
    assert_eq!(condition.lock().lack(), Some(JournalLack::Uncounted));
    // A snapshot's lines, and its end.
    (0..3).for_each(|_| running.keep());
    assert_eq!((commits.wait(number), condition.lock().snapshots), (Ok(()), 1));
    assert_eq!(condition.lock().lack(), None);
}

#[test]
fn stop_tries_once_to_write_a_snapshot_that_only_spares_time_and_leaves_no_empty_segments() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, .. } = server(&folder, 1 << 20);
    let condition = Mutex::default();
    let mut running =
        Running { journal: journal.unwrap(), node: &node, log: &log, commits: None, condition: &condition };
    report(&node);
    running.take(&Stop::default());
    running.keep();
    obstruct(&folder, 1..=20);
    let stop = Stop::default();
    stop.set(clock::tick() + LONG);
    running.end(&stop);
    let condition = condition.lock();
    assert_eq!((condition.snapshots, condition.lack()), (0, None));
    assert_eq!(names(&folder, "segment-"), ["segment-0000000001", "segment-0000000002"]);
}

#[test]
fn stop_tries_again_to_write_a_snapshot_that_has_what_nothing_else_has() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, .. } = server(&folder, 1);
    let condition = Mutex::default();
    let mut running =
        Running { journal: journal.unwrap(), node: &node, log: &log, commits: None, condition: &condition };
    report(&node);
    obstruct(&folder, 1..=3);
    let stop = Stop::default();
    stop.set(clock::tick() + LONG);
    running.end(&stop);
    let condition = condition.lock();
    assert_eq!((condition.snapshots, condition.lack()), (1, None));
    assert_eq!(names(&folder, "segment-"), ["segment-0000000004"]);
    log.write_now();
    let text = fs::read_to_string(folder.path().join("Solo.log")).unwrap();
    assert_eq!(text.matches(" WARN  the journal's snapshot could not be written: ").count(), 1, "{text}");
}

#[test]
fn node_whose_journal_has_panicked_serves_on_and_says_at_its_end_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, limits, surroundings, .. } = server(&folder, 1 << 20);
    let mut shared = Shared::new((&node, None), &limits, &log, &surroundings, None).unwrap();
    shared.journal = journal.map(|journal| Mutex::new(journal.condition()));
    let shared = &shared;
    thread::scope(|scope| {
        let spawned = shared.spawn(scope, Role::Journal, || {
            let condition = shared.journal.as_ref().unwrap();
            let _notice = DeathNotice { condition, release: &|| {} };
            panic!("so it panics here");
        });
        spawned.unwrap();
    });
    let lacking = shared.stop_log(true, Drain::new(clock::tick(), Duration::ZERO));
    assert_eq!(lacking.journal, Some(JournalLack::AllSincePanic));
    log.write_now();
    let text = fs::read_to_string(folder.path().join("Solo.log")).unwrap();
    assert!(text.ends_with("ERROR Solo stops without having kept everything in its journal\n"), "{text}");
}
