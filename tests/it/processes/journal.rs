//! Nodes with a journal: what they know again after a stop, a kill and a full disk, and whose folder they refuse.

use std::{
    fs,
    io::{ErrorKind, PipeReader, PipeWriter, Write, pipe},
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use proxyherd::{
    config,
    core::model::NodeId,
    log::LogDir,
    server::{Announcement, Server, Surroundings},
};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Signal,
};
use serde_json::Value;

use super::support::{Client, Herd, Process, answers, eventually, heavy, herd_command, solo};
use crate::support::skipped;

const WEB: &str = "http = \"127.0.0.1:11700\"\n";

/// A node whose journal is beside its configuration.
fn keeper(more: &str) -> Herd {
    solo(&format!("{WEB}[journal]\ndir = \"kept\"\n{more}"))
}

fn folder(herd: &Herd) -> PathBuf {
    herd.config.with_file_name("kept").join("Solo")
}

fn clients(round: usize) -> Vec<String> {
    (0..50).map(|number| format!("kiwi-{round}-{number}")).collect()
}

/// Reports these clients, and returns the AT lines.
fn report(herd: &Herd, clients: &[String], time: usize) -> Vec<String> {
    let mut client = herd.client("Solo");
    clients.iter().map(|id| client.ask(&format!("IAMAT {id} +34.068930-118.445127 {time}"))).collect()
}

/// Waits until these AT lines, all that were answered since the start, are on the disk.
fn wait_until_synced(herd: &Herd, said: &[String]) {
    let bytes: usize = said.iter().map(|line| line.len() + 1).sum();
    eventually("everything is on the disk", || {
        herd.metric("Solo", "proxyherd_journal_appended_bytes_total") == bytes as f64
            && herd.metric("Solo", "proxyherd_journal_unsynced_bytes") == 0.0
    });
}

#[test]
fn stopped_node_knows_all_of_it_again() {
    let _turn = heavy();
    let mut herd = keeper("");
    herd.start("Solo");
    let said = report(&herd, &clients(1), 1_400_000_001);
    herd.stop("Solo");
    // The stop has left a snapshot, and the segment that was begun with it.
    let mut names: Vec<_> = fs::read_dir(folder(&herd))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["lock", "segment-0000000002", "snapshot-0000000002"]);
    for _ in 0..2 {
        herd.start("Solo");
        assert_eq!(answers(&herd, "Solo", &clients(1)), said);
        herd.wait_for_log("Solo", &["INFO  the journal has 50 clients, read from "]);
        herd.stop("Solo");
    }
}

#[test]
fn node_listens_only_once_it_has_read_its_journal_and_tells_how_far_it_is() {
    let _turn = heavy();
    let mut herd = keeper("");
    herd.start("Solo");
    report(&herd, &clients(1), 1_400_000_000);
    herd.stop("Solo");
    let told = Arc::new(Mutex::new(Vec::new()));
    let (parsed, id) = (config::Herd::load(&herd.config).unwrap(), NodeId::new("Solo").unwrap());
    let node = parsed.node("Solo").unwrap();
    let doors = [Some(&node.listen), node.http.as_ref()].map(|door| door.unwrap().to_string());
    let tells = Arc::clone(&told);
    let surroundings = Surroundings {
        announce: Box::new(move |announcement| {
            let answers = doors.each_ref().map(|door| TcpStream::connect(door).unwrap_err().kind());
            tells.lock().push((announcement, answers));
        }),
        ..Surroundings::default()
    };
    let server = Server::bind(&parsed, &id, &LogDir::Folder(herd.logs.clone()), surroundings).unwrap();
    let told = std::mem::take(&mut *told.lock());
    let [(Announcement::Reading(progress), answers)] = told[..] else { panic!("{told:?}") };
    assert_eq!(answers, [ErrorKind::ConnectionRefused; 2]);
    assert!(progress.bytes.read == 0 && progress.bytes.of > 1_000 && progress.clients == 0, "{progress}");
    TcpStream::connect(server.address().unwrap()).unwrap();
    herd.wait_for_log("Solo", &["INFO  journal: read 0 B of ", " kB, 0 clients"]);
}

