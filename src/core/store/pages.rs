//! Memory for records: pages that are filled from the front, so that a record needs no allocation of its own.
//!
//! A record that outgrows its room is rewritten at the end, and its old place is dead. Pages that are entirely dead are
//! freed; when much of the memory is dead, the caller moves the live records out of the emptiest page.

use super::record::{self, UNIT};

/// A page's length, once a shard is large. With [`UNIT`] it fixes the 14 bits of an address's offset.
const PAGE_BYTES_MAX: usize = 64 * 1024;
const PAGE_BYTES_MIN: usize = 1024;
const OFFSET_BITS: u32 = (PAGE_BYTES_MAX / UNIT).trailing_zeros();

/// Where a record begins: the page's number, and its offset in units of 4 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RecordAddress(u32);

impl RecordAddress {
    /// The address of no record: no page has so high a number.
    pub(super) const NOWHERE: Self = Self(u32::MAX);

    fn new(page: usize, offset: usize) -> Self {
        let page = u32::try_from(page).ok().filter(|&page| page < (1 << (32 - OFFSET_BITS)) - 1);
        let page = page.expect("a shard's 2^18 pages hold 16 GiB, more than its share of any machine");
        Self(page << OFFSET_BITS | (offset / UNIT) as u32)
    }

    fn page(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize
    }

    fn offset(self) -> usize {
        (self.0 & ((1 << OFFSET_BITS) - 1)) as usize * UNIT
    }
}

/// From when the oldest records of a page count: of those that are not hidden, and of those that are. No record is
/// older; both are 0 if something has been written since the page was last looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Oldest {
    visible: u32,
    hidden: u32,
}

impl Oldest {
    /// So many nanoseconds, 256 s, count as one: so the times of all clocks fit.
    const UNIT_NS: i128 = 256 * 1_000_000_000;

    /// Of no records.
    pub(super) const NONE: Self = Self { visible: u32::MAX, hidden: u32::MAX };

    /// Of a page that is being looked at, or whose look was broken off, and that nothing has been written to meanwhile. As
    /// long as it says this, the page may hold anything.
    const LOOKED_AT: Self = Self { visible: 0, hidden: 1 };

    /// A record counts from there, in nanoseconds since 1970.
    pub(super) fn add(&mut self, counted: i128, is_hidden: bool) {
        let units = u32::try_from(counted.max(0) / Self::UNIT_NS).unwrap_or(u32::MAX);
        let oldest = if is_hidden { &mut self.hidden } else { &mut self.visible };
        *oldest = units.min(*oldest);
    }

    /// Whether no visible record counts from before the first moment and no hidden one from before the second, in
    /// nanoseconds since 1970.
    pub(super) fn is_young(self, [hide, erase]: [i128; 2]) -> bool {
        i128::from(self.visible) * Self::UNIT_NS >= hide && i128::from(self.hidden) * Self::UNIT_NS >= erase
    }
}

/// A shard's pages.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: Vec<RecordPage>,
    /// Numbers of pages that hold no memory.
    vacant: Vec<usize>,
    /// The page that is being filled; may be full, or not there yet.
    current: usize,
    /// Bytes of all pages, and bytes of records in use.
    allocated: usize,
    live: usize,
    /// How often a page was made in the place of another.
    remade: u64,
}

/// As many bytes as four words, so that small stores stay small.
#[derive(Debug, Default)]
struct RecordPage {
    bytes: Box<[u8]>,
    used: u32,
    live: u32,
    oldest: Oldest,
}

impl RecordPage {
    fn used(&self) -> usize {
        self.used as usize
    }
}

impl Pages {
    /// Makes room for a record of `length` bytes, a multiple of [`UNIT`]. The caller writes its bytes.
    pub(super) fn allocate(&mut self, length: usize) -> RecordAddress {
        let number = if self.fits(length) { self.current } else { self.add_page(length) };
        let page = &mut self.pages[number];
        let address = RecordAddress::new(number, page.used());
        // No page is longer than 64 KiB, and no record than a line.
        page.used += length as u32;
        page.live += length as u32;
        page.oldest = Oldest::default();
        self.live += length;
        address
    }

    fn fits(&self, length: usize) -> bool {
        self.pages.get(self.current).is_some_and(|page| page.bytes.len() - page.used() >= length)
    }

    /// The record there, and what follows it on its page.
    pub(super) fn get(&self, address: RecordAddress) -> &[u8] {
        &self.pages[address.page()].bytes[address.offset()..]
    }

    /// The `length` bytes there.
    pub(super) fn get_mut(&mut self, address: RecordAddress, length: usize) -> &mut [u8] {
        let page = &mut self.pages[address.page()];
        page.oldest = Oldest::default();
        &mut page.bytes[address.offset()..][..length]
    }

