"""The agent as a process: reloads, signals, exit codes, and what its own counters say."""

import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import Process, wait_until


class Door(ThreadingHTTPServer):
    """Takes InfluxDB's writes and keeps their lines; while it is shut it answers 503."""

    daemon_threads = True

    def __init__(self):
        self.lines = []
        self.open = True
        super().__init__(("127.0.0.1", 0), DoorHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def count(self, start):
        return sum(line.startswith(start) for line in list(self.lines))


class DoorHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.server.open:
            self.answer(503, b'{"error":"shut"}')
            return
        if self.path.startswith("/write"):
            self.server.lines += body.decode().splitlines()
        self.answer(204 if self.path.startswith("/write") else 200, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def doors():
    opened = []

    def open_one():
        opened.append(Door())
        return opened[-1]

    yield open_one
    for door in opened:
        door.shutdown()
        door.server_close()


@pytest.fixture
def start_agent(skywatch_bin, tmp_path):
    started = []

    def start(config, *arguments):
        path = tmp_path / "agent.conf"
        path.write_text(config)
        process = Process([skywatch_bin, "agent", "--config", path, *arguments], tmp_path / "agent.log").start()
        process.config = path
        started.append(process)
        wait_until(lambda: "the agent runs with" in process.output(), "the agent to start")
        return process

    yield start
    for process in started:
        process.stop()


AGENT = """
[agent]
  interval = "1h"
  round_interval = false
  flush_interval = "1h"
  omit_hostname = true
"""
MEM = '[[inputs.mem]]\n  fieldinclude = ["total"]\n'
KERNEL = '[[inputs.kernel]]\n  fieldinclude = ["boot_time"]\n'


def influxdb(door, options=""):
    return f'[[outputs.influxdb]]\n  urls = ["{door.url}"]\n  database = "telegraf"\n  skip_database_creation = true\n  content_encoding = "identity"\n  {options}\n'


def body(run):
    return [line for line in run.stdout.splitlines() if line.startswith("> ")]


def test_sigusr1_flushes_and_sigterm_stops_with_success(start_agent, doors):
    door = doors()
    agent = start_agent(AGENT + MEM + influxdb(door))

    def flushed():
        agent.process.send_signal(signal.SIGUSR1)
        return door.count("mem ") == 1

    wait_until(flushed, "a flush long before its interval", every=0.3)
    assert agent.stop() == 0, agent.output()


def test_a_reload_keeps_the_buffer_of_a_changed_output_and_the_phase_of_unchanged_inputs(start_agent, doors):
    shut, other = doors(), doors()
    shut.open = False
    agent = start_agent(AGENT + MEM + influxdb(shut, "metric_batch_size = 1"))
    wait_until(lambda: "write failed" in agent.output(), "a write that fails")
    agent.config.write_text(AGENT + "[[inputs.kernel]]\n" + MEM + influxdb(other, "metric_batch_size = 1"))
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: other.count("mem ") == 1 and other.count("kernel ") == 1, "what was buffered, and the new input")
    assert agent.stop() == 0
    assert other.count("mem ") == 1, "the unchanged input did not gather again"
    assert not shut.lines
    assert "and are lost" not in agent.output()


def test_a_bad_configuration_is_told_of_and_the_old_one_goes_on(start_agent, doors):
    door = doors()
    agent = start_agent(AGENT + MEM + influxdb(door, "metric_batch_size = 1"))
    wait_until(lambda: door.count("mem ") == 1, "the first gather")
    agent.config.write_text(AGENT + MEM + influxdb(door) + "[[inputs.mem]]\n  nonsense = 1\n")
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the old one goes on" in agent.output(), "the error")
    line = agent.config.read_text().splitlines().index("  nonsense = 1") + 1
    assert f"agent.conf:{line}" in agent.output() and "nonsense" in agent.output(), agent.output()
    # And it can be put right.
    agent.config.write_text(AGENT + MEM + KERNEL + influxdb(door, "metric_batch_size = 1"))
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: door.count("kernel ") == 1, "the reload after it")
    assert agent.stop() == 0
    assert door.count("mem ") == 1


@pytest.mark.parametrize(
    "watch", [["--watch-config", "notify"], ["--watch-config", "poll", "--watch-interval", "200ms"]], ids=["notify", "poll"]
)
def test_a_watched_file_reloads_when_it_changes(start_agent, doors, watch):
    door = doors()
    output = influxdb(door, "metric_batch_size = 1")
    agent = start_agent(AGENT + MEM + output, *watch)
    wait_until(lambda: door.count("mem ") == 1, "the first gather")
    new = agent.config.with_suffix(".new")
    new.write_text(AGENT + MEM + KERNEL + output)
    new.rename(agent.config)
    wait_until(lambda: door.count("kernel ") == 1, "the new input")
    assert agent.stop() == 0
    assert door.count("mem ") == 1


