//! A node in this process: configured as text, run by a thread, stopped and joined when its guard is dropped.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use proxyherd::{
    config::Herd,
    core::{
        access::{PeerTls, Secret, TokenList},
        model::NodeId,
    },
    keys::change_tokens,
    log::LogDir,
    places::Source,
    server::{Announcement, Lacking, Resolve, Role, Server, StartError, Surroundings},
};

use super::{Client, FakePeer, HERD, KnownPlaces, PATIENCE};

/// A node to be: `Alford` of the herd `test`, alone and with default limits, unless told otherwise.
pub(crate) struct Setup {
    in_herd: String,
    limits: String,
    log: String,
    ip: Ipv4Addr,
    http: Option<String>,
    has_plain: bool,
    has_journal: bool,
    places: String,
    key: Option<String>,
    secret: Option<Secret>,
    peer_tls: PeerTls,
    /// What clients that speak TLS are shown: a certificate and its key.
    certificate: Option<(String, String)>,
    /// Who clients are, and the tokens.
    tokens: Option<(&'static str, TokenList)>,
    address: &'static str,
    nodes: String,
    links: Vec<String>,
    panics_at: Option<Announcement>,
    peers: Vec<TcpListener>,
    surroundings: Surroundings,
}

/// A running node.
pub(crate) struct TestNode {
    address: SocketAddr,
    http: Option<SocketAddr>,
    plain: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    announced: Receiver<Announcement>,
    stop: Option<Sender<()>>,
    ended: Receiver<Result<Lacking, StartError>>,
    thread: Option<thread::JoinHandle<()>>,
    log_dir: tempfile::TempDir,
    /// Where its neighbours listen.
    peers: Vec<TcpListener>,
}

impl Setup {
    /// The node's name.
    pub(crate) const ID: &str = "Alford";

    pub(crate) fn new() -> Self {
        let places = Some(Box::new(KnownPlaces) as _);
        Self {
            in_herd: String::new(),
            limits: String::new(),
            log: String::new(),
            ip: Ipv4Addr::LOCALHOST,
            http: None,
            has_plain: false,
            has_journal: false,
            places: "source = \"embedded\"".to_owned(),
            key: None,
            secret: None,
            peer_tls: PeerTls::Off,
            certificate: None,
            tokens: None,
            address: "127.0.0.2:1",
            nodes: String::new(),
            links: Vec::new(),
            panics_at: None,
            peers: Vec::new(),
            surroundings: Surroundings { places, ..Surroundings::default() },
        }
    }

    /// The herd has a secret.
    pub(crate) fn secret(mut self, secret: &Secret) -> Self {
        self.secret = Some(secret.clone());
        self
    }

    /// Whether it speaks TLS with peers. Off without this, whatever the default is: neighbours made of test code are
    /// plain.
    pub(crate) fn peer_tls(mut self, mode: PeerTls) -> Self {
        self.peer_tls = mode;
        self
    }

    /// It takes clients that speak TLS, and shows them this certificate, whose key follows. It looks for another often.
    pub(crate) fn tls(mut self, certificate: (String, String)) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Clients are `"tokens"` or `"open"`, and these are the tokens. Their file is looked at all the time.
    pub(crate) fn tokens(mut self, clients: &'static str, tokens: &TokenList) -> Self {
        self.tokens = Some((clients, tokens.clone()));
        self
    }

    /// A line of the table `[herd]`.
    pub(crate) fn in_herd(mut self, line: &str) -> Self {
        self.in_herd += &format!("{line}\n");
        self
    }

    /// A line of the table `[limits]`.
    pub(crate) fn limit(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.limits += &format!("{key} = {value}\n");
        self
    }

    /// A line of the table `[log]`.
    pub(crate) fn log(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.log += &format!("{key} = {value}\n");
        self
    }

    /// Where it listens, rather than at 127.0.0.1, whose ports other tests are given as soon as they are free.
    pub(crate) fn ip(mut self, ip: Ipv4Addr) -> Self {
        self.ip = ip;
        self
    }

