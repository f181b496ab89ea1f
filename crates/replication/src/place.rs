//! Where a shard has its place in the catalogue.

use skywatch_meta::{Catalogue, RetentionPolicy, Shard, ShardGroup};
use skywatch_model::TimeRange;

/// A live shard and what it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) database: &'a str,
    pub(crate) policy: &'a RetentionPolicy,
    pub(crate) group: &'a ShardGroup,
    pub(crate) shard: &'a Shard,
}

impl<'a> Place<'a> {
    /// The place of a live shard.
    pub(crate) fn of(catalogue: &'a Catalogue, id: u64) -> Option<Self> {
        for database in catalogue.databases() {
            for policy in &database.retention_policies {
                for group in policy.live_shard_groups() {
                    if let Some(shard) = group.shards.iter().find(|shard| shard.id == id) {
                        return Some(Self { database: &database.name, policy, group, shard });
                    }
                }
            }
        }
        None
    }

    /// The times that the shard is for, at every owner.
    pub(crate) const fn range(&self) -> TimeRange {
        TimeRange::new(self.group.start_ns, self.group.end_ns - 1)
    }

    /// First time at which it is beyond its policy; 0 for never.
    pub(crate) const fn expires_ns(&self) -> i64 {
        match self.policy.duration_ns {
            0 => 0,
            duration => self.group.end_ns.saturating_add(duration),
        }
    }
}
