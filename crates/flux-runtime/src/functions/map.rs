//! Rows are made of rows.

mod collect;

use std::{rc::Rc, sync::Arc};

pub(super) use collect::Rows;

use super::group::{Gathered, split};
use crate::{
    Call, Column, Context, Error, Kind, Record, Table, Value, empty_column,
    evaluate::RowFunction,
    function::{Builtin, optional, piped, required},
    packages::{Library, no_constants},
};

/// Rows are made of rows.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[Builtin {
        name: "map",
        parameters: &[piped("tables"), required("fn"), optional("mergeKey")],
        run: map,
    }],
    constants: no_constants,
    text: "",
};

fn map(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let function = RowFunction::new(&call.function("fn")?, call.span)?;
    let merges_key = call.bool_or("mergeKey", false)?;
    call.all_tables(move |context, tables| {
        let mut gathered = Gathered::default();
        for table in tables {
            context.check()?;
            let mapped = mapped(context, &function, table, merges_key)?;
            split(context, &mapped, |label| table.key().has(label), |part| gathered.add(part))?;
        }
        gathered.finish(context)
    })
}

/// What a function makes of a table's rows. The key is the table's as far as its columns are left; their values may
/// have changed.
fn mapped(
    context: &mut Context<'_>,
    function: &RowFunction,
    table: &Table,
    merges_key: bool,
) -> Result<Table, Error> {
    let columns = if table.is_empty() {
        columns_of_none(context, function, table)
    } else {
        let mut rows = Rows::default();
        for record in table.records() {
            let made = function.call(context, record)?;
            rows.push(context, made)?;
        }
        rows.finish(|label| table.kind_of(label))
    };
    let rows = if table.is_empty() { 0 } else { table.rows() };
    let mut made = Table::new(table.key().clone(), columns);
    if merges_key {
        for column in table.key_columns(rows) {
            if made.column(column.label()).is_none() {
                made = made.with_column(column);
            }
        }
    }
    let left = made.key().filtered(|label| made.column(label).is_some());
    Ok(made.with_key(left))
}

/// The columns that a function would make of a table's rows if there were any: those it makes of a row without values.
fn columns_of_none(context: &mut Context<'_>, function: &RowFunction, table: &Table) -> Vec<Column> {
    let nulls = table.columns().iter().map(|column| {
        let value = table.key().get(column.label()).cloned().unwrap_or(Value::Null);
        Column::repeat(Arc::clone(column.label()), column.kind(), value, 1)
    });
    let row = Rc::new(Table::new(table.key().clone(), nulls.collect()));
    let Ok(Value::Record(record)) = function.call(context, Record::Row { table: row, row: 0 }) else {
        return table.key_columns(0);
    };
    let members = record.members().into_iter();
    members
        .map(|(label, value)| {
            let kind = match value.kind() {
                Kind::Null => table.kind_of(&label).unwrap_or(Kind::String),
                kind => kind,
            };
            empty_column(label, kind)
        })
        .collect()
}
