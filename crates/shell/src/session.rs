//! A session: a server, what was chosen, and the running of what is asked, one unit after the other.

mod commands;

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
    time::Instant,
};

use skywatch_client::{Client, ClientError, Connection, Server};

use crate::{
    answer::{Documents, Question, ask},
    command,
    mistake::mark,
    output::Output,
    render::{Csv, ErrorScanner, Layout, Lines, Render, Tables, source_of},
    schema::{Schema, field_kinds},
    script::{Unit, units},
    settings::{Format, Settings},
    style::Style,
};

/// Largest file of statements.
const SCRIPT_BYTES_MAX: u64 = 64 << 20;

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server cannot be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Answers cannot be printed.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// What became of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It failed; why was said on standard error.
    Failed,
    /// The session is to end.
    Exit,
}

/// See the module's header.
#[derive(Debug)]
pub struct Session {
    client: Client,
    server: Option<Server>,
    /// What was chosen.
    pub settings: Settings,
    pub(crate) output: Output,
    schema: Arc<Schema>,
    /// The latest statement.
    latest: String,
    include_depth: usize,
    /// Whether an answer without anything in it is worth a word.
    is_interactive: bool,
    pub(crate) history: Vec<String>,
}

impl Session {
    /// A session with a server that is not asked anything yet.
    pub fn new(connection: Connection, settings: Settings) -> Result<Self, ClientError> {
        let client = Client::new(connection)?;
        let schema = Arc::new(Schema::new(client.clone(), &settings.database));
        Ok(Self {
            client,
            server: None,
            settings,
            output: Output::screen(),
            schema,
            latest: String::new(),
            include_depth: 0,
            is_interactive: false,
            history: Vec::new(),
        })
    }

    pub(crate) fn become_interactive(&mut self) {
        self.is_interactive = true;
    }

    pub(crate) fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks who is there; the answer is kept.
    pub async fn ping(&mut self) -> Result<&Server, ClientError> {
        let server = self.client.ping().await?;
        Ok(self.server.insert(server))
    }

    /// Runs a text of commands and statements. Unless told to keep going, the first failure ends it.
    pub async fn run_script(&mut self, text: &str, keep_going: bool) -> Result<Outcome, SessionError> {
        let mut outcome = Outcome::Done;
        let mut has_printed = false;
        for unit in units(text) {
            if matches!(unit, Unit::Statement(_)) {
                if has_printed && self.settings.format == Format::Table {
                    writeln!(self.output)?;
                }
                has_printed = true;
            }
            match self.run(unit).await? {
                Outcome::Done => {}
                Outcome::Exit => return Ok(Outcome::Exit),
                Outcome::Failed if keep_going => outcome = Outcome::Failed,
                Outcome::Failed => return Ok(Outcome::Failed),
            }
        }
        Ok(outcome)
    }

    /// Runs a file of them.
    pub async fn run_file(&mut self, path: &Path, keep_going: bool) -> Result<Outcome, SessionError> {
        let text = match read_script(path) {
            Ok(text) => text,
            Err(error) => return Ok(self.fail(&format!("cannot read {}: {error}", path.display()))),
        };
        Box::pin(self.run_script(&text, keep_going)).await
    }

    async fn run(&mut self, unit: Unit<'_>) -> Result<Outcome, SessionError> {
        let outcome = match unit {
            Unit::Statement(text) => {
                text.clone_into(&mut self.latest);
                self.statement(text).await
            }
            Unit::Command(text) => match command::parse(text) {
                Ok(command) => self.command(command).await,
                Err(reason) => Ok(self.fail(&reason)),
            },
        };
        self.output.flush()?;
        match outcome {
            // A server that does not answer one question may answer the next; where somebody sits they decide.
            Err(SessionError::Client(error)) if self.is_interactive => Ok(self.fail(&error.to_string())),
            outcome => outcome,
        }
    }

    /// Sends a statement and prints the answer.
    async fn statement(&mut self, text: &str) -> Result<Outcome, SessionError> {
        let begun = Instant::now();
        let error = match self.settings.format {
            Format::Json => self.print_json(text).await,
            Format::Table | Format::Csv | Format::Line => self.print_series(text).await,
        };
        let outcome = match error {
            Ok(None) => Outcome::Done,
            Ok(Some(error)) | Err(SessionError::Client(ClientError::Refused(error))) => {
                self.fail(&mark(&error, text))
            }
            Err(error) => return Err(error),
        };
        if self.settings.timing {
            tell(&format!("time: {:.1} ms", begun.elapsed().as_secs_f64() * 1_000.0));
        }
        if !is_question(text) {
            self.schema.forget();
        }
        Ok(outcome)
    }

