//! The query engine's view of the node: catalogue and shard snapshots.

mod administration;

use std::sync::Arc;

use skywatch_meta::{
    CatalogueError, Command, Database, HostError, RetentionPolicy, RetentionPolicyChange, RetentionPolicySpec,
};
use skywatch_model::{TimeRange, Version, line::PointBatch, wall_clock_ns};
use skywatch_query::{
    Backend, BackendError, ClusterView, DeleteRequest, NewRetentionPolicy, Reading, RetentionPolicyInfo,
    RetentionPolicyUpdate, ShardGroupInfo, ShardInfo,
};
use skywatch_replication::{Consistency, Owners, operation::Target};
use skywatch_storage::{Rule, ShardRead, TagPredicate, WriteError};

use crate::{
    keeper::Keeper,
    node::NodeCore,
    overlap::{self, GroupShards},
    write::{PointsRequest, WriteError as PointsError, WriteErrorClass},
};

/// The name of the policy that a database gets when none is given.
const DEFAULT_POLICY_NAME: &str = "autogen";

impl NodeCore {
    fn database(&self, name: &str) -> Result<Database, BackendError> {
        self.host
            .current()
            .database(name)
            .cloned()
            .ok_or_else(|| BackendError::DatabaseNotFound(name.to_owned()))
    }
}

