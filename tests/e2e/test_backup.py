"""Backups of a running server, incremental, checked and restored; files inspected; line protocol out and in."""

import gzip
import json
import shutil
import subprocess
import threading
import time

import pytest
import requests
from conftest import free_port, need, wait_until

HOUR_NS = 3_600_000_000_000
WEEK_NS = 168 * HOUR_NS


def run(binary, *arguments, code=0, **options):
    """Runs the binary to its end, expecting this exit code; returns standard output and standard error together."""
    command = [str(part) for part in (binary, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def backup(binary, server, directory, *arguments, code=0):
    return run(binary, "ctl", "backup", "--url", server.url, directory, *arguments, code=code)


def restore(binary, server, directory, *arguments, code=0):
    return run(binary, "ctl", "restore", "--url", server.url, *arguments, directory, code=code)


def fill(server, db="db", first=0, count=2000, week=0):
    lines = [
        f'cpu,host=h{n % 7},dc=d\\ {n % 3} usage={n}.5,n={n}i,ok={"true" if n % 2 else "false"},note="n \\"{n}\\"" '
        f"{week * WEEK_NS + (first + n) * 1_000_000_000}"
        for n in range(count)
    ]
    for start in range(0, count, 1000):
        assert server.write("\n".join(lines[start : start + 1000]), db=db).status_code == 204


QUERIES = [
    "SELECT count(*), sum(usage), first(note), last(ok) FROM cpu GROUP BY host, dc",
    "SELECT * FROM cpu LIMIT 50",
    "SHOW SERIES",
    "SHOW FIELD KEYS",
    "SHOW RETENTION POLICIES",
    "SELECT count(v) FROM short.m",
]


def answers_of(server, db):
    return [server.query(q, db, epoch="ns") for q in QUERIES]


def databases(server):
    series = server.query("SHOW DATABASES")["results"][0]["series"][0]
    return [row[0] for row in series.get("values", [])]


def files_of(directory):
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and path.name != "LOCK":
            found[path] = path.stat().st_size
    return found


def bytes_copied(text):
    """From `...; copied 3 files, 1234 bytes`."""
    return int(text.split("; copied ")[1].split(" files, ")[1].split()[0])


@pytest.fixture
def filled(skywatch):
    skywatch.query("CREATE RETENTION POLICY short ON db DURATION INF REPLICATION 1 SHARD DURATION 2h")
    fill(skywatch)
    fill(skywatch, week=40)
    assert skywatch.write("m v=1 5\nm v=2 7200000000005", rp="short").status_code == 204
    return skywatch


@pytest.fixture
def fresh(start_skywatch, tmp_path):
    """A second server, with nothing in it."""
    directory = tmp_path / "fresh"
    directory.mkdir()
    return start_skywatch(directory=directory)


def test_restored_beside_the_original_and_on_a_fresh_server(skywatch_bin, filled, fresh, tmp_path):
    told = backup(skywatch_bin, filled, tmp_path / "b", "--verify")
    assert "backup 1 of" in told and "whole" in told, told
    before = answers_of(filled, "db")
    told = restore(skywatch_bin, filled, tmp_path / "b", code=1)
    assert "exists already" in told and "--new-db" in told, told
    told = restore(skywatch_bin, filled, tmp_path / "b", "--db", "db", "--new-db", "copy")
    assert "restored copy from backup 1" in told, told
    restore(skywatch_bin, fresh, tmp_path / "b")
    assert answers_of(filled, "copy") == before
    assert answers_of(fresh, "db") == before
    # The copies live: written to, restarted, dropped, without the original noticing.
    assert filled.write("cpu,host=new usage=1 99", db="copy").status_code == 204
    assert answers_of(filled, "db") == before
    filled.kill()
    filled.start()
    assert answers_of(filled, "db") == before
    assert filled.rows("SELECT usage FROM cpu WHERE host = 'new'", db="copy", epoch="ns") == [[99, 1]]
    filled.query("DROP DATABASE copy")
    assert answers_of(filled, "db") == before
    told = restore(skywatch_bin, fresh, tmp_path / "b", "--db", "db", "--new-db", "week", "--rp", "short")
    assert fresh.rows("SELECT count(v) FROM m", db="week")[0][1] == 2, told


def test_the_second_backup_copies_what_is_new_and_keeps_the_first(skywatch_bin, filled, fresh, tmp_path):
    directory = tmp_path / "b"
    first = backup(skywatch_bin, filled, directory, "--keep", "2")
    state = answers_of(filled, "db")
    size = sum(files_of(directory).values())
    again = backup(skywatch_bin, filled, directory, "--keep", "2")
    assert bytes_copied(again) == 0, again
    assert filled.write("cpu,host=h1 usage=7 123456789").status_code == 204
    third = backup(skywatch_bin, filled, directory, "--keep", "2")
    assert 0 < bytes_copied(third) < bytes_copied(first) / 5, (first, third)
    assert sum(files_of(directory).values()) < size * 2
    assert sorted(path.name for path in directory.glob("*.json")) == ["backup-0000000002.json", "backup-0000000003.json"]
    restore(skywatch_bin, fresh, directory, "--db", "db", "--new-db", "old", "--number", "2")
    restore(skywatch_bin, fresh, directory)
    assert answers_of(fresh, "old") == state
    assert answers_of(fresh, "db") == answers_of(filled, "db") != state
    # What only forgotten backups needed is gone.
    backup(skywatch_bin, filled, directory)
    record = json.loads((directory / "backup-0000000004.json").read_text().split("\n", 1)[1])
    needed = {
        directory / "files" / str(shard["id"]) / f"{file['checksum']}-{file['name']}"
        for shard in record["shards"]
        for file in shard["files"]
    }
    assert {path for path in files_of(directory) if "files" in path.parts} == needed


def test_parts_are_backed_up_and_restored_as_such(skywatch_bin, filled, fresh, tmp_path):
    directory = tmp_path / "b"
    short = "SELECT count(v) FROM short.m"
    (shards,) = [series for series in filled.query("SHOW SHARDS")["results"][0]["series"] if series["name"] == "db"]
    (earlier, _) = sorted(row[0] for row in shards["values"] if row[2] == "short")
    backup(skywatch_bin, filled, directory)
    told = backup(skywatch_bin, filled, directory, "-db", "db", "-rp", "short", "-shard", str(earlier))
    assert "backup 2 of 1 databases" in told, told
    backup(skywatch_bin, filled, directory, "-strategy", "only-meta")
    assert sorted(path.name for path in directory.glob("*.json")) == [f"backup-000000000{n}.json" for n in (1, 2, 3)]
    told = run(skywatch_bin, "ctl", "restore", "--list", directory)
    assert f"databases: db; only retention policy short, shard {earlier}\n" in told, told
    assert "; only without points\n" in told, told
    # Unless it is named, what is restored is a whole backup.
    told = restore(skywatch_bin, fresh, directory, "--db", "db", "--new-db", "whole")
    assert "from backup 1 of" in told, told
    assert answers_of(fresh, "whole") == answers_of(filled, "db")
    told = restore(skywatch_bin, fresh, directory, "--number", "2", "--db", "db", "--new-db", "one")
    assert f"(only retention policy short, shard {earlier})" in told, told
    assert fresh.rows(short, db="one") == [["1970-01-01T00:00:00Z", 1]]
    restore(skywatch_bin, fresh, directory, "--shard", str(earlier), "--new-db", "chosen", "--db", "db", "--number", "1")
    assert fresh.rows(short, db="chosen") == [["1970-01-01T00:00:00Z", 1]]
    restore(skywatch_bin, fresh, directory, "--number", "3")
    assert fresh.query("SHOW RETENTION POLICIES", "db") == filled.query("SHOW RETENTION POLICIES", "db")
    assert "series" not in fresh.query("SHOW MEASUREMENTS", "db")["results"][0]
    told = backup(skywatch_bin, filled, directory, "--shard", "999", code=1)
    assert 'the backup has no shard "999"; it has' in told, told
    assert "contradict" in backup(skywatch_bin, filled, directory, "--full", "--strategy", "only-meta", code=1)


def test_of_a_range_of_time_nothing_else_comes_back(skywatch_bin, filled, fresh, start_skywatch, tmp_path):
    directory, ranged = tmp_path / "b", ("-start", "1970-01-01T00:10:00Z", "-end", "1970-01-01T00:20:00Z")
    whole = backup(skywatch_bin, filled, directory, "--estimate")
    part = backup(skywatch_bin, filled, directory, *ranged, "--estimate")
    assert 0 < int(part.split()[-2]) < int(whole.split()[-2]), (part, whole)
    told = backup(skywatch_bin, filled, directory, *ranged, "--strategy", "full", "--verify")
    assert "backup 1 of" in told and "whole" in told, told
    # It takes the place of no other backup, and no other one is the less complete for it.
    before = answers_of(filled, "db")
    backup(skywatch_bin, filled, directory)
    assert filled.write("cpu,host=h1 usage=7 123456789").status_code == 204
    backup(skywatch_bin, filled, directory, "--keep", "2", *ranged)
    told = run(skywatch_bin, "ctl", "restore", "-list", directory)
    words = "; only points from 1970-01-01T00:10:00Z to 1970-01-01T00:20:00Z"
    assert [words in line for line in told.splitlines()] == [False, True], told
    restore(skywatch_bin, fresh, directory, "--db", "db", "--new-db", "whole")
    assert answers_of(fresh, "whole") == before

    told = restore(skywatch_bin, fresh, directory, "--number", "3")
    assert f"({words[2:]})" in told, told
    place = tmp_path / "offline"
    place.mkdir()
    run(skywatch_bin, "ctl", "restore", "--data-dir", place / "data", "--number", "3", directory)
    wanted = "SELECT * FROM cpu WHERE time >= '1970-01-01T00:10:00Z' AND time <= '1970-01-01T00:20:00Z'"
    points = filled.rows(wanted, epoch="ns")
    assert len(points) == 601
    for server in (fresh, start_skywatch(directory=place)):
        assert server.rows("SELECT * FROM cpu", epoch="ns") == points
        assert server.rows("SHOW MEASUREMENTS") == [["cpu"]], "none of the others has points of that time"
        assert server.query("SHOW RETENTION POLICIES", "db") == filled.query("SHOW RETENTION POLICIES", "db")
    # Where points were left out, others can be written, and stay.
    assert fresh.write("cpu,host=h1 usage=1 5\ncpu,host=h1 usage=2 24192000000000000").status_code == 204
    fresh.kill()
    fresh.start()
    assert len(fresh.rows("SELECT * FROM cpu")) == 603

    # A range says what it is of; what is none is refused, and nothing is copied.
    other = tmp_path / "other"
    told = backup(skywatch_bin, filled, other, "--start", "2026-05-02T00:00:00Z", "--end", "2026-05-01T00:00:00Z", code=1)
    assert "no point is in between" in told, told
    assert "is not a time such as" in backup(skywatch_bin, filled, other, "--end", "yesterday", code=1)
    told = backup(skywatch_bin, filled, other, *ranged, "--strategy", "only-meta", code=1)
    assert "copies no points" in told, told
    assert not other.exists()


def test_everything_acknowledged_before_a_backup_is_in_it(skywatch_bin, skywatch, fresh, tmp_path):
    stop, acknowledged = threading.Event(), []

    def write():
        session, n = requests.Session(), 0
        while not stop.is_set():
            lines = "\n".join(f"load,k={k} n={n}i {n + 1}" for k in range(20))
            assert session.post(f"{skywatch.url}/write?db=db", data=lines, timeout=30).status_code == 204
            acknowledged.append(n)
            n += 1

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        for round_number in range(4):
            wait_until(lambda: len(acknowledged) > 20 * (round_number + 1), "writes")
            before = acknowledged[-1]
            backup(skywatch_bin, skywatch, tmp_path / "b")
            after = len(acknowledged)
            name = f"r{round_number}"
            restore(skywatch_bin, fresh, tmp_path / "b", "--db", "db", "--new-db", name)
            result = fresh.query("SELECT n FROM load GROUP BY k", db=name, epoch="ns")["results"][0]
            seen = [[row[1] for row in series["values"]] for series in result["series"]]
            assert len(seen) == 20 and all(rows == seen[0] for rows in seen), "a batch is there in part"
            assert seen[0] == list(range(len(seen[0]))) and before < len(seen[0]) <= after + 2
    finally:
        stop.set()
        writer.join(30)


def test_a_client_or_server_killed_midway_costs_nothing(skywatch_bin, filled, fresh, tmp_path):
    directory = tmp_path / "b"
    backup(skywatch_bin, filled, directory)
    state = answers_of(filled, "db")
    for n in range(6):
        fill(filled, first=10_000 * n, week=50 + n)
        command = [str(skywatch_bin), "ctl", "backup", "--url", filled.url, "--quiet", str(directory)]
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.015 * (n + 1))
        if n % 2:
            filled.kill()
            client.wait(30)
            filled.start()
        else:
            client.kill()
            client.wait(30)
        assert run(skywatch_bin, "ctl", "backup", "verify", directory).count("whole") == 1
    # The first one or a later one: whole, whichever.
    assert answers_of(filled, "db") != state
    told = backup(skywatch_bin, filled, directory)
    assert not list(directory.rglob("*.partial")), told
    # The same for a restore: what is cut off leaves nothing, and it can be done again.
    for n in range(4):
        command = [str(skywatch_bin), "ctl", "restore", "--url", fresh.url, "--quiet", str(directory)]
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.015 * (n + 1))
        fresh.kill()
        client.wait(30)
        fresh.start()
        left = [path.name for path in (fresh.directory / "data" / "data").iterdir() if path.suffix == ".staged"]
        assert left == []
        if databases(fresh):
            assert answers_of(fresh, "db") == answers_of(filled, "db"), "half a database is visible"
            fresh.query("DROP DATABASE db")
    restore(skywatch_bin, fresh, directory)
    assert answers_of(fresh, "db") == answers_of(filled, "db")


