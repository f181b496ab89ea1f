//! Points that come after a delete of a greater version: from a node that kept them for this one, or in another order than
//! elsewhere. They are deleted before they are stored, so that they leave no series behind, which other owners, where they came
//! before the delete, do not list either. Nor do they contest the type of a field.
//!
//! A measurement keeps its fields as long as it has series. So what is left of such points is what would be left if they had come
//! in order: fields that the measurement has not had yet, unless all of it was deleted.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use skywatch_model::{Version, line::PointBatch};

use super::Shard;
use crate::{
    TagPredicate,
    tombstone::{Rule, Tombstone},
};

/// What deletes of greater versions make of a write; positions in its batch.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    /// To be stored.
    pub(super) living: Vec<u32>,
    /// How many are deleted.
    pub(super) late: u64,
    /// Of these, one of each shape, if other points of its measurement may be older and live.
    pub(super) shapes: BTreeMap<u32, u32>,
}

impl Shard {
    /// Tells points that known deletes have deleted from others; none if all of them live. Called with the gate held.
    pub(super) fn sift(&self, batch: &PointBatch<'_>, points: &[u32], version: Version) -> Option<Sifted> {
        let tombstones = {
            let tables = self.tables.read();
            if tables.tombstones.latest_version() <= version {
                return None;
            }
            tables.tombstones.clone()
        };
        let mut younger = FxHashMap::default();
        let mut sifted = Sifted::default();
        for at in points {
            let point = batch.point(*at as usize);
            let younger = younger
                .entry(point.series_ordinal())
                .or_insert_with(|| tombstones.younger(point.series_key(), version));
            let mut deletes = younger.iter().filter(|it| it.range.contains(point.time())).peekable();
            if deletes.peek().is_none() {
                sifted.living.push(*at);
                continue;
            }
            sifted.late += 1;
            if !deletes.any(|tombstone| self.ends_measurement(tombstone)) {
                sifted.shapes.entry(point.shape_ordinal()).or_insert(*at);
            }
        }
        (sifted.late > 0).then_some(sifted)
    }

    /// Whether nothing older is left of a measurement.
    fn ends_measurement(&self, tombstone: &Tombstone) -> bool {
        let is_all = |rule: &Rule| matches!(rule.predicate, TagPredicate::All);
        tombstone.range.covers(self.range) && tombstone.rule.as_ref().is_some_and(is_all)
    }
}