    /// Where neighbours are told to dial it.
    pub(crate) fn reached_at(mut self, address: &'static str) -> Self {
        self.address = address;
        self
    }

    /// A web face, with this in the table `[http]`.
    pub(crate) fn http(mut self, table: &str) -> Self {
        self.http = Some(table.to_owned());
        self
    }

    /// It keeps what it knows, beside its log.
    pub(crate) fn journal(mut self) -> Self {
        self.has_journal = true;
        self
    }

    pub(crate) fn neighbour(mut self, peer: &FakePeer) -> Self {
        self.peers.push(peer.listener().try_clone().unwrap());
        self.neighbour_at(peer.id(), &peer.address().to_string())
    }

    /// A neighbour at an address that may hold a name.
    pub(crate) fn neighbour_at(mut self, id: &str, address: &str) -> Self {
        self.nodes += &format!("[[node]]\nid = \"{id}\"\nlisten = \"{address}\"\n");
        self.links.push(format!("\"{id}\""));
        self
    }

    /// A third-party neighbour, with these keys more.
    pub(crate) fn plain(self, id: &str, address: SocketAddr, keys: &str) -> Self {
        self.plain_at(id, &address.to_string(), keys)
    }

    /// The same at an address that may hold a name.
    pub(crate) fn plain_at(mut self, id: &str, address: &str, keys: &str) -> Self {
        self.nodes +=
            &format!("[[node]]\nid = \"{id}\"\nlisten = \"{address}\"\ndialect = \"plain\"\n{keys}\n");
        self.links.push(format!("\"{id}\""));
        self.has_plain = true;
        self
    }

    pub(crate) fn places(mut self, source: impl Source + 'static) -> Self {
        self.surroundings.places = Some(Box::new(source));
        self
    }

    pub(crate) fn without_places(self) -> Self {
        self.source("source = \"none\"")
    }

    /// The sources of this table `[places]`.
    pub(crate) fn source(mut self, table: &str) -> Self {
        self.surroundings.places = None;
        self.places = table.to_owned();
        self
    }

    /// The key to upstreams, in a file of its own.
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn resolve(mut self, resolve: Resolve) -> Self {
        self.surroundings.resolve = resolve;
        self
    }

    /// What is asked before a thread of that role is made.
    pub(crate) fn before_spawn(
        mut self,
        ask: impl Fn(&Role) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.surroundings.before_spawn = Box::new(ask);
        self
    }

    /// The thread that tells of the link to that neighbour panics: its flooder.
    pub(crate) fn panic_once_linked(mut self, peer: &FakePeer) -> Self {
        self.panics_at = Some(Announcement::Linked(NodeId::new(peer.id()).unwrap()));
        self
    }

