//! `herd token`: gives clients, viewers, monitors and operators their tokens, and takes them away. Nodes notice by themselves.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueHint;

use super::{CommandError, Common, complain, print, printable};
use crate::{
    core::{
        access::{Pattern, Patterns, Token, TokenEntry, TokenList, TokenRole},
        model::Timestamp,
    },
    keys::{TokenOut, TokensError, change_tokens, load_tokens},
    system::{clock, random},
};

const EXAMPLES: &str = "\
Examples:
  herd token add kiwi --report kiwi.cs.ucla.edu --see 'bus-*' --to kiwi.token
  herd token add ops --role operator --to ops.token
  herd token add prometheus --role monitor --expires 90d --to prometheus.token
  herd token list
  herd token rotate ops --to ops.token
  herd token revoke kiwi

A pattern is a client's id, or the beginning of ids and *; * alone is everybody. In it \\xNN is
a byte and \\\\ a backslash, as in a node's log. The token is printed once, or written to a file
for its owner only: the file of tokens has its hash. Nodes take that file anew when it changes.
Show a token with --token-file of herd send, forget and status, over TLS where others can read.";

/// What `herd token` does.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenCommand {
    /// Add a token and print it.
    #[command(after_help = EXAMPLES)]
    Add(AddArgs),
    /// Print whose tokens there are, for what and until when.
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// Take a token away.
    #[command(after_help = EXAMPLES)]
    Revoke(RevokeArgs),
    /// Replace a token by another that may do the same, and print that.
    #[command(after_help = EXAMPLES)]
    Rotate(RotateArgs),
}

/// Where the tokens are.
#[derive(Debug, clap::Args)]
struct TokensFlag {
    /// The file of tokens; without it, `tokens_file` in [access] of the configuration.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tokens_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// Whose it is: 1 to 64 visible ASCII characters.
    name: String,
    /// Report for the clients of this pattern; may be repeated.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    report: Vec<Pattern>,
    /// See the clients of this pattern; may be repeated.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    see: Vec<Pattern>,
    /// What it is for: client reports and asks, viewer asks, monitor reads status and metrics, operator does all of it and
    /// forgets clients. An operator without --report and --see has `*` for both.
    #[arg(long, value_name = "ROLE", default_value = "client", value_parser = role)]
    role: TokenRole,
    /// Has the patterns of this [[group]] of the file, too; may be repeated.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// For how long it is valid: 90d, 12h or 30m; for ever without it.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<u64>,
    /// Write the token to this file, for its owner only, instead of printing it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    to: Option<PathBuf>,
    #[command(flatten)]
    tokens: TokensFlag,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    tokens: TokensFlag,
}

#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// Whose.
    name: String,
    #[command(flatten)]
    tokens: TokensFlag,
}

#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    /// Whose.
    name: String,
    /// Write the token to this file, for its owner only, instead of printing it. It may hold the token of before.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    to: Option<PathBuf>,
    #[command(flatten)]
    tokens: TokensFlag,
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|fault| format!("it {fault}"))
}

fn role(text: &str) -> Result<TokenRole, String> {
    let known = TokenRole::ALL.into_iter().find(|role| role.name() == text);
    known.ok_or_else(|| "it is none of client, viewer, monitor and operator".to_owned())
}

/// No token is given for longer, in seconds: a hundred years.
const LIFETIME_MAX: u64 = 36_500 * 86_400;

/// In seconds.
fn lifetime(text: &str) -> Result<u64, String> {
    let units = [('d', 86_400), ('h', 3_600), ('m', 60)];
    let stated = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let found = stated.and_then(|(count, seconds)| count.parse::<u64>().ok()?.checked_mul(seconds));
    found
        .filter(|seconds| (1..=LIFETIME_MAX).contains(seconds))
        .ok_or_else(|| "it is not a time such as 90d, 12h or 30m, of at most 36500d".to_owned())
}

pub(super) fn run(command: &TokenCommand, common: &Common) -> Result<(), CommandError> {
    match command {
        TokenCommand::Add(args) => {
            let file = tokens_file(&args.tokens, common)?;
            give((&file, true), args.to.as_deref(), &args.name, |list, token| {
                list.tokens.push(entry(args, token, clock::wall()));
                Ok(())
            })
        }
        TokenCommand::Rotate(args) => {
            let file = tokens_file(&args.tokens, common)?;
            give((&file, false), args.to.as_deref(), &args.name, |list, token| {
                named(list, &args.name, &file)?.hash = token.hash();
                Ok(())
            })
        }
        TokenCommand::Revoke(args) => {
            let file = tokens_file(&args.tokens, common)?;
            change(&file, false, |list| {
                named(list, &args.name, &file)?;
                list.tokens.retain(|token| token.name != args.name);
                Ok(())
            })?;
            told(&file, &args.name, "is revoked")
        }
        TokenCommand::List(args) => {
            let list = load_tokens(&tokens_file(&args.tokens, common)?)?;
            print(listing(&list, clock::wall()).as_bytes())
        }
    }
}

