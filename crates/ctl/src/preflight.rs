//! What is looked at before a node becomes part of a cluster, so that the commonest mistakes are told in plain words
//! before they are made. What cannot be looked at from here is left to the servers.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    CtlError, address,
    client::{Answer, Call, Client, Kind},
    commands::Context,
    records::{Cluster, Status},
};

/// Clocks further apart than this are told: which of two writes is the later one is decided by clocks.
const SKEW_MAX: Duration = Duration::from_secs(5);
/// The node may be out of reach from here without being so for the meta nodes.
const LOOK_TIME_MAX: Duration = Duration::from_secs(3);

/// Refuses what cannot work, and warns of what may not. The cluster is that of the meta node at `target`, or of those of
/// `-bind`.
pub(crate) async fn check(
    context: &mut Context<'_, '_>,
    kind: Kind,
    node: &str,
    target: Option<&str>,
) -> Result<(), CtlError> {
    address::check(node)?;
    let call = Call::get("/show-cluster", &[]);
    let answer = match target {
        Some(target) => context.client.at(Kind::Meta, target, &call).await,
        None => context.client.meta(&call).await,
    };
    let meta = match answer {
        Ok(answer) => answer,
        // The first node of a cluster is added to one that is none yet.
        Err(CtlError::Server { .. }) => return advertised(context, kind, node, None).await.map(|_| ()),
        Err(error) => return Err(error),
    };
    let cluster: Cluster = meta.json()?;
    let addresses: Vec<&str> = cluster
        .meta
        .iter()
        .map(|meta| meta.addr.as_str())
        .chain(cluster.data.iter().map(|data| data.tcp_addr.as_str()))
        .collect();
    if let Some(mistake) = mixed_up(node, &addresses) {
        return Err(CtlError::local(mistake));
    }
    let Some((answer, status)) = advertised(context, kind, node, Some(&addresses)).await? else {
        return Ok(());
    };
    for warning in warnings(node, &meta, &answer, &status) {
        context.streams.tell(&format!("warning: {warning}"));
    }
    Ok(())
}

/// Refuses to tell the cluster that a data node has moved to where another kind of node is, if that can be seen from here.
pub(crate) async fn check_moved(context: &Context<'_, '_>, node: &str) -> Result<(), CtlError> {
    address::check(node)?;
    let Some((_, status)) = look(&context.client, Kind::Data, node).await else { return Ok(()) };
    match status.node_type.as_str() {
        "" | "data" => Ok(()),
        other => Err(CtlError::local(format!(
            "{node} is a {other} node, not a data node; give the new address that the data node has for other nodes (port 8088)"
        ))),
    }
}

/// What the node says of itself, if it can be asked from here; an error if it would be known under a useless address.
async fn advertised(
    context: &Context<'_, '_>,
    kind: Kind,
    node: &str,
    others: Option<&[&str]>,
) -> Result<Option<(Answer, Status)>, CtlError> {
    let Some((answer, status)) = look(&context.client, kind, node).await else { return Ok(None) };
    let (is, wanted) = (status.node_type.as_str(), if kind == Kind::Meta { "meta" } else { "data" });
    if !is.is_empty() && is != wanted {
        return Err(CtlError::local(format!(
            "{node} is a {is} node, not a {wanted} node; add it with add-{is} and its own address"
        )));
    }
    let name = if kind == Kind::Meta { &status.http_addr } else { &status.tcp_addr };
    let useless = address::is_local(name) && !address::is_local(node);
    let mistake = match (name.is_empty(), useless) {
        (true, _) => None,
        (false, true) => Some(misnamed(node, name)),
        (false, false) => others.and_then(|others| mixed_up(name, others)),
    };
    mistake.map_or(Ok(Some((answer, status))), |mistake| Err(CtlError::local(mistake)))
}

async fn look(client: &Client, kind: Kind, node: &str) -> Option<(Answer, Status)> {
    let call = Call::get("/status", &[]).within(client.timeout().min(LOOK_TIME_MAX));
    let answer = client.at(kind, node, &call).await.ok()?;
    let status = answer.json().ok()?;
    Some((answer, status))
}

fn misnamed(node: &str, name: &str) -> String {
    format!(
        "the node at {node} calls itself {name}, where other machines would reach themselves; set hostname in its configuration to a name or address they know it by, and restart it"
    )
}

/// Whether some of the nodes are known by addresses that mean another machine on each machine, and some are not.
fn mixed_up(node: &str, others: &[&str]) -> Option<String> {
    let node_is_local = address::is_local(node);
    let other = others.iter().find(|other| address::is_local(other) != node_is_local)?;
    Some(if node_is_local {
        format!(
            "{node} is a name only this machine understands, and {other} is part of the cluster already; use the name or address that all nodes know it by (and set hostname in its configuration)"
        )
    } else {
        format!(
            "the node {other} of the cluster is known by a name only its own machine understands: {node} could not reach it; set hostname in its configuration, and form the cluster anew with names that all nodes know"
        )
    })
}

/// What may not work, in whole sentences.
fn warnings(node: &str, meta: &Answer, answer: &Answer, status: &Status) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(theirs), Some(metas)) = (offset_seconds(answer.clock), offset_seconds(meta.clock)) {
        let apart = theirs - metas;
        if apart.unsigned_abs() > SKEW_MAX.as_secs() {
            let (seconds, side) = (apart.unsigned_abs(), if apart > 0 { "ahead of" } else { "behind" });
            warnings.push(format!(
                "the clock of {node} is {seconds} s {side} that of the meta node at {}; keep clocks together (chrony, ntpd): the later of two writes is told by them",
                meta.address
            ));
        }
    }
    let version =
        if status.version.is_empty() { answer.version.clone() } else { Some(status.version.clone()) };
    if let (Some(theirs), Some(metas)) = (&version, &meta.version)
        && theirs != metas
    {
        warnings.push(format!(
            "{node} runs release {theirs} and the meta node at {} runs {metas}; that is meant for the time of an upgrade only",
            meta.address
        ));
    }
    if status.shards > 0 && status.node_status != "joined" {
        let shards = status.shards;
        warnings.push(format!(
            "the data directory of {node} is not empty: {shards} shards from before are no part of the cluster; back them up and restore them, or begin with an empty directory"
        ));
    }
    warnings
}

/// How far a clock is ahead of ours.
fn offset_seconds(clock: Option<(Timestamp, Timestamp)>) -> Option<i64> {
    clock.map(|(theirs, ours)| theirs.as_second() - ours.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_only_one_machine_understands_do_not_mix_with_others() {
        assert_eq!(mixed_up("d1:8088", &[]), None);
        assert_eq!(mixed_up("d1:8088", &["m1:8091", "d2:8088"]), None);
        assert_eq!(mixed_up("127.0.0.1:8088", &["localhost:8091", "127.0.0.1:9"]), None);
        let told = mixed_up("localhost:8088", &["m1:8091"]).unwrap();
        assert!(told.starts_with("localhost:8088 is a name only this machine understands"), "{told}");
        let told = mixed_up("d1:8088", &["localhost:8091"]).unwrap();
        assert!(told.starts_with("the node localhost:8091 of the cluster is known by"), "{told}");
    }
}
