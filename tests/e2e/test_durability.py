"""An acknowledged write is never lost: kill -9 under load, again and again, and everything acknowledged is there.

`SKYWATCH_CRASH_MINUTES=30` has the rounds of writes, deletes and kill -9 go on for half an hour; `SKYWATCH_CRASH_SEED`
repeats the choices of a run that failed.
"""

import itertools
import math
import os
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

import pytest
import requests

ROUNDS = 6
WRITERS = 3
CRASH_ROUNDS = 6
CRASH_MINUTES = float(os.environ.get("SKYWATCH_CRASH_MINUTES", "0"))
CRASH_SEED = int(os.environ.get("SKYWATCH_CRASH_SEED", random.randrange(1 << 32)))


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


@dataclass
class Operation:
    """A write of one point, or a delete, as its client saw it. What was not acknowledged may have been carried out at
    any time up to `end`, which is then when the server had started again, or not at all."""

    start: float
    end: float = math.inf
    acknowledged: bool = False
    value: int = 0
    writers: frozenset = frozenset()
    first: int = 0
    last: int = 0

    def covers(self, writer, n):
        return writer in self.writers and self.first <= n <= self.last


class Life:
    """One life of a server: what clients did to it between its start and its end, by `kill -9`.

    Points are `(writer, n)`; each writer writes its own, from the lowest to the highest and then again from the lowest,
    each time with another value. Deletes are of any.
    """

    WRITERS = 4
    DELETERS = 2
    POINTS = 6000
    BATCH = 25
    # Ten shards.
    STEP_NS = 10 * 7 * 24 * 3_600_000_000_000 // POINTS
    values = itertools.count(1)

    def __init__(self, server, seed, starts):
        self.server, self.starts = server, starts
        self.writes = defaultdict(list)
        self.deletes = []
        self.unexpected = []
        self.stopping = threading.Event()
        works = [(self.write, writer) for writer in range(self.WRITERS)] + [(self.delete, n) for n in range(self.DELETERS)]
        self.threads = [
            threading.Thread(target=work, args=(number, random.Random(f"{seed} {work.__name__} {number}")), daemon=True)
            for work, number in works
        ]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a client does not end"

    def post(self, session, path, **request):
        """The answer; None when the connection broke."""
        try:
            answer = session.post(self.server.url + path, timeout=20, **request)
        except requests.RequestException:
            self.stopping.set()
            return None
        if answer.status_code >= 400 and answer.status_code != 503:
            self.unexpected.append(f"{answer.status_code} {answer.text}")
        return answer

    def write(self, writer, choose):
        session = requests.Session()
        while not self.stopping.is_set():
            first = self.starts[writer]
            value = next(self.values)
            batch = [n % self.POINTS for n in range(first, first + choose.randint(1, 2 * self.BATCH))]
            self.starts[writer] = (first + len(batch)) % self.POINTS
            lines = "\n".join(
                f'load,writer=w{writer},half=h{writer % 2} v={value}i,text="t{value}-{n}" {n * self.STEP_NS}' for n in batch
            )
            operation = Operation(time.monotonic(), value=value)
            for n in batch:
                self.writes[writer, n].append(operation)
            answer = self.post(session, "/write?db=db", data=lines)
            if answer is not None and answer.status_code == 204:
                operation.end, operation.acknowledged = time.monotonic(), True

    def delete(self, _, choose):
        session = requests.Session()
        while not self.stopping.is_set():
            time.sleep(choose.uniform(0, 0.05))
            text, writers, first, last = self.any_delete(choose)
            operation = Operation(time.monotonic(), writers=frozenset(writers), first=first, last=last)
            self.deletes.append(operation)
            answer = self.post(session, "/query?db=db", data={"q": text})
            if answer is not None and answer.status_code == 200:
                result = answer.json()["results"][0]
                if "error" in result:
                    self.unexpected.append(f"{text}: {result['error']}")
                else:
                    operation.end, operation.acknowledged = time.monotonic(), True

    def any_delete(self, choose):
        """A statement, the writers and the points it is about."""
        everyone = range(self.WRITERS)
        writer = choose.randrange(self.WRITERS)
        half = choose.randrange(2)
        # Where something is written now, or anywhere.
        near = self.starts[writer] if choose.random() < 0.6 else choose.randrange(self.POINTS)
        first = max(0, near - choose.randint(0, 200))
        last = first + choose.randint(0, 300)
        times = f"time >= {first * self.STEP_NS} AND time <= {last * self.STEP_NS}"
        kind = choose.random()
        if kind < 0.5:
            return f"DELETE FROM load WHERE writer = 'w{writer}' AND {times}", [writer], first, last
        if kind < 0.7:
            halves = [other for other in everyone if other % 2 == half]
            return f"DELETE FROM load WHERE half = 'h{half}' AND {times}", halves, first, last
        if kind < 0.9:
            return f"DELETE WHERE {times}", everyone, first, last
        if kind < 0.99:
            text = choose.choice(["DELETE FROM load", "DROP SERIES FROM load"])
            return f"{text} WHERE writer = 'w{writer}'", [writer], 0, self.POINTS
        return "DROP MEASUREMENT load", everyone, 0, self.POINTS

    def ended(self):
        """What nobody answered is decided now, as the server has started again."""
        now = time.monotonic()
        for operation in itertools.chain(self.deletes, *self.writes.values()):
            operation.end = min(operation.end, now)

    def faults(self, before, after):
        """What in `after`, the points that are there now, cannot have come of `before` and of what was done."""
        for point in before.keys() | after.keys() | self.writes.keys():
            writes = self.writes.get(point, [])
            if point in before:
                writes = [Operation(-math.inf, -math.inf, True, before[point]), *writes]
            deletes = [delete for delete in self.deletes if delete.covers(*point)]
            fault = fault_of(writes, deletes, after.get(point))
            if fault:
                yield f"{point}: {fault}\n  writes {writes}\n  deletes {deletes}"


