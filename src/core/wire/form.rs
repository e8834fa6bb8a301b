//! The forms that differ: what a WHATSAT may ask and how its answer ends, both of which depend on the source of places.

/// What may be asked of a source, and how its answers end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// The largest radius, in kilometres, included.
    pub radius_km_max: u64,
    /// The largest bound, included.
    pub bound_max: u64,
    /// How many newlines follow a document.
    pub newlines: usize,
}

impl Form {
    /// What Google's Nearby Search supports, and the assignment's editions since 2014 ask for.
    pub const PLACES: Self = Self { radius_km_max: 50, bound_max: 20, newlines: 2 };
    /// The earlier editions: any radius on Earth, and a document of one line.
    pub const TWEETS: Self = Self { radius_km_max: 20_016, bound_max: 100, newlines: 1 };
}
