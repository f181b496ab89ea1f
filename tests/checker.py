"""A load with a memory: clients that write, overwrite, delete and query a cluster, and know what it may answer.

    load = Load(cluster.data, "db", seed=7)
    with load:                                   # its threads run
        node.kill() ...
        figures = load.figures(since, spared=[other, ...])
    check_replicas(load, cluster)                # every replica, every coordinator

Every point says which write it comes from (`v` is the writer and the number of the write, `t` the same in words), so that an
answer can be held against all that was ever sent. What was sent is a list of steps for each point, a write or a delete each:

    acknowledged    the cluster has it from the moment of the answer on
    in doubt        an error or no answer: it may count, now or later
    refused         it never left the client: it must not be seen

An answer is *wrong* if a point is in it that nobody sent, or in a state that no step explains, or if one is not that was acknowledged
before the query began. An error is not wrong; it is counted.
"""

import collections
import itertools
import random
import threading
import time

import requests
from conftest import wait_until

# Times of points: groups of an hour each, so that a load has several shard groups at any time.
BASE_NS = 1_600_000_000 * 1_000_000_000 // 3_600_000_000_000 * 3_600_000_000_000
GROUP_NS = 3_600_000_000_000
GROUPS = 3
SERIES = 4
WRITER = 1_000_000_000
# Longer than the cluster's own limits add up to.
TIMEOUT_SECONDS = 12
# For so long a client turns to another node first after one has failed it.
AVOID_SECONDS = 2
WRONG_MAX = 20


class Step:
    """One write or delete of one point; `value` is None for a delete."""

    __slots__ = ("value", "began", "ended", "fate", "is_doubled")

    def __init__(self, value):
        self.value = value
        self.began = time.monotonic()
        self.ended = None
        self.fate = "pending"
        # Sent more than once: a late copy may take effect at any time.
        self.is_doubled = False

    def end(self, fate, is_doubled):
        self.ended, self.is_doubled = time.monotonic(), is_doubled
        self.fate = fate


def allowed(steps, since, until):
    """The states in which a point may be seen by a query that began at `since` and ended at `until`: values, None if absent."""
    settled = None
    for step in steps:
        if step.fate == "acknowledged" and step.ended <= since:
            settled = step
    states = {settled.value} if settled else {None}
    is_later = settled is None
    for step in steps:
        may_still_come = is_later or step.fate == "in doubt" or step.is_doubled
        if step is not settled and step.fate != "refused" and may_still_come and step.began <= until:
            states.add(step.value)
        is_later = is_later or step is settled
    return states


class Attempt:
    """One request to one node."""

    __slots__ = ("kind", "node", "began", "ended", "problem", "text")

    def __init__(self, kind, node, began, ended, problem, text=""):
        self.kind, self.node, self.began, self.ended, self.problem, self.text = kind, node, began, ended, problem, text


