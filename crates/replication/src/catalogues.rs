//! The catalogue as a data node knows it: a copy that follows the meta nodes, kept on disk, and the way to change it.
//!
//! The copy is what everything is decided by, so that writes and queries go on while no meta node can be reached. How old
//! it may be is known ([`Catalogues::age`]): who must be sure that nothing was decided without it looks at that.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use skywatch_meta::{Applied, Catalogue, CatalogueError, Command, Lease, NodeId};
use tokio::sync::watch;

/// Why a command was not carried out, or is not known to have been.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The catalogue refused it; it is unchanged.
    #[error(transparent)]
    Refused(#[from] CatalogueError),
    /// No meta node could carry it out in time; it may be carried out later.
    #[error("meta service unavailable: {0}")]
    Unavailable(String),
}

/// The catalogue, seen from a data node.
#[async_trait]
pub trait Catalogues: Send + Sync + fmt::Debug {
    /// The copy; it does not change under the reader.
    fn current(&self) -> Arc<Catalogue>;

    /// How many commands the copy has seen.
    fn index(&self) -> u64;

    /// Tells of every new [`Self::index`].
    fn changes(&self) -> watch::Receiver<u64>;

    /// For how long no meta node has confirmed that the copy is the latest; `None` if none ever has.
    fn age(&self) -> Option<Duration>;

    /// Whether meta nodes answer this node: one has confirmed lately that the copy is the latest, or more than half of them have said
    /// something, such as that they are electing a leader.
    fn is_met(&self) -> bool;

    /// Carries out a command. When this returns, the copy has it.
    async fn execute(&self, command: &Command) -> Result<Applied, ExecuteError>;

    /// Asks for a lease in the name of a node, or renews it. It is held by whoever [`Lease::owner`] names, for `duration_ms` from when this
    /// was called.
    async fn lease(&self, name: &str, owner: NodeId, duration: Duration) -> Result<Lease, ExecuteError>;

    /// Whether meta nodes confirm nothing to anybody for the moment, as far as can be known for sure: so many of them do not
    /// run, or hear of no leader themselves, that the others are no majority. One that merely does not answer may be
    /// cut off from here alone.
    async fn nobody_confirms(&self) -> bool;

    /// Waits until the copy has seen so many commands; false if it has not by then.
    async fn reach(&self, index: u64, within: Duration) -> bool {
        let mut changes = self.changes();
        let reached = changes.wait_for(|seen| *seen >= index);
        tokio::time::timeout(within, reached).await.is_ok_and(|reached| reached.is_ok())
    }
}
