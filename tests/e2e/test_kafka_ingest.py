"""Line protocol out of real Kafka topics: from kcat, from the agent, by two nodes at once, through kill -9, TLS and SCRAM."""

import json
import re
import subprocess
import threading
import time

import pytest
import requests
from conftest import Process, Skywatch, wait_until
from kafka_stack import Kafka


def section(topics, group, *more, brokers=None, **keys):
    """A `[[kafka-ingest]]`."""
    lines = ["[[kafka-ingest]]", f"topics = {json.dumps(topics)}", f'consumer-group = "{group}"']
    lines += [f"brokers = {json.dumps(brokers.split(','))}"] if brokers else []
    lines += ['session-timeout = "6s"', f'dead-letter-topic = "{group}-letters"']
    lines += [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join([*lines, *more]) + "\n"


@pytest.fixture
def start_ingesting(skywatch_bin, tmp_path):
    """A function that starts a server that reads from Kafka; whatever it started is stopped after the test."""
    started = []

    def start(text, database="db"):
        directory = tmp_path / f"server-{len(started)}"
        directory.mkdir()
        config = directory / "skywatch.toml"
        config.write_text(text)
        server = Skywatch(skywatch_bin, directory, "--config", config)
        started.append(server)
        server.start()
        if database:
            server.query(f'CREATE DATABASE "{database}"')
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_agent(skywatch_bin, tmp_path):
    started = []

    def start(config):
        path = tmp_path / f"agent-{len(started)}.conf"
        path.write_text(config)
        agent = Process([skywatch_bin, "agent", "--config", path], tmp_path / f"agent-{len(started)}.log")
        started.append(agent)
        return agent.start()

    yield start
    for agent in started:
        agent.stop()


def count(server, measurement="m", db="db", field="v"):
    rows = server.rows(f'SELECT count("{field}"), sum("{field}") FROM "{measurement}"', db)
    return tuple(rows[0][1:]) if rows else (0, 0)


def metric(server, name, **labels):
    """The sum of a metric's samples that have these labels."""
    total = 0
    for line in requests.get(f"{server.url}/metrics", timeout=10).text.splitlines():
        found = re.match(rf"{name}(?:{{(.*)}})? (\S+)$", line)
        if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
            total += float(found[2])
    return total


def letters(kafka, group):
    """(headers, body) of what was set aside."""
    found = kafka.messages(f"{group}-letters", "%h\x01%s\x02")
    split = [letter.split("\x01", 1) for letter in "\n".join(found).split("\x02") if letter.strip()]
    return [(dict(pair.split("=", 1) for pair in re.split(r",(?=\w+=)", headers.strip())), body) for headers, body in split]


def test_good_lines_are_stored_and_bad_ones_set_aside_with_the_reason(kafka, start_ingesting, tmp_path):
    server = start_ingesting(section(["good"], "good", brokers=kafka.address, database="db"))
    good = [f"m,host=h{n % 7} v={n}i {1_700_000_000_000_000_000 + n}" for n in range(1000)]
    kafka.produce("good", good, "-z", "lz4")
    # A record of several lines, one of them bad; one that is no text; one that conflicts in type; a null.
    several = tmp_path / "several"
    several.write_text("m v=5000i 1700000000000005000\nthis is bad\nm v=6000i 1700000000000006000")
    kafka.kcat("-P", "-t", "good", several)
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(128, 256)) * 3)
    kafka.kcat("-P", "-t", "good", binary)
    kafka.produce("good", ["m v=\"text\" 1700000000000007000", "unterminated v=\"x"], "-p", "0")
    kafka.kcat("-P", "-t", "good", "-Z", "-k", "tombstone", "-K", "\t", text="k\t\n")
    kafka.produce("good", ["m v=7000i 1700000000000008000"], "-p", "0")

    expected = (1003, sum(range(1000)) + 18_000)
    wait_until(lambda: count(server) == expected, f"{expected}, there are {count(server)}", 60, every=0.3)
    set_aside = wait_until(lambda: len(found := letters(kafka, "good")) >= 4 and found, "four letters", 60, every=0.5)
    bodies = {body: headers for headers, body in set_aside}
    assert "this is bad" in bodies, "the bad line alone"
    assert "unable to parse" not in bodies["this is bad"]["reason"] and "line 2: " in bodies["this is bad"]["reason"]
    assert bodies["this is bad"]["topic"] == "good" and bodies["this is bad"]["offset"].isdigit()
    conflict = next(headers for body, headers in bodies.items() if 'v="text"' in body)
    assert "field type conflict" in conflict["reason"]
    assert any(body.startswith("unterminated") for body in bodies)
    # A write of points without a timestamp has the record's, which is about now.
    kafka.produce("good", ["now v=1i"])
    wait_until(lambda: server.rows("SELECT * FROM now WHERE time > now() - 5m AND time < now() + 5m"), "the record's time", 30)
    wait_until(lambda: metric(server, "skywatch_kafka_ingest_lag", group="good") == 0, "no lag", 30, every=0.5)
    assert metric(server, "skywatch_kafka_ingest_points_total", group="good") >= 1004
    assert metric(server, "skywatch_kafka_ingest_set_aside_total", group="good") >= 4


