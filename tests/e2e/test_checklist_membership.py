"""What operators of InfluxDB's clusters know, row by row: nodes that come and go, shards that move, who may ask a meta node."""

import base64
import hashlib
import hmac
import json
import re
import socket
import subprocess
import threading
import time

import pytest
import requests
from cluster import Cluster, unused_ports
from conftest import wait_until

WEEK_NS = 168 * 3_600_000_000_000
VERSION = re.compile(r"^\d+\.\d+\.\d+$")
# Announcements count for two seconds in the place of thirty.
QUICK_META = {"meta": {"gossip-frequency": "300ms", "announcement-expiration": "2s"}}
QUICK_DATA = {"gossip-frequency": "300ms", "anti-entropy": {"check-interval": "2s"}}


def started(skywatch_bin, directory, metas, data, **options):
    cluster = Cluster(skywatch_bin, directory, **options)
    try:
        yield cluster.start(metas, data)
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def cluster(skywatch_bin, tmp_path_factory):
    """Three meta and two data nodes, in which every test has databases of its own."""
    directory = tmp_path_factory.mktemp("cluster")
    yield from started(skywatch_bin, directory, 3, 2, meta_config=QUICK_META, data_config=QUICK_DATA)


@pytest.fixture
def changing(skywatch_bin, tmp_path):
    """A cluster for one test, which changes who is in it."""
    yield from started(skywatch_bin, tmp_path, 3, 3, meta_config=QUICK_META, data_config=QUICK_DATA)


@pytest.fixture(scope="module")
def influxd_ctl(skywatch_bin, tmp_path_factory):
    """The binary under the other program's name: a function that runs it."""
    link = tmp_path_factory.mktemp("bin") / "influxd-ctl"
    link.symlink_to(skywatch_bin)

    def run(*arguments, stdin=None):
        return subprocess.run([link, *map(str, arguments)], capture_output=True, text=True, timeout=60, input=stdin)

    return run


def get(node, path, follow=False, **params):
    return requests.get(f"{node.url}{path}", params=params, timeout=10, allow_redirects=follow)


def post(node, path, follow=True, **form):
    return requests.post(f"{node.url}{path}", data=form, timeout=30, allow_redirects=follow)


def create(node, db, replication):
    node.query(f"CREATE DATABASE {db} WITH REPLICATION {replication}", db="")


def listed(cluster, db, *flags):
    """Rows of `show-shards` of a database: cells by column."""
    lines = cluster.ctl("show-shards", *flags).splitlines()
    assert lines[:2] == ["Shards", "=========="], lines[:2]
    columns = [
        (match.group(1), match.start()) for match in re.finditer(r"(ID|Database|Retention Policy|Desired Replicas"
        r"|Shard Group|Start|End|Expires|Owners)(?=  |$)", lines[2])
    ]
    ends = [start for _, start in columns[1:]] + [None]
    rows = [{name: line[start:end].strip() for (name, start), end in zip(columns, ends)} for line in lines[3:]]
    return [row for row in rows if row["Database"] == db]


def owners(row):
    return [int(number) for number in re.findall(r"\{ID:(\d+) TCPAddr:", row["Owners"])]


