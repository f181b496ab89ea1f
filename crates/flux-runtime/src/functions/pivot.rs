//! Values that stand below one another are put next to one another.

use std::sync::Arc;

use super::group::Gathered;
use crate::{
    Call, Column, ColumnBuilder, Context, Error, GroupKey, Kind, Table, Value, Values,
    column::{Part, codes_of},
    function::{Builtin, piped, required},
    packages::{Library, no_constants},
    show,
    value::Ordered,
};

/// Values that stand below one another are put next to one another.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[Builtin {
        name: "pivot",
        parameters: &[piped("tables"), required("rowKey"), required("columnKey"), required("valueColumn")],
        run: pivot,
    }],
    constants: no_constants,
    text: "",
};

/// What becomes rows, columns and cells.
struct Pivot {
    row_key: Vec<Arc<str>>,
    column_key: Vec<Arc<str>>,
    value: Arc<str>,
}

fn pivot(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let pivot = Pivot {
        row_key: call.strings("rowKey")?,
        column_key: call.strings("columnKey")?,
        value: call.string("valueColumn")?,
    };
    if let Some(twice) = pivot.row_key.iter().find(|label| pivot.column_key.contains(label)) {
        return Err(call.error(format!("column \"{twice}\" is both in rowKey and in columnKey")));
    }
    if pivot.row_key.contains(&pivot.value) || pivot.column_key.contains(&pivot.value) {
        let value = &pivot.value;
        return Err(call.error(format!("valueColumn \"{value}\" cannot be in rowKey or columnKey too")));
    }
    call.all_tables(move |context, tables| {
        let mut gathered = Gathered::default();
        for table in tables {
            let key = table.key().filtered(|label| {
                *pivot.value != *label && !pivot.column_key.iter().any(|known| **known == *label)
            });
            gathered.add(table.clone().with_key(key));
        }
        let groups = gathered.into_groups();
        groups.map(|group| pivot.of_group(context, &group)).collect()
    })
}

impl Pivot {
    /// The table that several with one key make, which is that of the result.
    fn of_group(&self, context: &mut Context<'_>, tables: &[Table]) -> Result<Table, Error> {
        context.check()?;
        let Some(first) = tables.first() else { return Ok(Table::new(GroupKey::default(), Vec::new())) };
        let rows = tables.iter().map(Table::rows).sum();
        let row_columns = self.columns(context, tables, &self.row_key)?;
        let column_columns = self.columns(context, tables, &self.column_key)?;
        let (row_codes, column_codes) = (codes_of(&row_columns, rows), codes_of(&column_columns, rows));
        let firsts = first_rows(&row_codes);
        let order = self.order(tables, &row_columns, &firsts);
        let column_firsts = first_rows(&column_codes);
        let cells = firsts.len().saturating_mul(column_firsts.len());
        let _room = context.hold(cells.saturating_mul(size_of::<Option<u32>>()))?;
        // Which row's value stands in a cell: the last one's.
        let mut sources: Vec<Vec<Option<usize>>> = vec![vec![None; firsts.len()]; column_firsts.len()];
        for (row, (&to_row, &to_column)) in row_codes.iter().zip(&column_codes).enumerate() {
            let column = sources.get_mut(to_column as usize);
            if let Some(source) = column.and_then(|column| column.get_mut(to_row as usize)) {
                *source = Some(row);
            }
        }
        let mut columns = Vec::new();
        for column in first.columns() {
            let label = column.label();
            if let Some(value) = first.key().get(label) {
                columns.push(Column::repeat(Arc::clone(label), column.kind(), value.clone(), order.len()));
            } else if let Some(column) = row_columns.iter().find(|column| column.label() == label) {
                let rows: Vec<usize> = order.iter().filter_map(|&at| firsts.get(at).copied()).collect();
                columns.push(column.take(&rows));
            }
        }
        let values = self.values(context, tables)?;
        for (first, sources) in column_firsts.iter().zip(&sources) {
            let label = label(&column_columns, *first);
            if columns.iter().any(|column| *column.label() == label) {
                return Err(context.error(format!(
                    "column \"{label}\" is there already: rename or drop it before it is made of columnKey"
                )));
            }
            let source = |at: &usize| sources.get(*at).copied().flatten();
            columns.push(self.column(context, label, &values, order.iter().map(source))?);
        }
        Ok(Table::new(first.key().clone(), columns))
    }

