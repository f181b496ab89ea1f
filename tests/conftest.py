"""What the end-to-end tests share: starting servers on loopback, waiting, and never leaving one behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "out"
START_SECONDS_MAX = 30


def pytest_configure(config):
    OUT.mkdir(parents=True, exist_ok=True)


def free_port():
    """A port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, seconds=START_SECONDS_MAX, every=0.1):
    """Waits for `condition()` to be true and returns what it returned; fails saying `what` was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    pytest.fail(f"waited {seconds} s for {what}")


def need(command, package):
    """The path of `command`; skips the test by name when the counterpart is not installed."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        pytest.skip(f"{command} is not installed (Debian package {package})")
    return path


def answers(url):
    """Whether a server answers at `url`, with any status."""
    try:
        requests.get(url, timeout=2)
        return True
    except requests.RequestException:
        return False


class Process:
    """A server process of a test: its output kept in a file, ended by its pid."""

    def __init__(self, command, log, env=None):
        self.command = [str(part) for part in command]
        self.log = Path(log)
        self.env = env
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self.env
            )
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        """kill -9, and reaped."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=20):
        """Asks it to stop; kills it if it does not. Returns its exit code."""
        if self.process is None:
            return None
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode


class Skywatch(Process):
    """`skywatch run` with a data directory of its own, on free ports of loopback."""

    def __init__(self, binary, directory, *arguments, console=False, agent=False, monitor=False, env=None):
        self.binary = binary
        self.directory = Path(directory)
        self.http_port = free_port()
        self.console_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.console_url = f"http://127.0.0.1:{self.console_port}"
        self.session = requests.Session()
        command = [binary, "run", "--data-dir", self.directory / "data"]
        command += ["--http-bind", f"127.0.0.1:{self.http_port}"]
        command += ["--console-bind", f"127.0.0.1:{self.console_port}"] if console else ["--no-console"]
        command += [] if agent else ["--no-agent"]
        command += [] if monitor else ["--no-monitor"]
        super().__init__(command + list(arguments), self.directory / "skywatch.log", env)

    def start(self):
        super().start()
        wait_until(lambda: not self.running() or answers(f"{self.url}/ping"), "skywatch to answer /ping")
        assert self.running(), self.output()
        return self

    def write(self, lines, db="db", **params):
        return self.session.post(f"{self.url}/write", params={"db": db, **params}, data=lines.encode(), timeout=30)

    def query(self, q, db="db", **params):
        """The parsed JSON answer; fails on an HTTP error."""
        answer = self.session.post(f"{self.url}/query", params={"db": db, **params}, data={"q": q}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, q, db="db", **params):
        """The rows of the only series of the only statement; [] when there is none."""
        result = self.query(q, db, **params)["results"][0]
        assert "error" not in result, result
        return result["series"][0]["values"] if "series" in result else []


class Influxd(Process):
    """Debian's InfluxDB 1.6.7 in a directory of its own, on free ports of loopback; telemetry off.

    `data`, `http` and `monitor` are further keys of those sections, `sections` is more text of its configuration.
    """

    def __init__(self, directory, data="", http="log-enabled = false", monitor="store-enabled = false", sections=""):
        binary = need("influxd", "influxdb")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.directory = Path(directory) / "influxd"
        self.directory.mkdir(parents=True)
        config = self.directory / "influxdb.conf"
        config.write_text(
            f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{self.directory}/meta"
[data]
dir = "{self.directory}/data"
wal-dir = "{self.directory}/wal"
index-version = "inmem"
{data}
[monitor]
{monitor}
[http]
bind-address = "127.0.0.1:{self.port}"
{http}
{sections}"""
        )
        super().__init__([binary, "run", "-config", config], self.directory / "influxd.log")

    def start(self):
        super().start()
        wait_until(lambda: not self.running() or answers(f"{self.url}/ping"), "influxd to answer /ping")
        assert self.running(), self.output()
        return self


