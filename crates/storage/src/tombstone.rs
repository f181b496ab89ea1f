//! Deletes that have not reached the files yet.
//!
//! A [`Tombstone`] says: cells of these series and times, of a lower version than mine, are gone. It is a cell's
//! greatest version that decides, and a delete is a version like any other; so cells and tombstones may arrive in any
//! order, any number of times, and leave the same behind.
//!
//! ```text
//! where a cell is                      it is deleted when
//! memtable, log                        its version is lower than the tombstone's
//! segment below the barrier            so too; a settled cell has version zero, and is always older
//! segment at or above the barrier      never: the tombstone was applied when the segment was written
//! ```
//!
//! The barrier is the number of the next file at the moment of the delete. Whoever writes a segment takes its number
//! and the tombstones at one moment, so that every segment falls on one side. A tombstone goes when nothing is left that
//! it could apply to. [`mask`](mod@mask) applies tombstones to rows, [`wire`] is their form in log and manifest, and
//! [`waste`] decides when a segment is rewritten for what it no longer says.

mod mask;
mod waste;
mod wire;

use std::sync::Arc;

use roaring::RoaringBitmap;
use skywatch_model::{TimeRange, Version, series::parse_key};

pub(crate) use mask::{Fate, Mask, fate, mask, survives};
pub(crate) use waste::{Waste, worth_rewriting};
pub(crate) use wire::{MAX_DEPTH, depth, put_bitmap, put_tombstone, take_bitmap, take_tombstone};

use crate::{TagPredicate, VersionPolicy, rows::SeriesId, segment::SegmentMeta};

/// Tombstones a shard holds at most; a delete beyond is refused until compaction has carried some out.
pub(crate) const MAX_TOMBSTONES: usize = 4096;
/// With more than this, segments are rewritten for less.
pub(crate) const MANY_TOMBSTONES: usize = 64;

/// See the module's header.
#[derive(Debug, Clone)]
pub(crate) struct Tombstone {
    /// Unique within the shard.
    pub(crate) id: u64,
    /// Cells of lower versions are deleted.
    pub(crate) version: Version,
    /// Times concerned.
    pub(crate) range: TimeRange,
    /// Segments from this number on have had it applied.
    pub(crate) barrier: u64,
    /// Rows older than the delete are in log files up to this one.
    pub(crate) log: u64,
    /// Series concerned, of those with numbers below `resolved`.
    pub(crate) series: RoaringBitmap,
    /// The first number not yet given out at the moment of the delete.
    pub(crate) resolved: u32,
    /// Which series with later numbers are concerned too. Only where other owners may still send points that are older
    /// than the delete.
    pub(crate) rule: Option<Rule>,
}

/// Series by what they are called: what a delete means wherever it is carried out.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Exact names.
    pub measurements: Vec<Arc<str>>,
    /// Of their tags.
    pub predicate: TagPredicate,
}

impl Rule {
    /// Whether the series with this key is meant.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let (measurement, tags) = parse_key(key);
        let value = |key: &str| tags.iter().find(|(tag, _)| tag == key).map_or("", |(_, value)| value);
        self.measurements.iter().any(|name| **name == *measurement) && holds(&self.predicate, &value)
    }
}

fn holds<'a>(predicate: &TagPredicate, value: &impl Fn(&str) -> &'a str) -> bool {
    match predicate {
        TagPredicate::All => true,
        TagPredicate::None => false,
        TagPredicate::Equal { key, value: wanted } => value(key) == &**wanted,
        TagPredicate::Matches { key, regex } => regex.is_match(value(key)),
        TagPredicate::Not(inner) => !holds(inner, value),
        TagPredicate::And(all) => all.iter().all(|inner| holds(inner, value)),
        TagPredicate::Or(any) => any.iter().any(|inner| holds(inner, value)),
    }
}

