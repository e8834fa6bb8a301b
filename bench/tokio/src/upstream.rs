//! Nearby Search over connections that are kept.

use std::io;

use proxyherd::{core::model::Query, places::cut::Document};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};

/// Who is asked for places.
pub(crate) struct Upstream {
    authority: String,
    idle: Mutex<Vec<TcpStream>>,
}

impl Upstream {
    /// At `http://HOST:PORT`.
    pub(crate) fn new(url: &str) -> Self {
        let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { authority, idle: Mutex::default() }
    }

    /// What it answers. A kept connection that fails was closed there, and another is made.
    pub(crate) async fn nearby(&self, query: &Query) -> io::Result<Document> {
        let kept = self.idle.lock().await.pop();
        if let Some(stream) = kept
            && let Ok(document) = self.ask(stream, query).await
        {
            return Ok(document);
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        self.ask(stream, query).await
    }

    async fn ask(&self, mut stream: TcpStream, query: &Query) -> io::Result<Document> {
        let Query { center, radius_m, .. } = query;
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
