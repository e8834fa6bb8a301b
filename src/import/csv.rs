//! CSV and its kin: a line of column names, then a place a line. Which column says what is the user's to say, or guessed by
//! usual names.

use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, Position, ReaderBuilder};

use super::{ANY_RANK, ColumnMap, Field, ImportError, Options, Sink, Skip, types_of};
use crate::places::file::{Entry, Id};

/// The longest row that is read, in bytes, more or less: beyond it, the quote that should end a value is missing.
const ROW_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where in a row each field is.
struct Columns {
    name: usize,
    latitude: usize,
    longitude: usize,
    types: Option<usize>,
    vicinity: Option<usize>,
    rank: Option<usize>,
    id: Option<usize>,
}

impl Columns {
    fn find(map: &ColumnMap, header: &[&str]) -> Result<Self, ImportError> {
        let find = |field| map.position(field, header).map_err(ImportError::Columns);
        let need = |field: Field| {
            find(field)?.ok_or_else(|| {
                let key = field.key();
                let columns = header.join(", ");
                let fault =
                    format!("has no column for {key}; name one with --columns {key}=COLUMN, of {columns}");
                ImportError::Columns(fault)
            })
        };
        Ok(Self {
            name: need(Field::Name)?,
            latitude: need(Field::Latitude)?,
            longitude: need(Field::Longitude)?,
            types: find(Field::Types)?,
            vicinity: find(Field::Vicinity)?,
            rank: find(Field::Rank)?,
            id: find(Field::Id)?,
        })
    }
}

/// Reads rows until the end. Ids begin with the label; where there is no column for them, they are the rows' numbers.
pub fn read(
    from: impl Read,
    delimiter: u8,
    options: &Options<'_>,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(Rows { inner: from, left: ROW_BYTES_MAX });
    let header = reader.byte_headers().map_err(fault)?.clone();
    let header = header.iter().enumerate().map(|(at, name)| {
        let name = if at == 0 { name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name) } else { name };
        std::str::from_utf8(name).map_err(|_| not_utf8(1))
    });
    let columns = Columns::find(options.columns, &header.collect::<Result<Vec<_>, _>>()?)?;
    let mut row = ByteRecord::new();
    loop {
        reader.get_mut().left = ROW_BYTES_MAX;
        let line = reader.position().line();
        match reader.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) if reader.get_ref().left == 0 => {
                let fault =
                    "this row has no end; is a quote missing, or another --delimiter needed?".to_owned();
                return Err(ImportError::Line { line, fault });
            }
            Err(error) => return Err(fault(error)),
        }
        let number = sink.number(options.label);
        add(&row, number, &columns, options.label, sink)?;
    }
}

/// Ends with an error where a row does not end.
struct Rows<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("a row has no end"));
        }
        let count = self.inner.read(into)?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

fn add(
    row: &ByteRecord,
    number: u64,
    columns: &Columns,
    label: &str,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let line = row.position().map_or(0, Position::line);
    let cell = |at: usize| {
        let cell = std::str::from_utf8(row.get(at).unwrap_or_default()).map_err(|_| not_utf8(line))?;
        Ok::<_, ImportError>(cell.trim())
    };
    let maybe = |at: Option<usize>| at.map_or(Ok(""), cell);
    let degrees = |at: usize| Ok::<_, ImportError>(cell(at)?.parse::<f64>().ok());
    let (Some(latitude), Some(longitude)) = (degrees(columns.latitude)?, degrees(columns.longitude)?) else {
        sink.skip(Skip::BadCoordinates);
        return Ok(());
    };
    let id = maybe(columns.id)?;
    let kind = sink.kind(label, &types_of(maybe(columns.types)?))?;
    sink.add(&Entry {
        kind,
        id: if id.is_empty() { Id::Number(number) } else { Id::Text(id) },
        name: cell(columns.name)?,
        vicinity: maybe(columns.vicinity)?,
        latitude,
        longitude,
        rank: maybe(columns.rank)?.parse().ok().filter(|rank: &f64| rank.is_finite()).unwrap_or(ANY_RANK),
    })
}

fn not_utf8(line: u64) -> ImportError {
    ImportError::Line {
        line,
        fault: "this is not UTF-8; convert the file, for example with iconv".to_owned(),
    }
}

fn fault(error: csv::Error) -> ImportError {
    let line = error.position().map_or(0, Position::line);
    match error.into_kind() {
        ErrorKind::Io(error) => ImportError::Io(error),
        kind => ImportError::Line { line, fault: format!("{kind:?}") },
    }
}
