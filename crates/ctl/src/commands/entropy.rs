//! `entropy show | repair | kill-repair`: shards whose copies differ, as the data nodes see it.
//!
//! Each data node answers for the shards it owns, so all of them are asked, and what one of them cannot say is missing and
//! told, not passed over.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    CtlError,
    client::{Answer, Call, Kind},
    commands::{Context, shard_id},
    records::{DataNode, DifferingShard, Repairs},
    table, time,
};

pub(crate) async fn show(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let nodes = context.cluster().await?.data;
    let mut known = Known::default();
    let mut silent = Vec::new();
    for node in &nodes {
        let call = Call::get("/shard-repair/status", &[("local", "true")]);
        match ask(context, node, &call).await.and_then(|answer| answer.json::<Repairs>()) {
            Ok(repairs) => known.add(repairs),
            Err(error) => silent.push((node.id, error)),
        }
    }
    context.streams.print_raw(&known.text())?;
    for (id, error) in &silent {
        context.streams.tell(&format!("entropy show: nothing is known of data node {id}: {error}"));
    }
    match silent.len() {
        0 => Ok(()),
        n => Err(CtlError::local(format!("{n} of {} data nodes did not answer, see above", nodes.len()))),
    }
}

pub(crate) async fn repair(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let shard = argument(context)?;
    let owners = owners(context, shard).await?;
    let shard_text = shard.to_string();
    let parameters = [("id", shard_text.as_str())];
    let call = Call::post("/shard-repair/repair", &parameters);
    let mut last = None;
    // Owners compare with each other: any of them will do.
    for owner in &owners {
        match ask(context, owner, &call).await {
            Ok(_) => return context.streams.print(&format!("Repair Shard {shard} queued")),
            Err(error) if error.is_about_the_node() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| CtlError::local(format!("no data node owns shard {shard}"))))
}

pub(crate) async fn kill_repair(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let shard = argument(context)?;
    let owners = owners(context, shard).await?;
    let shard_text = shard.to_string();
    let parameters = [("id", shard_text.as_str()), ("local", "true")];
    let call = Call::post("/shard-repair/cancel-repair", &parameters);
    let mut refusals = Vec::new();
    for owner in &owners {
        if let Err(error) = ask(context, owner, &call).await {
            refusals.push(error);
        }
    }
    // It stands in the queue of one owner; the others may say that they do not know it.
    match refusals.into_iter().next() {
        Some(error) if error.is_about_the_node() => Err(error),
        Some(error) if owners.len() == 1 => Err(error),
        _ => context.streams.print(&format!("Repair Shard {shard} killed")),
    }
}

/// What is known of all nodes together.
#[derive(Default)]
struct Known {
    differing: BTreeMap<u64, DifferingShard>,
    queued: Vec<u64>,
    processing: Vec<u64>,
}

impl Known {
    fn add(&mut self, repairs: Repairs) {
        self.differing.extend(repairs.shards.into_iter().map(|shard| (shard.id, shard)));
        merge(&mut self.queued, repairs.queued_shards);
        merge(&mut self.processing, repairs.processing_shards);
    }

    fn text(&self) -> String {
        const HEADER: [&str; 7] = ["ID", "Database", "Retention Policy", "Start", "End", "Expires", "Status"];
        let go = |time: Option<Timestamp>| time::go_text(time.unwrap_or(Timestamp::UNIX_EPOCH));
        let rows: Vec<Vec<String>> = self
            .differing
            .values()
            .map(|shard| {
                vec![
                    shard.id.to_string(),
                    shard.database.clone(),
                    shard.retention_policy.clone(),
                    go(shard.start_time),
                    go(shard.end_time),
                    shard.expires.map(time::go_text).unwrap_or_default(),
                    shard.status.clone(),
                ]
            })
            .collect();
        let mut text = table::with_spaces("Entropy", &HEADER, &rows);
        for (name, shards) in [("Queued", &self.queued), ("Processing", &self.processing)] {
            if !shards.is_empty() {
                let ids: Vec<String> = shards.iter().map(u64::to_string).collect();
                text.push_str(&format!("\n{name} Shards: [{}]\n", ids.join(" ")));
            }
        }
        text
    }
}

fn merge(into: &mut Vec<u64>, more: Vec<u64>) {
    into.extend(more);
    into.sort_unstable();
    into.dedup();
}

fn argument(context: &Context<'_, '_>) -> Result<u64, CtlError> {
    let [shard] = context.arguments(["shardID is required"])?;
    shard_id(&shard)
}

async fn owners(context: &Context<'_, '_>, shard: u64) -> Result<Vec<DataNode>, CtlError> {
    let shards = context.shards(&[]).await?;
    let record = shards
        .into_iter()
        .find(|record| record.id == shard)
        .ok_or_else(|| CtlError::local(format!("there is no shard {shard}; show-shards lists them")))?;
    let nodes = context.cluster().await?.data;
    Ok(nodes.into_iter().filter(|node| record.owners.iter().any(|owner| owner.id == node.id)).collect())
}

async fn ask(context: &Context<'_, '_>, node: &DataNode, call: &Call<'_>) -> Result<Answer, CtlError> {
    let scheme = if node.http_scheme.is_empty() { "http" } else { &node.http_scheme };
    let url = format!("{scheme}://{}{}", node.http_addr, call.path());
    context.client.url(Kind::DataApi, &url, call).await
}
