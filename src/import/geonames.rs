//! The dumps of geonames.org: one place per line, 19 columns separated by tabs, no header.

use std::io::{BufRead, BufReader, Read};

use super::{ImportError, NOT_UTF8, Sink, Skip, rank_of_population};
use crate::places::file::{Id, PlaceEntry};

/// The attribution, as HTML.
pub const ATTRIBUTION: &str = "Places © <a href=\"https://www.geonames.org/\">GeoNames</a>, \
     <a href=\"https://creativecommons.org/licenses/by/4.0/\">CC BY 4.0</a>, reformatted";

/// The longest line that is read, in bytes: alternate names use 10,000 characters of it.
const LINE_BYTES_MAX: u64 = 256 * 1024;

const COLUMNS: usize = 19;

/// Whether a line may be from a dump: it has a number, a name, and a place's coordinates.
pub(super) fn is_line(line: &[u8]) -> bool {
    let cells: Vec<_> = line.split(|&byte| byte == b'\t').collect();
    let is_number = |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(|cell| cell.parse::<f64>().is_ok());
    cells.len() == COLUMNS && [0, 4, 5].iter().all(|&at| is_number(cells[at]))
}

/// Reads lines until the end.
pub fn read(from: impl Read, sink: &mut Sink) -> Result<(), ImportError> {
    let mut reader = BufReader::with_capacity(64 * 1024, from);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let fault = |fault: &str| ImportError::Line { line: number, fault: fault.to_owned() };
        if line.len() as u64 == LINE_BYTES_MAX {
            return Err(fault("this line is too long for GeoNames; name the format with --format"));
        }
        if !line.ends_with(b"\n") {
            sink.note_unended();
        }
        let text = std::str::from_utf8(&line).map_err(|_| fault(NOT_UTF8))?;
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let cells: Vec<&str> = text.split('\t').collect();
        if cells.len() != COLUMNS {
            return Err(fault(&format!(
                "this line has {} columns, where a GeoNames dump has {COLUMNS}, separated by tabs; name the format with --format",
                cells.len()
            )));
        }
        add(&cells, number, sink)?;
    }
    Ok(())
}

fn add(cells: &[&str], line: u64, sink: &mut Sink) -> Result<(), ImportError> {
    let Some((types, rank)) = kind(cells[6], cells[7]) else {
        sink.skip(Skip::NoKind, Some(line));
        return Ok(());
    };
    let (Ok(latitude), Ok(longitude)) = (cells[4].parse(), cells[5].parse()) else {
        sink.skip(Skip::BadCoordinates, Some(line));
        return Ok(());
    };
    let Ok(number) = cells[0].parse() else {
        sink.skip(Skip::BadId, Some(line));
        return Ok(());
    };
    let population: f64 = cells[14].parse().unwrap_or(0.0);
    let rank = rank.unwrap_or_else(|| rank_of_population(population));
    let kind = sink.kind("geonames", types)?;
    let id = Id::Number(number);
    let entry = PlaceEntry { kind, id, name: cells[1], vicinity: "", latitude, longitude, rank };
    sink.add(&entry, Some(line))?;
    Ok(())
}

/// Types by feature class and code, and a rank; no rank if the population decides it. Streets and regions are not
/// places here.
fn kind(class: &str, code: &str) -> Option<(&'static str, Option<f64>)> {
    const POI: &str = "point_of_interest,establishment";
    Some(match (class, code) {
        ("P", "PPLX") => ("neighborhood,political", None),
        ("P", "PPLH" | "PPLQ" | "PPLW" | "PPLCH") => return None,
        ("P", _) => ("locality,political", None),
        ("S", "AIRP") => ("airport,point_of_interest,establishment", Some(3.0)),
        ("S", "AIRF" | "AIRQ" | "AIRB") => (POI, Some(1.0)),
        ("S", "AIRH") => (POI, Some(0.3)),
        ("S", "UNIV" | "SCHC") => ("university,point_of_interest,establishment", Some(2.0)),
        ("S", "SCH") => ("school,point_of_interest,establishment", Some(0.6)),
        ("S", "HSP" | "HSPC" | "HSPD") => ("hospital,health,point_of_interest,establishment", Some(1.0)),
        ("S", "MUS") => ("museum,point_of_interest,establishment", Some(2.0)),
        ("S", "CH" | "CTHD") => ("church,place_of_worship,point_of_interest,establishment", Some(0.6)),
        ("S", "MSQE") => ("mosque,place_of_worship,point_of_interest,establishment", Some(0.8)),
        ("S", "TMPL" | "SHRN" | "PGDA" | "MSTY") => {
            ("place_of_worship,point_of_interest,establishment", Some(0.8))
        }
        ("S", "RSTN" | "MTRO" | "TRAM") => {
            ("train_station,transit_station,point_of_interest,establishment", Some(1.2))
        }
        ("S", "BUSTN") => ("bus_station,transit_station,point_of_interest,establishment", Some(0.8)),
        ("S", "HTL" | "GHSE" | "RSRT" | "HSTL") => ("lodging,point_of_interest,establishment", Some(0.8)),
        ("S", "REST") => ("restaurant,food,point_of_interest,establishment", Some(0.8)),
        ("S", "MALL") => ("shopping_mall,point_of_interest,establishment", Some(1.0)),
        ("S", "STDM") => ("stadium,point_of_interest,establishment", Some(1.8)),
        ("S", "LIBR") => ("library,point_of_interest,establishment", Some(1.0)),
        ("S", "THTR" | "OPRA") => ("point_of_interest,establishment", Some(1.4)),
        ("S", "ZOO") => ("zoo,tourist_attraction,point_of_interest,establishment", Some(2.0)),
        ("S", "CSTL" | "PAL" | "RUIN" | "ANS" | "MNMT" | "TOWR" | "PYR" | "PYRS" | "HSTS") => {
            ("tourist_attraction,point_of_interest,establishment", Some(1.6))
        }
        ("S", "CMTY") => ("cemetery,point_of_interest,establishment", Some(0.4)),
        ("S", "PO") => ("post_office,point_of_interest,establishment", Some(0.4)),
        ("S", "PP") => ("police,point_of_interest,establishment", Some(0.5)),
        ("S", "BLDO" | "GOVL" | "ADMF" | "CTHSE") => {
            ("local_government_office,point_of_interest,establishment", Some(0.8))
        }
        ("S", _) => (POI, Some(0.6)),
        ("L", "PRK" | "RESN" | "RESW") => ("park,point_of_interest,establishment", Some(1.6)),
        ("L", "AMUS") => ("amusement_park,tourist_attraction,point_of_interest,establishment", Some(2.0)),
        ("T", "MT" | "VLC" | "PK" | "ISL" | "BCH" | "CAPE" | "GRGE" | "CNYN" | "VAL" | "DSRT") => {
            ("natural_feature,establishment", Some(1.2))
        }
        ("H", "LK" | "FLLS" | "BAY" | "GLCR" | "LGN" | "SPNG") => {
            ("natural_feature,establishment", Some(1.0))
        }
        _ => return None,
    })
}
