"""Users, continuous queries and subscriptions beside a real InfluxDB: every statement, its refusals, and what is listed.

Not asked: SHOW GRANTS of a user with several databases (InfluxDB's order is that of a Go map) except sorted.
"""

import json

import pytest
from conftest import Skywatch
from pair import Difference, Pair

USERS = """
SHOW USERS
CREATE USER bob WITH PASSWORD 'x'
CREATE USER bob WITH PASSWORD 'x'
CREATE USER bob WITH PASSWORD 'y'
CREATE USER bob WITH PASSWORD 'x' WITH ALL PRIVILEGES
CREATE USER "" WITH PASSWORD 'x'
CREATE USER "jdoe 2" WITH PASSWORD ''
CREATE USER adm WITH PASSWORD 'x' WITH ALL PRIVILEGES
CREATE USER adm WITH PASSWORD 'x'
CREATE USER adm WITH PASSWORD 'x' WITH ALL PRIVILEGES
CREATE USER bob WITH PASSWORD 'aa
CREATE USER bob WITH PASSWORD 'aa' WITH
CREATE USER bob WITH PASSWORD aa
CREATE USER 'bob' WITH PASSWORD 'aa'
SHOW USERS
SHOW GRANTS FOR bob
SHOW GRANTS FOR adm
SHOW GRANTS FOR nobody
GRANT READ ON nodb TO bob
GRANT READ ON nodb TO nobody
GRANT READ ON d1 TO nobody
GRANT READ ON d1 TO bob
SHOW GRANTS FOR bob
GRANT WRITE ON d1 TO bob
SHOW GRANTS FOR bob
REVOKE READ ON d1 FROM bob
SHOW GRANTS FOR bob
GRANT ALL ON d1 TO bob
SHOW GRANTS FOR bob
REVOKE READ ON d1 FROM bob
SHOW GRANTS FOR bob
GRANT ALL PRIVILEGES ON d1 TO bob
REVOKE WRITE ON d1 FROM bob
SHOW GRANTS FOR bob
REVOKE ALL ON d1 FROM bob
SHOW GRANTS FOR bob
REVOKE ALL PRIVILEGES ON d1 FROM bob
REVOKE ALL ON nodb FROM bob
REVOKE READ ON nodb FROM bob
REVOKE READ ON nodb FROM nobody
REVOKE ALL ON d1 FROM nobody
REVOKE WRITE ON "d 2" FROM "jdoe 2"
SHOW GRANTS FOR "jdoe 2"
GRANT READ ON "d 2" TO bob
GRANT WRITE ON d1 TO bob
SHOW GRANTS FOR bob
GRANT ALL PRIVILEGES TO bob
SHOW USERS
GRANT ALL TO nobody
REVOKE ALL PRIVILEGES FROM bob
REVOKE ALL FROM nobody
REVOKE ALL FROM bob
SHOW USERS
SET PASSWORD FOR bob = 'z'
CREATE USER bob WITH PASSWORD 'x'
CREATE USER bob WITH PASSWORD 'z'
SET PASSWORD FOR nobody = 'z'
SET PASSWORD FOR bob = ''
CREATE USER bob WITH PASSWORD ''
DROP DATABASE d1
SHOW GRANTS FOR bob
CREATE DATABASE d1
SHOW GRANTS FOR bob
DROP USER nobody
DROP USER adm
DROP USER bob
SHOW USERS
CREATE USER bob WITH PASSWORD 'new'
SHOW GRANTS FOR bob
DROP USER bob
DROP USER "jdoe 2"
"""

