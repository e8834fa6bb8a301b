//! What is wrong with a text, collected while it is read and checked, so that all of it is told at once.

use std::cell::RefCell;

use super::error::{At, ConfigError, Fault};

/// The most faults that are told, one a line.
pub(super) const FAULTS_MAX: usize = 100;

/// Stands in for a value that a fault kept from being read. Only [`Faults::note`] makes one, so every value that is missing has
/// its fault on the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Noted(());

/// A value, unless a fault kept it from being read.
pub(super) type Found<T> = Result<T, Noted>;

/// The faults noted so far.
#[derive(Default)]
pub(super) struct Faults(RefCell<Collected>);

#[derive(Default)]
struct Collected {
    /// Those of the first lines.
    first: Vec<At<Fault>>,
    /// How many later ones were dropped.
    dropped: usize,
}

impl Faults {
    pub(super) fn note(&self, line: usize, fault: Fault) -> Noted {
        let mut collected = self.0.borrow_mut();
        collected.first.push(At { line, value: fault });
        // A file may have a fault on each of a million lines.
        if collected.first.len() > 2 * FAULTS_MAX {
            collected.cut();
        }
        Noted(())
    }

    /// The herd, unless there was a fault.
    pub(super) fn conclude<T>(self, found: Found<T>, file: &str) -> Result<T, ConfigError> {
        let mut collected = self.0.into_inner();
        match found {
            Ok(found) if collected.first.is_empty() => Ok(found),
            _ => {
                collected.cut();
                let Collected { first: faults, dropped } = collected;
                Err(ConfigError::Invalid { file: file.to_owned(), faults, dropped })
            }
        }
    }
}

impl Collected {
    /// Keeps the first in the order of the file; of one line, in the order in which they were noted.
    fn cut(&mut self) {
        self.first.sort_by_key(|fault| fault.line);
        self.dropped += self.first.len().saturating_sub(FAULTS_MAX);
        self.first.truncate(FAULTS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_faults_of_the_file_are_kept_in_its_order_and_the_others_counted() {
        let faults = Faults::default();
        for line in (1..=1_000).rev() {
            faults.note(line, Fault::NoNodes);
        }
        let last = faults.note(1, Fault::NoSecretFile);
        let error = faults.conclude(Err::<(), _>(last), "h.toml").unwrap_err();
        let ConfigError::Invalid { faults, dropped, .. } = &error else { panic!("{error}") };
        assert_eq!((faults.len(), *dropped), (FAULTS_MAX, 901));
        assert_eq!(faults[0], At { line: 1, value: Fault::NoNodes });
        assert_eq!(faults[1], At { line: 1, value: Fault::NoSecretFile });
        assert!(faults.is_sorted_by_key(|fault| fault.line));
        let lines = error.lines();
        assert_eq!(lines.len(), FAULTS_MAX + 1);
        assert_eq!(lines[FAULTS_MAX], "h.toml: … and 901 more");
    }
}
