//! The engine's stages on the data of the Time Series Benchmark Suite's cpu-only case: hosts with ten integer
//! percentages every ten seconds, 5,000 rows a batch. Each result is per batch or per store; divide by the values
//! the item counter shows.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark may stop at the first surprise, and talks"
)]

use std::{path::Path, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_storage::{
    Durability, End, MemoryBudget, Order, ScanRequest, Shard, ShardId, Store, StoreOptions, TagPredicate,
    fs::SimFs,
};

const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];
const HOSTS: usize = 1000;
const STEPS: usize = 360;
const ROWS_PER_BATCH: usize = 5000;
const VALUES_PER_BATCH: usize = ROWS_PER_BATCH * FIELDS.len();

fn main() {
    divan::main();
}

/// Random walks between 0 and 100, as the suite's.
struct Walks {
    state: u64,
    values: Vec<f64>,
}

impl Walks {
    fn new() -> Self {
        let mut walks = Self { state: 42, values: Vec::new() };
        walks.values = (0..HOSTS * FIELDS.len()).map(|_| walks.uniform() * 100.0).collect();
        walks
    }

    fn uniform(&mut self) -> f64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }

    fn step(&mut self) {
        for index in 0..self.values.len() {
            let normal = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
            self.values[index] = (self.values[index] + normal).clamp(0.0, 100.0);
        }
    }
}

fn key(host: usize) -> String {
    format!(
        "cpu,arch=x64,datacenter=eu-central-1{},hostname=host_{host},os=Ubuntu16.04LTS,rack={},region=eu-central-1,\
         service={},service_environment=production,service_version={},team=SF",
        host % 2,
        host % 100,
        host % 20,
        host % 2
    )
}

fn batches(steps: usize) -> Vec<PointBatch<'static>> {
    let keys: Vec<String> = (0..HOSTS).map(key).collect();
    let mut walks = Walks::new();
    let mut batches = vec![PointBatch::new()];
    for step in 0..steps {
        walks.step();
        for (host, key) in keys.iter().enumerate() {
            if batches.last().unwrap().len() == ROWS_PER_BATCH {
                batches.push(PointBatch::new());
            }
            let values = &walks.values[host * FIELDS.len()..][..FIELDS.len()];
            let fields =
                FIELDS.iter().zip(values).map(|(name, value)| (*name, FieldRef::Integer(*value as i64)));
            batches.last_mut().unwrap().push(key, step as i64 * 10_000_000_000, fields).unwrap();
        }
    }
    batches
}

fn options(durability: Durability) -> StoreOptions {
    StoreOptions {
        durability,
        background: false,
        memory: Arc::new(MemoryBudget::unlimited()),
        ..StoreOptions::default()
    }
}

fn write(shard: &Shard, batch: &PointBatch<'_>, version: u64) {
    let all: Vec<u32> = (0..batch.len() as u32).collect();
    assert!(shard.write(batch, &all, Version(version)).unwrap().rejected.is_empty());
}

/// Encoding, log and memtable, with nothing to wait for.
#[divan::bench(sample_count = 20)]
fn write_in_memory(bencher: Bencher<'_, '_>) {
    let batches = batches(50);
    let store =
        Store::open_on(Arc::new(SimFs::default()), Path::new("d"), options(Durability::None)).unwrap();
    let mut version = 0;
    let mut shard_id = 0;
    bencher
        .counter(ItemsCount::new(VALUES_PER_BATCH * batches.len()))
        .with_inputs(|| {
            shard_id += 1;
            store.drop_shard(ShardId(shard_id - 1)).unwrap();
            store.create_shard(ShardId(shard_id), TimeRange::ALL).unwrap()
        })
        .bench_local_values(|shard| {
            for batch in &batches {
                version += 1;
                write(&shard, batch, version);
            }
        });
}

#[divan::bench(args = [1, 2], sample_count = 10)]
fn write_durably(bencher: Bencher<'_, '_>, clients: usize) {
    let batches = batches(50);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options(Durability::Fsync)).unwrap();
    let mut shard_id = 0;
    bencher
        .counter(ItemsCount::new(VALUES_PER_BATCH * batches.len()))
        .with_inputs(|| {
            shard_id += 1;
            store.drop_shard(ShardId(shard_id - 1)).unwrap();
            store.create_shard(ShardId(shard_id), TimeRange::ALL).unwrap()
        })
        .bench_local_values(|shard| {
            std::thread::scope(|scope| {
                for client in 0..clients {
                    let (shard, batches) = (&shard, &batches);
                    scope.spawn(move || {
                        for (number, batch) in batches.iter().enumerate().skip(client).step_by(clients) {
                            write(shard, batch, number as u64 + 1);
                        }
                    });
                }
            });
        });
}

