#!/usr/bin/env python3
"""Runs every check of the repository and ends with one line of counts.

Steps, in order: formatting, lints, Rust tests, the console's tests, then the end-to-end tests against real
counterparts. All steps run even when one fails, so that one run tells everything.

    tests/run.py              everything
    tests/run.py rust e2e     only these steps (format, lint, rust, console, e2e)
"""

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "out"


class Tally:
    """What passed, failed and was skipped, by name where a name is worth printing."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def step(self, name, ok):
        if ok:
            self.passed += 1
        else:
            self.failed.append(name)


def announce(text):
    print(f"\n=== {text}", flush=True)


def run(command, cwd=ROOT, env=None):
    """Runs a command, passing its output through, and returns (exit code, output)."""
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()
    return process.wait(), "".join(lines)


def check_format(tally):
    announce("formatting")
    code, _ = run(["cargo", "fmt", "--all", "--check"])
    tally.step("cargo fmt --check (run `make fix`)", code == 0)


def check_lints(tally):
    announce("lints")
    code, _ = run(
        ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]
    )
    tally.step("cargo clippy", code == 0)


def rust_tests(tally):
    announce("Rust unit, property and integration tests")
    code, output = run(["cargo", "test", "--workspace", "--locked", "--no-fail-fast"])
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", output, re.M)
    tally.passed += sum(int(passed) for passed, _, _ in results)
    failures = re.findall(r"^test (.+) \.\.\. FAILED$", output, re.M)
    tally.failed += [f"rust: {name}" for name in failures]
    tally.skipped += [f"rust: {name}" for name in re.findall(r"^test (.+) \.\.\. ignored", output, re.M)]
    if not results or (code != 0 and not failures):
        tally.failed.append("rust: cargo test did not run to its end")


def console_tests(tally):
    announce("console: types and unit tests")
    env = dict(os.environ)
    node = ROOT / ".node" / "bin"
    if node.exists():
        env["PATH"] = f"{node}:{env['PATH']}"
    code, _ = run(["npm", "run", "--silent", "check"], ROOT / "console", env)
    tally.step("console: typecheck", code == 0)
    report = OUT / "console.xml"
    report.unlink(missing_ok=True)
    code, _ = run(
        ["npx", "vitest", "run", "--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"],
        ROOT / "console",
        env,
    )
    add_junit(tally, "console", report, code)


def end_to_end_tests(tally):
    announce("end-to-end tests against real counterparts")
    code, _ = run(["cargo", "build", "--quiet", "--locked", "-p", "skywatch"])
    if code != 0:
        tally.failed.append("e2e: the binary does not build")
        return
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = (ROOT / target / "debug").resolve()
    env = dict(os.environ, SKYWATCH_BIN=str(built / "skywatch"))
    if (driver := built / "examples" / "log_driver").exists():
        env["LOG_DRIVER"] = str(driver)  # The step before this one has built it.
    report = OUT / "e2e.xml"
    report.unlink(missing_ok=True)
    code, _ = run(
        [str(ROOT / "tests/.venv/bin/python"), "-m", "pytest", "-ra", f"--junitxml={report}", *workers()],
        ROOT / "tests",
        env,
    )
    add_junit(tally, "e2e", report, code)


def workers():
    """Files are run beside each other: most of them wait for servers most of the time."""
    count = os.environ.get("SKYWATCH_TEST_WORKERS", "2")
    return ["-n", count, "--dist", "loadgroup"] if count != "1" else []


def add_junit(tally, kind, report, code):
    """Adds the results of a JUnit XML report; a missing or unreadable report is a failure."""
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        tally.failed.append(f"{kind}: no readable report ({error})")
        return
    failed_before = len(tally.failed)
    for case in cases:
        name = f"{kind}: {case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(name)
        elif (skip := case.find("skipped")) is not None:
            tally.skipped.append(f"{name} ({skip.get('message') or 'no reason given'})")
        else:
            tally.passed += 1
    if not cases or (code != 0 and len(tally.failed) == failed_before):
        tally.failed.append(f"{kind}: the runner ended with exit code {code} after {len(cases)} tests")


STEPS = {
    "format": check_format,
    "lint": check_lints,
    "rust": rust_tests,
    "console": console_tests,
    "e2e": end_to_end_tests,
}


def main():
    unknown = [name for name in sys.argv[1:] if name not in STEPS]
    if unknown:
        sys.exit(f"unknown step {unknown[0]!r}: {', '.join(STEPS)}")
    OUT.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    began = time.monotonic()
    for name in sys.argv[1:] or STEPS:
        step_began = time.monotonic()
        STEPS[name](tally)
        print(f"--- {name}: {time.monotonic() - step_began:.0f} s", flush=True)
    announce(f"all of it took {time.monotonic() - began:.0f} s")
    for name in tally.failed:
        print(f"FAILED  {name}")
    for name in tally.skipped:
        print(f"SKIPPED {name}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped", flush=True)
    sys.exit(1 if tally.failed or tally.passed == 0 else 0)


if __name__ == "__main__":
    main()
