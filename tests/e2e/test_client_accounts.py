"""Stock clients at a server that asks for a user and a password, as each of them gives one."""

import subprocess

import pytest
from conftest import Skywatch, need
from grafana_data_source import DataSource, DataSourceError
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError
from influxdb_client import InfluxDBClient as InfluxDBClient2
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from test_influx_cli import Terminal
from test_node_clients import run_node_tests

ROOT, READER, WRITER = ("root", "it's secret"), ("reader", "read:er"), ("writer", "writer")


@pytest.fixture(scope="module")
def guarded(skywatch_bin, tmp_path_factory):
    """A server with an administrator, one who may read `db` and one who may write to it; `db` holds one point."""
    server = Skywatch(skywatch_bin, tmp_path_factory.mktemp("guarded"), "--auth")
    try:
        server.start()
        server.session.auth = ROOT
        server.query("CREATE USER root WITH PASSWORD 'it\\'s secret' WITH ALL PRIVILEGES")
        server.query("CREATE DATABASE db; CREATE DATABASE other")
        server.query("CREATE USER reader WITH PASSWORD 'read:er'; GRANT READ ON db TO reader")
        server.query("CREATE USER writer WITH PASSWORD 'writer'; GRANT WRITE ON db TO writer")
        assert server.write("m,host=a v=1 1").status_code == 204
        yield server
    finally:
        server.stop()


def influx(server, *arguments):
    command = [need("influx", "influxdb-client"), "-host", "127.0.0.1", "-port", str(server.http_port), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def test_influx_without_a_user(guarded):
    code, shown = influx(guarded, "-execute", "show databases")
    assert code == 1 and "unable to parse authentication credentials" in shown


def test_influx_with_a_user(guarded):
    code, shown = influx(guarded, "-username", ROOT[0], "-password", ROOT[1], "-execute", "show databases")
    assert code == 0 and {"db", "other"} <= set(shown.split())
    code, shown = influx(guarded, "-username", ROOT[0], "-password", "wrong", "-execute", "show databases")
    assert code == 1 and "authorization failed" in shown
    reader = ["-username", READER[0], "-password", READER[1], "-database", "db"]
    assert influx(guarded, *reader, "-execute", "select v from m")[0] == 0
    code, shown = influx(guarded, *reader, "-execute", "insert m v=2")
    assert '"reader" user is not authorized to write to database "db"' in shown.replace("\\", "")
    code, shown = influx(guarded, *reader, "-execute", "select v from other..m")
    assert "not authorized" in shown
    code, shown = influx(guarded, *reader, "-execute", "create database third")
    assert "not authorized" in shown
    assert influx(guarded, *reader, "-execute", "show databases")[1].split()[-1:] == ["db"], "only what one may see"


def test_influx_asks_at_the_terminal(guarded, tmp_path):
    shell = Terminal(guarded, tmp_path, kind="xterm")
    try:
        for line, answer in [
            ("show databases", "unable to parse authentication credentials"),
            ("auth", "username: "),
            (ROOT[0], "password: "),
            (ROOT[1], "> "),
            ("show databases", "name: databases"),
        ]:
            shell.child.sendline(line)
            shell.child.expect_exact(answer)
    finally:
        shell.child.close(force=True)


def test_python_influxdb(guarded):
    def client(user):
        return InfluxDBClient("127.0.0.1", guarded.http_port, *user, database="db")

    assert {"name": "other"} in client(ROOT).get_list_database()
    assert client(READER).get_list_database() == [{"name": "db"}]
    assert [point["v"] for point in client(READER).query("SELECT v FROM m").get_points()][0] == 1
    assert client(WRITER).write_points(["m,host=w v=2 2"], protocol="line")
    for act, status in [
        (lambda: client(("reader", "wrong")).query("SELECT v FROM m"), 401),
        (lambda: client(("nobody", "x")).query("SELECT v FROM m"), 401),
        (lambda: client(READER).write_points(["m v=1"], protocol="line"), 403),
        (lambda: client(READER).query("SELECT v FROM m", database="other"), 403),
        (lambda: client(WRITER).query("SELECT v FROM m"), 403),
        (lambda: client(READER).create_user("x", "x"), 403),
        (lambda: client(READER).drop_database("db"), 403),
    ]:
        with pytest.raises(InfluxDBClientError) as refused:
            act()
        assert refused.value.code == status, refused.value.content
    token = InfluxDBClient("127.0.0.1", guarded.http_port, database="db", headers={"Authorization": "Token reader:read:er"})
    assert [point["v"] for point in token.query("SELECT v FROM m").get_points()][0] == 1
    assert client(("nobody", "x")).ping() == "1.8.10"


def test_python_influxdb_client(guarded):
    def client(user):
        return InfluxDBClient2(url=guarded.url, token=":".join(user), org="-")

    client(WRITER).write_api(write_options=SYNCHRONOUS).write("db", "-", "v2 v=1 1")
    for user, status in [(("writer", "wrong"), 401), (READER, 403)]:
        with pytest.raises(ApiException) as refused:
            client(user).write_api(write_options=SYNCHRONOUS).write("db", "-", "v2 v=1 1")
        assert refused.value.status == status, refused.value.body
    assert client(("nobody", "x")).ping()
    assert guarded.rows("SELECT v FROM v2") == [["1970-01-01T00:00:00.000000001Z", 1]]


@pytest.mark.parametrize(
    "options",
    [
        {"auth": READER},
        {"headers": {"Authorization": "Token reader:read:er"}},
    ],
    ids=["basic", "token"],
)
@pytest.mark.parametrize("http_mode", ["GET", "POST"])
def test_grafana(guarded, options, http_mode):
    source = DataSource(guarded.url, "db", 0, 1000, http_mode=http_mode, **options)
    assert "m" in source.frames("SHOW measurements")[0]["values"]
    assert source.frames('SELECT last("v") FROM "m" WHERE $timeFilter AND "host" = \'a\'')[0]["values"] == [1]
    with pytest.raises(DataSourceError, match="not authorized"):
        source.frames('SELECT "v" FROM "other".."m"')
    wrong = DataSource(guarded.url, "db", 0, 1000, http_mode=http_mode, auth=("reader", "wrong"))
    with pytest.raises(DataSourceError, match="authorization failed"):
        wrong.frames("SHOW measurements")
    with pytest.raises(DataSourceError, match="unable to parse authentication credentials"):
        DataSource(guarded.url, "db", 0, 1000, http_mode=http_mode).frames("SHOW measurements")


def test_node_influx(guarded):
    run_node_tests("accounts.test.js", guarded.url, "1.8.10")
