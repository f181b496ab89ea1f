/** Names, colours and key figures of a chart's series. A click isolates one, ctrl-click hides or shows one. */
import { memo, useMemo, useState } from 'react';
import { reduce, reducerLabel } from '../data/reduce';
import classes from './Legend.module.css';
import type { ChartSeries } from './series';
import { clickLegend, type Hidden } from './visibility';

export interface LegendProps {
  series: readonly ChartSeries[];
  hidden: Hidden;
  mode: 'list' | 'table';
  calcs: readonly string[];
  onHidden(hidden: Hidden): void;
  onHighlight(key: string | undefined): void;
}

export const Legend = memo(function Legend(props: LegendProps) {
  const { series, hidden, mode, calcs, onHidden, onHighlight } = props;
  const [order, setOrder] = useState<{ calc: string; desc: boolean } | undefined>();
  const figures = useMemo(
    () => new Map(series.map((one) => [one.key, calcs.map((calc) => reduce(one.values, calc) as number | null)])),
    [series, calcs],
  );
  const keys = useMemo(() => series.map(({ key }) => key), [series]);
  const sorted = useMemo(() => {
    const at = order ? calcs.indexOf(order.calc) : -1;
    if (!order || at < 0) return series;
    const value = (one: ChartSeries) => figures.get(one.key)?.[at] ?? -Infinity;
    return [...series].sort((a, b) => (order.desc ? value(b) - value(a) : value(a) - value(b)));
  }, [series, figures, calcs, order]);

  const entry = (one: ChartSeries) => ({
    className: `${classes.entry} ${hidden.has(one.key) ? classes.hidden : ''}`,
    title: `${one.name}\nClick: only this one. Ctrl-click: hide or show.`,
    onMouseEnter: () => onHighlight(hidden.has(one.key) ? undefined : one.key),
    onMouseLeave: () => onHighlight(undefined),
    onClick: (event: React.MouseEvent) => onHidden(clickLegend(hidden, one.key, keys, event.ctrlKey || event.metaKey)),
  });
  const figure = (one: ChartSeries, i: number) => {
    const value = figures.get(one.key)?.[i];
    return value == null ? '–' : one.format(value);
  };

  if (mode === 'list') {
    return (
      <div className={classes.list}>
        {sorted.map((one) => (
          <button key={one.key} type="button" aria-pressed={!hidden.has(one.key)} {...entry(one)}>
            <span className={classes.swatch} style={{ background: one.color }} />
            <span className={classes.name}>{one.name}</span>
            {calcs.map((calc, i) => (
              <span key={calc} className={classes.figure}>
                {calcs.length > 1 && <span className={classes.calc}>{reducerLabel(calc)} </span>}
                {figure(one, i)}
              </span>
            ))}
          </button>
        ))}
      </div>
    );
  }
  const sortBy = (calc: string) =>
    setOrder((current) => (current?.calc !== calc ? { calc, desc: true } : current.desc ? { calc, desc: false } : undefined));
  return (
    <div className={classes.scroll}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col" />
            {calcs.map((calc) => (
              <th key={calc} scope="col" aria-sort={order?.calc !== calc ? 'none' : order.desc ? 'descending' : 'ascending'}>
                <button type="button" onClick={() => sortBy(calc)}>
                  {reducerLabel(calc)}
                  {order?.calc === calc && (order.desc ? ' ↓' : ' ↑')}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((one) => {
            const { className, ...handlers } = entry(one);
            return (
              <tr key={one.key} className={className} {...handlers}>
                <td>
                  <button type="button" aria-pressed={!hidden.has(one.key)} className={classes.nameCell}>
                    <span className={classes.swatch} style={{ background: one.color }} />
                    <span className={classes.name}>{one.name}</span>
                  </button>
                </td>
                {calcs.map((calc, i) => (
                  <td key={calc} className={classes.figure}>
                    {figure(one, i)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
});
