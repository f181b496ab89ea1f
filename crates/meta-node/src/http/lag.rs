//! How far each data node has applied the log that the cluster writes through. All of them are asked, and who does not
//! answer is named.

use axum::extract::State;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use skywatch_meta::DataNode;
use skywatch_replication::log::{LagAnswer, lag_of};

use super::{
    Answer, Api, json,
    patience::{ASK_LIMIT, patiently},
};

/// Data nodes that are asked at a time.
const ASKED_AT_ONCE: usize = 16;

#[derive(Debug, Default, Serialize)]
struct Known {
    /// The log that shard groups are made for; missing while writes go to owners directly.
    log: Option<String>,
    nodes: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Told {
    id: u64,
    addr: String,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<LagAnswer>,
    /// Why it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn show(State(api): State<Api>) -> Answer {
    let catalogue = api.node.catalogue().1;
    let nodes: Vec<DataNode> = catalogue.data_nodes().to_vec();
    let (api, has_log) = (&api, catalogue.write_log().is_some());
    let asked = nodes.into_iter().map(|node| async move {
        let ask = |within| lag_of(api.node.to_data_nodes(), &node.tcp_addr, within);
        // Where there is no log, nodes never know the question.
        let told = if has_log { patiently(ask).await } else { ask(ASK_LIMIT).await };
        let error = told.as_ref().err().map(ToString::to_string);
        Told { id: node.id.0, addr: node.tcp_addr, lag: told.ok(), error }
    });
    let mut nodes: Vec<Told> = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
    nodes.sort_by_key(|node| node.id);
    json(&Known { log: catalogue.write_log().map(str::to_owned), nodes })
}
