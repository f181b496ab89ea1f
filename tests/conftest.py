"""What the end-to-end tests share: starting servers on loopback, waiting, and never leaving one behind."""

import itertools
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


# Tests of these files use one thing of the machine: the same worker runs them.
SHARED = {"test_agent": "libvirtd", "test_agent_libvirt": "libvirtd"}
# What takes longest begins first, so that no worker is left alone with it at the end.
LONGEST_FIRST = ("differential", "test_package", "test_kafka", "test_cluster", "test_checklist", "test_fronts")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """One worker runs a file from its first test to its last, so that what its tests share is started once; where the
    servers that all of them talk to (`pair`) come in several kinds, one worker runs those of one kind.
    """
    for item in items:
        kind = item.callspec.params.get("pair") if hasattr(item, "callspec") else None
        name = SHARED.get(item.path.stem, item.path.stem)
        item.add_marker(pytest.mark.xdist_group(f"{name} {kind}" if kind else name))
    ranks = {item: next((rank for rank, part in enumerate(LONGEST_FIRST) if part in str(item.path)), 99) for item in items}
    items.sort(key=ranks.get)


# Ports for servers: below those that the kernel gives to connections, and for each worker its own.
# Browsers open no page on these.
_UNSAFE_PORTS = {10_080}
_ports = itertools.cycle(range(10_000 + 5_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 20_000, 30_000))


# How many times as long as on a machine of its own something may take before a test calls it broken. What it takes is a figure,
# printed and kept, not a test.
SLOW_MACHINE = float(os.environ.get("SKYWATCH_SLOW_MACHINE", 3))


def free_port():
    """A port of loopback that nobody listens on now, and that no test was given lately."""
    for port in _ports:
        if port in _UNSAFE_PORTS:
            continue
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


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


def is_stopped(pid):
    """Whether no thread of the process runs any more after SIGSTOP, or it is gone: each stops when it is scheduled next."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False
    # The state follows the name, which is in brackets.
    return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats)


def wait_for_stop(pids):
    """Waits until none of these processes does anything any more."""
    wait_until(lambda: all(is_stopped(pid) for pid in pids), f"processes {pids} to stop after SIGSTOP", every=0.005)


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

    def freeze(self):
        """SIGSTOP, once it has taken effect: its connections stay, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        wait_for_stop([self.process.pid])

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

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
    from kafka_stack import Kafka

    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    try:
        yield broker.start()
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def kafka_stack(tmp_path_factory):
    """Three brokers on three ZooKeeper nodes for all tests of a module; a test that breaks one mends it."""
    from kafka_stack import KafkaStack

    stack = KafkaStack(tmp_path_factory.mktemp("kafka-stack"))
    try:
        yield stack.start()
    finally:
        stack.stop()
