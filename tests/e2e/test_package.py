"""The Debian package where it is to run: installed into a clean Debian 12, its services started by real systemd, upgraded
under load, removed, purged; and the container image that is made of it.

The tests of one machine go through its life in their order.
"""

import json
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import ROOT, free_port, need, wait_until
from debian import Debian, base
from test_agent_docker import Engine

UNITS = ("skywatch.service", "skywatch-meta.service", "skywatch-data.service", "skywatch-agent.service")
OLD, NEW = "1.0-1", "1.1-1"


@pytest.fixture(scope="module")
def build(skywatch_bin):
    """A function that builds a package of the binary under test."""
    for tool in ("dpkg-deb", "dpkg-shlibdeps", "strip"):
        need(tool, "dpkg-dev")

    def build(out, version):
        command = ["make", "--no-print-directory", "deb", f"BINARY={skywatch_bin}", f"OUT={out}", f"VERSION={version}"]
        done = subprocess.run([*command, "COMPRESSION=gzip"], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return out / done.stdout.strip().rsplit("/", 1)[1]

    return build


@pytest.fixture(scope="module")
def package(build, tmp_path_factory):
    return build(tmp_path_factory.mktemp("old"), OLD)


@pytest.fixture(scope="module")
def newer_package(package, tmp_path_factory):
    """A later version, two of whose configuration files say something else."""
    directory = tmp_path_factory.mktemp("new")
    subprocess.run(["dpkg-deb", "--raw-extract", package, directory / "root"], check=True)
    control = directory / "root/DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {OLD}", f"Version: {NEW}"))
    for name in ("skywatch.toml", "telegraf.conf"):
        with (directory / "root/etc/skywatch" / name).open("a") as file:
            file.write("# new in 1.1\n")
    built = directory / "skywatch.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", directory / "root", built]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(directory / "root")
    return built


@pytest.fixture(scope="module")
def debian(package, tmp_path_factory):
    """A Debian with what the package depends on, and without it."""
    root = Debian(tmp_path_factory.mktemp("debian") / "root")
    depends = subprocess.run(["dpkg-deb", "--field", package, "Depends"], capture_output=True, text=True).stdout.strip()
    root.run("apt-get", "update", "-qq", timeout=600)
    root.run("apt-get", "satisfy", "-qq", "-y", "--no-install-recommends", depends, "logrotate", timeout=600)
    root.run("apt-get", "clean")
    return root


@pytest.fixture(scope="module")
def machine(debian):
    """That Debian, booted; `before` are its files, which it has again when the package is purged."""
    with debian.booted() as machine:
        machine.before = machine.files()
        yield machine


def install(machine, package):
    """As an administrator does who keeps what he changed."""
    shutil.copy(package, machine.path / "root/skywatch.deb")
    keep = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
    machine.run("apt-get", "install", "-y", "--no-install-recommends", *keep, "/root/skywatch.deb")


def query(machine, q, db="db"):
    """The series of the answer."""
    command = ["curl", "-sS", "--fail", "-G", "http://127.0.0.1:8086/query", "-d", f"db={db}", "--data-urlencode", f"q={q}"]
    result = json.loads(machine.run(*command))["results"][0]
    assert "error" not in result, result
    return result.get("series", [])


def write(machine, lines, db="db"):
    command = ["curl", "-sS", "--fail", f"http://127.0.0.1:8086/write?db={db}", "--data-binary", lines]
    machine.run(*command)


def test_the_same_binary_makes_the_same_package_and_lintian_has_no_complaint(build, package, tmp_path):
    # Another time and another place.
    again = build(tmp_path, OLD)
    assert again.read_bytes() == package.read_bytes()
    said = subprocess.run(["lintian", "--fail-on", "error,warning", "--suppress-tags", "unstripped-binary-or-object",
                           again], capture_output=True, text=True) if shutil.which("lintian") else None
    assert said is None or said.returncode == 0, said.stdout + said.stderr


