#!/usr/bin/env python3
"""Runs every check of the repository and ends with one line of counts.

Steps, in order: formatting, lints, Rust tests, the console's tests, then the end-to-end tests against real
counterparts. All steps run even when one fails, so that one run tells everything; what failed in them is run once
more by itself (results.py says what that means).

    tests/run.py              everything
    tests/run.py rust e2e     only these steps (format, lint, rust, console, e2e)
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from results import Tally, add_cargo, add_junit, junit_cases

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "out"
# More failures than this are not the weather: running them again would only take time.
AGAIN_MAX = 10


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
    add_cargo(tally, output, code)
    again = failures_of(tally, "rust")
    if 0 < len(again) <= AGAIN_MAX:
        announce("what failed of them, by itself")
        tally.settle({failure.name for failure in again if passes_alone(failure)})


def passes_alone(failure):
    """Whether a Rust test that failed passes when nothing runs beside it. Cargo is not asked: for one package it might
    build everything anew.
    """
    package, executable = failure.target.split(maxsplit=1)
    metadata = subprocess.check_output(["cargo", "metadata", "--no-deps", "--format-version=1"], cwd=ROOT)
    manifests = {found["name"]: found["manifest_path"] for found in json.loads(metadata)["packages"]}
    home = Path(manifests[package]).parent
    env = dict(os.environ, CARGO_MANIFEST_DIR=str(home))
    code, output = run([str(ROOT / executable), "--exact", failure.test], home, env)
    return code == 0 and "test result: ok. 1 passed" in output


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
    # With all packages in view libraries have the features that the steps before this one have built them with.
    code, _ = run(["cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "skywatch"])
    if code != 0:
        tally.step("e2e: the binary does not build", False)
        return
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = (ROOT / target / "debug").resolve()
    env = dict(os.environ, SKYWATCH_BIN=str(built / "skywatch"))
    if (driver := built / "examples" / "log_driver").exists():
        env["LOG_DRIVER"] = str(driver)  # The step before this one has built it.
    add_junit(tally, "e2e", *pytest("e2e.xml", env, "--durations=25", *workers()))
    again = failures_of(tally, "e2e")
    if 0 < len(again) <= AGAIN_MAX:
        announce("what failed of them, by itself")
        report, _ = pytest("e2e-again.xml", env, *(f"{failure.target}::{failure.test}" for failure in again))
        if report.exists():
            tally.settle({case.name for case in junit_cases("e2e", report) if case.outcome == "passed"})


def pytest(report, env, *options):
    """Runs end-to-end tests; the path of the report, and the exit code."""
    report = OUT / report
    report.unlink(missing_ok=True)
    command = [str(ROOT / "tests/.venv/bin/python"), "-m", "pytest", "-ra", f"--junitxml={report}"]
    # Reports of this form tell the file of a test.
    code, _ = run([*command, "-o", "junit_family=xunit1", *options], ROOT / "tests", env)
    return report, code


def failures_of(tally, kind):
    """Failed tests of `kind` that can be run by themselves."""
    return [failure for failure in tally.failed if failure.target and failure.name.startswith(f"{kind}: ")]


def workers():
    """Files are run beside each other: most of them wait for servers most of the time."""
    count = os.environ.get("SKYWATCH_TEST_WORKERS", "2")
    return ["-n", count, "--dist", "loadgroup"] if count != "1" else []


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
    tally.close()
    print("\n".join(tally.report()), flush=True)
    sys.exit(1 if tally.failed or tally.passed == 0 else 0)


if __name__ == "__main__":
    main()
