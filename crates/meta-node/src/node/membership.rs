//! Who is a member: the first one makes the cluster, others are taken in and let go.
//!
//! The catalogue names meta nodes for people and data nodes; Raft's membership says who votes. A node is named first and
//! becomes a member after, and is struck from the catalogue first and from the membership after, so that whatever a crash
//! leaves half done is told by comparing the two: [`MetaNode::settle`] finishes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use openraft::{
    ChangeMembers,
    error::{ClientWriteError, InitializeError, RaftError},
};
use skywatch_meta::{Command, MetaNode as Record};
use skywatch_replication::seat::is_loopback;
use skywatch_rpc::{CallError, Failure, FailureKind, tell};
use tokio::time::{Instant, timeout};

use super::{ExecuteError, Leadership, MetaNode, Running};
use crate::{
    data_calls::{Dismiss, Reset, Status},
    network::Nothing,
    raft_types::{Member, Raft},
};

/// How long another node has to say who it is.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// How long the first member has to elect itself.
const BEGIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a new member has to get the catalogue, and the membership to change.
const CHANGE_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Why the members are not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// Another node leads: ask there.
    #[error("the leader is {}", .0.http_addr)]
    Elsewhere(Member),
    /// The node to be added has a cluster of its own.
    #[error("meta node at \"{addr}\" is a member of another cluster: leader={leader} peers=[{}]", peers.join(" "))]
    OtherCluster {
        /// Its address.
        addr: String,
        /// Its leader.
        leader: String,
        /// Its members.
        peers: Vec<String>,
    },
    /// The node that was asked is no member any more.
    #[error("dangled meta node at \"{0}\" already has state present, cannot add another meta node")]
    Dangled(String),
    /// Addresses that other hosts cannot use.
    #[error("{0}")]
    Unusable(String),
    /// The other node does not answer.
    #[error("meta node at \"{addr}\" cannot be asked: {reason}")]
    Unreachable {
        /// Its address.
        addr: String,
        /// Why.
        reason: String,
    },
    /// There is no such meta node.
    #[error("node not found: {0}")]
    NotFound(String),
    /// With it the catalogue would go.
    #[error(
        "meta node at \"{0}\" is the last one, and the cluster still has data nodes: without it nobody would know what \
         they hold; remove them first"
    )]
    Last(String),
    /// It took too long.
    #[error("the change of members was not finished within {} s ({doing}); ask again, it is taken up where it stands", CHANGE_LIMIT.as_secs())]
    TimedOut {
        /// What was being done.
        doing: &'static str,
    },
    /// A change to the catalogue failed.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// Raft or the store refused.
    #[error("{0}")]
    Refused(String),
}

impl From<MembershipError> for Failure {
    fn from(error: MembershipError) -> Self {
        let kind = match &error {
            MembershipError::Elsewhere(_)
            | MembershipError::Execute(_)
            | MembershipError::TimedOut { .. } => FailureKind::Unavailable,
            MembershipError::OtherCluster { .. } | MembershipError::Last(_) => FailureKind::Conflict,
            MembershipError::NotFound(_) => FailureKind::NotFound,
            MembershipError::Dangled(_) | MembershipError::Unusable(_) => FailureKind::Invalid,
            MembershipError::Unreachable { .. } | MembershipError::Refused(_) => FailureKind::Internal,
        };
        Self::new(kind, error)
    }
}

impl MetaNode {
    /// Makes a cluster of this node, if it belongs to none.
    pub async fn bootstrap(&self) -> Result<(), MembershipError> {
        let _one_at_a_time = self.inner.membership.lock().await;
        self.begin().await
    }

