//! What is written reads back the same, and no text makes the reader panic.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_time(min_ns: u64, max_s: u64)(nanoseconds in min_ns..=max_s * 1_000_000_000) -> Duration {
        Duration::from_nanos(nanoseconds)
    }
}

prop_compose! {
    fn any_upstream()(
        ratings in any::<bool>(),
        times in (any_time(10_000_000, 60), any_time(10_000_000, 60), any_time(10_000_000, 120), any_time(0, 86_400), any_time(10_000_000, 3_600)),
        counts in (1_024_usize..=64 << 20, 1_usize..=100_000, 1_usize..=1_000_000, 1_usize..=1_000_000_000, 1_024_usize..=1 << 34, 1_usize..=1_000),
    ) -> UpstreamLimits {
        UpstreamLimits {
            ratings, connect_time: times.0, response_time: times.1, total_time: times.2, cache_time: times.3, breaker_time: times.4,
            body_bytes: counts.0, lookups: counts.1, calls_per_second: counts.2, calls_per_day: counts.3, cache_bytes: counts.4, breaker_failures: counts.5,
        }
    }
}

prop_compose! {
    fn any_places()(
        upstream in any_upstream(),
        chain in prop_oneof![
            Just(vec![PlacesSource::None]), Just(vec![PlacesSource::Tweets]), Just(vec![PlacesSource::Embedded]), Just(vec![PlacesSource::Google]),
            Just(vec![PlacesSource::Google, PlacesSource::GoogleNew, PlacesSource::File]), Just(vec![PlacesSource::GoogleNew, PlacesSource::Embedded]),
        ],
        paths in (proptest::option::of(".{1,20}"), proptest::option::of(".{1,20}"), ".{1,20}"),
        texts in (".{1,9}", "https?://[a-z0-9.:/]{0,20}[a-z]", "https://[a-z]{1,9}", proptest::option::of(".{1,9}"), proptest::option::of(".{1,9}")),
    ) -> PlacesConfig {
        let mut chain = chain.into_iter();
        let path = |path: String| Some(PathBuf::from(path));
        let base_url = if settings::is_base_url(&texts.1) { texts.1 } else { "http://x".to_owned() };
        PlacesConfig {
            source: chain.next().unwrap(), then: chain.collect(), upstream,
            key_file: paths.0.and_then(path), ca_file: paths.1.and_then(path), file: path(paths.2.clone()), tweets_file: path(paths.2),
            array: texts.0, base_url, new_base_url: texts.2, language: texts.3, kind: texts.4,
        }
    }
}

fn any_quota(min: usize, max: usize) -> impl Strategy<Value = QuotaSetting> {
    prop_oneof![Just(QuotaSetting::Auto), Just(QuotaSetting::Off), (min..=max).prop_map(QuotaSetting::Most)]
}

prop_compose! {
    fn any_limits()(
        counts in (1_usize..=1_000_000, 512_usize..=32_768, 0_usize..=1_000_000_000, 1_024_usize..=1 << 30),
        times in (any_time(10_000_000, 86_400), any_time(10_000_000, 2_592_000), any_time(10_000_000, 3_600)),
        max_ahead in proptest::option::of(any_time(0, 2_592_000)),
        bytes in (1_usize..=32_768, proptest::option::of(0_usize..=1 << 44)),
        more in (any_time(10_000_000, 3_600), any_time(0, 3_600), any_time(10_000_000, 60), any_time(10_000_000, 60), any_time(0, 3_600), any_time(10_000_000, 86_400)),
        backoff in (1_u64..=5_000, 5_000_u64..=3_600_000),
        flags in any::<[bool; 2]>(),
        hostile in (1_usize..=1_000_000, 1_usize..=10_000, 1_048_576_usize..=1 << 40, any_time(10_000_000, 2_592_000)),
        quotas in (any_quota(1, 1_000_000), any_quota(65_536, 1 << 30), any_quota(1, 1_000_000_000)),
        of_quotas in (any_time(1_000_000_000, 3_600), any_time(1_000_000_000, 60), 1_usize..=1 << 24),
    ) -> Limits {
        Limits {
            connections: counts.0, line_bytes: counts.1, max_clients: counts.2, outbox_bytes: counts.3,
            client_bytes: bytes.0, max_bytes: bytes.1,
            line_time: times.0, idle_time: times.1, write_time: times.2, max_ahead,
            liveness_time: more.0, backoff_reset: more.1, connect_time: more.2, handshake_time: more.3, drain_time: more.4, round_time: more.5,
            backoff_min: Duration::from_millis(backoff.0), backoff_max: Duration::from_millis(backoff.1),
            batch_scheduling: flags[0], loopback_counts: flags[1],
            address_connections: hostile.0, plain_connections: hostile.1, connection_buffer_bytes: hostile.2, plain_idle_time: hostile.3,
            requests_per_second: quotas.0, bytes_per_second: quotas.1, new_clients_per_hour: quotas.2,
            quota_burst: of_quotas.0, quota_wait: of_quotas.1, quota_addresses: of_quotas.2,
        }
    }
}