def test_a_flipped_byte_in_a_backup_is_named_and_refused(skywatch_bin, filled, fresh, tmp_path):
    directory = tmp_path / "b"
    backup(skywatch_bin, filled, directory)
    segment = max((path for path in files_of(directory) if path.suffix == ".seg"), key=lambda path: path.stat().st_size)
    good = segment.read_bytes()
    segment.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    told = run(skywatch_bin, "ctl", "backup", "verify", directory, code=1)
    assert str(segment) in told and "checksum" in told and "DAMAGED" in told, told
    told = restore(skywatch_bin, fresh, directory, code=1)
    assert str(segment) in told and "nothing was restored" in told, told
    segment.unlink()
    assert f"{segment}: is missing" in restore(skywatch_bin, fresh, directory, code=1)
    assert databases(fresh) == []
    segment.write_bytes(good)
    record = directory / "backup-0000000001.json"
    text = record.read_text()
    record.write_text(text.replace('"name": "db"', '"name": "bd"', 1))
    assert str(record) in restore(skywatch_bin, fresh, directory, code=1)
    record.write_text(text)
    restore(skywatch_bin, fresh, directory)


def test_disaster_recovery_without_a_server(skywatch_bin, filled, start_skywatch, tmp_path):
    directory = tmp_path / "b"
    backup(skywatch_bin, filled, directory)
    told = run(skywatch_bin, "ctl", "restore", "--data-dir", filled.directory / "data", directory, code=1)
    assert "in use by process" in told, told
    place = tmp_path / "new"
    place.mkdir()
    run(skywatch_bin, "ctl", "restore", "--data-dir", place / "data", directory)
    server = start_skywatch(directory=place)
    assert answers_of(server, "db") == answers_of(filled, "db")


