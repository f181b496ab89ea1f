//! SHOW SHARDS and SHOW SHARD GROUPS.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Context, integers, strings, table};
use crate::{OutputColumn, QueryError, ShardGroupInfo, ShardInfo, executor::Sender};

/// One table a database, empty ones too.
pub(super) fn shards(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    const COLUMNS: [&str; 8] = [
        "id",
        "database",
        "retention_policy",
        "shard_group",
        "start_time",
        "end_time",
        "expiry_time",
        "owners",
    ];
    let groups = context.backend.shard_groups()?;
    for database in context.backend.databases()? {
        let own = groups.iter().filter(|group| group.database == database);
        let rows: Vec<(&ShardGroupInfo, &ShardInfo)> =
            own.flat_map(|group| group.shards.iter().map(move |shard| (group, shard))).collect();
        let of_group = |of: fn(&ShardGroupInfo) -> Arc<str>| strings(rows.iter().map(|(group, _)| of(group)));
        let values = vec![
            integers(rows.iter().map(|(_, shard)| shard.id as i64)),
            of_group(database_name),
            of_group(policy_name),
            integers(rows.iter().map(|(group, _)| group.id as i64)),
            of_group(start),
            of_group(end),
            strings(rows.iter().map(|(group, shard)| expiry_of_shard(group, shard))),
            strings(rows.iter().map(|(_, shard)| owners(shard))),
        ];
        sender.series(table(&database, &COLUMNS, values))?;
    }
    Ok(())
}

/// All of them in one table.
pub(super) fn groups(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    const COLUMNS: [&str; 6] =
        ["id", "database", "retention_policy", "start_time", "end_time", "expiry_time"];
    let groups = context.backend.shard_groups()?;
    let column = |of: fn(&ShardGroupInfo) -> Arc<str>| -> OutputColumn { strings(groups.iter().map(of)) };
    let values = vec![
        integers(groups.iter().map(|group| group.id as i64)),
        column(database_name),
        column(policy_name),
        column(start),
        column(end),
        column(expiry),
    ];
    sender.series(table("shard groups", &COLUMNS, values))
}

fn database_name(group: &ShardGroupInfo) -> Arc<str> {
    group.database.as_str().into()
}

fn policy_name(group: &ShardGroupInfo) -> Arc<str> {
    group.retention_policy.as_str().into()
}

fn start(group: &ShardGroupInfo) -> Arc<str> {
    seconds(group.start_ns)
}

fn end(group: &ShardGroupInfo) -> Arc<str> {
    seconds(group.end_ns)
}

/// As in InfluxDB the end of the group where points are kept for ever.
fn expiry(group: &ShardGroupInfo) -> Arc<str> {
    seconds(group.end_ns.saturating_add(group.retention_ns))
}

/// In a cluster, whose shards have owners, nothing where points are kept for ever.
fn expiry_of_shard(group: &ShardGroupInfo, shard: &ShardInfo) -> Arc<str> {
    if group.retention_ns == 0 && !shard.owners.is_empty() { Arc::from("") } else { expiry(group) }
}

/// RFC 3339 without fractions.
fn seconds(time_ns: i64) -> Arc<str> {
    let time = Timestamp::from_second(time_ns.div_euclid(1_000_000_000)).unwrap_or_default();
    time.to_string().into()
}

fn owners(shard: &ShardInfo) -> Arc<str> {
    shard.owners.iter().map(u64::to_string).collect::<Vec<_>>().join(",").into()
}
