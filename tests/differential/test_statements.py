"""Statements about the server beside a real InfluxDB: EXPLAIN, shards, and bounds on queries under InfluxDB's names."""

import json
import re

import pytest
from conftest import Influxd, Skywatch, wait_until
from datasets import HOUR, T0
from pair import Pair

WEEK = 7 * 24 * HOUR

COORDINATOR = """
[coordinator]
max-select-series = 3
max-select-buckets = 5
max-concurrent-queries = 2
log-queries-after = "1ns"
"""


def points(weeks=2):
    """Two measurements in as many shards."""
    lines = []
    for week in range(weeks):
        for n in range(5):
            time = T0 + week * WEEK + n * HOUR
            for host in "abcd":
                lines.append(f"cpu,host={host} v={n},w={n}i {time}")
            lines.append(f'mem,host=a used={n}i,text="t{n}" {time}')
    return "\n".join(lines)


@pytest.fixture(scope="module")
def both(influxd, skywatch_bin, tmp_path_factory):
    """A real InfluxDB and Skywatch, with the same points in memory."""
    skywatch = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch"))
    try:
        pair = Pair(influxd.url, skywatch.start().url)
        pair.drop_everything()
        for statement in [
            "CREATE DATABASE db",
            "CREATE DATABASE empty",
            "CREATE DATABASE one",
            "CREATE RETENTION POLICY long ON db DURATION 100000h REPLICATION 1 SHARD DURATION 1h",
        ]:
            pair.query(statement)
        assert pair.write(points(), db="db").status == 204
        assert pair.write(points(1), db="one").status == 204
        # Another measurement: InfluxDB's index in memory counts the series of all retention policies.
        assert pair.write(f"disk,host=z v=1 {T0}", db="db", rp="long").status == 204
        yield pair
    finally:
        skywatch.stop()


EXPLAIN = [
    "SELECT v FROM cpu",
    "SELECT v, w, host FROM cpu",
    "SELECT v FROM cpu WHERE w > 2",
    "SELECT v FROM cpu WHERE host = 'a'",
    f"SELECT v FROM cpu WHERE time < {T0 + HOUR}",
    "SELECT mean(v) FROM cpu",
    "SELECT max(w) FROM cpu GROUP BY host",
    "SELECT mean(v) FROM cpu WHERE w > 2 GROUP BY host",
    f"SELECT mean(v) FROM cpu WHERE time >= {T0} AND time < {T0 + WEEK} GROUP BY time(1h)",
    f"SELECT derivative(mean(v), 1s) FROM cpu WHERE time >= {T0} AND time < {T0 + WEEK} GROUP BY time(1h)",
    "SELECT median(v) FROM cpu",
    "SELECT percentile(v, 50) FROM cpu",
    "SELECT distinct(v) FROM cpu",
    "SELECT count(distinct(v)) FROM cpu",
    "SELECT mean(x) FROM (SELECT max(v) AS x FROM cpu GROUP BY host)",
    "SELECT v FROM nothing",
    "SELECT nothing FROM cpu",
    "SELECT v INTO copy FROM cpu",
    "SELECT foo(v) FROM cpu",
    "SELECT v FROM nowhere..cpu",
    "SELECT v + text FROM cpu, mem",
]


@pytest.mark.parametrize("text", EXPLAIN)
def test_explain(both, text):
    """Of points in memory the numbers are the same too."""
    both.query(f"EXPLAIN {text}", db="db")


def tree(both, url, text):
    """The lines of EXPLAIN ANALYZE with what is measured left out."""
    answer = both.session.post(f"{url}/query", params={"db": "db"}, data={"q": f"EXPLAIN ANALYZE {text}"}, timeout=60)
    (series,) = answer.json()["results"][0]["series"]
    assert series["columns"] == ["EXPLAIN ANALYZE"]
    return [re.sub(r": [0-9.]+[nµm]?s$", ": _", line) for (line,) in series["values"]]


def test_explain_analyze(both):
    """The same frame; below create_iterator InfluxDB counts cursors, Skywatch what it reads."""
    text = "SELECT v FROM cpu WHERE host = 'a'"
    theirs, ours = (tree(both, url, text) for url in both.urls)
    head = [".", "└── select", "    ├── execution_time: _", "    ├── planning_time: _", "    ├── total_time: _"]
    assert theirs[:5] == ours[:5] == head
    for line in ["    └── build_cursor", "        └── iterator_scanner", ""]:
        assert line in theirs and line in ours
    for line in ["            │\u00a0\u00a0 └── auxiliary_fields: v::float"]:
        assert line in theirs and line in ours
    assert any("statement: SELECT v" in line and "FROM db.autogen.cpu WHERE host = 'a'" in line for line in ours)
    assert "    ├── points_read: 10" in ours and "    ├── rows: 10" in ours
    assert both.query("SHOW MEASUREMENTS", db="db")
    tree(both, both.urls[1], "SELECT v INTO copy FROM cpu")
    assert "copy" not in str(both.query("SHOW MEASUREMENTS", db="db")), "EXPLAIN ANALYZE writes nothing"


