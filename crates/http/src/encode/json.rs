//! Results as InfluxDB's JSON.
//!
//! ```text
//! {"results":[{"statement_id":0,"series":[{"name":..,"tags":{..},"columns":[..],"values":[[..],..],"partial":true}],
//!              "messages":[{"level":..,"text":..}],"partial":true,"error":".."}]}
//! ```
//!
//! What is empty is left out. An answer is one such object and a line break; in chunks it is one per series piece.
//! Since error and messages come last, an answer can leave while it is being made: when a statement fails after
//! some of its series have left, they stay, and the error stands beside them.

mod texts;

use std::sync::Arc;

use skywatch_model::{Column, FieldValue, Values};
use skywatch_query::{Message, OutputColumn, ResultSeries, SinkClosed, StatementResult};

use super::{
    Encoder, Outlet,
    number::{push_f64_json, push_i64, push_u64},
    outlet::Mark,
    text::push_json_string,
    time::{Rfc3339Writer, TimeFormat, push_epoch},
};
use texts::JoinedTexts;

/// Where in the nesting the encoder is, outside of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Nothing written yet.
    Start,
    /// Between two results.
    Results,
    /// In a result, no series written.
    Result,
    /// In a result's list of series, between two of them.
    SeriesList,
    /// In a series that goes on with the next piece.
    Series,
}

/// Writes JSON; `PRETTY` with line breaks and four spaces a level.
#[derive(Debug)]
pub(crate) struct JsonEncoder<const PRETTY: bool> {
    layout: Layout<PRETTY>,
    chunked: bool,
    open: Open,
    /// Rows written of the open series.
    rows: u64,
    /// Where the open result's content began.
    result_start: Option<Mark>,
    /// Warnings of the open result, which come after its series.
    messages: Vec<Message>,
}

impl<const PRETTY: bool> JsonEncoder<PRETTY> {
    /// An encoder for one answer.
    pub(crate) fn new(time: TimeFormat, chunked: bool) -> Self {
        Self {
            layout: Layout::new(time),
            chunked,
            open: Open::Start,
            rows: 0,
            result_start: None,
            messages: Vec::new(),
        }
    }

    /// One object a series, whatever the pieces are.
    fn chunks(&mut self, piece: &StatementResult, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        let last = piece.series.len().saturating_sub(1);
        for (at, series) in piece.series.iter().enumerate() {
            self.begin_result(piece.statement_id, out);
            self.series(series, piece, out)?;
            if at < last {
                self.end_result(true, None, out);
                self.end_object(out)?;
            }
        }
        if piece.series.is_empty() {
            self.begin_result(piece.statement_id, out);
        }
        self.messages.extend_from_slice(&piece.messages);
        self.end_result(piece.partial, piece.error.as_ref().map(ToString::to_string).as_deref(), out);
        self.end_object(out)
    }

    /// All pieces of a statement in one result.
    fn whole(&mut self, piece: &StatementResult, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        if matches!(self.open, Open::Start | Open::Results) {
            self.begin_result(piece.statement_id, out);
        }
        if let Some(error) = &piece.error {
            self.take_back(out);
            self.end_result(false, Some(&error.to_string()), out);
            return Ok(());
        }
        for series in &piece.series {
            self.series(series, piece, out)?;
        }
        self.messages.extend_from_slice(&piece.messages);
        if !piece.partial {
            self.end_result(false, None, out);
        }
        Ok(())
    }

    /// A failed statement answers with its error alone, if the rest has not left yet.
    fn take_back(&mut self, out: &mut Outlet<'_>) {
        if self.result_start.take().is_some_and(|mark| out.rewind(mark)) {
            self.open = Open::Result;
            self.messages.clear();
        }
    }

    fn begin_result(&mut self, statement_id: u32, out: &mut Outlet<'_>) {
        let buf = &mut out.buf;
        // The next statement may show times in another zone.
        self.layout.written_time = None;
        if self.open == Open::Start {
            buf.push(b'{');
            Layout::<PRETTY>::line(buf, 1);
            Layout::<PRETTY>::key(buf, "results");
            buf.push(b'[');
        } else {
            buf.push(b',');
        }
        Layout::<PRETTY>::line(buf, 2);
        buf.push(b'{');
        Layout::<PRETTY>::line(buf, 3);
        Layout::<PRETTY>::key(buf, "statement_id");
        push_u64(buf, u64::from(statement_id));
        self.open = Open::Result;
        self.result_start = Some(out.mark());
    }

