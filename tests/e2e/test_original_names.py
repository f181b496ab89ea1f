"""The binary under the names of the original's programs, with their commands, options and places of files."""

import os
import subprocess
import tomllib

import pytest
import requests
from cluster import toml, unused_ports
from conftest import Process, answers, wait_until


@pytest.fixture
def programs(skywatch_bin, tmp_path):
    """Where the binary is called influxd, influxd-meta and influxd-ctl."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("influxd", "influxd-meta", "influxd-ctl"):
        (directory / name).symlink_to(skywatch_bin)
    return directory


def run(*command, home, **env):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("INFLUXDB_", "SKYWATCH_"))}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=30, env={**clean, "HOME": str(home), **env}
    )


def test_a_cluster_of_three_programs(programs, tmp_path):
    raft, meta_http, http, tcp = unused_ports(4)
    meta_file, data_file = tmp_path / "meta.conf", tmp_path / "data.conf"
    meta = {"dir": str(tmp_path / "m"), "bind-address": f":{raft}", "http-bind-address": f":{meta_http}"}
    meta_file.write_text(toml({"meta": meta}))
    data = {"bind-address": f":{tcp}", "data": {"dir": str(tmp_path / "d")}, "http": {"bind-address": f":{http}"}}
    data_file.write_text(toml({**data, "monitor": {"store-enabled": False}}))
    pidfile = tmp_path / "influxd-meta.pid"
    meta = Process(
        [programs / "influxd-meta", "-config", meta_file, "-hostname", "127.0.0.1", "-pidfile", pidfile], tmp_path / "meta.log"
    )
    # The file is found by the environment, and `run` may be said.
    environment = {**os.environ, "INFLUXDB_CONFIG_PATH": str(data_file), "INFLUXDB_META_CONFIG_PATH": "/nowhere"}
    node = Process([programs / "influxd", "run", "-hostname=127.0.0.1"], tmp_path / "data.log", env=environment)
    try:
        meta.start()
        node.start()
        wait_until(lambda: answers(f"http://127.0.0.1:{meta_http}/status"), "the meta node to answer")
        wait_until(lambda: answers(f"http://127.0.0.1:{tcp}/status"), "the data node to answer")
        assert int(pidfile.read_text()) == meta.process.pid
        ctl = [programs / "influxd-ctl", "-bind", f"127.0.0.1:{meta_http}"]
        added = run(*ctl, "add-meta", f"127.0.0.1:{meta_http}", home=tmp_path)
        assert (added.returncode, added.stdout) == (0, f"Added meta node 1 at 127.0.0.1:{meta_http}\n"), added
        added = run(*ctl, "add-data", f"127.0.0.1:{tcp}", home=tmp_path)
        assert (added.returncode, added.stdout) == (0, f"Added data node 2 at 127.0.0.1:{tcp}\n"), added
        wait_until(lambda: answers(f"http://127.0.0.1:{http}/ping"), "the data node to serve")
        ping = requests.get(f"http://127.0.0.1:{http}/ping", timeout=5)
        assert (ping.status_code, ping.headers["X-Influxdb-Build"]) == (204, "OSS")
    finally:
        node.stop()
        meta.stop()
    assert not pidfile.exists()


def test_config_prints_what_counts(programs, tmp_path):
    home = tmp_path / "home"
    (home / ".influxdb").mkdir(parents=True)
    for name, role in [("influxd", "data"), ("influxd-meta", "meta")]:
        # The null device is no file; without it one in /etc would be read where InfluxDB is installed.
        alone = run(programs / name, "config", "-config", "/dev/null", home=home)
        assert (alone.returncode, alone.stderr) == (0, ""), alone
        assert tomllib.loads(alone.stdout)[role]["dir"] == str(home / ".influxdb" / role)
    # The first file that there is of those that are looked for.
    file = home / ".influxdb" / "influxdb.conf"
    file.write_text('[data]\ndir = "/f"\n[cluster]\ndial-timeout = "7s"\n[[udp]]\nenabled = true\n')
    printed = run(programs / "influxd", "config", "-hostname", "h1", home=home, INFLUXDB_HTTP_MAX_ROW_LIMIT="5")
    assert printed.stderr == f"Merging with configuration at: {file}\n"
    config = tomllib.loads(printed.stdout)
    assert (config["hostname"], config["data"]["dir"], config["http"]["max-row-limit"]) == ("h1", "/f", 5)
    assert (config["coordinator"]["dial-timeout"], config["coordinator"]["write-timeout"]) == ("7s", "10s")
    assert config["udp"] == [{"enabled": True}] and config["hinted-handoff"]["max-size"] == "10g"
    # What is printed is a configuration.
    file.write_text(printed.stdout)
    assert tomllib.loads(run(programs / "influxd", "config", home=home).stdout) == config
    # A name that leads nowhere is told.
    missing = run(programs / "influxd", "config", "-config", "/nowhere.conf", home=home)
    assert missing.returncode == 1 and "/nowhere.conf" in missing.stderr, missing


def test_version_help_and_what_is_unknown(programs, tmp_path):
    for name in ("influxd", "influxd-meta"):
        version = run(programs / name, "version", home=tmp_path)
        assert version.returncode == 0 and version.stdout.startswith("InfluxDB v1.8.10 (git: "), version
        for arguments in (["help"], ["-h"]):
            told = run(programs / name, *arguments, home=tmp_path)
            assert told.returncode == 0 and told.stdout.startswith(f"Usage: {name} ") and "-pidfile" in told.stdout, told
        unknown = run(programs / name, "restore", "x", home=tmp_path)
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr == f"unknown command \"restore\"\nRun '{name} help' for usage\n\n"
    assert "-single-server" in run(programs / "influxd-meta", "help", home=tmp_path).stdout
