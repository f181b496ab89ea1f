"""What `skywatch render` makes for watching a cloud: the agents' configurations, Grafana's dashboards, data sources and alert
rules, each used as it is meant: agents collect and ship, every query of every panel is asked and answered, rules are
evaluated and tell Discord.
"""

import json
import re
import shutil
import subprocess
import time

import pytest
import yaml
from conftest import Process, Skywatch, wait_until
from discord_stand_in import DiscordStandIn
from grafana_data_source import DataSource, DataSourceError

AGENT = "etc/skywatch/telegraf.conf"
TELEGRAF = "etc/telegraf/telegraf.conf"
STEP_SECONDS = 20
STEPS = 8

# What nodes of a cluster, fronts, brokers and hypervisors report; those are not here. Counters grow with every step.
REPORTED = """
libvirt_state,host=kvm1,domain_name=vm1 state=1i
libvirt_state,host=kvm1,domain_name=vm2 state=3i
libvirt_vcpu_total,host=kvm1,domain_name=vm1 current=2i
libvirt_balloon,host=kvm1,domain_name=vm1 current=2097152i,rss=1000000i
libvirt_cpu,host=kvm1,domain_name=vm1 user=%N000000i,system=%N00000i
libvirt_vcpu,host=kvm1,domain_name=vm1,vcpu_id=0 delay=%N000i
libvirt_net,host=kvm1,domain_name=vm1,interface_id=0 rx_bytes=%N0i,tx_bytes=%Ni,rx_errs=0i,tx_errs=0i,rx_drop=%Ni,tx_drop=0i
libvirt_block,host=kvm1,domain_name=vm1,block_id=0 rd_bytes=%N0i,wr_bytes=%Ni,rd_reqs=%Ni,wr_reqs=%Ni
skywatch_node_is_whole,host=data1 gauge=1
skywatch_hinted_handoff_bytes,host=data1,node=2 gauge=%N
skywatch_hinted_handoff_dropped_total,host=data1,node=2 counter=%N
skywatch_rpc_absent,host=data1,to=data2:8088 gauge=0
skywatch_entropy_shards_differing,host=data1 gauge=0
skywatch_log_reachable,host=data1 gauge=1
skywatch_log_fresh,host=data1,partition=0 gauge=1
skywatch_log_lag_seconds,host=data1,partition=0 gauge=0.25
skywatch_log_lag_records,host=data1,partition=0 gauge=7
skywatch_log_appended_total,host=data1 counter=%N
skywatch_log_records_total,host=data1 counter=%N
skywatch_log_append_errors_total,host=data1 counter=0
skywatch_log_set_aside_total,host=data1 counter=0
skywatch_log_expired_total,host=data1 counter=0
haproxy,host=front1,proxy=writes,sv=FRONTEND,type=frontend scur=4u
haproxy,host=front1,proxy=writes,sv=BACKEND,type=backend active_servers=2u
kafka_cluster,host=kafka1,cluster=c brokers_answering=3i,under_replicated=0i,offline=0i
kafka_broker,host=kafka1,broker=1 response_time=0.01,log_size=%Ni
kafka_partition,host=kafka1,topic=telegraf,partition=0 high=%Ni
kafka_consumer_group,host=kafka1,group=g lag=3i
zookeeper,host=kafka1 outstanding_requests=0i,num_alive_connections=3i
"""


@pytest.fixture(scope="module")
def rendered(skywatch_bin, tmp_path_factory):
    """The example's files, with a webhook."""
    directory = tmp_path_factory.mktemp("render")

    def skywatch(*arguments):
        done = subprocess.run([skywatch_bin, *arguments], capture_output=True, text=True, timeout=120)
        if done.returncode == 2 and "unrecognized subcommand" in done.stderr:
            pytest.skip("this binary does not render")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    example = skywatch("render", "--example")
    (directory / "cloud.toml").write_text(example.replace("#: discord-webhook", "discord-webhook"))
    skywatch("render", "--inventory", directory / "cloud.toml", "--out", directory / "out")
    return directory / "out" / "hosts"


@pytest.fixture(scope="module")
def server(skywatch_bin, tmp_path_factory, rendered):
    """A store into which the agent of data1 writes, and what is not here is written by hand."""
    directory = tmp_path_factory.mktemp("server")
    server = Skywatch(skywatch_bin, directory, agent=False)
    agent = None
    try:
        server.start().query("CREATE DATABASE telegraf")
        config = directory / "telegraf.conf"
        config.write_text(local((rendered / "data1" / AGENT).read_text(), server, rendered / "data1", directory))
        agent = Process([skywatch_bin, "agent", "--config", config], directory / "agent.log").start()
        now = int(time.time())
        lines = []
        for step in range(STEPS):
            count = 1000 * (step + 1)
            at = now - (STEPS - step) * STEP_SECONDS
            lines += [f"{line.replace('%N', str(count))} {at}" for line in REPORTED.strip().splitlines()]
        answer = server.write("\n".join(lines), db="telegraf", precision="s")
        assert answer.status_code == 204, answer.text
        # Rates need two points, counters of the server itself among them.
        wait_until(
            lambda: any(count >= 3 for _, count in server.rows('SELECT count(counter) FROM process_cpu_seconds_total', "telegraf")),
            f"the agent's metrics: {agent.output()[-2000:]}", 90,
        )
        server.now = now
        yield server
    finally:
        if agent:
            agent.stop()
        server.stop()


