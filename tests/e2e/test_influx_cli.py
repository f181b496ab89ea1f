"""Debian's `influx` 1.6, unmodified: driven at a terminal and from scripts.

What a person sees on the screen is the same as with a real InfluxDB, but for the server's address, version and clock.
"""

import csv
import gzip
import io
import json
import re
import subprocess

import pexpect
import pytest
from conftest import need

# Wide enough that no line of a table is wrapped.
SCREEN = (50, 400)


def arguments(server_port, *more):
    return ["-host", "127.0.0.1", "-port", str(server_port), *more]


def port_of(server):
    return int(server.url.rpartition(":")[2])


class Terminal:
    """`influx` at a terminal of its own, with a home directory that holds its history."""

    def __init__(self, server, home, *more, kind="dumb"):
        environment = {"TERM": kind, "HOME": str(home), "PATH": "/usr/bin:/bin"}
        self.child = pexpect.spawn(
            need("influx", "influxdb-client"),
            arguments(port_of(server), *more),
            encoding="utf-8",
            timeout=30,
            dimensions=SCREEN,
            env=environment,
        )
        self.child.delaybeforesend = None
        self.child.expect_exact("InfluxDB shell version")
        self.banner = self.child.before + self.child.after
        self.child.expect_exact("> ")
        self.banner += self.child.before

    def type(self, line):
        """What the screen shows from the end of this line to the next prompt."""
        self.child.sendline(line)
        self.child.expect_exact(line + "\r\n")
        # A command that says nothing is followed by the prompt at once.
        self.child.expect(r"(^|\r\n)> $")
        return self.child.before.replace("\r\n", "\n").strip("\n")

    def leave(self, command="exit"):
        """Ends it; returns its exit status."""
        if command == "ctrl-d":
            self.child.sendeof()
        else:
            self.child.sendline(command)
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def terminal(tmp_path):
    """A function that opens a terminal; what is still open is closed after the test."""
    opened = []

    def opening(server, *more, **options):
        home = tmp_path / f"home-{len(opened)}"
        home.mkdir()
        opened.append(Terminal(server, home, *more, **options))
        return opened[-1]

    yield opening
    for one in opened:
        one.child.close(force=True)


def run(server, *more, stdin=None):
    """`influx` from a script: exit code, standard output, standard error."""
    command = [need("influx", "influxdb-client"), *arguments(port_of(server), *more)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=stdin or "")
    return done.returncode, done.stdout, done.stderr


SESSION_START = [
    "create database cli",
    "use cli",
    'insert cpu,host=a,rack=r\\ 1 usage=1.5,n=3i,s="some text",ok=true 1600000000000000000',
    "insert cpu,host=b usage=2.5 1600000001000000000",
    "create retention policy two on cli duration 4h replication 1",
]

