//! Which offsets may be committed: of each partition only those before which everything is delivered.
//!
//! ```text
//!  offsets taken    5  6  7  8  9        in flight: 6 and 9
//!  delivered        x     x  x           may be committed: 5, and after 6 is delivered, 8
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Where a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// The messages that were taken and are not committed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    partitions: BTreeMap<(Arc<str>, i32), VecDeque<Entry>>,
    in_flight: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    delivered: bool,
}

impl Ledger {
    /// Messages that are not delivered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A message was taken. An offset that is not above the last one means that the partition was given away and came
    /// back, and is read again from what was committed: what was known of it no longer counts.
    pub(super) fn take(&mut self, topic: &str, partition: i32, offset: i64) -> Position {
        let key = match self.partitions.keys().find(|(t, p)| t.as_ref() == topic && *p == partition) {
            Some(key) => key.clone(),
            None => (Arc::from(topic), partition),
        };
        let topic = Arc::clone(&key.0);
        let entries = self.partitions.entry(key).or_default();
        if entries.back().is_some_and(|last| last.offset >= offset) {
            self.in_flight -= entries.iter().filter(|entry| !entry.delivered).count();
            entries.clear();
        }
        entries.push_back(Entry { offset, delivered: false });
        self.in_flight += 1;
        Position { topic, partition, offset }
    }

    /// A message is delivered. Returns the offset of the last message that may be committed now, if that has changed.
    pub(super) fn delivered(&mut self, position: &Position) -> Option<i64> {
        let entries = self.partitions.get_mut(&(Arc::clone(&position.topic), position.partition))?;
        let at = entries.binary_search_by_key(&position.offset, |entry| entry.offset).ok()?;
        let entry = entries.get_mut(at).filter(|entry| !entry.delivered)?;
        entry.delivered = true;
        self.in_flight -= 1;
        let mut last = None;
        while let Some(entry) = entries.front().filter(|entry| entry.delivered) {
            last = Some(entry.offset);
            entries.pop_front();
        }
        last
    }

    /// Forgets the partitions that are another's now.
    pub(super) fn retain(&mut self, is_ours: impl Fn(&str, i32) -> bool) {
        let in_flight = &mut self.in_flight;
        self.partitions.retain(|(topic, partition), entries| {
            let keep = is_ours(topic, *partition);
            if !keep {
                *in_flight -= entries.iter().filter(|entry| !entry.delivered).count();
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_offset_waits_for_those_before_it() {
        let mut ledger = Ledger::default();
        let [a, b, c] = [5, 6, 8].map(|offset| ledger.take("t", 0, offset));
        let other = ledger.take("t", 1, 6);
        assert_eq!(ledger.delivered(&b), None);
        assert_eq!(ledger.delivered(&c), None);
        assert_eq!(ledger.delivered(&other), Some(6));
        assert_eq!(ledger.in_flight(), 1);
        assert_eq!(ledger.delivered(&a), Some(8));
        assert_eq!(ledger.delivered(&a), None, "told twice");
        assert_eq!(ledger.in_flight(), 0);
    }

    #[test]
    fn a_partition_that_came_back_begins_anew() {
        let mut ledger = Ledger::default();
        let first = ledger.take("t", 0, 5);
        let second = ledger.take("t", 0, 6);
        ledger.take("t", 0, 5);
        assert_eq!(ledger.in_flight(), 1, "6 is to be read again as well");
        assert_eq!(ledger.delivered(&second), None, "not taken anew yet");
        assert_eq!(ledger.delivered(&first), Some(5), "what is in it was delivered, by whichever reading");
        ledger.take("t", 0, 6);
        ledger.retain(|_, _| false);
        assert_eq!(ledger.in_flight(), 0);
        assert_eq!(ledger.delivered(&second), None);
    }

    proptest! {
        #[test]
        fn nothing_is_committed_before_it_is_delivered(order in Just((0..40_i64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ledger = Ledger::default();
            let positions: Vec<_> = (0..40).map(|offset| ledger.take("t", 0, offset)).collect();
            let mut delivered = std::collections::BTreeSet::new();
            let mut committed = -1;
            for offset in order {
                delivered.insert(offset);
                if let Some(last) = ledger.delivered(&positions[offset as usize]) {
                    prop_assert!(last > committed);
                    committed = last;
                }
                prop_assert!((0..=committed).all(|offset| delivered.contains(&offset)));
                prop_assert!(!delivered.contains(&(committed + 1)), "it lags behind");
                prop_assert_eq!(ledger.in_flight(), 40 - delivered.len());
            }
            prop_assert_eq!(committed, 39);
        }
    }
}
