"""One server, the same question in Flux and in InfluxQL: the answers are the same, cell by cell.

What Flux lets the storage do (conditions, windows, aggregates) is also asked so that it must be done row by row, with a
step in between that changes nothing: that must not be seen in the answer.

Numbers are compared to 1e-9 of their size. Never asked: which of several points with equal values a selector finds
where several series are one table, as their order is nobody's promise.
"""

import math

import pytest
from flux_questions import KINDS, SPAN, T0, Questioner, lines, select, source
from flux_tables import FluxError, ask

SEEDS = range(1, 7)
CASES = 12
SECOND = 1_000_000_000
NUMERIC = "fi"
# Changes nothing, and is nothing that a storage does.
ROW_BY_ROW = " |> map(fn: (r) => r)"
# Reads points one by one: this condition compares two columns.
POINT_BY_POINT = " |> filter(fn: (r) => r._value == r._value)"
OWN = {"_start", "_stop", "_measurement", "_field"}


@pytest.fixture(scope="module")
def server(shared_skywatch):
    for seed in SEEDS:
        shared_skywatch.query(f"CREATE DATABASE flux_{seed}")
        answer = shared_skywatch.write("\n".join(lines(seed)), db=f"flux_{seed}")
        assert answer.status_code == 204, answer.text
    return shared_skywatch


def flux(server, text, keep_key=False):
    """Rows of (time, value) by series, as its tags; of all tables without one, under ()."""
    found = {}
    for table in ask(server.url, text):
        tags = tuple(sorted((key, value) for key, value in table.key.items() if key not in OWN and value is not None))
        assert tags not in found, f"two tables of {tags}"
        found[tags] = [(row.get("_time"), row["_value"]) for row in table.rows]
    return found


def influxql(server, q, db):
    """The same of an answer to one SELECT of one column."""
    (result,) = server.query(q, db, epoch="ns")["results"]
    assert "error" not in result, (q, result)
    found = {}
    for series in result.get("series", []):
        tags = tuple(sorted((key, value) for key, value in series.get("tags", {}).items() if value != ""))
        found[tags] = [(row[0], row[1]) for row in series["values"]]
    return found


def alike(one, other):
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other))
    number = (int, float)
    if isinstance(one, number) and isinstance(other, number) and not isinstance(one, bool) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def check(seed, asked, found, expected, **told):
    """Fails saying how to ask again, and where the answers part."""
    if alike(found, expected):
        return
    text = [f"seed {seed}: {asked}", *(f"{name}: {value}" for name, value in told.items())]
    if isinstance(found, dict):
        text.append(f"series of Flux only: {sorted(found.keys() - expected.keys())}")
        text.append(f"series of InfluxQL only: {sorted(expected.keys() - found.keys())}")
        for tags in found.keys() & expected.keys():
            if not alike(found[tags], expected[tags]):
                text.append(f"{tags}:\n  Flux      {found[tags][:8]}\n  expected  {expected[tags][:8]}")
                break
    pytest.fail("\n".join(text))


