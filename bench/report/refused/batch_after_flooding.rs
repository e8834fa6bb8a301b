//! E0382: a session empties a batch that is the flooder's by now. Were it shared, the neighbour would be sent nothing.

use std::sync::mpsc::SyncSender;

pub struct Batch {
    pub replies: Vec<u8>,
    pub news: Vec<u8>,
}

pub fn finish_batch(mut batch: Batch, outbox: &SyncSender<Vec<u8>>) -> (Vec<u8>, bool) {
    let is_dropped = outbox.try_send(batch.news).is_err();
    batch.news.clear(); // refused
    batch.replies.push(b'\n');
    (batch.replies, is_dropped)
}

fn main() {}
