"""The agent and a real Apache Kafka, with kcat as an independent client: nothing lost, order kept, lag as Kafka has it."""

import base64
import json
import subprocess
import time

import pytest
from conftest import Process, wait_until
from kafka_stack import Kafka

AGENT = """
[agent]
  interval = "1s"
  flush_interval = "200ms"
  metric_batch_size = 500
  metric_buffer_limit = 100000
  omit_hostname = true
"""

SECURE = """
  tls_ca = "{tls}/ca.pem"
  tls_cert = "{tls}/client.crt"
  tls_key = "{tls}/client.key"
"""


@pytest.fixture
def start_agent(skywatch_bin, tmp_path):
    """A function that starts an agent with this configuration; what it started is stopped after the test."""
    started = []

    def start(config):
        path = tmp_path / f"agent-{len(started)}.conf"
        path.write_text(AGENT + config)
        agent = Process([skywatch_bin, "agent", "--config", path], tmp_path / f"agent-{len(started)}.log").start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.stop()


def lines(hosts, each, start=0):
    """Keyed lines, each host's in the order of their times."""
    return [
        (f"kvm-{host:02}", f"cpu,host=kvm-{host:02} n={n}i {1_700_000_000_000_000_000 + n * 1_000_000}")
        for n in range(start, start + each)
        for host in range(hosts)
    ]


def keyed(pairs):
    return [f"{key}\t{line}" for key, line in pairs]


def first_ones(items):
    """Without repetitions: a message may come twice, and the first counts."""
    return list(dict.fromkeys(items))


def by_key(messages):
    """key -> payloads in order, from kcat's `key TAB payload`."""
    found = {}
    for message in messages:
        key, payload = message.split("\t", 1)
        found.setdefault(key, []).append(payload)
    return found


def assert_all_in_order(messages, pairs):
    found = by_key(messages)
    expected = {}
    for key, line in pairs:
        expected.setdefault(key, []).append(line)
    assert found.keys() == expected.keys()
    for key, payloads in expected.items():
        assert first_ones(found[key]) == payloads, key


def consumer(broker, topic, group, extra=""):
    return f"""
[[inputs.kafka_consumer]]
  brokers = ["{broker}"]
  topics = ["{topic}"]
  consumer_group = "{group}"
  {extra}
"""


def output(broker, topic, extra=""):
    return f"""
[[outputs.kafka]]
  brokers = ["{broker}"]
  topic = "{topic}"
  {extra}
"""


def test_through_kafka_and_back_every_metric_once_in_order_with_key_header_and_time(kafka, start_agent):
    pairs = lines(hosts=5, each=200)
    kafka.produce("through-in", keyed(pairs), "-K\t")
    config = output(
        kafka.address,
        "through-out",
        """routing_tag = "host"
  compression_codec = 4
  idempotent_writes = true
  [outputs.kafka.headers]
    source = "{{ .Tag \\"host\\" }}/{{ .Name }}"
""",
    )
    start_agent(config + consumer(kafka.address, "through-in", "through"))
    wait_until(lambda: len(kafka.messages("through-out")) >= len(pairs), "all messages", every=0.5)
    stored = kafka.messages("through-out", "%k\t%h\t%T\t%s")
    assert len(stored) == len(pairs), "none twice"
    for message in stored:
        key, header, milliseconds, payload = message.split("\t")
        assert header == f"source={key}/cpu"
        assert payload.split()[-1] == f"{milliseconds}000000"
    assert_all_in_order(kafka.messages("through-out"), pairs)


def test_a_broker_that_goes_away_costs_nothing_and_order_is_kept(kafka, start_agent, tmp_path):
    config = f"""
[[outputs.file]]
  files = ["{tmp_path}/out.lp"]
[[inputs.system]]
  interval = "20ms"
  precision = "1ms"
  fieldinclude = ["uptime"]
"""
    agent = start_agent(output(kafka.address, "outage", 'routing_key = "one"') + config)

    def written():
        return len((tmp_path / "out.lp").read_text().splitlines()) if (tmp_path / "out.lp").exists() else 0

    wait_until(lambda: kafka.count("outage") > 50, "messages before the outage", every=0.3)
    kafka.kill()
    before = written()
    # Long enough for writes to reach their deadline and be taken back.
    wait_until(lambda: "write failed" in agent.output() and written() > before + 100, "a write that failed", every=0.3)
    reached = written()
    kafka.start()
    wait_until(lambda: kafka.count("outage") > reached, "messages after the outage", 60, every=0.5)
    assert agent.stop() == 0
    expected = (tmp_path / "out.lp").read_text().splitlines()
    assert len(expected) > 200
    assert_all_in_order(kafka.messages("outage"), [("one", line) for line in expected])


