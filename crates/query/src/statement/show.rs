//! SHOW of databases, policies, fields and series.

use std::{collections::BTreeMap, sync::Arc};

use skywatch_influxql::{
    Measurement, MeasurementName, ShowFieldKeys, ShowRetentionPolicies, ShowSeries, Source,
};
use skywatch_model::{Column, FieldType, TimeRange, Values};

use super::{Context, Shards, cut, integers, schema_condition::Condition, strings, table, union::Union};
use crate::{
    OutputColumn, QueryError, ResultSeries,
    executor::Sender,
    plan::{expand_measurements, policy_of},
};

pub(super) fn databases(context: &Context<'_>, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    let mut names = context.backend.databases()?;
    names.retain(|name| context.request.identity.may_read(name) || context.request.identity.may_write(name));
    sender.series(table("databases", &["name"], vec![strings(names.into_iter().map(Arc::from))]))
}

pub(super) fn retention_policies(
    context: &Context<'_>,
    show: &ShowRetentionPolicies,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.database(show.database.as_deref())?;
    let policies = context.backend.retention_policies(database)?;
    let durations = |of: fn(&crate::RetentionPolicyInfo) -> i64| {
        strings(policies.iter().map(|policy| go_duration(of(policy)).into()))
    };
    let default = Values::Boolean(policies.iter().map(|policy| policy.is_default).collect());
    let values = vec![
        strings(policies.iter().map(|policy| policy.name.as_str().into())),
        durations(|policy| policy.duration_ns),
        durations(|policy| policy.shard_group_duration_ns),
        integers(policies.iter().map(|policy| i64::from(policy.replica_n))),
        OutputColumn::Values(Column { values: default, valid: None }),
    ];
    sender.series(table("", &["name", "duration", "shardGroupDuration", "replicaN", "default"], values))
}

