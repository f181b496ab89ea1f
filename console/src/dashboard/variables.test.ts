import { describe, expect, test } from 'vitest';
import { formatDate } from '../format/dateFormat';
import { filtersOf, withFilters } from './adhoc';
import { interpolate, type Scope } from './interpolate';
import type { Panel, Variable } from './model';
import { planPanel } from './panelQuery';
import { filterOptions, intervalOptions, isShown, jsonOptions, resolveAuto, resolveVariables, select, valueOf } from './variables';

const RANGE = { from: 1_690_000_000_000, to: 1_690_003_600_000 };
const SCOPE: Scope = {
  range: RANGE,
  intervalMs: 20_000,
  variables: {
    host: { values: ['a', "b'c"], texts: ['Alpha', 'Beta'], multi: true },
    one: { values: ['x/y z'] },
    each: { values: ['a', 'b'], all: true, allValue: '.*' },
  },
  dashboard: { uid: 'u', title: 'Hosts' },
};

describe('formats of variables', () => {
  test.each([
    ['${host:text}', 'Alpha + Beta'],
    ['${each:text} ${each:csv}', 'All .*'],
    ['${host:sqlstring}', "'a','b''c'"],
    ['${one:sqlstring}', "'x/y z'"],
    ['${host:lucene}', `("a" OR "b'c")`],
    ['${one:lucene}', 'x\\/y\\ z'],
    ['${host:distributed}', "a,host=b'c"],
    ['${host:queryparam}', 'var-host=a&var-host=b%27c'],
    ['${one:percentencode}', 'x%2Fy%20z'],
    ['${host:join: - }', "a - b'c"],
    ['[[host:pipe]]', "a|b'c"],
    ['${__from:date} ${__from:date:iso} ${__to:date:seconds}', '2023-07-22T04:26:40.000Z 2023-07-22T04:26:40.000Z 1690003600'],
    ['${__from:date:YYYY-MM}', '2023-07'],
    ['$__dashboard ${__dashboard.uid}', 'Hosts u'],
    ['${__user.login} $__rate_interval', '${__user.login} $__rate_interval'],
  ])('%s', (text, expected) => expect(interpolate(text, SCOPE)).toBe(expected));

  test('titles show texts', () => expect(interpolate('CPU of $host, $each', { ...SCOPE, format: 'text' })).toBe('CPU of Alpha + Beta, All'));
  test('dates by a pattern', () => {
    const at = new Date(2026, 2, 3, 15, 4, 5, 67).getTime();
    expect(formatDate(at, 'YYYY-MM-DD HH:mm:ss.SSS')).toBe('2026-03-03 15:04:05.067');
    expect(formatDate(at, 'ddd Do MMM YY [at] h:mm a')).toBe('Tue 3rd Mar 26 at 3:04 pm');
  });
});

describe('comments in InfluxQL', () => {
  test('an apostrophe in one opens nothing', () => {
    const scope = { ...SCOPE, variables: { q: { values: ["it's"] } } };
    expect(interpolate("SELECT x -- it's all\nFROM m WHERE a = '$q'", scope)).toBe("SELECT x -- it's all\nFROM m WHERE a = 'it\\'s'");
    expect(interpolate("SELECT x /* it's */ FROM m WHERE a = '$q'", scope)).toContain("a = 'it\\'s'");
    expect(interpolate("SELECT x /**/ FROM m WHERE a = '$q'", scope)).toContain("a = 'it\\'s'");
  });
});

