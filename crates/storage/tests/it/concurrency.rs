//! Many threads at once.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use skywatch_model::TimeRange;
use skywatch_storage::{
    Store, StoreOptions,
    fs::{DirLock, Entry, File, FileBytes, Fs, LockError, SimFs},
};

use crate::support::{DIR, SHARD, cells, expected, manual, open, simple, write};

/// A disk whose syncs take their time, and are counted.
#[derive(Debug, Clone)]
struct SlowSync {
    inner: SimFs,
    syncs: Arc<AtomicU64>,
}

#[derive(Debug)]
struct SlowFile {
    inner: Arc<dyn File>,
    syncs: Arc<AtomicU64>,
}

impl File for SlowFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.inner.append(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(3));
        self.inner.sync()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }
}

impl SlowSync {
    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(SlowFile { inner, syncs: Arc::clone(&self.syncs) })
    }
}

impl Fs for SlowSync {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.inner.create(path).map(|file| self.wrap(file))
    }
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.inner.open_append(path).map(|file| self.wrap(file))
    }
    fn map(&self, path: &Path) -> io::Result<FileBytes> {
        self.inner.map(path)
    }
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.inner.read_at(path, offset, len)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn DirLock>, LockError> {
        self.inner.lock(path)
    }
}

#[test]
fn concurrent_writers_share_syncs_and_lose_nothing() {
    const WRITERS: u32 = 8;
    const WRITES: i64 = 20;
    let fs = SlowSync { inner: SimFs::default(), syncs: Arc::default() };
    let store = Store::open_on(Arc::new(fs.clone()), Path::new(DIR), manual()).unwrap();
    let shard = store.create_shard(SHARD, TimeRange::ALL).unwrap();
    let before = fs.syncs.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let shard = Arc::clone(&shard);
            scope.spawn(move || {
                for time in 0..WRITES {
                    write(&shard, &[simple(writer, time, time as f64)], 1 + time as u64).unwrap();
                }
            });
        }
    });
    let syncs = fs.syncs.load(Ordering::Relaxed) - before;
    let writes = u64::from(WRITERS) * WRITES as u64;
    assert!(syncs < writes / 2, "{syncs} syncs for {writes} writes");
    drop((shard, store));
    fs.inner.restart();
    let points: Vec<_> = (0..WRITERS)
        .flat_map(|writer| (0..WRITES).map(move |time| simple(writer, time, time as f64)))
        .collect();
    let store = open(&fs.inner, manual());
    assert_eq!(cells(&*store.shard(SHARD).unwrap().snapshot()).unwrap(), expected(&points));
}

#[test]
fn readers_see_everything_acknowledged_while_flushes_and_merges_go_on() {
    let fs = SimFs::default();
    let store = open(&fs, StoreOptions { flush_bytes: 20_000, ..manual() });
    let shard = store.create_shard(SHARD, TimeRange::ALL).unwrap();
    let acknowledged = AtomicU64::new(0);
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for time in 0..400 {
                let points: Vec<_> = (0..4).map(|series| simple(series, time, time as f64)).collect();
                write(&shard, &points, 1 + time as u64).unwrap();
                acknowledged.store(time as u64 + 1, Ordering::Release);
            }
            stopped.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !stopped.load(Ordering::Acquire) {
                shard.flush().unwrap();
                shard.compact().unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !stopped.load(Ordering::Acquire) {
                    let at_least = acknowledged.load(Ordering::Acquire);
                    let found = cells(&*shard.snapshot()).unwrap();
                    assert!(found.len() as u64 >= at_least * 4, "{} cells of {at_least} rows", found.len());
                    for ((_, _, time), value) in found {
                        assert_eq!(value, skywatch_model::FieldValue::Float(time as f64));
                    }
                }
            });
        }
    });
    drop((shard, store));
    fs.restart();
    let store = open(&fs, manual());
    assert_eq!(cells(&*store.shard(SHARD).unwrap().snapshot()).unwrap().len(), 1600);
}
