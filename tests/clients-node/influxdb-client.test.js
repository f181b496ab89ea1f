// npm's `@influxdata/influxdb-client`, made for InfluxDB 2, against the interface that 1.8 keeps for it, unmodified.
// A bucket is `database/policy` or `database`, a token is `user:password`. INFLUXDB_URL says where the server is.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { HttpError, InfluxDB, Point, flux, fluxDuration, setLogger } from "@influxdata/influxdb-client";
import { DeleteAPI, HealthAPI, PingAPI } from "@influxdata/influxdb-client-apis";

const url = process.env.INFLUXDB_URL;
const database = "node_v2";
const client = new InfluxDB({ url, token: "ann:secret" });
const start = 1_672_531_200_000;

// What the client would print of retries and failures is checked instead.
const logged = [];
setLogger({ error: (...words) => logged.push(words.join(" ")), warn: (...words) => logged.push(words.join(" ")) });

/** Asks by InfluxQL, and returns the rows of the first series. */
async function rows(text, db = database) {
    const answer = await fetch(`${url}/query?${new URLSearchParams({ db, q: text, epoch: "ns" })}`, { method: "POST" });
    const [result] = (await answer.json()).results;
    assert.ok(!result.error, result.error);
    return result.series?.[0].values ?? [];
}

before(() => rows(`DROP DATABASE ${database}`).then(() => rows(`CREATE DATABASE ${database}`)));
after(() => rows(`DROP DATABASE ${database}`));

