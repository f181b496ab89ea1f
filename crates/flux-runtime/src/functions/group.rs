//! Tables are grouped anew, and those that then have one key become one.

mod gather;
mod reduced;

use std::sync::Arc;

pub(super) use gather::{Gathered, merged};
pub(super) use reduced::{Merge, merge, quotient, universal};

use crate::{
    Call, Column, Context, Error, GroupKey, KeyColumn, Stream, Table, Tables, Value,
    column::codes_of,
    function::{Builtin, optional, piped},
    packages::{Library, no_constants},
    read::{GroupedRead, Grouping},
};

/// Tables are grouped anew.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[Builtin {
        name: "group",
        parameters: &[piped("tables"), optional("columns"), optional("mode")],
        run: group,
    }],
    constants: no_constants,
    text: "",
};

fn group(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let columns = call.opt_strings("columns")?.unwrap_or_default();
    let grouping = match &*call.string_or("mode", "by")? {
        "by" => Grouping::By(columns),
        "except" => Grouping::Except(columns),
        other => return Err(call.error(format!("mode is \"by\" or \"except\", not \"{other}\""))),
    };
    let input = call.stream("tables")?;
    let grouped = input.as_read().and_then(|read| GroupedRead::new(read, &grouping));
    let stream = Stream::step(call.name, call.span, vec![input], move |context, inputs| {
        regroup(context, inputs.first().map_or(&[][..], |tables| tables.as_slice()), &grouping)
    });
    Ok(Value::Stream(stream.with_grouped(grouped)))
}

/// The tables grouped by other columns, by key. Rows of one key stay in the order of the tables and in that of each.
pub(super) fn regroup(
    context: &mut Context<'_>,
    tables: &[Table],
    grouping: &Grouping,
) -> Result<Tables, Error> {
    let bytes = tables.iter().map(Table::size_bytes).sum();
    let _room = context.hold(bytes)?;
    let mut gathered = Gathered::default();
    for table in tables {
        context.check()?;
        split(context, table, |label| grouping.takes(label), |part| gathered.add(part))?;
    }
    gathered.finish(context)
}

/// The tables, one of each key, that a table makes when it is grouped by those of its columns that `takes` says.
pub(super) fn split(
    context: &mut Context<'_>,
    table: &Table,
    takes: impl Fn(&str) -> bool,
    mut add: impl FnMut(Table),
) -> Result<(), Error> {
    let members: Vec<Column> =
        table.columns().iter().filter(|column| takes(column.label())).cloned().collect();
    // A table without rows has a value of each column of its key, and of no other.
    if table.is_empty() {
        if members.iter().all(|column| table.key().has(column.label())) {
            let key = table.key().filtered(&takes);
            add(table.clone().with_key(key));
        }
        return Ok(());
    }
    let key_of = |row: usize| {
        let members = members.iter().map(|column| KeyColumn {
            label: Arc::clone(column.label()),
            kind: column.kind(),
            value: column.get(row),
        });
        GroupKey::new(members.collect())
    };
    let codes = codes_of(&members, table.rows());
    let groups = codes.iter().copied().max().map_or(0, |last| last as usize + 1);
    if groups <= 1 {
        add(repeating(table, key_of(0)));
        return Ok(());
    }
    let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); groups];
    for (row, code) in codes.iter().enumerate() {
        if let Some(rows) = rows_of.get_mut(*code as usize) {
            rows.push(row);
        }
    }
    for rows in rows_of {
        context.check()?;
        if let Some(first) = rows.first() {
            add(repeating(&table.take(&rows), key_of(*first)));
        }
    }
    Ok(())
}

/// With a key, whose columns are made to repeat its values.
fn repeating(table: &Table, key: GroupKey) -> Table {
    let rows = table.rows();
    let columns = table.columns().iter().map(|column| match key.get(column.label()) {
        Some(value) if column.repeated().is_none() => {
            Column::repeat(Arc::clone(column.label()), column.kind(), value.clone(), rows)
        }
        _ => column.clone(),
    });
    let columns = columns.collect();
    Table::new(key, columns)
}
