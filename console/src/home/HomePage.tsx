/** The overview: is everything there, is anything wrong, where to look. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link, useSearch } from 'wouter';
import { useAlerts, useDashboards } from '../app/Shell';
import { carried } from '../app/url';
import { useInfo } from '../app/useInfo';
import { useNow } from '../app/useNow';
import { usePageTitle } from '../app/usePageTitle';
import { StoreNotice } from '../dashboard/StoreNotice';
import { isMissingDatabase } from '../data/client';
import { formatValue } from '../format/units';
import { Sparkline } from '../panels/Sparkline';
import { resolveColor } from '../theme/colors';
import { useScheme } from '../theme/manager';
import { ago, humanDuration } from '../time/duration';
import { Card, Tile, type Tone } from '../ui/Card';
import shared from '../ui/card.module.css';
import { Icon } from '../ui/Icon';
import { Failure, Loading } from '../ui/States';
import classes from './home.module.css';
import { fetchOverview, type GuestState, guestState, type HostState, type Overview, SILENT_MS } from './overview';

const REFRESH_MS = 10_000;

export function HomePage() {
  usePageTitle('Overview');
  const info = useInfo();
  const database = info.data?.database;
  const overview = useQuery({
    queryKey: ['overview', database],
    queryFn: ({ signal }) => fetchOverview(database!, signal),
    enabled: database !== undefined,
    refetchInterval: ({ state }) => (state.data && state.data.hosts.length > 0 ? REFRESH_MS : REFRESH_MS / 4),
    placeholderData: keepPreviousData,
    structuralSharing: false,
    retry: false,
  });
  const missing = overview.isError && isMissingDatabase(overview.error);
  const data = overview.data ?? (missing ? { hosts: [], guests: [], newestMs: undefined } : undefined);
  return (
    <div className={shared.page}>
      {database && <StoreNotice database={database} />}
      {overview.isError && !data && <Failure error={overview.error} onRetry={() => void overview.refetch()} />}
      {!data && !overview.isError && <Loading />}
      {data && <Tiles overview={data} />}
      {data && (
        <div className={data.guests.length > 0 ? shared.columns : undefined}>
          {data.hosts.length > 0 && <Hosts hosts={data.hosts} />}
          {data.guests.length > 0 && <Guests guests={data.guests} />}
        </div>
      )}
      <Dashboards />
    </div>
  );
}

function Tiles({ overview: { hosts, guests, newestMs } }: { overview: Overview }) {
  const alerts = useAlerts();
  const now = useNow(1_000);
  const up = hosts.filter((host) => host.up).length;
  const running = guests.filter(({ state }) => state === 1).length;
  const rules = alerts.data?.rules ?? [];
  const firing = rules.filter(({ state }) => state === 'firing').length;
  const pending = rules.filter(({ state }) => state === 'pending').length;
  const age = newestMs === undefined ? undefined : Math.max(0, now - newestMs);
  return (
    <div className={shared.tiles}>
      <Tile icon="server" label="Hosts up" href="/d/hosts" tone={hosts.length === 0 ? 'off' : up < hosts.length ? 'bad' : 'good'} value={String(up)} of={hosts.length}
        note={hosts.length === 0 ? 'none reports yet' : up === hosts.length ? 'all report' : `${hosts.length - up} silent`} />
      <Tile icon="cube" label="VMs running" href="/d/virtual-machines" tone={worstTone(guests)} value={String(running)} of={guests.length}
        note={guests.length === 0 ? 'none reported' : otherStates(guests)} />
      <Tile icon="bell" label="Alerts firing" href="/alerts" tone={firing > 0 ? 'bad' : pending > 0 ? 'warn' : rules.length === 0 ? 'off' : 'good'} value={String(firing)}
        note={rules.length === 0 ? 'no rules' : pending > 0 ? `${pending} pending` : `${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}, all calm`} />
      <Tile icon="clock" label="Data age" href="/explore" tone={age === undefined ? 'off' : age > SILENT_MS ? 'bad' : 'good'}
        value={age === undefined ? '–' : humanDuration(Math.floor(age / 1000) * 1000).replace('0ms', '0s')}
        note={age === undefined ? 'waiting for the first point' : age > SILENT_MS ? 'data has stopped coming' : 'since the newest point'} />
    </div>
  );
}

/** A machine that is off is off on purpose; one that is paused or crashed may not be. */
function worstTone(guests: readonly GuestState[]): Tone {
  const tones = guests.map(({ state }) => guestState(state).tone);
  if (tones.length === 0) return 'off';
  return tones.includes('bad') ? 'bad' : tones.includes('warn') ? 'warn' : 'good';
}

