//! Query results as bytes: JSON, CSV or MessagePack, each exactly as InfluxDB 1.8 lays it out.
//!
//! Results come in columns and are written row by row straight into the buffer that goes to the socket; nothing
//! in between is allocated per value. An [`Encoder`] decides on the bytes, an [`Outlet`] on when they leave.

mod csv;
mod json;
mod msgpack;
mod number;
mod outlet;
mod text;
mod time;

use skywatch_query::{SinkClosed, StatementResult};

pub(crate) use csv::CsvEncoder;
pub(crate) use json::JsonEncoder;
pub(crate) use msgpack::{MsgpackEncoder, push_msgpack_error};
pub(crate) use number::{push_f64_plain, push_i64, push_u64};
pub(crate) use outlet::Outlet;
pub(crate) use text::{push_csv_field, push_json_string};
pub(crate) use time::{Rfc3339Writer, TimeFormat};

/// Lays out the results of one query, piece by piece.
pub(crate) trait Encoder: Send {
    /// Writes the next piece of a result.
    fn piece(&mut self, piece: &StatementResult, out: &mut Outlet<'_>) -> Result<(), SinkClosed>;

    /// Ends the open result where it is, after the last row that is allowed: a series that would go on is marked
    /// as partial. Not for answers in chunks.
    fn cut(&mut self, out: &mut Outlet<'_>);

    /// Writes what ends the answer. Called once, after the last piece.
    fn finish(&mut self, out: &mut Outlet<'_>) -> Result<(), SinkClosed>;
}

/// The form of an answer, chosen by the `Accept` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// `application/json`, also for everything unknown.
    #[default]
    Json,
    /// `application/csv` or `text/csv`.
    Csv,
    /// `application/x-msgpack`.
    Msgpack,
}

impl Format {
    /// The form of the header's list that is known and wanted most, by its `q` (RFC 9110, section 12.4.2); of several the
    /// first.
    pub(crate) fn from_accept(accept: &str) -> Self {
        let known = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default() {
                "application/json" => Self::Json,
                "application/csv" | "text/csv" => Self::Csv,
                "application/x-msgpack" => Self::Msgpack,
                _ => return None,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            Some((quality.unwrap_or(1.0), format))
        });
        let better = |best: (f32, Self), next: (f32, Self)| if next.0 > best.0 { next } else { best };
        known.reduce(better).map(|(_, format)| format).unwrap_or_default()
    }

    /// Value of the `Content-Type` header.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Msgpack => "application/x-msgpack",
        }
    }
}

/// How an answer is to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncodeOptions {
    /// Form of the answer.
    pub format: Format,
    /// How times are written.
    pub time: TimeFormat,
    /// JSON with line breaks and four spaces a level.
    pub pretty: bool,
    /// One complete answer per piece instead of one for all of them.
    pub chunked: bool,
}

impl EncodeOptions {
    /// The encoder that does it.
    pub(crate) fn encoder(self) -> Box<dyn Encoder> {
        match (self.format, self.pretty) {
            (Format::Json, false) => Box::new(JsonEncoder::<false>::new(self.time, self.chunked)),
            (Format::Json, true) => Box::new(JsonEncoder::<true>::new(self.time, self.chunked)),
            (Format::Csv, _) => Box::new(CsvEncoder::new(self.time, self.chunked)),
            (Format::Msgpack, _) => Box::new(MsgpackEncoder::new(self.time, self.chunked)),
        }
    }
}

/// Writes results as `/query` would answer them to a request with this `Accept` header and this `epoch`, for callers
/// without a socket. `emit` is handed the answer in parts; if it fails, so does this.
pub fn encode_results(
    accept: &str,
    epoch: &str,
    results: &[StatementResult],
    emit: impl FnMut(Vec<u8>) -> Result<(), SinkClosed> + Send,
) -> Result<(), SinkClosed> {
    let options = EncodeOptions {
        format: Format::from_accept(accept),
        time: TimeFormat::from_epoch(epoch),
        pretty: false,
        chunked: false,
    };
    let mut out = Outlet::new(false, emit);
    let mut encoder = options.encoder();
    for result in results {
        encoder.piece(result, &mut out)?;
    }
    encoder.finish(&mut out)?;
    out.finish()
}

#[cfg(test)]
mod tests;
