//! Shards: shown with what their owners say of them, copied, taken away, cut off.
//!
//! A copy is decided in the catalogue first: from then on the new owner gets every write, and is read from once it has all
//! that came before. The data nodes carry it out and confirm it, whoever waits for it here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::extract::{Query, State};
use futures_util::{StreamExt, future::join_all, stream};
use jiff::SignedDuration;
use serde::Serialize;
use skywatch_meta::{Catalogue, Command, DataNode, RetentionPolicy, Shard, ShardGroup};
use skywatch_replication::{
    copy::calls::{
        CopyQuestion, CopyStatus, DoneAnswer, KILL, Nothing, START, STATUS, StartAnswer, StatusAnswer,
    },
    listing::{LIST_SHARDS, ListedShard, ListedShards},
};
use skywatch_rpc::{CallError, tell};
use tokio::time::Instant;

use super::{
    Answer, Api, Parameters, Problem, done,
    fields::Fields,
    flag, json, optional,
    patience::{ASK_LIMIT, patiently},
    required,
};
use crate::node::rfc3339;

/// Data nodes that are asked at a time.
const ASKED_AT_ONCE: usize = 16;
/// Between two looks whether a copy is whole.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A new owner that has said nothing for so long, or only that it cannot get the shard, is not waited for any more.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// `0001-01-01T00:00:00Z`, Go's way to say "no time".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShownShard {
    id: u64,
    database: String,
    retention_policy: String,
    replica_n: u32,
    shard_group_id: u64,
    start_time: String,
    end_time: String,
    expire_time: String,
    truncated_at: String,
    owners: Vec<ShownOwner>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShownOwner {
    id: u64,
    #[serde(rename = "tcpAddr")]
    tcp_addr: String,
    state: String,
    last_modified: String,
    size: u64,
    err: String,
    /// Why the node said nothing, if it did not; `err` is then what the original says of such a node.
    #[serde(skip_serializing_if = "String::is_empty")]
    silence: String,
    /// Whether it still lacks what was written before it became an owner.
    joining: bool,
}

/// What data nodes say of the shards on their disks: by address, then by shard.
type Reports = BTreeMap<String, Result<BTreeMap<u64, ListedShard>, String>>;

pub(super) async fn show(State(api): State<Api>, Query(parameters): Query<Parameters>) -> Answer {
    let catalogue = api.node.catalogue().1;
    let reports = if flag(&parameters, "verbose") { Some(reports(&api, &catalogue).await) } else { None };
    let now_ns = api.node.now_ns();
    let mut shown = Vec::new();
    for database in catalogue.databases() {
        for policy in &database.retention_policies {
            for group in policy.live_shard_groups().filter(|group| !is_expired(policy, group, now_ns)) {
                for shard in &group.shards {
                    shown.push(show_shard(
                        (&catalogue, &database.name, policy, group),
                        shard,
                        reports.as_ref(),
                    ));
                }
            }
        }
    }
    if let Some(reports) = reports.as_ref().filter(|_| flag(&parameters, "inconsistent")) {
        shown.extend(show_unknown(&catalogue, reports));
    }
    shown.sort_by_key(|shard| shard.id);
    json(&shown)
}

/// Shards on disks that the catalogue does not name: neither as live ones nor as those that are about to go.
fn show_unknown(catalogue: &Catalogue, reports: &Reports) -> Vec<ShownShard> {
    let known: BTreeSet<u64> = catalogue
        .databases()
        .iter()
        .flat_map(|database| &database.retention_policies)
        .flat_map(|policy| &policy.shard_groups)
        .flat_map(|group| &group.shards)
        .map(|shard| shard.id)
        .collect();
    let mut shown: BTreeMap<u64, ShownShard> = BTreeMap::new();
    for node in catalogue.data_nodes() {
        let Some(Ok(listed)) = reports.get(&node.tcp_addr) else { continue };
        for found in listed.values().filter(|found| !known.contains(&found.id)) {
            let shard = shown.entry(found.id).or_insert_with(|| ShownShard {
                id: found.id,
                database: String::new(),
                retention_policy: String::new(),
                replica_n: 0,
                shard_group_id: 0,
                start_time: NO_TIME.into(),
                end_time: NO_TIME.into(),
                expire_time: NO_TIME.into(),
                truncated_at: NO_TIME.into(),
                owners: Vec::new(),
            });
            shard.owners.push(ShownOwner {
                id: node.id.0,
                tcp_addr: node.tcp_addr.clone(),
                state: if found.is_cold { "cold" } else { "hot" }.into(),
                last_modified: rfc3339(found.modified_ns),
                size: found.bytes,
                err: "not in the metadata".into(),
                silence: String::new(),
                joining: false,
            });
        }
    }
    shown.into_values().collect()
}

