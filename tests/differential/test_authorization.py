"""Users, rights and tokens beside a real InfluxDB with authentication on: who may run which statement, write what, log in
how. Every refusal has to be the same, to the byte.
"""

import base64
import hashlib
import hmac
import json
import time

import pytest
from conftest import Influxd, Skywatch, answers
from pair import Difference, Pair

SECRET = "s3cret"
USERS = "rwan"  # reader and writer of d, one with all on d, one with nothing

# Asked by each user, about d and about no database. What is allowed must succeed alike; its answer is others' business.
STATEMENTS = """
SELECT v FROM m
SELECT v FROM other..m
SELECT v FROM m, other..m
SELECT v FROM (SELECT v FROM other..m)
SELECT v FROM (SELECT v FROM d..m)
SELECT v INTO other..x FROM m
SELECT v INTO d..x FROM other..m
EXPLAIN SELECT v FROM m
DELETE FROM m WHERE time < 0
DROP SERIES FROM m
DROP MEASUREMENT m
DROP SHARD 99
CREATE DATABASE d3
DROP DATABASE d3
CREATE RETENTION POLICY p ON d DURATION 1h REPLICATION 1
ALTER RETENTION POLICY p ON d DURATION 2h
DROP RETENTION POLICY p ON d
DROP RETENTION POLICY p ON other
DROP CONTINUOUS QUERY c ON d
DROP CONTINUOUS QUERY c ON other
CREATE CONTINUOUS QUERY c ON other BEGIN SELECT mean(v) INTO x FROM m GROUP BY time(1m) END
CREATE SUBSCRIPTION s ON d.autogen DESTINATIONS ALL 'http://h:1'
DROP SUBSCRIPTION s ON d.autogen
CREATE USER z WITH PASSWORD 'secret'
CREATE USER z WITH PASSWORD 'secret' WITH ALL PRIVILEGES
DROP USER z
SET PASSWORD FOR r = 'secret'
GRANT READ ON d TO r
GRANT ALL TO r
REVOKE READ ON d FROM r
REVOKE ALL FROM r
KILL QUERY 99
SHOW CONTINUOUS QUERIES
SHOW DATABASES
SHOW DIAGNOSTICS
SHOW FIELD KEYS
SHOW FIELD KEYS ON other
SHOW GRANTS FOR r
SHOW MEASUREMENTS
SHOW MEASUREMENTS ON other
SHOW MEASUREMENT CARDINALITY
SHOW QUERIES
SHOW RETENTION POLICIES
SHOW RETENTION POLICIES ON other
SHOW SERIES
SHOW SERIES ON other
SHOW SERIES CARDINALITY
SHOW SHARD GROUPS
SHOW SHARDS
SHOW STATS
SHOW SUBSCRIPTIONS
SHOW TAG KEYS
SHOW TAG KEYS ON other
SHOW TAG VALUES WITH KEY = a
SHOW TAG VALUES ON other WITH KEY = a
SHOW USERS
SHOW DATABASES; SHOW USERS
SHOW USERS; SHOW DATABASES
""".strip().splitlines()

SETUP = """
CREATE DATABASE d
CREATE DATABASE other
CREATE USER r WITH PASSWORD 'r'
CREATE USER w WITH PASSWORD 'w'
CREATE USER a WITH PASSWORD 'a'
CREATE USER n WITH PASSWORD 'n'
GRANT READ ON d TO r
GRANT WRITE ON d TO w
GRANT ALL ON d TO a
""".strip().splitlines()

ROOT = "CREATE USER root WITH PASSWORD 'rootpw' WITH ALL PRIVILEGES"
ADMIN = ("root", "rootpw")


@pytest.fixture(scope="module")
def servers(skywatch_bin, tmp_path_factory):
    """Both, with authentication on and nobody in them."""
    guarded = f'log-enabled = false\nauth-enabled = true\nshared-secret = "{SECRET}"'
    influxd = Influxd(tmp_path_factory.mktemp("guarded"), http=guarded).start()
    skywatch = Skywatch(
        skywatch_bin, tmp_path_factory.mktemp("skywatch"), "--auth", "--shared-secret", SECRET
    ).start()
    yield influxd, skywatch
    influxd.stop()
    skywatch.stop()


@pytest.fixture(scope="module")
def pair(servers):
    influxd, skywatch = servers
    return Pair(influxd.url, skywatch.url)


