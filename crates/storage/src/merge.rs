//! Rows of one series, and what several sources of them say together.
//!
//! A cell's value is that of its greatest version; among equal versions the later source wins, and within a source
//! the later row. [`Version::ZERO`] marks *settled* cells: every owner agrees on them, so nothing that arrives later
//! is older, and their order is that of the sources alone.

use std::ops::Range;

use skywatch_model::{Bitmap, Column, Values, Version};

/// Versions of the cells of [`Rows`], as coarse as is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Versions {
    /// All cells have this one.
    Uniform(Version),
    /// All cells of a row have the same one.
    Rows(Vec<Version>),
    /// By column and row; what stands where there is no value does not matter. Empty for absent columns.
    Cells(Vec<Vec<Version>>),
}

impl Versions {
    /// Of cells everybody agrees on.
    pub(crate) const SETTLED: Self = Self::Uniform(Version::ZERO);

    pub(crate) fn get(&self, column: usize, row: usize) -> Version {
        match self {
            Self::Uniform(version) => *version,
            Self::Rows(versions) => versions[row],
            Self::Cells(columns) => columns[column][row],
        }
    }

    /// Those of these rows.
    pub(crate) fn slice(self, rows: &Range<usize>) -> Self {
        let of_rows = |versions: Vec<Version>| {
            // Those of an absent column are empty.
            versions.get(rows.clone()).map_or_else(Vec::new, <[_]>::to_vec)
        };
        match self {
            Self::Uniform(version) => Self::Uniform(version),
            Self::Rows(versions) => Self::Rows(of_rows(versions)),
            Self::Cells(columns) => Self::Cells(columns.into_iter().map(of_rows).collect()),
        }
    }

    /// The same, coarser where that is exact. `columns` are those the versions belong to.
    fn coarsen(self, columns: &[Option<Column>], rows: usize) -> Self {
        let by_row = match self {
            Self::Cells(cells) => match common_rows(&cells, columns, rows) {
                Some(by_row) => by_row,
                None => return Self::Cells(cells),
            },
            Self::Rows(by_row) => by_row,
            Self::Uniform(_) => return self,
        };
        match by_row.first() {
            Some(first) if by_row.iter().all(|version| version == first) => Self::Uniform(*first),
            None => Self::SETTLED,
            Some(_) => Self::Rows(by_row),
        }
    }
}

/// One version per row, if no row has two.
fn common_rows(cells: &[Vec<Version>], columns: &[Option<Column>], rows: usize) -> Option<Vec<Version>> {
    (0..rows)
        .map(|row| {
            let mut found = None;
            for (versions, column) in cells.iter().zip(columns) {
                if column.as_ref().is_some_and(|column| column.is_valid(row)) {
                    if found.is_some_and(|found| found != versions[row]) {
                        return None;
                    }
                    found = Some(versions[row]);
                }
            }
            Some(found.unwrap_or(Version::ZERO))
        })
        .collect()
}

/// Rows of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    /// Ascending; equal neighbours only before [`merge`].
    pub(crate) times: Vec<i64>,
    /// By wanted field.
    pub(crate) columns: Vec<Option<Column>>,
    pub(crate) versions: Versions,
}

impl Rows {
    fn is_distinct(&self) -> bool {
        self.times.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// Of the cells that there are in a column.
    pub(crate) fn cell_versions(&self, column: usize) -> impl Iterator<Item = Version> + '_ {
        let values = self.columns.get(column).and_then(Option::as_ref);
        let valid = move |row: &usize| values.is_some_and(|values| values.is_valid(*row));
        (0..self.times.len()).filter(valid).map(move |row| self.versions.get(column, row))
    }

    /// Drops rows that have no value in any column.
    pub(crate) fn without_empty_rows(mut self) -> Self {
        let all_valid =
            |column: &Option<Column>| column.as_ref().is_some_and(|column| column.valid.is_none());
        if self.columns.iter().any(all_valid) {
            return self;
        }
        let valid = |row: usize| self.columns.iter().flatten().any(|column| column.is_valid(row));
        let kept: Vec<usize> = (0..self.times.len()).filter(|row| valid(*row)).collect();
        if kept.len() == self.times.len() {
            return self;
        }
        self.times = kept.iter().map(|row| self.times[*row]).collect();
        for column in &mut self.columns {
            *column = column.take().and_then(|column| {
                let picks = kept.iter().map(|row| column.is_valid(*row).then_some((0, *row)));
                gather(&[Some(&column)], picks)
            });
        }
        self.versions = Versions::SETTLED;
        self
    }
}

