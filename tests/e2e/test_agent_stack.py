"""The agent beside the services of a cloud: HAProxy, ZooKeeper, keepalived and Prometheus, each of them real."""

import os
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import requests
from conftest import Process, answers, free_port, need, wait_until


def gather(skywatch_bin, tmp_path, inputs):
    """What `--test` prints for the inputs: lines as (measurement, tags, fields), and what it said."""
    path = tmp_path / f"inputs-{time.monotonic_ns()}.conf"
    path.write_text(f'[agent]\n  omit_hostname = true\n{inputs}\n[[outputs.file]]\n  files = ["/dev/null"]\n')
    done = subprocess.run(
        [skywatch_bin, "agent", "--config", path, "--test"], capture_output=True, text=True, timeout=60
    )
    lines = [split_line(line[2:]) for line in done.stdout.splitlines() if line.startswith("> ")]
    return lines, done.stderr


def split_line(line):
    """A line of line protocol without escapes as (measurement, tags, fields)."""
    key, fields, _ = line.split(" ", 1)[0], line.split(" ", 1)[1].rsplit(" ", 1)[0], None
    measurement, *tags = key.split(",")
    pairs, text = [], fields
    while text:
        name, text = text.split("=", 1)
        if text.startswith('"'):
            end = text.index('"', 1)
            value, text = text[: end + 1], text[end + 2 :]
        else:
            value, _, text = text.partition(",")
        pairs.append((name, value))
    return measurement, dict(tag.split("=", 1) for tag in tags), dict(pairs)


def certificate(directory, name, authority=None, san="DNS:localhost,IP:127.0.0.1", ca=False):
    """Makes NAME.key and NAME.pem by openssl, signed by `authority` or by itself."""
    need("openssl", "openssl")
    key, pem = directory / f"{name}.key", directory / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", key, "-out", pem, "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}"]
    command += ["-addext", f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}"]
    if authority:
        command += ["-CA", directory / f"{authority}.pem", "-CAkey", directory / f"{authority}.key"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return pem, key


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory):
    """HAProxy with a frontend, a backend of three servers (up, down, in reserve), sockets and pages."""
    binary = need("haproxy", "haproxy")
    directory = tmp_path_factory.mktemp("haproxy")
    pem, key = certificate(directory, "page")
    (directory / "both.pem").write_text(pem.read_text() + key.read_text())
    web = HTTPServer(("127.0.0.1", 0), Page)
    Thread(target=web.serve_forever, daemon=True).start()
    ports = {name: free_port() for name in ("front", "page", "tls", "command", "dead")}
    (directory / "haproxy.cfg").write_text(f"""
global
  stats socket {directory}/user.sock mode 600 level user
  stats socket ipv4@127.0.0.1:{ports['command']} level user
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind 127.0.0.1:{ports['front']} name plain
  option socket-stats
  default_backend app
backend app
  balance roundrobin
  option httpchk GET /
  default-server inter 100ms
  server up 127.0.0.1:{web.server_port} check
  server down 127.0.0.1:{ports['dead']} check
  server spare 127.0.0.1:{ports['dead']} backup
listen page
  bind 127.0.0.1:{ports['page']}
  bind 127.0.0.1:{ports['tls']} ssl crt {directory}/both.pem
  stats enable
  stats uri /haproxy?stats
  stats auth admin:secret
""")
    process = Process([binary, "-f", directory / "haproxy.cfg"], directory / "haproxy.log").start()
    try:
        wait_until(lambda: not process.running() or answers(f"http://127.0.0.1:{ports['front']}/"), "HAProxy")
        assert process.running(), process.output()
        yield directory, ports
    finally:
        process.stop()
        web.shutdown()


