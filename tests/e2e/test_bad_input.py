"""Bad input gets a clear error that says what, where and what to do, and loses nothing."""

import gzip
import os
import socket
import subprocess

import pytest


def run(binary, *arguments, **options):
    """Runs the binary to its end; a server that starts in spite of bad input is a failure."""
    command = [str(part) for part in (binary, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **options)


def test_unknown_configuration_key_is_named_with_its_line(skywatch_bin, tmp_path):
    config = tmp_path / "skywatch.toml"
    config.write_text('[http]\nbind = "127.0.0.1:0"\nmax-bodi-bytes = 3\n')
    done = run(skywatch_bin, "run", "--config", config, "--data-dir", tmp_path / "d")
    assert done.returncode != 0
    for part in (str(config), "line 3", "max-bodi-bytes", "max-body-bytes"):
        assert part in done.stderr, done.stderr
    check = run(skywatch_bin, "config", "check", config)
    assert check.returncode != 0 and "line 3" in check.stderr


def test_unreadable_configuration_file_is_named(skywatch_bin, tmp_path):
    done = run(skywatch_bin, "run", "--config", tmp_path / "absent.toml")
    assert done.returncode != 0 and "absent.toml" in done.stderr and "No such file" in done.stderr


def test_wrong_type_in_configuration_is_explained(skywatch_bin, tmp_path):
    config = tmp_path / "skywatch.toml"
    config.write_text('[http]\nbind = "somewhere"\n')
    done = run(skywatch_bin, "config", "check", config)
    assert done.returncode != 0 and "line 2" in done.stderr and "HOST:PORT" in done.stderr


def test_agent_configuration_with_an_unknown_key_or_plugin(skywatch_bin, tmp_path):
    config = tmp_path / "telegraf.conf"
    config.write_text("[[inputs.cpu]]\n  percpu = true\n  percup = true\n[[outputs.influxdb]]\n")
    done = run(skywatch_bin, "agent", "--config", config, "--test")
    assert done.returncode != 0
    for part in ("telegraf.conf", "3", "percup"):
        assert part in done.stderr, done.stderr
    config.write_text("[[inputs.cpuu]]\n")
    done = run(skywatch_bin, "agent", "--config", config, "--test")
    assert done.returncode != 0 and "cpuu" in done.stderr and "libvirt" in done.stderr, done.stderr


def test_defaults_print_and_pass_the_check(skywatch_bin, tmp_path):
    for role, name in (("run", "skywatch.toml"), ("agent", "telegraf.conf"), ("alerts", "alerts.yaml")):
        printed = run(skywatch_bin, "config", "default", role)
        assert printed.returncode == 0 and len(printed.stdout) > 200
        file = tmp_path / name
        file.write_text(printed.stdout)
        webhook = {"DISCORD_WEBHOOK": "https://discord.com/api/webhooks/1/token"}
        check = run(skywatch_bin, "config", "check", file, env=dict(os.environ, **webhook))
        assert check.returncode == 0, check.stderr


def test_a_file_is_checked_as_what_the_line_says(skywatch_bin, tmp_path):
    """As somebody types it who knows `skywatch run --config FILE`."""
    file = tmp_path / "server.cfg"
    for role, said in (("run", "skywatch run"), ("data", "skywatch data"), ("meta", "skywatch meta")):
        file.write_text(run(skywatch_bin, "config", "default", role).stdout)
        check = run(skywatch_bin, "config", "check", role, file)
        assert (check.returncode, check.stdout) == (0, f"{file}: configuration of {said}, no problem found\n"), check
    wrong = run(skywatch_bin, "config", "check", "run", file)
    assert wrong.returncode == 1 and str(file) in wrong.stderr, wrong
    unsaid = run(skywatch_bin, "config", "check", file)
    assert unsaid.returncode == 1 and unsaid.stderr.endswith(f"skywatch config check run {file}\n"), unsaid
    none = run(skywatch_bin, "config", "check", "run", cwd=tmp_path)
    assert (none.returncode, none.stderr) == (1, "error: which file? type the command as: skywatch config check run FILE\n")


def test_a_webhook_that_is_missing_is_one_line(skywatch_bin, tmp_path):
    file = tmp_path / "alerts.yaml"
    file.write_text(run(skywatch_bin, "config", "default", "alerts").stdout)
    bare = {name: value for name, value in os.environ.items() if name != "DISCORD_WEBHOOK"}
    check = run(skywatch_bin, "config", "check", file, env=bare)
    line = next(at for at, text in enumerate(file.read_text().splitlines(), 1) if "url: $DISCORD_WEBHOOK" in text)
    assert check.returncode == 1 and len(check.stderr.splitlines()) == 1, check.stderr
    assert f"{file}:{line}:" in check.stderr and "DISCORD_WEBHOOK is not set" in check.stderr, check.stderr


def test_port_in_use_names_the_address(skywatch_bin, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        for option, rest in (("--http-bind", ["--no-console"]), ("--console-bind", ["--http-bind", "127.0.0.1:0"])):
            done = run(skywatch_bin, "run", "--no-agent", "--data-dir", tmp_path / "d", option, address, *rest)
            assert done.returncode != 0
            assert address in done.stderr and option in done.stderr and "in use" in done.stderr, done.stderr
            named = f"`ss -ltnp 'sport = :{address.rpartition(':')[2]}'` names who has the port"
            assert done.stderr.count(named) == 1, done.stderr


def test_unwritable_data_directory(skywatch_bin, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    done = run(skywatch_bin, "run", "--no-agent", "--no-console", "--data-dir", file / "below")
    assert done.returncode != 0 and str(file / "below") in done.stderr and "--data-dir" in done.stderr, done.stderr


def test_data_directory_in_use_names_the_process(skywatch, skywatch_bin):
    done = run(
        skywatch_bin, "run", "--no-agent", "--no-console", "--http-bind", "127.0.0.1:0",
        "--data-dir", skywatch.directory / "data",
    )
    assert done.returncode != 0
    assert str(skywatch.process.pid) in done.stderr and str(skywatch.directory / "data") in done.stderr, done.stderr
    assert skywatch.query("SHOW DATABASES")["results"], "the one that runs is unharmed"


def test_database_that_does_not_exist(skywatch):
    answer = skywatch.write("m f=1", db="nope")
    assert (answer.status_code, answer.json()) == (404, {"error": 'database not found: "nope"'})
    assert skywatch.query("SELECT f FROM m", db="nope")["results"][0]["error"] == "database not found: nope"
    missing = skywatch.session.post(f"{skywatch.url}/write", data=b"m f=1")
    assert (missing.status_code, missing.json()) == (400, {"error": "database is required"})


def test_malformed_query_shows_the_position(skywatch):
    answer = skywatch.session.get(f"{skywatch.url}/query", params={"db": "db", "q": "SELECT f FORM m"})
    assert answer.status_code == 400
    expected = "error parsing query: found FORM, expected FROM at line 1, char 10"
    assert answer.json() == {"error": expected}
    assert answer.headers["X-Influxdb-Error"] == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m f= 1", "missing field value"),
        ("m", "missing fields"),
        (",t=1 f=1", "missing measurement"),
        ("m,t= f=1", "missing tag value"),
        ("m f=1 x", "bad timestamp"),
        ("m f=zz", "invalid boolean"),
        ("m,a=1,a=2 f=1", "duplicate tags"),
    ],
)
def test_a_bad_line_is_rejected_by_itself(skywatch, line, reason):
    answer = skywatch.write(f"good f=1 1\n{line}\ngood f=2 2")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.startswith("partial write: unable to parse '") and reason in error and error.endswith("dropped=0")
    assert skywatch.rows("SELECT f FROM good", epoch="ns") == [[1, 1], [2, 2]]


def test_an_open_quote_takes_the_rest_of_the_body_with_it(skywatch):
    """A string may hold line feeds, so nothing after an open quote can be told from the string."""
    answer = skywatch.write('good f=1 1\nm f="open 1\ngood f=2 2')
    assert answer.status_code == 400 and "unbalanced quotes" in answer.json()["error"]
    assert skywatch.rows("SELECT f FROM good", epoch="ns") == [[1, 1]]


def test_a_type_conflict_drops_only_that_point(skywatch):
    assert skywatch.write("m f=1 1").status_code == 204
    answer = skywatch.write("m f=2 2\nm f=3i 3\nm f=4 4")
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        'partial write: field type conflict: input field "f" on measurement "m" is type integer, '
        "already exists as type float dropped=1"
    )
    assert skywatch.rows("SELECT f FROM m", epoch="ns") == [[1, 1], [2, 2], [4, 4]]


