//! What a node answers to a neighbour that looks for differences.

use crate::core::{
    store::{KeyHash, Store},
    wire::{Held, Question},
};

/// What the store holds of what is asked; `None` for a part that the store does not have.
pub fn answer(store: &Store, question: &Question) -> Option<Held> {
    let shape = store.shape();
    Some(match *question {
        Question::Sum => Held::Sums(vec![store.sum()]),
        Question::Shards => Held::Sums(store.shard_sums()),
        Question::Leaves { shard } if shard < shape.shards() => Held::Sums(store.leaf_sums(shard)),
        Question::List { shard, leaf, from, most } if shard < shape.shards() && leaf < shape.leaves() => {
            let entries = store.entries(shard, leaf, KeyHash::of_bits(from));
            let pairs = entries.iter().take(most).map(|entry| (entry.key.bits(), entry.hash));
            Held::Entries { pairs: pairs.collect(), is_end: entries.len() <= most }
        }
        Question::Leaves { .. } | Question::List { .. } => return None,
    })
}
