/** A dashboard: fetched, its variables resolved, its panels laid out. */
import { useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { useMediaQuery } from '@mantine/hooks';
import { keepPreviousData } from '@tanstack/react-query';
import { useInfo } from '../app/useInfo';
import { usePageTitle } from '../app/usePageTitle';
import { useUrlParams } from '../app/url';
import { fetchDashboard } from '../data/api';
import { TimeControls } from '../time/TimeControls';
import { TimeProvider, useTime } from '../time/TimeContext';
import { TimeShortcuts } from '../time/TimeShortcuts';
import { foreignZone } from '../time/zone';
import { Icon } from '../ui/Icon';
import { Failure, Loading, Message } from '../ui/States';
import { Toolbar } from '../ui/Toolbar';
import classes from './dashboard.module.css';
import { interpolate, type VariableValue } from './interpolate';
import { bands, completed, heightPixels, narrowSpan, placement, type Section, sections, sectionTop } from './layout';
import { type Dashboard, type Panel, whyNoDashboard } from './model';
import { migrated } from './migrate';
import { PanelFrame } from './PanelFrame';
import { repeated } from './repeat';
import { Notice, StoreNotice } from './StoreNotice';
import { VariablePicker } from './VariablePicker';
import { isShown, type ResolvedVariable, resolveVariables, valueOf } from './variables';

export function DashboardPage({ uid }: { uid: string }) {
  const query = useQuery({
    queryKey: ['dashboard', uid],
    queryFn: async ({ signal }) => {
      const model = await fetchDashboard(uid, signal);
      const wrong = whyNoDashboard(model);
      if (wrong) throw new Error(`This is not a dashboard: ${wrong}`);
      return migrated(model as Dashboard);
    },
    staleTime: 60_000,
    retry: false,
  });
  usePageTitle(query.data?.title ?? 'Dashboard');
  if (query.isError) return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  if (!query.data) return <Loading />;
  const { time, refresh } = query.data;
  return (
    <TimeProvider key={uid} defaults={{ from: time?.from ?? 'now-1h', to: time?.to ?? 'now', refresh: refresh || 'off' }}>
      <TimeShortcuts />
      <DashboardView dashboard={query.data} />
    </TimeProvider>
  );
}

/** New hosts show up among a variable's values after this long. */
const VARIABLES_STALE_MS = 60_000;

function DashboardView({ dashboard }: { dashboard: Dashboard }) {
  const time = useTime();
  const info = useInfo();
  const database = info.data?.database ?? 'telegraf';
  const [params, setParams] = useUrlParams();
  const list = useMemo(() => dashboard.templating?.list ?? [], [dashboard]);
  const chosen = useMemo(
    () => Object.fromEntries(list.flatMap(({ name }) => (params.has(`var-${name}`) ? [[name, params.getAll(`var-${name}`)]] : []))),
    [list, params],
  );
  const zone = foreignZone(dashboard.timezone, time.now);
  const minute = Math.floor(time.now / VARIABLES_STALE_MS);
  const variables = useQuery({
    queryKey: ['variables', dashboard.uid, database, chosen, minute],
    queryFn: ({ signal }) => resolveVariables(list, { chosen, range: time.range, database }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });
  // A stable object while the values are the same: panels compare it to decide whether to ask again.
  const serialized = JSON.stringify(Object.fromEntries((variables.data ?? []).map((one) => [one.variable.name, valueOf(one)])));
  const values = useMemo(() => JSON.parse(serialized) as Record<string, VariableValue>, [serialized]);

  return (
    <div className={classes.page}>
      <Toolbar title={dashboard.title} sticky>
        <div className={classes.variables}>
          {(variables.data ?? []).filter(isShown).map((resolved) => (
            <VariablePicker key={resolved.variable.name} resolved={resolved}
              onChange={(selected) => setParams({ [`var-${resolved.variable.name}`]: selected }, { replace: true })} />
          ))}
        </div>
        <TimeControls />
      </Toolbar>
      <StoreNotice database={database} />
      {isForeign(variables.data ?? []) && dashboard.skywatch?.emptyHint && <Notice tone="calm">{dashboard.skywatch.emptyHint}</Notice>}
      {zone && <Notice tone="calm">This dashboard means times in {zone}. The console shows those of your browser.</Notice>}
      {variables.isError && <Failure error={variables.error} onRetry={() => void variables.refetch()} />}
      {variables.data && <Panels dashboard={dashboard} database={database} variables={values} />}
      {dashboard.panels.length === 0 && <Message icon="dashboards" title="This dashboard has no panels" />}
    </div>
  );
}

/** No variable finds a value: the database has nothing of the kind that the dashboard shows. */
function isForeign(variables: readonly ResolvedVariable[]): boolean {
  const asked = variables.filter(({ variable }) => variable.type === 'query');
  return asked.length > 0 && asked.every(({ options, error }) => options.length === 0 && error === undefined);
}

interface PanelsProps {
  dashboard: Dashboard;
  database: string;
  variables: Record<string, VariableValue>;
}

function Panels({ dashboard, database, variables }: PanelsProps) {
  const [params, setParams] = useUrlParams();
  const time = useTime();
  const narrow = useMediaQuery('(max-width: 900px)', false, { getInitialValueInEffect: false }) ?? false;
  const all = useMemo(() => repeated(sections(completed(dashboard.panels)), variables), [dashboard, variables]);
  const enlargedId = params.get('viewPanel');
  const enlarge = useCallback(
    (panel: Panel) => setParams({ viewPanel: enlargedId === String(panel.id) ? undefined : String(panel.id) }),
    [setParams, enlargedId],
  );
  useEffect(() => {
    if (enlargedId === null) return;
    const leave = (event: KeyboardEvent) => event.key === 'Escape' && setParams({ viewPanel: undefined });
    window.addEventListener('keydown', leave);
    return () => window.removeEventListener('keydown', leave);
  }, [enlargedId, setParams]);

  const frame = (panel: Panel, style: React.CSSProperties, enlarged = false) => (
    <PanelFrame key={panel.id} panel={panel} dashboard={dashboard} database={database} variables={variables} style={style} syncKey={dashboard.uid}
      enlarged={enlarged} onEnlarge={() => enlarge(panel)} />
  );
  const rowTitle = (row: Panel) => interpolate(row.title ?? '', { range: time.range, intervalMs: 0, variables: { ...variables, ...row.fixed }, dashboard, format: 'text' });
  const alone = all.flatMap(({ panels }) => panels).find(({ id }) => String(id) === enlargedId);
  if (alone) return <div className={classes.alone}>{frame(alone, { height: '100%' }, true)}</div>;
  return all.map((section, i) => <SectionView key={section.row?.id ?? `top-${i}`} section={section} rowTitle={rowTitle} narrow={narrow} frame={frame} />);
}

function SectionView({ section, rowTitle, narrow, frame }: {
  section: Section; rowTitle(row: Panel): string; narrow: boolean; frame(panel: Panel, style: React.CSSProperties): React.ReactNode;
}) { // prettier-ignore
  const { row, panels } = section;
  const [open, setOpen] = useState(!(row?.collapsed ?? false));
  return (
    <section className={classes.section}>
      {row && (
        <h2 className={classes.rowTitle}>
          <button type="button" onClick={() => setOpen(!open)} aria-expanded={open}>
            <Icon name={open ? 'chevron' : 'right'} size={14} />
            {rowTitle(row)}
            {!open && <span className={classes.rowCount}>{panels.length === 1 ? '1 panel' : `${panels.length} panels`}</span>}
          </button>
        </h2>
      )}
      {open && bands(panels).map((band, i) =>
        band.kind === 'fitted' ? (
          <div key={i} className={classes.fitted}>{frame(band.panel, { maxHeight: heightPixels(band.panel.gridPos.h) })}</div>
        ) : (
          <PanelGrid key={i} panels={band.panels} narrow={narrow} frame={frame} />
        ),
      )}
    </section>
  );
}

function PanelGrid({ panels, narrow, frame }: {
  panels: Panel[]; narrow: boolean; frame(panel: Panel, style: React.CSSProperties): React.ReactNode;
}) { // prettier-ignore
  const top = sectionTop(panels);
  return (
    <div className={classes.grid} style={narrow ? { gridAutoRows: 'auto' } : undefined}>
      {panels.map((panel) => {
        const { column, row } = placement(panel.gridPos, top);
        const wide = { gridColumn: column, gridRow: row };
        const stacked = { gridColumn: `span ${narrowSpan(panel.gridPos)}`, height: heightPixels(panel.gridPos.h) };
        return frame(panel, narrow ? stacked : wide);
      })}
    </div>
  );
}
