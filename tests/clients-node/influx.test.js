// npm's `influx` (node-influx 5), unmodified: its whole interface. INFLUXDB_URL says where the server is.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import Influx from "influx";

const { FieldType, InfluxDB, Precision, Raw, escape, toNanoDate } = Influx;

const url = new URL(process.env.INFLUXDB_URL);
const address = { host: url.hostname, port: Number(url.port) };
const database = "node_influx";
const schema = [
    {
        measurement: "power",
        fields: { watts: FieldType.FLOAT, count: FieldType.INTEGER, ok: FieldType.BOOLEAN, note: FieldType.STRING },
        tags: ["room", "site"],
    },
];
const influx = new InfluxDB({ ...address, database, username: "ann", password: "secret", schema });
const start = new Date("2023-01-01T00:00:00Z");
const hour = 3600 * 1000;

/** Readings of two rooms, one an hour. */
function power(count = 10) {
    return Array.from({ length: count }, (_, n) => ({
        measurement: "power",
        tags: { room: n % 2 ? "süd, 1" : "nord=2" },
        fields: { watts: n * 1.5, count: n, ok: n % 2 === 0, note: 'say "hi"\\' },
        timestamp: new Date(start.getTime() + n * hour),
    }));
}

before(async () => {
    await influx.dropDatabase(database);
    await influx.createDatabase(database);
    await influx.writePoints(power());
});

after(() => influx.dropDatabase(database));

describe("databases and schema", () => {
    test("databases are created, listed and dropped", async () => {
        await influx.createDatabase("node more");
        await influx.createDatabase("node more");
        assert.ok((await influx.getDatabaseNames()).includes("node more"));
        await influx.dropDatabase("node more");
        assert.ok(!(await influx.getDatabaseNames()).includes("node more"));
    });

    test("measurements and series are listed and dropped", async () => {
        const other = "node_influx_schema";
        await influx.createDatabase(other);
        const points = [
            { measurement: "disk", tags: { host: "a" }, fields: { v: 1 } },
            { measurement: "disk", tags: { host: "b" }, fields: { v: 2 } },
            { measurement: "net", tags: { host: "a" }, fields: { v: 3 } },
        ];
        await influx.writePoints(points, { database: other });
        assert.deepEqual(await influx.getMeasurements(other), ["disk", "net"]);
        const series = () => influx.getSeries({ database: other });
        assert.deepEqual(await series(), ["disk,host=a", "disk,host=b", "net,host=a"]);
        assert.deepEqual(await influx.getSeries({ measurement: "net", database: other }), ["net,host=a"]);
        await influx.dropSeries({
            measurement: (m) => m.name("disk"),
            where: (e) => e.tag("host").equals.value("a"),
            database: other,
        });
        assert.deepEqual(await series(), ["disk,host=b", "net,host=a"]);
        await influx.dropSeries({ where: "\"host\" = 'b'", database: other });
        await influx.dropMeasurement("net", other);
        assert.deepEqual(await influx.getMeasurements(other), []);
        await influx.dropDatabase(other);
    });

    test("retention policies are created, altered, listed and dropped", async () => {
        const week = { database, duration: "7d", replication: 1 };
        await influx.createRetentionPolicy("a week", week);
        await influx.alterRetentionPolicy("a week", { ...week, duration: "14d", isDefault: true });
        const policies = await influx.showRetentionPolicies(database);
        assert.deepEqual(
            policies.map((policy) => Object.values({ ...policy })),
            [
                ["autogen", "0s", "168h0m0s", 1, false],
                ["a week", "336h0m0s", "24h0m0s", 1, true],
            ],
        );
        await influx.alterRetentionPolicy("autogen", { ...week, duration: "0s", isDefault: true });
        await influx.dropRetentionPolicy("a week", database);
        assert.equal((await influx.showRetentionPolicies(database)).length, 1);
        await assert.rejects(
            influx.createRetentionPolicy("x", { ...week, duration: "1m" }),
            /retention policy duration must be at least 1h0m0s/,
        );
    });

    test("shards are listed and dropped", async () => {
        const other = "node_influx_shards";
        await influx.createDatabase(other);
        await influx.writePoints(power(3), { database: other });
        const shards = await influx.showShards(other);
        assert.equal(shards.length, 1);
        const { id, database: owner, retention_policy, start_time, end_time } = shards[0];
        assert.deepEqual(
            [owner, retention_policy, start_time, end_time],
            [other, "autogen", "2022-12-26T00:00:00Z", "2023-01-02T00:00:00Z"],
        );
        await influx.dropShard(id);
        assert.equal((await influx.showShards(other)).length, 0);
        assert.equal((await influx.query("select * from power", { database: other })).length, 0);
        await influx.dropDatabase(other);
    });
});

