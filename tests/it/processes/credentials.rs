//! Secrets and keys as systemd lays them for a unit: in a folder that `$CREDENTIALS_DIRECTORY` names, with mode 0440 and an
//! access list that lets the unit's user read. A real systemd is asked by tests/systemd/run.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use rustix::{
    fs::{XattrFlags, setxattr},
    io::Errno,
};

use super::support::{Herd, herd_command, solo};

const VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// A folder with what the unit of a node gets.
struct Credentials {
    folder: tempfile::TempDir,
}

impl Credentials {
    /// A herd with a secret, and a key for Google.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let herd = solo("[places]\nsource = \"google\"\nkey_file = \"google.key\"\n");
        let text = fs::read_to_string(&herd.config).unwrap();
        let text = text.replace("[[node]]", "secret_file = \"herd.secret\"\n[[node]]");
        fs::write(folder.path().join("herd.toml"), text).unwrap();
        let credentials = Self { folder };
        assert!(
            herd_command(&["secret"]).arg(credentials.file("herd.secret")).output().unwrap().status.success()
        );
        fs::write(credentials.file("google.key"), "AIzaNobodys\n").unwrap();
        for name in ["herd.secret", "google.key", "herd.toml"] {
            credentials.lay(name, 0o440);
        }
        credentials
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As systemd 254 and later do: the unit's user is named in the access list, and the group's place in the mode is the
    /// list's mask.
    fn lay(&self, name: &str, mode: u32) {
        let file = self.file(name);
        give_to(&file, 65_534);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode);
    }

    /// What `check-config`, which reads secret and key as a node does, makes of the configuration there.
    fn check(&self, config: &Path, credentials: Option<&Path>) -> Output {
        let mut command = herd_command(&["check-config", "--config"]);
        command.arg(config).env_remove(VARIABLE).env_remove("HERD_PLACES_KEY");
        if let Some(folder) = credentials {
            command.env(VARIABLE, folder);
        }
        command.output().unwrap()
    }
}

/// Lets one more user read a file, by its access list; where the file system has none, the mode stands alone.
fn give_to(file: &Path, user: u32) {
    let [owner, named, group, mask, others] = [0x01_u16, 0x02, 0x04, 0x10, 0x20];
    let (read, nothing, nobody) = (4_u16, 0, u32::MAX);
    let mut list = 2_u32.to_le_bytes().to_vec();
    let entries = [
        (owner, read, nobody),
        (named, read, user),
        (group, nothing, nobody),
        (mask, read, nobody),
        (others, nothing, nobody),
    ];
    for (tag, may, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(may.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    match setxattr(file, "system.posix_acl_access", &list, XattrFlags::empty()) {
        Ok(()) | Err(Errno::OPNOTSUPP) => {}
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn expect_refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.lines().count() == 1 && words.iter().all(|word| said.contains(word)), "{said}");
    assert!(!said.contains("AIza"), "{said}");
}

#[test]
fn credentials_of_a_unit_may_be_read_by_the_group_that_systemd_gives_them() {
    let credentials = Credentials::new();
    let (here, config) = (credentials.folder.path(), credentials.file("herd.toml"));
    let taken = credentials.check(&config, Some(here));
    assert!(taken.status.success(), "{taken:?}");
    // The folder may be named by another way that leads there.
    let way = tempfile::tempdir().unwrap();
    let way = way.path().join("way");
    std::os::unix::fs::symlink(here, &way).unwrap();
    assert!(credentials.check(&config, Some(&way)).status.success());
    assert!(credentials.check(&way.join("herd.toml"), Some(here)).status.success());
}

#[test]
fn node_starts_with_credentials_and_proves_its_secret() {
    let credentials = Credentials::new();
    let mut command = herd_command(&["node", "Solo", "--lifeline", "--config"]);
    command.arg(credentials.file("herd.toml")).env(VARIABLE, credentials.folder.path());
    command.arg("--log-dir").arg(credentials.file("logs")).env_remove("HERD_PLACES_KEY");
    let mut node = super::support::Process::start(command);
    node.hear("it listens", |said| said.iter().any(|line| line.starts_with("listening ")));
    node.end_input();
    assert!(node.end().success());
}

#[test]
fn credential_that_a_group_may_write_or_others_may_open_is_refused() {
    let credentials = Credentials::new();
    let (here, config) = (credentials.folder.path(), credentials.file("herd.toml"));
    for name in ["herd.secret", "google.key"] {
        for mode in [0o460, 0o450, 0o444, 0o442, 0o441, 0o644] {
            credentials.lay(name, mode);
            let told = format!("is open to users other than its owner (mode {mode:o}); run `chmod 600 ");
            expect_refused(&credentials.check(&config, Some(here)), &[name, &told]);
        }
        credentials.lay(name, 0o440);
    }
}

#[test]
fn outside_of_the_folder_of_credentials_the_group_may_not_read() {
    let credentials = Credentials::new();
    let (here, config) = (credentials.folder.path(), credentials.file("herd.toml"));
    let told = ["herd.secret is open to users other than its owner (mode 440)"];
    let elsewhere = tempfile::tempdir().unwrap();
    let none = elsewhere.path().join("none");
    for folder in [None, Some(Path::new("")), Some(elsewhere.path()), Some(&none), here.parent()] {
        expect_refused(&credentials.check(&config, folder), &told);
    }
    // A link in the folder does not make what it leads to a credential.
    fs::copy(&config, elsewhere.path().join("herd.toml")).unwrap();
    for name in ["herd.secret", "google.key"] {
        std::os::unix::fs::symlink(credentials.file(name), elsewhere.path().join(name)).unwrap();
    }
    expect_refused(&credentials.check(&elsewhere.path().join("herd.toml"), Some(elsewhere.path())), &told);
}

/// The unit gives a herd without a secret something in the place of one, and says what is missing where it is needed.
#[test]
fn text_that_stands_in_for_a_credential_is_refused_by_those_who_need_it() {
    let unit = include_str!("../../../config/systemd/proxyherd@.service");
    let credentials = Credentials::new();
    let (here, config): (_, Herd) = (credentials.folder.path(), solo(""));
    for name in ["google.key", "herd.secret"] {
        let given = unit.lines().filter_map(|line| line.strip_prefix("SetCredential="));
        let given = given.filter_map(|line| line.strip_prefix(&format!("{name}:"))).next().unwrap();
        fs::set_permissions(credentials.file(name), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(credentials.file(name), given).unwrap();
        credentials.lay(name, 0o440);
        expect_refused(&credentials.check(&credentials.file("herd.toml"), Some(here)), &[name]);
    }
    assert!(credentials.check(&config.config, Some(here)).status.success());
}
