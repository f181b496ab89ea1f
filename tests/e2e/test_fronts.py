"""Two fronts with HAProxy and keepalived before a cluster, from what `skywatch render` writes: each part stopped, killed and cut
off under load, and counted what became of the writes; TLS and strangers on every port.
"""

import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
from cloud import TLS, Cloud, Service, picture
from conftest import OUT, SLOW_MACHINE, need, wait_until
from load import run

INVENTORY = picture(
    {
        "meta1": (11, "east", "meta"),
        "meta2": (12, "west", "meta"),
        "meta3": (13, "east", "meta"),
        "agent1": (41, "east", "agent"),
    },
    'mode = "native"',
)

# What an operator of the picture may count on: VRRP takes over within this.
FAIL_OVER_SECONDS_MAX = 3


@pytest.fixture(scope="module")
def cloud(skywatch_bin, tmp_path_factory):
    for command in ("haproxy", "keepalived", "openssl"):
        need(command, command)
    with Cloud(skywatch_bin, tmp_path_factory.mktemp("cloud"), INVENTORY) as cloud:
        for front in cloud.fronts:
            hook = front.host.path("/etc/keepalived/notify.d/record")
            hook.write_text("#!/bin/sh\necho $3 >> /var/log/vrrp-states\n")
            hook.chmod(0o755)
        try:
            yield cloud.start()
        finally:
            (OUT / "fronts.log").write_text(cloud.outputs())


class Agent(Service):
    """The real agent, which reads lines from a file and writes them through the shared address over a buffer on disk."""

    def __init__(self, cloud):
        node = cloud.of("agent")[0]
        self.cloud = cloud
        self.lines = node.host.path("/var/lib/metrics.in")
        self.lines.write_text("")
        node.host.path("/etc/skywatch/counted.conf").write_text(f"""
[agent]
  flush_interval = "200ms"
  omit_hostname = true
[[inputs.tail]]
  files = ["/var/lib/metrics.in"]
  from_beginning = true
  data_format = "influx"
[[outputs.influxdb]]
  urls = ["https://{cloud.full_name('skywatch')}:8086"]
  database = "load"
  skip_database_creation = true
  username = "writer"
  password = "{cloud.secrets['users']['writer']}"
  tls_ca = "/{TLS}/ca.pem"
  tls_cert = "/{TLS}/host.pem"
  tls_key = "/{TLS}/host.key"
  timeout = "5s"
  buffer_strategy = "disk"
  buffer_directory = "/var/lib/agent-buffer"
""")
        super().__init__(node.host, "counted-agent", [cloud.binary, "agent", "--config", "/etc/skywatch/counted.conf"])
        self.sent = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.produce, daemon=True)

    def produce(self):
        """A line every 20 ms, as long as the tests run."""
        with self.lines.open("a", buffering=1) as lines:
            while not self.stopping.wait(0.02):
                lines.write(f"counted seq={self.sent}i {1_700_000_000_000_000_000 + self.sent}\n")
                self.sent += 1

    def start(self):
        super().start()
        self.thread.start()
        return self

    def finish(self):
        self.stopping.set()
        self.thread.join()


@pytest.fixture(scope="module")
def agent(cloud):
    """Runs through all that is done to the cloud."""
    agent = Agent(cloud).start()
    yield agent
    agent.finish()


def stop_keepalived(node):
    node.service("keepalived").stop()


FRONT_FAULTS = {
    "haproxy is stopped": (lambda node: node.service("haproxy").stop(), lambda node: node.start()),
    "haproxy is killed": (lambda node: node.service("haproxy").kill(), lambda node: node.start()),
    "haproxy hangs": (lambda node: node.service("haproxy").freeze(), lambda node: node.service("haproxy").thaw()),
    "keepalived is stopped": (stop_keepalived, lambda node: node.start()),
    "keepalived is killed": (lambda node: node.service("keepalived").kill(), lambda node: node.start()),
    "the host loses power": (lambda node: node.host.power_off(), lambda node: (node.host.power_on(), node.start())),
    "the host is cut off": (lambda node: node.host.cut(), lambda node: node.host.join()),
    "the host's cable is pulled": (lambda node: node.host.unplug(), lambda node: node.host.plug()),
}


