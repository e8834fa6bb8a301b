//! The list of clients, a page at a time. A page ends after so many clients, or so many leaves of the store: how many
//! clients are hidden from whoever asks decides nothing. Its cursor is where the next page begins in the store, encrypted,
//! since where a client belongs there is nobody's business.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    ApiBounds,
    view::{self, LocationForm},
};
use crate::core::{
    access::{Act, Principal},
    hex::{Hex, from_hex},
    model::{ClientId, OwnedLocation},
    node::Node,
    store::KeyHash,
};

/// Bytes of a place, and of the tag that goes before it.
const PLACE_BYTES: usize = 12;

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct PageStart {
    /// The leaf, counted over all shards.
    leaf: u32,
    /// The key in it.
    from: u64,
}

/// What encrypts cursors.
#[derive(Clone)]
pub(super) struct CursorKey([u8; 32]);

impl CursorKey {
    pub(super) fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The text of a cursor: a tag over the place, and the place under a stream that the tag decides, so that a text that
    /// this key has not made is recognised.
    fn seal(&self, start: PageStart) -> String {
        let mut place = [0; PLACE_BYTES];
        place[..4].copy_from_slice(&start.leaf.to_be_bytes());
        place[4..].copy_from_slice(&start.from.to_be_bytes());
        let tag = self.hash(b"tag", &place);
        let stream = self.hash(b"stream", &tag);
        let sealed = place.iter().zip(stream).map(|(byte, other)| byte ^ other);
        let bytes: Vec<u8> = tag.iter().copied().chain(sealed).collect();
        Hex(&bytes).to_string()
    }

    /// The place of a cursor of this key.
    pub(super) fn open(&self, text: &[u8]) -> Option<PageStart> {
        let bytes: [u8; 2 * PLACE_BYTES] = from_hex(text)?;
        let (tag, sealed) = bytes.split_at(PLACE_BYTES);
        let tag: [u8; PLACE_BYTES] = tag.try_into().ok()?;
        let mut place: [u8; PLACE_BYTES] = sealed.try_into().ok()?;
        place.iter_mut().zip(self.hash(b"stream", &tag)).for_each(|(byte, other)| *byte ^= other);
        let (leaf, from) = place.split_first_chunk()?;
        let start =
            PageStart { leaf: u32::from_be_bytes(*leaf), from: u64::from_be_bytes(from.try_into().ok()?) };
        (self.hash(b"tag", &place) == tag).then_some(start)
    }

    fn hash(&self, label: &[u8], bytes: &[u8; PLACE_BYTES]) -> [u8; PLACE_BYTES] {
        let mut hash = [0; PLACE_BYTES];
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(label);
            mac.update(bytes);
            hash.copy_from_slice(&mac.finalize().into_bytes()[..PLACE_BYTES]);
        }
        hash
    }
}

/// What a page is asked for.
pub(super) struct PageRequest<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) limit: usize,
    pub(super) start: PageStart,
    pub(super) form: LocationForm,
}

/// A page: locations as they are told, and where the next one begins.
#[derive(Default)]
pub(super) struct ClientPage {
    locations: Vec<u8>,
    count: usize,
    next: Option<PageStart>,
}

impl ClientPage {
    /// Reads it from the store.
    pub(super) fn read(
        node: &Node,
        bounds: &ApiBounds,
        principal: Option<&Principal>,
        asked: &PageRequest<'_>,
    ) -> Self {
        let shape = node.store().shape();
        let all = (shape.shards() * shape.leaves()) as u32;
        let last = asked.start.leaf.saturating_add(leaves_of_a_page(node, bounds, all)).min(all);
        let (mut page, mut from) = (Self::default(), asked.start.from);
        for leaf in asked.start.leaf..last {
            if page.count >= asked.limit || page.locations.len() >= bounds.page_bytes {
                page.next = Some(PageStart { leaf, from: 0 });
                return page;
            }
            let place = (leaf as usize / shape.leaves(), leaf as usize % shape.leaves());
            let (ids, mut cut) = page.ids(node, bounds, principal, asked, (place, from));
            cut = page.add(node, bounds, asked.form, &ids).or(cut);
            if let Some(key) = cut {
                page.next = Some(PageStart { leaf, from: key.bits() });
                return page;
            }
            from = 0;
        }
        page.next = (last < all).then_some(PageStart { leaf: last, from: 0 });
        page
    }

