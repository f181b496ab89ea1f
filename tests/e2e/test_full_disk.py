"""A full disk: writes are refused with a plain text, reads go on, and room is all it takes to go on writing."""

import os
import random
import subprocess
import time

import pytest
from conftest import wait_until

DISK_MIB = 40
BALLAST_MIB = 24
BATCH = 500


@pytest.fixture
def small_disk(tmp_path):
    """A data directory on a disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    data = tmp_path / "data"
    data.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", data], capture_output=True, text=True
    )
    if mount.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mount.stderr.strip()}")
    yield data
    subprocess.run(["umount", "--lazy", data], check=True)


def batch(first):
    """Points that do not compress."""
    chance = random.Random(first)
    return "\n".join(f'm n={n}i,text="{chance.randbytes(60).hex()}" {n + 1}' for n in range(first, first + BATCH))


def fill(server, first):
    """Writes until the first refusal; returns the number of acknowledged points and the refusal."""
    for start in range(first, first + 2_000_000, BATCH):
        answer = server.write(batch(start))
        if answer.status_code != 204:
            return start, answer
    pytest.fail("the disk does not get full")


def fill_up(filler):
    """Takes all the room that is left."""
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(512)):
                pass
        except OSError:
            pass


def numbers(server):
    return [n for _, n in server.rows("SELECT n FROM m")]


def check(server, acknowledged):
    """Everything acknowledged is there; of the batch that was refused nothing need be."""
    found = numbers(server)
    assert found[:acknowledged] == list(range(acknowledged))
    assert set(found[acknowledged:]) <= set(range(acknowledged, acknowledged + BATCH))


@pytest.mark.parametrize("crash", [False, True], ids=["it goes on", "kill -9 while full"])
def test_full_disk(small_disk, start_skywatch, crash):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_MIB << 20))
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    acknowledged, refusal = fill(server, 0)
    assert acknowledged > 0
    # Clients keep what they could not write and send it again.
    assert refusal.status_code in (500, 503), f"{refusal.status_code} {refusal.text}"
    assert "No space left on device" in refusal.json()["error"]

    # It stays so for a while, and reads go on.
    began = time.monotonic()
    while time.monotonic() - began < 3:
        answer = server.write(batch(acknowledged))
        assert answer.status_code in (204, 500, 503), answer.text
        if answer.status_code == 204:
            acknowledged += BATCH
        check(server, acknowledged)
    assert server.rows("SELECT count(n) FROM m")[0][1] >= acknowledged
    assert server.rows("SHOW FIELD KEYS") == [["n", "integer"], ["text", "string"]]

    filler = small_disk / "filler"
    if crash:
        # Not a byte is left: not for the first log file of the new process either.
        fill_up(filler)
        server.kill()
        server.start()
        check(server, acknowledged)
        assert server.write(batch(acknowledged)).status_code in (500, 503)
        check(server, acknowledged)
        filler.unlink()

    ballast.unlink()
    wait_until(lambda: server.write(batch(acknowledged)).status_code == 204, "a write with room on the disk", 15)
    acknowledged += BATCH
    for _ in range(3):
        assert server.write(batch(acknowledged)).status_code == 204
        acknowledged += BATCH
    check(server, acknowledged)
    server.kill()
    server.start()
    check(server, acknowledged)
    assert server.stop() == 0, server.output()
    server.start()
    check(server, acknowledged)


def test_a_delete_on_a_full_disk(small_disk, start_skywatch):
    """A delete that cannot be made durable is refused; with room it is done, and stays done."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_MIB << 20))
    server = start_skywatch()
    server.query("CREATE DATABASE db")
    acknowledged, _ = fill(server, 0)
    filler = small_disk / "filler"
    fill_up(filler)
    answer = server.query("DELETE FROM m WHERE time <= 100")["results"][0]
    if "error" in answer:
        check(server, acknowledged)
        filler.unlink()
        ballast.unlink()
        wait_until(
            lambda: "error" not in server.query("DELETE FROM m WHERE time <= 100")["results"][0],
            "a delete with room on the disk",
            15,
        )
    else:
        filler.unlink()
        ballast.unlink()
    for _ in range(2):
        assert numbers(server)[: acknowledged - 100] == list(range(100, acknowledged))
        server.kill()
        server.start()
