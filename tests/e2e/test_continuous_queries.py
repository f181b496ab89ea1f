"""Continuous queries running, beside a real InfluxDB given the same queries and the same points.

All points are written before the queries are created, also those of seconds to come, so that what a window holds does
not depend on when a server looks at it.
"""

import time

import pytest
import requests
from conftest import Influxd, wait_until

SECOND = 1_000_000_000
MONITOR = 'store-interval = "1s"'
SETTINGS = """
[continuous_queries]
run-interval = "100ms"
query-stats-enabled = true
"""

QUERIES = {
    "plain": "BEGIN SELECT mean(v), count(v) INTO plain FROM m GROUP BY time(1s), * END",
    "moved": "BEGIN SELECT sum(v) INTO moved FROM m GROUP BY time(2s, 1s) END",
    "again": "RESAMPLE FOR 8s BEGIN SELECT max(v) INTO again FROM m GROUP BY time(2s), host END",
    "often": "RESAMPLE EVERY 500ms FOR 4s BEGIN SELECT count(v) AS n INTO often FROM m GROUP BY time(2s) END",
    "seldom": "RESAMPLE EVERY 4s BEGIN SELECT count(v) AS n INTO seldom FROM m GROUP BY time(1s) END",
    "chosen": "BEGIN SELECT first(v) INTO other.autogen.chosen FROM m WHERE host = 'a' AND time < 0 GROUP BY time(1s) END",
    "copies": "BEGIN SELECT mean(*) INTO db.autogen.:MEASUREMENT FROM /^copied/ GROUP BY time(1s), * END",
}


@pytest.fixture(scope="module")
def busy_influxd(tmp_path_factory):
    """Debian's InfluxDB 1.6.7 that looks for due queries as often as we do here."""
    server = Influxd(tmp_path_factory.mktemp("continuous"), monitor=MONITOR, sections=SETTINGS).start()
    yield server
    server.stop()


@pytest.fixture
def busy(start_skywatch, tmp_path):
    config = tmp_path / "skywatch.toml"
    config.write_text(f"[monitor]\n{MONITOR}\n{SETTINGS}")
    return start_skywatch("--config", config, monitor=True)


def ask(url, q, db="db"):
    answer = requests.post(f"{url}/query", params={"db": db, "epoch": "ns"}, data={"q": q}, timeout=30)
    assert answer.status_code == 200, answer.text
    result = answer.json()["results"][0]
    assert "error" not in result, result
    return result.get("series", [])


def prepare(url, start):
    """A database with points every quarter of a second, from 20 s before to 40 s after `start`."""
    for database in ("db", "other"):
        ask(url, f"CREATE DATABASE {database}", "")
    lines = []
    for quarter in range(-80, 160):
        at = start + quarter * SECOND // 4
        for host in ("a", "b"):
            value = (quarter * 7 + ord(host)) % 23
            lines.append(f"m,host={host} v={value} {at}")
            lines.append(f"copied,host={host} x={value},y={value}i {at}")
    answer = requests.post(f"{url}/write", params={"db": "db"}, data="\n".join(lines).encode(), timeout=30)
    assert answer.status_code == 204, answer.text


def between(url, measurement, start, end, db="db"):
    series = ask(url, f'SELECT * FROM "{measurement}" WHERE time >= {start} AND time < {end}', db)
    return series[0]["columns"], series[0]["values"]


def last_time(url, measurement, db="db"):
    series = ask(url, f'SELECT * FROM "{measurement}" ORDER BY time DESC LIMIT 1', db)
    return series[0]["values"][0][0] if series else 0


