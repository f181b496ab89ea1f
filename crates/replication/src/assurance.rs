//! What a node that keeps something for another goes by to be sure, soon, that the other answers no queries without it. Pure.
//!
//! Nodes ask each other several times a second (`heartbeat`). Whoever is asked *assures* the asker that it is in step, if it is:
//!
//! ```text
//!   who relies on it    asks, q ──────┐           ┌──► has it, r ── asks again, naming it ──┐
//!   who gives it                      └─► gives, c┘                                         └─► knows that r is after c
//! ```
//!
//! * Who relies on assurances answers queries until `q +` [`LASTS`] as long as its catalogue allows that. After this only by a
//!   catalogue that is known to be of `r +` [`NOTED_WITHIN`] or later, and *watches closely*: one that is older than [`CLOSE`] does not do,
//!   unless it is of `r +` [`NOTED_LATE`] or later.
//! * Who falls out of step with somebody stops giving them, then has the catalogue changed, at `n`. If that is before `c + NOTED_LATE`,
//!   of one that has been named, then from `LASTS` after the last one was given, and `n + CLOSE`, on the other has either read of it,
//!   or answers nothing: for that `q`, `c` and `r` come one after the other. So it is where the change had to wait for an election.
//! * Nodes of earlier releases do not watch closely. With them `n` has to be before `c + NOTED_WITHIN`.
//! * Where it is done later, it has to be waited until the other trusts no catalogue of before ([`TRUST`](crate::standing::TRUST)).
//!
//! Every moment is one of the own clock. An assurance is known by its number, which no other one of the same node has.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How long an assurance is enough, from when it was asked for. What is left of it after [`NOTED_WITHIN`] is how old the
/// catalogue may be where an assurance runs out without a gap: nodes hear of it several times in this.
pub(crate) const LASTS: Duration = Duration::from_millis(1_600);
/// How long after an assurance the catalogue may be changed so that nobody has to wait any longer than it lasts.
pub(crate) const NOTED_WITHIN: Duration = Duration::from_millis(950);
/// How long after an assurance the catalogue may be changed so that one who watches closely is waited for no longer than [`CLOSE`]
/// after that: an election fits in.
pub(crate) const NOTED_LATE: Duration = Duration::from_millis(2_500);
/// How old the catalogue may be of one who watches closely.
pub(crate) const CLOSE: Duration = Duration::from_millis(600);

// Who needs the catalogue of `NOTED_WITHIN` when an assurance runs out needs no younger one than who watches closely.
const _: () = assert!(NOTED_WITHIN.as_millis() + CLOSE.as_millis() <= LASTS.as_millis());

/// How many that were not named yet are remembered.
const UNNAMED_MAX: usize = 32;

/// What was given to one node.
#[derive(Debug, Default)]
pub(crate) struct Given {
    is_withheld: bool,
    /// Numbers, and when each was given.
    unnamed: VecDeque<(u64, Instant)>,
    /// When the latest was given that the node is known to have.
    named: Option<Instant>,
    /// When the last one was given.
    last: Option<Instant>,
    /// Whether the node says that it watches closely when they run out.
    is_close: bool,
}

/// What a node says when it asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asking {
    /// The number of the assurance that it has.
    pub(crate) holds: Option<u64>,
    /// Whether it watches closely when that runs out.
    pub(crate) is_close: bool,
}

impl Given {
    /// The node asks, and names the assurance that it has. Whether it gets one with this number.
    pub(crate) fn ask(&mut self, now: Instant, asking: Asking, number: u64, is_in_step: bool) -> bool {
        let Asking { holds, is_close } = asking;
        self.is_close = is_close;
        if let Some(place) = self.unnamed.iter().position(|(given, _)| Some(*given) == holds) {
            let named = self.unnamed.drain(..=place).next_back().map(|(_, at)| at);
            self.named = self.named.max(named);
        }
        if self.is_withheld || !is_in_step {
            return false;
        }
        if self.unnamed.len() == UNNAMED_MAX {
            self.unnamed.pop_front();
        }
        self.unnamed.push_back((number, now));
        self.last = Some(now);
        true
    }

