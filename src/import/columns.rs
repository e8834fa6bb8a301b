//! Which column of a CSV file, or which property of a GeoJSON feature, says what of a place.

/// What is said of a place.
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
    /// What tells it from others.
    Id,
}

impl Field {
    const ALL: [Self; 7] =
        [Self::Name, Self::Latitude, Self::Longitude, Self::Types, Self::Vicinity, Self::Rank, Self::Id];

    /// What a column map calls the field.
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

    /// Names of columns that say the field where the user names none; case does not count.
    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Name => &["name", "title", "label"],
            Self::Latitude => &["lat", "latitude", "y"],
            Self::Longitude => &["lng", "lon", "long", "longitude", "x"],
            Self::Types => &["types", "type", "kind", "category"],
            Self::Vicinity => &["vicinity", "address", "city", "town"],
            Self::Rank => &["rank"],
            Self::Id => &["id", "place_id", "osm_id", "@id"],
        }
    }
}

/// What is wrong with a column map; displays as one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ColumnMapError {
    /// A part is not `field=column`.
    #[error("{0:?} is no FIELD=COLUMN; write for example name=Name,lat=Latitude,lng=Longitude")]
    NotAPair(String),
    /// A field is unknown.
    #[error("{0:?} is no field; there are name, lat, lng, types, vicinity, rank and id")]
    UnknownField(String),
    /// A field is there twice.
    #[error("{0} is there twice; give it one column")]
    Twice(&'static str),
}

/// The columns that a user has named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ColumnMap(Vec<(Field, String)>);

impl ColumnMap {
    /// Reads `name=Name,lat=Latitude,lng=Longitude,types=Kind`.
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

    /// Which of the columns says the field. A named column that is not there is an error that lists those that are.
    pub(super) fn position(&self, field: Field, columns: &[&str]) -> Result<Option<usize>, String> {
        let find = |name: &str| {
            let exact = columns.iter().position(|column| column.trim() == name);
            exact.or_else(|| columns.iter().position(|column| column.trim().eq_ignore_ascii_case(name)))
        };
        match self.named(field) {
            None => Ok(field.usual().iter().find_map(|name| find(name))),
            Some(name) => match find(name) {
                None => Err(format!("has no column {name:?}; there are {}", columns.join(", "))),
                found => Ok(found),
            },
        }
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
        assert_eq!(map.position(Field::Name, &columns), Ok(Some(2)));
        assert_eq!(map.position(Field::Latitude, &columns), Ok(Some(1)));
        assert_eq!(map.position(Field::Longitude, &columns), Ok(Some(3)));
        assert_eq!(map.position(Field::Rank, &columns), Ok(None));
        assert!(map.position(Field::Name, &["a", "b"]).unwrap_err().ends_with("there are a, b"));
    }

    #[test]
    fn a_map_that_is_none_is_refused() {
        assert_eq!(ColumnMap::parse("name"), Err(ColumnMapError::NotAPair("name".into())));
        assert_eq!(ColumnMap::parse("name="), Err(ColumnMapError::NotAPair("name=".into())));
        assert_eq!(ColumnMap::parse("nam=x"), Err(ColumnMapError::UnknownField("nam".into())));
        assert_eq!(ColumnMap::parse("id=x,id=y"), Err(ColumnMapError::Twice("id")));
    }
}