describe("users and continuous queries", () => {
    test("users and their privileges", async () => {
        const name = "node it's ann";
        await influx.createUser(name, "secr'et");
        try {
            const users = await influx.getUsers();
            assert.deepEqual(
                users.find((user) => user.user === name),
                { user: name, admin: false },
            );
            await influx.setPassword(name, "other");
            await influx.grantPrivilege(name, "READ", database);
            await influx.revokePrivilege(name, "READ", database);
            await influx.grantAdminPrivilege(name);
            assert.ok((await influx.getUsers()).find((user) => user.user === name).admin);
            await influx.revokeAdminPrivilege(name);
            await assert.rejects(influx.createUser(name, "third"), /user already exists/);
        } finally {
            await influx.dropUser(name);
        }
        await assert.rejects(influx.dropUser(name), /user not found/);
        await assert.rejects(influx.grantPrivilege("nobody", "READ", database), /user not found/);
    });

    test("continuous queries are created, listed and dropped", async () => {
        const select = "select mean(watts) into mean_watts from power group by time(1h)";
        await influx.createContinuousQuery("hourly", select, database, "resample every 30m for 2h");
        const results = await influx.queryRaw("show continuous queries");
        const own = results.results[0].series.find((series) => series.name === database);
        assert.equal(own.values[0][0], "hourly");
        assert.match(
            own.values[0][1],
            /^CREATE CONTINUOUS QUERY hourly ON node_influx RESAMPLE EVERY 30m FOR 2h BEGIN SELECT mean\(watts\) INTO /,
        );
        const names = async () => (await influx.showContinousQueries(database)).map((query) => query.name);
        assert.ok((await names()).includes("hourly"));
        await influx.dropContinuousQuery("hourly", database);
        assert.ok(!(await names()).includes("hourly"));
    });
});

