"""Alerts of a cluster: one node evaluates, every node shows them, and who takes over neither repeats nor forgets."""

import json
import re
import time

import pytest
import requests
from conftest import free_port, wait_until
from discord_stand_in import DiscordStandIn

RULES = """
contact_points:
  - name: ops
    type: discord
    url: {url}
rules:
  - name: Too hot
    query: SELECT last(celsius) FROM temperature WHERE time > now() - 10m GROUP BY room
    database: db
    above: 40
    interval: 1s
    notify: ops
    group_wait: 0s
    group_interval: 1s
    repeat_interval: {repeat}
"""

# The lease of a node that died ends after 6 s; then another node asks for it, takes over and evaluates.
TAKEOVER_SECONDS = 40


@pytest.fixture
def discord():
    with DiscordStandIn() as server:
        yield server


class Watched:
    """A cluster of one meta node and two data nodes with consoles, the same rules on both, and what Discord hears."""

    def __init__(self, cluster, discord):
        self.cluster = cluster
        self.discord = discord

    def page(self, node):
        """What the console of a node says of alerts; nothing while it does not answer."""
        try:
            return node.session.get(f"http://{node.config['console']['bind']}/api/alerts", timeout=10).json()
        except requests.RequestException:
            return None

    def state(self, node):
        page = self.page(node)
        return page["rules"][0]["state"] if page and page["rules"] else None

    def gauge(self, node, name):
        """The value of a metric of a node; nothing if it does not tell it."""
        text = node.session.get(f"{node.url}/metrics", timeout=10).text
        found = re.search(rf"^{name} (\S+)$", text, re.M)
        return float(found.group(1)) if found else None

    def evaluating(self):
        """The nodes that run and say that they evaluate."""
        return [node for node in self.cluster.data if node.running() and self.gauge(node, "skywatch_alert_evaluating") == 1]

    def evaluator_and_other(self):
        """Waits until one node evaluates."""
        evaluator = wait_until(lambda: (self.evaluating() + [None])[0], "a node to evaluate", TAKEOVER_SECONDS)
        return evaluator, next(node for node in self.cluster.data if node is not evaluator)

    def write(self, node, celsius):
        answer = node.write(f"temperature,room=attic celsius={celsius}")
        assert answer.status_code == 204, answer.text

    def told(self, word):
        texts = [json.dumps(message["body"], ensure_ascii=False) for message in self.discord.messages()]
        return [text for text in texts if word in text and "attic" in text]

    def fires(self):
        """The rule fires, Discord has been told, and both nodes know. Returns who evaluates, and the other."""
        evaluator, other = self.evaluator_and_other()
        self.write(evaluator, 45)
        wait_until(lambda: self.told("Firing"), "the message")
        for node in (evaluator, other):
            wait_until(lambda node=node: self.state(node) == "firing", f"data node {node.id} to show it")
        # A message and its answer are on the disk of the other node about a second later.
        time.sleep(3)
        return evaluator, other


@pytest.fixture
def watched(start_cluster, tmp_path, discord):
    def start(repeat="4h"):
        rules = tmp_path / "alerts.yaml"
        rules.write_text(RULES.format(url=discord.webhook(), repeat=repeat))
        cluster = start_cluster(metas=1, data=0, data_config={"alerts": {"file": str(rules)}})
        for _ in range(2):
            console = {"enabled": True, "bind": f"127.0.0.1:{free_port()}"}
            node = cluster.new_data({"console": console})
            node.start()
            cluster.add_data(node)
        cluster.settle()
        cluster.data[0].query("CREATE DATABASE db WITH REPLICATION 2")
        return Watched(cluster, discord)

    return start


