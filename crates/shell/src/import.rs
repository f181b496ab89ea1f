//! A file of line protocol, written to a server in batches.
//!
//! The file is as `influx_inspect export`, `influx -import` and `skywatch inspect export` have it, or plain lines: `# DDL`
//! begins statements, `# DML` points, `# CONTEXT-DATABASE:` and `# CONTEXT-RETENTION-POLICY:` say where the points go; it
//! may be compressed. A bad line is named and left out, its neighbours are not. Points already there are written
//! again, which changes nothing: an import that broke off may begin anywhere before the line where it stopped.
//!
//! ```text
//! reader (lines to items)  ->  lanes (points of a series stay in one, in order)  ->  sender (one batch, until it is stored)
//! ```

mod lanes;
mod meter;
mod reader;
mod sender;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;
use skywatch_client::{Client, ClientError, Connection, error_text};
use skywatch_model::{
    line::{ParseOptions, Precision},
    wall_clock_ns,
};
use tokio::{runtime::Runtime, signal::ctrl_c};

use self::{
    lanes::Lanes,
    meter::Meter,
    reader::{Item, Reader},
};

pub(crate) use reader::has_open_quote;

/// First bytes of what gzip makes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Complaints printed in full; the rest are counted.
const TOLD_MAX: u64 = 100;
/// Read at a time.
const READ_BYTES: usize = 1 << 20;

/// What to import, and how.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// For points before the first context.
    pub database: String,
    /// For points before the first context; empty for the default.
    pub policy: String,
    /// Unit of the timestamps: `ns`, `u`, `ms`, `s`, `m` or `h`.
    pub precision: String,
    /// Points of earlier lines are left out.
    pub from_line: u64,
    /// Requests under way at a time; at least one.
    pub requests: usize,
    /// Whether to print nothing but errors.
    pub is_quiet: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// Lines read.
    pub lines: u64,
    /// Points stored, as far as the server did not say otherwise.
    pub points: u64,
    /// Lines that are no points.
    pub bad_lines: u64,
    /// Points that the server refused.
    pub refused: u64,
    /// Statements that the server refused.
    pub failed_statements: u64,
}

impl ImportSummary {
    /// Whether nothing was left out.
    pub fn is_whole(&self) -> bool {
        self.bad_lines + self.refused + self.failed_statements == 0
    }
}