    fn series(
        &mut self,
        series: &ResultSeries,
        piece: &StatementResult,
        out: &mut Outlet<'_>,
    ) -> Result<(), SinkClosed> {
        if self.open != Open::Series {
            self.begin_series(series, &mut out.buf);
        }
        let columns = self.layout.cells(&series.values);
        for row in 0..series.len() {
            self.row(&columns, row, piece, &mut out.buf);
            out.flush_if_full()?;
        }
        if self.chunked || !series.partial {
            self.end_series(series.partial, &mut out.buf);
        }
        Ok(())
    }

    fn begin_series(&mut self, series: &ResultSeries, buf: &mut Vec<u8>) {
        buf.push(b',');
        if self.open == Open::Result {
            Layout::<PRETTY>::line(buf, 3);
            Layout::<PRETTY>::key(buf, "series");
            buf.push(b'[');
        }
        Layout::<PRETTY>::line(buf, 4);
        self.layout.series_head(buf, series);
        self.open = Open::Series;
        self.rows = 0;
    }

    #[inline]
    fn row(&mut self, columns: &[Cells<'_>], row: usize, piece: &StatementResult, buf: &mut Vec<u8>) {
        if self.rows == 0 {
            if buf.last() != Some(&b'{') {
                buf.push(b',');
            }
            Layout::<PRETTY>::line(buf, 5);
            Layout::<PRETTY>::key(buf, "values");
            buf.push(b'[');
        } else {
            buf.push(b',');
        }
        self.rows += 1;
        Layout::<PRETTY>::line(buf, 6);
        buf.push(b'[');
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                buf.push(b',');
            }
            Layout::<PRETTY>::line(buf, 7);
            self.layout.cell(buf, column, row, piece);
        }
        Layout::<PRETTY>::line(buf, 6);
        buf.push(b']');
    }

    fn end_series(&mut self, partial: bool, buf: &mut Vec<u8>) {
        if self.rows > 0 {
            Layout::<PRETTY>::line(buf, 5);
            buf.push(b']');
        }
        if partial {
            buf.push(b',');
            Layout::<PRETTY>::line(buf, 5);
            Layout::<PRETTY>::key(buf, "partial");
            buf.extend_from_slice(b"true");
        }
        Layout::<PRETTY>::line(buf, 4);
        buf.push(b'}');
        self.open = Open::SeriesList;
    }

    fn end_result(&mut self, partial: bool, error: Option<&str>, out: &mut Outlet<'_>) {
        let buf = &mut out.buf;
        if self.open == Open::Series {
            self.end_series(false, buf);
        }
        if self.open == Open::SeriesList {
            Layout::<PRETTY>::line(buf, 3);
            buf.push(b']');
        }
        Layout::<PRETTY>::messages(buf, &self.messages);
        self.messages.clear();
        if partial {
            buf.push(b',');
            Layout::<PRETTY>::line(buf, 3);
            Layout::<PRETTY>::key(buf, "partial");
            buf.extend_from_slice(b"true");
        }
        if let Some(error) = error {
            buf.push(b',');
            Layout::<PRETTY>::line(buf, 3);
            Layout::<PRETTY>::key(buf, "error");
            push_json_string(buf, error);
        }
        Layout::<PRETTY>::line(buf, 2);
        buf.push(b'}');
        self.open = Open::Results;
        self.result_start = None;
    }

    fn end_object(&mut self, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        Layout::<PRETTY>::line(&mut out.buf, 1);
        out.buf.push(b']');
        Layout::<PRETTY>::line(&mut out.buf, 0);
        out.buf.extend_from_slice(b"}\n");
        self.open = Open::Start;
        if self.chunked { out.flush_chunk() } else { Ok(()) }
    }
}

impl<const PRETTY: bool> Encoder for JsonEncoder<PRETTY> {
    fn piece(&mut self, piece: &StatementResult, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        if self.chunked { self.chunks(piece, out) } else { self.whole(piece, out) }
    }

    fn cut(&mut self, out: &mut Outlet<'_>) {
        if self.open == Open::Series {
            self.end_series(true, &mut out.buf);
        }
        self.end_result(false, None, out);
    }

    fn finish(&mut self, out: &mut Outlet<'_>) -> Result<(), SinkClosed> {
        match self.open {
            // InfluxDB's answer to a query without statements.
            Open::Start if !self.chunked => {
                out.buf.extend_from_slice(b"{}\n");
                Ok(())
            }
            Open::Start => Ok(()),
            Open::Results => self.end_object(out),
            // The engine stopped in the middle of a statement.
            Open::Result | Open::SeriesList | Open::Series => {
                self.end_result(false, None, out);
                self.end_object(out)
            }
        }
    }
}

