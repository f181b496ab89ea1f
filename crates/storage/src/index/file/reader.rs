//! Answers from a mapped file. All of its bytes are checked once, when it is opened, a mebibyte at a time, and then
//! leave memory until they are asked for; only the catalog (names, tag keys, places) is kept.
//!
//! What a checksum has confirmed is read without errors: a number that leads nowhere gives an empty answer.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use roaring::RoaringBitmap;
use skywatch_model::series::{append_measurement, append_tag};

use super::{
    BITMAP, CHECKED_LEN, FINGERPRINT_LEN, HEADER_LEN, IndexFileError, IndexFileMeta, MAGIC, NO_SLOT, Source,
    TRAILER_LEN, VERSION,
};
use crate::{
    codec::text::take_compressed,
    fs::FileBytes,
    index::{
        Bounds,
        fingerprint::Fingerprint,
        select::{Tag, Tagged, compare_in_key, compare_rows},
        sketch::SeriesSketch,
    },
    wal::{FieldDefinition, take_field},
    wire::{Malformed, Reader, check_crc},
};

/// Bytes checked between two calls that let memory go.
const FORGET_EVERY: usize = 16 * CHECKED_LEN;

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

#[derive(Debug)]
struct FileMeasurement {
    name: Arc<str>,
    tags: Vec<FileTag>,
    tables: Vec<FileTable>,
}

#[derive(Debug)]
struct FileTag {
    key: Arc<str>,
    values: u32,
    bitmaps_at: usize,
    references_at: usize,
    texts_at: usize,
    ends_at: usize,
    is_plain: bool,
}

#[derive(Debug)]
struct FileTable {
    tags: Box<[u32]>,
    widths: Box<[usize]>,
    first_slot: u32,
    rows: u32,
    series: Range<usize>,
    rows_at: usize,
    /// Of a row: that of the number and those of the values.
    width: usize,
    /// Whether rows are in the order of their keys.
    is_plain: bool,
}

/// Bytes that hold any number below `values`.
pub(super) const fn value_width(values: u32) -> usize {
    match values {
        0..=1 => 0,
        2..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        0x1_0001..=0x100_0000 => 3,
        _ => 4,
    }
}

/// The version that the header names; of one that this release does not know the header's checksum is checked.
pub(super) fn version_of(bytes: &[u8]) -> Result<u32, IndexFileError> {
    let mut reader = Reader::new(bytes);
    let mut read = || {
        if reader.array()? != MAGIC {
            return Err(Malformed("no index file"));
        }
        let version = reader.u32()?;
        if version > VERSION {
            check_crc(bytes.get(..HEADER_LEN).ok_or(Malformed("too short for a header"))?)?;
        }
        Ok(version)
    };
    read().map_err(|reason| IndexFileError::Damaged { offset: 0, reason })
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

/// A measurement of a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::index) struct FileView<'a> {
    file: &'a IndexFile,
    measurement: &'a FileMeasurement,
}

impl<'a> FileView<'a> {
    /// A tag of it.
    pub(in crate::index) fn into_tag(self, key: &str) -> Option<Box<dyn Tag + 'a>> {
        let (_, tag) = self.tag_of(key)?;
        Some(Box::new(TagView { file: self.file, tag }))
    }

    fn tag_of(&self, key: &str) -> Option<(u32, &'a FileTag)> {
        let at = self.measurement.tags.binary_search_by(|tag| (*tag.key).cmp(key)).ok()?;
        Some((at as u32, &self.measurement.tags[at]))
    }

    fn union<'t>(&self, tables: impl Iterator<Item = &'t FileTable>) -> RoaringBitmap {
        tables.fold(RoaringBitmap::new(), |all, table| all | self.file.bitmap(table.series.clone()))
    }

    /// Rows in the order of their keys.
    fn by_key(&self, table: &FileTable, rows: &mut [u32]) {
        let last = table.tags.len().saturating_sub(1);
        rows.sort_by(|a, b| -> Ordering {
            let values = self.file.row_values(table, *a).zip(self.file.row_values(table, *b));
            compare_rows(table.tags.iter().zip(values).enumerate().map(|(column, (tag, (a, b)))| {
                let tag = self.measurement.tags.get(*tag as usize);
                let text = |value: u32| tag.map_or("", |tag| self.file.text(tag, value));
                if a == b { Ordering::Equal } else { compare_in_key(text(a), text(b), column == last) }
            }))
        });
    }
}