/// What `sources`, oldest first, say together. All have the same columns, of the same types. Versions are worked
/// out only if `keep_versions`; else the result is called settled.
pub(crate) fn merge(mut sources: Vec<Rows>, keep_versions: bool) -> Rows {
    if sources.len() == 1
        && let Some(only) = sources.pop_if(|only| only.is_distinct())
    {
        let versions = if keep_versions {
            only.versions.coarsen(&only.columns, only.times.len())
        } else {
            Versions::SETTLED
        };
        return Rows { versions, ..only };
    }
    if !keep_versions && follow_each_other(&sources) {
        return concat(sources);
    }
    let entries = sorted_entries(&sources);
    let mut starts: Vec<usize> = (0..entries.len())
        .filter(|&index| index == 0 || entries[index].time != entries[index - 1].time)
        .collect();
    let times: Vec<i64> = starts.iter().map(|start| entries[*start].time).collect();
    starts.push(entries.len());
    let width = sources.first().map_or(0, |source| source.columns.len());
    let mut columns = Vec::with_capacity(width);
    let mut cells = Vec::new();
    for column in 0..width {
        let picks: Vec<Option<(usize, usize)>> =
            starts.windows(2).map(|group| pick(&sources, &entries[group[0]..group[1]], column)).collect();
        let inputs: Vec<Option<&Column>> =
            sources.iter().map(|source| source.columns[column].as_ref()).collect();
        columns.push(gather(&inputs, picks.iter().copied()));
        if keep_versions {
            let version = |pick: &Option<(usize, usize)>| {
                pick.map_or(Version::ZERO, |(source, row)| sources[source].versions.get(column, row))
            };
            cells.push(picks.iter().map(version).collect());
        }
    }
    let versions =
        if keep_versions { Versions::Cells(cells).coarsen(&columns, times.len()) } else { Versions::SETTLED };
    Rows { times, columns, versions }
}

/// Whether no time occurs twice, and each source ends before the next begins.
fn follow_each_other(sources: &[Rows]) -> bool {
    let ends = |rows: &Rows| (rows.times.first().copied(), rows.times.last().copied());
    sources.windows(2).all(|pair| match (ends(&pair[0]), ends(&pair[1])) {
        ((_, Some(end)), (Some(start), _)) => end < start,
        _ => false,
    }) && sources.iter().all(Rows::is_distinct)
}

/// One after the other, settled.
fn concat(sources: Vec<Rows>) -> Rows {
    let width = sources.first().map_or(0, |source| source.columns.len());
    let mut times = Vec::with_capacity(sources.iter().map(|source| source.times.len()).sum());
    let mut columns: Vec<Option<Column>> = vec![None; width];
    for source in sources {
        let (before, after) = (times.len(), times.len() + source.times.len());
        times.extend(source.times);
        for (column, more) in columns.iter_mut().zip(source.columns) {
            match (column.as_mut(), more) {
                (None, None) => {}
                (Some(column), None) => column.pad(after),
                (Some(column), Some(more)) => column.append(more),
                (None, Some(more)) => {
                    let mut start = Column { values: Values::empty(more.values.field_type()), valid: None };
                    start.pad(before);
                    start.append(more);
                    *column = Some(start);
                }
            }
        }
    }
    Rows { times, columns, versions: Versions::SETTLED }
}

#[derive(Debug, Clone, Copy)]
struct EntryRef {
    time: i64,
    source: u32,
    row: u32,
}

/// Every row of every source by time, then source, then row.
fn sorted_entries(sources: &[Rows]) -> Vec<EntryRef> {
    let mut entries = Vec::with_capacity(sources.iter().map(|source| source.times.len()).sum());
    for (source, rows) in sources.iter().enumerate() {
        let rows = rows.times.iter().enumerate();
        entries.extend(rows.map(|(row, time)| EntryRef {
            time: *time,
            source: source as u32,
            row: row as u32,
        }));
    }
    // Stable, and linear on runs that are already sorted.
    entries.sort_by_key(|entry| entry.time);
    entries
}

/// The winning cell among the rows of one time.
fn pick(sources: &[Rows], entries: &[EntryRef], column: usize) -> Option<(usize, usize)> {
    let mut best: Option<(Version, (usize, usize))> = None;
    for entry in entries {
        let (source, row) = (entry.source as usize, entry.row as usize);
        let rows = &sources[source];
        if !rows.columns[column].as_ref().is_some_and(|values| values.is_valid(row)) {
            continue;
        }
        if entries.len() == 1 {
            return Some((source, row));
        }
        let version = rows.versions.get(column, row);
        if best.is_none_or(|(best, _)| version >= best) {
            best = Some((version, (source, row)));
        }
    }
    best.map(|(_, cell)| cell)
}

/// The picked cells as one column; `None` if nothing was picked.
pub(crate) fn gather(
    inputs: &[Option<&Column>],
    picks: impl ExactSizeIterator<Item = Option<(usize, usize)>> + Clone,
) -> Option<Column> {
    if picks.clone().all(|pick| pick.is_none()) {
        return None;
    }
    let mut valid = None;
    for (index, pick) in picks.clone().enumerate() {
        if pick.is_none() {
            valid.get_or_insert_with(|| Bitmap::filled(picks.len(), true)).set(index, false);
        }
    }
    let first = inputs.iter().flatten().next()?;
    macro_rules! collect {
        ($variant:ident) => {{
            let slices: Vec<&[_]> = inputs
                .iter()
                .map(|input| match input {
                    Some(Column { values: Values::$variant(values), .. }) => values.as_slice(),
                    Some(_) | None => &[],
                })
                .collect();
            Values::$variant(
                picks
                    .map(|pick| pick.map_or_else(Default::default, |(input, row)| slices[input][row].clone()))
                    .collect(),
            )
        }};
    }
    let values = match &first.values {
        Values::Float(_) => collect!(Float),
        Values::Integer(_) => collect!(Integer),
        Values::Unsigned(_) => collect!(Unsigned),
        Values::String(_) => collect!(String),
        Values::Boolean(_) => collect!(Boolean),
    };
    Some(Column { values, valid })
}

#[cfg(test)]
mod tests;
