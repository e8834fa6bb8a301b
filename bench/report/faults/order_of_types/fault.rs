//! A client and its line, each of a type of its own, change places in a call.

use std::collections::HashMap;

#[derive(PartialEq, Eq, Hash)]
pub struct Client(String);
pub struct Line(String);

fn learn(known: &mut HashMap<Client, Line>, client: Client, at: Line) {
    known.insert(client, at);
}

pub fn execute(known: &mut HashMap<Client, Line>, client: Client, at: Line) {
    learn(known, at, client); // fault
    // instead: learn(known, client, at);
}

fn main() {}
