//! E0499: two sessions write one shard without its lock. In the node a shard is inside a `Mutex`, and nowhere else.

use std::{collections::HashMap, thread};

fn main() {
    let mut shard = HashMap::new();
    thread::scope(|sessions| {
        sessions.spawn(|| shard.insert("kiwi.cs.ucla.edu", "1479413884.392014450"));
        sessions.spawn(|| shard.insert("kiwi.cs.ucla.edu", "1479413885.000000000")); // refused
    });
}
