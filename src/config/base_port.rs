//! Moves all ports of a herd at once, so that two herds of one configuration can run side by side.

use std::num::NonZeroU16;

use super::{Address, Herd, Node};
use crate::core::model::NodeId;

/// Why a herd's ports cannot be moved there; displays as one line.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum BasePortError {
    /// A port would be no port.
    #[error(
        "--base-port {base} moves `{key}` of {id} from {from} to {to}, and the last port is 65535; give at most {most}"
    )]
    TooHigh {
        /// What was asked for.
        base: NonZeroU16,
        /// The node with the highest port.
        id: NodeId,
        /// The key that has it.
        key: &'static str,
        /// The port.
        from: u16,
        /// What it would become.
        to: u32,
        /// The highest base port at which all ports are ports.
        most: u32,
    },
    /// A third-party node, whose ports stay, has one that a node would get.
    #[error(
        "--base-port {base} moves `{key}` of {id} to {address}, which the third-party node {other} has; give another"
    )]
    Taken {
        /// What was asked for.
        base: NonZeroU16,
        /// The node that is moved.
        id: NodeId,
        /// The key with the address.
        key: &'static str,
        /// The address after the move.
        address: String,
        /// The third-party node.
        other: NodeId,
    },
}

/// The addresses of a node that have a port, each with its key.
fn addresses(node: &mut Node) -> impl Iterator<Item = (&'static str, &mut Address)> {
    let Node { listen, address, tls_listen, http, plain_listen, .. } = node;
    let optional = [
        ("tls_listen", tls_listen.as_mut()),
        ("http", http.as_mut()),
        ("plain_listen", plain_listen.as_mut()),
    ];
    let stated = [("listen", listen), ("address", address)].into_iter();
    let all = stated.chain(optional.into_iter().filter_map(|(key, address)| Some((key, address?))));
    all.filter(|(_, address)| address.port != 0)
}

impl Herd {
    /// The herd with its lowest port at `base`, and each other port as far from it as before. Port 0 stays 0. The ports of
    /// third-party nodes stay as they are: this program does not start them, so they go on listening where they do.
    pub fn with_base_port(mut self, base: NonZeroU16) -> Result<Self, BasePortError> {
        let (mut own, plain): (Vec<&mut Node>, Vec<&mut Node>) =
            self.nodes.iter_mut().partition(|node| node.plain.is_none());
        let ports = own.iter_mut().flat_map(|node| {
            let id = node.id.clone();
            addresses(node).map(move |(key, address)| (address.port, key, id.clone()))
        });
        let mut ports: Vec<_> = ports.collect();
        ports.sort_by_key(|(port, ..)| *port);
        let [(lowest, ..), ..] = ports[..] else { return Ok(self) };
        let moved = |port: u16| u32::from(port) - u32::from(lowest) + u32::from(base.get());
        if let Some(&(from, key, ref id)) = ports.last()
            && moved(from) > u32::from(u16::MAX)
        {
            let most = u32::from(u16::MAX) - u32::from(from - lowest);
            return Err(BasePortError::TooHigh { base, id: id.clone(), key, from, to: moved(from), most });
        }
        for node in own {
            let id = node.id.clone();
            for (key, address) in addresses(node) {
                // Not above 65535, as not even the highest is.
                address.port = moved(address.port) as u16;
                let is_taken = |other: &&&mut Node| {
                    [&other.listen, &other.address].into_iter().any(|taken| taken.clashes_with(address))
                };
                if let Some(other) = plain.iter().find(is_taken) {
                    let (address, other) = (address.to_string(), other.id.clone());
                    return Err(BasePortError::Taken { base, id, key, address, other });
                }
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(herd: &Herd, base: u16) -> Result<Herd, String> {
        let base = NonZeroU16::new(base).unwrap();
        herd.clone().with_base_port(base).map_err(|error| error.to_string())
    }

    fn ports(herd: &Herd) -> Vec<[Option<u16>; 4]> {
        let port = |address: &Option<Address>| address.as_ref().map(|address| address.port);
        let of = |node: &Node| {
            [Some(node.listen.port), Some(node.address.port), port(&node.http), port(&node.plain_listen)]
        };
        herd.nodes.iter().map(of).collect()
    }

    const MIXED: &str = r#"
[herd]
name = "mixed"
secret_file = "s"
[access]
clients = "open"
[[node]]
id = "A"
listen = "0.0.0.0:11610"
address = "a.example:11690"
http = "127.0.0.1:11600"
plain_listen = "127.0.0.1:11700"
links = ["B", "P"]
[[node]]
id = "B"
listen = "127.0.0.1:11611"
[[node]]
id = "P"
listen = "127.0.0.1:9000"
dialect = "plain"
[[node]]
id = "C"
listen = "127.0.0.1:11612"
http = "127.0.0.1:0"
links = ["B"]
"#;

    #[test]
    fn lowest_port_moves_to_the_base_and_the_others_keep_their_distances() {
        let herd = Herd::parse(MIXED, "h.toml").unwrap();
        let at_20000 = moved(&herd, 20_000).unwrap();
        let wanted = [
            [Some(20_010), Some(20_090), Some(20_000), Some(20_100)],
            [Some(20_011), Some(20_011), None, None],
            [Some(9_000), Some(9_000), None, None],
            [Some(20_012), Some(20_012), Some(0), None],
        ];
        assert_eq!(ports(&at_20000), wanted);
        // Down as well as up, and back to where it was.
        assert_eq!(ports(&moved(&at_20000, 1).unwrap())[0], [Some(11), Some(91), Some(1), Some(101)]);
        assert_eq!(moved(&at_20000, 11_600).unwrap(), herd);
        assert_eq!(moved(&at_20000, 20_000).unwrap(), at_20000);
        assert_eq!(Herd::parse(&at_20000.to_toml(), "again").unwrap(), at_20000);
    }

    #[test]
    fn herd_without_a_port_stays_as_it_is() {
        let text = "[herd]\nname = \"one\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:0\"\n";
        let herd = Herd::parse(text, "h.toml").unwrap();
        assert_eq!(moved(&herd, 20_000).unwrap(), herd);
    }

    #[test]
    fn port_beyond_the_last_is_named_with_its_node_and_the_highest_base() {
        let herd = Herd::embedded();
        assert_eq!(ports(&moved(&herd, 65_431).unwrap())[4][2], Some(65_535));
        assert_eq!(
            moved(&herd, 65_432).unwrap_err(),
            "--base-port 65432 moves `http` of Welsh from 11704 to 65536, and the last port is 65535; give at most 65431"
        );
    }

    #[test]
    fn address_of_a_third_party_node_is_not_taken_from_it() {
        let herd = Herd::parse(MIXED, "h.toml").unwrap();
        assert_eq!(
            moved(&herd, 8_989).unwrap_err(),
            "--base-port 8989 moves `listen` of B to 127.0.0.1:9000, which the third-party node P has; give another"
        );
    }
}
