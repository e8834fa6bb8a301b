//! From `[places]` to what answers: each source of the chain opened, in order.

use std::path::Path;

use super::{
    Chain, Embedded, HttpError, PlacesFile, Source,
    file::FileError,
    google::Google,
    google_new::GoogleNew,
    key::{ApiKey, KeyError},
    tweets::{Tweets, TweetsError},
    upstream::{Service, Upstream},
};
use crate::config::{PlacesConfig, PlacesSource};

/// Why a source of places is not there; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tweets cannot be read.
    #[error(transparent)]
    Tweets(#[from] TweetsError),
    /// There is no key for Google.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There can be no connections.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The file of places is not there, or not whole.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The configured sources, ready to be asked; `None` where there are none. Reads files, and connects to nothing.
pub fn open(config: &PlacesConfig) -> Result<Option<Box<dyn Source>>, OpenError> {
    let mut sources = Vec::<Box<dyn Source>>::new();
    let upstream =
        |service: Box<dyn Service>| Upstream::new(service, &config.upstream, config.ca_file.as_deref());
    let key = || ApiKey::find(config.key_file.as_deref());
    for source in config.chain() {
        sources.push(match source {
            PlacesSource::None => return Ok(None),
            PlacesSource::Embedded => Box::new(Embedded),
            PlacesSource::File => {
                // Without the file, the configuration is not valid.
                let path = config.file.as_deref().unwrap_or(Path::new(""));
                Box::new(PlacesFile::open(path)?)
            }
            PlacesSource::Google => Box::new(upstream(Box::new(Google::new(config, key()?)))?),
            PlacesSource::GoogleNew => Box::new(upstream(Box::new(GoogleNew::new(config, key()?)))?),
            PlacesSource::Tweets => {
                // Without the file, the configuration is not valid.
                let path = config.tweets_file.as_deref().unwrap_or(Path::new(""));
                Box::new(Tweets::open(path, &config.array)?)
            }
        });
    }
    Ok(Some(match sources.len() {
        1 => sources.remove(0),
        _ => Box::new(Chain { sources, total_time: config.upstream.total_time }),
    }))
}
