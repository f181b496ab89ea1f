/** What the nodes said, put into words: how each of them is, what is wrong, and what to do about it. */
import type { ClusterDataNode, ClusterMetaNode, ClusterPartition, ClusterSnapshot } from '../data/api';
import { formatValue } from '../format/units';
import { humanDuration } from '../time/duration';
import type { TileProps, Tone } from '../ui/Card';

export interface Said {
  text: string;
  tone: Tone;
  /** The whole sentence, for whoever wants to know more. */
  reason?: string | undefined;
}

const UNREADY: Record<string, Said> = {
  behind: { text: 'behind', tone: 'warn' },
  lagging: { text: 'behind', tone: 'warn' },
  stopping: { text: 'stopping', tone: 'warn' },
  'cut off': { text: 'cut off', tone: 'bad' },
  'no log': { text: 'no log', tone: 'bad' },
  'wrong log': { text: 'wrong log', tone: 'bad' },
};

export function dataNodeSaid(node: ClusterDataNode): Said {
  if (node.is_older) return { text: node.is_behind ? 'behind' : 'older release', tone: 'warn', reason: 'It answers, and runs an older release that tells no more.' };
  if (!node.told) return { text: 'no answer', tone: 'bad', reason: node.error ?? undefined };
  const { not_ready: state, reason } = node.told;
  if (state !== null) return { ...(UNREADY[state] ?? { text: state, tone: 'warn' }), reason: reason ?? undefined };
  if (node.is_behind) return { text: 'behind', tone: 'warn', reason: 'Others keep writes for it that it has not got yet.' };
  return { text: 'in step', tone: 'good' };
}

export function metaNodeSaid(node: ClusterMetaNode): Said {
  if (node.error !== null) return { text: 'no answer', tone: 'bad', reason: node.error };
  if (node.is_leader) return { text: 'leader', tone: 'good' };
  return node.knows_leader ? { text: 'follower', tone: 'good' } : { text: 'no leader', tone: 'bad', reason: 'It hears of no leader.' };
}

export interface HintRow {
  /** The node that keeps. */
  by: string;
  to: string;
  entries: number;
  bytes: number;
  dropped: number;
  has_gaps: boolean;
}

/** What waits on a node for another one, the largest first. */
export function hintRows({ data_nodes: nodes }: ClusterSnapshot): HintRow[] {
  const name = new Map(nodes.map(({ id, tcp_addr }) => [id, tcp_addr]));
  const rows = nodes.flatMap(({ tcp_addr: by, told }) =>
    (told?.hints ?? []).map(({ node, ...queue }) => ({ by, to: name.get(node) ?? `node ${node}, which was removed`, ...queue })),
  );
  return rows.filter(({ entries, dropped, has_gaps }) => entries > 0 || dropped > 0 || has_gaps).sort((a, b) => b.bytes - a.bytes);
}

export interface LagRow extends ClusterPartition {
  by: string;
}

/** Partitions of the log as their owners have applied them, those that lag most first. */
export function lagRows({ data_nodes: nodes }: ClusterSnapshot): LagRow[] {
  const rank = ({ state, lag }: LagRow) => (state === 'stuck' ? 3 : state === 'silent' ? 2 : state === 'behind' ? 1 : 0) * 1e15 + (lag ?? 0);
  const rows = nodes.flatMap(({ tcp_addr: by, told }) => (told?.partitions ?? []).map((partition) => ({ by, ...partition })));
  return rows.sort((a, b) => rank(b) - rank(a) || a.partition - b.partition || a.by.localeCompare(b.by));
}

export function partitionTone(state: string): Tone {
  return state === 'fresh' ? 'good' : state === 'behind' ? 'warn' : 'bad';
}

export interface Problem {
  tone: 'warn' | 'bad';
  title: string;
  text: string;
  /** What to type next. */
  commands: string[];
}

