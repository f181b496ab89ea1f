//! A session: a server, what was chosen, and the running of what is asked, one unit after the other.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use skywatch_client::{Client, ClientError, Connection, Credentials, Server};
use skywatch_influxql::quote_ident;

use crate::{
    answer::{Documents, Question, ask},
    command::{self, Command},
    help,
    mistake::mark,
    output::Output,
    render::{Csv, ErrorScanner, Layout, Lines, Render, Tables, source_of},
    schema::{Schema, field_kinds},
    script::{Unit, units},
    settings::{Format, Settings, Vertical},
    style::Style,
};

/// How deep `\i` may go.
const INCLUDE_DEPTH_MAX: usize = 16;
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
        let is_change = !["select", "show"]
            .iter()
            .any(|verb| text.get(..verb.len()).is_some_and(|it| it.eq_ignore_ascii_case(verb)));
        if is_change {
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
            let is_question = ["select", "show"]
                .iter()
                .any(|verb| text.get(..verb.len()).is_some_and(|it| it.eq_ignore_ascii_case(verb)));
            writeln!(output, "{}", output.style().dim(if is_question { "(no rows)" } else { "ok" }))?;
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

    async fn command(&mut self, command: Command) -> Result<Outcome, SessionError> {
        let settings = &mut self.settings;
        match command {
            Command::Exit => return Ok(Outcome::Exit),
            Command::Use { database, policy } => return self.use_database(database, policy).await,
            Command::Insert { database, policy, line } => return self.insert(&database, &policy, line).await,
            Command::Format(format) => settings.format = format,
            Command::Precision(precision) => settings.precision = precision,
            Command::Pretty => {
                settings.pretty = !settings.pretty;
                let told = format!("pretty JSON is {}", on_off(settings.pretty));
                writeln!(self.output, "{told}")?;
            }
            Command::Chunked => {
                let chosen = !settings.chunked.unwrap_or(settings.format != Format::Json);
                settings.chunked = Some(chosen);
                writeln!(self.output, "chunked answers are {}", on_off(chosen))?;
            }
            Command::ChunkSize(rows) => settings.chunk_size = rows,
            Command::Consistency(level) => settings.consistency = level,
            Command::Vertical(chosen) => {
                settings.vertical = chosen.unwrap_or(match settings.vertical {
                    Vertical::On => Vertical::Auto,
                    Vertical::Off | Vertical::Auto => Vertical::On,
                });
                writeln!(self.output, "rows as lists: {}", settings.vertical)?;
            }
            Command::Timing => {
                settings.timing = !settings.timing;
                writeln!(self.output, "timing is {}", on_off(settings.timing))?;
            }
            Command::ClearDatabase => {
                settings.database.clear();
                settings.policy.clear();
                self.schema.choose("");
            }
            Command::ClearPolicy => settings.policy.clear(),
            Command::Settings => self.print_settings()?,
            Command::History => {
                for line in &self.history {
                    writeln!(self.output, "{line}")?;
                }
            }
            Command::Auth { user } => return Ok(self.authenticate(user)),
            Command::Connect(url) => return Ok(self.connect(&url).await),
            Command::Help(topic) => match help::topic(&topic) {
                Some(text) => self.output.write_all(text.as_bytes())?,
                None => return Ok(self.fail(&help::unknown(&topic))),
            },
            Command::Include(path) => return self.include(&path).await,
            Command::Output(path) => return Ok(self.redirect(path)),
            Command::Again => return self.again().await,
            Command::Watch(every) => return self.watch(every).await,
            Command::ListDatabases => return self.statement("SHOW DATABASES").await,
            Command::Describe(measurement) => return self.describe(measurement).await,
        }
        Ok(Outcome::Done)
    }

    /// A database that does not exist is better noticed now. Who may not list databases may still use one.
    async fn use_database(
        &mut self,
        database: String,
        policy: Option<String>,
    ) -> Result<Outcome, SessionError> {
        match self.client_list("SHOW DATABASES").await {
            Ok(there) if !there.contains(&database) => {
                return Ok(self.fail(&format!(
                    "there is no database {database:?}; SHOW DATABASES lists those there are"
                )));
            }
            Ok(_) | Err(ClientError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(policy) = &policy {
            let statement = format!("SHOW RETENTION POLICIES ON {}", quote_ident(&database));
            match self.client_list(&statement).await {
                Ok(there) if !there.contains(policy) => {
                    let there = there.join(", ");
                    return Ok(self
                        .fail(&format!("{database:?} has no retention policy {policy:?}; it has {there}")));
                }
                Ok(_) | Err(ClientError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.schema.choose(&database);
        self.settings.policy = policy.unwrap_or_default();
        self.settings.database = database;
        if self.is_interactive {
            let policy = &self.settings.policy;
            let told = if policy.is_empty() { String::new() } else { format!(", retention policy {policy}") };
            writeln!(self.output, "using database {}{told}", self.settings.database)?;
        }
        Ok(Outcome::Done)
    }

    async fn client_list(&self, statement: &str) -> Result<Vec<String>, ClientError> {
        crate::schema::list(&self.client, "", statement, 0).await
    }

    async fn insert(&mut self, database: &str, policy: &str, line: String) -> Result<Outcome, SessionError> {
        let chosen = &self.settings;
        let database = if database.is_empty() { &chosen.database } else { database };
        if database.is_empty() {
            return Ok(self.fail("insert needs a database: choose one with use"));
        }
        let policy = if policy.is_empty() { &chosen.policy } else { policy };
        let mut parameters = vec![("db", database), ("precision", chosen.precision.of_writes())];
        parameters.extend(Some(("rp", policy)).filter(|(_, policy)| !policy.is_empty()));
        parameters.push(("consistency", &chosen.consistency));
        let request = self.client.post("write").query(&parameters).body(line);
        match self.client.send_checked(request).await {
            Ok(_) => {
                self.schema.forget();
                Ok(Outcome::Done)
            }
            Err(ClientError::Refused(error)) => Ok(self.fail(&error)),
            Err(error) => Err(error.into()),
        }
    }

    fn print_settings(&mut self) -> io::Result<()> {
        let settings = &self.settings;
        let or_none = |text: &str| if text.is_empty() { "(none)".to_owned() } else { text.to_owned() };
        let who = match &self.client.connection().credentials {
            None => "(nobody)".to_owned(),
            Some(Credentials::Password { user, .. }) => user.clone(),
            Some(Credentials::Token(_)) => "(a token)".to_owned(),
        };
        let chunked = settings.chunked.map_or("as the format needs", on_off);
        let chunk_size = settings.chunk_size.map_or("(the server's)".to_owned(), |rows| rows.to_string());
        let output = self.output.path().map_or("the screen".to_owned(), |path| path.display().to_string());
        let rows = [
            ("server", self.client.server()),
            ("user", who),
            ("database", or_none(&settings.database)),
            ("retention policy", or_none(&settings.policy)),
            ("precision", settings.precision.to_string()),
            ("format", settings.format.to_string()),
            ("pretty", on_off(settings.pretty).to_owned()),
            ("rows as lists", settings.vertical.to_string()),
            ("chunked", chunked.to_owned()),
            ("chunk size", chunk_size),
            ("consistency", settings.consistency.clone()),
            ("timing", on_off(settings.timing).to_owned()),
            ("output", output),
        ];
        let style = self.output.style();
        for (name, value) in rows {
            writeln!(self.output, "{}  {value}", style.bold(&format!("{name:<16}")))?;
        }
        Ok(())
    }

    fn authenticate(&mut self, user: Option<String>) -> Outcome {
        let user = match user {
            Some(user) => Ok(user),
            None => ask_user(),
        };
        match user.and_then(|user| Credentials::prompt(&user)) {
            Ok(credentials) => {
                let mut connection = self.client.connection().clone();
                connection.credentials = Some(credentials);
                self.use_connection(connection)
            }
            Err(error) => self.fail(&format!("cannot ask for a password: {error}")),
        }
    }

    async fn connect(&mut self, url: &str) -> Outcome {
        let mut connection = self.client.connection().clone();
        match Connection::to(url) {
            Ok(there) => {
                connection.place = there.place;
                // Credentials are one server's: another must not see them.
                connection.credentials = there.credentials;
            }
            Err(error) => return self.fail(&error.to_string()),
        }
        let there = match Client::new(connection.clone()) {
            Ok(client) => client.ping().await,
            Err(error) => Err(error),
        };
        match there {
            Ok(server) => {
                tell(&banner(&connection.place.to_string(), &server));
                self.server = Some(server);
                self.use_connection(connection)
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn use_connection(&mut self, connection: Connection) -> Outcome {
        match Client::new(connection) {
            Ok(client) => {
                self.schema.connect(client.clone());
                self.client = client;
                Outcome::Done
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    async fn include(&mut self, path: &Path) -> Result<Outcome, SessionError> {
        if self.include_depth >= INCLUDE_DEPTH_MAX {
            return Ok(self.fail(&format!("{}: files include each other too deep", path.display())));
        }
        self.include_depth += 1;
        let outcome = self.run_file(path, false).await;
        self.include_depth -= 1;
        outcome
    }

    fn redirect(&mut self, path: Option<PathBuf>) -> Outcome {
        let output = match &path {
            None => Ok(Output::screen()),
            Some(path) => Output::file(path),
        };
        match (output, path) {
            (Ok(output), _) => {
                self.output = output;
                Outcome::Done
            }
            (Err(error), path) => {
                let path = path.unwrap_or_default();
                self.fail(&format!("cannot write {}: {error}", path.display()))
            }
        }
    }

    async fn again(&mut self) -> Result<Outcome, SessionError> {
        if self.latest.is_empty() {
            return Ok(self.fail("there is no statement to repeat yet"));
        }
        let latest = self.latest.clone();
        self.statement(&latest).await
    }

    /// Until interrupted, or until the statement fails.
    async fn watch(&mut self, every: Duration) -> Result<Outcome, SessionError> {
        loop {
            if self.is_interactive {
                let now = jiff::Zoned::now().strftime("%F %T").to_string();
                writeln!(
                    self.output,
                    "{}",
                    self.output.style().dim(&format!("{now}, every {} s", every.as_secs_f64()))
                )?;
            }
            let outcome = self.again().await?;
            if outcome != Outcome::Done {
                return Ok(outcome);
            }
            writeln!(self.output)?;
            self.output.flush()?;
            tokio::time::sleep(every).await;
        }
    }

    async fn describe(&mut self, measurement: Option<String>) -> Result<Outcome, SessionError> {
        let Some(measurement) = measurement else { return self.statement("SHOW MEASUREMENTS").await };
        let name = quote_ident(&measurement);
        match self.statement(&format!("SHOW TAG KEYS FROM {name}")).await? {
            Outcome::Done => self.statement(&format!("SHOW FIELD KEYS FROM {name}")).await,
            outcome => Ok(outcome),
        }
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

/// To standard error. It may be closed; then there is nobody to tell.
pub(crate) fn tell(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Asks for a name on the terminal.
fn ask_user() -> io::Result<String> {
    write!(io::stderr(), "user: ")?;
    let mut user = String::new();
    io::stdin().read_line(&mut user)?;
    Ok(user.trim().to_owned())
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

fn read_script(path: &Path) -> io::Result<String> {
    use io::Read;
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
