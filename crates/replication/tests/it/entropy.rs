//! Owners that differ become alike; what cannot be reconciled is reported; what is in doubt is not vouched for.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use skywatch_model::{FieldRef, FieldType, TimeRange, line::PointBatch};
use skywatch_replication::{
    calls::{APPLY, ApplyAnswer, ApplyQuestion, join},
    entropy::calls::{FETCH, FIELDS, ROUND, RoundAnswer, RoundQuestion},
    operation::Target,
};
use skywatch_rpc::ask;
use skywatch_storage::{
    SeriesClasses, TagPredicate,
    fs::{Fs, SimFs},
};
use tokio::time::sleep;

use crate::support::{Cluster, NOW_NS, address, points, store_at, version};

/// Two owners with the same 40 series, in the log of one and in a segment of the other.
fn two_alike() -> (Cluster, SimFs, SimFs) {
    let cluster = Cluster::new(2);
    let shard = cluster.shard();
    let (one, other) = (SimFs::new(1), SimFs::new(2));
    for fs in [&one, &other] {
        let store = cluster.open(fs);
        store_at(&store, shard, &points(0..40, 0..20), version(1));
        if std::ptr::eq(fs, &other) {
            store.shard(shard.0).unwrap().flush().unwrap();
        }
    }
    (cluster, one, other)
}

#[tokio::test(start_paused = true)]
async fn each_fetches_what_only_the_other_has_and_no_more() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    {
        let (one, other) = (cluster.open(&one), cluster.open(&other));
        store_at(&one, shard, &points(3..4, 50..60), version(2));
        store_at(&other, shard, &points(50..52, 0..5), version(3));
        let predicate = TagPredicate::Equal { key: "host".into(), value: "h9".into() };
        let here = other.shard(shard.0).unwrap();
        here.delete(&["cpu".into()], &predicate, TimeRange::ALL, version(4)).unwrap();
    }
    cluster.start(1, one);
    cluster.start(2, other);
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2])).await;
    let (one, other) = (cluster.node(1).entropy.stats(), cluster.node(2).entropy.stats());
    assert_eq!((one.taken, other.taken), (10 + 1, 10), "ten cells and a delete, and ten cells");
    assert!(one.bytes_rx < 8_000 && other.bytes_rx < 8_000, "{one:?} {other:?}");
    cluster.until("known to be", |cluster| cluster.node(1).entropy.status().shards.is_empty()).await;
    let fetched = cluster.wires.count(FETCH);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.wires.count(FETCH), fetched, "nothing travels any more");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_does_not_travel_twice() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    cluster.start(1, one);
    cluster.start(2, other);
    // A node that writes all the time, and whose writes reach the second owner a second after the first.
    for second in 0..60u64 {
        let batch = points(0..5, 100 + second as i64..101 + second as i64);
        store_at(&cluster.node(1).store, shard, &batch, version(second * 1_000));
        sleep(Duration::from_millis(1_000)).await;
        store_at(&cluster.node(2).store, shard, &batch, version(second * 1_000));
    }
    assert!(cluster.node(2).entropy.stats().jobs >= 5);
    assert_eq!(cluster.wires.count(FETCH), 0);
    assert!(cluster.are_alike(&[1, 2]));
}

