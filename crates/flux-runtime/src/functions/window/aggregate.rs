//! `aggregateWindow`: rows of each window become one, told at the window's time.

use std::{cell::Cell, rc::Rc, sync::Arc};

use skywatch_flux::Span;

use super::{
    bounds::Every,
    cut::{Cut, Labels, range_of},
    every_of,
    slim::Slim,
};
use crate::{
    Call, Column, Context, Error, Function, Kind, ReductionFunction, Stream, Table, Tables, Value, Windows,
    evaluate::apply_to,
    functions::group::{Merge, merge, merged, quotient, universal},
    read::{Reduced, WindowTime, WindowedRead, column_of},
};

/// What is told of a window, and in which columns.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) column: Arc<str>,
    pub(super) source: Arc<str>,
    pub(super) time: Arc<str>,
}

pub(super) fn aggregate_window(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let every = every_of(call)?;
    let function = call.function("fn")?;
    let told = Told {
        column: call.string_or("column", "_value")?,
        source: call.string_or("timeSrc", "_stop")?,
        time: call.string_or("timeDst", "_time")?,
    };
    let create_empty = call.bool_or("createEmpty", true)?;
    let stream = call.stream("tables")?;
    let windowed = pushed(&every, &function, &told, create_empty);
    if let (Some(windowed), Some(read)) = (&windowed, stream.as_read())
        && let Some(read) = read.reduced(Reduced::Windowed(windowed.clone()))
    {
        return Ok(Value::Stream(Stream::read(read)));
    }
    if let (Some(windowed), Some(grouped)) = (&windowed, stream.as_grouped()) {
        // A row of a series' window is told at its begin, and so lies in it.
        let of_series = |function| {
            let time = WindowTime::Start;
            Reduced::Windowed(WindowedRead { function, create_empty: false, time, ..windowed.clone() })
        };
        if let Some(merge) = merge(grouped, windowed.function, call.span, of_series) {
            return of_groups(call, merge, &every, &told, windowed);
        }
    }
    aggregated(call, stream, every, &function, told, create_empty)
}

/// Of windows of series, those of the tables that the series are grouped into.
fn of_groups(
    call: &mut Call<'_, '_>,
    merge: Merge,
    every: &Every,
    told: &Told,
    windowed: &WindowedRead,
) -> Result<Value, Error> {
    let (name, span, create_empty) = (call.name, call.span, windowed.create_empty);
    let mut windows = |function: &Rc<Function>, parts: Stream| {
        aggregated(call, parts, every.clone(), function, told.clone(), create_empty)
    };
    match merge {
        Merge::Fold(function, parts) => {
            let made = windows(&function, parts)?;
            match made {
                // No points are none, though the sum of no counts is null.
                Value::Stream(sums) if create_empty && windowed.function == ReductionFunction::Count => {
                    Ok(Value::Stream(zeros(name, span, sums)))
                }
                made => Ok(made),
            }
        }
        Merge::Quotient(function, [sums, counts]) => {
            match (windows(&function, sums)?, windows(&function, counts)?) {
                (Value::Stream(sums), Value::Stream(counts)) => {
                    Ok(Value::Stream(quotient(name, span, sums, counts)))
                }
                (other, _) => Ok(other),
            }
        }
    }
}

/// With zero for what has no value.
fn zeros(name: &'static str, span: Span, counts: Stream) -> Stream {
    let range = counts.range();
    let filled = Stream::step(name, span, vec![counts], |_, inputs| {
        let tables = inputs.iter().flat_map(|tables| tables.iter());
        let filled = tables.map(|table| {
            let counts = table.column("_value").into_iter().flat_map(Column::iter);
            let counts = counts.map(|count| if count.is_null() { Value::Int(0) } else { count });
            table.clone().with_column(column_of("_value", Kind::Int, counts))
        });
        Ok(filled.collect())
    });
    filled.with_range(range)
}

/// `timedMovingAverage`: the mean of windows that may overlap.
pub(super) fn timed_moving_average(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let every = every_of(call)?;
    let mean = universal("mean").ok_or_else(|| call.error("there is no function mean"))?;
    let told =
        Told { column: call.string_or("column", "_value")?, source: "_stop".into(), time: "_time".into() };
    let stream = call.stream("tables")?;
    aggregated(call, stream, every, &mean, told, false)
}

