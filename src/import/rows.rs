//! The rows of CSV (RFC 4180) and its relatives: values between delimiters, quoted if they hold a delimiter, a quote or
//! a line break. Knows the line of the file at which a row or a quote begins, and never takes an unfinished quote for a
//! value.

use std::io::{BufRead, BufReader, Read};

use super::ImportError;

/// The longest row that is read, in bytes.
const ROW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most values that a row may have.
const VALUES_MAX: usize = 64 * 1024;

/// How many line breaks a quoted value may hold. With more, a quote is missing, and what follows would be swallowed.
const VALUE_BREAKS_MAX: u64 = 100;

/// A row's values.
#[derive(Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line at which it begins, counted from 1.
    pub(super) line: u64,
    /// Whether a quoted value in it has a line break.
    is_multiline: bool,
    /// Whether a value in it continues after the quote that closes it.
    pub(super) has_text_behind_quote: bool,
}

impl Row {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The value at this position; empty if there is none.
    pub(super) fn value(&self, at: usize) -> &[u8] {
        let Some(&end) = self.ends.get(at) else { return &[] };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }

    /// Whether it has nothing from this value on.
    pub(super) fn is_blank_from(&self, at: usize) -> bool {
        (at..self.len()).all(|at| self.value(at).trim_ascii().is_empty())
    }

    /// The line at which a quote opens that has swallowed a row: a value of several lines, one of which is a row by
    /// itself. `is_row` gets a line's values, each with whether it is inside such quotes.
    pub(super) fn swallowing_quote(
        &self,
        delimiter: u8,
        is_row: impl Fn(&[(&[u8], bool)]) -> bool,
    ) -> Option<u64> {
        if !self.is_multiline {
            return None;
        }
        let mut line = Vec::new();
        let mut opened = None;
        for at in 0..self.len() {
            let value = self.value(at);
            if breaks(value) == 0 {
                line.push((value, false));
                continue;
            }
            for (number, piece) in value.split(|byte| matches!(byte, b'\r' | b'\n')).enumerate() {
                if number > 0 {
                    if is_row(&line) {
                        return opened.map(|at| self.line_of(at, 0));
                    }
                    line.clear();
                }
                opened = Some(at);
                let values = piece.split(|&byte| byte == delimiter).take(VALUES_MAX);
                line.extend(values.map(|value| (value, true)));
            }
        }
        opened.filter(|_| is_row(&line)).map(|at| self.line_of(at, 0))
    }

    /// The line of the file that contains this byte of this value.
    pub(super) fn line_of(&self, at: usize, offset: usize) -> u64 {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.line + breaks(&self.bytes[..start + offset])
    }
}

/// Handles a byte that follows the quote that closed a value of one line.
fn after_quote(byte: u8, row: &mut Row) -> RowState {
    row.bytes.push(byte);
    if matches!(byte, b' ' | b'\t') {
        return RowState::Blank;
    }
    row.has_text_behind_quote = true;
    RowState::Value
}

fn breaks(bytes: &[u8]) -> u64 {
    let is_break = |at: usize| match bytes[at] {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        byte => byte == b'\r',
    };
    (0..bytes.len()).filter(|&at| is_break(at)).count() as u64
}

/// Reads rows.
pub(super) struct Rows<R> {
    from: BufReader<R>,
    delimiter: u8,
    /// The line of the next byte.
    line: u64,
    last: u8,
}

/// Where in a row the next byte is.
#[derive(Clone, Copy, PartialEq)]
enum RowState {
    /// Before any byte of the row.
    RowStart,
    ValueStart,
    Value,
    /// In the blanks after the quote that closed a value.
    Blank,
    /// After a quote that opened at this line.
    Quoted(u64),
    /// After the quote that may have closed the one opened at this line.
    Closed(u64),
}

impl<R: Read> Rows<R> {
    pub(super) fn new(from: R, delimiter: u8) -> Self {
        Self { from: BufReader::with_capacity(64 * 1024, from), delimiter, line: 1, last: b'\n' }
    }

