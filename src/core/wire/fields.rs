//! Splitting a line into its fields: runs of bytes that are not white space.

use crate::core::model::is_white_space;

/// The fields of a line, first to last. White space at either end is skipped.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `line`.
    pub fn of(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// The next `N` fields; `None` when there are fewer.
    pub fn first<const N: usize>(&mut self) -> Option<[&'a [u8]; N]> {
        let mut fields = [&[][..]; N];
        for field in &mut fields {
            *field = self.next()?;
        }
        Some(fields)
    }

    /// What follows the fields so far, white space included.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Exactly the `N` remaining fields; `None` when there are more or fewer.
    pub fn exactly<const N: usize>(mut self) -> Option<[&'a [u8]; N]> {
        let fields = self.first()?;
        self.next().is_none().then_some(fields)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|&byte| !is_white_space(byte))?;
        let text = &self.rest[start..];
        let (field, rest) = text.split_at(field_length(text));
        self.rest = rest;
        Some(field)
    }
}

/// How many bytes of `text` come before its first white space. Eight at a time, since this sees every byte of every
/// line.
fn field_length(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The top bit of each byte below 0x21; the lowest one set is exact, and only that one is used.
        let low = word.wrapping_sub(ONES * 0x21) & !word & (ONES * 0x80);
        if low == 0 {
            at += 8;
            continue;
        }
        at += low.trailing_zeros() as usize / 8;
        if is_white_space(text[at]) {
            return at;
        }
        at += 1;
    }
    text[at..].iter().position(|&byte| is_white_space(byte)).map_or(text.len(), |rest| at + rest)
}

/// A whole number that fits 64 bits: digits and nothing else.
pub(super) fn decimal(field: &[u8]) -> Option<u64> {
    let add = |sum: u64, &digit: &u8| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(value)
    };
    if field.is_empty() { None } else { field.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_white_space_separates_and_none_is_in_a_field() {
        let fields: Vec<&[u8]> = Fields::of(b" \t\x0b a\x0cb\r \x01c\xff\x00 ").collect();
        assert_eq!(fields, [&b"a"[..], b"b", b"\x01c\xff\x00"]);
        assert_eq!(Fields::of(b"  ").next(), None);
        assert_eq!(Fields::of(b"a b").exactly::<1>(), None);
        assert_eq!(Fields::of(b"a b").exactly::<3>(), None);
    }

    proptest! {
        #[test]
        fn fields_are_what_splitting_byte_by_byte_gives(
            line in prop::collection::vec(prop_oneof![0_u8..0x30, any::<u8>()], 0..100),
        ) {
            let expected: Vec<&[u8]> =
                line.split(|&byte| is_white_space(byte)).filter(|field| !field.is_empty()).collect();
            prop_assert_eq!(Fields::of(&line).collect::<Vec<_>>(), expected);
        }
    }
}
