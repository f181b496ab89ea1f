//! The series that are in no file yet, in memory.
//!
//! ```text
//! number ──> place: table, row             table: one for each list of tag keys of a measurement
//! fingerprint ──> number                   row:   one number of a value for each tag key
//! measurement ──> tag key ──> dictionary   value <──> number; value ──> series
//! ```
//!
//! A series is thus a dozen small numbers; its key is put together from the dictionaries when somebody asks.

mod dictionary;
mod order;
mod sorted;

use std::{ops::Range, sync::Arc};

use hashbrown::HashTable;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;
use skywatch_model::series::{append_measurement, append_tag, parse_key};

use super::{
    fingerprint::Fingerprint,
    select::{Tag, Tagged},
    sketch::SeriesSketch,
};
use dictionary::Dictionary;
pub(super) use sorted::SortedHead;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Head {
    from: u32,
    /// By number less `from`.
    places: Vec<Place>,
    numbers: HashTable<Slot>,
    measurements: Vec<HeadMeasurement>,
    by_name: FxHashMap<Arc<str>, u32>,
    tables: Vec<Table>,
    sketch: SeriesSketch,
    /// Where the values stand in the key being added; kept to be filled again.
    spans: Vec<Range<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// [`Place::NOWHERE`] for numbers whose definition was lost with a damaged file, or never came.
    table: u32,
    row: u32,
}

impl Place {
    const NOWHERE: u32 = u32::MAX;
    const NONE: Self = Self { table: Self::NOWHERE, row: 0 };
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    high: u64,
    low: u32,
    id: u32,
}

#[derive(Debug)]
pub(super) struct HeadMeasurement {
    name: Arc<str>,
    tags: Vec<HeadTag>,
    by_key: FxHashMap<Arc<str>, u32>,
    by_tags: FxHashMap<Box<[u32]>, u32>,
    /// Of the latest series: the best guess for the next.
    latest_table: u32,
}

#[derive(Debug)]
struct HeadTag {
    key: Arc<str>,
    dictionary: Dictionary,
}

#[derive(Debug)]
struct Table {
    measurement: u32,
    /// Positions of its tags in the measurement, in the order they have in the key.
    tags: Box<[u32]>,
    /// `,key=` as in the key, for each of the tags.
    prefixes: Box<[Box<str>]>,
    /// Numbers of the values, row by row.
    values: Vec<u32>,
    rows: u32,
    series: RoaringBitmap,
}

impl Table {
    fn row(&self, row: u32) -> &[u32] {
        let width = self.tags.len();
        &self.values[row as usize * width..][..width]
    }
}

impl Head {
    /// Of series numbered from `from`.
    pub(super) fn new(from: u32) -> Self {
        Self {
            from,
            places: Vec::new(),
            numbers: HashTable::new(),
            measurements: Vec::new(),
            by_name: FxHashMap::default(),
            tables: Vec::new(),
            sketch: SeriesSketch::default(),
            spans: Vec::new(),
        }
    }

    /// The first number.
    pub(super) const fn from(&self) -> u32 {
        self.from
    }

    /// The first unused number.
    pub(super) fn end(&self) -> u32 {
        self.from + self.places.len() as u32
    }

    pub(super) const fn sketch(&self) -> &SeriesSketch {
        &self.sketch
    }

    pub(super) fn find(&self, print: Fingerprint) -> Option<u32> {
        let is_it = |slot: &Slot| slot.high == print.high && slot.low == print.low;
        self.numbers.find(print.high, is_it).map(|slot| slot.id)
    }

    /// Makes sure that no number up to and including `id` is handed out again.
    pub(super) fn reserve(&mut self, id: u32) {
        if id >= self.end() {
            self.places.resize((id - self.from) as usize + 1, Place::NONE);
        }
    }

