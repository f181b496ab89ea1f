//! What the HTTP server may be told, with defaults that suit one machine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hyper::header::{HeaderName, HeaderValue};

use skywatch_monitor::Monitor;
use skywatch_storage::MemoryBudget;

use crate::{AccessLogConfig, AuthConfig, TlsConfig};

/// Settings of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Address and port; an empty address (`:8086`) means all of them, port 0 any free one.
    pub bind: String,
    /// A Unix socket to listen on as well.
    pub unix_socket: Option<UnixSocketConfig>,
    /// The certificate of HTTPS; `None` serves plain HTTP. The Unix socket is always plain.
    pub tls: Option<TlsConfig>,
    /// How users are told apart; `None` lets everybody do everything.
    pub auth: Option<AuthConfig>,
    /// Where requests are logged, if anywhere.
    pub access_log: Option<AccessLogConfig>,
    /// Log the bodies of writes.
    pub write_tracing: bool,
    /// Headers that every answer carries.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Rows of an answer that is not sent in chunks; what is beyond is left out. 0 means no limit.
    pub max_row_limit: usize,
    /// Whether queries in Flux are answered.
    pub flux: bool,
    /// Whether they are logged.
    pub flux_log: bool,
    /// Whether `/debug/pprof` answers.
    pub pprof: bool,
    /// Bytes of a request body, compressed or not; larger ones are answered with 413. 0 leaves it to
    /// [`Self::memory`].
    pub max_body_size: usize,
    /// What bodies and answers under way take their memory from. Requests without memory for their body wait, see
    /// [`Self::queue_timeout`], and are answered with 503; a query waits for memory for its answer.
    pub memory: Arc<MemoryBudget>,
    /// Open connections; further ones are answered with 503 and closed. 0 means no limit.
    pub max_connections: usize,
    /// Writes being stored at once; each takes a thread.
    pub max_concurrent_writes: usize,
    /// Writes that may wait for their turn; further ones are answered with 503.
    pub max_queued_writes: usize,
    /// Queries running at once; each takes a thread.
    pub max_concurrent_queries: usize,
    /// Queries that may wait for their turn; further ones are answered with 503.
    pub max_queued_queries: usize,
    /// Steps of backups and restores under way at once; each takes a thread.
    pub max_concurrent_copies: usize,
    /// Steps of backups and restores that may wait for their turn; further ones are answered with 503.
    pub max_queued_copies: usize,
    /// Passwords being checked at once; each takes a thread, and a processor.
    pub max_concurrent_passwords: usize,
    /// Passwords that may wait to be checked; the requests of further ones are answered with 503.
    pub max_queued_passwords: usize,
    /// How long a request may wait for its turn before it is answered with 503.
    pub queue_timeout: Duration,
    /// The same for writes.
    pub write_queue_timeout: Duration,
    /// How long a client may take to send the head of a request, once begun.
    pub header_timeout: Duration,
    /// How long a client may pause within a body.
    pub body_pause_timeout: Duration,
    /// How long a whole body may take.
    pub body_timeout: Duration,
    /// How long a client may refuse to take a byte of an answer; its query is cancelled then.
    pub send_timeout: Duration,
    /// How long a connection may lie idle between requests.
    pub idle_timeout: Duration,
    /// How long requests under way may take to finish at shutdown before they are cut off.
    pub drain_timeout: Duration,
    /// What `/debug/vars` shows; the server adds its own numbers to it.
    pub monitor: Arc<Monitor>,
    /// Our own version, for `X-Skywatch-Version`.
    pub skywatch_version: String,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8086".to_owned(),
            unix_socket: None,
            auth: None,
            tls: None,
            access_log: None,
            write_tracing: false,
            headers: Vec::new(),
            max_row_limit: 0,
            flux: true,
            flux_log: false,
            pprof: true,
            max_body_size: 25_000_000,
            memory: Arc::new(MemoryBudget::new(1 << 30)),
            max_connections: 4_096,
            max_concurrent_writes: 32,
            max_queued_writes: 1_024,
            max_concurrent_queries: 16,
            max_queued_queries: 1_024,
            max_concurrent_copies: 4,
            max_queued_copies: 64,
            max_concurrent_passwords: 2,
            max_queued_passwords: 256,
            queue_timeout: Duration::from_secs(30),
            write_queue_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            body_pause_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(300),
            send_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(10),
            monitor: Arc::default(),
            skywatch_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocketConfig {
    /// Where it is made; what an ended process left there is removed first.
    pub path: PathBuf,
    /// Its permissions, such as `0o777`.
    pub permissions: u32,
    /// Number of the group it is given to, if another than the process's.
    pub group: Option<u32>,
}

impl HttpConfig {
    /// Bytes at which a body is refused whatever its wait.
    pub(crate) fn body_limit(&self) -> usize {
        let largest = usize::try_from(self.memory.total_bytes() / 2).unwrap_or(usize::MAX);
        if self.max_body_size == 0 { largest } else { self.max_body_size.min(largest) }
    }
}
