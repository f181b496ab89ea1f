"""The agent beside the services of a cloud: HAProxy, ZooKeeper, keepalived and Prometheus, each of them real."""

import os
import shutil
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import requests
from conftest import ROOT, Process, answers, free_port, need, wait_until


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


KEEPALIVED = """
global_defs {{
  router_id {name}
  script_user root
  enable_script_security
  vrrp_version 3
}}
track_file load {{
  file /tmp/load
  weight 1
}}
vrrp_script alive {{
  script "/bin/true"
  interval 1
  weight 2
}}
vrrp_instance VI_1 {{
  state {state}
  interface {interface}
  virtual_router_id 51
  priority {priority}
  advert_int 0.1
  track_file {{
    load weight 1
  }}
  track_script {{
    alive
  }}
  virtual_ipaddress {{
    10.77.0.100/24
  }}
}}
"""

VIRTUAL_SERVER = """
virtual_server 10.77.0.100 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 127.0.0.1 8081 {
    weight 3
    TCP_CHECK {
      connect_timeout 1
      retry 0
    }
  }
  real_server 127.0.0.1 8082 {
    TCP_CHECK {
      connect_timeout 1
      retry 0
    }
  }
}
"""


class Router(Process):
    """keepalived on a host of its own: a network namespace, and a /tmp that is `directory` from outside."""

    def __init__(self, directory, namespace, interface, state, priority, more="", preload=None):
        directory.mkdir()
        text = KEEPALIVED.format(name=namespace, state=state, interface=interface, priority=priority)
        (directory / "keepalived.conf").write_text(text + more)
        (directory / "load").write_text("5\n")
        self.directory = directory
        self.pid_file = directory / "keepalived.pid"
        command = "exec keepalived -n -l -D -f /tmp/keepalived.conf -p /tmp/keepalived.pid -r /tmp/vrrp.pid -c /tmp/check.pid"
        # Without virtual servers to check, VRRP is all it does.
        command += "" if more else " -P"
        prepare = f"mount --bind {directory} /tmp" + (f"; export LD_PRELOAD={preload}" if preload else "")
        command = f"{prepare}; {command}"
        super().__init__(["ip", "netns", "exec", namespace, "sh", "-c", command], directory / "keepalived.log")


@pytest.fixture
def routers(tmp_path):
    """Two hosts of one network with keepalived: the first is the master and checks servers, the second waits."""
    need("keepalived", "keepalived")
    need("ip", "iproute2")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    namespaces = [f"skywatch-{os.getpid()}-{side}" for side in "ab"]
    more, preload = "", None
    if compiler := shutil.which("cc"):
        source, preload = ROOT / "tests" / "e2e" / "ipvs_yes.c", tmp_path / "ipvs_yes.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", preload, source, "-ldl"], check=True, timeout=60)
        more = VIRTUAL_SERVER
    started = []

    def ip(*arguments):
        return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)

    try:
        for namespace in namespaces:
            if subprocess.run(["ip", "netns", "add", namespace], capture_output=True, timeout=10).returncode:
                pytest.skip("this machine has no network namespaces")
        a, b = namespaces
        ip("link", "add", "va", "netns", a, "type", "veth", "peer", "name", "vb", "netns", b)
        for namespace, interface, address in ((a, "va", "10.77.0.1/24"), (b, "vb", "10.77.0.2/24")):
            ip("-n", namespace, "addr", "add", address, "dev", interface)
            ip("-n", namespace, "link", "set", "lo", "up")
            ip("-n", namespace, "link", "set", interface, "up")
        web = ["ip", "netns", "exec", a, "python3", "-m", "http.server", "-b", "127.0.0.1", "8081"]
        started.append(Process(web, tmp_path / "web.log").start())
        started.append(Router(tmp_path / "a", a, "va", "MASTER", 100, more, "/tmp/ipvs_yes.so" if more else None))
        if more:
            shutil.copy(preload, tmp_path / "a")
        started.append(Router(tmp_path / "b", b, "vb", "BACKUP", 80))
        for router in started[1:]:
            router.start()
            wait_until(lambda: not router.running() or router.pid_file.exists(), "keepalived's pid file")
            assert router.running(), router.output()
        yield started[1], started[2], bool(more)
    finally:
        for process in reversed(started):
            process.stop()
        for namespace in namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, timeout=10)


