//! Clients that report without end, at several nodes at once, and remember what was acknowledged; and the question that
//! follows each fault: do all nodes answer the same for every client, and is nothing lost that a living node had?

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Client, Herd, PATIENCE, eventually};

/// By client: the time its answers may not be older than; 0 where it may be unknown.
pub(crate) type Floors = BTreeMap<String, u64>;

/// The time of the first report, in seconds; each later one is a second later.
const FIRST_TIME: u64 = 1_400_000_001;

/// Reports a client of a node sends before it reads what was answered. The first are of clients that report once, so
/// that no later report makes good for a lost one; the others of clients that report everywhere.
const BATCH_REPORTS: usize = 16;
const BATCH_FRESH: usize = 4;
const ROAMERS: u64 = 100;

/// How long the load rests between two batches, so that the tests' machine does something else too.
const REST_TIME: Duration = Duration::from_millis(2);

/// Reports that go on until [`Load::end`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    reports: AtomicU64,
    acknowledged: Mutex<Acknowledged>,
}

#[derive(Default)]
struct Acknowledged {
    /// By client and node: the time of the last report acknowledged there.
    times: HashMap<String, HashMap<String, u64>>,
    /// By node: how many.
    counts: HashMap<String, usize>,
    /// What a node acknowledged until then went down with it.
    forgiven: Vec<(String, u64)>,
    /// What other nodes had of it.
    seen: Floors,
}

