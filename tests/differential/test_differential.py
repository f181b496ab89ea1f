"""The same writes and queries to a real InfluxDB 1.6.7 and to Skywatch: the answers are equal byte for byte.

pair.py tells what little is made equal before it is compared.
`DIFFERENTIAL_SEEDS=1000:1200` runs other random queries than the usual ones.
"""

import json
import os

import pytest
import random_statements
from conftest import Skywatch
from datasets import DATASETS, T0
from pair import Pair
from queries import cases
from schemas import random_dataset

STATEMENTS_PER_SEED = 60
FIRST_SEED, LAST_SEED = (int(seed) for seed in os.environ.get("DIFFERENTIAL_SEEDS", "1:30").split(":"))
SEEDS = range(FIRST_SEED, LAST_SEED + 1)
EPOCHS = [None, "ns", "ms", "s", "m", "h", "u"]


@pytest.fixture(scope="module", params=["in memory", "after a crash", "on disk"])
def pair(request, influxd, skywatch_bin, tmp_path_factory):
    """Both servers, every data set written to both, each to a database of its own: those that never change, and a random
    one for each seed.

    Skywatch's data are where they were written to, or read again from its log, or in its segments.
    """
    skywatch = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch"))
    try:
        both = Pair(influxd.url, skywatch.start().url)
        both.drop_everything()
        for dataset in [*DATASETS, *(random_dataset(seed)[0] for seed in SEEDS)]:
            both.load(dataset)
        if request.param == "after a crash":
            skywatch.kill()
            skywatch.start()
        elif request.param == "on disk":
            assert skywatch.stop() == 0, skywatch.output()
            skywatch.start()
        yield both
    finally:
        skywatch.stop()


@pytest.mark.parametrize("case", cases(), ids=str)
def test_written_by_hand(pair, case):
    """Every line of queries/*.iql."""
    pair.query(case.text, db=case.db, **dict(case.params))


@pytest.mark.parametrize("seed", SEEDS)
def test_random(pair, seed):
    """Random statements, of a random schema and of the fixed ones."""
    random_statements.check(
        random_statements.differences(pair, seed, STATEMENTS_PER_SEED, EPOCHS), STATEMENTS_PER_SEED
    )


SHAPED = [
    "SELECT * FROM m",
    "SELECT f, i, s, t FROM m GROUP BY a",
    "SELECT mean(f), max(i) FROM m WHERE time >= '2020-01-01' AND time < '2020-01-01T00:10:00Z' GROUP BY time(3m), a",
    "SELECT f FROM m LIMIT 2; SELECT i FROM nothing; SELECT s FROM m WHERE a = '1'",
    "SHOW DATABASES; SHOW MEASUREMENTS; SHOW TAG VALUES WITH KEY = a; SHOW FIELD KEYS; SHOW SERIES",
    "SELECT nothing FROM m",
    "SELECT f FROM m WHERE",
    "SELECT f FROM m LIMIT 1; SELECT foo(f) FROM m",
    "  SELECT f FROM m LIMIT 1 ;  ",
    " SELECT",
    "",
]


@pytest.mark.parametrize(
    "params",
    [
        {"pretty": "true"},
        {"pretty": "true", "epoch": "ms"},
        {"chunked": "true"},
        {"chunked": "true", "chunk_size": "1"},
        {"chunked": "true", "chunk_size": "3", "epoch": "s"},
        {"chunked": "true", "chunk_size": "2", "pretty": "true"},
        {"chunked": "false", "chunk_size": "2"},
        {"epoch": "nonsense"},
        {"rp": "autogen"},
    ],
    ids=lambda params: "&".join(f"{name}={value}" for name, value in params.items()),
)
def test_shapes_of_answers(pair, params):
    """Parameters that change how an answer looks."""
    for text in SHAPED:
        pair.query(text, db="types", **params)


