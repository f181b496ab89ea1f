//! Writes a file from sources whose ranges of numbers follow one another, leaving out what is retired.
//!
//! Everything is streamed but what maps numbers to numbers: 4 bytes for each series, and for the values of one
//! measurement at a time 4 bytes for each source and 9 more for each value.

use std::{collections::BTreeMap, path::Path};

use roaring::RoaringBitmap;

use super::{BITMAP, IndexFileMeta, MAGIC, NO_SLOT, Source, VERSION, reader::value_width, sink::Sink};
use crate::{
    codec::text::put_compressed,
    fs::{Fs, FsError},
    index::{fingerprint::Fingerprint, select::is_plain, sketch::SeriesSketch},
    wal::{FieldDefinition, put_field},
    wire::{put_bytes, put_crc, put_varint},
};

/// In the place of a value's new number: no series has it any more.
const GONE: u32 = u32::MAX;
/// Fingerprints in a bucket, about.
const BUCKET_LEN: u32 = 8;

/// What goes into a file.
pub(in crate::index) struct Contents<'a> {
    pub(in crate::index) range: IndexFileMeta,
    pub(in crate::index) seed: u64,
    pub(in crate::index) sources: Vec<&'a dyn Source>,
    pub(in crate::index) fields: Vec<FieldDefinition>,
    pub(in crate::index) retired: &'a RoaringBitmap,
}

/// Writes and syncs the file; returns its length. The caller syncs the directory.
pub(in crate::index) fn write(fs: &dyn Fs, path: &Path, contents: &Contents<'_>) -> Result<u64, FsError> {
    let IndexFileMeta { from, to } = contents.range;
    assert!(to.series - from.series < BITMAP, "an index file of more than 2^31 numbers");
    let mut writer = Writer {
        contents,
        sink: Sink::create(fs, path)?,
        slots: vec![NO_SLOT; (to.series - from.series) as usize],
        series: 0,
    };
    writer.header()?;
    let mut catalog = Vec::new();
    writer.describe_fields(&mut catalog);
    writer.measurements(&mut catalog)?;
    writer.finish(&catalog)
}

struct Writer<'a> {
    contents: &'a Contents<'a>,
    sink: Sink<'a>,
    /// By number: the place of its row among those of all tables.
    slots: Vec<u32>,
    /// Rows written.
    series: u32,
}

/// A measurement of one of the sources.
#[derive(Clone, Copy)]
struct Member<'a> {
    source: &'a dyn Source,
    measurement: usize,
}

/// Where the new number of a tag's value is found.
struct MergedTag {
    /// By member, then by the value's number there; empty if the member lacks the tag.
    numbers: Vec<Vec<u32>>,
    values: u32,
}

