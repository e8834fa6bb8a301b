//! How many lines of code each of the compared servers consists of, by a file that lists them: its own, and those that
//! it shares with others. The file also lists the defects that were found in each; they are passed on unchanged.

mod models;
mod source;

pub use models::{Defect, Model, Models, ModelsError};
pub use source::{Language, Lines};
