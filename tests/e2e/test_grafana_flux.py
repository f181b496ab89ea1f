"""Grafana's InfluxDB data source in Flux mode: what it and its users ask, and that it can read the answers.

The panels' queries are in grafana/panels.flux, each with the frames that its panel must be given.
"""

import dataclasses
from pathlib import Path

import pytest
from grafana_data_source import DataSourceError
from grafana_flux import DIALECT, FluxDataSource, go_duration, rows_of, shown, strings
from test_grafana import DATABASE, FROM_MS, MINUTE, TO_MS, load

PANELS = Path(__file__).with_name("grafana") / "panels.flux"
CPU = """from(bucket: v.bucket)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage")"""


@dataclasses.dataclass
class Panel:
    """One query, and the lines that its frames make."""

    name: str
    text: str = ""
    expected: list = dataclasses.field(default_factory=list)


def panels():
    found = []
    for line in PANELS.read_text().splitlines():
        if line.startswith("## "):
            found.append(Panel(line.removeprefix("## ")))
        elif line.startswith("    "):
            found[-1].expected.append(line.strip())
        elif line and not line.startswith("#"):
            found[-1].text += line + "\n"
    return found


@pytest.fixture(scope="module")
def url(shared_skywatch):
    load(shared_skywatch.url)
    return shared_skywatch.url


def data_source(url, **options):
    return FluxDataSource(url, f"{DATABASE}/autogen", FROM_MS, TO_MS, **options)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.name)
def test_panels_get_their_frames(url, panel):
    assert sorted(shown(data_source(url).frames(panel.text), FROM_MS)) == sorted(panel.expected)


def test_the_request_is_what_it_sends(url):
    source = data_source(url)
    answer = source.request(CPU)
    assert answer.request.headers["Content-Type"] == "application/json"
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Encoding"] == "gzip" and set(DIALECT) == {"annotations", "delimiter", "header"}
    (columns, _), *_ = rows_of(answer.text)
    assert columns.names[:2] == ["result", "table"] and columns.types[:2] == ["string", "long"]


def test_save_and_test(url):
    frames = data_source(url).frames("buckets()")
    assert len(frames) == 1 and f"{DATABASE}/autogen" in frames[0]["fields"]["name"]
    assert all(isinstance(name, str) for name in frames[0]["fields"]["name"])


@pytest.mark.parametrize(
    "text, expected",
    [
        ('v1.measurements(bucket: v.bucket)', ["cpu", "cpu.load.short", "disk io", "events"]),
        ('v1.tagValues(bucket: v.bucket, tag: "host", predicate: (r) => r._measurement == "cpu", start: v.timeRangeStart)', ["a", "b", "c 3"]),
        ('v1.measurementTagValues(bucket: v.bucket, measurement: "cpu", tag: "region")', ["eu/1.2", "us-west"]),
        ('v1.measurementFieldKeys(bucket: v.bucket, measurement: "events", start: v.timeRangeStart)', ["tags", "text", "timeEnd", "title"]),
    ],
)
def test_variables(url, text, expected):
    """The samples of the editor's menu, which variables are written after."""
    text = f'import "influxdata/influxdb/v1"\noption now = () => v.timeRangeStop\n{text}'
    assert sorted(strings(data_source(url).frames(text))) == expected


def test_tag_keys_of_the_menu(url):
    text = 'import "influxdata/influxdb/v1"\nv1.tagKeys(bucket: v.bucket, start: v.timeRangeStart)'
    assert {"host", "region"} <= set(strings(data_source(url).frames(text)))
    keys = CPU + '\n  |> keys()\n  |> keep(columns: ["_value"])\n  |> group()\n  |> distinct()'
    assert {"host", "region", "_measurement", "_field"} <= set(strings(data_source(url).frames(keys)))


@pytest.mark.parametrize(
    "text, told",
    [
        ('from(bucket: "nothing") |> range(start: v.timeRangeStart)', "not found: .*nothing"),
        (CPU + " |> nonsense()", "invalid: .*nonsense"),
        (CPU + " |> filter(", "invalid: .*compilation failed"),
        ("", "invalid: "),
    ],
)
def test_errors_are_shown(url, text, told):
    with pytest.raises(DataSourceError, match=told):
        data_source(url).frames(text)


def test_errors_after_the_first_rows_are_shown(url):
    text = f"""import "array"
{CPU} |> yield(name: "first")
array.from(rows: [{{_value: 0}}]) |> map(fn: (r) => ({{_value: 1 / r._value}})) |> yield(name: "second")"""
    with pytest.raises(DataSourceError, match="zero"):
        data_source(url).frames(text)


def test_no_rows_are_no_frames(url):
    assert data_source(url).frames(CPU.replace("usage", "nothing")) == []


def test_durations_are_told_by_their_number(url):
    """A column of durations would be an error for all of the query."""
    text = CPU + ' |> elapsed(unit: 1s) |> filter(fn: (r) => r.host == "b") |> keep(columns: ["elapsed"])'
    assert shown(data_source(url).frames(text), FROM_MS) == [": elapsed=60,60,60,60"]


@pytest.mark.parametrize(
    "milliseconds, text",
    [(500, "500ms"), (1500, "1.5s"), (10_000, "10s"), (60_000, "1m0s"), (90_000, "1m30s"), (3_600_000, "1h0m0s"), (86_400_000, "24h0m0s")],
)
def test_every_interval_is_a_window(url, milliseconds, text):
    """As Go prints it, which is `v.windowPeriod`, and as `$__interval`."""
    assert go_duration(milliseconds) == text
    source = data_source(url, interval_ms=milliseconds)
    for name in ("v.windowPeriod", "$__interval"):
        frames = source.frames(CPU + f" |> aggregateWindow(every: {name}, fn: count, createEmpty: false)")
        assert sum(value for frame in frames for value in frame["fields"]["_value"]) == 27


def test_limits_of_the_panel(url):
    """Frames are told apart by what they are grouped by, so that too many are seen as such."""
    with pytest.raises(DataSourceError, match="max series reached"):
        data_source(url, series_max=2).frames(CPU)
    assert len(data_source(url, series_max=3).frames(CPU)) == 3
    with pytest.raises(DataSourceError, match="too many points"):
        data_source(url, points_max=1).frames(CPU)


def test_credentials_are_no_obstacle_to_an_open_server(url):
    assert len(data_source(url, token="grafana:secret").frames(CPU)) == 3


def test_whole_days(url):
    """A long range in small windows is one row a window for each series, whatever has points."""
    source = FluxDataSource(url, DATABASE, FROM_MS, FROM_MS + 1440 * MINUTE)
    frames = source.frames(CPU + " |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: true)")
    assert [len(frame["fields"]["_time"]) for frame in frames] == [1440] * 3
    times = frames[0]["fields"]["_time"]
    assert times == [(FROM_MS + (n + 1) * MINUTE) * 10**6 for n in range(1440)]
