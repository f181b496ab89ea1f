//! Databases and their retention policies.

use super::{Catalogue, is_valid_name, shard_ids_of};
use crate::{
    command::{Applied, RetentionPolicyChange, RetentionPolicySpec},
    error::CatalogueError,
    records::{Database, RetentionPolicy},
    shard_groups::{RETENTION_NS_MIN, effective_shard_group_duration_ns},
};

/// A policy that names no number of copies gets no more than this, however many data nodes there are.
const DEFAULT_REPLICA_N_MAX: u32 = 3;

impl Catalogue {
    /// Copies of each shard in a policy that names none: as many as there are data nodes, at most three. A single server,
    /// which has no data nodes in its catalogue, keeps one.
    pub fn default_replica_n(&self) -> u32 {
        u32::try_from(self.data_nodes.len()).unwrap_or(u32::MAX).clamp(1, DEFAULT_REPLICA_N_MAX)
    }

    pub(super) fn create_database(
        &mut self,
        name: &str,
        policy: Option<&RetentionPolicySpec>,
    ) -> Result<Applied, CatalogueError> {
        if !is_valid_name(name) {
            return Err(CatalogueError::InvalidName);
        }
        let default_replica_n = self.default_replica_n();
        if let Some(existing) = self.database(name) {
            let Some(spec) = policy else { return Ok(Applied::default()) };
            let wanted = new_policy(spec, default_replica_n)?;
            return match existing.retention_policy(&wanted.name) {
                Some(found)
                    if is_as_wanted(found, &wanted, spec)
                        && existing.default_retention_policy == wanted.name =>
                {
                    Ok(Applied::default())
                }
                _ => Err(CatalogueError::RetentionPolicyConflict),
            };
        }
        let autogen = RetentionPolicySpec {
            name: "autogen".into(),
            duration_ns: 0,
            shard_group_duration_ns: 0,
            replica_n: None,
        };
        let first = new_policy(policy.unwrap_or(&autogen), default_replica_n)?;
        self.databases.push(Database {
            name: name.into(),
            default_retention_policy: first.name.clone(),
            retention_policies: vec![first],
            continuous_queries: Vec::new(),
        });
        Ok(Applied::CHANGED)
    }

    pub(super) fn create_bare_database(&mut self, name: &str) -> Result<Applied, CatalogueError> {
        if !is_valid_name(name) {
            return Err(CatalogueError::InvalidName);
        }
        if self.database(name).is_some() {
            return Ok(Applied::default());
        }
        self.databases.push(Database {
            name: name.into(),
            default_retention_policy: String::new(),
            retention_policies: Vec::new(),
            continuous_queries: Vec::new(),
        });
        Ok(Applied::CHANGED)
    }

    pub(super) fn drop_database(&mut self, name: &str) -> Applied {
        let Some(index) = self.databases.iter().position(|database| database.name == name) else {
            return Applied::default();
        };
        let dropped = self.databases.remove(index);
        self.forget_privileges(name);
        let dropped_shards = dropped.retention_policies.iter().flat_map(shard_ids_of).collect();
        Applied { dropped_shards, changed: true, ..Applied::default() }
    }

    pub(super) fn create_retention_policy(
        &mut self,
        database: &str,
        spec: &RetentionPolicySpec,
        make_default: bool,
    ) -> Result<Applied, CatalogueError> {
        let wanted = new_policy(spec, self.default_replica_n())?;
        let database = self.database_mut(database)?;
        let is_default = database.default_retention_policy == wanted.name;
        if let Some(found) = database.retention_policy(&wanted.name) {
            if !is_as_wanted(found, &wanted, spec) {
                return Err(CatalogueError::RetentionPolicyExists);
            }
            if make_default && !is_default {
                return Err(CatalogueError::RetentionPolicyConflict);
            }
            return Ok(Applied::default());
        }
        if make_default {
            database.default_retention_policy.clone_from(&wanted.name);
        }
        database.retention_policies.push(wanted);
        Ok(Applied::CHANGED)
    }

