/** A panel on the page: title, its data asked for and kept fresh, every state it can be in. */
import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type CSSProperties, useMemo, useRef } from 'react';
import { useLocation } from 'wouter';
import { isUnreachable } from '../data/client';
import { rowCount } from '../data/frame';
import { LANGUAGE_NAMES } from '../data/language';
import { isKnownPanel, needsData, PanelBody, showsNothing } from '../panels/PanelBody';
import { isRelative, type TimeRange } from '../time/range';
import { useTime } from '../time/TimeContext';
import { Icon } from '../ui/Icon';
import { errorText, Loading, Message } from '../ui/States';
import { useNearScreen, useSize } from '../ui/useSize';
import { copyText } from '../ui/useCopy';
import classes from './dashboard.module.css';
import type { VariableValue } from './interpolate';
import { interpolate } from './interpolate';
import type { Panel } from './model';
import { movingText, type PanelPlan, planPanel, type PlannedQuery, runPlan } from './panelQuery';

export interface PanelFrameProps {
  panel: Panel;
  database: string;
  dashboard: { uid: string; title: string };
  variables: Readonly<Record<string, VariableValue>>;
  style: CSSProperties;
  syncKey: string;
  enlarged: boolean;
  onEnlarge(): void;
}

export function PanelFrame({ panel, database, dashboard, variables: chosen, style, syncKey, enlarged, onEnlarge }: PanelFrameProps) {
  const frame = useRef<HTMLElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const { width, height } = useSize(body);
  const near = useNearScreen(frame);
  const time = useTime();
  const [, navigate] = useLocation();
  const variables = useMemo(() => (panel.fixed ? { ...chosen, ...panel.fixed } : chosen), [chosen, panel.fixed]);

  const plan = useMemo(
    () => planPanel(panel, { range: time.range, live: isRelative(time.raw), width: width || 600, database, variables, dashboard }),
    [panel, time.range, time.raw, width, database, variables, dashboard],
  );
  const query = useQuery({
    queryKey: ['panel', panel.transformations ?? [], plan],
    queryFn: ({ signal }) => runPlan(plan, panel, signal),
    enabled: near && width > 0 && needsData(panel.type) && plan.queries.length > 0,
    placeholderData: keepPreviousData,
    structuralSharing: false,
    retry: false,
    gcTime: 15_000,
  });

  const fill = (text: string) => interpolate(text, { range: time.range, intervalMs: plan.intervalMs, variables, dashboard, format: 'text' });
  const title = fill(panel.title ?? '');
  const notices = [
    ...(query.data?.errors ?? []).map(({ refId, message }) => `Query ${refId}: ${message}`),
    ...(query.data?.unknown ?? []).map((id) => `Transformation “${id}” is not known here and was left out.`),
    ...(query.isError && query.data ? [errorText(query.error)] : []),
  ];

  return (
    <section ref={frame} className={classes.panel} style={style} aria-label={title || 'Panel'}>
      <header className={classes.panelHeader}>
        <h3 className={classes.panelTitle} title={title}>{title}</h3>
        {plan.own?.text && <span className={classes.ownTime}>{plan.own.text}</span>}
        {panel.description && (
          <Tooltip label={panel.description} multiline maw={320}>
            <span className={classes.hint} tabIndex={0} role="note" aria-label={panel.description}><Icon name="info" size={14} /></span>
          </Tooltip>
        )}
        {notices.length > 0 && (
          <Tooltip label={notices.join('\n')} multiline maw={420} style={{ whiteSpace: 'pre-line' }}>
            <span className={classes.notice} tabIndex={0} role="note" aria-label={notices.join(' ')}><Icon name="alert" size={14} /></span>
          </Tooltip>
        )}
        {query.isFetching && <span className={classes.activity} role="status" aria-label="Loading" />}
        <span className={classes.panelTools}>
          <PanelMenu plan={plan} enlarged={enlarged} onEnlarge={onEnlarge} onExplore={(query) => navigate(exploreLink(query, plan))} />
        </span>
      </header>
      <div ref={body} className={classes.panelBody}>
        <Content panel={panel} query={query} size={{ width, height }} range={plan.own?.range} fill={fill} syncKey={syncKey} asked={plan.queries.length > 0} />
      </div>
    </section>
  );
}

interface ContentProps {
  panel: Panel;
  query: { data?: Awaited<ReturnType<typeof runPlan>> | undefined; isError: boolean; error: unknown; refetch(): unknown };
  size: { width: number; height: number };
  range: TimeRange | undefined;
  fill(text: string): string;
  syncKey: string;
  asked: boolean;
}

function Content({ panel, query, size, range, fill, syncKey, asked }: ContentProps) {
  if (size.width === 0) return null;
  if (!isKnownPanel(panel.type) || !needsData(panel.type)) return <PanelBody panel={panel} frames={[]} {...size} range={range} fill={fill} syncKey={syncKey} />;
  if (!asked) return <Message compact icon="info" title="This panel has no query in InfluxQL or Flux" />;
  if (query.data) {
    const empty = query.data.frames.every((frame) => rowCount(frame) === 0);
    if (empty && !showsNothing(panel.type)) {
      return <Message compact icon="clock" title="No data in this time range" />;
    }
    return <PanelBody panel={panel} frames={query.data.frames} {...size} range={range} syncKey={syncKey} />;
  }
  if (query.isError) {
    if (isUnreachable(query.error)) return <Message compact icon="alert" title="The store does not answer" />;
    return (
      <Message compact icon="alert" title="The query failed">
        {errorText(query.error)}{' '}
        <button type="button" className={classes.link} onClick={() => void query.refetch()}>Try again</button>
      </Message>
    );
  }
  return <Loading />;
}

function PanelMenu({ plan, enlarged, onEnlarge, onExplore }: {
  plan: PanelPlan; enlarged: boolean; onEnlarge(): void; onExplore(query: PlannedQuery): void;
}) { // prettier-ignore
  return (
    <>
      <Tooltip label={enlarged ? 'Back to the dashboard (Esc)' : 'Enlarge'}>
        <ActionIcon size={22} onClick={onEnlarge} aria-label={enlarged ? 'Back to the dashboard' : 'Enlarge this panel'}>
          <Icon name={enlarged ? 'close' : 'expand'} size={14} />
        </ActionIcon>
      </Tooltip>
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <ActionIcon size={22} aria-label="Panel menu"><Icon name="dots" size={14} /></ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {plan.queries.map((query) => (
            <Menu.Item key={query.refId} leftSection={<Icon name="explore" size={14} />} onClick={() => onExplore(query)}>
              Explore query {query.refId}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<Icon name="copy" size={14} />} onClick={() => void copyText(copied(plan.queries))}>
            Copy {[...new Set(plan.queries.map(({ language }) => LANGUAGE_NAMES[language]))].join(' and ')}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

/** Statements of InfluxQL are separated by semicolons, queries in Flux are texts of their own. */
function copied(queries: readonly PlannedQuery[]): string {
  return queries.map(({ q }) => q).join(queries.some(({ language }) => language === 'flux') ? '\n\n' : ';\n');
}

/** The range goes along by its own parameters, so that the query may move with the clock there. */
function exploreLink(query: PlannedQuery, plan: PanelPlan): string {
  const params = new URLSearchParams(window.location.search);
  const kept = new URLSearchParams({ q: movingText(query, plan), db: query.database });
  if (query.language === 'flux') kept.set('lang', 'flux');
  for (const key of ['from', 'to', 'refresh']) if (params.has(key)) kept.set(key, params.get(key)!);
  return `/explore?${kept.toString()}`;
}
