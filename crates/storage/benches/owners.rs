//! What comparing replicas costs: reading a shard for its digest, handing all its cells out, taking them in elsewhere.
//! Prints how many bytes a value takes, on disk and on its way.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark may stop at the first surprise, and talks"
)]

use std::{path::Path, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_storage::{
    CellBatch, Durability, MemoryBudget, Order, ScanRequest, SeriesClasses, Shard, ShardId, Store,
    StoreOptions, TagPredicate, VersionPolicy,
};

const HOSTS: usize = 200;
const FIELDS: [&str; 10] = ["usr", "sys", "idle", "nice", "wait", "irq", "soft", "steal", "guest", "gnice"];
/// At 10 s between rows.
const ROWS: usize = 1_440;
const VALUES: usize = HOSTS * FIELDS.len() * ROWS;

fn main() {
    divan::main();
}

fn open(dir: &Path) -> (Store, Arc<Shard>) {
    let options = StoreOptions {
        durability: Durability::None,
        versions: VersionPolicy::Keep,
        background: false,
        memory: Arc::new(MemoryBudget::unlimited()),
        ..StoreOptions::default()
    };
    let store = Store::open(dir, options).unwrap();
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    (store, shard)
}

/// Rows of all hosts in order of time, each time a batch with a version of its own.
fn filled(dir: &Path) -> (Store, Arc<Shard>) {
    let (store, shard) = open(dir);
    let mut random = 7u64;
    for row in 0..ROWS {
        let mut batch = PointBatch::new();
        for host in 0..HOSTS {
            let fields = FIELDS.map(|field| {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (field, FieldRef::Float((random >> 40) as f64 % 10_000.0 / 100.0))
            });
            batch
                .push(&format!("cpu,host=h{host},rack=r{}", host % 9), row as i64 * 10_000_000_000, fields)
                .unwrap();
        }
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        shard.write(&batch, &all, Version(1 + row as u64)).unwrap();
    }
    shard.flush().unwrap();
    (store, shard)
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn digest_of_a_shard_that_was_opened(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, shard) = filled(dir.path());
    let bytes = shard.stats().segment_bytes;
    eprintln!("{VALUES} values, {bytes} bytes on disk, {:.2} a value", bytes as f64 / VALUES as f64);
    drop((shard, store));
    bencher
        .counter(ItemsCount::new(VALUES))
        .with_inputs(|| open(dir.path()))
        .bench_local_refs(|(_, shard)| assert_eq!(shard.digest().unwrap().cells().count, VALUES as u64));
}

fn export(shard: &Shard) -> Vec<Vec<u8>> {
    let (mut batches, mut after) = (Vec::new(), None);
    loop {
        let (batch, next) =
            shard.export(TimeRange::ALL, SeriesClasses::ALL, after.as_ref(), 1 << 20).unwrap();
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        batches.push(bytes);
        after = next;
        if after.is_none() {
            return batches;
        }
    }
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn export_all(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path());
    let bytes: usize = export(&shard).iter().map(Vec::len).sum();
    eprintln!("{:.2} bytes a value on their way", bytes as f64 / VALUES as f64);
    bencher.counter(ItemsCount::new(VALUES)).bench_local(|| export(&shard).len());
}

#[divan::bench(args = ["none here", "all here"], sample_count = 2, sample_size = 1)]
fn import_all(bencher: Bencher<'_, '_>, what: &str) {
    let source = tempfile::tempdir().unwrap();
    let batches = export(&filled(source.path()).1);
    let known = tempfile::tempdir().unwrap();
    let (_store, known) = filled(known.path());
    bencher.counter(ItemsCount::new(VALUES)).with_inputs(tempfile::tempdir).bench_local_values(|dir| {
        let dir = dir.unwrap();
        let (_store, empty) = open(dir.path());
        let target = if what == "none here" { &empty } else { &known };
        let stored: u64 = batches
            .iter()
            .map(|bytes| {
                target.import(&CellBatch::decode(bytes).unwrap(), target.forgotten()).unwrap().stored
            })
            .sum();
        assert_eq!(stored, if what == "none here" { VALUES as u64 } else { 0 });
    });
}

/// Deletes that concern other series, as they pile up where hosts come and go.
fn delete_others(shard: &Shard, deletes: usize) {
    for number in 0..deletes {
        let predicate = TagPredicate::Equal { key: "host".into(), value: format!("gone{number}").into() };
        let version = Version(10_000 + number as u64);
        shard.delete(&["cpu".into()], &predicate, TimeRange::ALL, version).unwrap();
    }
}

#[divan::bench(args = [0, 4_096, 65_000], sample_count = 5, sample_size = 1)]
fn scan_of_series_that_no_delete_concerns(bencher: Bencher<'_, '_>, deletes: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = open(dir.path());
    // Series that were known at the time of the deletes, and as many that came later.
    let write = |from: usize| {
        let mut batch = PointBatch::new();
        for host in from..from + HOSTS {
            batch.push(&format!("cpu,host=h{host}"), 1, [("usr", FieldRef::Float(1.0))]).unwrap();
        }
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        shard.write(&batch, &all, Version(1_000_000 + from as u64)).unwrap();
    };
    write(0);
    let started = std::time::Instant::now();
    delete_others(&shard, deletes);
    eprintln!("{deletes} deletes took {:?}", started.elapsed());
    write(HOSTS);
    let started = std::time::Instant::now();
    shard.flush().unwrap();
    eprintln!("a flush took {:?}", started.elapsed());
    bencher.counter(ItemsCount::new(2 * HOSTS)).bench_local(|| {
        let snapshot = shard.snapshot();
        let fields = ["usr".into()];
        let scanner = snapshot.scanner(&ScanRequest::new("cpu", &fields)).unwrap();
        let mut rows = 0;
        for series in snapshot.select_series("cpu", &TagPredicate::All).unwrap() {
            let mut blocks = scanner.scan(series, TimeRange::ALL, Order::Ascending).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                rows += block.decode().unwrap().times.len();
            }
        }
        assert_eq!(rows, 2 * HOSTS);
    });
}
