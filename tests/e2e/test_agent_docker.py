"""The docker input against a real engine: containers that run, pause, fail and vanish, a swarm, and the engine's restart."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Process, Skywatch, need, wait_until
from forwarder import Forwarder, certificates

CONFIG = """
[global_tags]
  dc = "dc1"
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "kvm-01"
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "telegraf"
[[inputs.docker]]
  endpoint = "unix://{socket}"
  gather_services = true
  source_tag = true
  container_state_include = ["*"]
  tag_env = ["TIER"]
  docker_label_include = ["team"]
  perdevice_include = ["cpu", "network", "blkio"]
  storage_objects = ["container", "image", "volume"]
"""

# Works a little, so that there is something to count; an image needs nothing else. It hears no signal that would end it.
PROGRAM = """
#include <unistd.h>
int main(void) {
    for (volatile unsigned long n = 0;; usleep(20000))
        for (unsigned long i = 0; i < 1000000; i++) n += i;
}
"""


class Engine(Process):
    """`dockerd` in a directory of its own, listening on its socket alone.

    Its namespaces are its own, too, so that neither an interface nor a mount of it outlives it.
    """

    def __init__(self, directory):
        dockerd = need("dockerd", "docker.io")
        self.docker = need("docker", "docker.io")
        self.socket = Path(directory) / "docker.sock"
        options = [
            "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs",
            f"--host=unix://{self.socket}", f"--data-root={directory}/data", f"--exec-root={directory}/exec",
            f"--pidfile={directory}/docker.pid",
        ]
        command = ["unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", dockerd, *options]
        # runc is in /usr/sbin.
        env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        super().__init__(command, Path(directory) / "dockerd.log", env)

    def start(self):
        if os.geteuid() != 0:
            pytest.skip("dockerd needs root")
        super().start()
        wait_until(lambda: not self.running() or self.ask("version") is not None, "dockerd to answer")
        if not self.running():
            pytest.skip(f"dockerd does not run here: {self.output()[-500:]}")
        return self

    def ask(self, *arguments, stdin=None):
        """What the client says; `None` if it fails."""
        command = [self.docker, "--host", f"unix://{self.socket}", *arguments]
        done = subprocess.run(command, capture_output=True, input=stdin, timeout=60)
        self.said = done.stderr.decode(errors="replace")
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def run(self, *arguments, stdin=None):
        answer = self.ask(*arguments, stdin=stdin)
        assert answer is not None, (arguments, self.said)
        return answer


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine with a container that runs, one that is paused, one that was killed, and a service."""
    # The path of a socket is short.
    directory = Path(tmp_path_factory.mktemp("d"))
    compiler = need("cc", "build-essential")
    engine = Engine(directory).start()
    try:
        (directory / "spin.c").write_text(PROGRAM)
        (directory / "image").mkdir()
        spin = directory / "image" / "spin"
        subprocess.run([compiler, "-static", "-O1", "-o", spin, directory / "spin.c"], check=True, timeout=60)
        image = subprocess.run(["tar", "-C", spin.parent, "-c", "."], capture_output=True, check=True, timeout=60)
        engine.run("import", "-c", 'CMD ["/spin"]', "-c", "LABEL team=a", "-", "tiny:1.2", stdin=image.stdout)
        run = ["run", "--detach", "--network", "none", "--stop-signal", "SIGKILL"]
        check = ["--health-cmd", "/none", "--health-interval", "1s", "--health-retries", "1"]
        if engine.ask(*run, "--name", "web", "--memory", "64m", "--env", "TIER=front", *check, "tiny:1.2") is None:
            pytest.skip(f"no container runs here: {engine.said[-500:]}")
        engine.run(*run, "--name", "idle", "tiny:1.2")
        engine.run("pause", "idle")
        engine.run(*run, "--name", "dead", "tiny:1.2")
        engine.run("kill", "dead")
        engine.run("volume", "create", "data")
        engine.run("swarm", "init", "--listen-addr", "127.0.0.1:2377", "--advertise-addr", "127.0.0.1")
        service = ["service", "create", "--detach", "--no-resolve-image", "--network", "host", "--stop-signal", "SIGKILL"]
        engine.run(*service, "--name", "shop", "--replicas", "2", "tiny:1.2")
        yield engine
    finally:
        if engine.running():
            engine.ask("swarm", "leave", "--force")
            for container in (engine.ask("ps", "--all", "--quiet") or "").split():
                engine.ask("rm", "--force", container)
        engine.stop()
        shutil.rmtree(directory / "data", ignore_errors=True)


