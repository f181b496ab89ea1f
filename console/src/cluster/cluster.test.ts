import { expect, test } from 'vitest';
import type { ClusterDataNode, ClusterMetaNode, ClusterPartition, ClusterSnapshot } from '../data/api';
import { dataNodeSaid, hintRows, host, lagRows, metaNodeSaid, problems, summary } from './cluster';

const TOLD = { version: '0.1.0', not_ready: null, reason: null, shards: 2, disk_bytes: 4096, hints: [], partitions: [], log_error: null };

function data(id: number, changes: Partial<ClusterDataNode> = {}): ClusterDataNode {
  return { id, http_addr: `data${id}:8086`, tcp_addr: `data${id}:8088`, labels: {}, is_behind: false, copies: 2, copies_joining: 0, told: TOLD, error: null, is_older: false, ...changes };
}

function meta(id: number, changes: Partial<ClusterMetaNode> = {}): ClusterMetaNode {
  return { id, http_addr: `meta${id}:8091`, raft_addr: `meta${id}:8089`, is_leader: id === 1, knows_leader: true, version: '0.1.0', index: 9, error: null, ...changes };
}

function cluster(changes: Partial<ClusterSnapshot> = {}): ClusterSnapshot {
  return {
    told_by: 4, ctl_options: '-bind meta1:8091', catalogue_age_ms: 10, feature_level: 1, log: null,
    meta_nodes: [meta(1), meta(2), meta(3)], data_nodes: [data(4), data(5)],
    policies: [{ database: 'cloud', policy: 'autogen', copies_wanted: 2, shards: 1, copies_fewest: 2, copies_joining: 0, copies_lost: 0 }],
    ...changes,
  }; // prettier-ignore
}

const FROZEN = data(5, { told: null, error: 'data5:8088 did not answer within 2 s' });

test('a cluster in which all is well has nothing to look at', () => {
  expect(problems(cluster())).toEqual([]);
  expect(summary(cluster()).map(({ value, tone, note }) => [value, tone, note])).toEqual([
    ['2', 'good', 'each holds what was acknowledged'],
    ['3', 'good', 'led by meta1:8091'],
    ['0', 'good', 'hinted handoff is empty'],
    ['2', 'good', 'as many as wanted'],
  ]);
});

test('a frozen data node is told with its reason, and what to type', () => {
  const [problem, ...others] = problems(cluster({ data_nodes: [data(4), FROZEN] }));
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ tone: 'bad', title: 'Data node data5:8088 does not answer' });
  expect(problem!.text).toContain('data5:8088 did not answer within 2 s. What it misses is kept by the others.');
  expect(problem!.commands).toContain('skywatch ctl -bind meta1:8091 show -v');
  expect(problem!.commands[0]).toBe('ssh data5 systemctl status skywatch-data');
});

test('states of data nodes', () => {
  const unready = (not_ready: string) => data(4, { told: { ...TOLD, not_ready, reason: 'why' } });
  expect(dataNodeSaid(data(4))).toMatchObject({ text: 'in step', tone: 'good' });
  expect(dataNodeSaid(unready('lagging'))).toEqual({ text: 'behind', tone: 'warn', reason: 'why' });
  expect(dataNodeSaid(unready('cut off'))).toMatchObject({ text: 'cut off', tone: 'bad' });
  expect(dataNodeSaid(unready('something new'))).toMatchObject({ text: 'something new', tone: 'warn' });
  expect(dataNodeSaid(data(4, { is_behind: true }))).toMatchObject({ text: 'behind' });
  expect(dataNodeSaid(data(4, { told: null, is_older: true, error: 'unknown' }))).toMatchObject({ text: 'older release', tone: 'warn' });
});

test('meta nodes: one away may be the last that may', () => {
  const away = { is_leader: false, error: 'cannot reach it' };
  const one = problems(cluster({ meta_nodes: [meta(1), meta(2), meta(3, away)] }));
  expect(one.map(({ title }) => title)).toEqual(['Meta node meta3:8091 does not answer']);
  expect(one[0]!.text).toContain('No other may go');
  const none = problems(cluster({ meta_nodes: [meta(1, { is_leader: false, knows_leader: false }), meta(2, away), meta(3, away)] }));
  expect(none[0]!.title).toBe('The meta nodes have no leader');
  expect(metaNodeSaid(meta(2, { knows_leader: false }))).toMatchObject({ text: 'no leader', tone: 'bad' });
});