/// The parts that do not depend on where in the nesting they stand, and what is kept of them to be written again.
#[derive(Debug)]
struct Layout<const PRETTY: bool> {
    time: TimeFormat,
    rfc3339: Rfc3339Writer,
    /// The last time and its text: the rows of merged series come many to a time.
    written_time: Option<i64>,
    time_text: Vec<u8>,
    /// The last list of column names and its text: the series of one statement share it.
    written_columns: Option<Arc<[Arc<str>]>>,
    columns_text: Vec<u8>,
    /// Repeating strings, by their place among the cells of a row.
    texts: Vec<JoinedTexts>,
}

impl<const PRETTY: bool> Layout<PRETTY> {
    fn new(time: TimeFormat) -> Self {
        Self {
            time,
            rfc3339: Rfc3339Writer::default(),
            written_time: None,
            time_text: Vec::new(),
            written_columns: None,
            columns_text: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Columns made ready for being read row by row.
    fn cells<'a>(&mut self, columns: &'a [OutputColumn]) -> Vec<Cells<'a>> {
        let mut cells = Vec::with_capacity(columns.len());
        let mut coded = 0;
        for together in columns.chunk_by(share_codes) {
            match together {
                [OutputColumn::Coded { codes, .. }, ..] => {
                    if coded == self.texts.len() {
                        self.texts.push(JoinedTexts::default());
                    }
                    self.texts[coded].prepare(together.iter().filter_map(dictionary));
                    cells.push(Cells::Coded { codes, texts: coded });
                    coded += 1;
                }
                others => cells.extend(others.iter().map(Cells::of)),
            }
        }
        cells
    }

    /// A line break and the indentation of `depth` levels, when pretty.
    #[inline]
    fn line(buf: &mut Vec<u8>, depth: usize) {
        if PRETTY {
            const SPACES: &[u8; 37] = b"\n                                    ";
            buf.extend_from_slice(&SPACES[..=4 * depth]);
        }
    }

    #[inline]
    fn key(buf: &mut Vec<u8>, key: &str) {
        buf.push(b'"');
        buf.extend_from_slice(key.as_bytes());
        buf.extend_from_slice(if PRETTY { b"\": " } else { b"\":" });
    }

    fn series_head(&mut self, buf: &mut Vec<u8>, series: &ResultSeries) {
        buf.push(b'{');
        let mut fields = 0;
        if !series.name.is_empty() {
            Self::field(buf, &mut fields, "name");
            push_json_string(buf, &series.name);
        }
        if !series.tags.is_empty() {
            Self::field(buf, &mut fields, "tags");
            Self::tags(buf, &series.tags);
        }
        if !series.columns.is_empty() {
            Self::field(buf, &mut fields, "columns");
            if !self.written_columns.as_ref().is_some_and(|written| Arc::ptr_eq(written, &series.columns)) {
                self.columns_text.clear();
                Self::list(&mut self.columns_text, 5, b"[]", &series.columns, |buf, column| {
                    push_json_string(buf, column);
                });
                self.written_columns = Some(Arc::clone(&series.columns));
            }
            buf.extend_from_slice(&self.columns_text);
        }
    }

    fn field(buf: &mut Vec<u8>, fields: &mut usize, key: &str) {
        if *fields > 0 {
            buf.push(b',');
        }
        *fields += 1;
        Self::line(buf, 5);
        Self::key(buf, key);
    }

    fn tags(buf: &mut Vec<u8>, tags: &[(Arc<str>, Arc<str>)]) {
        Self::list(buf, 5, b"{}", tags, |buf, (key, value)| {
            push_json_string(buf, key);
            buf.extend_from_slice(if PRETTY { b": " } else { b":" });
            push_json_string(buf, value);
        });
    }

    fn messages(buf: &mut Vec<u8>, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        buf.push(b',');
        Self::line(buf, 3);
        Self::key(buf, "messages");
        Self::list(buf, 3, b"[]", messages, |buf, message| {
            buf.push(b'{');
            Self::line(buf, 5);
            Self::key(buf, "level");
            push_json_string(buf, message.level);
            buf.push(b',');
            Self::line(buf, 5);
            Self::key(buf, "text");
            push_json_string(buf, &message.text);
            Self::line(buf, 4);
            buf.push(b'}');
        });
    }

