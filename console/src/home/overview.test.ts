import { expect, test } from 'vitest';
import { guestState, overviewOf } from './overview';

const NOW = 1_000_000_000;

test('hosts, the silent first, with what is known of each', () => {
  const { hosts, newestMs } = overviewOf([
    [
      { tags: { host: 'a' }, columns: ['time', 'last'], values: [[NOW - 5_000, 3_600]] },
      { tags: { host: 'b' }, columns: ['time', 'last'], values: [[NOW - 600_000, 60]] },
    ],
    [{ tags: { host: 'a' }, columns: ['time', 'last'], values: [[NOW, 40]] }],
    [{ tags: { host: 'a' }, columns: ['time', 'last'], values: [[NOW, 75]] }],
    [{ tags: { host: 'a' }, columns: ['time', 'mean'], values: [[1, 90], [2, null]] }],
    [
      { tags: { host: 'a', path: '/' }, columns: ['time', 'last'], values: [[NOW, 20]] },
      { tags: { host: 'a', path: '/data' }, columns: ['time', 'last'], values: [[NOW, 91]] },
    ],
    [],
  ], NOW); // prettier-ignore
  expect(hosts.map(({ host, up }) => [host, up])).toEqual([['b', false], ['a', true]]); // prettier-ignore
  expect(hosts[1]).toMatchObject({ cpu: 25, cpuHistory: [10, null], memory: 40, fullestDisk: { path: '/data', usedPercent: 91 }, uptimeSecs: 3_600 });
  expect(hosts[0]).toMatchObject({ cpu: null, memory: null, fullestDisk: null });
  expect(newestMs).toBe(NOW - 5_000);
});

test('virtual machines that libvirt no longer lists are gone', () => {
  const vm = (name: string, age: number) => ({ tags: { host: 'h', domain_name: name }, columns: ['time', 'last'], values: [[NOW - age, 1]] });
  expect(overviewOf([[], [], [], [], [], [vm('new', 5_000), vm('old', 300_000)]], NOW).guests.map(({ name }) => name)).toEqual(['new']);
});

test('nothing yet', () => expect(overviewOf([], NOW)).toEqual({ hosts: [], guests: [], newestMs: undefined }));

test('states have words, unknown ones too', () => {
  expect(guestState(5)).toEqual({ text: 'shut off', tone: 'off' });
  expect(guestState(42).text).toBe('state 42');
});
