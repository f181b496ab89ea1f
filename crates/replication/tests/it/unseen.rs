//! Points that were acknowledged before any owner could refuse them are not lost when one does.

use skywatch_model::{FieldRef, line::PointBatch};
use skywatch_replication::{Consistency, Outcome, Owners, Part};
use skywatch_storage::fs::SimFs;

use crate::support::{Cluster, NOW_NS, version};

/// A field in the type of the value.
fn write_of(value: FieldRef<'_>) -> PointBatch<'static> {
    let mut batch = PointBatch::new();
    batch.push("cpu,host=h0", NOW_NS, [("v", value)]).unwrap();
    batch.push("cpu,host=h1", NOW_NS, [("other", FieldRef::Float(1.5))]).unwrap();
    batch
}

/// Writes to the shard through a node, at some milliseconds.
async fn write(cluster: &Cluster, through: u64, batch: &PointBatch<'_>, ms: u64) -> Outcome {
    let (shard, range) = cluster.shard();
    let catalogue = cluster.catalogue();
    let owners = Owners::of(catalogue.live_shard(shard.0).unwrap());
    let part = Part { shard: shard.0, range, points: &[0, 1], owners: &owners };
    let coordinator = cluster.node(through).member.coordinator();
    coordinator.write("db", batch, &[part], version(ms)).await.remove(0)
}

/// What an owner keeps aside of a write at some milliseconds.
fn aside(cluster: &Cluster, node: u64, ms: u64) -> Option<String> {
    let dir = cluster.node(node).shard(cluster.shard().0).unwrap().dir().to_owned();
    let path = dir.join(format!("set-aside/write-{}.lp", version(ms)));
    cluster.node(node).fs.read(&path).ok().map(|bytes| String::from_utf8(bytes).unwrap())
}

fn has_caught_up(cluster: &Cluster) -> bool {
    let hints = cluster.node(3).member.hints();
    [1, 2].into_iter().all(|id| hints.queue(skywatch_meta::NodeId(id)).unwrap().is_empty())
}

/// Three nodes, of which the owners have the field as an integer, and are away.
async fn owners_away(away: &[u64]) -> (Cluster, Vec<(u64, SimFs)>) {
    let mut cluster = Cluster::new(3);
    (1..=3).for_each(|id| cluster.start(id, SimFs::new(id)));
    let outcome = write(&cluster, 3, &write_of(FieldRef::Integer(7)), 1).await;
    assert_eq!((outcome.stored, outcome.rejected.len()), (2, 0));
    let mut disks = Vec::new();
    for id in away {
        disks.push((*id, cluster.stop(*id).await));
    }
    (cluster, disks)
}

#[tokio::test(start_paused = true)]
async fn what_no_owner_had_looked_at_is_kept_aside_when_it_is_refused() {
    let (mut cluster, disks) = owners_away(&[1, 2]).await;
    let outcome = write(&cluster, 3, &write_of(FieldRef::Float(0.5)), 2).await;
    assert!(outcome.reaches(Consistency::Any) && !outcome.reaches(Consistency::One));
    // Through a restart of the node that keeps it.
    let fs = cluster.stop(3).await;
    cluster.start(3, fs);
    disks.into_iter().for_each(|(id, fs)| cluster.start(id, fs));
    cluster.until("caught up", has_caught_up).await;
    for node in [1, 2] {
        let kept = aside(&cluster, node, 2).expect("a file");
        let (head, line) = kept.split_once('\n').expect("two lines");
        assert!(head.starts_with("# Points of shard 1 that were acknowledged while none"), "{head}");
        assert!(head.contains("field type conflict"), "{head}");
        assert_eq!(line, format!("cpu,host=h0 v=0.5 {NOW_NS}\n"), "the other point is stored");
        assert_eq!(cluster.node(node).shard(cluster.shard().0).unwrap().stats().set_aside_files, 1);
    }
    assert!(cluster.are_alike(&[1, 2]));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_was_told_is_refused_and_no_more() {
    let (mut cluster, disks) = owners_away(&[2]).await;
    let outcome = write(&cluster, 3, &write_of(FieldRef::Float(0.5)), 2).await;
    assert_eq!((outcome.stored, outcome.hinted), (1, 1));
    assert!(outcome.rejected[&0].contains("field type conflict"), "{outcome:?}");
    disks.into_iter().for_each(|(id, fs)| cluster.start(id, fs));
    cluster.until("caught up", has_caught_up).await;
    assert_eq!((aside(&cluster, 1, 2), aside(&cluster, 2, 2)), (None, None));
    assert!(cluster.are_alike(&[1, 2]));
}

#[tokio::test(start_paused = true)]
async fn wherever_the_disk_is_full_it_is_kept_aside_in_the_end() {
    let mut waited = 0;
    for step in 0..40 {
        let (mut cluster, disks) = owners_away(&[1, 2]).await;
        write(&cluster, 3, &write_of(FieldRef::Float(0.5)), 2).await;
        for (id, fs) in disks {
            cluster.start(id, fs.clone());
            fs.fill_disk_at(fs.operations() + step);
        }
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        waited += u32::from(!has_caught_up(&cluster));
        (1..=2).for_each(|id| cluster.node(id).fs.free_space());
        cluster.until("caught up", has_caught_up).await;
        assert!(aside(&cluster, 1, 2).is_some() && aside(&cluster, 2, 2).is_some(), "full at {step}");
    }
    assert!(waited > 2, "{waited}: the disk was full at some step of it");
}