    /// A list whose brackets stand at `depth`.
    fn list<T>(
        buf: &mut Vec<u8>,
        depth: usize,
        brackets: &[u8; 2],
        items: &[T],
        mut push: impl FnMut(&mut Vec<u8>, &T),
    ) {
        buf.push(brackets[0]);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                buf.push(b',');
            }
            Self::line(buf, depth + 1);
            push(buf, item);
        }
        Self::line(buf, depth);
        buf.push(brackets[1]);
    }

    #[inline]
    fn cell(&mut self, buf: &mut Vec<u8>, cells: &Cells<'_>, row: usize, piece: &StatementResult) {
        match cells {
            Cells::Whole(Values::Float(values)) => push_f64_json(buf, values[row]),
            Cells::Whole(Values::Integer(values)) => push_i64(buf, values[row]),
            Cells::Whole(Values::Unsigned(values)) => push_u64(buf, values[row]),
            Cells::Whole(Values::String(values)) => push_json_string(buf, &values[row]),
            Cells::Whole(Values::Boolean(values)) => push_bool(buf, values[row]),
            Cells::Coded { codes, texts } => self.texts[*texts].push::<PRETTY>(buf, codes[row]),
            Cells::Time(times) => self.time_cell(buf, times[row], piece),
            Cells::Gappy(column) => push_value(buf, column.get(row).as_ref()),
            Cells::Mixed(values) => push_value(buf, values[row].as_ref()),
            Cells::Lists(lists) => {
                Self::list(buf, 7, b"[]", &lists[row], |buf, text| push_json_string(buf, text));
            }
            Cells::Null => buf.extend_from_slice(b"null"),
        }
    }

    #[inline]
    fn time_cell(&mut self, buf: &mut Vec<u8>, time_ns: i64, piece: &StatementResult) {
        if self.written_time != Some(time_ns) {
            self.written_time = Some(time_ns);
            self.time_text.clear();
            self.write_time(time_ns, piece);
        }
        buf.extend_from_slice(&self.time_text);
    }

    fn write_time(&mut self, time_ns: i64, piece: &StatementResult) {
        let text = &mut self.time_text;
        match (self.time, &piece.time_zone) {
            (TimeFormat::Epoch { unit_ns }, _) => push_epoch(text, time_ns, unit_ns),
            (TimeFormat::Rfc3339, zone) => {
                text.push(b'"');
                match zone {
                    None => self.rfc3339.push_utc(text, time_ns),
                    Some(zone) => self.rfc3339.push_zoned(text, time_ns, zone),
                }
                text.push(b'"');
            }
        }
    }
}

/// A column made ready for being read row by row.
enum Cells<'a> {
    Time(&'a [i64]),
    /// Values without nulls.
    Whole(&'a Values),
    /// Values with nulls.
    Gappy(&'a Column),
    /// Strings that repeat, of columns side by side that share their codes.
    Coded {
        codes: &'a [u32],
        /// Which of the layout's texts.
        texts: usize,
    },
    Mixed(&'a [Option<FieldValue>]),
    Lists(&'a [Vec<Arc<str>>]),
    Null,
}

impl<'a> Cells<'a> {
    fn of(column: &'a OutputColumn) -> Self {
        match column {
            OutputColumn::Time(times) => Self::Time(times),
            OutputColumn::Values(Column { values, valid: None }) => Self::Whole(values),
            OutputColumn::Values(column) => Self::Gappy(column),
            OutputColumn::Mixed(values) => Self::Mixed(values),
            OutputColumn::Lists(lists) => Self::Lists(lists),
            OutputColumn::Null(_) | OutputColumn::Coded { .. } => Self::Null,
        }
    }
}

/// Whether two columns repeat together.
fn share_codes(a: &OutputColumn, b: &OutputColumn) -> bool {
    match (a, b) {
        (OutputColumn::Coded { codes: a, .. }, OutputColumn::Coded { codes: b, .. }) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

const fn dictionary(column: &OutputColumn) -> Option<&Arc<[Option<Arc<str>>]>> {
    match column {
        OutputColumn::Coded { dictionary, .. } => Some(dictionary),
        _ => None,
    }
}

fn push_text(buf: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => push_json_string(buf, text),
        None => buf.extend_from_slice(b"null"),
    }
}

fn push_value(buf: &mut Vec<u8>, value: Option<&FieldValue>) {
    match value {
        None => buf.extend_from_slice(b"null"),
        Some(FieldValue::Float(value)) => push_f64_json(buf, *value),
        Some(FieldValue::Integer(value)) => push_i64(buf, *value),
        Some(FieldValue::Unsigned(value)) => push_u64(buf, *value),
        Some(FieldValue::String(value)) => push_json_string(buf, value),
        Some(FieldValue::Boolean(value)) => push_bool(buf, *value),
    }
}

fn push_bool(buf: &mut Vec<u8>, value: bool) {
    buf.extend_from_slice(if value { b"true" } else { b"false" });
}