def test_bad_requests_are_explained(skywatch_bin, skywatch, tmp_path):
    told = run(skywatch_bin, "ctl", "backup", "--url", f"http://127.0.0.1:{free_port()}", tmp_path / "b", code=1)
    assert "cannot reach" in told and "--url" in told, told
    assert "database not found: nope" in backup(skywatch_bin, skywatch, tmp_path / "b", "--db", "nope", code=1)
    told = run(skywatch_bin, "ctl", "backup", "verify", tmp_path / "b", code=1)
    assert "holds no backup" in told, told
    backup(skywatch_bin, skywatch, tmp_path / "b")
    told = restore(skywatch_bin, skywatch, tmp_path / "b", "--db", "nope", code=1)
    assert 'no database "nope"; it has db' in told, told


def test_inspect_verifies_and_names_damage(skywatch_bin, filled, tmp_path):
    data = filled.directory / "data"
    backup(skywatch_bin, filled, tmp_path / "b")
    fill(filled, first=5000)
    told = run(skywatch_bin, "inspect", "verify", data)
    assert "all is well" in told and "a server is running" in told, told
    filled.stop()
    assert "all is well" in run(skywatch_bin, "inspect", "verify", data)
    segments = sorted((data / "data").rglob("*.seg"))
    described = json.loads(run(skywatch_bin, "inspect", "describe", segments[0], "--format", "json"))
    assert described["rows"] == described["measurements"][0]["rows"] > 0
    assert {column["field_type"] for column in described["columns"]} == {"float", "integer", "boolean", "string"}
    told = run(skywatch_bin, "inspect", "describe", data)
    assert "bytes per value" in told and "host" in told and "cpu" in told, told
    for path in [segments[0], *sorted((data / "data").rglob("*.idx"))[:1], segments[0].parent / "MANIFEST"]:
        good = path.read_bytes()
        path.write_bytes(good[:60] + bytes([good[60] ^ 0x40]) + good[61:])
        for target in (path, path.parent, data):
            told = run(skywatch_bin, "inspect", "verify", target, code=1)
            assert f"DAMAGED {path}" in told and "1 damaged place" in told, told
        path.write_bytes(good)
    lost = segments[0].read_bytes()
    segments[0].unlink()
    assert "it is missing" in run(skywatch_bin, "inspect", "verify", data, code=1)
    segments[0].write_bytes(lost)
    assert "all is well" in run(skywatch_bin, "inspect", "verify", data)
    assert "ctl backup verify" in run(skywatch_bin, "inspect", "verify", tmp_path / "b", code=1)
    (tmp_path / "empty").mkdir()
    assert "neither a data directory" in run(skywatch_bin, "inspect", "verify", tmp_path / "empty", code=1)


