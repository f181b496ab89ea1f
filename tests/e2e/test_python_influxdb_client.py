"""PyPI's `influxdb-client`, made for InfluxDB 2, against the interface that 1.8 keeps for it, unmodified.

A bucket is `database/policy` or `database`, a token is `user:password`, the organisation means nothing.
"""

import collections
import dataclasses
import datetime
import io
import json
import logging
import math
import threading
import warnings

import pandas
import pytest
from conftest import Skywatch, wait_until
from influxdb_client import BucketRetentionRules, InfluxDBClient, Point, WriteOptions, WritePrecision
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import ASYNCHRONOUS, SYNCHRONOUS, PointSettings
from influxdb_client.rest import ApiException

UNITS = {WritePrecision.NS: 1, WritePrecision.US: 10**3, WritePrecision.MS: 10**6, WritePrecision.S: 10**9}
START = datetime.datetime(2023, 1, 1, tzinfo=datetime.timezone.utc)
START_NS = 1_672_531_200_000_000_000


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def client(shared_skywatch, request):
    with InfluxDBClient(url=shared_skywatch.url, token="ann:secret", org="-", enable_gzip=request.param) as client:
        yield client


@pytest.fixture
def bucket(shared_skywatch, request):
    """An empty database of the test's own."""
    name = "v2_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.originalname)
    shared_skywatch.query(f"DROP DATABASE {name}; CREATE DATABASE {name}")
    yield name
    shared_skywatch.query(f"DROP DATABASE {name}")


@dataclasses.dataclass
class Reading:
    """What an application may hold."""

    room: str
    watts: float
    at: datetime.datetime


Named = collections.namedtuple("Named", ["room", "watts", "at"])

RECORDS = {
    "line": "power,room=a\\ b watts=1.5 1672531200000000000",
    "bytes": b"power,room=a\\ b watts=1.5 1672531200000000000",
    "lines": ["power,room=a\\ b watts=1.5 1672531200000000000", "other v=1 1"],
    "point": Point("power").tag("room", "a b").field("watts", 1.5).time(START),
    "points": [Point("power").tag("room", "a b").field("watts", 1.5).time(START_NS), Point("other").field("v", 1).time(1)],
    "dict": {"measurement": "power", "tags": {"room": "a b"}, "fields": {"watts": 1.5}, "time": START},
    "iterable": (Point("power").tag("room", "a b").field("watts", 1.5 + n).time(START_NS + n) for n in range(1)),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_records_of_every_kind(shared_skywatch, bucket, kind):
    with InfluxDBClient(url=shared_skywatch.url, token="", org="") as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket=bucket, record=RECORDS[kind])
    assert shared_skywatch.rows("SELECT watts, room FROM power", bucket, epoch="ns") == [[START_NS, 1.5, "a b"]]


@pytest.mark.parametrize("record", [Reading("a b", 1.5, START), Named("a b", 1.5, START)], ids=["dataclass", "named"])
def test_structured_records(client, shared_skywatch, bucket, record):
    client.write_api(write_options=SYNCHRONOUS).write(
        bucket,
        record=record,
        record_measurement_name="power",
        record_tag_keys=["room"],
        record_field_keys=["watts"],
        record_time_key="at",
    )
    assert shared_skywatch.rows("SELECT watts, room FROM power", bucket, epoch="ns") == [[START_NS, 1.5, "a b"]]


