//! SHOW TAG KEYS and SHOW TAG VALUES; conditions of SHOW statements.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::tz::TimeZone;
use skywatch_influxql::{Expr, ShowTagKeys, ShowTagValues, Source, TagKeyFilter, split_condition};
use skywatch_model::TimeRange;
use skywatch_storage::{ShardRead, TagPredicate};

use super::{Context, Shards, cut, show::names, strings, table};
use crate::{QueryError, executor::Sender, plan};

/// The WHERE of a statement about the schema: on tags and time.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) tags: TagPredicate,
    pub(super) range: TimeRange,
    /// Whether it bounds the time at all.
    pub(super) mentions_time: bool,
}

impl Condition {
    pub(super) fn of(context: &Context<'_>, condition: Option<&Expr>) -> Result<Self, QueryError> {
        let (rest, bounds) = split_condition(condition, context.request.now_ns, &TimeZone::UTC)
            .map_err(|error| QueryError::invalid(error.to_string()))?;
        let tags = match rest {
            Some(rest) => plan::tags_only(&rest)
                .ok_or_else(|| QueryError::invalid("invalid tag comparison operator"))?,
            None => TagPredicate::All,
        };
        Ok(Self { tags, range: bounds.range(), mentions_time: !bounds.is_unbounded() })
    }
}

/// Measurements of a database, over all its retention policies, that FROM names.
pub(super) fn measurements(
    context: &Context<'_>,
    database: &str,
    from: &[Source],
    range: TimeRange,
) -> Result<(Vec<Arc<str>>, Shards), QueryError> {
    let shards = context.all_shards(database, range)?;
    let wanted = |name: &str| {
        from.is_empty()
            || from.iter().any(|source| match source {
                Source::Measurement(measurement) => names(&measurement.name, name),
                Source::Subquery(_) => false,
            })
    };
    let found = plan::expand_measurements(&shards, wanted).into_iter().collect();
    Ok((found, shards))
}

pub(super) fn keys(
    context: &Context<'_>,
    show: &ShowTagKeys,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.database(show.database.as_deref())?;
    let condition = Condition::of(context, show.condition.as_ref())?;
    let (measurements, shards) = measurements(context, database, &show.from, condition.range)?;
    for name in measurements {
        context.cancel.check()?;
        let keys = cut(tag_keys(&name, &shards, &condition.tags), show.offset, show.limit);
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
) -> BTreeSet<Arc<str>> {
    let mut keys = BTreeSet::new();
    for shard in shards {
        if matches!(predicate, TagPredicate::All) {
            keys.extend(shard.tag_keys(measurement));
            continue;
        }
        for series in shard.select_series(measurement, predicate) {
            keys.extend(shard.series_tags(series).into_iter().map(|(key, _)| key));
        }
    }
    keys
}

pub(super) fn values(
    context: &Context<'_>,
    show: &ShowTagValues,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let database = context.database(show.database.as_deref())?;
    let condition = Condition::of(context, show.condition.as_ref())?;
    let (measurements, shards) = measurements(context, database, &show.from, condition.range)?;
    for name in measurements {
        context.cancel.check()?;
        let values = tag_values(&name, &shards, &condition.tags, &show.key);
        let pairs = values
            .into_iter()
            .flat_map(|(key, values)| values.into_iter().map(move |value| (Arc::clone(&key), value)));
        let pairs = cut(pairs, show.offset, show.limit);
        if !pairs.is_empty() {
            let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            sender.series(table(&name, &["key", "value"], vec![strings(keys), strings(values)]))?;
        }
    }
    Ok(())
}

/// Values of the wanted keys among the series that satisfy the predicate.
pub(super) fn tag_values(
    measurement: &str,
    shards: &[Arc<dyn ShardRead>],
    predicate: &TagPredicate,
    wanted: &TagKeyFilter,
) -> BTreeMap<Arc<str>, BTreeSet<Arc<str>>> {
    let mut found: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
    for shard in shards {
        let keys: Vec<_> =
            shard.tag_keys(measurement).into_iter().filter(|key| wanted.accepts(key)).collect();
        if keys.is_empty() {
            continue;
        }
        if matches!(predicate, TagPredicate::All) {
            for key in keys {
                let values = shard.tag_values(measurement, &key);
                found.entry(key).or_default().extend(values);
            }
            continue;
        }
        for series in shard.select_series(measurement, predicate) {
            for (key, value) in shard.series_tags(series) {
                if keys.contains(&key) {
                    found.entry(key).or_default().insert(value);
                }
            }
        }
    }
    found
}

/// Keys of the series that satisfy the predicate.
pub(super) fn series_keys(
    measurement: &str,
    shards: &[Arc<dyn ShardRead>],
    predicate: &TagPredicate,
) -> BTreeSet<Arc<str>> {
    let keys = |shard: &Arc<dyn ShardRead>| {
        let series = shard.select_series(measurement, predicate);
        series.into_iter().map(|series| shard.series_key(series)).collect::<Vec<_>>()
    };
    shards.iter().flat_map(keys).collect()
}
