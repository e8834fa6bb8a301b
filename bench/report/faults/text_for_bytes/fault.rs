//! A reply is put together from bytes and text.

pub fn reply(server: &str) -> Vec<u8> {
    let mut reply = b"AT ".to_vec();
    reply.extend_from_slice(server); // fault
    // instead: reply.extend_from_slice(server.as_bytes());
    reply
}

fn main() {}