    /// Takes a meta node into the cluster, by its HTTP address, and tells how the catalogue calls it. A node that is a
    /// member stays what it is; the first node that is added makes the cluster.
    pub async fn join(&self, addr: &str) -> Result<Record, MembershipError> {
        let _one_at_a_time = self.inner.membership.lock().await;
        let running = self.running();
        let metrics = running.metrics();
        let is_other = addr != self.inner.settings.http_addr;
        if Running::has_cluster(&metrics) && !running.is_member(&metrics) {
            return Err(MembershipError::Dangled(self.inner.settings.http_addr.clone()));
        }
        // Before anything is begun: whoever cannot be told apart from this host makes no cluster, nor does whoever has one.
        let status = if is_other { Some(self.meet(addr).await?) } else { None };
        if !Running::has_cluster(&metrics) {
            if let Some(status) = &status {
                check_free(addr, status, self.seen().catalogue.cluster_id())?;
            }
            self.begin().await?;
        }
        self.must_lead().await?;
        match status {
            None => self.named(&self.member()).await,
            Some(status) => self.take_in(addr, status).await,
        }
    }

    /// Takes a meta node out of the cluster, by its HTTP address, without asking it. The node itself should go with
    /// [`Self::leave`], which empties it too.
    pub async fn remove(&self, addr: &str) -> Result<(), MembershipError> {
        let _one_at_a_time = self.inner.membership.lock().await;
        self.must_lead().await?;
        let running = self.running();
        let metrics = running.metrics();
        let found = metrics.membership_config.nodes().find(|(_, member)| member.http_addr == addr);
        let member = found.map(|(id, _)| *id);
        if member.is_none() && !self.seen().catalogue.meta_nodes().iter().any(|node| node.http_addr == addr) {
            return Err(MembershipError::NotFound(addr.to_owned()));
        }
        self.dismiss(member, addr).await
    }

    /// Has a meta node, this one or another, leave the cluster and forget it.
    pub(crate) async fn ask_to_leave(&self, addr: &str) -> Result<(), MembershipError> {
        if addr == self.inner.settings.http_addr {
            return self.leave().await;
        }
        if !self.seen().catalogue.meta_nodes().iter().any(|node| node.http_addr == addr) {
            return Err(MembershipError::NotFound(addr.to_owned()));
        }
        let left: Result<Nothing, CallError> =
            tell(&*self.inner.transport, addr, "meta.leave", &Nothing {}, CHANGE_LIMIT).await;
        left.map(drop).map_err(|error| MembershipError::Refused(error.to_string()))
    }

    /// An error unless this node leads.
    pub(crate) async fn lead(&self) -> Result<(), MembershipError> {
        self.must_lead().await
    }

    /// Answers `meta.leave`.
    pub(super) async fn answer_leave(&self) -> Result<(Nothing, Bytes), Failure> {
        self.leave().await?;
        Ok((Nothing {}, Bytes::new()))
    }

    /// Leaves the cluster and forgets everything: the node is as new.
    pub async fn leave(&self) -> Result<(), MembershipError> {
        let _one_at_a_time = self.inner.membership.lock().await;
        let running = self.running();
        let metrics = running.metrics();
        if running.is_member(&metrics) {
            let addr = self.inner.settings.http_addr.clone();
            match self.wait_for_leadership().await? {
                Leadership::Mine => {
                    let is_last = metrics.membership_config.nodes().count() == 1;
                    if !is_last {
                        self.dismiss(Some(running.id), &addr).await?;
                    } else if !self.seen().catalogue.data_nodes().is_empty() {
                        return Err(MembershipError::Last(addr));
                    }
                }
                Leadership::Other(_, leader) => {
                    let question = Dismiss { member: running.id, http_addr: addr };
                    let told: Result<Nothing, CallError> = tell(
                        &*self.inner.transport,
                        &leader.http_addr,
                        "meta.dismiss",
                        &question,
                        CHANGE_LIMIT,
                    )
                    .await;
                    told.map_err(|error| MembershipError::Refused(error.to_string()))?;
                }
                Leadership::Unknown => return Err(self.no_leader(false).await.into()),
            }
        }
        self.start_anew().await
    }

    /// Answers `meta.dismiss`.
    pub(super) async fn answer_dismiss(&self, question: Dismiss) -> Result<(Nothing, Bytes), Failure> {
        let _one_at_a_time = self.inner.membership.lock().await;
        self.must_lead().await?;
        self.dismiss(Some(question.member), &question.http_addr).await?;
        Ok((Nothing {}, Bytes::new()))
    }

