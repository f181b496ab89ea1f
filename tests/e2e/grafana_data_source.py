"""Grafana's InfluxDB data source in InfluxQL mode, as far as a server sees it: the requests it makes and what it reads
from an answer. Written from its documented behaviour.

A query is one HTTP request with one statement, `epoch=ms`, never chunked. Of the answer it decodes one JSON object and
reads `results[0]` alone: times are numbers in a first column named `time`, tags are strings, a result without rows has
no `series`, an error is JSON whatever its status.
"""

import json

import requests

# Steps that `$__interval` is rounded to.
UNITS = [("y", 365 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]


class DataSourceError(Exception):
    """What the user is shown instead of a panel."""


def interval_text(milliseconds):
    """`$__interval`: the largest unit that is not zero, by integer division."""
    unit, size = next((unit, size) for unit, size in UNITS if milliseconds >= size)
    return f"{milliseconds // size}{unit}"


class DataSource:
    """One configured data source, with the dashboard's time range."""

    def __init__(self, url, database, from_ms, to_ms, http_mode="GET", interval_ms=60_000, headers=None, auth=None):
        assert http_mode in ("GET", "POST")
        self.url, self.database, self.http_mode, self.auth = url, database, http_mode, auth
        self.from_ms, self.to_ms, self.interval_ms = from_ms, to_ms, interval_ms
        self.session = requests.Session()
        self.session.headers = {"User-Agent": "Grafana/13.0.2", "Accept-Encoding": "gzip", **(headers or {})}

    def interpolate(self, text):
        """The macros that the backend replaces."""
        time_filter = f"time >= {self.from_ms}ms and time <= {self.to_ms}ms"
        text = text.replace("$timeFilter", time_filter)
        text = text.replace("$__interval_ms", str(self.interval_ms))
        return text.replace("$__interval", interval_text(self.interval_ms)).replace(
            "$interval", interval_text(self.interval_ms)
        )

    def request(self, text, policy=""):
        """The answer to one query, as HTTP."""
        params = {"db": self.database, "epoch": "ms"}
        if policy not in ("", "default"):
            params["rp"] = policy
        text = self.interpolate(text)
        if self.http_mode == "GET":
            params["q"] = text
            return self.session.get(f"{self.url}/query", params=params, auth=self.auth, timeout=30)
        return self.session.post(f"{self.url}/query", params=params, data={"q": text}, auth=self.auth, timeout=30)

    def frames(self, text, policy=""):
        """The data frames that a panel is given; DataSourceError with the text that it shows instead."""
        return read_frames(self.request(text, policy), text)


def read_frames(response, text):
    """Decodes an answer as the data source does, and insists on what it needs."""
    assert response.headers["Content-Type"] == "application/json", response.headers
    body, _ = json.JSONDecoder().raw_decode(response.text)
    assert isinstance(body, dict), body
    if response.status_code // 100 != 2:
        raise DataSourceError(body.get("error") or body.get("message"))
    if body.get("error"):
        raise DataSourceError(body["error"])
    result = body["results"][0]
    if result.get("error"):
        raise DataSourceError(result["error"])
    frames = []
    for series in result.get("series", []):
        assert series.get("values", []) != [] or "values" not in series, "an empty list of rows"
        labels = series.get("tags", {})
        assert all(isinstance(value, str) for value in labels.values()), labels
        if series["columns"][0] == "time":
            frames += time_frames(series, labels)
        else:
            frames.append(list_frame(series, text))
    return frames


def time_frames(series, labels):
    """One frame of times and values for each column beside the time."""
    rows = series.get("values", [])
    times = [row[0] for row in rows]
    assert all(isinstance(time, int) for time in times), "times are numbers of milliseconds"
    return [
        {
            "name": ".".join(part for part in (series.get("name"), column) if part),
            "labels": labels,
            "times": times,
            "values": one_type([row[index] for row in rows]),
        }
        for index, column in enumerate(series["columns"])
        if index > 0
    ]


def one_type(values):
    """The type of the first value that is not null counts; values of another type become null."""
    kinds = [kind for value in values if (kind := kind_of(value))]
    return [value if kind_of(value) == kinds[0] else None for value in values] if kinds else values


def kind_of(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "string"


def list_frame(series, text):
    """A list without times: names, keys, values of tags, a count."""
    words = text.upper().split()
    rows = series.get("values", [])
    if words[:2] == ["SHOW", "DIAGNOSTICS"]:
        values = [value for row in rows for value in row]
    else:
        tag_values = words[:3] == ["SHOW", "TAG", "VALUES"] and "CARDINALITY" not in words
        values = [row[1 if tag_values else 0] for row in rows]
    return {"name": series.get("name", ""), "values": values}


def shown(frames, origin_ms):
    """Frames as lines of text: `cpu.mean{host=a}: 0=11 60=21.5 120=null`, times in seconds after the origin."""
    return [shown_frame(frame, origin_ms) for frame in frames]


def shown_frame(frame, origin_ms):
    labels = ",".join(f"{key}={value}" for key, value in sorted(frame.get("labels", {}).items()))
    head = frame["name"] + (f"{{{labels}}}" if labels else "")
    if "times" not in frame:
        return f"{head}: " + " ".join(shown_value(value) for value in frame["values"])
    points = zip(frame["times"], frame["values"])
    return f"{head}: " + " ".join(f"{shown_time(time, origin_ms)}={shown_value(value)}" for time, value in points)


def shown_time(time_ms, origin_ms):
    """Seconds after the origin; `epoch` for 1970, which stands for no time at all."""
    return "epoch" if time_ms == 0 else f"{(time_ms - origin_ms) / 1000:g}"


def shown_value(value):
    """Numbers to ten digits; text as it is, quoted if it has spaces or is empty."""
    if isinstance(value, str):
        return json.dumps(value) if value == "" or " " in value else value
    return json.dumps(value) if kind_of(value) != "number" else f"{value:.10g}"
