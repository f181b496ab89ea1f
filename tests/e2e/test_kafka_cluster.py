"""A cluster that writes through a real Kafka: three brokers of 3.5 on three ZooKeeper nodes, one meta and two data nodes.

All tests use one stack and one cluster, in the order of this file: what one leaves behind the next finds.
"""

import time

import pytest
import requests
from checker import Load, check_replicas
from conftest import SLOW_MACHINE, wait_until
from kafka_stack import KafkaStack, cluster_over_log

TOPIC = "points"
DEAD = "points-dead"
PARTITIONS = 3
# How old an answer may be, and what clocks and a busy machine add to it.
LAG_SECONDS = 2.5
# Within which a known outage turns writes away, and a busy machine.
TURNED_AWAY_SECONDS = 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = KafkaStack(tmp_path_factory.mktemp("kafka") / "stack")
    try:
        yield stack.start()
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def cluster(stack, skywatch_bin, tmp_path_factory):
    kafka = {"brokers": stack.address.split(","), "topic": TOPIC, "dead-letter-topic": DEAD, "partitions": PARTITIONS}
    with cluster_over_log(skywatch_bin, tmp_path_factory.mktemp("cluster"), kafka) as cluster:
        yield cluster


def applied(cluster):
    cluster.log_applied(PARTITIONS)


def test_a_write_is_read_at_the_other_node_by_who_waits_for_its_position(cluster, stack):
    first, second = cluster.data
    first.query("CREATE DATABASE db WITH REPLICATION 2")
    lines = "\n".join(f"m,host=h{n} v={n}i {n + 1}" for n in range(200))
    told = first.write(lines)
    assert told.status_code == 204, told.text
    position = told.headers["X-Skywatch-Position"]
    assert len(position.split(",")) == PARTITIONS, position
    assert second.rows("SELECT count(v) FROM m", position=position)[0][1] == 200
    assert stack.partitions(TOPIC) == PARTITIONS
    shards = second.query("SHOW SHARDS")["results"][0]["series"][0]["values"]
    assert len(shards) == PARTITIONS, shards
    refused = second.ask("SELECT count(v) FROM m", position="one")
    assert refused.status_code == 400 and "X-Skywatch-Position" in refused.text, refused.text
    applied(cluster)
    metrics = requests.get(f"{first.url}/metrics", timeout=10).text
    assert 'skywatch_log_lag_records{partition="0"} 0' in metrics and "skywatch_log_reachable 1" in metrics
    assert cluster.everywhere("SELECT count(v) FROM m") == {node.id: [[0, 200]] for node in cluster.data} or all(
        rows[0][1] == 200 for rows in cluster.everywhere("SELECT count(v) FROM m").values()
    )


def test_a_delete_is_seen_by_the_next_query_at_any_node(cluster):
    first, second = cluster.data
    first.query("DELETE FROM m WHERE host = 'h7'")
    for node in (first, second):
        assert node.rows("SELECT v FROM m WHERE host = 'h7'") == []
    second.query("DROP MEASUREMENT m")
    for node in (first, second):
        assert node.rows("SELECT v FROM m") == []


def test_what_no_node_produced_is_set_aside_and_holds_nothing_up(cluster, stack):
    first, second = cluster.data
    before = stack.count(DEAD)
    for partition in range(PARTITIONS):
        stack.produce(TOPIC, ["cpu,host=a v=1 1", "SkOp and what is not one"], "-p", str(partition))
    told = first.write("after v=1 1")
    position = told.headers["X-Skywatch-Position"]
    assert second.rows("SELECT v FROM after", position=position, epoch="ns") == [[1, 1]]
    wait_until(lambda: stack.count(DEAD) >= before + 2 * PARTITIONS, "all of it to be set aside", 30)
    refused = first.write('after v="text" 2')
    assert refused.status_code == 400 and "field type conflict" in refused.text, refused.text
    applied(cluster)
    assert stack.count(DEAD) == before + 2 * PARTITIONS, "each by one node, once"


def test_brokers_zookeeper_and_data_nodes_are_killed_and_restarted_under_load(cluster, stack):
    cluster.data[0].query("CREATE DATABASE killed WITH REPLICATION 2 SHARD DURATION 1h NAME p")
    load = Load(cluster.data, "killed", seed=11, lag_seconds=LAG_SECONDS)
    with load:
        load.more(20)
        leader = stack.broker(stack.describe(TOPIC)[0]["leader"])
        leader.kill()
        load.more(20, 90)
        stack.zookeepers[0].kill()
        load.more(10, 90)
        leader.start()
        stack.zookeepers[0].start()
        cluster.data[1].kill()
        load.more(20, 90)
        cluster.data[1].start()
        stack.wait_until_whole()
        load.more(20, 90)
        # One after the other, as for an upgrade.
        for node in cluster.data:
            node.restart()
            applied(cluster)
        load.more(20, 90)
    applied(cluster)
    print(load.figures(0))
    check_replicas(load, cluster)


def test_without_any_broker_writes_are_refused_at_once_and_queries_go_on(cluster, stack):
    first, second = cluster.data
    first.query("CREATE DATABASE dark WITH REPLICATION 2 NAME p")
    kept = first.write("m v=1 1", db="dark").headers["X-Skywatch-Position"]
    assert second.rows("SELECT v FROM m", db="dark", position=kept)
    applied(cluster)
    for broker in stack.brokers:
        broker.kill()
    killed, took = time.monotonic(), []
    # The first of them are on their way, or held back, when it becomes clear that nobody is there.
    while len(took) < 20:
        began = time.monotonic()
        told = first.write("m v=2 2", db="dark")
        took.append(time.monotonic() - began)
        assert told.status_code == 503 and int(told.headers["Retry-After"]) >= 1, told.text
        if time.monotonic() - killed > TURNED_AWAY_SECONDS:
            assert "cannot take writes now" in told.text, told.text
            time.sleep(0.2)
    assert took[0] < TURNED_AWAY_SECONDS and max(took[3:]) < SLOW_MACHINE, f"nobody waits for Kafka any longer: {took}"
    # For longer than an answer may be old.
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for node in cluster.data:
            assert node.rows("SELECT v FROM m WHERE time = 1", db="dark", epoch="ns") == [[1, 1]]
    for node in cluster.data:
        assert requests.get(f"{node.url}/ready?for=reads", timeout=10).status_code == 200
        assert requests.get(f"{node.url}/ready?for=writes", timeout=10).status_code == 503
    for broker in stack.brokers:
        broker.start()

    def taken():
        told = first.write("m v=3 3", db="dark")
        return told if told.status_code == 204 else None

    position = wait_until(taken, "writes to go on", 120).headers["X-Skywatch-Position"]
    # Readers find brokers that have only just come back after a while of their own.
    applied(cluster)
    assert [3, 3] in second.rows("SELECT v FROM m", db="dark", position=position, epoch="ns")

    def alike():
        replicas = list(cluster.everywhere("SELECT v FROM m", db="dark", epoch="ns").values())
        return replicas[0] == replicas[1]

    # The position waited for one of them.
    wait_until(alike, "the other replica to have applied it")