fn aggregated(
    call: &mut Call<'_, '_>,
    stream: Stream,
    every: Every,
    function: &Rc<Function>,
    told: Told,
    create_empty: bool,
) -> Result<Value, Error> {
    let given = stream.range();
    // Without a call of `range`, the tables themselves say in which time their windows are.
    let range: Rc<Cell<Option<(i64, i64)>>> = Rc::new(Cell::new(given));
    let known = Rc::clone(&range);
    let labels = Labels { time: "_time".into(), start: "_start".into(), stop: "_stop".into() };
    let cut = Cut { every, labels, create_empty };
    let slim = Rc::new(Slim::of(function, &told));
    let told = Rc::new(told);
    let (column, slimming) = (Arc::clone(&told.column), (Rc::clone(&told), Rc::clone(&slim)));
    let windows = Stream::step(call.name, call.span, vec![stream], move |context, inputs| {
        let tables = inputs.first().map_or(&[][..], |tables| tables.as_slice());
        if given.is_none() {
            known.set(overall_range(context, tables)?);
        }
        let mut made = Tables::new();
        let (told, slim) = &slimming;
        for table in tables {
            let slim = slim.as_ref().as_ref().and_then(|slim| slim.of_table(table, told));
            let subject = slim.as_ref().unwrap_or(table);
            made.append(&mut cut.tables(context, table, subject, known.get())?);
        }
        Ok(made)
    });
    let arguments = vec![(Arc::from("column"), Value::String(column))];
    let (name, span) = (call.name, call.span);
    let applied = match apply_to(call.context, function, Value::Stream(windows), arguments, span)? {
        Value::Stream(applied) => applied,
        other => {
            return Err(call.error(format!("fn has to return tables, but returned {}", other.kind().name())));
        }
    };
    let made = Stream::step(name, span, vec![applied], move |context, inputs| {
        let mut made = Tables::new();
        let tables = inputs.first().map_or(&[][..], |tables| tables.as_slice());
        for windows in tables
            .chunk_by(|one, other| Slim::number(one).is_some() && Slim::number(one) == Slim::number(other))
        {
            let whole = slim.as_ref().as_ref().and_then(|slim| slim.whole(windows, &told, range.get()));
            if let Some(whole) = whole {
                made.push(whole);
                continue;
            }
            for table in windows {
                context.check()?;
                made.push(told.table(context, table, range.get())?);
            }
        }
        merged(context, made)
    });
    Ok(Value::Stream(made.with_range(given)))
}

/// From the first `_start` to the last `_stop`.
fn overall_range(context: &Context<'_>, tables: &[Table]) -> Result<Option<(i64, i64)>, Error> {
    let mut range: Option<(i64, i64)> = None;
    for table in tables {
        let Some((start, stop)) = range_of(table) else {
            return Err(context.error("columns _start and _stop do not exist: call range() before"));
        };
        range = Some(range.map_or((start, stop), |known| (known.0.min(start), known.1.max(stop))));
    }
    Ok(range)
}

impl Told {
    /// A window's table with the window's time, and as one of the whole time again.
    fn table(&self, context: &Context<'_>, table: &Table, range: Option<(i64, i64)>) -> Result<Table, Error> {
        let Some(source) = table.column(&self.source) else {
            return Err(context.error(format!("column \"{}\" does not exist", self.source)));
        };
        let rows = table.rows();
        let mut key = table.key().clone();
        let mut bounds = Vec::with_capacity(2);
        if let Some((start, stop)) = range {
            for (label, time) in [("_start", start), ("_stop", stop)] {
                key = key.with(label.into(), Kind::Time, Value::Time(time));
                bounds.push(Column::repeat(label.into(), Kind::Time, Value::Time(time), rows));
            }
        }
        let mut columns = bounds;
        let has = |columns: &[Column], label: &str| columns.iter().any(|known| **known.label() == *label);
        if !has(&columns, &self.time) {
            columns.push(source.renamed(Arc::clone(&self.time)));
        }
        // Bounds, time and value come first, as in what is read.
        let value = table.column(&self.column).into_iter();
        for column in value.chain(table.columns()) {
            if !has(&columns, column.label()) {
                columns.push(column.clone());
            }
        }
        Ok(Table::new(key, columns))
    }
}

/// The call as the storage can do it, if it can.
fn pushed(every: &Every, function: &Function, told: &Told, create_empty: bool) -> Option<WindowedRead> {
    let (every_ns, offset_ns) = every.as_fixed()?;
    let functions = [
        ReductionFunction::Count,
        ReductionFunction::Sum,
        ReductionFunction::Mean,
        ReductionFunction::Min,
        ReductionFunction::Max,
        ReductionFunction::First,
        ReductionFunction::Last,
    ];
    let function = functions.into_iter().find(|known| function.is_builtin(known.name()))?;
    let time = match &*told.source {
        "_start" => WindowTime::Start,
        "_stop" => WindowTime::Stop,
        _ => return None,
    };
    let usual = *told.column == *"_value" && *told.time == *"_time";
    let windows = Windows { every_ns, offset_ns };
    usual.then_some(WindowedRead { function, windows, create_empty, time })
}