function otherStates(guests: readonly GuestState[]): string {
  const counts = new Map<string, number>();
  for (const { state } of guests) if (state !== 1) counts.set(guestState(state).text, (counts.get(guestState(state).text) ?? 0) + 1);
  return counts.size === 0 ? 'all of them' : [...counts].map(([text, count]) => `${count} ${text}`).join(', ');
}

function Hosts({ hosts }: { hosts: readonly HostState[] }) {
  const scheme = useScheme();
  const now = useNow(5_000);
  return (
    <Card title="Hosts" href="/d/hosts">
      <table className={shared.table}>
        <thead>
          <tr><th>Host</th><th>CPU, last hour</th><th /><th>Memory</th><th>Fullest disk</th><th className={shared.right}>Up for</th></tr>
        </thead>
        <tbody>
          {hosts.map((host) => (
            <tr key={host.host} data-down={!host.up || undefined}>
              <td>
                <span className={shared.dot} data-tone={host.up ? 'good' : 'bad'} title={host.up ? 'reports' : 'silent'} />
                <Link href={`/d/hosts?var-host=${encodeURIComponent(host.host)}`}>{host.host}</Link>
              </td>
              <td className={classes.spark}><Sparkline values={host.cpuHistory} width={110} height={22} color={resolveColor('blue', scheme)} /></td>
              <td className={shared.right}>{percent(host.cpu)}</td>
              <td><Meter value={host.memory} /></td>
              <td><Meter value={host.fullestDisk?.usedPercent ?? null} note={host.fullestDisk?.path} /></td>
              <td className={shared.right}>
                {host.up
                  ? host.uptimeSecs === null ? '–' : humanDuration(host.uptimeSecs * 1000)
                  : <span className={classes.silent}>silent, {ago(host.seenMs, now)}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function percent(value: number | null): string {
  return value === null ? '–' : formatValue(value, 'percent', 1);
}

function Meter({ value, note }: { value: number | null; note?: string | undefined }) {
  const tone = value === null ? 'off' : value >= 90 ? 'bad' : value >= 75 ? 'warn' : 'good';
  return (
    <span className={classes.meter} title={note}>
      <span className={classes.track}><span data-tone={tone} style={{ width: `${Math.min(100, value ?? 0)}%` }} /></span>
      <span>{percent(value)}</span>
    </span>
  );
}

function Guests({ guests }: { guests: readonly GuestState[] }) {
  return (
    <Card title="Virtual machines" href="/d/virtual-machines">
      <table className={shared.table}>
        <thead><tr><th>Virtual machine</th><th>State</th><th>Host</th></tr></thead>
        <tbody>
          {guests.map(({ name, host, state }) => {
            const { text, tone } = guestState(state);
            return (
              <tr key={`${host}/${name}`}>
                <td><Link href={`/d/virtual-machines?var-vm=${encodeURIComponent(name)}`}>{name}</Link></td>
                <td><span className={shared.dot} data-tone={tone} />{text}</td>
                <td className={shared.dim}>{host}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Card>
  );
}

function Dashboards() {
  const dashboards = useDashboards();
  const search = useSearch();
  if (!dashboards.data) return null;
  return (
    <section aria-label="Dashboards">
      <h2 className={shared.heading}>Dashboards</h2>
      <div className={classes.dashboards}>
        {dashboards.data.map(({ uid, title, description, tags, file, error }) =>
          error ? (
            <div key={uid} className={classes.dashboard} data-broken>
              <strong><Icon name="alert" size={14} /> {title}</strong>
              <span>{file}: {error}</span>
            </div>
          ) : (
            <Link key={uid} href={`/d/${encodeURIComponent(uid)}${carried(search)}`} className={classes.dashboard}>
              <strong>{title}</strong>
              <span>{description || file || 'No description'}</span>
              {tags.length > 0 && <span className={classes.tags}>{tags.map((tag) => <span key={tag}>{tag}</span>)}</span>}
            </Link>
          ),
        )}
      </div>
    </section>
  );
}
