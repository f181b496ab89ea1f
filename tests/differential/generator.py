"""Random queries over the data sets. Most are right; some are wrong on purpose, since errors must agree too."""

import random

from datasets import DAY, HOUR, SECOND, T0

# Fields whose values hardly ever repeat.
DIVERSE = ["usage", "idle", "free", "(v)"]
AGGREGATES = ["count", "sum", "mean", "min", "max", "first", "last", "median", "stddev", "spread"]


class Source:
    """What the generator knows of a measurement."""

    #: How often series are limited. InfluxDB limits them in every shard by itself: only data within one shard will do.
    slimit = 0.15

    def __init__(self, db, name, numbers, others, tags, start, length, intervals):
        self.db, self.name, self.numbers, self.others, self.tags = db, name, numbers, others, tags
        self.start, self.length, self.intervals = start, length, intervals

    @property
    def fields(self):
        return self.numbers + self.others


SOURCES = [
    Source(
        "regular", "cpu", ["usage", "idle", "cores"], [],
        {"host": ["h0", "h1", "h5", "nope"], "region": ["eu", "us"], "rack": ["r1", ""]},
        T0, HOUR, ["1m", "10m", "7m", "1h", "30s"],
    ),
    Source(
        "regular", "mem", ["free"], ["ok"], {"host": ["h0", "h3"], "region": ["eu", "us"]}, T0, HOUR,
        ["1m", "10m", "1h"],
    ),
    Source(
        "regular", "log", ["level"], ["text"], {"host": ["h0", "h3"], "region": ["eu", "us"]}, T0, HOUR,
        ["5m", "10m", "1h"],
    ),
    Source(
        "types", "m", ["f", "i"], ["s", "t"], {"a": ["1", "2", ""], "b": ["x", "y", ""]}, T0, 15 * 60 * SECOND,
        ["1m", "4m", "1h"],
    ),
    Source("sparse", "sparse", ["v", "n", "late"], ["s"], {"k": ["x", "y", "z"]}, T0, 30 * DAY, ["6h", "1d", "1w"]),
]


SOURCES[-1].slimit = 0


