//! What the console shows of the cluster: the nodes' own words, put together by the data node that has the console.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde::Serialize;
use skywatch_cluster::{Node, Overview};
use skywatch_console::{
    ClusterSnapshot, ClusterView, DataNodeState, DataNodeTold, HintsState, MetaNodeState, PartitionState,
    PolicyState,
};
use skywatch_meta::{Catalogue, DataNode, MetaNode, Shard};
use skywatch_meta_node::data_calls::Status;
use skywatch_replication::log::PartitionLag;
use skywatch_rpc::{CallError, FailureKind, Transport, tell};

/// How long a meta node is waited for: whoever looks wants to know who hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A member of a cluster, and how it reaches the meta nodes.
pub(crate) struct Surroundings {
    pub(crate) node: Arc<Node>,
    pub(crate) to_meta: Arc<dyn Transport>,
    /// Whether their API wants TLS.
    pub(crate) meta_tls: bool,
}

#[derive(Serialize)]
struct Nothing {}

impl ClusterView for Surroundings {
    fn snapshot(&self) -> Pin<Box<dyn Future<Output = Option<ClusterSnapshot>> + Send + '_>> {
        Box::pin(self.look())
    }
}

impl Surroundings {
    async fn look(&self) -> Option<ClusterSnapshot> {
        let member = self.node.member()?;
        let catalogues = member.catalogues();
        let catalogue = catalogues.current();
        let asked = catalogue.meta_nodes().iter().map(|record| self.ask(record));
        let (meta_nodes, overviews) = futures_util::join!(join_all(asked), self.node.overviews());
        let addresses: Vec<&str> =
            catalogue.meta_nodes().iter().map(|record| record.http_addr.as_str()).collect();
        let tls = if self.meta_tls { " -bind-tls" } else { "" };
        Some(ClusterSnapshot {
            told_by: member.id().0,
            ctl_options: format!("-bind {}{tls}", addresses.join(",")),
            catalogue_age_ms: catalogues.age().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            feature_level: catalogue.feature_level(),
            meta_nodes,
            data_nodes: overviews
                .into_iter()
                .map(|(record, told)| data_node(&catalogue, record, told))
                .collect(),
            policies: policies(&catalogue),
            log: catalogue.write_log().map(str::to_owned),
        })
    }

    async fn ask(&self, record: &MetaNode) -> MetaNodeState {
        let told: Result<Status, CallError> =
            tell(&*self.to_meta, &record.http_addr, "meta.status", &Nothing {}, ANSWER_LIMIT).await;
        meta_node(record, told)
    }
}

fn meta_node(record: &MetaNode, told: Result<Status, CallError>) -> MetaNodeState {
    let named = MetaNodeState {
        id: record.id.0,
        http_addr: record.http_addr.clone(),
        raft_addr: record.raft_addr.clone(),
        ..MetaNodeState::default()
    };
    match told {
        Ok(status) => MetaNodeState {
            is_leader: status.leader == record.raft_addr,
            knows_leader: !status.leader.is_empty(),
            version: Some(status.version).filter(|version| !version.is_empty()),
            index: Some(status.index),
            ..named
        },
        Err(error) => MetaNodeState { error: Some(error.to_string()), ..named },
    }
}

fn data_node(catalogue: &Catalogue, record: DataNode, told: Result<Overview, CallError>) -> DataNodeState {
    let owned: Vec<&Shard> = catalogue.live_shards().filter(|shard| shard.is_owned_by(record.id)).collect();
    let joining = owned.iter().filter(|shard| shard.joining.contains(&record.id)).count();
    let named = DataNodeState {
        id: record.id.0,
        is_behind: catalogue.is_behind(record.id),
        copies: owned.len() as u64,
        copies_joining: joining as u64,
        http_addr: record.http_addr,
        tcp_addr: record.tcp_addr,
        labels: record.labels,
        ..DataNodeState::default()
    };
    match told {
        Ok(overview) => DataNodeState { told: Some(in_its_words(overview)), ..named },
        Err(error) => {
            let is_older = error.failure().is_some_and(|failure| failure.kind == FailureKind::Unknown);
            DataNodeState { is_older, error: Some(error.to_string()), ..named }
        }
    }
}

fn in_its_words(overview: Overview) -> DataNodeTold {
    let (not_ready, reason) = match overview.not_ready {
        Some(why) => (Some(why.state), Some(why.reason)),
        None => (None, None),
    };
    let (log_error, partitions) = match overview.lag {
        Some(lag) => (lag.unreachable, lag.partitions.into_iter().map(partition).collect()),
        None => (None, Vec::new()),
    };
    let hints = overview.hints.into_iter().map(|queue| HintsState {
        node: queue.node,
        entries: queue.entries,
        bytes: queue.bytes,
        dropped: queue.dropped,
        has_gaps: queue.has_gaps,
    });
    DataNodeTold {
        version: overview.version,
        not_ready,
        reason,
        shards: overview.shards,
        disk_bytes: overview.disk_bytes,
        hints: hints.collect(),
        partitions,
        log_error,
    }
}

