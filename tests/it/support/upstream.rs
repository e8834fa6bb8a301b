//! A service in Google's stead: an HTTP server over real sockets, plain or with TLS, that remembers what it was asked whole
//! and answers each request as a script says, in any wrong way there is. Also the authority that vouches for it.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::PATIENCE;

/// How long a slow service waits after each byte.
const BYTE_TIME: Duration = Duration::from_millis(10);

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many came before it.
    pub(crate) number: usize,
    /// Its first line and its headers, without the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header, its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What keeps an answer back, until its other half is dropped.
pub(crate) type Held = Receiver<()>;

/// A gate that is shut until the first half is dropped.
pub(crate) fn gate() -> (Sender<()>, Held) {
    bounded(0)
}

/// One answer: bytes, waits between them, and what becomes of the connection.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    is_chunked: bool,
    length: Option<String>,
    held: Option<Held>,
    held_at: Option<(usize, Held)>,
    cut_at: Option<usize>,
    is_slow: bool,
    raw: Option<Vec<u8>>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Keep,
    Close,
    /// Without a word that this is the end, where TLS has one for that.
    Cut,
    Reset,
}

impl Answer {
    /// A whole answer with a length.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            is_chunked: false,
            length: None,
            held: None,
            held_at: None,
            cut_at: None,
            is_slow: false,
            raw: None,
            end: End::Keep,
        }
    }

    /// A whole answer of Google's.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).header("Content-Type: application/json; charset=UTF-8")
    }

    /// A page for people.
    pub(crate) fn html(status: u16) -> Self {
        let page =
            format!("<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n<p>That\u{2019}s all.");
        Self::new(status, page).header("Content-Type: text/html; charset=UTF-8")
    }

    /// These bytes, then the end.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), end: End::Close, ..Self::new(200, "") }
    }

    /// Nothing but a reset.
    pub(crate) fn reset() -> Self {
        Self { end: End::Reset, ..Self::raw("") }
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// In pieces, without a length.
    pub(crate) fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    pub(crate) fn gzipped(mut self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.header("Content-Encoding: gzip")
    }

    /// What is said of its length, whatever it is.
    pub(crate) fn length(mut self, said: &impl ToString) -> Self {
        self.length = Some(said.to_string());
        self
    }

    /// Nothing before the gate opens.
    pub(crate) fn held(mut self, gate: &Held) -> Self {
        self.held = Some(gate.clone());
        self
    }

    /// No more than so many bytes of the body before the gate opens.
    pub(crate) fn held_at(mut self, at: usize, gate: &Held) -> Self {
        self.held_at = Some((at, gate.clone()));
        self
    }

    /// The connection ends after so many bytes of the body.
    pub(crate) fn cut_at(mut self, at: usize) -> Self {
        self.cut_at = Some(at);
        self.cut()
    }

    /// The connection ends after it, and not even TLS says so.
    pub(crate) fn cut(mut self) -> Self {
        self.end = End::Cut;
        self
    }

    /// No more than so many bytes of the body, and a length to match.
    pub(crate) fn truncated(mut self, at: usize) -> Self {
        self.body.truncate(at);
        self
    }

    /// The connection ends after it, without a word of that in it.
    pub(crate) fn closed(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Byte after byte.
    pub(crate) fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Whatever\r\n", self.status);
        self.headers.iter().for_each(|line| head += &format!("{line}\r\n"));
        match &self.length {
            _ if self.is_chunked => head += "Transfer-Encoding: chunked\r\n",
            Some(length) => head += &format!("Content-Length: {length}\r\n"),
            None => head += &format!("Content-Length: {}\r\n", self.body.len()),
        }
        head + "\r\n"
    }

    /// The body as it goes over the wire.
    fn framed(&self) -> Vec<u8> {
        if !self.is_chunked {
            return self.body.clone();
        }
        let mut out = Vec::new();
        for chunk in self.body.chunks(1000) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }

    fn write(&self, stream: &mut dyn Stream, shared: &Shared) -> io::Result<()> {
        if let Some(gate) = &self.held {
            shared.wait(gate);
        }
        if let Some(raw) = &self.raw {
            stream.write_all(raw)?;
            return stream.flush();
        }
        stream.write_all(self.head().as_bytes())?;
        stream.flush()?;
        let body = self.framed();
        let body = &body[..self.cut_at.unwrap_or(body.len())];
        let (first, rest) = body.split_at(self.held_at.as_ref().map_or(0, |&(at, _)| at));
        self.write_part(first, stream)?;
        if let Some((_, gate)) = &self.held_at {
            shared.wait(gate);
        }
        self.write_part(rest, stream)
    }

    fn write_part(&self, part: &[u8], stream: &mut dyn Stream) -> io::Result<()> {
        if !self.is_slow {
            stream.write_all(part)?;
            return stream.flush();
        }
        for byte in part {
            stream.write_all(&[*byte])?;
            stream.flush()?;
            // Slowness is what is tested.
            thread::sleep(BYTE_TIME);
        }
        Ok(())
    }
}

