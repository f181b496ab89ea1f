"""Subscriptions forwarding writes: to UDP sockets, to another Skywatch and to a real InfluxDB; dead and slow destinations."""

import base64
import http.server
import queue
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
from conftest import free_port, need, wait_until

# Each write, its parameters, and points that all arrive.
WRITES = [
    ("cpu,host=a v=1 1700000000000000001\ncpu,host=b v=2.5,n=7i,up=true 1700000000000000002", {}),
    ('log text="two\nlines, \\"quoted\\"" 1700000000', {"precision": "s"}),
    ("with\\ space,tag\\,key=a\\ b field=-1i 1700000000123", {"precision": "ms"}),
]


class Udp:
    """A UDP port and what has arrived there."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.url = f"udp://127.0.0.1:{self.socket.getsockname()[1]}"

    def take(self, count):
        return [self.socket.recv(65536).decode() for _ in range(count)]

    def is_silent(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(65536) is None
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(10)


@pytest.fixture
def udp():
    """A function that opens UDP ports; they are closed after the test."""
    opened = []

    def open_port():
        opened.append(Udp())
        return opened[-1]

    yield open_port
    for port in opened:
        port.socket.close()


def subscribe(url, name, mode, *destinations, policy="db.autogen"):
    places = ", ".join(f"'{destination}'" for destination in destinations)
    ask(url, f"CREATE SUBSCRIPTION {name} ON {policy} DESTINATIONS {mode} {places}")


def ask(url, q, db="db", **params):
    answer = requests.post(f"{url}/query", params={"db": db, **params}, data={"q": q}, timeout=30)
    assert answer.status_code == 200, answer.text
    result = answer.json()["results"][0]
    assert "error" not in result, result
    return result.get("series", [])


def write(url, lines, expected=204, **params):
    answer = requests.post(f"{url}/write", params={"db": "db", **params}, data=lines.encode(), timeout=30)
    assert answer.status_code == expected, answer.text


def statistics(url, measurement="subscriber"):
    """Fields by destination; the totals have none."""
    return {
        each.get("tags", {}).get("destination", ""): dict(zip(each["columns"], each["values"][0]))
        for each in ask(url, f"SHOW STATS FOR '{measurement}'")
    }


def test_datagrams_are_those_of_influxdb(skywatch, influxd, udp):
    ours, theirs = udp(), udp()
    ask(influxd.url, "CREATE DATABASE db")
    for server, port in ((skywatch, ours), (influxd, theirs)):
        subscribe(server.url, "s", "ALL", port.url)
        for lines, params in WRITES:
            write(server.url, lines, **params)
    received = ours.take(4)
    assert sorted(received) == sorted(theirs.take(4))
    assert "cpu,host=a v=1 1700000000000000001" in received
    ask(influxd.url, "DROP DATABASE db")


def test_a_subscription_works_at_once_and_ends_at_once(skywatch, udp):
    first, second = udp(), udp()
    write(skywatch.url, "m v=1 1")
    subscribe(skywatch.url, "a", "ALL", first.url)
    write(skywatch.url, "m v=2 2")
    subscribe(skywatch.url, "b", "ALL", second.url)
    ask(skywatch.url, "DROP SUBSCRIPTION a ON db.autogen")
    write(skywatch.url, "m v=3 3")
    assert first.take(1) == ["m v=2 2"] and second.take(1) == ["m v=3 3"]
    # The same name again, elsewhere.
    ask(skywatch.url, "DROP SUBSCRIPTION b ON db.autogen")
    subscribe(skywatch.url, "b", "ALL", first.url)
    write(skywatch.url, "m v=4 4")
    assert first.take(1) == ["m v=4 4"]
    assert second.is_silent()
    ask(skywatch.url, "DROP DATABASE db")
    assert list(statistics(skywatch.url)) == [""]


def test_only_what_was_stored_and_only_of_its_policy(skywatch, udp):
    port = udp()
    ask(skywatch.url, "CREATE RETENTION POLICY hour ON db DURATION 1h REPLICATION 1")
    subscribe(skywatch.url, "s", "ALL", port.url, policy='db."hour"')
    write(skywatch.url, "m v=1 1")
    now = time.time_ns()
    write(skywatch.url, f"m v=1 {now}", rp="hour")
    # Another type, too old, no line at all, and one that is stored.
    write(skywatch.url, f'm v="x" {now + 1}\nm v=2 1\nm v=\nm v=3 {now + 2}', 400, rp="hour")
    assert port.take(2) == [f"m v=1 {now}", f"m v=3 {now + 2}"]
    assert port.is_silent()


def test_what_queries_write_is_forwarded_too(skywatch, udp):
    port = udp()
    write(skywatch.url, "m,host=a v=1 1\nm,host=b v=3 2")
    subscribe(skywatch.url, "s", "ALL", port.url)
    ask(skywatch.url, "SELECT v INTO copy FROM m GROUP BY host")
    assert sorted(port.take(2)) == ["copy,host=a v=1 1", "copy,host=b v=3 2"]
    ask(skywatch.url, "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT sum(v) INTO sums FROM m GROUP BY time(1s) END")
    write(skywatch.url, "\n".join(f"m v=1 {int(time.time()) + second}000000000" for second in range(30)))
    assert all(line.startswith("m v=1 ") for line in port.take(30))
    assert port.take(1)[0].startswith("sums sum=1 ")


def test_any_takes_turns_and_passes_over_the_dead(start_skywatch, tmp_path, udp):
    config = tmp_path / "skywatch.toml"
    config.write_text("[subscriber]\nwrite-concurrency = 1\n")
    server = start_skywatch("--config", config)
    ask(server.url, "CREATE DATABASE db")
    first, second = udp(), udp()
    subscribe(server.url, "s", "ANY", first.url, f"http://127.0.0.1:{free_port()}", second.url)
    for number in range(6):
        write(server.url, f"m v={number} {number}")
    values = [[line.split()[-1] for line in port.take(count)] for port, count in ((first, 2), (second, 4))]
    assert values == [["0", "3"], ["1", "2", "4", "5"]]
    assert first.is_silent() and second.is_silent()


def test_http_destinations_get_the_same_points(skywatch, start_skywatch, tmp_path_factory, influxd):
    other = start_skywatch(directory=tmp_path_factory.mktemp("other"))
    dead = f"http://127.0.0.1:{free_port()}"
    for server in (other, influxd):
        ask(server.url, "CREATE DATABASE db")
        ask(server.url, "CREATE RETENTION POLICY more ON db DURATION INF REPLICATION 1")
    ask(skywatch.url, "CREATE RETENTION POLICY more ON db DURATION INF REPLICATION 1")
    for policy in ("autogen", "more"):
        subscribe(skywatch.url, "s", "ALL", other.url, dead, influxd.url, policy=f"db.{policy}")
    for lines, params in WRITES:
        write(skywatch.url, lines, **params)
        write(skywatch.url, lines, rp="more", **params)

    def delivered(url):
        totals = {}
        for each in ask(url, "SHOW STATS FOR 'subscriber'")[1:]:
            destination = each["tags"]["destination"]
            totals[destination] = totals.get(destination, 0) + each["values"][0][0]
        return totals

    wait_until(
        lambda: delivered(skywatch.url) == {other.url: 8, dead: 0, influxd.url: 8}, "all points to be delivered"
    )
    for policy in ("autogen", "more"):
        for measurement in ("cpu", "log", "with space"):
            answers = [
                ask(server.url, f'SELECT * FROM db.{policy}."{measurement}"', epoch="ns")
                for server in (skywatch, other, influxd)
            ]
            assert answers[0] == answers[1] == answers[2] and answers[0], measurement
    assert statistics(skywatch.url)[dead]["writeFailures"] == 3
    totals = statistics(skywatch.url)[""]
    assert (totals["pointsWritten"], totals["writeFailures"], totals["createFailures"]) == (16, 6, 0)
    ask(influxd.url, "DROP DATABASE db")


@pytest.fixture
def https(tmp_path):
    """An HTTPS server with a certificate of its own making: its URL, the certificate, and a queue of what it is sent."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    requests_seen = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            requests_seen.put((self.path, self.headers.get("Authorization"), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", certificate, requests_seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("trust", ["ca-certs", "insecure-skip-verify", "nothing"])
