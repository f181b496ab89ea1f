//! Deliveries with a buffer on disk: their commands in small stories, and whole lives with kills and failures.

use std::collections::{BTreeSet, VecDeque};

use skywatch_storage::fs::{Fault, SimFs};

use super::*;
use crate::delivery::disk::{Appended, DiskBuffer, DiskOptions, Loaded};
use crate::metric::Delivered;
use crate::output::Batch;

const LIMITS: Limits = Limits { batch_size: 2, buffer_limit: 5, keep_rejected: false };

fn story(acknowledged: u64, end: u64) -> Story {
    let opened = Opened { acknowledged, end, notes: vec![] };
    Story { delivery: Delivery::on_disk(LIMITS, &opened), now: Duration::ZERO, next: end as i64 }
}

impl Story {
    /// A collection that the disk takes at once.
    fn collect_durably(&mut self, count: usize) -> Vec<String> {
        let commands = self.collect(count);
        assert!(commands[0].starts_with("Append("), "{commands:?}");
        self.appended(count)
    }

    fn appended(&mut self, durable: usize) -> Vec<String> {
        self.step(Event::Disk(DiskAnswer::Appended(Appended { durable, ..Appended::default() })))
    }

    fn append_fails(&mut self) -> Vec<String> {
        let failed = Some("no space".to_owned());
        self.step(Event::Disk(DiskAnswer::Appended(Appended { failed, ..Appended::default() })))
    }

    fn loaded(&mut self, numbers: std::ops::Range<u64>) -> Vec<String> {
        let metrics = numbers.clone().map(|n| (n, Metric::new("m", n as i64 + 1))).collect();
        let loaded = Loaded { metrics, next: numbers.end, damage: vec![] };
        self.step(Event::Disk(DiskAnswer::Loaded(Ok(loaded))))
    }
}

#[test]
fn metrics_are_written_once_they_are_on_disk_and_acknowledged_once_they_are_stored() {
    let mut story = story(0, 0);
    assert_eq!(story.collect_durably(2), ["write 1,2"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["Acknowledge(2)"]);
    assert!(story.collect_durably(1).is_empty());
    assert_eq!(story.step(Event::FlushTimer), ["write 3"]);
    assert_eq!(story.written(refused()), ["Rejected { metrics: 1, reason: \"bad\" }", "Acknowledge(3)"]);
    assert_eq!(story.delivery.pending(), 0);
}

#[test]
fn one_append_at_a_time_takes_all_that_came_meanwhile() {
    let mut story = story(0, 0);
    assert!(story.collect(1)[0].starts_with("Append("));
    assert!(story.collect(1).is_empty());
    assert!(story.collect(2).is_empty());
    let commands = story.appended(1);
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].matches("Metric {").count(), 3, "{commands:?}");
    assert_eq!(story.appended(3), ["write 1,2"]);
}

