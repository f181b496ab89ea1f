"""SELECT INTO beside a real InfluxDB: what it answers, and what is then stored.

Sources lie in Skywatch's memory, or, after a restart, in its segments. Measurements have a retention policy
of their own: InfluxDB's index in memory shows the tags of all policies in each.
"""

import random

import pytest
from conftest import Skywatch
from datasets import HOUR, T0
from pair import Pair

WEEK = 7 * 24 * HOUR

SETUP = [
    "CREATE DATABASE src",
    "CREATE RETENTION POLICY two ON src DURATION INF REPLICATION 1",
    "CREATE DATABASE dst",
    "CREATE RETENTION POLICY hour ON dst DURATION 1h REPLICATION 1",
]


def points():
    """Every type and missing tags in two shards; the same in every run."""
    rng = random.Random(7)
    lines = []
    for week in range(2):
        for step in range(40):
            time = T0 + week * WEEK + step * 600_000_000_000
            for host in range(4):
                tags = f"host=h{host}" + (",dc=x" if host % 2 else "") + (",rack=r\\ 1" if host == 3 else "")
                fields = [f"f={rng.randrange(400) / 4}"]
                fields += [f"i={rng.randrange(100)}i"] if rng.random() < 0.7 else []
                fields += [f's="t{rng.randrange(5)}, \\"q\\" = "'] if rng.random() < 0.5 else []
                fields += [f"b={rng.choice('tf')}"] if rng.random() < 0.5 else []
                lines.append(f"m,{tags} {','.join(fields)} {time}")
            lines.append(f"n,host=h1 v={step}i {time}")
    return "\n".join(lines)


def long_series():
    """More points than a batch holds."""
    return "\n".join(f"long,k=v{n % 3} v={n}i {T0 + n * 1_000_000_000}" for n in range(23_000))


DURING = "time >= '2020-01-01' AND time < '2020-01-01T06:00:00Z'"

INTO = [
    ("SELECT * INTO copy FROM m", "copy"),
    ("SELECT * INTO copy FROM m GROUP BY *", "copy"),
    ("SELECT f, i INTO copy FROM m GROUP BY dc", "copy"),
    ("SELECT f, i, s, b, host INTO copy FROM m GROUP BY rack", "copy"),
    ("SELECT * INTO copy FROM m GROUP BY /^(host|rack)$/", "copy"),
    ("SELECT f, f, i AS x, f * 2 INTO copy FROM m GROUP BY *", "copy"),
    ("SELECT * INTO two.copy FROM m GROUP BY *", "src.two.copy"),
    ("SELECT * INTO src.two.copy FROM m GROUP BY *", "src.two.copy"),
    ("SELECT * INTO dst.autogen.copy FROM m GROUP BY *", "dst..copy"),
    ("SELECT * INTO dst..copy FROM m GROUP BY *", "dst..copy"),
    ('SELECT * INTO "dst"."autogen".:MEASUREMENT FROM /^[mn]$/ GROUP BY *', "dst../.*/"),
    ("SELECT * INTO dst..:MEASUREMENT FROM /^[mn]$/", "dst../.*/"),
    (f"SELECT mean(f), count(i), max(f) AS top INTO copy FROM m WHERE {DURING} GROUP BY time(30m), host", "copy"),
    (f"SELECT mean(i) INTO copy FROM m WHERE {DURING} GROUP BY time(5m), * fill(none)", "copy"),
    (f"SELECT mean(i) INTO copy FROM m WHERE {DURING} GROUP BY time(5m), * fill(0)", "copy"),
    (f"SELECT mean(i), last(s) INTO copy FROM m WHERE {DURING} GROUP BY time(5m), host fill(previous)", "copy"),
    ("SELECT first(s), last(b), count(f) INTO copy FROM m GROUP BY host", "copy"),
    ("SELECT max(*) INTO copy FROM m GROUP BY *", "copy"),
    ("SELECT count(*) INTO copy FROM m", "copy"),
    ("SELECT distinct(i) INTO copy FROM m", "copy"),
    ("SELECT top(f, host, 2) INTO copy FROM m", "copy"),
    ("SELECT top(f, host, 2) AS x, dc, i INTO copy FROM m", "copy"),
    ("SELECT bottom(f, rack, 2) INTO copy FROM m GROUP BY host", "copy"),
    ("SELECT top(f, 2), host INTO copy FROM m", "copy"),
    ("SELECT f INTO copy FROM m GROUP BY host ORDER BY time DESC LIMIT 3 SLIMIT 2", "copy"),
    ("SELECT f INTO copy FROM m WHERE host = 'h3' AND f > 50 GROUP BY * LIMIT 7", "copy"),
    ("SELECT mean(f) INTO copy FROM (SELECT f FROM m WHERE f > 10) WHERE " + DURING + " GROUP BY time(1h), dc", "copy"),
    ("SELECT d INTO copy FROM (SELECT max(f) - min(f) AS d FROM m GROUP BY host) GROUP BY host", "copy"),
    ("SELECT f INTO copy FROM (SELECT f INTO dst..inner FROM m)", "copy"),
    ("SELECT v INTO copy FROM long GROUP BY *", "copy"),
    ("SELECT v INTO copy FROM long", "copy"),
    ("SELECT v + 1 AS v INTO long FROM long GROUP BY *", "long"),
    ("SELECT f INTO m FROM m", "m"),
    ("SELECT f INTO copy FROM nothing", "copy"),
    ("SELECT nothing INTO copy FROM m", "copy"),
    ("SELECT host INTO copy FROM m", "copy"),
    # Within one shard: InfluxDB counts only what the first of several refuses.
    (f"SELECT f AS i INTO m FROM m WHERE {DURING} GROUP BY *", "m"),
    (f"SELECT s AS f INTO m FROM m WHERE {DURING} GROUP BY *", "m"),
    ("SELECT f INTO dst.hour.copy FROM m", "dst.hour.copy"),
    ("SELECT f INTO nowhere..copy FROM m", "copy"),
    ("SELECT f INTO nopolicy.copy FROM m", "copy"),
    ("SELECT f INTO dst.nopolicy.copy FROM nothing", "copy"),
    ("SELECT f + s INTO copy FROM m", "copy"),
    ("SELECT f, mean(f) INTO copy FROM m", "copy"),
    ("SELECT foo(f) INTO copy FROM m", "copy"),
    ("SELECT f INTO :MEASUREMENT FROM m", "copy"),
    ("SELECT f INTO /copy/ FROM m", "copy"),
    ("SELECT f INTO FROM m", "copy"),
]