const fn is_expired(policy: &RetentionPolicy, group: &ShardGroup, now_ns: i64) -> bool {
    policy.duration_ns != 0 && group.end_ns.saturating_add(policy.duration_ns) < now_ns
}

fn show_shard(
    (catalogue, database, policy, group): (&Catalogue, &str, &RetentionPolicy, &ShardGroup),
    shard: &Shard,
    reports: Option<&Reports>,
) -> ShownShard {
    let expires_ns = group.end_ns.saturating_add(policy.duration_ns);
    // In the order of their ids, whichever got the shard first.
    let mut in_order = shard.owners.clone();
    in_order.sort_unstable();
    let owners = in_order.iter().map(|owner| {
        // An owner that is no node (any more) is shown without an address.
        let tcp_addr = catalogue.data_node(*owner).map(|node| node.tcp_addr.clone()).unwrap_or_default();
        let mut shown = ShownOwner {
            id: owner.0,
            state: String::new(),
            last_modified: NO_TIME.into(),
            size: 0,
            err: String::new(),
            silence: String::new(),
            joining: shard.joining.contains(owner),
            tcp_addr,
        };
        if let Some(reports) = reports {
            match reports.get(&shown.tcp_addr) {
                Some(Ok(listed)) => match listed.get(&shard.id) {
                    Some(found) => {
                        shown.state = if found.is_cold { "cold" } else { "hot" }.into();
                        shown.last_modified = rfc3339(found.modified_ns);
                        shown.size = found.bytes;
                        shown.err.clone_from(&found.error);
                    }
                    None => shown.err = "not found".into(),
                },
                Some(Err(reason)) => {
                    shown.err = "not found".into();
                    shown.silence.clone_from(reason);
                }
                None => shown.err = "not found".into(),
            }
        }
        shown
    });
    ShownShard {
        id: shard.id,
        database: database.to_owned(),
        retention_policy: policy.name.clone(),
        replica_n: policy.replica_n,
        shard_group_id: group.id,
        start_time: rfc3339(group.start_ns),
        end_time: rfc3339(group.end_ns),
        expire_time: if policy.duration_ns == 0 { NO_TIME.into() } else { rfc3339(expires_ns) },
        truncated_at: group.truncated_at_ns.map_or_else(|| NO_TIME.into(), rfc3339),
        owners: owners.collect(),
    }
}

async fn reports(api: &Api, catalogue: &Catalogue) -> Reports {
    let addresses: Vec<String> = catalogue.data_nodes().iter().map(|node| node.tcp_addr.clone()).collect();
    let asked = addresses.into_iter().map(|address| async move {
        let listed: Result<ListedShards, CallError> =
            patiently(|within| tell(api.node.to_data_nodes(), &address, LIST_SHARDS, &Nothing {}, within))
                .await;
        let listed = listed.map(|listed| listed.shards.into_iter().map(|shard| (shard.id, shard)).collect());
        (address, listed.map_err(|error| error.to_string()))
    });
    stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await
}

/// A shard and two nodes, as a request names them.
struct Named {
    shard: Shard,
    source: DataNode,
    dest: DataNode,
}

fn shard_id(form: &Parameters) -> Result<u64, Problem> {
    let text = optional(form, "shard").unwrap_or_default();
    match text.parse() {
        Ok(0) => {
            Err(Problem::invalid("invalid parameter value for 'shard': shard id must be greater than 0"))
        }
        Ok(id) => Ok(id),
        Err(_) => Err(Problem::invalid(format!("error converting shard to int: {text}"))),
    }
}

fn node_at(catalogue: &Catalogue, addr: &str) -> Result<DataNode, Problem> {
    catalogue
        .data_node_at(addr)
        .cloned()
        .ok_or_else(|| Problem::invalid(format!("unable to find node for \"{addr}\"")))
}

