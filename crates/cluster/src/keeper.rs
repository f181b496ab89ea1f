//! Who keeps the catalogue: this node for itself, or the meta nodes of a cluster.

use std::sync::Arc;

use skywatch_meta::{
    Applied, Catalogue, CatalogueHost, Command, Database, HostError, NodeId, RetentionPolicy,
};

use crate::{clustered::Clustered, node::SINGLE_NODE};

/// See the module's header.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// A single server, on its own disk.
    Local(CatalogueHost),
    /// A member of a cluster.
    Cluster(Arc<Clustered>),
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

    /// As [`Self::execute`], of commands that do not depend on each other. After a failure some of them may have been carried out.
    pub(crate) fn execute_all(&self, commands: &[Command]) -> Result<(), HostError> {
        match self {
            Self::Local(host) => commands.iter().try_for_each(|command| host.execute(command).map(|_| ())),
            Self::Cluster(clustered) => clustered.execute_all(commands),
        }
    }

    /// The nodes that new shards go to; none leaves the choice to the catalogue.
    pub(crate) fn placement(&self) -> Vec<NodeId> {
        match self {
            Self::Local(_) => vec![SINGLE_NODE],
            Self::Cluster(_) => Vec::new(),
        }
    }

    /// This node, which holds what is restored until others have copied it.
    pub(crate) fn own_number(&self) -> NodeId {
        match self {
            Self::Local(_) => SINGLE_NODE,
            Self::Cluster(clustered) => clustered.member().id(),
        }
    }

    /// Its number, if it is a member of a cluster.
    pub(crate) fn number_in_cluster(&self) -> Option<u64> {
        match self {
            Self::Local(_) => None,
            Self::Cluster(clustered) => Some(clustered.member().id().0),
        }
    }

    /// Shards of databases that this node owns and does not hold all of.
    pub(crate) fn lacking(&self, databases: &[Database]) -> Vec<u64> {
        let Self::Cluster(clustered) = self else { return Vec::new() };
        let (member, me) = (clustered.member(), clustered.member().id());
        databases
            .iter()
            .flat_map(|database| &database.retention_policies)
            .flat_map(RetentionPolicy::live_shard_groups)
            .flat_map(|group| &group.shards)
            .filter(|shard| shard.is_owned_by(me))
            .filter(|shard| shard.joining.contains(&me) || !member.holds(shard.id))
            .map(|shard| shard.id)
            .collect()
    }
}
