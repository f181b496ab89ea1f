"""Deletes of a cluster that go on and on: owners remember them as long as they have to, and no longer."""

import re
import time

import requests
from conftest import wait_until

SOON = {"anti-entropy": {"check-interval": "1s", "forget-deletes-after": "3s"}}
HOSTS = 400
ROWS = 20


def tombstones(node):
    text = requests.get(f"{node.url}/metrics", timeout=10).text
    return int(float(re.search(r"^skywatch_tombstones(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE).group(1)))


def load(node):
    lines = [f"m,host=h{host} v={row} {row + 1}" for host in range(HOSTS) for row in range(ROWS)]
    assert node.write("\n".join(lines), consistency="all").status_code == 204


def delete(node, host):
    result = node.query(f"DELETE FROM m WHERE host = 'h{host}'")["results"][0]
    assert "error" not in result, result


def hosts(node):
    """Which hosts have points in the node's own copies."""
    series = node.query("SELECT count(v) FROM m GROUP BY host", node_id=node.id)["results"][0].get("series", [])
    assert all(found["values"][0][1] == ROWS for found in series)
    return {found["tags"]["host"] for found in series}


def test_deletes_that_all_owners_have_are_forgotten(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config=SOON)
    first, second = cluster.data
    first.query("CREATE DATABASE db WITH REPLICATION 2", db="")
    load(first)
    most = 0
    for host in range(200):
        delete(cluster.data[host % 2], host)
        # What is written goes on meanwhile, also to series that were deleted.
        assert first.write(f"n,host=h{host} v=1 {host + 1}").status_code == 204
        most = max(most, tombstones(first))
    assert most >= 64
    left = {f"h{host}" for host in range(200, HOSTS)}
    assert [hosts(node) for node in cluster.data] == [left, left]
    for node in cluster.data:
        wait_until(lambda node=node: tombstones(node) < 64, "deletes to be forgotten and to go", 90)
    assert [hosts(node) for node in cluster.data] == [left, left]
    # Neither a kill nor what is written again brings anything back.
    second.kill()
    second.start()
    wait_until(second.is_ready, "the node to serve", 60)
    assert hosts(second) == left
    assert first.write("\n".join(f"m,host=h3 v={row} {row + 1}" for row in range(ROWS)), consistency="all").status_code == 204
    assert [hosts(node) for node in cluster.data] == [left | {"h3"}] * 2


def test_deletes_are_remembered_for_a_node_that_is_away(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config=SOON)
    first, second = cluster.data
    first.query("CREATE DATABASE db WITH REPLICATION 2", db="")
    load(first)
    second.kill()
    for host in range(100):
        delete(first, host)
    # Far longer than deletes are remembered where everybody has them.
    wait_until(lambda: tombstones(first) >= 100, "deletes to be counted")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        assert tombstones(first) >= 100
        time.sleep(0.5)
    second.start()
    wait_until(second.is_ready, "the node to serve", 60)
    left = {f"h{host}" for host in range(100, HOSTS)}
    assert [hosts(node) for node in cluster.data] == [left, left]
    for node in cluster.data:
        wait_until(lambda node=node: tombstones(node) < 64, "deletes to be forgotten and to go", 90)
    assert [hosts(node) for node in cluster.data] == [left, left]
