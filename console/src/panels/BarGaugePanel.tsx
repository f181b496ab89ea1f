/** The bar gauge panel (gauge and pie chart are drawn alike): a bar for each series between its minimum and maximum. */
import { display } from '../dashboard/display';
import { resolveColor } from '../theme/colors';
import { useScheme } from '../theme/manager';
import classes from './panels.module.css';
import { reduced, type ReduceOptions } from './reduceOptions';
import type { PanelProps } from './types';

export function BarGaugePanel({ panel, frames, height }: PanelProps) {
  const scheme = useScheme();
  const bars = reduced(frames, (panel.options as { reduceOptions?: ReduceOptions } | undefined)?.reduceOptions, panel.fieldConfig);
  const largest = Math.max(0, ...bars.map(({ value }) => (typeof value === 'number' ? value : 0)));
  return (
    <div className={classes.bars} style={{ maxHeight: height }}>
      {bars.map(({ key, name, value, config, around }) => {
        // A gauge goes from 0 to 100 unless told otherwise, bars to the largest of them.
        const shown = display(value, config, panel.type === 'gauge' ? { index: around.index } : around);
        const [low, high] = [config.min ?? 0, config.max ?? (largest || 1)];
        const share = typeof value === 'number' ? Math.max(0, Math.min(1, (value - low) / (high - low || 1))) : 0;
        return (
          <div key={key} className={classes.barRow}>
            <span className={classes.barName} title={name}>{name}</span>
            <span className={classes.barTrack}>
              <span style={{ width: `${share * 100}%`, background: shown.color ? resolveColor(shown.color, scheme) : 'var(--sw-accent)' }} />
            </span>
            <span className={classes.barValue}>{shown.prefix + shown.text + shown.suffix}</span>
          </div>
        );
      })}
    </div>
  );
}
