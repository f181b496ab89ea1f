"""Functions of Flux that InfluxQL does not have: random series, and the answers that Python computes by the definitions in
Flux's documentation. What fails says which seed.
"""

import math
import random
import statistics

import pytest
from flux_questions import MINUTE, SECOND, T0
from flux_tables import ask, rfc3339

SEEDS = range(1, 9)
STOP = T0 + 30 * MINUTE


@pytest.fixture(scope="module")
def server(shared_skywatch):
    for seed in SEEDS:
        lines = [f"m,host={host} a={a},b={b}i {at}" for host, rows in points(seed).items() for at, a, b in rows]
        assert shared_skywatch.query(f"CREATE DATABASE py_{seed}") and shared_skywatch.write("\n".join(lines), db=f"py_{seed}").status_code == 204
    return shared_skywatch


def points(seed):
    """(time, a, b) of each host: a is a multiple of 1/4, b is small and never negative, so that values repeat."""
    rng = random.Random(f"flux functions {seed}")
    found = {}
    for host in "uvw"[: rng.randrange(1, 4)]:
        times = sorted(rng.sample(range(1800), rng.randrange(8, 60)))
        found[host] = [(T0 + at * SECOND, rng.randrange(-80, 80) / 4, rng.randrange(0, 9)) for at in times]
    return found


class Asked:
    """One seed's points, and what Flux makes of a field of them, by host."""

    def __init__(self, server, seed):
        self.url, self.seed = server.url, seed
        self.rows = points(seed)
        self.rng = random.Random(f"flux arguments {seed}")

    def source(self, field="a"):
        return (
            f'from(bucket: "py_{self.seed}") |> range(start: {rfc3339(T0)}, stop: {rfc3339(STOP)})'
            f' |> filter(fn: (r) => r._field == "{field}")'
        )

    def tables(self, step, field="a", imports=""):
        return ask(self.url, imports + self.source(field) + " |> " + step)

    def rows_of(self, step, field="a", columns=("_time", "_value"), imports=""):
        found = {}
        for table in self.tables(step, field, imports):
            found.setdefault(table.key.get("host"), []).extend(tuple(row.get(name) for name in columns) for row in table.rows)
        return found

    def check(self, step, expected, field="a", columns=("_time", "_value"), imports=""):
        found = self.rows_of(step, field, columns, imports)
        expected = {host: [tuple(row) for row in rows] for host, rows in expected.items() if rows}
        found = {host: rows for host, rows in found.items() if rows}
        assert alike(found, expected), f"seed {self.seed}: {imports}{self.source(field)} |> {step}\n  Flux      {found}\n  expected  {expected}"

    def each(self, make, field="a"):
        """What `make` says of each host's (time, value)."""
        index = 1 if field == "a" else 2
        return {host: make([(row[0], row[index]) for row in rows]) for host, rows in self.rows.items()}


def alike(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other))
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


@pytest.fixture(params=SEEDS)
def asked(server, request):
    return Asked(server, request.param)


def numbers(rows):
    return [value for _, value in rows]


def test_quantiles(asked):
    q = asked.rng.choice([0.1, 0.25, 0.5, 0.9, 0.99, 1.0])

    def between(rows):
        some = sorted(numbers(rows))
        at = q * (len(some) - 1)
        low, high = math.floor(at), math.ceil(at)
        return [(some[low] + (some[high] - some[low]) * (at - low),)]

    asked.check(f'quantile(q: {q}, method: "exact_mean")', asked.each(between), columns=("_value",))
    chosen = asked.each(lambda rows: [(sorted(numbers(rows))[max(math.ceil(q * len(rows)) - 1, 0)],)])
    asked.check(f'quantile(q: {q}, method: "exact_selector")', chosen, columns=("_value",))


