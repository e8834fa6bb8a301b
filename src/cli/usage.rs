//! What clap says of wrong arguments, as one line: what is wrong, and which help to read.

use std::ffi::OsString;

/// The first paragraphs of clap's message, up to its usage, on one line; `words` are the arguments that were wrong. Control
/// characters in them are not escaped yet.
pub fn wrong_usage(
    error: &clap::Error,
    command: &clap::Command,
    words: impl IntoIterator<Item = OsString>,
) -> String {
    let message = error.to_string();
    let said = message.rsplit_once("\n\nUsage:").map_or(message.as_str(), |(said, _)| said);
    let said = said.split("\n\nFor more information").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let paragraphs = said.split("\n\n").map(|paragraph| {
        let paragraph: Vec<_> = paragraph.split_whitespace().collect();
        paragraph.join(" ").trim_start_matches("tip: ").to_owned()
    });
    let help = format!("try {} --help", meant(command, words));
    paragraphs.chain([help]).collect::<Vec<_>>().join("; ")
}

/// The command that these words were meant for: `herd places near`.
fn meant(mut command: &clap::Command, words: impl IntoIterator<Item = OsString>) -> String {
    let mut names = vec![command.get_name()];
    for word in words {
        if let Some(subcommand) = command.find_subcommand(&word) {
            command = subcommand;
            names.push(command.get_name());
        }
    }
    names.join(" ")
}
