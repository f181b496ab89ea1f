//! Which shards share the limits of a database.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use skywatch_meta::{Database, RetentionPolicy};
use skywatch_replication::Admission;
use skywatch_storage::{CardinalityLimits, SeriesLimit, Shard};

use crate::{DatabaseCardinality, node::NodeCore};

/// The limits of every database that has had a shard here.
#[derive(Debug)]
pub(crate) struct SeriesLimits {
    limits: CardinalityLimits,
    databases: Mutex<BTreeMap<String, Arc<SeriesLimit>>>,
}

impl SeriesLimits {
    /// The same limits for every database.
    pub(crate) fn new(limits: CardinalityLimits) -> Self {
        Self { limits, databases: Mutex::default() }
    }

    /// Those of one database.
    pub(crate) fn of(&self, database: &str) -> Arc<SeriesLimit> {
        let mut databases = self.databases.lock();
        match databases.get(database) {
            Some(limit) => Arc::clone(limit),
            None => {
                let limit = Arc::new(SeriesLimit::new(self.limits));
                databases.insert(database.to_owned(), Arc::clone(&limit));
                limit
            }
        }
    }
}

impl Admission for SeriesLimits {
    fn admit(&self, database: &str, shard: &Shard) {
        shard.limit_series(&self.of(database));
    }
}

impl NodeCore {
    /// Counts every shard in the limits of its database; those that are counted already stay so. Done at the start
    /// and with every upkeep, since a restored database brings shards that were never written to.
    pub(crate) fn limit_series(&self) {
        for database in self.host.current().databases() {
            let limit = self.series_limits.of(&database.name);
            let groups = database.retention_policies.iter().flat_map(RetentionPolicy::live_shard_groups);
            for shard in groups.flat_map(|group| &group.shards) {
                if let Some(shard) = self.open_shard(shard.id) {
                    shard.limit_series(&limit);
                }
            }
        }
    }

    /// Series of each database.
    pub(crate) fn cardinality(&self) -> Vec<DatabaseCardinality> {
        let catalogue = self.host.current();
        let of = |database: &Database| {
            let limit = self.series_limits.of(&database.name);
            let (database, series) = (database.name.clone(), limit.estimate());
            DatabaseCardinality { database, series, refused: limit.refused() }
        };
        catalogue.databases().iter().map(of).collect()
    }
}
