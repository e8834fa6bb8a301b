//! CSV and its relatives: a line of column names, then one place per line. The user says which column means what;
//! otherwise it is guessed from usual names.

use std::io::{BufRead, BufReader, Cursor, Read};

use super::{
    ANY_RANK, BYTE_ORDER_MARK, ColumnMap, Field, ImportError, ImportOptions, NOT_UTF8, Note, Sink, Skip,
    columns::Columns,
    number,
    publishers::Publisher,
    rank_of,
    rows::{Row, Rows},
    types_of, unnumbered,
};
use crate::places::file::{Id, PlaceEntry};

/// What may separate columns if the user does not say, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How much of the first line is examined to find the delimiter, in bytes.
const FIRST_LINE_BYTES_MAX: u64 = 64 * 1024;

/// Reads rows until the end. Without a delimiter, the header shows which it is. Ids begin with the label; rows without
/// an id are numbered, in a name space of their own.
pub fn read(
    from: impl Read,
    delimiter: Option<u8>,
    options: &ImportOptions<'_>,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let mut from = BufReader::new(from);
    let first = first_line(&mut from)?;
    let hint = spreadsheet_hint(&first);
    let is_told = delimiter.is_some();
    let delimiter = delimiter.or(hint).unwrap_or_else(|| guess(&first, options.columns));
    let mut rows = Rows::new(Cursor::new(first).chain(from), delimiter);
    if hint.is_some() {
        rows.read(&mut Row::default())?;
    }
    let table = Table::read_header(&mut rows, delimiter, is_told, options)?;
    let mut row = Row::default();
    while rows.read(&mut row)? {
        if !row.is_blank_from(0) {
            table.add(&row, sink)?;
        }
    }
    if !rows.is_ended() {
        sink.note_unended();
    }
    Ok(())
}

/// The first line, its end included, as far as it is examined; without a byte order mark.
fn first_line(from: &mut impl BufRead) -> Result<Vec<u8>, ImportError> {
    let mut line = Vec::new();
    for byte in from.take(FIRST_LINE_BYTES_MAX).bytes() {
        line.push(byte?);
        if line.starts_with(BYTE_ORDER_MARK) {
            line.clear();
        }
        let is_ended = line.ends_with(b"\r") || line.ends_with(b"\n");
        if is_ended && !line.trim_ascii().is_empty() {
            break;
        }
    }
    Ok(line)
}

/// `sep=;`, with which some spreadsheets begin a file.
fn spreadsheet_hint(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end() {
        [s, e, p, b'=', delimiter] if [s, e, p].map(u8::to_ascii_lowercase) == *b"sep" => Some(*delimiter),
        _ => None,
    }
}

/// The delimiter that finds the most in a header: the most required columns, then the most columns.
fn guess(line: &[u8], map: &ColumnMap) -> u8 {
    let score = |delimiter| score(line, delimiter, map);
    let first = |best: u8, other: u8| if score(other) > score(best) { other } else { best };
    DELIMITERS.into_iter().reduce(first).unwrap_or(b',')
}

/// How many required columns a header has, and how many columns in all.
fn score(line: &[u8], delimiter: u8, map: &ColumnMap) -> (usize, usize) {
    let mut row = Row::default();
    // A name with a line break in it may open a quote that this line does not close.
    let _ = Rows::new(line, delimiter).read(&mut row);
    let names: Vec<_> = (0..row.len()).map(|at| String::from_utf8_lossy(row.value(at))).collect();
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    (Columns::count_needed(map, &names), names.len())
}

/// Whether a file may be a table, judging from its beginning: its first line has a name and a point.
pub(super) fn is_header(head: &[u8], map: &ColumnMap) -> bool {
    let end = head.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(head.len());
    let line = &head[..end];
    spreadsheet_hint(line).is_some() || score(line, guess(line, map), map).0 == 3
}

/// How a file's rows become places.
struct Table<'a> {
    columns: Columns,
    width: usize,
    delimiter: u8,
    publisher: Option<Publisher>,
    options: &'a ImportOptions<'a>,
    unnumbered: String,
}

