//! `herd secret`: makes a herd's secret file, and takes the steps by which its secret is changed while the nodes run.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{CommandError, printable};
use crate::{
    core::access::{RotationFault, Secret, SecretKey},
    keys::SecretError,
    system::random,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd secret herd.secret                        makes one; name it as secret_file in [herd]

To change it while the herd runs, take three steps. After each, copy the file to all nodes and
restart them one by one:
  herd secret herd.secret --add                  the nodes accept a new secret, too
  herd secret herd.secret --switch               they prove themselves with the new one
  herd secret herd.secret --drop                 they no longer accept the old one")]
pub(super) struct Args {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    step: RotationStep,
}

/// What is done to a file that is there.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct RotationStep {
    /// Add a new secret, which is accepted besides the one that proves.
    #[arg(long)]
    add: bool,
    /// Let the other one of the two secrets prove.
    #[arg(long)]
    switch: bool,
    /// Remove the one of the two secrets that does not prove.
    #[arg(long)]
    drop: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let told = carry_out(args)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {told}", printable::one_line(&args.file.display().to_string()))?;
    out.flush()?;
    Ok(())
}

/// Does it, and gives what is to be done next.
fn carry_out(Args { file, step }: &Args) -> Result<&'static str, CommandError> {
    match step {
        RotationStep { add: true, .. } => {
            let key = new_key()?;
            change(file, |secret| secret.add_second(key))?;
            Ok(
                "a second secret is accepted now; copy it to all nodes, restart them one by one, then --switch",
            )
        }
        RotationStep { switch: true, .. } => {
            change(file, Secret::switch)?;
            Ok("the other secret proves now; copy it to all nodes, restart them one by one, then --drop")
        }
        RotationStep { drop: true, .. } => {
            change(file, Secret::drop_second)?;
            Ok("one secret is left; copy it to all nodes and restart them one by one")
        }
        RotationStep { .. } => {
            Secret::new(new_key()?, random_bytes()?).create(file).map_err(refused)?;
            Ok(
                "made, for its owner only; copy it to all nodes, name it as secret_file in [herd], and start them",
            )
        }
    }
}

fn change(
    file: &Path,
    step: impl FnOnce(Secret) -> Result<Secret, RotationFault>,
) -> Result<(), CommandError> {
    Secret::change(file, step).map_err(refused)
}

fn refused(error: SecretError) -> CommandError {
    match error {
        SecretError::Unwritable { .. } => CommandError::Failed(error.to_string()),
        _ => error.into(),
    }
}

fn new_key() -> Result<SecretKey, CommandError> {
    random_bytes().map(SecretKey::of_bytes)
}

fn random_bytes<const N: usize>() -> Result<[u8; N], CommandError> {
    random::bytes().map_err(|error| {
        CommandError::Failed(format!("the system has no random numbers: {error}; try again or elsewhere"))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::HerdCommand, *};

    fn herd_secret(file: &Path, flags: &[&str]) -> Result<&'static str, String> {
        let words = ["herd", "secret", &file.display().to_string()].map(str::to_owned);
        let words = words.into_iter().chain(flags.iter().map(ToString::to_string));
        let HerdCommand::Secret(args) = super::super::Args::try_parse_from(words).unwrap().command else {
            panic!()
        };
        carry_out(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_secret_is_made_once_and_then_changed_step_by_step() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("herd.secret");
        assert!(herd_secret(&file, &["--add"]).unwrap_err().contains("make one with `herd secret "));
        herd_secret(&file, &[]).unwrap();
        let first = Secret::load(&file).unwrap();
        assert!(herd_secret(&file, &[]).unwrap_err().contains("is there already"));
        assert!(herd_secret(&file, &["--switch"]).unwrap_err().contains("add one first, with --add"));
        let steps = ["--add", "--switch", "--drop"].map(|step| {
            herd_secret(&file, &[step]).unwrap();
            Secret::load(&file).unwrap()
        });
        let counts = steps.each_ref().map(|secret| secret.accepted().count());
        assert_eq!(counts, [2, 2, 1]);
        assert_eq!(steps[0].proving(), first.proving());
        assert_eq!(steps[1].proving(), steps[2].proving());
        assert_ne!(steps[2].proving(), first.proving());
        assert_eq!(steps[2].placement(), first.placement());
    }

    #[test]
    fn every_new_secret_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let made = ["a", "b"].map(|name| {
            herd_secret(&folder.path().join(name), &[]).unwrap();
            Secret::load(&folder.path().join(name)).unwrap()
        });
        assert_ne!(made[0].proving(), made[1].proving());
        assert_ne!(made[0].placement(), made[1].placement());
    }

    #[test]
    fn one_step_at_a_time() {
        assert!(super::super::Args::try_parse_from(["herd", "secret", "f", "--add", "--drop"]).is_err());
    }
}
