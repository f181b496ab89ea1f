//! Functions that make one row of a table: count, mean, quantile and their like.

mod covariance;
mod histogram;
mod histogram_quantile;
mod integral;
mod mode;
mod moments;
mod numbers;
mod quantile;
mod reduce;
mod totals;

use std::{rc::Rc, sync::Arc};

use crate::{
    Call, Column, Context, Error, Function, Kind, ReductionFunction, Stream, Table, Value,
    evaluate::apply_to,
    function::{Builtin, Parameter, optional, piped, required},
    functions::group::{Merge, merge, quotient},
    packages::{Library, no_constants},
    read::Reduced,
};

/// What most of them take.
const COLUMN: &[Parameter] = &[piped("tables"), optional("column")];

/// Functions that make one row of a table.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin { name: "count", parameters: COLUMN, run: totals::count },
        Builtin { name: "sum", parameters: COLUMN, run: totals::sum },
        Builtin { name: "mean", parameters: COLUMN, run: totals::mean },
        Builtin { name: "spread", parameters: COLUMN, run: totals::spread },
        Builtin {
            name: "stddev",
            parameters: &[piped("tables"), optional("column"), optional("mode")],
            run: moments::stddev,
        },
        Builtin { name: "skew", parameters: COLUMN, run: moments::skew },
        Builtin { name: "mode", parameters: COLUMN, run: mode::mode },
        Builtin {
            name: "quantile",
            parameters: &[
                piped("tables"),
                required("q"),
                optional("column"),
                optional("method"),
                optional("compression"),
            ],
            run: quantile::quantile,
        },
        Builtin {
            name: "median",
            parameters: &[piped("tables"), optional("column"), optional("method"), optional("compression")],
            run: quantile::median,
        },
        Builtin {
            name: "integral",
            parameters: &[
                piped("tables"),
                optional("unit"),
                optional("column"),
                optional("timeColumn"),
                optional("interpolate"),
            ],
            run: integral::integral,
        },
        Builtin {
            name: "timeWeightedAvg",
            parameters: &[piped("tables"), required("unit")],
            run: integral::time_weighted_average,
        },
        Builtin {
            name: "reduce",
            parameters: &[piped("tables"), required("fn"), required("identity")],
            run: reduce::reduce,
        },
        Builtin {
            name: "covariance",
            parameters: &[piped("tables"), required("columns"), optional("pearsonr"), optional("valueDst")],
            run: covariance::covariance,
        },
        Builtin {
            name: "histogram",
            parameters: &[
                piped("tables"),
                required("bins"),
                optional("column"),
                optional("upperBoundColumn"),
                optional("countColumn"),
                optional("normalize"),
            ],
            run: histogram::histogram,
        },
        Builtin {
            name: "linearBins",
            parameters: &[required("start"), required("width"), required("count"), optional("infinity")],
            run: histogram::linear_bins,
        },
        Builtin {
            name: "logarithmicBins",
            parameters: &[required("start"), required("factor"), required("count"), optional("infinity")],
            run: histogram::logarithmic_bins,
        },
        Builtin {
            name: "histogramQuantile",
            parameters: &[
                piped("tables"),
                required("quantile"),
                optional("countColumn"),
                optional("upperBoundColumn"),
                optional("valueColumn"),
                optional("minValue"),
                optional("onNonmonotonic"),
            ],
            run: histogram_quantile::histogram_quantile,
        },
    ],
    constants: no_constants,
    text: r#"
cov = (x, y, on, pearsonr=false) =>
    join(tables: {x: x, y: y}, on: on) |> covariance(columns: ["_value_x", "_value_y"], pearsonr: pearsonr)

pearsonr = (x, y, on) => cov(x: x, y: y, on: on, pearsonr: true)
"#,
};

/// The stream of what the storage makes of its points itself, where the input is nothing but a read, or the groups of
/// one, and the column is the points' value.
pub(super) fn reduced_by_storage(
    call: &mut Call<'_, '_>,
    function: ReductionFunction,
) -> Result<Option<Value>, Error> {
    if &*call.string_or("column", "_value")? != "_value" {
        return Ok(None);
    }
    let stream = call.stream("tables")?;
    if let Some(grouped) = stream.as_grouped() {
        return match merge(grouped, function, call.span, Reduced::Whole) {
            Some(merge) => of_groups(call, merge).map(Some),
            None => Ok(None),
        };
    }
    let reduced = stream.as_read().and_then(|read| read.reduced(Reduced::Whole(function)));
    Ok(reduced.map(|read| Value::Stream(Stream::read(read))))
}

/// Of values of series, those of the tables that the series are grouped into.
fn of_groups(call: &mut Call<'_, '_>, merge: Merge) -> Result<Value, Error> {
    let (name, span) = (call.name, call.span);
    let mut apply = |function: &Rc<Function>, parts: Stream| {
        apply_to(call.context, function, Value::Stream(parts), Vec::new(), span)
    };
    match merge {
        Merge::Fold(function, parts) => apply(&function, parts),
        Merge::Quotient(function, [sums, counts]) => {
            let (sums, counts) = (apply(&function, sums)?, apply(&function, counts)?);
            match (sums, counts) {
                (Value::Stream(sums), Value::Stream(counts)) => {
                    Ok(Value::Stream(quotient(name, span, sums, counts)))
                }
                (other, _) => Ok(other),
            }
        }
    }
}

/// The stream of a row for each table: what `make` makes of the argument `column`, under its name. `make` tells the
/// type, too, and says why it cannot.
fn one_value(
    call: &Call<'_, '_>,
    make: impl Fn(&mut Context<'_>, &Column) -> Result<(Kind, Value), Error> + 'static,
) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        let (kind, value) = make(context, aggregated(context, table, &label)?)?;
        made.push(row(context, table, &label, kind, value)?);
        Ok(())
    })
}

/// A column that is made one value of.
fn aggregated<'t>(context: &Context<'_>, table: &'t Table, label: &str) -> Result<&'t Column, Error> {
    if table.key().has(label) {
        let text = format!(
            "cannot aggregate column \"{label}\": the tables are grouped by it; group() by other columns first"
        );
        return Err(context.error(text));
    }
    table.existing(context, label)
}

/// The key's columns and a value, as a row.
fn row(
    context: &Context<'_>,
    table: &Table,
    label: &Arc<str>,
    kind: Kind,
    value: Value,
) -> Result<Table, Error> {
    beside_key(context, table, Column::repeat(Arc::clone(label), kind, value, 1))
}

/// The key's columns and one more, which is not among them.
fn beside_key(context: &Context<'_>, table: &Table, column: Column) -> Result<Table, Error> {
    let label = column.label();
    if table.key().has(label) {
        let text = format!("cannot write to column \"{label}\": the tables are grouped by it");
        return Err(context.error(text));
    }
    let mut columns = table.key_columns(column.rows());
    columns.push(column);
    Ok(Table::new(table.key().clone(), columns))
}

/// A column is of a type that the function does not take.
fn wrong_type(context: &Context<'_>, column: &Column, wanted: &str) -> Error {
    let (label, kind) = (column.label(), column.kind().name());
    context.error(format!("column \"{label}\" is of type {kind}, not {wanted}"))
}
