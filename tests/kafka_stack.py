"""Real Apache Kafka for tests: one KRaft broker of 4.x, and three brokers of 3.5 on three ZooKeeper nodes.

`Kafka` is the one broker, `KafkaStack` the six processes, each of which can be killed and started again. Both have a
plain listener (`address`) and one that wants TLS and SASL (`secure`), and answer the same questions through kcat and
Kafka's own tools. See scripts/kafka.sh for where they come from. Fixtures: `kafka` and `kafka_stack` in conftest.py.
"""

import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import Cluster
from conftest import ROOT, Process, free_port, need, wait_until

SCRIPT = ROOT / "scripts" / "kafka.sh"


class KafkaClient:
    """What tests ask a Kafka, by kcat and by Kafka's own tools. Wants `address` and `version`."""

    USER, PASSWORD = "skywatch", "correct-horse"

    def lists(self):
        asked = subprocess.run(["kcat", "-b", self.address, "-L", "-m", "2"], capture_output=True)
        return asked.returncode == 0

    def metadata(self):
        """What the brokers say of themselves and of all topics."""
        return json.loads(self.kcat("-L", "-J"))

    def kcat(self, *arguments, text=None, seconds=60):
        """What kcat prints."""
        command = ["kcat", "-b", self.address, *arguments]
        text = text.encode() if isinstance(text, str) else text
        done = subprocess.run(command, input=text, capture_output=True, timeout=seconds)
        assert done.returncode == 0, done.stderr
        # What is no text shows as such.
        return done.stdout.decode(errors="replace")

    def produce(self, topic, lines, *arguments):
        """A message for each line, by kcat; `KEY\t` before the line where `-K\t` is among the arguments."""
        self.kcat("-P", "-t", topic, *arguments, text="".join(f"{line}\n" for line in lines))

    def partitions(self, topic):
        """How many a topic has; 0 for one that is not there."""
        known = self.metadata()["topics"]
        return next((len(found["partitions"]) for found in known if found["topic"] == topic), 0)

    def messages(self, topic, form="%k\t%s\n"):
        """All messages of a topic as kcat formats them; those of a partition in their order."""
        known = self.partitions(topic) > 0
        printed = self.kcat("-C", "-t", topic, "-e", "-q", "-o", "beginning", "-f", form) if known else ""
        return [line for line in printed.split("\n") if line]

    def count(self, topic):
        """How many messages a topic has got; also while more are coming, when `messages` would never see its end."""
        ends = []
        for partition in range(self.partitions(topic)):
            # One that has no leader yet, or again, has an end that nobody tells.
            asked = [need("kcat", "kcat"), "-b", self.address, "-Q", "-t", f"{topic}:{partition}:-1"]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
            end = re.search(r"(\d+)\s*$", done.stdout)
            ends += [int(end[1])] if done.returncode == 0 and end else []
        return sum(ends)

    def tool(self, name, *arguments):
        """What one of Kafka's own tools prints: `topics`, `groups`, `configs` or `delete-records`."""
        command = [SCRIPT, name, "--bootstrap-server", self.address, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(self.version))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def create_topic(self, topic, partitions=1, replicas=None, **config):
        """By Kafka's own tool; `config` as in `min_insync_replicas=2`."""
        arguments = ["--create", "--topic", topic, "--partitions", str(partitions)]
        arguments += ["--replication-factor", str(replicas)] if replicas else []
        for key, value in config.items():
            arguments += ["--config", f"{key.replace('_', '.')}={value}"]
        self.tool("topics", *arguments)

    def configuration(self, topic):
        """key -> value of what a topic sets itself."""
        printed = self.tool("topics", "--describe", "--topic", topic)
        pairs = printed.splitlines()[0].split("Configs:", 1)[1].strip()
        return dict(pair.split("=", 1) for pair in pairs.split(",") if pair)

    def group_lag(self, group):
        """(topic, partition) -> (committed, high watermark, lag), as Kafka's own tool has it."""
        lag = {}
        for line in self.tool("groups", "--describe", "--group", group).splitlines():
            words = line.split()
            if len(words) > 5 and words[0] == group and words[2].isdigit():
                lag[words[1], int(words[2])] = (words[3], words[4], words[5])
        return lag


def environment(version, heap=None):
    """What scripts/kafka.sh reads."""
    return {**os.environ, "KAFKA_VERSION": version, **({"KAFKA_HEAP": heap} if heap else {})}