def test_installed_it_is_there_and_nothing_runs(machine, package):
    install(machine, package)
    assert machine.run("skywatch", "--version").startswith("skywatch ")
    assert machine.run("influxd-ctl", "help").startswith("Usage: influxd-ctl")
    for unit in UNITS:
        for question, answer in (("is-active", "inactive"), ("is-enabled", "disabled")):
            assert machine.run("systemctl", question, unit, check=False).stdout.strip() == answer, unit
    for file in ("skywatch.toml", "meta.toml", "data.toml", "telegraf.conf"):
        path = f"/etc/skywatch/{file}"
        assert machine.run("stat", "-c", "%U:%G:%a", path).strip() == "root:skywatch:640"
        arguments = ["agent", path] if file == "telegraf.conf" else [path]
        machine.run("skywatch", "config", "check", *arguments)
    said = machine.run("systemd-analyze", "verify", *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS), check=False)
    complaints = [line for line in said.stderr.splitlines() if "man skywatch" not in line]
    assert said.returncode == 0 or not complaints, complaints
    for unit in UNITS:
        exposed = machine.run("systemd-analyze", "security", unit, check=False).stdout
        level = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", exposed).group(1))
        assert level < 3, exposed


def test_a_service_runs_as_its_user_once_it_is_enabled(machine):
    machine.run("systemctl", "enable", "--now", "skywatch")
    # It is said to be started when it serves, and not before.
    assert "skywatch" in machine.run("curl", "-sS", "-i", "--fail", "http://127.0.0.1:8086/ping").lower()
    assert machine.run("skywatch", "ready") == "http://127.0.0.1:8086 is ready\n"
    assert machine.property("skywatch", "StatusText").startswith("serving ")
    machine.run("curl", "-sS", "--fail", "-o", "/dev/null", "http://127.0.0.1:3000/")
    pid = machine.property("skywatch", "MainPID")
    status = dict(re.findall(r"^(\w+):\s+(.*)$", machine.run("cat", f"/proc/{pid}/status"), re.M))
    assert status["Uid"].split()[0] == machine.run("id", "-u", "skywatch").strip()
    assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")
    assert machine.run("stat", "-c", "%U:%a", "/var/lib/skywatch/run").strip() == "skywatch:750"

    query(machine, "CREATE DATABASE db")
    write(machine, "m,host=a v=1 1\nm,host=b v=2 2")
    assert query(machine, "SELECT v FROM m")[0]["values"] == [["1970-01-01T00:00:00.000000001Z", 1],
                                                              ["1970-01-01T00:00:00.000000002Z", 2]]
    # The agent within it sees this host through the walls of the unit.
    wait_until(lambda: query(machine, "SELECT last(load1) FROM system", "telegraf"), "metrics of the host")
    wait_until(lambda: query(machine, "SELECT last(total) FROM disk", "telegraf"), "metrics of its file systems")


def test_one_that_hangs_is_started_anew(machine):
    drop_in = machine.path / "etc/systemd/system/skywatch.service.d/watchdog.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nWatchdogSec=4\nRestartSec=100ms\nTimeoutAbortSec=2\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "skywatch")
    # One that works is left alone for longer than that.
    pid = machine.property("skywatch", "MainPID")
    time.sleep(5)
    assert machine.property("skywatch", "MainPID") == pid
    machine.kill("skywatch", signal.SIGSTOP)
    wait_until(lambda: machine.property("skywatch", "MainPID") not in (pid, "0"), "another process", 60)
    machine.run("skywatch", "ready", "--wait", "60")
    assert int(machine.property("skywatch", "NRestarts")) >= 1
    assert len(query(machine, "SELECT v FROM m")[0]["values"]) == 2
    shutil.rmtree(drop_in.parent)
    machine.run("systemctl", "daemon-reload")