def test_results_are_those_of_influxdb(busy, busy_influxd):
    servers = (busy, busy_influxd)
    start = int(time.time()) * SECOND
    for server in servers:
        prepare(server.url, start)
        for name, text in QUERIES.items():
            ask(server.url, f"CREATE CONTINUOUS QUERY {name} ON db {text}")
    created = int(time.time() + 1) * SECOND
    # All that begins after the queries were created is computed by both, in the end.
    first, end = created + 4 * SECOND, created + 8 * SECOND
    targets = {name: ("other" if name == "chosen" else "db") for name in QUERIES if name != "copies"}
    for server in servers:
        for name, database in targets.items():
            wait_until(lambda: last_time(server.url, name, database) >= end, f"{name} to be computed to its end")
    for name, database in targets.items():
        ours, theirs = (between(server.url, name, first, end, database) for server in servers)
        assert ours == theirs, name
        assert len(ours[1]) >= 2, (name, ours)
    # What reaches back has computed windows that had ended before the query was created.
    back = created - 6 * SECOND
    assert between(busy.url, "again", back, end) == between(busy_influxd.url, "again", back, end)
    copies = "SELECT mean_x, mean_y FROM copied WHERE time >= {} AND time < {}".format(first, end)
    assert ask(busy.url, copies) == ask(busy_influxd.url, copies) and ask(busy.url, copies)
    for server in servers:
        runs = ask(server.url, "SHOW STATS FOR 'cq'", "")[0]
        counts = dict(zip(runs["columns"], runs["values"][0]))
        assert counts["queryFail"] == 0 and counts["queryOk"] > 20, counts
        windows = ask(server.url, "SELECT endTime - startTime FROM cq_query WHERE cq = 'plain' LIMIT 50", "_internal")
        assert all(row[1] % SECOND == 0 and row[1] > 0 for row in windows[0]["values"])


def test_the_interval_that_goes_on_is_computed_too(busy, busy_influxd):
    for server in (busy, busy_influxd):
        prepare(server.url, int(time.time()) * SECOND)
        ask(server.url, f"CREATE CONTINUOUS QUERY often ON db {QUERIES['often']}")

        def ahead():
            before = time.time_ns()
            return last_time(server.url, "often") + 2 * SECOND > before

        wait_until(ahead, "a result of an interval that has not ended")


def test_failures_are_counted_and_do_not_stop_it(busy):
    prepare(busy.url, int(time.time()) * SECOND)
    ask(busy.url, "CREATE CONTINUOUS QUERY plain ON db BEGIN SELECT mean(v) INTO other..plain FROM m GROUP BY time(1s) END")

    def counts():
        runs = ask(busy.url, "SHOW STATS FOR 'cq'", "")[0]
        return dict(zip(runs["columns"], runs["values"][0]))

    wait_until(lambda: counts()["queryOk"] >= 1, "a run")
    assert counts()["queryFail"] == 0
    ask(busy.url, "DROP DATABASE other")
    wait_until(lambda: counts()["queryFail"] >= 1, "a run that fails")
    ask(busy.url, "CREATE DATABASE other")
    wait_until(lambda: last_time(busy.url, "plain", "other"), "a run that succeeds again")
    ask(busy.url, "DROP CONTINUOUS QUERY plain ON db")
    ran = counts()["queryOk"]
    ask(busy.url, "CREATE CONTINUOUS QUERY others ON db BEGIN SELECT mean(v) INTO others FROM m GROUP BY time(1s) END")
    wait_until(lambda: last_time(busy.url, "others"), "the other query to run")
    latest = last_time(busy.url, "plain", "other")
    wait_until(lambda: counts()["queryOk"] >= ran + 3, "more runs of the other")
    assert last_time(busy.url, "plain", "other") == latest, "a dropped query runs no more"


def test_they_run_again_after_a_restart_unless_switched_off(busy, start_skywatch, tmp_path):
    prepare(busy.url, int(time.time()) * SECOND)
    ask(busy.url, f"CREATE CONTINUOUS QUERY plain ON db {QUERIES['plain']}")
    wait_until(lambda: last_time(busy.url, "plain"), "a run")
    busy.stop()
    config = tmp_path / "skywatch.toml"
    config.write_text(f"[monitor]\n{MONITOR}\n" + SETTINGS.replace("run-interval", "enabled = false\nrun-interval"))
    off = start_skywatch("--config", config, monitor=True)
    assert ask(off.url, "SHOW STATS FOR 'cq'", "") == []
    latest = last_time(off.url, "plain")
    off.stop()
    config.write_text(f"[monitor]\n{MONITOR}\n{SETTINGS}")
    again = start_skywatch("--config", config, monitor=True)
    wait_until(lambda: last_time(again.url, "plain") > latest, "a run after the restart")
