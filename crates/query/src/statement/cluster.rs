//! What runs where: SHOW SERVERS, SHOW QUERIES and KILL QUERY. A member of a cluster asks the others.

use std::{sync::Arc, time::Duration};

use skywatch_influxql::KillQuery;

use super::{Context, integers, show::go_duration, strings, table};
use crate::{ClusterNode, QueryError, RunningQuery, executor::Sender};

/// InfluxDB's words for a host that is missing or unknown.
const HOST_REQUIRED: &str = "tcp host required";
const NODE_NOT_FOUND: &str = "node not found";

/// Data nodes, then meta nodes.
pub(super) fn servers(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    let cluster = context.backend.cluster().ok_or_else(|| {
        QueryError::invalid("SHOW SERVERS lists the nodes of a cluster, and this server is no member of one")
    })?;
    for (name, nodes) in [("data_nodes", cluster.data_nodes()), ("meta_nodes", cluster.meta_nodes())] {
        let values = vec![
            integers(nodes.iter().map(|node| node.id as i64)),
            strings(nodes.iter().map(|node| node.http_addr.as_str().into())),
            strings(nodes.iter().map(|node| node.tcp_addr.as_str().into())),
        ];
        sender.series(table(name, &["id", "http_addr", "tcp_addr"], values))?;
    }
    Ok(())
}

/// Those of all nodes of a cluster, with the node; a node that does not tell its own is named in a warning.
pub(super) fn queries(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    let may_see = |query: &RunningQuery| context.request.identity.may_read(&query.database);
    let mut own = context.running.list();
    own.retain(may_see);
    let Some(cluster) = context.backend.cluster() else {
        let values = columns(&own.iter().collect::<Vec<_>>());
        return sender.series(table("", &COLUMNS, values.into()));
    };
    let me = cluster.own_number();
    let mut of_nodes: Vec<(ClusterNode, Vec<RunningQuery>)> = Vec::new();
    for (node, told) in cluster.running_elsewhere() {
        match told {
            Ok(mut queries) => {
                queries.retain(may_see);
                of_nodes.push((node, queries));
            }
            Err(reason) => context.reading.lacks(format!("queries of node {}: {reason}", node.id)),
        }
    }
    of_nodes.extend(cluster.data_nodes().into_iter().find(|node| node.id == me).map(|node| (node, own)));
    of_nodes.sort_by_key(|(node, _)| node.id);
    let rows: Vec<(&ClusterNode, &RunningQuery)> =
        of_nodes.iter().flat_map(|(node, queries)| queries.iter().map(move |query| (node, query))).collect();
    let queries: Vec<&RunningQuery> = rows.iter().map(|(_, query)| *query).collect();
    let [ids, others @ ..] = columns(&queries);
    let nodes = integers(rows.iter().map(|(node, _)| node.id as i64));
    let hosts = strings(rows.iter().map(|(node, _)| node.tcp_addr.as_str().into()));
    let values = [ids, nodes, hosts].into_iter().chain(others).collect();
    let [first, rest @ ..] = COLUMNS;
    let names: Vec<&str> = [first, "node_id", "tcp_host"].into_iter().chain(rest).collect();
    sender.series(table("", &names, values))
}

const COLUMNS: [&str; 5] = ["qid", "query", "database", "duration", "status"];

fn columns(queries: &[&RunningQuery]) -> [crate::OutputColumn; COLUMNS.len()] {
    let status = |is_killed| if is_killed { "killed" } else { "running" };
    [
        integers(queries.iter().map(|query| query.id as i64)),
        strings(queries.iter().map(|query| query.text.as_str().into())),
        strings(queries.iter().map(|query| query.database.as_str().into())),
        strings(queries.iter().map(|query| rounded(query.elapsed))),
        strings(queries.iter().map(|query| status(query.is_killed).into())),
    ]
}

/// InfluxDB rounds to the largest unit that is not zero.
fn rounded(elapsed: Duration) -> Arc<str> {
    let nanoseconds = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX);
    let unit = match nanoseconds {
        1_000_000_000.. => 1_000_000_000,
        1_000_000.. => 1_000_000,
        1_000.. => 1_000,
        _ => 1,
    };
    go_duration(nanoseconds / unit * unit).into()
}

/// A single server takes every host for itself, as InfluxDB does; in a cluster numbers mean something with a node only.
pub(super) fn kill(context: &Context<'_>, kill: &KillQuery) -> Result<(), QueryError> {
    let Some(cluster) = context.backend.cluster() else { return context.running.kill(kill.id) };
    let host = kill.host.as_deref().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| QueryError::invalid(HOST_REQUIRED))?;
    let nodes = cluster.data_nodes();
    let node = nodes.iter().find(|node| node.tcp_addr == host);
    let node = node.ok_or_else(|| QueryError::invalid(NODE_NOT_FOUND))?;
    if node.id == cluster.own_number() {
        return context.running.kill(kill.id);
    }
    cluster.kill(node, kill.id).map_err(QueryError::Invalid)
}
