//! A pinned shard, copied elsewhere, is the shard as it was; a power cut at any step of taking it in leaves all or none.

use std::{path::Path, sync::Arc};

use skywatch_model::TimeRange;
use skywatch_storage::{
    AdoptError, PinnedShard, Shard, ShardId, Store,
    fs::{Fault, Fs, SimFs},
};

use crate::support::{Cells, DIR, cells, expected, manual, open, shard, simple, try_open, write};

const COPY: ShardId = ShardId(40);

fn copy(store: &Store, pinned: &PinnedShard) -> Result<Arc<Shard>, AdoptError> {
    let staged = store.stage_shard()?;
    for file in &pinned.files {
        let mut copy = staged.create_file(file.name())?;
        copy.append(file.bytes())?;
        assert_eq!(copy.len_bytes(), file.bytes().len() as u64);
        copy.sync()?;
    }
    store.adopt_shard(staged, COPY, TimeRange::ALL, &pinned.damaged)
}

/// A shard with segments, rewritten rows and a log; and what was written before the pin.
fn pinned() -> (PinnedShard, Cells) {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let shard = shard(&store);
    let mut points = Vec::new();
    for round in 0..6 {
        let batch: Vec<_> = (0..4).map(|series| simple(series, round, (round * 7) as f64)).collect();
        write(&shard, &batch, round as u64 + 1).unwrap();
        points.extend(batch);
        if round % 2 == 0 {
            shard.flush().unwrap();
        }
    }
    (shard.pin().unwrap(), expected(&points))
}

#[test]
fn a_pin_outlives_what_becomes_of_the_shard() {
    let fs = SimFs::default();
    let store = open(&fs, manual());
    let source = shard(&store);
    let before = [simple(1, 1, 1.0), simple(2, 1, 2.0)];
    write(&source, &before, 1).unwrap();
    let pinned = source.pin().unwrap();
    write(&source, &[simple(1, 1, 9.0), simple(3, 5, 3.0)], 2).unwrap();
    source.flush().unwrap();
    source.compact().unwrap();
    store.drop_shard(source.id()).unwrap();
    let copy = copy(&store, &pinned).unwrap();
    assert_eq!(cells(&*copy.snapshot()).unwrap(), expected(&before));
    // It goes on like any other, also after a restart.
    write(&copy, &[simple(4, 4, 4.0)], 3).unwrap();
    drop((copy, source, store));
    fs.restart();
    let store = open(&fs, manual());
    let later = expected(before.iter().chain(&[simple(4, 4, 4.0)]));
    assert_eq!(cells(&*store.shard(COPY).unwrap().snapshot()).unwrap(), later);
}

#[test]
fn pins_share_what_did_not_change() {
    let store = open(&SimFs::default(), manual());
    let shard = shard(&store);
    write(&shard, &[simple(1, 1, 1.0)], 1).unwrap();
    let names = |pinned: PinnedShard| -> Vec<String> {
        pinned.files.iter().map(|file| file.name().to_owned()).collect()
    };
    let first = names(shard.pin().unwrap());
    assert_eq!(names(shard.pin().unwrap()), first, "nothing was written in between");
    assert!(!first.iter().any(|name| name.ends_with(".wal")), "{first:?}");
    write(&shard, &[simple(1, 2, 1.0)], 2).unwrap();
    let second = names(shard.pin().unwrap());
    assert!(first.iter().all(|name| second.contains(name)), "{first:?} {second:?}");
}

#[test]
fn a_copy_that_lacks_a_file_or_has_a_bad_one_is_refused_and_leaves_nothing() {
    let (pinned, _) = pinned();
    for lost in 0..pinned.files.len() {
        let fs = SimFs::default();
        let store = open(&fs, manual());
        let mut lacking = pinned.clone();
        let name = lacking.files.remove(lost).name().to_owned();
        let error = copy(&store, &lacking).unwrap_err().to_string();
        assert!(error.contains(&name), "{error}");
        let left: Vec<_> =
            fs.list(Path::new(DIR)).unwrap().into_iter().filter(|entry| entry.is_dir).collect();
        assert!(left.is_empty() && store.shard(COPY).is_none(), "{left:?}");
    }
    let store = open(&SimFs::default(), manual());
    let staged = store.stage_shard().unwrap();
    for name in ["", "..", "../x", "a/b", "/etc/passwd", ".hidden", "MANIFEST.tmp", "a\0"] {
        assert!(matches!(staged.create_file(name), Err(AdoptError::BadName(_))), "{name:?}");
    }
}

#[test]
fn a_fault_at_any_step_leaves_the_whole_shard_or_none() {
    let (pinned, cells_before) = pinned();
    for fault in [Fault::PowerCut, Fault::Error, Fault::DiskFull] {
        let mut operation = 0;
        loop {
            let fs = SimFs::new(operation + 1);
            drop(open(&fs, manual()));
            let first = fs.operations();
            fs.fail_at(first + operation, fault);
            let adopted = try_open(&fs, manual()).ok().and_then(|store| copy(&store, &pinned).ok()).is_some();
            let struck = fs.operations() > first + operation;
            fs.restart();
            let when = format!("{fault:?} at operation {operation}");
            let store = open(&fs, manual());
            match store.shard(COPY) {
                Some(shard) => {
                    assert!(!shard.recovery().has_damage(), "{when}");
                    assert_eq!(cells(&*shard.snapshot()).unwrap(), cells_before, "{when}");
                }
                None => assert!(!adopted, "{when}: it was said to be there"),
            }
            let dirs = fs.list(Path::new(DIR)).unwrap().into_iter().filter(|entry| entry.is_dir).count();
            assert_eq!(dirs, usize::from(store.shard(COPY).is_some()), "{when}");
            if !struck {
                assert!(adopted && operation > 10, "{when}");
                break;
            }
            operation += 1;
        }
    }
}