@pytest.mark.parametrize(
    "accept", ["application/csv", "text/csv", "application/json", "*/*", "text/html", "application/x-msgpack"]
)
@pytest.mark.parametrize("chunked", [None, "true"])
def test_formats(pair, accept, chunked):
    """What `Accept` asks for."""
    texts = [text for text in SHAPED if "foo(f)" not in text or "csv" not in accept]
    for text in texts:
        for epoch in (None, "ms"):
            pair.query(text, db="types", headers={"Accept": accept}, epoch=epoch, chunked=chunked, chunk_size="3")


def test_csv_tells_errors(pair):
    """InfluxDB leaves the error of a statement out of CSV; it would look like an empty answer."""
    request = {"params": {"db": "types"}, "data": {"q": "SELECT foo(f) FROM m"}, "headers": {"Accept": "text/csv"}}
    theirs, ours = pair.both("POST", "/query", **request)
    assert (theirs.body, ours.body) == (b"", b"error\nundefined function foo()\n")


@pytest.mark.parametrize("path", ["/query", "/query?q=", "/query?q=SELECT+1", "/query?q=SHOW+DATABASES&pretty=true"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_requests(pair, method, path):
    """Requests with something missing."""
    pair.same(f"{method} {path}", method, path)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE DATABASE by_get",
        "DROP DATABASE by_get",
        "SHOW DATABASES; CREATE RETENTION POLICY by_get ON types DURATION 1h REPLICATION 1",
        "DROP RETENTION POLICY by_get ON types",
        "SELECT f FROM m LIMIT 1",
    ],
)
def test_statements_by_get(pair, text):
    """GET is for reading; what changes something is run all the same, with a message."""
    pair.same(f"GET {text}", "GET", "/query", params={"db": "types", "q": text})


@pytest.mark.parametrize(
    "params",
    [
        '{"host": "h0", "low": 50}',
        '{"host": "h0", "low": 50.5}',
        '{"host": "it\'s", "low": 0}',
        '{"host": true, "low": false}',
        '{"low": 50}',
        "{}",
        "[]",
        "{",
        "",
    ],
)
def test_bound_parameters(pair, params):
    """`params` in JSON."""
    text = "SELECT count(usage) FROM cpu WHERE host = $host AND usage > $low"
    pair.query(text, db="regular", params=params)


