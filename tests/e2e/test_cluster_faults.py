"""Real processes, each on a machine of its own (a network namespace), under faults: killed, frozen, cut off, badly wired, out of disk.

A load with a memory (checker.py) writes and queries all the while; afterwards every acknowledged point is read back from every
replica, and through every node. `SKYWATCH_FAULTS_SECONDS=1200` draws faults for longer, `SKYWATCH_FAULTS_SEED=7` draws those
of a run that failed; the seed is printed. Figures are printed too, and kept in `tests/out/cluster-faults.txt`.
"""

import contextlib
import os
import random
import subprocess
import time

import pytest
import requests
from checker import Load, check_replicas
from cluster import Cluster
from conftest import OUT, SLOW_MACHINE, wait_until
from hosts import Network
from wires import Wires

METAS = [f"meta-{number}" for number in (1, 2, 3)]
DATA = [f"data-{number}" for number in (1, 2, 3)]
SEED = int(os.environ.get("SKYWATCH_FAULTS_SEED", random.SystemRandom().randrange(10**6)))
SECONDS = float(os.environ.get("SKYWATCH_FAULTS_SECONDS", 25))
# A node that is killed, frozen or cut off costs its clients' neighbours less than this on a machine with nothing else to do.
FAIL_OVER_SECONDS = 2
# What a machine that runs other tests at the same time makes of it: nodes take each other for silent by mistake, and are then patient.
DATA_DISK_MIB = 96
META_DISK_MIB = 24


@contextlib.contextmanager
def small_disk(directory, mib):
    directory.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", directory], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture(scope="module")
def cluster(skywatch_bin, tmp_path_factory):
    """Three meta and three data nodes; the last of each kind has a small disk."""
    directory = tmp_path_factory.mktemp("faults")
    with contextlib.ExitStack() as stack:
        for name, mib in ((METAS[-1], META_DISK_MIB), (DATA[-1], DATA_DISK_MIB)):
            stack.enter_context(small_disk(directory / name / name.split("-")[0], mib))
        # Hosts see what was mounted before they were there.
        network = stack.enter_context(Network(directory / "network", wires=Wires(SEED)))
        for number, name in enumerate(METAS + DATA, 1):
            network.host(name, number)
        cluster = Cluster(skywatch_bin, directory, network=network)
        try:
            yield cluster.start(metas=3, data=3)
        finally:
            cluster.stop()


class Stage:
    """A database of its own on the cluster, a load on it, and what was measured."""

    def __init__(self, cluster, name, **options):
        self.cluster, self.wires, self.name = cluster, cluster.network.wires, name
        # Of its own, so that tests that share the cluster do not share points.
        self.database = name.removeprefix("test_")
        cluster.data[0].query(f'CREATE DATABASE "{self.database}" WITH REPLICATION 2', db="")
        for node in cluster.data:
            wait_until(lambda node=node: [self.database] in node.rows("SHOW DATABASES", db=""), "the database")
        self.load = Load(cluster.data, self.database, SEED, **options)

    def note(self, text):
        line = f"{self.name}: {text}"
        print(line)
        with (OUT / "cluster-faults.txt").open("a") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def fault(self, what, victim):
        """Measures what those see who do not use the victim while the block runs, and how long everything takes to be whole again
        after it. The block ends when the fault does.
        """
        spared = [node for node in self.cluster.data if node is not victim]
        # One fault at a time: a busy machine may have made nodes take each other for silent, and what is kept for a node by one
        # that is cut off next nobody can answer without.
        self.cluster.settle(90)
        since = time.monotonic()
        figures = {}
        yield figures
        until = time.monotonic()
        figures["during"] = self.load.figures(since, until, spared)
        self.cluster.settle(90)
        whole = time.monotonic() - until
        figures["after"] = self.load.figures(until, spared=spared)
        self.load.more()
        self.note(f"{what}: {figures['during']}; whole {whole:.1f} s after its end, meanwhile {figures['after']}")

    def finish(self):
        self.load.stop()
        took = check_replicas(self.load, self.cluster)
        points, attempts = len(self.load.steps), len(self.load.attempts)
        self.note(f"{points} points by {attempts} requests are at all their owners; equal {took:.1f} s after it was whole")


@pytest.fixture
def stage(cluster, request):
    stage = None

    def begin(**options):
        nonlocal stage
        stage = Stage(cluster, request.node.name, **options)
        stage.load.__enter__()
        stage.load.more()
        return stage

    yield begin
    cluster.network.wires.mend()
    for node in cluster.metas + cluster.data:
        (node.directory / node.host.name.split("-")[0] / "filler").unlink(missing_ok=True)
        if node.running():
            node.thaw()
        else:
            node.start()
    if stage:
        stage.load.stop()