/// A pipe that has no room: whoever writes to it waits.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while matches!(writer.write(&[0; 4096]), Ok(1..)) {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn signal_ends_a_node_at_once_that_still_reads_its_journal() {
    let _turn = heavy();
    let mut herd = keeper("");
    herd.start("Solo");
    let said = report(&herd, &clients(1), 1_400_000_000);
    herd.stop("Solo");
    // It says how far it is, which nobody takes.
    let (_reader, writer) = full_pipe();
    let mut process = Process::start_into(herd.command(&["node", "Solo"]), writer);
    herd.wait_for_log("Solo", &["INFO  journal: read 0 B of "]);
    process.signal(Signal::TERM);
    assert_eq!(process.end().signal(), Some(Signal::TERM.as_raw()));
    herd.start("Solo");
    assert_eq!(answers(&herd, "Solo", &clients(1)), said);
}

#[test]
fn killed_node_knows_what_was_on_the_disk_and_nothing_that_was_never_said() {
    let _turn = heavy();
    let mut herd = keeper("sync_seconds = 0.01\nsegment_bytes = 4096\nsnapshot_bytes = 16384\n");
    let (mut known, mut said) = (Vec::new(), Vec::new());
    for round in 0..8 {
        herd.start("Solo");
        assert_eq!(answers(&herd, "Solo", &known), said, "round {round}");
        let before = clients(round);
        let told = report(&herd, &before, 1_400_000_000 + round);
        wait_until_synced(&herd, &told);
        said.extend(told);
        known.extend(before);
        // Of these, any may be lost.
        let late: Vec<_> = (0..50).map(|number| format!("late-{round}-{number}")).collect();
        let told = report(&herd, &late, 1_400_000_000 + round);
        herd.kill("Solo");
        herd.start("Solo");
        for (found, told) in answers(&herd, "Solo", &late).iter().zip(&told) {
            assert!(found == told || found.starts_with("? "), "{found} instead of {told}");
        }
        herd.kill("Solo");
    }
}

