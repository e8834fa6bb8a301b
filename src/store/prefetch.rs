//! A hint to the processor that memory will be read soon. The one place with unsafe code, since the standard library has
//! no safe form of it yet; it reads and writes nothing.

/// Begins to fetch the first bytes of a record, as many as two cache lines hold. Nothing where the processor has no such
/// instruction that is stable in Rust.
pub(super) fn prefetch(record: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const CACHE_LINE: usize = 64;
        for line in record.chunks(CACHE_LINE).take(2) {
            // SAFETY: the instruction takes any address and never faults; this one is of a byte that exists.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = record;
}
