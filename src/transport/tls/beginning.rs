//! How TLS on a connection comes about: bytes go from the socket to a step of the handshake, and what that has to say goes
//! back. The thread that owns the connection waits; the steps may be taken by others.

use std::{
    io::{self, ErrorKind},
    net::TcpStream,
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::PollFlags,
    net::{RecvFlags, SendFlags},
};
use rustls::{Connection, Error, ServerConfig, server::Acceptor};

use super::{
    HandshakePool, PeersTls, TlsFault,
    machine::{Incoming, TlsMachine},
    session::{TlsSession, receive, send},
    unbuffered::Unbuffered,
};
use crate::{
    core::wire::{Channel, Exporter},
    transport::stream::wait_for,
};

/// How long one read of a handshake blocks before its caller is asked whether there is time left.
const HANDSHAKE_SLICE: Duration = Duration::from_millis(100);

/// How much of a handshake is read at once. A client says less, but for one with a certificate or much to be resumed.
const HANDSHAKE_READ_BYTES: usize = 4096;

/// The label of RFC 9266, whose context is empty.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// A handshake in the making: a socket, what was already read from it, and how much time is left.
pub(in crate::transport) struct TlsBeginning<'a, T> {
    pub(in crate::transport) tcp: &'a TcpStream,
    /// Who takes its steps; without one, the thread itself.
    pub(in crate::transport) pool: Option<&'a HandshakePool>,
    pub(in crate::transport) begun: &'a [u8],
    pub(in crate::transport) time: T,
}

impl<T: FnMut() -> Duration> TlsBeginning<'_, T> {
    /// Accepts a peer: its first message must offer what peers speak.
    pub(in crate::transport) fn accept_peer(
        mut self,
        tls: &PeersTls,
    ) -> Result<(TlsSession, Channel), TlsFault> {
        let mut acceptor = Box::new(Acceptor::default());
        loop {
            let (came, config) = (self.receive()?, Arc::clone(&tls.server));
            match self.step(move || begin_peer(acceptor, config, &came))? {
                ControlFlow::Continue(unfinished) => acceptor = unfinished,
                ControlFlow::Break(stepped) => return bound(self.shake(stepped)?),
            }
        }
    }

    /// Dials a peer.
    pub(in crate::transport) fn dial_peer(self, tls: &PeersTls) -> Result<(TlsSession, Channel), TlsFault> {
        let dialler = tls.dialler()?;
        let shaken = self.begin_as_dialler(dialler)?;
        if PeersTls::is_agreed(&shaken.machine) { bound(shaken) } else { Err(TlsFault::OtherInside) }
    }

    /// Goes on as the end that dials.
    pub(in crate::transport) fn dial(self, dialler: Connection) -> Result<TlsSession, TlsFault> {
        let Shaken { machine, came } = self.begin_as_dialler(dialler)?;
        Ok(TlsSession::new(machine, came))
    }

    fn begin_as_dialler(self, dialler: Connection) -> Result<Shaken<Connection>, TlsFault> {
        let stepped = self.step(move || advance(Box::new(dialler), Incoming::default()));
        self.shake(stepped)
    }

    /// Accepts a client.
    pub(in crate::transport) fn accept(mut self, config: Arc<ServerConfig>) -> Result<TlsSession, TlsFault> {
        let came = self.receive()?;
        let stepped = self.step(move || begin(config, &came))?;
        let Shaken { machine, came } = self.shake(stepped)?;
        Ok(TlsSession::new(machine, came))
    }

    /// Goes through the rest of the handshake, and sends what follows it.
    fn shake<M: TlsMachine + 'static>(mut self, mut stepped: Stepped<M>) -> Result<Shaken<M>, TlsFault> {
        loop {
            let Stepped { machine, mut came, leaving, fault } = stepped;
            if let Some(fault) = fault {
                // The other end may be told why, if that takes no time.
                let _ = send(self.tcp, &leaving, SendFlags::DONTWAIT);
                return Err(fault.into());
            }
            self.send(&leaving)?;
            if !machine.is_handshaking() {
                return Ok(Shaken { machine, came });
            }
            let more = self.receive()?;
            stepped = self.step(move || {
                drop(leaving);
                came.add(&more);
                advance(machine, came)
            });
        }
    }

    /// Takes what goes deep. What it is given is best freed there, too: a thread keeps small pieces that it has freed for
    /// itself.
    fn step<R: Send + 'static>(&self, step: impl FnOnce() -> R + Send + 'static) -> R {
        match self.pool {
            Some(pool) => pool.take(step),
            None => step(),
        }
    }

    fn check_time(&mut self) -> Result<Duration, TlsFault> {
        Some((self.time)()).filter(|left| !left.is_zero()).ok_or(TlsFault::Late)
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), TlsFault> {
        while !bytes.is_empty() {
            self.check_time()?;
            bytes = &bytes[send(self.tcp, bytes, SendFlags::empty()).map_err(broken)?..];
        }
        Ok(())
    }

    /// What was read before, or what arrives. Nothing is held while it waits: thousands may.
    fn receive(&mut self) -> Result<Vec<u8>, TlsFault> {
        if !self.begun.is_empty() {
            return Ok(std::mem::take(&mut self.begun).to_vec());
        }
        loop {
            let left = self.check_time()?;
            if !wait_for(self.tcp, PollFlags::IN, Some(left.min(HANDSHAKE_SLICE)))
                .map_err(TlsFault::Broken)?
            {
                continue;
            }
            let mut came = vec![0; HANDSHAKE_READ_BYTES];
            match receive(self.tcp, &mut came, RecvFlags::DONTWAIT).map_err(broken)? {
                Some(0) => return Err(TlsFault::Ended),
                Some(count) => {
                    came.truncate(count);
                    return Ok(came);
                }
                None => {}
            }
        }
    }
}

