"""What a service manager hears from each role (sd_notify): that it serves, what it does, that it lives, that it stops.

The manager is a datagram socket, as systemd's is; real systemd runs the units in test_package.py.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from cluster import DataNode, MetaNode
from conftest import Process, Skywatch, answers, free_port, wait_until

WATCHDOG_SECONDS = 0.9


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = directory / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.heard = []
        micros = str(int(WATCHDOG_SECONDS * 1_000_000))
        self.env = dict(os.environ, NOTIFY_SOCKET=str(self.path), WATCHDOG_USEC=micros)

    def listen(self):
        """Every line heard so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard += self.socket.recv(65536).decode().splitlines()
        return self.heard

    def forget(self):
        self.listen()
        self.heard = []

    def wait_for(self, line, seconds=60):
        """Waits for a line that begins like this, and returns it."""
        return wait_until(
            lambda: next((heard for heard in self.listen() if heard.startswith(line)), None),
            f"{line!r}, having heard {self.heard}",
            seconds,
        )

    def status(self):
        """The last one."""
        return next((line for line in reversed(self.listen()) if line.startswith("STATUS=")), "")

    def hears_life(self):
        """Whether the watchdog's message comes within its time, from now on."""
        self.forget()
        deadline = time.monotonic() + WATCHDOG_SECONDS
        while time.monotonic() < deadline:
            if "WATCHDOG=1" in self.listen():
                return True
            time.sleep(0.02)
        return False


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


@pytest.fixture
def started():
    """A list of processes; they are stopped after the test."""
    processes = []
    yield processes
    for process in processes:
        if process.running():
            process.process.send_signal(signal.SIGCONT)
        process.stop()


@contextlib.contextmanager
def frozen_threads(pid, name):
    """All threads of a process of this name, stopped as a debugger stops them; the others run on."""
    seize, interrupt, detach = 0x4206, 0x4207, 17
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    held = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm") as comm:
            if not comm.read().startswith(name):
                continue
        if libc.ptrace(seize, int(thread), None, None) != 0:
            pytest.skip(f"threads cannot be traced here: {os.strerror(ctypes.get_errno())}")
        libc.ptrace(interrupt, int(thread), None, None)
        os.waitpid(int(thread), 0x40000000)
        held.append(int(thread))
    assert held, f"{pid} has no thread {name}"
    try:
        yield
    finally:
        for thread in held:
            libc.ptrace(detach, thread, None, None)


def test_run_tells_when_it_serves_that_it_lives_and_that_it_stops(skywatch_bin, tmp_path, manager, started):
    pid_file = tmp_path / "skywatch.pid"
    server = Skywatch(skywatch_bin, tmp_path, "--pidfile", pid_file, env=manager.env)
    started.append(server)
    Process.start(server)
    manager.wait_for("READY=1")
    # Not before it serves.
    assert answers(f"{server.url}/ping")
    assert pid_file.read_text() == f"{server.process.pid}\n"
    server.query("CREATE DATABASE db")
    assert server.write("m v=1").status_code == 204
    manager.wait_for("STATUS=serving 1 shards")
    wait_until(manager.hears_life, "a sign of life")

    # A timer thread would go on: what stops is what serves.
    with frozen_threads(server.process.pid, "tokio-rt-worker"):
        time.sleep(WATCHDOG_SECONDS / 3)
        assert not manager.hears_life()
    wait_until(manager.hears_life, "a sign of life")

    server.process.terminate()
    manager.wait_for("STOPPING=1")
    assert server.process.wait(30) == 0
    assert not pid_file.exists()


def test_nothing_is_told_to_the_watchdog_of_another_process(skywatch_bin, tmp_path, manager, started):
    server = Skywatch(skywatch_bin, tmp_path, env=dict(manager.env, WATCHDOG_PID="1"))
    started.append(server)
    server.start()
    manager.wait_for("READY=1")
    assert not manager.hears_life()


