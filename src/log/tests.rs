//! The log as a whole: order, bounds, rotation, moved files, full disks.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::model::Timestamp;

fn options(folder: &tempfile::TempDir) -> Options {
    Options {
        path: folder.path().join("logs").join("Alford.log"),
        traffic: true,
        bodies: false,
        buffer_bytes: 1 << 20,
        file_bytes: 1 << 30,
        files_kept: 2,
    }
}

/// One tick of the writer.
fn write_out(log: &Log) {
    log.write_out(&mut log.file.lock());
}

fn traffic(log: &Log, line: &[u8]) {
    let mut traffic = Traffic::default();
    traffic.begin(Timestamp::new(1_479_413_884, 392_014_450), 17);
    traffic.line_in(line);
    traffic.finish(log);
}

fn read(path: &std::path::Path) -> String {
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
    let mode = std::fs::metadata(&options.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
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
    let options = Options { buffer_bytes: 8000, ..options(&folder) };
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
    let options = Options { buffer_bytes: 8000, ..options(&folder) };
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
    let options = Options { file_bytes: 1000, ..options(&folder) };
    let log = Log::open(options.clone()).unwrap();
    for number in 0..60 {
        traffic(&log, format!("{number:065}").as_bytes());
        if number % 7 == 0 {
            write_out(&log);
        }
    }
    write_out(&log);
    let name = |suffix: &str| PathBuf::from(format!("{}{suffix}", options.path.display()));
    let files = [name(".2"), name(".1"), name("")];
    let mut numbers = Vec::new();
    for file in &files {
        let text = read(file);
        assert!(text.len() <= 1000 && text.ends_with('\n'), "{}", text.len());
        numbers.extend(text.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()));
    }
    // Ten lines of 100 bytes a file.
    assert_eq!(numbers, (30..60).collect::<Vec<_>>());
    assert!(!name(".3").exists());
}

#[test]
fn a_line_longer_than_a_file_gets_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { file_bytes: 100, ..options(&folder) };
    let log = Log::open(options.clone()).unwrap();
    traffic(&log, b"short");
    traffic(&log, &[b'x'; 500]);
    traffic(&log, b"short");
    write_out(&log);
    assert_eq!(read(&PathBuf::from(format!("{}.1", options.path.display()))).lines().count(), 1);
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
    traffic(&log, b"x");
    write_out(&log);
    assert!(read(&options.path).starts_with("half\n2016-"));
}

#[test]
fn full_disk_is_survived_and_lines_are_kept_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    std::fs::create_dir_all(options.path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &options.path).unwrap();
    let log = Log::open(options.clone()).unwrap();
    traffic(&log, b"kept");
    write_out(&log);
    assert!(log.file.lock().failures().is_some());
    std::fs::remove_file(&options.path).unwrap();
    log.reopen();
    write_out(&log);
    write_out(&log);
    let text = read(&options.path);
    assert!(text.contains("< kept\n"), "{text}");
    assert!(text.contains("the log could not be written for a while: No space left"), "{text}");
}

#[test]
fn folder_that_cannot_be_made_is_an_error_of_one_line() {
    let path = PathBuf::from("/dev/null/logs/Alford.log");
    let folder = tempfile::tempdir().unwrap();
    let error = Log::open(Options { path, ..options(&folder) }).err().unwrap().to_string();
    assert!(error.starts_with("the log /dev/null/logs/Alford.log cannot be opened: "), "{error}");
    assert!(error.ends_with("choose a folder this user may write to with --log-dir"), "{error}");
}

impl Log {
    fn buffer_length(&self) -> usize {
        self.buffer.length()
    }
}
