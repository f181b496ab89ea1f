//! For how many rows and how long something has held: `stateCount`, `stateDuration`, `stateTracking`.

use std::sync::Arc;

use crate::{
    Call, Column, Context, Error, Kind, Table, Value,
    evaluate::RowFunction,
    functions::{
        series::{free_column, unit_argument},
        sources::time_column,
    },
    read::column_of,
};

/// What is told of a state.
struct Tracking {
    function: RowFunction,
    count: Option<Arc<str>>,
    duration: Option<Duration>,
}

struct Duration {
    label: Arc<str>,
    time: Arc<str>,
    unit: i64,
}

/// Told of rows in which it does not hold.
const NOT: i64 = -1;

pub(super) fn state_count(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let count = Some(call.string_or("column", "stateCount")?);
    tracked(call, count, None)
}

pub(super) fn state_duration(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let duration = Duration {
        label: call.string_or("column", "stateDuration")?,
        time: call.string_or("timeColumn", "_time")?,
        unit: unit_argument(call, "unit")?,
    };
    tracked(call, None, Some(duration))
}

pub(super) fn state_tracking(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    // As in Flux, an empty name is none.
    let label = |name: &str| Ok::<_, Error>(call.opt_string(name)?.filter(|label| !label.is_empty()));
    let count = label("countColumn")?;
    let duration = match label("durationColumn")? {
        None => None,
        Some(label) => Some(Duration {
            label,
            time: call.string_or("timeColumn", "_time")?,
            unit: unit_argument(call, "durationUnit")?,
        }),
    };
    if count.is_none() && duration.is_none() {
        return Err(call.error("name a countColumn, a durationColumn or both"));
    }
    tracked(call, count, duration)
}

fn tracked(call: &Call<'_, '_>, count: Option<Arc<str>>, duration: Option<Duration>) -> Result<Value, Error> {
    let function = RowFunction::new(&call.function("fn")?, call.span)?;
    let tracking = Tracking { function, count, duration };
    call.each_table(move |context, table, made| {
        made.push(tracking.of(context, table)?);
        Ok(())
    })
}

impl Tracking {
    fn of(&self, context: &mut Context<'_>, table: &Table) -> Result<Table, Error> {
        for label in self.count.iter().chain(self.duration.as_ref().map(|duration| &duration.label)) {
            free_column(context, table, label)?;
        }
        let times = match &self.duration {
            Some(duration) => Some((duration, time_column(context, table, &duration.time)?)),
            None => None,
        };
        let (mut rows, mut counts, mut durations) = (Vec::new(), Vec::new(), Vec::new());
        // How many rows, and since when.
        let mut state: Option<(i64, Option<i64>)> = None;
        let mut wrong = None;
        for (row, record) in table.records().enumerate() {
            let holds = match self.function.holds(context, record) {
                Ok(holds) => holds,
                // A row of which the function can say nothing is left out, and leaves the state as it is.
                Err(error @ Error::Run { .. }) => {
                    wrong.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            rows.push(row);
            let time = times.as_ref().map(|(duration, times)| time_of(context, duration, times, row));
            let time = time.transpose()?;
            state = holds.then(|| state.map_or((1, time), |(count, since)| (count + 1, since)));
            counts.push(state.map_or(NOT, |(count, _)| count));
            if let Some((duration, _)) = &times {
                durations.push(match (state, time) {
                    (Some((_, Some(since))), Some(time)) if time < since => {
                        let label = &duration.time;
                        let text = format!("times of column \"{label}\" do not ascend; sort by it before");
                        return Err(context.error(text));
                    }
                    (Some((_, Some(since))), Some(time)) => time.saturating_sub(since) / duration.unit,
                    _ => NOT,
                });
            }
        }
        match wrong {
            // The function is wrong, not a row.
            Some(error) if rows.is_empty() => return Err(error),
            _ => {}
        }
        let mut made = if rows.len() == table.rows() { table.clone() } else { table.take(&rows) };
        let told =
            |label: &str, values: Vec<i64>| column_of(label, Kind::Int, values.into_iter().map(Value::Int));
        if let Some(label) = &self.count {
            made = made.with_column(told(label, counts));
        }
        if let Some(duration) = &self.duration {
            made = made.with_column(told(&duration.label, durations));
        }
        Ok(made)
    }
}

fn time_of(context: &Context<'_>, duration: &Duration, times: &Column, row: usize) -> Result<i64, Error> {
    match times.get(row) {
        Value::Time(time) => Ok(time),
        _ => Err(context.error(format!("row {row} has no time in column \"{}\"", duration.time))),
    }
}
