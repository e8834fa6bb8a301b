//! A setting is one key of `[limits]` or `[log]`: its bounds, its meaning and the field it lands in.
//! Both tables are read and written from such lists, so that no key can be known to one side only.

use std::{fmt::Write, time::Duration};

use toml::de::DeValue;

use super::error::Fault;

/// What stands for no bound where a bound may be left out.
const OFF: &str = "off";

/// One key of a table that fills a `T`.
pub(super) struct Setting<T: 'static> {
    /// The TOML key, with its unit last.
    pub(super) key: &'static str,
    /// The least it may be, in the key's unit.
    pub(super) min: f64,
    /// The most it may be, in the key's unit.
    pub(super) max: f64,
    /// The field.
    pub(super) slot: Slot<T>,
    /// What it bounds; stands behind it in the effective configuration.
    pub(super) about: &'static str,
}

/// Where a value goes, and so what it must look like.
pub(super) enum Slot<T: 'static> {
    /// `true` or `false`.
    Flag(fn(&mut T) -> &mut bool),
    /// A whole number.
    Count(fn(&mut T) -> &mut usize),
    /// A number of seconds, with or without a fraction.
    Seconds(fn(&mut T) -> &mut Duration),
    /// The same, or [`OFF`] for no bound.
    OptionalSeconds(fn(&mut T) -> &mut Option<Duration>),
    /// A whole number of milliseconds.
    Milliseconds(fn(&mut T) -> &mut Duration),
}

impl<T> Setting<T> {
    /// Checks `value` and stores it in its field.
    pub(super) fn set(&self, into: &mut T, value: &DeValue<'_>) -> Result<(), Fault> {
        match self.slot {
            Slot::Flag(field) => {
                let wrong = || wrong_type(self.key, value, "true or false");
                *field(into) = value.as_bool().ok_or_else(wrong)?;
            }
            Slot::Count(field) => *field(into) = self.whole(value)?,
            Slot::Seconds(field) => *field(into) = self.seconds(value)?,
            Slot::OptionalSeconds(field) => *field(into) = self.optional_seconds(value)?,
            Slot::Milliseconds(field) => *field(into) = Duration::from_millis(self.whole(value)? as u64),
        }
        Ok(())
    }

    /// The `KEY = VALUE` that [`Setting::set`] reads back to the same.
    pub(super) fn assignment(&self, from: &mut T) -> String {
        let key = self.key;
        match self.slot {
            Slot::Flag(field) => format!("{key} = {}", field(from)),
            Slot::Count(field) => format!("{key} = {}", field(from)),
            Slot::Seconds(field) => format!("{key} = {}", seconds_text(*field(from))),
            Slot::OptionalSeconds(field) => match *field(from) {
                Some(time) => format!("{key} = {}", seconds_text(time)),
                None => format!("{key} = \"{OFF}\""),
            },
            Slot::Milliseconds(field) => format!("{key} = {}", field(from).as_millis()),
        }
    }

    fn whole(&self, value: &DeValue<'_>) -> Result<usize, Fault> {
        let number = integer(value).ok_or_else(|| wrong_type(self.key, value, "a whole number"))?;
        let in_range = (self.min..=self.max).contains(&(number as f64));
        let count = usize::try_from(number).ok().filter(|_| in_range);
        count.ok_or_else(|| self.out_of_range(number.to_string()))
    }

    fn optional_seconds(&self, value: &DeValue<'_>) -> Result<Option<Duration>, Fault> {
        if value.as_str() == Some(OFF) { Ok(None) } else { self.seconds(value).map(Some) }
    }

    fn seconds(&self, value: &DeValue<'_>) -> Result<Duration, Fault> {
        let float = || value.as_float().and_then(|float| float.as_str().parse::<f64>().ok());
        let number = integer(value).map(|whole| whole as f64).or_else(float);
        let wanted = match self.slot {
            Slot::OptionalSeconds(_) => "a number of seconds, or \"off\"",
            _ => "a number of seconds",
        };
        let number = number.ok_or_else(|| wrong_type(self.key, value, wanted))?;
        // Not-a-number is in no range.
        let in_range = (self.min..=self.max).contains(&number);
        let time = in_range.then(|| Duration::try_from_secs_f64(number).ok()).flatten();
        time.ok_or_else(|| self.out_of_range(number.to_string()))
    }

    fn out_of_range(&self, value: String) -> Fault {
        let or = if let Slot::OptionalSeconds(_) = self.slot { ", or \"off\"" } else { "" };
        Fault::OutOfRange { key: self.key, value, min: self.min, max: self.max, or }
    }
}

/// Writes every setting, one a line, with what it means behind it.
pub(super) fn write<T>(settings: &[Setting<T>], mut from: T, out: &mut String) {
    let lines: Vec<_> =
        settings.iter().map(|setting| (setting.assignment(&mut from), setting.about)).collect();
    let width = lines.iter().map(|(assignment, _)| assignment.len()).max().unwrap_or(0);
    for (assignment, about) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{assignment:width$}  # {about}");
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
