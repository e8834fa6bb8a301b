//! What a node keeps in its journal beside records: the watermarks that it has had. `WATERMARK 1479413880`, in seconds
//! since 1970. No node says it to another.

use super::fields::decimal;

/// How the line begins.
pub const WATERMARK: &[u8] = b"WATERMARK ";

/// Appends the line of a watermark, with its terminator.
pub fn write_watermark(watermark: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(WATERMARK);
    out.extend_from_slice(format!("{watermark}\n").as_bytes());
}

/// The watermark of a line, given without its terminator; `None` for any other line.
pub fn parse_watermark(line: &[u8]) -> Option<u64> {
    decimal(line.strip_prefix(WATERMARK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermark_comes_back_as_it_was_written() {
        for watermark in [0, 60, u64::MAX] {
            let mut line = Vec::new();
            write_watermark(watermark, &mut line);
            assert_eq!(parse_watermark(line.trim_ascii_end()), Some(watermark));
        }
        for line in [&b"WATERMARK"[..], b"WATERMARK ", b"WATERMARK -1", b"AT 60", b"WATERMARK 60 1"] {
            assert_eq!(parse_watermark(line), None);
        }
    }
}
