//! Where answers to WHATSAT come from, and how an upstream is kept from costing more than it may.

use std::{fmt::Write, path::PathBuf, time::Duration};

use super::{
    quoted,
    settings::{self, table},
};

table! {
    /// The table `[places]`. From [`Herd::load`](super::Herd::load) its paths are whole; nothing is read here.
    #[derive(Clone, PartialEq, Debug)]
    pub struct PlacesConfig fills "places" {
        /// Google's key, in a file with nothing else, which only its owner may open. The environment variable
        /// `HERD_PLACES_KEY` takes precedence.
        key_file: Option<PathBuf> = "key_file", Path {};
        /// The authorities that may vouch for an upstream, in PEM, instead of Mozilla's list, which is built in.
        ca_file: Option<PathBuf> = "ca_file", Path {};
        /// For source `"file"`: what `herd places import` has made.
        file: Option<PathBuf> = "file", Path {};
        /// For source `"tweets"`: a JSON document of at most 64 MiB.
        tweets_file: Option<PathBuf> = "tweets_file", Path {};
        /// The array of that document that holds the tweets.
        array: String = "array", Text { default: "results", wanted: "a key in quotes, such as \"statuses\"" };
        /// Where the legacy Nearby Search is, for source `"google"`. Plain `http://` sends the key in the clear.
        base_url: String = "base_url", BaseUrl { default: "https://maps.googleapis.com" };
        /// Where the new Nearby Search is, for source `"google-new"`.
        new_base_url: String = "new_base_url", BaseUrl { default: "https://places.googleapis.com" };
        /// The language in which Google is to answer. Without it, Google chooses.
        language: Option<String> = "language", OptionalText { wanted: "a language's code, such as \"en\"" };
        /// The type of places that Google is to look for. Without it, all types.
        kind: Option<String> = "type", OptionalText { wanted: "a type of places, such as \"restaurant\"" };
    } and {
        /// Who is asked.
        pub source: PlacesSource,
        /// Who is asked, in this order, where those before have failed.
        pub then: Vec<PlacesSource>,
        /// How upstreams are asked.
        pub upstream: UpstreamLimits,
    }
}

table! {
    /// How upstreams are asked: the numbers of the table `[places]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct UpstreamLimits fills "places" {
        /// Whether `"google-new"` asks for ratings, prices and hours too, for which Google bills more.
        ratings: bool = "ratings", Flag { default: false }, "asks google-new for ratings, prices and hours, which cost more";
        /// The time to connect to an upstream.
        connect_time: Duration = "connect_seconds", Seconds { default: 2.0, min: 0.01, max: 60.0 }, "for a connection to an upstream";
        /// The time from a request to the head of its response.
        response_time: Duration = "response_seconds", Seconds { default: 5.0, min: 0.01, max: 60.0 }, "for the head of its response";
        /// The time for a whole lookup, with all of its calls and waits, whoever is asked.
        total_time: Duration = "total_seconds", Seconds { default: 6.0, min: 0.01, max: 120.0 }, "for a whole lookup, whoever is asked";
        /// The body of a response, decompressed.
        body_bytes: usize = "body_bytes", Count { default: 2_097_152, min: 1_024, max: 67_108_864 }, "of a response, decompressed";
        /// Lookups that may be under way with one upstream, those that wait for another's call too. One more fails at once.
        lookups: usize = "lookups", Count { default: 1_024, min: 1, max: 100_000 }, "at once to one upstream; one more fails at once";
        /// Calls a second from one node to one upstream. A second's worth may come at once.
        calls_per_second: usize = "calls_per_second", Count { default: 100, min: 1, max: 1_000_000 }, "to one upstream";
        /// Calls a day from one node to one upstream. Days are counted from the node's start.
        calls_per_day: usize = "calls_per_day", Count { default: 10_000, min: 1, max: 1_000_000_000 }, "to one upstream, days counted from the start";
        /// How long a cached answer may be reused; 0 turns the cache off.
        cache_time: Duration = "cache_seconds", Seconds { default: 0.0, min: 0.0, max: 86_400.0 }, "an answer may be given again; 0 for never";
        /// What the answers kept may take. The oldest go first.
        cache_bytes: usize = "cache_bytes", Count { default: 67_108_864, min: 1_024, max: 17_179_869_184 }, "of answers kept";
        /// After so many failures in a row, an upstream is left alone. A refused key is enough by itself.
        breaker_failures: usize = "breaker_failures", Count { default: 5, min: 1, max: 1_000 }, "in a row, and an upstream is left alone";
        /// How long it is left alone at first. Each time it fails again it is twice as long, up to 32 times.
        breaker_time: Duration = "breaker_seconds", Seconds { default: 5.0, min: 0.01, max: 3_600.0 }, "at first; twice as long each time, up to 32 times";
    }
}

/// One source of places.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlacesSource {
    /// The open data built into the program.
    #[default]
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
        settings::write(self.clone(), &mut out);
        settings::write(self.upstream.clone(), &mut out);
        out
    }
}
