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

use skywatch_influxql::{BinaryOp, Expr, ShowCardinality, ShowTagValuesCardinality, Source, WildcardKind};
use skywatch_model::TimeRange;
use skywatch_storage::{ReadError, SeriesSketch, ShardRead, TagPredicate};

use super::{
    Context, Shards, cut, integers, qualify, schema_condition::Condition, show, table, tags, union::Union,
};
use crate::{BackendError, OutputColumn, QueryError, ResultSeries, exec::Usage, executor::Sender};

type Tags = Arc<[(Arc<str>, Arc<str>)]>;

/// As many series, counted in every shard that has them, are not worth an estimate.
const EXACT_SERIES_MAX: u64 = 100_000;

/// The measurements a filter chooses, each with its shards, and the filter's condition.
struct Chosen {
    measurements: BTreeMap<Arc<str>, Shards>,
    condition: Condition,
}

/// What is counted. InfluxDB selects it as if it were data: sources are looked at first, and its rows are of 1970.
fn choose(context: &Context<'_>, filter: &ShowCardinality) -> Result<Chosen, QueryError> {
    for source in &filter.from {
        if let Source::Measurement(measurement) = source {
            qualify::check_name(measurement)?;
        }
    }
    let database = context.named_or_requested(filter.database.as_deref());
    let condition = Condition::of(context, filter.condition.as_ref())?;
    let mut measurements = show::by_policy(context, database, &filter.from, condition.range)?;
    if !(condition.range.start..=condition.range.end).contains(&0) {
        measurements.clear();
    }
    Ok(Chosen { measurements, condition })
}

/// As [`choose`], for what may not be bounded in time.
fn choose_ever(context: &Context<'_>, filter: &ShowCardinality, what: &str) -> Result<Chosen, QueryError> {
    if filter.condition.as_ref().is_some_and(bounds_time) {
        return Err(QueryError::invalid(format!(
            "SHOW {what} CARDINALITY doesn't support time in WHERE clause"
        )));
    }
    choose(context, filter)
}

/// Whether a condition compares `time`, on the left as InfluxDB sees it.
fn bounds_time(condition: &Expr) -> bool {
    match condition {
        Expr::Paren(inner) => bounds_time(inner),
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            bounds_time(&binary.lhs) || bounds_time(&binary.rhs)
        }
        Expr::Binary(binary) => {
            matches!(&binary.lhs, Expr::VarRef(name) if name.name.eq_ignore_ascii_case("time"))
        }
        _ => false,
    }
}

/// Whether InfluxDB would answer from its estimate of the whole database.
fn is_estimate(filter: &ShowCardinality) -> bool {
    !filter.exact && filter.from.is_empty() && filter.condition.is_none() && filter.group_by.is_empty()
}

/// What an estimate is made of: all measurements of the database, all its shards. None of a database that is not there.
fn whole_database(
    context: &Context<'_>,
    filter: &ShowCardinality,
) -> Result<(Vec<Arc<str>>, Shards), QueryError> {
    let database = context.database(filter.database.as_deref())?;
    match tags::measurements(context, database, &[], TimeRange::ALL) {
        Err(QueryError::Backend(BackendError::DatabaseNotFound(_))) => Ok((Vec::new(), Vec::new())),
        found => found,
    }
}

/// One row per measurement, and per group of its series, that counts anything.
fn per_measurement(
    filter: &ShowCardinality,
    chosen: &Chosen,
    usage: &Usage<'_>,
    sender: &mut Sender<'_>,
    count: impl Fn(&str, &Shards, &TagPredicate) -> Result<u64, QueryError>,
) -> Result<(), QueryError> {
    let keys = chosen.dimensions(&filter.group_by)?;
    for (name, shards) in &chosen.measurements {
        for group in chosen.groups(name, shards, &keys, usage)? {
            let count = count(name, shards, &group.predicate)?;
            if count > 0 {
                let rows = cut([count as i64], filter.offset, filter.limit);
                sender.series(group.series(name, integers(rows)))?;
            }
        }
    }
    Ok(())
}