fn partition(lag: PartitionLag) -> PartitionState {
    PartitionState {
        partition: lag.partition,
        applied: lag.applied,
        end: lag.end,
        lag: lag.lag,
        lag_ms: lag.lag_ms,
        state: lag.state,
        trouble: lag.trouble,
    }
}

/// Policies that have shards, in the order of the catalogue.
fn policies(catalogue: &Catalogue) -> Vec<PolicyState> {
    let mut states = Vec::new();
    for database in catalogue.databases() {
        for policy in &database.retention_policies {
            let shards: Vec<&Shard> = policy.live_shard_groups().flat_map(|group| &group.shards).collect();
            let Some(fewest) = shards.iter().map(|shard| shard.whole_owners().count()).min() else {
                continue;
            };
            states.push(PolicyState {
                database: database.name.clone(),
                policy: policy.name.clone(),
                copies_wanted: policy.replica_n,
                shards: shards.len() as u64,
                copies_fewest: fewest as u64,
                copies_joining: shards.iter().map(|shard| shard.joining.len() as u64).sum(),
                copies_lost: shards.iter().map(|shard| u64::from(shard.lost)).sum(),
            });
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skywatch_cluster::Unready;
    use skywatch_meta::Command;
    use skywatch_rpc::Failure;

    use super::*;

    /// Two data nodes, and a database with a shard on each of them.
    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for port in [1, 2] {
            let command = Command::CreateDataNode {
                tcp_addr: format!("data{port}:8088"),
                http_addr: format!("data{port}:8086"),
                https: false,
                labels: BTreeMap::from([("rack".to_owned(), format!("r{port}"))]),
            };
            catalogue.apply(&command).unwrap();
        }
        let database = "cloud".to_owned();
        catalogue.apply(&Command::CreateDatabase { name: database.clone(), policy: None }).unwrap();
        let retention_policy = catalogue.databases()[0].default_retention_policy.clone();
        let command = Command::CreateShardGroup { database, retention_policy, time_ns: 0, nodes: Vec::new() };
        catalogue.apply(&command).unwrap();
        catalogue
    }

    #[test]
    fn a_node_is_what_it_says_and_what_the_catalogue_says_of_it() {
        let catalogue = catalogue();
        let record = catalogue.data_nodes()[0].clone();
        let why = Unready { state: "behind".into(), reason: "it catches up".into() };
        let overview =
            Overview { version: "1.2".into(), not_ready: Some(why), shards: 7, ..Overview::default() };
        let node = data_node(&catalogue, record, Ok(overview));
        assert_eq!((node.id, node.tcp_addr.as_str(), node.labels["rack"].as_str()), (1, "data1:8088", "r1"));
        assert_eq!((node.copies, node.copies_joining, node.is_older), (1, 0, false));
        let told = node.told.unwrap();
        assert_eq!((told.not_ready.as_deref(), told.shards), (Some("behind"), 7));
    }

    #[test]
    fn a_node_of_an_older_release_is_no_node_that_is_gone() {
        let catalogue = catalogue();
        let record = || catalogue.data_nodes()[1].clone();
        let to = || "data2:8088".to_owned();
        let unknown = Failure::new(FailureKind::Unknown, "this node does not know node.overview");
        let older = data_node(&catalogue, record(), Err(CallError::Failed { to: to(), failure: unknown }));
        assert!(older.is_older && older.told.is_none());
        let gone = CallError::Unreachable { to: to(), reason: "Connection refused".into() };
        let gone = data_node(&catalogue, record(), Err(gone));
        assert!(!gone.is_older && gone.error.unwrap().contains("refused"));
    }

    #[test]
    fn the_leader_is_who_says_so_itself() {
        let record =
            MetaNode { id: skywatch_meta::NodeId(3), http_addr: "m:8091".into(), raft_addr: "m:8089".into() };
        let status = |leader: &str| Status { leader: leader.into(), ..Status::default() };
        assert!(meta_node(&record, Ok(status("m:8089"))).is_leader);
        let follower = meta_node(&record, Ok(status("other:8089")));
        assert!(!follower.is_leader && follower.knows_leader);
        assert!(!meta_node(&record, Ok(status(""))).knows_leader);
    }

    #[test]
    fn a_policy_is_as_well_kept_as_the_worst_of_its_shards() {
        let states = policies(&catalogue());
        assert_eq!(states.len(), 1, "policies without shards have nothing to lose");
        let state = &states[0];
        assert_eq!((state.database.as_str(), state.copies_joining, state.copies_lost), ("cloud", 0, 0));
        assert_eq!(state.copies_fewest, u64::from(state.copies_wanted));
    }
}
