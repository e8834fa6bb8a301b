//! Numbers as digits of a fixed width, written where they belong.

/// Fills the whole of `place` with the last digits of `number`.
pub(crate) fn write(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// How many digits a number has.
pub(crate) fn count(number: u32) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
