//! Where a SELECT reads: measurements of retention policies, as shard snapshots; and what fields and tags they have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use skywatch_influxql::{Measurement, MeasurementName, Select, Source};
use skywatch_model::{FieldType, TimeRange};
use skywatch_storage::{ReadError, ShardRead, TagPredicate};

use crate::{Backend, BackendError, QueryError, Reading, RetentionPolicyInfo};

/// A measurement and the shards that may hold it. One name from several retention policies is one source.
#[derive(Debug)]
pub(crate) struct NamedSource {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Sorted by range. A shard named twice in FROM is here twice.
    pub(crate) shards: Vec<Arc<dyn ShardRead>>,
    /// Whether it is the answer of subqueries: every row of it counts, and what it was grouped by is a tag of all series.
    pub(crate) is_answer: bool,
    /// How its rows come where they are shown as they are.
    pub(crate) order: RowOrder,
}

/// How rows that are shown as they are come out of several series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// By time; rows of one time as InfluxDB's heap leaves them.
    Heap,
    /// By time; rows of one time by series. So come the windows of a subquery.
    TimeThenSeries,
    /// By series: what a subquery calculates without `GROUP BY time()` is all of one window.
    Series,
}

/// What sources are resolved against.
#[derive(Clone, Copy)]
pub(crate) struct SourceContext<'a> {
    /// The node.
    pub(crate) backend: &'a dyn Backend,
    /// How shards are read.
    pub(crate) reading: &'a Reading,
    /// Database of sources that name none; may be empty.
    pub(crate) database: &'a str,
    /// Retention policy of sources that name none; empty means the default one.
    pub(crate) retention_policy: &'a str,
    /// What `now()` is.
    pub(crate) now_ns: i64,
    /// Of a subquery: the times that the statement around it may read.
    pub(crate) readable: Option<TimeRange>,
    /// Of a subquery: whether its `GROUP BY time()` is that of the query around it.
    pub(crate) inherits_interval: bool,
    /// Most windows; 0 is no limit.
    pub(crate) max_buckets: u64,
    /// Answers subqueries.
    pub(crate) subqueries: &'a dyn Subqueries,
}

impl fmt::Debug for SourceContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceContext")
            .field("database", &self.database)
            .field("retention_policy", &self.retention_policy)
            .finish_non_exhaustive()
    }
}

/// Runs subqueries.
pub(crate) trait Subqueries {
    /// The answer of a subquery.
    fn run(&self, select: &Select, outer: &Outer<'_>) -> Result<Answer, QueryError>;
}

/// What a subquery answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its rows, as a shard.
    pub(crate) shard: Arc<dyn ShardRead>,
    /// How they come if they are shown as they are.
    pub(crate) order: RowOrder,
}

/// What a subquery takes over from the query around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outer<'a> {
    /// The query around it.
    pub(crate) select: &'a Select,
    /// The times it reads.
    pub(crate) range: TimeRange,
    /// The times that anything in the statement may read.
    pub(crate) readable: TimeRange,
}

/// The sources of a FROM clause, sorted by name.
pub(super) fn resolve(
    outer: &Outer<'_>,
    context: &SourceContext<'_>,
) -> Result<Vec<NamedSource>, QueryError> {
    let range = outer.range;
    let mut sources: BTreeMap<Arc<str>, NamedSource> = BTreeMap::new();
    let mut add = |name: Arc<str>, shards: &[Arc<dyn ShardRead>], is_answer: bool, order: RowOrder| {
        let source = sources.entry(Arc::clone(&name)).or_insert_with(|| NamedSource {
            name,
            shards: Vec::new(),
            is_answer,
            order,
        });
        source.shards.extend(shards.iter().cloned());
        source.is_answer &= is_answer;
        if source.order != order {
            source.order = RowOrder::Heap;
        }
    };
    for source in &outer.select.from {
        match source {
            Source::Measurement(measurement) => {
                let shards = shards_of(measurement, range, context)?;
                match &measurement.name {
                    MeasurementName::Name(name) => add(name.as_str().into(), &shards, false, RowOrder::Heap),
                    MeasurementName::Regex(regex) => {
                        for name in expand_measurements(&shards, |name| regex.is_match(name))? {
                            add(name, &shards, false, RowOrder::Heap);
                        }
                    }
                }
            }
            Source::Subquery(select) => {
                let Answer { shard, order } = context.subqueries.run(select, outer)?;
                for name in shard.measurements()? {
                    add(name, &[Arc::clone(&shard)], true, order);
                }
            }
        }
    }
    Ok(sources
        .into_values()
        .map(|mut source| {
            source.shards.sort_by_key(|shard| shard.time_range().start);
            source
        })
        .collect())
}

