//! What `--help` shows: the examples below it as they stand, and no flag that the subcommand ignores.

use clap::{Arg, Command};

/// As clap has it, without what stands below.
const TEMPLATE: &str = "{before-help}{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}\n\n";

/// Keeps the lines of what stands below a command's help, and below that of its subcommands, however narrow the terminal is.
/// clap would wrap a long example, which then could not be copied.
pub fn with_whole_notes(command: Command) -> Command {
    let notes = command.get_after_help().map(ToString::to_string);
    let command = match notes {
        Some(notes) => command.help_template(format!("{TEMPLATE}{notes}")),
        None => command,
    };
    command.mut_subcommands(with_whole_notes)
}

/// Hides the flags of every subcommand in the help of those that ignore them. They are taken there all the same.
pub(super) fn without_ignored_flags(command: Command) -> Command {
    let common: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    command.mut_subcommands(|subcommand| hide_ignored(subcommand, &common))
}

/// The flags of every subcommand that each heeds.
fn heeded(subcommand: &str) -> &'static [&'static str] {
    match subcommand {
        "up" | "node" => &["config", "log_dir", "data_dir", "base_port"],
        "send" | "forget" | "status" | "check-config" => &["config", "base_port"],
        "places" | "near" | "token" | "add" | "list" | "revoke" | "rotate" => &["config"],
        _ => &[],
    }
}

fn hide_ignored(command: Command, common: &[Arg]) -> Command {
    let heeded = heeded(command.get_name());
    let ignored = common.iter().filter(|arg| !heeded.contains(&arg.get_id().as_str()));
    let hidden: Vec<_> = ignored.map(|arg| arg.clone().hide(true)).collect();
    command.args(hidden).mut_subcommands(|subcommand| hide_ignored(subcommand, common))
}

#[cfg(test)]
mod tests {
    use crate::cli::arguments;

    /// The help of each command, with its name.
    fn helps(command: clap::Command) -> Vec<(String, String, Option<String>)> {
        let mut open = vec![command.term_width(40)];
        let mut helps = Vec::new();
        while let Some(mut command) = open.pop() {
            command.build();
            open.extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
            let help = command.render_long_help().to_string();
            helps.push((
                command.get_name().to_owned(),
                help,
                command.get_after_help().map(ToString::to_string),
            ));
        }
        helps
    }

    #[test]
    fn help_lists_the_flags_that_a_subcommand_heeds() {
        for (name, help, _) in helps(arguments("0.1.0")) {
            let shown = ["--config", "--base-port", "--log-dir"]
                .map(|flag| help.contains(&format!("      {flag} <")));
            let wanted = match name.as_str() {
                "herd" | "up" | "node" => [true, true, true],
                "send" | "forget" | "status" | "check-config" => [true, true, false],
                "places" | "near" | "token" | "add" | "list" | "revoke" | "rotate" => [true, false, false],
                "secret" | "cert" | "import" | "completions" | "man" | "journal" | "check" | "dismiss" => {
                    [false, false, false]
                }
                other => panic!("{other}"),
            };
            assert_eq!(shown, wanted, "{name}: {help}");
        }
    }

    #[test]
    fn notes_below_a_help_keep_their_lines_on_the_narrowest_terminal() {
        for (name, help, notes) in helps(arguments("0.1.0")) {
            let Some(notes) = notes else { continue };
            assert!(help.trim_end().ends_with(notes.trim_end()), "{name}: {help}");
        }
    }

    #[test]
    fn notes_fit_on_a_terminal_of_100_columns() {
        for (name, _, notes) in helps(arguments("0.1.0")) {
            let long: Vec<_> =
                notes.iter().flat_map(|notes| notes.lines()).filter(|line| line.len() > 100).collect();
            assert!(long.is_empty(), "{name}: {long:?}");
        }
    }
}
