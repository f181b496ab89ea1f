"""A threshold crossed becomes one Discord message, through rate limits, failures and restarts."""

import json
import time

import pytest
from conftest import wait_until
from discord_stand_in import DiscordStandIn

RULES = """
contact_points:
  - name: ops
    type: discord
    url: {url}
rules:
  - name: Too hot
    query: SELECT last(celsius) FROM temperature WHERE time > now() - 5m GROUP BY room
    database: db
    above: 40
    for: {hold}
    interval: 1s
    notify: ops
    group_interval: 1s
"""


@pytest.fixture
def discord():
    with DiscordStandIn() as server:
        yield server


@pytest.fixture
def with_rules(start_skywatch, tmp_path, discord):
    def start(hold="0s", rules=RULES):
        file = tmp_path / "alerts.yaml"
        file.write_text(rules.format(url=discord.webhook(), hold=hold))
        server = start_skywatch("--alerts", str(file), console=True)
        server.query("CREATE DATABASE db")
        return server

    return start


def write(server, room, celsius):
    assert server.write(f"temperature,room={room} celsius={celsius}").status_code == 204


def texts(discord):
    """Every accepted message as JSON text, oldest first."""
    return [json.dumps(message["body"], ensure_ascii=False) for message in discord.messages()]


def told(discord, *words):
    return [text for text in texts(discord) if all(word in text for word in words)]


def refused(discord):
    with discord.lock:
        return list(discord.refused)


def rule(server):
    return server.session.get(f"{server.console_url}/api/alerts", timeout=10).json()["rules"][0]


def test_a_crossed_threshold_is_told_once_and_its_end_too(with_rules, discord):
    server = with_rules()
    write(server, "attic", 30)
    write(server, "cellar", 12)
    wait_until(lambda: len(rule(server)["instances"]) == 2, "both rooms to be watched")
    write(server, "attic", 45)
    wait_until(lambda: told(discord, "Too hot", "attic"), "the message")
    time.sleep(4)
    firing = told(discord, "Too hot", "attic")
    assert len(firing) == 1, "the same news is told once"
    assert "cellar" not in firing[0] and "45" in firing[0]
    assert rule(server)["state"] == "firing"
    write(server, "attic", 25)
    wait_until(lambda: len(told(discord, "Too hot", "attic")) == 2, "the end of the alert")
    assert rule(server)["state"] == "normal"
    assert refused(discord) == []


def test_pending_waits_for_its_time(with_rules, discord):
    server = with_rules(hold="4s")
    write(server, "attic", 45)
    wait_until(lambda: rule(server)["state"] == "pending", "the rule to be pending")
    assert texts(discord) == []
    wait_until(lambda: rule(server)["state"] == "firing", "the rule to fire", 15)
    wait_until(lambda: told(discord, "attic"), "the message")


def test_rate_limits_and_failures_delay_but_lose_nothing(with_rules, discord):
    discord.add_script(["500", "429:1.5", "slow:1"])
    server = with_rules()
    for room in range(5):
        write(server, f"room-{room}", 50 + room)
    wait_until(lambda: all(told(discord, f"room-{room}") for room in range(5)), "all five rooms", 40)


def test_a_restart_neither_repeats_nor_forgets(with_rules, discord):
    server = with_rules()
    write(server, "attic", 45)
    wait_until(lambda: told(discord, "attic"), "the message")
    time.sleep(1.5)
    server.kill()
    server.start()
    wait_until(lambda: rule(server)["state"] == "firing", "the alert to be known after the restart")
    time.sleep(4)
    assert len(told(discord, "attic")) == 1, "a restart is no news"
    write(server, "attic", 20)
    wait_until(lambda: len(told(discord, "attic")) == 2, "the end of the alert")


def test_what_was_queued_is_delivered_after_kill_9(with_rules, discord):
    discord.add_script(["500"] * 4)
    server = with_rules()
    write(server, "attic", 45)
    wait_until(lambda: refused(discord), "the first attempt")
    time.sleep(0.5)
    server.kill()
    server.start()
    wait_until(lambda: told(discord, "attic"), "the message after the restart", 60)


def test_many_alerts_fit_discords_limits(with_rules, discord):
    server = with_rules()
    long = "x" * 300
    lines = [f"temperature,room=room-{n}-{long} celsius={50 + n}" for n in range(60)]
    assert server.write("\n".join(lines)).status_code == 204
    wait_until(lambda: all(told(discord, f"room-{n}-") for n in range(60)), "all sixty rooms", 60)
    assert refused(discord) == [] or all(item["status"] == 429 for item in refused(discord))


def test_rules_are_reloaded_when_the_file_changes(with_rules, discord, tmp_path):
    server = with_rules()
    file = tmp_path / "alerts.yaml"
    text = file.read_text()
    file.write_text(text.replace("above: 40", "above: 10").replace("Too hot", "Warm"))
    write(server, "attic", 30)
    wait_until(lambda: told(discord, "Warm", "attic"), "the message of the changed rule")
    file.write_text(text.replace("above: 40", "abvoe: 10"))
    wait_until(
        lambda: "abvoe" in str(server.session.get(f"{server.console_url}/api/alerts", timeout=10).json()),
        "the console to name the mistake",
    )
    assert rule(server)["title"] == "Warm", "the rules of before go on"


MUTED = """
contact_points:
  - {{ name: ops, type: discord, url: {url}, title: '{{{{ template "short" . }}}}' }}
templates:
  - orgId: 1
    name: titles
    template: '{{{{ define "short" }}}}heads up: {{{{ len .Alerts.Firing }}}}{{{{ end }}}}'
muteTimes:
  - {{ orgId: 1, name: holidays, time_intervals: [{{ years: ["{hold}"] }}] }}
rules:
  - {{ name: Too hot, query: 'SELECT last(celsius) FROM temperature WHERE time > now() - 5m GROUP BY room', database: db, above: 40,
      interval: 1s, notify: ops, group_interval: 1s, mute_time_intervals: [holidays] }}
"""


def test_in_a_mute_timing_nothing_is_told_until_it_is_over(with_rules, discord, tmp_path):
    server = with_rules(hold="2000:2100", rules=MUTED)
    write(server, "attic", 45)
    wait_until(lambda: [it.get("muted") for it in rule(server)["instances"]] == ["muted by holidays"], "the alert to be muted")
    metrics = lambda: server.session.get(f"{server.url}/metrics", timeout=10).text
    assert "\nskywatch_alert_instances_muted 1\n" in metrics()
    time.sleep(3)
    assert texts(discord) == []
    (tmp_path / "alerts.yaml").write_text(MUTED.format(url=discord.webhook(), hold="1999"))
    wait_until(lambda: told(discord, "heads up: 1"), "the message, now that nothing is muted")
    assert "muted" not in rule(server)["instances"][0]
    assert "\nskywatch_alert_instances_muted 0\n" in metrics()