/** Most urgent first; none where all is well. */
export function problems(cluster: ClusterSnapshot): Problem[] {
  const ctl = (command: string) => `skywatch ctl ${cluster.ctl_options} ${command}`;
  const found: Problem[] = [];
  const silentMeta = cluster.meta_nodes.filter(({ error }) => error !== null);
  if (!cluster.meta_nodes.some(({ is_leader }) => is_leader)) {
    found.push({
      tone: 'bad',
      title: 'The meta nodes have no leader',
      text: 'Databases, policies, users and nodes cannot be changed until more than half of them reach each other. Writes and queries go on.',
      commands: [ctl('show'), 'systemctl status skywatch-meta'],
    });
  }
  for (const node of silentMeta) {
    const spare = Math.floor((cluster.meta_nodes.length - 1) / 2) - silentMeta.length;
    found.push({
      tone: 'bad',
      title: `Meta node ${node.http_addr} does not answer`,
      text: `${sentence(node.error)} ${spare > 0 ? `${spare} more may go before the catalogue cannot be changed.` : spare === 0 ? 'No other may go: then the catalogue could not be changed.' : ''}`.trim(),
      commands: [`ssh ${host(node.http_addr)} systemctl status skywatch-meta`],
    });
  }
  for (const node of cluster.data_nodes) {
    const problem = dataNodeProblem(node, cluster, ctl);
    if (problem) found.push(problem);
  }
  for (const row of hintRows(cluster)) {
    if (row.dropped === 0 && !row.has_gaps) continue;
    found.push({
      tone: 'warn',
      title: `${row.by} gave up some of what it kept for ${row.to}`,
      text: 'The queue was full, or what was in it too old. What is missing is found by comparing copies, which takes longer.',
      commands: [ctl('entropy show')],
    });
  }
  for (const policy of cluster.policies) {
    const names = `${policy.database}.${policy.policy}`;
    if (policy.copies_lost > 0) {
      found.push({
        tone: 'bad',
        title: `${plural(policy.copies_lost, 'copy', 'copies')} of shards of ${names} went with removed nodes`,
        text: 'They are made again where there is another data node to hold them.',
        commands: [ctl('show-shards')],
      });
    } else if (policy.copies_fewest === 0) {
      found.push({
        tone: 'bad',
        title: `A shard of ${names} has no complete copy`,
        text: 'Its owners lack what was written before they became owners.',
        commands: [ctl('show-shards -v')],
      });
    }
  }
  return found.sort((a, b) => Number(a.tone === 'warn') - Number(b.tone === 'warn'));
}

function dataNodeProblem(node: ClusterDataNode, cluster: ClusterSnapshot, ctl: (command: string) => string): Problem | undefined {
  const said = dataNodeSaid(node);
  if (said.tone === 'good' || node.is_older) return undefined;
  const name = `Data node ${node.tcp_addr}`;
  if (!node.told) {
    return {
      tone: 'bad',
      title: `${name} does not answer`,
      text: `${sentence(node.error)} ${cluster.log === null ? 'What it misses is kept by the others.' : 'It reads on in the log where it was, when it is back.'}`,
      commands: [`ssh ${host(node.tcp_addr)} systemctl status skywatch-data`, ctl('show -v')],
    };
  }
  const waiting = cluster.data_nodes.flatMap(({ told }) => told?.hints ?? []).filter((queue) => queue.node === node.id);
  const bytes = waiting.reduce((sum, queue) => sum + queue.bytes, 0);
  const rest = bytes > 0 ? ` ${formatValue(bytes, 'bytes')} wait for it.` : '';
  const stuck = node.told.partitions.find(({ trouble }) => trouble !== null);
  const why = stuck ? `Partition ${stuck.partition}: ${stuck.trouble}` : (node.told.log_error ?? said.reason ?? '');
  const lags = cluster.log !== null && said.text !== 'stopping';
  return {
    tone: said.tone === 'bad' || stuck ? 'bad' : 'warn',
    title: `${name} is ${said.text === 'no log' ? 'without the log' : said.text === 'wrong log' ? 'set to another log' : said.text}`,
    text: `${sentence(why)}${rest}`,
    commands: [lags ? ctl('show-lag') : ctl('entropy show')],
  };
}

