//! Which series and fields a shard has, and which series carry which tags.
//!
//! Numbers ascend and are never given twice, so a snapshot is the index plus the first numbers it may not see
//! ([`Bounds`]). Dropped series are *retired*: no lookup finds them any more, and their key, should it be written
//! again, gets a new number. [`mod@file`] persists ranges of numbers; [`select`] evaluates predicates.

mod file;
mod postings;
mod select;
mod sketch;

use std::sync::Arc;

use hashbrown::{HashMap, HashTable, hash_map::EntryRef};
use roaring::RoaringBitmap;
use rustc_hash::{FxBuildHasher, FxHashMap};
use skywatch_model::{
    FieldType,
    series::{fnv1a64, parse_key},
};

pub(crate) use file::{IndexFileError, IndexFileMeta, decode as decode_file, encode as encode_file};
use postings::Postings;
pub use sketch::SeriesSketch;

use crate::{
    rows::{FieldId, Layout, SeriesId},
    wal::{FieldDefinition, SeriesDefinition},
};

/// Numbers from here on are invisible to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    pub(crate) series: u32,
    pub(crate) fields: u32,
}

/// More sets of fields than this are not remembered.
const MAX_LAYOUTS: usize = 4096;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By number; `None` for numbers whose definition was lost with a damaged file.
    series: Vec<Option<Series>>,
    by_key: HashTable<KeySlot>,
    measurements: Vec<Measurement>,
    by_name: FxHashMap<Arc<str>, u32>,
    /// By number, as `series`.
    fields: Vec<Option<FieldDefinition>>,
    layouts: FxHashMap<Box<[FieldId]>, Arc<Layout>>,
    retired: RoaringBitmap,
    sketch: SeriesSketch,
}

#[derive(Debug)]
struct Series {
    key: Arc<str>,
    measurement: u32,
}

/// Half of the key's hash beside the number, so that growing the table reads no keys.
#[derive(Debug, Clone, Copy)]
struct KeySlot {
    hash: u32,
    id: u32,
}

impl KeySlot {
    /// Spreads 32 bits over the 64 the table wants.
    fn table_hash(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// One measurement of the shard.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) name: Arc<str>,
    series: RoaringBitmap,
    tags: HashMap<Arc<str>, TagKey, FxBuildHasher>,
    fields: FxHashMap<Arc<str>, FieldId>,
}

#[derive(Debug, Default)]
struct TagKey {
    /// Series that have the tag, whatever its value.
    present: RoaringBitmap,
    values: HashMap<Arc<str>, Postings, FxBuildHasher>,
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

impl Index {
    /// The first unused numbers.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { series: self.series.len() as u32, fields: self.fields.len() as u32 }
    }

    /// Number of series known.
    pub(crate) fn series_count(&self) -> usize {
        self.by_key.len()
    }

    /// The series with this key, of which `hash` is the FNV-1a 64.
    pub(crate) fn find_series(&self, key: &str, hash: u64) -> Option<SeriesId> {
        let hash = hash as u32;
        let is_it = |slot: &KeySlot| {
            slot.hash == hash
                && self.series[slot.id as usize].as_ref().is_some_and(|series| &*series.key == key)
        };
        self.by_key.find(KeySlot::table_hash(hash), is_it).map(|slot| SeriesId(slot.id))
    }

    /// Takes series out of every lookup, whatever file or record may still define them. A measurement left without
    /// series loses its fields, so that their names may come back with other types; returns the numbers of those.
    pub(crate) fn retire_series(&mut self, series: &RoaringBitmap) -> RoaringBitmap {
        let gone = series - &self.retired;
        self.retired |= series;
        for id in &gone {
            let Some(Some(entry)) = self.series.get(id as usize) else { continue };
            let hash = KeySlot::table_hash(fnv1a64(entry.key.as_bytes()) as u32);
            if let Ok(slot) = self.by_key.find_entry(hash, |slot| slot.id == id) {
                slot.remove();
            }
        }
        let mut fields = RoaringBitmap::new();
        for measurement in &mut self.measurements {
            if measurement.retire(&gone) && measurement.series.is_empty() {
                fields.extend(measurement.fields.values().map(|id| id.0));
            }
        }
        self.retire_fields(&fields);
        fields
    }

