"""Random statements over sources. Most are right; some are wrong on purpose, since errors must agree too.

`functions.FUNCTIONS` is the table of functions; `Generator.statement` makes one statement of any kind.
"""

import random
import re
from dataclasses import dataclass, replace

from datasets import DAY, SECOND, T0
from functions import FUNCTIONS
from sources import NUMBERS, Source

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
KEYWORDS = {"select", "from", "field", "value", "group", "time", "key", "keys", "tag", "on", "all", "any", "default"}
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]
#: Subqueries within subqueries.
DEPTH_MAX = 3


@dataclass
class Shape:
    """What is settled of a SELECT before its fields are chosen."""

    aggregate: bool
    by_time: bool
    #: Dimensions besides time, as written.
    groups: list
    descending: bool
    #: Whether fields or tags stand beside the function.
    has_references: bool

    @property
    def grouped(self):
        return bool(self.groups)


@dataclass
class Select:
    """A SELECT, and what it is as a source for another."""

    text: str
    answer: Source


class Generator:
    """Statements from a seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.names = 0

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, probability):
        return self.rng.random() < probability

    def quoted(self, name):
        if PLAIN_NAME.match(name) and name.lower() not in KEYWORDS and self.chance(0.6):
            return name
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def statement(self, source):
        return self.show(source) if self.chance(0.12) else self.select(source, [source]).text

    # SELECT

    def select(self, source, others, depth=0, descending=None):
        """From a source, or from a subquery over it. `others` are sources that may stand beside it in FROM."""
        inner = depth > 0
        if descending is None:
            descending = self.chance(0.2)
        if depth < DEPTH_MAX and self.chance(0.18 if depth == 0 else 0.25):
            source = self.subquery(source, others, depth + 1, descending)
        aggregate = self.chance(0.65)
        by_time = aggregate and self.chance(0.6)
        groups = self.groups(source)
        if inner and ((aggregate and descending and not by_time) or not (aggregate or source.policies_apart)):
            # Groups that are all of one window, and rows of one time, come in either order to the query around them.
            groups = []
        # Within a subquery, InfluxDB gives the windows of one group after those of another to the query around it.
        has_references = aggregate and not inner and self.chance(0.12)
        shape = Shape(aggregate, by_time, groups, descending, has_references)
        if aggregate:
            columns = self.calls(source, shape, inner)
        else:
            columns = self.raw_fields(source, shape, inner)
        parts = ["SELECT " + ", ".join(text for text, *_ in columns), "FROM " + self.origin(source)]
        # A window of a subquery may begin before the lower bound: InfluxDB then ends an aggregate over everything.
        conditions = self.conditions(source, by_time, from_start=source.is_subquery and aggregate and not by_time)
        if conditions:
            parts.append("WHERE " + " AND ".join(conditions))
        dimensions = list(groups)
        if by_time:
            dimensions.append(f"time({self.rng.choice(source.intervals)}{self.window_offset()})")
            self.rng.shuffle(dimensions)
        if dimensions:
            parts.append("GROUP BY " + ", ".join(dimensions))
        # Raw rows of a subquery are filled with numbers whatever their type.
        if (by_time and self.chance(0.6)) or (self.chance(0.05) and (aggregate or not inner)):
            # Filled windows of a subquery's groups come group by group, which InfluxDB takes for new windows.
            parts.append("fill(none)" if inner and groups else self.fill())
        if descending or self.chance(0.15):
            parts.append("ORDER BY time" + (self.one_of(" DESC", " desc") if descending else self.one_of("", " ASC")))
        # InfluxDB ranks only the first points of each series that LIMIT names.
        ranks = any(name in columns[0][0] for name in ("top(", "bottom("))
        # Within a subquery it limits calls before they are filled and joined, and rows before they are grouped.
        one_series = not aggregate and not groups and "FROM /" not in parts[1]
        if not ranks and (one_series or not inner):
            parts += self.limits(source, depth)
        if not inner and self.chance(0.08):
            parts.append(f"tz('{self.rng.choice(ZONES)}')")
        return Select(" ".join(parts), self.answer(source, shape, columns))

    def answer(self, source, shape, columns):
        """What a SELECT is to the one around it."""
        named = [column for column in columns if column[1] is not None]
        tags = {tag: values for tag, values in source.tags.items() if tag in self.tags_of(shape.groups, source)}
        return replace(
            source,
            fields={name: its for _, name, its, _ in named},
            inexact=frozenset(name for _, name, _, exact in named if not exact),
            diverse=frozenset(),
            tags=tags,
            is_subquery=True,
            slimit=0,
        )

    @staticmethod
    def tags_of(groups, source):
        """Tag keys among dimensions."""
        if "*" in groups:
            return list(source.tags)
        bare = [group.removesuffix("::tag").strip('"') for group in groups]
        return [tag for tag in source.tags if tag in bare]

    def subquery(self, source, others, depth, descending):
        """A source made of a SELECT, now and then of two."""
        select = self.select(source, others, depth, descending)
        text = f"({select.text})"
        if self.chance(0.1):
            text += f", ({select.text})"
        return replace(select.answer, text=text)

    def origin(self, source):
        if source.is_subquery:
            return source.text
        name = self.quoted(source.name)
        kind = self.rng.random()
        if kind < 0.04:
            return f"/^{re.escape(source.name)[:1]}/" if source.name[:1].isascii() else "/./"
        if kind < 0.06:
            return "nothing_here"
        if kind < 0.2 or len(source.policies) > 1 and kind < 0.6:
            policy = self.rng.choice(source.policies)
            return self.one_of(f'"{source.db}"."{policy}".{name}', f'"{policy}".{name}')
        if kind < 0.64 and len(source.policies) > 1 and source.policies_apart:
            return ", ".join(f'"{policy}".{name}' for policy in source.policies)
        return f"{source.db}..{name}" if kind < 0.68 else name

    def alias(self, inner):
        if inner:
            self.names += 1
            return f"c{self.names}"
        return self.one_of("x", "out put", "mean", "time") if self.chance(0.1) else None

    @staticmethod
    def with_alias(text, alias):
        if alias is None:
            return text
        return f"{text} AS {alias}" if PLAIN_NAME.match(alias) and alias not in KEYWORDS else f'{text} AS "{alias}"'

    # Fields: lists of (text, alias, type, whether it is exact).

    def raw_fields(self, source, shape, inner):
        if self.chance(0.12) and not inner:
            field = self.quoted(self.rng.choice(list(source.fields)))
            return [(self.one_of("*", "*::field", f"*, {field}", "/^[a-m]/", f"*::tag, {field}", "/./"), None, None, True)]
        columns = []
        for _ in range(self.rng.randrange(1, 4)):
            columns.append(self.raw_field(source, inner))
        # A tag that a subquery selects is neither quite a tag nor a field to the query around it.
        if self.chance(0.25) and source.tags and not inner:
            columns.append((self.tag_name(source), None, None, True))
        return columns

    def raw_field(self, source, inner):
        name = self.rng.choice(list(source.fields))
        its, exact = source.fields[name], name not in source.inexact
        text = self.quoted(name)
        kind = self.rng.random()
        if kind < 0.3 and its in NUMBERS:
            text, its = self.arithmetic(source, text, its, inner)
        elif kind < 0.34 and its == "boolean":
            text += f" {self.one_of('&', '|', '^')} {self.one_of('true', 'false', text)}"
        elif kind < 0.42:
            # Of a subquery InfluxDB shows the value whatever the cast.
            casts = ["float", "integer"] if its in NUMBERS and source.fits_integers else [its]
            cast = "field" if source.is_subquery or inner else self.one_of("field", *casts)
            text += f"::{cast}"
            if cast != "field" and cast != its:
                its = cast if cast in NUMBERS and its in NUMBERS else its
        elif kind < 0.5 and its in NUMBERS:
            # Not round(): version 1.6 knows no mathematical functions but in conditions.
            text, its = self.arithmetic(source, f"({text} {self.one_of('+', '-')} 1)", its, inner)
        alias = self.alias(inner)
        return self.with_alias(text, alias), alias, its, exact

    def arithmetic(self, source, text, its, inner):
        """An operation on a number, and its type."""
        exact = [name for name in source.numbers if name not in source.inexact]
        operator = self.one_of("+", "-", "*", "/", "%", "+", "-", "*") if its == "float" or self.chance(0.7) else self.one_of("&", "|", "^")
        if self.chance(0.4) and exact:
            other = self.rng.choice(exact)
            other_type, other = source.fields[other], self.quoted(other)
        elif its == "float" or self.chance(0.3) and operator not in "&|^":
            other_type, other = "float", self.one_of("0.5", "2.25", "-1.5", "0.0", "1e3")
        else:
            other_type, other = "integer", self.one_of("1", "2", "3", "0", "-4", "7")
        if operator in "&|^" and other_type != "integer":
            operator = "+"
        if inner and operator == "/" and its == other_type == "integer":
            # A float, which InfluxDB takes for an integer in the query around it.
            operator = "*"
        both = {its, other_type}
        gives = "integer" if both == {"integer"} and operator != "/" else "float"
        text = f"{text} {operator} {other}" if self.chance(0.85) else f"{other} {operator} {text}"
        if self.chance(0.25):
            text = f"{text} {self.one_of('+', '*', '-')} {self.one_of('2', '3')}"
        return text, gives

    def calls(self, source, shape, inner):
        first = self.call(source, shape, inner, alone=True)
        if first is None:
            return [self.counted(source, inner)]
        function, column = first
        columns = [column]
        if not function.alone and not shape.has_references and self.chance(0.35):
            other = self.call(source, shape, inner, alone=False)
            columns += [other[1]] if other else []
        if shape.has_references and function.selector:
            for _ in range(self.rng.randrange(1, 3)):
                if self.chance(0.6) or not source.tags:
                    columns.append(self.raw_field(source, inner))
                else:
                    columns.append((self.tag_name(source), None, None, True))
        return columns

    def counted(self, source, inner):
        alias = self.alias(inner)
        name = self.rng.choice(list(source.fields))
        return self.with_alias(f"count({self.quoted(name)})", alias), alias, "integer", True

    def call(self, source, shape, inner, alone):
        """A function and its column; None where none is determined."""
        found = [
            (function, name)
            for function in FUNCTIONS
            for name, its in source.fields.items()
            if its in function.takes
            and (alone or not function.alone)
            and function.by_time in (None, shape.by_time)
            and (not shape.has_references or function.selector)
            and (name not in source.inexact or function.name in ("count", "sum", "mean"))
            and function.suits(shape, source, name)
            # Points of their own times within windows come in an order of their own to the query around.
            and not (inner and function.name in ("sample", "top", "bottom"))
            and not (shape.has_references and not self.row_is_known(shape, source, name, function))
        ]
        if not found:
            return None
        weights = [function.weight for function, _ in found]
        function, name = self.rng.choices(found, weights)[0]
        its = function.gives or source.fields[name]
        exact = function.exact and name not in source.inexact
        text = function.call(self, source, self.argument(source, function, name, inner, shape))
        if self.chance(0.15) and its in NUMBERS and "*" not in text and "/" not in text:
            text, its = self.computed(source, text, its, exact)
        alias = self.alias(inner)
        return function, (self.with_alias(text, alias), alias, its, exact)

    @staticmethod
    def row_is_known(shape, source, name, function):
        """Whether no two rows are equally good, of which InfluxDB would show any."""
        if name in source.diverse:
            return True
        return function.name in ("min", "max") and not shape.by_time and source.one_order and not source.is_subquery

    def argument(self, source, function, name, inner, shape):
        plain = not inner and not source.is_subquery and not shape.has_references
        if function.wildcard and plain and not source.inexact and self.chance(0.05):
            return self.one_of("*", "/^[a-m]/", "*::field")
        if self.chance(0.05) and name in source.numbers and source.fits_integers and not source.is_subquery:
            cast = self.one_of("::float", "::integer", "::field")
            # Within a subquery InfluxDB does not tell of operands that do not fit.
            return self.quoted(name) + ("::field" if inner else cast)
        return self.quoted(name)

    def computed(self, source, text, its, exact):
        """An expression over a call."""
        # A remainder would blow the last digits of an inexact number up.
        operations = [" + 1", " * 2.5", " / 3.0", " - 0.5", " / 0", *([" % 7"] if exact else [])]
        if its == "integer":
            operations += [" & 3", " | 8", " ^ 5", " % 4", " * 2"]
        operation = self.rng.choice(operations)
        gives = "float" if "/" in operation or "." in operation else its
        if self.chance(0.2):
            return f"({text}{operation}) * 2", gives
        return text + operation, gives

    # WHERE

    def conditions(self, source, bounded, from_start):
        conditions = []
        if from_start:
            # Nor may the end lie before 1970, which is the time of what has no window.
            conditions += self.time_bounds(source, True)[1:] if source.start >= 0 and self.chance(0.5) else []
        elif bounded or self.chance(0.5):
            conditions += self.time_bounds(source, bounded)
        if self.chance(0.35):
            conditions.append(self.tag_condition(source))
        if self.chance(0.3):
            conditions.append(self.field_condition(source))
        if self.chance(0.12):
            one = self.tag_condition(source) or self.field_condition(source)
            other = self.field_condition(source) if self.chance(0.5) else self.tag_condition(source)
            if one and other:
                conditions.append(f"({one} {self.one_of('OR', 'or', 'AND')} {other})")
        conditions = [condition for condition in conditions if condition]
        self.rng.shuffle(conditions)
        return conditions

    def time_bounds(self, source, both):
        unit = source.length // 12
        start = source.start + self.rng.randrange(-2, 10) * unit
        end = start + self.rng.randrange(1, 14) * unit + self.one_of(0, 1, SECOND)
        lower = f"time {self.one_of('>', '>=')} {self.time(start)}"
        upper = f"time {self.one_of('<', '<=')} {self.time(end)}"
        if both or self.chance(0.5):
            return [lower, upper]
        return [self.one_of(lower, upper)] if self.chance(0.9) else [f"time = {self.time(start)}"]

    def time(self, nanoseconds):
        seconds, rest = divmod(nanoseconds, SECOND)
        if rest == 0 and self.chance(0.4):
            return f"{seconds}s" if self.chance(0.5) else f"{seconds * 1000}ms"
        if nanoseconds == T0:
            return self.one_of("'2020-01-01'", "'2020-01-01T00:00:00Z'", "'2020-01-01 00:00:00'")
        if self.chance(0.3):
            return f"'2020-01-01T00:00:00Z' {'+' if nanoseconds >= T0 else '-'} {abs(nanoseconds - T0)}ns"
        return str(nanoseconds)

    def tag_name(self, source):
        tag = self.rng.choice(list(source.tags))
        return self.quoted(tag) if self.chance(0.85) else f'"{tag}"::tag'

    def tag_condition(self, source):
        if not source.tags:
            return None
        key = self.rng.choice(list(source.tags))
        value = self.rng.choice(source.tags[key])
        shown = self.quoted(key) if self.chance(0.85) else f'"{key}"::tag'
        kind = self.rng.random()
        if kind < 0.45:
            return f"{shown} = '{value}'"
        if kind < 0.65:
            return f"{shown} {self.one_of('!=', '<>')} '{value}'"
        pattern = self.one_of(value, f"^{value}$", ".", "[0-3]$", f"(?i){value.upper()}", "^$", f"{value}|x", "^(a|b)$")
        return f"{shown} {self.one_of('=~', '!~')} /{pattern}/"

    def field_condition(self, source):
        # Of a subquery, null beside a boolean counts as false in InfluxDB.
        types = (*NUMBERS, "string") if source.is_subquery else (*NUMBERS, "string", "boolean")
        names = [name for name in source.of_types(types) if name not in source.inexact]
        if not names:
            return None
        name = self.rng.choice(names)
        its, shown = source.fields[name], self.quoted(name)
        if its == "boolean":
            return f"{shown} {self.one_of('=', '!=')} {self.one_of('true', 'false')}"
        if its == "string":
            return f"{shown} " + self.one_of("= 'one'", "!= 'a'", "=~ /[abc]/", "!~ /of [0-2]/", "= 'nope'", "=~ /^a$/", "<> 'b'")
        if self.chance(0.15):
            shown += self.one_of(" * 2", " + 1", " - 0.5", " % 3", " / 2")
        comparison = self.one_of("=", "!=", "<", "<=", ">", ">=")
        numbers = [other for other in source.numbers if other not in source.inexact]
        if self.chance(0.15) and numbers:
            return f"{shown} {comparison} {self.quoted(self.rng.choice(numbers))}"
        value = self.one_of("0", "1", "3", "50", "2.5", "-1", "100.0", "-200")
        if self.chance(0.1):
            return f"{value} {comparison} {shown}"
        return f"{shown} {comparison} {value}"

    # The rest

    def groups(self, source):
        if not self.chance(0.4):
            return []
        tags = list(source.tags)
        if not tags:
            return self.one_of(["*"], ["nothing"])
        first = self.rng.choice(tags)
        return self.one_of(
            [self.quoted(first)], [self.quoted(tag) for tag in tags], ["*"], [f"/{re.escape(first[0])}/"],
            [f'"{first}"::tag'], ["nothing"], [self.quoted(first), "nothing"],
        )

    def window_offset(self):
        return self.one_of("", "", "", "", ", 30s", ", -1m", ", 1h", ", 7ms", ", -25h", ", '2020-01-01' + 10s")

    def fill(self):
        return self.one_of("fill(null)", "fill(none)", "fill(previous)", "fill(linear)", "fill(0)", "fill(-2.5)", "fill(7)")

    def limits(self, source, depth):
        parts = []
        for limit, offset, probability in [
            ("LIMIT", "OFFSET", 0.3 / (1 + depth)),
            # Within a subquery InfluxDB does not limit series.
            ("SLIMIT", "SOFFSET", 0 if depth else source.slimit),
        ]:
            if self.chance(probability):
                parts.append(f"{limit} {self.rng.randrange(1, 8)}")
                if self.chance(0.5):
                    parts.append(f"{offset} {self.rng.randrange(0, 8)}")
        return parts

    # SHOW

    def show(self, source):
        where, key = "", "nothing"
        if source.tags:
            key = self.rng.choice(list(source.tags))
            where = self.one_of("", "", f" WHERE {self.tag_condition(source)}", f" WHERE {self.tag_condition(source)} "
                                f"{self.one_of('AND', 'OR')} {self.tag_condition(source)}")
        limit = self.one_of("", "", " LIMIT 2", " LIMIT 2 OFFSET 1")
        first = re.escape(source.name[0])
        origin = self.one_of("", f" FROM {self.quoted(source.name)}", f" FROM /{first}/", " FROM nothing_here")
        on = self.one_of("", "", f' ON "{source.db}"')
        tags = ", ".join(self.quoted(tag) for tag in source.tags) or "nothing"
        return self.one_of(
            f"SHOW MEASUREMENTS{on}{where}{limit}",
            f"SHOW MEASUREMENTS{on} WITH MEASUREMENT =~ /{first}/{where}{limit}",
            f"SHOW MEASUREMENTS{on} WITH MEASUREMENT = {self.quoted(source.name)}{where}{limit}",
            f"SHOW TAG KEYS{on}{origin}{where}{limit}",
            f"SHOW TAG VALUES{on}{origin} WITH KEY = {self.quoted(key)}{where}{limit}",
            f"SHOW TAG VALUES{on}{origin} WITH KEY != {self.quoted(key)}{where}{limit}",
            f"SHOW TAG VALUES{on}{origin} WITH KEY IN ({tags}){where}{limit}",
            f"SHOW TAG VALUES{on}{origin} WITH KEY =~ /{re.escape(key[0])}/{where}{limit}",
            f"SHOW TAG VALUES{on}{origin} WITH KEY !~ /{re.escape(key[0])}/{where}{limit}",
            f"SHOW FIELD KEYS{on}{origin}{limit}",
            f"SHOW SERIES{on}{origin}{where}{limit}",
            "SHOW RETENTION POLICIES" + (on or f' ON "{source.db}"'),
            # Of several shards, InfluxDB counts a series in each.
            f"SHOW SERIES EXACT CARDINALITY{on}{origin}" if source.slimit else f"SHOW SERIES{on}{origin}",
            f"SHOW MEASUREMENT EXACT CARDINALITY{on}{origin}",
            f"SHOW TAG KEY EXACT CARDINALITY{on}{origin}",
            f"SHOW FIELD KEY EXACT CARDINALITY{on}{origin}",
            f"SHOW TAG VALUES EXACT CARDINALITY{on}{origin} WITH KEY = {self.quoted(key)}",
        )
