//! A stop while many connections are open. The herd on io_uring is held to this file, too.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// On each of two rings more than compio lets be woken at once.
const CONNECTIONS: usize = 400;
const ANSWER: &[u8] = b"? WHATSAT\n";

/// Ends even if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn stop_ends_hundreds_of_silent_sessions() {
    if !crate::is_available() {
        return;
    }
    let mut command = Command::new(crate::PROGRAM);
    command.args(["--id", "A", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
    let mut node = Running(command.spawn().unwrap());
    let mut said = String::new();
    BufReader::new(node.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    let address = said.strip_prefix("listening ").unwrap().trim_end();
    let silent = (0..CONNECTIONS).map(|_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"WHATSAT\n").unwrap();
        let mut answer = [0; ANSWER.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, ANSWER);
        stream
    });
    let silent: Vec<_> = silent.collect();
    assert!(Command::new("kill").arg(node.0.id().to_string()).status().unwrap().success());
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "its session ends");
    }
    assert!(node.0.wait().unwrap().success());
}
