//! Tables as annotated CSV. InfluxDB documentation, "Annotated CSV" (v1.8).
//!
//! ```text
//! #datatype,string,long,dateTime:RFC3339,double,string
//! #group,false,false,false,false,true
//! #default,_result,,,,
//! ,result,table,_time,_value,host
//! ,,0,2026-01-01T00:00:00Z,1.5,a
//! ```
//!
//! Lines end with CR LF. Tables with the same columns follow each other; others begin with an empty line and their own
//! annotations. An empty line ends each result. What goes wrong after the first byte is a table of its own: `error`.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use skywatch_flux_runtime::{Column, Error, Kind, Results, Table, Value, Values, show};

use super::dialect::{Annotations, Dialect};
use crate::encode::{Outlet, Rfc3339Writer, push_f64_plain, push_i64, push_u64};

/// Writes results.
pub(crate) struct CsvWriter<'a> {
    dialect: Dialect,
    outlet: Outlet<'a>,
    /// The columns of the table before, in the same result: name, type, whether grouped by.
    schema: Option<Vec<(Arc<str>, Kind, bool)>>,
    /// Number of the next table of the result.
    table: i64,
    times: Rfc3339Writer,
    /// The client has gone.
    pub(crate) is_closed: bool,
}

const LINE_END: &[u8] = b"\r\n";

/// A part of each row of a table.
enum Piece<'t> {
    /// Delimiters, and cells that are the same in every row.
    Same(Vec<u8>),
    /// A column's own cell.
    Cells(&'t Column),
}

impl<'a> CsvWriter<'a> {
    pub(crate) const fn new(dialect: Dialect, outlet: Outlet<'a>) -> Self {
        Self { dialect, outlet, schema: None, table: 0, times: Rfc3339Writer::new(), is_closed: false }
    }

    pub(crate) const fn has_sent(&self) -> bool {
        self.outlet.has_sent()
    }

    /// Hands on the rest.
    pub(crate) fn finish(self) -> Result<(), skywatch_query::SinkClosed> {
        self.outlet.finish()
    }

    /// What went wrong after the answer had begun.
    pub(crate) fn error(&mut self, text: &str) {
        let delimiter = self.dialect.delimiter;
        self.line_end();
        for (name, of_columns) in [("datatype", "string"), ("group", "true"), ("default", "")] {
            self.push(&format!(
                "{}{name}{delimiter}{of_columns}{delimiter}{of_columns}",
                self.dialect.comment_prefix
            ));
            self.line_end();
        }
        self.push(&format!("{delimiter}error{delimiter}reference"));
        self.line_end();
        self.delimiter();
        self.field(text);
        self.delimiter();
        self.line_end();
    }

    fn push(&mut self, text: &str) {
        self.outlet.buf.extend_from_slice(text.as_bytes());
    }

    fn line_end(&mut self) {
        self.outlet.buf.extend_from_slice(LINE_END);
    }

    fn delimiter(&mut self) {
        let mut bytes = [0; 4];
        let bytes = self.dialect.delimiter.encode_utf8(&mut bytes).as_bytes();
        self.outlet.buf.extend_from_slice(bytes);
    }

    /// A text, in quotes where RFC 4180 or Go's writer of CSV wants them.
    fn field(&mut self, text: &str) {
        push_field(&mut self.outlet.buf, text, self.dialect.delimiter);
    }

    fn annotate(&mut self, name: &str, cells: impl Iterator<Item = String>) {
        self.push(&format!("{}{name}", self.dialect.comment_prefix));
        for cell in cells {
            self.delimiter();
            self.field(&cell);
        }
        self.line_end();
    }

