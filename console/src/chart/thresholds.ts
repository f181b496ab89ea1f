/** Thresholds in a chart: lines at their values, and areas from each to the next behind the series. */
import type uPlot from 'uplot';
import { withAlpha } from '../theme/colors';

export interface Threshold {
  /** Nothing for the lowest step, which has no lower end. */
  value: number | null;
  color: string;
  line: boolean;
  dashed: boolean;
  area: boolean;
  /** Values are percent of the way between these, or between the ends of the axis where they are absent. */
  between?: { min?: number | null | undefined; max?: number | null | undefined } | undefined;
}

const AREA_ALPHA = 0.12;

/** Where on the axis the threshold is. */
export function placeOf({ value, between }: Threshold, axis: { min: number; max: number }): number {
  if (value === null) return -Infinity;
  if (!between) return value;
  const [low, high] = [between.min ?? axis.min, between.max ?? axis.max];
  return low + ((high - low) * value) / 100;
}

/** What of the axis each threshold fills, up to the next. */
export function areasOf(thresholds: readonly Threshold[], axis: { min: number; max: number }): { from: number; to: number; color: string }[] {
  return thresholds.flatMap((one, i) => {
    const next = thresholds[i + 1];
    const from = Math.max(axis.min, placeOf(one, axis));
    const to = Math.min(axis.max, next ? placeOf(next, axis) : Infinity);
    return one.area && from < to && one.color !== 'transparent' ? [{ from, to, color: withAlpha(one.color, AREA_ALPHA) }] : [];
  });
}

function axisOf(chart: uPlot): { scale: string; min: number; max: number } | undefined {
  for (const scale of ['left', 'right']) {
    const { min, max } = chart.scales[scale] ?? {};
    if (min != null && max != null) return { scale, min, max };
  }
  return undefined;
}

export function drawAreas(chart: uPlot, thresholds: readonly Threshold[]): void {
  const axis = axisOf(chart);
  if (!axis) return;
  const { ctx, bbox } = chart;
  ctx.save();
  for (const { from, to, color } of areasOf(thresholds, axis)) {
    const [top, bottom] = [chart.valToPos(to, axis.scale, true), chart.valToPos(from, axis.scale, true)];
    ctx.fillStyle = color;
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
  }
  ctx.restore();
}

export function drawLines(chart: uPlot, thresholds: readonly Threshold[]): void {
  const axis = axisOf(chart);
  if (!axis) return;
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  for (const one of thresholds) {
    const value = placeOf(one, axis);
    if (!one.line || value < axis.min || value > axis.max) continue;
    const y = chart.valToPos(value, axis.scale, true);
    ctx.strokeStyle = one.color;
    ctx.setLineDash(one.dashed ? [6 * devicePixelRatio, 5 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}
