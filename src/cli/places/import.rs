//! `herd places import`: other people's files in, one file of places out, written whole or not at all.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::ValueHint;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::{Failure, complain, printable};
use crate::{
    clock,
    import::{self, ColumnMap, Format, ImportError, Options, Sink, Skip},
    places::file::{Finished, Made},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd places import monaco.osm.pbf -o places.bin
  herd places import sights.csv -o places.bin --columns name=Title,lat=Y,lng=X,types=Kind
  herd places import US.txt parks.geojson -o places.bin --attribution 'Parks: my town'
Then look at it with herd places near LAT LNG KM --file places.bin")]
pub(in crate::cli) struct Args {
    /// What to read; the form is told by the end of the name: .pbf, .geojson, .json, .geojsonl, .csv, .tsv; .txt is GeoNames'.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// The file to make.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    /// The form of every file, whatever its name.
    #[arg(long, value_parser = format_of)]
    format: Option<Format>,
    /// Which column of CSV, or property of GeoJSON, says what: name=Title,lat=Y,lng=X,types=Kind,vicinity=City,rank=Rank,id=Id.
    #[arg(long, value_name = "MAP", default_value = "", hide_default_value = true, value_parser = ColumnMap::parse)]
    columns: ColumnMap,
    /// What divides the columns of CSV; without it a comma, in .tsv a tab.
    #[arg(long, value_name = "C", value_parser = delimiter_of)]
    delimiter: Option<u8>,
    /// What the ids of places from CSV and GeoJSON begin with; without it the file's name.
    #[arg(long, value_parser = label_of)]
    label: Option<String>,
    /// The language of names where OpenStreetMap has several, such as en.
    #[arg(long, value_name = "CODE")]
    lang: Option<String>,
    /// Who must be named beside the places, as HTML; may be given more than once.
    #[arg(long, value_name = "TEXT")]
    attribution: Vec<String>,
    /// Replace OUT if it is there.
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

fn label_of(word: &str) -> Result<String, String> {
    let is_label = !word.is_empty() && word.chars().all(is_of_label);
    is_label
        .then(|| word.to_owned())
        .ok_or_else(|| "it is made of letters, digits, '.', '_' and '-'".to_owned())
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let formats = args.files.iter().map(|file| format(args, file)).collect::<Result<Vec<_>, _>>()?;
    check_output(args)?;
    let mut sink = Sink::default();
    for (file, format) in args.files.iter().zip(formats) {
        read(args, file, format, &mut sink)
            .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    }
    args.attribution.iter().for_each(|html| sink.builder.attribute(html));
    let Sink { builder, mut skipped, .. } = sink;
    if builder.count() == 0 {
        let found = format!("no place is in {}{}", names(&args.files), told(&skipped, 0));
        return Err(Failure::Failed(format!("{found}; nothing is written")));
    }
    let shortened = builder.shortened();
    let made = Made {
        at: clock::utc_text(clock::wall()),
        by: format!("herd {}", env!("CARGO_PKG_VERSION")),
        from: args.files.iter().map(|file| file_name(file)).collect(),
    };
    let finished = write_whole(&args.output, |out| builder.finish(made, out)).map_err(|error| {
        let out = args.output.display();
        Failure::Failed(format!("{out} cannot be written: {error}; make room there, or name another with -o"))
    })?;
    if finished.duplicates > 0 {
        skipped.insert(Skip::Duplicate, finished.duplicates as u64);
    }
    let Finished { places, bytes, .. } = finished;
    complain(&format!(
        "{}: {} in {}{}",
        args.output.display(),
        counted(places as u64, "place"),
        size(bytes),
        told(&skipped, shortened)
    ));
    Ok(())
}

/// A file's size with a unit that suits it.
fn size(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn format(args: &Args, file: &Path) -> Result<Format, Failure> {
    args.format.or_else(|| Format::of_name(&file_name(file))).ok_or_else(|| {
        let names = Format::ALL.map(|(name, _)| name).join(", ");
        Failure::Usage(format!(
            "{}: the end of its name tells no format; unpack it if it is packed, or say --format, one of {names}",
            file.display()
        ))
    })
}

/// What would fail at the end of a long import should fail at its beginning.
fn check_output(Args { output, force, files, .. }: &Args) -> Result<(), Failure> {
    let shown = output.display();
    if output.is_dir() || output.file_name().is_none() {
        return Err(Failure::Usage(format!("{shown} is a folder; name a file with -o")));
    }
    if !folder_of(output).is_dir() {
        return Err(Failure::Usage(format!("{shown}: its folder is not there; make it first")));
    }
    let Ok(there) = output.canonicalize() else { return Ok(()) };
    if files.iter().any(|file| file.canonicalize().is_ok_and(|file| file == there)) {
        return Err(Failure::Usage(format!(
            "{shown} would replace what it is made of; name another with -o"
        )));
    }
    if !force {
        return Err(Failure::Usage(format!(
            "{shown} is there already; replace it with --force, or name another"
        )));
    }
    Ok(())
}

fn read(args: &Args, path: &Path, format: Format, sink: &mut Sink) -> Result<(), ImportError> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file").into());
    }
    let bar = progress(path, meta.len());
    let from = bar.wrap_read(file);
    let label = args.label.clone().unwrap_or_else(|| stem(path));
    let options = Options { label: &label, columns: &args.columns, lang: args.lang.as_deref() };
    let result = match format {
        Format::OsmPbf => {
            sink.builder.attribute(import::OSM_ATTRIBUTION);
            import::read_osm(from, &options, sink)
        }
        Format::GeoNames => {
            sink.builder.attribute(import::GEONAMES_ATTRIBUTION);
            import::read_geonames(from, sink)
        }
        Format::GeoJson => import::read_geojson(from, &options, sink),
        Format::Csv => {
            let is_tabs = file_name(path).to_ascii_lowercase().ends_with(".tsv");
            let delimiter = args.delimiter.unwrap_or(if is_tabs { b'\t' } else { b',' });
            import::read_csv(from, delimiter, &options, sink)
        }
    };
    bar.finish_and_clear();
    result
}

/// A bar on a terminal, without colours; nothing elsewhere.
fn progress(path: &Path, length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes} of {total_bytes}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(length).with_style(style).with_message(printable::one_line(&file_name(path)))
}

