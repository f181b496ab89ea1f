use std::sync::atomic::AtomicI64;

use skywatch_storage::fs::SimFs;

use super::*;

/// A clock that is set by hand.
#[derive(Debug, Default)]
struct Hands(AtomicI64);

impl WallClock for Hands {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

const HOUR_NS: i64 = 3_600_000_000_000;
const DIR: &str = "hh/5";

fn open(fs: &SimFs, max_bytes: u64) -> Queue {
    open_at(fs, max_bytes, &Arc::default())
}

fn open_at(fs: &SimFs, max_bytes: u64, clock: &Arc<Hands>) -> Queue {
    let (fs, clock) = (Arc::new(fs.clone()), Arc::clone(clock));
    Queue::open(fs, Path::new(DIR), clock, max_bytes).expect("the queue opens")
}

/// Delivers everything that waits.
fn drain(queue: &Queue) -> Vec<String> {
    let mut entries = Vec::new();
    while !queue.is_empty() {
        let batch = queue.next(16).expect("the disk can be read");
        entries.extend(batch.entries.iter().map(|entry| String::from_utf8_lossy(entry).into_owned()));
        queue.delivered(&batch);
    }
    entries
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("operation {number}")).collect()
}

async fn append_all(queue: &Queue, entries: &[String]) {
    for entry in entries {
        queue.append(entry.as_bytes(), 1).await.expect("there is room");
    }
}

#[tokio::test]
async fn what_was_kept_survives_a_power_cut_and_comes_in_order() {
    let fs = SimFs::default();
    let queue = open(&fs, 1 << 20);
    append_all(&queue, &numbered(0..50)).await;
    let batch = queue.next(100).expect("the disk can be read");
    assert!(!batch.entries.is_empty() && batch.entries.len() < 50);
    queue.delivered(&batch);
    append_all(&queue, &numbered(50..60)).await;
    drop(queue);
    fs.restart();
    let queue = open(&fs, 1 << 20);
    assert!(!queue.has_gaps());
    // What had been delivered of the first file comes again.
    assert_eq!(drain(&queue), numbered(0..60));
    assert!(queue.is_empty() && queue.stats().bytes == 0);
    append_all(&queue, &numbered(0..3)).await;
    assert_eq!(drain(&queue), numbered(0..3), "a queue that was emptied goes on");
}

#[tokio::test]
async fn writers_at_once_are_all_kept() {
    let fs = SimFs::default();
    let queue = open(&fs, 1 << 20);
    let entries = numbered(0..40);
    futures_util::future::join_all(entries.iter().map(|entry| queue.append(entry.as_bytes(), 1))).await;
    drop(queue);
    fs.restart();
    let mut kept = drain(&open(&fs, 1 << 20));
    kept.sort_by_key(|entry| entries.iter().position(|known| known == entry));
    assert_eq!(kept, entries);
}

#[tokio::test]
async fn what_finds_no_room_leaves_a_gap_that_is_remembered() {
    let fs = SimFs::default();
    let queue = open(&fs, 200);
    let mut refused = 0;
    for entry in numbered(0..50) {
        match queue.append(entry.as_bytes(), 1).await {
            Ok(()) => {}
            Err(HintError::Full) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0 && queue.stats().dropped == refused && queue.has_gaps());
    drop(queue);
    fs.restart();
    let queue = open(&fs, 200);
    assert!(queue.has_gaps());
    drain(&queue);
    assert!(queue.has_gaps(), "delivering the rest does not bring it back");
    queue.close_gaps();
    drop(queue);
    assert!(!open(&fs, 200).has_gaps());
}

#[tokio::test]
async fn what_is_too_old_is_given_up_and_leaves_a_gap() {
    let (fs, clock) = (SimFs::default(), Arc::<Hands>::default());
    let queue = open_at(&fs, 1 << 30, &clock);
    append_all(&queue, &numbered(0..3)).await;
    clock.0.store(HOUR_NS, Ordering::Relaxed);
    assert_eq!(queue.purge(Duration::from_secs(3_600)), 0, "an hour old, no more");
    clock.0.store(2 * HOUR_NS, Ordering::Relaxed);
    assert_eq!(queue.purge(Duration::from_secs(3_600)), 3);
    assert!(queue.is_empty() && queue.has_gaps());
    append_all(&queue, &numbered(3..5)).await;
    assert_eq!(drain(&queue), numbered(3..5));
}

#[tokio::test]
async fn a_damaged_entry_costs_itself_and_is_noticed() {
    let fs = SimFs::default();
    let queue = open(&fs, 1 << 20);
    append_all(&queue, &numbered(0..10)).await;
    drop(queue);
    let path = Path::new(DIR).join("0000000001.hints");
    let mut bytes = fs.read(&path).expect("the file is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs.overwrite(&path, bytes).expect("the file is there");
    let queue = open(&fs, 1 << 20);
    assert!(queue.has_gaps());
    let left = drain(&queue);
    assert!(left.len() == 9 && left.iter().all(|entry| numbered(0..10).contains(entry)), "{left:?}");
}