def test_the_agent_is_reloaded(machine):
    machine.run("systemctl", "enable", "--now", "skywatch-agent")
    before = machine.property("skywatch-agent", "StatusText")
    assert before.startswith("collecting with "), before
    extra = machine.path / "etc/skywatch/telegraf.d/more.conf"
    extra.write_text('[[inputs.kernel_vmstat]]\n')
    pid = machine.property("skywatch-agent", "MainPID")
    machine.run("systemctl", "reload", "skywatch-agent")
    wait_until(lambda: machine.property("skywatch-agent", "StatusText") != before, "the new configuration to run")
    assert machine.property("skywatch-agent", "MainPID") == pid
    wait_until(lambda: query(machine, "SELECT last(nr_free_pages) FROM kernel_vmstat", "telegraf"), "its metrics", 60)
    extra.unlink()


def test_a_cluster_of_its_units(machine):
    """Meta and data node of one machine, beside the single server, whose ports the data node leaves alone."""
    for name, old, new in (
        ("meta", '#: hostname = "meta-1.example"', 'hostname = "127.0.0.1"'),
        ("data", '#: hostname = "data-1.example"', 'hostname = "127.0.0.1"'),
        ("data", 'bind-address = ":8086"', 'bind-address = ":9086"'),
    ):
        path = machine.path / f"etc/skywatch/{name}.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    machine.run("systemctl", "start", "skywatch-meta", "skywatch-data")
    for unit in ("skywatch-meta", "skywatch-data"):
        assert machine.property(unit, "StatusText").startswith("waits to be made a member"), unit
    machine.run("influxd-ctl", "add-meta", "127.0.0.1:8091")
    machine.run("influxd-ctl", "add-data", "127.0.0.1:8088")
    machine.run("skywatch", "ready", "--url", "http://127.0.0.1:9086", "--wait", "60")
    wait_until(lambda: machine.property("skywatch-data", "StatusText").startswith("serving "), "the status to follow")
    wait_until(lambda: machine.property("skywatch-meta", "StatusText").startswith("leads "), "the status to follow")
    machine.run("skywatch", "query", "--url", "http://127.0.0.1:9086", "CREATE DATABASE c")
    machine.run("systemctl", "restart", "skywatch-data")
    assert "c" in machine.run("skywatch", "query", "--url", "http://127.0.0.1:9086", "SHOW DATABASES").split()
    machine.run("systemctl", "stop", "skywatch-meta", "skywatch-data")


def test_an_upgrade_restarts_what_runs_and_keeps_data_and_configuration(machine, newer_package):
    mine = machine.path / "etc/skywatch/skywatch.toml"
    mine.write_text(mine.read_text() + "# mine\n")
    pids = {unit: machine.property(unit, "MainPID") for unit in UNITS}
    assert [unit for unit in UNITS if pids[unit] != "0"] == ["skywatch.service", "skywatch-agent.service"]
    install(machine, newer_package)
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", "skywatch") == NEW
    machine.run("skywatch", "ready", "--wait", "60")
    for unit in UNITS:
        now = machine.property(unit, "MainPID")
        assert (now != "0", now != pids[unit]) == (pids[unit] != "0", pids[unit] != "0"), unit
    assert len(query(machine, "SELECT v FROM m")[0]["values"]) == 2
    # What was changed here stays, the new version beside it; what was not is new. Neither may be read by everybody.
    assert "# mine" in mine.read_text() and "# new in 1.1" not in mine.read_text()
    assert "# new in 1.1" in (machine.path / "etc/skywatch/skywatch.toml.dpkg-dist").read_text()
    assert "# new in 1.1" in (machine.path / "etc/skywatch/telegraf.conf").read_text()
    for name in ("skywatch.toml", "telegraf.conf"):
        assert machine.run("stat", "-c", "%U:%G:%a", f"/etc/skywatch/{name}").strip() == "root:skywatch:640"