describe("writing", () => {
    test("points of every type", async () => {
        const api = client.getWriteApi("-", database, "ms", { defaultTags: { site: "x y" } });
        api.useDefaultTags({ site: "x y", rack: "7" });
        api.writePoint(
            new Point("all")
                .tag("room", "süd, 1=2")
                .floatField("f", -1.5)
                .intField("i", 42)
                .booleanField("b", true)
                .stringField("s", 'say "hi"\\')
                .timestamp(new Date(start)),
        );
        await api.close();
        assert.deepEqual(await rows("SELECT b, f, i, rack, room, s, site FROM \"all\""), [
            [start * 1e6, true, -1.5, 42, "7", "süd, 1=2", 'say "hi"\\', "x y"],
        ]);
    });

    test("unsigned integers", async () => {
        const api = client.getWriteApi("-", database, "ms");
        api.writePoint(new Point("unsigned").uintField("u", 7).timestamp(new Date(start)));
        await api.close();
        assert.deepEqual(await rows("SELECT u FROM unsigned"), [[start * 1e6, 7]]);
    });

    for (const [precision, unit] of [
        ["ns", 1n],
        ["us", 1000n],
        ["ms", 1_000_000n],
        ["s", 1_000_000_000n],
    ]) {
        test(`times in ${precision}`, async () => {
            const api = client.getWriteApi("-", database, precision);
            const first = (BigInt(start) * 1_000_000n) / unit;
            api.writeRecord(`time_${precision} v=1 ${first}`);
            api.writePoint(new Point(`time_${precision}`).intField("w", 1).timestamp(String(first + 1n)));
            api.writePoint(new Point(`time_${precision}`).intField("x", 1).timestamp(new Date(start + 5000)));
            await api.close();
            const times = (await rows(`SELECT * FROM time_${precision}`)).map(([time]) => time);
            // Such times are more than JavaScript's numbers hold; what is lost is lost on both sides.
            const expected = [0n, unit, 5_000_000_000n].map((after) => Number(BigInt(start) * 1_000_000n + after));
            assert.deepEqual(times, expected);
        });
    }

    test("no time at all", async () => {
        const api = client.getWriteApi("-", database);
        api.writePoint(new Point("now").intField("v", 1));
        await api.close();
        assert.equal((await rows("SELECT v FROM now WHERE time > now() - 1m")).length, 1);
    });

    test("batches, compressed", async () => {
        const sent = [];
        // Full batches leave in the background: all are written when as many lines are.
        await new Promise((written, failed) => {
            const api = client.getWriteApi("-", database, "s", {
                batchSize: 300,
                gzipThreshold: 100,
                flushInterval: 0,
                consistency: "all",
                writeFailed: async (error) => failed(error),
                writeSuccess: (lines) => {
                    sent.push(lines.length);
                    if (sent.reduce((sum, count) => sum + count) === 1000) written(api.close());
                },
            });
            for (let n = 0; n < 1000; n += 1) {
                api.writePoint(new Point("many").tag("n", String(n % 7)).intField("v", n).timestamp(n));
            }
            api.flush();
        });
        assert.deepEqual(
            [...sent].sort((a, b) => a - b),
            [100, 300, 300, 300],
        );
        assert.deepEqual((await rows("SELECT count(v), sum(v) FROM many"))[0].slice(1), [1000, 499_500]);
    });

    test("a policy in the bucket's name", async () => {
        await rows(`CREATE RETENTION POLICY other ON ${database} DURATION INF REPLICATION 1`);
        const api = client.getWriteApi("-", `${database}/other`);
        api.writeRecord("elsewhere v=1");
        await api.close();
        assert.equal((await rows("SELECT v FROM other.elsewhere")).length, 1);
        assert.equal((await rows("SELECT v FROM elsewhere")).length, 0);
    });

    test("lines that are refused are reported and not repeated", async () => {
        const failed = [];
        const api = client.getWriteApi("-", database, "ns", {
            flushInterval: 0,
            writeFailed: (error, lines, attempt) => {
                failed.push([error, lines.length, attempt]);
            },
        });
        api.writeRecords(["right v=1 1", "nonsense", "right v=2 2"]);
        await assert.rejects(api.close(), (error) => error instanceof HttpError && error.statusCode === 400);
        const [[error, lines, attempt]] = failed;
        assert.deepEqual([failed.length, lines, attempt], [1, 3, 1]);
        assert.match(error.body, /unable to parse 'nonsense': missing fields/);
        assert.equal((await rows("SELECT v FROM right")).length, 2);
    });

    test("a database that is missing", async () => {
        const api = client.getWriteApi("-", "nothing", "ns", { maxRetries: 0 });
        api.writeRecord("m v=1");
        await assert.rejects(api.close(), (error) => error.statusCode === 404 && /database not found/.test(error.body));
    });

    test("writes wait for a server that is overloaded", async () => {
        let refusals = 2;
        const overloaded = createServer(async (request, response) => {
            if (refusals > 0) {
                refusals -= 1;
                response.writeHead(503, { "Retry-After": "0" }).end('{"error":"timeout"}');
                return;
            }
            const chunks = [];
            for await (const chunk of request) chunks.push(chunk);
            const { host: _, ...headers } = request.headers;
            const passed = await fetch(url + request.url, { method: "POST", headers, body: Buffer.concat(chunks) });
            response.writeHead(passed.status).end(await passed.text());
        });
        overloaded.listen(0, "127.0.0.1");
        await new Promise((listening) => overloaded.once("listening", listening));
        const impatient = new InfluxDB({ url: `http://127.0.0.1:${overloaded.address().port}`, token: "" });
        const attempts = [];
        try {
            await new Promise((written, failed) => {
                const api = impatient.getWriteApi("-", database, "ns", {
                    flushInterval: 0,
                    minRetryDelay: 1,
                    maxRetryDelay: 10,
                    retryJitter: 1,
                    maxRetryTime: 20_000,
                    writeFailed: (error, _lines, attempt) => {
                        attempts.push([error.statusCode, attempt]);
                    },
                    writeSuccess: () => written(api.close()),
                });
                api.writeRecord("patient v=1 1");
                // It tells of the failure, and keeps the line for later.
                api.flush().then(failed, (error) => assert.equal(error.statusCode, 503));
            });
            assert.deepEqual(attempts, [
                [503, 1],
                [503, 2],
            ]);
            assert.deepEqual(await rows("SELECT v FROM patient"), [[1, 1]]);
        } finally {
            overloaded.closeAllConnections();
            overloaded.close();
        }
    });
});

