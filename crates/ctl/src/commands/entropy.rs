//! `entropy show | repair | kill-repair`: shards whose copies differ. Meta nodes ask the data nodes, and say which of them
//! did not answer.

use jiff::Timestamp;

use crate::{
    CtlError,
    client::Call,
    commands::{Context, shard_id},
    records::Repairs,
    table, time,
};

pub(crate) async fn show(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let mut repairs: Repairs = context.client.meta(&Call::get("/shard-repair/status", &[])).await?.json()?;
    repairs.shards.sort_by_key(|shard| shard.id);
    context.streams.print_raw(&text(&repairs))?;
    for shard in repairs.shards.iter().filter(|shard| !shard.reason.is_empty()) {
        context.streams.tell(&format!("entropy show: shard {}: {}", shard.id, shard.reason));
    }
    for node in &repairs.silent {
        let (id, error) = (node.id, &node.error);
        context.streams.tell(&format!("entropy show: nothing is known of data node {id}: {error}"));
    }
    match repairs.silent.len() {
        0 => Ok(()),
        n => Err(CtlError::local(format!("{n} data node(s) did not answer, see above"))),
    }
}

pub(crate) async fn repair(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let shard = ask(context, "/shard-repair/repair").await?;
    context.streams.print(&format!("Repair Shard {shard} queued"))
}

pub(crate) async fn kill_repair(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let shard = ask(context, "/shard-repair/cancel-repair").await?;
    context.streams.print(&format!("Repair Shard {shard} killed"))
}

async fn ask(context: &Context<'_, '_>, path: &str) -> Result<u64, CtlError> {
    let [shard] = context.arguments(["shardID is required"])?;
    let shard = shard_id(&shard)?;
    context.client.meta(&Call::post(path, &[("id", &shard.to_string())])).await?;
    Ok(shard)
}

fn text(repairs: &Repairs) -> String {
    const HEADER: [&str; 7] = ["ID", "Database", "Retention Policy", "Start", "End", "Expires", "Status"];
    let go = |time: Option<Timestamp>| time::go_text(time.unwrap_or(Timestamp::UNIX_EPOCH));
    let rows: Vec<Vec<String>> = repairs
        .shards
        .iter()
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
    for (name, shards) in [("Queued", &repairs.queued_shards), ("Processing", &repairs.processing_shards)] {
        if !shards.is_empty() {
            let ids: Vec<String> = shards.iter().map(u64::to_string).collect();
            text.push_str(&format!("\n{name} Shards: [{}]\n", ids.join(" ")));
        }
    }
    text
}