class Client(threading.Thread):
    """What writers and queriers share: connections, and which node comes next."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load = load
        self.number = number
        self.chance = random.Random(f"{load.seed} {type(self).__name__} {number}")
        self.sessions = collections.defaultdict(requests.Session)
        self.failed = {}

    def run(self):
        while not self.load.stopping.is_set():
            if not self.load.paused.is_set():
                try:
                    self.once()
                except Exception as error:
                    self.load.wrong.append(f"{type(self).__name__} {self.number}: {error!r}")
                    raise
            self.load.stopping.wait(self.load.pause_seconds)

    def nodes(self):
        """The own node first, after it the others; those last that failed lately."""
        nodes = self.load.nodes
        first = self.number % len(nodes)
        order = nodes[first:] + nodes[:first]
        recent = time.monotonic() - AVOID_SECONDS
        return sorted(order, key=lambda node: self.failed.get(node, 0) > recent)

    def post(self, kind, node, path, **request):
        """The answer, or None; and whether it is sure that nothing was sent."""
        began = time.monotonic()
        url = f"{node.url}{path}"
        try:
            answer = self.sessions[node].post(url, timeout=TIMEOUT_SECONDS, **request)
            good, refused = is_good(answer), False
            text = "" if good else f"{answer.status_code} {answer.text[:300]}"
        except requests.RequestException as error:
            answer, good, text = None, False, str(error)
            refused = "NewConnectionError" in text
            self.sessions.pop(node).close()
        self.load.attempts.append(Attempt(kind, node, began, time.monotonic(), not good, text))
        if not good:
            self.failed[node] = time.monotonic()
        return (answer if good else None), refused


def is_good(answer):
    return answer.status_code == 204 or (answer.status_code == 200 and '"error"' not in answer.text)


class Writer(Client):
    """Writes points that nobody else does."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.serials = itertools.count(1)
        self.points = itertools.count()
        # Whose steps are all acknowledged, each by one attempt: nothing of them is on its way.
        self.settled = []

    def once(self):
        dice = self.chance.random()
        if dice < self.load.deletes and self.settled:
            self.delete(self.take_settled(1)[0])
        elif dice < self.load.deletes + self.load.overwrites and len(self.settled) >= self.load.batch:
            self.write(self.take_settled(self.load.batch))
        else:
            self.write([self.new_point() for _ in range(self.load.batch)])

    def take_settled(self, count):
        taken = self.chance.sample(range(len(self.settled)), count)
        keys = [self.settled[place] for place in taken]
        for place in sorted(taken, reverse=True):
            self.settled[place] = self.settled[-1]
            self.settled.pop()
        return keys

    def new_point(self):
        """(writer, series, time)"""
        number = next(self.points)
        group = number % GROUPS + number // self.load.points_per_groups * GROUPS
        return self.number, number // GROUPS % SERIES, BASE_NS + group * GROUP_NS + number

    def write(self, keys):
        steps = [self.load.begin(key, self.number * WRITER + next(self.serials)) for key in keys]
        lines = [
            f'm,w={writer},s={series} v={step.value}i,t="{words(step.value)}" {at}'
            for (writer, series, at), step in zip(keys, steps)
        ]
        params = {"db": self.load.database, "consistency": self.load.consistency}
        self.end(keys, steps, self.try_nodes("write", "/write", params=params, data="\n".join(lines).encode()))

    def delete(self, key):
        writer, series, at = key
        step = self.load.begin(key, None)
        q = f"DELETE FROM m WHERE w = '{writer}' AND s = '{series}' AND time = {at}"
        ended = self.try_nodes("delete", "/query", params={"db": self.load.database}, data={"q": q})
        self.end([key], [step], ended)

    def try_nodes(self, kind, path, **request):
        sent = 0
        for node in self.nodes():
            answer, refused = self.post(kind, node, path, **request)
            sent += not refused
            if answer is not None:
                return "acknowledged", sent > 1
            if self.load.stopping.is_set():
                break
        return ("in doubt" if sent else "refused"), sent > 1

    def end(self, keys, steps, ended):
        fate, is_doubled = ended
        for key, step in zip(keys, steps):
            step.end(fate, is_doubled)
            if fate == "acknowledged" and not is_doubled and step.value is not None:
                self.settled.append(key)


class Querier(Client):
    """Asks for points of one writer, and holds the answer against what is known of them."""

    def once(self):
        bucket = self.load.some_bucket(self.chance)
        if bucket is None:
            return
        (writer, series, group), keys = bucket
        start = BASE_NS + group * GROUP_NS
        where = f"w = '{writer}' AND s = '{series}' AND time >= {start} AND time < {start + GROUP_NS}"
        counts = self.chance.random() < 0.3
        q = f"SELECT {'count(v)' if counts else 'v, t'} FROM m WHERE {where}"
        # What is known of an answer is how old it may be.
        since = time.monotonic() - self.load.lag_seconds
        keys = list(keys)
        node = self.chance.choice(self.load.nodes)
        if self.failed.get(node, 0) > since - AVOID_SECONDS:
            node = self.nodes()[0]
        params = {"db": self.load.database, "epoch": "ns"}
        answer, _ = self.post("query", node, "/query", params=params, data={"q": q})
        if answer is None:
            return
        until = time.monotonic()
        result = answer.json()["results"][0]
        rows = result["series"][0]["values"] if "series" in result else []
        told = f"node {node.id}, {q}"
        if counts:
            self.check_count(told, keys, rows[0][1] if rows else 0, since, until)
        else:
            seen = {(writer, series, at): value for at, *value in rows}
            self.load.judge(told, keys, seen, since, until)

    def check_count(self, told, keys, count, since, until):
        # What was sent while the query ran may be counted too: the bucket as it is now.
        least = sum(None not in allowed(self.load.steps[key], since, until) for key in keys)
        writer, series, group = keys[0][0], keys[0][1], (keys[0][2] - BASE_NS) // GROUP_NS
        now = list(self.load.buckets[writer, series, group])
        most = sum(allowed(self.load.steps[key], since, until) != {None} for key in now)
        if not least <= count <= most:
            self.load.wrong.append(f"{told}: {count}, which is not from {least} to {most}")


