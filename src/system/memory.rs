//! Memory that is free in the process, and still the process's. Unsafe code, since no safe library asks for it.

/// Hands the system what the allocator keeps of memory that was freed: every free page, also those between others that are
/// in use, which it never hands over by itself. Takes a few milliseconds, and holds up others who allocate meanwhile.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays() {
        let mut pieces: Vec<_> = (0..1000_usize).map(|number| vec![number as u8; 10_000]).collect();
        let mut at = 0..;
        pieces.retain(|_| at.next().is_some_and(|at: usize| at.is_multiple_of(2)));
        trim();
        assert!(
            pieces.iter().enumerate().all(|(at, piece)| piece.iter().all(|&byte| byte == (2 * at) as u8))
        );
    }
}
