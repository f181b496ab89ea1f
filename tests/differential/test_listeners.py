"""The UDP and Graphite listeners beside those of a real InfluxDB: the same bytes, then the same answers."""

import socket

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


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ('[[graphite]]\nenabled = true\ntemplates = ["a"]', "no measurement in template `a`"),
        ('[[graphite]]\nenabled = true\nprotocol = "sctp"', "unrecognized Graphite input protocol sctp"),
        ("[[opentsdb]]\nenabled = true", "opentsdb"),
        ("[[collectd]]\nenabled = true", "collectd"),
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
    assert subprocess.run([skywatch_bin, "config", "check", config], timeout=30).returncode == 0 or "precision" in part


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
