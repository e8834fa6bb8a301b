//! A server as its user names it: a host name or an address, a port, and optionally a name for the results.

use std::{
    fmt, io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    str::FromStr,
    time::Duration,
};

use super::FloodError;

/// How long each of a host's addresses may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

/// `HOST:PORT` or `NAME=HOST:PORT`; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    name: Option<String>,
    host_port: String,
}

impl Endpoint {
    /// Connects to the first of the host's addresses that accepts, for an exchange that never waits.
    pub(super) fn connect(&self) -> Result<TcpStream, FloodError> {
        let failed = |source| FloodError::Connect { server: self.to_string(), source };
        let mut refusal = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in self.host_port.to_socket_addrs().map_err(failed)? {
            match connect(address) {
                Ok(stream) => return Ok(stream),
                Err(error) => refusal = error,
            }
        }
        Err(failed(refusal))
    }
}

/// Connects for an exchange that never waits.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, host_port) = match text.split_once('=') {
            Some((name, rest)) => (Some(name.to_owned()), rest),
            None => (None, text),
        };
        let example = "give HOST:PORT, such as localhost:11600 or [::1]:11600, perhaps with NAME= before it";
        let (host, port) = host_port.rsplit_once(':').ok_or(example)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let is_whole = !host.is_empty() && (is_bracketed || !host.contains(':'));
        if !is_whole || port.parse::<u16>().is_err() || name.as_deref() == Some("") {
            return Err(example.to_owned());
        }
        Ok(Self { name, host_port: host_port.to_owned() })
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { name: None, host_port: address.to_string() }
    }
}

impl fmt::Display for Endpoint {
    /// The name, where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or(&self.host_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_by_their_names_where_they_have_one() {
        let told = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(told("localhost:11600").as_deref(), Ok("localhost:11600"));
        assert_eq!(told("[::1]:11600").as_deref(), Ok("[::1]:11600"));
        assert_eq!(told("Ball=[::1]:11600").as_deref(), Ok("Ball"));
        for wrong in ["localhost", ":1", "::1:11600", "a:99999", "a:", "=a:1", ""] {
            assert!(told(wrong).is_err_and(|error| error.contains("HOST:PORT")), "{wrong}");
        }
    }

    #[test]
    fn a_host_without_a_server_is_named_with_its_port() {
        let error = "Ball=127.0.0.1:1".parse::<Endpoint>().unwrap().connect().unwrap_err();
        assert!(error.to_string().contains("Ball"), "{error}");
    }
}
