//! Whatever a client sends to a node that wants tokens: see `client_tokens` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::client_tokens(data));
