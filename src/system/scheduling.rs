//! How the system's scheduler treats this process. Unsafe code, since neither the standard library nor rustix can ask for it;
//! `bench/runs/2026-11-21-waiting` shows what it saves.

use std::io;

/// Makes the calling thread, and every thread that it starts from now on, wait for its turn when it is woken
/// (`SCHED_BATCH`), instead of interrupting a running one. A node's threads do little each time; if they interrupted
/// one another, they would switch twice as often, and start on cold caches.
pub fn take_turns() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the third argument points to a value that outlives the call, which only reads it; 0 is the calling
    // thread.
    let refused = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const priority) };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_made_afterwards_take_turns() {
        let policy = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The 41st field; the second, the thread's name, ends with the last parenthesis.
            stat.rsplit_once(") ").unwrap().1.split(' ').nth(38).unwrap().to_owned()
        };
        let inherited = std::thread::spawn(move || {
            assert_eq!(policy(), libc::SCHED_OTHER.to_string());
            take_turns().unwrap();
            std::thread::spawn(policy).join().unwrap()
        });
        assert_eq!(inherited.join().unwrap(), libc::SCHED_BATCH.to_string());
    }
}