    /// Hides the record there.
    pub(super) fn hide(&mut self, address: RecordAddress) {
        record::hide(&mut self.pages[address.page()].bytes[address.offset()..]);
    }

    /// Gives up the record's room.
    pub(super) fn free(&mut self, address: RecordAddress) {
        let page = &mut self.pages[address.page()];
        let record = &mut page.bytes[address.offset()..];
        let room = record::room(record);
        record::bury(record);
        page.live -= room as u32;
        self.live -= room;
        if page.live == 0 {
            self.allocated -= page.bytes.len();
            *page = RecordPage::default();
            self.vacant.push(address.page());
        }
    }

    /// When more than half of the memory is dead or unused: the page with the most of it, except the one being filled.
    pub(super) fn sparsest(&self) -> Option<usize> {
        if self.allocated <= 2 * self.live + PAGE_BYTES_MAX {
            return None;
        }
        let candidates =
            self.pages.iter().enumerate().filter(|&(number, page)| number != self.current && page.live > 0);
        candidates.max_by_key(|(_, page)| page.bytes.len() - page.live as usize).map(|(number, _)| number)
    }

    /// The addresses of the page's live records.
    pub(super) fn live_on(&self, page: usize) -> Vec<RecordAddress> {
        let RecordPage { bytes, used, .. } = &self.pages[page];
        let mut live = Vec::new();
        let mut offset = 0;
        while offset < *used as usize {
            let record = &bytes[offset..];
            if !record::is_dead(record) {
                live.push(RecordAddress::new(page, offset));
            }
            offset += record::room(record);
        }
        live
    }

    /// How many pages there are, those without memory included.
    pub(super) fn count(&self) -> usize {
        self.pages.len()
    }

    /// How often a page was made in the place of another: what was known of a page may be of one before it.
    pub(super) fn remade(&self) -> u64 {
        self.remade
    }

    /// From when a page's oldest records count.
    pub(super) fn oldest(&self, page: usize) -> Oldest {
        self.pages[page].oldest
    }

    /// A look at all of the page's records begins.
    pub(super) fn begin_look(&mut self, page: usize) {
        self.pages[page].oldest = Oldest::LOOKED_AT;
    }

    /// The look is over, and has found that; nothing is known if something was written meanwhile.
    pub(super) fn end_look(&mut self, page: usize, found: Oldest) {
        let oldest = &mut self.pages[page].oldest;
        if *oldest == Oldest::LOOKED_AT {
            *oldest = found;
        }
    }

    /// The record at that place of a page, dead or not; `None` behind the last.
    pub(super) fn at(&self, page: usize, offset: usize) -> Option<RecordAddress> {
        (offset < self.pages[page].used()).then(|| RecordAddress::new(page, offset))
    }

    /// Copies a record to the end of the pages and frees its old place.
    pub(super) fn relocate(&mut self, from: RecordAddress) -> RecordAddress {
        let copy = self.get(from)[..record::room(self.get(from))].to_vec();
        let to = self.allocate(copy.len());
        self.get_mut(to, copy.len()).copy_from_slice(&copy);
        self.free(from);
        to
    }

    /// Bytes of memory held for records, in use or not.
    pub(super) fn bytes(&self) -> usize {
        self.allocated + self.pages.len() * size_of::<RecordPage>()
    }

    /// How many bytes more it is after making room for a record of `length` bytes.
    pub(super) fn growth(&self, length: usize) -> usize {
        if self.fits(length) {
            return 0;
        }
        let numbered = if self.vacant.is_empty() { size_of::<RecordPage>() } else { 0 };
        numbered + self.next_page(length).0
    }

    /// How large a page is made for a record of `length` bytes, and whether it is for that record alone. Pages grow
    /// with the shard, so that a small store stays small; a large record gets a page of its own, and the current page
    /// stays current.
    fn next_page(&self, length: usize) -> (usize, bool) {
        let usual = (self.allocated / 4).next_power_of_two().clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX);
        let is_own = length > usual / 4;
        (if is_own { length } else { usual }, is_own)
    }

    /// Makes a page that can hold at least `length` bytes.
    fn add_page(&mut self, length: usize) -> usize {
        let (page_bytes, is_own) = self.next_page(length);
        let bytes = vec![0; page_bytes].into_boxed_slice();
        self.allocated += bytes.len();
        let page = RecordPage { bytes, ..RecordPage::default() };
        let number = if let Some(number) = self.vacant.pop() {
            self.pages[number] = page;
            self.remade += 1;
            number
        } else {
            self.pages.push(page);
            self.pages.len() - 1
        };
        if !is_own {
            self.current = number;
        }
        number
    }
}
