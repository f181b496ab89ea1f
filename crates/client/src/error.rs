//! Why there is no answer, and what to do about it.

/// See the module's header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot reach {server}: {reason}{}", advice(reason))]
    Unreachable {
        /// The server.
        server: String,
        /// What the network said.
        reason: String,
    },
    /// The server is there, an answer is not.
    #[error("no answer from {server} within {seconds} s (--timeout)")]
    TimedOut {
        /// The server.
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The server took the request, and then nothing came any more.
    #[error("{server} has said nothing for {seconds} s: is it frozen, or cut off?")]
    Silent {
        /// The server.
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The connection broke in the middle of an answer.
    #[error("the answer of {server} broke off: {reason}")]
    BrokenAnswer {
        /// The server.
        server: String,
        /// What the network said.
        reason: String,
    },
    /// The server wants to know who asks, or does not believe it.
    #[error(
        "{server} refuses: {reason}; give a user with --user (SKYWATCH_USER) and a password with SKYWATCH_PASSWORD, or a token with SKYWATCH_TOKEN; in a shell: auth"
    )]
    Unauthorized {
        /// The server.
        server: String,
        /// What the server said.
        reason: String,
    },
    /// The server refused the request or a statement of it.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what InfluxDB's API promises.
    #[error("{server} did not answer as an InfluxDB-compatible server: {reason}")]
    NotInfluxDb {
        /// The server.
        server: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The certificates to trust cannot be used.
    #[error("--ca {path}: {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No client can be made of these options.
    #[error("{0}")]
    Options(String),
}

impl ClientError {
    /// Whether the server was not reached, or would not talk to us: nothing was asked, and nothing will be answered.
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Unauthorized { .. }
            | Self::NotInfluxDb { .. }
            | Self::Certificates { .. }
            | Self::Options(_) => true,
            Self::TimedOut { .. } | Self::Silent { .. } | Self::BrokenAnswer { .. } | Self::Refused(_) => {
                false
            }
        }
    }
}

/// What to do, from what the network or the TLS library said.
fn advice(reason: &str) -> &'static str {
    if reason.contains("UnknownIssuer")
        || reason.contains("CaUsedAsEndEntity")
        || reason.contains("BadSignature")
    {
        "; trust its issuer with --ca FILE, or any certificate with --insecure"
    } else if reason.contains("invalid peer certificate") {
        "; is the host name of --url the certificate's? --insecure takes any certificate"
    } else if reason.contains("InvalidContentType") || reason.contains("corrupt message") {
        "; it seems to speak HTTP without TLS: try http:// in --url"
    } else if reason.contains("invalid HTTP version") {
        "; it seems to speak TLS: try https:// in --url"
    } else if reason.contains("Permission denied") {
        "; who may use the socket?"
    } else {
        "; is the server running, and is --url right?"
    }
}
