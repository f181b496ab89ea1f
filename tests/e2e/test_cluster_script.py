"""`scripts/cluster.sh`, the cluster for trying things out, in a network of its own: its ports are always the same."""

import os
import re
import signal
import subprocess
from pathlib import Path

from conftest import wait_until
from hosts import need_namespaces

SCRIPT = Path(__file__).parents[2] / "scripts" / "cluster.sh"


def test_a_node_that_is_killed_is_named_once(skywatch_bin, tmp_path):
    need_namespaces()
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec bash "$@"', "sh"]
    command += [SCRIPT, skywatch_bin, "--meta", "1", "--data", "2", "--dir", tmp_path / "cluster"]
    output = tmp_path / "output"
    with output.open("w") as into:
        script = subprocess.Popen([str(part) for part in command], stdout=into, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "Ctrl-C stops all of it." in output.read_text() or script.poll() is not None, "the cluster", 60)
        pid = int(re.search(r"kill -9 (\d+)   \(data-2;", output.read_text())[1])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "data-2 has ended" in output.read_text(), "the script to notice", 20)
    finally:
        script.terminate()
        script.wait(30)
    said = output.read_text().split("Ctrl-C stops all of it.\n")[1].splitlines()
    place = tmp_path / "cluster"
    assert said == [
        f"data-2 has ended; start it again: {Path(skywatch_bin).resolve()} data --config {place}/data-2/data.toml",
        f"stopped; everything is kept in {place}",
    ]
