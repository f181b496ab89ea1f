"""Flux over HTTP, and its answers read as strictly as any client does: annotated CSV of InfluxDB's documentation.

    tables = ask(server.url, 'from(bucket: "db") |> range(start: 0)')    # FluxError where the server says one
    tables[0].key["host"], tables[0].rows[0]["_value"]

Times are nanoseconds since 1970, nulls are None. What the format does not allow fails by an assertion.
"""

import csv
import dataclasses
import datetime
import io
import re

import requests

DIALECT = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
EPOCH = datetime.datetime(1970, 1, 1)


class FluxError(Exception):
    """What the client is told instead of tables, or after some of them."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


@dataclasses.dataclass
class Table:
    """A table of a result: its group key, the types of its columns, its rows."""

    result: str
    number: int
    types: dict
    key: dict
    rows: list

    def column(self, name):
        return [row[name] for row in self.rows]


def post(url, text, dialect=DIALECT, auth=None, headers=None, timeout=60, query="", **body):
    """The answer to a query, whatever its status. `query` is more of the URL's."""
    asked = {"query": text, "type": "flux", **({"dialect": dialect} if dialect else {}), **body}
    address = f"{url}/api/v2/query?org=-{query}"
    return requests.post(address, json=asked, auth=auth, headers=headers, timeout=timeout)


def ask(url, text, **options):
    """The tables of every result, in the order in which they came."""
    return read(post(url, text, **options))


def read(answer):
    """The tables of an answer."""
    if answer.status_code != 200:
        told = answer.json()
        assert set(told) >= {"code", "message"}, told
        raise FluxError(answer.status_code, told["message"])
    assert answer.headers["Content-Type"].startswith("text/csv"), answer.headers
    return parsed(answer.content.decode())


def parsed(text):
    """The tables of annotated CSV with all annotations and a header."""
    assert text == "" or text.endswith("\r\n"), text[-100:]
    assert "\n" not in re.sub(r'"[^"]*"', "", text).replace("\r\n", ""), "lines end with CR LF"
    tables = []
    for block in blocks(text):
        tables += tables_of(*block)
    numbers = {}
    for table in tables:
        assert table.number == numbers.get(table.result, 0), f"table {table.number} of {table.result} is out of turn"
        numbers[table.result] = table.number + 1
    return tables


def blocks(text):
    """Annotations, names of columns and rows of each stretch of tables that are alike."""
    found, annotations, names = [], {}, None
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        if not row:
            # An empty line: what follows is described anew.
            annotations, names = {}, None
        elif row[0].startswith("#"):
            if names is not None:
                annotations, names = {}, None
            annotations[row[0][1:]] = row[1:]
        elif names is None:
            names = row[1:]
            assert row[0] == "" and set(annotations) == {"datatype", "group", "default"}, (row, annotations)
            assert len(set(names)) == len(names), f"names twice: {names}"
            assert {len(cells) for cells in annotations.values()} == {len(names)}, (names, annotations)
            found.append((annotations, names, []))
        else:
            assert row[0] == "" and len(row) == len(names) + 1, (row, names)
            found[-1][2].append(row[1:])
    return found


def tables_of(annotations, names, rows):
    """The tables of a block; one without rows is told by its defaults."""
    if names == ["error", "reference"]:
        raise FluxError(200, rows[0][0])
    assert names[:2] == ["result", "table"], names
    assert annotations["datatype"][:2] == ["string", "long"], annotations
    assert set(annotations["group"]) <= {"true", "false"}, annotations
    types = dict(zip(names, annotations["datatype"], strict=True))
    grouped = {name for name, group in zip(names, annotations["group"], strict=True) if group == "true"}
    defaults = annotations["default"]
    tables = []
    for cells in rows:
        full = [cell or default for cell, default in zip(cells, defaults, strict=True)]
        row = {name: value(cell, types[name]) for name, cell in zip(names, full, strict=True)}
        result, number = row.pop("result"), row.pop("table")
        key = {name: row[name] for name in grouped}
        if not tables or (tables[-1].result, tables[-1].number) != (result, number):
            tables.append(Table(result, number, types, key, []))
        assert tables[-1].key == key, f"the group key changes in table {number}: {tables[-1].key} {key}"
        tables[-1].rows.append(row)
    if not rows:
        known = {name: value(cell, types[name]) for name, cell in zip(names, defaults, strict=True)}
        tables.append(Table(known["result"], known["table"], types, {name: known[name] for name in grouped}, []))
    return tables


def value(cell, kind):
    """A cell as its type says."""
    if cell == "":
        return None
    if kind == "string":
        return cell
    if kind in ("long", "unsignedLong"):
        return int(cell)
    if kind == "double":
        return float(cell)
    if kind == "boolean":
        assert cell in ("true", "false"), cell
        return cell == "true"
    assert kind in ("dateTime:RFC3339", "dateTime:RFC3339Nano"), f"a type that clients do not know: {kind}"
    return nanoseconds(cell)


def nanoseconds(text):
    """A time of RFC 3339, in UTC, as nanoseconds since 1970."""
    second, fraction = TIME.fullmatch(text).groups()
    seconds = (datetime.datetime.fromisoformat(second) - EPOCH) // datetime.timedelta(seconds=1)
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def rfc3339(time_ns):
    """The other way."""
    second, fraction = divmod(time_ns, 10**9)
    text = (EPOCH + datetime.timedelta(seconds=second)).isoformat()
    return f"{text}.{fraction:09d}Z" if fraction else f"{text}Z"


def quoted(text):
    """A text of Flux."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'
