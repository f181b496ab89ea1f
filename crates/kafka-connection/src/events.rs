//! What a client of librdkafka says besides its answers: the reasons that it otherwise hides behind a time-out.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc;

use crate::Connection;

/// How long a token from the configuration is used before the client asks for it again.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// Problems of a client that wait to be told of, at most; further ones are the same ones again.
const TROUBLES_QUEUED_MAX: usize = 64;

/// Listens to a client.
#[derive(Debug, Clone)]
pub struct ClientEvents {
    last: Arc<Mutex<Option<String>>>,
    troubles: mpsc::Sender<String>,
    token: Option<String>,
}

impl ClientEvents {
    /// Listens to a client of this connection, whose troubles come out of the channel.
    pub fn of(connection: &Connection) -> (Self, mpsc::Receiver<String>) {
        let (troubles, receiver) = mpsc::channel(TROUBLES_QUEUED_MAX);
        (Self { last: Arc::default(), troubles, token: connection.token() }, receiver)
    }

    /// The latest trouble since it was last asked for.
    pub fn take_last(&self) -> Option<String> {
        self.last.lock().take()
    }
}

impl ClientContext for ClientEvents {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka: {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {error}: {reason}");
        let reason = trouble(reason);
        // "All brokers are down" says less than what was said before it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.last.lock() = Some(reason.clone());
        }
        // No room means that the same is being said over and over.
        self.troubles.try_send(reason).ok();
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let token = self.token.clone().ok_or("no token is configured")?;
        let expires = SystemTime::now().duration_since(UNIX_EPOCH)? + TOKEN_LIFETIME;
        Ok(OAuthToken {
            token,
            // Of no consequence to the broker, which reads the token.
            principal_name: "skywatch".to_owned(),
            lifetime_ms: i64::try_from(expires.as_millis())?,
        })
    }
}

impl ConsumerContext for ClientEvents {}

/// librdkafka's words without the name of its own thread and without how long it had tried.
fn trouble(reason: &str) -> String {
    let reason = match reason.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => reason,
    };
    match reason.rfind(" (after ") {
        Some(at) if reason.ends_with(')') => reason.chars().take(reason[..at].chars().count()).collect(),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_told_without_the_clients_own_details() {
        let said = "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: \
                    Connection refused (after 0ms in state CONNECT)";
        let told = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused";
        assert_eq!(trouble(said), told);
        assert_eq!(trouble("1/1 brokers are down"), "1/1 brokers are down");
    }
}
