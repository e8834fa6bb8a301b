//! The log as a whole: order, bounds, rotation, moved files, full disks.

use std::{
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
};

use super::*;
use crate::core::{
    dialogue::{Party, Reply},
    model::Timestamp,
    wire::{Ending, Line},
};

pub(super) fn options(folder: &tempfile::TempDir) -> LogOptions {
    LogOptions {
        path: folder.path().join("logs").join("Alford.log"),
        events_path: None,
        audit: None,
        content: LogContent { traffic: true, bodies: false, connections: true },
        buffer_bytes: 1 << 20,
        file_bytes: 1 << 30,
        files_kept: 2,
    }
}

/// One tick of the writer.
pub(super) fn write_out(log: &Log) {
    write_out_at(log, Duration::ZERO);
}

pub(super) fn write_out_at(log: &Log, now: Tick) {
    log.write_all(now);
}

pub(super) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The older log of that number.
fn older(options: &LogOptions, number: usize) -> PathBuf {
    let mut name = options.path.clone().into_os_string();
    name.push(format!(".{number}"));
    name.into()
}

pub(super) fn traffic(log: &Log, line: &[u8]) {
    let mut traffic = Traffic::default();
    traffic.begin(Timestamp::new(1_479_413_884, 392_014_450), 17);
    traffic.said(Line::Whole(line, Ending::Lf), &Party::Stranger, &Reply::None);
    traffic.finish(log);
}

pub(super) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn events_and_traffic_stand_in_the_order_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let log = Log::open(options.clone()).unwrap();
    log.info(format_args!("one\nforged"));
    traffic(&log, b"IAMAT a\x1b[2J +1+1 1");
    log.warn(format_args!("three"));
    write_out(&log);
    let text = read(&options.path);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].ends_with("Z INFO  one\\x0aforged"), "{text}");
    assert_eq!(lines[1], "2016-11-17T20:18:04.392014Z #17 < IAMAT a\\x1b[2J +1+1 1");
    assert!(lines[2].ends_with("Z WARN  three"), "{text}");
    assert_eq!((mode(&options.path), mode(options.path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn time_is_told_anew_when_the_second_changes() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let log = Log::open(options.clone()).unwrap();
    let mut traffic = Traffic::default();
    for (seconds, nanoseconds) in [(0, 999_999_999), (0, 5_000), (1, 0)] {
        traffic.begin(Timestamp::new(seconds, nanoseconds), 1);
        traffic.line_out(b"x");
        traffic.line_out(b"y");
    }
    traffic.finish(&log);
    write_out(&log);
    let times = ["00:00:00.999999", "00:00:00.000005", "00:00:01.000000"];
    let expected = times.map(|time| format!("1970-01-01T{time}Z #1 > x\n#1 > y\n")).concat();
    assert_eq!(read(&options.path), expected);
}

#[test]
fn full_buffer_drops_traffic_counts_it_and_keeps_room_for_events() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { buffer_bytes: 8000, ..options(&folder) };
    let log = Log::open(options.clone()).unwrap();
    for _ in 0..100 {
        traffic(&log, &[b'x'; 66]);
    }
    log.info(format_args!("still here"));
    write_out(&log);
    write_out(&log);
    let text = read(&options.path);
    // 7,000 bytes of 101-byte lines.
    assert_eq!(text.matches(" < xx").count(), 69, "{text}");
    assert!(text.contains("INFO  still here"), "{text}");
    assert!(text.contains("WARN  31 traffic lines dropped: the disk is slower"), "{text}");
}

#[test]
fn half_full_buffer_wakes_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { buffer_bytes: 8000, ..options(&folder) };
    let log = Log::open(options.clone()).unwrap();
    let (stopper, stop) = bounded(0);
    std::thread::scope(|scope| {
        scope.spawn(|| log.write_by(&stop, Duration::from_secs(3600)));
        for _ in 0..100 {
            traffic(&log, &[b'x'; 66]);
            // No more than half the buffer at once, each time waiting for the writer to take it.
            while log.buffer_length() >= 4000 {
                std::thread::yield_now();
            }
        }
        drop(stopper);
    });
    assert_eq!(read(&options.path).lines().count(), 100);
}

#[test]
fn files_are_rotated_between_lines_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    // A name that is no text is rotated as well.
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")).join("Alford.log");
    let options = LogOptions { path, file_bytes: 1000, ..options(&folder) };
    let log = Log::open(options.clone()).unwrap();
    for number in 0..60 {
        traffic(&log, format!("{number:065}").as_bytes());
        if number % 7 == 0 {
            write_out(&log);
        }
    }
    write_out(&log);
    let files = [older(&options, 2), older(&options, 1), options.path.clone()];
    let mut numbers = Vec::new();
    for file in &files {
        let text = read(file);
        assert!(text.len() <= 1000 && text.ends_with('\n'), "{}", text.len());
        numbers.extend(text.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()));
    }
    // Ten lines of 100 bytes a file.
    assert_eq!(numbers, (30..60).collect::<Vec<_>>());
    assert!(!older(&options, 3).exists());
}

