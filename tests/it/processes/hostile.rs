//! Connections that mean harm, 500 of a kind at a real node, held to the table of docs/limits.md: memory of the process and
//! of the system, threads, descriptors. It counts, and does not time. Needs `ss`.

mod plain;
mod seats;
mod tls;
mod web;

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    thread,
};

use proxyherd::{
    config::Limits,
    core::{dialogue::Buffers, wire::Nonce},
};
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::{
    memory::status,
    support::{Client, Herd, PATIENCE, comes_true_within, eventually, heavy},
};
use crate::support::{HERD, SecretPeer, Setup, connect_from, own_ip, secret_of, skipped};

const DOCUMENT: &str = "docs/limits.md";

const COUNT: u64 = 500;

/// The longest line a client may send, less what stands around an id.
const LONG_ID: usize = 16_000;

/// What connections cost: of a node's own memory and of the system's, in KiB, and how many threads and descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cost([u64; 4]);

impl Cost {
    /// What a node costs now.
    fn of(scene: &mut Scene) -> Self {
        let pid = scene.herd.process(Setup::ID).pid();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
        let system = scene.sockets().iter().map(|socket| socket.bytes).sum::<u64>();
        Self([status(pid, "RssAnon:"), system.div_ceil(1024), status(pid, "Threads:"), descriptors])
    }

    /// Whether so many of what costs `most` each may have made this of `before`.
    fn is_within(self, before: Self, (count, most): (u64, Self)) -> bool {
        (0..4).all(|at| self.0[at] <= before.0[at] + count * most.0[at])
    }
}

/// A node's end of a connection.
struct Socket {
    is_unread: bool,
    is_untaken: bool,
    /// What the system holds for it.
    bytes: u64,
}

/// A node, and what it cost before anyone connected.
struct Scene {
    herd: Herd,
    before: Cost,
    port: &'static str,
    /// The row of the table.
    kind: &'static str,
    /// How many connections there may be, and what each may cost.
    most: (u64, Cost),
}

impl Scene {
    fn new(kind: &'static str, more: &str) -> Self {
        Self::with(kind, "11600", |_| {}, (more, ""))
    }

    /// Where the connections come in at that port, and something is to be done before the node starts.
    fn with(
        kind: &'static str,
        port: &'static str,
        prepare: impl FnOnce(&Herd),
        (more, limits): (&str, &str),
    ) -> Self {
        // Traffic is logged, and what waits for the disk is not the connections'.
        let mut herd = Herd::new(&format!(
            "[herd]\nname = \"{HERD}\"\n{more}\n[log]\nbuffer_bytes = 65536\n[limits]\nwrite_seconds = 3600\n\
             handshake_seconds = 60\nline_seconds = 3600\n{limits}"
        ));
        prepare(&herd);
        herd.start(Setup::ID);
        let mut scene = Self { herd, before: Cost([0; 4]), port, kind, most: (COUNT, documented(kind)) };
        let threads = Cost::of(&mut scene).0[2];
        // The first connection costs what no other does.
        scene.herd.report(Setup::ID, "kiwi", "1479413884");
        scene.herd.client(Setup::ID).whatsat("kiwi");
        eventually("its thread has ended", || {
            scene.before = Cost::of(&mut scene);
            scene.before.0[2] == threads
        });
        scene
    }

    fn address(&self) -> SocketAddr {
        self.herd.listens_at(Setup::ID).replace("11600", self.port).parse().unwrap()
    }

    fn connect(&self) -> Vec<TcpStream> {
        (0..COUNT).map(|_| TcpStream::connect(self.address()).unwrap()).collect()
    }