    /// Answers `meta.join`: forgets what it was, if it was a member of that cluster, or of none that it knows to be
    /// alive.
    pub(super) async fn answer_reset(&self, question: Reset) -> Result<(Nothing, Bytes), Failure> {
        let _one_at_a_time = self.inner.membership.lock().await;
        let running = self.running();
        // Somebody else has done so already, or the question is an old one.
        if running.id != question.member {
            return Ok((Nothing {}, Bytes::new()));
        }
        let own = self.seen().catalogue.cluster_id();
        if own != 0 && own != question.cluster_id {
            let text = format!("the node is a member of another cluster, {own:x}");
            return Err(Failure::new(FailureKind::Conflict, text));
        }
        self.start_anew().await?;
        Ok((Nothing {}, Bytes::new()))
    }

    /// Finishes what was begun: the leader names the first member, and strikes from the membership whom the catalogue
    /// does not name any more.
    pub(super) async fn settle(&self) {
        let Ok(_one_at_a_time) = self.inner.membership.try_lock() else { return };
        if let Err(error) = self.settle_members().await {
            tracing::warn!(%error, "the members of the cluster are not settled yet");
        }
    }

    async fn settle_members(&self) -> Result<(), MembershipError> {
        let seen = self.seen();
        if seen.catalogue.meta_nodes().is_empty() {
            return self.name_first().await;
        }
        let running = self.running();
        let metrics = running.metrics();
        let is_named = |member: &Member| {
            seen.catalogue.meta_nodes().iter().any(|node| node.raft_addr == member.raft_addr)
        };
        let unnamed: BTreeSet<u64> = metrics
            .membership_config
            .nodes()
            .filter(|(_, member)| !is_named(member))
            .map(|(id, _)| *id)
            .collect();
        if let Some(level) = seen.catalogue.raisable_level() {
            tracing::info!(level, "every node knows what is new in this release: from now on it may be used");
            self.change(Command::RaiseFeatureLevel { level }).await?;
        }
        if unnamed.is_empty() {
            return Ok(());
        }
        tracing::warn!(members = ?unnamed, "members that the catalogue does not name are taken out");
        self.strike(unnamed).await
    }