    /// None is given from now on.
    pub(crate) const fn withhold(&mut self) {
        self.is_withheld = true;
    }

    /// The node is in step again.
    pub(crate) const fn resume(&mut self) {
        self.is_withheld = false;
    }

    /// From when on the node answers nothing by a catalogue that is older than what it was told by `noted`, as far as assurances
    /// tell. They are withheld since before then.
    pub(crate) fn ends(&self, noted: Instant) -> Option<Instant> {
        let (named, last) = (self.named?, self.last?);
        if !self.is_withheld {
            return None;
        }
        if noted < named + NOTED_WITHIN {
            return Some(last + LASTS);
        }
        (self.is_close && noted < named + NOTED_LATE).then(|| (last + LASTS).max(noted + CLOSE))
    }
}

/// What one node has given to this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Its number and when it was asked for.
    latest: Option<(u64, Instant)>,
    /// When it came, or when this process started.
    since: Instant,
    /// Whoever gave it has ended while it lasted, and can have told nobody that it does not.
    has_no_giver: bool,
}

impl Held {
    /// None yet.
    pub(crate) const fn none(started: Instant) -> Self {
        Self { latest: None, since: started, has_no_giver: false }
    }

    /// The one to name.
    pub(crate) fn number(&self) -> Option<u64> {
        self.latest.map(|(number, _)| number)
    }

    /// One has come.
    pub(crate) fn receive(&mut self, number: u64, asked: Instant, now: Instant) {
        *self = Self { latest: Some((number, asked)), since: now, has_no_giver: false };
    }

    /// The process that gave it has ended.
    pub(crate) fn giver_ended(&mut self, now: Instant) {
        self.has_no_giver |= self.lasts(now);
    }

    fn lasts(&self, now: Instant) -> bool {
        self.latest.is_some_and(|(_, asked)| now < asked + LASTS)
    }

