//! How many series a database may have, and how many values a tag: limits over all shards of a database.
//!
//! Known series never meet them. A new one is looked at only when the shards together hold as many series as a limit
//! allows, each counted in every shard that has it; below that, no limit can have been reached. From there on the
//! distinct ones count: a key that another shard of the database knows is not new.
//!
//! Up to [`EXACT_MAX`] the distinct ones are counted; beyond, they are estimated with a [`SeriesSketch`], whose
//! standard error is 0.8 % and which series dropped leave only when their file is merged, as values of a tag do.
//!
//! Series of a database are created one shard at a time. Lock order: this, the creating shard's index, other indexes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard, RwLock};
use rustc_hash::FxHashSet;
use skywatch_model::series::{fnv1a64, parse_key};

use crate::{SeriesSketch, index::Index};

/// As many series, or values of a tag, are counted one by one; more are estimated.
const EXACT_MAX: u64 = 100_000;

/// Limits of one database; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardinalityLimits {
    /// Series, whatever measurement and shard they are in.
    pub max_series_per_database: u64,
    /// Values of one tag of one measurement.
    pub max_values_per_tag: u64,
}

impl CardinalityLimits {
    /// Nothing is limited.
    pub const NONE: Self = Self { max_series_per_database: 0, max_values_per_tag: 0 };
}

impl Default for CardinalityLimits {
    fn default() -> Self {
        Self { max_series_per_database: 10_000_000, max_values_per_tag: 10_000_000 }
    }
}

/// Why a new series is refused, in InfluxDB's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SeriesRefused {
    #[error("max-series-per-database limit exceeded: ({max})")]
    Series { max: u64 },
    #[error(
        "max-values-per-tag limit exceeded ({count}/{max}): measurement={measurement:?} tag={tag:?} value={value:?}"
    )]
    Values { count: u64, max: u64, measurement: String, tag: String, value: String },
}

/// See the module's header. Shared by the shards of one database.
#[derive(Debug)]
pub struct SeriesLimit {
    limits: CardinalityLimits,
    state: Mutex<State>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    shards: Vec<Weak<RwLock<Index>>>,
    /// What is known of distinct numbers holds as long as the shards' series add up to this: it changes otherwise
    /// only when series or shards are dropped.
    summed: u64,
    series: Option<u64>,
    /// By measurement and tag.
    values: HashMap<(String, String), u64>,
}

impl SeriesLimit {
    /// Limits without shards yet.
    pub fn new(limits: CardinalityLimits) -> Self {
        Self { limits, state: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// An estimate of the distinct series of all its shards.
    pub fn estimate(&self) -> u64 {
        let shards = self.state.lock().live();
        estimate(shards.iter().map(|shard| shard.read().sketch()))
    }

    /// How often a new series was refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a shard's series from now on. Called once for each.
    pub(crate) fn join(&self, index: &Arc<RwLock<Index>>) {
        self.state.lock().shards.push(Arc::downgrade(index));
    }

    /// Begins the creation of up to `wanted` series by the shard with this index, which is not locked yet.
    pub(crate) fn begin<'a>(&'a self, own: &Arc<RwLock<Index>>, wanted: u64) -> Admission<'a> {
        let CardinalityLimits { max_series_per_database, max_values_per_tag } = self.limits;
        let mut state = self.state.lock();
        let shards = state.live();
        let summed: u64 = shards.iter().map(|shard| shard.read().series_count()).sum();
        if summed != state.summed {
            state.series = None;
            state.values.clear();
            state.summed = summed;
        }
        let may_reach = |max: u64| max > 0 && summed.saturating_add(wanted) > max;
        let (series, values) = (may_reach(max_series_per_database), may_reach(max_values_per_tag));
        if series && state.series.is_none() {
            state.series = Some(distinct_series(&shards, summed));
        }
        let others = shards.into_iter().filter(|shard| !Arc::ptr_eq(shard, own)).collect();
        Admission { limits: self.limits, refused: &self.refused, state, others, series, values }
    }
}

