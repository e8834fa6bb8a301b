//! The search: which places are within a circle on the Earth, and which of them are the best.
//!
//! Works directly on the flat records; allocates only the hits it returns, and knows nothing of answers.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::f64::consts::FRAC_PI_2;
use std::ops::{Range, RangeInclusive};

use super::record::{self, Record, STRIDE, UNITS_PER_DEGREE};
use crate::core::model::Coordinates;

/// The Earth's mean radius (IUGG), in kilometres.
const EARTH_RADIUS_KM: f64 = 6371.0088;

const RANK_STEPS: f64 = 50.0;
/// A place loses one rank for so many kilometres…
const KM_PER_RANK: f64 = 10.0;
/// …and at the circle's edge it loses at least so many ranks: the smaller the circle, the more a near place is worth.
const RANKS_AT_EDGE: f64 = 3.0;
/// Most lookups ask for less than this, and take a single pass.
const FIRST_CIRCLE_M: f64 = 50_000.0;
/// A little more than half the Earth's circumference: no place is farther away.
const EARTH_M: f64 = 20_016_000.0;
/// More than the error of a score.
const ROUNDING: f64 = 1e-6;

/// Records in order of [`Record::sort_key`], and the index of the first of every band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index<'a> {
    pub(super) records: &'a [[u8; STRIDE]],
    pub(super) band_starts: &'a [u32],
}

/// A place within a circle. The better hit is the lesser one; no two are equal, so every answer can be repeated.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Hit {
    pub(super) at: usize,
    pub(super) km: f64,
    score: f64,
}

impl Eq for Hit {}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.km.total_cmp(&other.km)).then(self.at.cmp(&other.at))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn rank_of(record: &Record) -> f64 {
    f64::from(record.rank) / RANK_STEPS
}

/// How many ranks a place loses per kilometre when everything within `radius_m` metres is asked for.
fn ranks_per_km(radius_m: f64) -> f64 {
    /// Smaller circles count as one of a metre, so that the weight of distance stays finite.
    const RADIUS_KM_MIN: f64 = 0.001;
    (1.0 / KM_PER_RANK).max(RANKS_AT_EDGE / (radius_m / 1000.0).max(RADIUS_KM_MIN))
}

/// The place as a hit, if it is within the circle.
fn hit(circle: &Circle, ranks_per_km: f64, at: usize, record: &Record) -> Option<Hit> {
    let km = circle.km_to(record)?;
    Some(Hit { at, km, score: rank_of(record) - km * ranks_per_km })
}

impl Index<'_> {
    /// The best places within `radius_m` metres of `center`, the best first, at most `bound` of them.
    ///
    /// Searches growing circles, and stops as soon as nothing outside can be better: so the whole Earth costs little
    /// more than a city.
    pub(super) fn best(self, center: Coordinates, radius_m: f64, bound: usize) -> Vec<Hit> {
        let ranks_per_km = ranks_per_km(radius_m);
        let mut tried_m = FIRST_CIRCLE_M;
        while tried_m < radius_m && tried_m < EARTH_M {
            let best = self.best_within(&Circle::new(center, tried_m), ranks_per_km, bound);
            let outside_max = f64::from(u8::MAX) / RANK_STEPS - tried_m / 1000.0 * ranks_per_km;
            if best.len() == bound && best.last().is_none_or(|worst| worst.score > outside_max + ROUNDING) {
                return best;
            }
            tried_m *= 4.0;
        }
        self.best_within(&Circle::new(center, radius_m), ranks_per_km, bound)
    }

    fn best_within(self, circle: &Circle, ranks_per_km: f64, bound: usize) -> Vec<Hit> {
        let mut best = BinaryHeap::new();
        if bound == 0 {
            return Vec::new();
        }
        self.each_near(circle, |at, record| {
            let worst = if best.len() < bound { None } else { best.peek().copied() };
            // Distance only lowers the rank: most of a city's places need not be measured.
            if worst.is_some_and(|worst: Hit| worst.score > rank_of(record)) {
                return;
            }
            let Some(hit) = hit(circle, ranks_per_km, at, record) else { return };
            if worst.is_none() {
                best.push(hit);
            } else if let Some(mut worst) = best.peek_mut()
                && hit < *worst
            {
                *worst = hit;
            }
        });
        best.into_sorted_vec()
    }

    /// Calls `take` with every place in the circle's box, and some outside, in no useful order.
    fn each_near(self, circle: &Circle, mut take: impl FnMut(usize, &Record)) {
        for band in circle.bands() {
            for part in &circle.longitudes {
                self.run(band, part).for_each(|at| take(at, &self.record(at)));
            }
        }
    }

    pub(super) fn record(self, at: usize) -> Record {
        Record::from_bytes(&self.records[at])
    }

    /// The records of one band between two longitudes.
    fn run(self, band: usize, longitudes: &RangeInclusive<i32>) -> Range<usize> {
        let [start, end] = [band, band + 1].map(|band| self.band_starts[band] as usize);
        let records = &self.records[start..end];
        let from = records.partition_point(|bytes| record::longitude(bytes) < *longitudes.start());
        let to = records.partition_point(|bytes| record::longitude(bytes) <= *longitudes.end());
        start + from..start + to
    }
}

