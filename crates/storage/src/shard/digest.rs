//! The shard's digest, kept up to date bucket by bucket.
//!
//! Flushes and merges change where cells are, never which of them win; so a digest goes stale only where something is
//! written or deleted. Writers and deletes mark the buckets of time they touch, after readers can see what they did; a
//! refresh forgets the marks of a few buckets first, and reads them afterwards. What it reads may be younger than the
//! marks it forgot, never older. An idle shard costs nothing, and a shard that is written to costs its youngest buckets.
//!
//! Only where there are other owners to compare with ([`VersionPolicy::Keep`](crate::VersionPolicy::Keep)).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{ControlFlow, RangeInclusive},
};

use skywatch_model::{TimeRange, Version};

use super::{SegmentSlot, Shard, survey::Wanted};
use crate::{
    ReadError,
    cells::Deletion,
    digest::{ClassDigests, Digest, SeriesClasses, ShardDigest, Summer, TimeBucket, hash_bytes},
    memtable::MemView,
    rows::RowSet,
    tombstone::Tombstone,
};

/// Buckets that one refresh reads at most, unless the shard spans very many: about a day and a half.
const STEP_BUCKETS: i64 = 128;
/// Steps in which a shard is read for the first time, however long it is.
const FIRST_STEPS: i64 = 64;

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refreshed {
    /// Cells it read.
    pub cells: u64,
    /// How many more times there is something to be read, at least.
    pub left: usize,
}

/// What is known so far. Buckets are given by number.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Those that have cells.
    digests: BTreeMap<i64, Digest>,
    /// To be read again.
    stale: BTreeSet<i64>,
    /// To be read again once damage is repaired.
    blocked: BTreeSet<i64>,
    /// To be read for the first time: `None` before it is known which there are.
    unread: Option<Unread>,
}

#[derive(Debug, Clone, Copy)]
struct Unread {
    next: i64,
    last: i64,
    step: i64,
}

impl Known {
    /// Marks a bucket.
    fn touch(&mut self, bucket: i64) {
        self.stale.insert(bucket);
    }

    fn touch_all_in(&mut self, range: TimeRange) {
        let buckets = TimeBucket::of(range.start).0..=TimeBucket::of(range.end).0;
        self.stale.extend(self.digests.range(buckets).map(|(bucket, _)| *bucket));
    }

    /// The next buckets to read, unmarked.
    fn take(&mut self) -> Option<RangeInclusive<i64>> {
        if let Some(unread) = self.unread.as_mut().filter(|unread| unread.next <= unread.last) {
            let end = unread.last.min(unread.next.saturating_add(unread.step - 1));
            let taken = unread.next..=end;
            unread.next = end + 1;
            self.stale.retain(|bucket| !taken.contains(bucket));
            return Some(taken);
        }
        let first = self.stale.pop_first()?;
        let mut last = first;
        while last - first < STEP_BUCKETS && self.stale.remove(&(last + 1)) {
            last += 1;
        }
        Some(first..=last)
    }

    /// How many times [`Self::take`] gives something, at most, if nothing is marked meanwhile.
    fn steps(&self) -> usize {
        let unread = self.unread.filter(|unread| unread.next <= unread.last);
        let unread = unread.map_or(0, |unread| (unread.last - unread.next) / unread.step + 1);
        self.stale.len() + usize::try_from(unread).unwrap_or(0)
    }
}

impl Shard {
    /// Its digest now, after reading what has changed since the last time. While it is being written to, a bucket's part
    /// may be from a moment earlier than another's.
    pub fn digest(&self) -> Result<ShardDigest, ReadError> {
        let mut left = self.refresh_digest()?.left;
        // What is written meanwhile would keep this from ending.
        while left > 0 {
            left = (left - 1).min(self.refresh_digest()?.left);
        }
        Ok(self.known_digest())
    }

    /// Reads some of what has changed since the last time. A whole shard is read in steps, so that the caller can pause
    /// between them.
    pub fn refresh_digest(&self) -> Result<Refreshed, ReadError> {
        let _one = self.digesting.lock();
        self.begin_reading();
        let Some(buckets) = self.known.lock().take() else { return Ok(Refreshed::default()) };
        let damaged = self.damaged_times();
        let is_readable = |bucket: &i64| {
            let range = TimeBucket(*bucket).range();
            !damaged.iter().any(|damaged| damaged.overlaps(range))
        };
        let mut summer = Summer::default();
        let mut readable: Option<RangeInclusive<i64>> = None;
        let mut runs = Vec::new();
        if damaged.is_empty() {
            runs.push(buckets.clone());
        } else {
            for bucket in buckets.clone().filter(is_readable) {
                match &mut readable {
                    Some(run) if *run.end() + 1 == bucket => *run = *run.start()..=bucket,
                    other => runs.extend(other.replace(bucket..=bucket)),
                }
            }
            runs.extend(readable);
        }
        for run in &runs {
            if let Err(error) = self.sum(run.clone(), &mut summer) {
                let is_new = self.damaged_times().len() > damaged.len();
                self.known.lock().stale.extend(buckets);
                // What turned out damaged just now is left out the next time.
                return if is_new {
                    Ok(Refreshed { cells: summer.cells, left: self.known.lock().steps() })
                } else {
                    Err(error)
                };
            }
        }
        let mut known = self.known.lock();
        known.blocked.extend(buckets.clone().filter(|bucket| !is_readable(bucket)));
        for bucket in buckets {
            known.digests.remove(&bucket);
        }
        for (bucket, classes) in summer.buckets {
            let mut all = Digest::default();
            classes.iter().for_each(|digest| all += *digest);
            known.digests.insert(bucket.0, all);
        }
        Ok(Refreshed { cells: summer.cells, left: known.steps() })
    }

