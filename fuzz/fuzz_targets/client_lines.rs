//! Whatever a client sends: see `client_lines` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::client_lines(data));