impl Backend for NodeCore {
    fn databases(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.host.current().databases().iter().map(|database| database.name.clone()).collect())
    }

    fn retention_policies(&self, database: &str) -> Result<Vec<RetentionPolicyInfo>, BackendError> {
        let database = self.database(database)?;
        Ok(database
            .retention_policies
            .iter()
            .map(|policy| RetentionPolicyInfo {
                name: policy.name.clone(),
                duration_ns: policy.duration_ns,
                shard_group_duration_ns: policy.shard_group_duration_ns,
                replica_n: policy.replica_n,
                is_default: policy.name == database.default_retention_policy,
            })
            .collect())
    }

    fn shards(
        &self,
        database: &str,
        retention_policy: &str,
        range: TimeRange,
        reading: &Reading,
    ) -> Result<Vec<Arc<dyn ShardRead>>, BackendError> {
        if let Keeper::Cluster(clustered) = &self.host
            && !reading.allows_partial
            && reading.node_id.is_none()
        {
            clustered.wait_until_current()?;
        }
        let database = self.database(database)?;
        let policy = database
            .retention_policy(retention_policy)
            .ok_or_else(|| BackendError::RetentionPolicyNotFound(retention_policy.to_owned()))?;
        let groups = policy
            .live_shard_groups()
            .filter(|group| range.overlaps(TimeRange::new(group.start_ns, group.end_ns - 1)));
        let mut found = Vec::new();
        for group in groups {
            let mut shards = Vec::new();
            for shard in &group.shards {
                // A shard that nothing was written to yet has a place in the catalogue and no files.
                shards.extend(match &self.host {
                    Keeper::Local(_) => self.open_shard(shard.id).map(|shard| shard.snapshot()),
                    Keeper::Cluster(clustered) => {
                        let range = TimeRange::new(group.start_ns, group.end_ns - 1);
                        self.read_shard(clustered, shard, range, reading)?
                    }
                });
            }
            found.push(GroupShards::new(group, shards));
        }
        Ok(overlap::apart(found))
    }

    fn create_database(&self, name: &str, policy: Option<&NewRetentionPolicy>) -> Result<(), BackendError> {
        let policy = policy.map(spec_of);
        self.execute(&Command::CreateDatabase { name: name.into(), policy })
    }

    fn drop_database(&self, name: &str) -> Result<(), BackendError> {
        self.execute(&Command::DropDatabase { name: name.into() })
    }

    fn create_retention_policy(
        &self,
        database: &str,
        policy: &NewRetentionPolicy,
    ) -> Result<(), BackendError> {
        self.execute(&Command::CreateRetentionPolicy {
            database: database.into(),
            spec: spec_of(policy),
            make_default: policy.make_default,
        })
    }

    fn alter_retention_policy(
        &self,
        database: &str,
        name: &str,
        update: &RetentionPolicyUpdate,
    ) -> Result<(), BackendError> {
        self.execute(&Command::AlterRetentionPolicy {
            database: database.into(),
            name: name.into(),
            change: RetentionPolicyChange {
                duration_ns: update.duration_ns,
                shard_group_duration_ns: update.shard_group_duration_ns,
                replica_n: update.replica_n,
                make_default: update.make_default,
            },
        })
    }

    fn drop_retention_policy(&self, database: &str, name: &str) -> Result<(), BackendError> {
        self.execute(&Command::DropRetentionPolicy { database: database.into(), name: name.into() })
    }

    fn drop_measurement(&self, database: &str, measurement: &str) -> Result<(), BackendError> {
        let request = DeleteRequest {
            retention_policy: None,
            measurements: vec![measurement.into()],
            predicate: TagPredicate::All,
            range: TimeRange::ALL,
        };
        self.delete(database, &request)
    }

    fn delete(&self, database: &str, request: &DeleteRequest) -> Result<(), BackendError> {
        let database = self.database(database)?;
        let DeleteRequest { retention_policy, measurements, predicate, range } = request;
        let policies: Vec<&RetentionPolicy> = match retention_policy {
            None => database.retention_policies.iter().collect(),
            Some(name) => vec![
                database
                    .retention_policy(name)
                    .ok_or_else(|| BackendError::RetentionPolicyNotFound(name.clone()))?,
            ],
        };
        let _pending = match &self.host {
            Keeper::Local(_) => None,
            Keeper::Cluster(clustered) => {
                let pending = clustered.begin_operation();
                clustered.catch_up_clock();
                Some(pending)
            }
        };
        let version = self.next_version(wall_clock_ns());
        let groups = policies.into_iter().flat_map(RetentionPolicy::live_shard_groups);
        let inside = groups.filter(|group| range.overlaps(TimeRange::new(group.start_ns, group.end_ns - 1)));
        let rule = Rule { measurements: measurements.clone(), predicate: predicate.clone() };
        let mut result = Ok(());
        let (mut logged, mut owners) = (Vec::new(), Vec::new());
        // Every shard gets its chance: what fails in one is told, and asking again does the rest.
        for group in inside {
            for shard in &group.shards {
                let deleted = match &self.host {
                    Keeper::Local(_) => self.delete_here(shard.id, &rule, *range, version),
                    Keeper::Cluster(clustered) => {
                        let target = Target {
                            shard: shard.id,
                            range: TimeRange::new(group.start_ns, group.end_ns - 1),
                            database: &database.name,
                            version,
                        };
                        if let Some(partition) = group.partition_of(shard.id) {
                            if let Some(refusal) = clustered.refuses_deletes(shard.id, &Owners::of(shard)) {
                                result = result.and(Err(BackendError::WriteFailed(refusal)));
                                continue;
                            }
                            owners.push((partition, shard.whole_owners().collect()));
                            logged.push((target, partition));
                            continue;
                        }
                        clustered
                            .delete(&target, &rule, *range, &Owners::of(shard))
                            .map_err(BackendError::WriteFailed)
                    }
                };
                result = result.and(deleted);
            }
        }
        if let Keeper::Cluster(clustered) = &self.host
            && !logged.is_empty()
        {
            let deleted = clustered.delete_logged(&logged, &owners, &rule, *range);
            result = result.and(deleted.map_err(BackendError::WriteFailed));
        }
        result
    }

    fn drop_shard(&self, id: u64) -> Result<(), BackendError> {
        self.execute(&Command::DropShard { id, at_ns: wall_clock_ns() })
    }

    fn shard_groups(&self) -> Result<Vec<ShardGroupInfo>, BackendError> {
        let catalogue = self.host.current();
        let policies = catalogue.databases().iter().flat_map(|database| {
            database.retention_policies.iter().map(move |policy| (&database.name, policy))
        });
        let groups = policies.flat_map(|(database, policy)| {
            policy.live_shard_groups().map(move |group| ShardGroupInfo {
                id: group.id,
                database: database.clone(),
                retention_policy: policy.name.clone(),
                start_ns: group.start_ns,
                end_ns: group.end_ns,
                retention_ns: policy.duration_ns,
                shards: group.shards.iter().map(|shard| self.shard_info(shard)).collect(),
            })
        });
        Ok(groups.collect())
    }

    fn cluster(&self) -> Option<&dyn ClusterView> {
        match &self.host {
            Keeper::Local(_) => None,
            Keeper::Cluster(clustered) => Some(&**clustered),
        }
    }

    fn write(
        &self,
        database: &str,
        retention_policy: &str,
        points: &PointBatch<'_>,
    ) -> Result<(), BackendError> {
        let request = PointsRequest {
            database,
            retention_policy: Some(retention_policy),
            received_at_ns: wall_clock_ns(),
            consistency: Consistency::One,
        };
        self.write_points(&request, points, None).map(drop).map_err(points_error)
    }
}

