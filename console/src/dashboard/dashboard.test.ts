import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toFrames } from '../data/influx';
import { transform } from '../data/transform';
import { formatValue } from '../format/units';
import { displayText, thresholdColor } from './display';
import { resolveFieldConfig } from './fieldConfig';
import { interpolate, mentions, type Scope } from './interpolate';
import { bands, completed, placement, sections } from './layout';
import { type Dashboard, type FieldConfig, type Panel, whyNoDashboard } from './model';
import { movingText, planPanel } from './panelQuery';
import { customOptions, describeSelection, filterOptions, sortOptions, valueOf, valuesOf } from './variables';

const RANGE = { from: 1_690_000_000_000, to: 1_690_003_600_000 };

const SCOPE: Scope = {
  range: RANGE,
  intervalMs: 20_000,
  variables: {
    host: { values: ['hv-01.local'] },
    hosts: { values: ['a', 'b/c'], multi: true },
    every: { values: ['a', 'b'], all: true, allValue: '.*' },
    each: { values: ['a', 'b.c'], all: true },
    quote: { values: ["it's"] },
  },
};

describe('interpolation', () => {
  test.each([
    ['WHERE $timeFilter', 'WHERE time >= 1690000000000ms and time <= 1690003600000ms'],
    ['time($__interval)', 'time(20s)'],
    ['$interval $__interval_ms', '20s 20000'],
    ['$__from ${__to} $__range_s $__range', '1690000000000 1690003600000 3600 1h'],
    ['"host" = \'$host\'', '"host" = \'hv-01.local\''],
    ['"host" =~ /^$host$/', '"host" =~ /^hv-01\\.local$/'],
    ['"host" =~ /^$hosts$/', '"host" =~ /^(a|b\\/c)$/'],
    ['"host" =~ /^[[hosts]]$/', '"host" =~ /^(a|b\\/c)$/'],
    ['"host" =~ /^$every$/', '"host" =~ /^.*$/'],
    ['"host" =~ /^${each}$/', '"host" =~ /^(a|b\\.c)$/'],
    ["x = '$quote'", "x = 'it\\'s'"],
    ['IN (${hosts:csv}) ${hosts:singlequote} ${hosts:regex}', "IN (a,b/c) 'a','b/c' (a|b\\/c)"],
    ['$unknown ${also:unknown} [[nothing]] $1', '$unknown ${also:unknown} [[nothing]] $1'],
    ['SELECT a / b FROM $host', 'SELECT a / b FROM hv-01.local'],
    ['$hostname', '$hostname'],
    ["note = 'a \\' $host'", "note = 'a \\' hv-01.local'"],
  ])('%s', (query, expected) => expect(interpolate(query, SCOPE)).toBe(expected));

  test('a division does not begin a regular expression', () => {
    expect(interpolate('SELECT x / 2 FROM m WHERE h = \'$quote\' AND y / 2 > 1', SCOPE)).toContain("'it\\'s'");
  });
  test('a variable of the dashboard outranks a built-in name', () => {
    expect(interpolate('$interval', { ...SCOPE, variables: { interval: { values: ['5m'] } } })).toBe('5m');
  });
  test('mentions', () => {
    expect(mentions('/^$host$/', 'host')).toBe(true);
    expect(mentions('$hostname', 'host')).toBe(false);
  });
});

describe('interpolation in Flux', () => {
  const scope: Scope = { ...SCOPE, bucket: 'te"le' };
  test.each([
    ['range(start: v.timeRangeStart, stop:v.timeRangeStop)', 'range(start: 2023-07-22T04:26:40.000Z, stop:2023-07-22T05:26:40.000Z)'],
    ['aggregateWindow(every: v.windowPeriod, fn: mean)', 'aggregateWindow(every: 20s, fn: mean)'],
    ['from(bucket: v.bucket) // v.bucket', 'from(bucket: "te\\"le") // v.bucket'],
    ['v.defaultBucket + v.organization', '"te\\"le" + "-"'],
    ['"v.bucket ${v.windowPeriod}" v.other x.v.bucket dev.bucket', '"v.bucket ${20s}" v.other x.v.bucket dev.bucket'],
    ['every: $__interval, n: $__interval_ms, $timeFilter', 'every: 20s, n: 20000, $timeFilter'],
    ['r.host == "$host"', 'r.host == "hv-01.local"'],
    ['r.host =~ /^$hosts$/', 'r.host =~ /^(a|b\\/c)$/'],
    ['x == "${hosts}"', 'x == "{a,b/c}"'],
    ['set: ${hosts:json}, /${hosts:regex}/', 'set: ["a","b/c"], /(a|b\\/c)/'],
    ["it's text: \"$quote\"", "it's text: \"it's\""],
    ['"${unknown}" r["a"]', '"${unknown}" r["a"]'],
    ['a / b / $host', 'a / b / hv-01.local'],
  ])('%s', (query, expected) => expect(interpolate(query, scope, 'flux')).toBe(expected));
});

