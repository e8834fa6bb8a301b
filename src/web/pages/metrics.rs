//! A node's report in the text format of Prometheus, version 0.0.4. No label names a client.

use std::fmt::{self, Write};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::report::{LinkReport, NodeReport};
use crate::metrics::UpstreamReport;

/// The format's name.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page.
pub(super) fn text(report: &NodeReport) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(MetricsText(report.clone())));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    as_0_0_4(&text)
}

/// The library writes OpenMetrics, where a counter's family has no `_total`, and there are units and an end. Every
/// Prometheus reads the older form.
fn as_0_0_4(text: &str) -> String {
    let family = |line: &str| line.split(' ').nth(2).unwrap_or_default().to_owned();
    let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
    let counters: Vec<String> = text.lines().filter(|line| is_counter(line)).map(family).collect();
    let mut out = String::with_capacity(text.len() + 1024);
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let name = family(line);
        let line = match line.starts_with("# ") && counters.contains(&name) {
            true => line.replacen(&name, &format!("{name}_total"), 1),
            false => line.to_owned(),
        };
        let _ = writeln!(out, "{line}");
    }
    out
}

#[derive(Debug)]
struct MetricsText(NodeReport);

/// A link metric's name, its meaning, its type, and where its value comes from.
type LinkMetric = (&'static str, &'static str, MetricType, fn(&LinkReport) -> Option<f64>);

const LINK_METRICS: [LinkMetric; 16] = {
    use MetricType::{Counter, Gauge};
    [
        ("up", "Whether the link that this node dials is up", Gauge, |link| {
            Some(f64::from(link.condition.state == crate::core::links::LinkState::Up))
        }),
        ("connected_here", "Whether the neighbour is connected to this node", Gauge, |link| {
            Some(f64::from(link.condition.is_connected_here))
        }),
        (
            "in_step",
            "Whether the neighbour had everything this node knew at the last repair round, and nothing was dropped since",
            Gauge,
            |link| Some(f64::from(link.is_in_step())),
        ),
        ("in_step_seconds", "Time since a repair round last found the neighbour in step", Gauge, |link| {
            link.condition.since_in_step.map(|since| since.as_secs_f64())
        }),
        ("lag_seconds", "Age of the oldest unanswered ping", Gauge, |link| {
            link.condition.lag.map(|lag| lag.as_secs_f64())
        }),
        (
            "clock_offset_seconds",
            "How far the neighbour's clock is ahead of this node's",
            Gauge,
            LinkReport::clock_offset_seconds,
        ),
        ("behind", "Whether an update was dropped that the next repair round must send", Gauge, |link| {
            Some(f64::from(link.is_behind))
        }),
        ("outbox_bytes", "Bytes waiting to be sent", Gauge, |link| Some(link.outbox_bytes as f64)),
        (
            "lasting_differences",
            "Differences that the last repair round found unchanged from the one before",
            Gauge,
            |link| Some(link.condition.lasting as f64),
        ),
        ("connects", "Times the link came up", Counter, |link| Some(link.condition.connects as f64)),
        ("sent_bytes", "Bytes sent", Counter, |link| Some(link.condition.sent_bytes as f64)),
        ("received_bytes", "Bytes received", Counter, |link| Some(link.condition.received_bytes as f64)),
        ("sent_updates", "Locations sent", Counter, |link| Some(link.condition.sent_updates as f64)),
        ("received_updates", "Locations received", Counter, |link| {
            Some(link.condition.received_updates as f64)
        }),
        ("rounds", "Repair rounds completed", Counter, |link| Some(link.condition.rounds as f64)),
        ("differences", "Differences found by repair rounds", Counter, |link| {
            Some(link.condition.differences as f64)
        }),
    ]
};

/// A count for an upstream, divided by a label: its name, its meaning, the label, and where it comes from.
type UpstreamCount =
    (&'static str, &'static str, &'static str, fn(&UpstreamReport) -> &[(&'static str, u64)]);

const UPSTREAM_COUNTS: [UpstreamCount; 3] = [
    ("lookups", "Lookups by outcome", "outcome", |upstream| &upstream.lookups),
    ("calls", "Calls to the upstream by outcome", "outcome", |upstream| &upstream.calls),
    ("refused", "Lookups refused without asking the upstream, by reason", "why", |upstream| {
        &upstream.refused
    }),
];

