//! The lines: requests, replies, peers' lines, and how bytes become lines. Pure: no sockets, no clock, no locks.

/// Space, tab, CR, LF, FF, VT: what separates fields.
pub const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}