/// A circle on the sphere, and a box around it to search in.
#[derive(Clone, Debug)]
pub(super) struct Circle {
    latitude: f64,
    longitude: f64,
    latitude_cos: f64,
    /// The haversine of the radius: points within the circle have at most this one.
    haversine_max: f64,
    latitudes: RangeInclusive<i32>,
    /// In two parts if the antimeridian divides the box; otherwise the second is empty.
    longitudes: [RangeInclusive<i32>; 2],
}

const NO_LONGITUDES: RangeInclusive<i32> = RangeInclusive::new(1, 0);
const ALL_LONGITUDES: [RangeInclusive<i32>; 2] = [-18_000_000..=18_000_000, NO_LONGITUDES];

impl Circle {
    /// The circle of `radius_m` metres around `center`. A radius beyond half the Earth's circumference covers the whole
    /// Earth; one that is negative or not a number covers nothing.
    pub(super) fn new(center: Coordinates, radius_m: f64) -> Self {
        let Coordinates { latitude, longitude } = center;
        // Half the angle at the Earth's centre.
        let half = radius_m / 1000.0 / EARTH_RADIUS_KM / 2.0;
        let haversine_max = if half >= 0.0 { half.min(FRAC_PI_2).sin().powi(2) } else { -1.0 };
        let reach = (2.0 * half).to_degrees();
        Self {
            latitude,
            longitude,
            latitude_cos: latitude.to_radians().cos(),
            haversine_max,
            latitudes: units(latitude - reach, latitude + reach),
            longitudes: longitudes(center, reach),
        }
    }

    fn bands(&self) -> RangeInclusive<usize> {
        record::band(*self.latitudes.start())..=record::band(*self.latitudes.end())
    }

    /// How far away the place is, if it is within the circle.
    fn km_to(&self, record: &Record) -> Option<f64> {
        // Bands are higher than a box needs: skip what sticks out before the costly part.
        if !self.latitudes.contains(&record.latitude) {
            return None;
        }
        self.km_to_point(Coordinates {
            latitude: f64::from(record.latitude) / UNITS_PER_DEGREE,
            longitude: f64::from(record.longitude) / UNITS_PER_DEGREE,
        })
    }

    /// Whether the point is within the circle.
    pub(super) fn holds(&self, point: Coordinates) -> bool {
        self.km_to_point(point).is_some()
    }

    fn km_to_point(&self, Coordinates { latitude, longitude }: Coordinates) -> Option<f64> {
        let cosines = self.latitude_cos * latitude.to_radians().cos();
        let haversine = haversine(latitude - self.latitude, longitude - self.longitude, cosines);
        (haversine <= self.haversine_max).then(|| 2.0 * EARTH_RADIUS_KM * haversine.sqrt().asin())
    }
}

