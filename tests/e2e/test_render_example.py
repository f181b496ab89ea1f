"""The example of `skywatch render`, the topology of the design document, as it is written and started: 13 hosts in two data centres.

Kafka and ZooKeeper of the same rendering are started in test_render_kafka.py; here copies are made by the data nodes themselves.
"""

import subprocess
import time

import pytest
from cloud import Cloud
from conftest import OUT, need, wait_until


@pytest.fixture(scope="module")
def cloud(skywatch_bin, tmp_path_factory):
    for command in ("haproxy", "keepalived"):
        need(command, command)
    example = subprocess.run([skywatch_bin, "render", "--example"], capture_output=True, text=True, check=True).stdout
    inventory = example.replace('[replication]\nmode = "kafka"', '[replication]\nmode = "native"')
    assert inventory != example
    with Cloud(skywatch_bin, tmp_path_factory.mktemp("cloud"), inventory) as cloud:
        try:
            yield cloud.start()
        finally:
            (OUT / "render-example.log").write_text(cloud.outputs())


def test_the_cloud_is_what_the_inventory_says(cloud):
    shown = cloud.ctl("show")
    for node in cloud.metas + cloud.data:
        assert node.full_name in shown
    assert len(cloud.metas) == 3 and len(cloud.data) == 2 and len(cloud.fronts) == 2 and len(cloud.nodes) == 13
    policies = {row[0]: row for row in cloud.rows("SHOW RETENTION POLICIES ON telegraf", db="")}
    assert policies["autogen"][1] == "720h0m0s" and policies["autogen"][3] == 2 and policies["year"][1] == "8760h0m0s"
    assert {row[0] for row in cloud.rows("SHOW USERS", db="")} >= {"admin", "agent", "grafana", "reader"}


def test_who_may_what(cloud):
    line = f"m v=1 {int(time.time())}"
    write = f"{cloud.url}/write?db=telegraf&precision=s"
    query = f"{cloud.url}/query?db=telegraf&q=SELECT+v+FROM+m"
    with cloud.session("agent") as agent, cloud.session("reader") as reader:
        assert agent.post(write, data=line, timeout=20).status_code == 204
        assert reader.post(write, data=line, timeout=20).status_code == 403
        wait_until(lambda: '"values"' in reader.get(query, timeout=20).text, "what was written to be there")
        assert "error" in agent.get(query, timeout=20).text
    for node in cloud.data:
        assert cloud.rows("SELECT v FROM m", db="telegraf", node=node, node_id=node.id), f"a copy on {node}"


def test_agents_of_all_hosts_write_through_the_address(cloud):
    def reporting():
        rows = cloud.rows('SHOW TAG VALUES FROM system WITH KEY = "host"', db="telegraf")
        return len({row[1] for row in rows}) == len(cloud.nodes)

    wait_until(reporting, "every host to report", 90, every=1)
    proxies = {row[1] for row in cloud.rows('SHOW TAG VALUES FROM haproxy WITH KEY = "proxy"', db="telegraf")}
    assert {"api", "writes", "queries", "meta", "console"} <= proxies


def test_the_address_moves(cloud):
    first = cloud.active()
    first.host.power_off()
    other = next(front for front in cloud.fronts if front is not first)
    wait_until(lambda: cloud.holders() == [other], "the other front to have the address", 10, every=0.02)
    wait_until(lambda: cloud.answers(f"{cloud.url}/ready", 200), "the address to answer", 10)


def test_scripts_of_the_runbook_may_be_run_again(cloud):
    assert all(node.full_name in cloud.script(cloud.metas[0], "join.sh") for node in cloud.data)
    assert "telegraf" in cloud.script(cloud.data[0], "databases.sh")
