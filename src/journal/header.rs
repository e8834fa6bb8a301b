//! How a file begins: whose it is, which one, and what its frames are checked with. It stands there twice, so that no
//! single fault takes the whole file with it. A header that fails its own check is damage, not another node's.

use sha2::{Digest, Sha256};
use twox_hash::xxhash3_64::Hasher as Xxh3;

use super::names::{FileId, FileKind};

/// Of the layout below. Its first two numbers and the check at its end stay where they are in every later one.
const FORMAT: u32 = 1;
const MAGIC: [u8; 16] = *b"proxyherd-jrnl\r\n";
/// Of a header, without the names and the check.
const FIXED_BYTES: usize = 80;
/// Of one header, at most: names of 255 bytes each would fit.
const BYTES_MAX: usize = 1024;
/// Of a whole beginning, at most: what to read of a file in order to know its header.
pub(super) const BEGINNING_BYTES_MAX: usize = 2 * BYTES_MAX;

/// Whose journal it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The herd's name.
    pub herd: String,
    /// The node's name.
    pub node: String,
    /// The check value of the herd's placement key.
    pub placement: u64,
}

/// What a file says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FileHeader {
    pub(super) id: FileId,
    pub(super) owner: Owner,
    /// Drawn for this file: makes its frames' checks secret.
    pub(super) salt: [u8; 16],
    /// The segment before it, and how many of its bytes were synced when this one was begun; what follows them was given
    /// up there and told again here.
    pub(super) before: Before,
}

/// The end of a segment, as its successor knows it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Before {
    /// Which; 0 for the successor of none.
    pub(super) number: u64,
    /// Its bytes that are on the disk.
    pub(super) bytes: u64,
}

/// Why a file's header cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderFault {
    /// Neither copy is whole.
    Damaged,
    /// It was written by a newer version, in that format.
    Newer(u32),
}

impl FileHeader {
    /// The beginning of the file: the header, twice.
    pub(super) fn beginning(&self) -> Vec<u8> {
        self.encoded().repeat(2)
    }

    fn encoded(&self) -> Vec<u8> {
        let Self { id, owner, salt, before } = self;
        let (herd, node) = (owner.herd.as_bytes(), owner.node.as_bytes());
        let length = (FIXED_BYTES + herd.len() + node.len()).next_multiple_of(8) + 8;
        let kind = match id.kind {
            FileKind::Segment => 1_u16,
            FileKind::Snapshot => 2,
        };
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
        for short in [kind, herd.len() as u16, node.len() as u16, 0] {
            bytes.extend_from_slice(&short.to_le_bytes());
        }
        for long in [id.number, owner.placement, before.number, before.bytes] {
            bytes.extend_from_slice(&long.to_le_bytes());
        }
        bytes.extend_from_slice(salt);
        bytes.extend_from_slice(herd);
        bytes.extend_from_slice(node);
        bytes.resize(length - 8, 0);
        let check = Xxh3::oneshot(&bytes);
        bytes.extend_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the beginning of a file: its header and where the frames begin.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize), HeaderFault> {
        let mut fault = HeaderFault::Damaged;
        for at in (0..bytes.len().min(BYTES_MAX)).step_by(8) {
            match Self::parse_one(&bytes[at..]) {
                // At its beginning, it is the first of two; anywhere else, the second.
                Ok((header, length)) => return Ok((header, if at == 0 { 2 * length } else { 2 * at })),
                Err(newer @ HeaderFault::Newer(_)) => fault = newer,
                Err(HeaderFault::Damaged) => {}
            }
        }
        Err(fault)
    }

    fn parse_one(bytes: &[u8]) -> Result<(Self, usize), HeaderFault> {
        let parsed = || {
            let length = u32::from_le_bytes(*bytes.get(20..)?.first_chunk()?) as usize;
            let is_possible = bytes.starts_with(&MAGIC) && length > FIXED_BYTES && length.is_multiple_of(8);
            let (content, check) = bytes.get(..length).filter(|_| is_possible)?.split_last_chunk()?;
            (Xxh3::oneshot(content) == u64::from_le_bytes(*check)).then_some(content)
        };
        let content = parsed().ok_or(HeaderFault::Damaged)?;
        let format = u32::from_le_bytes([content[16], content[17], content[18], content[19]]);
        if format > FORMAT {
            return Err(HeaderFault::Newer(format));
        }
        Self::of_content(content).map(|header| (header, content.len() + 8)).ok_or(HeaderFault::Damaged)
    }

