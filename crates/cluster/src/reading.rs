//! Where a query of a member of a cluster reads each shard: here, if this node vouches for its copy, else at an owner that
//! does. Such owners also stand in for what turns out damaged here while it is read. And the other side of that: what this node
//! hands out to others.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use skywatch_meta::{DataNode, NodeId, Shard};
use skywatch_model::TimeRange;
use skywatch_query::{BackendError, Reading};
use skywatch_reads::{Asking, BackedShard, Choice, Damaged, RemoteShard, ShardSource, choose};
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{ReadError, ShardRead};

use crate::{clustered::Clustered, keeper::Keeper, node::NodeCore};

impl NodeCore {
    /// A snapshot of a shard of the catalogue, here or elsewhere; `None` if nothing can be in it.
    pub(crate) fn read_shard(
        &self,
        clustered: &Arc<Clustered>,
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
            return Ok(here().map(|here| clustered.backed(here, shard, reading, Clustered::others)));
        }
        let (others, mut reason) = clustered.others(shard);
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

    /// The other owners that hold all of a shard, in the order in which they are asked; and why none does, if an owner lacks something.
    fn others(&self, shard: &Shard) -> (Vec<DataNode>, String) {
        let (catalogue, me) = (self.current(), self.member().id());
        let standing = self.member().standing();
        let is_absent = |node| self.unreachable().has(node) || standing.is_silent(node);
        match choose(&catalogue, shard, me, is_absent) {
            Choice::Whole(owners) => {
                let others = owners.into_iter().filter(|owner| *owner != me);
                (others.filter_map(|owner| catalogue.data_node(owner).cloned()).collect(), String::new())
            }
            Choice::Lacking { reason, .. } => (Vec::new(), reason),
        }
    }

    /// A copy of this node, for a query that other owners answer where it is damaged; `others` tells which of them may, or why
    /// none does.
    pub(crate) fn backed(
        self: &Arc<Self>,
        here: Arc<dyn ShardRead>,
        shard: &Shard,
        reading: &Reading,
        others: impl Fn(&Self, &Shard) -> (Vec<DataNode>, String) + Send + Sync + 'static,
    ) -> Arc<dyn ShardRead> {
        if shard.owners.len() < 2 {
            return here;
        }
        // A query that is still running keeps no node from stopping.
        let (clustered, id, reading) = (Arc::downgrade(self), shard.id, reading.clone());
        Arc::new(BackedShard::new(here, move || {
            let clustered = clustered.upgrade().ok_or("the node is stopping")?;
            // What it does not vouch for any more, now that damage has shown, is in doubt from here on.
            clustered.entropy().vouches_for(id);
            let catalogue = clustered.current();
            let shard = catalogue.live_shard(id).ok_or("the shard has been dropped")?;
            match others(&clustered, shard) {
                (others, reason) if others.is_empty() && reason.is_empty() => {
                    Err("no other owner holds all of the shard".to_owned())
                }
                (others, reason) if others.is_empty() => Err(reason),
                (others, _) => Ok(clustered.asking(id, others, &reading)),
            }
        }))
    }

    pub(crate) fn remote(
        &self,
        shard: &Shard,
        range: TimeRange,
        owners: Vec<DataNode>,
        reading: &Reading,
    ) -> Arc<dyn ShardRead> {
        Arc::new(RemoteShard::new(self.asking(shard.id, owners, reading), range))
    }

    /// How these owners of a shard are asked.
    fn asking(&self, shard: u64, owners: Vec<DataNode>, reading: &Reading) -> Asking {
        Asking {
            runtime: self.runtime().clone(),
            transport: Arc::clone(self.member().transport()),
            unreachable: Arc::clone(self.unreachable()),
            remembered: Arc::clone(self.remembered()),
            patience: self.patience(),
            reading: reading.clone(),
            shard,
            owners: owners.into_iter().map(|node| (node.id, node.tcp_addr)).collect(),
            damaged: Damaged::default(),
        }
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
