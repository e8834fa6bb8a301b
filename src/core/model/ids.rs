//! The names of clients and of nodes.

use std::fmt;

/// Space, tab, CR, LF, FF, VT: the bytes that separate fields, and that no field contains.
pub const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// A client's name as it stands in its line: any run of bytes without white space, UTF-8 or not, returned byte for
/// byte. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId<'a>(&'a [u8]);

impl<'a> ClientId<'a> {
    /// `None` when the bytes are empty or hold white space (space, tab, CR, LF, FF, VT).
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let sound = !bytes.is_empty() && !bytes.iter().any(|&byte| is_white_space(byte));
        sound.then_some(Self(bytes))
    }

    /// For a field that splitting has already stripped of white space.
    pub(crate) fn of_field(bytes: &'a [u8]) -> Self {
        debug_assert!(Self::new(bytes).is_some());
        Self(bytes)
    }

    /// The name's bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// A node's name, as it stands in AT lines: 1 to 64 visible ASCII characters. Cheap to compare; cloned only when a herd is set up.
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
