"""`skywatch query`: one-shot, interactive through a pseudo-terminal, import; against Skywatch and Debian's InfluxDB."""

import fcntl
import gzip
import http.server
import json
import os
import pty
import re
import select
import signal
import ssl
import struct
import subprocess
import termios
import threading
import time

import pytest
import requests

from conftest import Influxd, answers, free_port, need, wait_until

POINTS = """cpu,host=a\\ b,dc=x idle=97.5,cores=4i,state="up, \\"ok\\"",ok=true 1600000000000000000
cpu,host=c,dc=x idle=3,cores=8i 1600000010000000000
cpu,host=c,dc=x idle=4,ok=false 1600000020000000000
mem used=1i 1600000000000000000"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07")


def start_database(url, name, lines=POINTS):
    """An empty database with points in it, on either server."""
    for q in (f"DROP DATABASE {name}", f"CREATE DATABASE {name}"):
        assert requests.post(f"{url}/query", data={"q": q}, timeout=30).status_code == 200
    answer = requests.post(f"{url}/write", params={"db": name}, data=lines.encode(), timeout=30)
    assert answer.status_code == 204, answer.text


@pytest.fixture(params=["skywatch", "influxd"])
def server(request):
    """The URL of one of the two, with the database `shell`."""
    url = request.getfixturevalue(request.param).url
    start_database(url, "shell")
    return url


@pytest.fixture
def run(skywatch_bin, server):
    """A function that runs `skywatch query --url ... --db shell ARGUMENTS` to its end."""

    def run(*arguments, url=server, code=0, stdin=""):
        command = [skywatch_bin, "query", "--url", url, "--db", "shell", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=stdin)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, command, rows=40, columns=100, **environment):
        self.seen = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            env = {**os.environ, "TERM": "xterm-256color", **environment}
            os.execve(command[0], [str(part) for part in command], env)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def expect(self, text, seconds=20):
        """Waits until `text` has been printed, and forgets everything up to it. Returns what came before."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"waited for {text!r}, saw:\n{self.seen}"
            if not select.select([self.terminal], [], [], left)[0]:
                continue
            try:
                read = os.read(self.terminal, 65536)
            except OSError:
                read = b""
            assert read, f"it ended before {text!r}, having printed:\n{self.seen}"
            self.seen = ESCAPES.sub("", self.seen + read.decode(errors="replace"))
        before, self.seen = self.seen.split(text, 1)
        return before

    def close(self, seconds=20):
        """Its exit code. It must have been told to leave."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"it does not leave, having printed:\n{self.seen}"
            if not select.select([self.terminal], [], [], left)[0]:
                continue
            try:
                read = os.read(self.terminal, 65536)
            except OSError:
                read = b""
            if not read:
                break
            self.seen += ESCAPES.sub("", read.decode(errors="replace"))
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self):
        """If it has not left by itself."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def shell(skywatch_bin, server, tmp_path):
    """A function that opens an interactive shell; what is left of it is killed after the test."""
    opened = []

    def shell(*arguments, url=server, **environment):
        command = [skywatch_bin, "query", "--url", url, "--db", "shell", *arguments]
        environment = {"SKYWATCH_HISTORY": str(tmp_path / "history"), "NO_COLOR": "1", **environment}
        opened.append(Terminal(command, **environment))
        return opened[-1]

    yield shell
    for terminal in opened:
        terminal.kill()


