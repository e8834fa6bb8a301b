//! Whatever comes to the doors at which a real node speaks TLS: that of peers, who must prove a secret, that of clients, and
//! that of the web face. The first byte says which door and how: the rest is sent as it is; or inside of TLS, with its
//! goodbye or without; or it says where a client's part of the handshake is changed. The node always closes the connection,
//! and never says anything in the clear; inside, a peer gets in by no guess, and a client gets a reply to each of its lines.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::{Sender, bounded};
use proxyherd::{
    config::Herd,
    core::model::NodeId,
    log::LogDir,
    server::{Server, Surroundings},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{client_lines::lines_of, scene};

const LINE_BYTES: usize = 512;

/// What is sent must fit the node's and the system's buffers: this end writes all of it before it reads.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// A node that has not closed a connection after this time keeps it.
const PATIENCE: Duration = Duration::from_secs(20);

/// For how long nothing may come until a changed handshake is given up.
const STALL: Duration = Duration::from_millis(20);

/// The types of TLS records.
const RECORDS: std::ops::RangeInclusive<u8> = 0x14..=0x17;

/// The doors of a node that runs as long as these are there.
struct Doors {
    addresses: [SocketAddr; 3],
    /// For peers, who agree on a protocol inside, and for everybody else.
    dialling: [Arc<ClientConfig>; 2],
    stop: Option<Sender<()>>,
    node: Option<thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

thread_local! {
    static DOORS: Doors = Doors::open();
}

/// One input.
pub fn tls_doors(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
    DOORS.with(|doors| {
        let door = usize::from(how % 3);
        match how / 3 % 4 {
            0 => doors.say_raw(door, bytes),
            1 => doors.say_inside(door, bytes, true),
            2 => doors.say_inside(door, bytes, false),
            _ => doors.change_handshake(door, bytes),
        }
    });
}

impl Doors {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let herd = herd(folder.path());
        let logs = LogDir::Folder(folder.path().to_owned());
        let id = NodeId::new("Alford").expect("a good name");
        let server = Server::bind(&herd, &id, &logs, Surroundings::default()).expect("a node");
        let web = server.http_address().expect("its address").expect("a web face");
        let tls = server.tls_address().expect("its address").expect("a door for clients over TLS");
        let addresses = [server.address().expect("its address"), tls, web];
        let (stop, stopped) = bounded::<()>(0);
        let node = thread::spawn(move || {
            // It ends when nobody is left who could say so.
            server.run(|_| stopped.recv().unwrap_or_default()).expect("it runs");
        });
        let dialling = [dialling(&[b"proxyherd"]), dialling(&[])];
        Self { addresses, dialling, stop: Some(stop), node: Some(node), _folder: folder }
    }

    fn connect(&self, door: usize) -> TcpStream {
        let stream = TcpStream::connect(self.addresses[door]).expect("it takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    fn say_raw(&self, door: usize, bytes: &[u8]) {
        let mut stream = self.connect(door);
        // Without this it is a client's at the peers' door, where other targets are.
        let begin: &[u8] = if door == 0 { b"\x16\x03" } else { b"" };
        // The node may have closed it by then.
        let _ = stream.write_all(&[begin, bytes].concat());
        let _ = stream.shutdown(Shutdown::Write);
        let answer = rest(&mut stream);
        assert!(answer.first().is_none_or(|kind| RECORDS.contains(kind)), "in the clear: {answer:?}");
    }

    fn say_inside(&self, door: usize, bytes: &[u8], says_goodbye: bool) {
        let mut stream = self.connect(door);
        let mut tls = self.dialler(door);
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).expect("whoever speaks TLS is spoken to");
        }
        // After it, a client's first line is neither a handshake nor another protocol.
        let before: &[u8] = if door == 1 { b"?\n" } else { b"" };
        let said = [before, bytes].concat();
        tls.writer().write_all(&said).expect("it is buffered");
        if says_goodbye {
            tls.send_close_notify();
        }
        while tls.wants_write() && tls.write_tls(&mut stream).is_ok() {}
        let _ = stream.shutdown(Shutdown::Write);
        let answer = unsealed(&mut tls, &rest(&mut stream));
        match door {
            0 => check_peer(&answer),
            1 => check_client(&said, says_goodbye, &answer),
            _ => assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{answer:?}"),
        }
    }

    /// Three bytes say which byte of what is sent is changed, and how.
    fn change_handshake(&self, door: usize, changes: &[u8]) {
        let mut stream = self.connect(door);
        let (mut tls, mut sent) = (self.dialler(door), 0);
        let mut space = [0; 16 * 1024];
        // Either end may wait for the rest of a record whose length was changed.
        stream.set_read_timeout(Some(STALL)).expect("a timeout");
        loop {
            let mut records = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut records).expect("it is only memory");
            }
            for change in changes.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
                if let Some(byte) = at.checked_sub(sent).and_then(|at| records.get_mut(at)) {
                    *byte ^= change[2];
                }
            }
            sent += records.len();
            if stream.write_all(&records).is_err() || !tls.is_handshaking() {
                break;
            }
            match stream.read(&mut space) {
                Ok(count @ 1..) => {
                    let taken = tls.read_tls(&mut &space[..count]);
                    if taken.is_err() || tls.process_new_packets().is_err() {
                        break;
                    }
                }
                Ok(0) | Err(_) => break,
            }
        }
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = stream.shutdown(Shutdown::Write);
        rest(&mut stream);
    }

    fn dialler(&self, door: usize) -> ClientConnection {
        let config = Arc::clone(&self.dialling[door.min(1)]);
        ClientConnection::new(config, ServerName::try_from("localhost").expect("a name")).expect("a client")
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(node) = self.node.take() {
            let is_well = node.join().is_ok();
            assert!(is_well || thread::panicking(), "the node has failed");
        }
    }
}

