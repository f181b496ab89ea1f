"""`push.sh` of what `skywatch render` writes, with the real rsync, to hosts in namespaces: a remote shell that enters them stands in
for SSH. What arrives, what takes effect, what stays as it was, and what a second time changes."""

import os
import subprocess

import pytest
from cloud import render
from conftest import need
from hosts import Network

INVENTORY = """
[cloud]
name = "pushed"
domain = "cloud.example"
[sites]
east = ["r1", "r2"]
[hosts]
meta1 = { address = "10.77.0.11", rack = "r1", roles = ["meta"] }
meta2 = { address = "10.77.0.12", rack = "r2", roles = ["meta"] }
meta3 = { address = "10.77.0.13", rack = "r2", roles = ["meta"] }
data1 = { address = "10.77.0.21", rack = "r1", roles = ["data"], memory = "1g" }
data2 = { address = "10.77.0.22", rack = "r2", roles = ["data"], memory = "1g" }
"""
# As rsync and push.sh call a shell on another host: [-l USER] [USER@]ADDRESS WORD..., whose words are put together again there.
REMOTE_SHELL = """#!/bin/bash
user=
if [ "$1" = -l ]; then user=$2; shift 2; fi
case $1 in *@*) user=${1%%@*} ;; esac
address=${1##*@}
shift
[ "$user" = root ] || { echo "ssh: as $user and not as root" >&2; exit 255; }
case $address in
@HOSTS@
*) echo "ssh: no route to $address" >&2; exit 255 ;;
esac
"""


# The settings of the kernel are this machine's, too: a stand-in notes what it was asked for.
STAND_INS = "/var/stand-ins"
FIRST = f"export PATH={STAND_INS}:/usr/sbin:/usr/bin:/sbin:/bin"
SYSCTL = '#!/bin/sh\necho "$*" >>/run/sysctl-asked\n'


