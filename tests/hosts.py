"""Hosts of a cloud on one machine: each has a network namespace, a host name and an /etc, /usr/bin, /var and /run of its own.

    with Network(directory) as network:            # skips by name where namespaces cannot be had
        data1 = network.host("data1", 21)          # 10.77.0.21, known to all as data1
        data1.path("/etc/skywatch/data.toml").write_text(...)
        server = data1.process([binary, "data", "--config", "/etc/skywatch/data.toml"], log).start()
        requests.get(f"http://{data1.address}:8086/ping")   # the test stands in this network, as host `operator`
        data1.cut()                                # packets vanish; join() brings them back
        data1.unplug()                             # the cable is pulled and the host sees it; plug()
        network.part([data1], [meta1, meta2])      # these do not reach each other; heal()
        data1.freeze()                             # SIGSTOP for all that runs there; thaw()
        data1.power_off()                          # nothing runs or answers any more; power_on() brings back the bare host

Hosts are connected by a bridge of the kernel, or by wires that lose and delay what they carry, and are then cut there (wires.py).

All of it is gone at the end, also when the test fails; there is no way from the network to anything outside. Networks do not
see each other, so several can be there at the same time, with the same addresses.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Process, need, wait_for_stop, wait_until

CLONE_NEWNET = 0x40000000
# Nobody's: who is told that a neighbour has it sends into the void.
VOID = "02:00:00:00:00:01"

# What a host does before it waits to be taken down; $1 is its directory, $2 its name, $3 the file of all names. Should the test
# end without taking it down, it ends what runs there.
PREPARE = """
set -e
hostname "$2"
ip link set lo up
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work/etc" /etc
mount -t overlay overlay -o "lowerdir=/usr/bin,upperdir=$1/bin,workdir=$1/work/bin" /usr/bin
mount --bind "$3" /etc/hosts
mount --bind "$1/var" /var
mount -t tmpfs -o mode=755 tmpfs /run
touch "$1/up"
exec setpriv --pdeathsig TERM sh -c '
    own=$(readlink /proc/self/ns/net)
    end() {
        for process in /proc/[0-9]*; do
            pid=${process#/proc/}
            [ "$pid" = $$ ] || [ "$(readlink "$process/ns/net")" != "$own" ] || kill -9 "$pid"
        done 2>/dev/null
        exit 0
    }
    trap end TERM
    while :; do sleep 3600 & wait; done'
"""


def run(*command, check=True):
    """Runs a command of the system; its standard output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=30)
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
    return done.stdout


def need_namespaces():
    """Skips the test by name where hosts cannot be made."""
    for command, package in (("ip", "iproute2"), ("unshare", "util-linux"), ("setpriv", "util-linux")):
        need(command, package)
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    tried = subprocess.run(["unshare", "--net", "--mount", "--uts", "true"], capture_output=True)
    if tried.returncode != 0:
        pytest.skip(f"this machine has no namespaces: {tried.stderr.decode(errors='replace').strip()}")


class Network:
    """A switch, or `wires`, and the hosts that are connected to it."""

    def __init__(self, directory, prefix="10.77.0", wires=None):
        need_namespaces()
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.prefix = prefix
        self.hosts = {}
        self.names = self.directory / "hosts"
        self.names.write_text("127.0.0.1 localhost\n")
        self.outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.switch = None
        self.wires = wires

    def __enter__(self):
        try:
            if not self.wires:
                self.switch = Switch(self.directory / "switch", self.names)
            self.operator = self.host("operator", 254)
            self.enter()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def host(self, name, number):
        """A host that is there from now on, with the address PREFIX.number."""
        assert name not in self.hosts, f"there is a host {name} already"
        host = Host(self, self.directory / name, name, f"{self.prefix}.{number}")
        self.hosts[name] = host
        # All hosts see this very file.
        with self.names.open("a") as names:
            names.write(f"{host.address} {name}\n")
        host.connect()
        return host

    def name(self, name, address):
        """Makes an address known by name that no host has by itself, as that of VRRP."""
        with self.names.open("a") as names:
            names.write(f"{address} {name}\n")

    def enter(self):
        """This thread, and what it starts, stands at the host `operator`; it knows hosts by address."""
        descriptor = os.open(f"/proc/{self.operator.holder.pid}/ns/net", os.O_RDONLY)
        try:
            set_namespace(descriptor)
        finally:
            os.close(descriptor)

    def leave(self):
        """This thread stands where it stood before the network was."""
        set_namespace(self.outside)

    def part(self, some, others):
        """None of `some` reaches any of `others`, nor the other way around: what they send is lost."""
        for one in some:
            for other in others:
                one.lose(other)
                other.lose(one)

    def heal(self):
        """All hosts reach each other again."""
        for host in self.hosts.values():
            host.find_again()
            host.plug()
            host.join()

    def remove(self):
        """Ends all that runs in the network, and the network."""
        self.leave()
        for host in self.hosts.values():
            host.remove()
        for means in (self.switch, self.wires):
            if means:
                means.remove()
        self.switch = self.wires = None


