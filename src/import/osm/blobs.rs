//! The blobs that an `.osm.pbf` consists of: where each begins and what is in it, so that a sweep reads only those with
//! the wanted contents.

use std::{
    io::{self, BufReader, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
};

use osmpbf::{BlobDecode, BlobReader, ByteOffset, PrimitiveBlock};

use super::{BlockError, Done};
use crate::import::ImportError;

/// What a reader must support to read a file; this one does.
const FEATURES: [&str; 4] = ["OsmSchema-V0.6", "DenseNodes", "LocationsOnWays", "Sort.Type_then_ID"];

pub(super) const NODES: u8 = 1;
pub(super) const WAYS: u8 = 2;
pub(super) const RELATIONS: u8 = 4;

/// The blobs of a file: where each begins, and what is in it.
pub(super) struct Blobs<'a, R: Read + Seek + Send> {
    reader: BlobReader<Near<R>>,
    found: Vec<BlobAt>,
    progress: Progress<'a>,
}

struct BlobAt {
    offset: u64,
    length: u64,
    /// Which of [`NODES`], [`WAYS`] and [`RELATIONS`].
    has: u8,
}

/// Called with how many bytes have been processed, and how many there will be.
pub(super) struct Progress<'a> {
    pub(super) tell: &'a mut dyn FnMut(u64, u64),
    pub(super) done: u64,
    pub(super) total: u64,
}

impl Progress<'_> {
    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.tell)(self.done, self.total);
    }
}

impl<'a, R: Read + Seek + Send> Blobs<'a, R> {
    /// Goes through the whole file for the first time.
    pub(super) fn find(
        mut from: R,
        tell: &'a mut dyn FnMut(u64, u64),
        mut each: impl FnMut(&PrimitiveBlock) -> Done,
    ) -> Result<Self, ImportError> {
        let length = from.seek(SeekFrom::End(0))?;
        from.rewind()?;
        let near = Near(BufReader::with_capacity(256 * 1024, from));
        let mut blobs = Self {
            reader: BlobReader::new_seekable(near).map_err(|error| broken(0, &error))?,
            found: Vec::new(),
            // Nodes, ways twice and relations are the most that is processed again; few blobs have more than one of
            // them.
            progress: Progress { tell, done: 0, total: length.saturating_mul(3) },
        };
        let mut offset = 0;
        while let Some(blob) = blobs.reader.next() {
            let blob = blob.map_err(|error| broken(offset, &error))?;
            let has = match blob.decode().map_err(|error| broken(offset, &error))? {
                BlobDecode::OsmHeader(header) => {
                    check_features(offset, header.required_features())?;
                    0
                }
                BlobDecode::OsmData(_) if offset == 0 => break,
                BlobDecode::OsmData(block) => {
                    guarded(offset, &block, &mut each)?;
                    what_is_in(&block)
                }
                BlobDecode::Unknown(_) => 0,
            };
            let end = blobs.reader.seek_raw(SeekFrom::Current(0)).map_err(|error| broken(offset, &error))?;
            blobs.found.push(BlobAt { offset, length: end - offset, has });
            blobs.progress.advance(end - offset);
            offset = end;
        }
        if offset == 0 {
            let fault = "this is not an .osm.pbf; name the format with --format".to_owned();
            return Err(ImportError::Offset { offset, fault });
        }
        if offset < length {
            return Err(broken(offset, &"it ends in the middle of a blob"));
        }
        Ok(blobs)
    }

    /// Says which sweeps are to come, so that the progress ends at its total.
    pub(super) fn plan(&mut self, sweeps: &[u8]) {
        let to_come = |what: u8| {
            self.found.iter().filter(|found| found.has & what != 0).map(|found| found.length).sum::<u64>()
        };
        self.progress.total = self.progress.done + sweeps.iter().copied().map(to_come).sum::<u64>();
        self.progress.advance(0);
    }

    /// Goes through the blobs that have some of this in them.
    pub(super) fn sweep(
        &mut self,
        what: u8,
        mut each: impl FnMut(&PrimitiveBlock) -> Done,
    ) -> Result<(), ImportError> {
        for &BlobAt { offset, length, .. } in self.found.iter().filter(|found| found.has & what != 0) {
            let blob =
                self.reader.blob_from_offset(ByteOffset(offset)).map_err(|error| broken(offset, &error))?;
            let block = blob.to_primitiveblock().map_err(|error| broken(offset, &error))?;
            guarded(offset, &block, &mut each)?;
            self.progress.advance(length);
        }
        Ok(())
    }
}

