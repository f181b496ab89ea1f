//! Leases: granted through the log, so that a new leader knows them, and taken from who does not renew them by a clock
//! that only ever measures durations.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_meta::{Command, Lease, NodeId};
use skywatch_rpc::Failure;
use tokio::time::Instant;

use super::{ExecuteError, Leadership, MetaNode};
use crate::data_calls::{AskLease, AskedLease, ReleaseLease};

/// As a change to the catalogue: an election may be under way.
const LIMIT: Duration = Duration::from_millis(1_500);

/// Since when this node, as the leader, has seen each lease stand as it does.
#[derive(Debug, Default)]
pub(super) struct Observed(Mutex<BTreeMap<String, Sighting>>);

#[derive(Debug, Clone, Copy)]
struct Sighting {
    renewals: u64,
    since: Instant,
}

impl Observed {
    /// Looks at leases as they are now.
    pub(super) fn see(&self, leases: &[Lease]) {
        let now = Instant::now();
        let mut seen = self.0.lock();
        seen.retain(|name, _| leases.iter().any(|lease| lease.name == *name));
        for lease in leases {
            let new = Sighting { renewals: lease.renewals, since: now };
            let sighting = seen.entry(lease.name.clone()).or_insert(new);
            if sighting.renewals != lease.renewals {
                *sighting = new;
            }
        }
    }

    /// The node does not lead: what it saw may be old.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    /// How much longer a lease stands if its owner does not renew it, as far as this node saw.
    fn remaining(&self, lease: &Lease) -> Duration {
        let seen = self.0.lock().get(&lease.name).copied().filter(|seen| seen.renewals == lease.renewals);
        let stood = seen.map_or(Duration::ZERO, |seen| seen.since.elapsed());
        Duration::from_millis(lease.duration_ms).saturating_sub(stood)
    }

    /// The count of renewals at which a lease has stood for as long as it lasts, or was given back.
    fn unrenewed(&self, lease: &Lease) -> Option<u64> {
        let is_free = lease.owner == NodeId(0);
        let is_over = self.0.lock().get(&lease.name).is_some_and(|seen| {
            seen.renewals == lease.renewals
                && seen.since.elapsed() >= Duration::from_millis(lease.duration_ms)
        });
        (is_free || is_over).then_some(lease.renewals)
    }
}

impl MetaNode {
    /// How much longer a lease stands if its owner does not renew it; known to the leader, others take it for new.
    pub fn lease_remains(&self, lease: &Lease) -> Duration {
        self.inner.leases.remaining(lease)
    }

    /// Asks for a lease, or renews it.
    pub async fn lease(&self, question: AskLease) -> Result<AskedLease, ExecuteError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.leadership() {
                Leadership::Mine => {
                    if let Some(answer) = self.decide_lease(&question, deadline).await? {
                        return Ok(answer);
                    }
                }
                Leadership::Other(leader, _) if !question.forwarded && !self.is_silent(leader) => {
                    let forwarded = AskLease { forwarded: true, ..question.clone() };
                    if let Some(answer) = self.pass_on("meta.lease", &forwarded, deadline).await? {
                        return Ok(answer);
                    }
                }
                Leadership::Other(..) | Leadership::Unknown => {}
            }
            self.look_again(deadline).await?;
        }
    }

    async fn decide_lease(
        &self,
        question: &AskLease,
        deadline: Instant,
    ) -> Result<Option<AskedLease>, ExecuteError> {
        let AskLease { name, owner, duration_ms, .. } = question.clone();
        let catalogue = self.seen().catalogue;
        let standing = catalogue.lease(&name).filter(|lease| lease.owner != owner);
        let unrenewed = standing.and_then(|lease| self.inner.leases.unrenewed(lease));
        if let (Some(lease), None) = (standing, unrenewed) {
            return Ok(Some(AskedLease { granted: false, lease: lease.clone() }));
        }
        let command = Command::AcquireLease { name, owner, duration_ms, unrenewed };
        let Some(outcome) = self.propose(command, deadline).await? else { return Ok(None) };
        let applied = outcome.result.map_err(|refused| ExecuteError::Failed(refused.to_string()))?;
        let lease =
            applied.lease.ok_or_else(|| ExecuteError::Failed("the catalogue knows no leases".into()))?;
        Ok(Some(AskedLease { granted: lease.owner == owner, lease }))
    }

    pub(super) async fn answer_lease(&self, question: AskLease) -> Result<(AskedLease, Bytes), Failure> {
        Ok((self.lease(question).await?, Bytes::new()))
    }

    pub(super) async fn answer_release(
        &self,
        question: ReleaseLease,
    ) -> Result<(crate::data_calls::Executed, Bytes), Failure> {
        let ReleaseLease { name, owner, renewals } = question;
        let command = Command::ReleaseLease { name, owner, renewals };
        self.answer_execute(crate::data_calls::Execute { command, forwarded: false }).await
    }
}
