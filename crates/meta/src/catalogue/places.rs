//! Where each live shard is found in the catalogue: an index that is made when it is first asked for after a change, and is no
//! part of the catalogue's value.

use std::sync::OnceLock;

use super::Catalogue;
use crate::{Shard, ShardGroup};

/// Positions of a shard: its database, policy, group, and place in the group.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: u64,
    database: u32,
    policy: u32,
    group: u32,
    slot: u32,
}

/// By shard id.
#[derive(Debug, Default)]
pub(super) struct Places(OnceLock<Vec<Place>>);

/// A copy is made to be changed.
impl Clone for Places {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// It follows from the rest of the catalogue.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Catalogue {
    /// The live shard with this id. After a change the first lookup costs as much as a walk through all shards.
    pub fn live_shard(&self, id: u64) -> Option<&Shard> {
        let (group, slot) = self.find_live(id)?;
        Some(&group.shards[slot])
    }

    /// The live group of a live shard.
    pub fn shard_group_of(&self, id: u64) -> Option<&ShardGroup> {
        self.find_live(id).map(|(group, _)| group)
    }

    fn find_live(&self, id: u64) -> Option<(&ShardGroup, usize)> {
        let places = self.places.0.get_or_init(|| self.find_places());
        let place = places[places.binary_search_by_key(&id, |place| place.shard).ok()?];
        let policy = &self.databases[place.database as usize].retention_policies[place.policy as usize];
        Some((&policy.shard_groups[place.group as usize], place.slot as usize))
    }

    fn find_places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (database, it) in (0..).zip(&self.databases) {
            for (policy, it) in (0..).zip(&it.retention_policies) {
                for (group, it) in (0..).zip(&it.shard_groups).filter(|(_, it)| it.deleted_at_ns.is_none()) {
                    let shards = (0..).zip(&it.shards);
                    places.extend(shards.map(|(slot, it)| Place {
                        shard: it.id,
                        database,
                        policy,
                        group,
                        slot,
                    }));
                }
            }
        }
        places.sort_unstable_by_key(|place| place.shard);
        places
    }

    /// To be called after every change.
    pub(super) fn forget_places(&mut self) {
        self.places = Places::default();
    }
}
