//! A file of line protocol, written to a server in batches.
//!
//! The file is as `influx_inspect export` and [`crate::export()`] write it, or plain lines: `# DDL` begins statements,
//! `# DML` points, `# CONTEXT-DATABASE:` and `# CONTEXT-RETENTION-POLICY:` say where the points go. A bad line is
//! named and left out, its neighbours are not. Points already there are written again, which changes nothing: an
//! import that broke off may begin anywhere before the line where it stopped.

use std::{
    io::{self, BufRead},
    ops::Range,
    thread,
    time::Duration,
};

use skywatch_model::line::{ParseOptions, PointBatch, Precision, parse};
use ureq::{Agent, Body, http::Response};

/// Points of one request, and their bytes: well below what servers take (25 MB unless told otherwise).
const BATCH_LINES: usize = 5_000;
const BATCH_BYTES: usize = 4 << 20;
/// Lines that the text of one point may go over.
const POINT_LINES_MAX: usize = 1_000;
/// How often a server that is busy is asked again, and for how long at once.
const RETRIES: u32 = 60;
const RETRY_MAX: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where to, and how to read.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Such as `http://127.0.0.1:8086`.
    pub url: String,
    /// For points before the first context.
    pub database: String,
    /// For points before the first context; empty for the default.
    pub policy: String,
    /// Unit of the timestamps: `ns`, `u`, `ms`, `s`, `m` or `h`.
    pub precision: String,
    /// Points of earlier lines are left out.
    pub from_line: u64,
    /// For points without a time, nanoseconds.
    pub now_ns: i64,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// Lines read.
    pub lines: u64,
    /// Points sent, and stored as far as the server did not say otherwise.
    pub points: u64,
    /// Lines that are no points.
    pub bad_lines: u64,
    /// Points that the server refused.
    pub refused: u64,
    /// Statements that the server refused.
    pub failed_statements: u64,
}

/// Why an import stopped. What was written stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read the file after line {line}: {source}")]
    Input {
        /// The last line read.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No server, or one that takes nothing.
    #[error("{reason}; everything before line {line} is written: go on with --from-line {line}")]
    Stopped {
        /// The first line not written.
        line: u64,
        /// What happened.
        reason: String,
    },
    /// Points without a database.
    #[error("line {line} has no database: give one with --db, or a line `# CONTEXT-DATABASE:NAME` before it")]
    NoDatabase {
        /// The line.
        line: u64,
    },
}

/// Writes what `input` (text, not compressed) says. `tell` is given each complaint: the line and what is wrong.
pub fn import(
    input: &mut dyn BufRead,
    options: &ImportOptions,
    tell: &mut dyn FnMut(&str),
) -> Result<ImportSummary, ImportError> {
    let config =
        Agent::config_builder().http_status_as_error(false).timeout_connect(Some(CONNECT_TIMEOUT)).build();
    let mut importer = Importer {
        agent: config.into(),
        options,
        tell,
        database: options.database.clone(),
        policy: options.policy.clone(),
        in_statements: false,
        batch: Batch::default(),
        summary: ImportSummary::default(),
    };
    importer.run(input)?;
    Ok(importer.summary)
}

/// Points on their way.
#[derive(Debug, Default)]
struct Batch {
    body: Vec<u8>,
    /// Number of each point's first line, and where the point is in `body`.
    points: Vec<(u64, Range<usize>)>,
}

struct Importer<'a> {
    agent: Agent,
    options: &'a ImportOptions,
    tell: &'a mut dyn FnMut(&str),
    database: String,
    policy: String,
    in_statements: bool,
    batch: Batch,
    summary: ImportSummary,
}