describe("writing", () => {
    test("a schema's types and tags are kept", async () => {
        const rows = await influx.query("select * from power order by time limit 2");
        assert.deepEqual(
            [...rows].map(({ time, ...row }) => [time.toISOString(), row]),
            [
                ["2023-01-01T00:00:00.000Z", { count: 0, note: 'say "hi"\\', ok: true, room: "nord=2", watts: 0 }],
                ["2023-01-01T01:00:00.000Z", { count: 1, note: 'say "hi"\\', ok: false, room: "süd, 1", watts: 1.5 }],
            ],
        );
        const extraneous = [{ measurement: "power", tags: { unknown: "x" }, fields: { watts: 1 } }];
        await assert.rejects(async () => influx.writePoints(extraneous), /Extraneous tags/);
    });

    test("every precision", async () => {
        const units = [
            [Precision.Hours, hour],
            [Precision.Minutes, 60_000],
            [Precision.Seconds, 1000],
            [Precision.Milliseconds, 1],
        ];
        for (const [precision, milliseconds] of units) {
            const measurement = `precision_${precision}`;
            const points = [0, milliseconds].map((after) => ({
                fields: { v: 1 },
                timestamp: new Date(start.getTime() + after),
            }));
            await influx.writeMeasurement(measurement, points, { precision });
            const rows = await influx.query(`select v from ${escape.measurement(measurement)}`);
            assert.deepEqual(
                [...rows].map((row) => row.time.getTime() - start.getTime()),
                [0, milliseconds],
            );
        }
    });

    test("nanoseconds come back whole", async () => {
        const moment = toNanoDate("1672531200123456789");
        await influx.writeMeasurement("nano", [{ fields: { v: 1 }, timestamp: moment }]);
        const rows = await influx.query("select v from nano");
        assert.equal(rows[0].time.getNanoTime(), "1672531200123456789");
        assert.equal(rows[0].time.toNanoISOString(), "2023-01-01T00:00:00.123456789Z");
        const found = await influx.query(`select v from nano where time = '${moment.toNanoISOString()}'`);
        assert.equal(found.length, 1);
    });

    test("points without a time, without a schema, with another policy", async () => {
        await influx.createRetentionPolicy("other", { database, duration: "0s", replication: 1 });
        const point = { measurement: "free", tags: { a: "x y" }, fields: { f: 1.5, s: "text", b: false } };
        await influx.writePoints([point], { retentionPolicy: "other" });
        const rows = await influx.query("select * from free where time > now() - 1m", { retentionPolicy: "other" });
        assert.deepEqual([rows[0].a, rows[0].f, rows[0].s, rows[0].b], ["x y", 1.5, "text", false]);
        assert.equal((await influx.query("select * from free")).length, 0);
    });

    test("what is refused is told", async () => {
        await assert.rejects(
            influx.writePoints(power(), { database: "nothing" }),
            /A 404 Not Found error occurred: \{"error":"database not found: \\"nothing\\""\}/,
        );
        await assert.rejects(
            influx.writeMeasurement("empty", [{ fields: {}, timestamp: start }]),
            /A 400 Bad Request error occurred: \{"error":"unable to parse 'empty/,
        );
        await influx.writeMeasurement("typed", [{ fields: { v: 1 }, timestamp: start }]);
        await assert.rejects(
            influx.writeMeasurement("typed", [{ fields: { v: "text" }, timestamp: start }]),
            /A 400 Bad Request error occurred: \{"error":"partial write: field type conflict/,
        );
    });
});

describe("reading", () => {
    test("groups", async () => {
        const rows = await influx.query("select sum(watts) from power group by room");
        assert.deepEqual(
            rows.groups().map(({ name, tags, rows: own }) => [name, tags, own[0].sum]),
            [
                ["power", { room: "nord=2" }, 30],
                ["power", { room: "süd, 1" }, 37.5],
            ],
        );
        assert.equal(rows.group({ room: "süd, 1" })[0].sum, 37.5);
        assert.deepEqual(rows.group({ room: "nowhere" }), []);
    });

    test("several statements", async () => {
        const texts = ["select count(watts) from power", "select max(watts) from power"];
        const [first, second] = await influx.query(texts);
        assert.deepEqual([first[0].count, second[0].max], [10, 13.5]);
    });

    test("placeholders", async () => {
        const placeholders = { low: 9, room: "süd, 1", ok: false, date: start.toISOString() };
        const text = "select watts from power where watts > $low and room = $room and ok = $ok and time > $date";
        const rows = await influx.query(text, { placeholders });
        assert.deepEqual(
            [...rows].map((row) => row.watts),
            [10.5, 13.5],
        );
    });

    test("precisions of answers", async () => {
        for (const precision of ["h", "m", "s", "ms", "u", "n"]) {
            const rows = await influx.query("select watts from power limit 2", { precision });
            assert.deepEqual(
                [...rows].map((row) => row.time.getTime()),
                [start.getTime(), start.getTime() + hour],
                precision,
            );
        }
        const raw = await influx.queryRaw("select watts from power limit 1", { precision: "s" });
        assert.deepEqual(raw.results[0].series[0].values, [[1672531200, 0]]);
    });

    test("escapes", async () => {
        const room = escape.stringLit("süd, 1");
        const text = `select ${escape.quoted("watts")} from ${escape.quoted("power")} where room = ${room} limit 1`;
        assert.equal((await influx.query(text))[0].watts, 1.5);
        const raw = escape.quoted(new Raw('"watts"'));
        assert.equal((await influx.query(`select max(${raw}) from power`))[0].max, 13.5);
    });

    test("nothing found", async () => {
        const rows = await influx.query("select * from nothing");
        assert.equal(rows.length, 0);
        assert.deepEqual(rows.groups(), []);
    });

    test("errors", async () => {
        await assert.rejects(
            influx.query("selec"),
            /A 400 Bad Request error occurred: \{"error":"error parsing query: found selec, expected SELECT/,
        );
        await assert.rejects(influx.query("select foo(watts) from power"), /undefined function foo\(\)/);
        await assert.rejects(
            influx.query("select watts from power", { database: "nothing" }),
            /Error from InfluxDB: database not found: nothing/,
        );
    });

    test("a query by POST", async () => {
        const rows = await influx.query("select watts into copy from power group by *", { method: "POST" });
        assert.equal(rows[0].written, 10);
        assert.equal((await influx.query("select count(watts) from copy"))[0].count, 10);
    });

    test("a query that is given up", async () => {
        const controller = new AbortController();
        const asked = influx.query("select * from power", { signal: controller.signal });
        controller.abort();
        await assert.rejects(asked, { name: "AbortError" });
        assert.equal((await influx.query("select count(watts) from power"))[0].count, 10);
    });
});

describe("hosts", () => {
    test("ping tells the version", async () => {
        const [host] = await influx.ping(5000);
        assert.ok(host.online);
        assert.equal(host.res.statusCode, 204);
        assert.ok(host.version.startsWith(process.env.INFLUXDB_VERSION), host.version);
    });

    test("an address as a URL", async () => {
        const other = new InfluxDB(`http://ann:secret@${url.host}/${database}`);
        assert.equal((await other.query("select count(watts) from power"))[0].count, 10);
    });

    test("hosts that are down or overloaded are left out", async () => {
        const listen = async (server) => {
            server.listen(0, "127.0.0.1");
            await new Promise((listening) => server.once("listening", listening));
            return server.address().port;
        };
        const overloaded = createServer((_, response) => response.writeHead(503).end());
        const closed = createServer();
        const [overloadedPort, closedPort] = [await listen(overloaded), await listen(closed)];
        await new Promise((end) => closed.close(end));
        const hosts = [closedPort, overloadedPort, address.port].map((port) => ({ host: "127.0.0.1", port }));
        const cluster = new InfluxDB({ database, hosts });
        try {
            for (let n = 0; n < 5; n += 1) {
                assert.equal((await cluster.query("select count(watts) from power"))[0].count, 10);
            }
            const online = new Map((await cluster.ping(5000)).map((host) => [Number(host.url.port), host.online]));
            assert.equal(online.get(address.port), true);
            assert.equal(online.get(closedPort), false);
        } finally {
            overloaded.closeAllConnections();
            overloaded.close();
        }
    });
});
