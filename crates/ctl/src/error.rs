//! Why a command did not do what it was asked, in the words that follow `<command>: ` on standard error.

use std::io;

use reqwest::StatusCode;

/// See the module's header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CtlError {
    /// Refused here, before anything was sent.
    #[error("{0}")]
    Local(String),
    /// An option of every command has a value that it cannot have; told as it is, whichever command it was.
    #[error("{0}")]
    Option(String),
    /// The options cannot be understood; the usage is printed as well.
    #[error("{0}")]
    Usage(String),
    /// The server refused.
    #[error("operation exited with error: {message}")]
    Server {
        /// What the server says.
        message: String,
        /// Its status.
        status: StatusCode,
    },
    /// Nobody answers at any address.
    #[error("cannot reach {node}: {reason}; {advice}")]
    Unreachable {
        /// Which node, and where.
        node: String,
        /// What the network said.
        reason: String,
        /// What to check.
        advice: &'static str,
    },
    /// The server is there, an answer is not.
    #[error("{node} did not answer within {timeout:?} (-timeout); {advice}")]
    TimedOut {
        /// Which node, and where.
        node: String,
        /// How long was waited.
        timeout: std::time::Duration,
        /// What to check.
        advice: &'static str,
    },
    /// The answer is not what the API promises.
    #[error("what answers at {address} is no {kind} node ({reason}); {advice}")]
    NotANode {
        /// Where.
        address: String,
        /// What was expected there.
        kind: &'static str,
        /// What was wrong with the answer.
        reason: String,
        /// What to check.
        advice: &'static str,
    },
    /// The operator pressed Ctrl-C.
    #[error("interrupted{0}")]
    Interrupted(String),
    /// What there is to say cannot be said.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

impl CtlError {
    /// A refusal of a command's own.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self::Local(message.into())
    }

    /// Whether another address may do better: nobody was there, or the one that was knows no leader.
    pub(crate) fn is_about_the_node(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotANode { .. } => true,
            Self::Server { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::Local(_)
            | Self::Option(_)
            | Self::Usage(_)
            | Self::TimedOut { .. }
            | Self::Interrupted(_)
            | Self::Output(_) => false,
        }
    }

    /// The line that a command says on standard error.
    pub fn line(&self, command: &str) -> String {
        match self {
            Self::Option(text) => text.clone(),
            error => format!("{command}: {error}"),
        }
    }

    /// The status of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted(_) => 130,
            Self::Local(_)
            | Self::Option(_)
            | Self::Server { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::NotANode { .. }
            | Self::Output(_) => 1,
        }
    }
}