def tabbed(rows):
    """Rows as `show` pads them: cells are filled with tabs to eights, the longest and two more."""
    widths = [max(8, -(-(max(map(len, column)) + 2) // 8) * 8) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell + "\t" * -(-(width - len(cell)) // 8) for cell, width in zip(row[:-1], widths)]
        lines.append("".join(cells) + row[-1])
    return lines


def shown(cluster, versions):
    """What `show` has to print, with these versions by node."""
    data = [["ID", "TCP Address", "Version"]]
    data += [[str(node.id), node.tcp, versions(node)] for node in cluster.data if node.id]
    metas = [["ID", "TCP Address", "Version"]]
    metas += [[str(number + 1), meta.http, versions(meta)] for number, meta in enumerate(cluster.metas)]
    return "\n".join(["Data Nodes", "=" * 10, *tabbed(data), "", "Meta Nodes", "=" * 10, *tabbed(metas)]) + "\n"


def test_three_binaries_and_their_ports(cluster, skywatch_bin):
    for role, ports in [("meta", (8089, 8091)), ("data", (8086, 8088))]:
        default = subprocess.run([skywatch_bin, "config", "default", role], capture_output=True, text=True, check=True)
        for port in ports:
            assert f':{port}"' in default.stdout, f"{role}: {port}"
    for node in cluster.data:
        assert requests.get(f"{node.url}/ping", timeout=5).status_code == 204
        status = requests.get(f"http://{node.tcp}/status", timeout=5).json()
        assert (status["nodeType"], status["nodeStatus"], status["tcpAddr"]) == ("data", "joined", node.tcp)
        # Whatever else is asked there over HTTP is answered with nothing.
        other = requests.get(f"http://{node.tcp}/else", timeout=5)
        assert (other.status_code, other.text) == (200, "")
    leader = cluster.leader()
    for meta in cluster.metas:
        assert requests.get(f"{meta.url}/ping", timeout=5).text == leader.raft
        host, port = meta.raft.rsplit(":", 1)
        socket.create_connection((host, int(port)), timeout=5).close()


def test_form_cluster(cluster):
    assert [node.id for node in cluster.data] == [4, 5]
    nodes = get(cluster.metas[0], "/show-cluster").json()
    assert [(node["id"], node["addr"]) for node in nodes["meta"]] == [
        (number + 1, meta.http) for number, meta in enumerate(cluster.metas)
    ]
    assert [(node["id"], node["tcpAddr"]) for node in nodes["data"]] == [(node.id, node.tcp) for node in cluster.data]


def test_add_meta_and_add_data_again(cluster):
    for number, meta in enumerate(cluster.metas):
        assert cluster.ctl("add-meta", meta.http) == f"Added meta node {number + 1} at {meta.http}\n"
    for node in cluster.data:
        assert cluster.ctl("add-data", node.tcp) == f"Added data node {node.id} at {node.tcp}\n"


def test_join_and_leave_banners(skywatch_bin, tmp_path, influxd_ctl):
    cluster = Cluster(skywatch_bin, tmp_path)
    try:
        first, second = cluster.new_meta(), cluster.new_meta()
        data, other = cluster.new_data(), cluster.new_data()
        for node in (first, second, data, other):
            node.launch()
        for node in (first, second, data, other):
            node.started()
        search = "Searching for meta node on {meta}...\nSearching for data node on {data}...\n\n"
        joined = influxd_ctl("-bind", first.http, "join", "-meta", first.http, "-data", data.tcp)
        assert (joined.returncode, joined.stdout) == (
            0,
            f"Joining meta node at {first.http}\n{search.format(meta=first.http, data=data.tcp)}"
            "Successfully created cluster\n\n"
            f"  * Added meta node 1 at {first.http}\n  * Added data node 2 at {data.tcp}\n\n"
            "  To join additional nodes to this cluster, run the following command:\n\n"
            f"  influxd-ctl join {first.http}\n",
        ), joined
        joined = influxd_ctl("join", "-meta", second.http, "-data", other.tcp, first.http)
        assert (joined.returncode, joined.stdout) == (
            0,
            f"Joining meta node at {first.http}\n{search.format(meta=second.http, data=other.tcp)}"
            "Successfully joined cluster\n\n"
            f"  * Added meta node 3 at {second.http}\n  * Added data node 4 at {other.tcp}\n",
        ), joined
        left = influxd_ctl("leave", "-y", "-meta", second.http, "-data", other.tcp)
        assert (left.returncode, left.stdout) == (
            0,
            f"Searching for data node on {other.tcp}...\nRemoved {other.tcp} from the cluster\n"
            f"Searching for meta node on {second.http}...\nRemoved {second.http} from the cluster\n\n"
            "Successfully left cluster\n\n"
            f"  * Removed data node {other.tcp} from cluster\n  * Removed meta node {second.http} from cluster\n",
        ), left
        nobody = influxd_ctl("leave", "-y", "-meta", second.http, "-data", other.tcp)
        assert nobody.stdout.splitlines()[-1] == "No nodes removed from cluster.", nobody
        unreachable = influxd_ctl("-timeout", "2s", "join", f"127.0.0.1:{unused_ports(1)[0]}")
        assert "Unable to connect to" in unreachable.stderr and "Common problems" in unreachable.stderr, unreachable
    finally:
        cluster.stop()


def test_show_layout(cluster):
    nodes = get(cluster.metas[0], "/show-cluster").json()
    release = next(node["version"] for node in nodes["meta"] if node["version"])
    assert VERSION.match(release)
    wait_until(lambda: cluster.ctl("show") == shown(cluster, lambda node: release), "every node to be heard of")
    stopped = cluster.data[1]
    stopped.stop()

    def is_silent():
        return cluster.ctl("show") == shown(cluster, lambda node: "" if node is stopped else release)

    try:
        wait_until(is_silent, "the version of the stopped node to go")
    finally:
        stopped.start()
    wait_until(lambda: cluster.ctl("show") == shown(cluster, lambda node: release), "it to be heard of again")
    # It says so at once, and has what it missed a moment later.
    cluster.settle(60)


def test_show_shards(cluster):
    node, other = cluster.data
    create(node, "listing", 1)
    node.query("CREATE RETENTION POLICY two ON listing DURATION 90d REPLICATION 2")
    now = time.time_ns()
    assert node.write(f"m v=1 {now}", db="listing").status_code == 204
    assert node.write(f"m v=1 {now}", db="listing", rp="two").status_code == 204
    rows = listed(cluster, "listing")
    one, two = ([row for row in rows if row["Retention Policy"] == name] for name in ("autogen", "two"))
    # With one copy as many shards as nodes, one after the other; with as many copies as nodes a single one.
    assert [(row["Desired Replicas"], len(owners(row))) for row in one] == [("1", 1), ("1", 1)]
    assert {owners(row)[0] for row in one} == {node.id, other.id}
    assert [(row["Desired Replicas"], owners(row)) for row in two] == [("2", [node.id, other.id])]
    assert two[0]["Owners"] == f"[{{ID:{node.id} TCPAddr:{node.tcp}}} {{ID:{other.id} TCPAddr:{other.tcp}}}]"
    instant = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
    for row in rows:
        assert re.match(instant, row["Start"]) and re.match(instant, row["End"]), row
        assert (row["Expires"] == "") == (row["Retention Policy"] == "autogen"), row
    assert re.match(instant, two[0]["Expires"])

    verbose = [row for row in listed(cluster, "listing", "-v") if row["Retention Policy"] == "two"]
    states = re.findall(r"\{ID:(\d+) TCPAddr:\S+ State:(\w*) LastModified:(\S+) Size:(\d+) Err:([^}]*)\}", verbose[0]["Owners"])
    assert [(int(number), state in ("hot", "cold"), error) for number, state, _, _, error in states] == [
        (node.id, True, "nil"), (other.id, True, "nil"),
    ], verbose
    assert all(int(size) > 0 for _, _, _, size, _ in states)
    other.stop()
    try:
        verbose = [row for row in listed(cluster, "listing", "-v") if row["Retention Policy"] == "two"]
        away = f"{{ID:{other.id} TCPAddr:{other.tcp} State: LastModified:0001-01-01T00:00:00Z Size:0 Err:not found}}"
        assert away in verbose[0]["Owners"], verbose
        # Why is told beside the table.
        assert f"nothing is known of data node {other.id}: cannot reach" in cluster.try_ctl("show-shards", "-v").stderr
    finally:
        other.start()
        cluster.settle(60)
    cluster.ctl("truncate-shards", "-delay", "0s")
    cut = [row["End"] for row in listed(cluster, "listing")]
    assert all(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\*$", end) for end in cut), cut


def test_copy_shard_and_remove_shard(cluster):
    old, new = cluster.data
    create(old, "moving", 1)
    assert old.write("\n".join(f"m,host=h{n % 20} v={n}i {n + 1}" for n in range(2000)), db="moving").status_code == 204
    assert "error" not in old.query("DELETE FROM m WHERE host = 'h3'", db="moving")["results"][0]
    row = next(row for row in listed(cluster, "moving") if owners(row) == [old.id])
    stopping, acknowledged = threading.Event(), []

    def write():
        at = 10_000
        while not stopping.is_set():
            at += 1
            if old.write(f"m,host=h{at % 20} v=1i {at}", db="moving").status_code == 204:
                acknowledged.append(at)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        assert cluster.ctl("copy-shard", old.tcp, new.tcp, row["ID"]) == f"Copied shard {row['ID']} from {old.tcp} to {new.tcp}\n"
        assert cluster.ctl("remove-shard", old.tcp, row["ID"]) == f"Removed shard {row['ID']} from {old.tcp}\n"
    finally:
        stopping.set()
        writer.join(30)
    assert all(owners(row) == [new.id] for row in listed(cluster, "moving"))
    # Without the old owner there is everything: what was written during the copy, and nothing that was deleted before.
    old.kill()
    try:
        times = {row[0] for row in new.rows("SELECT v FROM m WHERE time > 9u", db="moving", epoch="ns")}
        assert acknowledged and set(acknowledged) <= times
        assert new.rows("SELECT count(v) FROM m WHERE time <= 9u", db="moving") == [["1970-01-01T00:00:00Z", 1900]]
        assert new.rows("SELECT v FROM m WHERE host = 'h3' AND time <= 9u", db="moving") == []
    finally:
        old.start()
        cluster.settle(60)


def test_update_data_remove_data_remove_meta(changing):
    cluster = changing
    first, second, third = cluster.data
    create(first, "db", 2)
    assert first.write("\n".join(f"m,host=h{n} v={n}i 1" for n in range(60))).status_code == 204

    # The same node under another name keeps its number, and its copies.
    port = second.tcp.rsplit(":", 1)[1]
    second.stop()
    second.tcp = f"127.0.0.2:{port}"
    second.configure({"hostname": "127.0.0.2", "bind-address": second.tcp})
    second.launch()
    wait_until(lambda: _answers(f"http://{second.tcp}/status"), "the node at its new address")
    told = cluster.ctl("update-data", f"127.0.0.1:{port}", second.tcp)
    assert told == f"Updated data node {second.id} to {second.tcp}\n"
    cluster.settle(60)
    assert f"{{ID:{second.id} TCPAddr:{second.tcp}}}" in cluster.ctl("show-shards")
    for arguments, error in [
        (("update-data", "127.0.0.1:1", "127.0.0.1:2"), "no data node with bind address 127.0.0.1:1 exists"),
        (("remove-data", "127.0.0.1:1"), "node not found: 127.0.0.1:1"),
        (("update-data", first.tcp, third.tcp), f"cannot update data node {first.tcp} to {third.tcp}; {third.tcp} is already part of cluster"),
    ]:
        failed = cluster.try_ctl(*arguments)
        assert (failed.returncode, failed.stderr) == (1, f"{arguments[0]}: operation exited with error: {error}\n")

    # One that is removed is empty, and its copies are made again elsewhere.
    assert cluster.ctl("remove-data", third.tcp) == f"Removed data node at {third.tcp}\n"
    wait_until(lambda: is_outside(third), "the node to be outside")
    assert not list((third.directory / "data").rglob("MANIFEST"))
    rest = {first.id, second.id}
    wait_until(lambda: all(set(owners(row)) == rest for row in listed(cluster, "db")), "two copies of everything", 60)
    third.id = None
    # Owners that are still being filled are listed too.
    for node in (first, second):
        whole = [["1970-01-01T00:00:00Z", 60]]
        wait_until(lambda node=node: node.rows("SELECT count(v) FROM m", node_id=node.id) == whole, "both to have all", 60)
    wait_until(lambda: not re.search(rb'"joining":\s*\[\s*\d', get(cluster.leader(), "/snapshot").content), "nobody to be filled", 60)

    # One that does not answer goes only if that is what is meant.
    second.kill()
    failed = cluster.try_ctl("remove-data", second.tcp)
    assert failed.returncode == 1 and "nothing was changed" in failed.stderr, failed
    assert f"{{ID:{second.id} " in cluster.ctl("show-shards")
    assert cluster.ctl("remove-data", "-force", second.tcp) == f"Removed data node at {second.tcp}\n"
    assert all(owners(row) == [first.id] for row in listed(cluster, "db"))
    wait_until(lambda: len(first.query("SELECT v FROM m")["results"][0].get("series", [{"values": []}])[0]["values"]) == 60,
               "everything to be there", 30)

    leader = cluster.leader()
    leaving = next(meta for meta in cluster.metas if meta is not leader)
    asked = subprocess.run([cluster.binary, "ctl", "-bind", leader.http, "remove-meta", leaving.http],
                           input="n\n", capture_output=True, text=True, timeout=30)
    assert f"Remove {leaving.http} from the cluster [y/N]: " in asked.stdout + asked.stderr and asked.returncode == 1
    assert cluster.ctl("remove-meta", "-y", leaving.http) == f"Removed meta node at {leaving.http}\n"
    assert leaving.status()["peers"] == []
    needs = cluster.try_ctl("remove-meta", "-force", "-y", leader.http)
    assert needs.returncode == 1 and "-tcpAddr is required with -force" in needs.stderr, needs


def is_outside(node):
    """Whether a node says that it belongs to no cluster; while it leaves it may not answer."""
    try:
        return node.status()["nodeStatus"] == "disjoined"
    except requests.RequestException:
        return False


def _answers(url):
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def test_truncate_shards(changing):
    cluster = changing
    first, second, third = cluster.data
    create(first, "db", 1)
    now, minute = time.time_ns(), 60_000_000_000
    series = "\n".join(f"m,host=h{n} v=1i {now}" for n in range(30))
    # Some points lie beyond the cut already, in the group that is cut.
    ahead = "\n".join(f"m,host=h{n} v=2i {now + 30 * minute}" for n in range(30))
    assert first.write(f"{series}\n{ahead}").status_code == 204
    before = {row["ID"] for row in listed(cluster, "db")}
    late = cluster.add_data(cluster.new_data().start())
    cluster.settle(60)
    cluster.ctl("truncate-shards", "-delay", "10m")
    cut = {row["End"] for row in listed(cluster, "db")}
    assert len(cut) == 1 and cut.pop().endswith("*")

    # A batch on both sides of the cut; what lies ahead is written again and changed, and something is new.
    again = "\n".join(f"m,host=h{n} v=3i {now + 30 * minute}" for n in range(30))
    fresh = "\n".join(f"m,host=h{n} v=4i {at}" for n in range(30) for at in (now + minute, now + 20 * minute))
    assert second.write(f"{again}\n{fresh}").status_code == 204
    new = [row for row in listed(cluster, "db") if row["ID"] not in before]
    assert late.id in {owner for row in new for owner in owners(row)}
    for node in cluster.data:
        rows = node.rows("SELECT v FROM m GROUP BY host", epoch="ns")
        assert rows == [[now, 1], [now + minute, 4], [now + 20 * minute, 4], [now + 30 * minute, 3]], node.id
        assert node.rows("SELECT count(v) FROM m")[0][1] == 120
        assert node.rows("SELECT sum(v) FROM m WHERE host = 'h7'")[0][1] == 12
        assert node.rows("SELECT last(v) FROM m WHERE host = 'h7'", epoch="ns") == [[now + 30 * minute, 3]]


def token(secret, **claims):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    text = part(json.dumps({"alg": "HS512", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(secret.encode(), text, hashlib.sha512).digest())).decode()


@pytest.fixture(scope="module")
def secured(skywatch_bin, tmp_path_factory):
    """A cluster that knows its operators and its nodes: `root` and `guest`, whose password is `s3cret`."""
    meta = {"auth-enabled": True, "shared-secret": "operators", "internal-shared-secret": "nodes", "single-server": True}
    data = {"meta-auth-enabled": True, "meta-internal-shared-secret": "nodes"}
    cluster = Cluster(skywatch_bin, tmp_path_factory.mktemp("secured"), {"meta": meta}, {"meta": data})
    try:
        meta, data = cluster.new_meta().launch(), cluster.new_data().launch()
        wait_until(lambda: _answers(f"{meta.url}/ping"), "the meta node")
        data.started()
        bearer = {"Authorization": f"Bearer {token('operators', username='root', exp=int(time.time()) + 60)}"}
        first = {"action": "create", "user": {"name": "root", "password": "s3cret"}}
        assert requests.post(f"{meta.url}/user", json=first, headers=bearer, timeout=10).status_code == 200
        guest = {"action": "create", "user": {"name": "guest", "password": "s3cret"}}
        assert requests.post(f"{meta.url}/user", json=guest, auth=("root", "s3cret"), timeout=10).status_code == 200
        yield cluster
    finally:
        cluster.stop()


ROOT = ("-auth-type", "basic", "-user", "root", "-pwd", "s3cret")


def test_token_and_auth_types(secured, influxd_ctl):
    cluster = secured
    bind = ("-bind", cluster.metas[0].http)
    jwt = ("-auth-type", "jwt", "-user", "root", "-secret", "operators")
    made = influxd_ctl(*jwt, "token", "-exp", "5m")
    head, claims, _ = made.stdout.strip().split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert told["username"] == "root" and 290 <= told["exp"] - time.time() <= 310
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "HS512"
    refused = influxd_ctl("token")
    assert (refused.returncode, refused.stderr) == (1, "token: tokens can only be created when using bearer authentication\n")
    for command in ["show", "show-shards", "copy-shard-status"]:
        for right in (ROOT, jwt):
            assert influxd_ctl(*bind, *right, command).returncode == 0, command
        for wrong, text in [
            ((), "unable to parse authentication credentials"),
            (("-auth-type", "basic", "-user", "root", "-pwd", "guess"), "authorization failed"),
            (("-auth-type", "jwt", "-user", "root", "-secret", "guess"), "signature is invalid"),
            (("-auth-type", "jwt", "-user", "nobody", "-secret", "operators"), "user not found"),
        ]:
            done = influxd_ctl(*bind, *wrong, command)
            assert (done.returncode, done.stderr) == (1, f"{command}: operation exited with error: {text}\n")


def test_meta_auth_with_shared_secrets(secured, influxd_ctl):
    cluster = secured
    meta, node = cluster.metas[0], cluster.data[0]
    bind = ("-bind", meta.http)
    added = influxd_ctl(*bind, *ROOT, "add-data", node.tcp)
    assert added.stdout.startswith("Added data node "), added
    node.id = int(added.stdout.split()[3])
    node.started()
    node.query("CREATE DATABASE db", db="")
    assert node.write("m v=1 1").status_code == 204
    # Users of the meta nodes may look; only administrators change anything.
    guest = ("-auth-type", "basic", "-user", "guest", "-pwd", "s3cret")
    assert influxd_ctl(*bind, *guest, "show").returncode == 0
    assert "may only look" in influxd_ctl(*bind, *guest, "truncate-shards").stderr
    # A node with another secret is refused, whichever side asks, and port 8088 does nothing without.
    stranger = cluster.new_data({"meta": {"meta-internal-shared-secret": "guess"}}).start()
    refused = influxd_ctl(*bind, *ROOT, "add-data", stranger.tcp)
    assert refused.returncode == 1 and "secret" in refused.stderr, refused
    with socket.create_connection(tuple_of(node.tcp), timeout=5) as raw:
        raw.sendall(bytes([2, 1]) + (10).to_bytes(8, "big") + b"\0" * 10)
        raw.settimeout(10)
        try:
            answer = raw.recv(1000)
        except ConnectionError:
            answer = b""
        assert b"m v=1" not in answer
    assert len(node.rows("SELECT * FROM m")) == 1


def tuple_of(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def test_meta_http_endpoints(cluster):
    leader = cluster.leader()
    follower = next(meta for meta in cluster.metas if meta is not leader)
    status = get(follower, "/status").json()
    assert {"nodeType", "leader", "httpAddr", "raftAddr", "peers"} <= set(status)
    assert sorted(get(follower, "/peers").json()) == sorted(meta.raft for meta in cluster.metas)
    nodes = get(follower, "/show-cluster").json()
    assert {"id", "tcpAddr", "httpAddr", "httpScheme", "status", "version"} <= set(nodes["data"][0])
    assert {"id", "addr", "httpScheme", "tcpAddr", "version"} <= set(nodes["meta"][0])
    create(cluster.data[0], "endpoints", 2)
    cluster.data[0].write("m v=1 1", db="endpoints")
    shards = get(follower, "/show-shards", verbose="true").json()
    keys = "id database retention-policy replica-n shard-group-id start-time end-time expire-time truncated-at owners"
    assert set(keys.split()) <= set(shards[0]), shards[0]
    assert set("id tcpAddr state last-modified size err".split()) <= set(shards[0]["owners"][0])
    lease = get(leader, "/lease", name="checklist", nodeid=4)
    assert lease.status_code == 200 and set(lease.json()) == {"name", "expiration", "owner"}, lease.text
    assert get(leader, "/lease", name="checklist", nodeid=5).status_code == 409
    for path, form in [("/truncate-shards", {"delay": "0s"}), ("/remove-data", {"addr": "x:1"}), ("/join", {"addr": "x:1"}),
                       ("/add-data", {"addr": "x:1"}), ("/copy-shard", {"src": "x:1", "dest": "y:1", "shard": "1"})]:
        pointed = post(follower, path, follow=False, **form)
        assert (pointed.status_code, pointed.headers["Location"]) == (307, f"{leader.url}{path}"), path
    # Whoever follows the catalogue is answered once it has gone beyond what is known to him.
    known = get(follower, "/", index=0)
    assert (known.status_code, known.headers["Content-Type"]) == (200, "application/octet-stream")
    told = []
    waiting = threading.Thread(
        target=lambda: told.append(get(leader, "/", index=known.headers["Influxdb-Metaindex"])), daemon=True
    )
    waiting.start()
    create(cluster.data[0], "followed", 1)
    waiting.join(10)
    assert told[0].status_code == 200 and b"followed" in told[0].content
    for index in ("", "x"):
        assert (get(leader, "/", index=index).status_code, get(leader, "/", index=index).json()) == (400, {"error": "error parsing index"})
    answer = get(follower, "/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"error": "not found"})
    for header in ("X-Influxdb-Version", "Influxdb-Metaindex", "X-Request-Id", "Request-Id", "X-InfluxDB-Error"):
        assert answer.headers[header]


def test_chronograf_user_and_role(cluster):
    meta = cluster.metas[0]

    def change(action, **user):
        return requests.post(f"{meta.url}/user", json={"action": action, "user": user}, timeout=10)

    def permissions():
        return {user["name"]: user["permissions"] for user in get(meta, "/user").json()["users"]}

    create(cluster.data[0], "chronograf", 1)
    # Chronograf takes only 200 for a yes.
    # The first is an administrator, since somebody has to be; nobody after that unless it is said.
    assert change("create", name="boss", password="x").status_code == 200
    assert change("create", name="reader", password="x", permissions={"chronograf": ["ReadData"]}).status_code == 200
    known = permissions()
    assert "" in known["boss"] and known["reader"] == {"chronograf": ["ReadData"]}
    assert change("add-permissions", name="reader", permissions={"chronograf": ["WriteData"]}).status_code == 200
    assert sorted(permissions()["reader"]["chronograf"]) == ["ReadData", "WriteData"]
    assert change("remove-permissions", name="reader", permissions={"chronograf": ["ReadData", "WriteData"]}).status_code == 200
    assert permissions()["reader"] == {}
    assert change("change-password", name="reader", password="y").status_code == 200
    wait_until(lambda: ["reader", False] in cluster.data[1].rows("SHOW USERS", db=""), "the user on a data node")
    assert change("delete", name="reader").status_code == 200 and change("delete", name="boss").status_code == 200
    assert "$2" not in get(meta, "/user").text
    assert get(meta, "/role").json() == {"roles": []}
    refused = requests.post(f"{meta.url}/role", json={"action": "create", "role": {"name": "r"}}, timeout=10)
    assert refused.status_code == 400 and "no roles here" in refused.json()["error"]


def snapshots(cluster):
    return {get(meta, "/snapshot").content for meta in cluster.metas if meta.running()}


def test_deterministic_metadata(changing):
    """After operations of all kinds, the removal of a node with shards among them, every meta node has the same bytes."""
    cluster = changing
    first, second, third = cluster.data
    for number, db in enumerate(["a", "b", "c"]):
        node = cluster.data[number]
        create(node, db, number + 1)
        assert node.write("\n".join(f"m,h={n} v=1 {n * WEEK_NS + 1}" for n in range(8)), db=db).status_code == 204
        node.query(f"CREATE RETENTION POLICY p ON {db} DURATION 3d REPLICATION 1; ALTER RETENTION POLICY p ON {db} DURATION 5d", db="")
    first.query("CREATE USER u WITH PASSWORD 'p'; GRANT READ ON a TO u; DROP DATABASE b", db="")
    cluster.ctl("truncate-shards", "-delay", "0s")
    cluster.ctl("node-labels", "set", "-nodeid", str(second.id), "-labels", '{"rack":"r"}')
    removed = cluster.try_ctl("remove-data", "-force", third.tcp)
    assert removed.returncode == 0, removed
    third.id = None
    first.write("m v=1 1", db="c")
    # Leases are renewed meanwhile: what was equal may be another catalogue a moment later.
    bytes_ = wait_until(lambda: next(iter(found)) if len(found := snapshots(cluster)) == 1 else None, "equal bytes on all meta nodes")
    assert len(bytes_) > 500
    # Also on one that starts anew and has it from its disk, and one that never saw the commands.
    cluster.metas[2].restart()
    late = cluster.new_meta().start()
    cluster.add_meta(late)
    wait_until(lambda: len(snapshots(cluster)) == 1, "equal bytes on all meta nodes")


def test_raft_failover_and_restart_of_a_data_node_without_metas(skywatch_bin, tmp_path):
    """Two rows: the leader is killed, then so many that there is none, then all of them."""
    for cluster in started(skywatch_bin, tmp_path, 3, 2):
        node, other = cluster.data
        create(node, "db", 2)
        assert node.write("m v=1 1").status_code == 204
        leader = cluster.leader()
        leader.kill()
        begun = time.monotonic()
        wait_until(lambda: "error" not in str(node.ask("CREATE DATABASE later", db="").json()), "a change to be made", 15)
        assert time.monotonic() - begun < 10
        survivor, killed = (meta for meta in cluster.metas if meta is not leader)
        killed.kill()
        begun = time.monotonic()
        assert node.write("m v=2 2").status_code == 204
        assert len(other.rows("SELECT * FROM m")) == 2
        refused = node.ask("CREATE DATABASE never", db="").json()
        assert "meta service unavailable" in str(refused), refused
        assert time.monotonic() - begun < 20
        wait_until(lambda: post(survivor, "/truncate-shards", follow=False, delay="1m").status_code == 503, "the survivor to notice")
        assert post(survivor, "/truncate-shards", delay="1m").json()["error"].startswith("no leader")
        survivor.kill()
        # Serves what it knew last.
        other.restart()
        cluster.settle(60)
        assert len(other.rows("SELECT * FROM m")) == 2
        assert other.write("m v=3 3").status_code == 204
        assert len(node.rows("SELECT * FROM m")) == 3


def test_rolling_restart_under_load(skywatch_bin, tmp_path):
    """Each node in turn: whoever turns to another node when one is gone has every write acknowledged at one copy."""
    for cluster in started(skywatch_bin, tmp_path, 3, 2):
        create(cluster.data[0], "db", 2)
        stopping, acknowledged, refused = threading.Event(), [], []

        def write():
            at = 0
            while not stopping.is_set():
                at += 1
                for node in (cluster.data[at % 2], cluster.data[(at + 1) % 2]):
                    try:
                        if requests.post(f"{node.url}/write?db=db", data=f"m v={at}i {at}", timeout=15).status_code == 204:
                            acknowledged.append(at)
                            break
                    except requests.RequestException:
                        continue
                else:
                    refused.append(at)
                time.sleep(0.005)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        try:
            for node in [*cluster.metas, *cluster.data]:
                goal = len(acknowledged) + 20
                wait_until(lambda: len(acknowledged) > goal, "writes to go on", 30)
                node.restart()
                cluster.settle(60)
        finally:
            stopping.set()
            writer.join(60)
        assert acknowledged and not refused
        for number, rows in cluster.everywhere("SELECT v FROM m", epoch="ns").items():
            assert {row[0] for row in rows} >= set(acknowledged), number

