//! E0308: a report is put together with where the client is in the place of when. As text, both would fit.

pub struct Coordinates(f64, f64);
pub struct Timestamp(u64, u32);

pub struct Report<'a> {
    pub client: &'a str,
    pub position: Coordinates,
    pub time: Timestamp,
}

pub fn report(client: &str, position: Coordinates, time: Timestamp) -> Report<'_> {
    Report { client, time: position, position: time } // refused
    // instead: Report { client, position, time }
}

fn main() {}