#[test]
fn a_line_longer_than_a_file_gets_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { file_bytes: 100, ..options(&folder) };
    let log = Log::open(options.clone()).unwrap();
    traffic(&log, b"short");
    traffic(&log, &[b'x'; 500]);
    traffic(&log, b"short");
    write_out(&log);
    assert_eq!(read(&older(&options, 1)).lines().count(), 1);
    assert!(read(&options.path).ends_with("< short\n"));
}

#[test]
fn moved_file_is_left_alone_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let log = Log::open(options.clone()).unwrap();
    traffic(&log, b"before");
    write_out(&log);
    let moved = folder.path().join("moved.log");
    std::fs::rename(&options.path, &moved).unwrap();
    log.reopen();
    traffic(&log, b"after");
    write_out(&log);
    assert!(read(&moved).ends_with("< before\n"));
    assert!(read(&options.path).ends_with("< after\n"));
}

#[test]
fn half_a_line_of_a_killed_process_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    std::fs::create_dir_all(options.path.parent().unwrap()).unwrap();
    std::fs::write(&options.path, "half").unwrap();
    let log = Log::open(options.clone()).unwrap();
    assert_eq!(read(&options.path), "half", "a node must start on a disk that takes nothing");
    traffic(&log, b"x");
    write_out(&log);
    assert!(read(&options.path).starts_with("half\n2016-"));
}

/// A log on a full disk, and where it is once [`heal`] has given it another.
fn on_a_full_disk(folder: &tempfile::TempDir) -> (Log, LogOptions) {
    let path = PathBuf::from("/dev/full");
    let options = LogOptions { buffer_bytes: 8000, ..options(folder) };
    (Log::open(LogOptions { path, ..options.clone() }).unwrap(), options)
}

fn heal(log: &Log, options: &LogOptions) {
    log.main.file.lock().rename(&options.path);
    log.reopen();
}

#[test]
fn full_disk_is_survived_and_lines_are_kept_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (log, options) = on_a_full_disk(&folder);
    traffic(&log, b"kept");
    write_out(&log);
    heal(&log, &options);
    write_out(&log);
    write_out(&log);
    let text = read(&options.path);
    assert!(text.contains("< kept\n"), "{text}");
    assert!(text.contains("the log could not be written for a while: No space left"), "{text}");
}

#[test]
fn full_disk_is_told_for_as_long_as_it_lasts_with_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    let (log, options) = on_a_full_disk(&folder);
    let at = Duration::from_secs;
    assert_eq!(log.condition(at(1)), LogCondition::default());
    traffic(&log, b"kept");
    write_out_at(&log, at(2));
    write_out_at(&log, at(3));
    let failing = log.condition(at(5)).failing.unwrap();
    assert_eq!(failing.duration, at(3));
    assert!(failing.error.starts_with("No space left on device"), "{failing:?}");
    for _ in 0..100 {
        traffic(&log, &[b'x'; 66]);
    }
    for _ in 0..100 {
        log.info(format_args!("{}", "event ".repeat(10)));
    }
    write_out_at(&log, at(6));
    let full = log.condition(at(6));
    assert_eq!(full.dropped_lines, 31);
    assert!(full.dropped_events > 50, "{full:?}");
    heal(&log, &options);
    write_out_at(&log, at(7));
    let healed = log.condition(at(8));
    assert_eq!(healed, LogCondition { failing: None, ..full.clone() });
    write_out_at(&log, at(8));
    write_out_at(&log, at(9));
    let text = read(&options.path);
    assert_eq!(text.matches("WARN  31 traffic lines dropped: ").count(), 1, "{text}");
    assert_eq!(text.matches(&format!("WARN  {} events dropped: ", full.dropped_events)).count(), 1, "{text}");
}

#[test]
fn logs_that_others_may_open_are_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    std::fs::create_dir_all(options.path.parent().unwrap()).unwrap();
    let [first, second] = [1, 2].map(|number| older(&options, number));
    for (path, open) in [(&options.path, 0o644), (&first, 0o666), (&second, 0o640)] {
        std::fs::write(path, "before\n").unwrap();
        set_mode(path, open);
    }
    let log = Log::open(options.clone()).unwrap();
    let modes = || [&options.path, &first, &second].map(|path| mode(path));
    assert_eq!(modes(), [0o600; 3]);
    write_out(&log);
    let text = read(&options.path);
    assert!(text.starts_with("before\n"), "{text}");
    assert!(
        text.contains("WARN  the log was open to others (mode 644); now only its owner may open it"),
        "{text}"
    );
    assert_eq!(text.matches("WARN  the older log ").count(), 2, "{text}");
    // Those who rotate it may make the next, and open it to all.
    std::fs::rename(&options.path, &first).unwrap();
    std::fs::write(&options.path, "").unwrap();
    set_mode(&options.path, 0o664);
    set_mode(&first, 0o644);
    log.reopen();
    write_out(&log);
    assert_eq!(modes(), [0o600; 3]);
}

