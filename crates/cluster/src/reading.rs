//! Where a query of a member of a cluster reads each shard: here, if this node vouches for its copy, else at an owner that
//! does. And the other side of that: what this node hands out to others.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use skywatch_meta::{DataNode, NodeId, Shard};
use skywatch_model::TimeRange;
use skywatch_query::{BackendError, Reading};
use skywatch_reads::{Asking, Choice, RemoteShard, ShardSource, choose};
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{ReadError, ShardRead};

use crate::{clustered::Clustered, keeper::Keeper, node::NodeCore};

impl NodeCore {
    /// A snapshot of a shard of the catalogue, here or elsewhere; `None` if nothing can be in it.
    pub(crate) fn read_shard(
        &self,
        clustered: &Clustered,
        shard: &Shard,
        range: TimeRange,
        reading: &Reading,
    ) -> Result<Option<Arc<dyn ShardRead>>, BackendError> {
        let here = || self.open_shard(shard.id).map(|shard| shard.snapshot());
        let me = clustered.member().id();
        if let Some(node) = reading.node_id {
            let node = clustered.data_node(NodeId(node))?;
            return Ok(match node.id {
                id if !shard.is_owned_by(id) => None,
                id if id == me => here(),
                _ => Some(clustered.remote(shard, range, vec![node], reading)),
            });
        }
        if let Some((_, partition)) = clustered.member().log_of(shard.id) {
            return self.read_logged(clustered, (shard, partition), range, reading);
        }
        if shard.is_owned_by(me) && clustered.entropy().vouches_for(shard.id) {
            return Ok(here());
        }
        let catalogue = clustered.current();
        let standing = clustered.member().standing();
        let is_absent = |node| clustered.unreachable().has(node) || standing.is_silent(node);
        let (owners, reason) = match choose(&catalogue, shard, me, is_absent) {
            Choice::Whole(owners) => (owners, String::new()),
            Choice::Lacking { reason, .. } => (Vec::new(), reason),
        };
        let others = owners.into_iter().filter(|owner| *owner != me);
        let others: Vec<DataNode> = others.filter_map(|owner| catalogue.data_node(owner).cloned()).collect();
        let mut reason = reason;
        if !others.is_empty() {
            let remote = clustered.remote(shard, range, others, reading);
            if !reading.allows_partial {
                return Ok(Some(remote));
            }
            // Found out now, whoever is not known to be away yet: later it would be too late for less than everything.
            match remote.measurements() {
                Ok(_) => return Ok(Some(remote)),
                Err(ReadError::Stopped) => return Err(BackendError::Read(ReadError::Stopped)),
                Err(error) => reason = error.to_string(),
            }
        }
        let reason = if reason.is_empty() {
            format!("node {}, its only owner, does not know yet whether it has everything", me.0)
        } else {
            reason
        };
        let lacking = format!("shard {} cannot be read in full: {reason}", shard.id);
        if !reading.allows_partial {
            return Err(BackendError::Catalogue(lacking));
        }
        reading.lacks(lacking);
        Ok(here().filter(|_| shard.is_owned_by(me)))
    }
}

impl Clustered {
    fn data_node(&self, id: NodeId) -> Result<DataNode, BackendError> {
        let known = self.current().data_node(id).cloned();
        known.ok_or_else(|| BackendError::Catalogue(format!("node not found: {}", id.0)))
    }

    pub(crate) fn remote(
        &self,
        shard: &Shard,
        range: TimeRange,
        owners: Vec<DataNode>,
        reading: &Reading,
    ) -> Arc<dyn ShardRead> {
        let asking = Asking {
            runtime: self.runtime().clone(),
            transport: Arc::clone(self.member().transport()),
            unreachable: Arc::clone(self.unreachable()),
            remembered: Arc::clone(self.remembered()),
            patience: self.patience(),
            reading: reading.clone(),
            shard: shard.id,
            owners: owners.into_iter().map(|node| (node.id, node.tcp_addr)).collect(),
        };
        Arc::new(RemoteShard::new(asking, range))
    }
}

/// The shards of this node, for the queries of others.
pub(crate) struct OwnShards(Weak<NodeCore>);

impl OwnShards {
    pub(crate) fn new(core: &Arc<NodeCore>) -> Arc<Self> {
        Arc::new(Self(Arc::downgrade(core)))
    }
}

impl fmt::Debug for OwnShards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnShards")
    }
}

impl ShardSource for OwnShards {
    fn snapshot(&self, id: u64) -> Result<Option<Arc<dyn ShardRead>>, Failure> {
        let stopped = || Failure::new(FailureKind::Unavailable, "the node is stopping");
        let core = self.0.upgrade().ok_or_else(stopped)?;
        let Keeper::Cluster(clustered) = &core.host else { return Err(stopped()) };
        let me = clustered.member().id();
        match clustered.current().live_shard(id) {
            Some(shard) if shard.is_owned_by(me) => {}
            _ => return Err(Failure::new(FailureKind::NotFound, format!("node {} has no shard {id}", me.0))),
        }
        if !clustered.entropy().vouches_for(id) {
            return Err(Failure::new(FailureKind::Incomplete, clustered.why_not(id)));
        }
        Ok(core.open_shard(id).map(|shard| shard.snapshot()))
    }
}