class Store(Skywatch):
    """A store with what an agent writes into it."""

    def last(self, field, measurement, tag="container_name", where="", seconds=15):
        """The newest value of a field by a tag, of the last seconds only."""
        where = f"time > now() - {seconds}s {'AND ' + where if where else ''}"
        answer = self.query(f'SELECT last("{field}") FROM "{measurement}" WHERE {where} GROUP BY "{tag}"', "telegraf")
        return {s["tags"][tag]: s["values"][0][1] for s in answer["results"][0].get("series", [])}


@pytest.fixture(scope="module")
def store(skywatch_bin, tmp_path_factory):
    server = Store(skywatch_bin, tmp_path_factory.mktemp("store"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def agent(engine, store, skywatch_bin, tmp_path_factory):
    directory = tmp_path_factory.mktemp("agent")
    config = directory / "telegraf.conf"
    config.write_text(CONFIG.format(url=store.url, socket=engine.socket))
    process = Process([skywatch_bin, "agent", "--config", config], directory / "agent.log").start()
    try:
        wait_until(lambda: {"web", "idle", "dead"} <= store.last("pid", "docker_container_status").keys(), "containers")
        yield process
        assert process.running(), process.output()
    finally:
        process.stop()


def test_containers_arrive_under_telegrafs_names_and_types(agent, engine, store):
    wait_until(lambda: store.last("usage_percent", "docker_container_cpu").get("web", 0) > 0, "work to be measured")
    wait_until(lambda: store.last("failing_streak", "docker_container_health").get("web", 0) > 0, "a failed check")
    for measurement, expected in {
        "docker": {"n_cpus": "integer", "n_containers_paused": "integer", "memory_total": "integer"},
        "docker_container_status": {
            "oomkilled": "boolean", "pid": "integer", "exitcode": "integer", "restart_count": "integer",
            "container_id": "string", "started_at": "integer", "finished_at": "integer", "uptime_ns": "integer",
        },
        "docker_container_health": {"health_status": "string", "failing_streak": "integer"},
        "docker_container_mem": {
            "usage": "integer", "limit": "integer", "max_usage": "integer", "usage_percent": "float", "pgfault": "integer",
        },
        "docker_container_cpu": {
            "usage_total": "integer", "usage_in_usermode": "integer", "usage_in_kernelmode": "integer",
            "usage_system": "integer", "usage_percent": "float", "throttling_periods": "integer",
        },
        "docker_disk_usage": {"size": "integer", "shared_size": "integer", "size_root_fs": "integer"},
        "docker_swarm": {"tasks_running": "integer", "tasks_desired": "integer"},
    }.items():
        found = dict(store.rows(f"SHOW FIELD KEYS FROM {measurement}", "telegraf"))
        assert expected.items() <= found.items(), (measurement, found)
    tags = {row[0] for row in store.rows("SHOW TAG KEYS FROM docker_container_cpu", "telegraf")}
    assert tags == {
        "dc", "host", "engine_host", "server_version", "container_name", "container_image", "container_version",
        "container_status", "source", "cpu", "team", "TIER",
    }
    of_web = "container_name = 'web'"
    assert store.last("limit", "docker_container_mem", where=f"{of_web} AND TIER = 'front'") == {"web": 64 << 20}
    assert store.last("pid", "docker_container_status", "container_image", of_web).keys() == {"tiny"}
    assert store.last("pid", "docker_container_status", "container_version", of_web).keys() == {"1.2"}
    short = engine.run("inspect", "--format", "{{.Id}}", "web")[:12]
    assert store.last("pid", "docker_container_status", "source", of_web).keys() == {short}
    assert "cpu-total" in store.last("usage_total", "docker_container_cpu", "cpu", of_web)
    volumes = store.last("size", "docker_disk_usage", "volume_name")
    assert "data" in volumes, volumes
    assert store.last("size", "docker_disk_usage", "image_name").get("tiny", 0) > 100_000


def test_states_and_exit_codes(agent, store):
    assert store.last("exitcode", "docker_container_status")["dead"] == 137
    for name, state in (("web", "running"), ("idle", "paused"), ("dead", "exited")):
        where = f"container_name = '{name}'"
        assert set(store.last("pid", "docker_container_status", "container_status", where)) == {state}, name
    assert "dead" not in store.last("usage", "docker_container_mem"), "what does not run is not measured"
    assert "idle" in store.last("usage", "docker_container_mem")


def test_services_of_the_swarm(agent, engine, store):
    wait_until(lambda: store.last("tasks_running", "docker_swarm", "service_name") == {"shop": 2}, "two tasks")
    assert store.last("tasks_desired", "docker_swarm", "service_mode") == {"replicated": 2}
    engine.run("service", "scale", "--detach", "shop=1")
    wait_until(lambda: store.last("tasks_desired", "docker_swarm", "service_name") == {"shop": 1}, "one task")


def test_containers_come_and_go_under_the_agent(agent, engine, store):
    engine.run("run", "--detach", "--network", "none", "--name", "new", "tiny:1.2")
    wait_until(lambda: "new" in store.last("usage", "docker_container_mem"), "a new container")
    engine.run("rm", "--force", "new")

    def is_gone():
        there = store.last("pid", "docker_container_status", seconds=4)
        return "web" in there and "new" not in there

    wait_until(is_gone, "the container to be gone, and no other")


def test_over_tcp_and_tls(engine, skywatch_bin, tmp_path):
    plain = Forwarder(engine.socket)
    tls = Forwarder(engine.socket, certificates(tmp_path))
    # The names of Docker's own client.
    for ours, theirs in (("cacert", "ca"), ("clientcert", "cert"), ("clientkey", "key")):
        shutil.copy(tmp_path / f"{ours}.pem", tmp_path / f"{theirs}.pem")
    identity = f'tls_cert = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
    authority = f'tls_ca = "{tmp_path}/ca.pem"\n'
    from_env = {"DOCKER_HOST": f"tcp://localhost:{tls.port}", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": tmp_path}

    def gathered(endpoint, more="", env=None):
        config = tmp_path / "telegraf.conf"
        config.write_text(f'[[inputs.docker]]\nendpoint = "{endpoint}"\n{more}')
        return subprocess.run(
            [skywatch_bin, "agent", "--config", config, "--test"],
            capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})},
        )

    try:
        for done in (
            gathered(f"tcp://127.0.0.1:{plain.port}"),
            gathered(f"tcp://localhost:{tls.port}", authority + identity),
            gathered(f"https://localhost:{tls.port}", authority + identity),
            gathered("ENV", env=from_env),
        ):
            assert done.returncode == 0, done.stderr
            assert "> docker_container_mem,container_image=tiny,container_name=web" in done.stdout, done.stdout
        for refused in (
            gathered(f"tcp://localhost:{tls.port}", identity),  # an authority nobody knows
            gathered(f"tcp://localhost:{tls.port}", authority),  # a client that shows no certificate
            gathered(f"tcp://127.0.0.1:{tls.port}", authority + identity),  # a server of another name
        ):
            assert refused.returncode != 0 and "docker_container" not in refused.stdout, refused.stdout
            assert str(tls.port) in refused.stderr, refused.stderr
    finally:
        plain.close()
        tls.close()


def test_a_restart_of_the_engine_needs_none_of_the_agent(agent, engine, store):
    engine.stop()
    wait_until(lambda: store.last("n_cpus", "docker", "host", seconds=4) == {}, "silence while there is no engine")
    assert "docker.sock" in agent.output(), agent.output()
    engine.start()
    wait_until(lambda: store.last("n_cpus", "docker", "host", seconds=4).keys() == {"kvm-01"}, "the engine again")
    engine.run("start", "web")
    wait_until(lambda: "web" in store.last("usage", "docker_container_mem", seconds=4), "its containers again")
