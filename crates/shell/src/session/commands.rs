//! What the shell's own commands do to a session.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use skywatch_client::{Client, ClientError, Connection, Credentials};
use skywatch_influxql::quote_ident;

use super::{Outcome, Session, SessionError, banner, tell};
use crate::{
    command::Command,
    help,
    output::Output,
    schema,
    settings::{Format, Vertical},
};

/// How deep `\i` may go.
const INCLUDE_DEPTH_MAX: usize = 16;

impl Session {
    pub(super) async fn command(&mut self, command: Command) -> Result<Outcome, SessionError> {
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
        schema::list(&self.client, "", statement, 0).await
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
