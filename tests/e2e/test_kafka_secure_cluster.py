"""A cluster that writes through brokers which want TLS and SASL (SCRAM), while these are restarted and the topic grows.

All tests use one stack and one cluster, in the order of this file: what one leaves behind the next finds.
"""

import pytest
from checker import Load, check_replicas
from conftest import wait_until
from kafka_stack import KafkaStack, cluster_over_log

TOPIC = "points"
PARTITIONS, MORE_PARTITIONS = 2, 5
# How old an answer may be, and what clocks and a busy machine add to it.
LAG_SECONDS = 2.5


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = KafkaStack(tmp_path_factory.mktemp("kafka") / "stack")
    try:
        stack.start().add_scram_user()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def cluster(stack, skywatch_bin, tmp_path_factory):
    kafka = {
        "brokers": stack.secure.split(","),
        "topic": TOPIC,
        "dead-letter-topic": "points-dead",
        "partitions": PARTITIONS,
        "tls-enabled": True,
        "tls-ca": str(stack.tls / "ca.pem"),
        "sasl-mechanism": "SCRAM-SHA-512",
        "sasl-username": stack.USER,
        "sasl-password": stack.PASSWORD,
    }
    with cluster_over_log(skywatch_bin, tmp_path_factory.mktemp("cluster"), kafka) as cluster:
        yield cluster


def test_brokers_that_restart_one_after_the_other_are_not_noticed(cluster, stack):
    cluster.data[0].query("CREATE DATABASE rolling WITH REPLICATION 2 SHARD DURATION 1h NAME p")
    load = Load(cluster.data, "rolling", seed=5, lag_seconds=LAG_SECONDS)
    with load:
        load.more(20)
        for broker in stack.brokers:
            broker.stop(60)
            load.more(10, 90)
            broker.start()
            stack.wait_until_whole()
        load.more(20, 90)
    cluster.log_applied(PARTITIONS)
    check_replicas(load, cluster)
    assert not [attempt.text for attempt in load.attempts if attempt.kind == "write" and attempt.problem]
    assert stack.PASSWORD not in cluster.outputs()


def test_a_topic_that_grows_takes_the_next_shard_groups(cluster, stack):
    cluster.data[0].query("CREATE DATABASE growing WITH REPLICATION 2 SHARD DURATION 1h NAME p")
    load = Load(cluster.data, "growing", seed=6, lag_seconds=LAG_SECONDS, points_per_groups=30)

    def widths():
        """Shards of each group."""
        groups = {}
        for series in cluster.data[0].query("SHOW SHARDS")["results"][0]["series"]:
            group = series["columns"].index("shard_group")
            for row in series["values"] if series["name"] == "growing" else []:
                groups[row[group]] = groups.get(row[group], 0) + 1
        return set(groups.values())

    with load:
        load.more(40)
        assert widths() == {PARTITIONS}
        stack.tool("topics", "--alter", "--topic", TOPIC, "--partitions", str(MORE_PARTITIONS))
        # It is looked at twice a minute; the groups that are there stay as they are.
        wait_until(lambda: MORE_PARTITIONS in widths(), "a shard group over all partitions", 90, every=0.5)
        load.more(40, 90)
        cluster.data[1].restart()
        load.more(20, 90)
    assert widths() == {PARTITIONS, MORE_PARTITIONS}
    cluster.log_applied(MORE_PARTITIONS)
    check_replicas(load, cluster)
