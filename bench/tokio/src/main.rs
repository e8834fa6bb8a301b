//! The herd on an event loop: the product's parser, store and log, with a tokio task a connection where the product has a
//! thread. What differs is the model, not the program. `bench/README.md` says how it is started and what it speaks.
#![allow(clippy::print_stdout, reason = "whoever starts it waits for its first line")]

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Parser;
use proxyherd::{
    core::{
        model::{Coordinates, Location, NodeId, Now, Skew},
        store::{Outcome, Placement, Store},
        wire::{Ending, Fields, Line, LineBuffer, PlainLine, QueryLimits, Request, write_flooded},
    },
    log::{Log, LogOptions, Traffic},
    places::{Failure, cut::Document, write_failure},
    system::clock,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Mutex, mpsc},
    time::sleep,
};

const LINE_BYTES: usize = 16 * 1024;
const QUERY_LIMITS: QueryLimits = QueryLimits { radius_km_max: 50, bound_max: 20 };
/// Batches that may wait for one peer; what finds no room is lost.
const QUEUE: usize = 32 * 1024;
const RETRY: Duration = Duration::from_secs(1);

#[derive(Parser)]
struct Args {
    #[arg(long)]
    id: String,
    #[arg(long)]
    listen: SocketAddr,
    /// ID=HOST:PORT, for each neighbour
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// http://HOST:PORT of a Nearby Search
    #[arg(long)]
    upstream: Option<String>,
    #[arg(long)]
    log: Option<PathBuf>,
}

struct Herd {
    id: NodeId,
    store: Store,
    peers: Vec<(NodeId, mpsc::Sender<Arc<[u8]>>)>,
    upstream: Option<Upstream>,
    log: Option<Log>,
}

/// What the lines of one read lead to.
#[derive(Default)]
struct Batch {
    replies: Vec<u8>,
    news: Vec<u8>,
    /// Whose news it is: not told to that peer.
    from: Option<usize>,
    traffic: Traffic,
}

/// What a line leaves to be done.
enum Left {
    Nothing,
    Lookup { center: Coordinates, radius_m: f64, bound: usize },
}

impl Herd {
    fn execute(&self, line: Line<'_>, now: Now, batch: &mut Batch) -> (Left, Ending) {
        let (Line::Whole(text, ending) | Line::TooLong(text, ending)) = line;
        let replied = batch.replies.len();
        if self.log.is_some() {
            batch.traffic.line_in(text);
        }
        let left = match line {
            Line::Whole(text, _) if text.trim_ascii_start().starts_with(b"AT") => self.at(text, batch),
            Line::Whole(text, _) => match Request::parse(text, &QUERY_LIMITS) {
                Ok(Request::Iamat(report)) => {
                    let mut skew = [0; Skew::TEXT_BYTES_MAX];
                    let location = Location {
                        server: self.id.as_bytes(),
                        skew: Skew::between(now.wall, report.time).text(&mut skew),
                        client: report.client,
                        position: report.position,
                        timestamp: report.timestamp,
                        time: report.time,
                    };
                    let outcome = self.store.report(self.store.key_hash(report.client), &location);
                    location.write_at(&mut batch.replies);
                    batch.replies.extend_from_slice(ending.as_bytes());
                    self.learn(outcome, &location, batch);
                    Some(Left::Nothing)
                }
                Ok(Request::Whatsat(query)) if self.upstream.is_some() => {
                    let replies = &mut batch.replies;
                    let place = self.store.key_hash(query.client);
                    let found = self.store.get(place, query.client, |location| location.write_at(replies));
                    found.and_then(|()| {
                        let position = Fields::of(&replies[replied..]).nth(4)?;
                        let center = Coordinates::of_position(position)?;
                        replies.extend_from_slice(ending.as_bytes());
                        Some(Left::Lookup { center, radius_m: query.radius_km * 1000.0, bound: query.bound })
                    })
                }
                Ok(Request::Whatsat(_)) | Err(_) => None,
            },
            Line::TooLong(..) => None,
        };
        let left = left.unwrap_or_else(|| {
            batch.replies.extend_from_slice(b"? ");
            batch.replies.extend_from_slice(text);
            batch.replies.extend_from_slice(ending.as_bytes());
            Left::Nothing
        });
        if self.log.is_some() && batch.replies.len() > replied {
            let reply = &batch.replies[replied..];
            batch.traffic.line_out(reply.strip_suffix(ending.as_bytes()).unwrap_or(reply));
        }
        (left, ending)
    }

