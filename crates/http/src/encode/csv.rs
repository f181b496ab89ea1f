//! Results as InfluxDB's CSV: a header of `name`, `tags` and the columns of the statement's first series, then one
//! line per row; an empty line between statements. Times are numbers (nanoseconds unless `epoch` says otherwise),
//! floats have no exponent, statements without series leave no trace.
//!
//! InfluxDB also drops errors of single statements, so that a client takes a failure for an empty answer. Here they
//! are a block of their own: `error` and the text, as InfluxDB writes errors of a whole request.

use skywatch_model::{Column, FieldValue, Values};
use skywatch_query::{OutputColumn, ResultSeries, SinkClosed, StatementResult};

use super::{
    Encoder, Outlet,
    number::{push_f64_plain, push_i64, push_u64},
    outlet::Mark,
    text::push_csv_field,
    time::{TimeFormat, push_epoch},
};

/// Writes CSV.
#[derive(Debug)]
pub(crate) struct CsvEncoder {
    unit_ns: i64,
    chunked: bool,
    /// Whether any block was written: the next one needs an empty line before it.
    any_block: bool,
    /// The statement whose block is open, and where the block began.
    block: Option<(u32, Mark)>,
    /// Beginning of every line of the series at hand.
    prefix: Vec<u8>,
}

impl CsvEncoder {
    /// An encoder for one answer.
    pub(crate) fn new(time: TimeFormat, chunked: bool) -> Self {
        let unit_ns = match time {
            TimeFormat::Rfc3339 => 1,
            TimeFormat::Epoch { unit_ns } => unit_ns,
        };
        Self { unit_ns, chunked, any_block: false, block: None, prefix: Vec::new() }
    }

    fn open_block(&mut self, statement_id: u32, out: &mut Outlet<'_>) {
        self.block = Some((statement_id, out.mark()));
        if self.any_block {
            out.buf.push(b'\n');
        }
        self.any_block = true;
    }

    fn header(&self, series: &ResultSeries, buf: &mut Vec<u8>) {
        buf.extend_from_slice(b"name,tags");
        for column in series.columns.iter() {
            buf.push(b',');
            push_csv_field(buf, column);
        }
        buf.push(b'\n');
    }

    fn error(&mut self, piece: &StatementResult, text: &str, out: &mut Outlet<'_>) {
        if let Some((_, mark)) = self.block.take_if(|(id, _)| *id == piece.statement_id) {
            // What was sent of a failed statement is void, if it has not left.
            self.any_block = !out.rewind(mark) || mark.is_after_other_bytes();
        }
        self.open_block(piece.statement_id, out);
        out.buf.extend_from_slice(b"error\n");
        push_csv_field(&mut out.buf, text);
        out.buf.push(b'\n');
    }

    fn rows(&mut self, series: &ResultSeries, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        self.prefix.clear();
        push_csv_field(&mut self.prefix, &series.name);
        self.prefix.push(b',');
        push_csv_field(&mut self.prefix, &tags_text(series));
        for row in 0..series.len() {
            out.buf.extend_from_slice(&self.prefix);
            for column in &series.values {
                out.buf.push(b',');
                self.cell(&mut out.buf, column, row);
            }
            out.buf.push(b'\n');
            out.flush_if_full()?;
        }
        Ok(())
    }

    fn cell(&self, buf: &mut Vec<u8>, column: &OutputColumn, row: usize) {
        match column {
            OutputColumn::Time(times) => push_epoch(buf, times[row], self.unit_ns),
            OutputColumn::Values(column) => values_cell(buf, column, row),
            OutputColumn::Coded { codes, dictionary } => {
                if let Some(text) = &dictionary[codes[row] as usize] {
                    push_csv_field(buf, text);
                }
            }
            OutputColumn::Mixed(values) => mixed_cell(buf, values[row].as_ref()),
            // As `influx` shows them; InfluxDB writes the name of the column instead.
            OutputColumn::Lists(lists) => push_csv_field(buf, &format!("[{}]", lists[row].join(" "))),
            OutputColumn::Null(_) => {}
        }
    }
}

impl Encoder for CsvEncoder {
    fn piece(&mut self, piece: &StatementResult, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        if let Some(error) = &piece.error {
            self.error(piece, &error.to_string(), out);
        } else if let Some(first) = piece.series.first() {
            if self.block.is_none_or(|(id, _)| id != piece.statement_id) {
                self.open_block(piece.statement_id, out);
                self.header(first, &mut out.buf);
            }
            for series in &piece.series {
                self.rows(series, out)?;
            }
        }
        if self.chunked { out.flush_chunk() } else { Ok(()) }
    }

    fn cut(&mut self, _out: &mut Outlet<'_>) {
        // CSV has no place for a mark that rows are missing.
    }

    fn finish(&mut self, _out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        Ok(())
    }
}

/// Tags as in a series key: `host=a\ b,rack=1`; absent ones are left out.
fn tags_text(series: &ResultSeries) -> String {
    let mut text = String::new();
    for (key, value) in series.tags.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push(',');
        }
        push_key_part(&mut text, key);
        text.push('=');
        push_key_part(&mut text, value);
    }
    text
}

fn push_key_part(text: &mut String, part: &str) {
    for character in part.chars() {
        if matches!(character, ',' | '=' | ' ') {
            text.push('\\');
        }
        text.push(character);
    }
}

fn values_cell(buf: &mut Vec<u8>, column: &Column, row: usize) {
    if !column.is_valid(row) {
        return;
    }
    match &column.values {
        Values::Float(values) => push_f64_plain(buf, values[row]),
        Values::Integer(values) => push_i64(buf, values[row]),
        Values::Unsigned(values) => push_u64(buf, values[row]),
        Values::String(values) => push_csv_field(buf, &values[row]),
        Values::Boolean(values) => push_bool(buf, values[row]),
    }
}

fn mixed_cell(buf: &mut Vec<u8>, value: Option<&FieldValue>) {
    match value {
        None => {}
        Some(FieldValue::Float(value)) => push_f64_plain(buf, *value),
        Some(FieldValue::Integer(value)) => push_i64(buf, *value),
        Some(FieldValue::Unsigned(value)) => push_u64(buf, *value),
        Some(FieldValue::String(value)) => push_csv_field(buf, value),
        Some(FieldValue::Boolean(value)) => push_bool(buf, *value),
    }
}

fn push_bool(buf: &mut Vec<u8>, value: bool) {
    buf.extend_from_slice(if value { b"true" } else { b"false" });
}
