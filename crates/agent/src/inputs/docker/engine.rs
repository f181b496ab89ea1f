//! Points of the engine as a whole: what it is, its swarm's services, and the space it takes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::image::{name_and_version, own_name, short_id};
use super::json::{integer, list, text, unsigned};
use crate::metric::Metric;

/// The tags that every point has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EngineTags {
    pub(super) host: String,
    pub(super) version: String,
}

impl EngineTags {
    /// From the answer to `/info`.
    pub(super) fn read(info: &Value) -> Self {
        Self { host: text(info, "/Name").to_owned(), version: text(info, "/ServerVersion").to_owned() }
    }

    /// A point with these tags; an engine that does not tell has none.
    pub(super) fn metric(&self, name: &'static str, now_ns: i64) -> Metric {
        let mut metric = Metric::new(name, now_ns);
        for (key, value) in [("engine_host", &self.host), ("server_version", &self.version)] {
            if !value.is_empty() {
                metric.set_tag(key, value.as_str());
            }
        }
        metric
    }
}

/// The points of `/info`.
pub(super) fn info(info: &Value, tags: &EngineTags, now_ns: i64) -> Vec<Metric> {
    let counts = [
        ("n_cpus", "/NCPU"),
        ("n_used_file_descriptors", "/NFd"),
        ("n_containers", "/Containers"),
        ("n_containers_running", "/ContainersRunning"),
        ("n_containers_stopped", "/ContainersStopped"),
        ("n_containers_paused", "/ContainersPaused"),
        ("n_images", "/Images"),
        ("n_goroutines", "/NGoroutines"),
        ("n_listener_events", "/NEventsListener"),
    ];
    let docker = counts
        .into_iter()
        .fold(tags.metric("docker", now_ns), |metric, (field, at)| metric.field(field, integer(info, at)));
    let memory =
        tags.metric("docker", now_ns).tag("unit", "bytes").field("memory_total", integer(info, "/MemTotal"));
    let mut metrics = vec![docker, memory];
    metrics.extend(pools(info, tags, now_ns));
    metrics
}

/// The pools of the device mapper, which other storage drivers have not. The engine tells them as text for people.
fn pools(info: &Value, tags: &EngineTags, now_ns: i64) -> Vec<Metric> {
    let status: BTreeMap<&str, &str> =
        list(info, "/DriverStatus").iter().map(|pair| (text(pair, "/0"), text(pair, "/1"))).collect();
    let size = |key: &str| status.get(key).and_then(|text| bytes(text));
    let Some(pool_name) = status.get("Pool Name").filter(|name| !name.is_empty()) else { return Vec::new() };
    let mut metrics = Vec::new();
    for (name, space) in [("docker_data", "Data Space"), ("docker_metadata", "Metadata Space")] {
        let mut metric = tags.metric(name, now_ns).tag("unit", "bytes");
        for (field, what) in [("available", "Available"), ("total", "Total"), ("used", "Used")] {
            if let Some(size) = size(&format!("{space} {what}")) {
                metric.set_field(field, size);
            }
        }
        metrics.push(metric);
    }
    let mut metric = tags.metric("docker_devicemapper", now_ns).tag("pool_name", *pool_name);
    for (field, key) in [
        ("pool_blocksize_bytes", "Pool Blocksize"),
        ("data_space_used_bytes", "Data Space Used"),
        ("data_space_total_bytes", "Data Space Total"),
        ("data_space_available_bytes", "Data Space Available"),
        ("metadata_space_used_bytes", "Metadata Space Used"),
        ("metadata_space_total_bytes", "Metadata Space Total"),
        ("metadata_space_available_bytes", "Metadata Space Available"),
        ("thin_pool_minimum_free_space_bytes", "Thin Pool Minimum Free Space"),
    ] {
        if let Some(size) = size(key) {
            metric.set_field(field, size);
        }
    }
    metrics.push(metric);
    metrics
}

/// `65.54 kB` in bytes. The engine's units are decimal, those with an `i` binary.
fn bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..unit_at].parse().ok()?;
    let unit = text[unit_at..].trim().to_ascii_lowercase();
    let (prefix, binary) = match unit.strip_suffix("ib") {
        Some(prefix) => (prefix, true),
        None => (unit.strip_suffix('b')?, false),
    };
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == prefix)?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    Some((number * base.powi(i32::try_from(power).ok()?)) as i64)
}