    /// The clients of a leaf that may be told, and the key at which there was no room for more. Copied under the shard's
    /// lock: their locations are read afterwards.
    fn ids(
        &self,
        node: &Node,
        bounds: &ApiBounds,
        principal: Option<&Principal>,
        asked: &PageRequest<'_>,
        ((shard, leaf), from): ((usize, usize), u64),
    ) -> (Vec<(KeyHash, Vec<u8>)>, Option<KeyHash>) {
        let (mut ids, mut bytes, mut cut) = (Vec::<(KeyHash, Vec<u8>)>::new(), 0, None);
        node.store().records(shard, leaf, KeyHash::of_bits(from), |entry, record| {
            let client = record.client();
            let is_full = self.count + ids.len() >= asked.limit || bytes >= bounds.page_bytes;
            // Those of one key stay together, or a page could begin where it began.
            if is_full && ids.last().is_none_or(|(key, _)| *key != entry.key) {
                cut = Some(entry.key);
                return false;
            }
            let is_told = record.location().is_some()
                && client.as_bytes().starts_with(asked.prefix)
                && node.access().allows(principal, Act::See(client));
            if is_told {
                bytes += client.as_bytes().len();
                ids.push((entry.key, client.as_bytes().to_vec()));
            }
            true
        });
        (ids, cut)
    }

    /// Adds what is known of these clients by now, and returns the key of the first for whom there was no room.
    fn add(
        &mut self,
        node: &Node,
        bounds: &ApiBounds,
        form: LocationForm,
        ids: &[(KeyHash, Vec<u8>)],
    ) -> Option<KeyHash> {
        let (mut found, mut last) = (OwnedLocation::default(), None);
        for (key, id) in ids {
            if self.locations.len() >= bounds.page_bytes && last.is_some_and(|last| last != *key) {
                return Some(*key);
            }
            let Some(client) = ClientId::new(id) else { continue };
            if node.store().get(*key, client, |location| found.copy_from(location)).is_some() {
                if self.count > 0 {
                    self.locations.push(b',');
                }
                self.locations.extend_from_slice(&view::location(&found.of(client), form));
                self.count += 1;
            }
            last = Some(*key);
        }
        None
    }

    /// The page in that form.
    pub(super) fn write(&self, form: LocationForm, key: &CursorKey) -> Vec<u8> {
        let next = self.next.map_or_else(|| "null".to_owned(), |start| format!("\"{}\"", key.seal(start)));
        let begin: &[u8] = match form {
            LocationForm::Json => b"{\"clients\":[",
            LocationForm::GeoJson => b"{\"type\":\"FeatureCollection\",\"features\":[",
        };
        [begin, &self.locations, b"],\"next\":", next.as_bytes(), b"}"].concat()
    }
}

/// How many leaves hold about as many records as a page may look at. By the next power of two of all clients, so that it
/// says little about how many there are.
fn leaves_of_a_page(node: &Node, bounds: &ApiBounds, all: u32) -> u32 {
    let held = (node.store().len() + node.store().tombstones()).next_power_of_two();
    let leaves = u128::from(all) * bounds.page_records as u128 / held as u128;
    u32::try_from(leaves).unwrap_or(all).clamp(1, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_comes_back_to_its_key_and_no_other_text_does() {
        let key = CursorKey::new([7; 32]);
        let start = PageStart { leaf: 65_535, from: u64::MAX - 3 };
        let text = key.seal(start);
        assert_eq!(key.open(text.as_bytes()), Some(start));
        assert_eq!(CursorKey::new([8; 32]).open(text.as_bytes()), None);
        assert!(!text.contains("ffff"), "{text} shows its leaf");
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(key.open(&other), None, "{at}");
        }
        for other in [&text[..text.len() - 2], &text[1..], &format!("{text}00"), &text.to_uppercase(), ""] {
            assert_eq!(key.open(other.as_bytes()), None, "{other}");
        }
    }
}
