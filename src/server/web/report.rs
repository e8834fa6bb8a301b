//! The report that the pages show, gathered from the whole node.

use std::sync::atomic::Ordering;

use super::{Web, WebDoor};
use crate::{
    core::{access::Quota, links::LinkState, model::Tick, node::Neighbour},
    metrics::{RequestKind, RequestOutcome},
    places,
    server::{Shared, certificates::Certificates, seats::Tally, usage},
    web::{ConnectionCounts, LinkReport, NodeReport, RetentionReport, TokensReport},
};

impl WebDoor<'_> {
    fn tokens(&self) -> Option<TokensReport> {
        let failing = self.shared.tokens.as_ref()?.lock().failing.clone();
        Some(TokensReport { count: self.shared.node.access().count()?, failing })
    }

    pub(super) fn report(&self, now: Tick) -> NodeReport {
        let Shared { node, connections, counters, requests, log, .. } = self.shared;
        let Web { config, seats, .. } = self.web;
        let uptime = now.saturating_sub(self.started);
        let link = |neighbour: &Neighbour| {
            let mut condition = neighbour.health.condition(now);
            // A peer whose lines are not understood shows up in its rounds.
            condition.is_refused &= neighbour.plain.is_some();
            // Nothing waits for a link that is down: what a session queued just as it ended is discarded.
            let is_up = condition.state == LinkState::Up;
            LinkReport {
                peer: neighbour.id.to_string(),
                dialect: if neighbour.plain.is_some() { "plain" } else { "herd" },
                is_behind: is_up && neighbour.outbox.is_behind(),
                outbox_bytes: if is_up { neighbour.outbox.bytes() } else { 0 },
                condition,
            }
        };
        let Tally { clients, peers, waiting } = connections.tally();
        NodeReport {
            herd: node.herd.clone(),
            node: node.id.to_string(),
            uptime,
            ready_grace: config.ready_grace,
            is_draining: self.shared.is_stopping(),
            clients: node.store().len(),
            tombstones: node.store().tombstones(),
            store_bytes: node.store().bytes(),
            store_bytes_max: node.store().bounds().bytes,
            sum: node.store().sum(),
            connections: ConnectionCounts {
                clients,
                peers,
                waiting,
                http: seats.count(),
                max: connections.most(),
                accepted: counters.accepted.load(Ordering::Relaxed),
                refused: counters.refused.load(Ordering::Relaxed),
            },
            quota_waits: Quota::ALL
                .map(|quota| (quota, counters.quota_waits[quota as usize].load(Ordering::Relaxed)))
                .to_vec(),
            pages_refused: counters.pages_refused.load(Ordering::Relaxed),
            audited: log.audited(),
            outcomes: RequestOutcome::ALL.map(|outcome| (outcome, requests.count(outcome))).to_vec(),
            spreads: RequestKind::ALL.map(|kind| (kind, requests.spread(kind))).to_vec(),
            links: node.neighbours().iter().map(link).collect(),
            certificate: self.shared.certificates.map(Certificates::report),
            upstreams: self.shared.places.map(places::Source::upstreams).unwrap_or_default(),
            journal: self.shared.journal.as_ref().map(|journal| journal.lock().clone()),
            tokens: self.tokens(),
            retention: self.shared.retention.as_ref().map(|report| RetentionReport {
                watermark: node.store().watermark(),
                hidden: node.store().hidden(),
                erased: node.store().erased(),
                ..report.lock().clone()
            }),
            log: log.condition(now),
            process: usage::read(self.process_started),
        }
    }
}
