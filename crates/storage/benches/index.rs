//! The series index under a million series with the ten tags of the Time Series Benchmark Suite's hosts, through the
//! shard: creating them, writing to known ones, selecting, opening. `memory` is before the first flush, `file` after.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark may stop at the first surprise, and talks"
)]

use std::{path::Path, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_storage::{Durability, MemoryBudget, Shard, ShardId, Store, StoreOptions, TagPredicate};

const SERIES: usize = 1_000_000;
const ROWS_PER_BATCH: usize = 5000;
/// Each has a thousand of the series.
const RACKS: usize = 1000;

const PLACES: [(&str, &str); 4] = [("memory", "hit"), ("memory", "miss"), ("file", "hit"), ("file", "miss")];

fn main() {
    divan::main();
}

fn key(host: usize) -> String {
    format!(
        "cpu,arch=x64,datacenter=eu-central-1{},hostname=host_{host},os=Ubuntu16.04LTS,rack={},region=eu-central-1,\
         service={},service_environment=production,service_version={},team=SF",
        host % 2,
        host % RACKS,
        host % 20,
        host % 2
    )
}

/// One row for each of the first `series` series.
fn batches(series: usize, time: i64) -> Vec<PointBatch<'static>> {
    let batch = |first: usize| {
        let mut batch = PointBatch::new();
        for host in first..(first + ROWS_PER_BATCH).min(series) {
            let field = [("usage_user", FieldRef::Integer(host as i64 % 100))];
            batch.push(&key(host), time, field).unwrap();
        }
        batch
    };
    (0..series).step_by(ROWS_PER_BATCH).map(batch).collect()
}

fn write(shard: &Shard, batches: &[PointBatch<'_>]) {
    for batch in batches {
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        assert!(shard.write(batch, &all, Version(1)).unwrap().rejected.is_empty());
    }
}

fn open(dir: &Path) -> Store {
    let options = StoreOptions {
        durability: Durability::None,
        background: false,
        memory: Arc::new(MemoryBudget::unlimited()),
        ..StoreOptions::default()
    };
    Store::open(dir, options).unwrap()
}

/// A shard with all series, written to a file unless `place` is `memory`.
fn filled(dir: &Path, place: &str) -> (Store, Arc<Shard>) {
    let store = open(dir);
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    write(&shard, &batches(SERIES, 1));
    if place == "file" {
        shard.flush().unwrap();
    }
    (store, shard)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Prints the memory that a series and its row take, before and after the flush.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn create(bencher: Bencher<'_, '_>) {
    let batches = batches(SERIES, 1);
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).unwrap();
    let before = resident_bytes();
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| write(&shard, &batches));
    let per_series = |bytes: u64| bytes.saturating_sub(before) / SERIES as u64;
    let unflushed = per_series(resident_bytes());
    let rows = shard.stats().memory_bytes / SERIES as u64;
    shard.flush().unwrap();
    let stats = shard.stats();
    eprintln!(
        "resident bytes a series: {unflushed}, of them rows {rows}; flushed {}; on disk: index {}, segment {}",
        per_series(resident_bytes()),
        stats.index_bytes / SERIES as u64,
        stats.segment_bytes / SERIES as u64
    );
}

/// Rows of series that are known: a hit each.
#[divan::bench(args = ["memory", "file"], sample_count = 5, sample_size = 1)]
fn write_known(bencher: Bencher<'_, '_>, place: &str) {
    const KNOWN: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), place);
    let batches = batches(KNOWN, 2);
    write(&shard, &batches);
    bencher.counter(ItemsCount::new(KNOWN)).bench_local(|| write(&shard, &batches));
}

#[divan::bench(args = ["memory", "file"], sample_count = 100, sample_size = 10)]
fn select_1000_of_1m(bencher: Bencher<'_, '_>, place: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), place);
    let snapshot = shard.snapshot();
    let rack = TagPredicate::Equal { key: "rack".into(), value: "77".into() };
    assert_eq!(snapshot.select_series("cpu", &TagPredicate::All).unwrap().len(), SERIES);
    bencher.bench_local(|| assert_eq!(snapshot.select_series("cpu", &rack).unwrap().len(), SERIES / RACKS));
}

/// One series by the value of a tag that is its own, and none by a value that no series has.
#[divan::bench(args = PLACES, sample_count = 100, sample_size = 10)]
fn select_1_of_1m(bencher: Bencher<'_, '_>, (place, what): (&str, &str)) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), place);
    let snapshot = shard.snapshot();
    let (value, found) = if what == "hit" { ("host_777777", 1) } else { ("host_x", 0) };
    let host = TagPredicate::Equal { key: "hostname".into(), value: value.into() };
    bencher.bench_local(|| assert_eq!(snapshot.select_series("cpu", &host).unwrap().len(), found));
}

#[divan::bench(args = ["memory", "file"], sample_count = 3, sample_size = 1)]
fn select_1m(bencher: Bencher<'_, '_>, place: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), place);
    let snapshot = shard.snapshot();
    bencher
        .bench_local(|| assert_eq!(snapshot.select_series("cpu", &TagPredicate::All).unwrap().len(), SERIES));
}

#[divan::bench(args = ["memory", "file"], sample_count = 10)]
fn tag_values_of_1000(bencher: Bencher<'_, '_>, place: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, shard) = filled(dir.path(), place);
    let snapshot = shard.snapshot();
    let rack = TagPredicate::Equal { key: "rack".into(), value: "77".into() };
    let series = snapshot.select_series("cpu", &rack).unwrap();
    let keys: [Arc<str>; 1] = ["hostname".into()];
    bencher.bench_local(|| {
        series.iter().map(|series| snapshot.tag_values_of(*series, &keys)[0].len()).sum::<usize>()
    });
}

/// Opening the store up to the answer of a first selection. Prints the memory it takes.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn open_1m(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, shard) = filled(dir.path(), "file");
    drop(shard);
    store.close().unwrap();
    let before = resident_bytes();
    bencher.bench_local(|| {
        let store = open(dir.path());
        let snapshot = store.shard(ShardId(1)).unwrap().snapshot();
        let rack = TagPredicate::Equal { key: "rack".into(), value: "77".into() };
        assert_eq!(snapshot.select_series("cpu", &rack).unwrap().len(), SERIES / RACKS);
        eprintln!("resident: {} KiB more", resident_bytes().saturating_sub(before) >> 10);
        store.close().unwrap();
    });
}