    fn herd(&self) -> Herd {
        let Self { in_herd, limits, log, ip, http, has_plain, places, address, nodes, links, .. } = self;
        let (table, mut listen) = match http {
            Some(table) => (format!("[http]\n{table}\n"), format!("http = \"{ip}:0\"\n")),
            None => (String::new(), String::new()),
        };
        let tls = match self.certificate {
            Some(_) => {
                "[tls]\ncertificate_file = \"node.pem\"\nkey_file = \"node.key\"\nwatch_seconds = 0.05\n"
            }
            None => "",
        };
        if self.certificate.is_some() {
            listen += &format!("tls_listen = \"{ip}:0\"\n");
        }
        if *has_plain {
            listen += &format!("plain_listen = \"{ip}:0\"\n");
        }
        // Where it is, `launch` says.
        let peer_tls = self.peer_tls;
        let secret = match self.secret {
            Some(_) => format!("secret_file = \"herd.secret\"\npeer_tls = \"{peer_tls}\"\n"),
            None => String::new(),
        };
        let access = match &self.tokens {
            Some((clients, _)) => format!(
                "[access]\nclients = \"{clients}\"\ntokens_file = \"herd.tokens\"\ntokens_check_seconds = 0.01\n"
            ),
            // With a secret it may be beyond loopback, where it must be said.
            None if self.secret.is_some() => "[access]\nclients = \"open\"\n".to_owned(),
            None => String::new(),
        };
        // Its neighbours would dial `address`; those made of test code ask the node itself.
        let text = format!(
            "[herd]\nname = \"{HERD}\"\n{in_herd}{secret}[places]\n{places}\n[limits]\n{limits}\n[log]\n{log}\n{table}{tls}{access}\
             [[node]]\nid = \"{}\"\nlisten = \"{ip}:0\"\naddress = \"{address}\"\n{listen}links = [{}]\n{nodes}",
            Self::ID,
            links.join(", ")
        );
        Herd::parse(&text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub(crate) fn start(self) -> TestNode {
        let node = self.launch();
        // A third-party neighbour may be linked before.
        while node.announcement() != Announcement::Listening(node.address) {}
        node
    }

    /// Has it start, and does not wait until it has.
    pub(crate) fn launch(mut self) -> TestNode {
        let log_dir = tempfile::tempdir().unwrap();
        let mut herd = self.herd();
        herd.journal.dir = self.has_journal.then(|| log_dir.path().join("kept"));
        if let Some(secret) = &self.secret {
            let file = log_dir.path().join("herd.secret");
            secret.create(&file).unwrap();
            herd.secret_file = Some(file);
        }
        if let Some((certificate, key)) = &self.certificate {
            let [certificate_file, key_file] = TestNode::certificate_files(log_dir.path());
            write_pair([&certificate_file, &key_file], [certificate, key]);
            (herd.tls.certificate_file, herd.tls.key_file) = (Some(certificate_file), Some(key_file));
        }
        if let Some((_, tokens)) = &self.tokens {
            let file = log_dir.path().join("herd.tokens");
            change_tokens(&file, true, |list| {
                list.clone_from(tokens);
                Ok(())
            })
            .unwrap();
            herd.access.tokens_file = Some(file);
        }
        if let Some(key) = &self.key {
            let file = log_dir.path().join("places.key");
            fs::write(&file, key).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            herd.places.key_file = Some(file);
        }
        let (announce, announced) = unbounded();
        let panics_at = self.panics_at.take();
        self.surroundings.announce = Box::new(move |announcement| {
            assert!(panics_at.as_ref() != Some(&announcement), "so it panics here");
            // A test that has ended no longer listens.
            let _ = announce.send(announcement);
        });
        let id = NodeId::new(Self::ID).unwrap();
        let logs = LogDir::Folder(log_dir.path().to_owned());
        let server = Server::bind(&herd, &id, &logs, self.surroundings).unwrap();
        let (address, http) = (server.address().unwrap(), server.http_address().unwrap());
        let (plain, tls) = (server.plain_address().unwrap(), server.tls_address().unwrap());
        let (stop, stopped) = bounded::<()>(0);
        let (end, ended) = bounded(1);
        let thread = thread::spawn(move || {
            let result = server.run(|_| {
                let _ = stopped.recv();
            });
            let _ = end.send(result);
        });
        let (stop, thread, peers) = (Some(stop), Some(thread), self.peers);
        TestNode { address, http, plain, tls, announced, stop, ended, thread, log_dir, peers }
    }
}

fn write_pair(files: [&PathBuf; 2], texts: [&str; 2]) {
    for (file, text) in files.into_iter().zip(texts) {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

impl TestNode {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Where clients come in that speak TLS.
    pub(crate) fn tls_address(&self) -> SocketAddr {
        self.tls.expect("it was set up with a certificate")
    }

    fn certificate_files(folder: &Path) -> [PathBuf; 2] {
        ["node.pem", "node.key"].map(|name| folder.join(name))
    }

    /// Replaces the certificate that it is to show, and its key, one after the other.
    pub(crate) fn replace_certificate(&self, certificate: &str, key: &str) {
        let files = Self::certificate_files(self.log_dir.path());
        write_pair(files.each_ref(), [certificate, key]);
    }

    /// Where third-party neighbours tell their news.
    pub(crate) fn plain_address(&self) -> SocketAddr {
        self.plain.expect("it has such a neighbour")
    }

    /// A connection to its web face.
    #[track_caller]
    pub(crate) fn web(&self) -> Client {
        Client::connect(self.http.expect("it was set up with one"))
    }

    /// The status line and the body of a page.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> (String, String) {
        let mut client = self.web();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        let answer = String::from_utf8(client.rest()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// The value of a metric, by its name and labels; `None` where there is no such line.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.page("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// `/status`.
    #[track_caller]
    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.page("/status").1).unwrap()
    }

    /// What the node tells whoever started it, next.
    #[track_caller]
    pub(crate) fn announcement(&self) -> Announcement {
        self.announced.recv_timeout(PATIENCE).expect("the node announces something")
    }

    /// Waits until the node's link to that neighbour is up.
    #[track_caller]
    pub(crate) fn expect_linked(&self, peer: &FakePeer) {
        let linked = Announcement::Linked(NodeId::new(peer.id()).unwrap());
        assert_eq!(self.announcement(), linked);
    }

    /// Tells the node to stop, and returns at once.
    pub(crate) fn begin_stop(&mut self) {
        self.stop = None;
    }

    /// Waits until the node has ended, and checks that it ended well.
    #[track_caller]
    pub(crate) fn expect_ended(&mut self, within: Duration) {
        self.expect_ended_lacking(within, &[]);
    }

    /// Waits until the node has ended, and checks which neighbours did not take what they lacked.
    #[track_caller]
    pub(crate) fn expect_ended_lacking(&mut self, within: Duration, lacking: &[&str]) {
        let ended = self.ended.recv_timeout(within).expect("run returns");
        let told = ended.expect("run returns without an error");
        assert_eq!(told.neighbours.iter().map(NodeId::as_str).collect::<Vec<_>>(), lacking);
        assert_eq!(told.journal, None);
    }

    /// Waits until the node has given up to start, and says why.
    #[track_caller]
    pub(crate) fn expect_not_started(&mut self) -> StartError {
        let ended = self.ended.recv_timeout(PATIENCE).expect("run returns");
        assert!(self.announced.try_iter().all(|said| matches!(said, Announcement::Linked(_))));
        ended.expect_err("run returns with an error")
    }

    /// Where it listens, for whomever.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        [Some(self.address), self.http, self.plain].into_iter().flatten().collect()
    }

    /// Stops the node and waits for its end.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.begin_stop();
        self.expect_ended(PATIENCE);
    }

    /// The file of its tokens.
    pub(crate) fn tokens_file(&self) -> PathBuf {
        self.log_dir.path().join("herd.tokens")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.logged("log")
    }

    /// Its audit log.
    pub(crate) fn audit_log(&self) -> String {
        self.logged("audit.log")
    }

    fn logged(&self, ending: &str) -> String {
        let path = self.log_dir.path().join(format!("{}.{ending}", Setup::ID));
        fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        // A neighbour made of test code answers nobody any more; refused, the node does not wait for it.
        for peer in &self.peers {
            let _ = rustix::net::shutdown(peer, rustix::net::Shutdown::Both);
        }
        self.stop = None;
        let Some(thread) = self.thread.take() else { return };
        // Either its result comes, or the test has taken it, or the thread has panicked.
        let hangs = self.ended.recv_timeout(PATIENCE).is_err_and(|error| error.is_timeout());
        if !hangs {
            let ended = thread.join();
            assert!(thread::panicking() || ended.is_ok(), "the node's thread panicked");
        } else if !thread::panicking() {
            panic!("the node does not stop");
        }
    }
}
