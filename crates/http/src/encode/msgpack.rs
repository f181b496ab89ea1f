//! Results as InfluxDB's MessagePack: the shape of its JSON, times as extension type 5 (seconds as a big-endian
//! `i64`, nanoseconds as a big-endian `i32`) unless `epoch` asks for numbers.
//!
//! MessagePack states the length of a list before its elements, so an answer that is not chunked has to be held
//! until it is complete. That is bounded: a larger one is refused with the advice to ask for chunks.

use skywatch_model::{Column, FieldValue, Values};
use skywatch_query::{Message, OutputColumn, ResultSeries, SinkClosed, StatementResult};

use super::{Encoder, Outlet, time::TimeFormat};

/// Largest answer that is held for its lengths.
const MAX_HELD_BYTES: usize = 256 << 20;

/// Writes MessagePack.
#[derive(Debug)]
pub(crate) struct MsgpackEncoder {
    time: TimeFormat,
    chunked: bool,
    results: List,
    open: Option<OpenResult>,
    too_large: bool,
}

/// Elements written one after the other, and how many.
#[derive(Debug, Default)]
struct List {
    count: u32,
    bytes: Vec<u8>,
}

impl List {
    fn push_to(&self, buf: &mut Vec<u8>) {
        push_array_len(buf, self.count);
        buf.extend_from_slice(&self.bytes);
    }
}

#[derive(Debug, Default)]
struct OpenResult {
    statement_id: u32,
    series: List,
    /// Name, tags and columns of the open series, and its rows.
    open_series: Option<(ResultSeries, List)>,
    messages: Vec<Message>,
}

impl MsgpackEncoder {
    /// An encoder for one answer.
    pub(crate) fn new(time: TimeFormat, chunked: bool) -> Self {
        Self { time, chunked, results: List::default(), open: None, too_large: false }
    }

    fn held_bytes(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |open| {
            open.series.bytes.len() + open.open_series.as_ref().map_or(0, |(_, rows)| rows.bytes.len())
        });
        self.results.bytes.len() + open
    }

    fn series(&self, open: &mut OpenResult, series: &ResultSeries) {
        let (_, rows) = open.open_series.get_or_insert_with(|| {
            let head = ResultSeries { values: Vec::new(), ..series.clone() };
            (head, List::default())
        });
        for row in 0..series.len() {
            push_array_len(&mut rows.bytes, series.values.len() as u32);
            for column in &series.values {
                self.cell(&mut rows.bytes, column, row);
            }
        }
        rows.count += series.len() as u32;
        if self.chunked || !series.partial {
            open.close_series(self.chunked && series.partial);
        }
    }

    fn cell(&self, buf: &mut Vec<u8>, column: &OutputColumn, row: usize) {
        match column {
            OutputColumn::Time(times) => self.push_time(buf, times[row]),
            OutputColumn::Values(column) => values_cell(buf, column, row),
            OutputColumn::Coded { codes, dictionary } => match &dictionary[codes[row] as usize] {
                Some(text) => push_str(buf, text),
                None => buf.push(0xC0),
            },
            OutputColumn::Mixed(values) => mixed_cell(buf, values[row].as_ref()),
            OutputColumn::Lists(lists) => {
                push_array_len(buf, lists[row].len() as u32);
                lists[row].iter().for_each(|text| push_str(buf, text));
            }
            OutputColumn::Null(_) => buf.push(0xC0),
        }
    }

    fn push_time(&self, buf: &mut Vec<u8>, time_ns: i64) {
        match self.time {
            TimeFormat::Epoch { unit_ns } => push_i64(buf, time_ns / unit_ns),
            TimeFormat::Rfc3339 => {
                buf.extend_from_slice(&[0xC7, 12, 5]);
                buf.extend_from_slice(&time_ns.div_euclid(1_000_000_000).to_be_bytes());
                buf.extend_from_slice(&(time_ns.rem_euclid(1_000_000_000) as i32).to_be_bytes());
            }
        }
    }

    fn end_result(&mut self, partial: bool, error: Option<&str>) {
        let mut open = self.open.take().unwrap_or_default();
        open.close_series(false);
        self.results.count += 1;
        open.push_to(&mut self.results.bytes, partial, error);
    }

    fn end_answer(&mut self, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        push_map_len(&mut out.buf, 1);
        push_str(&mut out.buf, "results");
        self.results.push_to(&mut out.buf);
        self.results = List::default();
        if self.chunked { out.flush_chunk() } else { Ok(()) }
    }
}