def test_a_killed_consumer_loses_nothing(kafka, start_agent, skywatch):
    pairs = lines(hosts=10, each=1000)
    kafka.produce("killed", keyed(pairs), "-K\t")
    config = consumer(kafka.address, "killed", "killed", "max_undelivered_messages = 300") + f"""
[[outputs.influxdb]]
  urls = ["{skywatch.url}"]
  database = "db"
"""

    def stored():
        rows = skywatch.rows("SELECT count(n) FROM cpu")
        return rows[0][1] if rows else 0

    agent = start_agent(config)
    wait_until(lambda: stored() >= 2500, "a part of the points", 60, every=0.02)
    agent.kill()
    assert stored() < len(pairs), "killed while messages were under way"
    # The broker gives the partitions away once the session of the killed one has ended, ten seconds later.
    agent = start_agent(config)
    wait_until(lambda: stored() == len(pairs), "all points", 60)
    wait_until(lambda: all(row[2] == "0" for row in kafka.group_lag("killed").values()), "everything committed")
    assert agent.stop() == 0


def test_two_consumers_share_a_group_and_nothing_is_lost_when_one_leaves(kafka, start_agent, tmp_path):
    kafka.produce("shared", keyed(lines(hosts=6, each=50)), "-K\t")
    agents = []
    for name in ("a", "b"):
        config = consumer(kafka.address, "shared", "shared", 'balance_strategy = "roundrobin"')
        agents.append(start_agent(config + f'[[outputs.file]]\n  files = ["{tmp_path}/{name}.lp"]\n'))

    def found():
        files = [tmp_path / f"{name}.lp" for name in ("a", "b")]
        return {line for file in files if file.exists() for line in file.read_text().splitlines()}

    wait_until(lambda: len(found()) >= 300, "the first messages")
    kafka.produce("shared", keyed(lines(hosts=6, each=50, start=50)), "-K\t")
    agents[0].stop()
    wait_until(lambda: len(found()) >= 600, "messages over the rebalance", 60)
    kafka.produce("shared", keyed(lines(hosts=6, each=50, start=100)), "-K\t")
    wait_until(lambda: len(found()) >= 900, "messages after the rebalance", 60)
    assert found() == {line for _, line in lines(hosts=6, each=150)}


def test_an_unreadable_or_oversize_message_is_told_of_and_passed(kafka, start_agent, tmp_path):
    long = f'cpu text="{"x" * 300}"'
    kafka.produce("bad", ["cpu n=1i 1", "no line protocol", long, "cpu n=2i 2"], "-p", "0")
    config = consumer(
        kafka.address, "ba.*", "bad", 'topic_regexps = ["^ba.$"]\n  topic_tag = "topic"\n  max_message_len = 200'
    ).replace('topics = ["ba.*"]', "topics = []")
    agent = start_agent(config + f'[[outputs.file]]\n  files = ["{tmp_path}/out.lp"]\n')
    wait_until(lambda: kafka.group_lag("bad").get(("bad", 0)) == ("4", "4", "0"), "all four consumed", every=0.5)
    assert (tmp_path / "out.lp").read_text() == "cpu,topic=bad n=1i 1\ncpu,topic=bad n=2i 2\n"
    told = agent.output()
    assert "partition 0, offset 1" in told, told


def test_one_too_large_costs_no_other(kafka, start_agent, tmp_path):
    kafka.tool("topics", "--create", "--topic", "small", "--partitions", "1", "--config", "max.message.bytes=2000")
    pairs = [("k", f"cpu n={n}i {n}") for n in range(1, 301)]
    big = f'cpu text="{"x" * 4000}" 150'
    sent = [line for _, line in pairs]
    sent.insert(150, big)
    kafka.produce("small-in", sent, "-p", "0")
    agent = start_agent(
        output(kafka.address, "small", 'routing_key = "k"') + consumer(kafka.address, "small-in", "small")
    )
    wait_until(lambda: len(kafka.messages("small")) >= len(pairs), "all that fit", every=0.5)
    assert by_key(kafka.messages("small")) == {"k": [line for _, line in pairs]}
    wait_until(lambda: "1 metrics refused for good" in agent.output(), "the refusal told of")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_tls_and_sasl(kafka, start_agent, mechanism):
    topic = f"secure-{mechanism.lower()}"
    token = unsigned_token("skywatch")
    login = f"""
  sasl_mechanism = "{mechanism}"
  sasl_username = "{Kafka.USER}"
  sasl_password = "{Kafka.PASSWORD}"
  sasl_access_token = "{token}"
""" + SECURE.format(tls=kafka.tls)
    pairs = lines(hosts=2, each=20)
    kafka.produce(f"{topic}-in", keyed(pairs), "-K\t")
    start_agent(
        output(kafka.secure, topic, 'routing_tag = "host"' + login) + consumer(kafka.secure, f"{topic}-in", topic, login)
    )
    wait_until(lambda: len(kafka.messages(topic)) >= len(pairs), "all messages", every=0.5)
    assert_all_in_order(kafka.messages(topic), pairs)