fn filled(dir: &Path, steps: usize) -> (Store, Arc<Shard>) {
    let store = Store::open(dir, options(Durability::None)).unwrap();
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    for (number, batch) in batches(steps).iter().enumerate() {
        write(&shard, batch, number as u64 + 1);
    }
    (store, shard)
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn flush(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(HOSTS * STEPS * FIELDS.len()))
        .with_inputs(|| {
            let dir = tempfile::tempdir().unwrap();
            let (store, shard) = filled(dir.path(), STEPS);
            (dir, store, shard)
        })
        .bench_local_refs(|(_, _, shard)| shard.flush().unwrap());
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn compact(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(HOSTS * STEPS * FIELDS.len()))
        .with_inputs(|| {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), options(Durability::None)).unwrap();
            let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
            let batches = batches(STEPS);
            for (number, batch) in batches.iter().enumerate() {
                write(&shard, batch, number as u64 + 1);
                if (number + 1) % (batches.len() / 4) == 0 {
                    shard.flush().unwrap();
                }
            }
            (dir, store, shard)
        })
        .bench_local_refs(|(_, _, shard)| assert!(shard.compact().unwrap() > 0));
}

fn scan(shard: &Shard, use_stats: bool) -> u64 {
    let snapshot = shard.snapshot();
    let fields: Vec<Arc<str>> = FIELDS.iter().map(|name| Arc::from(*name)).collect();
    let scanner = snapshot.scanner(&ScanRequest::new("cpu", &fields)).unwrap();
    let mut values = 0;
    for series in snapshot.select_series("cpu", &TagPredicate::All).unwrap() {
        let mut blocks = scanner.scan(series, TimeRange::ALL, Order::Ascending).unwrap();
        while let Some(block) = blocks.next_block().unwrap() {
            if use_stats && let Some(stats) = block.stats(0) {
                values += stats.count * FIELDS.len() as u64;
            } else {
                values += (block.decode().unwrap().times.len() * FIELDS.len()) as u64;
            }
        }
    }
    values
}

#[divan::bench(args = ["memory", "segment", "segment-stats"], sample_count = 10)]
fn scan_all(bencher: Bencher<'_, '_>, source: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), STEPS);
    if source != "memory" {
        shard.flush().unwrap();
    }
    let values = (HOSTS * STEPS * FIELDS.len()) as u64;
    bencher
        .counter(ItemsCount::new(values))
        .bench_local(|| assert_eq!(scan(&shard, source == "segment-stats"), values));
}

/// One field of four hours that no flush has seen.
#[divan::bench(sample_count = 10)]
fn scan_one_field_in_memory(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), 1440);
    bencher.counter(ItemsCount::new(HOSTS * 1440)).bench_local(|| {
        let snapshot = shard.snapshot();
        let scanner = snapshot.scanner(&ScanRequest::new("cpu", &[FIELDS[0].into()])).unwrap();
        let mut rows = 0;
        for series in snapshot.select_series("cpu", &TagPredicate::All).unwrap() {
            let mut blocks = scanner.scan(series, TimeRange::ALL, Order::Ascending).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                rows += block.decode().unwrap().times.len();
            }
        }
        assert_eq!(rows, HOSTS * 1440);
    });
}

/// The latest row of every series, all fields, of four hours that no flush has seen.
#[divan::bench(sample_count = 10)]
fn last_rows_in_memory(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), 1440);
    let fields: Vec<Arc<str>> = FIELDS.iter().map(|name| Arc::from(*name)).collect();
    bencher.counter(ItemsCount::new(HOSTS)).bench_local(|| {
        let snapshot = shard.snapshot();
        let scanner = snapshot.scanner(&ScanRequest::new("cpu", &fields)).unwrap();
        for series in snapshot.select_series("cpu", &TagPredicate::All).unwrap() {
            let mut blocks = scanner.scan(series, TimeRange::ALL, Order::Descending).unwrap();
            let block = blocks.next_block().unwrap().unwrap();
            let rows = match block.end_row(End::Last) {
                Some(row) => row,
                None => block.decode().unwrap(),
            };
            assert_eq!(rows.times.last(), Some(&(1439 * 10_000_000_000)));
        }
    });
}

