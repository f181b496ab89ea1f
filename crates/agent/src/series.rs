//! A table by series (measurement and tags) that copies them only for a series it has not seen, and that keeps the
//! order in which they came.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::metric::{Key, Metric};

/// Values by series.
#[derive(Debug)]
pub(crate) struct SeriesMap<T> {
    index: HashTable<usize>,
    entries: Vec<Entry<T>>,
}

/// A series and its value.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    hash: u64,
    /// The measurement.
    pub(crate) name: Key,
    /// Sorted by key.
    pub(crate) tags: Vec<(Key, String)>,
    /// What is kept for it.
    pub(crate) value: T,
}

impl<T> Default for SeriesMap<T> {
    fn default() -> Self {
        Self { index: HashTable::new(), entries: Vec::new() }
    }
}

impl<T> SeriesMap<T> {
    /// The value of the metric's series; a new one from `new` if there is none.
    pub(crate) fn entry(&mut self, metric: &Metric, new: impl FnOnce() -> T) -> &mut T {
        let at = match self.position(metric) {
            Ok(at) => at,
            Err(hash) => {
                let at = self.entries.len();
                self.entries.push(Entry {
                    hash,
                    name: metric.name.clone(),
                    tags: metric.tags().to_vec(),
                    value: new(),
                });
                let entries = &self.entries;
                self.index.insert_unique(hash, at, |&at| entries[at].hash);
                at
            }
        };
        &mut self.entries[at].value
    }

    /// The value of the metric's series.
    pub(crate) fn get_mut(&mut self, metric: &Metric) -> Option<&mut T> {
        let at = self.position(metric).ok()?;
        Some(&mut self.entries[at].value)
    }

    /// The place of the metric's series, or its hash.
    fn position(&self, metric: &Metric) -> Result<usize, u64> {
        let hash = hash(metric);
        let same = |&at: &usize| {
            let entry: &Entry<T> = &self.entries[at];
            entry.name == metric.name && entry.tags == metric.tags()
        };
        self.index.find(hash, same).copied().ok_or(hash)
    }

    /// Every series, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.iter()
    }

    /// Keeps the series for which `keep` says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut Entry<T>) -> bool) {
        self.entries.retain_mut(|entry| keep(entry));
        self.index.clear();
        let entries = &self.entries;
        for (at, entry) in entries.iter().enumerate() {
            self.index.insert_unique(entry.hash, at, |&at| entries[at].hash);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
    }
}

impl<T> Entry<T> {
    /// A metric of this series without fields.
    pub(crate) fn metric(&self, time_ns: i64) -> Metric {
        let mut metric = Metric::new(self.name.clone(), time_ns);
        for (key, value) in &self.tags {
            metric.set_tag(key.clone(), value.clone());
        }
        metric
    }
}

fn hash(metric: &Metric) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    metric.name.hash(&mut hasher);
    for (key, value) in metric.tags() {
        key.hash(&mut hasher);
        value.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_by_series_and_in_order() {
        let mut map = SeriesMap::default();
        let metric = |tag: &str| Metric::new("m", 0).tag("t", tag);
        for tag in ["b", "a", "b", "c"] {
            *map.entry(&metric(tag), || 0) += 1;
        }
        *map.entry(&Metric::new("n", 0), || 0) += 10;
        assert_eq!(map.iter().map(|entry| entry.value).collect::<Vec<_>>(), [2, 1, 1, 10]);
        map.retain(|entry| entry.value != 1);
        assert_eq!(map.get_mut(&metric("a")), None);
        assert_eq!(map.get_mut(&metric("b")), Some(&mut 2));
        assert_eq!(map.iter().count(), 2);
        assert_eq!(
            map.iter().next().map(|entry| entry.metric(5)),
            Some(metric("b")).map(|mut m| {
                m.time_ns = 5;
                m
            })
        );
        map.clear();
        assert_eq!(map.get_mut(&metric("b")), None);
    }
}
