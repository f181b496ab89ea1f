//! Who owns shards that are there.
//!
//! The number of shards of a group never changes: a series lives in shard `hash % count`, and with another count it would
//! have points in two shards of one time. What is dropped, or lost with its last owner, therefore leaves its place to an
//! empty shard with an id of its own: its series begin anew there, those of the other shards stay where they are. Only a
//! group of which nothing is left goes, and the next point of its time makes another.

use std::collections::BTreeMap;

use super::Catalogue;
use crate::{
    NodeId, Shard, ShardGroup,
    command::Applied,
    error::CatalogueError,
    placement::{Site, choose_owner, copies_of},
};

impl Catalogue {
    /// Shards of which nobody but this node has everything: they are lost if it is removed.
    pub fn shards_only_on(&self, node: NodeId) -> impl Iterator<Item = &Shard> {
        self.live_shards().filter(move |shard| {
            let has_all = |owner: NodeId| owner != node && !self.is_behind(owner);
            shard.is_owned_by(node) && !shard.whole_owners().any(has_all)
        })
    }

    /// Copies of live shards by node.
    pub(crate) fn copies_by_node(&self) -> BTreeMap<NodeId, usize> {
        let mut copies = BTreeMap::new();
        for owner in self.live_shards().flat_map(|shard| &shard.owners) {
            *copies.entry(*owner).or_default() += 1;
        }
        copies
    }

    fn live_groups_mut(&mut self) -> impl Iterator<Item = (u32, &mut ShardGroup)> {
        let policies = self.databases.iter_mut().flat_map(|database| &mut database.retention_policies);
        let groups = policies.flat_map(|policy| {
            let replica_n = policy.replica_n;
            policy.shard_groups.iter_mut().map(move |group| (replica_n, group))
        });
        groups.filter(|(_, group)| group.deleted_at_ns.is_none())
    }

    fn live_shard_mut(&mut self, id: u64) -> Result<&mut Shard, CatalogueError> {
        let mut shards = self.live_groups_mut().flat_map(|(_, group)| &mut group.shards);
        shards.find(|shard| shard.id == id).ok_or(CatalogueError::ShardNotFound(id))
    }

    pub(super) fn add_shard_owner(
        &mut self,
        shard: u64,
        node: NodeId,
        joining: bool,
    ) -> Result<Applied, CatalogueError> {
        self.data_node(node).ok_or(CatalogueError::NodeNotFound(node.0))?;
        let mark = self.mark_last + 1;
        let shard = self.live_shard_mut(shard)?;
        if shard.is_owned_by(node) {
            return Ok(Applied::default());
        }
        shard.lost = shard.lost.saturating_sub(1);
        shard.owners.push(node);
        shard.owners.sort_unstable();
        if joining {
            let place = shard.joining.partition_point(|other| *other < node);
            shard.joining.insert(place, node);
            shard.joining_marks.insert(place, mark);
            self.mark_last = mark;
        }
        Ok(Applied::CHANGED)
    }

