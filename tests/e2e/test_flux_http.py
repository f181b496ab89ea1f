"""`/api/v2/query` by hand: every part of a request, and who may ask."""

import gzip
import json

import pytest
import requests
from conftest import Skywatch
from flux_tables import ask, parsed, post, read

SECOND = 10**9
RANGE = 'from(bucket: "db") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-01T01:00:00Z)'


@pytest.fixture(scope="module")
def server(shared_skywatch):
    lines = [f"m,host={host} v={n}.5 {n * SECOND + 7}" for host in "ab" for n in range(3)]
    assert shared_skywatch.write("\n".join(lines)).status_code == 204
    return shared_skywatch


def send(server, data, content_type="application/json", **headers):
    headers = {"Content-Type": content_type, **headers}
    return requests.post(f"{server.url}/api/v2/query?org=-", data=data, headers=headers, timeout=60)


def test_the_text_alone(server):
    """`application/vnd.flux`: no annotations, but a header."""
    answer = send(server, RANGE + ' |> filter(fn: (r) => r.host == "a")', "application/vnd.flux")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = answer.text.split("\r\n")
    names = lines[0].split(",")
    assert names[:3] == ["", "result", "table"]
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:] if line]
    assert [(row["result"], row["table"], row["_value"]) for row in rows] == [("_result", "0", f"{n}.5") for n in range(3)]
    with_charset = send(server, (RANGE + ' |> filter(fn: (r) => r.host == "a")').encode(), "application/vnd.flux; charset=utf-8")
    assert with_charset.text == answer.text


def test_json_without_a_dialect(server):
    answer = send(server, json.dumps({"query": RANGE}))
    assert answer.status_code == 200 and answer.text.startswith(",result,table,"), answer.text[:200]


@pytest.mark.parametrize("annotations", [[], ["datatype"], ["default"], ["group", "default"], ["datatype", "group", "default"]])
def test_annotations(server, annotations):
    answer = post(server.url, RANGE, {"annotations": annotations, "header": True, "delimiter": ","})
    lines = answer.text.split("\r\n")
    told = [line.split(",")[0] for line in lines[: len(annotations) + 1]]
    assert sorted(told) == sorted(["", *(f"#{annotation}" for annotation in annotations)])
    # The name of the result is a default where there are defaults, else it is in every row.
    first = lines[len(annotations) + 1].split(",")
    assert first[1] == ("" if "default" in annotations else "_result")


def test_other_delimiters_and_prefixes(server):
    plain = post(server.url, RANGE + ' |> set(key: "text", value: "a;b,c")')
    dialect = {"annotations": ["datatype", "group", "default"], "delimiter": ";", "header": True, "commentPrefix": "%"}
    other = post(server.url, RANGE + ' |> set(key: "text", value: "a;b,c")', dialect)
    assert other.text.startswith("%datatype;string;long;") and '"a;b,c"' in other.text
    assert len(other.text.split("\r\n")) == len(plain.text.split("\r\n"))


def test_no_header(server):
    answer = post(server.url, RANGE, {"annotations": [], "header": False})
    rows = [line for line in answer.text.split("\r\n") if line]
    assert len(rows) == 6 and all(row.startswith(",_result,") for row in rows)


@pytest.mark.parametrize("format", ["RFC3339", "RFC3339Nano"])
def test_times(server, format):
    dialect = {"annotations": ["datatype", "group", "default"], "dateTimeFormat": format}
    tables = read(post(server.url, RANGE, dialect))
    assert tables[0].types["_time"] == f"dateTime:{format}"
    assert tables[0].column("_time") == [n * SECOND + 7 for n in range(3)]


@pytest.mark.parametrize(
    "dialect",
    [
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"annotations": ["nonsense"]},
        {"commentPrefix": "##"},
        {"dateTimeFormat": "epoch"},
        {"header": "yes"},
    ],
)
def test_dialects_that_are_none(server, dialect):
    answer = post(server.url, RANGE, dialect)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid", answer.text


