//! Takes faults out of a script as long as the run still fails.

use std::sync::Arc;

use super::{Plan, Scenario, run_one};

/// Runs that a script is worth.
const RUNS_MAX: u32 = 150;

/// The plan with as few faults as are found to be needed.
pub(super) fn shrink<S: Scenario>(scenario: &Arc<S>, plan: Plan) -> Plan {
    let mut runs = 0;
    let mut fails = |plan: &Plan| {
        runs += 1;
        runs <= RUNS_MAX && run_one(scenario, plan).violation.is_some()
    };
    let mut plan = plan;
    let mut size = plan.script.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < plan.script.len() {
            let mut smaller = plan.clone();
            smaller.script.drain(from..(from + size).min(plan.script.len()));
            if fails(&smaller) {
                plan = smaller;
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    plan
}