fn tokens_file(flag: &TokensFlag, common: &Common) -> Result<PathBuf, CommandError> {
    if let Some(file) = &flag.tokens_file {
        return Ok(file.clone());
    }
    let herd = common.herd()?;
    herd.access.tokens_file.ok_or_else(|| {
        let name = herd.name;
        CommandError::Usage(format!(
            "{name} has no file of tokens; name one as tokens_file in [access], or with --tokens-file"
        ))
    })
}

fn entry(args: &AddArgs, token: &Token, now: Timestamp) -> TokenEntry {
    let AddArgs { name, report, see, role, group, expires, .. } = args;
    let names_nobody = report.is_empty() && see.is_empty() && group.is_empty();
    let is_for_all = *role == TokenRole::Operator && names_nobody;
    let patterns = |given: &Vec<Pattern>| match is_for_all {
        true => Patterns::all(),
        false => Patterns::new(given.clone()),
    };
    TokenEntry {
        name: name.clone(),
        hash: token.hash(),
        role: *role,
        may_report: patterns(report),
        may_see: patterns(see),
        groups: group.clone(),
        expires: expires.map(|seconds| Timestamp::new(now.seconds() + seconds, 0)),
    }
}

/// Changes the file by a new token, and gives that to whoever asked for it: only there it stands as a whole.
fn give(
    (file, is_made): (&Path, bool),
    to: Option<&Path>,
    name: &str,
    step: impl FnOnce(&mut TokenList, &Token) -> Result<(), TokensError>,
) -> Result<(), CommandError> {
    let token = random::bytes().map(Token::of_bytes).map_err(|error| {
        CommandError::Failed(format!("the system has no random numbers: {error}; try again or elsewhere"))
    })?;
    // Before the token is in force, so that none is that nobody has.
    let out = to.map(|to| TokenOut::begin(to, !is_made)).transpose()?;
    change(file, is_made, |list| step(list, &token))?;
    match out {
        Some(out) => out.put(&token)?,
        None => {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", token.text())?;
            out.flush()?;
        }
    }
    told(file, name, "has a new token; whoever has lost it gets another with herd token rotate")
}

fn change(
    file: &Path,
    is_made: bool,
    step: impl FnOnce(&mut TokenList) -> Result<(), TokensError>,
) -> Result<(), CommandError> {
    change_tokens(file, is_made, step).map_err(|error| match error {
        TokensError::Unwritable { .. } => CommandError::Failed(error.to_string()),
        _ => error.into(),
    })
}

fn named<'l>(list: &'l mut TokenList, name: &str, file: &Path) -> Result<&'l mut TokenEntry, TokensError> {
    let file = file.display().to_string();
    let found = list.tokens.iter_mut().find(|token| token.name == name);
    found.ok_or_else(|| TokensError::NoSuchToken { file, name: name.to_owned() })
}

/// Beside the token itself, which programs read from standard output.
fn told(file: &Path, name: &str, what: &str) -> Result<(), CommandError> {
    complain(&format!("{}: {name} {what}", printable::one_line(&file.display().to_string())));
    Ok(())
}

