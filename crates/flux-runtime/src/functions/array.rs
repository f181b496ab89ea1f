//! Package array: tables of records, and functions of arrays.

use crate::{
    Call, Column, ColumnBuilder, Error, Function, GroupKey, Kind, Stream, Table, Value,
    evaluate::{apply, truth},
    function::{Builtin, piped, required},
    packages::{Library, no_constants},
};

/// Package array.
pub(crate) static LIBRARY: Library = Library {
    path: "array",
    builtins: &[
        Builtin { name: "from", parameters: &[required("rows")], run: from },
        Builtin { name: "concat", parameters: &[piped("arr"), required("v")], run: concat },
        Builtin { name: "map", parameters: &[piped("arr"), required("fn")], run: map },
        Builtin { name: "filter", parameters: &[piped("arr"), required("fn")], run: filter },
    ],
    constants: no_constants,
    text: "",
};

fn from(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let rows = call.array("rows")?;
    if rows.is_empty() {
        return Err(call.error("rows must be non-empty"));
    }
    let table = Table::new(GroupKey::default(), columns_of_records(call, &rows)?);
    Ok(Value::Stream(Stream::ready(vec![table])))
}

fn concat(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (first, second) = (call.array("arr")?, call.array("v")?);
    let count = first.len().saturating_add(second.len());
    let _room = call.context.hold(count.saturating_mul(size_of::<Value>()))?;
    Ok(Value::array(first.iter().chain(second.iter()).cloned().collect()))
}

/// What `fn` makes of an element, whose name in it is `x`.
fn applied(call: &mut Call<'_, '_>, function: &Function, element: &Value) -> Result<Value, Error> {
    apply(call.context, function, vec![("x".into(), element.clone())], call.span)
}

fn map(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (array, function) = (call.array("arr")?, call.function("fn")?);
    let _room = call.context.hold(array.len().saturating_mul(size_of::<Value>()))?;
    let mapped: Result<Vec<Value>, Error> =
        array.iter().map(|element| applied(call, &function, element)).collect();
    mapped.map(Value::array)
}

fn filter(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let (array, function) = (call.array("arr")?, call.function("fn")?);
    let mut kept = Vec::new();
    for element in array.iter() {
        if truth(&applied(call, &function, element)?, call.span)? == Some(true) {
            kept.push(element.clone());
        }
    }
    Ok(Value::array(kept))
}

/// A column for each member of the records, by name; cells of those that lack it are null.
pub(super) fn columns_of_records(call: &Call<'_, '_>, rows: &[Value]) -> Result<Vec<Column>, Error> {
    let mut builders: Vec<(std::sync::Arc<str>, ColumnBuilder)> = Vec::new();
    for (row, value) in rows.iter().enumerate() {
        let Value::Record(record) = value else {
            return Err(call.error(format!("row {row} is a {}, not a record", value.kind().name())));
        };
        for (name, value) in record.members() {
            let at = match builders.iter().position(|(known, _)| *known == name) {
                Some(at) => at,
                None => {
                    let mut column = ColumnBuilder::new(name.clone(), Kind::Null);
                    (0..row).for_each(|_| column.push_null());
                    builders.push((name.clone(), column));
                    builders.len() - 1
                }
            };
            if let Some((_, column)) = builders.get_mut(at) {
                column.push(value).map_err(|(wanted, got)| {
                    let got = got.name();
                    call.error(match wanted {
                        Kind::Null => format!("row {row}: column {name} cannot hold a {got}"),
                        _ => {
                            let wanted = wanted.name();
                            format!("row {row}: column {name} is of type {wanted}, this value of {got}")
                        }
                    })
                })?;
            }
        }
        for (_, column) in &mut builders {
            if column.rows() == row {
                column.push_null();
            }
        }
    }
    builders.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(builders.into_iter().map(|(_, column)| column.finish()).collect())
}
