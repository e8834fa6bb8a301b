//! Escapes text from outside before people see it, or a shell. For events, errors and the configuration; traffic is bytes, which
//! `log` escapes so that they can be read back.

use std::{
    ffi::OsStr,
    fmt::{self, Write},
    io,
    os::unix::ffi::OsStrExt,
};

/// Text, escaped as it is displayed, so that it stays on one line and moves no cursor. A backslash stays as it is: neither
/// events nor errors are meant to be read back.
pub struct Escaped<'a>(pub &'a fmt::Arguments<'a>);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(is_deceptive) {
            match piece.char_indices().next_back() {
                Some((at, control)) if is_deceptive(control) => {
                    self.0.write_str(&piece[..at])?;
                    // Two digits are a byte; more need braces, or their end would be unclear.
                    match u32::from(control) {
                        byte @ ..=0xff => write!(self.0, "\\x{byte:02x}")?,
                        letter => write!(self.0, "\\u{{{letter:x}}}")?,
                    }
                }
                _ => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}

/// Writes one escaped line for people: the program that says it, then the message. Every error of the project's
/// programs is printed here, in one piece. If the writer fails, there is nobody left to tell.
pub fn say(out: &mut impl io::Write, who: impl fmt::Display, what: impl fmt::Display) {
    let line = format!("{}\n", Escaped(&format_args!("{who}: {what}")));
    let _ = out.write_all(line.as_bytes());
}

/// The ending of a noun after this number.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `1,234,567`
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `31 B`, `3.1 kB`, `3.1 MB`, `3.1 GB`
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The name that was probably meant where `word` was written: the most alike, if at most a third of its letters differ.
/// Small and capital letters are the same.
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// No name is as long, and the time it takes grows with the square.
    const BYTES_MAX: usize = 200;
    let small = word.to_lowercase();
    let differing = |name: &'n str| {
        let count = strsim::damerau_levenshtein(&small, &name.to_lowercase());
        (3 * count <= small.chars().count().max(name.chars().count())).then_some((count, name))
    };
    if word.len() > BYTES_MAX {
        return None;
    }
    names.filter_map(differing).min_by_key(|(count, _)| *count).map(|(_, name)| name)
}

/// Asks whether the nearest name was meant, where there is one.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

/// The command that converts other encodings to UTF-8.
pub fn utf8_cure(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "it looks like UTF-16, convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"
        }
        [0, _, 0, _, ..] => "it looks like UTF-16, convert it: iconv -f UTF-16BE -t UTF-8 FILE > NEW",
        [_, 0, _, 0, ..] => "it looks like UTF-16, convert it: iconv -f UTF-16LE -t UTF-8 FILE > NEW",
        _ => "if it is Latin-1, convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW",
    }
}

/// Whether a text begins as UTF-16 does: with its mark, or with two letters of ASCII, each in two bytes.
pub fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, 0, _, ..] | [_, 0, _, 0, ..])
}

/// Control characters, and those that end a line, change the direction of text or hide its place.
pub fn is_deceptive(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    let hides = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    letter.is_control() || turns || hides || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// A word as every POSIX shell reads it.
pub(crate) fn shell_word(word: &OsStr) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(plain) => text.to_owned(),
        Some(text) if !text.contains(is_deceptive) => shell_quoted(text),
        _ => quoted_bytes(word.as_bytes()),
    }
}

/// A text as one word of a shell, whatever is in it.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// For what no line can show: every shell understands it, but leaves out newlines at the end.
fn quoted_bytes(bytes: &[u8]) -> String {
    let shown = bytes.iter().enumerate().map(|(at, &byte)| match byte {
        b'\\' => r"\\".to_owned(),
        b'%' => "%%".to_owned(),
        b' '..=b'~' if byte != b'\'' && (byte != b'-' || at > 0) => char::from(byte).to_string(),
        // Three digits at most, so that none of the next letter's is taken for one.
        _ => format!("\\{byte:03o}"),
    });
    format!("\"$(printf '{}')\"", shown.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_if_it_is_near_enough() {
        for (word, names, wanted) in [
            ("Alfrod", &["Ball", "Alford"][..], Some("Alford")),
            ("ALFORD", &["Alford"], Some("Alford")),
            ("Bal", &["Alford", "Ball"], Some("Ball")),
            ("lisen", &["listen", "links"], Some("listen")),
            ("links_", &["links", "link"], Some("links")),
            ("n1", &["n2"], None),
            ("Cat", &["Alford", "Ball"], None),
            ("", &["A"], None),
        ] {
            assert_eq!(nearest(word, names.iter().copied()), wanted, "{word}");
        }
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), None);
    }

    #[test]
    fn counts_and_sizes_are_short_to_read() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let sizes = [0, 999, 5_900, 8_100_000, 3_140_000_000].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "5.9 kB", "8.1 MB", "3.1 GB"]);
    }

    struct Pieces(Vec<Vec<u8>>);

    impl io::Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn errors_are_one_line_in_one_piece_and_do_not_fail() {
        let mut pieces = Pieces(Vec::new());
        say(&mut pieces, "herd", "no\n\x1b[2J");
        assert_eq!(pieces.0, [b"herd: no\\x0a\\x1b[2J\n"]);
        say(&mut &mut [0_u8; 3][..], "herd", "a writer without room");
    }

    #[test]
    fn nothing_ends_the_line_or_hides_in_it() {
        let evil = "a\r\nb\x1b[2J\u{7f}\u{9b}\u{202e}\u{2028}\u{200b}é\u{e0041}";
        let shown = Escaped(&format_args!("{evil}")).to_string();
        assert_eq!(shown, r"a\x0d\x0ab\x1b[2J\x7f\x9b\u{202e}\u{2028}\u{200b}é\u{e0041}");
        assert_eq!(Escaped(&format_args!("plain \\ {}", 1)).to_string(), "plain \\ 1");
    }
}
