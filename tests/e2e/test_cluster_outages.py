"""A host is gone on which a data node and the leading meta node ran, as in a small deployment: real processes, frozen or killed together.

How long clients of the other data node notice it, in virtual time, is in `crates/simulation/tests/outages.rs`; here are the real clocks,
disks and connections. Figures are printed, and kept in `tests/out/cluster-outages.txt`.
"""

import threading
import time

import pytest
import requests
from conftest import OUT, SLOW_MACHINE, wait_until

# On a machine with nothing else to do.
NOTICED_SECONDS_MAX = 2
WATCHED_SECONDS = 10


class Client(threading.Thread):
    """Asks again and again; `failed` and `went_well` are when requests ended, in seconds since the start."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.begun = ask, time.monotonic()
        self.failed, self.went_well, self.texts = [], [], set()

    def run(self):
        while time.monotonic() < self.begun + WATCHED_SECONDS:
            try:
                answer = self.ask()
                is_good = answer.ok and '"error"' not in answer.text
                text = answer.text
            except requests.RequestException as error:
                is_good, text = False, str(error)
            (self.went_well if is_good else self.failed).append(time.monotonic() - self.begun)
            if not is_good:
                self.texts.add(text[:200])
            time.sleep(0.02)

    def noticed(self):
        """Until when something failed, or nothing went well."""
        longest = max([later for earlier, later in zip([0, *self.went_well], self.went_well) if later - earlier > 0.5], default=0)
        return max([longest, *self.failed])

    def __str__(self):
        return f"noticed for {self.noticed():.2f} s, {len(self.failed)} of {len(self.failed) + len(self.went_well)} failed {self.texts or ''}"


@pytest.mark.parametrize("how", ["freeze", "kill"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_data_node_goes_with_the_leading_meta_node(start_cluster, number, how):
    cluster = start_cluster(metas=3, data=2)
    gone, left = cluster.data[number], cluster.data[1 - number]
    left.query("CREATE DATABASE db WITH REPLICATION 2", db="")
    assert left.write("m v=0i 1").status_code == 204
    assert left.rows("SELECT v FROM m") == gone.rows("SELECT v FROM m")
    # Who has just started is trusted less.
    time.sleep(4)
    wait_until(lambda: left.write("m v=0i 1", consistency="all").status_code == 204, "both nodes to be in step")
    leader = cluster.leader()
    getattr(leader, how)()
    getattr(gone, how)()
    written = iter(range(1, 1_000_000))
    # Sessions of their own: they are used by two threads.
    write = Client(lambda: requests.post(f"{left.url}/write", params={"db": "db"}, data=f"m v={next(written)}i 1", timeout=30))
    read = Client(lambda: requests.post(f"{left.url}/query", params={"db": "db"}, data={"q": "SELECT v FROM m"}, timeout=30))
    write.start()
    read.start()
    write.join()
    read.join()
    line = f"{how} of data node {number + 1} and the leading meta node: writes {write}; queries {read}"
    print(line)
    with (OUT / "cluster-outages.txt").open("a") as file:
        file.write(line + "\n")
    assert max(write.noticed(), read.noticed()) < NOTICED_SECONDS_MAX * SLOW_MACHINE, line
    for node in (leader, gone):
        if node.running():
            node.thaw()
        else:
            node.start()
    cluster.settle()
    last = left.rows("SELECT v FROM m")
    wait_until(lambda: gone.rows("SELECT v FROM m", node_id=gone.id) == last, "the node that was gone to have everything")


def set_aside(cluster):
    """The files of points that gave way to another type, of all nodes."""
    return sorted(path for node in cluster.data for path in (node.directory / "data").rglob("set-aside/*.lp"))


def test_points_of_two_types_acknowledged_by_owners_in_turns_are_answered_or_kept(start_cluster):
    """Each owner takes, while the other is away, the first points of a field, in another type: both were acknowledged."""
    cluster = start_cluster(metas=1, data=2)
    first, second = cluster.data
    first.query("CREATE DATABASE db WITH REPLICATION 2", db="")
    # There is a shard, which does not know of the field.
    assert first.write("m,host=a other=1i 1", consistency="all").status_code == 204
    second.kill()
    wait_until(lambda: first.write("m,host=a v=0.5 2\nm,host=b v=1.5 3").status_code == 204, "a write to the first")
    first.kill()
    second.start()
    wait_until(lambda: second.write('m,host=a v="x y" 2\nm,host=c v="\\"q\\"" 4').status_code == 204, "a write to the second")
    first.start()
    cluster.settle()
    older = [[2, "a", None, 0.5], [3, "b", None, 1.5]]
    wait_until(
        lambda: all(rows[1:] == older for rows in cluster.everywhere("SELECT host, other, v FROM m", epoch="ns").values()),
        "both owners to have the points of the older type",
    )
    (file,) = set_aside(cluster)
    assert second.directory in file.parents
    comment, *lines = file.read_text().splitlines()
    assert comment.startswith("# Points of shard ") and 'field "v" of measurement "m" is string here' in comment, comment
    assert lines == ['m,host=a v="x y" 2', 'm,host=c v="\\"q\\"" 4']
    assert str(file) in second.output()
    assert "skywatch_set_aside_files 1" in second.session.get(f"{second.url}/metrics", timeout=5).text
    # Under another name they can be had back, as they stand.
    assert first.write(file.read_text().replace(" v=", " v_string="), consistency="all").status_code == 204
    assert first.rows("SELECT v_string FROM m", epoch="ns") == [[2, "x y"], [4, '"q"']]
    file.unlink()
    assert "skywatch_set_aside_files 0" in second.session.get(f"{second.url}/metrics", timeout=5).text