impl State {
    fn live(&mut self) -> Vec<Arc<RwLock<Index>>> {
        self.shards.retain(|shard| shard.strong_count() > 0);
        self.shards.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Held while a shard creates series.
pub(crate) struct Admission<'a> {
    limits: CardinalityLimits,
    refused: &'a AtomicU64,
    state: MutexGuard<'a, State>,
    /// The other shards' indexes, youngest last.
    others: Vec<Arc<RwLock<Index>>>,
    /// Which limits can be reached at all.
    series: bool,
    values: bool,
}

impl Admission<'_> {
    /// Whether the shard may add this series, which its index does not have. If so, it has to.
    pub(crate) fn admit(&mut self, own: &Index, key: &str) -> Result<(), SeriesRefused> {
        if self.series || self.values {
            let known = || self.others.iter().rev().any(|other| other.read().find_series(key).is_some());
            if !known() {
                self.admit_new(own, key).inspect_err(|_| {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                })?;
            }
        }
        self.state.summed += 1;
        Ok(())
    }

    /// A series that is new to the database.
    fn admit_new(&mut self, own: &Index, key: &str) -> Result<(), SeriesRefused> {
        let max = self.limits.max_series_per_database;
        if self.series && self.state.series.is_some_and(|count| count >= max) {
            return Err(SeriesRefused::Series { max });
        }
        if self.values {
            self.admit_values(own, key)?;
        }
        if let Some(count) = &mut self.state.series {
            *count += 1;
        }
        Ok(())
    }

    fn admit_values(&mut self, own: &Index, key: &str) -> Result<(), SeriesRefused> {
        let max = self.limits.max_values_per_tag;
        let (measurement, tags) = parse_key(key);
        let mut fresh = Vec::new();
        for (tag, value) in &tags {
            let knows = |index: &Index| index.has_tag_value(&measurement, tag, value);
            if knows(own) || self.others.iter().rev().any(|other| knows(&other.read())) {
                continue;
            }
            let place = (measurement.to_string(), tag.to_string());
            let count = match self.state.values.get(&place) {
                Some(count) => *count,
                None => distinct_values(own, &self.others, &measurement, tag),
            };
            self.state.values.insert(place.clone(), count);
            if count >= max {
                let (measurement, tag) = place;
                return Err(SeriesRefused::Values { count, max, measurement, tag, value: value.to_string() });
            }
            fresh.push(place);
        }
        for place in fresh {
            *self.state.values.entry(place).or_default() += 1;
        }
        Ok(())
    }
}

fn estimate(mut sketches: impl Iterator<Item = SeriesSketch>) -> u64 {
    let Some(mut all) = sketches.next() else { return 0 };
    sketches.for_each(|sketch| all.merge(&sketch));
    all.estimate()
}

/// Distinct series of all shards, which are `summed` when counted in each.
fn distinct_series(shards: &[Arc<RwLock<Index>>], summed: u64) -> u64 {
    if shards.len() < 2 {
        return summed;
    }
    let about = estimate(shards.iter().map(|shard| shard.read().sketch())).min(summed);
    if about > EXACT_MAX {
        return about;
    }
    let mut keys: FxHashSet<u64> = FxHashSet::default();
    for shard in shards {
        shard.read().for_each_key(&mut |key| {
            keys.insert(fnv1a64(key.as_bytes()));
        });
    }
    keys.len() as u64
}

/// Distinct values of a tag in all shards.
fn distinct_values(own: &Index, others: &[Arc<RwLock<Index>>], measurement: &str, tag: &str) -> u64 {
    let count = |index: &Index| index.tag_values_at_most(measurement, tag);
    let summed = count(own) + others.iter().map(|other| count(&other.read())).sum::<u64>();
    if summed == 0 {
        return 0;
    }
    let visit = |take: &mut dyn FnMut(&str)| {
        own.for_each_tag_value(measurement, tag, take);
        others.iter().for_each(|other| other.read().for_each_tag_value(measurement, tag, take));
    };
    if summed > EXACT_MAX {
        let mut sketch = SeriesSketch::default();
        visit(&mut |value| sketch.insert(value));
        return sketch.estimate().min(summed);
    }
    let mut values: FxHashSet<u64> = FxHashSet::default();
    visit(&mut |value| {
        values.insert(fnv1a64(value.as_bytes()));
    });
    values.len() as u64
}

#[cfg(test)]
mod tests;
