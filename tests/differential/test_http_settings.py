"""One `[http]` section, InfluxDB's names of keys, read by a real InfluxDB and by Skywatch: limits on rows, the access
log, /debug/requests, the Unix socket."""

import re
import socket
import threading

import pytest
import requests
from conftest import Influxd, Skywatch, answers, wait_until

POINTS = "\n".join(f"m,t={n % 2} v={n} {n}" for n in range(12))

STATEMENTS = [
    "SELECT v FROM m",
    "SELECT v FROM m GROUP BY t",
    "SELECT v FROM m LIMIT 5",
    "SELECT v FROM m LIMIT 2; SELECT v FROM m LIMIT 3; SELECT v FROM m LIMIT 4",
    "SELECT v FROM m LIMIT 3; SELECT v FROM m LIMIT 3",
    "SELECT v FROM m LIMIT 5; SELECT v FROM m LIMIT 1",
    "SELECT v FROM m GROUP BY t LIMIT 2",
    "SELECT v FROM m GROUP BY t LIMIT 3",
    "SHOW DATABASES; SELECT v FROM m LIMIT 5",
    "SELECT v FROM nothing; SELECT v FROM m",
]


def keys(directory):
    """Of [http]."""
    return f"""
log-enabled = true
access-log-path = "{directory}/access.log"
max-row-limit = 5
unix-socket-enabled = true
bind-socket = "{directory}/http.sock"
max-body-size = 1000
max-connection-limit = 100
max-concurrent-write-limit = 2
max-enqueued-write-limit = 2
enqueued-write-timeout = "1s"
"""


@pytest.fixture
def pair(skywatch_bin, tmp_path):
    """InfluxDB and Skywatch with the same section; a name, a URL and a directory each."""
    started = []
    for name in ("influxd", "skywatch"):
        directory = tmp_path / name
        directory.mkdir()
        if name == "influxd":
            server = Influxd(directory, http=keys(directory))
        else:
            config = directory / "skywatch.toml"
            config.write_text(f"[http]\n{keys(directory)}")
            server = Skywatch(skywatch_bin, directory, "--config", config)
        server.directory = directory
        started.append(server.start())
        wait_until(lambda s=server: not s.running() or answers(f"{s.url}/ping"), f"{name} to answer")
        assert server.running(), server.output()
        for statement in ("CREATE DATABASE db", "CREATE DATABASE db2"):
            requests.post(f"{server.url}/query", data={"q": statement}, timeout=30)
        assert requests.post(f"{server.url}/write?db=db", data=POINTS, timeout=30).status_code == 204
    yield started
    for server in started:
        server.stop()


def both(pair, ask):
    theirs, ours = (ask(server) for server in pair)
    assert ours == theirs
    return ours


def test_rows_are_limited_alike(pair):
    def answer(server, statement, accept="application/json", **params):
        params = {"db": "db", "epoch": "ns", "q": statement, **params}
        return requests.get(f"{server.url}/query", params=params, headers={"Accept": accept}, timeout=30).text

    for statement in STATEMENTS:
        for more in ({}, {"pretty": "true"}, {"accept": "text/csv"}, {"chunked": "true", "chunk_size": "3"}):
            both(pair, lambda server, s=statement, m=more: answer(server, s, **m))
    one = both(pair, lambda server: answer(server, "SELECT v FROM m"))
    assert one.count("[") == 9 and '"partial":true' in one


def test_access_logs_are_alike(pair):
    def ask(server):
        plain = {"Accept-Encoding": "identity", "User-Agent": "tester/1"}
        get = lambda path, **more: requests.get(f"{server.url}{path}", headers=plain | more, timeout=30)  # noqa: E731
        get("/ping")
        get("/query?q=SHOW+DATABASES", Referer="http://there/", **{"X-Request-Id": "my id"})
        get("/query?q=SHOW+DATABASES&u=me&p=secret")
        get("/query?q=SHOW+DATABASES", Authorization="Basic Ym9iOnB3")
        get("/query?q=SELEC")
        requests.post(f"{server.url}/write?db=db&p=x", data="m v=1", headers=plain, timeout=30)
        requests.post(f"{server.url}/write?db=nope", data="m v=1", headers=plain, timeout=30)
        requests.post(f"{server.url}/write?db=db", data="m v=1 " * 200, headers=plain, timeout=30)
        requests.options(f"{server.url}/query", headers=plain, timeout=30)
        requests.head(f"{server.url}/ping", headers=plain, timeout=30)
        log = server.directory / "access.log"
        mine = lambda: [line for line in log.read_text().splitlines() if "tester/1" in line]  # noqa: E731
        wait_until(lambda: len(mine()) == 10, "the log")
        # Times, ids and durations differ.
        lines = [re.sub(r"\[[^\]]{26}\]", "[time]", line) for line in mine()]
        return [re.sub(r" [0-9a-f-]{36} \d+$", " id took", re.sub(r" my id \d+$", " my id took", line)) for line in lines]

    lines = both(pair, ask)
    assert lines[2] == (
        '127.0.0.1 - me [time] "GET /query?p=%5BREDACTED%5D&q=SHOW+DATABASES&u=me HTTP/1.1" 200 110 "-" "tester/1" id took'
    )


def test_requests_are_counted_alike(pair):
    def ask(server):
        counted = []
        watch = threading.Thread(
            target=lambda: counted.append(requests.get(f"{server.url}/debug/requests?seconds=2", timeout=30))
        )
        watch.start()
        # Nothing tells when it begins; it goes on for as long again.
        watch.join(1)
        for _ in range(3):
            requests.get(f"{server.url}/query?q=SHOW+DATABASES&u=x&p=y", timeout=30)
        requests.post(f"{server.url}/write?db=db", data="m v=1", timeout=30)
        requests.get(f"{server.url}/ping", timeout=30)
        watch.join()
        (answer,) = counted
        return answer.status_code, answer.headers["Content-Type"], answer.headers["Connection"], answer.text

    assert '"127.0.0.1": {"writes":1,"queries":3}' in both(pair, ask)[3]
    for seconds in ("x", "1.5", "-1", "0"):
        path = f"/debug/requests?seconds={seconds}"
        both(pair, lambda server, p=path: requests.get(server.url + p, timeout=30).text.strip())


def test_the_unix_socket_answers_alike(pair):
    def ask(server):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(server.directory / "http.sock"))
            stream.sendall(b"GET /query?q=SHOW+DATABASES HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := stream.recv(4096):
                answer += part
        # A chunk's length in hexadecimal digits, large or small.
        body = answer.split(b"\r\n\r\n", 1)[1].lower()
        wait_until(lambda: "@ - - [" in (server.directory / "access.log").read_text(), "the log")
        return answer.split(b"\r\n", 1)[0], body

    both(pair, ask)
    modes = [(server.directory / "http.sock").stat().st_mode & 0o7777 for server in pair]
    assert modes == [0o777, 0o777]
