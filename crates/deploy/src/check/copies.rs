//! Whether there are nodes for the copies of every policy, and whether they stand apart.

use std::collections::BTreeSet;

use crate::{
    cloud::{Cloud, Database, Host, Policy, Role},
    problem::Problems,
};

const HOUR: i64 = 3_600_000_000_000;

pub(super) fn check(cloud: &Cloud, problems: &mut Problems) {
    let nodes: Vec<_> = cloud.with(Role::Data).collect();
    if nodes.is_empty() {
        // Said already.
        return;
    }
    for database in &cloud.databases {
        for policy in &database.policies {
            copies(policy, &nodes, problems);
            spans(database, policy, problems);
        }
    }
}

fn copies(policy: &Policy, nodes: &[&Host], problems: &mut Problems) {
    let (line, key) = (policy.lines.of("replication"), format!("{}.replication", policy.path));
    let copies = usize::try_from(policy.replication).unwrap_or(usize::MAX);
    let nodes_count = nodes.len();
    if copies > nodes_count {
        let message =
            format!("is {copies}, and there are {nodes_count} data nodes: every copy needs one of its own");
        problems.error(line, key, message);
        return;
    }
    if copies == 1 && nodes_count > 1 {
        problems.warning(
            line,
            key,
            "is 1: what a node holds cannot be asked for while it is down, and is lost with its disk",
        );
        return;
    }
    let racks: BTreeSet<_> = nodes.iter().map(|node| (&node.site, &node.rack)).collect();
    if racks.len() < copies {
        let message = format!(
            "is {copies}, and the data nodes stand in {} rack(s): copies will share one and be lost with it",
            racks.len()
        );
        problems.warning(line, key, message);
    }
}

fn spans(database: &Database, policy: &Policy, problems: &mut Problems) {
    let mut error = |key: &str, message: String| {
        problems.error(policy.lines.of(key), format!("{}.{key}", policy.path), message);
    };
    if policy.duration.is_some_and(|duration| duration < HOUR) {
        error(
            "duration",
            format!("of {} is less than 1h, the least that a policy may keep points", database.name),
        );
    }
    match (policy.duration, policy.shard_duration) {
        (Some(duration), Some(shard)) if shard > duration => {
            error("shard-duration", "is longer than the duration: a shard would outlive its points".into());
        }
        (_, Some(shard)) if shard < HOUR => {
            error("shard-duration", "is less than 1h, the least that a shard may cover".into());
        }
        _ => {}
    }
}
