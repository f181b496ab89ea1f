"""Skywatch's own client, `skywatch query`; the stock clients of InfluxDB have files of their own."""

import json
import subprocess


def test_skywatch_query_is_a_client_of_its_own(skywatch, skywatch_bin):
    assert skywatch.write("cpu,host=a usage=12.5 1600000000000000000").status_code == 204

    def ask(*arguments):
        command = [skywatch_bin, "query", "--url", skywatch.url, "--db", "db", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    table = ask("SELECT usage FROM cpu GROUP BY host")
    assert table.returncode == 0, table.stderr
    assert "cpu  host=a  (1 row)" in table.stdout and "2020-09-13T12:26:40Z" in table.stdout
    assert ask("--format", "csv", "SELECT usage FROM cpu").stdout.splitlines()[0] == "name,tags,time,usage"
    assert json.loads(ask("--format", "json", "SHOW DATABASES").stdout)["results"]
    wrong = ask("SELECT usage FORM cpu")
    assert wrong.returncode == 1 and "found FORM, expected" in wrong.stderr
    shell = subprocess.run(
        [skywatch_bin, "query", "--url", skywatch.url],
        input="use db\nselect usage from cpu\nexit\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "12.5" in shell.stdout, shell.stderr
