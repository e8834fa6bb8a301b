//! A time as text is compared with one as a number.

pub fn is_stale(timestamp: &str, stored: u64) -> bool {
    timestamp <= stored // fault
    // instead: timestamp.parse().is_ok_and(|time: u64| time <= stored)
}

fn main() {}
