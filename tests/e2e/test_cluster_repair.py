"""Copies of shards that got lost, were damaged, are new or went with a node: they fill themselves, and nothing wrong is answered
meanwhile."""

import itertools
import re
import shutil
import threading
import time

import flux_tables
import requests
from conftest import wait_until

COMPARE_OFTEN = {"anti-entropy": {"check-interval": "2s"}}


def create(cluster, replication=2):
    cluster.data[0].query(f"CREATE DATABASE db WITH REPLICATION {replication}", db="")


def load(node, hosts=20, rows=50):
    lines = [f"m,host=h{host} v={host * row}i {row + 1}" for host in range(hosts) for row in range(rows)]
    assert node.write("\n".join(lines), consistency="all").status_code == 204
    return hosts * rows


def count(node):
    """How many points a node has in its own copies; 0 while it does not say."""
    result = node.query("SELECT count(v) FROM m", node_id=node.id)["results"][0]
    return result["series"][0]["values"][0][1] if "series" in result else 0


def answers_nothing_wrong(node, points):
    """All points, or none and why."""
    result = node.query("SELECT count(v) FROM m")["results"][0]
    if "error" in result:
        assert "does not hold all of shard" in result["error"], result
    else:
        assert result["series"][0]["values"][0][1] == points


def shard_dirs(node):
    return sorted(path for path in (node.directory / "data").rglob("MANIFEST"))


def entropy_rows(cluster):
    lines = cluster.ctl("entropy", "show").splitlines()
    assert lines[:2] == ["Entropy", "=========="]
    return [line for line in lines[3:] if line and not line.startswith("Queued")]


def test_a_shard_that_cannot_be_opened_is_set_aside_if_another_node_has_it(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config=COMPARE_OFTEN)
    create(cluster)
    whole, broken = cluster.data
    points = load(whole)
    assert broken.stop() == 0
    manifests = shard_dirs(broken)
    for manifest in manifests:
        manifest.write_bytes(b"no manifest")
    broken.start()
    answers_nothing_wrong(broken, points)
    wait_until(lambda: count(broken) == points, "the shard to be copied", seconds=60)
    for manifest in manifests:
        aside = manifest.parent.with_name(f"{manifest.parent.name}.damaged")
        assert (aside / "MANIFEST").read_bytes() == b"no manifest" and manifest.exists()

    # The only copy there is: nothing is served in the place of it.
    broken.query("CREATE DATABASE alone WITH REPLICATION 1", db="")
    known = set(shard_dirs(broken))
    lines = "\n".join(f"m,host=h{host} v=1i 1" for host in range(50))
    cluster.settle(60)
    wait_until(lambda: whole.write(lines, db="alone", consistency="all").status_code == 204, "a write to both nodes")
    (alone,) = set(shard_dirs(broken)) - known
    assert broken.stop() == 0
    alone.write_bytes(b"no manifest")
    broken.launch()
    wait_until(lambda: not broken.running(), "the node to refuse", seconds=60)
    assert f"{alone} is damaged" in broken.output()


def test_a_lost_directory_and_a_damaged_segment_fill_themselves(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config=COMPARE_OFTEN)
    create(cluster)
    whole, broken = cluster.data
    points = load(whole)
    assert [count(node) for node in cluster.data] == [points, points]

    # A data node that has lost the shard's directory.
    assert broken.stop() == 0
    for manifest in shard_dirs(broken):
        shutil.rmtree(manifest.parent)
    broken.start()
    # Whoever is asked answers with everything or not at all, from the first moment on.
    answers_nothing_wrong(broken, points)
    wait_until(broken.is_ready, "the node to serve", 30)
    answers_nothing_wrong(broken, points)
    wait_until(lambda: count(broken) == points, "the shard to be copied", 30)

    # One of whose segments a byte has changed; an orderly stop has made a segment of what was written.
    assert broken.restart()
    assert broken.stop() == 0
    segments = list((broken.directory / "data").rglob("*.seg"))
    assert segments
    for segment in segments:
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 0xFF
        segment.write_bytes(content)
    broken.start()
    wait_until(broken.is_ready, "the node to serve", 30)
    answers_nothing_wrong(broken, points)

    wait_until(lambda: count(broken) == points, "the segment to be replaced", 60)
    wait_until(lambda: entropy_rows(cluster) == [], "nothing to differ", 30)


