//! Which shards are looked at when, and what is known of them. Pure: what happens comes in, what to do next comes out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most shards that wait; what is asked for beyond is found by the next round anyway.
const QUEUE_MAX: usize = 4096;

/// What is wrong with this node's copy of a shard, or with another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Owners differ.
    Differs,
    /// It should be here and is not.
    Missing,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    queue: VecDeque<u64>,
    processing: BTreeSet<u64>,
    troubles: BTreeMap<u64, (Trouble, String)>,
    /// Ended by somebody, and still under way.
    killed: BTreeSet<u64>,
    /// Rounds asked for, begun, ended, and the latest that ended with everything alike.
    asked: u64,
    begun: u64,
    ended: u64,
    alike: u64,
}

impl Ledger {
    /// Puts a shard in the queue; whether it was not there.
    pub(super) fn enqueue(&mut self, shard: u64) -> bool {
        if self.queue.contains(&shard) || self.queue.len() >= QUEUE_MAX {
            return false;
        }
        self.queue.push_back(shard);
        true
    }

    /// Takes the shard that has waited longest.
    pub(super) fn dequeue(&mut self) -> Option<u64> {
        self.queue.pop_front()
    }

    /// Takes a shard out of the queue, and marks it as ended if it is being repaired; whether there was anything to do.
    pub(super) fn kill(&mut self, shard: u64) -> bool {
        let before = self.queue.len();
        self.queue.retain(|queued| *queued != shard);
        let runs = self.processing.contains(&shard);
        if runs {
            self.killed.insert(shard);
        }
        runs || self.queue.len() != before
    }

    /// Whether somebody has ended the repair of a shard.
    pub(super) fn is_killed(&self, shard: u64) -> bool {
        self.killed.contains(&shard)
    }

    /// Somebody looks at a shard now.
    pub(super) fn begin(&mut self, shard: u64) {
        self.processing.insert(shard);
        self.killed.remove(&shard);
    }

    /// Nobody does any more.
    pub(super) fn end(&mut self, shard: u64) {
        self.processing.remove(&shard);
        self.killed.remove(&shard);
    }

    /// What is wrong with a shard, and why it stays so, if that is known.
    pub(super) fn note(&mut self, shard: u64, trouble: Trouble, reason: String) {
        self.troubles.insert(shard, (trouble, reason));
    }

    /// All owners that answered are alike.
    pub(super) fn clear(&mut self, shard: u64) {
        self.troubles.remove(&shard);
    }

    /// Forgets shards that are not compared any more.
    pub(super) fn retain(&mut self, lives: impl Fn(u64) -> bool) {
        self.troubles.retain(|shard, _| lives(*shard));
        self.queue.retain(|shard| lives(*shard));
    }

    /// Shards in trouble: which, what, whether somebody is at it, and why it stays so.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (u64, Trouble, bool, &str)> {
        self.troubles.iter().map(|(shard, (trouble, reason))| {
            (*shard, *trouble, self.processing.contains(shard), reason.as_str())
        })
    }

    pub(super) fn queued(&self) -> Vec<u64> {
        self.queue.iter().copied().collect()
    }

    pub(super) fn processing(&self) -> Vec<u64> {
        self.processing.iter().copied().collect()
    }

    /// Asks for a round that begins from now on; its number.
    pub(super) fn ask_round(&mut self) -> u64 {
        self.asked = self.asked.max(self.begun + 1);
        self.asked
    }

    /// Whether a round was asked for that has not begun.
    pub(super) const fn is_round_asked(&self) -> bool {
        self.asked > self.begun
    }

    /// A round begins; its number.
    pub(super) fn begin_round(&mut self) -> u64 {
        self.begun += 1;
        self.asked = self.asked.max(self.begun);
        self.begun
    }

    /// A round ends, with everything alike or not.
    pub(super) fn end_round(&mut self, round: u64, alike: bool) {
        self.ended = self.ended.max(round);
        if alike {
            self.alike = self.alike.max(round);
        }
    }

    /// Whether a round, or a later one, ended with everything alike; and whether it ended at all. One that nobody asked
    /// for, in this life of the node, has.
    pub(super) const fn round(&self, round: u64) -> (bool, bool) {
        (self.alike >= round, self.ended >= round || round > self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_waits_once_and_can_be_called_back() {
        let mut ledger = Ledger::default();
        assert!(ledger.enqueue(4) && ledger.enqueue(2) && !ledger.enqueue(4));
        assert_eq!(ledger.queued(), [4, 2]);
        assert!(ledger.kill(4) && !ledger.kill(4));
        assert_eq!(ledger.dequeue(), Some(2));
        ledger.begin(2);
        assert!(ledger.kill(2) && ledger.is_killed(2));
        ledger.end(2);
        assert!(!ledger.is_killed(2) && !ledger.kill(2));
        for shard in 0..QUEUE_MAX as u64 + 5 {
            ledger.enqueue(shard);
        }
        assert_eq!(ledger.queued().len(), QUEUE_MAX);
    }

    #[test]
    fn troubles_stay_until_owners_are_alike() {
        let mut ledger = Ledger::default();
        ledger.note(7, Trouble::Missing, String::new());
        ledger.begin(7);
        assert_eq!(ledger.troubles().collect::<Vec<_>>(), [(7, Trouble::Missing, true, "")]);
        ledger.note(7, Trouble::Differs, "why".into());
        ledger.end(7);
        assert_eq!(ledger.troubles().collect::<Vec<_>>(), [(7, Trouble::Differs, false, "why")]);
        ledger.clear(7);
        assert_eq!(ledger.troubles().count(), 0);
    }

    #[test]
    fn a_round_that_was_asked_for_is_one_that_begins_later() {
        let mut ledger = Ledger::default();
        let under_way = ledger.begin_round();
        let asked = ledger.ask_round();
        assert!(asked > under_way && ledger.is_round_asked());
        assert_eq!(ledger.ask_round(), asked, "one round serves all who ask before it begins");
        ledger.end_round(under_way, true);
        assert_eq!(ledger.round(asked), (false, false));
        let round = ledger.begin_round();
        assert_eq!((round, ledger.is_round_asked()), (asked, false));
        ledger.end_round(round, false);
        assert_eq!(ledger.round(asked), (false, true));
        let later = ledger.begin_round();
        ledger.end_round(later, true);
        assert_eq!(ledger.round(asked), (true, true));
        assert_eq!(ledger.round(later + 1), (false, true), "of an earlier life");
    }
}