@pytest.mark.parametrize("what", FRONT_FAULTS)
def test_the_active_front_fails(cloud, agent, what):
    act, undo = FRONT_FAULTS[what]
    moved = []

    def fail():
        node = cloud.active()
        other = next(front for front in cloud.fronts if front is not node)
        begin = time.monotonic()
        act(node)
        wait_until(lambda: other in cloud.holders(), "the other front to take the address", every=0.02)
        moved.append(time.monotonic() - begin)
        return node

    report, text = run(cloud, what, fail, undo)
    assert moved[0] < FAIL_OVER_SECONDS_MAX * SLOW_MACHINE, f"{moved[0]:.2f} s: {text}"
    # As clients see it, who have time limits of their own.
    assert report["longest without the address"] < FAIL_OVER_SECONDS_MAX * SLOW_MACHINE + 2, text
    assert set(report["failed writes"]) <= {"ConnectionError", "ReadTimeout", "ConnectTimeout", "SSLError"}, text


def test_the_address_stays_where_it_is_until_that_front_fails_too(cloud):
    first = cloud.active()
    second = next(front for front in cloud.fronts if front is not first)
    for active, other in ((first, second), (second, first)):
        stop_keepalived(active)
        wait_until(lambda other=other: cloud.holders() == [other], f"{other} to have the address", 5, every=0.02)
        active.start()
        wait_until(
            lambda active=active: "Entering BACKUP STATE" in active.service("keepalived").output()[-1500:], f"{active} to stand by"
        )
        # Long enough for one that would take the address back at once.
        time.sleep(2)
        assert cloud.holders() == [other]
    for front in cloud.fronts:
        # `notify` was called, and passed on what it was told.
        assert {"MASTER", "BACKUP", "STOP"} <= set(front.host.path("/var/log/vrrp-states").read_text().split())


def test_a_front_that_reaches_no_data_node_steps_aside(cloud, agent):
    def part():
        node = cloud.active()
        cloud.network.part([node.host], [data.host for data in cloud.data])
        other = next(front for front in cloud.fronts if front is not node)
        wait_until(lambda: cloud.holders() == [other], "the other front to take the address")
        return node

    run(cloud, "the front is parted from the data nodes", part, lambda _: cloud.network.heal())


def test_no_request_fails_when_data_nodes_are_restarted_one_by_one(cloud, agent):
    def roll():
        for node in cloud.data:
            node.service("data").restart()
            cloud.settle()
        return "both"

    report, text = run(cloud, "rolling restart", roll, lambda _: None)
    assert report["failed writes"] == [] and report["failed queries"] == [], text


DATA_FAULTS = {
    "a data node is killed": (lambda node: node.service("data").kill(), lambda node: node.start()),
    "a data node hangs": (lambda node: node.service("data").freeze(), lambda node: node.service("data").thaw()),
    "a data node is cut off": (lambda node: node.host.cut(), lambda node: node.host.join()),
}


@pytest.mark.parametrize("what", DATA_FAULTS)
def test_a_data_node_fails(cloud, agent, what):
    act, undo = DATA_FAULTS[what]

    def fail():
        node = cloud.data[0]
        act(node)
        return node

    report, text = run(cloud, what, fail, undo)
    # A client's own time limit and two checks of HAProxy's: nothing waits longer.
    assert report["seconds of error"] < 15, text


META_FAULTS = {
    "the meta leader is stopped": (lambda node: node.service("meta").stop(), lambda node: node.start()),
    "the meta leader is killed": (lambda node: node.service("meta").kill(), lambda node: node.start()),
    "the meta leader is cut off": (lambda node: node.host.cut(), lambda node: node.host.join()),
}


