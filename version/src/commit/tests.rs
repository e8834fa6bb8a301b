//! In repositories made for the purpose, what git says of a folder.

use std::{
    env, fs, process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("herd-version-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A repository with one commit, of `Cargo.toml`.
struct Repository(Folder);

impl Repository {
    fn new() -> Self {
        let repository = Self(Folder::new());
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit("first", "2026-11-30T23:30:00-0100");
        repository
    }

    fn git(&self, arguments: &[&str]) -> String {
        let author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"];
        git(self.0.path(), &[&author, arguments].concat()).unwrap_or_else(|| panic!("git {arguments:?}"))
    }

    fn commit(&self, text: &str, date: &str) {
        fs::write(self.0.path().join("Cargo.toml"), text).unwrap();
        self.git(&["add", "Cargo.toml"]);
        // The only way to tell git a committer's date is the environment.
        let mut command = Command::new("git");
        command.arg("-C").arg(self.0.path()).env("GIT_COMMITTER_DATE", date);
        command.args(["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", text]);
        assert!(command.status().unwrap().success());
    }

    fn version(&self, folder: &Path) -> String {
        version("0.1.0", Checkout::find(folder).as_ref(), None)
    }
}

#[test]
fn version_has_the_commit_and_its_day_in_utc() {
    let repository = Repository::new();
    let commit = repository.git(&["rev-parse", "HEAD"]);
    let wanted = format!("0.1.0 ({} 2026-12-01)", &commit[..7]);
    assert_eq!(repository.version(repository.0.path()), wanted);
    let checkout = Checkout::find(repository.0.path()).unwrap();
    assert_eq!(
        version("2.0", Some(&checkout), Some(951_782_400)),
        format!("2.0 ({} 2000-02-29)", &commit[..7])
    );
}

#[test]
fn some_watched_file_changes_with_every_commit_also_in_a_worktree_and_on_no_branch() {
    let repository = Repository::new();
    let other = repository.0.path().join("other");
    repository.git(&["worktree", "add", "--quiet", "other"]);
    for (folder, detach) in [(repository.0.path(), false), (repository.0.path(), true), (&other, false)] {
        if detach {
            repository.git(&["checkout", "--quiet", "--detach"]);
        }
        let contents = |checkout: &Checkout| {
            checkout.watched.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>()
        };
        let before = Checkout::find(folder).unwrap();
        let was = contents(&before);
        let here =
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "x"];
        git(folder, &here).unwrap();
        assert_ne!(contents(&before), was, "{}", folder.display());
        assert_ne!(Checkout::find(folder).unwrap().commit, before.commit);
    }
}

#[test]
fn without_a_repository_that_has_it_a_folder_has_only_a_number() {
    let folder = Folder::new();
    fs::write(folder.path().join("Cargo.toml"), "x").unwrap();
    let repository = Repository::new();
    assert_eq!(repository.version(folder.path()), "0.1.0");
    let unpacked = repository.0.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    fs::write(unpacked.join("Cargo.toml"), "x").unwrap();
    assert_eq!(repository.version(&unpacked), "0.1.0");
}

#[test]
fn days_are_counted_by_the_calendar() {
    for (seconds, date) in [
        (0, "1970-01-01"),
        (86_399, "1970-01-01"),
        (951_868_800, "2000-03-01"),
        (1_709_164_800, "2024-02-29"),
        (1_798_675_199, "2026-12-30"),
        (4_102_444_800, "2100-01-01"),
    ] {
        assert_eq!(date_of(seconds), date);
    }
}
