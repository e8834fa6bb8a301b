//! Lays the embedded places out flat: data/places.zst, a compressed file of columns, becomes records that the binary
//! can search in place, so that a node decodes and allocates nothing at start. data/README.md gives the format.

#[path = "src/places/record.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the reading half is for the program, where the file is a public module"
)]
mod record;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use record::Record;

const SOURCE: &str = "data/places.zst";
const FORMAT: &str = "proxyherd-places 1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=src/places/record.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is unset: run this through cargo")?);
    lay_out(&out)
        .map_err(|error| format!("{SOURCE}: {error}: restore it, or rebuild it with data/build.py").into())
}

/// Writes places.bin, the records; places.txt, the names and vicinities; and places.rs, the bands and the kinds.
fn lay_out(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut plain = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(fs::File::open(SOURCE)?)?.read_to_end(&mut plain)?;
    let columns = Columns::parse(&plain)?;
    let mut text = Text::default();
    let mut records = Vec::with_capacity(columns.count);
    for at in 0..columns.count {
        records.push(columns.record(at, &mut text)?);
    }
    records.sort_unstable_by_key(Record::sort_key);

    let flat: Vec<u8> = records.iter().flat_map(|record| record.to_bytes()).collect();
    fs::write(out.join("places.bin"), flat)?;
    fs::write(out.join("places.txt"), text.all)?;
    let bands = record::band_starts(&records);
    let mut code = format!("static BAND_STARTS: [u32; {}] = {bands:?};\n", bands.len());
    writeln!(code, "static KINDS: [Kind<&str>; {}] = [", columns.kinds.len())?;
    for (source, types) in &columns.kinds {
        writeln!(code, "    Kind {{ source: {source:?}, types: {types:?} }},")?;
    }
    code.push_str("];\n");
    fs::write(out.join("places.rs"), code)?;
    Ok(())
}

/// The columns, still in the order of the file.
struct Columns<'a> {
    count: usize,
    kinds: Vec<(&'a str, &'a str)>,
    kind: &'a [u8],
    rank: &'a [u8],
    number: Vec<u32>,
    latitude: Vec<u32>,
    longitude: Vec<u32>,
    names: Vec<&'a str>,
    vicinities: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn parse(plain: &'a [u8]) -> Result<Self, Box<dyn Error>> {
        let end = plain.windows(2).position(|two| two == b"\n\n").ok_or("no end of the header")?;
        let mut header = std::str::from_utf8(&plain[..end])?.lines();
        if header.next() != Some(FORMAT) {
            return Err("another format".into());
        }
        let mut count = 0;
        let mut kinds = Vec::new();
        for line in header {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["places", number] => count = number.parse()?,
                ["kind", source, types] => kinds.push((source, types)),
                ["package", ..] => {}
                _ => return Err(format!("unknown header line {line:?}").into()),
            }
        }
        let mut rest = &plain[end + 2..];
        let mut column = |width: usize| -> Result<&'a [u8], &str> {
            let (column, after) = rest.split_at_checked(count * width).ok_or("too short")?;
            rest = after;
            Ok(column)
        };
        let (kind, rank) = (column(1)?, column(1)?);
        let (number, latitude, longitude) = (column(4)?, column(4)?, column(4)?);
        let lines: Vec<&str> = std::str::from_utf8(rest)?.split_terminator('\n').collect();
        if lines.len() != 2 * count {
            return Err(format!("{} names and vicinities for {count} places", lines.len()).into());
        }
        Ok(Self {
            count,
            kinds,
            kind,
            rank,
            number: sums(number, count),
            latitude: sums(latitude, count),
            longitude: sums(longitude, count),
            names: lines[..count].to_vec(),
            vicinities: lines[count..].to_vec(),
        })
    }

    fn record(&self, at: usize, text: &mut Text<'a>) -> Result<Record, Box<dyn Error>> {
        let (name, vicinity) = (self.names[at], self.vicinities[at]);
        let source = self.kinds.get(usize::from(self.kind[at])).map(|(source, _)| *source);
        let id = if source == Some("landmark") { slug(name) } else { String::new() };
        let record = Record {
            latitude: self.latitude[at].cast_signed(),
            longitude: self.longitude[at].cast_signed(),
            number: self.number[at].into(),
            text_start: u32::try_from(text.start_of(name, vicinity, &id))?,
            name_len: u8::try_from(name.len())?,
            vicinity_len: u8::try_from(vicinity.len())?,
            id_len: u8::try_from(id.len())?,
            rank: self.rank[at],
            kind: self.kind[at].into(),
        };
        if name.is_empty() || source.is_none() || !record.is_on_earth() {
            return Err(format!("place {at} is invalid").into());
        }
        Ok(record)
    }
}

/// Reverses the columns of differences: four planes, least significant byte first, each value stored as its difference
/// from the one before.
fn sums(planes: &[u8], count: usize) -> Vec<u32> {
    let mut sum = 0_u32;
    let step = |at| u32::from_le_bytes([0, 1, 2, 3].map(|plane| planes[plane * count + at]));
    (0..count)
        .map(|at| {
            sum = sum.wrapping_add(step(at));
            sum
        })
        .collect()
}

/// The words of a name, in small letters, joined by hyphens: the id of a landmark.
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The names, vicinities and ids; for each group of three, only one copy.
#[derive(Default)]
struct Text<'a> {
    all: String,
    starts: HashMap<(&'a str, &'a str, String), usize>,
}

impl<'a> Text<'a> {
    fn start_of(&mut self, name: &'a str, vicinity: &'a str, id: &str) -> usize {
        *self.starts.entry((name, vicinity, id.to_owned())).or_insert_with(|| {
            let start = self.all.len();
            self.all.push_str(name);
            self.all.push_str(vicinity);
            self.all.push_str(id);
            start
        })
    }
}
