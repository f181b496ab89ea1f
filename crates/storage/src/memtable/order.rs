//! Puts rows in order: by series, then time; of rows with the same series and time only the one that wins.

use crate::rows::SeriesId;

/// See the module's header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Rows that are kept, in order.
    pub(super) rows: Vec<u32>,
    /// Their times.
    pub(super) times: Vec<i64>,
    pub(super) directory: Directory,
}

/// Where the rows of each series are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    /// Ascending.
    series: Vec<SeriesId>,
    /// One more than there are series.
    starts: Vec<u32>,
}

impl Directory {
    /// The rows of a series.
    pub(super) fn find(&self, series: SeriesId) -> Option<std::ops::Range<usize>> {
        // Numbers are distinct, so a series is not further from the first than its number is; where there are no
        // gaps it is exactly there.
        let first = self.series.first()?;
        let bound = (series.0.checked_sub(first.0)? as usize).min(self.series.len() - 1);
        let at = if self.series[bound] == series {
            bound
        } else {
            self.series[..bound].binary_search(&series).ok()?
        };
        Some(self.starts[at] as usize..self.starts[at + 1] as usize)
    }

    /// The series, ascending.
    pub(super) fn series(&self) -> &[SeriesId] {
        &self.series
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        (self.series.capacity() + self.starts.capacity()) * 4
    }

    fn push(&mut self, series: SeriesId, start: usize) {
        self.series.push(series);
        self.starts.push(start as u32);
    }
}

/// Orders rows given in order of arrival. `wins(a, b)` tells whether row `b`, which arrived after row `a`, replaces it.
pub(super) fn order(series: &[SeriesId], times: &[i64], wins: impl Fn(u32, u32) -> bool) -> Order {
    let rows = by_series(series);
    let in_order = rows.iter().map(|row| times[*row as usize]).collect();
    let mut order = Order { rows, times: in_order, directory: Directory::default() };
    let mut kept = 0;
    let mut start = 0;
    while start < order.rows.len() {
        let id = series[order.rows[start] as usize];
        let mut end = start + 1;
        let mut ascends = true;
        while end < order.rows.len() && series[order.rows[end] as usize] == id {
            ascends &= order.times[end - 1] < order.times[end];
            end += 1;
        }
        order.directory.push(id, kept);
        if !ascends {
            order.rows[start..end].sort_unstable_by_key(|row| (times[*row as usize], *row));
        }
        if ascends && kept == start {
            kept = end;
        } else {
            kept = order.compact(start, end, kept, times, &wins);
        }
        start = end;
    }
    order.rows.truncate(kept);
    order.times.truncate(kept);
    order.directory.starts.push(kept as u32);
    order.directory.series.shrink_to_fit();
    order.directory.starts.shrink_to_fit();
    order.times.shrink_to_fit();
    order
}

impl Order {
    /// Moves the rows `start..end`, of one series and in order, to `kept`, without those that are replaced; returns
    /// where the next go.
    fn compact(
        &mut self,
        start: usize,
        end: usize,
        mut kept: usize,
        times: &[i64],
        wins: impl Fn(u32, u32) -> bool,
    ) -> usize {
        let first = kept;
        for index in start..end {
            let row = self.rows[index];
            let time = times[row as usize];
            if kept > first && self.times[kept - 1] == time {
                if wins(self.rows[kept - 1], row) {
                    self.rows[kept - 1] = row;
                }
            } else {
                self.rows[kept] = row;
                self.times[kept] = time;
                kept += 1;
            }
        }
        kept
    }
}

/// The positions sorted by series, those of one series in order of arrival.
fn by_series(series: &[SeriesId]) -> Vec<u32> {
    let (Some(least), Some(greatest)) = (series.iter().min(), series.iter().max()) else {
        return Vec::new();
    };
    let span = (greatest.0 - least.0) as usize;
    if span > 4 * series.len() + 1024 {
        // Few of many: a table by number would be mostly empty.
        let mut keys: Vec<u64> =
            series.iter().enumerate().map(|(row, id)| u64::from(id.0) << 32 | row as u64).collect();
        keys.sort_unstable();
        return keys.into_iter().map(|key| key as u32).collect();
    }
    let mut next = vec![0u32; span + 2];
    for id in series {
        next[(id.0 - least.0) as usize + 1] += 1;
    }
    for index in 1..next.len() {
        next[index] += next[index - 1];
    }
    let mut rows = vec![0u32; series.len()];
    for (row, id) in series.iter().enumerate() {
        let at = &mut next[(id.0 - least.0) as usize];
        rows[*at as usize] = row as u32;
        *at += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_ordered_and_winners_kept(
            rows in prop::collection::vec((prop_oneof![0u32..6, Just(4_000_000_000)], -3i64..4, 0u32..3), 0..40),
        ) {
            let series: Vec<SeriesId> = rows.iter().map(|(id, ..)| SeriesId(*id)).collect();
            let times: Vec<i64> = rows.iter().map(|(_, time, _)| *time).collect();
            let wins = |a: u32, b: u32| rows[b as usize].2 >= rows[a as usize].2;
            let mut expected = std::collections::BTreeMap::new();
            for (row, (id, time, _)) in rows.iter().enumerate() {
                let winner = expected.entry((*id, *time)).or_insert(row as u32);
                if wins(*winner, row as u32) {
                    *winner = row as u32;
                }
            }
            let found = order(&series, &times, wins);
            prop_assert_eq!(&found.rows, &expected.values().copied().collect::<Vec<_>>());
            prop_assert_eq!(&found.times, &expected.keys().map(|(_, time)| *time).collect::<Vec<_>>());
            for id in 0..7 {
                let inside = expected.keys().filter(|(series, _)| *series == id).count();
                let range = found.directory.find(SeriesId(id));
                prop_assert_eq!(range.clone().map_or(0, |range| range.len()), inside);
                prop_assert!(range.unwrap_or(0..0).all(|at| series[found.rows[at] as usize] == SeriesId(id)));
            }
            prop_assert!(found.directory.series().is_sorted());
        }
    }
}