    pub(super) fn alter_retention_policy(
        &mut self,
        database: &str,
        name: &str,
        change: &RetentionPolicyChange,
    ) -> Result<Applied, CatalogueError> {
        let database = self.database_mut(database)?;
        let policy = database
            .retention_policy_mut(name)
            .ok_or_else(|| CatalogueError::RetentionPolicyNotFound(name.into()))?;
        let duration_ns = change.duration_ns.unwrap_or(policy.duration_ns);
        let shard_group_duration_ns = match change.shard_group_duration_ns {
            Some(wanted) => effective_shard_group_duration_ns(wanted, duration_ns),
            None => policy.shard_group_duration_ns,
        };
        let replica_n = change.replica_n.unwrap_or(policy.replica_n);
        check_settings(duration_ns, shard_group_duration_ns, replica_n)?;
        let is_changed = (duration_ns, shard_group_duration_ns, replica_n)
            != (policy.duration_ns, policy.shard_group_duration_ns, policy.replica_n);
        policy.duration_ns = duration_ns;
        policy.shard_group_duration_ns = shard_group_duration_ns;
        policy.replica_n = replica_n;
        let is_new_default = change.make_default && database.default_retention_policy != name;
        if is_new_default {
            name.clone_into(&mut database.default_retention_policy);
        }
        Ok(Applied { changed: is_changed || is_new_default, ..Applied::default() })
    }

    pub(super) fn drop_retention_policy(
        &mut self,
        database: &str,
        name: &str,
    ) -> Result<Applied, CatalogueError> {
        let Ok(database) = self.database_mut(database) else { return Ok(Applied::default()) };
        let Some(index) = database.retention_policies.iter().position(|policy| policy.name == name) else {
            return Ok(Applied::default());
        };
        let dropped = database.retention_policies.remove(index);
        if database.default_retention_policy == name {
            database.default_retention_policy.clear();
        }
        Ok(Applied { dropped_shards: shard_ids_of(&dropped).collect(), changed: true, ..Applied::default() })
    }
}

fn new_policy(spec: &RetentionPolicySpec, default_replica_n: u32) -> Result<RetentionPolicy, CatalogueError> {
    if !is_valid_name(&spec.name) {
        return Err(CatalogueError::InvalidName);
    }
    let shard_group_duration_ns =
        effective_shard_group_duration_ns(spec.shard_group_duration_ns, spec.duration_ns);
    let replica_n = spec.replica_n.unwrap_or(default_replica_n);
    check_settings(spec.duration_ns, shard_group_duration_ns, replica_n)?;
    Ok(RetentionPolicy {
        name: spec.name.clone(),
        duration_ns: spec.duration_ns,
        shard_group_duration_ns,
        replica_n,
        shard_groups: Vec::new(),
        subscriptions: Vec::new(),
    })
}

pub(super) fn check_settings(
    duration_ns: i64,
    shard_group_ns: i64,
    replica_n: u32,
) -> Result<(), CatalogueError> {
    if replica_n < 1 {
        return Err(CatalogueError::ReplicationFactorTooLow);
    }
    if duration_ns != 0 && duration_ns < RETENTION_NS_MIN {
        return Err(CatalogueError::RetentionTooShort);
    }
    if duration_ns != 0 && duration_ns < shard_group_ns {
        return Err(CatalogueError::IncompatibleDurations);
    }
    Ok(())
}

/// Whether a policy that exists is what a spec asks for. A number of copies that the spec leaves open is no difference:
/// the number of data nodes may have changed since.
fn is_as_wanted(found: &RetentionPolicy, wanted: &RetentionPolicy, spec: &RetentionPolicySpec) -> bool {
    (found.duration_ns, found.shard_group_duration_ns) == (wanted.duration_ns, wanted.shard_group_duration_ns)
        && (spec.replica_n.is_none() || found.replica_n == wanted.replica_n)
}

#[cfg(test)]
mod tests;
