//! What a node's log says about a run. A run with the log on counts only if the log holds everything.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::Path,
};

use memchr::memmem;

/// The event a node writes when its log could not keep up.
const DROPPED: &[u8] = b"traffic lines dropped";
/// What every report's line contains.
const REPORT: &[u8] = b"IAMAT ";
/// What every lookup's line contains.
const LOOKUP: &[u8] = b"WHATSAT ";
/// A node keeps this many files; with fewer, none has been rotated away.
const FILES_KEPT: usize = 4;

/// What was found in the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    files: usize,
    requests: u64,
    dropped: bool,
}

impl Findings {
    /// Reads every file in the log's directory.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let mut findings = Self::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                findings.files += 1;
                findings.read_file(BufReader::with_capacity(1 << 20, File::open(entry.path())?))?;
            }
        }
        Ok(findings)
    }

    fn read_file(&mut self, mut file: impl BufRead) -> io::Result<()> {
        let [dropped, report, lookup] = [DROPPED, REPORT, LOOKUP].map(memmem::Finder::new);
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 {
            if report.find(&line).is_some() || lookup.find(&line).is_some() {
                self.requests += 1;
            } else if dropped.find(&line).is_some() {
                self.dropped = true;
            }
            line.clear();
        }
        Ok(())
    }

    /// Why a run of `sent` requests does not count, if it does not. If old files were rotated away, the remaining ones
    /// cannot show that everything was there, and then only the node's own word counts.
    pub(crate) fn objection(&self, sent: u64) -> Option<String> {
        if self.dropped {
            return Some("the node's log dropped traffic lines".to_owned());
        }
        let short = self.requests < sent && self.files < FILES_KEPT;
        short.then(|| format!("the node's log holds {} of {sent} requests", self.requests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(log: &str) -> Findings {
        let mut findings = Findings { files: 1, ..Findings::default() };
        findings.read_file(log.as_bytes()).unwrap();
        findings
    }

    #[test]
    fn a_whole_log_is_not_objected_to() {
        let whole = findings(
            "start\n7 > IAMAT kiwi0 +1+1 5\n7 < AT Solo +0.1 kiwi0 +1+1 5\n7 > WHATSAT kiwi0 10 5\n7 < AT Solo\n",
        );
        assert_eq!(whole.objection(2), None);
        assert!(whole.objection(3).is_some());
    }

    #[test]
    fn dropped_lines_are_objected_to() {
        let dropped = findings("7 > IAMAT kiwi0 +1+1 5\n12 traffic lines dropped\n");
        assert!(dropped.objection(1).unwrap().contains("dropped"));
    }

    #[test]
    fn missing_lines_are_objected_to_unless_files_were_rotated_away() {
        let short = findings("7 > IAMAT kiwi0 +1+1 5\n");
        assert!(short.objection(2).unwrap().contains("1 of 2"));
        assert_eq!(Findings { files: 5, ..short }.objection(2), None);
    }
}