def test_inspect_reads_a_log_with_a_hole(skywatch_bin, skywatch):
    for n in range(5):
        assert skywatch.write(f"m v={n} {n + 1}").status_code == 204
    skywatch.kill()
    log = max((skywatch.directory / "data" / "data").rglob("*.wal"), key=lambda path: path.stat().st_size)
    described = json.loads(run(skywatch_bin, "inspect", "describe", log, "--format", "json"))
    assert (described["rows"], described["row_records"], described["torn_bytes"]) == (5, 5, 0)
    good = log.read_bytes()
    log.write_bytes(good + b"torn")
    assert "4 bytes after the last whole record" in run(skywatch_bin, "inspect", "verify", log)
    middle = len(good) // 2
    log.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    told = run(skywatch_bin, "inspect", "verify", log, code=1)
    assert f"DAMAGED {log} at offset" in told and "quarantine" in told, told


def test_exported_and_imported_again(skywatch_bin, filled, fresh, tmp_path):
    assert filled.write('odd\\ name,a\\,b=c\\=d text="two\nlines \\\\ and \\"quotes\\"",u=3i 17').status_code == 204
    before = answers_of(filled, "db") + [filled.query('SELECT * FROM "odd name"', epoch="ns")]
    data = filled.directory / "data"
    told = run(skywatch_bin, "inspect", "export", "--data-dir", data, "--out", tmp_path / "x", code=1)
    assert "in use by process" in told, told
    filled.stop()
    run(skywatch_bin, "inspect", "export", "--data-dir", data, "--out", tmp_path / "x.gz", "--compress")
    text = gzip.decompress((tmp_path / "x.gz").read_bytes()).decode()
    assert text.startswith("# INFLUXDB EXPORT: ") and "\n# DDL\nCREATE DATABASE \"db\" WITH " in text
    told = run(skywatch_bin, "import", "--url", fresh.url, tmp_path / "x.gz")
    assert "imported 4003 points" in told, told
    assert answers_of(fresh, "db") + [fresh.query('SELECT * FROM "odd name"', epoch="ns")] == before
    part = run(
        skywatch_bin, "inspect", "export", "--data-dir", data, "--db", "db", "--rp", "short", "--measurement", "m",
        "--start", "1970-01-01T01:00:00Z", "--quiet",
    )
    assert part.splitlines()[-1] == "m v=2 7200000000005" and part.count("m v=") == 1, part