# Each is typed into a shell of its own, after the lines above.
SESSIONS = {
    "databases": [
        "show databases",
        "create database more",
        "show databases",
        "use nothing",
        "use more",
        "show measurements",
        "drop database more",
        "show measurements",
        "use cli",
        "show measurements",
        "use cli.two",
        "settings",
        "use cli.nothing",
        'use "cli"."autogen"',
        "settings",
        "use",
        "clear",
        "clear retention policy",
        "clear database",
        "settings",
        "show measurements",
    ],
    "writes": [
        "insert cpu,host=c usage=3 1600000002000000000",
        "insert into autogen cpu,host=d usage=4 1600000003000000000",
        "insert into two cpu,host=e usage=5",
        "insert into nothing cpu,host=c usage=3",
        "insert cpu",
        "insert cpu usage=",
        'insert cpu usage="open',
        "insert cpu,host usage=1",
        "insert cpu usage=text",
        'insert cpu,host=c usage="text"',
        "insert cpu,host=c usage=1 nonsense",
        "insert",
        "insert into",
        "insert into two",
        "INSERT cpu,host=f usage=6 1600000004000000000",
        "select usage from cpu",
        "select usage from cli.two.cpu where usage > 100",
        "select count(usage) from two.cpu",
        "precision s",
        "insert cpu,host=g usage=7 1600000005",
        "select usage, host from cpu where host = 'g'",
        "consistency all",
        "insert cpu,host=h usage=8 1600000006",
        "consistency any",
        "insert cpu,host=h usage=9 1600000007",
        "consistency nonsense",
        "settings",
        "select usage, host from cpu where host = 'h'",
        "use cli.two",
        "insert cpu,host=i usage=10",
        "select count(usage) from cpu",
    ],
    "precision": [
        *(
            line
            for precision in ("rfc3339", "h", "m", "s", "ms", "u", "ns", "nonsense", "")
            for line in (
                f"precision {precision}",
                "select usage from cpu",
                "select last(n), s from cpu group by host",
                "select usage from cpu tz('Asia/Kolkata')",
            )
        ),
    ],
    "formats": [
        *(
            line
            for layout in ("json", "csv", "column", "nonsense", "")
            for line in (
                f"format {layout}",
                "select * from cpu",
                "select * from cpu group by host",
                "select mean(usage) from cpu group by host",
                "show tag values with key in (host, rack)",
                "show retention policies",
                "select usage from cpu; show measurements",
                "select usage from nothing",
                "select foo(usage) from cpu",
                "selec",
                "pretty",
                "select usage, s from cpu group by host",
                "pretty",
            )
        ),
    ],
    "chunks": [
        "insert cpu,host=c usage=3 1600000002000000000",
        "chunk size 2",
        "select usage from cpu",
        "select usage from cpu group by host",
        "show series",
        "show tag values with key = host",
        "chunk size 1",
        "select * from cpu",
        "select * from cpu group by host",
        "format json",
        "select * from cpu",
        "format csv",
        "select * from cpu",
        "chunk size 0",
        "select * from cpu",
        "chunk size nonsense",
        "chunk size",
        "chunked",
        "select * from cpu",
        "settings",
        "chunked",
        "settings",
    ],
    "schema": [
        "show measurements",
        "show measurements with measurement = cpu",
        "show measurements where host = 'b'",
        "show series",
        "show series from cpu where host = 'a'",
        "show tag keys",
        "show tag keys from cpu",
        "show tag values with key = host",
        "show tag values from cpu with key =~ /o|a/",
        "show field keys",
        "show field keys from cpu",
        "show retention policies",
        "show retention policies on cli",
        "show series cardinality",
        "show measurement cardinality",
        "show continuous queries",
        "show subscriptions",
        "show users",
        "drop series from cpu where host = 'b'",
        "show series",
        "delete from cpu where time < '2020-01-01'",
        "select * from cpu",
        "drop measurement cpu",
        "drop measurement cpu",
        "show measurements",
        "alter retention policy two on cli default",
        "show retention policies",
        "drop retention policy two on cli",
        "drop retention policy two on nothing",
    ],
    "administration": [
        "create user ann with password 'it''s'",
        "create user ann with password 'secret'",
        "create user ann with password 'other'",
        "create user root with password 'secret' with all privileges",
        "show users",
        "grant read on cli to ann",
        "grant read on nothing to ann",
        "grant all on cli to nobody",
        "show grants for ann",
        "show grants for nobody",
        "revoke read on cli from ann",
        "set password for ann = 'third'",
        "drop user ann",
        "drop user ann",
        "drop user root",
        "show users",
        "create continuous query cq on cli begin select mean(usage) into cpu_mean from cpu group by time(1m) end",
        "show continuous queries",
        "drop continuous query cq on cli",
        "drop continuous query cq on cli",
        "create subscription sub on cli.autogen destinations all 'http://127.0.0.1:9'",
        "show subscriptions",
        "drop subscription sub on cli.autogen",
        "show subscriptions",
    ],
    "shards": [
        "show shards",
        "show shard groups",
        "explain select mean(usage) from cpu where host = 'a' group by time(1m)",
        "explain select * from cpu; show shard groups",
        "explain drop measurement cpu",
        "explain analyze",
        "drop shard 123456789",
        "drop shard x",
    ],
    "mistakes": [
        "selec",
        "select",
        "select usage",
        "select usage from",
        "select usage form cpu",
        "select foo(usage) from cpu",
        "select mean(usage), host from cpu",
        "select mean(s) from cpu",
        "select usage from cpu where",
        "select usage from cpu where time > 'yesterday'",
        "select usage from cpu group by time(1m)",
        "select usage from cpu limit x",
        "select usage from cpu; selec",
        "select usage from /(/",
        "select usage from nothing..cpu",
        "select usage from cli.nothing.cpu",
        "show",
        "show nonsense",
        "create database",
        "drop database",
        "drop database nothing",
        "create retention policy x on cli",
        "create retention policy x on cli duration 1m replication 1",
        "create retention policy x on nothing duration 1h replication 1",
        "kill query 12345",
        "grant",
        "'",
        '"',
        ";",
        "/* comment */ select usage from cpu -- end",
        "explain",
    ],
    "help": ["help", "settings", "history", "gopher"],
}


def empty(server):
    """Leaves the server no database."""
    _, out, _ = run(server, "-format", "csv", "-execute", "show databases")
    for name in out.splitlines()[1:]:
        run(server, "-execute", f'drop database "{name.removeprefix("databases,")}"')


@pytest.fixture(scope="module")
def both(influxd, shared_skywatch):
    """A real InfluxDB and Skywatch, without databases."""
    for server in (influxd, shared_skywatch):
        empty(server)
    return influxd, shared_skywatch


