"""The listeners beside those of a real InfluxDB: the same bytes, then the same answers."""

import gzip
import hashlib
import hmac
import json
import socket
import struct

import pytest
import requests
from conftest import Influxd, Skywatch, answers, free_port, wait_until

QUESTIONS = "SELECT * FROM /.*/; SHOW SERIES; SHOW FIELD KEYS; SHOW RETENTION POLICIES"

PLAIN = """\
a.b.c 1 1600000000
a.b.d 2.5 1600000000.5
x NaN 1600000000
y inf 1600000000
bad
z abc 1600000000
q 1 xyz
n 1 2 3

  sp.ace \t 4   1600000000  \r
big 1 1e30
hex 0x10 1600000000
a..b 1 1600000000
.lead 1 1600000000
trail. -1.5e-3 1600000000
c,d=e 1 1600000000
neg 1 -86400
last 1 1600000000"""

TEMPLATES = """
separator = "_"
tags = ["region=us", "host=def"]
templates = [
  "servers.* .host.measurement*", "servers.local.cpu .h.measurement.field",
  "stats.* .host.measurement.field* k=v,region=eu", "*.mid.* a.b.measurement", "dup.* host.host.measurement",
  "fw.* measurement.field*.x", "mw.* .measurement*.x", "none.* .measurement", "twof.* field.field.measurement",
  "both.* measurement*.field*", "late.a.b.c.d .measurement.host", "mm.* .measurement.measurement.t",
  "region.measurement dc=1",
]
"""

NAMES = [
    *("servers.h1.cpu.load", "servers.local.cpu.user", "servers.local.mem.user", "servers", "servers.h1"),
    *("stats.h.m.f.g", "stats.h.m", "stats.h..f", "zz.mid.yy", "zz.mid.yy.more", "dup.dup2.m", "fw.f1.f2.f3"),
    *("mw.m1.m2.m3", "none", "none.x", "twof.a.b.c", "both.a.b", "late.a.b", "late.a.b.c.d.e", "mm.a.b.c", "mm.a"),
    *("eu.thing", "thing", "a,b.c=d"),
]

CASES = {
    "no templates": ("", PLAIN),
    "templates": (TEMPLATES, "".join(f"{name} {n} 1600000000\n" for n, name in enumerate(NAMES))),
    "a default template": (
        'templates = ["measurement.host.field"]',
        "".join(f"{name} 1 160000000{n}\n" for n, name in enumerate(["a.b.c", "a.b", "a", "a.b.c.d", "a..c", ".b.c", "a.b."])),
    ),
    "overlapping filters": (
        'templates = ["*.x.* .measurement", "a.* m.measurement", "a.x.y.* .t.measurement"]',
        "a.x.y 1 1600000000\nb.x.y 2 1600000000\na.q 3 1600000000\na.x.y.z 4 1600000000\na.x 5 1600000000\n",
    ),
    "no separator, a policy": (
        'templates = ["..measurement.field"]\nseparator = ""\nretention-policy = "rpx"\nbatch-size = 1',
        "a.b.c.d 1 1600000000\na.b.c.d.e 2 1600000001\n",
    ),
}


def sections(cases):
    """Configuration with a Graphite listener a case and one for UDP; their ports."""
    ports = [free_port() for _ in range(len(cases) + 2)]
    text = ""
    for at, (options, _) in enumerate(cases):
        text += f"""
[[graphite]]
enabled = true
bind-address = "127.0.0.1:{ports[at]}"
database = "g{at}"
batch-timeout = "50ms"
{options}
"""
    text += f"""
[[graphite]]
enabled = true
protocol = "udp"
bind-address = "127.0.0.1:{ports[-2]}"
database = "gu"
batch-timeout = "50ms"
[[udp]]
enabled = true
bind-address = "127.0.0.1:{ports[-1]}"
database = "u"
precision = "s"
batch-timeout = "50ms"
"""
    return text, ports


def ask(url, database):
    params = {"db": database, "epoch": "ns", "q": QUESTIONS}
    return requests.post(f"{url}/query", data=params, timeout=30).json()


