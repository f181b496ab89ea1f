//! Rows with the least and the greatest values.

use super::choose;
use crate::{
    Call, Cells, Column, Error, Kind, ReductionFunction, Value, Values,
    functions::rows::{RowOrder, rows_argument, sort_columns},
};

pub(super) fn min(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    choose(call, ReductionFunction::Min, |column| Extreme::Least.find(column))
}

pub(super) fn max(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    choose(call, ReductionFunction::Max, |column| Extreme::Greatest.find(column))
}

#[derive(Clone, Copy)]
enum Extreme {
    Least,
    Greatest,
}

impl Extreme {
    /// The first row with the extreme value; `None` if no row has a value.
    fn find(self, column: &Column) -> Result<Option<usize>, String> {
        Ok(match column.values() {
            Values::Int(cells) | Values::Time(cells) => self.row(cells),
            Values::Uint(cells) => self.row(cells),
            // What is no number is neither, unless there is nothing else.
            Values::Float(cells) => self.row_of(cells, |value| !value.is_nan()).or_else(|| self.row(cells)),
            Values::Repeat { kind: Kind::Int | Kind::Uint | Kind::Float | Kind::Time, value, rows } => {
                (*rows > 0 && !value.is_null()).then_some(0)
            }
            _ => {
                let (label, kind) = (column.label(), column.kind().name());
                return Err(format!("column \"{label}\" is of type {kind}, not int, uint, float or time"));
            }
        })
    }

    fn row<T: PartialOrd + Copy>(self, cells: &Cells<T>) -> Option<usize> {
        self.row_of(cells, |_| true)
    }

    fn row_of<T: PartialOrd + Copy>(self, cells: &Cells<T>, counts: impl Fn(&T) -> bool) -> Option<usize> {
        let mut best: Option<(usize, T)> = None;
        for (row, value) in cells.iter().enumerate() {
            let Some(&value) = value.filter(|&value| counts(value)) else { continue };
            let is_better = best.is_none_or(|(_, best)| match self {
                Self::Least => value < best,
                Self::Greatest => value > best,
            });
            if is_better {
                best = Some((row, value));
            }
        }
        best.map(|(row, _)| row)
    }
}

pub(super) fn top(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    first_in_order(call, true)
}

pub(super) fn bottom(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    first_in_order(call, false)
}

/// What `sort` and `limit` would leave, without sorting the rest.
fn first_in_order(call: &Call<'_, '_>, descending: bool) -> Result<Value, Error> {
    let count = rows_argument(call, "n")?;
    let columns = sort_columns(call)?;
    call.each_table(move |context, table, made| {
        if table.is_empty() || count == 0 {
            return Ok(());
        }
        let order = RowOrder::new(table, &columns, descending);
        let compare = |left: &usize, right: &usize| order.compare(*left, *right).then(left.cmp(right));
        let _room = context.hold(table.rows().saturating_mul(size_of::<usize>()))?;
        let mut rows: Vec<usize> = (0..table.rows()).collect();
        if count < rows.len() {
            rows.select_nth_unstable_by(count - 1, compare);
            rows.truncate(count);
        }
        rows.sort_unstable_by(compare);
        made.push(table.take(&rows));
        Ok(())
    })
}
