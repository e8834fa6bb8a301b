//! What a source of places is asked.

use super::Coordinates;

/// One lookup: at most `bound` places within `radius_m` of `center`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Query {
    /// The middle of the circle.
    pub center: Coordinates,
    /// The circle's radius in metres.
    pub radius_m: f64,
    /// The most results wanted; 0 asks only whether there is anything.
    pub bound: usize,
}
