"""Random questions that Flux and InfluxQL can both ask, in the words of each: points, conditions, ranges, windows.

What a condition means where a tag is missing follows Flux: any comparison with what is not there is null, and null is
not true. InfluxQL takes a missing tag for an empty text, so that must be excluded there in so many words.
"""

import dataclasses
import random

from flux_tables import quoted, rfc3339

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
T0 = 1_577_836_800 * SECOND  # 2020-01-01T00:00:00Z
SPAN = 60 * MINUTE
KINDS = {"f": "float", "i": "integer", "s": "string", "t": "boolean"}
TAGS = {
    "a": ["x", "y", "z w", 'q"uo\\te'],
    "b": ["", "", "1", "10", "a.b"],
    "c d": ["", "ä", "O'Hara", "x,y=z"],
}
PATTERNS = ["x", "^1", "[yz]", "1$", "^(x|1)$", "a\\.b", ".", "O.H"]


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition in both languages; `r` is Flux's row."""

    flux: str
    influxql: str


def influxql_text(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def escaped(text):
    """A tag's key or value in line protocol."""
    return "".join("\\" + letter if letter in ", =" else letter for letter in text)


def lines(seed):
    """Points of some series at times of their own. Values are multiples of 1/4: sums are exact in any order."""
    rng = random.Random(f"flux points {seed}")
    found = {}
    for _ in range(9):
        tags = {key: rng.choice(values) for key, values in TAGS.items()}
        series = "".join(f",{escaped(key)}={escaped(value)}" for key, value in sorted(tags.items()) if value)
        for measurement in rng.choice([["m"], ["m"], ["m", "n"]]):
            for at in rng.sample(range(3600), rng.choice([3, 40, 90])):
                time = T0 + at * SECOND + rng.choice([0, 0, 250_000_000, 1])
                fields = {
                    "f": rng.randrange(-400, 400) / 4,
                    "i": f"{rng.randrange(-20, 20)}i",
                    "s": rng.choice(['"one"', '"two words"', '"1"', '"with , and \\" in it"']),
                    "t": rng.choice("tf"),
                }
                kept = [f"{name}={value}" for name, value in fields.items() if rng.random() < 0.7]
                if kept:
                    found[measurement + series, time] = f"{measurement}{series} {','.join(kept)} {time}"
    return list(found.values())


class Questioner:
    """Random parts of questions, the same for the same seed."""

    def __init__(self, seed):
        self.rng = random.Random(f"flux questions {seed}")

    def bounds(self):
        """Start and stop; the stop is not part of it."""
        rng = self.rng
        if rng.random() < 0.3:
            return T0, T0 + SPAN
        start = T0 + rng.randrange(-10, 3000) * SECOND
        return start, start + rng.choice([7, 60, 600, 1234, 3600, 7200]) * SECOND + rng.choice([0, 0, 1, 500_000_000])

    def condition(self, field, depth=2):
        """On tags, and now and then on the field's values."""
        rng = self.rng
        if depth and rng.random() < 0.5:
            left, right = self.condition(field, depth - 1), self.condition(field, depth - 1)
            word = rng.choice(["and", "or"])
            return Condition(f"({left.flux} {word} {right.flux})", f"({left.influxql} {word.upper()} {right.influxql})")
        return self.on_value(field) if rng.random() < 0.2 else self.on_tag()

    def on_tag(self):
        rng = self.rng
        key = rng.choice(list(TAGS))
        flux, influxql = (f"r.{key}" if key.isalnum() else f'r["{key}"]'), f'"{key}"'
        kind = rng.choice(["==", "!=", "=~", "!~", "exists", "not exists"])
        if kind == "exists":
            return Condition(f"exists {flux}", f"{influxql} != ''")
        if kind == "not exists":
            return Condition(f"not exists {flux}", f"{influxql} = ''")
        if kind in ("=~", "!~"):
            pattern = rng.choice(PATTERNS)
            return Condition(f"{flux} {kind} /{pattern}/", f"({influxql} {kind} /{pattern}/ AND {influxql} != '')")
        value = rng.choice([*TAGS[key], "nothing"]) or "1"
        sign = "=" if kind == "==" else "!="
        told = f"({influxql} {sign} {influxql_text(value)} AND {influxql} != '')"
        return Condition(f"{flux} {kind} {quoted(value)}", told)

    def on_value(self, field):
        rng = self.rng
        if field in "fi":
            number = rng.randrange(-15, 15)
            sign = rng.choice(["<", "<=", ">", ">=", "==", "!="])
            flux = f"{number}.0" if field == "f" else str(number)
            return Condition(f"r._value {sign} {flux}", f"{field} {sign.replace('==', '=')} {number}")
        if field == "s":
            sign = rng.choice(["==", "!="])
            return Condition(f'r._value {sign} "one"', f"s {sign.replace('==', '=')} 'one'")
        return Condition("r._value == true", "t = true")

    def windows(self):
        """Length and offset of windows."""
        every = self.rng.choice([SECOND * 10, SECOND * 37, MINUTE, 7 * MINUTE, 30 * MINUTE, 3 * 60 * MINUTE])
        return every, self.rng.choice([0, 0, SECOND * 3, every // 3])


def source(db, field, bounds, condition=None, measurement="m"):
    """The beginning of a question in Flux: the points of a field."""
    start, stop = (rfc3339(time) for time in bounds)
    text = f'from(bucket: "{db}") |> range(start: {start}, stop: {stop})'
    text += f' |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}")'
    return text + (f" |> filter(fn: (r) => {condition.flux})" if condition else "")


def select(what, bounds, condition=None, end="", measurement="m"):
    """The same in InfluxQL."""
    start, stop = bounds
    text = f"SELECT {what} FROM {measurement} WHERE time >= {start} AND time < {stop}"
    return text + (f" AND {condition.influxql}" if condition else "") + end
