//! From the name of a server to the address that is used: a name may have several, and the server listen at one of them
//! only, as `localhost` is `[::1]` and 127.0.0.1.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use thiserror::Error;

/// How long each of a name's addresses may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

/// Why a name gives no address.
#[derive(Debug, Error)]
pub enum AddressError {
    /// It is not of the form.
    #[error("{0:?} is no address: give HOST:PORT, an IPv6 address in brackets as in [::1]:11600")]
    Form(String),
    /// Nobody knows it.
    #[error("cannot find {name:?}: {source}")]
    Unknown {
        /// As given.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// No connection to any of them.
    #[error("cannot connect to {name}, which is {}: {source}; check that the server runs", .addresses.join(" and "))]
    Refused {
        /// As given.
        name: String,
        /// All that were tried.
        addresses: Vec<String>,
        /// Why the last did not work.
        source: io::Error,
    },
}

/// The only address of a name, or the first that accepts a connection. An only one is not tried: a server sees no
/// connection but those of the load.
pub fn resolve(name: &str) -> Result<SocketAddr, AddressError> {
    let port = name.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(AddressError::Form(name.to_owned()));
    }
    let unknown = |source| AddressError::Unknown { name: name.to_owned(), source };
    let addresses: Vec<_> = name.to_socket_addrs().map_err(unknown)?.collect();
    first(&addresses).map_err(|source| AddressError::Refused {
        name: name.to_owned(),
        addresses: addresses.iter().map(SocketAddr::to_string).collect(),
        source,
    })
}

fn first(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    if let [only] = addresses {
        return Ok(*only);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT) {
            Ok(_) => return Ok(*address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn servers_may_be_names_and_ipv6() {
        assert_eq!(resolve("127.0.0.1:5").unwrap().to_string(), "127.0.0.1:5");
        assert_eq!(resolve("[::1]:5").unwrap().to_string(), "[::1]:5");
        for wrong in ["localhost", ":5", "localhost:x", "localhost:70000"] {
            assert!(resolve(wrong).unwrap_err().to_string().contains("HOST:PORT"), "{wrong}");
        }
    }

    #[test]
    fn of_several_addresses_the_first_that_accepts_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let [nobody, other] = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
        assert_eq!(first(&[nobody, there, other]).unwrap(), there);
        assert_eq!(first(&[nobody]).unwrap(), nobody, "an only one is not tried");
        assert!(first(&[nobody, other]).is_err() && first(&[]).is_err());
    }
}
