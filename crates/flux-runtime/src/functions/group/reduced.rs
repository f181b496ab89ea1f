//! Aggregates of grouped reads: the storage makes values of each series, and those of a table are made one.
//!
//! ```text
//! count   the sum of the series' counts        min, max   the least, the greatest of the series' own
//! sum     the sum of their sums                mean       the sum of their sums by that of their counts
//! ```
//!
//! `first` and `last` are of a table's rows as they stand, which the storage does not know.

use std::rc::Rc;

use super::regroup;
use crate::{
    Column, Context, Error, Function, Kind, ReductionFunction, Stream, Table, Tables, Value,
    functions::LIBRARIES,
    read::{GroupedRead, Reduced, column_of},
};
use skywatch_flux::Span;

/// How values of series become one of a table.
pub(in crate::functions) enum Merge {
    /// By this function, of these.
    Fold(Rc<Function>, Stream),
    /// The sums of the first by those of the second.
    Quotient(Rc<Function>, [Stream; 2]),
}

/// What the storage makes of each series, grouped; `None` where that does not help.
pub(in crate::functions) fn merge(
    grouped: &GroupedRead,
    function: ReductionFunction,
    span: Span,
    reduced: impl Fn(ReductionFunction) -> Reduced,
) -> Option<Merge> {
    let parts = |function| {
        let read = grouped.read.reduced(reduced(function))?;
        let grouping = grouped.grouping.clone();
        Some(Stream::step("group", span, vec![Stream::read(read)], move |context, inputs| {
            regroup(context, inputs.first().map_or(&[][..], |tables| tables.as_slice()), &grouping)
        }))
    };
    Some(match function {
        ReductionFunction::Count | ReductionFunction::Sum => Merge::Fold(universal("sum")?, parts(function)?),
        ReductionFunction::Min | ReductionFunction::Max => {
            Merge::Fold(universal(function.name())?, parts(function)?)
        }
        ReductionFunction::Mean => {
            let (sums, counts) = (parts(ReductionFunction::Sum)?, parts(ReductionFunction::Count)?);
            Merge::Quotient(universal("sum")?, [sums, counts])
        }
        ReductionFunction::First | ReductionFunction::Last => return None,
    })
}

/// The function of that name that needs no import.
pub(in crate::functions) fn universal(name: &str) -> Option<Rc<Function>> {
    let builtins = LIBRARIES.iter().filter(|library| library.path.is_empty());
    let found = builtins.flat_map(|library| library.builtins).find(|builtin| builtin.name == name)?;
    Some(Rc::new(Function::Builtin(found)))
}

/// The first stream's values by those of the second, row by row; both have the same tables and rows.
pub(in crate::functions) fn quotient(name: &'static str, span: Span, sums: Stream, counts: Stream) -> Stream {
    let range = sums.range();
    let made = Stream::step(name, span, vec![sums, counts], |context, inputs| {
        let [sums, counts] = inputs.as_slice() else { return Ok(Tables::new()) };
        if sums.len() != counts.len() {
            return Err(context.error("sums and counts are of different tables"));
        }
        sums.iter().zip(counts.iter()).map(|(sums, counts)| divided(context, sums, counts)).collect()
    });
    made.with_range(range)
}

fn divided(context: &mut Context<'_>, sums: &Table, counts: &Table) -> Result<Table, Error> {
    context.check()?;
    let values = |table: &Table| table.column("_value").and_then(Column::numbers);
    let (Some(totals), Some(counts)) = (values(sums), values(counts)) else {
        return Err(context.error("column \"_value\" does not exist"));
    };
    let means = totals.into_iter().zip(counts).map(|pair| match pair {
        (Some(sum), Some(count)) if count > 0.0 => Value::Float(sum / count),
        _ => Value::Null,
    });
    Ok(sums.clone().with_column(column_of("_value", Kind::Float, means)))
}
