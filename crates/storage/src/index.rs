//! Which series and fields a shard has, and which series carry which tags.
//!
//! ```text
//! Index ─┬─ head     series in no file yet: rows of small numbers, dictionaries of tag values
//!        ├─ frozen   heads that a flush is writing
//!        ├─ files    immutable, mapped, queried in place
//!        ├─ retired  series dropped: no lookup finds them any more; merged files leave them out
//!        └─ fields   all of them in memory
//! ```
//!
//! Numbers ascend and are never given twice, so a snapshot is the index plus the first numbers it may not see
//! ([`Bounds`]); [`retire`] forgets series, and a key that was retired gets a new number when it is written again. The ranges of numbers of files,
//! frozen heads and head follow one another. Series are found by [`fingerprint`]; [`select`] evaluates predicates;
//! [`sketch`] estimates.
//!
//! A flush [freezes](Index::freeze) the head, [writes](Pending::write) the file without a lock, and once the manifest
//! names the file [installs](Index::install) it in the place of what it holds.

mod counts;
mod fields;
mod file;
mod fingerprint;
mod head;
mod postings;
mod retire;
mod select;
mod sketch;

use std::{path::Path, sync::Arc};

use roaring::RoaringBitmap;
use skywatch_model::FieldType;

pub(crate) use fields::TypeConflict;
pub(crate) use file::{IndexFileError, IndexFileMeta};
pub(crate) use retire::Retired;
pub(crate) use select::{count_series, select, select_ids, tag_value_count, tag_values};
pub use sketch::SeriesSketch;

use crate::{
    SeriesStamp,
    fs::{FileBytes, Fs, FsError},
    rows::{FieldId, Layout, SeriesId},
    wal::{FieldDefinition, SeriesDefinition},
    wire::Malformed,
};
use fields::Fields;
use file::{Contents, FileView, IndexFile, Opened, Source};
use fingerprint::{Fingerprint, Recent, random_seed};
use head::{Head, SortedHead};
use select::{Tag, Tagged};

/// Numbers from here on are invisible to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    pub(crate) series: u32,
    pub(crate) fields: u32,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Index {
    /// Of the fingerprints, those in the files too.
    seed: u64,
    /// Of this index alone, for as long as it is in memory.
    instance: u64,
    /// How often series were retired.
    retirements: u64,
    view: View,
    head: Head,
    fields: Fields,
    recent: Recent,
    sketch_of_files: SeriesSketch,
    /// Series known and not retired.
    series: u64,
    /// Where the files end.
    stored: Bounds,
}

impl Default for Index {
    fn default() -> Self {
        Self::with_seed(random_seed())
    }
}

/// What does not change any more; cheap to copy.
#[derive(Debug, Clone, Default)]
struct View {
    files: Arc<[Arc<IndexFile>]>,
    frozen: Arc<[Arc<Head>]>,
    retired: Arc<RoaringBitmap>,
}

/// A source of a view, by its position: files, then frozen heads.
enum SourceAt<'a> {
    File(&'a IndexFile),
    Head(&'a Head),
}

impl View {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.frozen.is_empty()
    }

    fn source(&self, position: usize) -> Option<SourceAt<'_>> {
        match self.files.get(position) {
            Some(file) => Some(SourceAt::File(file)),
            None => self.frozen.get(position - self.files.len()).map(|head| SourceAt::Head(head)),
        }
    }

    /// The source whose range of numbers a series is in.
    fn source_of(&self, id: u32) -> Option<SourceAt<'_>> {
        let at = self.files.partition_point(|file| file.range().to.series <= id);
        match self.files.get(at) {
            Some(file) => Some(SourceAt::File(file)),
            None => {
                let at = self.frozen.partition_point(|head| head.end() <= id);
                self.frozen.get(at).map(|head| SourceAt::Head(head))
            }
        }
    }

    fn append_key(&self, source: usize, id: u32, key: &mut String) {
        match self.source(source) {
            Some(SourceAt::File(file)) => drop(file.append_key(id, key)),
            Some(SourceAt::Head(head)) => drop(head.append_key(id, key)),
            None => {}
        }
    }

    /// Calls `then` with a measurement of the source at `position`, if it has it.
    fn with_measurement(&self, position: usize, name: &str, then: impl FnOnce(&dyn Tagged)) {
        match self.source(position) {
            Some(SourceAt::File(file)) => {
                if let Some(measurement) = file.measurement(name) {
                    then(&measurement);
                }
            }
            Some(SourceAt::Head(head)) => {
                if let Some(measurement) = head.measurement(name) {
                    then(&measurement);
                }
            }
            None => {}
        }
    }

    fn each_measurement(&self, name: &str, mut each: impl FnMut(usize, &dyn Tagged)) {
        for position in 0..self.files.len() + self.frozen.len() {
            self.with_measurement(position, name, |measurement| each(position, measurement));
        }
    }

    /// A tag of a measurement in every source that has it, with the end of the source's numbers.
    fn tags<'a>(&'a self, measurement: &str, key: &str) -> impl Iterator<Item = (u32, Box<dyn Tag + 'a>)> {
        let of_files = self.files.iter().filter_map(move |file| {
            Some((file.range().to.series, file.measurement(measurement)?.into_tag(key)?))
        });
        let of_heads = self
            .frozen
            .iter()
            .filter_map(move |head| Some((head.end(), head.measurement(measurement)?.into_tag(key)?)));
        of_files.chain(of_heads)
    }

    fn every_measurement(&self, each: &mut impl FnMut(&Arc<str>, &dyn Tagged)) {
        for file in self.files.iter() {
            file.all_measurements().for_each(|(name, measurement)| each(name, &measurement));
        }
        for head in self.frozen.iter() {
            head.measurements().for_each(|(name, measurement)| each(name, &measurement));
        }
    }
}

