//! What is fuzzed, in one place: libFuzzer's targets call it with inputs it makes up, and `tests/it/corpus.rs`, which
//! includes this very file, with those that are kept. Each target panics where it finds a fault.

mod client_lines;
mod client_tokens;
mod peer_link;
mod peer_session;
mod plain_session;
mod scene;
mod session;
mod tls_doors;
mod tokens_file;
mod web_connection;

pub use self::{
    client_lines::client_lines, client_tokens::client_tokens, peer_link::peer_link,
    peer_session::peer_session, plain_session::plain_session, tls_doors::tls_doors, tokens_file::tokens_file,
    web_connection::web_connection,
};

/// What plays one input.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders in `corpus`.
pub const TARGETS: [(&str, Target); 8] = [
    ("client_lines", client_lines),
    ("client_tokens", client_tokens),
    ("peer_session", peer_session),
    ("peer_link", peer_link),
    ("plain_session", plain_session),
    ("web_connection", web_connection),
    ("tokens_file", tokens_file),
    ("tls_doors", tls_doors),
];
