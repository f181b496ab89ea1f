#!/bin/sh
# Topics of Kafka
# Rendered by `skywatch render` for mycloud: change the inventory and render again.
# Makes the topics and grants rights; what is there stays as it is. Run it on this host once all brokers are up.
set -eu
tools=/opt/kafka/bin
brokers=kafka1.cloud.example:9092,kafka2.cloud.example:9092,kafka3.cloud.example:9092
admin=/etc/kafka/admin.properties

topic() { # name option...
    name=$1
    shift
    "$tools/kafka-topics.sh" --bootstrap-server "$brokers" --command-config "$admin" \
        --create --if-not-exists --topic "$name" --replication-factor 3 \
        --config min.insync.replicas=2 "$@"
}

grant() { # user option...
    user=$1
    shift
    "$tools/kafka-acls.sh" --bootstrap-server "$brokers" --command-config "$admin" \
        --add --allow-principal "User:$user" "$@"
}

# Lag in seconds is told by the brokers' clocks, not by those of whoever writes.
topic skywatch-writes --partitions 8 --config retention.ms=86400000 --config message.timestamp.type=LogAppendTime
topic skywatch-writes-dead-letter --partitions 1 --config retention.ms=2592000000
topic telegraf --partitions 8 --config retention.ms=86400000

grant skywatch --operation All --topic skywatch --resource-pattern-type prefixed
grant skywatch --operation Read --operation Describe --topic telegraf
grant skywatch --operation All --group skywatch --resource-pattern-type prefixed
grant skywatch --operation IdempotentWrite --operation DescribeConfigs --operation Describe --cluster
grant agent --operation Write --operation Describe --topic telegraf
grant agent --operation IdempotentWrite --cluster

"$tools/kafka-topics.sh" --bootstrap-server "$brokers" --command-config "$admin" --describe
