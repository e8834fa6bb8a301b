//! The table `[places]`: who answers, whether each can take over from the one before, and whether each has its file.

use std::ops::Range;

use toml::de::DeTable;

use super::{
    super::{
        PlacesConfig, PlacesSource, UpstreamLimits,
        error::{At, Fault},
        faults::Found,
        keys,
    },
    Filled, Misspelt, Text, Value, setting_names,
};
use crate::text::nearest;

impl Text<'_> {
    pub(super) fn places(&self, root: &DeTable<'_>) -> Found<PlacesConfig> {
        let Some((table, span)) = self.table(root, "places")? else { return Ok(PlacesConfig::default()) };
        let by_hand = keys::names(&keys::PLACES);
        let known = [setting_names::<UpstreamLimits>(), by_hand, setting_names::<PlacesConfig>()].concat();
        let Misspelt(misspelt) = self.unknown_keys(table, "[places]", &known);
        let upstream = self.fill(table).whole();
        let mut config: Filled<PlacesConfig> = self.fill(table);
        config.faulty.extend(misspelt);
        let source = table.get("source").map(|value| self.places_source("source", value)).transpose();
        let source = source.map(Option::unwrap_or_default);
        let then = table.get("then").map_or(Ok(Vec::new()), |value| self.then(source.ok(), value));
        let chain = source.iter().chain(then.iter().flatten()).copied().collect::<Vec<_>>();
        self.check_files_of(&chain, &config, span)?;
        Ok(PlacesConfig { source: source?, then: then?, upstream: upstream?, ..config.whole()? })
    }

    fn check_files_of(
        &self,
        chain: &[PlacesSource],
        config: &Filled<PlacesConfig>,
        table: Range<usize>,
    ) -> Found<()> {
        let mut are_there = Ok(());
        for (source, key, is_given) in [
            (PlacesSource::File, "file", config.value.file.is_some()),
            (PlacesSource::Tweets, "tweets_file", config.value.tweets_file.is_some()),
        ] {
            if chain.contains(&source) && !is_given && config.is_sound(&[key]).is_ok() {
                let fault = Fault::NoPlacesFile { source_name: source.as_str(), key };
                are_there = Err(self.note(table.clone(), fault));
            }
        }
        are_there
    }

    fn places_source(&self, key: &str, value: &Value<'_>) -> Found<PlacesSource> {
        let At { line, value: name } = self.string(key, value, "a source's name in quotes")?;
        let source = PlacesSource::ALL.into_iter().find(|source| source.as_str() == name);
        source.ok_or_else(|| {
            let names = PlacesSource::ALL.map(PlacesSource::as_str);
            let (nearest, known) = (nearest(&name, names.into_iter()), names.join(", "));
            self.faults.note(line, Fault::UnknownPlaces { source_name: name, nearest, known })
        })
    }

    /// Who is asked after `first`, one name or a list: each must be one that can take over from the one before.
    fn then(&self, first: Option<PlacesSource>, value: &Value<'_>) -> Found<Vec<PlacesSource>> {
        let (single, list) = match value.get_ref().as_array() {
            Some(list) => (None, Some(list)),
            None => (Some(value), None),
        };
        let mut chain: Vec<_> = first.into_iter().collect();
        let mut are_all = Ok(());
        for value in list.into_iter().flatten().chain(single) {
            let next = match self.places_source("then", value) {
                Ok(next) => next,
                Err(noted) => {
                    are_all = Err(noted);
                    continue;
                }
            };
            let before = chain.last().filter(|before| !before.is_upstream());
            let why = if let Some(before) = before {
                format!("{:?} does not fail, so nobody is asked after it", before.as_str())
            } else if chain.contains(&next) {
                format!("{:?} has been asked by then", next.as_str())
            } else if matches!(next, PlacesSource::Tweets | PlacesSource::None) {
                format!("{:?} has no places to answer with", next.as_str())
            } else {
                chain.push(next);
                continue;
            };
            are_all = Err(self.note(value.span(), Fault::Then { why }));
        }
        are_all.map(|()| chain.split_off(usize::from(first.is_some())))
    }
}
