//! What a node answers to a neighbour that looks for differences.

use super::Node;
use crate::core::{
    store::KeyHash,
    wire::{Invalid, Question, write_list, write_sums},
};

impl Node {
    /// Appends the answer. A question about a part the store does not have is invalid.
    pub(super) fn answer(&self, question: &Question, out: &mut Vec<u8>) -> Result<(), Invalid> {
        let (store, shape) = (&self.store, self.store.shape());
        match *question {
            Question::Sum => write_sums(question, &[store.sum()], out),
            Question::Shards => write_sums(question, &store.shard_sums(), out),
            Question::Leaves { shard } if shard < shape.shards() => {
                write_sums(question, &store.leaf_sums(shard), out);
            }
            Question::List { shard, leaf, from, most } if shard < shape.shards() && leaf < shape.leaves() => {
                let entries = store.entries(shard, leaf, KeyHash::of_bits(from));
                let (listed, is_end) = (entries.iter().take(most), entries.len() <= most);
                write_list((shard, leaf), is_end, listed.map(|entry| (entry.key.bits(), entry.hash)), out);
            }
            Question::Leaves { .. } | Question::List { .. } => return Err(Invalid::NotFromPeer),
        }
        Ok(())
    }
}
