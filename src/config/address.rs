//! Where a node listens or is dialled: a host and a port, as text. Resolving names is for those who connect.

use std::{fmt, net::IpAddr};

/// `127.0.0.1:11600`, `[::1]:11600`, `localhost:11600`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// An IP address in its canonical form, without brackets, or a name.
    pub host: String,
    /// 0 only to listen on: the system then picks one.
    pub port: u16,
}

impl Address {
    /// Reads `HOST:PORT`; an IPv6 host stands in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let all_digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = all_digits.then(|| port.parse().ok()).flatten()?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => IpAddr::V6(bracketed.strip_suffix(']')?.parse().ok()?).to_string(),
            None => match host.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) => ip.to_string(),
                Ok(IpAddr::V6(_)) => return None,
                Err(_) if is_host_name(host) => host.to_owned(),
                Err(_) => return None,
            },
        };
        Some(Self { host, port })
    }

    /// Whether only this machine can reach it, as far as that shows without resolving names.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether it means all addresses of a machine, and so is for listening only.
    pub(crate) fn is_everywhere(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }

    /// Whether both would end at one socket; `localhost` counts as `127.0.0.1`. All addresses of a machine do not clash
    /// with all addresses of another, and which machine is meant is not known here.
    pub(super) fn clashes_with(&self, other: &Self) -> bool {
        fn host(address: &Address) -> &str {
            if address.host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { &address.host }
        }
        !self.is_everywhere()
            && self.port != 0
            && self.port == other.port
            && host(self).eq_ignore_ascii_case(host(other))
    }
}

fn is_host_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    // Digits and dots alone were meant as an IPv4 address, and are not one.
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (1..=253).contains(&host.len()) && host.bytes().all(allowed) && !numeric && !host.starts_with('-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_are_written() {
        for text in [
            "127.0.0.1:11600",
            "[::1]:11600",
            "localhost:0",
            "herd-1.ucla.edu:65535",
            "0.0.0.0:1",
            "[fe80::1]:9",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            ":",
            "11600",
            ":11600",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:+1",
            "::1:11600",
            "[::1]",
            "[::1:1",
            "[127.0.0.1]:1",
            "127.0.0:1",
            "1.2.3.4.5:1",
            "a b:1",
            "host:x",
            "host:1 ",
            "-o:1",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for (text, is_loopback) in [
            ("127.0.0.1:1", true),
            ("127.9.8.7:1", true),
            ("[::1]:1", true),
            ("LocalHost:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.168.0.1:1", false),
            ("localhost.example:1", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_loopback(), is_loopback, "{text}");
        }
    }
}
