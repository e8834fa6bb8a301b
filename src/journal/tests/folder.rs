//! A real folder, and who may use it at the same time.

use super::*;

#[test]
fn several_may_look_at_a_folder_and_no_node_starts_meanwhile() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::at(parent.path()).unwrap();
    assert!(matches!(folder.lock_to_look().unwrap(), LookersLock::Needless));
    let node = folder.lock().unwrap();
    assert!(node.is_some() && matches!(folder.lock_to_look().unwrap(), LookersLock::InUse));
    drop(node);
    let locks = [folder.lock_to_look().unwrap(), folder.lock_to_look().unwrap()];
    assert!(locks.iter().all(|lock| matches!(lock, LookersLock::Locked(_))), "{locks:?}");
    assert!(folder.lock().unwrap().is_none());
    drop(locks);
    assert!(folder.lock().unwrap().is_some());
}

#[test]
fn pipe_in_place_of_the_lock_holds_up_nobody() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::at(parent.path()).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, parent.path().join("lock"), mode).unwrap();
    assert_eq!(folder.lock_to_look().unwrap_err().to_string(), "lock: it is not a regular file");
    assert!(folder.lock().is_err());
}

#[test]
fn folder_that_is_not_there_is_none_and_one_that_nobody_can_find_is_an_error() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [&file, &file.join("below"), &parent.path().join("none")] {
        assert!(Folder::existing(path).unwrap().is_none(), "{}", path.display());
    }
    assert!(Folder::existing(parent.path()).unwrap().is_some());
    let turning = parent.path().join("turning");
    std::os::unix::fs::symlink("turning", &turning).unwrap();
    assert!(Folder::existing(&turning).is_err());
}