def test_removed_it_stops_and_its_data_stays(machine):
    machine.run("apt-get", "remove", "-y", "skywatch")
    assert machine.run("pgrep", "-x", "skywatch", check=False).returncode == 1
    assert not (machine.path / "usr/bin/skywatch").exists()
    assert (machine.path / "etc/skywatch/skywatch.toml").exists()
    assert any((machine.path / "var/lib/skywatch/run/data").iterdir())
    machine.run("getent", "passwd", "skywatch")


def test_installed_again_it_goes_on_where_it_was(machine, newer_package):
    install(machine, newer_package)
    machine.run("systemctl", "start", "skywatch")
    assert len(query(machine, "SELECT v FROM m")[0]["values"]) == 2


def test_purged_nothing_of_it_is_left(machine):
    machine.run("apt-get", "purge", "-y", "skywatch")
    assert machine.run("getent", "passwd", "skywatch", check=False).returncode == 2
    assert machine.run("getent", "group", "skywatch", check=False).returncode == 2
    # Compared with the list of before; what systemd itself writes while it runs is no part of it.
    own = ("etc/machine-id", "etc/hostname", "etc/mtab", "var/lib/systemd", "var/lib/private", "var/lib/dbus")
    left = {path for path in machine.files() - machine.before if not path.startswith(own) or "skywatch" in path}
    assert left == set()
    assert machine.before - machine.files() == set()


class HostEngine(Engine):
    """One that shares this machine's network, which building an image needs."""

    def __init__(self, directory):
        super().__init__(directory)
        dockerd = next(i for i, part in enumerate(self.command) if part.endswith("dockerd"))
        # It finds out by itself which way of storing layers works here; not all copy the whole of Debian for each.
        options = [option for option in self.command[dockerd:] if not option.startswith("--storage-driver")]
        self.command = ["unshare", "--mount", *options]


def test_the_container_image_serves(debian, package, tmp_path):
    engine = HostEngine(tmp_path).start()
    try:
        # Debian's own image cannot be had here; a debootstrap of the same release is what it is made of.
        imported = subprocess.run(
            f"tar -C '{debian.path}' -cf - . | '{engine.docker}' --host 'unix://{engine.socket}' import - debian:12-slim",
            shell=True, capture_output=True, text=True, timeout=300,
        )
        assert imported.returncode == 0, imported.stderr
        context = tmp_path / "context"
        context.mkdir()
        shutil.copy(package, context)
        built = subprocess.run(
            [engine.docker, "--host", f"unix://{engine.socket}", "build", "--network=host", "--tag=skywatch",
             "--file", ROOT / "packaging/Containerfile", context],
            capture_output=True, text=True, timeout=600,
        )
        assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
        port, console = free_port(), free_port()

        def start(name):
            """A container on the volume, once it says itself that it is healthy."""
            engine.run(
                "run", "--detach", f"--name={name}", "--network=host", "--volume=kept:/var/lib/skywatch",
                "--env", f"SKYWATCH_HTTP_BIND=127.0.0.1:{port}", "--env", f"SKYWATCH_CONSOLE_BIND=127.0.0.1:{console}",
                "--env", f"SKYWATCH_URL=http://127.0.0.1:{port}", "--health-interval=1s", "skywatch",
            )
            health = ("inspect", "--format", "{{.State.Health.Status}}", name)
            wait_until(lambda: engine.ask(*health) == "healthy", "the container to be healthy", 120)

        start("one")
        assert engine.run("exec", "one", "id", "-un") == "skywatch"
        engine.run("exec", "one", "skywatch", "query", "CREATE DATABASE kept")
        engine.run("stop", "--time=60", "one")
        assert engine.run("inspect", "--format", "{{.State.ExitCode}}", "one") == "0"
        engine.run("rm", "one")
        # Another container on the same volume goes on where the first one was told to stop.
        start("two")
        assert "kept" in engine.run("exec", "two", "skywatch", "query", "SHOW DATABASES").split()
    finally:
        for container in (engine.ask("ps", "--all", "--quiet") or "").split():
            engine.ask("rm", "--force", container)
        engine.stop(30)
