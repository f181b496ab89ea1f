//! The buffer on a file system that tears, fills up and loses power, and on the real one.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use skywatch_storage::fs::{Fault, Fs, OsFs, SimFs};

use super::*;
use crate::metric::Metric;

const DIR: &str = "buffer/outputs.influxdb";
const LIMIT: u64 = 1 << 20;

fn options(limit_bytes: u64) -> DiskOptions {
    DiskOptions { dir: DIR.into(), limit_bytes, sync: true }
}

fn open_with(sim: &SimFs, limit: u64) -> Result<(DiskBuffer, Opened), OpenError> {
    DiskBuffer::open(Arc::new(sim.clone()), options(limit))
}

fn open(sim: &SimFs) -> (DiskBuffer, Opened) {
    open_with(sim, LIMIT).expect("opens")
}

/// Metrics whose times are their numbers, of about 1 KiB each where `large`.
fn metrics(times: std::ops::Range<u64>, large: bool) -> Vec<Arc<Metric>> {
    let text = if large { "x".repeat(1000) } else { "x".to_owned() };
    times
        .map(|n| Arc::new(Metric::new("m", n as i64).tag("host", "h1").field("text", text.clone())))
        .collect()
}

fn append(buffer: &mut DiskBuffer, metrics: &[Arc<Metric>]) {
    let appended = buffer.append(metrics);
    assert_eq!((appended.durable, appended.failed), (metrics.len(), None));
}

/// Everything from `from` on, with what is told of damage.
fn read_all(buffer: &mut DiskBuffer, from: u64) -> (Vec<i64>, Vec<String>) {
    let (mut times, mut damage, mut next) = (Vec::new(), Vec::new(), from);
    loop {
        let loaded = buffer.load(next, 100).expect("reads");
        assert!(loaded.metrics.is_sorted_by(|a, b| a.0 < b.0));
        times.extend(loaded.metrics.iter().map(|(_, metric)| metric.time_ns));
        damage.extend(loaded.damage);
        if loaded.metrics.is_empty() {
            return (times, damage);
        }
        next = loaded.next;
    }
}

fn segments(sim: &SimFs) -> Vec<String> {
    let entries = Fs::list(sim, Path::new(DIR)).expect("lists");
    entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(".metrics")).collect()
}

#[test]
fn what_is_appended_is_read_back_in_order_even_later() {
    let sim = SimFs::default();
    let (mut buffer, opened) = open(&sim);
    assert_eq!(opened, Opened::default());
    for start in (0..300).step_by(10) {
        append(&mut buffer, &metrics(start..start + 10, true));
    }
    assert!(segments(&sim).len() > 3, "{:?}", segments(&sim));
    let everything: Vec<i64> = (0..300).collect();
    assert_eq!(read_all(&mut buffer, 0), (everything.clone(), vec![]));
    drop(buffer);
    sim.restart();
    let (mut buffer, opened) = open(&sim);
    assert_eq!(opened, Opened { acknowledged: 0, end: 300, notes: vec![] });
    assert_eq!(read_all(&mut buffer, 0), (everything, vec![]));
    append(&mut buffer, &metrics(300..301, false));
    assert_eq!(
        read_all(&mut buffer, 300),
        (vec![300], vec![]),
        "what comes after the end is seen when it is there"
    );
}

#[test]
fn a_metric_comes_back_as_it_was() {
    let sim = SimFs::default();
    let (mut buffer, _) = open(&sim);
    let metric =
        Metric::new("cpu", -5).tag("a", "ü b").field("f", 0.1).field("i", -1_i64).field("u", u64::MAX);
    append(&mut buffer, &[Arc::new(metric.clone())]);
    let loaded = buffer.load(0, 10).expect("reads");
    assert_eq!(loaded, Loaded { metrics: vec![(0, metric)], next: 1, damage: vec![] });
}

#[test]
fn what_is_acknowledged_is_gone_and_its_space_given_back() {
    let sim = SimFs::default();
    let (mut buffer, _) = open(&sim);
    append(&mut buffer, &metrics(0..300, true));
    assert_eq!(segments(&sim).len(), 5);
    buffer.acknowledge(250).expect("noted");
    assert_eq!(segments(&sim).len(), 2, "that with 250 and the last");
    drop(buffer);
    sim.restart();
    let (mut buffer, opened) = open(&sim);
    assert_eq!((opened.acknowledged, opened.end), (250, 300));
    assert_eq!(read_all(&mut buffer, 250).0, (250..300).collect::<Vec<_>>());
    buffer.acknowledge(300).expect("noted");
    assert!(segments(&sim).is_empty(), "nothing is left of a buffer that is empty: {:?}", segments(&sim));
    drop(buffer);
    sim.restart();
    let (mut buffer, opened) = open(&sim);
    assert_eq!((opened.acknowledged, opened.end), (300, 300), "numbers are not used twice");
    append(&mut buffer, &metrics(300..310, false));
    assert_eq!(read_all(&mut buffer, 300).0, (300..310).collect::<Vec<_>>());
}