def local(text, server, host, directory):
    """A rendered configuration, with this machine in the place of the cloud: addresses, certificates, state, and a pace."""
    text = re.sub(r'"https://skywatch\.cloud\.example:8086"', f'"{server.url}"', text)
    text = re.sub(r'"https://data1\.cloud\.example:8086/metrics"', f'"{server.url}/metrics"', text)
    text = text.replace("/etc/skywatch/tls", str(host / "etc/skywatch/tls"))
    text = re.sub(r"/var/lib/(skywatch/agent|telegraf)", str(directory / "state"), text)
    return re.sub(r'^  (interval|flush_interval) = "10[sm]"', r'  \1 = "2s"', text, flags=re.M)


def test_every_configuration_of_an_agent_is_one(skywatch_bin, rendered, tmp_path):
    hosts = sorted(path.name for path in rendered.iterdir())
    assert "kvm1" in hosts and "data1" in hosts
    for host in hosts:
        for place in (AGENT, TELEGRAF):
            path = rendered / host / place
            assert path.stat().st_mode & 0o077 == 0, f"{path} holds a password"
            # Certificates lie where they were rendered to, not where they are copied to.
            here = tmp_path / f"{host}.conf"
            here.write_text(path.read_text().replace("/etc/skywatch/tls", str(rendered / host / "etc/skywatch/tls")))
            done = subprocess.run([skywatch_bin, "config", "check", "agent", here], capture_output=True, text=True)
            assert done.returncode == 0 and "warning:" not in done.stdout, done.stdout + done.stderr
    assert "[[inputs.libvirt]]" in (rendered / "kvm1" / AGENT).read_text()
    assert "[[inputs.libvirt]]" not in (rendered / "data1" / AGENT).read_text()


def test_telegraf_collects_what_the_agent_does(rendered):
    """The same but for the places of their state, and what Telegraf does not have."""
    for host in rendered.iterdir():
        agent, telegraf = ((host / place).read_text() for place in (AGENT, TELEGRAF))
        agent = re.sub(r"\n\[\[inputs\.kafka\]\]\n(  .*\n)+", "", agent)
        agent, telegraf = (text.split("\n\n", 1)[1].strip() for text in (agent, telegraf))
        assert agent.replace("/var/lib/skywatch/agent", "/var/lib/telegraf") == telegraf


def test_what_agents_report_carries_where_they_stand(server):
    tags = server.query("SHOW TAG VALUES FROM cpu WITH KEY IN (cloud, datacenter, rack, host)", "telegraf")
    values = {tuple(row) for row in tags["results"][0]["series"][0]["values"]}
    assert values == {("cloud", "mycloud"), ("datacenter", "east"), ("rack", "r1"), ("host", "data1")}


def test_every_query_of_every_dashboard_has_an_answer(server, rendered):
    files = sorted((rendered / "graf1/var/lib/grafana/dashboards/skywatch").iterdir())
    names = ["cloud-hosts.json", "cloud-kafka.json", "cloud-skywatch.json", "cloud-virtual-machines.json"]
    assert [path.name for path in files] == names
    end = int(time.time())
    # As often as the agent asks here.
    source = DataSource(server.url, "telegraf", (server.now - 600) * 1000, end * 1000, interval_ms=2000)
    empty, wrong, asked = [], [], 0
    for path in files:
        board = json.loads(path.read_text())
        for variable in board["templating"]["list"]:
            assert source.frames(chosen(variable["query"])), f"{path.name}: {variable['name']}"
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                asked += 1
                try:
                    frames = source.frames(chosen(target["query"]))
                except DataSourceError as error:
                    wrong.append(f"{path.name}: {panel['title']}: {error}: {target['query']}")
                    continue
                if not any(value is not None for frame in frames for value in frame["values"]):
                    empty.append(f"{path.name}: {panel['title']}: {target['query']}")
    assert wrong == []
    assert asked > 60
    # What did not happen on this machine: no swap, no write refused.
    expected = r"Swap|Refused and failed|Bytes to merge|Operations|Throughput|Utilisation|Traffic|Errors and drops|Crashed|Shut off"
    assert [line for line in empty if not re.search(expected, line)] == []


