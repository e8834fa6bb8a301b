//! Repair: how two stores find out where they differ, and what each answers the other (PROTOCOL.md, "Repair").

mod answer;
mod round;

pub use self::{
    answer::answer,
    round::{Findings, Need, PUSH_BYTES_MAX, Part, Round},
};
