//! Values of one type become values of another: `int()` and its like for single values, `toInt()` and its like for
//! the column `_value` of tables. And what else of single values needs no import.

mod convert;
mod plain;

pub(super) use convert::convert;

use crate::{
    Call, Column, Context, Error, Kind, Table, Value, Values,
    function::{Builtin, piped, required},
    functions::series::free_column,
    packages::{Library, no_constants},
    read::column_of,
};

const VALUE: &str = "_value";

/// Functions that make values of one type of those of another.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin { name: "bool", parameters: &[required("v")], run: |call| single(call, Kind::Bool) },
        Builtin { name: "int", parameters: &[required("v")], run: |call| single(call, Kind::Int) },
        Builtin { name: "uint", parameters: &[required("v")], run: |call| single(call, Kind::Uint) },
        Builtin { name: "float", parameters: &[required("v")], run: |call| single(call, Kind::Float) },
        Builtin { name: "string", parameters: &[required("v")], run: |call| single(call, Kind::String) },
        Builtin { name: "time", parameters: &[required("v")], run: |call| single(call, Kind::Time) },
        Builtin { name: "duration", parameters: &[required("v")], run: |call| single(call, Kind::Duration) },
        Builtin { name: "bytes", parameters: &[required("v")], run: |call| single(call, Kind::Bytes) },
        Builtin { name: "toBool", parameters: &[piped("tables")], run: |call| tables(call, Kind::Bool) },
        Builtin { name: "toInt", parameters: &[piped("tables")], run: |call| tables(call, Kind::Int) },
        Builtin { name: "toUInt", parameters: &[piped("tables")], run: |call| tables(call, Kind::Uint) },
        Builtin { name: "toFloat", parameters: &[piped("tables")], run: |call| tables(call, Kind::Float) },
        Builtin { name: "toString", parameters: &[piped("tables")], run: |call| tables(call, Kind::String) },
        Builtin { name: "toTime", parameters: &[piped("tables")], run: |call| tables(call, Kind::Time) },
        Builtin { name: "display", parameters: &[required("v")], run: plain::display },
        Builtin { name: "length", parameters: &[piped("arr")], run: plain::length },
        Builtin { name: "contains", parameters: &[required("value"), required("set")], run: plain::contains },
        Builtin { name: "die", parameters: &[required("msg")], run: plain::die },
    ],
    constants: no_constants,
    text: "",
};

fn single(call: &Call<'_, '_>, kind: Kind) -> Result<Value, Error> {
    convert(&call.value("v"), kind).map_err(|reason| call.error(reason))
}

fn tables(call: &Call<'_, '_>, kind: Kind) -> Result<Value, Error> {
    call.each_table(move |context, table, made| {
        made.push(converted(context, table, kind)?);
        Ok(())
    })
}

fn converted(context: &mut Context<'_>, table: &Table, kind: Kind) -> Result<Table, Error> {
    let column = table.existing(context, VALUE)?;
    if column.kind() == kind {
        return Ok(table.clone());
    }
    free_column(context, table, VALUE)?;
    let converted = match column.values() {
        Values::Repeat { value, rows, .. } => {
            let value = convert(value, kind).map_err(|reason| context.error(reason))?;
            Column::repeat(VALUE.into(), kind, value, *rows)
        }
        _ => {
            let mut values = Vec::with_capacity(column.rows());
            for (row, value) in column.iter().enumerate() {
                context.check()?;
                let value = convert(&value, kind);
                values.push(value.map_err(|reason| context.error(format!("row {row}: {reason}")))?);
            }
            column_of(VALUE, kind, values)
        }
    };
    Ok(table.clone().with_column(converted))
}
