//! `http`: metrics in any data format as the body of a request.

mod options;

use std::collections::BTreeSet;
use std::fmt;

use reqwest::{Client, Method, Url};

use options::Options;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::net::http::{body, describe, gzip, shown, wait_asked_for};
use crate::output::{Batch, Fates, Output, OutputFuture, WriteOutcome};
use crate::serializer::Serializer;

/// Most of an answer that is read for its words.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The output.
struct HttpOutput {
    url: Url,
    method: Method,
    client: Client,
    serializer: Box<dyn Serializer>,
    batched: bool,
    gzip: bool,
    /// Statuses after which a body is given up.
    final_statuses: BTreeSet<u16>,
    bytes_written: u64,
}

impl fmt::Debug for HttpOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOutput").field("url", &shown(&self.url).as_str()).finish_non_exhaustive()
    }
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let Options { url, method, client, serializer, batched, gzip, final_statuses } =
        Options::from_section(section, context)?;
    Ok(Box::new(HttpOutput {
        url,
        method,
        client,
        serializer,
        batched,
        gzip,
        final_statuses,
        bytes_written: 0,
    }))
}

impl Output for HttpOutput {
    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move {
            if self.batched { self.write_batch(&batch).await } else { self.write_each(&batch).await }
        })
    }

    fn bytes_written(&self) -> Option<u64> {
        Some(self.bytes_written)
    }
}

impl HttpOutput {
    /// All metrics in one request.
    async fn write_batch(&mut self, batch: &Batch) -> WriteOutcome {
        let mut bytes = Vec::new();
        let refused = self.serializer.batch(batch, &mut bytes);
        let rejected: Vec<_> = refused.into_iter().map(|(index, why)| (index, why.to_string())).collect();
        if rejected.len() == batch.len() {
            return WriteOutcome::Each(Fates { rejected, ..Fates::default() });
        }
        match self.send(bytes).await {
            WriteOutcome::Stored => WriteOutcome::Each(Fates { rejected, ..Fates::default() }),
            other => other,
        }
    }

    /// A request for each metric, until one fails in a way that may pass: that and those behind it are kept.
    async fn write_each(&mut self, batch: &Batch) -> WriteOutcome {
        let mut fates = Fates::default();
        for (index, metric) in batch.iter().enumerate() {
            let mut bytes = Vec::new();
            if let Err(why) = self.serializer.metric(metric, &mut bytes) {
                fates.rejected.push((index, why.to_string()));
                continue;
            }
            match self.send(bytes).await {
                WriteOutcome::Rejected { reason } | WriteOutcome::TooLarge { reason } => {
                    fates.rejected.push((index, reason));
                }
                WriteOutcome::Retry { reason, after } => {
                    let kept = (index..batch.len()).collect();
                    return WriteOutcome::Each(Fates { kept, reason, after, ..fates });
                }
                WriteOutcome::Stored | WriteOutcome::Partial { .. } | WriteOutcome::Each(_) => {}
            }
        }
        WriteOutcome::Each(fates)
    }

    async fn send(&mut self, bytes: Vec<u8>) -> WriteOutcome {
        let len = bytes.len() as u64;
        let request = self.client.request(self.method.clone(), self.url.clone());
        let request = match self.gzip {
            true => request.header("Content-Encoding", "gzip").body(gzip(&bytes)),
            false => request.body(bytes),
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let reason = format!("{}: {}", shown(&self.url), describe(&error));
                return WriteOutcome::Retry { reason, after: None };
            }
        };
        let (status, after) = (response.status(), wait_asked_for(&response));
        // The connection can be used again once the answer is read.
        let words = body(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        if status.is_success() {
            self.bytes_written += len;
            return WriteOutcome::Stored;
        }
        let words: String = String::from_utf8_lossy(&words).trim().chars().take(400).collect();
        let reason = format!("{}: {status} {words}", shown(&self.url)).trim_end().to_owned();
        match status.as_u16() {
            code if self.final_statuses.contains(&code) => WriteOutcome::Rejected { reason },
            413 => WriteOutcome::TooLarge { reason },
            _ => WriteOutcome::Retry { reason, after },
        }
    }
}

#[cfg(test)]
mod tests;
