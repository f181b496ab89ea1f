//! A measurement of a file as selections see it, and one of its tags.

use std::{cmp::Ordering, sync::Arc};

use roaring::RoaringBitmap;

use super::{
    IndexFile,
    layout::{FileMeasurement, FileTable, FileTag},
};
use crate::index::select::{Tag, Tagged, compare_in_key, compare_rows};

/// A measurement of a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::index) struct FileView<'a> {
    pub(super) file: &'a IndexFile,
    pub(super) measurement: &'a FileMeasurement,
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
