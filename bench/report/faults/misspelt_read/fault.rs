//! A field is read by a name that it does not have.

pub struct Report {
    pub client: String,
    pub time: u64,
}

pub fn is_stale(report: &Report, stored: u64) -> bool {
    report.tiem <= stored // fault
    // instead: report.time <= stored
}

fn main() {}