    /// Annotations and names of a table whose columns are not those of the one before.
    fn head(&mut self, result: &str, table: &Table) {
        let Annotations { datatype, group, default } = self.dialect.annotations;
        let columns = table.columns();
        if datatype {
            let nanoseconds = self.dialect.nanoseconds;
            let types = columns.iter().map(|column| type_name(column.kind(), nanoseconds).to_owned());
            self.annotate("datatype", ["string".to_owned(), "long".to_owned()].into_iter().chain(types));
        }
        if group {
            let grouped = columns.iter().map(|column| table.key().has(column.label()).to_string());
            self.annotate("group", ["false".to_owned(), "false".to_owned()].into_iter().chain(grouped));
        }
        if default {
            // A table without rows is known by its key only.
            let is_empty = table.is_empty();
            let number = if is_empty { self.table.to_string() } else { String::new() };
            let values = columns.iter().map(|column| match table.key().get(column.label()) {
                Some(value) if is_empty && !value.is_null() => show(value),
                _ => String::new(),
            });
            self.annotate("default", [result.to_owned(), number].into_iter().chain(values));
        }
        if self.dialect.header {
            // The first column is of annotations only.
            for name in ["result", "table"].into_iter().chain(columns.iter().map(|column| &**column.label()))
            {
                self.delimiter();
                self.field(name);
            }
            self.line_end();
        }
    }

    fn rows(&mut self, result: &str, table: &Table) -> Result<(), Error> {
        let pieces = self.pieces(result, table);
        for row in 0..table.rows() {
            for piece in &pieces {
                match piece {
                    Piece::Same(bytes) => self.outlet.buf.extend_from_slice(bytes),
                    Piece::Cells(column) => self.cell(column, row),
                }
            }
            self.outlet.flush_if_full().map_err(|closed| {
                self.is_closed = true;
                Error::Stopped(closed.to_string())
            })?;
        }
        Ok(())
    }

    /// What each row of a table consists of. Most columns of a table say the same in every row.
    fn pieces<'t>(&mut self, result: &str, table: &'t Table) -> Vec<Piece<'t>> {
        // Written where rows are, and taken out again.
        let begin = self.outlet.buf.len();
        let mut pieces = Vec::new();
        self.delimiter();
        if !self.dialect.annotations.default {
            self.field(result);
        }
        self.delimiter();
        push_i64(&mut self.outlet.buf, self.table);
        for column in table.columns() {
            self.delimiter();
            if matches!(column.values(), Values::Repeat { .. }) {
                self.cell(column, 0);
            } else {
                pieces.push(Piece::Same(self.outlet.buf.split_off(begin)));
                pieces.push(Piece::Cells(column));
            }
        }
        self.line_end();
        pieces.push(Piece::Same(self.outlet.buf.split_off(begin)));
        pieces
    }

    fn cell(&mut self, column: &Column, row: usize) {
        let delimiter = self.dialect.delimiter;
        let (buf, times) = (&mut self.outlet.buf, &mut self.times);
        match column.values() {
            Values::Float(cells) => cells.get(row).into_iter().for_each(|value| push_f64_plain(buf, *value)),
            Values::Int(cells) => cells.get(row).into_iter().for_each(|value| push_i64(buf, *value)),
            Values::Uint(cells) => cells.get(row).into_iter().for_each(|value| push_u64(buf, *value)),
            Values::Time(cells) => cells.get(row).into_iter().for_each(|time| times.push_utc(buf, *time)),
            Values::String(cells) => {
                cells.get(row).into_iter().for_each(|text| push_field(buf, text, delimiter));
            }
            _ => match column.get(row) {
                Value::Null => {}
                Value::Float(value) => push_f64_plain(buf, value),
                Value::Int(value) => push_i64(buf, value),
                Value::Time(time) => times.push_utc(buf, time),
                Value::Bytes(bytes) => buf.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes()),
                value => push_field(buf, &show(&value), delimiter),
            },
        }
    }
}

impl Results for CsvWriter<'_> {
    fn table(&mut self, result: &str, table: &Table) -> Result<(), Error> {
        if let Some(column) = table.columns().iter().find(|column| type_name(column.kind(), false).is_empty())
        {
            let kind = column.kind().name();
            let text = format!(
                "column \"{}\" is of type {kind}, which no answer can hold: make it a string() or an int()",
                column.label()
            );
            return Err(Error::Storage { class: skywatch_flux_runtime::ErrorClass::Invalid, message: text });
        }
        let schema: Vec<_> = table
            .columns()
            .iter()
            .map(|column| (Arc::clone(column.label()), column.kind(), table.key().has(column.label())))
            .collect();
        if table.is_empty() || self.schema.as_ref() != Some(&schema) {
            if self.schema.is_some() {
                self.line_end();
            }
            self.head(result, table);
            // What follows an empty table needs its own defaults.
            self.schema = Some(if table.is_empty() { Vec::new() } else { schema });
        }
        self.rows(result, table)?;
        self.table += 1;
        Ok(())
    }

    fn end(&mut self, _result: &str) -> Result<(), Error> {
        if self.schema.take().is_some() {
            self.line_end();
        }
        self.table = 0;
        Ok(())
    }
}

