//! One fault at every operation of a workload, and power cuts at every one: what was acknowledged is there, live and
//! after a restart.

use std::collections::{BTreeMap, BTreeSet};

use skywatch_model::{FieldValue, TimeRange, Version};
use skywatch_storage::{
    Shard, Store, TagPredicate, WriteError,
    fs::{Fault, SimFs},
};

use crate::support::{CellKey, Cells, DIR, Point, SHARD, cells, manual, simple, try_open, write};

/// What a run was told about its writes.
#[derive(Debug, Default)]
struct Told {
    acknowledged: Cells,
    /// Values of writes that failed after the latest acknowledged one of their cell: they may or may not be there.
    unsure: BTreeMap<CellKey, Vec<FieldValue>>,
    /// Cells of deletes that failed after the latest acknowledged write of the cell: they may be gone.
    perhaps_gone: BTreeSet<CellKey>,
}

impl Told {
    fn write(&mut self, shard: &Shard, points: &[Point], version: u64) -> Result<(), WriteError> {
        let result = write(shard, points, version);
        for (key, name, time, value) in points
            .iter()
            .flat_map(|(key, time, fields)| fields.iter().map(move |(name, value)| (key, name, time, value)))
        {
            let cell = (key.clone(), name.clone(), *time);
            if result.is_ok() {
                self.unsure.remove(&cell);
                self.perhaps_gone.remove(&cell);
                self.acknowledged.insert(cell, value.clone());
            } else {
                self.unsure.entry(cell).or_default().push(value.clone());
            }
        }
        result.map(drop)
    }

    /// Deletes what one host has in a range of time.
    fn delete(&mut self, shard: &Shard, host: &str, range: TimeRange, version: u64) {
        let predicate = TagPredicate::Equal { key: "host".into(), value: host.into() };
        let result = shard.delete(&["m".into()], &predicate, range, Version(version));
        let key = format!("m,host={host}");
        let concerned = |cell: &CellKey| cell.0 == key && range.contains(cell.2);
        if result.is_ok() {
            self.acknowledged.retain(|cell, _| !concerned(cell));
            self.unsure.retain(|cell, _| !concerned(cell));
        } else {
            self.perhaps_gone.extend(self.acknowledged.keys().filter(|cell| concerned(cell)).cloned());
        }
    }

    /// Every acknowledged cell is there with its value or one written over it; nothing appears from nowhere.
    fn check(&self, shard: &Shard, when: &str) {
        let found = cells(&*shard.snapshot()).unwrap();
        for (cell, value) in &self.acknowledged {
            let is_value = found.get(cell) == Some(value);
            let is_unsure = self
                .unsure
                .get(cell)
                .is_some_and(|values| found.get(cell).is_some_and(|it| values.contains(it)));
            let is_gone = !found.contains_key(cell) && self.perhaps_gone.contains(cell);
            assert!(
                is_value || is_unsure || is_gone,
                "{when}: {cell:?} is {:?}, acknowledged {value:?}",
                found.get(cell)
            );
        }
        for (cell, value) in &found {
            let is_known = self.acknowledged.get(cell) == Some(value)
                || self.unsure.get(cell).is_some_and(|values| values.contains(value));
            assert!(is_known, "{when}: {cell:?} is {value:?}, which nobody wrote");
        }
    }
}

/// Rows of a few series, most of them new cells, some rewritten.
fn points(round: i64) -> Vec<Point> {
    let mut points: Vec<Point> =
        (0..3).map(|series| simple(series, round * 10, round as f64 + 0.5)).collect();
    points.push(simple(round as u32 + 10, 5, 1.0));
    points.push(simple(0, 5, round as f64));
    points
}

/// Writes, flushes and merges; steps that fail are passed over, as a server would.
fn work(store: &Store, told: &mut Told) {
    let Ok(shard) = store.create_shard(SHARD, TimeRange::ALL) else {
        return;
    };
    for round in 0..12 {
        drop(told.write(&shard, &points(round), round as u64 + 1));
        if round % 3 == 1 {
            // A part of what is in memory and on disk, then a whole series.
            told.delete(&shard, "h2", TimeRange::new(0, round * 5), round as u64 + 1);
        }
        if round == 6 {
            told.delete(&shard, "h1", TimeRange::ALL, round as u64 + 1);
        }
        if round % 2 == 1 {
            drop(shard.flush());
        }
        if round % 4 == 3 {
            drop(shard.compact());
        }
    }
    drop(told.write(&shard, &points(100), 100));
}

