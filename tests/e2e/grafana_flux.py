"""Grafana's InfluxDB data source in Flux mode: what it asks, and how it makes frames of annotated CSV.

Every query is a POST with the same dialect; `v.timeRangeStart` and its like are replaced in the text before it is sent.
Of the answer each column's type must be one that it knows. A frame ends where the value of a grouped column changes.
"""

import csv
import dataclasses
import io
import json
import re

import requests
from flux_tables import nanoseconds, rfc3339
from grafana_data_source import DataSourceError, interval_text, shown_time, shown_value

DIALECT = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}
MACRO = re.compile(r"\bv\.(\w+)")
CONVERTERS = {
    "string": str,
    "double": float,
    "boolean": lambda cell: {"true": True, "false": False}[cell.lower()],
    "long": int,
    "unsignedLong": int,
    "base64Binary": str,
    "dateTime:RFC3339": nanoseconds,
    "dateTime:RFC3339Nano": nanoseconds,
}
POINTS_PER_PIXEL_MAX = 10


def go_duration(milliseconds):
    """A duration as Go prints it: `1m0s`, `500ms`, `1.5s`, `1h0m0s`."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:g}s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds


@dataclasses.dataclass
class Columns:
    """What is known of the columns of the rows that follow."""

    types: list
    groups: list
    defaults: list
    names: list = None


class FluxDataSource:
    """One configured data source, with the dashboard's time range."""

    def __init__(self, url, bucket, from_ms, to_ms, interval_ms=60_000, points_max=10_000, series_max=1000, token=""):
        self.url, self.bucket, self.from_ms, self.to_ms = url, bucket, from_ms, to_ms
        self.interval_ms, self.points_max, self.series_max = interval_ms, points_max, series_max
        self.session = requests.Session()
        self.session.headers = {"User-Agent": "influxdb-client-go/2.14.0", "Accept-Encoding": "gzip"}
        if token:
            self.session.headers["Authorization"] = f"Token {token}"

    def interpolate(self, text):
        known = {
            "timeRangeStart": rfc3339(self.from_ms * 10**6),
            "timeRangeStop": rfc3339(self.to_ms * 10**6),
            "windowPeriod": go_duration(self.interval_ms),
            "bucket": f'"{self.bucket}"',
            "defaultBucket": f'"{self.bucket}"',
            "organization": '"-"',
        }
        text = MACRO.sub(lambda found: known.get(found[1], found[0]), text)
        return text.replace("$__interval_ms", str(self.interval_ms)).replace("$__interval", interval_text(self.interval_ms))

    def request(self, text):
        body = {"dialect": DIALECT, "query": self.interpolate(text), "type": "flux"}
        return self.session.post(f"{self.url}/api/v2/query?org=-", json=body, timeout=30)

    def frames(self, text):
        """The frames that a panel is given; DataSourceError with the text that it shows instead."""
        answer = self.request(text)
        if answer.status_code // 100 != 2:
            try:
                told = answer.json()
                raise DataSourceError(f"{told['code']}: {told['message']}")
            except (ValueError, KeyError):
                raise DataSourceError(answer.text or answer.headers.get("X-Influxdb-Error")) from None
        return self.framed(rows_of(answer.content.decode()))

    def framed(self, rows):
        frames, key = [], object()
        for columns, row in rows:
            found = [value for value, grouped in zip(row, columns.groups) if grouped]
            if found != key or frames[-1]["columns"] is not columns:
                if len(frames) == self.series_max:
                    raise DataSourceError(f"results are truncated, max series reached ({self.series_max})")
                key = found
                frames.append(new_frame(columns, row))
            frame = frames[-1]
            for name, value in zip(columns.names, row):
                if name in frame["fields"]:
                    frame["fields"][name].append(value)
            if len(next(iter(frame["fields"].values()))) > POINTS_PER_PIXEL_MAX * self.points_max:
                raise DataSourceError("too many points: use aggregateWindow")
        return frames


