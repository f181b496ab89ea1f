import { describe, expect, test } from 'vitest';
import { languageOf } from '../../data/language';
import type { Schema } from '../schema';
import { TEXTS } from '../texts';
import { fluxPlaceAt, fluxSuggestions } from './completion';
import { functionCalled, LIBRARY, signature } from './library';

/** The cursor is where the text has a bar that no angle follows. */
function place(marked: string) {
  const at = marked.search(/\|(?!>)/);
  return fluxPlaceAt(marked.slice(0, at) + marked.slice(at + 1), at);
}

const SCHEMA: Schema = {
  buckets: async () => ['telegraf', 'telegraf/autogen'],
  measurements: async () => ['cpu'],
  fields: async (measurement) => [{ name: `${measurement} usage`, type: 'float' }],
  tags: async () => ['host', 'a tag'],
  tagValues: async (_, tag) => [`${tag} "x"`],
};

describe('completion', () => {
  test.each([
    ['|', 'statement'],
    ['fro|', 'statement'],
    ['import |', 'package'],
    ['import "str|', 'package'],
    ['from(bucket: |', 'bucket'],
    ['from(bucket: "te|', 'bucket'],
    ['from(|', 'argument'],
    ['from(bucket: "a")\n  |> |', 'piped'],
    ['from(bucket: "a") |> agg|', 'piped'],
    ['x |> aggregateWindow(every: 1m, |', 'argument'],
    ['x |> aggregateWindow(every: 1m, fn: |', 'argument-value'],
    ['x |> filter(fn: (r) => r.|', 'column'],
    ['x |> filter(fn: (r) => r["|', 'column-name'],
    ['x |> filter(fn: (r) => r._measurement == |', 'value'],
    ['x |> filter(fn: (r) => r["host"] == "h|', 'value'],
    ['x |> group(columns: ["host", "|', 'column-name'],
    ['x |> mean(column: |', 'column-name'],
    ['strings.|', 'member'],
    ['x |> range(start: v.|', 'member'],
    ['// from(bucket: |', 'nothing'],
    ['y = "some |', 'nothing'],
    ['x |> filter(fn: (r) => r.host =~ /a"b/ and r.|', 'column'],
  ])('%s expects %s', (text, expects) => expect(place(text).expects).toBe(expects));

  test('knows what is called, compared and measured', () => {
    expect(place('x |> aggregateWindow(every: 1m, fn: |').callee).toBe('aggregateWindow');
    expect(place('x |> map(fn: (r) => ({r with a: strings.trim(|').callee).toBe('strings.trim');
    expect(place('x |> filter(fn: (r) => r._measurement == "my cpu" and r.host == |')).toMatchObject({ subject: 'host', measurement: 'my cpu' });
    expect(place('x |> filter(fn: (r) => r.host == "h|').from).toBe('x |> filter(fn: (r) => r.host == '.length);
  });
  test('offers what fits, quoted', async () => {
    const offered = async (text: string) => (await fluxSuggestions(place(text), SCHEMA)).map(({ apply, label }) => apply ?? label);
    expect(await offered('from(bucket: |')).toEqual(['v.bucket', '"telegraf"', '"telegraf/autogen"']);
    expect(await offered('f(fn: (r) => r._measurement == "cpu" and r._field == |')).toEqual(['"cpu usage"']);
    expect(await offered('f(fn: (r) => r.host == |')).toEqual(['"host \\"x\\""']);
    expect(await offered('x |> filter(fn: (r) => r.|')).toEqual(expect.arrayContaining(['_value', 'host']));
    expect(await offered('x |> filter(fn: (r) => r.|')).not.toContain('a tag');
    expect(await offered('x |> |')).toEqual(expect.arrayContaining(['filter(fn: (r) => ', 'aggregateWindow(every: ', 'mean()', 'limit(n: ']));
    expect(await offered('x |> |')).not.toContain('from(bucket: ');
    expect(await offered('x |> aggregateWindow(|')).toEqual(expect.arrayContaining(['every: ', 'fn: ', 'createEmpty: ']));
    expect(await offered('x |> aggregateWindow(every: |')).toEqual(['v.windowPeriod']);
    expect(await offered('x |> aggregateWindow(every: 1m, fn: |')).toContain('mean');
    expect(await offered('strings.|')).toContain('trimSpace(v: ');
    expect(await offered('import |')).toContain('"influxdata/influxdb/schema"');
    expect(await offered('x |> range(start: v.|')).toContain('timeRangeStart');
  });
});

describe('the library', () => {
  test('names each function once, with what can be left out', () => {
    for (const { path, functions } of LIBRARY) {
      const names = functions.map(({ name }) => name);
      expect(names.filter((name, i) => names.indexOf(name) !== i), path).toEqual([]);
    }
    expect(signature(functionCalled('fill')!)).toBe('(column?, value?, usePrevious?)');
    expect(functionCalled('range')!.piped).toBe(true);
    expect(functionCalled('schema.tagValues')!.args[1]).toEqual({ name: 'tag', optional: false });
    expect(functionCalled('nothing')).toBeUndefined();
  });
});

describe('texts that the console writes', () => {
  test('are Flux, quoted, and begin with what is there', async () => {
    for (const q of TEXTS.flux.examples) expect(languageOf(q)).toBe('flux');
    expect(await TEXTS.flux.start(SCHEMA)).toContain('r._measurement == "cpu" and r._field == "usage_idle"');
    const other = await TEXTS.flux.start({ ...SCHEMA, measurements: async () => ['mem'] });
    expect(other).toContain('r._measurement == "mem" and r._field == "mem usage"');
    expect(other).toContain('group(columns: ["_measurement", "_field", "host"])');
    const text = TEXTS.flux.chart('my "m"', { name: 'note', type: 'string' }, []);
    expect(text).toContain('r._measurement == "my \\"m\\""');
    expect(text).toContain('fn: last');
  });
});
