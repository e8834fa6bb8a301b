//! The line a neighbour gets: `AT server skew client location timestamp sender`. Only its timestamp is read.

/// The client's timestamp in a flooded AT line; `None` for any other line, such as `PING 1`.
pub(super) fn timestamp(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.split(|byte| *byte == b' ');
    (fields.next()? == b"AT").then_some(())?;
    fields.nth(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_at_lines_have_a_timestamp() {
        let line = b"AT Solo +0.1 kiwi0.cs.ucla.edu +34.068930-118.445127 1479413884.392014450 Solo";
        assert_eq!(timestamp(line), Some(&b"1479413884.392014450"[..]));
        assert_eq!(timestamp(b"PING 1"), None);
        assert_eq!(timestamp(b"AT Solo"), None);
        assert_eq!(timestamp(b""), None);
    }
}
