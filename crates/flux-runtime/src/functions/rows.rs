//! Functions that choose and order rows of a table.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    Call, Column, Error, Table, Value,
    function::{Builtin, optional, piped, required},
    packages::{Library, no_constants},
};

/// Functions that choose and order rows of a table.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "sort",
            parameters: &[piped("tables"), optional("columns"), optional("desc")],
            run: sort,
        },
        Builtin {
            name: "limit",
            parameters: &[piped("tables"), required("n"), optional("offset")],
            run: limit,
        },
        Builtin {
            name: "tail",
            parameters: &[piped("tables"), required("n"), optional("offset")],
            run: tail,
        },
    ],
    constants: no_constants,
    text: "",
};

fn sort(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let columns = sort_columns(call)?;
    let descending = call.bool_or("desc", false)?;
    call.each_table(move |context, table, made| {
        let order = RowOrder::new(table, &columns, descending);
        if (1..table.rows()).all(|row| order.compare(row - 1, row).is_le()) {
            made.push(table.clone());
            return Ok(());
        }
        let _room = context.hold(table.rows().saturating_mul(size_of::<usize>()))?;
        let mut rows: Vec<usize> = (0..table.rows()).collect();
        rows.sort_by(|&left, &right| order.compare(left, right));
        made.push(table.take(&rows));
        Ok(())
    })
}

/// The argument `columns` of what sorts.
pub(super) fn sort_columns(call: &Call<'_, '_>) -> Result<Vec<Arc<str>>, Error> {
    Ok(call.opt_strings("columns")?.unwrap_or_else(|| vec!["_value".into()]))
}

/// How rows of a table are ordered: by its columns, the first that tells two apart counts. Those that the table lacks
/// tell nothing apart.
pub(super) struct RowOrder<'t> {
    columns: Vec<&'t Column>,
    descending: bool,
}

impl<'t> RowOrder<'t> {
    pub(super) fn new(table: &'t Table, columns: &[Arc<str>], descending: bool) -> Self {
        let columns = columns.iter().filter_map(|label| table.column(label)).collect();
        Self { columns, descending }
    }

    pub(super) fn compare(&self, left: usize, right: usize) -> Ordering {
        let orders = self.columns.iter().map(|column| column.compare(left, right));
        let order = orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
        if self.descending { order.reverse() } else { order }
    }
}

fn limit(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (count, offset) = (rows_argument(call, "n")?, rows_argument(call, "offset")?);
    call.each_table(move |_, table, made| {
        made.push(between(table, offset, offset.saturating_add(count)));
        Ok(())
    })
}

fn tail(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (count, offset) = (rows_argument(call, "n")?, rows_argument(call, "offset")?);
    call.each_table(move |_, table, made| {
        let end = table.rows().saturating_sub(offset);
        made.push(between(table, end.saturating_sub(count), end));
        Ok(())
    })
}

/// A number of rows; none where it was not given.
pub(super) fn rows_argument(call: &Call<'_, '_>, name: &str) -> Result<usize, Error> {
    let rows = call.opt_int(name)?.unwrap_or(0);
    usize::try_from(rows).map_err(|_| call.error(format!("{name} must not be negative, but is {rows}")))
}

/// The rows from `start` to before `end`, as far as there are.
fn between(table: &Table, start: usize, end: usize) -> Table {
    let end = end.min(table.rows());
    if start == 0 && end == table.rows() {
        return table.clone();
    }
    let rows: Vec<usize> = (start..end).collect();
    table.take(&rows)
}