impl<'a> Table<'a> {
    fn read_header(
        rows: &mut Rows<impl Read>,
        delimiter: u8,
        is_told: bool,
        options: &'a ImportOptions<'a>,
    ) -> Result<Self, ImportError> {
        let mut header = Row::default();
        if !rows.read(&mut header)? {
            return Err(ImportError::Form(
                "is empty; it needs a first line that names its columns".to_owned(),
            ));
        }
        let names = (0..header.len()).map(|at| text(&header, at)).collect::<Result<Vec<_>, _>>()?;
        let columns = Columns::find(options.columns, &names);
        let columns = columns.map_err(|fault| {
            ImportError::Form(if is_told && names.len() == 1 && !names[0].starts_with('#') {
                no_such_delimiter(delimiter)
            } else {
                fault
            })
        })?;
        let own_columns =
            [Field::Types, Field::Rank].iter().any(|field| options.columns.named(*field).is_some());
        let table = Self {
            columns,
            width: header.len(),
            delimiter,
            publisher: if own_columns { None } else { Publisher::of_header(&names) },
            options,
            unnumbered: unnumbered(options.label, "row"),
        };
        table.check_quotes(&header)?;
        Ok(table)
    }

    /// A value of several lines, of which one is a row by itself, has most likely swallowed that row.
    fn check_quotes(&self, row: &Row) -> Result<(), ImportError> {
        let Columns { latitude, longitude, .. } = self.columns;
        let is_row = |line: &[(&[u8], bool)]| {
            let is_number = |at: usize| std::str::from_utf8(line[at].0).ok().and_then(number).is_some();
            let is_blank = |(value, _): &(&[u8], bool)| value.trim_ascii().is_empty();
            line.len() >= self.width
                && line[self.width..].iter().all(is_blank)
                && (line[latitude].1 || line[longitude].1)
                && is_number(latitude)
                && is_number(longitude)
        };
        match row.swallowing_quote(self.delimiter, is_row) {
            None => Ok(()),
            Some(line) => Err(ImportError::Line {
                line,
                fault: "the quote that opens here closes some lines later, with a whole row in between; close the quote where its value ends, or write it twice if it belongs to the value".to_owned(),
            }),
        }
    }

    fn add(&self, row: &Row, sink: &mut Sink) -> Result<(), ImportError> {
        self.check_quotes(row)?;
        let number_of_row = sink.number(self.options.label);
        let line = Some(row.line);
        // If a value is missing or one too many, there is no telling which value is which.
        if row.len() < self.width {
            sink.skip(Skip::ShortRow, line);
            return Ok(());
        }
        if !row.is_blank_from(self.width) {
            sink.skip(Skip::LongRow, line);
            return Ok(());
        }
        let Columns { name, latitude, longitude, types, vicinity, rank, id } = self.columns;
        let maybe = |at: Option<usize>| at.map_or(Ok(""), |at| text(row, at));
        let (Some(latitude), Some(longitude)) = (number(text(row, latitude)?), number(text(row, longitude)?))
        else {
            sink.skip(Skip::BadCoordinates, line);
            return Ok(());
        };
        let (own_rank, is_rank) = rank_of(if self.publisher.is_none() { maybe(rank)? } else { "" });
        let (types, rank) = match self.publisher {
            None => (types_of(maybe(types)?), own_rank.unwrap_or(ANY_RANK)),
            Some(publisher) => match publisher.kind(|at| text(row, at).unwrap_or_default()) {
                Some((types, rank)) => (types.to_owned(), rank),
                None => {
                    sink.skip(Skip::NoKind, line);
                    return Ok(());
                }
            },
        };
        let id = maybe(id)?;
        let source = if id.is_empty() { self.unnumbered.as_str() } else { self.options.label };
        let kind = sink.kind(source, &types)?;
        let id = if id.is_empty() { Id::Number(number_of_row) } else { Id::Text(id) };
        let (name, vicinity) = (text(row, name)?, maybe(vicinity)?);
        if sink.add(&PlaceEntry { kind, id, name, vicinity, latitude, longitude, rank }, line)? {
            let notes = [(Note::BadRank, !is_rank), (Note::TextBehindQuote, row.has_text_behind_quote)];
            notes.iter().filter(|(_, is_so)| *is_so).for_each(|(note, _)| sink.note(*note, line));
        }
        Ok(())
    }
}

/// What is wrong if the delimiter that the user names separates nothing.
fn no_such_delimiter(delimiter: u8) -> String {
    format!(
        "has one column with the delimiter {:?}; its first line must name the columns, separated by it, among them name, lat and lng",
        char::from(delimiter)
    )
}

/// A value as a text, without white space around it.
fn text(row: &Row, at: usize) -> Result<&str, ImportError> {
    match std::str::from_utf8(row.value(at)) {
        Ok(text) => Ok(text.trim()),
        Err(error) => {
            Err(ImportError::Line { line: row.line_of(at, error.valid_up_to()), fault: NOT_UTF8.to_owned() })
        }
    }
}
