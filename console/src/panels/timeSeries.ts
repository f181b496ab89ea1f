/** A time series panel's frames and options become what the chart draws. */
import type { ChartSeries, DrawStyle } from '../chart/series';
import { ascending, positive, toNumbers } from '../chart/series';
import type { Threshold } from '../chart/thresholds';
import { nameSeries, type NamedSeries } from '../data/names';
import type { Cell, Frame } from '../data/frame';
import { timeField } from '../data/frame';
import { reduce } from '../data/reduce';
import { display, displayText, rangeOf } from '../dashboard/display';
import { resolveFieldConfig } from '../dashboard/fieldConfig';
import type { CustomConfig, FieldConfig, FieldConfigSource } from '../dashboard/model';
import { resolveColor, type Scheme, seriesColor } from '../theme/colors';

export interface Shown {
  series: ChartSeries[];
  thresholds: Threshold[];
}

export function toChart(frames: readonly Frame[], source: FieldConfigSource | undefined, scheme: Scheme): Shown {
  const named = nameSeries(frames.filter((frame) => timeField(frame)));
  // The order of names keeps a series' colour while others come and go behind it; queries keep their own order.
  const refIds = [...new Set(named.map(({ frame }) => frame.refId))].sort();
  const keys = new Map<string, number>();
  const configured = named
    .map((one) => ({ ...one, config: resolveFieldConfig(source, { name: one.name, field: one.field, refId: one.frame.refId }) }))
    .filter(({ config }) => !config.custom?.hideFrom?.viz)
    .map((one) => ({ ...one, shown: one.config.displayName ?? one.name }))
    .sort((a, b) => refIds.indexOf(a.frame.refId) - refIds.indexOf(b.frame.refId) || (a.frame === b.frame || sameColumns(a, b) ? a.shown.localeCompare(b.shown, undefined, { numeric: true }) : 0));
  const range = rangeOf(configured.map(({ field }) => field.values));
  const hues = mirroredHues(configured);
  const series = configured.map(({ frame, field, shown, config }, index): ChartSeries => {
    const base = `${frame.refId}/${shown}`;
    const count = keys.get(base) ?? 0;
    keys.set(base, count + 1);
    const custom = config.custom ?? {};
    const negative = custom.transform === 'negative-Y';
    const log = logOf(custom);
    const numbers = toNumbers(field.values);
    const [times, values] = ascending(timeField(frame)!.values as number[], log ? positive(numbers) : numbers);
    return {
      key: count === 0 ? base : `${base}/${count}`,
      name: shown,
      color: colorOf(config, hues ? hues.get(labelsKey(field.labels))! : index, field.values, range, scheme),
      times,
      values,
      negative,
      ...look(custom, configured.length),
      stack: stackOf(custom, negative),
      percent: custom.stacking?.mode === 'percent',
      axis: custom.axisPlacement === 'right' ? 'right' : 'left',
      unit: config.unit,
      decimals: config.decimals ?? undefined,
      min: config.min ?? undefined,
      max: config.max ?? undefined,
      softMin: custom.axisSoftMin,
      softMax: custom.axisSoftMax,
      log,
      format: (value) => displayText(value, config),
    };
  });
  return { series, thresholds: thresholdLines(source?.defaults, scheme) };
}

/** Columns of one query that differ only by labels are sorted by name; different columns keep the query's order. */
function sameColumns(a: NamedSeries, b: NamedSeries): boolean {
  return a.field.name === b.field.name;
}

/** In mirrored charts both directions of a host have the host's colour: above and below tell them apart. */
function mirroredHues(configured: readonly (NamedSeries & { config: FieldConfig })[]): Map<string, number> | undefined {
  if (!configured.some(({ config }) => config.custom?.transform === 'negative-Y')) return undefined;
  const keys = [...new Set(configured.map(({ field }) => labelsKey(field.labels)))];
  return new Map(keys.map((key, i) => [key, i]));
}

function labelsKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort());
}

/** A light fill suits a single line; under several it turns to mud. */
const LIGHT_FILL_MAX = 10;

function look(custom: CustomConfig, count: number): Pick<ChartSeries, 'drawStyle' | 'interpolation' | 'lineWidth' | 'fillOpacity' | 'dash' | 'spanNulls' | 'showPoints'> {
  const style = custom.lineStyle;
  const fill = custom.fillOpacity ?? 0;
  const stacked = stackOf(custom, false) !== undefined;
  return {
    drawStyle: (custom.drawStyle ?? 'line') as DrawStyle,
    interpolation: custom.lineInterpolation ?? 'linear',
    lineWidth: custom.lineWidth ?? 1.5,
    fillOpacity: count > 1 && !stacked && fill <= LIGHT_FILL_MAX ? 0 : fill / 100,
    dash: style?.dash ?? (style?.fill === 'dash' ? [10, 8] : style?.fill === 'dot' ? [2, 6] : undefined),
    // Grafana's default, "false", breaks a line at every late point; ours follows the data unless told otherwise.
    spanNulls: custom.spanNulls === false ? undefined : custom.spanNulls,
    showPoints: custom.showPoints ?? 'auto',
  };
}

/** Steps of two where the dashboard wants these, else of ten. Symmetrical logarithms are not drawn. */
function logOf({ scaleDistribution }: CustomConfig): 2 | 10 | undefined {
  if (scaleDistribution?.type !== 'log') return undefined;
  return scaleDistribution.log === 2 ? 2 : 10;
}

function stackOf({ stacking }: CustomConfig, negative: boolean): string | undefined {
  if (!stacking?.mode || stacking.mode === 'none') return undefined;
  return `${stacking.group ?? 'A'}${negative ? '-' : '+'}`;
}

/** A line that is coloured by its value has the colour of one of them, the last unless told otherwise. */
function colorOf(config: FieldConfig, index: number, values: readonly Cell[], range: [number, number] | undefined, scheme: Scheme): string {
  const { mode, fixedColor, seriesBy = 'last' } = config.color ?? {};
  if ((mode === 'fixed' || mode === 'shades') && fixedColor) return resolveColor(fixedColor, scheme);
  if (mode === 'thresholds' || mode?.startsWith('continuous-')) {
    const value = reduce(values, seriesBy === 'last' ? 'lastNotNull' : seriesBy);
    const { color } = display(value, { ...config, mappings: [] }, { range });
    if (color) return resolveColor(color, scheme);
  }
  return seriesColor(index, scheme);
}

function thresholdLines(defaults: FieldConfig | undefined, scheme: Scheme): Threshold[] {
  const { thresholds, custom, min, max } = defaults ?? {};
  const style = custom?.thresholdsStyle?.mode ?? 'off';
  const [line, area] = [style.includes('line') || style.includes('dashed'), style.includes('area')];
  if (!line && !area) return [];
  const between = thresholds?.mode === 'percentage' ? { min: min ?? custom?.axisSoftMin, max: max ?? custom?.axisSoftMax } : undefined;
  return (thresholds?.steps ?? []).map(({ value, color }) => ({ value, color: resolveColor(color, scheme), line, dashed: style.includes('dashed'), area, between }));
}
