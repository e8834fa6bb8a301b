//! What has arrived on a connection and was not used yet. It may hold a token, so whatever is used is wiped, and so is what is
//! left behind when the buffer moves.

use zeroize::Zeroize;

/// The buffer of a connection that says nothing for a while.
pub(super) const QUIET_BYTES: usize = 512;

/// Bytes in the order in which they came.
pub(super) struct WebInput {
    /// All of it is initialised; what is neither used nor filled is zeros.
    bytes: Vec<u8>,
    used: usize,
    filled: usize,
}

impl Drop for WebInput {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl WebInput {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; QUIET_BYTES], used: 0, filled: 0 }
    }

    /// What is there.
    pub(super) fn unused(&self) -> &[u8] {
        &self.bytes[self.used..self.filled]
    }

    /// Room to read into: some, as long as what is there is less than `most`.
    pub(super) fn space(&mut self, most: usize) -> &mut [u8] {
        if self.used > 0 && (self.used == self.filled || self.filled == self.bytes.len()) {
            self.bytes.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.bytes[self.filled..].zeroize();
            self.used = 0;
        }
        if self.filled == self.bytes.len() {
            self.resize((2 * self.filled).min(most));
        }
        let end = self.bytes.len().min(self.used + most).max(self.filled);
        &mut self.bytes[self.filled..end]
    }

    /// So many bytes were read into the space.
    pub(super) fn fill(&mut self, count: usize) {
        self.filled += count;
    }

    /// So many of the bytes are used.
    pub(super) fn consume(&mut self, count: usize) {
        let end = self.used + count;
        self.bytes[self.used..end].zeroize();
        self.used = end;
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        }
    }

    /// Gives back what a connection that says nothing does not need.
    pub(super) fn shrink(&mut self) {
        if self.used == self.filled && self.bytes.len() > QUIET_BYTES {
            (self.used, self.filled) = (0, 0);
            self.resize(QUIET_BYTES);
        }
    }

    /// Moves to a buffer of that many bytes, more than are there.
    fn resize(&mut self, length: usize) {
        let mut bytes = vec![0; length];
        let count = self.filled - self.used;
        bytes[..count].copy_from_slice(self.unused());
        self.bytes.zeroize();
        (self.bytes, self.used, self.filled) = (bytes, 0, count);
    }

    /// Bytes of memory.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(input: &mut WebInput, text: &[u8], most: usize) -> usize {
        let space = input.space(most);
        let count = text.len().min(space.len());
        space[..count].copy_from_slice(&text[..count]);
        input.fill(count);
        count
    }

    #[test]
    fn bytes_come_out_as_they_went_in_and_leave_nothing_behind() {
        let mut input = WebInput::new();
        let all: Vec<u8> = (1..=250).cycle().take(5_000).collect();
        let (mut written, mut read) = (0, 0);
        while read < all.len() {
            written += put(&mut input, &all[written..], 2_000);
            let count = input.unused().len().min(333);
            assert_eq!(input.unused()[..count], all[read..read + count]);
            input.consume(count);
            read += count;
            let (before, after) = (&input.bytes[..input.used], &input.bytes[input.filled..]);
            assert!(before.iter().chain(after).all(|byte| *byte == 0), "what is not there is wiped");
        }
        assert!(input.capacity() <= 2_000);
    }

    #[test]
    fn there_is_room_up_to_the_most_and_none_beyond() {
        let mut input = WebInput::new();
        while put(&mut input, &[7; 10_000], 1_500) > 0 {}
        assert_eq!((input.unused().len(), input.capacity()), (1_500, 1_500));
        input.shrink();
        assert_eq!(input.capacity(), 1_500, "what is there stays");
        input.consume(1);
        assert_eq!(put(&mut input, &[8; 10], 1_500), 1);
        input.consume(1_500);
        input.shrink();
        assert_eq!((input.unused().len(), input.capacity()), (0, QUIET_BYTES));
    }
}
