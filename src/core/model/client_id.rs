//! Who reports: any run of non-white-space bytes, UTF-8 or not, given back byte for byte.

/// Space, tab, CR, LF, FF, VT: what separates fields, and so is in none.
pub const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// A client's name as it stands in the line it came in. Never empty, never with white space in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId<'a>(&'a [u8]);

impl<'a> ClientId<'a> {
    /// `None` when the bytes are empty or hold white space (space, tab, CR, LF, FF, VT).
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let sound = !bytes.is_empty() && !bytes.iter().any(|&byte| is_white_space(byte));
        sound.then_some(Self(bytes))
    }

    /// For a field that splitting has already freed of white space.
    pub(crate) fn of_field(bytes: &'a [u8]) -> Self {
        debug_assert!(Self::new(bytes).is_some());
        Self(bytes)
    }

    /// The name's bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}
