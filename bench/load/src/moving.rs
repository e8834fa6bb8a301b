//! Clients that move: each sets out from a real landmark and walks, cycles or drives, never faster than its kind can,
//! turning a little with each report, and turning back when it is far away.

use rand::{RngExt, rngs::SmallRng};

use crate::place::Place;

/// Name, latitude, longitude and more, a landmark a line.
const LANDMARKS: &str = include_str!("../../../data/landmarks.tsv");
/// How many of ten clients walk and how many cycle; the others drive. Metres a second.
const WALKERS: u32 = 6;
const CYCLISTS: u32 = 2;
const WALKING: f64 = 1.4;
const CYCLING: f64 = 5.0;
const DRIVING: f64 = 14.0;
/// The most it turns between two reports, in radians.
const TURN_MAX: f64 = 0.5;
/// From here on it heads home, in metres.
const FAR: f64 = 20_000.0;
/// Metres in a millionth of a degree of latitude.
const METRES: f64 = 0.111_195;
/// A client that was silent for longer has rested meanwhile, in seconds.
const STEP_MAX: f64 = 3_600.0;

/// Where all clients are.
#[derive(Debug)]
pub(crate) struct Walkers {
    starts: Vec<Place>,
    walkers: Vec<Walker>,
}

#[derive(Clone, Copy, Debug)]
struct Walker {
    at: Place,
    /// Radians from north, clockwise.
    heading: f32,
    /// When it was there; 0 before it has set out.
    at_ns: u64,
}

impl Walkers {
    pub(crate) fn new(clients: u32) -> Self {
        let starts: Vec<_> = LANDMARKS.lines().filter_map(landmark).collect();
        let setting_out =
            |number: u32| Walker { at: starts[number as usize % starts.len()], heading: 0.0, at_ns: 0 };
        let walkers = (0..clients).map(setting_out).collect();
        Self { starts, walkers }
    }

    /// Where client `number` is at `now_ns`, any moment not before the last.
    pub(crate) fn step(&mut self, number: u32, now_ns: u64, random: &mut SmallRng) -> Place {
        let home = self.starts[number as usize % self.starts.len()];
        let walker = &mut self.walkers[number as usize];
        if walker.at_ns == 0 {
            walker.heading = random.random_range(0.0..std::f32::consts::TAU);
        } else {
            let seconds = (now_ns.saturating_sub(walker.at_ns) as f64 / 1e9).min(STEP_MAX);
            walker.turn(home, random);
            walker.go(speed(number) * seconds);
        }
        walker.at_ns = now_ns.max(1);
        walker.at
    }
}

impl Walker {
    fn turn(&mut self, home: Place, random: &mut SmallRng) {
        let (north, east) = metres_between(self.at, home);
        let turned = f64::from(self.heading) + random.random_range(-TURN_MAX..TURN_MAX);
        let heading = if north.hypot(east) > FAR { east.atan2(north) } else { turned };
        self.heading = heading as f32;
    }

    fn go(&mut self, metres: f64) {
        let (east, north) = f64::from(self.heading).sin_cos();
        let latitude = f64::from(self.at.latitude_e6) + north * metres / METRES;
        let longitude = f64::from(self.at.longitude_e6) + east * metres / METRES / narrowing(self.at);
        // No landmark is near a pole or the date line, and none walks 20 km from its own.
        self.at = Place { latitude_e6: latitude.round() as i32, longitude_e6: longitude.round() as i32 };
    }
}

fn speed(number: u32) -> f64 {
    match number % 10 {
        kind if kind < WALKERS => WALKING,
        kind if kind < WALKERS + CYCLISTS => CYCLING,
        _ => DRIVING,
    }
}

/// From one place to another, north and east.
fn metres_between(from: Place, to: Place) -> (f64, f64) {
    let north = f64::from(to.latitude_e6 - from.latitude_e6) * METRES;
    let east = f64::from(to.longitude_e6 - from.longitude_e6) * METRES * narrowing(from);
    (north, east)
}

/// How much shorter a degree of longitude is than one of latitude.
fn narrowing(at: Place) -> f64 {
    (f64::from(at.latitude_e6) / 1e6).to_radians().cos().max(0.01)
}

fn landmark(line: &str) -> Option<Place> {
    let mut fields = line.split('\t').skip(1);
    let mut degrees = || Some((fields.next()?.parse::<f64>().ok()? * 1e6).round() as i32);
    Some(Place { latitude_e6: degrees()?, longitude_e6: degrees()? })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn no_client_is_faster_than_its_kind_and_none_strays() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut walkers = Walkers::new(20);
        for number in 0..20 {
            let home = walkers.step(number, 1, &mut random);
            let (mut before, mut now_ns, mut moved) = (home, 1, 0.0_f64);
            for _ in 0..3_000 {
                let seconds = f64::from(random.random_range(1..60_u32));
                now_ns += (seconds * 1e9) as u64;
                let at = walkers.step(number, now_ns, &mut random);
                let (north, east) = metres_between(before, at);
                let metres = north.hypot(east);
                // Rounding to millionths of a degree is a tenth of a metre.
                assert!(metres <= speed(number) * seconds * 1.001 + 0.2, "{metres} m in {seconds} s");
                moved += metres;
                before = at;
                let (north, east) = metres_between(home, at);
                assert!(north.hypot(east) < FAR + DRIVING * 60.0 * 2.0);
            }
            assert!(moved > 1_000.0, "client {number} came {moved} m far");
        }
    }

    #[test]
    fn clients_set_out_from_landmarks() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut walkers = Walkers::new(1_000);
        assert!(walkers.starts.len() > 100);
        // The first line is the university's.
        assert_eq!(
            walkers.step(0, 5, &mut random),
            Place { latitude_e6: 34_068_920, longitude_e6: -118_445_180 }
        );
        assert_ne!(walkers.step(1, 5, &mut random), walkers.step(2, 5, &mut random));
    }
}
