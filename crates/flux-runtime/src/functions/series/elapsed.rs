//! `elapsed`: the time since the row before.

use crate::{
    Call, Error, Kind, Value,
    functions::{
        series::{free_column, rows_from, unit_argument},
        sources::time_column,
    },
    read::column_of,
};

pub(super) fn elapsed(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let unit = unit_argument(call, "unit")?;
    let time = call.string_or("timeColumn", "_time")?;
    let label = call.string_or("columnName", "elapsed")?;
    call.each_table(move |context, table, made| {
        free_column(context, table, &label)?;
        let mut before = None;
        let elapsed: Vec<Value> = time_column(context, table, &time)?
            .iter()
            .map(|time| match time {
                Value::Time(time) => before
                    .replace(time)
                    .map_or(Value::Null, |before| Value::Int(time.saturating_sub(before) / unit)),
                _ => Value::Null,
            })
            .skip(1)
            .collect();
        made.push(rows_from(table, 1, &[]).with_column(column_of(&label, Kind::Int, elapsed)));
        Ok(())
    })
}
