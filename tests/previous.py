"""The binary of the commit before: what a cluster is upgraded from.

    binary = previous_binary()       # a path; skips the test by name where it cannot be had

`SKYWATCH_PREVIOUS_BIN` names one that is there already. Otherwise it is built, once for each commit, from a checkout of its own
in a target directory beside the usual one. Libraries are taken from there compiled, so that only the workspace's own crates are
compiled again, without optimisation: what is asked of it is little. That takes minutes, and `SKYWATCH_PREVIOUS_BIN=skip` saves them.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

# What a binary is made of.
SOURCES = ["crates", "Cargo.toml", "Cargo.lock"]
BUILD_SECONDS_MAX = 1500
# Of the workspace's own crates; the profile of the others is their own.
QUICKLY = {"CARGO_PROFILE_DEV_OPT_LEVEL": "0", "CARGO_PROFILE_DEV_DEBUG": "0"}


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else None


def previous_commit():
    """The last commit whose sources are not those of this tree, or None if the history does not reach so far."""
    if git("status", "--porcelain", "--untracked-files=no", "--", *SOURCES):
        return git("rev-parse", "HEAD")
    changed = git("log", "-n", "1", "--format=%H", "HEAD", "--", *SOURCES)
    # In a shallow clone the oldest commit looks as if it had changed everything.
    return git("rev-parse", "--verify", "--quiet", f"{changed}^") if changed else None


def previous_binary():
    """See the head of the file."""
    given = os.environ.get("SKYWATCH_PREVIOUS_BIN")
    if given == "skip":
        pytest.skip("SKYWATCH_PREVIOUS_BIN=skip: the previous binary is not to be built")
    if given:
        return Path(given)
    if shutil.which("git") is None or git("rev-parse", "HEAD") is None:
        pytest.skip("this is no clone of the repository: there is no previous commit")
    commit = previous_commit()
    if not commit:
        pytest.skip("the previous commit is not in this clone (git fetch --deepen 50)")
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed: the previous binary cannot be built")
    usual = (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
    place = usual / "previous"
    place.mkdir(parents=True, exist_ok=True)
    binary = place / f"skywatch-{commit[:12]}"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            for older in place.glob("skywatch-*"):
                older.unlink()
            build(commit, usual, place, binary)
    return binary


def build(commit, usual, place, binary):
    checkout, target = place / "checkout", place / "target"
    shutil.rmtree(checkout, ignore_errors=True)
    checkout.mkdir()
    archive = subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(checkout)], stdin=archive.stdout, check=True)
    assert archive.wait() == 0, f"git archive {commit}"
    # The console is no matter of the cluster's: the one that is there serves.
    if (ROOT / "console" / "dist").exists():
        shutil.copytree(ROOT / "console" / "dist", checkout / "console" / "dist", dirs_exist_ok=True)
    if not target.exists() and (usual / "debug").exists():
        take_libraries(usual / "debug", target / "debug")
    env = dict(os.environ, CARGO_TARGET_DIR=str(target), **QUICKLY)
    command = ["cargo", "build", "--quiet", "--locked", "--workspace", "--bin", "skywatch"]
    built = subprocess.run(
        command, cwd=checkout, env=env, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX
    )
    assert built.returncode == 0, f"commit {commit} does not build:\n{built.stderr[-3000:]}"
    shutil.copy2(target / "debug" / "skywatch", binary)


def take_libraries(source, target):
    """What was compiled of other people's crates. They are links where nothing is changed in place."""
    for part, copy in (("deps", os.link), ("build", shutil.copy2), (".fingerprint", shutil.copy2)):
        if (source / part).exists():
            ignore = shutil.ignore_patterns("*skywatch*")
            shutil.copytree(source / part, target / part, copy_function=copy, ignore=ignore, symlinks=True)