@pytest.mark.parametrize("precision", UNITS)
def test_precisions(client, shared_skywatch, bucket, precision):
    api = client.write_api(write_options=SYNCHRONOUS)
    unit = UNITS[precision]
    api.write(bucket, "-", f"m v=1.0 {START_NS // unit}", write_precision=precision)
    api.write(bucket, "-", Point("m").field("v", 2.0).time(START_NS // unit + 1, precision), write_precision=precision)
    later = START + datetime.timedelta(days=1)
    api.write(bucket, "-", Point("m").field("v", 3.0).time(later, precision), write_precision=precision)
    day = 86_400 * 10**9
    assert [row[0] for row in shared_skywatch.rows("SELECT v FROM m", bucket, epoch="ns")] == [
        START_NS,
        START_NS + unit,
        START_NS + day,
    ]


def test_values_of_every_type(client, shared_skywatch, bucket):
    point = Point('m "x",y=z').tag("k=1, 2", "v\\3").tag("empty", "").field("f", -1.5).field("i", 2**62).field("t", True)
    point = point.field("s", 'say "hi"\\ ä\nnext').field("none", None).field("nan", math.nan).time(START)
    client.write_api(write_options=SYNCHRONOUS).write(bucket, record=point)
    (series,) = shared_skywatch.query("SELECT * FROM /.*/", bucket, epoch="s")["results"][0]["series"]
    assert series["name"] == 'm "x",y=z'
    row = dict(zip(series["columns"], series["values"][0]))
    assert row == {
        "time": 1_672_531_200,
        "f": -1.5,
        "i": 2**62,
        "k=1, 2": "v\\3",
        "s": 'say "hi"\\ ä\nnext',
        "t": True,
    }


def test_buckets_are_databases_and_policies(client, shared_skywatch, bucket):
    shared_skywatch.query(f"CREATE RETENTION POLICY other ON {bucket} DURATION INF REPLICATION 1")
    api = client.write_api(write_options=SYNCHRONOUS)
    for name, value in [(bucket, 1), (f"{bucket}/", 2), (f"{bucket}/autogen", 3), (f"{bucket}/other", 4)]:
        api.write(name, "-", f"m v={value} {value}")
    assert [row[1] for row in shared_skywatch.rows("SELECT v FROM m", bucket)] == [1, 2, 3]
    assert [row[1] for row in shared_skywatch.rows("SELECT v FROM other.m", bucket)] == [4]


def test_default_tags(client, shared_skywatch, bucket):
    settings = PointSettings(site="x y")
    settings.add_default_tag("rack", "7")
    with client.write_api(write_options=SYNCHRONOUS, point_settings=settings) as api:
        api.write(bucket, "-", Point("m").field("v", 1).time(1))
    assert shared_skywatch.rows("SELECT v, site, rack FROM m", bucket, epoch="ns") == [[1, 1, "x y", "7"]]


def test_asynchronous_writes(client, shared_skywatch, bucket):
    api = client.write_api(write_options=ASYNCHRONOUS)
    assert api.write(bucket, "-", ["m v=1 1", "m v=2 2"], async_req=True).get() is None
    assert len(shared_skywatch.rows("SELECT v FROM m", bucket)) == 2
    with pytest.raises(ApiException) as refused:
        api.write(bucket, "-", "nonsense").get()
    assert refused.value.status == 400


class Callbacks:
    """What a batching writer reports, by kind."""

    def __init__(self):
        self.told = collections.defaultdict(list)
        self.lock = threading.Lock()

    def options(self):
        return {f"{kind}_callback": self.callback(kind) for kind in ("success", "error", "retry")}

    def callback(self, kind):
        def told(conf, data, exception=None):
            with self.lock:
                self.told[kind].append((conf[0], data, exception))

        return told


def test_batches(client, shared_skywatch, bucket):
    callbacks = Callbacks()
    options = WriteOptions(batch_size=500, flush_interval=60_000)
    with client.write_api(write_options=options, **callbacks.options()) as api:
        for n in range(2300):
            api.write(bucket, "-", Point("m").tag("n", n % 7).field("v", n).time(n))
        api.write(bucket, "-", [f"lines v={n} {n}" for n in range(700)])
    # Leaving the block sends what is left.
    assert shared_skywatch.rows("SELECT count(v), sum(v) FROM m", bucket)[0][1:] == [2300, sum(range(2300))]
    assert shared_skywatch.rows("SELECT count(v) FROM lines", bucket)[0][1] == 700
    assert len(callbacks.told["success"]) == 6 and not callbacks.told["error"] and not callbacks.told["retry"]


def test_a_refused_batch_is_reported_and_not_repeated(client, shared_skywatch, bucket):
    callbacks = Callbacks()
    with client.write_api(write_options=WriteOptions(batch_size=3), **callbacks.options()) as api:
        api.write(bucket, "-", ["m v=1 1", "nonsense", "m v=2 2"])
        api.write("nothing", "-", ["m v=1 1"])
    told = {conf: error for conf, _, error in callbacks.told["error"]}
    assert set(told) == {bucket, "nothing"} and not callbacks.told["retry"]
    assert all(isinstance(error, InfluxDBError) for error in told.values())
    assert told[bucket].response.status == 400
    assert "unable to parse 'nonsense': missing fields" in told[bucket].message
    assert told["nothing"].response.status == 404
    assert "database not found:" in told["nothing"].message
    assert len(shared_skywatch.rows("SELECT v FROM m", bucket)) == 2, "the lines that are right are kept"


def test_batches_survive_a_restart(skywatch_bin, tmp_path):
    """What cannot be delivered is kept by the client and sent again when the server is back."""
    server = Skywatch(skywatch_bin, tmp_path)
    try:
        server.start().query("CREATE DATABASE db")
        callbacks = Callbacks()
        options = WriteOptions(batch_size=10, retry_interval=200, max_retries=50, exponential_base=1, jitter_interval=0)
        with InfluxDBClient(url=server.url, token="", org="-") as client:
            with client.write_api(write_options=options, **callbacks.options()) as api:
                api.write("db", "-", [f"m v={n} {n}" for n in range(10)])
                wait_until(lambda: callbacks.told["success"] or callbacks.told["error"], "the first batch", every=0.01)
                assert server.stop() == 0
                api.write("db", "-", [f"m v={n} {n}" for n in range(10, 20)])
                wait_until(lambda: callbacks.told["retry"] or callbacks.told["error"], "a second attempt", every=0.01)
                server.start()
        assert not callbacks.told["error"]
        assert server.rows("SELECT count(v) FROM m")[0][1] == 20
    finally:
        server.stop()


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_data_frames(client, shared_skywatch, bucket, zone):
    index = pandas.date_range("2023-01-01", periods=5, freq="s", tz=zone)
    frame = pandas.DataFrame(
        {"room": ["a", "b c"] * 2 + ["a"], "watts": [0.5, 1.5, math.nan, 3.5, 4.5], "n": range(5), "ok": True}, index=index
    )
    with client.write_api(write_options=SYNCHRONOUS) as api:
        api.write(bucket, "-", frame, data_frame_measurement_name="power", data_frame_tag_columns=["room"])
    first = int(index[0].timestamp()) if zone else 1_672_531_200
    rows = shared_skywatch.rows("SELECT n, ok, room, watts FROM power", bucket, epoch="s")
    assert rows == [
        [first, 0, True, "a", 0.5],
        [first + 1, 1, True, "b c", 1.5],
        [first + 2, 2, True, "a", None],
        [first + 3, 3, True, "b c", 3.5],
        [first + 4, 4, True, "a", 4.5],
    ]


def test_data_frames_in_batches(client, shared_skywatch, bucket):
    moments = [str(moment) for moment in pandas.date_range("2023-01-01", periods=1000, freq="ms")]
    frame = pandas.DataFrame({"at": moments, "v": range(1000)})
    with client.write_api(write_options=WriteOptions(batch_size=300)) as api:
        options = {"data_frame_measurement_name": "m", "data_frame_timestamp_column": "at"}
        api.write(bucket, "-", frame, data_frame_timestamp_timezone="Asia/Tokyo", **options)
    first = pandas.Timestamp("2023-01-01", tz="Asia/Tokyo").value
    assert shared_skywatch.rows("SELECT first(v) FROM m", bucket, epoch="ns") == [[first, 0]]
    assert shared_skywatch.rows("SELECT count(v) FROM m", bucket)[0][1] == 1000


@pytest.mark.parametrize(
    "bucket_name, record, status, text",
    [
        ("nothing", "m v=1", 404, 'database not found: "nothing"'),
        ("", "m v=1", 404, 'bucket name "" is missing a slash; not in "database/retention-policy" format'),
        ("db", "nonsense", 400, "unable to parse 'nonsense': missing fields"),
        ("db", "m v=1\nm v=\nm v=2", 400, "unable to parse 'm v=': missing field value"),
        ("db/nothing", "m v=1", 500, "retention policy not found: nothing"),
    ],
)
def test_errors(client, bucket_name, record, status, text):
    with pytest.raises(ApiException) as refused:
        client.write_api(write_options=SYNCHRONOUS).write(bucket_name, "-", record)
    # InfluxDB 1.8 has its own `error` in the JSON, not the `message` of InfluxDB 2: the client shows it as it came.
    assert refused.value.status == status and text in json.loads(refused.value.body)["error"]
    assert json.loads(refused.value.message) == json.loads(refused.value.body)


def test_type_conflicts(client, shared_skywatch, bucket):
    api = client.write_api(write_options=SYNCHRONOUS)
    api.write(bucket, "-", "m v=1 1")
    with pytest.raises(ApiException) as refused:
        api.write(bucket, "-", 'm v="text" 2')
    assert refused.value.status == 400 and "field type conflict: input field" in refused.value.message


def test_health_and_version(client):
    assert client.ping() is True
    assert client.version() == "1.8.10" and client.build() == "OSS"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        health = client.health()
    assert (health.name, health.status, health.version) == ("influxdb", "pass", "1.8.10")


def test_settings_from_a_file(shared_skywatch, bucket, tmp_path):
    path = tmp_path / "client.ini"
    path.write_text(f"[influx2]\nurl={shared_skywatch.url}\norg=-\ntoken=ann:secret\n[tags]\nsite=x\n")
    with InfluxDBClient.from_config_file(str(path)) as client:
        with client.write_api(write_options=SYNCHRONOUS, point_settings=PointSettings(**client.default_tags)) as api:
            api.write(bucket, record=Point("m").field("v", 1).time(1))
    assert shared_skywatch.rows("SELECT v, site FROM m", bucket, epoch="ns") == [[1, 1, "x"]]


def test_log_records_are_points(client, shared_skywatch, bucket):
    """The client's handler for Python's logging."""
    from influxdb_client.client.logging_handler import InfluxLoggingHandler

    handler = InfluxLoggingHandler(
        url=shared_skywatch.url,
        token="",
        org="-",
        bucket=bucket,
        client_args={},
        write_api_args={"write_options": SYNCHRONOUS},
    )
    handler.setFormatter(logging.Formatter("log message=\"%(message)s\""))
    handler.handle(logging.LogRecord("test", logging.INFO, "here", 1, "one line", None, None))
    handler.close()
    assert shared_skywatch.rows("SELECT message FROM log", bucket)[0][1] == "one line"


def test_large_bodies(client, shared_skywatch, bucket):
    lines = io.StringIO()
    for n in range(50_000):
        lines.write(f"big,host=h{n % 100} a={n},b={n}i {n}\n")
    client.write_api(write_options=SYNCHRONOUS).write(bucket, "-", lines.getvalue())
    assert shared_skywatch.rows("SELECT count(a), max(b) FROM big", bucket)[0][1:] == [50_000, 49_999]


@pytest.mark.parametrize(
    "predicate, left",
    [
        ('_measurement="m"', [3]),
        ("_measurement=m AND host=a", [2, 3]),
        ('_measurement="m" AND host="a" AND rack="r 1"', [2, 3]),
        ('host="b"', [1, 3]),
        ("", [3]),
        ('_measurement="other"', [1, 2, 3]),
    ],
)
def test_deletes(client, shared_skywatch, bucket, predicate, left):
    api = client.write_api(write_options=SYNCHRONOUS)
    api.write(bucket, "-", ["m,host=a,rack=r\\ 1 v=1 1", "m,host=b v=2 2", "m,host=a v=3 5000000000"])
    begin, end = datetime.datetime(1970, 1, 1), datetime.datetime(1970, 1, 1, 0, 0, 1)
    client.delete_api().delete(begin, end, predicate, bucket=bucket, org="-")
    assert [row[1] for row in shared_skywatch.rows("SELECT v FROM m", bucket)] == left
    client.delete_api().delete("1970-01-01T00:00:00Z", "2030-01-01T00:00:00Z", '_measurement="m"', bucket=f"{bucket}/autogen")
    assert shared_skywatch.rows("SELECT v FROM m", bucket) == []


@pytest.mark.parametrize(
    "bucket_name, predicate, status, text",
    [
        ("nothing", '_measurement="m"', 404, "database not found"),
        ("db", "_measurement>5", 400, "predicate"),
        ("db", 'host="a" OR host="b"', 400, "predicate"),
    ],
)
def test_deletes_that_are_refused(client, bucket_name, predicate, status, text):
    with pytest.raises(ApiException) as refused:
        client.delete_api().delete("1970-01-01T00:00:00Z", "2030-01-01T00:00:00Z", predicate, bucket=bucket_name)
    assert refused.value.status == status and text in refused.value.body


def test_buckets(client, shared_skywatch, bucket):
    api = client.buckets_api()
    organisation = "0" * 16
    made = api.create_bucket(
        bucket_name=f"{bucket}/short", retention_rules=BucketRetentionRules(type="expire", every_seconds=7200), org=organisation
    )
    try:
        assert made.name == f"{bucket}/short" and made.retention_rules[0].every_seconds == 7200
        policies = {row[0]: row[1] for row in shared_skywatch.rows(f"SHOW RETENTION POLICIES ON {bucket}")}
        assert policies == {"autogen": "0s", "short": "2h0m0s"}
        assert api.find_bucket_by_name(made.name).id == made.id
        assert api.find_bucket_by_id(made.id).name == made.name
        assert api.find_bucket_by_name("nothing/at all") is None
        assert {f"{bucket}/short", f"{bucket}/autogen"} <= {one.name for one in api.find_buckets(limit=100).buckets}
        assert {f"{bucket}/short", f"{bucket}/autogen"} <= {one.name for one in api.find_buckets_iter()}
        client.write_api(write_options=SYNCHRONOUS).write(made.name, "-", "m v=1")
        assert len(shared_skywatch.rows("SELECT v FROM short.m", bucket)) == 1
    finally:
        api.delete_bucket(made)
    assert [row[0] for row in shared_skywatch.rows(f"SHOW RETENTION POLICIES ON {bucket}")] == ["autogen"]
    with pytest.raises(ApiException) as missing:
        api.find_bucket_by_id(made.id)
    assert missing.value.status == 404


def test_what_is_not_there_is_said(client):
    """Users, tasks, organisations exist in InfluxDB 2 alone."""
    for ask in (client.users_api().me, client.tasks_api().find_tasks, client.organizations_api().find_organizations):
        with pytest.raises(ApiException) as refused:
            ask()
        assert refused.value.status == 404
        assert refused.value.message
