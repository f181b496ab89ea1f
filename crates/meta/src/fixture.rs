//! What tests of the catalogue begin with.

use std::collections::BTreeMap;

use crate::{Applied, Catalogue, CatalogueError, Command, NodeId, RetentionPolicySpec, Shard, ShardGroup};

pub(crate) const HOUR: i64 = 3_600_000_000_000;

pub(crate) fn create_database(name: &str) -> Command {
    Command::CreateDatabase { name: name.into(), policy: None }
}

/// In the database `db`.
pub(crate) fn create_policy(name: &str, replica_n: u32) -> Command {
    Command::CreateRetentionPolicy {
        database: "db".into(),
        spec: RetentionPolicySpec {
            name: name.into(),
            duration_ns: 0,
            shard_group_duration_ns: 24 * HOUR,
            replica_n: Some(replica_n),
        },
        make_default: false,
    }
}

pub(crate) fn create_group(policy: &str, time_ns: i64, nodes: &[u64]) -> Command {
    Command::CreateShardGroup {
        database: "db".into(),
        retention_policy: policy.into(),
        time_ns,
        nodes: nodes.iter().copied().map(NodeId).collect(),
    }
}

pub(crate) fn add_data_node(host: &str, rack: &str) -> Command {
    let labels = [("rack".to_owned(), rack.to_owned())].into_iter().filter(|(_, rack)| !rack.is_empty());
    Command::CreateDataNode {
        tcp_addr: format!("{host}:8088"),
        http_addr: format!("{host}:8086"),
        https: false,
        labels: labels.collect::<BTreeMap<_, _>>(),
    }
}

/// Data nodes 1, 2, ... in these racks (none where the name is empty), and a database `db` with a policy `p` of so many
/// copies.
pub(crate) fn cluster(racks: &[&str], replica_n: u32) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for (number, rack) in (1..).zip(racks) {
        done(&mut catalogue, &add_data_node(&format!("d{number}"), rack));
    }
    done(&mut catalogue, &create_database("db"));
    done(&mut catalogue, &create_policy("p", replica_n));
    catalogue
}

/// Carries out what must be possible.
#[track_caller]
pub(crate) fn done(catalogue: &mut Catalogue, command: &Command) -> Applied {
    let applied = catalogue.apply(command).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
    assert_eq!(catalogue.check(), Ok(()), "{command:?}");
    applied
}

/// Refused, and nothing is as much as touched.
#[track_caller]
pub(crate) fn refused(catalogue: &mut Catalogue, command: &Command) -> CatalogueError {
    let before = catalogue.to_bytes();
    let refusal = catalogue.apply(command).expect_err("a refusal");
    assert_eq!(catalogue.to_bytes(), before, "{command:?}");
    refusal
}

/// The live groups of the policy `p`.
pub(crate) fn groups(catalogue: &Catalogue) -> Vec<&ShardGroup> {
    let policy = catalogue.database("db").and_then(|database| database.retention_policy("p"));
    policy.expect("the fixture's policy").live_shard_groups().collect()
}

pub(crate) fn owners(shard: &Shard) -> Vec<u64> {
    shard.owners.iter().map(|node| node.0).collect()
}