def test_answers_in_every_format(run):
    table = run("SELECT idle, cores FROM cpu GROUP BY host").stdout
    assert table == (
        "cpu  host=a b\n"
        "time                  idle  cores\n"
        "--------------------  ----  -----\n"
        "2020-09-13T12:26:40Z  97.5      4\n"
        "(1 row)\n"
        "\n"
        "cpu  host=c\n"
        "time                  idle  cores\n"
        "--------------------  ----  -----\n"
        "2020-09-13T12:26:50Z     3      8\n"
        "2020-09-13T12:27:00Z     4\n"
        "(2 rows)\n"
    )
    csv = run("--format", "csv", "--precision", "s", "SELECT state, ok FROM cpu GROUP BY host, dc").stdout
    assert csv == 'name,tags,time,state,ok\ncpu,"dc=x,host=a b",1600000000,"up, ""ok""",true\ncpu,"dc=x,host=c",1600000020,,false\n'
    answer = json.loads(run("--format", "json", "--precision", "ms", "SELECT cores FROM cpu").stdout)
    assert answer["results"][0]["series"][0]["values"] == [[1600000000000, 4], [1600000010000, 8]]
    assert '\n    "results"' in run("--format", "json", "--pretty", "SHOW DATABASES").stdout
    lines = run("--format", "line", "SELECT * FROM cpu GROUP BY *").stdout
    assert lines.splitlines()[0] == (
        r'cpu,dc=x,host=a\ b cores=4i,idle=97.5,ok=true,state="up, \"ok\"" 1600000000000000000'
    )
    # Tags come back as tags also when they were not grouped by.
    assert sorted(run("--format", "line", "SELECT * FROM cpu").stdout.splitlines()) == sorted(lines.splitlines())
    vertical = run("--vertical", "on", "SELECT idle FROM cpu LIMIT 1").stdout
    assert vertical == "cpu\n-[ row 1 ]-\ntime  2020-09-13T12:26:40Z\nidle  97.5\n(1 row)\n"
    assert run("SELECT nope FROM cpu").stdout == "(no rows)\n"


def test_scripts_can_trust_exit_codes_and_errors(run, server, tmp_path):
    failed = run("SELECT idle FORM cpu", "SHOW DATABASES", code=1)
    assert failed.stdout == ""
    assert failed.stderr.splitlines()[1:] == ["  SELECT idle FORM cpu", "              ^"]
    assert "found FORM, expected" in failed.stderr
    assert "shell" in run("--keep-going", "SELECT idle FORM cpu", "SHOW DATABASES", code=1).stdout
    # An error of a statement is one in every format, and in the middle of others.
    for form in ("table", "csv", "json", "line"):
        run("--format", form, "SHOW MEASUREMENTS", "SELECT a FROM nope.b.c", code=1)
    assert "is the server running" in run("SHOW DATABASES", url=f"http://127.0.0.1:{free_port()}", code=2).stderr
    secure = server.replace("http://", "https://")
    assert "try http://" in run("SHOW DATABASES", url=secure, code=2).stderr
    run("--format", "xml", code=2)
    script = tmp_path / "script.influxql"
    script.write_text("-- a comment; with a semicolon\nSELECT idle\n  FROM cpu\n  LIMIT 1;\ninsert cpu idle=5 1\nSELECT ';' FORM x")
    done = run("--file", script, code=1)
    assert "97.5" in done.stdout and "SELECT ';' FORM x" in done.stderr
    piped = run(stdin="use shell\nselect cores from cpu limit 1\nprecision s\nselect used from mem\nexit\nselect nope\n")
    assert "2020-09-13T12:26:40Z      4" in piped.stdout and "1600000000     1" in piped.stdout


