//! The catalogue as a pure, deterministic state machine: commands in, records out. No clock, no I/O.

mod behind;
mod check;
mod databases;
mod destination;
mod groups;
mod leases;
mod levels;
mod nodes;
mod owners;
mod places;
mod services;
mod users;
mod write_log;

use std::collections::BTreeMap;

use places::Places;
use serde::{Deserialize, Serialize};
pub use write_log::LOG_PARTITIONS_MAX;

use crate::{
    command::{Applied, Command},
    error::CatalogueError,
    level::FIRST_LEVEL,
    node::{Behind, DataNode, Lease, MetaNode},
    records::{Database, NodeId, RetentionPolicy, Shard},
    user::User,
};

/// Longest name of a database, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Every database of the system, and every user.
///
/// Invariants, checked by [`Catalogue::check`]: names are unique among their like; live groups of a policy are sorted, and no
/// time belongs to two of them; ids of nodes, groups and shards are unique and below their counters; every shard has owners,
/// and in a live group one that has all of it.
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
    /// The number of each of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    behind_marks: Vec<u64>,
    /// The highest number given to one of those, or to an owner that joins.
    #[serde(default, skip_serializing_if = "is_zero")]
    mark_last: u64,
    /// Where groups were last cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    truncated_at_ns: Option<i64>,
    #[serde(default = "first_level", skip_serializing_if = "is_first_level")]
    feature_level: u32,
    /// Of the nodes that know more than the first level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    known_levels: BTreeMap<NodeId, u32>,
    /// The log that writes go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    write_log: Option<String>,
    /// Those that data nodes have named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    write_logs: BTreeMap<NodeId, String>,
    #[serde(skip)]
    places: Places,
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
            behind_marks: Vec::new(),
            mark_last: 0,
            truncated_at_ns: None,
            feature_level: FIRST_LEVEL,
            known_levels: BTreeMap::new(),
            write_log: None,
            write_logs: BTreeMap::new(),
            places: Places::default(),
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
            Command::CreateBareDatabase { name } => self.create_bare_database(name),
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
            Command::CreateLoggedShardGroup { database, retention_policy, time_ns, log_starts } => {
                self.create_logged_shard_group(database, retention_policy, *time_ns, log_starts)
            }
            Command::AnnounceWriteLog { node, log } => self.announce_write_log(*node, log.as_deref()),
            Command::DeleteShardGroup { database, retention_policy, id, at_ns } => {
                self.delete_shard_group(database, retention_policy, *id, *at_ns)
            }
            Command::DropShard { id, at_ns } => Ok(self.drop_shard(*id, *at_ns)),
            Command::ReserveShards { count } => self.reserve_shards(*count),
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
            Command::ConfirmShardOwner { shard, node, mark } => {
                self.confirm_shard_owner(*shard, *node, *mark)
            }
            Command::RemoveShardOwner { shard, node, at_ns } => {
                self.remove_shard_owner(*shard, *node, *at_ns)
            }
            Command::MarkBehind { node, holder } => self.mark_behind(*node, *holder),
            Command::ClearBehind { node, holder, mark } => Ok(self.clear_behind(*node, *holder, *mark)),
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
        if applied.changed {
            self.forget_places();
        }
        debug_assert_eq!(self.check(), Ok(()));
        Ok(applied)
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

#[cfg(test)]
mod tests;