#[test]
fn what_an_earlier_run_left_is_read_and_sent_first() {
    let mut story = story(7, 10);
    assert_eq!(story.delivery.pending(), 3);
    assert_eq!(story.step(Event::FlushTimer), ["Load { from: 7, most: 8 }"]);
    assert_eq!(story.loaded(7..10), ["write 8,9"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["write 10", "Acknowledge(9)"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["Acknowledge(10)"]);
    assert_eq!(story.delivery.totals(), Totals { replayed: 3, stored: 3, ..Totals::default() });
}

#[test]
fn a_part_stored_behind_one_that_is_not_is_not_acknowledged() {
    let mut story = story(0, 0);
    story.collect_durably(2);
    let fates = Fates { kept: vec![0], reason: "busy".to_owned(), ..Fates::default() };
    assert_eq!(story.written(WriteOutcome::Each(fates)).len(), 2, "a failure and a time, no acknowledgement");
    story.now = S(2);
    assert_eq!(story.step(Event::Wake), ["write 1"]);
    assert_eq!(story.written(WriteOutcome::Stored)[1], "Acknowledge(2)");
}

#[test]
fn memory_holds_a_window_of_a_long_buffer() {
    let mut story = story(0, 1000);
    assert_eq!(story.step(Event::FlushTimer), ["Load { from: 0, most: 8 }"]);
    assert_eq!(story.loaded(0..8), ["write 1,2"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["write 3,4", "Acknowledge(2)"]);
    story.written(WriteOutcome::Stored);
    assert_eq!(
        story.written(WriteOutcome::Stored),
        ["write 7,8", "Load { from: 8, most: 8 }", "Acknowledge(6)"],
        "read ahead of the next write"
    );
    assert_eq!(story.written(WriteOutcome::Stored), ["Acknowledge(8)"], "it waits");
    assert_eq!(story.loaded(8..16), ["write 9,10"]);
    let memory = story.delivery.queue.memory_len();
    story.collect_durably(5);
    assert_eq!(story.delivery.queue.memory_len(), memory, "new metrics stay on disk");
    assert_eq!(story.delivery.pending(), 1000 - 8 + 5);
}

#[test]
fn a_full_disk_is_done_without() {
    let mut story = story(0, 0);
    story.collect(2);
    assert_eq!(story.append_fails(), ["DiskFailed { reason: \"no space\" }", "write 1,2"], "from memory");
    story.collect(4);
    assert_eq!(story.written(WriteOutcome::Stored), ["write 3,4"], "and so are the next");
    assert_eq!(story.step(Event::FlushTimer), ["Slow"]);
    assert!(story.collect(1)[0].starts_with("Append("), "the disk is tried again");
    assert!(story.append_fails().is_empty(), "told once");
    assert_eq!(story.written(retry(None)).len(), 2);
    story.collect(20);
    assert_eq!(story.delivery.queue.memory_len(), 4 + 5, "so many wait, besides those at hand");
    assert_eq!(story.delivery.totals().dropped, 16);
    story.now = S(2);
    let commands = story.step(Event::Wake);
    assert_eq!(commands[..2], ["Dropped(16)".to_owned(), "write 3,4".to_owned()]);
    assert!(commands[2].starts_with("Append("), "{commands:?}");
    assert_eq!(story.appended(5), ["DiskRecovered"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["Recovered { failures: 1 }", "write 5,6"]);
}

#[test]
fn a_disk_that_hangs_does_not_fill_the_memory() {
    let mut story = story(0, 0);
    story.collect(1);
    story.collect(20);
    assert_eq!(story.delivery.totals().dropped, 16, "one is under way, four wait");
    assert_eq!(story.delivery.queue.memory_len(), 5);
}

#[test]
fn what_was_dropped_to_make_room_is_counted() {
    let mut story = story(0, 100);
    story.step(Event::FlushTimer);
    story.loaded(0..8);
    story.written(retry(None));
    story.collect(1);
    story.step(Event::Disk(DiskAnswer::Appended(Appended { durable: 1, evicted_below: 50, failed: None })));
    assert_eq!(story.delivery.totals().dropped, 50);
    assert_eq!(story.delivery.pending(), 51);
    story.now = S(2);
    assert_eq!(story.step(Event::Wake), Vec::<String>::new(), "the next are being read");
    assert_eq!(story.loaded(50..58), ["Dropped(50)", "write 51,52"]);
}

#[test]
fn damage_is_told_and_counted() {
    let mut story = story(0, 10);
    story.step(Event::FlushTimer);
    let metrics = [0, 1, 6, 7].map(|n| (n, Metric::new("m", n as i64))).to_vec();
    let loaded = Loaded { metrics, next: 8, damage: vec!["x: damaged".to_owned()] };
    let told = story.step(Event::Disk(DiskAnswer::Loaded(Ok(loaded))));
    assert_eq!(told, ["Disk(\"x: damaged\")", "Lost(4)", "write 0,1"]);
    assert_eq!(story.delivery.totals().dropped, 4);
}

#[test]
fn a_disk_that_cannot_be_read_is_tried_again_with_the_next_flush() {
    let mut story = story(0, 3);
    story.step(Event::FlushTimer);
    let told = story.step(Event::Disk(DiskAnswer::Loaded(Err("cannot read x".to_owned()))));
    assert_eq!(told, ["Disk(\"cannot read x\")"]);
    assert_eq!(story.step(Event::FlushTimer), ["Load { from: 0, most: 8 }"]);
    assert_eq!(story.loaded(0..3), ["write 1,2"]);
}

#[test]
fn the_end_waits_for_the_disk_and_keeps_what_cannot_be_sent() {
    let mut story = story(0, 0);
    story.collect(3);
    assert!(story.step(Event::Shutdown).is_empty(), "the append is under way");
    assert_eq!(story.appended(3), ["write 1,2"]);
    assert_eq!(story.written(retry(None))[1], "finished, 0 unsent, 3 kept");
    assert_eq!(story.delivery.totals().lost(), 0);
}

#[test]
fn the_end_without_a_disk_says_what_is_lost() {
    let mut story = story(0, 0);
    story.collect(3);
    story.step(Event::Shutdown);
    assert_eq!(story.append_fails()[1], "write 1,2", "it is sent from memory");
    let end = story.written(retry(None));
    assert_eq!(end.last().map(String::as_str), Some("finished, 3 unsent"));
    assert_eq!(story.delivery.totals().lost(), 3);
}

#[test]
fn a_long_buffer_does_not_hold_up_the_end() {
    let mut story = story(0, 1000);
    let mut commands = story.step(Event::Shutdown);
    let mut writes = 0;
    let mut next = 0;
    while let Some(command) =
        commands.iter().find(|c| c.starts_with("write") || c.starts_with("Load")).cloned()
    {
        commands = if command.starts_with("write") {
            writes += 1;
            let mut commands = story.written(WriteOutcome::Stored);
            if !commands.iter().any(|c| c.starts_with("write"))
                && commands.iter().any(|c| c.starts_with("Load"))
            {
                commands.retain(|c| c.starts_with("Load"));
            } else if commands.iter().any(|c| c.starts_with("Load")) {
                story.loaded(next..next + 8);
                next += 8;
            }
            commands
        } else {
            next += 8;
            story.loaded(next - 8..next)
        };
    }
    assert_eq!(writes, LAST_BATCHES_MAX);
    assert_eq!(commands, ["finished, 0 unsent, 960 kept", "Acknowledge(40)"]);
}

#[test]
fn a_source_hears_of_its_metric_once_it_is_on_disk() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let mut metric = Metric::new("m", 1);
    metric.track(Delivered::new(move || {
        seen.fetch_add(1, Ordering::Relaxed);
    }));
    let mut story = story(0, 0);
    story.step(Event::Collected(vec![Arc::new(metric)]));
    assert_eq!(calls.load(Ordering::Relaxed), 0, "not yet");
    story.appended(1);
    assert_eq!((calls.load(Ordering::Relaxed), story.delivery.pending()), (1, 1), "safe, and not yet sent");
}

#[test]
fn a_successor_goes_on_where_its_predecessor_was() {
    let mut story = story(0, 0);
    story.collect_durably(3);
    story.written(retry(Some(S(600))));
    story.delivery = story.delivery.succeed(Limits { batch_size: 3, ..LIMITS });
    assert_eq!(story.step(Event::FlushTimer), ["write 1,2,3"], "no back-off for another destination");
    story.delivery = story.delivery.succeed(LIMITS);
    assert_eq!(story.delivery.pending(), 3, "what was in flight is queued again");
    assert_eq!(story.delivery.check(), Ok(()));
}

#[derive(Debug, Clone)]
enum Life {
    Collect(usize),
    Disk,
    Timer,
    Outcome(u8),
    Wait(u64),
    Fault(u64, bool),
    Kill,
    Succeed(usize),
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        5 => (1..8_usize).prop_map(Life::Collect),
        8 => Just(Life::Disk),
        3 => Just(Life::Timer),
        5 => (0..6_u8).prop_map(Life::Outcome),
        2 => (0..90_u64).prop_map(Life::Wait),
        1 => (0..5_u64, any::<bool>()).prop_map(|(after, full)| Life::Fault(after, full)),
        1 => Just(Life::Kill),
        1 => (1..6_usize).prop_map(Life::Succeed),
    ]
}

/// A delivery with a real buffer on a simulated disk, and a destination that does as it is told.
struct World {
    sim: SimFs,
    disk: DiskBuffer,
    delivery: Delivery,
    requests: VecDeque<DiskRequest>,
    writing: Option<Batch>,
    finished: bool,
    safe: BTreeSet<i64>,
    stored: Vec<i64>,
    rejected: BTreeSet<i64>,
    limits: Limits,
}

impl World {
    fn open(sim: &SimFs) -> (DiskBuffer, Opened) {
        let options = DiskOptions { dir: "b".into(), limit_bytes: 1 << 20, sync: true };
        DiskBuffer::open(Arc::new(sim.clone()), options).expect("opens")
    }

    fn step(&mut self, now: Duration, event: Event) {
        let mut out = Vec::new();
        self.delivery.step(now, event, &mut out);
        self.delivery.check().expect("invariants hold");
        for command in out {
            match command {
                Command::Write(batch) => {
                    assert!(self.writing.is_none(), "two writes at once");
                    assert!(!batch.is_empty() && batch.len() <= self.limits.batch_size);
                    self.writing = Some(batch);
                }
                Command::Disk(request) => self.requests.push_back(request),
                Command::Keep { rejected, .. } => self.rejected.extend(rejected.iter().map(|m| m.time_ns)),
                Command::Finished { unsent, .. } => {
                    assert_eq!(unsent, 0);
                    self.finished = true;
                }
                Command::WakeAt(_) | Command::Tell(_) => {}
            }
        }
    }

    fn serve_disk(&mut self, now: Duration) {
        let answer = match self.requests.pop_front() {
            None => return,
            Some(DiskRequest::Append(metrics)) => {
                let appended = self.disk.append(&metrics);
                self.safe.extend(metrics[..appended.durable].iter().map(|metric| metric.time_ns));
                DiskAnswer::Appended(appended)
            }
            Some(DiskRequest::Load { from, most }) => {
                DiskAnswer::Loaded(self.disk.load(from, most).map_err(|error| error.to_string()))
            }
            Some(DiskRequest::Acknowledge(number)) => match self.disk.acknowledge(number) {
                Ok(()) => return,
                Err(error) => DiskAnswer::Told(error.to_string()),
            },
        };
        self.step(now, Event::Disk(answer));
    }

    fn answer(&mut self, now: Duration, kind: u8) {
        let Some(batch) = self.writing.take() else { return };
        let stored = |world: &mut Self, metrics: &[Arc<Metric>]| {
            world.stored.extend(metrics.iter().map(|metric| metric.time_ns));
        };
        let outcome = match kind {
            // Every seventh metric is refused, wherever it stands.
            2 if batch.iter().any(|metric| metric.time_ns % 7 == 0) => refused(),
            3 if batch.len() > 1 => {
                stored(self, &batch[1..]);
                WriteOutcome::Each(Fates { kept: vec![0], ..Fates::default() })
            }
            4 => WriteOutcome::TooLarge { reason: String::new() },
            0..=3 => {
                stored(self, &batch);
                WriteOutcome::Stored
            }
            _ => retry(None),
        };
        self.step(now, Event::Written { outcome, random: 0.5 });
    }

    /// kill -9 and a new start.
    fn restart(&mut self) {
        self.sim.kill();
        self.requests.clear();
        self.writing = None;
        let (disk, opened) = Self::open(&self.sim);
        self.disk = disk;
        self.delivery = Delivery::on_disk(self.limits, &opened);
    }
}

proptest! {
    /// Whatever happens, kill -9 included: every metric that was safe on disk is stored or rejected in the end, and
    /// none is stored twice unless the agent was killed, or part of a batch was kept, in between.
    #[test]
    fn nothing_that_was_safe_is_lost(acts in prop::collection::vec(life(), 0..150), batch in 1..6_usize) {
        let sim = SimFs::default();
        let (disk, opened) = World::open(&sim);
        let limits = Limits { batch_size: batch, buffer_limit: 1000, keep_rejected: true };
        let mut world = World {
            delivery: Delivery::on_disk(limits, &opened),
            sim, disk, limits,
            requests: VecDeque::new(), writing: None, finished: false,
            safe: BTreeSet::new(), stored: vec![], rejected: BTreeSet::new(),
        };
        let (mut now, mut next, mut kills, mut failed) = (Duration::ZERO, 0, 0, false);
        for act in acts {
            match act {
                Life::Collect(count) => {
                    let metrics = (0..count).map(|_| { next += 1; Arc::new(Metric::new("m", next)) }).collect();
                    world.step(now, Event::Collected(metrics));
                }
                Life::Disk => world.serve_disk(now),
                Life::Timer => world.step(now, Event::FlushTimer),
                Life::Outcome(kind) => world.answer(now, kind),
                Life::Wait(seconds) => { now += S(seconds); world.step(now, Event::Wake); }
                Life::Fault(after, full) => {
                    failed = true;
                    let fault = if full { Fault::DiskFull } else { Fault::Error };
                    world.sim.fail_at(world.sim.operations() + after, fault);
                }
                Life::Kill => { kills += 1; world.restart(); }
                Life::Succeed(batch) => if world.writing.is_none() {
                    world.limits.batch_size = batch;
                    world.delivery = std::mem::replace(&mut world.delivery, Delivery::new(limits)).succeed(world.limits);
                },
            }
        }
        for _ in 0..2000 {
            while !world.requests.is_empty() { world.serve_disk(now); }
            if world.writing.is_some() { world.answer(now, 0); continue; }
            if world.delivery.pending() == 0 { break; }
            now += S(100);
            world.step(now, Event::FlushTimer);
        }
        prop_assert_eq!(world.delivery.pending(), 0, "all is sent in the end");
        world.step(now, Event::Shutdown);
        while !world.requests.is_empty() { world.serve_disk(now); }
        prop_assert!(world.finished);
        let stored: BTreeSet<i64> = world.stored.iter().copied().collect();
        let arrived: BTreeSet<i64> = stored.union(&world.rejected).copied().collect();
        let lost: Vec<_> = world.safe.difference(&arrived).collect();
        prop_assert!(lost.is_empty(), "lost {:?}", lost);
        if kills == 0 {
            prop_assert_eq!(arrived.len() as i64, next, "without a kill nothing is lost at all");
            prop_assert_eq!(world.stored.len(), stored.len(), "nor sent twice");
        }
        if kills == 0 && !failed {
            prop_assert_eq!(world.delivery.totals().stored as usize, stored.len());
        }
        drop(world.disk);
        world.sim.kill();
        let (_, opened) = World::open(&world.sim);
        if !failed {
            prop_assert_eq!(opened.acknowledged, opened.end, "a new start finds nothing left to send");
        }
    }
}
