import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Panel, Target } from './model';
import { planPanel, runPlan } from './panelQuery';
import { buildQuery, queryOf } from './visualQuery';

const VISUAL: Target = {
  refId: 'A',
  policy: 'default',
  measurement: 'cpu',
  resultFormat: 'time_series',
  orderByTime: 'ASC',
  select: [[{ type: 'field', params: ['usage_idle'] }, { type: 'mean', params: [] }, { type: 'math', params: [' * 8'] }, { type: 'alias', params: ['x'] }]],
  groupBy: [{ type: 'time', params: ['$__interval'] }, { type: 'tag', params: ['host::tag'] }, { type: 'fill', params: ['null'] }],
  tags: [{ key: 'host', operator: '=~', value: '/^$host$/' }, { key: 'cpu::tag', operator: '=', value: "it's", condition: 'AND' }],
}; // prettier-ignore

describe('the visual editor’s parts', () => {
  test('as Grafana writes them', () => {
    expect(buildQuery(VISUAL)).toBe(
      `SELECT mean("usage_idle") * 8 AS "x" FROM "cpu" WHERE ("host" =~ /^$host$/ AND "cpu"::tag = 'it\\'s') AND $timeFilter ` +
        'GROUP BY time($__interval), "host"::tag fill(null) ORDER BY time ASC',
    );
  });
  test('policy, limits, several columns, other functions', () => {
    const select = [[{ type: 'field', params: ['a'] }, { type: 'percentile', params: [95] }], [{ type: 'field', params: ['*'] }]];
    expect(buildQuery({ refId: 'A', policy: 'weekly', measurement: '/^cpu/', select, groupBy: [], limit: '3', slimit: 4, tz: 'Europe/Berlin' })).toBe(
      `SELECT percentile("a", 95), * FROM "weekly"./^cpu/ WHERE $timeFilter limit 3 slimit 4 tz('Europe/Berlin')`,
    );
  });
  test('operators', () => {
    const where = (...tags: Target['tags'] & object) => /WHERE (.*) AND \$timeFilter/.exec(buildQuery({ ...VISUAL, tags }))?.[1];
    expect(where({ key: 'h', value: '/a/' })).toBe('"h" =~ /a/');
    expect(where({ key: 'h', value: 'a' })).toBe(`"h" = 'a'`);
    expect(where({ key: 'n', operator: '>=', value: '5' })).toBe('"n" >= 5');
    expect(where({ key: 'up', operator: 'Is', value: 'True' })).toBe('"up" = true');
    expect(where({ key: 'up::tag', operator: 'Is Not', value: 'true' })).toBe(`"up"::tag != 'true'`);
    expect(where({ key: 'a', operator: '=', value: '1' }, { key: 'b', operator: '=', value: '2', condition: 'OR' })).toBe(`("a" = '1' OR "b" = '2')`);
  });
  test('which of text and parts counts', () => {
    expect(queryOf({ ...VISUAL, query: 'SELECT stale', rawQuery: false })).toContain('usage_idle');
    expect(queryOf({ ...VISUAL, query: 'SELECT stale' })).toContain('usage_idle');
    expect(queryOf({ ...VISUAL, query: 'SELECT 1', rawQuery: true })).toBe('SELECT 1');
    expect(queryOf({ refId: 'A', query: 'SELECT 1' })).toBe('SELECT 1');
    expect(queryOf({ ...VISUAL, query: 'from(bucket: "x")', rawQuery: false })).toBe('from(bucket: "x")');
    expect(queryOf({ refId: 'A', select: VISUAL.select, rawQuery: false })).toBe('');
  });
});

const PANEL: Panel = { id: 1, type: 'timeseries', gridPos: { x: 0, y: 0, w: 12, h: 8 }, targets: [VISUAL] };
const CONTEXT = { range: { from: 1_690_000_000_000, to: 1_690_003_600_000 }, live: false, width: 600, database: 'telegraf', variables: { host: { values: ['a.b'] }, interval: { values: ['5m'] }, rp: { values: ['weekly'] } } };

describe('plans of imported panels', () => {
  afterEach(() => vi.unstubAllGlobals());

  test('variables are filled into the parts', () => {
    const { q } = planPanel(PANEL, CONTEXT).queries[0]!;
    expect(q).toContain('"host" =~ /^a\\.b$/');
    expect(q).toContain('time >= 1690000000000ms and time <= 1690003600000ms');
  });
  test('a panel may be earlier than the page, and says so', () => {
    expect(planPanel({ ...PANEL, timeShift: '1d' }, CONTEXT)).toMatchObject({
      range: { from: 1_689_913_600_000, to: 1_689_917_200_000 }, own: { text: '1d earlier' },
    }); // prettier-ignore
    const both = planPanel({ ...PANEL, timeFrom: '10m', timeShift: '1h', hideTimeOverride: true }, CONTEXT);
    expect(both.own).toEqual({ range: { from: 1_689_999_400_000, to: 1_690_000_000_000 }, text: '' });
    expect(planPanel(PANEL, CONTEXT).own).toBeUndefined();
  });
  test('the least interval of a panel may be a variable', () => {
    expect(planPanel({ ...PANEL, interval: '$interval' }, CONTEXT).intervalMs).toBe(300_000);
    expect(planPanel({ ...PANEL, interval: '>1m' }, CONTEXT).intervalMs).toBe(60_000);
  });
  test('the policy of a target is that of its text, too', async () => {
    const bodies: string[] = [];
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => (bodies.push(String(init.body)), new Response('{"results":[]}')));
    const target = { refId: 'A', rawQuery: true, query: 'SELECT x FROM m' };
    const panel = { ...PANEL, targets: [{ ...target, policy: '$rp' }, { ...target, policy: 'default' }, target] };
    await runPlan(planPanel(panel, CONTEXT), panel);
    expect(bodies.map((body) => new URLSearchParams(body).get('rp'))).toEqual(['weekly', null, null]);
  });
});
