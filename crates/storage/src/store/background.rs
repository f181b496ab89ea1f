//! The store's threads: one flushes, one compacts, and one syncs logs where durability has an interval.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use super::Inner;
use crate::{Consumer, Durability, MaintenanceError, Shard, shard::FlushCause};

/// How often shards are looked at unasked.
const FLUSH_CHECK: Duration = Duration::from_secs(1);
const COMPACTION_CHECK: Duration = Duration::from_secs(10);
/// Pause after a failed flush or merge, so that a full disk is not hammered.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Starts the threads that `inner`'s options ask for.
pub(super) fn start(inner: &Arc<Inner>) -> io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    if inner.options.background {
        threads.push(spawn("store-flush", inner, flush_loop)?);
        threads.push(spawn("store-compact", inner, compaction_loop)?);
    }
    if let Durability::Interval(interval) = inner.options.durability {
        threads.push(spawn("store-sync", inner, move |inner| sync_loop(inner, interval))?);
    }
    Ok(threads)
}

fn spawn(
    name: &str,
    inner: &Arc<Inner>,
    run: impl FnOnce(&Inner) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let inner = Arc::clone(inner);
    Builder::new().name(name.to_owned()).spawn(move || run(&inner))
}

fn flush_loop(inner: &Inner) {
    while inner.shared.wait_for_flush(FLUSH_CHECK) {
        let mut failed = false;
        for (shard, cause) in inner.due_for_flush() {
            match shard.flush_because(cause) {
                Ok(()) | Err(MaintenanceError::Closed) => {}
                Err(error) => {
                    tracing::error!(shard = %shard.id(), %error, "flush failed; the points stay in memory and in the log");
                    failed = true;
                }
            }
        }
        if failed && !inner.shared.pause(AFTER_FAILURE) {
            return;
        }
    }
}

fn compaction_loop(inner: &Inner) {
    while inner.shared.wait_for_compaction(COMPACTION_CHECK) {
        for shard in inner.all() {
            match shard.compact_once() {
                Ok(false) | Err(MaintenanceError::Closed) => {}
                // There may be more to do; but look at the other shards first.
                Ok(true) => inner.shared.want_compaction(),
                Err(error) => {
                    tracing::error!(shard = %shard.id(), %error, "compaction failed; its inputs stay as they are");
                    if !inner.shared.pause(AFTER_FAILURE) {
                        return;
                    }
                }
            }
        }
    }
}

fn sync_loop(inner: &Inner, interval: Duration) {
    while inner.shared.pause(interval) {
        for shard in inner.all() {
            if let Err(error) = shard.sync() {
                tracing::debug!(shard = %shard.id(), %error, "log not synced");
            }
        }
    }
}

impl Inner {
    fn all(&self) -> Vec<Arc<Shard>> {
        self.shards.read().values().cloned().collect()
    }

    /// Shards whose memtable is due, and why; when memory runs short and none is, the one with most of it.
    fn due_for_flush(&self) -> Vec<(Arc<Shard>, FlushCause)> {
        let now = Instant::now();
        let shards = self.all();
        let cause = |shard: &Arc<Shard>| Some((Arc::clone(shard), shard.flush_cause(now)?));
        let mut due: Vec<(Arc<Shard>, FlushCause)> = shards.iter().filter_map(cause).collect();
        let memory = &self.options.memory;
        let is_short = [Consumer::Memtables, Consumer::Index]
            .iter()
            .any(|consumer| memory.used_bytes(*consumer) >= memory.limit_bytes(*consumer) / 4 * 3);
        if due.is_empty() && is_short {
            let largest = shards.into_iter().max_by_key(|shard| shard.unflushed_bytes());
            due.extend(largest.map(|shard| (shard, FlushCause::Memory)));
        }
        due
    }
}