describe('what a variable can be', () => {
  test('a regular expression without slashes means the whole value, groups have names', () => {
    expect(filterOptions(['web-1', 'db-1'], 'web.*').map(({ value }) => value)).toEqual(['web-1']);
    expect(filterOptions(['web-1', 'db-1'], 'web')).toEqual([]);
    expect(filterOptions(['a=1', 'b=2'], '/(?<text>.)=(?<value>.)/')).toEqual([{ text: 'a', value: '1' }, { text: 'b', value: '2' }]); // prettier-ignore
    expect(filterOptions(['WEB'], '/web/i')).toHaveLength(1);
    expect(() => filterOptions(['a'], '/(/')).toThrow('not a regular expression');
  });
  test('lists in JSON', () => {
    expect(jsonOptions('["a", {"text": "B", "value": "b"}, 3]')).toEqual([
      { value: 'a', text: 'a' }, { value: 'b', text: 'B' }, { value: '3', text: '3' },
    ]); // prettier-ignore
    expect(() => jsonOptions('{}')).toThrow();
  });

  const interval: Variable = { name: 'i', type: 'interval', query: '1m,1h', auto: true, auto_count: 60, auto_min: '30s', current: { value: '$__auto_interval_i' } };
  test('an automatic interval follows the range', () => {
    const options = intervalOptions(interval);
    expect(options.map(({ text }) => text)).toEqual(['auto', '1m', '1h']);
    const selected = select(interval, options, undefined);
    expect(selected).toEqual(['$__auto_interval_i']);
    expect(select({ ...interval, current: { value: '$__auto' } }, options, undefined)).toEqual(selected);
    const value = valueOf({ variable: interval, options, selected });
    expect(resolveAuto(value, 1, RANGE).values).toEqual(['1m']);
    expect(resolveAuto(value, 1, { from: 0, to: 60_000 }).values).toEqual(['30s']);
    expect(resolveAuto({ values: ['auto'] }, 20_000, RANGE).values).toEqual(['20s']);
  });
  test('a text box begins with its query, until something is typed', async () => {
    const box: Variable = { name: 't', type: 'textbox', query: 'web' };
    const resolve = async (variable: Variable, chosen = {}) => (await resolveVariables([variable], { chosen, range: RANGE, database: 'd' }))[0]!.selected;
    expect(await resolve(box)).toEqual(['web']);
    expect(await resolve({ ...box, current: { value: 'typed' } })).toEqual(['typed']);
    expect(await resolve(box, { t: ['url'] })).toEqual(['url']);
  });
  test('an address may have the text of a value', () => {
    const options = [{ value: '1', text: 'One' }, { value: '2', text: '2' }]; // prettier-ignore
    const variable: Variable = { name: 'v', type: 'custom', includeAll: true, multi: true };
    expect([['All'], ['$__all'], ['One', '2'], ['other']].map((chosen) => select(variable, options, chosen))).toEqual([['$__all'], ['$__all'], ['1', '2'], ['other']]); // prettier-ignore
    expect(select({ ...variable, includeAll: false }, options, ['All'])).toEqual(['All']);
    expect(valueOf({ variable, options, selected: ['1', '2'] }).texts).toEqual(['One', '2']);
  });
});

describe('ad hoc filters', () => {
  const filters = [{ key: 'host', operator: '=', value: 'a' }];
  test('stand before the conditions of a text', () => {
    expect(withFilters(`SELECT x FROM "where" WHERE y = 1`, filters)).toBe(`SELECT x FROM "where" WHERE "host" = 'a' AND y = 1`);
    expect(withFilters('SELECT x FROM m GROUP BY h', filters)).toBe(`SELECT x FROM m WHERE "host" = 'a' GROUP BY h`);
    expect(withFilters('SELECT x FROM m', filters)).toBe(`SELECT x FROM m WHERE "host" = 'a'`);
    expect(withFilters('SELECT x FROM m', [])).toBe('SELECT x FROM m');
  });
  test('come from the address, else from the dashboard, and are in every query in InfluxQL', async () => {
    const variable: Variable = { name: 'f', type: 'adhoc', filters };
    expect(filtersOf(variable, ['dc|!=|x__gfp__y'])).toEqual([{ key: 'dc', operator: '!=', value: 'x|y' }]);
    const [resolved] = await resolveVariables([variable], { chosen: {}, range: RANGE, database: 'd' });
    expect(isShown(resolved!)).toBe(true);
    const targets = [{ refId: 'A', query: 'SELECT x FROM m WHERE $timeFilter' }, { refId: 'B', query: 'buckets()' }];
    const panel: Panel = { id: 1, type: 'stat', gridPos: { x: 0, y: 0, w: 1, h: 1 }, targets };
    const { queries } = planPanel(panel, { range: RANGE, live: false, width: 1, database: 'd', variables: { f: valueOf(resolved!) } });
    expect(queries.map(({ q }) => q)).toEqual([`SELECT x FROM m WHERE "host" = 'a' AND time >= 1690000000000ms and time <= 1690003600000ms`, 'buckets()']);
  });
});