/// A client that reports one client's location after another as fast as it is answered, until its connection ends: the
/// last time that was answered, and the last that was sent.
fn pound(mut client: Client, id: &str, from: u64, answered: &AtomicU64) -> (u64, u64) {
    let mut last = from;
    loop {
        let sent = last + 1;
        let asked = client.try_send(format!("IAMAT {id} +34.068930-118.445127 {sent}\n").as_bytes());
        let line = asked.and_then(|()| client.try_line()).unwrap_or_default();
        if !line.ends_with(&format!(" {id} +34.068930-118.445127 {sent}")) {
            return (last, sent);
        }
        last = sent;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Before any report.
const BEGINNING: u64 = 1_400_000_000;

/// Kills a node under load at one moment after another: whatever it answered it knows again, and it knows nothing that it
/// was not told.
///
/// With PROXYHERD_KILLS in the environment, so many times.
fn torture(sync: &str, rounds: u64) {
    let rounds = std::env::var("PROXYHERD_KILLS").map_or(rounds, |rounds| rounds.parse().expect("a number"));
    let mut herd = keeper(&format!("sync = \"{sync}\"\nsegment_bytes = 8192\nsnapshot_bytes = 32768\n"));
    let ids: Vec<_> = (0..8).map(|number| format!("kiwi{number}")).collect();
    let mut times = vec![(BEGINNING, BEGINNING); ids.len()];
    for round in 0..rounds {
        herd.start("Solo");
        let answers = answers(&herd, "Solo", &ids);
        for ((answer, id), (answered, sent)) in answers.iter().zip(&ids).zip(&mut times) {
            let is_unknown = answer.starts_with("? ");
            let found =
                if is_unknown { BEGINNING } else { answer.rsplit(' ').next().unwrap().parse().unwrap() };
            assert!(
                (*answered..=*sent).contains(&found),
                "round {round}: {id} at {found}, not {answered} to {sent}"
            );
            (*answered, *sent) = (found, found);
        }
        let count = AtomicU64::new(0);
        times = thread::scope(|scope| {
            let reporters = ids.iter().zip(&times).map(|(id, (from, _))| {
                let (client, count) = (herd.client("Solo"), &count);
                scope.spawn(move || pound(client, id, *from, count))
            });
            let reporters: Vec<_> = reporters.collect();
            // Not at the same place of the files each time.
            let enough = 20 + round * 37 % 211;
            eventually("enough is answered", || count.load(Ordering::Relaxed) >= enough);
            herd.kill("Solo");
            reporters.into_iter().map(|reporter| reporter.join().unwrap()).collect()
        });
    }
}

#[test]
fn what_was_answered_after_its_commit_is_there_after_every_kill() {
    let _turn = heavy();
    torture("commit", 100);
}

#[test]
fn stale_report_is_answered_once_what_it_met_is_on_the_disk() {
    let _turn = heavy();
    let mut herd = keeper("sync = \"commit\"\n");
    herd.start("Solo");
    let mut client = herd.client("Solo");
    let at = herd.report("Solo", "kiwi", "1400000002");
    let stale = client.ask("IAMAT kiwi +1+1 1400000001");
    assert!(stale.ends_with(" kiwi +1+1 1400000001"), "{stale}");
    // Told twice: for itself, and for the one that met it.
    wait_until_synced(&herd, &[at.clone(), at.clone()]);
    herd.kill("Solo");
    herd.start("Solo");
    assert!(herd.answers("Solo", "kiwi", &at));
}

#[test]
fn whole_herd_that_was_switched_off_comes_back_with_what_it_knew() {
    let _turn = heavy();
    let herd = Herd::new(
        "[herd]\nname = \"pair\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\nlinks = [\"B\"]\n\
         [[node]]\nid = \"B\"\nlisten = \"127.0.0.1:11601\"\n",
    );
    let kept = herd.config.with_file_name("kept here");
    let mut at = None;
    for start in 0..2 {
        let mut command = herd.command(&["up"]);
        command.arg("--data-dir").arg(&kept);
        let mut up = Process::start(command);
        let table = format!("Kept over a stop, in {}", kept.display());
        up.hear("the table", |said| said.iter().any(|line| line.contains("WHATSAT")));
        assert!(up.said.contains(&table), "{:?}", up.said);
        let at = at.get_or_insert_with(|| herd.report("A", "kiwi", "1400000000"));
        herd.wait_until_known(&["A", "B"], "kiwi", at);
        up.signal(Signal::INT);
        assert_eq!(up.end().code(), Some(0), "start {start}: {:?}", up.complained);
    }
    assert!(kept.join("A").is_dir() && kept.join("B").is_dir());
}

/// Starts a node that is refused with that exit code; the line it says.
fn refused(herd: &Herd, code: i32) -> String {
    let mut process = Process::start(herd.command(&["node", "Solo"]));
    assert_eq!(process.end().code(), Some(code));
    let said = process.all_complaints();
    let [line] = &said[..] else { panic!("{said:?}") };
    line.clone()
}

#[test]
fn folder_of_another_process_node_or_version_is_refused_in_one_line() {
    let _turn = heavy();
    let mut herd = keeper("");
    herd.start("Solo");
    report(&herd, &clients(1), 1_400_000_000);
    let in_use =
        format!("herd: {} is in use by another process, such as a node or ", folder(&herd).display());
    let text = fs::read_to_string(&herd.config).unwrap();
    // The same node at other ports.
    fs::write(&herd.config, text.replace(":11600", ":11650").replace(":11700", ":11750")).unwrap();
    assert!(refused(&herd, 1).starts_with(&in_use));
    herd.stop("Solo");
    fs::write(&herd.config, text.replace("\"solo\"", "\"other\"")).unwrap();
    let line = refused(&herd, 2);
    assert!(line.contains(" is of node Solo of herd solo; give each node a folder of its own"), "{line}");
    fs::write(&herd.config, &text).unwrap();
    herd.start("Solo");
    herd.stop("Solo");
    let other = herd.config.with_file_name("file");
    fs::write(&other, "").unwrap();
    fs::write(&herd.config, text.replace("\"kept\"", "\"file\"")).unwrap();
    let line = refused(&herd, 1);
    assert!(line.contains("choose another with --data-dir"), "{line}");
}

/// What a node says of its damage: places that its start found, files that are kept, and the metric of both.
fn damage(herd: &Herd) -> (u64, u64, f64) {
    let status: Value = serde_json::from_str(&herd.page("Solo", "/status")).unwrap();
    let number = |field| status["journal"][field].as_u64().unwrap();
    let metric = herd.metric("Solo", "proxyherd_journal_damaged");
    (number("damaged_places"), number("damaged_files_kept"), metric)
}

#[test]
fn damage_is_told_what_is_good_is_used_and_the_file_is_kept() {
    let _turn = heavy();
    let mut herd = keeper("sync_seconds = 0.01\n");
    herd.start("Solo");
    let mut said = Vec::new();
    // In three frames at least, and the damage in the middle.
    for part in clients(1).chunks(17) {
        said.extend(report(&herd, part, 1_400_000_000));
        wait_until_synced(&herd, &said);
    }
    herd.kill("Solo");
    let segment = folder(&herd).join("segment-0000000001");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    herd.start("Solo");
    let found = answers(&herd, "Solo", &clients(1));
    let lost = found.iter().zip(&said).filter(|(found, said)| found != said).count();
    assert!((1..50).contains(&lost), "{lost} lost");
    herd.wait_for_log("Solo", &["ERROR the journal is damaged: segment-0000000001 lacks "]);
    assert_eq!(damage(&herd), (1, 0, 1.0));
    eventually("the damaged file is kept aside", || {
        folder(&herd).join("segment-0000000001.damaged").exists()
    });
    herd.stop("Solo");
    herd.start("Solo");
    assert_eq!(answers(&herd, "Solo", &clients(1)), found);
    assert_eq!(damage(&herd), (0, 1, 1.0), "it is still there");
    let dir = folder(&herd).display().to_string();
    let run = |subcommand: &str| {
        let output = herd_command(&["journal", subcommand, &dir]).output().unwrap();
        let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code().unwrap(), texts.concat())
    };
    let in_use = format!("herd: {dir} is in use by another process, such as its node; end that one first\n");
    assert_eq!(run("check"), (1, in_use));
    herd.stop("Solo");
    let (code, said) = run("check");
    assert!(code == 1 && said.starts_with(&format!("{dir}: a journal of Solo of the herd solo\n")), "{said}");
    assert!(said.contains("\nkept aside: segment-0000000001.damaged\nnot whole\nherd: "), "{said}");
    assert!(said.ends_with(&format!("; look at them, then: herd journal dismiss {dir}\n")), "{said}");
    let cure = "a node that runs counts them until its next start: restart it to clear its alert";
    assert_eq!(run("dismiss"), (0, format!("removed segment-0000000001.damaged\n{cure}\n")));
    assert_eq!(run("dismiss"), (0, format!("{dir} keeps no damaged files\n")));
    let (code, said) = run("check");
    assert!(code == 0 && said.ends_with(" records\nwhole\n"), "{said}");
    herd.start("Solo");
    assert_eq!(answers(&herd, "Solo", &clients(1)), found);
    assert_eq!(damage(&herd), (0, 0, 0.0));
}

/// A file system in memory of 256 KiB, until dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// The one under a node's journal; `None`, and said, if none can be mounted here.
    fn under(herd: &Herd) -> Option<Self> {
        let tell = |why: &String| {
            let cure = "install util-linux and run this as root";
            skipped("a full disk under a journal", &format!("no tmpfs can be mounted: {why}; {cure}"));
        };
        Self::mount(&herd.config.with_file_name("kept"), 256 * 1024).inspect_err(tell).ok()
    }

    /// Why there is none here, if there is not.
    fn mount(at: &Path, bytes: usize) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "herd-test"]).arg(at);
        match command.output() {
            Ok(output) if output.status.success() => Ok(Self(at.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn full_disk_degrades_a_node_that_serves_on_and_nothing_is_lost_once_there_is_room() {
    let _turn = heavy();
    let mut herd = keeper("sync_seconds = 0.01\nretry_seconds = 0.05\n");
    let Some(disk) = SmallDisk::under(&herd) else { return };
    let ballast = disk.0.join("ballast");
    herd.start("Solo");
    fs::write(&ballast, vec![0; 200 * 1024]).unwrap();
    let (mut known, mut said) = (Vec::new(), Vec::new());
    for round in 0..20 {
        said.extend(report(&herd, &clients(round), 1_400_000_000));
        known.extend(clients(round));
    }
    eventually("it says that its disk is full", || {
        herd.page("Solo", "/status").contains("the journal cannot be written: No space left on device")
    });
    herd.wait_for_log("Solo", &["ERROR the journal cannot be written: No space left on device"]);
    assert!(
        herd.answer("Solo", "/readyz").starts_with("HTTP/1.1 200"),
        "a full disk is no reason to end a herd"
    );
    assert_eq!(answers(&herd, "Solo", &known), said);
    fs::remove_file(&ballast).unwrap();
    wait_until_synced(&herd, &said);
    eventually("it is well again", || herd.metric("Solo", "proxyherd_journal_failing") == 0.0);
    assert_eq!(herd.metric("Solo", "proxyherd_journal_failures_total"), 1.0);
    herd.kill("Solo");
    herd.start("Solo");
    assert_eq!(answers(&herd, "Solo", &known), said);
    herd.stop("Solo");
}

#[test]
fn node_that_commits_refuses_reports_on_a_full_disk_and_takes_them_again() {
    let _turn = heavy();
    let mut herd = keeper("sync = \"commit\"\nretry_seconds = 0.05\ncommit_seconds = 0.5\n");
    let Some(disk) = SmallDisk::under(&herd) else { return };
    let ballast = disk.0.join("ballast");
    herd.start("Solo");
    let before = herd.report("Solo", "before", "1400000000");
    fs::write(&ballast, vec![0; 240 * 1024]).unwrap();
    // The first that finds no room waits for the disk, unanswered; those after it are refused at once.
    let mut refused = Vec::new();
    eventually("a report is refused", || {
        let id = format!("kiwi{}-{}", refused.len(), "x".repeat(900));
        let line = format!("IAMAT {id} +34.068930-118.445127 1400000000");
        let mut client = herd.client("Solo");
        client.send(format!("{line}\n").as_bytes());
        refused.push(client.try_line().unwrap_or_default());
        *refused.last().unwrap() == format!("? {line}")
    });
    assert!(
        herd.answer("Solo", "/readyz")
            .contains("it acknowledges no reports, since its journal cannot be written")
    );
    assert!(herd.answer("Solo", "/readyz").starts_with("HTTP/1.1 503"));
    let forgettings = "proxyherd_requests_total{kind=\"forget\",outcome=\"not_kept\"}";
    assert_eq!(herd.metric("Solo", forgettings), 0.0);
    assert_eq!(herd.client("Solo").ask("FORGET before"), "? FORGET before");
    eventually("that is counted", || herd.metric("Solo", forgettings) == 1.0);
    herd.wait_for_log(
        "Solo",
        &["WARN", "its reports were not on the disk within 500ms, so they are not acknowledged"],
    );
    assert!(herd.answers("Solo", "before", &before), "questions are answered all the same");
    fs::remove_file(&ballast).unwrap();
    eventually("it is ready again", || herd.answer("Solo", "/readyz").starts_with("HTTP/1.1 200"));
    let after = herd.report("Solo", "after", "1400000000");
    herd.kill("Solo");
    herd.start("Solo");
    assert!(herd.answers("Solo", "before", &before) && herd.answers("Solo", "after", &after));
}

#[test]
fn stop_does_not_wait_for_sessions_that_wait_for_a_full_disk() {
    let _turn = heavy();
    let mut herd = keeper("sync = \"commit\"\ncommit_seconds = 600\n[limits]\ndrain_seconds = 2\n");
    let Some(disk) = SmallDisk::under(&herd) else { return };
    herd.start("Solo");
    assert!(fs::write(disk.0.join("ballast"), vec![0; 1 << 20]).is_err(), "it is full");
    let mut client = herd.client("Solo");
    let lines = (0..16)
        .map(|number| format!("IAMAT kiwi{number}-{} +34.068930-118.445127 1400000000\n", "x".repeat(900)));
    client.send(lines.collect::<String>().as_bytes());
    eventually("the disk fails", || herd.metric("Solo", "proxyherd_journal_failing") == 1.0);
    let said = herd.stop_in_vain("Solo");
    let [line] = &said[..] else { panic!("{said:?}") };
    assert!(line.starts_with("herd: Solo has ended, and its journal lacks "), "{line}");
    assert_eq!(client.rest(), b"", "nothing was acknowledged");
    let log = herd.log("Solo");
    assert!(log.iter().any(|line| line.contains("ERROR the journal lacks ")), "{log:?}");
    assert!(
        log.last().unwrap().ends_with("ERROR Solo stops without having kept everything in its journal"),
        "{log:?}"
    );
}
