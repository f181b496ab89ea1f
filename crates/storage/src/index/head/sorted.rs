//! The head as a file is written: names, values, rows and fingerprints in order.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Head, HeadMeasurement, Table, order::sort_by_columns};
use crate::index::{file::Source, fingerprint::Fingerprint, select::Tag, sketch::SeriesSketch};

/// See the module's header.
#[derive(Debug)]
pub(in crate::index) struct SortedHead<'a> {
    head: &'a Head,
    measurements: Vec<SortedMeasurement<'a>>,
    fingerprints: Vec<(Fingerprint, u32)>,
}

#[derive(Debug)]
struct SortedMeasurement<'a> {
    measurement: &'a HeadMeasurement,
    tags: Vec<SortedTag>,
    tables: Vec<SortedTable<'a>>,
}

#[derive(Debug)]
struct SortedTag {
    tag: u32,
    /// Numbers by rank.
    order: Vec<u32>,
    /// Ranks by number.
    ranks: Arc<[u32]>,
}

#[derive(Debug)]
struct SortedTable<'a> {
    table: &'a Table,
    /// Positions among the sorted tags.
    tags: Vec<u32>,
    series: Vec<u32>,
}

impl<'a> SortedHead<'a> {
    pub(in crate::index) fn new(head: &'a Head) -> Self {
        let mut of_tables: Vec<Vec<u32>> = vec![Vec::new(); head.tables.len()];
        for (id, place) in (head.from..).zip(&head.places) {
            if let Some(series) = of_tables.get_mut(place.table as usize) {
                series.push(id);
            }
        }
        let mut measurements: Vec<_> = head
            .measurements
            .iter()
            .map(|measurement| SortedMeasurement::new(head, measurement, &mut of_tables))
            .collect();
        measurements.sort_unstable_by(|a, b| a.measurement.name.cmp(&b.measurement.name));
        let print = |slot: &super::Slot| (Fingerprint { high: slot.high, low: slot.low }, slot.id);
        let mut fingerprints: Vec<_> = head.numbers.iter().map(print).collect();
        fingerprints.sort_unstable();
        Self { head, measurements, fingerprints }
    }
}

impl<'a> SortedMeasurement<'a> {
    fn new(head: &'a Head, measurement: &'a HeadMeasurement, series: &mut [Vec<u32>]) -> Self {
        let mut names: Vec<u32> = (0..measurement.tags.len() as u32).collect();
        names.sort_unstable_by_key(|tag| &measurement.tags[*tag as usize].key);
        let tags: Vec<SortedTag> = names
            .into_iter()
            .map(|tag| {
                let order = measurement.tags[tag as usize].dictionary.sorted();
                let mut ranks = vec![0; order.len()];
                order.iter().zip(0..).for_each(|(number, rank)| ranks[*number as usize] = rank);
                SortedTag { tag, order, ranks: ranks.into() }
            })
            .collect();
        let mut numbers: Vec<u32> = measurement.by_tags.values().copied().collect();
        numbers.sort_unstable();
        let tables = numbers
            .into_iter()
            .map(|number| {
                let table = &head.tables[number as usize];
                let position =
                    |tag: &u32| tags.iter().position(|sorted| sorted.tag == *tag).unwrap_or(0) as u32;
                let positions: Vec<u32> = table.tags.iter().map(position).collect();
                let series = std::mem::take(&mut series[number as usize]);
                let series = sort_rows(head, table, &tags, &positions, &series);
                SortedTable { table, tags: positions, series }
            })
            .collect();
        Self { measurement, tags, tables }
    }
}

/// `series` in the order of their values' ranks.
fn sort_rows(head: &Head, table: &Table, tags: &[SortedTag], positions: &[u32], series: &[u32]) -> Vec<u32> {
    let rank = |id: &u32, column: usize| {
        let value = head.place(*id).map_or(0, |place| table.row(place.row)[column]);
        tags[positions[column] as usize].ranks[value as usize]
    };
    let columns: Vec<Vec<u32>> = (0..positions.len())
        .map(|column| series.iter().map(|id| rank(id, column)).collect::<Vec<u32>>())
        .filter(|column| column.iter().min() != column.iter().max())
        .collect();
    sort_by_columns(&columns, series)
}

impl Source for SortedHead<'_> {
    fn measurements(&self) -> usize {
        self.measurements.len()
    }

    fn name(&self, measurement: usize) -> &Arc<str> {
        &self.measurements[measurement].measurement.name
    }

    fn tags(&self, measurement: usize) -> usize {
        self.measurements[measurement].tags.len()
    }

    fn key(&self, measurement: usize, tag: usize) -> &Arc<str> {
        let measurement = &self.measurements[measurement];
        &measurement.measurement.tags[measurement.tags[tag].tag as usize].key
    }

    fn values(&self, measurement: usize, tag: usize) -> u32 {
        self.measurements[measurement].tags[tag].order.len() as u32
    }

    fn value(&self, measurement: usize, tag: usize, value: u32) -> &str {
        let measurement = &self.measurements[measurement];
        let sorted = &measurement.tags[tag];
        measurement.measurement.tags[sorted.tag as usize].dictionary.text(sorted.order[value as usize])
    }

    fn add_postings(&self, measurement: usize, tag: usize, value: u32, all: &mut RoaringBitmap) {
        let measurement = &self.measurements[measurement];
        let sorted = &measurement.tags[tag];
        let dictionary = &measurement.measurement.tags[sorted.tag as usize].dictionary;
        (&dictionary).add_postings(sorted.order[value as usize], all);
    }

    fn tables(&self, measurement: usize) -> usize {
        self.measurements[measurement].tables.len()
    }

    fn table_tags(&self, measurement: usize, table: usize) -> &[u32] {
        &self.measurements[measurement].tables[table].tags
    }

    fn table_series(&self, measurement: usize, table: usize) -> RoaringBitmap {
        self.measurements[measurement].tables[table].table.series.clone()
    }

    fn rows(&self, measurement: usize, table: usize) -> u32 {
        self.measurements[measurement].tables[table].series.len() as u32
    }

    fn row(&self, measurement: usize, table: usize, row: u32, values: &mut Vec<u32>) -> u32 {
        let measurement = &self.measurements[measurement];
        let sorted = &measurement.tables[table];
        let id = sorted.series[row as usize];
        values.clear();
        if let Some(place) = self.head.place(id) {
            let ranked = sorted.tags.iter().zip(sorted.table.row(place.row));
            values.extend(ranked.map(|(tag, value)| measurement.tags[*tag as usize].ranks[*value as usize]));
        }
        id
    }

    fn fingerprints(&self) -> u32 {
        self.fingerprints.len() as u32
    }

    fn fingerprint(&self, position: u32) -> (Fingerprint, u32) {
        self.fingerprints[position as usize]
    }

    fn sketch(&self) -> SeriesSketch {
        self.head.sketch.clone()
    }
}
