"""The libvirt input against real QEMU guests that come, change, hang and go while the agent runs, and against many domains."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT, SLOW_MACHINE, Process, Skywatch, need, wait_until
from forwarder import Forwarder, certificates

SCRIPT = ROOT / "scripts" / "libvirt-guests.sh"
STATE = Path(os.environ.get("SKYWATCH_GUESTS_DIR", "/run/skywatch-guests"))
# So long a guest may be silent while another one hangs: three quarters of the input's timeout, an interval, and the machine's load.
SILENCE_SECONDS_MAX = 8

CONFIG = """
[global_tags]
  dc = "dc1"
  rack = "r07"
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "kvm-01"
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "telegraf"
[[inputs.libvirt]]
  timeout = "4s"
  additional_statistics = ["vcpu_mapping"]
  extra_tags = ["uuid", "title", "device"]
  cpu_time_field = "time_ns"
"""

# Everything in it can be plugged without an operating system in the guest, and USB unplugged as well.
ELASTIC = """
<domain type='qemu'>
  <name>elastic</name><title>Grows and shrinks</title>
  <maxMemory slots='2' unit='MiB'>512</maxMemory><memory unit='MiB'>64</memory><vcpu current='1'>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/><bios rebootTimeout='30000'/></os>
  <features><acpi/></features>
  <cpu><numa><cell id='0' cpus='0-1' memory='64' unit='MiB'/></numa></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='piix3-uhci'/>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""
DIMM = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
# Without a tap device, which a container may not be allowed to make.
NIC = "<interface type='user'><mac address='52:54:00:00:00:07'/><model type='usb-net'/></interface>"


def run_script(*arguments):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.fail(f"{SCRIPT.name} {arguments}: {done.stdout}{done.stderr}")


