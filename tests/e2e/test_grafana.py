"""Every request that Grafana's InfluxDB data source makes in InfluxQL mode, and that it can read the answers.

The table is in grafana/*.iql: what Grafana asks, and below it the frames its panel must be given.
The same table is asked of a real InfluxDB, whose answers must be the same bytes.
"""

import dataclasses
import re
import time
from pathlib import Path

import pytest
import requests
from grafana_data_source import DataSource, DataSourceError, interval_text, read_frames, shown

FOLDER = Path(__file__).with_name("grafana")
DATABASE = "cloud"
MINUTE = 60_000
# Five minutes of a dashboard that begins on a whole minute; times in the table are seconds after it.
FROM_MS = 1_690_000_020_000
TO_MS = FROM_MS + 5 * MINUTE


@dataclasses.dataclass(frozen=True)
class Case:
    """One query, and the lines that its frames make."""

    name: str
    policy: str
    text: str
    expected: tuple


def cases():
    """Every case of every file."""
    found = []
    for path in sorted(FOLDER.glob("*.iql")):
        policy = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("## policy="):
                policy = line.removeprefix("## policy=")
            elif line.startswith("  "):
                found[-1] = dataclasses.replace(found[-1], expected=(*found[-1].expected, line.strip()))
            elif line and not line.startswith("#"):
                found.append(Case(f"{path.stem}:{number}", policy, line, ()))
    return found


CASES = cases()


