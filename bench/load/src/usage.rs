//! What a process has used so far, as Linux reports it in `/proc`: processor time, context switches, resident memory.

use std::{fs, io, time::Duration};

use rustix::param::clock_ticks_per_second;
use serde::Serialize;

/// Processor time and context switches of a process, since it began. The time is exact to about a hundredth of a
/// second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// In its own code, in all threads, including those that have ended.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub system: Duration,
    /// Voluntary and involuntary, of the threads that it has now.
    pub switches: u64,
}

impl Usage {
    /// Of the process with this id.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let (user, system) = cpu(pid)?;
        let mut switches = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end before it is asked; what it did is then not counted.
            let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
            switches += number(&status, "voluntary_ctxt_switches:").unwrap_or(0);
            switches += number(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(Self { user, system, switches })
    }

    /// From an earlier moment to this one.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }

    /// Both together.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
            switches: self.switches + other.switches,
        }
    }
}

/// The context switches of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Switches {
    /// It waited for something.
    pub(crate) voluntary: u64,
    /// Its turn was over, or it yielded.
    pub(crate) involuntary: u64,
}

impl Switches {
    /// From an earlier moment to this one.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        let voluntary = self.voluntary + other.voluntary;
        Self { voluntary, involuntary: self.involuntary + other.involuntary }
    }
}

/// Those of the calling thread, since it began.
pub(crate) fn own_switches() -> io::Result<Switches> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let count = |name| number(&status, name).ok_or(io::ErrorKind::InvalidData);
    let voluntary = count("voluntary_ctxt_switches:")?;
    Ok(Switches { voluntary, involuntary: count("nonvoluntary_ctxt_switches:")? })
}

/// The processor time of a process, in its own code and in the kernel.
pub(crate) fn cpu(pid: u32) -> io::Result<(Duration, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let process = Process::parse(&stat).ok_or(io::ErrorKind::InvalidData)?;
    Ok((of_ticks(process.user), of_ticks(process.system)))
}

/// How long so many of the kernel's ticks are.
pub(crate) fn of_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
}

/// The processor time of a process and of all that it has started, and that those have started, ended ones included.
pub(crate) fn family_cpu(pid: u32) -> io::Result<Duration> {
    let is_process = |name: &str| name.bytes().all(|digit| digit.is_ascii_digit());
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        if is_process(&entry.file_name().to_string_lossy()) {
            // One that ends meanwhile is counted as its parent's.
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            all.extend(Process::parse(&stat));
        }
    }
    Ok(of_ticks(family_ticks(&all, pid)))
}

fn family_ticks(all: &[Process], pid: u32) -> u64 {
    let own = all.iter().filter(|process| process.pid == pid).map(|own| own.user + own.system + own.ended);
    let children = all.iter().filter(|process| process.parent == pid && process.pid != pid);
    own.sum::<u64>() + children.map(|child| family_ticks(all, child.pid)).sum::<u64>()
}

/// A process' resident memory, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    // A process that has ended has no memory, and no such line.
    number(&status, "VmRSS:").map(|kib| kib * 1024).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// How many files and sockets a process has open.
pub(crate) fn descriptors(pid: u32) -> io::Result<usize> {
    fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count)
}

/// What a process' `stat` says of it, times in the kernel's ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    pid: u32,
    parent: u32,
    user: u64,
    system: u64,
    /// Of its children that have ended, and of theirs.
    ended: u64,
}

impl Process {
    /// The second field is the program's name, which may contain anything; times are the fields 14 to 17.
    fn parse(stat: &str) -> Option<Self> {
        let pid = stat.split_once(' ')?.0.parse().ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let mut times = fields.skip(9).map_while(|field| field.parse::<u64>().ok());
        let mut time = || times.next();
        Some(Self { pid, parent, user: time()?, system: time()?, ended: time()? + time()? })
    }
}

/// The number after a name that begins a line.
fn number(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn cpu_time_is_found_whatever_the_program_is_called() {
        let stat = "7 (a) b 1) S 1 2 3 4 5 6 7 8 9 10 40 2 3 1 20 0";
        assert_eq!(Process::parse(stat), Some(Process { pid: 7, parent: 1, user: 40, system: 2, ended: 4 }));
        assert_eq!(Process::parse("7 (a) S 1"), None);
    }

    #[test]
    fn a_family_is_a_process_and_all_below_it() {
        let process = |pid, parent| Process { pid, parent, user: 1, system: 10, ended: 100 };
        let all = [process(1, 0), process(5, 1), process(6, 5), process(7, 6), process(8, 1)];
        assert_eq!(family_ticks(&all, 5), 333);
        assert_eq!(family_ticks(&all, 8), 111);
        assert_eq!(family_ticks(&all, 9), 0);
    }

    #[test]
    fn what_children_use_is_the_familys_while_they_run_and_afterwards() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let before = family_cpu(std::process::id()).unwrap();
        // As long as it takes: the processors may have much else to do.
        while cpu(busy.id()).unwrap().0 < Duration::from_millis(60) {
            std::thread::yield_now();
        }
        let during = family_cpu(std::process::id()).unwrap();
        // Before anything can fail, or it would run on.
        busy.kill().unwrap();
        busy.wait().unwrap();
        assert!(during - before >= Duration::from_millis(50), "{during:?} after {before:?}");
        assert!(family_cpu(std::process::id()).unwrap() >= during, "it is not forgotten");
    }

    #[test]
    fn a_number_is_found_by_the_whole_name() {
        let status = "VmRSS:\t    1024 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(number(status, "VmRSS:"), Some(1_024));
        assert_eq!(number(status, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(number(status, "nonvoluntary_ctxt_switches:"), Some(3));
        assert_eq!(number(status, "VmSwap:"), None);
    }

    #[test]
    fn a_process_has_used_something_and_uses_more() {
        // A process of one thread: those of the tests come and go, and take with them what they have used.
        let script = "read _; for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.01; done; echo; read _";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let before = Usage::of(child.id()).unwrap();
        input.write_all(b"\n").unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 1);
        let used = Usage::of(child.id()).unwrap().since(&before);
        // Waiting for each of the twenty is a voluntary switch; so many involuntary ones do not happen in that time.
        assert!(used.switches >= 20, "{used:?}");
        assert!(resident_bytes(child.id()).unwrap() > 1 << 18);
        input.write_all(b"\n").unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_thread_that_sleeps_switches_by_its_own_will() {
        let before = own_switches().unwrap();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(own_switches().unwrap().since(before).voluntary >= 20);
    }

    #[test]
    fn usages_add_up() {
        let one = Usage { user: Duration::from_secs(3), system: Duration::from_secs(1), switches: 5 };
        assert_eq!(one.and(&one).since(&one), one);
        assert_eq!(one.since(&one.and(&one)), Usage::default());
    }
}
