//! Answers from a mapped file. All of its bytes are checked once, when it is opened, a mebibyte at a time, and then
//! leave memory until they are asked for; only the catalog (names, tag keys, places) is kept.
//!
//! What a checksum has confirmed is read without errors: a number that leads nowhere gives an empty answer.

mod layout;
mod view;

use std::{ops::Range, sync::Arc};

use roaring::RoaringBitmap;
use skywatch_model::series::{append_measurement, append_tag};

pub(super) use layout::{value_width, version_of};
pub(in crate::index) use view::FileView;

use super::{
    BITMAP, FINGERPRINT_LEN, HEADER_LEN, IndexFileError, IndexFileMeta, NO_SLOT, Source, TRAILER_LEN,
};
use crate::{
    codec::text::take_compressed,
    fs::FileBytes,
    index::{fingerprint::Fingerprint, sketch::SeriesSketch},
    wal::FieldDefinition,
    wire::{Malformed, Reader},
};
use layout::{
    FileMeasurement, FileTable, FileTag, Trailer, check_blocks, read_header, skip_sketch_and_fields,
    take_measurement,
};

/// See the module's header.
#[derive(Debug)]
pub(in crate::index) struct IndexFile {
    bytes: FileBytes,
    range: IndexFileMeta,
    seed: u64,
    series: u32,
    slots_at: usize,
    fingerprints_at: usize,
    buckets_at: usize,
    bucket_bits: u32,
    catalog: Range<usize>,
    /// Sorted by name.
    measurements: Vec<FileMeasurement>,
    /// First slot, measurement and table, ascending.
    tables: Vec<(u32, u32, u32)>,
}

impl IndexFile {
    /// Checks all of a file of this release's version.
    pub(super) fn open(bytes: FileBytes) -> Result<Self, IndexFileError> {
        let damaged = |offset: usize| {
            move |reason: Malformed| IndexFileError::Damaged { offset: offset as u64, reason }
        };
        let header = bytes.get(..HEADER_LEN).ok_or(Malformed("too short for a header"));
        let (seed, range) = header.and_then(read_header).map_err(damaged(0))?;
        let trailer_at = bytes.len().saturating_sub(TRAILER_LEN);
        let trailer = Trailer::read(&bytes).map_err(damaged(trailer_at))?;
        check_blocks(&bytes, &trailer).map_err(|offset| damaged(offset)(Malformed("checksum differs")))?;
        let [slots_at, fingerprints_at, buckets_at, catalog_at, checksums_at, _] = trailer.places;
        let mut file = Self {
            range,
            seed,
            series: trailer.series,
            slots_at,
            fingerprints_at,
            buckets_at,
            bucket_bits: trailer.bucket_bits,
            catalog: catalog_at..checksums_at,
            measurements: Vec::new(),
            tables: Vec::new(),
            bytes,
        };
        file.read_catalog().map_err(damaged(catalog_at))?;
        file.check_places().map_err(damaged(catalog_at))?;
        file.bytes.forget(0..file.bytes.len());
        Ok(file)
    }

    fn catalog(&self) -> Result<Vec<u8>, Malformed> {
        take_compressed(&mut Reader::new(&self.bytes[self.catalog.clone()]))
    }

    fn read_catalog(&mut self) -> Result<(), Malformed> {
        let catalog = self.catalog()?;
        let mut reader = Reader::new(&catalog);
        skip_sketch_and_fields(&mut reader, |_, _| ())?;
        for _ in 0..reader.count(3)? {
            let measurement = take_measurement(&mut reader)?;
            for (table, number) in measurement.tables.iter().zip(0..) {
                self.tables.push((table.first_slot, self.measurements.len() as u32, number));
            }
            self.measurements.push(measurement);
        }
        reader.finish()
    }

