"""What the runners said: how many passed, what failed and why, and what to ask again.

A test that fails is run once more when everything else has ended, by itself. One that passes then is `unstable`: it is
named in the report, with what it said, and to be mended, but whoever reads the outcome is told of the change and not of
the weather. More than `UNSTABLE_MAX` of them are no weather: then each is a failure.
"""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

UNSTABLE_MAX = 3
# Of what a failed test said, the last lines are printed again at the end.
SAID_LINES_MAX = 40


@dataclass
class Failure:
    """A test that failed: its name for people, what it said, and what runs it again: `target` is a test executable with its
    package, or pytest's file; empty where it cannot be run by itself."""

    name: str
    said: str = ""
    target: str = ""
    test: str = ""


@dataclass
class Tally:
    """What passed, failed and was skipped, by name where a name is worth printing."""

    passed: int = 0
    failed: list = field(default_factory=list)
    unstable: list = field(default_factory=list)
    skipped: list = field(default_factory=list)

    def step(self, name, ok):
        if ok:
            self.passed += 1
        else:
            self.failed.append(Failure(name))

    def settle(self, passed_alone):
        """Moves failures whose names are in `passed_alone` to the unstable ones."""
        for failure in [failure for failure in self.failed if failure.name in passed_alone]:
            self.failed.remove(failure)
            self.unstable.append(failure)

    def close(self):
        """Counts the unstable ones: as passed while they are few."""
        if len(self.unstable) > UNSTABLE_MAX:
            self.failed += self.unstable
            self.unstable = []
        self.passed += len(self.unstable)

    def report(self):
        """The lines that end a run: names first, then what the failed ones said, then the counts."""
        yield from (f"SKIPPED  {name}" for name in self.skipped)
        for word, failures in (("UNSTABLE", self.unstable), ("FAILED", self.failed)):
            for failure in failures:
                yield f"{word:<8} {failure.name}"
                yield from (f"    | {line}" for line in failure.said.splitlines()[-SAID_LINES_MAX:])
        if self.unstable:
            yield f"{len(self.unstable)} failed beside others and passed alone: they count as passed, and want mending"
        yield f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def add_cargo(tally, output, code):
    """Adds what `cargo test --no-fail-fast` printed."""
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", output, re.M)
    tally.passed += sum(int(passed) for passed, _, _ in results)
    tally.skipped += [f"rust: {name}" for name in re.findall(r"^test (.+) \.\.\. ignored", output, re.M)]
    failures = list(cargo_failures(output))
    tally.failed += failures
    if not results or (code != 0 and not failures):
        tally.failed.append(Failure("rust: cargo test did not run to its end"))


def cargo_failures(output):
    """Each failed test, with what it printed and how cargo names the target that it is in."""
    # Cargo ends each failed target with this line; what came since the one before belongs to it or to targets that passed.
    parts = re.split(r"^error: (?:doc)?test failed, to rerun pass `(.+)`$", output, flags=re.M)
    for text, target in zip(parts[0::2], parts[1::2]):
        executables = re.findall(r"^ +Running \S.* \((.+)\)$", text, re.M)
        package = re.match(r"-p (\S+) (?!--doc)", target)
        again = f"{package[1]} {executables[-1]}" if package and executables else ""
        said = dict(re.findall(r"^---- (.+?) stdout ----\n(.*?)(?=^---- |^failures:$|\Z)", text, re.M | re.S))
        for test in re.findall(r"^test (.+) \.\.\. FAILED$", text, re.M):
            # Tests that should panic carry a remark behind their name.
            name = test.removesuffix(" - should panic")
            told = said.get(test, said.get(name, "")).partition("stack backtrace:")[0]
            yield Failure(f"rust: {name} ({target})", told.strip(), again, name)


def add_junit(tally, kind, report, code):
    """Adds the results of a JUnit XML report; a missing or unreadable report is a failure."""
    try:
        cases = list(junit_cases(kind, report))
    except (OSError, ElementTree.ParseError) as error:
        tally.failed.append(Failure(f"{kind}: no readable report ({error})"))
        return
    failed_before = len(tally.failed)
    for case in cases:
        if case.outcome == "failed":
            tally.failed.append(Failure(case.name, case.said, case.file, case.test))
        elif case.outcome == "skipped":
            tally.skipped.append(f"{case.name} ({case.said or 'no reason given'})")
        else:
            tally.passed += 1
    if not cases or (code != 0 and len(tally.failed) == failed_before):
        tally.failed.append(Failure(f"{kind}: the runner ended with exit code {code} after {len(cases)} tests"))


@dataclass
class Case:
    """One test of a JUnit XML report; `outcome` is passed, failed or skipped."""

    name: str
    outcome: str
    said: str
    file: str
    test: str


def junit_cases(kind, report):
    """Each test of a JUnit XML report."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        # Behind the last @ pytest-xdist tells which tests had to share a worker.
        test = re.sub(r"@[^@\]]*$", "", case.get("name"))
        outcome, said = "passed", ""
        for tag in ("failure", "error", "skipped"):
            if (found := case.find(tag)) is not None:
                skipped = tag == "skipped"
                outcome = "skipped" if skipped else "failed"
                said = (not skipped and found.text) or found.get("message") or ""
                break
        yield Case(f"{kind}: {case.get('classname')}.{test}", outcome, said, case.get("file", ""), test)
