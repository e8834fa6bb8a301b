//! `herd send`: lines to a node, its replies back, bytes untouched both ways but for a terminal's sake. It reads while it
//! writes, so that any number of lines fits through. Why a line was refused, `replies` and `reason` find.

mod dial;
mod fault;
mod reason;
mod replies;
mod show;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::ffi::OsStringExt},
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};

pub(super) use self::fault::SendError;
use self::{
    dial::{CallLimit, dial},
    reason::KnownRules,
    replies::{RefusedLine, Replies, Sent},
};
use super::{
    CommandError, Common, complain,
    exposure::Exposure,
    node, printable,
    seconds::seconds,
    tls_flags::{self, TlsFlags},
    token_flag::TokenFlag,
};
use crate::{
    config::{Address, Herd},
    core::{access::Token, wire::OtherProtocol},
    system::clock,
    transport::{ClientStream, Trust},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd send Alford 'IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450'
  herd send Welsh 'WHATSAT kiwi.cs.ucla.edu 10 5'
  herd send 127.0.0.1:11600 < lines.txt > replies.txt
  herd send Ball                                 then type lines; Ctrl-D ends
  herd send Ball --ca authority.pem              over TLS, at its `tls_listen` address
  herd send Ball --ca authority.pem --token-file kiwi.token < lines.txt
  herd send Ball --timeout 2 'WHATSAT kiwi.cs.ucla.edu 10 5' || echo unanswered

A line that comes back after a `?` was refused; standard error says which one and why.
On a terminal, control characters in replies are shown as \\x1b and the like.")]
pub(super) struct Args {
    /// A node's id in the configuration, or HOST:PORT.
    node: String,
    /// What to send, each on its line; without any, standard input as it is.
    #[arg(value_name = "LINE")]
    lines: Vec<OsString>,
    /// How long all of it may take, connecting too; 0.01 to 86400. It fails where replies are missing then. Without it,
    /// replies are waited for until the node closes the connection.
    #[arg(long, value_name = "SECONDS", value_parser = |text: &str| seconds(text, 86_400.0))]
    timeout: Option<f64>,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    token: TokenFlag,
}

/// The system takes no timeout of nothing.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const BUFFER_BYTES: usize = 256 * 1024;

pub(super) fn run(args: &Args, common: &Common) -> Result<(), CommandError> {
    let deadline = CallLimit::of(args.timeout);
    let (node, token) = (&args.node, args.token.read()?);
    let trust = args.tls.trust().map_err(CommandError::Usage)?;
    let (address, rules) = find(node, common, trust.as_ref())?;
    let input = if args.lines.is_empty() {
        let stdin = io::stdin().as_fd().try_clone_to_owned();
        ToSend::File(stdin.map(File::from).map_err(|error| CommandError::from(SendError::Input(error)))?)
    } else {
        ToSend::Lines(joined(&args.lines))
    };
    let whom = if *node == address.to_string() { node.clone() } else { format!("{node} at {address}") };
    let exposure = Exposure {
        whom: &whom,
        shows_token: token.is_some(),
        trust: trust.as_ref(),
        is_beyond_loopback: !address.is_loopback(),
        cure: tls_flags::CURE,
    };
    exposure.warning().iter().for_each(|line| complain(line));
    let stream = dial(&address, trust.as_ref(), deadline).map_err(|error| {
        let cure = match error.kind() {
            io::ErrorKind::InvalidData => "--ca names whom to believe",
            _ => "is it up? herd up starts the whole herd",
        };
        CommandError::Failed(format!("cannot connect to {whom}: {error}; {cure}"))
    })?;
    let mut out = printable::documents();
    let mut tell = |refusal: RefusedLine<'_>| complain(&rules.text(&refusal, clock::wall()));
    let shown = show_token(&stream, token.as_ref(), deadline);
    let done = shown.and_then(|()| exchange(&stream, input, deadline, &mut out, &mut tell));
    let finished = out.finish().map_err(SendError::Output);
    done.and(finished).map_err(|fault| match fault {
        SendError::Output(error) => CommandError::Output(error),
        fault @ SendError::Late { .. } => CommandError::Failed(format!("{node}: {fault}")),
        fault => CommandError::Failed(format!("{node} {fault}")),
    })
}

/// What a node answers to these lines within so many seconds, after it was shown the token; the outer error is that of
/// dialling it, and of TLS where somebody is to vouch for it.
pub(super) fn ask(
    (address, trust): (&Address, Option<&Trust>),
    token: Option<&Token>,
    lines: Vec<u8>,
    seconds: f64,
) -> io::Result<Result<Vec<u8>, SendError>> {
    let deadline = CallLimit::of(Some(seconds));
    let (stream, mut replies) = (dial(address, trust, deadline)?, Vec::new());
    let answered = show_token(&stream, token, deadline)
        .and_then(|()| exchange(&stream, ToSend::Lines(lines), deadline, &mut replies, &mut |_| ()));
    Ok(answered.map(|()| replies))
}

fn show_token(stream: &ClientStream, token: Option<&Token>, deadline: CallLimit) -> Result<(), SendError> {
    token.map_or(Ok(()), |token| show::show(stream, token, deadline))
}

/// Where the node is, and by which rules it judges lines.
fn find(node: &str, common: &Common, trust: Option<&Trust>) -> Result<(Address, KnownRules), CommandError> {
    // No id has a colon.
    if node.contains(':') {
        let address = Address::parse(node).ok_or_else(|| not_an_address(node))?;
        // Which node listens there only a configuration that was named can say: the built-in one stands for no herd.
        let herd = common.config.as_ref().and_then(|_| common.herd().ok());
        let rules = herd.as_ref().and_then(|herd| rules_at(herd, &address)).unwrap_or_default();
        return Ok((address, rules));
    }
    let herd = common.herd()?;
    if herd.node(node).is_none() && node.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(not_an_address(node));
    }
    let found = node::known(&herd, node)?;
    Ok((tls_flags::address(found, trust)?, KnownRules::of(&herd, found)))
}