/// A point of `mem` whose field `used` is that value.
fn used(value: FieldRef<'static>) -> PointBatch<'static> {
    let mut batch = PointBatch::new();
    batch.push("mem", NOW_NS, [("used", value), ("free", FieldRef::Integer(1))]).unwrap();
    batch
}

/// The name and type of every field of a measurement at a node.
fn fields(cluster: &Cluster, node: u64, measurement: &str) -> Vec<(String, FieldType)> {
    let read = cluster.node(node).shard(cluster.shard().0).unwrap().snapshot();
    let fields = read.fields(measurement).unwrap();
    fields.into_iter().map(|(name, field_type)| (name.to_string(), field_type)).collect()
}

/// Fields of which no cell is left: of each another owner, and of one field two types.
#[tokio::test(start_paused = true)]
async fn owners_list_the_same_fields() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    let gone = |field: &'static str, value: FieldRef<'static>| {
        let mut batch = PointBatch::new();
        batch.push("mem", NOW_NS + 5, [(field, value)]).unwrap();
        batch
    };
    let own: [(&SimFs, [PointBatch<'static>; 2]); 2] = [
        (&one, [gone("swapped", FieldRef::Integer(1)), gone("what", FieldRef::String("a"))]),
        (&other, [gone("what", FieldRef::Float(0.5)), gone("free", FieldRef::Integer(1))]),
    ];
    for (fs, batches) in own {
        let store = cluster.open(fs);
        store_at(&store, shard, &used(FieldRef::Integer(7)), version(5));
        for (number, batch) in batches.iter().enumerate() {
            store_at(&store, shard, batch, version(6 + number as u64));
        }
        let times = TimeRange::new(NOW_NS + 5, NOW_NS + 5);
        let here = store.shard(shard.0).unwrap();
        here.delete(&["mem".into()], &TagPredicate::All, times, version(9)).unwrap();
    }
    cluster.start(1, one);
    cluster.start(2, other);
    assert!(cluster.are_alike(&[1, 2]), "cells and deletes are");
    assert_ne!(fields(&cluster, 1, "mem"), fields(&cluster, 2, "mem"));
    cluster.until("listed alike", |cluster| fields(cluster, 1, "mem") == fields(cluster, 2, "mem")).await;
    let expected = [
        ("free", FieldType::Integer),
        ("swapped", FieldType::Integer),
        ("used", FieldType::Integer),
        ("what", FieldType::Float),
    ];
    assert_eq!(fields(&cluster, 1, "mem"), expected.map(|(name, kind)| (name.to_owned(), kind)));
    let asked = cluster.wires.count(FIELDS);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(cluster.wires.count(FIELDS), asked, "nothing travels any more");
    assert!(cluster.are_alike(&[1, 2]));
}

#[tokio::test(start_paused = true)]
async fn of_two_types_of_a_field_the_older_one_counts() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    store_at(&cluster.open(&one), shard, &used(FieldRef::Integer(7)), version(5));
    store_at(&cluster.open(&other), shard, &used(FieldRef::Float(7.0)), version(6));
    store_at(&cluster.open(&other), shard, &points(90..91, 0..3), version(7));
    cluster.start(1, one);
    cluster.start(2, other);
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2])).await;
    cluster.until("known to be", |cluster| cluster.node(1).entropy.status().shards.is_empty()).await;
    for node in [1, 2] {
        let fields = fields(&cluster, node, "mem");
        assert!(fields.contains(&("used".to_owned(), FieldType::Integer)), "node {node}: {fields:?}");
    }
    let fetched = cluster.wires.count(FETCH);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(cluster.wires.count(FETCH), fetched, "nothing travels any more");
}