class Machine:
    """Namespaces that one waiting process holds open."""

    def __init__(self, directory, name, names):
        self.directory = directory
        for part in ("etc", "work/etc", "bin", "work/bin", "var/lib", "var/log", "var/tmp"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        (directory / "up").unlink(missing_ok=True)
        command = ["unshare", "--net", "--mount", "--uts", "sh", "-c", PREPARE, "sh", str(directory), name, str(names)]
        self.holder = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        wait_until(
            lambda: (directory / "up").exists() or self.holder.poll() is not None, f"{name} to come up", every=0.01
        )
        if self.holder.poll() is not None:
            pytest.skip(f"this machine makes no hosts: {self.holder.stderr.read().decode(errors='replace').strip()}")
        self.space = os.readlink(f"/proc/{self.holder.pid}/ns/net")

    def command(self, command):
        """`command` as it is run on this machine; the process has the pid that the caller is given."""
        entering = ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", "--uts", "--wd=/", "--"]
        # A session of its own: programs that signal their whole process group do not reach the test.
        entering += ["setsid"]
        return entering + [str(part) for part in command]

    def run(self, *command, check=True):
        """Runs a command here and returns what it prints."""
        return run(*self.command(command), check=check)

    def processes(self):
        """The pids of all that runs here, but for what holds the namespaces open."""
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) not in (self.holder.pid, os.getpid()):
                try:
                    if os.readlink(f"/proc/{entry.name}/ns/net") != self.space:
                        continue
                    if state_and_parent(entry.name)[1] != str(self.holder.pid):
                        found.append(int(entry.name))
                except OSError:
                    # It ended meanwhile.
                    continue
        return found

    def signal_all(self, number, program=None):
        """Sends a signal to all that runs here, or to all processes of a program. Returns their numbers."""
        told = []
        for pid in self.processes():
            if program and program_of(pid) != program:
                continue
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
            told.append(pid)
        return told

    def freeze_all(self, program=None):
        """SIGSTOP for all that runs here, or for a program: connections stay, and nothing answers."""
        wait_for_stop(self.signal_all(signal.SIGSTOP, program))

    def kill_all(self):
        """kill -9 for all that runs here, also for what is started meanwhile."""
        deadline = time.monotonic() + 10
        while any(is_alive(pid) for pid in self.processes()) and time.monotonic() < deadline:
            self.signal_all(signal.SIGKILL)
            time.sleep(0.01)

    def remove(self):
        self.kill_all()
        if self.holder.poll() is None:
            self.holder.kill()
        self.holder.wait()
        self.holder.stderr.close()
        shutil.rmtree(self.directory / "work", ignore_errors=True)


class Switch(Machine):
    """What connects the hosts, in a namespace of its own."""

    def __init__(self, directory, names):
        super().__init__(directory, "switch", names)
        self.run("ip", "link", "add", "switch", "type", "bridge")
        self.run("ip", "link", "set", "switch", "up")


class Host(Machine):
    """A host of the network."""

    def __init__(self, network, directory, name, address):
        self.network = network
        self.name = name
        self.address = address
        self.port = f"p{address.rsplit('.', 1)[1]}"
        super().__init__(directory, name, network.names)

    def connect(self):
        """Connects it to the switch."""
        if self.network.wires:
            self.network.wires.connect(self, run)
        else:
            port = ["ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid]
            self.network.switch.run(*port)
            self.join()
            self.plug()
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def path(self, path):
        """A file of this host, as the test reaches it; the directories on its way are made."""
        found = Path(f"/proc/{self.holder.pid}/root") / str(path).lstrip("/")
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def install(self, directory):
        """Copies what `directory` has to where it belongs: DIR/etc/x becomes /etc/x."""
        for source in sorted(Path(directory).rglob("*")):
            if source.is_file():
                shutil.copy2(source, self.path(source.relative_to(directory)))

    def process(self, command, log, env=None):
        """A process that runs here once it is started."""
        return Process(self.command(command), log, env)

    def addresses(self):
        """The addresses it answers at: its own, and those of VRRP that it has taken."""
        shown = self.run("ip", "-4", "-brief", "address", "show", "dev", "eth0")
        return {part.split("/")[0] for part in shown.split()[2:]}

    def freeze(self):
        """See `freeze_all`."""
        self.freeze_all()

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def cut(self):
        """What it sends and gets is lost; it does not see why."""
        self.network.switch.run("ip", "link", "set", self.port, "nomaster")

    def join(self):
        """The end of `cut`."""
        self.network.switch.run("ip", "link", "set", self.port, "master", "switch")

    def unplug(self):
        """Its cable is pulled."""
        self.network.switch.run("ip", "link", "set", self.port, "down")

    def plug(self):
        """The end of `unplug`."""
        self.network.switch.run("ip", "link", "set", self.port, "up")

    def power_off(self):
        """The host is without power: no answer to anything, and no address of VRRP when it comes back."""
        self.unplug()
        self.kill_all()
        for address in self.addresses() - {self.address}:
            self.run("ip", "address", "flush", "to", f"{address}/32", "dev", "eth0")

    def power_on(self):
        """The end of `power_off`; what should run has to be started."""
        self.plug()

    def lose(self, other):
        """What it sends to `other` is lost."""
        self.run("ip", "neighbour", "replace", other.address, "lladdr", VOID, "nud", "permanent", "dev", "eth0")

    def find_again(self):
        """The end of `lose`, for all others."""
        self.run("ip", "neighbour", "flush", "dev", "eth0", "nud", "permanent")


def program_of(pid):
    """The name of the program that a process runs, as the system keeps it: 15 bytes of it at most."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def is_alive(pid):
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        return state_and_parent(pid)[0] != "Z"
    except OSError:
        return False


def state_and_parent(pid):
    """The letter of a process's state, and the pid of its parent."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]


def set_namespace(descriptor):
    """This thread enters a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
