//! What a node's page says of its process, against what the system says of it.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::support::{Herd, eventually, solo};

/// The number behind that word in the process's status.
fn status(pid: Pid, word: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn process_is_told_of_as_the_system_tells_of_it() {
    let mut herd = solo("http = \"127.0.0.1:11700\"\n");
    let before = now();
    herd.start("Solo");
    let pid = herd.process("Solo").pid();
    // Now, since a page is made by a thread of its own, over a connection of its own, which stay for a while after it.
    let threads = status(pid, "Threads:");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as f64;
    let get = |herd: &Herd, name: &str| herd.metric("Solo", name);

    // The system counts a process's start in hundredths of a second.
    let started = get(&herd, "process_start_time_seconds");
    assert!((before - 0.02..=now()).contains(&started), "{started}, not {before} to {}", now());
    for _ in 0..20 {
        assert_eq!(get(&herd, "process_start_time_seconds"), started, "it is the same each time");
    }

    let eventually_are = |more: f64| {
        eventually(&format!("{more} more threads are told of"), || {
            get(&herd, "process_threads") == threads + more + 1.0
        });
        eventually(&format!("{more} more descriptors are told of"), || {
            get(&herd, "process_open_fds") == descriptors + more + 1.0
        });
    };
    eventually_are(0.0);
    let mut clients: Vec<_> = (0..10).map(|_| herd.client("Solo")).collect();
    clients.iter_mut().for_each(|client| drop(client.ask("hello")));
    eventually_are(10.0);

    let limit = Rlimit { current: Some(333), maximum: rustix::process::getrlimit(Resource::Nofile).maximum };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    assert_eq!(get(&herd, "process_max_fds"), 333.0);

    let (resident, system) = (get(&herd, "process_resident_memory_bytes"), status(pid, "VmRSS:") * 1024.0);
    assert!((system * 0.8..=system * 1.2).contains(&resident), "{resident}, not about {system}");

    let used = get(&herd, "process_cpu_seconds_total");
    let wall = now();
    eventually("work takes processor time", || {
        clients.iter_mut().for_each(|client| drop(client.ask("IAMAT a +1+1 1")));
        get(&herd, "process_cpu_seconds_total") > used + 0.05
    });
    let most = (now() - wall) * processors();
    let took = get(&herd, "process_cpu_seconds_total") - used;
    assert!(took <= most + 0.1, "{took} in {most}");
    herd.stop("Solo");
}

fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}
