//! A table becomes one table for each window that its rows lie in.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashSet;

use super::bounds::{Every, Overlapping};
use crate::{
    Column, Context, Error, Kind, Table, Tables, Value, Values, functions::sources::time_column,
    memory::Charge,
};

/// How tables are cut.
pub(super) struct Cut {
    pub(super) every: Every,
    pub(super) labels: Labels,
    /// Whether a window without rows has a table too.
    pub(super) create_empty: bool,
}

/// Names of columns.
pub(super) struct Labels {
    /// Says which window a row lies in.
    pub(super) time: Arc<str>,
    /// Takes a window's begin.
    pub(super) start: Arc<str>,
    /// Takes its end.
    pub(super) stop: Arc<str>,
}

/// The time that a table itself says it is of, in `_start` and `_stop`.
pub(super) fn range_of(table: &Table) -> Option<(i64, i64)> {
    let start = times_of(table, "_start").min()?;
    let stop = times_of(table, "_stop").max()?;
    Some((start, stop))
}

fn times_of<'t>(table: &'t Table, label: &str) -> Box<dyn Iterator<Item = i64> + 't> {
    let time = |value: Value| if let Value::Time(time) = value { Some(time) } else { None };
    match (table.key().get(label), table.column(label)) {
        (Some(value), _) => Box::new(time(value.clone()).into_iter()),
        (None, Some(column)) => Box::new(column.iter().filter_map(time)),
        (None, None) => Box::new(std::iter::empty()),
    }
}

impl Cut {
    /// The tables of a table's windows, in their order, each clipped to `range`: rows of `subject`, which has as many
    /// as the table whose times count.
    pub(super) fn tables(
        &self,
        context: &mut Context<'_>,
        timed: &Table,
        subject: &Table,
        range: Option<(i64, i64)>,
    ) -> Result<Tables, Error> {
        let times = time_column(context, timed, &self.labels.time)?;
        let mut held = Vec::new();
        let mut rows_of: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        if self.create_empty {
            let Some((start, stop)) = range else {
                return Err(context.error("createEmpty needs a range: call range() before"));
            };
            self.add_empty(context, subject, self.every.overlapping(start, stop), &mut rows_of, &mut held)?;
        }
        self.assign(context, &times, &mut rows_of, &mut held)?;
        let mut made = Tables::with_capacity(rows_of.len());
        let mut known = FxHashSet::default();
        for (window, rows) in rows_of {
            context.check()?;
            let (start, stop) = if self.every.is_all() {
                range.unwrap_or((i64::MIN, i64::MAX))
            } else {
                let (start, stop) = self.every.bounds(window);
                range.map_or((start, stop), |(first, end)| (start.max(first), stop.min(end)))
            };
            // Windows that reach beyond the range on both sides are one there.
            if start < stop && known.insert((start, stop)) {
                made.push(self.table(subject, &rows, start, stop));
            }
        }
        Ok(made)
    }

    fn add_empty(
        &self,
        context: &mut Context<'_>,
        table: &Table,
        windows: Overlapping<'_>,
        rows_of: &mut BTreeMap<i64, Vec<usize>>,
        held: &mut Vec<Charge>,
    ) -> Result<(), Error> {
        const COLUMN_BYTES: usize = 160;
        let count = windows.size_hint().1.unwrap_or(usize::MAX);
        let bytes = COLUMN_BYTES * (table.columns().len() + 2);
        held.push(context.hold(count.saturating_mul(bytes))?);
        rows_of.extend(windows.map(|window| (window, Vec::new())));
        Ok(())
    }

    /// Finds the windows of every row; a row without a time is in none.
    fn assign(
        &self,
        context: &mut Context<'_>,
        times: &Column,
        rows_of: &mut BTreeMap<i64, Vec<usize>>,
        held: &mut Vec<Charge>,
    ) -> Result<(), Error> {
        const HELD_ROWS: usize = 65_536;
        let mut assigned = 0;
        let mut place = |context: &mut Context<'_>, time: i64, rows: &[usize]| {
            let mut windows = self.every.around(time);
            for window in &mut windows {
                context.check()?;
                rows_of.entry(window).or_default().extend_from_slice(rows);
                assigned += rows.len();
                if assigned >= HELD_ROWS {
                    held.push(context.hold(assigned * size_of::<usize>())?);
                    assigned = 0;
                }
            }
            Ok::<i64, Error>(windows.until())
        };
        // As long as times stay in here, the windows are the same, and rows wait to be placed at once.
        let mut same = 0..0;
        let mut waiting: Vec<usize> = Vec::new();
        for row in 0..times.rows() {
            let Some(time) = time_at(times, row) else { continue };
            if same.contains(&time) {
                waiting.push(row);
                continue;
            }
            if !waiting.is_empty() {
                place(context, same.start, &waiting)?;
                waiting.clear();
            }
            same = time..place(context, time, &[row])?;
        }
        if !waiting.is_empty() {
            place(context, same.start, &waiting)?;
        }
        Ok(())
    }

    fn table(&self, table: &Table, rows: &[usize], start: i64, stop: i64) -> Table {
        let bounds = [(&self.labels.start, start), (&self.labels.stop, stop)];
        let bound = |label: &Arc<str>, time| {
            Column::repeat(Arc::clone(label), Kind::Time, Value::Time(time), rows.len())
        };
        let all = rows.len() == table.rows();
        let columns = table.columns().iter().map(|column| {
            match bounds.iter().find(|(label, _)| *label == column.label()) {
                Some((label, time)) => bound(label, *time),
                None if all => column.clone(),
                None => column.take(rows),
            }
        });
        let mut columns: Vec<Column> = columns.collect();
        let mut key = table.key().clone();
        for (label, time) in bounds {
            if table.column(label).is_none() {
                columns.push(bound(label, time));
            }
            key = key.with(Arc::clone(label), Kind::Time, Value::Time(time));
        }
        Table::new(key, columns)
    }
}

fn time_at(times: &Column, row: usize) -> Option<i64> {
    match times.values() {
        Values::Time(cells) => cells.get(row).copied(),
        _ => match times.get(row) {
            Value::Time(time) => Some(time),
            _ => None,
        },
    }
}
