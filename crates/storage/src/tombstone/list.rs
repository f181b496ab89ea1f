//! All tombstones of a shard. A cluster's deletes stay until all owners have them, so that there can be very many: they
//! lie in chunks that know which series they may concern, and one that a later one covers goes.
//!
//! ```text
//! series known at the time of the delete    bitmap of the chunk, then of the tombstone
//! series that came later                    tags that rules name, by hash; then the rule
//! ```

use std::{borrow::Cow, sync::Arc};

use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;
use skywatch_model::{TimeRange, Version, series::Tag, series::parse_key};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::{Forgotten, Mask, Rule, SeriesMasks, Tombstone};
use crate::{TagPredicate, rows::SeriesId, segment::SegmentMeta};

/// Tombstones in a chunk.
const CHUNK: usize = 512;

/// The tombstones of a shard at one moment. Cheap to copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tombstones(Arc<[Arc<Chunk>]>);

/// Some tombstones, in the order in which they came.
#[derive(Debug)]
struct Chunk {
    all: Vec<Arc<Tombstone>>,
    /// What each rule says, as a hash: equal of those that say the same.
    meanings: Vec<Option<u128>>,
    /// Times that any of them concerns.
    range: TimeRange,
    latest_version: Version,
    oldest_version: Version,
    /// Series that any of them concerns.
    series: RoaringBitmap,
    /// Later series that rules may concern have numbers from here on, if there are any.
    resolved: Option<u32>,
    /// Positions of tombstones with rules, by a tag that they ask for, and of those that ask for none.
    by_tag: FxHashMap<u64, Vec<u32>>,
    by_name: Vec<u32>,
    /// Whether all of them have rules.
    all_ruled: bool,
}

impl Chunk {
    fn new(all: Vec<Arc<Tombstone>>) -> Self {
        let mut chunk = Self {
            meanings: Vec::with_capacity(all.len()),
            range: TimeRange::new(i64::MAX, i64::MIN),
            latest_version: Version::ZERO,
            oldest_version: Version(u64::MAX),
            series: RoaringBitmap::new(),
            resolved: None,
            by_tag: FxHashMap::default(),
            by_name: Vec::new(),
            all_ruled: true,
            all: Vec::new(),
        };
        for (position, tombstone) in (0..).zip(&all) {
            chunk.range = TimeRange::new(
                chunk.range.start.min(tombstone.range.start),
                chunk.range.end.max(tombstone.range.end),
            );
            chunk.latest_version = chunk.latest_version.max(tombstone.version);
            chunk.oldest_version = chunk.oldest_version.min(tombstone.version);
            chunk.series |= &tombstone.series;
            chunk.meanings.push(tombstone.rule.as_ref().map(meaning));
            let Some(rule) = &tombstone.rule else {
                chunk.all_ruled = false;
                continue;
            };
            let from = tombstone.resolved;
            chunk.resolved = Some(chunk.resolved.map_or(from, |least| least.min(from)));
            match tag_wanted(&rule.predicate) {
                Some((key, value)) => chunk.by_tag.entry(hash_of(key, value)).or_default().push(position),
                None => chunk.by_name.push(position),
            }
        }
        chunk.all = all;
        chunk
    }

    /// Tombstones with rules that mean a series of this key.
    fn meaning<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Arc<Tombstone>> {
        let by_tag = key.hashes.iter().filter_map(|hash| self.by_tag.get(hash)).flatten();
        let candidates = by_tag.chain(&self.by_name).map(|position| &self.all[*position as usize]);
        candidates.filter(|it| it.rule.as_ref().is_some_and(|rule| rule.means(&key.measurement, &key.tags)))
    }

    /// Adds what it says of a series in some times.
    fn add_masks(
        &self,
        (series, range): (SeriesId, TimeRange),
        key: &mut LazyKey<'_>,
        masks: &mut Vec<(u64, Mask)>,
    ) {
        if !self.range.overlaps(range) {
            return;
        }
        let mut add = |tombstone: &Tombstone| {
            if tombstone.range.overlaps(range) {
                let mask = Mask { range: tombstone.range, version: tombstone.version };
                masks.push((tombstone.barrier, mask));
            }
        };
        if self.series.contains(series.0) {
            let concerned =
                self.all.iter().filter(|it| series.0 < it.resolved && it.series.contains(series.0));
            concerned.for_each(|tombstone| add(tombstone));
        }
        if self.resolved.is_none_or(|resolved| series.0 < resolved) {
            return;
        }
        let Some(key) = key.get() else { return };
        self.meaning(key)
            .filter(|tombstone| series.0 >= tombstone.resolved)
            .for_each(|tombstone| add(tombstone));
    }
}

/// A series' key, taken apart when somebody wants it.
struct LazyKey<'a> {
    make: &'a dyn Fn() -> Option<Arc<str>>,
    made: Option<Option<Key>>,
}

struct Key {
    measurement: String,
    tags: Vec<Tag<'static>>,
    /// Of each tag.
    hashes: Vec<u64>,
}

impl LazyKey<'_> {
    fn get(&mut self) -> Option<&Key> {
        self.made.get_or_insert_with(|| (self.make)().map(|key| Key::parse(&key))).as_ref()
    }
}

impl Key {
    fn parse(key: &str) -> Self {
        let (measurement, tags) = parse_key(key);
        let owned = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        Self {
            hashes: tags.iter().map(|(key, value)| hash_of(key, value)).collect(),
            tags: tags.iter().map(|(key, value)| (owned(key), owned(value))).collect(),
            measurement: measurement.into_owned(),
        }
    }
}

