//! The same requests to Skywatch and to InfluxDB itself (Debian's package `influxdb`, 1.6): status, headers that
//! clients read, and every byte of the bodies. Named in the output as skipped where it is not installed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod exchange;
mod servers;

use exchange::{Exchange, Request, send};
use servers::{Influxd, Skywatch};

/// Both servers, given the same requests.
struct Both {
    influxd: Influxd,
    skywatch: Skywatch,
    differences: Vec<String>,
}

impl Both {
    fn start() -> Self {
        Self { influxd: Influxd::start(), skywatch: Skywatch::start(), differences: Vec::new() }
    }

    fn both(&self, request: &Request) -> (Exchange, Exchange) {
        (send(self.influxd.address, request), send(self.skywatch.address, request))
    }

    /// Notes any difference.
    fn same(&mut self, request: &Request) {
        let (theirs, ours) = self.both(request);
        if theirs != ours {
            self.differences.push(format!("{request:?}\n  influxdb {theirs:?}\n  skywatch {ours:?}"));
        }
    }

    fn write(&mut self, body: &str) {
        self.same(&Request::post("/write?db=db0", body));
    }

    fn query(&mut self, text: &str, more: &str) {
        self.same(&Request::get(&format!("/query?db=db0{more}&q={}", encode(text))));
    }

    /// As CSV, and as MessagePack unless there are several tags, which InfluxDB puts there in random order. InfluxDB's
    /// CSV of retention policies has the word `replicaN` in the place of its value.
    fn query_in_other_forms(&mut self, text: &str, more: &str) {
        let target = format!("/query?db=db0{more}&q={}", encode(text));
        if !text.starts_with("SHOW RETENTION") {
            self.same(&Request::get(&target).header("Accept", "text/csv"));
        }
        if !text.ends_with("GROUP BY *") {
            self.same(&Request::get(&target).header("Accept", "application/x-msgpack"));
        }
    }

