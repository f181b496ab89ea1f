"""Random statements with transformations, to a real InfluxDB 1.6.7 and to Skywatch: the answers are equal byte for byte.

`TRANSFORM_SEEDS=1000:1200` asks others than the usual ones.
"""

import os
import random

import pytest
from conftest import Skywatch
from datasets import DAY, HOUR, SECOND, T0, regular, sparse
from pair import Difference, Pair

STATEMENTS_PER_SEED = 60
FIRST_SEED, LAST_SEED = (int(seed) for seed in os.environ.get("TRANSFORM_SEEDS", "1:10").split(":"))

#: Measurement, numbers, other fields, tags, first time, length of time, intervals.
SOURCES = [
    ("regular", "cpu", ["usage", "idle", "cores"], [], ["host", "region"], T0, HOUR, ["1m", "30s", "7m", "10m"]),
    ("sparse", "sparse", ["v", "n"], ["s"], ["k"], T0, 30 * DAY, ["6h", "1d", "1w"]),
]
#: Aggregates whose answers no order of values changes.
AGGREGATES = ["max", "min", "sum", "count", "first", "last", "median", "spread"]
SMOOTHING = ["exponential", "double_exponential", "triple_exponential"]


class Statements:
    """Statements from a seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, probability):
        return self.rng.random() < probability

    def statement(self):
        """A database and a statement."""
        source = self.rng.choice(SOURCES)
        text, columns = self.select(source, aliases=False)
        if self.chance(0.2):
            inner, columns = self.select(source, aliases=True)
            # Of points of one time `last` takes any, and floats are added up in any order.
            call = f"{self.one_of('max', 'min', 'count')}({self.rng.choice(columns)})"
            # Without windows, InfluxDB answers nothing where one of the subquery begins before the lower bound.
            by_time = f"GROUP BY time({self.rng.choice(source[7])})"
            text = f"SELECT {call} FROM ({inner}) WHERE {self.times(source)} {by_time}"
        return source[0], text

    def select(self, source, aliases):
        db, name, numbers, others, tags, *_, intervals = source
        by_time = self.chance(0.55)
        count = self.one_of(1, 1, 2, 3)
        columns = [f"c{number}" for number in range(count)]
        fields = [self.field(numbers, others, by_time) for _ in columns]
        if aliases:
            fields = [f"{field} AS {column}" for field, column in zip(fields, columns)]
        parts = [f"SELECT {', '.join(fields)} FROM {name}"]
        # Where the times of a subquery and of the query around it have nothing in common, InfluxDB answers of the windows
        # before them.
        if not aliases and (by_time or self.chance(0.5)):
            parts.append("WHERE " + self.times(source))
        groups = [tag for tag in tags if self.chance(0.35)]
        if aliases and not by_time:
            # Rows of one time in several series come in another order to a subquery's transformation.
            groups = tags[:1]
        if by_time:
            groups.append(f"time({self.rng.choice(intervals)}{self.one_of('', '', ', 17s')})")
        if groups:
            parts.append("GROUP BY " + ", ".join(groups))
        # Filled windows of a subquery's groups come group by group, which InfluxDB takes for new windows.
        if by_time and not (aliases and len(groups) > 1) and self.chance(0.6):
            parts.append(self.one_of("fill(none)", "fill(null)", "fill(previous)", "fill(linear)", "fill(0)", "fill(3)"))
        if not aliases and self.chance(0.3):
            parts.append("ORDER BY time DESC")
        if not aliases and self.chance(0.3):
            parts.append(f"LIMIT {self.rng.randrange(1, 20)}" + self.one_of("", f" OFFSET {self.rng.randrange(8)}"))
        return " ".join(parts), columns

    def field(self, numbers, others, by_time):
        if by_time and self.chance(0.2):
            return f"{self.rng.choice(AGGREGATES)}({self.rng.choice(numbers)})"
        points = self.rng.choice(numbers)
        if by_time:
            points = f"{self.rng.choice(AGGREGATES)}({points})"
            if self.chance(0.15):
                points = self.transform(points)
        elif others and self.chance(0.1):
            return f"elapsed({self.rng.choice(others)}, 1s)"
        text = self.transform(points)
        return text + self.one_of(" * 2", " - 1") if self.chance(0.15) else text

    def transform(self, points):
        period, hold = self.rng.randrange(1, 6), self.one_of("", "", ", 1", ", 4")
        warmup = self.one_of("", ", 'simple'", ", 'exponential'") if hold else ""
        return self.one_of(
            f"derivative({points}{self.one_of('', ', 1s', ', 1h')})",
            f"non_negative_derivative({points})",
            f"difference({points})",
            f"non_negative_difference({points})",
            f"elapsed({points}{self.one_of('', ', 1s', ', 1m')})",
            f"cumulative_sum({points})",
            f"moving_average({points}, {period + 1})",
            f"{self.rng.choice(SMOOTHING)}_moving_average({points}, {period}{hold}{warmup})",
            f"triple_exponential_derivative({points}, {period}{hold}{warmup})",
            f"relative_strength_index({points}, {period}{hold}{warmup})",
            f"chande_momentum_oscillator({points}, {period + 1}{hold}{warmup})",
            f"kaufmans_efficiency_ratio({points}, {period}{hold})",
            f"kaufmans_adaptive_moving_average({points}, {period}{hold})",
        )

    def times(self, source):
        start, length = source[5], source[6]
        first = start + self.rng.randrange(0, 20) * length // 20
        last = first + self.rng.randrange(1, 10) * length // 20 + self.one_of(0, 0, 7 * SECOND)
        return f"time >= {first} AND time < {last}"


@pytest.fixture(scope="module")
def pair(influxd, skywatch_bin, tmp_path_factory):
    """Both servers with the data."""
    skywatch = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch"))
    try:
        both = Pair(influxd.url, skywatch.start().url)
        both.drop_everything()
        for dataset in [regular(), sparse()]:
            both.load(dataset)
        yield both
    finally:
        skywatch.stop()


@pytest.mark.parametrize("seed", range(FIRST_SEED, LAST_SEED + 1))
def test_random_transformations(pair, seed):
    """All statements of a seed are asked before any difference is told."""
    statements = Statements(seed)
    differences = []
    for _ in range(STATEMENTS_PER_SEED):
        db, text = statements.statement()
        try:
            pair.query(text, db=db, epoch="s")
        except Difference as difference:
            differences.append(str(difference))
    assert not differences, f"{len(differences)} of {STATEMENTS_PER_SEED} differ\n" + "\n\n".join(differences[:5])