fn shards_of(
    measurement: &Measurement,
    range: TimeRange,
    context: &SourceContext<'_>,
) -> Result<Vec<Arc<dyn ShardRead>>, QueryError> {
    let database = measurement.database.as_deref().unwrap_or(context.database);
    if database.is_empty() {
        return Err(QueryError::DatabaseRequired);
    }
    let named = measurement.retention_policy.as_deref().filter(|name| !name.is_empty());
    // As in InfluxDB the request's policy counts in every database.
    let policy = named.or_else(|| Some(context.retention_policy).filter(|name| !name.is_empty()));
    let policy = policy_of(context.backend, database, policy)?;
    if range.is_empty() {
        return Ok(Vec::new());
    }
    Ok(context.backend.shards(database, &policy.name, range, context.reading)?)
}

/// The policy of that name, or the default one where none is named.
pub(crate) fn policy_of(
    backend: &dyn Backend,
    database: &str,
    name: Option<&str>,
) -> Result<RetentionPolicyInfo, QueryError> {
    let mut policies = backend.retention_policies(database)?.into_iter();
    let found = match name {
        Some(name) => policies.find(|policy| policy.name == name),
        None => policies.find(|policy| policy.is_default),
    };
    found.ok_or_else(|| match name {
        Some(name) => QueryError::Backend(BackendError::RetentionPolicyNotFound(name.to_owned())),
        None => QueryError::invalid(format!("default retention policy not set for: {database}")),
    })
}

/// Names of measurements in any of the shards that are wanted, sorted.
pub(crate) fn expand_measurements(
    shards: &[Arc<dyn ShardRead>],
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeSet<Arc<str>>, ReadError> {
    let mut names = BTreeSet::new();
    for shard in shards {
        names.extend(shard.measurements()?.into_iter().filter(|name| wanted(name)));
    }
    Ok(names)
}

/// So many shards of other nodes are asked at once.
pub(crate) const SHARDS_AHEAD: usize = 16;

/// Fields and tags over all sources of a query.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Fields with their types; where shards disagree, the one that takes precedence.
    pub(crate) fields: BTreeMap<Arc<str>, FieldType>,
    /// Tag keys.
    pub(crate) tags: BTreeSet<Arc<str>>,
}

impl Schema {
    /// `wants_all_series` tells that every series will be asked for next.
    pub(crate) fn of(sources: &[NamedSource], wants_all_series: bool) -> Result<Self, ReadError> {
        let mut schema = Self::default();
        for source in sources {
            let shards = &source.shards;
            let expect = |shard: &Arc<dyn ShardRead>| {
                shard.expect(&source.name);
                if wants_all_series {
                    shard.expect_series(&source.name, &TagPredicate::All);
                }
            };
            shards.iter().take(SHARDS_AHEAD).for_each(expect);
            for (index, shard) in shards.iter().enumerate() {
                shards.get(index + SHARDS_AHEAD).into_iter().for_each(expect);
                for (name, field_type) in shard.fields(&source.name)? {
                    let known = schema.fields.entry(name).or_insert(field_type);
                    if precedence(field_type) < precedence(*known) {
                        *known = field_type;
                    }
                }
                schema.tags.extend(shard.tag_keys(&source.name)?);
            }
        }
        Ok(schema)
    }

    pub(crate) fn field_type(&self, name: &str) -> Option<FieldType> {
        self.fields.get(name).copied()
    }

    pub(crate) fn is_tag(&self, name: &str) -> bool {
        self.tags.contains(name)
    }
}

/// Which type a field has when shards disagree: the smallest. As InfluxDB's `DataType.LessThan`.
pub(crate) const fn precedence(field_type: FieldType) -> u8 {
    match field_type {
        FieldType::Float => 0,
        FieldType::Integer => 1,
        FieldType::Unsigned => 2,
        FieldType::String => 3,
        FieldType::Boolean => 4,
    }
}