class Kafka(Process):
    """Apache Kafka on loopback: one broker, with a second listener that wants TLS and SASL. See scripts/kafka.sh.

    `secure` is that listener's address, `tls` the directory of `ca.pem`, `client.pem` and `client.key`.
    """

    USER, PASSWORD = "skywatch", "correct-horse"
    SCRIPT = ROOT / "scripts" / "kafka.sh"

    def __init__(self, directory):
        need("java", "default-jre-headless")
        need("kcat", "kcat")
        if subprocess.run([self.SCRIPT, "present"]).returncode != 0:
            pytest.skip("Apache Kafka is not there (scripts/kafka.sh fetch)")
        self.tls = Path(directory)
        self.make_certificates()
        ports = [free_port() for _ in range(3)]
        self.address, self.secure = f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[2]}"
        super().__init__([self.SCRIPT, "run", directory, *ports], self.tls / "kafka.log")

    def make_certificates(self):
        def openssl(*arguments):
            subprocess.run([need("openssl", "openssl"), *arguments], cwd=self.tls, check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test authority")
        (self.tls / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
        for name in ("broker", "client"):
            openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"]
            openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")
        parts = [(self.tls / part).read_text() for part in ("broker.key", "broker.crt")]
        (self.tls / "broker.pem").write_text("".join(parts))

    def start(self):
        super().start()
        wait_until(lambda: not self.running() or self.lists(), "the broker to answer", 60)
        assert self.running(), self.output()
        return self

    def lists(self):
        asked = subprocess.run(["kcat", "-b", self.address, "-L", "-m", "2"], capture_output=True)
        return asked.returncode == 0

    def kcat(self, *arguments, text=None):
        """What kcat prints."""
        command = ["kcat", "-b", self.address, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def produce(self, topic, lines, *arguments):
        """A message for each line, by kcat; `KEY\t` before the line where `-K\t` is among the arguments."""
        self.kcat("-P", "-t", topic, *arguments, text="".join(f"{line}\n" for line in lines))

    def partitions(self, topic):
        """How many a topic has; 0 for one that is not there."""
        known = json.loads(self.kcat("-L", "-J"))["topics"]
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
            ends += [int(done.stdout.rsplit(" ", 1)[1])] if done.returncode == 0 else []
        return sum(ends)

    def tool(self, name, *arguments):
        """What one of Kafka's own tools prints."""
        command = [self.SCRIPT, name, "--bootstrap-server", self.address, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def skywatch_bin():
    """The binary under test: SKYWATCH_BIN, or the debug build."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = Path(os.environ.get("SKYWATCH_BIN", target / "debug" / "skywatch"))
    if not binary.exists():
        pytest.fail(f"{binary} does not exist: cargo build -p skywatch, or set SKYWATCH_BIN")
    return binary


@pytest.fixture
def start_skywatch(skywatch_bin, tmp_path):
    """A function that starts `skywatch run ...`; whatever it started is stopped after the test."""
    started = []

    def start(*arguments, **options):
        directory = options.pop("directory", tmp_path)
        server = Skywatch(skywatch_bin, directory, *arguments, **options)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def skywatch(start_skywatch):
    """A store alone, with an empty database `db`."""
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    return server


@pytest.fixture
def start_cluster(skywatch_bin, tmp_path):
    """A function that starts a cluster (see cluster.py): `start_cluster(metas=3, data=2, data_config={...})`."""
    from cluster import Cluster

    started = []

    def start(metas=3, data=2, **options):
        cluster = Cluster(skywatch_bin, tmp_path / f"cluster-{len(started) + 1}", **options)
        started.append(cluster)
        return cluster.start(metas, data)

    yield start
    for cluster in started:
        cluster.stop()


@pytest.fixture(scope="session")
def influxd(tmp_path_factory):
    """Debian's InfluxDB 1.6.7, for all tests that keep to data of their own."""
    server = Influxd(tmp_path_factory.mktemp("influxd")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shared_skywatch(skywatch_bin, tmp_path_factory):
    """One store for all tests of a module, with an empty database `db`: for tests that keep to data of their own."""
    server = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch"))
    try:
        server.start().query("CREATE DATABASE db")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """A broker for all tests of a module, each with topics of its own."""
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    try:
        yield broker.start()
    finally:
        broker.stop()
