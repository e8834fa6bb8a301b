//! Names to addresses without waiting for a slow resolver: the system's call cannot be interrupted, so it runs on a
//! thread of its own, at most one a link, and is abandoned where stop comes first. The one place where a thread is not
//! joined; it holds nothing but its answer's channel.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded, select};

/// Looks up a host and port; may take as long as it likes.
pub type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver.
pub fn system_resolve() -> Resolve {
    Arc::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
}

/// One link's resolver.
pub(super) struct Resolver {
    resolve: Resolve,
    host: String,
    port: u16,
    /// The answer of a call that is under way.
    pending: Option<Receiver<io::Result<Vec<SocketAddr>>>>,
}

impl Resolver {
    /// For one host.
    pub(super) fn new(resolve: Resolve, host: &str, port: u16) -> Self {
        Self { resolve, host: host.to_owned(), port, pending: None }
    }

    /// The host's addresses, within `limit` and before stop; a call that takes longer is waited for the next time.
    pub(super) fn addresses(&mut self, limit: Duration, stop: &Receiver<()>) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => self.start()?,
        };
        let error = select! {
            recv(pending) -> answer => {
                return answer.unwrap_or_else(|_| Err(io::Error::other("the resolver's thread panicked")));
            }
            recv(stop) -> _ => io::ErrorKind::Interrupted.into(),
            default(limit) => {
                io::Error::new(io::ErrorKind::TimedOut, format!("the name {} is not resolved yet", self.host))
            }
        };
        self.pending = Some(pending);
        Err(error)
    }

    fn start(&self) -> io::Result<Receiver<io::Result<Vec<SocketAddr>>>> {
        let (answer, pending) = bounded(1);
        let (resolve, host, port) = (Arc::clone(&self.resolve), self.host.clone(), self.port);
        thread::Builder::new().name(format!("resolve-{host}")).spawn(move || {
            // Nobody listens any more where stop came first.
            let _ = answer.send(resolve(&host, port));
        })?;
        Ok(pending)
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
        let mut resolver = Resolver::new(resolve, "slow.example", 7);
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
        let mut resolver = Resolver::new(resolve, "slow.example", 7);
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
}