/// The longitudes that a circle of `reach` degrees covers: all of them if a pole is within it.
fn longitudes(center: Coordinates, reach: f64) -> [RangeInclusive<i32>; 2] {
    // Slightly less than 90, since close to it the division below loses its digits.
    if center.latitude.abs() + reach >= 89.999_999 {
        return ALL_LONGITUDES;
    }
    // Where a meridian touches the circle, the sine rule holds with a right angle.
    let width = (reach.to_radians().sin() / center.latitude.to_radians().cos()).min(1.0).asin().to_degrees();
    let (west, east) = (center.longitude - width, center.longitude + width);
    if west < -180.0 {
        [units(-180.0, east), units(west + 360.0, 180.0)]
    } else if east > 180.0 {
        [units(west, 180.0), units(-180.0, east - 360.0)]
    } else {
        [units(west, east), NO_LONGITUDES]
    }
}

/// Degrees in a record's units, one wider on both sides, so that rounding leaves nothing out.
fn units(from: f64, to: f64) -> RangeInclusive<i32> {
    // `as` saturates, and turns what is not a number into 0.
    let from = (from * UNITS_PER_DEGREE).floor().clamp(-1e9, 1e9) as i32;
    let to = (to * UNITS_PER_DEGREE).ceil().clamp(-1e9, 1e9) as i32;
    from - 1..=to + 1
}

/// The distance between two points, in kilometres.
pub fn km_between(a: Coordinates, b: Coordinates) -> f64 {
    let cosines = a.latitude.to_radians().cos() * b.latitude.to_radians().cos();
    2.0 * EARTH_RADIUS_KM
        * haversine(a.latitude - b.latitude, a.longitude - b.longitude, cosines).sqrt().asin()
}

