"""Statistics of the server itself: SHOW STATS, SHOW DIAGNOSTICS, /debug/vars and `_internal`, beside a real InfluxDB's."""

import os

import pytest
import requests
from conftest import Influxd, wait_until

# What our engine has no true counterpart of; docs/metrics.md tells why.
LEFT_OUT = {
    "httpd": {"pointsWrittenFail", "statusReq"},
    "runtime": {
        "Frees",
        "HeapObjects",
        "HeapReleased",
        "Lookups",
        "Mallocs",
        "NumGC",
        "PauseTotalNs",
        "TotalAlloc",
    },
    "shard": {"writeBytes"},
    "tsm1_cache": {"cacheAgeMs", "diskBytes", "writeDropped"},
    "tsm1_engine": {
        "tsmFullCompactionQueue",
        *(
            f"tsm{level}Compaction{what}"
            for level in ("Level1", "Level2", "Level3", "Optimize")
            for what in ("Duration", "Err", "Queue", "s", "sActive")
        ),
    },
    "write": {"writeTimeout"},
}


@pytest.fixture(scope="module")
def monitored_influxd(tmp_path_factory):
    """Debian's InfluxDB 1.6.7 that records its statistics every second."""
    server = Influxd(tmp_path_factory.mktemp("monitored"), monitor='store-interval = "1s"').start()
    yield server
    server.stop()


@pytest.fixture
def monitored(start_skywatch, tmp_path):
    """Skywatch that records its statistics every second."""
    config = tmp_path / "skywatch.toml"
    config.write_text('[monitor]\nstore-interval = "1s"\n')
    server = start_skywatch("--config", config, monitor=True)
    server.query("CREATE DATABASE db")
    return server


def ask(url, q, db=""):
    answer = requests.post(f"{url}/query", params={"db": db}, data={"q": q}, timeout=30)
    assert answer.status_code == 200, answer.text
    result = answer.json()["results"][0]
    assert "error" not in result, result
    return result.get("series", [])


def prepare(url):
    ask(url, "CREATE DATABASE db")
    answer = requests.post(f"{url}/write", params={"db": "db"}, data=b"cpu,host=a v=1,w=2i\ncpu,host=b v=2", timeout=30)
    assert answer.status_code == 204, answer.text


def recorded(url):
    """Waits until `_internal` knows a shard of db, and returns its fields by measurement."""
    series = "SHOW SERIES FROM \"shard\" WHERE \"database\" = 'db'"
    wait_until(lambda: ["_internal"] in ask(url, "SHOW DATABASES")[0]["values"], "the database of statistics")
    wait_until(lambda: ask(url, series, "_internal"), "a record of the new shard")
    return {
        each["name"]: {tuple(row) for row in each["values"]} for each in ask(url, "SHOW FIELD KEYS", "_internal")
    }


def test_internal_has_influxdbs_measurements_fields_and_types(monitored, monitored_influxd):
    prepare(monitored.url)
    prepare(monitored_influxd.url)
    ours, theirs = recorded(monitored.url), recorded(monitored_influxd.url)
    for measurement, fields in theirs.items():
        missing = {name for name, _ in fields - ours.get(measurement, set())}
        assert missing == LEFT_OUT.get(measurement, set()), measurement
        assert ours[measurement] <= fields, measurement
    tags = {each["name"]: {row[0] for row in each["values"]} for each in ask(monitored.url, "SHOW TAG KEYS", "_internal")}
    for each in ask(monitored_influxd.url, "SHOW TAG KEYS", "_internal"):
        if each["name"] in tags:
            theirs = {row[0] for row in each["values"]}
            # 1.8 has the tag, 1.6 not yet.
            assert tags[each["name"]] - {"indexType"} == theirs, each["name"]
    for server in (monitored, monitored_influxd):
        assert ask(server.url, "SHOW RETENTION POLICIES ON _internal")[0]["values"] == [
            ["monitor", "168h0m0s", "24h0m0s", 1, True]
        ]


