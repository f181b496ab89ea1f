//! The fields of a shard: few next to its series, so all of them are in memory.

use std::sync::Arc;

use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;
use skywatch_model::FieldType;

use crate::{
    rows::{FieldId, Layout},
    wal::FieldDefinition,
};

/// More sets of fields than this are not remembered.
const MAX_LAYOUTS: usize = 4096;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// By number; `None` for numbers lost with a damaged file, or retired.
    definitions: Vec<Option<FieldDefinition>>,
    by_name: FxHashMap<Arc<str>, FxHashMap<Arc<str>, FieldId>>,
    layouts: FxHashMap<Box<[FieldId]>, Arc<Layout>>,
    retired: RoaringBitmap,
}

/// A field whose type differs from the one it has in the shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "field type conflict: input field \"{field}\" on measurement \"{measurement}\" is type {}, already exists as type {}",
    input.name(),
    existing.name()
)]
pub(crate) struct TypeConflict {
    pub(crate) measurement: String,
    pub(crate) field: String,
    pub(crate) input: FieldType,
    pub(crate) existing: FieldType,
}

impl Fields {
    /// The first unused number.
    pub(super) fn end(&self) -> u32 {
        self.definitions.len() as u32
    }

    pub(super) fn get(&self, id: FieldId) -> Option<&FieldDefinition> {
        self.definitions.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn find(&self, measurement: &str, name: &str) -> Option<FieldId> {
        self.by_name.get(measurement)?.get(name).copied()
    }

    pub(super) fn of(&self, measurement: &str) -> impl Iterator<Item = &FieldDefinition> {
        let known = self.by_name.get(measurement).into_iter().flat_map(FxHashMap::values);
        known.filter_map(|id| self.get(*id))
    }

    /// Takes a definition; one already known, or retired, changes nothing.
    pub(super) fn insert(&mut self, definition: &FieldDefinition) {
        let id = definition.id;
        self.reserve(id);
        if self.get(id).is_some() || self.retired.contains(id.0) {
            return;
        }
        let of_measurement = self.by_name.entry(Arc::clone(&definition.measurement)).or_default();
        of_measurement.insert(Arc::clone(&definition.name), id);
        self.definitions[id.0 as usize] = Some(definition.clone());
    }

    pub(super) fn add(&mut self, measurement: &str, name: &str, field_type: FieldType) -> FieldDefinition {
        let known = self.by_name.get_key_value(measurement);
        let measurement = known.map_or_else(|| measurement.into(), |(name, _)| Arc::clone(name));
        let definition =
            FieldDefinition { id: FieldId(self.end()), measurement, name: name.into(), field_type };
        self.insert(&definition);
        definition
    }

    pub(super) fn reserve(&mut self, id: FieldId) {
        if self.end() <= id.0 {
            self.definitions.resize_with(id.0 as usize + 1, || None);
        }
    }

    pub(super) const fn retired(&self) -> &RoaringBitmap {
        &self.retired
    }

    pub(super) fn retire(&mut self, fields: &RoaringBitmap) {
        self.retired |= fields;
        for id in fields {
            let Some(field) = self.definitions.get_mut(id as usize).and_then(Option::take) else { continue };
            let Some(known) = self.by_name.get_mut(&field.measurement) else { continue };
            known.retain(|_, known| known.0 != id);
            if known.is_empty() {
                self.by_name.remove(&field.measurement);
            }
        }
    }

    /// The numbers of a list of fields of `measurement`; `Ok(None)` if some field is new.
    pub(super) fn find_layout<'a>(
        &self,
        measurement: &str,
        fields: impl Iterator<Item = (&'a str, FieldType)>,
    ) -> Result<Option<Vec<FieldId>>, TypeConflict> {
        let known = self.by_name.get(measurement);
        let mut ids = Vec::with_capacity(fields.size_hint().0);
        let mut all_known = true;
        for (name, input) in fields {
            let Some(id) = known.and_then(|known| known.get(name)) else {
                all_known = false;
                continue;
            };
            let existing = self.get(*id).map_or(input, |field| field.field_type);
            if existing != input {
                let (measurement, field) = (measurement.to_owned(), name.to_owned());
                return Err(TypeConflict { measurement, field, input, existing });
            }
            ids.push(*id);
        }
        Ok(all_known.then_some(ids))
    }

    /// One shared layout for each list of fields.
    pub(super) fn intern_layout(&mut self, fields: Vec<FieldId>) -> Arc<Layout> {
        if let Some(layout) = self.layouts.get(fields.as_slice()) {
            return Arc::clone(layout);
        }
        let types = fields
            .iter()
            .map(|id| self.get(*id).map_or(FieldType::Float, |field| field.field_type))
            .collect();
        let layout = Arc::new(Layout { fields: fields.clone().into(), types });
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.insert(fields.into(), Arc::clone(&layout));
        layout
    }

    pub(super) fn interned_layout(&self, fields: &[FieldId]) -> Option<&Arc<Layout>> {
        self.layouts.get(fields)
    }
}
