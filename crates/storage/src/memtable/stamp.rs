//! What decides between rows that write the same cell.

use skywatch_model::Version;

/// The greater version wins; among equal versions the greater sequence, which counts how often the rows of a
/// measurement changed from one chunk to another. Rows with equal stamps are of the same layout, and the one that
/// arrived later wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) version: Version,
    pub(super) sequence: u32,
}

/// Stamps in order of arrival: each holds from its row on.
#[derive(Debug, Default)]
pub(super) struct StampRuns(Vec<(u32, Stamp)>);

impl StampRuns {
    /// Rows from `row` on have `stamp`.
    pub(super) fn push(&mut self, row: usize, stamp: Stamp) {
        if self.0.last().is_none_or(|(_, last)| *last != stamp) {
            self.0.push((row as u32, stamp));
        }
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u32, Stamp)>()
    }

    pub(super) fn of_row(&self, row: u32) -> Stamp {
        let after = self.0.partition_point(|(from, _)| *from <= row);
        self.0[after - 1].1
    }

    /// Those of `rows`, in this order; all are below `len`.
    pub(super) fn picked(&self, rows: &[u32], len: usize) -> Stamps {
        let visible = &self.0[..self.0.partition_point(|(from, _)| (*from as usize) < len)];
        if let [(_, only)] = visible {
            return Stamps::One(*only);
        }
        let mut number_of = vec![0u16; len];
        for (number, (from, _)) in visible.iter().enumerate() {
            let end = visible.get(number + 1).map_or(len, |(next, _)| *next as usize);
            number_of[*from as usize..end].fill(number as u16);
        }
        Stamps::Many {
            stamps: visible.iter().map(|(_, stamp)| *stamp).collect(),
            number_of: rows.iter().map(|row| number_of[*row as usize]).collect(),
        }
    }
}

/// The stamp of each of some rows.
#[derive(Debug)]
pub(super) enum Stamps {
    One(Stamp),
    /// By row, a position in the list. A chunk has no more stamps than rows, and those fit 16 bits.
    Many {
        stamps: Box<[Stamp]>,
        number_of: Box<[u16]>,
    },
}

impl Stamps {
    pub(super) fn get(&self, row: usize) -> Stamp {
        match self {
            Self::One(stamp) => *stamp,
            Self::Many { stamps, number_of } => stamps[number_of[row] as usize],
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many { stamps, number_of } => size_of_val(&**stamps) + size_of_val(&**number_of),
        }
    }
}