/// The haversine of the angle between two points that are so many degrees apart, at most 1.
fn haversine(latitudes: f64, longitudes: f64, cosines: f64) -> f64 {
    let half_sin2 = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    (half_sin2(latitudes) + cosines * half_sin2(longitudes)).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Owns what an index borrows.
    struct Places {
        records: Vec<[u8; STRIDE]>,
        band_starts: Vec<u32>,
    }

    impl Places {
        fn new(points: &[(i32, i32, u8)]) -> Self {
            let place = |&(latitude, longitude, rank)| Record {
                latitude,
                longitude,
                rank,
                number: 0,
                text_start: 0,
                name_len: 0,
                vicinity_len: 0,
                id_len: 0,
                kind: 0,
            };
            let mut records: Vec<Record> = points.iter().map(place).collect();
            records.sort_by_key(Record::sort_key);
            let band_starts = record::band_starts(&records).iter().map(|&start| start as u32).collect();
            Self { records: records.iter().map(|record| record.to_bytes()).collect(), band_starts }
        }

        fn index(&self) -> Index<'_> {
            Index { records: &self.records, band_starts: &self.band_starts }
        }
    }

    /// Every place within the circle, in no useful order.
    fn within(index: Index<'_>, center: Coordinates, radius_m: f64) -> Vec<Hit> {
        let circle = Circle::new(center, radius_m);
        let mut hits = Vec::new();
        index.each_near(&circle, |at, record| hits.extend(hit(&circle, ranks_per_km(radius_m), at, record)));
        hits
    }

    /// The distance by another formula, from vectors.
    fn km_apart(a: Coordinates, b: Coordinates) -> f64 {
        let vector = |point: Coordinates| {
            let (latitude, longitude) = (point.latitude.to_radians(), point.longitude.to_radians());
            [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
        };
        let ([a, b, c], [d, e, f]) = (vector(a), vector(b));
        let cross = [b * f - c * e, c * d - a * f, a * e - b * d];
        let sine = cross.iter().map(|part| part * part).sum::<f64>().sqrt();
        EARTH_RADIUS_KM * sine.atan2(a * d + b * e + c * f)
    }

    fn coordinates(record: &Record) -> Coordinates {
        Coordinates {
            latitude: f64::from(record.latitude) / UNITS_PER_DEGREE,
            longitude: f64::from(record.longitude) / UNITS_PER_DEGREE,
        }
    }

    /// Compares a search with an inspection of every place.
    fn check(index: Index<'_>, center: Coordinates, radius_m: f64, bound: usize) {
        const ROUNDING_KM: f64 = 1e-4;
        let mut found = within(index, center, radius_m);
        found.sort();
        let mut is_found = vec![false; index.records.len()];
        for hit in &found {
            assert!(!is_found[hit.at], "found twice: {hit:?}");
            is_found[hit.at] = true;
        }
        for (at, &is_found) in is_found.iter().enumerate() {
            let km = km_apart(center, coordinates(&index.record(at)));
            if (km - radius_m / 1000.0).abs() > ROUNDING_KM {
                assert_eq!(is_found, km < radius_m / 1000.0, "{center:?} {radius_m} {:?}", index.record(at));
            }
        }
        let weight = (3000.0 / radius_m.max(1.0)).max(0.1);
        let scores = |hits: &[Hit]| -> Vec<f64> {
            let rank = |hit: &Hit| f64::from(index.record(hit.at).rank) / 50.0;
            hits.iter()
                .map(|hit| rank(hit) - km_apart(center, coordinates(&index.record(hit.at))) * weight)
                .collect()
        };
        assert!(scores(&found).windows(2).all(|pair| pair[0] > pair[1] - ROUNDING_KM * weight));
        found.truncate(bound);
        assert_eq!(index.best(center, radius_m, bound), found);
    }

    fn at(latitude: f64, longitude: f64) -> Coordinates {
        Coordinates { latitude, longitude }
    }

    #[test]
    fn a_circle_crosses_the_antimeridian() {
        let places = Places::new(&[
            (0, 17_999_000, 0),
            (0, -17_999_000, 0),
            (0, 18_000_000, 0),
            (0, -18_000_000, 0),
            (0, 0, 0),
        ]);
        for longitude in [180.0, -180.0, 179.995, -179.995] {
            assert_eq!(within(places.index(), at(0.0, longitude), 3000.0).len(), 4, "{longitude}");
        }
    }

    #[test]
    fn a_circle_around_a_pole_holds_every_longitude() {
        let ring = [-18_000_000, -9_000_000, 0, 9_000_000, 18_000_000];
        let north = Places::new(&ring.map(|longitude| (8_990_000, longitude, 0)));
        assert_eq!(within(north.index(), at(90.0, 12.3), 11_200.0).len(), 5);
        assert_eq!(within(north.index(), at(89.95, 180.0), 17_000.0).len(), 5);
        let south = Places::new(&ring.map(|longitude| (-8_990_000, longitude, 0)));
        assert_eq!(within(south.index(), at(-90.0, -77.0), 11_200.0).len(), 5);
        assert_eq!(within(south.index(), at(-90.0, -77.0), 11_100.0).len(), 0);
    }

    #[test]
    fn a_radius_of_nothing_holds_the_centre_itself() {
        let places = Places::new(&[(3_406_892, -11_844_518, 0), (3_406_893, -11_844_518, 0)]);
        assert_eq!(within(places.index(), at(34.06892, -118.44518), 0.0).len(), 1);
    }

    #[test]
    fn any_radius_is_taken() {
        let places = Places::new(&[
            (9_000_000, 0, 0),
            (-9_000_000, 0, 0),
            (0, 18_000_000, 0),
            (3_406_892, -11_844_518, 0),
        ]);
        let count = |radius_m| within(places.index(), at(0.0, 0.0), radius_m).len();
        for radius_m in [20_015_115.0, 1e9, f64::MAX, f64::INFINITY] {
            assert_eq!(count(radius_m), 4, "{radius_m}");
        }
        for radius_m in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(count(radius_m), 0, "{radius_m}");
        }
    }

    #[test]
    fn the_smaller_the_circle_the_more_distance_counts() {
        // One is known to its street and 50 m away, the other to the world and 900 m away.
        let places = Places::new(&[(45, 0, 150), (809, 0, 250)]);
        let order = |radius_m| -> Vec<u8> {
            let best = places.index().best(at(0.0, 0.0), radius_m, 2);
            best.iter().map(|hit| places.index().record(hit.at).rank).collect()
        };
        assert_eq!(order(1000.0), [150, 250]);
        assert_eq!(order(5000.0), [250, 150]);
        assert_eq!(order(50_000.0), [250, 150]);
    }

    #[test]
    fn the_same_score_is_settled_by_the_records_order() {
        let places = Places::new(&[(100, 0, 7), (-100, 0, 7), (0, 100, 7), (0, -100, 7), (0, 100, 7)]);
        check(places.index(), at(0.0, 0.0), 1000.0, 3);
    }

    /// Points that gather where the search has its edges.
    fn edgy(limit: i32) -> impl Strategy<Value = i32> {
        prop_oneof![-limit..=limit, limit - 200_000..=limit, -limit..=200_000 - limit, -200_000..=200_000]
    }

    fn edgy_center() -> impl Strategy<Value = Coordinates> {
        (edgy(9_000_000), edgy(18_000_000)).prop_map(|(latitude, longitude)| {
            at(f64::from(latitude) / UNITS_PER_DEGREE, f64::from(longitude) / UNITS_PER_DEGREE)
        })
    }

    /// Places so near to where a search may stop, by distance and by rank, that stopping slightly early is wrong. Each
    /// is so many kilometres north and east of the centre.
    fn narrow() -> impl Strategy<Value = Vec<(f64, f64, u8)>> {
        let edge_km = prop_oneof![Just(0.0), Just(FIRST_CIRCLE_M / 1000.0), Just(FIRST_CIRCLE_M / 250.0)];
        edge_km.prop_flat_map(|edge_km| {
            let place = (-3.0..3.0, 0.0..std::f64::consts::TAU, 235_u8..=250).prop_map(
                move |(beyond_km, bearing, rank): (f64, f64, u8)| {
                    let (east, north) = bearing.sin_cos();
                    ((edge_km + beyond_km) * north, (edge_km + beyond_km) * east, rank)
                },
            );
            prop::collection::vec(place, 1..12)
        })
    }

    fn radius_m() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..5e4, 0.0..5e5, 0.0..20_015_115.0]
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_look_at_every_point_finds(
            points in prop::collection::vec((edgy(9_000_000), edgy(18_000_000), 0_u8..=250), 0..300),
            center in edgy_center(),
            radius_m in radius_m(),
            bound in 0_usize..30,
        ) {
            check(Places::new(&points).index(), center, radius_m, bound);
        }

        #[test]
        fn a_search_stops_no_earlier_than_it_may(
            places in narrow(),
            latitude in -80.0..80.0_f64,
            radius_m in 5e3..1e6,
            bound in 1_usize..5,
        ) {
            let degrees = EARTH_RADIUS_KM.to_radians();
            let point = |&(north_km, east_km, rank): &(f64, f64, u8)| {
                let north = latitude + north_km / degrees;
                let east = east_km / degrees / latitude.to_radians().cos();
                ((north * UNITS_PER_DEGREE) as i32, (east * UNITS_PER_DEGREE) as i32, rank)
            };
            let points: Vec<_> = places.iter().map(point).collect();
            check(Places::new(&points).index(), at(latitude, 0.0), radius_m, bound);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_search_finds_what_a_look_at_every_embedded_place_finds(
            center in edgy_center(),
            near in 0..crate::places::embedded::INDEX.records.len(),
            radius_m in radius_m(),
            is_near in any::<bool>(),
        ) {
            let index = crate::places::embedded::INDEX;
            let center = if is_near { coordinates(&index.record(near)) } else { center };
            check(index, center, radius_m, 20);
        }
    }
}