def test_haproxy_by_pages_and_sockets(haproxy, skywatch_bin, tmp_path):
    directory, ports = haproxy
    config = f"""
[[inputs.haproxy]]
  servers = [
    "http://127.0.0.1:{ports['page']}/haproxy?stats",
    "https://127.0.0.1:{ports['tls']}/haproxy?stats",
    "http://127.0.0.1:{free_port()}/nobody",
    "{directory}/*.sock",
    "socket:{directory}/gone",
    "tcp://127.0.0.1:{ports['command']}",
  ]
  username = "admin"
  password = "secret"
  tls_ca = "{directory}/page.pem"
"""
    down = {"type": "server", "proxy": "app", "sv": "down"}

    def seen():
        lines, said = gather(skywatch_bin, tmp_path, config)
        states = {fields["status"] for _, tags, fields in lines if down.items() <= tags.items()}
        return (lines, said) if states == {'"DOWN"'} else None

    lines, said = wait_until(seen, "the health check of the dead server")
    servers = [f"127.0.0.1:{ports['page']}", f"127.0.0.1:{ports['tls']}", f"{directory}/user.sock"]
    servers.append(f"127.0.0.1:{ports['command']}")
    for server in servers:
        of_server = {
            (tags["proxy"], tags["sv"], tags["type"]): fields for _, tags, fields in lines if tags["server"] == server
        }
        assert set(of_server) == {
            ("web", "FRONTEND", "frontend"), ("web", "plain", "listener"),
            ("app", "up", "server"), ("app", "down", "server"), ("app", "spare", "server"), ("app", "BACKEND", "backend"),
            ("page", "FRONTEND", "frontend"), ("page", "BACKEND", "backend"),
        }, server
        up = of_server["app", "up", "server"]
        assert up["status"] == '"UP"' and up["check_status"] == '"L7OK"' and up["mode"] == '"http"'
        assert up["active_servers"] == "1u" and up["lastsess"].endswith("i")
        assert of_server["app", "down", "server"]["check_status"] == '"L4CON"'
        assert of_server["app", "spare", "server"]["backup_servers"] == "1u"
        assert int(of_server["web", "FRONTEND", "frontend"]["stot"][:-1]) >= 1
        assert "last_chk" in of_server["app", "down", "server"]
    assert len(lines) == 8 * len(servers)
    assert "refused" in said and f"{directory}/gone: cannot connect: No such file" in said, said


def test_haproxy_says_what_refuses(haproxy, skywatch_bin, tmp_path):
    directory, ports = haproxy
    _, said = gather(skywatch_bin, tmp_path, f"""
[[inputs.haproxy]]
  servers = ["http://127.0.0.1:{ports['page']}/haproxy?stats", "https://127.0.0.1:{ports['tls']}/haproxy?stats"]
  password = "wrong"
""")
    assert f"127.0.0.1:{ports['page']}: the status page answers 401" in said
    assert f"127.0.0.1:{ports['tls']}: " in said and "UnknownIssuer" in said