ON_PURPOSE = [
    # OFFSET without LIMIT: InfluxDB gives one row, and SOFFSET without SLIMIT none.
    ("SELECT i FROM m OFFSET 7", "[[1577837640000,0],[1577837640000,2],[1577837640000,2]]"),
    ("SELECT count(i) FROM m GROUP BY a SOFFSET 3", '[{"name":"m","tags":{"a":"3"}'),
    # An error of a statement: InfluxDB puts "not executed", meant for the next one, in its place.
    ("SELECT foo(f) FROM m; SHOW MEASUREMENTS", '"error":"undefined function foo()"},{"statement_id":1,"error":"not'),
    # Infinity: InfluxDB breaks off the answer with an error of its JSON encoder.
    (f"SELECT {' * '.join(['f'] * 11)} FROM m WHERE time = '2020-01-01T00:07:00Z'", "[[1577837220000,null]]"),
    # An integer that a float exceeds: InfluxDB shows what the processor makes of it, the smallest of all integers.
    ("SELECT f::integer FROM m WHERE time = '2020-01-01T00:07:00Z'", "[[1577837220000,9223372036854775807]]"),
    # SLIMIT over several shards: InfluxDB limits the series of each shard by itself, and shows more than asked for.
    ("SELECT v FROM sparse..sparse GROUP BY * LIMIT 1 SLIMIT 1", '"tags":{"k":"x"},"columns":["time","v"],"values":[['),
    # A window in which a percentile has no rank: InfluxDB ends the series there.
    ("SELECT percentile(i, 33) FROM m WHERE time >= '2020-01-01T00:04:00Z' AND time < '2020-01-01T00:10:00Z' "
     "GROUP BY time(3m)", "[1577837160000,-9223372036854775808]"),
    # `top` with LIMIT: InfluxDB ranks the first points of each series, not all of them.
    ("SELECT top(i, 1) FROM m WHERE i < 9223372036854775807 LIMIT 1", "[[1577837040000,7]]"),
    # The integral of integers: InfluxDB takes the height at the edge of a window for that of the next point.
    ("SELECT integral(i, 1m) FROM m WHERE a = '1' AND b = 'x' AND time >= '2020-01-01' AND time < '2020-01-02' "
     "GROUP BY time(3m)", "[[1577836800000,9.75],[1577836980000,6.25]]"),
    # Descending, it has the opposite sign.
    ("SELECT integral(f, 1m) FROM m WHERE a = '1' AND b = 'x' ORDER BY time DESC", "[[0,4.5]]"),
    # By tags, it gives the last windows of all groups in any order.
    ("SELECT integral(i, 1m) FROM m WHERE time >= '2020-01-01' AND time < '2020-01-01T00:15:00Z' GROUP BY time(3m), a",
     '"tags":{"a":"1"},"columns":["time","integral"],"values":[[1577836800000,4.125],[1577836980000,18.475],[1577837520000,22.4]]'),
    # SLIMIT in a subquery: InfluxDB ignores it.
    ("SELECT x FROM (SELECT max(i) AS x FROM m GROUP BY a SLIMIT 1)", '"values":[[1577836920000,5]]'),
    # A window before the start of time: InfluxDB's arithmetic overflows, and nothing comes.
    ("SELECT difference(max(i)) FROM m WHERE time < '2020-01-01T00:05:00Z' GROUP BY time(1m)", '"columns":["time","diff'),
    # A period of one, for which InfluxDB panics.
    ("SELECT chande_momentum_oscillator(f, 1) FROM m WHERE time < '2020-01-01T00:02:00Z'", "[[1577836800000,0],"),
    # An integer below zero has a size; and a float less an integer, in a function in a condition, is a number.
    ("SELECT abs(i) FROM m WHERE i = -2", "[[1577836800000,2]]"),
    ("SELECT f FROM m WHERE abs(f - 4) < 1", "[[1577836860000,4]]"),
    # `now()` compared with a constant: InfluxDB takes it for a field that is missing.
    ("SELECT i FROM m WHERE now() > 1 AND i = 5", "[[1577836920000,5]]"),
]


@pytest.mark.parametrize("text, part", ON_PURPOSE, ids=[text[:40] for text, _ in ON_PURPOSE])
def test_different_on_purpose(pair, text, part):
    """Where InfluxDB's answer is a mistake, ours is the one that makes sense; the list is kept honest here."""
    theirs, ours = pair.both("POST", "/query", params={"db": "types", "epoch": "ms"}, data={"q": text})
    assert part in ours.body.decode()
    assert theirs.body != ours.body, "InfluxDB agrees: no longer a difference"


WRITES = [
    "a f=1 {t}",
    "a f=1i {t}",
    "a,b f=1 {t}",
    "a,b= f=1 {t}",
    "a,=c f=1 {t}",
    "a f= {t}",
    "a =1 {t}",
    "a {t}",
    "a",
    "a f=1 nonsense",
    "a f=1 {t} more",
    "a f=1.5.5 {t}",
    'a f="open {t}',
    "a f=yes {t}",
    "a f=99999999999999999999i {t}",
    "a f=1e400 {t}",
    "a f=NaN {t}",
    ",b=c f=1 {t}",
    " a f=1 {t}",
    "# only a comment",
    "",
    "\n\n",
    "a,b=c,b=d f=1 {t}",
    "a,time=x f=1 {t}",
    "a time=1 {t}",
    "a time=1,f=2 {t}",
    "a f=1 99999999999999999999",
    "a f=1 9223372036854775807",
    "a f=1 -9223372036854775808",
    "good f=1 {t}\nbad\ngood f=2 {t}",
]