def need_kafka(version):
    """Skips the test by name where this Kafka is not installed."""
    need("java", "default-jre-headless")
    need("kcat", "kcat")
    if subprocess.run([SCRIPT, "present"], env=environment(version)).returncode != 0:
        pytest.skip(f"Apache Kafka {version} is not there (KAFKA_VERSION={version} scripts/kafka.sh fetch)")


def make_certificates(directory):
    """An authority `ca.pem`, `broker.pem` (key and certificate), and `client.crt` with `client.key`."""

    def openssl(*arguments):
        subprocess.run([need("openssl", "openssl"), *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test authority")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    for name in ("broker", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")
    parts = [(directory / part).read_text() for part in ("broker.key", "broker.crt")]
    (directory / "broker.pem").write_text("".join(parts))


class Kafka(Process, KafkaClient):
    """One broker of Kafka 4 (KRaft), with a second listener that wants TLS and SASL.

    `secure` is that listener's address, `tls` the directory of `ca.pem`, `client.crt` and `client.key`.
    """

    def __init__(self, directory, version="4.1.1"):
        need_kafka(version)
        self.version = version
        self.tls = Path(directory)
        make_certificates(self.tls)
        ports = [free_port() for _ in range(3)]
        self.address, self.secure = f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[2]}"
        command = [SCRIPT, "run", directory, *ports]
        super().__init__(command, self.tls / "kafka.log", environment(version))

    def start(self):
        super().start()
        wait_until(lambda: not self.running() or self.lists(), "the broker to answer", 60)
        assert self.running(), self.output()
        return self


class ZooKeeper(Process):
    """One node of an ensemble."""

    def __init__(self, number, directory, version):
        self.number, self.version = number, version
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.port, self.peer_port, self.election_port = (free_port() for _ in range(3))
        self.configuration = self.directory / "zoo.cfg"
        command = [SCRIPT, "zookeeper", self.configuration]
        super().__init__(command, self.directory / "zookeeper.log", environment(version, "-Xms32m -Xmx64m"))

    def configure(self, ensemble):
        (self.directory / "data").mkdir()
        (self.directory / "data" / "myid").write_text(f"{self.number}\n")
        servers = "".join(
            f"server.{node.number}=127.0.0.1:{node.peer_port}:{node.election_port}\n" for node in ensemble
        )
        self.configuration.write_text(
            f"""
tickTime=500
initLimit=20
syncLimit=10
maxClientCnxns=0
dataDir={self.directory}/data
clientPortAddress=127.0.0.1
clientPort={self.port}
4lw.commands.whitelist=srvr
admin.enableServer=false
{servers}"""
        )

    def mode(self):
        """`leader` or `follower`; None for one that does not serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"srvr")
                answer = b""
                while part := connection.recv(4096):
                    answer += part
        except OSError:
            return None
        lines = [line.split(":", 1) for line in answer.decode(errors="replace").splitlines() if ":" in line]
        return dict(lines).get("Mode", "").strip() or None


class Broker(Process):
    """One broker of a stack."""

    def __init__(self, number, directory, version):
        self.number = number
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.port, self.secure_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.configuration = self.directory / "server.properties"
        command = [SCRIPT, "broker", self.configuration]
        super().__init__(command, self.directory / "broker.log", environment(version, "-Xms64m -Xmx192m"))

    def configure(self, zookeepers, tls, extra):
        connect = ",".join(f"127.0.0.1:{node.port}" for node in zookeepers)
        user, password = KafkaClient.USER, KafkaClient.PASSWORD
        secure = "listener.name.secure"
        login = "org.apache.kafka.common.security"
        self.configuration.write_text(
            f"""