/// The service; it ends when dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    accepts: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<dyn Fn(&Asked) -> Answer + Send + Sync>,
    tls: Option<Arc<ServerConfig>>,
    asked: Mutex<Vec<Asked>>,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
    stopped: Receiver<()>,
}

impl Upstream {
    /// Answers as the script says.
    pub(crate) fn new(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, script)
    }

    /// Answers every request with the same.
    pub(crate) fn answering(answer: Answer) -> Self {
        Self::new(move |_| answer.clone())
    }

    /// Answers with the first, then the second and so on, and with the last again and again.
    pub(crate) fn in_turn(answers: Vec<Answer>) -> Self {
        Self::new(move |asked| answers[asked.number.min(answers.len() - 1)].clone())
    }

    /// The same behind TLS.
    pub(crate) fn with_tls(
        tls: Arc<ServerConfig>,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(tls), script)
    }

    fn start(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        // Not 127.0.0.1, which a herd of processes replaces by its own address.
        let listener = TcpListener::bind((Self::HOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = bounded(0);
        let shared = Arc::new(Shared {
            script: Box::new(script),
            tls,
            asked: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: Mutex::default(),
            is_over: AtomicBool::new(false),
            stopped,
        });
        let accepting = Arc::clone(&shared);
        let accepts = Some(thread::spawn(move || accept(&listener, &accepting)));
        Self { address, shared, stop: Some(stop), accepts }
    }

    /// Where each of them is.
    pub(crate) const HOST: &str = "127.0.0.2";

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// As it stands in a configuration.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.shared.asked.lock().len()
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.lock().len()
    }

    /// Closes every connection there is.
    pub(crate) fn hang_up(&self) {
        self.shared.open.lock().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.stop = None;
        // It wakes `accept`.
        drop(TcpStream::connect_timeout(&self.address, PATIENCE));
        let ended = self.accepts.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the service panicked");
    }
}

fn accept(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            if shared.is_over.load(Ordering::Acquire) {
                break;
            }
            let Ok(stream) = stream else { continue };
            shared.accepted.fetch_add(1, Ordering::Release);
            shared.open.lock().push(stream.try_clone().unwrap());
            scope.spawn(move || {
                let address = stream.peer_addr();
                shared.serve(&stream);
                let mut open = shared.open.lock();
                open.retain(|other| other.peer_addr().ok() != address.as_ref().ok().copied());
            });
        }
        shared.open.lock().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    });
}

impl Shared {
    fn wait(&self, gate: &Held) {
        select! {
            recv(gate) -> _ => {}
            recv(self.stopped) -> _ => {}
        }
    }

    fn serve(&self, tcp: &TcpStream) {
        let _ = tcp.set_nodelay(true);
        let own = tcp.try_clone().unwrap();
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(own),
            Some(tls) => Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(tls)).unwrap(), own)),
        };
        while let Some((head, body)) = request(&mut *stream) {
            let asked = {
                let mut all = self.asked.lock();
                let asked = Asked { number: all.len(), head, body };
                all.push(asked.clone());
                asked
            };
            let answer = (self.script)(&asked);
            let is_written = answer.write(&mut *stream, self).is_ok();
            if answer.end == End::Reset {
                rustix::net::sockopt::set_socket_linger(tcp, Some(Duration::ZERO)).unwrap();
                return;
            }
            if answer.end == End::Close && is_written {
                stream.end();
            }
            if answer.end != End::Keep || !is_written {
                let _ = tcp.shutdown(Shutdown::Write);
                // Unread bytes would turn the close into a reset, which may take the answer with it.
                while matches!((&mut &*tcp).read(&mut [0; 1024]), Ok(1..)) {}
                return;
            }
        }
    }
}

/// A connection, with TLS or without.
trait Stream: Read + Write {
    /// Says that no more comes, where there is a way to say that.
    fn end(&mut self) {}
}

impl Stream for TcpStream {}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// The head of the next request and its body, if another one comes.
fn request(stream: &mut dyn Stream) -> Option<(String, Vec<u8>)> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.trim_end().to_owned();
    let asked = Asked { number: 0, head, body: Vec::new() };
    let length = asked.header("Content-Length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((asked.head, body))
}
