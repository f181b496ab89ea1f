"""PyPI's `influxdb`, unmodified: its whole interface.

Every test runs against a real InfluxDB as well, so that what is expected here is what users of InfluxDB know.
"""

import datetime
import math
import socket
import warnings

import numpy
import pandas
import pytest
from conftest import wait_until
from influxdb import DataFrameClient, InfluxDBClient, SeriesHelper
from influxdb.exceptions import InfluxDBClientError, InfluxDBServerError
from influxdb.resultset import ResultSet

START = datetime.datetime(2023, 1, 1)


@pytest.fixture(scope="module", params=["influxdb", "skywatch"])
def server(request):
    """A real InfluxDB, then Skywatch."""
    return request.getfixturevalue("influxd" if request.param == "influxdb" else "shared_skywatch")


@pytest.fixture
def connect(server, request):
    """A function that makes a client of a database of the test's own; both end with the test."""
    name = "py_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.originalname)
    clients = []

    def connecting(kind=InfluxDBClient, **options):
        port = int(server.url.rpartition(":")[2])
        clients.append(kind(**{"host": "127.0.0.1", "port": port, "database": name, **options}))
        return clients[-1]

    admin = connecting()
    admin.create_database(name)
    yield connecting
    admin.drop_database(name)
    for client in clients:
        client.close()


@pytest.fixture
def client(connect):
    return connect()


def power(count=10):
    """Readings of two rooms, one a second."""
    return [
        {
            "measurement": "power",
            "tags": {"room": "süd, 1" if second % 2 else "nord=2"},
            "time": f"2023-01-01T00:00:{second:02d}Z",
            "fields": {"watts": second * 1.5, "count": second, "ok": second % 2 == 0, "note": 'say "hi"\\'},
        }
        for second in range(count)
    ]


def values(result, column):
    return [point[column] for point in result.get_points()]


# Databases, policies, schema.


def test_databases(client):
    client.create_database("py more")
    assert {"name": "py more"} in client.get_list_database()
    client.drop_database("py more")
    client.drop_database("py more")
    assert {"name": "py more"} not in client.get_list_database()
    with pytest.raises(InfluxDBClientError) as refused:
        client.query("SELECT * FROM m", database="nothing")
    assert "database not found: nothing" in str(refused.value)


def test_retention_policies(client):
    client.create_retention_policy("short", "2h", "1")
    client.create_retention_policy("with shards", "INF", 1, default=True, shard_duration="1d")
    policies = {policy.pop("name"): policy for policy in client.get_list_retention_policies()}
    assert policies == {
        "autogen": {"duration": "0s", "shardGroupDuration": "168h0m0s", "replicaN": 1, "default": False},
        "short": {"duration": "2h0m0s", "shardGroupDuration": "1h0m0s", "replicaN": 1, "default": False},
        "with shards": {"duration": "0s", "shardGroupDuration": "24h0m0s", "replicaN": 1, "default": True},
    }
    client.alter_retention_policy("short", duration="3d", replication=1, default=True, shard_duration="2h")
    policies = {policy["name"]: policy for policy in client.get_list_retention_policies()}
    assert policies["short"]["duration"] == "72h0m0s" and policies["short"]["shardGroupDuration"] == "2h0m0s"
    assert policies["short"]["default"] and not policies["with shards"]["default"]
    client.drop_retention_policy("with shards")
    assert {policy["name"] for policy in client.get_list_retention_policies()} == {"autogen", "short"}
    with pytest.raises(InfluxDBClientError, match="retention policy duration must be at least 1h0m0s"):
        client.create_retention_policy("too short", "1m", "1")
    with pytest.raises(InfluxDBClientError, match="retention policy not found: nothing"):
        client.alter_retention_policy("nothing", duration="3d")
    with pytest.raises(InfluxDBClientError, match="database not found: nothing"):
        client.create_retention_policy("x", "1d", "1", database="nothing")