/// Series of a measurement that GROUP BY puts together.
struct Group {
    tags: Tags,
    predicate: TagPredicate,
}

impl Group {
    fn series(self, name: &str, counts: OutputColumn) -> ResultSeries {
        ResultSeries { tags: self.tags, ..table(name, &["count"], vec![counts]) }
    }
}

impl Chosen {
    /// The tag keys that GROUP BY names, sorted.
    fn dimensions(&self, group_by: &[Expr]) -> Result<Vec<Arc<str>>, QueryError> {
        let mut keys: BTreeSet<Arc<str>> = BTreeSet::new();
        let all = || -> Result<Vec<Arc<str>>, QueryError> {
            let mut all = Vec::new();
            for (name, shards) in &self.measurements {
                for shard in shards {
                    all.extend(shard.tag_keys(name)?);
                }
            }
            Ok(all)
        };
        for dimension in group_by {
            match dimension {
                Expr::VarRef(tag) => keys.extend([Arc::from(tag.name.as_str())]),
                Expr::Wildcard(None | Some(WildcardKind::Tag)) => keys.extend(all()?),
                Expr::Regex(regex) => keys.extend(all()?.into_iter().filter(|key| regex.is_match(key))),
                other => {
                    let text = format!("SHOW CARDINALITY cannot GROUP BY {other}: only by tags");
                    return Err(QueryError::invalid(text));
                }
            }
        }
        Ok(keys.into_iter().collect())
    }

    /// The groups of a measurement's series, sorted by tags; all in one without keys.
    fn groups(
        &self,
        name: &str,
        shards: &Shards,
        keys: &[Arc<str>],
        usage: &Usage<'_>,
    ) -> Result<Vec<Group>, QueryError> {
        /// What a value takes in a set; its text is the index's own.
        const VALUE_BYTES: usize = 64;
        let chosen = self.condition.counted_series_of(name, shards)?;
        if keys.is_empty() {
            return Ok(vec![Group { tags: Arc::new([]), predicate: chosen }]);
        }
        let mut found: BTreeSet<Vec<Arc<str>>> = BTreeSet::new();
        let mut held = Vec::new();
        for shard in shards {
            let series = shard.select_series(name, &chosen)?;
            let _series = usage.hold_while(size_of_val(series.as_slice()))?;
            for series in series {
                if found.insert(shard.tag_values_of(series, keys)) {
                    usage.cancel.check()?;
                    held.push(usage.hold_while(keys.len() * VALUE_BYTES)?);
                }
            }
        }
        let group = |values: Vec<Arc<str>>| {
            let tags: Tags = keys.iter().cloned().zip(values).collect();
            let equal = |(key, value): &(Arc<str>, Arc<str>)| TagPredicate::Equal {
                key: Arc::clone(key),
                value: Arc::clone(value),
            };
            let all = std::iter::once(chosen.clone()).chain(tags.iter().map(equal)).collect();
            Group { predicate: TagPredicate::And(all), tags }
        };
        Ok(found.into_iter().map(group).collect())
    }
}

/// Distinct series of a measurement that satisfy a condition on tags.
fn count_series(
    name: &str,
    shards: &Shards,
    tags: &TagPredicate,
    usage: &Usage<'_>,
) -> Result<u64, QueryError> {
    usage.cancel.check()?;
    let mut having: Vec<(&Arc<dyn ShardRead>, u64)> = Vec::new();
    for shard in shards {
        let count = shard.count_series(name, tags)?;
        if count > 0 {
            having.push((shard, count));
        }
    }
    if let [(_, count)] = having.as_slice() {
        return Ok(*count);
    }
    let mut keys = Union::new(usage);
    for (shard, _) in having {
        keys.add_series(shard, name, tags)?;
    }
    keys.count_names()
}

