//! What stands in windows without a value, and LIMIT: per call, as InfluxDB applies both.

use skywatch_influxql::Fill;
use skywatch_model::{FieldType, FieldValue, MIN_TIME};

use super::Usage;
use crate::{
    QueryError,
    kernel::Points,
    plan::{CallPlan, SelectPlan},
    window::Windows,
};

/// Bytes that one filled window takes, for the memory limit.
const BYTES_PER_WINDOW: usize = 48;

/// The points of one call in one group, filled, then cut to OFFSET and LIMIT. A call without points stays empty.
pub(super) fn apply(
    plan: &SelectPlan,
    call: &CallPlan,
    points: Points,
    usage: &Usage<'_>,
) -> Result<Points, QueryError> {
    let points = match (&plan.windows, call.output) {
        (Some(windows), Some(output))
            if plan.fill != Fill::None && call.function.filled && !points.times.is_empty() =>
        {
            let is_count = call.function.name == "count";
            let fill = if is_count && plan.fill == Fill::Null { Fill::Integer(0) } else { plan.fill };
            Filler { plan, windows, fill, output, usage }.fill(points)?
        }
        _ => points,
    };
    Ok(cut(points, plan.offset, plan.limit))
}

fn cut(mut points: Points, offset: u64, limit: u64) -> Points {
    let len = points.times.len();
    let start = (offset as usize).min(len);
    let end = if limit == 0 { len } else { start.saturating_add(limit as usize).min(len) };
    if start > 0 || end < len {
        points.times = points.times[start..end].to_vec();
        points.values = points.values.drain(start..end).collect();
        points.aux = points.aux.drain(start..end).collect();
    }
    points
}

struct Filler<'a> {
    plan: &'a SelectPlan,
    windows: &'a Windows,
    fill: Fill,
    output: FieldType,
    usage: &'a Usage<'a>,
}

impl Filler<'_> {
    fn fill(&self, points: Points) -> Result<Points, QueryError> {
        let (mut window, last) = self.bounds(points.times[0]);
        if self.is_complete(&points.times, window, last) {
            return Ok(points);
        }
        // Rows beyond the limit need not be made.
        let wanted = match self.plan.limit {
            0 => usize::MAX,
            limit => (self.plan.offset.saturating_add(limit)) as usize,
        };
        let mut out = Points::default();
        let mut previous: Option<(i64, Option<FieldValue>)> = None;
        let (times, values) = (points.times, points.values);
        let mut present = times.iter().copied().zip(values.iter().cloned()).zip(points.aux).peekable();
        while out.times.len() < wanted {
            match present.peek() {
                Some(((time, _), _)) if !self.before(window, *time) => {
                    if let Some(((time, value), aux)) = present.next() {
                        previous = Some((time, value.clone()));
                        push(&mut out, time, value, aux);
                        // A point of a subquery may lie before the first window: it takes that one's place.
                        window = self.next(window);
                    }
                }
                Some(((next, value), _)) => {
                    let value = self.value(window, previous.as_ref(), Some((*next, value)));
                    push(&mut out, window, value, None);
                    window = self.next(window);
                }
                None if self.within(window, last) => {
                    let value = self.value(window, previous.as_ref(), None);
                    push(&mut out, window, value, None);
                    window = self.next(window);
                }
                None => break,
            }
            if out.times.len().is_multiple_of(4096) {
                self.usage.cancel.check()?;
                self.usage.hold(4096 * BYTES_PER_WINDOW)?;
            }
        }
        self.usage.release(out.times.len() / 4096 * 4096 * BYTES_PER_WINDOW);
        Ok(out)
    }

    /// Whether there is a point in each window from the first one to the last one.
    fn is_complete(&self, times: &[i64], first: i64, last: Option<i64>) -> bool {
        let (Some(last), Some(newest)) = (last, times.last()) else { return false };
        // Times of points are those of their windows, each once, in order.
        let windows = (i128::from(last) - i128::from(first)).abs() / i128::from(self.windows.interval()) + 1;
        self.windows.are_regular() && windows == times.len() as i128 && (times[0], *newest) == (first, last)
    }

    /// The first and the last window to fill, in the order asked for; `None` for an end that is left open.
    fn bounds(&self, first_point: i64) -> (i64, Option<i64>) {
        let range = self.plan.filled;
        let start = (range.start != MIN_TIME).then(|| self.windows.of(range.start).0);
        let end = self.windows.of(range.end).0;
        if self.plan.ascending { (start.unwrap_or(first_point), Some(end)) } else { (end, start) }
    }

    fn within(&self, window: i64, last: Option<i64>) -> bool {
        last.is_some_and(|last| if self.plan.ascending { window <= last } else { window >= last })
    }

    /// Whether `window` comes before that of the point at `time`.
    const fn before(&self, window: i64, time: i64) -> bool {
        if self.plan.ascending { window < time } else { window > time }
    }

    fn next(&self, window: i64) -> i64 {
        if self.plan.ascending { self.windows.next(window) } else { self.windows.previous(window) }
    }

    fn value(
        &self,
        window: i64,
        previous: Option<&(i64, Option<FieldValue>)>,
        next: Option<(i64, &Option<FieldValue>)>,
    ) -> Option<FieldValue> {
        match self.fill {
            Fill::Null | Fill::None => None,
            Fill::Integer(value) => Some(self.cast(value as f64, value)),
            Fill::Number(value) => Some(self.cast(value, value as i64)),
            Fill::Previous => previous.and_then(|(_, value)| value.clone()),
            Fill::Linear => {
                let ((before, low), (after, high)) = (previous?, next?);
                let interval = self.windows.interval();
                let at = |time: i64| time / interval;
                linear(at(window), (at(*before), low.as_ref()?), (at(after), high.as_ref()?))
            }
        }
    }

    /// A number in the type of the answers.
    fn cast(&self, float: f64, integer: i64) -> FieldValue {
        match self.output {
            FieldType::Float => FieldValue::Float(float),
            FieldType::Integer => FieldValue::Integer(integer),
            FieldType::Unsigned => FieldValue::Unsigned(integer as u64),
            FieldType::String => FieldValue::String("".into()),
            FieldType::Boolean => FieldValue::Boolean(false),
        }
    }
}

fn push(out: &mut Points, time: i64, value: Option<FieldValue>, aux: crate::kernel::Aux) {
    out.times.push(time);
    out.values.push(value);
    out.aux.push(aux);
}

/// On the line between two points; times count windows. Integers are truncated.
fn linear(window: i64, before: (i64, &FieldValue), after: (i64, &FieldValue)) -> Option<FieldValue> {
    let width = after.0.wrapping_sub(before.0) as f64;
    let x = window.wrapping_sub(before.0) as f64;
    Some(match (before.1, after.1) {
        (FieldValue::Float(low), FieldValue::Float(high)) => {
            FieldValue::Float((high - low) / width * x + low)
        }
        (FieldValue::Integer(low), FieldValue::Integer(high)) => {
            FieldValue::Integer((high.wrapping_sub(*low) as f64 / width * x + *low as f64) as i64)
        }
        (FieldValue::Unsigned(low), FieldValue::Unsigned(high)) => {
            // The difference may be below zero.
            let slope = (*high as f64 - *low as f64) / width;
            FieldValue::Unsigned((slope * x + *low as f64) as u64)
        }
        _ => return None,
    })
}
