//! The log that writes go through, where a cluster has one: which it is, and which shard groups are written through it.
//!
//! Every data node says which log it is set to ([`Command::AnnounceWriteLog`](crate::Command::AnnounceWriteLog)). Once all of
//! them have named the same one it is the cluster's, for good: from then on shard groups are made to be written through it,
//! with a shard for each of its partitions. So nodes can be switched over one by one, and no node ever owns such a shard
//! without being able to read the log.

use super::Catalogue;
use crate::{
    NodeId,
    command::Applied,
    error::CatalogueError,
    level::WRITE_LOG_LEVEL,
    placement::{copies_of, plan_owners},
    records::Shard,
};

/// More partitions than that are of no use to a shard group.
pub const LOG_PARTITIONS_MAX: usize = 1024;

impl Catalogue {
    /// The name of the log that writes go through; `None` while they go to owners directly.
    pub fn write_log(&self) -> Option<&str> {
        self.write_log.as_deref()
    }

    /// The log that a data node has said it is set to; `None` if it has named none.
    pub fn write_log_of(&self, node: NodeId) -> Option<&str> {
        self.write_logs.get(&node).map(String::as_str)
    }

    /// Data nodes that have not named the log `name` yet.
    pub fn nodes_without_log(&self, name: &str) -> impl Iterator<Item = NodeId> {
        self.data_nodes.iter().map(|node| node.id).filter(move |node| self.write_log_of(*node) != Some(name))
    }

    /// Whether the catalogue has risen so far that commands about the log are admitted.
    pub const fn knows_write_logs(&self) -> bool {
        self.feature_level >= WRITE_LOG_LEVEL
    }

    pub(super) fn announce_write_log(
        &mut self,
        node: NodeId,
        log: Option<&str>,
    ) -> Result<Applied, CatalogueError> {
        self.data_node(node).ok_or(CatalogueError::NodeNotFound(node.0))?;
        if let Some(current) = self.write_log()
            && log != Some(current)
        {
            let (current, wanted) = (current.to_owned(), log.unwrap_or_default().to_owned());
            return Err(CatalogueError::OtherWriteLog { current, wanted });
        }
        let before = (self.write_log.clone(), self.write_log_of(node).map(str::to_owned));
        match log {
            Some(log) => drop(self.write_logs.insert(node, log.to_owned())),
            None => drop(self.write_logs.remove(&node)),
        }
        self.agree_on_write_log();
        let changed = before != (self.write_log.clone(), log.map(str::to_owned));
        Ok(Applied { node: Some(node), changed, ..Applied::default() })
    }

    /// What all data nodes have named is the cluster's log.
    pub(super) fn agree_on_write_log(&mut self) {
        let Some(first) = self.data_nodes.first().and_then(|node| self.write_log_of(node.id)) else { return };
        if self.write_log.is_none() && self.nodes_without_log(first).next().is_none() {
            self.write_log = Some(first.to_owned());
        }
    }

    pub(super) fn create_logged_shard_group(
        &mut self,
        database: &str,
        retention_policy: &str,
        time_ns: i64,
        log_starts: &[u64],
    ) -> Result<Applied, CatalogueError> {
        if self.write_log.is_none() || !(1..=LOG_PARTITIONS_MAX).contains(&log_starts.len()) {
            return Err(CatalogueError::NoWriteLog(log_starts.len()));
        }
        let created = self.create_shard_group(database, retention_policy, time_ns, &[])?;
        if !created.changed {
            return Ok(created);
        }
        let sites = self.sites(&[]);
        let (group_id, mut shard_id) = (self.shard_group_id_last, self.shard_id_last);
        let policy = self.policy_mut(database, retention_policy)?;
        let copies = copies_of(policy.replica_n, sites.len());
        let group = policy.shard_groups.iter_mut().find(|group| group.id == group_id);
        let group = group.ok_or(CatalogueError::ShardGroupNotFound(group_id))?;
        shard_id -= group.shards.len() as u64;
        let owners = plan_owners(&sites, copies, log_starts.len(), group_id);
        let shards = owners.into_iter().map(|owners| {
            shard_id += 1;
            Shard::new(shard_id, owners)
        });
        group.shards = shards.collect();
        group.log_starts = log_starts.to_vec();
        self.shard_id_last = shard_id;
        Ok(created)
    }
}

#[cfg(test)]
mod tests;
