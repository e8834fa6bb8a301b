//! Resolves names without waiting for a slow resolver. The system's call cannot be interrupted, so it runs on a thread
//! of its own, at most one per neighbour, and is abandoned if stop comes first. This is the only place of a node where a
//! thread is not joined; it holds nothing but the place for its answer.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded, select};
use parking_lot::Mutex;

use crate::{core::model::Tick, system::clock};

/// How long an answer may be reused without asking again: at least from one such lookup to the next.
const FRESH_TIME: Duration = Duration::from_secs(1);

/// Looks up a host and port; may take any amount of time.
pub type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver.
pub fn system_resolve() -> Resolve {
    Arc::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
}

/// What one neighbour's name means: for its flooder, which looks it up each time it dials, and for the door where it
/// comes in, which uses the last answer.
pub(super) struct Resolver {
    resolve: Resolve,
    host: String,
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The last good answer.
    known: Option<Vec<SocketAddr>>,
    asked_at: Option<Tick>,
    /// The call in progress.
    pending: Option<Call>,
    /// The call that took too long for the flooder. Its answer is for the next dial, or a slow resolver would never be
    /// heard.
    late: Option<Call>,
}

/// A call of the system's resolver, shared by everyone who waits for it.
#[derive(Clone)]
struct Call {
    /// Nothing is ever sent; it is disconnected when the call is over.
    over: Receiver<()>,
    answer: Arc<OnceLock<LookupAnswer>>,
}

/// Its result. An error is kept as its kind and its text, so that it can be reported more than once.
type LookupAnswer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

impl State {
    fn is_fresh(&self, now: Tick) -> bool {
        self.asked_at.is_some_and(|asked_at| now < asked_at + FRESH_TIME)
    }
}

impl Resolver {
    /// A resolver for one host.
    pub(super) fn new(resolve: Resolve, host: &str, port: u16) -> Self {
        let known = host.parse().ok().map(|ip: IpAddr| vec![SocketAddr::new(ip, port)]);
        let state = State { known, ..State::default() };
        Self { resolve, host: host.to_owned(), port, state: Arc::new(Mutex::new(state)) }
    }

    /// The host's addresses, looked up now unless that was done just before, within `limit` and before stop. The next
    /// dial waits for a call that takes longer.
    pub(super) fn addresses(&self, limit: Duration, stop: &Receiver<()>) -> io::Result<Vec<SocketAddr>> {
        if self.is_address() {
            return Ok(self.state.lock().known.clone().unwrap_or_default());
        }
        let late = {
            let mut state = self.state.lock();
            // A link that dials for each line must not ask for each.
            if state.is_fresh(clock::tick())
                && state.pending.is_none()
                && let Some(known) = &state.known
            {
                return Ok(known.clone());
            }
            state.late.take()
        };
        let call = late.map_or_else(|| self.look_up(clock::tick()), Ok)?;
        let error = select! {
            recv(call.over) -> _ => None,
            recv(stop) -> _ => Some(io::ErrorKind::Interrupted.into()),
            default(limit) => {
                let told = format!("the name {} is not resolved yet", self.host);
                Some(io::Error::new(io::ErrorKind::TimedOut, told))
            }
        };
        if let Some(error) = error {
            self.state.lock().late = Some(call);
            return Err(error);
        }
        match call.answer.get() {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err((kind, text))) => Err(io::Error::new(*kind, text.clone())),
            None => Err(io::Error::other("the resolver's thread panicked, which is a bug")),
        }
    }

    /// Whether the host is at that address, by the last good answer; `None` if there has been none. Waits for nothing;
    /// an answer that is not fresh is looked up again for later callers.
    pub(super) fn is_at(&self, ip: IpAddr, now: Tick) -> Option<bool> {
        let is_fresh = self.state.lock().is_fresh(now);
        if !is_fresh && !self.is_address() {
            // If no thread can be started, the name counts as unresolvable.
            let _ = self.look_up(now);
        }
        let state = self.state.lock();
        let known = state.known.as_ref()?;
        Some(known.iter().any(|address| address.ip().to_canonical() == ip))
    }

    fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Starts a lookup of the name, unless one is in progress.
    fn look_up(&self, now: Tick) -> io::Result<Call> {
        let mut state = self.state.lock();
        if let Some(call) = &state.pending {
            return Ok(call.clone());
        }
        let (running, over) = bounded::<()>(0);
        let call = Call { over, answer: Arc::default() };
        let (resolve, host, port) = (Arc::clone(&self.resolve), self.host.clone(), self.port);
        let (answer, asked) = (Arc::clone(&call.answer), Arc::clone(&self.state));
        thread::Builder::new().name(format!("resolve-{host}")).spawn(move || {
            let _running = running;
            let pending = Pending(asked);
            let resolved = resolve(&host, port);
            if let Ok(addresses) = &resolved {
                pending.0.lock().known = Some(addresses.clone());
            }
            let _ = answer.set(resolved.map_err(|error| (error.kind(), error.to_string())));
            drop(pending);
        })?;
        (state.asked_at, state.pending) = (Some(now), Some(call.clone()));
        Ok(call)
    }
}

