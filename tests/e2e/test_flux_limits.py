"""What bounds a query in Flux: its text, its memory, its time, its client's patience; and that the server lives."""

import gzip
import socket
import threading
import time
import urllib.parse

import pytest
import requests
from conftest import Skywatch, wait_until
from flux_tables import ask, post, read

SECOND = 10**9
RANGE = 'from(bucket: "db") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-01T01:00:00Z)'
FIRST = 'from(bucket: "db") |> range(start: 0, stop: 10)'


@pytest.fixture(scope="module")
def server(shared_skywatch):
    lines = [f"m,host={host} v={n}.5 {n * SECOND + 7}" for host in "ab" for n in range(3)]
    assert shared_skywatch.write("\n".join(lines)).status_code == 204
    return shared_skywatch


def send(server, text, **headers):
    headers = {"Content-Type": "application/vnd.flux", **headers}
    body = text if isinstance(text, bytes) else text.encode()
    return requests.post(f"{server.url}/api/v2/query?org=-", data=body, headers=headers, timeout=60)


DEEP = 100_000
HOSTILE = {
    "parentheses": "x = " + "(" * DEEP + "1" + ")" * DEEP,
    "lists": "x = " + "[" * DEEP + "]" * DEEP,
    "records": "x = " + "{a: " * DEEP + "1" + "}" * DEEP,
    "functions": "x = " + "() => " * DEEP + "1",
    "minus": "x = " + "-" * DEEP + "1",
    "not": "x = " + "not " * DEEP + "true",
    "sum": "x = 1" + " + 1" * DEEP,
    "and": "x = true" + " and true" * DEEP,
    "members": "x = {a: 1}" + ".a" * DEEP,
    "calls": "f = () => 1\nx = f" + "()" * DEEP,
    "pipes": FIRST + " |> limit(n: 1)" * DEEP,
    "conditions": "x = " + "if true then 1 else " * DEEP + "1",
    "texts": 'x = "' + "${" * DEEP,
    "unfinished": 'x = "' + "a" * DEEP,
    "recursion": "f = (x) => f(x: x)\ny = f(x: 1)\n" + FIRST,
    "pattern": 'x = "a" =~ /' + "(" * 2000 + "a" + ")*" * 2000 + "/\n" + FIRST,
    "bigger pattern": 'x = "a" =~ /((((a{1,100}){1,100}){1,100}){1,100}){1,100}/\n' + FIRST,
    "nulls": "x = 1\0" + "\0" * DEEP,
    "number": "x = 1" + "0" * DEEP,
    "duration": "x = " + "9" * 30 + "y\n" + FIRST,
    "time": "from(bucket: \"db\") |> range(start: 99999-01-01T00:00:00Z)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused(server, name):
    """Neither a crash nor an endless answer; and the server goes on."""
    begun = time.monotonic()
    answer = send(server, HOSTILE[name])
    assert answer.status_code == 400 or (answer.status_code == 200 and name in ("pipes", "sum", "and")), answer.text[:300]
    assert time.monotonic() - begun < 30
    if answer.status_code == 400:
        assert answer.json()["message"] and len(answer.content) < 100_000
    analyzed = requests.post(f"{server.url}/api/v2/query/analyze", json={"query": HOSTILE[name]}, timeout=30)
    assert analyzed.status_code in (200, 400)
    assert server.running() and len(ask(server.url, RANGE)) == 2


@pytest.mark.parametrize("every", ["1ns", "1y", "100y", "1000y", "9000y", "3000mo", "100000d", "inf"])
@pytest.mark.parametrize("empty", ["true", "false"])
def test_windows_of_any_length(server, every, empty):
    """However long or short a window is, what is in the range is in windows, or the query is refused."""
    for step in [
        f"aggregateWindow(every: {every}, fn: sum, createEmpty: {empty})",
        f"window(every: {every}, createEmpty: {empty}) |> sum()",
        f"aggregateWindow(every: 1m, offset: {every}, fn: sum, createEmpty: {empty})",
    ]:
        answer = post(server.url, f"{RANGE} |> {step}")
        if answer.status_code == 200:
            total = sum(row["_value"] or 0 for table in read(answer) for row in table.rows)
            assert total == 9, (step, answer.text[:500])
        else:
            assert answer.status_code == 400 or every == "1ns" and answer.status_code == 503, (step, answer.text)
            assert answer.json()["message"] and every not in ("1y", "100y"), (step, answer.text)


def test_columns_without_a_name(server):
    """An empty text is a name as any other: the header has a place for it."""
    for step in ['set(key: "", value: "x")', 'rename(columns: {_value: ""})', 'duplicate(column: "_value", as: "")']:
        for table in ask(server.url, f"{RANGE} |> {step}"):
            assert "" in table.types and len(table.column("")) == 3, step


def test_huge_bodies_are_refused(server):
    answer = send(server, b"//" + b"x" * 30_000_000)
    assert answer.status_code == 413, answer.text[:200]
    bomb = gzip.compress(b"//" + b"x" * 60_000_000)
    assert send(server, bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    assert len(ask(server.url, RANGE)) == 2


def doubled(times):
    """A row, and so often twice as many."""
    steps = [f"d{n + 1} = union(tables: [d{n}, d{n}])" for n in range(times)]
    return "\n".join(['import "array"', 'd0 = array.from(rows: [{a: "0123456789"}])', *steps, f"d{times}"])


ALL = 'from(bucket: "db") |> range(start: 0)'
LARGE = {
    "all points": ALL,
    "sorted": ALL + ' |> group() |> sort(columns: ["_value"])',
    "windows": ALL.replace("0)", "0, stop: 2030-01-01T00:00:00Z)") + " |> aggregateWindow(every: 1ns, fn: mean)",
    "generated": 'import "generate"\ngenerate.from(count: 1000000000, fn: (n) => n, start: 2020-01-01, stop: 2021-01-01)',
    "text": 'import "array"\nimport "strings"\narray.from(rows: [{a: strings.repeat(v: "0123456789", i: 1000000000)}])',
    "doubled": doubled(30),
    "joined": f'd = {ALL} |> group()\njoin(tables: {{a: d, b: d}}, on: ["_field"]) |> count(column: "_value_a")',
}


@pytest.fixture(scope="module")
def small(skywatch_bin, tmp_path_factory):
    """A store with little memory and more points than that holds at once."""
    server = Skywatch(skywatch_bin, tmp_path_factory.mktemp("small"), "--memory-budget", "96m", "--durability", "none")
    try:
        server.start().query("CREATE DATABASE db")
        for part in range(20):
            lines = [f"m,host=h{n % 50} v={n},w={n}.25 {part * 10**12 + n * 10**6}" for n in range(50_000)]
            wait_until(lambda lines=lines: server.write("\n".join(lines)).status_code == 204, "room for a write", 60)
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("name", LARGE)
def test_memory_is_bounded(small, name):
    """A query that needs more than there is, is told so; what is small goes on beside it."""
    begun = time.monotonic()
    answer = send(small, LARGE[name], **{"Accept-Encoding": "identity"})
    assert small.running(), small.output()[-2000:]
    if answer.status_code == 200:
        # It had begun: then it ends with an error, or was no more than fits.
        assert "memory" in answer.text[-2000:] or name == "all points", answer.text[-300:]
    else:
        assert answer.status_code in (400, 503), answer.text[:300]
        assert any(word in answer.json()["message"] for word in ("memory", "limit", "longer than")), answer.text[:300]
        assert answer.status_code != 503 or "Retry-After" in answer.headers
    assert time.monotonic() - begun < 60
    few = 'from(bucket: "db") |> range(start: 0, stop: 1970-01-01T00:00:00.001Z) |> filter(fn: (r) => r.host == "h0" and r._field == "v")'
    (table,) = ask(small.url, few)
    assert table.column("_value") == [0]
    assert resident_mib(small.process.pid) < 512


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("RssAnon:")).split()[1]) >> 10


