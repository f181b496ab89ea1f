"""A cloud as its operators have it, on the hosts of hosts.py: fronts with HAProxy and keepalived, data nodes, meta nodes, agents.

    with Cloud(skywatch_bin, directory, inventory) as cloud:      # what `skywatch render` makes of it lies on every host
        cloud.start()                                             # everything runs, the cluster is formed, users are there
        cloud.active().host.power_off()
        wait_until(lambda: cloud.holders() == [cloud.fronts[1]], "the other front to take the address")

What is started is what a service manager would start: the commands of the rendered units and the package's, and those of Debian's for HAProxy and
keepalived, with the rendered files in the places where they are on real hosts, and the scripts of the runbook make a cluster of it.
Nothing is started again by itself: that is for tests to say.
"""

import re
import shlex
import signal
import subprocess
import tomllib

import requests
from conftest import ROOT, Process, need, wait_until
from hosts import Network, program_of

TLS = "etc/skywatch/tls"
UNITS = "etc/systemd/system"


def picture(hosts, replication):
    """An inventory: two fronts with a shared address, two data nodes in two sites with a database on both, and other `hosts`
    (name: last part of its address, site, role). `replication` is the text of that table and of what else it asks for."""
    common = {
        "data1": (21, "east", "data"),
        "data2": (22, "west", "data"),
        "front1": (31, "east", "front"),
        "front2": (32, "west", "front"),
    }

    def line(name, host, site, role):
        memory = ', memory = "2g"' if role == "data" else ""
        return f'{name} = {{ address = "10.77.0.{host}", site = "{site}", rack = "r1", roles = ["{role}"]{memory} }}'

    lines = "\n".join(line(name, *description) for name, description in {**hosts, **common}.items())
    return f"""
[cloud]
name = "picture"
domain = "cloud.test"

[sites]
east = ["r1"]
west = ["r1"]

[hosts]
{lines}

[databases.load]
duration = "INF"
replication = 2

[users]
writer = {{ read = ["load"], write = ["load"] }}

[replication]
{replication}

[virtual-address]
address = "10.77.0.10/24"
interface = "eth0"
router-id = 77
name = "skywatch"

[agents]
everywhere = false
database = "load"
"""