    /// Takes fields out of every lookup: their names are free for other types.
    pub(crate) fn retire_fields(&mut self, fields: &RoaringBitmap) {
        for id in fields {
            let Some(field) = self.fields.get_mut(id as usize).and_then(Option::take) else { continue };
            if let Some(index) = self.by_name.get(&field.measurement) {
                self.measurements[*index as usize].fields.retain(|_, known| known.0 != id);
            }
        }
    }

    /// Whether a series has been retired.
    pub(crate) fn is_retired(&self, id: SeriesId) -> bool {
        self.retired.contains(id.0)
    }

    /// An estimate of the series there have ever been, retired ones included.
    pub(crate) const fn sketch(&self) -> &SeriesSketch {
        &self.sketch
    }

    /// The key of a series.
    pub(crate) fn series_key(&self, id: SeriesId) -> Option<&Arc<str>> {
        self.series.get(id.0 as usize)?.as_ref().map(|series| &series.key)
    }

    /// The measurement of a series.
    pub(crate) fn measurement_of(&self, id: SeriesId) -> Option<&Measurement> {
        let series = self.series.get(id.0 as usize)?.as_ref()?;
        self.measurements.get(series.measurement as usize)
    }

    /// The definition of a field.
    pub(crate) fn field(&self, id: FieldId) -> Option<&FieldDefinition> {
        self.fields.get(id.0 as usize)?.as_ref()
    }

    /// The measurement of that name.
    pub(crate) fn measurement(&self, name: &str) -> Option<&Measurement> {
        self.measurements.get(*self.by_name.get(name)? as usize)
    }

    /// The layout of a list of fields of `measurement`; `Ok(None)` if some field is new.
    pub(crate) fn find_layout<'a>(
        &self,
        measurement: &str,
        fields: impl Iterator<Item = (&'a str, FieldType)>,
    ) -> Result<Option<Vec<FieldId>>, TypeConflict> {
        let known = self.measurement(measurement);
        let mut ids = Vec::with_capacity(fields.size_hint().0);
        let mut all_known = true;
        for (name, input) in fields {
            let Some(id) = known.and_then(|known| known.fields.get(name)) else {
                all_known = false;
                continue;
            };
            let existing = self.field(*id).map_or(input, |field| field.field_type);
            if existing != input {
                let (measurement, field) = (measurement.to_owned(), name.to_owned());
                return Err(TypeConflict { measurement, field, input, existing });
            }
            ids.push(*id);
        }
        Ok(all_known.then_some(ids))
    }

    /// One shared layout for each list of fields.
    pub(crate) fn intern_layout(&mut self, fields: Vec<FieldId>) -> Arc<Layout> {
        if let Some(layout) = self.layouts.get(fields.as_slice()) {
            return Arc::clone(layout);
        }
        let types = fields
            .iter()
            .map(|id| self.field(*id).map_or(FieldType::Float, |field| field.field_type))
            .collect();
        let layout = Arc::new(Layout { fields: fields.clone().into(), types });
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.insert(fields.into(), Arc::clone(&layout));
        layout
    }

    /// The layout of a list of fields if it has been interned.
    pub(crate) fn interned_layout(&self, fields: &[FieldId]) -> Option<&Arc<Layout>> {
        self.layouts.get(fields)
    }

    /// Gives the next number to a new series.
    pub(crate) fn add_series(&mut self, key: &str, hash: u64) -> SeriesDefinition {
        let definition = SeriesDefinition { id: SeriesId(self.series.len() as u32), key: key.into() };
        self.insert_series(&definition, hash);
        definition
    }

    /// Gives the next number to a new field.
    pub(crate) fn add_field(
        &mut self,
        measurement: &str,
        name: &str,
        field_type: FieldType,
    ) -> FieldDefinition {
        let id = FieldId(self.fields.len() as u32);
        let measurement = self.measurement_entry(measurement);
        let measurement = Arc::clone(&self.measurements[measurement as usize].name);
        let definition = FieldDefinition { id, measurement, name: name.into(), field_type };
        self.insert_field(&definition);
        definition
    }

    /// Takes a definition read from a file; one already known changes nothing.
    pub(crate) fn insert_series(&mut self, definition: &SeriesDefinition, hash: u64) {
        let id = definition.id.0;
        if self.series_key(definition.id).is_some() || self.is_retired(definition.id) {
            return;
        }
        if self.series.len() <= id as usize {
            self.series.resize_with(id as usize + 1, || None);
        }
        let (name, tags) = parse_key(&definition.key);
        let measurement = self.measurement_entry(&name);
        let entry = &mut self.measurements[measurement as usize];
        entry.series.insert(id);
        for (key, value) in tags {
            entry.tag_entry(&key).add(&value, id);
        }
        self.enter_series(definition, measurement, hash);
    }