/// What [`Index::freeze`] sets aside for a file.
#[derive(Debug)]
pub(crate) struct Pending {
    view: View,
    seed: u64,
    /// All there are, by number.
    fields: Vec<FieldDefinition>,
    /// What no file holds yet.
    pub(crate) range: IndexFileMeta,
}

/// An index file written and read back.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) size_bytes: u64,
    pub(crate) range: IndexFileMeta,
    file: Arc<IndexFile>,
    frozen: usize,
}

/// Why an index file was not written.
#[derive(Debug)]
pub(crate) enum WriteIndexError {
    Io(FsError),
    /// What was read back is not what was written.
    Damaged(IndexFileError),
}

impl Pending {
    /// Writes the file of the numbers of `range`, which ends where this does and begins where this or an earlier file
    /// does. The caller syncs the directory.
    pub(crate) fn write(
        &self,
        fs: &dyn Fs,
        path: &Path,
        range: IndexFileMeta,
    ) -> Result<Written, WriteIndexError> {
        let is_merged = |file: &&Arc<IndexFile>| {
            file.range().from.series >= range.from.series && file.range().from.fields >= range.from.fields
        };
        let files = self.view.files.iter().filter(is_merged);
        let heads: Vec<SortedHead<'_>> = self.view.frozen.iter().map(|head| SortedHead::new(head)).collect();
        let mut sources: Vec<&dyn Source> = files.map(|file| &**file as &dyn Source).collect();
        sources.extend(heads.iter().map(|head| head as &dyn Source));
        let inside =
            |field: &&FieldDefinition| field.id.0 >= range.from.fields && field.id.0 < range.to.fields;
        let fields = self.fields.iter().filter(inside).cloned().collect();
        let contents = Contents { range, seed: self.seed, sources, fields, retired: &self.view.retired };
        let size_bytes = file::write(fs, path, &contents).map_err(WriteIndexError::Io)?;
        let bytes = fs.map(path).map_err(FsError::on("read", path)).map_err(WriteIndexError::Io)?;
        match file::open(bytes).map_err(WriteIndexError::Damaged)? {
            Opened::Mapped(file) if file.range() == range => {
                Ok(Written { size_bytes, range, file: Arc::new(file), frozen: self.view.frozen.len() })
            }
            Opened::Mapped(_) | Opened::Definitions(_) => {
                let reason = Malformed("another file was read back");
                Err(WriteIndexError::Damaged(IndexFileError::Damaged { offset: 0, reason }))
            }
        }
    }
}

impl Index {
    fn with_seed(seed: u64) -> Self {
        Self {
            seed,
            instance: random_seed(),
            retirements: 0,
            view: View::default(),
            head: Head::new(0),
            fields: Fields::default(),
            recent: Recent::default(),
            sketch_of_files: SeriesSketch::default(),
            series: 0,
            stored: Bounds::default(),
        }
    }

