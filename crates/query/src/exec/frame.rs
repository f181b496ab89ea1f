//! From slots to rows: calls joined by time, nulls replaced as fill demands, expressions computed, pieces emitted.

use std::sync::Arc;

use skywatch_influxql::Fill;
use skywatch_model::{FieldType, FieldValue};

use super::{Emit, Run, groups::Group};
use crate::{
    OutputColumn, QueryError,
    expr::{Expr, Frame, Place, Vector, VectorBuilder},
    kernel::Points,
    plan::SelectPlan,
};

/// Joins the points of all calls by time. Where a call has no point, its slot is null.
pub(super) fn of_calls(plan: &SelectPlan, calls: Vec<Points>) -> (Vec<i64>, Frame) {
    let repeats = plan.calls.iter().any(|call| call.function.own_times);
    let times =
        if repeats { merged_times(&calls, plan.ascending) } else { union_times(&calls, plan.ascending) };
    let len = times.len();
    let mut slots = Vec::with_capacity(calls.len() + plan.references.len());
    let mut aux = Vec::new();
    for points in calls {
        let mut values = VectorBuilder::with_capacity(len);
        let mut own = points.times.iter().zip(points.values).peekable();
        let aligned = points.times.len() == len;
        for time in &times {
            values.push(match own.peek() {
                Some((own_time, _)) if aligned || *own_time == time => {
                    own.next().and_then(|(_, value)| value)
                }
                _ => None,
            });
        }
        slots.push(values.finish());
        if !plan.references.is_empty() {
            aux = points.aux;
        }
    }
    for reference in 0..plan.references.len() {
        let mut values = VectorBuilder::with_capacity(len);
        aux.iter().for_each(|row| values.push(row.as_ref().and_then(|row| row[reference].clone())));
        slots.push(values.finish());
    }
    let mut frame = Frame { len, slots };
    apply_default(&mut frame, plan, &mut Vec::new());
    (times, frame)
}

/// As [`union_times`] where a call may repeat a time: rows take the next point of every call that has one at the time
/// that comes first among all of them.
fn merged_times(calls: &[Points], ascending: bool) -> Vec<i64> {
    let mut next = vec![0; calls.len()];
    let mut times = Vec::new();
    loop {
        let heads = calls.iter().zip(&next).filter_map(|(points, next)| points.times.get(*next).copied());
        let Some(time) = (if ascending { heads.min() } else { heads.max() }) else { return times };
        for (points, next) in calls.iter().zip(&mut next) {
            *next += usize::from(points.times.get(*next) == Some(&time));
        }
        times.push(time);
    }
}

/// Every time at which some call has a point. Calls of one query cannot repeat a time unless there is one call.
fn union_times(calls: &[Points], ascending: bool) -> Vec<i64> {
    let mut longest: &[i64] = &[];
    for points in calls {
        if points.times.len() > longest.len() {
            longest = &points.times;
        }
    }
    if calls.iter().all(|points| points.times.is_empty() || points.times == longest) {
        return longest.to_vec();
    }
    let mut times: Vec<i64> = calls.iter().flat_map(|points| points.times.iter().copied()).collect();
    times.sort_unstable();
    times.dedup();
    if !ascending {
        times.reverse();
    }
    times
}

/// Replaces nulls: by a number, or by the value of the row before, which `carry` hands from frame to frame of a
/// series.
pub(super) fn apply_default(frame: &mut Frame, plan: &SelectPlan, carry: &mut Vec<Option<FieldValue>>) {
    if matches!(plan.fill, Fill::Null | Fill::None | Fill::Linear) {
        return;
    }
    carry.resize(frame.slots.len(), None);
    for ((index, slot), last) in frame.slots.iter_mut().enumerate().zip(carry) {
        let number = default_number(plan, index);
        if number.is_none() && plan.fill != Fill::Previous {
            continue;
        }
        if number.is_some() && !has_nulls(slot) {
            continue;
        }
        let mut values = VectorBuilder::with_capacity(frame.len);
        for row in 0..frame.len {
            let value = slot.get(row).or_else(|| number.clone().or_else(|| last.clone()));
            if number.is_none() {
                last.clone_from(&value);
            }
            values.push(value);
        }
        *slot = values.finish();
    }
}

