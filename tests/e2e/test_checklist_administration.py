"""What operators of InfluxDB's clusters know, row by row: copies under way, backups, statistics, configuration, TLS."""

import os
import re
import socket
import subprocess
import threading

import pytest
import requests
from cluster import Cluster
from conftest import need, wait_until


@pytest.fixture(scope="module")
def cluster(skywatch_bin, tmp_path_factory):
    """A meta and two data nodes."""
    cluster = Cluster(skywatch_bin, tmp_path_factory.mktemp("cluster"), data_config={"monitor": {"store-enabled": True, "store-interval": "1s"}})
    try:
        yield cluster.start(metas=1, data=2)
    finally:
        cluster.stop()


def create(node, db, replication):
    node.query(f"CREATE DATABASE {db} WITH REPLICATION {replication}", db="")


def shards_of(cluster, db):
    """Numbers of a database's shards and of their owners."""
    rows = [line for line in cluster.ctl("show-shards").splitlines()[3:] if re.match(rf"\d+ +{db} ", line)]
    return {int(row.split()[0]): [int(number) for number in re.findall(r"\{ID:(\d+) ", row)] for row in rows}


def test_copy_status_and_kill(start_cluster):
    """A copy that takes long, since comparisons and copies share a rate, is seen and ended."""
    cluster = start_cluster(metas=1, data=2, data_config={"anti-entropy": {"rate-limit": "256k"}})
    old, new = cluster.data
    create(old, "db", 1)
    rows = [f'm,h=h{n % 7} s="{os.urandom(400).hex()}" {n + 1}' for n in range(6000)]
    for start in range(0, len(rows), 2000):
        assert old.write("\n".join(rows[start : start + 2000])).status_code == 204
    shard = next(shard for shard, owners in shards_of(cluster, "db").items() if owners == [old.id])
    header = "Source  Dest  Database  Policy  ShardID  TotalSize  CurrentSize  StartedAt"
    assert cluster.ctl("copy-shard-status").split() == header.split()
    outcome = []
    copying = threading.Thread(
        target=lambda: outcome.append(cluster.try_ctl("copy-shard", old.tcp, new.tcp, str(shard), timeout=120)), daemon=True
    )
    copying.start()

    def under_way():
        return [line.split() for line in cluster.ctl("copy-shard-status").splitlines()[1:] if line.strip()]

    (row,) = wait_until(lambda: [row for row in under_way() if row[5] != "0"], "the copy to be shown", 60, 0.05)
    assert row[:5] == [old.tcp, new.tcp, "db", "autogen", str(shard)]
    assert int(row[5]) > 0 and 0 <= int(row[6]) <= int(row[5])
    cluster.ctl("kill-copy-shard", old.tcp, new.tcp, str(shard))
    copying.join(60)
    assert not copying.is_alive() and outcome[0].returncode == 1, outcome
    wait_until(lambda: under_way() == [], "the copy to be gone")
    wait_until(lambda: shards_of(cluster, "db")[shard] == [old.id], "the new owner to give up", 60)
    unknown = cluster.try_ctl("kill-copy-shard", old.tcp, new.tcp, str(shard))
    assert unknown.returncode == 1 and f"no copy of shard {shard}" in unknown.stderr


