//! Whether clients should be sent to this node: what a load balancer asks.

use std::sync::atomic::Ordering;

use crate::{Node, keeper::Keeper, logged, node::NodeCore};

/// Why clients should be sent elsewhere for the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It is about to stop.
    #[error("the node is stopping")]
    Stopping,
    /// It has to catch up.
    #[error("the node is catching up: others keep writes for it that it has not got yet")]
    Behind,
    /// It cannot know.
    #[error(
        "the node cannot tell whether it has all that was acknowledged: it has just started, or other nodes do not answer"
    )]
    CutOff,
    /// It does not know all of what went through the cluster's log; why.
    #[error("the node does not have all that was acknowledged: {0}")]
    Lagging(String),
    /// It cannot write to the cluster's log; why.
    #[error("the node cannot write to the cluster's log: {0}")]
    NoLog(String),
    /// The cluster writes through another log than it is set to.
    #[error(transparent)]
    WrongLog(skywatch_meta::CatalogueError),
}

/// What a client wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To write, and to read.
    #[default]
    Both,
    /// To write.
    Writes,
    /// To read.
    Reads,
}

impl Node {
    /// Whether it can serve writes and reads, holding all that was acknowledged.
    pub fn readiness(&self) -> Result<(), NotReady> {
        self.readiness_for(Purpose::Both)
    }

    /// Whether it can do what a client wants. Without a log, one that has to catch up takes writes: what it lacks comes to it
    /// in any case. One that cannot tell what it lacks should be given none while others can: it may be cut off from them.
    pub fn readiness_for(&self, purpose: Purpose) -> Result<(), NotReady> {
        self.core.readiness_for(purpose)
    }

    /// Live shards on this node.
    pub fn shard_count(&self) -> usize {
        self.core.store.shards().len()
    }

    /// Says from now on that clients should be sent elsewhere; those that come are served all the same.
    pub fn drain(&self) {
        self.core.is_draining.store(true, Ordering::Release);
    }
}

impl NodeCore {
    /// See [`Node::readiness_for`].
    pub(crate) fn readiness_for(&self, purpose: Purpose) -> Result<(), NotReady> {
        if self.is_draining.load(Ordering::Acquire) {
            return Err(NotReady::Stopping);
        }
        let Keeper::Cluster(clustered) = &self.host else { return Ok(()) };
        let member = clustered.member();
        if let Some(error) = logged::mismatch(&clustered.current(), member.log().map(|log| log.name())) {
            return Err(NotReady::WrongLog(error));
        }
        if let Some(log) = member.log().filter(|_| clustered.current().write_log().is_some()) {
            if purpose != Purpose::Reads
                && let Some(reason) = log.unreachable()
            {
                return Err(NotReady::NoLog(reason));
            }
            if purpose == Purpose::Writes {
                return Ok(());
            }
            if let Some((_, reason)) = log.stale_partitions().into_iter().next() {
                return Err(NotReady::Lagging(reason));
            }
        }
        match (member.is_whole(), clustered.current().is_behind(member.id())) {
            (true, _) => Ok(()),
            (false, true) if purpose == Purpose::Writes => Ok(()),
            (false, true) => Err(NotReady::Behind),
            (false, false) => Err(NotReady::CutOff),
        }
    }
}