    /// Whether queries may be answered by a catalogue that has everything of before `as_of`.
    pub(crate) fn allows(&self, now: Instant, as_of: Option<Instant>) -> bool {
        let is_young = |as_of: Instant| {
            let is_close = now < as_of + CLOSE || as_of >= self.since + NOTED_LATE;
            is_close && as_of >= self.since + NOTED_WITHIN
        };
        self.has_no_giver || self.lasts(now) || as_of.is_some_and(is_young)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> impl Fn(u64) -> Instant {
        let begun = Instant::now();
        move |ms| begun + Duration::from_millis(ms)
    }

    /// Of a node that watches closely.
    const fn holding(holds: Option<u64>) -> Asking {
        Asking { holds, is_close: true }
    }

    #[test]
    fn a_change_that_was_made_in_time_is_waited_for_no_longer_than_an_assurance_lasts() {
        let at = clock();
        let mut given = Given::default();
        assert!(given.ask(at(0), holding(None), 1, true));
        given.withhold();
        assert_eq!(given.ends(at(10)), None, "nobody knows that it has come");
        given.resume();
        assert!(given.ask(at(100), holding(Some(1)), 2, true));
        assert!(given.ask(at(200), holding(Some(7)), 3, true), "one of somebody else changes nothing");
        assert_eq!(given.ends(at(300)), None, "they are given on");
        given.withhold();
        assert!(!given.ask(at(400), holding(Some(1)), 4, true));
        assert_eq!(given.ends(at(949)), Some(at(200) + LASTS));
        assert_eq!(
            given.ends(at(1_149)),
            Some(at(200) + LASTS),
            "it lasts longer than one who watches closely is waited for"
        );
        assert!(!given.ask(at(500), holding(Some(3)), 5, true));
        assert_eq!(given.ends(at(1_149)), Some(at(200) + LASTS), "the later one has come too");
    }

    #[test]
    fn a_change_that_had_to_wait_for_an_election_is_waited_for_a_little() {
        let at = clock();
        let mut given = Given::default();
        assert!(given.ask(at(0), holding(None), 1, true));
        assert!(given.ask(at(100), holding(Some(1)), 2, true));
        given.withhold();
        assert_eq!(given.ends(at(1_300)), Some(at(1_300) + CLOSE));
        assert_eq!(given.ends(at(2_499)), Some(at(2_499) + CLOSE));
        assert_eq!(given.ends(at(2_500)), None);
        let earlier = Asking { holds: Some(2), is_close: false };
        assert!(!given.ask(at(200), earlier, 3, true));
        assert_eq!(given.ends(at(1_000)), Some(at(100) + LASTS), "the other one has been named");
        assert_eq!(given.ends(at(1_100)), None, "a node of an earlier release does not watch closely");
    }

    /// The two sides of what the header says, at every millisecond that matters: from the moment on that the one who changed the
    /// catalogue waits for, the other answers by no catalogue that is of before the change.
    #[test]
    fn whoever_is_waited_for_has_read_of_the_change_or_answers_nothing() {
        let at = clock();
        for (noted, came) in (0..2_600).step_by(7).flat_map(|noted| [0, 3, 90].map(|came| (noted, came))) {
            let mut given = Given::default();
            given.ask(at(0), holding(None), 1, true);
            given.ask(at(100), holding(Some(1)), 2, true);
            given.withhold();
            let Some(ends) = given.ends(at(noted)) else { continue };
            let mut held = Held::none(at(0));
            // Asked for just before it was given, and come a little later.
            held.receive(2, at(99), at(100 + came));
            for later in (0..3_000).step_by(11) {
                let now = ends + Duration::from_millis(later);
                assert!(
                    !held.allows(now, Some(at(noted) - Duration::from_millis(1))),
                    "{noted} {came} {later}"
                );
            }
        }
    }

    #[test]
    fn who_is_out_of_step_gets_none() {
        let at = clock();
        let mut given = Given::default();
        assert!(!given.ask(at(0), holding(None), 1, false));
        assert!(given.ask(at(1), holding(None), 2, true));
        (0..100).for_each(|number| assert!(given.ask(at(2 + number), holding(None), number + 10, true)));
        assert_eq!(given.unnamed.len(), UNNAMED_MAX);
    }

    #[test]
    fn after_it_has_run_out_only_a_later_catalogue_allows_answers() {
        let at = clock();
        let mut held = Held::none(at(0));
        assert!(!held.allows(at(10), None));
        assert!(held.allows(at(960), Some(at(950))));
        held.receive(1, at(1_000), at(1_050));
        assert_eq!(held.number(), Some(1));
        assert!(held.allows(at(2_599), None));
        assert!(!held.allows(at(2_600), Some(at(1_999))));
        assert!(held.allows(at(2_600), Some(at(2_001))));
        assert!(!held.allows(at(2_601), Some(at(2_001))), "it is watched closely");
        assert!(held.allows(at(4_149), Some(at(3_550))) && !held.allows(at(4_150), Some(at(3_549))));
        assert!(held.allows(at(9_000), Some(at(3_550))), "for a while");
    }

    #[test]
    fn a_giver_that_ended_while_it_lasted_has_told_nobody() {
        let at = clock();
        let mut held = Held::none(at(0));
        held.giver_ended(at(10));
        assert!(!held.allows(at(20), None));
        held.receive(1, at(100), at(110));
        held.giver_ended(at(1_700));
        assert!(!held.allows(at(1_701), None), "it may have ended later");
        held.receive(2, at(1_800), at(1_810));
        held.giver_ended(at(1_900));
        assert!(held.allows(at(9_000), None));
        held.receive(3, at(9_000), at(9_001));
        assert!(!held.allows(at(12_000), None));
    }
}
