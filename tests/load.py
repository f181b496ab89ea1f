"""Load on a cloud while things break, and the count at the end: acknowledged, lost, failed, seconds of error.

    with Load(cloud) as load:               # writers, queriers and a watch on the shared address, all through it
        cloud.active().host.power_off()
        load.go_on(5)
    report = load.report()                  # every acknowledged point is read back from every owner
    assert report["lost"] == 0
"""

import collections
import threading
import time

import requests
from conftest import OUT

POINTS_PER_BATCH = 20
# A client gives up on an answer after this; agents have 5 s.
ANSWER_SECONDS_MAX = 5


class Worker(threading.Thread):
    """Does something again and again, and notes what came of it: (begin, end, reason or None)."""

    def __init__(self, cloud, stop):
        super().__init__(daemon=True)
        self.cloud = cloud
        self.stop = stop
        self.tries = []
        self.session = None

    def run(self):
        while not self.stop.is_set():
            begin = time.monotonic()
            reason = self.attempt()
            self.tries.append((begin, time.monotonic(), reason))
            self.stop.wait(self.pause(reason))

    def attempt(self):
        """None, or why it failed."""
        if self.session is None:
            self.session = self.cloud.session("writer")
        try:
            return self.once()
        except requests.RequestException as error:
            # As clients do: a connection that failed is not used again.
            self.session.close()
            self.session = None
            return type(error).__name__

    def pause(self, reason):
        return 0.02 if reason is None else 0.1

    def failures(self):
        return [reason for _, _, reason in self.tries if reason]

    def worst(self):
        """The longest time from one success to the next, in seconds."""
        ends = [end for _, end, reason in self.tries if reason is None]
        return max((later - earlier for earlier, later in zip(ends, ends[1:])), default=0.0)

    def seconds_of_error(self):
        """The time from each first failure to the success after it, added up."""
        total, since = 0.0, None
        for begin, end, reason in self.tries:
            if reason and since is None:
                since = begin
            elif reason is None and since is not None:
                total, since = total + end - since, None
        return total


class Writer(Worker):
    """Writes batches; one that is not acknowledged is written again, unchanged, until it is."""

    def __init__(self, cloud, stop, name, sequence):
        super().__init__(cloud, stop)
        self.writer = name
        self.sequence = sequence
        self.batch = None
        self.acknowledged = []

    def once(self):
        if self.batch is None:
            self.batch = [next(self.sequence) for _ in range(POINTS_PER_BATCH)]
        lines = "".join(f"load,writer={self.writer} seq={number}i {number}\n" for number in self.batch)
        url = f"{self.cloud.url}/write?db=load&precision=u"
        answer = self.session.post(url, data=lines, timeout=ANSWER_SECONDS_MAX)
        if answer.status_code != 204:
            return f"{answer.status_code} {answer.text.strip()}"
        self.acknowledged += self.batch
        self.batch = None
        return None


class Querier(Worker):
    """Asks for what was written."""

    def once(self):
        url = f"{self.cloud.url}/query"
        params = {"db": "load", "q": "SELECT count(seq) FROM load"}
        answer = self.session.get(url, params=params, timeout=ANSWER_SECONDS_MAX)
        if answer.status_code != 200 or "error" in answer.text:
            return f"{answer.status_code} {answer.text.strip()}"
        return None

    def pause(self, reason):
        return 0.1


class Watch(Worker):
    """Connects to the shared address and asks HAProxy itself, to see how long the address leads nowhere."""

    def once(self):
        with self.cloud.session(user=None) as fresh:
            fresh.get(f"{self.cloud.url}/ready", timeout=(0.3, 1))
        return None

    def pause(self, reason):
        return 0.05


class Load:
    """See the head of the file. Every instance has series of its own."""

    count = 0

    def __init__(self, cloud, writers=2, queriers=1):
        Load.count += 1
        self.cloud = cloud
        self.stop = threading.Event()
        # A microsecond for each point; no two loads share one.
        first = int(time.time() * 1_000_000)
        self.writers = []
        for number in range(writers):
            sequence = iter(range(first, first + 60_000_000_000))
            self.writers.append(Writer(cloud, self.stop, f"w{Load.count}-{number}", sequence))
        self.queriers = [Querier(cloud, self.stop) for _ in range(queriers)]
        self.watch = Watch(cloud, self.stop)
        self.workers = [*self.writers, *self.queriers, self.watch]

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        self.go_on(1)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for worker in self.workers:
            worker.join(60)
        # What was under way is brought to its end, as an agent that goes on would.
        for writer in self.writers:
            deadline = time.monotonic() + 60
            while writer.batch and time.monotonic() < deadline:
                writer.attempt()

    def go_on(self, seconds=2):
        """Returns when every worker has succeeded again, several times, and `seconds` have passed."""
        begin = time.monotonic()
        while time.monotonic() < begin + 60:
            done = [sum(1 for start, _, reason in list(worker.tries) if start > begin and not reason) for worker in self.workers]
            if min(done) >= 3 and time.monotonic() > begin + seconds:
                return
            time.sleep(0.05)
        raise AssertionError(f"after 60 s the cloud does not serve: {[worker.tries[-3:] for worker in self.workers]}")

    def report(self):
        """What came of it, with every acknowledged point looked for on every data node."""
        acknowledged = sum(len(writer.acknowledged) for writer in self.writers)
        lost = {}
        for node in self.cloud.data:
            for writer in self.writers:
                rows = self.cloud.rows(
                    f"SELECT seq FROM load WHERE writer = '{writer.writer}'", node=node, node_id=node.id
                )
                there = {row[1] for row in rows}
                missing = len(set(writer.acknowledged) - there)
                lost[node.name] = lost.get(node.name, 0) + missing
        return {
            "acknowledged": acknowledged,
            "lost": sum(lost.values()),
            "lost by node": lost,
            "failed writes": [reason for writer in self.writers for reason in writer.failures()],
            "failed queries": [reason for querier in self.queriers for reason in querier.failures()],
            "seconds of error": max(worker.seconds_of_error() for worker in [*self.writers, *self.queriers]),
            "longest wait for a write": max(writer.worst() for writer in self.writers),
            "longest without the address": self.watch.worst(),
        }


def run(cloud, what, act, undo, seconds=2, applied_within=0):
    """Does something to a cloud under load and undoes it; returns the report, and as a text. Nothing may be lost; what goes
    through a log may take `applied_within` seconds to be everywhere.
    """
    with Load(cloud) as load:
        begin = time.monotonic()
        target = act()
        load.go_on(seconds)
        report_seconds = time.monotonic() - begin
    undo(target)
    cloud.settle()
    deadline = time.monotonic() + applied_within
    while (report := load.report())["lost"] and time.monotonic() < deadline:
        time.sleep(0.2)
    counted = {
        key: dict(collections.Counter(value)) if isinstance(value, list) else value for key, value in report.items()
    }
    text = f"{what} ({target}, {report_seconds:.1f} s): {counted}"
    with (OUT / "fronts.txt").open("a") as out:
        print(text, file=out)
    assert report["acknowledged"] > 0 and report["lost"] == 0, text
    return report, text
