//! The audit log: who did, from where, what nobody else may do without leaving a trace. It has a file of its own, which traffic and
//! events cannot rotate away, and of each kind only so many entries an hour: so a flood of what anyone can do at will, such
//! as to show a wrong token, leaves what stood there before for a month.

use std::{
    fmt, str,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Log, RateLimit, traffic::escape_into};
use crate::core::model::Tick;

/// How much of an id an entry shows.
const ID_BYTES_MAX: usize = 128;

/// What an entry is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditKind {
    /// Somebody showed a token that is wrong, or no longer valid.
    AuthFailed,
    /// Somebody did what the token shown does not allow, or without one.
    Forbidden,
    /// A client was forgotten.
    Forget,
    /// The tokens in force changed.
    Tokens,
}

impl AuditKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::AuthFailed, Self::Forbidden, Self::Forget, Self::Tokens];

    /// Its name, in the file and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::AuthFailed => "auth_failed",
            Self::Forbidden => "forbidden",
            Self::Forget => "forget",
            Self::Tokens => "tokens",
        }
    }

    /// How many entries an hour the file takes: few of what anyone can do.
    fn per_hour(self) -> u64 {
        match self {
            Self::AuthFailed | Self::Forbidden | Self::Tokens => 60,
            Self::Forget => 3_600,
        }
    }
}

/// What the audit log counts and leaves out.
#[derive(Debug)]
pub(super) struct Trail {
    limits: [RateLimit; AuditKind::ALL.len()],
    counts: [AtomicU64; AuditKind::ALL.len()],
}

impl Default for Trail {
    fn default() -> Self {
        let limits = AuditKind::ALL.map(|kind| RateLimit::per_hour(kind.per_hour()));
        Self { limits, counts: Default::default() }
    }
}

impl Log {
    /// Adds an entry, unless too many of its kind came within the hour; it is counted in any case. `what` names the client by
    /// [`ShownId`], and no token.
    pub fn audit(&self, kind: AuditKind, now: Tick, what: fmt::Arguments<'_>) {
        self.trail.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(untold) = self.trail.limits[kind as usize].allow(now) {
            self.enter(format_args!("{} {what}{untold}", kind.label()));
        }
    }

    /// Adds how many entries of each kind were left out, since no later one will say it.
    pub fn audit_untold(&self) {
        for (kind, limit) in AuditKind::ALL.iter().zip(&self.trail.limits) {
            if let Some(count) = limit.take_untold() {
                self.enter(format_args!("{} {count} more since the last such line", kind.label()));
            }
        }
    }

    /// How often something of each kind happened since the node's start.
    pub fn audited(&self) -> Vec<(AuditKind, u64)> {
        let count = |kind: AuditKind| self.trail.counts[kind as usize].load(Ordering::Relaxed);
        AuditKind::ALL.map(|kind| (kind, count(kind))).to_vec()
    }
}

/// A client's id as an entry shows it: printable, in one piece, and no longer than needed to know it again.
pub struct ShownId<'a>(pub &'a [u8]);

