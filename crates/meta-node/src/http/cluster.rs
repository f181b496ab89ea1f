//! The cluster itself: who is in it, who comes and goes, leases, announcements, the catalogue as bytes.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use futures_util::future::join_all;
use serde::Serialize;
use skywatch_meta::{DataNode, MetaNode as MetaRecord, NodeId};
use skywatch_rpc::{CallError, tell};

use super::{
    Answer, Api, Parameters, Problem, done,
    fields::{Content, Fields},
    flag, json, optional, required,
};
use crate::{
    announcements::Announcement,
    data_calls::{AskLease, Status},
    network::Nothing,
    node::{MetaNode, rfc3339},
};

/// How long another meta node has to agree.
const AGREE_LIMIT: Duration = Duration::from_secs(2);

/// A data node as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownData {
    id: u64,
    tcp_addr: String,
    http_addr: String,
    http_scheme: &'static str,
    status: String,
    /// Empty if it was not heard of lately.
    version: String,
    labels: BTreeMap<String, String>,
    /// Whether it may lack writes that others keep for it.
    behind: bool,
}

/// A meta node as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownMeta {
    id: u64,
    addr: String,
    http_scheme: &'static str,
    tcp_addr: String,
    version: String,
    leader: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    data: Vec<ShownData>,
    meta: Vec<ShownMeta>,
    /// Raft address of the leader; empty if there is none.
    leader: String,
    /// Raft addresses of the members.
    peers: Vec<String>,
    index: u64,
    /// How old what is shown may be; missing where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
}

const fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}

pub(super) fn shown_data(node: &MetaNode, record: &DataNode) -> ShownData {
    let heard = node.heard_of(&record.tcp_addr).unwrap_or_default();
    ShownData {
        id: record.id.0,
        tcp_addr: record.tcp_addr.clone(),
        http_addr: record.http_addr.clone(),
        http_scheme: scheme(record.https),
        status: heard.status,
        version: heard.version,
        labels: record.labels.clone(),
        behind: node.catalogue().1.is_behind(record.id),
    }
}

fn shown_meta(node: &MetaNode, record: &MetaRecord, leader: &str) -> ShownMeta {
    let settings = node.settings();
    let is_me = record.raft_addr == settings.raft_addr;
    let heard = node.heard_of(&record.raft_addr).unwrap_or_default();
    ShownMeta {
        id: record.id.0,
        addr: record.http_addr.clone(),
        http_scheme: scheme(settings.https),
        tcp_addr: record.raft_addr.clone(),
        version: if is_me { settings.version.clone() } else { heard.version },
        leader: record.raft_addr == leader,
    }
}

pub(super) async fn ping(State(api): State<Api>, Query(parameters): Query<Parameters>) -> Answer {
    let leader = api.node.status().leader;
    if leader.is_empty() {
        return Err(Problem::unavailable(api.node.no_leader(false).await));
    }
    if optional(&parameters, "all").is_some() {
        let catalogue = api.node.catalogue().1;
        let agree = catalogue.meta_nodes().iter().map(|node| async {
            let status: Result<Status, CallError> =
                tell(api.node.to_meta_nodes(), &node.http_addr, "meta.status", &Nothing {}, AGREE_LIMIT)
                    .await;
            status.is_ok_and(|status| status.leader == leader)
        });
        if !join_all(agree).await.into_iter().all(|agrees| agrees) {
            return Err(Problem::internal("one or more metaservers not up"));
        }
    }
    Ok(leader.into_response())
}

/// What load balancers ask, since only the leader changes anything: 200 from the leader, 503 from others.
pub(super) async fn leader(State(api): State<Api>) -> Answer {
    let status = api.node.status();
    match status.leader {
        leader if leader == status.raft_addr => json(&BTreeMap::from([("leader", leader)])),
        leader if leader.is_empty() => Err(Problem::unavailable("this node knows of no leader".to_owned())),
        leader => Err(Problem::unavailable(format!("the leader is {leader}"))),
    }
}

pub(super) async fn status(State(api): State<Api>) -> Answer {
    json(&api.node.status())
}

pub(super) async fn peers(State(api): State<Api>) -> Answer {
    json(&api.node.status().peers)
}