def test_backup_and_restore_of_a_cluster(cluster, skywatch_bin, tmp_path):
    node, other = cluster.data
    create(node, "saved", 1)
    assert node.write("\n".join(f"m,h=h{n} v={n}i {n + 1}" for n in range(200)), db="saved").status_code == 204
    directory = tmp_path / "backup"

    def ctl(*arguments):
        command = [skywatch_bin, "ctl", "-bind", cluster.metas[0].http, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    ctl("backup", "-db", "saved", "--verify", directory)
    assert node.write("\n".join(f"m,h=h{n} v={n}i {n + 1}" for n in range(200, 300)), db="saved").status_code == 204
    # Incremental: what is there is not copied again.
    total, copied = map(int, re.search(r": (\d+) files, \d+ bytes; copied (\d+) files", ctl("backup", "-db", "saved", directory)).groups())
    assert copied < total
    ctl("restore", "-db", "saved", "-newdb", "back", "-newrf", 2, directory)
    expected = node.rows("SELECT * FROM m", db="saved")
    assert len(expected) == 300

    def is_back(replica):
        result = replica.query("SELECT * FROM m", db="back")["results"][0]
        return result.get("series", [{}])[0].get("values") == expected

    for replica in cluster.data:
        wait_until(lambda replica=replica: is_back(replica), "everything to be back", 60)
    both = sorted(replica.id for replica in cluster.data)
    wait_until(lambda: all(sorted(owners) == both for owners in shards_of(cluster, "back").values()), "two copies", 60)
    wait_until(lambda: other.rows("SELECT count(v) FROM m", db="back", node_id=other.id)[:1] == [["1970-01-01T00:00:00Z", 300]], "both copies to be whole", 60)


WRITE = "pointReq pointReqHH pointReqLocal pointReqRemote req subWriteDrop subWriteOk writeDrop writeError writeOk writePartial writeTimeout"
COORDINATOR = (
    "backupShardReq copyShardReq createIteratorReq expandSourcesReq fieldDimensionsReq iteratorCostReq listShardsReq mapTypeReq"
    " removeShardReq writeShardFail writeShardPointsReq writeShardReq"
)
PROCESSOR = (
    "bytesRead bytesWritten queueBytes queueDepth writeBlocked writeDropped writeNodeReq writeNodeReqFail writeNodeReqPoints"
    " writeShardReq writeShardReqPoints"
)
NAMES = {
    "write": WRITE,
    "coordinator": COORDINATOR,
    "hh": "writeShardReq writeShardReqPoints",
    "hh_processor": PROCESSOR,
    "ae": "bytesRx errors jobs jobsActive",
}


def test_internal_debug_vars_and_show_stats_names(cluster):
    node, other = cluster.data
    create(node, "counted", 2)
    assert node.write("m v=1 1", db="counted").status_code == 204
    other.kill()
    try:
        assert node.write("m v=1 2", db="counted").status_code == 204
        variables = requests.get(f"{node.url}/debug/vars", timeout=10).json()
        shown = {series["name"]: set(series["columns"]) for series in node.query("SHOW STATS", db="")["results"][0]["series"]}
        for name, fields in NAMES.items():
            wanted = set(fields.split())
            assert wanted <= shown[name], (name, wanted - shown[name])
            told = [set(entry["values"]) for entry in variables.values() if isinstance(entry, dict) and entry.get("name") == name]
            assert told and wanted <= told[0], (name, wanted - told[0])
            assert {series["name"] for series in node.query(f"SHOW STATS FOR '{name}'", db="")["results"][0]["series"]} == {name}
    finally:
        other.start()
        cluster.settle(60)
    policies = node.rows("SHOW RETENTION POLICIES ON _internal", db="")
    assert [row[:3] for row in policies] == [["monitor", "168h0m0s", "24h0m0s"]]

    def kept():
        answer = node.query('SELECT count(req) FROM "write" GROUP BY nodeID, clusterID, hostname', db="_internal")["results"][0]
        return {series["tags"]["nodeID"]: series["tags"] for series in answer.get("series", [])}

    wait_until(lambda: {it.tcp for it in cluster.data} <= set(kept()), "statistics of both nodes", 60)
    assert all(tags["clusterID"] and tags["hostname"] for tags in kept().values())
    assert "hh" in {series["name"] for series in node.query("SHOW DIAGNOSTICS", db="")["results"][0]["series"]}


# As the original's sample files have them; what they say about paths is said in the test.
SAMPLE_META = """
# reporting-disabled = false
bind-address = ""
hostname = ""
[meta]
  dir = "{dir}"
  bind-address = ":8089"
  http-bind-address = ":8091"
  https-enabled = false
  https-certificate = ""
  https-private-key = ""
  https-insecure-tls = false
  data-use-tls = false
  data-insecure-tls = false
  gossip-frequency = "5s"
  announcement-expiration = "30s"
  retention-autocreate = true
  election-timeout = "1s"
  heartbeat-timeout = "1s"
  leader-lease-timeout = "500ms"
  commit-timeout = "50ms"
  consensus-timeout = "30s"
  cluster-tracing = false
  logging-enabled = true
  pprof-enabled = true
  lease-duration = "1m0s"
  auth-enabled = false
  ldap-allowed = false
  shared-secret = ""
  internal-shared-secret = ""
[logging]
  format = "auto"
  level = "info"
  suppress-logo = false
[tls]
  ciphers = []
  min-version = ""
  max-version = ""
"""

SAMPLE_DATA = """
bind-address = ":8088"
hostname = ""
gossip-frequency = "3s"
[meta]
  dir = "{dir}/meta"
  meta-tls-enabled = false
  meta-insecure-tls = false
  meta-auth-enabled = false
  meta-internal-shared-secret = ""
  retention-autocreate = true
  logging-enabled = true
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  index-version = "inmem"
  cache-max-memory-size = "1g"
[cluster]
  dial-timeout = "1s"
  pool-max-idle-time = "60s"
  pool-max-idle-streams = 100
  allow-out-of-order-writes = false
  shard-reader-timeout = "0"
  https-enabled = false
  cluster-tracing = false
  write-timeout = "10s"
  max-concurrent-queries = 7
  query-timeout = "0s"
  termination-query-log = false
[retention]
  enabled = true
  check-interval = "30m"
[shard-precreation]
  enabled = true
  check-interval = "10m"
  advance-period = "30m"
[monitor]
  store-enabled = true
  remote-collect-interval = "10s"
[http]
  enabled = true
  bind-address = ":8086"
  flux-enabled = false
[hinted-handoff]
  enabled = true
  dir = "{dir}/hh"
  max-size = "10g"
  max-age = "168h"
  retry-concurrency = 20
  retry-rate-limit = "0"
  retry-interval = "1s"
  retry-max-interval = "10s"
  purge-interval = "1m"
  batch-size = 512000
  max-writes-pending = 1024
[anti-entropy]
  enabled = false
  check-interval = "5m"
  max-fetch = 10
  max-sync = 1
  auto-repair-missing = true
[[graphite]]
  enabled = false
[[collectd]]
  enabled = false
[[opentsdb]]
  enabled = false
[[udp]]
  enabled = false
[continuous_queries]
  enabled = true
  run-interval = "1s"
[logging]
[tls]
"""


def test_config_files_command_and_environment(skywatch_bin, start_cluster, tmp_path):
    def run(*arguments, **env):
        return subprocess.run(
            [skywatch_bin, *map(str, arguments)], capture_output=True, text=True, timeout=30, env={**os.environ, **env}
        )

    for name, sample in [("meta", SAMPLE_META), ("data", SAMPLE_DATA)]:
        file = tmp_path / f"{name}.conf"
        # A mark of the byte order is passed over.
        file.write_bytes(b"\xef\xbb\xbf" + sample.format(dir=tmp_path / name).encode())
        checked = run("config", "check", file)
        assert checked.returncode == 0, checked
        assert f"skywatch {name}" in checked.stdout
        again = tmp_path / f"{name}-default.toml"
        again.write_text(run("config", "default", name).stdout)
        assert run("config", "check", again).returncode == 0
        broken = tmp_path / f"{name}-broken.toml"
        broken.write_text("[meta]\nno-such-key = 1\n")
        refused = run("config", "check", broken)
        assert refused.returncode == 1 and "no-such-key" in refused.stderr
    # The original's name of a section counts, and what the environment says counts more.
    cluster = start_cluster(metas=1, data=1, data_config={"cluster": {"max-select-series": 5}})
    node = cluster.data[0]
    create(node, "db", 1)
    node.write("\n".join(f"m,h=h{n} v=1 1" for n in range(8)))
    assert "max-select-series limit exceeded: (" in node.query("SELECT v FROM m")["results"][0]["error"]
    node.stop()
    node.env = {**os.environ, "INFLUXDB_COORDINATOR_MAX_SELECT_SERIES": "100", "INFLUXDB_HTTP_LOG_ENABLED": "false"}
    node.start()
    cluster.settle(60)
    assert len(node.rows("SELECT v FROM m")) == 8


def certificates(directory):
    """An authority, and a certificate of its for nodes on loopback."""
    openssl = need("openssl", "openssl")

    def run(*arguments):
        subprocess.run([openssl, *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test authority")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth")
    run("req", *key, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node")
    run("x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names", "-out", "node.pem")
    return {name: str(directory / name) for name in ("ca.pem", "node.pem", "node.key")}


def speaks_plainly(address):
    """What a server answers to plaintext, both HTTP and the greeting of calls; nothing if it wants TLS."""
    host, port = address.rsplit(":", 1)
    for greeting in (b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n", b"\x02SKYW" + b"\0" * 60):
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            raw.settimeout(10)
            raw.sendall(greeting)
            try:
                answer = raw.recv(1000)
            except (ConnectionError, TimeoutError):
                continue
            # An alert of TLS is no answer.
            if answer and answer[0] != 0x15 and b"200 OK" in answer or b"SKYW" in answer:
                return answer
    return b""


def test_tls_on_all_four_links(skywatch_bin, tmp_path):
    files = certificates(tmp_path)
    own = {"https-enabled": True, "https-certificate": files["node.pem"], "https-private-key": files["node.key"]}
    mutual = {**own, "https-ca": files["ca.pem"]}
    meta = {"meta": {**mutual, "data-use-tls": True}}
    data = {"coordinator": mutual, "meta": {"meta-tls-enabled": True}, "http": own}
    cluster = Cluster(skywatch_bin, tmp_path, meta_config=meta, data_config=data)
    try:
        metas = [cluster.new_meta() for _ in range(2)]
        nodes = [cluster.new_data() for _ in range(2)]
        for node in [*metas, *nodes]:
            node.launch()
            node.url = node.url.replace("http://", "https://")
            node.session.verify = node.verify = files["ca.pem"]

        def ctl(*arguments):
            command = [skywatch_bin, "ctl", "-bind", metas[0].http, "-bind-tls", "-ca", files["ca.pem"], *arguments]
            return subprocess.run(command, capture_output=True, text=True, timeout=60)

        def answers(url):
            try:
                return requests.get(url, timeout=2, verify=files["ca.pem"]).ok
            except requests.RequestException:
                return False

        for node in metas:
            wait_until(lambda node=node: answers(f"{node.url}/status"), f"a meta node\n{cluster.outputs()}")
        for node in nodes:
            wait_until(lambda node=node: answers(f"https://{node.tcp}/status"), "a data node")
        for number, node in enumerate(metas):
            added = ctl("add-meta", node.http)
            assert added.stdout == f"Added meta node {number + 1} at {node.http}\n", added
        for node in nodes:
            added = ctl("add-data", node.tcp)
            assert added.returncode == 0, (added, cluster.outputs())
            node.id = int(added.stdout.split()[3])
            wait_until(node.is_ready, "the node to be ready", 60)
        create(nodes[0], "db", 2)
        assert nodes[0].write("m v=1 1", consistency="all").status_code == 204
        assert nodes[1].rows("SELECT v FROM m", epoch="ns") == [[1, 1]]
        assert nodes[0].rows("SELECT v FROM m", node_id=nodes[1].id, epoch="ns") == [[1, 1]]
        # In plain text nobody answers, and who does not trust the authority trusts nobody.
        for address in [*(it for node in nodes for it in (node.http, node.tcp)), *(it for node in metas for it in (node.http, node.raft))]:
            assert speaks_plainly(address) == b"", address
        for node in nodes:
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(f"{node.url}/ping", timeout=5)
        stranger = subprocess.run([skywatch_bin, "ctl", "-bind", metas[0].http, "-bind-tls", "show"], capture_output=True, text=True, timeout=60)
        assert stranger.returncode == 1 and "certificate" in stranger.stderr, stranger
        plain = subprocess.run([skywatch_bin, "ctl", "-bind", metas[0].http, "show"], capture_output=True, text=True, timeout=60)
        assert plain.returncode == 1, plain
        # A data node whose certificate is of another authority does not get in.
        other = tmp_path / "other"
        other.mkdir()
        theirs = certificates(other)
        outsider = cluster.new_data({"coordinator": {"https-certificate": theirs["node.pem"], "https-private-key": theirs["node.key"]}})
        outsider.launch()
        wait_until(lambda: "waits to be made a member" in outsider.output(), "the outsider to listen")
        assert ctl("add-data", outsider.tcp).returncode == 1
        # With one of two meta nodes lost the other one begins anew, and asks the data nodes over TLS for what they know.
        survivor, lost = metas
        lost.kill()
        assert survivor.stop() == 0
        recover = [skywatch_bin, "recover-meta", "--config", survivor.config_file, "--yes"]
        done = subprocess.run(recover, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        assert all(f"data node {node.tcp}: " in done.stdout for node in nodes), done.stdout
        survivor.launch()
        for node in nodes:
            changed = lambda node=node: "error" not in node.query(f"CREATE DATABASE after{node.id}")["results"][0]
            wait_until(changed, f"a change by node {node.id}", 60)
    finally:
        cluster.stop()


def test_a_directory_that_is_not_empty_is_told_when_a_node_is_added(start_cluster):
    cluster = start_cluster(metas=1, data=1)
    late = cluster.new_data()
    (late.directory / "data" / "data" / "7").mkdir(parents=True)
    late.start()
    assert late.status()["shards"] == 1
    told = cluster.try_ctl("add-data", late.tcp)
    assert told.returncode == 0 and "is not empty: 1 shards from before" in told.stderr, told

