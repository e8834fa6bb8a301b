//! Events in a file of their own: what each file has, and that each is held to the rules of a log.

use std::os::unix::fs::symlink;

use super::{
    tests::{mode, options, read, set_mode, traffic, write_out, write_out_at},
    *,
};

/// The same log, and its file for events.
fn apart(folder: &tempfile::TempDir) -> (LogOptions, PathBuf) {
    let events = folder.path().join("logs").join("events").join("Alford.err");
    (LogOptions { events_path: Some(events.clone()), ..options(folder) }, events)
}

#[test]
fn events_stand_in_their_own_file_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (options, events) = apart(&folder);
    let log = Log::open(options.clone()).unwrap();
    log.info(format_args!("one"));
    traffic(&log, b"IAMAT a +1+1 1");
    log.warn(format_args!("two"));
    write_out(&log);
    assert_eq!(read(&options.path), "2016-11-17T20:18:04.392014Z #17 < IAMAT a +1+1 1\n");
    let text = read(&events);
    let lines: Vec<_> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert_eq!(lines, ["INFO  one", "WARN  two"]);
    assert_eq!([&options.path, &events].map(|path| mode(path)), [0o600; 2]);
    assert_eq!(mode(events.parent().unwrap()), 0o700);
}

#[test]
fn both_files_are_rotated_and_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (options, events) = apart(&folder);
    let options = LogOptions { file_bytes: 1000, ..options };
    let log = Log::open(options.clone()).unwrap();
    for number in 0..40 {
        traffic(&log, format!("{number:065}").as_bytes());
        log.info(format_args!("{number:065}"));
        write_out(&log);
    }
    for path in [&options.path, &events] {
        let older = |number| path.with_file_name(format!("{}.{number}", path.file_name().unwrap().display()));
        assert!(older(1).exists() && older(2).exists() && !older(3).exists());
        assert!(read(path).ends_with("39\n") && read(path).len() <= 1000);
        std::fs::rename(path, older(9)).unwrap();
    }
    log.reopen();
    write_out(&log);
    assert_eq!([&options.path, &events].map(|path| read(path)), ["", ""]);
}

#[test]
fn full_disk_of_either_file_is_told_and_the_other_goes_on() {
    let full = PathBuf::from("/dev/full");
    for is_events in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (options, events) = apart(&folder);
        let broken = if is_events {
            LogOptions { events_path: Some(full.clone()), ..options.clone() }
        } else {
            LogOptions { path: full.clone(), ..options.clone() }
        };
        let log = Log::open(broken).unwrap();
        traffic(&log, b"a line");
        log.info(format_args!("an event"));
        write_out_at(&log, Duration::from_secs(2));
        let failing = log.condition(Duration::from_secs(5)).failing.unwrap();
        assert_eq!(failing.duration, Duration::from_secs(3));
        assert!(
            failing.error.starts_with("No space left") && failing.error.ends_with(" (/dev/full)"),
            "{failing:?}"
        );
        let (well, has) =
            if is_events { (&options.path, "< a line\n") } else { (&events, "INFO  an event\n") };
        assert!(read(well).ends_with(has), "{}", read(well));
        let (output, path) =
            if is_events { (log.apart.as_ref().unwrap(), &events) } else { (&log.main, &options.path) };
        output.file.lock().rename(path);
        log.reopen();
        write_out(&log);
        write_out(&log);
        assert_eq!(log.condition(Duration::from_secs(9)).failing, None);
        assert!(read(path).contains(if is_events { "INFO  an event\n" } else { "< a line\n" }));
        let told = "WARN  the log could not be written for a while: No space left on device";
        assert!(read(&events).contains(told), "{}", read(&events));
    }
}

#[test]
fn each_file_has_its_part_of_the_buffer_and_counts_what_has_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let (options, events) = apart(&folder);
    let log = Log::open(LogOptions { buffer_bytes: 8000, ..options.clone() }).unwrap();
    for _ in 0..100 {
        traffic(&log, &[b'x'; 66]);
    }
    // An event of 60 letters has 95 bytes with its time, its level and its end: ten have room in an eighth.
    for _ in 0..15 {
        log.info(format_args!("{}", "e".repeat(60)));
    }
    let condition = log.condition(Tick::ZERO);
    assert_eq!((condition.dropped_lines, condition.dropped_events), (31, 5));
    write_out(&log);
    write_out(&log);
    assert_eq!((read(&options.path).lines().count(), read(&events).matches("eee").count() / 20), (69, 10));
    let text = read(&events);
    assert!(
        text.contains("WARN  31 traffic lines dropped: ") && text.contains("WARN  5 events dropped: "),
        "{text}"
    );
}

#[test]
fn file_for_events_is_neither_open_to_others_nor_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (options, events) = apart(&folder);
    std::fs::create_dir_all(events.parent().unwrap()).unwrap();
    std::fs::write(&events, "before\n").unwrap();
    set_mode(&events, 0o644);
    let log = Log::open(options.clone()).unwrap();
    write_out(&log);
    assert_eq!(mode(&events), 0o600);
    let told = format!(
        "the log was open to others (mode 644); now only its owner may open it ({})",
        events.display()
    );
    assert!(read(&events).contains(&told), "{}", read(&events));
    std::fs::remove_file(&events).unwrap();
    symlink(folder.path().join("others"), &events).unwrap();
    let error = Log::open(options).err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("the log {} cannot be opened: it is a symbolic link", events.display()))
    );
}
