//! Reads a journal on all processors: this thread reads and checks its files, others store what is in them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use crossbeam_channel::bounded;

use crate::{
    core::{model::Location, node::Node},
    journal::{Folder, Owner, Recovered, RecoveryError, recover},
};

/// Pieces that wait for a thread that stores them, for each such thread.
const PIECES_WAITING: usize = 4;

/// Stores what the journal of that owner has, and counts the lines that are no locations.
pub(super) fn recover_into(
    node: &Node,
    disk: &Folder,
    owner: &Owner,
) -> Result<(Recovered, u64), RecoveryError> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = bounded::<Vec<u8>>(PIECES_WAITING * processors);
    let bad_lines = AtomicU64::new(0);
    let store_all = |lines: &[u8]| {
        let bad = store(node, lines);
        bad_lines.fetch_add(bad, Ordering::Relaxed);
    };
    let found = thread::scope(|scope| {
        for number in 0..processors {
            let receiver = receiver.clone();
            let stores = move || receiver.iter().for_each(|lines| store_all(&lines));
            // What no thread can be had for is stored by the others, or here.
            let _ = thread::Builder::new().name(format!("recover-{number}")).spawn_scoped(scope, stores);
        }
        drop(receiver);
        let found = recover(disk, owner, |lines| {
            if let Err(unsent) = sender.send(lines.to_vec()) {
                store_all(&unsent.into_inner());
            }
        });
        // However it ended: the threads go on until there is nothing more to come.
        drop(sender);
        found
    });
    Ok((found?, bad_lines.into_inner()))
}

/// Stores each line's location; how many lines have none.
fn store(node: &Node, lines: &[u8]) -> u64 {
    let mut bad_lines = 0;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        match Location::parse_at(line.trim_ascii_end()) {
            Some(location) => drop(node.store().merge(node.key(location.client), &location)),
            None => bad_lines += 1,
        }
    }
    bad_lines
}
