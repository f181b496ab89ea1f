//! The log by itself: small durable writes of several clients, which share syncs.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use divan::{Bencher, counter::ItemsCount};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_storage::{Durability, ShardId, Store, StoreOptions};

/// Writes of a client, one after the other.
const WRITES: usize = 20;

fn main() {
    divan::main();
}

/// A row for each of ten series of a client.
fn batch(client: usize) -> PointBatch<'static> {
    let mut batch = PointBatch::new();
    for host in 0..10 {
        let key = format!("cpu,hostname=host_{client}_{host}");
        batch.push(&key, 1, [("usage_user", FieldRef::Integer(7))]).unwrap();
    }
    batch
}

/// Each write is synced before it is acknowledged; clients that wait together share a sync.
#[divan::bench(args = [1, 4, 16], sample_count = 5, sample_size = 1)]
fn small_durable_writes(bencher: Bencher<'_, '_>, clients: usize) {
    let dir = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { durability: Durability::Fsync, background: false, ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    let batches: Vec<_> = (0..clients).map(batch).collect();
    bencher.counter(ItemsCount::new(clients * WRITES)).bench_local(|| {
        std::thread::scope(|scope| {
            for batch in &batches {
                let shard = &shard;
                scope.spawn(move || {
                    let all: Vec<u32> = (0..batch.len() as u32).collect();
                    for version in 0..WRITES as u64 {
                        assert!(shard.write(batch, &all, Version(version)).unwrap().rejected.is_empty());
                    }
                });
            }
        });
    });
}
