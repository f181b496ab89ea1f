//! Tables leave their stream: `tableFind` and what is taken out of the table that it finds.

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use crate::{
    Call, Error, Record, Stream, Table, Value,
    evaluate::{apply, truth},
    function::{Builtin, piped, required},
    packages::{Library, no_constants},
};

/// Tables leave their stream: they are made at once, for an expression wants what they hold.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin { name: "tableFind", parameters: &[piped("tables"), required("fn")], run: table_find },
        Builtin { name: "getColumn", parameters: &[piped("table"), required("column")], run: get_column },
        Builtin { name: "getRecord", parameters: &[piped("table"), required("idx")], run: get_record },
        Builtin {
            name: "findColumn",
            parameters: &[piped("tables"), required("fn"), required("column")],
            run: find_column,
        },
        Builtin {
            name: "findRecord",
            parameters: &[piped("tables"), required("fn"), required("idx")],
            run: find_record,
        },
    ],
    constants: no_constants,
    text: "",
};

/// A value of a column as an element of an array, roughly.
const VALUE_BYTES: usize = size_of::<Value>();

/// The first table of `tables` for whose key `fn` holds.
fn found(call: &mut Call<'_, '_>) -> Result<Option<Table>, Error> {
    let function = call.function("fn")?;
    if function.parameter_names() != ["key"] {
        return Err(call.error("fn has to take one argument, key"));
    }
    let tables = call.stream("tables")?.tables(call.context)?;
    // A label that a table is not grouped by, though others are, is null.
    let labels: BTreeSet<Arc<str>> =
        tables.iter().flat_map(|table| table.key().members()).map(|member| member.label.clone()).collect();
    for table in tables.iter() {
        let value = |label: &Arc<str>| table.key().get(label).cloned().unwrap_or(Value::Null);
        let key = Record::new(labels.iter().map(|label| (label.clone(), value(label))));
        let arguments = vec![("key".into(), Value::Record(key))];
        let holds = apply(call.context, &function, arguments, call.span)?;
        if truth(&holds, call.span)? == Some(true) {
            return Ok(Some(table.clone()));
        }
    }
    Ok(None)
}

/// The one table of `table`; nothing where there are none.
fn only(call: &mut Call<'_, '_>) -> Result<Option<Table>, Error> {
    let tables = call.stream("table")?.tables(call.context)?;
    match tables.as_slice() {
        [] => Ok(None),
        [table] => Ok(Some(table.clone())),
        several => {
            let text =
                format!("a stream of {} tables is no table; choose one with tableFind()", several.len());
            Err(call.error(text))
        }
    }
}

fn table_find(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    match found(call)? {
        Some(table) => {
            let range = call.stream("tables")?.range();
            Ok(Value::Stream(Stream::ready(vec![table]).with_range(range)))
        }
        None => Err(call.error("no table found whose group key fn holds for")),
    }
}

fn values(call: &Call<'_, '_>, table: &Table, label: &str) -> Result<Option<Value>, Error> {
    let Some(column) = table.column(label) else { return Ok(None) };
    let _room = call.context.hold(column.rows().saturating_mul(VALUE_BYTES))?;
    Ok(Some(Value::array(column.iter().collect())))
}

fn record(table: &Table, index: i64) -> Option<Record> {
    let row = usize::try_from(index).ok().filter(|&row| row < table.rows())?;
    // Members of its own: a row that is not there any more has a table behind it.
    let row = Record::Row { table: Rc::new(table.take(&[row])), row: 0 };
    Some(Record::new(row.members()))
}

fn get_column(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string("column")?;
    let found = match only(call)? {
        Some(table) => values(call, &table, &label)?,
        None => return Err(call.error("there is no table")),
    };
    found.ok_or_else(|| call.error(format!("column \"{label}\" does not exist")))
}

fn get_record(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let index = call.int("idx")?;
    let table = only(call)?;
    let rows = table.as_ref().map_or(0, Table::rows);
    match table.and_then(|table| record(&table, index)) {
        Some(record) => Ok(record.into()),
        None => Err(call.error(format!("index {index} is out of bounds: the table has {rows} rows"))),
    }
}

fn find_column(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string("column")?;
    let values = match found(call)? {
        Some(table) => values(call, &table, &label)?,
        None => None,
    };
    Ok(values.unwrap_or_else(|| Value::array(Vec::new())))
}

fn find_record(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let index = call.int("idx")?;
    let record = found(call)?.and_then(|table| record(&table, index));
    Ok(record.unwrap_or_else(|| Record::new([])).into())
}