test('hinted handoff: who keeps how much for whom, the largest first, empty queues left out', () => {
  const hints = (node: number, entries: number, bytes: number) => ({ node, entries, bytes, dropped: 0, has_gaps: false });
  const state = cluster({
    data_nodes: [data(4, { told: { ...TOLD, hints: [hints(5, 3, 100), hints(6, 0, 0)] } }), data(5, { is_behind: true }), data(7, { told: { ...TOLD, hints: [hints(5, 30, 4096), hints(9, 1, 1)] } })],
  });
  expect(hintRows(state).map(({ by, to, entries }) => [by, to, entries])).toEqual([
    ['data7:8088', 'data5:8088', 30],
    ['data4:8088', 'data5:8088', 3],
    ['data7:8088', 'node 9, which was removed', 1],
  ]);
  expect(problems(state).map(({ title, tone, text }) => [title, tone, text.includes('4.1 KiB wait for it')])).toEqual([['Data node data5:8088 is behind', 'warn', true]]);
  expect(summary(state)[2]).toMatchObject({ tone: 'warn', note: '34 writes wait' });
});

test('what was given up is worth a word even when the queue is empty', () => {
  const told = { ...TOLD, hints: [{ node: 5, entries: 0, bytes: 0, dropped: 0, has_gaps: true }] };
  expect(problems(cluster({ data_nodes: [data(4, { told }), data(5)] }))[0]!.title).toContain('gave up');
});

test('lag: stuck partitions first, and the longest wait on the tile', () => {
  const at = (partition: number, state: string, lag: number | null, trouble: string | null = null): ClusterPartition =>
    ({ partition, applied: 10, end: lag === null ? null : 10 + lag, lag, lag_ms: lag === null ? null : lag * 100, state, trouble }); // prettier-ignore
  const state = cluster({
    log: 'skywatch-writes',
    data_nodes: [
      data(4, { told: { ...TOLD, partitions: [at(0, 'fresh', 0), at(1, 'behind', 40)] } }),
      data(5, { told: { ...TOLD, not_ready: 'lagging', reason: 'it lags', partitions: [at(0, 'stuck', 5, 'disk is full')] } }),
    ],
  });
  expect(lagRows(state).map(({ by, partition, state: word }) => [by, partition, word])).toEqual([
    ['data5:8088', 0, 'stuck'],
    ['data4:8088', 1, 'behind'],
    ['data4:8088', 0, 'fresh'],
  ]);
  expect(summary(state)[2]).toMatchObject({ label: 'Longest lag', value: '4s', tone: 'bad', note: '1 of 3 partitions are fresh' });
  expect(problems(state)[0]).toMatchObject({ tone: 'bad', text: 'Partition 0: disk is full.', commands: ['skywatch ctl -bind meta1:8091 show-lag'] });
});

test('copies: lost ones and shards without a whole copy', () => {
  const policy = cluster().policies[0]!;
  expect(problems(cluster({ policies: [{ ...policy, copies_lost: 2 }] }))[0]!.title).toContain('2 copies of shards of cloud.autogen');
  expect(problems(cluster({ policies: [{ ...policy, copies_fewest: 0 }] }))[0]!.title).toContain('no complete copy');
  expect(summary(cluster({ policies: [{ ...policy, copies_fewest: 1 }] }))[3]).toMatchObject({ tone: 'warn', note: 'fewer than wanted' });
  expect(summary(cluster({ policies: [] }))[3]).toMatchObject({ value: '–', tone: 'off' });
});

test('hosts of addresses', () => {
  expect([host('data1:8088'), host('[::1]:8088'), host('10.0.0.1:8088')]).toEqual(['data1', '::1', '10.0.0.1']);
});