/// Names the compression that makes a blob unreadable, and what to do.
pub(super) fn told_by_compression(from: &mut (impl Read + Seek), error: ImportError) -> ImportError {
    let ImportError::Offset { offset, .. } = error else { return error };
    match data_field(from, offset) {
        Some(6) => {
            let fault = "the blob there is compressed with lz4, not with zlib; convert the file: osmium cat FILE -o NEW.osm.pbf -f pbf,pbf_compression=zlib";
            ImportError::Offset { offset, fault: fault.to_owned() }
        }
        Some(field @ (4 | 5 | 7)) => {
            let name = ["lzma", "bzip2", "", "zstd"][usize::from(field) - 4];
            let fault = format!(
                "the blob there is compressed with {name}, not with zlib; fetch an .osm.pbf with zlib, or open this one in JOSM, save it as NEW.osm, and convert that: osmium cat NEW.osm -o NEW.osm.pbf"
            );
            ImportError::Offset { offset, fault }
        }
        _ => error,
    }
}

/// The number of the field in which a blob has its data.
fn data_field(from: &mut (impl Read + Seek), offset: u64) -> Option<u8> {
    let mut length = [0; 4];
    from.seek(SeekFrom::Start(offset)).ok()?;
    from.read_exact(&mut length).ok()?;
    from.seek_relative(u32::from_be_bytes(length).into()).ok()?;
    let mut blob = Vec::new();
    from.take(64).read_to_end(&mut blob).ok()?;
    let mut bytes = blob.into_iter();
    loop {
        let key = bytes.next()?;
        match key & 7 {
            // A number, which is the length without compression.
            0 => while bytes.next()? & 0x80 != 0 {},
            2 => return Some(key >> 3),
            _ => return None,
        }
    }
}

/// The library panics if a block holds numbers that no writer writes: that is a broken file, too.
fn guarded(
    offset: u64,
    block: &PrimitiveBlock,
    each: &mut impl FnMut(&PrimitiveBlock) -> Done,
) -> Result<(), ImportError> {
    match catch_unwind(AssertUnwindSafe(|| each(block))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(BlockError::Import(error))) => Err(error),
        Ok(Err(BlockError::Block(fault))) => Err(broken(offset, &fault)),
        Err(_) => Err(broken(offset, &"its numbers are out of bounds")),
    }
}

fn what_is_in(block: &PrimitiveBlock) -> u8 {
    let of_group = block.groups().map(|group| {
        let has_nodes = group.nodes().len() > 0 || group.dense_nodes().len() > 0;
        let has =
            [(has_nodes, NODES), (group.ways().len() > 0, WAYS), (group.relations().len() > 0, RELATIONS)];
        has.into_iter().filter(|(has, _)| *has).map(|(_, what)| what).sum::<u8>()
    });
    of_group.fold(0, |all, group| all | group)
}

fn check_features(offset: u64, features: &[String]) -> Result<(), ImportError> {
    match features.iter().find(|feature| !FEATURES.contains(&feature.as_str())) {
        None => Ok(()),
        Some(history) if history == "HistoricalInformation" => {
            let fault =
                "this is a history file; extract one moment of it: osmium time-filter FILE -o NEW.osm.pbf"
                    .to_owned();
            Err(ImportError::Offset { offset, fault })
        }
        Some(feature) => {
            let fault =
                format!("this asks for {feature:?}, which herd cannot read; convert it with another program");
            Err(ImportError::Offset { offset, fault })
        }
    }
}

fn broken(offset: u64, why: &dyn std::fmt::Display) -> ImportError {
    ImportError::Offset { offset, fault: format!("the blob there is broken: {why}; fetch the file again") }
}

/// A buffered reader that keeps its buffer when it is asked to seek to a nearby position.
struct Near<R>(BufReader<R>);

impl<R: Read> Read for Near<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl<R: Read + Seek> Seek for Near<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let here = self.0.stream_position()?;
        match to {
            SeekFrom::Start(there) => {
                self.0.seek_relative(there.wrapping_sub(here).cast_signed())?;
                Ok(there)
            }
            SeekFrom::Current(0) => Ok(here),
            elsewhere => self.0.seek(elsewhere),
        }
    }
}