prop_compose! {
    fn any_journal()(
        dir in proptest::option::of(".{1,20}"),
        sync in prop_oneof![Just("commit"), Just("interval"), Just("never")],
        times in (any_time(1_000_000, 3_600), any_time(10_000_000, 3_600), any_time(10_000_000, 3_600)),
        bytes in (1_usize..=1 << 30, 131_072_usize..=1 << 34, 4_096_usize..=1 << 40, 4_096_usize..=1 << 40),
    ) -> JournalConfig {
        JournalConfig {
            dir: dir.map(PathBuf::from), sync: sync.to_owned(), sync_time: times.0, retry_time: times.1, commit_time: times.2,
            sync_bytes: bytes.0, waiting_bytes: bytes.1, segment_bytes: bytes.2, snapshot_bytes: bytes.3,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(
        limits in any_limits(),
        log in (any::<bool>(), any::<[bool; 2]>(), 65_536_usize..=1 << 30, 65_536_usize..=1 << 40, 0_usize..=1_000),
        audit in (65_536_usize..=1 << 30, 65_536_usize..=1 << 40, 0_usize..=1_000),
        log_names in ("[a-z]{0,3}/?\\{node\\}(\\{start\\})?\\.log", proptest::option::of("[a-z]{0,3}\\{node\\}\\.events")),
        name in "[!-~]{1,64}",
        ids in proptest::collection::hash_set("[!-,.0-9;-~]{1,8}", 1..6),
        moved in any::<bool>(),
        web in (1_usize..=1_000_000, 256_usize..=65_536, any_time(10_000_000, 60), any_time(10_000_000, 60), any_time(0, 3_600)),
        web_bodies in (0_usize..=67_108_864, any_time(10_000_000, 3_600), any_time(10_000_000, 86_400), 1_usize..=1_000_000),
        origins in proptest::collection::vec("https://[a-z]{1,9}", 0..3),
        hosts in proptest::collection::vec(".{0,9}", 0..3),
        secret_file in proptest::option::of("[ -~]{1,20}"),
        mode in 0_usize..4,
        tls in (any::<bool>(), any_time(50_000_000, 3_600), any::<bool>()).prop_map(|(has, time, serves)| (has, time, serves && has)),
        forget_after in proptest::option::of(3_600..3_153_600_000_u64),
        places in any_places(),
        journal in any_journal(),
        access in (proptest::option::of(prop_oneof![Just("open"), Just("tokens")]), ".{1,20}", any_time(10_000_000, 3_600)),
    ) {
        let ids: Vec<_> = ids.into_iter().map(|id| NodeId::new(&format!("n{id}")).unwrap()).collect();
        let address = |port: usize| Address { host: "127.0.0.1".to_owned(), port: port as u16 };
        // A chain; `moved` gives the first node another address to be dialled at.
        let nodes = ids.iter().enumerate().map(|(at, id)| {
            let mut links: Vec<_> = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| ids.get(at)).cloned().collect();
            links.sort();
            let listen = address(11_600 + at);
            let http = (at % 2 == 0).then(|| address(11_700 + at));
            Node { id: id.clone(), tls_listen: (tls.2 && at == 0).then(|| address(11_800)), http, plain: None, plain_listen: None, address: if moved && at == 0 { address(9) } else { listen.clone() }, listen, links }
        });
        let (file, events_file) = (log_names.0.trim_start_matches('/').to_owned(), log_names.1);
        let log = LogConfig { traffic: log.0, bodies: log.1[0], connections: log.1[1], file, events_file, buffer_bytes: log.2, file_bytes: log.3, files_kept: log.4, audit_file: "{node}.audit".to_owned(), audit_buffer_bytes: audit.0, audit_file_bytes: audit.1, audit_files_kept: audit.2 };
        let tls_config = TlsConfig { certificate_file: tls.0.then(|| "c {node}.pem".into()), key_file: tls.0.then(|| "k.pem".into()), watch_time: tls.1 };
        let http = HttpConfig { tls: tls.2, connections: web.0, head_bytes: web.1, request_time: web.2, write_time: web.3, ready_grace: web.4, body_bytes: web_bodies.0, body_time: web_bodies.1, idle_time: web_bodies.2, address_connections: web_bodies.3, hosts, origins };
        let secret_file = secret_file.map(PathBuf::from);
        let peer_tls = if secret_file.is_some() { PeerTls::ALL[mode] } else { PeerTls::Off };
        let forget_after = forget_after.map(Duration::from_secs);
        let access = AccessConfig { clients: access.0.map(str::to_owned), tokens_file: Some(access.1.into()), tokens_check_time: access.2 };
        let herd = Herd { name, secret_file, peer_tls, forget_after, access, log, journal, http, tls: tls_config, limits, places, nodes: nodes.collect() };
        prop_assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
    }

    #[test]
    fn no_text_panics(text in "(\\[herd\\]|\\[\\[node\\]\\]|\\[limits\\]|name|id|links|listen|=|\"[a-z:0-9.]*\"|[0-9]{1,40}|\\n|.){0,40}") {
        let _ = Herd::parse(&text, "h.toml");
    }
}
