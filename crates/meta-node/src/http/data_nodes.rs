//! Data nodes: added, removed, moved, labelled.
//!
//! A data node enters itself in the catalogue once it is asked to join, and goes only when it sees that the catalogue does
//! not name it any more. What would lose points is refused unless it is forced.

use std::{collections::BTreeMap, time::Duration};

use axum::extract::State;
use skywatch_meta::{Catalogue, Command, DataNode, NodeId, check_labels};
use skywatch_replication::seat::{Empty, JOIN, JoinAnswer, JoinQuestion, LEAVE, STATUS, Status};
use skywatch_rpc::{CallError, FailureKind, tell};

use super::{
    Answer, Api, Problem, cluster::shown_data, done, fields::Fields, flag, json, optional, required,
};

/// How long a data node has to say who it is.
const STATUS_LIMIT: Duration = Duration::from_secs(3);
/// How long it has to enter itself.
const JOIN_LIMIT: Duration = Duration::from_secs(12);
/// How long it has to see that it was removed.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);
/// So many shards are named where more would be no help.
const NAMED_MAX: usize = 10;

impl Api {
    pub(super) async fn change(&self, command: Command) -> Result<skywatch_meta::Applied, Problem> {
        Ok(self.node.execute(command).await?.result?)
    }

    async fn status_of(&self, addr: &str) -> Result<Status, CallError> {
        tell(self.node.to_data_nodes(), addr, STATUS, &Empty::default(), STATUS_LIMIT).await
    }

    async fn ask_to_join(&self, addr: &str) -> Result<JoinAnswer, Problem> {
        let catalogue = self.node.catalogue().1;
        let question = JoinQuestion {
            meta_addrs: catalogue.meta_nodes().iter().map(|node| node.http_addr.clone()).collect(),
            cluster_id: catalogue.cluster_id(),
        };
        tell(self.node.to_data_nodes(), addr, JOIN, &question, JOIN_LIMIT).await.map_err(
            |error| match error {
                CallError::TimedOut { .. } => {
                    Problem::internal(format!("unable to create data node, timed out: {error}"))
                }
                error => match error.failure() {
                    Some(failure) if failure.kind == FailureKind::Conflict => {
                        Problem::internal(&failure.text)
                    }
                    _ => Problem::of_call(&error),
                },
            },
        )
    }

    fn show_node(&self, id: NodeId) -> Answer {
        let catalogue = self.node.catalogue().1;
        let record = catalogue.data_node(id).ok_or_else(|| {
            Problem::internal(format!("data node {} has entered itself and is not in the catalogue", id.0))
        })?;
        json(&shown_data(&self.node, record))
    }
}

pub(super) async fn add(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let addr = required(&form, "addr", "addr is required")?;
    if flag(&form, "passive") {
        return Err(Problem::invalid(
            "passive data nodes are not known here: every data node answers queries",
        ));
    }
    if !api.node.has_cluster() {
        return Err(Problem::invalid("data node failed to contact valid meta server in list []"));
    }
    api.node.lead().await?;
    let catalogue = api.node.catalogue().1;
    if let Some(known) = catalogue.data_node_at(addr) {
        return match api.status_of(addr).await {
            Ok(status) if status.node_status != "joined" => Err(Problem::conflict(format!(
                "the node at {addr} is known as data node {}, and says itself that it belongs to no cluster: it has lost \
                 its disk. Remove it with remove-data -force, then add it: what it held is copied to it",
                known.id.0
            ))),
            Ok(status) if !knows_any(&status, &catalogue) => {
                // The meta nodes it knows are lost, and the catalogue was recovered elsewhere.
                let joined = api.ask_to_join(addr).await?;
                api.show_node(joined.id)
            }
            // One that does not answer now stays what it is.
            _ => json(&shown_data(&api.node, known)),
        };
    }
    let joined = api.ask_to_join(addr).await?;
    api.show_node(joined.id)
}

/// Whether a data node knows one of the meta nodes there are.
fn knows_any(status: &Status, catalogue: &Catalogue) -> bool {
    catalogue.meta_nodes().iter().any(|node| status.meta_addrs.contains(&node.http_addr))
}

