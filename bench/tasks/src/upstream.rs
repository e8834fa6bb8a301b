//! Nearby Search over connections that are kept.

use std::io;

use proxyherd::{core::model::Query, places::cut::Document};

use crate::Stream;

/// The most that is read at once.
const READ_BYTES: usize = 8 * 1024;

/// What the upstream at `HOST:PORT` answers. A kept connection that fails was closed there, and another is made.
pub(crate) async fn nearby<S: Stream>(upstream: &str, query: &Query) -> io::Result<Document> {
    if let Some(stream) = S::kept()
        && let Ok(document) = ask(stream, upstream, query).await
    {
        return Ok(document);
    }
    ask(S::connect(upstream).await?, upstream, query).await
}

async fn ask<S: Stream>(mut stream: S, upstream: &str, query: &Query) -> io::Result<Document> {
    let Query { center, radius_m, .. } = query;
    let request = format!(
        "GET /maps/api/place/nearbysearch/json?location={},{}&radius={radius_m}&key=bench HTTP/1.1\r\nHost: {upstream}\r\n\r\n",
        center.latitude, center.longitude
    );
    let mut unsent = request.as_bytes();
    while !unsent.is_empty() {
        unsent = &unsent[stream.write(unsent).await?..];
    }
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut bytes, mut space) = (Vec::new(), vec![0; READ_BYTES]);
    let body = loop {
        read_more(&mut stream, &mut bytes, &mut space).await?;
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.and_then(|length| length.trim().parse::<usize>().ok()).ok_or_else(invalid)?;
            break end + 4..end + 4 + length;
        }
    };
    while bytes.len() < body.end {
        read_more(&mut stream, &mut bytes, &mut space).await?;
    }
    stream.keep();
    Document::parse(bytes[body].to_vec(), "results").map_err(|_| invalid())
}

async fn read_more<S: Stream>(stream: &mut S, bytes: &mut Vec<u8>, space: &mut [u8]) -> io::Result<()> {
    match stream.read(space).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            bytes.extend_from_slice(&space[..count]);
            Ok(())
        }
    }
}