#[test]
fn log_is_not_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let log = Log::open(options.clone()).unwrap();
    let others = folder.path().join("others");
    for there in [true, false] {
        let _ = std::fs::remove_file(&others);
        if there {
            std::fs::write(&others, "theirs").unwrap();
            set_mode(&others, 0o644);
        }
        std::fs::remove_file(&options.path).unwrap();
        symlink(&others, &options.path).unwrap();
        let error = Log::open(options.clone()).err().unwrap().to_string();
        let wanted = format!("the log {} cannot be opened: it is a symbolic link", options.path.display());
        assert!(error.starts_with(&wanted) && error.contains("; remove it, or "), "{error}");
        // Nor is it when the name has become one in the meantime.
        log.reopen();
        traffic(&log, b"kept");
        write_out(&log);
        let failing = log.condition(Tick::ZERO).failing.unwrap();
        assert!(failing.error.contains("symbolic link"), "{failing:?}");
        assert_eq!(others.exists(), there);
        if there {
            assert_eq!((read(&others).as_str(), mode(&others)), ("theirs", 0o644));
        }
        std::fs::remove_file(&options.path).unwrap();
        write_out(&log);
        assert!(read(&options.path).ends_with("< kept\n"), "it goes on once the link is gone");
    }
}

#[test]
fn folder_that_is_open_to_all_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let logs = options.path.parent().unwrap();
    std::fs::create_dir(logs).unwrap();
    for (mode, is_told) in [(0o777, true), (0o1777, false), (0o755, false), (0o702, true)] {
        set_mode(logs, mode);
        let _ = std::fs::remove_file(&options.path);
        write_out(&Log::open(options.clone()).unwrap());
        let text = read(&options.path);
        let line = format!(
            "anyone may replace or remove the log: its folder {} is open to all (mode {mode:o})",
            logs.display()
        );
        assert_eq!(text.contains(&line), is_told, "{mode:o}: {text}");
    }
}

#[test]
fn removed_folder_is_made_again_where_the_log_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let log = Log::open(options.clone()).unwrap();
    let logs = options.path.parent().unwrap();
    std::fs::remove_dir_all(logs).unwrap();
    log.reopen();
    // Even with nothing to write.
    write_out(&log);
    assert_eq!((mode(logs), mode(&options.path)), (0o700, 0o600));
    traffic(&log, b"after");
    write_out(&log);
    assert!(read(&options.path).ends_with("< after\n"));
}

#[test]
fn removed_log_is_made_again_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    let log = Log::open(options.clone()).unwrap();
    let at = Duration::from_millis;
    write_out_at(&log, at(1000));
    std::fs::remove_dir_all(options.path.parent().unwrap()).unwrap();
    write_out_at(&log, at(1999));
    assert!(!options.path.exists());
    write_out_at(&log, at(2000));
    write_out_at(&log, at(2020));
    assert!(read(&options.path).contains("WARN  the log was removed"));
    // One that was only moved is continued until its mover says so.
    let moved = folder.path().join("moved.log");
    std::fs::rename(&options.path, &moved).unwrap();
    traffic(&log, b"moved");
    write_out_at(&log, at(9000));
    assert!(read(&moved).ends_with("< moved\n") && !options.path.exists());
}

#[test]
fn pipe_takes_the_log_and_is_not_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions { file_bytes: 200, ..options(&folder) };
    std::fs::create_dir_all(options.path.parent().unwrap()).unwrap();
    let mode_of_all = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mkfifoat(rustix::fs::CWD, &options.path, mode_of_all).unwrap();
    let log = Log::open(options.clone()).unwrap();
    for _ in 0..10 {
        traffic(&log, &[b'x'; 66]);
    }
    write_out(&log);
    assert!(!older(&options, 1).exists() && mode(&options.path) == 0o600);
    let mut pipe = std::fs::File::open(&options.path).unwrap();
    drop(log);
    let mut text = String::new();
    io::Read::read_to_string(&mut pipe, &mut text).unwrap();
    assert_eq!(text.matches(" < xx").count(), 10, "{text}");
}

#[test]
fn folder_that_cannot_be_made_is_an_error_of_one_line() {
    let path = PathBuf::from("/dev/null/logs/Alford.log");
    let folder = tempfile::tempdir().unwrap();
    let error = Log::open(LogOptions { path, ..options(&folder) }).err().unwrap().to_string();
    assert!(error.starts_with("the log /dev/null/logs/Alford.log cannot be opened: "), "{error}");
    assert!(error.ends_with(": /dev/null is not a folder; choose another folder with --log-dir"), "{error}");
}

impl Log {
    fn buffer_length(&self) -> usize {
        self.main.buffer.length()
    }
}
