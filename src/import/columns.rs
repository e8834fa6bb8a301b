//! Which column of a CSV file, or which property of a GeoJSON feature, holds which field of a place.

/// A field of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// As people know it.
    Name,
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
    /// Google's types.
    Types,
    /// The town or the street.
    Vicinity,
    /// How well known: 0 to 5.
    Rank,
    /// What distinguishes it from others.
    Id,
}

impl Field {
    const ALL: [Self; 7] =
        [Self::Name, Self::Latitude, Self::Longitude, Self::Types, Self::Vicinity, Self::Rank, Self::Id];

    /// The field's name in a column map.
    pub fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Latitude => "lat",
            Self::Longitude => "lng",
            Self::Types => "types",
            Self::Vicinity => "vicinity",
            Self::Rank => "rank",
            Self::Id => "id",
        }
    }

    /// Names of columns for the field if the user names none, the likeliest first; case does not count. Those of GTFS
    /// (`stop_…`), OurAirports (`…_deg`, `ident`, `municipality`), simplemaps (`city_ascii`, `admin_name`), Overpass
    /// (`@…`) and Darwin Core (`decimal…`) are among them.
    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Name => &["name", "title", "label", "stop_name", "city", "city_ascii"],
            Self::Latitude => {
                &["lat", "latitude", "y", "latitude_deg", "stop_lat", "@lat", "decimallatitude"]
            }
            Self::Longitude => &[
                "lng",
                "lon",
                "long",
                "longitude",
                "x",
                "longitude_deg",
                "stop_lon",
                "@lon",
                "decimallongitude",
            ],
            Self::Types => &["types", "type", "kind", "category"],
            Self::Vicinity => &["vicinity", "address", "city", "town", "municipality", "admin_name"],
            Self::Rank => &["rank"],
            Self::Id => &["id", "place_id", "osm_id", "@id", "stop_id", "ident"],
        }
    }
}

/// What is wrong with a column map; displays as one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ColumnMapError {
    /// A part is not `field=column`.
    #[error("{0:?} is not FIELD=COLUMN; write for example name=Name,lat=Latitude,lng=Longitude")]
    NotAPair(String),
    /// A field is unknown.
    #[error("{0:?} is not a field; the fields are name, lat, lng, types, vicinity, rank and id")]
    UnknownField(String),
    /// A field is given twice.
    #[error("{0} is given twice; give it one column")]
    Twice(&'static str),
}

/// The columns that a user has named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ColumnMap(Vec<(Field, String)>);

impl ColumnMap {
    /// Parses `name=Name,lat=Latitude,lng=Longitude,types=Kind`.
    pub fn parse(text: &str) -> Result<Self, ColumnMapError> {
        let mut pairs: Vec<(Field, String)> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let pair = part.split_once('=').map(|(key, column)| (key.trim(), column.trim()));
            let Some((key, column)) = pair.filter(|(_, column)| !column.is_empty()) else {
                return Err(ColumnMapError::NotAPair(part.trim().to_owned()));
            };
            let field = Field::ALL.into_iter().find(|field| field.key() == key);
            let field = field.ok_or_else(|| ColumnMapError::UnknownField(key.to_owned()))?;
            if pairs.iter().any(|(known, _)| *known == field) {
                return Err(ColumnMapError::Twice(field.key()));
            }
            pairs.push((field, column.to_owned()));
        }
        Ok(Self(pairs))
    }

    /// The column the user has named for the field.
    pub fn named(&self, field: Field) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == field).map(|(_, column)| column.as_str())
    }

    /// The names under which to look for the field.
    pub(super) fn names(&self, field: Field) -> Vec<&str> {
        self.named(field).map_or_else(|| field.usual().to_vec(), |column| vec![column])
    }

    /// Which column holds the field, not counting `taken`; an error if two of the same name might.
    fn position(&self, field: Field, header: &[&str], taken: Option<usize>) -> Result<Option<usize>, String> {
        for name in self.names(field) {
            let found = |is_it: &dyn Fn(&str) -> bool| {
                let columns = header.iter().enumerate().filter(|(_, column)| is_it(column.trim()));
                columns.map(|(at, _)| at).collect::<Vec<_>>()
            };
            let mut at = found(&|column| column == name);
            if at.is_empty() {
                at = found(&|column| column.eq_ignore_ascii_case(name));
            }
            match at[..] {
                [] => {}
                [at] if Some(at) == taken => {}
                [at] => return Ok(Some(at)),
                [..] => {
                    let names = at.iter().map(|&at| shown(header[at])).collect::<Vec<_>>().join(" and ");
                    return Err(format!(
                        "has columns {names}, each of which could be the {}; rename all but one",
                        field.key()
                    ));
                }
            }
        }
        Ok(None)
    }
}

