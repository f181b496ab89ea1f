//! Functions that choose rows of a table, whole ones: the first, the greatest, those with different values.

mod distinct;
mod extremes;

use crate::{
    Call, Column, Error, ReductionFunction, Value, Values,
    function::{Builtin, optional, piped, required},
    functions::aggregates::reduced_by_storage,
    packages::{Library, no_constants},
};

/// Functions that choose rows of a table.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin { name: "first", parameters: &[piped("tables"), optional("column")], run: first },
        Builtin { name: "last", parameters: &[piped("tables"), optional("column")], run: last },
        Builtin { name: "min", parameters: &[piped("tables"), optional("column")], run: extremes::min },
        Builtin { name: "max", parameters: &[piped("tables"), optional("column")], run: extremes::max },
        Builtin {
            name: "top",
            parameters: &[piped("tables"), required("n"), optional("columns")],
            run: extremes::top,
        },
        Builtin {
            name: "bottom",
            parameters: &[piped("tables"), required("n"), optional("columns")],
            run: extremes::bottom,
        },
        Builtin {
            name: "distinct",
            parameters: &[piped("tables"), optional("column")],
            run: distinct::distinct,
        },
        Builtin { name: "unique", parameters: &[piped("tables"), optional("column")], run: distinct::unique },
        Builtin {
            name: "sample",
            parameters: &[piped("tables"), required("n"), optional("pos"), optional("column")],
            run: sample,
        },
    ],
    constants: no_constants,
    // One row of each group, then those of all groups that are first in order.
    text: r#"
highestMax = (n, column="_value", groupColumns=[], tables=<-) =>
    tables |> group(columns: groupColumns) |> max(column: column) |> group() |> top(n: n, columns: [column])

highestAverage = (n, column="_value", groupColumns=[], tables=<-) =>
    tables |> group(columns: groupColumns) |> mean(column: column) |> group() |> top(n: n, columns: [column])

highestCurrent = (n, column="_value", groupColumns=[], tables=<-) =>
    tables |> group(columns: groupColumns) |> last(column: column) |> group() |> top(n: n, columns: [column])

lowestMin = (n, column="_value", groupColumns=[], tables=<-) =>
    tables |> group(columns: groupColumns) |> min(column: column) |> group() |> bottom(n: n, columns: [column])

lowestAverage = (n, column="_value", groupColumns=[], tables=<-) =>
    tables |> group(columns: groupColumns) |> mean(column: column) |> group() |> bottom(n: n, columns: [column])

lowestCurrent = (n, column="_value", groupColumns=[], tables=<-) =>
    tables |> group(columns: groupColumns) |> last(column: column) |> group() |> bottom(n: n, columns: [column])
"#,
};

fn first(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    choose(call, ReductionFunction::First, |column| Ok((0..column.rows()).find(|&row| has(column, row))))
}

fn last(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    choose(call, ReductionFunction::Last, |column| Ok((0..column.rows()).rfind(|&row| has(column, row))))
}

/// One row of each table, the one that `find` finds, if it does; why it cannot, else.
fn choose(
    call: &mut Call<'_, '_>,
    function: ReductionFunction,
    find: fn(&Column) -> Result<Option<usize>, String>,
) -> Result<Value, Error> {
    if let Some(pushed) = reduced_by_storage(call, function)? {
        return Ok(pushed);
    }
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        let column = table.existing(context, &label)?;
        if let Some(row) = find(column).map_err(|reason| context.error(reason))? {
            made.push(table.take(&[row]));
        }
        Ok(())
    })
}

/// Whether a row has a value.
fn has(column: &Column, row: usize) -> bool {
    match column.values() {
        Values::Repeat { value, .. } => !value.is_null(),
        Values::Bool(cells) => cells.get(row).is_some(),
        Values::Int(cells) | Values::Time(cells) => cells.get(row).is_some(),
        Values::Uint(cells) => cells.get(row).is_some(),
        Values::Float(cells) => cells.get(row).is_some(),
        Values::String(cells) => cells.get(row).is_some(),
        Values::Other(_, values) => values.get(row).is_some_and(|value| !value.is_null()),
    }
}

fn sample(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let every = call.int("n")?;
    let every = match usize::try_from(every) {
        Ok(every) if every > 0 => every,
        _ => return Err(call.error(format!("n must be positive, but is {every}"))),
    };
    let position = match call.opt_int("pos")?.map(usize::try_from) {
        Some(Ok(position)) if position >= every => {
            return Err(call.error(format!("pos must be less than n, but is {position}; n is {every}")));
        }
        Some(Ok(position)) => Some(position),
        Some(Err(_)) | None => None,
    };
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        table.existing(context, &label)?;
        let position = match position {
            Some(position) => position,
            None => scattered(context.now_ns(), made.len()) % every,
        };
        let rows: Vec<usize> = (position..table.rows()).step_by(every).collect();
        if !rows.is_empty() {
            made.push(table.take(&rows));
        }
        Ok(())
    })
}

/// A number that looks drawn by chance: another one for each query and table.
fn scattered(now_ns: i64, table: usize) -> usize {
    use std::hash::BuildHasher as _;
    rustc_hash::FxBuildHasher.hash_one((now_ns, table)) as usize
}
