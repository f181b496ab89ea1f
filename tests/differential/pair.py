"""Asks two servers the same and compares the answers byte for byte.

What may differ, and how it is made equal (nothing else is touched):
- headers that name the server, its version, the request and the date: only status, content type and body count;
- answers to queries with `now()`: the two readings of the clock lie milliseconds apart, so a difference counts only if
  it is still there when both are asked again;
- `stddev`, `mean` and what else `functions.py` calls inexact: their last digits follow the order in which values are
  added up. InfluxDB goes series by series, and makes a mean over several shards of the shards' means; Skywatch gives the
  same answer however series are spread over shards. Numbers are compared to 1e-9 of their size; so are those of the
  mathematical functions that no float holds exactly, which Go computes by its own approximations.

Never asked, since InfluxDB's answer is any of several: which of the points that share a value a `percentile` stands
for, which of the points with one time and value a selector stands for in a GROUP BY time, which of two calls that
cannot take their argument is told, the order of tags in MessagePack.

What Skywatch answers differently on purpose is listed, and tested, in test_different_on_purpose.
"""

import re

import requests
from functions import FUNCTIONS

COMPARED_HEADERS = ["Content-Type", "X-Influxdb-Error"]
TOLERANCE = 1e-9
NUMBER = re.compile(rb"(?<=[\[,])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?=[\],])")
MATHEMATICAL = ["a?sin", "a?cos", "a?tan", "atan2", "exp", "ln", "log", "log2", "log10", "pow"]
INEXACT = re.compile(
    r"\b(" + "|".join([*MATHEMATICAL, *(function.name for function in FUNCTIONS if not function.exact)]) + r")\("
)


class Answer:
    """Status, the headers that count, body."""

    def __init__(self, response):
        self.status = response.status_code
        self.headers = {name: response.headers.get(name) for name in COMPARED_HEADERS}
        self.body = response.content

    def is_close(self, other):
        """Whether nothing differs but the last digits of numbers."""
        (numbers, rest), (other_numbers, other_rest) = self.parted(), other.parted()
        alike = (self.status, self.headers, rest) == (other.status, other.headers, other_rest)
        return alike and all(
            abs(a - b) <= TOLERANCE * max(abs(a), abs(b), 1) for a, b in zip(numbers, other_numbers, strict=True)
        )

    def parted(self):
        """The numbers of the answer, and the text around them."""
        return [float(number) for number in NUMBER.findall(self.body)], NUMBER.sub(b"#", self.body)

    def __eq__(self, other):
        return (self.status, self.headers, self.body) == (other.status, other.headers, other.body)

    def __str__(self):
        headers = ", ".join(f"{name}: {value}" for name, value in self.headers.items() if value)
        return f"{self.status} {headers}\n{self.body.decode(errors='replace')}"


class Difference(AssertionError):
    """The two servers disagree."""

    def __init__(self, asked, theirs, ours):
        self.asked, self.theirs, self.ours = asked, theirs, ours
        super().__init__(f"{asked}\n  InfluxDB  {shortened(theirs, ours)}\n  Skywatch  {shortened(ours, theirs)}")


def shortened(answer, other):
    """The answer's text from a little before the first byte that differs."""
    text, against = str(answer), str(other)
    at = next((i for i, (a, b) in enumerate(zip(text, against)) if a != b), min(len(text), len(against)))
    start = max(0, at - 200)
    return ("…" if start else "") + text[start : at + 400] + ("…" if at + 400 < len(text) else "")


class Pair:
    """A real InfluxDB and Skywatch."""

    def __init__(self, influxdb_url, skywatch_url):
        self.urls = [influxdb_url, skywatch_url]
        self.session = requests.Session()

    def both(self, method, path, **request):
        """The two answers to one request."""
        return [Answer(self.session.request(method, url + path, timeout=60, **request)) for url in self.urls]

    def same(self, asked, method, path, attempts=1, **request):
        """Asks both; raises Difference unless the answers are equal. Returns the answer."""
        for _ in range(attempts):
            theirs, ours = self.both(method, path, **request)
            if theirs == ours or (INEXACT.search(asked) and theirs.is_close(ours)):
                return ours
        raise Difference(asked, theirs, ours)

    def query(self, q, db="", headers=None, **params):
        """The answer to a query, the same from both."""
        attempts = 3 if "now()" in q else 1
        shown = "".join(f"{name}={value} " for name, value in [("db", db), *params.items()] if value) + q
        return self.same(
            shown, "POST", "/query", attempts, params={"db": db, **params}, data={"q": q}, headers=headers
        )

    def queries(self, texts, db="", **params):
        """Asks many statements in one request; where the answers differ, one by one. Yields the differences."""
        try:
            answer = self.query("; ".join(texts), db=db, **params)
            # After an error nothing else is executed.
            if b'"error"' not in answer.body:
                return
        except Difference:
            pass
        for text in texts:
            try:
                self.query(text, db=db, **params)
            except Difference as difference:
                yield difference

    def write(self, lines, **params):
        """The answer to a write, the same from both."""
        return self.same(f"write {params} {lines[:200]}", "POST", "/write", params=params, data=lines.encode())

    def drop_everything(self):
        """Leaves neither server a database."""
        for url in self.urls:
            answer = self.session.post(f"{url}/query", data={"q": "SHOW DATABASES"}, timeout=60).json()
            for series in answer["results"][0].get("series", []):
                for (name,) in series.get("values", []):
                    self.session.post(f"{url}/query", data={"q": f'DROP DATABASE "{name}"'}, timeout=60)

    def load(self, dataset):
        """Creates the data set's database and writes its requests to both."""
        self.query(f'CREATE DATABASE "{dataset.name}"')
        for statement in dataset.setup:
            self.query(statement)
        for request in dataset.requests:
            body, policy = request if isinstance(request, tuple) else (request, "")
            answer = self.write(body, db=dataset.name, rp=policy)
            assert answer.status == 204, answer
