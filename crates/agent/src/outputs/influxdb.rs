//! `influxdb`: writes to servers that speak InfluxDB 1.x's HTTP API, or take line protocol by UDP.
//!
//! Every write goes to the servers in random order until one takes it. What an answer means is
//! decided in [`answer`], and nothing that may succeed later is given up: the original drops a
//! batch on any 4xx, on a missing database or a wrong password; this one keeps it.

mod answer;
mod answer_v2;
mod batch_result;
mod client;
mod options;
mod options_v2;
mod udp;
mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use answer::Answer;
use batch_result::BatchResult;
use client::{Client, Target};
use options::{Options, Server};
use udp::Datagrams;
use window::Window;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::output::{Batch, Fates, Output, OutputFuture, WriteOutcome};
use crate::serializer::Serializer;
use crate::serializers::influx::InfluxSerializer;

/// The output.
struct InfluxDb {
    options: Options,
    servers: Vec<(Server, Way)>,
    /// What `rate_limit` leaves.
    window: Option<Window>,
    bytes_written: u64,
}

/// How a server is reached.
enum Way {
    Http(Box<Client>),
    Udp(Datagrams),
}

impl fmt::Debug for InfluxDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.servers.iter().map(|(server, _)| server.to_string()).collect();
        f.debug_struct("InfluxDb").field("urls", &urls).finish_non_exhaustive()
    }
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let options = Options::from_section(section)?;
    build_with(options, section)
}

/// `influxdb_v2`: the same with buckets and a token, by the API of 2.x.
pub(crate) fn build_v2(section: &mut Section, _: &Context) -> Result<Box<dyn Output>, ConfigError> {
    let options = Options::v2_from_section(section)?;
    build_with(options, section)
}

fn build_with(options: Options, section: &Section) -> Result<Box<dyn Output>, ConfigError> {
    let way = |server: &Server| {
        Ok::<_, String>(match server {
            Server::Http(url) => Way::Http(Box::new(Client::new(url, None, &options)?)),
            Server::Unix { socket, url } => Way::Http(Box::new(Client::new(url, Some(socket), &options)?)),
            Server::Udp(address) => {
                Way::Udp(Datagrams::new(address, options.connecting.local_address, options.udp_payload))
            }
        })
    };
    let servers = options.servers.iter().map(|server| Ok((server.clone(), way(server)?)));
    let servers = servers.collect::<Result<_, String>>().map_err(|why| section.bad("urls", why))?;
    let window = options.rate_limit.map(|limit| Window::new(limit, Instant::now()));
    Ok(Box::new(InfluxDb { options, servers, window, bytes_written: 0 }))
}

impl Output for InfluxDb {
    fn connect(&mut self) -> OutputFuture<'_, Result<(), String>> {
        Box::pin(async {
            let is_http = self.servers.iter().any(|(_, way)| matches!(way, Way::Http(_)));
            if self.options.skip_database_creation || !is_http {
                return Ok(());
            }
            self.create_database(&self.options.database).await
        })
    }

    fn write(&mut self, batch: Batch) -> OutputFuture<'_, WriteOutcome> {
        Box::pin(async move { self.write_batch(&batch).await })
    }

    fn bytes_written(&self) -> Option<u64> {
        Some(self.bytes_written)
    }
}

/// Metrics for one database and retention policy, each with its index in the batch.
type Group = Vec<(usize, Arc<Metric>)>;

/// What became of a group.
struct Written {
    outcome: WriteOutcome,
    /// Whether a server answered at all.
    reached: bool,
}