pub(super) async fn show(State(api): State<Api>) -> Answer {
    let node = &api.node;
    let age = node.age();
    let status = node.status();
    let (index, catalogue) = node.catalogue();
    json(&Shown {
        data: catalogue.data_nodes().iter().map(|record| shown_data(node, record)).collect(),
        meta: catalogue.meta_nodes().iter().map(|record| shown_meta(node, record, &status.leader)).collect(),
        leader: status.leader,
        peers: status.peers,
        index,
        age_ms: age.map(|age| age.as_millis() as u64),
    })
}

/// The catalogue once it has gone beyond `index`; after a minute in vain, nothing.
pub(super) async fn follow(State(api): State<Api>, Query(parameters): Query<Parameters>) -> Answer {
    let index = optional(&parameters, "index").and_then(|index| index.parse().ok());
    let index: u64 = index.ok_or_else(|| Problem::invalid("error parsing index"))?;
    api.node.beyond(index, Duration::from_secs(60)).await;
    if api.node.catalogue().0 > index { snapshot(State(api)).await } else { done() }
}

/// The catalogue as every release writes it, for a backup.
pub(super) async fn snapshot(State(api): State<Api>) -> Answer {
    let bytes = api.node.catalogue().1.to_bytes();
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

pub(super) async fn join(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let addr = required(&form, "addr", "addr is required")?;
    // The first node of a cluster has nobody to lead it yet.
    if api.node.has_cluster() {
        api.node.lead().await?;
    }
    let record = api.node.join(addr).await?;
    let leader = api.node.status().leader;
    json(&shown_meta(&api.node, &record, &leader))
}

pub(super) async fn leave(State(api): State<Api>) -> Answer {
    api.node.leave().await?;
    done()
}

/// Without `force` the node is asked to leave by itself, which empties it too; with it nobody asks it.
pub(super) async fn remove(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let addr = required(&form, "httpAddr", "httpAddr is required")?;
    if flag(&form, "force") {
        check_raft_addr(&api, addr, optional(&form, "tcpAddr"))?;
        api.node.remove(addr).await?;
    } else {
        api.node.ask_to_leave(addr).await?;
    }
    done()
}

/// Whoever names both addresses of a meta node means the one that has both.
fn check_raft_addr(api: &Api, http_addr: &str, raft_addr: Option<&str>) -> Result<(), Problem> {
    let catalogue = api.node.catalogue().1;
    let known = catalogue.meta_nodes().iter().find(|node| node.http_addr == http_addr);
    match (known, raft_addr) {
        (Some(known), Some(given)) if known.raft_addr != given => Err(Problem::invalid(format!(
            "meta node {http_addr} has the Raft address {}, not {given}: nothing was removed",
            known.raft_addr
        ))),
        _ => Ok(()),
    }
}

#[derive(Debug, Serialize)]
struct ShownLease {
    name: String,
    /// By this node's clock.
    expiration: String,
    owner: u64,
}

pub(super) async fn lease(State(api): State<Api>, Query(parameters): Query<Parameters>) -> Answer {
    let name = required(&parameters, "name", "lease name required")?.to_owned();
    let owner = required(&parameters, "nodeid", "node ID required")?;
    let owner: u64 = owner.parse().map_err(|_| Problem::invalid(format!("invalid node ID {owner}")))?;
    api.node.lead().await?;
    let lasts = api.node.settings().lease_lasts;
    let question =
        AskLease { name, owner: NodeId(owner), duration_ms: lasts.as_millis() as u64, forwarded: true };
    let answer = api.node.lease(question).await?;
    let now_ns = api.node.now_ns();
    let lasts_ns = i64::try_from(api.node.lease_remains(&answer.lease).as_nanos()).unwrap_or(i64::MAX);
    let shown = ShownLease {
        name: answer.lease.name,
        expiration: rfc3339(now_ns.saturating_add(lasts_ns)),
        owner: answer.lease.owner.0,
    };
    let status = if answer.granted { StatusCode::OK } else { StatusCode::CONFLICT };
    Ok((status, Json(shown)).into_response())
}

pub(super) async fn announce(State(api): State<Api>, Content(announcement): Content<Announcement>) -> Answer {
    if !api.node.hear(announcement) {
        return Err(Problem::invalid("the announcement has no tcpAddr, or there are too many nodes"));
    }
    done()
}
