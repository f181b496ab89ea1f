//! What limits on memory and cardinality ask of an index.

use super::Index;
use crate::rows::SeriesId;

/// About what a series takes that is in no file yet: its row of value numbers, its fingerprint, its value in the
/// dictionary of a tag.
const SERIES_BYTES: u64 = 160;
/// What an index takes without any: its sketches and the cache of series found.
const INDEX_BYTES: u64 = 64 << 10;

impl Index {
    /// About the memory it takes. Series leave memory with the flush that writes them to a file.
    pub(crate) fn memory_bytes(&self) -> u64 {
        INDEX_BYTES + u64::from(self.bounds().series - self.stored.series) * SERIES_BYTES
    }

    /// Hands out the key of every series.
    pub(crate) fn for_each_key(&self, visit: &mut dyn FnMut(&str)) {
        let mut key = String::new();
        for id in (0..self.bounds().series).filter(|id| !self.is_retired(SeriesId(*id))) {
            key.clear();
            if self.append_key(SeriesId(id), &mut key) {
                visit(&key);
            }
        }
    }
}
