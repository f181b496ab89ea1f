//! Shard groups: how time is cut into them, when they end, and how whole databases join.

use skywatch_model::{MAX_TIME, MIN_TIME};

use super::{Catalogue, databases::check_settings, is_valid_name};
use crate::{
    command::Applied,
    error::CatalogueError,
    placement::{copies_of, plan_owners, shard_count},
    records::{Database, NodeId, RetentionPolicy, Shard, ShardGroup},
    shard_groups::plan_span_ns,
};

/// Nobody brings more shards at once; numbers are taken for good.
const SHARDS_RESERVED_MAX: u64 = 1_000_000;

impl Catalogue {
    pub(super) fn create_shard_group(
        &mut self,
        database: &str,
        retention_policy: &str,
        time_ns: i64,
        nodes: &[NodeId],
    ) -> Result<Applied, CatalogueError> {
        if !(MIN_TIME..=MAX_TIME).contains(&time_ns) {
            return Err(CatalogueError::TimeOutOfRange(time_ns));
        }
        let (mut group_id, mut shard_id) = (self.shard_group_id_last, self.shard_id_last);
        let sites = self.sites(nodes);
        let policy = self.policy_mut(database, retention_policy)?;
        if policy.shard_group_at(time_ns).is_some() {
            return Ok(Applied::default());
        }
        if sites.is_empty() {
            return Err(CatalogueError::NoDataNodes);
        }
        let (start_ns, end_ns) = plan_span_ns(policy, time_ns);
        group_id += 1;
        let copies = copies_of(policy.replica_n, sites.len());
        let shards = plan_owners(&sites, copies, shard_count(sites.len(), copies), group_id)
            .into_iter()
            .map(|owners| {
                shard_id += 1;
                Shard::new(shard_id, owners)
            })
            .collect();
        let group = ShardGroup {
            id: group_id,
            start_ns,
            end_ns,
            deleted_at_ns: None,
            truncated_at_ns: None,
            shards,
            log_starts: Vec::new(),
        };
        policy.shard_groups.push(group);
        sort(policy);
        (self.shard_group_id_last, self.shard_id_last) = (group_id, shard_id);
        Ok(Applied::CHANGED)
    }

    pub(super) fn delete_shard_group(
        &mut self,
        database: &str,
        retention_policy: &str,
        id: u64,
        at_ns: i64,
    ) -> Result<Applied, CatalogueError> {
        let policy = self.policy_mut(database, retention_policy)?;
        let group = policy
            .shard_groups
            .iter_mut()
            .find(|group| group.id == id)
            .ok_or(CatalogueError::ShardGroupNotFound(id))?;
        if group.deleted_at_ns.is_some() {
            return Ok(Applied::default());
        }
        group.deleted_at_ns = Some(at_ns);
        let dropped_shards = group.shards.iter().map(|shard| shard.id).collect();
        Ok(Applied { dropped_shards, ..Applied::CHANGED })
    }

    /// A group that begins later ends where it begins: it takes nothing any more, and what is in it is still read.
    ///
    /// The same cut again is taken for the same request, since one that comes late would cut groups that have been made
    /// for it, and have points by then.
    pub(super) fn truncate_shard_groups(&mut self, at_ns: i64) -> Applied {
        if self.truncated_at_ns == Some(at_ns) {
            return Applied::default();
        }
        self.truncated_at_ns = Some(at_ns);
        for policy in self.databases.iter_mut().flat_map(|database| &mut database.retention_policies) {
            let live = policy.shard_groups.iter_mut().filter(|group| group.deleted_at_ns.is_none());
            for group in live.filter(|group| group.cut_end_ns() > at_ns) {
                group.truncated_at_ns = Some(at_ns.max(group.start_ns));
            }
        }
        Applied::CHANGED
    }

    pub(super) fn prune_shard_groups(&mut self, deleted_before_ns: i64) -> Applied {
        let mut changed = false;
        for policy in self.databases.iter_mut().flat_map(|database| &mut database.retention_policies) {
            let before = policy.shard_groups.len();
            policy.shard_groups.retain(|group| group.deleted_at_ns.is_none_or(|at| at >= deleted_before_ns));
            changed |= policy.shard_groups.len() != before;
        }
        Applied { changed, ..Applied::default() }
    }

    pub(super) fn reserve_shards(&mut self, count: u64) -> Result<Applied, CatalogueError> {
        if count > SHARDS_RESERVED_MAX {
            return Err(CatalogueError::TooManyShards(count));
        }
        let first = self.shard_id_last + 1;
        self.shard_id_last += count;
        Ok(Applied { changed: count > 0, reserved_shards: first..first + count, ..Applied::default() })
    }

    pub(super) fn adopt_database(
        &mut self,
        database: &Database,
        nodes: &[NodeId],
    ) -> Result<Applied, CatalogueError> {
        if self.database(&database.name).is_some() {
            return Err(CatalogueError::DatabaseExists(database.name.clone()));
        }
        let mut database = database.clone();
        let names = database.retention_policies.iter().map(|policy| &policy.name).chain([&database.name]);
        if !names.into_iter().all(|name| is_valid_name(name)) {
            return Err(CatalogueError::InvalidName);
        }
        let sites = self.sites(&[]);
        if nodes.is_empty() && sites.is_empty() {
            return Err(CatalogueError::NoDataNodes);
        }
        let mut next = self.clone();
        for policy in &mut database.retention_policies {
            check_settings(policy.duration_ns, policy.shard_group_duration_ns, policy.replica_n)?;
            policy.shard_groups.retain(|group| group.deleted_at_ns.is_none());
            sort(policy);
            let copies = copies_of(policy.replica_n, sites.len());
            for group in &mut policy.shard_groups {
                next.shard_group_id_last += 1;
                group.id = next.shard_group_id_last;
                // What is restored came neither through this log nor through any place in it.
                group.log_starts.clear();
                let owners = if nodes.is_empty() {
                    plan_owners(&sites, copies, group.shards.len(), group.id)
                } else {
                    vec![nodes.to_vec(); group.shards.len()]
                };
                let shards = group.shards.iter_mut().zip(owners);
                shards.for_each(|(shard, owners)| {
                    // Copies that the named owners do not make up are to be made on other nodes, as lost ones are.
                    let lost = copies.saturating_sub(owners.len()) as u32;
                    *shard = Shard { lost, ..Shard::new(shard.id, owners) };
                });
            }
        }
        next.databases.push(database);
        next.check().map_err(CatalogueError::Inconsistent)?;
        *self = next;
        Ok(Applied::CHANGED)
    }
}

fn sort(policy: &mut RetentionPolicy) {
    policy.shard_groups.sort_by_key(|group| (group.start_ns, group.id));
}

#[cfg(test)]
mod tests;