fn rules_at(herd: &Herd, address: &Address) -> Option<KnownRules> {
    let node = herd.nodes.iter().find(|node| {
        [&node.address, &node.listen].contains(&address) || node.tls_listen.as_ref() == Some(address)
    })?;
    Some(KnownRules::of(herd, node))
}

fn not_an_address(node: &str) -> CommandError {
    CommandError::Usage(format!(
        "{node:?} is not HOST:PORT, such as 127.0.0.1:11600 or [::1]:11600; give that or a node's id"
    ))
}

fn joined(lines: &[OsString]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(&line.clone().into_vec());
        bytes.push(b'\n');
    }
    bytes
}

/// What to send.
enum ToSend {
    Lines(Vec<u8>),
    File(File),
}

/// How far the sending half came.
struct SendProgress {
    any: bool,
    all: bool,
    /// How many lines were read.
    lines: u64,
    /// Whether more may have come.
    is_input_open: bool,
    /// What the first line looks like, if not one of this protocol.
    other: Option<OtherProtocol>,
}

/// How the receiving half ended.
enum Received {
    /// By the node's close, after so many bytes.
    Closed(u64),
    /// By the deadline.
    Late,
}

/// Sends all of `input`, then half-closes; meanwhile copies what comes back to `out` until the node closes, and calls `tell`
/// for each line that was refused.
fn exchange(
    stream: &ClientStream,
    input: ToSend,
    deadline: CallLimit,
    out: &mut impl Write,
    tell: &mut impl FnMut(RefusedLine<'_>),
) -> Result<(), SendError> {
    let (sent, mut replies) = replies::lines();
    thread::scope(|scope| {
        let sender = thread::Builder::new().name("send".into());
        let sender = sender.spawn_scoped(scope, || send(stream, input, sent)).map_err(SendError::Thread)?;
        let received = receive(stream, deadline, out, &mut replies, tell);
        // Whatever the sender waits for, there is no use in it any more; this ends its poll and its write.
        stream.shutdown();
        let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if replies.is_http() && !matches!(received, Err(SendError::Output(_))) {
            return Err(SendError::Http);
        }
        match (sent, received) {
            (
                Ok(SendProgress { other: Some(other), .. }),
                Ok(Received::Closed(0)) | Err(SendError::Cut(_)),
            ) => Err(SendError::OtherProtocol(other)),
            (_, Err(fault)) | (Err(fault), _) => Err(fault),
            (Ok(SendProgress { lines, is_input_open, .. }), Ok(Received::Late)) => {
                let (whole, seconds) = (replies.whole(), deadline.seconds());
                Err(SendError::Late { whole, lines, is_input_open, seconds })
            }
            (Ok(SendProgress { all: false, .. }), _) => Err(SendError::ClosedEarly),
            (Ok(SendProgress { any: true, .. }), Ok(Received::Closed(0))) => Err(SendError::NoReply),
            (Ok(SendProgress { .. }), Ok(_)) => Ok(()),
        }
    })
}

/// Copies what comes until the node closes, or the deadline.
fn receive(
    stream: &ClientStream,
    deadline: CallLimit,
    out: &mut impl Write,
    replies: &mut Replies,
    tell: &mut impl FnMut(RefusedLine<'_>),
) -> Result<Received, SendError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut received = 0;
    loop {
        if deadline.is_over() {
            return Ok(Received::Late);
        }
        let left = deadline.left().map(|left| left.max(TIMEOUT_MIN));
        let count = match stream.read(&mut buffer, left) {
            Ok(0) => {
                replies.end(tell);
                return Ok(Received::Closed(received));
            }
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                continue;
            }
            Err(error) => return Err(SendError::Cut(error)),
        };
        received += count as u64;
        out.write_all(&buffer[..count]).and_then(|()| out.flush()).map_err(SendError::Output)?;
        replies.take(&buffer[..count], tell);
    }
}