class Pushing:
    """Hosts with nothing on them, and a rendered directory beside them."""

    def __init__(self, binary, directory):
        self.binary, self.directory, self.tree = binary, directory, directory / "rendered"
        self.render(INVENTORY)

    def render(self, inventory):
        render(self.binary, inventory, self.directory / "cloud.toml", self.tree)

    def connect(self, network):
        self.hosts = {name: network.host(name, number) for name, number in (("meta1", 11), ("data1", 21))}
        cases = [f'{host.address}) exec {" ".join(host.command(["sh", "-c"]))} "{FIRST}; $*" ;;' for host in self.hosts.values()]
        self.shell = self.directory / "remote-shell"
        self.shell.write_text(REMOTE_SHELL.replace("@HOSTS@", "\n".join(cases)))
        self.shell.chmod(0o755)
        for host in self.hosts.values():
            stand_in = host.path(f"{STAND_INS}/sysctl")
            stand_in.write_text(SYSCTL)
            stand_in.chmod(0o755)
            found = subprocess.run([self.shell, f"root@{host.address}", "command -v sysctl"], capture_output=True, text=True, timeout=30)
            assert found.stdout == f"{STAND_INS}/sysctl\n", "this machine's kernel would be told"

    def push(self, *names):
        """What push.sh prints, its complaints, and its exit status; it is called from elsewhere than its directory."""
        environment = {**os.environ, "RSYNC_RSH": str(self.shell)}
        done = subprocess.run(
            [self.tree / "push.sh", *names], env=environment, cwd="/", capture_output=True, text=True, timeout=120
        )
        return done.stdout, done.stderr, done.returncode

    def files(self, name):
        root = self.tree / "hosts" / name
        return {f"/{path.relative_to(root)}": path for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pushing(skywatch_bin, tmp_path_factory):
    for command, package in (("rsync", "rsync"), ("systemd-sysusers", "systemd"), ("systemd-tmpfiles", "systemd")):
        need(command, package)
    directory = tmp_path_factory.mktemp("push")
    made = Pushing(skywatch_bin, directory)
    with Network(directory / "network") as network:
        made.connect(network)
        yield made


def status(host, path):
    """Owner, group and permissions; and when these or the content last changed."""
    *who, changed = host.run("stat", "-c", "%U %G %a %z", path).strip().split(" ", 3)
    return who, changed


def test_push_copies_makes_it_take_effect_and_leaves_the_rest(pushing):
    host = pushing.hosts["data1"]
    host.path("/etc/kept").write_text("of somebody else\n")
    before = {path: status(host, path)[0] for path in ("/", "/etc", "/etc/systemd/system", "/etc/hostname", "/etc/kept")}
    out, said, code = pushing.push("data1")
    assert code == 0, out + said
    assert out.startswith("== data1 (10.77.0.21)\n")
    for path, rendered in pushing.files("data1").items():
        assert host.path(path).read_bytes() == rendered.read_bytes(), path
        assert f"send {path[1:]}" in out, path
    assert {path: status(host, path)[0] for path in before} == before
    assert host.path("/etc/kept").read_text() == "of somebody else\n"
    assert status(host, "/etc/skywatch/data.toml")[0] == status(host, "/etc/skywatch/tls/host.key")[0] == ["root", "skywatch", "640"]
    assert status(host, "/etc/skywatch/tls/ca.pem")[0] == ["root", "root", "644"]
    assert host.run("getent", "hosts", "data2.cloud.example").split()[0] == "10.77.0.22"
    assert "60-skywatch.conf" in host.path("/run/sysctl-asked").read_text()
    # The other host has got nothing.
    assert not pushing.hosts["meta1"].path("/etc/skywatch/meta.toml").exists()


def test_a_second_push_changes_nothing_not_even_for_a_moment(pushing):
    """Nodes read keys again when they change: one that nobody may read for a moment would be a failure in their logs."""
    host = pushing.hosts["data1"]
    assert pushing.push("data1")[2] == 0
    paths = pushing.files("data1")
    before = {path: status(host, path) for path in paths}
    out, said, code = pushing.push("data1")
    assert (out, code) == ("== data1 (10.77.0.21)\n", 0), said
    assert {path: status(host, path) for path in paths} == before


def test_what_changed_on_either_side_is_put_right_and_told(pushing):
    host = pushing.hosts["data1"]
    assert pushing.push("data1")[2] == 0
    host.path("/etc/skywatch/data.toml").write_text("# by hand\n")
    host.path("/etc/skywatch/apply.sh").chmod(0o600)
    out, said, code = pushing.push("data1")
    assert code == 0, said
    assert "send etc/skywatch/data.toml" in out and "host.key" not in out
    assert host.path("/etc/skywatch/data.toml").read_text() != "# by hand\n"
    assert status(host, "/etc/skywatch/data.toml")[0] == ["root", "skywatch", "640"]
    host.run("test", "-x", "/etc/skywatch/apply.sh")

    pushing.render(INVENTORY.replace("10.77.0.22", "10.77.0.23"))
    out, said, code = pushing.push("data1")
    assert code == 0, said
    assert "send etc/skywatch/hosts" in out and "data.toml" not in out
    assert host.run("getent", "hosts", "data2.cloud.example").split()[0] == "10.77.0.23"


def test_who_may_read_does_not_depend_on_what_the_host_gives_new_files(pushing):
    """Some administrators have a umask of 077: services have to read certificates all the same."""
    host = pushing.hosts["meta1"]
    pushing.shell.write_text(pushing.shell.read_text().replace(FIRST, f"{FIRST}; umask 077"))
    assert pushing.push("meta1")[2] == 0
    pushing.shell.write_text(pushing.shell.read_text().replace("; umask 077", ""))
    assert status(host, "/etc/skywatch/tls/ca.pem")[0] == ["root", "root", "644"]
    assert status(host, "/etc/skywatch/tls")[0] == ["root", "root", "755"]
    assert status(host, "/etc/skywatch/tls/host.key")[0] == ["root", "skywatch", "640"]


def test_hosts_that_are_unknown_or_out_of_reach(pushing):
    out, said, code = pushing.push("data9")
    assert (code, said) == (1, "push.sh: no host data9 here\n")
    assert pushing.push()[1:] == ("usage: push.sh HOST... | all\n", 2)
    # In the order of the inventory: meta1 is there, meta2 is not, and it ends there.
    out, said, code = pushing.push("all")
    assert code != 0 and "no route to 10.77.0.12" in said
    assert out.startswith("== meta1 (10.77.0.11)\n") and out.endswith("== meta2 (10.77.0.12)\n")
    assert status(pushing.hosts["meta1"], "/etc/skywatch/meta.toml")[0] == ["root", "skywatch", "640"]
