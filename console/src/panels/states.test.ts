import { describe, expect, test } from 'vitest';
import { type Cell, type Frame, makeField } from '../data/frame';
import { localDateTime } from '../time/range';
import { logLines } from './logs';
import { roundTimes, stateRows } from './states';

const SOURCE = { defaults: { mappings: [{ type: 'value' as const, options: { '1': { text: 'running', color: 'green' }, '5': { text: 'off', color: 'red' } } }] } };
const RANGE = { from: 0, to: 100 };

const frame = (name: string, times: number[], values: Cell[]): Frame => ({
  refId: 'A', name: 'm', fields: [makeField('Time', times, { type: 'time' }), makeField('last', values, { labels: { vm: name } })],
}); // prettier-ignore
const rows = (frames: Frame[], source = SOURCE as object, merge = true) =>
  stateRows(frames, source, RANGE, 'dark', merge).map(({ name, spans }) => [name, spans.map(({ from, to, text }) => [from, to, text])]);

describe('states', () => {
  test('a bar for each series, by name; equal neighbours are one span, the last one goes on to the end', () => {
    expect(rows([frame('vm-10', [0, 50], [5, 5]), frame('vm-2', [0, 25, 50, 75], [1, 1, 5, 1])])).toEqual([
      ['vm-2', [[0, 50, 'running'], [50, 75, 'off'], [75, 100, 'running']]],
      ['vm-10', [[0, 100, 'off']]],
    ]); // prettier-ignore
  });
  test('without merging every point is a span of its own', () =>
    expect(rows([frame('a', [0, 50], [1, 1])], SOURCE, false)).toEqual([['a', [[0, 50, 'running'], [50, 100, 'running']]]])); // prettier-ignore
  test('what fell silent is in no state, unless the panel spans it', () => {
    const silent = frame('a', [0, 10, 20, 30, 80, 90], [1, 1, 1, 1, 5, 5]);
    expect(rows([silent])).toEqual([['a', [[0, 40, 'running'], [80, 100, 'off']]]]);
    expect(rows([silent], { defaults: { ...SOURCE.defaults, custom: { spanNulls: true } } })).toEqual([['a', [[0, 80, 'running'], [80, 100, 'off']]]]); // prettier-ignore
    expect(rows([frame('a', [0, 10, 20, 30, 40], [1, 1, 1, 1, 1])])).toEqual([['a', [[0, 50, 'running']]]]);
  });
  test('text that has no colour gets one, the same on every row', () => {
    const [a, b] = stateRows([frame('a', [0, 50], ['up', 'down']), frame('b', [0], ['down'])], {}, RANGE, 'dark', true);
    expect(a!.spans[1]!.color).toBe(b!.spans[0]!.color);
    expect(a!.spans[0]!.color).not.toBe(a!.spans[1]!.color);
  });
  test('labels of times are round, and no more than there is room for', () => {
    const hour = new Date(2026, 2, 3, 4, 7).getTime();
    const { times, stepMs } = roundTimes({ from: hour, to: hour + 3_600_000 }, 6);
    expect(stepMs).toBe(600_000);
    expect(times.map((time) => localDateTime(time).slice(11))).toEqual(['04:10:00', '04:20:00', '04:30:00', '04:40:00', '04:50:00', '05:00:00']);
  });
});

describe('logs', () => {
  test('the newest first, the text apart from what else is known', () => {
    const table: Frame = { refId: 'A', name: 'syslog', fields: [makeField('Time', [1, 2], { type: 'time' }), makeField('host', ['a', 'b']), makeField('message', ['first', 'second']), makeField('code', [3, null])] }; // prettier-ignore
    expect(logLines([table], 10).map(({ time, text, labels }) => [time, text, labels])).toEqual([
      [2, 'second', [['host', 'b']]], [1, 'first', [['host', 'a'], ['code', '3']]],
    ]); // prettier-ignore
    expect(logLines([table], 1)).toHaveLength(1);
  });
});