/// About how many distinct series there are, if counting them is worth avoiding.
fn estimate_series(measurements: &[Arc<str>], shards: &Shards) -> Result<Option<u64>, ReadError> {
    let mut summed = 0;
    for shard in shards {
        for name in measurements {
            summed += shard.count_series(name, &TagPredicate::All)?;
        }
    }
    if summed <= EXACT_SERIES_MAX || shards.len() < 2 {
        return Ok(None);
    }
    let mut all = SeriesSketch::default();
    for shard in shards {
        let Some(sketch) = shard.series_sketch()? else { return Ok(None) };
        all.merge(&sketch);
    }
    Ok(Some(all.estimate().min(summed)))
}

pub(super) fn series(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let usage = context.usage();
    if !is_estimate(filter) {
        let chosen = choose_ever(context, filter, "SERIES EXACT")?;
        return per_measurement(filter, &chosen, &usage, sender, |name, shards, tags| {
            count_series(name, shards, tags, &usage)
        });
    }
    let (names, shards) = whole_database(context, filter)?;
    let total = match estimate_series(&names, &shards)? {
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
    let chosen = choose_ever(context, filter, "MEASUREMENT EXACT")?;
    if !filter.group_by.is_empty() {
        return grouped_measurements(context, filter, &chosen, sender);
    }
    let mut total = 0;
    for (name, shards) in &chosen.measurements {
        let has_series = match chosen.condition.counted_series_of(name, shards)? {
            TagPredicate::All => true,
            predicate => has_series(name, shards, &predicate)?,
        };
        total += i64::from(has_series);
    }
    if total == 0 {
        return Ok(());
    }
    sender.series(table("", &["count"], vec![integers([total])]))
}

/// Whether some series of a measurement satisfies a condition on tags.
fn has_series(name: &str, shards: &Shards, predicate: &TagPredicate) -> Result<bool, ReadError> {
    for shard in shards {
        if shard.count_series(name, predicate)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many measurements have series in each group.
fn grouped_measurements(
    context: &Context<'_>,
    filter: &ShowCardinality,
    chosen: &Chosen,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let usage = context.usage();
    let keys = chosen.dimensions(&filter.group_by)?;
    let mut counts: BTreeMap<Tags, i64> = BTreeMap::new();
    for (name, shards) in &chosen.measurements {
        for group in chosen.groups(name, shards, &keys, &usage)? {
            *counts.entry(group.tags).or_default() += 1;
        }
    }
    for (tags, count) in counts {
        let group = Group { tags, predicate: TagPredicate::All };
        sender.series(group.series("", integers(cut([count], filter.offset, filter.limit))))?;
    }
    Ok(())
}

pub(super) fn tag_keys(
    context: &Context<'_>,
    filter: &ShowCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose_ever(context, filter, "TAG KEY EXACT")?;
    let usage = context.usage();
    per_measurement(filter, &chosen, &usage, sender, |name, shards, tags| {
        Ok(tags::tag_keys(name, shards, tags, &usage)?.len() as u64)
    })
}

pub(super) fn tag_values(
    context: &Context<'_>,
    show: &ShowTagValuesCardinality,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let chosen = choose(context, &show.cardinality)?;
    let usage = context.usage();
    per_measurement(&show.cardinality, &chosen, &usage, sender, |name, shards, tags| {
        let mut count = 0;
        tags::for_each_tag_value(name, shards, tags, &show.key, &usage, &mut |_, _| {
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
    let chosen = choose_ever(context, filter, "FIELD KEY")?;
    let usage = context.usage();
    per_measurement(filter, &chosen, &usage, sender, |name, shards, series| {
        if !matches!(series, TagPredicate::All) && !has_series(name, shards, series)? {
            return Ok(0);
        }
        let mut fields = BTreeSet::new();
        for shard in shards {
            fields.extend(shard.fields(name)?.into_iter().map(|(field, _)| field));
        }
        Ok(fields.len() as u64)
    })
}
