//! The measurements, made of what a cluster said. Pure.

use std::collections::BTreeMap;

use super::cluster::View;
use super::requests::{Group, Partition, PartitionId};
use crate::metric::Metric;

/// Which measurements with a line for each partition are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    pub(super) partitions: bool,
}

/// All that can be said of the cluster now. What a dead broker alone knows is left out.
pub(super) fn points(view: &View, detail: Detail, now_ns: i64) -> Vec<Metric> {
    let facts = Facts::of(view);
    let mut out = Vec::new();
    cluster(view, now_ns, &mut out);
    brokers(view, now_ns, &mut out);
    for topic in &view.metadata.topics {
        let mut sum = Sum::default();
        for partition in &topic.partitions {
            let id = (topic.name.clone(), partition.index);
            let (low, high) = (facts.low.get(&id).copied(), facts.high.get(&id).copied());
            let size = facts.sizes.get(&(id, partition.leader)).copied();
            sum.add(partition, low.zip(high));
            if detail.partitions {
                out.push(partition_point(&topic.name, partition, low, high, size, now_ns));
            }
        }
        let size: i64 =
            facts.sizes.iter().filter(|((id, _), _)| id.0 == topic.name).map(|(_, size)| size).sum();
        let mut metric = Metric::new("kafka_topic", now_ns)
            .tag("topic", topic.name.as_str())
            .field("partitions", count(topic.partitions.len()))
            .field("replicas", count(topic.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0)))
            .field("under_replicated", sum.under_replicated)
            .field("offline", sum.offline);
        if sum.offsets_known == topic.partitions.len() {
            metric.set_field("messages", sum.messages);
        }
        if view.brokers.values().any(|broker| broker.log_dirs.is_some()) {
            metric.set_field("log_size", size);
        }
        out.push(metric);
    }
    groups(view, &facts, now_ns, &mut out);
    out
}

/// What all brokers said, by partition.
struct Facts<'a> {
    low: BTreeMap<&'a PartitionId, i64>,
    high: BTreeMap<&'a PartitionId, i64>,
    /// By partition and broker.
    sizes: BTreeMap<(PartitionId, i32), i64>,
}

impl<'a> Facts<'a> {
    fn of(view: &'a View) -> Self {
        let mut facts = Self { low: BTreeMap::new(), high: BTreeMap::new(), sizes: BTreeMap::new() };
        for (broker, said) in &view.brokers {
            facts.low.extend(said.low.iter().map(|(id, offset)| (id, *offset)));
            facts.high.extend(said.high.iter().map(|(id, offset)| (id, *offset)));
            for (id, size) in said.log_dirs.iter().flat_map(|dirs| &dirs.sizes) {
                *facts.sizes.entry((id.clone(), *broker)).or_default() += size;
            }
        }
        facts
    }
}

/// What a topic's partitions add up to.
#[derive(Debug, Default)]
struct Sum {
    under_replicated: i64,
    offline: i64,
    messages: i64,
    offsets_known: usize,
}

impl Sum {
    fn add(&mut self, partition: &Partition, offsets: Option<(i64, i64)>) {
        self.under_replicated += i64::from(is_under_replicated(partition));
        self.offline += i64::from(is_offline(partition));
        if let Some((low, high)) = offsets {
            self.messages += high - low;
            self.offsets_known += 1;
        }
    }
}

fn is_under_replicated(partition: &Partition) -> bool {
    partition.in_sync.len() < partition.replicas.len()
}

fn is_offline(partition: &Partition) -> bool {
    partition.leader < 0
}

fn cluster(view: &View, now_ns: i64, out: &mut Vec<Metric>) {
    let metadata = &view.metadata;
    let mut sum = Sum::default();
    let partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.clone().for_each(|partition| sum.add(partition, None));
    let answering = view.brokers.values().filter(|broker| broker.response.is_some()).count();
    out.push(
        Metric::new("kafka_cluster", now_ns)
            .tag("cluster", metadata.cluster_id.as_str())
            .field("brokers", count(metadata.brokers.len()))
            .field("brokers_answering", count(answering))
            .field("controller", i64::from(metadata.controller))
            .field("topics", count(metadata.topics.len()))
            .field("partitions", count(partitions.count()))
            .field("under_replicated", sum.under_replicated)
            .field("offline", sum.offline),
    );
}

