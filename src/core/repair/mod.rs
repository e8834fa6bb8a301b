//! Repair: how two stores find out where they differ, and what each answers the other (PROTOCOL.md, "Repair").

mod round;

pub use self::round::{Findings, Need, Part, Round};