def rows_of(text):
    """Every row with its columns. Whatever a strict reader does not know is an error."""
    columns, names_next = None, False
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        if not row or row == [""]:
            continue
        if row[0].startswith("#"):
            if not names_next:
                columns, names_next = Columns([], [], []), True
            if row[0] == "#datatype":
                columns.types = row[1:]
            elif row[0] == "#group":
                columns.groups = [cell == "true" for cell in row[1:]]
            elif row[0] == "#default":
                columns.defaults = row[1:]
        elif columns is None:
            raise DataSourceError("parsing error, annotations not found")
        elif names_next:
            if not columns.types:
                raise DataSourceError("parsing error, datatype annotation not found")
            columns.names, names_next = row[1:], False
        else:
            if len(row) != len(columns.names) + 1:
                raise DataSourceError("parsing error, row has different number of columns than the table")
            if columns.names[0] == "error":
                raise DataSourceError(row[1])
            yield columns, [converted(cell, index, columns) for index, cell in enumerate(row[1:])]


def converted(cell, index, columns):
    """A cell, or its default; None if there is neither."""
    kind = columns.types[index]
    cell = cell or columns.defaults[index]
    if kind not in CONVERTERS:
        raise DataSourceError(f"{columns.names[index]} has unknown data type {kind}")
    return CONVERTERS[kind](cell) if cell != "" else None


def new_frame(columns, row):
    """An empty frame; its name, its labels."""
    shown = [name for name in columns.names if name not in ("result", "table")]
    known = dict(zip(columns.names, row))
    labels = {name: str(known[name]) for name, grouped in zip(columns.names, columns.groups) if grouped and known[name] not in (None, "")}
    name = labels.pop("_measurement", "")
    times = [name for name, kind in zip(columns.names, columns.types) if kind.startswith("dateTime")]
    is_simple = shown.count("_time") == 1 and shown.count("_value") == 1
    value_name = "Value"
    if is_simple:
        labels = {name: value for name, value in labels.items() if name not in ("_start", "_stop")}
        value_name = labels.pop("_field", "Value")
        fields = ["_time", "_value"]
    else:
        fields = [name for name in shown if name in times] + [name for name in shown if name not in times]
    return {
        "name": name,
        "labels": labels,
        "fields": {field: [] for field in fields},
        "simple": is_simple,
        "value": value_name,
        "columns": columns,
    }


def shown(frames, origin_ms):
    """Frames as lines of text: `cpu usage{host=a}: 0=11 60=21.5`, of others `cpu{host=a}: n=1,2 text=x,null`."""
    return [shown_frame(frame, origin_ms) for frame in frames]


def shown_frame(frame, origin_ms):
    inner = {key: value for key, value in frame["labels"].items() if key not in ("_start", "_stop")}
    labels = ",".join(f"{key}={value}" for key, value in sorted(inner.items()))
    head = " ".join(part for part in (frame["name"], frame["value"] if frame["simple"] else "") if part)
    head += f"{{{labels}}}" if labels else ""
    if frame["simple"]:
        points = zip(frame["fields"]["_time"], frame["fields"]["_value"])
        return f"{head}: " + " ".join(f"{time_text(time, origin_ms)}={shown_value(value)}" for time, value in points)
    parts = []
    for name, values in sorted(frame["fields"].items(), key=lambda field: (field[0] != "_time", field[0])):
        if name in ("_start", "_stop"):
            continue
        kind = frame["columns"].types[frame["columns"].names.index(name)]
        texts = [time_text(value, origin_ms) if kind.startswith("dateTime") else shown_value(value) for value in values]
        parts.append(f"{name}={','.join(texts)}")
    return f"{head}: " + " ".join(parts)


def time_text(time_ns, origin_ms):
    return json.dumps(None) if time_ns is None else shown_time(time_ns / 10**6, origin_ms)


def strings(frames):
    """What a variable offers: the first column of texts of each frame."""
    found = []
    for frame in frames:
        kinds = dict(zip(frame["columns"].names, frame["columns"].types))
        column = next((name for name in frame["fields"] if kinds[name] == "string"), None)
        found += frame["fields"][column] if column else []
    return list(dict.fromkeys(found))
