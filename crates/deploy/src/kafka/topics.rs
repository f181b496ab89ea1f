//! What is made in Kafka once it runs: topics, and who may do what with them.

use super::{AGENT_USER, CONFIG, SKYWATCH_USER};
use crate::{
    cloud::{Cloud, Kafka, Role, ports},
    file::head,
};

/// The topic that writes go through, and the one for records that cannot be applied.
pub(crate) const WRITES: &str = "skywatch-writes";
pub(crate) const DEAD_LETTERS: &str = "skywatch-writes-dead-letter";
/// The topic that agents write line protocol to.
pub(crate) const AGENTS: &str = "telegraf";

/// The script, which may be run again at any time.
pub(super) fn script(cloud: &Cloud, kafka: &Kafka) -> String {
    let Kafka { directory, partitions, replication, min_in_sync, retention_hours, .. } = kafka;
    let brokers = cloud.addresses(Role::Kafka, ports::KAFKA);
    let retention_ms = u64::from(*retention_hours) * 3_600_000;
    format!(
        "#!/bin/sh
{head}# Makes the topics and grants rights; what is there stays as it is. Run it on this host once all brokers are up.
set -eu
tools={directory}/bin
brokers={brokers}
admin={CONFIG}/admin.properties

topic() {{ # name option...
    name=$1
    shift
    \"$tools/kafka-topics.sh\" --bootstrap-server \"$brokers\" --command-config \"$admin\" \\
        --create --if-not-exists --topic \"$name\" --replication-factor {replication} \\
        --config min.insync.replicas={min_in_sync} \"$@\"
}}

grant() {{ # user option...
    user=$1
    shift
    \"$tools/kafka-acls.sh\" --bootstrap-server \"$brokers\" --command-config \"$admin\" \\
        --add --allow-principal \"User:$user\" \"$@\"
}}

# Lag in seconds is told by the brokers' clocks, not by those of whoever writes.
topic {WRITES} --partitions {partitions} --config retention.ms={retention_ms} --config message.timestamp.type=LogAppendTime
topic {DEAD_LETTERS} --partitions 1 --config retention.ms=2592000000
topic {AGENTS} --partitions {partitions} --config retention.ms={retention_ms}

grant {SKYWATCH_USER} --operation All --topic skywatch --resource-pattern-type prefixed
grant {SKYWATCH_USER} --operation Read --operation Describe --topic {AGENTS}
grant {SKYWATCH_USER} --operation All --group skywatch --resource-pattern-type prefixed
grant {SKYWATCH_USER} --operation IdempotentWrite --operation DescribeConfigs --operation Describe --cluster
grant {AGENT_USER} --operation Write --operation Describe --topic {AGENTS}
grant {AGENT_USER} --operation IdempotentWrite --cluster

\"$tools/kafka-topics.sh\" --bootstrap-server \"$brokers\" --command-config \"$admin\" --describe
",
        head = head("#", &cloud.name, "Topics of Kafka"),
    )
}
