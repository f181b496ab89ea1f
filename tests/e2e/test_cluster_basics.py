"""A cluster as docs/cluster.md has it: formed, written to and read from while its processes are killed, frozen and restarted."""

import itertools
import threading
import time

import pytest
import requests
from conftest import SLOW_MACHINE, wait_until

# Longer than a node may take for anything when another does not answer: writes wait 10 s for owners.
BOUND_SECONDS = 15


class Writer(threading.Thread):
    """Writes numbered points of one series, at the nodes in turn; one that is not acknowledged by a node goes to the next."""

    def __init__(self, cluster, number, **params):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.number = number
        self.params = params
        self.acknowledged = []
        # Points that no node acknowledged when they were given to each in turn.
        self.refused = []
        self.slowest = 0.0
        self.stopping = threading.Event()

    def run(self):
        for at in itertools.count(1):
            if self.stopping.is_set():
                return
            begun = time.monotonic()
            if self.write(at):
                self.acknowledged.append(at)
                self.slowest = max(self.slowest, time.monotonic() - begun)
            time.sleep(0.01)

    def write(self, at):
        line = f"m,writer={self.number} v={at}i {at}"
        failures = []
        nodes = self.cluster.data[at % len(self.cluster.data) :] + self.cluster.data[: at % len(self.cluster.data)]
        for node in nodes:
            try:
                answer = requests.post(
                    f"{node.url}/write", params={"db": "db", **self.params}, data=line, timeout=BOUND_SECONDS
                )
                if answer.status_code == 204:
                    return True
                failures.append(f"{node.id}: {answer.status_code} {answer.text}")
            except requests.RequestException as error:
                failures.append(f"{node.id}: {error}")
        self.refused.append((at, failures))
        return False

    def stop(self):
        self.stopping.set()
        self.join(60)


def start_writers(cluster, count=2, **params):
    writers = [Writer(cluster, number, **params) for number in range(count)]
    for writer in writers:
        writer.start()
    return writers


def written_more(writers, points=20):
    """Waits until every writer has had more points acknowledged."""
    before = [len(writer.acknowledged) for writer in writers]
    wait_until(
        lambda: all(len(writer.acknowledged) >= count + points for writer, count in zip(writers, before)),
        f"{points} more writes by everyone; refused last: {[writer.refused[-1:] for writer in writers]}",
        60,
    )


def check_replicas(cluster, writers):
    """Every replica has every acknowledged point, and all have the same."""
    cluster.settle(60)

    def held():
        found = {}
        for writer in writers:
            q = f"SELECT v FROM m WHERE writer = '{writer.number}'"
            found[writer.number] = cluster.everywhere(q, epoch="ns")
        return found

    for writer in writers:
        for node, rows in held()[writer.number].items():
            times = {row[0] for row in rows}
            missing = sorted(set(writer.acknowledged) - times)
            assert not missing, f"node {node} lacks {len(missing)} of {len(writer.acknowledged)}, such as {missing[:5]}"
            assert all(row[0] == row[1] for row in rows)

    def agree():
        return all(len({str(rows) for rows in nodes.values()}) == 1 for nodes in held().values())

    # What was written and not acknowledged may be on its way still.
    wait_until(agree, "all replicas to hold the same", 60)


def create(cluster, replication):
    cluster.data[0].query(f"CREATE DATABASE db WITH REPLICATION {replication}", db="")


def test_a_cluster_is_formed_and_answers_everywhere(start_cluster):
    cluster = start_cluster(metas=3, data=2)
    assert [node.id for node in cluster.data] == [4, 5]
    shown = cluster.ctl("show")
    for node in cluster.data:
        assert node.tcp in shown
    for meta in cluster.metas:
        assert meta.http in shown
        # Each of them hears of the others' versions by and by; then all of them show the same.
        wait_until(lambda meta=meta: cluster.ctl("show", bind=meta.http).count("0.1.0") == 5, "all versions")

    # Adding what is there changes nothing.
    assert cluster.ctl("add-meta", cluster.metas[1].http) == f"Added meta node 2 at {cluster.metas[1].http}\n"
    assert cluster.ctl("add-data", cluster.data[1].tcp) == f"Added data node 5 at {cluster.data[1].tcp}\n"

    create(cluster, 2)
    status = cluster.data[0].status()
    assert (status["nodeType"], status["nodeStatus"]) == ("data", "joined")
    assert status["tcpAddr"] == cluster.data[0].tcp
    assert sorted(status["metaAddrs"]) == sorted(meta.http for meta in cluster.metas)
    # A database is known where it was not created as soon as the statement has been answered, or very soon.
    for number, node in enumerate(cluster.data):
        wait_until(lambda node=node: ["db"] in node.rows("SHOW DATABASES", db=""), "the database")
        assert node.write(f"m,n={number} v={number} {number + 1}").status_code == 204
    expected = [["1970-01-01T00:00:00.000000001Z", "0", 0], ["1970-01-01T00:00:00.000000002Z", "1", 1]]
    for node in cluster.data:
        assert node.rows("SELECT n, v FROM m") == expected
        wait_until(lambda node=node: node.rows("SELECT n, v FROM m", node_id=node.id) == expected, "the replica")
    shards = cluster.ctl("show-shards")
    for node in cluster.data:
        assert f"{{ID:{node.id} TCPAddr:{node.tcp}}}" in shards


def test_nothing_acknowledged_is_lost_when_each_process_is_killed_under_load(start_cluster):
    cluster = start_cluster(metas=3, data=2)
    create(cluster, 2)
    writers = start_writers(cluster)
    written_more(writers)
    for node in [cluster.leader(), *cluster.data, *cluster.metas]:
        node.kill()
        written_more(writers)
        node.start()
        written_more(writers, 5)
        if node in cluster.data:
            cluster.settle(60)
    for writer in writers:
        writer.stop()
    check_replicas(cluster, writers)


