//! Where answers to WHATSAT come from, and how an upstream is kept from costing more than it may.

use std::{fmt::Write, path::PathBuf, time::Duration};

use super::{
    quoted,
    settings::{self, Setting, Slot},
};

/// The table `[places]`.
#[derive(Clone, PartialEq, Debug)]
pub struct PlacesConfig {
    /// Who is asked. `source`: "embedded".
    pub source: PlacesSource,
    /// Who is asked, in this order, where those before have failed. `then`: nobody.
    pub then: Vec<PlacesSource>,
    /// The file with Google's key; from [`Herd::load`](super::Herd::load) it is whole. Not read here. `key_file`.
    pub key_file: Option<PathBuf>,
    /// The certificates that may vouch for an upstream, in PEM, instead of those built in. `ca_file`.
    pub ca_file: Option<PathBuf>,
    /// What `herd places import` has made, for source "file". `file`.
    pub file: Option<PathBuf>,
    /// A document of tweets, for source "tweets". `tweets_file`.
    pub tweets_file: Option<PathBuf>,
    /// The array of that document that holds the tweets. `array`: "results".
    pub array: String,
    /// Where the legacy Nearby Search is, for source "google". `base_url`.
    pub base_url: String,
    /// Where the new one is, for source "google-new". `new_base_url`.
    pub new_base_url: String,
    /// In which language Google answers; its own choice without. `language`.
    pub language: Option<String>,
    /// What kind of places Google looks for; all without. `type`.
    pub kind: Option<String>,
    /// How upstreams are asked.
    pub upstream: UpstreamLimits,
}

/// How upstreams are asked: the numbers of the table `[places]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamLimits {
    /// Whether "google-new" asks for ratings, prices and hours, which are billed dearer. `ratings`: false.
    pub ratings: bool,
    /// For a connection to come about. `connect_seconds`: 2 s; 0.01 s to 1 minute.
    pub connect_time: Duration,
    /// From a request to the head of its response. `response_seconds`: 5 s; 0.01 s to 1 minute.
    pub response_time: Duration,
    /// For a whole lookup, with all of its calls and waits. `total_seconds`: 6 s; 0.01 s to 2 minutes.
    pub total_time: Duration,
    /// A response's body, decompressed. `body_bytes`: 2 MiB; 1 KiB to 64 MiB.
    pub body_bytes: usize,
    /// Lookups at once, those that wait for another's call too. `lookups`: 1,024; 1 to 100,000.
    pub lookups: usize,
    /// Calls a second, a second's worth at once. `calls_per_second`: 100; 1 to 1,000,000.
    pub calls_per_second: usize,
    /// Calls a day, counted from the node's start. `calls_per_day`: 10,000; 1 to 1,000,000,000.
    pub calls_per_day: usize,
    /// How long an answer may be given again; 0 for not at all. `cache_seconds`: 0; 0 s to 1 day.
    pub cache_time: Duration,
    /// What the answers kept may take. `cache_bytes`: 64 MiB; 1 KiB to 16 GiB.
    pub cache_bytes: usize,
    /// So many failures in a row, and the upstream is left alone. `breaker_failures`: 5; 1 to 1,000.
    pub breaker_failures: usize,
    /// For so long at first; twice as long each time, up to 32 times. `breaker_seconds`: 5 s; 0.01 s to 1 hour.
    pub breaker_time: Duration,
}

/// One source of places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlacesSource {
    /// The open data built into the program. The default.
    Embedded,
    /// A file that `herd places import` has made.
    File,
    /// Google's Nearby Search (legacy).
    Google,
    /// Google's Nearby Search (New).
    GoogleNew,
    /// A document of tweets.
    Tweets,
    /// No places: every WHATSAT is invalid.
    None,
}

impl PlacesSource {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Embedded, Self::File, Self::Google, Self::GoogleNew, Self::Tweets, Self::None];

    /// As it stands in TOML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::File => "file",
            Self::Google => "google",
            Self::GoogleNew => "google-new",
            Self::Tweets => "tweets",
            Self::None => "none",
        }
    }

    /// Whether it is asked over the network, and so may fail.
    pub fn is_upstream(self) -> bool {
        matches!(self, Self::Google | Self::GoogleNew)
    }
}

impl PlacesConfig {
    /// All who may be asked, in order.
    pub fn chain(&self) -> impl Iterator<Item = PlacesSource> {
        std::iter::once(self.source).chain(self.then.iter().copied())
    }

    /// The paths that are stated, to be made whole.
    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.key_file, &mut self.ca_file, &mut self.file, &mut self.tweets_file].into_iter().flatten()
    }

    pub(super) fn to_toml(&self) -> String {
        let mut out = format!("\n[places]\nsource = {}\n", quoted(self.source.as_str()));
        let then: Vec<_> = self.then.iter().map(|source| quoted(source.as_str())).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "then = [{}]", then.join(", "));
        for (key, path) in [
            ("key_file", &self.key_file),
            ("ca_file", &self.ca_file),
            ("file", &self.file),
            ("tweets_file", &self.tweets_file),
        ] {
            if let Some(path) = path {
                let _ = writeln!(out, "{key} = {}", quoted(&path.to_string_lossy()));
            }
        }
        for (key, text) in [
            ("array", Some(&self.array)),
            ("base_url", Some(&self.base_url)),
            ("new_base_url", Some(&self.new_base_url)),
            ("language", self.language.as_ref()),
            ("type", self.kind.as_ref()),
        ] {
            if let Some(text) = text {
                let _ = writeln!(out, "{key} = {}", quoted(text));
            }
        }
        settings::write(&SETTINGS, self.upstream.clone(), &mut out);
        out
    }
}