@pytest.mark.parametrize("what", META_FAULTS)
def test_the_meta_leader_fails(cloud, agent, what):
    act, undo = META_FAULTS[what]

    def fail():
        node = cloud.leader()
        act(node)
        return node

    report, text = run(cloud, what, fail, undo)
    assert report["failed writes"] == [] and report["failed queries"] == [], text


def test_the_agent_lost_nothing_in_all_of_this(cloud, agent):
    agent.finish()
    expected = set(range(agent.sent))
    assert agent.sent > 100

    def complete():
        return all(
            {row[1] for row in cloud.rows("SELECT seq FROM counted", node=node, node_id=node.id)} == expected
            for node in cloud.data
        )

    wait_until(complete, f"all {agent.sent} points of the agent on every data node", 60)


def test_requests_beyond_the_limit_are_refused(cloud):
    front = next(front for front in cloud.fronts if front not in cloud.holders())
    path = front.host.path("/etc/haproxy/haproxy.cfg")
    text = path.read_text()
    path.write_text(text.replace("http_req_rate gt 5000", "http_req_rate gt 3"))
    assert path.read_text() != text
    service = front.service("haproxy")
    try:
        service.process.send_signal(signal.SIGUSR2)
        with cloud.session("writer") as session:

            def refused():
                try:
                    answer = session.get(f"{front.url()}/query", params={"q": "SHOW DATABASES"}, timeout=5)
                except requests.ConnectionError:
                    # The process with the old limits has taken its leave.
                    return None
                # An answer that is an error counts as false.
                return (answer,) if answer.status_code == 429 else None

            (answer,) = wait_until(refused, "too many requests to be refused", every=0)
        assert answer.headers["Retry-After"] == "5" and answer.json() == {"error": "too many requests"}
        assert cloud.answers(f"{cloud.url}/ready", 200), "the other front goes on"
    finally:
        path.write_text(text)
        service.process.send_signal(signal.SIGUSR2)


def test_statistics_for_people_and_for_prometheus(cloud):
    url = cloud.fronts[0].url(8404)
    with cloud.session(user=None) as session:
        assert session.get(f"{url}/metrics", timeout=5).status_code == 401
        session.auth = ("admin", cloud.secrets["haproxy-stats"])
        assert "Statistics Report" in session.get(f"{url}/", timeout=5).text
        metrics = session.get(f"{url}/metrics", timeout=5).text
    assert 'haproxy_server_status{proxy="writes",server="data1",state="UP"} 1' in metrics
    promtool = need("promtool", "prometheus")
    checked = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, text=True, timeout=60)
    assert "error" not in checked.stderr.lower(), checked.stderr


def test_operators_reach_the_leading_meta_node_through_the_fronts(cloud):
    through_the_fronts = f"{cloud.full_name('skywatch')}:8091"

    def shown():
        """What is shown, once the fronts know who leads: one of them has just been told to read its file again."""
        try:
            return cloud.ctl("show", binds=through_the_fronts)
        except AssertionError as error:
            assert "no node can serve this at the moment" in str(error), error
            return None

    text = wait_until(shown, "the fronts to know the leading meta node", 10)
    assert all(node.full_name in text for node in cloud.data + cloud.metas), text
    # Something that only the leader does.
    cloud.ctl("truncate-shards", binds=through_the_fronts)


