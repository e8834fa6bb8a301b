//! Tables of well-known publishers, recognised by their headers, so that their rows get the types and ranks that Google
//! would give such places, and not the publisher's own words.

use super::rank_of_population;

/// The table's publisher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Publisher {
    /// GTFS, `stops.txt`: stops and stations of public transport.
    Gtfs,
    /// OurAirports, `airports.csv`; the column of the type.
    OurAirports(usize),
    /// simplemaps, `worldcities.csv`; the column of the population, if there is one.
    Simplemaps(Option<usize>),
}

impl Publisher {
    pub(super) fn of_header(header: &[&str]) -> Option<Self> {
        let find = |name: &str| header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let has = |names: &[&str]| names.iter().all(|name| find(name).is_some());
        match () {
            () if has(&["stop_id", "stop_name", "stop_lat"]) => Some(Self::Gtfs),
            () if has(&["ident", "latitude_deg"]) => find("type").map(Self::OurAirports),
            () if has(&["city_ascii", "lat", "lng"]) => Some(Self::Simplemaps(find("population"))),
            () => None,
        }
    }

    /// The types and the rank of a row with these values; nothing if it is not a place (any more).
    pub(super) fn kind<'a>(self, value: impl Fn(usize) -> &'a str) -> Option<(&'static str, f64)> {
        const AIRPORT: &str = "airport,point_of_interest,establishment";
        const OTHER: &str = "point_of_interest,establishment";
        Some(match self {
            Self::Gtfs => ("transit_station,point_of_interest,establishment", 0.8),
            Self::Simplemaps(population) => {
                let population = population.and_then(|at| value(at).parse().ok()).unwrap_or(0.0);
                ("locality,political", rank_of_population(population))
            }
            // The ranks are those of the embedded places (data/README.md).
            Self::OurAirports(at) => match value(at) {
                "large_airport" => (AIRPORT, 4.0),
                "medium_airport" => (AIRPORT, 3.0),
                "small_airport" => (AIRPORT, 1.2),
                "seaplane_base" | "balloonport" => (OTHER, 0.6),
                "closed" | "closed_airport" => return None,
                _ => (OTHER, 0.3),
            },
        })
    }
}
