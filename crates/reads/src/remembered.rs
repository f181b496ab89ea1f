//! Series that owners told of in earlier queries, so that they need not be told again.
//!
//! An owner says with its series what stands for them ([`SeriesStamp`]). Who asks again says what it remembers; while nothing
//! has changed, the owner says no more than that, to whatever predicate. Queries that come again and again, as those of
//! dashboards do, thereby neither move nor read the keys of series.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use skywatch_storage::SeriesStamp;

use crate::listing::Listing;

/// What is remembered takes at most so many bytes, about; and each part of it.
const BYTES_MAX: usize = 32 << 20;
const ENTRY_BYTES_MAX: usize = BYTES_MAX / 4;
/// About what an entry takes besides its series.
const ENTRY_BYTES: usize = 256;

/// Which series: a shard, a measurement, and a predicate as it is asked for.
pub(crate) type Which = (u64, String, Vec<u8>);

/// Series by what was asked for, shared by all queries of a node.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Which, Entry>,
    bytes: usize,
    /// Counts uses.
    now: u64,
}

#[derive(Debug)]
struct Entry {
    stamp: SeriesStamp,
    listing: Arc<Listing>,
    bytes: usize,
    used: u64,
}

impl Remembered {
    /// What was told last.
    pub(crate) fn get(&self, which: &Which) -> Option<(SeriesStamp, Arc<Listing>)> {
        let mut kept = self.0.lock();
        kept.now += 1;
        let now = kept.now;
        let entry = kept.entries.get_mut(which)?;
        entry.used = now;
        Some((entry.stamp, Arc::clone(&entry.listing)))
    }

    /// Takes note of what was told; what was used longest ago makes room.
    pub(crate) fn keep(&self, which: Which, stamp: SeriesStamp, listing: &Arc<Listing>) {
        let bytes = ENTRY_BYTES + which.1.len() + which.2.len() + listing.bytes();
        let mut kept = self.0.lock();
        kept.forget(&which);
        if bytes > ENTRY_BYTES_MAX {
            return;
        }
        kept.now += 1;
        let entry = Entry { stamp, listing: Arc::clone(listing), bytes, used: kept.now };
        kept.bytes += bytes;
        kept.entries.insert(which, entry);
        while kept.bytes > BYTES_MAX {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(which, _)| which.clone()) else { return };
            kept.forget(&oldest);
        }
    }
}

impl Kept {
    fn forget(&mut self, which: &Which) {
        if let Some(entry) = self.entries.remove(which) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room_and_what_is_too_large_is_not_kept() {
        let remembered = Remembered::default();
        let stamp = SeriesStamp([1, 2, 3]);
        let of_bytes = |bytes: usize| Arc::new(Listing::of(vec!["x".repeat(bytes).into()]));
        let which = |shard: u64| (shard, "cpu".to_owned(), Vec::new());
        let large = of_bytes(ENTRY_BYTES_MAX - 1000);
        for shard in 0..4 {
            remembered.keep(which(shard), stamp, &large);
        }
        assert!(remembered.get(&which(0)).is_some_and(|(known, _)| known == stamp));
        remembered.keep(which(4), stamp, &large);
        assert!(remembered.get(&which(1)).is_none(), "it was used longest ago");
        assert!([0, 2, 3, 4].iter().all(|shard| remembered.get(&which(*shard)).is_some()));
        // What replaces it may be too large: it is forgotten all the same.
        remembered.keep(which(4), stamp, &of_bytes(ENTRY_BYTES_MAX));
        assert!(remembered.get(&which(4)).is_none());
        assert_eq!(remembered.0.lock().entries.len(), 3);
        (0..5).for_each(|shard| remembered.0.lock().forget(&which(shard)));
        assert_eq!(remembered.0.lock().bytes, 0);
    }
}
