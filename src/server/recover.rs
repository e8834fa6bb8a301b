//! Reads a journal on all processors: this thread reads and checks its files, and tells how far it is; others store what is
//! in them.

use std::{fmt, thread, time::Duration};

use crossbeam_channel::bounded;
use parking_lot::Mutex;

use crate::{
    core::{model::Tick, node::Node},
    journal::{BytesRead, Disk, LinesRead, Owner, Recovered, RecoveryError, recover, store_lines},
    log::Log,
    text::grouped,
};

/// Pieces that wait for a thread that stores them, for each such thread.
const PIECES_WAITING: usize = 4;

/// How often a recovery tells how far it is, at most.
const TELLING_TIME: Duration = Duration::from_secs(1);

/// How far the reading of a journal is. Displays as the line that says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryProgress {
    /// Of its files.
    pub bytes: BytesRead,
    /// Clients that the node knows by now.
    pub clients: usize,
}

impl fmt::Display for RecoveryProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal: read {}, {} clients", self.bytes, grouped(self.clients as u64))
    }
}

/// Tells how far a recovery is: at its beginning, then once a second at most.
pub(super) struct Telling<'t> {
    pub(super) log: &'t Log,
    announce: &'t dyn Fn(RecoveryProgress),
    clock: fn() -> Tick,
    next: Option<Tick>,
}

impl<'t> Telling<'t> {
    pub(super) fn new(log: &'t Log, announce: &'t dyn Fn(RecoveryProgress), clock: fn() -> Tick) -> Self {
        Self { log, announce, clock, next: None }
    }

    fn tell(&mut self, bytes: BytesRead, clients: impl FnOnce() -> usize) {
        let now = (self.clock)();
        // A new journal has nothing to tell of.
        if bytes.of == 0 || self.next.is_some_and(|next| now < next) {
            return;
        }
        self.next = Some(now + TELLING_TIME);
        let progress = RecoveryProgress { bytes, clients: clients() };
        self.log.info(format_args!("{progress}"));
        // The log's thread runs only once the node serves.
        self.log.write_now();
        (self.announce)(progress);
    }
}

/// Stores what the journal of that owner has; returns what else it has, too. `room` as for [`recover`].
pub(super) fn recover_into(
    node: &Node,
    disk: &impl Disk,
    (owner, room): (&Owner, usize),
    telling: &mut Telling<'_>,
) -> Result<(Recovered, LinesRead), RecoveryError> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = bounded::<Vec<u8>>(PIECES_WAITING * processors);
    let read = Mutex::new(LinesRead::default());
    let store_all = |lines: &[u8]| {
        let here = store_lines(node.store(), lines);
        let mut read = read.lock();
        *read = read.with(here);
    };
    let found = thread::scope(|scope| {
        for number in 0..processors {
            let receiver = receiver.clone();
            let stores = move || receiver.iter().for_each(|lines| store_all(&lines));
            // What no thread can be had for is stored by the others, or here.
            let _ = thread::Builder::new().name(format!("recover-{number}")).spawn_scoped(scope, stores);
        }
        drop(receiver);
        let take = |lines: &[u8]| {
            if let Err(unsent) = sender.send(lines.to_vec()) {
                store_all(&unsent.into_inner());
            }
        };
        let found = recover(disk, (owner, room), take, |bytes| telling.tell(bytes, || node.store().len()));
        // However it ended: the threads go on until there is nothing more to come.
        drop(sender);
        found
    });
    Ok((found?, read.into_inner()))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::log::{LogContent, LogOptions};

    thread_local! {
        static NOW: Cell<Tick> = const { Cell::new(Tick::ZERO) };
    }

    #[test]
    fn recovery_is_told_of_at_its_beginning_and_then_once_a_second_on_disk_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let content = LogContent { traffic: true, bodies: true, connections: true };
        let (buffer_bytes, file_bytes, files_kept) = (1 << 20, 1 << 20, 1);
        let options = LogOptions {
            path: path.clone(),
            events_path: None,
            audit: None,
            content,
            buffer_bytes,
            file_bytes,
            files_kept,
        };
        let log = Log::open(options).unwrap();
        let announced = RefCell::new(Vec::new());
        let announce = |progress: RecoveryProgress| announced.borrow_mut().push(progress.bytes.read);
        let mut telling = Telling::new(&log, &announce, || NOW.get());
        telling.tell(BytesRead::default(), || panic!("there is nothing to read"));
        for number in 0..8 {
            NOW.set(Duration::from_millis(400 * number));
            let bytes = BytesRead { read: number * 1_000_000_000, of: 8_000_000_000 };
            telling.tell(bytes, || 2_400_000);
        }
        assert_eq!(*announced.borrow(), [0, 3_000_000_000, 6_000_000_000]);
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches(" INFO  journal: read ").count(), 3, "{text}");
        assert!(text.contains(" INFO  journal: read 3.0 GB of 8.0 GB, 2,400,000 clients\n"), "{text}");
    }
}
