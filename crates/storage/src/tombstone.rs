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

mod list;
mod mask;
mod waste;
mod wire;

use std::sync::Arc;

use roaring::RoaringBitmap;
use skywatch_model::{TimeRange, Version, series::Tag};

pub(crate) use list::Tombstones;
pub(crate) use mask::{Fate, Mask, fate, mask, survives};
pub(crate) use waste::{Waste, worth_rewriting};
pub(crate) use wire::{MAX_DEPTH, put_bitmap, put_tombstone, take_bitmap, take_tombstone};

use crate::{TagPredicate, VersionPolicy, segment::SegmentMeta};

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

/// Up to where deletes need not be remembered for what may yet come: every owner has all that is older, and nothing older is
/// taken any more. See [`Shard::forget_deletes`](crate::Shard::forget_deletes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Forgotten {
    /// What has a lower version is older.
    pub(crate) before: Version,
    /// Rows that came before this was known are in log files up to this one.
    pub(crate) log: u64,
}

impl Forgotten {
    pub(crate) fn covers(self, version: Version) -> bool {
        version < self.before
    }
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
    /// Whether a series of this measurement with these tags is meant.
    fn means(&self, measurement: &str, tags: &[Tag<'_>]) -> bool {
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
        if (self.version, self.range) != (earlier.version, earlier.range) {
            return false;
        }
        let rules = |one: &Rule, other: &Rule| {
            one.measurements == other.measurements
                && format!("{:?}", one.predicate) == format!("{:?}", other.predicate)
        };
        match (&self.rule, &earlier.rule) {
            (Some(one), Some(other)) => rules(one, other),
            (None, None) => self.series == earlier.series,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether it says all that another says, and of later cells too: whatever that one deletes, this one does. Both have
    /// rules; `same` tells whether these say the same.
    fn covers(&self, other: &Self, same: bool) -> bool {
        let is_wider = || match (&self.rule, &other.rule) {
            (Some(Rule { measurements, predicate: TagPredicate::All }), Some(other)) => {
                other.measurements.iter().all(|name| measurements.contains(name))
            }
            _ => false,
        };
        self.version >= other.version && self.range.covers(other.range) && (same || is_wider())
    }

    /// Whether anything may be left that it applies to: in segments, or in memtables whose log files are not below
    /// `log_floor`.
    ///
    /// One with a rule concerns also what may yet come, and cells that have come after it with lower versions. Once it is
    /// [forgotten](Forgotten) nothing of a lower version comes any more; what had come by then is in log files up to
    /// [`Forgotten::log`], and whoever wrote these to a segment has applied it. So then only segments below the barrier
    /// and log files from before count, as for one without.
    fn is_needed<'a>(
        &self,
        (forgotten, log_floor): (Forgotten, u64),
        mut segments: impl Iterator<Item = &'a SegmentMeta>,
        retired: &RoaringBitmap,
    ) -> bool {
        let is_below = |meta: &SegmentMeta| self.is_below_barrier(meta);
        if self.rule.is_some() {
            return !forgotten.covers(self.version)
                || self.log.max(forgotten.log) >= log_floor
                || segments.any(is_below);
        }
        !self.series.is_subset(retired) && (self.log >= log_floor || segments.any(is_below))
    }

    /// Whether a segment may have cells that it deletes.
    pub(crate) fn is_below_barrier(&self, meta: &SegmentMeta) -> bool {
        meta.number < self.barrier && meta.range.overlaps(self.range)
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
