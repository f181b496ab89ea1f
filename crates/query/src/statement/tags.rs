//! SHOW TAG KEYS and SHOW TAG VALUES.

use std::{collections::BTreeSet, sync::Arc};

use skywatch_influxql::{ShowTagKeys, ShowTagValues, Source, TagKeyFilter};
use skywatch_model::TimeRange;
use skywatch_storage::{SeriesRef, ShardRead, TagPredicate};

use super::{
    Context, Shards, cut,
    schema_condition::Condition,
    show::{is_open, names},
    strings, table,
    union::Union,
};
use crate::{QueryError, exec::Usage, executor::Sender, plan};

/// How many series are looked at before the query looks whether it is to stop.
const SERIES_PER_CHECK: usize = 1024;

/// Measurements of a database, over all its retention policies, that FROM names.
pub(super) fn measurements(
    context: &Context<'_>,
    database: &str,
    from: &[Source],
    range: TimeRange,
) -> Result<(Vec<Arc<str>>, Shards), QueryError> {
    let shards = if context.request.tags_by_policy {
        of_policy(context, database, from, range)?
    } else {
        context.all_shards(database, range)?
    };
    let wanted = |name: &str| {
        from.is_empty()
            || from.iter().any(|source| match source {
                Source::Measurement(measurement) => names(&measurement.name, name),
                Source::Subquery(_) => false,
            })
    };
    let found = plan::expand_measurements(&shards, wanted)?.into_iter().collect();
    Ok((found, shards))
}

/// The shards of the policy that FROM names first, else of the request's or the default one.
fn of_policy(
    context: &Context<'_>,
    database: &str,
    from: &[Source],
    range: TimeRange,
) -> Result<Shards, QueryError> {
    let named = match from.first() {
        Some(Source::Measurement(measurement)) => measurement.retention_policy.as_deref(),
        _ => None,
    };
    let requested = Some(context.request.retention_policy.as_str());
    let given = |name: &Option<&str>| name.is_some_and(|name| !name.is_empty());
    let name = [named, requested].into_iter().find(given).flatten();
    let policy = plan::policy_of(context.backend, database, name)?;
    Ok(context.backend.shards(database, &policy.name, range, context.reading)?)
}

/// What FROM names; nothing if it names nothing but empty names.
fn named(from: &[Source]) -> &[Source] {
    if is_open(from) { &[] } else { from }
}

pub(super) fn keys(
    context: &Context<'_>,
    show: &ShowTagKeys,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.database(show.database.as_deref())?;
    let condition = Condition::of(context, show.condition.as_ref())?;
    let (measurements, shards) = measurements(context, database, named(&show.from), condition.range)?;
    let usage = context.usage();
    for name in measurements {
        context.cancel.check()?;
        let chosen = condition.series_of(&name, &shards)?;
        let keys = cut(tag_keys(&name, &shards, &chosen, &usage)?, show.offset, show.limit);
        if !keys.is_empty() {
            sender.series(table(&name, &["tagKey"], vec![strings(keys)]))?;
        }
    }
    Ok(())
}

/// Tag keys of the series that satisfy the predicate.
pub(super) fn tag_keys(
    measurement: &str,
    shards: &[Arc<dyn ShardRead>],
    predicate: &TagPredicate,
    usage: &Usage<'_>,
) -> Result<BTreeSet<Arc<str>>, QueryError> {
    let mut keys = BTreeSet::new();
    for shard in shards {
        if matches!(predicate, TagPredicate::All) {
            keys.extend(shard.tag_keys(measurement)?);
            continue;
        }
        let series = shard.select_series(measurement, predicate)?;
        let _held = usage.hold_while(series.len() * size_of::<SeriesRef>())?;
        for (position, series) in series.into_iter().enumerate() {
            if position % SERIES_PER_CHECK == 0 {
                usage.cancel.check()?;
            }
            keys.extend(shard.series_tags(series).into_iter().map(|(key, _)| key));
        }
    }
    Ok(keys)
}