fn hash_of(key: &str, value: &str) -> u64 {
    xxh3_64_with_seed(value.as_bytes(), xxh3_64_with_seed(key.as_bytes(), 0))
}

fn meaning(rule: &Rule) -> u128 {
    let mut bytes = Vec::new();
    rule.encode(&mut bytes);
    xxh3_128(&bytes)
}

/// A tag that every series has for which the predicate holds, if that is easily seen.
fn tag_wanted(predicate: &TagPredicate) -> Option<(&str, &str)> {
    match predicate {
        TagPredicate::Equal { key, value } if !value.is_empty() => Some((key, value)),
        TagPredicate::And(all) => all.iter().find_map(tag_wanted),
        _ => None,
    }
}

impl FromIterator<Arc<Tombstone>> for Tombstones {
    fn from_iter<T: IntoIterator<Item = Arc<Tombstone>>>(tombstones: T) -> Self {
        let all: Vec<Arc<Tombstone>> = tombstones.into_iter().collect();
        Self(all.chunks(CHUNK).map(|chunk| Arc::new(Chunk::new(chunk.to_vec()))).collect())
    }
}

impl Tombstones {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Tombstone>> {
        self.0.iter().flat_map(|chunk| &chunk.all)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|chunk| chunk.all.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another would change nothing: one of them repeats or covers it.
    pub(crate) fn have(&self, other: &Tombstone) -> bool {
        let Some(rule) = &other.rule else { return self.iter().any(|known| other.repeats(known)) };
        let meaning = meaning(rule);
        self.0.iter().any(|chunk| {
            let known = chunk.all.iter().zip(&chunk.meanings);
            chunk.latest_version >= other.version
                && known.into_iter().any(|(known, its)| known.covers(other, *its == Some(meaning)))
        })
    }

    /// The same and one more, without those that it covers. Which ones are left depends on what has come, and not on the
    /// order.
    pub(crate) fn with(&self, tombstone: Tombstone) -> Self {
        if self.have(&tombstone) {
            return self.clone();
        }
        let meaning = tombstone.rule.as_ref().map(meaning);
        let mut chunks: Vec<Arc<Chunk>> = Vec::with_capacity(self.0.len() + 1);
        for chunk in self.0.iter() {
            let is_covered = |(known, its): (&Arc<Tombstone>, &Option<u128>)| {
                meaning.is_some() && tombstone.covers(known, *its == meaning)
            };
            let covered: Vec<bool> = chunk.all.iter().zip(&chunk.meanings).map(is_covered).collect();
            if !covered.contains(&true) {
                chunks.push(Arc::clone(chunk));
                continue;
            }
            let left = chunk.all.iter().zip(covered).filter(|(_, covered)| !covered);
            let left: Vec<_> = left.map(|(tombstone, _)| Arc::clone(tombstone)).collect();
            if !left.is_empty() {
                chunks.push(Arc::new(Chunk::new(left)));
            }
        }
        let mut last = match chunks.pop_if(|chunk| chunk.all.len() < CHUNK) {
            Some(chunk) => chunk.all.clone(),
            None => Vec::new(),
        };
        last.push(Arc::new(tombstone));
        chunks.push(Arc::new(Chunk::new(last)));
        Self(chunks.into())
    }

    /// Series that any of them concerned when it came.
    pub(crate) fn series(&self) -> RoaringBitmap {
        self.0.iter().fold(RoaringBitmap::new(), |all, chunk| all | &chunk.series)
    }

    /// The greatest version among them.
    pub(crate) fn latest_version(&self) -> Version {
        self.0.iter().map(|chunk| chunk.latest_version).max().unwrap_or(Version::ZERO)
    }

    /// Those with rules, of greater versions, that delete what comes with `version` of a series, known or not, of this key.
    pub(crate) fn younger(&self, key: &str, version: Version) -> Vec<Arc<Tombstone>> {
        let key = Key::parse(key);
        let chunks = self.0.iter().filter(|chunk| chunk.latest_version > version);
        let meant = chunks.flat_map(|chunk| chunk.meaning(&key));
        meant.filter(|tombstone| tombstone.version > version).cloned().collect()
    }

    /// Those that may still apply to something.
    pub(crate) fn needed<'a>(
        &self,
        (forgotten, log_floor): (Forgotten, u64),
        segments: impl Iterator<Item = &'a SegmentMeta>,
        retired: &RoaringBitmap,
    ) -> Self {
        // Rules are needed for whatever may yet come.
        if self.0.iter().all(|chunk| chunk.all_ruled && !forgotten.covers(chunk.oldest_version)) {
            return self.clone();
        }
        let segments: Vec<&SegmentMeta> = segments.collect();
        let floors = (forgotten, log_floor);
        let is_needed =
            |tombstone: &&Arc<Tombstone>| tombstone.is_needed(floors, segments.iter().copied(), retired);
        self.iter().filter(is_needed).cloned().collect()
    }

    /// What they say of one series in some times; `key` is asked only for series younger than a delete.
    pub(crate) fn of_series(
        &self,
        series: SeriesId,
        range: TimeRange,
        key: impl Fn() -> Option<Arc<str>>,
    ) -> SeriesMasks {
        let mut key = LazyKey { make: &key, made: None };
        let mut masks = Vec::new();
        self.0.iter().for_each(|chunk| chunk.add_masks((series, range), &mut key, &mut masks));
        SeriesMasks(masks)
    }
}
