//! `docker`: containers of a Docker engine, or of Podman, by the engine's API.
//!
//! ```text
//! /version (once), /info, /containers/json      one after the other
//!   `-> each container: /json and /stats        many at a time, each with its deadline
//!       /services, /tasks, /nodes               on request
//!       /system/df                              on request
//! ```
//!
//! A container that fails or does not answer is reported and costs the others nothing; one that vanished since it was
//! listed is no error. The engine measures the share of CPUs by waiting a second or two for a second sample. Here that
//! happens only the first time a container is seen; from then on the sample of the last gather is the one before.

mod container;
mod endpoint;
mod engine;
mod image;
mod json;
mod options;
mod stats;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::net::parallel::{Asked, Parallel};
use container::Container;
use endpoint::{Api, Refusal};
use engine::EngineTags;
use options::Options;
use stats::CpuSample;

/// The newest version of the API that is spoken; with an older engine it is that engine's.
const VERSION_MAX: (u32, u32) = (1, 47);
/// The version of an engine that does not tell.
const VERSION_UNKNOWN: (u32, u32) = (1, 24);

/// The input.
#[derive(Debug)]
struct Docker {
    options: Options,
    /// Made at the first gather, since it reads files.
    api: Option<Api>,
    /// What is known of the engine, until it does not answer.
    engine: Option<Engine>,
    tags: EngineTags,
    /// The last sample of each container, by id.
    samples: HashMap<String, (CpuSample, Instant)>,
    parallel: Parallel,
}

/// What `/version` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Engine {
    /// Of every path, as in `/v1.41`.
    prefix: String,
    is_podman: bool,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Docker::new(Options::from_section(section, &|name| std::env::var(name).ok())?)))
}

impl Input for Docker {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let service = self.options.endpoint.shown();
        let error = |reason| GatherError::Service { service: service.clone(), reason };
        let api = match self.api.take() {
            Some(api) => api,
            None => {
                Api::new(&self.options.endpoint, &self.options.tls, self.options.timeout).map_err(error)?
            }
        };
        let result = self.list(acc, &api, &service);
        let result = result.and_then(|containers| self.read(acc, &api, &service, &containers));
        self.api = Some(api);
        result
    }
}

impl Docker {
    fn new(options: Options) -> Self {
        Self {
            options,
            api: None,
            engine: None,
            tags: EngineTags::default(),
            samples: HashMap::new(),
            parallel: Parallel::default(),
        }
    }

    /// Asks the engine about itself and for its containers.
    fn list(
        &mut self,
        acc: &mut Accumulator,
        api: &Api,
        service: &str,
    ) -> Result<Vec<Container>, GatherError> {
        let Self { options, engine, tags, parallel, .. } = self;
        let now_ns = acc.now_ns();
        let mut containers = Vec::new();
        // Several requests, each with the timeout of the client.
        let deadline = options.timeout.saturating_mul(4);
        let asked = async {
            let known = match engine.take() {
                Some(known) => known,
                None => match version(api).await {
                    Ok(known) => known,
                    Err(problem) => return Err(problem).into(),
                },
            };
            let mut asked = Asked::default();
            match api.get(&format!("{}/info", known.prefix)).await {
                Ok(info) => {
                    *tags = EngineTags::read(&info);
                    asked.metrics = engine::info(&info, tags, now_ns);
                }
                // An engine that cannot count itself may still tell of its containers, under the tags it had.
                Err(refusal) => asked.problem = Some(refusal.into()),
            }
            let all = if options.all_states { "?all=1" } else { "" };
            match api.get(&format!("{}/containers/json{all}", known.prefix)).await {
                Ok(list) => {
                    let read = |entry| Container::read(entry, options);
                    containers = json::list(&list, "").iter().filter_map(read).collect();
                    *engine = Some(known);
                }
                // The next gather asks for the version again: the engine may be another one by then.
                Err(refusal) => asked.problem = Some(refusal.into()),
            }
            asked
        };
        parallel.ask(acc, deadline, [(service.to_owned(), asked)])?;
        Ok(containers)
    }

