use super::*;
use crate::Command;

fn apply(catalogue: &mut Catalogue, command: &Command) -> Result<Applied, CatalogueError> {
    let applied = catalogue.apply(command);
    assert_eq!(catalogue.check(), Ok(()));
    applied
}

/// Three data nodes, numbers 1 to 3, at the level of logs, and a database.
fn cluster() -> Catalogue {
    let mut catalogue = Catalogue::default();
    for host in ["d1", "d2", "d3"] {
        let (tcp_addr, http_addr) = (format!("{host}:8088"), format!("{host}:8086"));
        let labels = Default::default();
        catalogue.apply(&Command::CreateDataNode { tcp_addr, http_addr, https: false, labels }).unwrap();
    }
    for node in 1..=3 {
        let level = WRITE_LOG_LEVEL;
        catalogue.apply(&Command::AnnounceFeatureLevel { node: NodeId(node), level }).unwrap();
    }
    catalogue.apply(&Command::CreateDatabase { name: "db".into(), policy: None }).unwrap();
    catalogue
}

fn raise(catalogue: &mut Catalogue) {
    catalogue.apply(&Command::RaiseFeatureLevel { level: WRITE_LOG_LEVEL }).unwrap();
}

fn announce(catalogue: &mut Catalogue, node: u64, log: Option<&str>) -> Result<Applied, CatalogueError> {
    apply(catalogue, &Command::AnnounceWriteLog { node: NodeId(node), log: log.map(str::to_owned) })
}

fn create(catalogue: &mut Catalogue, time_ns: i64, log_starts: &[u64]) -> Result<Applied, CatalogueError> {
    let (database, retention_policy) = ("db".to_owned(), "autogen".to_owned());
    let log_starts = log_starts.to_vec();
    apply(catalogue, &Command::CreateLoggedShardGroup { database, retention_policy, time_ns, log_starts })
}

#[test]
fn a_log_is_the_cluster_s_once_every_data_node_has_named_it() {
    let mut catalogue = cluster();
    assert!(announce(&mut catalogue, 1, Some("t")).is_err(), "the level is too low");
    raise(&mut catalogue);
    assert!(announce(&mut catalogue, 1, Some("t")).unwrap().changed);
    assert!(!announce(&mut catalogue, 1, Some("t")).unwrap().changed, "again");
    assert!(announce(&mut catalogue, 2, Some("other")).unwrap().changed);
    announce(&mut catalogue, 3, Some("t")).unwrap();
    assert_eq!(catalogue.write_log(), None);
    assert_eq!(catalogue.nodes_without_log("t").collect::<Vec<_>>(), [NodeId(2)]);
    assert_eq!(create(&mut catalogue, 0, &[5]), Err(CatalogueError::NoWriteLog(1)));
    announce(&mut catalogue, 2, None).unwrap();
    announce(&mut catalogue, 2, Some("t")).unwrap();
    assert_eq!(catalogue.write_log(), Some("t"));
    for other in [Some("other"), None] {
        let refusal = announce(&mut catalogue, 2, other).unwrap_err();
        assert!(refusal.to_string().contains("topic \"t\""), "{refusal}");
    }
}

#[test]
fn a_node_that_has_not_named_it_may_also_be_removed() {
    let mut catalogue = cluster();
    raise(&mut catalogue);
    for node in [1, 2] {
        announce(&mut catalogue, node, Some("t")).unwrap();
    }
    apply(&mut catalogue, &Command::DeleteDataNode { id: NodeId(3), at_ns: 1 }).unwrap();
    assert_eq!(catalogue.write_log(), Some("t"));
    assert_eq!(catalogue.write_log_of(NodeId(3)), None);
}

#[test]
fn its_groups_have_a_shard_for_each_partition() {
    let mut catalogue = cluster();
    raise(&mut catalogue);
    for node in 1..=3 {
        announce(&mut catalogue, node, Some("t")).unwrap();
    }
    assert!(create(&mut catalogue, 0, &[]).is_err());
    let starts = [7, 0, 9, 4, 4];
    assert!(create(&mut catalogue, 0, &starts).unwrap().changed);
    assert!(!create(&mut catalogue, 1, &starts).unwrap().changed, "it is there");
    let group = catalogue.databases()[0].retention_policies[0].shard_group_at(0).unwrap();
    assert!(group.is_logged());
    assert_eq!((group.shards.len(), &*group.log_starts), (5, &starts[..]));
    assert!(group.shards.iter().all(|shard| shard.owners.len() == 3));
    let ids: Vec<u64> = group.shards.iter().map(|shard| shard.id).collect();
    assert_eq!((ids, catalogue.shard_id_last()), (vec![1, 2, 3, 4, 5], 5));
    assert_eq!(catalogue.shard_group_of(4).and_then(|group| group.partition_of(4)), Some(3));
    // A shard that is dropped leaves its place, and its partition, to an empty one.
    apply(&mut catalogue, &Command::DropShard { id: 2, at_ns: 1 }).unwrap();
    let found = catalogue.shard_group_of(6).unwrap();
    assert_eq!(found.partition_of(6), Some(1));
    assert_eq!(Catalogue::from_bytes(&catalogue.to_bytes()), Ok(catalogue));
}
