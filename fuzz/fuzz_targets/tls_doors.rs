//! Whatever comes to the doors that speak TLS: see `tls_doors` in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyherd_fuzz::tls_doors(data));