def test_compression(server):
    body = gzip.compress(json.dumps({"query": RANGE, "dialect": {"annotations": ["datatype", "group", "default"]}}).encode())
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = send(server, body, **headers)
    assert answer.headers["Content-Encoding"] == "gzip" and len(parsed(answer.content.decode())) == 2
    plain = send(server, body, **{**headers, "Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers and plain.content == answer.content
    assert send(server, b"no gzip", **headers).status_code == 400


def test_now_of_the_request(server):
    (table, _) = ask(server.url, 'from(bucket: "db") |> range(start: -2s)', now="1970-01-01T00:00:02.5Z")
    assert table.column("_value") == [1.5, 2.5] and table.key["_stop"] == 2_500_000_000
    (one,) = ask(server.url, 'import "array"\narray.from(rows: [{v: now()}])', now="2001-02-03T04:05:06+01:00")
    assert one.column("v") == [981_169_506 * SECOND]
    assert post(server.url, RANGE, now="yesterday").status_code == 400


def test_parameters(server):
    """`params` of the request is a record of that name in the query."""
    text = 'from(bucket: params.bucket) |> range(start: 0, stop: 10) |> filter(fn: (r) => r.host == params.hosts[0])'
    (table,) = ask(server.url, text, params={"bucket": "db", "hosts": ["b"]})
    assert table.key["host"] == "b" and table.column("_value") == [0.5, 1.5, 2.5]
    assert post(server.url, text).status_code == 400


def test_fields_that_changed_their_type(server):
    """In another shard a field may be of another type: its points are told, or it is an error. They are not left out."""
    week = 7 * 86_400 * SECOND
    for line in ["changed v=1i 1", f'changed v="x" {3 * week}', f"changed v=2.5 {6 * week}"]:
        assert server.write(line).status_code == 204
    text = 'from(bucket: "db") |> range(start: 0, stop: 1971-01-01) |> filter(fn: (r) => r._measurement == "changed")'
    answer = post(server.url, text)
    if answer.status_code == 200:
        assert sorted(str(row["_value"]) for table in read(answer) for row in table.rows) in (["1", "2.5", "x"], ["1.0", "2.5", "x"])
    else:
        assert answer.status_code == 400 and "type" in answer.json()["message"], answer.text
    answer = post(server.url, text + ' |> filter(fn: (r) => r._value == "x")')
    assert answer.status_code == 400 or [row["_value"] for table in read(answer) for row in table.rows] == ["x"]


@pytest.mark.parametrize(
    "body, content_type",
    [
        ("from(bucket:", "application/json"),
        ("", "application/json"),
        ("[]", "application/json"),
        ("{}", "application/json"),
        ('{"query": 5}', "application/json"),
        ('{"query": "buckets()", "type": "influxql"}', "application/json"),
        ('{"query": "buckets()"} x', "application/json"),
        (b"\xff\xfe", "application/vnd.flux"),
        ("", "application/vnd.flux"),
        (" \n", "application/vnd.flux"),
    ],
)
def test_bodies_that_are_none(server, body, content_type):
    answer = send(server, body, content_type)
    assert answer.status_code == 400, answer.text
    told = answer.json()
    assert told["code"] == "invalid" and told["message"], told


def test_only_post(server):
    answer = requests.get(f"{server.url}/api/v2/query", timeout=10)
    assert answer.status_code in (404, 405)


def test_analyze(server):
    def errors(text):
        answer = requests.post(f"{server.url}/api/v2/query/analyze", json={"query": text, "type": "flux"}, timeout=10)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
        return answer.json()["errors"]

    assert errors(RANGE) == []
    (wrong,) = errors("buckets()\n  |> nonsense()")
    assert (wrong["line"], wrong["column"]) == (2, 6) and "nonsense" in wrong["message"]
    assert errors('from(bucket: "db" |> range(')[0]["message"]
    answer = requests.post(f"{server.url}/api/v2/query/analyze", data="{", timeout=10)
    assert answer.status_code == 400


def test_flux_can_be_off(start_skywatch, tmp_path):
    config = tmp_path / "skywatch.toml"
    config.write_text("[http]\nflux-enabled = false\n")
    server = start_skywatch("--config", config)
    for path in ("query", "query/analyze"):
        answer = requests.post(f"{server.url}/api/v2/{path}", json={"query": "buckets()"}, timeout=10)
        assert answer.status_code == 403 and answer.json()["code"] == "forbidden", answer.text
        assert "flux-enabled" in answer.json()["message"]


@pytest.fixture(scope="module")
def secured(skywatch_bin, tmp_path_factory):
    """A store that asks for users: `reader` may read `db`, `stranger` nothing."""
    server = Skywatch(skywatch_bin, tmp_path_factory.mktemp("secured"), "--auth")
    root = ("root", "rootpw")
    try:
        server.start()
        for q, auth in [
            ("CREATE USER root WITH PASSWORD 'rootpw' WITH ALL PRIVILEGES", None),
            ("CREATE DATABASE db", root),
            ("CREATE DATABASE other", root),
            ("CREATE USER reader WITH PASSWORD 'pw'", root),
            ("GRANT READ ON db TO reader", root),
            ("CREATE USER writer WITH PASSWORD 'pw'", root),
            ("GRANT WRITE ON db TO writer", root),
            ("CREATE USER stranger WITH PASSWORD 'pw'", root),
        ]:
            answer = requests.post(f"{server.url}/query", data={"q": q}, auth=auth, timeout=10)
            assert answer.json() == {"results": [{"statement_id": 0}]}, answer.text
        for db in ("db", "other"):
            answer = requests.post(f"{server.url}/write?db={db}", data="m v=1 1", auth=root, timeout=10)
            assert answer.status_code == 204
        yield server
    finally:
        server.stop()


FIRST = 'from(bucket: "db") |> range(start: 0, stop: 10)'


def token(user, password="pw"):
    return {"Authorization": f"Token {user}:{password}"}


@pytest.mark.parametrize("headers", [{}, token("reader", "wrong"), token("nobody"), {"Authorization": "Token nonsense"}])
def test_users_that_are_none(secured, headers):
    answer = post(secured.url, FIRST, headers=headers)
    assert answer.status_code == 401, answer.text
    assert "authorization failed" in answer.text or "authentication credentials" in answer.text, answer.text
    analyzed = requests.post(f"{secured.url}/api/v2/query/analyze", json={"query": FIRST}, headers=headers, timeout=10)
    assert analyzed.status_code == 401


@pytest.mark.parametrize("user", ["stranger", "writer"])
def test_users_without_the_privilege(secured, user):
    answer = post(secured.url, FIRST, headers=token(user))
    assert answer.status_code == 403 and answer.json()["code"] == "forbidden", answer.text
    assert user in answer.json()["message"], "as /query does, it says who may not"
    # A database that is not theirs tells nothing of itself by any other function, either.
    for text in ['import "influxdata/influxdb/schema"\nschema.measurements(bucket: "db")',
                 'import "influxdata/influxdb/v1"\nv1.tagKeys(bucket: "db")']:
        assert post(secured.url, text, headers=token(user)).status_code == 403, text
    rows = [row for table in ask(secured.url, "buckets()", headers=token(user)) for row in table.rows]
    assert not [row for row in rows if row["name"].startswith("other")], rows


def test_users_read_what_is_theirs(secured):
    for auth in [{"headers": token("reader")}, {"auth": ("reader", "pw")}, {"auth": ("root", "rootpw")}, {"query": "&u=reader&p=pw"}]:
        (table,) = ask(secured.url, FIRST, **auth)
        assert table.column("_value") == [1], auth
    (table,) = ask(secured.url, "buckets()", headers=token("reader"))
    assert table.column("name") == ["db/autogen"]
    mine_and_theirs = f'union(tables: [{FIRST}, {FIRST.replace("db", "other")}])'
    assert post(secured.url, mine_and_theirs, headers=token("reader")).status_code == 403
