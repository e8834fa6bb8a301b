//! `herd cert`: a small authority for a private net, and certificates that it signs for nodes. Who has a certificate of a
//! public authority needs none of this.

use std::{
    fmt::Write as _,
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Datelike, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CommandError, printable};
use crate::{
    core::model::Timestamp,
    keys::private_file,
    system::clock,
    whole_file::{Existing, NewFile},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd cert tls alford.example 10.0.0.1          for a node that is called either
  herd cert tls alford.example --name Alford     for `certificate_file = \"tls/{node}.pem\"`
  herd send alford.example:11605 --ca tls/authority.pem 'WHATSAT kiwi 10 5'

The first call makes an authority, too. Keep its key, authority.key, where no node is: whoever has
it can pass for any node. Give authority.pem to clients. A later call of the same name makes another
key and certificate in place of the first, and a node that runs takes them up.")]
pub(super) struct Args {
    /// The folder of the authority and of what it signs; made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The names and addresses by which clients call the node.
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// What the two files are called, with .pem and .key behind it; without it, as the first HOST.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// For how many days the certificate is good.
    #[arg(long, value_name = "N", default_value_t = 397, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

/// For how many days an authority is good: a day more than any certificate.
const AUTHORITY_DAYS: u64 = 3651;

const AUTHORITY: &str = "authority";

/// A key of any kind has a few KiB.
const KEY_BYTES_MAX: usize = 64 * 1024;

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

const DAY_SECONDS: u64 = 86_400;

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let told = carry_out(args, clock::wall())?;
    let mut out = io::stdout().lock();
    for line in told.lines() {
        writeln!(out, "{}", printable::one_line(line))?;
    }
    out.flush()?;
    Ok(())
}

/// Does it, and gives what is to be done next.
fn carry_out(args: &Args, now: Timestamp) -> Result<String, CommandError> {
    let Args { folder, hosts, name, days } = args;
    let name = name.as_deref().unwrap_or(&hosts[0]).replace([':', '*'], "_");
    if name == AUTHORITY || name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(CommandError::Usage(format!(
            "{name:?} cannot name the files of a certificate; give another as --name"
        )));
    }
    let unfit = |error: rcgen::Error| {
        CommandError::Usage(format!(
            "no certificate can be made for {}: {error}; give names and addresses",
            hosts.join(", ")
        ))
    };
    let mut leaf = CertificateParams::new(hosts.clone()).map_err(unfit)?;
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let mut told = String::new();
    let authority = authority(folder, now, &mut told)?;
    let until = now.seconds() + u64::from(*days) * DAY_SECONDS;
    [leaf.not_before, leaf.not_after] =
        validity(now, until).map(|(year, month, day)| date_time_ymd(year, month, day));
    leaf.distinguished_name = called(&hosts[0]);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(|error| no_key(&error))?;
    let certificate = leaf.signed_by(&key, &authority).map_err(unfit)?;
    let [certificate_file, key_file] = files(folder, &name);
    // A node that looks in between finds a pair that does not match, and waits for the other.
    write(&key_file, PRIVATE, &Zeroizing::new(key.serialize_pem()))?;
    write(&certificate_file, PUBLIC, &certificate.pem())?;
    let date = clock::utc_text(Timestamp::new(until - until % DAY_SECONDS, 0));
    // Writing to a string cannot fail.
    let _ = writeln!(
        told,
        "{}: made, good until {}; name it as certificate_file in [tls], and {} as key_file",
        certificate_file.display(),
        date.split_once('T').map_or(&*date, |(date, _)| date),
        key_file.display()
    );
    Ok(told)
}

/// The authority of a folder, made if there is none.
fn authority(
    folder: &Path,
    now: Timestamp,
    told: &mut String,
) -> Result<Issuer<'static, KeyPair>, CommandError> {
    let [certificate_file, key_file] = files(folder, AUTHORITY);
    let unusable = |why: &dyn std::fmt::Display| {
        CommandError::Usage(format!(
            "{}: the authority's key cannot be used: {why}; put it back, or give another folder",
            key_file.display()
        ))
    };
    match private_file::read(&key_file, KEY_BYTES_MAX) {
        Ok(pem) => {
            let pem = Zeroizing::new(pem);
            let text = std::str::from_utf8(&pem).map_err(|error| unusable(&error))?;
            let key = KeyPair::from_pem(text).map_err(|error| unusable(&error))?;
            Ok(Issuer::new(authority_params(&key, now), key))
        }
        Err(private_file::PrivateFileError::Unreadable(error)) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(|error| no_key(&error))?;
            let params = authority_params(&key, now);
            let certificate = params.self_signed(&key).map_err(|error| no_key(&error))?;
            write(&key_file, PRIVATE, &Zeroizing::new(key.serialize_pem()))?;
            write(&certificate_file, PUBLIC, &certificate.pem())?;
            let _ = writeln!(
                told,
                "{}: made, an authority; give it to clients as --ca, and keep {} to yourself",
                certificate_file.display(),
                key_file.display()
            );
            Ok(Issuer::new(params, key))
        }
        Err(private_file::PrivateFileError::Unreadable(error)) => Err(unusable(&error)),
        Err(private_file::PrivateFileError::NotAFile) => Err(unusable(&"it is not a regular file")),
        Err(private_file::PrivateFileError::TooLong) => Err(unusable(&"it is too long")),
        Err(private_file::PrivateFileError::Open(mode)) => {
            Err(unusable(&format_args!("others may open it (mode {mode:03o}; chmod 600 helps)")))
        }
    }
}

