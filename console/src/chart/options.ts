/** uPlot's options for a chart: scales, axes, series, cursor. Built anew when the series or the colours change. */
import uPlot from 'uplot';
import type { ChartColors } from '../theme/colors';
import { withAlpha } from '../theme/colors';
import type { TimeRange } from '../time/range';
import { findGaps, gapLimit, isolated, pace } from './gaps';
import type { ChartSeries } from './series';
import { drawAreas, drawLines, type Threshold } from './thresholds';
import { timeAxisPixels, timeTicks, valueIncrements, valueTicks } from './ticks';

export interface ChartHandlers {
  range(): TimeRange;
  onCursor(chart: uPlot): void;
  onZoom(range: TimeRange): void;
  onReset(): void;
}

export interface ChartLook {
  colors: ChartColors;
  syncKey?: string | undefined;
  thresholds: readonly Threshold[];
}

const FONT = "11px 'Inter Variable', system-ui, sans-serif";
/** Distance between the labels of the value axis: small charts need them close, large ones do not want twenty. */
const LABEL_PIXELS = { min: 26, max: 56 };
/** Narrower drags are clicks of an unsteady hand. */
const ZOOM_PIXELS_MIN = 6;

export function chartOptions(
  series: readonly ChartSeries[], size: { width: number; height: number }, look: ChartLook, handlers: ChartHandlers,
): uPlot.Options { // prettier-ignore
  const sides = (['left', 'right'] as const).filter((side) => series.some((one) => one.axis === side));
  return {
    ...size,
    ms: 1,
    // Half of a time at the very end of its axis is beyond the chart.
    padding: [8, sides.includes('right') ? 0 : 18, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.25 },
    scales: {
      x: { time: true, range: () => [handlers.range().from, handlers.range().to] },
      ...Object.fromEntries(sides.map((side) => [side, valueScale(series.filter((one) => one.axis === side))])),
    },
    axes: [timeAxis(look.colors), ...sides.map((side) => valueAxis(side, series.filter((one) => one.axis === side), look.colors))],
    series: [{}, ...series.map(seriesOptions)],
    bands: stackBands(series),
    cursor: {
      points: { size: 6, width: 1.5, fill: (_, i) => series[i - 1]?.color ?? '' },
      drag: { x: true, y: false, setScale: false, dist: ZOOM_PIXELS_MIN },
      bind: { dblclick: () => () => (handlers.onReset(), null) },
      ...(look.syncKey ? { sync: { key: look.syncKey, setSeries: false, scales: ['x', null], filters: { pub: isMove } } } : {}),
    },
    hooks: {
      setCursor: [handlers.onCursor],
      setSelect: [(chart) => zoomBySelection(chart, handlers)],
      drawClear: [(chart) => drawAreas(chart, look.thresholds)],
      draw: [(chart) => drawLines(chart, look.thresholds)],
    },
  };
}

/** Other charts follow the pointer, not the drag. */
function isMove(type: string): boolean {
  return type !== 'mousedown' && type !== 'mouseup' && type !== 'dblclick';
}

function zoomBySelection(chart: uPlot, handlers: ChartHandlers): void {
  const { left, width } = chart.select;
  if (width < ZOOM_PIXELS_MIN) return;
  const [from, to] = [chart.posToVal(left, 'x'), chart.posToVal(left + width, 'x')];
  chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  handlers.onZoom({ from, to });
}

function valueScale(series: readonly ChartSeries[]): uPlot.Scale {
  const log = series.find((one) => one.log)?.log;
  return log ? { distr: 3, log, range: (_, min, max) => logRange(series, log, min, max) } : { range: valueRange(series) };
}

/** Whole powers around the values, within what the dashboard sets. */
export function logRange(series: readonly ChartSeries[], base: number, dataMin: number | null, dataMax: number | null): [number, number] {
  const power = (value: number, round: (exponent: number) => number) => base ** round(Number((Math.log(value) / Math.log(base)).toFixed(9)));
  const bounds = (of: (one: ChartSeries) => number | undefined) => series.map(of).filter((value): value is number => value !== undefined && value > 0);
  const [mins, maxs] = [bounds(({ min }) => min), bounds(({ max }) => max)];
  const low = mins.length > 0 ? Math.min(...mins) : power(dataMin && dataMin > 0 ? dataMin : 1, Math.floor);
  const high = maxs.length > 0 ? Math.max(...maxs) : power(dataMax && dataMax > 0 ? dataMax : 1, Math.ceil);
  return high > low ? [low, high] : [low, low * base];
}

/** Zero belongs to the picture unless all values are far above it and close together. */
function valueRange(series: readonly ChartSeries[]): uPlot.Scale.Range {
  const lowest = Math.min(...series.map((one) => one.min ?? Infinity));
  const highest = Math.max(...series.map((one) => one.max ?? -Infinity));
  const softMin = Math.min(...series.map((one) => one.softMin ?? Infinity));
  const softMax = Math.max(...series.map((one) => one.softMax ?? -Infinity));
  return (_, dataMin, dataMax) => {
    let low = Math.min(dataMin ?? 0, softMin);
    const high = Math.max(dataMax ?? 1, softMax);
    if (low > 0 && low < high * 0.6) low = 0;
    const [autoLow, autoHigh] = uPlot.rangeNum(low, high === low ? low + 1 : high, {
      min: { pad: low === 0 ? 0 : 0.08, soft: 0, mode: low >= 0 ? 1 : 3 },
      max: { pad: 0.08, soft: 0, mode: high <= 0 ? 1 : 3 },
    });
    const min = Number.isFinite(lowest) ? lowest : autoLow!;
    const max = Number.isFinite(highest) ? highest : autoHigh!;
    return min < max ? [min, max] : [min, min + 1];
  };
}

