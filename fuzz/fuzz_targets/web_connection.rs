//! Whatever is sent to the web face: see `web_connection` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::web_connection(data));
