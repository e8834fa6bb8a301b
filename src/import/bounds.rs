//! The box around points, and its middle: where a way, a relation or a polygon is, as precisely as a place needs to
//! know.

/// A box in ten-millionths of a degree. Keeps the longitudes twice, from -180 and from 0, and so finds the narrow box
/// if the antimeridian goes through it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    latitudes: (i64, i64),
    longitudes: [(i64, i64); 2],
}

const PER_DEGREE: f64 = 1e7;
const TURN: i64 = 3_600_000_000;

impl Bounds {
    pub(super) const NONE: Self =
        Self { latitudes: (i64::MAX, i64::MIN), longitudes: [(i64::MAX, i64::MIN); 2] };

    /// Widens the box to a point on the Earth, in ten-millionths of a degree.
    pub(super) fn add(&mut self, latitude: i32, longitude: i32) {
        let (latitude, longitude) = (latitude.into(), i64::from(longitude));
        widen(&mut self.latitudes, latitude, latitude);
        let eastward = if longitude < 0 { longitude + TURN } else { longitude };
        widen(&mut self.longitudes[0], longitude, longitude);
        widen(&mut self.longitudes[1], eastward, eastward);
    }

    /// The same in degrees; for anything but a point on the Earth, returns false and does nothing.
    pub(super) fn add_degrees(&mut self, latitude: f64, longitude: f64) -> bool {
        let is_on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        if is_on_earth {
            self.add((latitude * PER_DEGREE).round() as i32, (longitude * PER_DEGREE).round() as i32);
        }
        is_on_earth
    }

    pub(super) fn join(&mut self, other: &Self) {
        widen(&mut self.latitudes, other.latitudes.0, other.latitudes.1);
        for (range, other) in self.longitudes.iter_mut().zip(other.longitudes) {
            widen(range, other.0, other.1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.latitudes.0 > self.latitudes.1
    }

    /// Half the height and the width of the box, in hundred-thousandths of a degree, rounded up.
    pub(super) fn half(&self) -> (u32, u32) {
        const UNITS: i64 = 200;
        let half = |(from, to): (i64, i64)| u32::try_from((to.saturating_sub(from) + UNITS - 1) / UNITS);
        let [western, eastern] = self.longitudes.map(half);
        let longitude = western.unwrap_or(0).min(eastern.unwrap_or(0));
        (half(self.latitudes).unwrap_or(0), longitude)
    }

    /// The latitude and longitude of the middle, in degrees, unless the box is empty.
    pub(super) fn middle(&self) -> Option<(f64, f64)> {
        if self.is_empty() {
            return None;
        }
        let [western, eastern] = self.longitudes;
        let is_narrower = eastern.1 - eastern.0 < western.1 - western.0;
        let middle = |(from, to): (i64, i64)| (from + to) / 2;
        let longitude = middle(if is_narrower { eastern } else { western });
        let longitude = if longitude > TURN / 2 { longitude - TURN } else { longitude };
        Some((middle(self.latitudes) as f64 / PER_DEGREE, longitude as f64 / PER_DEGREE))
    }
}

fn widen(range: &mut (i64, i64), from: i64, to: i64) {
    *range = (range.0.min(from), range.1.max(to));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn middle(points: &[(f64, f64)]) -> Option<(f64, f64)> {
        let mut bounds = Bounds::NONE;
        for &(latitude, longitude) in points {
            assert!(bounds.add_degrees(latitude, longitude));
        }
        bounds.middle()
    }

    #[test]
    fn the_middle_is_that_of_the_box() {
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[(1.5, -2.5)]), Some((1.5, -2.5)));
        assert_eq!(middle(&[(0.0, 0.0), (10.0, 2.0), (1.0, 1.0)]), Some((5.0, 1.0)));
        assert_eq!(middle(&[(0.0, -1.0), (0.0, 3.0)]), Some((0.0, 1.0)));
    }

    #[test]
    fn a_box_on_the_antimeridian_is_narrow() {
        assert_eq!(middle(&[(0.0, 179.0), (0.0, -178.0)]), Some((0.0, -179.5)));
        assert_eq!(middle(&[(0.0, 178.0), (0.0, -179.0)]), Some((0.0, 179.5)));
        let mut bounds = Bounds::NONE;
        assert_eq!(bounds.half(), (0, 0));
        bounds.add_degrees(0.0, 178.0);
        bounds.add_degrees(1.00001, -179.0);
        assert_eq!(bounds.half(), (50_001, 150_000));
    }

    #[test]
    fn what_is_not_on_the_earth_is_refused() {
        let mut bounds = Bounds::NONE;
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(!bounds.add_degrees(latitude, longitude));
        }
        assert!(bounds.is_empty());
    }
}