/// A node that was away has points of another type, written before what it missed reached it.
#[tokio::test(start_paused = true)]
async fn an_owner_that_gives_way_is_in_doubt_until_it_has_what_it_refused() {
    let (mut cluster, one, other) = two_alike();
    let (id, range) = cluster.shard();
    store_at(&cluster.open(&one), (id, range), &used(FieldRef::Integer(7)), version(5));
    let late = || {
        let mut batch = PointBatch::new();
        batch.push("mem", NOW_NS + 1, [("used", FieldRef::Integer(9))]).unwrap();
        batch
    };
    store_at(&cluster.open(&one), (id, range), &late(), version(8));
    store_at(&cluster.open(&other), (id, range), &used(FieldRef::Float(7.0)), version(6));
    cluster.start(2, other);
    let apply = |batch: PointBatch<'static>, version| {
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        let target = Target { shard: id.0, range, database: "db", version };
        let body = join([&target.write(&batch, &all).bytes]);
        let wires = std::sync::Arc::clone(&cluster.wires);
        async move {
            let limit = Duration::from_secs(1);
            let asked = ask(&*wires, &address(2), APPLY, &ApplyQuestion::default(), body, limit).await;
            let (answer, _): (ApplyAnswer, Bytes) = asked.unwrap();
            answer.outcomes.len()
        }
    };
    // As hints of two nodes, the younger one first: it is refused.
    assert_eq!(apply(late(), version(8)).await, 1);
    assert!(!cluster.node(2).entropy.doubts().has(id.0));
    assert_eq!(apply(used(FieldRef::Integer(7)), version(5)).await, 1);
    assert!(cluster.node(2).entropy.doubts().has(id.0), "it lacks the younger one");
    cluster.start(1, one);
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2])).await;
    cluster.until("vouched for", |cluster| cluster.node(2).entropy.vouches_for(id.0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_directory_is_in_doubt_until_it_has_been_copied() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    cluster.start(1, one);
    cluster.start(2, other);
    let vouched =
        |cluster: &Cluster| [1, 2].iter().all(|id| cluster.node(*id).entropy.vouches_for(shard.0.0));
    cluster.until("vouched for", vouched).await;
    sleep(Duration::from_secs(30)).await;
    let fs = cluster.stop(2).await;
    cluster.open(&fs).drop_shard(shard.0).unwrap();
    // Its peer is away for a while.
    let peer = cluster.stop(1).await;
    cluster.start(2, fs);
    sleep(Duration::from_secs(60)).await;
    assert!(!cluster.node(2).entropy.vouches_for(shard.0.0), "nobody knows what it had");
    // Nor does it once a write has made a new directory, and another start.
    store_at(&cluster.node(2).store, shard, &points(7..8, 70..71), version(70_000));
    let fs = cluster.stop(2).await;
    cluster.start(2, fs);
    sleep(Duration::from_secs(60)).await;
    assert!(!cluster.node(2).entropy.vouches_for(shard.0.0));
    cluster.start(1, peer);
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2])).await;
    cluster.until("vouched for", vouched).await;
    assert_eq!(cluster.node(2).entropy.stats().doubted, 0);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_lost_as_soon_as_it_is_there_is_missed_too() {
    let mut cluster = Cluster::new(2);
    let (id, range) = cluster.shard();
    for node in 1..=2 {
        cluster.start(node, SimFs::new(node));
    }
    sleep(Duration::from_secs(3)).await;
    let batch = points(0..3, 0..3);
    let all: Vec<u32> = (0..9).collect();
    let target = Target { shard: id.0, range, database: "db", version: version(3_000) };
    let body = join([&target.write(&batch, &all).bytes]);
    let limit = Duration::from_secs(1);
    let question = ApplyQuestion::default();
    let (answer, _): (ApplyAnswer, Bytes) =
        ask(&*cluster.wires, &address(2), APPLY, &question, body, limit).await.unwrap();
    assert_eq!(answer.outcomes.len(), 1);
    let fs = cluster.stop(2).await;
    cluster.open(&fs).drop_shard(id).unwrap();
    drop(cluster.stop(1).await);
    cluster.start(2, fs);
    assert!(cluster.node(2).entropy.doubts().has(id.0));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_never_was_is_not_in_doubt() {
    let mut cluster = Cluster::new(2);
    let shard = cluster.shard();
    let fs = SimFs::new(1);
    cluster.start(1, fs);
    cluster.start(2, SimFs::new(2));
    cluster.until("vouched for", |cluster| cluster.node(1).entropy.vouches_for(shard.0.0)).await;
    let fs = cluster.stop(1).await;
    drop(cluster.stop(2).await);
    cluster.start(1, fs);
    assert!(!cluster.node(1).entropy.doubts().has(shard.0.0));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_segment_is_replaced_from_another_owner() {
    let (mut cluster, one, other) = two_alike();
    let (id, _) = cluster.shard();
    let path = Path::new("data").join(id.to_string()).join("0000000001.seg");
    let mut bytes = other.read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    other.overwrite(&path, bytes).unwrap();
    cluster.start(1, one);
    cluster.start(2, other);
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2])).await;
    let shard = cluster.node(2).shard(id).unwrap();
    assert_eq!(shard.damaged_segments(), []);
    assert_eq!(shard.digest().unwrap().cells().count, 800);
    cluster.until("vouched for", |cluster| cluster.node(2).entropy.vouches_for(id.0)).await;
    let fs = cluster.stop(2).await;
    assert!(!cluster.open(&fs).shard(id).unwrap().recovery().has_damage());
}

