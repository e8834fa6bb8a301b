//! The thread that forgets by age: reads the clocks for the node's `Retainer`, lets others run between two pieces of its
//! walks, and passes on what it says.

use std::time::Duration;

use super::{Shared, shared::Stop};
use crate::{
    core::node::{ClockOff, Retainer, RetainerEvent},
    system::clock,
};

/// A walk rests as long as it has worked, once it has worked for this long: it is in no hurry.
const TURN_TIME: Duration = Duration::from_millis(1);

/// Forgets until the stop.
pub(super) fn run(mut retainer: Retainer, shared: &Shared<'_>, stop: &Stop) {
    let mut worked = Duration::ZERO;
    while !stop.is_set() {
        let (was_walking, now, cpu) = (retainer.is_walking(), clock::now(), clock::thread_cpu());
        let until = retainer.step(shared.node, now);
        let (took, cpu) = (clock::tick().saturating_sub(now.tick), clock::thread_cpu().saturating_sub(cpu));
        tell(&mut retainer, shared, was_walking.then_some([took, cpu]));
        worked += took;
        if retainer.is_walking() && worked < TURN_TIME {
            continue;
        }
        stop.wait(worked.max(until.saturating_sub(clock::tick())));
        worked = Duration::ZERO;
    }
}

/// Passes on what it says. `piece` is how long the last piece of a walk took, and how much of that it had a processor.
fn tell(retainer: &mut Retainer, shared: &Shared<'_>, piece: Option<[Duration; 2]>) {
    let condition = retainer.condition();
    if let Some(report) = &shared.retention {
        let mut report = report.lock();
        if let Some([took, cpu]) = piece {
            report.longest_piece = report.longest_piece.max(took);
            report.longest_piece_cpu = report.longest_piece_cpu.max(cpu);
        }
        report.passes = condition.passes;
        if report.clock_off.is_some() != condition.clock_off.is_some() {
            report.clock_off = condition.clock_off.map(|why| text(why, shared));
        }
    }
    match retainer.event() {
        Some(RetainerEvent::Dropped { kept }) => shared.log.error(format_args!(
            "the journal says that everything before {kept} was forgotten, which is further than clocks may differ; \
             it is not followed: check this machine's clock"
        )),
        Some(RetainerEvent::ClockOff(why)) => {
            shared.log.error(format_args!("clock off: {}; check the machines' clocks", text(why, shared)));
        }
        Some(RetainerEvent::ClockWell) => shared.log.info(format_args!("clock off no more")),
        None => {}
    }
}

/// Why a clock must be wrong, with the neighbour's name.
fn text(why: ClockOff, shared: &Shared<'_>) -> String {
    match why {
        ClockOff::Back(_) => format!("this node's clock: {why}"),
        ClockOff::Neighbour { link, .. } => {
            format!("this node's clock or that of {}: {why}", shared.node.neighbours()[link].id)
        }
    }
}