/// Opens what is there; a shard whose creation was never acknowledged may be missing.
fn reopen(fs: &SimFs, told: &Told, when: &str) -> Store {
    let store = try_open(fs, manual()).unwrap_or_else(|error| panic!("{when}: {error}"));
    match store.shard(SHARD) {
        Some(shard) => {
            assert!(!shard.recovery().has_damage(), "{when}: {:?}", shard.recovery());
            told.check(&shard, when);
        }
        None => assert!(told.acknowledged.is_empty(), "{when}: the shard is gone"),
    }
    store
}

/// After a restart the shard is as good as new: it takes writes, flushes, and keeps them.
fn go_on(fs: &SimFs, store: Store, mut told: Told, when: &str) {
    let shard = store.create_shard(SHARD, TimeRange::ALL).unwrap();
    told.write(&shard, &points(200), 200).unwrap();
    shard.flush().unwrap();
    told.write(&shard, &points(201), 201).unwrap();
    told.check(&shard, when);
    drop((shard, store));
    fs.restart();
    drop(reopen(fs, &told, when));
}

/// Runs the workload once per operation it performs, with `fault` at that operation.
fn at_every_operation(fault: Fault, after: fn(&SimFs)) {
    let mut operation = 0;
    loop {
        let fs = SimFs::new(operation + 1);
        fs.fail_at(operation, fault);
        let mut told = Told::default();
        let when = format!("{fault:?} at operation {operation}");
        let struck = match try_open(&fs, manual()) {
            Ok(store) => {
                work(&store, &mut told);
                if let Some(shard) = store.shard(SHARD) {
                    told.check(&shard, &format!("{when}, live"));
                }
                fs.operations() > operation
            }
            Err(_) => true,
        };
        after(&fs);
        let store = reopen(&fs, &told, &when);
        go_on(&fs, store, told, &when);
        if !struck {
            assert!(operation > 100, "the workload has only {operation} operations");
            return;
        }
        operation += 1;
    }
}

#[test]
fn a_power_cut_at_every_operation() {
    at_every_operation(Fault::PowerCut, SimFs::restart);
}

#[test]
fn an_error_at_every_operation_then_a_power_cut() {
    at_every_operation(Fault::Error, SimFs::restart);
}

#[test]
fn an_error_at_every_operation_then_a_kill() {
    at_every_operation(Fault::Error, SimFs::kill);
}

#[test]
fn a_full_disk_at_every_operation_then_a_power_cut() {
    at_every_operation(Fault::DiskFull, SimFs::restart);
}

#[test]
fn an_error_at_every_read() {
    // Of a run, and of the opening after it.
    let mut read = 0;
    loop {
        let fs = SimFs::new(read + 1);
        fs.fail_read_at(read);
        let mut told = Told::default();
        let when = format!("error at read {read}");
        if let Ok(store) = try_open(&fs, manual()) {
            work(&store, &mut told);
            if let Some(shard) = store.shard(SHARD) {
                told.check(&shard, &format!("{when}, live"));
            }
        }
        fs.kill();
        let before = fs.reads();
        fs.fail_read_at(before + read);
        match try_open(&fs, manual()) {
            // What could not be read was either not needed or is told, and nothing is answered without it.
            Ok(store) => {
                if let Some(shard) = store.shard(SHARD)
                    && cells(&*shard.snapshot()).is_ok()
                {
                    told.check(&shard, &format!("{when} after a kill"));
                }
            }
            Err(error) => assert!(error.to_string().contains("injected fault"), "{when}: {error}"),
        }
        let struck = before > read || fs.reads() > before + read;
        fs.kill();
        let store = reopen(&fs, &told, &when);
        go_on(&fs, store, told, &when);
        if !struck {
            assert!(read > 20, "there are only {read} reads");
            return;
        }
        read += 1;
    }
}

