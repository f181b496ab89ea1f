"""Flux by PyPI's `influxdb-client`, unmodified: what its query API reads of answers, and what it tells of errors."""

import datetime
import math

import pandas
import pytest
from influxdb_client import Dialect, InfluxDBClient
from influxdb_client.client.flux_csv_parser import FluxQueryException
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

UTC = datetime.timezone.utc
START = datetime.datetime(2023, 1, 1, tzinfo=UTC)
START_NS = 1_672_531_200_000_000_000
MINUTE = 60_000_000_000
DAY = "range(start: 2023-01-01T00:00:00Z, stop: 2023-01-02T00:00:00Z)"
LINES = [
    f'types,room=a\\ b,empty\\,comma=x\\=y f=-1.5,i={2**62}i,s="say \\"hi\\", ä\nnext",t=true {START_NS}',
    f'types,room=a\\ b,empty\\,comma=x\\=y f=1e300,i=-1i,s="",t=false {START_NS + 1}',
    *(f"power,room={room} watts={n + size},n={n}i {START_NS + n * MINUTE}" for room, size in [("hall", 0.5), ("attic", 100)] for n in (0, 1, 2, 5)),
]


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def client(shared_skywatch, request):
    with InfluxDBClient(url=shared_skywatch.url, token="ann:secret", org="-", enable_gzip=request.param) as client:
        client.write_api(write_options=SYNCHRONOUS).write("db", record=LINES)
        yield client


def points(measurement, more=""):
    return f'from(bucket: "db") |> {DAY} |> filter(fn: (r) => r._measurement == "{measurement}"{more})'


def test_values_of_every_type(client):
    tables = client.query_api().query(points("types"))
    found = {table.records[0].get_field(): [record.get_value() for record in table] for table in tables}
    assert found == {
        "f": [-1.5, 1e300],
        "i": [2**62, -1],
        "s": ['say "hi", ä\nnext', None],
        "t": [True, False],
    }, "the client takes an empty text for none, as it is the same in CSV"
    (record, later) = next(table.records for table in tables if table.records[0].get_field() == "i")
    assert record.get_measurement() == "types" and record.get_time() == START
    assert record.get_start() == START and record.get_stop() == START + datetime.timedelta(days=1)
    assert (record["room"], record["empty,comma"]) == ("a b", "x=y")
    assert isinstance(found["i"][0], int) and isinstance(found["f"][0], float) and later.get_value() == -1


def test_tables_are_described(client):
    (table,) = client.query_api().query(points("power", ' and r._field == "n" and r.room == "hall"'))
    kinds = {column.label: (column.data_type, column.group) for column in table.columns}
    assert kinds == {
        "result": ("string", False),
        "table": ("long", False),
        "_start": ("dateTime:RFC3339", True),
        "_stop": ("dateTime:RFC3339", True),
        "_time": ("dateTime:RFC3339", False),
        "_value": ("long", False),
        "_field": ("string", True),
        "_measurement": ("string", True),
        "room": ("string", True),
    }
    assert {column.label for column in table.get_group_key()} == {"_start", "_stop", "_field", "_measurement", "room"}
    assert [record.get_value() for record in table] == [0, 1, 2, 5]


def test_columns_without_values(client):
    text = points("power", ' and r._field == "watts" and r.room == "hall"')
    text = text.replace("2023-01-02T00:00:00Z", "2023-01-01T00:06:00Z") + " |> aggregateWindow(every: 1m, fn: mean)"
    (table,) = client.query_api().query(text)
    assert [record.get_value() for record in table] == [0.5, 1.5, 2.5, None, None, 5.5]
    assert [record.get_time() for record in table] == [START + datetime.timedelta(minutes=n) for n in range(1, 7)]
    frame = client.query_api().query_data_frame(text)
    assert [math.isnan(value) for value in frame["_value"]] == [False, False, False, True, True, False]


def test_several_results(client):
    text = f"""
data = {points("power", ' and r._field == "watts"')}
data |> max() |> yield(name: "most")
data |> min() |> yield(name: "least")
data |> group() |> count() |> yield()
"""
    found = {}
    for table in client.query_api().query(text):
        for record in table:
            found.setdefault(record["result"], []).append(record.get_value())
    assert {name: sorted(values) for name, values in found.items()} == {
        "most": [5.5, 105],
        "least": [0.5, 100],
        "_result": [8],
    }