broker.id={self.number}
zookeeper.connect={connect}
zookeeper.session.timeout.ms=3000
zookeeper.connection.timeout.ms=60000
listeners=PLAIN://127.0.0.1:{self.port},SECURE://127.0.0.1:{self.secure_port}
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=PLAIN
{secure}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
{secure}.plain.sasl.jaas.config={login}.plain.PlainLoginModule required user_{user}="{password}";
{secure}.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
{secure}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
{secure}.ssl.keystore.type=PEM
{secure}.ssl.keystore.location={tls}/broker.pem
{secure}.ssl.truststore.type=PEM
{secure}.ssl.truststore.location={tls}/ca.pem
{secure}.ssl.client.auth=requested
log.dirs={self.directory}/data
num.partitions=3
default.replication.factor=3
min.insync.replicas=2
auto.create.topics.enable=true
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
replica.lag.time.max.ms=5000
replica.fetch.wait.max.ms=100
leader.imbalance.check.interval.seconds=10
controlled.shutdown.retry.backoff.ms=500
num.network.threads=2
num.io.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.enable=false
{extra}
"""
        )


class KafkaStack(KafkaClient):
    """Three brokers of Kafka 3.5 on three ZooKeeper nodes: replication 3, min.insync.replicas 2.

    `brokers` and `zookeepers` are processes: `kill()` is kill -9, `stop()` is orderly, `start()` starts it again with the
    same data. `extra` is further text for each server.properties.
    """

    VERSION = "3.5.2"

    def __init__(self, directory, version=VERSION, extra=""):
        need_kafka(version)
        self.version = version
        self.directory = Path(directory)
        self.tls = self.directory / "tls"
        self.tls.mkdir(parents=True)
        make_certificates(self.tls)
        self.zookeepers = [ZooKeeper(n, self.directory / f"zookeeper-{n}", version) for n in (1, 2, 3)]
        self.brokers = [Broker(n, self.directory / f"broker-{n}", version) for n in (1, 2, 3)]
        for node in self.zookeepers:
            node.configure(self.zookeepers)
        for broker in self.brokers:
            broker.configure(self.zookeepers, self.tls, extra)
        self.address = ",".join(broker.address for broker in self.brokers)
        self.secure = ",".join(f"127.0.0.1:{broker.secure_port}" for broker in self.brokers)

    def start(self):
        """Starts all six, and returns when each broker serves."""
        for process in [*self.zookeepers, *self.brokers]:
            process.start()
        wait_until(lambda: self.broken() or self.live() == {1, 2, 3}, "three brokers", 120, every=0.3)
        assert not self.broken(), self.output()
        return self

    def stop(self):
        """All at once and at once: nobody needs the data."""
        for process in [*self.brokers, *self.zookeepers]:
            if process.running():
                process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def broken(self):
        return any(not process.running() for process in [*self.zookeepers, *self.brokers])

    def output(self):
        return "\n".join(f"== {p.log}\n{p.output()[-3000:]}" for p in [*self.zookeepers, *self.brokers] if p.log.exists())

    def add_scram_user(self, user=KafkaClient.USER, password=KafkaClient.PASSWORD):
        """Lets clients log in with SCRAM; PLAIN's users stand in the brokers' files."""
        config = f"SCRAM-SHA-256=[password={password}],SCRAM-SHA-512=[password={password}]"
        arguments = ["--alter", "--add-config", config, "--entity-type", "users", "--entity-name", user]
        self.tool("configs", *arguments)

    def broker(self, number):
        return self.brokers[number - 1]

    def live(self):
        """Numbers of the brokers that the cluster counts as there."""
        asked = subprocess.run(
            ["kcat", "-b", self.address, "-L", "-J", "-m", "3"], capture_output=True, text=True
        )
        if asked.returncode != 0:
            return set()
        return {broker["id"] for broker in json.loads(asked.stdout)["brokers"]}

    def controller(self):
        """Number of the broker that is the controller now."""
        return self.metadata()["controllerid"]

    def describe(self, topic):
        """partition -> {"leader": number or -1, "replicas": {...}, "isr": {...}}"""
        for found in self.metadata()["topics"]:
            if found["topic"] == topic:
                return {
                    part["partition"]: {
                        "leader": part["leader"],
                        "replicas": {replica["id"] for replica in part["replicas"]},
                        "isr": {replica["id"] for replica in part["isrs"]},
                    }
                    for part in found["partitions"]
                }
        return {}

    def is_whole(self):
        """Whether each broker serves and every partition has all its replicas in step."""
        if self.live() != {1, 2, 3}:
            return False
        parts = [part for topic in self.metadata()["topics"] for part in topic["partitions"]]
        return all(len(part["isrs"]) == len(part["replicas"]) and part["leader"] > 0 for part in parts)

    def wait_until_whole(self, seconds=120):
        wait_until(self.is_whole, "every replica to be in step", seconds, every=0.5)


@contextmanager
def cluster_over_log(binary, directory, kafka):
    """One meta and two data nodes that write through the log that `kafka`, the table of their configuration, describes."""
    config = {"replication": {"mode": "kafka", "freshness": "2s"}, "kafka": kafka}
    cluster = Cluster(binary, directory, data_config=config)
    try:
        cluster.start(metas=1, data=2)
        wait_until(lambda: kafka["topic"] in cluster.ctl("show-lag"), "the cluster to write through the log", 60)
        yield cluster
    finally:
        print(cluster.outputs()[-20_000:])
        cluster.stop()
