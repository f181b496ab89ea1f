"""Files through the agent: whole ones, and ones that grow, are rotated, and outlive the agent."""

import random
import subprocess
import threading
import time

import pytest
from conftest import Process, wait_until

T0 = 1_700_000_000_000_000_000


def config(skywatch, tmp_path, inputs):
    path = tmp_path / "agent.conf"
    path.write_text(
        f"""
[agent]
  omit_hostname = true
  interval = "1s"
  flush_interval = "200ms"
  statefile = "{tmp_path}/state.json"
  buffer_strategy = "disk"
  buffer_directory = "{tmp_path}/buffer"
[[outputs.influxdb]]
  urls = ["{skywatch.url}"]
  database = "db"
{inputs}"""
    )
    return path


def lines(count, seed=7):
    """Lines of every type, with names and texts that need escapes."""
    chance = random.Random(seed)
    texts = ["plain", 'with \\"quotes\\"', "back\\\\slash", "späce, = and more"]
    for n in range(count):
        tags = f"h=h{chance.randrange(5)},odd\\ key=a\\,b\\=c\\ {chance.randrange(3)}"
        fields = [f"i={chance.randrange(-(2**60), 2**60)}i", f"f={chance.uniform(-1e9, 1e9)!r}"]
        fields += [f"b={chance.choice(['t', 'false'])}", f's="{chance.choice(texts)}"']
        yield f"m\\ {n % 3},{tags} {','.join(fields)} {T0 + n}"


def test_a_file_through_the_agent_is_the_file_written_directly(skywatch, skywatch_bin, tmp_path):
    text = "\n".join(lines(5000)) + "\n"
    (tmp_path / "points.lp").write_text(text)
    path = config(skywatch, tmp_path, f'[[inputs.file]]\n  files = ["{tmp_path}/*.lp"]\n  precision = "1ns"\n')
    done = subprocess.run([skywatch_bin, "agent", "--config", path, "--once"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    skywatch.query("CREATE DATABASE direct")
    assert skywatch.write(text, db="direct").status_code == 204
    for measurement in range(3):
        query = f'SELECT * FROM "m {measurement}" GROUP BY *'
        answer = skywatch.query(query, "db")
        assert answer == skywatch.query(query, "direct")
        assert sum(len(series["values"]) for series in answer["results"][0]["series"]) > 1000


@pytest.mark.parametrize("how", ["renamed", "cut"])
def test_rotation_under_load_and_kill_9_lose_no_line(skywatch, skywatch_bin, tmp_path, how):
    log = tmp_path / "app.log"
    log.touch()
    path = config(
        skywatch,
        tmp_path,
        f"""
[[inputs.tail]]
  files = ["{log}*"]
  initial_read_offset = "saved-or-beginning"
  path_tag = ""
""",
    )
    written = 0
    stop = threading.Event()

    def write():
        nonlocal written
        rotated = time.monotonic()
        while not stop.is_set():
            with log.open("a") as file:
                for _ in range(50):
                    file.write(f"grow n={written}i {T0 + written}\n")
                    written += 1
            time.sleep(0.02)
            if how == "renamed" and time.monotonic() - rotated > 0.5:
                log.rename(tmp_path / f"app.log.{written}")
                rotated = time.monotonic()

    agent = Process([skywatch_bin, "agent", "--config", path], tmp_path / "agent.log").start()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            time.sleep(2)
            agent.kill()
            time.sleep(0.7)
            agent.start()
        time.sleep(1)
    finally:
        stop.set()
        writer.join()

    def count():
        answer = skywatch.query("SELECT count(n) FROM grow")["results"][0].get("series", [{"values": [[0, 0]]}])
        return answer[0]["values"][0][1]

    wait_until(lambda: count() == written, f"{written} lines", 30)
    if how == "cut":
        # Everything is read; what comes after the cut is new.
        log.write_text("grow n=-1i 1\n")
        wait_until(lambda: count() == written + 1, "the line after the cut", 20)
    assert agent.stop() == 0, agent.output()
    numbers = [n for _, n in skywatch.rows("SELECT n FROM grow WHERE n >= 0")]
    assert numbers == list(range(written))