def virsh(*arguments, xml=None):
    """What virsh says; `xml` becomes a file whose name takes the place of `FILE`."""
    if xml is not None:
        path = STATE / "test.xml"
        path.write_text(xml)
        arguments = [path if argument == "FILE" else argument for argument in arguments]
    command = ["virsh", "-q", "-c", "qemu:///system", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Store(Skywatch):
    """A store with what an agent writes into it."""

    def last(self, field, measurement, where="", tag="domain_name"):
        """The newest value of a field by a tag, of the last seconds only."""
        where = f"time > now() - 3s {'AND ' + where if where else ''}"
        answer = self.query(f'SELECT last("{field}") FROM "{measurement}" WHERE {where} GROUP BY "{tag}"', "telegraf")
        return {s["tags"][tag]: s["values"][0][1] for s in answer["results"][0].get("series", [])}

    def times(self, name, since):
        """When points of a domain's state were read, in seconds, from `since` on."""
        q = f"SELECT state FROM libvirt_state WHERE domain_name = '{name}' AND time >= {int(since * 1e9)}"
        return [row[0] / 1e9 for row in self.rows(q, "telegraf", epoch="ns")]


@pytest.fixture(scope="module")
def guests():
    for command, package in (("libvirtd", "libvirt-daemon-system"), ("qemu-system-x86_64", "qemu-system-x86")):
        need(command, package)
    run_script("start", "2")
    yield
    subprocess.run(["virsh", "-q", "-c", "qemu:///system", "destroy", "elastic"], capture_output=True, timeout=60)
    run_script("stop")


@pytest.fixture(scope="module")
def store(skywatch_bin, tmp_path_factory):
    server = Store(skywatch_bin, tmp_path_factory.mktemp("store"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def agent(guests, store, skywatch_bin, tmp_path_factory):
    """One agent for all tests here: nothing that happens to the guests may need another one."""
    directory = tmp_path_factory.mktemp("agent")
    config = directory / "telegraf.conf"
    config.write_text(CONFIG.format(url=store.url))
    process = Process([skywatch_bin, "agent", "--config", config], directory / "agent.log").start()
    try:
        wait_until(lambda: {"web-1", "db-1"} <= store.last("state", "libvirt_state").keys(), "the guests")
        yield process
        assert process.running(), process.output()
    finally:
        process.stop()


def test_guests_arrive_with_data_centre_and_rack(agent, store):
    tags = {row[0] for row in store.rows("SHOW TAG KEYS FROM libvirt_block", "telegraf")}
    assert tags == {"dc", "rack", "host", "domain_name", "uuid", "title", "block_id", "device"}
    for measurement, expected in {
        "libvirt_state": {"state": "integer", "reason": "integer"},
        # `time` is on the wire and no database keeps it; its second name is there.
        "libvirt_cpu": {"user": "integer", "system": "integer", "time_ns": "integer"},
        "libvirt_balloon": {"current": "integer", "maximum": "integer", "rss": "integer", "last_update": "integer"},
        "libvirt_vcpu_total": {"current": "integer", "maximum": "integer"},
        "libvirt_vcpu": {"state": "integer", "time_ns": "integer", "wait": "integer", "cpu_id": "integer"},
        "libvirt_net_total": {"count": "integer"},
        "libvirt_net": {"name": "string", "rx_bytes": "integer", "tx_pkts": "integer", "tx_drop": "integer"},
        "libvirt_block_total": {"count": "integer"},
        "libvirt_block": {"name": "string", "path": "string", "rd_bytes": "integer", "capacity": "integer"},
        "libvirt_dirtyrate": {"calc_status": "integer", "calc_mode": "string"},
        "libvirt_cpu_affinity": {"cpu_id": "string"},
    }.items():
        found = dict(store.rows(f"SHOW FIELD KEYS FROM {measurement}", "telegraf"))
        if measurement == "libvirt_net" and found.keys() == {"name"}:
            continue  # no tap device, of which alone libvirt knows the traffic
        assert expected.items() <= found.items(), (measurement, found)
        assert "time" not in found
    uuid = virsh("domuuid", "web-1").strip()
    of_web = "domain_name = 'web-1' AND dc = 'dc1' AND rack = 'r07'"
    for field, measurement, tag, expected in (
        ("state", "libvirt_state", "title", {"Skywatch demo guest web-1": 1}),
        ("state", "libvirt_state", "uuid", {uuid: 1}),
        ("capacity", "libvirt_block", "device", {"vda": 16 << 20}),
    ):
        wait_until(lambda: store.last(field, measurement, of_web, tag=tag) == expected, f"{tag} of {measurement}")


def test_the_consoles_panels_of_virtual_machines_have_data(agent, store):
    dashboard = (ROOT / "crates" / "console" / "dashboards" / "virtual-machines.json").read_text()
    queries = []

    def collect(node):
        if isinstance(node, dict):
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)
        elif isinstance(node, str) and node.startswith("SELECT") and "libvirt_" in node:
            queries.append(node)

    collect(json.loads(dashboard))
    assert len(queries) > 15
    has_tap = bool(store.last("rx_bytes", "libvirt_net"))
    for query in queries:
        for variable, value in (
            ("$host", "kvm-01"), ("$vm", ".*"), ("$timeFilter", "time > now() - 10m"), ("$__interval", "1s"),
        ):
            query = query.replace(variable, value)
        assert "$" not in re.sub(r"\$/", "/", query), query
        answer = store.query(query, "telegraf")["results"][0]
        assert "error" not in answer, (query, answer)
        if "libvirt_net" in query and not has_tap:
            continue
        names = {series["tags"]["domain_name"] for series in answer.get("series", [])}
        assert {"web-1", "db-1"} <= names, (query, answer)


def test_a_guest_is_paused_and_resumed(agent, store):
    virsh("suspend", "db-1")
    wait_until(lambda: store.last("state", "libvirt_state").get("db-1") == 3, "a paused guest", every=0.2)
    wait_until(lambda: store.last("state", "libvirt_state").get("web-1") == 1, "the other one, which runs", every=0.2)
    virsh("resume", "db-1")
    wait_until(lambda: store.last("state", "libvirt_state").get("db-1") == 1, "a guest that goes on", every=0.2)


def test_a_guest_comes_grows_shrinks_and_goes(agent, store):
    virsh("create", "FILE", xml=ELASTIC)

    def last(field, measurement, **options):
        return store.last(field, measurement, "domain_name = 'elastic'", **options)

    wait_until(lambda: last("maximum", "libvirt_balloon") == {"elastic": 64 << 10}, "a new guest", every=0.2)
    wait_until(lambda: last("current", "libvirt_vcpu_total") == {"elastic": 1}, "its vCPU", every=0.2)
    virsh("setvcpus", "elastic", "2", "--live")
    virsh("attach-device", "elastic", "FILE", "--live", xml=DIMM)
    image = STATE / "elastic.img"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    virsh("attach-disk", "elastic", str(image), "sda", "--targetbus", "usb", "--live")
    virsh("attach-device", "elastic", "FILE", "--live", xml=NIC)
    wait_until(lambda: last("maximum", "libvirt_balloon") == {"elastic": 192 << 10}, "more memory", every=0.2)
    wait_until(lambda: last("count", "libvirt_net_total") == {"elastic": 1}, "an interface", every=0.2)
    wait_until(lambda: last("capacity", "libvirt_block", tag="device") == {"sda": 8 << 20}, "a disk", every=0.2)
    wait_until(lambda: last("state", "libvirt_vcpu", tag="vcpu_id") == {"0": 1, "1": 1}, "two vCPUs", every=0.2)
    wait_until(lambda: last("current", "libvirt_vcpu_total") == {"elastic": 2}, "their number", every=0.2)
    wait_until(lambda: set(last("cpu_id", "libvirt_cpu_affinity", tag="vcpu_id")) == {"0", "1"}, "pins", every=0.2)
    virsh("detach-disk", "elastic", "sda", "--live")
    virsh("detach-device", "elastic", "FILE", "--live", xml=NIC)
    wait_until(lambda: last("count", "libvirt_net_total") == {"elastic": 0}, "no interface", every=0.2)
    wait_until(lambda: last("capacity", "libvirt_block", tag="device") == {}, "no disk", every=0.2)
    virsh("destroy", "elastic")
    wait_until(lambda: set(store.last("state", "libvirt_state")) == {"web-1", "db-1"}, "one guest less", every=0.2)


def test_a_qemu_that_hangs_costs_the_others_nothing(agent, store):
    pid = int(Path("/run/libvirt/qemu/db-1.pid").read_text())
    begin = time.time()
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: len(store.times("web-1", begin)) >= 10, "the other guest, ten times", 60, every=0.5)
        times = [begin, *store.times("web-1", begin)]
        silence = max(after - before for before, after in zip(times, times[1:]))
        assert silence <= SILENCE_SECONDS_MAX, times
        # The first gather met the hung guest; from then on it holds nobody up, every second.
        late = times[-6:]
        assert max(after - before for before, after in zip(late, late[1:])) <= 3.5, times
        assert store.times("db-1", begin + SILENCE_SECONDS_MAX), "what QEMU need not be asked for is still told"
    finally:
        os.kill(pid, signal.SIGCONT)
    begin = time.time()
    wait_until(lambda: store.last("rd_bytes", "libvirt_block").keys() >= {"web-1", "db-1"}, "both guests' disks")
    assert agent.running()


def test_a_restart_of_libvirtd_needs_none_of_the_agent(agent, store):
    file = STATE / "libvirtd.pid"
    if not file.exists():
        pytest.skip("libvirtd was running before, and is not ours to restart")
    pid = int(file.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "libvirtd to end")
    wait_until(lambda: store.last("state", "libvirt_state") == {}, "silence while there is no libvirtd", every=0.2)
    errors = [line for line in agent.output().splitlines() if "libvirt" in line and " E! " in line]
    assert errors and "libvirt-sock" in errors[-1], agent.output()
    run_script("start", "2")
    wait_until(lambda: {"web-1", "db-1"} <= store.last("state", "libvirt_state").keys(), "the guests again", every=0.2)
    wait_until(lambda: "works again" in agent.output(), "the log to say so")
    told = [line for line in agent.output().splitlines() if " E! " in line and "libvirt-sock" in line]
    assert len(told) == len(set(line.split(" E! ", 1)[1] for line in told)), "an outage is told of once"


@pytest.fixture
def forwarder():
    made = []

    def start(tls=None):
        # The byte is libvirtd's word that it is content with its client.
        made.append(Forwarder("/run/libvirt/libvirt-sock", tls, greeting=b"\x01" if tls else b""))
        return made[-1]

    yield start
    for one in made:
        one.close()


def seen_at(skywatch_bin, tmp_path, uri, more=""):
    """What `--test` prints, and says, about the guests at a URI."""
    config = tmp_path / "telegraf.conf"
    config.write_text(f"[agent]\n  omit_hostname = true\n[[inputs.libvirt]]\n  libvirt_uri = '{uri}'\n{more}")
    done = subprocess.run(
        [skywatch_bin, "agent", "--config", config, "--test"], capture_output=True, text=True, timeout=60
    )
    names = {
        part.removeprefix("domain_name=")
        for line in done.stdout.splitlines() if line.startswith("> libvirt_state,")
        for part in line.split(" ")[1].split(",")[1:]
    }
    return names, done


def test_every_dialect_of_libvirts_uris(guests, forwarder, skywatch_bin, tmp_path):
    guests_there = {"web-1", "db-1"}
    tls = forwarder(certificates(tmp_path))
    ssh = tmp_path / "ssh"
    log = tmp_path / "ssh.log"
    # The last argument is the command for the other side, which is this one.
    ssh.write_text(f'#!/bin/sh\necho "$*" >>{log}\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    for uri in (
        "qemu:///system",
        "qemu+unix:///system?socket=/run/libvirt/libvirt-sock-ro",
        f"qemu+tcp://127.0.0.1:{forwarder().port}/system",
        f"qemu+tls://localhost:{tls.port}/system?pkipath={tmp_path}",
        f"qemu+ssh://monitor@kvm-7/system?command={ssh}&keyfile=/etc/skywatch/id",
    ):
        names, done = seen_at(skywatch_bin, tmp_path, uri)
        assert done.returncode == 0, (uri, done.stderr)
        assert guests_there <= names, (uri, done.stdout, done.stderr)
    asked = log.read_text()
    assert "BatchMode=yes" in asked and "/etc/skywatch/id" in asked and "monitor" in asked, asked
    names, done = seen_at(skywatch_bin, tmp_path, f"qemu+tls://127.0.0.2:{tls.port}/system?pkipath={tmp_path}")
    assert done.returncode != 0 and not names, "a server of another name is not trusted"
    names, done = seen_at(skywatch_bin, tmp_path, "qemu+http:///system")
    assert done.returncode != 0 and "libssh2" in done.stderr, done.stderr


def test_globs_choose_among_real_guests(guests, skywatch_bin, tmp_path):
    names, done = seen_at(skywatch_bin, tmp_path, "qemu:///system", "domains_include = ['web-*']\nactive_only = true\n")
    assert names == {"web-1"}, done.stderr


def test_a_network_that_falls_silent_costs_the_timeout(guests, forwarder, store, skywatch_bin, tmp_path):
    network = forwarder()
    config = tmp_path / "telegraf.conf"
    config.write_text(
        f"""
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "far"
[[outputs.influxdb]]
  urls = ["{store.url}"]
  database = "telegraf"
[[inputs.libvirt]]
  libvirt_uri = "qemu+tcp://127.0.0.1:{network.port}/system"
  timeout = "1s"
"""
    )
    agent = Process([skywatch_bin, "agent", "--config", config], tmp_path / "agent.log").start()

    def heard():
        return store.last("state", "libvirt_state", "host = 'far'").keys() >= {"web-1", "db-1"}

    try:
        wait_until(heard, "the guests from afar", every=0.2)
        network.flows.clear()
        wait_until(lambda: not heard() and " E! " in agent.output(), "an error", every=0.2)
        network.flows.set()
        wait_until(heard, "the guests again", 60, every=0.2)
    finally:
        assert agent.stop() == 0, agent.output()


def host_of(domains, path):
    """A host of libvirt's own test driver."""
    xml = "".join(
        f"<domain type='test'><name>vm-{n:04}</name><uuid>{n:08x}-0000-4000-8000-000000000000</uuid>"
        "<memory>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"
        for n in range(domains)
    )
    path.write_text(f"<node>{xml}</node>")
    return f"test://{path}"


@pytest.mark.parametrize("domains", [300, 1000])
def test_many_domains_are_read_and_shipped_at_once(skywatch, skywatch_bin, tmp_path, domains):
    config = tmp_path / "telegraf.conf"
    uri = host_of(domains, tmp_path / "node.xml")
    config.write_text(
        f"""
[agent]
  hostname = "kvm-01"
[[outputs.influxdb]]
  urls = ["{skywatch.url}"]
  database = "telegraf"
[[inputs.libvirt]]
  libvirt_uri = "{uri}"
"""
    )
    begin = time.monotonic()
    done = subprocess.run(
        [skywatch_bin, "agent", "--config", config, "--once"], capture_output=True, text=True, timeout=60
    )
    seconds = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    answer = skywatch.query("SELECT state FROM libvirt_state GROUP BY domain_name", "telegraf")
    names = {series["tags"]["domain_name"] for series in answer["results"][0]["series"]}
    assert names == {f"vm-{n:04}" for n in range(domains)}
    print(f"{domains} domains read and shipped in {seconds:.2f} s, start and end of the process included")
    # Unhurried by a busy machine and a build without optimisation it is well below a second.
    assert seconds < 5 * SLOW_MACHINE, f"{seconds:.2f} s for {domains} domains"
