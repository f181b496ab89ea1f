#!/usr/bin/env python3
"""Asks a real InfluxDB what it says to the statements of statements.txt, and writes its answers into that file.

    influxd -config some.conf &        # an empty one: every statement is run
    tests/record.py http://127.0.0.1:8086

Entries (see the head of the file) keep their order, comments and canonical texts; only errors are rewritten. An entry
that changes between accepted and refused is printed, since its `=` line is then missing or superfluous.
"""

import json
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

FILE = pathlib.Path(__file__).with_name("statements.txt")
PREFIX = "error parsing query: "


def verdict(server, statement):
    """The parser's error, or None if the statement was accepted, whatever came of it."""
    form = urllib.parse.urlencode({"q": statement, "db": "db"}).encode()
    try:
        with urllib.request.urlopen(f"{server}/query", form) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
    message = answer.get("error", "")
    return message.removeprefix(PREFIX) if message.startswith(PREFIX) else None


def main():
    """Rewrites the file."""
    server = sys.argv[1].rstrip("/")
    blocks = FILE.read_text().split("\n\n")
    for index, block in enumerate(blocks):
        lines = block.split("\n")
        statement = "\n".join(line[2:] for line in lines if line.startswith("> "))
        if not statement or any(line.startswith("# ours") for line in lines):
            continue
        said = verdict(server, statement)
        was_refused = any(line.startswith("! ") for line in lines)
        if was_refused != (said is not None):
            print(f"changed: {statement!r}: {said!r}")
        if said is not None:
            kept = [line for line in lines if line[:1] in ("#", ">")]
            blocks[index] = "\n".join([*kept, f"! {said}"])
    FILE.write_text("\n\n".join(blocks).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
