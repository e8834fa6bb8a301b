//! TLS as a load speaks it: whom it believes to be its servers, and whether connections are resumed.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
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
    /// The same for connections that only collect tickets.
    collecting: Arc<ClientConfig>,
    /// What each server's certificate must name.
    names: Vec<ServerName<'static>>,
    is_resumed: bool,
}

impl Tls {
    /// With servers of these names or addresses. Resumed, each connection goes on from an earlier one; otherwise each makes
    /// a whole handshake.
    pub fn new(trust: &Trust, hosts: &[String], is_resumed: bool) -> Result<Self, String> {
        let mut config = trust.config().map_err(|error| error.to_string())?;
        let (kept, mut collecting) = (Arc::default(), config.clone());
        if is_resumed {
            collecting.resumption =
                Resumption::store(Arc::new(Tickets { kept: Arc::clone(&kept), gives: false }));
            config.resumption = Resumption::store(Arc::new(Tickets { kept, gives: true }));
        } else {
            config.resumption = Resumption::disabled();
        }
        let name = |host: &String| {
            let unfit = |_| format!("{host} is no name that a certificate could have");
            ServerName::try_from(host.clone()).map_err(unfit)
        };
        let names = hosts.iter().map(name).collect::<Result<_, _>>()?;
        Ok(Self { config: Arc::new(config), collecting: Arc::new(collecting), names, is_resumed })
    }

    /// A connection to one of the servers, in the making.
    pub(crate) fn connection(&self, target: usize) -> Result<ClientConnection, Error> {
        let mut connection = ClientConnection::new(Arc::clone(&self.config), self.names[target].clone())?;
        // What a connection may send is bounded by its requests.
        connection.set_buffer_limit(None);
        Ok(connection)
    }

    /// Checks that a connection came about as it was to.
    pub(crate) fn check(&self, connection: &ClientConnection) -> io::Result<()> {
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        if is_resumed == self.is_resumed {
            return Ok(());
        }
        Err(io::Error::other("the server does not resume connections"))
    }

    /// Has each server give so many tickets, if connections are to be resumed.
    pub(crate) fn prepare(
        &self,
        targets: &[SocketAddr],
        (count, within): (u32, Duration),
    ) -> Result<(), (SocketAddr, io::Error)> {
        if !self.is_resumed {
            return Ok(());
        }
        for (target, address) in targets.iter().enumerate() {
            let collect = || -> io::Result<()> {
                let name = self.names[target].clone();
                let connection = ClientConnection::new(Arc::clone(&self.collecting), name);
                let mut tcp = TcpStream::connect_timeout(address, within)?;
                tcp.set_read_timeout(Some(within))?;
                self.shake(&mut connection.map_err(io::Error::other)?, &mut tcp)
            };
            (0..count).try_for_each(|_| collect()).map_err(|error| (*address, error))?;
        }
        Ok(())
    }

    /// Goes through a handshake, and waits for the ticket of one that is to be resumed.
    pub(crate) fn shake(&self, connection: &mut ClientConnection, tcp: &mut TcpStream) -> io::Result<()> {
        connection.complete_io(tcp)?;
        while self.is_resumed && connection.tls13_tickets_received() == 0 {
            let count = connection.read_tls(tcp)?;
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

/// The tickets of each server that no connection has used. Each gives one, and gets one in return.
struct Tickets {
    kept: Arc<Mutex<BTreeMap<String, VecDeque<Tls13ClientSessionValue>>>>,
    gives: bool,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl ClientSessionStore for Tickets {
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
        self.kept.lock().entry(name.to_str().into_owned()).or_default().push_back(ticket);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.lock().get_mut(&*name.to_str()).filter(|_| self.gives)?.pop_front()
    }
}
