//! A node's report as JSON, for `herd status` and for programs. Names stay; new ones may come.

use serde_json::{Value, json};

use super::report::{CertificateReport, LinkReport, NodeReport, RetentionReport, TokensReport};
use crate::{journal::JournalCondition, log::LogCondition, metrics::UpstreamReport, system::clock};

/// The page, with its newline.
pub(super) fn json(report: &NodeReport) -> String {
    let not_ready = report.not_ready();
    let connections = &report.connections;
    let mut value = json!({
        "herd": report.herd,
        "node": report.node,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": report.uptime.as_secs_f64(),
        "state": if report.is_draining { "draining" } else { "running" },
        "ready": not_ready.is_none(),
        "not_ready": not_ready,
        "clients": report.clients,
        "tombstones": report.tombstones,
        "sum": format!("{:016x}", report.sum),
        "connections": { "clients": connections.clients, "peers": connections.peers, "waiting": connections.waiting, "max": connections.max },
        "quota_waits": report.quota_waits.iter().map(|(quota, count)| (quota.label(), *count)).collect::<Value>(),
        "audited": report.audited.iter().map(|(kind, count)| (kind.label(), *count)).collect::<Value>(),
        "links": report.links.iter().map(link).collect::<Vec<_>>(),
        "certificate": report.certificate.as_ref().map(certificate),
        "upstreams": report.upstreams.iter().map(upstream).collect::<Vec<_>>(),
        "degraded": report.degraded(),
        "journal": report.journal.as_ref().map(journal),
        "tokens": report.tokens.as_ref().map(tokens),
        "log": log(&report.log),
    });
    if let Some(of_report) = &report.retention {
        value["retention"] = retention(of_report);
    }
    format!("{value}\n")
}

fn link(link: &LinkReport) -> Value {
    let condition = &link.condition;
    json!({
        "peer": link.peer,
        "dialect": link.dialect,
        "state": condition.state.as_str(),
        "connected_here": condition.is_connected_here,
        "in_step": link.is_in_step(),
        "in_step_seconds": condition.since_in_step.map(|since| since.as_secs_f64()),
        "lag_seconds": condition.lag.map(|lag| lag.as_secs_f64()),
        "clock_offset_seconds": link.clock_offset_seconds(),
        "behind": link.is_behind,
        "outbox_bytes": link.outbox_bytes,
        "rounds": condition.rounds,
        "differences": condition.differences,
        "lasting": condition.lasting,
        "bytes_sent": condition.sent_bytes,
        "updates_sent": condition.sent_updates,
        "bytes_received": condition.received_bytes,
        "updates_received": condition.received_updates,
        "bad_lines": condition.bad_lines,
        "bad_lines_at_address": condition.bad_lines_at_address,
        "last_bad": condition.last_bad.map(|why| why.to_string()),
        "refused": condition.is_refused,
        "last_error": condition.failure,
    })
}

fn certificate(certificate: &CertificateReport) -> Value {
    json!({
        "expires": clock::http_date(certificate.expires),
        "expires_seconds": certificate.expires.seconds(),
        "error": certificate.fault,
    })
}

fn journal(journal: &JournalCondition) -> Value {
    let JournalCondition { recovery, .. } = journal;
    json!({
        "state": if journal.failing.is_some() { "failing" } else { "ok" },
        "error": journal.failing,
        "appended_bytes": journal.appended,
        "unsynced_bytes": journal.unsynced,
        "needs_snapshot": journal.is_short,
        "syncs": journal.syncs,
        "longest_sync_seconds": journal.sync_time_max.as_secs_f64(),
        "snapshots": journal.snapshots,
        "snapshot_bytes": journal.snapshot_bytes,
        "failures": journal.failures,
        "recovered_bytes": recovery.bytes,
        "recovery_seconds": recovery.time.as_secs_f64(),
        "torn_bytes": recovery.torn,
        "damaged_places": recovery.damage,
        "damaged_files_kept": recovery.set_aside,
    })
}

fn tokens(TokensReport { count, failing }: &TokensReport) -> Value {
    let state = if failing.is_some() { "failing" } else { "ok" };
    json!({ "state": state, "error": failing, "count": count })
}

fn retention(retention: &RetentionReport) -> Value {
    json!({
        "watermark": retention.watermark,
        "hidden": retention.hidden,
        "erased": retention.erased,
        "passes": retention.passes,
        "longest_piece_seconds": retention.longest_piece.as_secs_f64(),
        "longest_piece_cpu_seconds": retention.longest_piece_cpu.as_secs_f64(),
        "clock_off": retention.clock_off,
    })
}

fn log(log: &LogCondition) -> Value {
    let failing = log.failing.as_ref();
    json!({
        "state": if failing.is_some() { "failing" } else { "ok" },
        "failing_seconds": failing.map(|failing| failing.duration.as_secs_f64()),
        "error": failing.map(|failing| &failing.error),
        "dropped_lines": log.dropped_lines,
        "dropped_events": log.dropped_events,
    })
}

fn upstream(upstream: &UpstreamReport) -> Value {
    let counts =
        |counts: &[(&str, u64)]| -> Value { counts.iter().map(|&(name, count)| (name, count)).collect() };
    json!({
        "source": upstream.source,
        "lookups": counts(&upstream.lookups),
        "calls": counts(&upstream.calls),
        "refused": counts(&upstream.refused),
        "shared": upstream.shared,
        "cached": upstream.cached,
        "retries": upstream.retries,
        "lookups_in_flight": upstream.in_flight,
        "breaker_open": upstream.is_breaker_open,
        "cache_bytes": upstream.cache_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::report::tests::{degraded, fresh};

    #[test]
    fn json_says_what_the_report_says() {
        let text = json(&fresh());
        assert!(text.ends_with("}\n") && text.lines().count() == 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["sum"], "64cddecde2d1d05b");
        assert_eq!((&value["ready"], &value["state"]), (&json!(false), &json!("running")));
        assert_eq!(value["uptime_seconds"], 1.5);
        assert_eq!((&value["clients"], &value["tombstones"]), (&json!(3), &json!(2)));
        let link = &value["links"][0];
        assert_eq!((&link["state"], &link["lag_seconds"]), (&json!("down"), &Value::Null));
        assert_eq!(link["clock_offset_seconds"], Value::Null);
        assert_eq!(
            (&value["quota_waits"]["requests"], &value["audited"]["tokens"]),
            (&json!(40), &json!(53))
        );
        assert_eq!(
            (&value["upstreams"][0]["source"], &value["upstreams"][0]["calls"]["timeout"]),
            (&json!("google"), &json!(0))
        );
        assert_eq!((&link["in_step"], &link["peer"]), (&json!(false), &json!("Ball")));
        assert_eq!((&value["degraded"], &value["log"]["state"]), (&Value::Null, &json!("ok")));
        assert_eq!(value["tokens"], json!({ "state": "ok", "error": null, "count": 4 }));
    }

    #[test]
    fn log_that_cannot_be_written_degrades_the_node_and_says_since_when_and_why() {
        let value: Value = serde_json::from_str(&json(&degraded())).unwrap();
        assert_eq!(value["degraded"], "the log cannot be written: full");
        let log = json!({
            "state": "failing", "failing_seconds": 2.5, "error": "full", "dropped_lines": 7, "dropped_events": 2
        });
        assert_eq!(value["log"], log);
    }
}
