"""The agent: this host's metrics and real virtual machines, into Skywatch and into a real InfluxDB."""

import subprocess
import time

import pytest
import requests
from conftest import ROOT, Process, need, wait_until

GUESTS = ["web-1", "db-1"]

CONFIG = """
[global_tags]
  datacenter = "dc1"
  rack = "r07"
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "kvm-01"
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "telegraf"
[[inputs.cpu]]
  percpu = true
  totalcpu = true
[[inputs.mem]]
[[inputs.swap]]
[[inputs.disk]]
[[inputs.diskio]]
[[inputs.net]]
[[inputs.system]]
[[inputs.kernel]]
[[inputs.processes]]
"""


@pytest.fixture
def agent_config(tmp_path):
    def write(url, extra=""):
        path = tmp_path / "telegraf.conf"
        path.write_text(CONFIG.format(url=url) + extra)
        return path

    return write


@pytest.fixture(scope="module")
def libvirt_guests():
    """Two real QEMU guests (TCG, no disk) under a libvirtd of their own or the one that runs already."""
    for command, package in (("libvirtd", "libvirt-daemon-system"), ("qemu-system-x86_64", "qemu-system-x86")):
        need(command, package)
    script = ROOT / "scripts" / "libvirt-guests.sh"
    started = subprocess.run([script, "start", "2"], capture_output=True, text=True, timeout=120)
    if started.returncode != 0:
        pytest.fail(f"the guests did not start: {started.stdout}{started.stderr}")
    yield GUESTS
    subprocess.run([script, "stop"], check=True, timeout=120)


def test_agent_test_prints_line_protocol(skywatch_bin, agent_config):
    config = agent_config("http://127.0.0.1:1")
    done = subprocess.run(
        [skywatch_bin, "agent", "--config", config, "--test"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("> ")]
    measurements = {line[2:].split(",")[0] for line in lines}
    assert {"cpu", "mem", "swap", "disk", "net", "system", "kernel", "processes"} <= measurements, measurements
    total = next(line for line in lines if line.startswith("> cpu,cpu=cpu-total"))
    assert "datacenter=dc1" in total and "host=kvm-01" in total and "rack=r07" in total
    assert "usage_idle=" in total and "usage_user=" in total


def field_types(rows):
    return {name: kind for name, kind in rows}


def test_names_and_types_are_telegrafs(skywatch, skywatch_bin, agent_config):
    config = agent_config(skywatch.url)
    for _ in range(2):
        once = [skywatch_bin, "agent", "--config", config, "--once"]
        done = subprocess.run(once, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    expected = {
        "cpu": {"usage_user": "float", "usage_guest_nice": "float", "usage_idle": "float"},
        "mem": {"total": "integer", "used_percent": "float", "available_percent": "float", "slab": "integer"},
        "swap": {"total": "integer", "in": "integer", "used_percent": "float"},
        "disk": {"total": "integer", "used_percent": "float", "inodes_free": "integer"},
        "net": {"bytes_sent": "integer", "drop_in": "integer", "speed": "integer"},
        "system": {"load1": "float", "n_cpus": "integer", "uptime": "integer", "uptime_format": "string"},
        "kernel": {"boot_time": "integer", "context_switches": "integer", "interrupts": "integer"},
        "processes": {"running": "integer", "total": "integer", "total_threads": "integer", "zombies": "integer"},
    }
    for measurement, fields in expected.items():
        found = field_types(skywatch.rows(f"SHOW FIELD KEYS FROM {measurement}", "telegraf"))
        assert fields.items() <= found.items(), (measurement, found)
    tags = {row[0] for row in skywatch.rows("SHOW TAG KEYS FROM cpu", "telegraf")}
    assert tags == {"cpu", "datacenter", "host", "rack"}


def test_agent_feeds_a_real_influxdb(influxd, skywatch_bin, agent_config):
    config = agent_config(influxd.url)
    done = subprocess.run(
        [skywatch_bin, "agent", "--config", config, "--once"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer = requests.get(
        f"{influxd.url}/query", params={"db": "telegraf", "q": "SHOW MEASUREMENTS"}, timeout=10
    ).json()
    names = {row[0] for row in answer["results"][0]["series"][0]["values"]}
    assert {"mem", "system", "kernel", "processes"} <= names


def test_run_watches_its_own_host(start_skywatch):
    server = start_skywatch(agent=True)

    def seen():
        answer = server.query("SHOW MEASUREMENTS", "telegraf")["results"][0]
        return {row[0] for row in answer.get("series", [{"values": []}])[0]["values"]}

    wanted = {"cpu", "mem", "disk", "net", "system", "kernel", "processes"}
    wait_until(lambda: wanted <= seen(), f"{wanted} to arrive", 40)


def test_virtual_machines_are_seen_through_libvirt(skywatch, skywatch_bin, agent_config, libvirt_guests, tmp_path):
    config = agent_config(skywatch.url, "[[inputs.libvirt]]\n")
    agent = Process([skywatch_bin, "agent", "--config", config], tmp_path / "agent.log").start()
    try:
        def states():
            answer = skywatch.query(
                "SELECT last(state) FROM libvirt_state GROUP BY domain_name, rack", "telegraf"
            )["results"][0]
            return {
                series["tags"]["domain_name"]: (series["values"][0][1], series["tags"]["rack"])
                for series in answer.get("series", [])
            }

        wait_until(lambda: set(libvirt_guests) <= set(states()), "the guests' states", 40)
        assert all(states()[guest] == (1, "r07") for guest in libvirt_guests), "1 is running"
        fields = field_types(skywatch.rows("SHOW FIELD KEYS FROM libvirt_cpu", "telegraf"))
        # libvirt's field `time` cannot be kept: in InfluxQL that name means the timestamp, here as in InfluxDB.
        assert fields.get("user") == "integer" and "time" not in fields
        fields = field_types(skywatch.rows("SHOW FIELD KEYS FROM libvirt_vcpu", "telegraf"))
        assert fields.get("state") == "integer"
        wait_until(
            lambda: len(
                skywatch.rows("SELECT \"user\" FROM libvirt_cpu WHERE domain_name = 'web-1'", "telegraf")
            ) >= 3,
            "three samples of a guest's CPU time",
            30,
        )
    finally:
        assert agent.stop() == 0, agent.output()


def test_nothing_is_lost_while_the_server_is_away(start_skywatch, skywatch_bin, agent_config, tmp_path):
    server = start_skywatch()
    config = agent_config(server.url)
    agent = Process([skywatch_bin, "agent", "--config", config], tmp_path / "agent.log").start()
    try:
        def points():
            answer = server.query("SELECT load1 FROM system", "telegraf", epoch="s")["results"][0]
            return [row[0] for row in answer["series"][0]["values"]] if "series" in answer else []

        wait_until(lambda: len(points()) >= 2, "the first points", 30)
        before = points()[-1]
        server.kill()
        wait_until(lambda: "E!" in agent.output() or "error" in agent.output().lower(), "the agent to complain", 20)
        time.sleep(3)
        server.start()
        wait_until(lambda: points() and points()[-1] >= before + 6, "points after the outage", 40)
        times = points()
        gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
        assert max(gaps) <= 2, f"points of the outage are missing: {times}"
    finally:
        agent.stop()
