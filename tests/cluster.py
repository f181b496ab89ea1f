"""A cluster of a test: meta and data nodes as processes on loopback, formed with `skywatch ctl` as operators do it.

    cluster = start_cluster(metas=3, data=2)          # a fixture of conftest.py; everything is stopped after the test
    cluster.data[0].query("CREATE DATABASE db WITH REPLICATION 2")
    cluster.data[1].kill()                            # kill -9; start() brings it back on the same ports and directory
    cluster.data[0].write("m v=1 1")
    cluster.data[1].start()
    cluster.settle()                                  # every node holds all that was acknowledged
    for node in cluster.data:                         # what each replica has by itself
        assert node.rows("SELECT * FROM m", node_id=node.id) == [...]
"""

import json
import re
import signal
import subprocess

import requests
from conftest import START_SECONDS_MAX, Process, answers, free_port, wait_until


def unused_ports(count):
    """So many ports of loopback that nobody listens on, and that no other test or node was given lately."""
    return [free_port() for _ in range(count)]


def toml(config):
    """A configuration of nested tables as text; keys that are not in a table come first."""
    own = [f"{key} = {json.dumps(value)}" for key, value in config.items() if not isinstance(value, dict)]
    tables = [
        "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())])
        for name, table in config.items()
        if isinstance(table, dict)
    ]
    return "\n".join(own + tables) + "\n"


def merged(config, more):
    """`config` with what `more` says in place of or besides it, table by table."""
    both = dict(config)
    for key, value in (more or {}).items():
        both[key] = {**both.get(key, {}), **value} if isinstance(value, dict) else value
    return both


class ClusterNode(Process):
    """One process of a cluster, in a directory of its own."""

    def __init__(self, binary, role, directory, config, scheme="http", host=None):
        self.directory = directory
        self.host = host
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.config_file = directory / f"{role}.toml"
        self.session = requests.Session()
        self.scheme = scheme
        self.verify = True
        command = [binary, role, "--config", self.config_file]
        super().__init__(host.command(command) if host else command, directory / f"{role}.log")

    def configure(self, config):
        """Changes the configuration; it counts from the next start on."""
        self.config = merged(self.config, config)

    def launch(self):
        """Starts the process without waiting for it to answer."""
        self.config_file.write_text(toml(self.config))
        return super().start()

    def stop(self, seconds=30):
        if self.running():
            # One that is frozen does not hear that it should stop.
            self.thaw()
        return super().stop(seconds)

    def restart(self):
        """An orderly stop, and a start."""
        code = self.stop()
        assert code == 0, f"exit code {code}:\n{self.output()}"
        return self.start()


class MetaNode(ClusterNode):
    """`skywatch meta`."""

    def __init__(self, binary, directory, config=None, host=None):
        address = host.address if host else "127.0.0.1"
        http, raft = (8091, 8089) if host else unused_ports(2)
        self.http = f"{address}:{http}"
        self.raft = f"{address}:{raft}"
        self.url = f"http://{self.http}"
        own = {
            "hostname": address,
            "meta": {"dir": str(directory / "meta"), "bind-address": self.raft, "http-bind-address": self.http},
            "logging": {"level": "info"},
        }
        super().__init__(binary, "meta", directory, merged(own, config), host=host)

    def start(self):
        self.launch()
        return self.started()

    def started(self):
        wait_until(lambda: not self.running() or answers(f"{self.url}/status"), "a meta node to answer /status")
        assert self.running(), self.output()
        return self

    def status(self):
        return self.session.get(f"{self.url}/status", timeout=5, verify=self.verify).json()


class DataNode(ClusterNode):
    """`skywatch data`. `id` is known once the node is a member."""

    def __init__(self, binary, directory, config=None, host=None):
        self.id = None
        address = host.address if host else "127.0.0.1"
        http, tcp = (8086, 8088) if host else unused_ports(2)
        self.http = f"{address}:{http}"
        self.tcp = f"{address}:{tcp}"
        self.url = f"http://{self.http}"
        own = {
            "hostname": address,
            "bind-address": self.tcp,
            "data": {"dir": str(directory / "data"), "memory-budget": "512m"},
            "http": {"bind-address": self.http},
            "monitor": {"store-enabled": False},
            "logging": {"level": "info"},
        }
        super().__init__(binary, "data", directory, merged(own, config), host=host)

    def start(self):
        """Starts it and waits until it answers: clients if it is a member, other nodes otherwise."""
        self.launch()
        return self.started()

    def started(self):
        url = f"{self.url}/ping" if self.id else f"http://{self.tcp}/status"
        wait_until(lambda: not self.running() or answers(url), f"a data node to answer {url}")
        assert self.running(), self.output()
        return self

    def status(self):
        """What it tells other nodes: `GET /status` of port 8088."""
        return self.session.get(f"http://{self.tcp}/status", timeout=5, verify=self.verify).json()

    def is_ready(self):
        """Whether it can serve writes and reads, holding all that was acknowledged."""
        try:
            return self.session.get(f"{self.url}/ready", timeout=5, verify=self.verify).status_code == 200
        except requests.RequestException:
            return False

    def write(self, lines, db="db", timeout=30, **params):
        """The answer; raises what `requests` raises if there is none."""
        url = f"{self.url}/write"
        params = {"db": db, **params}
        return self.session.post(url, params=params, data=lines.encode(), timeout=timeout, verify=self.verify)

    def ask(self, q, db="db", timeout=60, **params):
        """The answer to a query, whatever its status."""
        url = f"{self.url}/query"
        params = {"db": db, **params}
        return self.session.post(url, params=params, data={"q": q}, timeout=timeout, verify=self.verify)

    def query(self, q, db="db", timeout=60, **params):
        """The parsed JSON answer; fails on an HTTP error."""
        answer = self.ask(q, db, timeout, **params)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()

    def rows(self, q, db="db", timeout=60, **params):
        """The rows of the only series of the only statement; [] when there is none."""
        result = self.query(q, db, timeout, **params)["results"][0]
        assert "error" not in result, result
        return result["series"][0]["values"] if "series" in result else []


