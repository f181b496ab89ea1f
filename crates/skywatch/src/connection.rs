//! The options that say which server a command talks to, and as whom.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use skywatch_client::{Connection, Credentials};

use crate::config::go_duration::{BadDuration, GoDuration};

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ConnectionArgs {
    /// The server; unix:/PATH for a Unix socket
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8086", env = "SKYWATCH_URL")]
    pub(crate) url: String,
    /// Who asks; the password is prompted for unless SKYWATCH_PASSWORD or --password gives it
    #[arg(long, alias = "username", value_name = "NAME", env = "SKYWATCH_USER")]
    pub(crate) user: Option<String>,
    /// The user's password. Every user of this machine can see options (ps); prefer the variable or the prompt
    #[arg(long, value_name = "PASSWORD", env = "SKYWATCH_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// A token instead of a user and a password: a JWT, or USER:PASSWORD. Can be seen like --password; prefer the variable
    #[arg(long, value_name = "TOKEN", env = "SKYWATCH_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Certificates (PEM) to trust besides the well-known ones
    #[arg(long, value_name = "FILE", env = "SKYWATCH_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Take any certificate: whoever is in between can then read and change everything
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Most seconds to wait for the server to be there
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) connect_timeout: u64,
    /// Most seconds to wait for a whole answer, or a duration such as 1m30s [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// A number of seconds, or a duration with units.
fn seconds(text: &str) -> Result<Duration, BadDuration> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => text.parse().map(|GoDuration(duration)| duration),
    }
}

impl ConnectionArgs {
    /// What the options say. Asks for a password that is missing, if there is somebody to ask.
    pub(crate) fn connection(&self) -> Result<Connection> {
        let mut connection = Connection::to(&self.url)?;
        if let Some(credentials) = self.credentials()? {
            connection.credentials = Some(credentials);
        }
        connection.ca.clone_from(&self.ca);
        connection.insecure = self.insecure;
        connection.connect_timeout = Duration::from_secs(self.connect_timeout);
        connection.timeout = self.timeout;
        Ok(connection)
    }

    fn credentials(&self) -> Result<Option<Credentials>> {
        if let Some(token) = &self.token {
            return Ok(Some(Credentials::Token(token.clone())));
        }
        let Some(user) = self.user.clone() else { return Ok(None) };
        let credentials = match &self.password {
            Some(password) if !password.is_empty() => {
                Credentials::Password { user, password: password.clone() }
            }
            _ if io::stderr().is_terminal() => {
                Credentials::prompt(&user).context("cannot ask for the password")?
            }
            _ => bail!("--user {user} needs a password: set SKYWATCH_PASSWORD"),
        };
        Ok(Some(credentials))
    }
}