impl Tagged for FileView<'_> {
    fn series(&self) -> RoaringBitmap {
        self.union(self.measurement.tables.iter())
    }

    fn without(&self, key: &str) -> RoaringBitmap {
        let tag = self.tag_of(key).map(|(number, _)| number);
        let lacks_it = |table: &&FileTable| tag.is_none_or(|tag| !table.tags.contains(&tag));
        self.union(self.measurement.tables.iter().filter(lacks_it))
    }

    fn tag(&self, key: &str) -> Option<Box<dyn Tag + '_>> {
        self.into_tag(key)
    }

    fn tables(&self) -> Vec<(Vec<Arc<str>>, RoaringBitmap)> {
        let key = |tag: &u32| self.measurement.tags.get(*tag as usize).map(|tag| Arc::clone(&tag.key));
        let keys = |table: &FileTable| table.tags.iter().filter_map(key).collect();
        let tables = self.measurement.tables.iter();
        tables.map(|table| (keys(table), self.file.bitmap(table.series.clone()))).collect()
    }

    fn sort(&self, series: &RoaringBitmap) -> Vec<Vec<u32>> {
        let mut slots: Vec<u32> = series.iter().filter_map(|id| self.file.slot(id)).collect();
        slots.sort_unstable();
        let mut rest = slots.as_mut_slice();
        let mut runs = Vec::new();
        for table in &self.measurement.tables {
            let inside = rest.partition_point(|slot| *slot < table.first_slot.saturating_add(table.rows));
            let (run, after) = rest.split_at_mut(inside);
            rest = after;
            run.iter_mut().for_each(|slot| *slot -= table.first_slot);
            if !table.is_plain {
                self.by_key(table, run);
            }
            if !run.is_empty() {
                runs.push(run.iter().map(|row| self.file.row_number(table, *row)).collect());
            }
        }
        runs
    }
}

struct TagView<'a> {
    file: &'a IndexFile,
    tag: &'a FileTag,
}

impl Tag for TagView<'_> {
    fn len(&self) -> u32 {
        self.tag.values
    }

    fn text(&self, number: u32) -> &str {
        self.file.text(self.tag, number)
    }

    fn find(&self, text: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.tag.values);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.text(middle).cmp(text) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    fn add_postings(&self, number: u32, all: &mut RoaringBitmap) {
        self.file.postings(self.tag, number, all);
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

struct Trailer {
    /// Slots, fingerprints, buckets, catalog, checksums, trailer.
    places: [usize; 6],
    series: u32,
    bucket_bits: u32,
    checksums: Vec<u32>,
}

impl Trailer {
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let at = bytes.len().checked_sub(TRAILER_LEN).ok_or(Malformed("too short for a trailer"))?;
        let mut reader = Reader::new(&bytes[at..]);
        let mut places = [0; 6];
        for place in &mut places {
            *place = usize::try_from(reader.u64()?).map_err(|_| Malformed("sections are out of order"))?;
        }
        if !places.is_sorted() || places[0] < HEADER_LEN || places[5] != at {
            return Err(Malformed("sections are out of order"));
        }
        // The checksums are under that of the trailer.
        let mut checked = Reader::new(check_crc(&bytes[places[4]..])?);
        let count = places[4].div_ceil(CHECKED_LEN);
        if (at - places[4]) != count * 4 {
            return Err(Malformed("checksums are not as many as the blocks"));
        }
        let checksums = (0..count).map(|_| checked.u32()).collect::<Result<_, _>>()?;
        let (series, bucket_bits) = (reader.u32()?, reader.u32()?);
        if reader.array()? != MAGIC {
            return Err(Malformed("trailer of another file"));
        }
        Ok(Self { places, series, bucket_bits, checksums })
    }
}