def statistics(url, name):
    """The counters of all listeners of this name, by their order in the configuration; without what they are bound to."""
    variables = requests.get(f"{url}/debug/vars", timeout=10).json()
    return [entry["values"] for entry in variables.values() if isinstance(entry, dict) and entry.get("name") == name]


def settled(server, cases):
    """Waits until everything that was sent is stored or refused; the counters of all listeners together."""

    def done():
        total = {}
        for values in statistics(server.url, "graphite") + statistics(server.url, "udp"):
            for key, value in values.items():
                total[key] = total.get(key, 0) + value
        # Both count blank lines, and neither takes a last line that does not end. The datagrams: a point over Graphite,
        # two in line protocol.
        lines = sum(text.count("\n") for _, text in cases)
        blank = sum(text.count("\n\n") for _, text in cases)
        kept = total.get("pointsRx", 0) - blank - total.get("pointsParseFail", 0) - total.get("pointsNaNFail", 0)
        return total if total.get("pointsRx") == lines + 3 and total["pointsTx"] == kept else None

    return wait_until(done, f"points of {server.command[0]} to be stored")


def test_graphite_and_udp_beside_a_real_influxd(skywatch_bin, tmp_path):
    cases = list(CASES.values())
    counters, answered = [], []
    for name in ("influxd", "skywatch"):
        directory = tmp_path / name
        directory.mkdir()
        text, ports = sections(cases)
        if name == "influxd":
            server = Influxd(directory, sections=text)
        else:
            config = directory / "skywatch.toml"
            config.write_text(text)
            server = Skywatch(skywatch_bin, directory, "--config", config)
        server.start()
        try:
            wait_until(lambda s=server: not s.running() or answers(f"{s.url}/ping"), f"{name} to answer")
            assert server.running(), server.output()
            for at, (_, lines) in enumerate(cases):
                with socket.create_connection(("127.0.0.1", ports[at]), timeout=10) as stream:
                    stream.sendall(lines.encode())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.sendto(b"one.datagram 1 1600000000", ("127.0.0.1", ports[-2]))
                datagrams.sendto(b"m,t=a v=1 1600000000\n# no\n\nm,t=b v=2 1600000001\n", ("127.0.0.1", ports[-1]))
            counters.append(settled(server, cases))
            databases = [f"g{at}" for at in range(len(cases))] + ["gu", "u"]
            answered.append({database: ask(server.url, database) for database in databases})
        finally:
            server.stop()
    for case, database in zip([*CASES, "graphite over udp", "udp"], answered[0], strict=True):
        assert answered[1][database] == answered[0][database], case
    same = ("pointsRx", "pointsTx", "pointsParseFail", "pointsNaNFail", "bytesRx", "readFail", "connsHandled")
    assert {key: counters[1][key] for key in same} == {key: counters[0][key] for key in same}


TYPES = """\
# name  sources
load    shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
cpu     value:DERIVE:0:U
gauge   value:GAUGE:U:U
counter value:COUNTER:U:U
if_octets  rx:DERIVE:0:U, tx:DERIVE:0:U
"""


def part(kind, payload):
    return struct.pack(">HH", kind, len(payload) + 4) + payload


def text(kind, value):
    return part(kind, value.encode() + b"\0")


def values(*pairs):
    packed = {0: ">Q", 1: "<d", 2: ">q"}
    kinds = bytes(kind for kind, _ in pairs)
    return part(6, struct.pack(">H", len(pairs)) + kinds + b"".join(struct.pack(packed[kind], value) for kind, value in pairs))


