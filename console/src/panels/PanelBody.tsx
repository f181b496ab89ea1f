/** Chooses the drawing of a panel by its type. */
import type { ComponentType } from 'react';
import { BarGaugePanel } from './BarGaugePanel';
import { LogsPanel } from './LogsPanel';
import classes from './panels.module.css';
import { StatPanel } from './StatPanel';
import { StateTimelinePanel } from './StateTimelinePanel';
import { TablePanel } from './TablePanel';
import { TextPanel } from './TextPanel';
import { TimeSeriesPanel } from './TimeSeriesPanel';
import type { PanelProps } from './types';

const BODIES: Record<string, ComponentType<PanelProps>> = {
  timeseries: TimeSeriesPanel,
  stat: StatPanel,
  table: TablePanel,
  bargauge: BarGaugePanel,
  gauge: BarGaugePanel,
  piechart: BarGaugePanel,
  'state-timeline': StateTimelinePanel,
  'status-history': StateTimelinePanel,
  logs: LogsPanel,
  text: TextPanel,
};

export function isKnownPanel(type: string): boolean {
  return Object.hasOwn(BODIES, type);
}

/** Panels that are drawn without any query. */
export function needsData(type: string): boolean {
  return type !== 'text' && isKnownPanel(type);
}

/** A panel whose "nothing" is an answer: a count of zero is no missing data. */
export function showsNothing(type: string): boolean {
  return type === 'stat';
}

export function PanelBody(props: PanelProps) {
  const Body = BODIES[props.panel.type];
  return Body ? <Body {...props} /> : <div className={classes.placeholder}>This console does not draw “{props.panel.type}” panels.</div>;
}