function timeAxis(colors: ChartColors): uPlot.Axis {
  return {
    stroke: colors.axis,
    font: FONT,
    size: (_, labels) => timeAxisPixels(labels),
    gap: 4,
    space: 64,
    grid: { stroke: colors.grid, width: 1 },
    ticks: { show: false },
    values: (_, splits, __, ___, increment) => timeTicks(splits, increment),
  };
}

function valueAxis(side: 'left' | 'right', series: readonly ChartSeries[], colors: ChartColors): uPlot.Axis {
  const unit = series[0]?.unit;
  const mirrored = series.some(({ negative }) => negative);
  const logarithmic = series.some(({ log }) => log !== undefined);
  const incrs = logarithmic ? undefined : valueIncrements(unit);
  return {
    scale: side,
    side: side === 'left' ? 3 : 1,
    stroke: colors.axis,
    font: FONT,
    gap: 6,
    space: (chart) => Math.max(LABEL_PIXELS.min, Math.min(LABEL_PIXELS.max, chart.height / 9)),
    ...(incrs ? { incrs } : {}),
    grid: { show: side === 'left', stroke: colors.grid, width: 1 },
    ticks: { show: false },
    // uPlot leaves out labels of a logarithmic axis that would stand too close: it has nothing in their places.
    values: (_, splits) => (logarithmic ? splits.map((split) => (split == null ? '' : valueTicks([split], unit, false)[0]!)) : valueTicks(splits, unit, mirrored)),
    size: (chart, values) => axisWidth(chart, values),
  };
}

function axisWidth(chart: uPlot, values: string[] | null): number {
  if (!values) return 40;
  chart.ctx.font = FONT.replace('11px', `${11 * devicePixelRatio}px`);
  const widest = Math.max(0, ...values.map((value) => chart.ctx.measureText(value ?? '').width));
  return Math.max(28, Math.ceil(widest / devicePixelRatio) + 14);
}

const linear = uPlot.paths.linear!();
const spline = uPlot.paths.spline!();
const stepAfter = uPlot.paths.stepped!({ align: 1 });
const stepBefore = uPlot.paths.stepped!({ align: -1 });
const bars = uPlot.paths.bars!({ size: [0.8, 60, 1], align: 1 });
const none: uPlot.Series.PathBuilder = () => null;

function pathsOf(one: ChartSeries): uPlot.Series.PathBuilder {
  if (one.drawStyle === 'bars') return bars;
  if (one.drawStyle === 'points') return none;
  return { linear, smooth: spline, stepBefore, stepAfter }[one.interpolation];
}

function seriesOptions(one: ChartSeries): uPlot.Series {
  const fill = one.fillOpacity > 0 ? withAlpha(one.color, one.fillOpacity) : undefined;
  return {
    scale: one.axis,
    label: one.name,
    stroke: one.color,
    width: one.drawStyle === 'points' ? 0 : one.lineWidth,
    ...(fill ? { fill } : {}),
    ...(one.dash ? { dash: one.dash } : {}),
    paths: pathsOf(one),
    spanGaps: false,
    gaps: (chart, index, from, to) => pixelGaps(chart, index, from, to, one),
    points: pointsOf(one),
  };
}

/** The pace is that of the data at hand, which changes with each refresh, so it is worked out when drawing. */
function limitOf(chart: uPlot, index: number, one: ChartSeries): number {
  const data = chart.data as unknown as [number[], ...(number | null)[][]];
  return gapLimit(one.spanNulls, pace(data[0], data[index]!));
}

function pixelGaps(chart: uPlot, index: number, from: number, to: number, one: ChartSeries): [number, number][] {
  const times = chart.data[0] as number[];
  const limit = limitOf(chart, index, one);
  if (limit === Infinity) return [];
  return findGaps(times, chart.data[index] as (number | null)[], limit, from, to).map(([a, b]) => [
    chart.valToPos(times[a]!, 'x', true),
    chart.valToPos(times[b]!, 'x', true),
  ]);
}

function pointsOf(one: ChartSeries): uPlot.Series.Points {
  const size = Math.max(4, one.lineWidth * 2 + 2);
  if (one.drawStyle === 'points' || one.showPoints === 'always') return { show: true, size, fill: one.color };
  if (one.drawStyle === 'bars') return { show: false };
  return {
    show: true,
    size,
    fill: one.color,
    filter: (chart, index) =>
      isolated(chart.data[0] as number[], chart.data[index] as (number | null)[], limitOf(chart, index, one)),
  };
}

/** Each stacked area ends where the one below it begins. */
function stackBands(series: readonly ChartSeries[]): uPlot.Band[] {
  const below = new Map<string, number>();
  const bands: uPlot.Band[] = [];
  series.forEach(({ stack }, i) => {
    if (stack === undefined) return;
    const lower = below.get(stack);
    if (lower !== undefined) bands.push({ series: [i + 1, lower] });
    below.set(stack, i + 1);
  });
  return bands;
}