    fn finish(self) {
        assert!(
            self.differences.is_empty(),
            "{} differ:\n{}",
            self.differences.len(),
            self.differences.join("\n")
        );
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const POINTS: &str = concat!(
    "m,host=a\\ b,r=x f=1.5,i=2i,s=\"he<>&\\\"y\",b=true 1\n",
    "m,host=c f=2 1000000000\n",
    "m,host=c f=1e21 1000000000001\n",
    "m,host=c f=1e-7 1500000000000000000\n",
    "n,t=q x=1,y=2 0\n",
    "n,t=q x=3 60000000000\n",
    "u s=\"tab\there \u{2028} é 😀 \\\\ back\" 5\n",
    "u s=\"a,b\" 6\n",
    "esc,t\\=\\,\\ x=v\\=\\,\\ w,b=\\\\q f=1,e=\"\" 1\n",
    "neg f=-0.000001,i=-5i,g=-1234567890123456789012 -1500000001\n",
    "neg f=0.0000001234,g=123456789012345678901 -86400000000001\n",
    "neg f=-0,g=100000000000000000000000,i=9223372036854775807i -62135596800\n",
    "neg f=0.1,g=3.0000000000000004 1600000000000000000\n",
);

#[test]
#[cfg_attr(not(influxd), ignore = "/usr/bin/influxd (Debian package influxdb) is not installed")]
fn answers_are_the_same() {
    let mut both = Both::start();
    both.same(&Request::post("/query", "q=CREATE+DATABASE+db0").form());
    both.write(POINTS);
    plain_requests(&mut both);
    writes(&mut both);
    for query in SELECTS.iter().chain(SCHEMA) {
        for more in ["", "&epoch=ms", "&pretty=true"] {
            both.query(query, more);
        }
        both.query_in_other_forms(query, "");
    }
    for query in SELECTS {
        for more in ["&chunked=true&chunk_size=1", "&chunked=true&chunk_size=2", "&chunked=true&pretty=true"]
        {
            both.query(query, more);
            both.query_in_other_forms(query, more);
        }
    }
    for epoch in ["ns", "n", "u", "s", "m", "h", "zz"] {
        both.query("SELECT f FROM neg", &format!("&epoch={epoch}"));
    }
    parameters(&mut both);
    both.finish();
}

const SELECTS: &[&str] = &[
    "SELECT * FROM m",
    "SELECT f FROM m GROUP BY host",
    "SELECT * FROM m GROUP BY *",
    "SELECT * FROM u",
    "SELECT * FROM esc",
    "SELECT * FROM esc GROUP BY *",
    "SELECT * FROM neg",
    "SELECT * FROM nosuch",
    "SELECT count(f), mean(f) FROM m",
    "SELECT mean(\"f\") FROM \"m\" WHERE time >= 0ms and time <= 1600000000000ms \
     GROUP BY time(100000000s), \"host\"::tag fill(null) ORDER BY time ASC",
    "SELECT f FROM m WHERE time >= 0ms and time <= 5000ms tz('Europe/Berlin')",
    "SELECT * FROM n; SELECT * FROM nosuch; SELECT x FROM n LIMIT 1",
];

/// What Grafana asks of a schema, and a little more. Not in chunks: InfluxDB marks some of these as complete in
/// every chunk (`SHOW TAG KEYS`, `SHOW TAG VALUES`), which tells a client the opposite of the truth.
const SCHEMA: &[&str] = &[
    "SHOW DATABASES",
    "SHOW measurements",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)E/ LIMIT 100",
    "SHOW RETENTION POLICIES on \"db0\"",
    "SHOW FIELD KEYS",
    "SHOW FIELD KEYS FROM \"m\"",
    "SHOW TAG KEYS",
    "SHOW TAG KEYS FROM \"m\"",
    "SHOW TAG VALUES WITH KEY = \"host\"",
    "SHOW TAG VALUES FROM \"m\" WITH KEY = \"host\" WHERE \"r\" = 'x'",
    "SHOW SERIES",
];

fn plain_requests(both: &mut Both) {
    for target in ["/ping", "/status", "/", "/nonsense", "/ping/", "/query/", "/Query", "/write/?db=db0"] {
        both.same(&Request::get(target));
    }
    both.same(&Request::get("/ping").header("Origin", "http://a.b"));
    both.same(&Request::get("/ping").header("X-Request-Id", "mine"));
    for (method, target) in
        [("HEAD", "/ping"), ("POST", "/ping"), ("OPTIONS", "/query"), ("PUT", "/write"), ("DELETE", "/query")]
    {
        both.same(&Request { method, ..Request::get(target) });
    }
}

fn writes(both: &mut Both) {
    for target in
        ["/write", "/write?db=", "/write?db=nope", "/write?db=db0&rp=nope", "/write?db=db0&consistency=zz"]
    {
        both.same(&Request::post(target, "w v=1 1"));
    }
    for target in
        ["/write?db=db0&precision=h", "/write?db=db0&consistency=ALL", "/write?db=db0&rp=autogen&u=x&p=y"]
    {
        both.same(&Request::post(target, "w v=1 1"));
    }
    for body in
        ["", " ", "#c\n\n", "w v=", "w v=1 2\nw v=\nw v=x 3\n", "w v=\"str\" 1", "w v=1 99999999999999999999"]
    {
        both.write(body);
    }
    both.same(&Request::post("/write?db=db0", "w v=2 7").header("Content-Encoding", "gzip"));
    both.query("SELECT * FROM w", "");
}

fn parameters(both: &mut Both) {
    for target in [
        "/query",
        "/query?q=",
        "/query?q=+",
        "/query?q=%3B",
        "/query?q=SELECT",
        "/query?q=SELECT&pretty=true",
    ] {
        both.same(&Request::get(target));
        both.same(&Request::post(target, ""));
    }
    both.same(&Request::get("/query?q=SELECT").header("Accept", "text/csv"));
    both.same(&Request::get("/query?q=SELECT+x+FROM+m"));
    both.same(&Request::get("/query?db=missing&q=SELECT+x+FROM+m"));
    both.same(
        &Request::post("/query?db=missing&q=SHOW+DATABASES", "q=SELECT+*+FROM+n&db=db0&epoch=s").form(),
    );
    both.same(
        &Request::post("/query?db=db0&q=SELECT+*+FROM+n", "{}").header("Content-Type", "application/json"),
    );
    both.same(&Request::post("/query?db=db0", "SELECT * FROM n").header("Content-Type", "text/plain"));
    let multipart = "--B\r\nContent-Disposition: form-data; name=\"q\"; filename=\"f\"\r\n\r\nSELECT * FROM n\r\n--B--\r\n";
    let request = Request::post("/query?db=db0", multipart);
    both.same(&request.header("Content-Type", "multipart/form-data; boundary=B"));
    for statement in
        ["CREATE DATABASE g", "DROP DATABASE g", "CREATE RETENTION POLICY r ON db0 DURATION 2h REPLICATION 1"]
    {
        both.query(statement, "");
    }
    for params in
        ["{\"t\":\"q\"}", "{\"t\":", "[1]", "", "{\"t\":null}", "{\"t\":[1]}", "{\"t\":1}", "{\"t\":true}"]
    {
        both.query("SELECT * FROM n WHERE t = $t", &format!("&params={}", encode(params)));
    }
    for params in ["{\"v\":1.5}", "{\"v\":1}", "{\"v\":{\"integer\":1}}"] {
        both.query("SELECT * FROM n WHERE x > $v", &format!("&params={}", encode(params)));
    }
}
