//! Streams are joined.

mod condition;
mod package;

use std::{collections::BTreeMap, sync::Arc};

use super::group::{Gathered, merged};
use crate::{
    Call, Column, Context, Error, GroupKey, KeyColumn, Kind, Stream, Table, Tables, Value,
    function::{Builtin, Parameter, optional, piped, required},
    packages::{Library, no_constants},
    value::Ordered,
};

/// Streams are joined.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "join",
            parameters: &[piped("tables"), optional("on"), optional("method")],
            run: join,
        },
        Builtin { name: "union", parameters: &[required("tables")], run: union },
    ],
    constants: no_constants,
    text: "",
};

/// Package join.
pub(crate) static PACKAGE: Library = Library {
    path: "join",
    builtins: &[
        Builtin {
            name: "tables",
            parameters: &[
                piped("left"),
                required("right"),
                required("on"),
                required("as"),
                required("method"),
            ],
            run: package::tables,
        },
        Builtin {
            name: "time",
            parameters: &[piped("left"), required("right"), required("as"), optional("method")],
            run: package::time,
        },
        Builtin { name: "inner", parameters: PAIR, run: package::inner },
        Builtin { name: "left", parameters: PAIR, run: package::left },
        Builtin { name: "right", parameters: PAIR, run: package::right },
        Builtin { name: "full", parameters: PAIR, run: package::full },
    ],
    constants: no_constants,
    text: "",
};

const PAIR: &[Parameter] = &[piped("left"), required("right"), required("on"), required("as")];

/// `union`: the tables of several streams, those of one key together.
fn union(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let given = call.array("tables")?;
    let mut streams = Vec::with_capacity(given.len());
    for (at, value) in given.iter().enumerate() {
        match value {
            Value::Stream(stream) => streams.push(stream.clone()),
            other => {
                let kind = other.kind().name();
                return Err(call.error(format!("tables: element {at} is a {kind}, not a stream of tables")));
            }
        }
    }
    if streams.is_empty() {
        return Err(call.error("tables: give at least one stream of tables"));
    }
    Ok(Value::Stream(Stream::step(call.name, call.span, streams, |context, inputs| {
        let tables = inputs.iter().flat_map(|tables| tables.iter().cloned());
        merged(context, tables.collect::<Vec<Table>>())
    })))
}

/// One of the two streams of a `join`.
struct Side {
    name: Arc<str>,
    stream: Stream,
}

fn join(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let on = call.opt_strings("on")?.unwrap_or_default();
    if on.is_empty() {
        return Err(call.error("on: name the columns that have to be equal"));
    }
    match &*call.string_or("method", "inner")? {
        "inner" => {}
        other => {
            return Err(call.error(format!(
                "method \"{other}\" is not supported, only \"inner\": use the functions of package join for others"
            )));
        }
    }
    let mut sides = Vec::with_capacity(2);
    for (name, value) in call.record("tables")?.members() {
        match value {
            Value::Stream(stream) => sides.push(Side { name, stream }),
            other => {
                let kind = other.kind().name();
                return Err(call.error(format!("tables: {name} is a {kind}, not a stream of tables")));
            }
        }
    }
    let [left, right] = sides.as_slice() else {
        return Err(call.error(format!("tables has to be a record of two streams, not of {}", sides.len())));
    };
    let names = [Arc::clone(&left.name), Arc::clone(&right.name)];
    let inputs = vec![left.stream.clone(), right.stream.clone()];
    Ok(Value::Stream(Stream::step(call.name, call.span, inputs, move |context, inputs| {
        let [left, right] = inputs.as_slice() else { return Ok(Tables::new()) };
        joined(context, [left.as_slice(), right.as_slice()], &names, &on)
    })))
}

/// A table, and its rows by the values of the columns that are joined on.
struct Indexed<'t> {
    table: &'t Table,
    rows: BTreeMap<Vec<Ordered>, Vec<usize>>,
}

