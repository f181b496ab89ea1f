/** What all series are at the pointer's time, greatest first, with the one nearest to the pointer in bold. */
import { useLayoutEffect, useRef } from 'react';
import { createPortal } from 'react-dom';
import { ago } from '../time/duration';
import { localDateTime } from '../time/range';
import type { Aligned } from './align';
import classes from './Chart.module.css';
import type { ChartSeries } from './series';

export interface Hover {
  /** Row of the aligned table. */
  index: number;
  /** The pointer and the plot's sides, in pixels of the window. */
  x: number;
  y: number;
  left: number;
  right: number;
  /** Value of each scale at the pointer's height. */
  valueAtPointer: { left: number | undefined; right: number | undefined };
  pixelsPerMs: number;
}

interface Row {
  series: ChartSeries;
  value: number;
  distance: number;
}

const ROWS_MAX = 20;
/** A series without a value at the pointer's time lends one from a neighbour this near. */
const LEND_PIXELS = 20;
const OFFSET_PIXELS = 14;

export function ChartTooltip({ hover, series, aligned, nearestOnly }: {
  hover: Hover; series: readonly ChartSeries[]; aligned: Aligned; nearestOnly: boolean;
}) { // prettier-ignore
  const box = useRef<HTMLDivElement>(null);
  const rows = rowsAt(hover, series, aligned);
  const nearest = rows.reduce<Row | undefined>((best, row) => (best && best.distance <= row.distance ? best : row), undefined);
  const shown = pick(rows, nearest, nearestOnly);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const { width, height } = element.getBoundingClientRect();
    const beside = hover.x + OFFSET_PIXELS + width < window.innerWidth - 4 ? hover.x + OFFSET_PIXELS : hover.x - OFFSET_PIXELS - width;
    element.style.left = `${Math.max(4, beside)}px`;
    element.style.top = `${Math.max(4, Math.min(hover.y - height / 2, window.innerHeight - height - 4))}px`;
  });

  const time = aligned.times[hover.index];
  if (time === undefined || shown.length === 0) return null;
  return createPortal(
      <div ref={box} className={classes.tooltip} role="status">
        <div className={classes.when}>
          <span>{localDateTime(time)}</span>
          <span>{ago(time, Date.now())}</span>
        </div>
        <div className={classes.rows}>
          {shown.map((row) => (
            <div key={row.series.key} className={`${classes.row} ${row === nearest && rows.length > 1 ? classes.near : ''}`}>
              <span className={classes.swatch} style={{ background: row.series.color }} />
              <span className={classes.name}>{row.series.name}</span>
              <span className={classes.value}>{row.series.format(row.value)}</span>
            </div>
          ))}
          {!nearestOnly && rows.length > shown.length && (
            <span className={classes.more}>and {rows.length - shown.length} more</span>
          )}
        </div>
      </div>,
    document.body,
  );
}

function rowsAt(hover: Hover, series: readonly ChartSeries[], { actual, drawn, times }: Aligned): Row[] {
  const rows: Row[] = [];
  series.forEach((one, i) => {
    const at = nearby(actual[i]!, times, hover);
    const value = at === undefined ? null : actual[i]![at];
    if (at === undefined || value == null) return;
    const pointer = hover.valueAtPointer[one.axis];
    const distance = pointer === undefined ? Infinity : Math.abs((drawn[i]![at] ?? Infinity) - pointer);
    rows.push({ series: one, value, distance });
  });
  return rows.sort((a, b) => b.value - a.value);
}

/** The hovered row where it has a value, else the closest row that has one within a few pixels. */
function nearby(values: readonly (number | null)[], times: readonly number[], { index, pixelsPerMs }: Hover): number | undefined {
  if (values[index] != null) return index;
  const reach = LEND_PIXELS / pixelsPerMs;
  const within = (i: number) => Math.abs(times[i]! - times[index]!) <= reach;
  let [down, up] = [index - 1, index + 1];
  while ((down >= 0 && within(down)) || (up < values.length && within(up))) {
    if (down >= 0 && within(down) && values[down] != null) return down;
    if (up < values.length && within(up) && values[up] != null) return up;
    down -= 1;
    up += 1;
  }
  return undefined;
}

/** The greatest, and the nearest in any case. */
function pick(rows: Row[], nearest: Row | undefined, nearestOnly: boolean): Row[] {
  if (nearestOnly) return nearest ? [nearest] : [];
  if (rows.length <= ROWS_MAX) return rows;
  const top = rows.slice(0, ROWS_MAX);
  if (nearest && !top.includes(nearest)) top[ROWS_MAX - 1] = nearest;
  return top;
}
