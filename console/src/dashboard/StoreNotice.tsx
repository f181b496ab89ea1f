/** What keeps a page empty when it is not the page's fault: no store, no database, no points yet. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { useInfo } from '../app/useInfo';
import { influxQuery } from '../data/client';
import { Icon } from '../ui/Icon';
import { emptyIfMissing } from './emptyIfMissing';
import classes from './dashboard.module.css';

/** While there is nothing, the answer may change any moment. */
const EMPTY_RECHECK_MS = 3_000;

export function StoreNotice({ database }: { database: string }) {
  const info = useInfo();
  const measurements = useQuery({
    queryKey: ['any-measurement', database],
    queryFn: ({ signal }) => influxQuery({ q: 'SHOW MEASUREMENTS LIMIT 1', db: database }, signal).catch(emptyIfMissing({ results: [] })),
    enabled: info.data?.store_error === null,
    refetchInterval: ({ state }) => (state.data?.results?.[0]?.series ? false : EMPTY_RECHECK_MS),
    retry: false,
  });
  if (info.data?.store_error) {
    return <Notice tone="bad">{capitalized(info.data.store_error)}. Panels show what was fetched before; trying again.</Notice>;
  }
  if (measurements.data && !measurements.data.results?.[0]?.series) {
    return (
      <Notice tone="calm">
        No data yet in the database <code>{database}</code>: the first points arrive within 10 s of the agent’s start. This page
        fills by itself. <Link href="/explore?q=SHOW+DATABASES">See which databases there are</Link>
      </Notice>
    );
  }
  return null;
}

export function Notice({ tone, children }: { tone: 'calm' | 'bad'; children: React.ReactNode }) {
  return (
    <div className={tone === 'bad' ? classes.storeBad : classes.storeCalm} role="status">
      <Icon name={tone === 'bad' ? 'alert' : 'clock'} size={15} />
      <span>{children}</span>
    </div>
  );
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