/// The position of each field in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Columns {
    pub(super) name: usize,
    pub(super) latitude: usize,
    pub(super) longitude: usize,
    pub(super) types: Option<usize>,
    pub(super) vicinity: Option<usize>,
    pub(super) rank: Option<usize>,
    pub(super) id: Option<usize>,
}

impl Columns {
    /// Finds the fields in a header; an error lists everything that is missing, and what there is.
    pub(super) fn find(map: &ColumnMap, header: &[&str]) -> Result<Self, String> {
        let unknown: Vec<_> = map
            .0
            .iter()
            .filter(|(_, name)| !header.iter().any(|column| column.trim().eq_ignore_ascii_case(name)))
            .map(|(_, name)| format!("{name:?}"))
            .collect();
        if !unknown.is_empty() {
            return Err(format!("has no column {}; its columns are {}", unknown.join(", "), listed(header)));
        }
        let find = |field| map.position(field, header, None);
        let needed = [Field::Name, Field::Latitude, Field::Longitude];
        let [name, latitude, longitude] = needed.map(find);
        let (Some(name), Some(latitude), Some(longitude)) = (name?, latitude?, longitude?) else {
            return Err(missing(&needed.map(|field| (field, find(field))), header));
        };
        // A city's row has its name in the column that is the vicinity of anything else.
        let is_named = map.named(Field::Vicinity).is_some();
        let vicinity = map.position(Field::Vicinity, header, (!is_named).then_some(name))?;
        Ok(Self {
            name,
            latitude,
            longitude,
            types: find(Field::Types)?,
            vicinity,
            rank: find(Field::Rank)?,
            id: find(Field::Id)?,
        })
    }

    /// How many of the required columns are in the header.
    pub(super) fn count_needed(map: &ColumnMap, header: &[&str]) -> usize {
        let is_there = |field: &Field| !matches!(map.position(*field, header, None), Ok(None));
        [Field::Name, Field::Latitude, Field::Longitude].iter().filter(|field| is_there(field)).count()
    }
}

fn missing(found: &[(Field, Result<Option<usize>, String>)], header: &[&str]) -> String {
    if let Some(comment) = header.first().filter(|first| first.trim_start().starts_with('#'))
        && found.iter().all(|(_, at)| *at == Ok(None))
    {
        return format!(
            "begins with a comment, {}; remove it: the first line must name the columns",
            shown(comment)
        );
    }
    if let [only] = header {
        return format!(
            "has one column, {}, in its first line; if another character separates its columns, name it with --delimiter",
            shown(only)
        );
    }
    let keys: Vec<_> = found.iter().filter(|(_, at)| *at == Ok(None)).map(|(field, _)| field.key()).collect();
    let pairs: Vec<_> = keys.iter().map(|key| format!("{key}=COLUMN")).collect();
    format!(
        "has no column for {}; name {} with --columns {}, of {}",
        keys.join(", "),
        if keys.len() == 1 { "it" } else { "them" },
        pairs.join(","),
        listed(header)
    )
}

/// How many columns are listed, and how much of each is shown, in characters: a file that is not a table may have
/// anything in its first line.
const LISTED_MAX: usize = 30;
const SHOWN_CHARS_MAX: usize = 40;

fn listed(header: &[&str]) -> String {
    let mut text = header.iter().take(LISTED_MAX).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    if header.len() > LISTED_MAX {
        text.push_str(&format!("… ({} in all)", header.len()));
    }
    text
}

fn shown(name: &str) -> String {
    format!("{:?}", plain(name))
}