def test_measurements_and_series(client):
    client.write_points(power())
    client.write_points(["disk,host=a,path=/ free=1i", "disk,host=b free=2i"], protocol="line")
    assert client.get_list_measurements() == [{"name": "disk"}, {"name": "power"}]
    assert client.get_list_series(measurement="disk") == ["disk,host=a,path=/", "disk,host=b"]
    assert client.get_list_series(measurement="disk", tags={"host": "b"}) == ["disk,host=b"]
    assert client.get_list_series(tags={"room": "nord=2"}) == ["power,room=nord\\=2"]
    assert len(client.get_list_series()) == 4
    client.delete_series(measurement="disk", tags={"host": "a"})
    client.delete_series(tags={"room": "nord=2"})
    assert client.get_list_series() == ["disk,host=b", "power,room=süd\\,\\ 1"]
    client.delete_series(measurement="power")
    client.drop_measurement("disk")
    assert client.get_list_measurements() == []


# Users, privileges, continuous queries.


def test_users_and_privileges(client):
    name, admin = "py_it's ann", 'py_"root"'
    client.create_user(name, "secr'et")
    client.create_user(admin, "secret", admin=True)
    try:
        users = {user["user"]: user["admin"] for user in client.get_list_users()}
        assert (users[name], users[admin]) == (False, True)
        with pytest.raises(InfluxDBClientError, match="user already exists"):
            client.create_user(name, "other")
        assert client.get_list_privileges(name) == []
        client.grant_privilege("read", client._database, name)
        assert client.get_list_privileges(name) == [{"database": client._database, "privilege": "READ"}]
        client.grant_privilege("all", client._database, name)
        assert client.get_list_privileges(name)[0]["privilege"] == "ALL PRIVILEGES"
        client.revoke_privilege("write", client._database, name)
        left = client.get_list_privileges(name)
        assert left[0]["privilege"] in ("READ", "ALL PRIVILEGES")
        client.revoke_privilege("all", client._database, name)
        assert client.get_list_privileges(name)[0]["privilege"] == "NO PRIVILEGES"
        client.grant_admin_privileges(name)
        assert {"user": name, "admin": True} in client.get_list_users()
        client.revoke_admin_privileges(name)
        assert {"user": name, "admin": False} in client.get_list_users()
        client.set_user_password(name, "n'ew")
        with pytest.raises(InfluxDBClientError, match="user not found"):
            client.get_list_privileges("nobody")
        with pytest.raises(InfluxDBClientError, match="user not found"):
            client.grant_privilege("read", client._database, "nobody")
        with pytest.raises(InfluxDBClientError, match="error parsing query"):
            client.grant_privilege("nonsense", client._database, name)
    finally:
        client.drop_user(name)
        client.drop_user(admin)
    with pytest.raises(InfluxDBClientError, match="user not found"):
        client.drop_user(name)
    assert name not in [user["user"] for user in client.get_list_users()]


def test_continuous_queries(client):
    client.create_continuous_query("cq", "SELECT mean(watts) INTO mean_watts FROM power GROUP BY time(1m)")
    client.create_continuous_query(
        "often", "SELECT max(watts) INTO x FROM power GROUP BY time(5m)", resample_opts="EVERY 10s FOR 10m"
    )
    listed = {name: queries for one in client.get_list_continuous_queries() for name, queries in one.items()}
    database = client._database
    assert listed[database] == [
        {
            "name": "cq",
            "query": f"CREATE CONTINUOUS QUERY cq ON {database} BEGIN SELECT mean(watts) INTO "
            f"{database}.autogen.mean_watts FROM {database}.autogen.power GROUP BY time(1m) END",
        },
        {
            "name": "often",
            "query": f"CREATE CONTINUOUS QUERY often ON {database} RESAMPLE EVERY 10s FOR 10m BEGIN SELECT max(watts) "
            f"INTO {database}.autogen.x FROM {database}.autogen.power GROUP BY time(5m) END",
        },
    ]
    client.drop_continuous_query("cq")
    listed = {name: queries for one in client.get_list_continuous_queries() for name, queries in one.items()}
    assert [query["name"] for query in listed[database]] == ["often"]