    /// The first unused numbers.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { series: self.head.end(), fields: self.fields.end() }
    }

    /// Numbers are given once and only retirement takes series away, so that these three say which there are.
    pub(crate) const fn stamp(&self, bounds: Bounds) -> SeriesStamp {
        SeriesStamp([self.instance, bounds.series as u64, self.retirements])
    }

    /// How often series or fields were retired.
    pub(crate) const fn retirements(&self) -> u64 {
        self.retirements
    }

    /// Number of series known, without those retired.
    pub(crate) const fn series_count(&self) -> u64 {
        self.series
    }

    /// An estimate of the series there have ever been; those retired leave it when their file is merged.
    pub(crate) fn sketch(&self) -> SeriesSketch {
        let mut sketch = self.head.sketch().clone();
        self.view.frozen.iter().for_each(|head| sketch.merge(head.sketch()));
        sketch.merge(&self.sketch_of_files);
        sketch
    }

    /// The series with this key.
    pub(crate) fn find_series(&self, key: &str) -> Option<SeriesId> {
        self.find(Fingerprint::of(key, self.seed)).map(SeriesId)
    }

    fn find(&self, print: Fingerprint) -> Option<u32> {
        let retired = &*self.view.retired;
        let is_live = |id: &u32| retired.is_empty() || !retired.contains(*id);
        let heads = || std::iter::once(&self.head).chain(self.view.frozen.iter().rev().map(|head| &**head));
        if let Some(id) = heads().filter_map(|head| head.find(print)).find(is_live) {
            return Some(id);
        }
        if self.view.files.is_empty() {
            return None;
        }
        if let Some(id) = self.recent.get(print) {
            return Some(id);
        }
        let id = self.view.files.iter().rev().filter_map(|file| file.find(print)).find(is_live)?;
        self.recent.put(print, id);
        Some(id)
    }

    /// The key of a series. Of a retired one only until its file is merged.
    pub(crate) fn series_key(&self, id: SeriesId) -> Option<Arc<str>> {
        let mut key = String::new();
        self.append_key(id, &mut key).then(|| key.into())
    }

    fn append_key(&self, id: SeriesId, key: &mut String) -> bool {
        match self.view.source_of(id.0) {
            Some(SourceAt::File(file)) => file.append_key(id.0, key),
            Some(SourceAt::Head(head)) => head.append_key(id.0, key),
            None => self.head.append_key(id.0, key),
        }
    }

    fn keys(&self, ids: &[u32]) -> Vec<String> {
        let key = |id: &u32| {
            let mut key = String::new();
            self.append_key(SeriesId(*id), &mut key);
            key
        };
        ids.iter().map(key).collect()
    }

    /// Calls `each` with the tags of a series, sorted by key; whether there is such a series.
    pub(crate) fn tags_of(&self, id: SeriesId, each: impl FnMut(&Arc<str>, &str)) -> bool {
        match self.view.source_of(id.0) {
            Some(SourceAt::File(file)) => file.tags_of(id.0, each),
            Some(SourceAt::Head(head)) => head.tags_of(id.0, each),
            None => self.head.tags_of(id.0, each),
        }
    }

    /// Gives the next number to a new series.
    pub(crate) fn add_series(&mut self, key: &str) -> SeriesDefinition {
        let definition = SeriesDefinition { id: SeriesId(self.head.end()), key: key.into() };
        self.insert_series(&definition);
        definition
    }

    /// Takes a definition read from a file; one already known, or retired, changes nothing.
    pub(crate) fn insert_series(&mut self, definition: &SeriesDefinition) {
        let id = definition.id;
        if id.0 < self.head.from() {
            return;
        }
        if self.is_retired(id) {
            self.head.reserve(id.0);
        } else if self.head.insert(id.0, &definition.key, Fingerprint::of(&definition.key, self.seed)) {
            self.series += 1;
        }
    }

    /// Makes sure that no number up to and including this is handed out again.
    pub(crate) fn reserve_series(&mut self, id: SeriesId) {
        self.head.reserve(id.0);
    }

    /// The definition of a field.
    pub(crate) fn field(&self, id: FieldId) -> Option<&FieldDefinition> {
        self.fields.get(id)
    }

    /// The number of a field of a measurement.
    pub(crate) fn find_field(&self, measurement: &str, name: &str) -> Option<FieldId> {
        self.fields.find(measurement, name)
    }

    /// Fields of a measurement visible within `bounds`, sorted by name.
    pub(crate) fn fields_of(&self, measurement: &str, bounds: Bounds) -> Vec<(Arc<str>, FieldType)> {
        let visible = self.fields.of(measurement).filter(|field| field.id.0 < bounds.fields);
        let mut fields: Vec<_> = visible.map(|field| (Arc::clone(&field.name), field.field_type)).collect();
        fields.sort_unstable();
        fields
    }

    /// Numbers of the fields of a measurement.
    pub(crate) fn field_ids(&self, measurement: &str) -> Vec<FieldId> {
        self.fields.of(measurement).map(|field| field.id).collect()
    }

    /// Gives the next number to a new field.
    pub(crate) fn add_field(
        &mut self,
        measurement: &str,
        name: &str,
        field_type: FieldType,
    ) -> FieldDefinition {
        self.fields.add(measurement, name, field_type)
    }

    /// As [`Self::insert_series`].
    pub(crate) fn insert_field(&mut self, definition: &FieldDefinition) {
        self.fields.insert(definition);
    }

    /// As [`Self::reserve_series`].
    pub(crate) fn reserve_field(&mut self, id: FieldId) {
        self.fields.reserve(id);
    }

    /// The layout of a list of fields of `measurement`; `Ok(None)` if some field is new.
    pub(crate) fn find_layout<'a>(
        &self,
        measurement: &str,
        fields: impl Iterator<Item = (&'a str, FieldType)>,
    ) -> Result<Option<Vec<FieldId>>, TypeConflict> {
        self.fields.find_layout(measurement, fields)
    }

    /// One shared layout for each list of fields.
    pub(crate) fn intern_layout(&mut self, fields: Vec<FieldId>) -> Arc<Layout> {
        self.fields.intern_layout(fields)
    }

    /// The layout of a list of fields if it has been interned.
    pub(crate) fn interned_layout(&self, fields: &[FieldId]) -> Option<&Arc<Layout>> {
        self.fields.interned_layout(fields)
    }

    /// Takes in a file of the numbers after those taken in so far; returns its range. Of an earlier version's the
    /// definitions are taken into memory, and so are those of all files after it.
    pub(crate) fn load(&mut self, bytes: FileBytes) -> Result<IndexFileMeta, IndexFileError> {
        let out_of_place = |reason| IndexFileError::Damaged { offset: 0, reason: Malformed(reason) };
        let file = match file::open(bytes)? {
            Opened::Definitions(definitions) => {
                definitions.fields.iter().for_each(|field| self.fields.insert(field));
                definitions.series.iter().for_each(|series| self.insert_series(series));
                return Ok(definitions.range);
            }
            Opened::Mapped(file) => file,
        };
        file.fields().iter().for_each(|field| self.fields.insert(field));
        let range = file.range();
        if self.head.end() > self.head.from() {
            let mut key = String::new();
            for id in range.from.series..range.to.series {
                key.clear();
                if file.append_key(id, &mut key) {
                    self.insert_series(&SeriesDefinition { id: SeriesId(id), key: key.as_str().into() });
                }
            }
            return Ok(range);
        }
        if range.from != self.stored || range.to.series < range.from.series {
            return Err(out_of_place("does not begin where the file before it ends"));
        }
        if self.view.files.is_empty() {
            self.seed = file.seed();
        } else if self.seed != file.seed() {
            return Err(out_of_place("belongs to another index"));
        }
        let retired = |(_, measurement): (_, FileView<'_>)| -> u64 {
            measurement.tables().iter().map(|(_, ids)| ids.intersection_len(&self.view.retired)).sum()
        };
        let retired: u64 =
            if self.view.retired.is_empty() { 0 } else { file.all_measurements().map(retired).sum() };
        self.series += u64::from(file.series()) - retired;
        self.view.files = self.view.files.iter().cloned().chain([Arc::new(file)]).collect();
        self.head = Head::new(range.to.series);
        self.stored = range.to;
        self.files_changed();
        Ok(range)
    }

    /// What one file holds, wherever its numbers begin.
    pub(crate) fn of_file(bytes: FileBytes) -> Result<(Self, IndexFileMeta), IndexFileError> {
        let mut index = Self::default();
        if let Opened::Mapped(file) = file::open(bytes.clone())? {
            index.stored = file.range().from;
            index.head = Head::new(index.stored.series);
        }
        let range = index.load(bytes)?;
        Ok((index, range))
    }

    /// Follows a change of the files.
    fn files_changed(&mut self) {
        self.sketch_of_files = SeriesSketch::default();
        self.view.files.iter().for_each(|file| self.sketch_of_files.merge(&file.sketch()));
        let recent = Recent::for_series(self.view.files.iter().map(|file| u64::from(file.series())).sum());
        if recent.capacity() != self.recent.capacity() {
            self.recent = recent;
        }
    }

    /// Sets aside what no file holds, to be written; `None` if there is nothing. What was set aside before and not
    /// installed is part of it.
    pub(crate) fn freeze(&mut self) -> Option<Pending> {
        let range = IndexFileMeta { from: self.stored, to: self.bounds() };
        if range.from == range.to {
            return None;
        }
        if self.head.end() > self.head.from() {
            let head = std::mem::replace(&mut self.head, Head::new(range.to.series));
            self.view.frozen = self.view.frozen.iter().cloned().chain([Arc::new(head)]).collect();
        }
        let fields = (0..self.fields.end()).filter_map(|id| self.fields.get(FieldId(id)).cloned()).collect();
        Some(Pending { view: self.view.clone(), seed: self.seed, fields, range })
    }

    /// Takes a file that the manifest names now in the place of what it holds.
    pub(crate) fn install(&mut self, written: Written) {
        let Written { range, file, frozen, .. } = written;
        let is_before = |file: &&Arc<IndexFile>| {
            file.range().to.series <= range.from.series && file.range().to.fields <= range.from.fields
        };
        self.view.files = self.view.files.iter().filter(is_before).cloned().chain([file]).collect();
        self.view.frozen = self.view.frozen.iter().skip(frozen).cloned().collect();
        self.stored = range.to;
        self.files_changed();
    }
}

#[cfg(test)]
mod tests;
