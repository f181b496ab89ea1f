/** A time series chart: uPlot inside React, with a tooltip of all series, a shared crosshair and zoom by dragging. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { CHART_COLORS } from '../theme/colors';
import { useScheme } from '../theme/manager';
import type { TimeRange } from '../time/range';
import { align, type Aligned } from './align';
import classes from './Chart.module.css';
import { chartOptions } from './options';
import type { Threshold } from './thresholds';
import type { ChartSeries } from './series';
import { ChartTooltip, type Hover } from './Tooltip';

export interface ChartProps {
  /** Those to draw, hidden ones left out. */
  series: readonly ChartSeries[];
  range: TimeRange;
  width: number;
  height: number;
  /** Charts with the same key share their crosshair. */
  syncKey?: string;
  thresholds?: readonly Threshold[];
  /** Key of the series to bring forward. */
  highlight?: string | undefined;
  tooltip?: 'all' | 'nearest' | 'none';
  label: string;
  onZoom(range: TimeRange): void;
  onReset(): void;
}

const NO_THRESHOLDS: readonly Threshold[] = [];

export function Chart(props: ChartProps) {
  const { series, range, width, height, syncKey, thresholds = NO_THRESHOLDS, highlight, tooltip = 'all', label } = props;
  const scheme = useScheme();
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const drawn = useRef<Aligned | undefined>(undefined);
  const [hover, setHover] = useState<Hover | undefined>();
  const aligned = useMemo(() => align(series), [series]);

  // What handlers need changes with every refresh; the chart itself should not be rebuilt for that.
  const latest = useRef({ props, aligned });
  latest.current = { props, aligned };

  const structure = JSON.stringify([scheme, syncKey, thresholds, series.map(lookOf)]);
  useLayoutEffect(() => {
    if (!holder.current) return;
    const over = { inside: false };
    const options = chartOptions(
      series,
      { width: latest.current.props.width, height: latest.current.props.height },
      { colors: CHART_COLORS[scheme], syncKey, thresholds },
      {
        range: () => latest.current.props.range,
        onZoom: (zoomed) => latest.current.props.onZoom(zoomed),
        onReset: () => latest.current.props.onReset(),
        onCursor: (self) => setHover(over.inside ? hoverOf(self) : undefined),
      },
    );
    const built = new uPlot(options, tableOf(latest.current.aligned), holder.current);
    const enter = () => (over.inside = true);
    const leave = () => {
      over.inside = false;
      setHover(undefined);
    };
    built.over.addEventListener('mouseenter', enter);
    built.over.addEventListener('mouseleave', leave);
    chart.current = built;
    drawn.current = latest.current.aligned;
    return () => {
      chart.current = undefined;
      setHover(undefined);
      built.destroy();
    };
    // `structure` says all that matters of `series`; its values arrive through setData below.
  }, [structure]);

  useEffect(() => {
    const current = chart.current;
    if (!current || drawn.current === aligned) return;
    drawn.current = aligned;
    current.setData(tableOf(aligned));
  }, [aligned]);

  useEffect(() => {
    const current = chart.current;
    if (current && (current.width !== width || current.height !== height)) current.setSize({ width, height });
  }, [width, height]);

  useEffect(() => {
    chart.current?.setScale('x', { min: range.from, max: range.to });
  }, [range.from, range.to]);

  useEffect(() => {
    const index = series.findIndex(({ key }) => key === highlight);
    chart.current?.setSeries(index >= 0 ? index + 1 : null, { focus: true });
  }, [highlight, series]);

  return (
    <div ref={holder} className={classes.chart} style={{ width, height }} role="img" aria-label={label}>
      {hover && tooltip !== 'none' && (
        <ChartTooltip hover={hover} series={series} aligned={aligned} nearestOnly={tooltip === 'nearest'} />
      )}
    </div>
  );
}

/** What the chart's structure depends on: everything but times and values. */
function lookOf({ times: _times, values: _values, ...look }: ChartSeries): unknown {
  return look;
}

function tableOf({ times, drawn }: { times: number[]; drawn: (number | null)[][] }): uPlot.AlignedData {
  return [times, ...drawn] as uPlot.AlignedData;
}

function hoverOf(chart: uPlot): Hover | undefined {
  const { left, top, idx } = chart.cursor;
  if (left == null || top == null || left < 0 || idx == null) return undefined;
  const box = chart.over.getBoundingClientRect();
  return {
    index: idx,
    x: box.left + left,
    y: box.top + top,
    left: box.left,
    right: box.right,
    valueAtPointer: { left: valueAt(chart, top, 'left'), right: valueAt(chart, top, 'right') },
    pixelsPerMs: chart.bbox.width / devicePixelRatio / (chart.scales['x']!.max! - chart.scales['x']!.min!),
  };
}

function valueAt(chart: uPlot, top: number, scale: string): number | undefined {
  return chart.scales[scale] ? chart.posToVal(top, scale) : undefined;
}
