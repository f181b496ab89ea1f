import { describe, expect, test } from 'vitest';
import { logRange } from '../chart/options';
import { makeField } from '../data/frame';
import { toChart } from '../panels/timeSeries';
import { sections } from './layout';
import type { Panel } from './model';
import { planPanel } from './panelQuery';
import { repeated } from './repeat';

const VARIABLES = { host: { values: ['a', 'b', 'c'], multi: true }, disk: { values: ['x', 'y'], multi: true } };

function panel(id: number, y: number, extra: Partial<Panel> = {}): Panel {
  return { id, type: 'timeseries', gridPos: { x: 0, y, w: 12, h: 4 }, ...extra };
}

const shown = (panels: Panel[]) => repeated(sections(panels), VARIABLES);
const places = (panels: readonly Panel[]) => panels.map(({ gridPos: { x, y, w } }) => [x, y, w]);

describe('repeated panels', () => {
  test('side by side, and what stands below moves down', () => {
    const [section] = shown([panel(1, 0, { repeat: 'host', maxPerRow: 2 }), panel(2, 4)]);
    expect(places(section!.panels)).toEqual([[0, 0, 12], [12, 0, 12], [0, 4, 12], [0, 8, 12]]); // prettier-ignore
    expect(section!.panels.map(({ fixed }) => fixed?.['host']?.values)).toEqual([['a'], ['b'], ['c'], undefined]);
    expect(new Set(section!.panels.map(({ id }) => id)).size).toBe(4);
    expect(section!.panels[0]!.id).toBe(1);
  });
  test('as wide as fits, or below each other', () => {
    expect(places(shown([panel(1, 0, { repeat: 'host' })])[0]!.panels)).toEqual([[0, 0, 8], [8, 0, 8], [16, 0, 8]]); // prettier-ignore
    expect(places(shown([panel(1, 0, { repeat: 'host', repeatDirection: 'v' })])[0]!.panels)).toEqual([[0, 0, 12], [0, 4, 12], [0, 8, 12]]); // prettier-ignore
  });
  test('rows with what is in them', () => {
    const found = shown([panel(1, 0, { type: 'row', repeat: 'host' }), panel(2, 1, { repeat: 'disk' })]);
    expect(found.map(({ row }) => row!.fixed!['host']!.values[0])).toEqual(['a', 'b', 'c']);
    expect(found[1]!.panels.map(({ fixed }) => [fixed!['host']!.values[0], fixed!['disk']!.values[0]])).toEqual([['b', 'x'], ['b', 'y']]); // prettier-ignore
    const ids = found.flatMap(({ row, panels }) => [row!.id, ...panels.map(({ id }) => id)]);
    expect(new Set(ids).size).toBe(9);
  });
  test('an unknown variable repeats nothing', () => {
    expect(places(shown([panel(1, 0, { repeat: 'nothing' }), panel(2, 4)])[0]!.panels)).toEqual([[0, 0, 12], [0, 4, 12]]); // prettier-ignore
  });
  test('each asks for its own value', () => {
    const [section] = shown([panel(1, 0, { repeat: 'host', targets: [{ refId: 'A', query: `SELECT x FROM m WHERE host = '$host'` }] })]);
    const asked = section!.panels.map((one) => planPanel(one, { range: { from: 0, to: 1 }, live: false, width: 1, database: 'd', variables: { ...VARIABLES, ...one.fixed } }).queries[0]!.q);
    expect(asked[1]).toBe(`SELECT x FROM m WHERE host = 'b'`);
  });
});

describe('logarithmic axes', () => {
  const frame = { refId: 'A', name: 'm', fields: [makeField('Time', [1, 2, 3], { type: 'time' }), makeField('x', [0, 30, 4_000])] };
  const { series } = toChart([frame], { defaults: { custom: { scaleDistribution: { type: 'log', log: 10 } } } }, 'light');

  test('have no place for zero', () => expect([series[0]!.log, series[0]!.values]).toEqual([10, [null, 30, 4_000]]));
  test('go from power to power', () => {
    expect(logRange(series, 10, 30, 4_000)).toEqual([10, 10_000]);
    expect(logRange(series, 2, 8, 8)).toEqual([8, 16]);
    expect(logRange(series, 10, null, null)).toEqual([1, 10]);
    expect(logRange([{ ...series[0]!, min: 5, max: 50 }], 10, 30, 4_000)).toEqual([5, 50]);
  });
});