def chosen(text):
    """As "All" of every variable."""
    return re.sub(r"/\^\$(datacenter|rack|host|vm)\$/", "/^.*$/", text)


def test_the_console_draws_them(skywatch_bin, rendered, tmp_path):
    boards = tmp_path / "boards"
    shutil.copytree(rendered / "graf1/var/lib/grafana/dashboards/skywatch", boards)
    config = tmp_path / "skywatch.toml"
    config.write_text(f'[console]\ndashboards-dir = "{boards}"\n')
    server = Skywatch(skywatch_bin, tmp_path, "--config", config, console=True)
    try:
        server.start()
        listed = server.session.get(f"{server.console_url}/api/dashboards", timeout=10).json()
        own = {board["uid"]: board["error"] for board in listed if board["uid"].startswith("cloud-")}
        assert own == dict.fromkeys(["cloud-hosts", "cloud-kafka", "cloud-skywatch", "cloud-virtual-machines"])
    finally:
        server.stop()


def test_data_sources_lead_to_the_front_with_tls(rendered):
    provisioning = rendered / "graf1/etc/grafana/provisioning"
    path = provisioning / "datasources/skywatch.yaml"
    assert path.stat().st_mode & 0o077 == 0
    sources = {source["uid"]: source for source in yaml.safe_load(path.read_text())["datasources"]}
    assert {source["url"] for source in sources.values()} == {"https://skywatch.cloud.example:8086"}
    influxql, flux = sources["skywatch"], sources["skywatch-flux"]
    assert influxql["isDefault"] and influxql["jsonData"]["dbName"] == "telegraf"
    assert flux["jsonData"]["version"] == "Flux" and flux["jsonData"]["defaultBucket"] == "telegraf"
    for source in sources.values():
        assert source["jsonData"]["tlsAuthWithCACert"]
        assert source["secureJsonData"]["tlsCACert"] == "$__file{/etc/skywatch/tls/ca.pem}"
    provider = yaml.safe_load((provisioning / "dashboards/skywatch.yaml").read_text())["providers"][0]
    assert (rendered / "graf1" / provider["options"]["path"].lstrip("/")).is_dir()
    # Every panel and every rule asks a source that is there.
    used = set(re.findall(r'"uid": "([^"]+)"', (rendered / "graf1/var/lib/grafana/dashboards/skywatch/cloud-hosts.json").read_text()))
    assert used - {"cloud-hosts"} <= set(sources)


def test_rules_are_read_and_tell_discord(skywatch_bin, rendered, tmp_path):
    path = rendered / "graf1/etc/grafana/provisioning/alerting/skywatch.yaml"
    for file in (path, rendered / "data1/etc/skywatch/alerts.yaml"):
        assert file.stat().st_mode & 0o077 == 0
        done = subprocess.run([skywatch_bin, "config", "check", file], capture_output=True, text=True)
        assert done.returncode == 0 and "no problem found" in done.stdout, done.stdout + done.stderr
    rules = yaml.safe_load(path.read_text())["groups"][0]["rules"]
    assert len({rule["uid"] for rule in rules}) == len(rules) > 10

    discord = DiscordStandIn().start()
    text = re.sub(r"https://discord\.com/api/webhooks/[^']+", discord.webhook(), path.read_text())
    quick = tmp_path / "alerts.yaml"
    text = re.sub(r"for: \d+\w", "for: 0s", text)
    quick.write_text(text.replace("interval: 1m", "interval: 10s").replace("group_wait: 10s", "group_wait: 1s"))

    def texts():
        return [json.dumps(message["body"]) for message in discord.messages()]

    server = Skywatch(skywatch_bin, tmp_path, "--alerts", quick)
    try:
        server.start()
        now = int(time.time())
        lines = [f"disk,host=data1,path=/var used_percent=91.5 {now}", f"libvirt_state,host=kvm1,domain_name=vm1 state=6i {now}"]
        lines += [f"system,host=gone uptime=1i {now - 900 + 10 * i}" for i in range(10)]
        lines += [f"system,host=here uptime=1i {now - 900 + 10 * i}" for i in range(90)]
        assert server.write("\n".join(lines), db="telegraf", precision="s").status_code == 204
        told = {"Disk almost full": "/var of data1 is 91.5 % full", "Virtual machine crashed": "vm1 on kvm1", "Host silent": "gone"}
        for title, words in told.items():
            wait_until(
                lambda title=title, words=words: any(title in text and words in text for text in texts()),
                f"Discord to be told of {title}: {texts()} {server.output()[-1500:]}", 90,
            )
        assert not any("heard of here" in message for message in texts())
    finally:
        server.stop()
        discord.stop()
