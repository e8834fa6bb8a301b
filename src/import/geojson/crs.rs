//! What coordinates are in: degrees, as GeoJSON has them, or something else, which the file names or the coordinates
//! show.

use serde_json::Value;

use crate::import::ImportError;

/// How much of the name of a coordinate reference system is shown, in characters.
const CRS_CHARS_MAX: usize = 60;

/// Where the features of a file are.
#[derive(Default)]
pub(super) struct Whereabouts {
    /// The `crs` that earlier versions of GeoJSON had, unless it is one in degrees.
    projection: Option<String>,
    on_earth: u64,
    off_earth: u64,
    /// How many of those that are off the Earth are so far off that they cannot be in degrees.
    far: u64,
}

impl Whereabouts {
    /// Notes the value of the member `crs`.
    pub(super) fn note_crs(&mut self, crs: &Value) {
        let name = crs.pointer("/properties/name").and_then(Value::as_str);
        let projected = name.filter(|name| !is_geographic(name));
        self.projection = projected.map(|name| name.chars().take(CRS_CHARS_MAX).collect());
    }

    /// Notes where a feature is.
    pub(super) fn note(&mut self, is_off: bool, is_far: bool) {
        self.on_earth += u64::from(!is_off);
        self.off_earth += u64::from(is_off);
        self.far += u64::from(is_far);
    }

    /// Called at the end of the file, since the members of an object have no order: an error if its coordinates are not
    /// in degrees. A file that is mostly on the Earth is in degrees, whatever its `crs` says.
    pub(super) fn check(&self) -> Result<(), ImportError> {
        let fault = match &self.projection {
            Some(crs) if self.off_earth > self.on_earth => format!(
                "has coordinates of {crs:?}, which are not in degrees; convert it: ogr2ogr -f GeoJSON -t_srs EPSG:4326 NEW.geojson FILE"
            ),
            _ if self.on_earth == 0 && self.far > 0 => "has coordinates far beyond 180, which are not in degrees; convert it, for example from Web Mercator: ogr2ogr -f GeoJSON -s_srs EPSG:3857 -t_srs EPSG:4326 NEW.geojson FILE".to_owned(),
            _ => return Ok(()),
        };
        Err(ImportError::Form(fault))
    }
}

/// Whether a coordinate reference system is in degrees, judging by its name, such as `urn:ogc:def:crs:EPSG::4269`.
fn is_geographic(name: &str) -> bool {
    if ["CRS84", "CRS83", "CRS27", "CRS84h"].iter().any(|known| name.ends_with(known)) {
        return true;
    }
    let code = name.rsplit(|letter: char| !letter.is_ascii_digit()).next().and_then(|code| code.parse().ok());
    // EPSG keeps the 4000s for systems in degrees; these are the others among them, and newer ones beyond.
    code.is_some_and(|code: u32| match code {
        4087 | 4088 | 4328 | 4936..=4938 | 4978 => false,
        4001..=4999 => true,
        6318 | 6322 | 6325 | 6668 | 6706 | 7844 | 9755 => true,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_of_degrees_are_known_by_their_names() {
        for name in [
            "urn:ogc:def:crs:EPSG::4269",
            "EPSG:4326",
            "http://www.opengis.net/def/crs/EPSG/0/4258",
            "OGC:CRS83",
        ] {
            assert!(is_geographic(name), "{name}");
        }
        for name in ["EPSG:3857", "urn:ogc:def:crs:EPSG::2154", "urn:ogc:def:crs:EPSG::14326", "local", ""] {
            assert!(!is_geographic(name), "{name}");
        }
    }
}