class Generator:
    """Queries from a seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, probability):
        return self.rng.random() < probability

    def query(self):
        """A database and the text of one statement, now and then of three."""
        source = self.rng.choice(SOURCES)
        before = [self.show(source) for _ in range(2)] if self.chance(0.05) else []
        return source.db, "; ".join([*before, self.statement(source)])

    def statement(self, source):
        return self.show(source) if self.chance(0.08) else self.select(source)

    # SELECT

    def select(self, source):
        aggregate = self.chance(0.65)
        by_time = aggregate and self.chance(0.6)
        fields = self.aggregates(source, by_time) if aggregate else self.raw_fields(source)
        parts = ["SELECT " + ", ".join(fields), "FROM " + self.measurement(source)]
        conditions = self.conditions(source, bounded=by_time)
        if conditions:
            parts.append("WHERE " + " AND ".join(conditions))
        groups = self.groups(source, by_time)
        if groups:
            parts.append("GROUP BY " + ", ".join(groups))
        if by_time and self.chance(0.6):
            fills = ["fill(null)", "fill(none)", "fill(previous)", "fill(linear)", "fill(0)", "fill(-2.5)"]
            parts.append(self.rng.choice(fills))
        if self.chance(0.3):
            parts.append("ORDER BY time" + self.one_of("", " ASC", " DESC", " desc"))
        for limit, offset, probability in [("LIMIT", "OFFSET", 0.35), ("SLIMIT", "SOFFSET", source.slimit)]:
            if self.chance(probability):
                parts.append(f"{limit} {self.rng.randrange(1, 8)}")
                if self.chance(0.5):
                    parts.append(f"{offset} {self.rng.randrange(0, 8)}")
        return " ".join(parts)

    def measurement(self, source):
        if self.chance(0.04):
            return f"/^{source.name[:2]}/"
        if self.chance(0.03):
            return "nothing_here"
        if self.chance(0.1):
            return f'"{source.db}"."autogen"."{source.name}"'
        return source.name if self.chance(0.5) else f'"{source.name}"'

    def raw_fields(self, source):
        if self.chance(0.12):
            return [self.one_of("*", "*::field", "*, " + source.fields[0], "/^[a-m]/", "*::tag, " + source.fields[0])]
        fields = [self.raw_field(source) for _ in range(self.rng.randrange(1, 4))]
        if self.chance(0.25):
            fields.append(self.one_of(*source.tags))
        return fields

    def raw_field(self, source):
        name = self.rng.choice(source.fields)
        if self.chance(0.2) and name in source.numbers:
            other = self.rng.choice(source.numbers)
            operation = self.one_of("+ 1", "* 2", "/ 4", "- 0.5", "% 3", f"+ {other}", f"* {other}", f"- {other}")
            name = f"{name} {operation}"
        elif self.chance(0.05):
            name += self.one_of("::float", "::field", "::string", "::tag")
        if self.chance(0.12):
            name += ' AS "' + self.one_of("x", "out put", "time") + '"'
        return name

    def aggregates(self, source, by_time):
        fields = [self.aggregate(source, by_time, source.numbers if self.chance(0.85) else source.fields)]
        if self.chance(0.3):
            fields.append(self.aggregate(source, by_time, source.numbers))
        if self.chance(0.06) and self.selects_one_row(fields[0], by_time):
            fields.append(self.rng.choice(source.fields))
        return fields

    @staticmethod
    def selects_one_row(field, by_time):
        """Whether no two rows are likely to be equally good, of which InfluxDB would show any."""
        return "percentile" not in field and not (by_time and not any(name in field for name in DIVERSE))

    def aggregate(self, source, by_time, names):
        name = self.rng.choice(names)
        kind = self.rng.random()
        if kind < 0.05:
            call = f"{self.rng.choice(AGGREGATES)}({self.one_of('*', '/^[a-m]/')})"
        elif kind < 0.13 and by_time:
            # Else the time of the point is shown, and of points of equal value InfluxDB takes any.
            call = f"percentile({name}, {self.one_of('50', '90', '99.5', '75', '100')})"
        elif kind < 0.2:
            call = self.one_of(f"distinct({name})", f"count(distinct({name}))", f"count(distinct {name})")
        else:
            call = f"{self.rng.choice(AGGREGATES)}({name})"
        if self.chance(0.12):
            operations = [" + 1", " * 2.5", " / 3", f" - min({name})", f" / max({name})"]
            # A remainder would blow the last digits of a deviation up.
            call += self.rng.choice(operations if "stddev" in call else [*operations, " % 7"])
        if self.chance(0.12):
            call += ' AS "' + self.one_of("x", "out put", "mean") + '"'
        return call

    # WHERE, GROUP BY

    def conditions(self, source, bounded):
        conditions = []
        if bounded or self.chance(0.5):
            conditions += self.time_bounds(source, bounded)
        if self.chance(0.4):
            conditions.append(self.tag_condition(source))
        if self.chance(0.3):
            conditions.append(self.field_condition(source))
        if self.chance(0.1):
            either = self.one_of(self.tag_condition(source), self.field_condition(source))
            conditions.append(f"({self.tag_condition(source)} {self.one_of('OR', 'or', 'AND')} {either})")
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

    def tag_condition(self, source):
        key = self.rng.choice(list(source.tags))
        value = self.rng.choice(source.tags[key])
        shown = key if self.chance(0.8) else f'"{key}"' + self.one_of("", "::tag")
        kind = self.rng.random()
        if kind < 0.45:
            return f"{shown} = '{value}'"
        if kind < 0.65:
            return f"{shown} {self.one_of('!=', '<>')} '{value}'"
        pattern = self.one_of(value, f"^{value}$", ".", "[0-3]$", "(?i)" + value.upper(), "^$", f"{value}|x")
        return f"{shown} {self.one_of('=~', '!~')} /{pattern}/"

    def field_condition(self, source):
        if self.chance(0.75) or not source.others:
            name = self.rng.choice(source.numbers)
            value = self.one_of("0", "1", "3", "50", "2.5", "-1", "100.0")
            return f"{name} {self.one_of('=', '!=', '<', '<=', '>', '>=')} {value}"
        name = self.rng.choice(source.others)
        return f"{name} " + self.one_of(
            "= 'one'", "!= 'a'", "=~ /e/", "!~ /of [0-2]/", "= true", "!= false", "= 'nope'", "=~ /^a$/"
        )

    def groups(self, source, by_time):
        groups = []
        if by_time:
            offset = self.one_of("", "", "", ", 30s", ", -1m", ", 1h")
            groups.append(f"time({self.rng.choice(source.intervals)}{offset})")
        if self.chance(0.4):
            tags = list(source.tags)
            groups += self.one_of([tags[0]], tags, ["*"], [f"/{tags[-1][0]}/"], [f'"{tags[0]}"::tag'], ["nothing"])
        self.rng.shuffle(groups)
        return groups

    # SHOW

    def show(self, source):
        tag = self.rng.choice(list(source.tags))
        where = self.one_of("", f" WHERE {self.tag_condition(source)}")
        limit = self.one_of("", "", " LIMIT 2", " LIMIT 2 OFFSET 1")
        origin = self.one_of("", f" FROM {source.name}", f" FROM /{source.name[0]}/", " FROM nothing_here")
        return self.one_of(
            f"SHOW MEASUREMENTS{where}{limit}",
            f"SHOW MEASUREMENTS WITH MEASUREMENT =~ /{source.name[0]}/{where}{limit}",
            f"SHOW TAG KEYS{origin}{where}{limit}",
            f"SHOW TAG VALUES{origin} WITH KEY = {tag}{where}{limit}",
            f"SHOW TAG VALUES{origin} WITH KEY IN ({', '.join(source.tags)}){where}{limit}",
            f"SHOW TAG VALUES{origin} WITH KEY =~ /{tag[0]}/{where}{limit}",
            f"SHOW FIELD KEYS{origin}{limit}",
            f"SHOW SERIES{origin}{where}{limit}",
        )