/// The beginning of a name. What would move a cursor is escaped where errors are shown.
fn plain(name: &str) -> String {
    let name = name.trim();
    match name.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_names_columns() {
        let map = ColumnMap::parse("name=Full Name, lat = Y,").unwrap();
        assert_eq!((map.named(Field::Name), map.named(Field::Latitude)), (Some("Full Name"), Some("Y")));
        assert_eq!(map.named(Field::Id), None);
        let columns = ["y", "Y", "full name", "LON"];
        let found = Columns::find(&map, &columns).unwrap();
        assert_eq!((found.name, found.latitude, found.longitude, found.rank), (2, 1, 3, None));
        let fault = Columns::find(&map, &["a", "b"]).unwrap_err();
        assert_eq!(fault, "has no column \"Full Name\", \"Y\"; its columns are a, b");
    }

    #[test]
    fn all_columns_that_are_missing_are_told_at_once() {
        let find = |header: &[&str]| Columns::find(&ColumnMap::default(), header).unwrap_err();
        assert_eq!(
            find(&["lat", "b"]),
            "has no column for name, lng; name them with --columns name=COLUMN,lng=COLUMN, of lat, b"
        );
        assert!(find(&["name:lat:lng"]).ends_with("name it with --delimiter"));
        assert!(
            find(&["# made by hand", "z"])
                .starts_with("begins with a comment, \"# made by hand\"; remove it")
        );
        assert!(find(&["#name", "lat"]).starts_with("has no column for name, lng"));
        assert!(find(&["a\nb", &"c".repeat(99)]).ends_with(&format!("of a\nb, {}…", "c".repeat(40))));
        assert!(find(&["c"; 99]).ends_with("(99 in all)"));
    }

    #[test]
    fn two_columns_of_one_name_are_an_error_where_it_matters() {
        let find = |header: &[&str]| Columns::find(&ColumnMap::default(), header);
        let fault = find(&["name", "lat", "lng", "name"]).unwrap_err();
        assert!(
            fault.starts_with("has columns \"name\" and \"name\", each of which could be the name"),
            "{fault}"
        );
        assert!(find(&["NAME", "Name", "lat", "lng"]).is_err());
        assert_eq!(find(&["NAME", "name", "lat", "lng"]).unwrap().name, 1);
        assert!(find(&["name", "lat", "lng", "note", "note"]).is_ok());
    }

    #[test]
    fn columns_of_well_known_files_are_understood() {
        let find = |header: &str| {
            let header: Vec<_> = header.split(',').collect();
            let columns = Columns::find(&ColumnMap::default(), &header).unwrap();
            let name = |at: Option<usize>| at.map_or("", |at| header[at]).to_owned();
            [
                name(Some(columns.name)),
                name(Some(columns.latitude)),
                name(Some(columns.longitude)),
                name(columns.vicinity),
                name(columns.id),
            ]
        };
        assert_eq!(
            find("stop_id,stop_code,stop_name,stop_desc,stop_lat,stop_lon,zone_id,location_type"),
            ["stop_name", "stop_lat", "stop_lon", "", "stop_id"]
        );
        assert_eq!(
            find("id,ident,type,name,latitude_deg,longitude_deg,elevation_ft,municipality"),
            ["name", "latitude_deg", "longitude_deg", "municipality", "id"]
        );
        assert_eq!(
            find("city,city_ascii,lat,lng,country,iso2,admin_name,capital,population,id"),
            ["city", "lat", "lng", "admin_name", "id"]
        );
        assert_eq!(find("@id,@lat,@lon,name"), ["name", "@lat", "@lon", "", "@id"]);
        assert_eq!(find("name,city,lat,lng"), ["name", "lat", "lng", "city", ""]);
    }

    #[test]
    fn a_map_that_is_none_is_refused() {
        assert_eq!(ColumnMap::parse("name"), Err(ColumnMapError::NotAPair("name".into())));
        assert_eq!(ColumnMap::parse("name="), Err(ColumnMapError::NotAPair("name=".into())));
        assert_eq!(ColumnMap::parse("nam=x"), Err(ColumnMapError::UnknownField("nam".into())));
        assert_eq!(ColumnMap::parse("id=x,id=y"), Err(ColumnMapError::Twice("id")));
    }
}
