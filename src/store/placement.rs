//! Where a client belongs, and what an entry weighs in the sums: hashes that are the same on every node of a herd and
//! unknown to clients, who choose their ids and could otherwise aim them at one leaf or at a sum.

use std::hash::Hasher;

use siphasher::{
    sip::SipHasher13,
    sip128::{Hasher128, SipHasher13 as SipHasher13Of128},
};

use crate::model::ClientId;

/// The herd's placement key, ready to hash with (SipHash-1-3).
#[derive(Clone, Copy)]
pub struct Placement {
    keys: SipHasher13,
    entries: SipHasher13,
}

/// A client id's hash: its first byte is the shard, the second the leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash(u64);

impl KeyHash {
    /// 0 to 255.
    pub fn shard(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// 0 to 255.
    pub fn leaf(self) -> usize {
        (self.0 >> 48) as usize & 0xff
    }

    /// The 32 bits after the shard's byte, the leaf's byte on top: what a shard's table keeps and places by.
    pub(super) fn in_shard(self) -> u32 {
        (self.0 >> 24) as u32
    }
}

impl Placement {
    /// The placement of a herd that has no secret: derived from its name, so that its nodes agree.
    pub fn of_herd(name: &str) -> Self {
        let mut hasher = SipHasher13Of128::new();
        hasher.write(b"proxyherd placement 1 ");
        hasher.write(name.as_bytes());
        let key = hasher.finish128();
        Self::of_key(key.h1, key.h2)
    }

    fn of_key(k0: u64, k1: u64) -> Self {
        Self { keys: SipHasher13::new_with_keys(k0, k1), entries: SipHasher13::new_with_keys(!k0, k1) }
    }

    /// Equal on nodes that place alike; says nothing else about the key.
    pub fn check(&self) -> u64 {
        self.keys.hash(b" placement check ")
    }

    /// The client's place.
    pub fn key_hash(&self, client: ClientId<'_>) -> KeyHash {
        KeyHash(self.keys.hash(client.as_bytes()))
    }

    /// What a location adds to its leaf's sum. `content` is its fields one after another as a record holds them, with
    /// their lengths before them, so that equal hashes mean equal fields.
    pub(super) fn entry_hash(&self, content: &[u8]) -> u64 {
        self.entries.hash(content)
    }
}

impl std::fmt::Debug for Placement {
    /// Without the key, which is a secret's part.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Placement")
    }
}