/// An error is the offset of the block that differs.
fn check_blocks(bytes: &FileBytes, trailer: &Trailer) -> Result<(), usize> {
    let checked = &bytes[..trailer.places[4]];
    for (number, (block, checksum)) in checked.chunks(CHECKED_LEN).zip(&trailer.checksums).enumerate() {
        let at = number * CHECKED_LEN;
        if crc32c::crc32c(block) != *checksum {
            return Err(at);
        }
        if (at + CHECKED_LEN).is_multiple_of(FORGET_EVERY) {
            bytes.forget(at + CHECKED_LEN - FORGET_EVERY..at + CHECKED_LEN);
        }
    }
    Ok(())
}

fn read_header(header: &[u8]) -> Result<(u64, IndexFileMeta), Malformed> {
    let mut reader = Reader::new(check_crc(header)?);
    if reader.array()? != MAGIC || reader.u32()? != VERSION {
        return Err(Malformed("no index file of this version"));
    }
    let seed = reader.u64()?;
    let (from_series, to_series) = (reader.u32()?, reader.u32()?);
    let (from_fields, to_fields) = (reader.u32()?, reader.u32()?);
    let from = Bounds { series: from_series, fields: from_fields };
    Ok((seed, IndexFileMeta { from, to: Bounds { series: to_series, fields: to_fields } }))
}

/// Reads the beginning of the catalog.
fn skip_sketch_and_fields(
    reader: &mut Reader<'_>,
    mut each: impl FnMut(Option<&SeriesSketch>, Option<FieldDefinition>),
) -> Result<(), Malformed> {
    let sketch = SeriesSketch::from_bytes(reader.take(SeriesSketch::LEN)?);
    each(Some(&sketch.ok_or(Malformed("impossible sketch"))?), None);
    for _ in 0..reader.count(4)? {
        each(None, Some(take_field(reader)?));
    }
    Ok(())
}

fn take_place(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    usize::try_from(reader.varint()?).map_err(|_| Malformed("a place beyond memory"))
}

fn take_measurement(reader: &mut Reader<'_>) -> Result<FileMeasurement, Malformed> {
    let name = reader.str()?.into();
    let mut tags = Vec::new();
    for _ in 0..reader.count(7)? {
        tags.push(FileTag {
            key: reader.str()?.into(),
            values: reader.varint_u32()?,
            bitmaps_at: take_place(reader)?,
            references_at: take_place(reader)?,
            texts_at: take_place(reader)?,
            ends_at: take_place(reader)?,
            is_plain: reader.u8()? != 0,
        });
    }
    let mut tables = Vec::new();
    for _ in 0..reader.count(5)? {
        tables.push(take_table(reader, &tags)?);
    }
    Ok(FileMeasurement { name, tags, tables })
}

fn take_table(reader: &mut Reader<'_>, known: &[FileTag]) -> Result<FileTable, Malformed> {
    let count = reader.count(1)?;
    let tags: Box<[u32]> = (0..count).map(|_| reader.varint_u32()).collect::<Result<_, _>>()?;
    let mut widths = Vec::with_capacity(tags.len());
    let mut is_plain = true;
    for tag in &tags {
        let tag = known.get(*tag as usize).ok_or(Malformed("a table of unknown tags"))?;
        widths.push(value_width(tag.values));
        is_plain &= tag.is_plain;
    }
    let (first_slot, rows) = (reader.varint_u32()?, reader.varint_u32()?);
    let series_at = take_place(reader)?;
    let rows_at = series_at.saturating_add(take_place(reader)?);
    let width = 4 + widths.iter().sum::<usize>();
    let (widths, series) = (widths.into(), series_at..rows_at);
    Ok(FileTable { tags, widths, first_slot, rows, series, rows_at, width, is_plain })
}
