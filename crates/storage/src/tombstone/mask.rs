//! Tombstones applied to rows. Pure.

use skywatch_model::{Column, TimeRange, Version};

use crate::merge::{Rows, Versions, gather};

/// A tombstone as it concerns rows of one series at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) range: TimeRange,
    pub(crate) version: Version,
}

impl Mask {
    fn covers(&self, time: i64, version: Version) -> bool {
        version < self.version && self.range.contains(time)
    }
}

/// What masks leave of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it.
    Whole,
    /// Perhaps not all; its rows have to be looked at.
    Part,
    /// Nothing.
    Gone,
}

/// The fate of a block with a row at each end of `range`, and with one `version` unless its cells have several.
pub(crate) fn fate(masks: &[Mask], range: TimeRange, version: Option<Version>) -> Fate {
    let mut ranges: Vec<TimeRange> = masks
        .iter()
        .filter(|mask| mask.range.overlaps(range) && version.is_none_or(|version| version < mask.version))
        .map(|mask| mask.range)
        .collect();
    if ranges.is_empty() {
        return Fate::Whole;
    }
    if version.is_none() {
        return Fate::Part;
    }
    ranges.sort_unstable_by_key(|range| range.start);
    // The first time that no mask so far covers.
    let mut open = Some(range.start);
    for mask in ranges {
        match open {
            Some(time) if mask.start <= time => open = mask.end.max(time.saturating_sub(1)).checked_add(1),
            Some(_) => return Fate::Part,
            None => return Fate::Gone,
        }
    }
    if open.is_none_or(|time| time > range.end) { Fate::Gone } else { Fate::Part }
}

/// The rows, without the cells that a mask covers and without rows that lose all their cells.
pub(crate) fn mask(rows: Rows, masks: &[Mask]) -> Rows {
    let (Some(first), Some(last)) = (rows.times.first(), rows.times.last()) else {
        return rows;
    };
    let span = TimeRange::new(*first, *last);
    let masks: Vec<Mask> = masks.iter().filter(|mask| mask.range.overlaps(span)).copied().collect();
    if masks.is_empty() {
        return rows;
    }
    let len = rows.times.len();
    let by_cell = matches!(rows.versions, Versions::Cells(_));
    let lives = |row: usize| {
        if by_cell {
            (0..rows.columns.len()).any(|column| cell_lives(&rows, column, row, &masks))
        } else {
            row_lives(&rows, row, &masks)
        }
    };
    let kept: Vec<usize> = (0..len).filter(|row| lives(*row)).collect();
    if kept.len() == len && !by_cell {
        return rows;
    }
    let column = |index: usize, column: &Column| {
        let picks: Vec<Option<(usize, usize)>> = kept
            .iter()
            .map(|row| {
                let lives =
                    if by_cell { cell_lives(&rows, index, *row, &masks) } else { column.is_valid(*row) };
                lives.then_some((0, *row))
            })
            .collect();
        gather(&[Some(column)], picks.into_iter())
    };
    let columns = rows.columns.iter().enumerate().map(|(index, it)| column(index, it.as_ref()?)).collect();
    let of_kept = |versions: &Vec<Version>| match versions.len() {
        0 => Vec::new(),
        _ => kept.iter().map(|row| versions[*row]).collect(),
    };
    let versions = match &rows.versions {
        Versions::Uniform(version) => Versions::Uniform(*version),
        Versions::Rows(versions) => Versions::Rows(of_kept(versions)),
        Versions::Cells(cells) => Versions::Cells(cells.iter().map(of_kept).collect()),
    };
    Rows { times: kept.iter().map(|row| rows.times[*row]).collect(), columns, versions }
}

/// Whether a row or cell is left after [`mask`].
pub(crate) fn survives(rows: &Rows, masks: &[Mask]) -> bool {
    (0..rows.times.len()).any(|row| match rows.versions {
        Versions::Cells(_) => (0..rows.columns.len()).any(|column| cell_lives(rows, column, row, masks)),
        Versions::Uniform(_) | Versions::Rows(_) => row_lives(rows, row, masks),
    })
}

fn row_lives(rows: &Rows, row: usize, masks: &[Mask]) -> bool {
    // All cells of the row have this version.
    let version = rows.versions.get(0, row);
    !masks.iter().any(|mask| mask.covers(rows.times[row], version))
}

fn cell_lives(rows: &Rows, column: usize, row: usize, masks: &[Mask]) -> bool {
    rows.columns[column].as_ref().is_some_and(|values| values.is_valid(row)) && {
        let version = rows.versions.get(column, row);
        !masks.iter().any(|mask| mask.covers(rows.times[row], version))
    }
}
