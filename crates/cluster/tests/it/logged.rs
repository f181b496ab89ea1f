//! A cluster that writes through a log: what clients are told, and what they see.

use skywatch_cluster::{Consistency, NodeError, Purpose, WriteError, WriteErrorClass};
use skywatch_replication::log::Fate;

use crate::support::{Cluster, NOW_NS};

/// Two nodes, a database, and a log of three partitions.
fn cluster() -> Cluster {
    let mut cluster = Cluster::start(2);
    cluster.set_to_log(3);
    cluster.run(1, "CREATE DATABASE db");
    cluster
}

fn lines(from: i64, count: i64) -> String {
    (from..from + count).map(|n| format!("m,host=h{} v={n} {}\n", n % 9, NOW_NS + n)).collect()
}

#[test]
fn a_write_is_seen_by_who_waits_for_its_position() {
    let cluster = cluster();
    for (round, (writer, reader)) in [(1, 2), (2, 1), (1, 1)].into_iter().enumerate() {
        let written = cluster.write(writer, &lines(round as i64 * 100, 100), Consistency::One).unwrap();
        assert_eq!((written.points, written.position.positions().count()), (100, 3));
        let position = Some(written.position.to_string());
        let seen = cluster.ask_at(reader, "SELECT v FROM m", position).unwrap();
        assert_eq!(seen.len(), (round + 1) * 100);
    }
    let catalogue = cluster.catalogue();
    let group = &catalogue.databases()[0].retention_policies[0].shard_groups[0];
    assert!(group.is_logged() && group.shards.len() == 3);
    cluster.until("nobody lags behind", |cluster| {
        [1, 2].iter().all(|node| cluster.node(*node).readiness().is_ok())
    });
    let beyond = cluster.ask_at(1, "SELECT v FROM m", Some("0:999999".to_owned())).unwrap_err();
    assert!(beyond.contains("position 0:999999"), "{beyond}");
}

#[test]
fn points_that_do_not_fit_are_refused_before_they_are_in_the_log() {
    let cluster = cluster();
    let written = cluster.write(1, &lines(0, 10), Consistency::One).unwrap();
    cluster.ask_at(1, "SELECT v FROM m", Some(written.position.to_string())).unwrap();
    let mixed = format!("m,host=h1 v=\"text\" {}\nm,host=h1 v=2 {}\n", NOW_NS + 50, NOW_NS + 51);
    match cluster.write(1, &mixed, Consistency::One).unwrap_err() {
        WriteError::Partial { reason, dropped: 1, written: 1 } => {
            assert!(reason.contains("field type conflict"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let large = format!("m,host=h1 text=\"{}\" 1\n", "x".repeat(20_000));
    let refused = cluster.write(1, &large, Consistency::One).unwrap_err();
    assert_eq!(refused.class(), WriteErrorClass::Caller, "{refused}");
    assert!(refused.to_string().contains("does not fit into a record"), "{refused}");
    cluster.until("it is read", |cluster| cluster.times(2).is_ok_and(|times| times.len() == 11));
}

#[test]
fn without_the_log_writes_are_refused_at_once_and_queries_go_on() {
    let cluster = cluster();
    let written = cluster.write(1, &lines(0, 10), Consistency::One).unwrap();
    cluster.ask_at(2, "SELECT v FROM m", Some(written.position.to_string())).unwrap();
    cluster.links[&1].stop(true);
    for node in [1, 2] {
        let refused = cluster.write(node, &lines(20, 5), Consistency::All).unwrap_err();
        assert_eq!(refused.class(), WriteErrorClass::Retry, "{refused}");
        assert!(refused.to_string().contains("cannot take writes now"), "{refused}");
    }
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    for node in [1, 2] {
        assert_eq!(cluster.times(node).unwrap().len(), 10, "longer without the log than it may be behind");
        assert!(cluster.node(node).readiness_for(Purpose::Reads).is_ok());
        assert!(cluster.node(node).readiness_for(Purpose::Writes).is_err());
    }
    cluster.links[&1].stop(false);
    cluster.links[&1].will(Fate::Unheard);
    let in_doubt = cluster.write(1, &lines(20, 5), Consistency::One).unwrap_err();
    assert_eq!(in_doubt.class(), WriteErrorClass::Retry, "{in_doubt}");
    assert!(in_doubt.to_string().contains("sending them again is safe"), "{in_doubt}");
    let written = cluster.write(1, &lines(20, 5), Consistency::One).unwrap();
    assert_eq!(cluster.ask_at(2, "SELECT v FROM m", Some(written.position.to_string())).unwrap().len(), 15);
}

#[test]
fn what_is_deleted_is_not_seen_afterwards() {
    let cluster = cluster();
    let written = cluster.write(1, &lines(0, 90), Consistency::One).unwrap();
    cluster.ask_at(2, "SELECT v FROM m", Some(written.position.to_string())).unwrap();
    cluster.run(1, "DELETE FROM m WHERE host = 'h3'");
    for node in [1, 2] {
        assert_eq!(cluster.times(node).unwrap().len(), 80, "node {node}");
    }
    cluster.run(2, "DROP MEASUREMENT m");
    for node in [1, 2] {
        assert_eq!(cluster.times(node).unwrap(), Vec::<i64>::new(), "node {node}");
    }
}

#[test]
fn groups_that_were_there_before_the_log_go_on_without_it() {
    let mut cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE db");
    cluster.write(1, &lines(0, 10), Consistency::All).unwrap();
    cluster.set_to_log(2);
    let week = 7 * 24 * 3_600 * 1_000_000_000;
    let body = format!("{}m,host=x v=1 {}\n", lines(10, 10), NOW_NS + week);
    let written = cluster.write(2, &body, Consistency::All).unwrap();
    assert_eq!((written.points, written.position.positions().count()), (11, 1));
    let groups: Vec<bool> = cluster.catalogue().databases()[0].retention_policies[0]
        .shard_groups
        .iter()
        .map(skywatch_meta::ShardGroup::is_logged)
        .collect();
    assert_eq!(groups, [false, true]);
    for node in [1, 2] {
        let seen = cluster.ask_at(node, "SELECT v FROM m", Some(written.position.to_string())).unwrap();
        assert_eq!(seen.len(), 21);
    }
    // A node that is not set to the log may not take part any more.
    cluster.links.remove(&2);
    cluster.node(2).close();
    cluster.down(2);
    let dir = tempfile::tempdir().unwrap();
    match cluster.open(2, dir.path()) {
        Err(NodeError::WriteLog(error)) => assert!(error.to_string().contains("mode = \"kafka\""), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_query_that_meets_damage_is_answered_by_another_owner_that_is_as_far() {
    let mut cluster = cluster();
    let written = cluster.write(1, &lines(0, 2_000), Consistency::One).unwrap();
    let position = Some(written.position.to_string());
    let expected = cluster.ask_at(1, "SELECT v FROM m", position.clone()).unwrap();
    assert_eq!(expected.len(), 2_000);
    for position in [position, None] {
        cluster.until("nobody lags behind", |cluster| {
            [1, 2].iter().all(|node| cluster.node(*node).readiness().is_ok())
        });
        cluster.damage(2);
        cluster.until("nobody lags behind", |cluster| {
            [1, 2].iter().all(|node| cluster.node(*node).readiness().is_ok())
        });
        assert_eq!(cluster.ask_at(2, "SELECT v FROM m", position).as_ref(), Ok(&expected));
        assert!(cluster.doubted(2) > 0, "the damage was met");
        cluster.until_repaired(2);
    }
}