/// A type as annotations name it; empty for what cannot be told.
const fn type_name(kind: Kind, nanoseconds: bool) -> &'static str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Int => "long",
        Kind::Uint => "unsignedLong",
        Kind::Float => "double",
        Kind::String | Kind::Null => "string",
        Kind::Bytes => "base64Binary",
        Kind::Time if nanoseconds => "dateTime:RFC3339Nano",
        Kind::Time => "dateTime:RFC3339",
        // Grafana and clients of InfluxDB fail on them.
        Kind::Duration
        | Kind::Regex
        | Kind::Array
        | Kind::Dictionary
        | Kind::Record
        | Kind::Function
        | Kind::Stream => "",
    }
}

fn push_field(buf: &mut Vec<u8>, text: &str, delimiter: char) {
    let quotes =
        text.starts_with([' ', '\t']) || text == "\\." || text.contains([delimiter, '"', '\r', '\n']);
    if !quotes {
        buf.extend_from_slice(text.as_bytes());
        return;
    }
    buf.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => buf.extend_from_slice(b"\"\""),
            byte => buf.push(byte),
        }
    }
    buf.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use skywatch_flux_runtime::{Cells, GroupKey};

    use super::*;

    fn table(host: &str, values: Vec<f64>) -> Table {
        let key = GroupKey::default().with("host".into(), Kind::String, Value::text(host));
        let mut columns = vec![Column::new("_value".into(), Values::Float(Cells::all(values)))];
        let rows = columns[0].rows();
        columns.append(&mut key.columns(rows));
        Table::new(key, columns)
    }

    fn written(dialect: Dialect, write: impl FnOnce(&mut CsvWriter<'_>)) -> String {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let outlet = Outlet::new(false, move |part| {
            into.lock().unwrap().extend(part);
            Ok(())
        });
        let mut writer = CsvWriter::new(dialect, outlet);
        write(&mut writer);
        writer.finish().unwrap();
        let bytes = bytes.lock().unwrap();
        String::from_utf8(bytes.clone()).unwrap().replace("\r\n", "\n")
    }

    fn all() -> Dialect {
        let annotations = Annotations { datatype: true, group: true, default: true };
        Dialect { annotations, ..Dialect::default() }
    }

    #[test]
    fn tables_with_the_same_columns_share_their_head() {
        let text = written(all(), |writer| {
            writer.table("_result", &table("a", vec![1.5, 1e30])).unwrap();
            writer.table("_result", &table("b,c", vec![2.0])).unwrap();
            writer.end("_result").unwrap();
        });
        let expected = "#datatype,string,long,double,string\n#group,false,false,false,true\n#default,_result,,,\n\
                        ,result,table,_value,host\n,,0,1.5,a\n,,0,1000000000000000000000000000000,a\n,,1,2,\"b,c\"\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn without_annotations_every_row_names_its_result() {
        let text = written(Dialect::default(), |writer| {
            writer.table("r", &table("a", vec![1.0])).unwrap();
            writer.end("r").unwrap();
        });
        assert_eq!(text, ",result,table,_value,host\n,r,0,1,a\n\n");
    }

    #[test]
    fn an_empty_table_is_told_by_its_defaults() {
        let text = written(all(), |writer| {
            writer.table("r", &table("a", Vec::new())).unwrap();
            writer.table("r", &table("b", vec![1.0])).unwrap();
            writer.end("r").unwrap();
        });
        let head = |defaults: &str| {
            format!(
                "#datatype,string,long,double,string\n#group,false,false,false,true\n#default,{defaults}\n\
                 ,result,table,_value,host\n"
            )
        };
        assert_eq!(text, format!("{}\n{},,1,1,b\n\n", head("r,0,,a"), head("r,,,")));
    }

    #[test]
    fn an_error_after_the_beginning_is_a_table() {
        let text = written(all(), |writer| writer.error("no, \"never\""));
        assert_eq!(
            text,
            "\n#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n,\"no, \"\"never\"\"\",\n"
        );
    }
}
