//! Which signals were ignored when the process started: `nohup` ignores SIGHUP, and a shell without job control ignores
//! SIGINT in its background commands. Code that would end on a signal asks here first and leaves those alone. No signal
//! is handled here.

use std::fs;

/// Whether this process ignores the signal, which it has done from its start if it changed nothing itself. `false` if
/// the system does not say.
pub fn is_ignored(signal: i32) -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| is_in_mask(&status, signal))
}

/// Signal 1 is the lowest bit of the line `SigIgn:`.
fn is_in_mask(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).contains(&signal) && mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_has_a_bit_a_signal() {
        let status =
            "Name:\therd\nSigBlk:\tffffffffffffffff\nSigIgn:\t8000000000001001\nSigCgt:\t0000000000004002\n";
        assert!([1, 13, 64].into_iter().all(|signal| is_in_mask(status, signal)));
        assert!([0, 2, 15, 63, 65, -1].into_iter().all(|signal| !is_in_mask(status, signal)));
        assert!(!is_in_mask("SigIgn:\tx", 1) && !is_in_mask("", 1));
    }
}
