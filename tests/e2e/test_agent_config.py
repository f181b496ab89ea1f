"""The agent's configuration from outside: where it comes from, what of it is taken, how it is checked and logged."""

import http.server
import json
import os
import re
import subprocess
import threading

import pytest
from conftest import Process, need, wait_until

BASE = """
[agent]
  interval = "1s"
  omit_hostname = true
[[inputs.mem]]
  fieldinclude = ["total"]
"""


@pytest.fixture
def agent(skywatch_bin, tmp_path):
    def run(*arguments, env=None, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.conf").write_text(text)
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | (env or {})
        return subprocess.run(
            [skywatch_bin, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment
        )

    return run


def measurements(done):
    assert done.returncode == 0, done.stderr
    return {re.split("[, ]", line[2:])[0] for line in done.stdout.splitlines()}


def test_filters_and_labels(agent):
    text = BASE + '[[inputs.swap]]\n[inputs.swap.labels]\nregion = "eu-1"\n[[inputs.system]]\n[inputs.system.labels]\nregion="us"\n'
    assert measurements(agent("agent", "--config", "a.conf", "--test", a=text)) == {"mem", "swap", "system"}
    assert measurements(agent("agent", "--config", "a.conf", "--test", "--input-filter", "mem:swap")) == {"mem", "swap"}
    assert measurements(agent("agent", "--config", "a.conf", "--test", "--select", "region=eu-*")) == {"mem", "swap"}


def test_metricpass(agent):
    text = BASE + '  metricpass = "fields.total < 0u"\n[[inputs.swap]]\n  metricpass = "name == \'swap\'"\n'
    assert measurements(agent("agent", "--config", "a.conf", "--test", a=text)) == {"swap"}
    done = agent("agent", "--config", "a.conf", "--test", a=BASE + '  metricpass = "name =="\n')
    assert done.returncode != 0 and "a.conf:7: `metricpass` in [inputs.mem]: line 1, column" in done.stderr


def test_usual_places(agent, tmp_path):
    done = agent("agent", "--test")
    if not os.path.exists("/etc/telegraf/telegraf.conf"):
        assert done.returncode != 0 and ".telegraf/telegraf.conf" in done.stderr
    (tmp_path / ".telegraf").mkdir()
    (tmp_path / ".telegraf" / "telegraf.conf").write_text(BASE)
    assert measurements(agent("agent", "--test")) == {"mem"}
    assert measurements(agent("agent", "--test", env={"TELEGRAF_CONFIG_PATH": "b.conf"}, b="[[inputs.swap]]")) == {"swap"}


def test_environment_modes(agent):
    text = BASE.replace('"1s"', "$EVERY") + "# ${NEVER:?a comment}\n"
    assert agent("agent", "--config", "a.conf", "--test", a=text).returncode != 0
    env = {"EVERY": "7"}
    assert measurements(agent("agent", "--config", "a.conf", "--test", "--non-strict-env-handling", env=env)) == {"mem"}
    assert measurements(agent("agent", "--config", "a.conf", "--test", "--old-env-behavior", env=env)) == {"mem"}


def test_a_configuration_from_a_url(agent):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(BASE.encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/telegraf.conf"
        assert measurements(agent("agent", "--config", url, "--test", env={"INFLUX_TOKEN": "t0ken"})) == {"mem"}
        server.shutdown()
    assert seen == ["Token t0ken"]


def test_check_tells_of_errors_and_traps(agent):
    text = BASE + '  intervall = "1s"\n[[inputs.swap]]\n[[inputs.nonsense]]\n[[outputs.file]]\n  alias = "@{vault:key}"\n'
    done = agent("config", "check", "agent", "a.conf", a=text)
    assert done.returncode != 0
    assert "secret @{vault:key}" in done.stderr
    done = agent("config", "check", "agent", "a.conf", a=text.replace("@{vault:key}", "x"))
    assert "a.conf:7: unknown option `intervall` in [inputs.mem] (did you mean `interval`?)" in done.stderr
    assert "a.conf:9: unknown plugin inputs.nonsense" in done.stderr and " cpu, " in done.stderr
    good = '[[inputs.disk]]\n  interval = 5\n  namepass = ["{a,b}"]\n'
    done = agent("config", "check", "agent", "b.conf", "c.conf", b=good, c=BASE)
    assert done.returncode == 0, done.stderr
    for words in (
        "warning: b.conf:2: `interval` in [inputs.disk] is the number 5, which has no effect",
        "warning: b.conf:3: `namepass` in [inputs.disk] is compared to the letter",
        "[agent] is not in the first file",
        "note: b.conf:1: [inputs.disk] leaves out `ignore_fs`",
        "no error found",
    ):
        assert words in done.stdout, done.stdout
    (binary := agent("config", "check", "agent", "d.conf", d="\x00\x01"))
    assert binary.returncode != 0 and "d.conf: is no text file" in binary.stderr


def test_log_lines(skywatch_bin, tmp_path):
    outputs = '[[outputs.influxdb]]\n  alias = "gone"\n  urls = ["http://127.0.0.1:1"]\n  flush_interval = "1s"\n'
    quiet = '[[outputs.influxdb]]\n  alias = "hushed"\n  urls = ["http://127.0.0.1:1"]\n  log_level = "error"\n'
    config, log = tmp_path / "t.conf", tmp_path / "agent.log"
    config.write_text(BASE.replace("[agent]", f'[agent]\n  logfile = "{log}"\n  debug = true') + outputs + quiet)
    pid = tmp_path / "pid"
    command = [skywatch_bin, "agent", "--config", config, "--pidfile", pid]
    agent = Process(command, tmp_path / "stderr.log").start()
    try:
        wait_until(lambda: log.exists() and "E! [outputs.influxdb::gone] " in log.read_text(), "the error", 30)
        for line in log.read_text().splitlines():
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [TDIWE]! ", line), line
            assert "outputs.influxdb::hushed]" not in line or " E! " in line, line
        assert int(pid.read_text()) > 0
    finally:
        agent.stop()
    assert not pid.exists()
    config.write_text(config.read_text().replace("debug = true", 'logformat = "structured"'))
    log.unlink()
    agent = Process(command, tmp_path / "stderr.log").start()
    try:

        def errors():
            # The last line may be half written.
            lines = [json.loads(line) for line in log.read_text().split("\n")[:-1]] if log.exists() else []
            return [line for line in lines if line.get("alias") == "gone" and line["level"] == "ERROR"]

        error = wait_until(errors, "the error", 30)[0]
    finally:
        agent.stop()
    assert error["category"] == "outputs" and error["plugin"] == "influxdb" and error["msg"]


def test_discover(agent, skywatch, tmp_path):
    """What discover writes loads without a remark and collects, a real HAProxy and a real store among it."""
    root = tmp_path / "host"
    (root / "run" / "haproxy").mkdir(parents=True)
    (root / "haproxy.cfg").write_text(f"""
global
  stats socket {root}/run/haproxy/admin.sock mode 600 level user
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
backend web
  server one 127.0.0.1:9
""")
    # Daemons that come and go on this machine while this runs are not seen.
    env = {"HOST_RUN": str(root / "run"), "HOST_ETC": str(root / "etc")}
    process = Process([need("haproxy", "haproxy"), "-f", root / "haproxy.cfg"], root / "haproxy.log").start()
    try:
        wait_until(lambda: (root / "run/haproxy/admin.sock").exists(), "HAProxy's socket")
        done = agent("agent", "discover", "--output", "found.conf", "--url", skywatch.url, env=env)
        assert done.returncode == 0 and not done.stdout, done.stderr
        text = (tmp_path / "found.conf").read_text()
        assert f'servers = ["{root}/run/haproxy/admin.sock"]' in text and f'urls = ["{skywatch.url}"]' in text
        assert f"{skywatch.url} answers as InfluxDB 1.8" in done.stderr and "not found libvirt: " in done.stderr
        check = agent("config", "check", "agent", "found.conf")
        assert check.returncode == 0 and "warning" not in check.stdout + check.stderr, check.stdout + check.stderr
        tested = agent("agent", "--config", "found.conf", "--test", env=env)
        assert {"mem", "system", "haproxy"} <= measurements(tested)
        assert " W! " not in tested.stderr and " E! " not in tested.stderr, tested.stderr
    finally:
        process.stop()
    again = agent("agent", "discover", "--output", "found.conf", env=env)
    assert again.returncode != 0 and "found.conf cannot be written: File exists" in again.stderr
    assert (tmp_path / "found.conf").read_text() == text
    printed = agent("agent", "discover", env=env)
    assert printed.returncode == 0 and "[[inputs.mem]]" in printed.stdout, printed.stderr
    assert {"mem", "system"} <= measurements(agent("agent", "--config", "this.conf", "--test", env=env, this=printed.stdout))
