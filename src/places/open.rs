//! From `[places]` to the sources that answer: each source of the chain opened, in order.

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
use crate::{
    config::{PlacesConfig, PlacesSource, UpstreamLimits},
    text::plural,
};

/// Why a source of places is not available; displays as one line.
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
    /// The file of places is missing, or incomplete.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The configured sources, ready to be asked.
pub struct Opened {
    /// The source that answers; `None` if there is none.
    pub source: Option<Box<dyn Source>>,
    /// What each source answers from, in the order in which they are asked.
    pub stock: Vec<Stock>,
}

/// What a source answers from, to be shown when a node starts or a configuration is checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stock {
    /// One line.
    pub line: String,
    /// Whether every answer will be empty, which nobody can want.
    pub is_empty: bool,
}

impl Stock {
    fn new(line: String) -> Self {
        Self { line, is_empty: false }
    }

    fn of_file(count: usize, path: &Path) -> Self {
        Self { line: format!("{count} in {}", path.display()), is_empty: count == 0 }
    }

    fn of_tweets(tweets: &Tweets, path: &Path) -> Self {
        let (count, located) = tweets.counts();
        let line = format!("{count} tweet{}, {located} located, in {}", plural(count), path.display());
        let cure = "; no answer can contain any: use tweets with `geo`, `coordinates` or `place`";
        Self { line: if located == 0 { line + cure } else { line }, is_empty: located == 0 }
    }

    fn of_upstream(source: PlacesSource, url: &str, config: &PlacesConfig) -> Self {
        let UpstreamLimits { calls_per_second, calls_per_day, .. } = config.upstream;
        Self::new(format!(
            "{} at {url}, at most {calls_per_second} calls a second and {calls_per_day} a day",
            source.as_str()
        ))
    }
}

/// Opens the configured sources. Reads files, and connects to nothing.
pub fn open(config: &PlacesConfig) -> Result<Opened, OpenError> {
    let (mut sources, mut stock) = (Vec::new(), Vec::new());
    for source in config.chain() {
        let Some((source, has)) = open_one(source, config)? else {
            let stock = vec![Stock::new("none; every WHATSAT is refused".to_owned())];
            return Ok(Opened { source: None, stock });
        };
        sources.push(source);
        stock.push(has);
    }
    let source = match sources.len() {
        1 => sources.remove(0),
        _ => Box::new(Chain { sources, total_time: config.upstream.total_time }),
    };
    Ok(Opened { source: Some(source), stock })
}

type WithStock = (Box<dyn Source>, Stock);

fn open_one(source: PlacesSource, config: &PlacesConfig) -> Result<Option<WithStock>, OpenError> {
    let upstream = |service: Box<dyn Service>, url: &str| {
        let upstream = Upstream::new(service, &config.upstream, config.ca_file.as_deref())?;
        let upstream: Box<dyn Source> = Box::new(upstream);
        Ok::<_, OpenError>((upstream, Stock::of_upstream(source, url, config)))
    };
    let key = || ApiKey::find(config.key_file.as_deref());
    Ok(Some(match source {
        PlacesSource::None => return Ok(None),
        PlacesSource::Embedded => {
            (Box::new(Embedded), Stock::new(format!("{} built into the program", Embedded.count())))
        }
        PlacesSource::File => {
            let path = stated(config.file.as_deref());
            let places = PlacesFile::open(path)?;
            let stock = Stock::of_file(places.count(), path);
            (Box::new(places), stock)
        }
        PlacesSource::Google => upstream(Box::new(Google::new(config, key()?)), &config.base_url)?,
        PlacesSource::GoogleNew => upstream(Box::new(GoogleNew::new(config, key()?)), &config.new_base_url)?,
        PlacesSource::Tweets => {
            let path = stated(config.tweets_file.as_deref());
            let tweets = Tweets::open(path, &config.array)?;
            let stock = Stock::of_tweets(&tweets, path);
            (Box::new(tweets), stock)
        }
    }))
}

/// The path of a source's file. Without it, the configuration is not valid.
fn stated(path: Option<&Path>) -> &Path {
    path.unwrap_or(Path::new(""))
}
