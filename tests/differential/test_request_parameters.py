"""What a request says beside its statements: `db`, `rp`, `epoch`, chunks, bound parameters, forms of answers; each with many
statements, asked of a real InfluxDB and of Skywatch."""

import itertools

import pytest
import requests
from conftest import Skywatch
from pair import Pair

LINES = {
    "": 'm,h=a v=1,s="x",i=3i,b=true 1000000000\nm,h=b v=2 2000000000\nn,h=a,r=q w=5i 61000000000',
    "two": "m,h=z v=9 5000000000\no,k=1 x=1 1",
}

STATEMENTS = [
    "SELECT * FROM m",
    "SELECT * FROM two.m",
    "SELECT v FROM db.two.m WHERE time > 0",
    'SELECT v FROM "we ird"..m',
    "SELECT v FROM nosuch",
    "SELECT mean(v) FROM m WHERE time < 3s GROUP BY time(1s) fill(0)",
    "SELECT v FROM m GROUP BY h",
    "SELECT v FROM db.autogen.m; SHOW MEASUREMENTS ON db; SELECT v FROM db.two.m",
    "SELECT",
    "SELECT v FROM m; SELEC",
    "",
    "CREATE DATABASE",
    "DROP DATABASE nosuch",
    "SHOW MEASUREMENTS",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /m|o/",
    "SHOW MEASUREMENTS ON db WHERE h = 'z'",
    "SHOW TAG KEYS",
    "SHOW TAG KEYS FROM two.m",
    "SHOW TAG VALUES WITH KEY = h",
    "SHOW TAG VALUES ON db FROM /.*/ WITH KEY IN (h, k)",
    "SHOW FIELD KEYS",
    'SHOW FIELD KEYS ON "we ird"',
    "SHOW RETENTION POLICIES",
    "SHOW RETENTION POLICIES ON db",
    "SHOW CONTINUOUS QUERIES",
    "SHOW SUBSCRIPTIONS",
    "SHOW USERS",
    "SHOW GRANTS FOR nobody",
    "KILL QUERY 99999",
]

CUT_OTHERWISE = ("SHOW TAG", "SHOW CONTINUOUS", "SHOW SUBSCRIPTIONS")

REQUESTS = [
    {},
    {"db": "db"},
    {"db": "db", "rp": "two"},
    {"db": "db", "rp": "nosuch"},
    {"db": "nosuch"},
    {"db": "db", "epoch": "s"},
    {"db": "db", "epoch": "bogus"},
    {"db": "db", "pretty": "true"},
    {"db": "db", "chunked": "true"},
    {"db": "db", "chunked": "true", "chunk_size": "1"},
    {"db": "db", "chunked": "true", "chunk_size": "x"},
    {"db": "db", "chunked": "true", "chunk_size": "-1"},
    {"db": "db", "chunked": "1", "chunk_size": "1"},
    {"db": "db", "params": '{"a":1}'},
    {"db": "db", "params": '{"a"'},
    {"db": "db", "async": "true"},
]

BOUND = [
    ("SELECT v FROM m WHERE h = $h", '{"h":"a"}'),
    ("SELECT v FROM m WHERE h = $h", "{}"),
    ("SELECT v FROM m WHERE h = $h", '{"h":null}'),
    ("SELECT v FROM m WHERE h = $h", '{"h":[1]}'),
    ("SELECT v FROM m WHERE h =~ $h", '{"h":{"regex":"a"}}'),
    ('SELECT v FROM m WHERE h = $"a b"', '{"a b":"a"}'),
    ("SELECT v FROM m WHERE v > $x", '{"x":1.5}'),
    ("SELECT v FROM m WHERE v > $x", '{"x":1}'),
    ("SELECT v FROM m WHERE b = $x", '{"x":true}'),
    ("SELECT $f FROM m", '{"f":{"identifier":"v"}}'),
    ("SELECT v FROM m LIMIT $n", '{"n":1}'),
    ("SELECT v FROM m WHERE time > $t", '{"t":"1970-01-01T00:00:01Z"}'),
    ("SELECT v FROM m WHERE time > $t", '{"t":{"duration":"1s"}}'),
]

FORMS = [
    *["application/csv", "text/csv", "application/x-msgpack", "application/json", "*/*", "text/html", "bogus", ""],
    # Of lists 1.6 understands nothing; 1.8, and ours, take what is wanted most.
    *["application/json; charset=utf-8, text/csv", "text/csv;q=0.5, application/json"],
]


@pytest.fixture(scope="module")
def urls(influxd, skywatch_bin, tmp_path_factory):
    """Of a real InfluxDB and of Skywatch, with the same points; neither keeps statistics of itself."""
    skywatch = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch"))
    try:
        urls = (influxd.url, skywatch.start().url)
        Pair(*urls).drop_everything()
        setup = [
            *["CREATE DATABASE db", 'CREATE DATABASE "we ird"'],
            "CREATE RETENTION POLICY two ON db DURATION INF REPLICATION 1",
            "CREATE CONTINUOUS QUERY cq ON db BEGIN SELECT mean(v) INTO x FROM m GROUP BY time(1h) END",
        ]
        for url, statement in itertools.product(urls, setup):
            assert "error" not in requests.post(f"{url}/query", data={"q": statement}, timeout=30).text
        for url, (policy, lines) in itertools.product(urls, LINES.items()):
            assert requests.post(f"{url}/write", params={"db": "db", "rp": policy}, data=lines, timeout=30).ok
            assert requests.post(f"{url}/write", params={"db": "we ird"}, data="m v=1 1", timeout=30).ok
        yield urls
    finally:
        skywatch.stop()


def answer(method, url, statement, params, accept=None):
    """What counts of an answer."""
    headers = {} if accept is None else {"Accept": accept}
    if method == "GET":
        got = requests.get(f"{url}/query", params={**params, "q": statement}, headers=headers, timeout=30)
    else:
        got = requests.post(f"{url}/query", params=params, data={"q": statement}, headers=headers, timeout=30)
    return got.status_code, got.headers.get("Content-Type"), got.headers.get("X-Influxdb-Error"), got.content


def both(urls, *asked, **more):
    theirs, ours = (answer(asked[0], url, *asked[1:], **more) for url in urls)
    assert ours == theirs, (asked, more)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("params", REQUESTS, ids=str)
def test_parameters(urls, method, params):
    for statement in STATEMENTS:
        # Chunks of these are cut otherwise (docs/differences.md).
        if not ("chunked" in params and any(what in statement for what in CUT_OTHERWISE)):
            both(urls, method, statement, params)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bound_parameters(urls, method):
    for statement, params in BOUND:
        both(urls, method, statement, {"db": "db", "params": params})


@pytest.mark.parametrize("accept", FORMS)
def test_forms_of_answers(urls, accept):
    for statement in ("SELECT v FROM m", "SHOW MEASUREMENTS", "SELECT x FROM nosuch", "SELEC"):
        both(urls, "GET", statement, {"db": "db"}, accept=accept)