def values(found):
    """Without times."""
    return {tags: [value for _, value in rows] for tags, rows in found.items()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("field", KINDS)
def test_points(server, seed, field):
    """Conditions and ranges, done by the storage and row by row."""
    questions, db = Questioner(f"{seed}{field}"), f"flux_{seed}"
    for _ in range(CASES):
        bounds, condition = questions.bounds(), questions.condition(field)
        q = select(field, bounds, condition, " GROUP BY *")
        expected = influxql(server, q, db)
        text = source(db, field, bounds, condition)
        check(seed, text, flux(server, text), expected, InfluxQL=q)
        text = source(db, field, bounds) + ROW_BY_ROW + f" |> filter(fn: (r) => {condition.flux})"
        check(seed, text, flux(server, text), expected, InfluxQL=q)


def expected_windows(server, db, field, name, bounds, condition, every, offset, empty):
    """InfluxQL tells the start of a window, Flux its end, and neither of what is out of the range."""
    fill = "none" if not empty or name in ("min", "max", "first", "last") else "0" if name == "count" else "null"
    end = f" GROUP BY time({every}ns, {offset}ns), * fill({fill})"
    rows = influxql(server, select(f"{name}({field})", bounds, condition, end), db)
    return {tags: [(min(at + every, bounds[1]), value) for at, value in some] for tags, some in rows.items()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["mean", "sum", "count", "min", "max", "first", "last"])
def test_windows(server, seed, name):
    questions, db = Questioner(f"{seed}{name}"), f"flux_{seed}"
    for case in range(CASES):
        field = questions.rng.choice("fist" if name in ("count", "first", "last") else NUMERIC)
        bounds = questions.bounds()
        condition = questions.condition(field) if case % 2 else None
        (every, offset), empty = questions.windows(), questions.rng.random() < 0.5
        expected = expected_windows(server, db, field, name, bounds, condition, every, offset, empty)
        more = "" if empty and questions.rng.random() < 0.5 else f", createEmpty: {'true' if empty else 'false'}"
        more += f", offset: {offset}ns" if offset else ""
        step = f" |> aggregateWindow(every: {every}ns, fn: {name}{more})"
        for between in ("", POINT_BY_POINT, ROW_BY_ROW):
            text = source(db, field, bounds, condition) + between + step
            check(seed, text, flux(server, text), expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["mean", "sum", "count", "min", "max", "first", "last"])
def test_one_value_of_each_series(server, seed, name):
    questions, db = Questioner(f"whole {seed}{name}"), f"flux_{seed}"
    for _ in range(CASES):
        field = questions.rng.choice("fist" if name in ("count", "first", "last") else NUMERIC)
        bounds, condition = questions.bounds(), questions.condition(field)
        q = select(f"{name}({field})", bounds, condition, " GROUP BY *")
        expected = influxql(server, q, db)
        for between in ("", POINT_BY_POINT, ROW_BY_ROW):
            text = source(db, field, bounds, condition) + between + f" |> {name}()"
            found = flux(server, text)
            if name in ("mean", "sum", "count"):
                check(seed, text, values(found), values(expected), InfluxQL=q)
            else:
                check(seed, text, found, expected, InfluxQL=q)


# What Flux does in memory only, and InfluxQL's word for it. Flux's estimates are asked to be exact.
OTHERS = {
    "spread()": "spread(%)",
    "stddev()": "stddev(%)",
    'toFloat() |> median(method: "exact_mean")': "median(%)",
    "integral(unit: 1s)": "integral(%, 1s)",
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("step", OTHERS)
def test_other_aggregates(server, seed, step):
    questions, db = Questioner(f"{step}{seed}"), f"flux_{seed}"
    for _ in range(CASES // 2):
        field = questions.rng.choice(NUMERIC)
        bounds, condition = questions.bounds(), questions.condition(field)
        q = select(OTHERS[step].replace("%", field), bounds, condition, " GROUP BY *")
        expected = values(influxql(server, q, db))
        text = source(db, field, bounds, condition) + f" |> {step}"
        found = values(flux(server, text))
        if step == "integral(unit: 1s)":
            # A single point spans no area: zero in Flux, and InfluxQL has no row.
            found = {tags: some for tags, some in found.items() if tags in expected or some != [0.0]}
        if step == "stddev()":
            # Of one point there is none; InfluxQL says null, Flux NaN.
            clean = [None if value is None or math.isnan(value) else value for some in found.values() for value in some]
            found = {tags: [value] for tags, value in zip(found, clean, strict=True)}
        check(seed, text, found, expected, InfluxQL=q)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["sum", "count", "mean", "min", "max"])
def test_groups(server, seed, name):
    """Several series are one table."""
    questions, db = Questioner(f"groups {seed}{name}"), f"flux_{seed}"
    for _ in range(CASES):
        field = questions.rng.choice("fist" if name == "count" else NUMERIC)
        bounds, condition = questions.bounds(), questions.condition(field)
        keys = [key for key in ("a", "b", "c d") if questions.rng.random() < 0.4]
        by = " GROUP BY " + ", ".join(f'"{key}"' for key in keys) if keys else ""
        q = select(f"{name}({field})", bounds, condition, by)
        expected = values(influxql(server, q, db))
        listed = ", ".join(f'"{key}"' for key in keys)
        step = f" |> group(columns: [{listed}]) |> {name}()" if keys else f" |> group() |> {name}()"
        for between in ("", POINT_BY_POINT):
            text = source(db, field, bounds, condition) + between + step
            check(seed, text, values(flux(server, text)), expected, InfluxQL=q)


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_of_groups(server, seed):
    questions, db = Questioner(f"windows of groups {seed}"), f"flux_{seed}"
    for _ in range(CASES):
        field, name = questions.rng.choice(NUMERIC), questions.rng.choice(["sum", "count", "mean"])
        bounds, (every, offset) = questions.bounds(), questions.windows()
        end = f' GROUP BY time({every}ns, {offset}ns), "a" fill({"0" if name == "count" else "null"})'
        rows = influxql(server, select(f"{name}({field})", bounds, None, end), db)
        expected = {tags: [(min(at + every, bounds[1]), value) for at, value in some] for tags, some in rows.items()}
        step = f' |> group(columns: ["a"]) |> aggregateWindow(every: {every}ns, offset: {offset}ns, fn: {name})'
        text = source(db, field, bounds) + step
        check(seed, text, flux(server, text), expected)


TRANSFORMS = {
    "difference()": "difference(%)",
    "difference(nonNegative: false, keepFirst: false)": "difference(%)",
    "derivative(unit: 1s)": "derivative(%, 1s)",
    "derivative(unit: 1m)": "derivative(%, 1m)",
    "cumulativeSum()": "cumulative_sum(%)",
    "movingAverage(n: 2)": "moving_average(%, 2)",
    "movingAverage(n: 3)": "moving_average(%, 3)",
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("step", TRANSFORMS)
def test_series_of_values(server, seed, step):
    questions, db = Questioner(f"{step}{seed}"), f"flux_{seed}"
    for _ in range(CASES // 2):
        field = questions.rng.choice(NUMERIC)
        bounds, condition = questions.bounds(), questions.condition(field)
        points = influxql(server, select(field, bounds, condition, " GROUP BY *"), db)
        q = select(TRANSFORMS[step].replace("%", field), bounds, condition, " GROUP BY *")
        # Fewer points than it takes give no series in InfluxQL; in Flux a table without rows, or their average.
        short = {tags for tags, rows in points.items() if len(rows) < 3}
        expected = {tags: rows for tags, rows in influxql(server, q, db).items() if tags not in short}
        text = source(db, field, bounds, condition) + f" |> {step}"
        found = {tags: rows for tags, rows in flux(server, text).items() if tags not in short}
        check(seed, text, found, expected, InfluxQL=q)


@pytest.mark.parametrize("seed", SEEDS)
def test_elapsed_distinct_and_order(server, seed):
    questions, db = Questioner(f"rows {seed}"), f"flux_{seed}"
    for _ in range(CASES // 2):
        field = questions.rng.choice("fist")
        bounds, condition = questions.bounds(), questions.condition(field)
        begin = source(db, field, bounds, condition)
        raw = influxql(server, select(field, bounds, condition, " GROUP BY *"), db)
        # Descending, and from the middle.
        few, skipped = questions.rng.randrange(1, 9), questions.rng.randrange(0, 5)
        text = begin + f' |> sort(columns: ["_time"], desc: true) |> limit(n: {few}, offset: {skipped})'
        expected = {tags: rows[::-1][skipped : skipped + few] for tags, rows in raw.items()}
        check(seed, text, filled(flux(server, text)), filled(expected))
        text = begin + f" |> tail(n: {few}, offset: {skipped})"
        expected = {tags: rows[: max(len(rows) - skipped, 0)][-few:] for tags, rows in raw.items()}
        check(seed, text, filled(flux(server, text)), filled(expected))
        q = select(f"distinct({field})", bounds, condition, " GROUP BY *")
        expected = {tags: sorted(some) for tags, some in values(influxql(server, q, db)).items()}
        text = begin + ' |> distinct(column: "_value")'
        check(seed, text, {tags: sorted(some) for tags, some in values(flux(server, text)).items()}, expected, InfluxQL=q)
        q = select(f"elapsed({field}, 1ms)", bounds, condition, " GROUP BY *")
        text = begin + ' |> elapsed(unit: 1ms, columnName: "gap") |> drop(columns: ["_value"]) |> rename(columns: {gap: "_value"})'
        check(seed, text, filled(flux(server, text)), filled(influxql(server, q, db)), InfluxQL=q)


def filled(found):
    """Without series that have no rows: Flux tells them, InfluxQL does not."""
    return {tags: rows for tags, rows in found.items() if rows}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["top", "bottom"])
def test_top_and_bottom(server, seed, name):
    questions, db = Questioner(f"{name}{seed}"), f"flux_{seed}"
    for _ in range(CASES // 2):
        field, count = questions.rng.choice(NUMERIC), questions.rng.randrange(1, 7)
        bounds, condition = questions.bounds(), questions.condition(field)
        q = select(f"{name}({field}, {count})", bounds, condition, " GROUP BY *")
        expected = {tags: sorted(some, reverse=name == "top") for tags, some in values(influxql(server, q, db)).items()}
        text = source(db, field, bounds, condition) + f" |> {name}(n: {count})"
        check(seed, text, values(flux(server, text)), expected, InfluxQL=q)


@pytest.mark.parametrize("seed", SEEDS)
def test_pivot(server, seed):
    """Fields side by side, as a SELECT of several has them."""
    questions, db = Questioner(f"pivot {seed}"), f"flux_{seed}"
    for _ in range(CASES // 2):
        start, stop = questions.bounds()
        (result,) = server.query(select("f, i, s, t", (start, stop), None, " GROUP BY *"), db, epoch="ns")["results"]
        expected = {}
        for series in result.get("series", []):
            tags = tuple(sorted((key, value) for key, value in series["tags"].items() if value))
            present = [index for index in range(1, 5) if any(row[index] is not None for row in series["values"])]
            names = [series["columns"][index] for index in present]
            expected[tags] = [(row[0], {n: row[i] for n, i in zip(names, present)}) for row in series["values"]]
        every = source(db, "f", (start, stop)).replace(' and r._field == "f"', "")
        text = every + ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        found = {}
        for table in ask(server.url, text):
            tags = tuple(sorted((key, value) for key, value in table.key.items() if key not in OWN))
            rows = [(row["_time"], {name: row[name] for name in row if name in KINDS}) for row in table.rows]
            found[tags] = sorted(rows, key=lambda row: row[0])
        check(seed, text, found, expected)


STEPS = [
    "range(start: 2020-01-01T00:10:00Z, stop: 2020-01-01T00:50:00Z)",
    "range(start: 2020-01-01T00:00:30Z)",
    'filter(fn: (r) => r.a == "x" or r.b == "1")',
    "filter(fn: (r) => exists r.b)",
    "filter(fn: (r) => r._value >= 0.0)",
    "filter(fn: (r) => r._value >= 0.0, onEmpty: \"keep\")",
    'filter(fn: (r) => contains(value: r.a, set: ["x", "y"]))',
    'group(columns: ["a"])',
    'group(columns: ["a", "b"], mode: "except")',
    "group()",
    'group(columns: ["_measurement", "_field", "nothing"])',
    "aggregateWindow(every: 5m, fn: mean)",
    "aggregateWindow(every: 7m, fn: sum, createEmpty: false)",
    'aggregateWindow(every: 5m, fn: max, timeSrc: "_start")',
    'aggregateWindow(every: 5m, fn: count, timeDst: "at")',
    "aggregateWindow(every: 5m, period: 10m, fn: mean)",
    "window(every: 10m)",
    "window(every: 10m, createEmpty: true)",
    "window(every: inf)",
    "sum()", "count()", "mean()", "min()", "max()", "first()", "last()",
    'sum(column: "_value")', 'count(column: "_time")', 'last(column: "_time")', 'max(column: "_time")',
    "limit(n: 3)", "limit(n: 3, offset: 2)",
    'keep(columns: ["_time", "_value", "a"])', 'drop(columns: ["b", "c d"])',
    'rename(columns: {a: "A"})', 'sort(columns: ["_time"])', 'distinct(column: "a")', 'set(key: "a", value: "z")',
    "toFloat()", "fill(value: 0.0)",
]


@pytest.mark.parametrize("seed", range(1, 21))
def test_steps_in_the_storage_or_not(server, seed):
    """Whatever steps follow each other, how many of them the storage does is not seen."""
    rng = Questioner(f"steps {seed}").rng
    for _ in range(20):
        steps = [rng.choice(STEPS) for _ in range(rng.randrange(1, 5))]
        begin = source(f"flux_{1 + seed % 6}", "f", (T0, T0 + SPAN))
        # Which row is first where several series are one table is nobody's promise, so those are put in order.
        found = [outcome(server, " |> ".join([begin + between, *steps])) for between in ("", POINT_BY_POINT, ROW_BY_ROW)]
        assert found[0] == found[1] == found[2], (seed, begin, steps, *found)


def comparison(rng):
    """Of anything that a series has, by its name or by its values."""
    number = rng.choice(["3", "-2", "2.5", "0"])
    return rng.choice([
        'r._field == "f"', 'r._field != "f"', "r._field =~ /^i/", 'r._measurement == "m"', 'r._measurement != "m"',
        "r._measurement !~ /n/", '"m" == r._measurement', f"r._value > {number}", f"r._value <= {number}", f"{number} < r._value",
        f"r._value != {number}", f"r._value == {number}", 'r.a == "x"', "r.a =~ /^[xy]/", "exists r.b", "not exists r.b",
        'exists r.b and r.b != "1"', 'contains(value: r._field, set: ["i", "s"])', "r._time < 2020-01-01T00:30:00Z",
        "not (r._value > 0.0)", "r._value == r._value", "true", "false",
    ])


def conditions(rng, depth=2):
    if depth and rng.random() < 0.6:
        return f"({conditions(rng, depth - 1)} {rng.choice(['and', 'or'])} {conditions(rng, depth - 1)})"
    return comparison(rng)


@pytest.mark.parametrize("seed", range(1, 21))
def test_conditions_in_the_storage_or_not(server, seed):
    """On names and values at once, of several fields and measurements."""
    rng = Questioner(f"conditions {seed}").rng
    for _ in range(15):
        condition, step = conditions(rng), rng.choice(["", " |> count()", " |> last()", " |> aggregateWindow(every: 10m, fn: sum)"])
        begin = source(f"flux_{1 + seed % 6}", "f", (T0, T0 + SPAN), measurement="m")
        begin = begin.replace('r._measurement == "m" and r._field == "f"', "r._field =~ /^[fi]$/")
        found = [outcome(server, f"{begin}{between} |> filter(fn: (r) => {condition}){step}") for between in ("", ROW_BY_ROW)]
        assert found[0] == found[1], (seed, condition + step, *found)


def outcome(server, text):
    """All tables by their keys, rows in order; or that it is an error."""
    try:
        tables = ask(server.url, text, now="2020-01-01T00:45:00Z")
    except FluxError as error:
        return f"error {error.status}"
    found = {}
    for table in tables:
        key = tuple(sorted((name, str(value)) for name, value in table.key.items()))
        assert key not in found, f"two tables of {key}"
        rows = [tuple(rounded(row.get(name)) for name in sorted(row)) for row in table.rows]
        found[key] = (sorted(table.types.items()), sorted(rows, key=str))
    return found


def rounded(value):
    return float(f"{value:.9g}") if isinstance(value, float) else value


def names(server, q, db, column):
    (result,) = server.query(q, db)["results"]
    assert "error" not in result, (q, result)
    return sorted({row[column] for series in result.get("series", []) for row in series["values"]})


@pytest.mark.parametrize("package", ["influxdata/influxdb/schema", "influxdata/influxdb/v1"])
@pytest.mark.parametrize("seed", SEEDS)
def test_schemas(server, seed, package):
    """Names, as SHOW tells them; Flux's own columns of a group key are keys there."""
    db, alias = f"flux_{seed}", package.rpartition("/")[2]
    since = "start: 2019-12-01T00:00:00Z"
    for call, q, column in [
        (f"measurements(bucket: {db!r})", "SHOW MEASUREMENTS", 0),
        (f"tagKeys(bucket: {db!r}, {since})", "SHOW TAG KEYS", 0),
        (f"tagValues(bucket: {db!r}, tag: 'a', {since})", "SHOW TAG VALUES WITH KEY = a", 1),
        (f"tagValues(bucket: {db!r}, tag: 'c d', {since})", 'SHOW TAG VALUES WITH KEY = "c d"', 1),
        (f"measurementTagKeys(bucket: {db!r}, measurement: 'm')", "SHOW TAG KEYS FROM m", 0),
        (f"measurementTagValues(bucket: {db!r}, measurement: 'n', tag: 'b')", "SHOW TAG VALUES FROM n WITH KEY = b", 1),
        (f"fieldKeys(bucket: {db!r}, {since})", "SHOW FIELD KEYS", 0),
        (f"measurementFieldKeys(bucket: {db!r}, measurement: 'm', {since})", "SHOW FIELD KEYS FROM m", 0),
        (
            f"tagValues(bucket: {db!r}, tag: 'a', predicate: (r) => r._measurement == 'n' and exists r.b, {since})",
            "SHOW TAG VALUES FROM n WITH KEY = a WHERE b != ''", 1,
        ),
    ]:
        text = f'import "{package}"\n{alias}.{call}'.replace("'", '"')
        # The month before `now` is what is looked at unless told otherwise.
        tables = ask(server.url, text, now="2020-01-05T00:00:00Z")
        assert len(tables) <= 1, text
        found = sorted(value for table in tables for value in table.column("_value"))
        assert len(set(found)) == len(found), (text, found)
        found = [value for value in found if value not in OWN | {"_time", "_value"}]
        assert found == names(server, q, db, column), (f"seed {seed}", text, q)


@pytest.mark.parametrize("seed", SEEDS)
def test_several_fields_at_once(server, seed):
    """Without a condition on fields, every field is tables of its own, of its own type."""
    questions, db = Questioner(f"fields {seed}"), f"flux_{seed}"
    for name in ["count", "first", "last"]:
        bounds = questions.bounds()
        expected = {}
        for field in KINDS:
            for tags, rows in influxql(server, select(f"{name}({field})", bounds, None, " GROUP BY *"), db).items():
                expected[(("_field", field), *tags)] = [value for _, value in rows]
        begin = source(db, "f", bounds).replace(' and r._field == "f"', "")
        for between in ("", POINT_BY_POINT):
            found = {}
            for table in ask(server.url, begin + between + f" |> {name}()"):
                tags = sorted((key, value) for key, value in table.key.items() if key not in OWN)
                found[(("_field", table.key["_field"]), *tags)] = table.column("_value")
            check(seed, begin + between, found, expected)
