"""Kafka as `skywatch render` sets it up, started for real on hosts of its own: three brokers with three ZooKeeper nodes, and one
broker without ZooKeeper. TLS on every link, users with rights, and nobody else."""

import re
import subprocess

import pytest
from conftest import wait_until
from rendered_kafka import CA, DIRECTORY, KafkaCloud

INVENTORY = """
[cloud]
name = "kafkacloud"
domain = "cloud.example"
[sites]
east = ["r1", "r2", "r3"]
[hosts]
meta1 = {{ address = "10.77.0.11", rack = "r1", roles = ["meta", "data"] }}
{hosts}
[replication]
mode = "kafka"
[kafka]
version = "{version}"
directory = "{directory}"
partitions = 3
[agents]
everywhere = false
"""


KINDS = {"three brokers, three ZooKeeper nodes": ("3.5.2", 3), "one broker, no ZooKeeper": ("4.1.1", 1)}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def cloud(request, skywatch_bin, tmp_path_factory):
    version, brokers = request.param
    roles = '["kafka", "zookeeper"]' if version.startswith("3.") else '["kafka"]'
    hosts = "\n".join(
        f'kafka{at} = {{ address = "10.77.0.{40 + at}", rack = "r{at}", roles = {roles} }}' for at in range(1, brokers + 1)
    )
    inventory = INVENTORY.format(hosts=hosts, version=version, directory=DIRECTORY)
    with KafkaCloud(skywatch_bin, tmp_path_factory.mktemp("kafka"), version, inventory) as cloud:
        yield cloud


def test_brokers_know_each_other_and_topics_are_as_the_inventory_says(cloud):
    assert cloud.metadata() == {broker.full_name for broker in cloud.brokers}
    copies = len(cloud.brokers)
    for topic in ("skywatch-writes", "telegraf"):
        assert re.search(rf"Topic: {topic}\s.*PartitionCount: 3\s+ReplicationFactor: {copies}\s", cloud.described), cloud.described
    if copies == 3:
        assert "min.insync.replicas=2" in cloud.described


def test_users_may_do_what_is_granted_and_nothing_else(cloud):
    sent = cloud.kcat("skywatch", "-P", "-t", "skywatch-writes", "-X", "acks=all", text="one\ntwo\n")
    assert sent.returncode == 0, sent.stderr
    read = cloud.kcat("skywatch", "-C", "-t", "skywatch-writes", "-e", "-q", "-o", "beginning")
    assert sorted(read.stdout.split()) == ["one", "two"], read.stderr
    sent = cloud.kcat("agent", "-P", "-t", "telegraf", text="cpu usage=1\n")
    assert sent.returncode == 0, sent.stderr
    for user, arguments in (("agent", ["-P", "-t", "skywatch-writes"]), ("agent", ["-C", "-t", "telegraf", "-e", "-o", "beginning"])):
        refused = cloud.kcat(user, *arguments, text="x\n")
        assert refused.returncode != 0 and re.search("(?i)authorization failed|not authorized", refused.stderr), refused


def test_a_wrong_password_and_plain_text_are_refused(cloud):
    wrong = cloud.kcat("skywatch", "-L", "-m", "10", password="wrong-password")
    assert wrong.returncode != 0 and re.search("(?i)authentication failed", wrong.stderr), wrong.stderr
    broker = cloud.brokers[0]
    plain = broker.host.command(["kcat", "-b", f"{broker.full_name}:9092", "-L", "-m", "5"])
    assert subprocess.run(plain, capture_output=True, timeout=60).returncode != 0


def test_whoever_has_no_certificate_is_no_broker(cloud):
    broker = cloud.brokers[0]
    ports = [9093] if cloud.with_zookeeper else [9093, 9094]
    for port in ports:
        for who, is_let_in in (("", False), ("-cert /etc/skywatch/tls/host.pem -key /etc/skywatch/tls/host.key", True)):
            # With TLS 1.3 it shows after the handshake whether a certificate was wanted: as an alert.
            shell = f"sleep 2 | timeout 20 openssl s_client -connect localhost:{port} -CAfile {CA} {who} 2>&1"
            said = broker.host.run("sh", "-c", shell, check=False)
            assert "Verify return code: 0 (ok)" in said, said
            assert ("SSL alert number" not in said) == is_let_in, said
    if cloud.with_zookeeper:
        assert "imok" in broker.asks_zookeeper("ruok")
        assert "imok" not in broker.asks_zookeeper("ruok", identified=False)


def test_a_data_node_writes_through_it_as_rendered(cloud):
    """With TLS, as its user, with the rights that topics.sh gives it and no others."""
    if cloud.with_zookeeper:
        pytest.skip("one kind of Kafka is enough: tests of the cluster have both")
    node = cloud.nodes["meta1"]
    for role in ("meta", "data"):
        service = node.service(role).start()
        wait_until(lambda service=service: "waits to be made a member" in service.output(), f"{service.log} to wait", 90)
    said = node.service("data").output

    def ask(path, *options):
        return cloud.curl(node, f"https://meta1.cloud.example:8086{path}", *options)

    cloud.script(node, "join.sh")
    try:
        wait_until(lambda: ask("/ready")[0] == 200, "the data node to be ready", 90)
    except pytest.fail.Exception as failure:
        pytest.fail(f"{failure}: {ask('/ready')}\n{said()[-3000:]}")
    # From then on shard groups are made for the log.
    wait_until(lambda: "skywatch-writes" in cloud.ctl("show-lag"), "the log", 90)
    cloud.script(node, "databases.sh")
    who = ["-u", f"admin:{cloud.secrets['users']['admin']}"]
    written = ask("/write?db=telegraf", *who, "--data-binary", "through v=42")
    assert written[0] == 204, f"{written} {said()[-3000:]}"
    asked = ["--get", "--data-urlencode", "q=SELECT v FROM through", "--data-urlencode", "db=telegraf"]
    wait_until(lambda: ",42]" in ask("/query", *who, *asked)[1], "the point to come out of Kafka")
    assert len(cloud.kcat("skywatch", "-C", "-t", "skywatch-writes", "-e", "-q", "-o", "beginning", "-f", "%o\n").stdout.split()) >= 3
