//! Series of one table in the order of their keys, without the keys: a value is replaced by its place among the
//! values of its tag, and a row by these places packed into one number.

use std::cmp::Ordering;

use rustc_hash::FxHashMap;

use super::{Head, Table};
use crate::index::select::{compare_in_key, compare_rows};

/// Bits for the position in the run that is sorted.
const POSITION_BITS: u32 = 32;

impl Head {
    /// `ids`, of the table with this number, in the order of their keys.
    pub(super) fn sort_by_key(&self, table: u32, ids: &[u32]) -> Vec<u32> {
        let table = &self.tables[table as usize];
        let columns = (0..table.tags.len()).filter_map(|column| self.places_in_key(table, column, ids));
        let columns: Vec<Vec<u32>> = columns.collect();
        sort_by_columns(&columns, ids)
    }

    /// For each of `ids` the place of its value in the order in which keys with them are; `None` if all are equal.
    fn places_in_key(&self, table: &Table, column: usize, ids: &[u32]) -> Option<Vec<u32>> {
        let value = |id: &u32| self.place(*id).map_or(0, |place| table.row(place.row)[column]);
        let mut values: Vec<u32> = ids.iter().map(value).collect();
        if values.iter().min() == values.iter().max() {
            return None;
        }
        let tag = table.tags[column] as usize;
        let dictionary = &self.measurements[table.measurement as usize].tags[tag].dictionary;
        if dictionary.is_plain()
            && let Some(ranks) = dictionary.ranks(ids.len())
        {
            values.iter_mut().for_each(|value| *value = ranks[*value as usize]);
            return Some(values);
        }
        let mut distinct = values.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let is_last = column + 1 == table.tags.len();
        distinct.sort_unstable_by(|a, b| compare_in_key(dictionary.text(*a), dictionary.text(*b), is_last));
        let ranks: FxHashMap<u32, u32> = distinct.iter().copied().zip(0..).collect();
        values.iter_mut().for_each(|value| *value = ranks[value]);
        Some(values)
    }
}

/// Sorts `ids` by the first column, then by the second, and so on.
pub(super) fn sort_by_columns(columns: &[Vec<u32>], ids: &[u32]) -> Vec<u32> {
    let widths: Vec<u32> =
        columns.iter().map(|column| u32::BITS - column.iter().max().unwrap_or(&0).leading_zeros()).collect();
    if widths.iter().sum::<u32>() + POSITION_BITS > u128::BITS {
        return sort_by_comparing(columns, ids);
    }
    let mut packed: Vec<u128> = (0..ids.len() as u128).collect();
    let mut shift = POSITION_BITS;
    for (column, width) in columns.iter().zip(widths).rev() {
        for (row, value) in packed.iter_mut().zip(column) {
            *row |= u128::from(*value) << shift;
        }
        shift += width;
    }
    packed.sort_unstable();
    packed.into_iter().map(|row| ids[row as u32 as usize]).collect()
}

fn sort_by_comparing(columns: &[Vec<u32>], ids: &[u32]) -> Vec<u32> {
    let by_columns = |a: &usize, b: &usize| -> Ordering {
        compare_rows(columns.iter().map(|column| column[*a].cmp(&column[*b])))
    };
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by(by_columns);
    order.into_iter().map(|position| ids[position]).collect()
}
