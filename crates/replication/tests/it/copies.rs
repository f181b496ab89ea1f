//! New owners get a shard's files, whatever happens on the way, and count only once they have everything.

use std::{path::Path, time::Duration};

use skywatch_meta::{Command, NodeId};
use skywatch_replication::copy::{BEGIN, CHUNK};
use skywatch_storage::fs::{Fs, SimFs};
use tokio::time::sleep;

use crate::support::{Cluster, address, points, store_at, version};

/// Three nodes, of which the first two have a shard of some size.
fn three(series: u32) -> Cluster {
    let mut cluster = Cluster::new(3);
    let shard = cluster.shard();
    for id in 1..=2 {
        let fs = SimFs::new(id);
        {
            let store = cluster.open(&fs);
            for part in 0..4i64 {
                let batch = points(0..series, part * 100..part * 100 + 100);
                store_at(&store, shard, &batch, version(part as u64 + 1));
                store.shard(shard.0).unwrap().flush().unwrap();
            }
        }
        cluster.start(id, fs);
    }
    cluster.start(3, SimFs::new(3));
    cluster
}

fn add_third(cluster: &Cluster) {
    let shard = cluster.shard().0.0;
    cluster.shared.apply(&Command::AddShardOwner { shard, node: NodeId(3), joining: true }).unwrap();
}

fn has_joined(cluster: &Cluster) -> bool {
    let catalogue = cluster.catalogue();
    let shard = catalogue.live_shard(cluster.shard().0.0).unwrap();
    shard.owners.contains(&NodeId(3)) && shard.joining.is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_new_owner_copies_the_files_and_is_confirmed_with_all_that_was_written_meanwhile() {
    let cluster = three(30);
    let shard = cluster.shard();
    add_third(&cluster);
    assert!(!cluster.node(3).entropy.vouches_for(shard.0.0));
    for second in 0..12u64 {
        let batch = points(second as u32..second as u32 + 3, 1_000..1_010);
        // A coordinator that has not heard of the new owner yet writes to the old ones only.
        for id in if second < 3 { 1..=2 } else { 1..=3 } {
            store_at(&cluster.node(id).store, shard, &batch, version(second * 500));
        }
        sleep(Duration::from_millis(500)).await;
    }
    cluster.until("joined", has_joined).await;
    assert!(cluster.are_alike(&[1, 2, 3]));
    cluster.until("vouched for", |cluster| cluster.node(3).entropy.vouches_for(shard.0.0)).await;
    assert_eq!(cluster.wires.count(BEGIN), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_that_come_before_the_copy_are_kept_beside_it() {
    let cluster = three(30);
    let shard = cluster.shard();
    let batch = points(100..103, 0..10);
    for id in 1..=3 {
        store_at(&cluster.node(id).store, shard, &batch, version(9_000));
    }
    store_at(&cluster.node(3).store, shard, &points(200..201, 0..10), version(9_500));
    add_third(&cluster);
    cluster.until("joined", has_joined).await;
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2, 3])).await;
    assert_eq!(cluster.wires.count(BEGIN), 0, "cells were fetched");
    let cells = cluster.node(1).shard(shard.0).unwrap().digest().unwrap().cells();
    assert_eq!(cells.count, 30 * 400 + 3 * 10 + 10);
}