def test_a_kill_under_load_loses_nothing_and_doubles_nothing(kafka, start_ingesting):
    kafka.create_topic("load", 4)
    text = section(["load"], "load", brokers=kafka.address, database="db", offset="oldest")
    first, second = (start_ingesting(text) for _ in range(2))
    total, sent = 30_000, 0
    stop = threading.Event()

    def produce():
        nonlocal sent
        for begin in range(0, total, 500):
            lines = [f"m,host=h{n % 50} v={n}i {1_700_000_000_000_000_000 + n}" for n in range(begin, begin + 500)]
            kafka.produce("load", lines, "-X", "linger.ms=1")
            sent = begin + 500
            if stop.wait(0.05):
                return

    producing = threading.Thread(target=produce)
    producing.start()
    try:
        wait_until(lambda: metric(first, "skywatch_kafka_ingest_records_total") > 2000, "records on the first", 60)
        wait_until(lambda: metric(second, "skywatch_kafka_ingest_records_total") > 2000, "records on the second", 60)
        for _ in range(3):
            first.kill()
            time.sleep(0.5)
            first.start()
            time.sleep(2)
        producing.join()
    finally:
        stop.set()
    assert sent == total

    # Each point is on at least one of the two servers, and no point has another value than was sent: what moved from one to
    # the other may be on both, and is the same there.
    def points():
        found = {}
        for server in (first, second):
            for when, value in server.rows("SELECT v FROM m", epoch="ns"):
                assert found.setdefault(when, value) == value
        return found

    expected = {1_700_000_000_000_000_000 + n: n for n in range(total)}
    wait_until(lambda: len(points()) == total, f"all points, there are {len(points())} of {total}", 90, every=1)
    assert points() == expected
    assert letters(kafka, "load") == []


def test_the_whole_topic_read_again_changes_nothing(kafka, start_ingesting):
    lines = [f"m,host=h{n % 5} v={n}i {1_700_000_000_000_000_000 + n}" for n in range(5000)]
    kafka.produce("again", lines)
    server = start_ingesting(section(["again"], "again", brokers=kafka.address, database="db"))
    expected = (5000, sum(range(5000)))
    wait_until(lambda: count(server) == expected, "all points", 60, every=0.3)
    # What the second group reads is older than this write.
    server.write("m,host=h1 v=-1i 1700000000000000001")
    config = server.directory / "skywatch.toml"
    config.write_text(section(["again"], "again-2", brokers=kafka.address, database="db"))
    server.stop()
    server.start()
    wait_until(lambda: metric(server, "skywatch_kafka_ingest_records_total", group="again-2") == 5000, "all records", 60)
    wait_until(lambda: metric(server, "skywatch_kafka_ingest_points_total", group="again-2") == 5000, "all points", 60)
    assert count(server)[0] == 5000


def test_the_agent_straight_to_kafka_by_topic_suffix_and_routing_tag(kafka, start_ingesting, start_agent):
    """What a Telegraf with this configuration does, to the topics' names."""
    pattern = 'topic-pattern = "^metrics-(?<database>.+)$"'
    server = start_ingesting(
        section(["^metrics-.*"], "agents", pattern, brokers=kafka.address, create_database=True), database=None
    )
    start_agent(
        f"""
[agent]
  interval = "200ms"
  flush_interval = "200ms"
  omit_hostname = true
[[inputs.mem]]
  [inputs.mem.tags]
    host = "h1"
[[inputs.system]]
  [inputs.system.tags]
    host = "h2"
[[outputs.kafka]]
  brokers = ["{kafka.address}"]
  topic = "metrics"
  routing_tag = "host"
  [outputs.kafka.topic_suffix]
    method = "measurement"
    separator = "-"
"""
    )

    def databases():
        # Without any there is a series without rows.
        series = server.query("SHOW DATABASES", db="")["results"][0]["series"][0]
        return {row[0] for row in series.get("values", [])}

    wait_until(lambda: {"mem", "system"} <= databases(), "a database for each topic", 60, every=0.5)
    wait_until(lambda: count(server, "mem", "mem", "total")[0] > 5, "points", 60, every=0.5)
    assert server.rows('SHOW TAG VALUES FROM mem WITH KEY = "host"', db="mem") == [["host", "h1"]]


