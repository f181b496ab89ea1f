//! Whether all services are there that others need, in numbers that can agree.

use crate::{
    cloud::{Cloud, KafkaMode, ReplicationMode, Role},
    problem::Problems,
};

/// More voters make every change slower and nothing safer.
const VOTERS_MAX: usize = 7;

pub(super) fn check(cloud: &Cloud, problems: &mut Problems) {
    let line = cloud.lines.of("hosts");
    if cloud.with(Role::Data).next().is_none() {
        problems.error(line, "hosts", "have no data node: give at least one host the role \"data\"");
    }
    if cloud.with(Role::Meta).next().is_none() {
        problems.error(line, "hosts", "have no meta node: give three hosts the role \"meta\", or one to try");
    }
    if cloud.with(Role::Grafana).count() > 1 {
        problems.error(
            line,
            "hosts",
            "have several with the role \"grafana\": their databases would differ; keep one",
        );
    }
    voters(cloud, Role::Meta, "meta nodes", problems);
    kafka(cloud, problems);
}

/// Those who decide by majority: an even number decides no better than one less.
fn voters(cloud: &Cloud, role: Role, what: &str, problems: &mut Problems) {
    let hosts: Vec<_> = cloud.with(role).collect();
    let (count, line) = (hosts.len(), cloud.lines.of("hosts"));
    let survives = count.saturating_sub(1) / 2;
    if count == 0 {
        return;
    }
    if count > VOTERS_MAX {
        problems.error(
            line,
            "hosts",
            format!("have {count} {what}: {VOTERS_MAX} are the most that make sense; 3 or 5 are usual"),
        );
    } else if count == 1 {
        let message =
            format!("have a single one of the {what}: when it fails nothing can be changed; use three");
        problems.warning(line, "hosts", message);
    } else if count % 2 == 0 {
        let fewer = count - 1;
        let message = format!(
            "have {count} {what}: an even number survives the loss of {survives}, as {fewer} do; use {fewer} or {}",
            count + 1
        );
        problems.warning(line, "hosts", message);
    }
    // Two sites cannot be better than this; what a lost one means has to be known.
    for site in &cloud.sites {
        let here = hosts.iter().filter(|host| host.site == site.name).count();
        if count > 2 && here > survives && cloud.sites.len() > 1 {
            let cure = if cloud.sites.len() == 2 {
                "; a third site with one of them would mend that"
            } else {
                ": spread them"
            };
            let message = format!(
                "have {here} of {count} {what} in {}: when that site is lost the others are no majority{cure}",
                site.name
            );
            problems.hint(line, "hosts", message);
        }
    }
}

fn kafka(cloud: &Cloud, problems: &mut Problems) {
    let (line, hosts) = (cloud.lines.of("kafka"), cloud.lines.of("hosts"));
    let Some(kafka) = &cloud.kafka else {
        if cloud.replication == ReplicationMode::Kafka {
            let message = "is \"kafka\", and no host has the role \"kafka\": give it to three hosts";
            problems.error(cloud.lines.of("replication"), "replication.mode", message);
        }
        if cloud.agents.through_kafka {
            let message = "is true, and no host has the role \"kafka\"";
            problems.error(cloud.lines.of("agents"), "agents.through-kafka", message);
        }
        for role in [Role::ZooKeeper, Role::Controller] {
            if cloud.with(role).next().is_some() {
                let message = format!(
                    "have the role {:?}, and none has the role \"kafka\", which needs it",
                    role.word()
                );
                problems.error(hosts, "hosts", message);
            }
        }
        return;
    };
    let has = |role| cloud.with(role).next().is_some();
    match kafka.mode {
        KafkaMode::ZooKeeper => {
            if !has(Role::ZooKeeper) {
                problems.error(hosts, "hosts", "have no ZooKeeper node, and kafka.mode is \"zookeeper\": give three hosts the role \"zookeeper\"");
            }
            if has(Role::Controller) {
                problems.error(
                    hosts,
                    "hosts",
                    "have the role \"controller\", which only kafka.mode \"kraft\" knows",
                );
            }
            if kafka.major() > 3 {
                let message = format!(
                    "{} works without ZooKeeper only: write mode = \"kraft\", or a release 3.x",
                    kafka.version
                );
                problems.error(line, "kafka.version", message);
            }
            voters(cloud, Role::ZooKeeper, "ZooKeeper nodes", problems);
        }
        KafkaMode::KRaft => {
            if has(Role::ZooKeeper) {
                problems.error(
                    hosts,
                    "hosts",
                    "have the role \"zookeeper\", and kafka.mode is \"kraft\": take the role away",
                );
            }
            let controllers = if has(Role::Controller) { Role::Controller } else { Role::Kafka };
            let what = if has(Role::Controller) { "controllers" } else { "brokers that are controllers too" };
            voters(cloud, controllers, what, problems);
        }
    }
    if kafka.major() < 3 {
        problems.error(line, "kafka.version", format!("{} is too old: 3.3 or later", kafka.version));
    }
    let brokers = cloud.with(Role::Kafka).count();
    let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    if number(kafka.replication) > brokers {
        let message = format!(
            "is {}, and there are {brokers} brokers: every copy needs one of its own",
            kafka.replication
        );
        problems.error(line, "kafka.replication", message);
    }
    if kafka.min_in_sync > kafka.replication {
        let message = format!(
            "is {} of {} copies: no write could ever be acknowledged",
            kafka.min_in_sync, kafka.replication
        );
        problems.error(line, "kafka.min-in-sync", message);
    } else if kafka.min_in_sync == kafka.replication && kafka.replication > 1 {
        let message = format!(
            "is {} of {} copies: writes stop when one broker does",
            kafka.min_in_sync, kafka.replication
        );
        problems.warning(line, "kafka.min-in-sync", message);
    }
    if kafka.min_in_sync == 1 && kafka.replication > 1 {
        let message = "is 1: what only one broker has is lost with it, although it was acknowledged; use 2";
        problems.warning(line, "kafka.min-in-sync", message);
    }
    if brokers < 3 {
        let message = format!("have {brokers} Kafka broker(s): with three, one may fail without loss");
        problems.warning(hosts, "hosts", message);
    }
}