fn live_shard(catalogue: &Catalogue, id: u64) -> Result<Shard, Problem> {
    catalogue.live_shard(id).cloned().ok_or_else(|| Problem::invalid(format!("shard not found for id: {id}")))
}

fn must_own(shard: &Shard, node: &DataNode) -> Result<(), Problem> {
    if shard.is_owned_by(node.id) {
        return Ok(());
    }
    Err(Problem::invalid(format!("\"{}\" is not an owner of shard {}", node.tcp_addr, shard.id)))
}

fn named(catalogue: &Catalogue, form: &Parameters) -> Result<Named, Problem> {
    let source = required(form, "src", "'src' is a required parameter")?;
    let dest = required(form, "dest", "'dest' is a required parameter")?;
    let id = shard_id(form)?;
    if source == dest {
        return Err(Problem::invalid("dest and src are the same"));
    }
    let (source, dest) = (node_at(catalogue, source)?, node_at(catalogue, dest)?);
    Ok(Named { shard: live_shard(catalogue, id)?, source, dest })
}

/// Answers once the new owner has everything. A client that does not wait so long does not end the copy.
pub(super) async fn copy(State(api): State<Api>, Fields(form): Fields) -> Answer {
    api.node.lead().await?;
    let Named { shard, source, dest } = named(&api.node.catalogue().1, &form)?;
    must_own(&shard, &source)?;
    if shard.joining.contains(&source.id) {
        return Err(Problem::conflict(format!(
            "\"{}\" does not have shard {} whole yet: copy it from another owner",
            source.tcp_addr, shard.id
        )));
    }
    if shard.is_owned_by(dest.id) && !shard.joining.contains(&dest.id) {
        return done();
    }
    api.change(Command::AddShardOwner { shard: shard.id, node: dest.id, joining: true }).await?;
    let mut heard = Instant::now();
    loop {
        let catalogue = api.node.catalogue().1;
        let now = live_shard(&catalogue, shard.id)?;
        if !now.is_owned_by(dest.id) {
            return Err(Problem::internal(format!("the copy of shard {} was given up", shard.id)));
        }
        if !now.joining.contains(&dest.id) {
            return done();
        }
        let question = CopyQuestion { shard: shard.id, source: source.tcp_addr.clone() };
        let told: Result<StartAnswer, CallError> =
            tell(api.node.to_data_nodes(), &dest.tcp_addr, START, &question, ASK_LIMIT).await;
        match told {
            Ok(answer) if answer.trouble.is_empty() => heard = Instant::now(),
            Ok(answer) if heard.elapsed() >= SILENCE_MAX => return Err(kept(&answer.trouble, &dest, &shard)),
            // One that has just been started may not know yet that it is a member, and what it had begun.
            Err(error) if error.failure().is_some() && heard.elapsed() >= SILENCE_MAX => {
                let undone =
                    Command::RemoveShardOwner { shard: shard.id, node: dest.id, at_ns: api.node.now_ns() };
                api.change(undone).await?;
                return Err(Problem::of_call(&error));
            }
            Err(error) if heard.elapsed() >= SILENCE_MAX => {
                return Err(kept(&error.to_string(), &dest, &shard));
            }
            Ok(_) | Err(_) => {}
        }
        api.node.lead().await?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Nobody waits for a copy any more, and it is not undone.
fn kept(reason: &str, dest: &DataNode, shard: &Shard) -> Problem {
    Problem::internal(format!(
        "{reason}; \"{}\" stays an owner of shard {} and copies it when it can; kill-copy-shard takes that back",
        dest.tcp_addr, shard.id
    ))
}

/// A copy, as `copy-shard-status` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShownCopy {
    #[serde(flatten)]
    copy: CopyStatus,
    /// Why the node that is to get the shard says nothing of it, if it does not; then neither source nor sizes are known.
    #[serde(skip_serializing_if = "String::is_empty")]
    silence: String,
}

/// All that are under way, as the data nodes tell that get a shard; of those that do not answer, which they are to get.
pub(super) async fn copies(State(api): State<Api>) -> Answer {
    let catalogue = api.node.catalogue().1;
    let joining: BTreeSet<_> =
        catalogue.live_shards().flat_map(|shard| shard.joining.iter().copied()).collect();
    let nodes = catalogue.data_nodes().iter().filter(|node| joining.contains(&node.id));
    let asked = nodes.map(|node| async {
        let told: Result<StatusAnswer, CallError> =
            patiently(|within| tell(api.node.to_data_nodes(), &node.tcp_addr, STATUS, &Nothing {}, within))
                .await;
        match told {
            Ok(told) => {
                let shown = |copy| ShownCopy { copy, silence: String::new() };
                told.copies.into_iter().map(shown).collect()
            }
            Err(error) => unheard_of(&catalogue, node, &error),
        }
    });
    let mut copies: Vec<ShownCopy> = join_all(asked).await.into_iter().flatten().collect();
    copies.sort_by_key(|shown| shown.copy.shard_id);
    json(&copies)
}

/// The shards that a node is to get which does not answer.
fn unheard_of(catalogue: &Catalogue, node: &DataNode, error: &CallError) -> Vec<ShownCopy> {
    let mut shown = Vec::new();
    for database in catalogue.databases() {
        for policy in &database.retention_policies {
            let shards = policy.live_shard_groups().flat_map(|group| &group.shards);
            shown.extend(shards.filter(|shard| shard.joining.contains(&node.id)).map(|shard| ShownCopy {
                copy: CopyStatus {
                    dest: node.tcp_addr.clone(),
                    database: database.name.clone(),
                    policy: policy.name.clone(),
                    shard_id: shard.id,
                    ..CopyStatus::default()
                },
                silence: error.to_string(),
            }));
        }
    }
    shown
}

pub(super) async fn kill_copy(State(api): State<Api>, Fields(form): Fields) -> Answer {
    api.node.lead().await?;
    let Named { shard, source, dest } = named(&api.node.catalogue().1, &form)?;
    if !shard.joining.contains(&dest.id) {
        return Err(Problem::invalid(format!(
            "no copy of shard {} to \"{}\" is under way",
            shard.id, dest.tcp_addr
        )));
    }
    // Whoever is no owner copies nothing; to be told makes it stop sooner.
    api.change(Command::RemoveShardOwner { shard: shard.id, node: dest.id, at_ns: api.node.now_ns() })
        .await?;
    let question = CopyQuestion { shard: shard.id, source: source.tcp_addr };
    let told: Result<DoneAnswer, CallError> =
        tell(api.node.to_data_nodes(), &dest.tcp_addr, KILL, &question, ASK_LIMIT).await;
    if let Err(error) = told {
        tracing::info!(shard = shard.id, %error, "a node that copies a shard was not told to stop; it will see it");
    }
    done()
}

pub(super) async fn remove(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let source = required(&form, "src", "'src' is a required parameter")?.to_owned();
    let id = shard_id(&form)?;
    api.node.lead().await?;
    let catalogue = api.node.catalogue().1;
    let node = node_at(&catalogue, &source)?;
    let shard = live_shard(&catalogue, id)?;
    must_own(&shard, &node)?;
    let is_whole_elsewhere =
        shard.owners.iter().any(|owner| *owner != node.id && !shard.joining.contains(owner));
    if !is_whole_elsewhere && !shard.joining.contains(&node.id) {
        return Err(Problem::conflict(format!(
            "\"{source}\" has the only copy of shard {id}: its points would be gone; if that is meant, DROP SHARD {id}"
        )));
    }
    api.change(Command::RemoveShardOwner { shard: id, node: node.id, at_ns: api.node.now_ns() }).await?;
    done()
}

pub(super) async fn truncate(State(api): State<Api>, Fields(form): Fields) -> Answer {
    let text = required(&form, "delay", "delay is required: a duration such as 1m0s")?;
    let delay: SignedDuration = text.parse().map_err(|error| {
        Problem::invalid(format!("delay {text}: {error}; a duration such as 1m0s is expected"))
    })?;
    if delay.is_negative() {
        return Err(Problem::invalid(format!(
            "delay {text}: points that are there already cannot be cut off"
        )));
    }
    let delay_ns = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
    api.node.lead().await?;
    api.change(Command::TruncateShardGroups { at_ns: api.node.now_ns().saturating_add(delay_ns) }).await?;
    done()
}
