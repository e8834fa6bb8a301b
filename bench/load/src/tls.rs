//! TLS as a load speaks it: whom it believes to be its servers, and whether connections are resumed.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use proxyherd::transport::Trust;
use rustls::{
    ClientConfig, ClientConnection, Error, HandshakeKind, NamedGroup,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

/// How connections speak TLS with the servers of a load.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// What each server's certificate must name.
    names: Vec<ServerName<'static>>,
    is_resumed: bool,
}

impl Tls {
    /// With servers of these names or addresses. Resumed, all connections but the first to each go on from that one;
    /// otherwise each makes a whole handshake.
    pub fn new(trust: &Trust, hosts: &[String], is_resumed: bool) -> Result<Self, String> {
        let mut config = trust.config().map_err(|error| error.to_string())?;
        config.resumption = match is_resumed {
            true => Resumption::store(Arc::new(FirstTickets::default())),
            false => Resumption::disabled(),
        };
        let name = |host: &String| {
            let unfit = |_| format!("{host} is no name that a certificate could have");
            ServerName::try_from(host.clone()).map_err(unfit)
        };
        let names = hosts.iter().map(name).collect::<Result<_, _>>()?;
        Ok(Self { config: Arc::new(config), names, is_resumed })
    }

    /// A connection to one of the servers, in the making.
    pub(crate) fn connection(&self, target: usize) -> Result<ClientConnection, Error> {
        let mut connection = ClientConnection::new(Arc::clone(&self.config), self.names[target].clone())?;
        // What a connection may send is bounded by its requests.
        connection.set_buffer_limit(None);
        Ok(connection)
    }

    /// Whether a connection came about as it was to.
    pub(crate) fn is_as_wanted(&self, connection: &ClientConnection) -> bool {
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        is_resumed == self.is_resumed
    }

    /// Has each server give a ticket, if connections are to be resumed.
    pub(crate) fn prepare(&self, targets: &[SocketAddr], within: Duration) -> Result<(), (SocketAddr, io::Error)> {
        let targets = targets.iter().enumerate().filter(|_| self.is_resumed);
        targets.into_iter().try_for_each(|(target, address)| {
            self.take_ticket(target, *address, within).map_err(|error| (*address, error))
        })
    }

    fn take_ticket(&self, target: usize, address: SocketAddr, within: Duration) -> io::Result<()> {
        let mut tcp = TcpStream::connect_timeout(&address, within)?;
        tcp.set_read_timeout(Some(within))?;
        let mut connection = self.connection(target).map_err(io::Error::other)?;
        connection.complete_io(&mut tcp)?;
        while connection.tls13_tickets_received() == 0 {
            let count = connection.read_tls(&mut (&tcp).take(4096))?;
            connection.process_new_packets().map_err(io::Error::other)?;
            if count == 0 {
                return Err(io::Error::other("it gives no ticket to resume a connection with"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("names", &self.names).field("is_resumed", &self.is_resumed).finish()
    }
}

/// Keeps the first ticket of each server, and gives it to every connection: one that was used is as good as a new one.
#[derive(Default)]
struct FirstTickets(Mutex<BTreeMap<String, Tls13ClientSessionValue>>);

impl fmt::Debug for FirstTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirstTickets")
    }
}

impl ClientSessionStore for FirstTickets {
    fn set_kx_hint(&self, _name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, _session: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.0.lock().entry(name.to_str().into_owned()).or_insert(ticket);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().get(&*name.to_str()).cloned()
    }
}