impl Load {
    /// Reports at each of these nodes; where there is none, until it is back.
    pub(crate) fn start(herd: &Herd, ids: &[&str]) -> Self {
        let shared = Arc::<Shared>::default();
        let threads = ids.iter().map(|id| {
            let (id, address, shared) = ((*id).to_owned(), herd.listens_at(id), Arc::clone(&shared));
            thread::spawn(move || {
                let mut fresh = 0;
                while !shared.is_over.load(Ordering::Acquire) {
                    // It ends where the node does; then there is another.
                    let _ = shared.report(&id, &address, &mut fresh);
                    thread::sleep(REST_TIME);
                }
            })
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Waits until so many more reports are acknowledged at each of these nodes.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, ids: &[&str], more: usize) {
        let count = |id: &str| self.shared.acknowledged.lock().counts.get(id).copied().unwrap_or(0);
        let enough: Vec<_> = ids.iter().map(|id| (id, count(id) + more)).collect();
        eventually(&format!("{more} more reports are acknowledged at each of {ids:?}"), || {
            enough.iter().all(|&(id, enough)| count(id) >= enough)
        });
    }

    /// Kills a node. What it alone had may be lost, but not what `witness` can be seen to have before.
    pub(crate) fn kill(&self, herd: &mut Herd, id: &str, witness: &str) {
        let clients: Vec<_> = self.shared.acknowledged.lock().times.keys().cloned().collect();
        let seen = answers(herd, witness, &clients);
        herd.kill(id);
        // Whatever it acknowledged was numbered before.
        let until = FIRST_TIME + self.shared.reports.load(Ordering::Acquire);
        let mut acknowledged = self.shared.acknowledged.lock();
        acknowledged.forgiven.push((id.to_owned(), until));
        for (client, answer) in clients.into_iter().zip(seen) {
            let floor = acknowledged.seen.entry(client).or_default();
            *floor = time_of(&answer).max(*floor);
        }
    }

    /// Ends it. What must be known from now on.
    pub(crate) fn end(mut self) -> Floors {
        self.shared.is_over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        let Acknowledged { times, forgiven, seen, .. } = &*self.shared.acknowledged.lock();
        let is_forgiven =
            |node: &String, time: u64| forgiven.iter().any(|(id, until)| id == node && time <= *until);
        let floor = |client: &String, times: &HashMap<String, u64>| {
            let kept = times.iter().filter(|&(node, &time)| !is_forgiven(node, time)).map(|(_, &time)| time);
            kept.chain(seen.get(client).copied()).max().unwrap_or(0)
        };
        times.iter().map(|(client, times)| (client.clone(), floor(client, times))).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // A test that has failed leaves the threads alone: their nodes are about to end.
        self.shared.is_over.store(true, Ordering::Release);
    }
}

impl Shared {
    /// Reports over one connection until it ends or the load does.
    fn report(&self, id: &str, address: &str, fresh: &mut u64) -> io::Result<()> {
        let mut client = Client::try_connect(address)?;
        while !self.is_over.load(Ordering::Acquire) {
            let mut batch = Vec::new();
            for place in 0..BATCH_REPORTS {
                let number = self.reports.fetch_add(1, Ordering::AcqRel);
                let name = if place < BATCH_FRESH {
                    *fresh += 1;
                    format!("{id}.{fresh}")
                } else {
                    format!("roamer.{}", number % ROAMERS)
                };
                batch.push((name, FIRST_TIME + number));
            }
            let lines =
                batch.iter().map(|(name, time)| format!("IAMAT {name} +34.068930-118.445127 {time}\n"));
            client.try_send(lines.collect::<String>().as_bytes())?;
            for (name, time) in batch {
                let reply = client.try_line()?;
                if reply.is_empty() {
                    return Ok(());
                }
                assert!(reply.starts_with(&format!("AT {id} ")) && time_of(&reply) == time, "{reply}");
                let mut acknowledged = self.acknowledged.lock();
                let last = acknowledged.times.entry(name).or_default().entry(id.to_owned()).or_default();
                *last = time.max(*last);
                *acknowledged.counts.entry(id.to_owned()).or_default() += 1;
            }
            thread::sleep(REST_TIME);
        }
        Ok(())
    }
}

/// Waits until all these nodes give the same answer for every client, and none that is too old; how long that took.
#[track_caller]
pub(crate) fn wait_until_agreed(herd: &Herd, ids: &[&str], floors: &Floors) -> Duration {
    assert!(!floors.is_empty());
    let began = Instant::now();
    let all: Vec<String> = floors.keys().cloned().collect();
    let mut open = all.clone();
    loop {
        let was_all = open.len() == all.len();
        let wrong = differing(herd, ids, floors, &open);
        if wrong.is_empty() && was_all {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} of {} clients differ or are too old, among them {:#?}",
            wrong.len(),
            all.len(),
            wrong.iter().take(3).collect::<Vec<_>>()
        );
        // Those that were right may have become wrong meanwhile, so all are looked at in the end.
        open = if wrong.is_empty() { all.clone() } else { wrong.into_keys().collect() };
    }
}

/// How many clients a node does not know, or not as new as it should.
pub(crate) fn count_lacking(herd: &Herd, id: &str, floors: &Floors) -> usize {
    let all: Vec<String> = floors.keys().cloned().collect();
    differing(herd, &[id], floors, &all).len()
}

/// The clients that are not answered for as they should be: their floors, and what each node answers.
fn differing(
    herd: &Herd,
    ids: &[&str],
    floors: &Floors,
    clients: &[String],
) -> BTreeMap<String, (u64, Vec<String>)> {
    let by_node: Vec<Vec<String>> = ids.iter().map(|id| answers(herd, id, clients)).collect();
    let mut wrong = BTreeMap::new();
    for (at, client) in clients.iter().enumerate() {
        let answers: Vec<_> = by_node.iter().map(|answers| answers[at].clone()).collect();
        let is_good = |answer: &String| *answer == answers[0] && time_of(answer) >= floors[client];
        if !answers.iter().all(is_good) {
            wrong.insert(client.clone(), (floors[client], answers));
        }
    }
    wrong
}

/// A node's AT line for each client, or its `?` line.
pub(crate) fn answers(herd: &Herd, id: &str, clients: &[String]) -> Vec<String> {
    let mut client = herd.client(id);
    let mut answers = Vec::with_capacity(clients.len());
    for clients in clients.chunks(64) {
        let lines = clients.iter().map(|client| format!("WHATSAT {client} 1 0\n"));
        client.send(lines.collect::<String>().as_bytes());
        for name in clients {
            let first = client.line();
            assert!(first.contains(name.as_str()), "{id} answers {first:?} for {name}");
            while first.starts_with("AT ") && !client.line().is_empty() {}
            answers.push(first);
        }
    }
    answers
}

/// The time in an AT line; 0 for the line that says the client is not known.
fn time_of(answer: &str) -> u64 {
    if answer.starts_with("? ") { 0 } else { answer.rsplit(' ').next().unwrap().parse().unwrap() }
}