def normalised(text, server, session):
    """The screen without what differs between any two servers."""
    text = text.replace(server.url.removeprefix("http://"), "SERVER")
    if session == "shards":
        # Each server numbers its shards, and the columns are as wide as the numbers.
        text = re.sub(r"(?m)^\d+ |(?<=autogen) +\d+ ", "N ", text)
        text = re.sub(r"-+", "-", re.sub(r" +", " ", text))
    return text


@pytest.mark.parametrize("session", SESSIONS)
def test_a_person_sees_the_same(both, terminal, session):
    screens = []
    for server in both:
        shell = terminal(server)
        for line in SESSION_START:
            assert shell.type(line) in ("", "Using database cli"), line
        lines = SESSIONS[session]
        screens.append([f"> {line}\n{normalised(shell.type(line), server, session)}" for line in lines])
        shell.type("drop database cli")
        assert shell.leave() == 0
    theirs, ours = screens
    differences = [(their, our) for their, our in zip(theirs, ours) if their != our]
    assert not differences, "\n\n".join(f"InfluxDB:\n{their}\nSkywatch:\n{our}" for their, our in differences)


def test_banner_and_ways_out(shared_skywatch, terminal):
    for command in ("exit", "quit", "ctrl-d"):
        shell = terminal(shared_skywatch)
        assert f"Connected to {shared_skywatch.url} version 1.8.10" in shell.banner
        assert shell.leave(command) == 0


def test_tables_are_aligned(shared_skywatch, terminal):
    shell = terminal(shared_skywatch)
    for line in SESSION_START:
        shell.type(line)
    assert shell.type("select * from cpu") == "\n".join(
        [
            "name: cpu",
            "time                host n ok   rack s         usage",
            "----                ---- - --   ---- -         -----",
            "1600000000000000000 a    3 true r 1  some text 1.5",
            "1600000001000000000 b                          2.5",
        ]
    )
    assert shell.type("select mean(usage) from cpu group by host") == "\n".join(
        [
            "name: cpu",
            "tags: host=a",
            "time mean",
            "---- ----",
            "0    1.5",
            "",
            "name: cpu",
            "tags: host=b",
            "time mean",
            "---- ----",
            "0    2.5",
        ]
    )
    shell.type("drop database cli")


def test_connecting_elsewhere(influxd, shared_skywatch, terminal):
    shell = terminal(influxd)
    address = shared_skywatch.url.removeprefix("http://")
    shell.type(f"connect {address}")
    assert address in shell.type("settings")
    assert "ERR" not in shell.type("show databases")


def test_auth_asks_for_name_and_password(shared_skywatch, terminal):
    """On an open server credentials change nothing."""
    # It asks for passwords only where it can hide them.
    shell = terminal(shared_skywatch, kind="xterm")
    for question, answer in [("> ", "auth"), ("username: ", "ann"), ("password: ", "secret")]:
        if question != "> ":
            shell.child.expect_exact(question)
        shell.child.sendline(answer)
    shell.child.expect_exact("> ")
    shell.child.sendline("settings")
    shell.child.expect(r"Username +ann\r\n")
    shell.child.sendline("show databases")
    shell.child.expect_exact("name: databases")


# Arguments of one call, and what comes in through a pipe. The database has one measurement, `cpu`.
CALLS = [
    (["-execute", "show databases"], None),
    (["-execute", "show measurements; select usage from cpu; show tag keys"], None),
    (["-execute", "select * from cpu", "-format", "json"], None),
    (["-execute", "select * from cpu", "-format", "json", "-pretty"], None),
    (["-execute", "select * from cpu", "-format", "csv"], None),
    (["-execute", "select * from cpu", "-format", "column"], None),
    (["-execute", "select * from cpu", "-format", "nonsense"], None),
    (["-execute", "select * from cpu group by *", "-format", "csv", "-precision", "rfc3339"], None),
    *((["-execute", "select * from cpu", "-precision", unit], None) for unit in ("h", "m", "s", "ms", "u", "ns", "x")),
    (["-execute", "insert cpu,host=z usage=1 1600000009", "-precision", "s", "-consistency", "one"], None),
    (["-execute", "insert into autogen cpu,host=z usage=2 1600000010000000000"], None),
    (["-execute", "insert into nothing cpu,host=z usage=2"], None),
    (["-execute", "insert cpu"], None),
    (["-execute", "selec"], None),
    (["-execute", "selec", "-format", "json"], None),
    (["-execute", "selec", "-format", "csv"], None),
    (["-execute", "select foo(usage) from cpu"], None),
    (["-execute", "select usage from cpu; select foo(usage) from cpu"], None),
    (["-execute", "use cli"], None),
    (["-execute", "show databases", "-username", "ann", "-password", "secret"], None),
    ([], "select usage from cpu"),
    ([], "show measurements;\nselect usage from cpu\n"),
    (["-format", "csv"], "select usage from cpu where host = 'a'"),
    ([], "selec"),
    ([], ""),
    (["-import", "-path", "/does/not/exist"], None),
]


