//! What `herd places import` reads: a file, or a stream such as `<(…)`, whose form is told before anything of it is read, and
//! how far the reading has come.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Cursor, IsTerminal, Read, Seek},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::retry_on_intr,
};

use super::super::{CommandError, complain};
use super::import::{Args, file_name};
use crate::import::{self, Format, HEAD_BYTES, ImportError, ImportOptions, Sink};

/// A stream that has given nothing for so long is said to be waited for.
const SILENT_SECONDS: i64 = 1;

/// A file to import, open, and what it is.
pub(super) struct Input {
    path: PathBuf,
    origin: InputOrigin,
}

enum InputOrigin {
    /// An .osm.pbf, which is read more than once, and its bytes.
    Osm(File, u64),
    /// A regular file that is read once, and its bytes.
    File(OneRead, File, u64),
    /// A stream: its first bytes, and what gives the rest.
    Stream(OneRead, Cursor<Vec<u8>>, File),
}

/// The formats that are read once, from the beginning to the end.
#[derive(Clone, Copy)]
enum OneRead {
    GeoJson,
    Csv,
    GeoNames,
}

impl OneRead {
    /// `None` for an .osm.pbf.
    fn of(format: Format) -> Option<Self> {
        match format {
            Format::OsmPbf => None,
            Format::GeoJson => Some(Self::GeoJson),
            Format::Csv => Some(Self::Csv),
            Format::GeoNames => Some(Self::GeoNames),
        }
    }
}

impl Input {
    /// Looks at the beginning of a file. One that cannot be used is at fault itself, not the command line.
    pub(super) fn open(path: &Path, args: &Args) -> Result<Self, CommandError> {
        let shown = path.display();
        let failed = |error: ImportError| CommandError::Failed(format!("{shown}: {error}"));
        let unreadable = |error: io::Error| failed(error.into());
        // So that a pipe can be waited for with a word to the user. It changes nothing for a regular file.
        let no_wait = OFlags::NONBLOCK.bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(no_wait).open(path);
        let mut file = opened.map_err(|error| match fs::metadata(path) {
            // A socket has no open file that could be asked.
            Ok(about) if about.file_type().is_socket() => {
                CommandError::Failed(format!("{shown} is a socket; name a file or a pipe"))
            }
            _ => unreadable(error),
        })?;
        let about = file.metadata().map_err(unreadable)?;
        if about.is_dir() {
            return Err(CommandError::Failed(format!("{shown} is a folder; name the files in it")));
        }
        if !about.is_file() {
            wait_for_writer(&file, path).map_err(unreadable)?;
        }
        let mut head = Vec::new();
        file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
        let format =
            import::recognise(&head, &file_name(path), args.format, &args.columns).map_err(failed)?;
        let Some(format) = format else {
            let names = Format::ALL.map(|(name, _)| name).join(", ");
            return Err(CommandError::Failed(format!(
                "{shown}: neither its content nor the end of its name tells the format; say --format, one of {names}"
            )));
        };
        let origin = match OneRead::of(format) {
            None if !about.is_file() => {
                return Err(CommandError::Failed(format!(
                    "{shown}: an .osm.pbf is read more than once, and a stream cannot be; save it to a file, and import that"
                )));
            }
            Some(format) if !about.is_file() => InputOrigin::Stream(format, Cursor::new(head), file),
            once => {
                file.rewind().map_err(unreadable)?;
                match once {
                    None => InputOrigin::Osm(file, about.len()),
                    Some(format) => InputOrigin::File(format, file, about.len()),
                }
            }
        };
        Ok(Self { path: path.to_owned(), origin })
    }

    /// Reads all of it.
    pub(super) fn read(self, args: &Args, sink: &mut Sink) -> Result<(), ImportError> {
        let Self { path, origin } = self;
        let name = file_name(&path);
        sink.begin(&name);
        let label = args.label.clone().unwrap_or_else(|| super::import::label_of_file(&path));
        let options = ImportOptions { label: &label, columns: &args.columns, lang: args.lang.as_deref() };
        let bar = progress(name, &origin);
        let result = match origin {
            InputOrigin::Osm(file, _) => read_osm(file, &options, &bar, sink),
            InputOrigin::File(format, file, _) => {
                read_once(bar.wrap_read(file), format, args, &options, sink)
            }
            InputOrigin::Stream(format, head, rest) => {
                read_once(bar.wrap_read(head.chain(rest)), format, args, &options, sink)
            }
        };
        bar.finish_and_clear();
        result
    }
}

fn read_osm(
    file: impl Read + Seek + Send,
    options: &ImportOptions<'_>,
    bar: &ProgressBar,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    sink.builder.attribute(import::OSM_ATTRIBUTION);
    let mut tell = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    import::read_osm(file, options, &mut tell, sink)
}

fn read_once(
    from: impl Read,
    format: OneRead,
    args: &Args,
    options: &ImportOptions<'_>,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    match format {
        OneRead::GeoJson => import::read_geojson(from, options, sink),
        OneRead::Csv => import::read_csv(from, args.delimiter, options, sink),
        OneRead::GeoNames => {
            sink.builder.attribute(import::GEONAMES_ATTRIBUTION);
            import::read_geonames(from, sink)
        }
    }
}

/// Waits for the first bytes of a stream that was opened without waiting, and says so to the user. Any signal may end this.
/// From then on, reading waits.
fn wait_for_writer(file: &File, path: &Path) -> io::Result<()> {
    let silence = Timespec { tv_sec: SILENT_SECONDS, tv_nsec: 0 };
    let is_ready = |time: Option<&Timespec>| {
        let mut polled = [PollFd::new(file, PollFlags::IN)];
        retry_on_intr(|| poll(&mut polled, time)).map(|count| count > 0)
    };
    if !is_ready(Some(&silence))? {
        complain(&format!(
            "{}: nothing has been written to it yet; waiting (Ctrl-C to stop)",
            path.display()
        ));
        is_ready(None)?;
    }
    Ok(fcntl_setfl(file, fcntl_getfl(file)? - OFlags::NONBLOCK)?)
}

/// A bar on a terminal, without colours; nothing elsewhere.
fn progress(name: String, origin: &InputOrigin) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match origin {
        InputOrigin::Osm(_, length) | InputOrigin::File(_, _, length) => {
            (ProgressBar::new(*length), "{msg} [{bar:30}] {percent} %, {eta} left")
        }
        InputOrigin::Stream(..) => (ProgressBar::no_length(), "{msg}: {bytes}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> ")).with_message(name)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_was_looked_at_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parks.csv");
        fs::write(&path, "name,lat,lng\nA,1,2\n").unwrap();
        let args = Line::parse_from(["import", "parks.csv", "-o", "out"]).args;
        let input = Input::open(&path, &args).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        fs::write(&path, "name,lat,lng\nB,1,2\nC,3,4\n").unwrap();
        let mut sink = Sink::default();
        input.read(&args, &mut sink).unwrap();
        assert_eq!((sink.builder.count(), sink.builder.taken(0).name), (1, "A"));
    }
}