def test_bad_lines_of_an_import_are_named(skywatch_bin, skywatch, tmp_path):
    file = tmp_path / "lines"
    file.write_text("m v=1 1\nm v= 2\n\n# a comment\nm v=3 3\nnot a point\nm v=\"text\" 4\nm v=5 5\n")
    told = run(skywatch_bin, "import", "--url", skywatch.url, file, code=1)
    assert "line 1 has no database" in told, told
    told = run(skywatch_bin, "import", "--url", skywatch.url, "--db", "db", file, code=1)
    for words in ("line 2: ", "line 6: ", "field type conflict", "bad lines: 2, points refused: 1"):
        assert words in told, told
    assert skywatch.rows("SELECT v FROM m", epoch="ns") == [[1, 1], [3, 3], [5, 5]]
    told = run(skywatch_bin, "import", "--url", f"http://127.0.0.1:{free_port()}", "--db", "db", file, code=2)
    assert "is the server running" in told, told
    told = run(skywatch_bin, "import", "--url", skywatch.url, "--db", "other", file, code=1)
    assert "database not found" in told and "--from-line 1" in told, told
    skywatch.query("CREATE DATABASE later")
    told = run(skywatch_bin, "import", "--url", skywatch.url, "--db", "later", "--from-line", "8", file)
    assert skywatch.rows("SELECT v FROM m", db="later", epoch="ns") == [[5, 5]]