/// Why an import stopped. What was written stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing to read.
    #[error("cannot read {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read to its end.
    #[error("cannot read the file after line {line}: {source}; what is before is written")]
    Input {
        /// The last line read.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server cannot be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server went away, or takes nothing any more.
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
    /// The summary cannot be printed.
    #[error("cannot print: {0}")]
    Output(#[source] io::Error),
}

/// Imports a file and prints what became of it; complaints go to standard error. The runtime must have a thread of
/// its own: this one reads.
pub fn run_import(
    runtime: &Runtime,
    connection: Connection,
    options: &ImportOptions,
) -> Result<ImportSummary, ImportError> {
    let client = Client::new(connection)?;
    runtime.block_on(client.ping())?;
    let (file, size_bytes) = open(options)?;
    let mut meter = Meter::new(size_bytes, options.is_quiet);
    let mut packed = BufReader::with_capacity(READ_BYTES, meter.counted(file));
    let is_gzip = packed
        .fill_buf()
        .map_err(|source| ImportError::Open { path: options.file.clone(), source })?
        .starts_with(&GZIP_MAGIC);
    let mut input: Box<dyn BufRead> = match is_gzip {
        true => Box::new(BufReader::with_capacity(READ_BYTES, MultiGzDecoder::new(packed))),
        false => Box::new(packed),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    if options.file.as_os_str() != "-" {
        // Reading standard input may wait for ever: there Ctrl-C ends the process as it always does.
        let interrupted = interrupted.clone();
        runtime.spawn(async move {
            if ctrl_c().await.is_ok() {
                interrupted.store(true, Ordering::Relaxed);
            }
        });
    }
    let mut importer = Importer {
        client: client.clone(),
        options,
        interrupted,
        lanes: Lanes::new(client, options.requests, parse_options(options), &options.precision),
        told: 0,
        summary: ImportSummary::default(),
    };
    let result = runtime.block_on(importer.run(&mut *input, &mut meter));
    let (summary, told) = (importer.summary, importer.told);
    meter.finish();
    if told > TOLD_MAX {
        crate::session::tell(&format!("and {} more complaints", told - TOLD_MAX));
    }
    result?;
    if !options.is_quiet {
        print(&summary).map_err(ImportError::Output)?;
    }
    Ok(summary)
}

struct Importer<'a> {
    client: Client,
    options: &'a ImportOptions,
    interrupted: Arc<AtomicBool>,
    lanes: Lanes,
    told: u64,
    summary: ImportSummary,
}

impl Importer<'_> {
    async fn run(&mut self, input: &mut dyn BufRead, meter: &mut Meter) -> Result<(), ImportError> {
        let mut reader = Reader::new(input);
        let (mut database, mut policy) = (self.options.database.clone(), self.options.policy.clone());
        loop {
            let item = match reader.next() {
                Ok(item) => item,
                Err(source) => {
                    self.drain(meter).await?;
                    return Err(ImportError::Input { line: reader.lines(), source });
                }
            };
            match item {
                None => {
                    self.summary.lines = reader.lines();
                    return self.drain(meter).await;
                }
                Some(Item::Database(name)) => {
                    self.lanes.flush().await;
                    database = name;
                }
                Some(Item::Policy(name)) => {
                    self.lanes.flush().await;
                    policy = name;
                }
                Some(Item::Statement { line, text }) => {
                    self.drain(meter).await?;
                    self.statement(line, &text, meter).await?;
                }
                Some(Item::Point { line, text }) if line >= self.options.from_line => {
                    if database.is_empty() {
                        self.drain(meter).await?;
                        return Err(ImportError::NoDatabase { line });
                    }
                    self.lanes.push((&database, &policy), line, text).await;
                }
                Some(Item::Point { .. }) => {}
            }
            self.collect(meter)?;
            if self.interrupted.load(Ordering::Relaxed) {
                self.lanes.stop(reader.lines() + 1, "interrupted");
            }
            if self.lanes.is_stopped() {
                return self.drain(meter).await;
            }
        }
    }

    /// Sends what there is and waits until it has arrived.
    async fn drain(&mut self, meter: &mut Meter) -> Result<(), ImportError> {
        self.lanes.drain().await;
        self.collect(meter)
    }

    /// Takes note of what the lanes have done.
    fn collect(&mut self, meter: &mut Meter) -> Result<(), ImportError> {
        let report = self.lanes.take_report();
        self.summary.points += report.points;
        self.summary.bad_lines += report.bad_lines;
        self.summary.refused += report.refused;
        for complaint in &report.complaints {
            self.complain(complaint, meter);
        }
        meter.points(self.summary.points);
        match report.stopped {
            None => Ok(()),
            Some((line, reason)) => Err(ImportError::Stopped { line, reason }),
        }
    }

    fn complain(&mut self, text: &str, meter: &Meter) {
        self.told += 1;
        if self.told <= TOLD_MAX {
            meter.tell(text);
        }
    }

    async fn statement(&mut self, line: u64, text: &str, meter: &Meter) -> Result<(), ImportError> {
        let request = self.client.post("query").form(&[("q", text)]);
        let answer = match self.client.send_checked(request).await {
            Ok(response) => self.client.read_bounded(response).await.map(|body| error_of_statement(&body)),
            Err(ClientError::Refused(error)) => Ok(Some(error)),
            Err(error) => Err(error),
        };
        match answer {
            Ok(None) => {}
            Ok(Some(error)) => {
                self.summary.failed_statements += 1;
                self.complain(&format!("line {line}: {text}: {error}"), meter);
            }
            Err(error) => return Err(ImportError::Stopped { line, reason: error.to_string() }),
        }
        Ok(())
    }
}

fn open(options: &ImportOptions) -> Result<(Box<dyn Read>, Option<u64>), ImportError> {
    if options.file.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let wrong = |source| ImportError::Open { path: options.file.clone(), source };
    let file = File::open(&options.file).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

fn parse_options(options: &ImportOptions) -> ParseOptions {
    ParseOptions {
        precision: Precision::parse(&options.precision).unwrap_or_default(),
        default_time_ns: wall_clock_ns(),
    }
}

fn error_of_statement(body: &str) -> Option<String> {
    let answer = serde_json::from_str::<serde_json::Value>(body).ok()?;
    let of_statement = || answer.get("results")?.get(0)?.get("error")?.as_str().map(ToOwned::to_owned);
    error_text(body).or_else(of_statement)
}

fn print(summary: &ImportSummary) -> io::Result<()> {
    let told = format!(
        "imported {} points from {} lines; bad lines: {}, points refused: {}, statements failed: {}",
        summary.points, summary.lines, summary.bad_lines, summary.refused, summary.failed_statements
    );
    match writeln!(io::stdout(), "{told}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
