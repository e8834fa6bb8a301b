//! A hint to the processor that memory will be read soon. The one place with unsafe code, since the standard library has
//! no safe form of it yet; it reads and writes nothing.

/// Begins to fetch the first bytes of a record, as many as two cache lines hold.
pub(super) fn prefetch_record(record: &[u8]) {
    const CACHE_LINE: usize = 64;
    record.chunks(CACHE_LINE).take(2).filter_map(<[u8]>::first).for_each(prefetch);
}

/// Begins to fetch the cache line the value begins on. Nothing where the processor has no such instruction that is stable
/// in Rust.
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction takes any address and never faults; this one is of a value that exists.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
