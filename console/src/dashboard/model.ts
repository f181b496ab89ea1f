/**
 * The part of Grafana's dashboard JSON (schema version 42) that the console draws. What it does not know stays in the
 * object untouched; panels of unknown types get a placeholder.
 */
import type { Transformation } from '../data/transform';
import type { VariableValue } from './interpolate';

export interface Dashboard {
  uid: string;
  title: string;
  description?: string;
  tags?: string[];
  time?: { from: string; to: string };
  /** `browser`, `utc`, or a zone's name. */
  timezone?: string;
  refresh?: string;
  templating?: { list?: Variable[] };
  panels: Panel[];
  links?: { title: string; url?: string; type?: string }[];
  /** Skywatch's own. */
  skywatch?: {
    /** What to do when the database has nothing for this dashboard. */
    emptyHint?: string;
  };
}

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Panel {
  id: number;
  type: string;
  title?: string;
  description?: string;
  gridPos: GridPos;
  targets?: Target[];
  fieldConfig?: FieldConfigSource;
  options?: Record<string, unknown>;
  transformations?: Transformation[];
  maxDataPoints?: number | null;
  interval?: string | null;
  timeFrom?: string | null;
  timeShift?: string | null;
  hideTimeOverride?: boolean;
  /** Name of the variable for each of whose values the panel stands once. */
  repeat?: string | null;
  repeatDirection?: 'h' | 'v';
  maxPerRow?: number;
  /** Not of the file: values that a repeated panel has in the place of the page's. */
  fixed?: Readonly<Record<string, VariableValue>>;
  transparent?: boolean;
  links?: { title: string; url: string; targetBlank?: boolean }[];
  /** Rows only. Filled when the row is collapsed; otherwise the panels after it are its own. */
  collapsed?: boolean;
  panels?: Panel[];
}

export interface Target {
  refId: string;
  query?: string;
  rawQuery?: boolean;
  resultFormat?: string;
  alias?: string;
  hide?: boolean;
  /** Retention policy, `default` for that of the database. */
  policy?: string;
  /** What the visual editor made: a query's parts in the place of its text. */
  measurement?: string;
  select?: QueryPart[][];
  groupBy?: QueryPart[];
  tags?: TargetTag[];
  orderByTime?: string;
  limit?: string | number;
  slimit?: string | number;
  tz?: string;
  /** Skywatch's own: another database than the console's. */
  database?: string;
}

/** A step of a `select` chain, or something to group by. */
export interface QueryPart {
  type: string;
  params?: (string | number)[];
}

export interface TargetTag {
  key: string;
  operator?: string;
  value?: string;
  condition?: string;
}

export interface Variable {
  name: string;
  label?: string;
  description?: string;
  type: string;
  hide?: number;
  query?: unknown;
  definition?: string;
  regex?: string;
  sort?: number;
  multi?: boolean;
  /** Custom lists: `json` for a list of texts, or of objects with a text and a value. */
  valuesFormat?: string;
  /** Intervals: whether one is found by the range, into how many steps it is cut, and the narrowest of them. */
  auto?: boolean;
  auto_count?: number | string;
  auto_min?: string;
  /** Ad hoc filters. */
  filters?: TargetTag[];
  baseFilters?: TargetTag[];
  includeAll?: boolean;
  allValue?: string | null;
  current?: { text?: unknown; value?: unknown };
}

export interface FieldConfigSource {
  defaults?: FieldConfig;
  overrides?: Override[];
}

export interface Override {
  matcher: { id: string; options?: unknown };
  properties: { id: string; value?: unknown }[];
}

export interface FieldConfig {
  displayName?: string;
  unit?: string;
  decimals?: number | null;
  min?: number | null;
  max?: number | null;
  noValue?: string;
  color?: { mode?: string; fixedColor?: string; seriesBy?: string };
  thresholds?: { mode?: string; steps?: ThresholdStep[] };
  mappings?: Mapping[];
  links?: { title?: string; url: string; targetBlank?: boolean }[];
  custom?: CustomConfig;
}

export interface ThresholdStep {
  color: string;
  value: number | null;
}

export interface MappingResult {
  text?: string;
  color?: string;
  index?: number;
}

export type Mapping =
  | { type: 'value'; options: Record<string, MappingResult> }
  | { type: 'range'; options: { from: number | null; to: number | null; result: MappingResult } }
  | { type: 'regex'; options: { pattern: string; result: MappingResult } }
  | { type: 'special'; options: { match: string; result: MappingResult } };

/** Drawing options of time series and table columns. */
export interface CustomConfig {
  drawStyle?: 'line' | 'bars' | 'points';
  lineInterpolation?: 'linear' | 'smooth' | 'stepBefore' | 'stepAfter';
  lineWidth?: number;
  lineStyle?: { fill?: 'solid' | 'dash' | 'dot'; dash?: number[] };
  fillOpacity?: number;
  gradientMode?: string;
  spanNulls?: boolean | number;
  showPoints?: 'auto' | 'always' | 'never';
  pointSize?: number;
  stacking?: { mode?: 'none' | 'normal' | 'percent'; group?: string };
  axisPlacement?: 'auto' | 'left' | 'right' | 'hidden';
  axisLabel?: string;
  axisSoftMin?: number;
  axisSoftMax?: number;
  axisCenteredZero?: boolean;
  scaleDistribution?: { type?: 'linear' | 'log' | 'symlog'; log?: number };
  transform?: 'constant' | 'negative-Y';
  thresholdsStyle?: { mode?: string };
  hideFrom?: { legend?: boolean; tooltip?: boolean; viz?: boolean };
  align?: 'auto' | 'left' | 'center' | 'right';
  cellOptions?: { type?: string; mode?: string; applyToRow?: boolean };
  /** Columns of tables. */
  hidden?: boolean;
  width?: number;
  minWidth?: number;
}

/** Names the first thing that keeps a JSON value from being a dashboard, or nothing. */
export function whyNoDashboard(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'it is not a JSON object';
  const candidate = value as Partial<Dashboard>;
  const rows = (candidate as { rows?: unknown }).rows;
  // Before schema version 16 panels stood in rows.
  if (!Array.isArray(candidate.panels)) return Array.isArray(rows) ? undefined : 'it has no list of "panels"';
  const odd = candidate.panels.findIndex((panel) => typeof panel !== 'object' || panel === null || typeof panel.type !== 'string');
  return odd >= 0 ? `panel ${odd + 1} has no "type"` : undefined;
}
