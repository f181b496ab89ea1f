//! Values that occur most often.

use super::beside_key;
use crate::{Call, Column, Error, Value, column::Occurrence};

/// All of them, in order. Null where none is more frequent than another.
pub(super) fn mode(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        let column = table.existing(context, &label)?;
        if table.is_empty() {
            return Ok(());
        }
        let rows = most_frequent(column);
        let modes = if rows.is_empty() {
            Column::repeat("_value".into(), column.kind(), Value::Null, 1)
        } else {
            column.take(&rows).renamed("_value".into())
        };
        made.push(beside_key(context, table, modes)?);
        Ok(())
    })
}

fn most_frequent(column: &Column) -> Vec<usize> {
    let mut values: Vec<Occurrence> = column.occurrences();
    values.retain(|value| !value.is_null);
    let most = values.iter().map(|value| value.rows).max().unwrap_or(0);
    // Several values, each of them once.
    if most == 1 && values.len() > 1 {
        return Vec::new();
    }
    values.retain(|value| value.rows == most);
    let mut rows: Vec<usize> = values.iter().map(|value| value.row).collect();
    rows.sort_by(|&left, &right| column.compare(left, right));
    rows
}
