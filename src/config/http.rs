//! How the web face of a node is kept from being a burden. Where it listens stands with each node.

use std::time::Duration;

use super::settings::table;

table! {
    /// The table `[http]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct HttpConfig fills "http" {
        /// Connections at once, counted apart from those of clients. One more takes the place of the one that has waited longest
        /// without a whole request, which is answered with 503 if it has begun one. Eight further seats are reserved for
        /// `/livez`, `/readyz` and `/`.
        connections: usize = "connections", Count { default: 1_024, min: 1, max: 1_000_000 }, "at once; one more takes the place of one that waits";
        /// Of those, from one IPv4 address, or from one IPv6 network of 64 bits. One more takes the place of another from there. On
        /// loopback it holds if `loopback_counts` is true. If all requests come through one address, such as a proxy's, set it to
        /// `connections`.
        address_connections: usize = "address_connections", Count { default: 256, min: 1, max: 1_000_000 }, "of those, from one address";
        /// The head of a request: its first line and its headers.
        head_bytes: usize = "head_bytes", Count { default: 8_192, min: 256, max: 65_536 }, "of a request, its body not counted";
        /// The body of a request, once it is decoded from chunks. What takes less says so.
        body_bytes: usize = "body_bytes", Count { default: 1_048_576, min: 0, max: 67_108_864 }, "of a request's body";
        /// The time from the start of a connection until the head of its first request is complete, TLS included. For a further
        /// request it begins with the first byte.
        request_time: Duration = "request_seconds", Seconds { default: 5.0, min: 0.01, max: 60.0 }, "for a request's head to come";
        /// The time for a request's body to arrive.
        body_time: Duration = "body_seconds", Seconds { default: 30.0, min: 0.01, max: 3_600.0 }, "for its body to come";
        /// A connection on which no further request begins for this long is closed.
        idle_time: Duration = "idle_seconds", Seconds { default: 75.0, min: 0.01, max: 86_400.0 }, "between requests, then a connection is closed";
        /// The time for an answer to be taken.
        write_time: Duration = "write_seconds", Seconds { default: 5.0, min: 0.01, max: 60.0 }, "for an answer to be taken";
        /// Whether the `http` addresses serve HTTPS, with the certificate of `[tls]`, and nothing else.
        tls: bool = "tls", Flag { default: false }, "whether `http` addresses serve HTTPS";
        /// This long after its start a node is ready, even if no peer has completed a repair round with it.
        ready_grace: Duration = "ready_seconds", Seconds { default: 10.0, min: 0.0, max: 3_600.0 }, "after its start a node is ready without its neighbours";
    } and {
        /// Names a request may call the node by, beside addresses, `localhost` and the names in its own addresses.
        pub hosts: Vec<String>,
        /// Origins whose web pages may use the node, beside its own, or `*`.
        pub origins: Vec<String>,
    }
}

/// Whether text is an origin as browsers write it, or stands for all.
pub(super) fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return text == "*" };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    ["http", "https"].contains(&scheme)
        && !host.is_empty()
        && host.bytes().all(is_host)
        && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for good in ["*", "https://map.example", "http://localhost:8000", "https://[::1]", "http://[::1]:80"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "map.example",
            "https://",
            "https://map.example/",
            "https://map.example/x",
            "https://*",
            "ftp://map.example",
            "https://a@map.example",
            "https://map.example:",
            "https://map.example:65536",
            "https://map.example:+1",
            "https://map example",
            "HTTPS://map.example",
            "**",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
