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
    CellBatch, Durability, MemoryBudget, SeriesClasses, Shard, ShardId, Store, StoreOptions, VersionPolicy,
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
            .map(|bytes| target.import(&CellBatch::decode(bytes).unwrap()).unwrap().stored)
            .sum();
        assert_eq!(stored, if what == "none here" { VALUES as u64 } else { 0 });
    });
}