HOST = text(0, "h") + part(8, struct.pack(">Q", 1_600_000_000 << 30))
LOAD = HOST + text(2, "load") + text(4, "load") + values((1, 1.5), (1, 2.5), (1, 3.5))
DATAGRAMS = [
    LOAD + text(2, "cpu") + text(3, "0") + text(4, "cpu") + text(5, "idle") + values((2, -7)),
    # Seconds; a count beyond what a float holds; a state that goes on from part to part.
    text(0, "g") + part(1, struct.pack(">Q", 1_600_000_001)) + text(2, "p") + text(4, "counter") + values((0, 2**63 + 1)) + text(3, "i") + values((0, 5)),
    # A fraction of a second, and a fraction that its type does not have.
    text(0, "g") + part(8, struct.pack(">Q", (1_600_000_002 << 30) + 123_456_789)) + text(2, "q") + text(4, "gauge") + values((1, 0.5)) + text(4, "cpu") + values((1, 7.9)),
    # Of an unknown type, with another number of values, without a value.
    HOST + text(2, "no") + text(4, "unknown") + values((1, 1.0)) + text(4, "load") + values((1, 1.0)) + text(4, "gauge") + values((1, float("nan"))),
    # Damage costs the datagram.
    LOAD[:-3],
    HOST + text(2, "bad") + text(4, "gauge") + values((1, 1.0)) + b"\0\1",
]


def signed(user, password, parts):
    mac = hmac.new(password.encode(), user.encode() + parts, hashlib.sha256).digest()
    return part(0x0200, mac + user.encode()) + parts


def signed_datagrams():
    def of(plugin):
        return HOST + text(2, plugin) + text(4, "gauge") + values((1, 1.0))

    return [signed("alice", "secret", of("right")), signed("alice", "guess", of("wrong")), signed("bob", "secret", of("stranger")), of("plain")]


LINES = """\
put sys.cpu.user 1600000000 42.5 host=a cpu=0
put sys.cpu.user 1600000001 1e2 host=b
put  blanks \t 1600000000   3   k=v
put notags 1600000000 1
put odd 1600000000 1 a=b=c x =y z= a=d
put esc,aped 1600000000 1 k=a,b
get m 1600000000 1
put m 1600000000
put m now 1
put m 160000000 1
put m 1600000000 one
put m 1600000000 NaN
put neg 1600000000 -1.5 k=v
nonsense
"""

BODIES = [
    ("/api/put", {"metric": "one", "timestamp": 1600000000, "value": 1.5, "tags": {"b": "2", "a": "1"}}),
    ("/api/put", [{"metric": "two", "timestamp": 1600000000, "value": 2, "tags": {"k": "v"}}, {"metric": "three", "timestamp": 1600000001, "value": 3}]),
    ("/api/put", [1]),
    ("/api/put", {"metric": "x", "timestamp": "now", "value": 1}),
    ("/api/put", "text"),
    ("/api/put", ""),
    ("/api/metadata/put", {}),
    ("/api/other", {}),
]


