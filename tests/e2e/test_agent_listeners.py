"""What others send to the agent: through real clients, into Skywatch."""

import gzip
import socket
import ssl
import subprocess
import time

import influxdb
import influxdb_client
import pytest
import requests
import statsd
from conftest import Process, free_port, need, wait_until
from influxdb_client.client.write_api import SYNCHRONOUS

T0 = 1_700_000_000_000_000_000


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def start_agent(skywatch_bin, skywatch, tmp_path):
    """A function that starts an agent whose output is Skywatch; stopped after the test."""
    started = []

    def start(inputs):
        config = tmp_path / "agent.conf"
        config.write_text(
            f"""
[agent]
  omit_hostname = true
  interval = "1s"
  flush_interval = "200ms"
  metric_buffer_limit = 100000
[[outputs.influxdb]]
  urls = ["{skywatch.url}"]
  database = "db"
{inputs}"""
        )
        agent = Process([skywatch_bin, "agent", "--config", config], tmp_path / "agent.log")
        started.append(agent)
        return agent.start()

    yield start
    for agent in started:
        agent.stop()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def arrived(server, query, rows):
    """Waits for the rows, times aside."""

    def found():
        answer = server.query(query)["results"][0].get("series", [{"values": []}])[0]["values"]
        return [row[1:] for row in answer]

    wait_until(lambda: found() == rows, f"{rows} for {query}", 20)


def test_influxdb_clients_of_both_versions(start_agent, skywatch):
    one, two = free_port(), free_port()
    agent = start_agent(
        f"""
[[inputs.influxdb_listener]]
  service_address = "127.0.0.1:{one}"
  database_tag = "database"
  retention_policy_tag = "policy"
  basic_username = "user"
  basic_password = "pass"
[[inputs.influxdb_v2_listener]]
  service_address = "127.0.0.1:{two}"
  bucket_tag = "bucket"
  token = "secret"
"""
    )
    wait_until(lambda: listens(one) and listens(two), "the listeners")

    client = influxdb.InfluxDBClient("127.0.0.1", one, "user", "pass", "metrics")
    assert client.ping() == "1.0"
    client.create_database("metrics")
    points = [{"measurement": "v1", "tags": {"t": "a b"}, "fields": {"i": 1, "f": 0.5, "s": "x,y"}, "time": T0}]
    client.write_points(points, retention_policy="short")
    arrived(skywatch, 'SELECT "database", "policy", t, i, f, s FROM v1', [["metrics", "short", "a b", 1, 0.5, "x,y"]])
    with pytest.raises(influxdb.exceptions.InfluxDBClientError, match="wrong"):
        influxdb.InfluxDBClient("127.0.0.1", one, "user", "no", "metrics").write_points(points)
    answer = requests.post(
        f"http://127.0.0.1:{one}/write?precision=s", data="part x=1 1700000000\nbad", auth=("user", "pass"), timeout=10
    )
    assert answer.status_code == 400 and "unable to parse 'bad'" in answer.json()["error"]
    arrived(skywatch, "SELECT x FROM part", [[1]])

    with influxdb_client.InfluxDBClient(f"http://127.0.0.1:{two}", token="secret", org="o") as second:
        assert second.ping()
        write = second.write_api(write_options=SYNCHRONOUS)
        write.write("b1", "o", influxdb_client.Point("v2").tag("t", "1").field("x", 2).time(T0))
        arrived(skywatch, "SELECT bucket, t, x FROM v2", [["b1", "1", 2]])
        with pytest.raises(influxdb_client.rest.ApiException) as refused:
            write.write("b1", "o", "none x=1\nbad")
        assert refused.value.status == 400
    answer = requests.post(f"http://127.0.0.1:{two}/api/v2/write", data="none x=1", timeout=10)
    assert answer.status_code == 401
    assert skywatch.rows("SELECT * FROM none") == [], "all or nothing"
    assert agent.stop() == 0, agent.output()