@pytest.mark.parametrize("text", ["SHOW SHARDS", "SHOW SHARD GROUPS"])
def test_shards(both, text):
    """Everything but the numbers, which count what was there before."""
    answers_of = []
    for answer in both.both("POST", "/query", data={"q": text}):
        (result,) = json.loads(answer.body)["results"]
        for series in result["series"]:
            for row in series.get("values", []):
                assert row[0] > 0
                row[0] = "id"
                if "shard_group" in series["columns"]:
                    row[3] = "group"
        answers_of.append(result)
    assert answers_of[0] == answers_of[1]
    assert sum(len(series.get("values", [])) for series in answers_of[1]["series"]) == 4


@pytest.mark.parametrize(
    "text",
    [
        f"SHOW {what} CARDINALITY {clauses}"
        for what in ("SERIES EXACT", "SERIES", "MEASUREMENT EXACT", "MEASUREMENT", "TAG KEY", "FIELD KEY EXACT")
        for clauses in (
            "GROUP BY host",
            "GROUP BY *",
            "GROUP BY /os/, nothing",
            "FROM cpu GROUP BY host",
            "WHERE host = 'a' GROUP BY nothing",
        )
    ]
    + [
        "SHOW TAG VALUES CARDINALITY WITH KEY = host GROUP BY host",
        "SHOW TAG VALUES EXACT CARDINALITY WITH KEY = host GROUP BY *",
    ],
)
def test_cardinality_of_groups(both, text):
    """By tags, in one shard: InfluxDB counts a series once for each."""
    both.query(text, db="one")


@pytest.mark.parametrize("text", ["KILL QUERY 999999", "KILL QUERY 999999 ON 'x'", 'KILL QUERY 999999 ON "localhost:8088"'])
def test_kill_query(both, text):
    """A query that is not there, on whatever host."""
    both.query(text)


def test_measurements_of_every_database(both):
    """InfluxDB 1.8 knows it, 1.6 does not."""
    def rows(text):
        (result,) = json.loads(both.both("POST", "/query", data={"q": text}, params={"db": "db"})[1].body)["results"]
        (series,) = result["series"]
        assert series["name"] == "measurements"
        return series["columns"], series["values"]

    columns = ["name", "database", "retention policy"]
    cpu, long, mem = ["cpu", "db", "autogen"], ["disk", "db", "long"], ["mem", "db", "autogen"]
    one = [["cpu", "one", "autogen"], ["mem", "one", "autogen"]]
    assert rows("SHOW MEASUREMENTS ON *.*") == (columns, [cpu, one[0], long, mem, one[1]])
    assert rows("SHOW MEASUREMENTS ON db.*") == (columns, [cpu, long, mem])
    assert rows("SHOW MEASUREMENTS ON *.long") == (columns, [long])
    assert rows("SHOW MEASUREMENTS ON *.* WITH MEASUREMENT =~ /c|d/ LIMIT 1 OFFSET 2") == (columns, [long])
    assert rows("SHOW MEASUREMENTS ON *.* WHERE host = 'z'") == (columns, [long])
    assert rows("SHOW MEASUREMENTS ON db.long") == (["name"], [["disk"]])


@pytest.fixture(scope="module")
def bounded(skywatch_bin, tmp_path_factory):
    """A real InfluxDB and Skywatch with the same [coordinator]."""
    directory = tmp_path_factory.mktemp("bounded")
    ours = directory / "skywatch.toml"
    ours.write_text(COORDINATOR)
    influxd = Influxd(directory, sections=COORDINATOR)
    skywatch = Skywatch(skywatch_bin, directory, "--config", ours)
    try:
        pair = Pair(influxd.start().url, skywatch.start().url)
        pair.query("CREATE DATABASE db")
        assert pair.write(points(), db="db").status == 204
        yield pair, influxd, skywatch
    finally:
        influxd.stop()
        skywatch.stop()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT v FROM cpu",
        "SELECT v FROM cpu WHERE host = 'a'",
        f"SELECT count(v) FROM cpu WHERE time < {T0 + WEEK}",
        f"SELECT count(v) FROM cpu WHERE host = 'a' AND time >= {T0} AND time < {T0 + 6 * HOUR} GROUP BY time(1h)",
        f"SELECT count(v) FROM cpu WHERE host = 'a' AND time >= {T0} AND time < {T0 + 5 * HOUR} GROUP BY time(1h)",
        "SHOW SERIES",
    ],
)
def test_bounds_on_series_and_buckets(bounded, text):
    """Refused, and not refused, in the same words."""
    bounded[0].query(text, db="db")


def test_slow_queries_are_logged_without_passwords(bounded):
    """In the same words, under the text that is shown of it."""
    pair, influxd, skywatch = bounded
    pair.both("POST", "/query", data={"q": "CREATE USER bob WITH PASSWORD 'hidden'"})
    line = r"Detected slow query: SELECT v FROM cpu WHERE host = 'a' LIMIT 1 \(qid: \d+, database: db, threshold: 1ns\)"
    for server in (influxd, skywatch):
        # InfluxDB's query may have ended before its timer.
        def is_logged(server=server):
            pair.query("select v from cpu where host='a' limit 1", db="db")
            return re.search(line, server.output())

        wait_until(is_logged, f"{server.log} to tell of a slow query")
    wait_until(lambda: "[REDACTED]" in skywatch.output(), "the creation of a user to be logged")
    assert "hidden" not in skywatch.output()