def test_a_closed_pipe_ends_quietly_and_memory_stays_bounded(run, server, skywatch_bin):
    rows = 200_000
    lines = "\n".join(f'big v={n}i,s="{"x" * 40}" {n}' for n in range(rows))
    start_database(server, "shell", lines)
    ask = [skywatch_bin, "query", "--url", server, "--db", "shell", "SELECT * FROM big", "--precision", "ns"]
    for form in ("csv", "table", "line", "json"):
        arguments = ["--format", form] + (["--chunked"] if form == "json" else [])
        process = subprocess.Popen([*ask, *arguments], stdout=subprocess.PIPE)
        size = most = 0
        while chunk := process.stdout.read(1 << 16):
            size += len(chunk)
            if peak := re.search(r"VmHWM:\s+(\d+) kB", open(f"/proc/{process.pid}/status").read()):
                most = int(peak[1])
        assert process.wait(60) == 0
        assert size > rows * 45
        # Ten thousand rows are a chunk. Without any answer a debug build takes 30 MB.
        assert 0 < most < 48 * 1024, f"{form}: {most} KiB for an answer of {size} bytes"
    closed = subprocess.run(
        ["bash", "-o", "pipefail", "-c", '"$@" | head -2', "_", *ask, "--format", "csv"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (closed.returncode, closed.stderr) == (0, "")
    assert closed.stdout.startswith("name,tags,time,s,v\n")


def test_what_is_printed_as_lines_is_imported_again(run, server, skywatch_bin):
    start_database(server, "copy", "other v=1 1")
    lines = run("--format", "line", "SELECT * FROM cpu", "SELECT * FROM mem").stdout
    done = subprocess.run(
        [skywatch_bin, "query", "import", "--url", server, "--db", "copy"],
        input=lines, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("imported 4 points from 4 lines"), done
    for q in ("SELECT * FROM cpu GROUP BY *", "SHOW FIELD KEYS FROM cpu, mem", "SHOW SERIES FROM cpu, mem"):
        ask = [run("--format", "json", "--db", db, q).stdout for db in ("shell", "copy")]
        assert ask[0] == ask[1]


def test_a_person_at_a_terminal(shell, server, tmp_path):
    terminal = shell()
    terminal.expect("Connected to http://127.0.0.1:")
    terminal.expect("InfluxDB 1.")
    terminal.expect("shell> ")
    # A statement goes on until it is whole.
    terminal.type("select idle, cores\rfrom cpu\r")
    terminal.expect("2020-09-13T12:26:40Z  97.5      4")
    terminal.expect("(3 rows)")
    # Names and values come from the server.
    terminal.type("select cores from cp\t where do\x7fc = 'x' and host = 'a\t")
    terminal.expect("select cores from cpu where dc = 'x' and host = 'a b'")
    terminal.type("\r")
    terminal.expect("(1 row)")
    terminal.type("show tag va\tfrom cpu with key in (ho\t)\r")
    terminal.expect("a b")
    terminal.expect("(2 rows)")
    script = tmp_path / "script"
    script.write_text("insert answer v=42i 1;\nselect v\nfrom answer")
    # Habits of influx, and of other shells.
    for typed, expected in [
        ("precision s\rselect used from mem", "1600000000     1"),
        ("insert mem used=2i 1600000001\rselect used from mem", "1600000001     2"),
        ("insert mem used=\"x\" 1600000001", "ERR: partial write: field type conflict"),
        ("format csv\rselect used from mem limit 1", "mem,,1600000000,1"),
        ("format column\ruse nope", 'ERR: there is no database "nope"'),
        ("use shell.autogen", "using database shell, retention policy autogen"),
        ("settings", "retention policy  autogen"),
        ("select used form mem", "select used form mem\r\n              ^"),
        ("help fill", "fill(previous)"),
        ("\\x\rselect used from mem limit 1", "-[ row 1 ]-"),
        ("\\timing\rshow databases", "time: "),
        ("\\d mem", "fieldKey   used"),
        ("\\o " + str(tmp_path / "out") + "\rshow databases\r\\o", "shell.autogen> "),
        ("\\i " + str(script), "42"),
        ("connect http://127.0.0.1:1", "ERR: cannot reach http://127.0.0.1:1: Connection refused"),
        ("connect " + server, server + ": "),
        ("\\i /nowhere", "ERR: cannot read /nowhere: No such file"),
        ("nonsense", "ERR: error parsing query: found nonsense"),
    ]:
        terminal.type(typed + "\r")
        terminal.expect(expected)
    terminal.type("select sum(used) from mem\r\\watch 0.2\r")
    for _ in range(3):
        terminal.expect("every 0.2 s")
        terminal.expect("sum   3")
    terminal.type("\x03")
    terminal.expect("cancelled")
    # Pasted text is several statements, whatever it looks like.
    terminal.type("\x1b[200~show databases\nselect sum(used) as summed\nfrom mem\nshow measurements\x1b[201~\r")
    terminal.expect("summed  3")
    terminal.expect("name  cpu")
    terminal.type("create user u with password 'secret' form\r")
    terminal.expect("ERR: error parsing query: found form")
    # Ctrl-D is for the line editor, which must be there to see it.
    terminal.expect("shell.autogen> ")
    terminal.type("\x04")
    assert terminal.close() == 0
    history = (tmp_path / "history").read_text()
    assert "select idle, cores" in history and "'[REDACTED]' form" in history and "secret" not in history
    assert "databases" in (tmp_path / "out").read_text()
    again = shell()
    again.expect("shell> ")
    again.type("\x12used from mem limit\r")
    again.expect("(1 row)")
    again.expect("shell> ")
    again.type("exit\r")
    assert again.close() == 0


def test_a_unix_socket_is_a_server_as_well(start_skywatch, skywatch_bin, tmp_path):
    socket, config = tmp_path / "skywatch.sock", tmp_path / "skywatch.toml"
    config.write_text(f'[http]\nunix-socket-enabled = true\nbind-socket = "{socket}"\n')
    start_database(start_skywatch("--config", config).url, "shell")

    def run(*arguments):
        command = [skywatch_bin, *arguments, "--url", f"unix:{socket}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert "2020-09-13T12:26:40Z  97.5" in run("query", "--db", "shell", "SELECT idle FROM cpu").stdout
    backup = run("ctl", "backup", "--quiet", "--verify", tmp_path / "backup")
    assert backup.returncode == 0, backup.stderr
    gone = subprocess.run(
        [skywatch_bin, "query", "--url", f"unix:{tmp_path}/nobody.sock", "SHOW DATABASES"],
        capture_output=True, text=True, timeout=60,
    )
    assert gone.returncode == 2 and "No such file" in gone.stderr, gone


def test_colours_are_for_terminals_that_want_them(shell, run):
    terminal = shell(NO_COLOR="")
    collected = b""
    while b"shell> " not in collected:
        collected += os.read(terminal.terminal, 4096)
    assert b"\x1b[1m" in collected
    terminal.type("\x04")
    assert terminal.close() == 0
    assert "\x1b[" not in run("SHOW DATABASES").stdout


class StandIn(http.server.ThreadingHTTPServer):
    """Answers as the test wants: `behave(request)` is called for every POST; /ping is as it should be."""

    daemon_threads = True

    def __init__(self, behave):
        self.behave = behave
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("X-Influxdb-Version", "1.8.10")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(204)

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.behave(self)


@pytest.fixture
def stand_in():
    """A function that starts one."""
    started = []

    def stand_in(behave):
        started.append(StandIn(behave))
        return started[-1]

    yield stand_in
    for server in started:
        server.shutdown()
        server.server_close()


def test_ctrl_c_ends_the_query_and_not_the_shell(skywatch_bin, stand_in, tmp_path):
    arrived, closed = threading.Event(), threading.Event()

    def behave(request):
        if b"slow" in request.body:
            arrived.set()
            # Nothing more comes on a connection until it is closed.
            if request.connection.recv(1) == b"":
                closed.set()
        else:
            request.answer(200, b'{"results":[{"series":[{"columns":["v"],"values":[["still here"]]}]}]}\n')

    server = stand_in(behave)
    terminal = Terminal([skywatch_bin, "query", "--url", server.url], SKYWATCH_HISTORY="")
    try:
        terminal.expect("> ")
        terminal.type("select slow from m\r")
        assert arrived.wait(20)
        terminal.type("\x03")
        terminal.expect("cancelled")
        assert closed.wait(20), "the connection stayed open"
        terminal.type("select fast from m\r")
        terminal.expect("still here")
        terminal.type("exit\r")
        assert terminal.close() == 0
    finally:
        terminal.kill()


def test_a_slow_server_does_not_hold_up_typing(skywatch_bin, stand_in):
    asked, over = threading.Event(), threading.Event()

    def behave(request):
        asked.set()
        over.wait(60)
        request.answer(200, b'{"results":[]}\n')

    terminal = Terminal([skywatch_bin, "query", "--url", stand_in(behave).url], SKYWATCH_HISTORY="")
    try:
        terminal.expect("> ")
        terminal.type("select v from m\te")
        assert asked.wait(20)
        terminal.expect("select v from me")
        terminal.type("\x15exit\r")
        assert terminal.close() == 0
    finally:
        over.set()
        terminal.kill()


def test_bad_lines_are_named_and_their_neighbours_imported(run, server, skywatch_bin, tmp_path):
    good = [f"import,host=h{n % 50} v={n}i,w=1.5 {n}" for n in range(12_000)]
    lines = ["# DDL", 'CREATE DATABASE "imported" WITH DURATION INF NAME "autogen"', "# DML", "# CONTEXT-DATABASE: imported"]
    lines += ["# CONTEXT-RETENTION-POLICY: autogen", "import v=0i 0", *good]
    lines[7_000] = "import,host=h1 v="
    lines[9_000] = "import,host=h1 v=0.5 9"
    requests.post(f"{server}/query", data={"q": "DROP DATABASE imported"}, timeout=30)
    file = tmp_path / "points.gz"
    file.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    done = subprocess.run([skywatch_bin, "import", "--url", server, file], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == (
        "imported 11999 points from 12006 lines; bad lines: 1, points refused: 1, statements failed: 0\n"
    )
    told = done.stderr.splitlines()
    assert len(told) == 2, told
    assert any(line.startswith("line 7001: unable to parse") for line in told), told
    assert any(line.startswith("line 9001: ") and "field type conflict" in line for line in told), told
    count = run("--db", "imported", "--format", "csv", "SELECT count(w) FROM import").stdout
    assert count.splitlines()[1] == "import,,1970-01-01T00:00:00Z,11998"


def test_a_busy_server_is_waited_for_and_a_lost_one_told_of(stand_in, skywatch_bin, tmp_path):
    file = tmp_path / "points"
    file.write_text("".join(f"m,h={n} v={n}i {n}\n" for n in range(20_000)))
    # None: the connection breaks without an answer.
    statuses, got = iter([503, 429, None, 503, 500]), []
    lock = threading.Lock()

    def busy(request):
        with lock:
            status = next(statuses, 204)
            if status == 204:
                got.extend(request.body.splitlines())
        if status is None:
            request.close_connection = True
        else:
            later = {"Retry_After": "0"} if status == 503 else {}
            request.answer(status, b'{"error":"busy"}' if status != 204 else b"", **later)

    def start(url, *arguments):
        command = [skywatch_bin, "import", "--url", url, "--db", "d", *arguments, file]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    done = start(stand_in(busy).url)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert sorted(got) == sorted(file.read_bytes().splitlines())

    accepted = iter(range(2))

    def refusing(request):
        with lock:
            is_good = next(accepted, None) is not None
        request.answer(204 if is_good else 403, b"" if is_good else b'{"error":"not yours"}')

    done = start(stand_in(refusing).url, "--requests", "1")
    assert done.returncode == 1
    assert "403 Forbidden: not yours; everything before line 10001 is written: go on with --from-line 10001" in done.stderr
    got.clear()
    assert start(stand_in(busy).url, "--from-line", "10001").returncode == 0
    assert len(got) == 10_000 and got[0].startswith(b"m,h=1")


def test_an_export_of_skywatch_goes_into_either_server(skywatch_bin, start_skywatch, server, tmp_path):
    (tmp_path / "source").mkdir()
    source = start_skywatch(directory=tmp_path / "source")
    start_database(source.url, "exported")
    assert source.stop() == 0
    export = tmp_path / "export.gz"
    command = [skywatch_bin, "inspect", "export", "--data-dir", tmp_path / "source" / "data", "--out", export, "--compress"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    requests.post(f"{server}/query", data={"q": "DROP DATABASE exported"}, timeout=30)
    done = subprocess.run(
        [skywatch_bin, "query", "import", "--url", server, export], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done
    ask = {"q": "SELECT * FROM cpu GROUP BY *; SELECT * FROM mem", "epoch": "ns"}
    answers = [
        requests.get(f"{server}/query", params={"db": db, **ask}, timeout=30).json() for db in ("shell", "exported")
    ]
    assert answers[0] == answers[1]


def test_credentials_and_certificates(stand_in, skywatch_bin, tmp_path):
    def guarded(request):
        if request.headers.get("Authorization") == "Basic bWU6c2VjcmV0":
            request.answer(200, b'{"results":[{"series":[{"columns":["who"],"values":[["me"]]}]}]}\n')
        else:
            request.answer(401, b'{"error":"unable to parse authentication credentials"}')

    def ask(url, *arguments, **environment):
        command = [skywatch_bin, "query", "--url", url, *arguments, "SHOW DATABASES"]
        env = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, stdin=subprocess.DEVNULL)

    url = stand_in(guarded).url
    refused = ask(url)
    assert refused.returncode == 2
    assert "unable to parse authentication credentials; give a user with --user" in refused.stderr
    assert "me" in ask(url, "--user", "me", "--password", "secret").stdout
    assert "me" in ask(url, SKYWATCH_USER="me", SKYWATCH_PASSWORD="secret").stdout
    assert "me" in ask(url.replace("://", "://me:secret@")).stdout
    assert "set SKYWATCH_PASSWORD" in ask(url, "--user", "me").stderr
    prompted = Terminal([skywatch_bin, "query", "--url", url, "--user", "me", "SHOW DATABASES"])
    prompted.expect("password of me: ")
    # What is typed before the program is ready would be echoed by the terminal.
    wait_until(lambda: not termios.tcgetattr(prompted.terminal)[3] & termios.ECHO, "no echo")
    prompted.type("secret\r")
    assert "secret" not in prompted.expect("(1 row)")
    assert prompted.close() == 0

    openssl = need("openssl", "openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    server = stand_in(guarded)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    secure = server.url.replace("http://", "https://me:secret@")
    untrusted = ask(secure)
    assert untrusted.returncode == 2 and "--ca FILE" in untrusted.stderr, untrusted.stderr
    assert "me" in ask(secure, "--ca", certificate).stdout
    assert "me" in ask(secure, "--insecure").stdout
    assert "it holds no certificate" in ask(secure, "--ca", __file__).stderr


@pytest.fixture
def guarded_influxd(tmp_path):
    """Debian's InfluxDB with authentication, and an administrator `root` with the password `it's "me"`."""
    server = Influxd(tmp_path, http="auth-enabled = true\nlog-enabled = false").start()
    create = """CREATE USER root WITH PASSWORD 'it\\'s "me"' WITH ALL PRIVILEGES"""
    assert "error" not in requests.post(f"{server.url}/query", data={"q": create}, timeout=30).json()["results"][0]
    yield server
    server.stop()


def test_a_guarded_influxdb_lets_in_who_it_knows(guarded_influxd, shell, skywatch_bin, tmp_path):
    url = guarded_influxd.url
    points = tmp_path / "points"
    points.write_text("# DDL\nCREATE DATABASE guarded\n# DML\n# CONTEXT-DATABASE: guarded\nm v=1i 1\n")

    def run(*arguments, password=None, code=0):
        env = {**os.environ, **({"SKYWATCH_USER": "root", "SKYWATCH_PASSWORD": password} if password else {})}
        command = [skywatch_bin, *arguments, "--url", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode == code, done
        return done

    password = "it's \"me\""
    assert "statements failed: 0" in run("import", points, password=password).stdout
    assert "guarded" in run("query", "SHOW DATABASES", password=password).stdout
    assert "authorization failed" in run("query", "SHOW DATABASES", password="wrong", code=2).stderr
    assert "SKYWATCH_PASSWORD" in run("query", "SHOW DATABASES", code=2).stderr
    # At a terminal, nobody has to begin anew.
    terminal = shell(url=url)
    terminal.expect("shell> ")
    terminal.type("show databases\r")
    terminal.expect("ERR: ")
    terminal.expect("shell> ")
    terminal.type("auth\r")
    terminal.expect("user: ")
    terminal.type("root\r")
    terminal.expect("password of root: ")
    wait_until(lambda: not termios.tcgetattr(terminal.terminal)[3] & termios.ECHO, "no echo")
    terminal.type(password + "\r")
    terminal.expect("shell> ")
    terminal.type("show databases\r")
    assert password not in terminal.expect("guarded")
    terminal.expect("shell> ")
    terminal.type("\x04")
    assert terminal.close() == 0
    assert "auth" not in (tmp_path / "history").read_text()