    /// A confirmation that comes late, when the node was removed and added anew, must not make it look whole.
    pub(super) fn confirm_shard_owner(
        &mut self,
        shard: u64,
        node: NodeId,
        mark: Option<u64>,
    ) -> Result<Applied, CatalogueError> {
        let found = self.live_shard_mut(shard)?;
        if !found.is_owned_by(node) {
            return Err(CatalogueError::NotAnOwner { shard, node: node.0 });
        }
        let is_meant = found.joining_mark(node).is_some_and(|at| mark.is_none_or(|mark| mark == at));
        if is_meant {
            end_joining(found, node);
        }
        Ok(Applied { changed: is_meant, ..Applied::default() })
    }

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
            let elsewhere = self.sites(&[]).into_iter().filter(|site| site.node != node).collect();
            return Ok(self.vacate(shard, &Heirs::Among(elsewhere), at_ns));
        }
        if found.whole_owners().all(|owner| owner == node) {
            return Err(CatalogueError::LastWholeOwner { shard, node: node.0 });
        }
        found.owners.retain(|owner| *owner != node);
        end_joining(found, node);
        Ok(Applied::CHANGED)
    }

    pub(super) fn drop_shard(&mut self, id: u64, at_ns: i64) -> Applied {
        self.vacate(id, &Heirs::Same, at_ns)
    }

    /// Takes a shard away: with its group, or by an empty one in its place.
    fn vacate(&mut self, id: u64, heirs: &Heirs, at_ns: i64) -> Applied {
        let copies_by_node = self.copies_by_node();
        let next_id = self.shard_id_last + 1;
        let holds = |group: &ShardGroup| group.shards.iter().any(|shard| shard.id == id);
        let Some((replica_n, group)) = self.live_groups_mut().find(|(_, group)| holds(group)) else {
            return Applied::default();
        };
        if group.shards.len() == 1 {
            group.deleted_at_ns = Some(at_ns);
        } else {
            for shard in group.shards.iter_mut().filter(|shard| shard.id == id) {
                let owners = match heirs {
                    Heirs::Among(sites) if !sites.is_empty() => spread(sites, replica_n, &copies_by_node),
                    Heirs::Among(_) | Heirs::Same => shard.owners.clone(),
                };
                *shard = Shard::new(next_id, owners);
            }
            self.shard_id_last = next_id;
        }
        Applied { dropped_shards: vec![id], ..Applied::CHANGED }
    }

    /// Takes a node that is no more out of all owners. Returns the shards that nobody owned but it.
    pub(super) fn disown(&mut self, node: NodeId, at_ns: i64) -> Vec<u64> {
        let sites = self.sites(&[]);
        let mut copies_by_node = self.copies_by_node();
        let mut next_id = self.shard_id_last;
        let mut dropped = Vec::new();
        for (replica_n, group) in self.live_groups_mut() {
            let is_orphan = |shard: &Shard| shard.owners == [node];
            // Without any data node nobody can take an empty shard.
            let is_lost = group.shards.iter().all(is_orphan)
                || (sites.is_empty() && group.shards.iter().any(is_orphan));
            if is_lost {
                group.deleted_at_ns = Some(at_ns);
                dropped.extend(group.shards.iter().map(|shard| shard.id));
                continue;
            }
            for shard in &mut group.shards {
                if is_orphan(shard) {
                    next_id += 1;
                    dropped.push(shard.id);
                    let owners = spread(&sites, replica_n, &copies_by_node);
                    owners.iter().for_each(|owner| *copies_by_node.entry(*owner).or_default() += 1);
                    *shard = Shard::new(next_id, owners);
                } else if shard.is_owned_by(node) {
                    leave(shard, node, replica_n);
                }
            }
        }
        self.shard_id_last = next_id;
        dropped
    }
}

/// Who owns the empty shard that comes in the place of another.
enum Heirs {
    /// Who owned that one.
    Same,
    /// The best of these, as many as the policy wants.
    Among(Vec<Site>),
}

/// One owner leaves others behind. What nobody has who is left cannot be waited for.
fn leave(shard: &mut Shard, node: NodeId, replica_n: u32) {
    shard.owners.retain(|owner| *owner != node);
    end_joining(shard, node);
    if shard.whole_owners().next().is_none() {
        shard.joining.clear();
        shard.joining_marks.clear();
    }
    if shard.owners.len() < replica_n as usize {
        shard.lost += 1;
    }
}

fn end_joining(shard: &mut Shard, node: NodeId) {
    if let Some(place) = shard.joining.iter().position(|joining| *joining == node) {
        shard.joining.remove(place);
        shard.joining_marks.remove(place);
    }
}

/// Owners of one shard: apart from each other, and those who have least.
fn spread(sites: &[Site], replica_n: u32, copies_by_node: &BTreeMap<NodeId, usize>) -> Vec<NodeId> {
    let load_of = |node| copies_by_node.get(&node).copied().unwrap_or(0);
    let mut owners = Vec::new();
    for _ in 0..copies_of(replica_n, sites.len()) {
        owners.extend(choose_owner(sites, &owners, load_of));
    }
    owners.sort_unstable();
    owners
}

#[cfg(test)]
mod tests;
