"""npm's `influx` and `@influxdata/influxdb-client`, unmodified: the tests are in clients-node/, run by Node's own runner.

node-influx also talks to a real InfluxDB, so that what is expected is what its users know.
"""

import os
import re
import subprocess

import pytest
from conftest import ROOT, need

FOLDER = ROOT / "tests" / "clients-node"


def run_node_tests(file, url, version, environment=None):
    """Runs one file; fails with Node's report, and unless every test in it ran and passed."""
    own_node = ROOT / ".node" / "bin" / "node"
    node = str(own_node) if own_node.exists() else need("node", "nodejs")
    if not (FOLDER / "node_modules").exists():
        pytest.skip("the Node clients are not installed (scripts/setup.sh test)")
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", file],
        cwd=FOLDER,
        env={**os.environ, "INFLUXDB_URL": url, "INFLUXDB_VERSION": version, "FORCE_COLOR": "0", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    report = done.stdout + done.stderr
    counts = {name: int(count) for name, count in re.findall(r"^\S+ (tests|pass|fail|skipped|todo) (\d+)$", report, re.M)}
    assert done.returncode == 0 and counts["pass"] == counts["tests"] > 0, report


@pytest.mark.parametrize("server, version", [("influxd", "1.6"), ("shared_skywatch", "1.8.10")])
def test_node_influx(request, server, version):
    run_node_tests("influx.test.js", request.getfixturevalue(server).url, version)


def test_influxdata_client(shared_skywatch):
    run_node_tests("influxdb-client.test.js", shared_skywatch.url, "1.8.10")