/// Marks a call in progress, however it ends.
struct Pending(Arc<Mutex<State>>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.lock().pending = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crossbeam_channel::never;

    use super::*;

    #[test]
    fn slow_lookup_does_not_delay_the_link_and_is_not_started_twice() {
        let (release, held) = bounded::<()>(0);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let resolve: Resolve = Arc::new(move |_, port| {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = held.recv();
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        let resolver = Resolver::new(resolve, "slow.example", 7);
        let stop = never();
        for _ in 0..2 {
            let error = resolver.addresses(Duration::ZERO, &stop).unwrap_err();
            assert_eq!(error.to_string(), "the name slow.example is not resolved yet");
        }
        drop(release);
        let addresses = resolver.addresses(Duration::from_secs(60), &stop).unwrap();
        assert_eq!(addresses, [SocketAddr::from(([127, 0, 0, 1], 7))]);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn stop_ends_the_wait_for_a_lookup_and_not_the_lookup() {
        let (release, held) = bounded::<()>(0);
        let (asked, calls) = bounded(10);
        let resolve: Resolve = Arc::new(move |_, port| {
            let _ = asked.send(());
            let _ = held.recv();
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        let resolver = Resolver::new(resolve, "slow.example", 7);
        let (stop_sender, stop) = bounded::<()>(0);
        drop(stop_sender);
        let error = resolver.addresses(Duration::from_secs(60), &stop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        drop(release);
        let addresses = resolver.addresses(Duration::from_secs(60), &never()).unwrap();
        assert_eq!((addresses, calls.len()), (vec![SocketAddr::from(([127, 0, 0, 1], 7))], 1));
    }

    #[test]
    fn an_address_needs_no_lookup() {
        let resolve: Resolve = Arc::new(|_, _| unreachable!());
        let (_sender, stop) = bounded::<()>(0);
        let addresses = Resolver::new(resolve, "::1", 7).addresses(Duration::ZERO, &stop).unwrap();
        assert_eq!(addresses, ["[::1]:7".parse().unwrap()]);
    }

    #[test]
    fn door_is_told_what_is_known_and_has_it_looked_up_by_one_thread_at_most() {
        let (answer, answers) = bounded::<io::Result<Vec<SocketAddr>>>(0);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let resolve: Resolve = Arc::new(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            answers.recv().unwrap()
        });
        let resolver = Resolver::new(resolve, "plain.example", 7);
        let ips @ [old, new, _] = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let (_sender, stop) = bounded::<()>(0);
        let ask = |now| ips.map(|ip| resolver.is_at(ip, now));
        let answered = |with: io::Result<IpAddr>| {
            answer.send(with.map(|ip| vec![SocketAddr::new(ip, 7)])).unwrap();
            while resolver.state.lock().pending.is_some() {
                thread::yield_now();
            }
        };
        let now = clock::tick();
        assert_eq!(ask(now), [None; 3]);
        answered(Ok(old));
        let known = [Some(true), Some(false), Some(false)];
        let last_fresh = now + FRESH_TIME - Duration::from_nanos(1);
        assert_eq!([ask(now), ask(last_fresh)], [known; 2]);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        // An answer holds until there is another, also when a lookup fails.
        for _ in 0..100 {
            assert_eq!(ask(now + FRESH_TIME), known);
        }
        answered(Err(io::ErrorKind::NotFound.into()));
        assert_eq!(ask(now + 2 * FRESH_TIME), known);
        answered(Ok(new));
        assert_eq!(ask(now + 2 * FRESH_TIME), [Some(false), Some(true), Some(false)]);
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        // Each dial looks the name up again, except for a link that dials over and over.
        assert_eq!(resolver.addresses(Duration::ZERO, &stop).unwrap(), [SocketAddr::new(new, 7)]);
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        resolver.state.lock().asked_at = None;
        let looked = thread::scope(|scope| {
            let looked = scope.spawn(|| resolver.addresses(Duration::from_secs(60), &stop));
            answer.send(Ok(vec![SocketAddr::new(old, 8)])).unwrap();
            looked.join().unwrap()
        });
        assert_eq!((looked.unwrap(), ask(now)), (vec![SocketAddr::new(old, 8)], known));
    }

    #[test]
    fn address_is_where_it_says() {
        let resolve: Resolve = Arc::new(|_, _| unreachable!());
        for (host, ip, is_at) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
        ] {
            let resolver = Resolver::new(Arc::clone(&resolve), host, 7);
            assert_eq!(resolver.is_at(ip.parse().unwrap(), Tick::ZERO), Some(is_at), "{host} {ip}");
        }
    }
}
