"""Every node of a cluster is restarted in turn, with the same release or from the previous commit's, while clients write and query
through HAProxy, which asks `/ready` whom to send them to: no write fails."""

import os

import pytest
import requests
from checker import Load, check_replicas
from cluster import Cluster, unused_ports
from conftest import Process, answers, need, wait_until
from previous import previous_binary

# The node says for so long that it is about to stop, and serves on; HAProxy needs two checks to believe it.
DRAIN_SECONDS = 4
DATA_CONFIG = {"http": {"shutdown-delay": f"{DRAIN_SECONDS}s"}}


class Balancer(Process):
    """HAProxy in front of the data nodes, as docs/cluster.md has it; to clients it looks like one of them."""

    id = 0

    def __init__(self, directory, nodes):
        binary = need("haproxy", "haproxy")
        port, page = unused_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.page = f"http://127.0.0.1:{page}/;csv"
        servers = "\n".join(f"  server data{node.id} {node.http} check inter 500ms fall 2 rise 2" for node in nodes)
        config = directory / "haproxy.cfg"
        config.write_text(f"""
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend influxdb
  bind 127.0.0.1:{port}
  default_backend skywatch
backend skywatch
  option httpchk GET /ready
  option redispatch
  retries 3
{servers}
listen page
  bind 127.0.0.1:{page}
  stats enable
  stats uri /
""")
        super().__init__([binary, "-f", config], directory / "haproxy.log")

    def start(self):
        super().start()
        wait_until(lambda: not self.running() or answers(self.page), "HAProxy to answer")
        assert self.running(), self.output()
        return self

    def sends_to(self, node):
        """Whether it takes a node for one that clients can be sent to."""
        lines = requests.get(self.page, timeout=5).text.splitlines()
        status = next(line.split(",")[17] for line in lines if line.startswith(f"skywatch,data{node.id},"))
        return status == "UP"


@pytest.fixture
def start_balanced(skywatch_bin, tmp_path):
    """A function that starts a cluster of two owners for each shard, and HAProxy before it."""
    started = []

    def start(binary=skywatch_bin, data=3):
        cluster = Cluster(binary, tmp_path / "cluster", data_config=DATA_CONFIG)
        started.append(cluster)
        cluster.start(metas=3, data=data)
        cluster.data[0].query("CREATE DATABASE rolling WITH REPLICATION 2", db="")
        balancer = Balancer(tmp_path, cluster.data)
        started.append(balancer)
        balancer.start()
        for node in cluster.data:
            wait_until(lambda node=node: ["rolling"] in node.rows("SHOW DATABASES", db=""), "the database")
            wait_until(lambda node=node: balancer.sends_to(node), "HAProxy to send clients to all nodes")
        return cluster, balancer, Load([balancer], "rolling", seed=1, consistency="one")

    yield start
    for what in reversed(started):
        what.stop()


def restart_all(cluster, balancer, load, change=lambda node: None):
    """As docs/cluster.md has it: one at a time, meta nodes first, the next when the last one serves."""
    for node in [*cluster.metas, *cluster.data]:
        code = node.stop(60)
        assert code == 0, f"exit code {code}:\n{node.output()[-3000:]}"
        change(node)
        node.start()
        if node in cluster.data:
            wait_until(node.is_ready, f"data node {node.id} to be ready", 90)
            wait_until(lambda node=node: balancer.sends_to(node), "HAProxy to send clients to it again", 60)
        else:
            wait_until(lambda: cluster.try_ctl("show").returncode == 0, "the meta nodes to have a leader", 60)
        load.more(10)


def check_no_write_failed(load):
    failed = [attempt for attempt in load.attempts if attempt.problem and attempt.kind == "write"]
    assert not failed, f"{len(failed)} writes failed, such as {[attempt.text for attempt in failed[:3]]}"
    others = [attempt for attempt in load.attempts if attempt.problem]
    print(f"{load.figures(0)}; {len(others)} other requests failed: {[attempt.text for attempt in others[:3]]}")


@pytest.mark.parametrize("data", [2, 3])
def test_no_write_fails_while_every_node_is_restarted(start_balanced, data):
    cluster, balancer, load = start_balanced(data=data)
    with load:
        load.more()
        restart_all(cluster, balancer, load)
    check_no_write_failed(load)
    check_replicas(load, cluster)


@pytest.mark.timeout(1800)
def test_no_write_fails_while_every_node_is_upgraded(start_balanced, skywatch_bin):
    previous = previous_binary()
    cluster, balancer, load = start_balanced(binary=previous)
    with load:
        load.more()

        def upgrade(node):
            node.command = [str(skywatch_bin) if part == str(previous) else part for part in node.command]

        restart_all(cluster, balancer, load, upgrade)
        running = {os.readlink(f"/proc/{node.process.pid}/exe") for node in cluster.metas + cluster.data}
        assert running == {str(skywatch_bin.resolve())}
    check_no_write_failed(load)
    check_replicas(load, cluster)