    /// All connections of the node, as the system counts them.
    fn sockets(&self) -> Vec<Socket> {
        let address = self.address();
        let filter = format!("src {} and sport = :{}", address.ip(), address.port());
        let output = Command::new("ss").args(["-tmnOH", "state", "connected", &filter]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // One that the node has closed has none of its memory.
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().filter(|line| line.contains("skmem:")).map(Socket::of).collect()
    }

    /// Holds the cost to the table, now.
    fn expect_within(&mut self) {
        let cost = Cost::of(self);
        let Self { kind, before, most, .. } = self;
        assert!(cost.is_within(*before, *most), "{kind}: {before:?} to {cost:?}, more than {most:?}");
    }

    /// The same once it has come down, while something goes on that the connections do.
    fn expect_to_come_down(&mut self, goes_on: impl FnMut()) {
        // What was given back and is kept to be used again.
        self.before.0[0] += Buffers::KEPT_BYTES as u64 / 1024;
        self.expect_at_last(goes_on);
    }

    /// Holds the cost to the table, as soon as it is so, while something goes on that the connections do.
    fn expect_at_last(&mut self, mut goes_on: impl FnMut()) {
        let what = format!("{}: {:?} and no more than {:?}", self.kind, self.before, self.most);
        let mut cost = Cost::of(self);
        let is_down = comes_true_within(PATIENCE, || {
            goes_on();
            cost = Cost::of(self);
            cost.is_within(self.before, self.most)
        });
        assert!(is_down, "{what}: {cost:?}");
    }

    /// Waits until the node has a thread for each of the connections.
    fn wait_for_sessions(&mut self) {
        let (pid, before) = (self.herd.process(Setup::ID).pid(), self.before.0[2]);
        eventually("all are served", || status(pid, "Threads:") == before + COUNT);
    }

    /// Has all of them send this again and again, until the node reads none of them, since nobody takes its replies.
    fn fill(&mut self, streams: &mut [TcpStream], bytes: &[u8]) {
        for stream in &*streams {
            stream.set_nonblocking(true).unwrap();
            // The test's own end is not to take what the node's would.
            set_socket_send_buffer_size(stream, 64 * 1024).unwrap();
        }
        eventually("none is read", || {
            for stream in &mut *streams {
                while stream.write(bytes).is_ok() {}
            }
            let stalled =
                self.sockets().iter().filter(|socket| socket.is_unread && socket.is_untaken).count();
            stalled as u64 == COUNT
        });
    }
}

impl Socket {
    /// Of a line such as `ESTAB 0 0 127.0.0.1:11600 127.0.0.1:4242 skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)`: what has
    /// come, what is to go, what is set aside, options, what waits for the lock.
    fn of(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let memory = words.last().unwrap().trim_start_matches("skmem:(").trim_end_matches(')');
        let number = |key: &str| {
            let mut fields =
                memory.split(',').filter_map(|field| field.strip_prefix(key)?.parse::<u64>().ok());
            fields.next().unwrap_or_else(|| panic!("{key} in {line}"))
        };
        let bytes = ["r", "f", "w", "o", "bl"].map(number).iter().sum();
        Self { is_unread: words[1] != "0", is_untaken: words[2] != "0", bytes }
    }
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT)).unwrap()
}

/// The cells of the rows of the document that begin with that cell.
fn rows<'d>(document: &'d str, first: &str) -> Vec<Vec<&'d str>> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect()).filter(|cells: &Vec<_>| cells[0] == first).collect()
}

/// What one connection of that kind costs at most.
fn documented(kind: &str) -> Cost {
    let document = document();
    let rows = rows(&document, kind);
    let [row] = &rows[..] else { panic!("{DOCUMENT} has one row for {kind}: {rows:?}") };
    Cost([1, 2, 3, 4].map(|column| row[column].parse().unwrap_or_else(|_| panic!("{row:?}"))))
}

const ALONE: &str = "[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:11600\"";

/// Whether the system's memory can be read.
fn can_count() -> bool {
    let has_ss = Command::new("ss").arg("-V").output().is_ok();
    if !has_ss {
        skipped("what hostile connections cost", "there is no `ss` here; install iproute2");
    }
    has_ss
}

#[test]
fn silent_connections() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = Scene::new("says nothing", ALONE);
    let _streams = scene.connect();
    scene.wait_for_sessions();
    scene.expect_within();
}

const REPORT: &str = "IAMAT kiwi +34.068930-118.445127 1479413884\n";

/// Has all of them send a line again and again and take the replies, which makes everything grow that can.
fn burst(streams: &mut [TcpStream], line: &str) {
    let lines = 192 * 1024 / line.len();
    let burst = line.repeat(lines);
    let take = |mut stream: TcpStream| {
        let (mut taken, mut left) = (vec![0; 64 * 1024], lines);
        while left > 0 {
            let count = stream.read(&mut taken).unwrap();
            left -= taken[..count].iter().filter(|&&byte| byte == b'\n').count();
        }
    };
    for some in streams.chunks_mut(50) {
        thread::scope(|scope| {
            for stream in some {
                let reader = stream.try_clone().unwrap();
                scope.spawn(move || take(reader));
                let burst = burst.as_bytes();
                scope.spawn(move || stream.write_all(burst).unwrap());
            }
        });
    }
}

/// Once they have grown, what comes now and then needs no large buffers.
fn drips(kind: &'static str, drip: &[u8]) {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = Scene::new(kind, ALONE);
    let mut streams = scene.connect();
    burst(&mut streams, REPORT);
    let mut taken = vec![0; 1 << 20];
    streams.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    scene.expect_to_come_down(|| {
        for stream in &mut streams {
            while matches!(stream.read(&mut taken), Ok(count) if count > 0) {}
            stream.write_all(drip).unwrap();
        }
    });
}

#[test]
fn connections_that_drip_bytes_of_a_line() {
    drips("drips a line", b"x");
}

#[test]
fn connections_that_drip_lines() {
    drips("drips lines", b"\n");
}

#[test]
fn connections_that_take_no_replies() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = Scene::new("takes no replies", ALONE);
    let mut streams = scene.connect();
    burst(&mut streams, REPORT);
    scene.fill(&mut streams, REPORT.repeat(1000).as_bytes());
    scene.expect_within();
}

