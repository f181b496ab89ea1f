//! SHOW ... CARDINALITY, in the memory of a list of series numbers at most.
//!
//! What InfluxDB estimates is counted here up to [`EXACT_SERIES_MAX`]; beyond, the shards' sketches give an estimate
//! whose standard error is 0.8 %. With EXACT, and of a part of a database, it is always counted.

use std::{collections::BTreeSet, sync::Arc};

use skywatch_influxql::{ShowCardinality, ShowTagValuesCardinality};
use skywatch_storage::{SeriesSketch, ShardRead, TagPredicate};

use super::{Context, cut, integers, table, tags, union::Union};
use crate::{QueryError, exec::Usage, executor::Sender};

/// As many series, counted in every shard that has them, are not worth an estimate.
const EXACT_SERIES_MAX: u64 = 100_000;

/// The measurements and shards a filter chooses, and its condition on tags.
struct Chosen {
    measurements: Vec<Arc<str>>,
    shards: Vec<Arc<dyn ShardRead>>,
    tags: TagPredicate,
}

fn choose(context: &Context<'_>, filter: &ShowCardinality) -> Result<Chosen, QueryError> {
    if !filter.group_by.is_empty() {
        return Err(super::unsupported("GROUP BY in SHOW CARDINALITY"));
    }
    let database = context.database(filter.database.as_deref())?;
    let condition = tags::Condition::of(context, filter.condition.as_ref())?;
    let (measurements, shards) = tags::measurements(context, database, &filter.from, condition.range)?;
    Ok(Chosen { measurements, shards, tags: condition.tags })
}

/// Whether InfluxDB would answer from its estimate of the whole database.
fn is_estimate(filter: &ShowCardinality) -> bool {
    !filter.exact && filter.from.is_empty() && filter.condition.is_none()
}

/// One row per measurement that counts anything.
fn per_measurement(
    filter: &ShowCardinality,
    chosen: &Chosen,
    sender: &mut Sender<'_>,
    count: impl Fn(&str) -> Result<u64, QueryError>,
) -> Result<(), QueryError> {
    for name in &chosen.measurements {
        let count = count(name)?;
        if count > 0 {
            let rows = cut([count as i64], filter.offset, filter.limit);
            sender.series(table(name, &["count"], vec![integers(rows)]))?;
        }
    }
    Ok(())
}

impl Chosen {
    /// Distinct series of a measurement.
    fn count_series(&self, name: &str, usage: &Usage<'_>) -> Result<u64, QueryError> {
        usage.cancel.check()?;
        let having: Vec<&Arc<dyn ShardRead>> =
            self.shards.iter().filter(|shard| shard.count_series(name, &self.tags) > 0).collect();
        if let [shard] = having.as_slice() {
            return Ok(shard.count_series(name, &self.tags));
        }
        let mut keys = Union::new(usage);
        for shard in having {
            keys.add_series(shard, name, &self.tags)?;
        }
        keys.count_names()
    }

    /// About how many distinct series there are, if counting them is worth avoiding.
    fn estimate_series(&self) -> Option<u64> {
        let per_shard = |shard: &Arc<dyn ShardRead>| -> u64 {
            self.measurements.iter().map(|name| shard.count_series(name, &TagPredicate::All)).sum()
        };
        let summed: u64 = self.shards.iter().map(per_shard).sum();
        if summed <= EXACT_SERIES_MAX || self.shards.len() < 2 {
            return None;
        }
        let mut all = SeriesSketch::default();
        for shard in &self.shards {
            all.merge(&shard.series_sketch()?);
        }
        Some(all.estimate().min(summed))
    }
}

pub(super) fn series(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, filter)?;
    let usage = context.usage();
    if !is_estimate(filter) {
        return per_measurement(filter, &chosen, sender, |name| chosen.count_series(name, &usage));
    }
    let total = match chosen.estimate_series() {
        Some(total) => total,
        None => {
            let counts = chosen.measurements.iter().map(|name| chosen.count_series(name, &usage));
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
    let chosen = choose(context, filter)?;
    let has_series = |name: &&Arc<str>| match &chosen.tags {
        TagPredicate::All => true,
        predicate => chosen.shards.iter().any(|shard| shard.count_series(name, predicate) > 0),
    };
    let total = chosen.measurements.iter().filter(has_series).count() as i64;
    let caption = if is_estimate(filter) { "cardinality estimation" } else { "count" };
    sender.series(table("", &[caption], vec![integers([total])]))
}

pub(super) fn tag_keys(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, filter)?;
    let usage = context.usage();
    per_measurement(filter, &chosen, sender, |name| {
        Ok(tags::tag_keys(name, &chosen.shards, &chosen.tags, &usage)?.len() as u64)
    })
}

pub(super) fn tag_values(
    context: &Context<'_>,
    show: &ShowTagValuesCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, &show.cardinality)?;
    let usage = context.usage();
    per_measurement(&show.cardinality, &chosen, sender, |name| {
        let mut count = 0;
        tags::for_each_tag_value(name, &chosen.shards, &chosen.tags, &show.key, &usage, &mut |_, _| {
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
    per_measurement(filter, &chosen, sender, |name| {
        let fields = chosen.shards.iter().flat_map(|shard| shard.fields(name));
        Ok(fields.map(|(field, _)| field).collect::<BTreeSet<_>>().len() as u64)
    })
}