def check_fail_over(figures, what):
    limit = FAIL_OVER_SECONDS * SLOW_MACHINE
    assert figures["during"].worst() < limit, f"{what}: {figures['during']} {figures['during'].of}"


def test_killed(stage, cluster):
    stage = stage()
    for what, node in [
        ("the meta leader", cluster.leader()), ("a data node", cluster.data[1]), ("another", cluster.data[2]),
        ("a meta node", next(meta for meta in cluster.metas if meta is not cluster.leader())),
    ]:
        with stage.fault(f"kill -9 of {what}", node) as figures:
            node.kill()
            # Longer than a meta node is missed unnoticed, and than what is known of the catalogue is trusted.
            time.sleep(4)
            stage.load.more(30)
            node.start()
        check_fail_over(figures, what)
    stage.finish()


def test_frozen(stage, cluster):
    stage = stage()
    for what, node in [("a data node", cluster.data[1]), ("the meta leader", cluster.leader())]:
        with stage.fault(f"SIGSTOP of {what}", node) as figures:
            node.freeze()
            stage.load.more(30)
            time.sleep(4)
            node.thaw()
        check_fail_over(figures, what)
    stage.finish()


def test_cut_off(stage, cluster):
    stage = stage()
    wires, victim = stage.wires, cluster.data[0]
    own, others = victim.host.name, set(METAS + DATA) - {victim.host.name}
    cuts = {
        "a data node from all nodes": lambda: wires.isolate(own, but=["operator"]),
        "a data node from all, clients too": lambda: wires.isolate(own),
        "a data node from the meta nodes": lambda: wires.isolate(own, but=["operator", *DATA]),
        "what a data node sends to nodes": lambda: [wires.link(own, other, cut=True) for other in others],
        "what nodes send to a data node": lambda: [wires.link(other, own, cut=True) for other in others],
    }
    for what, cut in cuts.items():
        with stage.fault(f"cut: {what}", victim) as figures:
            cut()
            stage.load.more(20)
            wires.mend()
        check_fail_over(figures, what)
    # Each of them lacks what the others take: queries fail rather than miss something.
    with stage.fault("cut: a data node from the other data nodes", victim):
        wires.isolate(own, but=["operator", *METAS])
        stage.load.more(20, queries=0)
        wires.mend()
    leader = cluster.leader()
    with stage.fault("cut: the meta leader from all", leader) as figures:
        wires.isolate(leader.host.name)
        stage.load.more(20)
        time.sleep(3)
        wires.mend()
    check_fail_over(figures, "the meta leader cut off")
    stage.finish()


def test_meta_nodes_away(stage, cluster):
    stage = stage()
    node = cluster.data[1]
    with stage.fault("kill -9 of all meta nodes, and of a data node", node):
        for meta in cluster.metas:
            meta.kill()
        stage.load.more(30)
        node.kill()
        # With nobody to ask whether the one that is gone keeps something, queries fail rather than miss it.
        stage.load.more(60, queries=0)
        node.start()
        # It gets what was kept for it, and knows when it has everything, with no meta node to tell.
        wait_until(node.is_ready, "the data node to serve without meta nodes", 60)
        stage.load.more(30)
        for meta in cluster.metas:
            meta.launch()
        for meta in cluster.metas:
            meta.started()
    stage.finish()


def test_bad_wires(stage, cluster):
    stage = stage()
    for what, spoilt in {
        "a tenth lost": {"loss": 0.1},
        "late by 30 ms, 20 more or less, one in five overtaking": {"delay": 0.03, "jitter": 0.02, "reorder": 0.2},
        "a tenth twice": {"duplicate": 0.1},
        "all of it": {"loss": 0.05, "delay": 0.02, "jitter": 0.02, "reorder": 0.1, "duplicate": 0.1},
    }.items():
        with stage.fault(f"wires of every node, {what}", None):
            stage.wires.spoil(METAS + DATA, **spoilt)
            stage.load.more(15)
            stage.wires.mend()
    stage.finish()


