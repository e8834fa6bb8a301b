//! `echo` in all shapes: every line is answered once, however lines arrive and whichever client leaves.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::Stdio,
    thread,
    time::Duration,
};

use herd_load::{
    drive::drive,
    load::{Length, Load},
    server::Server,
};

use crate::support::tester;

const SHAPES: [&str; 3] = ["threads", "minimal", "events"];

fn echo(shape: &str) -> Server {
    Server::start(tester(&["echo", "--line-length", "30", "--shape", shape])).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Says its last, and reads all that is answered.
fn rest(mut stream: TcpStream) -> String {
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_load_is_answered_line_by_line() {
    for shape in SHAPES {
        let server = echo(shape);
        let load = Load {
            connections: 20,
            pipeline: 16,
            clients: 100,
            length: Length::Requests(20_000),
            ..Load::on(server.address())
        };
        let outcome = drive(&load).unwrap();
        assert_eq!((outcome.replies, outcome.errors.total()), (20_000, 0), "{shape}");
    }
}

#[test]
fn lines_in_pieces_are_answered_once_they_are_whole() {
    for shape in SHAPES {
        let server = echo(shape);
        let mut stream = connect(server.address());
        for piece in ["a", "b\nc", "\n", "d\ne"] {
            stream.write_all(piece.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        let text = rest(stream);
        assert_eq!(text.lines().count(), 3, "{shape}: {text:?}");
        assert!(
            text.lines().all(|line| line.len() == 30 && line.starts_with("AT Echo ")),
            "{shape}: {text:?}"
        );
    }
}

#[test]
fn whoever_leaves_makes_room_and_hinders_nobody() {
    for shape in SHAPES {
        let server = echo(shape);
        let mut first = connect(server.address());
        for _ in 0..50 {
            let mut other = connect(server.address());
            other.write_all(b"x\ny").unwrap();
        }
        first.write_all(b"z\n").unwrap();
        assert_eq!(rest(first).lines().count(), 1, "{shape}");
    }
}

#[test]
fn a_client_that_does_not_read_gets_all_answers_later() {
    const LINES: usize = 400_000;
    for shape in SHAPES {
        let server = echo(shape);
        let stream = connect(server.address());
        let mut writer = stream.try_clone().unwrap();
        // More answers than all buffers hold: the server must wait for the reader and then go on.
        let writing = thread::spawn(move || writer.write_all(&b"q\n".repeat(LINES)).unwrap());
        thread::sleep(Duration::from_millis(200));
        let mut answers = vec![0; LINES * 31];
        (&stream).read_exact(&mut answers).unwrap();
        writing.join().unwrap();
        assert_eq!(rest(stream), "", "{shape}: one answer too many");
        assert!(
            answers.chunks(31).all(|line| line.starts_with(b"AT Echo ") && line.ends_with(b"\n")),
            "{shape}"
        );
    }
}

#[test]
fn turns_are_taken_only_where_that_was_asked_for() {
    for (flags, policy) in [(&["echo"][..], "0"), (&["echo", "--batch"], "3")] {
        let mut child = tester(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // The 41st field; the second, the program's name, ends with the last parenthesis.
        assert_eq!(stat.rsplit_once(") ").unwrap().1.split(' ').nth(38), Some(policy), "{flags:?}");
    }
}
