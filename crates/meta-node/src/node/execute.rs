//! Changes to the catalogue: proposed by the leader, passed on by everybody else, and refused soon where there is none.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use openraft::error::{ClientWriteError, RaftError};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use skywatch_meta::Command;
use skywatch_rpc::{CallError, Failure, FailureKind, tell};
use tokio::time::{Instant, timeout_at};

use super::{Leadership, MetaNode, Running};
use crate::{
    data_calls::{Execute, Executed},
    network::Nothing,
    raft_types::Outcome,
};

/// How long a change may take, an election included, before the asker is told that there is no leader.
const LIMIT: Duration = Duration::from_millis(1_500);
/// Between two looks for a leader.
const PAUSE: Duration = Duration::from_millis(50);
/// How long other meta nodes have to say that they are there, when they are counted.
const PING_LIMIT: Duration = Duration::from_millis(350);
/// How long a count holds.
const COUNT_LASTS: Duration = Duration::from_millis(500);

/// Why a change was not made, or is not known to have been made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The node was never taken into a cluster.
    #[error("no leader: this meta node belongs to no cluster yet; add it with `ctl add-meta`")]
    NoCluster,
    /// No meta node can decide anything.
    #[error("no leader: {answering} of {members} meta nodes answer, {}{}", quorum(*answering, *members), pending(*is_proposed))]
    NoLeader {
        /// How many answer, this one included.
        answering: usize,
        /// How many there are.
        members: usize,
        /// Whether the change may still be made.
        is_proposed: bool,
    },
    /// The leader did not answer in time.
    #[error("no leader: {0}; the change may have been made")]
    Lost(String),
    /// The leader's own words.
    #[error("{0}")]
    Failed(String),
    /// The node has ended, or its disk failed.
    #[error("server closed: {0}")]
    Closed(String),
}

fn quorum(answering: usize, members: usize) -> String {
    let needed = members / 2 + 1;
    if answering < needed {
        format!("{needed} are needed: start the others")
    } else {
        "and they are electing one".into()
    }
}

const fn pending(is_proposed: bool) -> &'static str {
    if is_proposed { "; the change may still be made" } else { "" }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        Self::new(FailureKind::Unavailable, error)
    }
}

/// How many members answered when they were last counted.
#[derive(Debug, Default)]
pub(super) struct Reachable(Mutex<Option<(Instant, usize, usize)>>);

impl MetaNode {
    /// Carries out a command, here or at the leader.
    pub async fn execute(&self, command: Command) -> Result<Outcome, ExecuteError> {
        self.execute_once(Execute { command, forwarded: false }).await
    }

