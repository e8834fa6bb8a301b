//! E0004: a WHATSAT is answered as if every client were known. A look-up by key would fail only once somebody asks.

pub enum Found<'a> {
    At(&'a str),
    Nobody,
}

pub fn whatsat(line: &str, found: Found<'_>) -> String {
    match found {
        // refused without: Found::Nobody => format!("? {line}\n"),
        Found::At(at) => format!("{at}\n"),
    }
}

fn main() {}
