//! `prometheus_client`: a page of the newest values, for Prometheus to scrape.
//!
//! A batch is stored as soon as its values are on the page. When the address cannot be had, at the start or later, a
//! write says so and the batch is kept; the next one tries again.

mod ip_range;
mod options;
mod page;
mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tracing::info;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::exposition::{Families, Full};
use crate::metric::Metric;
use crate::net::http_server::{self, HttpServer, Limits};
use crate::net::tls_server::ServerTls;
use crate::output::{Batch, Fates, Output, OutputFuture, WriteOutcome};
use options::Options;
use page::Page;

/// Series on the page, at most; as many are some hundred megabytes.
const SERIES_MAX: usize = 1_000_000;
/// Connections at the same time. A Prometheus has one.
const CONNECTIONS_MAX: usize = 128;

/// The output.
struct PrometheusClient {
    options: Arc<Options>,
    shared: Arc<Shared>,
    server: Option<HttpServer>,
}

/// What writes and requests share. The lock is held while values are put in or written out, and never while waiting.
struct Shared {
    families: Mutex<Families>,
    start: Instant,
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for PrometheusClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusClient").field("listen", &self.options.listen).finish_non_exhaustive()
    }
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let options = Arc::new(Options::from_section(section, context)?);
    let shared = Arc::new(Shared { families: Mutex::new(Families::default()), start: Instant::now() });
    Ok(Box::new(PrometheusClient { options, shared, server: None }))
}

impl Output for PrometheusClient {
    fn connect(&mut self) -> OutputFuture<'_, Result<(), String>> {
        Box::pin(async { self.listen().await })
    }

    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move {
            if let Err(reason) = self.listen().await {
                return WriteOutcome::Retry { reason, after: None };
            }
            self.store(&batch)
        })
    }
}

impl PrometheusClient {
    async fn listen(&mut self) -> Result<(), String> {
        if self.server.as_ref().is_some_and(HttpServer::is_running) {
            return Ok(());
        }
        let options = &self.options;
        let tls = options.tls.as_ref().map(ServerTls::acceptor).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = http_server::bind(&options.listen).await?;
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
        };
        let page = Page::new(Arc::clone(options), Arc::clone(&self.shared));
        let server = HttpServer::start(listener, tls, limits, Arc::new(page)).map_err(|e| e.to_string())?;
        info!("outputs.prometheus_client: serving {scheme}://{}{}", server.address(), options.path);
        self.server = Some(server);
        Ok(())
    }

    fn store(&self, batch: &[Arc<Metric>]) -> WriteOutcome {
        let now_ms = self.shared.now_ms();
        let mut families = self.shared.families.lock();
        if let Some(expiration) = self.options.expiration {
            families.expire(now_ms.saturating_sub(u64::try_from(expiration.as_millis()).unwrap_or(u64::MAX)));
        }
        let mut fates = Fates::default();
        for (index, metric) in batch.iter().enumerate() {
            if let Err(Full) = families.add(metric, &self.options.exposition, now_ms, SERIES_MAX) {
                fates.rejected.push((index, format!("there are {SERIES_MAX} series on the page already")));
            }
        }
        if fates.rejected.is_empty() { WriteOutcome::Stored } else { WriteOutcome::Each(fates) }
    }
}

#[cfg(test)]
mod tests;