@pytest.fixture(scope="module")
def known(pair):
    """Both with an administrator, four users and two databases; what is refused before there are any, too."""
    before = [("POST", "/query", dict(data={"q": q})) for q in ["SHOW DATABASES", "CREATE USER x WITH PASSWORD 'x'"]]
    before += [
        ("POST", "/query", dict(data={"q": "SHOW DATABASES; " + ROOT})),
        ("GET", "/query", dict(params={"q": "SHOW USERS", "u": "a", "p": "b"})),
        ("POST", "/query", {}),
        ("POST", "/query", dict(data={"q": "nonsense"})),
        ("POST", "/write", dict(params={"db": "d"}, data="m v=1")),
    ]
    for method, path, request in before:
        pair.same(f"before: {request}", method, path, **request)
    pair.same("the first administrator", "POST", "/query", data={"q": f"{ROOT}; {SETUP[0]}"})
    for statement in SETUP[1:]:
        pair.same(statement, "POST", "/query", data={"q": statement}, auth=ADMIN)
    return pair


def test_statements_by_users(known):
    """A table of statements, users and databases."""
    differences = []
    for statement in STATEMENTS:
        for user in USERS:
            for database in ["d", ""]:
                request = dict(params={"db": database}, data={"q": statement}, auth=(user, user))
                theirs, ours = known.both("POST", "/query", **request)
                # What is allowed is answered; answers are compared elsewhere.
                if theirs.status == 403 or ours.status == 403 or statement == "SHOW DATABASES":
                    if theirs != ours:
                        differences.append(str(Difference(f"{user} on {database!r}: {statement}", theirs, ours)))
    assert not differences, "\n".join(differences)


WRITES = [("d", "rwan"), ("other", "rwan"), ("nodb", "rn"), ("", "r")]


def test_writes_by_users(known):
    for database, users in WRITES:
        for user in users:
            known.same(
                f"{user} writes to {database!r}", "POST", "/write", params={"db": database}, data="m v=1", auth=(user, user)
            )


# Where a user without rights sees more with InfluxDB than was granted, Skywatch asks for the right.
STRICTER = {
    "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO x FROM m GROUP BY time(1m) END": ("r", "WRITE on d"),
    "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO x FROM other..m GROUP BY time(1m) END": ("a", "READ on other"),
    "SHOW SERIES EXACT CARDINALITY ON other": ("r", "READ on other"),
    "SHOW TAG KEY CARDINALITY": ("n", "READ on d"),
}


@pytest.mark.parametrize("statement", STRICTER)
def test_stricter_on_purpose(known, statement):
    user, lacking = STRICTER[statement]
    theirs, ours = known.both("POST", "/query", params={"db": "d"}, data={"q": statement}, auth=(user, user))
    assert (theirs.status, ours.status) == (200, 403)
    assert json.loads(ours.body)["error"].endswith(f", requires {lacking}")


def basic(text, scheme="Basic"):
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


LOGINS = {
    "nothing": {},
    "in the URL": dict(params={"u": "root", "p": "rootpw"}),
    "wrong in the URL, right in the header": dict(params={"u": "root", "p": "no"}, auth=ADMIN),
    "only a user in the URL": dict(params={"u": "root"}),
    "only a user in the URL, all in the header": dict(params={"u": "root"}, auth=ADMIN),
    "an empty password in the URL": dict(params={"u": "root", "p": ""}),
    "basic": dict(auth=ADMIN),
    "wrong password": dict(auth=("root", "no")),
    "no password": dict(auth=("root", "")),
    "no user": dict(auth=("", "rootpw")),
    "unknown user": dict(auth=("nobody", "rootpw")),
    "basic in small letters": dict(headers={"Authorization": basic("root:rootpw", "basic")}),
    "two spaces": dict(headers={"Authorization": basic("root:rootpw", "Basic ")}),
    "no colon": dict(headers={"Authorization": basic("root")}),
    "no base64": dict(headers={"Authorization": "Basic !!!"}),
    "digest": dict(headers={"Authorization": "Digest abc"}),
    "a scheme alone": dict(headers={"Authorization": "Bearer"}),
    "csv": dict(headers={"Accept": "application/csv"}),
}


@pytest.mark.parametrize("name", LOGINS)
def test_logins(known, name):
    request = dict(LOGINS[name])
    request["params"] = {"q": "SHOW DATABASES", **request.get("params", {})}
    theirs, ours = known.both("GET", "/query", **request)
    assert theirs == ours, f"{theirs}\n{ours}"