def render(binary, inventory, file, tree):
    """Writes what `skywatch render` makes of an inventory, whose text is kept in a file, below a directory."""
    file.write_text(inventory)
    done = subprocess.run([binary, "render", "--inventory", file, "--out", tree], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"skywatch render: {done.stdout}{done.stderr}"


class Service(Process):
    """A program of a host."""

    def __init__(self, host, name, command):
        self.host = host
        self.name = name
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        super().__init__(host.command(command), host.network.directory / f"{host.name}-{name}.log", environment)

    def signal(self, number):
        """Sends a signal to it and to all that it has started of its program."""
        self.host.signal_all(number, program_of(self.process.pid))

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.host.freeze_all(program_of(self.process.pid))

    def thaw(self):
        self.signal(signal.SIGCONT)

    def restart(self):
        """An orderly stop, and a start."""
        code = self.stop(60)
        assert code == 0, f"{self.name} on {self.host.name} exits with {code}:\n{self.output()[-3000:]}"
        return self.start()


class Node:
    """A host of the cloud and what runs there."""

    def __init__(self, cloud, name, description):
        self.cloud = cloud
        self.name = name
        self.roles = description["roles"]
        self.full_name = cloud.full_name(name)
        self.host = cloud.network.host(name, int(description["address"].rsplit(".", 1)[1]))
        self.address = self.host.address
        assert self.address == description["address"], "the inventory has the addresses of the network"
        # Its number among data nodes, once it is one.
        self.id = None
        cloud.network.name(self.full_name, self.address)
        files = cloud.tree / "hosts" / name
        self.host.install(files)
        self.host.path("/usr/bin/skywatch").symlink_to(cloud.binary)
        self.services = {}
        units = sorted((files / UNITS).glob("skywatch-*.service"))
        if (files / "etc/skywatch/telegraf.conf").exists():
            # The agent's unit is the package's, which has a directory for more configurations too.
            units.append(ROOT / "packaging/systemd/skywatch-agent.service")
            self.host.path("/etc/skywatch/telegraf.d/x")
        for unit in units:
            command = shlex.split(re.search(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE).group(1))
            service = unit.stem.removeprefix("skywatch-")
            self.services[service] = Service(self.host, service, command)
        if "front" in self.roles:
            for directory in ("/run/haproxy", "/var/lib/haproxy"):
                self.host.path(f"{directory}/x")
            haproxy = [need("haproxy", "haproxy"), "-W", "-f", "/etc/haproxy/haproxy.cfg"]
            keepalived = [need("keepalived", "keepalived"), "--dont-fork", "--log-console", "--log-detail", "--vrrp"]
            self.services["haproxy"] = Service(self.host, "haproxy", haproxy)
            self.services["keepalived"] = Service(self.host, "keepalived", keepalived)

    def __repr__(self):
        return self.name

    def start(self):
        """Starts all that should run here and does not."""
        for service in self.services.values():
            if not service.running():
                service.start()
        return self

    def service(self, name):
        return self.services[name]

    def url(self, port=8086):
        return f"https://{self.address}:{port}"

    def is_ready(self):
        return self.cloud.answers(f"{self.url()}/ready", 200)


class Cloud:
    """See the head of the file. The inventory is a text; without a shared address in it there is no `url`."""

    def __init__(self, binary, directory, inventory):
        self.binary = binary
        self.directory = directory
        self.file = directory / "cloud.toml"
        self.tree = directory / "rendered"
        self.render(inventory)
        self.secrets = tomllib.loads((directory / "secrets.toml").read_text())
        self.shared_address = self.url = None
        if "virtual-address" in self.inventory:
            self.shared_address = self.inventory["virtual-address"]["address"].split("/")[0]
            self.url = f"https://{self.shared_address}:8086"
        addresses = [description["address"] for description in self.inventory["hosts"].values()]
        self.network = Network(directory / "network", addresses[0].rsplit(".", 1)[0])
        self.nodes = {}

    def render(self, inventory):
        """Renders it, again if it changed; what is on hosts already stays as it is."""
        self.inventory = tomllib.loads(inventory)
        render(self.binary, inventory, self.file, self.tree)

    def full_name(self, name):
        return f"{name}.{self.inventory['cloud']['domain']}"

    def __enter__(self):
        self.network.__enter__()
        try:
            if self.shared_address:
                self.network.name(self.full_name(self.inventory["virtual-address"]["name"]), self.shared_address)
            for name, description in self.inventory["hosts"].items():
                self.nodes[name] = Node(self, name, description)
            # The operator has the identity of a host, and reaches all by their names.
            identity = self.tree / "hosts" / next(iter(self.nodes)) / TLS
            self.ca = identity / "ca.pem"
            self.identity = str(identity / "host.pem"), str(identity / "host.key")
            for file in identity.iterdir():
                self.network.operator.path(f"/{TLS}/{file.name}").write_bytes(file.read_bytes())
        except BaseException:
            self.network.remove()
            raise
        return self

    def __exit__(self, *_):
        self.network.remove()

    def of(self, role):
        """The nodes with a role."""
        return [node for node in self.nodes.values() if role in node.roles]

    @property
    def fronts(self):
        return self.of("front")

    @property
    def data(self):
        return self.of("data")

    @property
    def metas(self):
        return self.of("meta")

    def session(self, user="admin", identity=True):
        """Requests of a user, that trust the cloud's certificates and show one of them."""
        session = requests.Session()
        session.trust_env, session.verify = False, str(self.ca)
        session.cert = self.identity if identity else None
        session.auth = (user, self.secrets["users"][user]) if user else None
        return session

    def answers(self, url, status=None):
        """Whether something answers at a URL, with a status if one is given."""
        try:
            with self.session(user=None) as session:
                answer = session.get(url, timeout=3)
            return status is None or answer.status_code == status
        except requests.RequestException:
            return False

    def ctl(self, *arguments, binds=None):
        """What `skywatch ctl` prints, run by the operator with a token that the shared secret signs."""
        binds = binds or ",".join(f"{meta.full_name}:8091" for meta in self.metas)
        environment = ["env", f"SKYWATCH_SHARED_SECRET={self.secrets['tokens']}"]
        own = ["-bind-tls", "-ca", f"/{TLS}/ca.pem", "-auth-type", "jwt", "-user", "admin"]
        return self.network.operator.run(*environment, self.binary, "ctl", "-bind", binds, *own, *arguments)

    def curl(self, node, url, *options):
        """The status and the body of an answer, asked by curl on a host, and what curl says against it."""
        command = [need("curl", "curl"), "-sS", "-m", "20", "--cacert", f"/{TLS}/ca.pem", "-w", "\\n%{http_code}", *options, url]
        done = subprocess.run(node.host.command(command), capture_output=True, text=True, timeout=60)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body, done.stderr

    def script(self, node, name):
        """Runs a script of the runbook on a host, as it says; what it prints."""
        text = (self.tree / "cluster" / name).read_text()
        done = subprocess.run(node.host.command(["sh", "-s"]), input=text, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        """Starts everything in the order of the runbook."""
        for node in self.metas + self.data:
            node.start()
        for node, port in [(node, 8091) for node in self.metas] + [(node, 8088) for node in self.data]:
            wait_until(lambda node=node, port=port: self.answers(f"{node.url(port)}/ping"), f"{node} to answer", 60)
        shown = self.script(self.metas[0], "join.sh")
        for data in self.data:
            data.id = int(re.search(rf"^\s*(\d+)\s+{data.full_name}:8088", shown, re.MULTILINE).group(1))
            wait_until(data.is_ready, f"{data} to be ready", 60)
        self.script(self.data[0], "databases.sh")
        for node in self.nodes.values():
            node.start()
        self.settle()
        return self

    def settle(self, seconds=60):
        """Waits until everything that was stopped, cut or killed and is there again does its part."""
        for data in self.data:
            wait_until(data.is_ready, f"{data} to be ready", seconds)
        for front in self.fronts:
            wait_until(front.is_ready, f"HAProxy on {front} to find data nodes", seconds)
        wait_until(lambda: len(self.holders()) == 1, "one front to have the address", seconds)
        wait_until(lambda: self.answers(f"{self.url}/ready", 200), "the address to answer", seconds)
        wait_until(self.is_balanced, "all fronts to see all data nodes", seconds)

    def is_balanced(self):
        """Whether every front gives requests to every data node."""
        return all(self.state(front, pool, node) == "UP" for front in self.fronts for pool in ("writes", "queries") for node in self.data)

    def state(self, front, pool, node):
        """UP, DOWN or what else HAProxy says of a server."""
        with self.session(user=None) as session:
            session.auth = ("admin", self.secrets["haproxy-stats"])
            rows = session.get(f"{front.url(8404)}/;csv", timeout=5).text.splitlines()
        columns = rows[0].lstrip("# ").split(",")
        for row in rows[1:]:
            server = dict(zip(columns, row.split(",")))
            if (server["pxname"], server["svname"]) == (pool, node.name):
                return server["status"]
        return None

    def holders(self):
        """The fronts that have the shared address."""
        return [front for front in self.fronts if self.shared_address in front.host.addresses()]

    def active(self):
        """The front that has the shared address."""
        return wait_until(lambda: next(iter(self.holders()), None), "a front to have the address")

    def leader(self):
        """The meta node that leads."""

        def found():
            for meta in self.metas:
                if meta.service("meta").running() and self.answers(f"{meta.url(8091)}/leader", 200):
                    return meta
            return None

        return wait_until(found, "a meta node to lead")

    def query(self, q, db="load", node=None, **params):
        """The result of a statement, from a data node, or through the shared address."""
        with self.session() as session:
            url = f"{node.url() if node else self.url}/query"
            answer = session.post(url, params={"db": db, **params}, data={"q": q}, timeout=60)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        result = answer.json()["results"][0]
        assert "error" not in result, result
        return result

    def rows(self, q, db="load", node=None, **params):
        """The rows of the only series of a statement's answer."""
        series = self.query(q, db, node, epoch="ns", **params).get("series", [])
        return series[0]["values"] if series else []

    def outputs(self):
        """What everything said, for a failure's eyes."""
        services = [service for node in self.nodes.values() for service in node.services.values()]
        return "\n".join(f"--- {service.log}\n{service.output()[-4000:]}" for service in services if service.log.exists())
