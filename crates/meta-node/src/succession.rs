//! Who follows a leader that is gone, sooner than Raft's own timers say.
//!
//! Those are long, since a leader may merely be held up by its disk. Its process answers questions nevertheless; one that answers nothing is
//! gone with its host, frozen, or cut off. A member *misses* the leader when its Raft has not heard of it for longer than a lease, and its
//! process has given no answer for half as long. It asks the other voters whether they miss it too, and stands for election once more than
//! half of all voters do: they have no lease left to refuse it for, and a member that is cut off itself disturbs nobody.
//!
//! Nobody says yes to one whose log is shorter than its own, since that one would not be elected and only hold up the others. Whoever
//! says yes does not stand for a while; of two that ask each other, the one with the longer log does, or else with the greater number.
//! Members of earlier releases do not know the question; where they are needed, Raft's timers count.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use skywatch_rpc::{CallError, Transport, tell};
use tokio::time::{Instant, timeout};

use crate::{freshness::Metrics, raft_types::Raft};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Between two times that the others are asked.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long they may take to answer.
const ASK_LIMIT: Duration = Duration::from_millis(250);
/// How long Raft's loop may take to say when it heard of the leader: one that is busy has not missed it.
const STATE_LIMIT: Duration = Duration::from_millis(200);

/// `raft.missing` to another voter.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskMissing {
    /// The member that is asked.
    pub(crate) to: u64,
    /// Who asks.
    by: u64,
    /// The leader.
    leader: u64,
    /// Where the log of who asks ends.
    last: Option<u64>,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// Whether it misses the leader, and leaves it to the asker to stand for election.
    missing: bool,
}

/// What is known of the leader's process, and who stands.
#[derive(Debug)]
pub(crate) struct Vigil {
    me: u64,
    /// Nobody votes for another one while a leader was heard of within this.
    lease: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The leader, and when its process answered last.
    answered: Option<(u64, Instant)>,
    /// Whether this member is asking others.
    is_asking: bool,
    /// Until when it is left to another one to stand.
    yields_until: Option<Instant>,
}

impl Vigil {
    pub(crate) fn new(me: u64, lease: Duration) -> Self {
        Self { me, lease, state: Mutex::default() }
    }

    /// A member that is said to lead is asked something; the first time that counts as an answer.
    pub(crate) fn watch(&self, leader: u64) {
        let mut state = self.state.lock();
        if state.answered.is_none_or(|(known, _)| known != leader) {
            state.answered = Some((leader, Instant::now()));
        }
    }

    /// It has answered something.
    pub(crate) fn answered(&self, leader: u64) {
        self.state.lock().answered = Some((leader, Instant::now()));
    }

    /// Whether the leader's process has not answered for a while.
    pub(crate) fn is_silent(&self, leader: u64) -> bool {
        let answered = self.state.lock().answered;
        answered.is_some_and(|(known, at)| known == leader && at.elapsed() >= self.lease / 2)
    }

    /// Whether Raft's loop has not heard of this leader for longer than a lease either.
    async fn misses(&self, raft: &Raft, leader: u64) -> bool {
        self.is_free(raft, leader).await && raft.metrics().borrow().current_leader == Some(leader)
    }

    /// Whether no lease of this leader, or of another one, keeps this member from a vote.
    async fn is_free(&self, raft: &Raft, leader: u64) -> bool {
        if !self.is_silent(leader) {
            return false;
        }
        let looking = raft.with_raft_state(|state| (*state.vote_ref(), state.vote_last_modified()));
        let Ok(Ok((vote, heard))) = timeout(STATE_LIMIT, looking).await else { return false };
        let is_over = heard.is_some_and(|heard| heard.elapsed() > self.lease);
        // One that stood in vain follows nobody any more.
        !vote.is_committed() || (is_over && vote.leader_id().voted_for() == Some(leader))
    }

    /// Answers `raft.missing`.
    pub(crate) async fn answer(&self, raft: &Raft, question: &AskMissing) -> Missing {
        let own = raft.metrics().borrow().last_log_index;
        let is_free = self.is_free(raft, question.leader).await;
        Missing { missing: is_free && self.yields_to((question.last, question.by), own) }
    }