impl Default for PlacesConfig {
    fn default() -> Self {
        Self {
            source: PlacesSource::Embedded,
            then: Vec::new(),
            key_file: None,
            ca_file: None,
            file: None,
            tweets_file: None,
            array: "results".to_owned(),
            base_url: "https://maps.googleapis.com".to_owned(),
            new_base_url: "https://places.googleapis.com".to_owned(),
            language: None,
            kind: None,
            upstream: UpstreamLimits::default(),
        }
    }
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            ratings: false,
            connect_time: Duration::from_secs(2),
            response_time: Duration::from_secs(5),
            total_time: Duration::from_secs(6),
            body_bytes: 2 << 20,
            lookups: 1_024,
            calls_per_second: 100,
            calls_per_day: 10_000,
            cache_time: Duration::ZERO,
            cache_bytes: 64 << 20,
            breaker_failures: 5,
            breaker_time: Duration::from_secs(5),
        }
    }
}

/// Whether a service can be there: a scheme and a host, perhaps a path, and no more.
pub(super) fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let is_plain = |letter: char| {
        letter.is_ascii_graphic() && !matches!(letter, '?' | '#' | '@' | '"' | '<' | '>' | '\\')
    };
    !rest.trim_end_matches('/').is_empty() && !rest.starts_with(['/', ':']) && rest.chars().all(is_plain)
}

/// The keys of `[places]` that hold text or paths.
pub(super) const TEXT_KEYS: [&str; 11] = [
    "source",
    "then",
    "key_file",
    "ca_file",
    "file",
    "tweets_file",
    "array",
    "base_url",
    "new_base_url",
    "language",
    "type",
];

/// The other keys of `[places]`.
#[rustfmt::skip]
pub(super) const SETTINGS: [Setting<UpstreamLimits>; 12] = {
    use Slot::{Count, Flag, Seconds};
    [
        Setting { key: "ratings", min: 0.0, max: 1.0, slot: Flag(|limits| &mut limits.ratings), about: "asks google-new for ratings, prices and hours, which cost more" },
        Setting { key: "connect_seconds", min: 0.01, max: 60.0, slot: Seconds(|limits| &mut limits.connect_time), about: "for a connection to an upstream" },
        Setting { key: "response_seconds", min: 0.01, max: 60.0, slot: Seconds(|limits| &mut limits.response_time), about: "for the head of its response" },
        Setting { key: "total_seconds", min: 0.01, max: 120.0, slot: Seconds(|limits| &mut limits.total_time), about: "for a whole lookup, whoever is asked" },
        Setting { key: "body_bytes", min: 1_024.0, max: 67_108_864.0, slot: Count(|limits| &mut limits.body_bytes), about: "of a response, decompressed" },
        Setting { key: "lookups", min: 1.0, max: 100_000.0, slot: Count(|limits| &mut limits.lookups), about: "at once to one upstream; one more fails at once" },
        Setting { key: "calls_per_second", min: 1.0, max: 1e6, slot: Count(|limits| &mut limits.calls_per_second), about: "to one upstream" },
        Setting { key: "calls_per_day", min: 1.0, max: 1e9, slot: Count(|limits| &mut limits.calls_per_day), about: "to one upstream, days counted from the start" },
        Setting { key: "cache_seconds", min: 0.0, max: 86_400.0, slot: Seconds(|limits| &mut limits.cache_time), about: "an answer may be given again; 0 for never" },
        Setting { key: "cache_bytes", min: 1_024.0, max: 17_179_869_184.0, slot: Count(|limits| &mut limits.cache_bytes), about: "of answers kept" },
        Setting { key: "breaker_failures", min: 1.0, max: 1_000.0, slot: Count(|limits| &mut limits.breaker_failures), about: "in a row, and an upstream is left alone" },
        Setting { key: "breaker_seconds", min: 0.01, max: 3_600.0, slot: Seconds(|limits| &mut limits.breaker_time), about: "at first; twice as long each time, up to 32 times" },
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_own_bounds() {
        for setting in &SETTINGS[1..] {
            let text = setting.assignment(&mut UpstreamLimits::default());
            let (_, value) = text.split_once(" = ").unwrap();
            let value: f64 = value.parse().unwrap();
            assert!((setting.min..=setting.max).contains(&value), "{text}");
        }
    }

    #[test]
    fn a_base_url_is_a_scheme_and_a_host_and_no_query() {
        for url in [
            "https://maps.googleapis.com",
            "http://127.0.0.1:8080",
            "https://proxy.example/maps/",
            "http://[::1]:80",
        ] {
            assert!(is_base_url(url), "{url}");
        }
        for url in [
            "",
            "https://",
            "https:///x",
            "maps.googleapis.com",
            "ftp://x",
            "https://x?key=1",
            "https://a@b",
            "https://a b",
            "http://:80",
        ] {
            assert!(!is_base_url(url), "{url}");
        }
    }
}
