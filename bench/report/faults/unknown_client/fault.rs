//! A WHATSAT is answered as if every client were known.

use std::collections::HashMap;

pub fn whatsat(known: &HashMap<String, String>, client: &str) -> String {
    let at: &str = known.get(client); // fault
    // instead: let at = known.get(client).map_or("?", String::as_str);
    format!("{at}\n")
}

fn main() {}