/// A node with a neighbour, a secret and a certificate, whose files are put into that folder.
fn herd(folder: &Path) -> Herd {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a good name");
    let certificate = params.self_signed(&key).expect("a certificate");
    for (name, text) in [("node.pem", certificate.pem()), ("node.key", key.serialize_pem())] {
        let file = folder.join(name);
        fs::write(&file, text).expect("room for it");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("they are ours");
    }
    let secret = folder.join("herd.secret");
    scene::secret().create(&secret).expect("room for it");
    let text = format!(
        "[herd]\nname = \"test\"\nsecret_file = \"herd.secret\"\n[access]\nclients = \"open\"\n\
         [places]\nsource = \"none\"\n[http]\ntls = true\n[limits]\nline_bytes = {LINE_BYTES}\nmax_clients = 5\n\
         [log]\ntraffic = false\nconnections = false\n\
         [tls]\ncertificate_file = \"node.pem\"\nkey_file = \"node.key\"\n\
         [[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:0\"\naddress = \"127.0.0.2:2\"\ntls_listen = \"127.0.0.1:0\"\n\
         http = \"127.0.0.1:0\"\nlinks = [\"Welsh\"]\n[[node]]\nid = \"Welsh\"\nlisten = \"127.0.0.2:1\"\n"
    );
    let mut herd = Herd::parse(&text, "test").expect("a good configuration");
    herd.secret_file = Some(secret);
    herd.tls.certificate_file = Some(folder.join("node.pem"));
    herd.tls.key_file = Some(folder.join("node.key"));
    herd
}

/// All that comes until the node closes the connection, which it must.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        // What was not read of it makes the close a reset.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the node keeps it: {error}"),
        _ => rest,
    }
}

/// What is in these records.
fn unsealed(tls: &mut ClientConnection, mut records: &[u8]) -> Vec<u8> {
    let (mut text, mut is_sound) = (Vec::new(), true);
    while is_sound && !records.is_empty() {
        tls.read_tls(&mut records).expect("it is only memory");
        is_sound = tls.process_new_packets().is_ok();
        // It ends where the records do, with a goodbye or without.
        let _ = tls.reader().read_to_end(&mut text);
    }
    assert!(is_sound, "the node sends what is no TLS");
    text
}

/// Nobody guesses a proof. So a peer hears the node's own line, and why it is refused, and no more.
fn check_peer(answer: &[u8]) {
    let lines: Vec<_> = answer.split_inclusive(|&byte| byte == b'\n').collect();
    let is_own = |line: &[u8]| line.starts_with(b"HELLO 2 test Alford ");
    let is_refusal = |line: &[u8]| line.starts_with(b"REFUSED ");
    let is_good = match lines[..] {
        [] => true,
        [only] => is_own(only) || is_refusal(only),
        [first, second] => is_own(first) && is_refusal(second),
        _ => false,
    };
    assert!(is_good, "{}", answer.escape_ascii());
}

/// Each line gets a reply, but for one without its end where TLS does not vouch for that.
fn check_client(said: &[u8], says_goodbye: bool, answer: &[u8]) {
    let lines = lines_of(said, LINE_BYTES).len();
    let is_cut = !says_goodbye && !said.ends_with(b"\n");
    let replies = answer.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(replies, lines - usize::from(is_cut), "{}", answer.escape_ascii());
}

fn dialling(inside: &[&[u8]]) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions of TLS").dangerous();
    let mut config = config.with_custom_certificate_verifier(Arc::new(Gullible)).with_no_client_auth();
    config.alpn_protocols = inside.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Believes everyone.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
