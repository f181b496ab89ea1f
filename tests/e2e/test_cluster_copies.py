"""Copies of shards whose destination and source are killed in the middle: they go on where they were, show how far they are, and
count for nothing before they are whole."""

import random
import re
import struct
import subprocess

import requests
from conftest import wait_until

# So slow that a copy of a few megabytes can be watched.
SLOWLY = {"anti-entropy": {"check-interval": "2s", "rate-limit": "150k"}}
PARTS = 5
ROWS = 12_000


def noise(seed):
    """Floats that nothing compresses."""
    source = random.Random(seed)
    while True:
        value = struct.unpack("<d", source.randbytes(8))[0]
        if abs(value) < 1e300 and value == value:
            yield value


def load(node):
    """Several segments, each of some hundred kilobytes; returns how many points there are."""
    for part in range(PARTS):
        values = noise(part)
        for block in range(0, ROWS, 4_000):
            at = part * ROWS + block
            lines = [f"m,host=h{row % 10} v={next(values)!r} {row + 1}" for row in range(at, at + 4_000)]
            assert node.write("\n".join(lines), consistency="all").status_code == 204
        node.restart()
        wait_until(node.is_ready, "the node to serve", 60)
    return PARTS * ROWS


def shard_of(cluster):
    """The shard that has points, who owns it, and the node that does not."""
    line = re.search(r"^(\d+) +db .*$", cluster.ctl("show-shards"), re.MULTILINE)
    source = next(node for node in cluster.data if f"ID:{node.id} " in line.group(0))
    return int(line.group(1)), source, next(node for node in cluster.data if node is not source)


def progress(cluster, shard):
    """Bytes here and in all, of the copy of a shard as the meta nodes tell it; `None` without one."""
    copies = requests.get(f"{cluster.metas[0].url}/copy-shard-status", timeout=10).json()
    copies = [copy for copy in copies if copy["shard-id"] == shard]
    return (copies[0]["current-size"], copies[0]["total-size"]) if copies else None


def reaches(cluster, shard, share):
    """Waits until so much of a copy is there."""

    def is_there():
        known = progress(cluster, shard)
        return known if known and known[1] and known[0] >= share * known[1] else None

    return wait_until(is_there, f"{share:.0%} of a copy", 120)


def count(node):
    result = node.query("SELECT count(v) FROM m", node_id=node.id)["results"][0]
    return result["series"][0]["values"][0][1] if "series" in result else 0


def held(node, name):
    """What a statistic of comparing and copying says."""
    series = node.query("SHOW STATS FOR 'ae'", db="")["results"][0]["series"][0]
    return series["values"][0][series["columns"].index(name)]


def test_a_copy_survives_kills_of_both_its_ends(start_cluster):
    cluster = start_cluster(metas=1, data=1, data_config=SLOWLY)
    source = cluster.data[0]
    source.query("CREATE DATABASE db WITH REPLICATION 1", db="")
    points = load(source)
    dest = cluster.new_data()
    cluster.add_data(dest.start())
    cluster.settle()
    shard, owner, _ = shard_of(cluster)
    assert owner is source

    command = [str(cluster.binary), "ctl", "-bind", cluster.metas[0].http, "copy-shard", source.tcp, dest.tcp, str(shard)]
    copying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        current, total = reaches(cluster, shard, 0.3)
        assert current < total

        # The destination, in the middle: what has arrived is no shard, and is not sent again.
        dest.kill()
        assert not (dest.directory / "data" / "data" / str(shard)).exists(), "half a shard is none"
        before = sum(path.stat().st_size for path in (dest.directory / "data").rglob(f"{shard}.copying/*.seg"))
        assert before >= 0.2 * total
        dest.start()
        current, _ = wait_until(lambda: (progress(cluster, shard) or (0, 0))[0] and progress(cluster, shard), "it to go on", 60)
        assert current >= before, "what is there counts"
        # All of it is answered meanwhile, by whoever has it.
        wait_until(dest.is_ready, "the destination to serve", 60)
        assert dest.rows("SELECT count(v) FROM m")[0][1] == points

        # The source, for longer than a call is tried again for.
        reaches(cluster, shard, 0.6)
        source.kill()
        stopped, _ = progress(cluster, shard)
        refused = dest.query("SELECT count(v) FROM m")["results"][0]
        assert "error" in refused, "half a shard is not answered from"
        source.start()
        assert progress(cluster, shard)[0] >= stopped
        told, _ = copying.communicate(timeout=240)
        assert copying.returncode == 0, told
    finally:
        copying.kill()
    assert told.endswith(f"Copied shard {shard} from {source.tcp} to {dest.tcp}\n"), told
    assert [count(node) for node in cluster.data] == [points, points]
    rows = [node.rows("SELECT v FROM m", node_id=node.id, epoch="ns") for node in cluster.data]
    assert rows[0] == rows[1]
    assert held(dest, "bytesRx") <= total - before + 200_000, "what was there has not been sent again"
    assert not list((dest.directory / "data").rglob("*.copying"))
    assert progress(cluster, shard) is None


def test_a_copy_that_a_removed_node_makes_necessary_survives_a_kill_too(start_cluster):
    cluster = start_cluster(metas=1, data=2, data_config=SLOWLY)
    source, gone = cluster.data
    source.query("CREATE DATABASE db WITH REPLICATION 2", db="")
    points = load(source)
    new = cluster.new_data()
    cluster.add_data(new.start())
    cluster.settle()
    gone.kill()
    cluster.ctl("remove-data", "-force", gone.tcp)
    cluster.data.remove(gone)
    shard = int(re.search(r"^(\d+) +db ", cluster.ctl("show-shards"), re.MULTILINE).group(1))
    current, _ = reaches(cluster, shard, 0.3)
    new.kill()
    new.start()
    shown = wait_until(lambda: (progress(cluster, shard) or (0, 0))[0], "it to go on", 60)
    assert shown >= current * 0.8, "what is there counts"
    wait_until(lambda: count(new) == points, "the copy to be made", 240)
    wait_until(lambda: progress(cluster, shard) is None, "the copy to be whole", 60)
    # With the node that had it all along away, it answers alone.
    source.kill()
    wait_until(lambda: "series" in new.query("SELECT count(v) FROM m")["results"][0], "it to answer alone", 60)
    assert new.rows("SELECT count(v) FROM m")[0][1] == points
