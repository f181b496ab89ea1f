//! Whether Kafka is known not to take records, in which case nobody waits for it. Pure: the time is passed in.
//!
//! Of each partition, and of the brokers as a whole:
//!
//! ```text
//!           evidence of an outage                 it has lasted for OUTAGE_AFTER
//! admits ─────────────────────────> holds back ─────────────────────────────────> turns away
//!   ^                                    │                                             │
//!   └──────── an acknowledgement, or brokers that say that all is well ────────────────┘
//! ```
//!
//! Evidence is that no broker answers, that a partition has no leader, or that fewer of its replicas are in step than have
//! to be. Brokers are asked once something is the matter, by [`super::inquiry`] and never with a client's record: they went
//! away, or a partition has records that nobody has acknowledged for a while. A leader that fell out is replaced without
//! evidence, since the brokers name the old one until then, or with less than turns anybody away; that costs waiting.
//!
//! A partition that leaves a record unacknowledged for as long as clients wait, without evidence, turns away too. Then its
//! records that were handed over are what finds out when that is over: they are tried on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long evidence has to last before anybody is turned away: leaders are elected meanwhile, an only broker may restart.
pub(super) const OUTAGE_AFTER: Duration = Duration::from_secs(1);
/// How long a partition may leave records unacknowledged before the brokers are asked what the matter is.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether records are turned away at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerState {
    /// They are sent.
    #[default]
    Closed,
    /// Those of some partition, or all, are turned away: Kafka does not take them.
    Open,
}

/// Why records are turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No broker answers.
    OutOfReach,
    /// The partition has no leader.
    NoLeader,
    /// Fewer replicas of the partition are in step than have to be.
    FewInSync { found: u32, wanted: u32 },
    /// A record was not acknowledged in time, and nobody says why.
    Unacknowledged,
}

impl Cause {
    /// Whether those who wait already gain nothing by waiting on.
    pub(super) fn is_evident(self) -> bool {
        self != Self::Unacknowledged
    }
}

/// What becomes of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are sent.
    Admit,
    /// They are held back until more is known, which is soon.
    Hold,
    /// They are turned away, because of this partition.
    TurnAway(Key, Cause),
}

/// A partition, or whichever the record falls into.
pub(crate) type Key = Option<u32>;

/// What the brokers said of a topic's partitions, and what is the matter with each.
pub(crate) type Told = BTreeMap<u32, Option<Cause>>;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    brokers: Evidence,
    partitions: BTreeMap<Key, Partition>,
    was_open: bool,
    opened: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    #[default]
    None,
    Since(Instant, Cause),
    Lasting(Cause),
}

#[derive(Debug, Default)]
struct Partition {
    /// Records that were handed over and have no answer yet.
    waiting: u64,
    /// When the last answer came, or the first of those that wait was handed over.
    moved: Option<Instant>,
    evidence: Evidence,
}

impl Evidence {
    fn begins(&mut self, now: Instant, cause: Cause) {
        match self {
            Self::None => *self = Self::Since(now, cause),
            Self::Since(_, known) | Self::Lasting(known) => *known = cause,
        }
    }

    fn ripen(&mut self, now: Instant) {
        if let Self::Since(since, cause) = *self
            && now.saturating_duration_since(since) >= OUTAGE_AFTER
        {
            *self = Self::Lasting(cause);
        }
    }

    const fn lasting(self) -> Option<Cause> {
        match self {
            Self::Lasting(cause) => Some(cause),
            Self::None | Self::Since(..) => None,
        }
    }
}

impl Partition {
    fn is_stalled(&self, now: Instant) -> bool {
        self.waiting > 0 && self.moved.is_some_and(|at| now.saturating_duration_since(at) >= PATIENCE)
    }
}

impl Breaker {
    /// What becomes of records for these partitions.
    pub(crate) fn verdict(&mut self, now: Instant, keys: &[Key]) -> Verdict {
        self.ripen(now);
        if let Some(cause) = self.brokers.lasting() {
            return Verdict::TurnAway(None, cause);
        }
        let mut verdict = if self.brokers == Evidence::None { Verdict::Admit } else { Verdict::Hold };
        for key in keys {
            match self.partitions.get(key).map_or(Evidence::None, |known| known.evidence) {
                Evidence::None => {}
                Evidence::Since(..) => verdict = Verdict::Hold,
                Evidence::Lasting(cause) => return Verdict::TurnAway(*key, cause),
            }
        }
        verdict
    }