def test_meta_and_data_nodes_tell_that_they_wait_and_that_they_serve(skywatch_bin, tmp_path, started):
    def node(kind, name):
        directory = tmp_path / name
        directory.mkdir()
        told = Manager(directory)
        process = kind(skywatch_bin, directory)
        process.env = told.env
        started.append(process)
        process.launch()
        return process, told

    meta, of_meta = node(MetaNode, "meta")
    data, of_data = node(DataNode, "data")
    of_meta.wait_for("READY=1")
    of_data.wait_for("READY=1")
    assert of_meta.status() == f"STATUS=waits to be made a member of a cluster: skywatch ctl add-meta {meta.http}"
    assert of_data.status() == f"STATUS=waits to be made a member of a cluster: skywatch ctl add-data {data.tcp}"
    for told in (of_meta, of_data):
        wait_until(told.hears_life, "a sign of life of a node that waits")

    def ctl(*arguments):
        done = subprocess.run([skywatch_bin, "ctl", "-bind", meta.http, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    ctl("add-meta", meta.http)
    ctl("add-data", data.tcp)
    of_meta.wait_for("STATUS=leads a cluster of 1 meta nodes")
    of_data.wait_for("STATUS=serving 0 shards")
    wait_until(lambda: of_data.status() == "STATUS=serving 0 shards", "a node that holds everything")
    assert answers(f"{data.url}/ping")
    for told in (of_meta, of_data):
        wait_until(told.hears_life, "a sign of life of a member")

    # Back as a member it is ready once it serves.
    data.stop()
    of_data.wait_for("STOPPING=1")
    of_data.forget()
    data.launch()
    of_data.wait_for("READY=1")
    assert answers(f"{data.url}/ping")

    with frozen_threads(meta.process.pid, "tokio-rt-worker"):
        time.sleep(WATCHDOG_SECONDS / 3)
        assert not of_meta.hears_life()
    wait_until(of_meta.hears_life, "a sign of life")


def test_the_agent_tells_when_it_collects_and_when_it_reloads(skywatch_bin, tmp_path, manager, started):
    config = tmp_path / "telegraf.conf"

    def configure(inputs):
        config.write_text(
            '[agent]\ninterval = "1s"\n[[outputs.file]]\nfiles = ["/dev/null"]\n'
            + "".join(f"[[inputs.{name}]]\n" for name in inputs)
        )

    configure(["mem"])
    agent = Process([skywatch_bin, "agent", "--config", config], tmp_path / "agent.log", env=manager.env)
    started.append(agent)
    agent.start()
    manager.wait_for("READY=1")
    assert manager.status() == "STATUS=collecting with 1 inputs and 1 outputs"
    wait_until(manager.hears_life, "a sign of life")

    configure(["mem", "swap"])
    manager.forget()
    agent.process.send_signal(signal.SIGHUP)
    manager.wait_for("READY=1")
    heard = manager.listen()
    order = [next(i for i, line in enumerate(heard) if line.startswith(word)) for word in ("RELOADING=1", "READY=1")]
    assert order == sorted(order), heard
    since = next(int(line.split("=")[1]) for line in heard if line.startswith("MONOTONIC_USEC="))
    assert 0 < since / 1_000_000 <= time.clock_gettime(time.CLOCK_MONOTONIC)
    assert manager.status() == "STATUS=collecting with 2 inputs and 1 outputs"

    # A configuration with mistakes: the old one goes on, and so does the service.
    config.write_text("[[inputs.mem]]\nno = [\n")
    manager.forget()
    agent.process.send_signal(signal.SIGHUP)
    manager.wait_for("READY=1")
    assert manager.status() == "STATUS=collecting with 2 inputs and 1 outputs"
    assert agent.stop() == 0
    manager.wait_for("STOPPING=1")


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_log_lines_for_programs(skywatch_bin, tmp_path, started, form):
    config = tmp_path / "meta.toml"
    config.write_text(f'[logging]\nformat = "{form}"\nlevel = "info"\n[meta]\ndir = "{tmp_path}/meta"\n'
                      f'bind-address = "127.0.0.1:{free_port()}"\nhttp-bind-address = "127.0.0.1:{free_port()}"\n')
    node = Process([skywatch_bin, "meta", "--config", config], tmp_path / "meta.log")
    started.append(node)
    node.start()
    wait_until(lambda: "a meta node listens" in node.output(), "its log")
    assert node.stop() == 0
    for line in node.output().splitlines():
        if form == "json":
            entry = json.loads(line)
            assert entry["lvl"] in ("info", "warn") and entry["msg"] and entry["ts"].endswith("Z")
        else:
            assert line.startswith("ts=20") and " lvl=" in line and " msg=" in line


def test_ready_asks_as_load_balancers_do(skywatch_bin, tmp_path, started):
    def ready(url, *arguments):
        command = [skywatch_bin, "ready", "--url", url, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout

    server = Skywatch(skywatch_bin, tmp_path)
    started.append(server)
    code, text = ready(server.url)
    assert code == 1 and "is not ready: " in text, text
    Process.start(server)
    code, text = ready(server.url, "--wait", "60")
    assert (code, text) == (0, f"{server.url} is ready\n")
    meta = MetaNode(skywatch_bin, tmp_path / "meta")
    started.append(meta)
    meta.start()
    code, text = ready(meta.url)
    assert code == 1 and "HTTP 404" in text, text