impl<'a> Writer<'a> {
    fn header(&mut self) -> Result<(), FsError> {
        let IndexFileMeta { from, to } = self.contents.range;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&self.contents.seed.to_le_bytes());
        for number in [from.series, to.series, from.fields, to.fields] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        put_crc(&mut header, 0);
        self.sink.put(&header)
    }

    fn describe_fields(&self, catalog: &mut Vec<u8>) {
        let mut sketch = SeriesSketch::default();
        self.contents.sources.iter().for_each(|source| sketch.merge(&source.sketch()));
        catalog.extend_from_slice(sketch.as_bytes());
        put_varint(catalog, self.contents.fields.len() as u64);
        self.contents.fields.iter().for_each(|field| put_field(catalog, field));
    }

    fn measurements(&mut self, catalog: &mut Vec<u8>) -> Result<(), FsError> {
        let mut by_name: BTreeMap<&'a str, Vec<Member<'a>>> = BTreeMap::new();
        for source in &self.contents.sources {
            for measurement in 0..source.measurements() {
                let member = Member { source: *source, measurement };
                by_name.entry(source.name(measurement)).or_default().push(member);
            }
        }
        let mut body = Vec::new();
        let mut count = 0;
        for (name, members) in by_name {
            if members.iter().any(|member| member.has_series(self.contents.retired)) {
                count += 1;
                put_bytes(&mut body, name.as_bytes());
                self.measurement(&members, &mut body)?;
            }
        }
        put_varint(catalog, count);
        catalog.extend_from_slice(&body);
        Ok(())
    }

    fn measurement(&mut self, members: &[Member<'a>], catalog: &mut Vec<u8>) -> Result<(), FsError> {
        let mut by_key: BTreeMap<&'a str, Vec<Option<usize>>> = BTreeMap::new();
        for (position, member) in members.iter().enumerate() {
            for tag in 0..member.source.tags(member.measurement) {
                let key = member.source.key(member.measurement, tag);
                by_key.entry(key).or_insert_with(|| vec![None; members.len()])[position] = Some(tag);
            }
        }
        let mut tags: Vec<MergedTag> = Vec::new();
        let mut body = Vec::new();
        // By member and its tag.
        let mut renumbered: Vec<Vec<u32>> =
            members.iter().map(|member| vec![GONE; member.source.tags(member.measurement)]).collect();
        for (key, at) in by_key {
            let mut entry = Vec::new();
            let merged = self.tag(members, &at, &mut entry)?;
            if merged.values == 0 {
                continue;
            }
            for (renumbered, tag) in renumbered.iter_mut().zip(&at) {
                if let Some(tag) = tag {
                    renumbered[*tag] = tags.len() as u32;
                }
            }
            put_bytes(&mut body, key.as_bytes());
            body.extend_from_slice(&entry);
            tags.push(merged);
        }
        put_varint(catalog, tags.len() as u64);
        catalog.extend_from_slice(&body);
        self.tables(members, &tags, &renumbered, catalog)
    }

    /// Merges the values of a tag: bitmaps, references to them, texts, ends of the texts.
    fn tag(
        &mut self,
        members: &[Member<'a>],
        at: &[Option<usize>],
        catalog: &mut Vec<u8>,
    ) -> Result<MergedTag, FsError> {
        let bitmaps_at = self.sink.at();
        let mut references: Vec<u32> = Vec::new();
        let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); members.len()];
        let mut ids = RoaringBitmap::new();
        loop {
            let waiting = members.iter().zip(at).zip(&numbers);
            let least = waiting.filter_map(|((member, tag), done)| member.value((*tag)?, done.len())).min();
            let Some(least) = least else { break };
            ids.clear();
            let number = references.len() as u32;
            for ((member, tag), done) in members.iter().zip(at).zip(&mut numbers) {
                let Some(tag) = *tag else { continue };
                if member.value(tag, done.len()) == Some(least) {
                    member.source.add_postings(member.measurement, tag, done.len() as u32, &mut ids);
                    done.push(number);
                }
            }
            if !ids.is_disjoint(self.contents.retired) {
                ids -= self.contents.retired;
            }
            if ids.is_empty() {
                for done in numbers.iter_mut().filter_map(|done| done.last_mut()) {
                    *done = if *done == number { GONE } else { *done };
                }
                continue;
            }
            references.push(self.postings(&ids, bitmaps_at)?);
        }
        put_varint(catalog, references.len() as u64);
        for at in [bitmaps_at, self.sink.at()] {
            put_varint(catalog, at);
        }
        for reference in &references {
            self.sink.put_u32(*reference)?;
        }
        let values = references.len() as u32;
        drop(references);
        self.texts(members, at, &numbers, catalog)?;
        Ok(MergedTag { numbers, values })
    }

    fn postings(&mut self, ids: &RoaringBitmap, bitmaps_at: u64) -> Result<u32, FsError> {
        if let (1, Some(only)) = (ids.len(), ids.min()) {
            return Ok(only - self.contents.range.from.series);
        }
        let start = self.sink.at();
        let reference = u32::try_from((start - bitmaps_at) / 8).unwrap_or(BITMAP);
        assert!(reference < BITMAP, "bitmaps of one tag exceed 16 GiB");
        let mut bytes = Vec::with_capacity(ids.serialized_size() + 12);
        put_bitmap(ids, &mut bytes);
        bytes.splice(0..0, (bytes.len() as u32).to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        self.sink.put(&bytes)?;
        Ok(BITMAP | reference)
    }

    fn texts(
        &mut self,
        members: &[Member<'a>],
        at: &[Option<usize>],
        numbers: &[Vec<u32>],
        catalog: &mut Vec<u8>,
    ) -> Result<(), FsError> {
        let texts_at = self.sink.at();
        let mut ends: Vec<u8> = Vec::new();
        let mut all_plain = true;
        let mut written = 0u32;
        let mut cursors = vec![0usize; members.len()];
        loop {
            let mut text = None;
            for (((member, tag), numbers), cursor) in members.iter().zip(at).zip(numbers).zip(&mut cursors) {
                while numbers.get(*cursor).is_some_and(|number| *number == GONE) {
                    *cursor += 1;
                }
                if numbers.get(*cursor) == Some(&written) {
                    text = tag.and_then(|tag| member.value(tag, *cursor));
                    *cursor += 1;
                }
            }
            let Some(text) = text else { break };
            self.sink.put(text.as_bytes())?;
            all_plain &= is_plain(text);
            ends.extend_from_slice(&(self.sink.at() - texts_at).to_le_bytes()[..5]);
            written += 1;
        }
        for at in [texts_at, self.sink.at()] {
            put_varint(catalog, at);
        }
        catalog.push(u8::from(all_plain));
        self.sink.put(&ends)
    }

    fn tables(
        &mut self,
        members: &[Member<'a>],
        tags: &[MergedTag],
        renumbered: &[Vec<u32>],
        catalog: &mut Vec<u8>,
    ) -> Result<(), FsError> {
        let mut by_tags: BTreeMap<Vec<u32>, (RoaringBitmap, Vec<Rows<'a>>)> = BTreeMap::new();
        for (position, member) in members.iter().enumerate() {
            for table in 0..member.source.tables(member.measurement) {
                let series = member.source.table_series(member.measurement, table) - self.contents.retired;
                if series.is_empty() {
                    continue;
                }
                let of_member = member.source.table_tags(member.measurement, table);
                let key = of_member.iter().map(|tag| renumbered[position][*tag as usize]).collect();
                let (all, rows) = by_tags.entry(key).or_default();
                *all |= series;
                rows.push(Rows { member: *member, position, table, next: 0, id: None, values: Vec::new() });
            }
        }
        put_varint(catalog, by_tags.len() as u64);
        for (key, (series, rows)) in by_tags {
            put_varint(catalog, key.len() as u64);
            key.iter().for_each(|tag| put_varint(catalog, u64::from(*tag)));
            let mut bytes = Vec::new();
            put_bitmap(&series, &mut bytes);
            for number in [u64::from(self.series), series.len(), self.sink.at(), bytes.len() as u64] {
                put_varint(catalog, number);
            }
            self.sink.put(&bytes)?;
            self.rows(&key, tags, rows)?;
        }
        Ok(())
    }

    fn rows(&mut self, key: &[u32], tags: &[MergedTag], mut rows: Vec<Rows<'a>>) -> Result<(), FsError> {
        let widths: Vec<usize> = key.iter().map(|tag| value_width(tags[*tag as usize].values)).collect();
        let from = self.contents.range.from.series;
        rows.iter_mut().for_each(|rows| rows.advance(key, tags, self.contents.retired));
        loop {
            let waiting = rows.iter_mut().filter(|rows| rows.id.is_some());
            let Some(least) = waiting.min_by(|a, b| a.values.cmp(&b.values).then(a.id.cmp(&b.id))) else {
                return Ok(());
            };
            let Some(id) = least.id else { return Ok(()) };
            self.sink.put_u32(id)?;
            for (value, width) in least.values.iter().zip(&widths) {
                self.sink.put(&value.to_le_bytes()[..*width])?;
            }
            self.slots[(id - from) as usize] = self.series;
            self.series += 1;
            least.advance(key, tags, self.contents.retired);
        }
    }

    /// What is found by number, by fingerprint and by name, and what checks it all.
    fn finish(mut self, catalog: &[u8]) -> Result<u64, FsError> {
        let mut places = vec![self.sink.at()];
        for slot in std::mem::take(&mut self.slots) {
            self.sink.put_u32(slot)?;
        }
        places.push(self.sink.at());
        let (bits, buckets) = self.fingerprints()?;
        places.push(self.sink.at());
        for start in buckets {
            self.sink.put_u32(start)?;
        }
        places.push(self.sink.at());
        let mut compressed = Vec::new();
        put_compressed(catalog, &mut compressed);
        self.sink.put(&compressed)?;
        self.sink.end_block()?;
        places.push(self.sink.at());
        let mut end = Vec::new();
        for checksum in &self.sink.checksums {
            end.extend_from_slice(&checksum.to_le_bytes());
        }
        places.push(self.sink.at() + end.len() as u64);
        for place in places {
            end.extend_from_slice(&place.to_le_bytes());
        }
        end.extend_from_slice(&self.series.to_le_bytes());
        end.extend_from_slice(&bits.to_le_bytes());
        end.extend_from_slice(&MAGIC);
        put_crc(&mut end, 0);
        self.sink.finish(&end)
    }

    /// Writes the fingerprints in order; returns where each bucket of them begins.
    fn fingerprints(&mut self) -> Result<(u32, Vec<u32>), FsError> {
        let bits = (self.series / BUCKET_LEN).checked_ilog2().unwrap_or(0);
        let mut starts = vec![0u32; (1 << bits) + 1];
        let mut cursors = vec![0u32; self.contents.sources.len()];
        loop {
            let next = |(source, cursor): (&&dyn Source, &u32)| -> Option<(Fingerprint, u32)> {
                (*cursor < source.fingerprints()).then(|| source.fingerprint(*cursor))
            };
            let waiting = self.contents.sources.iter().zip(&cursors).enumerate();
            let least = waiting.filter_map(|(at, waiting)| Some((next(waiting)?, at))).min();
            let Some(((print, id), at)) = least else { break };
            cursors[at] += 1;
            if self.contents.retired.contains(id) {
                continue;
            }
            self.sink.put(&print.high.to_le_bytes())?;
            self.sink.put_u32(print.low)?;
            self.sink.put_u32(id)?;
            starts[print.high.checked_shr(64 - bits).unwrap_or(0) as usize + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        Ok((bits, starts))
    }
}

impl<'a> Member<'a> {
    fn has_series(&self, retired: &RoaringBitmap) -> bool {
        let tables = 0..self.source.tables(self.measurement);
        tables.into_iter().any(|table| !self.source.table_series(self.measurement, table).is_subset(retired))
    }

    fn value(&self, tag: usize, value: usize) -> Option<&'a str> {
        let is_there = value < self.source.values(self.measurement, tag) as usize;
        is_there.then(|| self.source.value(self.measurement, tag, value as u32))
    }
}

/// The rows of a table of one source, from the next on.
struct Rows<'a> {
    member: Member<'a>,
    /// Of the member among the merged.
    position: usize,
    table: usize,
    next: u32,
    /// The current row's series; `None` at the end.
    id: Option<u32>,
    /// The new numbers of its values.
    values: Vec<u32>,
}

impl Rows<'_> {
    /// Goes to the next row that is not retired.
    fn advance(&mut self, key: &[u32], tags: &[MergedTag], retired: &RoaringBitmap) {
        let Member { source, measurement } = self.member;
        self.id = None;
        while self.id.is_none() && self.next < source.rows(measurement, self.table) {
            let id = source.row(measurement, self.table, self.next, &mut self.values);
            self.next += 1;
            if !retired.contains(id) {
                self.id = Some(id);
            }
        }
        if self.id.is_some() {
            for (value, tag) in self.values.iter_mut().zip(key) {
                let numbers = &tags[*tag as usize].numbers[self.position];
                *value = numbers.get(*value as usize).copied().unwrap_or(GONE);
                assert_ne!(*value, GONE, "a live row has a value that no live series has");
            }
        }
    }
}

fn put_bitmap(ids: &RoaringBitmap, out: &mut Vec<u8>) {
    let written = ids.serialize_into(out);
    assert!(written.is_ok(), "writing to memory cannot fail");
}