/// A shard of these hosts and steps in so many segments of equal length.
fn segments(dir: &Path, steps: usize, count: usize) -> (Store, Arc<Shard>) {
    let store = Store::open(dir, options(Durability::None)).unwrap();
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    let batches = batches(steps);
    for (number, batch) in batches.iter().enumerate() {
        write(&shard, batch, number as u64 + 1);
        if (number + 1) % (batches.len() / count) == 0 {
            shard.flush().unwrap();
        }
    }
    (store, shard)
}

/// What a series costs besides its values: one field of it in three segments. Items are series.
#[divan::bench(args = ["stats", "spans", "last row"], sample_count = 50)]
fn scan_a_series_in_three_segments(bencher: Bencher<'_, '_>, ask: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = segments(dir.path(), 1440, 3);
    let snapshot = shard.snapshot();
    let series = snapshot.select_series("cpu", &TagPredicate::All).unwrap();
    let scanner = snapshot.scanner(&ScanRequest::new("cpu", &[FIELDS[0].into()])).unwrap();
    let order = if ask == "last row" { Order::Descending } else { Order::Ascending };
    bencher.counter(ItemsCount::new(HOSTS)).bench_local(|| {
        let mut rows = 0;
        for series in &series {
            let mut blocks = scanner.scan(*series, TimeRange::ALL, order).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                rows += match ask {
                    "stats" => block.stats(0).unwrap().count,
                    "spans" => block.spans(0).unwrap().iter().map(|span| span.count).sum(),
                    _ => block.end_row(End::Last).unwrap().times.len() as u64,
                };
                if ask == "last row" {
                    break;
                }
            }
        }
        assert_eq!(rows as usize, if ask == "last row" { HOSTS } else { HOSTS * 1440 });
    });
}

/// Blocks of one integer field, decoded. Items are values.
#[divan::bench(args = [480, 1440, 4096], sample_count = 30)]
fn decode_one_field(bencher: Bencher<'_, '_>, rows: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = segments(dir.path(), rows, 1);
    let snapshot = shard.snapshot();
    let series = snapshot.select_series("cpu", &TagPredicate::All).unwrap();
    let scanner = snapshot.scanner(&ScanRequest::new("cpu", &[FIELDS[0].into()])).unwrap();
    bencher.counter(ItemsCount::new(100 * rows)).bench_local(|| {
        let mut values = 0;
        for series in series.iter().take(100) {
            let mut blocks = scanner.scan(*series, TimeRange::ALL, Order::Ascending).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                values += block.decode().unwrap().times.len();
            }
        }
        assert_eq!(values, 100 * rows);
    });
}

/// Each row a series the shard has not seen; prints the memory a series takes before and after the flush.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn new_series(bencher: Bencher<'_, '_>) {
    const SERIES: usize = 200_000;
    let batches: Vec<PointBatch<'static>> = (0..SERIES)
        .step_by(ROWS_PER_BATCH)
        .map(|first| {
            let mut batch = PointBatch::new();
            for host in first..first + ROWS_PER_BATCH {
                let fields = FIELDS.iter().map(|name| (*name, FieldRef::Integer(host as i64 % 100)));
                batch.push(&key(host), 1, fields).unwrap();
            }
            batch
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options(Durability::None)).unwrap();
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    let before = resident_bytes();
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        for (number, batch) in batches.iter().enumerate() {
            write(&shard, batch, number as u64 + 1);
        }
    });
    let per_series = |bytes: u64| (bytes - before) / SERIES as u64;
    let unflushed = per_series(resident_bytes());
    shard.flush().unwrap();
    let stats = shard.stats();
    eprintln!(
        "resident bytes a series: {unflushed}, flushed {}; on disk: index {}, segment {}",
        per_series(resident_bytes()),
        stats.index_bytes / SERIES as u64,
        stats.segment_bytes / SERIES as u64
    );
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Not timed: prints how many bytes a value takes after four hours.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn four_hours_bytes_per_value(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), 1440);
    let log = shard.stats();
    shard.flush().unwrap();
    let stats = shard.stats();
    let per_value = |bytes: u64| bytes as f64 / stats.segment_values as f64;
    eprintln!(
        "log {:.3}, memory {:.3}, segment {:.3}, index {:.3} bytes a value",
        per_value(log.log_bytes),
        per_value(log.memory_bytes),
        per_value(stats.segment_bytes),
        per_value(stats.index_bytes)
    );
    bencher.bench_local(|| scan(&shard, true));
}
