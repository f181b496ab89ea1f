//! What a node does by itself besides replication: files are flushed and merged, and it is noted who holds the lease.

use std::{sync::Arc, time::Duration};

use skywatch_model::Version;
use skywatch_replication::LeaseHolder;
use skywatch_storage::Shard;

use super::DataNode;
use crate::{Machine, invariants::leases::Holdings, stream};

/// How often a node looks whether it holds the lease.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Notes when a node believes to hold the lease.
pub(crate) async fn watch_lease(machine: Machine, holdings: Holdings, holder: Arc<LeaseHolder>) {
    let mut did_before = false;
    loop {
        let does = holder.is_held();
        if does {
            holdings.seen(machine.host, machine.time.now(), did_before);
        }
        did_before = does;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Flushes and merges now and then, as the threads of a store do. What fails is tried again.
pub(super) async fn maintain(node: Arc<DataNode>) {
    let mut random = stream(node.machine.seed, "maintenance");
    loop {
        tokio::time::sleep(Duration::from_millis(random.between(300, 3000))).await;
        for shard in node.member.store().shards() {
            node.note_forgotten(&shard);
            let result = match random.between(0, 3) {
                0 | 1 => shard.flush(),
                2 => shard.flush().and_then(|()| shard.compact().map(drop)),
                _ => Ok(()),
            };
            if let Err(error) = result {
                let (trace, time) = (&node.machine.trace, &node.machine.time);
                trace.note(
                    time.now(),
                    format!("{}: upkeep of {} fails: {error}", node.machine.name, shard.id()),
                );
            }
        }
    }
}

impl DataNode {
    /// Tells in the trace which deletes a shard has forgotten.
    fn note_forgotten(&self, shard: &Shard) {
        let forgotten = shard.forgotten();
        if forgotten > Version::ZERO {
            let Self { machine, .. } = self;
            let left = shard.stats().tombstones;
            let told =
                format!("{}: shard {} forgets below {forgotten}, {left} left", machine.name, shard.id());
            machine.trace.note(machine.time.now(), told);
        }
    }
}
