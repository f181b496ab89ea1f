//! Command lists of small stories, and the conservation of metrics under random ones.

mod on_disk;

use proptest::prelude::*;

use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;

struct Story {
    delivery: Delivery,
    now: Duration,
    next: i64,
}

impl Story {
    fn new(batch_size: usize, buffer_limit: usize) -> Self {
        Self {
            delivery: Delivery::new(Limits { batch_size, buffer_limit, keep_rejected: false }),
            now: Duration::ZERO,
            next: 0,
        }
    }

    fn step(&mut self, event: Event) -> Vec<String> {
        let mut out = Vec::new();
        self.delivery.step(self.now, event, &mut out);
        self.delivery.check().expect("invariants hold");
        out.iter().map(show).collect()
    }

    /// Metrics numbered on by their time.
    fn collect(&mut self, count: usize) -> Vec<String> {
        let metrics = (0..count)
            .map(|_| {
                self.next += 1;
                Arc::new(Metric::new("m", self.next).field("v", 1.0))
            })
            .collect();
        self.step(Event::Collected(metrics))
    }

    fn written(&mut self, outcome: WriteOutcome) -> Vec<String> {
        self.step(Event::Written { outcome, random: 0.0 })
    }
}

fn show(command: &Command) -> String {
    match command {
        Command::Write(batch) => {
            let times: Vec<_> = batch.iter().map(|m| m.time_ns.to_string()).collect();
            format!("write {}", times.join(","))
        }
        Command::WakeAt(at) => format!("wake at {}", at.as_secs()),
        Command::Tell(notice) => format!("{notice:?}"),
        Command::Finished { unsent, kept: 0 } => format!("finished, {unsent} unsent"),
        Command::Finished { unsent, kept } => format!("finished, {unsent} unsent, {kept} kept"),
        Command::Disk(request) => format!("{request:?}"),
        Command::Keep { rejected, reason } => {
            let times: Vec<_> = rejected.iter().map(|m| m.time_ns.to_string()).collect();
            format!("keep {}: {reason}", times.join(","))
        }
    }
}

fn retry(after: Option<Duration>) -> WriteOutcome {
    WriteOutcome::Retry { reason: "down".to_owned(), after }
}

fn refused() -> WriteOutcome {
    WriteOutcome::Rejected { reason: "bad".to_owned() }
}

#[test]
fn a_full_batch_goes_at_once_and_the_rest_with_the_timer() {
    let mut story = Story::new(2, 10);
    assert!(story.collect(1).is_empty());
    assert_eq!(story.collect(2), ["write 1,2"]);
    assert!(story.collect(1).is_empty(), "one write at a time");
    assert_eq!(story.written(WriteOutcome::Stored), ["write 3,4"], "a further batch filled meanwhile");
    assert!(story.written(WriteOutcome::Stored).is_empty());
    story.collect(1);
    assert_eq!(story.step(Event::FlushTimer), ["write 5"]);
    assert!(story.written(WriteOutcome::Stored).is_empty());
    assert_eq!(story.delivery.totals().stored, 5);
}