    /// The digest as it was last read, whatever has changed since; the deletes are those of now.
    pub fn known_digest(&self) -> ShardDigest {
        let mut deletes = Digest::default();
        for deletion in self.deletions() {
            let mut bytes = Vec::new();
            deletion.encode(&mut bytes);
            deletes += hash_bytes(&bytes);
        }
        let unknown = self.damaged_times();
        let known = self.known.lock();
        let times = known.digests.iter().map(|(bucket, digest)| (TimeBucket(*bucket), *digest));
        let mut digest = ShardDigest { deletes, times: times.collect(), unknown };
        let unknown = std::mem::take(&mut digest.unknown);
        digest.times.retain(|bucket, _| !unknown.iter().any(|range| range.overlaps(bucket.range())));
        ShardDigest { unknown, ..digest }
    }

    /// The classes of these buckets, read anew: of cells whose versions are below `before`, so that what is still on its
    /// way to some owners need not look like a difference.
    pub fn class_digests(
        &self,
        buckets: &BTreeSet<TimeBucket>,
        before: Version,
    ) -> Result<BTreeMap<TimeBucket, ClassDigests>, ReadError> {
        let mut summer = Summer { before, ..Summer::default() };
        let mut next = buckets.iter().map(|bucket| bucket.0).peekable();
        while let Some(first) = next.next() {
            let mut last = first;
            while let Some(bucket) = next.next_if_eq(&(last + 1)) {
                last = bucket;
            }
            self.sum(first..=last, &mut summer)?;
        }
        Ok(summer.buckets.into_iter().map(|(bucket, classes)| (bucket, *classes)).collect())
    }

    /// Deletes that it remembers for points that may yet come, each once.
    pub fn deletions(&self) -> Vec<Deletion> {
        let tombstones = self.tables.read().tombstones.clone();
        let before = self.forgotten();
        let deletion = |tombstone: &Tombstone| {
            // That one is still to be carried out here is nobody else's business.
            if tombstone.version < before {
                return None;
            }
            let rule = tombstone.rule.clone()?;
            Some(Deletion { rule, range: tombstone.range, version: tombstone.version })
        };
        tombstones.iter().filter_map(|tombstone| deletion(tombstone)).collect()
    }

    fn sum(&self, buckets: RangeInclusive<i64>, summer: &mut Summer) -> Result<(), ReadError> {
        let times = TimeRange::new(
            TimeBucket(*buckets.start()).range().start,
            TimeBucket(*buckets.end()).range().end,
        );
        let wanted = Wanted { times, classes: SeriesClasses::ALL, after: None };
        self.take_snapshot().survey(wanted, |series, rows| {
            summer.add(series.key, series.fields, &rows);
            ControlFlow::Continue(())
        })
    }

    /// Finds out which buckets there are, the first time.
    fn begin_reading(&self) {
        if self.known.lock().unread.is_some() {
            return;
        }
        let snapshot = self.take_snapshot();
        let segments = snapshot.segments.iter().map(|slot| slot.meta().range);
        let memory = snapshot.memory.iter().filter_map(MemView::time_range);
        let all = segments.chain(memory).reduce(TimeRange::hull);
        let (next, last) = all.map_or((1, 0), |all| (TimeBucket::of(all.start).0, TimeBucket::of(all.end).0));
        let step = STEP_BUCKETS.max((last - next) / FIRST_STEPS);
        self.known.lock().unread = Some(Unread { next, last, step });
    }

    /// Called once readers can see these rows.
    pub(super) fn touch_rows(&self, rows: &RowSet) {
        if !self.keep_versions() {
            return;
        }
        let mut touched = BTreeSet::new();
        let mut latest = None;
        for time in rows.groups().iter().flat_map(|group| &group.times) {
            let bucket = TimeBucket::of(*time).0;
            if latest != Some(bucket) {
                latest = Some(bucket);
                touched.insert(bucket);
            }
        }
        let mut known = self.known.lock();
        touched.into_iter().for_each(|bucket| known.touch(bucket));
    }

    /// Called once readers can see that something was deleted.
    pub(super) fn touch_times(&self, range: TimeRange) {
        if self.keep_versions() {
            self.known.lock().touch_all_in(range);
        }
    }

    /// Damage was repaired: what could not be read can be now.
    pub(super) fn touch_blocked(&self) {
        let mut known = self.known.lock();
        let blocked = std::mem::take(&mut known.blocked);
        known.stale.extend(blocked);
    }

    fn damaged_times(&self) -> Vec<TimeRange> {
        let tables = self.tables.read();
        let damaged = tables.segments.iter().filter(|slot| !slot.is_intact());
        damaged.map(|slot: &SegmentSlot| slot.meta().range).collect()
    }
}