pub(super) fn values(
    context: &Context<'_>,
    show: &ShowTagValues,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.database(show.database.as_deref())?;
    let condition = Condition::of(context, show.condition.as_ref())?;
    let (measurements, shards) = measurements(context, database, named(&show.from), condition.range)?;
    let usage = context.usage();
    for name in measurements {
        context.cancel.check()?;
        let mut pairs = (Vec::new(), Vec::new());
        let mut held = Vec::new();
        let (mut skip, mut wanted) = (show.offset, if show.limit == 0 { u64::MAX } else { show.limit });
        let chosen = condition.series_of(&name, &shards)?;
        for_each_tag_value(&name, &shards, &chosen, &show.key, &usage, &mut |key, value| {
            if skip > 0 {
                skip -= 1;
                return Ok(true);
            }
            if pairs.0.len() % SERIES_PER_CHECK == 0 {
                // The texts are the index's own.
                held.push(usage.hold_while(2 * SERIES_PER_CHECK * size_of::<Arc<str>>())?);
            }
            pairs.0.push(Arc::clone(key));
            pairs.1.push(value);
            wanted -= 1;
            Ok(wanted > 0)
        })?;
        if !pairs.0.is_empty() {
            sender.series(table(&name, &["key", "value"], vec![strings(pairs.0), strings(pairs.1)]))?;
        }
    }
    Ok(())
}

/// Takes a tag's key and one of its values; whether more are wanted.
type VisitPair<'a> = dyn FnMut(&Arc<str>, Arc<str>) -> Result<bool, QueryError> + 'a;

/// Visits the values of the wanted keys among the series that satisfy the predicate, sorted by key, then by value,
/// until `visit` has enough.
pub(super) fn for_each_tag_value(
    measurement: &str,
    shards: &[Arc<dyn ShardRead>],
    predicate: &TagPredicate,
    wanted: &TagKeyFilter,
    usage: &Usage<'_>,
    visit: &mut VisitPair<'_>,
) -> Result<(), QueryError> {
    let mut known = BTreeSet::new();
    for shard in shards {
        known.extend(shard.tag_keys(measurement)?.into_iter().filter(|key| wanted.accepts(key)));
    }
    if !matches!(predicate, TagPredicate::All) {
        let keys: Vec<Arc<str>> = known.into_iter().collect();
        return visit_chosen(measurement, shards, predicate, &keys, usage, visit);
    }
    for key in known {
        let mut values = Union::new(usage);
        for shard in shards {
            values.add_tag_values(shard, measurement, &key)?;
        }
        for value in values {
            if !visit(&key, value?)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// As [`for_each_tag_value`], looking at one series after the other.
fn visit_chosen(
    measurement: &str,
    shards: &[Arc<dyn ShardRead>],
    predicate: &TagPredicate,
    keys: &[Arc<str>],
    usage: &Usage<'_>,
    visit: &mut VisitPair<'_>,
) -> Result<(), QueryError> {
    /// What a value takes in a set, besides its text.
    const VALUE_BYTES: usize = 64;
    let mut found: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); keys.len()];
    let mut held = Vec::new();
    for shard in shards {
        let series = shard.select_series(measurement, predicate)?;
        let _series = usage.hold_while(series.len() * size_of::<SeriesRef>())?;
        for series in series.chunks(SERIES_PER_CHECK) {
            usage.cancel.check()?;
            let mut bytes = 0;
            for series in series {
                let values = shard.tag_values_of(*series, keys);
                for (values, value) in found.iter_mut().zip(values).filter(|(_, value)| !value.is_empty()) {
                    let length = value.len();
                    bytes += if values.insert(value) { length + VALUE_BYTES } else { 0 };
                }
            }
            held.push(usage.hold_while(bytes)?);
        }
    }
    for (key, values) in keys.iter().zip(found) {
        for value in values {
            if !visit(key, value)? {
                return Ok(());
            }
        }
    }
    Ok(())
}