def test_results_without_tables(client):
    assert client.query_api().query(points("nothing")) == []
    assert list(client.query_api().query_stream(points("nothing"))) == []
    assert client.query_api().query_raw(points("nothing")).data.strip() == b""


def test_streams(client):
    stream = client.query_api().query_stream(points("power", ' and r._field == "n"'))
    assert sorted(record.get_value() for record in stream) == [0, 0, 1, 1, 2, 2, 5, 5]


def test_csv(client):
    rows = list(client.query_api().query_csv(points("power", ' and r._field == "n" and r.room == "hall"')))
    assert [row[0] for row in rows[:4]] == ["#datatype", "#group", "#default", ""]
    names = rows[3]
    assert names[:3] == ["", "result", "table"]
    assert [row[names.index("_value")] for row in rows[4:] if row] == ["0", "1", "2", "5"]
    dialect = Dialect(header=False, delimiter=";", annotations=[], comment_prefix="#", date_time_format="RFC3339")
    (row, *_) = list(client.query_api().query_csv(points("power", ' and r._field == "n"'), dialect=dialect))
    assert len(row) == 1 and row[0].split(";")[:3] == ["", "_result", "0"]


def test_raw(client):
    answer = client.query_api().query_raw(points("power", ' and r.room == "attic" and r._field == "watts"') + " |> last()")
    text = answer.data.decode()
    assert text.startswith("#datatype,string,long,") and ",105," in text and text.endswith("\r\n")


def test_data_frames(client):
    text = points("power") + ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'
    frame = client.query_api().query_data_frame(text, data_frame_index=["_time"])
    assert len(frame) == 8 and str(frame.index.dtype).startswith("datetime64[ns") and frame["n"].dtype == "int64"
    attic = frame[frame["room"] == "attic"].sort_index()
    assert list(attic["watts"]) == [100, 101, 102, 105] and list(attic["n"]) == [0, 1, 2, 5]
    assert attic.index[3] == pandas.Timestamp("2023-01-01T00:05:00Z")
    # Tables that have the same columns are one frame.
    frames = client.query_api().query_data_frame(points("power", ' and r._field == "watts"'))
    assert isinstance(frames, pandas.DataFrame) and sorted(frames["table"].unique()) == [0, 1]
    # Others are a frame each.
    assert len(client.query_api().query_data_frame(points("types"))) == 4


@pytest.mark.parametrize(
    "value, condition, count",
    [
        ("hall", "r.room == given", 8),
        ('no "${such}" \\ room', "r.room == given", 0),
        (2, 'r._field == "n" and r._value == given', 2),
        (-1, 'r._field == "n" and r._value > given', 8),
        (100.0, 'r._field == "watts" and r._value >= given', 4),
        (True, "exists r.room and given", 16),
        (["hall", "cellar"], "contains(value: r.room, set: given)", 8),
        (START + datetime.timedelta(minutes=2), "r._time >= given", 8),
    ],
)
def test_parameters(client, value, condition, count):
    """The client sends them as options, in a syntax tree of its own beside the text."""
    text = points("power") + f" |> filter(fn: (r) => {condition})"
    found = list(client.query_api().query_stream(text, params={"given": value}))
    assert len(found) == count


def test_ranges_as_parameters(client):
    text = 'from(bucket: bucket) |> range(start: begin, stop: end) |> filter(fn: (r) => r._measurement == "power")'
    ends = {"begin": START, "end": START + datetime.timedelta(minutes=2)}
    assert len(list(client.query_api().query_stream(text, params={"bucket": "db/autogen", **ends}))) == 8
    longer = datetime.datetime.now(UTC) - START + datetime.timedelta(hours=1)
    text = text.replace(", stop: end", "")
    assert len(list(client.query_api().query_stream(text, params={"bucket": "db", "begin": -longer}))) == 16