CONTINUOUS_QUERIES = """
SHOW CONTINUOUS QUERIES
CREATE CONTINUOUS QUERY a ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY a ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY a ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(2m) END
CREATE CONTINUOUS QUERY a ON d1 BEGIN SELECT mean(X) INTO Y FROM Z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY A ON d1 BEGIN SELECT mean(X) INTO Y FROM Z GROUP BY time(1m) END
create continuous query b on d1 resample every 10s for 2m begin select mean(x) as "a b", max("time") into "d 2"..y from z, two.zz, "d 2".autogen./a/ where host = 'a' and v > 1 group by time(1m, 10s), host, * fill(previous) tz('Europe/Paris') end
CREATE CONTINUOUS QUERY c ON nodb BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY c ON nodb BEGIN SELECT mean(x) INTO d1.autogen.y FROM d1.autogen.z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY d ON d1 BEGIN SELECT mean(x) FROM z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY d ON d1 BEGIN SELECT mean(x) INTO y FROM z END
CREATE CONTINUOUS QUERY d ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1) END
CREATE CONTINUOUS QUERY d ON d1 BEGIN SELECT x INTO y FROM z END
CREATE CONTINUOUS QUERY e ON d1 BEGIN SELECT mean(x) INTO "d 2".autogen.:MEASUREMENT FROM /.*/ GROUP BY time(1m), * END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO nodb.autogen.m FROM two.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO nodb..m FROM nodb2.m.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO norp.m FROM two.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO y FROM norp.z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO y FROM (SELECT x FROM norp.z) GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO y FROM norp.z, nodb..k GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO y FROM norp.z, nodb.norp.k GROUP BY time(1m) END
CREATE CONTINUOUS QUERY f ON d1 BEGIN SELECT mean(x) INTO "d 2".x.y FROM norp.z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY g ON d1 BEGIN SELECT mean(x) INTO m FROM (SELECT max(y) AS x FROM q GROUP BY time(10s)) GROUP BY time(1m) END
CREATE CONTINUOUS QUERY h ON d1 BEGIN SELECT mean(x) INTO m FROM two.m WHERE time > now() - 1h GROUP BY time(1m) ORDER BY time DESC LIMIT 3 SLIMIT 2 END
CREATE CONTINUOUS QUERY i ON d1 RESAMPLE FOR 10s BEGIN SELECT mean(x) INTO m FROM two.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY i ON d1 RESAMPLE EVERY 10m FOR 5m BEGIN SELECT mean(x) INTO m FROM two.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY i ON d1 RESAMPLE EVERY 0s BEGIN SELECT mean(x) INTO m FROM two.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY i ON d1 RESAMPLE BEGIN SELECT mean(x) INTO m FROM two.m GROUP BY time(1m) END
CREATE CONTINUOUS QUERY "i j" ON d1 RESAMPLE EVERY 90s BEGIN SELECT count(*) INTO "m n" FROM two.m GROUP BY time(1m), /h/ END
CREATE CONTINUOUS QUERY "" ON d1 BEGIN SELECT mean(x) INTO ""."".y FROM d1..z, ""..k GROUP BY time(1m) END
CREATE CONTINUOUS QUERY k ON "" BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY k ON d1 BEGIN SELECT nosuchfunction(x), y INTO y FROM z GROUP BY time(1m) END
CREATE CONTINUOUS QUERY l ON "d 2" BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END
SHOW CONTINUOUS QUERIES
DROP CONTINUOUS QUERY nosuch ON d1
DROP CONTINUOUS QUERY nosuch ON nodb
DROP CONTINUOUS QUERY a ON d1
SHOW CONTINUOUS QUERIES
DROP RETENTION POLICY two ON d1
SHOW CONTINUOUS QUERIES
DROP DATABASE d1
SHOW CONTINUOUS QUERIES
"""

SUBSCRIPTIONS = """
SHOW SUBSCRIPTIONS
CREATE SUBSCRIPTION a ON d1.autogen DESTINATIONS ALL 'http://127.0.0.1:9999'
CREATE SUBSCRIPTION a ON d1.autogen DESTINATIONS ALL 'http://127.0.0.1:9999'
CREATE SUBSCRIPTION a ON d1.autogen DESTINATIONS ANY 'http://127.0.0.1:9998'
CREATE SUBSCRIPTION a ON d1.two DESTINATIONS ANY 'udp://127.0.0.1:9998', 'https://x:1', 'http://u:p@h:2/path'
CREATE SUBSCRIPTION "" ON "d 2".autogen DESTINATIONS ALL 'http://127.0.0.1:9999', 'http://127.0.0.1:9999'
CREATE SUBSCRIPTION b ON nodb.norp DESTINATIONS ALL 'bad'
CREATE SUBSCRIPTION b ON d1.autogen DESTINATIONS ALL 'http://h:1', 'bad'
CREATE SUBSCRIPTION b ON nodb.autogen DESTINATIONS ALL 'http://h:1'
CREATE SUBSCRIPTION b ON d1.norp DESTINATIONS ALL 'http://h:1'
CREATE SUBSCRIPTION b ON d1."" DESTINATIONS ALL 'http://h:1'
CREATE SUBSCRIPTION b ON "".autogen DESTINATIONS ALL 'http://h:1'
CREATE SUBSCRIPTION b ON d1 DESTINATIONS ALL 'http://h:1'
CREATE SUBSCRIPTION b ON d1.autogen DESTINATIONS SOME 'http://h:1'
CREATE SUBSCRIPTION b ON d1.autogen DESTINATIONS ALL
SHOW SUBSCRIPTIONS
DROP SUBSCRIPTION nosuch ON d1.autogen
DROP SUBSCRIPTION a ON d1.norp
DROP SUBSCRIPTION a ON nodb.autogen
DROP SUBSCRIPTION a ON d1.autogen
SHOW SUBSCRIPTIONS
DROP RETENTION POLICY two ON d1
SHOW SUBSCRIPTIONS
DROP DATABASE "d 2"
SHOW SUBSCRIPTIONS
"""

DESTINATIONS = [
    *["http://h", "udp://h:1/x", "HTTP://h:1", "ftp://h:1", "h:1", "", "http://:9999", "http://[::1]:80", "http://[::1]"],
    *["http://h:", "http://h:x", "http://h:-1", "http://h:1:2", "http://%41:1", "http://h%zz:1", "http://h:1/%zz"],
    *["http://h:1?x=%zz", "http://é:1", "http://a b:1", "http://h:1/a b", "http://u:p p@h:1", "http:h:1", "://h:1"],
]