    /// Asks about each container, and for what else is wanted.
    fn read(
        &mut self,
        acc: &mut Accumulator,
        api: &Api,
        service: &str,
        containers: &[Container],
    ) -> Result<(), GatherError> {
        let Some(engine) = &self.engine else { return Ok(()) };
        let now = Instant::now();
        let old = std::mem::take(&mut self.samples);
        let round = Round {
            api,
            engine,
            options: &self.options,
            tags: &self.tags,
            now_ns: acc.now_ns(),
            samples: RefCell::new(HashMap::with_capacity(containers.len())),
        };
        let mut targets: Vec<(String, LocalBoxFuture<'_, Asked>)> = Vec::with_capacity(containers.len() + 2);
        for container in containers {
            let fresh = |at: &Instant| now.saturating_duration_since(*at) < round.options.podman_cache_ttl;
            let before = old.get(&container.id).filter(|(_, at)| fresh(at)).map(|(sample, _)| *sample);
            let name = format!("{service}: container {}", container.name);
            targets.push((name, round.container(container, before).boxed_local()));
        }
        if round.options.services {
            targets.push((format!("{service}: services"), round.services().boxed_local()));
        }
        if !round.options.storage.is_empty() {
            targets.push((format!("{service}: disk usage"), round.disk_usage().boxed_local()));
        }
        let result = self.parallel.ask(acc, round.options.timeout.saturating_mul(2), targets);
        self.samples = round.samples.into_inner();
        result
    }
}

/// One gather, once the containers are known.
struct Round<'a> {
    api: &'a Api,
    engine: &'a Engine,
    options: &'a Options,
    tags: &'a EngineTags,
    now_ns: i64,
    samples: RefCell<HashMap<String, (CpuSample, Instant)>>,
}

impl Round<'_> {
    async fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.api.get(&format!("{}{path}", self.engine.prefix)).await
    }

    async fn container(&self, container: &Container, before: Option<CpuSample>) -> Asked {
        let id = &container.id;
        let inspect = async { self.get(&format!("/containers/{id}/json")).await };
        let stats = async {
            if !container.is_measured() {
                return Ok(Value::Null);
            }
            // With a sample of its own the engine need not wait for a second one.
            let one_shot = if before.is_some() { "&one-shot=true" } else { "" };
            self.get(&format!("/containers/{id}/stats?stream=false{one_shot}")).await
        };
        let (inspected, stats) = tokio::join!(inspect, stats);
        let mut asked = Asked::default();
        let mut taken = |answer| match answer {
            Ok(value) => value,
            Err(refusal) => {
                // One that vanished since it was listed is no problem.
                if let Refusal::Other(problem) = refusal {
                    asked.problem = Some(problem);
                }
                Value::Null
            }
        };
        let (inspected, mut stats) = (taken(inspected), taken(stats));
        let base = container.base(&inspected, self.tags, self.options, self.now_ns);
        if inspected.is_object() {
            asked.metrics.extend(container::state(&inspected, &base, id));
        }
        if self.engine.is_podman
            && let Some(stats) = stats.as_object_mut()
        {
            // Podman fills it with something else than an earlier sample.
            stats.remove("precpu_stats");
        }
        if let Some(sample) = CpuSample::of(&stats) {
            self.samples.borrow_mut().insert(id.clone(), (sample, Instant::now()));
        }
        asked.metrics.extend(stats::points(&stats, &base, id, self.options, before));
        asked
    }

    async fn services(&self) -> Asked {
        let answers = tokio::try_join!(self.get("/services"), self.get("/tasks"), self.get("/nodes"));
        let points =
            |(services, tasks, nodes)| engine::swarm(&services, &tasks, &nodes, self.tags, self.now_ns);
        answers.map(points).map_err(String::from).into()
    }

    async fn disk_usage(&self) -> Asked {
        let usage = self.get("/system/df").await;
        let points = |usage| engine::disk_usage(&usage, &self.options.storage, self.tags, self.now_ns);
        usage.map(points).map_err(String::from).into()
    }
}

/// Which version of the API is to be spoken, and with whom.
async fn version(api: &Api) -> Result<Engine, String> {
    let version = match api.get("/version").await {
        Ok(version) => version,
        Err(Refusal::Absent) => Value::Null,
        Err(Refusal::Other(problem)) => return Err(problem),
    };
    let theirs = parse_version(json::text(&version, "/ApiVersion")).unwrap_or(VERSION_UNKNOWN);
    let (major, minor) = theirs.min(VERSION_MAX);
    Ok(Engine { prefix: format!("/v{major}.{minor}"), is_podman: engine::is_podman(&version) })
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests;