def test_the_console_is_behind_the_fronts_too(cloud):
    with cloud.session(user=None, identity=False) as session:
        answer = session.get(f"https://{cloud.shared_address}:3001/", timeout=10)
        assert answer.status_code == 200 and "<html" in answer.text.lower()
        assert "Secure" in answer.headers["Set-Cookie"] and "HttpOnly" in answer.headers["Set-Cookie"]
        node = session.cookies["skywatch-node"]
        assert all(session.get(f"https://{cloud.shared_address}:3001/", timeout=10).ok for _ in range(4))
        assert session.cookies["skywatch-node"] == node


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A certificate for all names of the cloud, of an authority that nobody knows."""
    directory = tmp_path_factory.mktemp("stranger")
    names = "subjectAltName=DNS:*.cloud.test,DNS:agent1.cloud.test"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command += ["-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-subj", "/CN=agent1.cloud.test"]
    subprocess.run([*command, "-addext", names], check=True, capture_output=True, timeout=30)
    return directory / "cert.pem", directory / "key.pem"


PORTS = {
    "clients to the front": ("front", 8086),
    "operators to the front": ("front", 8091),
    "browsers to the front": ("front", 3001),
    "HAProxy's statistics": ("front", 8404),
    "fronts to data nodes": ("data", 8086),
    "fronts to the consoles": ("data", 3001),
    "data nodes to each other": ("data", 8088),
    "meta nodes to each other": ("meta", 8089),
    "data nodes to meta nodes": ("meta", 8091),
}


@pytest.mark.parametrize("link", PORTS)
def test_plain_text_and_strangers_are_refused(cloud, stranger, link):
    role, port = PORTS[link]
    for node in cloud.of(role):
        address = (node.address, port)
        # Plain text: an answer, if any, says that TLS is wanted, or nothing of worth.
        with socket.create_connection(address, timeout=10) as plain:
            plain.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " not in received(plain), f"{link}: plain text is answered by {node}"
        # Whoever knows the cloud's authority finds the name that he asked for, and nobody else's authority will do.
        trusting = ssl.create_default_context(cafile=str(cloud.ca))
        with socket.create_connection(address, timeout=10) as plain, trusting.wrap_socket(plain, server_hostname=node.full_name) as link_:
            assert link_.version() in ("TLSv1.2", "TLSv1.3")
        wary = ssl.create_default_context()
        with socket.create_connection(address, timeout=10) as plain, pytest.raises(ssl.SSLError):
            wary.wrap_socket(plain, server_hostname=node.full_name)
        # A stranger, who says that he is of the cloud.
        trusting.load_cert_chain(*stranger)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with socket.create_connection(address, timeout=10) as plain:
                with trusting.wrap_socket(plain, server_hostname=node.full_name) as link_:
                    link_.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
                    # With TLS 1.3 the refusal comes after the handshake.
                    if link_.recv(4096) == b"":
                        raise ConnectionError("closed")


def received(connection):
    """What comes until the other side ends, or has nothing more to say."""
    data = b""
    try:
        while len(data) < 65536 and (part := connection.recv(4096)):
            data += part
    except OSError:
        pass
    return data


def test_a_node_without_a_certificate_is_no_node(cloud):
    """Calls between nodes are taken from those only that show a certificate of the cloud."""
    trusting = ssl.create_default_context(cafile=str(cloud.ca))
    for role, port in (("data", 8088), ("meta", 8089), ("meta", 8091)):
        node = cloud.of(role)[0]
        with socket.create_connection((node.address, port), timeout=10) as plain:
            with trusting.wrap_socket(plain, server_hostname=node.full_name) as link:
                # How a call begins; what follows does not matter.
                link.sendall(b"\x02SKY" + bytes(64))
                link.settimeout(10)
                assert b"certificate" in received(link), f"{node}:{port}"


def test_who_has_no_password_may_nothing(cloud):
    with cloud.session(user=None) as session:
        for url in (f"{cloud.url}/query?q=SHOW+DATABASES", f"{cloud.url}/write?db=load", f"{cloud.data[0].url()}/metrics"):
            method = session.post if "write" in url else session.get
            assert method(url, timeout=10).status_code == 401, url
        assert session.get(f"{cloud.metas[0].url(8091)}/show-cluster", timeout=10).status_code in (401, 403)


def test_the_rendered_configurations_are_valid_where_they_lie(cloud):
    for front in cloud.fronts:
        front.host.run("haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg")
        # keepalived says what is wrong, and nothing if nothing is.
        tested = subprocess.run(
            front.host.command(["keepalived", "--config-test", "--log-console"]), capture_output=True, text=True, timeout=30
        )
        assert tested.stdout + tested.stderr == "", tested.stdout + tested.stderr
