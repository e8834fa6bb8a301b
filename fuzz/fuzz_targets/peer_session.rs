//! Whatever a neighbour's flooder sends: see `peer_session` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::peer_session(data));
