//! A node's name, as it stands in AT lines: `Alford`.

use std::fmt;

/// 1 to 64 visible ASCII characters. Cheap to compare; cloned only when a herd is set up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(Box<str>);

impl NodeId {
    /// The longest name, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// `None` when the name is empty, too long, or holds anything but visible ASCII.
    pub fn new(name: &str) -> Option<Self> {
        Self::is_valid(name.as_bytes()).then(|| Self(name.into()))
    }

    /// The rule of [`NodeId::new`] on bare bytes, for names in peers' lines.
    pub fn is_valid(name: &[u8]) -> bool {
        (1..=Self::LENGTH_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
