//! Forgetting deletes that no other owner needs any more.
//!
//! An owner remembers every delete for points that may yet come with lower versions (`Tombstone::rule`). Once every owner is
//! known to have all operations below some version, and nobody has any of them left to send, the owners are told to forget
//! what they remember below it; how that is found out is their business (`skywatch_replication::settle`). From then on:
//!
//! 1. *An operation of a lower version is refused*, under the gate, so that it is before or after: it has been here, as all
//!    of them have, and carrying it out again could bring back what a forgotten delete has taken away.
//! 2. *Cells of another owner are taken in whatever their versions*, since damage may have to be repaired with them; but
//!    only those that were asked for afterwards. The other owner has then had every forgotten delete, so that none of its
//!    cells is one that such a delete would take away.
//! 3. *A forgotten delete goes* when nothing is left here that it hides: no segment below its barrier, and no memtable with
//!    rows that came before it, or before it was forgotten. Until then it hides them as ever.
//!
//! So what a query sees is the same before, while and after a delete is forgotten and goes.

use std::sync::atomic::Ordering;

use skywatch_model::Version;

use super::{Precedence, Shard};
use crate::{
    MaintenanceError, WriteError,
    digest::{Digest, hash_bytes},
    tombstone::Forgotten,
};

/// Where what is written comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// Somebody has just written it.
    Operation {
        /// Which type of a field counts.
        precedence: Precedence,
    },
    /// Another owner, which was asked when so much was forgotten here.
    Cells {
        /// See [`Shard::forgotten`].
        forgotten: Version,
    },
}

impl Origin {
    /// An operation that owners may apply in different orders.
    pub(super) const OPERATION: Self = Self::Operation { precedence: Precedence::Version };

    /// Whether the older of two types of a field counts.
    pub(super) const fn is_by_version(&self) -> bool {
        matches!(self, Self::Operation { precedence: Precedence::Version } | Self::Cells { .. })
    }
}

impl Shard {
    /// Deletes of lower versions are remembered no more, and operations of lower versions not taken.
    pub fn forgotten(&self) -> Version {
        Version(self.forgotten.load(Ordering::Acquire))
    }

    /// Forgets deletes of versions below `before`, durably. To be called only when every owner has all operations below it,
    /// and nobody has any of them to send that an owner lacks.
    pub fn forget_deletes(&self, before: Version) -> Result<(), MaintenanceError> {
        let log = {
            let _closed = self.gate.write();
            if self.is_closed() {
                return Err(MaintenanceError::Closed);
            }
            self.forgotten.fetch_max(before.0, Ordering::AcqRel);
            let tables = self.tables.read();
            // What has come before is in segments, if nothing is in memory.
            let is_flushed = tables.active.first_write.is_none() && tables.frozen.is_empty();
            if is_flushed { 0 } else { self.log.last_sequence() }
        };
        // Should that fail, operations are refused all the same, and the deletes stay.
        let log_floor = self.commit(|manifest| {
            if manifest.forgotten.before < before {
                manifest.forgotten = Forgotten { before, log };
            }
            manifest.log_floor
        })?;
        self.change_tables(log_floor, |_| ());
        self.shared.want_compaction();
        Ok(())
    }

    /// Refuses what is older than what is settled. Called with the gate held.
    pub(super) fn check_settled(&self, version: Version, origin: &Origin) -> Result<(), WriteError> {
        let before = self.forgotten();
        match origin {
            Origin::Operation { .. } if version < before => Err(WriteError::Settled { version }),
            Origin::Cells { forgotten } if *forgotten != before => Err(WriteError::ForgottenMeanwhile),
            Origin::Operation { .. } | Origin::Cells { .. } => Ok(()),
        }
    }

    /// The deletes that are remembered, of lower versions than `before`.
    pub fn deletes_before(&self, before: Version) -> Digest {
        let mut digest = Digest::default();
        for deletion in self.deletions().iter().filter(|deletion| deletion.version < before) {
            let mut bytes = Vec::new();
            deletion.encode(&mut bytes);
            digest += hash_bytes(&bytes);
        }
        digest
    }

    /// Sees to it that the manifest has every delete of a lower version than `before`, so that damage to the log cannot lose
    /// one any more.
    pub fn keep_deletes(&self, before: Version) -> Result<(), MaintenanceError> {
        let floor = self.manifest.lock().log_floor;
        let tombstones = self.tables.read().tombstones.clone();
        if tombstones.iter().any(|it| it.version < before && it.log >= floor) { self.flush() } else { Ok(()) }
    }

    /// Why no further delete can be remembered, if so. What the other owners have taken already is taken beyond that.
    pub fn refuses_deletes(&self) -> Option<WriteError> {
        let limit = self.options.deletes_max;
        let is_full = self.tables.read().tombstones.len() >= limit;
        is_full.then(|| {
            self.shared.want_compaction();
            WriteError::TooManyDeletes { limit }
        })
    }
}