    /// Reads the next row that is not an empty line; false at the end.
    pub(super) fn read(&mut self, row: &mut Row) -> Result<bool, ImportError> {
        row.bytes.clear();
        row.ends.clear();
        (row.is_multiline, row.has_text_behind_quote) = (false, false);
        let mut at = RowState::RowStart;
        loop {
            let Some(&byte) = self.from.fill_buf()?.first() else { return self.end(at, row) };
            let line = self.line;
            self.take(byte);
            let is_break = matches!(byte, b'\r' | b'\n');
            if at == RowState::RowStart {
                row.line = line;
            }
            at = match at {
                RowState::RowStart if is_break => RowState::RowStart,
                RowState::Quoted(_) | RowState::Closed(_) => self.read_quoted(byte, at, row)?,
                _ if byte == self.delimiter => {
                    row.ends.push(row.bytes.len());
                    RowState::ValueStart
                }
                _ if is_break => {
                    row.ends.push(row.bytes.len());
                    return Ok(true);
                }
                RowState::RowStart | RowState::ValueStart if byte == b'"' => RowState::Quoted(line),
                RowState::Blank => after_quote(byte, row),
                RowState::RowStart | RowState::ValueStart | RowState::Value => {
                    row.bytes.push(byte);
                    RowState::Value
                }
            };
            if at == RowState::RowStart && !row.ends.is_empty() {
                return Ok(true);
            }
            let fault = match (row.bytes.len() > ROW_BYTES_MAX, row.ends.len() >= VALUES_MAX) {
                (true, _) => "this row is longer than 4 MiB; is it a table at all, or is a quote missing?",
                (_, true) => "this row has more than 65,536 values; is it a table with this delimiter?",
                (false, false) => continue,
            };
            return Err(ImportError::Line { line: row.line, fault: fault.to_owned() });
        }
    }

    /// A byte after a quote that has opened.
    fn read_quoted(&self, byte: u8, at: RowState, row: &mut Row) -> Result<RowState, ImportError> {
        match at {
            RowState::Closed(_) if byte == self.delimiter => {
                row.ends.push(row.bytes.len());
                Ok(RowState::ValueStart)
            }
            RowState::Closed(_) if matches!(byte, b'\r' | b'\n') => {
                row.ends.push(row.bytes.len());
                Ok(RowState::RowStart)
            }
            RowState::Closed(opened) if byte == b'"' => {
                row.bytes.push(byte);
                Ok(RowState::Quoted(opened))
            }
            // Within a line, a quote that should have been doubled does no harm beyond the line.
            RowState::Closed(opened) if opened == self.line => Ok(after_quote(byte, row)),
            RowState::Closed(_) if matches!(byte, b' ' | b'\t') => Ok(at),
            RowState::Closed(opened) => Err(ImportError::Line {
                line: opened,
                fault: format!(
                    "the quote that opens here closes within a value at line {}; close it where its value ends, and double quotes that belong to a value",
                    self.line
                ),
            }),
            RowState::Quoted(opened) if byte == b'"' => Ok(RowState::Closed(opened)),
            RowState::Quoted(opened) if self.line - opened > VALUE_BREAKS_MAX => Err(ImportError::Line {
                line: opened,
                fault: format!(
                    "the quote that opens here does not close within {VALUE_BREAKS_MAX} lines; close it where its value ends"
                ),
            }),
            _ => {
                row.bytes.push(byte);
                row.is_multiline |= matches!(byte, b'\r' | b'\n');
                Ok(at)
            }
        }
    }

    /// Advances by a byte, and counts lines: they end with a newline, a carriage return, or both.
    fn take(&mut self, byte: u8) {
        self.from.consume(1);
        if byte == b'\r' || byte == b'\n' && self.last != b'\r' {
            self.line += 1;
        }
        self.last = byte;
    }