/** The tiles of the page. */
export function summary(cluster: ClusterSnapshot): TileProps[] {
  const { data_nodes: data, meta_nodes: meta, policies } = cluster;
  const said = data.map(dataNodeSaid);
  const good = said.filter(({ tone }) => tone === 'good').length;
  const answering = meta.filter(({ error }) => error === null).length;
  const leader = meta.find(({ is_leader }) => is_leader);
  return [
    {
      icon: 'server', label: 'Data nodes in step', href: '#data-nodes', value: String(good), of: data.length,
      tone: said.some(({ tone }) => tone === 'bad') ? 'bad' : good < data.length ? 'warn' : 'good',
      note: good === data.length ? 'each holds what was acknowledged' : counted(said.filter(({ tone }) => tone !== 'good').map(({ text }) => text)),
    },
    {
      icon: 'cluster', label: 'Meta nodes answering', href: '#meta-nodes', value: String(answering), of: meta.length,
      tone: !leader ? 'bad' : answering < meta.length ? 'warn' : 'good',
      note: leader ? `led by ${leader.http_addr}` : 'no leader',
    },
    cluster.log === null ? kept(cluster) : lag(cluster),
    {
      icon: 'dashboards', label: 'Fewest copies of a shard', href: '#copies',
      value: policies.length === 0 ? '–' : String(Math.min(...policies.map(({ copies_fewest }) => copies_fewest))),
      tone: policies.length === 0 ? 'off' : policies.some(({ copies_fewest, copies_lost }) => copies_fewest === 0 || copies_lost > 0) ? 'bad' : policies.some(isShort) ? 'warn' : 'good',
      note: policies.length === 0 ? 'there are no shards yet' : policies.some(isShort) ? 'fewer than wanted' : 'as many as wanted',
    },
  ]; // prettier-ignore
}

export function isShort(policy: { copies_fewest: number; copies_wanted: number }): boolean {
  return policy.copies_fewest < policy.copies_wanted;
}

function kept(cluster: ClusterSnapshot): TileProps {
  const rows = hintRows(cluster);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  const entries = rows.reduce((sum, row) => sum + row.entries, 0);
  return {
    icon: 'history', label: 'Kept for others', href: '#handoff', value: bytes === 0 ? '0' : formatValue(bytes, 'bytes', 1),
    tone: rows.some(({ dropped, has_gaps }) => dropped > 0 || has_gaps) ? 'bad' : entries > 0 ? 'warn' : 'good',
    note: entries === 0 ? 'hinted handoff is empty' : plural(entries, 'write waits', 'writes wait'),
  }; // prettier-ignore
}

function lag(cluster: ClusterSnapshot): TileProps {
  const rows = lagRows(cluster);
  const known = rows.filter((row) => row.lag !== null);
  const most = Math.max(0, ...known.map((row) => row.lag_ms ?? 0));
  const bad = rows.some(({ state }) => partitionTone(state) === 'bad');
  const fresh = rows.filter(({ state }) => state === 'fresh').length;
  return {
    icon: 'history', label: 'Longest lag', href: '#lag',
    value: known.length === 0 ? '–' : most === 0 ? '0s' : humanDuration(most),
    tone: bad ? 'bad' : fresh < rows.length ? 'warn' : rows.length === 0 ? 'off' : 'good',
    note: rows.length === 0 ? 'no node tells of the log' : `${fresh} of ${rows.length} partitions are fresh`,
  }; // prettier-ignore
}

export function plural(count: number, one: string, many: string): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

function counted(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
}

/** Begins with a capital, unless with an address, and ends with a stop. */
function sentence(text: string | null | undefined): string {
  if (!text) return '';
  const start = /^[a-z]+\s/.test(text) ? text[0]!.toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

export function host(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
