//! One container: who it is, how it fares, and what it uses. Pure.

use serde_json::Value;

use super::engine::EngineTags;
use super::image::{name_and_version, own_name, short_id};
use super::json::{entries, integer, list, text, time_ns};
use super::options::Options;
use crate::metric::Metric;

/// A container of the engine's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) state: String,
    pub(super) labels: Vec<(String, String)>,
}

impl Container {
    /// From an entry of `/containers/json`; `None` for one that the options leave out.
    pub(super) fn read(entry: &Value, options: &Options) -> Option<Self> {
        let id = text(entry, "/Id");
        let names = list(entry, "/Names").iter().filter_map(Value::as_str);
        let name = own_name(names).unwrap_or_else(|| short_id(id));
        let state = text(entry, "/State");
        if id.is_empty() || !options.names.passes(name) || !options.states.passes(state) {
            return None;
        }
        let label = |(key, value): (&String, &Value)| {
            options.labels.passes(key).then(|| (key.clone(), value.as_str().unwrap_or("").to_owned()))
        };
        Some(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            image: text(entry, "/Image").to_owned(),
            state: state.to_owned(),
            labels: entries(entry, "/Labels").filter_map(label).collect(),
        })
    }

    /// Whether it has processes to be measured.
    pub(super) fn is_measured(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }

    /// A point with the container's tags, in part from what `/containers/ID/json` says.
    pub(super) fn base(
        &self,
        inspected: &Value,
        tags: &EngineTags,
        options: &Options,
        now_ns: i64,
    ) -> Metric {
        let (image, version) = name_and_version(&self.image);
        let mut metric = tags
            .metric("docker", now_ns)
            .tag("container_name", self.name.as_str())
            .tag("container_image", image)
            .tag("container_version", version);
        if options.source_tag {
            metric.set_tag("source", short_id(&self.id));
        }
        for (key, value) in self.labels.iter().filter(|(_, value)| !value.is_empty()) {
            metric.set_tag(key.clone(), value.as_str());
        }
        for variable in list(inspected, "/Config/Env").iter().filter_map(Value::as_str) {
            if let Some((name, value)) = variable.split_once('=')
                && !value.is_empty()
                && options.env_tags.iter().any(|wanted| wanted == name)
            {
                metric.set_tag(name.to_owned(), value);
            }
        }
        let status = text(inspected, "/State/Status");
        metric.set_tag("container_status", if status.is_empty() { &self.state } else { status });
        metric
    }
}

/// How it fares: the points of `/containers/ID/json`.
pub(super) fn state(inspected: &Value, base: &Metric, id: &str) -> Vec<Metric> {
    let now_ns = base.time_ns;
    let flag = |at: &str| inspected.pointer(at).and_then(Value::as_bool).unwrap_or(false);
    let mut status = base.child();
    status.name = "docker_container_status".into();
    status.set_field("oomkilled", flag("/State/OOMKilled"));
    status.set_field("pid", integer(inspected, "/State/Pid"));
    status.set_field("exitcode", integer(inspected, "/State/ExitCode"));
    status.set_field("restart_count", integer(inspected, "/RestartCount"));
    status.set_field("container_id", id);
    let started = time_ns(text(inspected, "/State/StartedAt"));
    let finished = time_ns(text(inspected, "/State/FinishedAt"));
    if let Some(finished) = finished {
        status.set_field("finished_at", finished);
    }
    if let Some(started) = started {
        status.set_field("started_at", started);
        // One that was started again has finished before it started.
        let until = finished.filter(|finished| *finished >= started).unwrap_or(now_ns);
        status.set_field("uptime_ns", until.saturating_sub(started));
    }
    let mut points = vec![status];
    // Podman has the object for every container, with an empty status for one without a check.
    if !text(inspected, "/State/Health/Status").is_empty() {
        let mut health = base.child();
        health.name = "docker_container_health".into();
        health.set_field("health_status", text(inspected, "/State/Health/Status"));
        health.set_field("failing_streak", integer(inspected, "/State/Health/FailingStreak"));
        points.push(health);
    }
    points
}