#[test]
fn a_full_buffer_drops_its_oldest_metrics() {
    let sim = SimFs::default();
    let (mut buffer, _) = open(&sim);
    let mut dropped = 0;
    for start in (0..3000).step_by(50) {
        let appended = buffer.append(&metrics(start..start + 50, true));
        assert_eq!((appended.durable, appended.failed), (50, None));
        assert!(buffer.bytes() <= LIMIT);
        assert!(appended.evicted_below >= dropped);
        dropped = appended.evicted_below;
    }
    // A metric takes a little more than 1000 bytes.
    assert!((1950..2150).contains(&dropped), "{dropped}");
    assert_eq!(read_all(&mut buffer, dropped).0, (dropped as i64..3000).collect::<Vec<_>>());
    drop(buffer);
    assert_eq!(open(&sim).1.acknowledged, dropped);
}

#[test]
fn two_agents_cannot_share_a_buffer() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let options = DiskOptions { dir: dir.path().join("x"), limit_bytes: LIMIT, sync: true };
    let first = DiskBuffer::open(Arc::new(OsFs), options.clone()).expect("opens");
    let error = DiskBuffer::open(Arc::new(OsFs), options.clone()).expect_err("in use").to_string();
    let process = std::process::id();
    assert!(
        error.ends_with(&format!(
            "x is in use by another agent (process {process}); give each a buffer_directory of its own"
        )),
        "{error}"
    );
    drop(first);
    drop(DiskBuffer::open(Arc::new(OsFs), options).expect("free again"));
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let options = DiskOptions { dir: "/proc/none/x".into(), limit_bytes: LIMIT, sync: true };
    let error = DiskBuffer::open(Arc::new(OsFs), options).expect_err("no such place").to_string();
    assert!(error.starts_with("the buffer on disk: cannot create /proc/none/x: "), "{error}");
}

#[test]
fn a_full_disk_keeps_what_there_is_and_takes_more_when_it_has_room() {
    let sim = SimFs::default();
    let (mut buffer, _) = open(&sim);
    append(&mut buffer, &metrics(0..10, false));
    sim.fill_disk_at(sim.operations());
    for _ in 0..3 {
        let appended = buffer.append(&metrics(10..20, false));
        assert_eq!(appended.durable, 0);
        assert!(appended.failed.expect("an error").contains("no storage space"));
    }
    assert_eq!(read_all(&mut buffer, 0).0, (0..10).collect::<Vec<_>>());
    sim.free_space();
    append(&mut buffer, &metrics(10..20, false));
    assert_eq!(read_all(&mut buffer, 0), ((0..20).collect::<Vec<_>>(), vec![]));
    drop(buffer);
    sim.kill();
    let (mut buffer, opened) = open(&sim);
    assert_eq!(opened.end, 20);
    assert_eq!(read_all(&mut buffer, 0), ((0..20).collect::<Vec<_>>(), vec![]));
}

/// A small buffer of three appends, and the path of its only segment.
fn small() -> (SimFs, std::path::PathBuf, Vec<u8>) {
    let sim = SimFs::default();
    let (mut buffer, _) = open(&sim);
    for start in [0, 3, 6] {
        append(&mut buffer, &metrics(start..start + 3, false));
    }
    drop(buffer);
    let path = Path::new(DIR).join(&segments(&sim)[0]);
    let bytes = sim.read(&path).expect("there");
    (sim, path, bytes)
}

#[test]
fn a_segment_cut_at_any_byte_keeps_its_whole_frames() {
    let (sim, path, bytes) = small();
    let frame = bytes.len() / 3;
    for len in 0..bytes.len() {
        sim.kill();
        sim.overwrite(&path, bytes[..len].to_vec()).expect("cut");
        let (mut buffer, opened) = open(&sim);
        let whole = (len / frame * 3) as u64;
        assert_eq!(
            (opened.end, opened.notes.len()),
            (whole, usize::from(!len.is_multiple_of(frame))),
            "cut at {len}"
        );
        assert_eq!(read_all(&mut buffer, 0), ((0..whole as i64).collect::<Vec<_>>(), vec![]));
        append(&mut buffer, &metrics(whole..whole + 2, false));
        assert_eq!(
            read_all(&mut buffer, 0).0,
            (0..whole as i64 + 2).collect::<Vec<_>>(),
            "goes on after the cut"
        );
    }
}