    /// The server's JSON as it is. `Some` with the error of a statement.
    async fn print_json(&mut self, text: &str) -> Result<Option<String>, SessionError> {
        let question = Question {
            text,
            settings: &self.settings,
            epoch: self.settings.precision.epoch(),
            chunked: self.settings.chunked.unwrap_or(false),
        };
        let mut response = ask(&self.client, &question).await?;
        let mut scanner = ErrorScanner::default();
        let mut ends_line = true;
        while let Some(piece) = self.client.next_piece(&mut response).await? {
            let piece = piece.as_ref();
            scanner.feed(piece);
            self.output.write_all(piece)?;
            ends_line = piece.last().map_or(ends_line, |byte| *byte == b'\n');
        }
        if !ends_line {
            self.output.write_all(b"\n")?;
        }
        Ok(scanner.into_error())
    }

    /// The answer as the format has it. `Some` with the error of a statement.
    async fn print_series(&mut self, text: &str) -> Result<Option<String>, SessionError> {
        let Self { client, settings, output, .. } = self;
        let is_line = settings.format == Format::Line;
        let question = Question {
            text,
            settings,
            epoch: if is_line { Some("ns") } else { settings.precision.epoch() },
            chunked: settings.chunked.unwrap_or(true),
        };
        let response = ask(client, &question).await?;
        let mut documents = Documents::new(client, response);
        let mut printer = Printer::new(settings, output, text);
        let (mut error, mut is_truncated) = (None, false);
        while let Some(document) = documents.next().await? {
            error = error.or(document.error);
            for result in document.results {
                for message in &result.messages {
                    tell(&format!("{}: {}", message.level, message.text));
                }
                error = error.or(result.error);
                is_truncated = result.partial || result.series.last().is_some_and(|series| series.partial);
                for series in result.series {
                    if let Printer::Lines(lines) = &mut printer
                        && lines.needs(&series.name)
                    {
                        let (database, policy) = source_of(text);
                        let kinds = field_kinds(client, settings, (database, policy), &series.name).await?;
                        lines.learn(&series.name, kinds);
                    }
                    printer.render().series(series, output)?;
                }
            }
        }
        printer.render().finish(output)?;
        if let Printer::Tables(tables) = &printer
            && tables.is_empty()
            && error.is_none()
        {
            let nothing = if is_question(text) { "(no rows)" } else { "ok" };
            writeln!(output, "{}", output.style().dim(nothing))?;
        }
        if let Printer::Lines(lines) = &printer
            && lines.left_out() > 0
        {
            let told = format!("{} rows have no time or no field and are no points", lines.left_out());
            error.get_or_insert(told);
        }
        if is_truncated {
            tell("the server cut the answer short (max-row-limit); with chunked answers it does not");
        }
        Ok(error)
    }

    fn fail(&mut self, reason: &str) -> Outcome {
        // What was printed before belongs before.
        self.output.flush().unwrap_or_default();
        let style = Style::detect(&io::stderr());
        tell(&format!("{} {reason}", style.red("ERR:")));
        Outcome::Failed
    }
}

/// Who answers, in a line.
pub(crate) fn banner(place: &str, server: &Server) -> String {
    match &server.skywatch_version {
        Some(version) => format!("{place}: Skywatch {version} (InfluxDB {})", server.influxdb_version),
        None => format!("{place}: InfluxDB {}", server.influxdb_version),
    }
}

enum Printer {
    Tables(Tables),
    Csv(Csv),
    Lines(Lines),
}

impl Printer {
    fn new(settings: &Settings, output: &Output, statement: &str) -> Self {
        match settings.format {
            Format::Csv => Self::Csv(Csv::default()),
            Format::Line => Self::Lines(Lines::new(statement)),
            Format::Table | Format::Json => Self::Tables(Tables::new(Layout {
                style: output.style(),
                vertical: settings.vertical,
                width: output.width(),
            })),
        }
    }

    fn render(&mut self) -> &mut dyn Render {
        match self {
            Self::Tables(tables) => tables,
            Self::Csv(csv) => csv,
            Self::Lines(lines) => lines,
        }
    }
}

/// Whether a statement asks and changes nothing (`SELECT ... INTO` aside).
fn is_question(statement: &str) -> bool {
    let begins = |verb: &str| statement.get(..verb.len()).is_some_and(|word| word.eq_ignore_ascii_case(verb));
    begins("select") || begins("show")
}

/// To standard error. It may be closed; then there is nobody to tell.
pub(crate) fn tell(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn read_script(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limited =
        |from: &mut dyn Read, text: &mut String| from.take(SCRIPT_BYTES_MAX + 1).read_to_string(text);
    if path.as_os_str() == "-" {
        limited(&mut io::stdin(), &mut text)?;
    } else {
        limited(&mut fs::File::open(path)?, &mut text)?;
    }
    if text.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(io::Error::other("it has more than 64 MiB; points are written with skywatch import"));
    }
    Ok(text)
}