    /// A record was handed over.
    pub(crate) fn handed_over(&mut self, now: Instant, key: Key) {
        let partition = self.partitions.entry(key).or_default();
        if partition.waiting == 0 {
            partition.moved = Some(now);
        }
        partition.waiting += 1;
    }

    /// A record that was handed over waits no longer. Whether that changed what becomes of others.
    pub(crate) fn answered(&mut self, now: Instant, key: Key, is_acknowledged: bool) -> bool {
        let partition = self.partitions.entry(key).or_default();
        partition.waiting = partition.waiting.saturating_sub(1);
        partition.moved = Some(now);
        if !is_acknowledged || (partition.evidence, self.brokers) == (Evidence::None, Evidence::None) {
            return false;
        }
        partition.evidence = Evidence::None;
        self.brokers = Evidence::None;
        self.was_open = self.is_open();
        true
    }

    /// A record was waited for as long as anybody waits.
    pub(crate) fn timed_out(&mut self, key: Key) {
        let partition = self.partitions.entry(key).or_default();
        if partition.evidence.lasting().is_none() {
            partition.evidence = Evidence::Lasting(Cause::Unacknowledged);
            self.note_opening();
        }
    }

    /// There is no connection to any broker, or none has answered.
    pub(crate) fn brokers_away(&mut self, now: Instant) {
        self.brokers.begins(now, Cause::OutOfReach);
    }

    /// A broker has answered, with this.
    pub(crate) fn told(&mut self, now: Instant, told: &Told) {
        self.brokers = Evidence::None;
        // Of a record that may fall anywhere one good partition is enough.
        let anywhere = told.values().copied().min_by_key(Option::is_some).flatten();
        for (&partition, &matter) in told {
            if matter.is_some() {
                self.partitions.entry(Some(partition)).or_default();
            }
        }
        for (key, partition) in &mut self.partitions {
            let matter = key.map_or(Some(anywhere), |number| told.get(&number).copied());
            match matter {
                // Brokers that have forgotten a partition say nothing of it.
                None => {}
                Some(Some(cause)) => partition.evidence.begins(now, cause),
                Some(None) => {
                    let waits_for_answer = partition.evidence == Evidence::Lasting(Cause::Unacknowledged);
                    if !waits_for_answer || partition.waiting == 0 {
                        partition.evidence = Evidence::None;
                    }
                }
            }
        }
        self.was_open = self.is_open();
    }

    /// Whether the brokers are to be asked what the matter is.
    pub(crate) fn wonders(&self, now: Instant) -> bool {
        let wonders =
            |partition: &Partition| partition.evidence != Evidence::None || partition.is_stalled(now);
        self.brokers != Evidence::None || self.partitions.values().any(wonders)
    }

    /// Evidence that has lasted long enough turns records away from now on. Whether that is news.
    pub(crate) fn ripen(&mut self, now: Instant) -> bool {
        self.brokers.ripen(now);
        self.partitions.values_mut().for_each(|partition| partition.evidence.ripen(now));
        self.note_opening()
    }

    fn note_opening(&mut self) -> bool {
        let opens = !self.was_open && self.is_open();
        self.was_open |= opens;
        self.opened += u64::from(opens);
        opens
    }

    fn is_open(&self) -> bool {
        self.cause().is_some()
    }

    /// Why records are turned away, and of which partition, if they are.
    pub(crate) fn cause(&self) -> Option<(Key, Cause)> {
        let mut partitions = self.partitions.iter();
        let of_one = || partitions.find_map(|(key, it)| Some((*key, it.evidence.lasting()?)));
        self.brokers.lasting().map(|cause| (None, cause)).or_else(of_one)
    }

    pub(crate) fn state(&self) -> BreakerState {
        if self.is_open() { BreakerState::Open } else { BreakerState::Closed }
    }

    /// How often it has opened.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ALL: [Key; 2] = [Some(0), Some(1)];

    fn well() -> Told {
        [(0, None), (1, None)].into()
    }

    fn turned_away(key: Key, cause: Cause) -> Verdict {
        Verdict::TurnAway(key, cause)
    }