    /// Adds a series, of a number from `from` on. One already there changes nothing; whether it was not.
    pub(super) fn insert(&mut self, id: u32, key: &str, print: Fingerprint) -> bool {
        assert!(id >= self.from, "series {id} belongs to a file");
        if self.place(id).is_some() {
            return false;
        }
        self.reserve(id);
        let mut spans = std::mem::take(&mut self.spans);
        let table = self.fitting_table(key, &mut spans);
        let row = if let Some(table) = table {
            self.add_row(table, id, spans.iter().map(|span| &key[span.clone()]))
        } else {
            let (name, tags) = parse_key(key);
            let table = self.table_for(&name, tags.iter().map(|(key, _)| &**key));
            self.add_row(table, id, tags.iter().map(|(_, value)| &**value))
        };
        self.spans = spans;
        self.places[(id - self.from) as usize] = row;
        self.sketch.insert(key);
        let slot = Slot { high: print.high, low: print.low, id };
        let is_it = |slot: &Slot| slot.high == print.high && slot.low == print.low;
        // Only a series whose key was retired and came back is met twice: the later number is the one in use.
        self.numbers
            .entry(print.high, is_it, |slot| slot.high)
            .and_modify(|slot| slot.id = slot.id.max(id))
            .or_insert(slot);
        true
    }

    /// The table of the latest series of the key's measurement, if the key has the same tags; and where its values
    /// are. Not for keys with escapes.
    fn fitting_table(&self, key: &str, spans: &mut Vec<Range<usize>>) -> Option<u32> {
        let bytes = key.as_bytes();
        if memchr::memchr(b'\\', bytes).is_some() {
            return None;
        }
        let mut at = memchr::memchr(b',', bytes).unwrap_or(bytes.len());
        let measurement = &self.measurements[*self.by_name.get(&key[..at])? as usize];
        let table = &self.tables[measurement.latest_table as usize];
        spans.clear();
        for prefix in &table.prefixes {
            if !bytes[at..].starts_with(prefix.as_bytes()) {
                return None;
            }
            let start = at + prefix.len();
            at = memchr::memchr(b',', &bytes[start..]).map_or(bytes.len(), |len| start + len);
            spans.push(start..at);
        }
        (at == bytes.len()).then_some(measurement.latest_table)
    }

    fn table_for<'a>(&mut self, name: &str, keys: impl Iterator<Item = &'a str>) -> u32 {
        let index = self.by_name.get(name).copied().unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            self.by_name.insert(Arc::clone(&name), self.measurements.len() as u32);
            self.measurements.push(HeadMeasurement {
                name,
                tags: Vec::new(),
                by_key: FxHashMap::default(),
                by_tags: FxHashMap::default(),
                latest_table: 0,
            });
            self.measurements.len() as u32 - 1
        });
        let measurement = &mut self.measurements[index as usize];
        let tags: Box<[u32]> = keys.map(|key| measurement.tag_number(key)).collect();
        let table = measurement.by_tags.get(&tags).copied().unwrap_or_else(|| {
            let prefix = |tag: &u32| {
                let mut prefix = String::new();
                append_tag(&mut prefix, &measurement.tags[*tag as usize].key, "");
                prefix.into_boxed_str()
            };
            let prefixes = tags.iter().map(prefix).collect();
            measurement.by_tags.insert(tags.clone(), self.tables.len() as u32);
            self.tables.push(Table {
                measurement: index,
                tags,
                prefixes,
                values: Vec::new(),
                rows: 0,
                series: RoaringBitmap::new(),
            });
            self.tables.len() as u32 - 1
        });
        measurement.latest_table = table;
        table
    }

    fn add_row<'a>(&mut self, number: u32, id: u32, values: impl Iterator<Item = &'a str>) -> Place {
        let table = &mut self.tables[number as usize];
        let measurement = &mut self.measurements[table.measurement as usize];
        for (tag, value) in table.tags.iter().zip(values) {
            table.values.push(measurement.tags[*tag as usize].dictionary.add(value, id));
        }
        table.series.insert(id);
        table.rows += 1;
        Place { table: number, row: table.rows - 1 }
    }

    fn place(&self, id: u32) -> Option<Place> {
        let place = *self.places.get(id.checked_sub(self.from)? as usize)?;
        (place.table != Place::NOWHERE).then_some(place)
    }

    /// The measurement of a series.
    pub(super) fn measurement_of(&self, id: u32) -> Option<&Arc<str>> {
        let table = &self.tables[self.place(id)?.table as usize];
        Some(&self.measurements[table.measurement as usize].name)
    }

    /// Appends the key of a series; whether there is such a series.
    pub(super) fn append_key(&self, id: u32, key: &mut String) -> bool {
        let Some(name) = self.measurement_of(id) else { return false };
        append_measurement(key, name);
        self.tags_of(id, |tag, value| append_tag(key, tag, value))
    }

    /// Calls `each` with the tags of a series in the order of its key; whether there is such a series.
    pub(super) fn tags_of(&self, id: u32, mut each: impl FnMut(&Arc<str>, &str)) -> bool {
        let Some(place) = self.place(id) else { return false };
        let table = &self.tables[place.table as usize];
        let measurement = &self.measurements[table.measurement as usize];
        for (tag, value) in table.tags.iter().zip(table.row(place.row)) {
            let tag = &measurement.tags[*tag as usize];
            each(&tag.key, tag.dictionary.text(*value));
        }
        true
    }

    /// The measurement of that name.
    pub(super) fn measurement(&self, name: &str) -> Option<HeadView<'_>> {
        let index = *self.by_name.get(name)?;
        Some(HeadView { head: self, measurement: &self.measurements[index as usize] })
    }

    /// All measurements, in no order.
    pub(super) fn measurements(&self) -> impl Iterator<Item = (&Arc<str>, HeadView<'_>)> {
        self.measurements.iter().map(|measurement| (&measurement.name, HeadView { head: self, measurement }))
    }
}

