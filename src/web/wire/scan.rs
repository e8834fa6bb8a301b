//! Finds where a request's head ends, as it arrives. Stricter than a parser need be: lines end with CRLF, and neither of the
//! two stands alone anywhere, since what one server takes for the end of a line another may not.

/// What the bytes so far show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scanned {
    /// More must come.
    Part,
    /// The head begins after so many bytes and ends before so many.
    Head { from: usize, to: usize },
    /// A line does not end as lines do.
    Bad,
}

/// How far a head was looked at, so that each byte is looked at once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct HeadScan {
    /// So many bytes were looked at.
    at: usize,
    /// Where the head begins: one empty line may come before it (RFC 9112, section 2.2).
    from: usize,
    /// Where the present line begins.
    line: usize,
    /// So many lines have ended.
    lines: usize,
}

impl HeadScan {
    /// Whether the first line has ended.
    pub(super) fn has_first_line(&self) -> bool {
        self.lines > 0
    }

    /// Looks at what has come; `bytes` are all since the head's beginning.
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> Scanned {
        for found in memchr::memchr2_iter(b'\r', b'\n', &bytes[self.at..]) {
            let at = self.at + found;
            if bytes[at] == b'\r' {
                match bytes.get(at + 1) {
                    Some(b'\n') => {}
                    Some(_) => return Scanned::Bad,
                    // It is looked at again.
                    None => {
                        self.at = at;
                        return Scanned::Part;
                    }
                }
                continue;
            }
            if at == self.line || bytes[at - 1] != b'\r' {
                return Scanned::Bad;
            }
            let is_empty = at - self.line == 1;
            self.line = at + 1;
            match (is_empty, self.lines) {
                (false, _) => self.lines += 1,
                (true, 0) if self.from == 0 => self.from = self.line,
                (true, 0) => return Scanned::Bad,
                (true, _) => return Scanned::Head { from: self.from, to: self.line },
            }
        }
        self.at = bytes.len();
        Scanned::Part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out byte by byte, which must be what comes out at once.
    fn scanned(text: &str) -> Scanned {
        let mut scan = HeadScan::default();
        let piecemeal = (0..=text.len())
            .map(|length| scan.go_on(&text.as_bytes()[..length]))
            .find(|scanned| *scanned != Scanned::Part)
            .unwrap_or(Scanned::Part);
        assert_eq!(HeadScan::default().go_on(text.as_bytes()), piecemeal, "{text:?}");
        piecemeal
    }

    #[test]
    fn head_ends_with_the_first_empty_line_after_others() {
        assert_eq!(scanned("GET / HTTP/1.1\r\n\r\nrest\n"), Scanned::Head { from: 0, to: 18 });
        assert_eq!(scanned("\r\nG\r\na: b\r\n\r\n"), Scanned::Head { from: 2, to: 13 });
        for part in ["", "\r", "\r\n", "GET", "GET\r", "GET\r\n", "GET\r\n\r", "\r\nGET"] {
            assert_eq!(scanned(part), Scanned::Part, "{part:?}");
        }
    }

    #[test]
    fn neither_half_of_a_line_end_stands_alone() {
        for bad in [
            "\n",
            "GET\n",
            "GET\r\n\n",
            "GET\r\n a\n",
            "GET\rX",
            "GET\r\r\n",
            "\r\r\n",
            "GET\r\nA: b\rc",
            "\r\n\r\n",
            "GET\r\n\rX",
        ] {
            assert_eq!(scanned(bad), Scanned::Bad, "{bad:?}");
        }
    }
}
