"""Meta nodes as processes: how they are formed into a cluster, what their HTTP API answers, and what they survive."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import subprocess
import time
from datetime import datetime

import pytest
import requests
from cluster import Cluster
from conftest import SLOW_MACHINE, wait_until


@pytest.fixture
def metas(start_cluster):
    """A cluster of three meta nodes and nothing else."""
    return start_cluster(metas=3, data=0)


def get(node, path, **params):
    return requests.get(f"{node.url}{path}", params=params, timeout=10, allow_redirects=False)


def post(node, path, follow=True, auth=None, **form):
    return requests.post(f"{node.url}{path}", data=form, timeout=30, allow_redirects=follow, auth=auth)


def create_user(node, name, **more):
    body = {"action": "create", "user": {"name": name, "password": "s3cret"}}
    return requests.post(f"{node.url}/user", json=body, timeout=10, **more)


def users(node):
    return [user["name"] for user in get(node, "/user").json()["users"]]


def change_within(cluster, name, seconds):
    """Makes a user through any meta node that runs, and tells how long it took until that went."""
    begun = time.monotonic()

    def made():
        for meta in cluster.metas:
            if meta.running():
                try:
                    answer = create_user(meta, name)
                except requests.RequestException:
                    continue
                if answer.status_code == 200 or "user already exists" in answer.text:
                    return True
        return False

    wait_until(made, f"a change ({name}) to be made", seconds)
    return time.monotonic() - begun


def snapshots(cluster):
    """The catalogue of every meta node that runs, to the byte."""
    return {get(meta, "/snapshot").content for meta in cluster.metas if meta.running()}


def agree(cluster):
    wait_until(lambda: len(snapshots(cluster)) == 1, "equal catalogues on all meta nodes")


def token(secret, **claims):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    text = part(json.dumps({"alg": "HS512", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(secret.encode(), text, hashlib.sha512).digest())).decode()


def bearer(secret, name):
    return {"Authorization": f"Bearer {token(secret, username=name, exp=int(time.time()) + 60)}"}


def test_a_cluster_is_formed_and_shows_itself(metas):
    first, second, third = metas.metas
    again = metas.ctl("add-meta", second.http, bind=metas.leader().http)
    assert again.strip() == f"Added meta node 2 at {second.http}"
    shown = get(first, "/show-cluster").json()
    assert [(node["id"], node["addr"], node["tcpAddr"]) for node in shown["meta"]] == [
        (number + 1, meta.http, meta.raft) for number, meta in enumerate(metas.metas)
    ]
    assert shown["data"] == [] and sorted(shown["peers"]) == sorted(meta.raft for meta in metas.metas)
    assert get(third, "/peers").json() == get(first, "/peers").json()
    leader = metas.leader()
    assert get(third, "/ping").text == leader.raft
    wait_until(lambda: get(third, "/ping", all="x").status_code == 200, "all meta nodes to agree")

    def versions():
        return {node["version"] for node in get(third, "/show-cluster").json()["meta"]}

    wait_until(lambda: "" not in versions(), "every meta node to have been heard of")
    agree(metas)


def test_answers_have_their_headers_and_followers_point_to_the_leader(metas):
    leader = metas.leader()
    follower = next(meta for meta in metas.metas if meta is not leader)
    answer = get(follower, "/status")
    assert answer.headers["X-Influxdb-Version"] == "1.8.10"
    assert int(answer.headers["Influxdb-Metaindex"]) > 0
    assert answer.headers["X-Request-Id"] == answer.headers["Request-Id"] != ""
    assert answer.json() | {"leader": leader.raft, "nodeType": "meta"} == answer.json()
    pointed = post(follower, "/truncate-shards", follow=False, delay="1s")
    assert (pointed.status_code, pointed.headers["Location"]) == (307, f"{leader.url}/truncate-shards")
    assert post(follower, "/truncate-shards", delay="1s").status_code == 204
    for answer, status, error in [
        (get(follower, "/nonsense"), 404, "not found"),
        (post(follower, "/status"), 400, "this path does not know the method"),
        (post(leader, "/join"), 400, "addr is required"),
        (post(leader, "/add-data"), 400, "addr is required"),
        (post(leader, "/remove"), 400, "httpAddr is required"),
        (post(leader, "/update-data"), 400, "oldAddr is required"),
        (post(leader, "/update-data", oldAddr="x:1"), 400, "newAddr is required"),
        (post(leader, "/update-data", oldAddr="x:1", newAddr="y:1"), 400, "no data node with bind address x:1 exists"),
        (post(leader, "/remove-data", addr="x:1"), 400, "node not found: x:1"),
        (post(leader, "/remove", httpAddr="x:1", force="true"), 500, "node not found: x:1"),
        (post(leader, "/copy-shard"), 400, "'src' is a required parameter"),
        (post(leader, "/copy-shard", src="x:1"), 400, "'dest' is a required parameter"),
        (post(leader, "/copy-shard", src="x:1", dest="y:1", shard="z"), 400, "error converting shard to int: z"),
        (post(leader, "/copy-shard", src="x:1", dest="x:1", shard="1"), 400, "dest and src are the same"),
        (post(leader, "/copy-shard", src="x:1", dest="y:1", shard="1"), 400, 'unable to find node for "x:1"'),
        (
            post(leader, "/remove-shard", src="x:1", shard="0"),
            400,
            "invalid parameter value for 'shard': shard id must be greater than 0",
        ),
    ]:
        assert (answer.status_code, answer.json()) == (status, {"error": error})
        assert answer.headers["X-InfluxDB-Error"] == error


def test_leases_have_one_owner(metas):
    leader = metas.leader()
    follower = next(meta for meta in metas.metas if meta is not leader)
    lease = {"name": "continuous_querier", "nodeid": 1}
    assert get(follower, "/lease", **lease).status_code == 307
    granted = get(leader, "/lease", **lease)
    time.sleep(4)
    assert (granted.status_code, granted.json()["owner"]) == (200, 1)
    held = get(leader, "/lease", **(lease | {"nodeid": 2}))
    assert (held.status_code, held.json()["owner"], held.json()["name"]) == (409, 1, "continuous_querier")
    # Who is refused is told when it may try again: the lease has run for a while, and its end stands.
    ends = [datetime.fromisoformat(answer.json()["expiration"][:19]) for answer in (granted, held)]
    assert abs((ends[1] - ends[0]).total_seconds()) <= 2, ends
    assert get(leader, "/lease", **lease).status_code == 200


def test_the_leader_is_killed_and_changes_go_on(metas):
    change_within(metas, "before", 5)
    for turn in range(2):
        old = metas.leader()
        old.kill()
        took = change_within(metas, f"after-{turn}", 10)
        print(f"a change was made {took:.2f} s after kill -9 of the leader")
        old.start()
        agree(metas)
    assert users(metas.metas[0]) == ["before", "after-0", "after-1"]


def test_the_log_of_a_new_cluster_is_in_our_own_words(start_cluster):
    cluster = start_cluster(metas=3, data=1)
    for meta in cluster.metas:
        text = meta.output()
        assert " a meta node listens " in text, text
        library = [line for line in text.splitlines() if " openraft::" in line]
        assert not [line for line in library if " INFO " in line or "openraft::core::raft_core" in line], library
    # A node that is away is told of once, however often it is called.
    leader = cluster.leader()
    away = next(meta for meta in cluster.metas if meta is not leader)
    said = len(leader.output())
    away.kill()
    wait_until(lambda: "a node cannot be reached" in leader.output()[said:], "the leader to miss a node")
    time.sleep(2)
    more = leader.output()[said:].splitlines()
    assert not [line for line in more if " openraft::" in line] and len(more) < 10, more


def test_without_a_majority_the_answer_is_quick(metas):
    leader = metas.leader()
    survivor = next(meta for meta in metas.metas if meta is not leader)
    for meta in metas.metas:
        if meta is not survivor:
            meta.kill()

    def answer():
        begun = time.monotonic()
        # It may point to the leader that it has not missed yet.
        answer = create_user(survivor, "nobody", allow_redirects=False)
        took = time.monotonic() - begun
        assert took < 2 * SLOW_MACHINE, f"{took} s"
        return answer.status_code == 503 and answer.json()["error"]

    assert wait_until(answer, "a refusal") == "no leader: 1 of 3 meta nodes answer, 2 are needed: start the others"
    assert [node["id"] for node in get(survivor, "/show-cluster").json()["meta"]] == [1, 2, 3]
    next(meta for meta in metas.metas if not meta.running()).start()
    change_within(metas, "somebody", 15)


def test_what_was_acknowledged_survives_kill_9_of_all(metas):
    """Under load, all at once, again and again."""
    made = []
    for turn in range(3):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            leader = metas.leader()

            def load(leader=leader, turn=turn):
                for number in range(10_000):
                    try:
                        name = f"{turn}-{number}"
                        if requests.post(
                            f"{leader.url}/user", json={"action": "create", "user": {"name": name, "password": "x"}}, timeout=5
                        ).ok:
                            made.append(name)
                    except requests.RequestException:
                        return

            loading = pool.submit(load)
            goal = len(made) + 5
            wait_until(lambda goal=goal: len(made) >= goal or loading.done(), "some changes")
            for meta in metas.metas:
                meta.kill()
            loading.result()
        for meta in metas.metas:
            meta.start()
        metas.leader()
        change_within(metas, f"turn-{turn}", 15)
        agree(metas)
        known = set(users(metas.metas[0]))
        assert set(made) <= known, set(made) - known
    assert len(made) >= 15


def test_members_come_and_go(metas):
    left = metas.leader()
    metas.ctl("remove-meta", "-y", left.http, bind=left.http)
    assert left.status()["peers"] == []
    rest = [meta for meta in metas.metas if meta is not left]
    change_within(metas, "without", 10)
    wait_until(lambda: len(rest[0].status()["peers"]) == 2, "two members")
    leader = metas.leader()
    # Stopped, taken out by force, and back: it has to be asked, and then is as new.
    gone = next(meta for meta in rest if meta is not leader)
    added = metas.ctl("add-meta", left.http, bind=leader.http)
    assert added.strip() == f"Added meta node 4 at {left.http}"
    gone.stop()
    metas.ctl("remove-meta", "-force", "-tcpAddr", gone.raft, "-y", gone.http, bind=leader.http)
    gone.start()
    added = metas.ctl("add-meta", gone.http, bind=metas.leader().http)
    assert added.strip() == f"Added meta node 5 at {gone.http}"
    agree(metas)
    assert "without" in users(gone)


def test_a_newcomer_gets_the_catalogue_by_snapshot(metas):
    leader = metas.leader()
    for number in range(30):
        assert create_user(leader, f"u{number}").ok
    late = metas.new_meta().start()
    metas.ctl("add-meta", late.http, bind=leader.http)
    agree(metas)
    assert len(users(late)) == 30


def test_authentication_begins_with_the_shared_secret(skywatch_bin, tmp_path):
    secrets = {"auth-enabled": True, "shared-secret": "operators", "internal-shared-secret": "nodes"}
    cluster = Cluster(skywatch_bin, tmp_path, meta_config={"meta": secrets | {"single-server": True}})
    meta = cluster.new_meta()
    try:
        meta.launch()
        wait_until(lambda: _answers(meta), "the meta node to answer")
        error = "must create admin user first"
        for refused in (get(meta, "/show-cluster"), create_user(meta, "me", headers=bearer("another", "me"))):
            assert (refused.status_code, refused.json()["error"]) == (400, error)
        assert create_user(meta, "root", headers=bearer("operators", "root")).status_code == 200
        root = ("root", "s3cret")
        assert create_user(meta, "guest", auth=root).status_code == 200
        assert requests.get(f"{meta.url}/show-cluster", auth=("guest", "s3cret"), timeout=5).ok
        assert requests.get(f"{meta.url}/show-cluster", params={"u": "root", "p": "s3cret"}, timeout=5).ok
        token_header = {"Authorization": "Token root:s3cret"}
        assert requests.get(f"{meta.url}/show-cluster", headers=token_header, timeout=5).ok
        assert requests.get(f"{meta.url}/show-cluster", headers=bearer("operators", "root"), timeout=5).ok
        refused = create_user(meta, "x", auth=("guest", "s3cret"))
        assert (refused.status_code, refused.json()["error"]) == (
            403,
            'user "guest" is no administrator: it may only look',
        )
        for login, text in [
            ({}, "unable to parse authentication credentials"),
            ({"auth": ("root", "wrong")}, "authorization failed"),
            ({"headers": bearer("wrong", "root")}, "signature is invalid"),
            ({"headers": bearer("operators", "nobody")}, "user not found"),
        ]:
            answer = requests.get(f"{meta.url}/show-cluster", timeout=5, **login)
            assert (answer.status_code, answer.json()["error"]) == (401, text)
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="InfluxDB"'
        shown = requests.get(f"{meta.url}/user", auth=root, timeout=5).json()["users"]
        assert [(user["name"], "" in user["permissions"]) for user in shown] == [("root", True), ("guest", False)]
        assert "$2b$" not in json.dumps(shown)
        told = cluster.ctl("-auth-type", "basic", "-user", "root", "-pwd", "s3cret", "show", bind=meta.http)
        assert meta.http in told
    finally:
        cluster.stop()


def _answers(meta):
    try:
        return requests.get(f"{meta.url}/ping", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_nodes_with_another_secret_stay_out(skywatch_bin, tmp_path):
    cluster = Cluster(skywatch_bin, tmp_path, meta_config={"meta": {"internal-shared-secret": "one"}})
    try:
        first = cluster.new_meta().start()
        other = cluster.new_meta({"meta": {"internal-shared-secret": "two"}}).start()
        cluster.add_meta(first)
        refused = cluster.try_ctl("add-meta", other.http, bind=first.http)
        assert refused.returncode == 1 and "secret" in refused.stderr, refused.stderr
        assert other.status()["peers"] == []
        assert len(get(first, "/show-cluster").json()["meta"]) == 1
    finally:
        cluster.stop()


def test_configuration(skywatch_bin, tmp_path):
    default = subprocess.run([skywatch_bin, "config", "default", "meta"], capture_output=True, text=True, check=True)
    file = tmp_path / "meta.toml"
    file.write_text(default.stdout)
    checked = subprocess.run([skywatch_bin, "config", "check", file], capture_output=True, text=True, check=True)
    assert "configuration of skywatch meta, no problem found" in checked.stdout
    file.write_text('[meta]\nhttp-bind-address = ":8091"\nauth-enabled = true\n')
    refused = subprocess.run([skywatch_bin, "config", "check", file], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "internal-shared-secret is blank and must be set in config when auth is enabled" in refused.stderr
