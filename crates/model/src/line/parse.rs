//! A whole body of lines.

use std::sync::Arc;

use super::{
    LineError, PointBatch, Precision, Reason,
    batch::Body,
    careful, fast,
    lines::{self, LineEnd},
};

/// How to read a body.
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions {
    /// Unit of the timestamps.
    pub precision: Precision,
    /// Time of points without a timestamp, in nanoseconds since the epoch; it is cut to the precision.
    pub default_time_ns: i64,
}

/// How many refused lines [`parse`] describes. [`PointBatch::rejected`] counts all of them.
pub const MAX_LINE_ERRORS: usize = 1000;

/// Reads a body into `batch`, which is cleared first. Lines that cannot be read are left out and reported, in
/// order; the others are in the batch.
pub fn parse<'a>(body: &'a [u8], options: ParseOptions, batch: &mut PointBatch<'a>) -> Vec<LineError> {
    parse_with(body, options, batch, fast::parse_line)
}

/// What [`parse`] does without its shortcuts: the reference that tests and fuzzers hold it to.
pub fn parse_exactly<'a>(
    body: &'a [u8],
    options: ParseOptions,
    batch: &mut PointBatch<'a>,
) -> Vec<LineError> {
    parse_with(body, options, batch, |_, _, _, _, _| None)
}

fn parse_with<'a>(
    body: &'a [u8],
    options: ParseOptions,
    batch: &mut PointBatch<'a>,
    shortcut: impl Shortcut,
) -> Vec<LineError> {
    batch.clear();
    let mut report = Report::default();
    let limit = PointBatch::MAX_TEXT;
    if body.len() > limit {
        report.add(LineError::new(1, &[], Reason::BodyTooLarge { length: body.len(), limit }));
    } else if let Ok(text) = std::str::from_utf8(body) {
        batch.set_body(Body::Borrowed(text));
        parse_text(text, options, batch, &mut report, shortcut);
    } else {
        let text: Arc<str> = lines::without_invalid_utf8(body, |error| report.add(error)).into();
        batch.set_body(Body::Repaired(Arc::clone(&text)));
        parse_text(&text, options, batch, &mut report, shortcut);
        report.errors.sort_by_key(|error| error.line);
    }
    batch.finish(report.rejected);
    report.errors
}

/// Reads the line of a text that begins at a position and has a number, and returns where the next one begins;
/// `None`, and the batch as before, if it has to be read carefully.
trait Shortcut: Fn(&str, usize, u32, LineContext, &mut PointBatch<'_>) -> Option<usize> {}

impl<F: Fn(&str, usize, u32, LineContext, &mut PointBatch<'_>) -> Option<usize>> Shortcut for F {}

/// The refused lines so far.
#[derive(Default)]
struct Report {
    errors: Vec<LineError>,
    rejected: u64,
}

impl Report {
    fn add(&mut self, error: LineError) {
        self.rejected += 1;
        if self.errors.len() < MAX_LINE_ERRORS {
            self.errors.push(error);
        }
    }
}

/// What stays the same from line to line.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineContext {
    /// Nanoseconds per unit of the timestamps.
    pub(super) unit_ns: i64,
    /// Time of points without timestamp.
    pub(super) default_time: i64,
}

fn parse_text(
    text: &str,
    options: ParseOptions,
    batch: &mut PointBatch<'_>,
    report: &mut Report,
    shortcut: impl Shortcut,
) {
    let context = LineContext {
        unit_ns: options.precision.nanoseconds(),
        default_time: options
            .precision
            .truncate(options.default_time_ns.clamp(crate::MIN_TIME, crate::MAX_TIME)),
    };
    let bytes = text.as_bytes();
    let mut line = 1;
    let mut start = 0;
    while start < bytes.len() {
        let content = lines::skip_whitespace(bytes, start);
        start = match bytes.get(content) {
            None => return,
            Some(b'\n') => content + 1,
            Some(b'#') => lines::find_comment_end(bytes, content).next,
            Some(_) => match shortcut(text, content, line, context, batch) {
                Some(next) => next,
                None => {
                    let next = parse_carefully(text, content, line, context, batch, report);
                    line += lines::count_line_feeds(&bytes[content..next]);
                    start = next;
                    continue;
                }
            },
        };
        line += 1;
    }
}

/// Reads the line that begins at `start`; returns where the next one begins.
fn parse_carefully(
    text: &str,
    start: usize,
    line: u32,
    context: LineContext,
    batch: &mut PointBatch<'_>,
    report: &mut Report,
) -> usize {
    let LineEnd { end, next } = lines::find_line_end(text.as_bytes(), start);
    if end > start
        && let Err(reason) = careful::parse_line(&text[..end], start, line, context, batch)
    {
        report.add(LineError::new(line, &text.as_bytes()[start..end], reason));
    }
    next
}

#[cfg(test)]
mod tests;
