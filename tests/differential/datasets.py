"""What is written to both servers, as line protocol. Everything is the same in every run.

Values are multiples of 1/4, so that sums are exact in whatever order they are added up; `odd_floats` has others.
"""

import random
import time
from dataclasses import dataclass, field

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 1_577_836_800 * SECOND  # 2020-01-01T00:00:00Z


@dataclass
class Dataset:
    """A database, and the requests that fill it, in order."""

    name: str
    requests: list
    setup: list = field(default_factory=list)


def regular():
    """Hosts in regions every ten seconds for an hour, with gaps; three measurements that share tags."""
    rng = random.Random(1)
    lines = []
    for step in range(360):
        at = T0 + step * 10 * SECOND
        for host in range(6):
            if rng.random() < 0.05 or (host == 5 and step > 200):
                continue
            tags = f"host=h{host},region={'eu' if host % 2 else 'us'}" + (",rack=r1" if host == 3 else "")
            usage = rng.randrange(0, 400) / 4
            lines.append(f"cpu,{tags} usage={usage},idle={100 - usage},cores={rng.randrange(1, 9)}i {at}")
            if step % 6 == 0:
                lines.append(f"mem,{tags} free={rng.randrange(1 << 40)}i,ok={'t' if host % 3 else 'f'} {at}")
            if step % 30 == host:
                lines.append(f'log,{tags} text="line {step} of {host}",level={rng.randrange(5)}i {at}')
    return Dataset("regular", ["\n".join(lines)])


def types():
    """Every type, missing fields, missing tags, ties in time and value, few enough rows to read."""
    minute = 60 * SECOND
    rows = [
        ("a=1,b=x", 'f=1.5,i=1i,s="one",t=true', 0),
        ("a=1,b=y", 'f=-2.25,i=-2i,s="two",t=false', 0),
        ("a=2", 'f=3,i=3i,s="three",t=t', 1),
        ("a=2,b=x", "f=4", 1),
        ("b=x", "i=5i", 2),
        ("", 's="no tags"', 2),
        ("a=1,b=x", "f=1.5,t=F", 3),
        ("a=1,b=x", "i=7i", 4),
        ("a=1,b=y", "f=0", 5),
        ("a=1,b=y", "f=-0.0", 6),
        ("a=2", "f=1e30,i=9223372036854775807i", 7),
        ("a=2", "f=-1e-30,i=-9223372036854775808i", 8),
        ("a=1,b=x", 's=""', 9),
        ("a=1,b=x", 's="quote \\" backslash \\\\ comma , equals = é 日本"', 10),
        ("a=1,b=y", "f=123456789012345680", 11),
        ("a=1,b=y", "f=0.000001", 12),
        ("a=1,b=y", "f=1e21", 13),
        ("a=1,b=y", "f=1e20,i=0i", 14),
        ("a=2,b=z", "f=2.5,i=2i,t=true", 14),
        ("a=3,b=z", "f=2.5,i=2i,t=false", 14),
    ]
    lines = []
    for tags, fields, at in rows:
        key = f"m,{tags}" if tags else "m"
        lines.append(f"{key} {fields} {T0 + at * minute}")
    return Dataset("types", ["\n".join(lines)])


def sparse():
    """Irregular times over decades, before 1970 too; out of order; overwritten; one request a point or many."""
    rng = random.Random(2)
    times = [rng.randrange(-20 * 365 * DAY, 60 * 365 * DAY) // HOUR * HOUR for _ in range(60)]
    times += [T0 + rng.randrange(0, 30 * DAY) // SECOND * SECOND for _ in range(200)]
    times += [0, -1, 1, -SECOND, SECOND]
    rng.shuffle(times)
    requests, lines = [], []
    for number, at in enumerate(times):
        fields = [f"v={rng.randrange(-400, 400) / 4}"]
        if rng.random() < 0.6:
            fields.append(f"n={rng.randrange(-50, 50)}i")
        if rng.random() < 0.3:
            fields.append(f's="{rng.choice("abc")}"')
        if rng.random() < 0.1:
            fields.pop(0) if len(fields) > 1 else None
        lines.append(f"sparse,k={rng.choice('xyz')} {','.join(fields)} {at}")
        if len(lines) >= 40 or number % 50 == 0:
            requests.append("\n".join(lines))
            lines = []
    requests.append("\n".join(lines))
    # The same points again: some fields get another value, some rows a field they lacked.
    again = []
    for line in "\n".join(requests).split("\n")[::7]:
        key, _, at = line.split(" ")
        again.append(f"{key} v={rng.randrange(100)},late={rng.randrange(9)}i {at}")
    requests.append("\n".join(again))
    return Dataset("sparse", requests)


def odd_names():
    """Names that need escapes in line protocol, quotes in InfluxQL, or both."""
    lines = [
        f"with\\ space,tag\\ key=tag\\ value field\\ key=1 {T0}",
        f"com\\,ma,k\\,k=v\\,v f\\,f=2 {T0}",
        f"eq\\=ual,k\\=k=v\\=v f\\=f=3 {T0}",
        f'quo"te,k"k=v"v f"f=4 {T0}',
        f"single'quote,k'k=v'v f'f=5 {T0}",
        f"back\\slash,k\\k=v\\v f\\f=6 {T0}",
        f"select,from=where group=7,time2=8 {T0}",
        f"日本,都市=東京 温度=21.5 {T0}",
        f"dotted.name,a.b=c.d e.f=9 {T0}",
        f"UPPER,Host=A Value=10 {T0}",
        f"upper,host=a value=11 {T0}",
        f"1st,2nd=3rd 4th=12 {T0}",
        f"a/b,c/d=e/f g/h=13 {T0}",
        f"_under,_t=_v _f=14 {T0}",
    ]
    return Dataset("odd_names", ["\n".join(lines)])


def odd_floats():
    """One series a host of values that no sum adds up exactly: only asked for series by series."""
    rng = random.Random(3)
    lines = [
        f"noise,host=h{host} v={rng.gauss(0, 10 ** rng.randrange(-3, 6))!r} {T0 + step * SECOND}"
        for host in range(3)
        for step in range(200)
    ]
    return Dataset("odd_floats", ["\n".join(lines)])


def recent():
    """Around now: for `now()` and for queries without an upper bound."""
    now = int(time.time()) // 60 * 60 * SECOND
    lines = [
        f"recent,host=h{host} v={step} {now - step * 7 * 60 * SECOND - 30 * SECOND}"
        for host in range(2)
        for step in range(-3, 30)
    ]
    return Dataset("recent", ["\n".join(lines)])


def apart():
    """The same measurement under three retention policies."""
    return Dataset(
        "apart",
        [],
        setup=[
            'CREATE RETENTION POLICY "week" ON "apart" DURATION 520w REPLICATION 1 SHARD DURATION 1d',
            'CREATE RETENTION POLICY "two words" ON "apart" DURATION INF REPLICATION 1',
        ],
    )


DATASETS = [regular(), types(), sparse(), odd_names(), odd_floats(), recent(), apart()]