@pytest.fixture(scope="module")
def loaded(both):
    """Both servers with the same few points."""
    for server in both:
        assert run(server, "-execute", "create database cli") == (0, "", "")
        for line in SESSION_START[2:4]:
            assert run(server, "-database", "cli", "-execute", line) == (0, "", "")
    yield both
    for server in both:
        run(server, "-execute", "drop database cli")


@pytest.mark.parametrize("call, stdin", CALLS, ids=[" ".join(call) or stdin for call, stdin in CALLS])
def test_a_script_sees_the_same(loaded, call, stdin):
    influxd, skywatch = loaded
    theirs, ours = (run(server, "-database", "cli", *call, stdin=stdin) for server in (influxd, skywatch))
    assert ours == theirs


def test_csv_can_be_read(loaded):
    _, skywatch = loaded
    code, answer, _ = run(skywatch, "-database", "cli", "-format", "csv", "-execute", "SELECT * FROM cpu")
    rows = list(csv.DictReader(io.StringIO(answer)))
    assert code == 0
    assert [(row["time"], row["host"], row["rack"], row["usage"]) for row in rows][:2] == [
        ("1600000000000000000", "a", "r 1", "1.5"),
        ("1600000001000000000", "b", "", "2.5"),
    ]


def test_json_can_be_read(loaded):
    _, skywatch = loaded
    text = "SELECT count(n) FROM cpu"
    for more in ([], ["-pretty"]):
        code, answer, _ = run(skywatch, "-database", "cli", "-format", "json", *more, "-execute", text)
        assert code == 0
        assert json.loads(answer)["results"][0]["series"][0]["values"] == [[0, 1]]


def test_a_socket_instead_of_a_port(start_skywatch, tmp_path):
    socket, config = tmp_path / "skywatch.sock", tmp_path / "skywatch.toml"
    config.write_text(f'[http]\nunix-socket-enabled = true\nbind-socket = "{socket}"\n')
    start_skywatch("--config", config).query("CREATE DATABASE db")
    for line in ("insert m v=1 1", "select v from m"):
        command = [need("influx", "influxdb-client"), "-socket", str(socket), "-database", "db", "-execute", line]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "name: m\ntime v\n---- -\n1    1\n"


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_a_file_is_imported(shared_skywatch, tmp_path, compressed):
    lines = [f"m,host=h{number % 7} v={number} {number + 1}" for number in range(20_000)]
    context = ["# DDL", "CREATE DATABASE imported", "# DML", "# CONTEXT-DATABASE: imported"]
    context += ["# CONTEXT-RETENTION-POLICY: autogen"]
    text = "\n".join(context + lines + ["broken line"]) + "\n"
    path = tmp_path / "dump"
    path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    code, out, err = run(shared_skywatch, "-import", "-path", str(path), *(["-compressed"] if compressed else []))
    shown = out + err
    assert "Processed 1 commands" in shown and "unable to parse 'broken line': invalid field format" in shown
    assert shared_skywatch.rows("SELECT count(v), sum(v) FROM m", "imported")[0][1:] == [20_000, sum(range(20_000))]
    assert code == 1 and "Failed 1 inserts" in shown, "the line that is none is told"
    shared_skywatch.query("DROP DATABASE imported")


def test_an_export_is_imported(start_skywatch, skywatch_bin, tmp_path):
    """What `skywatch inspect export` writes is what `influx -import` reads."""
    server = start_skywatch()
    server.query("CREATE DATABASE source")
    server.query('CREATE RETENTION POLICY "a week" ON source DURATION 0s REPLICATION 1 SHARD DURATION 1w')
    lines = [f'm,host=h{n % 3},t=a\\ b v={n}.5,n={n}i,s="say \\"{n}\\"",ok={n % 2 == 0} {n}' for n in range(500)]
    assert server.write("\n".join(lines), "source").status_code == 204
    assert server.write("\n".join(lines[:100]), "source", rp="a week").status_code == 204
    before = [server.query(f'SELECT * FROM {policy}.m GROUP BY *', "source") for policy in ("autogen", '"a week"')]
    assert server.stop() == 0
    path = tmp_path / "export.txt"
    export = [skywatch_bin, "inspect", "export", "--data-dir", tmp_path / "data", "--out", path]
    done = subprocess.run(export, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    server.start()
    server.query("DROP DATABASE source")
    code, out, err = run(server, "-import", "-path", str(path))
    assert code == 0, out + err
    after = [server.query(f'SELECT * FROM {policy}.m GROUP BY *', "source") for policy in ("autogen", '"a week"')]
    assert after == before