impl Encoder for MsgpackEncoder {
    fn piece(&mut self, piece: &StatementResult, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        if self.too_large {
            return Err(SinkClosed);
        }
        let mut open = self
            .open
            .take()
            .unwrap_or_else(|| OpenResult { statement_id: piece.statement_id, ..OpenResult::default() });
        for series in &piece.series {
            self.series(&mut open, series);
        }
        open.messages.extend_from_slice(&piece.messages);
        self.open = Some(open);
        let error = piece.error.as_ref().map(ToString::to_string);
        if self.chunked || error.is_some() || !piece.partial {
            self.end_result(self.chunked && piece.partial, error.as_deref());
        }
        if self.chunked {
            return self.end_answer(out);
        }
        self.too_large = self.held_bytes() > MAX_HELD_BYTES;
        if self.too_large { Err(SinkClosed) } else { Ok(()) }
    }

    fn cut(&mut self, _out: &mut Outlet<'_>) {
        if let Some(open) = &mut self.open {
            open.close_series(true);
        }
        self.end_result(false, None);
    }

    fn finish(&mut self, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        if self.too_large {
            push_map_len(&mut out.buf, 1);
            push_str(&mut out.buf, "error");
            push_str(
                &mut out.buf,
                "the answer is too large for MessagePack in one piece: ask with chunked=true",
            );
            return Ok(());
        }
        if self.open.is_some() {
            self.end_result(false, None);
        }
        if self.chunked { Ok(()) } else { self.end_answer(out) }
    }
}

impl OpenResult {
    fn close_series(&mut self, partial: bool) {
        let Some((head, rows)) = self.open_series.take() else { return };
        self.series.count += 1;
        let buf = &mut self.series.bytes;
        let entries =
            2 + u32::from(!head.name.is_empty()) + u32::from(!head.tags.is_empty()) + u32::from(partial);
        push_map_len(buf, entries);
        if !head.name.is_empty() {
            push_str(buf, "name");
            push_str(buf, &head.name);
        }
        if !head.tags.is_empty() {
            push_str(buf, "tags");
            push_map_len(buf, head.tags.len() as u32);
            for (key, value) in head.tags.iter() {
                push_str(buf, key);
                push_str(buf, value);
            }
        }
        push_str(buf, "columns");
        push_array_len(buf, head.columns.len() as u32);
        for column in head.columns.iter() {
            push_str(buf, column);
        }
        push_str(buf, "values");
        rows.push_to(buf);
        if partial {
            push_str(buf, "partial");
            push_bool(buf, true);
        }
    }

    fn push_to(&self, buf: &mut Vec<u8>, partial: bool, error: Option<&str>) {
        if let Some(error) = error {
            push_map_len(buf, 1);
            push_str(buf, "error");
            push_str(buf, error);
            return;
        }
        push_map_len(buf, 2 + u32::from(!self.messages.is_empty()) + u32::from(partial));
        push_str(buf, "statement_id");
        push_i64(buf, i64::from(self.statement_id));
        if !self.messages.is_empty() {
            push_str(buf, "messages");
            push_array_len(buf, self.messages.len() as u32);
            for message in &self.messages {
                push_map_len(buf, 2);
                push_str(buf, "level");
                push_str(buf, message.level);
                push_str(buf, "text");
                push_str(buf, &message.text);
            }
        }
        push_str(buf, "series");
        self.series.push_to(buf);
        if partial {
            push_str(buf, "partial");
            push_bool(buf, true);
        }
    }
}

