//! The catalogue as a pure, deterministic state machine: commands in, records out. No clock, no I/O.

mod databases;
mod destination;
mod leases;
mod levels;
mod nodes;
mod owners;
mod services;
mod users;

use std::collections::BTreeMap;

use databases::check_settings;
use serde::{Deserialize, Serialize};

use crate::{
    command::{Applied, Command},
    error::CatalogueError,
    level::FIRST_LEVEL,
    node::{Behind, DataNode, Lease, MetaNode},
    records::{Database, NodeId, RetentionPolicy, Shard, ShardGroup},
    shard_groups::plan_span_ns,
    user::User,
};

/// Longest name of a database, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Every database of the system, and every user.
///
/// Invariants, checked by [`Catalogue::check`]: names are unique among their like; live groups of a policy are sorted and never
/// overlap; ids of groups and shards are unique and below the counters; every shard has an owner.
///
/// Records that came after the first format are left out of the encoding while they are empty, so that releases which know
/// different ones write equal bytes for a catalogue without them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    databases: Vec<Database>,
    shard_group_id_last: u64,
    shard_id_last: u64,
    #[serde(default)]
    users: Vec<User>,
    /// 0 before the cluster has a name.
    #[serde(default, skip_serializing_if = "is_zero")]
    cluster_id: u64,
    /// Meta and data nodes are numbered together.
    #[serde(default, skip_serializing_if = "is_zero")]
    node_id_last: u64,
    /// In order of their ids, as are the data nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    meta_nodes: Vec<MetaNode>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    data_nodes: Vec<DataNode>,
    /// In the order in which they were first asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leases: Vec<Lease>,
    /// Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    behind: Vec<Behind>,
    #[serde(default = "first_level", skip_serializing_if = "is_first_level")]
    feature_level: u32,
    /// Of the nodes that know more than the first level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    known_levels: BTreeMap<NodeId, u32>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            databases: Vec::new(),
            shard_group_id_last: 0,
            shard_id_last: 0,
            users: Vec::new(),
            cluster_id: 0,
            node_id_last: 0,
            meta_nodes: Vec::new(),
            data_nodes: Vec::new(),
            leases: Vec::new(),
            behind: Vec::new(),
            feature_level: FIRST_LEVEL,
            known_levels: BTreeMap::new(),
        }
    }
}

impl Catalogue {
    /// Databases in the order they were created.
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// The database called `name`.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// Ids of all shards that have a place in the catalogue, deleted groups excepted.
    pub fn live_shards(&self) -> impl Iterator<Item = &Shard> {
        self.databases
            .iter()
            .flat_map(|database| &database.retention_policies)
            .flat_map(RetentionPolicy::live_shard_groups)
            .flat_map(|group| &group.shards)
    }

    /// The highest shard id ever given out; 0 before the first.
    pub const fn shard_id_last(&self) -> u64 {
        self.shard_id_last
    }

    /// Carries out a command, or refuses it and changes nothing.
    pub fn apply(&mut self, command: &Command) -> Result<Applied, CatalogueError> {
        let (needed, level) = (command.min_level(), self.feature_level);
        if needed > level {
            return Err(CatalogueError::LevelTooLow { needed, level });
        }
        let applied = match command {
            Command::CreateDatabase { name, policy } => self.create_database(name, policy.as_ref()),
            Command::DropDatabase { name } => Ok(self.drop_database(name)),
            Command::CreateRetentionPolicy { database, spec, make_default } => {
                self.create_retention_policy(database, spec, *make_default)
            }
            Command::AlterRetentionPolicy { database, name, change } => {
                self.alter_retention_policy(database, name, change)
            }
            Command::DropRetentionPolicy { database, name } => self.drop_retention_policy(database, name),
            Command::CreateShardGroup { database, retention_policy, time_ns, nodes } => {
                self.create_shard_group(database, retention_policy, *time_ns, nodes)
            }
            Command::DeleteShardGroup { database, retention_policy, id, at_ns } => {
                self.delete_shard_group(database, retention_policy, *id, *at_ns)
            }
            Command::DropShard { id, at_ns } => Ok(self.drop_shard(*id, *at_ns)),
            Command::ReserveShards { count } => Ok(self.reserve_shards(*count)),
            Command::AdoptDatabase { database, nodes } => self.adopt_database(database, nodes),
            Command::NameCluster { id } => Ok(self.name_cluster(*id)),
            Command::CreateMetaNode { http_addr, raft_addr } => self.create_meta_node(http_addr, raft_addr),
            Command::DeleteMetaNode { id } => self.delete_meta_node(*id),
            Command::CreateDataNode { tcp_addr, http_addr, https, labels } => {
                self.create_data_node(tcp_addr, http_addr, *https, labels)
            }
            Command::DeleteDataNode { id, at_ns } => self.delete_data_node(*id, *at_ns),
            Command::UpdateDataNode { id, tcp_addr, http_addr, https } => {
                self.update_data_node(*id, tcp_addr, http_addr, *https)
            }
            Command::LabelDataNode { id, labels } => self.label_data_node(*id, labels),
            Command::TruncateShardGroups { at_ns } => Ok(self.truncate_shard_groups(*at_ns)),
            Command::AddShardOwner { shard, node, joining } => self.add_shard_owner(*shard, *node, *joining),
            Command::ConfirmShardOwner { shard, node } => self.confirm_shard_owner(*shard, *node),
            Command::RemoveShardOwner { shard, node, at_ns } => {
                self.remove_shard_owner(*shard, *node, *at_ns)
            }
            Command::MarkBehind { node, holder } => self.mark_behind(*node, *holder),
            Command::ClearBehind { node, holder } => Ok(self.clear_behind(*node, *holder)),
            Command::AcquireLease { name, owner, duration_ms, unrenewed } => {
                self.acquire_lease(name, *owner, *duration_ms, *unrenewed)
            }
            Command::ReleaseLease { name, owner, renewals } => {
                Ok(self.release_lease(name, *owner, *renewals))
            }
            Command::AnnounceFeatureLevel { node, level } => self.announce_feature_level(*node, *level),
            Command::RaiseFeatureLevel { level } => self.raise_feature_level(*level),
            Command::PruneShardGroups { deleted_before_ns } => {
                Ok(self.prune_shard_groups(*deleted_before_ns))
            }
            Command::CreateContinuousQuery { database, name, text } => {
                self.create_continuous_query(database, name, text)
            }
            Command::DropContinuousQuery { database, name } => Ok(self.drop_continuous_query(database, name)),
            Command::CreateSubscription { database, retention_policy, subscription } => {
                self.create_subscription(database, retention_policy, subscription)
            }
            Command::DropSubscription { database, retention_policy, name } => {
                self.drop_subscription(database, retention_policy, name)
            }
            Command::CreateUser { name, password, admin } => self.create_user(name, password, *admin),
            Command::DropUser { name } => self.drop_user(name),
            Command::SetPassword { name, password } => self.set_password(name, password),
            Command::SetAdmin { name, admin } => self.set_admin(name, *admin),
            Command::Grant { user, database, privilege } => self.grant(user, database, *privilege),
            Command::Revoke { user, database, privilege } => self.revoke(user, database, *privilege),
        }?;
        debug_assert_eq!(self.check(), Ok(()));
        Ok(applied)
    }

