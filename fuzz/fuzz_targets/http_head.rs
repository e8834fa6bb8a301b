//! Whatever is sent to the web face: see `http_head` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::http_head(data));
