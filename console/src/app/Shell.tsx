/** The frame of every page: where one is, where one can go, whether the store is well. */
import { ActionIcon, Menu, Modal, Tooltip, useMantineColorScheme } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import { problems } from '../cluster/cluster';
import { useCluster } from '../cluster/useCluster';
import { fetchAlerts, fetchDashboards } from '../data/api';
import { useScheme } from '../theme/manager';
import { Icon, type IconName } from '../ui/Icon';
import classes from './app.module.css';
import { SHORTCUT_HELP, useShortcuts } from './shortcuts';
import { carried } from './url';
import { useInfo } from './useInfo';

const ALERTS_MS = 15_000;
/** Each look makes every node of the cluster answer. */
const CLUSTER_MS = 30_000;

export function useAlerts() {
  return useQuery({ queryKey: ['alerts'], queryFn: ({ signal }) => fetchAlerts(signal), refetchInterval: ALERTS_MS, retry: false });
}

export function useDashboards() {
  return useQuery({ queryKey: ['dashboards'], queryFn: ({ signal }) => fetchDashboards(signal), staleTime: 60_000, retry: false });
}

export function Shell({ children }: { children: ReactNode }) {
  const [, navigate] = useLocation();
  const [help, setHelp] = useState(false);
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useScheme();
  const go = (path: string) => () => navigate(path + carried(window.location.search));
  useShortcuts({
    '?': () => setHelp(true),
    d: () => setColorScheme(scheme === 'dark' ? 'light' : 'dark'),
    'g o': go('/'),
    'g h': go('/d/hosts'),
    'g v': go('/d/virtual-machines'),
    'g e': go('/explore'),
    'g a': go('/alerts'),
    'g c': go('/cluster'),
  });
  return (
    <>
      <a className={classes.skip} href="#content">Skip to the content</a>
      <header className={classes.header}>
        <Link href="/" className={classes.brand} aria-label="Skywatch, overview">
          <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" fill="var(--sw-accent)" />
            <path d="M5 19.5h5l3.2-9 5 13.5 3.3-8.2 1.4 3.7H27" fill="none" stroke="var(--sw-surface)" strokeWidth="2.6" strokeLinecap="round" strokeLinejoin="round" />
          </svg>
          <span>Skywatch</span>
        </Link>
        <Navigation />
        <div className={classes.tools}>
          <StoreStatus />
          <SchemeMenu />
          <Tooltip label="Keyboard shortcuts (?)">
            <ActionIcon onClick={() => setHelp(true)} aria-label="Keyboard shortcuts"><Icon name="keyboard" size={18} /></ActionIcon>
          </Tooltip>
        </div>
      </header>
      <main id="content" className={classes.main}>{children}</main>
      <Modal opened={help} onClose={() => setHelp(false)} title="Keyboard shortcuts" size="lg">
        <div className={classes.shortcuts}>
          {SHORTCUT_HELP.map(({ title, keys }) => (
            <section key={title}>
              <h3>{title}</h3>
              {keys.map(([key, meaning]) => (
                <div key={key} className={classes.shortcut}>
                  <span>{meaning}</span>
                  <span>{key.split(' ').map((part) => <kbd key={part}>{part}</kbd>)}</span>
                </div>
              ))}
            </section>
          ))}
        </div>
      </Modal>
    </>
  );
}

function Navigation() {
  const [path] = useLocation();
  const search = useSearch();
  const dashboards = useDashboards();
  const alerts = useAlerts();
  const firing = alerts.data?.rules.filter(({ state }) => state === 'firing').length ?? 0;
  const cluster = useCluster(CLUSTER_MS);
  const troubles = cluster.data ? problems(cluster.data).filter(({ tone }) => tone === 'bad').length : 0;
  const item = (href: string, icon: IconName, label: string, here: boolean, count = 0, counted = '') => (
    <Link href={href + carried(search)} className={classes.nav} aria-current={here ? 'page' : undefined}>
      <Icon name={icon} size={16} />
      <span className={classes.navLabel}>{label}</span>
      {count > 0 && <span className={classes.count} aria-label={`${count} ${counted}`}>{count}</span>}
    </Link>
  );
  return (
    <nav className={classes.navigation} aria-label="Pages">
      {item('/', 'home', 'Overview', path === '/')}
      {item('/d/hosts', 'server', 'Hosts', path === '/d/hosts')}
      {item('/d/virtual-machines', 'cube', 'Virtual machines', path === '/d/virtual-machines')}
      <OtherDashboards path={path} search={search} list={(dashboards.data ?? []).filter(({ uid }) => !SHIPPED.has(uid))} />
      {item('/explore', 'explore', 'Explore', path === '/explore')}
      {item('/alerts', 'bell', 'Alerts', path === '/alerts', firing, 'firing')}
      {item('/cluster', 'cluster', 'Cluster', path === '/cluster', troubles, 'to look at')}
    </nav>
  );
}

/** These two have a place of their own in the navigation. */
const SHIPPED = new Set(['hosts', 'virtual-machines']);

function OtherDashboards({ path, search, list }: { path: string; search: string; list: { uid: string; title: string }[] }) {
  const [, navigate] = useLocation();
  if (list.length === 0) return null;
  const here = list.find(({ uid }) => path === `/d/${encodeURIComponent(uid)}`);
  return (
    <Menu position="bottom-start" width={240}>
      <Menu.Target>
        <button type="button" className={classes.nav} aria-current={here ? 'page' : undefined}>
          <Icon name="dashboards" size={16} />
          <span className={classes.navLabel}>{here?.title ?? 'Dashboards'}</span>
          <Icon name="chevron" size={12} />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {list.map(({ uid, title }) => (
          <Menu.Item key={uid} onClick={() => navigate(`/d/${encodeURIComponent(uid)}${carried(search)}`)}>{title}</Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function StoreStatus() {
  const info = useInfo();
  const [state, label] = info.isError
    ? ['bad', 'The console does not answer']
    : !info.data
      ? ['unknown', 'Asking the store']
      : info.data.store_error
        ? ['bad', info.data.store_error]
        : ['good', `Store ${info.data.store_version} at ${info.data.upstream}, console ${info.data.version}`];
  return (
    <Tooltip label={label} multiline maw={360}>
      <span className={classes.status} data-state={state} role="status" aria-label={label} tabIndex={0}>
        <span className={classes.dot} />
        {state === 'bad' ? 'Store unreachable' : ''}
      </span>
    </Tooltip>
  );
}

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const choices: [typeof colorScheme, IconName, string][] = [
    ['light', 'sun', 'Light'],
    ['dark', 'moon', 'Dark'],
    ['auto', 'auto', 'As the system has it'],
  ];
  const current = choices.find(([value]) => value === colorScheme) ?? choices[2]!;
  return (
    <Menu position="bottom-end" width={190}>
      <Menu.Target>
        <ActionIcon aria-label={`Colours: ${current[2]}`}><Icon name={current[1]} size={17} /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {choices.map(([value, icon, label]) => (
          <Menu.Item key={value} leftSection={<Icon name={icon} size={15} />} rightSection={value === colorScheme && <Icon name="check" size={13} />} onClick={() => setColorScheme(value)}>
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