fn brokers(view: &View, now_ns: i64, out: &mut Vec<Metric>) {
    for broker in &view.metadata.brokers {
        let partitions = view.metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let leads = partitions.clone().filter(|partition| partition.leader == broker.id).count();
        let holds = partitions.clone().filter(|partition| partition.replicas.contains(&broker.id)).count();
        let behind =
            partitions.filter(|p| p.replicas.contains(&broker.id) && !p.in_sync.contains(&broker.id)).count();
        let mut metric = Metric::new("kafka_broker", now_ns)
            .tag("broker", broker.id.to_string())
            .tag("address", format!("{}:{}", broker.host, broker.port))
            .field("controller", broker.id == view.metadata.controller)
            .field("leaders", count(leads))
            .field("replicas", count(holds))
            .field("replicas_behind", count(behind));
        if let Some(rack) = &broker.rack {
            metric.set_tag("rack", rack.as_str());
        }
        let said = view.brokers.get(&broker.id);
        let response = said.and_then(|said| said.response);
        metric.set_field("up", response.is_some());
        if let Some(response) = response {
            metric.set_field("response_time", response.as_secs_f64());
        }
        if let Some(dirs) = said.and_then(|said| said.log_dirs.as_ref()) {
            metric.set_field("log_size", dirs.sizes.iter().map(|(_, size)| size).sum::<i64>());
            metric.set_field("log_dirs", count(dirs.directories + dirs.failed));
            metric.set_field("log_dirs_failed", count(dirs.failed));
        }
        out.push(metric);
    }
}

fn partition_point(
    topic: &str,
    partition: &Partition,
    low: Option<i64>,
    high: Option<i64>,
    size: Option<i64>,
    now_ns: i64,
) -> Metric {
    let mut metric = Metric::new("kafka_partition", now_ns)
        .tag("topic", topic)
        .tag("partition", partition.index.to_string())
        .field("leader", i64::from(partition.leader))
        .field("preferred_leader", partition.replicas.first() == Some(&partition.leader))
        .field("replicas", count(partition.replicas.len()))
        .field("isr", count(partition.in_sync.len()))
        .field("offline_replicas", count(partition.offline.len()))
        .field("under_replicated", is_under_replicated(partition))
        .field("offline", is_offline(partition));
    let messages = low.zip(high).map(|(low, high)| high - low);
    for (key, value) in [("low", low), ("high", high), ("messages", messages), ("log_size", size)] {
        if let Some(value) = value {
            metric.set_field(key, value);
        }
    }
    metric
}

fn groups(view: &View, facts: &Facts<'_>, now_ns: i64, out: &mut Vec<Metric>) {
    for (broker, said) in &view.brokers {
        for known in &said.groups {
            let group = &known.group;
            let mut lags = Vec::new();
            for (id, committed) in &known.committed {
                // The end of a partition is known of topics that the filters take, from brokers that answer.
                let Some(high) = facts.high.get(id) else { continue };
                // A group may have committed between the two questions, hence never less than none.
                let lag = (high - committed).max(0);
                lags.push(lag);
                out.push(
                    Metric::new("kafka_consumer_lag", now_ns)
                        .tag("group", group.id.as_str())
                        .tag("topic", id.0.as_str())
                        .tag("partition", id.1.to_string())
                        .field("committed", *committed)
                        .field("high", *high)
                        .field("lag", lag),
                );
            }
            let mut metric = Metric::new("kafka_consumer_group", now_ns)
                .tag("group", group.id.as_str())
                .tag("coordinator", broker.to_string());
            if !is_of_the_new_protocol(group) {
                metric.set_field("state", group.state.as_str());
                metric.set_field("members", count(group.members));
            }
            metric.set_field("partitions", count(known.committed.len()));
            metric.set_field("lag", lags.iter().sum::<i64>());
            metric.set_field("lag_max", lags.iter().copied().max().unwrap_or(0));
            out.push(metric);
        }
    }
}

/// A broker that lists a group and then calls it dead knows it by the protocol that Kafka 4 brought, and would tell its
/// state only by a request of that one.
fn is_of_the_new_protocol(group: &Group) -> bool {
    group.state == "Dead"
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
