//! Cutting a stream of answers: a report's is one line; a lookup's is `? ` and a copy, or an AT line, a document and
//! what closes it. How many newlines that is depends on the edition, so the document is followed to its own end.

use super::FloodError;

/// An answer may be this long; a lookup for one place has some hundred bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing yet: newlines here belong to the end of the answer before.
    Between,
    /// The first line.
    Line,
    /// What follows an AT line that answers a lookup.
    BeforeDocument,
    /// A JSON document, so many brackets deep.
    Json { depth: u32, in_string: bool, is_escaped: bool },
    /// A document of another kind, which ends with an empty line.
    Other { is_line_empty: bool },
}

/// The answers of one connection, of which at most one is incomplete.
#[derive(Debug)]
pub(super) struct Answers {
    are_of_lookups: bool,
    state: State,
    line: Vec<u8>,
    bytes: usize,
}

impl Answers {
    /// Where only reports are sent.
    pub(super) fn of_reports() -> Self {
        Self { are_of_lookups: false, state: State::Between, line: Vec::new(), bytes: 0 }
    }

    /// Where only lookups are sent.
    pub(super) fn of_lookups() -> Self {
        Self { are_of_lookups: true, ..Self::of_reports() }
    }

    /// The first lines, without their ends, of the answers that `data` completes.
    pub(super) fn feed(&mut self, data: &[u8]) -> Result<Vec<Vec<u8>>, FloodError> {
        let mut whole = Vec::new();
        for &byte in data {
            self.bytes += 1;
            if self.bytes > ANSWER_BYTES_MAX {
                return Err(FloodError::Endless(ANSWER_BYTES_MAX));
            }
            if self.take(byte) {
                self.state = State::Between;
                self.bytes = 0;
                whole.push(std::mem::take(&mut self.line));
            }
        }
        Ok(whole)
    }

    /// The first line of the answer that the end of the input completes, if there is one: a line without its end, or a
    /// document without what closes it.
    pub(super) fn end(&mut self) -> Option<Vec<u8>> {
        let is_whole = match std::mem::replace(&mut self.state, State::Between) {
            State::Line | State::BeforeDocument | State::Other { .. } => true,
            State::Between | State::Json { .. } => false,
        };
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        is_whole.then_some(line)
    }

    /// What was begun is no longer awaited.
    pub(super) fn forget(&mut self) {
        (self.state, self.bytes) = (State::Between, 0);
        self.line.clear();
    }

    /// Whether this byte completes an answer.
    fn take(&mut self, byte: u8) -> bool {
        match &mut self.state {
            State::Between if matches!(byte, b'\r' | b'\n') => {}
            State::Between => {
                self.state = State::Line;
                self.line.push(byte);
            }
            State::Line if byte != b'\n' => self.line.push(byte),
            State::Line => {
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                if !self.are_of_lookups || !self.line.starts_with(b"AT ") {
                    return true;
                }
                self.state = State::BeforeDocument;
            }
            State::BeforeDocument => match byte {
                // Not a document, but what closes one.
                b'\n' => return true,
                b' ' | b'\t' | b'\r' => {}
                b'{' | b'[' => self.state = State::Json { depth: 1, in_string: false, is_escaped: false },
                _ => self.state = State::Other { is_line_empty: false },
            },
            State::Json { depth, in_string, is_escaped } => {
                match byte {
                    _ if *is_escaped => *is_escaped = false,
                    b'\\' if *in_string => *is_escaped = true,
                    b'"' => *in_string = !*in_string,
                    b'{' | b'[' if !*in_string => *depth += 1,
                    b'}' | b']' if !*in_string => *depth -= 1,
                    _ => {}
                }
                return *depth == 0;
            }
            State::Other { is_line_empty } => match byte {
                b'\n' if *is_line_empty => return true,
                b'\n' => *is_line_empty = true,
                b'\r' => {}
                _ => *is_line_empty = false,
            },
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "AT Ball +0.000000001 kiwi +1+1 1.5";

    /// However the stream is cut.
    fn lines(make: fn() -> Answers, stream: &str) -> Vec<String> {
        let cut = |size: usize| {
            let mut answers = make();
            let pieces = stream.as_bytes().chunks(size);
            let lines = pieces.flat_map(|piece| answers.feed(piece).unwrap());
            lines.map(|line| String::from_utf8(line).unwrap()).collect::<Vec<_>>()
        };
        let whole = cut(stream.len());
        assert!((1..stream.len()).all(|size| cut(size) == whole));
        whole
    }

    #[test]
    fn lookups_are_cut_where_their_documents_end() {
        let unknown = "? WHATSAT kiwi 1 1";
        for document in [
            "{\n   \"results\" : [],\n   \"status\" : \"OK\"\n}\n\n",
            "{\"results\":[{\"a\":[]},{}]}\n",
            "{ \"text\" : \"a ]}\\\\\\\",\\\" }{\" }\n\n",
            "[]\n\n",
            "nothing near\nat all\n\n",
            "\n",
        ] {
            let stream = format!("{unknown}\n{KNOWN}\n{document}{KNOWN}\n{document}{unknown}\n");
            assert_eq!(lines(Answers::of_lookups, &stream), [unknown, KNOWN, KNOWN, unknown], "{document}");
        }
    }

    #[test]
    fn a_document_that_has_not_ended_is_no_answer() {
        assert!(lines(Answers::of_lookups, &format!("{KNOWN}\n{{\n\n\n")).is_empty());
        assert!(lines(Answers::of_lookups, "? WHATSAT").is_empty());
    }

    #[test]
    fn the_end_of_the_input_ends_an_answer_too() {
        let ended = |text: &str| {
            let mut answers = Answers::of_lookups();
            assert!(answers.feed(text.as_bytes()).unwrap().is_empty());
            answers.end().map(|line| String::from_utf8(line).unwrap())
        };
        for text in
            [KNOWN.to_owned(), format!("{KNOWN}\r"), format!("{KNOWN}\n"), format!("{KNOWN}\nnothing near")]
        {
            assert_eq!(ended(&text).as_deref(), Some(KNOWN), "{text:?}");
        }
        assert_eq!(ended(&format!("{KNOWN}\n{{\"results\":")), None);
        assert_eq!(ended(""), None);
    }

    #[test]
    fn reports_are_answered_by_lines() {
        let stream = format!("{KNOWN}\n? IAMAT\r\n{KNOWN}\n");
        assert_eq!(lines(Answers::of_reports, &stream), [KNOWN, "? IAMAT", KNOWN]);
    }

    #[test]
    fn an_answer_without_an_end_is_given_up() {
        let mut answers = Answers::of_reports();
        assert!(answers.feed(&vec![b'x'; ANSWER_BYTES_MAX]).is_ok());
        assert!(matches!(answers.feed(b"x"), Err(FloodError::Endless(_))));
    }
}
