// Both Node clients at a server that asks for a user and a password.

import assert from "node:assert/strict";
import { test } from "node:test";
import { InfluxDB as InfluxDB2 } from "@influxdata/influxdb-client";
import Influx from "influx";

const url = new URL(process.env.INFLUXDB_URL);
const address = { host: url.hostname, port: Number(url.port), database: "db" };
const influx = (username, password) => new Influx.InfluxDB({ ...address, username, password });

test("influx sends its user as Basic", async () => {
    const reader = influx("reader", "read:er");
    assert.deepEqual(await reader.getDatabaseNames(), ["db"]);
    assert.ok((await reader.getMeasurements()).includes("m"));
    await influx("writer", "writer").writeMeasurement("node", [{ fields: { v: 1 } }]);
    assert.equal((await reader.query("select v from node")).length, 1);
});

test("influx tells what is refused", async () => {
    await assert.rejects(influx("reader", "wrong").query("select v from m"), /A 401 Unauthorized error occurred: \{"error":"authorization failed"\}/);
    await assert.rejects(influx("reader", "read:er").writeMeasurement("m", [{ fields: { v: 1 } }]), /A 403 Forbidden error occurred/);
    await assert.rejects(influx("reader", "read:er").createDatabase("third"), /A 403 Forbidden error occurred/);
});

test("@influxdata/influxdb-client sends its user as a token", async () => {
    const write = async (token) => {
        const api = new InfluxDB2({ url: url.origin, token }).getWriteApi("-", "db", "ns", { maxRetries: 0 });
        api.writeRecord("node2 v=1 1");
        await api.close();
    };
    await write("writer:writer");
    await assert.rejects(write("writer:wrong"), { statusCode: 401 });
    await assert.rejects(write("reader:read:er"), { statusCode: 403 });
});