def test_writes_go_on_while_every_node_is_restarted_in_turn(start_cluster):
    cluster = start_cluster(metas=3, data=3)
    create(cluster, 3)
    writers = start_writers(cluster, consistency="one")
    written_more(writers)
    for node in [*cluster.metas, *cluster.data]:
        node.restart()
        cluster.settle(60)
        written_more(writers)
    for writer in writers:
        writer.stop()
        assert not writer.refused, writer.refused[:3]
    check_replicas(cluster, writers)


def test_a_node_that_owns_no_copy_takes_writes_and_answers_nothing_wrong(start_cluster):
    cluster = start_cluster(metas=1, data=2)
    create(cluster, 1)
    for at in range(1, 21):
        # Two shards, an owner each: half of these are for the other node, whichever is asked.
        assert cluster.data[at % 2].write(f"m,writer={at} v={at}i {at}").status_code == 204
    for node in cluster.data:
        result = node.query("SELECT v FROM m")["results"][0]
        if "error" in result:
            assert "ask a node that owns it" in result["error"]
        else:
            assert len(result["series"][0]["values"]) == 20


def test_a_frozen_data_node_holds_nobody_up_for_long(start_cluster):
    cluster = start_cluster(metas=1, data=2)
    create(cluster, 2)
    node, frozen = cluster.data
    assert node.write("m,writer=0 v=1i 1").status_code == 204
    frozen.freeze()
    # What is acknowledged from here on the frozen node lacks: woken up, it does not answer by what it has.
    assert node.write("m,writer=0 v=2i 2", timeout=BOUND_SECONDS).status_code == 204
    frozen.thaw()
    answers = [frozen.ask("SELECT v FROM m").json()["results"][0] for _ in range(20)]
    short = [answer for answer in answers if "series" in answer and len(answer["series"][0]["values"]) < 2]
    assert not short, short
    wait_until(lambda: frozen.is_ready(), "the node to catch up", 60)
    frozen.freeze()
    slowest = 0
    for at in range(3, 30):
        begun = time.monotonic()
        assert node.write(f"m,writer=0 v={at}i {at}", timeout=BOUND_SECONDS).status_code == 204
        rows = node.rows("SELECT v FROM m", epoch="ns", timeout=BOUND_SECONDS)
        assert [row[0] for row in rows] == list(range(1, at + 1))
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < BOUND_SECONDS
    # The later ones pay nothing: it is known that the node does not answer.
    begun = time.monotonic()
    assert node.write("m,writer=0 v=30i 30").status_code == 204
    assert time.monotonic() - begun < SLOW_MACHINE
    frozen.thaw()
    wait_until(lambda: frozen.is_ready(), "the node to catch up", 60)
    assert len(frozen.rows("SELECT v FROM m", node_id=frozen.id)) == 30


def test_a_data_node_starts_and_serves_without_meta_nodes(start_cluster):
    cluster = start_cluster(metas=1, data=2)
    create(cluster, 2)
    assert cluster.data[0].write("m,writer=0 v=1i 1").status_code == 204
    cluster.metas[0].kill()
    for node in cluster.data:
        node.restart()
        cluster.settle(60)
        assert node.write(f"m,writer=0 v={node.id}i {node.id}").status_code == 204
    for node in cluster.data:
        assert [row[0] for row in node.rows("SELECT v FROM m", epoch="ns")] == [1, *(node.id for node in cluster.data)]
    begun = time.monotonic()
    refused = cluster.data[0].ask("CREATE DATABASE other", db="").json()
    assert "meta service unavailable" in str(refused)
    assert time.monotonic() - begun < BOUND_SECONDS


def test_a_load_balancer_is_told_whom_to_ask(start_cluster):
    cluster = start_cluster(metas=1, data=2)
    create(cluster, 2)
    node, other = cluster.data
    other.kill()
    written = node.write("m,writer=0 v=1i 1")
    assert written.status_code == 204 and node.is_ready()
    other.start()
    # It is ready once it has what was kept for it.
    wait_until(lambda: other.is_ready(), "the node to be ready", 30)
    assert len(other.rows("SELECT v FROM m", node_id=other.id)) == 1
    cluster.metas[0].kill()
    node.kill()
    wait_until(lambda: not other.is_ready(), "the node to see that it is alone", 30)
    answer = requests.get(f"{other.url}/ready", timeout=5)
    assert answer.status_code == 503 and answer.json()["message"], answer.text


def test_nodes_without_the_secret_are_refused(start_cluster):
    secret = {"meta": {"internal-shared-secret": "correct horse"}}
    ours = {"meta": {"meta-internal-shared-secret": "correct horse"}}
    cluster = start_cluster(metas=1, data=1, meta_config=secret, data_config=ours)
    stranger = cluster.new_data({"meta": {"meta-internal-shared-secret": "battery staple"}}).start()
    refused = cluster.try_ctl("add-data", stranger.tcp)
    assert refused.returncode != 0
    assert "secret" in refused.stderr, refused.stderr
    assert stranger.status()["nodeStatus"] == "disjoined"
    assert stranger.tcp not in cluster.ctl("show")
    assert "a connection between nodes was refused" in stranger.output()


@pytest.mark.parametrize("role", ["meta", "data"])
def test_a_node_that_is_told_to_stop_stops(start_cluster, role):
    cluster = start_cluster(metas=1, data=1)
    node = cluster.metas[0] if role == "meta" else cluster.data[0]
    begun = time.monotonic()
    assert node.stop() == 0, node.output()
    assert time.monotonic() - begun < 15
