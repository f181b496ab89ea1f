//! Which nodes own which shards: placement of new ones, and changes to those that are there.

use super::Catalogue;
use crate::{NodeId, Shard, ShardGroup, command::Applied, error::CatalogueError};

impl Catalogue {
    /// The data nodes in the order in which new shards go round them.
    pub(super) fn placement_order(&self) -> Vec<NodeId> {
        self.data_nodes.iter().map(|node| node.id).collect()
    }

    /// The live shard with this id.
    pub fn live_shard(&self, id: u64) -> Option<&Shard> {
        self.live_shards().find(|shard| shard.id == id)
    }

    fn live_group_of(&mut self, shard: u64) -> Result<&mut ShardGroup, CatalogueError> {
        let policies = self.databases.iter_mut().flat_map(|database| &mut database.retention_policies);
        policies
            .flat_map(|policy| &mut policy.shard_groups)
            .find(|group| group.deleted_at_ns.is_none() && group.shards.iter().any(|it| it.id == shard))
            .ok_or(CatalogueError::ShardNotFound(shard))
    }

    fn live_shard_mut(&mut self, id: u64) -> Result<&mut Shard, CatalogueError> {
        let group = self.live_group_of(id)?;
        group.shards.iter_mut().find(|shard| shard.id == id).ok_or(CatalogueError::ShardNotFound(id))
    }

    pub(super) fn add_shard_owner(
        &mut self,
        shard: u64,
        node: NodeId,
        joining: bool,
    ) -> Result<Applied, CatalogueError> {
        self.data_node(node).ok_or(CatalogueError::NodeNotFound(node.0))?;
        let shard = self.live_shard_mut(shard)?;
        if shard.is_owned_by(node) {
            return Ok(Applied::default());
        }
        shard.owners.push(node);
        shard.owners.sort_unstable();
        if joining {
            shard.joining.push(node);
            shard.joining.sort_unstable();
        }
        Ok(Applied::CHANGED)
    }

    pub(super) fn confirm_shard_owner(
        &mut self,
        shard: u64,
        node: NodeId,
    ) -> Result<Applied, CatalogueError> {
        let found = self.live_shard_mut(shard)?;
        if !found.is_owned_by(node) {
            return Err(CatalogueError::NotAnOwner { shard, node: node.0 });
        }
        let before = found.joining.len();
        found.joining.retain(|joining| *joining != node);
        Ok(Applied { changed: found.joining.len() != before, ..Applied::default() })
    }

    /// With its last owner a shard is dropped: its points are nowhere any more.
    pub(super) fn remove_shard_owner(
        &mut self,
        shard: u64,
        node: NodeId,
        at_ns: i64,
    ) -> Result<Applied, CatalogueError> {
        let found = self.live_shard_mut(shard)?;
        if !found.is_owned_by(node) {
            return Err(CatalogueError::NotAnOwner { shard, node: node.0 });
        }
        if found.owners.len() == 1 {
            return Ok(self.drop_shard(shard, at_ns));
        }
        found.owners.retain(|owner| *owner != node);
        found.joining.retain(|joining| *joining != node);
        Ok(Applied::CHANGED)
    }

    /// Groups that lie wholly behind the time take nothing any more, and are deleted if they were never written to:
    /// the catalogue does not know, so they end where they begin.
    pub(super) fn truncate_shard_groups(&mut self, at_ns: i64) -> Applied {
        let mut changed = false;
        for policy in self.databases.iter_mut().flat_map(|database| &mut database.retention_policies) {
            let live = policy.shard_groups.iter_mut().filter(|group| group.deleted_at_ns.is_none());
            for group in live.filter(|group| group.cut_end_ns() > at_ns) {
                group.truncated_at_ns = Some(at_ns.max(group.start_ns));
                changed = true;
            }
        }
        Applied { changed, ..Applied::default() }
    }
}