    fn end(&self, at: RowState, row: &mut Row) -> Result<bool, ImportError> {
        match at {
            RowState::RowStart => Ok(false),
            RowState::Quoted(line) => {
                let fault = "the quote that opens here never closes; close it where its value ends, or fetch the file again if it was cut off";
                Err(ImportError::Line { line, fault: fault.to_owned() })
            }
            RowState::ValueStart | RowState::Value | RowState::Blank | RowState::Closed(_) => {
                row.ends.push(row.bytes.len());
                Ok(true)
            }
        }
    }

    /// Whether what has been read ends with a line break.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.last, b'\r' | b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>, String> {
        let mut rows = Rows::new(text.as_bytes(), b',');
        let (mut all, mut row) = (Vec::new(), Row::default());
        while rows.read(&mut row).map_err(|error| error.to_string())? {
            let values = (0..row.len()).map(|at| String::from_utf8(row.value(at).to_vec()).unwrap());
            all.push((row.line, values.collect()));
        }
        Ok(all)
    }

    #[track_caller]
    fn assert_rows(text: &str, expected: &[(u64, &[&str])]) {
        let own = |(line, values): &(u64, &[&str])| {
            (*line, values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(read(text).unwrap(), expected.iter().map(own).collect::<Vec<_>>(), "{text:?}");
    }

    #[test]
    fn rows_know_their_lines_whatever_ends_those() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "\"c", "d\",\"\"", ",", "\"e\"\"f\",g"].join(end);
            let multiline = format!("c{end}d");
            let rows: &[(u64, &[&str])] =
                &[(1, &["a", "b"]), (3, &[&multiline, ""]), (5, &["", ""]), (6, &["e\"f", "g"])];
            assert_rows(&text, rows);
            assert_rows(&format!("{text}{end}"), rows);
        }
        assert_rows("", &[]);
        assert_rows("\n\n", &[]);
        assert_rows("\"a\"\n\"b\"", &[(1, &["a"]), (2, &["b"])]);
    }

    #[test]
    fn quotes_within_a_line_harm_nothing_beyond_it() {
        assert_rows("\"Big\" Al's,1\n5\" pipe,2\n", &[(1, &["Big Al's", "1"]), (2, &["5\" pipe", "2"])]);
    }

    #[test]
    fn quotes_that_swallow_lines_are_reported_with_the_line_they_open_at() {
        let open = read("a\nb\n\"c,1\nd,2\n").unwrap_err();
        assert!(open.starts_with("line 3: the quote that opens here never closes"), "{open}");
        let shut = read("a\n\"b,1\nc,2\nx,\"d\",3\n").unwrap_err();
        assert!(
            shut.starts_with("line 2: the quote that opens here closes within a value at line 4"),
            "{shut}"
        );
        let long = read(&format!("\"a{}\"", "\n".repeat(101))).unwrap_err();
        assert!(long.starts_with("line 1: the quote that opens here does not close within 100"), "{long}");
        assert_eq!(read(&format!("\"a{}\"", "\n".repeat(100))).unwrap().len(), 1);
        let wide = read(&"x".repeat(ROW_BYTES_MAX + 1)).unwrap_err();
        assert!(wide.starts_with("line 1: this row is longer than 4 MiB"), "{wide}");
    }

    #[test]
    fn empty_values_are_bounded_too() {
        let commas = ",".repeat(VALUES_MAX - 1);
        assert_eq!(read(&format!("{commas}\n{commas}")).unwrap().len(), 2);
        for (empty, first) in [(",", "a\n"), ("\"\",", "a\n"), (",", "a\n\"\"")] {
            let many = read(&format!("{first}{}", empty.repeat(2 * VALUES_MAX)));
            let many = many.map(|rows| rows.len()).unwrap_err();
            assert!(many.starts_with("line 2: this row has more than 65,536 values"), "{many}");
        }
    }

    #[test]
    fn bytes_are_found_in_the_lines_of_the_file() {
        let mut row = Row::default();
        Rows::new(&b"\n\"a\r\nb\",\"c\nde\""[..], b',').read(&mut row).unwrap();
        assert_eq!((row.line, row.line_of(0, 0), row.line_of(0, 3), row.line_of(1, 3)), (2, 2, 3, 4));
    }
}
