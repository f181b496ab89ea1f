//! Deletes are forgotten once every owner has them and nobody has anything older to send, and not before.

use std::time::Duration;

use skywatch_model::{TimeRange, Version};
use skywatch_replication::ForgetSettings;
use skywatch_storage::{TagPredicate, fs::SimFs};
use tokio::time::sleep;

use crate::support::{Cluster, points, store_at, version};

const AFTER: Duration = Duration::from_secs(60);

fn delete_at(cluster: &Cluster, node: u64, host: u32, version: Version) {
    let predicate = TagPredicate::Equal { key: "host".into(), value: format!("h{host}").into() };
    let shard = cluster.node(node).shard(cluster.shard().0).unwrap();
    shard.delete(&["cpu".into()], &predicate, TimeRange::ALL, version).unwrap();
}

/// Two owners that have had the same hundred deletes, and a third node; all of it long ago.
async fn deleted() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.forget = ForgetSettings { after: AFTER, ..ForgetSettings::default() };
    (1..=3).for_each(|id| cluster.start(id, SimFs::new(id)));
    let shard = cluster.shard();
    for id in 1..=2 {
        store_at(&cluster.node(id).store, shard, &points(0..120, 0..3), version(1));
        (0..100).for_each(|host| delete_at(&cluster, id, host, version(10 + u64::from(host))));
    }
    cluster
}

fn forgotten(cluster: &Cluster, node: u64) -> bool {
    cluster.node(node).shard(cluster.shard().0).unwrap().forgotten() > version(109)
}

async fn are_remembered(cluster: &Cluster) {
    sleep(AFTER * 3).await;
    assert!(!forgotten(cluster, 1) && !forgotten(cluster, 2));
}

#[tokio::test(start_paused = true)]
async fn deletes_are_forgotten_when_all_owners_have_had_them_for_long() {
    let cluster = deleted().await;
    sleep(AFTER / 2).await;
    assert!(!forgotten(&cluster, 1));
    cluster.until("forgotten", |cluster| forgotten(cluster, 1) && forgotten(cluster, 2)).await;
    assert!(cluster.are_alike(&[1, 2]));
    for id in 1..=2 {
        let shard = cluster.node(id).shard(cluster.shard().0).unwrap();
        shard.flush().unwrap();
        shard.compact().unwrap();
        assert_eq!((shard.deletions().len(), shard.stats().tombstones), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_at_work_anywhere_holds_it_up() {
    let cluster = deleted().await;
    let pending = cluster.node(3).member.begin_operation();
    are_remembered(&cluster).await;
    drop(pending);
    cluster.until("forgotten", |cluster| forgotten(cluster, 1) && forgotten(cluster, 2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_data_node_that_does_not_answer_holds_it_up() {
    let mut cluster = deleted().await;
    let fs = cluster.stop(3).await;
    are_remembered(&cluster).await;
    cluster.start(3, fs);
    cluster.until("forgotten", |cluster| forgotten(cluster, 1) && forgotten(cluster, 2)).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_lacks_something_of_before_holds_it_up_until_it_has_it() {
    let cluster = deleted().await;
    // It comes by comparing; the digest says so before.
    store_at(&cluster.node(2).store, cluster.shard(), &points(200..201, 0..3), version(500));
    cluster.until("forgotten", |cluster| forgotten(cluster, 1) && forgotten(cluster, 2)).await;
    assert!(cluster.are_alike(&[1, 2]));
    let shard = cluster.node(1).shard(cluster.shard().0).unwrap();
    assert!(shard.stats().series >= 21, "what only the other had is here");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_not_told_hears_of_it_by_comparing() {
    let cluster = deleted().await;
    cluster.wires.lose(|_, method, _| method == "entropy.forget");
    cluster.until("forgotten", |cluster| forgotten(cluster, 1)).await;
    cluster.until("forgotten too", |cluster| forgotten(cluster, 2)).await;
    assert!(cluster.are_alike(&[1, 2]));
}