#[test]
fn a_flip_of_any_byte_costs_its_frame_and_is_named() {
    let (sim, path, bytes) = small();
    let frame = bytes.len() / 3;
    for index in 0..bytes.len() {
        sim.kill();
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x21;
        sim.overwrite(&path, damaged).expect("damaged");
        let (mut buffer, opened) = open(&sim);
        let (times, told) = read_all(&mut buffer, 0);
        let lost = (index / frame * 3) as i64;
        let expected: Vec<i64> = (0..9).filter(|time| !(lost..lost + 3).contains(time)).collect();
        assert_eq!(times, expected, "flip at {index}");
        if index / frame == 2 {
            // At the end it looks like an append that was interrupted.
            assert!(opened.notes[0].contains("cut"), "{opened:?}");
        } else {
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(
                told[0].contains("00000000000000000000.metrics") && told[0].contains("damaged"),
                "{told:?}"
            );
        }
    }
}

#[test]
fn a_damaged_or_missing_cursor_sends_everything_again() {
    let (sim, _, _) = small();
    let (mut buffer, _) = open_after_kill(&sim);
    buffer.acknowledge(4).expect("noted");
    drop(buffer);
    let path = Path::new(DIR).join("cursor");
    sim.overwrite(&path, vec![7; 16]).expect("damaged");
    let (mut buffer, opened) = open_after_kill(&sim);
    assert_eq!((opened.acknowledged, opened.end), (0, 9));
    assert!(opened.notes[0].ends_with("the cursor is damaged; the whole buffer is sent again"), "{opened:?}");
    assert_eq!(read_all(&mut buffer, 0).0.len(), 9);
    buffer.acknowledge(5).expect("the file is replaced");
    drop(buffer);
    sim.remove_file(&path).expect("removed");
    assert_eq!(open_after_kill(&sim).1.acknowledged, 0);
}

fn open_after_kill(sim: &SimFs) -> (DiskBuffer, Opened) {
    sim.kill();
    open(sim)
}

/// Appends, reads and acknowledges for a while, whatever fails; returns numbers durable and acknowledged.
fn work(buffer: &mut DiskBuffer, opened: &Opened, rounds: u64) -> (u64, u64) {
    let (mut end, mut done) = (opened.end, opened.acknowledged);
    for round in 0..rounds {
        let appended = buffer.append(&metrics(end..end + 4, round % 2 == 0));
        end += appended.durable as u64;
        done = done.max(appended.evicted_below);
        if round % 3 == 2
            && let Ok(loaded) = buffer.load(done, 5)
        {
            done = done.max(loaded.next.min(done + 5));
            // Fails where the fault strikes; what it meant to note may then be noted or not.
            buffer.acknowledge(done).ok();
        }
    }
    (end, done)
}

/// Every operation on the disk fails once, in each way, with and without a restart after it.
#[test]
fn whatever_fails_nothing_durable_is_lost() {
    let limit = 1 << 20;
    let count = {
        let sim = SimFs::default();
        let (mut buffer, opened) = open_with(&sim, limit).expect("opens");
        work(&mut buffer, &opened, 30);
        sim.operations()
    };
    assert!(count > 60, "{count} operations");
    for fault in [Fault::DiskFull, Fault::Error, Fault::PowerCut] {
        for operation in 0..count {
            let sim = SimFs::new(operation + 1);
            sim.fail_at(operation, fault);
            let mut state = (0, 0);
            if let Ok((mut buffer, opened)) = open_with(&sim, limit) {
                state = work(&mut buffer, &opened, 30);
                if fault != Fault::PowerCut {
                    let (times, damage) = read_all(&mut buffer, state.1);
                    assert_eq!(
                        times,
                        (state.1 as i64..state.0 as i64).collect::<Vec<_>>(),
                        "{fault:?} at {operation}"
                    );
                    assert!(damage.is_empty(), "{fault:?} at {operation}: {damage:?}");
                }
            }
            sim.restart();
            let (mut buffer, opened) = open_with(&sim, limit).expect("opens after a restart");
            let (end, done) = state;
            assert!(opened.acknowledged <= done, "{fault:?} at {operation}: acknowledged by itself");
            assert!(opened.end >= end, "{fault:?} at {operation}: {opened:?}, {end} were durable");
            let (times, _) = read_all(&mut buffer, opened.acknowledged);
            let durable: Vec<i64> = (done as i64..end as i64).collect();
            let read: Vec<i64> = times.iter().copied().filter(|time| durable.contains(time)).collect();
            assert_eq!(read, durable, "{fault:?} at {operation}");
            work(&mut buffer, &opened, 3);
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Append(u64, bool),
    Load(usize),
    Acknowledge(u64),
    Fault(u64, u8),
    Kill,
    PowerCut,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..40_u64, any::<bool>()).prop_map(|(count, large)| Act::Append(count, large)),
        3 => (1..60_usize).prop_map(Act::Load),
        3 => (0..60_u64).prop_map(Act::Acknowledge),
        1 => (0..6_u64, 0..3_u8).prop_map(|(after, kind)| Act::Fault(after, kind)),
        1 => Just(Act::Kill),
        1 => Just(Act::PowerCut),
    ]
}

