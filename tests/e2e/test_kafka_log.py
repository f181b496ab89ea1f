"""The log that writes go through, against three real brokers on three ZooKeeper nodes that are killed under load.

`log_driver` (crates/kafka/examples) appends without pause and notes what was acknowledged. kcat, which shares no code with
it, says what the topic holds: every acknowledged record once, where it was said to be, each worker's in order.
"""

import json
import os
import subprocess
import threading
import time

import pytest
from conftest import ROOT, need, wait_until

# Appends of a test at once, and bytes of each.
WORKERS, BYTES = 4, 600
# Within which a known outage turns records away, and a busy machine.
TURNED_AWAY_MS = 4_000


@pytest.fixture(scope="module")
def driver():
    """The program that drives a log: LOG_DRIVER, or the debug build."""
    if given := os.environ.get("LOG_DRIVER"):
        return given
    need("cargo", "cargo")
    built = subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "-p", "skywatch-kafka", "--example", "log_driver"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return os.path.join(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "debug", "examples", "log_driver")


class Driver:
    """Runs the driver against one topic."""

    def __init__(self, program, address, topic, **environment):
        self.command = [program, address, topic]
        self.environment = {**os.environ, **{key: str(value) for key, value in environment.items()}}

    def start(self, *arguments, stdin=subprocess.PIPE):
        command = [*self.command, *(str(argument) for argument in arguments)]
        pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=self.environment, text=True, **pipes)

    def run(self, *arguments, seconds=120):
        """(what it said, its log); fails if the driver does."""
        # A load ends when its standard input does, so that is held open until it has ended by itself.
        theirs, ours = os.pipe()
        try:
            process = self.start(*arguments, stdin=theirs)
            out, log = process.communicate(timeout=seconds)
        finally:
            os.close(theirs)
            os.close(ours)
        assert process.returncode == 0, out + log
        return [json.loads(line) for line in out.splitlines()], log

    def fails(self, *arguments):
        process = self.start(*arguments)
        out, log = process.communicate(timeout=60)
        assert process.returncode != 0, out + log
        return log


def placed(path):
    """(id, partition, offset) of each line the driver wrote."""
    return [tuple(int(word) for word in line.split()) for line in path.read_text().splitlines()]


def stored(kafka, topic):
    """(id, partition, offset) of each record that the topic holds, by kcat; a partition's in order."""
    lines = kafka.messages(topic, "%p %o %s\n")
    return [(int(words[2]), int(words[0]), int(words[1])) for words in (line.split(" ", 3) for line in lines)]


def assert_exactly_once_in_order(acknowledged, found):
    assert acknowledged, "nothing was acknowledged"
    ids = [number for number, _, _ in found]
    assert len(ids) == len(set(ids)), "a record is there twice"
    missing = set(acknowledged) - set(found)
    assert not missing, f"acknowledged and not where it was said to be: {sorted(missing)[:5]} of {len(missing)}"
    by_partition = {}
    for number, partition, offset in found:
        by_partition.setdefault((partition, number >> 40), []).append((offset, number))
    for key, records in by_partition.items():
        numbers = [number for _, number in sorted(records)]
        assert numbers == sorted(numbers), f"worker and partition {key} are out of order"


def under_load(driver, tmp_path, disturb):
    """Disturbs while the driver appends, until that is done: (what the driver said, what was acknowledged)."""
    out = tmp_path / "acknowledged"
    load = driver.start("load", out, 240, WORKERS, BYTES)
    try:
        disturb()
    finally:
        # A line tells it to end.
        said, log = load.communicate("\n", timeout=120)
    assert load.returncode == 0, said + log
    return json.loads(said.splitlines()[-1]), placed(out)


