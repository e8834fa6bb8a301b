//! Whatever a neighbour answers to this node's flooder: see `peer_link` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::peer_link(data));
