//! Functions of a row and those before it: difference, derivative, moving averages, states.

mod averages;
mod change;
mod elapsed;
mod smoothing;
mod states;

use std::sync::Arc;

pub(super) use averages::MovingSum;

use crate::{
    Call, Column, Context, Error, Kind, Table,
    function::{Builtin, optional, piped, required},
    packages::{Library, no_constants},
    read::column_of,
};

/// Functions of a row and those before it.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "difference",
            parameters: &[
                piped("tables"),
                optional("nonNegative"),
                optional("columns"),
                optional("keepFirst"),
                optional("initialZero"),
            ],
            run: change::difference,
        },
        Builtin {
            name: "derivative",
            parameters: &[
                piped("tables"),
                optional("unit"),
                optional("nonNegative"),
                optional("columns"),
                optional("timeColumn"),
                optional("initialZero"),
            ],
            run: change::derivative,
        },
        Builtin {
            name: "increase",
            parameters: &[piped("tables"), optional("columns")],
            run: change::increase,
        },
        Builtin {
            name: "cumulativeSum",
            parameters: &[piped("tables"), optional("columns")],
            run: change::cumulative_sum,
        },
        Builtin {
            name: "movingAverage",
            parameters: &[piped("tables"), required("n")],
            run: averages::moving_average,
        },
        Builtin {
            name: "exponentialMovingAverage",
            parameters: &[piped("tables"), required("n")],
            run: smoothing::exponential,
        },
        Builtin { name: "doubleEMA", parameters: &[piped("tables"), required("n")], run: smoothing::double },
        Builtin { name: "tripleEMA", parameters: &[piped("tables"), required("n")], run: smoothing::triple },
        Builtin {
            name: "tripleExponentialDerivative",
            parameters: &[piped("tables"), required("n")],
            run: smoothing::triple_derivative,
        },
        Builtin {
            name: "elapsed",
            parameters: &[piped("tables"), optional("unit"), optional("timeColumn"), optional("columnName")],
            run: elapsed::elapsed,
        },
        Builtin {
            name: "stateCount",
            parameters: &[piped("tables"), required("fn"), optional("column")],
            run: states::state_count,
        },
        Builtin {
            name: "stateDuration",
            parameters: &[
                piped("tables"),
                required("fn"),
                optional("column"),
                optional("timeColumn"),
                optional("unit"),
            ],
            run: states::state_duration,
        },
        Builtin {
            name: "stateTracking",
            parameters: &[
                piped("tables"),
                required("fn"),
                optional("countColumn"),
                optional("durationColumn"),
                optional("durationUnit"),
                optional("timeColumn"),
            ],
            run: states::state_tracking,
        },
    ],
    constants: no_constants,
    text: "",
};

/// The argument `columns`: `_value` unless it says others.
pub(super) fn columns_argument(call: &Call<'_, '_>) -> Result<Vec<Arc<str>>, Error> {
    let columns = call.opt_strings("columns")?.unwrap_or_else(|| vec![Arc::from("_value")]);
    if columns.is_empty() { Err(call.error("columns is empty: name at least one")) } else { Ok(columns) }
}

/// The argument `n`: how many values; positive.
pub(super) fn count_argument(call: &Call<'_, '_>) -> Result<usize, Error> {
    let n = call.int("n")?;
    usize::try_from(n)
        .ok()
        .filter(|&n| n > 0)
        .ok_or_else(|| call.error(format!("n has to be greater than 0, but is {n}")))
}

/// A unit of time in nanoseconds, a second unless the argument says another.
pub(super) fn unit_argument(call: &Call<'_, '_>, name: &str) -> Result<i64, Error> {
    const SECOND_NS: i64 = 1_000_000_000;
    let Some(unit) = call.opt_duration(name)? else { return Ok(SECOND_NS) };
    unit.nanoseconds_only()
        .filter(|&unit| unit > 0)
        .ok_or_else(|| call.error(format!("{name} has to be positive and without months, but is {unit}")))
}

/// A column of numbers of a table, outside of its key, cell by cell: none of it is a repetition.
pub(super) fn number_column(context: &Context<'_>, table: &Table, label: &str) -> Result<Column, Error> {
    let column = table.existing(context, label)?;
    free_column(context, table, label)?;
    match column.kind() {
        kind @ (Kind::Int | Kind::Uint | Kind::Float) => Ok(match column.values() {
            crate::Values::Repeat { .. } => column_of(label, kind, column.iter()),
            _ => column.clone(),
        }),
        kind => Err(context.error(format!("column \"{label}\" is of type {}, not of numbers", kind.name()))),
    }
}

/// Fails where a column belongs to the key, whose cells are the same in every row.
pub(super) fn free_column(context: &Context<'_>, table: &Table, label: &str) -> Result<(), Error> {
    if table.key().has(label) {
        let text = format!("column \"{label}\" is part of the group key; group by other columns before");
        return Err(context.error(text));
    }
    Ok(())
}

/// The rows from `first` on, with other cells in the columns that `computed` names.
pub(super) fn rows_from(table: &Table, first: usize, computed: &[Column]) -> Table {
    let rows: Vec<usize> = (first.min(table.rows())..table.rows()).collect();
    with_rows(table, &rows, computed)
}

/// The given rows, with other cells in the columns that `computed` names.
pub(super) fn with_rows(table: &Table, rows: &[usize], computed: &[Column]) -> Table {
    let columns = table.columns().iter().map(|column| {
        let other = computed.iter().find(|other| other.label() == column.label());
        other.cloned().unwrap_or_else(|| column.take(rows))
    });
    Table::new(table.key().clone(), columns.collect())
}