def test_collectd_and_opentsdb_beside_a_real_influxd(skywatch_bin, tmp_path):
    (tmp_path / "types.db").write_text(TYPES)
    (tmp_path / "auth").write_text("alice: secret\n")
    answered, replies, counters = [], [], []
    for name in ("influxd", "skywatch"):
        directory = tmp_path / name
        directory.mkdir()
        split, join, sign, tsdb = (free_port() for _ in range(4))
        sections = f'''
[[opentsdb]]
enabled = true
bind-address = "127.0.0.1:{tsdb}"
batch-timeout = "50ms"
'''
        for port, database, more in [
            (split, "split", 'security-level = "none"\nparse-multivalue-plugin = "split"'),
            (join, "join", 'security-level = "none"\nparse-multivalue-plugin = "join"'),
            (sign, "sign", f'security-level = "sign"\nparse-multivalue-plugin = "split"\nauth-file = "{tmp_path}/auth"'),
        ]:
            sections += f'''
[[collectd]]
enabled = true
bind-address = "127.0.0.1:{port}"
database = "{database}"
batch-timeout = "50ms"
typesdb = "{tmp_path}/types.db"
{more}
'''
        if name == "influxd":
            server = Influxd(directory, sections=sections)
        else:
            config = directory / "skywatch.toml"
            config.write_text(sections)
            server = Skywatch(skywatch_bin, directory, "--config", config)
        server.start()
        try:
            with socket.create_connection(("127.0.0.1", tsdb), timeout=10) as stream:
                stream.sendall(b"version\n")
                version = stream.recv(100)
                stream.sendall(LINES.encode())
            wait_until(lambda: sum(value["pointsTx"] for value in statistics(server.url, "opentsdb")) == 7, "the lines to be stored")
            told = [version]
            for path, body in BODIES:
                body = body if isinstance(body, str) else json.dumps(body)
                for data, headers in [(body.encode(), {}), (gzip.compress(body.encode()), {"Content-Encoding": "gzip"})]:
                    answer = requests.post(f"http://127.0.0.1:{tsdb}{path}", data=data, headers=headers, timeout=10)
                    told.append((path, body, answer.status_code, answer.text))
            told.append(requests.get(f"http://127.0.0.1:{tsdb}/api/put", timeout=10).status_code)
            replies.append(told)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for datagram in DATAGRAMS:
                    sender.sendto(datagram, ("127.0.0.1", split))
                    sender.sendto(datagram, ("127.0.0.1", join))
                for datagram in signed_datagrams():
                    sender.sendto(datagram, ("127.0.0.1", sign))

            def stored(server=server):
                return sorted(value["pointsTx"] for value in statistics(server.url, "collectd")) == [1, 6, 8]

            wait_until(stored, f"datagrams to be stored: {statistics(server.url, 'collectd')}")
            answered.append({database: ask(server.url, database) for database in ("opentsdb", "split", "join", "sign")})
            names = ("tlBadFloat", "tlBadLine", "tlBadTag", "tlConnsHandled", "tlPointsRx", "tlBytesRx", "httpConnsHandled")
            (values_of,) = statistics(server.url, "opentsdb")
            counters.append({key: values_of[key] for key in names})
        finally:
            server.stop()
    assert replies[1] == replies[0]
    for database, answer in answered[0].items():
        assert answered[1][database] == answer, database
    # Over HTTP as many connections as the client pleases; a time that is no number InfluxDB counts twice.
    assert {**counters[1], "httpConnsHandled": 0} == {**counters[0], "httpConnsHandled": 0}


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ('[[graphite]]\nenabled = true\ntemplates = ["a"]', "no measurement in template `a`"),
        ('[[graphite]]\nenabled = true\nprotocol = "sctp"', "unrecognized Graphite input protocol sctp"),
        ('[[opentsdb]]\nenabled = true\nconsistency-level = "most"', "consistency-level"),
        ('[[collectd]]\nenabled = true\ntypesdb = "/nowhere/types.db"', "/nowhere/types.db"),
        ('[[udp]]\nenabled = true\nbind-address = "127.0.0.1:0"\nprecision = "x"', "precision"),
    ],
)
def test_sections_that_cannot_be_are_refused(skywatch_bin, tmp_path, section, part):
    import subprocess

    config = tmp_path / "skywatch.toml"
    config.write_text(section)
    check = subprocess.run([skywatch_bin, "config", "check", config], capture_output=True, text=True, timeout=30)
    assert check.returncode == 1 and part in check.stderr, check.stderr
    config.write_text(section.replace("enabled = true", "enabled = false"))
    assert subprocess.run([skywatch_bin, "config", "check", config], timeout=30).returncode == 0 or part in ("precision", "consistency-level")


def test_what_was_read_is_stored_when_the_server_stops(skywatch_bin, tmp_path):
    port = free_port()
    config = tmp_path / "skywatch.toml"
    # Neither full nor due before the end.
    config.write_text(f'[[graphite]]\nenabled = true\nbind-address = "127.0.0.1:{port}"\nbatch-timeout = "1h"')
    server = Skywatch(skywatch_bin, tmp_path, "--config", config).start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(b"a.b 1 1600000000\nc.d 2 1600000000\n")
        wait_until(
            lambda: [value["pointsRx"] for value in statistics(server.url, "graphite")] == [2], "the lines to be read"
        )
        assert "values" not in server.query("SHOW DATABASES")["results"][0]["series"][0]
        assert server.stop() == 0
    again = Skywatch(skywatch_bin, tmp_path, "--config", config).start()
    try:
        assert again.rows('SELECT value FROM "c.d"', db="graphite") == [["2020-09-13T12:26:40Z", 2]]
    finally:
        again.stop()