describe('variables', () => {
  test('values of SHOW TAG VALUES and of other answers', () => {
    expect(valuesOf([{ columns: ['key', 'value'], values: [['host', 'a'], ['host', 'b']] }, { columns: ['key', 'value'], values: [['host', 'a']] }])).toEqual(['a', 'b']);
    expect(valuesOf([{ columns: ['name'], values: [['cpu']] }])).toEqual(['cpu']);
    expect(valuesOf([{ columns: ['time', 'distinct'], values: [[1, 'x']] }])).toEqual(['x']);
  });
  test('a regular expression filters and cuts', () => {
    expect(filterOptions(['web-1', 'web-2', 'db-1'], '/^web-(\\d)$/').map(({ value }) => value)).toEqual(['1', '2']);
    expect(filterOptions(['a', 'b'], '')).toHaveLength(2);
  });
  test('sorting', () => {
    const options = ['vm-10', 'vm-2'].map((value) => ({ value, text: value }));
    expect(sortOptions(options, 1).map(({ value }) => value)).toEqual(['vm-2', 'vm-10']);
    expect(sortOptions(options, 2)[0]!.value).toBe('vm-10');
    expect(sortOptions(options, 0)).toBe(options);
  });
  test('custom lists', () => {
    expect(customOptions('a, b,Shown : c, d\\,e')).toEqual([
      { value: 'a', text: 'a' }, { value: 'b', text: 'b' }, { text: 'Shown', value: 'c' }, { value: 'd,e', text: 'd,e' },
    ]); // prettier-ignore
  });
  test('what is chosen', () => {
    const variable = { name: 'host', type: 'query', multi: true, includeAll: true, allValue: '.*' };
    const options = ['a', 'b', 'c'].map((value) => ({ value, text: value }));
    expect(valueOf({ variable, options, selected: ['$__all'] })).toEqual({ values: ['a', 'b', 'c'], all: true, allValue: '.*', multi: true });
    expect(describeSelection({ variable, options, selected: ['$__all'] })).toBe('All');
    expect(describeSelection({ variable, options, selected: ['a', 'b', 'c'] })).toBe('3 of 3');
  });
});