impl HeadMeasurement {
    fn tag_number(&mut self, key: &str) -> u32 {
        if let Some(number) = self.by_key.get(key) {
            return *number;
        }
        let key: Arc<str> = key.into();
        let number = self.tags.len() as u32;
        self.by_key.insert(Arc::clone(&key), number);
        self.tags.push(HeadTag { key, dictionary: Dictionary::default() });
        number
    }
}

/// A measurement of the head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadView<'a> {
    head: &'a Head,
    measurement: &'a HeadMeasurement,
}

impl<'a> HeadView<'a> {
    /// A tag of it.
    pub(super) fn into_tag(self, key: &str) -> Option<Box<dyn Tag + 'a>> {
        let tag = self.measurement.by_key.get(key)?;
        Some(Box::new(&self.measurement.tags[*tag as usize].dictionary))
    }

    fn tables(&self) -> impl Iterator<Item = &'a Table> {
        let mut numbers: Vec<u32> = self.measurement.by_tags.values().copied().collect();
        numbers.sort_unstable();
        let head = self.head;
        numbers.into_iter().map(move |number| &head.tables[number as usize])
    }

    /// The texts of a tag's values, to be matched without a lock: all of them, and where each ends.
    pub(super) fn texts(&self, key: &str) -> Option<(String, Vec<u32>)> {
        let tag = self.measurement.by_key.get(key)?;
        Some(self.measurement.tags[*tag as usize].dictionary.texts())
    }
}

impl Tagged for HeadView<'_> {
    fn series(&self) -> RoaringBitmap {
        self.tables().fold(RoaringBitmap::new(), |all, table| all | &table.series)
    }

    fn without(&self, key: &str) -> RoaringBitmap {
        let tag = self.measurement.by_key.get(key);
        let lacks_it = |table: &&Table| tag.is_none_or(|tag| !table.tags.contains(tag));
        self.tables().filter(lacks_it).fold(RoaringBitmap::new(), |all, table| all | &table.series)
    }

    fn tag(&self, key: &str) -> Option<Box<dyn Tag + '_>> {
        self.into_tag(key)
    }

    fn tables(&self) -> Vec<(Vec<Arc<str>>, RoaringBitmap)> {
        let key = |tag: &u32| Arc::clone(&self.measurement.tags[*tag as usize].key);
        Self::tables(self).map(|table| (table.tags.iter().map(key).collect(), table.series.clone())).collect()
    }

    fn sort(&self, series: &RoaringBitmap) -> Vec<Vec<u32>> {
        let mut runs: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for id in series {
            if let Some(place) = self.head.place(id) {
                runs.entry(place.table).or_default().push(id);
            }
        }
        let mut runs: Vec<(u32, Vec<u32>)> = runs.into_iter().collect();
        runs.sort_unstable_by_key(|(table, _)| *table);
        runs.into_iter().map(|(table, ids)| self.head.sort_by_key(table, &ids)).collect()
    }
}
