//! That every metric is shown to count what it says: where, and by which test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proxyherd::core::access::TokenList;

use crate::support::{FakePeer, Setup, TestNode};

/// Where each metric is shown to count what it says: its name, a file of these tests, a test in it.
const PROOFS: &[(&str, &str, &str)] = &[
    ("process_cpu_seconds_total", "processes/metrics.rs", "process_is_told_of_as_the_system_tells_of_it"),
    ("process_max_fds", "processes/metrics.rs", "process_is_told_of_as_the_system_tells_of_it"),
    ("process_open_fds", "processes/metrics.rs", "process_is_told_of_as_the_system_tells_of_it"),
    ("process_resident_memory_bytes", "processes/metrics.rs", "process_is_told_of_as_the_system_tells_of_it"),
    ("process_start_time_seconds", "processes/metrics.rs", "process_is_told_of_as_the_system_tells_of_it"),
    ("process_threads", "processes/metrics.rs", "process_is_told_of_as_the_system_tells_of_it"),
    ("proxyherd_audited_acts_total", "quotas.rs", "what_few_may_do_is_audited_and_counted"),
    ("proxyherd_build_info", "metrics.rs", "node_is_told_of"),
    ("proxyherd_clients", "metrics.rs", "node_is_told_of"),
    ("proxyherd_connections", "metrics.rs", "full_node_counts_whom_it_takes_and_whom_it_turns_away"),
    (
        "proxyherd_connections_accepted_total",
        "metrics.rs",
        "full_node_counts_whom_it_takes_and_whom_it_turns_away",
    ),
    ("proxyherd_connections_max", "metrics.rs", "full_node_counts_whom_it_takes_and_whom_it_turns_away"),
    (
        "proxyherd_connections_refused_total",
        "metrics.rs",
        "full_node_counts_whom_it_takes_and_whom_it_turns_away",
    ),
    (
        "proxyherd_link_bad_lines_at_address_total",
        "plain.rs",
        "refused_lines_of_nobody_known_count_on_the_address_and_say_why",
    ),
    ("proxyherd_link_bad_lines_total", "metrics.rs", "links_bytes_and_lines_are_those_that_went_over_it"),
    ("proxyherd_link_behind", "metrics.rs", "link_that_is_not_read_from_is_behind"),
    (
        "proxyherd_link_clock_offset_seconds",
        "metrics.rs",
        "clock_of_a_neighbour_is_told_apart_from_the_way_to_it",
    ),
    ("proxyherd_link_connected_here", "metrics.rs", "links_bytes_and_lines_are_those_that_went_over_it"),
    ("proxyherd_link_connects_total", "metrics.rs", "link_is_told_of_while_it_is_there_and_counted_for_good"),
    (
        "proxyherd_link_differences_total",
        "metrics.rs",
        "link_is_told_of_while_it_is_there_and_counted_for_good",
    ),
    ("proxyherd_link_in_step", "metrics.rs", "link_is_told_of_while_it_is_there_and_counted_for_good"),
    (
        "proxyherd_link_in_step_seconds",
        "metrics.rs",
        "link_is_told_of_while_it_is_there_and_counted_for_good",
    ),
    ("proxyherd_link_lag_seconds", "metrics.rs", "link_is_told_of_while_it_is_there_and_counted_for_good"),
    (
        "proxyherd_link_lasting_differences",
        "http.rs",
        "node_that_differs_lastingly_is_not_ready_until_it_no_longer_does",
    ),
    ("proxyherd_link_outbox_bytes", "metrics.rs", "link_that_is_not_read_from_is_behind"),
    (
        "proxyherd_link_received_bytes_total",
        "metrics.rs",
        "links_bytes_and_lines_are_those_that_went_over_it",
    ),
    (
        "proxyherd_link_received_updates_total",
        "metrics.rs",
        "links_bytes_and_lines_are_those_that_went_over_it",
    ),
    ("proxyherd_link_rounds_total", "metrics.rs", "link_is_told_of_while_it_is_there_and_counted_for_good"),
    ("proxyherd_link_sent_bytes_total", "metrics.rs", "links_bytes_and_lines_are_those_that_went_over_it"),
    ("proxyherd_link_sent_updates_total", "metrics.rs", "links_bytes_and_lines_are_those_that_went_over_it"),
    ("proxyherd_link_up", "metrics.rs", "link_is_told_of_while_it_is_there_and_counted_for_good"),
    // The page's own test shows that what the log counts is what stands there.
    (
        "proxyherd_log_dropped_events_total",
        "../../src/log/tests.rs",
        "full_disk_is_told_for_as_long_as_it_lasts_with_what_it_cost",
    ),
    ("proxyherd_log_dropped_lines_total", "metrics.rs", "lines_the_log_has_no_room_for_are_counted"),
    (
        "proxyherd_log_failing",
        "processes/log_file.rs",
        "full_disk_degrades_the_node_and_is_told_wherever_it_is_asked",
    ),
    ("proxyherd_pages_refused_total", "quotas.rs", "monitor_who_reads_too_many_pages_is_told_to_come_back"),
    (
        "proxyherd_places_breaker_open",
        "upstream/breaker.rs",
        "service_that_fails_again_and_again_is_left_alone",
    ),
    ("proxyherd_places_cache_bytes", "upstream/flow.rs", "kept_answer_is_given_again_with_each_ones_bound"),
    ("proxyherd_places_cached_total", "upstream/flow.rs", "kept_answer_is_given_again_with_each_ones_bound"),
    (
        "proxyherd_places_calls_total",
        "upstream/flow.rs",
        "same_lookups_in_flight_are_one_call_and_each_gets_its_own_cut",
    ),
    (
        "proxyherd_places_lookups_in_flight",
        "upstream/flow.rs",
        "same_lookups_in_flight_are_one_call_and_each_gets_its_own_cut",
    ),
    (
        "proxyherd_places_lookups_total",
        "upstream/flow.rs",
        "same_lookups_in_flight_are_one_call_and_each_gets_its_own_cut",
    ),
    ("proxyherd_places_refused_total", "upstream/limits.rs", "calls_beyond_those_of_a_day_are_refused"),
    ("proxyherd_places_retries_total", "upstream/limits.rs", "what_may_pass_is_tried_once_more"),
    (
        "proxyherd_places_shared_total",
        "upstream/flow.rs",
        "same_lookups_in_flight_are_one_call_and_each_gets_its_own_cut",
    ),
    ("proxyherd_quota_waits_total", "quotas.rs", "lines_beyond_a_quota_wait_for_their_turn_and_are_answered"),
    ("proxyherd_ready", "http.rs", "node_is_ready_once_a_neighbour_has_ended_a_round_with_it"),
    ("proxyherd_request_duration_seconds", "metrics.rs", "requests_take_as_long_as_their_lookup"),
    ("proxyherd_requests_total", "http.rs", "requests_are_counted_by_what_became_of_them"),
    (
        "proxyherd_store_bytes",
        "iamat.rs",
        "report_that_would_have_the_store_outgrow_max_bytes_is_invalid_and_a_neighbours_line_is_not",
    ),
    (
        "proxyherd_store_bytes_max",
        "iamat.rs",
        "report_that_would_have_the_store_outgrow_max_bytes_is_invalid_and_a_neighbours_line_is_not",
    ),
    (
        "proxyherd_tokens",
        "tokens.rs",
        "tokens_are_taken_anew_when_their_file_changes_and_those_of_before_stay_where_it_is_broken",
    ),
    (
        "proxyherd_tokens_failing",
        "tokens.rs",
        "tokens_are_taken_anew_when_their_file_changes_and_those_of_before_stay_where_it_is_broken",
    ),
    ("proxyherd_tombstones", "metrics.rs", "node_is_told_of"),
    ("proxyherd_uptime_seconds", "metrics.rs", "node_is_told_of"),
    (
        "proxyherd_clock_off",
        "retention.rs",
        "watermark_beyond_all_clocks_is_not_followed_and_makes_the_node_unready_while_it_is_told",
    ),
    ("proxyherd_erased_total", "retention.rs", "what_is_too_old_is_hidden_on_all_nodes_at_one_watermark"),
    ("proxyherd_hidden", "retention.rs", "what_is_too_old_is_hidden_on_all_nodes_at_one_watermark"),
    (
        "proxyherd_watermark_seconds",
        "retention.rs",
        "what_is_too_old_is_hidden_on_all_nodes_at_one_watermark",
    ),
];