    pub(super) async fn execute_once(&self, question: Execute) -> Result<Outcome, ExecuteError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.leadership() {
                Leadership::Mine => {
                    if let Some(outcome) = self.propose(question.command.clone(), deadline).await? {
                        return Ok(outcome);
                    }
                }
                Leadership::Other(leader, _) if !question.forwarded && !self.is_silent(leader) => {
                    let forwarded = Execute { forwarded: true, ..question.clone() };
                    let passing = self.pass_on("meta.execute", &forwarded, deadline);
                    let answer = if question.command.is_repeatable() {
                        tokio::select! {
                            biased;
                            answer = passing => answer?,
                            // The next one is asked, whatever the one that is gone made of it.
                            () = self.is_followed(leader) => None,
                        }
                    } else {
                        passing.await?
                    };
                    if let Some(answer) = answer {
                        return outcome(answer);
                    }
                }
                Leadership::Other(..) | Leadership::Unknown => {}
            }
            self.look_again(deadline).await?;
        }
    }

    /// Whether a leader does not answer: nothing is passed on to it, since nobody would know what became of it.
    pub(super) fn is_silent(&self, leader: u64) -> bool {
        self.running().vigil.is_silent(leader)
    }

    /// Returns when another member leads than this one.
    async fn is_followed(&self, leader: u64) {
        let is_followed =
            || self.running().raft.metrics().borrow().current_leader.is_some_and(|now| now != leader);
        while !is_followed() {
            tokio::time::sleep(PAUSE / 2).await;
        }
    }

    /// Waits a little for a leader to appear; an error once it is too late.
    pub(super) async fn look_again(&self, deadline: Instant) -> Result<(), ExecuteError> {
        if let Some(reason) = self.failure() {
            return Err(ExecuteError::Closed(reason));
        }
        let running = self.running();
        if !Running::has_cluster(&running.metrics()) {
            return Err(ExecuteError::NoCluster);
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(self.no_leader(false).await);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Proposes a command as the leader. `None` if this node has just ceased to be it, and nothing was proposed.
    pub(super) async fn propose(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Option<Outcome>, ExecuteError> {
        let command = if self.inner.settings.autogen { command } else { command.without_autogen() };
        // What some node of the cluster would not understand never gets into the log.
        let seen = self.seen();
        if let Err(refused) = seen.catalogue.admit(&command) {
            return Ok(Some(Outcome { index: seen.index, result: Err(refused) }));
        }
        let raft = self.running().raft;
        match timeout_at(deadline, raft.client_write(command)).await {
            Ok(Ok(written)) => Ok(Some(written.data)),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Ok(None),
            Ok(Err(RaftError::APIError(other))) => Err(ExecuteError::Failed(other.to_string())),
            Ok(Err(RaftError::Fatal(error))) => Err(ExecuteError::Closed(error.to_string())),
            Err(_) => Err(self.no_leader(true).await),
        }
    }

    /// Asks the leader, another node. `None` if it surely did nothing: somebody else may lead by now.
    pub(super) async fn pass_on<Q, A>(
        &self,
        method: &'static str,
        question: &Q,
        deadline: Instant,
    ) -> Result<Option<A>, ExecuteError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        let Leadership::Other(_, leader) = self.leadership() else { return Ok(None) };
        let within = deadline.saturating_duration_since(Instant::now());
        match tell(&*self.inner.transport, &leader.http_addr, method, question, within).await {
            Ok(answer) => Ok(Some(answer)),
            Err(CallError::Unreachable { .. }) => Ok(None),
            Err(CallError::Failed { failure, .. }) if failure.kind == FailureKind::Unavailable => Ok(None),
            Err(CallError::Failed { failure, .. }) => Err(ExecuteError::Failed(failure.text)),
            Err(error) => Err(ExecuteError::Lost(error.to_string())),
        }
    }

    /// Counts who answers, to say why nothing can be decided.
    pub(crate) async fn no_leader(&self, is_proposed: bool) -> ExecuteError {
        let told = |answering, members| ExecuteError::NoLeader { answering, members, is_proposed };
        let counted = *self.inner.reachable.0.lock();
        if let Some((at, answering, members)) = counted
            && at.elapsed() < COUNT_LASTS
        {
            return told(answering, members);
        }
        let running = self.running();
        let metrics = running.metrics();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let others = voters.iter().filter(|id| **id != running.id).filter_map(|id| membership.get_node(id));
        let pings = others.map(|member| async {
            let answer: Result<Nothing, CallError> =
                tell(&*self.inner.transport, &member.raft_addr, "raft.ping", &Nothing {}, PING_LIMIT).await;
            answer.is_ok()
        });
        let answering = join_all(pings).await.into_iter().filter(|is_there| *is_there).count()
            + usize::from(voters.contains(&running.id));
        *self.inner.reachable.0.lock() = Some((Instant::now(), answering, voters.len()));
        told(answering, voters.len())
    }

    /// Answers `meta.execute`.
    pub(super) async fn answer_execute(&self, question: Execute) -> Result<(Executed, Bytes), Failure> {
        let Outcome { index, result } = self.execute_once(question).await?;
        let (applied, refused) = match result {
            Ok(applied) => (Some(applied), None),
            Err(refused) => (None, Some(refused)),
        };
        Ok((Executed { index, applied, refused }, Bytes::new()))
    }
}

fn outcome(answer: Executed) -> Result<Outcome, ExecuteError> {
    let Executed { index, applied, refused } = answer;
    let result = match (applied, refused) {
        (Some(applied), None) => Ok(applied),
        (_, Some(refused)) => Err(refused),
        (None, None) => return Err(ExecuteError::Lost("the leader's answer says nothing".into())),
    };
    Ok(Outcome { index, result })
}