    /// Columns that all tables have to have, each of one type, one after the other.
    fn columns(
        &self,
        context: &Context<'_>,
        tables: &[Table],
        labels: &[Arc<str>],
    ) -> Result<Vec<Column>, Error> {
        let mut columns = Vec::with_capacity(labels.len());
        for label in labels {
            let parts = parts(context, tables, label)?;
            let kind = parts.iter().find(|column| !column.has_no_values()).or(parts.first());
            let kind = kind.map_or(Kind::String, |column| column.kind());
            let mut all = Vec::with_capacity(parts.len());
            for column in parts {
                if column.has_no_values() {
                    all.push(Part::Missing(column.rows()));
                } else if column.kind() == kind {
                    all.push(Part::Cells(column));
                } else {
                    let (one, other) = (kind.name(), column.kind().name());
                    return Err(context.error(format!(
                        "schema collision detected: column \"{label}\" is both of type {one} and {other}"
                    )));
                }
            }
            columns.push(Column::concat(Arc::clone(label), kind, &all));
        }
        Ok(columns)
    }

    /// The columns of values, with the number of the first row of each.
    fn values<'t>(
        &self,
        context: &Context<'_>,
        tables: &'t [Table],
    ) -> Result<Vec<(usize, &'t Column)>, Error> {
        let mut start = 0;
        let starts = parts(context, tables, &self.value)?.into_iter().map(|column| {
            let first = start;
            start += column.rows();
            (first, column)
        });
        Ok(starts.collect())
    }

    /// A column of the values that stand in the given rows.
    fn column(
        &self,
        context: &Context<'_>,
        label: Arc<str>,
        values: &[(usize, &Column)],
        rows: impl Iterator<Item = Option<usize>>,
    ) -> Result<Column, Error> {
        let mut column = ColumnBuilder::new(Arc::clone(&label), Kind::Null);
        // The type of cells that may all be without a value.
        let mut kind = None;
        for row in rows {
            let value = row.and_then(|row| {
                let at = values.partition_point(|(first, _)| *first <= row);
                let (first, cells) = values.get(at.checked_sub(1)?)?;
                kind = kind.or(Some(cells.kind()));
                Some(cells.get(row - first))
            });
            if let Err((one, other)) = column.push(value.unwrap_or(Value::Null)) {
                let (one, other) = (one.name(), other.name());
                return Err(context.error(format!(
                    "schema collision detected: column \"{label}\" is both of type {one} and {other}"
                )));
            }
        }
        Ok(match kind {
            Some(kind) if column.kind() == Kind::Null => {
                Column::repeat(label, kind, Value::Null, column.rows())
            }
            _ => column.finish(),
        })
    }

    /// The order of the rows: by their key if each table's are, as they came if not.
    fn order(&self, tables: &[Table], row_columns: &[Column], firsts: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..firsts.len()).collect();
        let is_sorted = |table: &Table| {
            if let [label] = self.row_key.as_slice()
                && let Some(Values::Time(times)) = table.column(label).map(Column::values)
            {
                return times.valid.is_none() && times.values.is_sorted();
            }
            let key_of = |row: usize| -> Vec<Ordered> {
                self.row_key.iter().map(|label| Ordered(table.get(label, row))).collect()
            };
            (1..table.rows()).all(|row| key_of(row - 1) <= key_of(row))
        };
        if tables.len() > 1 && tables.iter().all(is_sorted) {
            order.sort_by_cached_key(|&at| {
                let row = firsts.get(at).copied().unwrap_or_default();
                row_columns.iter().map(|column| Ordered(column.get(row))).collect::<Vec<Ordered>>()
            });
        }
        order
    }
}

fn parts<'t>(context: &Context<'_>, tables: &'t [Table], label: &str) -> Result<Vec<&'t Column>, Error> {
    let columns = tables.iter().map(|table| table.column(label));
    let columns: Option<Vec<&Column>> = columns.collect();
    columns.ok_or_else(|| context.error(format!("column \"{label}\" does not exist")))
}

/// The first row of each number, by number: numbers grow with the rows.
fn first_rows(codes: &[u32]) -> Vec<usize> {
    let mut firsts = Vec::new();
    for (row, code) in codes.iter().enumerate() {
        if *code as usize == firsts.len() {
            firsts.push(row);
        }
    }
    firsts
}

/// The name of the column that a row's value goes to.
fn label(columns: &[Column], row: usize) -> Arc<str> {
    let parts = columns.iter().map(|column| match column.get(row) {
        Value::Null => "null".to_owned(),
        value => show(&value),
    });
    Arc::from(parts.collect::<Vec<String>>().join("_"))
}