@pytest.mark.parametrize("body", WRITES)
def test_writes(pair, body):
    """What is said to line protocol, right and wrong, and what is stored of it."""
    pair.query("CREATE DATABASE writes")
    try:
        pair.write(body.format(t=T0), db="writes")
        pair.query("SELECT * FROM /.*/", db="writes")
        pair.query("SHOW FIELD KEYS", db="writes")
    finally:
        pair.both("POST", "/query", data={"q": "DROP DATABASE writes"})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"db": "nothing"},
        {"db": "types", "rp": "nothing"},
        {"db": "types", "consistency": "nonsense"},
    ],
    ids=lambda params: "&".join(f"{name}={value}" for name, value in params.items()) or "none",
)
def test_write_parameters(pair, params):
    """Writes that go nowhere."""
    pair.write(f"a f=1 {T0}", **params)


@pytest.mark.parametrize("precision", ["n", "u", "ms", "s", "m", "h"])
def test_write_precision(pair, precision):
    """Times in every unit."""
    unit = {"n": 1, "u": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}[precision]
    lines = f"p,u={precision} v=1 {T0 // unit}\np,u={precision} v=2 -{T0 // unit}"
    pair.query("CREATE DATABASE precisions")
    pair.write(lines, db="precisions", precision=precision)
    pair.query(f"SELECT * FROM p WHERE u = '{precision}'", db="precisions")


def test_catalogue(pair):
    """Databases and retention policies from their creation to their end, errors included."""
    for text in [
        "CREATE DATABASE cat",
        "CREATE DATABASE cat",
        "CREATE DATABASE cat WITH DURATION 1d REPLICATION 1 SHARD DURATION 1h NAME x",
        "SHOW RETENTION POLICIES ON cat",
        "CREATE DATABASE cat2 WITH DURATION 30d REPLICATION 1 NAME month",
        "CREATE DATABASE cat2 WITH DURATION 30d REPLICATION 1 NAME month",
        "SHOW RETENTION POLICIES ON cat2",
        "CREATE DATABASE cat3 WITH DURATION 1m",
        "CREATE DATABASE cat3 WITH NAME only_name",
        "SHOW RETENTION POLICIES ON cat3",
        "CREATE RETENTION POLICY a ON cat DURATION 1h REPLICATION 1",
        "CREATE RETENTION POLICY a ON cat DURATION 1h REPLICATION 1",
        "CREATE RETENTION POLICY a ON cat DURATION 2h REPLICATION 1",
        "CREATE RETENTION POLICY b ON cat DURATION 52w REPLICATION 1 SHARD DURATION 3d DEFAULT",
        "CREATE RETENTION POLICY c ON cat DURATION INF REPLICATION 1",
        "CREATE RETENTION POLICY d ON cat DURATION 30m REPLICATION 1",
        "CREATE RETENTION POLICY e ON cat DURATION 2d REPLICATION 1 SHARD DURATION 1w",
        "CREATE RETENTION POLICY f ON cat DURATION 2d REPLICATION 1 SHARD DURATION 1m",
        "CREATE RETENTION POLICY g ON nothing DURATION 2d REPLICATION 1",
        'CREATE RETENTION POLICY "" ON cat DURATION 2d REPLICATION 1',
        'CREATE DATABASE ""',
        'CREATE DATABASE "a/b"',
        "SHOW RETENTION POLICIES ON cat",
        "SHOW RETENTION POLICIES ON nothing",
        "ALTER RETENTION POLICY a ON cat DURATION 3h",
        "ALTER RETENTION POLICY a ON cat DEFAULT",
        "ALTER RETENTION POLICY b ON cat DURATION 1h",
        "ALTER RETENTION POLICY b ON cat SHARD DURATION 2h",
        "ALTER RETENTION POLICY b ON cat DURATION 30m",
        "ALTER RETENTION POLICY nothing ON cat DURATION 1h",
        "ALTER RETENTION POLICY a ON nothing DURATION 1h",
        "SHOW RETENTION POLICIES ON cat",
        "DROP RETENTION POLICY a ON cat",
        "DROP RETENTION POLICY a ON cat",
        "DROP RETENTION POLICY a ON nothing",
        "SHOW RETENTION POLICIES ON cat",
        "SHOW DATABASES",
        "DROP DATABASE cat",
        "DROP DATABASE cat",
        "DROP DATABASE cat2; DROP DATABASE cat3",
        "SHOW DATABASES",
        "SHOW RETENTION POLICIES",
        "SHOW MEASUREMENTS",
        "SELECT f FROM m",
    ]:
        pair.query(text)