    /// A peer's line; `None` from anybody else.
    fn at(&self, text: &[u8], batch: &mut Batch) -> Option<Left> {
        let line = PlainLine::parse(text)?;
        let sender = line.sender?;
        let from = self.peers.iter().position(|(id, _)| id.as_bytes() == sender)?;
        if batch.from != Some(from) {
            self.flood(batch);
            batch.from = Some(from);
        }
        let outcome = self.store.learn(self.store.key_hash(line.location.client), &line.location);
        self.learn(outcome, &line.location, batch);
        Some(Left::Nothing)
    }

    fn learn(&self, outcome: Outcome, location: &Location<'_>, batch: &mut Batch) {
        if outcome.is_news() && !self.peers.is_empty() {
            write_flooded(location, &self.id, &mut batch.news);
        }
    }

    fn flood(&self, batch: &mut Batch) {
        if batch.news.is_empty() {
            return;
        }
        let news: Arc<[u8]> = Arc::from(&batch.news[..]);
        batch.news.clear();
        let others = self.peers.iter().enumerate().filter(|(at, _)| batch.from != Some(*at));
        others.for_each(|(_, (_, queue))| drop(queue.try_send(Arc::clone(&news))));
    }

    /// Does the side effects of the lines so far, once for all of them.
    async fn finish(&self, stream: &mut TcpStream, batch: &mut Batch) -> io::Result<()> {
        if let Some(log) = &self.log {
            batch.traffic.finish(log);
        }
        self.flood(batch);
        stream.write_all(&batch.replies).await?;
        batch.replies.clear();
        Ok(())
    }

    async fn session(&self, mut stream: TcpStream, number: u64) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = LineBuffer::new(LINE_BYTES);
        let mut batch = Batch::default();
        loop {
            let count = stream.read(buffer.space()).await?;
            let now = clock::now();
            batch.traffic.begin(now.wall, number);
            buffer.filled(count);
            if count == 0 {
                if let Some(line) = buffer.last_line() {
                    self.run(line, now, &mut stream, &mut batch).await?;
                }
                return self.finish(&mut stream, &mut batch).await;
            }
            for line in buffer.take_lines() {
                self.run(line, now, &mut stream, &mut batch).await?;
            }
            self.finish(&mut stream, &mut batch).await?;
        }
    }

    async fn run(
        &self,
        line: Line<'_>,
        now: Now,
        stream: &mut TcpStream,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let (left, ending) = self.execute(line, now, batch);
        if let (Left::Lookup { center, radius_m, bound }, Some(upstream)) = (left, &self.upstream) {
            let before = batch.replies.len();
            let count = match upstream.nearby(center, radius_m).await {
                Ok(document) => document.write(bound, &mut batch.replies),
                Err(error) => {
                    let failure = Failure { status: "UNKNOWN_ERROR", message: error.to_string() };
                    write_failure(&failure, &mut batch.replies);
                    0
                }
            };
            if self.log.is_some() {
                let length = batch.replies.len() - before;
                batch.traffic.line_out(format!("[{count} results, {length} bytes]").as_bytes());
            }
            batch.replies.extend_from_slice(ending.as_bytes());
            batch.replies.extend_from_slice(ending.as_bytes());
        }
        if batch.replies.len() >= 64 * 1024 {
            self.finish(stream, batch).await?;
        }
        Ok(())
    }
}