def test_database_by_tag_header_and_otherwise_set_aside(kafka, start_ingesting):
    kafka.create_topic("routed", 1)
    server = start_ingesting(
        section(
            ["routed"],
            "routed",
            brokers=kafka.address,
            database_tag="db",
            retention_policy_tag="rp",
            database_header="to",
            precision="s",
        ),
        database="net",
    )
    server.query("CREATE RETENTION POLICY week ON net DURATION INF REPLICATION 1; CREATE DATABASE head")
    kafka.produce("routed", ["m,db=net,a=b v=1i 1700000000", "m,db=net,rp=week v=2i 1700000000", "m v=3i 1700000000"])
    kafka.produce("routed", ["m,db=nowhere v=4i 1700000000"])
    kafka.produce("routed", ["m,db=net v=5i 1700000000"], "-H", "to=head")
    wait_until(lambda: count(server, db="head") == (1, 5), "the header's database", 60)
    assert count(server, db="net") == (1, 1)
    assert server.rows("SELECT sum(v) FROM week.m", db="net")[0][1] == 2
    assert server.rows("SHOW TAG KEYS FROM m", db="net") == [["a"]], "tags that route are not stored"
    set_aside = wait_until(lambda: len(found := letters(kafka, "routed")) == 2 and found, "two letters", 60, every=0.5)
    reasons = sorted(headers["reason"] for headers, _ in set_aside)
    assert reasons[1] == "nothing names a database for it" and "database not found" in reasons[0], reasons


def test_brokers_that_go_away_and_a_member_that_leaves(kafka, start_ingesting):
    kafka.create_topic("away", 2)
    text = section(["away"], "away", brokers=kafka.address, database="db")
    server = start_ingesting(text)
    lines = [f"m v={n}i {1_700_000_000_000_000_000 + n}" for n in range(3000)]
    kafka.produce("away", lines[:1000])
    wait_until(lambda: count(server)[0] == 1000, "the first points", 60)
    kafka.kill()
    time.sleep(3)
    kafka.start()
    kafka.produce("away", lines[1000:2000])
    wait_until(lambda: count(server)[0] == 2000, "points after the outage", 60)
    assert server.output().count("cannot be read from Kafka") <= 4, "told once, and once when it is over"
    # An orderly stop commits: whoever comes next begins where this one ended.
    server.stop()
    kafka.produce("away", lines[2000:])
    server.start()
    wait_until(lambda: count(server) == (3000, sum(range(3000))), "all points", 60)
    assert metric(server, "skywatch_kafka_ingest_records_total") == 1000, "nothing is read twice"


def test_tls_and_scram(kafka, start_ingesting):
    kafka.produce("secret", ["m v=1i 1700000000000000000"])
    text = f"""
[kafka]
brokers = ["{kafka.secure}"]
tls-enabled = true
tls-ca = "{kafka.tls}/ca.pem"
tls-certificate = "{kafka.tls}/client.crt"
tls-private-key = "{kafka.tls}/client.key"
sasl-mechanism = "SCRAM-SHA-512"
sasl-username = "{Kafka.USER}"
sasl-password = "{Kafka.PASSWORD}"
""" + section(["secret"], "secret", database="db")
    server = start_ingesting(text)
    wait_until(lambda: count(server) == (1, 1), "the point", 60)
    wrong = start_ingesting(text.replace(Kafka.PASSWORD, "wrong").replace('"secret"\n', '"secret-2"\n'))
    wait_until(lambda: "uthentication failed" in wrong.output(), "the reason in the log", 60)
    assert count(wrong) == (0, 0) and wrong.write("m v=2i 1").status_code == 204, "everything else works"


def test_mistakes_are_told_with_key_and_line(skywatch_bin, tmp_path):
    path = tmp_path / "skywatch.toml"
    for text, parts in [
        ('[kafka]\nbrokers = ["a:9092"]\ncompression = "best"', ["line 3", "best", "zstd"]),
        ('[[kafka-ingest]]\nbrokers = ["a:9092"]\ntopics = ["t"]', ["kafka-ingest", "number 1", "database is missing"]),
        ('[[kafka-ingest]]\nprecision = "days"', ["line 2", "days"]),
    ]:
        path.write_text(text)
        done = subprocess.run([skywatch_bin, "config", "check", path], capture_output=True, text=True)
        assert done.returncode != 0
        assert all(part in done.stdout + done.stderr for part in parts), done.stdout + done.stderr