    #[test]
    fn brokers_that_went_away_hold_back_and_then_turn_away_until_one_answers() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.handed_over(now, Some(0));
        assert_eq!(breaker.verdict(now, &ALL), Verdict::Admit);
        breaker.brokers_away(now);
        breaker.brokers_away(now + 900 * MS);
        assert_eq!(breaker.verdict(now + 999 * MS, &ALL), Verdict::Hold);
        let away = turned_away(None, Cause::OutOfReach);
        assert_eq!(breaker.verdict(now + 1000 * MS, &ALL), away, "counted from when they went");
        assert_eq!(
            breaker.verdict(now + 60_000 * MS, &[Some(7)]),
            away,
            "also where nothing was sent before"
        );
        assert_eq!((breaker.state(), breaker.opened()), (BreakerState::Open, 1));
        breaker.told(now + 60_001 * MS, &well());
        assert_eq!(breaker.verdict(now + 60_002 * MS, &ALL), Verdict::Admit);
        assert_eq!((breaker.state(), breaker.opened()), (BreakerState::Closed, 1));
    }

    #[test]
    fn brokers_that_come_back_at_once_turn_nobody_away() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.handed_over(now, Some(0));
        breaker.brokers_away(now);
        assert!(breaker.answered(now + 900 * MS, Some(0), true));
        assert_eq!(breaker.verdict(now + 5000 * MS, &ALL), Verdict::Admit, "it is forgotten");
        assert_eq!(breaker.opened(), 0);
    }

    #[test]
    fn a_partition_that_takes_nothing_holds_up_no_other() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let few = Cause::FewInSync { found: 1, wanted: 2 };
        let told: Told = [(0, Some(Cause::NoLeader)), (1, Some(few)), (2, None)].into();
        breaker.told(now, &told);
        breaker.told(now + 500 * MS, &told);
        assert_eq!(breaker.verdict(now + 999 * MS, &ALL), Verdict::Hold, "a leader is being elected");
        assert_eq!(breaker.verdict(now + 1000 * MS, &ALL), turned_away(Some(0), Cause::NoLeader));
        assert_eq!(breaker.verdict(now + 1000 * MS, &[Some(1)]), turned_away(Some(1), few));
        assert_eq!(breaker.verdict(now + 1000 * MS, &[Some(2)]), Verdict::Admit);
        assert_eq!(breaker.verdict(now + 1000 * MS, &[None]), Verdict::Admit, "it falls into the good one");
        breaker.told(now + 2000 * MS, &[(0, None), (1, Some(few)), (2, None)].into());
        assert_eq!(breaker.verdict(now + 2000 * MS, &[Some(0)]), Verdict::Admit);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.opened(), 1, "once for all of it");
    }

    #[test]
    fn an_election_within_the_second_turns_nobody_away() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.told(now, &[(0, Some(Cause::NoLeader))].into());
        breaker.told(now + 700 * MS, &[(0, None)].into());
        breaker.told(now + 900 * MS, &[(0, Some(Cause::NoLeader))].into());
        assert_eq!(breaker.verdict(now + 1800 * MS, &ALL), Verdict::Hold, "counted anew");
        assert_eq!(breaker.opened(), 0);
    }

    #[test]
    fn without_evidence_the_records_that_wait_find_out() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for key in ALL {
            breaker.handed_over(now, key);
        }
        assert!(!breaker.wonders(now + 499 * MS));
        assert!(breaker.wonders(now + 500 * MS));
        breaker.told(now + 600 * MS, &well());
        assert_eq!(breaker.verdict(now + 9000 * MS, &ALL), Verdict::Admit, "nothing is known to be wrong");
        breaker.timed_out(Some(0));
        breaker.timed_out(Some(0));
        let unheard = turned_away(Some(0), Cause::Unacknowledged);
        assert_eq!(breaker.verdict(now + 10_000 * MS, &ALL), unheard);
        assert_eq!(breaker.verdict(now + 10_000 * MS, &[Some(1)]), Verdict::Admit);
        breaker.told(now + 11_000 * MS, &well());
        assert_eq!(breaker.verdict(now + 11_000 * MS, &ALL), unheard, "words are not enough");
        assert!(breaker.answered(now + 12_000 * MS, Some(0), true));
        assert_eq!(breaker.verdict(now + 12_000 * MS, &ALL), Verdict::Admit);
        assert_eq!(breaker.opened(), 1);
    }

    #[test]
    fn words_are_enough_where_no_record_waits() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.handed_over(now, Some(0));
        breaker.timed_out(Some(0));
        assert!(!breaker.answered(now, Some(0), false), "refused, or the client ended");
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.wonders(now), "until it is heard that all is well");
        breaker.told(now, &well());
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(!breaker.wonders(now + 60_000 * MS));
    }
}