def test_https_destinations_are_trusted_as_configured(start_skywatch, tmp_path, https, trust):
    address, certificate, requests_seen = https
    settings = {"ca-certs": f'ca-certs = "{certificate}"', "insecure-skip-verify": "insecure-skip-verify = true"}
    config = tmp_path / "skywatch.toml"
    config.write_text(f"[subscriber]\n{settings.get(trust, '')}\n")
    server = start_skywatch("--config", config)
    ask(server.url, "CREATE DATABASE db")
    url = f"https://user:secret@{address}/below"
    subscribe(server.url, "s", "ALL", url)
    write(server.url, "m v=1 1")
    if trust == "nothing":
        wait_until(lambda: statistics(server.url)[url]["writeFailures"] == 1, "the failure to be counted")
        assert requests_seen.empty()
        assert address in server.output() and "secret" not in server.output()
    else:
        path, authorization, body = requests_seen.get(timeout=20)
        assert path.startswith("/below/write?") and body == "m v=1 1\n"
        assert {"db=db", "rp=autogen", "precision=ns"} <= set(path.split("?")[1].split("&"))
        assert base64.b64decode(authorization.removeprefix("Basic ")) == b"user:secret"
        wait_until(lambda: statistics(server.url)[url]["pointsWritten"] == 1, "the point to be counted")