describe("the rest of the interface", () => {
    test("health", async () => {
        const health = await new HealthAPI(client).getHealth();
        assert.deepEqual([health.name, health.status, health.version], ["influxdb", "pass", "1.8.10"]);
    });

    test("ping", async () => {
        await new PingAPI(client).getPing();
    });

    test("deletes", async () => {
        const api = client.getWriteApi("-", database, "ms");
        api.writeRecords([`gone,host=a v=1 ${start}`, `gone,host=b v=2 ${start}`, `gone,host=a v=3 ${start + 60_000}`]);
        await api.close();
        await new DeleteAPI(client).postDelete({
            org: "-",
            bucket: database,
            body: {
                start: new Date(start - 1).toISOString(),
                stop: new Date(start + 1000).toISOString(),
                predicate: '_measurement="gone" AND host="a"',
            },
        });
        assert.deepEqual(
            (await rows("SELECT v FROM gone")).map(([, v]) => v),
            [2, 3],
        );
    });
});

describe("Flux", () => {
    const api = client.getQueryApi("-");
    const range = "range(start: 2023-01-01T00:00:00Z, stop: 2023-01-02T00:00:00Z)";
    const room = 'a "b" ${c} \\ d';

    before(async () => {
        const writes = client.getWriteApi("-", database, "ms");
        for (let n = 0; n < 3; n += 1) {
            const point = new Point("flux").tag("room", room).floatField("f", n + 0.5).intField("i", n);
            writes.writePoint(point.booleanField("b", n > 0).stringField("s", `line\n${n}, "x"`).timestamp(start + n * 1000));
        }
        writes.writePoint(new Point("flux").tag("room", "other").floatField("f", -1).timestamp(start));
        await writes.close();
    });

    /** The values of one field, in the order of time. */
    const values = async (field) => {
        const query = flux`from(bucket: ${database}) |> range(start: ${new Date(start)}, stop: ${new Date(start + 60_000)})
            |> filter(fn: (r) => r._measurement == "flux" and r._field == ${field} and r.room == ${room})`;
        return (await api.collectRows(query)).map((row) => row._value);
    };

    test("rows of every type", async () => {
        assert.deepEqual(await values("f"), [0.5, 1.5, 2.5]);
        assert.deepEqual(await values("i"), [0, 1, 2]);
        assert.deepEqual(await values("b"), [false, true, true]);
        assert.deepEqual(await values("s"), ['line\n0, "x"', 'line\n1, "x"', 'line\n2, "x"']);
        assert.deepEqual(await values('no "such" field'), []);
    });

    test("the columns of a row", async () => {
        const query = flux`from(bucket: ${database}) |> range(start: 2023-01-01T00:00:00Z, stop: 2023-01-02T00:00:00Z)
            |> filter(fn: (r) => r._measurement == "flux" and r.room == "other")`;
        assert.deepEqual(await api.collectRows(query), [
            {
                result: "_result",
                table: 0,
                _start: "2023-01-01T00:00:00Z",
                _stop: "2023-01-02T00:00:00Z",
                _time: "2023-01-01T00:00:00Z",
                _value: -1,
                _field: "f",
                _measurement: "flux",
                room: "other",
            },
        ]);
    });

    test("parameters of the template", async () => {
        const given = { float: 1.5, int: 2, yes: true, list: ["other", room], when: new Date(start + 1000) };
        const query = flux`from(bucket: ${database}) |> range(start: 2023-01-01T00:00:00Z, stop: ${fluxDuration("-1d")})
            |> filter(fn: (r) => r._measurement == "flux" and contains(value: r.room, set: ${given.list}))
            |> filter(fn: (r) => (r._field == "f" and r._value == ${given.float}) or (r._field == "i" and r._value == ${given.int}))
            |> filter(fn: (r) => ${given.yes} and r._time >= ${given.when})
            |> keep(columns: ["_field", "_value"])`;
        const found = (await api.collectRows(query)).map((row) => [row._field, row._value]);
        assert.deepEqual(found.sort(), [
            ["f", 1.5],
            ["i", 2],
        ]);
    });

    test("rows one by one, and their tables' columns", async () => {
        const query = `from(bucket: "${database}") |> ${range} |> filter(fn: (r) => r._measurement == "flux" and r._field == "f")
            |> group() |> sort(columns: ["_value"])`;
        const seen = [];
        for await (const { values: cells, tableMeta } of api.iterateRows(query)) {
            assert.equal(tableMeta.column("_value").dataType, "double");
            assert.equal(tableMeta.column("_time").dataType, "dateTime:RFC3339");
            assert.deepEqual([tableMeta.column("room").group, tableMeta.column("_value").group], [false, false]);
            seen.push(tableMeta.get(cells, "_value"));
        }
        assert.deepEqual(seen, [-1, 0.5, 1.5, 2.5]);
    });

    test("results by name, and columns without values", async () => {
        const query = `data = from(bucket: "${database}") |> range(start: 2023-01-01T00:00:00Z, stop: 2023-01-01T00:00:04Z)
            |> filter(fn: (r) => r._measurement == "flux" and r._field == "i")
            data |> sum() |> yield(name: "sum")
            data |> aggregateWindow(every: 1s, fn: mean) |> yield(name: "means")`;
        const found = {};
        for (const row of await api.collectRows(query)) (found[row.result] ??= []).push(row._value);
        assert.deepEqual(found, { sum: [3], means: [0, 1, 2, null] });
    });

    test("the text as it comes", async () => {
        const query = `from(bucket: "${database}") |> ${range} |> filter(fn: (r) => r._measurement == "flux" and r._field == "i") |> last()`;
        const text = await api.queryRaw(query);
        assert.match(text, /^#datatype,string,long,/);
        assert.equal(text.split("\r\n").filter((line) => line && !line.startsWith("#")).length, 2);
        const lines = [];
        await new Promise((complete, error) => {
            api.queryLines(query, { next: (line) => lines.push(line), error, complete });
        });
        assert.equal(lines.filter((line) => line.startsWith("#")).length, 3);
    });

    test("compressed answers", async () => {
        const packed = api.with({ gzip: true, headers: { "X-Own": "header" } });
        const query = `from(bucket: "${database}") |> ${range} |> filter(fn: (r) => r._measurement == "flux")`;
        assert.deepEqual(await packed.collectRows(query), await api.collectRows(query));
    });

    test("the time that counts as now", async () => {
        const then = api.with({ now: () => new Date(start + 2500).toISOString() });
        const query = `from(bucket: "${database}") |> range(start: -2s) |> filter(fn: (r) => r._field == "i")`;
        assert.deepEqual(
            (await then.collectRows(query)).map((row) => row._value),
            [1, 2],
        );
    });

    for (const [name, query, status, told] of [
        ["a text that is none", 'from(bucket: "x"', 400, /compilation failed/],
        ["a function that is unknown", `from(bucket: "${database}") |> range(start: -1h) |> nonsense()`, 400, /nonsense/],
        ["a bucket that is missing", 'from(bucket: "nothing") |> range(start: -1h)', 404, /nothing/],
        ["a range that is missing", `from(bucket: "${database}")`, 400, /unbounded/],
    ]) {
        test(name, async () => {
            const refused = (error) => error instanceof HttpError && error.statusCode === status && told.test(error.message);
            await assert.rejects(api.collectRows(query), refused);
            await assert.rejects(api.queryRaw(query), refused);
            const error = await new Promise((tell) => {
                api.queryRows(query, { next: tell, error: tell, complete: tell });
            });
            assert.ok(refused(error), error);
        });
    }

    test("an error after the first table", async () => {
        const query = `import "array"
            from(bucket: "${database}") |> ${range} |> yield(name: "some")
            array.from(rows: [{_value: 1}]) |> map(fn: (r) => ({r with _value: 1 / (r._value - 1)})) |> yield(name: "none")`;
        await assert.rejects(api.collectRows(query), /zero/);
    });

    test("a query that is given up", async () => {
        const query = `from(bucket: "${database}") |> ${range}`;
        const seen = [];
        for await (const row of api.iterateRows(query)) {
            seen.push(row);
            break;
        }
        assert.equal(seen.length, 1);
        assert.deepEqual(await values("i"), [0, 1, 2]);
    });
});