    /// States the catalogue's invariants; `Err` names the first that is broken.
    pub fn check(&self) -> Result<(), String> {
        let mut shard_ids: Vec<u64> = Vec::new();
        let mut group_ids: Vec<u64> = Vec::new();
        for database in &self.databases {
            unique(
                database.retention_policies.iter().map(|policy| policy.name.as_str()),
                "retention policy",
            )?;
            unique(database.continuous_queries.iter().map(|query| query.name.as_str()), "continuous query")?;
            for policy in &database.retention_policies {
                unique(
                    policy.subscriptions.iter().map(|subscription| subscription.name.as_str()),
                    "subscription",
                )?;
                let live: Vec<_> = policy.live_shard_groups().collect();
                if let Some(pair) = live.windows(2).find(|pair| pair[0].cut_end_ns() > pair[1].start_ns) {
                    return Err(format!("shard groups {} and {} overlap", pair[0].id, pair[1].id));
                }
                for group in &policy.shard_groups {
                    group_ids.push(group.id);
                    shard_ids.extend(group.shards.iter().map(|shard| shard.id));
                    if group.shards.is_empty() || group.shards.iter().any(|shard| shard.owners.is_empty()) {
                        return Err(format!("shard group {} has a shard without an owner", group.id));
                    }
                }
            }
        }
        unique(self.databases.iter().map(|database| database.name.as_str()), "database")?;
        unique(self.users.iter().map(|user| user.name.as_str()), "user")?;
        if group_ids.iter().any(|&id| id > self.shard_group_id_last)
            || shard_ids.iter().any(|&id| id > self.shard_id_last)
        {
            return Err("an id is above its counter".into());
        }
        unique(group_ids, "shard group")?;
        unique(shard_ids, "shard")
    }

    fn create_shard_group(
        &mut self,
        database: &str,
        retention_policy: &str,
        time_ns: i64,
        nodes: &[NodeId],
    ) -> Result<Applied, CatalogueError> {
        let (mut group_id, mut shard_id) = (self.shard_group_id_last, self.shard_id_last);
        let all = if nodes.is_empty() { self.placement_order() } else { Vec::new() };
        let nodes = if nodes.is_empty() { &all } else { nodes };
        let policy = self.policy_mut(database, retention_policy)?;
        if policy.shard_group_at(time_ns).is_some() {
            return Ok(Applied::default());
        }
        if nodes.is_empty() {
            return Err(CatalogueError::NoDataNodes);
        }
        let (start_ns, end_ns) = plan_span_ns(policy, time_ns);
        group_id += 1;
        let shards = plan_owners(nodes, policy.replica_n as usize, group_id)
            .into_iter()
            .map(|owners| {
                shard_id += 1;
                Shard::new(shard_id, owners)
            })
            .collect();
        let group =
            ShardGroup { id: group_id, start_ns, end_ns, deleted_at_ns: None, truncated_at_ns: None, shards };
        policy.shard_groups.push(group);
        policy.shard_groups.sort_by_key(|group| (group.start_ns, group.id));
        (self.shard_group_id_last, self.shard_id_last) = (group_id, shard_id);
        Ok(Applied::CHANGED)
    }

