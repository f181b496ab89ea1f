"""Prometheus keeps its samples in Skywatch: the real one, and messages made by hand beside a real InfluxDB."""

import sys
import time
from pathlib import Path

import pytest
import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from conftest import Process, answers, free_port, need, wait_until  # noqa: E402
from prometheus_wire import EQ, NEQ, NRE, RE, pack, read_request, read_response, write_request  # noqa: E402

T0 = 1_600_000_000_000
NAN, INF = float("nan"), float("inf")


def post(url, endpoint, body, **params):
    return requests.post(f"{url}/api/v1/prom/{endpoint}", params=params, data=body, timeout=30)


@pytest.fixture
def pair(skywatch, influxd):
    """Both servers, each with an empty database `prom`."""
    urls = [influxd.url, skywatch.url]
    for url in urls:
        for statement in ("DROP DATABASE prom", "CREATE DATABASE prom"):
            requests.post(f"{url}/query", data={"q": statement}, timeout=30)
    return urls


def both(pair, ask):
    """The answer of both, which must be one."""
    theirs, ours = (ask(url) for url in pair)
    assert ours == theirs
    return ours


def test_written_and_read_as_influxdb_does(pair):
    def told(answer):
        return answer.status_code, answer.text

    bodies = [
        write_request(
            ({"__name__": "up", "job": "a b", "empty": ""}, [(1.5, T0), (2.5, T0 + 1000), (NAN, T0 + 2000)]),
            ({"__name__": "up", "job": "x,y=z", "host": "ü"}, [(3.0, T0)]),
            ({"job": "nameless"}, [(4.0, T0)]),
        ),
        write_request(({"__name__": "up", "job": "a b"}, [(NAN, T0)])),
        write_request(({"__name__": "up", "time": "now"}, [(1.0, T0)])),
        write_request(),
        b"garbage",
        b"",
        pack(b"garbage"),
    ]
    for body in bodies:
        both(pair, lambda url, body=body: told(post(url, "write", body, db="prom")))
    for params in ({}, {"db": "nope"}, {"db": "prom", "rp": "nope"}, {"db": "prom", "consistency": "x"}):
        both(pair, lambda url, params=params: told(post(url, "write", bodies[0], **params)))

    def rows(url):
        statement = {"db": "prom", "epoch": "ns", "q": "SELECT * FROM /.*/; SHOW SERIES"}
        return requests.post(f"{url}/query", data=statement, timeout=30).json()

    assert len(both(pair, rows)["results"][0]["series"]) == 2

    def read(url, matchers, start=T0 - 10, end=T0 + 1000):
        answer = post(url, "read", read_request((start, end, matchers)), db="prom")
        if answer.status_code != 200:
            return told(answer)
        assert answer.headers["Content-Type"] == "application/x-protobuf"
        return sorted(read_response(answer.content)[0])

    name = (EQ, "__name__", "up")
    for matchers in (
        [name],
        [name, (EQ, "job", "a b")],
        [name, (NEQ, "job", "a b")],
        [name, (EQ, "host", "")],
        [name, (NEQ, "host", "")],
        [name, (RE, "job", "a b|nothing")],
        [name, (NRE, "job", "a.*")],
        [name, (RE, "host", ".*")],
        [(EQ, "__name__", "nothing")],
        [(RE, "__name__", "u.*"), (EQ, "job", "a b")],
        [(EQ, "job", "a b")],
        [],
        [name, (RE, "job", "(")],
        [(7, "__name__", "up")],
    ):
        both(pair, lambda url, matchers=matchers: read(url, matchers))
    assert len(both(pair, lambda url: read(url, [name], end=T0 + 999))) == 2
    for params in ({}, {"db": "nope"}, {"db": "prom", "rp": "nope"}):
        request = read_request((T0, T0, [name]))
        both(pair, lambda url, params=params: told(post(url, "read", request, **params)))