/// The families of a page.
fn families(node: &TestNode) -> BTreeSet<String> {
    let (_, text) = node.page("/metrics");
    let named = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    named.map(str::to_owned).collect()
}

#[test]
fn every_metric_has_a_test_that_shows_what_it_counts() {
    let table = "source = \"google\"\nbase_url = \"http://127.0.0.1:1\"";
    let setup = Setup::new().http("").tokens("open", &TokenList::default()).in_herd("forget_after = \"1h\"");
    let setup = setup.source(table).key("none");
    let node = setup.neighbour(&FakePeer::new("Welsh")).start();
    let proved: BTreeMap<&str, (&str, &str)> =
        PROOFS.iter().map(|&(family, file, test)| (family, (file, test))).collect();
    let told = families(&node);
    let unproved: Vec<_> = told.iter().filter(|name| !proved.contains_key(&***name)).collect();
    assert!(unproved.is_empty(), "show what these count, and say here where: {unproved:?}");
    let gone: Vec<_> = proved.keys().filter(|name| !told.contains(**name)).collect();
    assert!(gone.is_empty(), "{gone:?}");
    for (family, (file, test)) in proved {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file)).unwrap();
        let body = body(&text, test).unwrap_or_else(|| panic!("{file} has no test {test}"));
        assert!(names(body, family), "{test} of {file} does not look at {family}");
    }
}

