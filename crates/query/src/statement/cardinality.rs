//! SHOW ... CARDINALITY, in the memory of a list of series numbers at most.
//!
//! An estimate is one of the whole database. What is counted is counted in one retention policy, that of each source or
//! the default one, as InfluxDB does.
//!
//! What InfluxDB estimates is counted here up to [`EXACT_SERIES_MAX`]; beyond, the shards' sketches give an estimate
//! whose standard error is 0.8 %. With EXACT, and of a part of a database, it is always counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use skywatch_influxql::{ShowCardinality, ShowTagValuesCardinality};
use skywatch_model::TimeRange;
use skywatch_storage::{SeriesSketch, ShardRead, TagPredicate};

use super::{Context, Shards, cut, integers, show, table, tags, union::Union};
use crate::{QueryError, exec::Usage, executor::Sender};

/// As many series, counted in every shard that has them, are not worth an estimate.
const EXACT_SERIES_MAX: u64 = 100_000;

/// The measurements a filter chooses, each with its shards, and the filter's condition on tags.
struct Chosen {
    measurements: BTreeMap<Arc<str>, Shards>,
    tags: TagPredicate,
}

fn refuse_groups(filter: &ShowCardinality) -> Result<(), QueryError> {
    if filter.group_by.is_empty() { Ok(()) } else { Err(super::unsupported("GROUP BY in SHOW CARDINALITY")) }
}

fn choose(context: &Context<'_>, filter: &ShowCardinality) -> Result<Chosen, QueryError> {
    refuse_groups(filter)?;
    let database = context.database(filter.database.as_deref())?;
    let condition = tags::Condition::of(context, filter.condition.as_ref())?;
    let measurements = show::by_policy(context, database, &filter.from, condition.range)?;
    Ok(Chosen { measurements, tags: condition.tags })
}

/// Whether InfluxDB would answer from its estimate of the whole database.
fn is_estimate(filter: &ShowCardinality) -> bool {
    !filter.exact && filter.from.is_empty() && filter.condition.is_none()
}

/// What an estimate is made of: all measurements of the database, all its shards.
fn whole_database(
    context: &Context<'_>,
    filter: &ShowCardinality,
) -> Result<(Vec<Arc<str>>, Shards), QueryError> {
    refuse_groups(filter)?;
    let database = context.database(filter.database.as_deref())?;
    tags::measurements(context, database, &[], TimeRange::ALL)
}

/// One row per measurement that counts anything.
fn per_measurement(
    filter: &ShowCardinality,
    chosen: &Chosen,
    sender: &mut Sender<'_>,
    count: impl Fn(&str, &Shards) -> Result<u64, QueryError>,
) -> Result<(), QueryError> {
    for (name, shards) in &chosen.measurements {
        let count = count(name, shards)?;
        if count > 0 {
            let rows = cut([count as i64], filter.offset, filter.limit);
            sender.series(table(name, &["count"], vec![integers(rows)]))?;
        }
    }
    Ok(())
}

/// Distinct series of a measurement that satisfy a condition on tags.
fn count_series(
    name: &str,
    shards: &Shards,
    tags: &TagPredicate,
    usage: &Usage<'_>,
) -> Result<u64, QueryError> {
    usage.cancel.check()?;
    let having: Vec<&Arc<dyn ShardRead>> =
        shards.iter().filter(|shard| shard.count_series(name, tags) > 0).collect();
    if let [shard] = having.as_slice() {
        return Ok(shard.count_series(name, tags));
    }
    let mut keys = Union::new(usage);
    for shard in having {
        keys.add_series(shard, name, tags)?;
    }
    keys.count_names()
}

/// About how many distinct series there are, if counting them is worth avoiding.
fn estimate_series(measurements: &[Arc<str>], shards: &Shards) -> Option<u64> {
    let per_shard = |shard: &Arc<dyn ShardRead>| -> u64 {
        measurements.iter().map(|name| shard.count_series(name, &TagPredicate::All)).sum()
    };
    let summed: u64 = shards.iter().map(per_shard).sum();
    if summed <= EXACT_SERIES_MAX || shards.len() < 2 {
        return None;
    }
    let mut all = SeriesSketch::default();
    for shard in shards {
        all.merge(&shard.series_sketch()?);
    }
    Some(all.estimate().min(summed))
}

pub(super) fn series(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let usage = context.usage();
    if !is_estimate(filter) {
        let chosen = choose(context, filter)?;
        return per_measurement(filter, &chosen, sender, |name, shards| {
            count_series(name, shards, &chosen.tags, &usage)
        });
    }
    let (names, shards) = whole_database(context, filter)?;
    let total = match estimate_series(&names, &shards) {
        Some(total) => total,
        None => {
            let counts = names.iter().map(|name| count_series(name, &shards, &TagPredicate::All, &usage));
            counts.sum::<Result<u64, QueryError>>()?
        }
    };
    sender.series(table("", &["cardinality estimation"], vec![integers([total as i64])]))
}

pub(super) fn measurements(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    if is_estimate(filter) {
        let (names, _) = whole_database(context, filter)?;
        return sender.series(table("", &["cardinality estimation"], vec![integers([names.len() as i64])]));
    }
    let chosen = choose(context, filter)?;
    let has_series = |(name, shards): &(&Arc<str>, &Shards)| match &chosen.tags {
        TagPredicate::All => true,
        predicate => shards.iter().any(|shard| shard.count_series(name, predicate) > 0),
    };
    let total = chosen.measurements.iter().filter(has_series).count() as i64;
    if total == 0 {
        return Ok(());
    }
    sender.series(table("", &["count"], vec![integers([total])]))
}

pub(super) fn tag_keys(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, filter)?;
    let usage = context.usage();
    per_measurement(filter, &chosen, sender, |name, shards| {
        Ok(tags::tag_keys(name, shards, &chosen.tags, &usage)?.len() as u64)
    })
}

pub(super) fn tag_values(
    context: &Context<'_>,
    show: &ShowTagValuesCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, &show.cardinality)?;
    let usage = context.usage();
    per_measurement(&show.cardinality, &chosen, sender, |name, shards| {
        let mut count = 0;
        tags::for_each_tag_value(name, shards, &chosen.tags, &show.key, &usage, &mut |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    })
}

pub(super) fn field_keys(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, filter)?;
    per_measurement(filter, &chosen, sender, |name, shards| {
        let fields = shards.iter().flat_map(|shard| shard.fields(name));
        Ok(fields.map(|(field, _)| field).collect::<BTreeSet<_>>().len() as u64)
    })
}
