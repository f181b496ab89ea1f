//! Which writes are acknowledged with which owners up, and where their points are afterwards.

use std::time::{Duration, Instant};

use skywatch_cluster::{Consistency, WriteError};
use skywatch_meta::{Behind, NodeId};

use crate::support::{Cluster, NOW_NS};

const LEVELS: [Consistency; 4] = [Consistency::Any, Consistency::One, Consistency::Quorum, Consistency::All];

fn cluster(nodes: u64, copies: u32) -> Cluster {
    let cluster = Cluster::start(nodes);
    cluster.run(1, &format!("CREATE DATABASE db WITH DURATION INF REPLICATION {copies}"));
    // The group is there before anything goes wrong.
    for series in 0..16 {
        cluster.write(1, &format!("warm,s={series} v=0 {NOW_NS}"), Consistency::All).unwrap();
    }
    cluster
}

fn point(offset: i64) -> String {
    format!("m v={offset} {}", NOW_NS + offset)
}

fn times(offsets: impl IntoIterator<Item = i64>) -> Vec<i64> {
    offsets.into_iter().map(|offset| NOW_NS + offset).collect()
}

#[test]
fn every_level_is_reached_when_all_are_up_and_both_answer_at_once() {
    let cluster = cluster(2, 2);
    for (offset, level) in (1..).zip(LEVELS) {
        cluster.write(1 + offset as u64 % 2, &point(offset), level).unwrap();
        for node in [1, 2] {
            assert_eq!(cluster.times(node), Ok(times(1..=offset)), "{level:?}");
        }
    }
}

#[test]
fn with_one_of_two_owners_down_one_is_enough_and_the_rest_is_told_exactly() {
    let mut cluster = cluster(2, 2);
    cluster.down(2);
    cluster.write(1, &point(1), Consistency::Any).unwrap();
    cluster.write(1, &point(2), Consistency::One).unwrap();
    for (offset, level) in [(3, Consistency::Quorum), (4, Consistency::All)] {
        let error = cluster.write(1, &point(offset), level).unwrap_err();
        assert_eq!(error.to_string(), "partial write", "{level:?}");
        assert!(matches!(error, WriteError::BelowLevel { stored: 1, hinted: 1, needed: 2, .. }), "{error:?}");
    }
    assert_eq!(cluster.catalogue().behind(), [Behind { node: NodeId(2), holder: NodeId(1) }]);
    cluster.up(2);
    cluster.until_in_step();
    for node in [1, 2] {
        assert_eq!(cluster.times(node), Ok(times(1..=4)));
    }
    assert!(cluster.node(1).member().unwrap().hints().waiting_for(NodeId(2)).is_none());
}

#[test]
fn an_owner_that_does_not_answer_costs_one_write_its_patience_and_the_others_nothing() {
    let cluster = cluster(2, 2);
    cluster.freeze(2, true);
    let started = Instant::now();
    cluster.write(1, &point(1), Consistency::One).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    let started = Instant::now();
    for offset in 2..12 {
        cluster.write(1, &point(offset), Consistency::One).unwrap();
    }
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
    cluster.freeze(2, false);
    cluster.until_in_step();
    assert_eq!(cluster.times(2), Ok(times(1..12)));
}

#[test]
fn any_counts_what_is_kept_however_much_waits_already() {
    let mut cluster = cluster(3, 1);
    let series: Vec<String> = (0..12).map(|series| format!("m,s={series} v=1 {}", NOW_NS + series)).collect();
    for node in [2, 3] {
        cluster.down(node);
    }
    let mut lost = 0;
    for line in &series {
        for _ in 0..2 {
            cluster.write(1, line, Consistency::Any).unwrap();
        }
        match cluster.write(1, line, Consistency::One) {
            Ok(_) => {}
            Err(WriteError::BelowLevel { stored: 0, hinted: 1, .. }) => lost += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!((1..12).contains(&lost), "series are dealt to all three nodes: {lost}");
    for node in [2, 3] {
        cluster.up(node);
    }
    cluster.until_in_step();
    let held: u64 = (1..=3)
        .map(|node| cluster.node(node).member().unwrap().store().shards())
        .flat_map(|shards| shards.into_iter().map(|shard| shard.stats().series))
        .sum();
    assert_eq!(held, 12 + 16);
}

#[test]
fn a_type_conflict_is_the_callers_fault_and_nothing_of_it_waits() {
    let cluster = cluster(2, 2);
    cluster.write(1, &point(1), Consistency::All).unwrap();
    let error = cluster.write(2, &format!("m v=\"text\" {}", NOW_NS + 2), Consistency::One).unwrap_err();
    let WriteError::Partial { reason, dropped: 1, written: 0 } = &error else { panic!("{error:?}") };
    assert!(reason.contains("field type conflict"), "{reason}");
    assert!(cluster.catalogue().behind().is_empty());
}

#[test]
fn writes_go_on_without_meta_nodes_and_a_restart_does_not_forget_what_waits() {
    let mut cluster = cluster(2, 2);
    cluster.meta_down();
    cluster.write(1, &point(1), Consistency::All).unwrap();
    cluster.down(2);
    cluster.write(1, &point(2), Consistency::One).unwrap();
    cluster.down(1);
    cluster.up(1);
    assert!(cluster.node(1).member().unwrap().hints().waiting_for(NodeId(2)).is_some());
    // Nobody is there to say whether it has missed something.
    let alone = cluster.times(1).unwrap_err();
    assert!(alone.contains("node 1 cannot tell which shards there are"), "{alone}");
    cluster.up(2);
    cluster.until("the other node says that nothing is kept for it", |cluster| {
        cluster.times(1) == Ok(times(1..=2))
    });
    cluster.meta_up();
    cluster.until_in_step();
    assert_eq!(cluster.times(2), Ok(times(1..=2)));
}

#[test]
fn a_delete_reaches_an_owner_that_was_away() {
    let mut cluster = cluster(2, 2);
    for offset in 1..=4 {
        cluster.write(1, &point(offset), Consistency::All).unwrap();
    }
    cluster.down(2);
    cluster.run(1, &format!("DELETE FROM m WHERE time <= {}", NOW_NS + 2));
    cluster.write(1, &point(1), Consistency::One).unwrap();
    cluster.up(2);
    cluster.until_in_step();
    for node in [1, 2] {
        assert_eq!(cluster.times(node), Ok(times([1, 3, 4])), "{node}");
    }
}

#[test]
fn a_full_queue_leaves_a_gap_that_comparing_fills() {
    let mut cluster = Cluster::start(2);
    cluster.hints.max_bytes = 2_000;
    for node in [1, 2] {
        cluster.down(node);
        cluster.up(node);
    }
    cluster.run(1, "CREATE DATABASE db WITH DURATION INF REPLICATION 2");
    cluster.write(1, &point(0), Consistency::All).unwrap();
    cluster.down(2);
    for offset in 1..100 {
        cluster.write(1, &point(offset), Consistency::One).unwrap();
    }
    let queue = cluster.node(1).member().unwrap().hints().waiting_for(NodeId(2)).unwrap();
    assert!(queue.has_gaps() && queue.stats().dropped > 0 && queue.stats().bytes <= 2_000);
    cluster.up(2);
    cluster.until("comparing has filled the gap", |cluster| {
        cluster.times(2) == Ok(times(0..100)) && !cluster.catalogue().is_behind(NodeId(2))
    });
    assert!(!queue.has_gaps());
}
