"""Manual pages and completions, read by the programs that they are for."""

import re
import subprocess

import pytest
from conftest import need

PROGRAMS = ("skywatch", "influxd-ctl")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pages(skywatch_bin, tmp_path_factory):
    """All manual pages, in a directory."""
    directory = tmp_path_factory.mktemp("man") / "man1"
    run(skywatch_bin, "man", "--out", directory, env={"SOURCE_DATE_EPOCH": "1767323045"})
    return directory


def test_every_command_has_a_page_without_complaints(skywatch_bin, pages):
    commands = re.findall(r"^  ([a-z]+) ", run(skywatch_bin, "--help").split("Commands:")[1], re.M)
    assert {"run", "meta", "data", "agent", "ctl", "completions", "man"} <= set(commands)
    for command in set(commands) - {"help"}:
        assert (pages / f"skywatch-{command}.1").exists(), command
    mandoc = need("mandoc", "mandoc")
    said = subprocess.run([mandoc, "-Tlint", "-Wwarning", *sorted(pages.iterdir())], capture_output=True, text=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_pages_read_like_the_help(skywatch_bin, pages):
    text = run(need("mandoc", "mandoc"), "-Tascii", "-Owidth=120", pages / "skywatch-run.1")
    text = re.sub(".\b", "", text)
    assert "SKYWATCH-RUN(1)" in text and "2026-01-02" in text
    assert "--data-dir" in text and "skywatch run --no-agent --no-console" in text
    for program in ("skywatch-ctl", "influxd-ctl"):
        text = re.sub(".\b", "", run("mandoc", "-Tascii", pages / f"{program}.1"))
        assert "truncate-shards" in text and "-delay" in text and "add-data data1:8088" in text
    # One page, by the name of the command or of the page; another name is an error that names those there are.
    assert run(skywatch_bin, "man", "run").startswith(".ie")
    assert "SKYWATCH\\-META" in run(skywatch_bin, "man", "skywatch-meta").replace("SKYWATCH-META", "SKYWATCH\\-META")
    wrong = subprocess.run([skywatch_bin, "man", "nothing"], capture_output=True, text=True)
    assert wrong.returncode == 1 and "skywatch-run" in wrong.stderr


@pytest.fixture(scope="module")
def completions(skywatch_bin, tmp_path_factory):
    """A function: the file for a shell and a program, under the name by which the shell finds it."""

    def completions(shell, program):
        directory = tmp_path_factory.mktemp(shell)
        name = {"bash": program, "zsh": f"_{program}", "fish": f"{program}.fish"}[shell]
        (directory / name).write_text(run(skywatch_bin, "completions", shell, "--program", program))
        return directory / name

    return completions


# What is typed, and what is offered among others.
TYPED = [
    ("skywatch", ["me"], "meta"),
    ("skywatch", ["run", "--data"], "--data-dir"),
    ("skywatch", ["run", "--durability", ""], "interval"),
    ("skywatch", ["ctl", "trunc"], "truncate-shards"),
    ("skywatch", ["ctl", "backup", "--est"], "--estimate"),
    ("influxd-ctl", ["copy-shard-s"], "copy-shard-status"),
    ("influxd-ctl", ["entropy", "sh"], "show"),
    ("influxd-ctl", ["truncate-shards", "--del"], "--delay"),
]


@pytest.mark.parametrize("program, words, offered", TYPED)
def test_bash_completes(completions, program, words, offered):
    script = """
    source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    function=$(complete -p "$1" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
    "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    bash = need("bash", "bash")
    assert offered in run(bash, "-c", script, "bash", completions("bash", program), program, *words).split()


@pytest.mark.parametrize("program, words, offered", TYPED)
def test_fish_completes(completions, program, words, offered, tmp_path):
    fish = need("fish", "fish")
    script = f"source {completions('fish', program)}; complete --do-complete '{program} {' '.join(words)}'"
    lines = run(fish, "--no-config", "-c", script, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}).splitlines()
    assert offered in [line.split("\t")[0] for line in lines]


@pytest.mark.parametrize("program", PROGRAMS)
def test_zsh_loads_and_runs_them(completions, program, tmp_path):
    zsh = need("zsh", "zsh")
    directory = completions("zsh", program).parent
    # A terminal of zsh's own, in which Tab is pressed.
    script = f"""
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell 'PS1=; fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump'
    zpty -w shell 'print known:$_comps[{program}]:'
    zpty -r shell line '*known:_*:*' && print -r -- "$line"
    zpty -w -n shell '{program} '$'\\t'
    zpty -r shell line '*{"completions" if program == "skywatch" else "truncate-shards"}*' && print -r -- offered
    zpty -d shell
    """
    said = run(zsh, "-f", "-c", script, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TERM": "xterm"})
    assert f"known:_{program}:" in said and "offered" in said