type UpstreamMetric = (&'static str, &'static str, MetricType, fn(&UpstreamReport) -> u64);

const UPSTREAM_METRICS: [UpstreamMetric; 6] = {
    use MetricType::{Counter, Gauge};
    [
        ("shared", "Lookups that shared another lookup's call", Counter, |upstream| upstream.shared),
        ("cached", "Lookups answered from the cache", Counter, |upstream| upstream.cached),
        ("retries", "Calls retried", Counter, |upstream| upstream.retries),
        ("lookups_in_flight", "Lookups waiting for the upstream", Gauge, |upstream| {
            upstream.in_flight as u64
        }),
        ("breaker_open", "Whether the circuit breaker keeps lookups from the upstream", Gauge, |upstream| {
            u64::from(upstream.is_breaker_open)
        }),
        ("cache_bytes", "Memory used by cached answers", Gauge, |upstream| upstream.cache_bytes as u64),
    ]
};

impl Collector for MetricsText {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.of_the_node(&mut writer)?;
        self.of_requests(&mut writer)?;
        self.of_links(&mut writer)?;
        self.of_upstreams(&mut writer)?;
        self.of_the_process(&mut writer)
    }
}

impl MetricsText {
    fn of_the_node(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let report = &self.0;
        let built = [("version", env!("CARGO_PKG_VERSION")), ("herd", &report.herd), ("node", &report.node)];
        let mut info = writer.family(
            "proxyherd_build_info",
            "Version of the program, herd and node",
            MetricType::Gauge,
        )?;
        ConstGauge::new(1_u64).encode(info.encode_family(&built)?)?;
        writer.gauge(
            "proxyherd_uptime_seconds",
            "Time since the node started",
            report.uptime.as_secs_f64(),
        )?;
        let is_ready = report.not_ready().is_none();
        writer.gauge("proxyherd_ready", "Whether this node is ready for clients", f64::from(is_ready))?;
        writer.gauge("proxyherd_clients", "Clients whose location is known", report.clients as f64)?;
        writer.gauge(
            "proxyherd_tombstones",
            "Clients that were forgotten and have not reported since",
            report.tombstones as f64,
        )?;
        writer.gauge(
            "proxyherd_store_bytes",
            "Memory used by clients' locations and tombstones",
            report.store_bytes as f64,
        )?;
        writer.gauge(
            "proxyherd_store_bytes_max",
            "Memory that locations and tombstones may use before reports are refused",
            report.store_bytes_max as f64,
        )?;
        let connections = &report.connections;
        let mut now = writer.family("proxyherd_connections", "Open connections", MetricType::Gauge)?;
        for (kind, count) in [
            ("client", connections.clients),
            ("peer", connections.peers),
            ("waiting", connections.waiting),
            ("http", connections.http),
        ] {
            ConstGauge::new(count as u64).encode(now.encode_family(&[("kind", kind)])?)?;
        }
        writer.gauge("proxyherd_connections_max", "Limit on clients' connections", connections.max as f64)?;
        writer.counter(
            "proxyherd_connections_accepted",
            "Connections accepted from clients and neighbours",
            connections.accepted,
        )?;
        writer.counter(
            "proxyherd_connections_refused",
            "Connections closed because no seat, thread or file descriptor was left, or because they were not a neighbour's",
            connections.refused,
        )?;
        if let Some(certificate) = &report.certificate {
            writer.gauge(
                "proxyherd_certificate_expiry_timestamp_seconds",
                "When the certificate ends that clients are shown, in seconds since 1970",
                certificate.expires.seconds() as f64,
            )?;
        }
        self.of_retention(writer)?;
        self.of_the_journal(writer)?;
        self.of_the_tokens(writer)?;
        self.of_the_log(writer)
    }

    fn of_retention(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(retention) = &self.0.retention else { return Ok(()) };
        writer.gauge(
            "proxyherd_watermark_seconds",
            "Time before which everything is forgotten, in seconds since the Unix epoch",
            retention.watermark as f64,
        )?;
        writer.gauge(
            "proxyherd_hidden",
            "Locations and tombstones that are forgotten for their age and not erased yet",
            retention.hidden as f64,
        )?;
        let erased = "Locations and tombstones that were erased for their age";
        writer.counter("proxyherd_erased", erased, retention.erased as u64)?;
        writer.gauge(
            "proxyherd_clock_off",
            "Whether this node's clock, or a neighbour's, must be wrong",
            f64::from(retention.clock_off.is_some()),
        )
    }