@pytest.fixture(scope="module")
def servers(influxd, skywatch_bin, tmp_path_factory):
    """A real InfluxDB and Skywatch."""
    skywatch = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch"))
    try:
        yield Pair(influxd.url, skywatch.start().url), skywatch
    finally:
        skywatch.stop()


@pytest.mark.parametrize("place", ["in memory", "on disk"])
def test_select_into(servers, place):
    """Each statement on databases of its own; then everything that it may have written is looked at."""
    both, skywatch = servers
    for text, target in INTO:
        both.drop_everything()
        for statement in SETUP:
            both.query(statement)
        for lines in [points(), long_series() if "long" in text else f"long v=1i {T0}"]:
            assert both.write(lines, db="src").status == 204
        if place == "on disk":
            assert skywatch.stop() == 0, skywatch.output()
            skywatch.start()
        both.query(text, db="src", epoch="ns")
        # Of more than 10,000 rows InfluxDB says that they were only a part.
        some = " LIMIT 200 OFFSET 9900" if "long" in text else ""
        for look in [
            f"SELECT * FROM {target}{some}",
            f"SELECT * FROM {target} GROUP BY *{some.replace('9900', '3300')}",
            f"SELECT count(*), first(*), last(*) FROM {target} GROUP BY k",
            "SHOW TAG KEYS ON src",
            "SHOW FIELD KEYS ON src",
            "SHOW FIELD KEYS ON dst",
            "SHOW TAG VALUES ON dst WITH KEY = host",
        ]:
            both.query(look, db="src", epoch="ns")


@pytest.mark.parametrize(
    "params",
    [{"rp": "two"}, {"epoch": "ms"}, {"chunked": "true", "chunk_size": "2"}, {"pretty": "true"}],
    ids=lambda params: "&".join(f"{name}={value}" for name, value in params.items()),
)
def test_requests(servers, params):
    """Parameters of the request, and GET, by which writing is deprecated."""
    both, _ = servers
    both.drop_everything()
    for statement in SETUP:
        both.query(statement)
    assert both.write(points(), db="src").status == 204
    text = "SELECT f INTO copy FROM autogen.m GROUP BY *; SELECT f FROM copy; SELECT count(f) INTO counted FROM copy"
    both.query(text, db="src", **params)
    both.query(text, db="src", headers={"Accept": "application/csv"}, **params)
    both.same(f"GET {text}", "GET", "/query", params={"db": "src", "q": text, **params})
    both.query("SELECT * FROM src.autogen.copy, src.two.copy", db="src")
    both.query("SELECT f INTO dst..copy FROM src.autogen.m", **params)
    both.query("SELECT f FROM dst..copy", **params)
    both.query("SELECT f INTO copy FROM src..m", **params)
