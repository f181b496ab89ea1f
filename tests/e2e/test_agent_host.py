"""The agent's host inputs: the values of this very host beside independent readings, and their types in Skywatch."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Process, need, wait_until

FIXTURES = ROOT / "crates" / "agent" / "fixtures" / "host" / "root"
# A key, then a string in quotes or anything without a comma.
FIELD = re.compile(r'((?:\\.|[^,=\\])+)=("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')


class Point:
    """A line that `--test` printed."""

    def __init__(self, line):
        series, fields, self.time = re.match(r"^((?:\\.|[^ \\])+) (.*) (\d+)$", line).groups()
        self.name, *tags = re.split(r"(?<!\\),", series)
        self.tags = dict(re.split(r"(?<!\\)=", tag, maxsplit=1) for tag in tags)
        self.tags = {key: re.sub(r"\\(.)", r"\1", value) for key, value in self.tags.items()}
        self.raw = {match[1]: match[2] for match in FIELD.finditer(fields)}

    def __getitem__(self, field):
        raw = self.raw[field]
        if raw.startswith('"'):
            return re.sub(r"\\(.)", r"\1", raw[1:-1])
        return int(raw[:-1]) if raw[-1] in "iu" else float(raw)

    def types(self):
        """i, u, f or s by field."""
        return {f: "s" if r.startswith('"') else r[-1] if r[-1] in "iu" else "f" for f, r in self.raw.items()}


@pytest.fixture
def gather(skywatch_bin, tmp_path):
    """Runs `--test` once over some inputs and returns their points; each call in a directory of its own."""

    def run(config, env=None, ok=True):
        path = tmp_path / "telegraf.conf"
        path.write_text('[agent]\n  omit_hostname = true\n[[outputs.file]]\n  files = ["stdout"]\n' + config)
        command = [skywatch_bin, "agent", "--config", path, "--test"]
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert (done.returncode == 0) == ok, done.stderr
        points = [Point(line[2:]) for line in done.stdout.splitlines() if line.startswith("> ")]
        return points if ok else (points, done.stderr)

    return run


def named(points, measurement, /, **tags):
    found = [p for p in points if p.name == measurement and tags.items() <= p.tags.items()]
    assert found, (measurement, tags, [(p.name, p.tags) for p in points])
    return found


def near(value, expected, part, at_least=0):
    assert abs(value - expected) <= max(abs(expected) * part, at_least), (value, expected)


def test_cpu_times_are_those_of_psutil(gather):
    before = psutil.cpu_times(percpu=True)
    points = gather("[[inputs.cpu]]\n  collect_cpu_time = true\n  report_active = true\n")
    after = psutil.cpu_times(percpu=True)
    for number, (low, high) in enumerate(zip(before, after)):
        time_points = [p for p in named(points, "cpu", cpu=f"cpu{number}") if "time_user" in p.raw]
        for field in ("user", "system", "idle", "nice", "softirq", "steal", "guest"):
            value = time_points[-1][f"time_{field}"]
            assert getattr(low, field) - 0.02 <= value <= getattr(high, field) + 0.02, field
    usage = [p for p in named(points, "cpu", cpu="cpu-total") if "usage_idle" in p.raw][-1]
    parts = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    near(sum(usage[f"usage_{part}"] for part in parts), 100, 0.001)
    near(usage["usage_active"], 100 - usage["usage_idle"], 0.001)
    assert len({p.tags["cpu"] for p in points}) == psutil.cpu_count() + 1


def test_memory_and_swap_are_those_of_psutil(gather):
    points = gather("[[inputs.mem]]\n  collect_extended = true\n[[inputs.swap]]\n")
    memory, (mem,) = psutil.virtual_memory(), named(points, "mem")
    assert mem["total"] == memory.total
    near(mem["available"], memory.available, 0.05, 64 << 20)
    near(mem["free"], memory.free, 0.1, 256 << 20)
    near(mem["buffered"], memory.buffers, 0.1, 16 << 20)
    near(mem["shared"], memory.shared, 0.1, 16 << 20)
    near(mem["slab"], memory.slab, 0.1, 64 << 20)
    assert mem["used"] == mem["total"] - mem["available"]
    near(mem["used_percent"], 100 * mem["used"] / mem["total"], 1e-9)
    assert len(mem.raw) == 40
    assert {f for f, kind in mem.types().items() if kind == "f"} == {"used_percent", "available_percent"}
    swap, (gauge, counter) = psutil.swap_memory(), named(points, "swap")
    assert (gauge["total"], gauge["free"]) == (swap.total, swap.free)
    assert (counter["in"], counter["out"]) == (swap.sin, swap.sout)


def test_disks_are_those_of_psutil(gather):
    points = gather("[[inputs.disk]]\n[[inputs.diskio]]\n")
    disks = {p.tags["path"]: p for p in named(points, "disk")}
    usage, root = psutil.disk_usage("/"), disks["/"]
    assert root["total"] == usage.total
    near(root["used"], usage.used, 0.05, 64 << 20)
    near(root["free"], usage.free, 0.05, 64 << 20)
    near(root["used_percent"], usage.percent, 0.05, 0.2)
    inodes = os.statvfs("/")
    assert root["inodes_total"] == inodes.f_files
    for partition in psutil.disk_partitions():
        assert disks[partition.mountpoint].tags["fstype"] == partition.fstype
    counters = psutil.disk_io_counters(perdisk=True)
    for name in {p.tags["name"] for p in points if p.name == "diskio"}:
        point = named(points, "diskio", name=name)[0]
        for ours, theirs in (("reads", "read_count"), ("write_bytes", "write_bytes"), ("io_time", "busy_time")):
            assert point[ours] <= getattr(counters[name], theirs), (name, ours)


def test_interfaces_are_those_of_psutil(gather):
    before = psutil.net_io_counters(pernic=True)
    points = gather('[[inputs.net]]\n  interfaces = ["*"]\n')
    after = psutil.net_io_counters(pernic=True)
    assert {p.tags["interface"] for p in points} == set(before)
    for point in points:
        low, high = before[point.tags["interface"]], after[point.tags["interface"]]
        for ours, theirs in (
            ("bytes_sent", "bytes_sent"),
            ("bytes_recv", "bytes_recv"),
            ("packets_sent", "packets_sent"),
            ("packets_recv", "packets_recv"),
            ("err_in", "errin"),
            ("err_out", "errout"),
            ("drop_in", "dropin"),
            ("drop_out", "dropout"),
        ):
            assert getattr(low, theirs) <= point[ours] <= getattr(high, theirs), ours
        assert point.types()["speed"] == "i"
    listed = {p.tags["interface"] for p in gather("[[inputs.net]]\n")}
    assert listed == {name for name, nic in psutil.net_if_stats().items() if "up" in nic.flags.split(",") and name != "lo"}


def test_system_kernel_and_processes(gather):
    config = '[[inputs.system]]\n[[inputs.kernel]]\n[[inputs.processes]]\n[[inputs.linux_sysctl_fs]]\n'
    points = gather(config)
    gauge, uptime, text = named(points, "system")
    near(gauge["load1"], os.getloadavg()[0], 0.3, 0.5)
    assert (gauge["n_cpus"], gauge["n_physical_cpus"]) == (psutil.cpu_count(), psutil.cpu_count(logical=False))
    near(uptime["uptime"], time.time() - psutil.boot_time(), 0, 3)
    assert re.fullmatch(r"(\d+ days?, )?[ \d]\d:\d\d", text["uptime_format"])
    (kernel,) = named(points, "kernel")
    near(kernel["boot_time"], psutil.boot_time(), 0, 1)
    assert 0 < kernel["context_switches"] <= psutil.cpu_stats().ctx_switches
    (processes,) = named(points, "processes")
    near(processes["total"], len(psutil.pids()), 0.2, 10)
    states = ("running", "sleeping", "blocked", "zombies", "stopped", "idle", "dead", "paging", "unknown")
    assert processes["total"] == sum(processes[state] for state in states) + (
        processes["parked"] if "parked" in processes.raw else 0
    )
    (files,) = named(points, "linux_sysctl_fs")
    assert files["aio-max-nr"] == int(Path("/proc/sys/fs/aio-max-nr").read_text())
    assert set(files.types().values()) == {"u"}


def test_protocol_counters(gather):
    points = gather("[[inputs.netstat]]\n[[inputs.nstat]]\n  dump_zeros = true\n[[inputs.kernel_vmstat]]\n[[inputs.interrupts]]\n")
    (netstat,) = named(points, "netstat")
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    near(netstat["tcp_listen"], len(listening), 0.2, 3)
    near(netstat["udp_socket"], len(psutil.net_connections("udp")), 0.2, 3)
    assert set(netstat.types().values()) == {"i"} and len(netstat.raw) == 13
    heads = Path("/proc/net/snmp").read_text().splitlines()
    expected = {
        f"{head.split()[0][:-1]}{column}"
        for head in heads[::2]
        for column in head.split()[1:]
    }
    (snmp,) = named(points, "nstat", name="snmp")
    assert set(snmp.raw) == expected
    (vmstat,) = named(points, "kernel_vmstat")
    assert set(vmstat.raw) == {line.split()[0] for line in Path("/proc/vmstat").read_text().splitlines()}
    timers = named(points, "soft_interrupts", irq="TIMER")[0]
    assert timers["total"] == sum(timers[f] for f in timers.raw if f.startswith("CPU"))


@pytest.fixture
def sleeper():
    """A process of this test with a child and a listening socket."""
    # In one line, as it becomes part of a command line that is a field.
    code = (
        "import socket, subprocess, sys; "
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
        "child = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE); "
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "skywatch-procstat-e2e"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.port = int(process.stdout.readline())
    wait_until(lambda: psutil.Process(process.pid).children(), "the child")
    yield process
    process.stdin.close()
    process.wait(timeout=20)


def test_procstat_is_what_psutil_reads(gather, sleeper, tmp_path):
    pid_file = tmp_path / "sleeper.pid"
    pid_file.write_text(f"{sleeper.pid}\n")
    points = gather(
        f"[[inputs.procstat]]\n  pid_file = '{pid_file}'\n  properties = ['cpu', 'memory', 'mmap', 'limits', 'sockets']\n"
    )
    process = psutil.Process(sleeper.pid)
    # Gathered twice: a percentage needs two readings.
    ours = named(points, "procstat", pidfile=str(pid_file))[-1]
    assert ours.tags["process_name"] == process.name()[:15]
    assert ours["pid"] == sleeper.pid and ours["ppid"] == os.getpid()
    assert ours["cmdline"] == " ".join(process.cmdline())
    assert ours["user"] == process.username() and ours["status"] == "sleep"
    assert (ours["num_threads"], ours["num_fds"]) == (process.num_threads(), process.num_fds())
    near(ours["created_at"] / 1e9, process.create_time(), 0, 1.1)
    memory = process.memory_full_info()
    assert (ours["memory_rss"], ours["memory_vms"]) == (memory.rss, memory.vms)
    near(ours["memory_pss"] * 1024, memory.pss, 0.2)
    near(ours["memory_usage"], process.memory_percent(), 0.01, 0.01)
    near(ours["cpu_time_user"], process.cpu_times().user, 0, 0.05)
    assert ours["cpu_usage"] >= 0
    assert ours["voluntary_context_switches"] <= process.num_ctx_switches().voluntary
    assert ours["read_bytes"] == process.io_counters().read_chars
    soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
    assert (ours["rlimit_num_fds_soft"], ours["rlimit_num_fds_hard"]) == (soft, hard)
    sockets = [p for p in named(points, "procstat_socket") if p.raw.get("src_port") == f"{sleeper.port}u"]
    assert sockets and sockets[0]["state"] == "listen" and sockets[0]["src"] == "127.0.0.1"
    lookup = named(points, "procstat_lookup")[-1]
    assert (lookup["pid_count"], lookup["running"], lookup["result_code"]) == (1, 1, 0)
    assert lookup.tags["pid_finder"] == "pgrep" and lookup.tags["result"] == "success"


@pytest.mark.parametrize("finder", ["pgrep", "native"])
def test_procstat_finds_what_pgrep_finds(gather, sleeper, finder):
    pgrep = need("pgrep", "procps")

    def found(option, *arguments):
        points = gather(f"[[inputs.procstat]]\n  {option}\n  pid_finder = '{finder}'\n  properties = []\n")
        ours = {p["pid"] for p in points if p.name == "procstat"}
        listed = subprocess.run([pgrep, *arguments], capture_output=True, text=True).stdout.split()
        return ours, {int(pid) for pid in listed}

    ours, theirs = found("pattern = 'skywatch-procstat-e[0-9]e'", "-f", "skywatch-procstat-e[0-9]e")
    assert ours == theirs == {sleeper.pid}
    name = psutil.Process(sleeper.pid).name()[:10]
    ours, theirs = found(f"exe = '^{name}'", f"^{name}")
    assert sleeper.pid in ours & theirs and len(ours ^ theirs) <= 4, ours ^ theirs


def test_procstat_filters_take_children_along(gather, sleeper):
    points = gather(
        "[[inputs.procstat]]\n  properties = []\n  tag_with = ['pid']\n"
        "[[inputs.procstat.filter]]\n    name = 'tree'\n    patterns = ['skywatch-procstat-e2e']\n    recursion_depth = -1\n"
    )
    (child,) = psutil.Process(sleeper.pid).children()
    ours = {p.tags["pid"]: p.tags.get("parent_pid") for p in named(points, "procstat", filter="tree")}
    assert ours == {str(sleeper.pid): None, str(child.pid): str(sleeper.pid)}
    assert named(points, "procstat_lookup", filter="tree", result="success")[-1]["pid_count"] == 2


@pytest.fixture
def systemd(tmp_path, sleeper):
    """A private bus with a stand-in for systemd; its address."""
    daemon = need("dbus-daemon", "dbus")
    address = f"unix:path={tmp_path}/bus"
    bus = Process([daemon, "--session", "--nofork", f"--address={address}"], tmp_path / "bus.log")
    bus.start()
    stand_in = Process(
        [sys.executable, ROOT / "tests" / "systemd_stand_in.py", address, str(sleeper.pid)], tmp_path / "systemd.log"
    )
    try:
        wait_until(lambda: (tmp_path / "bus").exists(), "the bus")
        stand_in.start()
        wait_until(lambda: "ready" in stand_in.output() or not stand_in.running(), "the stand-in")
        assert stand_in.running(), stand_in.output()
        yield address
    finally:
        stand_in.stop()
        bus.stop()


def test_units_of_systemd(gather, systemd):
    env = {"DBUS_SYSTEM_BUS_ADDRESS": systemd}
    points, errors = gather("[[inputs.systemd_units]]\n", env, ok=False)
    assert "odd.service" in errors and "dancing" in errors, "a state without a code"
    units = {p.tags["name"]: p for p in points}
    assert set(units) == {"web.service", "batch.service", "gone.service"}
    assert units["gone.service"]["load_code"] == 2
    batch = units["batch.service"]
    assert batch.tags == {"name": "batch.service", "load": "loaded", "active": "failed", "sub": "failed"}
    assert (batch["load_code"], batch["active_code"], batch["sub_code"]) == (0, 3, 12)
    assert set(batch.types().values()) == {"i"}
    (socket,) = gather("[[inputs.systemd_units]]\n  unittype = 'socket'\n  pattern = 'data* web*'\n", env)
    assert socket["sub_code"] == 0x72


def test_details_of_units_and_disabled_ones(gather, systemd, sleeper):
    config = "[[inputs.systemd_units]]\n  pattern = 'web.service of*'\n  details = true\n  collect_disabled_units = true\n"
    points = gather(config, {"DBUS_SYSTEM_BUS_ADDRESS": systemd})
    units = {p.tags["name"]: p for p in points}
    assert set(units) == {"web.service", "off.service"}
    web, off = units["web.service"], units["off.service"]
    assert (web.tags["state"], web.tags["preset"]) == ("enabled", "enabled")
    assert (off.tags["state"], off.tags["active"]) == ("disabled", "inactive")
    expected = {
        "status_errno": -5,
        "restarts": 3,
        "pid": sleeper.pid,
        "mem_current": 123456789,
        "mem_peak": 223456789,
        "mem_avail": 0,
        "swap_current": 4096,
        "swap_peak": 0,
        "active_enter_timestamp_us": 1790000000123456,
    }
    assert {field: web[field] for field in expected} == expected
    types = web.types()
    assert types["status_errno"] == "i" and {types[f] for f in expected if f != "status_errno"} == {"u"}


def test_procstat_of_a_unit(gather, systemd, sleeper):
    config = "[[inputs.procstat]]\n  systemd_unit = '{}'\n  properties = []\n"
    env = {"DBUS_SYSTEM_BUS_ADDRESS": systemd}
    points = gather(config.format("web.service"), env)
    assert named(points, "procstat", systemd_unit="web.service")[-1]["pid"] == sleeper.pid
    points = gather(config.format("nothing.service"), env)
    assert named(points, "procstat_lookup", systemd_unit="nothing.service")[-1]["pid_count"] == 0
    points, errors = gather(config.format("web.service"), {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}, ok=False)
    assert named(points, "procstat_lookup")[-1].tags["result"] == "lookup_error" and "/nonexistent" in errors


def test_a_mounted_hosts_files(gather):
    """HOST_* as in a container: the host of the fixtures."""
    env = {f"HOST_{name.upper()}": str(FIXTURES / name) for name in ("proc", "sys", "run", "var", "etc")}
    points = gather("[[inputs.mem]]\n[[inputs.net]]\n[[inputs.netstat]]\n[[inputs.conntrack]]\n[[inputs.temp]]\n", env)
    assert named(points, "mem")[0]["huge_pages_total"] == 4096
    assert named(points, "net", interface="vnet7")[0]["speed"] == 10
    assert named(points, "netstat")[0]["tcp_listen"] == 4
    assert named(points, "conntrack")[0].types() == {"ip_conntrack_count": "f", "ip_conntrack_max": "f"}
    assert named(points, "temp", sensor="coretemp_package_id_0")[0]["temp"] == 43.0


def test_sensors_are_read_from_the_tool_or_given_up(gather, tmp_path):
    """Recorded output, since a virtual machine has no sensors; then a tool that hangs."""
    tool, env = tmp_path / "sensors", {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    recorded = ROOT / "crates" / "agent" / "fixtures" / "sensors" / "xeon-nvme.txt"
    tool.write_text(f'#!/bin/sh\n[ "$*" = "-A -u" ] && cat {recorded}\n')
    tool.chmod(0o755)
    points = gather("[[inputs.sensors]]\n", env)
    assert named(points, "sensors", chip="coretemp-isa-0000", feature="core_0")[0]["temp_input"] == 34.0
    tool.write_text("#!/bin/sh\nexec sleep 60\n")
    started = time.monotonic()
    points, errors = gather("[[inputs.sensors]]\n  timeout = '300ms'\n[[inputs.mem]]\n", env, ok=False)
    assert [p.name for p in points] == ["mem"] and "sensors -A -u" in errors
    assert time.monotonic() - started < 20


def test_types_in_skywatch(skywatch, skywatch_bin, tmp_path, sleeper):
    config = tmp_path / "telegraf.conf"
    config.write_text(
        f'[[outputs.influxdb]]\n  urls = ["{skywatch.url}"]\n  database = "telegraf"\n'
        "[[inputs.netstat]]\n[[inputs.nstat]]\n[[inputs.kernel_vmstat]]\n[[inputs.interrupts]]\n[[inputs.linux_sysctl_fs]]\n"
        "[[inputs.procstat]]\n  pattern = 'skywatch-procstat-e2e'\n  properties = ['cpu', 'memory', 'limits']\n"
    )
    once = [skywatch_bin, "agent", "--config", config, "--once"]
    done = subprocess.run(once, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for measurement, fields in {
        "netstat": {"tcp_listen": "integer", "udp_socket": "integer"},
        "nstat": {"IpDefaultTTL": "integer"},
        "kernel_vmstat": {"nr_free_pages": "integer"},
        "interrupts": {"CPU0": "integer", "total": "integer"},
        "linux_sysctl_fs": {"file-nr": "integer", "aio-max-nr": "integer"},
        "procstat": {
            "cpu_time_user": "float",
            "cpu_usage": "float",
            "memory_rss": "integer",
            "memory_usage": "float",
            "num_threads": "integer",
            "created_at": "integer",
            "cmdline": "string",
            "rlimit_cpu_time_soft": "integer",
        },
        "procstat_lookup": {"pid_count": "integer", "running": "integer", "result_code": "integer"},
    }.items():
        found = dict(skywatch.rows(f"SHOW FIELD KEYS FROM {measurement}", "telegraf"))
        assert fields.items() <= found.items(), (measurement, found)
