//! What can be wrong with a configuration. Every message names the file and, where there is one, the line.

use std::fmt;
use std::io;

use super::suggest::did_you_mean;

/// One fault of a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file or directory could not be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// The file or directory.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that is no text.
    #[error("{file}: is no text file: {reason}")]
    NotText {
        /// The file.
        file: String,
        /// By what that is seen.
        reason: String,
    },
    /// A configuration that is somewhere else could not be fetched.
    #[error("{url}: cannot be fetched: {reason}")]
    Fetch {
        /// From where, without a password.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The text is no TOML.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// The parser's words.
        message: String,
    },
    /// A table that is neither a plugin nor the agent's.
    #[error(
        "{at}: unknown table [{table}]{}; known are [agent], [global_tags], [[inputs.NAME]], [[processors.NAME]], \
         [[aggregators.NAME]], [[outputs.NAME]]",
        did_you_mean(table, "agent, global_tags, inputs, processors, aggregators, outputs")
    )]
    UnknownTable {
        /// File and line.
        at: Place,
        /// As written.
        table: String,
    },
    /// A kind of plugin that exists in Telegraf and not here.
    #[error("{at}: [[{kind}.{name}]]: {kind} are not supported yet")]
    UnsupportedKind {
        /// File and line.
        at: Place,
        /// `secretstores`.
        kind: String,
        /// The plugin.
        name: String,
    },
    /// A plugin that does not exist here.
    #[error("{at}: unknown plugin {kind}.{name}{}; {kind} that exist: {known}", did_you_mean(name, known))]
    UnknownPlugin {
        /// File and line.
        at: Place,
        /// `inputs`, `processors`, `aggregators` or `outputs`.
        kind: String,
        /// As written.
        name: String,
        /// Every plugin of that kind.
        known: String,
    },
    /// A key that its table does not have.
    #[error(
        "{at}: unknown option `{key}` in [{section}]{}; options that exist: {known}",
        did_you_mean(key, known)
    )]
    UnknownKey {
        /// File and line.
        at: Place,
        /// The table.
        section: String,
        /// As written.
        key: String,
        /// Every option of that table.
        known: String,
    },
    /// A value of another type than its option has.
    #[error("{at}: `{key}` in [{section}] must be {expected}, not {found}")]
    WrongType {
        /// File and line.
        at: Place,
        /// The table.
        section: String,
        /// The option.
        key: String,
        /// The type it has.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A value of the right type that the option does not take.
    #[error("{at}: `{key}` in [{section}]: {reason}")]
    BadValue {
        /// File and line.
        at: Place,
        /// The table.
        section: String,
        /// The option.
        key: String,
        /// What is wrong and, where it helps, what would be right.
        reason: String,
    },
    /// Nothing to do: no input, or no output to send to.
    #[error("{files}: no [[{kind}.NAME]] is configured; {kind} that exist: {known}")]
    NoPlugin {
        /// The files read.
        files: String,
        /// `inputs` or `outputs`.
        kind: &'static str,
        /// Every plugin of that kind.
        known: String,
    },
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as the user gave it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Every fault found, so that one reading of the message mends them all.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
