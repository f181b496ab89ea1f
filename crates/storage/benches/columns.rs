//! What kinds of values cost: a column each, flushed to a segment (sorted, compressed, synced) and read back
//! (decompressed). Prints how many bytes a value takes, its share of the timestamps included.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark may stop at the first surprise, and talks"
)]

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_storage::{
    Durability, MemoryBudget, Order, ScanRequest, Shard, ShardId, Store, StoreOptions, TagPredicate,
};

const SERIES: usize = 20;
const ROWS: usize = 20_000;
const KINDS: [&str; 7] =
    ["percent", "counter", "random integer", "two decimals", "full float", "status text", "boolean"];

fn main() {
    divan::main();
}

/// A linear congruential generator: deterministic, no dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11
    }

    /// About normal, between -2 and 2.
    fn step(&mut self) -> f64 {
        (0..4).map(|_| self.next() as f64 / (1_u64 << 53) as f64).sum::<f64>() - 2.0
    }
}

/// The next value of a kind; `walk` is where the column stands.
fn value(kind: &str, walk: &mut f64, random: &mut Random) -> FieldRef<'static> {
    *walk = (*walk + random.step()).clamp(0.0, 100.0);
    match kind {
        "percent" => FieldRef::Integer(*walk as i64),
        "counter" => FieldRef::Integer((random.next() >> 49) as i64),
        "random integer" => FieldRef::Integer(random.next() as i64),
        "two decimals" => FieldRef::Float((*walk * 100.0).round() / 100.0),
        "full float" => FieldRef::Float(*walk),
        "status text" => FieldRef::String(["running", "idle", "paused, by hand"][random.next() as usize % 3]),
        _ => FieldRef::Boolean(*walk > 50.0),
    }
}

fn filled(kind: &str) -> (tempfile::TempDir, Store, Arc<Shard>) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        durability: Durability::None,
        background: false,
        memory: Arc::new(MemoryBudget::unlimited()),
        ..StoreOptions::default()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    let mut random = Random(7);
    let mut sum = 0;
    for series in 0..SERIES {
        let key = format!("m,host=h{series}");
        let mut walk = 50.0;
        let mut batch = PointBatch::new();
        for row in 0..ROWS {
            let value = match value(kind, &mut walk, &mut random) {
                FieldRef::Integer(amount) if kind == "counter" => {
                    sum += amount;
                    FieldRef::Integer(sum)
                }
                value => value,
            };
            batch.push(&key, row as i64 * 10_000_000_000, [("v", value)]).unwrap();
        }
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        assert!(shard.write(&batch, &all, Version(series as u64 + 1)).unwrap().rejected.is_empty());
    }
    (dir, store, shard)
}

#[divan::bench(args = KINDS, sample_count = 3, sample_size = 1)]
fn flush(bencher: Bencher<'_, '_>, kind: &str) {
    bencher
        .counter(ItemsCount::new(SERIES * ROWS))
        .with_inputs(|| filled(kind))
        .bench_local_refs(|(_, _, shard)| shard.flush().unwrap());
}

#[divan::bench(args = KINDS, sample_count = 10, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>, kind: &str) {
    let (_dir, _store, shard) = filled(kind);
    shard.flush().unwrap();
    let stats = shard.stats();
    eprintln!("{kind}: {:.3} bytes a value", stats.segment_bytes as f64 / stats.segment_values as f64);
    let fields: [Arc<str>; 1] = ["v".into()];
    bencher.counter(ItemsCount::new(SERIES * ROWS)).bench_local(|| {
        let snapshot = shard.snapshot();
        let scanner = snapshot.scanner(&ScanRequest::new("m", &fields)).unwrap();
        let mut rows = 0;
        for series in snapshot.select_series("m", &TagPredicate::All).unwrap() {
            let mut blocks = scanner.scan(series, TimeRange::ALL, Order::Ascending).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                rows += block.decode().unwrap().times.len();
            }
        }
        assert_eq!(rows, SERIES * ROWS);
    });
}
