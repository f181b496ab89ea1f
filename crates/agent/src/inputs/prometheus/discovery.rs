//! Targets that a server tells of: Prometheus' discovery over HTTP.
//!
//! ```text
//! [{"targets": ["10.0.0.1:9100"], "labels": {"rack": "r07", "__metrics_path__": "/m", "__scheme__": "https"}}]
//! ```
//!
//! Labels become tags, except for those that begin with two underscores. While the server cannot be asked, the targets
//! of the last time stay.

use std::time::{Duration, Instant};

use reqwest::{Client, Url};
use serde_json::Value;

use super::target::Target;
use crate::input::{Accumulator, GatherError};
use crate::net::http;
use crate::net::parallel::{Asked, Parallel};

/// A list, at most.
const LIST_BYTES_MAX: usize = 16 << 20;
/// Targets of a list, at most.
const TARGETS_MAX: usize = 10_000;

/// What the configuration says of it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) url: Url,
    pub(super) interval: Duration,
}

/// The targets, and where they come from.
#[derive(Debug)]
pub(super) struct Discovery {
    source: Source,
    asked: Option<Instant>,
    pub(super) targets: Vec<Target>,
}

impl Discovery {
    pub(super) fn new(source: Source) -> Self {
        Self { source, asked: None, targets: Vec::new() }
    }

    /// Asks for the targets if it is time to. A failure is reported, and asked again at the next gather.
    pub(super) fn refresh(
        &mut self,
        client: &Client,
        timeout: Duration,
        parallel: &mut Parallel,
        acc: &mut Accumulator,
    ) -> Result<(), GatherError> {
        let now = Instant::now();
        if self.asked.is_some_and(|asked| now < asked + self.source.interval) {
            return Ok(());
        }
        let url = &self.source.url;
        let (targets, asked) = (&mut self.targets, &mut self.asked);
        let ask = async move {
            let problem = match list(client, url).await {
                Ok((found, problem)) => {
                    (*targets, *asked) = (found, Some(now));
                    problem
                }
                Err(problem) => Some(problem),
            };
            Asked { metrics: Vec::new(), problem }
        };
        parallel.ask(acc, timeout, [(format!("discovery at {}", http::shown(url)), ask)])
    }
}

async fn list(client: &Client, url: &Url) -> Result<(Vec<Target>, Option<String>), String> {
    let response = client.get(url.clone()).send().await.map_err(|error| http::describe(&error))?;
    if response.status() != 200 {
        return Err(format!("it answers {}", response.status()));
    }
    parse(&http::body(response, LIST_BYTES_MAX).await?)
}

/// The targets, and the first problem of those that cannot be scraped.
fn parse(text: &[u8]) -> Result<(Vec<Target>, Option<String>), String> {
    let document: Value = serde_json::from_slice(text).map_err(|error| format!("its JSON: {error}"))?;
    let groups = document.as_array().ok_or("its JSON is no list of groups of targets")?;
    let (mut targets, mut problem) = (Vec::new(), None);
    for group in groups {
        let labels = group.get("labels").and_then(Value::as_object);
        let label = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
        let scheme = label("__scheme__").unwrap_or("http");
        let path = label("__metrics_path__").unwrap_or("/metrics");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let tags: Vec<(String, String)> = labels
            .into_iter()
            .flatten()
            .filter(|(name, _)| !name.starts_with("__"))
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let addresses = group.get("targets").and_then(Value::as_array).into_iter().flatten();
        for address in addresses.filter_map(Value::as_str) {
            if targets.len() == TARGETS_MAX {
                problem
                    .get_or_insert(format!("it lists more than {TARGETS_MAX} targets; the rest is left out"));
                return Ok((targets, problem));
            }
            match Target::parse(&format!("{scheme}://{address}{slash}{path}")) {
                Ok(target) => targets.push(Target { tags: tags.clone(), ..target }),
                Err(why) => drop(problem.get_or_insert(why)),
            }
        }
    }
    Ok((targets, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_targets() {
        let text = r#"[{"targets":["a:1","b:2"],"labels":{"rack":"r7","__meta_x":"y","n":3}},
            {"targets":["c:3"],"labels":{"__scheme__":"https","__metrics_path__":"m"}},{"targets":[5,"/x"]},{}]"#;
        let (targets, problem) = parse(text.as_bytes()).expect("valid");
        let urls: Vec<_> = targets.iter().map(|target| target.url.as_str()).collect();
        assert_eq!(urls, ["http://a:1/metrics", "http://b:2/metrics", "https://c:3/m", "http://x/metrics"]);
        assert_eq!(targets[1].tags, [("rack".to_owned(), "r7".to_owned())]);
        assert_eq!(problem, None);
        let (targets, problem) = parse(br#"[{"targets":["a:x","b:2"]}]"#).expect("a list");
        assert_eq!(targets.len(), 1);
        assert!(problem.expect("a bad port").contains("http://a:x/metrics"));
        assert!(parse(b"{}").expect_err("no list").contains("no list of groups"));
        assert!(parse(b"[").expect_err("cut").contains("its JSON"));
    }
}