/// A duration of whole microseconds or more as Go writes it: `168h0m0s`, `1m30s`, `1.5s`, `74µs`.
pub(crate) fn go_duration(nanoseconds: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    if total == 0 {
        return "0s".to_owned();
    }
    let decimal = |value: u64, unit: u64| {
        let (whole, rest) = (value / unit, value % unit);
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
    };
    let text = match total {
        0..1_000 => format!("{total}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(total, 1_000)),
        1_000_000..SECOND => format!("{}ms", decimal(total, 1_000_000)),
        _ => {
            let (hours, minutes) = (total / (3600 * SECOND), total / (60 * SECOND) % 60);
            let seconds = format!("{}s", decimal(total % (60 * SECOND), SECOND));
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

/// Whether FROM names no measurement. An empty name is none to statements that only show something, so that FROM ""
/// leaves the choice open.
pub(super) fn is_open(from: &[Source]) -> bool {
    let is_empty = |name: &MeasurementName| matches!(name, MeasurementName::Name(name) if name.is_empty());
    from.iter().all(|source| matches!(source, Source::Measurement(source) if is_empty(&source.name)))
}

/// Whether a source names a measurement.
pub(super) fn names(wanted: &MeasurementName, name: &str) -> bool {
    match wanted {
        MeasurementName::Name(wanted) => wanted == name,
        MeasurementName::Regex(regex) => regex.is_match(name),
    }
}

/// Measurements with their shards, for statements that InfluxDB answers from one retention policy: that of each
/// source, of the request, or the default one. `database` is that of sources that name none; it may be empty if there
/// are no such sources.
pub(super) fn by_policy(
    context: &Context<'_>,
    database: &str,
    from: &[Source],
    range: TimeRange,
) -> Result<BTreeMap<Arc<str>, Shards>, QueryError> {
    let every = Source::Measurement(Measurement {
        database: None,
        retention_policy: None,
        name: MeasurementName::Name(String::new()),
    });
    let sources = if from.is_empty() { std::slice::from_ref(&every) } else { from };
    let is_open = is_open(from);
    let mut found: BTreeMap<Arc<str>, Shards> = BTreeMap::new();
    for source in sources {
        let Source::Measurement(source) = source else {
            return Err(super::unsupported("SHOW FROM a subquery"));
        };
        let database = source.database.as_deref().unwrap_or(database);
        if database.is_empty() {
            return Err(QueryError::DatabaseRequired);
        }
        let named = source.retention_policy.as_deref().filter(|name| !name.is_empty());
        let requested = Some(context.request.retention_policy.as_str()).filter(|name| !name.is_empty());
        let policy = policy_of(context.backend, database, named.or(requested))?;
        let shards = context.backend.shards(database, &policy.name, range, context.reading)?;
        for name in expand_measurements(&shards, |name| is_open || names(&source.name, name))? {
            found.entry(name).or_default().extend(shards.iter().cloned());
        }
    }
    Ok(found)
}

pub(super) fn field_keys(
    context: &Context<'_>,
    show: &ShowFieldKeys,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.named_or_requested(show.database.as_deref());
    for (name, shards) in by_policy(context, database, &show.from, TimeRange::ALL)? {
        let mut fields: Vec<(Arc<str>, FieldType)> = Vec::new();
        for shard in &shards {
            fields.extend(shard.fields(&name)?);
        }
        fields.sort();
        fields.dedup();
        let fields = cut(fields, show.offset, show.limit);
        if fields.is_empty() {
            continue;
        }
        send_in_pieces(sender, &fields, &|fields| {
            let values = vec![
                strings(fields.iter().map(|(field, _)| Arc::clone(field))),
                strings(fields.iter().map(|(_, field_type)| field_type.name().into())),
            ];
            table(&name, &["fieldKey", "fieldType"], values)
        })?;
    }
    Ok(())
}

pub(super) fn series(
    context: &Context<'_>,
    show: &ShowSeries,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.named_or_requested(show.database.as_deref());
    let condition = Condition::of(context, show.condition.as_ref())?;
    let usage = context.usage();
    let found = by_policy(context, database, &show.from, condition.range)?;
    let mut keys = Union::new(&usage);
    for (name, shards) in &found {
        let chosen = condition.series_of(name, shards)?;
        for shard in shards {
            keys.add_series(shard, name, &chosen)?;
        }
    }
    let limit = if show.limit == 0 { usize::MAX } else { show.limit as usize };
    let mut keys = keys.skip(show.offset as usize).take(limit).peekable();
    // One piece at a time; how large it may be is up to the client.
    while keys.peek().is_some() {
        let mut piece: Vec<Arc<str>> = Vec::new();
        let mut held = Vec::new();
        while piece.len() < sender.piece_rows()
            && let Some(key) = keys.next()
        {
            if piece.len().is_multiple_of(KEYS_PER_HOLD) {
                held.push(usage.hold_while(KEYS_PER_HOLD * size_of::<Arc<str>>())?);
            }
            piece.push(key?);
        }
        let partial = keys.peek().is_some();
        let series = table("", &["key"], vec![strings(piece)]);
        sender.series(ResultSeries { partial, ..series })?;
    }
    Ok(())
}

/// Keys of a piece are counted in steps of so many.
const KEYS_PER_HOLD: usize = 1024;

/// Sends a table in pieces of the size the client asked for. InfluxDB does so with field keys and series, which it
/// selects as if they were data; other tables it sends whole.
fn send_in_pieces<T>(
    sender: &mut Sender<'_>,
    rows: &[T],
    table: &dyn Fn(&[T]) -> ResultSeries,
) -> Result<(), QueryError> {
    let mut pieces = rows.chunks(sender.piece_rows()).peekable();
    while let Some(piece) = pieces.next() {
        let partial = pieces.peek().is_some();
        sender.series(ResultSeries { partial, ..table(piece) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::go_duration;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (604_800_000_000_000, "168h0m0s"),
            (90_000_000_000, "1m30s"),
            (1_500_000_000, "1.5s"),
            (74_000, "74µs"),
            (1_250_000, "1.25ms"),
            (999, "999ns"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(nanoseconds), text);
        }
    }
}
