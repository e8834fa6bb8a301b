//! A test whose tools are missing says so, and fails in CI: each such test by itself, where no program can be found.

use std::{
    env,
    process::{Command, Output},
};

/// Those that need a tool. The ones in `processes/models.rs` say the same by server, and run the others.
const TESTS: [&str; 15] = [
    "http::metrics_please_promtool",
    "operations::alerts_ask_only_for_metrics_that_nodes_export",
    "operations::systemd_has_nothing_against_the_unit",
    "processes::machines::herd_of_three_machines_is_set_up_by_the_page_alone_and_tells_strangers_nothing",
    "processes::namespace::herd_whose_network_goes_away_under_load_is_whole_once_it_is_back",
    "processes::documented::node_is_found_by_its_port_and_its_neighbours_are_not",
    "processes::journal::node_that_commits_refuses_reports_on_a_full_disk_and_takes_them_again",
    "processes::journal::stop_does_not_wait_for_sessions_that_wait_for_a_full_disk",
    "processes::journal::full_disk_degrades_a_node_that_serves_on_and_nothing_is_lost_once_there_is_room",
    "processes::shells::bash_completes_subcommands_flags_and_the_values_of_flags",
    "processes::shells::fish_understands_its_completions_and_completes",
    "processes::shells::groff_sets_every_manual_page_without_a_warning",
    "processes::shells::version_names_the_commit_and_its_date_where_git_knows_them",
    "processes::shells::zsh_understands_its_completions",
    "processes::threads::node_with_too_few_threads_ends_with_one_line",
];

#[test]
fn test_without_its_tool_says_so_loudly_and_fails_in_ci() {
    let nowhere = tempfile::tempdir().unwrap();
    let run = |test, ci| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test]).env("PATH", nowhere.path()).env("CI", ci);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    };
    for test in TESTS {
        let (is_well, out, said) = run(test, "false");
        assert!(is_well && out.contains("\ntest result: ok. 1 passed"), "{test}: {out}{said}");
        let told = said.lines().filter(|line| line.starts_with("SKIPPED, ") && line.contains("; install "));
        assert_eq!(told.count(), 1, "{test}: {said}");
        let (is_well, out, said) = run(test, "true");
        assert!(!is_well && out.contains("in CI, "), "{test}: {out}{said}");
        assert!(!said.contains("SKIPPED"), "{test}: {said}");
    }
}