def test_keepalived_before_and_after_a_failover(routers, skywatch_bin, tmp_path):
    first, second, checks = routers

    def points(router, options=""):
        lines, said = gather(skywatch_bin, tmp_path, f"""
[[inputs.keepalived]]
  pid_file = "{router.pid_file}"
  {options}
""")
        found = {}
        for measurement, tags, fields in lines:
            found.setdefault(measurement, []).append((tags, fields))
        return found, said

    def instance(router, state, options=""):
        found, said = points(router, options)
        tags, fields = found.get("keepalived_vrrp", [({}, {})])[0]
        return (found, tags, fields, said) if fields.get("state_name") == f'"{state}"' else None

    found, tags, fields, said = wait_until(lambda: instance(first, "MASTER"), "the first to be the master")
    assert tags == {"instance": "VI_1", "interface": "va", "virtual_router_id": "51"}, said
    assert fields["state"] == "2i" and fields["became_master"] == "1u"
    assert fields["addresses"] == fields["addresses_set"] == fields["addresses_present"] == "1i"
    [(address, presence)] = found["keepalived_address"]
    assert address == {"address": "10.77.0.100", "instance": "VI_1", "interface": "va"}
    assert presence["present"] == presence["expected"] == "1i"
    tracked = {(tags["type"], tags["name"]): fields for tags, fields in found["keepalived_track"]}
    assert tracked["file", "load"]["value"] == "5i" and tracked["script", "alive"]["weight"] == "2i"
    assert found["keepalived"][0][1]["running"] == "1i"
    # Priorities follow what is tracked.
    wait_until(lambda: instance(first, "MASTER")[2]["effective_priority"] == "107i", "the weights to be added")
    (first.directory / "load").write_text("9\n")
    wait_until(lambda: instance(first, "MASTER")[2]["effective_priority"] == "111i", "the file's new weight")

    def waiting():
        found = instance(second, "BACKUP")
        return found[2] if found and int(found[2]["adverts_received"][:-1]) > 0 else None

    fields_of_second = wait_until(waiting, "the second to hear the first")
    assert fields_of_second["priority"] == "80i" and fields_of_second["addresses_present"] == "0i"

    _, _, text, said = instance(first, "MASTER", 'format = "text"')
    assert set(text) == set(fields) and " E! " not in said, said

    if checks:
        def alive():
            found, _ = points(first)
            servers = {tags["port"]: fields["alive"] for tags, fields in found.get("keepalived_real_server", [])}
            return found if servers == {"8081": "1i", "8082": "0i"} else None

        found = wait_until(alive, "the checks of the two servers")
        [(tags, fields)] = found["keepalived_virtual_server"]
        assert tags == {"virtual_server": "10.77.0.100:80", "protocol": "tcp", "scheduler": "rr"}
        assert (fields["real_servers"], fields["real_servers_alive"], fields["weight_alive"]) == ("2i", "1i", "3i")
        assert fields["quorum_up"] == "1i"

    first.stop()
    found, tags, fields, _ = wait_until(lambda: instance(second, "MASTER"), "the second to take over")
    assert fields["became_master"] == "1u" and fields["addresses_present"] == "1i"
    found, said = points(first)
    assert found == {"keepalived": [({}, {"running": "0i"})]} and "is it running?" in said, said


def test_keepalived_without_the_right_to_signal_it(routers, skywatch_bin, tmp_path):
    first, _, _ = routers
    config = tmp_path / "agent.conf"
    config.write_text(f'[[inputs.keepalived]]\n  pid_file = "{first.pid_file}"\n[[outputs.file]]\n  files = ["stdout"]\n')
    tmp_path.chmod(0o755)
    for directory in tmp_path.parents:
        directory.chmod(directory.stat().st_mode | 0o011)
    first.directory.chmod(0o755)
    first.pid_file.chmod(0o644)
    # Where everybody may read it, whoever built it.
    binary = tmp_path / "skywatch"
    shutil.copy(skywatch_bin, binary)
    done = subprocess.run(
        [binary, "agent", "--config", config, "--test"], capture_output=True, text=True, timeout=60, user=65534
    )
    assert "the agent may not signal process" in done.stderr and "run it as root" in done.stderr, done.stderr
    assert "running=" not in done.stdout, "it runs, and nobody may say that it does not"