/// The number that stands for null in a slot, in the slot's type if that is numeric. Calls whose argument, and with
/// it the type, is unknown stay null.
fn default_number(plan: &SelectPlan, slot: usize) -> Option<FieldValue> {
    let wanted = plan.slot_type(slot)?;
    let (float, integer) = match plan.fill {
        Fill::Integer(value) => (value as f64, value),
        Fill::Number(value) => (value, value as i64),
        Fill::Null | Fill::None | Fill::Linear | Fill::Previous => return None,
    };
    Some(match (wanted, plan.fill) {
        (Some(FieldType::Float), _) => FieldValue::Float(float),
        (Some(FieldType::Integer), _) => FieldValue::Integer(integer),
        (Some(FieldType::Unsigned), _) => FieldValue::Unsigned(integer as u64),
        (_, Fill::Integer(value)) => FieldValue::Integer(value),
        _ => FieldValue::Float(float),
    })
}

fn has_nulls(vector: &Vector) -> bool {
    match vector {
        Vector::Null => true,
        Vector::Const(_) => false,
        Vector::Column(column) => column.valid.is_some(),
        Vector::Coded { dictionary, .. } => dictionary.iter().any(Option::is_none),
        Vector::Mixed(values) => values.iter().any(Option::is_none),
    }
}

/// Computes the selected expressions.
pub(super) fn columns(plan: &SelectPlan, times: Vec<i64>, mut frame: Frame) -> Vec<OutputColumn> {
    let mut uses = vec![0usize; frame.slots.len()];
    plan.fields.iter().for_each(|field| field.visit_slots(&mut |slot| uses[slot] += 1));
    let len = frame.len;
    let mut values = vec![OutputColumn::Time(times)];
    for field in &plan.fields {
        let vector = match field {
            // The only use of a slot takes it instead of copying it.
            Expr::Slot(slot) if uses[*slot] == 1 => std::mem::replace(&mut frame.slots[*slot], Vector::Null),
            field => field.eval(&frame, Place::FieldList).into_owned(),
        };
        values.push(if plan.keeps_nan { vector.into_column(len) } else { vector.into_output(len) });
    }
    values
}

/// Emits the rows of a group, in pieces.
pub(super) fn emit(
    run: &Run<'_>,
    group: &Group,
    times: Vec<i64>,
    frame: Frame,
    emit: &mut Emit<'_>,
) -> Result<(), QueryError> {
    run.usage.cancel.check()?;
    if times.is_empty() {
        return Ok(());
    }
    let rows = times.len();
    let values = columns(run.plan, times, frame);
    if rows <= run.piece_rows {
        let mut series = run.series(group);
        series.values = values;
        return emit(series);
    }
    let mut start = 0;
    while start < rows {
        let end = (start + run.piece_rows).min(rows);
        let mut series = run.series(group);
        series.values = values.iter().map(|column| slice(column, start, end)).collect();
        series.partial = end < rows;
        emit(series)?;
        start = end;
    }
    Ok(())
}

fn slice(column: &OutputColumn, start: usize, end: usize) -> OutputColumn {
    match column {
        OutputColumn::Time(times) => OutputColumn::Time(times[start..end].to_vec()),
        OutputColumn::Null(_) => OutputColumn::Null(end - start),
        OutputColumn::Coded { codes, dictionary } => {
            OutputColumn::Coded { codes: codes[start..end].into(), dictionary: Arc::clone(dictionary) }
        }
        OutputColumn::Mixed(values) => OutputColumn::Mixed(values[start..end].to_vec()),
        OutputColumn::Lists(lists) => OutputColumn::Lists(lists[start..end].to_vec()),
        OutputColumn::Values(column) => OutputColumn::Values(column.slice(start..end)),
    }
}
