//! What has come in since the last flush, by series and type, and what a flush says of it. Pure.

mod timing;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::line::{TimingKind, Value};
use crate::config::{ConfigError, Section};
use crate::metric::{Kind, Metric};
use timing::Timing;

/// Series kept at most: clients make up names.
const SERIES_MAX: usize = 1_000_000;
/// Members of a set kept at most.
const MEMBERS_MAX: usize = 1_000_000;
/// Observations of distributions kept for one flush, at most.
const DISTRIBUTIONS_MAX: usize = 1_000_000;

/// What the options say about it.
#[derive(Debug, Clone)]
pub(super) struct StoreOptions {
    delete_gauges: bool,
    delete_counters: bool,
    delete_sets: bool,
    delete_timings: bool,
    /// Each with the field's name.
    percentiles: Vec<(f64, String)>,
    percentile_limit: usize,
    /// Nanoseconds without a value after which a series is forgotten; 0 is never.
    max_ttl: i64,
    float_counters: bool,
    float_timings: bool,
    float_sets: bool,
    temporality: bool,
}

impl StoreOptions {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let mut percentiles = Vec::new();
        for percentile in section.floats("percentiles")?.unwrap_or_default() {
            if !(0.0..=100.0).contains(&percentile) {
                return Err(section.bad("percentiles", format!("{percentile} is not between 0 and 100")));
            }
            percentiles.push((percentile, format!("{percentile}_percentile")));
        }
        let mut flag = |key, default| Ok::<_, ConfigError>(section.boolean(key)?.unwrap_or(default));
        let (delete_gauges, delete_counters) = (flag("delete_gauges", true)?, flag("delete_counters", true)?);
        let (delete_sets, delete_timings) = (flag("delete_sets", true)?, flag("delete_timings", true)?);
        let (float_counters, float_timings) = (flag("float_counters", false)?, flag("float_timings", false)?);
        let float_sets = flag("float_sets", false)?;
        let temporality = flag("enable_aggregation_temporality", false)?;
        Ok(Self {
            delete_gauges,
            delete_counters,
            delete_sets,
            delete_timings,
            percentiles,
            percentile_limit: section.count("percentile_limit")?.filter(|limit| *limit > 0).unwrap_or(1000),
            max_ttl: section.duration("max_ttl")?.unwrap_or(0),
            float_counters,
            float_timings,
            float_sets,
            temporality,
        })
    }
}

/// A measurement, its tags, and the type, which is a tag as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Series {
    name: String,
    kind: &'static str,
    tags: BTreeMap<String, String>,
}

/// The fields of a series and when the last value came.
#[derive(Debug)]
struct Fields<T> {
    by_name: BTreeMap<String, T>,
    touched: i64,
}

/// Fields of one type, by series.
type Table<T> = HashMap<Series, Fields<T>>;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Store {
    options: StoreOptions,
    counters: Table<f64>,
    gauges: Table<f64>,
    sets: Table<HashSet<String>>,
    timings: Table<Timing>,
    distributions: Vec<(Series, String, f64)>,
    flushed_at: i64,
}

impl Store {
    /// An empty one, at a time in nanoseconds since the Unix epoch.
    pub(super) fn new(options: StoreOptions, now_ns: i64) -> Self {
        Self {
            options,
            counters: Table::new(),
            gauges: Table::new(),
            sets: Table::new(),
            timings: Table::new(),
            distributions: Vec::new(),
            flushed_at: now_ns,
        }
    }

    /// Takes a value in.
    pub(super) fn add(
        &mut self,
        name: String,
        field: String,
        tags: BTreeMap<String, String>,
        value: Value,
        now_ns: i64,
    ) -> Result<(), String> {
        let series = |kind| Series { name, kind, tags };
        match value {
            Value::Count(count) => {
                *entry(&mut self.counters, series("counter"), field, now_ns)? += count;
            }
            Value::Gauge { value, is_change } => {
                let gauge = entry(&mut self.gauges, series("gauge"), field, now_ns)?;
                *gauge = if is_change { *gauge + value } else { value };
            }
            Value::Member(member) => {
                let members = entry(&mut self.sets, series("set"), field, now_ns)?;
                if members.len() >= MEMBERS_MAX && !members.contains(&member) {
                    return Err(format!("the set has {MEMBERS_MAX} members already"));
                }
                members.insert(member);
            }
            Value::Timing { value, weight, kind } => {
                let kind = match kind {
                    TimingKind::Timing => "timing",
                    TimingKind::Histogram => "histogram",
                };
                let limit = self.options.percentile_limit;
                entry(&mut self.timings, series(kind), field, now_ns)?.add(value, weight, limit);
            }
            Value::Distribution(value) => {
                if self.distributions.len() >= DISTRIBUTIONS_MAX {
                    return Err(format!("{DISTRIBUTIONS_MAX} observations wait for the next flush already"));
                }
                self.distributions.push((series("distribution"), field, value));
            }
        }
        Ok(())
    }