def test_oversized_bodies_get_413(skywatch):
    line = b"m f=1 1\n"
    plain = skywatch.session.post(f"{skywatch.url}/write?db=db", data=line * 3_200_000)
    assert (plain.status_code, plain.json()) == (413, {"error": "Request Entity Too Large"})
    bomb = gzip.compress(line * 4_000_000)
    packed = skywatch.session.post(f"{skywatch.url}/write?db=db", data=bomb, headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 413, packed.text
    assert skywatch.write("m f=1 1").status_code == 204


def test_broken_gzip_is_refused(skywatch):
    answer = skywatch.session.post(
        f"{skywatch.url}/write?db=db", data=b"m f=1 1", headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 400 and "error" in answer.json()


def test_wrong_webhook_url_is_named(skywatch_bin, tmp_path):
    rules = tmp_path / "alerts.yaml"
    rules.write_text(
        """
contact_points:
  - name: ops
    type: discord
    url: discord.com/api/webhooks/1/secret-token
rules:
  - name: High CPU
    query: SELECT mean(usage_idle) FROM cpu WHERE time > now() - 1m GROUP BY host
    database: telegraf
    below: 10
    notify: ops
"""
    )
    done = run(
        skywatch_bin, "run", "--no-agent", "--no-console", "--http-bind", "127.0.0.1:0",
        "--data-dir", tmp_path / "d", "--alerts", rules,
    )
    assert done.returncode != 0
    assert str(rules) in done.stderr and "ops" in done.stderr and "http" in done.stderr, done.stderr
    assert "secret-token" not in done.stderr, "the webhook's secret must not be shown"