# Writing.


def test_points_come_back(client):
    assert client.write_points(power())
    points = list(client.query("SELECT * FROM power").get_points())
    assert points[3] == {
        "time": "2023-01-01T00:00:03Z",
        "count": 3,
        "note": 'say "hi"\\',
        "ok": False,
        "room": "süd, 1",
        "watts": 4.5,
    }
    assert [type(points[3][key]) for key in ("count", "watts", "ok")] == [int, float, bool]


@pytest.mark.parametrize("precision, unit", [("n", 1), ("u", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9)])
def test_time_precisions(client, precision, unit):
    nanoseconds = 1_672_531_200_000_000_000
    client.write_points([{"measurement": "m", "time": nanoseconds // unit, "fields": {"v": 1}}], time_precision=precision)
    # A moment is rounded down to the precision.
    client.write_points(
        [{"measurement": "m", "time": START + datetime.timedelta(hours=1), "fields": {"v": 2}}],
        time_precision=precision,
    )
    hour = 3600 * 10**9
    assert values(client.query("SELECT v FROM m", epoch="ns"), "time") == [nanoseconds, nanoseconds + hour]
    epoch = {"n": "ns"}.get(precision, precision)
    assert values(client.query("SELECT v FROM m", epoch=epoch), "time")[0] == nanoseconds // unit


def test_moments_of_every_kind(client):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moments = ["2023-01-01T00:00:01.5Z", START + datetime.timedelta(seconds=2), START.replace(hour=3, tzinfo=zone)]
    moments += [1_672_531_210_000_000_000, None]
    client.write_points([{"measurement": "m", "time": moment, "fields": {"v": n}} for n, moment in enumerate(moments)])
    found = list(client.query("SELECT v FROM m WHERE v < 4").get_points())
    assert [(point["v"], point["time"]) for point in found] == [
        (0, "2023-01-01T00:00:01.500000Z"),
        (1, "2023-01-01T00:00:02Z"),
        (3, "2023-01-01T00:00:10Z"),
        (2, "2023-01-01T01:00:00Z"),
    ]
    assert values(client.query("SELECT v FROM m WHERE time > now() - 1m"), "v") == [4]


def test_common_tags_and_batches(client):
    client.write_points(power(), tags={"site": "x y", "empty": ""}, batch_size=3)
    assert client.query("SELECT count(watts) FROM power GROUP BY site").keys() == [("power", {"site": "x y"})]
    assert values(client.query("SELECT count(watts) FROM power"), "count") == [10]


def test_lines(client):
    lines = [f"line,n={n % 3} v={n} {n}" for n in range(100)]
    client.write_points(lines, protocol="line", batch_size=30, time_precision="s")
    client.write("line v=100 100", {"db": client._database, "precision": "s"}, protocol="line")
    assert values(client.query("SELECT count(v), max(v) FROM line", epoch="s"), "max") == [100]


def test_policies_and_consistency(client):
    client.create_retention_policy("other", "INF", "1")
    for consistency in ("any", "one", "quorum", "all"):
        assert client.write_points(power(), retention_policy="other", consistency=consistency)
    assert values(client.query("SELECT count(watts) FROM other.power"), "count") == [10]
    assert values(client.query("SELECT count(watts) FROM power", params={"rp": "other"}), "count") == [10]
    assert list(client.query("SELECT count(watts) FROM power")) == []
    with pytest.raises(InfluxDBServerError, match="retention policy not found: nothing"):
        client.write_points(power(), retention_policy="nothing")


def test_refused_writes(client):
    client.write_points(power())
    with pytest.raises(InfluxDBClientError) as conflict:
        client.write_points(['power,room=x watts="text" 1672531200000000000'], protocol="line")
    assert conflict.value.code == 400
    assert conflict.value.content.startswith('{"error":"partial write: field type conflict: input field ')
    with pytest.raises(InfluxDBClientError) as broken:
        client.write_points(["power,room=x watts=1 1", "nonsense"], protocol="line")
    assert broken.value.code == 400 and "unable to parse 'nonsense': missing fields" in broken.value.content
    assert values(client.query("SELECT watts FROM power WHERE room = 'x'", epoch="ns"), "time") == [1]
    with pytest.raises(InfluxDBClientError) as missing:
        client.write_points(power(), database="nothing")
    assert missing.value.code == 404 and "database not found: \\\"nothing\\\"" in missing.value.content


@pytest.mark.parametrize("options", [{"gzip": True}, {"headers": {"Accept": "application/json"}}, {"pool_size": 1}])
def test_connections_of_every_kind(connect, options):
    client = connect(**options)
    client.write_points(power())
    for method in ("GET", "POST"):
        assert values(client.query("SELECT sum(watts) FROM power", method=method), "sum") == [67.5]
    client.write_points([f"big,host=h{n % 50} a={n},b={n}i {n}" for n in range(5000)], protocol="line")
    points = list(client.query("SELECT * FROM big").get_points())
    assert len(points) == 5000 and points[4999]["a"] == 4999
    assert client.get_list_measurements() == [{"name": "big"}, {"name": "power"}]
    with pytest.raises(InfluxDBClientError, match="error parsing query: found SELEC, expected"):
        client.query("SELEC")


def test_addresses(connect, client):
    client.write_points(power())
    dsn = InfluxDBClient.from_dsn(f"influxdb://ann:secret@127.0.0.1:{client._port}/{client._database}", timeout=30)
    assert values(dsn.query("SELECT count(watts) FROM power"), "count") == [10]
    dsn.switch_user("bob", "other")
    dsn.switch_database("nothing")
    with pytest.raises(InfluxDBClientError, match="database not found: nothing"):
        dsn.query("SELECT count(watts) FROM power")
    with connect(headers={"Authorization": "Token ann:secret"}) as token:
        assert values(token.query("SELECT count(watts) FROM power"), "count") == [10]


def test_ping(server, client):
    version = client.ping()
    assert version == "1.8.10" if hasattr(server, "http_port") else version.startswith("1.6")


def test_series_helper(client):
    class Load(SeriesHelper):
        class Meta:
            client = None
            series_name = "load.{host}"
            fields = ["one", "five", "time"]
            tags = ["host", "core"]
            bulk_size = 4
            autocommit = True
            time_precision = "s"
            retention_policy = "autogen"

    Load.Meta.client = client
    for second in range(10):
        Load(host="a" if second < 8 else "b", core=str(second % 2), one=second * 0.5, five=second, time=second)
    assert values(client.query('SELECT count(one) FROM "load.a"'), "count") == [8]
    assert client.get_list_measurements() == [{"name": "load.a"}]
    Load.commit()
    assert values(client.query('SELECT five FROM "load.b" WHERE core = \'1\'', epoch="s"), "five") == [9]


@pytest.mark.parametrize("precision", [None, "s"])
def test_points_over_udp(start_skywatch, tmp_path, precision):
    """The listener's unit of time is set at the server; this client has it in each call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        udp_port = free.getsockname()[1]
    config = tmp_path / "skywatch.toml"
    config.write_text(
        f'[[udp]]\nenabled = true\nbind-address = "127.0.0.1:{udp_port}"\ndatabase = "udp"\nbatch-timeout = "10ms"\n'
        f'precision = "{precision or "n"}"\n'
    )
    server = start_skywatch("--config", config)
    client = InfluxDBClient("127.0.0.1", server.http_port, use_udp=True, udp_port=udp_port, database="udp")
    client.write_points(power(), time_precision=precision)
    client.write_points(["line v=1 1", "line v=2 2"], protocol="line")
    dsn = InfluxDBClient.from_dsn(f"udp+influxdb://127.0.0.1:{server.http_port}/udp", udp_port=udp_port)
    dsn.send_packet({"points": power(1), "tags": {"site": "x"}}, time_precision=precision)

    def counts():
        texts = ("SELECT count(watts) FROM power", "SELECT count(v) FROM line")
        return [values(result, "count") for result in client.query("; ".join(texts), raise_errors=False)]

    wait_until(lambda: counts() == [[11], [2]], "all points to arrive")
    assert values(client.query("SELECT watts FROM power WHERE site = 'x'"), "time") == ["2023-01-01T00:00:00Z"]


# Reading.


@pytest.mark.parametrize("epoch, unit", [("ns", 1), ("u", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9)])
def test_epochs(client, epoch, unit):
    client.write_points(power(1))
    assert values(client.query("SELECT watts FROM power", epoch=epoch), "time") == [1_672_531_200_000_000_000 // unit]


def test_times_as_text_keep_microseconds(client):
    """Answers come as MessagePack, whose times this client rounds to microseconds."""
    client.write_points(["m v=1 1672531200123456789", "m v=2 1000"], protocol="line")
    assert values(client.query("SELECT v FROM m"), "time") == [
        "1970-01-01T00:00:00.000001Z",
        "2023-01-01T00:00:00.123457Z",
    ]


def test_times_before_1970_and_nanoseconds(connect):
    """As JSON they are whole; in MessagePack this client cannot read what is before 1970, on any server."""
    client = connect(headers={"Accept": "application/json"})
    client.write_points(["m v=1 1672531200123456789", "m v=2 -1000"], protocol="line")
    assert values(client.query("SELECT v FROM m"), "time") == [
        "1969-12-31T23:59:59.999999Z",
        "2023-01-01T00:00:00.123456789Z",
    ]
    assert values(client.query("SELECT v FROM m", epoch="ns"), "time") == [-1000, 1_672_531_200_123_456_789]


@pytest.mark.parametrize("accept", ["application/json", "application/x-msgpack"])
def test_time_zones(connect, accept):
    client = connect(headers={"Accept": accept})
    client.write_points(power())
    text = "SELECT sum(watts) FROM power WHERE time >= '2023-01-01' AND time < '2023-01-02' GROUP BY time(1d) fill(none)"
    berlin = values(client.query(f"{text} tz('Europe/Berlin')"), "time")
    expected = {"application/json": "2023-01-01T00:00:00+01:00", "application/x-msgpack": "2022-12-31T23:00:00Z"}
    assert berlin == [expected[accept]]
    assert values(client.query(f"{text} tz('Europe/Berlin')", epoch="s"), "time") == [1_672_527_600]


def test_bound_parameters(client):
    client.write_points(power())
    text = "SELECT watts FROM power WHERE watts > $low AND room = $room AND ok = $ok AND count < $count"
    bound = {"low": 3, "room": "süd, 1", "ok": False, "count": 9}
    assert values(client.query(text, bind_params=bound), "watts") == [4.5, 7.5, 10.5]
    bound = {"low": 4.5, "room": "it's'; DROP DATABASE x", "ok": False, "count": 9}
    assert values(client.query(text, bind_params=bound), "watts") == []
    both = client.query(text, bind_params={"low": 9.5}, params={"params": '{"room":"süd, 1","ok":false,"count":99,"low":1}'})
    assert values(both, "watts") == [10.5, 13.5]
    with pytest.raises(InfluxDBClientError):
        client.query("SELECT watts FROM power WHERE watts > $nothing", bind_params={"other": 1})


def test_result_sets(client):
    client.write_points(power())
    grouped = client.query("SELECT mean(watts), last(note) FROM power GROUP BY room")
    assert sorted(key[1]["room"] for key in grouped.keys()) == ["nord=2", "süd, 1"]
    assert list(grouped.get_points("power", {"room": "süd, 1"})) == [
        {"time": "1970-01-01T00:00:00Z", "mean": 7.5, "last": 'say "hi"\\'}
    ]
    assert list(grouped.get_points(tags={"room": "nord=2"}))[0]["mean"] == 6
    assert list(grouped["power"])[0]["mean"] == 6
    assert grouped.raw["statement_id"] == 0 and len(grouped) == 2
    first, second = client.query("SELECT count(watts) FROM power; SHOW MEASUREMENTS")
    assert values(first, "count") == [10] and values(second, "name") == ["power"]
    empty = client.query("SELECT watts FROM nothing")
    assert len(empty) == 0 and list(empty.get_points()) == [] and not empty.error
    nulls = client.query("SELECT mean(watts) FROM power WHERE time >= '2023-01-01' AND time < '2023-01-01T00:02:00Z' GROUP BY time(1m)")
    assert values(nulls, "mean") == [6.75, None]


def test_errors(client):
    with pytest.raises(InfluxDBClientError) as wrong:
        client.query("SELEC")
    assert wrong.value.code == 400 and "error parsing query: found SELEC, expected SELECT" in wrong.value.content
    with pytest.raises(InfluxDBClientError, match=r"undefined function foo\(\)"):
        client.query("SELECT foo(x) FROM m")
    quiet = client.query("SELECT foo(x) FROM m", raise_errors=False)
    assert quiet.error == "undefined function foo()"
    with pytest.raises(InfluxDBClientError):
        client.query("SHOW DATABASES", expected_response_code=204)
    with pytest.raises(InfluxDBClientError):
        client.request("nothing/here")
    with pytest.raises(InfluxDBClientError, match="missing required parameter"):
        client.request("query", params={"db": client._database})


def test_chunks(connect):
    """This client reads chunks only as JSON: with the MessagePack it asks for by default it fails on every server."""
    client = connect(headers={"Accept": "application/json"})
    client.write_points(power())
    parts = list(client.query("SELECT watts FROM power", chunked=True, chunk_size=3))
    assert [len(list(part.get_points())) for part in parts] == [3, 3, 3, 1]
    assert all(isinstance(part, ResultSet) for part in parts)
    grouped = list(client.query("SELECT watts FROM power GROUP BY room", chunked=True, chunk_size=2))
    assert sum(len(list(part.get_points())) for part in grouped) == 10
    statements = list(client.query("SELECT watts FROM power LIMIT 1; SHOW MEASUREMENTS", chunked=True))
    assert [len(part) for part in statements] == [1, 1]
    assert sum(len(list(part.get_points())) for part in client.query("SELECT watts FROM power", chunked=True)) == 10


def test_select_into_is_posted(client):
    client.write_points(power())
    result = client.query("SELECT watts INTO copy FROM power GROUP BY *")
    assert values(result, "written") == [10]
    assert values(client.query("SELECT count(watts) FROM copy"), "count") == [10]


# Data frames.


@pytest.fixture
def frame():
    """Ten seconds with a gap, of every type."""
    index = pandas.date_range("2023-01-01", periods=10, freq="s", tz="UTC")
    return pandas.DataFrame(
        {
            "room": ["a", "b c"] * 5,
            "watts": [n * 1.1 for n in range(9)] + [math.nan],
            "count": numpy.arange(10),
            "ok": [True, False] * 5,
            "note": ["x y"] * 10,
        },
        index=index,
    )


def test_frames_come_back(connect, frame):
    client = connect(DataFrameClient)
    assert client.write_points(frame, "power", tag_columns=["room"])
    back = client.query("SELECT * FROM power")["power"]
    assert list(back.columns) == ["count", "note", "ok", "room", "watts"]
    pandas.testing.assert_frame_equal(back[list(frame.columns)], frame, check_freq=False, check_dtype=False, check_index_type=False)
    assert math.isnan(back["watts"].iloc[9]) and str(back.index.tz) == "UTC"
    assert back.index[0] == frame.index[0]


def test_frames_in_groups(connect, frame):
    client = connect(DataFrameClient)
    client.write_points(frame, "power", tag_columns=["room"])
    grouped = client.query("SELECT count FROM power GROUP BY room")
    assert set(grouped) == {("power", (("room", "a"),)), ("power", (("room", "b c"),))}
    assert list(grouped[("power", (("room", "b c"),))]["count"]) == [1, 3, 5, 7, 9]
    assert client.query("SELECT watts FROM nothing") == {}
    kept = client.query("SELECT watts, nothing FROM power", dropna=False)["power"]
    assert list(kept.columns) == ["watts", "nothing"]
    indexed = client.query("SELECT watts, room FROM power", data_frame_index=["time", "room"])["power"]
    assert indexed.index.names == ["time", "room"]
    bound = client.query("SELECT count FROM power WHERE count > $n", bind_params={"n": 7})["power"]
    assert list(bound["count"]) == [8, 9]
    first, second = client.query("SELECT sum(count) FROM power; SELECT max(count) FROM power")
    assert first["power"]["sum"].iloc[0] == 45 and second["power"]["max"].iloc[0] == 9


@pytest.mark.parametrize(
    "options",
    [
        {"time_precision": "s"},
        {"time_precision": "ms"},
        {"time_precision": "u"},
        {"time_precision": "n"},
        {"batch_size": 3},
        # With tags it needs a pandas older than 2.
        {"protocol": "json", "tag_columns": []},
        {"protocol": "json", "tag_columns": [], "batch_size": 4, "time_precision": "s"},
        {"tags": {"site": "x y"}},
        {"numeric_precision": 3},
        {"numeric_precision": "full"},
        {"field_columns": ["watts", "count"], "tag_columns": ["room"]},
        {"retention_policy": "autogen"},
    ],
    ids=str,
)
def test_frames_are_written_with_every_option(connect, frame, options):
    client = connect(DataFrameClient)
    with warnings.catch_warnings():
        # This client uses what newer pandas wants to be written otherwise.
        warnings.simplefilter("ignore", FutureWarning)
        client.write_points(frame, "power", **{"tag_columns": ["room"], **options})
    back = client.query("SELECT watts, count, room FROM power", database=client._database)["power"]
    assert list(back["count"]) == list(range(10)) and list(back["room"]) == list(frame["room"])
    assert numpy.allclose(back["watts"][:9], frame["watts"][:9], atol=0.001)
    assert list(back.index) == list(frame.index)


def test_frames_of_other_zones_and_periods(connect):
    client = connect(DataFrameClient)
    berlin = pandas.DataFrame({"v": [1.0, 2.0]}, index=pandas.date_range("2023-07-01", periods=2, freq="h", tz="Europe/Berlin"))
    client.write_points(berlin, "zoned")
    back = client.query("SELECT v FROM zoned")["zoned"]
    assert list(back.index) == list(berlin.index.tz_convert("UTC"))
    days = pandas.DataFrame({"v": [1, 2]}, index=pandas.period_range("2023-12-31", periods=2, freq="D"))
    client.write_points(days, "days")
    assert [str(day.date()) for day in client.query("SELECT v FROM days")["days"].index] == ["2023-12-31", "2024-01-01"]


def test_frames_in_chunks(connect, frame):
    client = connect(DataFrameClient)
    client.write_points(frame, "power", tag_columns=["room"])
    reader = connect(headers={"Accept": "application/json"})
    parts = reader.query("SELECT watts, count FROM power GROUP BY room", chunked=True, chunk_size=2)
    rows = [point for part in parts for point in part.get_points()]
    assert sorted(point["count"] for point in rows) == list(range(10))
