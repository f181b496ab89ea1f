//! The values of one tag of one measurement: numbers in the order of their coming, and the series that carry them.

use std::{cmp::Ordering, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::index::{
    postings::Postings,
    select::{Tag, is_plain},
};

/// See the module's header.
#[derive(Debug)]
pub(super) struct Dictionary {
    texts: String,
    ends: Vec<u32>,
    postings: Vec<Postings>,
    numbers: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    /// The value added last: often that of the next series too.
    latest: u32,
    /// Whether every value is plain.
    is_plain: bool,
    /// Place of each value in the order of bytes, as of when somebody last asked.
    ranks: Mutex<Option<Arc<[u32]>>>,
}

/// Half of the hash beside the number, so that growing the table reads no texts.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    number: u32,
}

impl Slot {
    /// Spreads 32 bits over the 64 the table wants.
    fn table_hash(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            texts: String::new(),
            ends: Vec::new(),
            postings: Vec::new(),
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            latest: 0,
            is_plain: true,
            ranks: Mutex::default(),
        }
    }
}

impl Dictionary {
    /// Notes that a series has this value; returns the value's number.
    pub(super) fn add(&mut self, text: &str, series: u32) -> u32 {
        if !self.ends.is_empty() && self.text(self.latest) == text {
            self.postings[self.latest as usize].add(series);
            return self.latest;
        }
        let hash = self.hash(text);
        let is_it = |slot: &Slot| slot.hash == hash && self.text(slot.number) == text;
        let number = match self.numbers.find(Slot::table_hash(hash), is_it) {
            Some(slot) => {
                self.postings[slot.number as usize].add(series);
                slot.number
            }
            None => self.push(text, series, hash),
        };
        self.latest = number;
        number
    }

    fn hash(&self, text: &str) -> u32 {
        self.hasher.hash_one(text.as_bytes()) as u32
    }

    fn push(&mut self, text: &str, series: u32, hash: u32) -> u32 {
        let number = self.ends.len() as u32;
        self.texts.push_str(text);
        assert!(self.texts.len() <= u32::MAX as usize, "values of one tag exceed 4 GiB in memory");
        self.ends.push(self.texts.len() as u32);
        self.postings.push(Postings::One(series));
        self.is_plain &= is_plain(text);
        let slot = Slot { hash, number };
        self.numbers.insert_unique(Slot::table_hash(hash), slot, |slot| Slot::table_hash(slot.hash));
        number
    }

    pub(super) fn text(&self, number: u32) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before as usize] as usize);
        &self.texts[start..self.ends[number as usize] as usize]
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// All texts, and where each ends.
    pub(super) fn texts(&self) -> (String, Vec<u32>) {
        (self.texts.clone(), self.ends.clone())
    }

    /// Place of each value in the order of bytes, if that is known or `wanted` values are enough to find it out.
    pub(super) fn ranks(&self, wanted: usize) -> Option<Arc<[u32]>> {
        let mut known = self.ranks.lock();
        if let Some(ranks) = known.as_ref().filter(|ranks| ranks.len() == self.ends.len()) {
            return Some(Arc::clone(ranks));
        }
        if wanted < self.ends.len() / 4 {
            return None;
        }
        let mut ranks = vec![0; self.ends.len()];
        for (rank, number) in self.sorted().into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        let ranks: Arc<[u32]> = ranks.into();
        *known = Some(Arc::clone(&ranks));
        Some(ranks)
    }

    /// Numbers in the order of their texts' bytes.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..self.ends.len() as u32).collect();
        numbers.sort_unstable_by(|a, b| self.compare(*a, *b));
        numbers
    }

    pub(super) fn compare(&self, a: u32, b: u32) -> Ordering {
        self.text(a).cmp(self.text(b))
    }
}

impl Tag for &Dictionary {
    fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    fn text(&self, number: u32) -> &str {
        Dictionary::text(self, number)
    }

    fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hash(text);
        let is_it = |slot: &Slot| slot.hash == hash && self.text(slot.number) == text;
        self.numbers.find(Slot::table_hash(hash), is_it).map(|slot| slot.number)
    }

    fn add_postings(&self, number: u32, all: &mut RoaringBitmap) {
        self.postings[number as usize].add_to(all);
    }
}