/// Writes to one peer whatever is queued for it, and dials it again when it is gone.
async fn flooder(
    log: Option<&'static Log>,
    number: u64,
    id: NodeId,
    address: String,
    mut queue: mpsc::Receiver<Arc<[u8]>>,
) {
    let mut traffic = Traffic::default();
    loop {
        if let Ok(mut stream) = TcpStream::connect(&address).await
            && stream.set_nodelay(true).is_ok()
        {
            println!("linked {id}");
            let mut said = [0; 64];
            loop {
                // A peer answers nothing; what can be read is the end.
                tokio::select! {
                    Some(batch) = queue.recv() => {
                        if stream.write_all(&batch).await.is_err() {
                            break;
                        }
                        if let Some(log) = log {
                            traffic.begin(clock::wall(), number);
                            batch.trim_ascii_end().split(|byte| *byte == b'\n').for_each(|line| traffic.line_out(line));
                            traffic.finish(log);
                        }
                    }
                    read = stream.read(&mut said) => if !matches!(read, Ok(1..)) { break },
                }
            }
        }
        sleep(RETRY).await;
        while queue.try_recv().is_ok() {}
    }
}

/// Nearby Search over connections that are kept.
struct Upstream {
    authority: String,
    idle: Mutex<Vec<TcpStream>>,
}

impl Upstream {
    async fn nearby(&self, center: Coordinates, radius_m: f64) -> io::Result<Document> {
        let kept = self.idle.lock().await.pop();
        if let Some(stream) = kept
            && let Ok(document) = self.ask(stream, center, radius_m).await
        {
            return Ok(document);
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        self.ask(stream, center, radius_m).await
    }

    async fn ask(&self, mut stream: TcpStream, center: Coordinates, radius_m: f64) -> io::Result<Document> {
        let request = format!(
            "GET /maps/api/place/nearbysearch/json?location={},{}&radius={radius_m}&key=bench HTTP/1.1\r\nHost: {}\r\n\r\n",
            center.latitude, center.longitude, self.authority
        );
        stream.write_all(request.as_bytes()).await?;
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let mut bytes = Vec::with_capacity(8 * 1024);
        let (body, length) = loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                break (
                    end + 4,
                    length.and_then(|length| length.trim().parse::<usize>().ok()).ok_or_else(invalid)?,
                );
            }
        };
        while bytes.len() < body + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.idle.lock().await.push(stream);
        Document::parse(bytes[body..body + length].to_vec(), "results").map_err(|_| invalid())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let id = NodeId::new(&args.id).ok_or("--id is no name")?;
    let (mut peers, mut queues) = (Vec::new(), Vec::new());
    for peer in &args.peers {
        let (id, address) = peer.split_once('=').ok_or("--peer is ID=HOST:PORT")?;
        let id = NodeId::new(id).ok_or("--peer has no name")?;
        let (sender, queue) = mpsc::channel(QUEUE);
        peers.push((id.clone(), sender));
        queues.push((id, address.to_owned(), queue));
    }
    let log = args.log.map(|path| {
        let options = LogOptions {
            path,
            traffic: true,
            bodies: false,
            buffer_bytes: 64 << 20,
            file_bytes: 256 << 20,
            files_kept: 4,
        };
        Log::open(options)
    });
    let upstream = args.upstream.map(|url| Upstream {
        authority: url.trim_start_matches("http://").trim_end_matches('/').to_owned(),
        idle: Mutex::default(),
    });
    let store = Store::new(Placement::of_herd("bench"), 20_000_000);
    let herd: &'static Herd = Box::leak(Box::new(Herd { id, store, peers, upstream, log: log.transpose()? }));
    let (stop, stopped) = crossbeam_channel::bounded(0);
    let writer = herd.log.as_ref().map(|log| std::thread::spawn(move || log.write_until(&stopped)));
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(args.listen)?;
    let listener: TcpListener = socket.listen(4096)?;
    println!("listening {}", listener.local_addr()?);
    let links = queues.len() as u64;
    for (number, (id, address, queue)) in (1..).zip(queues) {
        tokio::spawn(flooder(herd.log.as_ref(), number, id, address, queue));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    for number in links + 1.. {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                tokio::spawn(herd.session(stream, number));
            }
            _ = terminated.recv() => break,
        }
    }
    drop::<crossbeam_channel::Sender<()>>(stop);
    writer.map(std::thread::JoinHandle::join);
    Ok(())
}
