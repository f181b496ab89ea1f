//! Whether clients should be sent to this node: what a load balancer asks.

use std::sync::atomic::Ordering;

use crate::{Node, keeper::Keeper};

/// Why clients should be sent elsewhere for the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
}

impl Node {
    /// Whether it can serve writes and reads, holding all that was acknowledged.
    pub fn readiness(&self) -> Result<(), NotReady> {
        if self.core.is_draining.load(Ordering::Acquire) {
            return Err(NotReady::Stopping);
        }
        let Keeper::Cluster(clustered) = &self.core.host else { return Ok(()) };
        let member = clustered.member();
        match (member.is_whole(), clustered.current().is_behind(member.id())) {
            (true, _) => Ok(()),
            (false, true) => Err(NotReady::Behind),
            (false, false) => Err(NotReady::CutOff),
        }
    }

    /// Says from now on that clients should be sent elsewhere; those that come are served all the same.
    pub fn drain(&self) {
        self.core.is_draining.store(true, Ordering::Release);
    }
}
