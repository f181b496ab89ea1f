//! `influxdb`: writes to servers that speak InfluxDB 1.x's HTTP API.
//!
//! Every write goes to the URLs in random order until one takes it. What an answer means is
//! decided in [`answer`], and nothing that may succeed later is given up: the original drops a
//! batch on any 4xx, on a missing database or a wrong password; this one keeps it.

mod answer;
mod client;
mod options;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;

use crate::net::http::shown;
use answer::Answer;
use client::{Client, Target};
use options::Options;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::output::{Batch, Output, OutputFuture, WriteOutcome};
use crate::serializer::Serializer;

/// The output.
struct InfluxDb {
    options: Options,
    client: Client,
}

impl fmt::Debug for InfluxDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.options.urls.iter().map(shown).collect();
        f.debug_struct("InfluxDb").field("urls", &urls).finish_non_exhaustive()
    }
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let options = Options::from_section(section)?;
    let client = Client::new(&options).map_err(|why| section.bad("urls", why))?;
    Ok(Box::new(InfluxDb { options, client }))
}

impl Output for InfluxDb {
    fn connect(&mut self) -> OutputFuture<'_, Result<(), String>> {
        Box::pin(async {
            if self.options.skip_database_creation {
                return Ok(());
            }
            let database = self.options.database.clone();
            self.create_database(&database).await
        })
    }

    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move { self.write_batch(&batch).await })
    }
}

impl InfluxDb {
    /// Creates the database at the first URL that does.
    async fn create_database(&self, database: &str) -> Result<(), String> {
        let mut reasons = Vec::new();
        for url in self.shuffled() {
            match self.client.create_database(&url, database).await {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("{}: {reason}", shown(&url))),
            }
        }
        Err(format!("cannot create database {database:?}: {}", reasons.join("; ")))
    }

    async fn write_batch(&self, batch: &[Arc<Metric>]) -> WriteOutcome {
        let mut refused = Refused::default();
        for (target, metrics) in self.group(batch) {
            let mut body = Vec::new();
            for (_, why) in self.options.lines.batch(&metrics, &mut body) {
                refused.add(1, why.to_string());
            }
            if body.is_empty() {
                continue;
            }
            match self.write_body(&target, &body).await {
                WriteOutcome::Stored => {}
                WriteOutcome::Partial { rejected, reason } => refused.add(rejected, reason),
                // Groups written before are written once more with the retry; a point written
                // twice is one point.
                other => return other,
            }
        }
        match refused.reason {
            None => WriteOutcome::Stored,
            Some(reason) => WriteOutcome::Partial { rejected: refused.metrics, reason },
        }
    }

    /// The metrics by database and retention policy, which tags may name.
    fn group(&self, batch: &[Arc<Metric>]) -> BTreeMap<Target, Vec<Arc<Metric>>> {
        let o = &self.options;
        let mut groups: BTreeMap<Target, Vec<Arc<Metric>>> = BTreeMap::new();
        for metric in batch {
            let tag = |key: &Option<String>| key.as_deref().and_then(|key| metric.tag_value(key));
            let target = Target {
                database: tag(&o.database_tag).unwrap_or(&o.database).to_owned(),
                retention_policy: tag(&o.retention_policy_tag).unwrap_or(&o.retention_policy).to_owned(),
            };
            let hidden: Vec<&str> = [
                (&o.database_tag, o.exclude_database_tag),
                (&o.retention_policy_tag, o.exclude_retention_policy_tag),
            ]
            .into_iter()
            .filter_map(|(key, exclude)| key.as_deref().filter(|_| exclude))
            .collect();
            let metric = if hidden.is_empty() {
                Arc::clone(metric)
            } else {
                let mut shown = metric.as_ref().clone();
                shown.retain_tags(|key| !hidden.contains(&key));
                Arc::new(shown)
            };
            match groups.entry(target) {
                Entry::Occupied(mut group) => group.get_mut().push(metric),
                Entry::Vacant(group) => drop(group.insert(vec![metric])),
            }
        }
        groups
    }

    /// Tries the URLs in random order. An answer about the content ends it: the servers are of
    /// one mind about that.
    async fn write_body(&self, target: &Target, body: &[u8]) -> WriteOutcome {
        let mut failures = Vec::new();
        let mut after: Option<Duration> = None;
        for url in self.shuffled() {
            let mut answer = self.client.write(&url, target, body).await;
            if answer == Answer::NoDatabase {
                answer = self.after_creating(&url, target, body).await;
            }
            match answer {
                Answer::Stored => return WriteOutcome::Stored,
                Answer::Partial { rejected, reason } => return WriteOutcome::Partial { rejected, reason },
                Answer::Rejected { reason } => return WriteOutcome::Rejected { reason },
                Answer::TooLarge { reason } => return WriteOutcome::TooLarge { reason },
                Answer::NoDatabase => {
                    failures.push(format!("{}: database not found: {:?}", shown(&url), target.database));
                }
                Answer::Retry { reason, after: wait } => {
                    failures.push(format!("{}: {reason}", shown(&url)));
                    // The server that is ready first decides.
                    after = match (after, wait) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
            }
        }
        WriteOutcome::Retry { reason: failures.join("; "), after }
    }

    async fn after_creating(&self, url: &reqwest::Url, target: &Target, body: &[u8]) -> Answer {
        if self.options.skip_database_creation {
            return Answer::NoDatabase;
        }
        match self.client.create_database(url, &target.database).await {
            Ok(()) => self.client.write(url, target, body).await,
            Err(reason) => Answer::Retry {
                reason: format!("cannot create database {:?}: {reason}", target.database),
                after: None,
            },
        }
    }

    fn shuffled(&self) -> Vec<reqwest::Url> {
        let mut urls = self.options.urls.clone();
        urls.shuffle(&mut rand::rng());
        urls
    }
}

/// Metrics refused for good, and the first reason given.
#[derive(Default)]
struct Refused {
    metrics: usize,
    reason: Option<String>,
}

impl Refused {
    fn add(&mut self, metrics: usize, reason: String) {
        self.metrics += metrics;
        self.reason.get_or_insert(reason);
    }
}

#[cfg(test)]
mod tests;