#[test]
fn a_timer_flush_empties_the_buffer_batch_by_batch() {
    let mut story = Story::new(2, 10);
    story.collect(2);
    story.written(retry(None));
    story.collect(3);
    story.now = S(1);
    assert_eq!(story.step(Event::Wake), ["write 1,2"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["Recovered { failures: 1 }", "write 3,4"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["write 5"]);
    assert!(story.written(WriteOutcome::Stored).is_empty());
}

#[test]
fn a_failed_batch_stays_whole_and_backs_off() {
    let mut story = Story::new(2, 10);
    story.collect(2);
    assert_eq!(
        story.written(retry(None)),
        ["Failed { reason: \"down\", in_a_row: 1, retry_in: 1s }", "wake at 1"]
    );
    assert!(story.collect(2).is_empty(), "no early write after a failure");
    assert!(story.step(Event::FlushTimer).is_empty(), "held back");
    story.now = S(1);
    assert_eq!(story.step(Event::Wake), ["write 1,2"]);
    assert_eq!(
        story.written(retry(None)),
        ["Failed { reason: \"down\", in_a_row: 2, retry_in: 2s }", "wake at 3"]
    );
    story.now = S(2);
    assert!(story.step(Event::Wake).is_empty(), "a stale wake-up");
    story.now = S(4);
    assert_eq!(story.step(Event::FlushTimer), ["write 1,2"], "the timer does as well once the time has come");
}

#[test]
fn back_off_doubles_to_a_minute_and_heeds_the_destination() {
    assert_eq!(backoff(1, 0.0), S(1));
    assert_eq!(backoff(4, 0.0), S(8));
    assert_eq!(backoff(7, 0.0), S(60));
    assert_eq!(backoff(4_000_000, 1.0), S(75));
    let mut story = Story::new(1, 10);
    story.collect(1);
    assert_eq!(story.written(retry(Some(S(30))))[1], "wake at 30");
}

#[test]
fn a_full_buffer_drops_the_oldest_and_tells_once() {
    let mut story = Story::new(2, 4);
    story.collect(2);
    story.written(retry(None));
    story.collect(5);
    assert_eq!(story.delivery.totals().dropped, 3);
    story.now = S(1);
    assert_eq!(story.step(Event::Wake), ["Dropped(3)", "write 4,5"]);
}

#[test]
fn a_batch_that_comes_back_to_a_full_buffer_loses_its_oldest() {
    let mut story = Story::new(2, 4);
    story.collect(2);
    story.collect(3);
    story.written(retry(None));
    story.now = S(1);
    assert_eq!(story.step(Event::Wake), ["Dropped(1)", "write 2,3"]);
}

#[test]
fn a_refused_batch_is_halved_until_the_culprit_stands_alone() {
    let mut story = Story::new(4, 10);
    assert_eq!(story.collect(4), ["write 1,2,3,4"]);
    assert_eq!(story.written(refused()), ["write 1,2"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["write 3,4"]);
    assert_eq!(story.written(refused()), ["write 3"]);
    assert_eq!(story.written(refused()), ["write 4"]);
    let told = story.written(WriteOutcome::Stored);
    assert_eq!(told, ["Rejected { metrics: 1, reason: \"bad\" }"], "once for the whole batch");
    assert_eq!(story.delivery.totals(), Totals { collected: 4, stored: 3, rejected: 1, ..Totals::default() });
}

#[test]
fn a_failure_amid_a_split_keeps_the_order() {
    let mut story = Story::new(4, 10);
    story.collect(4);
    story.written(refused());
    story.written(retry(None));
    story.now = S(1);
    assert_eq!(story.step(Event::Wake), ["write 1,2,3,4"]);
}

#[test]
fn a_batch_too_large_is_halved_and_the_size_remembered() {
    let large = || WriteOutcome::TooLarge { reason: "413".to_owned() };
    let mut story = Story::new(4, 10);
    story.collect(4);
    assert_eq!(story.written(large()), ["Smaller { batch_size: 2, reason: \"413\" }", "write 1,2"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["write 3,4"]);
    story.written(WriteOutcome::Stored);
    assert_eq!(story.collect(2), ["write 5,6"], "two make a batch now");
    assert_eq!(story.written(large()), ["Smaller { batch_size: 1, reason: \"413\" }", "write 5"]);
    assert_eq!(story.written(large()), ["write 6"]);
    story.written(WriteOutcome::Stored);
    for _ in 1..GROW_AFTER {
        assert_eq!(story.collect(1).len(), 1, "one makes a batch");
        story.written(WriteOutcome::Stored);
    }
    assert!(story.collect(1).is_empty(), "two make a batch again");
}

#[test]
fn part_of_a_batch_refused_is_counted_and_not_sent_again() {
    let mut story = Story::new(3, 10);
    story.collect(3);
    let partial = WriteOutcome::Partial { rejected: 2, reason: "partial write".to_owned() };
    assert_eq!(story.written(partial), ["Rejected { metrics: 2, reason: \"partial write\" }"]);
    assert_eq!(story.delivery.totals().stored, 1);
}

#[test]
fn what_is_refused_is_handed_out_metric_by_metric() {
    let limits = Limits { batch_size: 4, buffer_limit: 10, keep_rejected: true };
    let mut story = Story { delivery: Delivery::new(limits), now: Duration::ZERO, next: 0 };
    story.collect(4);
    let partial = || WriteOutcome::Partial { rejected: 1, reason: "dropped=1".to_owned() };
    assert_eq!(story.written(partial()), ["write 1,2"], "which one it was shows in the halves");
    assert_eq!(story.written(WriteOutcome::Stored), ["write 3,4"]);
    assert_eq!(story.written(partial()), ["write 3"]);
    assert_eq!(story.written(partial()), ["keep 3: dropped=1", "write 4"]);
    assert_eq!(story.written(WriteOutcome::Stored), ["Rejected { metrics: 1, reason: \"dropped=1\" }"]);
    story.collect(4);
    let rejected = vec![(0, "a".to_owned()), (2, "b".to_owned())];
    let told = story.written(WriteOutcome::Each(Fates { rejected, ..Fates::default() }));
    assert_eq!(told, ["keep 5: a", "keep 7: b", "Rejected { metrics: 2, reason: \"a\" }"]);
}

#[test]
fn metrics_whose_fate_is_known_are_sorted() {
    let mut story = Story::new(4, 10);
    story.collect(4);
    let fates = Fates {
        rejected: vec![(1, "no such topic".to_owned())],
        kept: vec![3, 2],
        reason: "broker gone".to_owned(),
        after: None,
    };
    let told = story.written(WriteOutcome::Each(fates));
    assert_eq!(told[0], "Rejected { metrics: 1, reason: \"no such topic\" }");
    assert_eq!(told[2], "wake at 1");
    story.now = S(1);
    assert_eq!(story.step(Event::Wake), ["write 3,4"], "in their old order");
    assert_eq!(story.written(WriteOutcome::Each(Fates::default())), ["Recovered { failures: 1 }"]);
    assert_eq!(
        story.delivery.totals(),
        Totals { collected: 4, stored: 3, rejected: 1, failed_writes: 1, ..Totals::default() }
    );
}

#[test]
fn a_slow_write_is_told_of() {
    let mut story = Story::new(1, 10);
    story.collect(1);
    assert_eq!(story.step(Event::FlushTimer), ["Slow"]);
}

#[test]
fn shutdown_flushes_once() {
    let mut story = Story::new(2, 10);
    story.collect(2);
    story.written(retry(Some(S(600))));
    story.collect(1);
    assert_eq!(story.step(Event::Shutdown), ["write 1,2"], "whatever the back-off");
    assert_eq!(story.written(WriteOutcome::Stored)[1], "write 3");
    assert_eq!(story.written(retry(None))[1], "finished, 1 unsent");
}

#[test]
fn shutdown_waits_for_the_write_under_way_and_flushes_after_it() {
    let mut story = Story::new(2, 10);
    story.collect(2);
    story.collect(1);
    assert!(story.step(Event::Shutdown).is_empty());
    assert_eq!(story.written(retry(None))[1], "write 1,2");
    assert_eq!(story.written(WriteOutcome::Stored)[1], "write 3");
    assert_eq!(story.written(WriteOutcome::Stored), ["finished, 0 unsent"]);
    assert_eq!(Story::new(1, 1).step(Event::Shutdown), ["finished, 0 unsent"]);
}

#[derive(Debug, Clone)]
enum Act {
    Collect(usize),
    Timer,
    Wake,
    Outcome(u8),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..9_usize).prop_map(Act::Collect),
        Just(Act::Timer),
        Just(Act::Wake),
        (0..7_u8).prop_map(Act::Outcome),
        (0..90_u64).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Whatever happens: nothing is lost uncounted, no more than one write is out, every batch is
    /// within its size and in order, and the end comes.
    #[test]
    fn metrics_are_conserved(batch in 1..6_usize, limit in 1..12_usize, acts in prop::collection::vec(act(), 0..120)) {
        let mut story = Story::new(batch, limit);
        let mut writing = false;
        let mut finished = false;
        let outcome = |n: u8| match n {
            0 => WriteOutcome::Stored,
            1 => WriteOutcome::Partial { rejected: 1, reason: String::new() },
            2 => refused(),
            3 => WriteOutcome::TooLarge { reason: String::new() },
            4 => WriteOutcome::Each(Fates { rejected: vec![(0, String::new()), (9, String::new())], kept: vec![0, 1, 8], ..Fates::default() }),
            5 => WriteOutcome::Each(Fates { rejected: vec![(1, String::new())], ..Fates::default() }),
            _ => retry(None),
        };
        let mut run = |story: &mut Story, event: Event, writing: &mut bool| {
            let mut out = Vec::new();
            story.delivery.step(story.now, event, &mut out);
            prop_assert_eq!(story.delivery.check(), Ok(()));
            for command in out {
                match command {
                    Command::Write(batch_out) => {
                        prop_assert!(!*writing, "two writes at once");
                        prop_assert!(!batch_out.is_empty() && batch_out.len() <= batch);
                        prop_assert!(batch_out.windows(2).all(|w| w[0].time_ns < w[1].time_ns));
                        *writing = true;
                    }
                    Command::Finished { .. } => finished = true,
                    Command::WakeAt(_) | Command::Tell(_) | Command::Disk(_) | Command::Keep { .. } => {}
                }
            }
            Ok(())
        };
        for act in acts {
            match act {
                Act::Collect(count) => {
                    let metrics = (0..count).map(|_| { story.next += 1; Arc::new(Metric::new("m", story.next)) }).collect();
                    run(&mut story, Event::Collected(metrics), &mut writing)?;
                }
                Act::Timer => run(&mut story, Event::FlushTimer, &mut writing)?,
                Act::Wake => run(&mut story, Event::Wake, &mut writing)?,
                Act::Wait(seconds) => story.now += S(seconds),
                Act::Outcome(n) => if writing {
                    writing = false;
                    run(&mut story, Event::Written { outcome: outcome(n), random: 0.5 }, &mut writing)?;
                },
            }
        }
        run(&mut story, Event::Shutdown, &mut writing)?;
        let mut writes = 0;
        while writing {
            writes += 1;
            prop_assert!(writes < 1000, "never ends");
            writing = false;
            run(&mut story, Event::Written { outcome: WriteOutcome::Stored, random: 0.5 }, &mut writing)?;
        }
        prop_assert!(finished);
        prop_assert_eq!(story.delivery.pending(), 0);
    }
}