/// Appends the answer to a request that failed as a whole.
pub(crate) fn push_msgpack_error(buf: &mut Vec<u8>, text: &str) {
    push_map_len(buf, 1);
    push_str(buf, "error");
    push_str(buf, text);
}

fn values_cell(buf: &mut Vec<u8>, column: &Column, row: usize) {
    if !column.is_valid(row) {
        buf.push(0xC0);
        return;
    }
    match &column.values {
        Values::Float(values) => push_f64(buf, values[row]),
        Values::Integer(values) => push_i64(buf, values[row]),
        Values::Unsigned(values) => push_u64(buf, values[row]),
        Values::String(values) => push_str(buf, &values[row]),
        Values::Boolean(values) => push_bool(buf, values[row]),
    }
}

fn mixed_cell(buf: &mut Vec<u8>, value: Option<&FieldValue>) {
    match value {
        None => buf.push(0xC0),
        Some(FieldValue::Float(value)) => push_f64(buf, *value),
        Some(FieldValue::Integer(value)) => push_i64(buf, *value),
        Some(FieldValue::Unsigned(value)) => push_u64(buf, *value),
        Some(FieldValue::String(value)) => push_str(buf, value),
        Some(FieldValue::Boolean(value)) => push_bool(buf, *value),
    }
}

fn push_bool(buf: &mut Vec<u8>, value: bool) {
    buf.push(if value { 0xC3 } else { 0xC2 });
}

fn push_f64(buf: &mut Vec<u8>, value: f64) {
    buf.push(0xCB);
    buf.extend_from_slice(&value.to_be_bytes());
}

/// The smallest signed form that holds the value, as the encoder InfluxDB uses chooses it.
fn push_i64(buf: &mut Vec<u8>, value: i64) {
    if let Ok(small) = i8::try_from(value) {
        if small < -32 {
            buf.push(0xD0);
        }
        buf.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        buf.push(0xD1);
        buf.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        buf.push(0xD2);
        buf.extend_from_slice(&value.to_be_bytes());
    } else {
        buf.push(0xD3);
        buf.extend_from_slice(&value.to_be_bytes());
    }
}

/// The smallest unsigned form that holds the value.
fn push_u64(buf: &mut Vec<u8>, value: u64) {
    if let Ok(small) = u8::try_from(value) {
        if small > 127 {
            buf.push(0xCC);
        }
        buf.push(small);
    } else if let Ok(value) = u16::try_from(value) {
        buf.push(0xCD);
        buf.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        buf.push(0xCE);
        buf.extend_from_slice(&value.to_be_bytes());
    } else {
        buf.push(0xCF);
        buf.extend_from_slice(&value.to_be_bytes());
    }
}

fn push_str(buf: &mut Vec<u8>, text: &str) {
    match text.len() {
        len @ 0..=31 => buf.push(0xA0 | len as u8),
        len @ 32..=0xFF => buf.extend_from_slice(&[0xD9, len as u8]),
        len @ 0x100..=0xFFFF => push_len16(buf, 0xDA, len as u16),
        len => push_len32(buf, 0xDB, len as u32),
    }
    buf.extend_from_slice(text.as_bytes());
}

fn push_array_len(buf: &mut Vec<u8>, len: u32) {
    match len {
        0..=15 => buf.push(0x90 | len as u8),
        16..=0xFFFF => push_len16(buf, 0xDC, len as u16),
        _ => push_len32(buf, 0xDD, len),
    }
}

fn push_map_len(buf: &mut Vec<u8>, len: u32) {
    match len {
        0..=15 => buf.push(0x80 | len as u8),
        16..=0xFFFF => push_len16(buf, 0xDE, len as u16),
        _ => push_len32(buf, 0xDF, len),
    }
}

fn push_len16(buf: &mut Vec<u8>, tag: u8, len: u16) {
    buf.push(tag);
    buf.extend_from_slice(&len.to_be_bytes());
}

fn push_len32(buf: &mut Vec<u8>, tag: u8, len: u32) {
    buf.push(tag);
    buf.extend_from_slice(&len.to_be_bytes());
}
