//! Where a client belongs, and what an entry contributes to the sums: hashes that are the same on every node of a herd
//! and unknown to clients, who choose their ids and could otherwise aim at one leaf or at a sum. A herd without a
//! secret cannot hide them from its clients; there each store scatters its slots by numbers of its own.

use std::hash::Hasher;

use siphasher::{
    sip::SipHasher13,
    sip128::{Hasher128, SipHasher13 as SipHasher13Of128},
};
use twox_hash::xxhash3_64::Hasher as Xxh3;

use crate::core::model::ClientId;

/// The number of parts that a store is divided into, for its locks and for the search for differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    shard_bits: u32,
    leaf_bits: u32,
}

impl Shape {
    /// A node's: 256 shards of 256 leaves.
    pub const NODE: Self = Self { shard_bits: 8, leaf_bits: 8 };

    /// A smaller one, for simulated nodes: 2 to these powers, at most 8 each.
    pub const fn new(shard_bits: u32, leaf_bits: u32) -> Self {
        assert!(shard_bits <= 8 && leaf_bits <= 8);
        Self { shard_bits, leaf_bits }
    }

    /// How many shards.
    pub fn shards(self) -> usize {
        1 << self.shard_bits
    }

    /// How many leaves a shard has.
    pub fn leaves(self) -> usize {
        1 << self.leaf_bits
    }
}

/// Bytes of an XXH3 secret, by its specification.
const SECRET_BYTES: usize = 192;

/// The herd's placement key, ready to hash with, and the shape that divides its hashes.
///
/// Clients are placed by SipHash-1-3, which withstands attackers who can watch what a server does with ids they choose.
/// Entries are hashed by XXH3 under a secret: only neighbours see their hashes, so nobody can choose contents that
/// collide, and it takes half the time.
#[derive(Clone, Copy)]
pub struct Placement {
    keys: SipHasher13,
    entries: [u8; SECRET_BYTES],
    shape: Shape,
    /// The numbers by which slots are scattered within a shard; without them, a leaf's slots are adjacent.
    scatter: Option<[u64; 2]>,
}

/// Any odd number whose bits look random.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A client id's hash: its first byte gives the shard, the second the leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash(u64);

impl KeyHash {
    /// The hash of these bits.
    pub fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// All of it.
    pub fn bits(self) -> u64 {
        self.0
    }

    fn leaf_byte(self) -> u8 {
        (self.0 >> 48) as u8
    }
}

impl Placement {
    /// The placement of a herd that has no secret: derived from its name, so that its nodes agree.
    pub fn of_herd(name: &str) -> Self {
        let mut hasher = SipHasher13Of128::new();
        hasher.write(b"proxyherd placement 1 ");
        hasher.write(name.as_bytes());
        let key = hasher.finish128();
        Self::of_words(key.h1, key.h2)
    }

    /// The placement by the key of the herd's secret file.
    pub fn of_key(key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        Self::of_words(key as u64, (key >> 64) as u64)
    }

    fn of_words(k0: u64, k1: u64) -> Self {
        let (keys, words) = (SipHasher13::new_with_keys(k0, k1), SipHasher13::new_with_keys(!k0, k1));
        let mut entries = [0; SECRET_BYTES];
        for (number, word) in (0_u64..).zip(entries.chunks_exact_mut(8)) {
            word.copy_from_slice(&words.hash(&number.to_le_bytes()).to_le_bytes());
        }
        Self { keys, entries, shape: Shape::NODE, scatter: None }
    }

    /// The same key over a store of another shape.
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The same, except that the position of slots within a shard depends on these random bytes: for a herd without a
    /// secret, where everyone can find out which ids crowd a leaf. Nobody can find out which ids crowd a scattered
    /// store. Shards, leaves and keys stay those of the herd. Listing a leaf reads all of its shard's slots.
    pub fn scattered(self, random: [u8; 16]) -> Self {
        let random = u128::from_le_bytes(random);
        Self { scatter: Some([random as u64, (random >> 64) as u64]), ..self }
    }

    /// Whether its slots are scattered.
    #[cfg(test)]
    pub(crate) fn is_scattered(&self) -> bool {
        self.scatter.is_some()
    }

    /// The shape of the store.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The shard a key belongs to.
    pub fn shard(&self, hash: KeyHash) -> usize {
        (hash.0 >> 56) as usize >> (8 - self.shape.shard_bits)
    }

    /// Its leaf within the shard.
    pub fn leaf(&self, hash: KeyHash) -> usize {
        self.leaf_of_byte(hash.leaf_byte())
    }

    fn leaf_of_byte(&self, byte: u8) -> usize {
        usize::from(byte) >> (8 - self.shape.leaf_bits)
    }

    /// What a shard's table keeps of a key. Its top bits give the position: in the order of leaves, or scattered, with
    /// the leaf's byte at the bottom. Two multiplications by numbers that only this store knows cost less than a keyed
    /// hash, and their input is one already.
    #[inline]
    pub(super) fn slot_hash(&self, key: KeyHash) -> u32 {
        let Some([first, second]) = self.scatter else { return (key.0 >> 24) as u32 };
        let fold = |number: u64| {
            let product = u128::from(number) * u128::from(SPREAD);
            product as u64 ^ (product >> 64) as u64
        };
        let scattered = fold(fold(key.0 ^ first) ^ second);
        (scattered >> 32) as u32 & !0xff | u32::from(key.leaf_byte())
    }

    /// The leaf of a key, given what a shard's table keeps of it.
    pub(super) fn leaf_of_slot(&self, slot_hash: u32) -> usize {
        let byte = if self.scatter.is_some() { slot_hash } else { slot_hash >> 24 };
        self.leaf_of_byte(byte as u8)
    }

    /// The first and last of the values of [`Placement::slot_hash`] that a leaf's keys may have.
    pub(super) fn leaf_range(&self, leaf: usize) -> (u32, u32) {
        if self.scatter.is_some() {
            return (0, u32::MAX);
        }
        let width = 32 - self.shape.leaf_bits;
        let first = (leaf as u64) << width;
        (first as u32, (first + (1 << width) - 1) as u32)
    }

    /// Equal on nodes that place alike; reveals nothing else about the key.
    pub fn check(&self) -> u64 {
        self.keys.hash(b" placement check ")
    }

    /// The client's key.
    pub fn key_hash(&self, client: ClientId<'_>) -> KeyHash {
        KeyHash(self.keys.hash(client.as_bytes()))
    }

    /// What a location contributes to its leaf's sum. `content` is its fields one after another as a record holds them,
    /// with their lengths before them, so that equal hashes mean equal fields.
    pub(super) fn entry_hash(&self, content: &[u8]) -> u64 {
        // It fails only for a secret of less than 136 bytes.
        Xxh3::oneshot_with_secret(&self.entries, content).unwrap_or_default()
    }
}

impl std::fmt::Debug for Placement {
    /// Without the key, which is part of a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Placement")
    }
}
