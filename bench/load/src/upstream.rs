//! Stands in for Google's legacy Nearby Search: answers every such GET with the same invented document after a delay,
//! over HTTP/1.1 that keeps connections alive, with one thread each. `/count` says how many it was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::{
    listener::{self, STACK_BYTES},
    words::milliseconds,
};

/// A request's head may be this long.
const HEAD_BYTES_MAX: u64 = 32 * 1024;
/// How long `/count` may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it answers.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub struct Upstream {
    /// Milliseconds until each answer
    #[arg(long, value_name = "MS", value_parser = milliseconds, default_value = "0")]
    pub delay: Duration,
    /// Bytes of each answer's body; more where the results need more
    #[arg(long, value_name = "N", default_value_t = 2_048)]
    pub body_bytes: usize,
    /// Results in each answer
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub results: usize,
}

/// Serves until accepting fails.
pub fn serve(listener: &TcpListener, upstream: &Upstream) -> io::Error {
    let (calls, answer) = (AtomicU64::new(0), document(upstream.results, upstream.body_bytes));
    let session = |stream: &TcpStream| -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut answered = true;
        while answered {
            let Some(request) = Request::read(&mut reader)? else { break };
            let (status, body) = match request.asked {
                Asked::Nearby => {
                    calls.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(upstream.delay);
                    ("200 OK", answer.clone())
                }
                Asked::Count => ("200 OK", calls.load(Ordering::Relaxed).to_string()),
                Asked::Other => ("404 Not Found", String::new()),
            };
            answered = request.keeps_alive;
            respond(stream, status, &body, answered)?;
        }
        Ok(())
    };
    listener::serve(listener, STACK_BYTES, session)
}

/// How many times the server at `address` was asked for what is near.
pub fn count(address: SocketAddr) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /count HTTP/1.1\r\nHost: upstream\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let body = response.split_once("\r\n\r\n").and_then(|(_, body)| body.parse().ok());
    body.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nearby,
    Count,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    asked: Asked,
    keeps_alive: bool,
}

impl Request {
    /// `None` at the connection's end. No body is read: after a request that is not a GET, the connection closes.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = reader.take(HEAD_BYTES_MAX);
        let (mut first, mut line) = (String::new(), String::new());
        if head.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut fields = first.split_ascii_whitespace();
        let is_get = fields.next() == Some("GET");
        let path = fields.next().unwrap_or_default().split('?').next().unwrap_or_default();
        let asked = match path {
            "/count" if is_get => Asked::Count,
            path if is_get && path.ends_with("/nearbysearch/json") => Asked::Nearby,
            _ => Asked::Other,
        };
        let mut keeps_alive = is_get;
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.trim_end().is_empty() {
                return Ok(Some(Self { asked, keeps_alive }));
            }
            let header = line.trim_end().to_ascii_lowercase();
            keeps_alive &= header.strip_prefix("connection:").is_none_or(|value| value.trim() != "close");
        }
    }
}

fn respond(mut stream: &TcpStream, status: &str, body: &str, keeps_alive: bool) -> io::Result<()> {
    let connection = if keeps_alive { "keep-alive" } else { "close" };
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {length}\r\n\
         Connection: {connection}\r\n\r\n{body}"
    );
    stream.write_all(response.as_bytes())
}

/// A document with this many places that do not exist, of `bytes` bytes unless they need more.
fn document(results: usize, bytes: usize) -> String {
    let status = if results == 0 { "ZERO_RESULTS" } else { "OK" };
    let whole = |fill: &[usize]| {
        let places: Vec<_> = fill.iter().enumerate().map(|(number, fill)| place(number, *fill)).collect();
        format!(
            "{{\n   \"html_attributions\" : [],\n   \"results\" : [{}],\n   \"status\" : \"{status}\"\n}}",
            places.join(",")
        )
    };
    let missing = bytes.saturating_sub(whole(&vec![0; results]).len());
    let share = |number| missing / results + usize::from(number < missing % results);
    whole(&(0..results).map(share).collect::<Vec<_>>())
}

fn place(number: usize, fill: usize) -> String {
    let longitude = 118.4 + number as f64 / 1e4;
    format!(
        "\n{{\"geometry\":{{\"location\":{{\"lat\":34.1,\"lng\":-{longitude:.4}}}}},\"name\":\"Nowhere {number}\",\
         \"place_id\":\"none-{number}\",\"vicinity\":\"{}\"}}",
        "x".repeat(fill)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_document_is_as_long_as_asked_and_holds_as_many_places() {
        for (results, bytes) in [(5, 2_048), (1, 500), (20, 8_191), (7, 70_001)] {
            let text = document(results, bytes);
            assert_eq!(text.len(), bytes);
            assert!(!text.contains("\n\n"));
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["results"].as_array().unwrap().len(), results);
            assert_eq!(value["status"], "OK");
            assert_eq!(value["results"][0]["name"], "Nowhere 0");
        }
        assert!(serde_json::from_str::<Value>(&document(20, 0)).is_ok(), "longer than asked, but whole");
        assert!(document(0, 2_048).contains("ZERO_RESULTS"));
    }

    fn read(text: &str) -> io::Result<Option<Request>> {
        Request::read(&mut text.as_bytes())
    }

    #[test]
    fn a_request_is_told_by_its_path() {
        let asked = |path: &str| {
            read(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap().map(|request| request.asked)
        };
        assert_eq!(asked("/maps/api/place/nearbysearch/json?location=1,2&key=k"), Some(Asked::Nearby));
        assert_eq!(asked("/count"), Some(Asked::Count));
        assert_eq!(asked("/"), Some(Asked::Other));
        assert_eq!(read("").unwrap(), None);
        assert!(read("GET / HTTP/1.1\r\nHost").is_err(), "a head that breaks off");
    }

    #[test]
    fn connections_are_kept_unless_the_client_says_otherwise_or_sends_a_body() {
        let keeps = |text: &str| read(text).unwrap().is_some_and(|request| request.keeps_alive);
        assert!(keeps("GET /count HTTP/1.1\r\n\r\n"));
        assert!(!keeps("GET /count HTTP/1.1\r\nCONNECTION: Close\r\n\r\n"));
        assert!(!keeps("POST /count HTTP/1.1\r\n\r\n"));
    }
}
