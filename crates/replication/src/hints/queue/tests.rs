use std::sync::atomic::AtomicI64;

use futures_util::future::poll_immediate;
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
    open_with(fs, &HintSettings { max_bytes, ..HintSettings::default() }, clock)
}

fn open_with(fs: &SimFs, settings: &HintSettings, clock: &Arc<Hands>) -> Queue {
    let (fs, clock) = (Arc::new(fs.clone()), Arc::clone(clock));
    Queue::open(fs, Path::new(DIR), clock, settings).expect("the queue opens")
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

#[tokio::test]
async fn as_many_wait_for_the_disk_as_may_and_what_is_turned_away_leaves_a_gap() {
    let fs = SimFs::default();
    let settings = HintSettings { max_pending: 2, ..HintSettings::default() };
    let queue = open_with(&fs, &settings, &Arc::default());
    // The disk is busy: nobody gets past this.
    let syncing = queue.synced.lock().await;
    let mut first = Box::pin(queue.append(b"operation 0", 1));
    let mut second = Box::pin(queue.append(b"operation 1", 1));
    assert!(poll_immediate(&mut first).await.is_none() && poll_immediate(&mut second).await.is_none());
    let third = queue.append(b"operation 2", 1).await;
    assert!(matches!(third, Err(HintError::Blocked)), "{third:?}");
    assert!(queue.has_gaps() && queue.stats().dropped == 1);
    drop(syncing);
    first.await.expect("it was let in");
    second.await.expect("it was let in");
    queue.append(b"operation 3", 1).await.expect("none of the others is on its way any more");
    assert_eq!(drain(&queue), ["operation 0", "operation 1", "operation 3"]);
}