    async fn begin(&self) -> Result<(), MembershipError> {
        let running = self.running();
        let first = BTreeMap::from([(running.id, self.member())]);
        match running.raft.initialize(first).await {
            Ok(()) => tracing::info!(member = running.id, "this node makes a cluster"),
            // It was begun before, and then there is a leader to wait for all the same.
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(MembershipError::Refused(error.to_string())),
        }
        let deadline = Instant::now() + BEGIN_LIMIT;
        while self.leadership() != Leadership::Mine {
            if Instant::now() >= deadline {
                return Err(MembershipError::TimedOut { doing: "the first member elects itself" });
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.name_first().await
    }

    async fn name_first(&self) -> Result<(), MembershipError> {
        self.change(Command::NameCluster { id: self.draw() }).await?;
        self.named(&self.member()).await.map(drop)
    }

    /// The catalogue's record of a member, made if it is missing.
    async fn named(&self, member: &Member) -> Result<Record, MembershipError> {
        let Member { http_addr, raft_addr } = member.clone();
        let applied = self.change(Command::CreateMetaNode { http_addr, raft_addr }).await?;
        let id = applied.node.ok_or_else(|| MembershipError::NotFound(member.http_addr.clone()))?;
        let Member { http_addr, raft_addr } = member.clone();
        Ok(Record { id, http_addr, raft_addr })
    }

    async fn change(&self, command: Command) -> Result<skywatch_meta::Applied, MembershipError> {
        self.execute(command).await?.result.map_err(|refused| MembershipError::Refused(refused.to_string()))
    }

    async fn wait_for_leadership(&self) -> Result<Leadership, MembershipError> {
        let deadline = Instant::now() + self.inner.settings.timing.election * 3 / 2;
        loop {
            match self.leadership() {
                Leadership::Unknown => self.look_again(deadline).await?,
                known => return Ok(known),
            }
        }
    }

    async fn must_lead(&self) -> Result<(), MembershipError> {
        match self.wait_for_leadership().await? {
            Leadership::Mine => Ok(()),
            Leadership::Other(_, leader) => Err(MembershipError::Elsewhere(leader)),
            Leadership::Unknown => Err(self.no_leader(false).await.into()),
        }
    }

    async fn ask_status(&self, addr: &str) -> Result<Status, MembershipError> {
        tell(&*self.inner.transport, addr, "meta.status", &Nothing {}, ASK_LIMIT).await.map_err(
            |error: CallError| MembershipError::Unreachable {
                addr: addr.to_owned(),
                reason: error.to_string(),
            },
        )
    }

    /// Asks another node who it is, and whether the two can find each other by what they say of themselves.
    async fn meet(&self, addr: &str) -> Result<Status, MembershipError> {
        let status = self.ask_status(addr).await?;
        let settings = &self.inner.settings;
        check_names(&settings.http_addr, settings.is_named)?;
        check_names(&status.http_addr, status.is_named)?;
        if is_loopback(&settings.raft_addr) != is_loopback(&status.raft_addr) {
            return Err(MembershipError::Unusable(format!(
                "{} and {} cannot be in one cluster: one of them is an address that only its own host knows; set \
                 `hostname` to a name by which other hosts find it",
                settings.raft_addr, status.raft_addr
            )));
        }
        Ok(status)
    }

    async fn take_in(&self, addr: &str, met: Status) -> Result<Record, MembershipError> {
        let running = self.running();
        let metrics = running.metrics();
        let own = self.seen().catalogue.cluster_id();
        let is_voter = |id: u64| metrics.membership_config.voter_ids().any(|voter| voter == id);
        let mut status = met;
        if !is_voter(status.member) && !status.peers.is_empty() {
            check_free(addr, &status, own)?;
            // It was one of this cluster, and was taken out while it could not hear of it.
            let question = Reset { cluster_id: own, member: status.member };
            let told: Result<Nothing, CallError> =
                tell(&*self.inner.transport, addr, "meta.join", &question, ASK_LIMIT).await;
            told.map_err(|error| MembershipError::Unreachable {
                addr: addr.to_owned(),
                reason: error.to_string(),
            })?;
            status = self.ask_status(addr).await?;
        }
        let member = Member { http_addr: status.http_addr.clone(), raft_addr: status.raft_addr.clone() };
        let record = self.named(&member).await?;
        if is_voter(status.member) {
            return Ok(record);
        }
        let earlier: BTreeSet<u64> = metrics
            .membership_config
            .nodes()
            .filter(|(id, known)| **id != status.member && known.raft_addr == member.raft_addr)
            .map(|(id, _)| *id)
            .collect();
        within("the new member is told", self.teach(&running.raft, status.member, member)).await?;
        let promoted = BTreeSet::from([status.member]);
        within("the new member gets a vote", async {
            done(running.raft.change_membership(ChangeMembers::AddVoterIds(promoted), true).await)
        })
        .await?;
        if !earlier.is_empty() {
            self.strike(earlier).await?;
        }
        Ok(record)
    }

    /// Makes somebody a member without a vote, and waits until it knows what is known.
    async fn teach(&self, raft: &Raft, id: u64, member: Member) -> Result<(), MembershipError> {
        let added = raft.add_learner(id, member, false).await;
        let goal = match added {
            Ok(written) => written.log_id.index,
            Err(error) => return done(Err::<(), _>(error)),
        };
        loop {
            let metrics = raft.metrics().borrow().clone();
            let Some(replication) = metrics.replication else {
                return Err(MembershipError::Execute(self.no_leader(false).await));
            };
            if replication.get(&id).is_some_and(|reached| reached.is_some_and(|at| at.index >= goal)) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Strikes a member from the catalogue and from the membership.
    async fn dismiss(&self, member: Option<u64>, addr: &str) -> Result<(), MembershipError> {
        let named =
            self.seen().catalogue.meta_nodes().iter().find(|node| node.http_addr == addr).map(|node| node.id);
        let running = self.running();
        let is_member = |id: &u64| running.metrics().membership_config.membership().get_node(id).is_some();
        let member = member.filter(is_member);
        if member.is_some() && running.metrics().membership_config.nodes().count() == 1 {
            return Err(MembershipError::Last(addr.to_owned()));
        }
        if let Some(id) = named {
            self.change(Command::DeleteMetaNode { id }).await?;
        }
        match member {
            Some(id) => self.strike(BTreeSet::from([id])).await,
            None => Ok(()),
        }
    }

    /// Raft has no way to hand leadership over: a leader that strikes itself goes when the change is decided, and the
    /// others elect another one of those that know of it.
    async fn strike(&self, members: BTreeSet<u64>) -> Result<(), MembershipError> {
        let raft = self.running().raft;
        let voters: BTreeSet<u64> =
            raft.metrics().borrow().membership_config.voter_ids().filter(|id| members.contains(id)).collect();
        if !voters.is_empty() {
            within("the votes are taken away", async {
                done(raft.change_membership(ChangeMembers::RemoveVoters(voters), false).await)
            })
            .await?;
        }
        let learners: BTreeSet<u64> = raft
            .metrics()
            .borrow()
            .membership_config
            .nodes()
            .map(|(id, _)| *id)
            .filter(|id| members.contains(id))
            .collect();
        if learners.is_empty() || self.leadership() != Leadership::Mine {
            return Ok(());
        }
        within("members without a vote are taken out", async {
            done(raft.change_membership(ChangeMembers::RemoveNodes(learners), false).await)
        })
        .await
    }

    /// Ends the member that this node was, empties the store and begins as another.
    async fn start_anew(&self) -> Result<(), MembershipError> {
        let refused = |error: String| MembershipError::Refused(error);
        let ended = self.running();
        ended.end().await.map_err(refused)?;
        let store = ended.store.wipe(self.draw()).map_err(|error| refused(error.to_string()))?;
        let running = Running::start(store, &self.inner.settings, &self.inner.transport)
            .await
            .map_err(|error| refused(error.to_string()))?;
        self.inner.leases.forget();
        tracing::info!(was = ended.id, is = running.id, "this node has left its cluster and forgotten it");
        *self.inner.running.write() = running;
        Ok(())
    }
}

async fn within(
    doing: &'static str,
    change: impl Future<Output = Result<(), MembershipError>>,
) -> Result<(), MembershipError> {
    timeout(CHANGE_LIMIT, change).await.unwrap_or(Err(MembershipError::TimedOut { doing }))
}

type Written<T> = Result<T, RaftError<u64, ClientWriteError<u64, Member>>>;

fn done<T>(written: Written<T>) -> Result<(), MembershipError> {
    match written {
        Ok(_) => Ok(()),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(elsewhere))) => {
            Err(elsewhere.leader_node.map_or_else(
                || MembershipError::Refused("no leader: this node has just ceased to lead; ask again".into()),
                MembershipError::Elsewhere,
            ))
        }
        Err(error) => Err(MembershipError::Refused(error.to_string())),
    }
}

/// Refuses a node that is a member of another cluster than that of the number `own`.
fn check_free(addr: &str, status: &Status, own: u64) -> Result<(), MembershipError> {
    if status.peers.is_empty() || status.cluster_id == 0 || status.cluster_id == own {
        return Ok(());
    }
    let Status { leader, peers, .. } = status.clone();
    Err(MembershipError::OtherCluster { addr: addr.to_owned(), leader, peers })
}

fn check_names(http_addr: &str, is_named: bool) -> Result<(), MembershipError> {
    if is_named {
        return Ok(());
    }
    Err(MembershipError::Unusable(format!(
        "the meta node that calls itself {http_addr} was not told its name: other hosts would look for it on themselves; \
         set `hostname` in its configuration (or INFLUXDB_HOSTNAME) and start it again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_in_every_form() {
        for address in ["localhost:8089", "127.0.0.1:8089", "127.1.2.3:1", "[::1]:8089"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["meta-1:8089", "10.0.0.1:8089", "[fe80::1]:8089", "localhost.example:8089"] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