describe('field configuration', () => {
  const source = {
    defaults: { unit: 'bytes', custom: { lineWidth: 2 } },
    overrides: [
      { matcher: { id: 'byName', options: 'cpu' }, properties: [{ id: 'unit', value: 'percent' }, { id: 'custom.fillOpacity', value: 10 }] },
      { matcher: { id: 'byRegexp', options: '/sent$/' }, properties: [{ id: 'custom.transform', value: 'negative-Y' }] },
      { matcher: { id: 'byFrameRefID', options: 'B' }, properties: [{ id: 'decimals', value: 3 }] },
    ],
  };
  const resolve = (name: string, refId = 'A') => resolveFieldConfig(source, { name, field: { name: 'value', type: 'number' }, refId });

  test('overrides apply where they match, and nowhere else', () => {
    expect(resolve('cpu')).toMatchObject({ unit: 'percent', custom: { lineWidth: 2, fillOpacity: 10 } });
    expect(resolve('hv sent').custom).toEqual({ lineWidth: 2, transform: 'negative-Y' });
    expect(resolve('x', 'B').decimals).toBe(3);
    expect(resolve('x')).toEqual({ unit: 'bytes', custom: { lineWidth: 2 } });
    expect(source.defaults.custom).toEqual({ lineWidth: 2 });
  });
  test('mappings come before units', () => {
    const config: FieldConfig = { unit: 'percent', mappings: [{ type: 'value', options: { '1': { text: 'running' } } }, { type: 'range', options: { from: 90, to: null, result: { text: 'high' } } }] };
    expect([1, 95, 12.5, null].map((cell) => displayText(cell, config))).toEqual(['running', 'high', '12.5%', '–']);
    expect(displayText(null, { noValue: '0' })).toBe('0');
  });
  test('mappings by a regular expression', () => {
    const shown = (pattern: string, text: string) => displayText('web-07.local', { mappings: [{ type: 'regex', options: { pattern, result: { text } } }] });
    expect(shown('/^WEB-(\\d+)\\.local$/i', 'Web $1')).toBe('Web 07');
    expect(shown('web-(.*)\\.local', '$1')).toBe('07');
    expect([shown('web', 'x'), shown('/(/', 'x')]).toEqual(['web-07.local', 'web-07.local']);
  });
  test('units of booleans', () => {
    expect([true, false, 1].map((cell) => displayText(cell, { unit: 'bool_yes_no' }))).toEqual(['Yes', 'No', 'Yes']);
    expect(displayText(true, { unit: 'percent' })).toBe('true');
  });
  test('thresholds', () => {
    const steps = [{ color: 'green', value: null }, { color: 'red', value: 80 }];
    expect([79, 80].map((value) => thresholdColor(value, { thresholds: { mode: 'absolute', steps } }))).toEqual(['green', 'red']);
    expect(thresholdColor(50, { min: 0, max: 60, thresholds: { mode: 'percentage', steps } })).toBe('red');
  });
});

describe('layout', () => {
  const panel = (id: number, type: string, y: number, w = 12, panels?: Panel[]): Panel => ({ id, type, gridPos: { x: 0, y, w, h: 4 }, ...(panels ? { panels } : {}) });

  test('an open row owns what follows it, a collapsed one what it holds', () => {
    const found = sections([panel(1, 'stat', 0), panel(2, 'row', 4, 24), panel(3, 'stat', 5), panel(4, 'row', 9, 24, [panel(5, 'stat', 10)])]);
    expect(found.map(({ row, panels }) => [row?.id, panels.map(({ id }) => id)])).toEqual([[undefined, [1]], [2, [3]], [4, [5]]]);
  });
  test('tables of full width stand alone', () => {
    expect(bands([panel(1, 'stat', 0), panel(2, 'table', 4, 24), panel(3, 'table', 8, 12)]).map(({ kind }) => kind)).toEqual(['grid', 'fitted', 'grid']);
  });
  test('lines of the grid', () => {
    expect(placement({ x: 12, y: 6, w: 12, h: 8 }, 4)).toEqual({ column: '13 / span 12', row: '3 / span 8' });
  });
  test('what is missing is made up', () => {
    expect(completed([{ type: 'stat' } as Panel])[0]).toMatchObject({ id: 10_000, gridPos: { w: 12, h: 8 } });
  });
});

describe('plans', () => {
  const panel: Panel = { id: 1, type: 'timeseries', gridPos: { x: 0, y: 0, w: 12, h: 8 }, targets: [
    { refId: 'A', query: 'SELECT x FROM m WHERE $timeFilter GROUP BY time($__interval)' }, { refId: 'B', query: 'SELECT y', hide: true }, { refId: 'C' },
  ] }; // prettier-ignore
  const context = { range: { from: 1_690_000_007_000, to: 1_690_003_607_000 }, live: true, width: 640, database: 'telegraf', variables: {} };

  test('only what is shown is asked, from a bucket’s start', () => {
    const plan = planPanel(panel, context);
    expect(plan.queries).toHaveLength(1);
    expect(plan.intervalMs).toBe(20_000);
    expect(plan.range.from).toBe(1_690_000_000_000);
    expect(plan.queries[0]!.q).toBe('SELECT x FROM m WHERE time >= 1690000000000ms and time <= 1690003607000ms GROUP BY time(20s)');
  });
  test('an absolute range is taken literally', () => expect(planPanel(panel, { ...context, live: false }).range.from).toBe(1_690_000_007_000));
  test('a panel’s own range ends where the page’s does', () => {
    expect(planPanel({ ...panel, timeFrom: '2m' }, { ...context, live: false }).range).toEqual({ from: 1_690_003_487_000, to: 1_690_003_607_000 });
  });
  test('a query in Flux is one by its text, and goes to Explore as it may be typed', () => {
    const flux = 'from(bucket: v.bucket) |> range(start: v.timeRangeStart, stop: v.timeRangeStop) |> aggregateWindow(every: v.windowPeriod, fn: mean)';
    const influxql = 'SELECT x FROM m WHERE $timeFilter GROUP BY time($__interval)';
    const plan = planPanel({ ...panel, targets: [{ refId: 'A', query: flux }, { refId: 'B', query: influxql }] }, context);
    expect(plan.queries.map(({ language }) => language)).toEqual(['flux', 'influxql']);
    expect(plan.queries[0]!.q).toBe('from(bucket: "telegraf") |> range(start: 2023-07-22T04:26:40.000Z, stop: 2023-07-22T05:26:47.000Z) |> aggregateWindow(every: 20s, fn: mean)');
    expect(movingText(plan.queries[0]!, plan)).toBe(flux.replace('v.bucket', '"telegraf"'));
    expect(movingText(plan.queries[1]!, plan)).toBe(influxql);
  });
  test('a few pixels more ask for the same', () => expect(planPanel(panel, { ...context, width: 690 })).toEqual(planPanel(panel, context)));
});