    /// Whether it is left to a candidate to stand, whose log ends there; it is from then on.
    fn yields_to(&self, candidate: (Option<u64>, u64), own: Option<u64>) -> bool {
        let mut state = self.state.lock();
        let yields = candidate.0 >= own && (!state.is_asking || candidate > (own, self.me));
        if yields {
            state.yields_until = Some(Instant::now() + self.lease / 2);
        }
        yields
    }

    /// Whether it is left to another one to stand.
    fn yields(&self) -> bool {
        self.state.lock().yields_until.is_some_and(|until| Instant::now() < until)
    }

    fn is_asking(&self, is_asking: bool) {
        self.state.lock().is_asking = is_asking;
    }
}

/// The leader, if this member follows one and has a vote.
fn followed(metrics: &Metrics, me: u64) -> Option<u64> {
    let is_voter = metrics.membership_config.membership().voter_ids().any(|voter| voter == me);
    metrics.current_leader.filter(|leader| is_voter && *leader != me)
}

/// Keeps watch until the future is dropped.
pub(crate) async fn keep(raft: Raft, vigil: Arc<Vigil>, transport: Arc<dyn Transport>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(leader) = followed(&raft.metrics().borrow(), vigil.me) else { continue };
        if vigil.yields() || !vigil.misses(&raft, leader).await {
            continue;
        }
        vigil.is_asking(true);
        let agreed = do_most_miss(&raft, &vigil, &*transport, leader).await;
        vigil.is_asking(false);
        if !agreed {
            tokio::time::sleep(ASK_EVERY).await;
        } else if !vigil.yields() && vigil.misses(&raft, leader).await {
            tracing::info!(
                leader,
                "the leader answers nothing, and is missed by most; this member stands for election"
            );
            if let Err(error) = raft.trigger().elect().await {
                tracing::debug!(%error, "Raft has ended");
                return;
            }
            tokio::time::sleep(vigil.lease / 2).await;
        }
    }
}

/// Whether more than half of the voters miss the leader, this one included.
async fn do_most_miss(raft: &Raft, vigil: &Vigil, transport: &dyn Transport, leader: u64) -> bool {
    let metrics = &raft.metrics().borrow().clone();
    let membership = metrics.membership_config.membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let others = voters.iter().filter(|id| **id != vigil.me && **id != leader);
    let mut asked: FuturesUnordered<_> = others
        .filter_map(|id| Some((*id, membership.get_node(id)?)))
        .map(|(to, member)| async move {
            let last = metrics.last_log_index;
            let question = AskMissing { to, by: vigil.me, leader, last };
            let answer: Result<Missing, CallError> =
                tell(transport, &member.raft_addr, "raft.missing", &question, ASK_LIMIT).await;
            answer.is_ok_and(|answer| answer.missing)
        })
        .collect();
    let mut count = 1;
    while count * 2 <= voters.len() {
        match asked.next().await {
            Some(misses) => count += usize::from(misses),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_with_a_shorter_log_is_not_left_to_stand() {
        let vigil = Vigil::new(5, LEASE);
        assert!(!vigil.yields_to((Some(9), 7), Some(10)) && !vigil.yields());
        assert!(vigil.yields_to((Some(10), 1), Some(10)) && vigil.yields());
        tokio::time::advance(LEASE / 2).await;
        assert!(!vigil.yields(), "for a while");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_ask_each_other_one_stands() {
        let (low, high) = (Vigil::new(1, LEASE), Vigil::new(2, LEASE));
        low.is_asking(true);
        high.is_asking(true);
        assert!(low.yields_to((Some(10), 2), Some(10)) && !high.yields_to((Some(10), 1), Some(10)));
        assert!(high.yields_to((Some(11), 1), Some(10)), "the longer log counts before the number");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_is_silent_that_has_not_answered_for_half_a_lease() {
        let vigil = Vigil::new(1, LEASE);
        assert!(!vigil.is_silent(9), "it is not known");
        vigil.watch(9);
        tokio::time::advance(LEASE / 2).await;
        vigil.watch(9);
        assert!(vigil.is_silent(9) && !vigil.is_silent(8));
        vigil.answered(9);
        assert!(!vigil.is_silent(9));
    }
}
