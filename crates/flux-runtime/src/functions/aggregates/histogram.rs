//! How many values lie below bounds, and the bounds.

use crate::{Call, Cells, Column, Error, Table, Value, Values};

use super::{
    aggregated,
    numbers::{floats, present},
};

pub(super) fn histogram(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut bins = Vec::new();
    for bin in call.array("bins")?.iter() {
        match bin {
            Value::Float(bound) if !bound.is_nan() => bins.push(*bound),
            Value::Float(_) => return Err(call.error("bins must be numbers, but one is NaN")),
            other => {
                return Err(call.error(format!("bins must be floats, but one is a {}", other.kind().name())));
            }
        }
    }
    if bins.is_empty() {
        return Err(call.error("bins must not be empty"));
    }
    bins.sort_unstable_by(f64::total_cmp);
    let label = call.string_or("column", "_value")?;
    let bound_label = call.string_or("upperBoundColumn", "le")?;
    let count_label = call.string_or("countColumn", "_value")?;
    if bound_label == count_label {
        return Err(call.error(format!("upperBoundColumn and countColumn are both \"{count_label}\"")));
    }
    let is_normalized = call.bool_or("normalize", false)?;
    call.each_table(move |context, table, made| {
        let cells = floats(context, aggregated(context, table, &label)?)?;
        for label in [&bound_label, &count_label] {
            if table.key().has(label) {
                let text = format!("cannot write to column \"{label}\": the tables are grouped by it");
                return Err(context.error(text));
            }
        }
        let mut counts = vec![0.0; bins.len()];
        for value in present(&cells) {
            let bin = bins.partition_point(|bound| *bound < value);
            match counts.get_mut(bin) {
                Some(count) if !value.is_nan() => *count += 1.0,
                _ => {
                    let greatest = bins.last().copied().unwrap_or_default();
                    let text = format!(
                        "found value {value}, greater than any bin, the last of which is {greatest}; \
                         let bins end with infinity"
                    );
                    return Err(context.error(text));
                }
            }
        }
        let mut total = 0.0;
        for count in &mut counts {
            total += *count;
            *count = total;
        }
        if is_normalized && total > 0.0 {
            counts.iter_mut().for_each(|count| *count /= total);
        }
        let mut columns = table.key_columns(bins.len());
        columns.push(Column::new(bound_label.clone(), Values::Float(Cells::all(bins.clone()))));
        columns.push(Column::new(count_label.clone(), Values::Float(Cells::all(counts))));
        made.push(Table::new(table.key().clone(), columns));
        Ok(())
    })
}

pub(super) fn linear_bins(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let width = call.float("width")?;
    bins(call, move |start, bin| start + bin * width)
}

pub(super) fn logarithmic_bins(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let factor = call.float("factor")?;
    bins(call, move |start, bin| start * factor.powf(bin))
}

/// As many bounds as are wanted, and perhaps infinity.
fn bins(call: &mut Call<'_, '_>, bound: impl Fn(f64, f64) -> f64) -> Result<Value, Error> {
    let start = call.float("start")?;
    let wanted = call.int("count")?;
    let Ok(count) = usize::try_from(wanted) else {
        return Err(call.error(format!("count must not be negative, but is {wanted}")));
    };
    let ends_infinite = call.bool_or("infinity", true)?;
    let bytes = count.saturating_mul(size_of::<Value>()).min(isize::MAX as usize);
    let _room = call.context.hold(bytes)?;
    let mut bounds = Vec::with_capacity(count.saturating_add(1));
    for bin in 0..count {
        call.context.check()?;
        bounds.push(Value::Float(bound(start, bin as f64)));
    }
    if ends_infinite {
        bounds.push(Value::Float(f64::INFINITY));
    }
    Ok(Value::array(bounds))
}
