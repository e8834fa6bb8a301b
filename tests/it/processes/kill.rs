//! Nodes that are killed under load, and nodes that are restarted in turn: they come back with nothing, are told by their
//! neighbours what they lack, and soon answer like these. The node that dies is the only way between the others.

use std::time::{Duration, Instant};

use super::support::{Herd, Load, heavy, line_of, wait_until_agreed};

const ALL: [&str; 3] = ["A", "B", "C"];

#[test]
fn killed_node_has_nothing_at_restart_and_soon_answers_like_the_others() {
    let _turn = heavy();
    let mut herd = line_of(&ALL, "");
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    load.wait_for_more(&ALL, 2000);
    load.kill(&mut herd, "B", "A");
    load.wait_for_more(&["A", "C"], 2000);
    let (a_lines, c_lines) = (herd.log("A").len(), herd.log("C").len());
    herd.start("B");
    let started = Instant::now();
    herd.wait_for_links();
    // Under load, and in the log of each neighbour.
    for (id, lines) in [("A", a_lines), ("C", c_lines)] {
        herd.wait_for_step(id, "B", lines);
        // Whether the first round sufficed depends on what came while it was under way.
        let log = herd.log(id).split_off(lines);
        let line = log.iter().find(|line| line.contains("in step with B: round 1 took ")).unwrap();
        println!("{id}: {line}");
        assert!(pushed(line) > 0, "{line}");
    }
    load.wait_for_more(&ALL, 500);
    let floors = load.end();
    wait_until_agreed(&herd, &ALL, &floors);
    let took = started.elapsed();
    println!("{took:?} after its restart, its load included");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn every_node_is_restarted_in_turn_and_nothing_acknowledged_is_lost() {
    let _turn = heavy();
    let mut herd = line_of(&ALL, "");
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    for id in ALL {
        load.wait_for_more(&ALL, 1000);
        come_back(&mut herd, id, |herd| herd.stop(id));
    }
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
}

#[test]
fn every_node_is_killed_and_restarted_in_turn_and_what_another_had_is_not_lost() {
    let _turn = heavy();
    let mut herd = line_of(&ALL, "");
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    for (id, neighbour) in [("A", "B"), ("B", "C"), ("C", "B")] {
        load.wait_for_more(&ALL, 1000);
        come_back(&mut herd, id, |herd| load.kill(herd, id, neighbour));
    }
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
}

/// Ends a node in some way, starts it again, and waits until its neighbours say that it has what they have.
fn come_back(herd: &mut Herd, id: &str, end: impl FnOnce(&mut Herd)) {
    end(herd);
    let neighbours = herd.neighbours(id);
    let lines: Vec<_> = neighbours.iter().map(|neighbour| herd.log(neighbour).len()).collect();
    herd.start(id);
    herd.wait_for_links();
    for (neighbour, lines) in neighbours.iter().zip(lines) {
        herd.wait_for_step(neighbour, id, lines);
    }
}

/// How many locations a round has pushed, by its line in the log.
fn pushed(line: &str) -> usize {
    let (_, rest) = line.split_once(" pushed ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}
