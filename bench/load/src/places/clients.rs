//! The positions of the clients that lookups ask about: so many within a kilometre of a point, no two at the same
//! place.

use std::{
    f64::consts::PI,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{clock::Clock, reply, requests::client_id, rounds::BenchError, stamp::Stamp};

/// How far from the point the farthest is.
const RADIUS_KM: f64 = 1.0;
const KM_A_DEGREE: f64 = 111.195;
/// Turning by it again and again leaves no direction out.
const GOLDEN_ANGLE: f64 = PI * 0.763_932_022_500_210_4;
/// Reports in one write, few enough that their answers need no reader meanwhile.
const REPORTS: u32 = 100;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients `0..count`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clients {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) count: u32,
}

impl Clients {
    pub(super) fn at_ucla(count: u32) -> Self {
        Self { latitude: 34.0689, longitude: -118.4452, count }
    }

    pub(super) fn in_tokyo(count: u32) -> Self {
        Self { latitude: 35.6812, longitude: 139.7671, count }
    }

    /// On a spiral that fills its circle evenly, in ISO 6709.
    fn position(&self, number: u32) -> String {
        let km = RADIUS_KM * ((f64::from(number) + 0.5) / f64::from(self.count)).sqrt();
        let (north, east) = (GOLDEN_ANGLE * f64::from(number)).sin_cos();
        let latitude = self.latitude + km * north / KM_A_DEGREE;
        let longitude = self.longitude + km * east / (KM_A_DEGREE * self.latitude.to_radians().cos());
        format!("{latitude:+.6}{longitude:+.6}")
    }

    /// Reports all of them to a node.
    pub(super) fn report_to(&self, node: SocketAddr) -> Result<(), BenchError> {
        let wrong = self.told(node).map_err(BenchError::file("cannot report the clients"))?;
        wrong.map_or(Ok(()), |line| Err(BenchError::Wrong(line)))
    }

    /// The first answer that is not valid.
    fn told(&self, node: SocketAddr) -> io::Result<Option<String>> {
        let stream = TcpStream::connect(node)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(&stream);
        let mut stamp = Stamp::new(Clock::start().posix_ns(0));
        let (mut lines, mut answer) = (Vec::new(), String::new());
        for first in (0..self.count).step_by(REPORTS as usize) {
            let numbers = first..self.count.min(first + REPORTS);
            lines.clear();
            for number in numbers.clone() {
                stamp.advance();
                let (client, position) = (client_id(number), self.position(number));
                writeln!(lines, "IAMAT {client} {position} {}", String::from_utf8_lossy(stamp.text()))?;
            }
            (&stream).write_all(&lines)?;
            for _ in numbers {
                answer.clear();
                reader.read_line(&mut answer)?;
                if !reply::is_at_line(answer.as_bytes()) {
                    return Ok(Some(answer));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn clients_are_near_and_no_two_are_at_one_place() {
        for clients in [Clients::at_ucla(10_000), Clients::in_tokyo(1_000), Clients::at_ucla(1)] {
            let positions: HashSet<String> =
                (0..clients.count).map(|number| clients.position(number)).collect();
            assert_eq!(positions.len(), clients.count as usize);
            for position in positions {
                let second = position.rfind(['+', '-']).unwrap();
                let [latitude, longitude] =
                    [&position[..second], &position[second..]].map(|part| part.parse::<f64>().unwrap());
                let north = (latitude - clients.latitude) * KM_A_DEGREE;
                let east =
                    (longitude - clients.longitude) * KM_A_DEGREE * clients.latitude.to_radians().cos();
                assert!(north.hypot(east) < RADIUS_KM + 0.001, "{position}");
            }
        }
    }
}
