//! What columns hold: names and values of them as rows, and values where there are none.

use std::sync::Arc;

use super::replaced;
use crate::{
    Call, Column, Error, Kind, Table, Tables, Value, Values,
    column::{Cells, Part, codes_of},
    functions::group::Gathered,
    read::column_of,
};

/// `columns`: the names of a table's columns.
pub(super) fn columns(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    names(call, |table| table.columns().iter().map(|column| Arc::clone(column.label())).collect())
}

/// `keys`: the names of the columns that a table is grouped by.
pub(super) fn keys(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    names(call, |table| table.key().members().iter().map(|member| Arc::clone(&member.label)).collect())
}

fn names(call: &Call<'_, '_>, of: fn(&Table) -> Vec<Arc<str>>) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        if table.key().has(&label) {
            return Err(
                context.error(format!("column \"{label}\" is in the group key: give column another name"))
            );
        }
        let names = of(table);
        let mut columns = table.key_columns(names.len());
        columns.push(column_of(&label, Kind::String, names.into_iter().map(Value::String)));
        made.push(Table::new(table.key().clone(), columns));
        Ok(())
    })
}

/// `keyValues`: each value of some columns once, with the column's name.
pub(super) fn key_values(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = call.opt_strings("keyColumns")?.unwrap_or_default();
    if labels.is_empty() {
        return Err(call.error("keyColumns: name the columns whose values are wanted"));
    }
    call.each_table(move |context, table, made| {
        let mut names: Vec<Value> = Vec::new();
        let mut found: Vec<Column> = Vec::new();
        for label in &labels {
            let Some(column) = table.column(label) else {
                return Err(context.error(format!("column \"{label}\" does not exist")));
            };
            if let Some(first) = found.first().filter(|first| first.kind() != column.kind()) {
                let (one, other) = (first.kind().name(), column.kind().name());
                let text =
                    format!("keyColumns have to be of one type: \"{label}\" is of {other}, another of {one}");
                return Err(context.error(text));
            }
            let codes = codes_of(std::slice::from_ref(column), column.rows());
            let mut firsts: Vec<usize> = Vec::new();
            for (row, code) in codes.iter().enumerate() {
                if *code as usize == firsts.len() {
                    firsts.push(row);
                }
            }
            names.extend(firsts.iter().map(|_| Value::String(Arc::clone(label))));
            found.push(column.take(&firsts));
        }
        let kind = found.first().map_or(Kind::String, Column::kind);
        let parts: Vec<Part<'_>> = found.iter().map(Part::Cells).collect();
        let values = Column::concat("_value".into(), kind, &parts);
        let mut columns = table.key_columns(values.rows());
        columns.retain(|column| !matches!(&**column.label(), "_key" | "_value"));
        columns.push(column_of("_key", Kind::String, names));
        columns.push(values);
        let key = table.key().filtered(|label| !matches!(label, "_key" | "_value"));
        made.push(Table::new(key, columns));
        Ok(())
    })
}

/// What takes the place of no value.
enum Filling {
    Value(Value),
    Previous,
}

/// `fill`: values where there are none.
pub(super) fn fill(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    let filling = match (call.get("value").cloned(), call.bool_or("usePrevious", false)?) {
        (Some(value), false) => Filling::Value(value),
        (None, true) => Filling::Previous,
        (Some(_), true) => return Err(call.error("give either value or usePrevious")),
        (None, false) => return Err(call.error("give value, or usePrevious: true")),
    };
    if let Filling::Value(value) = &filling {
        let is_cell = matches!(
            value.kind(),
            Kind::Bool | Kind::Int | Kind::Uint | Kind::Float | Kind::String | Kind::Time | Kind::Null
        );
        if !is_cell {
            return Err(call.error(format!("value: no column holds a {}", value.kind().name())));
        }
    }
    call.all_tables(move |context, tables| {
        let mut gathered = Gathered::default();
        for table in tables {
            context.check()?;
            let filled = match (table.column(&label), &filling) {
                // A column that is not there has no values either.
                (None, Filling::Value(value)) => {
                    Some(Column::repeat(Arc::clone(&label), value.kind(), value.clone(), table.rows()))
                }
                (None, Filling::Previous) => None,
                (Some(column), Filling::Previous) => Some(with_previous(column)),
                (Some(column), Filling::Value(value)) => match with_value(column, value) {
                    Ok(filled) => Some(filled),
                    Err((wanted, got)) => {
                        let (wanted, got) = (wanted.name(), got.name());
                        return Err(
                            context.error(format!("column \"{label}\" is of type {wanted}, value of {got}"))
                        );
                    }
                },
            };
            match filled {
                Some(filled) => replaced(context, table, vec![filled], &mut gathered)?,
                None => gathered.add(table.clone()),
            }
        }
        let made: Tables = gathered.finish(context)?;
        Ok(made)
    })
}

fn with_value(column: &Column, value: &Value) -> Result<Column, (Kind, Kind)> {
    fn filled<T: Clone>(cells: &Cells<T>, with: &T) -> Cells<T> {
        Cells::all(cells.iter().map(|cell| cell.unwrap_or(with).clone()).collect())
    }
    if value.is_null() {
        return Ok(column.clone());
    }
    let label = Arc::clone(column.label());
    if column.has_no_values() && (column.kind() == value.kind() || column.kind() == Kind::String) {
        return Ok(Column::repeat(label, value.kind(), value.clone(), column.rows()));
    }
    let values = match (column.values(), value) {
        _ if column.kind() != value.kind() => return Err((column.kind(), value.kind())),
        (Values::Bool(cells), Value::Bool(value)) => Values::Bool(filled(cells, value)),
        (Values::Int(cells), Value::Int(value)) => Values::Int(filled(cells, value)),
        (Values::Uint(cells), Value::Uint(value)) => Values::Uint(filled(cells, value)),
        (Values::Float(cells), Value::Float(value)) => Values::Float(filled(cells, value)),
        (Values::String(cells), Value::String(value)) => Values::String(filled(cells, value)),
        (Values::Time(cells), Value::Time(value)) => Values::Time(filled(cells, value)),
        _ => return Ok(column.clone()),
    };
    Ok(Column::new(label, values))
}

fn with_previous(column: &Column) -> Column {
    let valid = match column.values() {
        Values::Repeat { .. } | Values::Other(..) => None,
        Values::Bool(cells) => cells.valid.as_ref(),
        Values::Int(cells) | Values::Time(cells) => cells.valid.as_ref(),
        Values::Uint(cells) => cells.valid.as_ref(),
        Values::Float(cells) => cells.valid.as_ref(),
        Values::String(cells) => cells.valid.as_ref(),
    };
    let Some(valid) = valid else { return column.clone() };
    // For each row the last one with a value, itself where there is none.
    let mut last = None;
    let rows = valid.iter().enumerate().map(|(row, &has)| {
        if has {
            last = Some(row);
        }
        last.unwrap_or(row)
    });
    column.take(&rows.collect::<Vec<usize>>())
}
