"""What the generator knows of a measurement, or of the answer of a subquery: names, types, times, what is determined."""

from dataclasses import dataclass, field

from datasets import DAY, HOUR, SECOND, T0

NUMBERS = ("float", "integer")


@dataclass
class Source:
    """Something to select from."""

    db: str
    #: How FROM names it.
    text: str
    #: Field to type.
    fields: dict
    #: Tag key to values worth asking for.
    tags: dict
    start: int
    length: int
    #: For GROUP BY time.
    intervals: list
    #: Fields of which hardly two points have the same value.
    diverse: frozenset = frozenset()
    #: Whether no two points have the same time, or all lie in one shard: one order of points.
    one_order: bool = True
    #: How often series are limited. InfluxDB limits them in every shard by itself: only data within one shard will do.
    slimit: float = 0.15
    #: Fields that may differ from server to server in their last digits: they are not compared with anything.
    inexact: frozenset = frozenset()
    is_subquery: bool = False
    #: Whether every float is within the integers.
    fits_integers: bool = True
    #: Bare name of the measurement; of a subquery, that of the innermost one.
    name: str = ""
    #: Retention policies that have points of it.
    policies: list = field(default_factory=lambda: ["autogen"])
    #: Whether points of different policies never have the same time.
    policies_apart: bool = False

    def of_types(self, types):
        return [name for name, its in self.fields.items() if its in types]

    @property
    def numbers(self):
        return self.of_types(NUMBERS)


def fixed(db, name, fields, tags, length, intervals, diverse=(), **more):
    return Source(
        db, name, fields, tags, T0, length, intervals, diverse=frozenset(diverse), name=name, **more
    )


#: The measurements of the data sets that are the same in every run.
FIXED = [
    fixed(
        "regular", "cpu", {"usage": "float", "idle": "float", "cores": "integer"},
        {"host": ["h0", "h1", "h5", "nope"], "region": ["eu", "us"], "rack": ["r1", ""]},
        HOUR, ["1m", "10m", "7m", "1h", "30s"],
    ),
    fixed(
        "regular", "mem", {"free": "integer", "ok": "boolean"}, {"host": ["h0", "h3"], "region": ["eu", "us"]}, HOUR,
        ["1m", "10m", "1h"], diverse=["free"],
    ),
    fixed(
        "regular", "log", {"level": "integer", "text": "string"}, {"host": ["h0", "h3"], "region": ["eu", "us"]}, HOUR,
        ["5m", "10m", "1h"], diverse=["text"],
    ),
    fixed(
        "types", "m", {"f": "float", "i": "integer", "s": "string", "t": "boolean"},
        {"a": ["1", "2", ""], "b": ["x", "y", ""]}, 15 * 60 * SECOND, ["1m", "4m", "1h"], fits_integers=False,
    ),
    fixed(
        "sparse", "sparse", {"v": "float", "n": "integer", "late": "integer", "s": "string"}, {"k": ["x", "y", "z"]},
        30 * DAY, ["6h", "1d", "1w"], slimit=0, one_order=False,
    ),
]
