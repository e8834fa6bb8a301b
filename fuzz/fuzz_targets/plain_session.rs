//! Whatever a third-party node sends: see `plain_session` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::plain_session(data));