def test_estimated_quantiles_are_close(asked):
    for host, rows in asked.rows_of("median()").items():
        values = sorted(row[1] for row in asked.rows[host])
        near = values[max(len(values) // 2 - 2, 0)], values[min(len(values) // 2 + 1, len(values) - 1)]
        assert near[0] <= rows[0][1] <= near[1], (asked.seed, host, rows, values)


def test_moments(asked):
    def skew(rows):
        some = numbers(rows)
        mean = statistics.fmean(some)
        second, third = (statistics.fmean((value - mean) ** power for value in some) for power in (2, 3))
        return [(third / second**1.5,)]

    asked.check("skew()", asked.each(skew), columns=("_value",))
    asked.check('stddev(mode: "population")', asked.each(lambda rows: [(statistics.pstdev(numbers(rows)),)]), columns=("_value",))
    asked.check('stddev(mode: "sample")', asked.each(lambda rows: [(statistics.stdev(numbers(rows)),)]), columns=("_value",))


def test_mode(asked):
    def modes(rows):
        some = statistics.multimode(numbers(rows))
        return [(value,) for value in sorted(some)] if len(some) < len(rows) else [(None,)]

    asked.check("mode()", asked.each(modes, "b"), "b", columns=("_value",))


def moving(n, rows):
    """Exponential moving average: the mean of the first n, then each value counts 2 / (n + 1)."""
    found = []
    for index in range(n - 1, len(rows)):
        at, value = rows[index]
        if not found:
            found.append((at, statistics.fmean(numbers(rows[:n]))))
        else:
            weight = 2 / (n + 1)
            found.append((at, value * weight + found[-1][1] * (1 - weight)))
    return found


def test_exponential_moving_averages(asked):
    n = asked.rng.choice([1, 2, 3])
    asked.check(f"exponentialMovingAverage(n: {n})", asked.each(lambda rows: moving(n, rows)))

    def double(rows):
        once = dict(moving(n, rows))
        return [(at, 2 * once[at] - twice) for at, twice in moving(n, moving(n, rows))]

    asked.check(f"doubleEMA(n: {n})", asked.each(double))

    def triple(rows):
        once, twice = dict(moving(n, rows)), dict(moving(n, moving(n, rows)))
        return [(at, 3 * once[at] - 3 * twice[at] + thrice) for at, thrice in moving(n, moving(n, moving(n, rows)))]

    if all(len(rows) >= 3 * n for rows in asked.rows.values()):
        asked.check(f"tripleEMA(n: {n})", asked.each(triple))


def test_increase_and_differences(asked):
    def increase(rows):
        total, found, before = 0, [], None
        for at, value in rows:
            total += 0 if before is None else value - before if value >= before else value
            found.append((at, total))
            before = value
        return found

    asked.check("increase()", asked.each(increase, "b"), "b")

    def first_kept(rows):
        return [(at, None if index == 0 else value - rows[index - 1][1]) for index, (at, value) in enumerate(rows)]

    asked.check("difference(keepFirst: true)", asked.each(first_kept, "b"), "b")

    def no_negative(rows):
        steps = [(at, value - before) for (_, before), (at, value) in zip(rows, rows[1:])]
        return [(at, step if step >= 0 else None) for at, step in steps]

    asked.check("difference(nonNegative: true)", asked.each(no_negative, "b"), "b")


def test_states(asked):
    level = asked.rng.randrange(-10, 10)

    def states(rows):
        found, count, since = [], 0, None
        for at, value in rows:
            if value > level:
                count, since = count + 1, at if since is None else since
                found.append((at, count, (at - since) // SECOND))
            else:
                count, since = 0, None
                found.append((at, -1, -1))
        return found

    step = f"stateCount(fn: (r) => r._value > {level}.0) |> stateDuration(fn: (r) => r._value > {level}.0, unit: 1s)"
    asked.check(step, asked.each(states), columns=("_time", "stateCount", "stateDuration"))
    asked.check(
        f"stateTracking(fn: (r) => r._value > {level}.0, countColumn: \"n\", durationColumn: \"d\", durationUnit: 1s)",
        asked.each(states), columns=("_time", "n", "d"),
    )


def test_histograms(asked):
    bins = sorted(asked.rng.sample(range(-25, 25), 4))

    def counts(rows):
        return [(float(le), float(sum(value <= le for value in numbers(rows)))) for le in [*bins, math.inf]]

    step = "histogram(bins: [" + ", ".join(f"{le}.0" for le in bins) + ', float(v: "+Inf")])'
    asked.check(step, asked.each(counts), columns=("le", "_value"))


def windows(rows, every, period, offset=0):
    """[(start, stop, values)] of every window that has points, cut to the range."""
    found, start = [], ((T0 - offset) // every - period // every - 1) * every + offset
    while start < STOP:
        inside = [value for at, value in rows if start <= at < start + period]
        if inside:
            found.append((max(start, T0), min(start + period, STOP), inside))
        start += every
    return found


def test_windows(asked):
    every = asked.rng.choice([60, 90, 300, 420]) * SECOND
    period = asked.rng.choice([every, 2 * every, every // 2, every + 17 * SECOND])
    offset = asked.rng.choice([0, 0, 11 * SECOND])
    expected = asked.each(lambda rows: [(start, stop, len(inside)) for start, stop, inside in windows(rows, every, period, offset)])
    step = f"window(every: {every}ns, period: {period}ns, offset: {offset}ns) |> count()"
    found = asked.rows_of(step, columns=("_start", "_stop", "_value"))
    # Tables of one series come in any order.
    assert {host: sorted(rows) for host, rows in found.items()} == expected, (asked.seed, step)
    expected = asked.each(lambda rows: [(stop, statistics.fmean(inside)) for _, stop, inside in windows(rows, every, period)])
    averages = asked.rows_of(f"timedMovingAverage(every: {every}ns, period: {period}ns)")
    averages = {host: sorted(row for row in rows if row[1] is not None) for host, rows in averages.items()}
    assert alike(averages, {host: sorted(rows) for host, rows in expected.items()}), (asked.seed, every, period)


def test_windows_of_other_functions(asked):
    """What InfluxQL's GROUP BY time has no word for, and names for the time."""
    every = asked.rng.choice([60, 300]) * SECOND
    median = asked.each(lambda rows: [(stop, statistics.median(inside)) for _, stop, inside in windows(rows, every, every)])
    median_fn = '(column, tables=<-) => tables |> quantile(q: 0.5, method: "exact_mean", column: column)'
    asked.check(f"aggregateWindow(every: {every}ns, fn: {median_fn}, createEmpty: false)", median)
    starts = asked.each(lambda rows: [(start, sum(inside)) for start, _, inside in windows(rows, every, every)])
    asked.check(f'aggregateWindow(every: {every}ns, fn: sum, createEmpty: false, timeSrc: "_start")', starts)
    asked.check(
        f'aggregateWindow(every: {every}ns, fn: sum, createEmpty: false, timeSrc: "_start", timeDst: "at")',
        starts, columns=("at", "_value"),
    )
    spreads = asked.each(lambda rows: [(stop, max(inside) - min(inside)) for _, stop, inside in windows(rows, every, every)])
    asked.check(f"aggregateWindow(every: {every}ns, fn: spread, createEmpty: false)", spreads)
    lengths = asked.each(lambda rows: [(stop, statistics.fmean(inside)) for _, stop, inside in windows(rows, every, 3 * every)])
    found = asked.rows_of(f"aggregateWindow(every: {every}ns, period: {3 * every}ns, fn: mean, createEmpty: false)")
    assert alike({host: sorted(rows) for host, rows in found.items()}, {host: sorted(rows) for host, rows in lengths.items()})


def test_reduce_and_map(asked):
    step = "reduce(identity: {sum: 0.0, n: 0, most: -1000.0}, fn: (r, accumulator) => ({sum: accumulator.sum + r._value, " \
        "n: accumulator.n + 1, most: if r._value > accumulator.most then r._value else accumulator.most}))"
    expected = asked.each(lambda rows: [(sum(numbers(rows)), len(rows), max(numbers(rows)))])
    asked.check(step, expected, columns=("sum", "n", "most"))
    step = 'map(fn: (r) => ({r with text: "${r.host}: ${r._value}", half: r._value / 2.0, whole: int(v: r._value), sign: r._value < 0.0}))'
    expected = asked.each(lambda rows: [(value / 2, int(value), value < 0) for value in numbers(rows)])
    asked.check(step, expected, columns=("half", "whole", "sign"))
    texts = {host: [(f"{host}: {row[1]:g}",) for row in rows] for host, rows in asked.rows.items()}
    asked.check(step, texts, columns=("text",))
    expected = asked.each(lambda rows: [(value % 4, value**2, -value) for value in numbers(rows)], "b")
    asked.check("map(fn: (r) => ({r with rest: r._value % 4, square: r._value * r._value, minus: -r._value}))", expected, "b",
                columns=("rest", "square", "minus"))


def test_times(asked):
    expected = asked.each(lambda rows: [(at // MINUTE * MINUTE, value) for at, value in rows])
    asked.check("truncateTimeColumn(unit: 1m)", expected)
    asked.check("timeShift(duration: -1h)", asked.each(lambda rows: [(at - 60 * MINUTE, value) for at, value in rows]))
    asked.check("hourSelection(start: 1, stop: 23)", {})
    asked.check("hourSelection(start: 0, stop: 0)", asked.each(lambda rows: rows))
    parts = asked.each(lambda rows: [(at // MINUTE % 60, at // SECOND % 60, at // 10**6) for at, _ in rows])
    step = "map(fn: (r) => ({r with m: date.minute(t: r._time), s: date.second(t: r._time), ms: int(v: r._time) / 1000000}))"
    asked.check(step, parts, columns=("m", "s", "ms"), imports='import "date"\n')


def test_joins(asked):
    """Fields side by side by time, in each of the ways there are."""
    text = f'a = {asked.source("a")}\nb = {asked.source("b")} |> filter(fn: (r) => r._value > 3)\n'
    expected = {host: [(at, a, b) for at, a, b in rows if b > 3] for host, rows in asked.rows.items()}
    expected = {host: rows for host, rows in expected.items() if rows}
    found = collected(ask(asked.url, text + 'join(tables: {a: a, b: b}, on: ["_time", "host"])'), "_value_a", "_value_b")
    assert alike(found, expected), (asked.seed, found, expected)
    how = 'on: (l, r) => l._time == r._time and l.host == r.host, as: (l, r) => ({_time: l._time, host: l.host, a: l._value, b: r._value})'
    text = 'import "join"\n' + text.replace("\nb =", ' |> group(columns: ["host"])\nb =').rstrip() + ' |> group(columns: ["host"])\n'
    found = collected(ask(asked.url, text + f"join.inner(left: a, right: b, {how})"), "a", "b")
    assert alike(found, expected), (asked.seed, found, expected)
    expected = {host: [(at, a, b if b > 3 else None) for at, a, b in rows] for host, rows in asked.rows.items()}
    found = collected(ask(asked.url, text + f"join.left(left: a, right: b, {how})"), "a", "b")
    assert alike(found, expected), (asked.seed, found, expected)
    found = collected(ask(asked.url, text + f"join.time(left: a, right: b, as: (l, r) => ({{l with a: l._value, b: r._value}}), method: \"left\")"), "a", "b")
    assert alike(found, expected), (asked.seed, found, expected)


def collected(tables, *columns):
    found = {}
    for table in tables:
        for row in table.rows:
            found.setdefault(row["host"], []).append((row["_time"], *(row[column] for column in columns)))
    return {host: sorted(rows) for host, rows in found.items()}


def test_covariance_and_correlation(asked):
    pivot = 'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> map(fn: (r) => ({r with b: float(v: r.b)}))'
    text = asked.source().replace(' |> filter(fn: (r) => r._field == "a")', "") + f" |> {pivot} |> "
    for step, compute in [
        ('covariance(columns: ["a", "b"])', statistics.covariance),
        ('covariance(columns: ["a", "b"], pearsonr: true)', statistics.correlation),
    ]:
        found = {table.key["host"]: table.rows[0]["_value"] for table in ask(asked.url, text + step)}
        expected = {host: compute([row[1] for row in rows], [float(row[2]) for row in rows]) for host, rows in asked.rows.items()}
        assert alike(found, expected), (asked.seed, step, found, expected)


def test_highest_and_lowest(asked):
    for name, pick, high in [("highestMax", max, True), ("highestAverage", statistics.fmean, True), ("lowestMin", min, False),
                             ("lowestAverage", statistics.fmean, False), ("highestCurrent", lambda some: some[-1], True)]:
        best = sorted((pick([row[1] for row in rows]) for rows in asked.rows.values()), reverse=high)[:2]
        tables = asked.tables(f'{name}(n: 2, groupColumns: ["host"])')
        assert alike([row["_value"] for table in tables for row in table.rows], best), (asked.seed, name, best)


def test_columns_of_tables(asked):
    def unique(rows):
        seen = {}
        for at, value in rows:
            seen.setdefault(value, at)
        return [(at, value) for value, at in seen.items()]

    asked.check('unique(column: "_value")', asked.each(unique, "b"), "b")
    asked.check('duplicate(column: "_value", as: "again") |> keep(columns: ["again", "host"])',
                asked.each(lambda rows: [(value,) for value in numbers(rows)]), columns=("again",))
    asked.check('drop(fn: (column) => column =~ /^_(start|stop|time)/) |> rename(fn: (column) => "x" + column) |> rename(columns: {xhost: "host"})',
                asked.each(lambda rows: [(value,) for value in numbers(rows)]), columns=("x_value",))
    asked.check('set(key: "new", value: "one")', asked.each(lambda rows: [(value, "one") for value in numbers(rows)]), columns=("_value", "new"))
    asked.check('sort(columns: ["_value", "_time"], desc: true)', asked.each(lambda rows: sorted(rows, key=lambda row: (row[1], row[0]), reverse=True), "b"), "b")
    asked.check("sample(n: 3, pos: 1)", asked.each(lambda rows: rows[1::3]))
    (table,) = asked.tables("count() |> group() |> sum()")
    assert table.column("_value") == [sum(len(rows) for rows in asked.rows.values())]


def test_gaps(asked):
    every = 60 * SECOND

    def filled(rows, fill):
        inside = {stop: sum(some) for _, stop, some in windows(rows, every, every)}
        found, before = [], None
        for stop in range(T0 + every, STOP + 1, every):
            before = inside.get(stop, fill if fill is not None else before)
            found.append((stop, before))
        return found

    asked.check("aggregateWindow(every: 1m, fn: sum) |> fill(value: -1.5)", asked.each(lambda rows: filled(rows, -1.5)))
    asked.check("aggregateWindow(every: 1m, fn: sum) |> fill(usePrevious: true)", asked.each(lambda rows: filled(rows, None)))

    def straight(rows):
        known = [(stop, sum(some)) for _, stop, some in windows(rows, every, every)]
        found = []
        for (before, low), (after, high) in zip(known, known[1:]):
            found += [(at, low + (high - low) * (at - before) / (after - before)) for at in range(before, after, every)]
        return found + known[-1:]

    step = "aggregateWindow(every: 1m, fn: sum, createEmpty: false) |> interpolate.linear(every: 1m)"
    asked.check(step, asked.each(straight), imports='import "interpolate"\n')


def test_rows_into_variables(asked):
    """findColumn, findRecord: what of tables a query can use as values."""
    text = f"""
import "array"
column = {asked.source()} |> findColumn(fn: (key) => key.host == "u", column: "_value")
record = {asked.source()} |> findRecord(fn: (key) => key.host == "u", idx: 1)
none = {asked.source()} |> findColumn(fn: (key) => key.host == "nobody", column: "_value")
array.from(rows: [{{n: length(arr: column), first: column[0], second: record._value, host: record.host, none: length(arr: none)}}])
"""
    (table,) = ask(asked.url, text)
    rows = asked.rows["u"]
    assert table.rows == [{"n": len(rows), "first": rows[0][1], "second": rows[1][1], "host": "u", "none": 0}]