    /// Every section lies where it may, and is as long as it must be.
    fn check_places(&self) -> Result<(), Malformed> {
        let inside = |at: usize, count: u32, width: usize| {
            let end = (count as usize).checked_mul(width).and_then(|len| at.checked_add(len));
            end.is_some_and(|end| end <= self.slots_at)
        };
        let tags = self.measurements.iter().flat_map(|measurement| &measurement.tags);
        let tables = self.measurements.iter().flat_map(|measurement| &measurement.tables);
        let mut slots = 0;
        for table in tables {
            if table.first_slot != slots
                || !inside(table.rows_at, table.rows, table.width)
                || table.series.end > self.slots_at
            {
                return Err(Malformed("a table lies outside the file"));
            }
            slots = slots.saturating_add(table.rows);
        }
        for tag in tags {
            if !inside(tag.references_at, tag.values, 4) || !inside(tag.ends_at, tag.values, 5) {
                return Err(Malformed("a tag lies outside the file"));
            }
        }
        let numbers = self.range.to.series.checked_sub(self.range.from.series);
        let slots_len = self.fingerprints_at.checked_sub(self.slots_at);
        let buckets_len = self.catalog.start.checked_sub(self.buckets_at);
        if slots != self.series
            || self.bucket_bits > 31
            || slots_len != numbers.map(|numbers| numbers as usize * 4)
            || buckets_len != Some(((1usize << self.bucket_bits) + 1) * 4)
            || self.buckets_at.checked_sub(self.fingerprints_at).is_none_or(|len| len % FINGERPRINT_LEN != 0)
        {
            return Err(Malformed("sections have other lengths"));
        }
        Ok(())
    }

    pub(in crate::index) const fn range(&self) -> IndexFileMeta {
        self.range
    }

    pub(in crate::index) const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many series it holds.
    pub(in crate::index) const fn series(&self) -> u32 {
        self.series
    }

    /// The fields it defines.
    pub(in crate::index) fn fields(&self) -> Vec<FieldDefinition> {
        let mut fields = Vec::new();
        if let Ok(catalog) = self.catalog() {
            let read = skip_sketch_and_fields(&mut Reader::new(&catalog), |_, field| fields.extend(field));
            debug_assert!(read.is_ok(), "it was read when the file was opened");
        }
        fields
    }

    fn u32_at(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    fn u64_at(&self, at: usize) -> u64 {
        let bytes = self.bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    pub(in crate::index) fn find(&self, print: Fingerprint) -> Option<u32> {
        let bucket = print.high.checked_shr(64 - self.bucket_bits).unwrap_or(0) as usize;
        let start = self.u32_at(self.buckets_at + 4 * bucket);
        let end = self.u32_at(self.buckets_at + 4 * bucket + 4);
        (start..end).map(|position| self.fingerprint(position)).find(|(at, _)| *at == print).map(|(_, id)| id)
    }

    fn bitmap(&self, range: Range<usize>) -> RoaringBitmap {
        let bytes = self.bytes.get(range).unwrap_or(&[]);
        RoaringBitmap::deserialize_from(bytes).unwrap_or_default()
    }

    /// Where a series is: slot, measurement and table.
    fn place(&self, id: u32) -> Option<(u32, &FileMeasurement, &FileTable)> {
        let slot = self.slot(id)?;
        let at = self.tables.partition_point(|(first, ..)| *first <= slot).checked_sub(1)?;
        let (_, measurement, table) = *self.tables.get(at)?;
        let measurement = self.measurements.get(measurement as usize)?;
        Some((slot, measurement, measurement.tables.get(table as usize)?))
    }

    fn slot(&self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.range.from.series)?;
        let slot = if id < self.range.to.series {
            self.u32_at(self.slots_at + 4 * offset as usize)
        } else {
            NO_SLOT
        };
        (slot < self.series).then_some(slot)
    }

    /// The bytes of a row, from its number on.
    fn row_bytes(&self, table: &FileTable, row: u32) -> &[u8] {
        let at = table.rows_at + row as usize * table.width;
        self.bytes.get(at..at + table.width).unwrap_or(&[0; 4])
    }

    fn row_values<'a>(&'a self, table: &'a FileTable, row: u32) -> impl Iterator<Item = u32> + 'a {
        let mut rest = self.row_bytes(table, row).get(4..).unwrap_or(&[]);
        table.widths.iter().map(move |width| {
            let (value, after) = rest.split_at_checked(*width).unwrap_or((&[], &[]));
            rest = after;
            let mut bytes = [0; 4];
            bytes[..value.len()].copy_from_slice(value);
            u32::from_le_bytes(bytes)
        })
    }

    fn row_number(&self, table: &FileTable, row: u32) -> u32 {
        self.u32_at(table.rows_at + row as usize * table.width)
    }

    fn text(&self, tag: &FileTag, value: u32) -> &str {
        let end = |value: u32| (self.u64_at(tag.ends_at + 5 * value as usize) & 0xff_ffff_ffff) as usize;
        let start = value.checked_sub(1).map_or(0, end);
        let bytes = self.bytes.get(tag.texts_at + start..tag.texts_at + end(value)).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn postings(&self, tag: &FileTag, value: u32, all: &mut RoaringBitmap) {
        let reference = self.u32_at(tag.references_at + 4 * value as usize);
        if reference & BITMAP == 0 {
            all.insert(self.range.from.series + reference);
            return;
        }
        let at = tag.bitmaps_at + 8 * (reference & !BITMAP) as usize;
        let len = self.u32_at(at) as usize;
        *all |= self.bitmap(at + 4..at + 4 + len);
    }

    /// Appends the key of a series; whether there is such a series.
    pub(in crate::index) fn append_key(&self, id: u32, key: &mut String) -> bool {
        let Some((slot, measurement, table)) = self.place(id) else { return false };
        append_measurement(key, &measurement.name);
        self.row_tags(measurement, table, slot, |tag, value| append_tag(key, tag, value));
        true
    }

    /// Calls `each` with the tags of a series in the order of its key; whether there is such a series.
    pub(in crate::index) fn tags_of(&self, id: u32, each: impl FnMut(&Arc<str>, &str)) -> bool {
        let Some((slot, measurement, table)) = self.place(id) else { return false };
        self.row_tags(measurement, table, slot, each);
        true
    }

    fn row_tags(
        &self,
        measurement: &FileMeasurement,
        table: &FileTable,
        slot: u32,
        mut each: impl FnMut(&Arc<str>, &str),
    ) {
        for (tag, value) in table.tags.iter().zip(self.row_values(table, slot - table.first_slot)) {
            if let Some(tag) = measurement.tags.get(*tag as usize) {
                each(&tag.key, self.text(tag, value));
            }
        }
    }

    /// The measurement of that name.
    pub(in crate::index) fn measurement(&self, name: &str) -> Option<FileView<'_>> {
        let at = self.measurements.binary_search_by(|known| (*known.name).cmp(name)).ok()?;
        Some(FileView { file: self, measurement: &self.measurements[at] })
    }

    /// All measurements, sorted by name.
    pub(in crate::index) fn all_measurements(&self) -> impl Iterator<Item = (&Arc<str>, FileView<'_>)> {
        self.measurements.iter().map(|measurement| (&measurement.name, FileView { file: self, measurement }))
    }
}

impl Source for IndexFile {
    fn measurements(&self) -> usize {
        self.measurements.len()
    }