class Cluster:
    """Meta and data nodes. `metas` and `data` are those that were started, members or not.

    With a `network` (hosts.py) each runs at the host of its name there, such as `meta-1` and `data-2`.
    """

    def __init__(self, binary, directory, meta_config=None, data_config=None, network=None):
        self.binary = binary
        self.directory = directory
        self.meta_config = meta_config
        self.data_config = data_config
        self.network = network
        self.metas = []
        self.data = []

    def ctl(self, *arguments, bind=None, check=True, timeout=60):
        """What `skywatch ctl` prints; asks the first meta node that runs unless told which (`bind`)."""
        done = self.try_ctl(*arguments, bind=bind, timeout=timeout)
        assert not check or done.returncode == 0, f"ctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_ctl(self, *arguments, bind=None, timeout=60):
        """As `ctl`, with exit code and standard error."""
        bind = bind or next(meta.http for meta in self.metas if meta.running())
        command = [str(self.binary), "ctl", "-bind", bind, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    def new(self, kind, name, config):
        return kind(self.binary, self.directory / name, config, self.network.hosts[name] if self.network else None)

    def new_meta(self, config=None):
        """A meta node that is neither started nor a member."""
        node = self.new(MetaNode, f"meta-{len(self.metas) + 1}", merged(self.meta_config or {}, config))
        self.metas.append(node)
        return node

    def new_data(self, config=None):
        """A data node that is neither started nor a member."""
        node = self.new(DataNode, f"data-{len(self.data) + 1}", merged(self.data_config or {}, config))
        self.data.append(node)
        return node

    def add_meta(self, node):
        """Makes a running meta node a member; the first one makes the cluster."""
        self.ctl("add-meta", node.http, bind=self.metas[0].http)
        return node

    def add_data(self, node):
        """Makes a running data node a member, and waits until it serves clients."""
        told = self.ctl("add-data", node.tcp)
        node.id = int(re.search(r"Added data node (\d+) at", told).group(1))
        node.started()
        return node

    def start(self, metas=3, data=2):
        """Starts so many nodes, all at once, and forms the cluster."""
        nodes = [self.new_meta() for _ in range(metas)] + [self.new_data() for _ in range(data)]
        for node in nodes:
            node.launch()
        for node in nodes:
            node.started()
        for meta in self.metas:
            self.add_meta(meta)
        for node in self.data:
            self.add_data(node)
        self.settle()
        return self

    def log_lag(self):
        """(node, partition) -> state and records behind, as `ctl show-lag` prints them."""
        found = {}
        for line in self.ctl("show-lag").splitlines():
            words = line.split()
            if len(words) >= 8 and words[0].isdigit():
                found[int(words[0]), int(words[2])] = (words[7], words[5])
        return found

    def log_applied(self, partitions, seconds=90):
        """Waits until every node has applied all there is of a log with so many partitions."""
        self.settle(seconds)

        def caught_up():
            known = self.log_lag()
            return len(known) == len(self.data) * partitions and set(known.values()) == {("fresh", "0")}

        wait_until(caught_up, f"every node to have applied the log: {self.log_lag()}", seconds)

    def settle(self, seconds=START_SECONDS_MAX):
        """Waits until every data node that runs holds all that was acknowledged."""
        for node in self.data:
            if node.running() and node.id:
                wait_until(lambda node=node: node.is_ready(), f"data node {node.id} to be ready", seconds)

    def leader(self):
        """The meta node that leads; waits for one."""

        def found():
            for meta in self.metas:
                try:
                    address = meta.status().get("leader") if meta.running() else None
                except requests.RequestException:
                    continue
                for candidate in self.metas:
                    if address in (candidate.http, candidate.raft) and candidate.running():
                        return candidate
            return None

        return wait_until(found, "a meta node to lead")

    def everywhere(self, q, db="db", **params):
        """The rows that each running replica has by itself, by the node's number."""
        return {
            node.id: node.rows(q, db, node_id=node.id, **params) for node in self.data if node.running() and node.id
        }

    def outputs(self):
        """The logs of all nodes, for a failure's eyes."""
        return "\n".join(f"--- {node.log}\n{node.output()}" for node in self.metas + self.data if node.log.exists())

    def stop(self):
        for node in self.data + self.metas:
            node.stop()