def words(value):
    return f"{value // WRITER}.{value % WRITER}"


class Load:
    """See the head of the file. `nodes` are data nodes, or what else has a `url` and an `id`.

    `lag_seconds` is how old an answer may be. `points_per_groups` is after how many points a writer goes on to shard groups that are not there yet.
    """

    def __init__(self, nodes, database, seed=0, writers=3, queriers=2, batch=4, **options):
        self.nodes = list(nodes)
        self.database = database
        self.seed = seed
        self.batch = batch
        self.consistency = options.get("consistency", "one")
        self.deletes = options.get("deletes", 0.02)
        self.overwrites = options.get("overwrites", 0.15)
        self.points_per_groups = options.get("points_per_groups", 10**9)
        self.pause_seconds = options.get("pause_seconds", 0.02)
        self.lag_seconds = options.get("lag_seconds", 0)
        # Steps of each point, and the points of each writer, series and group. Whoever adds does so under the lock;
        # readers live with what they see, since steps only come to be.
        self.steps = {}
        self.buckets = collections.defaultdict(list)
        self.adding = threading.Lock()
        self.attempts = []
        self.wrong = []
        self.stopping = threading.Event()
        self.paused = threading.Event()
        self.clients = [Writer(self, number) for number in range(writers)]
        self.clients += [Querier(self, number) for number in range(queriers)]

    def begin(self, key, value):
        step = Step(value)
        with self.adding:
            if key not in self.steps:
                self.steps[key] = []
                writer, series, at = key
                self.buckets[writer, series, (at - BASE_NS) // GROUP_NS].append(key)
            self.steps[key].append(step)
        return step

    def some_bucket(self, chance):
        with self.adding:
            names = list(self.buckets)
        if not names:
            return None
        name = chance.choice(names)
        return name, self.buckets[name]

    def judge(self, told, keys, seen, since, until):
        """Holds what was seen of `keys`, (v, t) by point, against their steps."""
        wrong = []
        for key in keys:
            states = allowed(self.steps[key], since, until)
            value = seen.get(key)
            if (value[0] if value else None) not in states:
                wrong.append(f"{key} is {value}, may be {states}, after {self.story(key)}")
        for key, (value, text) in seen.items():
            sent = [step.value for step in self.steps.get(key, ())]
            if value not in sent or text != words(value):
                wrong.append(f"{key} is {value}, {text!r}, which nobody sent")
        if wrong:
            self.wrong.append(f"{told} from {since:.2f} to {until:.2f}: {len(wrong)} wrong, such as {wrong[:3]}")

    def story(self, key):
        return [
            f"{step.value} {step.fate} {step.began:.2f}-{step.ended or 0:.2f}{' twice' if step.is_doubled else ''}"
            for step in self.steps[key]
        ]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self.stopping.set()
        for client in self.clients:
            if client.is_alive():
                client.join(4 * TIMEOUT_SECONDS)

    def more(self, writes=10, seconds=60, queries=None):
        """Waits for so many writes more, begun from now on, that went well, and as many queries unless told how many."""
        since = time.monotonic()

        def enough():
            self.fail_if_wrong()
            good = collections.Counter(
                attempt.kind for attempt in self.attempts[-4000:] if attempt.began >= since and not attempt.problem
            )
            return good["write"] >= writes and good["query"] >= (writes if queries is None else queries)

        try:
            wait_until(enough, f"{writes} more writes and queries", seconds)
        except BaseException:
            print("failed last:", *self.last_problems(), sep="\n")
            raise

    def last_problems(self, count=3):
        problems = [attempt for attempt in self.attempts if attempt.problem][-count:]
        return [f"{attempt.kind} at node {attempt.node.id}: {attempt.text}" for attempt in problems]

    def fail_if_wrong(self):
        assert not self.wrong, "\n".join([f"seed {self.seed}, {len(self.wrong)} wrong:", *self.wrong[:WRONG_MAX]])

    def figures(self, since, until=None, spared=()):
        """What clients saw from `since` to `until`, at the nodes of `spared` (all unless told); see `Figures`."""
        until = until or time.monotonic()
        nodes = list(spared) or self.nodes
        attempts = [attempt for attempt in self.attempts if since <= attempt.ended and attempt.began <= until]
        return Figures([attempt for attempt in attempts if attempt.node in nodes], since, until)


class Figures:
    """Seconds of trouble, of writes and of queries.

    `errors` is from when the first request began that failed to when the last one ended; `stall` the longest time from a
    request after the last that went well at a node to the end of the next that did: a single slow one counts too.
    """

    def __init__(self, attempts, since, until):
        self.of = {}
        for kind in ("write", "query"):
            ours = [attempt for attempt in attempts if attempt.kind == kind]
            failed = [attempt for attempt in ours if attempt.problem]
            errors = max(attempt.ended for attempt in failed) - min(attempt.began for attempt in failed) if failed else 0
            self.of[kind] = {
                "requests": len(ours), "failed": len(failed), "errors": errors,
                "stall": max((self.stall(ours, node) for node in {attempt.node for attempt in ours}), default=0),
                "texts": sorted({attempt.text[:160] for attempt in failed})[:3],
            }
        self.seconds = until - since

    @staticmethod
    def stall(attempts, node):
        ours = sorted((attempt for attempt in attempts if attempt.node is node), key=lambda attempt: attempt.ended)
        waiting, longest = None, 0
        for attempt in ours:
            waiting = min(waiting or attempt.began, attempt.began)
            longest = max(longest, attempt.ended - waiting)
            if not attempt.problem:
                waiting = None
        return longest

    def worst(self):
        return max(max(of["errors"], of["stall"]) for of in self.of.values())

    def __str__(self):
        return "; ".join(
            f"{kind}: {of['requests']} requests, {of['failed']} failed within {of['errors']:.2f} s, "
            f"longest stall {of['stall']:.2f} s"
            for kind, of in self.of.items()
        )


def read(node, load, **params):
    """All points that an answer has, by key: (v, t)."""
    answer = node.query("SELECT v, t FROM m GROUP BY w, s", load.database, timeout=120, epoch="ns", **params)
    result = answer["results"][0]
    assert "error" not in result, f"node {node.id}, {params}: {result}"
    seen = {}
    for series in result.get("series", []):
        writer, number = int(series["tags"]["w"]), int(series["tags"]["s"])
        for at, *value in series["values"]:
            seen[writer, number, at] = value
    return seen


def owners_of(cluster, database):
    """The sets of nodes that own a shard of the database, as `SHOW SHARDS` has them."""
    result = cluster.data[0].query("SHOW SHARDS", db="")["results"][0]
    found = set()
    for series in result.get("series", []):
        columns = series["columns"]
        for row in series.get("values", []):
            shard = dict(zip(columns, row))
            if shard["database"] == database:
                found.add(frozenset(int(owner) for owner in str(shard["owners"]).split(",")))
    return found


def check_replicas(load, cluster, seconds=90):
    """After the load has stopped: all that was acknowledged is at every owner, all owners have the same, nothing else is there, and
    every node tells the same. Returns how many seconds it took until replicas were equal.
    """
    load.fail_if_wrong()
    cluster.settle(seconds)
    begun = time.monotonic()
    owners = owners_of(cluster, load.database)
    keys = list(load.steps)

    def replicas():
        return {node.id: read(node, load, node_id=node.id) for node in cluster.data}

    def lacking(held):
        """Points whose owners do not all have them, or have different ones."""
        found = []
        for key in keys:
            states = {node: seen[key] for node, seen in held.items() if key in seen}
            if not states and None in allowed(load.steps[key], begun, begun):
                continue
            if frozenset(states) not in owners or len({tuple(value) for value in states.values()}) != 1:
                found.append((key, states))
        return found

    held = replicas()
    # What was acknowledged is everywhere by now, and what was deleted nowhere; what is in doubt may be on its way.
    sure = [key for key in keys if len(allowed(load.steps[key], begun, begun)) == 1]
    sure_keys = set(sure)
    missing = [(key, states, load.story(key)) for key, states in lacking(held) if key in sure_keys]
    assert not missing, f"seed {load.seed}: {len(missing)} of {len(sure)} not at every owner of {owners}: {missing[:3]}"
    for node, seen in held.items():
        load.judge(f"replica {node}", [key for key in keys if key in seen], seen, begun, time.monotonic())
    load.fail_if_wrong()

    def equal():
        return not lacking(replicas())

    wait_until(equal, f"replicas to be equal; {lacking(replicas())[:3]}", seconds, every=0.5)
    took = time.monotonic() - begun
    answers = {node.id: read(node, load) for node in cluster.data}
    for node, seen in answers.items():
        load.judge(f"coordinator {node}", keys, seen, begun, time.monotonic())
    load.fail_if_wrong()
    assert len({str(sorted(seen.items())) for seen in answers.values()}) == 1, "coordinators tell different things"
    return took
