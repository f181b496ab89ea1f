//! Nodes of a cluster that writes through a log: who applies what, from where on, and who is fresh.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use skywatch_meta::{Command, NodeId};
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_replication::{
    log::{AppendError, Fate, LogPart, LogPath, Position, PositionToken, WriteLog},
    operation::Target,
};
use skywatch_storage::{Rule, ShardDigest, ShardId, TagPredicate, fs::SimFs};
use tokio::time::sleep;

use crate::support::{Cluster, LOGGED_NS};

const PATIENCE: Duration = Duration::from_secs(20);

impl Cluster {
    fn log(&self, node: u64) -> &Arc<LogPath> {
        self.nodes[&node].member.log().unwrap()
    }

    /// The shards of the group that is written through the log, by partition.
    fn logged_shards(&self) -> (Vec<u64>, TimeRange) {
        let catalogue = self.catalogue();
        let policy = &catalogue.databases()[0].retention_policies[0];
        let group = policy.shard_group_at(LOGGED_NS).unwrap();
        let range = TimeRange::new(group.start_ns, group.end_ns - 1);
        (group.shards.iter().map(|shard| shard.id).collect(), range)
    }

    async fn append(
        &self,
        node: u64,
        points: &[(&str, i64, FieldRef<'_>)],
        version: u64,
    ) -> Result<PositionToken, AppendError> {
        let mut batch = PointBatch::new();
        for (series, offset, value) in points {
            batch.push(series, LOGGED_NS + offset, [("f", *value)]).unwrap();
        }
        let (shards, range) = self.logged_shards();
        let mut by_shard: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (number, point) in batch.points().enumerate() {
            let place = (point.series_hash() % shards.len() as u64) as usize;
            by_shard.entry(place).or_default().push(number as u32);
        }
        let parts: Vec<LogPart<'_>> = by_shard
            .iter()
            .map(|(place, points)| LogPart {
                shard: shards[*place],
                range,
                partition: *place as u32,
                points,
                is_own: true,
            })
            .collect();
        self.log(node).write("db", &batch, &parts, Version::from_parts(version, 0, node as u16)).await
    }

    async fn delete(&self, node: u64, host: &str, version: u64) -> PositionToken {
        let (shards, range) = self.logged_shards();
        let version = Version::from_parts(version, 0, node as u16);
        let target = |(place, shard): (usize, &u64)| {
            (Target { shard: *shard, range, database: "db", version }, place as u32)
        };
        let targets: Vec<_> = shards.iter().enumerate().map(target).collect();
        let rule = Rule {
            measurements: vec!["m".into()],
            predicate: TagPredicate::Equal { key: "host".into(), value: host.into() },
        };
        self.log(node).delete(&targets, &rule, range).await.unwrap()
    }

    fn digests(&self, node: u64) -> Vec<ShardDigest> {
        let digest = |id: &u64| {
            let shard = self.nodes[&node].store.shard(ShardId(*id));
            shard.map_or_else(ShardDigest::default, |shard| shard.digest().unwrap())
        };
        self.logged_shards().0.iter().map(digest).collect()
    }

    async fn caught_up(&self, node: u64) {
        let log = &self.links[&node];
        let all: Vec<Position> = log.ends().await.unwrap();
        let last = all.into_iter().filter(|end| end.offset > 0);
        let last: Vec<Position> = last.map(|end| Position { offset: end.offset - 1, ..end }).collect();
        assert!(
            self.log(node).reach(&PositionToken::of(&last), PATIENCE).await,
            "{:?}",
            self.log(node).lag()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_is_on_every_owner() {
    let mut cluster = Cluster::logged(2, 3);
    for id in [1, 2] {
        cluster.start(id, SimFs::new(1));
    }
    let stale = cluster.log(2).stale_partitions();
    assert!(
        stale.len() == 3 && stale[0].1.contains("does not read partition 0"),
        "it has just begun: {stale:?}"
    );
    let points: Vec<(String, i64)> = (0..300).map(|n| (format!("m,host=h{}", n % 20), n)).collect();
    let points: Vec<(&str, i64, FieldRef<'_>)> =
        points.iter().map(|(series, at)| (&**series, *at, FieldRef::Float(*at as f64))).collect();
    let token = cluster.append(1, &points, 5).await.unwrap();
    assert_eq!(token.positions().count(), 3, "{token}");
    for node in [1, 2] {
        assert!(cluster.log(1).reach_at(NodeId(node), &token, PATIENCE).await);
    }
    assert_eq!(cluster.digests(1), cluster.digests(2));
    assert_eq!(cluster.log(2).stats().points, 300);
    sleep(Duration::from_secs(2)).await;
    for node in [1, 2] {
        assert_eq!(cluster.log(node).stale_partitions(), []);
        let lag = cluster.log(node).lag();
        assert!(lag.partitions.iter().all(|it| it.lag == Some(0) && it.state == "fresh"), "{lag:?}");
        for shard in cluster.logged_shards().0 {
            assert!(cluster.nodes[&node].entropy.vouches_for(shard));
        }
    }
    let beyond = PositionToken::of(&[Position { partition: 0, offset: 1_000 }]);
    assert!(!cluster.log(1).reach(&beyond, Duration::from_millis(100)).await);
}

/// Whatever a node has applied when it loses power, and however far behind that its notes are, it comes to hold the same as
/// one that never stopped; and what no shard takes is set aside.
#[tokio::test(start_paused = true)]
async fn a_node_that_loses_power_at_any_time_becomes_like_one_that_does_not() {
    for seed in 0..25 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut cluster = Cluster::logged(2, 2);
        cluster.settings.enabled = false;
        for id in [1, 2] {
            cluster.start(id, SimFs::new(1));
        }
        let mut poison = Vec::new();
        for version in 1..120 {
            let host = format!("m,host=h{}", random.random_range(0..6));
            match random.random_range(0..20) {
                0 => drop(cluster.delete(1, &host["m,host=".len()..], version).await),
                1 => poison.push(cluster.links[&1].put(random.random_range(0..2), "cpu v=1 1")),
                2 => poison.push(cluster.links[&1].put(0, &b"SkOp\x01\x01nonsense"[..])),
                3 => {
                    let fs = cluster.stop(2).await;
                    cluster.start(2, fs);
                }
                4 => {
                    cluster.links[&1].will(Fate::Twice);
                    cluster.append(1, &[(&*host, 3, FieldRef::Integer(2))], version).await.unwrap();
                }
                5 => {
                    // What is in doubt is sent again, as a client would.
                    cluster.links[&1].will(Fate::Unheard);
                    let point = [(&*host, version as i64, FieldRef::Integer(1))];
                    assert!(cluster.append(1, &point, version).await.is_err());
                    cluster.append(1, &point, version).await.unwrap();
                }
                6 => sleep(Duration::from_millis(random.random_range(0..3_000))).await,
                kind => {
                    // Some are of another type than the first ones, which owners find out alike.
                    let value =
                        if kind < 9 { FieldRef::Float(0.5) } else { FieldRef::Integer(version as i64) };
                    let points: Vec<_> =
                        (0..random.random_range(1..30)).map(|n| (&*host, n * 7, value)).collect();
                    cluster.append(1, &points, version).await.unwrap();
                }
            }
        }
        cluster.caught_up(1).await;
        cluster.caught_up(2).await;
        assert_eq!(cluster.digests(1), cluster.digests(2), "seed {seed}");
        let fs = cluster.stop(2).await;
        cluster.start(2, fs);
        cluster.caught_up(2).await;
        assert_eq!(cluster.digests(1), cluster.digests(2), "seed {seed}, once more");
        let aside = cluster.links[&1].all_set_aside();
        for position in poison {
            assert!(aside.iter().any(|(at, _)| *at == position), "seed {seed}: {position:?} of {aside:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_with_the_log_s_retention_comes_from_other_owners() {
    let mut cluster = Cluster::logged(2, 1);
    for id in [1, 2] {
        cluster.start(id, SimFs::new(1));
    }
    let write = |n: i64| [("m,host=a", n, FieldRef::Float(1.0))];
    cluster.append(1, &write(0), 1).await.unwrap();
    cluster.caught_up(2).await;
    sleep(Duration::from_secs(2)).await;
    let fs = cluster.stop(2).await;
    for n in 1..50 {
        cluster.append(1, &write(n), 1 + n as u64).await.unwrap();
    }
    cluster.caught_up(1).await;
    cluster.links[&1].expire(Position { partition: 0, offset: 40 });
    cluster.start(2, fs);
    let shard = cluster.logged_shards().0[0];
    sleep(Duration::from_secs(20)).await;
    assert!(cluster.nodes[&2].entropy.vouches_for(shard), "{:?}", cluster.log(2).lag());
    assert_eq!(cluster.log(2).stats().expired, 1);
    assert!(cluster.nodes[&2].entropy.stats().taken >= 39, "what the log did not keep");
    assert_eq!(cluster.digests(1), cluster.digests(2));
}

#[tokio::test(start_paused = true)]
async fn queries_go_on_without_the_log_where_nothing_can_be_missing() {
    let mut cluster = Cluster::logged(2, 1);
    for id in [1, 2] {
        cluster.start(id, SimFs::new(1));
    }
    let write = |n: i64| [("m,host=a", n, FieldRef::Float(1.0))];
    cluster.append(1, &write(0), 1).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    // One node is cut off from the log: what the other acknowledges it does not get, and it says so.
    cluster.links[&2].cut(true);
    sleep(Duration::from_secs(10)).await;
    assert!(cluster.log(2).is_fresh(0), "nobody has acknowledged anything");
    cluster.append(1, &write(1), 2).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(cluster.log(1).is_fresh(0));
    assert!(!cluster.log(2).is_fresh(0));
    assert!(!cluster.log(1).is_fresh_at(NodeId(2), 0), "and others know");
    // Nobody reaches it: both know that the other has acknowledged nothing that is not here.
    cluster.links[&2].cut(false);
    sleep(Duration::from_secs(2)).await;
    cluster.links[&1].stop(true);
    sleep(Duration::from_secs(30)).await;
    for node in [1, 2] {
        assert!(cluster.log(node).is_fresh(0), "{:?}", cluster.log(node).lag());
        assert!(cluster.log(node).unreachable().is_some());
        assert!(matches!(cluster.append(node, &write(2), 3).await, Err(AppendError::Unavailable { .. })));
    }
    // One that is started now cannot know what it had acknowledged before.
    let fs = cluster.stop(1).await;
    cluster.start(1, fs);
    sleep(Duration::from_secs(4)).await;
    assert!(!cluster.log(2).is_fresh(0));
    cluster.links[&1].stop(false);
    sleep(Duration::from_secs(2)).await;
    assert!(cluster.log(1).is_fresh(0) && cluster.log(2).is_fresh(0));
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_carried_out_when_it_is_answered() {
    let mut cluster = Cluster::logged(2, 2);
    for id in [1, 2] {
        cluster.start(id, SimFs::new(1));
    }
    let points: Vec<_> = (0..10).map(|n| ("m,host=a", n, FieldRef::Float(1.0))).collect();
    cluster.append(1, &points, 1).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let token = cluster.delete(2, "a", 9).await;
    let owners = vec![(0, vec![NodeId(1), NodeId(2)]), (1, vec![NodeId(1), NodeId(2)])];
    assert_eq!(cluster.log(2).settle(&token, &owners, PATIENCE).await, None);
    for node in [1, 2] {
        assert!(cluster.digests(node).iter().all(|digest| digest.times.is_empty()), "node {node}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_owner_gets_a_copy_and_then_the_log() {
    let mut cluster = Cluster::logged(3, 1);
    for id in [1, 2, 3] {
        cluster.start(id, SimFs::new(1));
    }
    let shard = cluster.logged_shards().0[0];
    let owners = cluster.catalogue().live_shard(shard).unwrap().owners.clone();
    let new = (1..=3).find(|id| !owners.contains(&NodeId(*id))).unwrap();
    let write = |n: i64| [("m,host=a", n, FieldRef::Float(1.0))];
    for n in 0..30 {
        cluster.append(1, &write(n), 1 + n as u64).await.unwrap();
    }
    sleep(Duration::from_secs(3)).await;
    cluster.shared.apply(&Command::AddShardOwner { shard, node: NodeId(new), joining: true }).unwrap();
    for n in 30..60 {
        cluster.append(1, &write(n), 1 + n as u64).await.unwrap();
        sleep(Duration::from_millis(400)).await;
    }
    sleep(Duration::from_secs(20)).await;
    let found = cluster.catalogue();
    assert!(found.live_shard(shard).unwrap().joining.is_empty());
    assert!(cluster.nodes[&new].entropy.vouches_for(shard), "{:?}", cluster.log(new).lag());
    assert_eq!(cluster.digests(owners[0].0), cluster.digests(new));
}

#[tokio::test(start_paused = true)]
async fn records_of_a_shard_that_the_catalogue_will_name_are_waited_for() {
    let mut cluster = Cluster::logged(1, 1);
    cluster.start(1, SimFs::new(1));
    let next = cluster.catalogue().shard_id_last() + 1;
    let mut batch = PointBatch::new();
    let time = LOGGED_NS + 14 * 24 * 3_600 * 1_000_000_000;
    batch.push("m,host=a", time, [("f", FieldRef::Float(1.0))]).unwrap();
    let range = TimeRange::new(i64::MIN / 2, i64::MAX / 2);
    let part = LogPart { shard: next, range, partition: 0, points: &[0], is_own: false };
    let token = cluster.log(1).write("db", &batch, &[part], Version::from_parts(1, 0, 1)).await.unwrap();
    assert!(!cluster.log(1).reach(&token, Duration::from_secs(5)).await);
    let command = Command::CreateLoggedShardGroup {
        database: "db".into(),
        retention_policy: "rp".into(),
        time_ns: time,
        log_starts: vec![0],
    };
    cluster.shared.apply(&command).unwrap();
    assert!(cluster.log(1).reach(&token, PATIENCE).await);
    assert_eq!(cluster.log(1).stats().points, 1);
    // One that is never given out is nobody's.
    let part = LogPart { shard: next + 100, range, partition: 0, points: &[0], is_own: false };
    let token = cluster.log(1).write("db", &batch, &[part], Version::from_parts(2, 0, 1)).await.unwrap();
    assert!(cluster.log(1).reach(&token, Duration::from_secs(60)).await);
    assert_eq!(cluster.links[&1].all_set_aside().len(), 1);
}
