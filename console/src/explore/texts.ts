/** Queries that Explore writes itself, in either language. */
import { quoteFlux } from '../dashboard/macros';
import type { Language } from '../data/language';
import { type FieldInfo, quoteIdent, type Schema } from './schema';

export interface Texts {
  placeholder: string;
  examples: readonly string[];
  /** A field as a chart. */
  chart(measurement: string, field: FieldInfo, tags: readonly string[]): string;
  tagValues(measurement: string, tag: string): string;
  /** What an empty editor begins with. */
  start(schema: Schema): Promise<string>;
}

function isNumeric({ type }: FieldInfo): boolean {
  return type === 'float' || type === 'integer' || type === 'unsigned';
}

const influxql: Texts = {
  placeholder: 'SELECT mean("usage_idle") FROM "cpu" WHERE $timeFilter GROUP BY time($__interval), "host"',
  examples: [
    'SELECT 100 - mean("usage_idle") AS "busy" FROM "cpu" WHERE "cpu" = \'cpu-total\' AND $timeFilter GROUP BY time($__interval), "host"',
    'SELECT last("used_percent") FROM "disk" WHERE $timeFilter GROUP BY "host", "path"',
    'SELECT * FROM "mem" WHERE $timeFilter ORDER BY time DESC LIMIT 20',
    'SHOW MEASUREMENTS',
  ],
  chart(measurement, field, tags) {
    const numeric = isNumeric(field);
    const value = numeric ? `mean(${quoteIdent(field.name)})` : `last(${quoteIdent(field.name)})`;
    const by = tags.includes('host') ? ', "host"' : '';
    return `SELECT ${value} FROM ${quoteIdent(measurement)} WHERE $timeFilter GROUP BY time($__interval)${by}${numeric ? '' : ' fill(none)'}`;
  },
  tagValues: (measurement, tag) => `SHOW TAG VALUES FROM ${quoteIdent(measurement)} WITH KEY = ${quoteIdent(tag)}`,
  start: () => Promise.resolve(''),
};

const RANGE = 'from(bucket: v.bucket)\n  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)';

const WINDOWS = '|> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)';
const CPU = `${RANGE}\n  |> filter(fn: (r) => r._measurement == "cpu" and r._field == "usage_idle" and r.cpu == "cpu-total")\n  ${WINDOWS}`;

const flux: Texts = {
  placeholder: 'from(bucket: v.bucket) |> range(start: v.timeRangeStart, stop: v.timeRangeStop) |> filter(fn: (r) => r._measurement == "cpu")',
  examples: [
    `${CPU}\n  |> map(fn: (r) => ({r with _value: 100.0 - r._value}))`,
    `${RANGE}\n  |> filter(fn: (r) => r._measurement == "disk" and r._field == "used_percent")\n  |> last()`,
    'buckets()',
  ],
  chart(measurement, field, tags) {
    const filter = `filter(fn: (r) => r._measurement == ${quoteFlux(measurement)} and r._field == ${quoteFlux(field.name)})`;
    // The mean of all that a host has, as in InfluxQL; text has no mean, and keeps its series.
    const by = isNumeric(field) && tags.includes('host') && tags.length > 1 ? '\n  |> group(columns: ["_measurement", "_field", "host"])' : '';
    return `${RANGE}\n  |> ${filter}${by}\n  |> aggregateWindow(every: v.windowPeriod, fn: ${isNumeric(field) ? 'mean' : 'last'}, createEmpty: false)`;
  },
  tagValues: (measurement, tag) =>
    `import "influxdata/influxdb/schema"\n\nschema.measurementTagValues(bucket: v.bucket, measurement: ${quoteFlux(measurement)}, tag: ${quoteFlux(tag)})`,
  /** The agent's CPU where there is one, else whatever the database has first. */
  async start(schema) {
    const measurements = await schema.measurements();
    if (measurements.length === 0 || measurements.includes('cpu')) return CPU;
    const measurement = measurements[0]!;
    const fields = await schema.fields(measurement);
    const field = fields.find(isNumeric) ?? fields[0];
    return field ? flux.chart(measurement, field, await schema.tags(measurement)) : CPU;
  },
};

export const TEXTS: Readonly<Record<Language, Texts>> = { influxql, flux };
