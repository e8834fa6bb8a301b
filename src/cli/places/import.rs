//! `herd places import`: other people's files in, one file of places out, written whole or not at all.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::ValueHint;

use super::super::{CommandError, complain, printable, signals::Interrupts};
use super::{input::Input, output};
use crate::{
    import::{ColumnMap, Format, Note, Sink, Skip, Skipped},
    places::file::{Finished, Made},
    system::clock,
    text::{grouped, plural},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd places import monaco.osm.pbf -o places.bin
  herd places import sights.csv -o places.bin --columns name=Title,lat=Y,lng=X,types=Kind
  herd places import US.txt parks.geojson -o places.bin --attribution 'Parks: my town'
  herd places import <(gunzip -c stops.csv.gz) -o places.bin --label stops
Then look at it with herd places near LAT LNG KM --file places.bin.
Ctrl-C leaves nothing behind; a shell then sees the exit code 130, or 143 after SIGTERM.")]
pub(in crate::cli) struct Args {
    /// What to read: .osm.pbf, GeoJSON, CSV or a dump of GeoNames, told by the content, else by the end of the name.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// The file to make; a link is followed.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    /// The form of every file, whatever its content and name.
    #[arg(long, value_parser = format_of)]
    pub(super) format: Option<Format>,
    /// Which column of CSV, or property of GeoJSON, says what: name=Title,lat=Y,lng=X,types=Kind,vicinity=City,rank=Rank,id=Id.
    #[arg(long, value_name = "MAP", default_value = "", hide_default_value = true, value_parser = ColumnMap::parse)]
    pub(super) columns: ColumnMap,
    /// What divides the columns of CSV; without it a comma, a semicolon, a tab or a bar, as the first line shows.
    #[arg(long, value_name = "C", value_parser = delimiter_of)]
    pub(super) delimiter: Option<u8>,
    /// What the ids of places from CSV and GeoJSON begin with; without it the file's name.
    #[arg(long, value_parser = label_of)]
    pub(super) label: Option<String>,
    /// The language of names where OpenStreetMap has several, such as en.
    #[arg(long, value_name = "CODE")]
    pub(super) lang: Option<String>,
    /// Who must be named beside the places, as HTML; may be given more than once.
    #[arg(long, value_name = "TEXT")]
    attribution: Vec<String>,
    /// Replace OUT if it is there, and a regular file.
    #[arg(long)]
    force: bool,
}

fn format_of(word: &str) -> Result<Format, String> {
    let found = Format::ALL.into_iter().find(|(name, _)| *name == word);
    let names = Format::ALL.map(|(name, _)| name).join(", ");
    found.map(|(_, format)| format).ok_or_else(|| format!("it is one of {names}"))
}

fn delimiter_of(word: &str) -> Result<u8, String> {
    match word {
        "tab" | "\\t" => Ok(b'\t'),
        _ => match word.as_bytes() {
            &[byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(byte),
            _ => Err("it is one character of ASCII, or the word tab".to_owned()),
        },
    }
}

fn is_of_label(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

/// What the place_ids of OpenStreetMap and GeoNames begin with.
const TAKEN_LABELS: [&str; 2] = ["osm", "geonames"];

fn label_of(word: &str) -> Result<String, String> {
    if word.is_empty() || !word.chars().all(is_of_label) {
        return Err("it is made of letters, digits, '.', '_' and '-'".to_owned());
    }
    if TAKEN_LABELS.contains(&word) {
        return Err("the ids of OpenStreetMap and GeoNames begin with that; choose another".to_owned());
    }
    Ok(word.to_owned())
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let output = output::check(&args.output, args.force, &args.files)?;
    let inputs = args.files.iter().map(|file| Input::open(file, args)).collect::<Result<Vec<_>, _>>()?;
    let mut sink = Sink::default();
    for (file, input) in args.files.iter().zip(inputs) {
        input
            .read(args, &mut sink)
            .map_err(|error| CommandError::Failed(format!("{}: {error}", file.display())))?;
    }
    args.attribution.iter().for_each(|html| sink.builder.attribute(html));
    sink.end();
    let (mut skipped, noted) = (sink.skipped().clone(), sink.noted().clone());
    let unended = unended(sink.unended());
    if sink.builder.count() == 0 {
        let found = format!("no place is in {}{}", names(&args.files), told(&skipped, &BTreeMap::new()));
        return Err(CommandError::Failed(format!("{found}; nothing is written")));
    }
    let made = Made {
        at: clock::utc_text(clock::wall()),
        by: format!("herd {}", env!("CARGO_PKG_VERSION")),
        from: args.files.iter().map(|file| file_name(file)).collect(),
    };
    let ready = sink.builder.finish(made);
    let interrupts = Interrupts::watch().map_err(CommandError::Signals)?;
    let written = output::write_whole(&output, args.force, &interrupts, |out| ready.write(out));
    let written = written.map_err(|error| {
        let out = args.output.display();
        CommandError::Failed(match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{out}: {error}; replace it with --force, or name another with -o")
            }
            _ => format!("{out} cannot be written: {error}; make room there, or name another with -o"),
        })
    })?;
    let Finished { places, duplicates, bytes } = written.value;
    if duplicates > 0 {
        skipped.entry(Skip::Duplicate).or_default().count = duplicates as u64;
    }
    complain(&format!(
        "{}: {} in {}{}{unended}",
        args.output.display(),
        counted(places as u64, "place"),
        size(bytes),
        told(&skipped, &noted)
    ));
    if let Some(error) = written.unsynced {
        let out = args.output.display();
        complain(&format!(
            "{out} is whole, but a power cut may still lose it: its folder cannot be synced: {error}"
        ));
    }
    Ok(())
}

/// A file's size with a unit that suits it.
fn size(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

pub(super) fn file_name(path: &Path) -> String {
    printable::one_line(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// The label of a file that was given none.
pub(super) fn label_of_file(path: &Path) -> String {
    let plain = |name: &str| {
        name.chars().map(|letter| if is_of_label(letter) { letter } else { '-' }).collect::<String>()
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match plain(&stem).as_str() {
        "" => "places".to_owned(),
        // With its ending, the name is nobody's.
        taken if TAKEN_LABELS.contains(&taken) => format!("{}-file", plain(&file_name(path))),
        label => label.to_owned(),
    }
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What was left out or taken otherwise, and why, to follow what was done.
fn told(skipped: &BTreeMap<Skip, Skipped>, noted: &BTreeMap<Note, Skipped>) -> String {
    let first = |first: &Option<(String, u64)>| match first {
        Some((file, line)) => format!(" (see {file}, line {line})"),
        None => String::new(),
    };
    let mut text = String::new();
    for (at, (why, skipped)) in skipped.iter().enumerate() {
        let begin = if at == 0 { "; skipped " } else { ", " };
        let _ = write!(text, "{begin}{} {why}{}", grouped(skipped.count), first(&skipped.first));
    }
    for (what, noted) in noted {
        let done = what.told(&grouped(noted.count), noted.count == 1);
        let _ = write!(text, "; {done}{}", first(&noted.first));
    }
    text
}

/// That files may have been cut off: where that was in the middle of a number, nothing else shows it.
fn unended(files: &[String]) -> String {
    match files {
        [] => String::new(),
        [file] => {
            format!(
                "; the last line of {file} has no newline: if the file was cut off, its last place may be wrong"
            )
        }
        files => format!(
            "; the last lines of {} have no newline: if a file was cut off, its last place may be wrong",
            files.join(", ")
        ),
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), plural(count as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_like_counts() {
        assert_eq!((counted(1, "place"), counted(2, "place")), ("1 place".to_owned(), "2 places".to_owned()));
        let lines = Skipped { count: 3, first: Some(("parks.csv".to_owned(), 7)) };
        let others = Skipped { count: 1_000, first: None };
        let cut = Skipped { count: 1, first: Some(("parks.csv".to_owned(), 9)) };
        let ranks = Skipped { count: 2, first: None };
        let skipped = BTreeMap::from([(Skip::NoName, lines), (Skip::Duplicate, others)]);
        assert_eq!(
            told(&skipped, &BTreeMap::from([(Note::Shortened, cut), (Note::BadRank, ranks)])),
            "; skipped 3 without a name (see parks.csv, line 7), 1,000 with an id that came before; 1 text cut to 255 bytes \
             (see parks.csv, line 9); 2 ranks are not 0 to 5, taken as the nearest of these, or as unknown"
        );
        assert_eq!(told(&BTreeMap::new(), &BTreeMap::new()), "");
    }

    #[test]
    fn label_of_a_file_is_its_name_in_plain_letters() {
        let label = |path: &str| label_of_file(Path::new(path));
        assert_eq!(
            (label("a/My parks.osm.csv").as_str(), label("Zürich.csv").as_str()),
            ("My-parks.osm", "Z-rich")
        );
        assert_eq!(
            (label("osm.geojson").as_str(), label("geonames").as_str()),
            ("osm.geojson-file", "geonames-file")
        );
        assert!(label_of("osm").is_err() && label_of("osm2").is_ok());
    }

    #[test]
    fn delimiters_are_one_character() {
        assert_eq!(delimiter_of("tab"), Ok(b'\t'));
        assert_eq!(delimiter_of(";"), Ok(b';'));
        for wrong in ["", ";;", "\"", "é"] {
            assert!(delimiter_of(wrong).is_err(), "{wrong}");
        }
    }
}
