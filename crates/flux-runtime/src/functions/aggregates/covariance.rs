//! How two columns go together.

use super::{aggregated, numbers::Numbers, row};
use crate::{Call, Error, Kind, Value};

/// Of a sample; NaN for less than two rows. Only rows with both values count.
pub(super) fn covariance(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let columns = call.strings("columns")?;
    let [x, y] = <[_; 2]>::try_from(columns)
        .map_err(|columns| call.error(format!("columns must be two, not {}", columns.len())))?;
    let is_normalized = call.bool_or("pearsonr", false)?;
    let target = call.string_or("valueDst", "_value")?;
    call.each_table(move |context, table, made| {
        let x = Numbers::of(context, aggregated(context, table, &x)?)?;
        let y = Numbers::of(context, aggregated(context, table, &y)?)?;
        let pairs = || (0..x.rows()).filter_map(|row| Some((x.get(row)?, y.get(row)?)));
        let (count, x_sum, y_sum) = pairs()
            .fold((0_usize, 0.0, 0.0), |(count, x_sum, y_sum), (x, y)| (count + 1, x_sum + x, y_sum + y));
        let value = if count == 0 {
            Value::Null
        } else {
            let (x_mean, y_mean) = (x_sum / count as f64, y_sum / count as f64);
            let (mut both, mut x_squares, mut y_squares) = (0.0, 0.0, 0.0);
            for (x, y) in pairs() {
                let (x, y) = (x - x_mean, y - y_mean);
                both += x * y;
                x_squares += x * x;
                y_squares += y * y;
            }
            Value::Float(match is_normalized {
                true => both / (x_squares * y_squares).sqrt(),
                false => both / (count - 1) as f64,
            })
        };
        made.push(row(context, table, &target, Kind::Float, value)?);
        Ok(())
    })
}
