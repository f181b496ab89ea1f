//! Package csv: tables from text.

mod annotated;
mod cells;

use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use crate::{
    Call, Column, ColumnBuilder, Error, GroupKey, Kind, Stream, Table, Tables, Value,
    function::{Builtin, optional},
    packages::{Library, no_constants},
};

/// Package csv.
pub(crate) static LIBRARY: Library = Library {
    path: "csv",
    builtins: &[Builtin {
        name: "from",
        parameters: &[optional("csv"), optional("mode"), optional("file"), optional("url")],
        run: from,
    }],
    constants: no_constants,
    text: "",
};

fn from(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    for elsewhere in ["file", "url"] {
        if call.get(elsewhere).is_some() {
            return Err(call.error(format!(
                "{elsewhere}: a query reads no files and no other servers; give the text itself as csv"
            )));
        }
    }
    let text = call.string("csv")?;
    let tables = match &*call.string_or("mode", "annotations")? {
        "annotations" => annotated::tables(call, &text)?,
        "raw" => raw(call, &text)?,
        other => {
            return Err(call.error(format!("mode is \"annotations\" or \"raw\", not \"{other}\"")));
        }
    };
    Ok(Value::Stream(Stream::ready(tables)))
}

/// Every line that has something in it, with its number.
fn each_line(
    call: &mut Call<'_, '_>,
    text: &str,
    mut each: impl FnMut(&mut Call<'_, '_>, u64, &StringRecord) -> Result<(), Error>,
) -> Result<(), Error> {
    const CELL_BYTES: usize = 64;
    const CELLS_AT_ONCE: usize = 16 << 10;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    // Tables are counted once they are made; until then their cells are held here.
    let (mut held, mut cells) = (Vec::new(), 0);
    while reader.read_record(&mut record).map_err(|error| call.error(error.to_string()))? {
        call.context.check()?;
        cells += record.len();
        if cells >= CELLS_AT_ONCE {
            held.push(call.context.hold(cells * CELL_BYTES)?);
            cells = 0;
        }
        each(call, record.position().map_or(0, csv::Position::line), &record)?;
    }
    Ok(())
}

/// Something is wrong in a line.
fn wrong(call: &Call<'_, '_>, line: u64, message: impl AsRef<str>) -> Error {
    call.error(format!("line {line} of the text: {}", message.as_ref()))
}

/// Every line has as many cells as the header.
fn check_width(call: &Call<'_, '_>, line: u64, cells: usize, wanted: usize) -> Result<(), Error> {
    if cells == wanted {
        return Ok(());
    }
    Err(wrong(call, line, format!("{cells} cells, but the header has {wanted}")))
}

/// A header, whose names differ from each other.
fn check_header<'r>(
    call: &Call<'_, '_>,
    line: u64,
    names: impl Iterator<Item = &'r str>,
) -> Result<(), Error> {
    let mut known = std::collections::BTreeSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(wrong(call, line, format!("the header has column \"{name}\" twice")));
        }
    }
    Ok(())
}

/// The first line names columns, all others are texts.
fn raw(call: &mut Call<'_, '_>, text: &str) -> Result<Tables, Error> {
    let mut columns: Vec<ColumnBuilder> = Vec::new();
    each_line(call, text, |call, line, record| {
        if columns.is_empty() {
            check_header(call, line, record.iter())?;
            columns = record.iter().map(|name| ColumnBuilder::new(Arc::from(name), Kind::String)).collect();
            return Ok(());
        }
        check_width(call, line, record.len(), columns.len())?;
        for (column, cell) in columns.iter_mut().zip(record) {
            // Every cell is of the column's type.
            let _same_kind = column.push(Value::text(cell));
        }
        Ok(())
    })?;
    if columns.is_empty() {
        return Err(call.error("the text has no header: its first line names the columns"));
    }
    let columns: Vec<Column> = columns.into_iter().map(ColumnBuilder::finish).collect();
    Ok(vec![Table::new(GroupKey::default(), columns)])
}
