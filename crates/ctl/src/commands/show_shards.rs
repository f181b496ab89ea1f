//! `show-shards`: the shards of the cluster and who owns them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    CtlError,
    commands::Context,
    records::{Owner, Shard},
    table, time,
};

const HEADER: [&str; 9] = [
    "ID",
    "Database",
    "Retention Policy",
    "Desired Replicas",
    "Shard Group",
    "Start",
    "End",
    "Expires",
    "Owners",
];

pub(crate) async fn run(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let (verbose, inconsistent) = (context.flags.is_set("v"), context.flags.is_set("m"));
    let parameters: &[(&str, &str)] = match (verbose, inconsistent) {
        (false, false) => &[],
        (true, false) => &[("verbose", "true")],
        // What is on disk and not in the metadata only the nodes know; the server adds it when asked.
        (_, true) => &[("verbose", "true"), ("inconsistent", "true")],
    };
    let mut shards = context.shards(parameters).await?;
    if inconsistent {
        shards.retain(|shard| shard.owners.iter().any(|owner| owner.error().is_some()));
    }
    let rows: Vec<_> = shards.iter().map(|shard| row(shard, verbose || inconsistent)).collect();
    context.streams.print_raw(&table::with_spaces("Shards", &HEADER, &rows))?;
    // The table says of their copies what the original says; why is told once for each node.
    let silent: BTreeMap<u64, &str> = shards
        .iter()
        .flat_map(|shard| &shard.owners)
        .filter(|owner| (verbose || inconsistent) && !owner.silence.is_empty())
        .map(|owner| (owner.id, owner.silence.as_str()))
        .collect();
    for (id, silence) in silent {
        context.streams.tell(&format!("show-shards: nothing is known of data node {id}: {silence}"));
    }
    Ok(())
}

fn row(shard: &Shard, verbose: bool) -> Vec<String> {
    let owners: Vec<String> = shard.owners.iter().map(|owner| owner_text(owner, verbose)).collect();
    vec![
        shard.id.to_string(),
        shard.database.clone(),
        shard.retention_policy.clone(),
        shard.replica_n.to_string(),
        shard.shard_group_id.to_string(),
        shard.start_time.map(time::rfc3339).unwrap_or_default(),
        match shard.truncated_at {
            Some(cut) => format!("{}*", time::rfc3339_nano(cut)),
            None => shard.end_time.map(time::rfc3339).unwrap_or_default(),
        },
        shard.expire_time.map(time::rfc3339).unwrap_or_default(),
        format!("[{}]", owners.join(" ")),
    ]
}

fn owner_text(owner: &Owner, verbose: bool) -> String {
    let place = format!("ID:{} TCPAddr:{}", owner.id, owner.tcp_addr);
    if !verbose {
        return format!("{{{place}}}");
    }
    let modified: Option<Timestamp> = owner.last_modified;
    format!(
        "{{{place} State:{} LastModified:{} Size:{} Err:{}}}",
        owner.state,
        modified.map_or_else(|| time::ZERO.to_owned(), time::rfc3339_nano),
        owner.size,
        owner.error().unwrap_or("nil"),
    )
}
