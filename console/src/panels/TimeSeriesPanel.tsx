/** The time series panel: a chart with its legend. */
import { useMemo, useState } from 'react';
import { Chart } from '../chart/Chart';
import { Legend } from '../chart/Legend';
import { type Hidden, NONE_HIDDEN } from '../chart/visibility';
import { useScheme } from '../theme/manager';
import { useTime } from '../time/TimeContext';
import classes from './panels.module.css';
import { toChart } from './timeSeries';
import type { PanelProps } from './types';

interface Options {
  legend?: { displayMode?: string; showLegend?: boolean; calcs?: string[]; placement?: string };
  tooltip?: { mode?: string };
}

const ROW_PIXELS = 20;
const HEADER_PIXELS = 18;
const LEGEND_SHARE_MAX = 0.38;
const SIDE_PIXELS = 260;
const LAST: readonly string[] = ['lastNotNull'];

export function TimeSeriesPanel({ panel, frames, width, height, range, syncKey }: PanelProps) {
  const scheme = useScheme();
  const time = useTime();
  const [hidden, setHidden] = useState<Hidden>(NONE_HIDDEN);
  const [highlight, setHighlight] = useState<string | undefined>();
  const { series, thresholds } = useMemo(() => toChart(frames, panel.fieldConfig, scheme), [frames, panel.fieldConfig, scheme]);
  const visible = useMemo(() => series.filter(({ key }) => !hidden.has(key)), [series, hidden]);

  const options = (panel.options ?? {}) as Options;
  const legend = options.legend;
  const showLegend = legend?.showLegend !== false && legend?.displayMode !== 'hidden';
  const mode = legend?.displayMode === 'table' ? 'table' : 'list';
  const calcs = legend?.calcs?.length ? legend.calcs : LAST;
  const beside = showLegend && legend?.placement === 'right' && width > 2 * SIDE_PIXELS;

  const fit = fitLegend(series.map(({ name }) => name), mode, width, height);
  const legendHeight = !showLegend || beside ? 0 : fit.pixels;
  const chartWidth = beside ? width - SIDE_PIXELS - 12 : width;
  const chartHeight = height - legendHeight;

  return (
    <div className={classes.timeSeries} style={{ flexDirection: beside ? 'row' : 'column' }}>
      {chartWidth > 20 && chartHeight > 20 && (
        <Chart
          series={visible}
          range={range ?? time.range}
          width={chartWidth}
          height={chartHeight}
          syncKey={syncKey}
          thresholds={thresholds}
          highlight={highlight}
          tooltip={options.tooltip?.mode === 'none' ? 'none' : 'all'}
          label={`Chart: ${panel.title ?? 'untitled'}, ${series.length} series`}
          onZoom={time.zoom}
          onReset={time.resetZoom}
        />
      )}
      {showLegend && (
        <div className={classes.legend} data-cut={fit.cut || undefined} style={beside ? { width: SIDE_PIXELS, height } : { height: legendHeight }}>
          <Legend series={series} hidden={hidden} mode={mode} calcs={calcs} onHidden={setHidden} onHighlight={setHighlight} />
        </div>
      )}
    </div>
  );
}

/** What the legend needs, up to a share of the panel; it scrolls beyond that. */
function fitLegend(
  names: readonly string[], mode: 'list' | 'table', width: number, height: number,
): { pixels: number; cut: boolean } { // prettier-ignore
  const pixelsPerCharacter = 6.6;
  const figuresPixels = 95;
  const lines =
    mode === 'table'
      ? names.length
      : Math.ceil(names.reduce((sum, name) => sum + name.length * pixelsPerCharacter + figuresPixels, 0) / Math.max(1, width));
  const around = mode === 'table' ? HEADER_PIXELS : 4;
  const fitting = Math.max(1, Math.floor((height * LEGEND_SHARE_MAX - around) / ROW_PIXELS));
  // Where rows are left over, half of the next one fades out at the edge and says so.
  const cut = lines > fitting;
  return { pixels: (cut ? fitting + 0.5 : Math.max(1, lines)) * ROW_PIXELS + around, cut };
}