/// Every pair of rows of both streams that are equal in the columns `on`.
fn joined(
    context: &mut Context<'_>,
    sides: [&[Table]; 2],
    names: &[Arc<str>; 2],
    on: &[Arc<str>],
) -> Result<Tables, Error> {
    const PAIR_BYTES: usize = 2 * size_of::<usize>();
    let [left, right] = sides;
    let bytes = right.iter().map(Table::rows).sum::<usize>().saturating_mul(64 * on.len());
    let _room = context.hold(bytes)?;
    let labels = labels(left, right, on);
    let mut indexed = Vec::with_capacity(right.len());
    for table in right {
        let columns = columns_of(context, table, on)?;
        let mut rows: BTreeMap<Vec<Ordered>, Vec<usize>> = BTreeMap::new();
        for row in 0..table.rows() {
            context.check()?;
            if let Some(values) = values_of(&columns, row) {
                rows.entry(values).or_default().push(row);
            }
        }
        indexed.push(Indexed { table, rows });
    }
    let mut gathered = Gathered::default();
    for table in left {
        let columns = columns_of(context, table, on)?;
        let values: Vec<Option<Vec<Ordered>>> =
            (0..table.rows()).map(|row| values_of(&columns, row)).collect();
        for other in &indexed {
            context.check()?;
            if on.iter().any(|label| differ(table.key(), other.table.key(), label)) {
                continue;
            }
            let (mut left_rows, mut right_rows) = (Vec::new(), Vec::new());
            for (row, values) in values.iter().enumerate() {
                context.check()?;
                let matches = values.as_ref().and_then(|values| other.rows.get(values));
                for &matching in matches.into_iter().flatten() {
                    left_rows.push(row);
                    right_rows.push(matching);
                }
            }
            if !left_rows.is_empty() {
                let cells = table.columns().len() + other.table.columns().len();
                let _room = context.hold(left_rows.len().saturating_mul(PAIR_BYTES * (1 + cells)))?;
                let pair = [(table, left_rows.as_slice()), (other.table, right_rows.as_slice())];
                gathered.add(paired(pair, &labels, names, on));
            }
        }
    }
    gathered.finish(context)
}

/// Labels that are in both streams and not joined on: they get the stream's name too.
fn labels(left: &[Table], right: &[Table], on: &[Arc<str>]) -> Vec<Arc<str>> {
    let all = |tables: &[Table]| -> std::collections::BTreeSet<Arc<str>> {
        let columns = tables.iter().flat_map(Table::columns);
        columns.map(|column| Arc::clone(column.label())).collect()
    };
    let right = all(right);
    all(left).into_iter().filter(|label| right.contains(label) && !on.contains(label)).collect()
}

fn columns_of(context: &Context<'_>, table: &Table, on: &[Arc<str>]) -> Result<Vec<Column>, Error> {
    let mut columns = Vec::with_capacity(on.len());
    for label in on {
        match table.column(label) {
            Some(column) => columns.push(column.clone()),
            None => return Err(context.error(format!("column \"{label}\" does not exist"))),
        }
    }
    Ok(columns)
}

/// The values of a row that are compared; `None` if one is missing, since it equals none.
fn values_of(columns: &[Column], row: usize) -> Option<Vec<Ordered>> {
    let values = columns.iter().map(|column| match column.get(row) {
        Value::Null => None,
        value => Some(Ordered(value)),
    });
    values.collect()
}

/// Whether no rows of tables with these keys can be equal in a column.
fn differ(left: &GroupKey, right: &GroupKey, label: &str) -> bool {
    match (left.get(label), right.get(label)) {
        (Some(left), Some(right)) => Ordered(left.clone()) != Ordered(right.clone()),
        _ => false,
    }
}

/// Rows of two tables side by side, columns by name.
fn paired(
    sides: [(&Table, &[usize]); 2],
    shared: &[Arc<str>],
    names: &[Arc<str>; 2],
    on: &[Arc<str>],
) -> Table {
    let mut columns: Vec<Column> = Vec::new();
    let mut members: Vec<KeyColumn> = Vec::new();
    for ((table, rows), name) in sides.into_iter().zip(names) {
        let label_of = |label: &Arc<str>| {
            if shared.contains(label) { Arc::from(format!("{label}_{name}")) } else { Arc::clone(label) }
        };
        for column in table.columns() {
            // Of the columns that are joined on, one is as good as the other.
            if on.contains(column.label()) && columns.iter().any(|known| known.label() == column.label()) {
                continue;
            }
            columns.push(column.take(rows).renamed(label_of(column.label())));
        }
        for member in table.key().members() {
            if !members.iter().any(|known| known.label == member.label) {
                members.push(KeyColumn { label: label_of(&member.label), ..member.clone() });
            }
        }
    }
    columns.sort_by(|left, right| left.label().cmp(right.label()));
    let rows = columns.first().map_or(0, Column::rows);
    // A column that only one stream is grouped by is the same in every row now.
    let columns = columns.into_iter().map(|column| {
        match members.iter().find(|member| member.label == *column.label()) {
            Some(KeyColumn { label, kind, value }) => {
                Column::repeat(Arc::clone(label), *kind, value.clone(), rows)
            }
            None => column,
        }
    });
    let columns = columns.collect();
    Table::new(GroupKey::new(members), columns)
}

/// A table of the same columns as `table` whose cells have no values but for those of `key`.
fn default_row(table: Option<&Table>, key: &GroupKey) -> Table {
    let mut columns = key.columns(1);
    let others = table.into_iter().flat_map(Table::columns);
    for column in others.filter(|column| !key.has(column.label())) {
        columns.push(Column::repeat(Arc::clone(column.label()), column.kind(), Value::Null, 1));
    }
    Table::new(key.clone(), columns)
}

/// The type of a column in any of the tables.
fn kind_in(tables: &[Table], label: &str) -> Option<Kind> {
    tables.iter().find_map(|table| table.kind_of(label))
}