    /// Says everything, at `now_ns`, and forgets what the options say.
    pub(super) fn flush(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        let options = &self.options;
        let start = options.temporality.then_some(self.flushed_at);
        for (series, field, value) in self.distributions.drain(..) {
            out.push(metric(&series, now_ns, None).field(field, value));
        }
        for (series, fields) in sorted(&self.timings) {
            let mut metric = metric(series, now_ns, temporality(start, options.delete_timings));
            for (name, timing) in &fields.by_name {
                let prefix = if name == "value" { String::new() } else { format!("{name}_") };
                timing.write(&mut metric, &prefix, &options.percentiles, options.float_timings);
            }
            out.push(metric);
        }
        for (series, fields) in sorted(&self.gauges) {
            let mut metric = metric(series, now_ns, temporality(start, false)).kind(Kind::Gauge);
            fields.by_name.iter().for_each(|(name, value)| metric.set_field(name.clone(), *value));
            out.push(metric);
        }
        for (series, fields) in sorted(&self.counters) {
            let mut metric =
                metric(series, now_ns, temporality(start, options.delete_counters)).kind(Kind::Counter);
            for (name, value) in &fields.by_name {
                match options.float_counters {
                    true => metric.set_field(name.clone(), *value),
                    false => metric.set_field(name.clone(), *value as i64),
                }
            }
            out.push(metric);
        }
        for (series, fields) in sorted(&self.sets) {
            let mut metric = metric(series, now_ns, temporality(start, options.delete_sets));
            for (name, members) in &fields.by_name {
                match options.float_sets {
                    true => metric.set_field(name.clone(), members.len() as f64),
                    false => metric.set_field(name.clone(), members.len() as i64),
                }
            }
            out.push(metric);
        }
        forget(&mut self.timings, self.options.delete_timings, self.options.max_ttl, now_ns);
        forget(&mut self.gauges, self.options.delete_gauges, self.options.max_ttl, now_ns);
        forget(&mut self.counters, self.options.delete_counters, self.options.max_ttl, now_ns);
        forget(&mut self.sets, self.options.delete_sets, self.options.max_ttl, now_ns);
        self.flushed_at = now_ns;
    }
}

fn entry<T: Default>(
    table: &mut Table<T>,
    series: Series,
    field: String,
    now_ns: i64,
) -> Result<&mut T, String> {
    if table.len() >= SERIES_MAX && !table.contains_key(&series) {
        return Err(format!("there are {SERIES_MAX} series already"));
    }
    let fields = table.entry(series).or_insert_with(|| Fields { by_name: BTreeMap::new(), touched: now_ns });
    fields.touched = now_ns;
    Ok(fields.by_name.entry(field).or_default())
}

/// In an order that does not change from flush to flush.
fn sorted<T>(table: &Table<T>) -> Vec<(&Series, &Fields<T>)> {
    let mut all: Vec<_> = table.iter().collect();
    all.sort_by_key(|(series, _)| *series);
    all
}

fn forget<T>(table: &mut Table<T>, all: bool, max_ttl: i64, now_ns: i64) {
    if all {
        table.clear();
    } else if max_ttl > 0 {
        table.retain(|_, fields| now_ns.saturating_sub(fields.touched) <= max_ttl);
    }
}

/// What a value covers: the time since the last flush, or since the start.
fn temporality(start: Option<i64>, is_delta: bool) -> Option<(i64, &'static str)> {
    start.map(|start| (start, if is_delta { "delta" } else { "cumulative" }))
}

fn metric(series: &Series, now_ns: i64, temporality: Option<(i64, &'static str)>) -> Metric {
    let mut metric = Metric::new(series.name.clone(), now_ns);
    series.tags.iter().for_each(|(key, value)| metric.set_tag(key.clone(), value.clone()));
    metric.set_tag("metric_type", series.kind);
    if let Some((start, temporality)) = temporality {
        metric.set_tag("temporality", temporality);
        if let Ok(start) = jiff::Timestamp::from_nanosecond(start.into()) {
            metric.set_field("start_time", start.round(jiff::Unit::Second).unwrap_or(start).to_string());
        }
    }
    metric
}