describe('the dashboards that ship', () => {
  const dir = new URL('../../../crates/console/dashboards/', import.meta.url);
  const files = readdirSync(dir).filter((name) => name.endsWith('.json'));
  const load = (name: string) => JSON.parse(readFileSync(new URL(name, dir), 'utf8')) as Dashboard & { schemaVersion: number };

  test('are these', () => expect(files.sort()).toEqual(['hosts.json', 'virtual-machines.json']));

  test.each(files)('%s is drawn in full', (name) => {
    const dashboard = load(name);
    expect(whyNoDashboard(dashboard)).toBeUndefined();
    expect(dashboard.schemaVersion).toBe(42);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const known = Object.fromEntries((dashboard.templating?.list ?? []).map(({ name: variable }) => [variable, { values: ['v'] }]));
    for (const panel of dashboard.panels.filter(({ type }) => type !== 'row')) {
      const plan = planPanel(panel, { range: RANGE, live: true, width: 640, database: 'telegraf', variables: known });
      expect(plan.queries.length, panel.title).toBeGreaterThan(0);
      // Every variable and macro is known: no dollar sign is left but the ends of regular expressions.
      for (const { q } of plan.queries) expect(q.replaceAll('$/', '/'), panel.title).not.toContain('$');
      for (const { q } of plan.queries) expect(q, panel.title).toMatch(/time >= \d+ms and time <= \d+ms/);
      const { unit } = panel.fieldConfig?.defaults ?? {};
      if (unit && !unit.startsWith('suffix:')) expect(formatValue(2, unit), `${panel.title}: ${unit}`).not.toBe(`2 ${unit}`);
    }
  });

  test.each(files)('%s has no times of joined queries in its tables', (name) => {
    for (const panel of load(name).panels.filter(({ type, transformations }) => type === 'table' && transformations?.some(({ id }) => id === 'organize'))) {
      const frames = panel.targets!.flatMap(({ refId = 'A', query = '', resultFormat }) => {
        const columns = ['time', ...[...query.matchAll(/ AS "(\w+)"/g)].map(([, column]) => column!)];
        const by = /GROUP BY (.*)$/.exec(query)?.[1] ?? '';
        const tags = Object.fromEntries([...by.matchAll(/"(\w+)"/g)].map(([, tag]) => [tag!, 'x']));
        return toFrames([{ name: 'm', tags, columns, values: [columns.map((_, i) => i)] }], { refId, format: resultFormat === 'table' ? 'table' : 'time_series' });
      });
      const done = transform(frames, panel.transformations!, { intervalMs: 10_000, toMs: 0 });
      expect(done.unknown).toEqual([]);
      for (const { name: column } of done.frames.flatMap(({ fields }) => fields)) expect(column, panel.title).not.toMatch(/^time/i);
    }
  });

  test.each(files)('%s leaves no two panels on top of each other', (name) => {
    const panels = load(name).panels;
    for (const [i, { gridPos: a }] of panels.entries()) {
      for (const { gridPos: b } of panels.slice(i + 1)) {
        expect(a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h).toBe(false);
      }
    }
  });
});
