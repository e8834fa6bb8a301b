//! What a command's exit code says: the one list of them.

use std::process::ExitCode;

use crate::interrupt::INTERRUPTED;

/// For those who type `--help`.
pub const CODES: &str = "\
Exit codes:
  0    good
  1    it failed: nothing was measured, or what was does not count
  2    wrong usage
  3    a gate or a target was missed
  130  interrupted, with what there was written down";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is good.
    Good,
    /// Nothing was measured, or what was does not count.
    Failed,
    /// The command line, or a plan, cannot be followed.
    Usage,
    /// A gate or a target was missed.
    Missed,
    /// A signal ended it early.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Missed => 3,
            Exit::Interrupted => INTERRUPTED,
        })
    }
}
