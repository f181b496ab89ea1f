//! Who keeps the catalogue: this node for itself, or the meta nodes of a cluster.

use std::sync::Arc;

use skywatch_meta::{Applied, Catalogue, CatalogueHost, Command, HostError, NodeId};

use crate::{clustered::Clustered, node::SINGLE_NODE};

/// See the module's header.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// A single server, on its own disk.
    Local(CatalogueHost),
    /// A member of a cluster.
    Cluster(Clustered),
}

impl Keeper {
    /// The catalogue as of now; it does not change under the reader.
    pub(crate) fn current(&self) -> Arc<Catalogue> {
        match self {
            Self::Local(host) => host.current(),
            Self::Cluster(clustered) => clustered.current(),
        }
    }

    /// Carries out a command; when this returns, the change is durable and visible here.
    pub(crate) fn execute(&self, command: &Command) -> Result<Applied, HostError> {
        match self {
            Self::Local(host) => host.execute(command),
            Self::Cluster(clustered) => clustered.execute(command),
        }
    }

    /// The nodes that new shards go to; none leaves the choice to the catalogue.
    pub(crate) fn placement(&self) -> Vec<NodeId> {
        match self {
            Self::Local(_) => vec![SINGLE_NODE],
            Self::Cluster(_) => Vec::new(),
        }
    }
}
