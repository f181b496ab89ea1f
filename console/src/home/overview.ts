/** What the overview says about hosts and virtual machines, out of a handful of queries sent as one request. */
import { influxQuery } from '../data/client';
import type { Cell } from '../data/frame';
import type { InfluxSeries } from '../data/influx';

export interface HostState {
  host: string;
  /** When its latest point was taken. */
  seenMs: number;
  up: boolean;
  uptimeSecs: number | null;
  cpu: number | null;
  cpuHistory: Cell[];
  memory: number | null;
  fullestDisk: { path: string; usedPercent: number } | null;
}

export interface GuestState {
  host: string;
  name: string;
  /** libvirt's virDomainState. */
  state: number;
  seenMs: number;
}

export interface Overview {
  hosts: HostState[];
  guests: GuestState[];
  newestMs: number | undefined;
}

/** A host that missed this many of its points in a row is not there. */
export const SILENT_MS = 45_000;
/** libvirt keeps listing a machine in every round, so one unheard of for so long has been removed. */
const GUEST_GONE_MS = 120_000;

const STATEMENTS = [
  'SELECT last("uptime") FROM "system" WHERE time > now() - 1d GROUP BY "host"',
  'SELECT last("used_percent") FROM "mem" WHERE time > now() - 10m GROUP BY "host"',
  'SELECT last("usage_idle") FROM "cpu" WHERE "cpu" = \'cpu-total\' AND time > now() - 10m GROUP BY "host"',
  'SELECT mean("usage_idle") FROM "cpu" WHERE "cpu" = \'cpu-total\' AND time > now() - 1h GROUP BY time(1m), "host" fill(none)',
  'SELECT last("used_percent") FROM "disk" WHERE "fstype" !~ /^(tmpfs|devtmpfs|overlay|squashfs|iso9660)$/ AND time > now() - 10m GROUP BY "host", "path"',
  'SELECT last("state") FROM "libvirt_state" WHERE time > now() - 10m GROUP BY "host", "domain_name"',
];

export async function fetchOverview(db: string, signal?: AbortSignal): Promise<Overview> {
  const answer = await influxQuery({ q: STATEMENTS.join('; '), db }, signal);
  const results = STATEMENTS.map((_, i) => answer.results?.[i]?.series ?? []);
  return overviewOf(results, Date.now());
}

/** `results` in the order of the statements. */
export function overviewOf(results: readonly (readonly InfluxSeries[])[], now: number): Overview {
  const [uptime = [], memory = [], idle = [], idleHistory = [], disks = [], states = []] = results;
  const hosts = uptime.map((series): HostState => {
    const host = series.tags?.['host'] ?? '';
    const [seenMs, uptimeSecs] = lastOf(series) ?? [0, null];
    const idleNow = valueFor(idle, host);
    return {
      host,
      seenMs,
      up: now - seenMs < SILENT_MS,
      uptimeSecs,
      cpu: idleNow === null ? null : 100 - idleNow,
      cpuHistory: (of(idleHistory, host)[0]?.values ?? []).map(([, value]) => (typeof value === 'number' ? 100 - value : null)),
      memory: valueFor(memory, host),
      fullestDisk: fullest(of(disks, host)),
    };
  });
  const guests = states
    .map((series): GuestState => {
      const [seenMs, state] = lastOf(series) ?? [0, 0];
      return { host: series.tags?.['host'] ?? '', name: series.tags?.['domain_name'] ?? '', state: state ?? 0, seenMs };
    })
    .filter(({ seenMs }) => now - seenMs < GUEST_GONE_MS);
  const newest = Math.max(-Infinity, ...hosts.map(({ seenMs }) => seenMs), ...guests.map(({ seenMs }) => seenMs));
  const byName = (a: string, b: string) => a.localeCompare(b, undefined, { numeric: true });
  return {
    hosts: hosts.sort((a, b) => Number(a.up) - Number(b.up) || byName(a.host, b.host)),
    guests: guests.sort((a, b) => byName(a.name, b.name) || byName(a.host, b.host)),
    newestMs: Number.isFinite(newest) ? newest : undefined,
  };
}

function lastOf(series: InfluxSeries): [time: number, value: number | null] | undefined {
  const row = series.values?.[series.values.length - 1];
  if (!row) return undefined;
  return [Number(row[0]), typeof row[1] === 'number' ? row[1] : null];
}

function of(all: readonly InfluxSeries[], host: string): InfluxSeries[] {
  return all.filter((series) => series.tags?.['host'] === host);
}

function valueFor(all: readonly InfluxSeries[], host: string): number | null {
  const series = of(all, host)[0];
  return series ? (lastOf(series)?.[1] ?? null) : null;
}

function fullest(disks: readonly InfluxSeries[]): HostState['fullestDisk'] {
  let top: HostState['fullestDisk'] = null;
  for (const disk of disks) {
    const usedPercent = lastOf(disk)?.[1] ?? null;
    if (usedPercent !== null && (top === null || usedPercent > top.usedPercent)) {
      top = { path: disk.tags?.['path'] ?? '', usedPercent };
    }
  }
  return top;
}

const STATES: Record<number, { text: string; tone: 'good' | 'warn' | 'bad' | 'off' }> = {
  0: { text: 'no state', tone: 'off' },
  1: { text: 'running', tone: 'good' },
  2: { text: 'blocked', tone: 'warn' },
  3: { text: 'paused', tone: 'warn' },
  4: { text: 'shutting down', tone: 'warn' },
  5: { text: 'shut off', tone: 'off' },
  6: { text: 'crashed', tone: 'bad' },
  7: { text: 'suspended', tone: 'warn' },
};

export function guestState(state: number): { text: string; tone: 'good' | 'warn' | 'bad' | 'off' } {
  return STATES[state] ?? { text: `state ${state}`, tone: 'off' };
}