def test_brokers_the_controller_and_a_zookeeper_are_killed_under_load(kafka_stack, driver, tmp_path):
    topic = "killed"
    client = Driver(driver, kafka_stack.address, topic, PARTITIONS=4, DELIVERY_TIMEOUT_MS=60_000)
    client.run("open")
    assert kafka_stack.configuration(topic)["min.insync.replicas"] == "2"
    kafka_stack.wait_until_whole()

    def disturb():
        grown = kafka_stack.count(topic)
        wait_until(lambda: kafka_stack.count(topic) > grown + 50, "records", 60, every=0.3)
        controller = kafka_stack.controller()
        other = next(number for number in (1, 2, 3) if number != controller)
        leader_of_all = next(node for node in kafka_stack.zookeepers if node.mode() == "leader")
        for victim in (kafka_stack.broker(other), kafka_stack.broker(controller), leader_of_all):
            victim.kill()
            before = kafka_stack.count(topic)
            wait_until(lambda: kafka_stack.count(topic) > before + 50, "records while one is dead", 60, every=0.3)
            victim.start()
            kafka_stack.wait_until_whole()

    said, acknowledged = under_load(client, tmp_path, disturb)
    found = stored(kafka_stack, topic)
    assert_exactly_once_in_order(acknowledged, found)
    assert said["in_doubt"] == said["refused"] == said["unavailable"] == 0, said
    assert len(found) == said["acknowledged"], said

    # What its own reader makes of it is the same.
    read = tmp_path / "read"
    client.run("read", read)
    assert sorted(placed(read)) == sorted(found)


def test_a_rolling_restart_is_not_noticed(kafka_stack, driver, tmp_path):
    topic = "rolling"
    client = Driver(driver, kafka_stack.address, topic, PARTITIONS=4, DELIVERY_TIMEOUT_MS=60_000)
    client.run("open")
    kafka_stack.wait_until_whole()

    def disturb():
        for broker in kafka_stack.brokers:
            broker.stop(60)
            broker.start()
            kafka_stack.wait_until_whole()

    said, acknowledged = under_load(client, tmp_path, disturb)
    assert_exactly_once_in_order(acknowledged, stored(kafka_stack, topic))
    assert said["in_doubt"] == said["refused"] == said["unavailable"] == 0, said


def test_without_brokers_the_answer_comes_at_once_and_all_is_well_when_they_are_back(kafka_stack, driver, tmp_path):
    topic = "outage"
    # Nobody may wait for as long as that.
    client = Driver(driver, kafka_stack.address, topic, PARTITIONS=4, DELIVERY_TIMEOUT_MS=60_000, BUFFER_BYTES=1 << 20)
    client.run("open")
    kafka_stack.wait_until_whole()
    killed, whole = [], []

    def disturb():
        wait_until(lambda: kafka_stack.count(topic) > 50, "records", 60, every=0.3)
        killed.append(time.time() * 1000)
        for broker in kafka_stack.brokers:
            broker.kill()
        # Long enough for many to be turned away.
        time.sleep(8)
        for broker in kafka_stack.brokers:
            broker.start()
        kafka_stack.wait_until_whole()
        whole.append(time.time() * 1000)
        before = kafka_stack.count(topic)
        wait_until(lambda: kafka_stack.count(topic) > before + 50, "records after the outage", 60, every=0.3)

    said, acknowledged = under_load(client, tmp_path, disturb)
    assert_exactly_once_in_order(acknowledged, stored(kafka_stack, topic))
    assert said["breaker_opened"] >= 1 and said["unavailable"] > 50, said
    assert said["first_failed_ms"] - killed[0] < TURNED_AWAY_MS, (killed, said)
    assert said["last_failed_ms"] - whole[0] < 3_000, f"all is well again soon after it is: {whole} {said}"
    # What was on its way, and what was held back while it was not sure.
    assert 0 < said["in_doubt"] <= 2 * WORKERS and said["slowest_in_doubt_ms"] < TURNED_AWAY_MS, said
    assert said["slowest_unavailable_ms"] < TURNED_AWAY_MS, said
    assert "out of reach" in said["reason"] or "topic outage" in said["reason"], said