#[test]
fn connections_that_wait_for_their_turn() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    // Enough for the burst and little more, so that all wait soon afterwards.
    let line = format!("{}\n", "x".repeat(10_000));
    let rate = (192 * 1024 / line.len() as u64 * COUNT).div_ceil(3_600);
    let limits = format!(
        "loopback_counts = true\nrequests_per_second = {rate}\nquota_burst_seconds = 3600\nquota_wait_seconds = 60\n"
    );
    let mut scene = Scene::with("waits for its turn", "11600", |_| {}, (ALONE, &limits));
    let mut streams = scene.connect();
    burst(&mut streams, &line);
    let mut taken = vec![0; 1 << 20];
    for stream in &streams {
        stream.set_nonblocking(true).unwrap();
        set_socket_send_buffer_size(stream, 64 * 1024).unwrap();
    }
    eventually("none is read", || {
        let mut is_read = false;
        for stream in &mut streams {
            while matches!(stream.read(&mut taken), Ok(count) if count > 0) {}
            while stream.write(line.as_bytes()).is_ok() {
                is_read = true;
            }
        }
        !is_read && scene.sockets().iter().filter(|socket| socket.is_unread).count() as u64 == COUNT
    });
    scene.expect_to_come_down(|| {});
}

#[test]
fn connections_that_pipeline_lookups() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = Scene::new("pipelines lookups", ALONE);
    let mut streams = scene.connect();
    scene.fill(&mut streams, "WHATSAT kiwi 50 20\n".repeat(1000).as_bytes());
    scene.expect_within();
}

#[test]
fn connections_with_huge_ids() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = Scene::new("sends huge ids", ALONE);
    let mut streams = scene.connect();
    for (number, stream) in streams.iter_mut().enumerate() {
        let id = format!("{number:x>LONG_ID$}");
        stream.write_all(format!("IAMAT {id} +1+1 1\n").as_bytes()).unwrap();
        let mut reply = [0; 4096];
        while !reply.contains(&b'\n') {
            reply.fill(0);
            assert_ne!(stream.read(&mut reply).unwrap(), 0);
        }
        // And another, which does not end.
        stream.write_all(format!("IAMAT {id}").as_bytes()).unwrap();
    }
    scene.expect_to_come_down(|| {});
    let unread = scene.sockets().iter().filter(|socket| socket.is_unread).count();
    assert_eq!(unread, 0, "all has been read");
}

#[test]
fn half_handshakes() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let welsh = SecretPeer::new("Welsh", secret_of(7));
    let more = format!(
        "secret_file = \"herd.secret\"\npeer_tls = \"off\"\n{ALONE}\nlinks = [\"Welsh\"]\n[[node]]\nid = \"Welsh\"\nlisten = \"127.0.0.1:11601\""
    );
    let prepare = |herd: &Herd| welsh.secret.create(&herd.config.with_file_name("herd.secret")).unwrap();
    let mut scene = Scene::with("stops half way through a handshake", "11600", prepare, (&more, ""));
    let mut streams = scene.connect();
    for stream in &mut streams {
        stream.write_all(welsh.hello(Nonce::of_bytes([1; Nonce::BYTES]), None).as_bytes()).unwrap();
        let mut answer = [0; 1024];
        let count = stream.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HELLO 2 "));
        stream.write_all(b"PROOF 00").unwrap();
    }
    scene.expect_within();
}

#[test]
fn document_names_the_limits_as_they_are() {
    let document = document();
    let limits = Limits::default();
    for (key, default) in [
        ("connections", limits.connections),
        ("address_connections", limits.address_connections),
        ("plain_connections", limits.plain_connections),
        ("connection_buffer_bytes", limits.connection_buffer_bytes),
        ("line_bytes", limits.line_bytes),
        ("line_seconds", limits.line_time.as_secs() as usize),
        ("idle_seconds", limits.idle_time.as_secs() as usize),
        ("plain_idle_seconds", limits.plain_idle_time.as_secs() as usize),
        ("write_seconds", limits.write_time.as_secs() as usize),
        ("handshake_seconds", limits.handshake_time.as_secs() as usize),
        ("max_clients", limits.max_clients),
        ("client_bytes", limits.client_bytes),
        ("quota_burst_seconds", limits.quota_burst.as_secs() as usize),
        ("quota_wait_seconds", limits.quota_wait.as_secs() as usize),
        ("quota_addresses", limits.quota_addresses),
    ] {
        let rows = rows(&document, &format!("`{key}`"));
        let [row] = &rows[..] else { panic!("{DOCUMENT} has one row for {key}: {rows:?}") };
        assert_eq!(row[1].replace(',', ""), default.to_string(), "{key}");
    }
    assert_eq!(limits.max_bytes, None);
    assert_eq!(rows(&document, "`max_bytes`")[0][1], "auto");
}
