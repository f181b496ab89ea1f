"""What operators of InfluxDB's clusters know, row by row: what queries answer, whichever node is asked and whoever is away."""

import re
import threading
import time

import flux_tables
import prometheus_wire
import pytest
import requests
from cluster import Cluster
from conftest import Skywatch, wait_until

WEEK_NS = 168 * 3_600_000_000_000
BOUND_SECONDS = 15
HOSTS, WEEKS = 40, 3


def lines():
    return [
        f"cpu,host=h{host},rack=r{host % 4} load={host + week}.5,cores={host % 8}i {week * WEEK_NS + host + 1}"
        for week in range(WEEKS)
        for host in range(HOSTS)
    ]


@pytest.fixture(scope="module")
def cluster(skywatch_bin, tmp_path_factory):
    """Three data nodes; `one` has a copy of everything, `two` has two. Every test brings every node back."""
    cluster = Cluster(skywatch_bin, tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(metas=1, data=3)
        for copies, db in enumerate(("one", "two"), start=1):
            cluster.data[0].query(f"CREATE DATABASE {db} WITH REPLICATION {copies}", db="")
            assert cluster.data[0].write("\n".join(lines()), db=db, consistency="all").status_code == 204
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def single(skywatch_bin, tmp_path_factory):
    """One server with the same points."""
    server = Skywatch(skywatch_bin, tmp_path_factory.mktemp("single"))
    try:
        server.start().query("CREATE DATABASE db")
        assert server.write("\n".join(lines())).status_code == 204
        yield server
    finally:
        server.stop()


QUESTIONS = [
    "SELECT * FROM cpu LIMIT 50",
    "SELECT * FROM cpu ORDER BY time DESC LIMIT 7 OFFSET 3",
    "SELECT mean(load), max(cores), count(load) FROM cpu GROUP BY rack",
    "SELECT percentile(load, 90), median(load), stddev(cores) FROM cpu WHERE host =~ /h[1-3]/",
    "SELECT sum(load) FROM cpu WHERE time < 30d GROUP BY time(7d), rack FILL(0)",
    "SELECT top(load, host, 3) FROM cpu",
    "SELECT derivative(mean(load), 1d) FROM cpu WHERE time < 30d GROUP BY time(7d)",
    "SELECT mean(m) FROM (SELECT max(load) AS m FROM cpu GROUP BY host) GROUP BY rack",
    "SELECT load FROM /c.*/ WHERE cores = 3 AND rack = 'r3'",
]


def test_select_is_that_of_a_single_node(cluster, single):
    for q in QUESTIONS:
        expected = single.query(q)
        for db in ("one", "two"):
            for node in cluster.data:
                assert node.query(q, db=db) == expected, (q, db, node.id)


SCHEMA = [
    "SHOW MEASUREMENTS",
    "SHOW TAG KEYS",
    "SHOW TAG VALUES WITH KEY = rack",
    "SHOW TAG VALUES FROM cpu WITH KEY IN (host, rack) WHERE rack = 'r1'",
    "SHOW SERIES FROM cpu WHERE rack = 'r2'",
    "SHOW FIELD KEYS",
    "SHOW SERIES CARDINALITY",
    "SHOW MEASUREMENT CARDINALITY",
    "SHOW TAG VALUES CARDINALITY WITH KEY = host",
    "SHOW SERIES EXACT CARDINALITY",
]


def test_show_statements_are_cluster_wide(cluster, single):
    for q in SCHEMA:
        expected = single.query(q)
        for db in ("one", "two"):
            for node in cluster.data:
                assert node.query(q, db=db) == expected, (q, db, node.id)
    # A node is away: what has another copy is the same, and what has none is an error, or marked if that is asked for.
    node, other, away = cluster.data
    away.kill()
    try:
        for q in SCHEMA:
            assert node.query(q, db="two") == single.query(q), q
            result = node.query(q, db="one")["results"][0]
            assert "cannot be read in full" in result.get("error", "") or f"node {away.id}" in result.get("error", ""), (q, result)
        partial = other.query("SELECT load FROM cpu", db="one", partial="true")["results"][0]
        assert 0 < len(partial["series"][0]["values"]) < HOSTS * WEEKS
        assert partial["messages"][0]["level"] == "warning" and "partial answer" in partial["messages"][0]["text"]
    finally:
        away.start()
        cluster.settle(60)


def test_query_failover_also_mid_stream(cluster):
    """A node is killed while answers are on their way: each is complete, or an error."""
    node, _, victim = cluster.data
    count, pieces = 60_000, []
    for start in range(0, count, 20_000):
        body = "\n".join(f"long,s=x{at % 3} v={at}i {at + 1}" for at in range(start, start + 20_000))
        assert node.write(body, db="two", consistency="all").status_code == 204
    for _ in range(3):
        with requests.post(
            f"{node.url}/query", params={"db": "two", "chunked": "true", "chunk_size": "1000"},
            data={"q": "SELECT v FROM long"}, timeout=60, stream=True,
        ) as answer:
            assert answer.status_code == 200
            stream = answer.iter_lines()
            pieces = [next(stream), next(stream)]
            if victim.running():
                victim.kill()
            pieces += list(stream)
        results = [requests.models.complexjson.loads(piece)["results"][0] for piece in pieces]
        rows = [row[1] for result in results for series in result.get("series", []) for row in series["values"]]
        errors = [result["error"] for result in results if "error" in result]
        assert errors or sorted(rows) == list(range(count)), (len(rows), errors)
    # Without the node from the beginning there is no error to be had.
    assert node.rows("SELECT count(v) FROM long", db="two")[0][1] == count
    victim.start()
    cluster.settle(60)


def test_node_id_parameter(cluster):
    totals = {}
    for db in ("one", "two"):
        for holder in cluster.data:
            found = {asked.rows("SELECT count(load) FROM cpu", db=db, node_id=holder.id)[0][1] for asked in cluster.data}
            assert len(found) == 1
            totals[db] = totals.get(db, 0) + found.pop()
    assert totals == {"one": HOSTS * WEEKS, "two": 2 * HOSTS * WEEKS}
    # No node has the number 0: it stands for none.
    assert cluster.data[0].rows("SELECT count(load) FROM cpu", db="one", node_id=0)[0][1] == HOSTS * WEEKS
    unknown = cluster.data[0].query("SELECT * FROM cpu", db="one", node_id=99)["results"][0]
    assert unknown["error"] == "node not found: 99"


def test_drop_and_delete_are_cluster_wide(cluster):
    node, other, away = cluster.data
    node.query("CREATE DATABASE gone WITH REPLICATION 3", db="")
    body = "\n".join(f"{measurement},h=h{n} v={n}i {n + 1}" for n in range(10) for measurement in ("m", "n", "o"))
    assert node.write(body, db="gone", consistency="all").status_code == 204
    away.kill()
    try:
        for q in ("DELETE FROM m WHERE h = 'h1'", "DROP SERIES FROM m WHERE h = 'h2'", "DROP MEASUREMENT n", "DELETE FROM o WHERE time <= 5"):
            assert "error" not in str(node.query(q, db="gone")), q
        expected = {m: other.query(f"SELECT * FROM {m}", db="gone")["results"][0].get("series") for m in "mno"}
        assert len(expected["m"][0]["values"]) == 8 and expected["n"] is None and len(expected["o"][0]["values"]) == 5
    finally:
        away.start()
        cluster.settle(60)
    for replica in cluster.data:
        for measurement, series in expected.items():
            found = replica.query(f"SELECT * FROM {measurement}", db="gone", node_id=replica.id)["results"][0].get("series")
            assert found == series, (replica.id, measurement)
    away.kill()
    try:
        assert "error" not in str(node.query("DROP DATABASE gone", db=""))
    finally:
        away.start()
        cluster.settle(60)
    assert ["gone"] not in away.rows("SHOW DATABASES", db="")


def table(result):
    """Column names and rows of every series of a result, by its name."""
    return {series.get("name", ""): (series["columns"], series.get("values", [])) for series in result.get("series", [])}


def test_show_servers_shards_groups(cluster):
    for node in cluster.data:
        servers = table(node.query("SHOW SERVERS", db="")["results"][0])
        assert servers == {
            "data_nodes": (["id", "http_addr", "tcp_addr"], [[it.id, it.http, it.tcp] for it in cluster.data]),
            "meta_nodes": (["id", "http_addr", "tcp_addr"], [[1, it.http, it.raft] for it in cluster.metas]),
        }
        shards = table(node.query("SHOW SHARDS", db="")["results"][0])
        columns = ["id", "database", "retention_policy", "shard_group", "start_time", "end_time", "expiry_time", "owners"]
        assert shards["two"][0] == columns
        assert all(len(row[-1].split(",")) == 2 for row in shards["two"][1])
        # What is kept for ever expires never; the groups have their end there, as InfluxDB's.
        assert {row[-2] for row in shards["two"][1]} == {""}
        groups = table(node.query("SHOW SHARD GROUPS", db="")["results"][0])["shard groups"]
        assert groups[0] == ["id", "database", "retention_policy", "start_time", "end_time", "expiry_time"]


SLOW = "SELECT count(a) FROM (SELECT load + 1 AS a FROM cpu WHERE time < 60d GROUP BY host) WHERE time < 60d GROUP BY time(1s) FILL(0)"


def test_show_queries_and_kill_query_on(cluster):
    node, other, away = cluster.data
    answers = []

    def ask():
        answers.append(node.ask(SLOW, db="two", timeout=120).text)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    columns = ["qid", "node_id", "tcp_host", "query", "database", "duration", "status"]

    def slow():
        (found, rows), = table(other.query("SHOW QUERIES", db="")["results"][0]).values()
        assert found == columns
        return [row for row in rows if "FILL(0)" in row[3].upper() and row[1] == node.id]

    (row,) = wait_until(slow, "the query to be seen from another node", 30, 0.02)
    assert row[1:3] == [node.id, node.tcp] and row[4] == "two" and row[6] == "running"
    # The numbers mean something with a node only.
    for q, error in [
        (f"KILL QUERY {row[0]}", "tcp host required"),
        (f'KILL QUERY {row[0]} ON "nowhere:8088"', "node not found"),
        (f'KILL QUERY 99999 ON "{node.tcp}"', "no such query id: 99999"),
    ]:
        assert other.query(q, db="")["results"][0]["error"] == error, q
    assert "error" not in other.query(f'KILL QUERY {row[0]} ON "{node.tcp}"', db="")["results"][0]
    asking.join(30)
    assert not asking.is_alive() and "query interrupted" in answers[0], answers[0][:300]
    # One that does not answer is named, and is not waited for long.
    away.freeze()
    try:
        begun = time.monotonic()
        result = other.query("SHOW QUERIES", db="")["results"][0]
        assert time.monotonic() - begun < BOUND_SECONDS
        assert f"queries of node {away.id}" in result["messages"][0]["text"], result
    finally:
        away.thaw()
        cluster.settle(60)


def test_explain_and_explain_analyze(cluster, single):
    def plan(server, **params):
        def answer():
            # On a busy machine a node may be in doubt about another for a moment; it then says so.
            return server.query("EXPLAIN SELECT mean(load) FROM cpu", **params)["results"][0].get("series")

        (result,) = wait_until(answer, "a plan")
        assert result["columns"] == ["QUERY PLAN"]
        return dict(line[0].split(": ", 1) for line in result["values"] if ": " in line[0])

    expected = plan(single)
    for node in cluster.data:
        found = plan(node, db="one")
        assert found["EXPRESSION"] == expected["EXPRESSION"]
        # A series is counted in each shard that has it.
        assert found["NUMBER OF SERIES"] == expected["NUMBER OF SERIES"]
        # What is in memory elsewhere, or on disk there, is told too.
        assert int(found["CACHED VALUES"]) == int(expected["CACHED VALUES"]) == HOSTS * WEEKS, found
        analyzed = node.query("EXPLAIN ANALYZE SELECT mean(load) FROM cpu", db="one")["results"][0]["series"][0]
        text = "\n".join(line[0] for line in analyzed["values"])
        for other in cluster.data:
            assert (f"node_id: {other.id}\n" in text and f"tcp_host: {other.tcp}" in text) == (other is not node), text
        assert text.count("remote_iterator_request") == 2 * WEEKS, text
    assert "remote_iterator_request" not in str(single.query("EXPLAIN ANALYZE SELECT mean(load) FROM cpu"))


def test_prometheus_and_flux_across_nodes(cluster, single):
    node = cluster.data[0]
    node.query("CREATE DATABASE prom WITH REPLICATION 1", db="")
    series = [({"__name__": "up", "host": f"h{n}"}, [(float(n), 1000)]) for n in range(30)]
    body = prometheus_wire.write_request(*series)
    sent = requests.post(f"{node.url}/api/v1/prom/write?db=prom", data=body, timeout=10)
    assert sent.status_code == 204, sent.text
    question = prometheus_wire.read_request((0, 10_000, [(0, "__name__", "up")]))
    answers = []
    for reader in cluster.data:
        answer = requests.post(f"{reader.url}/api/v1/prom/read?db=prom", data=question, timeout=10)
        assert answer.status_code == 200, answer.text
        answers.append(sorted(prometheus_wire.read_response(answer.content)[0]))
    assert len(answers[0]) == 30 and answers[0] == answers[1] == answers[2]
    flux_is_that_of_a_single_node(cluster, single, ("one", "two"))
    flux_agrees_with_influxql(cluster)
    flux_of_one_replica(cluster)
    away = cluster.data[2]
    away.kill()
    try:
        flux_is_that_of_a_single_node(cluster, single, ("two",))
        # What has no other copy is an error, unless a part is asked for.
        answer = flux_tables.post(node.url, LOADS.replace("DB", "one"))
        assert answer.status_code >= 400 and f"node {away.id}" in answer.json()["message"], answer.text
        partial = flux_tables.ask(node.url, LOADS.replace("DB", "one"), query="&partial=true")
        assert 0 < sum(len(table.rows) for table in partial) < HOSTS * WEEKS
    finally:
        away.start()
        cluster.settle(60)


FLUX_RANGE = "range(start: 1970-01-01T00:00:00Z, stop: 1970-02-01T00:00:00Z)"
LOADS = f'from(bucket: "DB") |> {FLUX_RANGE} |> filter(fn: (r) => r._measurement == "cpu" and r._field == "load")'
FLUX = [
    LOADS,
    LOADS.replace(' and r._field == "load"', " and r.rack =~ /r[13]/"),
    LOADS + " |> mean()",
    LOADS + " |> last()",
    LOADS + " |> aggregateWindow(every: 7d, fn: sum, createEmpty: true)",
    LOADS + ' |> group(columns: ["rack"]) |> count()',
    LOADS + " |> map(fn: (r) => ({r with _value: r._value * 2.0})) |> max()",
    'import "influxdata/influxdb/schema"\nschema.tagValues(bucket: "DB", tag: "host", start: 1970-01-01T00:00:00Z)',
]


def flux_is_that_of_a_single_node(cluster, single, databases):
    for text in FLUX:
        expected = flux_tables.ask(single.url, text.replace("DB", "db"))
        assert expected, text
        for db in databases:
            for node in cluster.data:
                if node.running():
                    assert flux_tables.ask(node.url, text.replace("DB", db)) == expected, (text, db, node.id)


def flux_agrees_with_influxql(cluster):
    """Cell by cell: points, and a mean of each rack."""
    node = cluster.data[1]
    tables = flux_tables.ask(node.url, LOADS.replace("DB", "one"))
    found = {table.key["host"]: [[row["_time"], row["_value"]] for row in table.rows] for table in tables}
    (result,) = node.query("SELECT load FROM cpu GROUP BY host", db="one", epoch="ns")["results"]
    assert found == {series["tags"]["host"]: series["values"] for series in result["series"]}
    tables = flux_tables.ask(node.url, LOADS.replace("DB", "one") + ' |> group(columns: ["rack"]) |> mean()')
    (result,) = node.query("SELECT mean(load) FROM cpu GROUP BY rack", db="one")["results"]
    expected = {series["tags"]["rack"]: series["values"][0][1] for series in result["series"]}
    assert {table.key["rack"]: table.rows[0]["_value"] for table in tables} == pytest.approx(expected)


def flux_of_one_replica(cluster):
    """`node_id`: what that node has by itself, whoever is asked."""
    totals = {}
    for db in ("one", "two"):
        for holder in cluster.data:
            count = LOADS.replace("DB", db) + " |> group() |> count()"
            asked = [flux_tables.ask(node.url, count, query=f"&node_id={holder.id}") for node in cluster.data]
            assert asked[0] == asked[1] == asked[2], (db, holder.id)
            totals[db] = totals.get(db, 0) + sum(table.rows[0]["_value"] for table in asked[0])
    assert totals == {"one": HOSTS * WEEKS, "two": 2 * HOSTS * WEEKS}
    answer = flux_tables.post(cluster.data[0].url, LOADS.replace("DB", "one"), query="&node_id=99")
    assert answer.status_code == 400 and "node not found: 99" in answer.text, answer.text


def test_limits_surface_from_remote_parts_and_in_their_words(start_cluster):
    """Two rows: limits are those of the whole query, wherever its parts are; and their texts."""
    limits = {"max-select-series": 10, "max-select-point": 500, "max-select-buckets": 50, "query-timeout": "2s", "max-concurrent-queries": 3}
    cluster = start_cluster(metas=1, data=2, data_config={"coordinator": limits})
    node, other = cluster.data
    node.query("CREATE DATABASE db WITH REPLICATION 1", db="")
    assert node.write("\n".join(f"m,h=h{n} v={n}i 1" for n in range(40))).status_code == 204
    assert node.write("\n".join(f"few,h=h{n % 4} v={n}i {n}" for n in range(1200))).status_code == 204
    for asked in cluster.data:
        # Neither of the two nodes has so few series by itself that the limit would not be seen.
        error = asked.query("SELECT v FROM m")["results"][0]["error"]
        assert error.startswith("max-select-series limit exceeded: ("), error
        error = asked.query("SELECT v FROM few")["results"][0]["error"]
        # InfluxDB writes it so.
        assert error.startswith("max-select-point limit exceeed: ("), error
        error = asked.query("SELECT mean(v) FROM few WHERE time >= 0 AND time < 300 GROUP BY time(1ns)")["results"][0]["error"]
        assert error.startswith("max-select-buckets limit exceeded: ("), error
        assert len(asked.rows("SELECT v FROM few WHERE time < 100")) == 100
    # As many at once; and what takes too long.
    heavy = ";".join(["SELECT count(v) FROM few WHERE time < 49 GROUP BY time(1ns)"] * 20_000)
    answers = []

    def ask():
        answers.append(node.ask(heavy, timeout=60).text)

    expected = {"max-concurrent-queries limit exceeded(3, 3)", "query-timeout limit exceeded", "not executed"}
    for _ in range(10):
        # On a busy machine clients may begin so far apart that four never are there at once.
        asking = [threading.Thread(target=ask, daemon=True) for _ in range(10)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(60)
        errors = {error for answer in answers for error in re.findall(r'"error":"([^"]*)"', answer)}
        assert errors <= expected
        if errors == expected:
            break
    assert errors == expected