def test_influx_imports_what_is_exported(skywatch_bin, filled, influxd, tmp_path):
    influx = need("influx", "influxdb-client")
    before = answers_of(filled, "db")[0]
    filled.stop()
    data = filled.directory / "data"
    run(skywatch_bin, "inspect", "export", "--data-dir", data, "--db", "db", "--out", tmp_path / "x")
    # The server is all tests', and one before may have left a database of that name.
    requests.post(f"{influxd.url}/query", data={"q": "DROP DATABASE db"}, timeout=30).raise_for_status()
    port = influxd.url.rsplit(":", 1)[1]
    told = run(influx, "-host", "127.0.0.1", "-port", port, "-import", "-path", tmp_path / "x")
    assert "Failed 0 inserts" in told, told
    answer = requests.post(f"{influxd.url}/query", params={"db": "db", "epoch": "ns"}, data={"q": QUERIES[0]}, timeout=30)
    assert answer.json() == before
    policies = requests.post(f"{influxd.url}/query", data={"q": "SHOW RETENTION POLICIES ON db"}, timeout=30).json()
    rows = {row[0]: row[1:] for row in policies["results"][0]["series"][0]["values"]}
    assert rows["short"] == ["0s", "2h0m0s", 1, False] and rows["autogen"][3] is True, rows


def test_an_export_of_influx_inspect_is_imported(skywatch_bin, influxd, skywatch, tmp_path):
    tool = shutil.which("influx_inspect")
    if tool is None:
        pytest.skip("influx_inspect is not installed (Debian's influxdb does not ship it)")
    url = f"{influxd.url}/query"
    requests.post(url, data={"q": "CREATE DATABASE src"}, timeout=30)
    lines = "\n".join(f'cpu,host=h{n % 3} v={n},t="x {n}" {n + 1}' for n in range(500))
    assert requests.post(f"{influxd.url}/write?db=src", data=lines, timeout=30).status_code == 204
    directory = influxd.directory
    command = [tool, "export", "-database", "src", "-datadir", f"{directory}/data", "-waldir", f"{directory}/wal"]
    run(*command, "-out", tmp_path / "x")
    run(skywatch_bin, "import", "--url", skywatch.url, tmp_path / "x")
    q = {"q": "SELECT * FROM cpu", "db": "src", "epoch": "ns"}
    assert skywatch.query(q["q"], db="src", epoch="ns") == requests.post(url, data=q, timeout=30).json()


# As influx_inspect 1.8 writes it.
INFLUX_INSPECT_EXPORT = """# INFLUXDB EXPORT: 1677-09-21T00:12:43Z - 2262-04-11T23:47:16Z
# DDL
CREATE DATABASE telegraf WITH NAME autogen
# DML
# CONTEXT-DATABASE:telegraf
# CONTEXT-RETENTION-POLICY:autogen
# writing tsm data
cpu,host=server01 usage=0.64 1434055562000000000
cpu,host=server01 usage=0.65 1434055563000000000
# writing wal data
cpu,host=server02 usage=0.70,state="ok" 1434055562000000000
"""


def test_the_format_of_influx_inspect_is_imported(skywatch_bin, skywatch, tmp_path):
    (tmp_path / "x").write_text(INFLUX_INSPECT_EXPORT)
    told = run(skywatch_bin, "import", "--url", skywatch.url, tmp_path / "x")
    assert "imported 3 points from 11 lines" in told, told
    assert skywatch.rows("SELECT count(usage), sum(usage) FROM cpu", db="telegraf")[0][1:] == [3, 1.99]