pub(super) async fn remove(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let addr = required(&form, "addr", "addr is required")?;
    let is_forced = flag(&form, "force");
    api.node.lead().await?;
    let catalogue = api.node.catalogue().1;
    let node = catalogue
        .data_node_at(addr)
        .ok_or_else(|| Problem::invalid(format!("node not found: {addr}")))?
        .clone();
    if !is_forced {
        refuse_loss(&catalogue, &node)?;
        // Asked first, so that a node that is down is found out before anything has changed.
        if let Err(error) = api.status_of(addr).await {
            return Err(Problem::internal(format!(
                "data node {} does not answer, nothing was changed: {error}; -force removes it without asking it",
                node.id.0
            )));
        }
    }
    api.change(Command::DeleteDataNode { id: node.id, at_ns: api.node.now_ns() }).await?;
    if is_forced {
        // Nobody talks to it: what it holds stays there.
        return done();
    }
    let told: Result<Empty, CallError> =
        tell(api.node.to_data_nodes(), addr, LEAVE, &Empty::default(), LEAVE_LIMIT).await;
    match told {
        Err(error) => Err(Problem::internal(format!(
            "data node {} is removed from the cluster, but did not empty its disk: {error}; do that before it is added \
             again",
            node.id.0
        ))),
        Ok(_) => done(),
    }
}

/// Points of which no other node has a copy would be gone.
fn refuse_loss(catalogue: &Catalogue, node: &DataNode) -> Result<(), Problem> {
    let lost: Vec<String> = catalogue
        .live_shards()
        .filter(|shard| shard.is_owned_by(node.id) && !shard.joining.contains(&node.id))
        .filter(|shard| {
            let is_whole = |owner: &&NodeId| **owner != node.id && !shard.joining.contains(owner);
            !shard.owners.iter().any(|owner| is_whole(&owner))
        })
        .map(|shard| shard.id.to_string())
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let named = lost[..lost.len().min(NAMED_MAX)].join(", ");
    let more = if lost.len() > NAMED_MAX { " and others" } else { "" };
    Err(Problem::conflict(format!(
        "data node {} holds the only copy of {} shard(s): {named}{more}; copy them with copy-shard first, or give them up \
         with -force",
        node.id.0,
        lost.len()
    )))
}

pub(super) async fn update(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let old = required(&form, "oldAddr", "oldAddr is required")?;
    let new = required(&form, "newAddr", "newAddr is required")?;
    if old == new {
        return Err(Problem::invalid("newAddr and oldAddr are the same"));
    }
    api.node.lead().await?;
    let catalogue = api.node.catalogue().1;
    let Some(node) = catalogue.data_node_at(old) else {
        return Err(Problem::invalid(format!("no data node with bind address {old} exists")));
    };
    if catalogue.data_node_at(new).is_some_and(|other| other.id != node.id) {
        return Err(Problem::invalid(format!(
            "cannot update data node {old} to {new}; {new} is already part of cluster"
        )));
    }
    let status = api.status_of(new).await.map_err(|error| Problem::of_call(&error))?;
    if status.id.is_some_and(|id| id != node.id) {
        return Err(Problem::internal("already joined to cluster"));
    }
    // What it calls itself, which others reach it by; it was asked under a name that may be another one.
    let tcp_addr = status.profile.tcp_addr;
    if catalogue.data_node_at(&tcp_addr).is_some_and(|other| other.id != node.id) {
        return Err(Problem::invalid(format!(
            "cannot update data node {old} to {new}; {tcp_addr}, which it calls itself, is already part of cluster"
        )));
    }
    api.change(Command::UpdateDataNode {
        id: node.id,
        tcp_addr,
        http_addr: status.profile.http_addr,
        https: status.profile.https,
    })
    .await?;
    // By its address it finds itself in the catalogue, and is who it was.
    api.ask_to_join(new).await?;
    api.show_node(node.id)
}

pub(super) async fn label(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let id = required(&form, "nodeid", "nodeid is required")?;
    let id: u64 = id.parse().map_err(|_| Problem::invalid(format!("nodeid {id} is no number of a node")))?;
    let labels = optional(&form, "labels").unwrap_or("{}");
    let labels: BTreeMap<String, String> = serde_json::from_str(labels).map_err(|error| {
        Problem::invalid(format!(
            "labels {labels}: {error}; an object such as {{\"rack\":\"r1\"}} is expected"
        ))
    })?;
    check_labels(&labels).map_err(Problem::invalid)?;
    api.node.lead().await?;
    api.change(Command::LabelDataNode { id: NodeId(id), labels }).await?;
    done()
}