@pytest.mark.parametrize("path", ["/query", "/write"])
def test_challenge(known, path):
    for url in known.urls:
        answer = known.session.post(url + path, params={"db": "d"}, data="q=x")
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="InfluxDB"')


def encoded(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token(claims, algorithm="HS256", key=SECRET, header=None, signature=None):
    """A JWT made by hand."""
    text = encoded(json.dumps(header or {"alg": algorithm, "typ": "JWT"}).encode()) + "." + encoded(json.dumps(claims).encode())
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(algorithm, hashlib.sha256)
    made = encoded(hmac.new(key.encode(), text.encode(), digest).digest())
    return f"{text}.{made if signature is None else signature}"


LATER, EARLIER = int(time.time()) + 3600, int(time.time()) - 3600
GOOD = {"username": "r", "exp": LATER}
TOKENS = {
    "HS256": token(GOOD),
    "HS384": token(GOOD, "HS384"),
    "HS512": token(GOOD, "HS512"),
    "expired": token({**GOOD, "exp": EARLIER}),
    "without exp": token({"username": "r"}),
    "exp 0": token({**GOOD, "exp": 0}),
    "exp as text": token({**GOOD, "exp": str(LATER)}),
    "exp beyond all": token({**GOOD, "exp": 1e300}),
    "another secret": token(GOOD, key="other"),
    "another secret and expired": token({**GOOD, "exp": EARLIER}, key="other"),
    "without a user": token({"exp": LATER}),
    "an empty user": token({**GOOD, "username": ""}),
    "a number for a user": token({**GOOD, "username": 5}),
    "an unknown user": token({**GOOD, "username": "nobody"}),
    "not yet": token({**GOOD, "nbf": LATER}),
    "issued later": token({**GOOD, "iat": LATER}),
    "all at once": token({**GOOD, "exp": EARLIER, "nbf": LATER, "iat": LATER}),
    "alg none": token(GOOD, header={"alg": "none"}, signature=""),
    "alg RS256": token(GOOD, header={"alg": "RS256"}),
    "alg unknown": token(GOOD, header={"alg": "FOO"}),
    "alg missing": token(GOOD, header={"typ": "JWT"}),
    "two segments": "a.b",
    "four segments": "a.b.c.d",
    "no base64": "!!!.b.c",
    "no signature": token(GOOD, signature=""),
    "a bad signature": token(GOOD, signature="!!!"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_tokens(known, name):
    theirs, ours = known.both(
        "POST", "/query", data={"q": "SHOW DATABASES"}, headers={"Authorization": f"Bearer {TOKENS[name]}"}
    )
    assert theirs == ours, f"{theirs}\n{ours}"


def test_a_change_counts_at_once(known):
    """The same steps on both: a password, a right, a user are gone with the next request."""

    def step(q, auth=ADMIN, **request):
        known.same(q, "POST", "/query", data={"q": q}, auth=auth, **request)

    step("CREATE USER t WITH PASSWORD 'one'")
    step("GRANT READ ON d TO t")
    for _ in range(2):
        step("SHOW DATABASES", ("t", "one"))
    step("SET PASSWORD FOR t = 'two'")
    step("SHOW DATABASES", ("t", "one"))
    step("SHOW DATABASES", ("t", "two"))
    step("REVOKE READ ON d FROM t")
    step("SHOW DATABASES", ("t", "two"))
    step("SHOW SERIES", ("t", "two"), params={"db": "d"})
    step("GRANT ALL PRIVILEGES TO t")
    step("SHOW USERS", ("t", "two"))
    step("REVOKE ALL PRIVILEGES FROM t")
    step("SHOW USERS", ("t", "two"))
    step("DROP USER t")
    step("SHOW DATABASES", ("t", "two"))


def test_passwords_are_not_shown(known):
    """SHOW QUERIES beside a statement with a password."""
    q = "SHOW QUERIES; SET PASSWORD FOR n = 'n'"
    for answer in known.both("POST", "/query", params={"db": "d"}, data={"q": q}, auth=ADMIN):
        (row,) = json.loads(answer.body)["results"][0]["series"][0]["values"]
        assert row[1] == "SHOW QUERIES;\nSET PASSWORD FOR n = [REDACTED]"