def test_a_destination_that_hangs_costs_its_copies_and_nothing_else(start_skywatch, tmp_path, udp):
    config = tmp_path / "skywatch.toml"
    config.write_text("[subscriber]\nwrite-concurrency = 1\nwrite-buffer-size = 3\nhttp-timeout = \"600s\"\n")
    server = start_skywatch("--config", config)
    ask(server.url, "CREATE DATABASE db")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}"
        port = udp()
        subscribe(server.url, "s", "ALL", hanging, port.url)
        for number in range(20):
            write(server.url, f"m v={number} {number}")
            assert port.take(1) == [f"m v={number} {number}"], "the other destination gets everything"
        writes = statistics(server.url, "write")[""]
        # One is on its way, three wait.
        assert (writes["subWriteOk"], writes["subWriteDrop"]) == (4, 16)
        assert statistics(server.url)[""]["writeFailures"] == 16
        assert server.rows("SELECT count(v) FROM m")[0][1] == 20
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15, "what hangs does not hold up the end"


def test_what_waits_is_sent_before_the_end(start_skywatch, tmp_path, udp):
    server = start_skywatch()
    ask(server.url, "CREATE DATABASE db")
    port = udp()
    subscribe(server.url, "s", "ALL", port.url)
    for number in range(50):
        write(server.url, f"m v={number} {number}")
    assert server.stop() == 0
    assert sorted(int(line.split()[-1]) for line in port.take(50)) == list(range(50))
    again = start_skywatch()
    write(again.url, "m v=50 50")
    assert port.take(1) == ["m v=50 50"], "subscriptions outlive the server"


def test_switched_off_nothing_is_forwarded(start_skywatch, tmp_path, udp):
    config = tmp_path / "skywatch.toml"
    config.write_text("[subscriber]\nenabled = false\n")
    server = start_skywatch("--config", config)
    ask(server.url, "CREATE DATABASE db")
    port = udp()
    subscribe(server.url, "s", "ALL", port.url)
    write(server.url, "m v=1 1")
    assert ask(server.url, "SHOW STATS FOR 'subscriber'") == []
    assert statistics(server.url, "write")[""]["subWriteOk"] == 0
    assert port.is_silent()