    fn of_the_journal(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(journal) = &self.0.journal else { return Ok(()) };
        let is_failing = f64::from(journal.failing.is_some());
        writer.gauge("proxyherd_journal_failing", "Whether writing the journal fails", is_failing)?;
        writer.gauge(
            "proxyherd_journal_unsynced_bytes",
            "Bytes of changes that are not on the disk",
            journal.unsynced as f64,
        )?;
        writer.gauge(
            "proxyherd_journal_snapshot_bytes",
            "Length of the journal's last snapshot",
            journal.snapshot_bytes as f64,
        )?;
        writer.gauge(
            "proxyherd_journal_recovery_seconds",
            "How long the start took to read the journal",
            journal.recovery.time.as_secs_f64(),
        )?;
        let damaged = journal.recovery.damage + journal.recovery.set_aside;
        writer.gauge(
            "proxyherd_journal_damaged",
            "Places in the journal that the start found damaged, and damaged files that are kept",
            damaged as f64,
        )?;
        let appended = "Bytes of changes that the journal has taken";
        writer.counter("proxyherd_journal_appended_bytes", appended, journal.appended)?;
        let syncs = "How often changes were brought to the disk";
        writer.counter("proxyherd_journal_syncs", syncs, journal.syncs)?;
        writer.counter("proxyherd_journal_snapshots", "Snapshots that were finished", journal.snapshots)?;
        let failures = "How often writing the journal has begun to fail";
        writer.counter("proxyherd_journal_failures", failures, journal.failures)
    }

    fn of_the_tokens(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(tokens) = &self.0.tokens else { return Ok(()) };
        writer.gauge("proxyherd_tokens", "Tokens in force, expired ones included", tokens.count as f64)?;
        writer.gauge(
            "proxyherd_tokens_failing",
            "Whether the file of tokens cannot be taken anew",
            f64::from(tokens.failing.is_some()),
        )
    }

    fn of_the_log(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let log = &self.0.log;
        let is_failing = log.failing.is_some();
        writer.gauge("proxyherd_log_failing", "Whether writing the log fails", f64::from(is_failing))?;
        let lines = "Traffic lines dropped because the log's buffer was full";
        writer.counter("proxyherd_log_dropped_lines", lines, log.dropped_lines)?;
        writer.counter(
            "proxyherd_log_dropped_events",
            "Events dropped because the log's buffer was full",
            log.dropped_events,
        )
    }