def test_where_we_go_further(skywatch):
    """As InfluxDB since 1.8.6, or as Prometheus means it; see docs/differences.md."""
    answer = post(skywatch.url, "write", write_request(({"__name__": "m", "a": "x"}, [(INF, T0), (1.0, T0)])), db="db")
    assert answer.status_code == 204, answer.text
    post(skywatch.url, "write", write_request(({"__name__": "m", "a": "xy"}, [(2.0, T0)])), db="db")
    skywatch.write(f"cpu,host=h value=3 {T0}000000\ncpu,host=i value=4i {T0}000000\n")
    skywatch.write(f"whole value=4i {T0}000000\n")
    anchored = (T0, T0, [(EQ, "__name__", "m"), (RE, "a", "x")])
    unnamed = (T0, T0, [(RE, "__name__", "cpu|whole")])
    negated = (T0, T0, [(NRE, "__name__", "cpu|whole")])
    answer = post(skywatch.url, "read", read_request(anchored, unnamed, negated), db="db")
    assert answer.headers["Content-Encoding"] == "snappy"
    assert read_response(answer.content) == [
        [([("__name__", "m"), ("a", "x")], [(1.0, T0)])],
        [([("__name__", "cpu"), ("host", "h")], [(3.0, T0)])],
        [
            ([("__name__", "m"), ("a", "x")], [(1.0, T0)]),
            ([("__name__", "m"), ("a", "xy")], [(2.0, T0)]),
        ],
    ]


def test_a_body_that_says_it_is_huge_takes_nothing(skywatch):
    for lie in (b"\xff\xff\xff\xff\x0f\x00", b"\x80\x80\x80\x80\x01\x00"):
        for endpoint in ("write", "read"):
            assert post(skywatch.url, endpoint, lie, db="db").status_code == 413
    bomb = pack(bytes(30_000_000))
    assert len(bomb) < 2_000_000
    assert post(skywatch.url, "write", bomb, db="db").status_code == 413


def test_a_real_prometheus_writes_here_and_reads_back(skywatch, tmp_path):
    binary = need("prometheus", "prometheus")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # What we hold and Prometheus does not: an hour ago there was no Prometheus.
    old = int(time.time()) - 3600
    lines = [f"ours,__name__=ours,job=j,n={n} value={n}.5 {old * 10**9}" for n in range(3)]
    assert skywatch.write("\n".join(lines)).status_code == 204
    config = tmp_path / "prometheus.yml"
    config.write_text(
        f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: skywatch
    static_configs: [{{targets: ["127.0.0.1:{skywatch.http_port}"]}}]
remote_write:
  - url: {skywatch.url}/api/v1/prom/write?db=db
    queue_config: {{batch_send_deadline: 1s}}
remote_read:
  - url: {skywatch.url}/api/v1/prom/read?db=db
    read_recent: true
"""
    )
    command = [binary, f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    prometheus = Process(command, tmp_path / "prometheus.log").start()
    try:
        wait_until(lambda: not prometheus.running() or answers(f"{url}/-/ready"), "prometheus to be ready")
        assert prometheus.running(), prometheus.output()

        def ask(query, at=None):
            params = {"query": query} | ({"time": at} if at else {})
            answer = requests.get(f"{url}/api/v1/query", params=params, timeout=10).json()
            assert answer["status"] == "success", answer
            return answer["data"]["result"]

        # Written: its scrapes of itself and of us are series here.
        wait_until(
            lambda: len(skywatch.rows("SELECT value FROM up WHERE job = 'skywatch' AND value = 1")) >= 2
            and skywatch.rows("SELECT value FROM skywatch_databases"),
            "samples that Prometheus wrote",
        )
        assert skywatch.rows("SHOW TAG VALUES FROM up WITH KEY = job") == [["job", "prometheus"], ["job", "skywatch"]]
        # Read: what only we hold, through its own language.
        found = ask('ours{n=~"1|2"}', old + 60)
        assert sorted((series["metric"]["n"], series["value"][1]) for series in found) == [("1", "1.5"), ("2", "2.5")]
        assert found[0]["metric"]["__name__"] == "ours"
        assert ask('sum({__name__=~"our.", n!="2"})', old + 60)[0]["value"][1] == "2"
        assert ask("ours", old - 60) == []
        assert "remote_read" not in prometheus.output(), prometheus.output()
    finally:
        assert prometheus.stop() == 0
