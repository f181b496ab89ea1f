"""A cloud of cloud.py with the Kafka that is rendered for it: brokers, and ZooKeeper nodes where the release has them, from the
archive's libraries.

    with KafkaCloud(skywatch_bin, directory, "4.1.1", inventory) as cloud:     # Kafka runs and has its topics; nothing else does
        cloud.start()
        cloud.brokers[0].services["kafka"].kill()
        cloud.restart(cloud.brokers[0])
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from cloud import Cloud
from conftest import need, wait_until
from kafka_stack import need_kafka

# What Kafka's own archive has below bin, by what it runs; an archive is more than the tests have.
PROGRAMS = {
    "kafka-server-start.sh": "kafka.Kafka",
    "zookeeper-server-start.sh": "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    "kafka-storage.sh": "kafka.tools.StorageTool",
}
DIRECTORY = "/var/tmp/kafka"
CA = "/etc/skywatch/tls/ca.pem"


class Broker:
    """A host that is a broker, perhaps a ZooKeeper node too."""

    def __init__(self, cloud, node):
        self.name, self.full_name, self.host = node.name, node.full_name, node.host
        self.files = cloud.tree / "hosts" / node.name
        self.host.path(f"{DIRECTORY}/bin/x").parent.mkdir(parents=True, exist_ok=True)
        for script, program in cloud.programs().items():
            path = self.host.path(f"{DIRECTORY}/bin/{script}")
            path.write_text(f"#!/bin/sh\nexec java $KAFKA_HEAP_OPTS {cloud.options} -cp '{cloud.libraries}/*' {program} \"$@\"\n")
            path.chmod(0o755)
        self.services = {}

    def unit(self, name):
        return (self.files / f"etc/systemd/system/{name}.service").read_text()

    def start(self, name, log):
        """Starts what a unit starts, after what is to be done before."""
        unit = self.unit(name)
        variables = {}
        for file in re.findall(r"^EnvironmentFile=(.*)$", unit, re.MULTILINE):
            lines = [line for line in self.host.path(file).read_text().splitlines() if not line.startswith("#")]
            variables |= dict(line.split("=", 1) for line in lines)
        heap = {"KAFKA_HEAP_OPTS": "-Xms64m -Xmx400m"}
        for before in re.findall(r"^ExecStartPre=(.*)$", unit, re.MULTILINE):
            command = [re.sub(r"\$\{(\w+)\}", lambda found: variables[found.group(1)], part) for part in shlex.split(before)]
            done = subprocess.run(
                self.host.command(command), env={**os.environ, **heap}, capture_output=True, text=True, timeout=180
            )
            assert done.returncode == 0, done.stdout + done.stderr
        command = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE).group(1))
        service = self.host.process(command, log, {**os.environ, **heap})
        self.services[name] = service.start()

    def asks_zookeeper(self, word, identified=True):
        """What ZooKeeper answers to a four-letter word over TLS, as RUNBOOK.md asks."""
        who = "-cert /etc/skywatch/tls/host.pem -key /etc/skywatch/tls/host.key" if identified else ""
        shell = f"echo {word} | timeout 20 openssl s_client -quiet -connect localhost:2281 -CAfile {CA} {who} 2>&1"
        return self.host.run("sh", "-c", shell, check=False)


class KafkaCloud(Cloud):
    """See the head of the file."""

    def __init__(self, binary, directory, version, inventory):
        need_kafka(version)
        for command in ("openssl", "kcat"):
            need(command, command)
        self.version = version
        home = os.environ.get("SKYWATCH_KAFKA_DIR") or Path.home() / ".cache/skywatch" / f"kafka-{version}"
        self.libraries = Path(home) / "libs"
        self.options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        self.with_zookeeper = version.startswith("3.5")
        super().__init__(binary, directory, inventory)

    def programs(self):
        tools = "kafka.admin" if self.version.startswith("3.") else "org.apache.kafka.tools"
        return {**PROGRAMS, "kafka-topics.sh": f"{tools}.TopicCommand", "kafka-acls.sh": f"{tools}.AclCommand"}

    def __enter__(self):
        super().__enter__()
        try:
            self.brokers = [Broker(self, node) for node in self.of("kafka")]
            self.start_kafka()
        except BaseException:
            self.network.remove()
            raise
        return self

    def log(self, broker, service):
        return self.directory / f"{broker.name}-{service}.log"

    def start_kafka(self):
        if self.with_zookeeper:
            for broker in self.brokers:
                broker.start("zookeeper", self.log(broker, "zookeeper"))
            self.awaits(lambda: sorted(self.modes()) == ["follower", "follower", "leader"], "ZooKeeper", "zookeeper")
        for broker in self.brokers:
            broker.start("kafka", self.log(broker, "kafka"))
        self.awaits(lambda: len(self.metadata()) == len(self.brokers), "the brokers", "kafka")
        command = self.brokers[0].host.command(["env", "KAFKA_HEAP_OPTS=-Xmx200m", "sh", "/etc/kafka/topics.sh"])
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr + self.words("kafka")
        self.described = done.stdout

    def restart(self, broker):
        """Starts a broker that has ended, and waits until it answers."""
        broker.start("kafka", self.log(broker, "kafka"))
        self.awaits(lambda: broker.full_name in self.metadata(), f"{broker.name} to answer", "kafka")

    def awaits(self, condition, what, service):
        def done():
            ended = [broker.name for broker in self.brokers if not broker.services[service].running()]
            assert not ended, f"{ended} ended:\n{self.words(service)}"
            return condition()

        try:
            wait_until(done, what, 240, every=1)
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}:\n{self.words(service)}")

    def words(self, service):
        logs = [self.log(broker, service) for broker in self.brokers]
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in logs if log.exists())

    def modes(self):
        return [found for broker in self.brokers for found in re.findall(r"Mode: (\w+)", broker.asks_zookeeper("srvr"))]

    def metadata(self):
        """Names of the brokers that answer."""
        done = self.kcat("admin", "-L", "-m", "10")
        return set(re.findall(r"broker \d+ at (\S+):9092", done.stdout))

    def kcat(self, user, *arguments, text=None, password=None):
        """kcat with TLS on the first broker's host, as a user."""
        password = password or self.secrets[f"kafka-{user}"]
        settings = {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": CA,
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": password,
        }
        options = [part for key, value in settings.items() for part in ("-X", f"{key}={value}")]
        host = self.brokers[0].host
        command = host.command(["kcat", "-b", f"{self.brokers[0].full_name}:9092", *options, *arguments])
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=90)
