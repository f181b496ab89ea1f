"""An acknowledged write is never lost: kill -9 under load, again and again, and everything acknowledged is there."""

import threading
import time

import pytest
import requests

ROUNDS = 6
WRITERS = 3


class Writer(threading.Thread):
    """Writes numbered points of one series until told to stop; remembers what was acknowledged."""

    def __init__(self, server, number, first):
        super().__init__(daemon=True)
        self.server, self.number, self.next = server, number, first
        self.acknowledged = []
        self.stopping = threading.Event()

    def run(self):
        session = requests.Session()
        while not self.stopping.is_set():
            batch = range(self.next, self.next + 20)
            lines = "\n".join(f'load,writer=w{self.number} n={n}i,text="t{n}" {n + 1}' for n in batch)
            try:
                answer = session.post(f"{self.server.url}/write?db=db", data=lines, timeout=10)
            except requests.RequestException:
                return
            if answer.status_code != 204:
                return
            self.acknowledged.extend(batch)
            self.next += 20


def stored(server, number):
    rows = server.rows(f"SELECT n, text FROM load WHERE writer = 'w{number}'", epoch="ns")
    for time_ns, n, text in rows:
        assert (time_ns, text) == (n + 1, f"t{n}"), "a point is not the one that was written"
    return {n for _, n, _ in rows}


@pytest.mark.timeout(600)
def test_kill_9_under_load_loses_nothing_acknowledged(start_skywatch):
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    acknowledged = {number: set() for number in range(WRITERS)}
    starts = dict.fromkeys(range(WRITERS), 0)
    for round_number in range(ROUNDS):
        writers = [Writer(server, number, starts[number]) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(0.3 + 0.45 * round_number)
        server.kill()
        for writer in writers:
            writer.stopping.set()
            writer.join(20)
            acknowledged[writer.number].update(writer.acknowledged)
            starts[writer.number] = writer.next + 20
        server.start()
        for number in range(WRITERS):
            missing = acknowledged[number] - stored(server, number)
            assert not missing, f"round {round_number}: {len(missing)} acknowledged points are gone"
    assert all(len(points) > 100 for points in acknowledged.values()), "the load was no load"


def test_everything_is_there_after_an_orderly_stop(start_skywatch):
    server = start_skywatch()
    server.query('CREATE DATABASE db WITH DURATION 52w NAME "year"')
    now = int(time.time())
    assert server.write(f"m,t=a f=1.5,i=2i,b=true,s=\"x\" {now}\nm,t=b f=2 {now - 1}", precision="s").status_code == 204
    before = server.query("SELECT * FROM m; SHOW SERIES; SHOW FIELD KEYS; SHOW RETENTION POLICIES")
    assert server.stop() == 0, server.output()
    server.start()
    assert server.query("SELECT * FROM m; SHOW SERIES; SHOW FIELD KEYS; SHOW RETENTION POLICIES") == before


def test_a_rewritten_point_has_its_last_value_after_a_crash(start_skywatch):
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    for value in range(50):
        assert server.write(f"m f={value},g={value}i 1000").status_code == 204
    assert server.write("m f=99 1000").status_code == 204
    server.kill()
    server.start()
    assert server.rows("SELECT f, g FROM m", epoch="ns") == [[1000, 99, 49]]


@pytest.mark.parametrize("mode", ["fsync", "interval", "none"])
def test_every_durability_survives_kill_9(start_skywatch, mode):
    server = start_skywatch("--durability", mode)
    server.query("CREATE DATABASE db")
    for n in range(20):
        assert server.write(f"m f={n} {n + 1}").status_code == 204
    server.kill()
    server.start()
    assert server.rows("SELECT count(f) FROM m")[0][1] == 20


def test_dropped_databases_leave_the_disk(start_skywatch):
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    assert server.write("\n".join(f"m v={n} {n}" for n in range(1000))).status_code == 204
    shards = server.directory / "data" / "data"
    directories = [path for path in shards.iterdir() if path.is_dir()]
    assert len(directories) == 1
    server.query("DROP DATABASE db")
    assert [path for path in shards.iterdir() if path.is_dir()] == []
    server.query("CREATE DATABASE db")
    assert server.rows("SELECT * FROM m") == []


def test_retention_drops_whole_shards(start_skywatch):
    server = start_skywatch()
    server.query("CREATE DATABASE db WITH DURATION 1h SHARD DURATION 1h NAME short")
    now = int(time.time())
    old = server.write(f"m v=1 {now - 7200}", precision="s")
    assert old.status_code == 400
    assert old.json() == {"error": "partial write: points beyond retention policy dropped=1"}
    assert server.write(f"m v=1 {now}\nm v=2 {now - 9999}", precision="s").status_code == 400
    assert server.rows("SELECT count(v) FROM m")[0][1] == 1