def unsigned_token(subject):
    """What the broker's own handler of unsigned tokens takes."""

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': subject, 'iat': now - 5, 'exp': now + 3600})}."


def test_a_wrong_password_is_told_of_and_nothing_is_dropped(kafka, start_agent):
    login = f'sasl_username = "{Kafka.USER}"\n  sasl_password = "wrong"' + SECURE.format(tls=kafka.tls)
    agent = start_agent(output(kafka.secure, "refused", login) + consumer(kafka.secure, "x", "x", login))
    wait_until(lambda: agent.output().lower().count("authentication failed") >= 2, "both plugins to say why")
    assert agent.running()


def line_parts(line):
    """A line of `agent --test` without anything to unescape: measurement, tags, fields as texts."""
    series, fields, _ = line.removeprefix("> ").split(" ")
    name, *tags = series.split(",")
    return name, dict(tag.split("=", 1) for tag in tags), dict(field.split("=", 1) for field in fields.split(","))


def cluster_points(skywatch_bin, tmp_path, broker, extra=""):
    config = tmp_path / "cluster.conf"
    config.write_text(AGENT + f'[[inputs.kafka]]\n  brokers = ["{broker}"]\n{extra}')
    command = [skywatch_bin, "agent", "--config", config, "--test"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line_parts(line) for line in done.stdout.splitlines() if line.startswith("> ")]


def test_the_cluster_and_its_lag_are_as_kafka_has_them(kafka, skywatch_bin, start_agent, tmp_path):
    kafka.produce("lagging", keyed(lines(hosts=7, each=30)), "-K\t")
    agent = start_agent(consumer(kafka.address, "lagging", "laggard") + "[[outputs.discard]]\n")
    wait_until(
        lambda: (lag := kafka.group_lag("laggard")) and all(row[2] == "0" for row in lag.values()),
        "everything committed",
        every=0.5,
    )
    agent.stop()
    kafka.produce("lagging", keyed(lines(hosts=7, each=11, start=30)), "-K\t")
    lag = kafka.group_lag("laggard")
    assert sum(int(row[2]) for row in lag.values()) == 77
    login = f"""
  sasl_mechanism = "SCRAM-SHA-512"
  sasl_username = "{Kafka.USER}"
  sasl_password = "{Kafka.PASSWORD}"
""" + SECURE.format(tls=kafka.tls)
    for broker, extra in ((kafka.address, ""), (kafka.secure, login)):
        points = cluster_points(skywatch_bin, tmp_path, broker, extra + '  topic_include = ["lag*"]\n  group_include = ["lag*"]')
        told = {
            (tags["topic"], int(tags["partition"])): tuple(fields[key].rstrip("i") for key in ("committed", "high", "lag"))
            for name, tags, fields in points
            if name == "kafka_consumer_lag"
        }
        assert told == lag
        groups = [(tags["group"], fields) for name, tags, fields in points if name == "kafka_consumer_group"]
        assert [group for group, _ in groups] == ["laggard"]
        assert groups[0][1] | {"lag_max": ""} == {
            "state": '"Empty"', "members": "0i", "partitions": f"{len(lag)}i", "lag": "77i", "lag_max": "",
        }
        topics = {tags["topic"]: fields for name, tags, fields in points if name == "kafka_topic"}
        assert topics.keys() == {"lagging"}
        assert topics["lagging"]["messages"] == f"{7 * 41}i"
        assert int(topics["lagging"]["log_size"].rstrip("i")) > 7 * 41 * 20
        partitions = [fields for name, _, fields in points if name == "kafka_partition"]
        assert len(partitions) == 3 and all(p["isr"] == "1i" and p["offline"] == "false" for p in partitions)
        brokers = [fields for name, _, fields in points if name == "kafka_broker"]
        assert len(brokers) == 1 and brokers[0]["up"] == "true" and brokers[0]["controller"] == "true"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"])
def test_the_cluster_is_asked_with_sasl(kafka, skywatch_bin, tmp_path, mechanism):
    login = f"""
  sasl_mechanism = "{mechanism}"
  sasl_username = "{Kafka.USER}"
  sasl_password = "{Kafka.PASSWORD}"
  sasl_access_token = "{unsigned_token("skywatch")}"
""" + SECURE.format(tls=kafka.tls)
    points = cluster_points(skywatch_bin, tmp_path, kafka.secure, login)
    assert {name for name, _, _ in points} >= {"kafka_cluster", "kafka_broker"}