SETUP = ["CREATE DATABASE d1", "CREATE RETENTION POLICY two ON d1 DURATION 2h REPLICATION 1", 'CREATE DATABASE "d 2"']


@pytest.fixture(scope="module")
def pair(influxd, skywatch_module):
    return Pair(influxd.url, skywatch_module.url)


@pytest.fixture(scope="module")
def skywatch_module(skywatch_bin, tmp_path_factory):
    server = Skywatch(skywatch_bin, tmp_path_factory.mktemp("skywatch")).start()
    yield server
    server.stop()


@pytest.fixture
def databases(pair):
    """Two databases on both, and no others."""
    pair.drop_everything()
    for statement in SETUP:
        pair.query(statement)
    yield
    pair.drop_everything()


def in_turn(pair, statements, **request):
    """Asks each statement of both; says all that differ at once."""
    differences = []
    for statement in statements:
        try:
            if statement.startswith("SHOW GRANTS"):
                same_grants(pair, statement)
            else:
                pair.query(statement, **request)
        except Difference as difference:
            differences.append(str(difference))
    assert not differences, "\n".join(differences)


def same_grants(pair, statement):
    theirs, ours = (json.loads(answer.body) for answer in pair.both("POST", "/query", data={"q": statement}))
    for answer in (theirs, ours):
        for series in answer["results"][0].get("series", []):
            series.get("values", []).sort()
    assert theirs == ours, statement


@pytest.mark.parametrize("script", [USERS, CONTINUOUS_QUERIES, SUBSCRIPTIONS], ids=["users", "continuous queries", "subscriptions"])
def test_statements_in_turn(pair, databases, script):
    in_turn(pair, script.strip().splitlines())


def test_destinations(pair, databases):
    in_turn(
        pair,
        [f"CREATE SUBSCRIPTION \"s{n}\" ON d1.autogen DESTINATIONS ALL '{url}'" for n, url in enumerate(DESTINATIONS)]
        + ["SHOW SUBSCRIPTIONS"],
    )
    pair.query("SHOW SUBSCRIPTIONS", pretty="true")
    pair.query("SHOW SUBSCRIPTIONS", headers={"Accept": "application/x-msgpack"})


def test_lists_in_csv(pair, skywatch_module, databases):
    """InfluxDB writes the name of the column in place of a list."""
    pair.query("CREATE SUBSCRIPTION s ON d1.autogen DESTINATIONS ANY 'http://a:1', 'udp://b:2'")
    csv = skywatch_module.session.post(
        f"{skywatch_module.url}/query", data={"q": "SHOW SUBSCRIPTIONS"}, headers={"Accept": "application/csv"}
    )
    assert csv.text.splitlines()[1:] == ["d1,,autogen,s,ANY,[http://a:1 udp://b:2]"]


def test_request_gives_names_of_continuous_queries(pair, databases):
    """The request's database and policy come before the statement's own, as odd as that is."""
    pair.query("CREATE CONTINUOUS QUERY a ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END", rp="two")
    pair.query("CREATE CONTINUOUS QUERY b ON d1 BEGIN SELECT mean(x) INTO y FROM d1..z GROUP BY time(1m) END", db="d 2")
    pair.query("CREATE CONTINUOUS QUERY c ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END", rp="none")
    pair.query("SHOW CONTINUOUS QUERIES")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE USER carl WITH PASSWORD 'secret'",
        "SET PASSWORD FOR carl = 'secret'",
        "GRANT ALL ON d1 TO carl",
        "GRANT ALL PRIVILEGES TO carl",
        "REVOKE ALL PRIVILEGES FROM carl",
        "REVOKE READ ON d1 FROM carl",
        "SHOW USERS",
        "DROP USER carl",
        "CREATE CONTINUOUS QUERY b ON d1 BEGIN SELECT mean(x) INTO y FROM z GROUP BY time(1m) END",
        "DROP CONTINUOUS QUERY b ON d1",
        "CREATE SUBSCRIPTION b ON d1.autogen DESTINATIONS ALL 'http://h:1'",
        "DROP SUBSCRIPTION b ON d1.autogen",
    ],
)
def test_deprecated_get(pair, databases, statement):
    """A change asked for with GET is warned of, in words that keep the password."""
    for first in ["CREATE USER carl WITH PASSWORD 'secret'", "DROP SUBSCRIPTION b ON d1.autogen"]:
        pair.both("POST", "/query", data={"q": first})
    if statement.startswith("DROP SUBSCRIPTION"):
        pair.query("CREATE SUBSCRIPTION b ON d1.autogen DESTINATIONS ALL 'http://h:1'")
    answer = pair.same(statement, "GET", "/query", params={"q": statement})
    assert b"secret" not in answer.body
    pair.both("POST", "/query", data={"q": "DROP USER carl"})