/// The services of a swarm, from its services, tasks and nodes.
pub(super) fn swarm(
    services: &Value,
    tasks: &Value,
    nodes: &Value,
    tags: &EngineTags,
    now_ns: i64,
) -> Vec<Metric> {
    let down = |node: &&Value| text(node, "/Status/State") == "down";
    let active: BTreeSet<&str> =
        list(nodes, "").iter().filter(|node| !down(node)).map(|node| text(node, "/ID")).collect();
    let mut running: BTreeMap<&str, i64> = BTreeMap::new();
    let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
    for task in list(tasks, "") {
        let service = text(task, "/ServiceID");
        if text(task, "/DesiredState") != "shutdown" {
            *wanted.entry(service).or_default() += 1;
        }
        if active.contains(text(task, "/NodeID")) && text(task, "/Status/State") == "running" {
            *running.entry(service).or_default() += 1;
        }
    }
    let point = |service: &Value| {
        let id = text(service, "/ID");
        let counted = wanted.get(id).copied().unwrap_or(0);
        let (mode, desired) = if service.pointer("/Spec/Mode/Replicated").is_some() {
            ("replicated", unsigned(service, "/Spec/Mode/Replicated/Replicas"))
        } else if service.pointer("/Spec/Mode/Global").is_some() {
            ("global", counted)
        } else if service.pointer("/Spec/Mode/ReplicatedJob").is_some() {
            ("replicated_job", counted)
        } else {
            ("global_job", counted)
        };
        tags.metric("docker_swarm", now_ns)
            .tag("service_id", id)
            .tag("service_name", text(service, "/Spec/Name"))
            .tag("service_mode", mode)
            .field("tasks_running", running.get(id).copied().unwrap_or(0))
            .field("tasks_desired", desired)
    };
    list(services, "").iter().map(point).collect()
}

/// What takes space on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageObject {
    Container,
    Image,
    Volume,
}

/// The points of `/system/df`.
pub(super) fn disk_usage(
    usage: &Value,
    objects: &[StorageObject],
    tags: &EngineTags,
    now_ns: i64,
) -> Vec<Metric> {
    let point = || tags.metric("docker_disk_usage", now_ns);
    let mut metrics = Vec::new();
    if usage.pointer("/LayersSize").is_some() {
        metrics.push(point().field("layers_size", integer(usage, "/LayersSize")));
    }
    if objects.contains(&StorageObject::Container) {
        metrics.extend(list(usage, "/Containers").iter().map(|container| {
            let (image, version) = name_and_version(text(container, "/Image"));
            let names = list(container, "/Names").iter().filter_map(Value::as_str);
            point()
                .tag("container_name", own_name(names).unwrap_or(""))
                .tag("container_image", image)
                .tag("container_version", version)
                .field("size_rw", integer(container, "/SizeRw"))
                .field("size_root_fs", integer(container, "/SizeRootFs"))
        }));
    }
    if objects.contains(&StorageObject::Image) {
        metrics.extend(list(usage, "/Images").iter().map(|image| {
            let mut metric = point()
                .tag("image_id", short_id(text(image, "/Id")))
                .field("size", integer(image, "/Size"))
                .field("shared_size", integer(image, "/SharedSize"));
            if let Some(tag) = list(image, "/RepoTags").first().and_then(Value::as_str) {
                let (name, version) = name_and_version(tag);
                metric.set_tag("image_name", name);
                metric.set_tag("image_version", version);
            }
            metric
        }));
    }
    if objects.contains(&StorageObject::Volume) {
        metrics.extend(list(usage, "/Volumes").iter().map(|volume| {
            point()
                .tag("volume_name", text(volume, "/Name"))
                .field("size", integer(volume, "/UsageData/Size"))
        }));
    }
    metrics
}

/// Whether `/version` is that of Podman, which speaks Docker's API.
pub(super) fn is_podman(version: &Value) -> bool {
    list(version, "/Components").iter().any(|part| text(part, "/Name").starts_with("Podman"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (text, size) in [
            ("65.54 kB", 65_540),
            ("17.3 MB", 17_300_000),
            ("107.4 GB", 107_400_000_000),
            ("10 GiB", 10 << 30),
            ("2 TB", 2_000_000_000_000),
            ("512 B", 512),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for none in ["", "kB", "12", "1.2.3 kB", "5 parsecs"] {
            assert_eq!(bytes(none), None, "{none}");
        }
    }
}
