//! What always holds of a catalogue.

use std::{collections::BTreeSet, fmt::Display};

use super::Catalogue;
use crate::records::{Database, RetentionPolicy, Shard, ShardGroup};

impl Catalogue {
    /// States the catalogue's invariants; `Err` names the first that is broken.
    pub fn check(&self) -> Result<(), String> {
        unique(self.databases.iter().map(|database| database.name.as_str()), "database")?;
        unique(self.users.iter().map(|user| user.name.as_str()), "user")?;
        self.databases.iter().try_for_each(check_database)?;
        self.check_ids()?;
        self.check_cluster()
    }

    fn check_ids(&self) -> Result<(), String> {
        let policies = self.databases.iter().flat_map(|database| &database.retention_policies);
        let groups: Vec<&ShardGroup> = policies.flat_map(|policy| &policy.shard_groups).collect();
        let shards = groups.iter().flat_map(|group| &group.shards).map(|shard| shard.id);
        counted(groups.iter().map(|group| group.id), self.shard_group_id_last, "shard group")?;
        counted(shards, self.shard_id_last, "shard")
    }

    fn check_cluster(&self) -> Result<(), String> {
        let meta_nodes = self.meta_nodes.iter().map(|node| node.id.0);
        let data_nodes = self.data_nodes.iter().map(|node| node.id.0);
        counted(meta_nodes.clone().chain(data_nodes.clone()), self.node_id_last, "node")?;
        if !meta_nodes.is_sorted() || !data_nodes.is_sorted() {
            return Err("nodes are not in order of their ids".into());
        }
        unique(self.data_nodes.iter().map(|node| node.tcp_addr.as_str()), "data node")?;
        unique(self.meta_nodes.iter().map(|node| node.http_addr.as_str()), "meta node")?;
        unique(self.meta_nodes.iter().map(|node| node.raft_addr.as_str()), "meta node")?;
        unique(self.leases.iter().map(|lease| lease.name.as_str()), "lease")?;
        if !self.behind.is_sorted_by(|a, b| a < b) {
            return Err("marks of nodes that are behind are not sorted".into());
        }
        if self.behind.len() != self.behind_marks.len() {
            return Err("not every mark of a node that is behind has a number".into());
        }
        if let Some(behind) = self.behind.iter().find(|behind| self.data_node(behind.node).is_none()) {
            return Err(format!("node {} is behind and does not exist", behind.node.0));
        }
        let joining_marks = self.live_shards().flat_map(|shard| &shard.joining_marks);
        counted(self.behind_marks.iter().chain(joining_marks).copied(), self.mark_last, "mark")
    }
}

fn check_database(database: &Database) -> Result<(), String> {
    unique(database.retention_policies.iter().map(|policy| policy.name.as_str()), "retention policy")?;
    unique(database.continuous_queries.iter().map(|query| query.name.as_str()), "continuous query")?;
    database.retention_policies.iter().try_for_each(check_policy)
}

fn check_policy(policy: &RetentionPolicy) -> Result<(), String> {
    unique(policy.subscriptions.iter().map(|subscription| subscription.name.as_str()), "subscription")?;
    if !policy.shard_groups.is_sorted_by_key(|group| group.start_ns) {
        return Err(format!("shard groups of policy {} are not in order of time", policy.name));
    }
    // A group that was cut where it begins takes nothing, and may lie within another.
    let live: Vec<_> =
        policy.live_shard_groups().filter(|group| group.start_ns < group.cut_end_ns()).collect();
    if let Some(pair) = live.windows(2).find(|pair| pair[0].cut_end_ns() > pair[1].start_ns) {
        return Err(format!("shard groups {} and {} overlap", pair[0].id, pair[1].id));
    }
    policy.shard_groups.iter().try_for_each(check_group)
}

fn check_group(group: &ShardGroup) -> Result<(), String> {
    if group.shards.is_empty() || group.shards.iter().any(|shard| shard.owners.is_empty()) {
        return Err(format!("shard group {} has a shard without an owner", group.id));
    }
    if group.cut_end_ns() < group.start_ns {
        return Err(format!("shard group {} ends before it begins", group.id));
    }
    if group.is_logged() && group.log_starts.len() != group.shards.len() {
        return Err(format!("shard group {} has not as many shards as its log had partitions", group.id));
    }
    if group.deleted_at_ns.is_none() { group.shards.iter().try_for_each(check_shard) } else { Ok(()) }
}

fn check_shard(shard: &Shard) -> Result<(), String> {
    let owners: BTreeSet<_> = shard.owners.iter().collect();
    if owners.len() != shard.owners.len() {
        return Err(format!("shard {} has an owner twice", shard.id));
    }
    if !shard.joining.is_sorted_by(|a, b| a < b) || !shard.joining.iter().all(|node| owners.contains(node)) {
        return Err(format!("shard {} is joined by who does not own it, or twice", shard.id));
    }
    if shard.joining.len() != shard.joining_marks.len() {
        return Err(format!("not every owner that joins shard {} has a number", shard.id));
    }
    if shard.whole_owners().next().is_none() {
        return Err(format!("nobody has all of shard {}", shard.id));
    }
    Ok(())
}

/// Ids are unique and have been given out.
fn counted(ids: impl Iterator<Item = u64>, last: u64, what: &str) -> Result<(), String> {
    let ids: Vec<u64> = ids.collect();
    if let Some(id) = ids.iter().find(|&&id| id > last) {
        return Err(format!("the id of {what} {id} is above its counter"));
    }
    unique(ids, what)
}

fn unique<T: Ord + Copy + Display>(names: impl IntoIterator<Item = T>, what: &str) -> Result<(), String> {
    let mut sorted: Vec<T> = names.into_iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{what} {} exists twice", pair[0])),
        None => Ok(()),
    }
}
