//! Fields of another owner that this one does not list: of such no cell is left, but their measurement has series.
//!
//! Owners whose cells and deletes are alike take in what only the other lists. Of two types of one field the lesser one stays
//! where no cell says which is right, so that all end with the same. What an owner has dropped since it asked must not come back
//! with the answer: so it says how often it had dropped something ([`Shard::retirements`]) when it began.

use std::sync::Arc;

use skywatch_model::Version;

use super::{
    Shard,
    types::{Claim, Contested, other_type},
};
use crate::{WriteError, digest::Digest, fields::ListedField, wal::FieldDefinition};

impl Shard {
    /// All fields of measurements that have series, by measurement and name.
    pub fn listed_fields(&self) -> Vec<ListedField> {
        let index = self.index.read();
        let bounds = index.bounds();
        let of = |measurement: Arc<str>| {
            let fields = index.fields_of(&measurement, bounds).into_iter();
            let listed = move |(name, field_type)| {
                let measurement = Arc::clone(&measurement);
                ListedField { measurement, name, field_type }
            };
            fields.map(listed)
        };
        index.measurement_names(bounds).into_iter().flat_map(of).collect()
    }

    /// The same in a number.
    pub fn fields_digest(&self) -> Digest {
        let mut digest = Digest::default();
        self.listed_fields().iter().for_each(|field| digest += field.digest());
        digest
    }

    /// How often series or fields have been dropped since the shard was opened.
    pub fn retirements(&self) -> u64 {
        self.index.read().retirements()
    }

    /// Takes in, durably, those fields of another owner that are not listed here; how many. `seen` is what
    /// [`Self::retirements`] was before that owner was asked: if something has been dropped since, or has to give way first,
    /// nothing is taken in, and that owner has to be asked anew.
    pub fn adopt_fields(&self, fields: &[ListedField], seen: u64) -> Result<u64, WriteError> {
        let contested = self.contested_by_fields(fields);
        if self.retirements() != seen || (!contested.is_empty() && self.give_way(&contested)?) {
            return Ok(0);
        }
        let _open = self.gate.read();
        self.check_open()?;
        let mut new: Vec<FieldDefinition> = Vec::new();
        {
            let mut index = self.index.write();
            if index.retirements() != seen {
                return Ok(0);
            }
            let here = index.measurement_names(index.bounds());
            for ListedField { measurement, name, field_type } in fields {
                let is_here = here.binary_search(measurement).is_ok();
                if is_here && index.find_field(measurement, name).is_none() {
                    new.push(index.add_field(measurement, name, *field_type));
                }
            }
            if new.is_empty() {
                return Ok(0);
            }
            self.log.define(Vec::new(), new.clone());
        }
        let position = self.log.append_queued()?;
        self.log.wait(position)?;
        Ok(new.len() as u64)
    }

    /// Fields that another owner lists with a lesser type.
    fn contested_by_fields(&self, fields: &[ListedField]) -> Contested {
        let index = self.index.read();
        let claim = |field: &ListedField| {
            let ListedField { measurement, name, field_type } = field;
            let id = other_type(&index, (measurement, name), *field_type)?;
            let is_lesser = (*field_type as u8) < index.field(id)?.field_type as u8;
            // Any cell is older.
            let claim = Claim { version: Version(u64::MAX), wins_ties: true, field_type: *field_type };
            is_lesser.then_some((id, claim))
        };
        fields.iter().filter_map(claim).collect()
    }
}
