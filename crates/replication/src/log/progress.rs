//! How far this node has applied each partition, and until when it is therefore known to have everything. Pure: times are
//! handed in.
//!
//! From time to time it is heard where the log ends, and since when that is so at least: "at `t`, everything acknowledged was
//! before `end`". Once everything before `end` is applied, this node has all that was acknowledged until `t`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::Position;

/// What has been heard and not been reached yet is remembered so many times; of more, the last one counts.
const HEARD_MAX: usize = 64;

/// One partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Partition {
    /// The first record that is not applied.
    pub(super) next: u64,
    /// The first place behind the log's last record, as heard from the log itself.
    pub(super) end: Option<u64>,
    /// Everything acknowledged until then is applied.
    pub(super) as_of: Option<Instant>,
    /// When the last record that was applied had been appended; milliseconds since the epoch.
    pub(super) appended_ms: u64,
    /// Why it does not go on, in words.
    pub(super) trouble: Option<String>,
    /// Ends not reached yet, and when they were true.
    heard: VecDeque<(Instant, u64)>,
}

impl Partition {
    fn hear(&mut self, at: Instant, end: u64) {
        if end <= self.next {
            self.as_of = self.as_of.max(Some(at));
            self.trouble = None;
            return;
        }
        // An end that was heard earlier and lies farther is none: logs do not shrink, but answers overtake each other.
        if self.heard.back().is_some_and(|(_, last)| *last >= end) {
            return;
        }
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_back();
        }
        self.heard.push_back((at, end));
    }

    fn reach(&mut self, next: u64) {
        self.next = next;
        while let Some((at, end)) = self.heard.front().copied()
            && end <= next
        {
            self.as_of = self.as_of.max(Some(at));
            self.heard.pop_front();
        }
    }

    /// Records that are known to be there and are not applied.
    pub(super) fn lag(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.next))
    }
}

/// The partitions that this node reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    partitions: BTreeMap<u32, Partition>,
}

impl Progress {
    /// Reads these from now on, from these places unless they are read already; and no others.
    pub(super) fn follow(&mut self, from: &[Position]) {
        let wanted: BTreeMap<u32, u64> = from.iter().map(|it| (it.partition, it.offset)).collect();
        self.partitions.retain(|partition, _| wanted.contains_key(partition));
        for (partition, next) in wanted {
            self.partitions.entry(partition).or_insert_with(|| Partition { next, ..Partition::default() });
        }
    }

    pub(super) fn all(&self) -> &BTreeMap<u32, Partition> {
        &self.partitions
    }

    pub(super) fn get(&self, partition: u32) -> Option<&Partition> {
        self.partitions.get(&partition)
    }

    /// By partition, the first record that is not applied.
    pub(super) fn next(&self) -> BTreeMap<u32, u64> {
        self.partitions.iter().map(|(partition, it)| (*partition, it.next)).collect()
    }

    /// Everything before `next` is applied; the last of it was appended then.
    pub(super) fn reach(&mut self, partition: u32, next: u64, appended_ms: u64) {
        if let Some(it) = self.partitions.get_mut(&partition) {
            it.trouble = None;
            it.appended_ms = it.appended_ms.max(appended_ms);
            it.reach(next);
        }
    }

    /// What lies before `first` is lost to this node: it goes on there, and has not everything.
    pub(super) fn skip_to(&mut self, partition: u32, first: u64) {
        let lost = Partition { next: first, ..Partition::default() };
        self.partitions.insert(partition, lost);
    }

    /// The log said that it ends there, when it was asked at `at` or later.
    pub(super) fn hear_end(&mut self, at: Instant, end: Position) {
        if let Some(it) = self.partitions.get_mut(&end.partition) {
            it.end = it.end.max(Some(end.offset));
            it.hear(at, end.offset);
        }
    }

    /// The log reaches as far as that at least, as was heard at some time.
    pub(super) fn know_end(&mut self, end: Position) {
        if let Some(it) = self.partitions.get_mut(&end.partition) {
            it.end = it.end.max(Some(end.offset));
        }
    }

    /// Everything that anybody acknowledged until `at` is before `end`.
    pub(super) fn hear_acknowledged(&mut self, at: Instant, end: Position) {
        if let Some(it) = self.partitions.get_mut(&end.partition) {
            it.hear(at, end.offset);
        }
    }

    /// Why partitions do not go on.
    pub(super) fn note(&mut self, partition: Option<u32>, trouble: &str) {
        let concerned =
            self.partitions.iter_mut().filter(|(it, _)| partition.is_none_or(|only| only == **it));
        concerned.for_each(|(_, it)| it.trouble = Some(trouble.to_owned()));
    }

    /// Whether this node has everything of a partition that was acknowledged `freshness` ago or earlier.
    pub(super) fn is_fresh(&self, partition: u32, now: Instant, freshness: Duration) -> bool {
        let as_of = self.get(partition).and_then(|it| it.as_of);
        as_of.is_some_and(|at| now.saturating_duration_since(at) <= freshness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESHNESS: Duration = Duration::from_secs(2);

    fn at(partition: u32, offset: u64) -> Position {
        Position { partition, offset }
    }

    #[test]
    fn fresh_is_who_has_applied_what_there_was_a_moment_ago() {
        let start = Instant::now();
        let later = |ms: u64| start + Duration::from_millis(ms);
        let mut progress = Progress::default();
        progress.follow(&[at(0, 5)]);
        assert!(!progress.is_fresh(0, start, FRESHNESS), "nothing has been heard");
        progress.hear_end(start, at(0, 5));
        assert!(progress.is_fresh(0, later(2_000), FRESHNESS));
        assert!(!progress.is_fresh(0, later(2_001), FRESHNESS), "nothing has been heard for long");
        progress.hear_end(later(1_000), at(0, 9));
        progress.hear_end(later(1_500), at(0, 12));
        assert_eq!(progress.get(0).unwrap().lag(), Some(7));
        progress.reach(0, 10, 77);
        assert!(progress.is_fresh(0, later(3_000), FRESHNESS), "all that there was at 1 s");
        assert!(!progress.is_fresh(0, later(3_001), FRESHNESS));
        progress.reach(0, 12, 78);
        assert!(progress.is_fresh(0, later(3_500), FRESHNESS));
        assert!(!progress.is_fresh(1, later(0), FRESHNESS), "it is not read here");
    }

    #[test]
    fn much_that_was_heard_while_far_behind_is_not_all_remembered() {
        let start = Instant::now();
        let mut progress = Progress::default();
        progress.follow(&[at(0, 0)]);
        for n in 1..1_000 {
            progress.hear_end(start + Duration::from_millis(n), at(0, n));
        }
        assert_eq!(progress.get(0).unwrap().heard.len(), HEARD_MAX);
        progress.reach(0, 999, 0);
        assert!(progress.is_fresh(0, start + Duration::from_millis(999) + FRESHNESS, FRESHNESS));
    }

    #[test]
    fn what_is_lost_is_not_had() {
        let now = Instant::now();
        let mut progress = Progress::default();
        progress.follow(&[at(0, 5)]);
        progress.hear_end(now, at(0, 5));
        progress.skip_to(0, 20);
        assert!(!progress.is_fresh(0, now, FRESHNESS));
        progress.follow(&[at(0, 1), at(2, 3)]);
        assert_eq!(progress.next(), BTreeMap::from([(0, 20), (2, 3)]), "what is read goes on");
    }
}