/// What stands between the braces of a test. `None` if the text has no such test.
fn body<'t>(text: &'t str, test: &str) -> Option<&'t str> {
    let head = format!("fn {test}() {{");
    let line = text.lines().find(|line| line.trim_start() == head)?;
    let (_, rest) = text.split_once(&format!("\n{line}\n"))?;
    let indentation = line.strip_suffix(&head)?;
    rest.split_once(&format!("\n{indentation}}}\n")).map(|(body, _)| body)
}

/// Whether a test's body has the family's name, as a word and not in a comment. Some are asked for by the end of their names,
/// and the log's counts by their fields.
fn names(body: &str, family: &str) -> bool {
    let starts = ["proxyherd_places_", "proxyherd_link_", "proxyherd_log_"];
    let short = starts.iter().find_map(|start| family.strip_prefix(start)).unwrap_or(family);
    let field = short.strip_suffix("_total").unwrap_or(short);
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let has = |line: &str, name: &str| {
        line.match_indices(name).any(|(at, _)| {
            let rest = &line[at + name.len()..];
            // A histogram's lines have endings of their own.
            let mut ends = ["", "_sum", "_count", "_bucket"].iter().filter_map(|end| rest.strip_prefix(end));
            !line[..at].ends_with(is_word) && ends.any(|rest| !rest.starts_with(is_word))
        })
    };
    let mut code = body.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.any(|line| [family, short, field].iter().any(|name| has(line, name)))
}

#[test]
fn only_what_a_test_itself_asks_for_is_taken_for_proved() {
    let text = "mod tests {\n    fn one() {\n        ask(\"up\");\n        {\n        }\n        \
        // lag_seconds\n        ask(\"a_sum{\");\n    }\n\n    fn other() {\n        ask(\"down\");\n    }\n}\n";
    let one = body(text, "one").unwrap();
    for (family, is_named) in [
        ("proxyherd_link_up", true),
        ("a", true),
        ("a_su", false),
        ("proxyherd_link_down", false),
        ("proxyherd_link_lag_seconds", false),
        ("sum", false),
    ] {
        assert_eq!(names(one, family), is_named, "{family}");
    }
    assert!(names(body(text, "other").unwrap(), "proxyherd_link_down_total"));
    assert_eq!(body(text, "ne"), None);
}
