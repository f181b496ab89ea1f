//! Times are moved, cut off, or looked at by the hour.

use std::sync::Arc;

use skywatch_flux::Duration;

use super::{bounds::Every, location_of};
use crate::{
    Call, Column, Context, Error, Stream, Tables, Value, Values,
    column::Cells,
    functions::{columns::replaced, group::Gathered, sources::time_column},
};

/// `timeShift`: times become later by a duration.
pub(super) fn time_shift(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let duration = call.duration("duration")?;
    let named = call.opt_strings("columns")?;
    let usual = || ["_start", "_stop", "_time"].into_iter().map(Arc::from).collect();
    let labels: Vec<Arc<str>> = named.unwrap_or_else(usual);
    let stream = call.stream("tables")?;
    let moves_range = ["_start", "_stop"].iter().all(|bound| labels.iter().any(|label| **label == **bound));
    let range = stream.range().map(|(start, stop)| {
        let moved = |time: i64| duration.add_to(time).unwrap_or(time);
        if moves_range { (moved(start), moved(stop)) } else { (start, stop) }
    });
    let made = Stream::step(call.name, call.span, vec![stream], move |context, inputs| {
        changed(context, &inputs, &labels, |context, time| {
            duration.add_to(time).ok_or_else(|| {
                let time = skywatch_flux::format_time(time);
                context.error(format!("{duration} from {time} is out of range"))
            })
        })
    });
    Ok(Value::Stream(made.with_range(range)))
}

/// `truncateTimeColumn`: times become the begin of the unit that they lie in. It is always `_time`, whatever
/// `timeColumn` says, as the documentation has it.
pub(super) fn truncate_time_column(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let unit = call.duration("unit")?;
    call.opt_string("timeColumn")?;
    let location = call.context.location.clone();
    let every = Every::new(unit, unit, Duration::default(), location);
    let every = every.map_err(|text| call.error(text.replace("every", "unit")))?;
    let labels = [Arc::from("_time")];
    let stream = call.stream("tables")?;
    let made = Stream::step(call.name, call.span, vec![stream], move |context, inputs| {
        for table in inputs.iter().flat_map(|tables| tables.iter()) {
            time_column(context, table, "_time")?;
        }
        changed(context, &inputs, &labels, |_, time| Ok(every.bounds(every.latest(time)).0))
    });
    Ok(Value::Stream(made))
}

/// Tables with each time of some columns changed, as far as a table has them.
fn changed(
    context: &mut Context<'_>,
    inputs: &[std::rc::Rc<Tables>],
    labels: &[Arc<str>],
    change: impl Fn(&Context<'_>, i64) -> Result<i64, Error>,
) -> Result<Tables, Error> {
    let mut gathered = Gathered::default();
    for table in inputs.iter().flat_map(|tables| tables.iter()) {
        context.check()?;
        let mut columns = Vec::with_capacity(labels.len());
        for label in labels {
            if table.column(label).is_some() {
                let column = time_column(context, table, label)?;
                columns.push(with_changed(context, &column, &change)?);
            }
        }
        replaced(context, table, columns, &mut gathered)?;
    }
    gathered.finish(context)
}

fn with_changed(
    context: &Context<'_>,
    column: &Column,
    change: impl Fn(&Context<'_>, i64) -> Result<i64, Error>,
) -> Result<Column, Error> {
    let label = Arc::clone(column.label());
    Ok(match column.values() {
        Values::Repeat { kind, value: Value::Time(time), rows } => {
            Column::repeat(label, *kind, Value::Time(change(context, *time)?), *rows)
        }
        Values::Time(cells) => {
            let times = cells.iter().map(|time| time.map_or(Ok(0), |time| change(context, *time)));
            let values = times.collect::<Result<Vec<i64>, Error>>()?;
            Column::new(label, Values::Time(Cells { values, valid: cells.valid.clone() }))
        }
        _ => column.clone(),
    })
}

/// `hourSelection`: rows of some hours of the day, the last included; they may go past midnight.
pub(super) fn hour_selection(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let (start, stop) = (call.int("start")?, call.int("stop")?);
    for (name, hour) in [("start", start), ("stop", stop)] {
        if !(0..24).contains(&hour) {
            return Err(call.error(format!("{name} is an hour from 0 to 23, not {hour}")));
        }
    }
    let calendar = super::Calendar::new(location_of(call)?).map_err(|text| call.error(text))?;
    let label = call.string_or("timeColumn", "_time")?;
    let selects = move |time: i64| {
        let hour = calendar.to_local(time).div_euclid(HOUR_NS).rem_euclid(24);
        if start <= stop { start <= hour && hour <= stop } else { start <= hour || hour <= stop }
    };
    call.each_table(move |context, table, made| {
        let times = time_column(context, table, &label)?;
        let rows: Vec<usize> = (0..table.rows())
            .filter(|&row| matches!(times.get(row), Value::Time(time) if selects(time)))
            .collect();
        made.push(table.take(&rows));
        Ok(())
    })
}
