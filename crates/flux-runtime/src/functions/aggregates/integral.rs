//! The area below a curve of values over time.

use super::{aggregated, numbers::Numbers, row};
use crate::{Call, Column, Context, Error, Kind, Table, Value, functions::sources::time_column};

const SECOND_NS: i64 = 1_000_000_000;

pub(super) fn integral(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let unit_ns = unit(call)?;
    let label = call.string_or("column", "_value")?;
    let time = call.string_or("timeColumn", "_time")?;
    let interpolates = match &*call.string_or("interpolate", "")? {
        "" => false,
        "linear" => true,
        other => return Err(call.error(format!("interpolate is \"linear\" or \"\", not \"{other}\""))),
    };
    call.each_table(move |context, table, made| {
        let column = aggregated(context, table, &label)?;
        let times = time_column(context, table, &time)?;
        let bounds = if interpolates { Some(bounds(context, table)?) } else { None };
        let area = area(context, column, &times, bounds)?;
        let value = area.map_or(Value::Null, |area| Value::Float(area / unit_ns));
        made.push(row(context, table, &label, Kind::Float, value)?);
        Ok(())
    })
}

/// What the integral, continued to the bounds of the table's time, comes to if spread evenly over it.
pub(super) fn time_weighted_average(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    // The result does not depend on it.
    unit(call)?;
    call.each_table(move |context, table, made| {
        let column = aggregated(context, table, "_value")?;
        let times = time_column(context, table, "_time")?;
        let (start, stop) = bounds(context, table)?;
        let area = area(context, column, &times, Some((start, stop)))?;
        let value = area
            .filter(|_| start < stop)
            .map_or(Value::Null, |area| Value::Float(area / stop.abs_diff(start) as f64));
        made.push(row(context, table, &"_value".into(), Kind::Float, value)?);
        Ok(())
    })
}

/// In nanoseconds.
fn unit(call: &Call<'_, '_>) -> Result<f64, Error> {
    let Some(unit) = call.opt_duration("unit")? else { return Ok(SECOND_NS as f64) };
    match unit.nanoseconds_only() {
        Some(unit_ns) if unit_ns > 0 => Ok(unit_ns as f64),
        Some(_) => Err(call.error(format!("unit must be positive, but is {unit}"))),
        None => Err(call.error(format!("unit must be of a fixed length, without months, but is {unit}"))),
    }
}

fn bounds(context: &Context<'_>, table: &Table) -> Result<(i64, i64), Error> {
    let bound = |label: &str| match table.key().get(label) {
        Some(Value::Time(time)) => Ok(*time),
        _ => {
            let text =
                format!("the tables have to be grouped by \"{label}\", a time, as range() leaves them");
            Err(context.error(text))
        }
    };
    Ok((bound("_start")?, bound("_stop")?))
}

#[derive(Clone, Copy)]
struct Point {
    time_ns: i64,
    value: f64,
}

/// Value times nanoseconds; `None` without values. Within bounds the first and the last two points are continued to
/// them, a single one as it is.
fn area(
    context: &mut Context<'_>,
    column: &Column,
    times: &Column,
    bounds: Option<(i64, i64)>,
) -> Result<Option<f64>, Error> {
    let numbers = Numbers::of(context, column)?;
    let (mut first, mut second): (Option<Point>, Option<Point>) = (None, None);
    let (mut before, mut last): (Option<Point>, Option<Point>) = (None, None);
    let mut area = 0.0;
    for row in 0..numbers.rows() {
        let Some(value) = numbers.get(row) else { continue };
        let Value::Time(time_ns) = times.get(row) else {
            return Err(context.error(format!("row {row} has no time in column \"{}\"", times.label())));
        };
        let point = Point { time_ns, value };
        if let Some(last) = last {
            if time_ns < last.time_ns {
                let label = times.label();
                let text =
                    format!("rows are not in the order of column \"{label}\": sort() them by it first");
                return Err(context.error(text));
            }
            area += between(last, point);
            second = second.or(Some(point));
        }
        first = first.or(Some(point));
        before = last.replace(point);
    }
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    if let Some((start_ns, stop_ns)) = bounds {
        if start_ns < first.time_ns {
            area += between(continued(first, second, start_ns), first);
        }
        if last.time_ns < stop_ns {
            area += between(last, continued(last, before, stop_ns));
        }
    }
    Ok(Some(area))
}

/// Nanoseconds from one to the other. Of times themselves floats keep only some hundreds of nanoseconds.
fn apart(left: Point, right: Point) -> f64 {
    (i128::from(right.time_ns) - i128::from(left.time_ns)) as f64
}

/// Below the line between two points.
fn between(left: Point, right: Point) -> f64 {
    (left.value + right.value) / 2.0 * apart(left, right)
}

/// The point at a time on the line through two; on the level of the one if there is no other.
fn continued(from: Point, through: Option<Point>, time_ns: i64) -> Point {
    let slope = through
        .filter(|through| through.time_ns != from.time_ns)
        .map_or(0.0, |through| (through.value - from.value) / apart(from, through));
    let there = Point { time_ns, ..from };
    Point { value: from.value + slope * apart(from, there), ..there }
}
