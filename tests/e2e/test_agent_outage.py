"""The agent when what it writes to is down, slow, or refuses: nothing that was kept on disk is lost, kill -9 included."""

import http.server
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
from conftest import Influxd, Process, Skywatch, need, wait_until

INPUTS = """
[agent]
  interval = "200ms"
  flush_interval = "300ms"
  precision = "1ms"
  hostname = "kvm-01"
[[inputs.mem]]
  fieldinclude = ["free", "used_percent"]
[[inputs.system]]
  fieldinclude = ["load1", "n_cpus", "uptime"]
"""


@pytest.fixture
def start_agent(skywatch_bin, tmp_path):
    """A function that starts an agent with this configuration; what it started is stopped after the test."""
    started = []

    def start(config):
        path = tmp_path / f"agent-{len(started)}.conf"
        path.write_text(config)
        agent = Process([skywatch_bin, "agent", "--config", path], tmp_path / f"agent-{len(started)}.log").start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.stop()


def points(url, measurement, field):
    """time -> value of a field, as the database has it."""
    answer = requests.get(
        f"{url}/query",
        params={"db": "telegraf", "epoch": "ns", "q": f'SELECT "{field}" FROM "{measurement}" WHERE host = \'kvm-01\''},
        timeout=30,
    ).json()
    series = answer["results"][0].get("series", [{"values": []}])
    return {row[0]: row[1] for row in series[0]["values"]}


def recorded(path, measurement, field):
    """time -> value of a field, as the output `file` wrote it: line protocol without anything to unescape."""
    found = {}
    for line in path.read_text().splitlines():
        head, fields, at = line.split(" ")
        values = dict(part.split("=") for part in fields.split(","))
        if head.split(",")[0] == measurement and field in values:
            found[int(at)] = float(values[field].rstrip("i"))
    return found


def buffer_bytes(directory):
    return sum(file.stat().st_size for file in directory.glob("*.metrics")) if directory.exists() else 0


class Target:
    """A database that can be down: Skywatch, or InfluxDB itself."""

    def __init__(self, kind, binary, directory):
        self.process = Skywatch(binary, directory) if kind == "skywatch" else Influxd(directory)
        self.url = self.process.url

    def start(self):
        self.process.start()
        return self


@pytest.mark.parametrize("kind", ["skywatch", "influxd"])
def test_an_outage_with_an_agent_killed_in_between_loses_nothing(kind, skywatch_bin, start_agent, tmp_path):
    target = Target(kind, skywatch_bin, tmp_path).start()
    copy, buffers = tmp_path / "copy.lp", tmp_path / "buffers"
    config = f"""{INPUTS}
[[outputs.influxdb]]
  urls = ["{target.url}"]
  buffer_strategy = "disk"
  buffer_directory = "{buffers}"
[[outputs.file]]
  files = ["{copy}"]
  buffer_strategy = "disk"
  buffer_directory = "{buffers}"
"""

    def lines():
        return copy.read_text().count("\n") if copy.exists() else 0

    try:
        agent = start_agent(config)
        wait_until(lambda: lines() > 6 and points(target.url, "mem", "free"), "the first metrics")
        target.process.stop()
        before = lines()
        wait_until(lambda: lines() > before + 24, "metrics during the outage")
        agent.kill()
        killed_at = time.time_ns()
        kept = buffer_bytes(buffers / "outputs.influxdb")
        assert kept > 0
        agent = start_agent(config)
        before = lines()
        wait_until(lambda: lines() > before + 24, "metrics of the second agent")
        assert buffer_bytes(buffers / "outputs.influxdb") > kept, "the second agent goes on with the same buffer"
        assert "metrics wait on disk from before" in agent.output()
        target.process.start()
        wait_until(lambda: max(points(target.url, "mem", "free"), default=0) > killed_at, "metrics after the outage")
        assert agent.stop() == 0
        for measurement, field in [("mem", "free"), ("system", "load1")]:
            sent, wanted = points(target.url, measurement, field), recorded(copy, measurement, field)
            # What was being collected at the kill may have been safe for one output and not yet for the other.
            differing = {at for at in sent.keys() ^ wanted.keys() if not killed_at - 500_000_000 < at < killed_at}
            assert not differing, (measurement, len(sent), len(wanted), sorted(differing))
            assert len(wanted) > 15 and all(sent[at] == wanted[at] for at in sent.keys() & wanted.keys())
            times = sorted(wanted)
            gaps = [b - a for a, b in zip(times, times[1:])]
            assert sum(gap > 1_000_000_000 for gap in gaps) <= 1, "but for the new start no collection is missing"
        written = [int(line.rsplit(" ", 1)[1]) for line in copy.read_text().splitlines() if line.startswith("mem,")]
        assert written == sorted(set(written)), "in order, and none twice"
    finally:
        target.process.stop()


