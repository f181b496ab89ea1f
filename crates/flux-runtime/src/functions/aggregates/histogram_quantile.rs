//! The value that a part of all values lies below, as far as a histogram tells.

use super::{aggregated, numbers::Numbers, row};
use crate::{Call, Context, Error, Kind, Table, Value};

/// What becomes of tables whose counts fall as bounds rise.
#[derive(Clone, Copy)]
enum Nonmonotonic {
    /// An error.
    Error,
    /// Each count is at least the one before it.
    Force,
    /// They are left out.
    Drop,
}

#[derive(Clone, Copy)]
struct Bin {
    bound: f64,
    /// Values up to the bound.
    count: f64,
}

pub(super) fn histogram_quantile(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let part = call.float("quantile")?;
    if !(0.0..=1.0).contains(&part) {
        return Err(call.error(format!("quantile must be between 0.0 and 1.0, but is {part}")));
    }
    let count_label = call.string_or("countColumn", "_value")?;
    let bound_label = call.string_or("upperBoundColumn", "le")?;
    let target = call.string_or("valueColumn", "_value")?;
    let least = call.opt_float("minValue")?.unwrap_or(0.0);
    let nonmonotonic = match &*call.string_or("onNonmonotonic", "error")? {
        "error" => Nonmonotonic::Error,
        "force" => Nonmonotonic::Force,
        "drop" => Nonmonotonic::Drop,
        other => {
            let text = format!("onNonmonotonic is \"error\", \"force\" or \"drop\", not \"{other}\"");
            return Err(call.error(text));
        }
    };
    call.each_table(move |context, table, made| {
        let mut bins = bins(context, table, &bound_label, &count_label)?;
        let rising = bins.is_sorted_by(|left, right| left.count <= right.count);
        match nonmonotonic {
            _ if rising => {}
            Nonmonotonic::Drop => return Ok(()),
            Nonmonotonic::Error => {
                let text = format!(
                    "the counts of column \"{count_label}\" do not rise with the bounds of \"{bound_label}\"; \
                     onNonmonotonic: \"force\" or \"drop\" does without"
                );
                return Err(context.error(text));
            }
            Nonmonotonic::Force => {
                let mut most = f64::NEG_INFINITY;
                for bin in &mut bins {
                    most = most.max(bin.count);
                    bin.count = most;
                }
            }
        }
        let value = quantile(&bins, part, least).map_or(Value::Null, Value::Float);
        made.push(row(context, table, &target, Kind::Float, value)?);
        Ok(())
    })
}

/// By their bounds.
fn bins(
    context: &Context<'_>,
    table: &Table,
    bound_label: &str,
    count_label: &str,
) -> Result<Vec<Bin>, Error> {
    let bounds = Numbers::of(context, aggregated(context, table, bound_label)?)?;
    let counts = Numbers::of(context, aggregated(context, table, count_label)?)?;
    let mut bins = Vec::with_capacity(table.rows());
    for row in 0..table.rows() {
        let needed = |number: Option<f64>, label: &str| {
            let text = || context.error(format!("row {row} has no value in column \"{label}\""));
            number.filter(|number| !number.is_nan()).ok_or_else(text)
        };
        let (bound, count) = (needed(bounds.get(row), bound_label)?, needed(counts.get(row), count_label)?);
        bins.push(Bin { bound, count });
    }
    bins.sort_by(|left, right| left.bound.total_cmp(&right.bound));
    Ok(bins)
}

/// `None` for a histogram of no values.
fn quantile(bins: &[Bin], part: f64, least: f64) -> Option<f64> {
    let total = bins.last().map(|bin| bin.count).filter(|total| *total > 0.0)?;
    let rank = part * total;
    let at = bins.partition_point(|bin| bin.count < rank);
    let upper = bins.get(at)?;
    let before = at.checked_sub(1).and_then(|before| bins.get(before));
    let lower = before.copied().unwrap_or(Bin { bound: least, count: 0.0 });
    let share = (rank - lower.count) / (upper.count - lower.count);
    Some(match (lower.bound.is_infinite(), upper.bound.is_infinite()) {
        (true, _) => upper.bound,
        (false, true) => lower.bound,
        // No value lies below the rank.
        _ if share.is_nan() => lower.bound,
        _ => lower.bound + (upper.bound - lower.bound) * share,
    })
}