/// A machine after a step of its handshake, what that has to send, and why there is no other step.
struct Stepped<M> {
    machine: Box<M>,
    came: Incoming,
    leaving: Vec<u8>,
    fault: Option<Error>,
}

/// A machine whose handshake is over, and what has come after it.
struct Shaken<M> {
    machine: Box<M>,
    came: Incoming,
}

// None of these is inlined: it would use stack in every connection.

/// Begins with what has come of a client.
#[inline(never)]
fn begin(config: Arc<ServerConfig>, first: &[u8]) -> Result<Stepped<Unbuffered>, TlsFault> {
    let mut came = Incoming::default();
    came.add(first);
    Ok(advance(Box::new(Unbuffered::new(config)?), came))
}

/// Begins with what has come of a peer, once that is its whole first message.
#[inline(never)]
fn begin_peer(
    mut acceptor: Box<Acceptor>,
    config: Arc<ServerConfig>,
    mut came: &[u8],
) -> Result<ControlFlow<Stepped<Connection>, Box<Acceptor>>, TlsFault> {
    while !came.is_empty() {
        acceptor.read_tls(&mut came).map_err(TlsFault::Broken)?;
    }
    // Its alert is not sent: who does not speak as a peer gets no answer.
    let Some(accepted) = acceptor.accept().map_err(|(error, _alert)| error)? else {
        return Ok(ControlFlow::Continue(acceptor));
    };
    if !accepted.client_hello().alpn().is_some_and(PeersTls::is_offered) {
        return Err(TlsFault::OtherInside);
    }
    let connection = accepted.into_connection(config).map_err(|(error, _alert)| error)?;
    Ok(ControlFlow::Break(advance(Box::new(connection.into()), Incoming::default())))
}

/// Goes on with what has come.
#[inline(never)]
fn advance<M: TlsMachine>(mut machine: Box<M>, mut came: Incoming) -> Stepped<M> {
    let mut leaving = Vec::new();
    let fault = machine.take(&mut came, &mut leaving).err();
    Stepped { machine, came, leaving, fault }
}

/// With what binds a handshake inside to it.
fn bound(Shaken { machine, came }: Shaken<Connection>) -> Result<(TlsSession, Channel), TlsFault> {
    let exporter = machine.export_keying_material([0; Exporter::BYTES], EXPORTER_LABEL, Some(b""))?;
    Ok((TlsSession::new(machine, came), Channel::Tls(Exporter::of_bytes(exporter))))
}

fn broken(error: io::Error) -> TlsFault {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => TlsFault::Ended,
        _ => TlsFault::Broken(error),
    }
}