    /// Enters a series everywhere but under its tags.
    fn enter_series(&mut self, definition: &SeriesDefinition, measurement: u32, hash: u64) {
        let id = definition.id.0;
        self.sketch.insert(&definition.key);
        self.series[id as usize] = Some(Series { key: Arc::clone(&definition.key), measurement });
        let slot = KeySlot { hash: hash as u32, id };
        self.by_key
            .insert_unique(KeySlot::table_hash(slot.hash), slot, |slot| KeySlot::table_hash(slot.hash));
    }

    /// As [`Self::insert_series`].
    pub(crate) fn insert_field(&mut self, definition: &FieldDefinition) {
        let id = definition.id;
        if self.field(id).is_some() {
            return;
        }
        if self.fields.len() <= id.0 as usize {
            self.fields.resize_with(id.0 as usize + 1, || None);
        }
        let measurement = self.measurement_entry(&definition.measurement);
        self.measurements[measurement as usize].fields.insert(Arc::clone(&definition.name), id);
        self.fields[id.0 as usize] = Some(definition.clone());
    }

    /// Makes sure that no number up to and including these is handed out again.
    pub(crate) fn reserve_series(&mut self, id: SeriesId) {
        if self.series.len() <= id.0 as usize {
            self.series.resize_with(id.0 as usize + 1, || None);
        }
    }

    /// As [`Self::reserve_series`].
    pub(crate) fn reserve_field(&mut self, id: FieldId) {
        if self.fields.len() <= id.0 as usize {
            self.fields.resize_with(id.0 as usize + 1, || None);
        }
    }

    fn measurement_entry(&mut self, name: &str) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let name: Arc<str> = name.into();
        let index = self.measurements.len() as u32;
        self.measurements.push(Measurement {
            name: Arc::clone(&name),
            series: RoaringBitmap::new(),
            tags: HashMap::default(),
            fields: FxHashMap::default(),
        });
        self.by_name.insert(name, index);
        index
    }

    /// Names of the measurements visible within `bounds`, sorted.
    pub(crate) fn measurement_names(&self, bounds: Bounds) -> Vec<Arc<str>> {
        let visible =
            |measurement: &&Measurement| measurement.series.min().is_some_and(|id| id < bounds.series);
        let mut names: Vec<_> =
            self.measurements.iter().filter(visible).map(|known| Arc::clone(&known.name)).collect();
        names.sort_unstable();
        names
    }

    /// Fields of a measurement visible within `bounds`, sorted by name.
    pub(crate) fn fields_of(&self, measurement: &str, bounds: Bounds) -> Vec<(Arc<str>, FieldType)> {
        let Some(measurement) = self.measurement(measurement) else {
            return Vec::new();
        };
        let visible = measurement.fields.values().filter(|id| id.0 < bounds.fields);
        let fields = visible.filter_map(|id| self.field(*id));
        let mut fields: Vec<_> = fields.map(|field| (Arc::clone(&field.name), field.field_type)).collect();
        fields.sort_unstable();
        fields
    }
}

impl Measurement {
    /// Takes series out; whether any of them was here.
    fn retire(&mut self, gone: &RoaringBitmap) -> bool {
        if self.series.is_disjoint(gone) {
            return false;
        }
        self.series -= gone;
        self.tags.retain(|_, tag| {
            tag.present -= gone;
            tag.values.retain(|_, postings| postings.retire(gone));
            !tag.values.is_empty()
        });
        true
    }

    /// The number of a field.
    pub(crate) fn field(&self, name: &str) -> Option<FieldId> {
        self.fields.get(name).copied()
    }

    fn tag_entry(&mut self, key: &str) -> &mut TagKey {
        match self.tags.entry_ref(key) {
            EntryRef::Occupied(tag) => tag.into_mut(),
            EntryRef::Vacant(vacant) => vacant.insert_with_key(key.into(), TagKey::default()),
        }
    }
}

impl TagKey {
    fn add(&mut self, value: &str, id: u32) {
        self.present.insert(id);
        match self.values.get_mut(value) {
            Some(postings) => postings.add(id),
            None => {
                self.values.insert(value.into(), Postings::One(id));
            }
        }
    }
}

#[cfg(test)]
mod tests;
