//! `csv`: rows of values, with the names of the columns in the options or in header rows.
//!
//! ```text
//!  skipped lines | metadata lines | header rows | data rows
//! ```
//!
//! What comes before the data counts once; `csv_reset_mode` says whether that is for each document, or for all that the
//! parser is given, as when a file is followed line by line.

mod options;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder, Trim};
use skywatch_model::FieldValue;

use super::{Faults, scalar};
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::parser::{Defaults, ParseError, Parser};
use options::Options;

/// The parser.
#[derive(Debug, Clone)]
struct Csv {
    options: Arc<Options>,
    state: State,
}

/// What is still to come before the data, and what was learned from it.
#[derive(Debug, Clone)]
struct State {
    skip_rows: usize,
    metadata_rows: usize,
    header_rows: usize,
    names: Vec<String>,
    tags: Vec<(String, String)>,
}

impl State {
    fn new(options: &Options) -> Self {
        Self {
            skip_rows: options.skip_rows,
            metadata_rows: options.metadata_rows,
            header_rows: options.header_rows,
            names: options.names.clone(),
            tags: Vec::new(),
        }
    }
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    let options = Arc::new(Options::from_section(section)?);
    Ok(Box::new(Csv { state: State::new(&options), options }))
}

impl Parser for Csv {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        if self.options.reset_always {
            self.state = State::new(&self.options);
        }
        let data = data.strip_prefix("\u{feff}".as_bytes()).unwrap_or(data);
        let (rest, lines_before) = self.state.preamble(data, &self.options);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.options.delimiter)
            .comment(self.options.comment)
            .trim(if self.options.trim_space { Trim::All } else { Trim::None })
            .from_reader(rest);
        let mut record = ByteRecord::new();
        let mut faults = Faults::default();
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(ParseError::new(error.to_string())),
            }
            let line = record.position().map_or(0, csv::Position::line);
            let line = lines_before + usize::try_from(line).unwrap_or(0);
            let cells: Vec<_> = record
                .iter()
                .skip(self.options.skip_columns)
                .map(|cell| String::from_utf8_lossy(cell))
                .collect();
            if self.state.header_rows > 0 {
                self.state.header(&cells, &self.options);
                continue;
            }
            match self.row(&cells, defaults) {
                Ok(metric) if metric.fields().is_empty() => {}
                Ok(metric) => out.push(metric),
                Err(_) if self.options.skip_errors => {}
                Err(reason) => faults.add(line, reason),
            }
        }
        faults.result()
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(Self { options: Arc::clone(&self.options), state: State::new(&self.options) })
    }
}

impl State {
    /// Takes the lines that are no rows, and returns what follows them and how many there were.
    fn preamble<'a>(&mut self, data: &'a [u8], options: &Options) -> (&'a [u8], usize) {
        let (mut rest, mut lines) = (data, 0);
        while self.skip_rows + self.metadata_rows > 0 && !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            (rest, lines) = (after, lines + 1);
            if self.skip_rows > 0 {
                self.skip_rows -= 1;
                continue;
            }
            self.metadata_rows -= 1;
            let line = String::from_utf8_lossy(line);
            if let Some((key, value)) = options.metadata(line.trim_end_matches(['\r', '\n'])) {
                self.tags.push((key, value));
            }
        }
        (rest, lines)
    }

    /// Takes a header row; the names of several are put together.
    fn header(&mut self, cells: &[impl AsRef<str>], options: &Options) {
        self.header_rows -= 1;
        if !options.names.is_empty() {
            return;
        }
        for (at, cell) in cells.iter().enumerate() {
            let part = cell.as_ref().trim();
            match self.names.get_mut(at) {
                Some(name) => name.push_str(part),
                None => self.names.push(part.to_owned()),
            }
        }
    }
}

impl Csv {
    fn row(&self, cells: &[impl AsRef<str>], defaults: &Defaults<'_>) -> Result<Metric, String> {
        let options = &self.options;
        let mut metric = Metric::new(defaults.name.clone().into_owned(), defaults.now_ns);
        let mut time = None;
        for (at, (name, cell)) in self.state.names.iter().zip(cells).enumerate() {
            let cell = cell.as_ref();
            if options.skip_values.iter().any(|skipped| skipped == cell) {
                continue;
            }
            if options.measurement_column.as_ref() == Some(name) {
                if !cell.is_empty() {
                    metric.name = cell.to_owned().into();
                }
            } else if options.time.as_ref().is_some_and(|(column, _)| column == name) {
                time = Some(cell);
            } else if options.tag_columns.contains(name) {
                metric.set_tag(name.clone(), cell);
            } else {
                metric.set_field(name.clone(), self.value(at, name, cell)?);
            }
        }
        if let Some((column, format)) = &options.time {
            let text = time
                .ok_or_else(|| format!("the row has no {column:?}, which csv_timestamp_column asks for"))?;
            metric.time_ns =
                format.parse(text, defaults.now_ns).map_err(|why| format!("{column:?}: {why}"))?;
        }
        for (key, value) in &self.state.tags {
            if options.tag_overwrite {
                metric.set_tag_if_absent(key, value);
            } else {
                metric.set_tag(key.clone(), value.clone());
            }
        }
        Ok(metric)
    }

    fn value(&self, at: usize, name: &str, cell: &str) -> Result<FieldValue, String> {
        if self.options.types.is_empty() {
            return Ok(scalar::infer(cell));
        }
        let of_type =
            self.options.types.get(at).ok_or_else(|| format!("csv_column_types has none for {name:?}"))?;
        of_type.read(cell).map_err(|why| format!("{name:?}: {why}"))
    }
}
