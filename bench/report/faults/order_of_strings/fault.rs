//! A client and its line, both text, change places in a call.

use std::collections::HashMap;

fn learn(known: &mut HashMap<String, String>, client: String, at: String) {
    known.insert(client, at);
}

pub fn execute(known: &mut HashMap<String, String>, client: String, at: String) {
    learn(known, at, client); // fault
    // instead: learn(known, client, at);
}

fn main() {}
