"""What operators of InfluxDB's clusters know, row by row: where points go, who acknowledges them, what waits for whom."""

import math
import random
import re
import shutil
import socket
import struct
import threading
import time

import pytest
import requests
from cluster import Cluster, toml, unused_ports
from conftest import Process, wait_until

HOUR_NS = 3_600_000_000_000
WEEK_NS = 168 * HOUR_NS
# Nobody is waited for longer than this, whoever does not answer.
BOUND_SECONDS = 15
QUICK = {"anti-entropy": {"check-interval": "2s"}}


@pytest.fixture(scope="module")
def cluster(skywatch_bin, tmp_path_factory):
    """One meta and three data nodes, in which every test has databases of its own and brings every node back."""
    cluster = Cluster(skywatch_bin, tmp_path_factory.mktemp("cluster"), data_config=QUICK)
    try:
        yield cluster.start(metas=1, data=3)
    finally:
        cluster.stop()


@pytest.fixture
def start_pair(start_cluster):
    """A function that starts two data nodes with a database of two copies, with settings of their own."""

    def start(data_config=None):
        pair = start_cluster(metas=1, data=2, data_config=data_config)
        create(pair.data[0], "db", 2)
        return pair

    return start


def create(node, db, replication):
    node.query(f"CREATE DATABASE {db} WITH REPLICATION {replication}", db="")


def told(node, q, db=""):
    """The error of a statement; None if there is none."""
    return node.ask(q, db=db).json()["results"][0].get("error")


def policies(node, db):
    return {row[0]: row[1:] for row in node.rows(f"SHOW RETENTION POLICIES ON {db}", db="")}


def shards(node, db):
    """Rows of `SHOW SHARDS` of a database, as objects."""
    for series in node.query("SHOW SHARDS", db="")["results"][0]["series"]:
        if series["name"] == db:
            return [dict(zip(series["columns"], row)) for row in series.get("values", [])]
    return []


def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def statistics(node, module):
    """The values of a module's statistics, one for each of its series, with their tags."""
    answer = node.query(f"SHOW STATS FOR '{module}'", db="")["results"][0]
    return [(series.get("tags", {}), dict(zip(series["columns"], series["values"][0]))) for series in answer.get("series", [])]


def waiting_for(node, other):
    """How many operations wait on `node` for `other`."""
    return sum(values["queueDepth"] for tags, values in statistics(node, "hh_processor") if tags["node"] == str(other.id))


def bounded(call):
    begun = time.monotonic()
    answer = call()
    assert time.monotonic() - begun < BOUND_SECONDS
    return answer


def test_autogen_copies_and_duration_table(cluster):
    node = cluster.data[0]
    node.query("CREATE DATABASE auto", db="")
    assert policies(node, "auto") == {"autogen": ["0s", "168h0m0s", 3, True]}
    for duration, group in [("1h", "1h0m0s"), ("47h", "1h0m0s"), ("2d", "24h0m0s"), ("179d", "24h0m0s"), ("180d", "168h0m0s"), ("INF", "168h0m0s")]:
        node.query(f"CREATE RETENTION POLICY d{duration} ON auto DURATION {duration} REPLICATION 1", db="")
        assert policies(node, "auto")[f"d{duration}"][1] == group, duration
    node.query("CREATE RETENTION POLICY short ON auto DURATION 1d REPLICATION 1 SHARD DURATION 1m", db="")
    assert policies(node, "auto")["short"][1] == "1h0m0s"
    assert node.write(f"m v=1 {time.time_ns()}", db="auto", rp="d2d").status_code == 204
    series = node.query("SHOW SHARD GROUPS", db="")["results"][0]["series"][0]
    assert series["columns"] == ["id", "database", "retention_policy", "start_time", "end_time", "expiry_time"]
    row = next(row for row in series["values"] if row[1:3] == ["auto", "d2d"])
    assert row[3].endswith("T00:00:00Z") and row[4].endswith("T00:00:00Z") and row[5] > row[4] > row[3]


