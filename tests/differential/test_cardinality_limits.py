"""Limits on cardinality, beside a real InfluxDB with the same limits: the same status, the same words.

Writes carry one new series each and nothing else, since InfluxDB 1.6 refuses a whole request that has more keys than are
left, known ones too; what Skywatch does then is tested in tests/e2e/test_cardinality.py.
"""

import pytest
from conftest import Influxd
from pair import Pair

SERIES_MAX = 5
VALUES_MAX = 3


@pytest.fixture
def limited_pair(start_skywatch, tmp_path):
    limits = f"max-series-per-database = {SERIES_MAX}\nmax-values-per-tag = {VALUES_MAX}\n"
    influxd = Influxd(tmp_path, data=limits).start()
    ours = tmp_path / "skywatch.toml"
    ours.write_text(f"[data]\n{limits}")
    yield Pair(influxd.url, start_skywatch("--config", str(ours)).url)
    influxd.stop()


def test_series_of_a_database(limited_pair):
    pair = limited_pair
    pair.query("CREATE DATABASE db")
    for key in "abcde":
        assert pair.write(f"m,{key}=1 v=1 1", db="db").status == 204
    refused = pair.write("m,f=1 v=1 1", db="db")
    assert refused.status == 400
    assert b"partial write: max-series-per-database limit exceeded: (5) dropped=1" in refused.body
    for lines in [
        "n v=1 1",
        "m,a=1 v=2 2",
        "m,a=1 v=2 1000000000000000000",
        "m,g=1 v=2 1000000000000000000",
    ]:
        pair.write(lines, db="db")
    pair.query("SELECT * FROM m; SHOW SERIES", db="db")
    pair.query("CREATE DATABASE other")
    assert pair.write("m,f=1 v=1 1", db="other").status == 204


def test_values_of_a_tag(limited_pair):
    pair = limited_pair
    pair.query("CREATE DATABASE db")
    for value in "123":
        assert pair.write(f"cpu,dc={value} v=1 1", db="db").status == 204
    refused = pair.write('cpu,dc=a"\\ b v=1 1', db="db")
    assert refused.status == 400
    assert b"max-values-per-tag limit exceeded (3/3): measurement=" in refused.body
    for lines in [
        "cpu,dc=4 v=1 1",
        "cpu,dc=1 v=2 2",
        "cpu,dc=5 v=1 1\ncpu,dc=1 v=3 3",
        "cpu,dc=1,rack=1 v=1 1",
        "mem,dc=4 v=1 1",
    ]:
        pair.write(lines, db="db")
    pair.query("SELECT * FROM cpu; SHOW TAG VALUES WITH KEY = dc", db="db")