impl Tombstone {
    /// Whether it says the same as another of the same version.
    pub(crate) fn repeats(&self, earlier: &Self) -> bool {
        let rules = |one: &Rule, other: &Rule| {
            one.measurements == other.measurements
                && format!("{:?}", one.predicate) == format!("{:?}", other.predicate)
        };
        let same_rule = match (&self.rule, &earlier.rule) {
            (Some(one), Some(other)) => rules(one, other),
            (None, None) => self.series == earlier.series,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_rule && self.version == earlier.version && self.range == earlier.range
    }

    fn concerns(&self, series: SeriesId, key: &impl Fn() -> Option<Arc<str>>) -> bool {
        if series.0 < self.resolved {
            return self.series.contains(series.0);
        }
        self.rule.as_ref().is_some_and(|rule| key().is_some_and(|key| rule.matches(&key)))
    }

    /// Whether anything may be left that it applies to: in segments, or in memtables whose log files are not below
    /// `log_floor`.
    fn is_needed<'a>(
        &self,
        log_floor: u64,
        mut segments: impl Iterator<Item = &'a SegmentMeta>,
        retired: &RoaringBitmap,
    ) -> bool {
        let is_below = |meta: &SegmentMeta| meta.number < self.barrier && meta.range.overlaps(self.range);
        self.rule.is_some()
            || !self.series.is_subset(retired) && (self.log >= log_floor || segments.any(is_below))
    }
}

/// Where rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A memtable.
    Memory,
    /// The segment of that number.
    Segment(u64),
}

/// The tombstones of a shard at one moment. Cheap to copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tombstones(Arc<[Arc<Tombstone>]>);

impl FromIterator<Arc<Tombstone>> for Tombstones {
    fn from_iter<T: IntoIterator<Item = Arc<Tombstone>>>(tombstones: T) -> Self {
        Self(tombstones.into_iter().collect())
    }
}

impl Tombstones {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Tombstone>> {
        self.0.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same and one more.
    pub(crate) fn with(&self, tombstone: Tombstone) -> Self {
        self.0.iter().cloned().chain([Arc::new(tombstone)]).collect()
    }

    /// The greatest version among them.
    pub(crate) fn latest_version(&self) -> Version {
        self.0.iter().map(|tombstone| tombstone.version).max().unwrap_or(Version::ZERO)
    }

    /// Those that may still apply to something.
    pub(crate) fn needed<'a>(
        &self,
        log_floor: u64,
        segments: impl Iterator<Item = &'a SegmentMeta>,
        retired: &RoaringBitmap,
    ) -> Self {
        let segments: Vec<&SegmentMeta> = segments.collect();
        let is_needed =
            |tombstone: &&Arc<Tombstone>| tombstone.is_needed(log_floor, segments.iter().copied(), retired);
        self.0.iter().filter(is_needed).cloned().collect()
    }

    /// What they say of one series; `key` is asked only for series younger than a delete.
    pub(crate) fn of_series(&self, series: SeriesId, key: impl Fn() -> Option<Arc<str>>) -> SeriesMasks {
        let concerned = self.0.iter().filter(|tombstone| tombstone.concerns(series, &key));
        let mask = |tombstone: &Arc<Tombstone>| {
            (tombstone.barrier, Mask { range: tombstone.range, version: tombstone.version })
        };
        SeriesMasks(concerned.map(mask).collect())
    }
}

/// The tombstones that concern one series, with their barriers.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeriesMasks(Vec<(u64, Mask)>);

impl SeriesMasks {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that apply to rows of `range` at `place`.
    pub(crate) fn at(&self, place: Place, range: TimeRange) -> Vec<Mask> {
        let applies = |barrier: u64| match place {
            Place::Memory => true,
            Place::Segment(number) => number < barrier,
        };
        let here = self.0.iter().filter(|(barrier, mask)| applies(*barrier) && mask.range.overlaps(range));
        here.map(|(_, mask)| *mask).collect()
    }
}

/// Whether tombstones need to say which later series they concern.
pub(crate) fn keeps_rules(versions: VersionPolicy) -> bool {
    match versions {
        VersionPolicy::Keep => true,
        VersionPolicy::Strip => false,
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod samples;
