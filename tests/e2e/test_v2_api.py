"""What 2.x clients do beside writing and asking Flux: buckets and deletes, with PyPI's influxdb-client and by hand."""

import pytest
import requests
from influxdb_client import BucketRetentionRules, InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

# Clients look up everything that has not the form of an id, and 1.8 has no organisations to find.
ORGANISATION = "0123456789abcdef"


@pytest.fixture
def client(skywatch):
    with InfluxDBClient(url=skywatch.url, token="", org="nobody", timeout=30_000) as client:
        yield client


def test_buckets_are_databases_and_policies(skywatch, client):
    buckets = client.buckets_api()
    hour = BucketRetentionRules(type="expire", every_seconds=7200)
    made = buckets.create_bucket(bucket_name="cloud/short", retention_rules=hour, org=ORGANISATION)
    assert (made.id, made.name) == ("cloud/short", "cloud/short")
    assert made.retention_rules[0].every_seconds == 7200
    buckets.create_bucket(bucket_name="cloud/long", org=ORGANISATION)
    assert skywatch.rows("SHOW RETENTION POLICIES ON cloud") == [
        ["short", "2h0m0s", "1h0m0s", 1, True],
        ["long", "0s", "168h0m0s", 1, False],
    ]
    buckets.create_bucket(bucket_name="plain", org=ORGANISATION)
    names = [bucket.name for bucket in buckets.find_buckets().buckets]
    assert names == ["db/autogen", "cloud/short", "cloud/long", "plain/autogen"]
    assert buckets.find_bucket_by_name("cloud").name == "cloud/short"
    assert buckets.find_bucket_by_name("cloud/long").id == "cloud/long"
    assert buckets.find_bucket_by_id("plain/autogen").name == "plain/autogen"
    assert buckets.find_bucket_by_name("nothing") is None
    with pytest.raises(ApiException) as refused:
        buckets.create_bucket(bucket_name="plain", org=ORGANISATION)
    assert refused.value.status == 422 and "already exists" in refused.value.message
    buckets.delete_bucket("cloud/long")
    assert [row[0] for row in skywatch.rows("SHOW RETENTION POLICIES ON cloud")] == ["short"]
    buckets.delete_bucket(buckets.find_bucket_by_name("plain"))
    assert skywatch.rows("SHOW DATABASES") == [["db"], ["cloud"]]
    with pytest.raises(ApiException) as missing:
        buckets.delete_bucket("plain/autogen")
    assert missing.value.status == 404


def test_deletes_by_predicate_stay_within_their_bucket(skywatch, client):
    skywatch.query("CREATE RETENTION POLICY week ON db DURATION 0s REPLICATION 1")
    write = client.write_api(write_options=SYNCHRONOUS)
    lines = [f"cpu,host={host} v={n} {n}" for host in "ab" for n in range(1, 5)] + ["mem,host=a v=1 2"]
    for bucket in ("db", "db/week"):
        write.write(bucket=bucket, record=lines, write_precision="s")
    deletes = client.delete_api()
    deletes.delete("1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z", '_measurement="cpu" AND host="a"', bucket="db/week")
    left = skywatch.rows("SELECT host, v FROM db.week.cpu", epoch="s")
    assert left == [[1, "a", 1], [1, "b", 1], [2, "b", 2], [3, "b", 3], [4, "a", 4], [4, "b", 4]]
    assert skywatch.rows("SELECT count(v) FROM db.autogen.cpu") == [["1970-01-01T00:00:00Z", 8]]
    assert len(skywatch.rows("SELECT v FROM db.week.mem")) == 1
    # Without a predicate everything in the range goes, in every measurement.
    deletes.delete("1970-01-01T00:00:02Z", "2100-01-01T00:00:00Z", "", bucket="db")
    assert skywatch.rows("SELECT host, v FROM cpu", epoch="s") == [[1, "a", 1], [1, "b", 1]]
    assert skywatch.rows("SELECT v FROM mem") == []
    with pytest.raises(ApiException) as refused:
        deletes.delete("1970-01-01T00:00:02Z", "2100-01-01T00:00:00Z", 'a="b" OR c="d"', bucket="db")
    assert refused.value.status == 400 and "OR is not supported" in refused.value.message
    with pytest.raises(ApiException) as missing:
        deletes.delete("1970-01-01T00:00:02Z", "2100-01-01T00:00:00Z", "", bucket="nope")
    assert missing.value.status == 404




def test_write_v2_is_particular_about_its_parameters(skywatch):
    def write(**params):
        answer = requests.post(f"{skywatch.url}/api/v2/write", params=params, data="m v=1 1", timeout=30)
        return answer.status_code, answer.json().get("error") if answer.text else None

    assert write(bucket="db", org="whoever", precision="s") == (204, None)
    assert write(bucket="db/autogen/") == (500, "retention policy not found: autogen/")
    assert write(bucket="db", precision="h") == (400, 'invalid precision "h" (use ns, us, ms or s)')
    assert write(bucket="nope/autogen") == (404, 'database not found: "nope"')
    assert write()[0] == 404
