#!/usr/bin/env python3
"""Prints the package's copyright file: the licence of Skywatch, and of every crate that is part of the binary.

Which crates those are cargo says, from the lock file; nothing is fetched.
"""

import json
import subprocess
from collections import defaultdict

HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: skywatch
Comment:
 The binary holds the libraries that are listed at the end, as their authors
 publish them, under the licences that stand beside them. Where there is a choice
 (OR), Skywatch takes the first.

Files: *
Copyright: 2026 The Skywatch authors
License: Apache-2.0

License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
Comment: Libraries in the binary:
"""


def packages():
    """The packages that the binary is linked from, build tools left out."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"]
    host = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    target = next(line.split()[1] for line in host.splitlines() if line.startswith("host:"))
    metadata = json.loads(subprocess.run(command + [target], capture_output=True, text=True, check=True).stdout)
    known = {package["id"]: package for package in metadata["packages"]}
    edges = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    start = next(id for id, package in known.items() if package["name"] == "skywatch")
    seen, waiting = {start}, [start]
    while waiting:
        for dependency in edges[waiting.pop()]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    return [known[id] for id in seen if known[id]["source"]]


def main():
    by_licence = defaultdict(list)
    for package in packages():
        by_licence[package["license"] or "see its source"].append(f"{package['name']} {package['version']}")
    print(HEAD, end="")
    for licence in sorted(by_licence):
        print(f" .\n {licence}:")
        for name in sorted(by_licence[licence]):
            print(f"  {name}")


if __name__ == "__main__":
    main()
