//! `prometheus`: scrapes pages of Prometheus' text.
//!
//! All targets, those of the configuration and those that are [discovered](discovery), are asked at the same time, each
//! with a time limit and a limit on its answer; one that is dead or hostile costs the others nothing.

mod discovery;
mod options;
mod target;

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Response};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::http;
use crate::net::parallel::{Asked, Parallel};
use crate::parser::{Defaults, Parser};
use crate::parsers::prometheus::Prometheus as Text;
use discovery::Discovery;
use options::{Authorization, Options};
use target::Target;

/// A page, at most, where `content_length_limit` has no say: a large cluster's has some ten megabytes.
const PAGE_BYTES_MAX: usize = 256 << 20;
/// What is asked for: the text, in the version everybody writes.
const ACCEPTED: &str =
    "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";

/// The input.
#[derive(Debug)]
struct Prometheus {
    options: Options,
    client: Client,
    discovery: Option<Discovery>,
    parallel: Parallel,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let mut options = Options::from_section(section)?;
    let client = options.client(None).map_err(|why| section.bad("urls", why))?;
    // A connection to a socket needs a client of its own.
    let mut targets = std::mem::take(&mut options.targets);
    for target in &mut targets {
        if let Some(path) = &target.socket {
            target.client = Some(options.client(Some(path)).map_err(|why| section.bad("urls", why))?);
        }
    }
    options.targets = targets;
    let discovery = options.discovery.take().map(Discovery::new);
    Ok(Box::new(Prometheus { options, client, discovery, parallel: Parallel::default() }))
}

impl Input for Prometheus {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, client, discovery, parallel } = self;
        let (options, client, now_ns) = (&*options, &*client, acc.now_ns());
        if let Some(discovery) = discovery {
            discovery.refresh(client, options.timeout, parallel, acc)?;
        }
        let discovered = discovery.iter().flat_map(|discovery| &discovery.targets);
        let targets = options.targets.iter().chain(discovered).map(|target| {
            let asked = async move {
                let client = target.client.as_ref().unwrap_or(client);
                scrape(client, options, target, now_ns).await
            };
            (target.shown.clone(), asked)
        });
        // The client's own limit ends first and says what was awaited.
        parallel.ask(acc, options.timeout + Duration::from_millis(500), targets)
    }
}

/// A page, and which version of the text it is.
struct Page {
    body: Vec<u8>,
    open_metrics: bool,
}

async fn scrape(client: &Client, options: &Options, target: &Target, now_ns: i64) -> Asked {
    let start = Instant::now();
    let mut asked = match fetch(client, options, target).await {
        Ok((page, response_time)) => {
            let mut asked = parse(options, &page, now_ns);
            if options.request_metrics {
                let request = Metric::new("prometheus_request", now_ns)
                    .field("response_time", response_time.as_secs_f64())
                    .field("content_length", i64::try_from(page.body.len()).unwrap_or(i64::MAX));
                asked.metrics.push(request);
            }
            asked
        }
        Err(problem) => {
            let request = Metric::new("prometheus_request", now_ns)
                .field("response_time", start.elapsed().as_secs_f64());
            let metrics = if options.request_metrics { vec![request] } else { Vec::new() };
            Asked { metrics, problem: Some(problem) }
        }
    };
    for metric in &mut asked.metrics {
        for (name, value) in &target.tags {
            metric.set_tag_if_absent(name, value);
        }
        if !options.url_tag.is_empty() {
            metric.set_tag(options.url_tag.clone(), target.shown.clone());
        }
    }
    asked
}

/// The page, and the time until it began.
async fn fetch(client: &Client, options: &Options, target: &Target) -> Result<(Page, Duration), String> {
    let start = Instant::now();
    let mut request = client.get(target.url.clone()).header(ACCEPT, ACCEPTED);
    request = match &options.authorization {
        Authorization::None => request,
        Authorization::Basic { username, password } => request.basic_auth(username, Some(password)),
        Authorization::Bearer(token) => request.bearer_auth(token),
        // Read each time: whoever renews it writes the file anew.
        Authorization::BearerFile(path) => {
            let token =
                std::fs::read_to_string(path).map_err(|error| format!("bearer_token {path}: {error}"))?;
            request.bearer_auth(token.trim())
        }
    };
    let response = request.send().await.map_err(|error| http::describe(&error))?;
    let response_time = start.elapsed();
    if response.status() != 200 {
        return Err(format!("it answers {}", response.status()));
    }
    let open_metrics = content_type(options, &response)?;
    let body = http::body(response, options.content_length_limit.unwrap_or(PAGE_BYTES_MAX)).await?;
    Ok((Page { body, open_metrics }, response_time))
}

/// Whether the page is in OpenMetrics' version of the text; an error if it is not text at all.
fn content_type(options: &Options, response: &Response) -> Result<bool, String> {
    let given =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = options.content_type.as_deref().unwrap_or(given);
    if kind.starts_with("application/vnd.google.protobuf") {
        return Err("it answers in protocol buffers, though text was asked for".to_owned());
    }
    Ok(kind.starts_with("application/openmetrics-text"))
}

fn parse(options: &Options, page: &Page, now_ns: i64) -> Asked {
    let mut parser = Text {
        version: options.version,
        ignore_timestamp: options.ignore_timestamp,
        open_metrics: page.open_metrics,
    };
    let defaults = Defaults { name: "prometheus".into(), now_ns };
    let mut metrics = Vec::new();
    let result = parser.parse(&page.body, &defaults, &mut metrics);
    Asked { metrics, problem: result.err().map(|error| format!("cannot understand the page: {error}")) }
}

#[cfg(test)]
mod tests;
