//! A callback takes two arguments and is given one.

fn answer(body: String, client: &str) -> String {
    format!("{client}{body}")
}

pub fn whatsat(body: Option<String>, client: &str) -> Option<String> {
    body.map(answer) // fault
    // instead: body.map(|body| answer(body, client))
}

fn main() {}
