//! Series are found by a fingerprint of their key, not by the key itself.
//!
//! A fingerprint is 96 of the 128 bits of XXH3 (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>) over
//! the canonical key, seeded with a number that the shard drew at random and tells nobody. Equal fingerprints are
//! taken for equal keys: among n series two different keys share one with probability n^2 / 2^97, which is 6e-16 for
//! ten million series in a shard; disks lie more often.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// See the module's header. Ordered as in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint {
    pub(super) high: u64,
    pub(super) low: u32,
}

impl Fingerprint {
    pub(super) fn of(key: &str, seed: u64) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_128_with_seed(key.as_bytes(), seed);
        Self { high: (hash >> 64) as u64, low: hash as u32 }
    }
}

/// The seed of a new index: unpredictable, so that nobody can prepare keys that collide.
pub(super) fn random_seed() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// A table of series found in files lately, so that steady writes look there first. It forgets: each fingerprint has
/// one place, and the latest takes it. Written by many at once without a lock; an entry torn between two writers
/// does not pass for either, since its first word is the fingerprint's high half mixed with its second.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: OnceLock<Box<[[AtomicU64; 2]]>>,
    /// A power of two, or 0.
    len: usize,
}

impl Recent {
    const MAX_LEN: usize = 1 << 18;

    /// For the files of `series` series. Takes no memory before the first use, and at most 4 MiB.
    pub(super) fn for_series(series: u64) -> Self {
        let len = (2 * series).next_power_of_two().min(Self::MAX_LEN as u64) as usize;
        Self { entries: OnceLock::new(), len: if series == 0 { 0 } else { len } }
    }

    /// How many entries it may have.
    pub(super) const fn capacity(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, print: Fingerprint) -> Option<u32> {
        let entry = self.entries.get()?.get(print.high as usize & (self.len - 1))?;
        let mixed = entry[0].load(Ordering::Relaxed);
        let data = entry[1].load(Ordering::Relaxed);
        (mixed ^ data == print.high && (data >> 32) as u32 == print.low).then_some(data as u32)
    }

    pub(super) fn put(&self, print: Fingerprint, id: u32) {
        if self.len == 0 {
            return;
        }
        let entries = self.entries.get_or_init(|| (0..self.len).map(|_| Default::default()).collect());
        if let Some(entry) = entries.get(print.high as usize & (self.len - 1)) {
            let data = u64::from(print.low) << 32 | u64::from(id);
            entry[0].store(print.high ^ data, Ordering::Relaxed);
            entry[1].store(data, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_lately_is_found_and_nothing_else() {
        let recent = Recent::for_series(100);
        let print = |key: u32| Fingerprint::of(&format!("m,k={key}"), 7);
        assert_eq!(recent.get(print(0)), None);
        (0..1000).for_each(|key| recent.put(print(key), key));
        let known: Vec<u32> = (0..1000).filter(|key| recent.get(print(*key)).is_some()).collect();
        assert!(!known.is_empty() && known.len() <= 256);
        assert!(known.iter().all(|key| recent.get(print(*key)) == Some(*key)));
        assert!((1000..2000).all(|key| recent.get(print(key)).is_none()));
    }
}