@pytest.fixture(scope="module")
def start_zookeeper(tmp_path_factory):
    """Starts ZooKeeper servers by themselves; one with `store` also speaks TLS on its second port."""
    java = need("java", "zookeeper")
    if not os.path.exists("/usr/share/java/zookeeper.jar"):
        pytest.skip("zookeeper is not installed (Debian package zookeeper)")
    classes = ["zookeeper", "slf4j-simple", "netty-all"]
    classes = ":".join(f"/usr/share/java/{name}.jar" for name in classes) + ":/usr/share/java/*"
    started = []

    def start(allowed, host="127.0.0.1", store=None):
        directory = tmp_path_factory.mktemp("zookeeper")
        port, secure = free_port(), free_port()
        settings = [
            f"dataDir={directory}/data", f"clientPort={port}", f"clientPortAddress={host}",
            "admin.enableServer=false", f"4lw.commands.whitelist={allowed}",
        ]
        if store:
            settings += [
                f"secureClientPort={secure}", f"secureClientPortAddress={host}", "ssl.clientAuth=none",
                "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
                f"ssl.keyStore.location={store}", "ssl.keyStore.type=PEM",
                f"ssl.trustStore.location={store}", "ssl.trustStore.type=PEM",
            ]
        (directory / "zoo.cfg").write_text("\n".join(settings) + "\n")
        command = [java, "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes]
        command += ["org.apache.zookeeper.server.quorum.QuorumPeerMain", directory / "zoo.cfg"]
        process = Process(command, directory / "zookeeper.log").start()
        started.append(process)
        wait_until(lambda: not process.running() or connects(host, port), "ZooKeeper to listen")
        assert process.running(), process.output()
        return port, secure

    yield start
    for process in started:
        process.stop()


def connects(host, port):
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False


def test_zookeeper_over_ipv4_ipv6_and_tls(start_zookeeper, skywatch_bin, tmp_path):
    pem, key = certificate(tmp_path, "zk")
    store = tmp_path / "both.pem"
    store.write_text(key.read_text() + pem.read_text())
    port, secure = start_zookeeper("*", store=store)
    six, _ = start_zookeeper("mntr", host="::1")
    closed, _ = start_zookeeper("srvr")
    config = f"""
[[inputs.zookeeper]]
  servers = ["127.0.0.1:{port}", "[::1]:{six}", "127.0.0.1:{closed}", "127.0.0.1:{free_port()}"]
[[inputs.zookeeper]]
  servers = ["localhost:{secure}"]
  parse_floats = "float"
  tls_ca = "{pem}"
"""

    def seen():
        lines, said = gather(skywatch_bin, tmp_path, config)
        return (lines, said) if len(lines) == 3 and "whitelist" in said else None

    lines, said = wait_until(seen, "the three servers that allow it to serve")
    by_port = {tags["port"]: (measurement, tags, fields) for measurement, tags, fields in lines}
    assert set(by_port) == {str(port), str(six), str(secure)}
    for measurement, tags, fields in by_port.values():
        assert measurement == "zookeeper" and tags["state"] == "standalone"
        assert fields["znode_count"].endswith("i") and fields["version"].startswith('"3.')
        assert fields["packets_received"].endswith("i") and len(fields) > 100
    assert by_port[str(six)][1]["server"] == "::1"
    assert by_port[str(port)][2]["avg_latency"].startswith('"')
    float(by_port[str(secure)][2]["avg_latency"])
    assert f"port {closed}: the server does not allow the command; add mntr to 4lw.commands.whitelist" in said
    assert "cannot connect to 127.0.0.1" in said


@pytest.fixture
def prometheus(tmp_path):
    """Starts a Prometheus that scrapes a target each second; returns a function that asks it for a query's result."""
    started = []

    def start(target, scrape):
        binary = need("prometheus", "prometheus")
        port = free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(f"""
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: agent
    static_configs: [{{targets: ["{target}"]}}]
{scrape}
""")
        command = [binary, f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb"]
        process = Process(command + [f"--web.listen-address=127.0.0.1:{port}"], tmp_path / "prometheus.log").start()
        started.append(process)
        wait_until(lambda: not process.running() or answers(f"http://127.0.0.1:{port}/-/ready"), "Prometheus")
        assert process.running(), process.output()

        def ask(query):
            answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=10)
            return answer.json()["data"]["result"] if answer.status_code == 200 else []

        return ask

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def run_agent(skywatch_bin, tmp_path):
    """Starts agents with the configurations given and stops them at the end."""
    started = []

    def run(config):
        path = tmp_path / f"agent-{len(started)}.conf"
        path.write_text(config)
        agent = Process([skywatch_bin, "agent", "--config", path], tmp_path / f"agent-{len(started)}.log").start()
        started.append(agent)
        return agent

    yield run
    for agent in started:
        agent.stop()


def test_prometheus_scrapes_the_agent_over_tls_with_a_certificate(run_agent, prometheus, tmp_path):
    certificate(tmp_path, "ca", ca=True)
    certificate(tmp_path, "server", authority="ca")
    certificate(tmp_path, "client", authority="ca", san="DNS:prometheus.example")
    certificate(tmp_path, "other", authority="ca", san="DNS:other.example")
    port = free_port()
    run_agent(f"""
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "kvm-01"
[[inputs.mem]]
[[inputs.system]]
[[outputs.prometheus_client]]
  listen = "127.0.0.1:{port}"
  basic_username = "prom"
  basic_password = "secret"
  ip_range = ["127.0.0.0/8"]
  tls_cert = "{tmp_path}/server.pem"
  tls_key = "{tmp_path}/server.key"
  tls_allowed_cacerts = ["{tmp_path}/ca.pem"]
  tls_allowed_dns_names = ["prometheus.example"]
  [outputs.prometheus_client.metric_types]
    counter = ["system_uptime"]
""")
    ask = prometheus(f"127.0.0.1:{port}", f"""
    scheme: https
    basic_auth: {{username: prom, password: secret}}
    tls_config: {{ca_file: {tmp_path}/ca.pem, cert_file: {tmp_path}/client.pem, key_file: {tmp_path}/client.key}}
""")
    total = wait_until(lambda: ask("mem_total"), "Prometheus to have scraped the agent")[0]
    assert total["metric"]["host"] == "kvm-01" and total["metric"]["job"] == "agent"
    with open("/proc/meminfo") as meminfo:
        kib = int(meminfo.readline().split()[1])
    assert float(total["value"][1]) == kib * 1024
    assert ask("up")[0]["value"][1] == "1"
    assert float(ask("process_resident_memory_bytes")[0]["value"][1]) > 1e6
    page = f"https://127.0.0.1:{port}/metrics"
    client = (f"{tmp_path}/client.pem", f"{tmp_path}/client.key")
    good = {"verify": f"{tmp_path}/ca.pem", "cert": client, "timeout": 5}
    assert requests.get(page, auth=("prom", "wrong"), **good).status_code == 401
    text = requests.get(page, auth=("prom", "secret"), **good)
    assert text.headers["Content-Encoding"] == "gzip" and "# TYPE system_uptime counter\n" in text.text
    for wrong in (None, (f"{tmp_path}/other.pem", f"{tmp_path}/other.key")):
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(page, auth=("prom", "secret"), **{**good, "cert": wrong})
