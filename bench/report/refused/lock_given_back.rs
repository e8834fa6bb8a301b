//! E0505: a session looks at what is stored after it gave the shard's lock back, when another may have replaced it.

use std::{collections::HashMap, sync::Mutex};

pub fn is_stale(shard: &Mutex<HashMap<String, u64>>, client: &str, time: u64) -> bool {
    let Ok(shard) = shard.lock() else { return false };
    let stored = shard.get(client);
    drop(shard); // refused
    stored.is_some_and(|stored| *stored >= time)
}

fn main() {}