@pytest.mark.parametrize(
    "text, status, told",
    [
        ('from(bucket: "db" |> range(start: -1h)', 400, "compilation failed"),
        ('from(bucket: "db") |> range(start: -1h) |> nonsense()', 400, "nonsense"),
        ('import "no/such/package"\nbuckets()', 400, "no/such/package"),
        ("x = 1", 400, "no streaming data"),
        ('from(bucket: "db")', 400, "unbounded"),
        ('from(bucket: "nothing") |> range(start: -1h)', 404, "nothing"),
        ('from(bucket: "db/nothing") |> range(start: -1h)', 404, "nothing"),
        (points("types", ' and r._field == "s"') + " |> mean()", 400, "mean"),
        (points("power") + ' |> sum(column: "nothing")', 400, "nothing"),
        (points("power") + " |> filter(fn: (r) => r._value + 1)", 400, ""),
        (points("power") + " |> limit(n: -1)", 400, "limit"),
        ('from(bucket: "db") |> range(start: 2023-01-02T00:00:00Z, stop: 2023-01-01T00:00:00Z)', 400, "empty range"),
        ("", 400, "query"),
    ],
)
def test_errors(client, text, status, told):
    with pytest.raises(ApiException) as refused:
        client.query_api().query(text)
    assert refused.value.status == status, refused.value.body
    assert told in refused.value.message, refused.value.message


def test_errors_say_where(client):
    with pytest.raises(ApiException) as refused:
        client.query_api().query('from(bucket: "db")\n    |> range(start: -1h)\n    |> nonsense()')
    assert "3:8" in refused.value.message, refused.value.message


def test_errors_after_the_first_table(client):
    """What is told when the answer has begun is an error for the client, not an end."""
    text = f"""
import "array"
{points("power")} |> yield(name: "some")
array.from(rows: [{{_value: 1}}]) |> map(fn: (r) => ({{r with _value: 1 / (r._value - 1)}})) |> yield(name: "none")
"""
    with pytest.raises((ApiException, FluxQueryException)) as refused:
        client.query_api().query(text)
    assert "zero" in str(refused.value)


@pytest.mark.parametrize("bucket", ["db", "db/", "db/autogen"])
def test_buckets_are_databases_and_policies(client, bucket):
    text = points("power", ' and r._field == "n"').replace('"db"', f'"{bucket}"') + " |> group() |> sum()"
    ((record,),) = client.query_api().query(text)
    assert record.get_value() == 16


def test_policies_are_apart(client, shared_skywatch):
    shared_skywatch.query("CREATE RETENTION POLICY other ON db DURATION INF REPLICATION 1")
    client.write_api(write_options=SYNCHRONOUS).write("db/other", record=f"apart v=1 {START_NS}")
    for bucket, count in [("db/other", 1), ("db", 0), ("db/autogen", 0)]:
        text = points("apart").replace('"db"', f'"{bucket}"')
        assert len(list(client.query_api().query_stream(text))) == count, bucket
    # What is only in one policy is unknown to the functions about names of another, too.
    client.write_api(write_options=SYNCHRONOUS).write("db/other", record=f"power,room=cellar,floor=1 volts=1 {START_NS}")
    schema = 'import "influxdata/influxdb/schema"\noption now = () => 2023-01-02T00:00:00Z\nschema.'
    for call, name in [
        ("measurements(bucket: B)", "apart"),
        ('tagValues(bucket: B, tag: "room")', "cellar"),
        ("tagKeys(bucket: B)", "floor"),
        ('measurementTagValues(bucket: B, measurement: "power", tag: "room")', "cellar"),
        ('measurementTagKeys(bucket: B, measurement: "power")', "floor"),
        ('measurementFieldKeys(bucket: B, measurement: "power")', "volts"),
        ("fieldKeys(bucket: B)", "volts"),
    ]:
        for bucket, known in [("db/other", True), ("db/autogen", False)]:
            text = schema + call.replace("B", f'"{bucket}"')
            assert (name in [record.get_value() for record in client.query_api().query_stream(text)]) is known, text
    names = [record["name"] for record in client.query_api().query_stream("buckets()")]
    assert {"db/autogen", "db/other"} <= set(names)


def test_now_and_options(client):
    text = "option now = () => 2023-01-01T00:02:30Z\n" + points("power", ' and r._field == "n"')
    text = text.replace(DAY, "range(start: -1m)")
    assert sorted(record.get_value() for record in client.query_api().query_stream(text)) == [2, 2]


def test_many_rows(client, shared_skywatch):
    lines = [f"many,series=s{n % 20} v={n}i {START_NS + n}" for n in range(60_000)]
    assert shared_skywatch.write("\n".join(lines)).status_code == 204
    seen = [record.get_value() for record in client.query_api().query_stream(points("many"))]
    assert len(seen) == 60_000 and sum(seen) == sum(range(60_000))