def lines():
    """What the dashboard shows. Host a reports every 20 s with a gap in minute 2, b every minute, c every 30 s."""
    found = []
    for tick in range(15):
        second = tick * 20
        if not 120 <= second < 180:
            usage, count = 10 * (second // 60 + 1) + tick % 3, 100 + 7 * tick - (100 if tick > 9 else 0)
            found.append(f"cpu,host=a,region=eu/1.2 usage={usage},n={count}i,ok={tick % 2 == 0} {second}")
    for minute in range(5):
        found.append(f"cpu,host=b,region=eu/1.2 usage={50 - 10 * minute},n={minute}i {60 * minute}")
    for tick in range(10):
        usage = f"{0.5 * tick * tick:g}"
        found.append(f'cpu,host=c\\ 3,region=us-west usage={usage},state="up {tick}" {30 * tick}')
    found += [f"cpu.load.short,host=a load={second / 60:g} {second}" for second in range(0, 300, 60)]
    found += [f"disk\\ io,host={host} bytes={number * 1024}i {number * 60}" for host in "ab" for number in range(5)]
    found.append('events title="deploy",text="version 2",tags="release,web",timeEnd=1690000180000i 100')
    found.append('events title="reboot",text="host b",tags="ops",timeEnd=1690000290000i 200')
    return [f"{line.rpartition(' ')[0]} {FROM_MS + int(line.rpartition(' ')[2]) * 1000}" for line in found]


def load(url):
    """A database with a second retention policy, written as Telegraf would."""

    def post(path, **request):
        answer = requests.post(url + path, timeout=30, **request)
        assert answer.status_code in (200, 204) and "error" not in answer.text, answer.text

    post("/query", data={"q": f'DROP DATABASE "{DATABASE}"'})
    post("/query", data={"q": f'CREATE DATABASE "{DATABASE}"'})
    post("/query", data={"q": f'CREATE RETENTION POLICY "long" ON "{DATABASE}" DURATION 0s REPLICATION 1'})
    post("/write", params={"db": DATABASE, "precision": "ms"}, data="\n".join(lines()))
    totals = [f"cpu,host={host} usage={value} {FROM_MS}" for host, value in [("a", 15), ("z", 99)]]
    post("/write", params={"db": DATABASE, "rp": "long", "precision": "ms"}, data="\n".join(totals))


@pytest.fixture(scope="module")
def url(shared_skywatch):
    load(shared_skywatch.url)
    return shared_skywatch.url


@pytest.fixture(scope="module")
def influxdb_url(influxd):
    load(influxd.url)
    yield influxd.url
    requests.post(f"{influxd.url}/query", data={"q": f'DROP DATABASE "{DATABASE}"'}, timeout=30)


def data_source(url, **options):
    return DataSource(url, DATABASE, FROM_MS, TO_MS, **options)


def answer_lines(source, case):
    """The frames of a case as lines; an error as one line."""
    try:
        return shown(source.frames(case.text, case.policy), FROM_MS)
    except DataSourceError as error:
        return [f"error: {error}"]


@pytest.mark.parametrize("http_mode", ["GET", "POST"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_panels_get_their_frames(url, case, http_mode):
    assert answer_lines(data_source(url, http_mode=http_mode), case) == list(case.expected), case.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_influxdb_answers_the_same(url, influxdb_url, case):
    theirs, ours = (data_source(server).request(case.text, case.policy) for server in (influxdb_url, url))
    assert (ours.status_code, rounded(ours.text)) == (theirs.status_code, rounded(theirs.text)), case.text
    assert answer_lines(data_source(influxdb_url), case) == list(case.expected), case.text


def rounded(text):
    """Decimal numbers to thirteen digits: InfluxDB's last ones follow the order in which it adds up."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.13g}", text)


def test_bounds_relative_to_now(url):
    """Bounds in `now()`, which the browser writes for variables and the editor for its drop-downs."""
    now_ms = int(time.time() * 1000)
    lines = [f"recent,host=h{minute} v={minute} {now_ms - minute * MINUTE}" for minute in range(1, 6)]
    answer = requests.post(f"{url}/write", params={"db": DATABASE, "precision": "ms"}, data="\n".join(lines), timeout=30)
    assert answer.status_code == 204, answer.text
    source = data_source(url)
    bounds = "time >= now() - 6h and time <= now()"
    for text, expected in [
        ('SHOW TAG KEYS FROM "recent" WHERE time > now() - 12h', ["recent: host"]),
        ('SHOW TAG VALUES FROM "recent" WITH KEY = "host" WHERE time > now() - 12h', ["recent: h1 h2 h3 h4 h5"]),
        ('SHOW FIELD KEYS FROM "recent"', ["recent: v"]),
    ]:
        assert shown(source.frames(text), FROM_MS) == expected
    (frame,) = source.frames(f'SELECT "v" FROM "recent" WHERE {bounds} ORDER BY time DESC')
    assert frame["values"] == [1, 2, 3, 4, 5] and frame["times"][0] == now_ms - MINUTE
    counts = source.frames(f'SELECT count("v") FROM "recent" WHERE {bounds} GROUP BY time(1h) fill(none)')
    assert sum(counts[0]["values"]) == 5


def test_large_answers_come_compressed(url):
    """Grafana's transport asks for gzip and unpacks what says it is."""
    source = data_source(url, interval_ms=100)
    text = 'SELECT mean("usage") FROM "cpu" WHERE $timeFilter GROUP BY time($__interval) fill(0)'
    response = source.request(text)
    assert response.headers["Content-Encoding"] == "gzip"
    (frame,) = read_frames(response, text)
    assert len(frame["times"]) == 3001
    source.session.headers["Accept-Encoding"] = "identity"
    plain = source.request(text)
    assert "Content-Encoding" not in plain.headers and plain.content == response.content


@pytest.mark.parametrize(
    "headers, auth",
    [({}, ("grafana", "secret")), ({"Authorization": "Token grafana:secret"}, None), ({"X-Own": "header"}, None)],
    ids=["basic", "token", "own header"],
)
def test_credentials_are_no_obstacle_to_an_open_server(url, headers, auth):
    """A data source keeps its credentials when authentication is switched off."""
    source = data_source(url, headers=headers, auth=auth)
    assert shown(source.frames("SHOW measurements"), FROM_MS)[0].startswith("measurements: cpu")


def test_a_database_that_is_missing(url):
    """Save & test of a data source with a wrong name."""
    wrong = DataSource(url, "nothing", FROM_MS, TO_MS)
    assert wrong.frames("SHOW measurements") == []
    with pytest.raises(DataSourceError, match="database not found: nothing"):
        wrong.frames('SELECT mean("usage") FROM "cpu"')
    unnamed = DataSource(url, "", FROM_MS, TO_MS)
    with pytest.raises(DataSourceError, match="database name required"):
        unnamed.frames("SHOW measurements")


@pytest.mark.parametrize(
    "milliseconds, text",
    [(1, "1ms"), (500, "500ms"), (1500, "1s"), (60_000, "1m"), (7_200_000, "2h"), (90_000_000, "1d")],
)
def test_every_interval_groups(url, milliseconds, text):
    """What `$__interval` becomes is a duration that GROUP BY takes."""
    assert interval_text(milliseconds) == text
    source = data_source(url, interval_ms=milliseconds)
    frames = source.frames('SELECT count("usage") FROM "cpu" WHERE $timeFilter GROUP BY time($__interval) fill(none)')
    assert sum(frames[0]["values"]) == 27