def test_http_listener_over_tls(start_agent, skywatch, certificate):
    cert, key = certificate
    port = free_port()
    start_agent(
        f"""
[[inputs.http_listener_v2]]
  service_address = "tcp://127.0.0.1:{port}"
  paths = ["/in", "/other"]
  path_tag = true
  max_body_size = "1KB"
  tls_cert = "{cert}"
  tls_key = "{key}"
  [inputs.http_listener_v2.http_header_tags]
    X-Site = "site"
  [inputs.http_listener_v2.http_headers]
    X-Answer = "42"
"""
    )
    wait_until(lambda: listens(port), "the listener")
    url = f"https://127.0.0.1:{port}"
    headers = {"X-Site": "eu", "Content-Encoding": "gzip"}
    answer = requests.post(
        f"{url}/in", data=gzip.compress(f"h x=1 {T0}".encode()), headers=headers, verify=cert, timeout=10
    )
    assert (answer.status_code, answer.headers["X-Answer"]) == (204, "42")
    arrived(skywatch, "SELECT http_listener_v2_path, site, x FROM h", [["/in", "eu", 1]])
    for method, path, data, status in [
        ("POST", "/none", "h x=1", 404),
        ("GET", "/in", "", 405),
        ("POST", "/in", "h x=", 400),
        ("POST", "/in", "h x=1\n" * 1000, 413),
        ("PUT", "/other", "h x=1", 204),
    ]:
        answer = requests.request(method, url + path, data=data, verify=cert, timeout=10)
        assert answer.status_code == status, (method, path, answer.text)
    packed = gzip.compress(b"h x=1\n" * 1000)
    answer = requests.post(f"{url}/in", data=packed, headers=headers, verify=cert, timeout=10)
    assert answer.status_code == 413, "a small body that unpacks to a large one"


def test_sockets_and_statsd(start_agent, skywatch, certificate, tmp_path):
    cert, key = certificate
    tcp, udp, counters = free_port(), free_port(), free_port()
    agent = start_agent(
        f"""
[[inputs.socket_listener]]
  service_address = "tcp://127.0.0.1:{tcp}"
  tls_cert = "{cert}"
  tls_key = "{key}"
[[inputs.socket_listener]]
  service_address = "udp://127.0.0.1:{udp}"
[[inputs.statsd]]
  service_address = "127.0.0.1:{counters}"
  percentiles = [90.0]
  datadog_extensions = true
"""
    )
    wait_until(lambda: listens(tcp), "the listener")
    context = ssl.create_default_context(cafile=cert)
    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", tcp), 10), server_hostname="127.0.0.1"
    ) as connection:
        # More than one buffer of it, cut anywhere.
        text = "".join(f"stream n={n}i {T0 + n}\n" for n in range(20_000)).encode()
        for start in range(0, len(text), 77_777):
            connection.sendall(text[start : start + 77_777])
        # A close without a goodbye resets the connection, and what is under way is lost.
        connection.unwrap()
    arrived(skywatch, "SELECT count(n), sum(n) FROM stream", [[20_000, sum(range(20_000))]])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"datagram x=1 {T0}\ndatagram x=2 {T0 + 1}".encode(), ("127.0.0.1", udp))
        sender.sendto(b"bad", ("127.0.0.1", udp))
    arrived(skywatch, "SELECT x FROM datagram", [[1], [2]])
    wait_until(lambda: "unable to parse 'bad'" in agent.output(), "the bad datagram in the log")

    client = statsd.StatsClient("127.0.0.1", counters, prefix="app")
    deadline = time.monotonic() + 10
    while not skywatch.rows('SELECT * FROM "app.up"') and time.monotonic() < deadline:
        client.gauge("up", 1)
        time.sleep(0.2)
    with client.pipeline() as pipeline:
        for milliseconds in range(1, 101):
            pipeline.incr("requests")
            pipeline.timing("took", milliseconds)
    arrived(skywatch, 'SELECT sum(value) FROM "app.requests"', [[100]])
    arrived(
        skywatch,
        'SELECT metric_type, "count", mean, upper, "90_percentile" FROM "app.took"',
        [["timing", 100, 50.5, 100, 91]],
    )