    fn name(&self, measurement: usize) -> &Arc<str> {
        &self.measurements[measurement].name
    }

    fn tags(&self, measurement: usize) -> usize {
        self.measurements[measurement].tags.len()
    }

    fn key(&self, measurement: usize, tag: usize) -> &Arc<str> {
        &self.measurements[measurement].tags[tag].key
    }

    fn values(&self, measurement: usize, tag: usize) -> u32 {
        self.measurements[measurement].tags[tag].values
    }

    fn value(&self, measurement: usize, tag: usize, value: u32) -> &str {
        self.text(&self.measurements[measurement].tags[tag], value)
    }

    fn add_postings(&self, measurement: usize, tag: usize, value: u32, all: &mut RoaringBitmap) {
        self.postings(&self.measurements[measurement].tags[tag], value, all);
    }

    fn tables(&self, measurement: usize) -> usize {
        self.measurements[measurement].tables.len()
    }

    fn table_tags(&self, measurement: usize, table: usize) -> &[u32] {
        &self.measurements[measurement].tables[table].tags
    }

    fn table_series(&self, measurement: usize, table: usize) -> RoaringBitmap {
        self.bitmap(self.measurements[measurement].tables[table].series.clone())
    }

    fn rows(&self, measurement: usize, table: usize) -> u32 {
        self.measurements[measurement].tables[table].rows
    }

    fn row(&self, measurement: usize, table: usize, row: u32, values: &mut Vec<u32>) -> u32 {
        let table = &self.measurements[measurement].tables[table];
        values.clear();
        values.extend(self.row_values(table, row));
        self.row_number(table, row)
    }

    fn fingerprints(&self) -> u32 {
        ((self.buckets_at - self.fingerprints_at) / FINGERPRINT_LEN) as u32
    }

    fn fingerprint(&self, position: u32) -> (Fingerprint, u32) {
        let at = self.fingerprints_at + FINGERPRINT_LEN * position as usize;
        let print = Fingerprint { high: self.u64_at(at), low: self.u32_at(at + 8) };
        (print, self.u32_at(at + 12))
    }

    fn sketch(&self) -> SeriesSketch {
        let mut sketch = None;
        if let Ok(catalog) = self.catalog() {
            let read = skip_sketch_and_fields(&mut Reader::new(&catalog), |read, _| {
                sketch = read.cloned().or(sketch.take());
            });
            debug_assert!(read.is_ok(), "it was read when the file was opened");
        }
        sketch.unwrap_or_default()
    }
}
