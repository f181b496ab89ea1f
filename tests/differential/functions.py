"""The functions that the generator knows: one entry makes a function part of the random statements.

What InfluxDB answers arbitrarily is never asked: `suits` says where the answer is determined.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sources import NUMBERS


def anywhere(shape, source, field):
    return True


def values_differ(shape, source, field):
    """No two points are equally good."""
    return field in source.diverse


@dataclass(frozen=True)
class Function:
    """A production."""

    name: str
    #: Types of its argument.
    takes: tuple = NUMBERS
    #: What follows the field: a function of the generator and the source, or a text.
    more: Callable | str = ""
    #: Whether other fields and tags may stand beside it.
    selector: bool = False
    #: Whether it stands alone.
    alone: bool = False
    #: Type of its answer; that of its argument if None.
    gives: str | None = None
    #: Whether the answer is the same to the last digit, in whatever order values are added up.
    exact: bool = True
    #: Whether the answer to this field is determined in a statement of this shape.
    suits: Callable = anywhere
    #: Whether it needs or excludes GROUP BY time; None is either.
    by_time: bool | None = None
    #: Whether a wildcard or a regex may be its argument.
    wildcard: bool = True
    #: How often it is chosen.
    weight: float = 1

    def call(self, generator, source, argument):
        more = self.more(generator, source) if callable(self.more) else self.more
        return f"{self.name}({argument}{more})"


ALL = ("float", "integer", "string", "boolean")
ORDERED = ("float", "integer", "boolean")


def percentage(generator, source):
    # Beneath 50 a window may have no rank, where InfluxDB ends the series.
    return ", " + generator.one_of("50", "90", "99.5", "75", "100")


def tags_and_size(generator, source):
    tags = [generator.quoted(tag) for tag in source.tags if generator.chance(0.4)]
    generator.rng.shuffle(tags)
    return "".join(f", {tag}" for tag in tags) + f", {generator.rng.randrange(1, 6)}"


def unit(generator, source):
    return generator.one_of("", "", ", 1s", ", 1m", ", 250ms", ", 1h")


def point_is_known(shape, source, field):
    # Without windows the time of the point is shown, and of points of equal value InfluxDB takes any.
    return shape.by_time or field in source.diverse


def most_frequent_is_known(shape, source, field):
    # Of equally frequent values InfluxDB's unstable sort decides.
    return field in source.diverse and not shape.descending


def line_is_one(shape, source, field):
    # By tags, InfluxDB answers the last windows of all groups in any order; descending, with the opposite sign.
    # Of integers it takes the wrong height beyond the edge of a window.
    known = source.fields[field] == "float" or not shape.by_time
    return known and not shape.grouped and not shape.descending and source.one_order and not source.is_subquery


def everything_is_drawn(shape, source, field):
    # Equal points of equal times are shown in any order.
    return field in source.diverse or not shape.has_references


def end_is_after_1970(shape, source, field):
    # Without windows its time is 1970, and InfluxDB drops it where that lies beyond the end.
    return shape.by_time or source.start >= 0


FUNCTIONS = [
    Function("count", takes=ALL, gives="integer", weight=2),
    Function("sum"),
    Function("mean", gives="float", exact=False, weight=2),
    Function("min", takes=ORDERED, selector=True),
    Function("max", takes=ORDERED, selector=True),
    Function("first", takes=ALL, selector=True),
    Function("last", takes=ALL, selector=True),
    Function("median", gives="float"),
    Function("stddev", gives="float", exact=False),
    Function("spread"),
    Function("mode", takes=ALL, suits=most_frequent_is_known, wildcard=False, weight=0.6),
    Function("percentile", more=percentage, selector=True, suits=point_is_known, wildcard=False),
    Function("distinct", takes=ALL, alone=True, wildcard=False, weight=0.7),
    Function("count(distinct", takes=ALL, more=")", gives="integer", alone=True, wildcard=False, weight=0.4,
             suits=end_is_after_1970),
    Function("top", more=tags_and_size, selector=True, alone=True, suits=values_differ, wildcard=False),
    Function("bottom", more=tags_and_size, selector=True, alone=True, suits=values_differ, wildcard=False),
    Function("sample", takes=ALL, more=", 5000", selector=True, suits=everything_is_drawn, weight=0.6),
    Function("integral", more=unit, gives="float", exact=False, suits=line_is_one, weight=0.6),
]
