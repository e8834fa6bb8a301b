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

use super::super::{Failure, complain};
use super::import::{Args, file_name};
use crate::import::{self, Format, HEAD_BYTES, ImportError, Options, Sink};

/// A stream that has given nothing for so long is said to be waited for.
const SILENT_SECONDS: i64 = 1;

/// A file to import, and what it is.
pub(super) struct Input {
    path: PathBuf,
    format: Format,
    from: From,
}

enum From {
    /// A regular file, of so many bytes.
    File(u64),
    /// What can be read only once: its first bytes, and what gives the rest.
    Stream(Cursor<Vec<u8>>, File),
}

impl Input {
    /// Looks at the beginning of a file.
    pub(super) fn open(path: &Path, args: &Args) -> Result<Self, Failure> {
        let shown = path.display();
        let failed = |error: ImportError| Failure::Failed(format!("{shown}: {error}"));
        let about = fs::metadata(path).map_err(|error| failed(error.into()))?;
        if about.is_dir() {
            return Err(Failure::Usage(format!("{shown} is a folder; name the files in it")));
        }
        if about.file_type().is_socket() {
            return Err(Failure::Usage(format!("{shown} is a socket; name a file or a pipe")));
        }
        let mut file = if about.is_file() { File::open(path) } else { open_stream(path) }
            .map_err(|error| failed(error.into()))?;
        let mut head = Vec::new();
        file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|error| failed(error.into()))?;
        let format =
            import::recognise(&head, &file_name(path), args.format, &args.columns).map_err(failed)?;
        let Some(format) = format else {
            let names = Format::ALL.map(|(name, _)| name).join(", ");
            return Err(Failure::Usage(format!(
                "{shown}: neither its content nor the end of its name tells the format; say --format, one of {names}"
            )));
        };
        let from =
            if about.is_file() { From::File(about.len()) } else { From::Stream(Cursor::new(head), file) };
        if matches!((&from, format), (From::Stream(..), Format::OsmPbf)) {
            return Err(Failure::Failed(format!(
                "{shown}: an .osm.pbf is gone over more than once, and a stream cannot be; save it to a file, and import that"
            )));
        }
        Ok(Self { path: path.to_owned(), format, from })
    }

    /// Reads all of it.
    pub(super) fn read(self, args: &Args, sink: &mut Sink) -> Result<(), ImportError> {
        let Self { path, format, from } = self;
        let name = file_name(&path);
        sink.begin(&name);
        let label = args.label.clone().unwrap_or_else(|| super::import::label_of_file(&path));
        let options = Options { label: &label, columns: &args.columns, lang: args.lang.as_deref() };
        let bar = progress(name, &from);
        let result = match from {
            From::File(_) => {
                let file = File::open(&path)?;
                if format == Format::OsmPbf {
                    read_osm(file, &options, &bar, sink)
                } else {
                    read_text(bar.wrap_read(file), format, args, &options, sink)
                }
            }
            From::Stream(head, rest) => {
                read_text(bar.wrap_read(head.chain(rest)), format, args, &options, sink)
            }
        };
        bar.finish_and_clear();
        result
    }
}

fn read_osm(
    file: impl Read + Seek + Send,
    options: &Options<'_>,
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

fn read_text(
    from: impl Read,
    format: Format,
    args: &Args,
    options: &Options<'_>,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    match format {
        Format::GeoJson => import::read_geojson(from, options, sink),
        Format::Csv => import::read_csv(from, args.delimiter, options, sink),
        Format::GeoNames | Format::OsmPbf => {
            sink.builder.attribute(import::GEONAMES_ATTRIBUTION);
            import::read_geonames(from, sink)
        }
    }
}

/// Opens what is no regular file. A pipe that nobody writes to yet is waited for, which any signal may end, and the user is
/// told so.
fn open_stream(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let silence = Timespec { tv_sec: SILENT_SECONDS, tv_nsec: 0 };
    let is_ready = |time: Option<&Timespec>| {
        let mut polled = [PollFd::new(&file, PollFlags::IN)];
        retry_on_intr(|| poll(&mut polled, time)).map(|count| count > 0)
    };
    if !is_ready(Some(&silence))? {
        complain(&format!(
            "{}: nothing has been written to it yet; waiting (Ctrl-C to stop)",
            path.display()
        ));
        is_ready(None)?;
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// A bar on a terminal, without colours; nothing elsewhere.
fn progress(name: String, from: &From) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match from {
        From::File(length) => (ProgressBar::new(*length), "{msg} [{bar:30}] {percent} %, {eta} left"),
        From::Stream(..) => (ProgressBar::no_length(), "{msg}: {bytes}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> ")).with_message(name)
}
