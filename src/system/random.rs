//! Randomness from the system: for what must differ between nodes and starts, and for what nobody may guess.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
};

use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

/// 64 random bits, from the standard library's randomly keyed hasher without input. Not for secrets.
pub fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Random bytes that nobody can guess, for secrets and nonces. Fails only if the system has no source of them.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_all_filled_and_others_each_time() {
        let (first, second) = (bytes::<64>().unwrap(), bytes::<64>().unwrap());
        assert_ne!(first, second);
        // Sixteen zeros in a row do not happen.
        assert!(first.chunks(16).all(|chunk| chunk != [0; 16]));
    }
}