def test_what_is_recorded_is_true(monitored):
    prepare(monitored.url)
    recorded(monitored.url)

    def last(measurement, field, condition=""):
        rows = monitored.rows(f'SELECT last("{field}") FROM "{measurement}" {condition}', db="_internal")
        return rows[0][1] if rows else None

    of_db = "WHERE \"database\" = 'db'"
    assert last("shard", "writePointsOk", of_db) == 2
    assert last("shard", "seriesCreate", of_db) == 2
    assert last("shard", "fieldsCreate", of_db) == 2
    assert last("database", "numMeasurements", of_db) == 1
    wait_until(lambda: last("database", "numSeries", of_db) == 2, "the number of series")
    wait_until(lambda: last("httpd", "pointsWrittenOK") == 2, "the points written")
    assert last("tsm1_cache", "memBytes", of_db) > 0
    assert last("runtime", "Sys") > 1 << 20
    times = [row[0] for row in monitored.rows("SELECT req FROM httpd LIMIT 5", db="_internal", epoch="ms")]
    assert all(time % 1000 == 0 for time in times), times
    where = monitored.rows('SHOW TAG VALUES WITH KEY = "hostname"', db="_internal")
    assert {row[1] for row in where} == {os.uname().nodename}


def test_show_stats_and_debug_vars_tell_the_same(monitored, monitored_influxd):
    prepare(monitored.url)
    prepare(monitored_influxd.url)
    ours, theirs = ask(monitored.url, "SHOW STATS"), ask(monitored_influxd.url, "SHOW STATS")

    def names(series):
        return list(dict.fromkeys(each["name"] for each in series))

    assert [name for name in names(theirs) if name in names(ours)] == names(ours)
    for module in ("httpd", "write", "database", "queryExecutor", "runtime", "tsm1_wal"):
        assert {each["name"] for each in ask(monitored.url, f"SHOW STATS FOR '{module}'")} == {module}
    for server in (monitored, monitored_influxd):
        assert ask(server.url, "SHOW STATS FOR 'nothing'") == []
        indexes = ask(server.url, "SHOW STATS FOR 'indexes'")
        assert indexes[0]["columns"] == ["memoryBytes"] and indexes[0]["values"][0][0] > 0
        variables = requests.get(f"{server.url}/debug/vars", timeout=30).json()
        shard = next(name for name in variables if name.startswith("shard:"))
        path, number = shard.removeprefix("shard:").rsplit(":", 1)
        assert variables[shard]["tags"]["path"] == path and variables[shard]["tags"]["id"] == number
        assert variables["database:db"]["values"] == {"numMeasurements": 1, "numSeries": 2}
        address = server.url.removeprefix("http://")
        assert variables[f"httpd:{address}"]["tags"] == {"bind": address}
        assert variables["memstats"]["HeapInuse"] > 0 and variables["system"]["uptime"] >= 0


def test_show_diagnostics_has_influxdbs_modules(monitored, monitored_influxd):
    ours = {each["name"]: each for each in ask(monitored.url, "SHOW DIAGNOSTICS")}
    theirs = {each["name"]: each for each in ask(monitored_influxd.url, "SHOW DIAGNOSTICS")}
    assert list(ours) == sorted(ours)
    assert set(theirs) == set(ours)
    for module, each in ours.items():
        assert set(each["columns"]) <= set(theirs[module]["columns"]), module
    system = dict(zip(ours["system"]["columns"], ours["system"]["values"][0]))
    assert system["PID"] == monitored.process.pid and system["uptime"].endswith("s")
    monitor = ask(monitored.url, "SHOW DIAGNOSTICS FOR 'config-monitor'")
    assert monitor[0]["values"] == ask(monitored_influxd.url, "SHOW DIAGNOSTICS FOR 'config-monitor'")[0]["values"]


def test_a_dropped_database_of_statistics_stays_away_until_the_next_start(monitored, start_skywatch, tmp_path):
    wait_until(lambda: monitored.rows("SELECT req FROM httpd", db="_internal"), "a record")
    monitored.query("DROP DATABASE _internal")
    written = monitored.rows("SHOW STATS FOR 'write'", db="")[0]
    wait_until(lambda: monitored.rows("SHOW STATS FOR 'write'", db="")[0] != written, "another try to record")
    assert monitored.rows("SHOW DATABASES") == [["db"]]
    monitored.stop()
    again = start_skywatch("--config", tmp_path / "skywatch.toml", monitor=True)
    wait_until(lambda: ["_internal"] in again.rows("SHOW DATABASES"), "the database to be back")


def test_without_it_nothing_is_recorded(skywatch):
    assert skywatch.rows("SHOW DATABASES") == [["db"]]
    assert skywatch.query("SHOW STATS FOR 'httpd'")["results"][0]["series"]