impl Importer<'_> {
    fn run(&mut self, input: &mut dyn BufRead) -> Result<(), ImportError> {
        let mut text = Vec::new();
        while self.next_line(input, &mut text)? {
            let line = self.summary.lines;
            let trimmed = text.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            if let Some(comment) = trimmed.strip_prefix(b"#") {
                self.comment(comment.trim_ascii())?;
            } else if self.in_statements {
                self.statement(line, &String::from_utf8_lossy(trimmed))?;
            } else {
                if has_open_quote(&text) {
                    self.rest_of_point(input, &mut text)?;
                }
                if line >= self.options.from_line {
                    self.point(line, &text)?;
                }
            }
        }
        self.send()
    }

    fn next_line(&mut self, input: &mut dyn BufRead, text: &mut Vec<u8>) -> Result<bool, ImportError> {
        text.clear();
        self.more(input, text)
    }

    fn more(&mut self, input: &mut dyn BufRead, text: &mut Vec<u8>) -> Result<bool, ImportError> {
        let line = self.summary.lines;
        let count = input.read_until(b'\n', text).map_err(|source| ImportError::Input { line, source })?;
        self.summary.lines += u64::from(count > 0);
        Ok(count > 0)
    }

    /// A string may have line feeds in it.
    fn rest_of_point(&mut self, input: &mut dyn BufRead, text: &mut Vec<u8>) -> Result<(), ImportError> {
        for _ in 0..POINT_LINES_MAX {
            if !has_open_quote(text) || !self.more(input, text)? {
                break;
            }
        }
        Ok(())
    }

    fn comment(&mut self, comment: &[u8]) -> Result<(), ImportError> {
        let comment = String::from_utf8_lossy(comment).into_owned();
        if comment == "DDL" || comment == "DML" {
            self.in_statements = comment == "DDL";
        } else if let Some(name) = comment.strip_prefix("CONTEXT-DATABASE:") {
            self.send()?;
            name.trim().clone_into(&mut self.database);
        } else if let Some(name) = comment.strip_prefix("CONTEXT-RETENTION-POLICY:") {
            self.send()?;
            name.trim().clone_into(&mut self.policy);
        }
        Ok(())
    }

    fn statement(&mut self, line: u64, text: &str) -> Result<(), ImportError> {
        let answer = self.agent.post(format!("{}/query", self.url())).send_form([("q", text)]);
        let (_, body) = read(answer).map_err(|reason| ImportError::Stopped { line, reason })?;
        let error = serde_json::from_str::<serde_json::Value>(&body).ok().and_then(|answer| {
            let error = answer.get("error").or_else(|| answer.get("results")?.get(0)?.get("error"))?;
            error.as_str().map(ToOwned::to_owned)
        });
        if let Some(error) = error {
            self.summary.failed_statements += 1;
            (self.tell)(&format!("line {line}: {text}: {error}"));
        }
        Ok(())
    }

    fn url(&self) -> &str {
        self.options.url.trim_end_matches('/')
    }

    fn point(&mut self, line: u64, text: &[u8]) -> Result<(), ImportError> {
        if self.database.is_empty() {
            return Err(ImportError::NoDatabase { line });
        }
        let start = self.batch.body.len();
        self.batch.body.extend_from_slice(text);
        if !text.ends_with(b"\n") {
            self.batch.body.push(b'\n');
        }
        self.batch.points.push((line, start..self.batch.body.len()));
        if self.batch.points.len() >= BATCH_LINES || self.batch.body.len() >= BATCH_BYTES {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), ImportError> {
        let mut batch = std::mem::take(&mut self.batch);
        self.leave_out_bad_lines(&mut batch);
        let (Some((first, _)), Some((last, _))) = (batch.points.first(), batch.points.last()) else {
            return Ok(());
        };
        let (first, last, points) = (*first, *last, batch.points.len() as u64);
        let refused = self.write(first, &batch.body)?;
        if let Some(text) = refused {
            let dropped = dropped_points(&text).unwrap_or(points).min(points);
            self.summary.refused += dropped;
            self.summary.points += points - dropped;
            (self.tell)(&format!("lines {first} to {last}: {text}"));
        } else {
            self.summary.points += points;
        }
        // The buffers are used again.
        batch.body.clear();
        batch.points.clear();
        self.batch = batch;
        Ok(())
    }

    /// Names lines that are no points and takes them out.
    fn leave_out_bad_lines(&mut self, batch: &mut Batch) {
        let options = ParseOptions {
            precision: precision(&self.options.precision),
            default_time_ns: self.options.now_ns,
        };
        if parse(&batch.body, options, &mut PointBatch::new()).is_empty() {
            return;
        }
        let whole = std::mem::take(batch);
        for (line, range) in whole.points {
            let text = &whole.body[range];
            match parse(text, options, &mut PointBatch::new()).first() {
                None => {
                    let start = batch.body.len();
                    batch.body.extend_from_slice(text);
                    batch.points.push((line, start..batch.body.len()));
                }
                Some(error) => {
                    self.summary.bad_lines += 1;
                    (self.tell)(&format!("line {line}: {error}"));
                }
            }
        }
    }

    /// `Some` with the server's words if it refused some of the points.
    fn write(&self, line: u64, body: &[u8]) -> Result<Option<String>, ImportError> {
        let stopped = |reason: String| ImportError::Stopped { line, reason };
        for _ in 0..RETRIES {
            let request = self
                .agent
                .post(format!("{}/write", self.url()))
                .query("db", &self.database)
                .query("rp", &self.policy)
                .query("precision", &self.options.precision);
            let (answer, text) = read(request.send(body)).map_err(stopped)?;
            let status = answer.status().as_u16();
            let text = serde_json::from_str::<serde_json::Value>(&text)
                .ok()
                .and_then(|answer| Some(answer.get("error")?.as_str()?.to_owned()))
                .unwrap_or(text);
            match status {
                200..=299 => return Ok(None),
                429 | 503 => thread::sleep(retry_after(&answer).min(RETRY_MAX)),
                400 => return Ok(Some(text)),
                _ => return Err(stopped(format!("the server answers {status}: {}", text.trim()))),
            }
        }
        Err(stopped("the server stays too busy".to_owned()))
    }
}