# Minutes of work on nothing.
SLOW = """
import "generate"
generate.from(count: 3000, fn: (n) => n, start: 2020-01-01, stop: 2021-01-01)
    |> reduce(identity: {sum: 0}, fn: (r, accumulator) => ({sum: accumulator.sum + %s}))
"""


def slow_text():
    """Each row costs a million additions by calls within calls."""
    text = "f0 = (x) => x + 1\n"
    for level in range(1, 7):
        calls = " + ".join(f"f{level - 1}(x: x)" for _ in range(10))
        text += f"f{level} = (x) => {calls}\n"
    first, rest = SLOW.strip().split("\n", 1)
    return first + "\n" + text + rest % "f6(x: r._value)"


def metric(server, name):
    lines = requests.get(f"{server.url}/metrics", timeout=30).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_client_that_goes_away_stops_its_query(skywatch):
    """Also one that computes and reads nothing."""
    before = metric(skywatch, "skywatch_http_queries_abandoned_total")
    body = slow_text().encode()
    address = urllib.parse.urlsplit(skywatch.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST /api/v2/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.flux\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    wait_until(lambda: metric(skywatch, "skywatch_http_queries_abandoned_total") > before, "the query to be given up", 20)
    wait_until(lambda: not busy(skywatch), "the processor to be free", 20)


def busy(server):
    """Whether it computes for more than half of a second."""

    def ticks():
        fields = open(f"/proc/{server.process.pid}/stat").read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(1)
    return ticks() - before > 50


def test_a_reader_that_goes_away_stops_its_query(skywatch):
    """While the answer is on its way."""
    for part in range(5):
        lines = [f"m,host=h{n % 10} v={n} {part * 10**9 + n}" for n in range(60_000)]
        assert skywatch.write("\n".join(lines)).status_code == 204
    before = metric(skywatch, "skywatch_http_queries_abandoned_total")
    body = {"query": 'from(bucket: "db") |> range(start: 0)'}
    with requests.post(f"{skywatch.url}/api/v2/query", json=body, stream=True, timeout=30, headers={"Accept-Encoding": "identity"}) as answer:
        assert answer.raw.read(1000)
    wait_until(lambda: metric(skywatch, "skywatch_http_queries_abandoned_total") > before, "the query to be given up", 20)
    assert skywatch.rows("SELECT count(v) FROM m")[0][1] == 300_000


def test_queries_are_shown_and_killed(skywatch):
    """A query in Flux is one in SHOW QUERIES, and KILL QUERY ends it, whatever it does just then."""
    answers = []
    asking = threading.Thread(target=lambda: answers.append(send(skywatch, slow_text())), daemon=True)
    asking.start()

    def shown():
        rows = skywatch.rows("SHOW QUERIES", db="")
        return [row for row in rows if "generate.from" in row[1]]

    (row,) = wait_until(shown, "the query to be shown", 10, 0.05)
    assert "error" not in skywatch.query(f"KILL QUERY {row[0]}", db="")["results"][0]
    asking.join(30)
    assert not asking.is_alive(), "the query goes on"
    assert answers[0].status_code >= 400 and "interrupted" in answers[0].text, answers[0].text[:300]
    assert not shown()


def test_queries_take_their_time_at_most(start_skywatch, tmp_path):
    """`query-timeout` is for Flux, too."""
    config = tmp_path / "skywatch.toml"
    config.write_text('[coordinator]\nquery-timeout = "1s"\n')
    server = start_skywatch("--config", config)
    begun = time.monotonic()
    answer = send(server, slow_text())
    assert time.monotonic() - begun < 20
    assert answer.status_code >= 400 and "query-timeout" in answer.text, answer.text[:300]
