//! Whatever stands in a file of tokens: see `tokens_file` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::tokens_file(data));