#[test]
fn two_power_cuts_the_second_during_recovery() {
    for first in (20..160).step_by(7) {
        let mut second = 0;
        loop {
            let fs = SimFs::new(first * 1000 + second + 1);
            fs.fail_at(first, Fault::PowerCut);
            let mut told = Told::default();
            if let Ok(store) = try_open(&fs, manual()) {
                work(&store, &mut told);
            }
            fs.restart();
            let at = fs.operations() + second;
            fs.fail_at(at, Fault::PowerCut);
            drop(try_open(&fs, manual()));
            let struck = fs.power_is_off();
            fs.restart();
            drop(reopen(&fs, &told, &format!("power cuts at {first} and {second}")));
            if !struck {
                break;
            }
            second += 1;
        }
    }
}

#[test]
fn a_disk_that_stays_full_refuses_writes_and_loses_nothing() {
    for operation in (0..150).step_by(3) {
        let fs = SimFs::new(operation + 1);
        let store = try_open(&fs, manual()).unwrap();
        let shard = store.create_shard(SHARD, TimeRange::ALL).unwrap();
        fs.fill_disk_at(fs.operations() + operation);
        let mut told = Told::default();
        work(&store, &mut told);
        told.unsure.clear();
        told.check(&shard, "full: nothing of a refused write may show");
        if let Err(error) = told.write(&shard, &points(50), 50) {
            assert_eq!(error.class(), skywatch_storage::ErrorClass::Retry, "{error}");
        }
        told.unsure.clear();
        fs.free_space();
        told.write(&shard, &points(51), 51).unwrap();
        shard.flush().unwrap();
        shard.compact().unwrap();
        told.check(&shard, "after space was freed");
        drop((shard, store));
        fs.restart();
        let store = reopen(&fs, &told, "after a restart");
        go_on(&fs, store, told, "after a restart");
    }
}

#[test]
fn a_failed_sync_poisons_the_shard_until_it_is_opened_again() {
    let fs = SimFs::default();
    let store = try_open(&fs, manual()).unwrap();
    let shard = store.create_shard(SHARD, TimeRange::ALL).unwrap();
    let mut told = Told::default();
    told.write(&shard, &points(0), 1).unwrap();
    // The append is one operation (its definitions another), the sync the next.
    fs.fail_at(fs.operations() + 2, Fault::Error);
    let error = told.write(&shard, &points(1), 2).unwrap_err();
    assert!(matches!(error, WriteError::Poisoned { .. }), "{error}");
    let error = told.write(&shard, &points(2), 3).unwrap_err();
    assert!(error.to_string().contains("check the disk, then restart"), "{error}");
    told.check(&shard, "poisoned, live");
    drop((shard, store));
    fs.restart();
    let store = reopen(&fs, &told, "reopened");
    go_on(&fs, store, told, "reopened");
}

#[test]
fn no_fault_leaves_stray_files() {
    for operation in (0..150).step_by(5) {
        let fs = SimFs::new(operation + 1);
        fs.fail_at(operation, Fault::PowerCut);
        if let Ok(store) = try_open(&fs, manual()) {
            work(&store, &mut Told::default());
        }
        fs.restart();
        let store = try_open(&fs, manual()).unwrap();
        let Some(shard) = store.shard(SHARD) else { continue };
        write(&shard, &points(300), 300).unwrap();
        shard.flush().unwrap();
        let dir = std::path::Path::new(DIR).join(SHARD.to_string());
        let stats = shard.stats();
        let names: Vec<String> =
            skywatch_storage::fs::Fs::list(&fs, &dir).unwrap().into_iter().map(|entry| entry.name).collect();
        assert!(names.iter().all(|name| !name.ends_with(".tmp")), "{names:?}");
        let segments = names.iter().filter(|name| name.ends_with(".seg")).count();
        assert_eq!(segments as u64, stats.segments, "{names:?}");
        assert_eq!(names.iter().filter(|name| name.ends_with(".wal")).count(), 1, "{names:?}");
    }
}
