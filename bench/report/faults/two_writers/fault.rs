//! Two threads write one map without a lock.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    thread,
};

pub fn serve(mut known: HashMap<&str, u64>) {
    let shared = Mutex::new(&mut known);
    thread::scope(|sessions| {
        for time in [1, 2] {
            let shared = &shared;
            sessions.spawn(move || known.insert("kiwi.cs.ucla.edu", time)); // fault
            // instead: sessions.spawn(move || shared.lock().unwrap_or_else(PoisonError::into_inner).insert("kiwi.cs.ucla.edu", time));
        }
    });
}

fn main() {}