/// Status and text of an answer, or why there is none.
fn read(answer: Result<Response<Body>, ureq::Error>) -> Result<(Response<()>, String), String> {
    let (head, body) = answer.map_err(|error| format!("cannot reach the server: {error}"))?.into_parts();
    let text = body.into_with_config().lossy_utf8(true).read_to_string();
    let text = text.map_err(|error| format!("the server's answer broke off: {error}"))?;
    Ok((Response::from_parts(head, ()), text))
}

fn retry_after(answer: &Response<()>) -> Duration {
    let header = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(header.unwrap_or(1))
}

fn precision(name: &str) -> Precision {
    match name {
        "u" => Precision::Microsecond,
        "ms" => Precision::Millisecond,
        "s" => Precision::Second,
        "m" => Precision::Minute,
        "h" => Precision::Hour,
        _ => Precision::Nanosecond,
    }
}

/// Whether the quotes that no backslash escapes are odd in number: then a string goes on in the next line. (In names
/// and tags a quote is a character like others; a line where that leaves one open is read together with the next,
/// and both are then found to be no point unless they are.)
fn has_open_quote(text: &[u8]) -> bool {
    let mut is_open = false;
    let mut is_escaped = false;
    for byte in text {
        is_open ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    is_open
}

/// The number in `partial write: ... dropped=3`.
fn dropped_points(text: &str) -> Option<u64> {
    let (_, after) = text.rsplit_once("dropped=")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_tell_where_a_point_ends() {
        for (text, is_open) in [
            ("m v=1 1", false),
            ("m v=\"a\" 1", false),
            ("m v=\"a\n", true),
            ("m v=\"a\\\"", true),
            ("m v=\"a\\\\\"", false),
            ("m v=\"a\\\" b\" 1", false),
        ] {
            assert_eq!(has_open_quote(text.as_bytes()), is_open, "{text}");
        }
    }

    #[test]
    fn dropped_points_are_counted() {
        assert_eq!(dropped_points("partial write: points beyond retention policy dropped=17"), Some(17));
        assert_eq!(dropped_points("partial write: dropped=3 more"), Some(3));
        assert_eq!(dropped_points("unable to parse"), None);
    }
}