    fn of_requests(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut family =
            writer.family("proxyherd_requests", "Clients' requests by outcome", MetricType::Counter)?;
        for &(outcome, count) in &self.0.outcomes {
            let labels = [("kind", outcome.kind().label()), ("outcome", outcome.label())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Times that clients' lines waited for their turn because of a quota";
        let mut family = writer.family("proxyherd_quota_waits", help, MetricType::Counter)?;
        for (quota, count) in &self.0.quota_waits {
            ConstCounter::new(*count).encode(family.encode_family(&[("quota", quota.label())])?)?;
        }
        let help = "Pages that were refused because of a quota";
        writer.counter("proxyherd_pages_refused", help, self.0.pages_refused)?;
        let help = "Acts that the audit log is about, also those that it left out";
        let mut family = writer.family("proxyherd_audited_acts", help, MetricType::Counter)?;
        for (kind, count) in &self.0.audited {
            ConstCounter::new(*count).encode(family.encode_family(&[("kind", kind.label())])?)?;
        }
        let help = "Time from reading a request to having written its reply";
        let mut family = writer.family("proxyherd_request_duration_seconds", help, MetricType::Histogram)?;
        for (kind, spread) in &self.0.spreads {
            family.encode_family(&[("kind", kind.label())])?.encode_histogram::<[(&str, &str); 0]>(
                spread.sum_seconds(),
                spread.count(),
                &spread.buckets(),
                None,
            )?;
        }
        Ok(())
    }

    fn of_links(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let bad_lines: [LinkMetric; 2] = [
            ("bad_lines", "Lines from the neighbour that were refused", MetricType::Counter, |link| {
                Some(link.condition.bad_lines as f64)
            }),
            (
                "bad_lines_at_address",
                "Lines refused from the neighbour's address, which it shares with others",
                MetricType::Counter,
                |link| Some(link.condition.bad_lines_at_address as f64),
            ),
        ];
        for (name, help, metric_type, value) in LINK_METRICS.into_iter().chain(bad_lines) {
            let name = format!("proxyherd_link_{name}");
            let mut family = writer.family(&name, help, metric_type)?;
            for link in &self.0.links {
                let Some(value) = value(link) else { continue };
                let labels = [("peer", link.peer.as_str())];
                let metric = family.encode_family(&labels)?;
                match metric_type {
                    MetricType::Counter => ConstCounter::new(value as u64).encode(metric)?,
                    _ => ConstGauge::new(value).encode(metric)?,
                }
            }
        }
        Ok(())
    }

    fn of_upstreams(&self, writer: &mut Writer<'_>) -> fmt::Result {
        for (name, help, label, counts) in UPSTREAM_COUNTS {
            let name = format!("proxyherd_places_{name}");
            let mut family = writer.family(&name, help, MetricType::Counter)?;
            for upstream in &self.0.upstreams {
                for &(value, count) in counts(upstream) {
                    let labels = [("source", upstream.source), (label, value)];
                    ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        for (name, help, metric_type, value) in UPSTREAM_METRICS {
            let name = format!("proxyherd_places_{name}");
            let mut family = writer.family(&name, help, metric_type)?;
            for upstream in &self.0.upstreams {
                let labels = [("source", upstream.source)];
                let metric = family.encode_family(&labels)?;
                match metric_type {
                    MetricType::Counter => ConstCounter::new(value(upstream)).encode(metric)?,
                    _ => ConstGauge::new(value(upstream)).encode(metric)?,
                }
            }
        }
        Ok(())
    }

    fn of_the_process(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let process = &self.0.process;
        writer.gauge(
            "process_resident_memory_bytes",
            "Resident memory size",
            process.resident_bytes as f64,
        )?;
        writer.gauge("process_open_fds", "Open file descriptors", process.descriptors as f64)?;
        writer.gauge("process_max_fds", "Limit on open file descriptors", process.descriptors_max as f64)?;
        writer.gauge("process_threads", "Threads", process.threads as f64)?;
        writer.gauge(
            "process_start_time_seconds",
            "Start time of the process since the Unix epoch",
            process.started_seconds,
        )?;
        let cpu = ConstCounter::new(process.cpu_seconds);
        cpu.encode(writer.family("process_cpu_seconds", "Processor time used", MetricType::Counter)?)
    }
}

struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &'s str,
        metric_type: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, metric_type)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        ConstGauge::new(value).encode(self.family(name, help, MetricType::Gauge)?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.family(name, help, MetricType::Counter)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::report::tests::{degraded, fresh};

    #[test]
    fn every_family_has_its_help_and_type_under_the_name_of_its_samples() {
        let text = text(&fresh());
        let mut families = std::collections::BTreeSet::new();
        for line in text.lines() {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => {
                    assert!(families.insert(name.to_owned()) && !help.is_empty(), "{line}");
                }
                ["#", "TYPE", name, kind] => {
                    assert!(families.contains(name), "{line}");
                    assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                }
                _ => {
                    let sample = line.split(['{', ' ']).next().unwrap();
                    let base =
                        ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.strip_suffix(suffix));
                    assert!(families.contains(sample) || families.contains(base.unwrap_or("")), "{line}");
                }
            }
        }
        assert!(text.contains("\nproxyherd_requests_total{kind=\"iamat\",outcome=\"stored\"} 1\n"), "{text}");
        assert!(text.contains("\nproxyherd_link_up{peer=\"Ball\"} 0.0\n"), "{text}");
        assert!(!text.contains("proxyherd_link_lag_seconds{"), "{text}");
        assert!(text.contains("_bucket{le=\"+Inf\",kind=\"whatsat\"} 0\n"), "{text}");
        assert!(text.contains("\nproxyherd_log_failing 0.0\n"), "{text}");
        assert!(text.contains("\nproxyherd_quota_waits_total{quota=\"bytes\"} 41\n"), "{text}");
        assert!(text.contains("\nproxyherd_audited_acts_total{kind=\"forget\"} 52\n"), "{text}");
    }

    #[test]
    fn log_that_cannot_be_written_shows() {
        let text = text(&degraded());
        for sample in ["failing 1.0", "dropped_lines_total 7", "dropped_events_total 2"] {
            assert!(text.contains(&format!("\nproxyherd_log_{sample}\n")), "{text}");
        }
    }
}
