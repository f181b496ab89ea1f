//! Package experimental: what dashboards use of it.

use std::sync::Arc;

use skywatch_flux::Duration;

use crate::{
    Call, Column, Error, Kind, Stream, Table, Value,
    context::Location,
    function::{Builtin, optional, piped, required},
    functions::{
        group::{Gathered, merged, split},
        sources::time_column,
    },
    packages::{Library, no_constants},
    read::column_of,
};

/// Package experimental. Its functions of `_value` are those that need no import.
pub(crate) static LIBRARY: Library = Library {
    path: "experimental",
    builtins: &[
        Builtin {
            name: "addDuration",
            parameters: &[required("d"), required("to"), optional("location")],
            run: |call| moved(call, "to", |duration| duration),
        },
        Builtin {
            name: "subDuration",
            parameters: &[required("d"), required("from"), optional("location")],
            run: |call| moved(call, "from", |duration| -duration),
        },
        Builtin { name: "alignTime", parameters: &[piped("tables"), optional("alignTo")], run: align_time },
        Builtin { name: "set", parameters: &[piped("tables"), required("o")], run: set },
        Builtin {
            name: "group",
            parameters: &[piped("tables"), required("columns"), required("mode")],
            run: group,
        },
        Builtin { name: "objectKeys", parameters: &[required("o")], run: object_keys },
        Builtin {
            name: "preview",
            parameters: &[piped("tables"), optional("nrows"), optional("ntables")],
            run: preview,
        },
        Builtin { name: "chain", parameters: &[required("first"), required("second")], run: chain },
    ],
    constants: no_constants,
    // Each is known before its name is given anew.
    text: "
count = count
distinct = distinct
fill = fill
first = first
histogram = histogram
histogramQuantile = histogramQuantile
integral = integral
kaufmansAMA = kaufmansAMA
last = last
max = max
mean = mean
median = median
min = min
mode = mode
quantile = quantile
skew = skew
spread = spread
stddev = stddev
sum = sum
window = window
",
};

/// A time, later by `d` as `sign` has it, by the calendar of the place that the call or the query names.
fn moved(call: &Call<'_, '_>, name: &str, sign: fn(Duration) -> Duration) -> Result<Value, Error> {
    let duration = sign(call.duration("d")?);
    let time = call.opt_time(name)?.ok_or_else(|| call.error(format!("{name} has to be a time")))?;
    let location = match call.opt_record("location")? {
        Some(record) => {
            Location::of_record(&record).map_err(|reason| call.error(format!("location: {reason}")))?
        }
        None => call.context.location.clone(),
    };
    // The offset moves the clock of the place as its zone does.
    let local = location.offset.add_to(time);
    let moved = local.and_then(|time| duration.add_to_in(time, &location.zone));
    let moved = moved.and_then(|time| (-location.offset).add_to(time));
    moved.map(Value::Time).ok_or_else(|| call.error("the time is out of range"))
}

fn align_time(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let to = call.opt_time("alignTo")?.unwrap_or(0);
    call.each_table(move |context, table, made| {
        let (starts, times) = (time_column(context, table, "_start")?, time_column(context, table, "_time")?);
        let mut moved = Vec::with_capacity(table.rows());
        for pair in times.iter().zip(starts.iter()) {
            let (Value::Time(time), Value::Time(start)) = pair else {
                moved.push(Value::Null);
                continue;
            };
            let time = i64::try_from(i128::from(time) - i128::from(start) + i128::from(to));
            moved.push(Value::Time(time.map_err(|_| context.error("a time would be out of range"))?));
        }
        made.push(table.clone().with_column(column_of("_time", Kind::Time, moved)));
        Ok(())
    })
}

fn set(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let members = call.record("o")?.members();
    for (name, value) in &members {
        match value.kind() {
            Kind::Null | Kind::Bool | Kind::Int | Kind::Uint | Kind::Float | Kind::String | Kind::Time => {}
            kind => return Err(call.error(format!("{name}: a {} cannot stand in a column", kind.name()))),
        }
    }
    call.all_tables(move |context, tables| {
        let set = |table: &Table| {
            members.iter().fold(table.clone(), |table, (name, value)| set_column(table, name, value))
        };
        merged(context, tables.iter().map(set))
    })
}

fn set_column(table: Table, name: &Arc<str>, value: &Value) -> Table {
    let kind = match value.kind() {
        Kind::Null => table.kind_of(name).unwrap_or(Kind::String),
        kind => kind,
    };
    let column = Column::repeat(Arc::clone(name), kind, value.clone(), table.rows());
    let key = table.key().clone();
    let key = if key.has(name) { key.with(Arc::clone(name), kind, value.clone()) } else { key };
    table.with_column(column).with_key(key)
}

fn group(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = call.strings("columns")?;
    let mode = call.string("mode")?;
    if &*mode != "extend" {
        return Err(call.error(format!("mode is \"extend\", not \"{mode}\"; group() knows others")));
    }
    call.all_tables(move |context, tables| {
        let mut gathered = Gathered::default();
        for table in tables {
            context.check()?;
            let takes = |label: &str| table.key().has(label) || labels.iter().any(|known| **known == *label);
            split(context, table, takes, |part| gathered.add(part))?;
        }
        gathered.finish(context)
    })
}

fn object_keys(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let members = call.record("o")?.members();
    Ok(Value::array(members.into_iter().map(|(name, _)| Value::String(name)).collect()))
}

fn preview(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    const MAX: i64 = 5;
    let count = |name: &str| {
        let given = call.opt_int(name)?.unwrap_or(MAX);
        usize::try_from(given).map_err(|_| call.error(format!("{name} must not be negative, but is {given}")))
    };
    let (rows_max, tables_max) = (count("nrows")?, count("ntables")?);
    call.all_tables(move |_, tables| {
        let first = |table: &Table| {
            let rows: Vec<usize> = (0..table.rows().min(rows_max)).collect();
            table.take(&rows)
        };
        Ok(tables.iter().take(tables_max).map(first).collect())
    })
}

fn chain(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    // Inputs of a step are made in their order.
    let inputs = vec![call.stream("first")?, call.stream("second")?];
    let range = inputs.last().and_then(Stream::range);
    let stream = Stream::step(call.name, call.span, inputs, |_, inputs| {
        Ok(inputs.last().map(|tables| tables.as_ref().clone()).unwrap_or_default())
    });
    Ok(Value::Stream(stream.with_range(range)))
}
