//! SHOW ... CARDINALITY. What InfluxDB estimates is counted here: the index makes it cheap.

use std::{collections::BTreeSet, sync::Arc};

use skywatch_influxql::{ShowCardinality, ShowTagValuesCardinality};
use skywatch_storage::{ShardRead, TagPredicate};

use super::{Context, cut, integers, table, tags};
use crate::{QueryError, executor::Sender};

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
    count: impl Fn(&str) -> usize,
) -> Result<(), QueryError> {
    for name in &chosen.measurements {
        let count = count(name);
        if count > 0 {
            let rows = cut([count as i64], filter.offset, filter.limit);
            sender.series(table(name, &["count"], vec![integers(rows)]))?;
        }
    }
    Ok(())
}

pub(super) fn series(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, filter)?;
    let count = |name: &str| tags::series_keys(name, &chosen.shards, &chosen.tags).len();
    if is_estimate(filter) {
        let total: usize = chosen.measurements.iter().map(|name| count(name)).sum();
        return sender.series(table("", &["cardinality estimation"], vec![integers([total as i64])]));
    }
    per_measurement(filter, &chosen, sender, count)
}

pub(super) fn measurements(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, filter)?;
    let has_series = |name: &&Arc<str>| match &chosen.tags {
        TagPredicate::All => true,
        predicate => chosen.shards.iter().any(|shard| !shard.select_series(name, predicate).is_empty()),
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
    per_measurement(filter, &chosen, sender, |name| tags::tag_keys(name, &chosen.shards, &chosen.tags).len())
}

pub(super) fn tag_values(
    context: &Context<'_>,
    show: &ShowTagValuesCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, &show.cardinality)?;
    per_measurement(&show.cardinality, &chosen, sender, |name| {
        let values = tags::tag_values(name, &chosen.shards, &chosen.tags, &show.key);
        values.values().map(BTreeSet::len).sum()
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
        fields.map(|(field, _)| field).collect::<BTreeSet<_>>().len()
    })
}