def fault_of(writes, deletes, found):
    """Why `found`, the value of a point or None, cannot be what the operations left; None when it can."""
    if found is None:
        began = max((write.start for write in writes if write.acknowledged), default=None)
        if began is not None and not any(delete.end > began for delete in deletes):
            return "an acknowledged point is gone"
        return None
    origin = next((write for write in writes if write.value == found), None)
    if origin is None:
        return f"{found} was never written here"
    if any(delete.acknowledged and delete.start > origin.end for delete in deletes):
        return f"{found} was deleted"
    if any(write.acknowledged and write.start > origin.end for write in writes):
        return f"{found} was written over"
    return None


def test_the_check_finds_faults():
    """The crash test below is only worth as much as this."""
    write = Operation(1, 2, True, 7)
    late = Operation(3, 4, True, 8)
    delete = Operation(2.5, 2.8, True)
    unanswered = Operation(0.5, 9)
    assert fault_of([write], [], None) and fault_of([write, late], [delete], None)
    assert fault_of([write], [delete], 7) and fault_of([write, late], [], 7) and fault_of([], [], 7)
    assert not fault_of([write], [delete], None) and not fault_of([write, late], [delete], 8)
    assert not fault_of([write], [unanswered], None) and not fault_of([write], [unanswered], 7)
    assert not fault_of([Operation(1, 9, False, 7)], [delete], 7)
    assert not fault_of([Operation(1, 9, False, 7)], [], None)


def everything(server):
    """The value of each point that is there."""
    points = {}
    for writer in range(Life.WRITERS):
        for time_ns, v, text in server.rows(f"SELECT v, text FROM load WHERE writer = 'w{writer}'", epoch="ns"):
            n, rest = divmod(time_ns, Life.STEP_NS)
            assert rest == 0 and text == f"t{v}-{n}", "a point is not one that was written"
            points[writer, n] = v
    return points


@pytest.mark.timeout(900 + 120 * CRASH_MINUTES)
def test_kill_9_under_writes_and_deletes(start_skywatch):
    """Whatever was acknowledged counts after a crash, deletes too; what was not may have happened or not, but only once:
    what a start finds is where the next life begins."""
    print(f"SKYWATCH_CRASH_SEED={CRASH_SEED}")
    choose = random.Random(CRASH_SEED)
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    starts = [choose.randrange(Life.POINTS) for _ in range(Life.WRITERS)]
    points, writes, deletes = {}, 0, 0
    until = time.monotonic() + 60 * CRASH_MINUTES
    for number in itertools.count():
        if number >= CRASH_ROUNDS and time.monotonic() >= until:
            break
        life = Life(server, f"{CRASH_SEED} {number}", starts)
        life.start()
        time.sleep(choose.uniform(0.2, 4))
        orderly = choose.random() < 0.2
        if orderly:
            life.join()
            assert server.stop() == 0, server.output()
        else:
            server.kill()
            life.join()
        assert not life.unexpected, life.unexpected[:5]
        server.start()
        life.ended()
        found = everything(server)
        faults = list(life.faults(points, found))
        assert not faults, f"round {number}: {len(faults)} points\n" + "\n".join(faults[:3])
        points = found
        writes += sum(len(done) for done in life.writes.values())
        deletes += sum(delete.acknowledged for delete in life.deletes)
    print(f"{number} rounds, {writes} points, {deletes} deletes, {len(points)} points left")
    assert writes > 1000 and deletes > 10, "the load was no load"


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
