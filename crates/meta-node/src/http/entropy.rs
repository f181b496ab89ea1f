//! Shards whose copies differ, as the data nodes see it, and their repair.
//!
//! Each data node knows about the shards it owns. All of them are asked, and who does not answer is named: a table with a
//! gap in it would look like one of shards that are alike.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use futures_util::{StreamExt, future::join_all, stream};
use serde::Serialize;
use skywatch_meta::{Catalogue, DataNode};
use skywatch_replication::entropy::calls::{
    DoneAnswer, KILL, Nothing, REPAIR, RepairStatus, STATUS, ShardQuestion, ShardStatus,
};
use skywatch_rpc::{CallError, tell};

use super::{
    Answer, Api, Parameters, Problem, done,
    fields::Fields,
    json, optional,
    patience::{ASK_LIMIT, patiently},
    required,
};

/// Data nodes that are asked at a time.
const ASKED_AT_ONCE: usize = 16;

/// What is known of all nodes together.
#[derive(Debug, Default, Serialize)]
struct Known {
    shards: Vec<ShardStatus>,
    queued_shards: Vec<u64>,
    processing_shards: Vec<u64>,
    /// Who did not answer.
    silent: Vec<Silent>,
}

#[derive(Debug, Serialize)]
struct Silent {
    id: u64,
    error: String,
}

/// With `node`, the address of one for other nodes, of that one; of all otherwise.
pub(super) async fn show(State(api): State<Api>, Query(parameters): Query<Parameters>) -> Answer {
    let catalogue = api.node.catalogue().1;
    let wanted = optional(&parameters, "node");
    let nodes: Vec<DataNode> = catalogue
        .data_nodes()
        .iter()
        .filter(|node| wanted.is_none_or(|addr| addr == node.tcp_addr))
        .cloned()
        .collect();
    let api = &api;
    let asked = nodes.into_iter().map(|node| async move {
        let told: Result<RepairStatus, CallError> =
            patiently(|within| tell(api.node.to_data_nodes(), &node.tcp_addr, STATUS, &Nothing {}, within))
                .await;
        (node.id.0, told.map_err(|error| error.to_string()))
    });
    let mut told: Vec<_> = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
    told.sort_by_key(|(id, _)| *id);
    json(&united(told))
}

fn united(told: Vec<(u64, Result<RepairStatus, String>)>) -> Known {
    let mut known = Known::default();
    let mut shards: BTreeMap<u64, ShardStatus> = BTreeMap::new();
    for (id, told) in told {
        match told {
            Ok(status) => {
                for shard in status.shards {
                    // Of what the owners of a shard say, the one with a reason says most.
                    let place = shards.entry(shard.id).or_default();
                    if place.id == 0 || place.reason.is_empty() && !shard.reason.is_empty() {
                        *place = shard;
                    }
                }
                known.queued_shards.extend(status.queued_shards);
                known.processing_shards.extend(status.processing_shards);
            }
            Err(error) => known.silent.push(Silent { id, error }),
        }
    }
    known.shards = shards.into_values().collect();
    for list in [&mut known.queued_shards, &mut known.processing_shards] {
        list.sort_unstable();
        list.dedup();
    }
    known
}

/// Any owner will do: they compare with each other.
pub(super) async fn repair(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let (shard, owners) = owners(&api.node.catalogue().1, &form)?;
    let mut last = None;
    for owner in owners {
        match ask(&api, &owner, REPAIR, shard).await {
            // One that waits already is queued, too.
            Ok(_) => return done(),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || Problem::internal(format!("no data node owns shard {shard}")),
        |error| Problem::of_call(&error),
    ))
}

/// It may stand in the queue of any owner.
pub(super) async fn cancel(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let (shard, owners) = owners(&api.node.catalogue().1, &form)?;
    let told = join_all(owners.iter().map(|owner| ask(&api, owner, KILL, shard))).await;
    let mut last = None;
    let mut any = false;
    for answer in told {
        match answer {
            Ok(answer) => any |= answer.done,
            Err(error) => last = Some(error),
        }
    }
    match (any, last) {
        (true, _) => done(),
        (false, Some(error)) => Err(Problem::of_call(&error)),
        (false, None) => {
            Err(Problem::invalid(format!("shard {shard} is neither queued for repair nor being repaired")))
        }
    }
}

fn owners(catalogue: &Catalogue, form: &Parameters) -> Result<(u64, Vec<DataNode>), Problem> {
    let text = required(form, "id", "'id' is a required parameter")?;
    let id: u64 =
        text.parse().map_err(|_| Problem::invalid(format!("error converting shard to int: {text}")))?;
    let shard =
        catalogue.live_shard(id).ok_or_else(|| Problem::invalid(format!("shard not found for id: {id}")))?;
    let owners = catalogue.data_nodes().iter().filter(|node| shard.is_owned_by(node.id));
    Ok((id, owners.cloned().collect()))
}

async fn ask(api: &Api, node: &DataNode, method: &'static str, shard: u64) -> Result<DoneAnswer, CallError> {
    tell(api.node.to_data_nodes(), &node.tcp_addr, method, &ShardQuestion { shard }, ASK_LIMIT).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(id: u64, reason: &str) -> ShardStatus {
        ShardStatus { id, status: "diff".into(), reason: reason.into(), ..ShardStatus::default() }
    }

    #[test]
    fn what_nodes_know_is_united_and_who_is_silent_is_named() {
        let first = RepairStatus {
            shards: vec![status(9, ""), status(3, "")],
            queued_shards: vec![9, 3],
            processing_shards: vec![],
        };
        let second = RepairStatus {
            shards: vec![status(9, "its only other owner is down")],
            queued_shards: vec![3],
            processing_shards: vec![9],
        };
        let known = united(vec![(4, Ok(first)), (5, Ok(second)), (6, Err("connection refused".to_owned()))]);
        assert_eq!(known.shards, [status(3, ""), status(9, "its only other owner is down")]);
        assert_eq!((known.queued_shards, known.processing_shards), (vec![3, 9], vec![9]));
        assert_eq!(known.silent.iter().map(|silent| silent.id).collect::<Vec<_>>(), [6]);
    }
}
