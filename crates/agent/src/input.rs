//! What an input is: something that can be asked, again and again, for its current readings.
//!
//! A gather blocks (it reads files, it waits for a daemon), so the agent runs every input on a
//! thread of its own: one that hangs costs only itself. Collectors keep parsing (pure functions on
//! text) apart from scraping (reading the text), so that the former is tested on fixtures.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::metric::Metric;

/// A source of metrics.
pub trait Input: Send + fmt::Debug {
    /// Reads everything once. What was added to `acc` before an error is kept.
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError>;

    /// Whether a first gather shows little because readings are differences between two of them.
    /// `--test` and `--once` gather such an input twice.
    fn is_delta(&self) -> bool {
        false
    }
}

/// Collects what one gather reads.
#[derive(Debug)]
pub struct Accumulator {
    now_ns: i64,
    metrics: Vec<Metric>,
    errors: Vec<GatherError>,
}

impl Accumulator {
    /// An empty one for a gather that starts at `now_ns` (nanoseconds since the Unix epoch).
    pub fn new(now_ns: i64) -> Self {
        Self { now_ns, metrics: Vec::new(), errors: Vec::new() }
    }

    /// When this gather started, in nanoseconds since the Unix epoch: the time of its metrics.
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// A new metric of this gather, to be filled and [added](Self::add).
    pub fn metric(&self, name: impl Into<std::borrow::Cow<'static, str>>) -> Metric {
        Metric::new(name, self.now_ns)
    }

    /// Adds a metric; one without fields is left out.
    pub fn add(&mut self, metric: Metric) {
        if !metric.fields().is_empty() {
            self.metrics.push(metric);
        }
    }

    /// Notes a problem that does not end the gather.
    pub fn report(&mut self, error: GatherError) {
        self.errors.push(error);
    }

    /// What was gathered, and what went wrong.
    pub fn into_parts(self) -> (Vec<Metric>, Vec<GatherError>) {
        (self.metrics, self.errors)
    }
}

/// Why a gather failed, wholly or in part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file holds something unexpected.
    #[error("cannot understand {}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The readings contradict each other, as when a counter goes backwards.
    #[error("{0}")]
    Inconsistent(String),
    /// The service asked for readings failed or did not answer.
    #[error("{service}: {reason}")]
    Service {
        /// Which one, as the user knows it (a URI, a host).
        service: String,
        /// Its answer, or what happened instead of one.
        reason: String,
    },
    /// The collector has a bug; the agent goes on without this gather.
    #[error("the collector failed: {0}")]
    Panicked(String),
}

/// Reads a text file of `/proc` or `/sys`.
pub(crate) fn read_text(path: &Path) -> Result<String, GatherError> {
    // Not every file there is UTF-8 (a process may name itself as it likes).
    match read_bytes(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())),
        Err(source) => Err(GatherError::Read { path: path.to_owned(), source }),
    }
}

/// Reads a file whose size nobody tells before: into a buffer large enough for most, so in one or two calls.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    std::fs::File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
