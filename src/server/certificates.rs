//! The certificate that clients are shown while a node runs: a thread looks whether its files have changed, shows what
//! they hold from then on, and says when its time will be over. A pair that cannot be used changes nothing.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use parking_lot::Mutex;

use super::{Shared, StartError, shared::Stop};
use crate::{
    config::{CertificateFiles, TlsConfig},
    core::model::{Tick, Timestamp},
    keys::Certificate,
    log::Log,
    system::clock,
    text::plural,
    transport::ServiceTls,
    web::CertificateReport,
};

const DAY: Duration = Duration::from_secs(86_400);

/// From so many days before its end, the log says each day that a certificate must be replaced.
const WARNING_DAYS: u64 = 30;

/// A node's certificate.
#[derive(Debug)]
pub(super) struct Certificates {
    files: CertificateFiles,
    watch_time: Duration,
    pub(super) service: ServiceTls,
    state: Mutex<State>,
    /// Asks the thread to look at once.
    ask: Sender<()>,
    asked: Receiver<()>,
}

#[derive(Debug)]
struct State {
    expires: Timestamp,
    /// What the files were like when they were last read.
    stamps: [FileStamp; 2],
    /// Why they are not what is shown, if they are not.
    fault: Option<String>,
    /// When the log may next say that the time is nearly over.
    warn_at: Tick,
}

/// What changes with a file; `None` for one that is not there.
type FileStamp = Option<(u64, u64, u64, i64, i64)>;

impl Certificates {
    /// Reads that node's files.
    pub(super) fn load(config: &TlsConfig, id: &str, log: &Log) -> Result<Option<Self>, StartError> {
        let Some(files) = config.files(id) else { return Ok(None) };
        // Before they are read: what changes meanwhile is seen later.
        let stamps = stamps(&files);
        let certificate = Certificate::load(&files.certificate, &files.key)?;
        let service = ServiceTls::new(certificate.shown).map_err(std::io::Error::other)?;
        let (expires, (ask, asked)) = (certificate.expires, bounded(1));
        let state = Mutex::new(State { expires, stamps, fault: None, warn_at: Tick::ZERO });
        let this = Self { files, watch_time: config.watch_time, service, state, ask, asked };
        this.tell_shown(log, expires);
        Ok(Some(this))
    }

    /// Has the files looked at soon.
    pub(super) fn ask(&self) {
        // One message waiting is enough.
        let _ = self.ask.try_send(());
    }

    pub(super) fn report(&self) -> CertificateReport {
        let state = self.state.lock();
        CertificateReport { expires: state.expires, fault: state.fault.clone() }
    }

    /// Looks after the certificate until stop.
    pub(super) fn run(&self, shared: &Shared<'_>, stop: &Stop) {
        loop {
            self.warn(shared.log, clock::wall(), clock::tick());
            select! {
                recv(stop.receiver()) -> _ => return,
                recv(self.asked) -> _ => self.look(shared.log, true),
                default(self.watch_time) => self.look(shared.log, false),
            }
        }
    }

    /// Reads the files if they have changed, or if that is wanted in any case.
    fn look(&self, log: &Log, is_wanted: bool) {
        let stamps = stamps(&self.files);
        if !is_wanted && self.state.lock().stamps == stamps {
            return;
        }
        let loaded = Certificate::load(&self.files.certificate, &self.files.key);
        let mut state = self.state.lock();
        state.stamps = stamps;
        match loaded {
            Ok(Certificate { shown, expires }) => {
                self.service.show(shown);
                (state.expires, state.fault, state.warn_at) = (expires, None, Tick::ZERO);
                drop(state);
                self.tell_shown(log, expires);
            }
            Err(error) => {
                let error = error.to_string();
                log.warn(format_args!(
                    "the certificate stays as it was, since its files cannot be used: {error}"
                ));
                state.fault = Some(error);
            }
        }
    }

    fn tell_shown(&self, log: &Log, expires: Timestamp) {
        let file = self.files.certificate.display();
        log.info(format_args!(
            "clients are shown the certificate {file}, good until {}",
            clock::utc_text(expires)
        ));
    }

    /// Says once a day that the time is nearly over, or over.
    fn warn(&self, log: &Log, now: Timestamp, tick: Tick) {
        let mut state = self.state.lock();
        if tick < state.warn_at {
            return;
        }
        let Some(what) = warning(state.expires, now) else { return };
        state.warn_at = tick + DAY;
        let file = self.files.certificate.display();
        log.warn(format_args!(
            "the certificate {file} {what}; replace it and its key, the node takes them up"
        ));
    }
}

/// What is to be said of a certificate that ends then, if anything is.
fn warning(expires: Timestamp, now: Timestamp) -> Option<String> {
    let Some(left) = expires.seconds().checked_sub(now.seconds()).filter(|left| *left > 0) else {
        return Some(format!("is good no longer, since {}", clock::utc_text(expires)));
    };
    let days = left / DAY.as_secs();
    (days < WARNING_DAYS).then(|| {
        format!("is good for {days} day{} more, until {}", plural(days as usize), clock::utc_text(expires))
    })
}

fn stamps(files: &CertificateFiles) -> [FileStamp; 2] {
    let stamp = |path: &Path| {
        let about = fs::metadata(path).ok()?;
        Some((about.dev(), about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
    };
    [&files.certificate, &files.key].map(|path| stamp(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_thirty_days_are_told_and_what_comes_after() {
        let expires = Timestamp::new(100 * 86_400, 0);
        let before =
            |days: u64, seconds: u64| warning(expires, Timestamp::new((100 - days) * 86_400 - seconds, 0));
        assert_eq!(before(30, 0), None);
        assert_eq!(
            before(29, 86_399).unwrap(),
            "is good for 29 days more, until 1970-04-11T00:00:00.000000Z"
        );
        assert_eq!(before(1, 5).unwrap(), "is good for 1 day more, until 1970-04-11T00:00:00.000000Z");
        assert!(before(0, 1).unwrap().starts_with("is good for 0 days more"));
        let over = "is good no longer, since 1970-04-11T00:00:00.000000Z";
        assert_eq!((before(0, 0).unwrap().as_str(), before(0, 1).as_deref() == Some(over)), (over, false));
        assert_eq!(warning(expires, Timestamp::new(u64::MAX / 4, 0)).as_deref(), Some(over));
    }
}