def test_brokers_that_fall_silent_are_not_waited_for(kafka_stack, driver, tmp_path):
    topic = "silent"
    client = Driver(driver, kafka_stack.address, topic, PARTITIONS=4, DELIVERY_TIMEOUT_MS=60_000)
    client.run("open")
    kafka_stack.wait_until_whole()
    frozen = []

    def disturb():
        wait_until(lambda: kafka_stack.count(topic) > 50, "records", 60, every=0.3)
        frozen.append(time.time() * 1000)
        for broker in kafka_stack.brokers:
            broker.freeze()
        try:
            # Connections stay as they are, and nobody refuses any.
            time.sleep(6)
        finally:
            for broker in kafka_stack.brokers:
                broker.thaw()
        kafka_stack.wait_until_whole()
        before = kafka_stack.count(topic)
        wait_until(lambda: kafka_stack.count(topic) > before + 50, "records afterwards", 60, every=0.3)

    said, acknowledged = under_load(client, tmp_path, disturb)
    assert_exactly_once_in_order(acknowledged, stored(kafka_stack, topic))
    assert said["unavailable"] > 50, said
    assert said["first_failed_ms"] - frozen[0] < TURNED_AWAY_MS, (frozen, said)
    assert said["slowest_in_doubt_ms"] < TURNED_AWAY_MS and said["slowest_unavailable_ms"] < TURNED_AWAY_MS, said


def test_too_few_replicas_turn_records_away_and_enough_of_them_take_them(kafka_stack, driver, tmp_path):
    topic = "few"
    client = Driver(driver, kafka_stack.address, topic, PARTITIONS=2, DELIVERY_TIMEOUT_MS=120_000)
    client.run("open")
    kafka_stack.wait_until_whole()
    few, enough = [], []

    def disturb():
        wait_until(lambda: kafka_stack.count(topic) > 50, "records", 60, every=0.3)
        for broker in kafka_stack.brokers[:2]:
            broker.kill()
        wait_until(lambda: in_step(kafka_stack, topic) == 1, "the dead ones to be missed", 60, every=0.2)
        few.append(time.time() * 1000)
        time.sleep(6)
        for broker in kafka_stack.brokers[:2]:
            broker.start()
        wait_until(lambda: in_step(kafka_stack, topic) >= 2, "enough replicas", 60, every=0.2)
        enough.append(time.time() * 1000)
        before = kafka_stack.count(topic)
        wait_until(lambda: kafka_stack.count(topic) > before + 50, "records", 60, every=0.3)

    said, acknowledged = under_load(client, tmp_path, disturb)
    kafka_stack.wait_until_whole()
    assert_exactly_once_in_order(acknowledged, stored(kafka_stack, topic))
    assert said["unavailable"] > 50, said
    assert said["first_failed_ms"] - few[0] < TURNED_AWAY_MS, (few, said)
    assert said["last_failed_ms"] - enough[0] < 3_000, (enough, said)


def in_step(kafka, topic):
    """Of the partition that has fewest; 0 while nobody leads one."""
    partitions = kafka.describe(topic).values()
    return min((len(part["isr"]) if part["leader"] >= 0 else 0 for part in partitions), default=0)


