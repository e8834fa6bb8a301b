//! `upstream` as a program: what it answers, on one connection, and how often it says it did.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use herd_load::{server::Server, upstream::count};

use crate::support::tester;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

#[test]
fn every_question_is_answered_with_the_same_document_and_counted() {
    let upstream = Server::start(tester(&["upstream", "--body-bytes=600", "--results=2"])).unwrap();
    assert_eq!(count(upstream.address()).unwrap(), 0);
    let mut stream = TcpStream::connect(upstream.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let question =
        |end: &str| format!("GET /maps/api/place/nearbysearch/json?location=1,2 HTTP/1.1\r\n{end}\r\n");
    // Both on one connection, which the second closes.
    stream.write_all((question("") + &question("Connection: close\r\n")).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let bodies: Vec<&str> =
        answers.split(HEAD).skip(1).filter_map(|answer| answer.split("\r\n\r\n").nth(1)).collect();
    assert_eq!(bodies.len(), 2, "{answers}");
    assert!(bodies[0] == bodies[1] && bodies[0].len() == 600, "{answers}");
    let document: serde_json::Value = serde_json::from_str(bodies[0]).unwrap();
    assert_eq!(document["results"].as_array().unwrap().len(), 2);
    assert_eq!(count(upstream.address()).unwrap(), 2);
    upstream.stop().unwrap();
}

#[test]
fn what_is_no_question_is_not_found_and_not_counted() {
    let upstream = Server::start(tester(&["upstream"])).unwrap();
    let mut stream = TcpStream::connect(upstream.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A body is never read: after anything but a GET the connection ends.
    stream.write_all(b"POST /maps/api/place/nearbysearch/json HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert_eq!(count(upstream.address()).unwrap(), 0);
    upstream.stop().unwrap();
}
