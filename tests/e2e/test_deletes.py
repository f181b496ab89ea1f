"""What is deleted stays deleted, through restarts, crashes, flushes and merges; what is written afterwards stays."""

import pytest

HOUR = 3_600_000_000_000
WEEK = 7 * 24 * HOUR


def stop(server):
    """An orderly end: memory goes to segments."""
    assert server.stop() == 0, server.output()


RESTARTS = {"stop": stop, "kill -9": lambda server: server.kill()}


@pytest.fixture(params=RESTARTS)
def restart(request):
    """A function that ends a server in one of the ways there are and starts it again."""

    def again(server):
        RESTARTS[request.param](server)
        server.start()

    return again


def fill(server, hosts="abc", count=200, value=0):
    """Points of several hosts over two shards."""
    lines = [f"cpu,host={host} v={value + n}i,t=\"x{n}\" {n * WEEK // 100}" for host in hosts for n in range(count)]
    assert server.write("\n".join(lines)).status_code == 204


def counts(server):
    """The number of points of each host."""
    series = server.query("SELECT count(v) FROM cpu GROUP BY host")["results"][0].get("series", [])
    return {one["tags"]["host"]: one["values"][0][1] for one in series}


def schema(server):
    return server.query("SHOW MEASUREMENTS; SHOW SERIES; SHOW FIELD KEYS; SHOW TAG VALUES WITH KEY = host")


def delete(server, text):
    assert server.query(text) == {"results": [{"statement_id": 0}]}


# Each: the statement, and how many points of a, b and c it leaves of 200 each.
STATEMENTS = [
    ("DELETE FROM cpu WHERE host = 'a'", {"b": 200, "c": 200}),
    (f"DELETE FROM cpu WHERE time < {WEEK // 2}", {"a": 150, "b": 150, "c": 150}),
    (f"DELETE FROM cpu WHERE host = 'b' AND time >= {WEEK}", {"a": 200, "b": 100, "c": 200}),
    ("DELETE WHERE host =~ /a|c/", {"b": 200}),
    ("DELETE FROM cpu", {}),
    ("DROP SERIES FROM cpu WHERE host = 'c'", {"a": 200, "b": 200}),
    ("DROP MEASUREMENT cpu", {}),
]


@pytest.mark.parametrize("flushed", [False, True], ids=["in memory", "in segments"])
@pytest.mark.parametrize("statement, left", STATEMENTS, ids=[text for text, _ in STATEMENTS])
def test_deleted_stays_deleted(skywatch, restart, flushed, statement, left):
    fill(skywatch)
    if flushed:
        stop(skywatch)
        skywatch.start()
    delete(skywatch, statement)
    assert counts(skywatch) == left
    names = schema(skywatch)
    for _ in range(2):
        restart(skywatch)
        assert counts(skywatch) == left
        assert schema(skywatch) == names


def test_what_is_written_afterwards_stays(skywatch, restart):
    fill(skywatch)
    delete(skywatch, "DELETE FROM cpu WHERE host = 'a'")
    delete(skywatch, f"DELETE FROM cpu WHERE host = 'b' AND time < {WEEK}")
    fill(skywatch, hosts="ab", count=10, value=1000)
    for _ in range(3):
        assert counts(skywatch) == {"a": 10, "b": 110, "c": 200}
        assert skywatch.rows("SELECT sum(v) FROM cpu WHERE host = 'a'")[0][1] == sum(range(1000, 1010))
        assert skywatch.rows(f"SELECT sum(v) FROM cpu WHERE host = 'b' AND time < {WEEK}")[0][1] == 10045
        restart(skywatch)


def test_a_field_comes_back_with_another_type(skywatch, restart):
    fill(skywatch)
    assert skywatch.write('cpu,host=a v="text" 1').status_code == 400
    delete(skywatch, "DROP MEASUREMENT cpu")
    restart(skywatch)
    assert skywatch.write('cpu,host=a v="text" 1').status_code == 204
    for _ in range(2):
        assert skywatch.rows("SELECT v FROM cpu", epoch="ns") == [[1, "text"]]
        assert skywatch.rows("SHOW FIELD KEYS") == [["v", "string"]]
        restart(skywatch)


def test_over_and_over(skywatch, restart):
    """The same points written, deleted, flushed and written again: only the last writing is there."""
    for number in range(4):
        fill(skywatch, count=50, value=number * 100)
        delete(skywatch, "DELETE FROM cpu WHERE host = 'a'" if number % 2 else f"DELETE FROM cpu WHERE time < {WEEK // 10}")
        restart(skywatch)
        assert counts(skywatch) == ({"b": 50, "c": 50} if number % 2 else {"a": 40, "b": 40, "c": 40})
        assert skywatch.rows("SELECT max(v) FROM cpu")[0][1] == number * 100 + 49


def test_a_delete_while_memory_is_flushed(start_skywatch, tmp_path, restart):
    """Little memory for points, so that flushes and merges run all the time between writes and deletes."""
    config = tmp_path / "skywatch.toml"
    config.write_text(f"[data]\nwrite-memory-bytes = {64 << 20}\n")
    server = start_skywatch("--config", str(config))
    server.query("CREATE DATABASE db")
    expected = {}
    for number in range(30):
        host = f"h{number % 5}"
        first = number * 2000
        text = "y" * 1000
        lines = "\n".join(f'cpu,host={host} v={n}i,t="{text}{n}" {n}' for n in range(first, first + 2000))
        answer = server.write(lines)
        while answer.status_code == 503:
            answer = server.write(lines)
        assert answer.status_code == 204, answer.text
        expected.setdefault(host, set()).update(range(first, first + 2000))
        if number % 4 == 3:
            delete(server, f"DELETE FROM cpu WHERE host = '{host}'")
            del expected[host]
        elif number % 4 == 1:
            delete(server, f"DELETE FROM cpu WHERE time >= {first - 3000} AND time < {first + 500}")
            expected = {name: {n for n in kept if not first - 3000 <= n < first + 500} for name, kept in expected.items()}
    for _ in range(2):
        found = {}
        for _, name, v in server.rows("SELECT host, v FROM cpu"):
            found.setdefault(name, set()).add(v)
        assert found == {name: kept for name, kept in expected.items() if kept}
        restart(server)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM notes WHERE text != 't1'",
        "DELETE FROM notes WHERE text !~ /t1/",
        "DELETE FROM notes WHERE text = ''",
        "DELETE FROM notes WHERE text = 't1'",
        "DELETE WHERE text != 't1'",
        "DELETE FROM notes WHERE text::field != 't1'",
        "DROP SERIES FROM notes WHERE text != 't1'",
    ],
)
def test_a_condition_on_a_field_deletes_nothing(skywatch, statement):
    """A field taken for a tag that no series has would choose every series."""
    lines = 'notes,host=a text="t1" 1000000000\nnotes,host=a text="t2" 2000000000'
    assert skywatch.write(lines).status_code == 204
    error = skywatch.query(statement)["results"][0]["error"]
    assert error == "fields not supported in WHERE clause during deletion"
    assert len(skywatch.rows("SELECT text FROM notes")) == 2
