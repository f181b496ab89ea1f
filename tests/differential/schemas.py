"""Random schemas and random data: measurements, tags, fields of all types; gaps, duplicates, any order, any time.

A seed makes the whole: a `Dataset` to write, and the `Source`s that the generator asks. Floats are multiples of 1/4, so
that sums are exact in whatever order they are added up.
"""

import random

from datasets import DAY, HOUR, SECOND, T0, Dataset
from sources import Source

WEEK = 7 * DAY
#: A Monday: shards of a week begin there.
MONDAY = T0 - 2 * DAY

MEASUREMENTS = ["m", "cpu", "disk_io", "with space", "dotted.name", "日本", "Upper", "select"]
FIELDS = ["value", "v", "usage", "n", "text", "ok", "x y", "Temp", "field"]
TAGS = ["host", "dc", "k v", "région", "Z"]
TAG_VALUES = ["a", "b", "c", "x y", "é", "1", "a,b", "A"]
TYPES = ["float", "float", "integer", "integer", "string", "boolean"]
ROWS = 140


def random_dataset(seed):
    """A data set named after the seed, and its sources."""
    rng = random.Random(f"schema {seed}")
    dataset = Dataset(f"random{seed}", [])
    policies = ["autogen"]
    if rng.random() < 0.4:
        policies.append("two words")
        dataset.setup.append(f'CREATE RETENTION POLICY "two words" ON "{dataset.name}" DURATION INF REPLICATION 1')
    sources = []
    several_shards = rng.random() < 0.3
    length = rng.choice([20 * DAY, 400 * DAY] if several_shards else [60 * SECOND, HOUR, HOUR, DAY, 4 * DAY])
    start = MONDAY + rng.choice([0, 0, 0, 30, -2700, -2608, 700]) * WEEK + rng.randrange(24) * HOUR
    for name in rng.sample(MEASUREMENTS, rng.randrange(1, 4)):
        measurement = Measurement(rng, dataset.name, name, start, length)
        for policy in policies if rng.random() < 0.5 else policies[:1]:
            dataset.requests += [(body, policy) for body in measurement.requests()]
            measurement.source.policies = measurement.source.policies + [policy]
        measurement.source.policies = sorted(set(measurement.source.policies))
        if measurement.source.policies != ["autogen"]:
            measurement.source.slimit = 0
        sources.append(measurement.source)
    return dataset, sources


class Measurement:
    """A measurement and its points."""

    def __init__(self, rng, db, name, start, length):
        self.rng, self.name = rng, name
        self.fields = {field: rng.choice(TYPES) for field in rng.sample(FIELDS, rng.randrange(1, 6))}
        if not any(its in ("float", "integer") for its in self.fields.values()):
            self.fields["v"] = "float"
        self.diverse = frozenset(field for field, its in self.fields.items() if its != "boolean" and rng.random() < 0.6)
        self.values = {field: self.supply(field) for field in self.fields}
        self.tags = {key: rng.sample(TAG_VALUES, rng.randrange(1, 5)) for key in rng.sample(TAGS, rng.randrange(4))}
        self.series = self.random_series()
        self.start, self.length = start, length
        several_shards = length > WEEK
        on_grid = rng.random() < 0.5
        self.times_of = self.grid if on_grid else self.scattered
        self.free_times = self.rng.sample(range(self.length // 10**6), 2 * ROWS)
        intervals = {
            60 * SECOND: ["1s", "7s", "10s", "500ms"], HOUR: ["1m", "7m", "10m", "1h"], DAY: ["1h", "25m", "6h", "1d"],
            4 * DAY: ["1h", "6h", "1d"], 20 * DAY: ["6h", "1d", "1w"], 400 * DAY: ["1w", "30d", "11d"],
        }[self.length]
        self.source = Source(
            db, name, self.fields, {key: [*values, "", "nope"] for key, values in self.tags.items()},
            self.start, self.length, intervals, diverse=self.diverse, one_order=not (several_shards and on_grid),
            slimit=0 if several_shards else 0.15, name=name, policies_apart=not on_grid,
        )

    def random_series(self):
        """Tag sets; some lack a tag."""
        series = []
        for _ in range(self.rng.randrange(1, 8)):
            tags = {key: self.rng.choice(values) for key, values in self.tags.items() if self.rng.random() < 0.85}
            if tags not in series:
                series.append(tags)
        return series

    def grid(self):
        """Every series at the same times, with gaps."""
        steps = max(2, ROWS // len(self.series))
        step = self.length // steps // SECOND * SECOND or SECOND // 4
        times = [self.start + number * step for number in range(steps)]
        return [(tags, at) for at in times for tags in self.series if self.rng.random() < 0.85]

    def scattered(self):
        """No two points at one time."""
        times = [self.free_times.pop() for _ in range(ROWS)]
        return [(self.rng.choice(self.series), self.start + at * 10**6 + self.rng.choice([0, 0, 1])) for at in times]

    def supply(self, field):
        """Values of a field without end: of a diverse one, none twice."""
        its = self.fields[field]
        if its == "boolean":
            while True:
                yield self.rng.choice(["t", "f"])
        unused = iter(self.rng.sample(range(-20000, 20000), 1000))
        wide = self.rng.random() < 0.15
        while True:
            number = next(unused) if field in self.diverse else self.rng.randrange(-3, 4)
            if its == "float":
                yield str(number / 4)
            elif its == "integer":
                yield f"{number * (2**48 if wide else 1)}i"
            else:
                yield f'"{"abcdefg"[number % 7]}{number if field in self.diverse else ""}"'

    def line(self, tags, at, probability):
        fields = [field for field in self.fields if self.rng.random() < probability] or list(self.fields)[:1]
        key = ",".join([escaped(self.name), *(f"{escaped(key)}={escaped(value)}" for key, value in tags.items())])
        return f"{key} {','.join(f'{escaped(field)}={next(self.values[field])}' for field in fields)} {at}"

    def requests(self):
        """Bodies: the points in order or in none, then some of them again with other values."""
        times = self.times_of()
        lines = [self.line(tags, at, 0.8) for tags, at in times]
        if self.rng.random() < 0.5:
            self.rng.shuffle(lines)
        again = [self.line(tags, at, 0.5) for tags, at in self.rng.sample(times, len(times) // 8)]
        cut = self.rng.randrange(1, len(lines))
        return ["\n".join(part) for part in (lines[:cut], lines[cut:], again) if part]


def escaped(name):
    """For line protocol."""
    return name.replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")