proptest! {
    /// Beside a model: a list of the durable metrics. Times are unique, so that what is sent twice shows.
    #[test]
    fn a_buffer_keeps_what_it_promises(acts in prop::collection::vec(act(), 1..60), seed in any::<u64>(), small in any::<bool>()) {
        let limit = if small { 128 * 1024 } else { LIMIT };
        let sim = SimFs::new(seed);
        let (mut buffer, _) = open_with(&sim, limit).expect("opens");
        // By number: the durable metrics' times, and how far they are done with.
        let (mut durable, mut base, mut done) = (Vec::<i64>::new(), 0_u64, 0_u64);
        let mut time = 0;
        let mut faulty = false;
        for act in acts {
            let mut restart = None;
            match act {
                Act::Append(count, large) => {
                    let batch = metrics(time..time + count, large);
                    time += count;
                    let appended = buffer.append(&batch);
                    prop_assert!(appended.durable == batch.len() || appended.failed.is_some());
                    durable.extend(batch[..appended.durable].iter().map(|metric| metric.time_ns));
                    done = done.max(appended.evicted_below);
                    prop_assert!(buffer.bytes() <= limit || appended.failed.is_some());
                }
                Act::Load(most) => if let Ok(loaded) = buffer.load(done, most) {
                    let expected: Vec<i64> = durable.iter().copied().skip((done - base) as usize).take(loaded.metrics.len()).collect();
                    let read: Vec<i64> = loaded.metrics.iter().map(|(_, metric)| metric.time_ns).collect();
                    prop_assert_eq!(&read, &expected);
                    prop_assert_eq!(loaded.next, done + read.len() as u64);
                    prop_assert!(loaded.damage.is_empty(), "{:?}", loaded.damage);
                },
                Act::Acknowledge(count) => {
                    done = (done + count).min(base + durable.len() as u64);
                    if buffer.acknowledge(done).is_err() {
                        restart = sim.power_is_off().then_some(true);
                    }
                }
                Act::Fault(after, kind) => {
                    let fault = [Fault::DiskFull, Fault::Error, Fault::PowerCut][usize::from(kind)];
                    sim.fail_at(sim.operations() + after, fault);
                    faulty = true;
                }
                // What a failed sync left shows to the next process and may yet be lost: only the power decides.
                Act::Kill => restart = Some(faulty),
                Act::PowerCut => restart = Some(true),
            }
            if sim.power_is_off() {
                restart = Some(true);
            }
            if let Some(power) = restart {
                drop(buffer);
                faulty = false;
                if power { sim.restart() } else { sim.kill() }
                let (again, opened) = open_with(&sim, limit).expect("opens again");
                buffer = again;
                prop_assert!(opened.acknowledged <= done, "{:?} {}", opened, done);
                prop_assert!(opened.end >= base + durable.len() as u64, "{:?} {} {}", opened, base, durable.len());
                let loaded = buffer.load(opened.acknowledged, usize::MAX).expect("reads");
                let read: Vec<i64> = loaded.metrics.iter().map(|(_, metric)| metric.time_ns).collect();
                let kept: Vec<i64> = durable.iter().copied().skip((done - base) as usize).collect();
                // What an append left although it failed, or a power cut although nothing was promised, may follow.
                let start = read.iter().position(|t| kept.first() == Some(t)).unwrap_or(read.len());
                prop_assert!(read[start..].starts_with(&kept), "{:?} does not begin with {:?}", &read[start..], kept);
                base = opened.acknowledged;
                done = opened.acknowledged;
                durable = read;
                prop_assert_eq!(opened.end, base + durable.len() as u64);
            }
        }
    }
}
