//! A setting is one key of the configuration, named once: its default, its bounds, its meaning and the field it lands in.
//! Tables are read, written, filled with defaults and documented from such rows, so that no key is known to one side only.

use std::{fmt::Write, path::PathBuf, time::Duration};

use toml::de::DeValue;

use super::{error::Fault, limits::QuotaSetting, quoted};
use crate::text::nearest;

/// What stands for no bound where a bound may be left out.
const OFF: &str = "off";

/// What stands for a number that the node finds by itself.
const AUTO: &str = "auto";

/// A struct that a TOML table fills.
pub(super) trait TomlTable: Default + 'static {
    /// `limits`
    const NAME: &'static str;
    /// `[limits]`
    const TITLE: &'static str;
    /// In the order in which they are written.
    const SETTINGS: &'static [Setting<Self>];
}

/// Declares a [`TomlTable`]: `FIELD: TYPE = KEY, KIND { DEFAULT AND BOUNDS }, WHAT THE EFFECTIVE CONFIGURATION SAYS OF IT`.
/// The comment above a row is the field's, and what docs/configuration.md says of the key. After `and` stand the fields that
/// are no settings.
macro_rules! table {
    (
        $(#[$attribute:meta])*
        pub struct $table:ident fills $name:literal {
            $(
                $(#[doc = $meaning:literal])+
                $field:ident: $type:ty = $key:literal, $kind:ident { $($given:tt)* } $(, $about:literal)?;
            )*
        }
        $(and { $($(#[$others:meta])* pub $other:ident: $other_type:ty,)* })?
    ) => {
        $(#[$attribute])*
        pub struct $table {
            $($(#[doc = $meaning])+ pub $field: $type,)*
            $($($(#[$others])* pub $other: $other_type,)*)?
        }

        impl Default for $table {
            fn default() -> Self {
                let mut table = Self {
                    $($field: Default::default(),)*
                    $($($other: Default::default(),)*)?
                };
                for setting in <Self as $crate::config::settings::TomlTable>::SETTINGS {
                    setting.reset(&mut table);
                }
                table
            }
        }

        impl $crate::config::settings::TomlTable for $table {
            const NAME: &'static str = $name;
            const TITLE: &'static str = concat!("[", $name, "]");
            const SETTINGS: &'static [$crate::config::settings::Setting<Self>] = &[$(
                $crate::config::settings::Setting {
                    key: $key,
                    content: $crate::config::settings::Content::$kind { field: |table| &mut table.$field, $($given)* },
                    about: concat!($($about)?),
                    meaning: concat!($($meaning),+),
                },
            )*];
        }
    };
}
pub(super) use table;

/// One key of a table that fills a `T`.
pub(super) struct Setting<T: 'static> {
    /// The TOML key, with its unit last.
    pub(super) key: &'static str,
    /// The field, and what may stand in it.
    pub(super) content: Content<T>,
    /// Stands behind it in the effective configuration.
    pub(super) about: &'static str,
    /// What docs/configuration.md says of it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes the document"))]
    pub(super) meaning: &'static str,
}

type FieldOf<T, V> = fn(&mut T) -> &mut V;

/// Where a value goes, what it is by default and what it must be, in the key's unit.
pub(super) enum Content<T: 'static> {
    /// `true` or `false`.
    Flag { field: FieldOf<T, bool>, default: bool },
    /// A whole number.
    Count { field: FieldOf<T, usize>, default: usize, min: u64, max: u64 },
    /// A whole number of bytes, or [`AUTO`] for what suits the machine; that is the default.
    BytesOrAuto { field: FieldOf<T, Option<usize>>, min: u64, max: u64 },
    /// A whole number, [`OFF`] for no quota, or [`AUTO`] for one beyond loopback only; that is the default.
    Quota { field: FieldOf<T, QuotaSetting>, min: u64, max: u64 },
    /// A number of seconds, with or without a fraction.
    Seconds { field: FieldOf<T, Duration>, default: f64, min: f64, max: f64 },
    /// The same, or [`OFF`] for no bound.
    SecondsOrOff { field: FieldOf<T, Option<Duration>>, default: f64, min: f64, max: f64 },
    /// A whole number of milliseconds.
    Milliseconds { field: FieldOf<T, Duration>, default: u64, min: u64, max: u64 },
    /// Text that is not empty; `wanted` says what it is, for whoever wrote something else.
    Text { field: FieldOf<T, String>, default: &'static str, wanted: &'static str },
    /// The same, without a default.
    OptionalText { field: FieldOf<T, Option<String>>, wanted: &'static str },
    /// One of a few words.
    Word { field: FieldOf<T, String>, default: &'static str, among: &'static [&'static str] },
    /// The same, without a default.
    OptionalWord { field: FieldOf<T, Option<String>>, among: &'static [&'static str] },
    /// Where a service is: a scheme and a host, perhaps a path.
    BaseUrl { field: FieldOf<T, String>, default: &'static str },
    /// A file, without a default.
    Path { field: FieldOf<T, Option<PathBuf>> },
}

impl<T> Setting<T> {
    /// Puts the default in its field.
    pub(super) fn reset(&self, into: &mut T) {
        match self.content {
            Content::Flag { field, default } => *field(into) = default,
            Content::Count { field, default, .. } => *field(into) = default,
            Content::Seconds { field, default, .. } => *field(into) = Duration::from_secs_f64(default),
            Content::SecondsOrOff { field, default, .. } => {
                *field(into) = Some(Duration::from_secs_f64(default));
            }
            Content::Milliseconds { field, default, .. } => *field(into) = Duration::from_millis(default),
            Content::Text { field, default, .. }
            | Content::Word { field, default, .. }
            | Content::BaseUrl { field, default } => {
                default.clone_into(field(into));
            }
            Content::BytesOrAuto { field, .. } => *field(into) = None,
            Content::Quota { field, .. } => *field(into) = QuotaSetting::Auto,
            Content::OptionalText { field, .. } | Content::OptionalWord { field, .. } => *field(into) = None,
            Content::Path { field } => *field(into) = None,
        }
    }

    /// Checks `value` and stores it in its field.
    pub(super) fn set(&self, into: &mut T, value: &DeValue<'_>) -> Result<(), Fault> {
        match self.content {
            Content::Flag { field, .. } => {
                *field(into) = value.as_bool().ok_or_else(|| self.wrong_type(value))?;
            }
            Content::Count { field, min, max, .. } => *field(into) = self.whole(value, min, max)?,
            Content::BytesOrAuto { field, min, max } => {
                let is_auto = value.as_str() == Some(AUTO);
                *field(into) = if is_auto { None } else { Some(self.whole(value, min, max)?) };
            }
            Content::Quota { field, min, max } => {
                *field(into) = match value.as_str() {
                    Some(AUTO) => QuotaSetting::Auto,
                    Some(OFF) => QuotaSetting::Off,
                    _ => QuotaSetting::Most(self.whole(value, min, max)?),
                };
            }
            Content::Seconds { field, min, max, .. } => *field(into) = self.seconds(value, min, max)?,
            Content::SecondsOrOff { field, min, max, .. } => {
                let is_off = value.as_str() == Some(OFF);
                *field(into) = if is_off { None } else { Some(self.seconds(value, min, max)?) };
            }
            Content::Milliseconds { field, min, max, .. } => {
                *field(into) = Duration::from_millis(self.whole(value, min, max)? as u64);
            }
            Content::Text { field, .. } => *field(into) = self.text(value)?,
            Content::Word { field, among, .. } => *field(into) = self.word(value, among)?,
            Content::OptionalWord { field, among } => *field(into) = Some(self.word(value, among)?),
            Content::OptionalText { field, .. } => *field(into) = Some(self.text(value)?),
            Content::BaseUrl { field, .. } => *field(into) = self.base_url(value)?,
            Content::Path { field } => *field(into) = Some(self.text(value)?.into()),
        }
        Ok(())
    }

    /// The value that [`Setting::set`] reads back to the same; none where there is none.
    pub(super) fn value(&self, from: &mut T) -> Option<String> {
        match self.content {
            Content::Flag { field, .. } => Some(field(from).to_string()),
            Content::Count { field, .. } => Some(field(from).to_string()),
            Content::BytesOrAuto { field, .. } => {
                Some(field(from).map_or_else(|| quoted(AUTO), |bytes| bytes.to_string()))
            }
            Content::Quota { field, .. } => Some(match *field(from) {
                QuotaSetting::Auto => quoted(AUTO),
                QuotaSetting::Off => quoted(OFF),
                QuotaSetting::Most(most) => most.to_string(),
            }),
            Content::Seconds { field, .. } => Some(seconds_text(*field(from))),
            Content::SecondsOrOff { field, .. } => {
                Some(field(from).map_or_else(|| quoted(OFF), seconds_text))
            }
            Content::Milliseconds { field, .. } => Some(field(from).as_millis().to_string()),
            Content::Text { field, .. } | Content::Word { field, .. } | Content::BaseUrl { field, .. } => {
                Some(quoted(field(from)))
            }
            Content::OptionalText { field, .. } | Content::OptionalWord { field, .. } => {
                field(from).as_deref().map(quoted)
            }
            Content::Path { field } => field(from).as_ref().map(|path| quoted(&path.to_string_lossy())),
        }
    }

    /// What may stand there, for messages.
    pub(super) fn wanted(&self) -> &'static str {
        match self.content {
            Content::Flag { .. } => "true or false",
            Content::Count { .. } | Content::Milliseconds { .. } => "a whole number",
            Content::BytesOrAuto { .. } => "a whole number of bytes, or \"auto\"",
            Content::Quota { .. } => "a whole number, \"off\" or \"auto\"",
            Content::Seconds { .. } => "a number of seconds",
            Content::SecondsOrOff { .. } => "a number of seconds, or \"off\"",
            Content::Text { wanted, .. } | Content::OptionalText { wanted, .. } => wanted,
            Content::Word { .. } | Content::OptionalWord { .. } => "a word in quotes",
            Content::BaseUrl { .. } => "\"https://HOST\"",
            Content::Path { .. } => "a path in quotes",
        }
    }

    fn wrong_type(&self, value: &DeValue<'_>) -> Fault {
        wrong_type(self.key, value, self.wanted())
    }

    fn whole(&self, value: &DeValue<'_>, min: u64, max: u64) -> Result<usize, Fault> {
        let number = integer(value).ok_or_else(|| self.wrong_type(value))?;
        let count = usize::try_from(number).ok().filter(|&count| (min..=max).contains(&(count as u64)));
        count.ok_or_else(|| self.out_of_range(number.to_string(), min as f64, max as f64))
    }

    fn seconds(&self, value: &DeValue<'_>, min: f64, max: f64) -> Result<Duration, Fault> {
        let float = || value.as_float().and_then(|float| float.as_str().parse::<f64>().ok());
        let number = integer(value).map(|whole| whole as f64).or_else(float);
        let number = number.ok_or_else(|| self.wrong_type(value))?;
        // Not-a-number is in no range.
        let in_range = (min..=max).contains(&number);
        let time = in_range.then(|| Duration::try_from_secs_f64(number).ok()).flatten();
        time.ok_or_else(|| self.out_of_range(number.to_string(), min, max))
    }

    fn out_of_range(&self, value: String, min: f64, max: f64) -> Fault {
        let or = match self.content {
            Content::SecondsOrOff { .. } => ", or \"off\"",
            Content::BytesOrAuto { .. } => ", or \"auto\"",
            Content::Quota { .. } => ", \"off\" or \"auto\"",
            _ => "",
        };
        Fault::OutOfRange { key: self.key, value, min, max, or }
    }

    fn text(&self, value: &DeValue<'_>) -> Result<String, Fault> {
        match value.as_str() {
            None => Err(self.wrong_type(value)),
            Some("") => Err(Fault::EmptyText { key: self.key, wanted: self.wanted() }),
            Some(text) => Ok(text.to_owned()),
        }
    }

    fn word(&self, value: &DeValue<'_>, among: &'static [&'static str]) -> Result<String, Fault> {
        let word = self.text(value)?;
        match among.contains(&&*word) {
            true => Ok(word),
            false => Err(Fault::NoSuchWord {
                key: self.key,
                nearest: nearest(&word, among.iter().copied()),
                word,
                among,
            }),
        }
    }

    fn base_url(&self, value: &DeValue<'_>) -> Result<String, Fault> {
        let url = self.text(value)?;
        if !is_base_url(&url) {
            return Err(Fault::BaseUrl { key: self.key, url });
        }
        Ok(url.trim_end_matches('/').to_owned())
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

/// Writes every setting that has a value, one a line, with what it means behind it.
pub(super) fn write<T: TomlTable>(mut from: T, out: &mut String) {
    let line = |setting: &Setting<T>| {
        Some((format!("{} = {}", setting.key, setting.value(&mut from)?), setting.about))
    };
    let lines: Vec<_> = T::SETTINGS.iter().filter_map(line).collect();
    let width = lines.iter().map(|(assignment, _)| assignment.len()).max().unwrap_or(0);
    for (assignment, about) in lines {
        // Writing to a string cannot fail.
        let _ = match about {
            "" => writeln!(out, "{assignment}"),
            about => writeln!(out, "{assignment:width$}  # {about}"),
        };
    }
}

/// The fault of a value that is not of the kind its key asks for.
pub(super) fn wrong_type(key: &str, value: &DeValue<'_>, wanted: &'static str) -> Fault {
    let found = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Fault::WrongType { key: key.to_owned(), found, wanted }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    // A number too long for 128 bits is out of every range; so is this one.
    Some(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX))
}

/// Exact: `0.05`, `60`.
fn seconds_text(time: Duration) -> String {
    let (seconds, fraction) = (time.as_secs(), format!("{:09}", time.subsec_nanos()));
    match fraction.trim_end_matches('0') {
        "" => seconds.to_string(),
        fraction => format!("{seconds}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Herd;

    #[test]
    fn bounds_of_what_clients_report_are_named_where_they_are_missed() {
        let text = "[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:1\"\n[limits]\n";
        let limits = |line: &str| Herd::parse(&format!("{text}{line}\n"), "h.toml").map(|herd| herd.limits);
        for (line, fault) in [
            ("client_bytes = 0", "`client_bytes` = 0 is out of range; give 1 to 32768"),
            ("client_bytes = 32769", "`client_bytes` = 32769 is out of range; give 1 to 32768"),
            ("max_bytes = \"1G\"", "`max_bytes` is a string; write a whole number of bytes, or \"auto\""),
            ("max_bytes = -1", "`max_bytes` = -1 is out of range; give 0 to 17592186044416, or \"auto\""),
        ] {
            assert_eq!(limits(line).unwrap_err().to_string(), format!("h.toml:7: {fault}"));
        }
        assert_eq!(limits("max_bytes = 0").unwrap().max_bytes, Some(0));
        assert_eq!(limits("max_bytes = \"auto\"").unwrap().max_bytes, None);
        assert_eq!(limits("client_bytes = 32768").unwrap().client_bytes, 32_768);
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
