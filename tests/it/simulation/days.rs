//! Herds that forget by age as they do in earnest: after an hour, with clocks ten minutes apart, for a day of virtual time
//! under reports and faults; and one node's clock that is far ahead.

use std::time::Duration;

use proxyherd::core::{
    Rules,
    model::{ClientId, NodeId, RetentionTimes},
    store::Shape,
};

use super::{
    graph::Graph,
    herd::{Event, Laws, Simulation},
    plan::Plan,
    random::Random,
    retention::RetentionPlan,
    watch::{Kind, Violation},
};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// Three nodes in a row that keep locations for an hour, of so many clients. The first number is how far each clock is
/// ahead, in seconds.
fn plan(ahead: [u64; 3], clients: usize) -> Plan {
    let graph = Graph {
        name: "days".to_owned(),
        ids: ["A", "B", "C"].map(|id| NodeId::new(id).unwrap()).to_vec(),
        links: vec![vec![1], vec![0, 2], vec![1]],
    };
    let clients = (0..clients).map(|number| format!("c{number}").into_bytes()).collect();
    let mut plan = Plan::undisturbed(graph, clients, Duration::from_millis(1));
    plan.nodes.iter_mut().zip(ahead).for_each(|(node, ahead)| node.wall += ahead);
    plan.shape = Shape::new(2, 2);
    plan.has_audience = false;
    let times = RetentionTimes::of(HOUR.as_secs());
    plan.retention = Some(RetentionPlan { times, clocks_stop_at: Duration::MAX, has_backups: false });
    plan
}

fn knows(herd: &Simulation, node: usize, client: &str) -> bool {
    let (store, client) = (herd.servers[node].node.store(), ClientId::new(client.as_bytes()).unwrap());
    store.get(store.key_hash(client), client, |_| ()).is_some()
}

#[test]
fn a_day_under_reports_and_faults_shows_no_divergence() {
    let day = HOUR * 24;
    let mut plan = plan([0, 600, 300], 100);
    (plan.report_gap, plan.reports_max, plan.forgets_one_in) = (MINUTE / 2, 2, 30);
    (plan.losses, plan.cuts, plan.crashes, plan.fault_gap) = (3, 3, 1, HOUR / 2);
    (plan.quiet_at, plan.heal_at) = (day, day);
    let mut herd = Simulation::of_plan(plan, Random::new(21), Laws::SOUND);
    herd.push(Duration::ZERO, Event::Call);
    herd.push(MINUTE, Event::Fault);
    herd.push(day, Event::Heal);
    let mut ends_well = || {
        for hour in 1..=24 {
            herd.run_until(HOUR * hour)?;
            // One that came back without what it knew is ten steps behind, and makes two of them a minute.
            let is_all_there = |herd: &Simulation| (0..3).all(|node| herd.takes_in(node));
            herd.go_on_until(herd.now + MINUTE * 8, Kind::Apart, |herd| {
                is_all_there(herd) && herd.has_settled() && herd.is_together()
            })?;
        }
        Ok(())
    };
    let ended: Result<(), Violation> = ends_well();
    ended.unwrap_or_else(|violation| panic!("{violation}"));
    let (hidden, tally) = (herd.watch.hidden, herd.tally);
    assert!(
        hidden > 100 && tally.crashes > 0 && tally.cuts > 0 && herd.watch.forgettings > 0,
        "{hidden} {tally:?}"
    );
    let erased: usize = herd.servers.iter().map(|server| server.node.store().erased()).sum();
    assert_eq!(erased, 0, "a day is not over yet");
}

/// A herd in which the first node's clock is ten days ahead; what the others took is told for an hour.
fn beside_a_wrong_clock(rules: Rules) -> Result<bool, Violation> {
    let plan = plan([864_000, 0, 0], 1);
    let mut herd = Simulation::of_plan(plan, Random::new(3), Laws { rules, ..Laws::SOUND });
    herd.run_until(MINUTE)?;
    herd.report(1, b"IAMAT c0 +1+1 5\n");
    herd.run_until(HOUR - MINUTE)?;
    let is_known = knows(&herd, 1, "c0") && knows(&herd, 2, "c0");
    herd.run_until(HOUR + MINUTE * 5)?;
    Ok(is_known && !knows(&herd, 1, "c0") && !knows(&herd, 2, "c0"))
}

#[test]
fn clock_that_is_far_ahead_has_nothing_forgotten_too_early_by_others() {
    assert!(beside_a_wrong_clock(Rules::SOUND).unwrap());
    let followed = beside_a_wrong_clock(Rules { watermark_is_bounded: false, ..Rules::SOUND });
    assert!(followed.is_err_and(|violation| violation.kind == Kind::Untimely));
}

#[test]
fn what_was_forgotten_stays_so_at_a_node_that_was_cut_off_until_it_had_expired_elsewhere() {
    // The clock of the node that is cut off is ten minutes ahead, and so is what it took.
    let mut herd = Simulation::of_plan(plan([0, 0, 600], 1), Random::new(5), Laws::SOUND);
    let ran = |herd: &mut Simulation, until| {
        herd.run_until(until).unwrap_or_else(|violation| panic!("{violation}"));
    };
    ran(&mut herd, MINUTE);
    herd.report(2, b"IAMAT c0 +1+1 5\n");
    [(1, 2), (2, 1)].into_iter().for_each(|(from, to)| herd.set_cut(from, to, true));
    herd.report(2, b"IAMAT c0 +2+2 6\n");
    ran(&mut herd, MINUTE + Duration::from_secs(5));
    herd.report(0, b"FORGET c0\nIAMAT c0 +3+3 7\n");
    for minute in 2..90 {
        ran(&mut herd, MINUTE * minute);
        // Clients are told of what was reported since, as long as it is not too old; by the fastest clock, once it is heard of.
        if !(56..=62).contains(&minute) {
            assert_eq!(knows(&herd, 0, "c0"), minute < 56, "after {minute} minutes");
            assert_eq!(knows(&herd, 2, "c0"), minute < 56, "after {minute} minutes");
        }
        if minute == 55 {
            [(1, 2), (2, 1)].into_iter().for_each(|(from, to)| herd.uncut(from, to));
        }
    }
}
