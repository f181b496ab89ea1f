"""`[meta] retention-autocreate = false`: databases begin without a retention policy, as with a real InfluxDB, on a single server
and in a cluster, whose meta nodes decide."""

import os

import pytest
import requests
from cluster import Cluster
from conftest import Influxd, Skywatch

NO_AUTOGEN = "[meta]\nretention-autocreate = false\n"

STEPS = [
    "CREATE DATABASE db",
    "CREATE DATABASE db",
    "SHOW RETENTION POLICIES ON db",
    ("m v=1 1", {}),
    ("m v=1 1", {"rp": "autogen"}),
    "SELECT v FROM m",
    "SELECT v FROM db.autogen.m",
    "SHOW MEASUREMENTS",
    "SHOW FIELD KEYS",
    "CREATE RETENTION POLICY two ON db DURATION 2h REPLICATION 1 SHARD DURATION 1h",
    ("m v=2 2", {}),
    "ALTER RETENTION POLICY two ON db DURATION INF DEFAULT",
    "SHOW RETENTION POLICIES ON db",
    ("m v=3 3", {}),
    "SELECT v FROM m",
    "SELECT v FROM db.two.m",
    "CREATE DATABASE named WITH DURATION 3d REPLICATION 1",
    "SHOW RETENTION POLICIES ON named",
    "DROP RETENTION POLICY two ON db",
    "SHOW RETENTION POLICIES ON db",
    "DROP DATABASE db",
    "SHOW DATABASES",
]


BEFORE_LOOKS = [
    "CREATE DATABASE db",
    "CREATE RETENTION POLICY two ON db DURATION INF REPLICATION 1",
    ("m,h=a v=1 1\nm,h=c w=2i 2", {"rp": "two"}),
]

# Asked where there is no default policy, as they are and with `rp` in the request: as with writes, that counts.
LOOKS = [
    *[f"SHOW {what}" for what in ("SERIES", "FIELD KEYS", "TAG KEYS", "MEASUREMENTS", "TAG VALUES WITH KEY = h")],
    *[f"SHOW {what} FROM m" for what in ("SERIES", "FIELD KEYS", "TAG KEYS")],
    *[f"SHOW {what} FROM /m/" for what in ("SERIES", "FIELD KEYS", "TAG KEYS")],
    *[f"SHOW {what} FROM db.two.m" for what in ("SERIES", "FIELD KEYS", "TAG KEYS")],
    *[f"SHOW {what} FROM nosuch.m" for what in ("SERIES", "FIELD KEYS")],
    *[f"SHOW {what} ON db" for what in ("SERIES", "FIELD KEYS")],
    *[f"SHOW {what} EXACT CARDINALITY" for what in ("SERIES", "MEASUREMENT", "TAG KEY", "FIELD KEY")],
    "SHOW TAG VALUES EXACT CARDINALITY WITH KEY = h",
    "SHOW SERIES WHERE h = 'a'",
    "SHOW SERIES CARDINALITY",
    "SHOW FIELD KEY CARDINALITY",
    "SELECT v FROM m",
    "SELECT v INTO x FROM two.m",
    "EXPLAIN SELECT v FROM m",
    "DELETE FROM m WHERE time = 5",
    "DROP SERIES FROM m WHERE h = 'b'",
]


def ours_alone(directory, binary):
    (directory / "skywatch.toml").write_text(NO_AUTOGEN)
    server = Skywatch(binary, directory, "--config", directory / "skywatch.toml").start()
    return server, server.url


def ours_many(directory, binary):
    # What a data node's file says does not count.
    cluster = Cluster(binary, directory, meta_config={"meta": {"retention-autocreate": False}})
    cluster.start(metas=1, data=2)
    return cluster, cluster.data[1].url


@pytest.mark.parametrize("start", [ours_alone, ours_many])
def test_databases_begin_without_a_policy(start, skywatch_bin, tmp_path):
    theirs = Influxd(tmp_path)
    theirs.env = {**os.environ, "INFLUXDB_META_RETENTION_AUTOCREATE": "false"}
    ours, url = start(tmp_path, skywatch_bin)
    try:
        theirs.start()
        for step in STEPS:
            answers = [done(at, step) for at in (theirs.url, url)]
            assert answers[0] == answers[1], step
        for step in BEFORE_LOOKS:
            assert {done(at, step)[0] for at in (theirs.url, url)} <= {200, 204}, step
        for look in LOOKS:
            for policy in ({}, {"rp": "two"}, {"rp": "nosuch"}):
                answers = [done(at, look, **policy) for at in (theirs.url, url)]
                assert answers[0] == answers[1], (look, policy)
    finally:
        theirs.stop()
        ours.stop()


def done(url, step, **more):
    if isinstance(step, str):
        params = {"db": "db", "epoch": "ns"} | more
        answer = requests.post(f"{url}/query", params=params, data={"q": step}, timeout=30)
    else:
        lines, more = step
        answer = requests.post(f"{url}/write", params={"db": "db"} | more, data=lines, timeout=30)
    # Statistics of the server itself.
    return answer.status_code, answer.text.replace(',["_internal"]', "").replace('["_internal"],', "")