def test_skywatch_and_influxdb_are_given_the_same(influxd, skywatch, start_agent):
    config = """
[agent]
  interval = "500ms"
  flush_interval = "500ms"
  precision = "1ms"
[global_tags]
  rack = "r 07, left=1"
[[inputs.cpu]]
[[inputs.mem]]
[[inputs.system]]
[[inputs.disk]]
[[inputs.net]]
[[inputs.kernel]]
"""
    for url in (influxd.url, skywatch.url):
        config += f'[[outputs.influxdb]]\n  urls = ["{url}"]\n  database = "same"\n'
    agent = start_agent(config)

    def ask(url):
        answer = requests.get(
            f"{url}/query",
            params={"db": "same", "epoch": "ns", "q": "SELECT * FROM /.*/ GROUP BY *"},
            timeout=30,
        ).json()
        series = answer["results"][0].get("series", [])
        return {(one["name"], json.dumps(one["tags"], sort_keys=True)): (one["columns"], one["values"]) for one in series}

    wait_until(lambda: all(max(map(len, (rows for _, rows in ask(url).values())), default=0) >= 4
                           for url in (influxd.url, skywatch.url)), "four collections in both")
    assert agent.stop() == 0
    theirs, ours = ask(influxd.url), ask(skywatch.url)
    assert {name for name, _ in theirs} >= {"cpu", "mem", "system", "disk", "net", "kernel"}
    assert theirs.keys() == ours.keys()
    for key in theirs:
        assert theirs[key] == ours[key], key


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers every request with 204 and remembers it."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body, getattr(self.connection, "getpeercert", dict)()))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """A function that starts a recording HTTP server on a free port, with TLS if a context is given."""
    servers = []

    def start(context=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
        server.seen = []
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def certificate(directory, name):
    """A self-signed certificate for 127.0.0.1 and its key."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}", "-nodes"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


def once(skywatch_bin, tmp_path, config):
    path = tmp_path / "once.conf"
    path.write_text(config)
    return subprocess.run([skywatch_bin, "agent", "--config", path, "--once"], capture_output=True, text=True, timeout=60)


def test_mutual_tls(serve, skywatch_bin, tmp_path):
    server_cert, server_key = certificate(tmp_path, "server")
    client_cert, client_key = certificate(tmp_path, "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_cert, server_key)
    context.load_verify_locations(client_cert)
    context.verify_mode = ssl.CERT_REQUIRED
    server = serve(context)
    config = f"""
[[inputs.mem]]
[[outputs.influxdb]]
  urls = ["https://127.0.0.1:{server.server_port}"]
  skip_database_creation = true
  tls_ca = "{server_cert}"
"""
    identity = f'  tls_cert = "{client_cert}"\n  tls_key = "{client_key}"\n'
    done = once(skywatch_bin, tmp_path, config + identity)
    assert done.returncode == 0, done.stderr
    (path, _, _, shown), = server.seen
    assert path == "/write?db=telegraf"
    assert shown["subject"] == ((("commonName", "client"),),)
    done = once(skywatch_bin, tmp_path, config)
    assert done.returncode != 0 and len(server.seen) == 1, "without a certificate nothing is taken"
    assert "could not be sent" in done.stderr and "certificate" in done.stderr.lower(), done.stderr


def test_a_slow_output_costs_the_fast_one_nothing(start_agent, tmp_path):
    with socket.socket() as hangs:
        # Takes connections and never answers.
        hangs.bind(("127.0.0.1", 0))
        hangs.listen(64)
        fast = tmp_path / "fast.lp"
        agent = start_agent(f"""{INPUTS}
[[outputs.influxdb]]
  urls = ["http://127.0.0.1:{hangs.getsockname()[1]}"]
  timeout = "30s"
[[outputs.file]]
  files = ["{fast}"]
""")
        wait_until(lambda: fast.exists() and len(recorded(fast, "mem", "free")) >= 15, "fifteen collections", 15)
        times = sorted(recorded(fast, "mem", "free"))
        gaps = [b - a for a, b in zip(times, times[1:])]
        assert max(gaps) < 1_000_000_000, gaps
        agent.kill()


def test_a_refused_metric_is_kept_in_a_file_and_costs_the_others_nothing(influxd, skywatch_bin, tmp_path):
    requests.post(f"{influxd.url}/query", params={"q": "CREATE DATABASE refused"}, timeout=10)
    for _ in range(2):
        # A shard of its time in which `load1` is a text.
        conflict = f'system load1="text" {time.time_ns()}'
        assert requests.post(f"{influxd.url}/write", params={"db": "refused"}, data=conflict, timeout=10).status_code == 204
    kept = tmp_path / "rejected.lp"
    config = f"""
[[inputs.mem]]
[[inputs.system]]
[[inputs.kernel]]
[[outputs.influxdb]]
  urls = ["{influxd.url}"]
  database = "refused"
  rejected_file = "{kept}"
"""
    once(skywatch_bin, tmp_path, config)
    reason, line = kept.read_text().splitlines()
    assert reason.startswith("# 20") and "outputs.influxdb: 400: partial write: field type conflict" in reason, reason
    assert line.startswith("system,") and "load1=" in line
    answer = requests.get(f"{influxd.url}/query", params={"db": "refused", "q": "SHOW MEASUREMENTS"}, timeout=10).json()
    assert answer["results"][0]["series"][0]["values"] == [["kernel"], ["mem"], ["system"]]


def test_two_agents_cannot_share_a_buffer(start_agent, skywatch_bin, tmp_path):
    config = f"""{INPUTS}
[[outputs.influxdb]]
  urls = ["http://127.0.0.1:1"]
  buffer_strategy = "disk"
  buffer_directory = "{tmp_path}/buffers"
"""
    first = start_agent(config)
    wait_until(lambda: buffer_bytes(tmp_path / "buffers" / "outputs.influxdb") > 0, "the first agent to keep metrics")
    second = start_agent(config)
    assert wait_until(lambda: not second.running(), "the second agent to give up")
    assert second.process.returncode != 0
    assert f"is in use by another agent (process {first.process.pid})" in second.output(), second.output()
    assert first.running()
    first.process.send_signal(signal.SIGTERM)
    first.process.wait(30)
    assert "metrics stay on disk until the next start" in first.output(), first.output()
