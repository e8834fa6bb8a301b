//! Links that are cut and mended under load, both ways and one way, and one that is slow. The link is the only one between
//! two halves of the herd; while one way is left, that way still works.

use std::time::Duration;

use super::support::{FaultyHerd, Load, heavy, wait_until_agreed};
use crate::support::Fault;

const ALL: [&str; 4] = ["A", "B", "C", "D"];

#[test]
fn herd_cut_in_two_under_load_is_one_again_once_the_link_is_back() {
    let _turn = heavy();
    let (herd, load) = under_load();
    herd.fail("B", "C", Fault::Cut);
    herd.fail("C", "B", Fault::Cut);
    herd.wait_for_log("B", &["WARN  lost C: "]);
    herd.wait_for_log("C", &["WARN  lost B: "]);
    let left = herd.report("A", "left", "1400000000");
    let right = herd.report("D", "right", "1400000000");
    herd.wait_until_known(&["A", "B"], "left", &left);
    herd.wait_until_known(&["C", "D"], "right", &right);
    load.wait_for_more(&ALL, 1000);
    assert!(!herd.answers("C", "left", &left) && !herd.answers("B", "right", &right), "the cut is one");

    let (b_lines, c_lines) = (herd.log("B").len(), herd.log("C").len());
    herd.heal("B", "C");
    herd.heal("C", "B");
    herd.wait_for_step("B", "C", b_lines);
    herd.wait_for_step("C", "B", c_lines);
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
    herd.wait_until_known(&ALL, "left", &left);
    herd.wait_until_known(&ALL, "right", &right);
}

#[test]
fn link_cut_one_way_still_carries_the_other_and_is_whole_once_it_is_back() {
    let _turn = heavy();
    let (herd, load) = under_load();
    herd.fail("B", "C", Fault::Cut);
    herd.wait_for_log("B", &["WARN  lost C: "]);
    let left = herd.report("A", "left", "1400000000");
    let right = herd.report("D", "right", "1400000000");
    herd.wait_until_known(&["A", "B"], "left", &left);
    herd.wait_until_known(&ALL, "right", &right);
    load.wait_for_more(&ALL, 1000);
    assert!(!herd.answers("C", "left", &left), "the cut is one");
    assert!(!herd.log("C").iter().any(|line| line.contains("lost B")), "and one way");

    let lines = herd.log("B").len();
    herd.heal("B", "C");
    herd.wait_for_step("B", "C", lines);
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
    herd.wait_until_known(&ALL, "left", &left);
}

#[test]
fn slow_link_is_kept_and_all_agree() {
    let _turn = heavy();
    let (herd, load) = under_load();
    let slow = Fault::Delay(Duration::from_millis(20));
    herd.fail("B", "C", slow);
    herd.fail("C", "B", slow);
    load.wait_for_more(&ALL, 4000);
    let floors = load.end();
    wait_until_agreed(&herd, &ALL, &floors);
    for (id, peer) in [("B", "C"), ("C", "B")] {
        assert!(!herd.log(id).iter().any(|line| line.contains(&format!("lost {peer}"))), "{id} keeps {peer}");
    }
}

fn under_load() -> (FaultyHerd, Load) {
    let mut herd = FaultyHerd::line_of(&ALL, "");
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    load.wait_for_more(&ALL, 1000);
    (herd, load)
}
