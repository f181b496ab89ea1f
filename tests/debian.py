"""A Debian 12 of a test: a directory made with debootstrap once and kept as a tarball, entered with chroot or booted.

    root = Debian(directory)                    # unpacks the tarball; makes it first where it is not there yet
    root.run("apt-get", "install", "-y", ...)   # in a chroot, with the network of this machine
    with root.booted() as machine:              # systemd as process 1 (systemd-nspawn), with a network of its own
        machine.run("systemctl", "start", ...)

Packages come from where apt of this machine gets them. What cannot be had makes the test skipped, by name.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Process, need, wait_until

SUITE = "bookworm"
# What a host has that runs services; a test installs the rest.
PACKAGES = ["systemd-sysv", "dbus", "ca-certificates", "procps", "curl"]
CACHE = Path(os.environ.get("SKYWATCH_CACHE", Path.home() / ".cache" / "skywatch"))
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
}


def mirror():
    """Where apt of this machine gets Debian from."""
    need("apt-get", "apt")
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
        codename, component, uri = line.split(" ", 2)
        if (codename, component) == (SUITE, "main"):
            return uri
    pytest.skip(f"apt of this machine has no {SUITE} main")


def base():
    """The tarball; made where it is missing."""
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    tarball = CACHE / f"debian-{SUITE}-{len(PACKAGES)}.tar"
    if tarball.exists():
        return tarball
    debootstrap = need("debootstrap", "debootstrap")
    CACHE.mkdir(parents=True, exist_ok=True)
    making = CACHE / f"debootstrap.{os.getpid()}"
    try:
        command = [debootstrap, "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, making, mirror()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            pytest.skip(f"debootstrap cannot make a Debian here: {done.stdout[-500:]}{done.stderr[-500:]}")
        shutil.rmtree(making / "var/cache/apt/archives", ignore_errors=True)
        # Whole or not there: another run may wait for it.
        subprocess.run(["tar", "--numeric-owner", "-C", making, "-cf", f"{making}.tar", "."], check=True)
        os.rename(f"{making}.tar", tarball)
    finally:
        shutil.rmtree(making, ignore_errors=True)
        Path(f"{making}.tar").unlink(missing_ok=True)
    return tarball


class Debian:
    """One that is unpacked."""

    def __init__(self, directory):
        self.path = Path(directory)
        self.path.mkdir(parents=True)
        subprocess.run(["tar", "--numeric-owner", "-C", self.path, "-xf", base()], check=True)
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")
        # As installers write it.
        (self.path / "etc/hosts").write_text("127.0.0.1 localhost\n")
        # How this machine reaches its mirror.
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
        lines = [line for line in dump.splitlines() if line.startswith("Acquire::")]
        (self.path / "etc/apt/apt.conf.d/50machine").write_text("\n".join(lines) + "\n")
        self.machines = 0

    def prefix(self):
        """What a command is put behind to run here."""
        return ["chroot", self.path]

    def run(self, *command, check=True, timeout=300, stdin=None):
        """Runs a command here; its standard output, or with `check=False` the finished process."""
        done = subprocess.run(
            [str(part) for part in [*self.prefix(), "env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()), *command]],
            capture_output=True, text=True, timeout=timeout, input=stdin,
        )
        if not check:
            return done
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def files(self, but=()):
        """Every path that is kept, but for those below `but` and what the system writes by itself."""
        but = (*but, "proc", "sys", "run", "dev", "tmp", "var/tmp", "var/log", "var/cache", "var/lib/apt", "root")
        found = set()
        for directory, names, files in os.walk(self.path):
            relative = os.path.relpath(directory, self.path)
            names[:] = [name for name in names if os.path.normpath(f"{relative}/{name}") not in but]
            found |= {os.path.normpath(f"{relative}/{name}") for name in [*names, *files]}
        # What tools keep of the last version of a file.
        return {path for path in found if not path.endswith(("-", "-old"))}

    @contextlib.contextmanager
    def booted(self):
        """Process 1 and all that it starts, until the end of the block."""
        nspawn = need("systemd-nspawn", "systemd-container")
        Path("/run/systemd/nspawn").mkdir(parents=True, exist_ok=True)
        self.machines += 1
        name = f"skywatch-{os.getpid()}-{self.machines}"
        command = [nspawn, "--directory", self.path, "--boot", "--private-network", "--register=no", "--keep-unit"]
        process = Process([*command, f"--machine={name}"], self.path.parent / f"{name}.log")
        process.start()
        try:
            machine = Machine(self, process)
            machine.wait_for_boot()
            yield machine
        finally:
            # SIGRTMIN+3 would be the polite way; nothing here is worth the wait.
            process.stop(5)


class Machine(Debian):
    """A Debian that is booted."""

    def __init__(self, debian, process):
        self.path = debian.path
        self.process = process

    def leader(self):
        """Process 1 as this machine numbers it."""
        nspawn = self.process.process.pid
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split() if self.process.running() else []
        return next((child for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "systemd"), None)

    def prefix(self):
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
        return ["nsenter", "--target", self.leader(), *namespaces]

    def wait_for_boot(self):
        def is_up():
            if not self.process.running():
                return True
            if self.leader() is None:
                return False
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return state in ("running", "degraded")

        wait_until(is_up, "systemd to boot", 60, 0.3)
        if not self.process.running():
            pytest.skip(f"systemd-nspawn cannot boot here: {self.process.output()[-500:]}")

    def property(self, unit, name):
        """What systemd knows of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def kill(self, unit, with_signal=signal.SIGKILL):
        """Sends a signal to the unit's main process."""
        self.run("kill", f"-{int(with_signal)}", self.property(unit, "MainPID"))