/// A node that stops taking is not this half's to report: the receiving half sees why.
fn send(stream: &ClientStream, input: ToSend, mut sent: Sent) -> Result<SendProgress, SendError> {
    let mut progress = SendProgress { any: false, all: false, lines: 0, is_input_open: true, other: None };
    match input {
        ToSend::Lines(lines) => {
            (progress.any, progress.is_input_open) = (true, false);
            sent.take(&lines);
            progress.all = stream.write_all(&lines).is_ok();
        }
        ToSend::File(mut file) => {
            let mut buffer = vec![0; BUFFER_BYTES];
            while readable(&file, stream).map_err(SendError::Input)? {
                let count = match file.read(&mut buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(SendError::Input(error)),
                };
                progress.any |= count > 0;
                (progress.all, progress.is_input_open) = (count == 0, count > 0);
                sent.take(&buffer[..count]);
                if progress.all {
                    sent.end();
                }
                if progress.all || stream.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        }
    }
    stream.end();
    (progress.lines, progress.other) = (sent.lines(), sent.other_protocol());
    Ok(progress)
}

/// Waits for input; false once the connection is gone, since a user at a terminal may never end the input.
fn readable(file: &File, stream: &ClientStream) -> io::Result<bool> {
    let mut fds = [PollFd::new(file, PollFlags::IN), PollFd::new(stream, PollFlags::empty())];
    loop {
        match poll(&mut fds, None) {
            Ok(_) => return Ok(!fds[1].revents().intersects(PollFlags::HUP | PollFlags::ERR)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, BufWriter},
        net::{TcpListener, TcpStream},
        os::fd::OwnedFd,
    };

    use super::*;

    const FOR_EVER: CallLimit = CallLimit { at: None };

    /// What `exchange` prints and returns against a server that does `serve` with its one connection.
    fn exchanged(input: ToSend, serve: impl FnOnce(TcpStream) + Send) -> (Vec<u8>, Result<(), SendError>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || serve(listener.accept().unwrap().0));
            let mut out = Vec::new();
            let stream = dial(&address, None, FOR_EVER).unwrap();
            let done = exchange(&stream, input, FOR_EVER, &mut out, &mut |_| ());
            (out, done)
        })
    }

    fn echo(stream: TcpStream) {
        let mut reader = stream.try_clone().unwrap();
        let mut writer = stream;
        io::copy(&mut reader, &mut writer).unwrap();
    }

    fn pipe(fill: impl FnOnce(io::PipeWriter) + Send + 'static) -> ToSend {
        let (reader, writer) = io::pipe().unwrap();
        thread::spawn(move || fill(writer));
        ToSend::File(File::from(OwnedFd::from(reader)))
    }

    #[test]
    fn lines_go_out_and_come_back_byte_for_byte() {
        let lines = [OsString::from_vec(b"IAMAT \xff\0 \r".to_vec()), OsString::new(), OsString::from("x")];
        let (out, done) = exchanged(ToSend::Lines(joined(&lines)), echo);
        done.unwrap();
        assert_eq!(out, b"IAMAT \xff\0 \r\n\nx\n");
    }

    #[test]
    fn a_million_lines_go_through_a_server_that_answers_as_it_reads() {
        let input = pipe(|writer| {
            let mut writer = BufWriter::new(writer);
            (0..1_000_000).for_each(|number| writeln!(writer, "line number {number}").unwrap());
        });
        let (out, done) = exchanged(input, echo);
        done.unwrap();
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1_000_000);
        assert!(out.ends_with(b"line number 999999\n"));
    }

    #[test]
    fn a_server_that_leaves_ends_it_though_standard_input_stays_open() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\n").unwrap();
        let (out, done) = exchanged(ToSend::File(File::from(OwnedFd::from(reader))), |stream| {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(line.as_bytes()).unwrap();
        });
        assert!(matches!(done, Err(SendError::ClosedEarly)), "{done:?}");
        assert_eq!(out, b"one\n");
        drop(writer);
    }

    #[test]
    fn silence_is_a_failure_only_if_something_was_sent() {
        let take_all = |stream: TcpStream| drop(io::copy(&mut &stream, &mut io::sink()));
        let (_, done) = exchanged(ToSend::Lines(joined(&[OsString::from("x")])), take_all);
        assert!(matches!(done, Err(SendError::NoReply)), "{done:?}");
        let (_, done) = exchanged(pipe(drop), take_all);
        done.unwrap();
    }

    #[test]
    fn a_closed_output_ends_it() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = ClientStream::connect(&listener.local_addr().unwrap(), dial::CONNECT_TIME).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| listener.accept().unwrap().0.write_all(b"reply\n").unwrap());
            let input = ToSend::File(File::from(OwnedFd::from(reader)));
            let done = exchange(&stream, input, FOR_EVER, &mut Closed, &mut |_| ());
            assert!(matches!(done, Err(SendError::Output(_))), "{done:?}");
        });
        drop(writer);
    }
}