/// Writes beside the file, and puts that in its place once all of it is on the disk.
fn write_whole<T>(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
    let folder = folder_of(path);
    let beside = folder.join(format!(".{}.{}.part", file_name(path), std::process::id()));
    let written = File::create_new(&beside).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let told = write(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&beside, path)?;
        // The new name shall outlive a power cut, too.
        File::open(folder)?.sync_all()?;
        Ok(told)
    });
    if written.is_err() {
        // What there is of it is of no use to anybody.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().replace(char::is_control, "?")
}

/// The label of a file that was given none.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().map(|letter| if is_of_label(letter) { letter } else { '-' }).collect();
    if stem.is_empty() { "places".to_owned() } else { stem }
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What was left out and why, to follow what was done.
fn told(skipped: &BTreeMap<Skip, u64>, shortened: u64) -> String {
    let mut text = String::new();
    for (at, (why, count)) in skipped.iter().enumerate() {
        let _ = write!(text, "{}{} {why}", if at == 0 { "; skipped " } else { ", " }, grouped(*count));
    }
    if shortened > 0 {
        let _ = write!(text, "; {} cut to 255 bytes", counted(shortened, "text"));
    }
    text
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `1,234,567`
fn grouped(count: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_like_counts() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "place"), counted(2, "place")), ("1 place".to_owned(), "2 places".to_owned()));
        let skipped = BTreeMap::from([(Skip::NoName, 3), (Skip::Duplicate, 1_000)]);
        assert_eq!(
            told(&skipped, 1),
            "; skipped 3 without a name, 1,000 that came before; 1 text cut to 255 bytes"
        );
        assert_eq!(told(&BTreeMap::new(), 0), "");
    }

    #[test]
    fn label_of_a_file_is_its_name_in_plain_letters() {
        assert_eq!(stem(Path::new("a/My parks.osm.csv")), "My-parks.osm");
        assert_eq!(stem(Path::new("Zürich.csv")), "Z-rich");
    }

    #[test]
    fn delimiters_are_one_character() {
        assert_eq!(delimiter_of("tab"), Ok(b'\t'));
        assert_eq!(delimiter_of(";"), Ok(b';'));
        for wrong in ["", ";;", "\"", "é"] {
            assert!(delimiter_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.bin");
        fs::write(&path, "old").unwrap();
        let failed = write_whole(&path, |out| {
            out.write_all(b"new")?;
            Err::<(), _>(io::Error::other("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_whole(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