def test_policies_hold_data_apart(pair):
    """Writes and queries with `rp`, qualified names, a default that changes, a policy that is dropped."""
    lines = [f"m,k={policy} v={number} {T0 + number}" for policy in "ab" for number in range(3)]
    pair.write("\n".join(lines), db="apart")
    pair.write("\n".join(lines[:2]), db="apart", rp="two words")
    pair.write(f"only,k=c v=1 {T0}", db="apart", rp="two words")
    for text in [
        "SELECT * FROM m",
        'SELECT * FROM "two words".m',
        'SELECT * FROM "apart"."two words"."m", m',
        'SELECT sum(v) FROM "two words"./m/, "autogen".m GROUP BY k',
        "SELECT * FROM nothing.m",
        "SELECT * FROM nothing..m",
        'SHOW TAG VALUES FROM "two words".m WITH KEY = k',
        *(
            f"SHOW {what} CARDINALITY{source}{key}"
            for source in ("", " FROM m", ' FROM "two words".m', " FROM nothing")
            for what, key in [
                ("SERIES", ""),
                ("SERIES EXACT", ""),
                ("MEASUREMENT", ""),
                ("MEASUREMENT EXACT", ""),
                ("TAG KEY", ""),
                ("TAG VALUES", " WITH KEY = k"),
                ("TAG VALUES EXACT", " WITH KEY = k"),
                ("FIELD KEY EXACT", ""),
            ]
        ),
        'ALTER RETENTION POLICY "two words" ON apart DEFAULT',
        "SELECT * FROM m",
        "SELECT * FROM apart..m",
        "ALTER RETENTION POLICY autogen ON apart DEFAULT",
        # InfluxDB's index in memory would go on listing what only the dropped policy had.
        "DROP MEASUREMENT only",
        'DROP RETENTION POLICY "two words" ON apart',
        "SELECT * FROM m",
        "SELECT * FROM autogen.m",
        "SHOW MEASUREMENTS; SHOW SERIES; SHOW FIELD KEYS",
    ]:
        pair.query(text, db="apart")
    pair.query("SELECT * FROM m", db="apart", rp="autogen")
    pair.query("SELECT * FROM m", db="apart", rp="two words")
    pair.query("SELECT * FROM m; SHOW MEASUREMENTS", db="apart", rp="week")


def test_rewritten_points(pair):
    """A point written again: fields merge, the last value of each counts, in whatever order times come."""
    pair.query("CREATE DATABASE again")
    for body in [
        "m,k=a v=1,w=1 10\nm,k=a v=2 20",
        "m,k=a v=3 10",
        "m,k=a w=4 20",
        "m,k=a v=5 5\nm,k=a v=6 5",
        'm,k=a s="x" 10\nm,k=a s="" 10',
        "m,k=b v=7 10",
    ]:
        pair.write(body, db="again")
        pair.query("SELECT * FROM m; SELECT count(*), sum(v), first(w), last(w) FROM m", db="again")
    # A type that conflicts leaves what is stored alone.
    answer = pair.write("m,k=a v=8i 10\nm,k=a v=9 30", db="again")
    assert json.loads(answer.body)["error"].startswith("partial write")
    pair.query("SELECT * FROM m", db="again")
