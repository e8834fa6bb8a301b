//! How many lines of code each of the compared servers consists of, by a file that says which: its own, and those that it
//! shares with others. The file also tells the defects that were found in each; they are handed on as they are.

mod models;
mod source;

pub use models::{Defect, Model, Models, ModelsError};
pub use source::{Language, Lines};