    fn of_content(content: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_le_bytes(*content.get(at..)?.first_chunk()?));
        let long = |at: usize| Some(u64::from_le_bytes(*content.get(at..)?.first_chunk()?));
        let kind = match short(24)? {
            1 => FileKind::Segment,
            2 => FileKind::Snapshot,
            _ => return None,
        };
        let (herd, node) = (usize::from(short(26)?), usize::from(short(28)?));
        let names = content.get(FIXED_BYTES..FIXED_BYTES + herd + node)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let owner = Owner { herd: text(&names[..herd])?, node: text(&names[herd..])?, placement: long(40)? };
        let (salt, before) =
            (*content.get(64..)?.first_chunk()?, Before { number: long(48)?, bytes: long(56)? });
        Some(Self { id: FileId { number: long(32)?, kind }, owner, salt, before })
    }

    /// What the frames of this file are checked with.
    pub(super) fn seal(&self) -> Seal {
        Seal::new(self.salt, self.id.number)
    }
}

/// Checks a file's frames, so that neither bytes of a client's own nor a frame of another file is taken for one.
#[derive(Clone)]
pub(super) struct Seal {
    secret: [u8; SECRET_BYTES],
    number: u64,
}

/// Of an XXH3 secret, by its specification.
const SECRET_BYTES: usize = 192;

impl Seal {
    fn new(salt: [u8; 16], number: u64) -> Self {
        let mut secret = [0; SECRET_BYTES];
        for (count, part) in (0_u8..).zip(secret.chunks_exact_mut(32)) {
            part.copy_from_slice(&Sha256::new().chain_update(salt).chain_update([count]).finalize());
        }
        Self { secret, number }
    }

    /// The check of a frame at that place with that front and these bytes.
    pub(super) fn check(&self, offset: u64, front: u64, bytes: &[u8]) -> u64 {
        let mut place = [0; 32];
        let parts = [self.hash(bytes), self.number, offset, front];
        for (part, word) in place.chunks_exact_mut(8).zip(parts) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        self.hash(&place)
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        // It fails only for a secret of less than 136 bytes.
        Xxh3::oneshot_with_secret(&self.secret, bytes).unwrap_or_default()
    }
}

impl std::fmt::Debug for Seal {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        let owner = Owner { herd: "quick".to_owned(), node: "Alford".to_owned(), placement: 77 };
        FileHeader {
            id: FileId::segment(5),
            owner,
            salt: *b"0123456789abcdef",
            before: Before { number: 4, bytes: 4096 },
        }
    }

    #[test]
    fn header_survives_every_flipped_bit_and_is_never_taken_for_another() {
        let bytes = header().beginning();
        assert_eq!(FileHeader::parse(&bytes), Ok((header(), bytes.len())));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::parse(&flipped), Ok((header(), bytes.len())), "bit {bit}");
        }
    }

    #[test]
    fn header_cut_short_is_damaged_unless_one_copy_is_whole() {
        let bytes = header().beginning();
        for length in 0..bytes.len() {
            let parsed = FileHeader::parse(&bytes[..length]);
            let whole = Ok((header(), bytes.len()));
            assert_eq!(parsed, if length < bytes.len() / 2 { Err(HeaderFault::Damaged) } else { whole });
        }
        assert_eq!(FileHeader::parse(&[0; 4096]), Err(HeaderFault::Damaged));
    }

    #[test]
    fn newer_format_is_told_from_damage() {
        let mut newer = header().encoded();
        newer[16] = 2;
        let content = newer.len() - 8;
        let check = Xxh3::oneshot(&newer[..content]);
        newer[content..].copy_from_slice(&check.to_le_bytes());
        assert_eq!(FileHeader::parse(&newer.repeat(2)), Err(HeaderFault::Newer(2)));
        newer[17] = 1;
        assert_eq!(FileHeader::parse(&newer.repeat(2)), Err(HeaderFault::Damaged));
    }

    #[test]
    fn longest_names_fit_and_their_second_copy_is_found() {
        let mut header = header();
        (header.owner.herd, header.owner.node) = ("h".repeat(255), "n".repeat(255));
        let mut bytes = header.beginning();
        assert!(bytes.len() <= BEGINNING_BYTES_MAX);
        bytes[0] = 0;
        assert_eq!(FileHeader::parse(&bytes).unwrap().0, header);
    }
}
