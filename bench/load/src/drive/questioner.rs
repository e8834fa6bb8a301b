//! Who asks what: draws kind, client and place of each request, and remembers what a reply must say.

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    connection::Connection,
    inbox::Awaited,
    owed::{Kind, Sent},
};
use crate::{
    keys::Keys,
    load::{Length, Load, Mix},
    reply::Expected,
    requests::Composer,
    stamp::Stamp,
};

/// The source of all requests of a run.
#[derive(Debug)]
pub(crate) struct Questioner {
    mix: Mix,
    verify: bool,
    composer: Composer,
    random: SmallRng,
    /// Each client's last report, if lookups are checked against them and only one connection reports it.
    reports: Option<Vec<Option<Stamp>>>,
}

impl Questioner {
    pub(crate) fn new(load: &Load, posix_ns: u64) -> Self {
        let clients = load.clients as usize;
        let checks_lookups =
            load.verify && load.mix.whatsat > 0 && matches!(load.choice, crate::load::Choice::Uniform);
        // The load that reports all clients once and the one that follows must not draw the same.
        let seed = load.seed ^ u64::from(load.length == Length::EveryClient);
        Self {
            mix: load.mix,
            verify: load.verify,
            composer: Composer::new(load, posix_ns),
            random: SmallRng::seed_from_u64(seed),
            reports: checks_lookups.then(|| vec![None; clients]),
        }
    }

    /// Appends so many requests to what a connection will send. Those of an open loop have a planned time.
    pub(crate) fn ask(
        &mut self,
        connection: &mut Connection,
        requests: u32,
        (planned_ns, now_ns): (u64, u64),
        posix_ns: u64,
    ) {
        self.composer.set_time(posix_ns);
        if self.mix.whatsat == 0 && !self.verify {
            // The whole of most loads, and then as fast as can be.
            for _ in 0..requests {
                let number = connection.keys.next(&mut self.random);
                self.composer.report(&mut connection.out, number);
            }
            let sent = Sent { kind: Kind::Report, planned_ns, sent_ns: now_ns, requests };
            connection.owed.push(sent);
            return;
        }
        for _ in 0..requests {
            let kind = self.kind();
            self.ask_one(connection, kind);
            connection.owed.push(Sent { kind, planned_ns, sent_ns: now_ns, requests: 1 });
        }
    }

    fn ask_one(&mut self, connection: &mut Connection, kind: Kind) {
        let number = connection.keys.next(&mut self.random);
        let report = match kind {
            Kind::Report => {
                let report = self.composer.report(&mut connection.out, number);
                if let Some(reports) = &mut self.reports {
                    reports[number as usize] = Some(report);
                }
                Some(report)
            }
            Kind::Lookup => {
                self.composer.lookup(&mut connection.out, number);
                self.reports.as_ref().and_then(|reports| reports[number as usize])
            }
        };
        if self.verify {
            connection.inbox.expect(Awaited { kind, reply: Expected { number, report } });
        }
    }

    /// A connection ended; nobody knows whether its clients' last reports arrived.
    pub(crate) fn forget(&mut self, keys: &Keys) {
        if let (Some(reports), Keys::Uniform(slice)) = (&mut self.reports, keys) {
            reports[slice.start as usize..slice.end as usize].fill(None);
        }
    }

    fn kind(&mut self) -> Kind {
        let Mix { iamat, whatsat } = self.mix;
        let drawn = if whatsat == 0 { 0 } else { self.random.random_range(0..iamat + whatsat) };
        if drawn < iamat { Kind::Report } else { Kind::Lookup }
    }
}