impl NodeCore {
    /// A single server names no owners.
    fn shard_info(&self, shard: &skywatch_meta::Shard) -> ShardInfo {
        let owners = match &self.host {
            Keeper::Local(_) => Vec::new(),
            Keeper::Cluster(_) => shard.owners.iter().map(|owner| owner.0).collect(),
        };
        ShardInfo { id: shard.id, owners }
    }

    fn delete_here(
        &self,
        shard: u64,
        rule: &Rule,
        range: TimeRange,
        version: Version,
    ) -> Result<(), BackendError> {
        let Some(shard) = self.open_shard(shard) else { return Ok(()) };
        match shard.delete(&rule.measurements, &rule.predicate, range, version) {
            // Retention has removed it meanwhile, with everything in it.
            Ok(_) | Err(WriteError::Closed) => Ok(()),
            Err(error) => Err(BackendError::Delete(error)),
        }
    }

    /// Carries out a command on the catalogue and removes the shards that lost their place in it.
    fn execute(&self, command: &Command) -> Result<(), BackendError> {
        let applied = self.host.execute(command).map_err(backend_error)?;
        self.drop_shards(&applied.dropped_shards);
        self.tell_subscriptions();
        Ok(())
    }
}

fn spec_of(policy: &NewRetentionPolicy) -> RetentionPolicySpec {
    RetentionPolicySpec {
        name: policy.name.clone().unwrap_or_else(|| DEFAULT_POLICY_NAME.into()),
        duration_ns: policy.duration_ns.unwrap_or(0),
        shard_group_duration_ns: policy.shard_group_duration_ns.unwrap_or(0),
        replica_n: policy.replica_n,
    }
}

/// What a query that writes is told; databases that are missing in the words of queries.
fn points_error(error: PointsError) -> BackendError {
    match (error.class(), error) {
        (_, PointsError::DatabaseNotFound(name)) => BackendError::DatabaseNotFound(name),
        (_, PointsError::RetentionPolicyNotFound(name)) => BackendError::RetentionPolicyNotFound(name),
        (WriteErrorClass::Retry, error) => BackendError::Overloaded(error.to_string()),
        (WriteErrorClass::Fatal, PointsError::Catalogue(source)) => {
            BackendError::WriteFailed(format!("cannot create a shard group: {source}"))
        }
        (WriteErrorClass::Fatal, error) => BackendError::WriteFailed(error.to_string()),
        (WriteErrorClass::Caller | WriteErrorClass::NotFound, error) => {
            BackendError::PointsRefused(error.to_string())
        }
    }
}

fn backend_error(error: HostError) -> BackendError {
    match error {
        HostError::Refused(refusal) => match refusal {
            CatalogueError::DatabaseNotFound(name) => BackendError::DatabaseNotFound(name),
            CatalogueError::InvalidName => BackendError::InvalidName,
            CatalogueError::RetentionPolicyNotFound(name) => BackendError::RetentionPolicyNotFound(name),
            CatalogueError::RetentionPolicyExists => BackendError::RetentionPolicyExists,
            CatalogueError::RetentionPolicyConflict => BackendError::RetentionPolicyConflict,
            CatalogueError::RetentionTooShort => BackendError::RetentionPolicyDurationTooLow,
            CatalogueError::IncompatibleDurations => BackendError::IncompatibleDurations,
            CatalogueError::ReplicationFactorTooLow => BackendError::ReplicationFactorTooLow,
            CatalogueError::ContinuousQueryExists => BackendError::ContinuousQueryExists,
            CatalogueError::SubscriptionExists => BackendError::SubscriptionExists,
            CatalogueError::SubscriptionNotFound => BackendError::SubscriptionNotFound,
            CatalogueError::InvalidSubscriptionUrl(url) => BackendError::InvalidSubscriptionUrl(url),
            CatalogueError::UsernameRequired => BackendError::UsernameRequired,
            CatalogueError::UserExists => BackendError::UserExists,
            CatalogueError::UserNotFound => BackendError::UserNotFound,
            other => BackendError::Catalogue(other.to_string()),
        },
        other => BackendError::Catalogue(other.to_string()),
    }
}