def shard_files(node, pattern):
    """The files of a node's shards, largest last."""
    return sorted((node.directory / "data").rglob(pattern), key=lambda path: path.stat().st_size)


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_what_is_damaged_between_comparisons_is_answered_by_others(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config={"anti-entropy": {"check-interval": "1h"}})
    create(cluster)
    whole, broken = cluster.data
    points = load(whole)

    # The last record of the log, which nobody can tell from one that a crash cut off.
    assert whole.write(f"m,host=h0 v=1i {points}").status_code == 204
    points += 1
    broken.kill()
    flip(shard_files(broken, "*.wal")[-1], -1)
    broken.start()
    deadline = time.monotonic() + 60
    while count(broken) != points:
        answers_nothing_wrong(broken, points)
        assert time.monotonic() < deadline, cluster.outputs()
    answers_nothing_wrong(broken, points)

    # A block of a segment, which a query finds.
    assert broken.restart()
    assert broken.stop() == 0
    segment = shard_files(broken, "*.seg")[-1]
    flip(segment, segment.stat().st_size // 2)
    broken.start()
    wait_until(broken.is_ready, "the node to serve", 30)
    for _ in range(20):
        answers_nothing_wrong(broken, points)
        assert len(broken.rows("SELECT v FROM m")) == points
    wait_until(lambda: count(broken) == points, "the segment to be replaced", 30)
    assert list((broken.directory / "data").rglob("quarantine/*.seg"))


WEEK_NS = 7 * 24 * 3600 * 10**9
# Middles of weeks, each of which has shards of its own.
WEEKS = [1_700_000_000 * 10**9 + number * WEEK_NS for number in range(13)]
TIMES = 300


def text_rows(week):
    return f"SELECT * FROM m WHERE time >= {week} AND time < {week + TIMES * 10**9}"


# None of them is answered by statistics of blocks alone.
QUESTIONS = {
    "rows": lambda node, week: node.rows(text_rows(week), epoch="ns"),
    "aggregates": lambda node, week: node.query(
        f"SELECT median(v), sum(v), max(w) FROM m WHERE w > 1 AND time >= {week} AND time < {week + TIMES * 10**9} GROUP BY host"
    ),
    "windows": lambda node, week: node.rows(
        f"SELECT mean(v), percentile(w, 90) FROM m WHERE time >= {week} AND time < {week + TIMES * 10**9} GROUP BY time(7s)",
        epoch="ns",
    ),
    "flux": lambda node, week: flux_tables.ask(
        node.url,
        f'from(bucket: "db") |> range(start: time(v: {week}), stop: time(v: {week + TIMES * 10**9}))'
        ' |> filter(fn: (r) => r._measurement == "m")',
    ),
}


def damaged_segments(node):
    """Files of which the node has said that they are damaged."""
    told = [line for line in node.output().splitlines() if "a segment is damaged" in line]
    return {file for line in told for file in re.findall(r"[^\s\"=]+\.seg", line)}


def test_the_query_that_finds_damage_is_answered_by_others(start_cluster):
    cluster = start_cluster(metas=1, data=3, data_config={"anti-entropy": {"check-interval": "1h"}})
    create(cluster)
    broken, whole, other = cluster.data
    for week in WEEKS:
        lines = [
            f"m,host=h{host} v={(host * 7919 + row * 104729) % 10007 / 7:.3f},w={(host * row) % 5}i {week + row * 10**9}"
            for host in range(30)
            for row in range(TIMES)
        ]
        assert whole.write("\n".join(lines), consistency="all").status_code == 204
    weeks = iter(WEEKS)
    asked = [(node, name, next(weeks)) for node in (broken, whole, other) for name in QUESTIONS]
    expected = [QUESTIONS[name](whole, week) for _, name, week in asked]

    # Bytes of chunks and of entries, in the second quarter of every segment: nobody notices before they are read.
    assert broken.stop() == 0
    segments = shard_files(broken, "*.seg")
    for segment in segments:
        content = bytearray(segment.read_bytes())
        for at in range(len(content) // 4, len(content) // 2, 200):
            content[at] ^= 1
        segment.write_bytes(content)
    broken.start()
    cluster.settle(60)
    assert damaged_segments(broken) == set()

    met = {}
    for (node, name, week), answer in zip(asked, expected, strict=True):
        before = damaged_segments(broken)
        assert QUESTIONS[name](node, week) == answer, (node.id, name)
        met.setdefault(node.id, set()).update(damaged_segments(broken) - before)
        # All that is to be known of the damage is known by now: who asks again asks an owner that is whole.
        assert QUESTIONS[name](node, week) == answer, (node.id, name)
    assert len(met[broken.id]) >= 4, met
    assert met[whole.id] | met[other.id], "nodes that own no copy have met it too"

    # What one replica holds is asked of no other.
    told = broken.query(text_rows(next(weeks)), node_id=broken.id)["results"][0]
    assert ".seg: block at offset" in told["error"] and "is damaged" in told["error"], told


def test_hints_that_are_lost_are_missed(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config={"anti-entropy": {"check-interval": "1h"}})
    create(cluster)
    holder, away = cluster.data
    points = load(holder)
    away.kill()
    assert holder.write(f"m,host=h0 v=1i {points}").status_code == 204
    holder.kill()
    (queues,) = (holder.directory / "data").rglob("hh")
    shutil.rmtree(queues)
    holder.start()
    away.start()
    cluster.settle()
    assert [count(node) for node in cluster.data] == [points + 1, points + 1]


def test_copies_move_under_load_and_are_made_again_when_a_node_goes(start_cluster):
    cluster = start_cluster(metas=1, data=3, data_config=COMPARE_OFTEN)
    create(cluster)
    points = load(cluster.data[0])
    shards = cluster.ctl("show-shards")
    # Three shards, each on two of the three nodes: with the first, the node that lacks it has everything.
    shard, owners = next(
        (int(line.split()[0]), [node for node in cluster.data if f"ID:{node.id} " in line])
        for line in shards.splitlines()
        if re.match(r"\d+ +db ", line)
    )
    new = next(node for node in cluster.data if node not in owners)
    assert len(owners) == 2

    stopping, acknowledged = threading.Event(), []

    def write():
        for at in itertools.count(1_000):
            if stopping.is_set():
                return
            node = cluster.data[at % 3]
            try:
                if node.write(f"m,host=late v=1i {at}").status_code == 204:
                    acknowledged.append(at)
            except requests.RequestException:
                pass
            time.sleep(0.005)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    told = cluster.ctl("copy-shard", owners[0].tcp, new.tcp, str(shard))
    assert told == f"Copied shard {shard} from {owners[0].tcp} to {new.tcp}\n"
    assert cluster.ctl("copy-shard-status").strip().splitlines()[3:] == []
    # Neither what was there before nor what was written during the copy is missing.
    cluster.ctl("remove-shard", owners[0].tcp, str(shard))
    time.sleep(0.5)
    stopping.set()
    writer.join(30)
    expected = points + len(acknowledged)
    assert len(acknowledged) > 20
    wait_until(lambda: count(new) >= expected, "the new owner to hold everything", 30)
    times = {row[0] for row in new.rows("SELECT v FROM m WHERE host = 'late'", node_id=new.id, epoch="ns")}
    assert set(acknowledged) <= times

    # A node that is removed takes copies with it; another node gets them.
    cluster.ctl("remove-data", "-force", new.tcp)
    new.kill()

    def hold_everything():
        return all(count(node) >= expected for node in owners)

    wait_until(hold_everything, "the copies to be made again", 90)


def test_repairs_are_asked_for_by_number(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config={"anti-entropy": {"enabled": False}})
    create(cluster)
    load(cluster.data[0])
    shard = re.search(r"^(\d+) +db ", cluster.ctl("show-shards"), re.MULTILINE).group(1)
    assert cluster.ctl("entropy", "repair", shard) == f"Repair Shard {shard} queued\n"
    status = requests.get(f"{cluster.data[0].url}/shard-repair/status", timeout=10).json()
    assert sorted(status) == ["processing_shards", "queued_shards", "shards"]
    refused = requests.post(f"{cluster.data[0].url}/shard-repair/repair", params={"id": "99"}, timeout=10)
    assert refused.status_code == 400
    assert refused.json() == {"error": "this node owns no copy of shard 99 that another node has too"}
    done = cluster.try_ctl("entropy", "kill-repair", "0")
    assert done.returncode == 1 and "shardID must be greater than 0" in done.stderr
