//! `show`: the nodes of the cluster, as `influxd-ctl` lists them; with `-v` as Enterprise's does, with labels, the leader
//! and its peers.

use std::collections::BTreeMap;

use crate::{
    CtlError,
    client::Call,
    commands::Context,
    records::{Cluster, Status},
    table,
};

pub(crate) async fn run(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let mut cluster = context.cluster().await?;
    cluster.data.sort_by_key(|node| node.id);
    cluster.meta.sort_by_key(|node| node.id);
    let text = if context.flags.is_set("v") {
        let status: Status = context.client.meta(&Call::get("/status", &[])).await?.json()?;
        verbose(&cluster, &status)
    } else {
        plain(&cluster)
    };
    context.streams.print_raw(&text)
}

fn plain(cluster: &Cluster) -> String {
    const HEADER: [&str; 3] = ["ID", "TCP Address", "Version"];
    let row =
        |id: u64, address: &str, version: &str| vec![id.to_string(), address.to_owned(), version.to_owned()];
    let data: Vec<_> = cluster.data.iter().map(|node| row(node.id, &node.tcp_addr, &node.version)).collect();
    // The reference prints the HTTP address under this heading, and so do we.
    let meta: Vec<_> = cluster.meta.iter().map(|node| row(node.id, &node.addr, &node.version)).collect();
    format!(
        "{}\n{}",
        table::with_tabs("Data Nodes", &HEADER, &data),
        table::with_tabs("Meta Nodes", &HEADER, &meta)
    )
}

fn verbose(cluster: &Cluster, status: &Status) -> String {
    let data: Vec<_> = cluster
        .data
        .iter()
        .map(|node| {
            let passive = node.passive.to_string();
            let (tcp, http) = (node.tcp_addr.clone(), node.http_addr.clone());
            vec![node.id.to_string(), tcp, http, node.version.clone(), labels(&node.labels), passive]
        })
        .collect();
    let meta: Vec<_> = cluster
        .meta
        .iter()
        .map(|node| {
            let (raft, http) = (node.tcp_addr.clone(), node.addr.clone());
            vec![node.id.to_string(), raft, http, node.version.clone(), labels(&node.labels)]
        })
        .collect();
    let peers: Vec<&String> = status.peers.iter().filter(|&peer| *peer != status.leader).collect();
    let peers = serde_json::to_string(&peers).unwrap_or_default();
    format!(
        "{}\n{}\nRaft Status\n==========\nLeader\t{}\nPeers\t{peers}\n",
        table::with_tabs(
            "Data Nodes",
            &["ID", "TCP Address", "HTTP Address", "Version", "Labels", "Passive"],
            &data
        ),
        table::with_tabs("Meta Nodes", &["ID", "Raft Address", "HTTP Address", "Version", "Labels"], &meta),
        if status.leader.is_empty() { "none" } else { &status.leader },
    )
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).unwrap_or_default()
}