    fn delete_shard_group(
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
        Ok(Applied {
            dropped_shards: group.shards.iter().map(|shard| shard.id).collect(),
            changed: true,
            ..Applied::default()
        })
    }

    fn drop_shard(&mut self, id: u64, at_ns: i64) -> Applied {
        let policies = self.databases.iter_mut().flat_map(|database| &mut database.retention_policies);
        let mut groups = policies.flat_map(|policy| &mut policy.shard_groups);
        let holds = |group: &&mut ShardGroup| {
            group.deleted_at_ns.is_none() && group.shards.iter().any(|shard| shard.id == id)
        };
        let Some(group) = groups.find(holds) else { return Applied::default() };
        if group.shards.len() == 1 {
            group.deleted_at_ns = Some(at_ns);
        } else {
            group.shards.retain(|shard| shard.id != id);
        }
        Applied { dropped_shards: vec![id], changed: true, ..Applied::default() }
    }

    fn reserve_shards(&mut self, count: u64) -> Applied {
        let first = self.shard_id_last + 1;
        self.shard_id_last += count;
        Applied { changed: count > 0, reserved_shards: first..first + count, ..Applied::default() }
    }

    fn adopt_database(&mut self, database: &Database, nodes: &[NodeId]) -> Result<Applied, CatalogueError> {
        if self.database(&database.name).is_some() {
            return Err(CatalogueError::DatabaseExists(database.name.clone()));
        }
        let mut database = database.clone();
        let names = database.retention_policies.iter().map(|policy| &policy.name).chain([&database.name]);
        if !names.into_iter().all(|name| is_valid_name(name)) {
            return Err(CatalogueError::InvalidName);
        }
        let mut next = self.clone();
        for policy in &mut database.retention_policies {
            check_settings(policy.duration_ns, policy.shard_group_duration_ns, policy.replica_n)?;
            policy.shard_groups.retain(|group| group.deleted_at_ns.is_none());
            policy.shard_groups.sort_by_key(|group| group.start_ns);
            for group in &mut policy.shard_groups {
                next.shard_group_id_last += 1;
                group.id = next.shard_group_id_last;
                group.shards.iter_mut().for_each(|shard| nodes.clone_into(&mut shard.owners));
            }
        }
        next.databases.push(database);
        next.check().map_err(CatalogueError::Inconsistent)?;
        *self = next;
        Ok(Applied::CHANGED)
    }

    fn prune_shard_groups(&mut self, deleted_before_ns: i64) -> Applied {
        let mut changed = false;
        for policy in self.databases.iter_mut().flat_map(|database| &mut database.retention_policies) {
            let before = policy.shard_groups.len();
            policy.shard_groups.retain(|group| group.deleted_at_ns.is_none_or(|at| at >= deleted_before_ns));
            changed |= policy.shard_groups.len() != before;
        }
        Applied { changed, ..Applied::default() }
    }

    fn database_mut(&mut self, name: &str) -> Result<&mut Database, CatalogueError> {
        self.databases
            .iter_mut()
            .find(|database| database.name == name)
            .ok_or_else(|| CatalogueError::DatabaseNotFound(name.into()))
    }

    fn policy_mut(&mut self, database: &str, name: &str) -> Result<&mut RetentionPolicy, CatalogueError> {
        self.database_mut(database)?
            .retention_policy_mut(name)
            .ok_or_else(|| CatalogueError::RetentionPolicyNotFound(name.into()))
    }
}

/// Owners of each shard of a new group: as few shards as let every node own equally many copies
/// (lcm(nodes, copies) / copies), dealt round robin from a start that moves with `turn`.
fn plan_owners(nodes: &[NodeId], replica_n: usize, turn: u64) -> Vec<Vec<NodeId>> {
    let copies = replica_n.clamp(1, nodes.len());
    let shard_count = lcm(nodes.len(), copies) / copies;
    let mut next = (turn % nodes.len() as u64) as usize;
    (0..shard_count)
        .map(|_| {
            (0..copies)
                .map(|_| {
                    let owner = nodes[next % nodes.len()];
                    next += 1;
                    owner
                })
                .collect()
        })
        .collect()
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

const fn first_level() -> u32 {
    FIRST_LEVEL
}

fn is_first_level(level: &u32) -> bool {
    *level == FIRST_LEVEL
}

fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name != "."
        && name != ".."
        && name.chars().all(|c| !c.is_control() && c != '/' && c != '\\')
}

fn shard_ids_of(policy: &RetentionPolicy) -> impl Iterator<Item = u64> {
    policy.shard_groups.iter().flat_map(|group| &group.shards).map(|shard| shard.id)
}

fn unique<T: Ord + Clone + std::fmt::Display>(
    names: impl IntoIterator<Item = T>,
    what: &str,
) -> Result<(), String> {
    let mut sorted: Vec<T> = names.into_iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{what} {} exists twice", pair[0])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