def fill_up(filler):
    """Takes all the room that is left."""
    with filler.open("ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass


def test_full_disk_of_a_data_node(stage, cluster):
    stage = stage()
    node = cluster.data[-1]
    filler = node.directory / "data" / "filler"
    # Of whose shards every node has a copy.
    cluster.data[0].query("CREATE DATABASE ballast WITH REPLICATION 3", db="")
    wait_until(lambda: ["ballast"] in node.rows("SHOW DATABASES", db=""), "the database")
    with stage.fault("the disk of a data node is full", node) as figures:

        def refuses():
            fill_up(filler)
            # What is kept open of logs takes some for a while.
            lines = "\n".join(f'ballast n={at}i,text="{random.randbytes(400).hex()}" {at}' for at in range(200))
            return node.write(lines, "ballast", consistency="all").status_code != 204

        wait_until(refuses, "the disk to be full", 60)
        stage.load.more(30)
        filler.unlink()
        if not node.running():
            stage.note(f"a data node whose disk is full has ended: {node.output()[-300:]}")
            node.start()
    check_fail_over(figures, "a full disk")
    stage.finish()


def test_full_disk_of_a_meta_node(stage, cluster):
    stage = stage()
    node = cluster.metas[-1]
    filler = node.directory / "meta" / "filler"
    with stage.fault("the disk of a meta node is full", node) as figures:
        for number in range(40):
            fill_up(filler)
            # The catalogue goes on changing; the first of these find what is left of blocks.
            cluster.data[0].query(f'CREATE DATABASE "full{number}"', db="")
        stage.load.more(30)
        filler.unlink()
        if not node.running():
            stage.note(f"a meta node whose disk is full has ended: {node.output()[-300:]}")
            node.start()
    check_fail_over(figures, "a full disk")

    # It is a voter as before: with another one gone the catalogue can be changed.
    other = next(meta for meta in cluster.metas if meta is not node and meta is not cluster.leader())
    other.kill()
    wait_until(
        lambda: "error" not in str(cluster.data[0].query("DROP DATABASE full0", db="")), "two meta nodes to agree", 60
    )
    other.start()
    stage.finish()


class Drawn:
    """Faults drawn from a seed: at most one data node and one meta node suffer at a time, wires may be bad besides."""

    def __init__(self, stage, seed):
        self.stage, self.chance = stage, random.Random(seed)
        self.cluster, self.wires = stage.cluster, stage.wires
        self.told = []

    def tell(self, text):
        self.told.append(f"{time.monotonic():.1f} {text}")

    def run(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stage.load.wrong:
            undo = [self.hurt(self.chance.choice(self.cluster.data))] if self.chance.random() < 0.7 else []
            if self.chance.random() < 0.5:
                undo.append(self.hurt(self.chance.choice(self.cluster.metas)))
            if self.chance.random() < 0.3:
                spoilt = {"loss": self.chance.uniform(0, 0.15), "delay": self.chance.uniform(0, 0.05)}
                spoilt |= {"jitter": spoilt["delay"], "duplicate": 0.05, "reorder": 0.1}
                self.tell(f"wires {spoilt}")
                self.wires.spoil(METAS + DATA, **spoilt)
            time.sleep(self.chance.uniform(0.2, 5))
            self.chance.shuffle(undo)
            for mend in undo:
                mend()
                time.sleep(self.chance.uniform(0, 1))
            if self.chance.random() < 0.7:
                self.wires.mend()
            # Not always long enough for everybody to catch up.
            time.sleep(self.chance.uniform(0, 4))
        self.wires.mend()

    def hurt(self, node):
        """Hurts a node somehow; what is returned ends it."""
        name = node.host.name
        kind = self.chance.choice(["kill", "kill", "freeze", "restart", "isolate", "part", "deaf", "mute"])
        self.tell(f"{kind} {name}")
        if kind == "kill":
            node.kill()
            return lambda: (self.tell(f"start {name}"), node.launch())
        if kind == "freeze":
            node.freeze()
            return lambda: (self.tell(f"thaw {name}"), node.thaw())
        if kind == "restart":
            node.process.terminate()
            return lambda: (self.tell(f"start {name}"), node.stop(), node.launch())
        others = set(METAS + DATA) - {name}
        some = set(self.chance.sample(sorted(others), self.chance.randint(1, len(others))))
        if kind == "isolate":
            self.wires.isolate(name, but=[] if self.chance.random() < 0.5 else ["operator"])
        for other in some if kind in ("part", "deaf") else []:
            self.wires.link(other, name, cut=True)
        for other in some if kind in ("part", "mute") else []:
            self.wires.link(name, other, cut=True)
        return lambda: (self.tell("mend"), self.wires.mend())


@pytest.mark.timeout(SECONDS + 600)
def test_drawn(stage, cluster):
    stage = stage(points_per_groups=1500)
    drawn = Drawn(stage, SEED)
    since = time.monotonic()
    try:
        drawn.run(SECONDS)
        for node in cluster.metas + cluster.data:
            node.started()
        stage.load.more(seconds=90)
        stage.finish()
    except BaseException:
        print(f"SKYWATCH_FAULTS_SEED={SEED}", *drawn.told, sep="\n")
        raise
    stage.note(f"seed {SEED}, {len(drawn.told)} events: {stage.load.figures(since)}")