impl fmt::Display for ShownId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id) = *self;
        let mut shown = Vec::new();
        escape_into(&id[..id.len().min(ID_BYTES_MAX)], &mut shown);
        // What is escaped is ASCII.
        f.write_str(str::from_utf8(&shown).unwrap_or_default())?;
        if id.len() > ID_BYTES_MAX { write!(f, "[… {} bytes]", id.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::log::{
        AuditOptions, LogOptions,
        tests::{mode, options, read, traffic, write_out},
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    /// A log with an audit log, of which that much is kept in files of so many bytes.
    fn audited(
        folder: &tempfile::TempDir,
        file_bytes: usize,
        files_kept: usize,
    ) -> (Log, LogOptions, PathBuf) {
        let path = folder.path().join("logs").join("Alford.audit.log");
        let audit = AuditOptions { path: path.clone(), buffer_bytes: 65_536, file_bytes, files_kept };
        let options = LogOptions { audit: Some(audit), file_bytes: 2_000, ..options(folder) };
        (Log::open(options.clone()).unwrap(), options, path)
    }

    #[test]
    fn entries_stand_in_a_file_of_their_own_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let (log, options, path) = audited(&folder, 1 << 20, 1);
        let client = ShownId(b"ki\nwi\\\xff");
        log.audit(AuditKind::Forget, HOUR, format_args!("#7 from 127.0.0.1:1: {client}"));
        log.info(format_args!("an event"));
        write_out(&log);
        let text = read(&path);
        let (time, entry) = text.split_at("2026-12-01T05:00:00.123456Z".len());
        assert!(time.ends_with('Z') && time.starts_with("20"), "{text}");
        assert_eq!(entry, " forget #7 from 127.0.0.1:1: ki\\x0awi\\\\\\xff\n");
        assert_eq!((mode(&path), read(&options.path).lines().count()), (0o600, 1));
    }

    #[test]
    fn long_id_is_cut_with_its_length() {
        let text = ShownId(&[b'k'; ID_BYTES_MAX + 1]).to_string();
        assert_eq!(text, format!("{}[… 129 bytes]", "k".repeat(ID_BYTES_MAX)));
        assert_eq!(ShownId(&[b'k'; ID_BYTES_MAX]).to_string(), "k".repeat(ID_BYTES_MAX));
    }

    #[test]
    fn floods_of_traffic_events_and_wrong_tokens_leave_older_entries_for_a_month() {
        let folder = tempfile::tempdir().unwrap();
        let kept = crate::config::LogConfig::default();
        let (log, options, path) = audited(&folder, kept.audit_file_bytes, kept.audit_files_kept);
        log.audit(AuditKind::Forget, HOUR, format_args!("#1 of admin from 10.0.0.1:1: kiwi"));
        // The longest of each kind that anyone can cause.
        let (id, number, address) =
            ([0xff; 1_024], u64::MAX, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
        let (mut now, month) = (HOUR, 30 * 24 * HOUR);
        while now < HOUR + month {
            for _ in 0..10 {
                log.audit(AuditKind::AuthFailed, now, format_args!("#{number} of {:064} from {address}", 0));
                let id = ShownId(&id);
                log.audit(
                    AuditKind::Forbidden,
                    now,
                    format_args!("#{number} of {:064} from {address}: IAMAT {id}", 0),
                );
            }
            traffic(&log, &[b'x'; 80]);
            log.info(format_args!("an event"));
            write_out(&log);
            now += Duration::from_secs(60);
        }
        let older = |number: usize| path.with_file_name(format!("Alford.audit.log.{number}"));
        let files = (1..=kept.audit_files_kept).map(older).chain([path.clone()]);
        let all: String = files.filter(|path| path.exists()).map(|path| read(&path)).collect();
        assert!(all.contains(" forget #1 of admin from 10.0.0.1:1: kiwi\n"), "it was rotated away");
        let minutes = month.as_secs() as usize / 60;
        let entries = all.matches(" auth_failed ").count();
        assert!((minutes..=minutes + 60).contains(&entries), "{entries} in {minutes} minutes");
        assert!(all.contains(" (and 9 more since the last such line)\n"));
        assert_eq!(log.audited()[0], (AuditKind::AuthFailed, 10 * minutes as u64));
        assert!(read(&options.path).len() <= 2_000 && older(1).exists());
    }

    #[test]
    fn what_is_left_out_is_counted_at_the_latest_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _, path) = audited(&folder, 1 << 20, 1);
        for _ in 0..70 {
            log.audit(AuditKind::Tokens, HOUR, format_args!("loaded"));
        }
        log.audit_untold();
        write_out(&log);
        let text = read(&path);
        assert_eq!(text.matches(" tokens loaded\n").count(), 60);
        assert!(text.ends_with(" tokens 10 more since the last such line\n"), "{text}");
    }

    #[test]
    fn entries_that_find_no_room_are_counted_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let (log, options, path) = audited(&folder, 1 << 20, 1);
        // Entries of two hundred bytes in a buffer of 64 KiB.
        for _ in 0..400 {
            log.audit(AuditKind::Forget, HOUR, format_args!("{:0165}", 0));
        }
        write_out(&log);
        write_out(&log);
        let entries = read(&path).lines().count();
        assert!((320..330).contains(&entries), "{entries}");
        let condition = log.condition(Tick::ZERO);
        assert_eq!((condition.dropped_lines, condition.dropped_events), (0, 400 - entries as u64));
        let told = format!("WARN  {} events dropped: the disk is slower", 400 - entries);
        let text = read(&options.path);
        assert!(text.contains(&told) && text.contains("Alford.audit.log)"), "{text}");
    }

    #[test]
    fn without_a_file_of_their_own_entries_are_events() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let log = Log::open(options.clone()).unwrap();
        log.audit(AuditKind::Tokens, HOUR, format_args!("loaded"));
        write_out(&log);
        assert!(read(&options.path).ends_with("Z INFO  audit: tokens loaded\n"));
    }

    #[test]
    fn numbers_are_places_in_the_list() {
        assert!(AuditKind::ALL.iter().enumerate().all(|(place, &kind)| kind as usize == place));
    }
}
