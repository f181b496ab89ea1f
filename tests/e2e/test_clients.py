"""Stock InfluxDB clients, unmodified: Debian's `influx`, PyPI's `influxdb` and `influxdb-client`."""

import csv
import io
import json
import subprocess

from conftest import need


def influx(server, *arguments):
    """Runs Debian's `influx` against the server and returns what it printed."""
    command = [need("influx", "influxdb-client"), "-host", "127.0.0.1", "-port", str(server.http_port), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_influx_cli_connects_writes_and_queries(skywatch):
    banner = influx(skywatch, "-execute", "SHOW DATABASES")
    assert "db" in banner.split()
    influx(skywatch, "-database", "db", "-execute", "INSERT cpu,host=a,rack=r\\ 1 usage=12.5,n=3i 1000000000")
    influx(skywatch, "-database", "db", "-execute", "INSERT cpu,host=b usage=7 2000000000")
    answer = influx(skywatch, "-database", "db", "-format", "csv", "-execute", "SELECT * FROM cpu")
    rows = list(csv.DictReader(io.StringIO(answer)))
    assert [(row["time"], row["host"], row["usage"]) for row in rows] == [
        ("1000000000", "a", "12.5"),
        ("2000000000", "b", "7"),
    ]


def test_influx_cli_formats_and_precision(skywatch):
    assert skywatch.write("m,t=x f=1,s=\"text\",b=true 1600000000000000000").status_code == 204
    column = influx(skywatch, "-database", "db", "-precision", "rfc3339", "-execute", "SELECT f, s, b, t FROM m")
    assert "2020-09-13T12:26:40Z" in column and "text" in column and "true" in column
    body = json.loads(influx(skywatch, "-database", "db", "-format", "json", "-execute", "SELECT count(f) FROM m"))
    assert body["results"][0]["series"][0]["values"] == [[0, 1]]


def test_influx_cli_imports_a_file(skywatch, tmp_path):
    dump = tmp_path / "dump.txt"
    lines = "\n".join(f"m,host=h{n % 7} v={n} {n + 1}" for n in range(2000))
    dump.write_text(f"# DDL\nCREATE DATABASE imported\n# DML\n# CONTEXT-DATABASE: imported\n{lines}\n")
    influx(skywatch, "-import", "-path", str(dump))
    assert skywatch.rows("SELECT count(v), sum(v) FROM m", "imported")[0][1:] == [2000, 1999000]


def test_influx_cli_shows_errors(skywatch):
    command = [need("influx", "influxdb-client"), "-port", str(skywatch.http_port), "-execute", "SELEC 1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "error parsing query: found SELEC, expected" in done.stdout + done.stderr


def test_python_influxdb_client(skywatch):
    from influxdb import InfluxDBClient

    client = InfluxDBClient("127.0.0.1", skywatch.http_port, database="py")
    assert client.ping() == "1.8.10"
    client.create_database("py")
    assert {"name": "py"} in client.get_list_database()
    client.create_retention_policy("short", "2h", "1", database="py", default=False)
    names = {policy["name"] for policy in client.get_list_retention_policies("py")}
    assert names == {"autogen", "short"}
    points = [
        {
            "measurement": "power",
            "tags": {"room": "süd, 1"},
            "time": f"2023-01-01T00:00:{second:02d}Z",
            "fields": {"watts": second * 1.5, "ok": second % 2 == 0, "note": 'say "hi"\\'},
        }
        for second in range(10)
    ]
    assert client.write_points(points)
    result = client.query("SELECT mean(watts), last(note) FROM power GROUP BY room", epoch="s")
    (key, rows) = list(result.items())[0]
    assert key == ("power", {"room": "süd, 1"})
    assert list(rows) == [{"time": 0, "mean": 6.75, "last": 'say "hi"\\'}]
    bound = client.query("SELECT watts FROM power WHERE watts > $w", bind_params={"w": 12})
    assert len(list(bound.get_points())) == 1
    # The client reads chunks only as JSON: with its default MessagePack it fails on a real InfluxDB too.
    chunks = InfluxDBClient("127.0.0.1", skywatch.http_port, database="py", headers={"Accept": "application/json"})
    streamed = chunks.query("SELECT watts FROM power", chunked=True, chunk_size=3)
    assert sum(len(list(part.get_points())) for part in streamed) == 10
    client.drop_database("py")
    assert {"name": "py"} not in client.get_list_database()


def test_python_influxdb_dataframe_and_gzip(skywatch):
    from influxdb import InfluxDBClient

    client = InfluxDBClient("127.0.0.1", skywatch.http_port, database="db", gzip=True)
    lines = [f"big,host=h{n % 50} a={n},b={n}i {1_600_000_000 + n}" for n in range(20_000)]
    client.write(lines, {"db": "db", "precision": "s"}, 204, protocol="line")
    result = list(client.query("SELECT count(a), sum(b) FROM big").get_points())
    assert (result[0]["count"], result[0]["sum"]) == (20_000, sum(range(20_000)))


def test_python_influxdb_client_v2_writes(skywatch):
    from influxdb_client import InfluxDBClient, Point, WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS

    with InfluxDBClient(url=skywatch.url, token="user:password", org="-") as client:
        assert client.ping()
        assert client.health().status == "pass"
        with client.write_api(write_options=SYNCHRONOUS) as api:
            point = Point("v2").tag("host", "a").field("f", 1.5).field("i", 7).time(1_600_000_000, WritePrecision.S)
            api.write("db/autogen", "-", point, write_precision=WritePrecision.S)
            api.write("db", "-", "v2,host=b f=2 1600000001000", write_precision=WritePrecision.MS)
    rows = skywatch.rows("SELECT f, host FROM v2", epoch="s")
    assert rows == [[1_600_000_000, 1.5, "a"], [1_600_000_001, 2, "b"]]


def test_skywatch_query_is_a_client_of_its_own(skywatch, skywatch_bin):
    assert skywatch.write("cpu,host=a usage=12.5 1600000000000000000").status_code == 204

    def ask(*arguments):
        command = [skywatch_bin, "query", "--url", skywatch.url, "--db", "db", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    table = ask("SELECT usage FROM cpu GROUP BY host")
    assert table.returncode == 0, table.stderr
    assert "cpu  host=a  (1 row)" in table.stdout and "2020-09-13T12:26:40Z" in table.stdout
    assert ask("--format", "csv", "SELECT usage FROM cpu").stdout.splitlines()[0] == "name,tags,time,usage"
    assert json.loads(ask("--format", "json", "SHOW DATABASES").stdout)["results"]
    wrong = ask("SELECT usage FORM cpu")
    assert wrong.returncode == 1 and "found FORM, expected" in wrong.stderr
    shell = subprocess.run(
        [skywatch_bin, "query", "--url", skywatch.url],
        input="use db\nselect usage from cpu\nexit\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "12.5" in shell.stdout, shell.stderr