impl InfluxDb {
    /// Creates the database at the first server that does.
    async fn create_database(&self, database: &str) -> Result<(), String> {
        let mut reasons = Vec::new();
        for at in self.shuffled() {
            let (server, Way::Http(client)) = &self.servers[at] else { continue };
            match client.create_database(database).await {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("{server}: {reason}")),
            }
        }
        Err(format!("cannot create database {database:?}: {}", reasons.join("; ")))
    }

    async fn write_batch(&mut self, batch: &[Arc<Metric>]) -> WriteOutcome {
        let mut result = BatchResult::default();
        let mut unreachable = false;
        for (target, group) in self.group(batch) {
            if unreachable {
                result.fates.kept.extend(group.iter().map(|(index, _)| *index));
                continue;
            }
            let metrics: Vec<_> = group.iter().map(|(_, metric)| Arc::clone(metric)).collect();
            let mut body = Vec::new();
            let refused = self.options.lines.batch(&metrics, &mut body);
            let Written { outcome, reached } = self.write_group(&target, &metrics, &body).await;
            unreachable = !reached;
            if let Some(whole) = result.add(&group, refused, outcome) {
                return whole;
            }
        }
        result.outcome()
    }

    /// The metrics by database and retention policy, which tags may name.
    fn group(&self, batch: &[Arc<Metric>]) -> BTreeMap<Target, Group> {
        let o = &self.options;
        let mut groups: BTreeMap<Target, Group> = BTreeMap::new();
        for (index, metric) in batch.iter().enumerate() {
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
            groups.entry(target).or_default().push((index, metric));
        }
        groups
    }

    /// Tries the servers in random order. An answer about the content ends it: the servers are of
    /// one mind about that.
    async fn write_group(&mut self, target: &Target, metrics: &[Arc<Metric>], body: &[u8]) -> Written {
        let mut failures = Vec::new();
        let (mut after, mut reached): (Option<Duration>, _) = (None, false);
        if body.is_empty() {
            return Written { outcome: WriteOutcome::Stored, reached: true };
        }
        if let Some(window) = &mut self.window
            && let Err(wait) = window.take(body.len() as u64, Instant::now())
        {
            let reason = "the rate_limit is reached".to_owned();
            return Written { outcome: WriteOutcome::Retry { reason, after: Some(wait) }, reached: false };
        }
        for at in self.shuffled() {
            let create = (!self.options.skip_database_creation).then_some(target.database.as_str());
            let (server, way) = &mut self.servers[at];
            let answer = match way {
                Way::Http(client) => write_http(client, target, body, create).await,
                Way::Udp(datagrams) => {
                    let sent = write_udp(datagrams, &self.options, metrics).await;
                    match sent {
                        // Lines that no datagram takes are this way's own; they are told of and not sent.
                        Ok(outcome) => {
                            self.bytes_written += body.len() as u64;
                            return Written { outcome, reached: true };
                        }
                        Err(reason) => Answer::Retry { reason, after: None, reached: false },
                    }
                }
            };
            let done = |outcome| Written { outcome, reached: true };
            match answer {
                Answer::Stored => {
                    self.bytes_written += body.len() as u64;
                    return done(WriteOutcome::Stored);
                }
                Answer::Partial { rejected, reason } => {
                    self.bytes_written += body.len() as u64;
                    return done(WriteOutcome::Partial { rejected, reason });
                }
                Answer::Rejected { reason } => return done(WriteOutcome::Rejected { reason }),
                Answer::TooLarge { reason } => return done(WriteOutcome::TooLarge { reason }),
                Answer::NoDatabase => {
                    reached = true;
                    failures.push(format!("{server}: database not found: {:?}", target.database));
                }
                Answer::Retry { reason, after: wait, reached: answered } => {
                    reached |= answered;
                    failures.push(format!("{server}: {reason}"));
                    // The server that is ready first decides.
                    after = match (after, wait) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
            }
        }
        Written { outcome: WriteOutcome::Retry { reason: failures.join("; "), after }, reached }
    }

    fn shuffled(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        order.shuffle(&mut rand::rng());
        order
    }
}

/// Writes, and creates the database that is missing, if its name is given.
async fn write_http(client: &Client, target: &Target, body: &[u8], create: Option<&str>) -> Answer {
    let answer = client.write(target, body).await;
    match (&answer, create) {
        (Answer::NoDatabase, Some(database)) => match client.create_database(database).await {
            Ok(()) => client.write(target, body).await,
            Err(reason) => Answer::Retry {
                reason: format!("cannot create database {database:?}: {reason}"),
                after: None,
                reached: true,
            },
        },
        _ => answer,
    }
}

/// Sends lines that datagrams take; an error if they cannot be sent.
async fn write_udp(
    datagrams: &mut Datagrams,
    options: &Options,
    metrics: &[Arc<Metric>],
) -> Result<WriteOutcome, String> {
    let mut lines: InfluxSerializer = options.lines.clone();
    lines.options.max_line_bytes =
        Some(options.udp_payload.min(lines.options.max_line_bytes.unwrap_or(usize::MAX)));
    let mut body = Vec::new();
    let rejected = lines.batch(metrics, &mut body);
    datagrams.send(&body, options.timeout).await?;
    let rejected = rejected.into_iter().map(|(index, why)| (index, why.to_string())).collect();
    Ok(WriteOutcome::Each(Fates { rejected, ..Fates::default() }))
}

#[cfg(test)]
mod tests;
