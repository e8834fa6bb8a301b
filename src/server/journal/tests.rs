//! The journal's thread step by step, in this thread: batches that found no room, snapshots that fail at a stop, and a
//! panic.

use std::{fs, ops::RangeInclusive};

use tempfile::TempDir;

use super::*;
use crate::{
    config::Herd,
    core::{
        links::{Offer, outbox},
        model::NodeId,
    },
    journal::JournalLack,
    log::LogDir,
    server::{Role, Server, Surroundings, stop::Drain},
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3_600);

const LINE: &[u8] = b"AT Solo +0.263873386 kiwi +34.068930-118.445127 1400000000\n";

/// A node whose sessions wait for its journal, with both of its files in this folder.
fn server(folder: &TempDir) -> Server {
    let text = "[herd]\nname = \"solo\"\n[journal]\nsync = \"commit\"\n\
                [[node]]\nid = \"Solo\"\nlisten = \"127.0.0.1:0\"\naddress = \"127.0.0.1:1\"\n";
    let mut herd = Herd::parse(text, "test").unwrap();
    herd.journal.dir = Some(folder.path().join("kept"));
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

#[test]
fn batch_that_found_no_room_is_acknowledged_once_a_snapshot_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, .. } = server(&folder);
    let mut journal = journal.unwrap();
    let (outbox, queue) = outbox(LINE.len() - 1);
    queue.open();
    journal.queue = queue;
    let (commits, condition) = (Commits::new(Duration::ZERO), Mutex::default());
    let mut keeper = Keeper::new(journal, (&node, &log), Some(&commits), &condition);
    let batch: Encoded = LINE.into();
    let number = commits.offer(|| assert_eq!(outbox.offer(&batch), Offer::Dropped));
    keeper.keep();
    assert_eq!(commits.wait(number), Err(Uncommitted::Late(Duration::ZERO)));
    assert_eq!(condition.lock().lack(), Some(JournalLack::Uncounted));
    // A snapshot's lines, and its end.
    (0..3).for_each(|_| keeper.keep());
    assert_eq!((commits.wait(number), condition.lock().snapshots), (Ok(()), 1));
    assert_eq!(condition.lock().lack(), None);
}

#[test]
fn stop_tries_once_to_write_a_snapshot_that_only_spares_time_and_leaves_no_empty_segments() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, .. } = server(&folder);
    let condition = Mutex::default();
    let mut keeper = Keeper::new(journal.unwrap(), (&node, &log), None, &condition);
    keeper.append(&LINE.into());
    keeper.keep();
    obstruct(&folder, 1..=20);
    let stop = Stop::default();
    stop.set(clock::tick() + LONG);
    keeper.end(&stop);
    let condition = condition.lock();
    assert_eq!((condition.snapshots, condition.lack()), (0, None));
    assert_eq!(names(&folder, "segment-"), ["segment-0000000001", "segment-0000000002"]);
}

#[test]
fn stop_tries_again_to_write_a_snapshot_that_has_what_nothing_else_has() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, .. } = server(&folder);
    let condition = Mutex::default();
    let mut keeper = Keeper::new(journal.unwrap(), (&node, &log), None, &condition);
    keeper.journal.writer.miss();
    obstruct(&folder, 1..=3);
    let stop = Stop::default();
    stop.set(clock::tick() + LONG);
    keeper.end(&stop);
    let condition = condition.lock();
    assert_eq!((condition.snapshots, condition.lack()), (1, None));
    assert_eq!(names(&folder, "segment-"), ["segment-0000000004"]);
    log.write_now();
    let text = fs::read_to_string(folder.path().join("Solo.log")).unwrap();
    assert_eq!(text.matches("the journal's snapshot could not be written: ").count(), 1, "{text}");
}

#[test]
fn node_whose_journal_has_panicked_serves_on_and_says_at_its_end_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let Server { node, log, journal, limits, surroundings, .. } = server(&folder);
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