def test_wrong_topics_are_told_in_plain_words_with_the_command_that_mends_them(kafka_stack, driver):
    make = kafka_stack.create_topic
    make("w-compact", 6, 3, cleanup_policy="compact")
    error = Driver(driver, kafka_stack.address, "w-compact").fails("open")
    for part in ("cleanup.policy is", "compact", 'must be \"delete\"', "--add-config cleanup.policy=delete"):
        assert part in error, error

    make("w-replicas", 6, 1)
    error = Driver(driver, kafka_stack.address, "w-replicas", REPLICATION=3).fails("open")
    for part in ("replication factor is 1", "3 is wanted", "kafka-reassign-partitions"):
        assert part in error, error

    make("w-warned", 2, 3, min_insync_replicas=1, retention_ms=60_000, max_message_bytes=50_000)
    said, log = Driver(driver, kafka_stack.address, "w-warned").run("open")
    assert said == [{"partitions": 6, "body_bytes_max": 50_000 - 1024}]
    for part in ("min.insync.replicas is 1 and 2 is wanted", "retention.ms is 60000", "max.message.bytes is 50000"):
        assert part in log, log
    assert kafka_stack.partitions("w-warned") == 6, "the topic has grown"

    error = Driver(driver, kafka_stack.address, "w-many", REPLICATION=4).fails("open")
    assert "replication-factor asks for 4" in error and "there are 3 brokers" in error, error


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_tls_and_sasl(kafka_stack, driver, tmp_path, mechanism):
    if mechanism != "PLAIN":
        kafka_stack.add_scram_user()
    topic = f"secure-{mechanism.lower()}"
    login = {"SASL_MECHANISM": mechanism, "SASL_USER": kafka_stack.USER, "CA": kafka_stack.tls / "ca.pem"}
    client = Driver(driver, kafka_stack.secure, topic, SASL_PASSWORD=kafka_stack.PASSWORD, **login)
    out = tmp_path / "out"
    said, _ = client.run("load", out, 1, 2, 100)
    assert said[-1]["acknowledged"] > 0, said
    assert_exactly_once_in_order(placed(out), stored(kafka_stack, topic))
    if mechanism == "SCRAM-SHA-512":
        wrong = Driver(driver, kafka_stack.secure, topic, SASL_PASSWORD="wrong", **login)
        said, log = wrong.run("load", out, 1, 1, 100)
        assert said[-1]["acknowledged"] == 0 and "uthentication failed" in said[-1]["reason"] + log, (said, log)


def test_a_record_that_cannot_be_applied_is_set_aside_with_its_reason(kafka, driver, tmp_path):
    client = Driver(driver, kafka.address, "aside", PARTITIONS=1)
    client.run("load", tmp_path / "out", 0.3, 1, 50)
    client.run("set-aside", "no such shard: 7")
    letters = kafka.messages("aside-dead-letter", "%h|%s\n")
    assert len(letters) == 1
    headers, body = letters[0].split("|", 1)
    assert "reason=no such shard: 7,topic=aside,partition=0,offset=0,timestamp=" in headers
    assert body.startswith("0 "), "the record itself"


def test_a_log_that_has_moved_on_is_told_of(kafka, driver, tmp_path):
    client = Driver(driver, kafka.address, "expired", PARTITIONS=1)
    said, _ = client.run("load", tmp_path / "out", 2, 4, 100)
    assert said[-1]["acknowledged"] > 5, said

    def first():
        asked = kafka.kcat("-Q", "-t", "expired:0:-2")
        return int(asked.rsplit(" ", 1)[1])

    # Retention comes by every five minutes; deleting records says the same to a reader.
    kafka_delete = tmp_path / "delete.json"
    kafka_delete.write_text(json.dumps({"partitions": [{"topic": "expired", "partition": 0, "offset": 5}], "version": 1}))
    kafka.tool("delete-records", "--offset-json-file", kafka_delete)
    wait_until(lambda: first() >= 5, "records to go", every=0.3)
    error = client.fails("read", tmp_path / "read")
    assert "partition 0 begins at offset 5, and 0 is wanted: the records between are gone" in error, error


def test_ends_are_told_of_idle_partitions_and_not_of_brokers_that_are_gone(kafka, driver, tmp_path):
    client = Driver(driver, kafka.address, "idle", PARTITIONS=3)
    client.run("load", tmp_path / "out", 0.5, 2, 100)
    follower = client.start("follow", 12)
    said = []
    reading = threading.Thread(target=lambda: said.extend(follower.communicate(timeout=60)))
    reading.start()
    time.sleep(4)
    kafka.kill()
    time.sleep(4)
    kafka.start()
    reading.join()
    assert follower.returncode == 0, said
    lines = [json.loads(line) for line in said[0].splitlines()]
    trouble = [index for index, line in enumerate(lines) if "trouble" in line]
    assert trouble, lines
    before = [dict(map(tuple, line["ends"])) for line in lines[: trouble[0]] if line.get("ends")]
    assert {partition for ends in before for partition in ends} == {0, 1, 2}, "partition 2 has never had a record"
    assert before[-1].get(2) == 0 and before[-1][0] > 0
    told_of = said[1].count("cannot be read")
    assert 1 <= told_of <= 4, f"the trouble is told once and its end once, not at every turn: {said[1]}"
