//! From `[places]` to what answers: each source of the chain opened, in order.

use super::{
    Chain, Embedded, Source,
    tweets::{Tweets, TweetsError},
};
use crate::config::{PlacesConfig, PlacesSource};

/// Why a source of places is not there; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tweets cannot be read.
    #[error(transparent)]
    Tweets(#[from] TweetsError),
}

/// The configured sources, ready to be asked; `None` where there are none.
pub fn open(config: &PlacesConfig) -> Result<Option<Box<dyn Source>>, OpenError> {
    let mut chain = Vec::<Box<dyn Source>>::new();
    for source in config.chain() {
        chain.push(match source {
            PlacesSource::None => return Ok(None),
            PlacesSource::Embedded | PlacesSource::File | PlacesSource::Google | PlacesSource::GoogleNew => {
                Box::new(Embedded)
            }
            PlacesSource::Tweets => {
                // The configuration is not valid without the file.
                let path = config.tweets_file.as_deref().unwrap_or(std::path::Path::new(""));
                Box::new(Tweets::open(path, &config.array)?)
            }
        });
    }
    Ok(Some(Box::new(Chain(chain))))
}
