"""What `skywatch render` writes, started for real: three meta and two data nodes on hosts of their own, formed and filled by the
rendered scripts. TLS on every link, users, and nobody without."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from cloud import Cloud
from conftest import need, wait_until

INVENTORY = """
[cloud]
name = "running"
domain = "cloud.example"
[sites]
east = ["r1", "r2"]
west = ["r1"]
[hosts]
meta1 = { address = "10.77.0.11", site = "east", rack = "r1", roles = ["meta"] }
meta2 = { address = "10.77.0.12", site = "west", rack = "r1", roles = ["meta"] }
meta3 = { address = "10.77.0.13", site = "east", rack = "r2", roles = ["meta"] }
data1 = { address = "10.77.0.21", site = "east", rack = "r1", roles = ["data"], memory = "1g" }
data2 = { address = "10.77.0.22", site = "west", rack = "r1", roles = ["data"], memory = "1g" }
[databases.telegraf]
duration = "30d"
shard-duration = "1d"
policies.year = { duration = "365d" }
[users]
reader = { read = ["telegraf"] }
both = { read = ["telegraf"], write = ["telegraf"] }
"""


@pytest.fixture(scope="module")
def cloud(skywatch_bin, tmp_path_factory):
    need("openssl", "openssl")
    with Cloud(skywatch_bin, tmp_path_factory.mktemp("running"), INVENTORY) as cloud:
        services = [node.service("meta" if "meta" in node.roles else "data").start() for node in cloud.nodes.values()]
        for service in services:
            wait_until(lambda service=service: "waits to be made a member" in service.output(), f"{service.log} to wait", 90)
        cloud.joined = cloud.script(cloud.metas[0], "join.sh")
        for node in cloud.data:
            wait_until(node.is_ready, f"{node} to be ready", 90)
        cloud.made = cloud.script(cloud.data[0], "databases.sh")
        yield cloud


def query(cloud, user, statement, node="data1", password=None):
    """The status, and what a statement answers, or the error."""
    who = f"{user}:{password or cloud.secrets['users'][user]}"
    url = f"https://{node}.cloud.example:8086/query?db=telegraf"
    status, body, said = cloud.curl(cloud.nodes["data2"], url, "-u", who, "--data-urlencode", f"q={statement}")
    assert body, said
    return status, json.loads(body)


def policies(cloud):
    status, answer = query(cloud, "admin", "SHOW RETENTION POLICIES ON telegraf")
    assert status == 200, answer
    series = answer["results"][0]["series"][0]
    rows = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
    return {row["name"]: (row["duration"], row["replicaN"], row["default"]) for row in rows}


def test_the_cluster_is_formed_as_the_runbook_says(cloud):
    runbook = (cloud.tree / "RUNBOOK.md").read_text()
    shown = re.search(r"```\n(Data Nodes\n.*?)```", runbook, re.DOTALL).group(1)
    operator = f". {cloud.tree}/cluster/operator.sh; PATH=$PATH:{Path(cloud.binary).parent}; ctl show"

    def seen():
        return cloud.nodes["data1"].host.run("sh", "-c", operator)

    wait_until(lambda: seen().split() == shown.split(), "all nodes to be heard of")
    added = re.findall(r"^Added.*$", cloud.joined, re.MULTILINE)
    assert len(added) == 5, cloud.joined
    assert re.findall(r"^Added.*$", cloud.script(cloud.metas[0], "join.sh"), re.MULTILINE) == added


def test_databases_and_users_are_as_the_inventory_says_also_after_a_change(cloud):
    assert policies(cloud) == {"autogen": ("720h0m0s", 2, True), "year": ("8760h0m0s", 2, False)}
    assert {"admin", "agent", "reader", "both"} <= set(re.split(r"[\s|]+", cloud.made)), cloud.made
    assert cloud.script(cloud.nodes["data2"], "databases.sh") == cloud.made
    month = 'policies.month = { duration = "31d" }'
    cloud.render(INVENTORY.replace('"30d"', '"60d"').replace("policies.year", f"{month}\npolicies.year"))
    cloud.script(cloud.nodes["data1"], "databases.sh")
    known = policies(cloud)
    assert known["autogen"] == ("1440h0m0s", 2, True) and known["month"] == ("744h0m0s", 2, False), known


def test_users_may_do_what_the_inventory_grants(cloud):
    url = "https://data1.cloud.example:8086/write?db=telegraf&consistency=all"
    now = time.time_ns()
    for user, status in (("agent", 204), ("both", 204), ("reader", 403), ("nobody", 401)):
        who = f"{user}:{cloud.secrets['users'].get(user, 'nothing')}"
        answer = cloud.curl(cloud.nodes["data2"], url, "-u", who, "--data-binary", f"m,user={user} v=1 {now}")
        assert answer[0] == status, (user, answer)
    for node in ("data1", "data2"):
        status, answer = query(cloud, "reader", "SELECT count(v) FROM m", node)
        assert (status, answer["results"][0]["series"][0]["values"][0][1]) == (200, 2), answer
    status, answer = query(cloud, "agent", "SELECT count(v) FROM m")
    assert status == 403 or "error" in answer["results"][0], answer


def test_copies_are_kept_apart_by_data_centre(cloud):
    found = cloud.curl(cloud.nodes["meta2"], "https://meta1.cloud.example:8091/show-cluster", "-H", f"Authorization: Bearer {token(cloud)}")
    labels = {node["tcpAddr"]: node["labels"] for node in json.loads(found[1])["data"]}
    assert labels["data1.cloud.example:8088"] == {"dc": "east", "rack": "r1"}, labels
    assert labels["data2.cloud.example:8088"] == {"dc": "west", "rack": "r1"}, labels


def token(cloud):
    command = [cloud.binary, "ctl", "-auth-type", "jwt", "-user", "admin", "-secret", cloud.secrets["tokens"], "token"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_nobody_without_tls_or_a_user_is_let_in(cloud):
    for host, port in (("data1", 8086), ("data1", 8088), ("meta1", 8089), ("meta1", 8091)):
        status, body, _ = cloud.curl(cloud.nodes["data2"], f"http://{host}.cloud.example:{port}/ping")
        assert status in (0, 400), (port, status, body)
    assert cloud.curl(cloud.nodes["data2"], "https://data1.cloud.example:8086/query?q=SHOW+DATABASES")[0] == 401
    assert cloud.curl(cloud.nodes["data2"], "https://meta1.cloud.example:8091/show-cluster")[0] == 401
    status, answer = query(cloud, "admin", "SHOW DATABASES", password="wrong")
    assert status == 401, answer
    # Whoever connects by another name than the certificate's is warned.
    cloud.network.name("elsewhere.example", "10.77.0.21")
    assert "no alternative certificate subject name matches" in cloud.curl(cloud.nodes["data2"], "https://elsewhere.example:8086/ping")[2]


def test_renewed_certificates_are_used_without_a_restart(cloud):
    def serial(port):
        shell = f"openssl s_client -connect data1.cloud.example:{port} </dev/null 2>/dev/null | openssl x509 -noout -serial"
        return cloud.nodes["data2"].host.run("sh", "-c", shell, check=False).strip()

    before = {port: serial(port) for port in (8086, 8088)}
    assert all("serial=" in found for found in before.values()), before
    command = [cloud.binary, "cert", "renew", "data1", "--inventory", cloud.file]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    cloud.render(cloud.file.read_text())
    cloud.nodes["data1"].host.install(cloud.tree / "hosts/data1")
    for port, old in before.items():
        wait_until(lambda port=port, old=old: serial(port) not in ("", old), f"port {port} to show the new certificate")
    # The other nodes, who have seen the old one, go on.
    status, answer = query(cloud, "admin", "SELECT count(v) FROM m", "data2")
    assert status == 200 and "error" not in answer["results"][0], answer
    assert cloud.nodes["data1"].service("data").running()


def test_what_is_copied_takes_effect(cloud):
    """Users, permissions and names, by the script that push.sh calls on every host; twice does no harm."""
    for command in ("systemd-sysusers", "systemd-tmpfiles"):
        need(command, "systemd")
    host = cloud.nodes["meta1"].host
    for _ in range(2):
        host.run("sh", "/etc/skywatch/apply.sh")
    assert host.run("getent", "passwd", "skywatch").split(":")[5] == "/var/lib/skywatch"
    for path in ("/etc/skywatch/meta.toml", "/etc/skywatch/tls/host.key"):
        assert host.run("stat", "-c", "%U:%G:%a", path).strip() == "root:skywatch:640"
    names = host.run("cat", "/etc/hosts")
    assert names.count("# BEGIN skywatch") == names.count("# END skywatch") == 1 and names.startswith("127.0.0.1 localhost\n")
    assert re.search(r"^10\.77\.0\.22 +data2\.cloud\.example data2$", names, re.MULTILINE), names