/// All but its dates follow from its key, so that the key is all that must be kept.
fn authority_params(key: &KeyPair, now: Timestamp) -> CertificateParams {
    let mark = Sha256::digest(key.public_key_raw());
    let mut params = CertificateParams::default();
    params.distinguished_name =
        called(&format!("Herd authority {:02x}{:02x}{:02x}{:02x}", mark[0], mark[1], mark[2], mark[3]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let until = now.seconds() + AUTHORITY_DAYS * DAY_SECONDS;
    [params.not_before, params.not_after] =
        validity(now, until).map(|(year, month, day)| date_time_ymd(year, month, day));
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// From which day's beginning to which one's: clocks may differ by a day.
fn validity(now: Timestamp, until: u64) -> [(i32, u8, u8); 2] {
    [now.seconds().saturating_sub(DAY_SECONDS), until].map(|seconds| {
        let date = DateTime::<Utc>::from_timestamp(seconds as i64, 0).unwrap_or_default();
        (date.year(), date.month() as u8, date.day() as u8)
    })
}

fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")))
}

/// Writes a file whole, in place of one that is there.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), CommandError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let put = || {
        let new = NewFile::create(Path::new(&beside), mode)?;
        new.file().write_all(text.as_bytes())?;
        new.file().sync_all()?;
        new.put(path, Existing::Replaced).map(drop)
    };
    put().map_err(|error: io::Error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Failed(format!(
        "{} cannot be written: {error}; make room there, or give another folder",
        path.display()
    ))
}

fn no_key(error: &rcgen::Error) -> CommandError {
    CommandError::Failed(format!("no key can be made: {error}; try again or elsewhere"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{keys::Certificate, transport::Trust};

    const NOW: u64 = 1_796_083_200;

    fn made(folder: &Path, hosts: &[&str], name: Option<&str>) -> Result<String, String> {
        let args = Args {
            folder: folder.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            name: name.map(str::to_owned),
            days: 10,
        };
        carry_out(&args, Timestamp::new(NOW, 0)).map_err(|error| error.to_string())
    }

    #[test]
    fn first_call_makes_an_authority_and_later_ones_use_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tls");
        let told = made(&folder, &["alford.example", "10.0.0.1", "::1"], None).unwrap();
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(
            told.contains("give it to clients as --ca") && told.contains("good until 2026-12-11;"),
            "{told}"
        );
        let [authority, authority_key] = files(&folder, AUTHORITY);
        let before = fs::read(&authority).unwrap();
        let told = made(&folder, &["ball.example"], Some("Ball")).unwrap();
        assert!(told.lines().count() == 1 && told.contains("Ball.pem: made"), "{told}");
        assert_eq!(fs::read(&authority).unwrap(), before);
        Trust::in_file(&authority).unwrap();
        for name in ["alford.example", "Ball"] {
            let [certificate, key] = files(&folder, name);
            let loaded = Certificate::load(&certificate, &key).unwrap();
            assert_eq!(loaded.expires, Timestamp::new(NOW + 10 * DAY_SECONDS, 0));
            assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, PRIVATE);
        }
        assert_eq!(fs::metadata(&authority_key).unwrap().permissions().mode() & 0o777, PRIVATE);
        // Once more makes another in its place.
        let [certificate, _] = files(&folder, "Ball");
        let first = fs::read(&certificate).unwrap();
        made(&folder, &["ball.example"], Some("Ball")).unwrap();
        assert_ne!(fs::read(&certificate).unwrap(), first);
    }

    #[test]
    fn names_that_cannot_be_are_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for (host, name) in [
            ("a", Some("authority")),
            ("authority", None),
            ("a", Some("../a")),
            ("a", Some("")),
            ("a", Some(".a")),
            ("näme", None),
        ] {
            let said = made(folder.path(), &[host], name).unwrap_err();
            assert!(said.contains("; give ") && said.lines().count() == 1, "{said}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn authoritys_key_that_cannot_be_used_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [_, key] = files(folder.path(), AUTHORITY);
        fs::write(&key, "no key").unwrap();
        for (mode, word) in [(0o644, "others may open it"), (0o600, "cannot be used")] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let said = made(folder.path(), &["a"], None).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(fs::read(&key).unwrap(), b"no key");
    }
}
