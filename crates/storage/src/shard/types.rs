//! Two types of one field, and which of them counts.
//!
//! A field has one type in a shard. Owners that get the first points of a field through different nodes, or in another order,
//! could each take another type for it and refuse for ever what the others have. So points of another type are not just
//! refused: the type that counts is that of the oldest cell there is, by its version. A field all of whose cells are younger than
//! points of another type gives way to them: it is retired, with its cells. Their writers have mostly been told of a conflict by some
//! owner, but not if the owners were away in turns: so the cells are kept as text first ([`set_aside`](super::set_aside)). All owners end
//! with the same, in whatever order they hear of it.
//!
//! Where all owners apply the same operations in the same order, the type that came first counts ([`Precedence::Arrival`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use roaring::RoaringBitmap;
use skywatch_model::{FieldType, TimeRange, Version, series::parse_measurement};

use super::{Shard, snapshot::Snapshot};
use crate::{
    MaintenanceError, Order, ReadError, TagPredicate, WriteError,
    cells::CellBatch,
    index::{Index, Retired, select_ids},
    rows::{FieldId, SeriesId},
    wal::FieldDefinition,
};

/// Which type of a field counts, if points of two come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// That of the oldest cell.
    Version,
    /// That which came first: operations come in the same order everywhere.
    Arrival,
}

/// Fields that points would have in another type than they have here.
pub(super) type Contested = BTreeMap<FieldId, Claim>;

/// What points of another type have to show for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// The oldest of them.
    pub(super) version: Version,
    /// Whether they count where some cell is of the same version. Lines of one body may have two types: each owner keeps the one
    /// that it finds first, and of two owners that found different ones one has to give way.
    pub(super) wins_ties: bool,
    /// Their type.
    pub(super) field_type: FieldType,
}

impl Shard {
    /// Retires those fields of which no cell is older than what contests them, and series that have nothing else; whether there
    /// were any.
    pub(super) fn give_way(&self, contested: &Contested) -> Result<bool, WriteError> {
        let measurements = self.retire_young(contested)?;
        if measurements.is_empty() {
            return Ok(false);
        }
        let bounds = self.index.read().bounds();
        let all = |name: Arc<str>| {
            let ids = select_ids(&self.index, &name, &TagPredicate::All, bounds);
            (name, ids)
        };
        self.retire_emptied(&measurements.into_iter().map(all).collect::<Vec<_>>())?;
        Ok(true)
    }

    /// Retires the fields; returns the measurements that they are of.
    fn retire_young(&self, contested: &Contested) -> Result<BTreeSet<Arc<str>>, WriteError> {
        let _closed = self.gate.write();
        self.check_open()?;
        let snapshot = self.take_snapshot();
        let (mut young, mut measurements) = (RoaringBitmap::new(), BTreeSet::new());
        for (id, claim) in contested {
            let Some(field) = self.index.read().field(*id).cloned() else { continue };
            match snapshot.elder(&field, *claim) {
                Ok(Some(elder)) => drop(self.elders.lock().insert(*id, elder)),
                Ok(None) if self.sets_aside(&snapshot, &field, *claim)? => {
                    young.insert(id.0);
                    measurements.insert(Arc::from(&*field.measurement));
                }
                Ok(None) => {}
                // What cannot be read may be older.
                Err(error) => {
                    tracing::warn!(shard = self.id.0, field = %field.name, %error, "which type of a field is older cannot be found out");
                }
            }
        }
        if !young.is_empty() {
            self.retire(&Retired { series: RoaringBitmap::new(), fields: young })?;
            self.touch_times(self.range);
        }
        Ok(measurements)
    }

    /// Keeps what is stored of a field, so that it can give way; false if that cannot be read.
    fn sets_aside(
        &self,
        snapshot: &Snapshot,
        field: &FieldDefinition,
        claim: Claim,
    ) -> Result<bool, WriteError> {
        let FieldDefinition { measurement, name, field_type, .. } = field;
        let (kind, other) = (field_type.name(), claim.field_type.name());
        match self.set_aside(snapshot, field, claim.field_type) {
            Ok(Some(file)) => tracing::error!(
                shard = self.id.0, %measurement, field = %name, kind, other, file = %file.display(),
                "a field gives way to older points of another type; what was stored of it is no longer answered and kept in this \
                 file, as line protocol: look whether it is needed, then remove the file"
            ),
            Ok(None) => {}
            Err(MaintenanceError::Io(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(
                    shard = self.id.0, %measurement, field = %name, kind, other, %error,
                    "a field does not give way to older points of another type: what is stored of it cannot be read"
                );
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a field is known to have a cell that is no younger than this: then it does not give way.
    pub(super) fn has_known_elder(&self, field: FieldId, version: Version) -> bool {
        self.elders.lock().get(&field).is_some_and(|elder| *elder <= version)
    }

    /// Fields that cells of another owner have in another type.
    pub(super) fn contested_by_cells(&self, batch: &CellBatch) -> Contested {
        let mut contested = Contested::new();
        let index = self.index.read();
        for piece in &batch.pieces {
            let measurement = parse_measurement(&piece.key);
            for (column, (name, kind)) in piece.fields.iter().enumerate() {
                let Some(id) = other_type(&index, (&measurement, name), *kind) else { continue };
                let Some(version) = piece.rows.cell_versions(column).min() else { continue };
                let is_lesser = |field: &FieldDefinition| (*kind as u8) < field.field_type as u8;
                let wins_ties = index.field(id).is_some_and(is_lesser);
                let claim = contested.entry(id).or_insert(Claim { version, wins_ties, field_type: *kind });
                claim.version = claim.version.min(version);
            }
        }
        contested
    }
}

/// The field of that name, if it has another type.
pub(super) fn other_type(
    index: &Index,
    (measurement, name): (&str, &str),
    kind: FieldType,
) -> Option<FieldId> {
    let id = index.find_field(measurement, name)?;
    index.field(id).is_some_and(|field| field.field_type != kind).then_some(id)
}

impl Snapshot {
    /// The version of a cell of a field that outweighs a claim, if there is one.
    fn elder(&self, field: &FieldDefinition, claim: Claim) -> Result<Option<Version>, ReadError> {
        let outweighs = |found: &Version| {
            if claim.wins_ties { *found < claim.version } else { *found <= claim.version }
        };
        let scanner = self.scanner_of(&field.measurement, Box::new([Some(field.id)]));
        for id in select_ids(&self.index, &field.measurement, &TagPredicate::All, self.bounds) {
            let mut scan = scanner.scan_of(SeriesId(id), TimeRange::ALL, Order::Ascending)?;
            while let Some(rows) = scan.next_versioned()? {
                if let Some(elder) = rows.cell_versions(0).find(outweighs) {
                    return Ok(Some(elder));
                }
            }
        }
        Ok(None)
    }
}
