"""The memory budget: a hammered server stays within it, refuses in so many words, and is well afterwards."""

import threading
import time

import pytest
import requests
from conftest import wait_until

BUDGET = 256 << 20
#: Code, stacks, connections, the allocator's slack. Mapped segments are not counted: the kernel takes them back.
ALLOWANCE = 224 << 20
SECONDS = 25


def anonymous_bytes(pid):
    """Memory that only the process itself can give back."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def metrics(server):
    """Values of /metrics by name with labels."""
    lines = server.session.get(f"{server.url}/metrics", timeout=30).text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and line[0] != "#"}


def body(writer, number, lines=60_000):
    """Some 8 MB: rows of many series, a third of them new each time."""
    rows = []
    for row in range(lines):
        series = row % 4_000 if row % 3 else f"{number}-{row % 300}"
        time_ns = (number * lines + row) * 1_000_000
        rows.append(
            f"cpu,writer=w{writer},host=host-{series} usage_user={row % 97},usage_system={row % 89}.5,"
            f'state="some text that takes room {row % 1000}" {time_ns}'
        )
    return "\n".join(rows).encode()


QUERIES = [
    "SELECT median(usage_user) FROM cpu",
    "SELECT * FROM cpu GROUP BY *",
    "SELECT * FROM cpu ORDER BY time DESC",
    "SELECT percentile(usage_system, 99), median(usage_user) FROM cpu GROUP BY host",
    "SELECT mean(m) FROM (SELECT usage_user AS m FROM cpu)",
    "SHOW TAG VALUES WITH KEY = host",
    "SHOW SERIES",
]


def test_a_hammered_server_stays_within_its_budget(start_skywatch):
    server = start_skywatch("--memory-budget", "256m", "--durability", "none")
    server.query("CREATE DATABASE db")
    stop = time.monotonic() + SECONDS
    answers, problems, written = [], [], [0] * 6

    def write(writer):
        session = requests.Session()
        bodies = [body(writer, number) for number in range(2)]
        number = 0
        while time.monotonic() < stop:
            answer = session.post(f"{server.url}/write?db=db", data=bodies[number % 2], timeout=120)
            answers.append(("write", answer.status_code))
            if answer.status_code == 204:
                written[writer] += 1
            elif answer.status_code != 503 or "Retry-After" not in answer.headers or not answer.json()["error"]:
                problems.append((answer.status_code, answer.text[:300]))
            number += 1

    def query(reader):
        session = requests.Session()
        number = reader
        while time.monotonic() < stop:
            q = QUERIES[number % len(QUERIES)]
            number += 1
            try:
                with session.get(
                    f"{server.url}/query", params={"db": "db", "q": q, "chunked": "true"}, timeout=120, stream=True
                ) as answer:
                    tail = b""
                    for part in answer.iter_content(1 << 20):
                        tail = (tail + part)[-2_000:]
                        if time.monotonic() > stop + 20:
                            break
            except requests.RequestException:
                answers.append((q, "cut off"))
                continue
            refused = b"memory for queries is full" in tail or b"max-query-memory limit exceeded" in tail
            answers.append((q, "refused" if refused else answer.status_code))
            if answer.status_code == 503 and "Retry-After" not in answer.headers:
                problems.append((q, tail))
            elif answer.status_code not in (200, 503):
                problems.append((q, answer.status_code, tail))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    threads += [threading.Thread(target=query, args=(reader,)) for reader in range(5)]
    for thread in threads:
        thread.start()
    most, most_counted = 0, 0
    while any(thread.is_alive() for thread in threads):
        assert server.running(), f"it died: {server.output()[-2000:]}"
        most = max(most, anonymous_bytes(server.process.pid))
        counted = sum(value for name, value in metrics(server).items() if name.startswith("skywatch_memory_used_bytes"))
        most_counted = max(most_counted, counted)
        time.sleep(0.1)
    summary = {key: answers.count(key) for key in set(answers)}
    print(f"most {most >> 20} MiB, counted {int(most_counted) >> 20} MiB of {BUDGET >> 20}; {summary}")
    assert not problems, problems[:3]
    assert most <= BUDGET + ALLOWANCE, f"{most >> 20} MiB"
    assert most_counted <= BUDGET * 1.1, f"{int(most_counted) >> 20} MiB counted"
    assert sum(written) >= 6, summary
    # Afterwards all is well: what was taken came back, and both writes and queries are served.
    assert server.write("after f=1 1").status_code == 204
    assert server.rows("SELECT f FROM after", epoch="ns") == [[1, 1]]
    for writer, count in enumerate(written):
        if count >= 2:
            rows = server.rows(f"SELECT count(usage_user) FROM cpu WHERE writer = 'w{writer}'")
            assert rows[0][1] >= 60_000

    def idle():
        now = metrics(server)
        return all(
            now[f'skywatch_memory_used_bytes{{consumer="{consumer}"}}'] == 0
            for consumer in ("queries", "batches", "bodies", "answers")
        )

    wait_until(idle, "queries and requests to give their memory back")


def test_a_body_that_could_never_fit_is_told_so(start_skywatch):
    server = start_skywatch("--memory-budget", "100m")
    server.query("CREATE DATABASE db")
    answer = server.session.post(f"{server.url}/write?db=db", data=b"m f=1 1\n" * 3_000_000, timeout=60)
    assert answer.status_code == 413 and "smaller pieces" in answer.json()["error"], answer.text
    assert server.write("m f=1 1").status_code == 204


@pytest.mark.parametrize("gauge", ["index", "memtables", "queries", "batches", "bodies", "maintenance", "answers"])
def test_every_consumer_shows_in_metrics(skywatch, gauge):
    now = metrics(skywatch)
    used = now[f'skywatch_memory_used_bytes{{consumer="{gauge}"}}']
    assert 0 <= used < now[f'skywatch_memory_limit_bytes{{consumer="{gauge}"}}'] < now["skywatch_memory_budget_bytes"]
