//! Rows whose values differ.

use crate::{Call, Column, Error, Kind, Table, Value, read::column_of};

/// Each value once, as the only column besides those of the key.
pub(super) fn distinct(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        let values = match table.column(&label) {
            Some(column) => column.take(&first_rows(column)).renamed("_value".into()),
            // As in Flux: tables of one stream differ in their columns, and what one lacks is empty in it.
            None => {
                let missing = (!table.is_empty()).then(|| Value::text(""));
                column_of("_value", Kind::String, missing)
            }
        };
        let mut columns = table.key_columns(values.rows());
        if !table.key().has("_value") {
            columns.push(values);
        } else if *label != *"_value" {
            let text = "cannot write to column \"_value\": the tables are grouped by it";
            return Err(context.error(text));
        }
        made.push(Table::new(table.key().clone(), columns));
        Ok(())
    })
}

/// The first row with each value.
pub(super) fn unique(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let label = call.string_or("column", "_value")?;
    call.each_table(move |context, table, made| {
        let rows = first_rows(table.existing(context, &label)?);
        if rows.len() == table.rows() {
            made.extend((!rows.is_empty()).then(|| table.clone()));
        } else {
            made.push(table.take(&rows));
        }
        Ok(())
    })
}

fn first_rows(column: &Column) -> Vec<usize> {
    column.occurrences().iter().map(|value| value.row).collect()
}