#[tokio::test(start_paused = true)]
async fn lost_calls_and_a_source_that_restarts_do_not_begin_the_copy_anew() {
    let mut cluster = three(400);
    cluster.wires.lose(|_, method, number| method == CHUNK && number % 3 == 0);
    add_third(&cluster);
    let status = |cluster: &Cluster| cluster.node(3).entropy.copies().status();
    // Until one file at least has arrived.
    for _ in 0..10_000 {
        sleep(Duration::from_millis(1)).await;
        if status(&cluster).first().is_some_and(|copy| copy.current_size > 0) {
            break;
        }
    }
    let copy = status(&cluster).remove(0);
    assert_eq!((copy.source.as_str(), copy.dest.as_str()), ("data1:8088", "data3:8088"));
    assert_eq!(
        (copy.database.as_str(), copy.policy.as_str(), copy.shard_id),
        ("db", "rp", cluster.shard().0.0)
    );
    assert!(copy.current_size < copy.total_size, "{copy:?}");
    let fs = cluster.stop(1).await;
    cluster.start(1, fs);
    cluster.until("joined", has_joined).await;
    cluster.wires.lose_nothing();
    assert!(cluster.are_alike(&[1, 2, 3]));
    assert_eq!(cluster.wires.count(BEGIN), 2, "once more, for what was missing");
    assert!(status(&cluster).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_named_source_is_taken_and_a_killed_copy_gives_the_shard_up() {
    let mut cluster = three(400);
    let shard = cluster.shard().0.0;
    cluster.settings.bytes_per_sec = 1;
    let fs = cluster.stop(3).await;
    cluster.start(3, fs);
    add_third(&cluster);
    cluster.node(3).entropy.copy_from(shard, address(2));
    cluster.until("under way", |cluster| !cluster.node(3).entropy.copies().status().is_empty()).await;
    assert_eq!(cluster.node(3).entropy.copies().status()[0].source, "data2:8088");
    assert!(cluster.node(3).entropy.kill_copy(shard).await);
    let catalogue = cluster.catalogue();
    assert!(!catalogue.live_shard(shard).unwrap().is_owned_by(NodeId(3)));
}

#[tokio::test(start_paused = true)]
async fn copies_that_went_with_a_node_are_made_again() {
    let mut cluster = three(30);
    drop(cluster.stop(2).await);
    cluster.shared.apply(&Command::DeleteDataNode { id: NodeId(2), at_ns: 0 }).unwrap();
    cluster.until("joined", has_joined).await;
    assert!(cluster.are_alike(&[1, 3]));
    let catalogue = cluster.catalogue();
    assert_eq!(catalogue.live_shard(cluster.shard().0.0).unwrap().owners, [NodeId(1), NodeId(3)]);
}

/// Three nodes, and a copy to the third that is slow; so far that some files of it have arrived, and what is there of them.
async fn half_copied() -> (Cluster, SimFs, Vec<(String, u64)>) {
    let mut cluster = three(400);
    cluster.settings.bytes_per_sec = 20_000;
    let fs = cluster.stop(3).await;
    cluster.start(3, fs);
    add_third(&cluster);
    let status = |cluster: &Cluster| cluster.node(3).entropy.copies().status();
    let mut copy = None;
    for _ in 0..100_000 {
        sleep(Duration::from_millis(5)).await;
        copy = status(&cluster).pop().filter(|copy| copy.current_size > copy.total_size / 2);
        if copy.is_some() {
            break;
        }
    }
    let copy = copy.expect("half of it arrives");
    assert!(copy.current_size < copy.total_size, "{copy:?}");
    assert!(cluster.node(3).shard(cluster.shard().0).is_none(), "half a shard is none");
    assert!(!cluster.node(3).entropy.vouches_for(cluster.shard().0.0));
    let fs = cluster.stop(3).await;
    let arrived = copying(&fs);
    assert!(arrived.len() >= 2, "{arrived:?}");
    (cluster, fs, arrived)
}

/// What has arrived of shard 1 on a disk.
fn copying(fs: &SimFs) -> Vec<(String, u64)> {
    let entries = fs.list(Path::new("data/1.copying")).unwrap_or_default();
    entries.into_iter().map(|entry| (entry.name, entry.len)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_on_where_it_was_when_its_destination_restarts() {
    let (mut cluster, fs, arrived) = half_copied().await;
    let before = cluster.wires.count(CHUNK);
    cluster.start(3, fs);
    assert!(cluster.node(3).shard(cluster.shard().0).is_none());
    let status = |cluster: &Cluster| cluster.node(3).entropy.copies().status().pop();
    cluster
        .until("under way again", |cluster| status(cluster).is_some_and(|copy| copy.current_size > 0))
        .await;
    let kept: u64 = arrived.iter().map(|(_, bytes)| bytes).sum();
    assert!(status(&cluster).unwrap().current_size >= kept, "what is here counts");
    cluster.until("joined", has_joined).await;
    assert!(cluster.are_alike(&[1, 2, 3]));
    // A file of these is one chunk: manifest and log come again, and what had not arrived.
    let pinned = cluster.node(1).shard(cluster.shard().0).unwrap().pin().unwrap().files.len() as u64;
    let chunks = cluster.wires.count(CHUNK) - before;
    assert!(chunks <= pinned - arrived.len() as u64, "{chunks} of {pinned} files, {arrived:?} were there");
    assert_eq!(copying(&cluster.node(3).fs), []);
}

#[tokio::test(start_paused = true)]
async fn what_arrived_and_is_not_what_the_source_has_comes_again() {
    let (mut cluster, fs, arrived) = half_copied().await;
    let dir = Path::new("data/1.copying");
    // Bytes that a power cut has left undone, a file of another shard's life, and one that is longer than it should be.
    let (damaged, bytes) = &arrived[0];
    fs.remove_file(&dir.join(damaged)).unwrap();
    fs.create(&dir.join(damaged)).unwrap().append(&vec![0; *bytes as usize]).unwrap();
    fs.create(&dir.join("00009999.seg")).unwrap().append(b"of another life").unwrap();
    fs.open_append(&dir.join(&arrived[1].0)).unwrap().append(b"more").unwrap();
    cluster.start(3, fs);
    cluster.until("joined", has_joined).await;
    assert!(cluster.are_alike(&[1, 2, 3]));
    let shard = cluster.node(3).shard(cluster.shard().0).unwrap();
    assert!(!shard.recovery().has_damage());
    assert!(!cluster.node(3).fs.list(shard.dir()).unwrap().iter().any(|entry| entry.name == "00009999.seg"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_for_long_does_not_make_a_copy_begin_anew() {
    let mut cluster = three(400);
    cluster.settings.bytes_per_sec = 20_000;
    let fs = cluster.stop(3).await;
    cluster.start(3, fs);
    drop(cluster.stop(2).await);
    add_third(&cluster);
    let status = |cluster: &Cluster| cluster.node(3).entropy.copies().status().pop();
    let is_half = |cluster: &Cluster| status(cluster).is_some_and(|it| it.current_size > it.total_size / 2);
    cluster.until("half copied", is_half).await;
    let source = cluster.stop(1).await;
    sleep(Duration::from_secs(300)).await;
    let waiting = status(&cluster).expect("it is known to wait");
    assert!(waiting.current_size > waiting.total_size / 2, "{waiting:?}");
    assert!(waiting.trouble.contains(&address(1)), "and for whom: {waiting:?}");
    let before = cluster.wires.count(CHUNK);
    cluster.start(1, source);
    cluster.until("in no trouble", |cluster| status(cluster).is_none_or(|it| it.trouble.is_empty())).await;
    cluster.until("whole", |cluster| cluster.are_alike(&[1, 3])).await;
    let pinned = cluster.node(1).shard(cluster.shard().0).unwrap().pin().unwrap().files.len() as u64;
    assert!(cluster.wires.count(CHUNK) - before < pinned);
}

#[tokio::test(start_paused = true)]
async fn writes_that_come_amid_the_copy_end_it_and_the_rest_comes_beside_them() {
    let (mut cluster, fs, _) = half_copied().await;
    cluster.start(3, fs);
    let shard = cluster.shard();
    let is_under_way = |cluster: &Cluster| cluster.node(3).entropy.copies().status().len() == 1;
    cluster.until("under way again", is_under_way).await;
    for id in 1..=3 {
        store_at(&cluster.node(id).store, shard, &points(500..501, 0..10), version(9_000));
    }
    cluster.settings.bytes_per_sec = 0;
    // Cells that are here of those that are there are shown as bytes of the source's.
    let shown = |cluster: &Cluster| {
        let copy = cluster.node(3).entropy.copies().status().pop();
        copy.filter(|copy| copy.current_size > 0 && copy.current_size < copy.total_size).is_some()
    };
    cluster.until("shown", shown).await;
    cluster.until("joined", has_joined).await;
    cluster.until("alike", |cluster| cluster.are_alike(&[1, 2, 3])).await;
    assert_eq!(copying(&cluster.node(3).fs), []);
    cluster.until("shown no more", |cluster| cluster.node(3).entropy.copies().status().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn what_arrived_of_a_copy_that_nobody_wants_any_more_is_removed() {
    let (mut cluster, fs, _) = half_copied().await;
    let shard = cluster.shard().0.0;
    cluster.shared.apply(&Command::RemoveShardOwner { shard, node: NodeId(3), at_ns: 0 }).unwrap();
    cluster.start(3, fs);
    cluster.until("removed", |cluster| copying(&cluster.node(3).fs).is_empty()).await;
}