def test_every_node_shows_what_one_evaluates(watched):
    alerts = watched()
    evaluator, other = alerts.fires()
    assert alerts.evaluating() == [evaluator]
    assert alerts.gauge(other, "skywatch_alert_evaluating") == 0
    own, seen = alerts.page(evaluator), alerts.page(other)
    assert own["evaluated_by"] == seen["evaluated_by"] == evaluator.tcp
    assert own["age_ms"] is None and own["evaluator_error"] is None
    assert seen["age_ms"] < 10_000 and seen["evaluator_error"] is None
    assert [instance["labels"] for instance in seen["rules"][0]["instances"]] == [[["room", "attic"]]]
    for node in (evaluator, other):
        assert alerts.gauge(node, "skywatch_alert_instances_firing") == 1
        assert alerts.gauge(node, "skywatch_alert_rules") == 1
        assert alerts.gauge(node, "skywatch_alert_age_seconds") < 10
    message = alerts.discord.messages()[0]["body"]["embeds"][0]
    assert message["url"].startswith(f"http://{evaluator.config['console']['bind']}/alerts"), "it leads to a console"

    # What was seen last stays, with its age, while nobody can be asked.
    evaluator.freeze()
    try:
        wait_until(lambda: alerts.page(other)["evaluator_error"], "the silence to be noticed")
        page = alerts.page(other)
        if page["evaluated_by"] == evaluator.tcp:
            assert page["age_ms"] > 1_000 and page["rules"][0]["state"] == "firing"
        wait_until(lambda: alerts.gauge(other, "skywatch_alert_evaluating") == 1, "the other node to evaluate", TAKEOVER_SECONDS)
    finally:
        evaluator.thaw()
    wait_until(lambda: alerts.evaluating() == [other], "the frozen node to notice that it lost the lease")
    wait_until(lambda: alerts.page(evaluator)["evaluated_by"] == other.tcp, "it to show what the other one evaluates")
    time.sleep(4)
    assert len(alerts.told("Firing")) == 1 and alerts.told("Resolved") == []


def test_what_ended_while_nobody_evaluated_is_told_once(watched):
    alerts = watched()
    evaluator, other = alerts.fires()
    evaluator.kill()
    alerts.write(other, 20)
    wait_until(lambda: alerts.told("Resolved"), "the end of the alert", TAKEOVER_SECONDS)
    wait_until(lambda: alerts.state(other) == "normal", "the other node to show it")
    # The node that died comes back with what it knew, and has nothing to say.
    evaluator.start()
    wait_until(lambda: alerts.state(evaluator) == "normal", "the node that came back to show it")
    time.sleep(5)
    assert len(alerts.told("Resolved")) == 1 and len(alerts.told("Firing")) == 1
    assert alerts.evaluating() == [other]
    # And the state goes on from node to node.
    alerts.write(other, 50)
    wait_until(lambda: len(alerts.told("Firing")) == 2, "the second alert")


def test_what_fires_on_is_not_told_again_but_for_reminders(watched):
    alerts = watched(repeat="45s")
    evaluator, other = alerts.fires()
    first = alerts.discord.messages()[0]["at"]
    evaluator.kill()
    wait_until(lambda: alerts.evaluating() == [other], "the other node to evaluate", TAKEOVER_SECONDS)
    wait_until(lambda: alerts.state(other) == "firing", "the other node to know the alert")
    since = first + 45 - time.time()
    assert since > 5, "the takeover took too long for this test"
    time.sleep(since - 3)
    assert len(alerts.told("attic")) == 1, "what fires on is no news"
    wait_until(lambda: len(alerts.told("attic")) == 2, "the reminder, when it is due", 20)
    assert alerts.told("Resolved") == []


def test_an_orderly_stop_hands_the_last_state_over(watched):
    alerts = watched()
    evaluator, other = alerts.evaluator_and_other()
    alerts.write(evaluator, 45)
    wait_until(lambda: alerts.told("Firing"), "the message", every=0.02)
    # At once: what has just been told must not be told by the next one.
    assert evaluator.stop() == 0, evaluator.output()
    wait_until(lambda: alerts.evaluating() == [other], "the other node to evaluate", TAKEOVER_SECONDS)
    time.sleep(4)
    assert alerts.state(other) == "firing" and len(alerts.told("Firing")) == 1
    alerts.write(other, 20)
    wait_until(lambda: alerts.told("Resolved"), "the end of the alert")
    time.sleep(3)
    assert len(alerts.told("Resolved")) == 1