def test_counters_survive_a_reload(start_agent, doors):
    door = doors()
    config = AGENT + MEM + '[[inputs.internal]]\n  interval = "200ms"\n  fieldinclude = ["metrics_gathered"]\n' + influxdb(
        door, "metric_batch_size = 1"
    )

    def gathered():
        """What `internal` told last of inputs.mem."""
        told = [line for line in list(door.lines) if line.startswith("internal_gather,input=mem")]
        return int(told[-1].split("metrics_gathered=")[1].split("i")[0]) if told else 0

    agent = start_agent(config)
    wait_until(lambda: gathered() == 1, "the first gather is counted")
    agent.config.write_text(config.replace('["total"]', '["free"]'))
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gathered() == 2, "the second gather is added to it")
    assert agent.stop() == 0


def test_state_is_kept_over_restarts(start_agent, doors, tmp_path):
    door = doors()
    state = tmp_path / "state.json"
    config = AGENT + f'  statefile = "{state}"\n' + MEM + '  interval = "100ms"\n' + "[[processors.dedup]]\n" + KERNEL
    config = config + '  interval = "100ms"\n' + influxdb(door, "metric_batch_size = 1")
    agent = start_agent(config)
    wait_until(lambda: door.count("mem ") == 1 and door.count("kernel ") == 1, "what is told once")
    assert agent.stop() == 0
    assert "processors.dedup#" in state.read_text()
    first_size = len(agent.output())
    # A third input shows that the agent collects, and sends what is new.
    agent = start_agent(config + "[[inputs.swap]]\n")
    wait_until(lambda: "the agent runs with" in agent.output()[first_size:], "the second start")
    wait_until(lambda: door.count("swap ") == 2, "what is new")
    assert agent.stop() == 0
    assert (door.count("mem "), door.count("kernel ")) == (1, 1), "what repeats the last run is not told again"


def run(skywatch_bin, tmp_path, config, *arguments):
    path = tmp_path / "agent.conf"
    path.write_text(config)
    return subprocess.run(
        [skywatch_bin, "agent", "--config", path, *arguments], capture_output=True, text=True, timeout=60
    )


def test_test_runs_processors_and_aggregators_and_needs_no_output(skywatch_bin, tmp_path):
    config = (
        AGENT
        + MEM
        + '[[processors.rename]]\n  [[processors.rename.replace]]\n  measurement = "mem"\n  dest = "memory"\n'
        + '[[aggregators.minmax]]\n  namepass = ["memory"]\n  grace = "2s"\n'
    )
    done = run(skywatch_bin, tmp_path, config, "--test")
    assert done.returncode == 0, done.stderr
    lines = body(done)
    assert lines[0].startswith("> memory total=") and "u " in lines[0], lines
    assert lines[1].startswith("> memory total_max=") and len(lines) == 2, lines


def test_exit_codes_of_single_rounds(skywatch_bin, tmp_path, doors):
    door = doors()
    failing = '[[inputs.zookeeper]]\n  servers = ["127.0.0.1:1"]\n  timeout = "1s"\n'
    good = run(skywatch_bin, tmp_path, AGENT + MEM + influxdb(door), "--once")
    assert good.returncode == 0 and door.count("mem ") == 1, good.stderr
    door.open = False
    unsent = run(skywatch_bin, tmp_path, AGENT + MEM + influxdb(door), "--once")
    assert unsent.returncode == 1 and "1 metrics were not stored" in unsent.stderr, unsent.stderr
    failed = run(skywatch_bin, tmp_path, AGENT + MEM + failing, "--test")
    assert failed.returncode == 1 and len(body(failed)) == 1, failed.stderr
    nothing = run(skywatch_bin, tmp_path, AGENT + MEM, "--once")
    assert nothing.returncode == 1 and "no [[outputs.NAME]] is configured" in nothing.stderr, nothing.stderr


def test_a_strict_output_ends_the_agent(skywatch_bin, tmp_path):
    config = AGENT + MEM + '[[outputs.influxdb]]\n  urls = ["http://127.0.0.1:1"]\n  startup_error_behavior = "error"\n'
    done = run(skywatch_bin, tmp_path, config)
    assert done.returncode == 1, done.stderr
    assert 'cannot start' in done.stderr and '`startup_error_behavior` is "error"' in done.stderr