def test_shards_of_a_group_round_robin(cluster):
    """lcm(N, RF) / RF shards, and their copies in turn over the nodes; here for three nodes."""
    node, ids = cluster.data[0], [node.id for node in cluster.data]
    for copies in (1, 2, 3, 4):
        db = f"placed{copies}"
        create(node, db, copies)
        assert node.write("m v=1 1", db=db).status_code == 204
        used = min(copies, 3)
        placed = [[int(number) for number in row["owners"].split(",")] for row in shards(node, db)]
        assert len(placed) == math.lcm(3, used) // used, (copies, placed)
        dealt = [owner for owners in placed for owner in owners]
        assert sorted(dealt) == sorted(ids * (len(dealt) // 3)), placed
        assert all(len(set(owners)) == used for owners in placed)


def test_series_go_to_shards_by_fnv1a(cluster):
    node = cluster.data[0]
    create(node, "hashed", 1)
    keys = [f"m,host=h{number},rack=r{number % 7}" for number in range(200)]
    assert node.write("\n".join(f"{key} v=1 1" for key in keys), db="hashed").status_code == 204
    rows = sorted(shards(node, "hashed"), key=lambda row: row["id"])
    assert len(rows) == 3
    for other in cluster.data:
        (place,) = (place for place, row in enumerate(rows) if row["owners"] == str(other.id))
        expected = sorted(key for key in keys if fnv1a64(key) % 3 == place)
        for asked in cluster.data:
            found = sorted(row[0] for row in asked.rows("SHOW SERIES", db="hashed", node_id=other.id))
            assert found == expected, (asked.id, other.id)


def test_groups_ahead_and_expiry(start_pair):
    """Groups are made before their time begins; what is beyond its retention goes, with its files."""
    pair = start_pair({"retention": {"check-interval": "1s"}, "shard-precreation": {"check-interval": "1s", "advance-period": "30m"}})
    node = pair.data[0]
    node.query("CREATE RETENTION POLICY hour ON db DURATION 1h REPLICATION 2", db="")
    now = time.time_ns()
    assert node.write(f"m v=1 {now}", rp="hour").status_code == 204
    # The shortest retention there is: what is written two hours back is refused, and what is in a group that has ended
    # goes when the group's end is an hour ago.
    refused = node.write(f"m v=1 {now - 2 * HOUR_NS}", rp="hour")
    assert (refused.status_code, refused.json()["error"]) == (400, "partial write: points beyond retention policy dropped=1")
    node.query("CREATE RETENTION POLICY day ON db DURATION 25h REPLICATION 2 SHARD DURATION 1h", db="")
    assert node.write(f"m v=1 {now - 5 * HOUR_NS}", rp="day").status_code == 204
    (old,) = [row for row in shards(node, "db") if row["retention_policy"] == "day"]
    directories = [node.directory / "data" / "data" / str(old["id"]) for node in pair.data]
    assert all(directory.exists() for directory in directories)
    node.query("ALTER RETENTION POLICY day ON db DURATION 1h", db="")
    wait_until(lambda: [row for row in shards(node, "db") if row["retention_policy"] == "day"] == [], "the group to go", 90)
    wait_until(lambda: not any(directory.exists() for directory in directories), "its files to go", 60)
    # The hour's group ends within 30 minutes, or will: then the next one is there before anybody writes to it.
    if now % HOUR_NS > HOUR_NS // 2:
        wait_until(lambda: len([row for row in shards(node, "db") if row["retention_policy"] == "hour"]) == 2, "the next group", 90)


def test_validation_errors(cluster):
    node, other = cluster.data[:2]
    create(node, "valid", 1)
    for q, error in [
        ("CREATE RETENTION POLICY p ON valid DURATION 30m REPLICATION 1", "retention policy duration must be at least 1h0m0s"),
        ("CREATE RETENTION POLICY p ON valid DURATION 2h REPLICATION 1 SHARD DURATION 3h", "retention policy duration must be greater than the shard duration"),
        ("CREATE RETENTION POLICY p ON nowhere DURATION 2h REPLICATION 1", "database not found: nowhere"),
        ("ALTER RETENTION POLICY p ON valid DURATION 2h", "retention policy not found: p"),
        ("CREATE RETENTION POLICY autogen ON valid DURATION 2h REPLICATION 1", "retention policy already exists"),
        ("CREATE DATABASE valid WITH DURATION 3d NAME other", "retention policy conflicts with an existing policy"),
        ('CREATE DATABASE "a/b"', "invalid name"),
        ('CREATE DATABASE "."', "invalid name"),
    ]:
        assert told(node, q) == error, q
        assert told(other, q) == error, q
    assert told(node, "CREATE DATABASE valid WITH REPLICATION 1") is None
    # Parsed before anything else.
    zero = node.ask("CREATE RETENTION POLICY p ON valid DURATION 2h REPLICATION 0", db="")
    assert zero.status_code == 400 and "must be" in zero.json()["error"]
    # More copies than nodes are allowed, and made as far as there are nodes.
    assert told(node, "CREATE RETENTION POLICY many ON valid DURATION 2h REPLICATION 7") is None


def test_users_and_the_first_administrator(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config={"http": {"auth-enabled": True}})
    one, two = cluster.data

    def ask(node, q, auth=None, **params):
        return requests.post(f"{node.url}/query", params=params, data={"q": q}, auth=auth, timeout=10)

    refused = ask(one, "CREATE DATABASE db")
    assert (refused.status_code, "create admin user first or disable authentication" in refused.text) == (403, True)
    assert ask(one, "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES").status_code == 200
    root, reader = ("root", "secret"), ("reader", "secret")
    # The other node knows it at once.
    assert ask(two, "CREATE DATABASE db WITH REPLICATION 2", root).status_code == 200
    assert ask(two, "CREATE USER reader WITH PASSWORD 'secret'; GRANT READ ON db TO reader", root).status_code == 200
    assert ask(one, "SELECT * FROM m", reader, db="db").status_code == 200
    write = requests.post(f"{one.url}/write?db=db", data="m v=1 1", auth=reader, timeout=10)
    assert (write.status_code, write.json()["error"]) == (403, '"reader" user is not authorized to write to database "db"')
    assert ask(one, "GRANT ALL ON db TO reader", root).status_code == 200
    assert requests.post(f"{two.url}/write?db=db", data="m v=1 1", auth=reader, timeout=10).status_code == 204
    assert ask(two, "SHOW USERS", reader).status_code == 403
    assert ask(two, "SET PASSWORD FOR reader = 'other'", root).status_code == 200
    assert ask(one, "SELECT * FROM m", reader, db="db").status_code == 401
    assert ask(one, "SELECT * FROM m", ("reader", "other"), db="db").status_code == 200
    assert ask(one, "DROP USER reader", root).status_code == 200
    assert ask(two, "SELECT * FROM m", ("reader", "other"), db="db").status_code == 401


def test_continuous_queries_run_on_one_node(start_pair):
    """They count windows of a second: each has one point, and after their node is gone another one goes on without a gap."""
    pair = start_pair({"continuous_queries": {"run-interval": "1s"}})
    node, other = pair.data
    node.query(
        "CREATE CONTINUOUS QUERY c ON db BEGIN SELECT count(v) AS n INTO counted FROM m GROUP BY time(1s) END", db=""
    )
    stopping = threading.Event()

    def load():
        while not stopping.is_set():
            for target in pair.data:
                try:
                    if requests.post(f"{target.url}/write?db=db", data=f"m v=1 {time.time_ns()}", timeout=15).status_code == 204:
                        break
                except requests.RequestException:
                    continue
            stopping.wait(0.1)

    writer = threading.Thread(target=load, daemon=True)
    writer.start()

    def runs(target):
        return sum(values["queryOk"] for _, values in statistics(target, "cq"))

    def counted(target):
        return target.rows("SELECT n FROM counted", epoch="s")

    try:
        wait_until(lambda: len(counted(node)) >= 3, "windows to be counted", 30)
        # One of the two has run all of them.
        assert sorted(runs(target) > 0 for target in pair.data) == [False, True]
        holder = node if runs(node) else other
        survivor = other if holder is node else node
        holder.kill()
        before = len(counted(survivor))
        wait_until(lambda: len(counted(survivor)) >= before + 3, "the other node to go on", 60)
        holder.start()
        pair.settle(60)
    finally:
        stopping.set()
        writer.join(30)
    rows = counted(survivor)
    times = [time for time, _ in rows]
    assert len(set(times)) == len(rows)
    written = survivor.rows(f"SELECT count(v) FROM m WHERE time >= {times[0]}s AND time < {times[-1] + 1}s GROUP BY time(1s) FILL(none)", epoch="s")
    assert times == [time for time, _ in written], "no window was lost with the node that was to count it"


def test_subscriptions_from_any_node(cluster):
    node = cluster.data[0]
    create(node, "subscribed", 2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(15)
        port = sink.getsockname()[1]
        node.query(f"CREATE SUBSCRIPTION s ON subscribed.autogen DESTINATIONS ALL 'udp://127.0.0.1:{port}'", db="")
        for number, writer in enumerate(cluster.data):
            wait_until(lambda: "SUBSCRIPTION" not in str(told(writer, "SHOW SUBSCRIPTIONS")) and writer.rows("SHOW SUBSCRIPTIONS", db=""), "the subscription to be known")
            assert writer.write(f"m,n={number} v=1 1", db="subscribed").status_code == 204
            # Once, by the node that took the write.
            assert sink.recv(1000).decode().strip() == f"m,n={number} v=1 1"
        sink.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sink.recv(1000)
        node.query("DROP SUBSCRIPTION s ON subscribed.autogen", db="")


def test_consistency_levels(cluster):
    """Codes and bodies with one to three copies and none to two of them away."""
    first, second, third = cluster.data
    for copies in (1, 2, 3):
        create(first, f"level{copies}", copies)
        assert first.write("\n".join(f"m,h={n} v=1 1" for n in range(60)), db=f"level{copies}", consistency="all").status_code == 204

    def codes(db, lines):
        found = {}
        for level in ("any", "one", "quorum", "all"):
            answer = first.write(lines, db=db, consistency=level, timeout=BOUND_SECONDS)
            found[level] = (answer.status_code, answer.json()["error"] if answer.content else "")
        return found

    ok, partial = (204, ""), (500, "partial write")
    for name in ("most", "two", "-1"):
        refused = first.write("m v=1 1", db="level1", consistency=name)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid consistency level")
    assert first.write("m,h=1 v=1 1", db="level3", consistency="ALL").status_code == 204
    # A series whose only copy is on the third node, and one whose two copies are on the first and the third.
    (lonely,) = (row["id"] for row in shards(first, "level1") if row["owners"] == str(third.id))
    mixed = next(row for row in shards(first, "level2") if set(row["owners"].split(",")) == {str(first.id), str(third.id)})

    def series_of(db, shard):
        ids = sorted(row["id"] for row in shards(first, db))
        return next(f"m,h={n}" for n in range(60) if ids[fnv1a64(f"m,h={n}") % len(ids)] == shard)

    lonely, mixed = series_of("level1", lonely), series_of("level2", mixed["id"])
    third.kill()
    try:
        found = codes("level1", f"{lonely} v=2 2")
        assert found["any"] == ok
        for level in ("one", "quorum", "all"):
            assert found[level][0] == 500 and found[level][1].startswith("write failed: "), found
        assert codes("level2", f"{mixed} v=2 2") == {"any": ok, "one": ok, "quorum": partial, "all": partial}
        assert codes("level3", "m,h=1 v=2 2") == {"any": ok, "one": ok, "quorum": ok, "all": partial}
        # What is durable, and less than asked for, is told apart.
        below = first.write("m,h=1 v=2 2", db="level3", consistency="all")
        assert below.headers["X-Skywatch-Durable"] == "stored=2 hinted=1 needed=3"
        second.kill()
        try:
            assert codes("level3", "m,h=1 v=3 3") == {"any": ok, "one": ok, "quorum": partial, "all": partial}
        finally:
            second.start()
    finally:
        third.start()
        cluster.settle(60)
    # All of it arrives, whatever was answered.
    assert third.rows("SELECT v FROM m WHERE time = 2", db="level1", node_id=third.id, epoch="ns") == [[2, 2]]
    for node in cluster.data:
        assert len(node.rows("SELECT v FROM m WHERE h = '1'", db="level3", node_id=node.id)) == 3


def test_any_counts_a_stored_hint_always(cluster):
    node, other, third = cluster.data
    create(node, "hinted", 1)
    lines = "\n".join(f"m,h={n} v=0 1" for n in range(40))
    assert node.write(lines, db="hinted", consistency="all").status_code == 204
    other.kill()
    third.kill()
    try:
        # Again and again, though the queue is not empty.
        for at in range(2, 7):
            lines = "\n".join(f"m,h={n} v=0 {at}" for n in range(40))
            assert node.write(lines, db="hinted", consistency="any", timeout=BOUND_SECONDS).status_code == 204
    finally:
        other.start()
        third.start()
        cluster.settle(60)
    assert node.rows("SELECT count(v) FROM m", db="hinted")[0][1] == 240


def test_a_type_conflict_is_400_and_neither_retried_nor_hinted(cluster):
    node, other = cluster.data[:2]
    create(node, "typed", 3)
    assert node.write("m v=1i 1", db="typed", consistency="all").status_code == 204
    hints = sum(waiting_for(writer, owner) for writer in cluster.data for owner in cluster.data)
    for writer in cluster.data:
        for level in ("any", "one", "quorum", "all"):
            refused = writer.write("m v=1.5 2", db="typed", consistency=level)
            assert refused.status_code == 400, refused.text
            assert refused.json()["error"] == (
                'partial write: field type conflict: input field "v" on measurement "m" is type float, already exists as'
                " type integer dropped=1"
            )
    assert sum(waiting_for(writer, owner) for writer in cluster.data for owner in cluster.data) == hints == 0
    # Points beside it are stored.
    assert other.write("m v=2.5 3\nm v=3i 4", db="typed").status_code == 400
    for owner in cluster.data:
        wait_until(lambda: owner.rows("SELECT v FROM m", db="typed", node_id=owner.id, epoch="ns") == [[1, 1], [4, 3]], "the other point")


def test_bodies_of_writes_and_frozen_owners(cluster):
    """Two rows: what is answered, and that it is answered in time."""
    node, other, frozen = cluster.data
    create(node, "bodies", 3)
    assert node.write("m v=1 1", db="bodies").status_code == 204
    for lines, params, status, error in [
        ("m v=1 1", {"db": ""}, 400, "database is required"),
        ("m v=1 1", {"db": "nowhere"}, 404, 'database not found: "nowhere"'),
        ("m v=1 1", {"db": "bodies", "rp": "none"}, 500, "retention policy not found: none"),
        ("m", {"db": "bodies"}, 400, "unable to parse 'm': missing fields"),
        ("m v=1 2\nbad", {"db": "bodies"}, 400, "partial write: unable to parse 'bad': missing fields dropped=0"),
    ]:
        answer = node.write(lines, **params)
        assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    frozen.freeze()
    try:
        for at in range(3, 8):
            assert bounded(lambda: node.write(f"m v=1 {at}", db="bodies")).status_code == 204
            answer = bounded(lambda: node.write(f"m v=1 {at}", db="bodies", consistency="all"))
            assert (answer.status_code, answer.json()["error"]) == (500, "partial write")
            assert len(bounded(lambda: other.rows("SELECT v FROM m", db="bodies"))) == at
        for q in ("SHOW MEASUREMENTS", "SHOW TAG KEYS", "SHOW SERIES CARDINALITY", "SHOW QUERIES"):
            bounded(lambda: other.query(q, db="bodies"))
    finally:
        frozen.thaw()
        cluster.settle(60)
    assert len(frozen.rows("SELECT v FROM m", db="bodies", node_id=frozen.id)) == 7


def filler(seed):
    """A text of 8,000 characters that compression makes no shorter than half."""
    return random.Random(seed).randbytes(4_000).hex()


@pytest.mark.parametrize("out_of_order", [False, True])
def test_hinted_handoff_survives_a_restart_and_allow_out_of_order_writes(start_pair, out_of_order):
    """Two rows: what waits is on disk, and arrives in order; with either setting what was written last is what counts."""
    pair = start_pair({"coordinator": {"allow-out-of-order-writes": out_of_order}, "hinted-handoff": {"retry-rate-limit": "64k"}})
    node, away = pair.data
    away.kill()
    for at in range(1, 101):
        assert node.write(f'm v={at}i,s="{filler(at)}" {at}\nsame v={at}i 1').status_code == 204
    assert waiting_for(node, away) == 100
    (hh,) = statistics(node, "hh")
    assert hh[1]["writeShardReq"] == 100
    node.restart()
    assert waiting_for(node, away) == 100
    away.start()
    # While it drains: what is written now is newer than what still waits. Whether its owner is asked for it before all that has
    # arrived is what the setting says.
    def at_all():
        return node.write("same v=1000i 1", consistency="all")

    if out_of_order:
        wait_until(lambda: at_all().status_code == 204, "the other node to take what is new")
    else:
        answer = at_all()
        assert (answer.status_code, answer.json()["error"]) == (500, "partial write"), answer.text
    assert waiting_for(node, away) > 0, "it does not drain any more"
    pair.settle(90)
    wait_until(lambda: waiting_for(node, away) == 0, "the queue to drain", 60)
    for replica in pair.data:
        assert replica.rows("SELECT v FROM m", node_id=replica.id, epoch="ns") == [[at, at] for at in range(1, 101)]
        assert replica.rows("SELECT v FROM same", node_id=replica.id, epoch="ns") == [[1, 1000]]


def test_limits_of_hinted_handoff(start_pair):
    """A queue that is full, or too old, gives up; what it gave up arrives by comparison, as the settings say that exist."""
    pair = start_pair({"hinted-handoff": {"max-size": "64k", "purge-interval": "1s", "max-age": "1h"}, **QUICK})
    node, away = pair.data
    away.kill()
    for at in range(1, 61):
        assert node.write(f'm v={at}i,s="{filler(at)}" {at}').status_code == 204
    (queue,) = [values for tags, values in statistics(node, "hh_processor") if tags["node"] == str(away.id)]
    assert queue["queueBytes"] <= 128 << 10 and (queue["writeDropped"] > 0 or queue["hasGaps"] == 1), queue
    # Nothing counts for `any` that is not kept.
    create(node, "single", 1)
    away.start()
    pair.settle(90)
    wait_until(lambda: len(away.rows("SELECT v FROM m", node_id=away.id)) == 60, "what was given up to be compared", 60)

    # Bytes a second.
    pair = start_pair({"hinted-handoff": {"retry-rate-limit": "32k", "batch-size": "8k"}})
    node, away = pair.data
    away.kill()
    for at in range(1, 41):
        assert node.write(f'm v={at}i,s="{filler(at)}" {at}').status_code == 204
    away.start()
    begun = time.monotonic()
    wait_until(lambda: waiting_for(node, away) == 0, "the queue to drain", 60)
    assert time.monotonic() - begun > 2
    assert "hinted handoff disabled" not in node.output()


def test_hints_go_with_their_node(start_cluster):
    cluster = start_cluster(metas=1, data=3)
    node, _, away = cluster.data
    create(node, "db", 3)
    away.kill()
    assert node.write("m v=1 1").status_code == 204
    queue = next((node.directory / "data" / "hh").glob(f"*{away.id}*"), None)
    assert queue is not None and queue.exists()
    cluster.ctl("remove-data", "-force", away.tcp)
    wait_until(lambda: not queue.exists(), "the queue to go", 90)
    assert waiting_for(node, away) == 0


def test_anti_entropy_detects_and_repairs(start_pair):
    """A copy whose directory is gone fills itself; the commands answer as they are known."""
    pair = start_pair(QUICK)
    node, broken = pair.data
    assert node.write("\n".join(f"m,h={n} v={n}i {n + 1}" for n in range(100)), consistency="all").status_code == 204
    (shard,) = (row["id"] for row in shards(node, "db"))
    shown = pair.ctl("entropy", "show").splitlines()
    assert shown[:2] == ["Entropy", "=========="]
    assert re.split(r"\s{2,}|\t+", shown[2].strip()) == ["ID", "Database", "Retention Policy", "Start", "End", "Expires", "Status"]
    assert broken.stop() == 0
    shutil.rmtree(broken.directory / "data" / "data" / str(shard))
    broken.start()

    def count(replica):
        result = replica.query("SELECT count(v) FROM m", node_id=replica.id)["results"][0]
        return result["series"][0]["values"][0][1] if "series" in result else 0

    wait_until(lambda: count(broken) == 100, "the copy to be made again", 60)
    assert pair.ctl("entropy", "repair", str(shard)) == f"Repair Shard {shard} queued\n"
    killed = pair.try_ctl("entropy", "kill-repair", str(shard))
    assert killed.returncode in (0, 1) and (killed.returncode == 0 or "repair" in killed.stderr), killed
    status = requests.get(f"{node.url}/shard-repair/status", timeout=10).json()
    assert sorted(status) == ["processing_shards", "queued_shards", "shards"]
    wait_until(lambda: len(pair.ctl("entropy", "show").splitlines()) <= 3, "nothing to differ", 30)


def test_listeners_store_with_their_consistency(start_cluster):
    """Graphite, collectd, OpenTSDB and UDP on a data node: stored at both owners, and at the level that is configured."""
    tcp, tsdb, level = unused_ports(3)
    udp, collectd = unused_ports(2)
    sections = f"""
[[udp]]
enabled = true
bind-address = "127.0.0.1:{udp}"
database = "u"
batch-timeout = "50ms"
[[graphite]]
enabled = true
bind-address = "127.0.0.1:{tcp}"
database = "g"
batch-timeout = "50ms"
[[graphite]]
enabled = true
bind-address = "127.0.0.1:{level}"
database = "g"
batch-timeout = "50ms"
consistency-level = "all"
[[collectd]]
enabled = true
bind-address = "127.0.0.1:{collectd}"
database = "c"
batch-timeout = "50ms"
[[opentsdb]]
enabled = true
bind-address = "127.0.0.1:{tsdb}"
database = "o"
batch-timeout = "50ms"
"""
    cluster = start_cluster(metas=1, data=2)
    node, other = cluster.data
    assert node.stop() == 0
    # The sections are lists, which `launch` does not write: they are added to the file that the process reads.
    node.config_file.write_text(toml(node.config) + sections)
    Process.start(node)
    node.started()
    cluster.settle(60)
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.sendto(b"m v=1 1", ("127.0.0.1", udp))
    datagram.sendto(collectd_datagram(), ("127.0.0.1", collectd))
    for port, text in [(tcp, "a.b 1 1600000000\n"), (level, "all.of 2 1600000000\n"), (tsdb, "put sys.cpu 1600000000 42.5 host=a\n")]:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
            stream.sendall(text.encode())
    put = requests.post(f"http://127.0.0.1:{tsdb}/api/put", json={"metric": "http.put", "timestamp": 1600000000, "value": 3, "tags": {"k": "v"}}, timeout=10)
    assert (put.status_code, put.text) == (204, "")

    def held(db, measurement):
        """What each of the two nodes has by itself."""
        answers = [replica.ask(f'SELECT value, v FROM "{measurement}"', db=db, node_id=replica.id).json() for replica in cluster.data]
        return [len(answer["results"][0].get("series", [{"values": []}])[0]["values"]) for answer in answers]

    for db, measurement in [("u", "m"), ("g", "a.b"), ("g", "all.of"), ("c", "cpu_value"), ("o", "sys.cpu"), ("o", "http.put")]:
        wait_until(lambda: held(db, measurement) == [1, 1], f"{measurement} of {db} on both nodes", 30)
    # With an owner away, one copy is enough for the first, and the other waits.
    other.kill()
    for port, text in [(tcp, "a.b 2 1600000001\n"), (level, "all.of 3 1600000001\n")]:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
            stream.sendall(text.encode())

    def transmitted():
        return {tags["bind"]: values for tags, values in statistics(node, "graphite")}

    wait_until(lambda: transmitted()[f"127.0.0.1:{tcp}"]["pointsTx"] == 2, "the write at one", 30)
    assert transmitted()[f"127.0.0.1:{level}"]["pointsTx"] == 1


def collectd_datagram():
    def part(kind, payload):
        return kind.to_bytes(2, "big") + (len(payload) + 4).to_bytes(2, "big") + payload

    values = (1).to_bytes(2, "big") + bytes([1]) + struct.pack("<d", 1.5)
    return b"".join([
        part(0, b"host\0"), part(1, (1600000000).to_bytes(8, "big")), part(2, b"cpu\0"), part(4, b"cpu\0"), part(6, values),
    ])

