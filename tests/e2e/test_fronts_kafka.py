"""The whole picture with Kafka as the write path, from what `skywatch render` writes: two fronts, two data nodes, a meta node, one
broker without ZooKeeper. A front, a data node and the broker are killed under load; what was acknowledged is on every data node.
"""

import time

import pytest
from cloud import picture
from conftest import OUT, need, wait_until
from load import run
from rendered_kafka import DIRECTORY, KafkaCloud

VERSION = "4.1.1"
INVENTORY = picture(
    {"meta1": (11, "east", "meta"), "kafka1": (41, "east", "kafka")},
    f"""mode = "kafka"

[kafka]
version = "{VERSION}"
directory = "{DIRECTORY}"
partitions = 2""",
)
# Far more than it takes: what is fresh is at most seconds behind.
APPLIED_SECONDS_MAX = 30


@pytest.fixture(scope="module")
def cloud(skywatch_bin, tmp_path_factory):
    for command in ("haproxy", "keepalived"):
        need(command, command)
    with KafkaCloud(skywatch_bin, tmp_path_factory.mktemp("cloud"), VERSION, INVENTORY) as cloud:
        try:
            cloud.start()
            wait_until(lambda: "skywatch-writes" in cloud.ctl("show-lag"), "writes to go through Kafka", 60)
            yield cloud
        finally:
            (OUT / "fronts-kafka.log").write_text(cloud.outputs())


def offsets(cloud):
    """Records that the topic of writes has."""
    read = cloud.kcat("skywatch", "-C", "-t", "skywatch-writes", "-e", "-q", "-o", "beginning", "-f", "%o\\n")
    return len(read.stdout.split())


def test_the_active_front_is_killed(cloud):
    before = offsets(cloud)

    def fail():
        node = cloud.active()
        node.service("haproxy").kill()
        wait_until(lambda: node not in cloud.holders() and cloud.holders(), "the other front to take the address", every=0.05)
        return node

    run(cloud, "with Kafka, a front is killed", fail, lambda node: node.start(), applied_within=APPLIED_SECONDS_MAX)
    assert offsets(cloud) > before, "what was acknowledged went through Kafka"


def test_a_data_node_is_killed(cloud):
    def fail():
        node = cloud.data[0]
        node.service("data").kill()
        return node

    run(cloud, "with Kafka, a data node is killed", fail, lambda node: node.start(), applied_within=APPLIED_SECONDS_MAX)


def test_the_only_broker_is_killed(cloud):
    """Nothing is acknowledged without it, and clients are told so; what was before is there after."""

    def fail():
        broker = cloud.brokers[0]
        broker.services["kafka"].kill()
        time.sleep(3)
        cloud.restart(broker)
        return broker.name

    report, text = run(cloud, "with Kafka, the broker is killed", fail, lambda _: None, applied_within=APPLIED_SECONDS_MAX)
    assert report["failed writes"], f"no write failed while Kafka was away: {text}"