def test_the_agent_scrapes_a_node_exporter_and_skywatch(skywatch, skywatch_bin, tmp_path):
    binary = need("prometheus-node-exporter", "prometheus-node-exporter")
    port = free_port()
    command = [binary, f"--web.listen-address=127.0.0.1:{port}"]
    exporter = Process(command, tmp_path / "exporter.log").start()
    try:
        wait_until(lambda: not exporter.running() or answers(f"http://127.0.0.1:{port}/"), "the node exporter")
        assert exporter.running(), exporter.output()
        lines, said = gather(skywatch_bin, tmp_path, f"""
[[inputs.prometheus]]
  urls = ["http://127.0.0.1:{port}", "{skywatch.url}/metrics", "http://127.0.0.1:{free_port()}/metrics"]
  metric_version = 2
  enable_request_metrics = true
[[inputs.prometheus]]
  urls = ["http://127.0.0.1:{port}/metrics"]
  tags = {{version = "one"}}
""")
    finally:
        exporter.stop()
    assert said.count(" E! ") == 1 and "refused" in said, said
    node = f"http://127.0.0.1:{port}/metrics"
    two = [(name, tags, fields) for name, tags, fields in lines if tags.get("version") != "one"]
    one = {name: (tags, fields) for name, tags, fields in lines if tags.get("version") == "one"}
    total = next(fields for _, _, fields in two if "node_memory_MemTotal_bytes" in fields)
    with open("/proc/meminfo") as meminfo:
        kib = int(meminfo.readline().split()[1])
    assert float(total["node_memory_MemTotal_bytes"]) == kib * 1024
    assert float(one["node_memory_MemTotal_bytes"][1]["gauge"]) == kib * 1024
    assert one["node_memory_MemTotal_bytes"][0] == {"url": node, "version": "one"}
    assert "counter" in one["node_cpu_seconds_total"][1] and one["node_cpu_seconds_total"][0].keys() >= {"cpu", "mode"}
    assert {"count", "sum"} <= one["go_gc_duration_seconds"][1].keys()
    quantiles = [tags["quantile"] for _, tags, fields in two if "go_gc_duration_seconds" in fields and tags["url"] == node]
    assert quantiles == ["0", "0.25", "0.5", "0.75", "1"]
    own = [fields for name, tags, fields in two if tags.get("url") == f"{skywatch.url}/metrics" and name == "prometheus"]
    assert len(own) > 20, own
    requests_made = [(tags, fields) for name, tags, fields in two if name == "prometheus_request"]
    assert len(requests_made) == 3
    assert all(float(fields["response_time"]) > 0 for _, fields in requests_made)
    assert [fields for _, fields in requests_made if "content_length" not in fields], "the dead one has no page"


def test_one_agent_scrapes_another_with_a_certificate(run_agent, skywatch_bin, tmp_path):
    certificate(tmp_path, "ca", ca=True)
    certificate(tmp_path, "server", authority="ca")
    certificate(tmp_path, "client", authority="ca")
    port = free_port()
    run_agent(f"""
[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "kvm-01"
[[inputs.mem]]
[[outputs.prometheus_client]]
  listen = "127.0.0.1:{port}"
  tls_cert = "{tmp_path}/server.pem"
  tls_key = "{tmp_path}/server.key"
  tls_allowed_cacerts = ["{tmp_path}/ca.pem"]
""")
    config = f"""
[[inputs.prometheus]]
  urls = ["https://localhost:{port}"]
  metric_version = 2
  tls_ca = "{tmp_path}/ca.pem"
"""
    wait_until(lambda: connects("127.0.0.1", port), "the agent to listen")
    lines, said = gather(skywatch_bin, tmp_path, config)
    assert lines == [] and "certificate" in said.lower(), said
    config += f'tls_cert = "{tmp_path}/client.pem"\ntls_key = "{tmp_path}/client.key"\n'

    def seen():
        lines, _ = gather(skywatch_bin, tmp_path, config)
        return [tags for _, tags, fields in lines if "mem_total" in fields]

    assert wait_until(seen, "the memory of the other") == [{"host": "kvm-01", "url": f"https://localhost:{port}/metrics"}]
