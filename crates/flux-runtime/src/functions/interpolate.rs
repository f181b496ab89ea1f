//! Package interpolate: rows between rows.

use skywatch_flux::Duration;

use crate::{
    Call, Column, Context, Error, Kind, Table, Value,
    function::{Builtin, piped, required},
    functions::{
        series::{number_column, with_rows},
        sources::time_column,
    },
    packages::{Library, no_constants},
    read::{column_of, times_column},
};

/// Package interpolate.
pub(crate) static LIBRARY: Library = Library {
    path: "interpolate",
    builtins: &[Builtin { name: "linear", parameters: &[piped("tables"), required("every")], run: linear }],
    constants: no_constants,
    text: "",
};

const TIME: &str = "_time";
const VALUE: &str = "_value";
/// A time and a value.
const ROW_BYTES: i64 = 16;

fn linear(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let every = call.duration("every")?;
    let grid = Grid::new(every).ok_or_else(|| {
        call.error(format!(
            "every has to be positive, and of months or of shorter units alone, but is {every}"
        ))
    })?;
    call.each_table(move |context, table, made| {
        made.push(interpolated(context, table, grid)?);
        Ok(())
    })
}

fn interpolated(context: &mut Context<'_>, table: &Table, grid: Grid) -> Result<Table, Error> {
    let times = time_column(context, table, TIME)?;
    let column = number_column(context, table, VALUE)?;
    if column.kind() != Kind::Float {
        let text =
            format!("column \"{VALUE}\" is of type {}; make it float with toFloat()", column.kind().name());
        return Err(context.error(text));
    }
    for column in table.columns() {
        let label = column.label();
        if !table.key().has(label) && ![TIME, VALUE].contains(&&**label) {
            let text = format!("column \"{label}\" is not part of the group key; drop it, or group by it");
            return Err(context.error(text));
        }
    }
    let points = points(context, &times, &column)?;
    // What is between the first and the last, before it is made.
    let between = match (points.first(), points.last()) {
        (Some((first, _)), Some((last, _))) => grid.steps_at_most(*first, *last),
        _ => 0,
    };
    let bytes = between.saturating_mul(ROW_BYTES);
    let _room = context.hold(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (row, &(time, value)) in points.iter().enumerate() {
        times.push(time);
        values.push(Value::Float(value));
        let Some(&(next_time, next_value)) = points.get(row + 1) else { continue };
        let distance = |at: i64| (i128::from(at) - i128::from(time)) as f64;
        let mut step = grid.step_after(time);
        while let Some(at) = grid.at(step).filter(|&at| at < next_time) {
            context.check()?;
            times.push(at);
            let part = distance(at) / distance(next_time);
            values.push(Value::Float(value + (next_value - value) * part));
            step += 1;
        }
    }
    let rows = vec![0; times.len()];
    let computed = vec![times_column(TIME, times), column_of(VALUE, Kind::Float, values)];
    Ok(with_rows(table, &rows, &computed))
}

/// Rows with a time and a value: others say nothing that could be kept. Times have to ascend; of several rows at one
/// time the last counts.
fn points(context: &mut Context<'_>, times: &Column, values: &Column) -> Result<Vec<(i64, f64)>, Error> {
    let mut points: Vec<(i64, f64)> = Vec::with_capacity(times.rows());
    for (time, value) in times.iter().zip(values.iter()) {
        context.check()?;
        let (Value::Time(time), Value::Float(value)) = (time, value) else { continue };
        match points.last_mut() {
            Some(last) if time < last.0 => {
                return Err(
                    context.error(format!("times of column \"{TIME}\" do not ascend; sort by it before"))
                );
            }
            Some(last) if time == last.0 => last.1 = value,
            _ => points.push((time, value)),
        }
    }
    Ok(points)
}

/// Times at equal distances, counted from the epoch: so many months or so many nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Grid {
    every: Duration,
}

const DAY_NS: i64 = 86_400_000_000_000;
const SHORTEST_MONTH_NS: i64 = 28 * DAY_NS;
const LONGEST_MONTH_NS: i64 = 31 * DAY_NS;

impl Grid {
    fn new(every: Duration) -> Option<Self> {
        let is_one = (every.months == 0) != (every.nanoseconds == 0);
        (is_one && !every.is_negative).then_some(Self { every })
    }

    /// The time of a step; `None` where there is no such time.
    fn at(self, step: i64) -> Option<i64> {
        let count = step.checked_abs()?;
        let distance = Duration {
            months: self.every.months.checked_mul(count)?,
            nanoseconds: self.every.nanoseconds.checked_mul(count)?,
            is_negative: step < 0,
        };
        distance.add_to(0)
    }

    /// The first step after a time.
    fn step_after(self, time: i64) -> i64 {
        if self.every.months == 0 {
            return time.div_euclid(self.every.nanoseconds).saturating_add(1);
        }
        // So many that it cannot be too late, then as many more as it takes: months differ little.
        let month = if time < 0 { SHORTEST_MONTH_NS } else { LONGEST_MONTH_NS };
        let mut step = time.div_euclid(self.every.months.saturating_mul(month));
        while self.at(step).is_some_and(|at| at <= time) {
            step = step.saturating_add(1);
        }
        step
    }

    /// How many steps there are between two times, or more.
    fn steps_at_most(self, first: i64, last: i64) -> i64 {
        let month = self.every.months.saturating_mul(SHORTEST_MONTH_NS);
        let length = last.saturating_sub(first);
        length / month.max(self.every.nanoseconds).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_before_and_after_the_epoch() {
        let months = Grid::new(Duration { months: 2, ..Duration::default() }).unwrap();
        let seconds = Grid::new(Duration::from_nanoseconds(7)).unwrap();
        for grid in [months, seconds] {
            for step in [-3000, -500, -1, 0, 1, 12, 500, 1500] {
                let Some(at) = grid.at(step) else { continue };
                assert_eq!(grid.step_after(at), step + 1);
                assert_eq!(grid.step_after(at - 1), step);
            }
        }
        assert!(Grid::new(Duration::default()).is_none());
    }
}