#[tokio::test(start_paused = true)]
async fn a_segment_whose_damage_shows_when_it_is_read_is_in_doubt_from_then_on() {
    let (mut cluster, one, other) = two_alike();
    let (id, _) = cluster.shard();
    cluster.settings.check_interval = Duration::from_secs(1_000_000);
    let path = Path::new("data").join(id.to_string()).join("0000000001.seg");
    let mut bytes = other.read(&path).unwrap();
    bytes[40] ^= 1;
    other.overwrite(&path, bytes).unwrap();
    cluster.start(1, one);
    cluster.start(2, other);
    // Nobody has read it yet.
    cluster.until("vouched for", |cluster| cluster.node(2).entropy.vouches_for(id.0)).await;
    let shard = cluster.node(2).shard(id).unwrap();
    assert!(shard.export(TimeRange::ALL, SeriesClasses::ALL, None, 1 << 20).is_err());
    assert!(!cluster.node(2).entropy.vouches_for(id.0));
    cluster.until("vouched for", |cluster| cluster.node(2).entropy.vouches_for(id.0)).await;
    assert!(!shard.is_damaged() && cluster.are_alike(&[1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_log_whose_end_cannot_be_read_is_in_doubt() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    cluster.settings.check_interval = Duration::from_secs(1_000_000);
    for fs in [&one, &other] {
        store_at(&cluster.open(fs), shard, &points(60..61, 0..9), version(5));
    }
    // Whether a crash or damage is to blame cannot be seen: it may have been acknowledged.
    let dir = Path::new("data").join(shard.0.to_string());
    let logs = other.list(&dir).unwrap().into_iter().filter(|entry| entry.name.ends_with(".wal"));
    let path = dir.join(logs.max_by_key(|entry| entry.len).unwrap().name);
    let mut bytes = other.read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    other.overwrite(&path, bytes).unwrap();
    cluster.start(1, one);
    cluster.start(2, other);
    assert!(
        cluster.node(2).entropy.doubts().has(shard.0.0) && !cluster.node(1).entropy.doubts().has(shard.0.0)
    );
    cluster.until("vouched for", |cluster| cluster.node(2).entropy.vouches_for(shard.0.0)).await;
    assert!(cluster.are_alike(&[1, 2]));
    assert_eq!(cluster.node(2).shard(shard.0).unwrap().digest().unwrap().cells().count, 809);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_asked_for_ends_with_everything_here() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    cluster.settings.check_interval = Duration::from_secs(1_000_000);
    store_at(&cluster.open(&one), shard, &points(60..61, 0..9), version(5));
    cluster.start(1, one);
    cluster.start(2, other);
    sleep(Duration::from_secs(20)).await;
    assert!(!cluster.are_alike(&[1, 2]), "nothing happens unasked for a long time");
    let mut question = RoundQuestion { round: None };
    let ask_again = async |question: &RoundQuestion| -> RoundAnswer {
        let limit = Duration::from_secs(1);
        ask(&*cluster.wires, &address(2), ROUND, question, Bytes::new(), limit).await.unwrap().0
    };
    let answer = ask_again(&question).await;
    assert!(!answer.done && !answer.failed);
    question.round = Some(answer.round);
    let mut answer = answer;
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
        answer = ask_again(&question).await;
        if answer.done {
            break;
        }
    }
    assert!(answer.done && cluster.are_alike(&[1, 2]), "{answer:?}");
    assert!(ask_again(&RoundQuestion { round: Some(9) }).await.failed, "a round of another life");
}

#[tokio::test(start_paused = true)]
async fn repairs_can_be_asked_for_and_called_off() {
    let (mut cluster, one, other) = two_alike();
    let shard = cluster.shard();
    cluster.settings.enabled = false;
    store_at(&cluster.open(&one), shard, &points(60..61, 0..9), version(5));
    cluster.start(1, one);
    cluster.start(2, other);
    sleep(Duration::from_secs(100)).await;
    assert!(!cluster.are_alike(&[1, 2]), "comparing is off");
    let entropy = &cluster.node(2).entropy;
    assert!(entropy.repair(shard.0.0) && !entropy.repair(shard.0.0));
    assert_eq!(entropy.status().queued_shards, [shard.0.0]);
    assert!(entropy.kill_repair(shard.0.0) && !entropy.kill_repair(shard.0.0));
    sleep(Duration::from_secs(100)).await;
    assert!(!cluster.are_alike(&[1, 2]));
    assert!(entropy.repair(shard.0.0));
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2])).await;
}