/// A row for each token, in the file's order.
fn listing(list: &TokenList, now: Timestamp) -> String {
    let patterns = |patterns: &Patterns| match patterns.are_none() {
        true => "-".to_owned(),
        false => patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(" "),
    };
    let head = ["NAME", "ROLE", "REPORTS", "SEES", "GROUPS", "EXPIRES"].map(str::to_owned);
    let rows = list.tokens.iter().map(|token| {
        let expires = match token.expires {
            None => "never".to_owned(),
            Some(at) if at <= now => format!("{} (expired)", clock::utc_text(at)),
            Some(at) => clock::utc_text(at),
        };
        let groups = if token.groups.is_empty() { "-".to_owned() } else { token.groups.join(" ") };
        let (reports, sees) = (patterns(&token.may_report), patterns(&token.may_see));
        [token.name.clone(), token.role.to_string(), reports, sees, groups, expires]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::HerdCommand, *};
    use crate::keys::load_token;

    fn herd_token(words: &[&str], file: &Path) -> Result<(), String> {
        let file = file.display().to_string();
        let words = ["herd", "token"].iter().chain(words).copied().chain(["--tokens-file", &file]);
        let args = super::super::Args::try_parse_from(words).map_err(|error| error.to_string())?;
        let HerdCommand::Token(command) = args.command else { panic!() };
        run(&command, &args.common).map_err(|failure| failure.to_string())
    }

    #[test]
    fn tokens_are_added_rotated_and_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let [file, kiwi, ops] =
            ["herd.tokens", "kiwi.token", "ops.token"].map(|name| folder.path().join(name));
        let [kiwi_text, ops_text] = [&kiwi, &ops].map(|path| path.display().to_string());
        let add = ["add", "kiwi", "--report", "a", "--report", "b*", "--see", "c", "--expires", "2d"];
        assert!(herd_token(&["rotate", "kiwi"], &file).unwrap_err().contains("herd token add"));
        herd_token(&[&add[..], &["--to", &kiwi_text]].concat(), &file).unwrap();
        herd_token(&["add", "ops", "--role", "operator", "--to", &ops_text], &file).unwrap();
        let list = load_tokens(&file).unwrap();
        let [first, second] = &list.tokens[..] else { panic!("{list:?}") };
        assert_eq!((first.role, second.role), (TokenRole::Client, TokenRole::Operator));
        assert_eq!(first.hash, load_token(&kiwi).unwrap().hash());
        assert!(second.may_report.are_all() && second.may_see.are_all() && second.expires.is_none());
        let left = first.expires.unwrap().seconds() - clock::wall().seconds();
        assert!((2 * 86_400 - 60..=2 * 86_400).contains(&left), "{left}");
        assert!(herd_token(&add, &file).unwrap_err().contains("two tokens are called kiwi"));

        let before = load_token(&ops).unwrap();
        herd_token(&["rotate", "ops", "--to", &ops_text], &file).unwrap();
        assert_ne!(load_token(&ops).unwrap(), before);
        assert_eq!(load_tokens(&file).unwrap().tokens[1].hash, load_token(&ops).unwrap().hash());
        herd_token(&["revoke", "kiwi"], &file).unwrap();
        assert_eq!(load_tokens(&file).unwrap().tokens.len(), 1);
        assert!(herd_token(&["revoke", "kiwi"], &file).unwrap_err().contains("no token called kiwi"));
    }

    #[test]
    fn refused_token_is_neither_in_force_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let [file, to] = ["herd.tokens", "there"].map(|name| folder.path().join(name));
        std::fs::write(&to, "mine").unwrap();
        let to_text = to.display().to_string();
        assert!(
            herd_token(&["add", "kiwi", "--to", &to_text], &file).unwrap_err().contains("is there already")
        );
        assert!(!file.exists());
        let new = folder.path().join("new").display().to_string();
        assert!(
            herd_token(&["add", "a b", "--to", &new], &file).unwrap_err().contains("cannot name a token")
        );
        assert!(!file.exists() && !Path::new(&new).exists());
        for (wrong, word) in [
            (&["--role", "king"][..], "none of client"),
            (&["--see", "a b"], "white space"),
            (&["--expires", "90"], "such as 90d"),
            (&["--expires", "0d"], "such as 90d"),
            (&["--expires", "36501d"], "such as 90d"),
        ] {
            let refused = herd_token(&[&["add", "kiwi"][..], wrong].concat(), &file).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }

    #[test]
    fn list_says_who_may_do_what_and_until_when_and_no_hash() {
        let token = Token::of_bytes([1; Token::RANDOM_BYTES]);
        let patterns = |text| Patterns::new(vec![Pattern::parse(text).unwrap()]);
        let list = TokenList {
            groups: Vec::new(),
            tokens: vec![TokenEntry {
                name: "kiwi".to_owned(),
                hash: token.hash(),
                role: TokenRole::Client,
                may_report: patterns("kiwi.*"),
                may_see: Patterns::all(),
                groups: Vec::new(),
                expires: Some(Timestamp::new(1_800_000_000, 0)),
            }],
        };
        let text = listing(&list, Timestamp::new(1_800_000_000, 0));
        assert_eq!(
            text,
            "NAME  ROLE    REPORTS  SEES  GROUPS  EXPIRES\n\
             kiwi  client  kiwi.*   *     -       2027-01-15T08:00:00.000000Z (expired)\n"
        );
        assert!(!listing(&list, Timestamp::new(1_799_999_999, 0)).contains("expired"));
    }
}
