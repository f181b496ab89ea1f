"""Authentication as users meet it: the real `influx`, PyPI's clients, the console, the agent, backups."""

import subprocess

import pytest
import requests
from conftest import need, wait_until

ADMIN = ("root", "rootpw")
MAKE_ROOT = "CREATE USER root WITH PASSWORD 'rootpw' WITH ALL PRIVILEGES"


def ask(server, q, auth=ADMIN, **params):
    return requests.post(f"{server.url}/query", params=params, data={"q": q}, auth=auth, timeout=30)


@pytest.fixture
def secured(start_skywatch):
    """A store that asks for users, with `root`, `reader` and a database `db`."""
    server = start_skywatch("--auth")
    assert ask(server, MAKE_ROOT, auth=None).status_code == 200
    for q in ["CREATE DATABASE db", "CREATE USER reader WITH PASSWORD 'it''s'".replace("''", "\\'"), "GRANT READ ON db TO reader"]:
        assert ask(server, q).json() == {"results": [{"statement_id": 0}]}
    return server


def influx(server, *arguments):
    command = [need("influx", "influxdb-client"), "-port", str(server.http_port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_influx_logs_in(secured):
    shown = influx(secured, "-username", "root", "-password", "rootpw", "-execute", "SHOW USERS")
    assert "root" in shown.stdout and "true" in shown.stdout, shown
    shown = influx(secured, "-username", "reader", "-password", "it's", "-execute", "SHOW USERS")
    assert "not authorized to execute statement 'SHOW USERS', requires admin privilege" in shown.stdout + shown.stderr
    shown = influx(secured, "-username", "root", "-password", "no", "-execute", "SHOW USERS")
    assert "authorization failed" in shown.stdout + shown.stderr
    shown = influx(secured, "-execute", "SHOW USERS")
    assert "unable to parse authentication credentials" in shown.stdout + shown.stderr


def test_clients_of_both_generations_log_in(secured):
    influxdb = pytest.importorskip("influxdb")
    influxdb_client = pytest.importorskip("influxdb_client")
    old = influxdb.InfluxDBClient("127.0.0.1", secured.http_port, *ADMIN, "db")
    assert old.write_points([{"measurement": "m", "fields": {"v": 1.0}, "time": 1}])
    assert {"name": "db"} in old.get_list_database()
    with pytest.raises(influxdb.exceptions.InfluxDBClientError, match="authorization failed"):
        influxdb.InfluxDBClient("127.0.0.1", secured.http_port, "root", "no").get_list_database()
    for name, password, status in [("root", "rootpw", None), ("reader", "it's", 403), ("root", "no", 401)]:
        with influxdb_client.InfluxDBClient(secured.url, token=f"{name}:{password}", org="-") as new:
            api = new.write_api(write_options=influxdb_client.client.write_api.SYNCHRONOUS)
            if status is None:
                api.write("db", "-", "m v=2 2")
            else:
                with pytest.raises(influxdb_client.rest.ApiException) as refused:
                    api.write("db", "-", "m v=2 2")
                assert refused.value.status == status
    assert ask(secured, "SELECT count(v) FROM m", db="db").json()["results"][0]["series"][0]["values"][0][1] == 2


def test_users_outlive_a_crash(secured):
    secured.kill()
    secured.start()
    assert ask(secured, "SHOW DATABASES", auth=("reader", "it's")).json()["results"][0]["series"][0]["values"] == [["db"]]
    assert ask(secured, "SHOW DATABASES", auth=("reader", "its")).status_code == 401
    catalogue = secured.directory / "data" / "meta" / "catalogue.json"
    assert catalogue.stat().st_mode & 0o077 == 0, "hashes are for the owner's eyes"
    assert "rootpw" not in catalogue.read_text()


def test_the_process_itself_needs_no_user(start_skywatch):
    """The built-in agent writes, the console lets its users through, and nobody else."""
    server = start_skywatch("--auth", console=True, agent=True)
    for path in ["/api/dashboards", "/api/alerts", "/api/query?q=SHOW+DATABASES"]:
        assert requests.get(server.console_url + path, timeout=30).status_code == 403, "nobody can log in yet"
    assert ask(server, MAKE_ROOT, auth=None).status_code == 200
    for path in ["/api/dashboards", "/api/alerts", "/api/query?q=SHOW+DATABASES"]:
        refused = requests.get(server.console_url + path, timeout=30)
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"].startswith("Basic"), path
        assert requests.get(server.console_url + path, auth=ADMIN, timeout=30).status_code == 200, path
    arrived = lambda: "series" in ask(server, "SELECT last(usage_idle) FROM cpu", db="telegraf").json()["results"][0]
    wait_until(arrived, "the agent's metrics", seconds=60)


def test_backups_and_queries_log_in(secured, skywatch_bin, tmp_path):
    def skywatch(*arguments, user=None):
        options = ["--user", user, "--password", "rootpw"] if user else []
        command = [skywatch_bin, *arguments, "--url", secured.url, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    assert "root" in skywatch("query", "SHOW USERS", user="root").stdout
    assert "authentication credentials" in skywatch("query", "SHOW USERS").stderr
    refused = skywatch("ctl", "backup", tmp_path / "backup")
    assert refused.returncode != 0 and "authentication credentials" in refused.stderr, refused
    done = skywatch("ctl", "backup", tmp_path / "backup", user="root")
    assert done.returncode == 0, done


def test_passwords_do_not_reach_logs(start_skywatch, tmp_path):
    log = tmp_path / "access.log"
    config = tmp_path / "skywatch.toml"
    config.write_text(f'log = "trace"\n[http]\nauth-enabled = true\naccess-log-path = "{log}"\n')
    server = start_skywatch("--config", config)
    ask(server, MAKE_ROOT, auth=None)
    url = f"{server.url}/query"
    requests.get(url, params={"q": "SET PASSWORD FOR root = 'hush1'", "u": "root", "p": "rootpw"}, timeout=30)
    requests.get(url, params={"q": "CREATE USER x WITH PASSWORD 'hush2'", "u": "root", "p": "hush1", "async": "true"}, timeout=30)
    requests.get(url, params={"q": "CREATE USER x WITH PASSWORD 'hush3'", "u": "root", "p": "hush1", "async": "true"}, timeout=30)
    ask(server, "SHOW USERS", auth=("root", "hush4"))
    wait_until(lambda: log.exists() and log.read_text().count("\n") >= 5, "the access log")
    server.stop()
    for text in (log.read_text(), server.output()):
        assert not any(secret in text for secret in ["rootpw", "hush1", "hush2", "hush3", "hush4"]), text
    assert "[REDACTED]" in log.read_text() or "%5BREDACTED%5D" in log.read_text()

